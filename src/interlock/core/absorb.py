"""What each input does to the state by itself, before anything is decided about it."""

from bisect import bisect_right
from collections.abc import Callable
from math import inf, log, nan
from typing import Any, Final

from interlock.core.cash import cash_flow, equity_marked, on_equity
from interlock.core.codes import CalendarKind, Code, Scope
from interlock.core.constants import BASE, CHOP, CORRELATION_RETURNS, EPOCH_BITS, OPERATOR_NS, TREND, TRUST_READS_S
from interlock.core.exits.kernel import opening_score, regime_flip, sigma_spike, trend_drop
from interlock.core.fills import executed, orders_reported, spent, unsettled_quota
from interlock.core.instrument import Instrument
from interlock.core.limits import LIMIT_FIELDS, Limits, is_on
from interlock.core.locks import reset_counter
from interlock.core.measure import market_fresh, measure
from interlock.core.messages import (
    AccountOpened,
    Adopted,
    Amend,
    BarClosed,
    BlackoutSet,
    CalendarSet,
    Cancel,
    CashFlow,
    ClockChecked,
    EquityMarked,
    Executed,
    Heartbeat,
    Input,
    InstrumentSet,
    Intent,
    LockReleased,
    MarketBatch,
    MarketState,
    ModeSet,
    OrdersReported,
    OwnerSet,
    PolicySet,
    PositionsReported,
    Quarantined,
    Quote,
    Spent,
    Tick,
    VenueError,
)
from interlock.core.positions import doubt, positions_reported
from interlock.core.regime import on_market_state
from interlock.core.state import (
    CalendarRow,
    ClusterRow,
    DraftTable,
    R,
    State,
    StrategyRow,
    SymbolRow,
    edit,
)
from interlock.core.together import on_compared_bar, one_of
from interlock.core.transitions import (
    begin_campaign,
    is_ahead,
    is_fresh,
    micros,
    on_bar,
    on_best,
    on_clock_check,
    on_episode,
    on_extremes,
    on_quote,
    push,
    recount,
    trust_clock,
)


def absorb(state: State, event: Input) -> None:
    """The state holds what the input says; nothing is concluded from it yet."""
    if type(event) not in OF_ONE_SYMBOL:
        state.touch(state.open_rows)
    handler = _HANDLERS.get(type(event))
    if handler is not None:
        handler(state, event)


OF_ONE_SYMBOL: Final = frozenset(
    {
        Adopted,
        Amend,
        BarClosed,
        BlackoutSet,
        Cancel,
        CashFlow,
        EquityMarked,
        Executed,
        Heartbeat,
        Intent,
        MarketBatch,
        MarketState,
        Spent,
        Tick,
        VenueError,
    }
)
"""Inputs that change something for the rows that they write to and for the account's sums: for no other row."""


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
    else:
        a.reconciled = 0.0  # what the venue did meanwhile nobody saw
    measure(state)
    a.epoch = event.epoch
    a.stops_at_venue = event.stops_at_venue
    a.next_id = (event.epoch << EPOCH_BITS) + 1


def table_of(table: list[R] | DraftTable[R]) -> list[R]:
    """The table, which is no draft: only configuration adds rows, and it is never tried out."""
    assert isinstance(table, list)
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
    r = state.edit_symbol(index)
    r.tradable = event.tradable
    if instrument.quote_currency == state.account.currency and not instrument.inverse:
        r.rate = 1.0
        r.rate_at_ns = OPERATOR_NS
    _revalue(r, instrument)


def _revalue(r: SymbolRow, instrument: Instrument) -> None:
    r.unit_notional = instrument.unit_value(r.mark, r.rate) if r.mark > 0.0 else nan


def is_complete(limits: Limits, *, owned: bool) -> float:
    """Whether every limit that a rule switched on reads is given; who owns exits matters only where somebody does."""
    left_out = OPTIONAL if limits.breaker_lock_s != inf else (*OPTIONAL, *TRIPS)
    for name, limit in LIMIT_FIELDS.items():
        value = getattr(limits, name)
        readers = (code for code in limit.rules if owned or code not in OWNED)
        if value != value and name not in left_out and any(is_on(limits, code) for code in readers):
            return 0.0
    return 1.0


OWNED: Final = (Code.NOT_EXIT_OWNER, Code.HEARTBEAT_LOST)
"""Rules about an exit owner, which read nothing where there is none."""

OPTIONAL: Final = ("size_quantity", "size_frac", "size_stop_atr", "size_target_atr")
"""Numbers that a policy may leave out: the sizing model it does not use."""

TRIPS: Final = ("breaker_trip_count_max", "breaker_trip_window_s")
"""Numbers that it leaves out where an open breaker waits for an operator from its first trip on."""


def _policy_set(state: State, event: PolicySet) -> None:
    a = state.account
    a.policy_loaded = 1.0
    a.policy_verified = 1.0 if event.verified else 0.0
    if not event.verified:
        return
    forget = event.limits[0].correlation_bar_s != state.account_limits().correlation_bar_s
    state.policy = event
    state.checks = {}
    a.policy_valid_until_ns = event.valid_until_ns
    if event.exit_owner != a.exit_owner:
        _own(state, event.exit_owner)
    a.exit_mode = event.exit_mode
    for right in event.rights:
        strategy_row(state, right.strategy)
        source_number(state, right.source)
    state.rights = {(right.source, right.strategy): right for right in event.rights}
    for number in range(len(state.strategies)):
        recount(edit(state.strategies, number), event.limits[0].kelly_window_count_max)
    complete = [is_complete(limits, owned=event.exit_owner != "any") for limits in event.limits]
    for index in range(len(state.symbols)):
        r = state.edit_symbol(index)
        r.limits = r.chop_limits = r.base_limits = r.trend_limits = r.cluster = -1
        if forget:
            r.bar_ns, r.bar_logs = (), ()
        r.policy_complete = complete[0]
    clusters: dict[str, int] = {}
    a.benchmark = -1
    for symbol in event.universe:
        r = state.edit_symbol(symbol_row(state, symbol.symbol))
        r.limits = symbol.limits
        r.chop_limits, r.base_limits, r.trend_limits = symbol.chop_limits, symbol.base_limits, symbol.trend_limits
        used = (symbol.limits, symbol.chop_limits, symbol.base_limits, symbol.trend_limits)
        r.policy_complete = min(complete[number] for number in used if number >= 0)
        r.margin_leverage = symbol.margin_leverage
        r.kill_score = score_now(r, state.limits(r))
        r.cluster = clusters.setdefault(symbol.cluster, len(clusters)) if symbol.cluster else -1
        if symbol.benchmark:
            a.benchmark = state.names.symbol_index[symbol.symbol]
    _count_clusters(state, len(clusters))
    measure(state)


def _count_clusters(state: State, count: int) -> None:
    """There are so many clusters, and each counts what its symbols reserve."""
    state.clusters = [ClusterRow() for _ in range(count + 1)]
    for index in state.open_rows:
        r = state.symbols[index]
        state.clusters[r.cluster].pending_reserved += r.pending_buy_reserved + r.pending_sell_reserved
    state.company = {}


def _calendar_set(state: State, event: CalendarSet) -> None:
    a = state.account
    names = [row.name for row in state.calendars]
    if event.name in names:
        c = edit(state.calendars, names.index(event.name))
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


def _blackout_set(state: State, event: BlackoutSet) -> None:
    r = state.edit_symbol(state.names.symbol_index[event.symbol])
    r.blackouts, r.news_windows, r.flat_windows = event.intervals, event.opening, event.flat
    r.windows_until_ns = event.until_ns


def _mode_set(state: State, event: ModeSet) -> None:
    a = state.account
    a.mode_told = True
    a.armed, a.rollout, a.environment_kill = event.armed, event.rollout, event.environment_kill
    a.rollout_symbols = event.symbols


def _owner_set(state: State, event: OwnerSet) -> None:
    _own(state, event.owner)


def _own(state: State, owner: str) -> None:
    """The exit owner is this one from now on, and nobody has succeeded it."""
    a = state.account
    a.exit_owner = owner
    a.exit_deposed = a.owner_silent = False
    a.owner_since_ns = a.now_ns


def _heartbeat(state: State, event: Heartbeat) -> None:
    a = state.account
    if event.source != a.exit_owner:
        return
    if not is_fresh(a.now_ns, a.heartbeat_ns, state.account_limits().controller_age_s_max):
        a.heartbeats_since_ns = a.now_ns
    a.heartbeat_ns = a.now_ns


def _adopted(state: State, event: Adopted) -> None:
    """The position is the strategy's, with that stop, and its exits are the engine's."""
    index = state.names.symbol_index[event.symbol]
    r = state.edit_symbol(index)
    r.owner = state.names.strategy_index[event.strategy]
    r.stop_price, r.target_price = event.stop_price, event.target_price
    on_episode(r, 1.0, state.account.now_ns, market_fresh(state, r, state.limits(r)))


def _clock_checked(state: State, event: ClockChecked) -> None:
    limits = state.account_limits()
    on_clock_check(state.account, event.venue_ns, limits.clock_venue_gap_s_max, TRUST_READS_S)


def _lock_released(state: State, event: LockReleased) -> None:
    if event.code == Code.CLOCK_UNTRUSTED:
        trust_clock(state.account)
    if event.code == Code.DAILY_RISK_QUOTA:
        begin_campaign(state.account, unsettled_quota(state)[1])
    if event.scope == Scope.ACCOUNT:
        reset_counter(state.account, event.code)


# ---------------------------------------------------------------- prices


def _market_batch(state: State, event: MarketBatch) -> None:
    accepted = False
    for quote in event.quotes:
        index = state.names.symbol_index.get(quote.symbol)
        if index is not None:
            accepted = _quote(state, index, quote) or accepted
    measure(state)
    on_equity(state, counts=accepted)


def _quote(state: State, index: int, quote: Quote) -> bool:
    r = state.symbols[index]
    if quote.at_ns < r.mark_at_ns:
        return False
    r = state.edit_symbol(index)
    if is_ahead(state.account.now_ns, quote.at_ns):
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
    on_extremes(r, quote.high, quote.low, limits.mark_jump_frac_max)
    on_best(r)
    _revalue(r, instrument)
    return True


REGIMES: Final = {"": 0.0, "CHOP": CHOP, "BASE": BASE, "TREND": TREND}
"""Labels of a market state as numbers; 0.0 leaves the label to the score, any other label is no regime."""


def _market_state(state: State, event: MarketState) -> None:
    """The symbol's market state is the newest one told; one that claims to be of the future is not believed."""
    index = state.names.symbol_index.get(event.symbol, -1)
    if index < 0 or event.at_ns < state.symbols[index].market_at_ns or is_ahead(state.account.now_ns, event.at_ns):
        return
    r = state.edit_symbol(index)
    limits = state.limits(r)
    on_market_state(
        r,
        event.atr,
        event.sigma,
        event.trend_strength,
        event.score,
        REGIMES.get(event.label, nan),
        event.p_trend,
        event.p_base,
        event.p_chop,
        event.at_ns,
        limits.trend_score_min,
        limits.chop_score_max,
    )
    r.kill_score = score_now(r, limits)


def score_now(r: SymbolRow, limits: Limits) -> float:
    """The kill score of a position opened in the symbol's market state; NaN where it is not known."""
    flip = regime_flip(nan, r.regime, r.p_trend, r.p_base, r.p_chop, limits.flip_trend_min)
    spike = sigma_spike(r.sigma, limits.sigma_ref, limits.sigma_cap)
    drop = trend_drop(r.trend_strength, limits.trend_ref, limits.trend_cap) if limits.trend_ref > 0.0 else nan
    return opening_score(flip, spike, drop, limits)


def _bar_closed(state: State, event: BarClosed) -> None:
    """A bar of the length by which the policy counts is one more of the position's life."""
    index = state.names.symbol_index.get(event.symbol, -1)
    if index < 0 or is_ahead(state.account.now_ns, event.opened_ns):
        return
    _compare_by(state, index, event)
    if event.length_s == state.exit_limits(state.symbols[index]).exit_bar_s:
        on_bar(state.edit_symbol(index), event.opened_ns)


def _compare_by(state: State, index: int, event: BarClosed) -> None:
    """A later bar of the length by which symbols are compared is the last of the symbol's; as many as are used are kept."""
    r = state.symbols[index]
    later = not r.bar_ns or event.opened_ns > r.bar_ns[-1]
    if event.length_s == state.account_limits().correlation_bar_s and later and 0.0 < event.close < inf:
        r = state.edit_symbol(index)
        r.bar_ns = one_of((*r.bar_ns[-CORRELATION_RETURNS:], event.opened_ns))
        r.bar_logs = (*r.bar_logs[-CORRELATION_RETURNS:], log(event.close))
        on_compared_bar(state, index)


# ---------------------------------------------------------------- equity


def _tick(state: State, _event: Tick) -> None:
    measure(state)
    on_equity(state, counts=False)


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
            state.edit_symbol(row).doubt = 1.0
    elif event.kind == "MarketState" and index is not None:
        state.edit_symbol(index).market_at_ns = 0
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
    BlackoutSet: _blackout_set,
    ModeSet: _mode_set,
    OwnerSet: _owner_set,
    Adopted: _adopted,
    Heartbeat: _heartbeat,
    ClockChecked: _clock_checked,
    LockReleased: _lock_released,
    MarketBatch: _market_batch,
    MarketState: _market_state,
    BarClosed: _bar_closed,
    EquityMarked: equity_marked,
    CashFlow: cash_flow,
    PositionsReported: positions_reported,
    OrdersReported: orders_reported,
    Spent: spent,
    Executed: executed,
    Tick: _tick,
    VenueError: _venue_error,
    Quarantined: _quarantined,
}
