"""How close each trigger is to firing: by what fires it, in the place that is closest, until it has fired."""

from math import inf, isnan
from typing import Any

import pytest

from interlock.core.codes import Code, PermitState
from interlock.core.constants import OPERATOR_NS
from interlock.core.firing import UNMEASURED, Firing, firings
from interlock.core.limits import Limits, is_on
from interlock.core.messages import PositionAt, PositionsReported, Tick, VenueError
from interlock.core.reasons import TRIGGERS
from interlock.testing import Bench, make_policy, open_bench
from lawkit import bench_under, hold, limits_of_everything, permits


def firing(made: Bench, code: Code) -> Firing:
    state = made.engine.state
    return next(each for each in firings(state, state.account.now_ns) if each.code == code)


def bench(**changes: Any) -> Bench:
    return bench_under(limits_of_everything(**changes))


def test_every_trigger_that_is_on_is_told_in_its_order() -> None:
    state = bench().engine.state
    limits: Limits = state.account_limits()
    assert [each.code for each in firings(state, state.account.now_ns)] == [c for c in TRIGGERS if is_on(limits, c)]
    assert {each.code for each in firings(state, state.account.now_ns) if isnan(each.share)} == UNMEASURED


@pytest.mark.parametrize(
    ("code", "used", "limit"),
    [
        (Code.DAILY_LOSS, 0.01, 0.025),
        (Code.WEEKLY_LOSS, 0.01, 0.1),
        (Code.DRAWDOWN, 0.01, 0.08),
        (Code.TOTAL_DRAWDOWN, 0.01, 0.2),
        (Code.EMERGENCY_FLATTEN, 0.01, 0.1),
    ],
)
def test_a_loss_is_told_beside_the_one_that_fires(code: Code, used: float, limit: float) -> None:
    made = bench()
    hold(made, "BTC", 1, 10.0)
    made.mark("BTC", 90.0)
    told = firing(made, code)
    assert told.unit == "frac"
    assert (told.used, told.limit) == pytest.approx((used, limit))
    assert told.share == pytest.approx(used / limit)
    assert not told.fired


def test_a_floor_is_told_by_what_is_left_of_the_whole_and_a_profit_is_nothing() -> None:
    made = bench()
    hold(made, "BTC", 1, 10.0)
    made.mark("BTC", 90.0)
    told = firing(made, Code.EQUITY_GUARD)
    assert (told.used, told.limit, told.share) == pytest.approx((0.99, 0.9, 0.1))
    made.mark("BTC", 98.0)
    made.mark("BTC", 106.0)
    assert [firing(made, code).share for code in (Code.EQUITY_GUARD, Code.DAILY_LOSS)] == [0.0, 0.0]


def test_a_warning_is_of_the_measure_that_is_used_most() -> None:
    made = bench(warn_frac_min=0.7)
    hold(made, "BTC", 1, 10.0)
    made.mark("BTC", 90.0)
    told = firing(made, Code.WARN)
    assert told.note == Code.DAILY_LOSS
    assert (told.used, told.share) == pytest.approx((0.4, 0.4 / 0.7))
    assert not told.fired
    made.mark("BTC", 81.0)
    assert firing(made, Code.WARN).fired


def test_the_symbol_or_cluster_that_uses_most_of_its_limit_is_what_warns() -> None:
    changes = {"universe.BTC.cluster": "majors", "rules.CLUSTER_CAP": {"exposure": "27 %"}}
    made = open_bench(policy=make_policy("layered@1", changes=changes))
    hold(made, "BTC", 1, 10.0)
    told = firing(made, Code.WARN)
    assert (told.note, told.fired) == ("CLUSTER_CAP majors", False)
    assert told.used == pytest.approx(0.1 / 0.27)
    hold(made, "ETH", 1, 44.0)
    made.send(Tick())
    told = firing(made, Code.WARN)
    assert (told.note, told.fired) == ("CLUSTER_CAP ETH", True)
    assert told.used == pytest.approx(0.22 / 0.27)


def test_failures_are_counted_in_their_window() -> None:
    made = bench(api_error_count_max=3.0, api_error_window_s=60.0)
    for _ in range(2):
        made.send(VenueError("orders"))
    told = firing(made, Code.API_ERRORS)
    assert (told.used, told.limit, told.limit_name, told.fired) == (2.0, 3.0, "api_error_count_max", False)
    made.send(VenueError("orders"))
    assert firing(made, Code.API_ERRORS).fired


def test_a_streak_counts_losing_trades() -> None:
    made = bench(consec_loss_count_max=3.0, consec_loss_breaker_count_max=5.0)
    lose(made, "BTC")
    assert (firing(made, Code.CONSEC_LOSS).used, firing(made, Code.CONSEC_LOSS_BREAKER).used) == (1.0, 1.0)
    assert firing(made, Code.CONSEC_LOSS_BREAKER).share == pytest.approx(0.2)


def lose(made: Bench, symbol: str, price: float = 99.0) -> None:
    hold(made, symbol, 1, 0.1)
    (permit,) = permits(made.send(made.intent(symbol, -1, quantity=0.1, source="operator", reduce_only=True)))
    made.fill(permit.id, price=price)
    made.clock.advance(10.0)
    made.refresh()


def test_the_strategy_and_symbol_that_open_most_are_named_and_then_locked() -> None:
    made = bench(runaway_count_max=3.0, runaway_window_s=600.0)
    assert (firing(made, Code.RUNAWAY).used, firing(made, Code.RUNAWAY).symbol) == (0.0, "")
    hold(made, "ETH", 1, 0.1)
    for _ in range(2):
        made.clock.advance(10.0)
        hold(made, "BTC", 1, 0.1)
    told = firing(made, Code.RUNAWAY)
    assert (told.used, told.limit, told.strategy, told.symbol) == (2.0, 3.0, "trend", "BTC")
    made.clock.advance(10.0)
    hold(made, "BTC", 1, 0.1)
    told = firing(made, Code.RUNAWAY)
    assert (told.fired, told.strategy, told.symbol, told.until_ns) == (True, "trend", "", OPERATOR_NS)


def test_a_record_counts_by_its_trades_until_they_are_enough_and_then_by_lost_of_won() -> None:
    made = bench(kelly_trade_count_min=3.0, kelly_window_count_max=10.0, consec_loss_count_max=30.0, runaway_count_max=30.0)
    assert (firing(made, Code.KELLY_ZERO).share, firing(made, Code.KELLY_ZERO).strategy) == (0.0, "")
    lose(made, "BTC")
    told = firing(made, Code.KELLY_ZERO)
    assert (told.limit_name, told.used, told.limit, told.strategy) == ("kelly_trade_count_min", 1.0, 3.0, "trend")
    lose(made, "BTC", 104.0)
    lose(made, "BTC", 104.0)
    told = firing(made, Code.KELLY_ZERO)
    assert told.unit == "money"
    assert (told.used, told.limit) == pytest.approx((0.1, 0.8))
    assert told.share == pytest.approx(0.125)
    assert not told.fired


def test_a_record_of_losses_alone_is_as_far_as_it_has_trades() -> None:
    made = bench(kelly_trade_count_min=2.0, consec_loss_count_max=30.0, runaway_count_max=30.0)
    lose(made, "BTC")
    assert firing(made, Code.KELLY_ZERO).share == 0.5
    lose(made, "BTC")
    told = firing(made, Code.KELLY_ZERO)
    assert (told.share, told.fired, told.strategy) == (inf, True, "trend")


def test_the_position_that_has_to_be_closed_next_is_named() -> None:
    made = bench()
    assert firing(made, Code.SESSION_FLAT).room is None
    hold(made, "BTC", 1, 0.1)
    assert firing(made, Code.SESSION_FLAT).room is None
    hold(made, "ETH", 1, 0.1)
    made.tell_windows("BTC", flat=[(7_200.0, 9_000.0)])
    made.tell_windows("ETH", flat=[(3_600.0, 9_000.0)])
    told = firing(made, Code.SESSION_FLAT)
    assert told.room is not None
    assert (told.symbol, told.room.value, told.fired) == ("ETH", 3_600.0, False)
    made.clock.advance(3_590.0)
    made.refresh()
    assert firing(made, Code.SESSION_FLAT).fired


def test_a_stop_that_was_hit_is_told_by_its_veto() -> None:
    made = bench(stop_hit_lock_s=600.0)
    told = firing(made, Code.STOP_HIT)
    assert (told.fired, isnan(told.share)) == (False, True)
    hold(made, "BTC", 1, 0.1)
    (permit,) = permits(made.send(made.intent("BTC", -1, quantity=0.1, source="operator", reduce_only=True)))
    made.result(permit.id, PermitState.FILLED, permit.steps, 90.0)
    told = firing(made, Code.STOP_HIT)
    assert (told.fired, told.symbol) == (True, "BTC")
    assert told.until_ns > made.engine.state.account.now_ns


def test_reports_that_disagree_are_counted() -> None:
    made = bench()
    hold(made, "BTC", 1, 0.1)
    told = firing(made, Code.RECONCILE_MISMATCH)
    assert (told.used, told.limit, told.symbol) == (0.0, 2.0, "")
    other = (PositionAt("BTC", 7, 100.0),)
    made.clock.advance(10.0)
    made.send(PositionsReported(other, made.clock.wall_ns))
    told = firing(made, Code.RECONCILE_MISMATCH)
    assert (told.used, told.symbol, told.fired) == (1.0, "BTC", False)
