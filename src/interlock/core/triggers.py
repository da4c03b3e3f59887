"""
Triggers: what is proven broken sets a lock, and some of it flattens.

They state the broken condition and need proof: missing or implausible data never fires one. All are looked at after
every input that could have changed something; all that fire are recorded, the most severe wins. None ever halts exits.
"""

from collections.abc import Callable, Iterable
from math import inf, nan
from typing import Final

from interlock.core.agenda import Agenda
from interlock.core.cash import plausible_equity
from interlock.core.codes import Code, PermitState, RiskAction, Scope, TradingState
from interlock.core.constants import NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.floors import floor_of, is_broken
from interlock.core.limits import Limits, is_on, those_on
from interlock.core.measure import flat_due, guard_equity, present_or_next, session_of, window_at
from interlock.core.messages import (
    Alert,
    BaselineSet,
    CancelOrders,
    FenceRaised,
    FlattenGoal,
    Input,
    LockChanged,
    PermitRevoked,
    RiskEvent,
    Tick,
)
from interlock.core.state import (
    ACCOUNT_LOCK_SLOTS,
    ACCOUNT_LOCKS,
    ACCOUNT_WARNINGS,
    LOSS_TRIGGERS,
    AccountRow,
    PermitRow,
    State,
    SymbolRow,
    is_open,
)
from interlock.core.transitions import confirmed, in_force, is_fresh, lock_end, money, recent, within
from interlock.core.warn import user_of, uses

ENGINE: Final = "engine"
FLATTENING: Final = (Code.EQUITY_GUARD, Code.EMERGENCY_FLATTEN)
"""Loss triggers that also close what is held."""


def look(agenda: Agenda, event: Input) -> None:
    """Every trigger has been asked about the state as it now is."""
    limits = agenda.state.account_limits()
    _end_locks(agenda, limits)
    _losses(agenda, limits)
    _streaks(agenda, limits)
    _breakers(agenda, limits)
    _runaway(agenda)
    _records(agenda, limits)
    _mismatch(agenda)
    _windows(agenda)
    _warnings(agenda, limits, event)


# ---------------------------------------------------------------- effects


def lock_account(
    agenda: Agenda, code: Code, until_ns: int, value: float, threshold: float, reason: str, by: str = ENGINE
) -> None:
    """New risk is forbidden for the account until then, and nothing issued before can still open."""
    agenda.emit(
        LockChanged(Scope.ACCOUNT, "", 0, code, TradingState.REDUCING, agenda.at_ns, until_ns, value, threshold, reason, by)
    )
    raise_fence(agenda, code)


def raise_fence(agenda: Agenda, code: Code, *, rows: frozenset[int] | None = None) -> None:
    """
    Opening permits of the scope are void: unspent ones revoked, working orders to be cancelled.

    `rows` limits the scope to those symbols; None is the whole account.
    """
    state = agenda.state
    agenda.emit(FenceRaised(state.account.fence + 1, code))
    end_openings(agenda, openings(state, rows), code)


def openings(state: State, rows: frozenset[int] | None) -> list[PermitRow]:
    """Live opening permits of those symbols; None is the whole account."""
    return [p for p in state.permits.alive() if not p.reduce_only and (rows is None or p.symbol in rows)]


def end_openings(agenda: Agenda, permits: Iterable[PermitRow], code: Code) -> None:
    """Opening permits that nobody used are over, the others' orders are to be cancelled."""
    working: list[int] = []
    for p in permits:
        if p.state == PermitState.ISSUED:
            agenda.emit(PermitRevoked(p.id, PermitState.REVOKED, code))
        else:
            working.append(p.id)
    if working:
        agenda.emit(CancelOrders(tuple(working), code))


def flatten(agenda: Agenda, code: Code, *, external: bool = False, rows: frozenset[int] | None = None) -> None:
    """
    Every held position of the scope is to be closed until the venue confirms that it is flat.

    Positions that nobody opened through the gate (`external`) are left to an operator, with an alert.
    """
    state = agenda.state
    for index in tuple(state.open_rows):
        r = state.symbols[index]
        if (rows is not None and index not in rows) or (r.position == 0 and r.known == 1.0) or r.goal:
            continue
        symbol = state.names.symbols[index]
        if r.owner >= 0 or external:
            agenda.emit(FlattenGoal(symbol, code, active=True, next_attempt_ns=agenda.at_ns))
        else:
            agenda.emit(Alert(code, f"{symbol} was opened outside the gate and is left open: close it by hand", symbol))


def end_lock(agenda: Agenda, code: Code, reason: str, by: str = ENGINE) -> None:
    """The account's lock is over."""
    agenda.emit(LockChanged(Scope.ACCOUNT, "", 0, code, TradingState.ACTIVE, agenda.at_ns, 0, nan, nan, reason, by))


def _event(agenda: Agenda, code: Code, action: RiskAction, value: float, threshold: float, note: str = "") -> None:
    agenda.emit(RiskEvent(agenda.at_ns, code, "", action, value, threshold, note))


# ---------------------------------------------------------------- locks that end


def _end_locks(agenda: Agenda, limits: Limits) -> None:
    """Locks whose time is over are over; after a drawdown a new reference is taken, or an operator is needed."""
    a = agenda.state.account
    for slot, code in enumerate(ACCOUNT_LOCKS):
        until = a.lock_until[slot]
        if until == 0 or in_force(until, agenda.at_ns, agenda.trusted):
            continue
        if code in (Code.DRAWDOWN, Code.EMERGENCY_FLATTEN):
            _after_drawdown(agenda, code, limits)
        else:
            end_lock(agenda, code, "its time is over")


def _after_drawdown(agenda: Agenda, code: Code, limits: Limits) -> None:
    if limits.drawdown_rebase != 1.0:
        reason = "the drawdown needs an operator's review"
        agenda.emit(
            LockChanged(
                Scope.ACCOUNT,
                "",
                0,
                code,
                TradingState.REDUCING,
                agenda.at_ns,
                OPERATOR_NS,
                nan,
                nan,
                reason,
                ENGINE,
            )
        )
        return
    a = agenda.state.account
    others = (Code.DRAWDOWN, Code.EMERGENCY_FLATTEN)
    slots = [ACCOUNT_LOCK_SLOTS[each] for each in others if each != code]
    equity = plausible_equity(agenda.state)
    if not equity > 0.0:
        return
    end_lock(agenda, code, "its time is over")
    if not any(in_force(a.lock_until[slot], agenda.at_ns, agenda.trusted) for slot in slots):
        agenda.emit(BaselineSet("drawdown_ref", agenda.at_ns, equity, nan, "rebase"))


# ---------------------------------------------------------------- losses


def _losses(agenda: Agenda, limits: Limits) -> None:
    state = agenda.state
    a = state.account
    venue_told = is_fresh(agenda.at_ns, a.venue_equity_at_ns, limits.equity_age_s_max)
    plausible = venue_told and a.equity_gap <= limits.equity_gap_frac_max
    explained = a.unknown_permits == 0 and a.unexplained == 0 and a.reconciled_at_ns >= a.last_fill_ns
    reconciled = explained and is_fresh(agenda.at_ns, a.reconciled_at_ns, limits.reconciled_age_s_max)
    fired: list[Code] = []
    for slot, code in those_on(limits.active, LOSS_TRIGGERS):
        _, floor = floor_of(state, code, limits)
        own = a.own_proven == 1.0 and is_broken(code, a.own_equity, floor)
        tripped = a.tripped >> slot & 1
        if not (own or tripped):
            continue
        venue = venue_told and is_broken(code, a.venue_equity, floor)
        alone = reconciled and confirmed(a, slot, limits.confirm_mark_count_min, limits.confirm_s_min, agenda.at_ns)
        if not tripped and own and ((venue and plausible) or alone):
            action = RiskAction.FLATTEN if code in FLATTENING else RiskAction.VETO
            _event(agenda, code, action, a.own_equity, floor)
            fired.append(code)
        elif tripped and plausible_equity(state) > 0.0 and not own and not venue:
            _event(agenda, code, RiskAction.REARM, guard_equity(a.venue_equity, a.own_equity), floor)
    for code in fired:
        _lock_loss(agenda, code, limits)


def _lock_loss(agenda: Agenda, code: Code, limits: Limits) -> None:
    state = agenda.state
    _, floor = floor_of(state, code, limits)
    until = _loss_lock_end(agenda, code, limits)
    lock_account(agenda, code, until, state.account.own_equity, floor, "equity is proven under its floor")
    if code in FLATTENING:
        flatten(agenda, code)


def _loss_lock_end(agenda: Agenda, code: Code, limits: Limits) -> int:
    if code == Code.DAILY_LOSS:
        return next_day_ns(agenda.state)
    if code == Code.DRAWDOWN:
        return lock_end(agenda.at_ns, limits.drawdown_lock_s)
    if code == Code.EMERGENCY_FLATTEN:
        return lock_end(agenda.at_ns, limits.emergency_lock_s)
    return OPERATOR_NS


def next_day_ns(state: State) -> int:
    """The instant at which the next risk day begins; an operator's where the calendar does not say."""
    index = state.account.day_calendar
    if index < 0:
        return OPERATOR_NS
    c = state.calendars[index]
    return c.instants_ns[c.next] if c.next < len(c.instants_ns) else OPERATOR_NS


# ---------------------------------------------------------------- streaks and counters


Streak = tuple[Code, int, float, float]
"""So many losing trades in a row, how many lock, and for how many seconds."""


def streaks(a: AccountRow, limits: Limits) -> tuple[Streak, ...]:
    """Losing trades in a row, since the last lock and since the last win."""
    return (
        (Code.CONSEC_LOSS, a.loss_streak, limits.consec_loss_count_max, limits.consec_loss_lock_s),
        (Code.CONSEC_LOSS_BREAKER, a.loss_streak_total, limits.consec_loss_breaker_count_max, inf),
    )


def _streaks(agenda: Agenda, limits: Limits) -> None:
    for code, streak, count_max, length_s in streaks(agenda.state.account, limits):
        if is_on(limits, code) and streak >= count_max and not _locked(agenda, code):
            _event(agenda, code, RiskAction.VETO, float(streak), count_max)
            until = lock_end(agenda.at_ns, length_s)
            lock_account(agenda, code, until, float(streak), count_max, f"{streak} losing trades in a row")


def _locked(agenda: Agenda, code: Code) -> bool:
    until = agenda.state.account.lock_until[ACCOUNT_LOCK_SLOTS[code]]
    return in_force(until, agenda.at_ns, agenda.trusted)


Breaker = tuple[Code, list[int], int, float, float, str]
"""A ring of failures, how many have happened in all, how many within how many seconds trip, and what they are."""


def breakers(a: AccountRow, limits: Limits) -> tuple[Breaker, ...]:
    """What is counted towards an open circuit breaker."""
    return (
        (
            Code.API_ERRORS,
            a.api_error_times,
            a.api_error_count,
            limits.api_error_count_max,
            limits.api_error_window_s,
            "venue calls failed",
        ),
        (
            Code.ORDER_FAILURES,
            a.order_failure_times,
            a.order_failure_count,
            limits.order_failure_count_max,
            limits.order_failure_window_s,
            "openings were rejected or are unknown",
        ),
        (
            Code.FAILED_TRADES,
            a.failed_trade_times,
            a.failed_trade_count,
            limits.failed_trade_count_max,
            limits.failed_trade_window_s,
            "openings ended with nothing filled",
        ),
    )


def _breakers(agenda: Agenda, limits: Limits) -> None:
    for code, times, count, count_max, window_s, what in breakers(agenda.state.account, limits):
        if not is_on(limits, code) or _locked(agenda, code):
            continue
        if within(times, count, count_max, window_s, agenda.at_ns):
            seen = recent(times, count, window_s, agenda.at_ns)
            _event(agenda, code, RiskAction.VETO, float(seen), count_max)
            lock_account(agenda, code, _breaker_end(agenda, limits), float(seen), count_max, f"{seen} {what}")


def _breaker_end(agenda: Agenda, limits: Limits) -> int:
    """The end of a breaker's pause; an operator's once it has tripped too often."""
    a = agenda.state.account
    trips = recent(a.trip_times, a.trip_count, limits.breaker_trip_window_s, agenda.at_ns)
    if trips >= limits.breaker_trip_count_max:
        return OPERATOR_NS
    return lock_end(agenda.at_ns, limits.breaker_lock_s)


def _runaway(agenda: Agenda) -> None:
    """A strategy that executed too many openings on one side of one symbol is stopped until an operator looks."""
    state = agenda.state
    for index in state.concerned():
        r = state.symbols[index]
        limits = state.limits(r)
        if not is_on(limits, Code.RUNAWAY) or r.owner < 0:
            continue
        for times, count in ((r.run_buy, r.run_buy_count), (r.run_sell, r.run_sell_count)):
            if times and within(times, count, limits.runaway_count_max, limits.runaway_window_s, agenda.at_ns):
                _lock_runaway(agenda, index, r, limits.runaway_count_max)
                break


def _lock_runaway(agenda: Agenda, index: int, r: SymbolRow, count_max: float) -> None:
    state = agenda.state
    strategy = state.names.strategies[r.owner]
    symbol = state.names.symbols[index]
    agenda.emit(RiskEvent(agenda.at_ns, Code.RUNAWAY, symbol, RiskAction.VETO, count_max, count_max, strategy))
    reason = f"{strategy} keeps opening {symbol} on one side"
    _lock_strategy(agenda, Code.RUNAWAY, r.owner, OPERATOR_NS, count_max, count_max, reason)


def _lock_strategy(
    agenda: Agenda, code: Code, number: int, until_ns: int, value: float, threshold: float, reason: str
) -> None:
    """New risk is forbidden for the strategy until then, and nothing issued to it before can still open."""
    state = agenda.state
    strategy = state.names.strategies[number]
    severity = TradingState.REDUCING
    agenda.emit(
        LockChanged(Scope.STRATEGY, strategy, 0, code, severity, agenda.at_ns, until_ns, value, threshold, reason, ENGINE)
    )
    raise_fence(agenda, code, rows=frozenset(row for row in state.open_rows if state.symbols[row].owner == number))


def _records(agenda: Agenda, limits: Limits) -> None:
    """
    A strategy whose record has no edge rests for a while, once; afterwards it trades at probe size until it has one.

    Kelly's share is more than nothing exactly where more was won than lost, so nothing needs to be divided.
    """
    if not is_on(limits, Code.KELLY_ZERO):
        return
    state = agenda.state
    for number in range(len(state.strategies)):
        s = state.strategies[number]
        if not s.recent_wins + s.recent_losses >= limits.kelly_trade_count_min or s.recent_wins + s.recent_losses == 0:
            continue
        won, lost, strategy = s.recent_won, s.recent_lost, state.names.strategies[number]
        if won <= lost and s.edgeless != 1.0:
            agenda.emit(RiskEvent(agenda.at_ns, Code.KELLY_ZERO, "", RiskAction.VETO, won, lost, strategy))
            until = lock_end(agenda.at_ns, limits.kelly_zero_lock_s)
            reason = f"the last {s.recent_wins + s.recent_losses} trades of {strategy} won no more than they lost"
            _lock_strategy(agenda, Code.KELLY_ZERO, number, until, won, lost, reason)
        elif won > lost and s.edgeless == 1.0:
            agenda.emit(RiskEvent(agenda.at_ns, Code.KELLY_ZERO, "", RiskAction.REARM, won, lost, strategy))


def stop_hit(agenda: Agenda, index: int, side: int, stop_price: float, owner: int) -> None:
    """A position of that strategy was closed at its stop: its symbol is vetoed on that side, or on both, for a time."""
    state = agenda.state
    limits = state.limits(state.symbols[index])
    if not is_on(limits, Code.STOP_HIT):
        return
    symbol = state.names.symbols[index]
    strategy = state.names.strategies[owner] if owner >= 0 else ""
    until = next_day_ns(state) if limits.stop_hit_lock_s == 0.0 else lock_end(agenda.at_ns, limits.stop_hit_lock_s)
    locked = 0 if limits.stop_hit_both_sides == 1.0 else side
    reason = "the position was closed at its stop"
    if limits.stop_hit_lock_s < 0.0 and strategy:
        reason += "; the strategy's next rebalance ends the veto"
    agenda.emit(RiskEvent(agenda.at_ns, Code.STOP_HIT, symbol, RiskAction.VETO, stop_price, stop_price, strategy))
    severity, code = TradingState.REDUCING, Code.STOP_HIT
    agenda.emit(
        LockChanged(
            Scope.SYMBOL, symbol, locked, code, severity, agenda.at_ns, until, stop_price, stop_price, reason, ENGINE
        )
    )
    raise_fence(agenda, Code.STOP_HIT, rows=frozenset({index}))


def end_stop_vetoes(agenda: Agenda, strategy: str, created_at_ns: int) -> None:
    """Vetoes after stops of the strategy that last until its next rebalance are over: it has come, made after the stop."""
    state = agenda.state
    number = state.names.strategy_index[strategy]
    reason, active = "the next rebalance has come", TradingState.ACTIVE
    for index in range(len(state.symbols)):
        r = state.symbols[index]
        for side, stopped in ((1, r.buy_stopped), (-1, r.sell_stopped)):
            if stopped == number and created_at_ns >= r.stopped_ns:
                symbol, now_ns = state.names.symbols[index], agenda.at_ns
                agenda.emit(
                    LockChanged(Scope.SYMBOL, symbol, side, Code.STOP_HIT, active, now_ns, 0, nan, nan, reason, ENGINE)
                )


# ---------------------------------------------------------------- windows of the calendar file


def _windows(agenda: Agenda) -> None:
    """Nothing that could still open is left where a window forbids it, and what has to be flat is being closed."""
    state = agenda.state
    for index in state.concerned():
        r = state.symbols[index]
        limits = state.limits(r)
        due = is_on(limits, Code.SESSION_FLAT) and flat_due(r, agenda.at_ns, limits)[0]
        if due:
            _void_openings(agenda, index, Code.SESSION_FLAT)
            _close_in_time(agenda, index, limits)
        elif is_on(limits, Code.NEWS_WINDOW) and window_at(r.news_windows, agenda.at_ns)[0]:
            _void_openings(agenda, index, Code.NEWS_WINDOW)


def _void_openings(agenda: Agenda, index: int, code: Code) -> None:
    """No opening permit of the symbol can still be used, and no opening order of it goes on working unasked."""
    state = agenda.state
    permits = (state.permits.get(number) for number in state.symbols[index].permits)
    if any(p is not None and not (p.reduce_only or p.ended or p.cancelling) for p in permits):
        raise_fence(agenda, code, rows=frozenset({index}))


def _close_in_time(agenda: Agenda, index: int, limits: Limits) -> None:
    """A position that has to be flat soon is being closed, by time that is trusted; one from outside is its owner's."""
    state = agenda.state
    r = state.symbols[index]
    if agenda.trusted != 1.0 or r.goal or r.position == 0 or r.owner < 0:
        return
    symbol = state.names.symbols[index]
    ahead_s = (present_or_next(r.flat_windows, agenda.at_ns)[0] - agenda.at_ns) / NS_PER_S_FLOAT
    agenda.emit(RiskEvent(agenda.at_ns, Code.SESSION_FLAT, symbol, RiskAction.FLATTEN, ahead_s, limits.flat_lead_s))
    flatten(agenda, Code.SESSION_FLAT, rows=frozenset({index}))


# ---------------------------------------------------------------- reconciliation


def _mismatch(agenda: Agenda) -> None:
    state = agenda.state
    a = state.account
    locked = _locked(agenda, Code.RECONCILE_MISMATCH)
    rows = state.open_rows if locked else state.concerned()
    proven = [index for index in rows if state.symbols[index].mismatch_count > 1 and is_open(state.symbols[index])]
    if proven and not locked:
        symbols = ", ".join(state.names.symbols[index] for index in proven)
        reason = f"venue and ledger disagree on {symbols}; the venue's position is taken"
        _event(agenda, Code.RECONCILE_MISMATCH, RiskAction.VETO, float(len(proven)), 0.0, symbols)
        lock_account(agenda, Code.RECONCILE_MISMATCH, OPERATOR_NS, float(len(proven)), 0.0, reason)
        agenda.emit(Alert(Code.RECONCILE_MISMATCH, reason))
    elif locked and not proven and a.reconciled == 1.0:
        end_lock(agenda, Code.RECONCILE_MISMATCH, "venue and ledger agree")


# ---------------------------------------------------------------- warnings


def _warnings(agenda: Agenda, limits: Limits, event: Input) -> None:
    """
    A loss or exposure that uses up most of its limit is an event, once until it has eased.

    Of symbols, strategies and clusters that is said at ticks: equity alone moves the shares of all of them.
    """
    if not is_on(limits, Code.WARN):
        return
    state = agenda.state
    for slot, code in those_on(limits.active, ACCOUNT_WARNINGS):
        _warn(agenda, limits, USE[code](state, limits), "", code, warned=bool(state.account.warned >> slot & 1))
    for use in tuple(uses(state, limits, limits.warn_frac_min)) if type(event) is Tick else ():
        symbol, name = user_of(state, use)
        what = use.code if use.is_symbol else f"{use.code} {name}"
        _warn(agenda, limits, use.used, symbol, what, warned=use.warned)


def _warn(agenda: Agenda, limits: Limits, used: float, symbol: str, what: str, *, warned: bool) -> None:
    if not warned and used >= limits.warn_frac_min:
        action, threshold = RiskAction.WARN, limits.warn_frac_min
    elif warned and used < limits.warn_rearm_frac_max:
        action, threshold = RiskAction.REARM, limits.warn_rearm_frac_max
    else:
        return
    agenda.emit(RiskEvent(agenda.at_ns, Code.WARN, symbol, action, used, threshold, what))


def loss_use(code: Code) -> Callable[[State, Limits], float]:
    """How the share of a loss rule's limit that is lost follows from the state."""

    def use(state: State, limits: Limits) -> float:
        """The share of the allowed loss that is lost; NaN while unknown."""
        reference, floor = floor_of(state, code, limits)
        a = state.account
        equity = guard_equity(a.venue_equity, a.own_equity)
        return (reference - equity) / (reference - floor) if reference > floor else nan

    return use


def _exposure_use(state: State, limits: Limits) -> float:
    a = state.account
    equity = guard_equity(a.venue_equity, a.own_equity)
    held = a.held_notional + money(a.pending_buy_reserved + a.pending_sell_reserved)
    room = limits.total_exposure_frac_max * equity
    return held / room if room > 0.0 else nan


def _leverage_use(state: State, limits: Limits) -> float:
    a = state.account
    held = a.held_notional + money(a.pending_buy_reserved + a.pending_sell_reserved)
    room = limits.gross_leverage_max * guard_equity(a.venue_equity, a.own_equity)
    return held / room if room > 0.0 else nan


def _net_use(state: State, limits: Limits) -> float:
    a = state.account
    room = limits.net_exposure_frac_max * guard_equity(a.venue_equity, a.own_equity)
    return abs(a.net_notional) / room if room > 0.0 else nan


def _count_use(state: State, limits: Limits) -> float:
    return state.account.position_count / limits.position_count_max if limits.position_count_max > 0.0 else nan


USE: Final[dict[Code, Callable[[State, Limits], float]]] = {
    Code.DAILY_LOSS: loss_use(Code.DAILY_LOSS),
    Code.WEEKLY_LOSS: loss_use(Code.WEEKLY_LOSS),
    Code.DRAWDOWN: loss_use(Code.DRAWDOWN),
    Code.TOTAL_DRAWDOWN: loss_use(Code.TOTAL_DRAWDOWN),
    Code.EQUITY_GUARD: loss_use(Code.EQUITY_GUARD),
    Code.TOTAL_EXPOSURE: _exposure_use,
    Code.NET_EXPOSURE: _net_use,
    Code.CONCURRENT_POSITIONS: _count_use,
    Code.GROSS_LEVERAGE: _leverage_use,
}
"""How much of its limit each measure uses, as a share; what warnings and `limits` show."""


def venue_open(state: State, index: int, now_ns: int) -> float:
    """Whether the symbol's venue is open; NaN is unknown."""
    return session_of(state, index, now_ns)[0]
