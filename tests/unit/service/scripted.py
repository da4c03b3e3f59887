"""A venue for tests of the executor: it keeps orders and positions, and misbehaves as the test says."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import msgspec

from interlock.adapters.venue import (
    AccountReport,
    OrderReport,
    OrdersReport,
    PositionsReport,
    VenueOrder,
    VenueRejected,
    VenueUnreachable,
)
from interlock.core.codes import PermitState
from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt, Quote
from interlock.core.permit import ENDED

PRICE = 100.0


@dataclass
class Hang:
    """The call waits until the test opens the gate."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)


class AnswerLost(Exception):
    """The call does what it should, and its answer gets lost."""


Mishap = Exception | Hang


class ScriptedVenue:
    """
    One account; openings fill at once, stops rest.

    `mishaps[call]` holds what befalls the next calls of that name: an exception instead of doing anything, a `Hang` before
    doing it, `AnswerLost` after it, None for nothing. `every[call]` befalls all of them. `rejoinder` is what a placement
    comes to after its hang.
    """

    name = "scripted"
    environment = "testnet"

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.orders: dict[str, OrderReport] = {}
        self.placed: list[VenueOrder] = []
        self.leverages: dict[str, float] = {}
        self.calls: list[str] = []
        self.mishaps: dict[str, deque[Mishap | None]] = defaultdict(deque)
        self.every: dict[str, Mishap] = {}
        self.fills = True
        self.hidden: set[str] = set()
        self.leverage_sticks = False
        self.stream: asyncio.Queue[OrderReport | Exception | None] = asyncio.Queue()
        self.subscribed = 0
        self.rejoinder: Exception | None = None

    async def server_time_ns(self) -> int:
        return 0

    async def instruments(self) -> tuple[Instrument, ...]:
        await self._befall("instruments")
        return tuple(Instrument(symbol, "scripted", "USDT", 0.001, 0.1, 1.0) for symbol in ("BTC", "ETH", "SOL"))

    async def account(self) -> AccountReport:
        return AccountReport(1000.0, 1000.0, "USDT", 0)

    async def positions(self) -> PositionsReport:
        await self._befall("positions")
        held = tuple(PositionAt(symbol, steps, PRICE) for symbol, steps in self.held.items() if steps)
        return PositionsReport(held, 1)

    async def open_orders(self) -> OrdersReport:
        await self._befall("open_orders")
        alive = (each for each in self.orders.values() if each.state not in ENDED and each.client_id not in self.hidden)
        return OrdersReport(tuple(alive), 1)

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        await self._befall("order")
        return None if client_id in self.hidden else self.orders.get(client_id)

    async def fills_since(self, at_ns: int) -> tuple[OrderReport, ...]:
        await self._befall("fills_since")
        return tuple(each for each in self.orders.values() if each.filled_steps and each.at_ns >= at_ns)

    async def place(self, order: VenueOrder) -> OrderReport:
        lost = await self._befall("place")
        if self.rejoinder is not None:
            raise self.rejoinder
        self.placed.append(order)
        if order.client_id in self.orders:
            raise VenueRejected("duplicate name")
        report = self._accept(order)
        if lost:
            raise VenueUnreachable("the answer was lost")
        return report

    async def cancel(self, symbol: str, client_id: str) -> OrderReport | None:
        lost = await self._befall("cancel")
        report = self.orders.get(client_id)
        if report is not None and report.state not in ENDED:
            report = self.change(client_id, state=PermitState.CANCELLED)
        if lost:
            raise VenueUnreachable("the answer was lost")
        return report

    async def set_leverage(self, symbol: str, leverage: float) -> None:
        await self._befall("set_leverage")
        if not self.leverage_sticks:
            self.leverages[symbol] = leverage

    async def leverage(self, symbol: str) -> float:
        await self._befall("leverage")
        return self.leverages.get(symbol, 20.0)

    async def quotes(self) -> AsyncIterator[tuple[Quote, ...]]:
        for _ in range(0):
            yield ()

    async def reports(self) -> AsyncIterator[OrderReport]:
        self.subscribed += 1
        while True:
            item = await self.stream.get()
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    async def close(self) -> None:
        self.stream.put_nowait(None)

    def change(self, name: str, **changes: Any) -> OrderReport:
        """The order has changed as named."""
        self.orders[name] = msgspec.structs.replace(self.orders[name], **changes)
        return self.orders[name]

    def fill(self, client_id: str) -> OrderReport:
        """The order has filled whole."""
        order = self.orders[client_id]
        held = self.held.get(order.symbol, 0)
        steps = min(order.steps, max(-held * order.side, 0)) if order.reduce_only else order.steps
        self.held[order.symbol] = held + order.side * steps
        value = steps * 0.001 * PRICE
        return self.change(client_id, state=PermitState.FILLED, filled_steps=steps, filled_value=value, fees=value / 1e3)

    def _accept(self, order: VenueOrder) -> OrderReport:
        if order.reduce_only and self.held.get(order.symbol, 0) * order.side >= 0:
            raise VenueRejected("reduce-only, and nothing to reduce", benign=True)
        self.orders[order.client_id] = OrderReport(
            order.client_id,
            order.symbol,
            order.side,
            order.steps,
            PermitState.WORKING,
            0,
            0.0,
            0.0,
            2 * 10**18,
            order.reduce_only,
            order.trigger_price,
            order.limit_price,
        )
        if order.immediate and self.fills and not isfinite(order.trigger_price):
            return self.fill(order.client_id)
        return self.orders[order.client_id]

    async def _befall(self, call: str) -> bool:
        """Whether the answer is to get lost, after whatever else befalls the call."""
        self.calls.append(call)
        mishap = self.mishaps[call].popleft() if self.mishaps[call] else self.every.get(call)
        if isinstance(mishap, Hang):
            await mishap.gate.wait()
        elif isinstance(mishap, AnswerLost):
            return True
        elif mishap is not None:
            raise mishap
        return False
