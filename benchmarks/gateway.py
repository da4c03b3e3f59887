"""
The whole gateway as it runs: from an intent to a permit, an order at the paper venue, its fill, and the durable record.

`opened` is the time until the record of the fill is on the disk, `closed` the time until an exit's fill has come back. The
same in memory (where syncing costs nothing) beside the disk that the benchmark runs on says how much of it is the disk.
A rebalance into five hundred symbols is filled within the life of its permits. Then a hundred thousand intents, one in
fifty granted, say whether memory grows.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from benchmarks.measure import Measure
from interlock.adapters.paper_exchange import PaperExchange
from interlock.core.codes import Action, Code, Partial, PermitState
from interlock.core.messages import Instruction, Intent, Quote, Rebalance
from interlock.service.app import Setting, running
from interlock.service.execution.budget import RateLimits
from interlock.service.gateway import Gateway
from interlock.service.home.home import Home
from interlock.service.home.starter import Choices, write_home
from interlock.service.private import write_private
from interlock.service.shell.shell import Shell
from interlock.testing import make_instrument, make_policy

T = TypeVar("T")

TRADES: Final = 300
INTENTS: Final = 100_000
TOGETHER: Final = 100
ONE_IN: Final = 50
LOOK_S: Final = 0.0001
MARK: Final = 100.0
MEMORY: Final = Path("/dev/shm")
GROWTH_MAX: Final = 1.05
MANY: Final = 500
NAMES: Final = ("BTC", *(f"S{number}" for number in range(1, MANY)))
PERMIT_S: Final = 10.0
CHANGES: Final = {
    "exits.owner": "any",
    "rules.ORDER_RATE.interval": "0.001 s",
    "rules.ORDER_RATE.burst": 1000,
    "rules.RUNAWAY": "off: a benchmark runs away",
    "rules.CONSEC_LOSS": "off: every trade here loses its fees",
    "rules.ATR_SPIKE": "off: nobody tells bars here",
    "rules.GROSS_LEVERAGE": "off: nobody tells bars here",
    "rules.CONCURRENT_POSITIONS": "off: a rebalance holds hundreds",
}


@asynccontextmanager
async def gateway_in(place: Path, symbols: Sequence[str]) -> AsyncIterator[Gateway]:
    """A gateway of a new home, on a paper venue that answers at once, reconciled and with prices."""
    home, now_ns = Home(place / "home"), time.time_ns()
    write_home(home, Choices(), datetime.now(UTC))
    write_private(home.policy, make_policy(at_ns=now_ns, symbols=symbols, changes=CHANGES).to_json().encode())
    account = place / "paper.sqlite"
    instruments = [make_instrument(symbol) for symbol in symbols]
    PaperExchange.create(account, account="main", balance=1e6, currency="USDT", instruments=instruments, fee_bps=0.1)
    venue = PaperExchange.open(account)
    await venue.feed(quotes(symbols))
    market = asyncio.create_task(feed(venue, symbols))
    try:
        setting = replace(Setting.usual(), rates=RateLimits(10**9, 10**9, 10**9), environ={})
        async with running(home, venue, setting) as gateway:
            while not (await gateway.submit(intent("first", 1), hand_over=False)).allowed:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # until prices have been heard
            await is_filled(gateway)
            yield gateway
    finally:
        market.cancel()
        await asyncio.wait([market])
        await venue.close()


async def feed(venue: PaperExchange, symbols: Sequence[str]) -> None:
    while True:
        await asyncio.sleep(0.1)
        await venue.feed(quotes(symbols))


def quotes(symbols: Sequence[str]) -> tuple[Quote, ...]:
    return tuple(Quote(symbol, MARK - 0.01, MARK + 0.01, MARK, time.time_ns()) for symbol in symbols)


def intent(name: str, side: int, source: str = "bot", quantity: float = 1.0, stop: float = 0.95) -> Intent:
    now_ns = time.time_ns()
    stop_price = float("nan") if side < 0 else MARK * stop
    return Intent(
        name, source, "trend", "BTC", side, quantity, stop_price=stop_price, reduce_only=side < 0, created_at_ns=now_ns
    )


def shell_of(gateway: Gateway) -> Shell:
    return gateway._shell  # noqa: SLF001 (nobody else looks at states of permits)


async def is_filled(gateway: Gateway) -> None:
    """No order is under way."""
    moving = (PermitState.ISSUED, PermitState.SPENT)
    state = shell_of(gateway).state
    while any(p.state in moving for p in state.permits.live.values()):  # noqa: ASYNC110 (a tenth of a millisecond)
        await asyncio.sleep(LOOK_S)


async def is_durable(gateway: Gateway) -> None:
    """Everything that was decided is on the disk."""
    shell = shell_of(gateway)
    seq = shell.state.account.seq
    while gateway.status().ledger_durable_seq < seq:  # noqa: ASYNC110 (as above)
        await asyncio.sleep(LOOK_S)


async def trade(gateway: Gateway) -> tuple[list[float], list[float]]:
    """Seconds of each opening until its fill is durable, and of each close until its fill has come back."""
    opened, closed = [], []
    for number in range(TRADES):
        start = time.perf_counter()
        answer = await gateway.submit(intent(f"open-{number}", 1), hand_over=False)
        assert answer.allowed, answer.headline
        await is_filled(gateway)
        await is_durable(gateway)
        opened.append(time.perf_counter() - start)
        start = time.perf_counter()
        answer = await gateway.submit(intent(f"close-{number}", -1, "operator"), hand_over=False)
        assert answer.allowed, answer.headline
        await is_filled(gateway)
        closed.append(time.perf_counter() - start)
    return sorted(opened), sorted(closed)


async def turn_over(gateway: Gateway) -> float:
    """Seconds until a rebalance into every symbol is held, whole."""
    start = time.perf_counter()
    wanted = tuple(Instruction(name, Action.SCALE, 0.5 / MANY, sl_price=MARK * 0.95) for name in NAMES)
    answer = await gateway.rebalance(Rebalance("all", "bot", "trend", wanted, Partial.SCALE, time.time_ns()))
    assert {each.headline for each in answer.answers} == {Code.ALLOWED}
    await is_filled(gateway)
    taken_s = time.perf_counter() - start
    held = [row.position for row in shell_of(gateway).state.symbols if row.position != 0]
    assert len(held) == MANY, f"{MANY - len(held)} of {MANY} were not filled while their permits lived"
    return taken_s


async def flood(gateway: Gateway) -> tuple[float, float]:
    """Resident megabytes when every window is full, and after all the intents."""
    before = 0.0
    for first in range(0, INTENTS, TOGETHER):
        asked = []
        for number in range(first, first + TOGETHER):
            denied = number % ONE_IN
            asked.append(gateway.submit(intent(f"flood-{number}", 1, "nobody" if denied else "bot", 0.1), hand_over=False))
        await asyncio.gather(*asked)
        await is_filled(gateway)
        await gateway.submit(intent(f"less-{first}", -1, "operator", quantity=TOGETHER * 0.1 / ONE_IN), hand_over=False)
        await is_filled(gateway)
        if first == INTENTS * 6 // 10:
            before = resident_mb()
    return before, resident_mb()


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(place: Path, act: Callable[[Gateway], Awaitable[T]], symbols: Sequence[str] = ("BTC",)) -> T:
    async def play() -> T:
        with tempfile.TemporaryDirectory(dir=place) as name:
            async with gateway_in(Path(name), symbols) as gateway:
                return await act(gateway)

    return asyncio.run(play())


def measures() -> Iterator[Measure]:
    memory = MEMORY if MEMORY.is_dir() else Path.cwd()
    on_disk, closed = run(Path.cwd(), trade)
    in_memory, closed_in_memory = run(memory, trade)
    p99 = int(TRADES * 0.99)
    yield Measure("intent to durable fill, p50", "the same in memory", median(on_disk), median(in_memory))
    yield Measure("intent to durable fill, p99", "p50", on_disk[p99], median(on_disk))
    yield Measure("syncing, of an intent to durable fill", "p50", median(on_disk) - median(in_memory), median(on_disk))
    yield Measure("exit to its fill, p50", "the same in memory", median(closed), median(closed_in_memory))
    yield Measure("exit to its fill, p99", "p50", closed[p99], median(closed))
    turned_s = run(Path.cwd(), turn_over, NAMES)
    yield Measure(f"rebalance of {MANY}, filled", f"a permit's life of {PERMIT_S:g} s", turned_s, PERMIT_S, 1.0)
    before, after = run(memory, flood)
    yield Measure("memory after 100 000 intents", "after 60 000", after, before, GROWTH_MAX, "MB")
