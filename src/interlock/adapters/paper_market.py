"""
How orders live at the paper venue: accepted or refused, resting, met by quotes, filled, over.

Pure and synchronous: time comes in, chance is a function of the seed, and nothing is stored here. What it models: fills
at the bid and the ask, resting limits filled at their own price, stops that trigger on the mark, fills in part, margin
at the symbol's leverage, and the refusals of a real venue. What it does not: depth, queues, funding, liquidation (equity
may become negative), sessions (it trades whenever there is a quote).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from hashlib import blake2b
from math import inf, nan
from typing import Final

import msgspec

from interlock.adapters.paper_book import Book, InstrumentUnusable, PaperBooks, to_micros
from interlock.adapters.venue import OrderReport, VenueOrder, VenueRejected
from interlock.core.codes import PermitState
from interlock.core.constants import MAX_STEPS, MICROS
from interlock.core.instrument import Instrument
from interlock.core.messages import Quote

OPEN: Final = (PermitState.WORKING, PermitState.PARTIAL)
CLIENT_ID_CHARS_MAX: Final = 36
LEVERAGE_AT_FIRST: Final = 20.0
"""What a symbol's margin leverage is before anybody sets it, where the instrument allows so much; as venues have it."""

TICK_TOLERANCE: Final = Decimal("1e-6")
"""A price this close to a tick, in ticks, is on it: what is further away was not rounded."""

CUT: Final = "reduce-only: nothing is left to reduce"
AT_ONCE: Final = "what does not fill at once is cancelled"
BY_OWNER: Final = "cancelled by its owner"
BENIGN: Final = (CUT, BY_OWNER)
"""Ends of an order that say nothing about anybody's health."""

_CHANCE_BITS: Final = 32


class PaperTerms(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a paper account was opened with; `balance` in `currency`, `fee_bps` of what is traded.

    A share `partial_frac` of fills is cut to a part, chosen by `seed` and thus the same in every run. Every call takes
    `latency_s` to arrive.
    """

    account: str
    currency: str
    balance: float
    environment: str
    fee_bps: float
    latency_s: float
    partial_frac: float
    seed: int
    instruments: tuple[Instrument, ...]

    def books(self) -> PaperBooks:
        """
        The account as it was opened, without a quote.

        Raises:
            InstrumentUnusable: exact books cannot be kept for one of the instruments.
        """
        for each in self.instruments:
            if each.quote_currency != self.currency:
                found = f"{each.symbol} is quoted in {each.quote_currency} and the account is in {self.currency}"
                raise InstrumentUnusable(f"{found}: open it in {each.quote_currency}, or leave the symbol out")
        return PaperBooks(to_micros(self.balance), self.instruments, fee_bps=self.fee_bps)


@dataclass(slots=True)
class Order:
    """One order as the venue holds it; prices in ticks, amounts cumulative in steps and micros, instants in UTC ns."""

    number: int
    client_id: str
    symbol: str
    side: int
    steps: int
    limit_ticks: int | None
    trigger_ticks: int | None
    reduce_only: bool
    at_ns: int
    state: PermitState = PermitState.WORKING
    triggered: bool = False
    fills: int = 0
    filled: int = 0
    value: int = 0
    fees: int = 0
    filled_ns: int = 0
    reason: str = ""

    @property
    def remaining(self) -> int:
        """Steps that have not filled."""
        return self.steps - self.filled

    def report(self, book: Book) -> OrderReport:
        """The order as the venue tells it."""
        return OrderReport(
            client_id=self.client_id,
            symbol=self.symbol,
            side=self.side,
            steps=self.steps,
            state=self.state,
            filled_steps=self.filled,
            filled_value=self.value / MICROS,
            fees=self.fees / MICROS,
            at_ns=self.at_ns,
            reduce_only=self.reduce_only,
            trigger_price=nan if self.trigger_ticks is None else book.price(self.trigger_ticks),
            limit_price=nan if self.limit_ticks is None else book.price(self.limit_ticks),
            reason=self.reason,
            benign=self.reason in BENIGN,
        )


class PaperMarket:
    """
    One account's books and open orders; `changed` holds every order that changed since whoever stores them emptied it.

    A call that raises `VenueRejected` has changed nothing.
    """

    def __init__(self, terms: PaperTerms) -> None:
        self.terms = terms
        self.account = terms.books()
        self.books = self.account.books
        self.open: dict[int, Order] = {}
        self.leverages = {each.symbol: min(LEVERAGE_AT_FIRST, each.bracket_leverage) for each in terms.instruments}
        self.last_number = 0
        self.changed: dict[int, Order] = {}

    def place(self, wanted: VenueOrder, at_ns: int) -> Order:
        """The order was accepted, and what of it could fill at once has filled."""
        _refuse_malformed(wanted)
        if any(order.client_id == wanted.client_id for order in self.open.values()):
            raise VenueRejected(f"an open order is named {wanted.client_id!r} already")
        book = self.book(wanted.symbol)
        if not book.quoted:
            raise VenueRejected(f"{wanted.symbol} has no quote yet")
        order = Order(
            number=self.last_number + 1,
            client_id=wanted.client_id,
            symbol=wanted.symbol,
            side=wanted.side,
            steps=wanted.steps,
            limit_ticks=_on_tick(book, wanted.limit_price),
            trigger_ticks=_on_tick(book, wanted.trigger_price),
            reduce_only=wanted.reduce_only,
            at_ns=at_ns,
        )
        self._refuse_unfit(order, book)
        self.last_number = order.number
        self._note(order, at_ns)
        if order.trigger_ticks is None:
            self._meet_at_once(order, book, immediate=wanted.immediate or order.limit_ticks is None)
        return order

    def cancel(self, order: Order, at_ns: int) -> None:
        """The open order fills no more."""
        self._end(order, at_ns, BY_OWNER)

    def quote(self, quote: Quote, at_ns: int) -> None:
        """
        The symbol trades at this quote, and every open order of it has met it: first stops, then limits.

        A quote that is unknown, crossed or without a mark is no price to trade at: the one before stays.
        """
        book = self.books.get(quote.symbol)
        if book is None or not 0.0 < quote.mark < inf:
            return
        try:
            book.quote(quote.bid, quote.ask)
        except ValueError:
            return
        book.mark = book.ticks(quote.mark, ROUND_HALF_EVEN)
        self._meet_stops(book, quote, at_ns)
        self._meet_limits(book, quote, at_ns)

    def set_leverage(self, symbol: str, leverage: float) -> None:
        """Margin of the symbol is its notional over this from now on."""
        book = self.book(symbol)
        if leverage == self.leverages[symbol]:
            return
        if not 1.0 <= leverage <= book.instrument.bracket_leverage or leverage == inf:
            raise VenueRejected(
                f"{symbol}: leverage {leverage!r} is not between 1 and {book.instrument.bracket_leverage:g}"
            )
        if book.position:
            raise VenueRejected(f"{symbol}: leverage stays as it is while a position is open")
        self.leverages[symbol] = leverage

    def book(self, symbol: str) -> Book:
        """
        The symbol's book.

        Raises:
            VenueRejected: there is no such symbol here.
        """
        book = self.books.get(symbol)
        if book is None:
            raise VenueRejected(f"{symbol!r} is not traded here")
        return book

    # ------------------------------------------------------------ acceptance

    def _refuse_unfit(self, order: Order, book: Book) -> None:
        if order.trigger_ticks is not None and _reached(order, book.mark):
            raise VenueRejected("the stop would trigger at once: the mark is beyond it")
        if order.reduce_only and not book.reducible(order.side):
            raise VenueRejected(CUT, benign=True)
        opening = _opening_steps(order, book)
        price = _price_of(order, book)
        if opening and book.value(order.steps, price) < to_micros(book.instrument.min_notional):
            raise VenueRejected(f"less than the least notional of {book.instrument.min_notional:g}")
        if opening and self._margin(book, opening, price) > self._available():
            raise VenueRejected(f"insufficient margin at leverage {self.leverages[order.symbol]:g}")

    def _available(self) -> int:
        """Micros of equity that no position and no open order needs as margin."""
        held = sum(self._margin(book, abs(book.position), book.mark) for book in self.books.values())
        asked = 0
        for order in self.open.values():
            book = self.books[order.symbol]
            asked += self._margin(book, _opening_steps(order, book), _price_of(order, book))
        return self.account.equity_at_mark - held - asked

    def _margin(self, book: Book, steps: int, ticks: int) -> int:
        """Micros of margin that so many steps need, rounded up."""
        return -(-book.value(steps, ticks) * MICROS // to_micros(self.leverages[book.instrument.symbol]))

    # ------------------------------------------------------------ matching

    def _meet_at_once(self, order: Order, book: Book, *, immediate: bool) -> None:
        ticks = book.touch(order.side)
        if order.limit_ticks is None or (ticks - order.limit_ticks) * order.side <= 0:
            self._fill(order, book, ticks, order.at_ns)
        if immediate and order.state in OPEN:
            self._end(order, order.at_ns, AT_ONCE)
        self._drop_idle(book, order.at_ns)

    def _meet_stops(self, book: Book, quote: Quote, at_ns: int) -> None:
        high, low = _extremes(book, quote)
        for order in self._resting(book):
            if order.trigger_ticks is None:
                continue
            if order.triggered:
                self._fill(order, book, book.touch(order.side), at_ns)
            elif _reached(order, high if order.side > 0 else low):
                order.triggered = True
                self._fill(order, book, _stopped_at(order.trigger_ticks, order.side, book), at_ns)
        self._drop_idle(book, at_ns)

    def _meet_limits(self, book: Book, quote: Quote, at_ns: int) -> None:
        high, low = _extremes(book, quote)
        for order in self._resting(book):
            if order.limit_ticks is None:
                continue
            away = high if order.side < 0 else low
            touched = book.touch(order.side) + away - book.mark
            if (touched - order.limit_ticks) * order.side <= 0:
                self._fill(order, book, order.limit_ticks, at_ns)
        self._drop_idle(book, at_ns)

    def _resting(self, book: Book) -> Iterator[Order]:
        """The symbol's open orders, oldest first, each as it stands when its turn comes."""
        for order in list(self.open.values()):
            if order.symbol == book.instrument.symbol and order.state in OPEN:
                yield order

    def _fill(self, order: Order, book: Book, ticks: int, at_ns: int) -> None:
        """The order has filled at the price, as far as it may, whole or in part."""
        room = min(order.remaining, book.reducible(order.side)) if order.reduce_only else order.remaining
        if not room:
            self._end(order, at_ns, CUT)
            return
        steps = self._part(order, room)
        booked = self.account.fill(book, order.side, steps, ticks)
        order.fills += 1
        order.filled += steps
        order.value += booked.value
        order.fees += booked.fees
        order.filled_ns = at_ns
        order.state = PermitState.PARTIAL if order.remaining else PermitState.FILLED
        self._note(order, at_ns)

    def _part(self, order: Order, room: int) -> int:
        """How much of it fills now: all, or what chance leaves of it."""
        if room == 1 or not self.terms.partial_frac:
            return room
        drawn = blake2b(f"{self.terms.seed}/{order.number}/{order.fills}".encode(), digest_size=8).digest()
        cut, share = int.from_bytes(drawn[:4]), int.from_bytes(drawn[4:])
        if cut >= self.terms.partial_frac * (1 << _CHANCE_BITS):
            return room
        return 1 + ((room - 1) * share >> _CHANCE_BITS)

    def _drop_idle(self, book: Book, at_ns: int) -> None:
        """No reduce-only order works with nothing to reduce, but for stops that still wait for their trigger."""
        for order in self._resting(book):
            waits = order.trigger_ticks is not None and not order.triggered
            if order.reduce_only and not waits and not book.reducible(order.side):
                self._end(order, at_ns, CUT)

    def _end(self, order: Order, at_ns: int, reason: str) -> None:
        order.state, order.reason = PermitState.CANCELLED, reason
        self._note(order, at_ns)

    def _note(self, order: Order, at_ns: int) -> None:
        """The change will be stored, and the order is among the open ones exactly if it is."""
        order.at_ns = at_ns
        self.changed[order.number] = order
        if order.state in OPEN:
            self.open[order.number] = order
        else:
            self.open.pop(order.number, None)


def _refuse_malformed(wanted: VenueOrder) -> None:
    if not 1 <= len(wanted.client_id) <= CLIENT_ID_CHARS_MAX:
        raise VenueRejected(f"a client id has 1 to {CLIENT_ID_CHARS_MAX} characters, found {len(wanted.client_id)}")
    if wanted.side not in (1, -1):
        raise VenueRejected(f"a side is 1 or -1, found {wanted.side}")
    if not 1 <= wanted.steps <= MAX_STEPS:
        raise VenueRejected(f"an order has 1 to {MAX_STEPS} steps, found {wanted.steps}")
    if _is_told(wanted.trigger_price) and (wanted.immediate or _is_told(wanted.limit_price)):
        raise VenueRejected("a stop rests and goes to the market: it is not immediate and has no limit price")


def _is_told(price: float) -> bool:
    return price == price


def _on_tick(book: Book, price: float) -> int | None:
    """The price in ticks, None where there is none."""
    if not _is_told(price):
        return None
    if not 0.0 < price < inf:
        raise VenueRejected(f"a price is a number > 0, found {price!r}")
    exact = Decimal(repr(price)) / book.tick
    ticks = int(exact.to_integral_value(ROUND_HALF_EVEN))
    if ticks < 1 or abs(exact - ticks) > TICK_TOLERANCE:
        raise VenueRejected(f"the price {price!r} is not on a tick of {book.tick.normalize():f}")
    return ticks


def _opening_steps(order: Order, book: Book) -> int:
    """Steps by which the order would add to the position or start one."""
    return 0 if order.reduce_only else max(order.remaining - book.reducible(order.side), 0)


def _price_of(order: Order, book: Book) -> int:
    """The price, in ticks, at which the order is expected to fill."""
    if order.limit_ticks is not None:
        return order.limit_ticks
    return book.touch(order.side) if order.trigger_ticks is None else order.trigger_ticks


def _reached(order: Order, mark_ticks: int) -> bool:
    """Whether a stop triggers at the mark: a buy when it rises to it, a sell when it falls to it."""
    return order.trigger_ticks is not None and (mark_ticks - order.trigger_ticks) * order.side >= 0


def _extremes(book: Book, quote: Quote) -> tuple[int, int]:
    """The highest and lowest mark since the quote before, in ticks; the mark itself where they are not told."""
    high = book.ticks(quote.high, ROUND_FLOOR) if 0.0 < quote.high < inf else book.mark
    low = book.ticks(quote.low, ROUND_CEILING) if 0.0 < quote.low < inf else book.mark
    return max(high, book.mark), min(low, book.mark)


def _stopped_at(trigger_ticks: int, side: int, book: Book) -> int:
    """
    The worse of the present touch and the touch when the mark was at the trigger, in ticks.

    A stop that only an extreme reached gains nothing from the recovery after it.
    """
    touch = book.touch(side)
    at_trigger = max(trigger_ticks + touch - book.mark, 1)
    return max(touch, at_trigger) if side > 0 else min(touch, at_trigger)
