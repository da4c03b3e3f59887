"""
The state: four tables of flat rows (account, symbols, strategies, calendars) and the permits that are still open.

Only `apply` and the transitions change it; everything in it is a fold over the ledger. Rows hold numbers, so that the
same transitions compile. `draft` gives a copy-on-write twin on which `decide` can look at consequences without touching
the state itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from copy import copy
from functools import cache
from math import nan
from typing import Final, Generic, Self, TypeVar, get_origin, get_type_hints

import msgspec

from interlock.core.codes import AccountKind, CalendarKind, Code, ExitMode, PermitState, Rung
from interlock.core.constants import BASE, CHOP, INTENT_WINDOW, OPERATOR_NS, PERMIT_WINDOW, RING, TREND
from interlock.core.guard import Checks
from interlock.core.instrument import Instrument
from interlock.core.limits import NO_LIMITS, Limits
from interlock.core.messages import Intent, OpeningsDeferred, PermitIssued, PolicySet, SourceRight
from interlock.core.totals import Instants, Totals

LOSS_TRIGGERS: Final = (
    Code.DAILY_LOSS,
    Code.WEEKLY_LOSS,
    Code.DRAWDOWN,
    Code.TOTAL_DRAWDOWN,
    Code.EMERGENCY_FLATTEN,
    Code.EQUITY_GUARD,
)
"""Triggers that need their loss confirmed; each has a confirmation slot in the account row. Append only."""

ACCOUNT_LOCKS: Final = (
    *LOSS_TRIGGERS,
    Code.CONSEC_LOSS,
    Code.CONSEC_LOSS_BREAKER,
    Code.API_ERRORS,
    Code.ORDER_FAILURES,
    Code.FAILED_TRADES,
    Code.RECONCILE_MISMATCH,
    Code.KILL_SWITCH,
    Code.OPERATOR_LOCK,
)
ACCOUNT_LOCK_SLOTS: Final = {code: slot for slot, code in enumerate(ACCOUNT_LOCKS)}
STRATEGY_LOCKS: Final = (Code.RUNAWAY, Code.KILL_SWITCH, Code.OPERATOR_LOCK, Code.KELLY_ZERO)
"""Append only: a row of an older snapshot has fewer slots."""

SYMBOL_LOCKS: Final = (Code.STOP_HIT, Code.KILL_SWITCH, Code.OPERATOR_LOCK)
RELEASED_WITHOUT_LOCK: Final = (Code.CLOCK_UNTRUSTED, Code.DAILY_RISK_QUOTA)
"""What an operator releases although no lock stands for it: distrust of the clock, a campaign's spent risk."""

BREAKER: Final = frozenset(
    {
        Code.WEEKLY_LOSS,
        Code.TOTAL_DRAWDOWN,
        Code.CONSEC_LOSS_BREAKER,
        Code.API_ERRORS,
        Code.ORDER_FAILURES,
        Code.FAILED_TRADES,
    }
)
"""Locks that users see as an open circuit breaker."""

ACCOUNT_WARNINGS: Final = (
    Code.DAILY_LOSS,
    Code.WEEKLY_LOSS,
    Code.DRAWDOWN,
    Code.TOTAL_DRAWDOWN,
    Code.EQUITY_GUARD,
    Code.TOTAL_EXPOSURE,
    Code.NET_EXPOSURE,
    Code.CONCURRENT_POSITIONS,
    Code.GROSS_LEVERAGE,
)
"""Measures of the account that warn; each has a bit in `AccountRow.warned`. Append only."""


RUNGS: Final = tuple(Rung)
"""Rungs that a position remembers; each has a bit in `SymbolRow.rungs`. Append only."""

RUNG_BITS: Final = {rung: 1 << number for number, rung in enumerate(RUNGS)}

VOLUNTARY: Final = frozenset(
    {Rung.TARGET, Rung.TAKE_PROFIT, Rung.TIME, Rung.REGIME, Rung.PARTIAL_25, Rung.PARTIAL_50, Rung.PARTIAL_75}
)
"""Rungs of the built-in rules that wait while a firm forbids closing: nothing is unprotected without them."""


class Row(msgspec.Struct, array_like=True, gc=False):
    """Base of all rows."""

    def clone(self) -> Self:
        """An independent copy, its short lists included."""
        twin = copy(self)
        for name in _list_fields(type(self)):
            setattr(twin, name, getattr(self, name).copy())
        return twin


@cache
def _list_fields(table: type[Row]) -> tuple[str, ...]:
    """The fields of a row that hold lists."""
    return tuple(name for name, hint in get_type_hints(table).items() if get_origin(hint) is list)


def _ring() -> list[int]:
    return [0] * RING


def _zeros(count: int) -> list[int]:
    return [0] * count


class AccountRow(Row, array_like=True):
    """The account: clocks, money, references, counters, locks. Cash in micros of account currency."""

    kind: AccountKind = AccountKind.PAPER
    currency: str = ""
    account: str = ""
    epoch: int = 0
    seq: int = 0
    next_id: int = 1
    fence: int = 0
    opened: bool = False

    wall_ns: int = 0
    mono_ns: int = 0
    now_ns: int = 0
    ref_wall_ns: int = 0
    ref_mono_ns: int = 0
    clock_trusted: float = nan
    trust_read_ns: int = 0
    wake_ns: int = 0

    nominal_base: float = 0.0
    initial_balance: float = nan
    balance: int = 0
    balance_known: float = nan
    booked: int = 0
    unexplained: int = 0
    unexplained_since_ns: int = 0
    joint_read_ns: int = 0
    venue_balance: float = nan

    venue_equity: float = nan
    venue_equity_at_ns: int = 0
    own_equity: float = nan
    own_proven: float = 0.0
    equity: float = nan
    equity_gap: float = nan
    equity_peak: float = nan
    drawdown_ref: float = nan
    realised: int = 0
    fees: int = 0
    flows: int = 0
    unscaled: int = 0
    adopted: int = 0

    held_notional: float = 0.0
    net_notional: float = 0.0
    held_margin: float = 0.0
    held_risk: float = 0.0
    unknown_rows: int = 0
    position_count: int = 0
    unknown_permits: int = 0
    pending_buy_reserved: int = 0
    pending_sell_reserved: int = 0
    pending_margin: int = 0
    pending_risk: int = 0
    book_at_ns: int = OPERATOR_NS
    book_rate_at_ns: int = OPERATOR_NS

    reconciled: float = nan
    reconciled_at_ns: int = 0
    last_fill_ns: int = 0
    heartbeat_ns: int = 0
    armed: float = nan
    rollout: float = nan
    environment_kill: float = nan

    order_tat_ns: int = 0
    loss_streak: int = 0
    loss_streak_total: int = 0
    api_error_times: list[int] = msgspec.field(default_factory=_ring)
    api_error_count: int = 0
    order_failure_times: list[int] = msgspec.field(default_factory=_ring)
    order_failure_count: int = 0
    failed_trade_times: list[int] = msgspec.field(default_factory=_ring)
    failed_trade_count: int = 0
    trip_times: list[int] = msgspec.field(default_factory=_ring)
    trip_count: int = 0

    lock_mask: int = 0
    lock_until: list[int] = msgspec.field(default_factory=lambda: _zeros(len(ACCOUNT_LOCKS)))
    lock_severity: list[int] = msgspec.field(default_factory=lambda: _zeros(len(ACCOUNT_LOCKS)))
    day_calendar: int = -1
    week_calendar: int = -1
    policy_loaded: float = 0.0
    policy_verified: float = nan
    policy_valid_until_ns: int = 0
    exit_owner: str = "any"
    tripped: int = 0
    warned: int = 0
    confirm_count: list[int] = msgspec.field(default_factory=lambda: _zeros(len(LOSS_TRIGGERS)))
    confirm_since_ns: list[int] = msgspec.field(default_factory=lambda: _zeros(len(LOSS_TRIGGERS)))

    mode_told: bool = False
    rollout_symbols: tuple[str, ...] = ()
    stops_at_venue: bool = False

    exit_mode: ExitMode = ExitMode.BUILTIN
    exit_deposed: bool = False
    owner_since_ns: int = 0
    heartbeats_since_ns: int = 0
    benchmark: int = -1

    day_entries: int = 0
    day_slices: int = 0
    campaign_slices: int = 0

    owner_silent: bool = False
    venue_silent: bool = False


class SymbolRow(Row, array_like=True):
    """
    One symbol: its prices, its position in steps, what is reserved, its vetoes.

    `cost` is the position's value at entry in micros of settlement currency, signed like the position. `known` is NaN
    while the position is in doubt. Lock slots come in pairs: buy side, sell side. `stop_refusals` counts how often the
    venue refused or lost the position's stop since one last rested there; the next is due at `stop_next_ns`, a close
    instead of it at `stop_close_ns`, where none has rested for longer than the patience since; one rests since
    `stop_rests_ns`. `regime` is the label's number, `regime_p` its probability; `kill_score` is that
    of a position opened in this market. Symbols of one `cluster` share its number; -1 is a cluster of its own. `bar_ns` is
    when the last bars began, `bar_logs` the logarithms of their closes.
    `stopped` is the strategy whose position was last closed at its stop, at `stopped_ns`, where its next rebalance is to
    end the veto, -1 where it is not; `buy_stopped` and `sell_stopped` are whose rebalance ends the veto on that side.

    While `managed` is 1.0 the position's exits are the engine's. `entry_*` is what was known when it was entered, `best`
    the most favourable mark since. `lived` is 1.0 where the last interval of marks began after the entry. `rungs` and
    `advised` are bits of `RUNGS`. While `exit_left` >= 0 the position is to be reduced to so many steps; where `exit_waits`
    is 1.0 that can wait for the end of an interval of `blackouts`, in which the firm forbids closing. `news_windows` and
    `flat_windows`, in which nothing may be opened and nothing held, are known up to `windows_until_ns`.
    """

    limits: int = -1
    policy_complete: float = nan
    margin_leverage: float = nan
    tradable: float = nan
    owner: int = -1
    opener: int = -1

    bid: float = nan
    ask: float = nan
    mark: float = nan
    high: float = nan
    low: float = nan
    mark_at_ns: int = 0
    candidate: float = nan
    doubt: float = 0.0
    rate: float = nan
    rate_at_ns: int = 0
    unit_notional: float = nan
    session_open: float = nan
    session_edge_ns: int = 0

    position: int = 0
    cost: int = 0
    known: float = 1.0
    episode: int = 0
    episode_peak: int = 0
    episode_ns: int = 0
    trade_pnl: int = 0
    trade_risk: float = 0.0
    stop_price: float = nan
    target_price: float = nan
    mismatch_count: int = 0

    pending_buy: int = 0
    pending_sell: int = 0
    pending_buy_reserved: int = 0
    pending_sell_reserved: int = 0
    issued: int = 0
    settled: int = 0
    released: int = 0

    lock_mask: int = 0
    lock_until: list[int] = msgspec.field(default_factory=lambda: _zeros(2 * len(SYMBOL_LOCKS)))
    lock_severity: list[int] = msgspec.field(default_factory=lambda: _zeros(2 * len(SYMBOL_LOCKS)))
    goal: str = ""
    goal_attempts: int = 0
    goal_next_ns: int = 0
    run_buy: list[int] = msgspec.field(default_factory=list)
    run_sell: list[int] = msgspec.field(default_factory=list)
    run_buy_count: int = 0
    run_sell_count: int = 0
    permits: list[int] = msgspec.field(default_factory=list)

    stop_refusals: int = 0
    stop_next_ns: int = 0
    stop_close_ns: int = 0

    atr: float = nan
    sigma: float = nan
    trend_strength: float = nan
    p_trend: float = nan
    p_base: float = nan
    p_chop: float = nan
    regime: float = nan
    regime_p: float = nan
    market_at_ns: int = 0

    chop_limits: int = -1
    base_limits: int = -1
    trend_limits: int = -1
    managed: float = 0.0
    entry_stop: float = nan
    entry_leverage: float = nan
    entry_atr: float = nan
    entry_sigma: float = nan
    entry_trend_strength: float = nan
    entry_regime: float = nan
    best: float = nan
    best_at_ns: int = 0
    lived: float = 0.0
    bar_count: int = 0
    idle_bar_count: int = 0
    bar_opened_ns: int = 0
    rungs: int = 0
    advised: int = 0
    exit_left: int = -1
    exit_rung: str = ""
    exit_attempts: int = 0
    exit_next_ns: int = 0
    score_unknown: float = 0.0
    exit_waits: float = 0.0
    blackouts: tuple[tuple[int, int], ...] = ()
    stop_rests_ns: int = 0
    kill_score: float = nan
    news_windows: tuple[tuple[int, int], ...] = ()
    flat_windows: tuple[tuple[int, int], ...] = ()
    windows_until_ns: int = 0
    cluster: int = -1
    bar_ns: tuple[int, ...] = ()
    bar_logs: tuple[float, ...] = ()
    stopped: int = -1
    warned: bool = False
    buy_stopped: int = -1
    sell_stopped: int = -1
    stopped_ns: int = 0


class StrategyRow(Row, array_like=True):
    """
    One strategy: its exposure now and what its closed trades came to.

    `outcomes` is a ring of the last wins and losses in micros of account currency; `recent_*` is what those within the
    policy's window came to, in account currency. `edgeless` is 1.0 from KELLY_ZERO on until the record has an edge again.
    """

    held_notional: float = 0.0
    pending_reserved: int = 0
    wins: int = 0
    losses: int = 0
    won: int = 0
    lost: int = 0
    lock_mask: int = 0
    lock_until: list[int] = msgspec.field(default_factory=lambda: _zeros(len(STRATEGY_LOCKS)))
    lock_severity: list[int] = msgspec.field(default_factory=lambda: _zeros(len(STRATEGY_LOCKS)))
    outcomes: list[int] = msgspec.field(default_factory=list)
    outcome_count: int = 0
    recent_wins: int = 0
    recent_losses: int = 0
    recent_won: float = 0.0
    recent_lost: float = 0.0
    edgeless: float = 0.0
    warned: bool = False


class ClusterRow(Row, array_like=True):
    """What is held, in account currency, and reserved, in micros, of the symbols that move together."""

    held_notional: float = 0.0
    pending_reserved: int = 0
    warned: bool = False


class CalendarRow(Row, array_like=True):
    """
    One calendar: the present period's opening figures and where the next begins.

    While `pending` is 1.0 the boundary passed without a fresh figure; `before_*` are the last ones recorded before it.
    """

    name: str = ""
    kind: CalendarKind = CalendarKind.DAY
    instants_ns: tuple[int, ...] = ()
    next: int = 0
    start_ns: int = 0
    open_equity: float = nan
    open_balance: float = nan
    pending: float = 0.0
    before_equity: float = nan
    before_balance: float = nan


class PermitRow(Row, array_like=True):
    """
    One permit and how far its order has come; steps are unsigned, `filled_value` in micros of settlement currency.

    `slices` of risk, each of `slice_risk` in account currency, are what it has filled and still may.
    """

    id: int
    symbol: int
    strategy: int
    side: int
    steps: int
    reduce_only: bool
    limit_price: float
    stop_price: float
    target_price: float
    margin_leverage: float
    fence: int
    issued_ns: int
    expires_ns: int
    reserved: int
    margin: int
    risk: int
    intent_id: str
    goal: str
    decision: int
    source: int = -1
    state: PermitState = PermitState.ISSUED
    spent: bool = False
    pending: int = 0
    filled: int = 0
    filled_value: int = 0
    fees: int = 0
    working_ns: int = 0
    cancelling: bool = False
    ended: bool = False
    deferred: Intent | None = None
    trigger_price: float = nan
    executor: str = ""
    slice_risk: float = nan
    slices: int = 0


def is_stop(p: PermitRow | PermitIssued) -> bool:
    """Whether the permit's order rests at the venue as a protective stop."""
    return p.trigger_price == p.trigger_price


def is_open(r: SymbolRow) -> bool:
    """Whether the symbol is held, in doubt, ordered or to be flattened."""
    return r.position != 0 or r.known != 1.0 or bool(r.permits) or r.goal != ""


class SeenIntent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An intent that was decided before, and how."""

    intent: Intent
    decision: int
    granted_steps: int
    allowance: float
    headline: Code
    permit: int
    reducing: bool


class Company(msgspec.Struct, frozen=True, gc=False):
    """
    How closely orders on one side of a symbol move with what is open, and the rows with which they do beyond the limit.

    It holds between the two instants: later the oldest bars that were compared are too old.
    """

    since_ns: int
    until_ns: int
    closest: float
    beyond: tuple[int, ...]


class Weighed(msgspec.Struct, frozen=True, gc=False):
    """One symbol's bars, and the returns between them as a correlation weighs them; `among` other bars, too."""

    bar_ns: tuple[int, ...]
    bar_logs: tuple[float, ...]
    decay: float
    returns: tuple[float, ...]
    among: dict[tuple[int, ...], tuple[float, ...]]


R = TypeVar("R", bound=Row)


class DraftTable(Generic[R]):
    """A table over another that copies a row when it is first written."""

    def __init__(self, base: list[R] | DraftTable[R]) -> None:
        self._base = base
        self._own: dict[int, R] = {}

    def __getitem__(self, index: int) -> R:
        own = self._own.get(index)
        return self._base[index] if own is None else own

    def __len__(self) -> int:
        return len(self._base)

    def __iter__(self) -> Iterator[R]:
        return (self[index] for index in range(len(self)))

    def edit(self, index: int) -> R:
        """The draft's own copy of the row."""
        own = self._own.get(index)
        if own is None:
            own = self._own[index] = self._base[index].clone()
        return own


def edit(table: list[R] | DraftTable[R], index: int) -> R:
    """The row, for writing: a draft's own copy of it, or the row itself."""
    return table[index] if isinstance(table, list) else table.edit(index)


K = TypeVar("K")
V = TypeVar("V")


class Keyed(Generic[K, V]):
    """A keyed table that remembers its newest entries; over a base it is a draft and leaves the base alone."""

    def __init__(self, window: int = 0, base: Keyed[K, V] | None = None) -> None:
        self.rows: OrderedDict[K, V] = OrderedDict()
        self._window = window
        self._base = base

    def get(self, key: K) -> V | None:
        """The entry, for reading, or None when it is not known (any more)."""
        row = self.rows.get(key)
        if row is None and self._base is not None:
            return self._base.get(key)
        return row

    def add(self, key: K, value: V) -> None:
        """The entry is known and the newest; beyond the window the oldest is forgotten."""
        self.rows.pop(key, None)
        self.rows[key] = value
        if self._window and self._base is None and len(self.rows) > self._window:
            self.rows.popitem(last=False)

    def remove(self, key: K) -> None:
        """The entry is forgotten."""
        self.rows.pop(key, None)


class Permits:
    """
    Live permits, and a bounded window of ended ones in which late results still find theirs.

    `written` are the symbols whose permits were, until somebody takes note.
    """

    def __init__(self, base: Permits | None = None) -> None:
        self._base = base
        self.written: set[int] = set()
        self.live: dict[int, PermitRow] = {}
        self.ended: Keyed[int, PermitRow] = Keyed(PERMIT_WINDOW)

    def get(self, permit: int) -> PermitRow | None:
        """The permit, for reading, or None when it is not known any more."""
        row = self.live.get(permit)
        if row is not None:
            return row
        return self.ended.get(permit) if self._base is None else self._base.get(permit)

    def edit(self, permit: int) -> PermitRow:
        """The permit, for writing. Raises KeyError when it is not known."""
        row = self.get(permit)
        if row is None:
            raise KeyError(permit)
        self.written.add(row.symbol)
        if self._base is not None and permit not in self.live:
            row = self.live[permit] = row.clone()
        return row

    def add(self, row: PermitRow) -> None:
        """The permit is live."""
        self.written.add(row.symbol)
        row.ended = False
        self.ended.remove(row.id)
        self.live[row.id] = row

    def end(self, row: PermitRow) -> None:
        """The permit holds nothing any more."""
        row.ended = True
        if self._base is None:
            del self.live[row.id]
            self.ended.add(row.id, row)

    def alive(self) -> list[PermitRow]:
        """The live permits, oldest first."""
        rows = self.live if self._base is None else self._base.live | self.live
        return [row for row in rows.values() if not row.ended]

    def among(self, symbols: Iterable[SymbolRow]) -> list[PermitRow]:
        """The live permits of those symbols, oldest first."""
        rows = (self.get(number) for number in sorted(number for r in symbols for number in r.permits))
        return [row for row in rows if row is not None]


class State:
    """
    All tables of one account.

    `index` maps symbols to rows, `open_rows` lists, ascending, the rows that are held or reserved: what a decision
    costs grows with them and not with the universe. `waiting` holds, by strategy, openings that wait for reductions;
    `rebalances`, by id, the content of those that were decided.
    The last row of `clusters`, at -1, is that of the symbols without one, and nothing reads it.

    What follows from the rows is not stored: `sides` are those on which each position is held or reserved, `company` what
    was found out of orders for as long as those and all bars are what they are, `weighed` each symbol's weighed returns,
    `checks` the guards that were asked under each of the policy's limits, `totals` what the open rows come to, `due` when
    time alone changes something for each of them, `written` which of them were, `touched` which are still to be looked at,
    `unmeasured` which have to be added up anew.
    """

    def __init__(self) -> None:
        self.account = AccountRow()
        self.symbols: list[SymbolRow] | DraftTable[SymbolRow] = []
        self.strategies: list[StrategyRow] | DraftTable[StrategyRow] = []
        self.calendars: list[CalendarRow] | DraftTable[CalendarRow] = []
        self.clusters: list[ClusterRow] | DraftTable[ClusterRow] = [ClusterRow()]
        self.permits = Permits()
        self.intents: Keyed[str, SeenIntent] = Keyed(INTENT_WINDOW)
        self.rebalances: Keyed[str, str] = Keyed(INTENT_WINDOW)
        self.flows: Keyed[str, bool] = Keyed(INTENT_WINDOW)
        self.open_rows: list[int] = []
        self.waiting: dict[str, OpeningsDeferred] = {}
        self.sides: dict[int, int] = {}
        self.company: dict[int, Company] = {}
        self.weighed: dict[int, Weighed] = {}
        self.checks: dict[int, Checks] = {}
        self.written: set[int] = set()
        self.totals = Totals()
        self.due = Instants()
        self.touched: set[int] = set()
        self.unmeasured: set[int] = set()
        self.instruments: list[Instrument | None] = []
        self.names = Names()
        self.policy: PolicySet | None = None
        self.rights: dict[tuple[str, str], SourceRight] = {}

    def draft(self) -> State:
        """A twin on which consequences can be tried; this state does not change with it."""
        twin = State.__new__(State)
        twin.account = self.account.clone()
        twin.symbols = DraftTable(self.symbols)
        twin.strategies = DraftTable(self.strategies)
        twin.calendars = DraftTable(self.calendars)
        twin.clusters = DraftTable(self.clusters)
        twin.permits = Permits(self.permits)
        twin.intents = Keyed(0, self.intents)
        twin.rebalances = Keyed(0, self.rebalances)
        twin.flows = Keyed(0, self.flows)
        twin.open_rows = self.open_rows.copy()
        twin.waiting = self.waiting.copy()
        twin.sides = self.sides
        twin.company = self.company
        twin.weighed = self.weighed
        twin.checks = self.checks
        twin.written = set()
        twin.totals = self.totals.copy()
        twin.due = self.due
        twin.touched = set(self.concerned())
        twin.unmeasured = self.unmeasured | self.written
        twin.instruments = self.instruments
        twin.names = self.names.draft()
        twin.policy = self.policy
        twin.rights = self.rights
        return twin

    def edit_symbol(self, index: int) -> SymbolRow:
        """The symbol's row, for writing; that it was written is noted."""
        self.written.add(index)
        return edit(self.symbols, index)

    def touch(self, rows: Iterable[int]) -> None:
        """Something has changed for the rows, although nothing was written to them."""
        self.written.update(rows)

    def concerned(self) -> list[int]:
        """The rows, ascending, for which anything has changed since all that there was to say about them was said."""
        return sorted(self.touched | self.written | self.permits.written)

    def begin(self) -> list[int]:
        """A step begins that says all there is to say: only what is written from now on is left. Returns what was."""
        before = self.concerned()
        self.unmeasured |= self._of_use(self.written)
        self.touched, self.written, self.permits.written = set(), set(), set()
        return before

    def take_unmeasured(self) -> set[int]:
        """The rows written since this was last asked; there is still to be said what follows for those that are open."""
        self.touched |= self._of_use(self.written)
        written = self.written | self.unmeasured
        self.written, self.unmeasured = set(), set()
        return written

    def _of_use(self, rows: set[int]) -> set[int]:
        """Those of the rows that are open, or were when the totals were last taken."""
        return {row for row in rows if row in self.totals.parts or is_open(self.symbols[row])}

    def limits(self, row: SymbolRow) -> Limits:
        """The symbol's limits: its own where it is in the universe, else the account's, else none at all."""
        if self.policy is None:
            return NO_LIMITS
        return self.policy.limits[row.limits if row.limits > 0 else 0]

    def exit_limits(self, row: SymbolRow) -> Limits:
        """The limits of the position's exits: those of the regime in which it was entered, where the policy has any."""
        number = row.chop_limits if row.entry_regime == CHOP else -1
        number = row.base_limits if row.entry_regime == BASE else number
        number = row.trend_limits if row.entry_regime == TREND else number
        return self.limits(row) if self.policy is None or number < 0 else self.policy.limits[number]

    def account_limits(self) -> Limits:
        """The account's limits; all unknown while there is no policy."""
        return NO_LIMITS if self.policy is None else self.policy.limits[0]


class Names:
    """Text for row numbers and back: symbols, strategies, sources. Numbers are given once and never change."""

    def __init__(self) -> None:
        self.symbols: list[str] = []
        self.strategies: list[str] = []
        self.sources: list[str] = []
        self.symbol_index: dict[str, int] = {}
        self.strategy_index: dict[str, int] = {}
        self.source_index: dict[str, int] = {}

    def draft(self) -> Names:
        """A twin that can number new sources without this one knowing."""
        twin = Names.__new__(Names)
        twin.symbols, twin.symbol_index = self.symbols, self.symbol_index
        twin.strategies, twin.strategy_index = self.strategies, self.strategy_index
        twin.sources, twin.source_index = self.sources.copy(), self.source_index.copy()
        return twin
