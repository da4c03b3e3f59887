"""A shell that runs: the real gate and ledger on a disk that does as it is told, and everything that left it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from interlock.core.engine import Engine
from interlock.core.messages import SCHEMA, Input, MarketBatch, Output, PermitIssued, Step, Tick
from interlock.ledger import Ledger, LedgerError
from interlock.service.shell.gate import Gate, Handed
from interlock.service.shell.inbox import Inbox
from interlock.service.shell.shell import Shell
from interlock.testing import Bench
from interlock.testing.clock import FakeClock
from interlock.testing.disk import Disk
from lawkit import bench_under, hold

T = TypeVar("T")
PATIENCE_S = 60.0


class Hands:
    """The bench's clock as a shell reads it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def wall_ns(self) -> int:
        return self.clock.wall_ns

    def mono_ns(self) -> int:
        return self.clock.mono_ns


@dataclass
class Rig:
    """A running shell and what it said to the world."""

    shell: Shell
    gate: Gate
    disk: Disk
    bench: Bench
    task: asyncio.Task[None]
    published: list[Output]
    aways: list[str]
    troubles: list[str]
    steps: list[Step] = field(default_factory=list)
    paused: bool = False
    """Whether the shell makes no steps, as if it were busy elsewhere."""

    @property
    def permits(self) -> list[PermitIssued]:
        """The permits that have left."""
        return [each for each in self.published if isinstance(each, PermitIssued)]

    def inputs(self, *, told: bool = False) -> list[Input]:
        """What the engine has taken since the start, without the passing of time (and prices, unless asked for)."""
        quiet: tuple[type, ...] = (Tick,) if told else (Tick, MarketBatch)
        return [step.input for step in self.steps if not isinstance(step.input, quiet)]

    def close(self, **changes: Any) -> Input:
        """An exit of the held position."""
        return self.bench.intent("BTC", -1, quantity=1.0, source="exit", reduce_only=True, **changes)

    def open(self, symbol: str = "BTC", **changes: Any) -> Input:
        """A wish to open."""
        return self.bench.intent(symbol, 1, quantity=1.0, **changes)


def held_bench() -> Bench:
    """A healthy engine under every rule that holds a position."""
    bench = bench_under()
    hold(bench)
    return bench


async def until(condition: Callable[[], object]) -> None:
    """The condition has come true."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 (any condition, of any object)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(place: Path, bench: Bench, *, inbox: Inbox | None = None, **options: Any) -> AsyncIterator[Rig]:
    """A shell whose ledger holds the bench's record; it is ended, if nobody stopped it, when the test is over."""
    disk = Disk()
    ledger = Ledger.open(place / "ledger", account="test", schema=SCHEMA, disk=disk.writer, **options)
    gate = Gate(Engine(), ledger)
    for step in bench.steps:
        gate.submit(step.input, step.at_ns, step.mono_ns)
    assert ledger.wait(gate.engine.state.account.seq, PATIENCE_S)
    gate.due()
    published: list[Output] = []
    aways: list[str] = []
    troubles: list[str] = []
    shell = Shell(
        gate, Hands(bench.clock), publish=published.append, on_away=aways.append, trouble=troubles.append, inbox=inbox
    )
    task = asyncio.create_task(shell.run())
    rig = Rig(shell, gate, disk, bench, task, published, aways, troubles)
    carry_out, turn = shell._carry_out, shell._turn

    def noted(handed: Handed, keeps: Any = lambda _: False) -> None:
        rig.steps.append(handed.step)
        carry_out(handed, keeps)

    def turns() -> None:
        if not rig.paused:
            turn()

    shell._carry_out, shell._turn = noted, turns  # type: ignore[method-assign]
    await asyncio.sleep(0)
    try:
        yield rig
    finally:
        disk.die()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        with suppress(LedgerError):
            ledger.close()


def go(story: Coroutine[Any, Any, T]) -> T:
    """The story has been played."""
    return asyncio.run(story)
