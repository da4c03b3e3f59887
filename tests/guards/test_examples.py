"""The boundary examples of the specification, at the guards themselves."""

from math import nan

import pytest

from interlock.core.codes import Code
from interlock.core.constants import BASE, CHOP, TREND
from interlock.core.guards import GUARDS
from interlock.core.limits import DAILY_LOSS_BIT
from interlock.core.numbers import kelly_frac
from interlock.core.transitions import slices_of
from interlock.testing import make_policy, open_bench
from lawkit import decision, hold
from rulekit import ALL_ON, Case, case

GUARD_OF = {str(guard.code): guard for guard in GUARDS}

ADMITTED_AND_NOT: list[tuple[str, dict[str, float], dict[str, float], str, float, float]] = [
    ("DRAWDOWN", {"drawdown_ref": 10_000.0}, {"drawdown_frac_max": 0.08}, "equity", 9200.0, 9199.99),
    ("DAILY_LOSS", {"day_open_equity": 10_000.0}, {"day_loss_frac_max": 0.025}, "equity", 9750.0, 9749.99),
    ("SPREAD_SPIKE", {}, {"spread_bps_max": 50.0}, "spread_bps", 50.0, 50.1),
    ("EQUITY_STALE", {}, {"equity_age_s_max": 300.0}, "equity_age_s", 300.0, 301.0),
    ("EQUITY_GUARD", {"initial_balance": 100_000.0}, {"equity_floor_frac_min": 0.9}, "equity", 90_000.01, 90_000.0),
    ("CONCURRENT_POSITIONS", {"symbol_is_open": 0.0}, {"position_count_max": 10.0}, "position_count", 9.0, 10.0),
    ("TOTAL_DRAWDOWN", {"equity_peak": 10_000.0}, {"total_drawdown_frac_max": 0.2}, "equity", 8000.0, 7999.99),
    ("WEEKLY_LOSS", {"week_open_equity": 10_000.0}, {"week_loss_frac_max": 0.1}, "equity", 9000.0, 8999.99),
    ("MARKET_STALE", {}, {"mark_age_s_max": 120.0}, "mark_age_s", 120.0, 121.0),
    ("PRICE_COLLAR", {"mark": 100.0}, {"collar_frac_max": 0.02}, "worst_price", 102.0, 102.01),
    ("PRICE_COLLAR", {"mark": 100.0}, {"collar_frac_max": 0.02}, "worst_price", 98.0, 97.99),
    ("ORDER_RATE", {}, {"order_interval_s": 0.7, "order_burst_count_max": 4.0}, "order_ahead_s", 2.1, 2.8),
    ("INTENT_STALE", {}, {"intent_age_s_max": 10.0}, "intent_age_s", 10.0, 10.001),
    ("ATR_SPIKE", {"mark": 100.0}, {"atr_frac_max": 0.05}, "atr", 5.0, 5.01),
    ("ATR_SPIKE", {}, {"market_state_age_s_max": 10_800.0}, "market_state_age_s", 10_800.0, 10_801.0),
]


@pytest.mark.parametrize(("code", "facts", "limits", "fact", "safe", "unsafe"), ADMITTED_AND_NOT)
def test_the_last_safe_value_is_admitted_and_the_next_is_not(
    code: str, facts: dict[str, float], limits: dict[str, float], fact: str, safe: float, unsafe: float
) -> None:
    order = case().knowing(**facts).under(**limits)
    assert order.knowing(**{fact: safe}).admitted(GUARD_OF[code])
    assert order.knowing(**{fact: unsafe}).allowance(GUARD_OF[code]) == 0.0


def allows(order: Case, code: str) -> float:
    return GUARD_OF[code].function(order.facts, order.limits)


def test_a_symbol_cap_of_thirty_percent_leaves_a_thousand() -> None:
    held = case().knowing(equity=10_000.0, symbol_notional=2000.0).under(symbol_exposure_frac_max=0.3)
    assert allows(held, "SYMBOL_EXPOSURE") == 1000.0
    assert held.asking(1000.0).admitted(GUARD_OF["SYMBOL_EXPOSURE"])
    assert not held.asking(1000.01).admitted(GUARD_OF["SYMBOL_EXPOSURE"])


def test_what_moves_together_shares_a_share_of_equity_or_is_vetoed() -> None:
    together = case().knowing(equity=10_000.0, correlation=0.71, correlated_notional=2000.0).under(correlation_max=0.7)
    assert allows(together.under(correlated_exposure_frac_max=0.25), "CORRELATION_VETO") == 500.0
    assert allows(together.under(correlated_exposure_frac_max=0.0), "CORRELATION_VETO") <= 0.0
    assert together.under(correlated_exposure_frac_max=0.0).knowing(correlation=0.7).admitted(GUARD_OF["CORRELATION_VETO"])


def test_selling_has_the_room_that_a_net_long_gives_it() -> None:
    long = case().knowing(equity=10_000.0, net_notional=5000.0, pending_side_notional=0.0).under(net_exposure_frac_max=0.6)
    assert allows(long, "NET_EXPOSURE") == 1000.0
    assert allows(long.knowing(side=-1.0), "NET_EXPOSURE") == 11_000.0


def test_pending_orders_of_the_same_side_take_room_and_pending_hedges_give_none() -> None:
    long = case().knowing(equity=10_000.0, net_notional=5000.0, pending_side_notional=400.0)
    assert allows(long.under(net_exposure_frac_max=0.6), "NET_EXPOSURE") == 600.0


def test_an_eleventh_symbol_is_denied_and_more_of_an_open_one_is_not() -> None:
    full = case().knowing(position_count=10.0).under(position_count_max=10.0)
    assert full.knowing(symbol_is_open=0.0).allowance(GUARD_OF["CONCURRENT_POSITIONS"]) == 0.0
    assert full.knowing(symbol_is_open=1.0).admitted(GUARD_OF["CONCURRENT_POSITIONS"])


def test_with_nine_positions_and_a_pending_tenth_an_eleventh_symbol_is_denied_and_closes_are_not() -> None:
    symbols = [f"S{number}" for number in range(11)]
    policy = make_policy("layered@1", symbols=symbols, changes={"rules.ORDER_RATE": {"interval": "0.1 s", "burst": 30}})
    bench = open_bench(policy=policy, prices=dict.fromkeys(symbols, 10.0))
    for symbol in symbols[:9]:
        hold(bench, symbol, 1, 1.0)
    assert decision(bench.send(bench.intent(symbols[9], 1, quantity=1.0))).allowed
    assert decision(bench.send(bench.intent(symbols[10], 1, quantity=1.0))).headline is Code.CONCURRENT_POSITIONS
    assert decision(bench.send(bench.intent(symbols[9], 1, quantity=1.0))).allowed
    assert all(decision(bench.send(bench.intent(each, -1, quantity=1.0, reduce_only=True))).allowed for each in symbols[:9])


def test_a_burst_is_as_long_as_the_policy_says_whatever_its_interval() -> None:
    for tenths in range(1, 200):
        interval_s = tenths / 10.0
        order = case().under(order_interval_s=interval_s, order_burst_count_max=4.0)
        ahead_s = [count * round(interval_s * 1e9) / 1e9 for count in range(6)]
        admitted = [order.knowing(order_ahead_s=each).admitted(GUARD_OF["ORDER_RATE"]) for each in ahead_s]
        assert admitted == [True, True, True, True, False, False], interval_s


def test_an_order_of_exactly_the_cap_passes_however_its_notional_was_rounded() -> None:
    order = case().under(order_quantity_max=0.3, order_notional_max=0.3 * 70.1)
    three_steps = order.knowing(requested_quantity=3 * 0.1, unit_notional=7.01 / 0.1).asking(3 * 7.01)
    assert three_steps.admitted(GUARD_OF["ORDER_QUANTITY"], GUARD_OF["ORDER_NOTIONAL"])


def test_a_loss_of_a_fifth_since_the_start_is_twenty_percent() -> None:
    started = case().knowing(initial_balance=10_000.0, equity_peak=10_000.0, equity=8000.0)
    assert started.under(total_drawdown_frac_max=0.2).admitted(GUARD_OF["TOTAL_DRAWDOWN"])
    assert not started.under(total_drawdown_frac_max=0.1999).admitted(GUARD_OF["TOTAL_DRAWDOWN"])


def test_headroom_counts_every_stop_and_the_nearest_floor() -> None:
    order = (
        case()
        .knowing(equity=10_000.0, initial_balance=10_000.0, day_open_equity=10_000.0, risk_at_stops=100.0)
        .knowing(stop_frac=0.019)
        .under(day_loss_frac_max=0.025, headroom_buffer_frac=0.005, cost_frac=0.001)
    )
    assert allows(order, "LOSS_HEADROOM") == pytest.approx((250.0 - 50.0 - 100.0) / 0.02)
    daily_off = order.under(active=ALL_ON & ~(1 << DAILY_LOSS_BIT), drawdown_frac_max=0.2, equity_floor_frac_min=0.8)
    assert allows(daily_off, "LOSS_HEADROOM") == pytest.approx((1000.0 - 50.0 - 100.0) / 0.02)
    assert allows(daily_off.knowing(day_open_equity=nan), "LOSS_HEADROOM") == allows(daily_off, "LOSS_HEADROOM")


@pytest.mark.parametrize(
    ("regime", "p", "multiple"),
    [
        (CHOP, 0.4, 2.0),
        (CHOP, 0.5, 2.0),
        (CHOP, 0.75, 2.5),
        (CHOP, 1.0, 3.0),
        (BASE, 0.5, 3.0),
        (BASE, 1.0, 3.0),
        (TREND, 0.5, 4.0),
        (TREND, 0.75, 5.0),
        (TREND, 1.0, 6.0),
    ],
)
def test_a_symbols_leverage_grows_with_how_sure_its_regime_is(regime: float, p: float, multiple: float) -> None:
    order = case().knowing(equity=10_000.0, gross_notional=0.0, symbol_notional=0.0, regime=regime, regime_p=p)
    order = order.under(
        gross_leverage_max=6.0,
        chop_leverage_unsure_max=2.0,
        chop_leverage_max=3.0,
        base_leverage_max=3.0,
        trend_leverage_unsure_max=4.0,
        trend_leverage_max=6.0,
    )
    assert allows(order, "GROSS_LEVERAGE") == pytest.approx(multiple * 10_000.0)
    assert allows(order.knowing(gross_notional=55_000.0), "GROSS_LEVERAGE") == pytest.approx(5_000.0)
    assert allows(order.knowing(symbol_notional=1_000.0), "GROSS_LEVERAGE") == pytest.approx(multiple * 10_000.0 - 1_000.0)


@pytest.mark.parametrize(("regime", "risk"), [(CHOP, 30.0), (BASE, 50.0), (TREND, 70.0)])
def test_a_trade_loses_its_regimes_share_of_equity_at_its_stop(regime: float, risk: float) -> None:
    order = (
        case()
        .knowing(equity=10_000.0, stop_frac=0.036, regime=regime)
        .under(chop_risk_frac_max=0.003, base_risk_frac_max=0.005, trend_risk_frac_max=0.007, cost_frac=0.0016)
    )
    assert allows(order, "TRADE_RISK") * (0.036 + 0.0016) == pytest.approx(risk)


@pytest.mark.parametrize(("risk", "slices"), [(0.004999, 1), (0.005, 1), (0.005001, 2), (0.009999, 2), (0.035, 7)])
def test_a_risk_takes_whole_slices(risk: float, slices: int) -> None:
    assert slices_of(risk, 0.005) == slices
    assert slices_of(risk * 10_000.0, 0.005 * 10_000.0) == slices


def test_a_budget_allows_what_fits_into_the_slices_that_are_left() -> None:
    order = (
        case()
        .knowing(day_open_equity=10_000.0, stop_frac=0.019)
        .knowing(day_entry_count=0.0, day_slice_count=0.0, campaign_slice_count=0.0)
        .under(
            quota_slice_frac=0.005,
            quota_order_slice_count_max=2.0,
            quota_day_entry_count_max=2.0,
            quota_day_slice_count_max=2.0,
            quota_campaign_slice_count_max=10.0,
            cost_frac=0.001,
        )
    )
    assert allows(order, "DAILY_RISK_QUOTA") == pytest.approx(2 * 50.0 / 0.02)
    assert allows(order.knowing(day_slice_count=1.0), "DAILY_RISK_QUOTA") == pytest.approx(50.0 / 0.02)
    assert allows(order.knowing(day_slice_count=2.0), "DAILY_RISK_QUOTA") == 0.0
    assert allows(order.knowing(day_entry_count=2.0), "DAILY_RISK_QUOTA") == 0.0
    assert allows(order.knowing(campaign_slice_count=9.0), "DAILY_RISK_QUOTA") == pytest.approx(50.0 / 0.02)
    assert allows(order.knowing(campaign_slice_count=10.0), "DAILY_RISK_QUOTA") == 0.0


def test_a_stop_is_reached_a_buffer_before_liquidation() -> None:
    order = case().knowing(worst_price=100.0, stop_price=92.0, liquidation_price=91.0).under(liquidation_buffer_frac=0.01)
    assert order.admitted(GUARD_OF["LIQUIDATION_DISTANCE"])
    assert not order.knowing(stop_price=91.99).admitted(GUARD_OF["LIQUIDATION_DISTANCE"])
    assert not order.knowing(stop_price=90.0).admitted(GUARD_OF["LIQUIDATION_DISTANCE"])
    assert order.knowing(liquidation_price=0.0).admitted(GUARD_OF["LIQUIDATION_DISTANCE"])


def test_a_stop_on_the_price_is_no_stop() -> None:
    order = case().knowing(worst_price=100.0, mark=100.0)
    assert order.knowing(stop_price=99.99).admitted(GUARD_OF["STOP_REQUIRED"])
    for stop in (100.0, 100.01):
        assert order.knowing(stop_price=stop).allowance(GUARD_OF["STOP_REQUIRED"]) == 0.0


def test_a_target_on_the_losing_side_is_denied() -> None:
    assert case().knowing(target_price=99.0).allowance(GUARD_OF["STOP_REQUIRED"]) == 0.0


def record(wins: int, losses: int, payoff: float) -> dict[str, float]:
    """The record of so many wins, each of `payoff` times what each of the losses lost."""
    counts = {"strategy_win_count": float(wins), "strategy_loss_count": float(losses)}
    return counts | {"strategy_won": 100.0 * payoff * wins, "strategy_lost": 100.0 * losses}


KELLY = {
    "kelly_multiplier": 0.1,
    "kelly_prior_count": 0.0,
    "kelly_trade_count_min": 20.0,
    "cost_frac": 0.001,
    "kelly_above_floor": 0.0,
}


@pytest.mark.parametrize(("wins", "payoff", "share"), [(60, 1.0, 0.2), (45, 2.0, 0.175), (40, 3.0, 0.2), (50, 2.0, 0.25)])
def test_a_record_deserves_its_share_at_risk(wins: int, payoff: float, share: float) -> None:
    order = case().knowing(equity=10_000.0, stop_frac=0.019, **record(wins, 100 - wins, payoff)).under(**KELLY)
    assert kelly_frac(float(wins), 100.0 - wins, payoff * wins, 100.0 - wins, 0.0) == pytest.approx(share)
    assert allows(order, "KELLY_CAP") * 0.02 == pytest.approx(0.1 * share * 10_000.0)


def test_an_even_chance_of_twice_the_loss_allows_twelve_and_a_half_thousand() -> None:
    order = case().knowing(equity=10_000.0, stop_frac=0.019, **record(50, 50, 2.0)).under(**KELLY)
    assert allows(order, "KELLY_CAP") == pytest.approx(12_500.0)


@pytest.mark.parametrize(
    "said",
    [
        record(0, 0, 1.0),
        record(19, 0, 1.0),
        record(10, 9, 9.0),
        record(30, 0, 1.0),
        record(0, 30, 1.0),
        record(10, 10, 1.0),
        record(10, 90, 1.0),
    ],
)
def test_a_record_that_says_nothing_or_no_good_deserves_a_probe(said: dict[str, float]) -> None:
    order = case().knowing(equity=10_000.0, stop_frac=0.019, **said).under(kelly_probe_frac=0.0005, **KELLY)
    assert allows(order, "KELLY_CAP") * 0.02 == pytest.approx(5.0)


def test_trades_without_an_edge_shrink_what_a_record_deserves() -> None:
    order = case().knowing(equity=10_000.0, stop_frac=0.019, **record(50, 50, 2.0)).under(**KELLY)
    assert allows(order.under(kelly_prior_count=100.0), "KELLY_CAP") == pytest.approx(6_250.0)


def test_only_what_is_above_the_nearest_active_floor_is_at_stake() -> None:
    order = case().knowing(equity=10_000.0, day_open_equity=10_000.0, stop_frac=0.019, **record(50, 50, 2.0)).under(**KELLY)
    aware = order.under(kelly_above_floor=1.0, day_loss_frac_max=0.05, drawdown_frac_max=0.2, kelly_probe_frac=0.0001)
    aware = aware.under(equity_floor_frac_min=0.8)
    assert allows(aware, "KELLY_CAP") == pytest.approx(12_500.0 * (10_000.0 - 9_500.0) / 10_000.0)
    assert allows(aware.knowing(equity=9_400.0), "KELLY_CAP") * 0.02 == pytest.approx(0.94)
    nothing = aware.under(active=0)
    assert allows(nothing, "KELLY_CAP") == pytest.approx(12_500.0)
    assert allows(nothing.knowing(day_open_equity=nan), "KELLY_CAP") == pytest.approx(12_500.0)


def test_no_edge_under_the_floor_is_no_edge() -> None:
    order = case().knowing(equity=9_000.0, day_open_equity=10_000.0, stop_frac=0.019, **record(50, 50, 0.1)).under(**KELLY)
    under = order.under(kelly_above_floor=1.0, day_loss_frac_max=0.05, kelly_probe_frac=0.0001, equity_floor_frac_min=0.1)
    assert allows(under, "KELLY_CAP") * 0.02 == pytest.approx(0.9)
