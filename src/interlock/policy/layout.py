"""
Where each limit stands in a policy file: one line per number, in the order in which a file reads well.

Numbers that one rule reads stand under `rules.<CODE>`; those that several rules share stand in `account`, `proof`,
`breaker`, `exits`, `market`, `score` and `record`. What a number means, its unit and which direction is stricter is said
in `core.limits`.
"""

from dataclasses import dataclass, field
from math import inf
from typing import Final

from interlock.core.codes import Code
from interlock.core.constants import CLOSE_PATIENCE_S_MAX, OUTCOMES, RING
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE, Limit
from interlock.policy.problems import Path

MARGIN_LEVERAGE_X_MAX: Final = 15.0
"""Largest margin leverage that a policy may name, from the source values of 6 to 15."""

VALID_FOR_S_MAX: Final = 366.0 * 86_400.0
"""Longest time for which a policy may be used without being published anew."""

UNTIL_OPERATOR: Final = {"until operator": inf}
SINCE_RESET: Final = {"since reset": inf}
AT_ENTRY: Final = {"entry": 0.0}
BY_LABEL: Final = {"label": 0.0}
VETO: Final = {"veto": 0.0}
AFTER_A_STOP: Final = {"next risk day": 0.0, "next rebalance": -1.0, "until operator": inf}


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one limit: its path, the field of `Limits` that it fills, and what values make sense there."""

    path: Path
    name: str
    zero: bool = False
    most: float = inf
    under: float = inf
    words: dict[str, float] = field(default_factory=dict)

    @property
    def limit(self) -> Limit:
        """What the number means."""
        return LIMIT_FIELDS[self.name]

    @property
    def rule(self) -> Code | None:
        """The rule under whose name it stands, None for a number that several rules share."""
        return Code(self.path[1]) if self.path[0] == "rules" else None


def _slot(
    path: str,
    name: str,
    *,
    zero: bool = False,
    most: float = inf,
    under: float = inf,
    words: dict[str, float] | None = None,
) -> Slot:
    return Slot(tuple(path.split(".")), name, zero, most, under, words or {})


SLOTS: Final[tuple[Slot, ...]] = (
    _slot("account.margin_leverage", "margin_leverage_max", most=MARGIN_LEVERAGE_X_MAX),
    _slot("account.cost", "cost_frac", zero=True, under=1.0),
    _slot("account.rebase_after_drawdown", "drawdown_rebase", zero=True),
    _slot("rules.DAILY_LOSS.loss", "day_loss_frac_max", under=1.0),
    _slot("rules.WEEKLY_LOSS.loss", "week_loss_frac_max", under=1.0),
    _slot("rules.DRAWDOWN.loss", "drawdown_frac_max", under=1.0),
    _slot("rules.DRAWDOWN.lock", "drawdown_lock_s", words=UNTIL_OPERATOR),
    _slot("rules.EMERGENCY_FLATTEN.loss", "emergency_drawdown_frac_max", under=1.0),
    _slot("rules.EMERGENCY_FLATTEN.lock", "emergency_lock_s", words=UNTIL_OPERATOR),
    _slot("rules.TOTAL_DRAWDOWN.loss", "total_drawdown_frac_max", under=1.0),
    _slot("rules.EQUITY_GUARD.floor", "equity_floor_frac_min", under=1.0),
    _slot("rules.LOSS_HEADROOM.buffer", "headroom_buffer_frac", zero=True, under=1.0),
    _slot("rules.LOSS_HEADROOM.no_stop_gap", "no_stop_gap_frac", most=1.0),
    _slot("rules.WARN.at", "warn_frac_min", under=1.0),
    _slot("rules.WARN.rearm", "warn_rearm_frac_max", under=1.0),
    _slot("proof.marks", "confirm_mark_count_min"),
    _slot("proof.time", "confirm_s_min", zero=True),
    _slot("rules.SYMBOL_EXPOSURE.exposure", "symbol_exposure_frac_max"),
    _slot("rules.STRATEGY_EXPOSURE.exposure", "strategy_exposure_frac_max"),
    _slot("rules.TOTAL_EXPOSURE.exposure", "total_exposure_frac_max"),
    _slot("rules.NET_EXPOSURE.exposure", "net_exposure_frac_max"),
    _slot("rules.CONCURRENT_POSITIONS.positions", "position_count_max"),
    _slot("rules.CLUSTER_CAP.exposure", "cluster_exposure_frac_max"),
    _slot("rules.CORRELATION_VETO.correlation", "correlation_max", zero=True, under=1.0),
    _slot("rules.CORRELATION_VETO.exposure", "correlated_exposure_frac_max", words=VETO),
    _slot("rules.CORRELATION_VETO.bar", "correlation_bar_s"),
    _slot("rules.CORRELATION_VETO.decay", "correlation_decay", under=1.0),
    _slot("rules.CORRELATION_VETO.age", "correlation_age_s_max"),
    _slot("rules.ORDER_NOTIONAL.notional", "order_notional_max"),
    _slot("rules.ORDER_QUANTITY.quantity", "order_quantity_max"),
    _slot("rules.ORDER_RATE.interval", "order_interval_s"),
    _slot("rules.ORDER_RATE.burst", "order_burst_count_max"),
    _slot("rules.SPREAD_SPIKE.spread", "spread_bps_max"),
    _slot("rules.ATR_SPIKE.atr", "atr_frac_max"),
    _slot("rules.TRADE_RISK.chop", "chop_risk_frac_max", under=1.0),
    _slot("rules.TRADE_RISK.base", "base_risk_frac_max", under=1.0),
    _slot("rules.TRADE_RISK.trend", "trend_risk_frac_max", under=1.0),
    _slot("rules.DAILY_RISK_QUOTA.slice", "quota_slice_frac", under=1.0),
    _slot("rules.DAILY_RISK_QUOTA.order_slices", "quota_order_slice_count_max"),
    _slot("rules.DAILY_RISK_QUOTA.day_entries", "quota_day_entry_count_max"),
    _slot("rules.DAILY_RISK_QUOTA.day_slices", "quota_day_slice_count_max"),
    _slot("rules.DAILY_RISK_QUOTA.campaign_slices", "quota_campaign_slice_count_max"),
    _slot("rules.KELLY_CAP.multiplier", "kelly_multiplier", most=1.0),
    _slot("rules.KELLY_CAP.probe", "kelly_probe_frac", under=1.0),
    _slot("rules.KELLY_CAP.prior", "kelly_prior_count", zero=True),
    _slot("rules.KELLY_CAP.above_floor", "kelly_above_floor", zero=True),
    _slot("rules.KELLY_CAP.scale_rebalances", "kelly_scale", zero=True),
    _slot("rules.KELLY_ZERO.lock", "kelly_zero_lock_s"),
    _slot("rules.GROSS_LEVERAGE.total", "gross_leverage_max"),
    _slot("rules.GROSS_LEVERAGE.chop_unsure", "chop_leverage_unsure_max"),
    _slot("rules.GROSS_LEVERAGE.chop", "chop_leverage_max"),
    _slot("rules.GROSS_LEVERAGE.base", "base_leverage_max"),
    _slot("rules.GROSS_LEVERAGE.trend_unsure", "trend_leverage_unsure_max"),
    _slot("rules.GROSS_LEVERAGE.trend", "trend_leverage_max"),
    _slot("rules.LIQUIDATION_DISTANCE.buffer", "liquidation_buffer_frac", zero=True, under=1.0),
    _slot("rules.PRICE_COLLAR.collar", "collar_frac_max", under=1.0),
    _slot("rules.MARKET_STALE.age", "mark_age_s_max"),
    _slot("rules.MARKET_STALE.jump", "mark_jump_frac_max", under=1.0),
    _slot("rules.INTENT_STALE.age", "intent_age_s_max"),
    _slot("rules.INTENT_STALE.permit_life", "permit_ttl_s"),
    _slot("rules.EQUITY_STALE.age", "equity_age_s_max"),
    _slot("rules.EQUITY_IMPLAUSIBLE.gap", "equity_gap_frac_max", under=1.0),
    _slot("rules.EQUITY_IMPLAUSIBLE.patience", "unexplained_patience_s", zero=True),
    _slot("rules.POSITION_UNRECONCILED.age", "reconciled_age_s_max"),
    _slot("rules.CLOCK_UNTRUSTED.step", "clock_step_s_max"),
    _slot("rules.CLOCK_UNTRUSTED.venue_gap", "clock_venue_gap_s_max"),
    _slot("rules.TRADING_REDUCING.resting_review", "resting_review_s"),
    _slot("rules.CONSEC_LOSS.losses", "consec_loss_count_max"),
    _slot("rules.CONSEC_LOSS.lock", "consec_loss_lock_s", words=UNTIL_OPERATOR),
    _slot("rules.CONSEC_LOSS_BREAKER.losses", "consec_loss_breaker_count_max"),
    _slot("rules.API_ERRORS.errors", "api_error_count_max", most=RING),
    _slot("rules.API_ERRORS.window", "api_error_window_s"),
    _slot("rules.ORDER_FAILURES.failures", "order_failure_count_max", most=RING),
    _slot("rules.ORDER_FAILURES.window", "order_failure_window_s", words=SINCE_RESET),
    _slot("rules.FAILED_TRADES.trades", "failed_trade_count_max", most=RING),
    _slot("rules.FAILED_TRADES.window", "failed_trade_window_s"),
    _slot("rules.RUNAWAY.orders", "runaway_count_max", most=RING),
    _slot("rules.RUNAWAY.window", "runaway_window_s"),
    _slot("rules.STOP_HIT.lock", "stop_hit_lock_s", words=AFTER_A_STOP),
    _slot("rules.STOP_HIT.both_sides", "stop_hit_both_sides", zero=True),
    _slot("rules.TAKE_PROFIT.distance", "take_profit_atr"),
    _slot("rules.TAKE_PROFIT.trend", "take_profit_trend_min", zero=True, most=1.0),
    _slot("rules.TRAILING_STOP.distance", "trail_atr"),
    _slot("rules.TIME_EXIT.bar", "exit_bar_s"),
    _slot("rules.TIME_EXIT.young_idle", "young_idle_bar_count_max"),
    _slot("rules.TIME_EXIT.young", "young_bar_count_max", zero=True),
    _slot("rules.TIME_EXIT.old_idle", "old_idle_bar_count_max"),
    _slot("rules.REGIME_EXIT.loss", "chop_loss_frac_max", zero=True, under=1.0),
    _slot("rules.LOSS_EXIT.loss", "margin_loss_frac_max", most=1.0),
    _slot("rules.HARVEST.first", "rung_1_r_min"),
    _slot("rules.HARVEST.second", "rung_2_r_min"),
    _slot("rules.HARVEST.third", "rung_3_r_min"),
    _slot("rules.PROFIT_LOCK.from", "lock_r_min"),
    _slot("rules.PROFIT_LOCK.beyond", "lock_frac", zero=True, under=1.0),
    _slot("rules.KILL_EXIT.score", "kill_exit_score_min", under=1.0),
    _slot("rules.KILL_SCORE.shrink", "kill_score_min", under=1.0),
    _slot("rules.KILL_SCORE.critical", "kill_score_critical", under=1.0),
    _slot("rules.KILL_SCORE.decay", "kill_score_decay", zero=True),
    _slot("rules.KILL_SCORE.least", "kill_score_share_min", zero=True, most=1.0),
    _slot("rules.SESSION_FLAT.lead", "flat_lead_s", zero=True),
    _slot("breaker.lock", "breaker_lock_s", words=UNTIL_OPERATOR),
    _slot("breaker.trips", "breaker_trip_count_max", most=RING),
    _slot("breaker.trip_window", "breaker_trip_window_s"),
    _slot("exits.heartbeat", "controller_age_s_max"),
    _slot("exits.close_patience", "close_patience_s", most=CLOSE_PATIENCE_S_MAX),
    _slot("exits.retry_first", "flatten_retry_s_min"),
    _slot("exits.retry_max", "flatten_retry_s_max"),
    _slot("market.age", "market_state_age_s_max"),
    _slot("market.trend", "trend_score_min", under=2.0),
    _slot("market.chop", "chop_score_max", under=2.0),
    _slot("market.unknown", "unknown_regime", zero=True),
    _slot("exits.cost", "exit_cost_bps", zero=True),
    _slot("score.flip", "flip_trend_min", under=1.0, words=BY_LABEL),
    _slot("score.flip_weight", "flip_weight", zero=True),
    _slot("score.sigma", "sigma_ref", words=AT_ENTRY),
    _slot("score.sigma_cap", "sigma_cap"),
    _slot("score.sigma_weight", "sigma_weight", zero=True),
    _slot("score.strength", "trend_ref", most=1.0, words=AT_ENTRY),
    _slot("score.strength_cap", "trend_cap", most=1.0),
    _slot("score.strength_weight", "trend_weight", zero=True),
    _slot("score.age", "score_age_s_max"),
    _slot("score.age_weight", "age_weight", zero=True),
    _slot("record.trades", "kelly_trade_count_min"),
    _slot("record.window", "kelly_window_count_max", most=OUTCOMES),
    _slot("sizing.quantity", "size_quantity"),
    _slot("sizing.fraction", "size_frac"),
    _slot("sizing.stop", "size_stop_atr"),
    _slot("sizing.target", "size_target_atr"),
)

SLOT_AT: Final[dict[Path, Slot]] = {slot.path: slot for slot in SLOTS}

RULES: Final[tuple[Code, ...]] = tuple(
    dict.fromkeys([slot.rule for slot in SLOTS if slot.rule is not None] + list(SWITCHABLE))
)
"""Every rule that a file can set: those with numbers, and those that can only be on or off."""

SYMBOL_RULES: Final[tuple[Code, ...]] = (
    Code.MARKET_STALE,
    Code.SPREAD_SPIKE,
    Code.ATR_SPIKE,
    Code.TRADE_RISK,
    Code.LIQUIDATION_DISTANCE,
    Code.PRICE_COLLAR,
    Code.ORDER_NOTIONAL,
    Code.ORDER_QUANTITY,
    Code.SYMBOL_EXPOSURE,
    Code.RUNAWAY,
    Code.STOP_HIT,
    Code.STOP_REQUIRED,
    Code.SESSION_CLOSED,
    Code.NEWS_WINDOW,
    Code.SESSION_FLAT,
)
"""Rules about one symbol: `universe.<symbol>.rules` may set them anew."""


LABELS: Final = ("CHOP", "BASE", "TREND")
LABEL_RULES: Final[tuple[Code, ...]] = (Code.HARVEST, Code.PROFIT_LOCK, Code.KILL_EXIT)
"""Rules of the way out that `regimes.<label>` may set anew for positions entered in that regime, with `score`."""


def slots_of(rule: Code) -> tuple[Slot, ...]:
    """The numbers that stand under the rule's name; empty for a rule that is only on or off."""
    return tuple(slot for slot in SLOTS if slot.rule is rule)
