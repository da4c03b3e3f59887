"""
Who acts on exits: an owner that lives, or the built-in rules in its place.

An owner that is silent for twice its heartbeat limit while something is held is succeeded, and denied from then on. It
returns by an operator's word, or after a long enough run of heartbeats once no close is in flight.
"""

from interlock.core.agenda import Agenda
from interlock.core.codes import Code, RiskAction
from interlock.core.constants import NS_PER_S_FLOAT, OWNER_RETURN_S, SILENCES
from interlock.core.exits.watch import EXIT_BITS
from interlock.core.messages import Alert, RiskEvent
from interlock.core.state import State, is_stop
from interlock.core.transitions import is_fresh


def succeed(agenda: Agenda) -> None:
    """A silent owner was succeeded, and one that is back and steady has its exits again."""
    state = agenda.state
    a = state.account
    if a.exit_owner == "any" or agenda.trusted != 1.0:
        return
    limit_s = state.account_limits().controller_age_s_max
    heard_ns = max(a.heartbeat_ns, a.owner_since_ns)
    silent_s = (agenda.at_ns - heard_ns) / NS_PER_S_FLOAT
    if not a.exit_deposed:
        if silent_s > SILENCES * limit_s and _has_successor(state):
            what = f"{a.exit_owner} is silent for {silent_s:.0f} s: the built-in rules act on exits in its place"
            _tell(agenda, RiskAction.VETO, silent_s, SILENCES * limit_s, what)
        return
    steady_s = (agenda.at_ns - a.heartbeats_since_ns) / NS_PER_S_FLOAT
    fresh = is_fresh(agenda.at_ns, a.heartbeat_ns, limit_s)
    if fresh and steady_s >= OWNER_RETURN_S and not _is_closing(state):
        what = f"{a.exit_owner} is heard again for {steady_s:.0f} s: it has its exits back"
        _tell(agenda, RiskAction.REARM, steady_s, OWNER_RETURN_S, what)


def _tell(agenda: Agenda, action: RiskAction, value: float, threshold: float, what: str) -> None:
    owner = agenda.state.account.exit_owner
    agenda.emit(RiskEvent(agenda.at_ns, Code.HEARTBEAT_LOST, "", action, value, threshold, owner))
    agenda.emit(Alert(Code.HEARTBEAT_LOST, what))


def _has_successor(state: State) -> bool:
    """Whether something is held whose exits the built-in rules could take over."""
    rows = (state.symbols[index] for index in state.open_rows)
    return any(r.managed == 1.0 and r.position != 0 and state.exit_limits(r).active & EXIT_BITS for r in rows)


def _is_closing(state: State) -> bool:
    """Whether any close is under way or due."""
    rows = (state.symbols[index] for index in state.open_rows)
    closes = any(p.reduce_only and not is_stop(p) for p in state.permits.alive())
    return closes or any(r.exit_left >= 0 and r.position != 0 for r in rows)
