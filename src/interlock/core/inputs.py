"""Which inputs can be applied at all: what a person or a program got wrong is refused before anything changes."""

from collections.abc import Callable
from itertools import pairwise
from math import inf
from typing import Any, Final

from interlock.core.cash import FLOW_KINDS
from interlock.core.codes import Code, Scope
from interlock.core.constants import MAX_CASH, MAX_STEPS, RING
from interlock.core.errors import InputInvalid
from interlock.core.limits import LIMIT_FIELDS
from interlock.core.messages import (
    AccountOpened,
    Adopted,
    BlackoutSet,
    CalendarSet,
    CashFlow,
    Executed,
    FlattenSet,
    Input,
    InstrumentSet,
    KillReset,
    KillSet,
    LockReleased,
    LockSet,
    OwnerSet,
    PolicySet,
    PositionsReported,
    Rebased,
    SymbolPolicy,
)
from interlock.core.state import ACCOUNT_LOCKS, RELEASED_WITHOUT_LOCK, STRATEGY_LOCKS, SYMBOL_LOCKS, State


def check(state: State, event: Input, at_ns: int) -> None:
    """The input can be applied to this state. Raises InputInvalid with the remedy otherwise; nothing has changed then."""
    handler = _CHECKS.get(type(event))
    problem = handler(state, event, at_ns) if handler is not None else ""
    if not problem and not state.account.opened and type(event) is not AccountOpened:
        problem = "the first input of an account is AccountOpened"
    if problem:
        raise InputInvalid(problem)


def _account_opened(state: State, event: AccountOpened, _at_ns: int) -> str:
    a = state.account
    if not a.opened:
        if not 0.0 < event.initial_balance + event.nominal_base <= MAX_CASH:
            return f"initial_balance plus nominal_base must be > 0, found {event.initial_balance!r}"
        return "" if event.epoch >= 1 else "epoch must be at least 1"
    if (event.account, event.kind, event.currency) != (a.account, a.kind, a.currency):
        return f"this state is account {a.account!r} ({a.kind}, {a.currency}); open another ledger for another account"
    if a.stops_at_venue and not event.stops_at_venue and state.open_rows:
        return "stops of this account rest at its venue: open it with stops_at_venue until everything is flat"
    return "" if event.epoch > a.epoch else f"epoch must rise above {a.epoch} when an account is opened again"


def _instrument_set(state: State, event: InstrumentSet, _at_ns: int) -> str:
    problems = event.instrument.problems()
    if problems:
        return "; ".join(problems)
    index = state.names.symbol_index.get(event.instrument.symbol)
    known = state.instruments[index] if index is not None else None
    if index is None or known is None or index not in state.open_rows:
        return ""
    fixed = ("step", "multiplier", "inverse", "quote_currency")
    if any(getattr(known, name) != getattr(event.instrument, name) for name in fixed):
        return f"{known.symbol} is held or reserved: its {', '.join(fixed)} cannot change until it is flat"
    return ""


def _policy_set(_state: State, event: PolicySet, _at_ns: int) -> str:
    if not event.verified:
        return ""
    if not event.limits:
        return "a policy needs the account's limits"
    count = len(event.limits)
    numbers = [number for symbol in event.universe for number in (symbol.limits, *_of_regimes(symbol))]
    if any(number >= count for number in numbers) or any(symbol.limits < 0 for symbol in event.universe):
        return "a symbol of the universe points at limits that are not there"
    if not event.exit_owner:
        return NAMELESS
    counts = ("api_error_count_max", "order_failure_count_max", "failed_trade_count_max", "runaway_count_max")
    for limits in event.limits:
        for name in LIMIT_FIELDS:
            if not isinstance(getattr(limits, name), int | float):
                return f"{name} must be a number, NaN where it is unknown, found {getattr(limits, name)!r}"
        for name in counts:
            if getattr(limits, name) > RING:
                return f"{name} is at most {RING}"
    return ""


NAMELESS: Final = "an exit owner has a name; `any` lets the built-in rules act"


def _owner_set(_state: State, event: OwnerSet, _at_ns: int) -> str:
    return "" if event.owner else NAMELESS


def _of_regimes(symbol: SymbolPolicy) -> tuple[int, int, int]:
    return symbol.chop_limits, symbol.base_limits, symbol.trend_limits


def _calendar_set(_state: State, event: CalendarSet, _at_ns: int) -> str:
    if any(later <= earlier for earlier, later in pairwise(event.instants_ns)):
        return f"the instants of calendar {event.name!r} must ascend"
    return "" if event.instants_ns else f"calendar {event.name!r} has no instants"


def _blackout_set(state: State, event: BlackoutSet, _at_ns: int) -> str:
    for windows in (event.intervals, event.opening, event.flat):
        edges = [edge for window in windows for edge in window]
        if any(later <= earlier for earlier, later in pairwise(edges)):
            return f"the intervals of {event.symbol!r} must be from < until and in order without overlap"
    return _known_scope(state, Scope.SYMBOL, event.symbol)


def _cash_flow(_state: State, event: CashFlow, _at_ns: int) -> str:
    if event.kind not in FLOW_KINDS:
        return f"a cash flow is one of {', '.join(FLOW_KINDS)}, found {event.kind!r}"
    if not abs(event.amount) <= MAX_CASH:
        return f"the amount of a cash flow must be a finite number, found {event.amount!r}"
    return ""


def _executed(_state: State, event: Executed, _at_ns: int) -> str:
    return "" if 0 <= event.filled_steps <= MAX_STEPS else f"filled_steps is out of range: {event.filled_steps!r}"


def _positions_reported(_state: State, event: PositionsReported, _at_ns: int) -> str:
    for position in event.positions:
        if abs(position.steps) > MAX_STEPS:
            return f"{position.symbol}: a position of {position.steps} steps is out of range"
    return ""


def _lock_set(state: State, event: LockSet, at_ns: int) -> str:
    if event.side not in (-1, 0, 1):
        return f"side must be 1 (buy), -1 (sell) or 0 (both), found {event.side!r}"
    if event.until_ns <= at_ns:
        return "a lock must end in the future; OPERATOR_NS has no end"
    return _known_scope(state, event.scope, event.scope_key)


def _known_scope(state: State, scope: Scope, key: str) -> str:
    if scope == Scope.STRATEGY and key not in state.names.strategy_index:
        return f"strategy {key!r} is not known"
    if scope == Scope.SYMBOL and key not in state.names.symbol_index:
        return f"symbol {key!r} is not known"
    return ""


def _scoped(state: State, event: KillSet | KillReset, _at_ns: int) -> str:
    return _known_scope(state, event.scope, event.scope_key)


def _kill_reset(state: State, event: KillReset, at_ns: int) -> str:
    return _scoped(state, event, at_ns) if event.by else "a reset names who resets"


def _flatten_set(state: State, event: FlattenSet, _at_ns: int) -> str:
    if not event.by:
        return "a flatten names who wants it"
    return _known_scope(state, Scope.SYMBOL, event.symbol) if event.symbol else ""


def _adopted(state: State, event: Adopted, _at_ns: int) -> str:
    if not event.by:
        return "an adoption names who adopts"
    unknown = _known_scope(state, Scope.SYMBOL, event.symbol) or _known_scope(state, Scope.STRATEGY, event.strategy)
    if unknown:
        return unknown
    r = state.symbols[state.names.symbol_index[event.symbol]]
    if r.position == 0 or r.known != 1.0:
        return f"no position in {event.symbol} is known: it is adopted once the venue has told it"
    if r.managed == 1.0:
        return f"the position in {event.symbol} was opened through the gate, or adopted before"
    side, losing = (1.0, "long: its stop lies below") if r.position > 0 else (-1.0, "short: its stop lies above")
    if not (0.0 < event.stop_price < inf and side * (r.mark - event.stop_price) > 0.0):
        return f"the position in {event.symbol} is {losing} the mark, {r.mark!r}, found {event.stop_price!r}"
    return ""


def _rebased(_state: State, event: Rebased, _at_ns: int) -> str:
    return "" if event.by else "a rebase names who rebases"


def _lock_released(state: State, event: LockReleased, _at_ns: int) -> str:
    codes = {Scope.ACCOUNT: ACCOUNT_LOCKS, Scope.STRATEGY: STRATEGY_LOCKS, Scope.SYMBOL: SYMBOL_LOCKS}[event.scope]
    if event.code not in codes and event.code not in RELEASED_WITHOUT_LOCK:
        return f"{event.code} is no lock of {event.scope} scope; they are {', '.join(codes)}"
    if event.code in RELEASED_WITHOUT_LOCK and event.scope != Scope.ACCOUNT:
        return f"{event.code} is the account's: it is released for all of it or not at all"
    if event.code == Code.KILL_SWITCH:
        return "the kill switch is reset, not released: its flattening ends with it"
    if not event.by:
        return "a release names who releases"
    return _known_scope(state, event.scope, event.scope_key)


_CHECKS: Final[dict[type, Callable[[State, Any, int], str]]] = {
    AccountOpened: _account_opened,
    InstrumentSet: _instrument_set,
    OwnerSet: _owner_set,
    PolicySet: _policy_set,
    CalendarSet: _calendar_set,
    BlackoutSet: _blackout_set,
    CashFlow: _cash_flow,
    Executed: _executed,
    PositionsReported: _positions_reported,
    LockSet: _lock_set,
    LockReleased: _lock_released,
    KillSet: _scoped,
    KillReset: _kill_reset,
    FlattenSet: _flatten_set,
    Adopted: _adopted,
    Rebased: _rebased,
}
