"""Who may open, who may close. The source is authenticated by the shell; a missing one may do nothing."""

from typing import Final

from interlock.core.state import State, SymbolRow
from interlock.core.transitions import is_fresh

OPERATOR: Final = "operator"
EMERGENCY: Final = "emergency"
RECONCILER: Final = "reconciler"
EXITS: Final = "exits"
"""The built-in exit rules."""

ALWAYS: Final = frozenset({OPERATOR, EMERGENCY, RECONCILER, EXITS})
"""Sources that may close whatever the policy says."""

IMPATIENT: Final = frozenset({OPERATOR, EMERGENCY})
"""Sources that do not wait for closes already under way."""


def may_open(state: State, source: str, strategy: str) -> float:
    """Whether the policy lets the source open for the strategy, as 1.0 or 0.0."""
    right = state.rights.get((source, strategy))
    return 1.0 if right is not None and right.may_open else 0.0


def may_close(state: State, source: str, strategy: str, r: SymbolRow, now_ns: int) -> bool:
    """
    Whether the source is entitled to reduce this position.

    A living exclusive exit owner is the only one besides the built-in sources; one that was succeeded is not. Otherwise it
    is whoever the last verified policy lets close for the strategy that holds the position, and whoever opened it.
    """
    if source in ALWAYS:
        return True
    if not source:
        return False
    a = state.account
    if a.exit_owner == source:
        return not a.exit_deposed
    owned = a.exit_owner != "any" and not a.exit_deposed
    if owned and is_fresh(now_ns, a.heartbeat_ns, state.account_limits().controller_age_s_max):
        return False
    if r.opener >= 0 and state.names.sources[r.opener] == source:
        return True
    holder = state.names.strategies[r.owner] if r.owner >= 0 else strategy
    right = state.rights.get((source, holder))
    return right is not None and right.may_close
