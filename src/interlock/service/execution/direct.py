"""
The way out that needs no engine: what the venue says is held is closed at the venue's own word.

It reads positions afresh, cancels our orders that would open, and sends reduce-only market orders for what is held, until
nothing is. Such an order can only shrink a position, so that sending one too many is harmless. It needs no permit, no
policy and no ledger, and is for an operator: when the engine is away, and when everything else is dead.
"""

import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any, Final

import msgspec

from interlock.adapters.venue import OrderReport, OrdersReport, PositionsReport, VenueOrder, VenueRejected, VenueUnreachable
from interlock.core.constants import NS_PER_S_FLOAT
from interlock.core.messages import PositionAt
from interlock.service.clock import Clock
from interlock.service.execution.budget import WEIGHT_CANCEL, WEIGHT_OPEN_ORDERS, WEIGHT_ORDER, WEIGHT_POSITIONS
from interlock.service.execution.line import Line
from interlock.service.execution.orderids import OrderIds

_COUNT: Final = count()


class DirectClose(msgspec.Struct, frozen=True):
    """
    What came of closing past the engine.

    `left` and `resting` are the positions and our opening orders as last read, None where the venue could not be read.
    """

    by: str
    left: PositionsReport | None
    resting: tuple[OrderReport, ...] | None
    problems: tuple[str, ...]

    @property
    def flat(self) -> bool:
        """Whether the venue has said that nothing is held and nothing of ours can open."""
        return self.left is not None and not self.left.positions and self.resting == ()


class _Attempt:
    """One close, round after round."""

    def __init__(self, line: Line, ids: OrderIds, clock: Clock, symbol: str | None) -> None:
        self._line = line
        self._ids = ids
        self._clock = clock
        self._symbol = symbol
        self.left: PositionsReport | None = None
        self.resting: tuple[OrderReport, ...] | None = None
        self.problems: dict[str, None] = {}

    async def look(self) -> None:
        """Positions and our opening orders are as the venue says now, None where it says nothing."""
        async with asyncio.TaskGroup() as tasks:
            positions = tasks.create_task(self._read_positions())
            orders = tasks.create_task(self._read_orders())
        self.left, self.resting = positions.result(), orders.result()

    async def act(self) -> None:
        """What was found has been asked to end, all at once: one that hangs holds up none."""
        async with asyncio.TaskGroup() as tasks:
            for position in () if self.left is None else self.left.positions:
                tasks.create_task(self._close(position))
            for order in self.resting or ():
                call = self._line.venue.cancel(order.symbol, order.client_id)
                tasks.create_task(self._try(call, WEIGHT_CANCEL, 0, f"cancelling {order.client_id}"))

    async def _close(self, position: PositionAt) -> None:
        name = self._ids.direct(self._clock.wall_ns(), next(_COUNT))
        side = -1 if position.steps > 0 else 1
        order = VenueOrder(name, position.symbol, side, abs(position.steps), reduce_only=True)
        await self._try(self._line.venue.place(order), WEIGHT_ORDER, 1, f"closing {position.symbol}")

    async def _try(self, call: Coroutine[Any, Any, object], weight: int, orders: int, what: str) -> None:
        try:
            await self._line.act(call, weight, orders)
        except (VenueRejected, VenueUnreachable) as error:
            self.problems[f"{what}: {error}"] = None

    async def _read_positions(self) -> PositionsReport | None:
        try:
            report: PositionsReport = await self._line.ask(self._line.venue.positions(), WEIGHT_POSITIONS)
        except VenueUnreachable as error:
            self.problems[f"reading positions: {error}"] = None
            return None
        held = tuple(each for each in report.positions if each.steps and self._symbol in (None, each.symbol))
        return PositionsReport(held, report.at_ns)

    async def _read_orders(self) -> tuple[OrderReport, ...] | None:
        try:
            report: OrdersReport = await self._line.ask(self._line.venue.open_orders(), WEIGHT_OPEN_ORDERS)
        except VenueUnreachable as error:
            self.problems[f"reading open orders: {error}"] = None
            return None
        return tuple(
            each
            for each in report.orders
            if self._ids.is_ours(each.client_id) and not each.reduce_only and self._symbol in (None, each.symbol)
        )


async def close_directly(
    line: Line, ids: OrderIds, clock: Clock, symbol: str | None, by: str, *, timeout_s: float = 30.0
) -> DirectClose:
    """
    The symbol, or with None the account, is flat at the venue, or what is left is told when the time is over.

    Args:
        line: to the venue.
        ids: the names of the account's orders.
        clock: names orders and ends the attempt.
        symbol: what to close.
        by: who closes.
        timeout_s: how long it is tried; a round that has begun is ended.
    """
    attempt = _Attempt(line, ids, clock, symbol)
    began_ns = clock.mono_ns()
    pause_s = line.patience.retry_first_s
    await attempt.look()
    while not (result := _result(attempt, by)).flat and (clock.mono_ns() - began_ns) / NS_PER_S_FLOAT < timeout_s:
        await attempt.act()
        await attempt.look()
        if not _result(attempt, by).flat:
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, line.patience.answer_s)
    return result


def _result(attempt: _Attempt, by: str) -> DirectClose:
    return DirectClose(by, attempt.left, attempt.resting, tuple(attempt.problems))
