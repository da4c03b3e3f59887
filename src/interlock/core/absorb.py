"""What each input does to the state by itself, before anything is decided about it."""

from bisect import bisect_right, insort
from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any, Final

from interlock.core.codes import CalendarKind, Code, PermitState, Scope
from interlock.core.constants import (
    EPOCH_BITS,
    MARK_FUTURE_S_MAX,
    MAX_CASH,
    MISMATCH_COUNT,
    NS_PER_S_FLOAT,
    OPERATOR_NS,
    RING,
    TRUST_READS_S,
    UNEXPLAINED_READS_S,
)
from interlock.core.floors import floor_of, is_broken
from interlock.core.instrument import Instrument
from interlock.core.limits import LIMIT_FIELDS, Limits, is_on
from interlock.core.locks import reset_counter
from interlock.core.measure import equity_gap, guard_equity, measure
from interlock.core.messages import (
    AccountOpened,
    CalendarSet,
    CashFlow,
    ClockChecked,
    EquityMarked,
    Executed,
    Heartbeat,
    Input,
    InstrumentSet,
    LockReleased,
    MarketBatch,
    ModeSet,
    OrdersReported,
    OwnerSet,
    PolicySet,
    PositionAt,
    PositionsReported,
    Quarantined,
    Quote,
    Spent,
    Tick,
    VenueError,
)
from interlock.core.numbers import share
from interlock.core.permit import ENDED, IN_FLIGHT, TRANSITIONS
from interlock.core.state import (
    LOSS_TRIGGERS,
    AccountRow,
    CalendarRow,
    DraftTable,
    PermitRow,
    R,
    State,
    StrategyRow,
    SymbolRow,
    Table,
)
from interlock.core.transitions import (
    confirm,
    micros,
    money,
    on_clock_check,
    on_extremes,
    on_fill,
    on_quote,
    on_trade_closed,
    push,
    reclaim,
    release,
    scale_calendar,
    scale_references,
    settle,
    trust_clock,
)

FLOW_KINDS: Final = ("deposit", "withdrawal", "payout", "funding", "swap", "fee")
REFERENCE_FLOWS: Final = ("deposit", "withdrawal", "payout")
"""Flows that are not P&L: they move every reference of the account instead."""


def absorb(state: State, event: Input) -> None:
    """The state holds what the input says; nothing is concluded from it yet."""
    handler = _HANDLERS.get(type(event))
    if handler is not None:
        handler(state, event)


# ---------------------------------------------------------------- configuration


def _account_opened(state: State, event: AccountOpened) -> None:
    a = state.account
    if not a.opened:
        a.opened = True
        a.account = event.account
        a.kind = event.kind
        a.currency = event.currency
        a.nominal_base = event.nominal_base
        a.initial_balance = event.initial_balance + event.nominal_base
        a.balance = micros(event.initial_balance)
        a.balance_known = 1.0
        measure(state)
    a.epoch = event.epoch
    a.next_id = (event.epoch << EPOCH_BITS) + 1


def table_of(table: Table[R] | DraftTable[R]) -> Table[R]:
    """The table, which is no draft: only configuration adds rows, and it is never tried out."""
    assert isinstance(table, Table)
    return table


def symbol_row(state: State, symbol: str) -> int:
    """The symbol's row number, a new row where there was none."""
    names = state.names
    index = names.symbol_index.get(symbol)
    if index is None:
        index = names.symbol_index[symbol] = len(names.symbols)
        names.symbols.append(symbol)
        state.instruments.append(None)
        table_of(state.symbols).append(SymbolRow())
    return index


def strategy_row(state: State, strategy: str) -> int:
    """The strategy's row number, a new row where there was none."""
    names = state.names
    index = names.strategy_index.get(strategy)
    if index is None:
        index = names.strategy_index[strategy] = len(names.strategies)
        names.strategies.append(strategy)
        table_of(state.strategies).append(StrategyRow())
    return index


def source_number(state: State, source: str) -> int:
    """The source's number, a new one where there was none."""
    names = state.names
    index = names.source_index.get(source)
    if index is None:
        index = names.source_index[source] = len(names.sources)
        names.sources.append(source)
    return index


def _instrument_set(state: State, event: InstrumentSet) -> None:
    instrument = event.instrument
    index = symbol_row(state, instrument.symbol)
    state.instruments[index] = instrument
    r = state.symbols.edit(index)
    r.tradable = event.tradable
    if instrument.quote_currency == state.account.currency and not instrument.inverse:
        r.rate = 1.0
        r.rate_at_ns = OPERATOR_NS
    _revalue(r, instrument)


def _revalue(r: SymbolRow, instrument: Instrument) -> None:
    r.unit_notional = instrument.unit_value(r.mark, r.rate) if r.mark > 0.0 else nan


def is_complete(limits: Limits, *, owned: bool) -> float:
    """Whether every limit that a rule switched on reads is given; who owns exits matters only where somebody does."""
    for name, limit in LIMIT_FIELDS.items():
        value = getattr(limits, name)
        readers = (code for code in limit.rules if owned or code is not Code.NOT_EXIT_OWNER)
        if value != value and name not in OPTIONAL and any(is_on(limits, code) for code in readers):
            return 0.0
    return 1.0


OPTIONAL: Final = ("size_quantity", "size_frac")
"""Numbers that a policy may leave out: the sizing model it does not use."""


def _policy_set(state: State, event: PolicySet) -> None:
    a = state.account
    a.policy_loaded = 1.0
    a.policy_verified = 1.0 if event.verified else 0.0
    if not event.verified:
        return
    state.policy = event
    a.policy_valid_until_ns = event.valid_until_ns
    a.exit_owner = event.exit_owner
    for right in event.rights:
        strategy_row(state, right.strategy)
        source_number(state, right.source)
    state.rights = {(right.source, right.strategy): right for right in event.rights}
    complete = [is_complete(limits, owned=event.exit_owner != "any") for limits in event.limits]
    for index in range(len(state.symbols)):
        r = state.symbols.edit(index)
        r.limits = -1
        r.policy_complete = complete[0]
    for symbol in event.universe:
        r = state.symbols.edit(symbol_row(state, symbol.symbol))
        r.limits = symbol.limits
        r.policy_complete = complete[symbol.limits]
        r.margin_leverage = symbol.margin_leverage
    measure(state)


def _calendar_set(state: State, event: CalendarSet) -> None:
    a = state.account
    names = [row.name for row in state.calendars]
    if event.name in names:
        c = state.calendars.edit(names.index(event.name))
        c.instants_ns = event.instants_ns
        c.next = bisect_right(event.instants_ns, max(a.now_ns, c.start_ns))
        return
    following = bisect_right(event.instants_ns, a.now_ns)
    start_ns = event.instants_ns[following - 1] if following else 0
    table_of(state.calendars).append(
        CalendarRow(event.name, event.kind, event.instants_ns, following, start_ns=start_ns, pending=1.0)
    )
    if event.kind == CalendarKind.DAY:
        a.day_calendar = len(names)
    if event.kind == CalendarKind.WEEK:
        a.week_calendar = len(names)


def _mode_set(state: State, event: ModeSet) -> None:
    a = state.account
    a.armed, a.rollout, a.environment_kill = event.armed, event.rollout, event.environment_kill


def _owner_set(state: State, event: OwnerSet) -> None:
    state.account.exit_owner = event.owner


def _heartbeat(state: State, event: Heartbeat) -> None:
    if event.source == state.account.exit_owner:
        state.account.heartbeat_ns = state.account.now_ns


def _clock_checked(state: State, event: ClockChecked) -> None:
    limits = state.account_limits()
    on_clock_check(state.account, event.venue_ns, limits.clock_venue_gap_s_max, TRUST_READS_S)


def _lock_released(state: State, event: LockReleased) -> None:
    if event.code == Code.CLOCK_UNTRUSTED:
        trust_clock(state.account)
    if event.scope == Scope.ACCOUNT:
        reset_counter(state.account, event.code)


def _is_ahead(a: AccountRow, at_ns: int) -> bool:
    """Whether something claims to be of a time that has not come, beyond what clocks may differ."""
    return at_ns > a.now_ns + MARK_FUTURE_S_MAX * NS_PER_S_FLOAT


# ---------------------------------------------------------------- prices


def _market_batch(state: State, event: MarketBatch) -> None:
    accepted = False
    for quote in event.quotes:
        index = state.names.symbol_index.get(quote.symbol)
        if index is not None:
            accepted = _quote(state, index, quote) or accepted
    measure(state)
    _on_equity(state, counts=accepted)


def _quote(state: State, index: int, quote: Quote) -> bool:
    r = state.symbols[index]
    if quote.at_ns < r.mark_at_ns:
        return False
    r = state.symbols.edit(index)
    if _is_ahead(state.account, quote.at_ns):
        r.doubt = 1.0
        return False
    limits = state.limits(r)
    unjudged = 1.0 if state.policy is None else 0.0
    on_quote(r, quote.bid, quote.ask, quote.mark, quote.at_ns, limits.collar_frac_max, limits.mark_jump_frac_max, unjudged)
    if 0.0 < quote.rate < inf and r.rate_at_ns != OPERATOR_NS:
        r.rate = quote.rate
        r.rate_at_ns = quote.rate_at_ns or quote.at_ns
    instrument = state.instruments[index]
    if r.doubt != 0.0 or instrument is None:
        return False
    on_extremes(r, quote.high, quote.low)
    _revalue(r, instrument)
    return True


# ---------------------------------------------------------------- equity


def is_fresh(now_ns: int, at_ns: int, age_s_max: float) -> bool:
    """Whether something that happened at `at_ns` (0: never) is within its age limit."""
    return at_ns > 0 and now_ns - at_ns <= age_s_max * NS_PER_S_FLOAT


def plausible_equity(state: State) -> float:
    """
    The equity that guards use, where both sources are fresh and agree; else NaN.

    Only such a figure becomes a peak, a reference or a baseline.
    """
    a = state.account
    limits = state.account_limits()
    if a.own_proven != 1.0 or not is_fresh(a.now_ns, a.venue_equity_at_ns, limits.equity_age_s_max):
        return nan
    if not equity_gap(a.venue_equity, a.own_equity) <= limits.equity_gap_frac_max:
        return nan
    return guard_equity(a.venue_equity, a.own_equity)


def _on_equity(state: State, *, counts: bool) -> None:
    """Peak and drawdown reference follow a plausible new high; accepted marks count towards proof of a loss."""
    a = state.account
    equity = plausible_equity(state)
    if equity > 0.0:
        if not a.equity_peak >= equity:
            a.equity_peak = equity
        if not a.drawdown_ref >= equity:
            a.drawdown_ref = equity
    count_proof(state, counts=counts)


def count_proof(state: State, *, counts: bool) -> None:
    """One more accepted mark (`counts`) shows each loss; whatever shows none, mark or not, makes its count start over."""
    a = state.account
    limits = state.account_limits()
    for slot, code in enumerate(LOSS_TRIGGERS):
        floor = floor_of(state, code, limits)[1]
        broken = a.own_proven == 1.0 and is_broken(code, a.own_equity, floor)
        if counts or not broken:
            confirm(a, slot, broken, a.now_ns)


def _equity_marked(state: State, event: EquityMarked) -> None:
    a = state.account
    if event.at_ns < a.venue_equity_at_ns or _is_ahead(a, event.at_ns):
        return
    if event.equity == event.equity:
        a.venue_equity = a.nominal_base + event.equity
        a.venue_equity_at_ns = event.at_ns
    if abs(event.balance) <= MAX_CASH:
        _reconcile_balance(state, event.balance)
    measure(state)
    _on_equity(state, counts=False)


def _reconcile_balance(state: State, venue_balance: float) -> None:
    """
    Our balance is the venue's, where fills, fees and flows explain it; else the difference is unexplained.

    Two joint reads of balance and agreeing positions, far enough apart, prove that the venue's figure is right.
    """
    a = state.account
    a.venue_balance = venue_balance
    venue = micros(venue_balance)
    expected = a.balance + a.booked
    tolerance = state.account_limits().equity_gap_frac_max * abs(money(expected) + a.nominal_base)
    if a.balance_known != 1.0 or abs(money(venue - expected)) <= tolerance:
        _take_balance(state, venue)
        return
    if a.unexplained == 0:
        a.unexplained_since_ns = a.now_ns
        a.joint_read_ns = 0
    a.unexplained = venue - expected
    if a.reconciled == 1.0 and a.reconciled_at_ns >= a.unexplained_since_ns:
        if a.joint_read_ns == 0:
            a.joint_read_ns = a.now_ns
        elif a.reconciled_at_ns - a.joint_read_ns >= UNEXPLAINED_READS_S * NS_PER_S_FLOAT:
            _take_balance(state, venue)


def _take_balance(state: State, venue: int) -> None:
    a = state.account
    a.balance = venue
    a.booked = 0
    a.balance_known = 1.0
    a.unexplained = 0
    a.unexplained_since_ns = 0
    a.joint_read_ns = 0


def _cash_flow(state: State, event: CashFlow) -> None:
    a = state.account
    if event.id:
        if state.flows.get(event.id):
            return
        state.flows.add(event.id, True)
    before = a.own_equity if a.own_equity == a.own_equity else a.venue_equity
    amount = micros(event.amount)
    already_told = a.unexplained != 0 and abs(a.unexplained - amount) < abs(a.unexplained)
    a.booked += amount
    if event.kind in REFERENCE_FLOWS:
        a.flows += amount
        factor = (before + event.amount) / before if before > 0.0 else nan
        scale_references(a, factor)
        for index in range(len(state.calendars)):
            scale_calendar(state.calendars.edit(index), factor)
        if not already_told:
            a.venue_equity += event.amount
    else:
        _book_cost(state, event)
    if already_told:
        _reconcile_balance(state, a.venue_balance)
    measure(state)
    _on_equity(state, counts=False)


def _book_cost(state: State, event: CashFlow) -> None:
    a = state.account
    a.fees += micros(event.amount)
    index = state.names.symbol_index.get(event.symbol)
    if index is not None and state.symbols[index].position != 0:
        state.symbols.edit(index).trade_pnl += micros(event.amount)


# ---------------------------------------------------------------- positions


def _positions_reported(state: State, event: PositionsReported) -> None:
    a = state.account
    if event.at_ns < a.reconciled_at_ns or event.at_ns < a.last_fill_ns or _is_ahead(a, event.at_ns):
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
    _on_equity(state, counts=False)


def _compare(state: State, index: int, position: PositionAt, *, first: bool) -> bool:
    """Whether venue and ledger agree on one position; proven disagreement makes the venue's word the position."""
    r = state.symbols[index]
    if any((p := state.permits.get(number)) is not None and p.state in IN_FLIGHT for number in r.permits):
        return r.known == 1.0
    if r.position == position.steps and r.known == 1.0:
        if r.mismatch_count:
            state.symbols.edit(index).mismatch_count = 0
        return True
    r = state.symbols.edit(index)
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


def _adopt(state: State, index: int, position: PositionAt) -> None:
    """The row's position is the venue's; one on the other side, or after none, is another trade without our stop."""
    r = state.symbols.edit(index)
    instrument = state.instruments[index]
    entry = position.entry if position.entry > 0.0 else r.mark
    if position.steps * r.position <= 0:
        r.episode += 1
        r.stop_price = r.target_price = nan
        r.trade_pnl = 0
        r.trade_risk = nan
    r.position = position.steps
    r.known = 1.0
    r.cost = 0
    if position.steps != 0:
        if instrument is None or not entry > 0.0:
            r.known = nan
        else:
            r.cost = micros(position.steps * instrument.step * instrument.value(entry))
        r.episode_peak = abs(position.steps)
        open_row(state, index)
    close_row(state, index)


def doubt(state: State, index: int) -> None:
    """The row's position is unknown, and it is looked at until the venue has told it."""
    state.symbols.edit(index).known = nan
    open_row(state, index)


def open_row(state: State, index: int) -> None:
    """The row is among those that are held or reserved."""
    if index not in state.open_rows:
        insort(state.open_rows, index)


def close_row(state: State, index: int) -> None:
    """A row that is flat, known, without orders and without a flatten goal is no longer among the open ones."""
    r = state.symbols[index]
    if r.position == 0 and r.known == 1.0 and not r.permits and not r.goal:
        if r.owner != -1 or r.opener != -1:
            r = state.symbols.edit(index)
            r.owner = r.opener = -1
        state.open_rows.remove(index)


def _orders_reported(state: State, event: OrdersReported) -> None:
    for order in event.orders:
        p = state.permits.get(order.permit)
        if p is not None and not (p.ended and p.spent):
            _use(state, order.permit)
            p = state.permits.edit(order.permit)
            p.working_ns = min(event.at_ns, state.account.now_ns)
            if p.state in (PermitState.SPENT, PermitState.UNKNOWN):
                _set_unknown(state, p, PermitState.WORKING)


# ---------------------------------------------------------------- permits


def _set_unknown(state: State, p: PermitRow, following: PermitState) -> None:
    """The permit is in the following state; permits whose fate is unknown are counted."""
    unknown = PermitState.UNKNOWN
    state.account.unknown_permits += (following == unknown) - (p.state == unknown)
    p.state = following


def strategy_of(state: State, p: PermitRow) -> StrategyRow:
    """The row of the strategy whose exposure the opening permit is; no other source may open."""
    assert p.strategy >= 0
    return state.strategies.edit(p.strategy)


def _revive(state: State, p: PermitRow) -> None:
    """A permit that was believed over is alive: it reserves again what it has not filled."""
    r = state.symbols.edit(p.symbol)
    state.permits.add(p)
    r.permits.append(p.id)
    if not p.reduce_only:
        reclaim(state.account, strategy_of(state, p), r, p)
        if r.owner == -1:
            r.owner = p.strategy
    open_row(state, p.symbol)


def end_permit(state: State, p: PermitRow, following: PermitState) -> None:
    """The permit reserves nothing any more and is kept only for late results."""
    _set_unknown(state, p, following)
    r = state.symbols.edit(p.symbol)
    if not p.reduce_only:
        release(state.account, strategy_of(state, p), r, p)
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


def _spent(state: State, event: Spent) -> None:
    if state.permits.get(event.permit) is None:
        state.account.reconciled = 0.0
    else:
        _use(state, event.permit)


def _executed(state: State, event: Executed) -> None:
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
    _on_equity(state, counts=False)


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
        return
    if stale:
        return
    following = PermitState.PARTIAL if filled > 0 and event.state != PermitState.UNKNOWN else event.state
    if following == PermitState.UNKNOWN and p.state != PermitState.UNKNOWN and not p.reduce_only:
        a.order_failure_count = push(a.order_failure_times, a.order_failure_count, a.now_ns)
    if following in TRANSITIONS[p.state] and following in IN_FLIGHT:
        _set_unknown(state, p, following)


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
    r = state.symbols.edit(p.symbol)
    steps = filled - p.filled
    first = p.filled == 0
    value, fees = _amounts(state, p, r, event)
    if not p.reduce_only:
        s = strategy_of(state, p)
        settle(a, s, r, p, filled)
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
    r = state.symbols.edit(p.symbol)
    rate = r.rate if r.rate == r.rate else 1.0
    held = r.position
    realised, closed = on_fill(r, signed_steps, value)
    closing_fees = fees * closed // abs(signed_steps)
    pnl = micros(money(realised) * rate)
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
    if abs(r.position) == steps:
        r.episode += 1
        r.episode_ns = state.account.now_ns
        r.episode_peak = 0
        r.trade_risk = 0.0
        r.stop_price = p.stop_price
        r.target_price = p.target_price
        if p.strategy >= 0:
            r.owner = p.strategy
            r.opener = p.source
    r.episode_peak = max(r.episode_peak, abs(r.position))
    if p.stop_price == p.stop_price:
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
    r = state.symbols.edit(index)
    outcome = on_trade_closed(state.account, r.trade_pnl, r.trade_risk)
    if r.owner >= 0 and outcome != 0.0:
        s = state.strategies.edit(r.owner)
        if outcome > 0.0:
            s.wins += 1
            s.won += r.trade_pnl
        else:
            s.losses += 1
            s.lost -= r.trade_pnl
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


# ---------------------------------------------------------------- trouble


def _tick(state: State, _event: Tick) -> None:
    measure(state)
    _on_equity(state, counts=False)


def _venue_error(state: State, event: VenueError) -> None:
    a = state.account
    if not event.reducing:
        a.api_error_count = push(a.api_error_times, a.api_error_count, a.now_ns)


def _quarantined(state: State, event: Quarantined) -> None:
    """What the unreadable input was about is unknown until it is told afresh."""
    a = state.account
    index = state.names.symbol_index.get(event.symbol)
    if event.kind == "EquityMarked":
        a.venue_equity = nan
    elif event.kind == "CashFlow":
        a.balance_known = nan
    elif event.kind == "MarketBatch":
        for row in [index] if index is not None else list(state.open_rows):
            state.symbols.edit(row).doubt = 1.0
    elif event.kind in ("Executed", "Spent", "PositionsReported", "OrdersReported"):
        a.reconciled = 0.0
        if index is not None and event.kind == "Executed":
            doubt(state, index)
    measure(state)


_HANDLERS: Final[dict[type, Callable[[State, Any], None]]] = {
    AccountOpened: _account_opened,
    InstrumentSet: _instrument_set,
    PolicySet: _policy_set,
    CalendarSet: _calendar_set,
    ModeSet: _mode_set,
    OwnerSet: _owner_set,
    Heartbeat: _heartbeat,
    ClockChecked: _clock_checked,
    LockReleased: _lock_released,
    MarketBatch: _market_batch,
    EquityMarked: _equity_marked,
    CashFlow: _cash_flow,
    PositionsReported: _positions_reported,
    OrdersReported: _orders_reported,
    Spent: _spent,
    Executed: _executed,
    Tick: _tick,
    VenueError: _venue_error,
    Quarantined: _quarantined,
}
