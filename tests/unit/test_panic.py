"""Out of everything, at a real paper account in its file, and at a venue that fails in every way the port allows."""

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from interlock import panic
from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.venue import OrdersReport, PositionsReport, Venue, VenueOrder, VenueRejected, VenueUnreachable
from interlock.cli import app
from interlock.core.codes import KillMode
from interlock.core.instrument import Instrument
from interlock.core.messages import Quote
from interlock.service.execution.direct import DirectClose
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch, LatchUnwritable

GOLD = Instrument("GOLD", "paper", "USD", step=0.01, tick=0.01, min_notional=1.0)
EURO = Instrument("EURO", "paper", "USD", step=1.0, tick=0.0001, min_notional=1.0)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose paper account holds two positions, two stops and an opening that rests."""
    home = Home(tmp_path / "home")
    home.create()
    PaperExchange.create(
        home.paper, account="mine", balance=10_000.0, currency="USD", instruments=(GOLD, EURO), fee_bps=1.0
    )
    asyncio.run(_trade(home))
    return home


async def _trade(home: Home) -> None:
    venue = PaperExchange.open(home.paper)
    now = await venue.server_time_ns()
    await venue.feed((Quote("GOLD", 1999.0, 2001.0, 2000.0, now), Quote("EURO", 1.0999, 1.1001, 1.1, now)))
    for order in (
        VenueOrder("a", "GOLD", 1, 50),
        VenueOrder("b", "EURO", -1, 300),
        VenueOrder("c", "GOLD", -1, 50, trigger_price=1900.0, reduce_only=True, immediate=False),
        VenueOrder("d", "EURO", 1, 300, trigger_price=1.2, reduce_only=True, immediate=False),
        VenueOrder("e", "GOLD", 1, 10, limit_price=1950.0, immediate=False),
    ):
        await venue.place(order)
    await venue.close()


def held(home: Home) -> tuple[PositionsReport, OrdersReport]:
    async def look() -> tuple[PositionsReport, OrdersReport]:
        venue = PaperExchange.open(home.paper)
        try:
            return await venue.positions(), await venue.open_orders()
        finally:
            await venue.close()

    return asyncio.run(look())


def run(home: Home, *words: str, code: int) -> str:
    result = CliRunner().invoke(app, ["panic", "--home", str(home.path), *words])
    assert result.exit_code == code, result.output
    return result.stdout


def test_the_account_is_not_flat_before(home: Home) -> None:
    positions, orders = held(home)
    assert {position.symbol: position.steps for position in positions.positions} == {"GOLD": 50, "EURO": -300}
    assert len(orders.orders) == 3


def test_everything_is_closed_and_nothing_opens_afterwards(home: Home) -> None:
    assert run(home, code=0).startswith("FLAT")
    positions, orders = held(home)
    assert (positions.positions, orders.orders) == ((), ())
    state = KillLatch(home).state()
    assert state.account is KillMode.FLATTEN
    assert "panic" in state.entries[0].reason


def test_a_flat_account_stays_flat_and_is_told_as_json(home: Home) -> None:
    run(home, code=0)
    told = json.loads(run(home, "--json", code=0))
    assert told == {"flat": True, "known": True, "positions": [], "orders": [], "problems": []}


def test_a_process_of_its_own_needs_neither_engine_nor_policy_nor_ledger(home: Home) -> None:
    program = f"""
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
sys.argv = ["interlock", "panic", "--home", {str(home.path)!r}]
from interlock.__main__ import main
main()
"""
    listing = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert listing.stdout.startswith("FLAT")
    ours = {name for name in listing.stderr.split() if name.startswith("interlock.")}
    assert "interlock.panic" in ours
    needless = ("core.engine", "core.decide", "core.state", "policy", "ledger", "cli", "client", "service.shell")
    assert [name for name in ours if name.startswith(tuple(f"interlock.{each}" for each in needless))] == []


def test_two_at_once_and_the_gateways_own_closes_do_no_harm(home: Home) -> None:
    run_it = [sys.executable, "-m", "interlock", "panic", "--home", str(home.path)]
    both = [subprocess.Popen(run_it, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        told, _ = process.communicate(timeout=60.0)
        assert (process.returncode, told[:4]) == (0, "FLAT")
    assert held(home)[0].positions == ()


@pytest.mark.parametrize("runtime", ['venue = "paper"\n', "= not toml", None])
def test_a_runtime_that_cannot_be_read_does_not_keep_anybody_in(home: Home, runtime: str | None) -> None:
    if runtime is not None:
        home.runtime.write_text(runtime)
    run(home, code=0)


def test_a_venue_that_cannot_be_opened_from_here_is_not_called_flat(home: Home) -> None:
    home.runtime.write_text('venue = "moon"\n')
    result = CliRunner().invoke(app, ["panic", "--home", str(home.path)])
    assert result.exit_code == 3
    assert "at the venue itself" in result.stderr
    assert home.sentinel.exists()


def test_an_account_that_is_not_there_is_not_called_flat(tmp_path: Path) -> None:
    home = Home(tmp_path / "empty")
    home.create()
    run(home, code=3)
    run(Home(tmp_path / "nowhere"), code=2)


def test_a_disk_that_takes_no_sentinel_does_not_keep_anybody_in(home: Home) -> None:
    home.sentinel.mkdir()
    result = CliRunner().invoke(app, ["panic", "--home", str(home.path)])
    assert result.exit_code == 0, result.output


def test_nor_does_a_disk_that_is_full(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise LatchUnwritable("no space left on device")

    monkeypatch.setattr(KillLatch, "place_sentinel", full)
    result = CliRunner().invoke(app, ["panic", "--home", str(home.path)])
    assert result.exit_code == 0, result.output
    assert "no space left on device" in result.stderr


def test_a_disk_that_hangs_does_not_either(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    mended = threading.Event()
    monkeypatch.setattr(panic, "SENTINEL_S", 0.05)
    monkeypatch.setattr(KillLatch, "place_sentinel", lambda *_: mended.wait(30.0))
    result = CliRunner().invoke(app, ["panic", "--home", str(home.path)])
    assert result.exit_code == 0, result.output
    assert "the disk does not answer" in result.stderr
    mended.set()


# ---------------------------------------------------------------- a venue that fails


class Failing:
    """The paper account, whose named calls fail so many times before they do as they are told."""

    def __init__(self, venue: Venue, failures: dict[str, list[Exception | None]]) -> None:
        self._venue = venue
        self._failures = failures

    def __getattr__(self, name: str) -> object:
        real = getattr(self._venue, name)
        failures = self._failures.get(name)
        if failures is None:
            return real

        async def call(*given: object) -> object:
            failure = failures.pop(0) if failures else None
            if isinstance(failure, TimeoutError):
                await asyncio.Event().wait()
            if failure is not None:
                raise failure
            return await real(*given)

        return call


def close(home: Home, failures: dict[str, list[Exception | None]], limit_s: float = 60.0) -> tuple[DirectClose, list[str]]:
    async def closing() -> DirectClose:
        venue = PaperExchange.open(home.paper)
        try:
            return await panic.close_everything(Failing(venue, failures), limit_s, said.append)  # type: ignore[arg-type]
        finally:
            await venue.close()

    said: list[str] = []
    return asyncio.run(closing()), said


DOWN = VenueUnreachable("no route")


@pytest.mark.parametrize("call", ["positions", "open_orders", "place", "cancel"])
@pytest.mark.parametrize(
    "failure", [DOWN, TimeoutError(), KeyError("x"), VenueRejected("busy"), VenueRejected("nothing held", benign=True)]
)
def test_what_fails_is_done_again_until_all_is_flat(
    home: Home, call: str, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    if call in ("positions", "open_orders") and isinstance(failure, VenueRejected):
        failure = DOWN
    monkeypatch.setattr(panic, "CALL_S", 0.2)
    monkeypatch.setattr(panic, "PAUSE_S", 0.001)
    left, _ = close(home, {call: [failure] * 4})
    assert left.flat
    assert held(home)[0].positions == ()


def test_while_positions_are_unknown_stops_stay_and_openings_go(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panic, "PAUSE_S", 0.001)
    left, said = close(home, {"positions": [DOWN] * 1000}, 1.0)
    assert left.left is None
    assert not left.flat
    assert "reading positions: no route" in left.problems
    assert "cancelling GOLD: buy 10 steps" in said
    assert {order.client_id for order in held(home)[1].orders} == {"c", "d"}


def test_a_stop_stays_while_its_position_cannot_be_closed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panic, "PAUSE_S", 0.001)
    left, said = close(home, {"place": [VenueRejected("halted")] * 1000}, 1.0)
    assert left.left is not None
    assert {position.symbol for position in left.left.positions} == {"GOLD", "EURO"}
    assert {order.client_id for order in left.resting or ()} == {"c", "d"}
    assert "closing GOLD: the venue says no: halted" in left.problems
    assert "closing GOLD: the venue says no: halted" in said
    shown = list(panic._lines(left))
    assert shown[0] == "NOT FLAT:"
    assert any("position  GOLD  50 steps" in line for line in shown)
    assert any("order     GOLD  sell 50 steps" in line for line in shown)


def test_what_is_left_ends_the_command_with_1_and_what_is_unknown_with_3(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unwilling(_self: object, _order: VenueOrder) -> None:
        raise VenueRejected("halted")

    monkeypatch.setattr(PaperExchange, "place", unwilling)
    result = CliRunner().invoke(app, ["panic", "--home", str(home.path), "--seconds", "1", "--json"])
    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)
    assert (told["flat"], told["known"], len(told["positions"]), len(told["orders"])) == (False, True, 2, 2)

    async def silent(_self: object) -> None:
        raise DOWN

    monkeypatch.setattr(PaperExchange, "positions", silent)
    assert run(home, "--seconds", "1", code=3).startswith("UNKNOWN")
