"""
Sums over the open rows, taken afresh whenever something in them changed: exposure, equity, the oldest price.

A running total of floats drifts; these are never updated, only taken again. Decisions then read them in constant time.
"""

from math import inf, nan

from interlock.core.constants import NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.limits import Limits
from interlock.core.state import State, SymbolRow
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
    low, high = 0, len(instrument.sessions)
    while low < high:
        middle = (low + high) // 2
        if instrument.sessions[middle][1] <= now_ns:
            low = middle + 1
        else:
            high = middle
    if low == len(instrument.sessions):
        return nan, 0, OPERATOR_NS
    opens_ns, closes_ns = instrument.sessions[low]
    if opens_ns <= now_ns:
        return 1.0, opens_ns, closes_ns
    return 0.0, 0, opens_ns


def own_equity(state: State) -> float:
    """
    Balance plus what was booked since plus open P&L at the last accepted marks, in account currency.

    NaN while the balance or any held symbol's mark, rate or position is unknown.
    """
    a = state.account
    total = a.nominal_base + money(a.balance + a.booked)
    if a.balance_known != 1.0:
        return nan
    for index in state.open_rows:
        r = state.symbols[index]
        if r.position != 0:
            total += open_pnl(state, index, r)
        elif r.known != 1.0:
            return nan
    return total


def open_pnl(state: State, index: int, r: SymbolRow) -> float:
    """Unrealised P&L of one position at its last accepted mark, in account currency; NaN when anything is unknown."""
    instrument = state.instruments[index]
    if instrument is None or r.known != 1.0 or not r.mark > 0.0:
        return nan
    return (r.position * instrument.step * instrument.value(r.mark) - money(r.cost)) * r.rate


def measure(state: State) -> None:
    """The account's and the strategies' sums are those of the open rows as they now are."""
    a = state.account
    limits = state.account_limits()
    gross = net = pending_buy = pending_sell = margin = risk = 0.0
    count = unknown = 0
    book_ns = rate_ns = OPERATOR_NS
    strategies: dict[int, float] = {}
    pnl = 0.0
    fresh = True
    for index in state.open_rows:
        r = state.symbols[index]
        buy, sell = money(r.pending_buy_reserved), money(r.pending_sell_reserved)
        held = abs(r.position) * r.unit_notional if r.position != 0 else 0.0
        if r.known != 1.0:
            held = nan
            unknown += 1
        notional = held + buy + sell
        gross += notional
        pending_buy += buy
        pending_sell += sell
        margin += notional / r.margin_leverage
        count += 1
        strategies[r.owner] = strategies.get(r.owner, 0.0) + notional
        risk += _risk(state, r, held, limits)
        if r.position != 0 or r.known != 1.0:
            net += held if r.position > 0 else -held
            pnl += open_pnl(state, index, r)
            session, opened_ns, _ = session_of(state, index, a.now_ns)
            if session != 0.0:
                seen_ns = r.mark_at_ns if r.doubt == 0.0 and r.mark_at_ns >= opened_ns else 0
                book_ns = min(book_ns, seen_ns)
                rate_ns = min(rate_ns, r.rate_at_ns)
                fresh = fresh and a.now_ns - seen_ns <= state.limits(r).mark_age_s_max * NS_PER_S_FLOAT
        for permit in r.permits:
            row = state.permits.get(permit)
            unknown += row is not None and row.state == row.state.UNKNOWN
    a.gross_notional, a.net_notional = gross, net
    a.pending_buy_notional, a.pending_sell_notional = pending_buy, pending_sell
    a.used_margin, a.risk_at_stops = margin, risk
    a.position_count, a.unknown_count = count, unknown
    a.book_at_ns, a.book_rate_at_ns = book_ns, rate_ns
    for number in range(len(state.strategies)):
        total = strategies.get(number, 0.0)
        if state.strategies[number].notional != total:
            state.strategies.edit(number).notional = total
    a.own_equity = a.nominal_base + money(a.balance + a.booked) + pnl if a.balance_known == 1.0 else nan
    a.own_proven = 1.0 if fresh and a.reconciled == 1.0 and a.own_equity == a.own_equity else 0.0


def _risk(state: State, r: SymbolRow, held: float, limits: Limits) -> float:
    """What the row's position and pending orders lose at their stops, by the gap fraction where there is none."""
    risk = 0.0
    if held != 0.0:
        side = 1.0 if r.position > 0 else -1.0
        gap = side * (r.mark - r.stop_price) / r.mark
        at_stop = gap if gap > 0.0 else 0.0
        risk += held * (limits.no_stop_gap_frac if r.stop_price != r.stop_price else at_stop + limits.cost_frac)
    for number in r.permits:
        p = state.permits.get(number)
        if p is None or p.reduce_only:
            continue
        pending = money(p.reserved) * (p.steps - p.filled) / p.steps
        frac = abs(p.limit_price - p.stop_price) / p.limit_price
        risk += pending * (limits.no_stop_gap_frac if frac != frac else frac + limits.cost_frac)
    return risk
