"""
Sums over the open rows: exposure, equity, the oldest price.

What a row adds is taken afresh whenever something in it was written. Decisions then read the sums in constant time.
"""

from bisect import bisect_right
from math import inf, nan
from typing import Final

from interlock.core.constants import NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.limits import Limits
from interlock.core.state import State, SymbolRow, edit
from interlock.core.totals import Part
from interlock.core.transitions import money


def guard_equity(venue: float, own: float) -> float:
    """The smaller of the two; NaN when either is unknown."""
    if venue <= own:
        return venue
    return own if own < venue else nan


def equity_gap(venue: float, own: float) -> float:
    """How far the two equities differ, as a share of the larger; NaN when unknown, infinite unless both are > 0."""
    if not (venue > 0.0 and own > 0.0):
        return nan if venue != venue or own != own else inf
    return abs(venue - own) / (venue if venue > own else own)


def session_of(state: State, index: int, now_ns: int) -> tuple[float, int, int]:
    """Whether the symbol's venue is open (1.0, 0.0; NaN without a definition), since when, and its next edge."""
    instrument = state.instruments[index]
    if instrument is None:
        return nan, 0, OPERATOR_NS
    if not instrument.sessions:
        return 1.0, 0, OPERATOR_NS
    begun = bisect_right(instrument.sessions, (now_ns, OPERATOR_NS))
    if begun and instrument.sessions[begun - 1][1] > now_ns:
        opened_ns, closes_ns = instrument.sessions[begun - 1]
        return 1.0, opened_ns, closes_ns
    if begun == len(instrument.sessions):
        return nan, 0, OPERATOR_NS
    return 0.0, 0, instrument.sessions[begun][0]


NEVER: Final = (OPERATOR_NS, OPERATOR_NS)
"""A window that does not come."""


def present_or_next(windows: tuple[tuple[int, int], ...], now_ns: int) -> tuple[int, int]:
    """The window in which the instant lies, else the next one; `NEVER` where there is none. They are in order and apart."""
    if not windows:
        return NEVER
    if now_ns < windows[0][1]:
        return windows[0]
    begun = bisect_right(windows, (now_ns, OPERATOR_NS))
    if now_ns < windows[begun - 1][1]:
        return windows[begun - 1]
    return windows[begun] if begun < len(windows) else NEVER


def window_at(windows: tuple[tuple[int, int], ...], now_ns: int) -> tuple[bool, int]:
    """Whether the instant lies in one of the windows, and when that changes next."""
    from_ns, until_ns = present_or_next(windows, now_ns)
    return (True, until_ns) if from_ns <= now_ns else (False, from_ns)


def blackout_of(r: SymbolRow, now_ns: int) -> tuple[bool, int]:
    """Whether the firm forbids closing the symbol at that instant, and when that changes next."""
    return window_at(r.blackouts, now_ns)


def flat_due(r: SymbolRow, now_ns: int, limits: Limits) -> tuple[bool, int]:
    """Whether a position in the symbol has to be closed now, and when that changes next; never while the rule is off."""
    if not r.flat_windows or not limits.flat_lead_s >= 0.0:
        return False, OPERATOR_NS
    from_ns, until_ns = present_or_next(r.flat_windows, now_ns)
    due_ns = from_ns - int(limits.flat_lead_s * NS_PER_S_FLOAT)
    return (True, until_ns) if due_ns <= now_ns else (False, due_ns)


def open_pnl(state: State, index: int, r: SymbolRow) -> float:
    """Unrealised P&L of one position at its last accepted mark, in account currency; NaN when anything is unknown."""
    instrument = state.instruments[index]
    if instrument is None or r.known != 1.0 or not r.mark > 0.0:
        return nan
    return (r.position * instrument.step * instrument.value(r.mark) - money(r.cost)) * r.rate


def is_position(r: SymbolRow) -> bool:
    """
    Whether the symbol is held, reserved by an opening order, or unknown.

    A flat symbol that only a close or a flatten goal keeps among the open rows is no position.
    """
    return r.position != 0 or r.pending_buy > 0 or r.pending_sell > 0 or r.known != 1.0


BOUGHT: Final = 1
SOLD: Final = 2


def _sides(r: SymbolRow) -> int:
    """The sides on which the symbol is held or reserved, as bits; both while its position is in doubt."""
    doubt = r.known != 1.0
    bought = r.position > 0 or r.pending_buy > 0 or doubt
    sold = r.position < 0 or r.pending_sell > 0 or doubt
    return BOUGHT * bought + SOLD * sold


def sides_of(state: State) -> dict[int, int]:
    """The sides of every position, by row."""
    return {index: sides for index in state.open_rows if (sides := _sides(state.symbols[index]))}


def take_sides(state: State, index: int) -> None:
    """One row's sides are those on which it now is held or reserved."""
    sides = _sides(state.symbols[index])
    if sides != state.sides.get(index, 0):
        state.sides = state.sides.copy()
        if sides:
            state.sides[index] = sides
        else:
            del state.sides[index]
        state.company = {}


def market_fresh(state: State, r: SymbolRow, limits: Limits) -> float:
    """Whether the symbol's market state is known and not too old, as 1.0 or 0.0."""
    age_ns = abs(state.account.now_ns - r.market_at_ns)
    return 1.0 if r.market_at_ns > 0 and age_ns <= limits.market_state_age_s_max * NS_PER_S_FLOAT else 0.0


def measure(state: State) -> None:
    """The account's and the strategies' sums over held positions are those of the open rows as they now are."""
    for index in state.take_unmeasured():
        _take_part(state, index)
        take_sides(state, index)
    a, totals = state.account, state.totals
    sums = totals.sums()
    a.held_notional, a.net_notional, a.held_margin, a.held_risk = sums.notional, sums.net, sums.margin, sums.risk
    a.unknown_rows, a.position_count = sums.unknown, len(state.sides)
    a.book_at_ns, a.book_rate_at_ns = totals.seen.earliest_ns, totals.rates.earliest_ns
    for number in range(len(state.strategies)):
        total = sums.strategies.get(number, 0.0)
        if state.strategies[number].held_notional != total:
            edit(state.strategies, number).held_notional = total
    for number in range(len(state.clusters) - 1):
        total = sums.clusters.get(number, 0.0)
        if state.clusters[number].held_notional != total:
            edit(state.clusters, number).held_notional = total
    known = a.balance_known == 1.0
    a.own_equity = a.nominal_base + money(a.balance + a.booked) + sums.pnl if known else nan
    fresh = a.now_ns <= totals.fresh_until.earliest_ns
    a.own_proven = 1.0 if fresh and a.reconciled == 1.0 and a.own_equity == a.own_equity else 0.0
    a.equity = guard_equity(a.venue_equity, a.own_equity)
    a.equity_gap = equity_gap(a.venue_equity, a.own_equity)


def _take_part(state: State, index: int) -> None:
    """What the row's position adds to the sums is what it comes to now."""
    r = state.symbols[index]
    if r.position == 0 and r.known == 1.0:
        state.totals.remove(index)
        return
    limits = state.limits(r)
    notional = abs(r.position) * r.unit_notional if r.known == 1.0 else nan
    seen_ns = rate_ns = fresh_until_ns = OPERATOR_NS
    session, opened_ns, _ = session_of(state, index, state.account.now_ns)
    if session != 0.0:
        seen_ns = r.mark_at_ns if r.doubt == 0.0 and r.mark_at_ns >= opened_ns else 0
        rate_ns = r.rate_at_ns
        fresh_until_ns = fresh_until(seen_ns, limits.mark_age_s_max)
    part = Part(
        notional,
        notional if r.position > 0 else -notional,
        notional / r.margin_leverage,
        notional * _stop_risk(r, limits),
        open_pnl(state, index, r),
        int(r.known != 1.0),
        r.owner,
        r.cluster,
        seen_ns,
        rate_ns,
        fresh_until_ns,
    )
    state.totals.put(index, part)


def fresh_until(at_ns: int, age_s_max: float) -> int:
    """The last instant at which something of `at_ns` is not too old; before all time where no age is allowed."""
    age_ns = age_s_max * NS_PER_S_FLOAT
    if not age_ns >= 0.0:
        return -OPERATOR_NS
    return at_ns + int(age_ns) if age_ns < float(OPERATOR_NS) else OPERATOR_NS


def _stop_risk(r: SymbolRow, limits: Limits) -> float:
    """The share of a position's notional that is lost at its stop, by the gap fraction where there is none."""
    if r.stop_price != r.stop_price:
        return limits.no_stop_gap_frac
    distance = (r.mark - r.stop_price) / r.mark if r.position > 0 else (r.stop_price - r.mark) / r.mark
    return (distance if distance > 0.0 else 0.0) + limits.cost_frac
