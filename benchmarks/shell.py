"""
The asyncio shell against the bare gate: the same inputs through both, each before a ledger of its own, in one run.

`told` puts a thousand inputs at a time into the shell's inbox and waits until all have had their turn. `asked` does the
same with a thousand tasks, each of which waits for its answer. `bare` calls `Gate.submit`. Rounds alternate, and the best
of each is compared, in time of the one thread that steps the engine: the ledger's writer is the same in all. A third of
the inputs are intents, which are denied; nothing accumulates.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Measure
from interlock.core.engine import Engine
from interlock.core.messages import SCHEMA, EquityMarked, Heartbeat, Input
from interlock.ledger import Ledger
from interlock.service.shell.gate import Gate
from interlock.service.shell.inbox import Priority
from interlock.service.shell.shell import Shell
from interlock.testing import Bench, make_policy, open_bench

GROUP = 1_000
INPUTS = GROUP * 10
ROUNDS = 5
OVER_BARE_MAX = 1.5


class StillClock:
    """The bench's time."""

    def __init__(self, bench: Bench) -> None:
        self._clock = bench.clock

    def wall_ns(self) -> int:
        return self._clock.wall_ns

    def mono_ns(self) -> int:
        return self._clock.mono_ns


def events_of(bench: Bench) -> list[Input]:
    at_ns = bench.clock.true_ns
    kinds: tuple[Callable[[], Input], ...] = (
        lambda: bench.intent("BTC", 1, quantity=1.0, source="nobody"),
        lambda: EquityMarked(10_000.0, 10_000.0, at_ns),
        lambda: Heartbeat("exit"),
    )
    return [kinds[number % 3]() for number in range(INPUTS)]


def gate_in(stack: ExitStack, bench: Bench) -> Gate:
    """A gate that knows what the bench knows, before an empty ledger on the disk that the benchmark runs on."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
    gate = Gate(Engine(), stack.enter_context(Ledger.open(directory, account="test", schema=SCHEMA)))
    for step in bench.steps:
        gate.submit(step.input, step.at_ns, step.mono_ns)
    return gate


def bare(bench: Bench, events: list[Input]) -> float:
    """Seconds of this thread an input."""
    with ExitStack() as stack:
        gate = gate_in(stack, bench)
        start = time.thread_time()
        for first in range(0, INPUTS, GROUP):
            for event in events[first : first + GROUP]:
                gate.submit(event, bench.clock.wall_ns, bench.clock.mono_ns)
        return (time.thread_time() - start) / INPUTS


async def tell(shell: Shell, events: list[Input]) -> None:
    for event in events[:-1]:
        shell.tell(event)
    last = events[-1]
    await shell.ask(last, timeout_s=60.0)
    while any(shell.waiting(line) for line in Priority):  # noqa: ASYNC110 (the same in every round)
        await asyncio.sleep(0)


async def ask(shell: Shell, events: list[Input]) -> None:
    await asyncio.gather(*(shell.ask(event, timeout_s=60.0) for event in events))


def through(work: Callable[[Shell, list[Input]], Awaitable[None]], bench: Bench, events: list[Input]) -> float:
    """Seconds of this thread an input."""

    async def run() -> float:
        with ExitStack() as stack:
            gate = gate_in(stack, bench)
            shell = Shell(gate, StillClock(bench), publish=print, on_away=print, trouble=print)
            task = asyncio.create_task(shell.run())
            start = time.thread_time()
            for first in range(0, INPUTS, GROUP):
                await work(shell, events[first : first + GROUP])
            taken = (time.thread_time() - start) / INPUTS
            await shell.stop()
            await task
            return taken

    return asyncio.run(run())


def measures() -> Iterator[Measure]:
    bench = open_bench(policy=make_policy())
    events = events_of(bench)
    runs: tuple[Callable[[], float], ...] = (
        lambda: bare(bench, events),
        lambda: through(tell, bench, events),
        lambda: through(ask, bench, events),
    )
    rounds = [[run() for run in runs] for _ in range(ROUNDS)]
    bare_s, told_s, asked_s = (min(figures) for figures in zip(*rounds, strict=True))
    yield Measure("input told to the shell", "bare gate", told_s, bare_s, OVER_BARE_MAX)
    yield Measure("input asked of the shell", "bare gate", asked_s, bare_s)
