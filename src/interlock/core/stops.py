"""
Protection: every position that was opened through the gate has its stop as an order at the venue.

A stop is a reducing permit with a trigger price, so its fills are booked like any other. Where a position or its stop
price has changed, a new permit is issued, and the old order is cancelled only when the venue reports that the new one
works: both are reduce-only, so the overlap closes no more than is held. While one is on its way to the venue, no other is
sent after it within the policy's patience: a position that changes faster than stops arrive would never have one. A
refused stop is sent again after a growing pause; past the policy's patience the position is closed instead, and only then:
silence is no proof that it is naked. The patience runs from the first loss on, until a stop has rested for as long: one
that is taken and dropped again was none.

Stops are no exits that somebody asked for. They wait for nobody, no lock, fence, kill switch or freeze touches them,
and they never count as closes under way.
"""

from typing import Final

from interlock.core.agenda import Agenda
from interlock.core.authority import EMERGENCY
from interlock.core.codes import Code, PermitState, RiskAction
from interlock.core.fills import protects
from interlock.core.legs import permit_reducing
from interlock.core.locks import account_lock
from interlock.core.messages import Alert, CancelOrders, FlattenGoal, Intent, PermitRevoked, RiskEvent
from interlock.core.permit import RESTING
from interlock.core.state import PermitRow, State, SymbolRow, is_stop
from interlock.core.transitions import is_fresh, patience_ends_ns

STOP_NAME: Final = "stop:"
"""What the ids of stops begin with."""


def protect(agenda: Agenda, before: State, since_ns: int) -> None:
    """Every managed position has its stop at the venue or on the way there, and stops that protect nothing go."""
    state = agenda.state
    if not state.account.stops_at_venue:
        return
    for index in state.concerned():
        r = state.symbols[index]
        if r.stop_refusals > before.symbols[index].stop_refusals:
            what = f"the venue has no stop for {abs(r.position)} steps of {state.names.symbols[index]}: another follows"
            agenda.emit(Alert(Code.STOP_REFUSED, what, state.names.symbols[index]))
        if r.known == 1.0:
            _protect(agenda, index, since_ns)


def stops_of(state: State, r: SymbolRow) -> list[PermitRow]:
    """The row's live stops, newest last."""
    rows = [p for number in r.permits if (p := state.permits.get(number)) is not None and is_stop(p)]
    return sorted(rows, key=lambda p: p.id)


def covers(p: PermitRow, r: SymbolRow) -> bool:
    """Whether the stop is, or will be, exactly what the position needs."""
    left = p.steps - p.filled
    return not p.cancelling and left * p.side == -r.position and p.trigger_price == r.stop_price


def _protect(agenda: Agenda, index: int, since_ns: int) -> None:
    r = agenda.state.symbols[index]
    live = stops_of(agenda.state, r)
    _drop(agenda, [p for p in live if p.side * r.position >= 0], Code.NOTHING_TO_REDUCE)
    if r.owner < 0 or r.position == 0 or not r.stop_price > 0.0:
        return
    closing = [p for p in live if p.side * r.position < 0]
    fitting = [p for p in closing if covers(p, r)]
    if not fitting:
        _renew(agenda, index, closing, since_ns)
    elif fitting[-1].state in RESTING:
        _drop(agenda, [p for p in closing if p is not fitting[-1]], Code.ALLOWED)


def _drop(agenda: Agenda, stops: list[PermitRow], code: Code) -> None:
    """The stops are revoked where nobody has used them, and to be cancelled where they may be at the venue."""
    at_venue: list[int] = []
    for p in stops:
        if p.state == PermitState.ISSUED:
            agenda.emit(PermitRevoked(p.id, PermitState.REVOKED, code))
        elif not p.cancelling:
            at_venue.append(p.id)
    if at_venue:
        agenda.emit(CancelOrders(tuple(at_venue), code))


def _renew(agenda: Agenda, index: int, closing: list[PermitRow], since_ns: int) -> None:
    """
    A position without its stop gets one; or it is closed, where the stop is proven to come too late.

    That is where the market is beyond it already, and where the venue has refused it past the policy's patience while no
    other stop rests there that is large enough, nor is one on its way.
    """
    r = agenda.state.symbols[index]
    if _is_beyond(agenda, r):
        _close(agenda, index, Code.STOP_HIT, r.mark, r.stop_price)
        return
    naked = all(p.state in RESTING and not protects(p, r) for p in closing)
    if naked and r.stop_refusals and r.stop_close_ns and _is_due(agenda, since_ns, r.stop_close_ns):
        _close(agenda, index, Code.STOP_REFUSED, float(r.stop_refusals), 0.0)
    if any(_is_on_its_way(agenda, p) for p in closing):
        return
    if not r.stop_refusals or _is_due(agenda, since_ns, r.stop_next_ns):
        _place(agenda, index)


def _is_on_its_way(agenda: Agenda, p: PermitRow) -> bool:
    """Whether the stop may arrive at any moment: nobody has heard of it yet, and not for too long."""
    patience = agenda.state.limits(agenda.state.symbols[p.symbol]).close_patience_s
    waits = p.issued_ns <= agenda.at_ns <= patience_ends_ns(p.issued_ns, patience)
    return waits and not p.cancelling and p.state not in RESTING


def _is_due(agenda: Agenda, since_ns: int, due_ns: int) -> bool:
    """Whether the time has come; where time ran backwards nothing is waited for."""
    return not since_ns <= agenda.at_ns < due_ns


def _is_beyond(agenda: Agenda, r: SymbolRow) -> bool:
    """Whether a fresh, accepted mark proves that the stop would fire at once."""
    age_s_max = agenda.state.limits(r).mark_age_s_max
    if r.doubt != 0.0 or not r.mark > 0.0 or not is_fresh(agenda.at_ns, r.mark_at_ns, age_s_max):
        return False
    return r.mark <= r.stop_price if r.position > 0 else r.mark >= r.stop_price


def _close(agenda: Agenda, index: int, code: Code, value: float, threshold: float) -> None:
    """The position is closed until the venue confirms that it is flat, unless it is being closed already."""
    state = agenda.state
    if state.symbols[index].goal:
        return
    symbol = state.names.symbols[index]
    agenda.emit(RiskEvent(agenda.at_ns, code, symbol, RiskAction.FLATTEN, value, threshold))
    agenda.emit(FlattenGoal(symbol, code, active=True, next_attempt_ns=agenda.at_ns))


def _place(agenda: Agenda, index: int) -> None:
    state = agenda.state
    r = state.symbols[index]
    instrument = state.instruments[index]
    assert instrument is not None
    symbol = state.names.symbols[index]
    goal = f"{STOP_NAME}{symbol}:{r.episode}"
    intent = Intent(
        f"{goal}:{agenda.next_id}",
        EMERGENCY,
        state.names.strategies[r.owner],
        symbol,
        -1 if r.position > 0 else 1,
        quantity=instrument.quantity(abs(r.position)),
        reduce_only=True,
        created_at_ns=agenda.at_ns,
    )
    steps = abs(r.position)
    severity = account_lock(state.account, agenda.at_ns, agenda.trusted)[0]
    permit_reducing(agenda, intent, index, steps, steps, goal, severity, trigger_price=r.stop_price)
