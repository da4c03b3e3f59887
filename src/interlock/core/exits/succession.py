"""
Who acts on exits: an owner that lives, or the built-in rules in its place. And whether the venue still speaks.

An owner that is silent for twice its heartbeat limit while something is held is succeeded, and denied from then on. It
returns by an operator's word, or after a long enough run of heartbeats once no close is in flight. Where no built-in rule
could succeed it, and where the venue is silent for as long beside its own limit, somebody is told.
"""

from interlock.core.agenda import Agenda
from interlock.core.codes import Code, RiskAction
from interlock.core.constants import NS_PER_S_FLOAT, OWNER_RETURN_S, SILENCES
from interlock.core.exits.watch import EXIT_BITS
from interlock.core.messages import Alert, Input, RiskEvent, Tick
from interlock.core.state import State, is_stop
from interlock.core.transitions import is_fresh


def succeed(agenda: Agenda, event: Input) -> None:
    """
    A silent owner was succeeded, and one that is back and steady has its exits again; a silent venue was told of.

    Of the venue that is said at a tick, which comes when nobody else speaks, and not as the first word of a later instant.
    """
    if agenda.trusted != 1.0:
        return
    if type(event) is Tick:
        _hear_venue(agenda)
    _hear_owner(agenda)


def _hear_venue(agenda: Agenda) -> None:
    """Somebody is told, once, that something is held at a venue that says nothing, and that it speaks again."""
    state = agenda.state
    a = state.account
    heard_ns = max(a.reconciled_at_ns, a.venue_equity_at_ns)
    silent_s = (agenda.at_ns - heard_ns) / NS_PER_S_FLOAT
    limit_s = SILENCES * state.account_limits().reconciled_age_s_max
    if a.venue_silent and silent_s <= limit_s:
        _tell(agenda, RiskAction.REARM, silent_s, limit_s, "the venue is heard again", "")
    elif not a.venue_silent and heard_ns > 0 and silent_s > limit_s and _holds(state):
        what = f"the venue has confirmed neither positions nor equity for {silent_s:.0f} s, and something is held"
        _tell(agenda, RiskAction.WARN, silent_s, limit_s, what, "")


def _hear_owner(agenda: Agenda) -> None:
    state = agenda.state
    a = state.account
    if a.exit_owner == "any":
        return
    limit_s = state.account_limits().controller_age_s_max
    heard_ns = max(a.heartbeat_ns, a.owner_since_ns)
    silent_s = (agenda.at_ns - heard_ns) / NS_PER_S_FLOAT
    fresh = is_fresh(agenda.at_ns, a.heartbeat_ns, limit_s)
    if not a.exit_deposed:
        if silent_s > SILENCES * limit_s and _has_successor(state):
            what = f"{a.exit_owner} is silent for {silent_s:.0f} s: the built-in rules act on exits in its place"
            _tell(agenda, RiskAction.VETO, silent_s, SILENCES * limit_s, what, a.exit_owner)
        elif silent_s > SILENCES * limit_s and not a.owner_silent and _holds(state):
            what = f"{a.exit_owner} is silent for {silent_s:.0f} s, and no built-in rule could act on exits in its place"
            _tell(agenda, RiskAction.WARN, silent_s, SILENCES * limit_s, what, a.exit_owner)
        elif a.owner_silent and fresh:
            _tell(agenda, RiskAction.REARM, silent_s, limit_s, f"{a.exit_owner} is heard again", a.exit_owner)
        return
    steady_s = (agenda.at_ns - a.heartbeats_since_ns) / NS_PER_S_FLOAT
    if fresh and steady_s >= OWNER_RETURN_S and not _is_closing(state):
        what = f"{a.exit_owner} is heard again for {steady_s:.0f} s: it has its exits back"
        _tell(agenda, RiskAction.REARM, steady_s, OWNER_RETURN_S, what, a.exit_owner)


def _tell(agenda: Agenda, action: RiskAction, value: float, threshold: float, what: str, owner: str) -> None:
    """The event names the owner; without one it is of the venue."""
    agenda.emit(RiskEvent(agenda.at_ns, Code.HEARTBEAT_LOST, "", action, value, threshold, owner))
    agenda.emit(Alert(Code.HEARTBEAT_LOST, what))


def _holds(state: State) -> bool:
    """Whether any position is held, or in doubt."""
    return any(state.symbols[index].position != 0 or state.symbols[index].known != 1.0 for index in state.open_rows)


def _has_successor(state: State) -> bool:
    """Whether something is held whose exits the built-in rules could take over."""
    rows = (state.symbols[index] for index in state.open_rows)
    return any(r.managed == 1.0 and r.position != 0 and state.exit_limits(r).active & EXIT_BITS for r in rows)


def _is_closing(state: State) -> bool:
    """Whether any close is under way or due."""
    rows = (state.symbols[index] for index in state.open_rows)
    closes = any(p.reduce_only and not is_stop(p) for p in state.permits.alive())
    return closes or any(r.exit_left >= 0 and r.position != 0 for r in rows)
