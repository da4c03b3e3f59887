"""
Every number that the engine enforces, named once, with its unit.

`Limits` is what the core reads; a policy compiles one per symbol (shared where equal). There are no defaults: a policy
names each number or inherits it. A rule that a policy switches off clears its bit in `active`; its numbers are then NaN.
"""

from functools import lru_cache
from math import nan
from typing import Annotated, Final, Literal, get_type_hints

import msgspec

from interlock.core.codes import Code

Unit = Literal["frac", "bps", "s", "count", "money", "quantity", "x", "flag", "regime"]
Tighter = Literal["lower", "higher", "neither"]


class Limit(msgspec.Struct, frozen=True):
    """What a number means: its unit, the rules that read it, and in which direction it is stricter."""

    unit: Unit
    tighter: Tighter
    rules: tuple[Code, ...]
    of: str = ""


# A bit in `Limits.active` for each rule that a policy may switch off. Append only: the bits are in old ledgers.
SWITCHABLE: Final[tuple[Code, ...]] = (
    Code.POLICY_MISSING_LEVERAGE,
    Code.POLICY_MISSING_SIZE,
    Code.SESSION_CLOSED,
    Code.CONTROLLER_DEAD,
    Code.DAILY_LOSS,
    Code.WEEKLY_LOSS,
    Code.DRAWDOWN,
    Code.TOTAL_DRAWDOWN,
    Code.EQUITY_GUARD,
    Code.LOSS_HEADROOM,
    Code.SPREAD_SPIKE,
    Code.ORDER_QUANTITY,
    Code.ORDER_RATE,
    Code.SYMBOL_EXPOSURE,
    Code.STRATEGY_EXPOSURE,
    Code.NET_EXPOSURE,
    Code.CONCURRENT_POSITIONS,
    Code.FREE_MARGIN,
    Code.STOP_REQUIRED,
    Code.WARN,
    Code.EMERGENCY_FLATTEN,
    Code.CONSEC_LOSS,
    Code.CONSEC_LOSS_BREAKER,
    Code.API_ERRORS,
    Code.ORDER_FAILURES,
    Code.FAILED_TRADES,
    Code.RUNAWAY,
    Code.STOP_HIT,
    Code.ATR_SPIKE,
    Code.GROSS_LEVERAGE,
    Code.TRADE_RISK,
    Code.LIQUIDATION_DISTANCE,
    Code.KILL_SCORE,
    Code.STOP_EXIT,
    Code.TARGET_EXIT,
    Code.TAKE_PROFIT,
    Code.TRAILING_STOP,
    Code.TIME_EXIT,
    Code.REGIME_EXIT,
    Code.LOSS_EXIT,
    Code.HARVEST,
    Code.PROFIT_LOCK,
    Code.KILL_EXIT,
    Code.DAILY_RISK_QUOTA,
    Code.KELLY_CAP,
    Code.KELLY_ZERO,
    Code.NEWS_WINDOW,
    Code.SESSION_FLAT,
    Code.CLUSTER_CAP,
    Code.CORRELATION_VETO,
)

DAILY_LOSS_BIT: Final = SWITCHABLE.index(Code.DAILY_LOSS)
WEEKLY_LOSS_BIT: Final = SWITCHABLE.index(Code.WEEKLY_LOSS)
DRAWDOWN_BIT: Final = SWITCHABLE.index(Code.DRAWDOWN)
TOTAL_DRAWDOWN_BIT: Final = SWITCHABLE.index(Code.TOTAL_DRAWDOWN)
EQUITY_GUARD_BIT: Final = SWITCHABLE.index(Code.EQUITY_GUARD)

EXIT_RULES: Final = (
    Code.STOP_EXIT,
    Code.TARGET_EXIT,
    Code.TAKE_PROFIT,
    Code.TRAILING_STOP,
    Code.TIME_EXIT,
    Code.REGIME_EXIT,
    Code.LOSS_EXIT,
    Code.KILL_EXIT,
    Code.HARVEST,
    Code.PROFIT_LOCK,
)
"""Rules of the way out, in the order in which they are asked. With all of them off the exit engine does nothing."""

SCORE_RULES: Final = (Code.KILL_EXIT, Code.KILL_SCORE)
"""Rules that read the kill score."""

REGIME_RULES: Final = (Code.GROSS_LEVERAGE, Code.TRADE_RISK)
"""Rules whose numbers depend on a symbol's regime."""

COST_RULES: Final = (Code.LOSS_HEADROOM, Code.TRADE_RISK, Code.DAILY_RISK_QUOTA, Code.KELLY_CAP)
"""Rules that bound what is lost at a stop, costs included."""

KELLY_RULES: Final = (Code.KELLY_CAP, Code.KELLY_ZERO)
"""Rules that read what a strategy's closed trades came to."""

STATE_RULES: Final = (
    Code.ATR_SPIKE,
    *REGIME_RULES,
    Code.KILL_SCORE,
    Code.TAKE_PROFIT,
    Code.TRAILING_STOP,
    Code.REGIME_EXIT,
    Code.KILL_EXIT,
    Code.HARVEST,
    Code.PROFIT_LOCK,
)
"""Rules that read a symbol's market state, be it only which regime's numbers hold for them."""

LABEL_RULES: Final = (
    *REGIME_RULES,
    Code.REGIME_EXIT,
    Code.KILL_EXIT,
    Code.KILL_SCORE,
    Code.TAKE_PROFIT,
    Code.HARVEST,
    Code.PROFIT_LOCK,
)
"""Rules that read its regime or the probabilities of one."""


class Limits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    The numbers of one symbol, fractions as 0..1, times in seconds, money in account currency.

    A lock length of infinity lasts until an operator ends it.
    """

    active: int

    intent_age_s_max: Annotated[float, Limit("s", "lower", (Code.INTENT_STALE,), "since the intent was made")]
    equity_age_s_max: Annotated[float, Limit("s", "lower", (Code.EQUITY_STALE,), "since the venue confirmed equity")]
    equity_gap_frac_max: Annotated[
        float, Limit("frac", "lower", (Code.EQUITY_IMPLAUSIBLE,), "of the larger of venue and own equity")
    ]
    mark_age_s_max: Annotated[float, Limit("s", "lower", (Code.MARKET_STALE,), "since the last accepted quote")]
    mark_jump_frac_max: Annotated[float, Limit("frac", "lower", (Code.MARKET_STALE,), "of the last accepted mark")]
    reconciled_age_s_max: Annotated[
        float,
        Limit("s", "lower", (Code.POSITION_UNRECONCILED, Code.HEARTBEAT_LOST), "since the venue confirmed positions"),
    ]
    controller_age_s_max: Annotated[
        float,
        Limit(
            "s",
            "lower",
            (Code.CONTROLLER_DEAD, Code.NOT_EXIT_OWNER, Code.HEARTBEAT_LOST),
            "since the exit owner's heartbeat",
        ),
    ]
    clock_step_s_max: Annotated[
        float, Limit("s", "lower", (Code.CLOCK_UNTRUSTED, Code.INTENT_STALE), "between wall clock and monotonic clock")
    ]
    clock_venue_gap_s_max: Annotated[float, Limit("s", "lower", (Code.CLOCK_UNTRUSTED,), "between wall clock and venue")]

    day_loss_frac_max: Annotated[float, Limit("frac", "lower", (Code.DAILY_LOSS,), "of the equity at day open")]
    week_loss_frac_max: Annotated[float, Limit("frac", "lower", (Code.WEEKLY_LOSS,), "of the equity at week open")]
    drawdown_frac_max: Annotated[float, Limit("frac", "lower", (Code.DRAWDOWN,), "of the drawdown reference")]
    drawdown_lock_s: Annotated[float, Limit("s", "higher", (Code.DRAWDOWN,), "of no new risk after a drawdown")]
    drawdown_rebase: Annotated[
        float, Limit("flag", "lower", (Code.DRAWDOWN, Code.EMERGENCY_FLATTEN), "take a new reference when it ends")
    ]
    emergency_drawdown_frac_max: Annotated[
        float, Limit("frac", "lower", (Code.EMERGENCY_FLATTEN,), "of the drawdown reference")
    ]
    emergency_lock_s: Annotated[float, Limit("s", "higher", (Code.EMERGENCY_FLATTEN,), "of no new risk after it")]
    total_drawdown_frac_max: Annotated[float, Limit("frac", "lower", (Code.TOTAL_DRAWDOWN,), "of peak equity")]
    equity_floor_frac_min: Annotated[float, Limit("frac", "higher", (Code.EQUITY_GUARD,), "of the initial balance")]
    headroom_buffer_frac: Annotated[
        float, Limit("frac", "higher", (Code.LOSS_HEADROOM,), "of the initial balance, kept above the nearest floor")
    ]
    no_stop_gap_frac: Annotated[
        float, Limit("frac", "higher", (Code.LOSS_HEADROOM,), "of notional at risk where there is no stop")
    ]
    cost_frac: Annotated[float, Limit("frac", "higher", COST_RULES, "of notional lost to fees and slippage")]
    warn_frac_min: Annotated[float, Limit("frac", "lower", (Code.WARN,), "of a limit in use")]
    warn_rearm_frac_max: Annotated[float, Limit("frac", "lower", (Code.WARN,), "of a limit in use")]
    confirm_mark_count_min: Annotated[
        float,
        Limit(
            "count",
            "neither",
            (Code.DAILY_LOSS, Code.WEEKLY_LOSS, Code.DRAWDOWN, Code.TOTAL_DRAWDOWN, Code.EQUITY_GUARD),
            "accepted marks that prove a loss without the venue's figure",
        ),
    ]
    confirm_s_min: Annotated[
        float,
        Limit(
            "s",
            "neither",
            (Code.DAILY_LOSS, Code.WEEKLY_LOSS, Code.DRAWDOWN, Code.TOTAL_DRAWDOWN, Code.EQUITY_GUARD),
            "over which those marks agree",
        ),
    ]
    unexplained_patience_s: Annotated[
        float, Limit("s", "lower", (Code.EQUITY_IMPLAUSIBLE,), "until an unexplained balance change counts as a loss")
    ]

    spread_bps_max: Annotated[float, Limit("bps", "lower", (Code.SPREAD_SPIKE,), "of the mid price")]
    collar_frac_max: Annotated[float, Limit("frac", "lower", (Code.PRICE_COLLAR, Code.MARKET_STALE), "of the mark")]
    order_notional_max: Annotated[float, Limit("money", "lower", (Code.ORDER_NOTIONAL,), "in one order")]
    order_quantity_max: Annotated[float, Limit("quantity", "lower", (Code.ORDER_QUANTITY,), "in one order")]
    order_interval_s: Annotated[float, Limit("s", "neither", (Code.ORDER_RATE,), "between opening orders on average")]
    order_burst_count_max: Annotated[float, Limit("count", "lower", (Code.ORDER_RATE,), "opening orders at once")]
    permit_ttl_s: Annotated[float, Limit("s", "lower", (Code.INTENT_STALE,), "until an unused opening permit ends")]
    resting_review_s: Annotated[
        float, Limit("s", "lower", (Code.TRADING_REDUCING,), "between reviews of a resting opening order")
    ]

    symbol_exposure_frac_max: Annotated[float, Limit("frac", "lower", (Code.SYMBOL_EXPOSURE,), "of equity")]
    strategy_exposure_frac_max: Annotated[float, Limit("frac", "lower", (Code.STRATEGY_EXPOSURE,), "of equity")]
    total_exposure_frac_max: Annotated[float, Limit("frac", "lower", (Code.TOTAL_EXPOSURE,), "of equity")]
    net_exposure_frac_max: Annotated[float, Limit("frac", "lower", (Code.NET_EXPOSURE,), "of equity")]
    position_count_max: Annotated[float, Limit("count", "lower", (Code.CONCURRENT_POSITIONS,), "open and pending")]
    margin_leverage_max: Annotated[
        float, Limit("x", "lower", (Code.POLICY_MISSING_LEVERAGE, Code.FREE_MARGIN), "margin leverage at the venue")
    ]

    consec_loss_count_max: Annotated[float, Limit("count", "lower", (Code.CONSEC_LOSS,), "losing trades in a row")]
    consec_loss_lock_s: Annotated[float, Limit("s", "higher", (Code.CONSEC_LOSS,), "of no new risk after them")]
    consec_loss_breaker_count_max: Annotated[
        float, Limit("count", "lower", (Code.CONSEC_LOSS_BREAKER,), "losing trades that no win interrupts")
    ]
    api_error_count_max: Annotated[float, Limit("count", "lower", (Code.API_ERRORS,), "failed venue calls")]
    api_error_window_s: Annotated[float, Limit("s", "higher", (Code.API_ERRORS,), "in which they are counted")]
    order_failure_count_max: Annotated[
        float, Limit("count", "lower", (Code.ORDER_FAILURES,), "openings rejected or unknown")
    ]
    order_failure_window_s: Annotated[
        float, Limit("s", "higher", (Code.ORDER_FAILURES,), "in which they are counted; infinity: since the last reset")
    ]
    failed_trade_count_max: Annotated[
        float, Limit("count", "lower", (Code.FAILED_TRADES,), "openings that ended with nothing filled")
    ]
    failed_trade_window_s: Annotated[float, Limit("s", "higher", (Code.FAILED_TRADES,), "in which they are counted")]
    breaker_lock_s: Annotated[
        float,
        Limit(
            "s",
            "higher",
            (Code.API_ERRORS, Code.ORDER_FAILURES, Code.FAILED_TRADES),
            "of an open circuit breaker; infinity: until an operator",
        ),
    ]
    breaker_trip_count_max: Annotated[
        float,
        Limit(
            "count",
            "lower",
            (Code.API_ERRORS, Code.ORDER_FAILURES, Code.FAILED_TRADES),
            "trips that leave the breaker open until an operator",
        ),
    ]
    breaker_trip_window_s: Annotated[
        float,
        Limit(
            "s",
            "higher",
            (Code.API_ERRORS, Code.ORDER_FAILURES, Code.FAILED_TRADES),
            "in which those trips are counted",
        ),
    ]
    runaway_count_max: Annotated[
        float, Limit("count", "lower", (Code.RUNAWAY,), "executed openings of one strategy, symbol and side")
    ]
    runaway_window_s: Annotated[float, Limit("s", "higher", (Code.RUNAWAY,), "in which they are counted")]
    stop_hit_lock_s: Annotated[
        float,
        Limit(
            "s",
            "higher",
            (Code.STOP_HIT,),
            "of symbol veto after its stop; 0 is until the next risk day, -1 until the next rebalance",
        ),
    ]
    stop_hit_both_sides: Annotated[float, Limit("flag", "higher", (Code.STOP_HIT,), "veto both sides, not just one")]

    close_patience_s: Annotated[
        float, Limit("s", "lower", (Code.NOTHING_TO_REDUCE,), "for which an unanswered close holds up the next")
    ]
    flatten_retry_s_min: Annotated[float, Limit("s", "lower", (Code.EMERGENCY_FLATTEN,), "before a second attempt")]
    flatten_retry_s_max: Annotated[float, Limit("s", "lower", (Code.EMERGENCY_FLATTEN,), "between later attempts")]

    size_quantity: Annotated[
        float, Limit("quantity", "lower", (Code.POLICY_MISSING_SIZE,), "of an intent that asks for the policy's size")
    ]
    size_frac: Annotated[float, Limit("frac", "lower", (Code.POLICY_MISSING_SIZE,), "of equity, for such an intent")]

    atr_frac_max: Annotated[float, Limit("frac", "lower", (Code.ATR_SPIKE,), "of the mark")] = nan
    market_state_age_s_max: Annotated[
        float,
        Limit("s", "lower", STATE_RULES, "since the bar that the symbol's market state ends with"),
    ] = nan
    trend_score_min: Annotated[
        float, Limit("frac", "higher", LABEL_RULES, "trend strength plus persistence, beyond which a market is TREND")
    ] = nan
    chop_score_max: Annotated[
        float, Limit("frac", "higher", LABEL_RULES, "trend strength plus persistence, below which a market is CHOP")
    ] = nan
    unknown_regime: Annotated[
        float, Limit("regime", "lower", REGIME_RULES, "counts, without confidence, where the regime is not known")
    ] = nan
    gross_leverage_max: Annotated[float, Limit("x", "lower", (Code.GROSS_LEVERAGE,), "equity, of gross exposure")] = nan
    chop_leverage_unsure_max: Annotated[
        float, Limit("x", "lower", (Code.GROSS_LEVERAGE,), "equity, in one symbol that is CHOP at even odds")
    ] = nan
    chop_leverage_max: Annotated[
        float, Limit("x", "lower", (Code.GROSS_LEVERAGE,), "equity, in one symbol that is certainly CHOP")
    ] = nan
    base_leverage_max: Annotated[
        float, Limit("x", "lower", (Code.GROSS_LEVERAGE,), "equity, in one symbol that is BASE")
    ] = nan
    trend_leverage_unsure_max: Annotated[
        float, Limit("x", "lower", (Code.GROSS_LEVERAGE,), "equity, in one symbol that is TREND at even odds")
    ] = nan
    trend_leverage_max: Annotated[
        float, Limit("x", "lower", (Code.GROSS_LEVERAGE,), "equity, in one symbol that is certainly TREND")
    ] = nan
    chop_risk_frac_max: Annotated[
        float, Limit("frac", "lower", (Code.TRADE_RISK,), "of equity lost at the stop in CHOP, costs included")
    ] = nan
    base_risk_frac_max: Annotated[
        float, Limit("frac", "lower", (Code.TRADE_RISK,), "of equity lost at the stop in BASE, costs included")
    ] = nan
    trend_risk_frac_max: Annotated[
        float, Limit("frac", "lower", (Code.TRADE_RISK,), "of equity lost at the stop in TREND, costs included")
    ] = nan
    liquidation_buffer_frac: Annotated[
        float, Limit("frac", "higher", (Code.LIQUIDATION_DISTANCE,), "of the order's price, from stop to liquidation")
    ] = nan
    size_stop_atr: Annotated[
        float,
        Limit(
            "x", "neither", (Code.POLICY_MISSING_SIZE, Code.STOP_REQUIRED), "the ATR, from the price to the model's stop"
        ),
    ] = nan
    size_target_atr: Annotated[
        float,
        Limit("x", "neither", (Code.POLICY_MISSING_SIZE, Code.STOP_REQUIRED), "the ATR, from price to its target"),
    ] = nan

    take_profit_atr: Annotated[
        float, Limit("x", "neither", (Code.TAKE_PROFIT,), "the ATR at entry, from there to the first profit")
    ] = nan
    take_profit_trend_min: Annotated[
        float, Limit("frac", "neither", (Code.TAKE_PROFIT,), "probability of a trend that it needs")
    ] = nan
    trail_atr: Annotated[
        float, Limit("x", "neither", (Code.TRAILING_STOP,), "the ATR now, from the best price to the stop")
    ] = nan
    exit_bar_s: Annotated[float, Limit("s", "neither", (Code.TIME_EXIT,), "of a bar that counts")] = nan
    young_idle_bar_count_max: Annotated[
        float, Limit("count", "lower", (Code.TIME_EXIT,), "bars without a new best price in a young position")
    ] = nan
    young_bar_count_max: Annotated[float, Limit("count", "neither", (Code.TIME_EXIT,), "bars that it is young")] = nan
    old_idle_bar_count_max: Annotated[
        float, Limit("count", "lower", (Code.TIME_EXIT,), "bars without a new best price in an older one")
    ] = nan
    chop_loss_frac_max: Annotated[
        float, Limit("frac", "lower", (Code.REGIME_EXIT,), "of notional at entry lost while the market is choppy")
    ] = nan
    margin_loss_frac_max: Annotated[float, Limit("frac", "lower", (Code.LOSS_EXIT,), "of the position's margin lost")] = nan
    exit_cost_bps: Annotated[
        float, Limit("bps", "neither", (Code.HARVEST, Code.PROFIT_LOCK), "of notional at entry lost to getting in and out")
    ] = nan
    rung_1_r_min: Annotated[
        float, Limit("x", "neither", (Code.HARVEST,), "the risk taken, at which a quarter is closed")
    ] = nan
    rung_2_r_min: Annotated[float, Limit("x", "neither", (Code.HARVEST,), "the risk taken, at which half is closed")] = nan
    rung_3_r_min: Annotated[
        float, Limit("x", "neither", (Code.HARVEST,), "the risk taken, at which three quarters are closed")
    ] = nan
    lock_r_min: Annotated[
        float, Limit("x", "neither", (Code.PROFIT_LOCK,), "the risk taken, at which the stop moves past the entry")
    ] = nan
    lock_frac: Annotated[float, Limit("frac", "neither", (Code.PROFIT_LOCK,), "of the entry, beyond it")] = nan
    flip_weight: Annotated[float, Limit("x", "neither", SCORE_RULES, "a market that has turned choppy")] = nan
    sigma_weight: Annotated[float, Limit("x", "neither", SCORE_RULES, "excess volatility")] = nan
    trend_weight: Annotated[float, Limit("x", "neither", SCORE_RULES, "trend strength lost")] = nan
    age_weight: Annotated[float, Limit("x", "neither", (Code.KILL_EXIT,), "the position's age")] = nan
    flip_trend_min: Annotated[
        float,
        Limit("frac", "neither", SCORE_RULES, "probability of a trend under which a market may be choppy; 0: by label"),
    ] = nan
    sigma_ref: Annotated[
        float, Limit("frac", "neither", SCORE_RULES, "volatility that is none too much; 0: that at entry")
    ] = nan
    sigma_cap: Annotated[float, Limit("x", "neither", SCORE_RULES, "the reference, that counts at most")] = nan
    trend_ref: Annotated[float, Limit("frac", "neither", SCORE_RULES, "trend strength; 0: that at entry")] = nan
    trend_cap: Annotated[float, Limit("frac", "neither", SCORE_RULES, "of lost trend strength that counts at most")] = nan
    score_age_s_max: Annotated[float, Limit("s", "neither", (Code.KILL_EXIT,), "of age that counts in full")] = nan
    kill_exit_score_min: Annotated[
        float, Limit("frac", "lower", (Code.KILL_EXIT,), "of the kill score, from which a position is closed")
    ] = nan
    kill_score_min: Annotated[
        float, Limit("frac", "lower", (Code.KILL_SCORE,), "of the kill score, from which openings shrink")
    ] = nan
    kill_score_critical: Annotated[
        float, Limit("frac", "lower", (Code.KILL_SCORE,), "of the kill score, from which nothing opens")
    ] = nan
    kill_score_decay: Annotated[
        float, Limit("x", "higher", (Code.KILL_SCORE,), "the excess of the score, by which openings shrink")
    ] = nan
    kill_score_share_min: Annotated[
        float, Limit("frac", "lower", (Code.KILL_SCORE,), "of what was asked, that openings keep below critical")
    ] = nan
    flat_lead_s: Annotated[
        float, Limit("s", "higher", (Code.SESSION_FLAT,), "from the last closing order to the instant of being flat")
    ] = nan

    quota_slice_frac: Annotated[
        float, Limit("frac", "lower", (Code.DAILY_RISK_QUOTA,), "of the equity at day open, that one slice of risk is")
    ] = nan
    quota_order_slice_count_max: Annotated[
        float, Limit("count", "lower", (Code.DAILY_RISK_QUOTA,), "slices in one order")
    ] = nan
    quota_day_entry_count_max: Annotated[
        float, Limit("count", "lower", (Code.DAILY_RISK_QUOTA,), "entries in a risk day")
    ] = nan
    quota_day_slice_count_max: Annotated[
        float, Limit("count", "lower", (Code.DAILY_RISK_QUOTA,), "slices in a risk day")
    ] = nan
    quota_campaign_slice_count_max: Annotated[
        float, Limit("count", "lower", (Code.DAILY_RISK_QUOTA,), "slices since the account or a campaign began")
    ] = nan
    kelly_trade_count_min: Annotated[
        float, Limit("count", "higher", KELLY_RULES, "closed trades that say something about a strategy")
    ] = nan
    kelly_window_count_max: Annotated[
        float, Limit("count", "neither", KELLY_RULES, "of a strategy's last closed trades that count")
    ] = nan
    kelly_prior_count: Annotated[
        float, Limit("count", "higher", (Code.KELLY_CAP,), "trades without an edge that are added to the record")
    ] = nan
    kelly_multiplier: Annotated[
        float, Limit("x", "lower", (Code.KELLY_CAP,), "the share of equity at risk by which a record grows fastest")
    ] = nan
    kelly_probe_frac: Annotated[
        float, Limit("frac", "lower", (Code.KELLY_CAP,), "of equity at risk, whatever the record says")
    ] = nan
    kelly_above_floor: Annotated[
        float,
        Limit("flag", "higher", (Code.KELLY_CAP,), "count only equity above the nearest active loss floor as at stake"),
    ] = nan
    kelly_scale: Annotated[
        float, Limit("flag", "higher", (Code.KELLY_CAP,), "scale the targets of rebalances by what the record deserves")
    ] = nan
    kelly_zero_lock_s: Annotated[
        float, Limit("s", "higher", (Code.KELLY_ZERO,), "of no new risk of a strategy without an edge")
    ] = nan

    cluster_exposure_frac_max: Annotated[float, Limit("frac", "lower", (Code.CLUSTER_CAP,), "of equity")] = nan
    correlation_max: Annotated[
        float,
        Limit("frac", "lower", (Code.CORRELATION_VETO,), "with an open symbol or benchmark, signed by both sides"),
    ] = nan
    correlated_exposure_frac_max: Annotated[
        float, Limit("frac", "lower", (Code.CORRELATION_VETO,), "of equity, together with what is beyond it; 0: nothing")
    ] = nan
    correlation_bar_s: Annotated[float, Limit("s", "neither", (Code.CORRELATION_VETO,), "of the bars compared")] = nan
    correlation_decay: Annotated[
        float, Limit("frac", "neither", (Code.CORRELATION_VETO,), "of the weight of a return that the next one keeps")
    ] = nan
    correlation_age_s_max: Annotated[
        float, Limit("s", "lower", (Code.CORRELATION_VETO,), "since the last bar that both symbols closed began")
    ] = nan


def _annotations() -> dict[str, Limit]:
    hints = get_type_hints(Limits, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if name != "active"}


LIMIT_FIELDS: Final[dict[str, Limit]] = _annotations()


NO_LIMITS: Final = Limits(0, *[nan] * len(LIMIT_FIELDS))
"""What holds without a policy: nothing is known, so nothing passes."""


BITS: Final[dict[Code, int]] = {code: 1 << number for number, code in enumerate(SWITCHABLE)}
"""The bit of each rule that a policy may switch off."""


def is_on(limits: Limits, code: Code) -> bool:
    """Whether the policy has the rule switched on; a structural rule always is."""
    bit = BITS.get(code)
    return bit is None or limits.active & bit != 0


@lru_cache
def those_on(active: int, codes: tuple[Code, ...]) -> tuple[tuple[int, Code], ...]:
    """Which of these rules are on with those bits of `Limits.active`, each with its place among them."""
    return tuple((place, code) for place, code in enumerate(codes) if code not in BITS or active & BITS[code])
