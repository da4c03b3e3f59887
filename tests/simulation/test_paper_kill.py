"""Processes that trade on one paper account are killed at random moments: what was acknowledged is there, and adds up."""

import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.paper_file import PaperFile
from interlock.core.constants import MICROS
from interlock.core.instrument import Instrument

BALANCE = 1_000_000
BTC = Instrument("BTC", "paper", "USDT", step=0.001, tick=0.1, min_notional=5.0)

TRADER = """
import asyncio, random, sys
from pathlib import Path
from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.venue import VenueOrder, VenueRejected
from interlock.core.messages import Quote

path, name, orders = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
chance = random.Random(name)


async def trade():
    venue = PaperExchange.open(path)
    print(flush=True)
    sys.stdin.readline()
    for number in range(orders):
        mark = chance.randrange(490_000, 510_000) / 10
        await venue.feed((Quote("BTC", mark - 0.5, mark + 0.5, mark, 1),), cursor=number)
        client_id, side, steps = f"{name}-{number}", chance.choice((1, -1)), chance.randrange(1, 50)
        kind = chance.choice(({}, {"limit_price": mark - side * 100, "immediate": False}, {"reduce_only": True}))
        try:
            told = await venue.place(VenueOrder(client_id, "BTC", side, steps, **kind))
            print(client_id, told.filled_steps, flush=True)
        except VenueRejected as no:
            assert "reduce-only" in no.reason, no
            print(flush=True)
        if number % 3 == 0:
            await venue.cancel("BTC", f"{name}-{chance.randrange(number + 1)}")
    await venue.close()


asyncio.run(trade())
"""


@dataclass
class Trader:
    """One process that trades; `acknowledged` is what it said that it had filled, by client id."""

    process: "subprocess.Popen[str]"
    acknowledged: dict[str, int]

    def go(self) -> None:
        """It trades from now on."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def read(self, lines: int) -> None:
        """So many more orders, or all there will be, were acknowledged."""
        assert self.process.stdout is not None
        for _ in range(lines):
            self._take(self.process.stdout.readline())

    def kill(self) -> None:
        """The process is dead, and all that it said was heard."""
        self.process.send_signal(signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """The process has ended."""
        with self.process as process:
            assert process.stdout is not None
            for line in process.stdout:
                self._take(line)
        return self.process.returncode

    def _take(self, line: str) -> None:
        if line.endswith("\n") and line.strip():
            client_id, filled = line.split()
            self.acknowledged[client_id] = int(filled)


def start(path: Path, name: str, orders: int) -> Trader:
    command = [sys.executable, "-c", TRADER, str(path), name, str(orders)]
    return Trader(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True), {})


def create(path: Path) -> Path:
    PaperExchange.create(
        path, account="test", balance=BALANCE, currency="USDT", instruments=[BTC], fee_bps=4.0, partial_frac=0.3
    )
    return path


def problems(path: Path, acknowledged: dict[str, int]) -> list[str]:
    """What is wrong with the account: orders that are missing or shrank, positions or money that fills do not explain."""
    with closing(sqlite3.connect(path)) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check").fetchall() if row[0] != "ok"]
    with closing(PaperFile.open(path)) as file, file.reading() as market:
        orders = file.changed_since(0)
        known = {order.client_id: order.filled for order in orders}
        found += [f"{name} is missing" for name in acknowledged if name not in known]
        found += [f"{name} shrank" for name, filled in acknowledged.items() if known.get(name, filled) < filled]
        if sorted(order.number for order in orders) != [*range(1, market.last_number + 1)]:
            found.append("orders have gone")
        if market.books["BTC"].position != sum(order.side * order.filled for order in orders):
            found.append("the position is not the sum of fills")
        cash = BALANCE * MICROS - sum(order.side * order.value + order.fees for order in orders)
        if market.account.balance - market.books["BTC"].cost != cash:
            found.append("the balance is not the sum of fills")
    return found


@pytest.mark.timeout(600)
def test_a_killed_user_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Ten rounds of two processes at once; each is killed at its own moment."""
    path, chance = create(tmp_path / "account"), random.Random(20)
    acknowledged: dict[str, int] = {}
    for number in range(10):
        traders = [start(path, f"{name}{number}", 10**9) for name in "ab"]
        for trader in traders:
            trader.go()
        for trader in traders:
            trader.read(chance.randrange(1, 60))
            trader.kill()
            acknowledged |= trader.acknowledged
        assert problems(path, acknowledged) == []
    assert len(acknowledged) > 200


@pytest.mark.timeout(600)
def test_two_users_at_once_trade_on_one_account(tmp_path: Path) -> None:
    path = create(tmp_path / "account")
    traders = [start(path, name, 200) for name in "ab"]
    for trader in traders:
        trader.read(1)
    for trader in traders:
        trader.go()
    assert [trader.end() for trader in traders] == [0, 0]
    acknowledged = traders[0].acknowledged | traders[1].acknowledged
    assert problems(path, acknowledged) == []
    with closing(PaperFile.open(path)) as file, file.reading():
        names = [order.client_id[0] for order in sorted(file.changed_since(0), key=lambda order: order.number)]
    assert "ab" in "".join(names), "they traded one after the other"
    assert "ba" in "".join(names), "they traded one after the other"


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("DELETE FROM orders WHERE number = 3", "orders have gone"),
        ("UPDATE books SET position = position + 1", "the position is not the sum of fills"),
        ("UPDATE account SET balance = balance - 1", "the balance is not the sum of fills"),
    ],
)
def test_control_an_account_that_lost_something_is_found_out(harm: str, told: str, tmp_path: Path) -> None:
    path = create(tmp_path / "account")
    trader = start(path, "a", 10)
    trader.go()
    assert trader.end() == 0
    assert problems(path, trader.acknowledged) == []
    assert problems(path, trader.acknowledged | {"x": 1}) == ["x is missing"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(harm)
        connection.commit()
    assert told in problems(path, {})
