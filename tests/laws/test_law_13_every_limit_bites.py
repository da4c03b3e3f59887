"""
Law 13, every limit bites: for each limit there are two values one tick apart between which the engine acts differently.

Each limit has a story on the production path, and a range at whose ends it goes differently; halving the range down to
one tick finds where. A limit without a story fails, and so does a story that its limit does not change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from typing import Any, Final

import msgspec
import pytest

import rulekit
from exit_bites import exit_bites
from interlock.core.codes import Action, Code, KillMode, PermitState, Scope
from interlock.core.limits import BITS, LIMIT_FIELDS
from interlock.core.messages import (
    BarClosed,
    CancelOrders,
    ClockChecked,
    Decision,
    EquityMarked,
    ExitProposed,
    FlattenGoal,
    Instruction,
    KillSet,
    LockChanged,
    MarketState,
    PermitIssued,
    PermitRevoked,
    Rebalance,
    RiskEvent,
    Tick,
    VenueError,
)
from interlock.testing import Bench
from lawkit import bench_under, hold, limits_of_everything, permits, policy_of

TICK_FRAC: Final = 1e-4
"""Two values this close, as a share of the range they were searched in, are one tick apart."""

LOOSE: Final = {
    "day_loss_frac_max": 0.5,
    "week_loss_frac_max": 0.5,
    "drawdown_frac_max": 0.5,
    "emergency_drawdown_frac_max": 0.6,
    "total_drawdown_frac_max": 0.6,
    "equity_floor_frac_min": 0.2,
    "headroom_buffer_frac": 0.0,
    "order_interval_s": 0.01,
    "runaway_count_max": 30.0,
    "consec_loss_count_max": 30.0,
    "consec_loss_breaker_count_max": 30.0,
    "api_error_count_max": 30.0,
    "order_failure_count_max": 30.0,
    "failed_trade_count_max": 30.0,
    "stop_hit_lock_s": 1.0,
    "breaker_trip_count_max": 30.0,
    "permit_ttl_s": 1000.0,
    "resting_review_s": 1000.0,
}
"""So that no other limit bites first; LOSS_HEADROOM, which reads them all, is off but in its own stories."""

Story = Callable[[Bench], None]


@dataclass(frozen=True)
class Bite:
    """A story, the range of the limit in which it changes, and other limits that it needs."""

    story: Story
    low: float
    high: float
    given: dict[str, Any]


BITES: Final[dict[str, Bite]] = {}


def bites(*names: str, low: float, high: float, **given: Any) -> Callable[[Story], Story]:
    """The story is one of each of these limits."""

    def register(story: Story) -> Story:
        for name in names:
            BITES[name] = Bite(story, low, high, given)
        return story

    return register


def ask(bench: Bench, symbol: str = "BTC", side: int = 1, **changes: Any) -> None:
    bench.send(bench.intent(symbol, side, **{"notional": 1_000.0, **changes}))


def wait(bench: Bench, seconds: float, *silent: str) -> None:
    """Time passes, and all feeds but the silent ones speak."""
    bench.clock.advance(seconds)
    bench.feeds -= set(silent)
    bench.refresh()


def lose(bench: Bench, price: float = 95.0) -> None:
    """Twenty bought at 100, marked lower: 100 of 10 000 are lost, 1 %."""
    hold(bench, "BTC", 1, 20.0)
    bench.mark("BTC", price)
    bench.refresh()


# ---------------------------------------------------------------- knowing


@bites("intent_age_s_max", low=1.0, high=10.0)
def an_old_intent(bench: Bench) -> None:
    ask(bench, created_at_ns=bench.clock.true_ns - 5_000_000_000)


@bites("equity_age_s_max", low=1.0, high=300.0)
def old_equity(bench: Bench) -> None:
    wait(bench, 100.0, "equity")
    ask(bench)


@bites("equity_gap_frac_max", low=0.001, high=0.1)
def two_equities(bench: Bench) -> None:
    bench.send(EquityMarked(9_900.0, nan, bench.clock.true_ns))
    ask(bench)


@bites("unexplained_patience_s", low=10.0, high=100.0, equity_gap_frac_max=0.02)
def a_loss_that_nothing_explains(bench: Bench) -> None:
    bench.book.balance = 9_600.0
    wait(bench, 1.0)
    wait(bench, 50.0)
    ask(bench)


@bites("mark_age_s_max", low=1.0, high=120.0)
def old_marks(bench: Bench) -> None:
    wait(bench, 50.0, "marks")
    ask(bench)


@bites("mark_jump_frac_max", low=0.01, high=0.2)
def a_jump(bench: Bench) -> None:
    bench.mark("BTC", 105.0)
    ask(bench)


@bites("reconciled_age_s_max", low=1.0, high=60.0)
def old_positions(bench: Bench) -> None:
    wait(bench, 50.0, "positions")
    ask(bench)


@bites("controller_age_s_max", low=1.0, high=30.0)
def a_silent_owner(bench: Bench) -> None:
    policy = policy_of(bench.engine.state.account_limits())
    bench.send(msgspec.structs.replace(policy, exit_owner="exit"))
    bench.refresh()
    wait(bench, 20.0, "heartbeat")
    ask(bench)


@bites("clock_step_s_max", low=0.1, high=2.0)
def a_clock_step(bench: Bench) -> None:
    bench.clock.jump(0.5)
    ask(bench)


@bites("clock_venue_gap_s_max", low=1.0, high=5.0)
def a_venue_of_another_time(bench: Bench) -> None:
    bench.send(ClockChecked(bench.clock.true_ns - 3_000_000_000))
    ask(bench)


# ---------------------------------------------------------------- losses


@bites("day_loss_frac_max", "week_loss_frac_max", "drawdown_frac_max", "total_drawdown_frac_max", low=0.001, high=0.5)
@bites("emergency_drawdown_frac_max", low=0.001, high=0.5)
@bites("equity_floor_frac_min", low=0.5, high=0.995)
def a_loss(bench: Bench) -> None:
    lose(bench)
    ask(bench, "ETH", notional=100.0)


@bites("drawdown_lock_s", low=100.0, high=5_000.0, drawdown_frac_max=0.005, drawdown_rebase=1.0)
@bites("emergency_lock_s", low=100.0, high=5_000.0, emergency_drawdown_frac_max=0.005, drawdown_rebase=1.0)
@bites("drawdown_rebase", low=0.0, high=1.0, drawdown_frac_max=0.005, drawdown_lock_s=100.0)
def after_a_drawdown(bench: Bench) -> None:
    lose(bench)
    wait(bench, 1_000.0)
    ask(bench, "ETH", notional=100.0)


@bites("headroom_buffer_frac", low=0.0, high=0.5, off=())
@bites("cost_frac", low=0.0, high=10.0, off=())
def an_order_with_a_stop(bench: Bench) -> None:
    ask(bench)


@bites("no_stop_gap_frac", low=0.1, high=10.0, off=(Code.STOP_REQUIRED, Code.LIQUIDATION_DISTANCE))
def an_order_without_a_stop(bench: Bench) -> None:
    ask(bench, stop_price=nan)


@bites("warn_frac_min", low=0.1, high=0.9, day_loss_frac_max=0.025)
def a_part_of_a_loss(bench: Bench) -> None:
    lose(bench)


@bites("warn_rearm_frac_max", low=0.05, high=0.3, day_loss_frac_max=0.025, warn_frac_min=0.35)
def a_loss_that_eases(bench: Bench) -> None:
    lose(bench)
    bench.mark("BTC", 97.5)
    bench.refresh()


@bites("confirm_mark_count_min", low=1.0, high=20.0, day_loss_frac_max=0.005, confirm_s_min=1.0)
@bites("confirm_s_min", low=1.0, high=100.0, day_loss_frac_max=0.005, confirm_mark_count_min=2.0)
def a_loss_that_the_venue_does_not_tell(bench: Bench) -> None:
    hold(bench, "BTC", 1, 20.0)
    bench.feeds.discard("equity")
    for _ in range(5):
        bench.clock.advance(10.0)
        bench.mark("BTC", 95.0)
        bench.refresh()


# ---------------------------------------------------------------- the order


@bites("spread_bps_max", low=1.0, high=50.0)
@bites("order_notional_max", low=500.0, high=5_000.0)
@bites("order_quantity_max", low=5.0, high=50.0)
@bites("symbol_exposure_frac_max", "strategy_exposure_frac_max", "total_exposure_frac_max", low=0.01, high=0.9)
@bites("cluster_exposure_frac_max", "net_exposure_frac_max", low=0.01, high=0.9)
@bites("margin_leverage_max", low=1.0, high=20.0)
def an_order(bench: Bench) -> None:
    ask(bench)


def compared(bench: Bench, length_s: float = 60.0) -> None:
    """Bars of one length in which ETH goes with BTC at first, and then against it; and BTC is held."""
    level = {"BTC": 1.0, "ETH": 1.0}
    start_ns = bench.clock.wall_ns - 41 * int(length_s) * 10**9
    for number in range(40):
        step = 0.01 if number % 3 else -0.02
        level["BTC"] *= 1.0 + step
        level["ETH"] *= 1.0 + (step if number < 36 else -step)
        for symbol, close in level.items():
            opened_ns = start_ns + number * int(length_s) * 10**9
            bench.send(BarClosed(symbol, opened_ns, length_s, close, close, close, close))
    hold(bench, "BTC", 1, 1.0)


COMPARED: Final = {
    "correlation_max": 0.6,
    "correlated_exposure_frac_max": 0.0,
    "correlation_decay": 0.97,
    "correlation_age_s_max": 1e6,
}


@bites("correlation_max", low=0.1, high=0.999, **COMPARED)
@bites("correlation_decay", low=0.5, high=0.99, **COMPARED)
@bites("correlation_bar_s", low=60.0, high=100.0, **{**COMPARED, "correlation_max": 0.9})
@bites("correlation_age_s_max", low=10.0, high=1_000.0, **{**COMPARED, "correlation_max": 0.9})
@bites("correlated_exposure_frac_max", low=0.01, high=0.5, **{**COMPARED, "correlation_max": 0.1})
def an_order_in_company(bench: Bench) -> None:
    compared(bench)
    ask(bench, "ETH")


@bites("collar_frac_max", low=0.005, high=0.05)
def a_price_off_the_mark(bench: Bench) -> None:
    ask(bench, limit_price=101.0)


@bites("order_interval_s", low=0.1, high=5.0, order_burst_count_max=1.0)
def two_orders(bench: Bench) -> None:
    ask(bench, notional=100.0)
    bench.clock.advance(1.0)
    ask(bench, notional=100.0)


@bites("order_burst_count_max", low=1.0, high=10.0, order_interval_s=60.0)
def three_orders(bench: Bench) -> None:
    for _ in range(3):
        ask(bench, notional=100.0)


@bites("permit_ttl_s", low=1.0, high=100.0)
def an_unused_permit(bench: Bench) -> None:
    ask(bench)
    bench.clock.advance(20.0)
    bench.send(Tick())


@bites("resting_review_s", low=1.0, high=100.0, spread_bps_max=10.0)
def a_resting_order(bench: Bench) -> None:
    (permit,) = permits(bench.send(bench.intent("BTC", 1, notional=1_000.0)))
    bench.result(permit.id, PermitState.WORKING)
    bench.clock.advance(30.0)
    bench.mark("BTC", 100.0, bid=99.8, ask=100.2)
    bench.send(Tick())


@bites("position_count_max", low=1.0, high=5.0)
def a_second_position(bench: Bench) -> None:
    hold(bench)
    ask(bench, "ETH", notional=100.0)


@bites("atr_frac_max", low=0.001, high=0.05)
@bites("gross_leverage_max", "base_leverage_max", low=0.01, high=2.0)
@bites("base_risk_frac_max", low=0.0001, high=0.2)
@bites("liquidation_buffer_frac", low=0.001, high=0.09)
def an_order_in_an_ordinary_market(bench: Bench) -> None:
    ask(bench)


QUOTA: Final = {
    "quota_slice_frac": 0.01,
    "quota_order_slice_count_max": 30.0,
    "quota_day_entry_count_max": 30.0,
    "quota_day_slice_count_max": 30.0,
    "quota_campaign_slice_count_max": 30.0,
}


@bites("quota_slice_frac", low=0.001, high=0.01, **QUOTA | {"quota_order_slice_count_max": 1.0})
@bites("quota_order_slice_count_max", low=0.5, high=2.0, **QUOTA)
@bites("quota_day_entry_count_max", low=1.0, high=3.0, **QUOTA)
@bites("quota_day_slice_count_max", "quota_campaign_slice_count_max", low=1.0, high=3.0, **QUOTA)
def orders_that_spend_a_budget(bench: Bench) -> None:
    ask(bench)
    ask(bench, "ETH")


def a_record(bench: Bench, *pnls: float) -> None:
    """Trades of a tenth at 100 that came to these sums."""
    for pnl in pnls:
        bench.mark("BTC", 100.0)
        bench.refresh()
        hold(bench, "BTC", 1, 0.1)
        (permit,) = permits(bench.send(bench.intent("BTC", -1, quantity=0.1, source="operator", reduce_only=True)))
        bench.fill(permit.id, price=100.0 + 10.0 * pnl)
        wait(bench, 10.0)
    bench.mark("BTC", 100.0)
    bench.refresh()


RECORD: Final = {
    "kelly_above_floor": 0.0,
    "kelly_trade_count_min": 2.0,
    "kelly_window_count_max": 10.0,
    "kelly_prior_count": 0.0,
}


@bites("kelly_above_floor", low=0.0, high=1.0, **RECORD, kelly_multiplier=0.015, kelly_probe_frac=0.0001)
@bites("kelly_multiplier", low=0.01, high=0.5, **RECORD, kelly_probe_frac=0.0001)
@bites("kelly_prior_count", low=0.0, high=100.0, **RECORD, kelly_multiplier=0.1, kelly_probe_frac=0.0001)
@bites("kelly_trade_count_min", low=1.0, high=5.0, **RECORD, kelly_multiplier=0.4, kelly_probe_frac=0.0001)
@bites("kelly_window_count_max", low=1.0, high=5.0, **RECORD, kelly_multiplier=0.4, kelly_probe_frac=0.0001)
@bites("kelly_probe_frac", low=0.0001, high=0.01, **RECORD | {"kelly_trade_count_min": 10.0})
def an_order_after_a_record(bench: Bench) -> None:
    a_record(bench, 4.0, -2.0, 4.0)
    ask(bench)


@bites("kelly_scale", low=0.0, high=1.0, **RECORD, kelly_multiplier=0.4, kelly_probe_frac=0.0001)
def a_rebalance_after_a_record(bench: Bench) -> None:
    a_record(bench, 4.0, -2.0, 4.0)
    wish = Instruction("BTC", Action.OPEN, 0.1, 95.0)
    bench.send(Rebalance("r", "bot", "trend", (wish,), created_at_ns=bench.clock.true_ns))


@bites("kelly_zero_lock_s", low=100.0, high=1_000.0, **RECORD)
def a_rest_after_a_record_without_an_edge(bench: Bench) -> None:
    a_record(bench, 2.0, -2.0)
    wait(bench, 500.0)
    ask(bench)


@bites("market_state_age_s_max", low=1.0, high=7_200.0)
def an_old_market_state(bench: Bench) -> None:
    wait(bench, 100.0, "market")
    ask(bench)


UNLIKELY: Final = MarketState("BTC", 0, atr=1.0, p_trend=0.75, p_base=0.1, p_chop=0.75)
"""A market that somebody else judged; its probabilities are of either label in turn."""


@bites("chop_risk_frac_max", low=0.0001, high=0.2)
@bites("chop_leverage_max", low=0.01, high=2.0, chop_leverage_unsure_max=0.01)
@bites("chop_leverage_unsure_max", low=0.01, high=2.0, chop_leverage_max=0.01)
def an_order_in_chop(bench: Bench) -> None:
    bench.tell_market(msgspec.structs.replace(UNLIKELY, label="CHOP"))
    ask(bench)


@bites("trend_risk_frac_max", low=0.0001, high=0.2)
@bites("trend_leverage_max", low=0.01, high=2.0, trend_leverage_unsure_max=0.01)
@bites("trend_leverage_unsure_max", low=0.01, high=2.0, trend_leverage_max=0.01)
def an_order_in_a_trend(bench: Bench) -> None:
    bench.tell_market(msgspec.structs.replace(UNLIKELY, label="TREND"))
    ask(bench)


@bites("trend_score_min", low=0.7, high=0.95, base_risk_frac_max=0.0001)
@bites("chop_score_max", low=0.1, high=0.89, chop_risk_frac_max=0.0001)
def an_order_in_a_market_with_a_score(bench: Bench) -> None:
    bench.tell_market(MarketState("BTC", 0, atr=1.0, score=0.8))
    ask(bench)


@bites("unknown_regime", low=0.0, high=2.0)
def an_order_in_a_market_that_nobody_judged(bench: Bench) -> None:
    bench.tell_market(MarketState("BTC", 0, atr=1.0))
    ask(bench)


@bites("size_stop_atr", low=1.0, high=2.0, size_quantity=nan, size_frac=nan, base_risk_frac_max=0.005)
@bites("size_target_atr", low=1.0, high=3.0, size_stop_atr=1.8)
def an_order_for_the_model(bench: Bench) -> None:
    ask(bench, notional=nan, stop_price=nan)


@bites("size_quantity", low=1.0, high=2.0)
@bites("size_frac", low=0.01, high=0.02, size_quantity=nan)
def an_order_without_a_size(bench: Bench) -> None:
    ask(bench, notional=nan)


# ---------------------------------------------------------------- counting


def lose_trades(bench: Bench, count: int) -> None:
    for _ in range(count):
        bench.mark("BTC", 100.0)
        bench.refresh()
        hold(bench, "BTC", 1, 5.0)
        (permit,) = permits(bench.send(bench.intent("BTC", -1, quantity=5.0, source="operator", reduce_only=True)))
        bench.fill(permit.id, price=97.0)
        bench.refresh()


@bites("consec_loss_count_max", low=1.5, high=3.5)
@bites("consec_loss_breaker_count_max", low=1.5, high=3.5)
def two_losing_trades(bench: Bench) -> None:
    lose_trades(bench, 2)


@bites("consec_loss_lock_s", low=100.0, high=5_000.0, consec_loss_count_max=2.0)
def a_pause_after_losses(bench: Bench) -> None:
    lose_trades(bench, 2)
    wait(bench, 1_000.0)
    ask(bench, notional=100.0)


@bites("api_error_count_max", low=1.0, high=10.0)
@bites("api_error_window_s", low=1.0, high=100.0, api_error_count_max=3.0)
def failing_calls(bench: Bench) -> None:
    for _ in range(4):
        bench.clock.advance(10.0)
        bench.send(VenueError("timeout"))


def ended(bench: Bench, state: PermitState, count: int) -> None:
    for _ in range(count):
        (permit,) = permits(bench.send(bench.intent("BTC", 1, notional=100.0)))
        bench.result(permit.id, state)
        wait(bench, 10.0)


@bites("order_failure_count_max", low=1.5, high=10.0)
@bites("order_failure_window_s", low=1.0, high=100.0, order_failure_count_max=2.0)
def rejected_orders(bench: Bench) -> None:
    ended(bench, PermitState.REJECTED, 2)


@bites("failed_trade_count_max", low=1.5, high=10.0)
@bites("failed_trade_window_s", low=1.0, high=100.0, failed_trade_count_max=2.0)
def orders_that_never_fill(bench: Bench) -> None:
    ended(bench, PermitState.CANCELLED, 2)


def trip(bench: Bench) -> None:
    for _ in range(2):
        bench.send(VenueError("timeout"))


@bites("breaker_lock_s", low=100.0, high=1_000.0, api_error_count_max=2.0)
def an_open_breaker(bench: Bench) -> None:
    trip(bench)
    wait(bench, 500.0)
    ask(bench)


@bites(
    "breaker_trip_count_max", low=1.5, high=5.0, api_error_count_max=2.0, breaker_lock_s=10.0, breaker_trip_window_s=1_000.0
)
@bites(
    "breaker_trip_window_s",
    low=10.0,
    high=500.0,
    api_error_count_max=2.0,
    breaker_lock_s=10.0,
    breaker_trip_count_max=2.0,
)
def a_breaker_that_opens_again(bench: Bench) -> None:
    trip(bench)
    wait(bench, 100.0)
    trip(bench)


@bites("runaway_count_max", low=1.5, high=8.0)
@bites("runaway_window_s", low=1.0, high=100.0, runaway_count_max=3.0)
def the_same_order_again_and_again(bench: Bench) -> None:
    for _ in range(3):
        for permit in permits(bench.send(bench.intent("BTC", 1, quantity=1.0))):
            bench.fill(permit.id)
        wait(bench, 10.0)


@bites("flat_lead_s", low=10.0, high=500.0)
def a_session_that_ends(bench: Bench) -> None:
    hold(bench)
    bench.tell_windows("BTC", flat=[(300.0, 600.0)])
    wait(bench, 100.0)


@bites("stop_hit_lock_s", low=100.0, high=1_000.0)
@bites("stop_hit_both_sides", low=0.0, high=1.0, stop_hit_lock_s=5_000.0)
def a_stop(bench: Bench) -> None:
    hold(bench, "BTC", 1, 5.0)
    (permit,) = permits(bench.send(bench.intent("BTC", -1, quantity=5.0, source="operator", reduce_only=True)))
    bench.fill(permit.id, price=94.0)
    wait(bench, 500.0)
    ask(bench, side=-1, notional=100.0)
    ask(bench, notional=100.0)


# ---------------------------------------------------------------- closing


@bites("close_patience_s", low=1.0, high=5.0)
def a_close_that_is_silent(bench: Bench) -> None:
    hold(bench)
    for _ in range(2):
        bench.send(bench.intent("BTC", -1, quantity=5.0, reduce_only=True))
        bench.clock.advance(3.0)


@bites("flatten_retry_s_min", low=1.0, high=100.0, flatten_retry_s_max=200.0)
@bites("flatten_retry_s_max", low=10.0, high=200.0, flatten_retry_s_min=10.0)
def a_flatten_that_does_not_fill(bench: Bench) -> None:
    hold(bench)
    bench.send(KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "", "alice"))
    for _ in range(6):
        bench.clock.advance(25.0)
        bench.send(Tick())


# ---------------------------------------------------------------- the law


BITES.update((each.name, Bite(each.story, each.low, each.high, each.given)) for each in exit_bites())


def happened(bite: Bite, name: str, value: float) -> list[object]:
    """What the engine did in the story when the limit has this value, allowances and times of issue left out."""
    given = {**LOOSE, **bite.given, name: value}
    off = given.pop("off", (Code.LOSS_HEADROOM, Code.KILL_SCORE))
    on = given.pop("on", ())
    active = rulekit.ALL_ON - sum(BITS[code] for code in off) + sum(BITS[code] for code in on)
    bench = bench_under(limits_of_everything(active=active, **given))
    start = len(bench.steps)
    bite.story(bench)
    return [essence(output) for step in bench.steps[start:] for output in step.outputs]


def essence(output: object) -> object:
    """What an output does."""
    match output:
        case Decision():
            return output.headline, output.granted_steps, output.reducing
        case LockChanged():
            return output.code, output.side, output.until_ns == 2**63 - 1, output.severity
        case RiskEvent():
            return output.trigger, output.action, output.metadata
        case PermitRevoked() | CancelOrders():
            return output.code
        case PermitIssued():
            return f"permit with target {output.target_price}"
        case ExitProposed():
            return output.rung, output.left_steps, output.stop_price == output.stop_price
        case FlattenGoal():
            return output.code, output.active, output.attempts
        case _:
            return type(output).__name__


@pytest.mark.parametrize("name", LIMIT_FIELDS)
def test_the_limit_bites(name: str) -> None:
    assert name in BITES, f"{name} has no story: nothing shows that it bites"
    bite = BITES[name]
    low, high = bite.low, bite.high
    at_low, at_high = (happened(bite, name, value) for value in (low, high))
    assert at_low != at_high, f"{name} changes nothing in its story between {low} and {high}"
    while high - low > TICK_FRAC * (bite.high - bite.low):
        middle = (low + high) / 2
        at_middle = happened(bite, name, middle)
        if at_middle == at_low:
            low = middle
        else:
            high, at_high = middle, at_middle
    assert at_low != at_high


def test_every_story_is_of_a_limit() -> None:
    assert set(BITES) <= set(LIMIT_FIELDS)


def test_control_a_limit_that_nothing_reads_is_found_out() -> None:
    idle = Bite(an_order, 1.0, 300.0, {})
    assert happened(idle, "emergency_lock_s", 1.0) == happened(idle, "emergency_lock_s", 300.0)
