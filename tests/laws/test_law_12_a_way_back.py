"""
Law 12, a way back: from every flat state, with time and marks but without a trade, opening becomes possible again.

Or the reason says that an operator is needed: a lock until OPERATOR. No guard feeds on its own denial.
"""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interlock.core.codes import Code, KillMode, PermitState, Scope
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.messages import (
    CashFlow,
    Decision,
    EquityMarked,
    Intent,
    KillSet,
    LockSet,
    MarketBatch,
    PositionAt,
    PositionsReported,
    Quarantined,
    Quote,
    Tick,
    VenueError,
)
from interlock.testing import Bench
from lawkit import bench_under, decision, limits_of_everything, permits

DAYS_MAX: Final = 9
"""A week's limit is over when the next week has opened."""


def round_trip(bench: Bench, price: float) -> None:
    """A trade of 20 BTC opened at 100 and closed at `price`, if anything may open."""
    bench.mark("BTC", 100.0)
    bench.refresh()
    for permit in permits(bench.send(bench.intent("BTC", 1, quantity=20.0))):
        bench.fill(permit.id)
        bench.refresh()
        bench.mark("BTC", price)
        close = bench.send(bench.intent("BTC", -1, quantity=20.0, source="operator", reduce_only=True))
        bench.fill(permits(close)[0].id, price=price)
        bench.refresh()


def small_loss(bench: Bench) -> None:
    round_trip(bench, 99.0)


def day_loss(bench: Bench) -> None:
    round_trip(bench, 94.0)


def loss_at_stop(bench: Bench) -> None:
    round_trip(bench, 92.0)


def errors(bench: Bench) -> None:
    for _ in range(4):
        bench.send(VenueError("timeout"))


def rejections(bench: Bench) -> None:
    for _ in range(3):
        for permit in permits(bench.send(bench.intent("BTC", 1, quantity=1.0))):
            bench.result(permit.id, PermitState.REJECTED)


def runaway(bench: Bench) -> None:
    for _ in range(4):
        round_trip(bench, 100.0)


def stale(bench: Bench) -> None:
    bench.clock.advance(5_000.0)
    bench.send(Tick())


def clock_step(bench: Bench) -> None:
    bench.clock.jump(5.0)
    bench.send(Tick())


def bad_marks(bench: Bench) -> None:
    bench.send(MarketBatch((Quote("BTC", 999.0, 1001.0, 1000.0, bench.clock.true_ns),)))


def bad_equity(bench: Bench) -> None:
    bench.send(EquityMarked(0.0, 0.0, bench.clock.true_ns))


def unreadable_flow(bench: Bench) -> None:
    bench.send(Quarantined("CashFlow", "", b""))


def unreadable_result(bench: Bench) -> None:
    bench.send(Quarantined("Executed", "", b"", "BTC"))


def deposit(bench: Bench) -> None:
    bench.book.balance += 1_000.0
    bench.send(CashFlow("deposit", 1_000.0))


def lock_for_an_hour(bench: Bench) -> None:
    bench.send(LockSet(Scope.ACCOUNT, "", 0, bench.clock.wall_ns + 3_600 * NS_PER_S, "lunch", "alice"))


def kill(bench: Bench) -> None:
    bench.send(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", "alice"))


def wrong_report(bench: Bench) -> None:

    for _ in range(2):
        bench.clock.advance(1.0)
        bench.send(PositionsReported((PositionAt("BTC", 5, 100.0),), bench.clock.true_ns))


def denials(bench: Bench) -> None:
    for _ in range(6):
        bench.send(bench.intent("BTC", 1, quantity=900.0))


TROUBLE: Final[tuple[Callable[[Bench], None], ...]] = (
    small_loss,
    day_loss,
    loss_at_stop,
    errors,
    rejections,
    runaway,
    stale,
    clock_step,
    bad_marks,
    bad_equity,
    unreadable_flow,
    unreadable_result,
    deposit,
    lock_for_an_hour,
    kill,
    wrong_report,
    denials,
)


def hours_pass(bench: Bench) -> None:
    """Six hours without a trade, with feeds alive at the end of each and at every boundary, and a policy that is valid."""
    for _ in range(2):
        bench.pass_until(bench.clock.true_ns + 3 * 3_600 * NS_PER_S)
        bench.clock.advance(15.0)
        bench.refresh()


def fresh_intent(bench: Bench) -> Intent:
    return bench.intent("BTC", 1, quantity=1.0)


def way_back(bench: Bench) -> str:
    """How opening becomes possible: "open" by itself, "operator" where the reason says so, else the last reason."""
    bench.clock.skew_ns = 0
    last: Decision | None = None
    for _ in range(4 * DAYS_MAX):
        last = decision(bench.send(fresh_intent(bench)))
        if last.granted_steps:
            return "open"
        if last.lock_until_ns == OPERATOR_NS:
            return "operator"
        hours_pass(bench)
    return f"never: {last}"


@settings(max_examples=40)
@example(trouble=[unreadable_flow, deposit, bad_equity], rebase=0.0)
@given(trouble=st.lists(st.sampled_from(TROUBLE), min_size=1, max_size=6), rebase=st.sampled_from((0.0, 1.0)))
def test_opening_becomes_possible_again(trouble: list[Callable[[Bench], None]], rebase: float) -> None:
    bench = bench_under(limits_of_everything(drawdown_rebase=rebase, order_interval_s=0.01))
    for happens in trouble:
        bench.clock.advance(1.0)
        happens(bench)
    assert way_back(bench) in ("open", "operator")


@pytest.mark.parametrize(
    "happens", [small_loss, stale, clock_step, bad_marks, bad_equity, lock_for_an_hour, denials, errors]
)
def test_what_time_heals_needs_no_operator(happens: Callable[[Bench], None]) -> None:
    bench = bench_under()
    happens(bench)
    assert way_back(bench) == "open"


def test_three_losses_lock_and_the_streak_starts_over() -> None:
    bench = bench_under(limits_of_everything(order_interval_s=0.01, day_loss_frac_max=0.2, runaway_count_max=30.0))
    for _ in range(3):
        bench.clock.advance(70.0)
        bench.refresh()
        round_trip(bench, 99.0)
    refused = decision(bench.send(fresh_intent(bench)))
    assert refused.headline == Code.TRADING_REDUCING
    assert refused.lock in ("CONSEC_LOSS", "CONSEC_LOSS_BREAKER")


def test_control_a_streak_that_only_a_win_ends_is_found_out() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.core.apply.reset_counter", lambda *_: None)
        bench = bench_under(
            limits_of_everything(
                order_interval_s=0.01,
                day_loss_frac_max=0.2,
                runaway_count_max=30.0,
                consec_loss_breaker_count_max=30.0,
                consec_loss_lock_s=6.5 * 3_600.0,
            )
        )
        for _ in range(3):
            bench.clock.advance(70.0)
            bench.refresh()
            round_trip(bench, 99.0)
        assert way_back(bench).startswith("never")
