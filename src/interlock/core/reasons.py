"""
What the codes mean that no guard stands for: denials without guards, triggers, and locks that people set.

Guards speak for themselves (`interlock.core.guard`); everything else that a user can meet as a reason is named here once,
for explanations, the command line and the documents.
"""

from dataclasses import dataclass
from typing import Final

from interlock.core.codes import Code
from interlock.core.limits import LIMIT_FIELDS


@dataclass(frozen=True, slots=True)
class Reason:
    """A code, what it says in one sentence, what follows from it, and what a person can do."""

    code: Code
    says: str
    effect: str
    remedy: str

    @property
    def limits(self) -> tuple[str, ...]:
        """The limits that name this code as their reader."""
        return tuple(name for name, limit in LIMIT_FIELDS.items() if self.code in limit.rules)


def _by_code(*reasons: Reason) -> dict[Code, Reason]:
    return {reason.code: reason for reason in reasons}


DENIALS: Final = _by_code(
    Reason(
        Code.MALFORMED,
        "The order cannot be meant: its symbol, side, size or permit does not exist.",
        "nothing leaves",
        "correct the order and send it again",
    ),
    Reason(
        Code.NOTHING_TO_REDUCE,
        "There is nothing on that side that is not being closed already.",
        "nothing leaves",
        "compare your position with the venue's; an order without reduce_only may open",
    ),
    Reason(
        Code.NOT_EXIT_OWNER,
        "The source is not entitled to close this position.",
        "nothing leaves",
        "close through the exit owner, or as operator; or let the policy give the source the right to close",
    ),
    Reason(
        Code.BELOW_MIN_NOTIONAL,
        "What is allowed of the order is less than one step, or than the venue's smallest order.",
        "nothing leaves",
        "send a larger order, or wait until more is allowed",
    ),
    Reason(
        Code.BUSY,
        "More intents waited than the gateway takes; this one was not looked at.",
        "nothing leaves",
        "send fewer intents at once, and this one again",
    ),
    Reason(
        Code.UNANSWERED,
        "No answer came in time, so the answer is no.",
        "nothing may be assumed to have been sent",
        "ask for the status; the same intent id can be sent again and is never executed twice",
    ),
    Reason(
        Code.AMEND_UNSUPPORTED,
        "Working orders are not changed.",
        "the working order stays as it is",
        "cancel the order and send a new intent",
    ),
)
"""Denials that no guard gives."""

_UNTIL_NEXT_DAY: Final = "no new risk until the next risk day"
_UNTIL_OPERATOR: Final = "no new risk until an operator releases it"
_REVIEW: Final = "have an operator review the account and release the lock"

TRIGGERS: Final = _by_code(
    Reason(
        Code.WARN,
        "A loss or an exposure uses up `warn_frac_min` of its limit.",
        "an event, once until it has eased below `warn_rearm_frac_max`",
        "take less risk before the limit does it",
    ),
    Reason(
        Code.DAILY_LOSS,
        "Equity is proven under `1 - day_loss_frac_max` of the equity at day open.",
        _UNTIL_NEXT_DAY,
        "wait for the next risk day",
    ),
    Reason(
        Code.WEEKLY_LOSS,
        "Equity is proven under `1 - week_loss_frac_max` of the equity at week open.",
        _UNTIL_OPERATOR,
        "have an operator review the week and release the lock",
    ),
    Reason(
        Code.DRAWDOWN,
        "Equity is proven under `1 - drawdown_frac_max` of the drawdown reference.",
        "no new risk for `drawdown_lock_s`; then a new reference where `drawdown_rebase` says so, else an operator",
        "wait until the lock has ended; without a rebase, have an operator review the account",
    ),
    Reason(
        Code.TOTAL_DRAWDOWN,
        "Equity is proven under `1 - total_drawdown_frac_max` of peak equity.",
        _UNTIL_OPERATOR,
        "have an operator review the account; only a rebase moves the peak down",
    ),
    Reason(
        Code.EMERGENCY_FLATTEN,
        "Equity is proven under `1 - emergency_drawdown_frac_max` of the drawdown reference.",
        "every position is closed; no new risk for `emergency_lock_s`, then as after DRAWDOWN",
        "check that every position is flat, then review what lost the money",
    ),
    Reason(
        Code.EQUITY_GUARD,
        "Equity is proven at or under `equity_floor_frac_min` of the initial balance.",
        "every position is closed; no new risk until an operator releases it",
        _REVIEW,
    ),
    Reason(
        Code.SESSION_FLAT,
        "A window of the calendar file in which the symbol may not be held is `flat_lead_s` away or has begun.",
        "the position is closed; nothing opens in the symbol until the window's end",
        "wait until the symbol may be held again",
    ),
    Reason(
        Code.CONSEC_LOSS,
        "`consec_loss_count_max` trades in a row lost.",
        "no new risk for `consec_loss_lock_s`; this streak starts again with the lock",
        "wait for the lock's end",
    ),
    Reason(
        Code.CONSEC_LOSS_BREAKER,
        "`consec_loss_breaker_count_max` trades lost without a win between them.",
        _UNTIL_OPERATOR,
        _REVIEW,
    ),
    Reason(
        Code.API_ERRORS,
        "`api_error_count_max` venue calls failed or timed out within `api_error_window_s`.",
        "no new risk for `breaker_lock_s`; after `breaker_trip_count_max` trips until an operator releases it",
        "check the venue's status and the connection to it",
    ),
    Reason(
        Code.ORDER_FAILURES,
        "`order_failure_count_max` openings were rejected or are unknown within `order_failure_window_s`.",
        "no new risk for `breaker_lock_s`; after `breaker_trip_count_max` trips until an operator releases it",
        "look up why the venue rejected the orders",
    ),
    Reason(
        Code.FAILED_TRADES,
        "`failed_trade_count_max` openings within `failed_trade_window_s` ended with nothing filled.",
        "no new risk for `breaker_lock_s`; after `breaker_trip_count_max` trips until an operator releases it",
        "check the orders' prices: they are never reached",
    ),
    Reason(
        Code.RUNAWAY,
        "`runaway_count_max` openings of one strategy, symbol and side were executed within `runaway_window_s`.",
        "no new risk for the strategy until an operator releases it",
        "stop the strategy and find out why it repeats itself",
    ),
    Reason(
        Code.KELLY_ZERO,
        "A strategy's last `kelly_window_count_max` trades, `kelly_trade_count_min` or more, won no more than they lost.",
        "no new risk for the strategy for `kelly_zero_lock_s`, then at the probe of KELLY_CAP until it has an edge again",
        "wait for the lock's end; review whether the strategy still works",
    ),
    Reason(
        Code.STOP_HIT,
        "A position was closed at its stop.",
        "no new risk in the symbol on that side (both with `stop_hit_both_sides`) for `stop_hit_lock_s`",
        "wait for the veto's end, or for the strategy's next rebalance where the policy lets that end it",
    ),
    Reason(
        Code.RECONCILE_MISMATCH,
        "Venue and ledger disagreed on a position twice in a row.",
        "no new risk until they agree; the venue's position is taken",
        "look for orders that bypassed the gate",
    ),
)
"""What a proven broken condition does; the conditions themselves are in `interlock.core.triggers`."""

_ONCE: Final = "the position is closed, once; a rejected order is followed by another"
_OWNER: Final = "nothing; or close by hand as operator"

EXITS: Final = _by_code(
    Reason(
        Code.STOP_EXIT,
        "The mark is at the position's stop or past it.",
        _ONCE + ", and the symbol is vetoed as after STOP_HIT",
        _OWNER,
    ),
    Reason(Code.TARGET_EXIT, "The mark is at the position's target or past it.", _ONCE, _OWNER),
    Reason(
        Code.TAKE_PROFIT,
        "The mark is `take_profit_atr` of the range at entry beyond it, and a trend is sure to `take_profit_trend_min`.",
        "a third of the position is closed, once, and its stop moves to the entry",
        _OWNER,
    ),
    Reason(
        Code.TRAILING_STOP,
        "After TAKE_PROFIT or PROFIT_LOCK the stop follows the best mark at `trail_atr` of the range now.",
        "the stop tightens; where it would lie beyond the market the position is closed",
        _OWNER,
    ),
    Reason(
        Code.TIME_EXIT,
        "No new best mark for `young_idle_bar_count_max` bars in the first `young_bar_count_max`, later for "
        "`old_idle_bar_count_max`, of bars of `exit_bar_s`.",
        _ONCE,
        _OWNER,
    ),
    Reason(
        Code.REGIME_EXIT,
        "The market is choppy and more than `chop_loss_frac_max` of the notional at entry is lost.",
        _ONCE,
        _OWNER,
    ),
    Reason(Code.LOSS_EXIT, "`margin_loss_frac_max` of the position's margin is lost.", _ONCE, _OWNER),
    Reason(
        Code.HARVEST,
        "Open profit after `exit_cost_bps` has reached `rung_1_r_min`, `rung_2_r_min` or `rung_3_r_min` of the risk taken.",
        "a quarter, a half, three quarters are closed in all, each once",
        _OWNER,
    ),
    Reason(
        Code.PROFIT_LOCK,
        "Open profit after costs has reached `lock_r_min` of the risk taken.",
        "the stop moves past the entry by `lock_frac`, never beyond the market",
        _OWNER,
    ),
    Reason(
        Code.KILL_EXIT,
        "The kill score has reached `kill_exit_score_min`: a market turned choppy, volatility, lost trend, age.",
        _ONCE + ", whatever the ladder says; an unknown market state closes nothing and is told",
        "tell the market state with every bar",
    ),
    Reason(
        Code.HEARTBEAT_LOST,
        "The exit owner was silent for twice `controller_age_s_max` while something was held, or the venue, which "
        "confirmed neither positions nor equity, for twice `reconciled_age_s_max`.",
        "somebody is told; the built-in rules that are on act in the owner's place and it is denied, until after a minute "
        "of heartbeats without a close",
        "restart the exit owner, or name one as operator; is the venue's account stream connected?",
    ),
    Reason(
        Code.RULE_EXPOSED,
        "A position was reduced in an interval in which the firm forbids closing.",
        "somebody is told; ladder, first profit, target, time and regime wait for its end, every other close passes",
        "account for the close with the firm; only what protects, and whoever asks, closes there",
    ),
)
"""What closes positions in part or whole, and who does."""

COMMANDS: Final = _by_code(
    Reason(
        Code.KILL_SWITCH,
        "Somebody threw the kill switch.",
        "no new risk in its scope; with flatten every position is closed, with freeze exits are off too",
        "have a named person reset the kill switch",
    ),
    Reason(
        Code.OPERATOR_LOCK,
        "An operator forbade new risk.",
        "no new risk in its scope",
        "ask the operator, or wait for the lock's end",
    ),
    Reason(
        Code.OPERATOR_FLATTEN,
        "An operator wants positions closed.",
        "they are closed until the venue confirms it, a freeze notwithstanding; nothing opens in them meanwhile",
        "wait until they are flat",
    ),
    Reason(
        Code.QUARANTINED,
        "An input could not be processed and was set aside.",
        "what it was about is unknown until it is told afresh",
        "report the quarantined payload; it is in the ledger",
    ),
    Reason(
        Code.STOP_REFUSED,
        "The venue refused a position's stop, or no longer has it.",
        "it is placed again after a pause; past `close_patience_s` without any the position is closed",
        "look up why the venue rejected the stop, and who cancels orders there",
    ),
    Reason(
        Code.RESTARTED,
        "Another engine has taken over the account.",
        "what the one before it permitted and nobody used is void; closes and stops are permitted afresh",
        "send the intent again",
    ),
)
"""What people, or a damaged input, bring about."""


def reason_of(code: Code) -> Reason | None:
    """What the code means where no guard stands for it; None for guards' codes that no trigger shares."""
    return DENIALS.get(code) or TRIGGERS.get(code) or EXITS.get(code) or COMMANDS.get(code)
