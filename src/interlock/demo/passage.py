"""
One passage over the tape: wishes become intents, intents become orders, with a gate between them or without.

`Passage` is the same for every run. What differs is its host: `Ungated` sends every order, `Gated` sends what an engine
permits, and carries out what the engine wants done.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from math import nan
from typing import Final, Protocol

from interlock.adapters.paper import PaperFill, PaperOrder, PaperVenue
from interlock.core.codes import AccountKind, Code, Partial, Scope
from interlock.core.constants import OPERATOR_NS
from interlock.core.engine import Engine
from interlock.core.floors import floor_of
from interlock.core.limits import is_on
from interlock.core.messages import (
    AccountOpened,
    ClockChecked,
    Decision,
    EquityMarked,
    Executed,
    FlattenGoal,
    Heartbeat,
    Input,
    InstrumentSet,
    Intent,
    LockChanged,
    LockReleased,
    MarketBatch,
    PermitIssued,
    PermitRevoked,
    PositionsReported,
    Quote,
    Rebased,
    Step,
)
from interlock.core.state import LOSS_TRIGGERS
from interlock.demo.market import DAY_NS, MILLISECOND_NS, Market, Moment, Tape
from interlock.demo.plans import Plan
from interlock.demo.strategy import FLAT, Wish
from interlock.market import MarketSeries
from interlock.policy.calendar import day_calendar, week_calendar
from interlock.service.shell.gate import Gate
from interlock.study.journal import Journal
from interlock.study.parties import Parties

BALANCE: Final = 100_000.0
FEE_BPS: Final = 0.2
ZONE: Final = "America/New_York"
CLOCK: Final = "17:00"
DURABLE_S_MAX: Final = 30.0
OPERATOR: Final = "operator"
REVIEW_DAYS: Final = 90
REVIEW_NS: Final = REVIEW_DAYS * DAY_NS
REVIEW_REASON: Final = f"the demonstration's operator reviews after {REVIEW_DAYS} days"


class Host(Protocol):
    """What stands between the passage and the venue."""

    def see(self, at_ns: int, quotes: tuple[Quote, ...], *, deciding: bool) -> None:
        """The quotes are known, and whatever waited for them is done."""

    def is_called(self, at_ns: int, /) -> bool:
        """Whether it wants to see the open although nothing is wished."""

    def ask(self, at_ns: int, intent: Intent, price: float | None = None) -> None:
        """The intent is answered and what it may do is done, at ``price`` instead of the quote where one is given."""

    def close(self) -> None:
        """The bar is over: floors and the like are noted."""


def filled(
    journal: Journal, venue: PaperVenue, market: Market, at_ns: int, order: PaperOrder, price: float | None
) -> PaperFill:
    """The order was executed and noted."""
    fill = venue.execute(order) if price is None else venue.execute_at(order, price)
    if fill.filled_steps:
        quantity = order.side * market.instrument.quantity(fill.filled_steps)
        journal.fills.append((at_ns, order.symbol, quantity, fill.price))
    return fill


class Ungated:
    """No gate: every intent becomes an order at the market, as large as it asks."""

    def __init__(self, tape: Tape, venue: PaperVenue, journal: Journal) -> None:
        self._tape = tape
        self._venue = venue
        self._journal = journal

    def see(self, at_ns: int, quotes: tuple[Quote, ...], *, deciding: bool) -> None:
        """Nothing watches."""

    def is_called(self, _at_ns: int, /) -> bool:
        """Never."""
        return False

    def ask(self, at_ns: int, intent: Intent, price: float | None = None) -> None:
        """The intent is sent."""
        market = self._tape.markets[intent.symbol]
        steps = market.instrument.steps_down(intent.quantity)
        order = PaperOrder(intent.symbol, intent.side, steps, reduce_only=intent.reduce_only)
        filled(self._journal, self._venue, market, at_ns, order, price)

    def close(self) -> None:
        """There is no floor."""


class Gated:
    """An engine and its ledger before the venue; whatever they permit is carried out, and they are told of it."""

    def __init__(self, tape: Tape, venue: PaperVenue, journal: Journal, gate: Gate, plan: Plan) -> None:
        assert plan.policy is not None, "a gated run has a policy"
        self.gate = gate
        self._plan = plan
        self._tape = tape
        self._venue = venue
        self._journal = journal
        self._policy = plan.policy
        self._waiting: dict[int, PermitIssued] = {}
        self._series = {symbol: MarketSeries(symbol) for symbol in tape.markets}
        self._known = dict.fromkeys(tape.markets, 0)
        self._executing = True
        self._for_operator: dict[tuple[Scope, str, Code], int] = {}
        self._begin()

    @property
    def engine(self) -> Engine:
        """The engine in the gate."""
        return self.gate.engine

    def _begin(self) -> None:
        start_ns = self._tape.moments[0].open_ns
        span = start_ns - 8 * DAY_NS, self._tape.moments[-1].close_ns + 400 * DAY_NS
        self._submit(
            start_ns,
            AccountOpened(self._plan.name, AccountKind.PAPER, self._policy.leaves["account", "currency"].text, BALANCE),
        )
        for market in self._tape.markets.values():
            self._submit(start_ns, InstrumentSet(market.instrument))
        self._publish(start_ns)
        self._submit(start_ns, day_calendar("risk-day", ZONE, CLOCK, *span))
        self._submit(start_ns, week_calendar("week", ZONE, CLOCK, "Sun", *span))
        self._submit(start_ns, ClockChecked())
        limits = self.engine.state.account_limits()
        self._floors = [code for code in LOSS_TRIGGERS if is_on(limits, code)]
        self._journal.floors = {code: array("d") for code in self._floors}

    def _publish(self, at_ns: int) -> None:
        """The policy is published anew, and will be when half its validity is over: what it says stays the same."""
        published = self._policy.publish(at_ns).compile(at_ns)
        self._renewal_ns = at_ns + (published.valid_until_ns - at_ns) // 2
        self._submit(at_ns, published)

    def see(self, at_ns: int, quotes: tuple[Quote, ...], *, deciding: bool) -> None:
        """
        Positions, prices and equity are known to the engine as of now.

        They are told with every bar in which something is held or decided; while the account is flat they could change
        nothing.
        """
        if not deciding and not self.engine.state.open_rows:
            return
        if at_ns > self._renewal_ns:
            self._publish(at_ns)
        self._executing = deciding
        if deciding:
            self._send_waiting(at_ns, {quote.symbol for quote in quotes})
            for quote in quotes:
                self._tell_market(at_ns, quote.symbol)
            if self.engine.state.account.exit_owner != "any":
                self._submit(at_ns, Heartbeat(self._plan.parties.closer))
        self._submit(at_ns, PositionsReported(self._venue.positions(), at_ns))
        self._submit(at_ns, MarketBatch(quotes))
        self._submit(at_ns, EquityMarked(self._venue.equity, self._venue.balance, at_ns))
        self._executing = True
        if deciding:
            self.review(at_ns)

    def _tell_market(self, at_ns: int, symbol: str) -> None:
        """The engine knows the symbol's market state after the last bar that has ended by now."""
        market, series = self._tape.markets[symbol], self._series[symbol]
        ended = bisect_left(market.bars.ts_ns, at_ns)
        for index in range(self._known[symbol], ended):
            series.add(market.closed(index))
        self._known[symbol] = ended
        self._submit(at_ns, series.state())

    def is_called(self, at_ns: int, /) -> bool:
        """Whether orders wait for the open, or an operator has something to release."""
        return bool(self._waiting) or any(at_ns >= since_ns + REVIEW_NS for since_ns in self._for_operator.values())

    def review(self, at_ns: int) -> None:
        """The operator has released every lock that has waited long enough, and taken present equity as the reference."""
        due = [lock for lock, since_ns in self._for_operator.items() if at_ns >= since_ns + REVIEW_NS]
        for scope, key, code in due:
            self._submit(at_ns, LockReleased(scope, key, code, OPERATOR, REVIEW_REASON))
        if due:
            self._submit(at_ns, Rebased(OPERATOR, REVIEW_REASON))

    def ask(self, at_ns: int, intent: Intent, price: float | None = None) -> None:
        """The intent is decided, and its permits are carried out."""
        self._submit(at_ns, intent, price)

    def close(self) -> None:
        """Every floor is noted as it is now."""
        state = self.engine.state
        limits = state.account_limits()
        for code in self._floors:
            self._journal.floors[code].append(floor_of(state, code, limits)[1])

    def _send_waiting(self, at_ns: int, symbols: set[str]) -> None:
        for permit in [*self._waiting.values()]:
            if permit.symbol in symbols and permit.id in self._waiting:
                del self._waiting[permit.id]
                self._carry_out(at_ns, permit, None)

    def _submit(self, at_ns: int, event: Input, price: float | None = None) -> None:
        handed = self.gate.submit(event, at_ns, wait_s=DURABLE_S_MAX)
        if handed.step.outputs:
            self._note(handed.step)
        if handed.waiting:
            raise handed.problem or TimeoutError("the ledger did not take a step in time: is the disk busy?")
        for permit in handed.permits:
            if self._executing:
                self._carry_out(at_ns, permit, price)
            else:
                self._waiting[permit.id] = permit

    def _carry_out(self, at_ns: int, permit: PermitIssued, price: float | None) -> None:
        self.gate.spend(permit, at_ns)
        limit = permit.limit_price if permit.limit_price == permit.limit_price else None
        order = PaperOrder(permit.symbol, permit.side, permit.steps, limit, permit.reduce_only)
        fill = filled(self._journal, self._venue, self._tape.markets[permit.symbol], at_ns, order, price)
        result = Executed(permit.id, fill.state, fill.filled_steps, fill.filled_value, fill.fees, at_ns, reason=fill.reason)
        self._submit(at_ns, result)

    def _note(self, step: Step) -> None:
        for output in step.outputs:
            if isinstance(output, Decision):
                self._journal.decisions.append((step.at_ns, output))
            elif isinstance(output, LockChanged):
                self._journal.locks.append((step.at_ns, output))
                self._await_operator(step.at_ns, output)
            elif isinstance(output, PermitRevoked):
                self._waiting.pop(output.permit, None)
            elif isinstance(output, FlattenGoal) and output.active and output.attempts == 0:
                self._journal.flattenings.append((step.at_ns, output.symbol, output.code, self._venue.equity))

    def _await_operator(self, at_ns: int, lock: LockChanged) -> None:
        name = (lock.scope, lock.scope_key, lock.code)
        if lock.until_ns == OPERATOR_NS:
            self._for_operator.setdefault(name, at_ns)
        else:
            self._for_operator.pop(name, None)


class Passage:
    """One run over the tape."""

    def __init__(self, tape: Tape, venue: PaperVenue, journal: Journal, host: Host, parties: Parties) -> None:
        self.venue = venue
        self._parties = parties
        self.host = host
        self.journal = journal
        self._tape = tape
        self._wishes: dict[str, Wish] = {}
        self._stops: dict[str, float] = {}

    def run(self) -> Iterator[Moment]:
        """Every moment, after it has passed."""
        for number, moment in enumerate(self._tape.moments):
            self._open(moment)
            self._stop_out(moment)
            self._close(moment)
            self._wishes.update(self._tape.wishes.get(number, ()))
            yield moment
        self.journal.fees = self.venue.fees_micros / 1e6

    def _open(self, moment: Moment) -> None:
        quotes = []
        for symbol, index in moment.bars:
            bid, ask = self._tape.markets[symbol].open_quote(index)
            self.venue.quote(symbol, bid, ask)
            quotes.append(Quote(symbol, bid, ask, (bid + ask) / 2.0, moment.open_ns))
        due = [
            symbol
            for symbol, _ in moment.bars
            if symbol in self._wishes and self._tape.markets[symbol].is_open(moment.open_ns)
        ]
        if due or self.host.is_called(moment.open_ns):
            self.host.see(moment.open_ns, tuple(quotes), deciding=True)
        for symbol in due:
            self._pursue(moment.open_ns, symbol, self._wishes.pop(symbol))

    def _pursue(self, at_ns: int, symbol: str, wish: Wish) -> None:
        """The wish is sent as what is missing from the position held: first what reduces it, then what opens."""
        instrument = self._tape.markets[symbol].instrument
        position = self.venue.position(symbol)
        price = self.venue.ask(symbol) if wish.side > 0 else self.venue.bid(symbol)
        wanted = 0
        if wish.side != FLAT:
            wanted = wish.side * instrument.steps_down(wish.notional_equity_mult * self.venue.equity / price)
        if position and (wanted * position <= 0 or abs(wanted) < abs(position)):
            kept = wanted if wanted * position > 0 else 0
            self._reduce(at_ns, symbol, abs(position - kept), None)
            position = self.venue.position(symbol)
        steps = abs(wanted - position)
        if wish.side == FLAT or steps == 0 or position * wish.side < 0:
            return
        stop = price * (1.0 - wish.side * wish.stop_frac)
        self._intend(at_ns, symbol, wish.side, steps, stop)
        if self.venue.position(symbol) != position:
            self._stops[symbol] = stop

    def _intend(self, at_ns: int, symbol: str, side: int, steps: int, stop: float) -> None:
        self.journal.intents += 1
        intent = Intent(
            f"{symbol}-{at_ns}-open",
            self._parties.opener,
            self._parties.strategy,
            symbol,
            side,
            quantity=self._tape.markets[symbol].instrument.quantity(steps),
            stop_price=stop,
            partial=Partial.SCALE,
            created_at_ns=at_ns,
        )
        self.host.ask(at_ns, intent)

    def _reduce(self, at_ns: int, symbol: str, steps: int, price: float | None) -> None:
        self.journal.intents += 1
        position = self.venue.position(symbol)
        intent = Intent(
            f"{symbol}-{at_ns}-close",
            self._parties.closer,
            self._parties.strategy,
            symbol,
            -1 if position > 0 else 1,
            quantity=self._tape.markets[symbol].instrument.quantity(steps),
            reduce_only=True,
            created_at_ns=at_ns,
        )
        self.host.ask(at_ns, intent, price)

    def _stop_out(self, moment: Moment) -> None:
        """Positions whose stop lies within the bar are closed at it, or at the open where that is beyond it."""
        for symbol, index in moment.bars:
            position = self.venue.position(symbol)
            stop = self._stops.get(symbol, nan)
            if not position or stop != stop:
                continue
            market = self._tape.markets[symbol]
            half = market.half_spread[index - 1 if index else 0]
            if position > 0:
                worst, price = market.bars.low[index] - half, min(stop, market.open_quote(index)[0])
                is_hit = worst <= stop
            else:
                worst, price = market.bars.high[index] + half, max(stop, market.open_quote(index)[1])
                is_hit = worst >= stop
            if is_hit:
                self._reduce(moment.open_ns + MILLISECOND_NS, symbol, abs(position), price)

    def _close(self, moment: Moment) -> None:
        quotes = []
        for symbol, index in moment.bars:
            market = self._tape.markets[symbol]
            bid, ask = market.close_quote(index)
            self.venue.quote(symbol, bid, ask)
            bars = market.bars
            quotes.append(Quote(symbol, bid, ask, bars.close[index], moment.close_ns, bars.high[index], bars.low[index]))
        self.host.see(moment.close_ns, tuple(quotes), deciding=False)
        self.host.close()
        self.journal.at_ns.append(moment.close_ns)
        self.journal.equity.append(self.venue.equity)
