"""
The paper venue once more, slowly: orders in a list, money as one sum of cash flows in exact fractions.

It knows no average cost, no database and no ticks. Written from what the docstrings of the venue say.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

ZERO = Fraction(0)
ENDED = ("FILLED", "CANCELLED")


class Refused(Exception):
    """The venue says no."""


@dataclass
class Wish:
    """An order as it is sent; prices in account currency per base unit, None where there is none."""

    name: str
    symbol: str
    side: int
    steps: int
    limit: Fraction | None = None
    trigger: Fraction | None = None
    reduce_only: bool = False
    immediate: bool = True


@dataclass
class Held:
    """An order as it is held; `fills` are its steps and prices in turn."""

    wish: Wish
    state: str = "WORKING"
    triggered: bool = False
    fills: list[tuple[int, Fraction]] = field(default_factory=list)

    @property
    def filled(self) -> int:
        return sum(steps for steps, _ in self.fills)

    @property
    def left(self) -> int:
        return self.wish.steps - self.filled


@dataclass
class Traded:
    """One symbol's step (base units), last prices and leverage."""

    step: Fraction
    least: Fraction
    bid: Fraction = ZERO
    ask: Fraction = ZERO
    mark: Fraction = ZERO
    leverage: int = 20


class Model:
    """One account."""

    def __init__(self, balance: int, fee_bps: int, symbols: dict[str, Traded]) -> None:
        self.cash = Fraction(balance)
        self.fees = ZERO
        self.fee = Fraction(fee_bps, 10_000)
        self.symbols = symbols
        self.orders: list[Held] = []

    def position(self, symbol: str) -> int:
        return sum(each.wish.side * each.filled for each in self.orders if each.wish.symbol == symbol)

    @property
    def equity(self) -> Fraction:
        held = ((self.position(symbol), each) for symbol, each in self.symbols.items())
        return self.cash + sum((steps * each.step * each.mark for steps, each in held), ZERO)

    def place(self, wish: Wish) -> None:
        s = self.symbols[wish.symbol]
        if any(each.wish.name == wish.name and each.state not in ENDED for each in self.orders) or not s.bid:
            raise Refused
        if wish.trigger is not None and wish.side * (s.mark - wish.trigger) >= 0:
            raise Refused
        if wish.reduce_only and not self.opposite(wish):
            raise Refused
        order = Held(wish)
        adds = self.adds(order)
        if adds and wish.steps * s.step * self.expected(wish) < s.least:
            raise Refused
        if adds and self.margin(s, adds, self.expected(wish)) > self.free():
            raise Refused
        self.orders.append(order)
        if wish.trigger is None:
            touch = s.ask if wish.side > 0 else s.bid
            if wish.limit is None or wish.side * (wish.limit - touch) >= 0:
                self.fill(order, touch)
            if (wish.immediate or wish.limit is None) and order.state not in ENDED:
                order.state = "CANCELLED"
            self.drop_idle(wish.symbol)

    def cancel(self, name: str) -> None:
        for each in self.orders:
            if each.wish.name == name and each.state not in ENDED:
                each.state = "CANCELLED"

    def quote(self, symbol: str, prices: tuple[Fraction, Fraction, Fraction, Fraction, Fraction]) -> None:
        bid, ask, mark, high, low = prices
        s = self.symbols[symbol]
        s.bid, s.ask, s.mark = bid, ask, mark
        for each in self.working(symbol):
            w = each.wish
            if w.trigger is not None and (high >= w.trigger if w.side > 0 else low <= w.trigger):
                each.triggered = True
                then = w.trigger + (ask - mark) if w.side > 0 else w.trigger - (mark - bid)
                self.fill(each, max(then, ask) if w.side > 0 else min(then, bid))
        self.drop_idle(symbol)
        for each in self.working(symbol):
            w = each.wish
            if w.limit is not None and (low + (ask - mark) <= w.limit if w.side > 0 else high - (mark - bid) >= w.limit):
                self.fill(each, w.limit)
        self.drop_idle(symbol)

    def set_leverage(self, symbol: str, leverage: int) -> None:
        if self.position(symbol) and leverage != self.symbols[symbol].leverage:
            raise Refused
        self.symbols[symbol].leverage = leverage

    def working(self, symbol: str) -> list[Held]:
        return [each for each in self.orders if each.wish.symbol == symbol and each.state not in ENDED]

    def opposite(self, wish: Wish) -> int:
        return max(-wish.side * self.position(wish.symbol), 0)

    def adds(self, order: Held) -> int:
        return 0 if order.wish.reduce_only else max(order.left - self.opposite(order.wish), 0)

    def expected(self, wish: Wish) -> Fraction:
        s = self.symbols[wish.symbol]
        return next(price for price in (wish.limit, wish.trigger, s.ask if wish.side > 0 else s.bid) if price is not None)

    def margin(self, s: Traded, steps: int, price: Fraction) -> Fraction:
        return Fraction(ceil(steps * s.step * price / s.leverage * 10**6), 10**6)

    def free(self) -> Fraction:
        positions = (self.margin(s, abs(self.position(symbol)), s.mark) for symbol, s in self.symbols.items())
        working = [(self.symbols[symbol], each) for symbol in self.symbols for each in self.working(symbol)]
        orders = (self.margin(s, self.adds(each), self.expected(each.wish)) for s, each in working)
        return self.equity - sum(positions, ZERO) - sum(orders, ZERO)

    def fill(self, order: Held, price: Fraction) -> None:
        """All of it that may fill does."""
        w = order.wish
        steps = min(order.left, self.opposite(w)) if w.reduce_only else order.left
        if not steps:
            order.state = "CANCELLED"
            return
        value = steps * self.symbols[w.symbol].step * price
        fee = Fraction(ceil(value * self.fee * 10**6), 10**6)
        self.cash -= w.side * value + fee
        self.fees += fee
        order.fills.append((steps, price))
        order.state = "PARTIAL" if order.left else "FILLED"

    def drop_idle(self, symbol: str) -> None:
        for each in self.working(symbol):
            waits = each.wish.trigger is not None and not each.triggered
            if each.wish.reduce_only and not waits and not self.opposite(each.wish):
                each.state = "CANCELLED"
