"""Thousands of intents in the line: exits and operators wait for one step at most, and memory does not grow."""

import asyncio
import gc
import random
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from interlock.core.codes import KillMode, PermitState, Scope
from interlock.core.messages import EquityMarked, Executed, Heartbeat, Input, KillSet, Quote, Tick
from interlock.service.shell.inbox import Inbox, Priority
from shellkit import Rig, go, held_bench, running, until

FLOOD: Final = 10_000
STEPS_BEFORE_WHAT_IS_URGENT: Final = 1
WINDOW: Final = 300
"""Intents and ended permits that are remembered: small, so that the windows are full before memory is looked at."""
GROWTH_BYTES_MAX: Final = 200_000
KILL = KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", "alice")


def flood(rig: Rig) -> None:
    for _ in range(FLOOD):
        rig.shell.tell(rig.open("ETH", source="nobody"))


async def steps_before(rig: Rig, event: Input) -> int:
    """How many steps are made between the arrival of an input and its own."""
    before = len(rig.steps)
    await rig.shell.ask(event)
    return next(number for number, step in enumerate(rig.steps[before:]) if step.input is event)


def test_urgent_inputs_wait_for_one_step_at_most(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            flood(rig)
            chance = random.Random(1)
            for make in (rig.close, lambda: KILL, rig.close, lambda: Heartbeat("x")) * 5:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                event = make()
                waited = await steps_before(rig, event)
                if not isinstance(event, Heartbeat):
                    assert waited <= STEPS_BEFORE_WHAT_IS_URGENT
            assert rig.shell.waiting(Priority.OTHER) > FLOOD // 2

    go(story())


def test_a_use_of_a_permit_waits_for_no_step_at_all(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            flood(rig)
            (permit,) = (await rig.shell.ask(rig.close())).permits
            before = len(rig.steps)
            assert rig.shell.authorize(permit) is rig.steps[before]

    go(story())


def test_time_and_prices_go_on_during_a_flood(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            flood(rig)
            for number in range(5):
                rig.bench.clock.advance(1.0)
                at_ns = rig.bench.clock.true_ns
                rig.shell.quotes([Quote("BTC", 99.9, 100.1, 100.0 + number / 100, at_ns)])
                await until(lambda at_ns=at_ns: rig.shell.state.symbols[0].mark_at_ns == at_ns)  # type: ignore[misc]
            assert sum(isinstance(step.input, Tick) for step in rig.steps) == 5
            assert rig.shell.waiting(Priority.OTHER) > 0

    go(story())


def test_an_exit_storm_is_answered_to_everybody(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench(), inbox=Inbox(reducing_max=10)) as rig:
            rig.paused = True
            asking = [asyncio.create_task(rig.shell.ask(rig.close())) for _ in range(500)]
            await asyncio.sleep(0)
            assert rig.shell.waiting(Priority.REDUCING) == 10
            rig.paused = False
            handed = await asyncio.gather(*asking)
            assert len(handed) == 500
            assert len(rig.permits) == 5

    go(story())


def test_control_a_line_without_priorities_is_found_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            flood(rig)
            await until(lambda: rig.steps)
            event, before = rig.close(), len(rig.steps)
            rig.shell.tell(event, Priority.OTHER)
            await until(lambda: len(rig.steps) > before + STEPS_BEFORE_WHAT_IS_URGENT)
            assert not any(step.input is event for step in rig.steps)

    go(story())


async def one(rig: Rig, number: int) -> None:
    """One of a mix of inputs, most of them intents."""
    rig.bench.clock.advance(0.01)
    at_ns = rig.bench.clock.true_ns
    kind = number % 5
    if kind == 0:
        rig.shell.quotes([Quote(symbol, 99.9, 100.1, 100.0, at_ns) for symbol in ("BTC", "ETH", "SOL", "NOPE")])
    elif kind == 1:
        rig.shell.tell(EquityMarked(10_000.0, 10_000.0, at_ns))
    elif kind == 2:
        for permit in (await rig.shell.ask(rig.close())).permits:
            rig.shell.authorize(permit)
            rig.shell.tell(Executed(permit.id, PermitState.CANCELLED, 0, 0.0, 0.0, at_ns))
    elif kind == 3:
        await rig.shell.ask(rig.open("ETH", source="nobody"))
    else:
        rig.shell.tell(rig.open("ETH", source="nobody"))


async def fed(rig: Rig, numbers: range) -> None:
    """So many inputs were told, and nothing waits any more."""
    for number in numbers:
        await one(rig, number)
        rig.steps.clear()
        rig.published.clear()
    await until(lambda: not any(map(rig.shell.waiting, Priority)))
    await until(lambda: rig.gate.ledger.durable_seq == rig.gate.ledger.last_seq)
    rig.gate.due()
    rig.steps.clear()
    rig.published.clear()


def held() -> int:
    """Bytes that are held, of those allocated since tracing began."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def least_held() -> int:
    """The same without what the ledger's thread has written and not let go of yet."""
    readings = [held()]
    for _ in range(50):
        await asyncio.sleep(0.01)
        readings.append(tracemalloc.get_traced_memory()[0])
    return min(*readings, held())


@pytest.mark.parametrize("inputs", [4_000, pytest.param(100_000, marks=pytest.mark.soak)])
@pytest.mark.timeout(3_600)
def test_memory_is_flat(inputs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.core.state.INTENT_WINDOW", WINDOW)
    monkeypatch.setattr("interlock.core.state.PERMIT_WINDOW", WINDOW)

    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            await fed(rig, range(inputs // 4))
            tracemalloc.start()
            try:
                await fed(rig, range(inputs // 4, inputs // 2))
                half = await least_held()
                await fed(rig, range(inputs // 2, inputs))
                assert await least_held() - half < GROWTH_BYTES_MAX
            finally:
                tracemalloc.stop()

    go(story())
