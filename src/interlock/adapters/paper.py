"""
The venue of a back-test: it fills at the bid and the ask it was last told, and keeps the account's books.

It is the truth that an engine is reconciled with, so it shares no bookkeeping with it. All money is whole millionths
of the account's currency and all prices are whole ticks; only what leaves it is a float.

What it does not model: depth (an order fills whole at its price, or not at all), latency, financing overnight and
margin calls (equity may become negative; whoever drives it decides what that means).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR

from interlock.adapters.paper_book import Book, InstrumentUnusable, PaperBooks, to_micros
from interlock.core.codes import PermitState
from interlock.core.constants import MICROS
from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt

__all__ = ["InstrumentUnusable", "PaperFill", "PaperOrder", "PaperVenue"]


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


class PaperVenue:
    """One account at a venue that fills marketable orders at once."""

    def __init__(self, balance: float, instruments: Iterable[Instrument], *, fee_bps: float = 0.0) -> None:
        self._account = PaperBooks(to_micros(balance), instruments, fee_bps=fee_bps)
        self._books = self._account.books

    @property
    def fees_micros(self) -> int:
        """All fees paid so far, in millionths."""
        return self._account.fees

    @property
    def balance_micros(self) -> int:
        """Cash after all closed profit and loss and all fees, in millionths."""
        return self._account.balance

    @property
    def equity_micros(self) -> int:
        """The balance plus what every position would bring if it were closed at its bid or ask, in millionths."""
        return self._account.equity_at_exit

    @property
    def balance(self) -> float:
        """The balance in account currency."""
        return self.balance_micros / MICROS

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
        return book.price(book.touch(-1))

    def ask(self, symbol: str) -> float:
        """The best price to buy at, in the quote last told."""
        book = self._books[symbol]
        return book.price(book.touch(1))

    def positions(self) -> tuple[PositionAt, ...]:
        """Every position that is not flat."""
        return tuple(PositionAt(symbol, book.position, book.entry) for symbol, book in self._books.items() if book.position)

    def quote(self, symbol: str, bid: float, ask: float) -> None:
        """
        Orders fill at this quote from now on: the bid rounded down to a tick, the ask up.

        Raises:
            ValueError: it is crossed, or not two finite prices above one tick.
        """
        self._books[symbol].quote(bid, ask)

    def execute(self, order: PaperOrder) -> PaperFill:
        """
        The order was filled whole at the present quote, or ended without a fill.

        A reduce-only order is cut to the opposite position and rejected where there is none. A limit that the quote is
        beyond ends CANCELLED: nothing rests here.
        """
        book = self._books[order.symbol]
        steps = order.steps
        if order.reduce_only:
            steps = min(steps, book.reducible(order.side))
        if steps <= 0:
            return PaperFill(PermitState.REJECTED, reason="reduce-only, and nothing is held on that side")
        if not book.quoted:
            return PaperFill(PermitState.REJECTED, reason="no quote yet")
        ticks = book.touch(order.side)
        if order.limit_price is not None and (book.price(ticks) - order.limit_price) * order.side > 0.0:
            return PaperFill(PermitState.CANCELLED, reason="the market is beyond the limit price")
        return self._fill(book, order.side, steps, ticks)

    def execute_at(self, order: PaperOrder, price: float) -> PaperFill:
        """The same at a price of the past bar instead of the present quote, rounded to a tick against the order."""
        book = self._books[order.symbol]
        kept = book.quote_ticks
        ticks = book.ticks(price, ROUND_CEILING if order.side > 0 else ROUND_FLOOR)
        book.quote_ticks = ticks, ticks
        try:
            return self.execute(order)
        finally:
            book.quote_ticks = kept

    def _fill(self, book: Book, side: int, steps: int, ticks: int) -> PaperFill:
        booked = self._account.fill(book, side, steps, ticks)
        return PaperFill(PermitState.FILLED, steps, book.price(ticks), booked.value / MICROS, booked.fees / MICROS)
