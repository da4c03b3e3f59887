"""
The paper venue behind the port: an account that trades on quotes fed from outside and is kept in a file.

The file is the account *at the venue*: it survives the process that uses it, and a second process may open it at the
same time and act. An answer comes after its transaction. All work on the file is done by one thread, so that the event
loop never waits for the disk; a caller who gives up waiting does not know what happened, as at a real venue.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Generic, Self, TypeVar
from weakref import WeakSet

from interlock.adapters.paper_file import PaperFile, PaperUnusable
from interlock.adapters.paper_market import OPEN, PaperMarket, PaperTerms
from interlock.adapters.venue import (
    AccountReport,
    OrderReport,
    OrdersReport,
    PositionsReport,
    VenueOrder,
    VenueUnreachable,
)
from interlock.core.constants import MICROS
from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt, Quote

STREAM_WAITING_MAX: Final = 4096
"""So many items may wait for a subscriber; one that is slower has lost its stream and asks anew."""

T = TypeVar("T")


class PaperExchange:
    """
    One account at the paper venue; implements `adapters.venue.Venue`.

    `create` and `open` touch the disk: call them before the event loop runs, or in a thread. Everything else belongs to
    one event loop.
    """

    name = "paper"

    def __init__(self, file: PaperFile, clock: Callable[[], int]) -> None:
        self.environment = file.terms.environment
        self._file = file
        self._clock = clock
        self._latency_s = file.terms.latency_s
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="paper")
        self._closed = False
        self._told = file.changes
        self._quotes: WeakSet[_Stream[tuple[Quote, ...]]] = WeakSet()
        self._reports: WeakSet[_Stream[OrderReport]] = WeakSet()

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        account: str,
        balance: float,
        currency: str,
        instruments: Iterable[Instrument],
        fee_bps: float,
        environment: str = "testnet",
        latency_s: float = 0.0,
        partial_frac: float = 0.0,
        seed: int = 0,
    ) -> None:
        """
        The file holds a new account with that balance; `open` it.

        Args:
            path: where; its directory exists.
            account: its name, for `open` to ask for.
            balance: in `currency`, in which every instrument is quoted.
            currency: of the account.
            instruments: all that can be traded.
            fee_bps: of the value of each fill.
            environment: what the venue says it is.
            latency_s: how long a call takes to arrive.
            partial_frac: share of fills that are cut to a part.
            seed: chooses which, and how large the part is.

        Raises:
            PaperExists: there is an account already.
            PaperUnusable: the file cannot be written.
            InstrumentUnusable: exact books cannot be kept for an instrument.
        """
        terms = PaperTerms(
            account=account,
            currency=currency,
            balance=balance,
            environment=environment,
            fee_bps=fee_bps,
            latency_s=latency_s,
            partial_frac=partial_frac,
            seed=seed,
            instruments=tuple(instruments),
        )
        PaperFile.create(path, terms)

    @classmethod
    def open(cls, path: Path, account: str | None = None, *, clock: Callable[[], int] = time.time_ns) -> Self:
        """
        The account in the file, of that name where one is given; `clock` tells the venue's time, UTC epoch in ns.

        Raises:
            PaperMissing, PaperDamaged, PaperUnusable: it is not there, is not an account, or cannot be read now.
            PaperOfAnother: it is another account.
        """
        return cls(PaperFile.open(path, account), clock)

    async def feed(self, quotes: tuple[Quote, ...], cursor: int | None = None) -> None:
        """
        The market is at these quotes, orders have met them, subscribers have them; `cursor` is stored with them.

        A quote that is no price (unknown symbol, crossed, without a mark) is passed on but not traded at.
        """

        def met(file: PaperFile) -> None:
            with file.writing() as market:
                for quote in quotes:
                    market.quote(quote, self._clock())
                if cursor is not None:
                    file.cursor = cursor

        await self._do(met, quotes)

    async def cursor(self) -> int:
        """The position last given to `feed`; 0 at first."""

        def read(file: PaperFile) -> int:
            with file.reading():
                return file.cursor

        return await self._do(read)

    async def server_time_ns(self) -> int:
        """The venue's clock, UTC epoch."""
        await self._arrive()
        return self._clock()

    async def instruments(self) -> tuple[Instrument, ...]:
        """Everything that can be traded."""
        await self._arrive()
        return self._file.terms.instruments

    async def account(self) -> AccountReport:
        """Equity at the marks last fed, and balance."""

        def told(market: PaperMarket) -> AccountReport:
            books = market.account
            return AccountReport(
                equity=books.equity_at_mark / MICROS,
                balance=books.balance / MICROS,
                currency=market.terms.currency,
                at_ns=self._clock(),
            )

        return await self._read(told)

    async def positions(self) -> PositionsReport:
        """All positions."""

        def told(market: PaperMarket) -> PositionsReport:
            held = (book for book in market.books.values() if book.position)
            found = tuple(PositionAt(book.instrument.symbol, book.position, book.entry) for book in held)
            return PositionsReport(found, self._clock())

        return await self._read(told)

    async def open_orders(self) -> OrdersReport:
        """All open orders, stops included."""

        def told(market: PaperMarket) -> OrdersReport:
            found = tuple(order.report(market.books[order.symbol]) for order in market.open.values())
            return OrdersReport(found, self._clock())

        return await self._read(told)

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        """The newest order of that name, open or over; None where there is none."""

        def told(file: PaperFile) -> OrderReport | None:
            with file.reading() as market:
                found = file.find(symbol, client_id)
                return found.report(market.books[symbol]) if found is not None else None

        return await self._call(told)

    async def fills_since(self, at_ns: int) -> tuple[OrderReport, ...]:
        """Orders with a fill at or after the instant, as they stand now, oldest first."""

        def told(file: PaperFile) -> tuple[OrderReport, ...]:
            with file.reading() as market:
                return tuple(order.report(market.books[order.symbol]) for order in file.filled_since(at_ns))

        return await self._call(told)

    async def place(self, order: VenueOrder) -> OrderReport:
        """
        The order has arrived, and what of it could fill at once has filled.

        Raises:
            VenueRejected: nothing of it exists: the symbol, size, price or name is wrong, margin is short, a stop would
                trigger at once, or (benign) it is reduce-only and nothing is held on that side.
        """

        def placed(file: PaperFile) -> OrderReport:
            with file.writing() as market:
                return market.place(order, self._clock()).report(market.books[order.symbol])

        return await self._call(placed)

    async def cancel(self, symbol: str, client_id: str) -> OrderReport | None:
        """The order is over, as reported; None where there is none of that name."""

        def cancelled(file: PaperFile) -> OrderReport | None:
            with file.writing() as market:
                found = file.find(symbol, client_id)
                if found is None:
                    return None
                if found.state in OPEN:
                    market.cancel(found, self._clock())
                return found.report(market.books[symbol])

        return await self._call(cancelled)

    async def set_leverage(self, symbol: str, leverage: float) -> None:
        """
        Margin leverage of the symbol from now on.

        Raises:
            VenueRejected: it is more than the symbol has, or a position is open.
        """

        def done(file: PaperFile) -> None:
            with file.writing() as market:
                market.set_leverage(symbol, leverage)

        await self._call(done)

    async def leverage(self, symbol: str) -> float:
        """
        Margin leverage of the symbol.

        Raises:
            VenueRejected: there is no such symbol.
        """

        def told(market: PaperMarket) -> float:
            market.book(symbol)
            return market.leverages[symbol]

        return await self._read(told)

    def quotes(self) -> AsyncIterator[tuple[Quote, ...]]:
        """
        Quotes as they are fed from now on; ends when the venue is closed.

        Raises:
            VenueUnreachable: the subscriber has fallen too far behind.
        """
        return self._subscribed(self._quotes)

    def reports(self) -> AsyncIterator[OrderReport]:
        """
        Orders as they change from now on, whoever changes them; ends and fails as `quotes` does.

        What another process changed is told with the next call or quote here.
        """
        return self._subscribed(self._reports)

    async def close(self) -> None:
        """The file is no longer open here; orders stay where they are."""
        if self._closed:
            return
        self._closed = True
        try:
            await asyncio.get_running_loop().run_in_executor(self._worker, self._file.close)
        finally:
            self._worker.shutdown(wait=False)
            for quotes in self._quotes:
                quotes.end()
            for reports in self._reports:
                reports.end()

    async def _arrive(self) -> None:
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        if self._closed:
            raise VenueUnreachable("the paper venue is closed: open it again")

    async def _read(self, told: Callable[[PaperMarket], T]) -> T:
        def read(file: PaperFile) -> T:
            with file.reading() as market:
                return told(market)

        return await self._call(read)

    async def _call(self, work: Callable[[PaperFile], T]) -> T:
        """What the work returned, after as long as a call takes to arrive."""
        await self._arrive()
        return await self._do(work)

    async def _do(self, work: Callable[[PaperFile], T], quotes: tuple[Quote, ...] = ()) -> T:
        if self._closed:
            raise VenueUnreachable("the paper venue is closed: open it again")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._work, loop, work, quotes)

    def _work(self, loop: asyncio.AbstractEventLoop, work: Callable[[PaperFile], T], quotes: tuple[Quote, ...]) -> T:
        """
        The work is done and subscribers will be told before its caller is; in the worker's thread.

        The worker tells them itself: its caller may have stopped waiting.
        """
        try:
            result = work(self._file)
            reports = self._news()
        except (sqlite3.Error, OSError, PaperUnusable) as error:
            raise VenueUnreachable(f"the paper account cannot be read or written: {error}") from error
        if reports or quotes:
            loop.call_soon_threadsafe(self._tell, quotes, reports)
        return result

    def _news(self) -> list[OrderReport]:
        """Orders that changed since this was last asked, as they stand now."""
        if self._file.changes == self._told:
            return []
        with self._file.reading() as market:
            reports = [order.report(market.books[order.symbol]) for order in self._file.changed_since(self._told)]
            self._told = self._file.changes
        return reports

    def _tell(self, quotes: tuple[Quote, ...], reports: list[OrderReport]) -> None:
        if quotes:
            for stream in self._quotes:
                stream.put(quotes)
        for report in reports:
            for each in self._reports:
                each.put(report)

    def _subscribed(self, streams: "WeakSet[_Stream[T]]") -> "_Stream[T]":
        stream: _Stream[T] = _Stream()
        if self._closed:
            stream.end()
        streams.add(stream)
        return stream


class _Stream(Generic[T]):
    """What waits for one subscriber."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._woken = asyncio.Event()
        self._over = False
        self._lost = False

    def put(self, item: T) -> None:
        if len(self._waiting) == STREAM_WAITING_MAX:
            self._lost = True
            self._waiting.clear()
        elif not self._lost:
            self._waiting.append(item)
        self._woken.set()

    def end(self) -> None:
        self._over = True
        self._woken.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            if self._lost:
                raise VenueUnreachable(f"more than {STREAM_WAITING_MAX} items were waiting: subscribe again and reconcile")
            if self._waiting:
                return self._waiting.popleft()
            if self._over:
                raise StopAsyncIteration
            self._woken.clear()
            await self._woken.wait()
