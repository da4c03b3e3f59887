"""
A venue that keeps the truth: orders, fills, positions and money as they are, whatever the engine has been told.

It knows nothing of guards, locks or permits beyond the number that an order carries. Money is kept by `Book`; what is
here is how orders live. Reduce-only is enforced as venues do it: such an order fills at most the opposite position, and
what is left of it is cancelled when there is none. A stop rests until the mark reaches its trigger and is a market order
from then on; one that would fire at once is rejected.
"""

from dataclasses import dataclass, field
from math import nan

from interlock.core.codes import PermitState
from interlock.core.messages import (
    CashFlow,
    EquityMarked,
    Executed,
    OrderAt,
    OrdersReported,
    PermitIssued,
    PositionsReported,
)
from interlock.testing.book import Book

ALIVE = (PermitState.WORKING, PermitState.PARTIAL)


@dataclass
class Order:
    """One order as the venue sees it; amounts are cumulative."""

    permit: int
    symbol: str
    side: int
    steps: int
    limit_price: float
    reduce_only: bool
    trigger_price: float = nan
    filled: int = 0
    value: float = 0.0
    fees: float = 0.0
    state: PermitState = PermitState.WORKING

    @property
    def alive(self) -> bool:
        """Whether it can still fill."""
        return self.state in ALIVE


@dataclass
class Venue:
    """Orders over a book of positions and money; `placements` counts how often each permit's order arrived."""

    book: Book
    fee_frac: float = 0.0004
    orders: dict[int, Order] = field(default_factory=dict)
    placements: dict[int, int] = field(default_factory=dict)

    def place(self, permit: PermitIssued, *, accept: bool = True) -> Order:
        """The permit's order has arrived and works, or was rejected; a number seen before is the order it was."""
        self.placements[permit.id] = self.placements.get(permit.id, 0) + 1
        known = self.orders.get(permit.id)
        if known is not None:
            return known
        order = Order(
            permit.id,
            permit.symbol,
            permit.side,
            permit.steps,
            permit.limit_price,
            permit.reduce_only,
            permit.trigger_price,
        )
        self.orders[permit.id] = order
        if not accept or (order.reduce_only and self._reducible(order) == 0) or self._is_reached(order):
            order.state = PermitState.REJECTED
        return order

    def trade(self, order: Order, steps: int) -> None:
        """The order has filled up to so many steps more, where its price allows it and it may."""
        price = self._price(order)
        if not order.alive or price != price:
            return
        steps = min(steps, order.steps - order.filled, self._reducible(order) if order.reduce_only else order.steps)
        if steps > 0:
            self._fill(order, steps, price)
        if order.filled == order.steps:
            order.state = PermitState.FILLED
        elif order.reduce_only and self._reducible(order) == 0:
            order.state = PermitState.CANCELLED

    def cancel(self, permit: int) -> None:
        """The order fills no more."""
        order = self.orders.get(permit)
        if order is not None and order.alive:
            order.state = PermitState.CANCELLED

    def fire(self) -> list[Order]:
        """Every resting stop whose trigger the mark has reached has filled what it may; returns those."""
        reached = [order for order in self.orders.values() if order.alive and self._is_reached(order)]
        for order in reached:
            order.trigger_price = nan
            self.trade(order, order.steps)
        return reached

    def trade_by_hand(self, symbol: str, signed_steps: int) -> None:
        """Somebody has traded past the gate, at the mark."""
        side = 1 if signed_steps > 0 else -1
        self.book.fill(symbol, side, abs(signed_steps), self.book.prices[symbol].mark, 0.0)

    def fund(self, amount: float, kind: str, number: int) -> CashFlow:
        """Money has moved; returns the notice of it."""
        self.book.balance += amount
        return CashFlow(kind, amount, id=f"flow-{number}")

    def position(self, symbol: str) -> int:
        """Signed steps held."""
        held = self.book.holdings.get(symbol)
        return held.steps if held is not None else 0

    def result(self, permit: int, at_ns: int) -> Executed:
        """What the venue says of the permit's order; REJECTED where it never arrived."""
        order = self.orders.get(permit)
        if order is None:
            return Executed(permit, PermitState.REJECTED, 0, 0.0, 0.0, at_ns, benign=True, reason="never arrived")
        return Executed(permit, order.state, order.filled, order.value, order.fees, at_ns, benign=order.reduce_only)

    def positions(self, at_ns: int) -> PositionsReported:
        """All positions."""
        return PositionsReported(self.book.positions(), at_ns)

    def working(self, at_ns: int) -> OrdersReported:
        """All open orders."""
        alive = (each for each in self.orders.values() if each.alive)
        told = (OrderAt(o.permit, o.symbol, o.side, o.steps, o.filled, o.reduce_only) for o in alive)
        return OrdersReported(tuple(told), at_ns)

    def equity(self, at_ns: int) -> EquityMarked:
        """Equity and balance."""
        return EquityMarked(self.book.equity, self.book.balance, at_ns)

    def _reducible(self, order: Order) -> int:
        """Steps that the order can take off the position."""
        position = self.position(order.symbol)
        return abs(position) if position * order.side < 0 else 0

    def _is_reached(self, order: Order) -> bool:
        """Whether the mark is at or beyond the stop's trigger."""
        mark = self.book.prices[order.symbol].mark
        return order.side * (mark - order.trigger_price) >= 0.0

    def _price(self, order: Order) -> float:
        """Where the order fills now; NaN where its limit is away from the market."""
        quote = self.book.prices[order.symbol]
        if order.trigger_price == order.trigger_price:
            return nan
        touch = quote.ask if order.side > 0 else quote.bid
        within = order.limit_price != order.limit_price or order.side * (order.limit_price - touch) >= 0.0
        return touch if within else nan

    def _fill(self, order: Order, steps: int, price: float) -> None:
        instrument = self.book.instruments[order.symbol]
        value = instrument.quantity(steps) * instrument.value(price)
        fee = abs(value) * self.fee_frac
        self.book.fill(order.symbol, order.side, steps, price, fee)
        order.filled += steps
        order.value += value
        order.fees += fee
        order.state = PermitState.PARTIAL
