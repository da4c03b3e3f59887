"""
What the gateway says to those who ask: plain records, the same in process, over the local socket and later over HTTP.

They hold figures and codes; words are made where a person reads them.
"""

from math import nan
from typing import Literal

import msgspec

from interlock.core.codes import AccountKind, Code, KillMode, Scope, TradingState
from interlock.core.constants import OPERATOR_NS
from interlock.core.exits.views import ExitOwner, ExitView
from interlock.core.messages import Decision, Instruction, PermitIssued


class Answer(msgspec.Struct, frozen=True):
    """
    What became of an intent.

    `headline` is the most important reason: ALLOWED, a guard's code, BUSY where the gateway had no time for it, or
    UNANSWERED where no answer came in time (which means no: nothing may be assumed to have been sent). An exit proposal
    that only moves a stop is ALLOWED and grants no steps. `permits` holds what was handed over to the caller to execute;
    it is empty where the gateway executes by itself.
    """

    intent_id: str
    headline: Code
    granted_steps: int = 0
    decisions: tuple[Decision, ...] = ()
    permits: tuple[PermitIssued, ...] = ()
    note: str = ""

    @property
    def allowed(self) -> bool:
        """Whether anything may go out."""
        return self.granted_steps > 0


class Instructed(msgspec.Struct, frozen=True):
    """
    What became of one instruction of a rebalance.

    `quantity` is granted, in base units and signed by side. ALLOWED without any means that nothing is to be done now, and
    `note` says why. What `waits`, all of it or the rest, is decided again by the gateway when the reductions that are
    under way have filled.
    """

    instruction: Instruction
    headline: Code
    quantity: float = 0.0
    decisions: tuple[Decision, ...] = ()
    waits: bool = False
    note: str = ""


class Rebalanced(msgspec.Struct, frozen=True):
    """
    What became of a rebalance, one answer for each instruction in the given order.

    `headline` is ALLOWED where every instruction was decided, whatever it got. Else it is BUSY or UNANSWERED, which mean
    no, or MALFORMED, and only instructions to close may have been decided: `answers` tells. Openings that wait do so for
    the fills of the permits in `reductions`.
    """

    rebalance_id: str
    headline: Code
    answers: tuple[Instructed, ...] = ()
    reductions: tuple[int, ...] = ()
    note: str = ""

    @property
    def allowed(self) -> bool:
        """Whether anything may go out."""
        return any(answer.quantity for answer in self.answers)


class Cancelled(msgspec.Struct, frozen=True):
    """
    What became of the wish to cancel the opening orders of an intent, or of a whole rebalance.

    `revoked` permits had not been used and never will be. Orders of `cancelling` permits are being cancelled at the venue
    until it confirms, and may fill before that. `withdrawn` symbols of a rebalance waited, and wait no longer. Where there
    is nothing of all that, `headline` and `note` say why.
    """

    id: str
    headline: Code
    revoked: tuple[int, ...] = ()
    cancelling: tuple[int, ...] = ()
    withdrawn: tuple[str, ...] = ()
    note: str = ""


class KillStatus(msgspec.Struct, frozen=True):
    """The kill switch of one scope as it stands."""

    active: bool
    mode: KillMode | None = None
    scope: Scope = Scope.ACCOUNT
    scope_key: str = ""
    reason: str = ""
    by: str = ""
    at_ns: int = 0


class LockStatus(msgspec.Struct, frozen=True):
    """A lock in force."""

    scope: Scope
    scope_key: str
    side: int
    code: Code
    severity: TradingState
    until_ns: int
    reason: str = ""


class LimitStatus(msgspec.Struct, frozen=True):
    """
    A limit beside its present use, in the limit's unit.

    `scope` is the symbol, strategy or cluster, empty for the account.
    """

    code: Code
    name: str
    scope: str
    use: float
    limit: float
    unit: str


class WindowStatus(msgspec.Struct, frozen=True):
    """A window that is open or comes soon: in these symbols nothing may be opened, closed or held, as the file calls it."""

    kind: Literal["no-open", "no-close", "flat"]
    symbols: tuple[str, ...]
    from_ns: int
    until_ns: int


class RecordStatus(msgspec.Struct, frozen=True):
    """
    What a strategy's last closed trades came to, in account currency.

    `deserved_frac` is the share at risk that they deserve, 0.0 where they say nothing yet (not `enough`) or have no edge.
    `edgeless` from KELLY_ZERO on, until they have one again.
    """

    strategy: str
    wins: int
    losses: int
    won: float
    lost: float
    enough: bool
    deserved_frac: float
    edgeless: bool


class FloorStatus(msgspec.Struct, frozen=True):
    """An equity floor in account currency, and the equity that is held against it."""

    code: Code
    floor: float
    equity: float


class PositionStatus(msgspec.Struct, frozen=True):
    """
    One position; `stop_state` is `working`, `pending`, `missing` or `none` (nothing is to be placed).

    `r` is its profit in units of the risk taken, `score` the kill score, `next_rung` what closes next if the market goes
    its way, at the mark `next_price`. `managed` says whether its exits are the engine's.
    """

    symbol: str
    strategy: str
    side: int
    quantity: float
    entry: float
    mark: float
    pnl: float
    stop_price: float
    stop_state: str
    flattening: bool
    r: float = nan
    score: float = nan
    next_rung: str = ""
    next_price: float = nan
    managed: bool = True


class DecisionStatus(msgspec.Struct, frozen=True):
    """One of the last decisions, with why."""

    at_ns: int
    id: int
    intent_id: str
    source: str
    symbol: str
    side: int
    reducing: bool
    requested_steps: int
    granted_steps: int
    headline: Code
    why: str


class Status(msgspec.Struct, frozen=True):
    """Everything that a person on duty wants to see at once."""

    at_ns: int
    account: str
    kind: AccountKind
    environment: str
    venue: str
    trading_state: TradingState
    equity: float
    equity_venue: float
    kill: tuple[KillStatus, ...]
    breaker: tuple[LockStatus, ...]
    """Locks that users see as an open circuit breaker; it is closed where there are none."""
    locks: tuple[LockStatus, ...]
    limits: tuple[LimitStatus, ...]
    floors: tuple[FloorStatus, ...]
    positions: tuple[PositionStatus, ...]
    decisions: tuple[DecisionStatus, ...]
    conditions: tuple[tuple[str, bool, str], ...]
    """The live conditions: name, whether it is met, and what it was read from."""
    policy_id: str = ""
    policy_digest: str = ""
    policy_until_ns: int = 0
    ledger_seq: int = 0
    ledger_durable_seq: int = 0
    ledger_problem: str = ""
    troubles: tuple[str, ...] = ()
    """What is wrong now, as sentences: the venue does not answer, a stop is missing, the engine is being rebuilt."""
    equity_age_s: float = nan
    market_age_s: float = nan
    exits: ExitOwner = ExitOwner()
    windows: tuple[WindowStatus, ...] = ()
    """Those of the calendar file that are open or begin within a day."""
    windows_until_ns: int = OPERATOR_NS
    """How far the calendar file is known for every symbol: 0 is not at all, OPERATOR_NS where no rule needs it."""
    records: tuple[RecordStatus, ...] = ()
    """Where a rule reads them."""


class Exits(msgspec.Struct, frozen=True):
    """The way out of every position, as of `at_ns`: who acts, and each rule with how far it is."""

    at_ns: int
    owner: ExitOwner
    positions: tuple[ExitView, ...]
