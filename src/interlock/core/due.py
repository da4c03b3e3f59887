"""
When something changes by the mere passing of time: for each open row, and for the account.

Between those instants a row at which nothing was written has nothing new to say, and is not asked.
"""

from collections.abc import Iterable

from interlock.core.codes import Code, PermitState, TradingState
from interlock.core.constants import FREEZE_ALERT_NS, NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.limits import Limits
from interlock.core.measure import blackout_of, flat_due, session_of, window_at
from interlock.core.permit import RESTING
from interlock.core.state import ACCOUNT_LOCK_SLOTS, PermitRow, State, SymbolRow, is_open, is_stop
from interlock.core.transitions import patience_ends_ns


def schedule(state: State, rows: Iterable[int]) -> None:
    """`wake_ns` is the first instant at which something can change by time alone, taken anew for these rows and the new."""
    for index in {*rows, *state.concerned()}:
        if is_open(state.symbols[index]):
            state.due.put(index, due_ns(state, index))
        else:
            state.due.remove(index)
    state.account.wake_ns = min(_account_due_ns(state), state.due.earliest_ns)


def due_rows(state: State) -> list[int]:
    """The open rows, ascending, for which such an instant has come."""
    now_ns = state.account.now_ns
    return sorted(index for index, due in state.due.by_row.items() if due <= now_ns)


def _account_due_ns(state: State) -> int:
    a = state.account
    wake = a.policy_valid_until_ns + 1 if a.policy_valid_until_ns >= a.now_ns else OPERATOR_NS
    for until in a.lock_until:
        if 0 < until < OPERATOR_NS:
            wake = min(wake, until + 1)
    for c in state.calendars:
        if c.next < len(c.instants_ns):
            wake = min(wake, c.instants_ns[c.next])
    if a.lock_severity[ACCOUNT_LOCK_SLOTS[Code.KILL_SWITCH]] == TradingState.HALTED:
        wake = min(wake, (a.now_ns // FREEZE_ALERT_NS + 1) * FREEZE_ALERT_NS)
    return wake


def due_ns(state: State, index: int) -> int:
    """The first instant after now at which something changes for the row, its orders among it, by time alone."""
    r, now_ns = state.symbols[index], state.account.now_ns
    limits = state.limits(r)
    due = min(
        session_of(state, index, now_ns)[2],
        blackout_of(r, now_ns)[1],
        windows_edge(r, now_ns, limits),
        r.goal_next_ns if r.goal else OPERATOR_NS,
    )
    closing = r.exit_left >= 0
    for at_ns in (r.stop_next_ns if r.stop_refusals else 0, r.stop_close_ns, r.exit_next_ns if closing else 0):
        if now_ns < at_ns < due:
            due = at_ns
    for number in r.permits:
        p = state.permits.get(number)
        if p is not None and (closing or is_stop(p) or not p.reduce_only):
            due = min(due, _order_due_ns(p, now_ns, limits))
    return due


def windows_edge(r: SymbolRow, now_ns: int, limits: Limits) -> int:
    """When it changes next whether the calendar file lets the symbol be opened, or wants it flat."""
    return min(window_at(r.news_windows, now_ns)[1], flat_due(r, now_ns, limits)[1])


def _order_due_ns(p: PermitRow, now_ns: int, limits: Limits) -> int:
    """When the order is over unless it was used, has been silent for too long, or is to be judged again."""
    if p.reduce_only:
        if is_stop(p) and p.state in RESTING:
            return OPERATOR_NS
        silent_ns = patience_ends_ns(p.issued_ns if is_stop(p) else max(p.issued_ns, p.working_ns), limits.close_patience_s)
        return silent_ns + 1 if silent_ns >= now_ns else OPERATOR_NS
    if p.state == PermitState.ISSUED:
        return p.expires_ns + 1
    review_ns = review_interval_ns(limits)
    if p.cancelling or review_ns == 0:
        return OPERATOR_NS
    return p.issued_ns + ((now_ns - p.issued_ns) // review_ns + 1) * review_ns


def review_interval_ns(limits: Limits) -> int:
    """How often a working opening order is judged again, counted from its permit; 0 is never."""
    return int(limits.resting_review_s * NS_PER_S_FLOAT) if limits.resting_review_s > 0.0 else 0
