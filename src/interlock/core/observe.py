"""From state to facts: everything a guard may look at, for one opening order at one instant."""

from math import inf, nan
from typing import NamedTuple

from interlock.core.codes import AccountKind, TradingState
from interlock.core.constants import NS_PER_S_FLOAT, OPERATOR_NS, PRICE_TOLERANCE
from interlock.core.facts import Facts
from interlock.core.limits import Limits
from interlock.core.locks import Binding
from interlock.core.measure import equity_gap, guard_equity, session_of
from interlock.core.numbers import share
from interlock.core.state import AccountRow, PermitRow, State, SymbolRow
from interlock.core.transitions import money


class Order(NamedTuple):
    """An opening order as it would leave: its size in steps, and its worst price."""

    row: int
    strategy: int
    side: int
    steps: int
    worst_price: float
    stop_price: float
    target_price: float
    margin_leverage: float
    unit_notional: float


class Asking(NamedTuple):
    """Who asks and when: what a guard needs to know of the intent besides the order."""

    may_open: float
    age_s: float
    conflict: float
    account_lock: Binding
    strategy_lock: Binding
    symbol_lock: Binding


def age_s(now_ns: int, at_ns: int) -> float:
    """Seconds since an instant; NaN where it never happened (0), 0.0 where it does not age (OPERATOR_NS)."""
    if at_ns == OPERATOR_NS:
        return 0.0
    return (now_ns - at_ns) / NS_PER_S_FLOAT if at_ns > 0 else nan


def worst_price(r: SymbolRow, side: int, limit_price: float, limits: Limits) -> float:
    """The worst price an order can get: its limit, or for a market order the collar around the mark."""
    if limit_price == limit_price:
        return limit_price
    return r.mark * (1.0 + side * limits.collar_frac_max * (1.0 - PRICE_TOLERANCE))


def mark_age_s(r: SymbolRow, now_ns: int, session_opened_ns: int) -> float:
    """Age of the symbol's prices; infinite while they are in doubt or from before this session."""
    if r.doubt != 0.0 or r.mark_at_ns < session_opened_ns:
        return inf
    return age_s(now_ns, r.mark_at_ns)


def equity_now(state: State, now_ns: int) -> tuple[float, float]:
    """
    The two equities that openings are judged by: the venue's and our own, in account currency.

    A loss that nothing explains counts in our own once the policy's patience with it has run out.
    """
    a = state.account
    own = a.own_equity
    if a.unexplained < 0 and (
        now_ns - a.unexplained_since_ns > state.account_limits().unexplained_patience_s * NS_PER_S_FLOAT
    ):
        own += money(a.unexplained)
    return a.venue_equity, own


def live_ready(a: AccountRow) -> float:
    """Whether nothing about the mode keeps a live account from opening; unknown is NaN."""
    if a.kind != AccountKind.LIVE:
        return 1.0
    return a.armed * a.rollout * (1.0 - a.environment_kill)


def observe(
    state: State, now_ns: int, trusted: float, order: Order, asking: Asking, limits: Limits, own: PermitRow | None
) -> Facts:
    """
    All facts about the order.

    `own` is a resting order of the same permit that is being judged again: what it reserves does not count against it.
    """
    a = state.account
    r = state.symbols[order.row]
    s = state.strategies[order.strategy] if order.strategy >= 0 else None
    instrument = state.instruments[order.row]
    venue, ours = equity_now(state, now_ns)
    equity = guard_equity(venue, ours)
    session_open, session_opened_ns, _ = session_of(state, order.row, now_ns)
    side = order.side
    symbol_reserved = r.pending_buy_reserved + r.pending_sell_reserved
    total_reserved = a.pending_buy_reserved + a.pending_sell_reserved
    side_reserved = a.pending_buy_reserved if side > 0 else a.pending_sell_reserved
    strategy_reserved = s.pending_reserved if s is not None else 0
    pending_margin, pending_risk = a.pending_margin, a.pending_risk
    count = len(state.open_rows)
    if own is not None:
        mine = share(own.reserved, own.pending, own.steps)
        symbol_reserved -= mine
        total_reserved -= mine
        side_reserved -= mine
        strategy_reserved -= mine
        pending_margin -= share(own.margin, own.pending, own.steps)
        pending_risk -= share(own.risk, own.pending, own.steps)
        count -= r.position == 0 and symbol_reserved == 0
    held = abs(r.position) * r.unit_notional if r.position != 0 else 0.0
    is_open = 1.0 if r.position != 0 or symbol_reserved > 0 or r.known != 1.0 else 0.0
    rate_age = age_s(now_ns, r.rate_at_ns)
    book_rate_age = age_s(now_ns, a.book_rate_at_ns)
    day = state.calendars[a.day_calendar].open_equity if a.day_calendar >= 0 else nan
    week = state.calendars[a.week_calendar].open_equity if a.week_calendar >= 0 else nan
    stop_frac = abs(order.worst_price - order.stop_price) / order.worst_price if order.worst_price > 0.0 else nan
    return Facts(
        a.policy_loaded,
        a.policy_verified,
        (a.policy_valid_until_ns - now_ns) / NS_PER_S_FLOAT,
        r.policy_complete,
        r.tradable if r.limits >= 0 else 0.0,
        asking.may_open,
        1.0 if r.owner in (-1, order.strategy) else 0.0,
        live_ready(a),
        1.0 if asking.account_lock[0] == TradingState.HALTED or asking.strategy_lock[0] == TradingState.HALTED else 0.0,
        1.0 if asking.account_lock[0] or asking.strategy_lock[0] else 0.0,
        1.0 if asking.symbol_lock[0] else 0.0,
        session_open,
        float(side),
        order.steps * instrument.step if instrument is not None else nan,
        order.steps * order.unit_notional,
        order.unit_notional / instrument.step if instrument is not None else nan,
        order.worst_price,
        order.stop_price,
        order.target_price if order.target_price == order.target_price else side * inf,
        limits.no_stop_gap_frac if stop_frac != stop_frac else stop_frac,
        order.margin_leverage,
        instrument.bracket_leverage if instrument is not None else nan,
        asking.age_s,
        asking.conflict,
        (a.order_tat_ns - now_ns) / NS_PER_S_FLOAT if a.order_tat_ns > now_ns and own is None else 0.0,
        trusted,
        0.0 if a.exit_owner == "any" else age_s(now_ns, a.heartbeat_ns),
        a.reconciled,
        age_s(now_ns, a.reconciled_at_ns),
        float(a.unknown_rows + a.unknown_permits),
        equity,
        venue,
        ours,
        age_s(now_ns, a.venue_equity_at_ns),
        equity_gap(venue, ours),
        money(a.unexplained),
        money(a.balance + a.booked) if a.balance_known == 1.0 else nan,
        a.initial_balance,
        a.equity_peak,
        a.drawdown_ref,
        day,
        week,
        r.bid,
        r.ask,
        r.mark,
        mark_age_s(r, now_ns, session_opened_ns),
        age_s(now_ns, a.book_at_ns),
        rate_age if rate_age >= book_rate_age else book_rate_age if book_rate_age > rate_age else nan,
        (r.ask - r.bid) / (0.5 * (r.bid + r.ask)) * 1e4 if r.bid > 0.0 else nan,
        (held if r.known == 1.0 else nan) + money(symbol_reserved),
        is_open,
        (s.held_notional if s is not None else 0.0) + money(strategy_reserved),
        a.held_notional + money(total_reserved),
        a.net_notional,
        money(side_reserved),
        float(count),
        equity - a.held_margin - money(pending_margin),
        a.held_risk + money(pending_risk),
    )
