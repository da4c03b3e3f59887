"""
What goes in and what comes out: two closed unions of frozen messages.

On the wire and in the ledger they are msgpack arrays with a tag. Fields are only ever appended, with a default, so that
a ledger written by an older version still decodes (see the decision record on added fields). Sides are +1 (buy) and
-1 (sell). Unknown numbers are NaN, never 0 and never absent.
"""

from hashlib import sha256
from math import nan
from typing import Final

import msgspec

from interlock.core.codes import (
    AccountKind,
    Action,
    CalendarKind,
    CloseAction,
    Code,
    ExitMode,
    KillMode,
    Partial,
    PermitState,
    RiskAction,
    Scope,
    TradingState,
)
from interlock.core.facts import Facts
from interlock.core.instrument import Instrument
from interlock.core.limits import Limits

SCHEMA: Final = 3
"""Schema number of every record; raised when a field is appended."""

BUY: Final = 1
SELL: Final = -1


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """Base of all messages: the tag is the class name."""


# ---------------------------------------------------------------- inputs


class Tick(Message, frozen=True):
    """Time has passed."""


class Quote(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """
    One symbol's prices in a conflation interval; `high` and `low` are the extremes of the marks in it.

    `rate` turns the settlement currency into account currency, NaN where it did not change.
    """

    symbol: str
    bid: float
    ask: float
    mark: float
    at_ns: int
    high: float = nan
    low: float = nan
    rate: float = nan
    rate_at_ns: int = 0


class MarketBatch(Message, frozen=True):
    """Prices of all symbols that moved in one conflation interval."""

    quotes: tuple[Quote, ...]


class BarClosed(Message, frozen=True):
    """A bar of a symbol ended."""

    symbol: str
    opened_ns: int
    length_s: float
    open: float
    high: float
    low: float
    close: float


class MarketState(Message, frozen=True):
    """
    A symbol's market state, computed by somebody from bars that end at `at_ns`; NaN where it is unknown.

    `score` is trend strength plus persistence: where `label` (TREND, BASE, CHOP) is empty, label and probabilities follow
    from it by the policy's thresholds.
    """

    symbol: str
    at_ns: int
    atr: float = nan
    sigma: float = nan
    trend_strength: float = nan
    p_trend: float = nan
    p_base: float = nan
    p_chop: float = nan
    label: str = ""
    score: float = nan


class EquityMarked(Message, frozen=True):
    """The venue told its equity and balance; NaN for a figure it did not tell."""

    equity: float
    balance: float
    at_ns: int


class CashFlow(Message, frozen=True):
    """Money moved. `kind` is deposit, withdrawal, payout, funding, swap or fee; `amount` is signed for the account."""

    kind: str
    amount: float
    symbol: str = ""
    id: str = ""


class PositionAt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One position as the venue reports it: signed steps and average entry price."""

    symbol: str
    steps: int
    entry: float


class PositionsReported(Message, frozen=True):
    """All positions at the venue as of `at_ns`; a symbol that is missing is flat there."""

    positions: tuple[PositionAt, ...]
    at_ns: int


class OrderAt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One open order as the venue reports it."""

    permit: int
    symbol: str
    side: int
    steps: int
    filled_steps: int
    reduce_only: bool


class OrdersReported(Message, frozen=True):
    """All open orders at the venue as of `at_ns`."""

    orders: tuple[OrderAt, ...]
    at_ns: int


class Intent(Message, frozen=True):
    """
    A wish. Whether it opens or reduces is derived, never believed; `reduce_only` only forbids the opening part.

    Size is one of: `quantity` (base units), `notional` (account currency), or neither, which asks for the policy's
    sizing model. `limit_price` NaN asks for a market order. `created_at_ns` 0 is unknown.

    With a `rung` it is an exit proposal and can only reduce: `close` is how much of the position is to be closed in all,
    once under that name in the position's life, and `stop_price` is its new stop; size and limit price are not read.
    """

    id: str
    source: str
    strategy: str
    symbol: str
    side: int
    quantity: float = nan
    notional: float = nan
    limit_price: float = nan
    stop_price: float = nan
    target_price: float = nan
    margin_leverage: float = nan
    reduce_only: bool = False
    partial: Partial = Partial.REFUSE
    created_at_ns: int = 0
    rung: str = ""
    close: CloseAction = CloseAction.NONE


class Provenance(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Where a rebalance comes from."""

    run_id: str = ""
    strategy_id: str = ""
    regime_id: str = ""


class Instruction(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """
    One symbol of a rebalance: `target_weight` in [-1, 1] of equity.

    CLOSE flattens whatever the weight; OPEN with weight 0 is an error; VETO leaves the position alone.
    """

    symbol: str
    action: Action
    target_weight: float = nan
    sl_price: float = nan
    tp_price: float = nan
    provenance: Provenance = Provenance()


class Rebalance(Message, frozen=True):
    """
    Instructions that are decided as one: reducing legs first, openings in the given order.

    `part_of` is the `content` of the whole where a rebalance is told in parts, under one id.
    """

    id: str
    source: str
    strategy: str
    instructions: tuple[Instruction, ...]
    partial: Partial = Partial.SCALE
    created_at_ns: int = 0
    part_of: str = ""

    @property
    def content(self) -> str:
        """Text that is the same for all that asks for the same; when it was made does not matter."""
        asked = msgspec.msgpack.encode(msgspec.structs.replace(self, created_at_ns=0))
        return self.part_of or sha256(asked).hexdigest()


class Amend(Message, frozen=True):
    """A wish to change a working order."""

    id: str
    source: str
    permit: int
    quantity: float
    limit_price: float


class Cancel(Message, frozen=True):
    """A wish to cancel a working opening order."""

    id: str
    source: str
    permit: int


class Spent(Message, frozen=True):
    """
    The executor has consumed a permit; an order is on its way.

    `by` names the source that executes the permit itself: its fate is UNKNOWN until that source reports, and no time ends
    that. Empty is the gateway's own executor.
    """

    permit: int
    epoch: int
    by: str = ""


class Executed(Message, frozen=True):
    """
    What became of a permit's order. All amounts are cumulative, so that repeats and reordering change nothing.

    `filled_value` is the sum over fills of quantity times the instrument's value at the fill price, in settlement
    currency; `fees` in account currency, positive for a cost. `benign` marks a rejection that says nothing about the
    venue's or strategy's health.
    """

    permit: int
    state: PermitState
    filled_steps: int
    filled_value: float
    fees: float
    at_ns: int
    benign: bool = False
    reason: str = ""


class VenueError(Message, frozen=True):
    """A call to the venue failed or timed out."""

    what: str
    reducing: bool = False


class ClockChecked(Message, frozen=True):
    """The clock was compared: with itself always, with the venue's where `venue_ns` > 0."""

    venue_ns: int = 0


class Heartbeat(Message, frozen=True):
    """A component is alive."""

    source: str


class SymbolPolicy(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """
    A symbol of the policy's universe; `limits` is an index into `PolicySet.limits`.

    Exits of a position that was entered in a regime follow that regime's limits; -1 where it has none of its own.
    """

    symbol: str
    limits: int
    margin_leverage: float = nan
    cluster: str = ""
    benchmark: bool = False
    chop_limits: int = -1
    base_limits: int = -1
    trend_limits: int = -1


class SourceRight(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What an authenticated source may do for a strategy."""

    source: str
    strategy: str
    may_open: bool
    may_close: bool


class PolicySet(Message, frozen=True):
    """
    A policy as the core reads it. `limits[0]` holds the account's numbers, later ones those of symbols with overrides.

    `verified` False means that its digest or signature did not match: openings are then denied POLICY_INVALID.
    """

    policy_id: str
    digest: str
    valid_until_ns: int
    verified: bool
    limits: tuple[Limits, ...]
    universe: tuple[SymbolPolicy, ...]
    rights: tuple[SourceRight, ...]
    exit_owner: str = "any"
    kill_mode: KillMode = KillMode.REDUCE_ONLY
    exit_mode: ExitMode = ExitMode.BUILTIN


class CalendarSet(Message, frozen=True):
    """The instants at which a calendar's periods begin, ascending, at least 400 days ahead where it is live."""

    name: str
    kind: CalendarKind
    instants_ns: tuple[int, ...]


class BlackoutSet(Message, frozen=True):
    """
    The windows `(from_ns, until_ns)` of a symbol, each kind in order, in place of those told before.

    In `intervals` a firm forbids closing: exits that can wait do; those that protect pass, as does everybody who asks for a
    close, and the breach is told. In `opening` nothing may be opened, in `flat` nothing may be held. From `until_ns` on
    nothing is known of these two, so nothing is proven.
    """

    symbol: str
    intervals: tuple[tuple[int, int], ...]
    opening: tuple[tuple[int, int], ...] = ()
    flat: tuple[tuple[int, int], ...] = ()
    until_ns: int = 0


class InstrumentSet(Message, frozen=True):
    """A symbol's definition; `tradable` is the venue's word, NaN where its list could not be read."""

    instrument: Instrument
    tradable: float = 1.0


class ModeSet(Message, frozen=True):
    """
    The conditions under which an account may open, as 1.0, 0.0 or NaN for unknown.

    A live account needs all of them. `rollout` 1.0 covers every symbol, 0.0 only those in `symbols`, NaN none. The
    environment's kill switch stops openings of every kind of account.
    """

    armed: float
    rollout: float
    environment_kill: float
    reason: str = ""
    symbols: tuple[str, ...] = ()


class KillSet(Message, frozen=True):
    """The kill switch was thrown; `scope_key` names the strategy or symbol where the scope is not the account."""

    mode: KillMode
    scope: Scope
    scope_key: str
    reason: str
    by: str


class KillReset(Message, frozen=True):
    """A named person reset the kill switch."""

    scope: Scope
    scope_key: str
    by: str
    reason: str = ""


class LockSet(Message, frozen=True):
    """
    An operator forbids new risk in a scope; `side` 0 covers both sides, `until_ns` OPERATOR_NS has no end.

    An end that is not in the future is refused.
    """

    scope: Scope
    scope_key: str
    side: int
    until_ns: int
    reason: str
    by: str


class LockReleased(Message, frozen=True):
    """An operator ends a lock. Counters start afresh; a loss limit that is still broken stays broken."""

    scope: Scope
    scope_key: str
    code: Code
    by: str
    reason: str = ""


class FlattenSet(Message, frozen=True):
    """An operator wants a symbol's position, or with an empty symbol every position, closed until the venue confirms it."""

    symbol: str
    reason: str
    by: str


class Rebased(Message, frozen=True):
    """An operator takes present equity as the new reference for drawdown and peak."""

    by: str
    reason: str


class OwnerSet(Message, frozen=True):
    """An operator names who owns exits from now on."""

    owner: str
    by: str


class Adopted(Message, frozen=True):
    """
    An operator puts a position that was opened outside the gate under the exit rules, for a strategy and with a stop.

    Its age and its market state at entry count from here.
    """

    symbol: str
    strategy: str
    stop_price: float
    by: str
    target_price: float = nan
    reason: str = ""


class Quarantined(Message, frozen=True):
    """An input that could not be processed: its kind, why, and its payload as received."""

    kind: str
    reason: str
    payload: bytes
    symbol: str = ""


class AccountOpened(Message, frozen=True):
    """
    The first input of every ledger: who the account is and what it starts with, in account currency.

    It comes again, with a higher epoch, at every restart. With `stops_at_venue` every position that was opened through
    the gate has its protective stop as an order at the venue.
    """

    account: str
    kind: AccountKind
    currency: str
    initial_balance: float
    epoch: int = 1
    nominal_base: float = 0.0
    stops_at_venue: bool = False


Input = (
    Tick
    | MarketBatch
    | BarClosed
    | MarketState
    | EquityMarked
    | CashFlow
    | PositionsReported
    | OrdersReported
    | Intent
    | Rebalance
    | Amend
    | Cancel
    | Spent
    | Executed
    | VenueError
    | ClockChecked
    | Heartbeat
    | PolicySet
    | CalendarSet
    | BlackoutSet
    | InstrumentSet
    | ModeSet
    | KillSet
    | KillReset
    | LockSet
    | LockReleased
    | FlattenSet
    | Rebased
    | OwnerSet
    | Adopted
    | Quarantined
    | AccountOpened
)


# ---------------------------------------------------------------- outputs


class Objection(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A guard that wanted less than was asked for, and what it would allow, in account currency (0: a veto)."""

    code: Code
    allowance: float


class Decision(Message, frozen=True):
    """
    The answer to an intent, or to one leg of it.

    `headline` is ALLOWED or the most important objection; `objections` holds all of them. `lock` names the lock behind
    TRADING_REDUCING, TRADING_HALTED or SYMBOL_VETO. A repeated intent has `repeats` = the first decision's id and
    carries that decision's permit and the permit's present state. What a rebalance leaves alone is ALLOWED and `note`
    says so; nothing was asked for, and nothing is granted.
    """

    id: int
    intent_id: str
    source: str
    strategy: str
    symbol: str
    side: int
    reducing: bool
    requested_steps: int
    granted_steps: int
    allowance: float
    headline: Code
    objections: tuple[Objection, ...]
    facts: Facts | None
    state: TradingState
    lock: str = ""
    lock_until_ns: int = 0
    permit: int = 0
    permit_state: PermitState = PermitState.ISSUED
    repeats: int = 0
    note: str = ""

    @property
    def allowed(self) -> bool:
        """Whether anything may go out."""
        return self.granted_steps > 0


class PermitIssued(Message, frozen=True):
    """
    Authority to execute exactly one order; an opening one reserves `reserved` micros of notional from now on.

    `limit_price` NaN is a market order (reducing only). `expires_ns` 0 never ends by time. `goal` names what a reducing
    permit serves: a newer one of the same goal supersedes it. With a `trigger_price` the order is a protective stop: it
    rests at the venue, reduce-only, and is sent to the market there when the mark reaches that price.
    """

    id: int
    epoch: int
    fence: int
    decision: int
    intent_id: str
    strategy: str
    symbol: str
    side: int
    steps: int
    limit_price: float
    reduce_only: bool
    stop_price: float
    target_price: float
    margin_leverage: float
    issued_ns: int
    expires_ns: int
    reserved: int
    goal: str = ""
    deferred: Intent | None = None
    source: str = ""
    trigger_price: float = nan


class PermitRevoked(Message, frozen=True):
    """An unspent permit is no longer valid; its reservation is released."""

    permit: int
    state: PermitState
    code: Code


class FenceRaised(Message, frozen=True):
    """Opening permits issued under an older fence are void."""

    fence: int
    code: Code


class CancelOrders(Message, frozen=True):
    """Working orders to cancel at the venue, until it confirms: openings, and stops that are over."""

    permits: tuple[int, ...]
    code: Code


class LockChanged(Message, frozen=True):
    """A lock was set, changed or (with `until_ns` 0) ended; `side` 0 covers both sides."""

    scope: Scope
    scope_key: str
    side: int
    code: Code
    severity: TradingState
    since_ns: int
    until_ns: int
    value: float
    threshold: float
    reason: str
    by: str


class FlattenGoal(Message, frozen=True):
    """A position is to be closed until the venue confirms that it is flat (`active` False: it has)."""

    symbol: str
    code: Code
    active: bool
    next_attempt_ns: int = 0
    attempts: int = 0


class ExitProposed(Message, frozen=True):
    """
    An exit rule, or the exit owner, wants a position reduced to `left_steps`, its stop moved, or both.

    `fraction` is the share of the largest quantity held that is to be closed in all; `left_steps` -1 closes nothing,
    `stop_price` NaN moves nothing. `acting` False is advice to the exit owner and changes nothing. Then come the numbers
    that led there, as far as they were looked at.
    """

    symbol: str
    rung: str
    fraction: float
    reason: str
    episode: int = 0
    left_steps: int = -1
    stop_price: float = nan
    acting: bool = True
    source: str = ""
    mark: float = nan
    mark_age_s: float = nan
    r: float = nan
    risk: float = nan
    cost: float = nan
    score: float = nan
    flip: float = nan
    spike: float = nan
    drop: float = nan
    age: float = nan
    policy: str = ""


class OpeningsDeferred(Message, frozen=True):
    """
    Openings of a rebalance, its instructions here, wait until all of these permits have filled, and are then decided again.

    They replace what waited for the strategy before; without `reductions` nothing waits any more. `fence` is the opening
    fence behind which they wait: once it is raised they are void.
    """

    rebalance: Rebalance
    reductions: tuple[int, ...]
    fence: int = 0


class BaselineSet(Message, frozen=True):
    """
    A reference figure was taken: `name` is a calendar's name, `drawdown_ref`, `equity_peak` or `initial_balance`.

    `how` is exact, shadow, pending, rebase, flow or venue. NaN figures are not known yet.
    """

    name: str
    start_ns: int
    equity: float
    balance: float
    how: str


class RiskEvent(Message, frozen=True):
    """A trigger acted, warned or re-armed."""

    at_ns: int
    trigger: Code
    symbol: str
    action: RiskAction
    value_at_trigger: float
    threshold: float
    metadata: str = ""


class Alert(Message, frozen=True):
    """Something a person should know; `code` says what kind."""

    code: Code
    message: str
    symbol: str = ""


Output = (
    Decision
    | PermitIssued
    | PermitRevoked
    | FenceRaised
    | CancelOrders
    | LockChanged
    | FlattenGoal
    | ExitProposed
    | OpeningsDeferred
    | BaselineSet
    | RiskEvent
    | Alert
)


class Step(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One step of the engine, whole: what came in, when by both clocks, and everything that went out."""

    seq: int
    at_ns: int
    mono_ns: int
    input: Input
    outputs: tuple[Output, ...]
    schema: int = SCHEMA
