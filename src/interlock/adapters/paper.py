"""
The venue of a back-test: it fills at the bid and the ask it was last told, and keeps the account's books.

It is the truth that an engine is reconciled with, so it shares no bookkeeping with it. All money is whole millionths
of the account's currency and all prices are whole ticks; only what leaves it is a float.

What it does not model: depth (an order fills whole at its price, or not at all), latency, financing overnight and
margin calls (equity may become negative; whoever drives it decides what that means).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import isfinite
from typing import Final

from interlock.core.codes import PermitState
from interlock.core.constants import MICROS
from interlock.core.errors import InterlockError
from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt

BPS: Final = 10_000
NANO_BPS: Final = 1_000_000_000


class InstrumentUnusable(InterlockError):
    """The paper venue cannot keep exact books for this instrument; the message says what to change."""


@dataclass(frozen=True, slots=True)
class PaperOrder:
    """An order as it reaches the venue: ``side`` +1 or -1, and at market where ``limit_price`` is None."""

    symbol: str
    side: int
    steps: int
    limit_price: float | None = None
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class PaperFill:
    """What became of an order: it is FILLED, or CANCELLED or REJECTED with nothing filled, and ``reason`` says why."""

    state: PermitState
    filled_steps: int = 0
    price: float = 0.0
    filled_value: float = 0.0
    fees: float = 0.0
    reason: str = ""


class _Book:
    """One symbol at the venue: its quote in ticks, its position in steps, what the position cost in micros."""

    __slots__ = ("ask", "bid", "cost", "instrument", "micros_per_step_tick", "position", "quoted", "tick")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.tick = Decimal(str(instrument.tick))
        self.micros_per_step_tick = _micros_per_step_tick(instrument)
        self.bid = self.ask = 0
        self.quoted = False
        self.position = 0
        self.cost = 0

    def ticks(self, price: float, rounding: str) -> int:
        """The price as whole ticks."""
        return int((Decimal(repr(price)) / self.tick).to_integral_value(rounding))

    def price(self, ticks: int) -> float:
        """Whole ticks as a price."""
        return float(ticks * self.tick)

    def value(self, steps: int, ticks: int) -> int:
        """Micros that so many steps are worth at the price."""
        return steps * ticks * self.micros_per_step_tick

    @property
    def exit_ticks(self) -> int:
        """The price at which the position could be closed."""
        return self.bid if self.position > 0 else self.ask


class PaperVenue:
    """One account at a venue that fills marketable orders at once."""

    def __init__(self, balance: float, instruments: Iterable[Instrument], *, fee_bps: float = 0.0) -> None:
        self._books = {instrument.symbol: _Book(instrument) for instrument in instruments}
        self._balance = round(balance * MICROS)
        self._fee_nano_bps = round(fee_bps * NANO_BPS)
        self.fees_micros = 0

    @property
    def balance_micros(self) -> int:
        """Cash after all closed profit and loss and all fees, in millionths."""
        return self._balance

    @property
    def equity_micros(self) -> int:
        """The balance plus what every position would bring if it were closed at its bid or ask, in millionths."""
        return self._balance + sum(
            book.value(book.position, book.exit_ticks) - book.cost for book in self._books.values() if book.position
        )

    @property
    def balance(self) -> float:
        """The balance in account currency."""
        return self._balance / MICROS

    @property
    def equity(self) -> float:
        """The equity in account currency."""
        return self.equity_micros / MICROS

    def position(self, symbol: str) -> int:
        """The signed position in steps."""
        return self._books[symbol].position

    def bid(self, symbol: str) -> float:
        """The best price to sell at, in the quote last told."""
        book = self._books[symbol]
        return book.price(book.bid)

    def ask(self, symbol: str) -> float:
        """The best price to buy at, in the quote last told."""
        book = self._books[symbol]
        return book.price(book.ask)

    def positions(self) -> tuple[PositionAt, ...]:
        """Every position that is not flat."""
        return tuple(
            PositionAt(symbol, book.position, _entry(book)) for symbol, book in self._books.items() if book.position
        )

    def quote(self, symbol: str, bid: float, ask: float) -> None:
        """
        Orders fill at this quote from now on: the bid rounded down to a tick, the ask up.

        Raises:
            ValueError: it is crossed, or not two finite prices above one tick.
        """
        book = self._books[symbol]
        if not (0.0 < bid <= ask and isfinite(ask)):
            raise ValueError(f"{symbol}: a quote needs 0 < bid <= ask, found {bid!r} and {ask!r}")
        book.bid, book.ask = book.ticks(bid, ROUND_FLOOR), book.ticks(ask, ROUND_CEILING)
        if book.bid <= 0:
            raise ValueError(f"{symbol}: a bid of {bid!r} is less than one tick of {book.tick}")
        book.quoted = True

    def execute(self, order: PaperOrder) -> PaperFill:
        """
        The order was filled whole at the present quote, or ended without a fill.

        A reduce-only order is cut to the opposite position and rejected where there is none. A limit that the quote is
        beyond ends CANCELLED: nothing rests here.
        """
        book = self._books[order.symbol]
        steps = order.steps
        if order.reduce_only:
            held = -book.position * order.side
            steps = min(steps, max(held, 0))
        if steps <= 0:
            return PaperFill(PermitState.REJECTED, reason="reduce-only, and nothing is held on that side")
        if not book.quoted:
            return PaperFill(PermitState.REJECTED, reason="no quote yet")
        ticks = book.ask if order.side > 0 else book.bid
        if order.limit_price is not None and (book.price(ticks) - order.limit_price) * order.side > 0.0:
            return PaperFill(PermitState.CANCELLED, reason="the market is beyond the limit price")
        return self._fill(book, order.side, steps, ticks)

    def execute_at(self, order: PaperOrder, price: float) -> PaperFill:
        """The same at a price of the past bar instead of the present quote, rounded to a tick against the order."""
        book = self._books[order.symbol]
        kept = book.bid, book.ask
        book.bid = book.ask = book.ticks(price, ROUND_CEILING if order.side > 0 else ROUND_FLOOR)
        try:
            return self.execute(order)
        finally:
            book.bid, book.ask = kept

    def _fill(self, book: _Book, side: int, steps: int, ticks: int) -> PaperFill:
        value = book.value(steps, ticks)
        fees = -(-value * self._fee_nano_bps // (BPS * NANO_BPS))
        self._balance += self._book(book, side, steps, ticks) - fees
        self.fees_micros += fees
        return PaperFill(PermitState.FILLED, steps, book.price(ticks), value / MICROS, fees / MICROS)

    def _book(self, book: _Book, side: int, steps: int, ticks: int) -> int:
        """The position holds the fill; returns what it realised, in micros, at average cost."""
        closed = min(steps, abs(book.position)) if book.position * side < 0 else 0
        realised = 0
        if closed:
            released = _share(book.cost, closed, abs(book.position))
            realised = -side * book.value(closed, ticks) - released
            book.cost -= released
            book.position += side * closed
        book.position += side * (steps - closed)
        book.cost += side * book.value(steps - closed, ticks)
        return realised


def _micros_per_step_tick(instrument: Instrument) -> int:
    """What one step gains when the price rises by one tick, in whole micros."""
    if instrument.inverse:
        raise InstrumentUnusable(f"{instrument.symbol}: the paper venue has no inverse contracts: use a linear one")
    exact = Decimal(str(instrument.step)) * Decimal(str(instrument.tick)) * Decimal(str(instrument.multiplier)) * MICROS
    if exact < 1 or exact != exact.to_integral_value():
        raise InstrumentUnusable(
            f"{instrument.symbol}: one step times one tick is {exact.normalize():f} millionths of the currency, which "
            "must be whole: choose a larger step or tick"
        )
    return int(exact)


def _share(total: int, part: int, whole: int) -> int:
    """``total * part / whole`` rounded towards zero, so that no dust is left when all is closed."""
    sign = -1 if total < 0 else 1
    return sign * (abs(total) * part // whole)


def _entry(book: _Book) -> float:
    """The average price of the position."""
    return float(Decimal(book.cost) / (book.position * book.micros_per_step_tick) * book.tick)
