"""Permits as they are used, and what their orders come to: reservations, fills, trades."""

from math import isfinite, nan

from interlock.core.cash import on_equity
from interlock.core.codes import Code, PermitState
from interlock.core.constants import (
    MAX_CASH,
    NS_PER_S_FLOAT,
    OUTCOMES,
    RING,
)
from interlock.core.exits.kernel import tightened
from interlock.core.limits import is_on
from interlock.core.measure import is_position, market_fresh, measure, take_sides
from interlock.core.messages import (
    Executed,
    OrdersReported,
    Spent,
)
from interlock.core.numbers import share
from interlock.core.permit import ENDED, IN_FLIGHT, RESTING, TRANSITIONS
from interlock.core.positions import close_row, doubt, open_row
from interlock.core.state import (
    PermitRow,
    State,
    StrategyRow,
    SymbolRow,
    edit,
    is_stop,
)
from interlock.core.transitions import (
    micros,
    money,
    on_episode,
    on_fill,
    on_left,
    on_outcome,
    on_stop_lost,
    on_stop_rests,
    on_trade_closed,
    patience_s,
    push,
    reclaim,
    release,
    settle,
)


def orders_reported(state: State, event: OrdersReported) -> None:
    """Orders that the venue works on are known to work, whatever we believed of their permits."""
    _find_lost_stops(state, event)
    for order in event.orders:
        p = state.permits.get(order.permit)
        if p is not None and p.ended and p.spent and is_stop(p) and p.filled < p.steps and event.at_ns > p.working_ns:
            p = state.permits.edit(order.permit)
            _revive(state, p)
            _set_state(state, p, PermitState.UNKNOWN)
        if p is not None and not (p.ended and p.spent):
            _use(state, order.permit)
            p = state.permits.edit(order.permit)
            p.working_ns = min(event.at_ns, state.account.now_ns)
            if p.state in (PermitState.SPENT, PermitState.UNKNOWN):
                _set_state(state, p, PermitState.WORKING)


def _find_lost_stops(state: State, event: OrdersReported) -> None:
    """A stop that rested at the venue and has been missing from its open orders for longer than patience is over."""
    listed = {order.permit for order in event.orders}
    for p in state.permits.alive():
        if p.id in listed or not is_stop(p) or p.state != PermitState.WORKING:
            continue
        silence_ns = patience_s(state.limits(state.symbols[p.symbol]).close_patience_s) * NS_PER_S_FLOAT
        if event.at_ns - p.working_ns > silence_ns:
            lost = state.permits.edit(p.id)
            seen_ns, lost.working_ns = lost.working_ns, event.at_ns
            end_permit(state, lost, PermitState.CANCELLED)
            _lose_stop(state, lost, seen_ns)


def protects(p: PermitRow, r: SymbolRow) -> bool:
    """Whether the order is a stop that rests at the venue and would close the position whole."""
    return is_stop(p) and p.state in RESTING and (p.steps - p.filled) * p.side * r.position <= -r.position * r.position


def _lose_stop(state: State, p: PermitRow, seen_ns: int) -> None:
    """The position misses its stop, unless the order was to be cancelled or nothing is left that it could close."""
    r = state.edit_symbol(p.symbol)
    if not p.cancelling and p.side * r.position < 0:
        limits = state.limits(r)
        shortest_s, longest_s = limits.flatten_retry_s_min, limits.flatten_retry_s_max
        others = (state.permits.get(number) for number in r.permits)
        naked = 0.0 if any(q is not None and protects(q, r) for q in others) else 1.0
        now_ns, patience = state.account.now_ns, limits.close_patience_s
        on_stop_lost(r, now_ns, seen_ns, shortest_s, longest_s, patience, naked, p.id)


def _set_state(state: State, p: PermitRow, following: PermitState) -> None:
    """
    The permit is in the following state.

    Permits whose fate is unknown are counted; a stop that rests at the venue is what its position may have missed.
    """
    unknown = PermitState.UNKNOWN
    state.account.unknown_permits += (following == unknown) - (p.state == unknown)
    p.state = following
    if following in RESTING and is_stop(p) and not p.cancelling:
        on_stop_rests(state.edit_symbol(p.symbol), state.account.now_ns)


def strategy_of(state: State, p: PermitRow) -> StrategyRow:
    """The row of the strategy whose exposure the opening permit is; no other source may open."""
    assert p.strategy >= 0
    return edit(state.strategies, p.strategy)


def _revive(state: State, p: PermitRow) -> None:
    """A permit that was believed over is alive: it reserves again what it has not filled."""
    r = state.edit_symbol(p.symbol)
    state.permits.add(p)
    r.permits.append(p.id)
    if not p.reduce_only:
        state.account.position_count += not is_position(r)
        reclaim(state.account, strategy_of(state, p), edit(state.clusters, r.cluster), r, p)
        if r.owner == -1:
            r.owner = p.strategy
        take_sides(state, p.symbol)
    open_row(state, p.symbol)


def unsettled_quota(state: State) -> tuple[int, int]:
    """Entries and slices of risk of the opening orders that may still fill."""
    waiting = [p for p in state.permits.alive() if not p.reduce_only]
    return len(waiting), sum(p.slices for p in waiting)


def end_permit(state: State, p: PermitRow, following: PermitState) -> None:
    """The permit reserves nothing any more and is kept only for late results."""
    _set_state(state, p, following)
    r = state.edit_symbol(p.symbol)
    counted = is_position(r)
    if not p.reduce_only:
        release(state.account, strategy_of(state, p), edit(state.clusters, r.cluster), r, p)
    state.account.position_count -= counted and not is_position(r)
    take_sides(state, p.symbol)
    r.permits.remove(p.id)
    state.permits.end(p)
    close_row(state, p.symbol)


def _use(state: State, permit: int) -> None:
    """The permit is spent, once; one that had ended unused is alive after all."""
    p = state.permits.edit(permit)
    if p.spent:
        return
    if p.ended:
        _revive(state, p)
    p.spent = True
    p.state = PermitState.SPENT


def spent(state: State, event: Spent) -> None:
    """The permit is used up; one that nobody knows puts positions in doubt, and so does one that another executes."""
    known = state.permits.get(event.permit)
    if known is None:
        state.account.reconciled = 0.0
        return
    first = not known.spent
    _use(state, event.permit)
    if event.by and first:
        p = state.permits.edit(event.permit)
        p.executor = event.by
        _set_state(state, p, PermitState.UNKNOWN)


def executed(state: State, event: Executed) -> None:
    """What the order came to is booked, once, however often and in whatever order it is told."""
    a = state.account
    known = state.permits.get(event.permit)
    if known is None:
        a.reconciled = 0.0
        return
    p = state.permits.edit(event.permit)
    filled = max(p.filled, min(event.filled_steps, p.steps))
    over = p.state if p.ended and p.spent else None
    if p.ended and (filled > p.filled or (event.state in IN_FLIGHT and not p.spent)):
        _revive(state, p)
    if not (p.spent or p.ended):
        p.state = PermitState.SPENT
    p.spent = True
    stale = event.filled_steps < p.filled
    if filled > p.filled:
        _fill(state, p, event, filled)
    if event.filled_steps > p.steps:
        doubt(state, p.symbol)
        a.reconciled = 0.0
    if over is not None and not p.ended:
        end_permit(state, p, PermitState.FILLED if filled == p.steps else over)
    _follow(state, p, event, filled, stale=stale)
    measure(state)
    on_equity(state, counts=False)


def _follow(state: State, p: PermitRow, event: Executed, filled: int, *, stale: bool) -> None:
    """
    The permit's state follows the result, as the table of transitions allows.

    A full fill ends it, and a repeated older result says nothing. An end that the table does not have, such as an order
    that expired at the venue, is a cancellation; a result that is no step forward leaves the state as it is.
    """
    a = state.account
    p.working_ns = a.now_ns
    if p.ended:
        return
    if filled == p.steps:
        end_permit(state, p, PermitState.FILLED)
        return
    if event.state in ENDED and event.state != PermitState.FILLED:
        if stale:
            return
        if not p.reduce_only:
            _count_failure(state, p, event)
        end_permit(state, p, event.state if event.state in TRANSITIONS[p.state] else PermitState.CANCELLED)
        if is_stop(p):
            _lose_stop(state, p, p.working_ns)
        return
    if stale:
        return
    following = PermitState.PARTIAL if filled > 0 and event.state != PermitState.UNKNOWN else event.state
    if following == PermitState.UNKNOWN and p.state != PermitState.UNKNOWN and not p.reduce_only:
        a.order_failure_count = push(a.order_failure_times, a.order_failure_count, a.now_ns)
    if following in TRANSITIONS[p.state] and following in IN_FLIGHT:
        _set_state(state, p, following)


def _count_failure(state: State, p: PermitRow, event: Executed) -> None:
    """An opening that was rejected, or ended with nothing filled, counts towards the circuit breaker."""
    a = state.account
    if event.state == PermitState.REJECTED and not event.benign and p.state != PermitState.UNKNOWN:
        a.order_failure_count = push(a.order_failure_times, a.order_failure_count, a.now_ns)
    if p.filled == 0 and not event.benign:
        a.failed_trade_count = push(a.failed_trade_times, a.failed_trade_count, a.now_ns)


def _fill(state: State, p: PermitRow, event: Executed, filled: int) -> None:
    """Position, money, reservation and the trade's record hold what was filled since the last result."""
    a = state.account
    r = state.edit_symbol(p.symbol)
    steps = filled - p.filled
    first = p.filled == 0
    value, fees = _amounts(state, p, r, event)
    if not p.reduce_only:
        settle(a, strategy_of(state, p), edit(state.clusters, r.cluster), r, p, filled)
        if first:
            _count_run(r, p.side, a.now_ns)
    else:
        p.filled = filled
    _book_fill(state, p, p.side * steps, value, fees)
    a.last_fill_ns = max(a.last_fill_ns, min(event.at_ns, a.now_ns))


def _amounts(state: State, p: PermitRow, r: SymbolRow, event: Executed) -> tuple[int, int]:
    """What the fill adds to the permit's cumulative value and fees; an unknown value puts the position in doubt."""
    value, fees = p.filled_value, p.fees
    if isfinite(event.filled_value) and abs(event.filled_value) <= MAX_CASH:
        p.filled_value = micros(event.filled_value)
    else:
        instrument = state.instruments[p.symbol]
        assert instrument is not None
        if r.mark > 0.0:
            steps = min(event.filled_steps, p.steps)
            p.filled_value = micros(steps * instrument.step * instrument.value(r.mark))
        r.known = nan
        state.account.reconciled = 0.0
    if isfinite(event.fees) and abs(event.fees) <= MAX_CASH:
        p.fees = micros(event.fees)
    return p.filled_value - value, p.fees - fees


def _book_fill(state: State, p: PermitRow, signed_steps: int, value: int, fees: int) -> None:
    a = state.account
    r = state.edit_symbol(p.symbol)
    held = r.position
    realised, closed = on_fill(r, signed_steps, value)
    on_left(r)
    closing_fees = fees * closed // abs(signed_steps)
    pnl = 0
    if r.rate == r.rate:
        pnl = micros(money(realised) * r.rate)
    elif realised != 0:
        a.balance_known = nan
    a.realised += pnl
    a.fees -= fees
    a.booked += pnl - fees
    if closed:
        r.trade_pnl += pnl - closing_fees
        if held and (r.position == 0 or r.position * held < 0):
            _end_trade(state, p.symbol)
    if closed < abs(signed_steps):
        if p.reduce_only:
            r.known = nan
            a.reconciled = 0.0
        r.trade_pnl -= fees - closing_fees
        opening_value = value - share(value, closed, abs(signed_steps))
        _grow_trade(state, p, r, abs(signed_steps) - closed, opening_value)


def _grow_trade(state: State, p: PermitRow, r: SymbolRow, steps: int, value: int) -> None:
    """The fill opened or added, at `value` settlement micros: the episode, its quantity, stop and risk follow."""
    limits = state.limits(r)
    if abs(r.position) == steps:
        r.episode += 1
        r.episode_peak = 0
        r.trade_risk = 0.0
        r.stop_price = p.stop_price
        r.target_price = p.target_price
        if p.strategy >= 0:
            r.owner = p.strategy
            r.opener = p.source
        on_episode(r, 0.0 if p.reduce_only else 1.0, state.account.now_ns, market_fresh(state, r, limits))
    r.episode_peak = max(r.episode_peak, abs(r.position))
    if p.margin_leverage > 0.0:
        r.entry_leverage = p.margin_leverage
    if p.stop_price == p.stop_price:
        r.entry_stop = p.stop_price
        if not is_on(limits, Code.STOP_EXIT) or tightened(float(p.side), r.stop_price, p.stop_price) == p.stop_price:
            r.stop_price = p.stop_price
    r.trade_risk += _risk_at_stop(state, p, r, steps, value)
    open_row(state, p.symbol)


def _risk_at_stop(state: State, p: PermitRow, r: SymbolRow, steps: int, value: int) -> float:
    """What an entry at `value` settlement micros loses at its order's stop, in account currency; NaN without one."""
    instrument = state.instruments[p.symbol]
    if instrument is None or not p.stop_price > 0.0:
        return nan
    return abs(money(value) - steps * instrument.step * instrument.value(p.stop_price)) * r.rate


def _end_trade(state: State, index: int) -> None:
    r = state.edit_symbol(index)
    outcome = on_trade_closed(state.account, r.trade_pnl, r.trade_risk)
    if r.owner >= 0 and outcome != 0.0:
        s = edit(state.strategies, r.owner)
        if outcome > 0.0:
            s.wins += 1
            s.won += r.trade_pnl
        else:
            s.losses += 1
            s.lost -= r.trade_pnl
        s.outcomes = s.outcomes or [0] * OUTCOMES
        on_outcome(s, r.trade_pnl, state.account_limits().kelly_window_count_max)
    r.trade_pnl = 0
    r.trade_risk = 0.0
    if r.position == 0:
        r.stop_price = r.target_price = nan
        r.episode_peak = 0


def _count_run(r: SymbolRow, side: int, now_ns: int) -> None:
    """One more executed opening on this side of the symbol."""
    if side > 0:
        r.run_buy = r.run_buy or [0] * RING
        r.run_buy_count = push(r.run_buy, r.run_buy_count, now_ns)
    else:
        r.run_sell = r.run_sell or [0] * RING
        r.run_sell_count = push(r.run_sell, r.run_sell_count, now_ns)
