"""
What follows from an input: outputs, and nothing else.

`decide` never changes the state. It works on a draft wherever one consequence depends on another; an intent in quiet
times is answered from the state itself.
"""

from collections.abc import Callable
from math import nan
from typing import Any, Final

import msgspec

from interlock.core.absorb import absorb
from interlock.core.agenda import Agenda
from interlock.core.apply import advance
from interlock.core.authority import ALWAYS, EMERGENCY, OPERATOR, may_open
from interlock.core.cash import plausible_equity
from interlock.core.codes import Code, KillMode, PermitState, RiskAction, Rung, Scope, TradingState
from interlock.core.constants import FREEZE_ALERT_NS, OPERATOR_NS
from interlock.core.due import review_interval_ns
from interlock.core.exits.pursuit import decide_exit, exit_name, pursue
from interlock.core.exits.succession import succeed
from interlock.core.exits.watch import watch
from interlock.core.floors import floor_of, is_broken
from interlock.core.legs import decide_intent, decide_opening, decide_reducing, deny, judge_again
from interlock.core.limits import is_on
from interlock.core.locks import account_lock
from interlock.core.measure import blackout_of, equity_gap, flat_due, guard_equity, session_of
from interlock.core.messages import (
    AccountOpened,
    Alert,
    Amend,
    BaselineSet,
    CalendarSet,
    Cancel,
    CancelOrders,
    EquityMarked,
    Executed,
    FlattenGoal,
    FlattenSet,
    Input,
    InstrumentSet,
    Intent,
    KillReset,
    KillSet,
    LockChanged,
    LockReleased,
    LockSet,
    ModeSet,
    Output,
    PermitRevoked,
    PolicySet,
    PositionsReported,
    Quarantined,
    Rebalance,
    Rebased,
    RiskEvent,
    Spent,
)
from interlock.core.numbers import at_least
from interlock.core.observe import live_ready
from interlock.core.permit import IN_FLIGHT
from interlock.core.rebalance import decide_rebalance, settle
from interlock.core.state import (
    ACCOUNT_LOCK_SLOTS,
    LOSS_TRIGGERS,
    RELEASED_WITHOUT_LOCK,
    STRATEGY_LOCKS,
    SYMBOL_LOCKS,
    PermitRow,
    State,
    is_stop,
)
from interlock.core.stops import protect
from interlock.core.transitions import backoff_s, core_time, in_force, is_fresh, lock_end, money
from interlock.core.triggers import (
    FLATTENING,
    end_openings,
    flatten,
    look,
    openings,
    raise_fence,
    stop_hit,
    venue_open,
)


def decide(state: State, wall_ns: int, mono_ns: int, event: Input) -> tuple[Output, ...]:
    """Everything that goes out because of the input, in order. Raises only what `inputs.check` should have caught."""
    a = state.account
    now_ns, trusted = core_time(a, wall_ns, mono_ns, state.account_limits().clock_step_s_max)
    if type(event) is Intent and not event.rung and a.now_ns <= now_ns < a.wake_ns and trusted == a.clock_trusted == 1.0:
        agenda = Agenda(state, now_ns, trusted, a.next_id, False)
        decide_intent(agenda, event)
        return tuple(agenda.outputs)
    since_ns = a.now_ns
    draft = state.draft()
    advance(draft, wall_ns, mono_ns)
    agenda = Agenda(draft, now_ns, trusted, a.next_id, draft=True)
    if trusted == 1.0:
        _roll_calendars(agenda)
    before = _Before(state, event)
    if type(event) not in CONFIGURATION:
        absorb(draft, event)
        agenda.next_id = max(agenda.next_id, draft.account.next_id)
    _expire(agenda)
    _settle_baselines(agenda)
    _pass_time(agenda, since_ns)
    handler = _HANDLERS.get(type(event))
    if handler is not None:
        handler(agenda, event, before)
    settle(agenda)
    look(agenda, event)
    _review_resting(agenda, since_ns)
    succeed(agenda, event)
    watch(agenda, event)
    pursue(agenda, since_ns)
    protect(agenda, state, since_ns)
    _pursue_goals(agenda, since_ns)
    _repeat_freeze(agenda, since_ns)
    return tuple(agenda.outputs)


CONFIGURATION: Final = frozenset({CalendarSet, InstrumentSet, PolicySet})
"""Inputs that change the shape of the tables; nothing is concluded from them in the same step."""


class _Before:
    """What a result's permit and position were before it."""

    __slots__ = ("filled", "owner", "position", "state", "stop_price")

    def __init__(self, state: State, event: Input) -> None:
        p = state.permits.get(event.permit) if type(event) is Executed else None
        self.state = p.state if p is not None else PermitState.ISSUED
        self.filled = p.filled if p is not None else 0
        self.position = state.symbols[p.symbol].position if p is not None else 0
        self.stop_price = state.symbols[p.symbol].stop_price if p is not None else nan
        self.owner = state.symbols[p.symbol].owner if p is not None else -1


# ---------------------------------------------------------------- time


def _roll_calendars(agenda: Agenda) -> None:
    """Every period that has begun has its opening figures, or is waiting for a fresh one."""
    state = agenda.state
    a = state.account
    for index in range(len(state.calendars)):
        while (c := state.calendars[index]).next < len(c.instants_ns) and c.instants_ns[c.next] <= agenda.at_ns:
            instant_ns = c.instants_ns[c.next]
            equity = guard_equity(a.venue_equity, a.own_equity)
            balance = money(a.balance + a.booked) if a.balance_known == 1.0 else nan
            if _exact_at(state, instant_ns):
                agenda.emit(BaselineSet(c.name, instant_ns, equity, balance, "exact"))
            else:
                before = _strictest(c.before_equity if c.pending == 1.0 else nan, equity)
                before_balance = _strictest(c.before_balance if c.pending == 1.0 else nan, balance)
                agenda.emit(BaselineSet(c.name, instant_ns, before, before_balance, "pending"))


def _exact_at(state: State, instant_ns: int) -> bool:
    """Whether the last figures are those of the instant: they were fresh then, or every venue was closed."""
    a = state.account
    limits = state.account_limits()
    gap = equity_gap(a.venue_equity, a.own_equity)
    if not (gap <= limits.equity_gap_frac_max and a.reconciled == 1.0):
        return False
    if is_fresh(instant_ns, a.venue_equity_at_ns, limits.equity_age_s_max):
        return is_fresh(instant_ns, a.book_at_ns, limits.mark_age_s_max)
    defined = (index for index, instrument in enumerate(state.instruments) if instrument is not None)
    return all(venue_open(state, index, instant_ns) == 0.0 for index in defined)


def _strictest(one: float, other: float) -> float:
    """The larger of two candidates for a baseline; the one that is known where only one is."""
    if one != one:
        return other
    return other if other > one else one


def _settle_baselines(agenda: Agenda) -> None:
    """A period that began without a fresh figure takes the strictest candidate once there is one."""
    state = agenda.state
    a = state.account
    equity = plausible_equity(state)
    if not equity > 0.0:
        return
    balance = money(a.balance + a.booked)
    for index in range(len(state.calendars)):
        c = state.calendars[index]
        if c.pending == 1.0 and a.venue_equity_at_ns >= c.start_ns:
            opening = _strictest(c.before_equity, equity)
            agenda.emit(BaselineSet(c.name, c.start_ns, opening, _strictest(c.before_balance, balance), "shadow"))


def _orders(state: State) -> list[PermitRow]:
    """The live permits, oldest first, for which anything can have changed."""
    return state.permits.among(state.symbols[index] for index in state.concerned())


def _expire(agenda: Agenda) -> None:
    """Opening permits that nobody used in time are over."""
    for p in _orders(agenda.state):
        if not p.reduce_only and p.state == PermitState.ISSUED and agenda.at_ns > p.expires_ns:
            agenda.emit(PermitRevoked(p.id, PermitState.EXPIRED, Code.INTENT_STALE))


def _pass_time(agenda: Agenda, since_ns: int) -> None:
    """What ends or begins between then and now voids what was allowed under it; so does time that goes back."""
    if agenda.at_ns == since_ns:
        return
    state = agenda.state
    a = state.account
    if agenda.at_ns < since_ns:
        raise_fence(agenda, Code.CLOCK_UNTRUSTED)
    if since_ns <= a.policy_valid_until_ns < agenda.at_ns and a.policy_valid_until_ns > 0:
        agenda.emit(Alert(Code.POLICY_STALE, "the policy has expired: openings are denied, exits go on"))
        raise_fence(agenda, Code.POLICY_STALE)
    opened = [
        index
        for index in state.concerned()
        if venue_open(state, index, since_ns) == 0.0 and venue_open(state, index, agenda.at_ns) == 1.0
    ]
    if opened and any(state.symbols[index].permits for index in opened):
        raise_fence(agenda, Code.SESSION_CLOSED, rows=frozenset(opened))
    _tell_held(agenda, since_ns)


def _tell_held(agenda: Agenda, since_ns: int) -> None:
    """Somebody is told of a position from outside that has to be flat soon: it is not closed by itself."""
    state = agenda.state
    for index in state.concerned():
        r = state.symbols[index]
        limits = state.limits(r)
        if r.owner >= 0 or r.position == 0 or not is_on(limits, Code.SESSION_FLAT):
            continue
        if flat_due(r, agenda.at_ns, limits)[0] and not flat_due(r, since_ns, limits)[0]:
            symbol = state.names.symbols[index]
            what = f"{symbol} was opened outside the gate and has to be flat soon: close it by hand"
            agenda.emit(Alert(Code.SESSION_FLAT, what, symbol))


def _review_resting(agenda: Agenda, since_ns: int) -> None:
    """A working opening order that would not be allowed now is to be cancelled."""
    state = agenda.state
    for p in _orders(state):
        every_ns = review_interval_ns(state.limits(state.symbols[p.symbol]))
        if p.reduce_only or p.cancelling or p.state not in IN_FLIGHT or every_ns == 0:
            continue
        if (agenda.at_ns - p.issued_ns) // every_ns > (since_ns - p.issued_ns) // every_ns:
            code = judge_again(agenda, p)
            if code is not None:
                agenda.emit(CancelOrders((p.id,), code))


def _pursue_goals(agenda: Agenda, since_ns: int) -> None:
    """Each position that is to be flattened has its next attempt under way, or a time for it that the clock will see."""
    state = agenda.state
    for index in state.concerned():
        r = state.symbols[index]
        if not r.goal or since_ns <= agenda.at_ns < r.goal_next_ns:
            continue
        symbol = state.names.symbols[index]
        code = Code(r.goal)
        session, _, edge_ns = session_of(state, index, agenda.at_ns)
        if session == 0.0:
            agenda.emit(FlattenGoal(symbol, code, active=True, next_attempt_ns=edge_ns, attempts=r.goal_attempts))
            continue
        if (
            r.position != 0
            and state.instruments[index] is not None
            and (
                code is Code.OPERATOR_FLATTEN
                or account_lock(state.account, agenda.at_ns, agenda.trusted)[0] < TradingState.HALTED
            )
        ):
            _attempt_flat(agenda, index)
        limits = state.limits(r)
        salt = state.account.seq + index
        delay_s = backoff_s(r.goal_attempts, limits.flatten_retry_s_min, limits.flatten_retry_s_max, salt)
        next_ns = lock_end(agenda.at_ns, delay_s)
        agenda.emit(FlattenGoal(symbol, code, active=True, next_attempt_ns=next_ns, attempts=r.goal_attempts + 1))


def _repeat_freeze(agenda: Agenda, since_ns: int) -> None:
    """While exits are frozen and something is held, somebody is told so again and again."""
    state = agenda.state
    if state.account.lock_severity[ACCOUNT_LOCK_SLOTS[Code.KILL_SWITCH]] != TradingState.HALTED:
        return
    due = agenda.at_ns // FREEZE_ALERT_NS > since_ns // FREEZE_ALERT_NS
    if due and any(state.symbols[index].position != 0 for index in state.open_rows):
        agenda.emit(Alert(Code.TRADING_HALTED, "exits are off, and positions are open: reset the kill switch or close"))


def _flatten_name(state: State, index: int) -> str:
    """What the closes of a position that is to be flattened have in common."""
    return f"flatten:{state.names.symbols[index]}:{state.symbols[index].episode}"


def _attempt_flat(agenda: Agenda, index: int) -> None:
    state = agenda.state
    r = state.symbols[index]
    instrument = state.instruments[index]
    symbol = state.names.symbols[index]
    assert instrument is not None
    strategy = state.names.strategies[r.owner] if r.owner >= 0 else ""
    side = -1 if r.position > 0 else 1
    goal = _flatten_name(state, index)
    intent = Intent(
        f"{goal}:{r.goal_attempts}",
        OPERATOR if r.goal == Code.OPERATOR_FLATTEN else EMERGENCY,
        strategy,
        symbol,
        side,
        quantity=instrument.quantity(abs(r.position)),
        reduce_only=True,
        created_at_ns=agenda.at_ns,
    )
    decide_reducing(agenda, intent, index, abs(r.position), abs(r.position), None, goal)


# ---------------------------------------------------------------- intents in a draft


def _intent(agenda: Agenda, event: Intent, _before: _Before) -> None:
    if event.rung:
        decide_exit(agenda, event)
    else:
        decide_intent(agenda, event)


def _rebalance(agenda: Agenda, event: Rebalance, _before: _Before) -> None:
    decide_rebalance(agenda, event)


def _amend(agenda: Agenda, event: Amend, _before: _Before) -> None:
    p = agenda.state.permits.get(event.permit)
    note = "cancel the order and send a new intent"
    deny(agenda, _about(agenda, event.id, event.source, p), Code.AMEND_UNSUPPORTED, reducing=False, note=note)


def _cancel(agenda: Agenda, event: Cancel, _before: _Before) -> None:
    """An unspent opening permit is revoked and a working order cancelled, for whoever may open for its strategy."""
    state = agenda.state
    p = state.permits.get(event.permit)
    about = _about(agenda, event.id, event.source, p)
    if p is None or p.ended:
        deny(agenda, about, Code.MALFORMED, reducing=False, note=f"permit {event.permit} is not live")
    elif p.reduce_only and event.source not in ALWAYS:
        deny(agenda, about, Code.NOT_EXIT_OWNER, reducing=False, note="closing orders are cancelled by operators only")
    elif event.source not in ALWAYS and may_open(state, event.source, about.strategy) != 1.0:
        deny(agenda, about, Code.SOURCE_DENIED, reducing=False)
    elif p.state == PermitState.ISSUED:
        agenda.emit(PermitRevoked(p.id, PermitState.REVOKED, Code.ALLOWED))
    else:
        agenda.emit(CancelOrders((p.id,), Code.ALLOWED))


def _about(agenda: Agenda, intent_id: str, source: str, p: PermitRow | None) -> Intent:
    """The wish about an order as an intent, so that its denial reads like any other."""
    names = agenda.state.names
    symbol = names.symbols[p.symbol] if p is not None else ""
    strategy = names.strategies[p.strategy] if p is not None and p.strategy >= 0 else ""
    return Intent(intent_id, source, strategy, symbol, p.side if p is not None else 0)


# ---------------------------------------------------------------- results and reports


def _executed(agenda: Agenda, event: Executed, before: _Before) -> None:
    state = agenda.state
    p = state.permits.get(event.permit)
    if p is None:
        what = f"a result came for permit {event.permit}, which is not known: positions are in doubt until reported"
        agenda.emit(Alert(Code.POSITION_UNRECONCILED, what))
        return
    r = state.symbols[p.symbol]
    if is_stop(p) and p.state == PermitState.UNKNOWN != before.state:
        what = f"the venue does not say whether it has stop {p.id}: openings stop until it does"
        agenda.emit(Alert(Code.POSITION_UNRECONCILED, what, state.names.symbols[p.symbol]))
    if p.filled == before.filled:
        return
    if before.position * p.side < 0:
        _tell_exposed(agenda, p, event)
    if p.reduce_only and before.position != 0 and r.position == 0 and _at_stop(state, p, before):
        stop_hit(agenda, p.symbol, 1 if before.position > 0 else -1, before.stop_price, before.owner)
    if p.deferred is not None and p.filled == p.steps:
        _decide_rest(agenda, p, p.deferred)


def _decide_rest(agenda: Agenda, p: PermitRow, rest: Intent) -> None:
    """What a flip opens is decided now that the position is flat; a fence raised since then voids it, like any permit."""
    if p.fence == agenda.state.account.fence:
        decide_opening(agenda, rest, p.symbol, 0.0)
    else:
        deny(
            agenda,
            rest,
            Code.INTENT_STALE,
            reducing=False,
            note="openings were stopped after it was asked for: send it anew",
        )


def _tell_exposed(agenda: Agenda, p: PermitRow, event: Executed) -> None:
    """Somebody is told of a fill that reduced a position while the firm forbade it."""
    at_ns = event.at_ns if 0 < event.at_ns < agenda.at_ns else agenda.at_ns
    if not blackout_of(agenda.state.symbols[p.symbol], at_ns)[0]:
        return
    symbol = agenda.state.names.symbols[p.symbol]
    filled, asked = float(p.filled), float(p.steps)
    agenda.emit(RiskEvent(at_ns, Code.RULE_EXPOSED, symbol, RiskAction.WARN, filled, asked, p.goal))
    what = f"{symbol} was reduced by permit {p.id} ({p.goal}) while the firm forbids closing it"
    agenda.emit(Alert(Code.RULE_EXPOSED, what, symbol))


def _at_stop(state: State, p: PermitRow, before: _Before) -> bool:
    """Whether the stop closed the position, or fills that were, on average, at or beyond it."""
    if is_stop(p) or p.goal == exit_name(state, p.symbol, Rung.STOP):
        return True
    instrument = state.instruments[p.symbol]
    if instrument is None or not before.stop_price > 0.0:
        return False
    got = money(p.filled_value)
    at_stop = p.filled * instrument.step * instrument.value(before.stop_price)
    return at_least(at_stop, got) if before.position > 0 else at_least(got, at_stop)


def _spent(agenda: Agenda, event: Spent, _before: _Before) -> None:
    if agenda.state.permits.get(event.permit) is None:
        what = f"permit {event.permit} was spent, which is not known: positions are in doubt until reported"
        agenda.emit(Alert(Code.POSITION_UNRECONCILED, what))


def _positions_reported(agenda: Agenda, _event: PositionsReported, _before: _Before) -> None:
    """Where the venue confirms flat, the flatten goal is reached and unused closing permits are over."""
    state = agenda.state
    if state.account.reconciled != 1.0:
        return
    for index in tuple(state.open_rows):
        r = state.symbols[index]
        if r.position != 0 or r.known != 1.0:
            continue
        for number in tuple(r.permits):
            p = state.permits.get(number)
            if p is not None and p.reduce_only and p.state == PermitState.ISSUED:
                agenda.emit(PermitRevoked(number, PermitState.REVOKED, Code.NOTHING_TO_REDUCE))
        if r.goal:
            agenda.emit(FlattenGoal(state.names.symbols[index], Code(r.goal), active=False))


def _equity_marked(agenda: Agenda, _event: EquityMarked, _before: _Before) -> None:
    """An implausible figure is told once for each change of it."""
    a = agenda.state.account
    limits = agenda.state.account_limits()
    gap = equity_gap(a.venue_equity, a.own_equity)
    if gap > limits.equity_gap_frac_max:
        what = f"the venue says equity is {a.venue_equity:.2f}, our own estimate is {a.own_equity:.2f}: opening stops"
        agenda.emit(Alert(Code.EQUITY_IMPLAUSIBLE, what))


# ---------------------------------------------------------------- the process and its mode


def _account_opened(agenda: Agenda, _event: AccountOpened, _before: _Before) -> None:
    """
    A new engine has taken over: permits of the old one that nobody used are void, and flattening goes on at once.

    What the old one wanted cancelled is to be cancelled still: nobody knows how far that has come.
    """
    state = agenda.state
    unused = [p for p in state.permits.alive() if p.state == PermitState.ISSUED]
    for p in unused:
        agenda.emit(PermitRevoked(p.id, PermitState.REVOKED, Code.RESTARTED))
    cancelling = tuple(p.id for p in state.permits.alive() if p.cancelling)
    if cancelling:
        agenda.emit(CancelOrders(cancelling, Code.RESTARTED))
    for p in unused:
        r = state.symbols[p.symbol]
        if r.goal and p.goal == _flatten_name(state, p.symbol):
            symbol = state.names.symbols[p.symbol]
            agenda.emit(FlattenGoal(symbol, Code(r.goal), True, agenda.at_ns, r.goal_attempts))


def _mode_set(agenda: Agenda, _event: ModeSet, _before: _Before) -> None:
    """Openings that the mode does not cover are void."""
    state = agenda.state
    opening = {p.symbol for p in state.permits.alive() if not p.reduce_only}
    rows = frozenset(index for index in opening if live_ready(state, index) != 1.0)
    if rows:
        raise_fence(agenda, Code.NOT_LIVE, rows=rows)


# ---------------------------------------------------------------- operators


def _policy_set(agenda: Agenda, event: PolicySet, _before: _Before) -> None:
    if not event.verified:
        agenda.emit(Alert(Code.POLICY_INVALID, "a policy whose digest or signature does not match was refused"))
    raise_fence(agenda, Code.POLICY_STALE if event.verified else Code.POLICY_INVALID)


def _flatten_set(agenda: Agenda, event: FlattenSet, _before: _Before) -> None:
    """
    Positions of the scope are closed until the venue confirms it, whoever opened them, a freeze notwithstanding.

    Openings that could fill afterwards are over or being cancelled.
    """
    state = agenda.state
    rows = frozenset({state.names.symbol_index[event.symbol]}) if event.symbol else None
    end_openings(agenda, openings(state, rows), Code.OPERATOR_FLATTEN)
    for index in tuple(state.open_rows):
        r, symbol = state.symbols[index], state.names.symbols[index]
        held = r.position != 0 or r.known != 1.0
        if held and event.symbol in ("", symbol) and r.goal != Code.OPERATOR_FLATTEN:
            agenda.emit(FlattenGoal(symbol, Code.OPERATOR_FLATTEN, True, agenda.at_ns, r.goal_attempts))


def _lock_set(agenda: Agenda, event: LockSet, _before: _Before) -> None:
    lock_scope(agenda, event.scope, event.scope_key, event.side, Code.OPERATOR_LOCK, event.until_ns, event.reason, event.by)


def lock_scope(
    agenda: Agenda,
    scope: Scope,
    key: str,
    side: int,
    code: Code,
    until_ns: int,
    reason: str,
    by: str,
    severity: TradingState = TradingState.REDUCING,
) -> None:
    """New risk is forbidden in the scope, and what was allowed there before is void."""
    agenda.emit(LockChanged(scope, key, side, code, severity, agenda.at_ns, until_ns, nan, nan, reason, by))
    raise_fence(agenda, code, rows=rows_of(agenda.state, scope, key))


def rows_of(state: State, scope: Scope, key: str) -> frozenset[int] | None:
    """The open rows in a scope; None is all of them."""
    if scope == Scope.ACCOUNT:
        return None
    if scope == Scope.SYMBOL:
        return frozenset({state.names.symbol_index.get(key, -1)})
    strategy = state.names.strategy_index.get(key, -1)
    return frozenset(index for index in state.open_rows if state.symbols[index].owner == strategy)


def _lock_released(agenda: Agenda, event: LockReleased, _before: _Before) -> None:
    state = agenda.state
    if event.code in RELEASED_WITHOUT_LOCK:
        return
    agenda.emit(
        LockChanged(
            event.scope,
            event.scope_key,
            0,
            event.code,
            TradingState.ACTIVE,
            agenda.at_ns,
            0,
            nan,
            nan,
            event.reason,
            event.by,
        )
    )
    if event.code in LOSS_TRIGGERS:
        a = state.account
        _, floor = floor_of(state, event.code, state.account_limits())
        if is_broken(event.code, guard_equity(a.venue_equity, a.own_equity), floor):
            what = f"{event.code} is released, but equity is still under its floor: openings stay denied until a rebase"
            agenda.emit(Alert(event.code, what))


def _kill_set(agenda: Agenda, event: KillSet, _before: _Before) -> None:
    """
    The kill switch holds in its scope, for the reason it was first thrown for; throwing it again never weakens it.

    A freeze and a flatten contradict each other, so only a named operator replaces one by the other.
    """
    state = agenda.state
    rows = rows_of(state, event.scope, event.scope_key)
    held = kill_severity(state, event.scope, event.scope_key)
    flattening = any(
        state.symbols[index].goal == Code.KILL_SWITCH for index in state.open_rows if rows is None or index in rows
    )
    if event.mode == KillMode.FREEZE:
        if held < TradingState.HALTED and (event.by or not flattening):
            _kill(agenda, event, TradingState.HALTED)
            agenda.emit(Alert(Code.TRADING_HALTED, "exits are off: trading is frozen until an operator resets it"))
        return
    if held == TradingState.HALTED and not (event.mode == KillMode.FLATTEN and event.by):
        return
    if held != TradingState.REDUCING:
        _kill(agenda, event, TradingState.REDUCING)
    if event.mode == KillMode.FLATTEN:
        flatten(agenda, Code.KILL_SWITCH, external=True, rows=rows)


def _kill(agenda: Agenda, event: KillSet, severity: TradingState) -> None:
    lock_scope(agenda, event.scope, event.scope_key, 0, Code.KILL_SWITCH, OPERATOR_NS, event.reason, event.by, severity)


def kill_severity(state: State, scope: Scope, key: str) -> TradingState:
    """How severe the kill switch in a scope is now; ACTIVE is off."""
    if scope == Scope.ACCOUNT:
        return TradingState(state.account.lock_severity[ACCOUNT_LOCK_SLOTS[Code.KILL_SWITCH]])
    if scope == Scope.STRATEGY:
        index = state.names.strategy_index.get(key, -1)
        slot = STRATEGY_LOCKS.index(Code.KILL_SWITCH)
        return TradingState(state.strategies[index].lock_severity[slot] if index >= 0 else 0)
    index = state.names.symbol_index.get(key, -1)
    slot = SYMBOL_LOCKS.index(Code.KILL_SWITCH)
    return TradingState(state.symbols[index].lock_severity[slot] if index >= 0 else 0)


def _kill_reset(agenda: Agenda, event: KillReset, _before: _Before) -> None:
    """The kill switch is off in its scope; positions are flattened on only where a broken loss limit wants it too."""
    state = agenda.state
    agenda.emit(
        LockChanged(
            event.scope,
            event.scope_key,
            0,
            Code.KILL_SWITCH,
            TradingState.ACTIVE,
            agenda.at_ns,
            0,
            nan,
            nan,
            event.reason,
            event.by,
        )
    )
    rows = rows_of(state, event.scope, event.scope_key)
    a = state.account
    standing = [
        code for code in FLATTENING if in_force(a.lock_until[ACCOUNT_LOCK_SLOTS[code]], agenda.at_ns, agenda.trusted)
    ]
    for index in tuple(state.open_rows):
        if state.symbols[index].goal == Code.KILL_SWITCH and (rows is None or index in rows):
            symbol = state.names.symbols[index]
            if standing:
                agenda.emit(FlattenGoal(symbol, standing[0], active=True, next_attempt_ns=agenda.at_ns))
            else:
                agenda.emit(FlattenGoal(symbol, Code.KILL_SWITCH, active=False))


def _rebased(agenda: Agenda, _event: Rebased, _before: _Before) -> None:
    """Peak and drawdown reference are present equity, where that is proven; so is an initial balance that was lost."""
    equity = plausible_equity(agenda.state)
    if not equity > 0.0:
        agenda.emit(Alert(Code.EQUITY_IMPLAUSIBLE, "nothing was rebased: present equity is not proven"))
        return
    lost = ("initial_balance",) if agenda.state.account.initial_balance != agenda.state.account.initial_balance else ()
    for name in ("drawdown_ref", "equity_peak", *lost):
        agenda.emit(BaselineSet(name, agenda.at_ns, equity, nan, "rebase"))


def _quarantined(agenda: Agenda, event: Quarantined, _before: _Before) -> None:
    """Somebody is told; an order that can only reduce still leaves, and the venue sees to it that it only reduces."""
    agenda.emit(Alert(Code.QUARANTINED, f"an input of kind {event.kind} could not be processed: {event.reason}"))
    if event.kind != "Intent":
        return
    intent = read_intent(event.payload)
    index = agenda.state.names.symbol_index.get(intent.symbol, -1) if intent is not None else -1
    instrument = agenda.state.instruments[index] if index >= 0 else None
    if intent is None or instrument is None or not intent.reduce_only or intent.side not in (1, -1):
        return
    steps = instrument.steps_down(intent.quantity)
    if steps:
        decide_reducing(agenda, intent, index, steps, steps, None)


def read_intent(payload: bytes) -> Intent | None:
    """The intent in a recorded payload, or None where it is not one."""
    try:
        return msgspec.msgpack.decode(payload, type=Intent)
    except msgspec.MsgspecError:
        return None


_HANDLERS: Final[dict[type, Callable[[Agenda, Any, _Before], None]]] = {
    AccountOpened: _account_opened,
    ModeSet: _mode_set,
    Intent: _intent,
    Rebalance: _rebalance,
    Amend: _amend,
    Cancel: _cancel,
    Executed: _executed,
    Spent: _spent,
    PositionsReported: _positions_reported,
    EquityMarked: _equity_marked,
    PolicySet: _policy_set,
    FlattenSet: _flatten_set,
    LockSet: _lock_set,
    LockReleased: _lock_released,
    KillSet: _kill_set,
    KillReset: _kill_reset,
    Rebased: _rebased,
    Quarantined: _quarantined,
}
