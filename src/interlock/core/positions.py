"""Positions as the venue reports them, and which rows are open."""

from bisect import bisect_left
from math import nan

from interlock.core.cash import on_equity
from interlock.core.codes import PermitState
from interlock.core.constants import (
    MISMATCH_COUNT,
)
from interlock.core.measure import measure
from interlock.core.messages import (
    PositionAt,
    PositionsReported,
)
from interlock.core.permit import IN_FLIGHT
from interlock.core.state import (
    PermitRow,
    State,
    is_open,
    is_stop,
)
from interlock.core.transitions import (
    is_ahead,
    micros,
    on_episode,
    on_left,
)


def positions_reported(state: State, event: PositionsReported) -> None:
    """Every position is confirmed, in doubt, or the venue's; a report from before the last fill says nothing."""
    a = state.account
    if event.at_ns < a.reconciled_at_ns or event.at_ns < a.last_fill_ns or is_ahead(a.now_ns, event.at_ns):
        return
    at_venue = {position.symbol: position for position in event.positions}
    first = a.reconciled != a.reconciled
    agreed = True
    for index in sorted({*state.open_rows, *(state.names.symbol_index.get(name, -1) for name in at_venue)}):
        if index < 0:
            continue
        position = at_venue.get(state.names.symbols[index], PositionAt(state.names.symbols[index], 0, nan))
        agreed = _compare(state, index, position, first=first) and agreed
    if any(p.steps != 0 and p.symbol not in state.names.symbol_index for p in event.positions):
        agreed = False
    a.reconciled = 1.0 if agreed else 0.0
    a.reconciled_at_ns = event.at_ns
    measure(state)
    on_equity(state, counts=False)


def _compare(state: State, index: int, position: PositionAt, *, first: bool) -> bool:
    """Whether venue and ledger agree on one position; proven disagreement makes the venue's word the position."""
    r = state.symbols[index]
    if any((p := state.permits.get(number)) is not None and _may_be_filling(p) for number in r.permits):
        return r.known == 1.0
    if r.position == position.steps and r.known == 1.0:
        if r.mismatch_count:
            state.edit_symbol(index).mismatch_count = 0
        return True
    r = state.edit_symbol(index)
    if r.position == position.steps:
        r.mismatch_count = 0
        if r.position != 0 and r.cost == 0:
            _adopt(state, index, position)
            return r.known == 1.0
        r.known = 1.0
        close_row(state, index)
        return True
    r.mismatch_count += 1
    if first or r.mismatch_count >= MISMATCH_COUNT:
        _adopt(state, index, position)
        if first:
            r.mismatch_count = 0
        return first
    doubt(state, index)
    return False


def _may_be_filling(p: PermitRow) -> bool:
    """Whether the order may have changed the position just now; a stop that rests is there all the time."""
    return p.state in IN_FLIGHT and not (is_stop(p) and p.state == PermitState.WORKING)


def _adopt(state: State, index: int, position: PositionAt) -> None:
    """The row's position is the venue's; one on the other side, or after none, is another trade without our stop."""
    r = state.edit_symbol(index)
    instrument = state.instruments[index]
    entry = position.entry if position.entry > 0.0 else r.mark
    if position.steps * r.position <= 0:
        r.episode += 1
        r.episode_peak = 0
        r.stop_price = r.target_price = nan
        r.trade_pnl = 0
        r.trade_risk = nan
        on_episode(r, 0.0, state.account.now_ns, 0.0)
    r.position = position.steps
    r.known = 1.0
    on_left(r)
    r.cost = 0
    if position.steps != 0:
        if instrument is None or not entry > 0.0:
            r.known = nan
        else:
            r.cost = micros(position.steps * instrument.step * instrument.value(entry))
        r.episode_peak = max(r.episode_peak, abs(position.steps))
        open_row(state, index)
    close_row(state, index)


def doubt(state: State, index: int) -> None:
    """The row's position is unknown, and it is looked at until the venue has told it."""
    state.edit_symbol(index).known = nan
    open_row(state, index)


def open_row(state: State, index: int) -> None:
    """The row is among those that are held or reserved."""
    place = bisect_left(state.open_rows, index)
    if place == len(state.open_rows) or state.open_rows[place] != index:
        state.open_rows.insert(place, index)
        state.touch((index,))


def close_row(state: State, index: int) -> None:
    """A row that is flat, known, without orders and without a flatten goal is no longer among the open ones."""
    r = state.symbols[index]
    if not is_open(r):
        if r.owner != -1 or r.opener != -1 or r.warned:
            r = state.edit_symbol(index)
            r.owner = r.opener = -1
            r.warned = False
        place = bisect_left(state.open_rows, index)
        assert state.open_rows[place] == index
        del state.open_rows[place]
        state.touch((index,))
