"""The life of a permit in the engine is the one of the table, told in every state every result there is."""

from typing import Final

import pytest

from interlock.core import snapshot
from interlock.core.codes import KillMode, PermitState, Scope
from interlock.core.engine import Engine
from interlock.core.messages import Cancel, Executed, FenceRaised, KillSet, PermitIssued, Spent
from interlock.core.permit import ENDED, IN_FLIGHT, TRANSITIONS
from interlock.core.state import PermitRow
from interlock.testing import Bench, make_policy, open_bench

STEPS: Final = 40_000
LIVE: Final = (PermitState.SPENT, PermitState.WORKING, PermitState.PARTIAL, PermitState.UNKNOWN)
UNSPENT: Final = (PermitState.EXPIRED, PermitState.REVOKED)


def reached(state: PermitState) -> tuple[Bench, int]:
    """An opening permit for four ETH that has come to that state, a quarter of it filled where it is partial."""
    bench = open_bench(policy=make_policy("layered@1"))
    step = bench.send(bench.intent("ETH", 1, quantity=4.0, limit_price=50.0))
    number = next(each.id for each in step.outputs if isinstance(each, PermitIssued))
    if state == PermitState.EXPIRED:
        bench.clock.advance(11)
        bench.refresh()
    elif state == PermitState.REVOKED:
        bench.send(Cancel("c", "operator", number))
    elif state != PermitState.ISSUED:
        bench.send(Spent(number, 1))
    if state in LIVE[1:] or state in (PermitState.FILLED, PermitState.CANCELLED, PermitState.REJECTED):
        filled = {PermitState.PARTIAL: STEPS // 4, PermitState.FILLED: STEPS}.get(state, 0)
        bench.result(number, state, filled)
    assert row_of(bench.engine, number).state == state
    return bench, number


def row_of(engine: Engine, number: int) -> PermitRow:
    row = engine.state.permits.get(number)
    assert row is not None
    return row


def told(bench: Bench, number: int, result: PermitState, filled: int) -> PermitRow:
    """The permit after the result, in an engine of its own; what is reserved is what can still fill."""
    engine = Engine(snapshot.decode(snapshot.encode(bench.engine.state)))
    at_ns = bench.clock.true_ns
    engine.step(Executed(number, result, filled, filled * 0.005, 0.0, at_ns), at_ns)
    p = row_of(engine, number)
    r = engine.state.symbols[p.symbol]
    assert p.ended == (p.state in ENDED)
    assert (r.position, r.pending_buy) == (p.filled, 0 if p.ended else STEPS - p.filled)
    assert r.issued == r.settled + r.released + r.pending_buy
    assert engine.state.account.unknown_permits == (p.state == PermitState.UNKNOWN)
    return p


@pytest.mark.parametrize("state", LIVE)
def test_an_order_at_the_venue_goes_exactly_where_the_table_says(state: PermitState) -> None:
    bench, number = reached(state)
    done = row_of(bench.engine, number).filled
    after = {told(bench, number, each, filled).state for each in PermitState for filled in (done, STEPS // 2, STEPS)}
    assert after == TRANSITIONS[state] | {state}


def test_a_result_tells_that_the_permit_was_used() -> None:
    bench, number = reached(PermitState.ISSUED)
    used = {told(bench, number, each, filled).state for each in PermitState for filled in (0, STEPS // 2, STEPS)}
    assert used == TRANSITIONS[PermitState.SPENT] | {PermitState.SPENT}


@pytest.mark.parametrize("claim", [PermitState.ISSUED, PermitState.EXPIRED, PermitState.REVOKED])
def test_no_result_makes_an_order_at_the_venue_look_unused(claim: PermitState) -> None:
    """What looks unused may be revoked or run out of time, and would be reserved no longer while it can still fill."""
    bench, number = reached(PermitState.WORKING)
    bench.send(Executed(number, claim, 0, 0.0, 0.0, bench.clock.true_ns))
    expected = PermitState.WORKING if claim == PermitState.ISSUED else PermitState.CANCELLED
    assert row_of(bench.engine, number).state == expected


def test_an_order_that_is_filled_with_nothing_stays_as_it_was() -> None:
    bench, number = reached(PermitState.SPENT)
    p = told(bench, number, PermitState.FILLED, 0)
    assert (p.state, p.filled, p.pending) == (PermitState.SPENT, 0, STEPS)


@pytest.mark.parametrize("state", [PermitState.CANCELLED, PermitState.REJECTED])
@pytest.mark.parametrize("result", PermitState)
def test_what_filled_before_an_end_counts_and_the_end_stands(state: PermitState, result: PermitState) -> None:
    bench, number = reached(state)
    assert told(bench, number, result, 0).state == state
    late = told(bench, number, result, STEPS // 2)
    assert (late.state, late.filled) == (state, STEPS // 2)
    assert told(bench, number, result, STEPS).state == PermitState.FILLED


@pytest.mark.parametrize("result", PermitState)
def test_a_full_fill_is_final(result: PermitState) -> None:
    bench, number = reached(PermitState.FILLED)
    assert told(bench, number, result, STEPS).state == PermitState.FILLED


@pytest.mark.parametrize("state", UNSPENT)
def test_a_permit_that_was_used_all_the_same_is_alive_again(state: PermitState) -> None:
    bench, number = reached(state)
    for result in IN_FLIGHT:
        assert told(bench, number, result, 0).state == result
    for result in (PermitState.CANCELLED, PermitState.REJECTED):
        assert told(bench, number, result, 0).state == state
        assert told(bench, number, result, STEPS // 2).state == result
    assert told(bench, number, PermitState.FILLED, STEPS).state == PermitState.FILLED


def test_an_end_that_the_table_does_not_have_is_a_cancellation() -> None:
    bench, number = reached(PermitState.PARTIAL)
    done = row_of(bench.engine, number).filled
    assert told(bench, number, PermitState.REJECTED, done).state == PermitState.CANCELLED


def test_a_fence_revokes_what_is_unused_and_cancels_what_may_be_at_the_venue() -> None:
    for state in (PermitState.ISSUED, *LIVE):
        bench, number = reached(state)
        outputs = bench.send(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "drill", "alice")).outputs
        assert any(isinstance(each, FenceRaised) for each in outputs)
        p = row_of(bench.engine, number)
        assert p.state == PermitState.REVOKED if state == PermitState.ISSUED else p.cancelling
