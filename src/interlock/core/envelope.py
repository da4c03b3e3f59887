"""
The envelope of a source: for each symbol and side the largest order that may open now, what binds it, and until when.

It is found by asking the guards themselves, for one size after another, as the engine would ask them for an intent of
that size: an intent of what is told here passes, and one step more does not. Nothing is reserved: the first order that
leaves changes what is left for the next.
"""

from collections.abc import Callable, Iterator
from math import ceil, inf, nan
from typing import Final

import msgspec

from interlock.core.agenda import Agenda
from interlock.core.apply import apply
from interlock.core.authority import may_close
from interlock.core.checks import checks_of
from interlock.core.codes import CalendarKind, Code, PermitState
from interlock.core.constants import MAX_STEPS, MONEY_SCALE, NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.decide import decide
from interlock.core.instrument import Instrument
from interlock.core.legs import Judgement, headline_of, judge
from interlock.core.limits import Limits, is_on
from interlock.core.locks import Binding
from interlock.core.measure import flat_due, present_or_next, session_of, window_at
from interlock.core.messages import BUY, SELL, Intent, Tick
from interlock.core.rebalance import ROOM
from interlock.core.state import State, SymbolRow
from interlock.core.together import correlation_of


class Room(msgspec.Struct, frozen=True):
    """
    The largest order of one strategy in one symbol on one side that may open now.

    `notional` is in account currency at the worst price that the order may get, `quantity` in base units; both are 0 where
    nothing may open. `binds` is the headline that one step more would get. From `until_ns` on time alone may have changed
    it; OPERATOR_NS where time alone changes nothing. An order on this side first closes what is held against it, `closes`
    in base units; while there is any nothing opens, and `binds` is ALLOWED.
    """

    strategy: str
    symbol: str
    side: int
    notional: float
    quantity: float
    steps: int
    binds: Code
    until_ns: int
    stop_price: float = nan
    closes: float = 0.0


class Envelope(msgspec.Struct, frozen=True):
    """What a source may open at `at_ns`; nothing where there are no rooms. `stop_frac` is the stop that was assumed."""

    at_ns: int
    source: str
    currency: str
    stop_frac: float
    rooms: tuple[Room, ...]


def envelope(
    state: State, wall_ns: int, mono_ns: int, source: str, *, symbol: str = "", stop_frac: float = nan
) -> Envelope:
    """
    What the source may open now, for each strategy that it may open for.

    Args:
        state: of the account; it is not changed.
        wall_ns: wall clock, UTC epoch.
        mono_ns: monotonic clock.
        source: who would ask.
        symbol: only this one; all of the policy's universe without it.
        stop_frac: distance of the orders' stops, as a share of the mark; without it they name none, and the policy's
            sizing model may give them one.
    """
    agenda = present(state, wall_ns, mono_ns)
    now = agenda.state
    strategies = [right.strategy for right in now.rights.values() if right.source == source and right.may_open]
    universe = () if now.policy is None else [each.symbol for each in now.policy.universe]
    rooms = (
        _room(agenda, Intent("", source, strategy, name, side, created_at_ns=agenda.at_ns), stop_frac)
        for strategy in strategies
        for name in universe
        if symbol in ("", name)
        for side in (BUY, SELL)
    )
    return Envelope(agenda.at_ns, source, now.account.currency, stop_frac, tuple(rooms))


def present(state: State, wall_ns: int, mono_ns: int) -> Agenda:
    """The account as of that instant, on a draft on which orders can be tried."""
    now = state.draft()
    apply(now, wall_ns, mono_ns, Tick(), decide(state, wall_ns, mono_ns, Tick()))
    return Agenda(now, now.account.now_ns, now.account.clock_trusted, now.account.next_id, draft=True)


def with_stop(wish: Intent, mark: float, stop_frac: float) -> Intent:
    """The wish with a stop so far from the mark; as it is where that is NaN."""
    if stop_frac != stop_frac:
        return wish
    return msgspec.structs.replace(wish, stop_price=mark * (1.0 - wish.side * stop_frac))


def least_steps(instrument: Instrument, unit_notional: float) -> int:
    """The venue's smallest order, where a step is worth so much of the account's currency."""
    return max(1, ceil(instrument.min_notional / unit_notional)) if 0.0 < unit_notional < inf else 1


def _room(agenda: Agenda, wish: Intent, stop_frac: float) -> Room:
    state = agenda.state
    index = state.names.symbol_index.get(wish.symbol, -1)
    instrument = state.instruments[index] if index >= 0 else None
    if instrument is None:
        return Room(wish.strategy, wish.symbol, wish.side, 0.0, 0.0, 0, Code.MALFORMED, OPERATOR_NS)
    r = state.symbols[index]
    if r.position * wish.side < 0:
        if not may_close(state, wish.source, wish.strategy, r, agenda.at_ns):
            return Room(wish.strategy, wish.symbol, wish.side, 0.0, 0.0, 0, Code.NOT_EXIT_OWNER, OPERATOR_NS)
        closes = instrument.quantity(abs(r.position))
        return Room(wish.strategy, wish.symbol, wish.side, 0.0, 0.0, 0, Code.ALLOWED, OPERATOR_NS, nan, closes)
    return _Search(agenda, with_stop(wish, r.mark, stop_frac), index, instrument).room()


class _Search:
    """Asks the guards for one size after another."""

    def __init__(self, agenda: Agenda, wish: Intent, index: int, instrument: Instrument) -> None:
        self._agenda = agenda
        self._wish = wish
        self._index = index
        self._instrument = instrument
        self._checks = checks_of(agenda.state, agenda.state.symbols[index])
        order, _, self._allowance, _, _ = self._judged(1)
        self._unit = order.unit_notional
        self._least = least_steps(instrument, self._unit)

    def room(self) -> Room:
        """The largest order that passes, and what speaks against one step more."""
        steps = self._largest()
        order, _, _, found, _ = self._judged(steps + 1 if steps else self._least)
        binds, lock = headline_of(found, order)
        return Room(
            self._wish.strategy,
            self._wish.symbol,
            self._wish.side,
            steps * order.unit_notional if steps else 0.0,
            self._instrument.quantity(steps),
            steps,
            binds,
            self._edge() if steps else self._end(binds, lock),
            order.stop_price,
        )

    def _judged(self, steps: int) -> Judgement:
        wish = msgspec.structs.replace(self._wish, quantity=self._instrument.quantity(steps))
        return judge(self._agenda, wish, self._index, self._checks, 0.0)

    def _passes(self, steps: int) -> bool:
        *_, granted = self._judged(steps)
        return granted == steps

    def _largest(self) -> int:
        """The largest number of steps that passes; 0 where the venue's smallest order does not."""
        low = self._least
        if not self._passes(low):
            return 0
        near = self._instrument.steps_down((self._allowance + 1.0 / MONEY_SCALE) / self._unit * self._instrument.step)
        if near > low and self._passes(near):
            low = near
        width = 1
        while low + width <= MAX_STEPS and self._passes(low + width):
            low, width = low + width, 2 * width
        high = low + width
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._passes(middle) else (low, middle)
        return low

    # ------------------------------------------------------------ until when

    def _edge(self) -> int:
        """The first instant at which something that it rests on may be over by time alone."""
        now_ns = self._agenda.at_ns
        return min((edge for edge in self._edges() if edge > now_ns), default=OPERATOR_NS)

    def _edges(self) -> Iterator[int]:
        state, now_ns, p = self._agenda.state, self._agenda.at_ns, self._checks.limits
        a, r = state.account, state.symbols[self._index]
        yield a.wake_ns
        yield a.policy_valid_until_ns + 1
        yield session_of(state, self._index, now_ns)[2]
        yield window_at(r.news_windows, now_ns)[1]
        yield flat_due(r, now_ns, p)[1]
        yield r.windows_until_ns
        yield a.order_tat_ns
        for at_ns, age_s in (
            (a.venue_equity_at_ns, p.equity_age_s_max),
            (a.reconciled_at_ns, p.reconciled_age_s_max),
            (min(r.mark_at_ns, a.book_at_ns, r.rate_at_ns, a.book_rate_at_ns), p.mark_age_s_max),
            (r.market_at_ns, p.market_state_age_s_max),
            (OPERATOR_NS if a.exit_owner == "any" else a.heartbeat_ns, p.controller_age_s_max),
        ):
            if age_s < inf and at_ns < OPERATOR_NS:
                yield at_ns + int(age_s * NS_PER_S_FLOAT) + 1
        yield from self._company_edges()

    def _company_edges(self) -> Iterator[int]:
        """When what the symbol is correlated with is no longer known, one by one."""
        state, p = self._agenda.state, self._checks.limits
        if not 0.0 <= p.correlation_age_s_max < inf:
            return
        for other in {*state.open_rows, state.account.benchmark} - {self._index, -1}:
            one, two = sorted((self._index, other))
            yield (
                correlation_of(state, one, two, p.correlation_decay)[1] + int(p.correlation_age_s_max * NS_PER_S_FLOAT) + 1
            )

    def _end(self, code: Code, lock: Binding) -> int:
        """When what forbids every opening may be over by itself; an order that nobody uses in time gives its room back."""
        if lock[1]:
            return lock[2] + 1 if lock[2] < OPERATOR_NS else OPERATOR_NS
        found = _ENDS.get(code)
        end_ns = found(self._agenda, self._index, self._checks.limits) if found is not None else OPERATOR_NS
        unused = (p for p in self._agenda.state.permits.alive() if not p.reduce_only and p.state == PermitState.ISSUED)
        return min((p.expires_ns + 1 for p in unused), default=end_ns) if code in _RESERVED else end_ns


_RESERVED: Final = ROOM | {Code.DAILY_RISK_QUOTA, Code.SYMBOL_OWNED}
"""What an order that is not used in time gives back."""


def _row(agenda: Agenda, index: int) -> SymbolRow:
    return agenda.state.symbols[index]


def _session_end(agenda: Agenda, index: int, _limits: Limits) -> int:
    return session_of(agenda.state, index, agenda.at_ns)[2]


def _news_end(agenda: Agenda, index: int, _limits: Limits) -> int:
    inside, edge_ns = window_at(_row(agenda, index).news_windows, agenda.at_ns)
    return edge_ns if inside else OPERATOR_NS


def _flat_end(agenda: Agenda, index: int, limits: Limits) -> int:
    r = _row(agenda, index)
    return present_or_next(r.flat_windows, agenda.at_ns)[1] if flat_due(r, agenda.at_ns, limits)[0] else OPERATOR_NS


def _rate_end(agenda: Agenda, _index: int, limits: Limits) -> int:
    burst_s = limits.order_interval_s * (limits.order_burst_count_max - 1.0)
    return agenda.state.account.order_tat_ns - int(burst_s * NS_PER_S_FLOAT)


def _period_end(kind: CalendarKind) -> Callable[[Agenda, int, Limits], int]:
    def end(agenda: Agenda, _index: int, _limits: Limits) -> int:
        """The next period's first instant."""
        a = agenda.state.account
        number = a.day_calendar if kind is CalendarKind.DAY else a.week_calendar
        c = agenda.state.calendars[number] if number >= 0 else None
        return c.instants_ns[c.next] if c is not None and c.next < len(c.instants_ns) else OPERATOR_NS

    return end


_day_end: Final = _period_end(CalendarKind.DAY)
_week_end: Final = _period_end(CalendarKind.WEEK)


def _quota_end(agenda: Agenda, index: int, limits: Limits) -> int:
    """The next risk day; an operator's where it is the campaign whose slices are spent."""
    left = limits.quota_campaign_slice_count_max - agenda.state.account.campaign_slices
    return _day_end(agenda, index, limits) if left >= 1.0 else OPERATOR_NS


def _headroom_end(agenda: Agenda, index: int, limits: Limits) -> int:
    """When the first of the floors moves that follow a day's or a week's open."""
    day = _day_end(agenda, index, limits) if is_on(limits, Code.DAILY_LOSS) else OPERATOR_NS
    return min(day, _week_end(agenda, index, limits)) if is_on(limits, Code.WEEKLY_LOSS) else day


_ENDS: Final[dict[Code, Callable[[Agenda, int, Limits], int]]] = {
    Code.SESSION_CLOSED: _session_end,
    Code.NEWS_WINDOW: _news_end,
    Code.SESSION_FLAT: _flat_end,
    Code.ORDER_RATE: _rate_end,
    Code.DAILY_LOSS: _day_end,
    Code.WEEKLY_LOSS: _week_end,
    Code.LOSS_HEADROOM: _headroom_end,
    Code.DAILY_RISK_QUOTA: _quota_end,
}
