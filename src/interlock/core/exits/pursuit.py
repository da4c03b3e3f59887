"""
From a proposal to orders: what was to be closed is closed, however often an order for it comes to nothing.

An order asks for what is held, less the closes under way, less what may stay. There is one at a time for a rung, and its
name is the position's and the rung's: no clock and no amount is in it. A rejected one is followed by another after a
growing pause, one of unknown fate after the patience that the policy has with closes.
"""

from math import nan

import msgspec

from interlock.core.agenda import Agenda
from interlock.core.apply import EXIT_NAME
from interlock.core.authority import EXITS, IMPATIENT, OPERATOR, may_close
from interlock.core.codes import CloseAction, Code, PermitState, TradingState
from interlock.core.constants import NS_PER_S_FLOAT
from interlock.core.exits.kernel import tightened
from interlock.core.exits.rules import is_beyond
from interlock.core.exits.watch import held_of, propose
from interlock.core.legs import closing_steps, decide_intent, decide_reducing, deny, halting
from interlock.core.measure import blackout_of, session_of
from interlock.core.messages import Decision, Intent
from interlock.core.state import RUNGS, State, SymbolRow
from interlock.core.transitions import patience_s


def exit_name(state: State, index: int, rung: str) -> str:
    """What the orders of one rung of one position have in common."""
    return f"{EXIT_NAME}{state.names.symbols[index]}:{state.symbols[index].episode}:{rung}"


def pursue(agenda: Agenda, since_ns: int) -> None:
    """Every position that is to be reduced has an order for it under way, or a time for the next."""
    state = agenda.state
    for index in state.concerned():
        r = state.symbols[index]
        waits = since_ns <= agenda.at_ns < r.exit_next_ns
        if r.exit_left < 0 or r.position == 0 or r.known != 1.0 or r.goal or waits:
            continue
        if r.exit_waits == 1.0 and blackout_of(r, agenda.at_ns)[0]:
            continue
        if session_of(state, index, agenda.at_ns)[0] == 0.0 or _in_doubt(agenda, r, exit_name(state, index, r.exit_rung)):
            continue
        intent = _order(agenda, index, EXITS, exit_name(state, index, r.exit_rung))
        if halting(agenda, index, intent)[0] < TradingState.HALTED:
            _send(agenda, index, intent)


def _in_doubt(agenda: Agenda, r: SymbolRow, goal: str) -> bool:
    """Whether the fate of the rung's last order is not known, and it is not silent for longer than is borne."""
    silence_ns = patience_s(agenda.state.limits(r).close_patience_s) * NS_PER_S_FLOAT
    orders = (agenda.state.permits.get(number) for number in r.permits)
    return any(
        p is not None
        and p.goal == goal
        and p.state == PermitState.UNKNOWN
        and 0 <= agenda.at_ns - max(p.issued_ns, p.working_ns) <= silence_ns
        for p in orders
    )


def _order(agenda: Agenda, index: int, source: str, intent_id: str) -> Intent:
    state = agenda.state
    r = state.symbols[index]
    strategy = state.names.strategies[r.owner] if r.owner >= 0 else ""
    side = -1 if r.position > 0 else 1
    return Intent(
        intent_id, source, strategy, state.names.symbols[index], side, reduce_only=True, created_at_ns=agenda.at_ns
    )


def _send(agenda: Agenda, index: int, intent: Intent) -> int:
    """What is held beyond what may stay, and not being closed yet, leaves; returns its steps."""
    state = agenda.state
    r = state.symbols[index]
    closing = 0 if intent.source in IMPATIENT else closing_steps(state, r, agenda.at_ns)
    steps = abs(r.position) - closing - r.exit_left
    if steps > 0:
        decide_reducing(agenda, intent, index, steps, steps, None, exit_name(state, index, r.exit_rung))
    return steps


# ---------------------------------------------------------------- proposals of an owner


def decide_exit(agenda: Agenda, intent: Intent) -> None:
    """
    An exit owner's proposal is answered: a rung once, cumulative as the built-in rules' own, and a stop that tightens.

    Closing all is never held back by a rung's memory. Only an operator may loosen a stop; a close whose stop would loosen
    still leaves. While the position is not known, to close all is an order to reduce like any other, of the quantity that
    it names; without one, of what was held last.
    """
    state = agenda.state
    index = state.names.symbol_index.get(intent.symbol, -1)
    if index < 0 or state.instruments[index] is None or intent.side not in (1, -1):
        note = "name a symbol that is known, and the side that closes: 1 (buy) or -1 (sell)"
        deny(agenda, intent, Code.MALFORMED, reducing=True, note=note)
        return
    r = state.symbols[index]
    if r.known != 1.0 and intent.close is CloseAction.FULL_CLOSE and intent.quantity == intent.quantity:
        decide_intent(agenda, msgspec.structs.replace(intent, rung="", reduce_only=True))
        return
    lock = halting(agenda, index, intent)
    if r.position * intent.side >= 0:
        deny(agenda, intent, Code.NOTHING_TO_REDUCE, reducing=True, note="nothing is held on that side")
    elif not may_close(state, intent.source, intent.strategy, r, agenda.at_ns):
        deny(agenda, intent, Code.NOT_EXIT_OWNER, reducing=True)
    elif lock[0] == TradingState.HALTED and intent.source != OPERATOR:
        deny(agenda, intent, Code.TRADING_HALTED, reducing=True, lock=lock)
    else:
        _decide_entitled(agenda, intent, index)


def _decide_entitled(agenda: Agenda, intent: Intent, index: int) -> None:
    state = agenda.state
    r = state.symbols[index]
    side = -float(intent.side)
    held_stop = nan if intent.source == OPERATOR else r.stop_price
    stop = tightened(side, held_stop, intent.stop_price)
    waiting = r.exit_waits == 1.0 and r.exit_rung == intent.rung
    fired = intent.close is not CloseAction.FULL_CLOSE and _has_fired(r, intent.rung) and not waiting
    action = CloseAction.NONE if fired else intent.close
    held = held_of(state, index, state.exit_limits(r), agenda.at_ns)
    if held is not None and is_beyond(-side, held.mark, stop):
        action, stop = CloseAction.FULL_CLOSE, nan
    if action is CloseAction.NONE and not stop > 0.0:
        _refuse(agenda, intent, fired=fired)
        return
    propose(agenda, index, intent.rung, action, "proposed", stop, intent.source, held, None, acting=True)
    before = agenda.next_id
    if action is not CloseAction.NONE and state.symbols[index].exit_left >= 0:
        _send(agenda, index, _order(agenda, index, intent.source, intent.id))
    if agenda.next_id == before:
        _note(agenda, intent, stop)


def _has_fired(r: SymbolRow, rung: str) -> bool:
    return rung in RUNGS and r.rungs >> RUNGS.index(rung) & 1 == 1


def _refuse(agenda: Agenda, intent: Intent, *, fired: bool) -> None:
    if intent.close is CloseAction.NONE and intent.stop_price > 0.0:
        note = "a stop is only ever tightened; an operator may loosen it"
        deny(agenda, intent, Code.NOT_EXIT_OWNER, reducing=True, note=note)
        return
    note = "this rung has fired; what it left open is pursued" if fired else "say how much to close, or a stop"
    deny(agenda, intent, Code.NOTHING_TO_REDUCE, reducing=True, note=note)


def _note(agenda: Agenda, intent: Intent, stop: float) -> None:
    """The proposal stands without an order of its own: the stop moves, or what it wants is being closed already."""
    if not stop > 0.0:
        deny(agenda, intent, Code.NOTHING_TO_REDUCE, reducing=True, note="it is closed or being closed already")
        return
    agenda.emit(
        Decision(
            agenda.take_id(), intent.id, intent.source, intent.strategy, intent.symbol, intent.side, True, 0, 0, 0.0,
            Code.ALLOWED, (), None, TradingState.ACTIVE, note=f"the stop moves to {stop!r}",
        )
    )  # fmt: skip
