"""
The way out that needs no engine: what the venue says is held is closed at the venue's own word.

It reads positions afresh, cancels orders that would open, and sends reduce-only market orders for what is held, until
nothing is. Such an order can only shrink a position, so that sending one too many is harmless. It needs no permit, no
policy and no ledger, and is for an operator: when the engine is away, and when everything else is dead.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec

from interlock.adapters.venue import OrderReport, OrdersReport, PositionsReport, VenueOrder, VenueRejected, VenueUnreachable
from interlock.core.constants import NS_PER_S_FLOAT
from interlock.core.messages import PositionAt
from interlock.service.clock import Clock
from interlock.service.execution.budget import WEIGHT_CANCEL, WEIGHT_OPEN_ORDERS, WEIGHT_ORDER, WEIGHT_POSITIONS
from interlock.service.execution.line import Line


class DirectClose(msgspec.Struct, frozen=True):
    """
    What came of closing past the engine.

    `left` and `resting` are the positions and the orders to be gone as last read, None where the venue could not be read.
    """

    left: PositionsReport | None
    resting: tuple[OrderReport, ...] | None
    problems: tuple[str, ...]

    @property
    def flat(self) -> bool:
        """Whether the venue has said that nothing is held and nothing rests that has to be gone."""
        return self.left is not None and not self.left.positions and self.resting == ()


@dataclass(frozen=True, slots=True)
class Manner:
    """
    How it is closed.

    `name` makes the name of the next order, `ends` says which orders have to be gone, `say` takes what is done and what
    goes wrong, as sentences.
    """

    name: Callable[[], str]
    ends: Callable[[OrderReport], bool]
    say: Callable[[str], None]


class _Attempt:
    """One close, round after round."""

    def __init__(self, line: Line, manner: Manner, symbol: str | None) -> None:
        self._line = line
        self._manner = manner
        self._symbol = symbol
        self._left: PositionsReport | None = None
        self._resting: tuple[OrderReport, ...] | None = None
        self._problems: dict[str, None] = {}

    @property
    def result(self) -> DirectClose:
        """What has come of it so far."""
        return DirectClose(self._left, self._resting, tuple(self._problems))

    async def look(self) -> None:
        """Positions and orders are as the venue says now, None where it says nothing."""
        async with asyncio.TaskGroup() as tasks:
            positions = tasks.create_task(self._read_positions())
            orders = tasks.create_task(self._read_orders())
        self._left, self._resting = positions.result(), orders.result()

    async def act(self) -> None:
        """
        What was found has been asked to end, all at once: one that hangs holds up none.

        An order that reduces (a stop) stays until its position is known to be gone.
        """
        held = None if self._left is None else {position.symbol for position in self._left.positions}
        async with asyncio.TaskGroup() as tasks:
            for position in () if self._left is None else self._left.positions:
                tasks.create_task(self._close(position))
            for order in self._resting or ():
                if not order.reduce_only or (held is not None and order.symbol not in held):
                    tasks.create_task(self._cancel(order))

    async def _close(self, position: PositionAt) -> None:
        self._manner.say(f"closing {position.symbol}: {position.steps} steps")
        side = -1 if position.steps > 0 else 1
        order = VenueOrder(self._manner.name(), position.symbol, side, abs(position.steps), reduce_only=True)
        await self._try(self._line.venue.place(order), WEIGHT_ORDER, 1, f"closing {position.symbol}")

    async def _cancel(self, order: OrderReport) -> None:
        what = f"cancelling {order.symbol}: {side_word(order.side)} {order.steps - order.filled_steps} steps"
        self._manner.say(what)
        await self._try(self._line.venue.cancel(order.symbol, order.client_id), WEIGHT_CANCEL, 0, what)

    async def _try(self, call: Coroutine[Any, Any, object], weight: int, orders: int, what: str) -> None:
        try:
            await self._line.act(call, weight, orders)
        except VenueRejected as error:
            if not error.benign:
                self._note(f"{what}: the venue says no: {error.reason}")
        except VenueUnreachable as error:
            self._note(f"{what}: {error}")

    def _note(self, problem: str) -> None:
        self._problems[problem] = None
        self._manner.say(problem)

    async def _read_positions(self) -> PositionsReport | None:
        try:
            report: PositionsReport = await self._line.ask(self._line.venue.positions(), WEIGHT_POSITIONS)
        except VenueUnreachable as error:
            self._note(f"reading positions: {error}")
            return None
        held = tuple(each for each in report.positions if each.steps and self._symbol in (None, each.symbol))
        return PositionsReport(held, report.at_ns)

    async def _read_orders(self) -> tuple[OrderReport, ...] | None:
        try:
            report: OrdersReport = await self._line.ask(self._line.venue.open_orders(), WEIGHT_OPEN_ORDERS)
        except VenueUnreachable as error:
            self._note(f"reading open orders: {error}")
            return None
        return tuple(each for each in report.orders if self._manner.ends(each) and self._symbol in (None, each.symbol))


async def close_directly(
    line: Line, clock: Clock, manner: Manner, symbol: str | None = None, *, timeout_s: float = 30.0
) -> DirectClose:
    """
    The symbol, or with None the account, is flat at the venue, or what is left is told when the time is over.

    A round that has begun when it is over is ended.
    """
    attempt = _Attempt(line, manner, symbol)
    until_ns = clock.mono_ns() + timeout_s * NS_PER_S_FLOAT
    pause_s = line.patience.retry_first_s
    await attempt.look()
    while not attempt.result.flat and clock.mono_ns() < until_ns:
        await attempt.act()
        await attempt.look()
        if not attempt.result.flat:
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, line.patience.answer_s)
    return attempt.result


def side_word(side: int) -> str:
    """The side of an order, for people."""
    return "buy" if side > 0 else "sell"
