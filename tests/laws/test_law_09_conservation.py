"""
Law 9, conservation: in whole steps of the venue, reserved + settled + released = issued, always.

Results come in any order, any number of times, late, of orders believed over, with any amounts.
"""

from dataclasses import dataclass
from math import nan
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drillkit import Rig, drilled
from interlock.core import fills, snapshot
from interlock.core.codes import KillMode, PermitState, Scope
from interlock.core.messages import Executed, Input, KillReset, KillSet, OrderAt, OrdersReported, Spent, Tick
from interlock.core.state import is_stop
from interlock.testing import Bench
from interlock.testing.builders import PRICES
from interlock.testing.laws import Look, steps_are_conserved
from interlock.testing.unruly import Mischief
from lawkit import bench_under, permits

RESULTS = tuple(state for state in PermitState if state not in (PermitState.ISSUED, PermitState.SPENT))


@dataclass(frozen=True)
class Happening:
    """One thing that happens to one of the orders."""

    kind: str
    order: int
    state: PermitState
    filled: int
    value: float
    passed_s: float


HAPPENINGS = st.lists(
    st.builds(
        Happening,
        st.sampled_from(("open", "open", "close", "spend", "result", "result", "result", "found", "tick", "kill")),
        st.integers(0, 5),
        st.sampled_from(RESULTS),
        st.integers(0, 12_000),
        st.sampled_from((nan, 0.0, 100.0)),
        st.sampled_from((0.0, 1.0, 61.0)),
    ),
    max_size=30,
)


def unbalanced(story: list[Happening]) -> str:
    """What is not conserved after some step of the story, or nothing."""
    bench = bench_under()
    for happening in story:
        bench.clock.advance(happening.passed_s)
        event = event_of(bench, happening)
        if event is None:
            continue
        before = snapshot.encode(bench.engine.state)
        step = bench.send(event)
        assert type(step.input) is type(event)
        look = Look(before, before, step.outputs, step, bench.engine.state, (), 0, 0.0, {}, {})
        if problem := steps_are_conserved(look):
            return problem
        bench.refresh()
    return ""


def event_of(bench: Bench, happening: Happening) -> Input | None:
    issued = list(bench.permits.values())
    if happening.kind == "open":
        return bench.intent("BTC", 1 if happening.order % 2 else -1, quantity=1.0)
    if happening.kind == "close":
        return bench.intent("BTC", -1, quantity=2.0, source="operator", reduce_only=True)
    if happening.kind == "tick":
        return Tick()
    if happening.kind == "kill":
        return (
            KillReset(Scope.ACCOUNT, "", "a") if happening.order else KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "", "a")
        )
    if not issued:
        return None
    permit = issued[happening.order % len(issued)]
    if happening.kind == "spend":
        return Spent(permit.id, permit.epoch)
    if happening.kind == "found":
        order = OrderAt(permit.id, "BTC", permit.side, permit.steps, 0, permit.reduce_only)
        return OrdersReported((order,), bench.clock.true_ns)
    return Executed(permit.id, happening.state, happening.filled, happening.value, 0.1, bench.clock.true_ns)


@settings(max_examples=60)
@given(story=HAPPENINGS)
def test_every_step_is_accounted_for(story: list[Happening]) -> None:
    assert unbalanced(story) == ""


def test_the_reservation_comes_back_to_nothing() -> None:
    bench = bench_under()
    (permit,) = permits(bench.send(bench.intent("BTC", 1, quantity=1.0)))
    bench.send(Executed(permit.id, PermitState.CANCELLED, 3_333, 33.33, 0.0, bench.clock.true_ns))
    a, r = bench.engine.state.account, bench.engine.state.symbols[bench.engine.state.names.symbol_index["BTC"]]
    assert (r.issued, r.settled, r.released) == (10_000, 3_333, 6_667)
    assert (a.pending_buy_reserved, a.pending_margin, a.pending_risk, r.pending_buy) == (0, 0, 0, 0)


def test_control_an_end_that_forgets_to_release_is_found_out() -> None:
    story = [
        Happening("open", 1, PermitState.FILLED, 0, nan, 0.0),
        Happening("result", 0, PermitState.CANCELLED, 10, 1.0, 0.0),
    ]
    assert unbalanced(story) == ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fills, "release", lambda *_: None)
        assert "pending" in unbalanced(story)


# ---------------------------------------------------------------- the gateway as it runs


def test_after_faults_every_step_that_was_issued_is_settled_or_released(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        for mischief in (Mischief.ANSWER_LOST, Mischief.PARTIAL_THEN_SILENT, Mischief.ORDERS_REJECTED, Mischief.DOWN):
            rig.venue.begin(mischief)
            await rig.gateway.submit(rig.intent("BTC", 1, notional=500.0), hand_over=False)
            await rig.gateway.submit(rig.closing("BTC"), hand_over=False)
            rig.venue.end()
        await rig.rest()
        for symbol in PRICES:
            r = rig.row(symbol)
            assert all(is_stop(p) for p in rig.permits(symbol))
            assert r.issued == r.settled + r.released
            assert r.pending_buy_reserved == r.pending_sell_reserved == 0

    drilled(tmp_path, play)
