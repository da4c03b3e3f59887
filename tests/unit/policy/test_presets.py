from itertools import combinations
from math import inf, isnan, log
from pathlib import Path

import msgspec
import pytest

import exitkit
from interlock.core.absorb import is_complete
from interlock.core.codes import Code, KillMode
from interlock.core.constants import CLOSE_PATIENCE_S_MAX, CORRELATION_RETURNS_MIN, SCORE_WIDTH
from interlock.core.limits import EXIT_RULES, LIMIT_FIELDS, SWITCHABLE, Limits, is_on
from interlock.policy.layout import SLOT_AT
from interlock.policy.load import load_policy, preset_texts, read_preset
from oracle.harvest import SETS
from unit.policy.policy_texts import HEAD, NOW_NS, compiled

EXAMPLES = Path(__file__).parents[3] / "examples"
HOUR_S = 3600.0

SET_A = {name: getattr(exitkit.limits_of(SETS["A"], numeric=False), name) for name in exitkit.FIELDS.values()}
FIGURES = {
    "crypto-futures@1": {
        "day_loss_frac_max": 0.025,
        "drawdown_frac_max": 0.08,
        "drawdown_lock_s": 3600.0,
        "drawdown_rebase": 1.0,
        "emergency_drawdown_frac_max": 0.10,
        "emergency_lock_s": 14_400.0,
        "total_drawdown_frac_max": 0.20,
        "equity_age_s_max": 300.0,
        "mark_age_s_max": 120.0,
        "reconciled_age_s_max": 60.0,
        "controller_age_s_max": 30.0,
        "clock_step_s_max": 1.0,
        "clock_venue_gap_s_max": 5.0,
        "intent_age_s_max": 10.0,
        "spread_bps_max": 50.0,
        "collar_frac_max": 0.02,
        "warn_frac_min": 0.70,
        "warn_rearm_frac_max": 0.60,
        "total_exposure_frac_max": 6.0,
        "position_count_max": 10.0,
        "consec_loss_count_max": 3.0,
        "consec_loss_lock_s": 3600.0,
        "api_error_count_max": 3.0,
        "api_error_window_s": 60.0,
        "order_failure_count_max": 5.0,
        "order_failure_window_s": 86_400.0,
        "failed_trade_count_max": 5.0,
        "failed_trade_window_s": 3600.0,
        "breaker_lock_s": 900.0,
        "breaker_trip_count_max": 3.0,
        "breaker_trip_window_s": 21_600.0,
        "resting_review_s": 60.0,
        "margin_leverage_max": 15.0,
        "atr_frac_max": 0.05,
        "gross_leverage_max": 6.0,
        "chop_leverage_unsure_max": 2.0,
        "chop_leverage_max": 3.0,
        "base_leverage_max": 3.0,
        "trend_leverage_unsure_max": 4.0,
        "trend_leverage_max": 6.0,
        "chop_risk_frac_max": 0.003,
        "base_risk_frac_max": 0.005,
        "trend_risk_frac_max": 0.007,
        "cost_frac": 0.0011,
        "trend_score_min": 0.9,
        "chop_score_max": 0.65,
        "unknown_regime": 0.0,
        **SET_A,
        "take_profit_atr": 1.2,
        "take_profit_trend_min": 0.6,
        "trail_atr": 1.0,
        "exit_bar_s": 900.0,
        "young_idle_bar_count_max": 12.0,
        "young_bar_count_max": 24.0,
        "old_idle_bar_count_max": 24.0,
        "chop_loss_frac_max": 0.01,
        "margin_loss_frac_max": 0.125,
    },
    "layered@1": {
        "day_loss_frac_max": 0.05,
        "week_loss_frac_max": 0.10,
        "total_drawdown_frac_max": 0.20,
        "symbol_exposure_frac_max": 0.30,
        "strategy_exposure_frac_max": 0.60,
        "total_exposure_frac_max": 0.90,
        "net_exposure_frac_max": 0.60,
        "position_count_max": 10.0,
        "consec_loss_breaker_count_max": 10.0,
        "api_error_count_max": 3.0,
        "api_error_window_s": 60.0,
        "order_failure_count_max": 5.0,
        "order_failure_window_s": inf,
        "failed_trade_count_max": 5.0,
        "failed_trade_window_s": 3600.0,
        "breaker_lock_s": inf,
        "stop_hit_lock_s": 0.0,
    },
}

OFF = {
    "balanced@1": {
        Code.CONTROLLER_DEAD,
        Code.ORDER_QUANTITY,
        Code.KILL_SCORE,
        Code.NEWS_WINDOW,
        Code.SESSION_FLAT,
    },
    "crypto-futures@1": {
        Code.WEEKLY_LOSS,
        Code.EQUITY_GUARD,
        Code.LOSS_HEADROOM,
        Code.ORDER_QUANTITY,
        Code.STRATEGY_EXPOSURE,
        Code.CONSEC_LOSS_BREAKER,
        Code.CLUSTER_CAP,
        Code.CORRELATION_VETO,
        Code.KILL_SCORE,
        Code.DAILY_RISK_QUOTA,
        Code.KELLY_CAP,
        Code.KELLY_ZERO,
        Code.NEWS_WINDOW,
        Code.SESSION_FLAT,
    },
    "layered@1": {
        Code.CONTROLLER_DEAD,
        Code.DRAWDOWN,
        Code.EMERGENCY_FLATTEN,
        Code.EQUITY_GUARD,
        Code.LOSS_HEADROOM,
        Code.ORDER_QUANTITY,
        Code.SPREAD_SPIKE,
        Code.CONSEC_LOSS,
        Code.ATR_SPIKE,
        Code.GROSS_LEVERAGE,
        Code.TRADE_RISK,
        Code.LIQUIDATION_DISTANCE,
        Code.CLUSTER_CAP,
        Code.CORRELATION_VETO,
        Code.KILL_SCORE,
        Code.DAILY_RISK_QUOTA,
        Code.KELLY_CAP,
        Code.KELLY_ZERO,
        Code.NEWS_WINDOW,
        Code.SESSION_FLAT,
        *EXIT_RULES,
    },
}

DOCUMENTS = sorted(FIGURES)
"""Presets whose figures are a document's, to be repeated and not to be changed."""

PRESETS = sorted(OFF)


def test_the_package_has_these_presets() -> None:
    assert sorted(preset_texts()) == PRESETS


def limits_of(preset: str) -> Limits:
    return compiled(HEAD.replace("crypto-futures@1", preset)).limits[0]


@pytest.mark.parametrize("preset", DOCUMENTS)
def test_a_preset_carries_the_figures_of_its_document(preset: str) -> None:
    limits = limits_of(preset)
    assert {name: getattr(limits, name) for name in FIGURES[preset]} == FIGURES[preset]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_leaves_off_no_more_than_it_says(preset: str) -> None:
    limits = limits_of(preset)
    assert {code for code in SWITCHABLE if not is_on(limits, code)} == OFF[preset]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_every_number_that_its_rules_read(preset: str) -> None:
    policy = compiled(HEAD.replace("crypto-futures@1", preset))
    limits = policy.limits[0]
    owned = policy.exit_owner != "any"
    assert [is_complete(each, owned=owned) for each in policy.limits] == [1.0] * len(policy.limits)
    given = {name for name in LIMIT_FIELDS if not isnan(getattr(limits, name))}
    read = {name for name, limit in LIMIT_FIELDS.items() if any(is_on(limits, rule) for rule in limit.rules)}
    waits = {"breaker_trip_count_max", "breaker_trip_window_s"} if preset == "layered@1" else set()
    assert read - given == {"size_quantity", "size_frac", "size_stop_atr", "size_target_atr"} | waits
    assert given - read == ({"flatten_retry_s_min", "flatten_retry_s_max"} if preset == "layered@1" else set())


@pytest.mark.parametrize("preset", PRESETS)
def test_a_number_that_is_not_the_documents_says_whose_it_is(preset: str) -> None:
    leaves = read_preset(preset_texts()[preset])
    numbers = {path: leaf for path, leaf in leaves.items() if path in SLOT_AT}
    documents = leaves.get(("preset", "why"))
    of_the_document = {path for path, leaf in numbers.items() if documents and leaf.why == documents.text}
    assert {SLOT_AT[path].name for path in of_the_document} <= FIGURES.get(preset, {}).keys()
    assert all(len(leaf.why.split()) >= 4 for path, leaf in numbers.items() if path not in of_the_document)


def test_owners_of_exits_and_the_kill_switch() -> None:
    crypto, layered = (compiled(HEAD.replace("crypto-futures@1", preset)) for preset in DOCUMENTS)
    assert (crypto.exit_owner, layered.exit_owner) == ("controller", "any")
    assert crypto.kill_mode is layered.kill_mode is KillMode.REDUCE_ONLY


def test_the_example_has_ten_lines_and_compiles() -> None:
    file = EXAMPLES / "policy.toml"
    assert len(file.read_text().splitlines()) == 10
    policy = load_policy(file)
    limits = policy.compile(NOW_NS).limits[0]
    assert (limits.day_loss_frac_max, limits.drawdown_frac_max) == (0.02, 0.08)
    assert policy.leaves["rules", "DAILY_LOSS", "loss"].origin == "file"
    assert policy.leaves["rules", "DRAWDOWN", "loss"].origin == "crypto-futures@1"


def test_the_sample_universe_leaves_xrp_outside() -> None:
    sample = load_policy(EXAMPLES / "universe.toml").compile(NOW_NS)
    assert {symbol.symbol.removesuffix("USDT"): symbol.margin_leverage for symbol in sample.universe} == {
        "BTC": 8.0, "ETH": 10.0, "BNB": 12.0, "SOL": 6.0, "ADA": 15.0,
        "DOT": 7.0, "AVAX": 9.0, "MATIC": 11.0, "LINK": 8.0, "ATOM": 10.0,
    }  # fmt: skip
    by_name = {symbol.symbol: sample.limits[symbol.limits] for symbol in sample.universe}
    assert (by_name["SOLUSDT"].spread_bps_max, by_name["BTCUSDT"].spread_bps_max) == (30.0, 50.0)
    assert "XRPUSDT" not in by_name


def test_symbols_with_equal_numbers_share_them() -> None:
    sample = load_policy(EXAMPLES / "universe.toml").compile(NOW_NS)
    encoded = [msgspec.msgpack.encode(limits) for limits in sample.limits]
    assert len(set(encoded)) == len(encoded) == 8


def test_the_losses_of_balanced_stand_in_their_order() -> None:
    p = limits_of("balanced@1")
    assert p.day_loss_frac_max == pytest.approx(5 * p.base_risk_frac_max)
    assert p.week_loss_frac_max == pytest.approx(2 * p.day_loss_frac_max)
    assert p.week_loss_frac_max + p.day_loss_frac_max < p.drawdown_frac_max < p.emergency_drawdown_frac_max
    assert 1 - (1 - p.drawdown_frac_max) ** 2 == pytest.approx(0.154, abs=0.001)
    assert p.emergency_drawdown_frac_max < p.total_drawdown_frac_max < 0.154
    assert p.total_drawdown_frac_max < 1 - p.equity_floor_frac_min == pytest.approx(0.2)
    assert p.warn_frac_min * p.day_loss_frac_max + p.trend_risk_frac_max == pytest.approx(p.day_loss_frac_max)
    assert (p.warn_frac_min - p.warn_rearm_frac_max) * p.day_loss_frac_max == pytest.approx(p.quota_slice_frac)
    assert p.consec_loss_count_max * p.base_risk_frac_max == pytest.approx(p.day_loss_frac_max - p.base_risk_frac_max)
    assert p.consec_loss_breaker_count_max * p.base_risk_frac_max == pytest.approx(p.week_loss_frac_max)


def test_the_risks_of_balanced_are_whole_slices() -> None:
    p = limits_of("balanced@1")
    risks = (p.chop_risk_frac_max, p.base_risk_frac_max, p.trend_risk_frac_max)
    assert [risk / p.quota_slice_frac for risk in risks] == pytest.approx([1, 2, 3])
    assert p.quota_order_slice_count_max == pytest.approx(p.trend_risk_frac_max / p.quota_slice_frac)
    assert p.kelly_probe_frac == p.quota_slice_frac
    assert (p.day_loss_frac_max - p.headroom_buffer_frac) / p.quota_slice_frac == pytest.approx(10)
    assert p.position_count_max < 10 == p.quota_day_entry_count_max < p.quota_day_slice_count_max
    assert p.quota_day_slice_count_max * p.quota_slice_frac > p.day_loss_frac_max
    assert p.quota_campaign_slice_count_max == 90 * p.quota_day_slice_count_max
    assert p.runaway_count_max * p.quota_order_slice_count_max == p.quota_day_slice_count_max
    assert p.kelly_trade_count_min * p.kelly_probe_frac < p.drawdown_frac_max
    assert p.kelly_multiplier * 0.05 == pytest.approx(p.base_risk_frac_max)
    assert p.kelly_prior_count == p.kelly_trade_count_min


def test_the_exposures_of_balanced_leave_each_other_room() -> None:
    """None of them is so large that another one is always reached first."""
    p = limits_of("balanced@1")
    assert 0.1 * p.symbol_exposure_frac_max < p.drawdown_frac_max
    assert p.strategy_exposure_frac_max == 2 * p.symbol_exposure_frac_max
    assert p.total_exposure_frac_max == p.gross_leverage_max < 2 * p.strategy_exposure_frac_max
    assert p.equity_gap_frac_max == pytest.approx(0.01 * p.gross_leverage_max)
    assert 0.05 * p.net_exposure_frac_max == pytest.approx(p.emergency_drawdown_frac_max)
    assert p.symbol_exposure_frac_max < p.cluster_exposure_frac_max < p.correlated_exposure_frac_max
    assert p.correlated_exposure_frac_max == pytest.approx(0.6 * p.total_exposure_frac_max)
    assert p.net_exposure_frac_max == pytest.approx(0.8 * p.total_exposure_frac_max)
    assert p.base_leverage_max < p.symbol_exposure_frac_max < p.trend_leverage_max
    for leverage, risk, stop in (
        (p.chop_leverage_unsure_max, p.chop_risk_frac_max, 0.011),
        (p.chop_leverage_max, p.chop_risk_frac_max, 0.0085),
        (p.base_leverage_max, p.base_risk_frac_max, 0.0085),
        (p.trend_leverage_max, p.trend_risk_frac_max, 0.006),
    ):
        assert leverage * (stop + p.cost_frac) == pytest.approx(risk)


def test_stops_under_balanced_are_reached_before_liquidation() -> None:
    p = limits_of("balanced@1")
    liquidated, widest = 1 / p.margin_leverage_max - 0.005, 1.8 * p.atr_frac_max
    assert liquidated == pytest.approx(0.095)
    assert widest < p.margin_loss_frac_max / p.margin_leverage_max < liquidated
    assert widest + p.liquidation_buffer_frac < liquidated
    assert p.total_exposure_frac_max / p.margin_leverage_max == pytest.approx(0.25)


def test_the_times_of_balanced_agree() -> None:
    p = limits_of("balanced@1")
    assert p.correlation_bar_s == p.exit_bar_s == p.consec_loss_lock_s == p.stop_hit_lock_s == 4 * HOUR_S
    assert p.young_bar_count_max * p.exit_bar_s == p.score_age_s_max
    assert p.correlation_age_s_max == 3 * p.correlation_bar_s + HOUR_S
    assert CORRELATION_RETURNS_MIN * p.correlation_bar_s == 5 * 24 * HOUR_S
    assert p.correlation_decay**23 < 0.5 < p.correlation_decay**22
    assert (
        p.permit_ttl_s == p.order_interval_s == p.intent_age_s_max == 2 * p.clock_venue_gap_s_max == 10 * p.clock_step_s_max
    )
    assert p.order_burst_count_max == p.failed_trade_count_max == p.position_count_max
    assert p.order_failure_count_max == p.quota_day_entry_count_max / 2
    assert p.reconciled_age_s_max == p.equity_age_s_max / 2 == p.api_error_window_s
    assert p.close_patience_s == CLOSE_PATIENCE_S_MAX
    assert p.trend_score_min - p.chop_score_max == pytest.approx(5 * SCORE_WIDTH)


def test_the_way_out_of_balanced_needs_two_that_agree() -> None:
    """No component of the kill score closes alone, and any two do that are in full."""
    p = limits_of("balanced@1")
    enough = log(p.kill_exit_score_min / (1 - p.kill_exit_score_min))
    parts = [p.flip_weight, p.sigma_weight * p.sigma_cap, p.trend_weight * p.trend_cap, p.age_weight]
    assert max(parts) < enough < min(map(sum, combinations(parts, 2)))
    assert 1.8 * p.lock_r_min - p.trail_atr == pytest.approx(0.7)
    assert p.cost_frac < p.lock_frac
    assert p.spread_bps_max == p.exit_cost_bps == pytest.approx(p.cost_frac * 1e4)
