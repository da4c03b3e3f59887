from math import inf, isnan
from pathlib import Path

import msgspec
import pytest

import exitkit
from interlock.core.absorb import is_complete
from interlock.core.codes import Code, KillMode
from interlock.core.limits import EXIT_RULES, LIMIT_FIELDS, SWITCHABLE, is_on
from interlock.policy.layout import SLOT_AT
from interlock.policy.load import load_policy, preset_texts, read_preset
from oracle.harvest import SETS
from unit.policy.policy_texts import HEAD, NOW_NS, compiled

EXAMPLES = Path(__file__).parents[3] / "examples"

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

PRESETS = sorted(FIGURES)


def test_the_package_has_these_presets() -> None:
    assert sorted(preset_texts()) == PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_carries_the_figures_of_its_document(preset: str) -> None:
    limits = compiled(HEAD.replace("crypto-futures@1", preset)).limits[0]
    assert {name: getattr(limits, name) for name in FIGURES[preset]} == FIGURES[preset]
    assert {code for code in SWITCHABLE if not is_on(limits, code)} == OFF[preset]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_every_number_that_its_rules_read(preset: str) -> None:
    policy = compiled(HEAD.replace("crypto-futures@1", preset))
    limits = policy.limits[0]
    owned = policy.exit_owner != "any"
    assert [is_complete(each, owned=owned) for each in policy.limits] == [1.0] * len(policy.limits)
    given = {name for name in LIMIT_FIELDS if not isnan(getattr(limits, name))}
    read = {name for name, limit in LIMIT_FIELDS.items() if any(is_on(limits, rule) for rule in limit.rules)}
    assert read - given == {"size_quantity", "size_frac", "size_stop_atr", "size_target_atr"}
    assert given - read == ({"flatten_retry_s_min", "flatten_retry_s_max"} if preset == "layered@1" else set())


@pytest.mark.parametrize("preset", PRESETS)
def test_a_number_that_is_not_the_documents_says_whose_it_is(preset: str) -> None:
    numbers = {path: leaf for path, leaf in read_preset(preset_texts()[preset]).items() if path in SLOT_AT}
    of_the_document = {path for path, leaf in numbers.items() if not leaf.why}
    assert {SLOT_AT[path].name for path in of_the_document} <= FIGURES[preset].keys()
    assert all(len(leaf.why.split()) >= 4 for path, leaf in numbers.items() if path not in of_the_document)


def test_owners_of_exits_and_the_kill_switch() -> None:
    crypto, layered = (compiled(HEAD.replace("crypto-futures@1", preset)) for preset in PRESETS)
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
