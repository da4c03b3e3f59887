"""
The whole gateway as it runs: from an intent to a permit, an order at the paper venue, its fill, and the durable record.

`opened` is the time until the record of the fill is on the disk, `closed` the time until an exit's fill has come back. The
same in memory (where syncing costs nothing) beside the disk that the benchmark runs on says how much of it is the disk.
Then a hundred thousand intents, one in fifty granted, say whether memory grows.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from benchmarks.measure import Measure
from interlock.adapters.paper_exchange import PaperExchange
from interlock.core.codes import PermitState
from interlock.core.messages import Intent, Quote
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
CHANGES: Final = {
    "exits.owner": "any",
    "rules.ORDER_RATE.interval": "0.001 s",
    "rules.ORDER_RATE.burst": 1000,
    "rules.RUNAWAY": "off: a benchmark runs away",
    "rules.CONSEC_LOSS": "off: every trade here loses its fees",
    "rules.ATR_SPIKE": "off: nobody tells bars here",
    "rules.GROSS_LEVERAGE": "off: nobody tells bars here",
}


@asynccontextmanager
async def gateway_in(place: Path) -> AsyncIterator[Gateway]:
    """A gateway of a new home, on a paper venue that answers at once, reconciled and with prices."""
    home, now_ns = Home(place / "home"), time.time_ns()
    write_home(home, Choices(), datetime.now(UTC))
    write_private(home.policy, make_policy(at_ns=now_ns, symbols=("BTC",), changes=CHANGES).to_json().encode())
    account = place / "paper.sqlite"
    instruments = [make_instrument("BTC")]
    PaperExchange.create(account, account="main", balance=1e6, currency="USDT", instruments=instruments, fee_bps=0.1)
    venue = PaperExchange.open(account)
    await venue.feed(quotes())
    market = asyncio.create_task(feed(venue))
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


async def feed(venue: PaperExchange) -> None:
    while True:
        await asyncio.sleep(0.1)
        await venue.feed(quotes())


def quotes() -> tuple[Quote, ...]:
    return (Quote("BTC", MARK - 0.01, MARK + 0.01, MARK, time.time_ns()),)


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


def run(place: Path, act: Callable[[Gateway], Awaitable[T]]) -> T:
    async def play() -> T:
        with tempfile.TemporaryDirectory(dir=place) as name:
            async with gateway_in(Path(name)) as gateway:
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
    before, after = run(memory, flood)
    yield Measure("memory after 100 000 intents", "after 60 000", after, before, GROWTH_MAX, "MB")
