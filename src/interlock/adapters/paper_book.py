"""
The books of a paper account: positions at average cost, cash and fees, exact.

All money is whole millionths of the account's currency and all prices are whole ticks; only what leaves is a float.
Here is arithmetic alone: who may trade, when and at which price is decided by whoever keeps the books.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import isfinite
from typing import Final

from interlock.core.constants import MICROS
from interlock.core.errors import InterlockError
from interlock.core.instrument import Instrument

BPS: Final = 10_000
NANO_BPS: Final = 1_000_000_000


class InstrumentUnusable(InterlockError):
    """The paper venue cannot keep exact books for this instrument; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Booked:
    """One fill as booked, in micros: what was traded is worth ``value``, and ``fees`` were paid for it."""

    value: int
    fees: int


class Book:
    """One symbol: its quote in ticks, its position in steps, what the position cost in micros."""

    __slots__ = (
        "_quote_ticks",
        "_told",
        "cost",
        "instrument",
        "mark",
        "micros_per_step_tick",
        "position",
        "quoted",
        "tick",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.tick = Decimal(str(instrument.tick))
        self.micros_per_step_tick = _micros_per_step_tick(instrument)
        self.mark = 0
        self.quoted = False
        self._quote_ticks = 0, 0
        self._told: tuple[float, float] | None = None
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

    def quote(self, bid: float, ask: float) -> None:
        """
        The quote is told; whoever asks for it finds the bid rounded down to a tick, the ask up.

        Raises:
            ValueError: it is crossed, or not two finite prices above one tick.
        """
        symbol = self.instrument.symbol
        if not (0.0 < bid <= ask and isfinite(ask)):
            raise ValueError(f"{symbol}: a quote needs 0 < bid <= ask, found {bid!r} and {ask!r}")
        if bid < self.instrument.tick:
            raise ValueError(f"{symbol}: a bid of {bid!r} is less than one tick of {self.tick}")
        self._told = bid, ask
        self.quoted = True

    @property
    def quote_ticks(self) -> tuple[int, int]:
        """Bid and ask; a back-test tells many more quotes than are asked for, so that is when they are rounded."""
        if self._told is not None:
            bid, ask = self._told
            self.quote_ticks = self.ticks(bid, ROUND_FLOOR), self.ticks(ask, ROUND_CEILING)
        return self._quote_ticks

    @quote_ticks.setter
    def quote_ticks(self, ticks: tuple[int, int]) -> None:
        self._quote_ticks, self._told = ticks, None

    def touch(self, side: int) -> int:
        """Where an order of that side fills now, in ticks."""
        bid, ask = self.quote_ticks
        return ask if side > 0 else bid

    def reducible(self, side: int) -> int:
        """Steps that an order of that side can take off the position."""
        return max(-self.position * side, 0)

    @property
    def exit_ticks(self) -> int:
        """The price at which the position could be closed."""
        return self.touch(-self.position)

    @property
    def entry(self) -> float:
        """The average price of the position, which is not flat."""
        return float(Decimal(self.cost) / (self.position * self.micros_per_step_tick) * self.tick)

    def take(self, side: int, steps: int, ticks: int) -> int:
        """The position holds the fill; returns what it realised, in micros, at average cost."""
        closed = min(steps, self.reducible(side))
        realised = 0
        if closed:
            released = _share(self.cost, closed, abs(self.position))
            realised = -side * self.value(closed, ticks) - released
            self.cost -= released
            self.position += side * closed
        self.position += side * (steps - closed)
        self.cost += side * self.value(steps - closed, ticks)
        return realised


class PaperBooks:
    """One account: a book for each symbol over one balance, in micros."""

    def __init__(self, balance: int, instruments: Iterable[Instrument], *, fee_bps: float) -> None:
        self.books = {instrument.symbol: Book(instrument) for instrument in instruments}
        self.balance = balance
        self.fees = 0
        self._fee_nano_bps = round(fee_bps * NANO_BPS)

    @property
    def equity_at_exit(self) -> int:
        """The balance plus what every position would bring if it were closed at its bid or ask, in micros."""
        return self.balance + sum(
            book.value(book.position, book.exit_ticks) - book.cost for book in self.books.values() if book.position
        )

    @property
    def equity_at_mark(self) -> int:
        """The balance plus the profit or loss of every position at its mark, in micros."""
        return self.balance + sum(
            book.value(book.position, book.mark) - book.cost for book in self.books.values() if book.position
        )

    def fill(self, book: Book, side: int, steps: int, ticks: int) -> Booked:
        """Position, balance and fees hold the fill; the fee is rounded against the account."""
        value = book.value(steps, ticks)
        fees = -(-value * self._fee_nano_bps // (BPS * NANO_BPS))
        self.balance += book.take(side, steps, ticks) - fees
        self.fees += fees
        return Booked(value, fees)


def to_micros(amount: float) -> int:
    """The amount in millionths of its currency, rounded to the nearest."""
    return round(amount * MICROS)


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
