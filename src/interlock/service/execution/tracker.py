"""
Orders at the venue, followed until they are over.

What the venue's stream says is passed on as it comes; what it does not say is asked. An order of which nothing was heard
is UNKNOWN until the venue knows it, or until it is proven that it never arrived: long enough after it was sent, the venue
knows no order of that name, and a fresh reading of open orders and of fills holds none. A cancellation is repeated until
the venue confirms that the order is over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from math import isfinite
from typing import Any, Final

from interlock.adapters.venue import OrderReport, VenueRejected, VenueUnreachable
from interlock.core.codes import PermitState
from interlock.core.constants import MAX_STEPS, NS_PER_S, NS_PER_S_FLOAT
from interlock.core.messages import Executed, Message, VenueError
from interlock.core.permit import ENDED
from interlock.service.clock import Clock
from interlock.service.execution.budget import WEIGHT_CANCEL, WEIGHT_FILLS, WEIGHT_OPEN_ORDERS, WEIGHT_QUERY
from interlock.service.execution.line import Line
from interlock.service.execution.orderids import OrderIds
from interlock.service.execution.orders import Flight, result_of, says_the_same

CLOCKS_DIFFER_NS: Final = 60 * NS_PER_S
"""Fills are asked for from so long before an order was sent: the venue's clock is not ours."""

ENDED_KEPT: Final = 1024
"""Orders remembered after their end, so that what the venue repeats is not told again."""

Spawn = Callable[[Coroutine[Any, Any, None]], object]
"""Starts a task of the executor's group."""


class Tracker:
    """All orders in flight of one account; use it from one event loop."""

    def __init__(
        self,
        line: Line,
        ids: OrderIds,
        clock: Clock,
        tell: Callable[[Message], None],
        finish: Callable[[int], Awaitable[None]],
        spawn: Spawn,
    ) -> None:
        self._line = line
        self._ids = ids
        self._clock = clock
        self._tell = tell
        self._finish = finish
        self._spawn = spawn
        self._flights: dict[int, Flight] = {}
        self._ended: dict[int, Flight] = {}
        self._cancelling: set[int] = set()

    def __contains__(self, permit: int) -> bool:
        """Whether the permit's order is in flight or was until lately."""
        return permit in self._flights or permit in self._ended

    @property
    def flights(self) -> tuple[Flight, ...]:
        """Orders that are not known to be over."""
        return tuple(self._flights.values())

    def closing_steps(self, symbol: str) -> int:
        """Steps that closes under way may still take off the position; orders that rest do not count."""
        closes = (
            each for each in self._flights.values() if each.symbol == symbol and each.reduce_only and not each.resting
        )
        return sum(each.open_steps for each in closes)

    def begin(self, flight: Flight) -> None:
        """The order is in flight: what the venue says of it finds it."""
        self._flights[flight.permit] = flight
        self._ended.pop(flight.permit, None)

    def heard(self, report: OrderReport) -> None:
        """
        What the venue says of one of our orders is told, once; an order without a permit of ours is nobody's here.

        Of an order that is over only more fills are news, unless it was believed never to have arrived.
        """
        permit = self._ids.permit_in(report.client_id)
        if permit is None:
            return
        if not 0 <= report.filled_steps <= MAX_STEPS:
            self._tell(VenueError(f"order {report.client_id} is told to have filled {report.filled_steps} steps", True))
            return
        flight = self._flights.get(permit) or self._ended.get(permit)
        if flight is None or (flight.absent and report.state not in ENDED):
            flight = self._found(permit, report)
        result = result_of(report, permit, flight.steps)
        if says_the_same(flight.told, result) or (flight.over and _filled(result) <= _filled(flight.told)):
            return
        flight.told = result
        self._tell(result)
        if result.state in ENDED:
            self._end(flight)

    def lost(self, flight: Flight, error: VenueUnreachable) -> None:
        """The order's fate is told to be unknown, and that the venue failed us."""
        self._tell(VenueError(f"order {flight.client_id}: {error}", flight.reduce_only))
        self.unknown(flight, str(error))

    def unknown(self, flight: Flight, reason: str) -> None:
        """The order's fate is told to be unknown."""
        told = flight.told
        filled, value, fees = (0, 0.0, 0.0) if told is None else (told.filled_steps, told.filled_value, told.fees)
        now_ns = self._clock.wall_ns()
        flight.told = Executed(flight.permit, PermitState.UNKNOWN, filled, value, fees, now_ns, reason=reason)
        self._tell(flight.told)

    def refused(self, flight: Flight, reason: str, *, benign: bool) -> None:
        """The order is over with nothing filled, as told."""
        now_ns = self._clock.wall_ns()
        flight.told = Executed(flight.permit, PermitState.REJECTED, 0, 0.0, 0.0, now_ns, benign, reason)
        self._tell(flight.told)
        self._end(flight)

    async def follow(self, flight: Flight) -> None:
        """The order is over, told, and finished in the spent-set."""
        pause_s = self._line.patience.retry_first_s
        while not flight.over:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s(flight, pause_s)):
                    await flight.woken.wait()
            flight.woken.clear()
            await self._look(flight)
            pause_s = min(2.0 * pause_s, self._line.patience.retry_last_s)
        await self._finish(flight.permit)

    async def ask_after(self, flight: Flight) -> None:
        """
        The venue's word on the order is told, or its proven absence; nothing where neither is to be had yet.

        Raises:
            VenueUnreachable: the venue did not say.
        """
        waited_s = (self._clock.mono_ns() - flight.since_ns) / NS_PER_S_FLOAT
        patience = self._line.patience
        call = self._line.venue.order(flight.symbol, flight.client_id)
        report = await self._line.ask(call, WEIGHT_QUERY)
        if report is None and waited_s > patience.answer_s + patience.arrival_s:
            report = await self._find(flight.client_id, flight.spent_ns)
            if report is None and not flight.over:
                flight.absent = True
                self.refused(flight, "it never arrived at the venue", benign=True)
        if report is not None:
            self.heard(report)

    async def cancel(self, permit: int) -> None:
        """The venue has confirmed that the permit's order is over; a failure is told, and it is tried again."""
        if permit in self._cancelling:
            return
        self._cancelling.add(permit)
        pause_s = self._line.patience.retry_first_s
        while not await self._is_cancelled(permit):
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, self._line.patience.answer_s)
        self._cancelling.discard(permit)

    async def listen(self) -> None:
        """The venue has been closed; until then what its stream says is told, and the stream is found again when lost."""
        pause_s = self._line.patience.retry_first_s
        while True:
            try:
                async with aclosing(self._line.reports()) as reports:
                    async for report in reports:
                        pause_s = self._line.patience.retry_first_s
                        self.heard(report)
            except VenueUnreachable as error:
                self._tell(VenueError(f"the stream of orders: {error}"))
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, self._line.patience.answer_s)
            for flight in self._flights.values():
                flight.woken.set()

    async def _look(self, flight: Flight) -> None:
        if flight.over:
            return
        try:
            await self.ask_after(flight)
        except VenueUnreachable as error:
            self._tell(VenueError(f"asking after order {flight.client_id}: {error}", flight.reduce_only))

    def _pause_s(self, flight: Flight, pause_s: float) -> float:
        """A working order that rests is asked after rarely: the stream tells of it."""
        working = flight.told is not None and flight.told.state == PermitState.WORKING
        return self._line.patience.retry_last_s if flight.resting and working else pause_s

    def _end(self, flight: Flight) -> None:
        flight.over = True
        flight.woken.set()
        self._flights.pop(flight.permit, None)
        self._ended[flight.permit] = flight
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]

    def _found(self, permit: int, report: OrderReport) -> Flight:
        """
        An order that was believed over, or never was known here, as a flight of its own.

        One that is alive is followed; where it would open nobody reserves anything for it, so it is cancelled.
        """
        resting = isfinite(report.trigger_price) or (report.reduce_only and isfinite(report.limit_price))
        flight = Flight(
            permit,
            report.client_id,
            report.symbol,
            report.side,
            report.steps,
            report.reduce_only,
            resting,
            report.at_ns,
            self._clock.mono_ns(),
        )
        if report.state not in ENDED:
            self.begin(flight)
            self._spawn(self.follow(flight))
            if not report.reduce_only:
                self._spawn(self.cancel(permit))
        return flight

    async def _find(self, client_id: str, sent_ns: int) -> OrderReport | None:
        """The order among all that are open now or have filled since, read afresh."""
        venue = self._line.venue
        working = await self._line.ask(venue.open_orders(), WEIGHT_OPEN_ORDERS)
        filled = await self._line.ask(venue.fills_since(sent_ns - CLOCKS_DIFFER_NS), WEIGHT_FILLS)
        return next((each for each in (*filled, *working.orders) if each.client_id == client_id), None)

    async def _resting_symbol(self, client_id: str) -> str | None:
        """Where an order that is not in flight here rests; None where it does not."""
        working = await self._line.ask(self._line.venue.open_orders(), WEIGHT_OPEN_ORDERS)
        return next((each.symbol for each in working.orders if each.client_id == client_id), None)

    async def _is_cancelled(self, permit: int) -> bool:
        """Whether the order is over as far as the venue has confirmed; asks for it once."""
        client_id = self._ids.of(permit)
        if permit in self._ended:
            return True
        flight = self._flights.get(permit)
        try:
            symbol = flight.symbol if flight is not None else await self._resting_symbol(client_id)
            if symbol is None:
                return True
            await self._cancel_once(symbol, client_id)
        except (VenueRejected, VenueUnreachable) as error:
            self._tell(VenueError(f"cancelling order {client_id}: {error}", reducing=True))
        return permit in self._ended

    async def _cancel_once(self, symbol: str, client_id: str) -> None:
        """The order is asked to end. An order that could not be cancelled because it is over already is no failure."""
        refusal: VenueRejected | None = None
        try:
            report = await self._line.act(self._line.venue.cancel(symbol, client_id), WEIGHT_CANCEL)
        except VenueRejected as error:
            refusal = error
            report = await self._line.ask(self._line.venue.order(symbol, client_id), WEIGHT_QUERY)
        if report is not None:
            self.heard(report)
        if refusal is not None and (report is None or report.state not in ENDED):
            raise refusal


def _filled(result: Executed | None) -> int:
    return -1 if result is None else result.filled_steps
