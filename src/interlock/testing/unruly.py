"""
A venue that misbehaves, around one that does not.

`Unruly` wraps any venue behind the port. Each `Mischief` is done while it is begun, or by chance with the odds it was
given; what the wrapped venue holds stays the truth, so that whoever was lied to can be compared with it. It notes every
order that arrives, when, and what a witness of the test's choice saw at that moment.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from interlock.adapters.venue import (
    AccountReport,
    OrderReport,
    OrdersReport,
    PositionsReport,
    Venue,
    VenueOrder,
    VenueRejected,
    VenueUnreachable,
)
from interlock.core.codes import PermitState
from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt, Quote

T = TypeVar("T")
Told = TypeVar("Told", AccountReport, PositionsReport, OrdersReport)

FACTOR: Final = 10.0
"""How wrong an equity is that is wrong."""


class Mischief(StrEnum):
    """What a venue can do wrong."""

    DOWN = "down"
    """No call arrives."""
    ANSWER_LOST = "answer lost"
    """A call is carried out, and no answer comes back."""
    SLOW = "slow"
    """A call takes `delay_s` to arrive, and its answer as long."""
    HANGS = "hangs"
    """A call does not arrive, and nobody says so, until it ends."""
    ANSWER_HANGS = "answer hangs"
    """A call is carried out, and its answer does not come until it ends."""
    STALE = "stale"
    """Equity, positions and open orders are those told before, stamped as new."""
    POSITIONS_WRONG = "positions wrong"
    """Every position is one step larger than it is."""
    POSITIONS_EMPTY = "positions empty"
    """The account looks flat."""
    ORDERS_MISSING = "orders missing"
    """Reads of open orders leave out every order."""
    ORDER_UNKNOWN = "order unknown"
    """A single order is not found, nor is a fill."""
    EQUITY_ZERO = "equity zero"
    """Equity is 0."""
    EQUITY_TENFOLD = "equity tenfold"
    """Equity is ten times what it is."""
    REPORTS_TWICE = "reports twice"
    """Reports of orders come twice."""
    REPORTS_SWAPPED = "reports swapped"
    """A report comes after the one that follows it."""
    REPORTS_LOST = "reports lost"
    """Reports of orders do not come."""
    STREAMS_DROPPED = "streams dropped"
    """The streams of quotes and reports are lost, and cannot be had again."""
    ORDERS_REJECTED = "orders rejected"
    """Every order is rejected."""
    STOPS_REJECTED = "stops rejected"
    """Every stop is rejected."""
    CANCELS_REJECTED = "cancels rejected"
    """No order can be cancelled."""
    PARTIAL_THEN_SILENT = "partial, then silent"
    """Half of an order fills, and nothing more is heard of the rest until it ends."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An order that has reached the venue, when by the venue's clock, and what the witness saw just before."""

    order: VenueOrder
    at_ns: int
    seen: int


class Unruly:
    """
    The venue behind mischief.

    `odds` are chances per call or report, drawn from `seed`. `begin` and `end` command mischief for as long as it takes.
    `arrivals` holds every order that reached the wrapped venue, in order.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        seed: int = 0,
        odds: Mapping[Mischief, float] = MappingProxyType({}),
        delay_s: float = 0.05,
        witness: Callable[[], int] = lambda: 0,
    ) -> None:
        self.truth = venue
        self.name = venue.name
        self.environment = venue.environment
        self.arrivals: list[Arrival] = []
        self.odds = odds
        self._chance = random.Random(seed)  # noqa: S311 (a seeded history, no secret)
        self._delay_s = delay_s
        self._witness = witness
        self._begun: set[Mischief] = set()
        self._changed = asyncio.Event()
        self._told: dict[type, AccountReport | PositionsReport | OrdersReport] = {}
        self._halved: dict[str, int] = {}

    def begin(self, *mischief: Mischief) -> None:
        """The mischief is done from now on."""
        self._begun.update(mischief)
        self._turn()

    def end(self, *mischief: Mischief) -> None:
        """The mischief is over; all of it, odds included, where none is named."""
        self._begun.difference_update(mischief or tuple(Mischief))
        if not mischief:
            self.odds = {}
        self._turn()

    # ---------------------------------------------------------------- reads

    async def server_time_ns(self) -> int:
        """The venue's clock, UTC epoch."""
        return await self._call(self.truth.server_time_ns)

    async def instruments(self) -> tuple[Instrument, ...]:
        """Everything that can be traded."""
        return await self._call(self.truth.instruments)

    async def account(self) -> AccountReport:
        """Equity and balance, or what is made of them."""
        told = self._old_or_new(await self._call(self.truth.account))
        if self._does(Mischief.EQUITY_ZERO):
            return msgspec.structs.replace(told, equity=0.0)
        if self._does(Mischief.EQUITY_TENFOLD):
            return msgspec.structs.replace(told, equity=told.equity * FACTOR)
        return told

    async def positions(self) -> PositionsReport:
        """All positions, or what is made of them."""
        told = self._old_or_new(await self._call(self.truth.positions))
        if self._does(Mischief.POSITIONS_EMPTY):
            return PositionsReport((), told.at_ns)
        if self._does(Mischief.POSITIONS_WRONG):
            return PositionsReport(tuple(_one_more(position) for position in told.positions), told.at_ns)
        return told

    async def open_orders(self) -> OrdersReport:
        """All open orders, or none of them."""
        told = self._old_or_new(await self._call(self.truth.open_orders))
        if self._does(Mischief.ORDERS_MISSING):
            return OrdersReport((), told.at_ns)
        return OrdersReport(tuple(self._as_told(order) for order in told.orders), told.at_ns)

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        """One order, where the venue admits to it."""
        found = await self._call(lambda: self.truth.order(symbol, client_id))
        return None if found is None or self._does(Mischief.ORDER_UNKNOWN) else self._as_told(found)

    async def fills_since(self, at_ns: int) -> tuple[OrderReport, ...]:
        """Orders with a fill at or after the instant, where the venue admits to them."""
        found = await self._call(lambda: self.truth.fills_since(at_ns))
        return () if self._does(Mischief.ORDER_UNKNOWN) else tuple(self._as_told(order) for order in found)

    async def leverage(self, symbol: str) -> float:
        """Margin leverage of the symbol as the venue has it."""
        return await self._call(lambda: self.truth.leverage(symbol))

    # ---------------------------------------------------------------- acts

    async def place(self, order: VenueOrder) -> OrderReport:
        """The order has arrived, whole or in part, whatever is said about it."""
        return self._as_told(await self._call(lambda: self._arrive(order)))

    async def cancel(self, symbol: str, client_id: str) -> OrderReport | None:
        """The order is over, where the venue cancels anything."""
        over = await self._call(lambda: self._cancel(symbol, client_id))
        return None if over is None else self._as_told(over)

    async def set_leverage(self, symbol: str, leverage: float) -> None:
        """Margin leverage of the symbol from now on."""
        await self._call(lambda: self.truth.set_leverage(symbol, leverage))

    async def close(self) -> None:
        """Connections are closed; orders stay where they are."""
        await self.truth.close()

    # ---------------------------------------------------------------- streams

    async def quotes(self) -> AsyncIterator[tuple[Quote, ...]]:
        """Quotes as they come, while the stream holds."""
        async for quotes in self._stream(self.truth.quotes()):
            yield quotes

    async def reports(self) -> AsyncIterator[OrderReport]:
        """Orders as they change: late, twice or not at all."""
        held: OrderReport | None = None
        async for report in self._stream(self.truth.reports()):
            if self._does(Mischief.REPORTS_LOST) or self._is_silent(report.client_id):
                continue
            if held is None and self._does(Mischief.REPORTS_SWAPPED):
                held = report
                continue
            told = [report] if held is None else [report, held]
            held = None
            for each in told * (2 if self._does(Mischief.REPORTS_TWICE) else 1):
                yield self._as_told(each)

    async def _stream(self, source: AsyncIterator[T]) -> AsyncIterator[T]:
        """What the source gives until it ends or the stream is dropped."""
        while True:
            if self._does(Mischief.STREAMS_DROPPED) or self._does(Mischief.DOWN):
                raise VenueUnreachable("the stream is lost")
            following = asyncio.ensure_future(anext(source))
            turned = asyncio.ensure_future(self._changed.wait())
            try:
                while not following.done():
                    await asyncio.wait({following, turned}, return_when=asyncio.FIRST_COMPLETED)
                    if not following.done() and self._begun & {Mischief.STREAMS_DROPPED, Mischief.DOWN}:
                        raise VenueUnreachable("the stream is lost")
                    if turned.done():
                        turned = asyncio.ensure_future(self._changed.wait())
                try:
                    item = following.result()
                except StopAsyncIteration:
                    return
            finally:
                following.cancel()
                turned.cancel()
            yield item

    # ---------------------------------------------------------------- what goes wrong

    def _turn(self) -> None:
        """Whoever waits for a change looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _does(self, mischief: Mischief) -> bool:
        """Whether it happens now."""
        return mischief in self._begun or self._chance.random() < self.odds.get(mischief, 0.0)

    async def _call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, where the call arrives and the answer comes back."""
        if self._does(Mischief.DOWN):
            raise VenueUnreachable("the venue is down")
        await self._hold(Mischief.HANGS)
        try:
            answer = await ask()
        except VenueRejected:
            await self._way_back()
            raise
        await self._way_back()
        return answer

    async def _way_back(self) -> None:
        await self._hold(Mischief.ANSWER_HANGS)
        if self._does(Mischief.ANSWER_LOST):
            raise VenueUnreachable("the venue's answer was lost")

    async def _hold(self, mischief: Mischief) -> None:
        """The call, or its answer, has taken its time."""
        if self._does(Mischief.SLOW):
            await asyncio.sleep(self._delay_s)
        while mischief in self._begun:
            await self._changed.wait()

    async def _arrive(self, order: VenueOrder) -> OrderReport:
        stop = order.trigger_price == order.trigger_price
        if self._does(Mischief.ORDERS_REJECTED) or (stop and self._does(Mischief.STOPS_REJECTED)):
            raise VenueRejected("the venue takes no such order now")
        if not stop and order.steps > 1 and self._does(Mischief.PARTIAL_THEN_SILENT):
            self._halved[order.client_id] = order.steps
            order = msgspec.structs.replace(order, steps=order.steps // 2)
        self.arrivals.append(Arrival(order, await self.truth.server_time_ns(), self._witness()))
        return await self.truth.place(order)

    async def _cancel(self, symbol: str, client_id: str) -> OrderReport | None:
        if self._does(Mischief.CANCELS_REJECTED):
            raise VenueRejected("the venue cancels nothing now")
        return await self.truth.cancel(symbol, client_id)

    def _old_or_new(self, new: Told) -> Told:
        """What was told before under the new date, where the venue is stale."""
        old = self._told.get(type(new))
        if isinstance(old, type(new)) and self._does(Mischief.STALE):
            return msgspec.structs.replace(old, at_ns=new.at_ns)
        self._told[type(new)] = new
        return new

    def _is_silent(self, client_id: str) -> bool:
        return client_id in self._halved and Mischief.PARTIAL_THEN_SILENT in self._begun

    def _as_told(self, report: OrderReport) -> OrderReport:
        """The report as the venue tells it: an order of which half arrived is open while the venue is silent."""
        steps = self._halved.get(report.client_id)
        if steps is None:
            return report
        state = report.state
        if state == PermitState.FILLED:
            state = PermitState.PARTIAL if self._is_silent(report.client_id) else PermitState.CANCELLED
        return msgspec.structs.replace(report, steps=steps, state=state)


def _one_more(position: PositionAt) -> PositionAt:
    return PositionAt(position.symbol, position.steps + (1 if position.steps > 0 else -1), position.entry)
