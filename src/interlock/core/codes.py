"""Closed vocabularies: reason codes, lock severities, trading states, permit states, actions."""

from enum import IntEnum, StrEnum


class Code(StrEnum):
    """Why something was denied, capped or locked. Stable for ever; a retired code is never reused."""

    ALLOWED = "ALLOWED"
    MALFORMED = "MALFORMED"
    NOTHING_TO_REDUCE = "NOTHING_TO_REDUCE"
    NOT_EXIT_OWNER = "NOT_EXIT_OWNER"
    BELOW_MIN_NOTIONAL = "BELOW_MIN_NOTIONAL"
    AMEND_UNSUPPORTED = "AMEND_UNSUPPORTED"

    POLICY_MISSING = "POLICY_MISSING"
    POLICY_INVALID = "POLICY_INVALID"
    POLICY_STALE = "POLICY_STALE"
    POLICY_MISSING_FIELD = "POLICY_MISSING_FIELD"
    POLICY_UNIVERSE_FILTER = "POLICY_UNIVERSE_FILTER"
    POLICY_MISSING_LEVERAGE = "POLICY_MISSING_LEVERAGE"
    POLICY_MISSING_SIZE = "POLICY_MISSING_SIZE"
    SOURCE_DENIED = "SOURCE_DENIED"
    SYMBOL_OWNED = "SYMBOL_OWNED"
    NOT_LIVE = "NOT_LIVE"
    TRADING_REDUCING = "TRADING_REDUCING"
    TRADING_HALTED = "TRADING_HALTED"
    SYMBOL_VETO = "SYMBOL_VETO"
    SESSION_CLOSED = "SESSION_CLOSED"
    NEWS_WINDOW = "NEWS_WINDOW"
    SESSION_FLAT = "SESSION_FLAT"
    INTENT_STALE = "INTENT_STALE"
    INTENT_CONFLICT = "INTENT_CONFLICT"
    EQUITY_STALE = "EQUITY_STALE"
    EQUITY_IMPLAUSIBLE = "EQUITY_IMPLAUSIBLE"
    MARKET_STALE = "MARKET_STALE"
    POSITION_UNRECONCILED = "POSITION_UNRECONCILED"
    CONTROLLER_DEAD = "CONTROLLER_DEAD"
    CLOCK_UNTRUSTED = "CLOCK_UNTRUSTED"
    DAILY_LOSS = "DAILY_LOSS"
    WEEKLY_LOSS = "WEEKLY_LOSS"
    DRAWDOWN = "DRAWDOWN"
    TOTAL_DRAWDOWN = "TOTAL_DRAWDOWN"
    EQUITY_GUARD = "EQUITY_GUARD"
    LOSS_HEADROOM = "LOSS_HEADROOM"
    SPREAD_SPIKE = "SPREAD_SPIKE"
    PRICE_COLLAR = "PRICE_COLLAR"
    ORDER_NOTIONAL = "ORDER_NOTIONAL"
    ORDER_QUANTITY = "ORDER_QUANTITY"
    ORDER_RATE = "ORDER_RATE"
    SYMBOL_EXPOSURE = "SYMBOL_EXPOSURE"
    STRATEGY_EXPOSURE = "STRATEGY_EXPOSURE"
    TOTAL_EXPOSURE = "TOTAL_EXPOSURE"
    NET_EXPOSURE = "NET_EXPOSURE"
    CONCURRENT_POSITIONS = "CONCURRENT_POSITIONS"
    CLUSTER_CAP = "CLUSTER_CAP"
    CORRELATION_VETO = "CORRELATION_VETO"
    FREE_MARGIN = "FREE_MARGIN"
    STOP_REQUIRED = "STOP_REQUIRED"
    ATR_SPIKE = "ATR_SPIKE"
    GROSS_LEVERAGE = "GROSS_LEVERAGE"
    TRADE_RISK = "TRADE_RISK"
    LIQUIDATION_DISTANCE = "LIQUIDATION_DISTANCE"
    KILL_SCORE = "KILL_SCORE"
    DAILY_RISK_QUOTA = "DAILY_RISK_QUOTA"
    KELLY_CAP = "KELLY_CAP"
    KELLY_ZERO = "KELLY_ZERO"

    WARN = "WARN"
    EMERGENCY_FLATTEN = "EMERGENCY_FLATTEN"
    CONSEC_LOSS = "CONSEC_LOSS"
    CONSEC_LOSS_BREAKER = "CONSEC_LOSS_BREAKER"
    API_ERRORS = "API_ERRORS"
    ORDER_FAILURES = "ORDER_FAILURES"
    FAILED_TRADES = "FAILED_TRADES"
    RUNAWAY = "RUNAWAY"
    STOP_HIT = "STOP_HIT"
    RECONCILE_MISMATCH = "RECONCILE_MISMATCH"
    KILL_SWITCH = "KILL_SWITCH"
    OPERATOR_LOCK = "OPERATOR_LOCK"
    QUARANTINED = "QUARANTINED"
    STOP_REFUSED = "STOP_REFUSED"
    RESTARTED = "RESTARTED"

    BUSY = "BUSY"
    UNANSWERED = "UNANSWERED"
    OPERATOR_FLATTEN = "OPERATOR_FLATTEN"

    STOP_EXIT = "STOP_EXIT"
    TARGET_EXIT = "TARGET_EXIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TRAILING_STOP = "TRAILING_STOP"
    TIME_EXIT = "TIME_EXIT"
    REGIME_EXIT = "REGIME_EXIT"
    LOSS_EXIT = "LOSS_EXIT"
    HARVEST = "HARVEST"
    PROFIT_LOCK = "PROFIT_LOCK"
    KILL_EXIT = "KILL_EXIT"
    HEARTBEAT_LOST = "HEARTBEAT_LOST"
    RULE_EXPOSED = "RULE_EXPOSED"


class TradingState(IntEnum):
    """What may leave now; derived from the locks in force, never stored."""

    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


class KillMode(IntEnum):
    """How the kill switch acts; only FREEZE also stops exits."""

    NONE = 0
    REDUCE_ONLY = 1
    FLATTEN = 2
    FREEZE = 3


class PermitState(IntEnum):
    """Life of a permit; `permit.TRANSITIONS` says which step may follow which."""

    ISSUED = 0
    SPENT = 1
    WORKING = 2
    PARTIAL = 3
    UNKNOWN = 4
    FILLED = 5
    CANCELLED = 6
    REJECTED = 7
    EXPIRED = 8
    REVOKED = 9


class AccountKind(StrEnum):
    """What an account's permits do: nothing, paper fills, or real orders."""

    SHADOW = "shadow"
    PAPER = "paper"
    LIVE = "live"


class Action(StrEnum):
    """What an instruction of a rebalance asks for."""

    OPEN = "OPEN"
    CLOSE = "CLOSE"
    VETO = "VETO"
    SCALE = "SCALE"


class RiskAction(StrEnum):
    """What a trigger did."""

    VETO = "VETO"
    FLATTEN = "FLATTEN"
    SCALE = "SCALE"
    WARN = "WARN"
    REARM = "REARM"


class Partial(StrEnum):
    """What an opening intent wants when less than it asked for is allowed."""

    REFUSE = "refuse"
    SCALE = "scale"


class CloseAction(IntEnum):
    """How much of a position is to be closed in all, in percent of the largest quantity held since flat."""

    NONE = 0
    PARTIAL_25 = 25
    PARTIAL_33 = 33
    PARTIAL_50 = 50
    PARTIAL_75 = 75
    FULL_CLOSE = 100

    @property
    def fraction(self) -> float:
        """The same as a share."""
        return self / self.FULL_CLOSE


class Rung(StrEnum):
    """What an exit answers to; each closes once in the life of a position. Append only: their bits are in old ledgers."""

    STOP = "stop"
    TARGET = "target"
    TAKE_PROFIT = "tp1"
    TRAILING = "trailing"
    TIME = "time"
    REGIME = "regime"
    LOSS = "loss"
    PARTIAL_25 = "partial_25"
    PARTIAL_50 = "partial_50"
    PARTIAL_75 = "partial_75"
    LOCK = "profit_lock"
    KILL = "kill"


class ExitMode(StrEnum):
    """Who acts on exits: the built-in rules, an owner whom they succeed, or the rules as advice to such an owner."""

    BUILTIN = "builtin"
    EXTERNAL = "external"
    ADVISORY = "advisory"


class CalendarKind(StrEnum):
    """Which period a calendar opens."""

    DAY = "day"
    WEEK = "week"
    FIRM = "firm"


class Scope(StrEnum):
    """What a lock covers."""

    ACCOUNT = "account"
    STRATEGY = "strategy"
    SYMBOL = "symbol"
