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
from interlock.core.apply import EXIT_NAME
from interlock.core.authority import ALWAYS
from interlock.core.codes import AccountKind, Code, Partial, PermitState, Scope
from interlock.core.constants import OPERATOR_NS
from interlock.core.engine import Engine
from interlock.core.floors import floor_of
from interlock.core.limits import is_on
from interlock.core.messages import (
    AccountOpened,
    CancelOrders,
    ClockChecked,
    Decision,
    EquityMarked,
    Executed,
    ExitProposed,
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
    Spent,
    Step,
)
from interlock.core.state import LOSS_TRIGGERS
from interlock.demo.diary import Deal, Diary
from interlock.demo.market import DAY_NS, MILLISECOND_NS, Market, Moment, Tape
from interlock.demo.plans import Plan
from interlock.demo.strategy import Wish
from interlock.demo.trades import ENTRY
from interlock.policy.calendar import day_calendar, week_calendar
from interlock.service.shell.gate import Handed

BALANCE: Final = 100_000.0
FEE_BPS: Final = 0.2
ZONE: Final = "America/New_York"
CLOCK: Final = "17:00"
DURABLE_S_MAX: Final = 30.0
OPERATOR: Final = "operator"
REVIEW_DAYS: Final = 90
REVIEW_NS: Final = REVIEW_DAYS * DAY_NS
REVIEW_REASON: Final = f"the demonstration's operator reviews after {REVIEW_DAYS} days"


CHANNEL: Final = "channel"
STOP: Final = "stop"
FLATTEN: Final = "flatten"


class Door(Protocol):
    """An engine as a run uses it: with its ledger (`Gate`), or without one."""

    engine: Engine

    def submit(self, event: Input, at_ns: int, *, wait_s: float = 0.0) -> Handed:
        """The input is decided."""

    def spend(self, permit: PermitIssued, at_ns: int) -> Handed:
        """The permit is used up."""


class Unrecorded:
    """An engine without a ledger, for runs that only answer what would have been."""

    def __init__(self) -> None:
        self.engine = Engine()

    def submit(self, event: Input, at_ns: int, *, wait_s: float = 0.0) -> Handed:  # noqa: ARG002 (nothing to wait for)
        """The input is decided."""
        step = self.engine.step(event, at_ns)
        return Handed(step, tuple(each for each in step.outputs if type(each) is PermitIssued), (), None)

    def spend(self, permit: PermitIssued, at_ns: int) -> Handed:
        """The permit is used up."""
        return self.submit(Spent(permit.id, permit.epoch), at_ns)


class Host(Protocol):
    """What stands between the passage and the venue."""

    def learn(self, at_ns: int) -> None:
        """The bars that have ended by now are known."""

    def see(self, at_ns: int, quotes: tuple[Quote, ...], *, deciding: bool) -> None:
        """The quotes are known, and whatever waited for them is done."""

    def is_called(self, at_ns: int, /) -> bool:
        """Whether it wants to see the open although nothing is wished."""

    def ask(self, at_ns: int, intent: Intent) -> None:
        """The intent is answered and what it may do is done."""

    def stop_of(self, symbol: str) -> float:
        """The price of the stop that rests at the venue; NaN where none does."""

    def stop_out(self, at_ns: int, symbol: str, price: float) -> None:
        """The stop was filled at that price."""

    def close(self) -> None:
        """The bar is over: floors and the like are noted."""


def filled(
    diary: Diary,
    venue: PaperVenue,
    market: Market,
    at_ns: int,
    order: PaperOrder,
    why: str,
    stop: float,
    price: float = nan,
) -> PaperFill:
    """The order was executed, at ``price`` instead of the quote where one is given, and noted."""
    fill = venue.execute_at(order, price) if price == price else venue.execute(order)
    if fill.filled_steps:
        quantity = order.side * market.instrument.quantity(fill.filled_steps)
        left = market.instrument.quantity(venue.position(order.symbol))
        diary.fills.append((at_ns, order.symbol, quantity, fill.price))
        diary.deals.append(Deal(at_ns, order.symbol, quantity, fill.price, fill.fees, left, why, stop))
        if left == 0.0:
            diary.stops.append((at_ns, order.symbol, nan))
    return fill


class Ungated:
    """No gate: every intent becomes an order at the market, as large as it asks, and the last one's stop is the stop."""

    def __init__(self, tape: Tape, venue: PaperVenue, diary: Diary) -> None:
        self._tape = tape
        self._venue = venue
        self._diary = diary
        self._stops: dict[str, float] = {}

    def learn(self, at_ns: int) -> None:
        """Nothing is learnt."""

    def see(self, at_ns: int, quotes: tuple[Quote, ...], *, deciding: bool) -> None:
        """Nothing watches."""

    def is_called(self, _at_ns: int, /) -> bool:
        """Never."""
        return False

    def ask(self, at_ns: int, intent: Intent) -> None:
        """The intent is sent."""
        market = self._tape.markets[intent.symbol]
        steps = market.instrument.steps_down(intent.quantity)
        order = PaperOrder(intent.symbol, intent.side, steps, reduce_only=intent.reduce_only)
        why = CHANNEL if intent.reduce_only else ENTRY
        fill = filled(self._diary, self._venue, market, at_ns, order, why, intent.stop_price)
        if fill.filled_steps and not intent.reduce_only:
            self._stops[intent.symbol] = intent.stop_price
            self._diary.stops.append((at_ns, intent.symbol, intent.stop_price))

    def stop_of(self, symbol: str) -> float:
        """The stop price of the last order that opened; NaN where there was none."""
        return self._stops.get(symbol, nan)

    def stop_out(self, at_ns: int, symbol: str, price: float) -> None:
        """The whole position is closed."""
        position = self._venue.position(symbol)
        order = PaperOrder(symbol, -1 if position > 0 else 1, abs(position), reduce_only=True)
        filled(self._diary, self._venue, self._tape.markets[symbol], at_ns, order, STOP, nan, price)

    def close(self) -> None:
        """There is no floor."""


class Gated:
    """An engine before the venue; whatever it permits is carried out, and it is told of it."""

    def __init__(self, tape: Tape, venue: PaperVenue, diary: Diary, gate: Door, plan: Plan) -> None:
        assert plan.policy is not None, "a gated run has a policy"
        self.gate = gate
        self._plan = plan
        self._tape = tape
        self._venue = venue
        self._diary = diary
        self._policy = plan.policy
        self._waiting: dict[int, PermitIssued] = {}
        self._resting: dict[int, PermitIssued] = {}
        self._mover: dict[str, str] = {}
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
            AccountOpened(
                self._plan.name,
                AccountKind.PAPER,
                self._policy.leaves["account", "currency"].text,
                BALANCE,
                stops_at_venue=True,
            ),
        )
        for market in self._tape.markets.values():
            self._submit(start_ns, InstrumentSet(market.instrument))
        self._publish(start_ns)
        self._submit(start_ns, day_calendar("risk-day", ZONE, CLOCK, *span))
        self._submit(start_ns, week_calendar("week", ZONE, CLOCK, "Sun", *span))
        if self._plan.windows is not None:
            for symbol in self._tape.markets:
                self._submit(start_ns, self._plan.windows.of(symbol, *span))
        self._submit(start_ns, ClockChecked())
        limits = self.engine.state.account_limits()
        self._floors = [code for code in LOSS_TRIGGERS if is_on(limits, code)]
        self._diary.floors = {code: array("d") for code in self._floors}

    def _publish(self, at_ns: int) -> None:
        """The policy is published anew, and will be when half its validity is over: what it says stays the same."""
        published = self._policy.publish(at_ns).compile(at_ns)
        self._renewal_ns = at_ns + (published.valid_until_ns - at_ns) // 2
        self._submit(at_ns, published)

    def learn(self, at_ns: int) -> None:
        """
        The bars of what is held that have ended by now are told, one by one, and the market state after them.

        Rules that are asked on a bar are asked here; what they want closed leaves at once.
        """
        if self._plan.built_in:
            for index in tuple(self.engine.state.open_rows):
                self._tell_market(at_ns, self.engine.state.names.symbols[index], bars=True)

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

    def _tell_market(self, at_ns: int, symbol: str, *, bars: bool = False) -> None:
        """The engine knows the symbol's market state after the last bar that has ended by now; with ``bars`` them, too."""
        market = self._tape.markets[symbol]
        ended = bisect_left(market.bars.ts_ns, at_ns)
        if self._known[symbol] == ended:
            return
        if bars:
            for index in range(self._known[symbol], ended):
                self._submit(at_ns, market.closed(index))
        self._known[symbol] = ended
        self._submit(at_ns, market.state(ended))

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

    def ask(self, at_ns: int, intent: Intent) -> None:
        """The intent is decided, and its permits are carried out."""
        self._submit(at_ns, intent)

    def stop_of(self, symbol: str) -> float:
        """The trigger price of the stop that rests; NaN where none does."""
        return next((each.trigger_price for each in self._resting.values() if each.symbol == symbol), nan)

    def stop_out(self, at_ns: int, symbol: str, price: float) -> None:
        """The stop that rests is filled, and the engine told."""
        permit = next(each for each in self._resting.values() if each.symbol == symbol)
        del self._resting[permit.id]
        mover = self._mover.get(symbol)
        self._execute(at_ns, permit, f"{mover} {STOP}" if mover else STOP, price)

    def close(self) -> None:
        """Every floor is noted as it is now."""
        state = self.engine.state
        limits = state.account_limits()
        for code in self._floors:
            self._diary.floors[code].append(floor_of(state, code, limits)[1])

    def _send_waiting(self, at_ns: int, symbols: set[str]) -> None:
        for permit in [*self._waiting.values()]:
            if permit.symbol in symbols and permit.id in self._waiting:
                del self._waiting[permit.id]
                self._carry_out(at_ns, permit)

    def _submit(self, at_ns: int, event: Input) -> None:
        self._follow(at_ns, self.gate.submit(event, at_ns, wait_s=DURABLE_S_MAX))

    def _follow(self, at_ns: int, handed: Handed) -> None:
        """What the step came to is noted and carried out."""
        if handed.step.outputs:
            self._note(handed.step)
        if handed.waiting:
            raise handed.problem or TimeoutError("the ledger did not take a step in time: is the disk busy?")
        for permit in handed.permits:
            row = self.engine.state.permits.get(permit.id)
            if row is None or row.state != PermitState.ISSUED:  # what came before it in this list made it void
                continue
            if permit.trigger_price == permit.trigger_price:
                self._rest(at_ns, permit)
            elif self._executing:
                self._carry_out(at_ns, permit)
            else:
                self._waiting[permit.id] = permit

    def _rest(self, at_ns: int, permit: PermitIssued) -> None:
        """The stop rests at the venue, and the engine knows that it does."""
        self._follow(at_ns, self.gate.spend(permit, at_ns))
        self._resting[permit.id] = permit
        self._diary.stops.append((at_ns, permit.symbol, permit.trigger_price))
        self._submit(at_ns, Executed(permit.id, PermitState.WORKING, 0, 0.0, 0.0, at_ns))

    def _cancel(self, at_ns: int, numbers: tuple[int, ...]) -> None:
        """Stops that rest do so no more, and the engine knows it."""
        for number in numbers:
            if self._resting.pop(number, None) is not None:
                self._submit(at_ns, Executed(number, PermitState.CANCELLED, 0, 0.0, 0.0, at_ns, benign=True))

    def _note_move(self, at_ns: int, proposed: ExitProposed) -> None:
        self._diary.moves.append((at_ns, proposed.symbol, proposed.rung))
        if proposed.stop_price == proposed.stop_price:
            self._mover[proposed.symbol] = proposed.rung

    def _carry_out(self, at_ns: int, permit: PermitIssued) -> None:
        self._follow(at_ns, self.gate.spend(permit, at_ns))
        self._execute(at_ns, permit, _purpose(permit))

    def _execute(self, at_ns: int, permit: PermitIssued, why: str, price: float = nan) -> None:
        limit = permit.limit_price if permit.limit_price == permit.limit_price else None
        order = PaperOrder(permit.symbol, permit.side, permit.steps, limit, permit.reduce_only)
        market = self._tape.markets[permit.symbol]
        fill = filled(self._diary, self._venue, market, at_ns, order, why, permit.stop_price, price)
        if not self._venue.position(permit.symbol):
            self._mover.pop(permit.symbol, None)
        result = Executed(permit.id, fill.state, fill.filled_steps, fill.filled_value, fill.fees, at_ns, reason=fill.reason)
        self._submit(at_ns, result)

    def _note(self, step: Step) -> None:
        for output in step.outputs:
            if isinstance(output, Decision) and output.source not in ALWAYS:
                self._diary.decisions.append((step.at_ns, output))
            elif isinstance(output, LockChanged):
                self._diary.locks.append((step.at_ns, output))
                self._await_operator(step.at_ns, output)
            elif isinstance(output, PermitRevoked):
                self._waiting.pop(output.permit, None)
            elif isinstance(output, CancelOrders):
                self._cancel(step.at_ns, output.permits)
            elif isinstance(output, ExitProposed):
                self._note_move(step.at_ns, output)
            elif isinstance(output, FlattenGoal) and output.active and output.attempts == 0:
                self._diary.flattenings.append((step.at_ns, output.symbol, output.code, self._venue.equity))

    def _await_operator(self, at_ns: int, lock: LockChanged) -> None:
        name = (lock.scope, lock.scope_key, lock.code)
        if lock.until_ns == OPERATOR_NS:
            self._for_operator.setdefault(name, at_ns)
        else:
            self._for_operator.pop(name, None)


def _purpose(permit: PermitIssued) -> str:
    """What an order is for, by what its permit serves."""
    if not permit.reduce_only:
        return ENTRY
    if permit.goal.startswith(EXIT_NAME):
        return permit.goal.rpartition(":")[2]
    return FLATTEN if permit.source in ALWAYS else CHANNEL


class Passage:
    """One run over the tape."""

    def __init__(self, tape: Tape, venue: PaperVenue, diary: Diary, host: Host, plan: Plan) -> None:
        self.venue = venue
        self.host = host
        self.diary = diary
        self._plan = plan
        self._tape = tape
        self._wishes: dict[str, Wish] = {}
        self._over: set[str] = set()

    def run(self) -> Iterator[Moment]:
        """Every moment, after it has passed."""
        for number, moment in enumerate(self._tape.moments):
            self._open(moment)
            self._stop_out(moment)
            self._close(moment)
            self._wishes.update(self._tape.wishes.get(number, ()))
            if not self._plan.built_in:
                self._over.update(self._tape.run_ends.get(number, ()))
            yield moment
        self.diary.fees = self.venue.fees_micros / 1e6

    def _open(self, moment: Moment) -> None:
        quotes = []
        for symbol, index in moment.bars:
            bid, ask = self._tape.markets[symbol].open_quote(index)
            self.venue.quote(symbol, bid, ask)
            quotes.append(Quote(symbol, bid, ask, (bid + ask) / 2.0, moment.open_ns))
        self.host.learn(moment.open_ns)
        due = [
            symbol
            for symbol, _ in moment.bars
            if (symbol in self._wishes or symbol in self._over) and self._tape.markets[symbol].is_open(moment.open_ns)
        ]
        if due or self.host.is_called(moment.open_ns):
            self.host.see(moment.open_ns, tuple(quotes), deciding=True)
        for symbol in due:
            if symbol in self._over:
                self._over.discard(symbol)
                self._leave(moment.open_ns, symbol)
            if symbol in self._wishes:
                self._enter(moment.open_ns, symbol, self._wishes.pop(symbol))

    def _enter(self, at_ns: int, symbol: str, wish: Wish) -> None:
        """What is wished is asked for, as large as present equity makes it."""
        instrument = self._tape.markets[symbol].instrument
        price = self.venue.ask(symbol) if wish.side > 0 else self.venue.bid(symbol)
        steps = instrument.steps_down(wish.notional_equity_mult * self.venue.equity / price)
        if steps > 0:
            stop = price * (1.0 - wish.side * wish.stop_frac)
            self.diary.intents += 1
            self._ask(at_ns, symbol, self._plan.parties.opener, wish.side, steps, stop)

    def _leave(self, at_ns: int, symbol: str) -> None:
        """Whatever is held is to be closed."""
        position = self.venue.position(symbol)
        if position:
            self._ask(at_ns, symbol, self._plan.parties.closer, -1 if position > 0 else 1, abs(position), nan)

    def _ask(self, at_ns: int, symbol: str, source: str, side: int, steps: int, stop: float) -> None:
        """The intent is sent: one that opens has a stop."""
        opens = stop == stop
        intent = Intent(
            f"{symbol}-{at_ns}-{'open' if opens else 'close'}",
            source,
            self._plan.parties.strategy,
            symbol,
            side,
            quantity=self._tape.markets[symbol].instrument.quantity(steps),
            stop_price=stop,
            reduce_only=not opens,
            partial=Partial.SCALE if opens else Partial.REFUSE,
            created_at_ns=at_ns,
        )
        self.host.ask(at_ns, intent)

    def _stop_out(self, moment: Moment) -> None:
        """Positions whose stop lies within the bar are closed at it, or at the open where that is beyond it."""
        for symbol, index in moment.bars:
            position = self.venue.position(symbol)
            stop = self.host.stop_of(symbol)
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
                self.host.stop_out(moment.open_ns + MILLISECOND_NS, symbol, price)

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
        self.diary.at_ns.append(moment.close_ns)
        self.diary.equity.append(self.venue.equity)
