"""
Thousands of intents of every kind through the gateway as it runs, while venue, disk, clock and operators misbehave.

At the end an auditor that is not the engine compares what the venue holds with permits, spent-set and ledger.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import pytest

from drillkit import Rig, drilled
from interlock.core.codes import Code, KillMode, Scope, TradingState
from interlock.core.errors import InputInvalid
from interlock.core.messages import Intent, KillReset, KillSet, LockReleased, Rebalance
from interlock.service.shell.gate import EngineAway
from interlock.service.shell.shell import Unanswered
from interlock.testing.builders import PRICES
from interlock.testing.unruly import Mischief
from traffic import Traffic

FAULT_EVERY = 20
PACE_S = 0.02
TOGETHER = 4
LONGER_MAX = 20
"""Faults last for a time, and how much is sent meanwhile depends on the machine: more is sent until enough was allowed."""

CHANCES = {
    Mischief.ANSWER_LOST: 0.01,
    Mischief.DOWN: 0.01,
    Mischief.SLOW: 0.05,
    Mischief.REPORTS_TWICE: 0.05,
    Mischief.REPORTS_SWAPPED: 0.05,
    Mischief.REPORTS_LOST: 0.02,
    Mischief.ORDERS_REJECTED: 0.01,
}
COMMANDED = tuple(m for m in Mischief if m not in (Mischief.STALE, Mischief.POSITIONS_EMPTY, Mischief.POSITIONS_WRONG))


async def venue_misbehaves(rig: Rig) -> None:
    mischief = rig.chance.choice(COMMANDED)
    rig.venue.begin(mischief)
    await asyncio.sleep(rig.chance.uniform(0.02, 0.7))
    rig.venue.end(mischief)


async def disk_fails(rig: Rig) -> None:
    rig.chance.choice((rig.disk.hang, rig.disk.fill_up))()
    await asyncio.sleep(rig.chance.uniform(0.02, 0.7))
    rig.disk.heal()


async def clock_steps(rig: Rig) -> None:
    rig.clock.step(rig.chance.choice((-3_600.0, -2.0, -0.1, 0.1, 2.0, 3_600.0)))
    await asyncio.sleep(rig.chance.uniform(0.02, 0.5))
    rig.clock.skew_ns = 0


async def somebody_kills(rig: Rig) -> None:
    """The kill switch is thrown and, after a while, reset."""
    scope, key = rig.chance.choice(((Scope.ACCOUNT, ""), (Scope.SYMBOL, "BTC"), (Scope.STRATEGY, "trend")))
    mode = rig.chance.choice((KillMode.REDUCE_ONLY, KillMode.FLATTEN, KillMode.FREEZE))
    await rig.gateway.kill(KillSet(mode, scope, key, "drill", "alice"))
    await asyncio.sleep(rig.chance.uniform(0.02, 0.3))
    await rig.gateway.reset(KillReset(scope, key, "alice"))


Fault = Callable[[Rig], Coroutine[None, None, None]]

FAULTS: dict[Fault, int] = {venue_misbehaves: 12, disk_fails: 4, somebody_kills: 3, clock_steps: 1}
"""How often each; after a step of the clock nothing opens for the ten seconds that its proof takes."""


async def operator_looks(rig: Rig) -> None:
    """What only an operator ends has been ended."""
    for lock in rig.gateway.status().locks:
        if lock.code != Code.KILL_SWITCH and lock.severity != TradingState.ACTIVE:
            with suppress(InputInvalid):
                await rig.gateway.release(LockReleased(lock.scope, lock.scope_key, lock.code, "alice", "reviewed"))


async def drive(rig: Rig, count: int, headlines: Counter[str], rebalanced: Counter[str]) -> None:
    """So many messages were sent at least, a few at once, while one thing after another went wrong."""
    rig.venue.odds = CHANCES
    traffic = iter(
        Traffic(
            rig.chance.randrange(1 << 30),
            mark=rig.prices.__getitem__,
            held=rig.held,
            now_ns=rig.clock.wall_ns,
            live=lambda: list(rig.state.permits.live),
        )
    )

    async def send() -> None:
        sent = next(traffic)
        if isinstance(sent, Intent):
            answer = await rig.gateway.submit(sent, hand_over=False)
            headlines[answer.headline] += 1
        elif isinstance(sent, Rebalance):
            rebalanced[(await rig.gateway.rebalance(sent)).headline] += 1
        else:
            p = rig.state.permits.get(sent.permit)
            with suppress(Unanswered, EngineAway):
                await rig.gateway.cancel(sent.source, p.intent_id if p is not None else "nothing")

    trouble: asyncio.Task[None] | None = None
    for number in range(LONGER_MAX * count // TOGETHER):
        if number * TOGETHER >= count and headlines[Code.ALLOWED] > count // 20 and rebalanced[Code.ALLOWED] > count // 100:
            break
        await asyncio.gather(*(send() for _ in range(TOGETHER)))
        await asyncio.sleep(PACE_S)
        if number % FAULT_EVERY == 0 and (trouble is None or trouble.done()):
            if trouble is not None:
                await trouble
                await operator_looks(rig)
            (fault,) = rig.chance.choices([*FAULTS], [*FAULTS.values()])
            trouble = asyncio.create_task(fault(rig))
    if trouble is not None:
        await trouble
    await operator_looks(rig)


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("count", "seed"),
    [
        (1_000, 1),
        pytest.param(10_000, 2, marks=pytest.mark.long),
        *(pytest.param(10_000, seed, marks=pytest.mark.soak) for seed in range(3, 6)),
    ],
)
def test_mixed_intents_with_faults_leave_nothing_for_the_auditor(count: int, seed: int, tmp_path: Path) -> None:
    headlines: Counter[str] = Counter()
    rebalanced: Counter[str] = Counter()

    async def play(rig: Rig) -> None:
        await drive(rig, count, headlines, rebalanced)

    rig = drilled(tmp_path, play, seed=seed)
    assert headlines[Code.ALLOWED] > count // 20
    assert len(headlines) > 5
    assert rebalanced[Code.ALLOWED] > count // 100
    assert {each.order.symbol for each in rig.venue.arrivals} == set(PRICES)
