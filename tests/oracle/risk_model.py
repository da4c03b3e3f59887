"""
A slow, obvious model of what risk was taken and what moves together, against which the engine's own counts are held.

It keeps every order, fill and bar that was told, and works each answer out from those lists alone. It knows the
vocabulary of messages and nothing of the engine: what it says follows from the written rules.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, inf, log, nan, sqrt
from typing import Final

from interlock.core.codes import Code, PermitState
from interlock.core.messages import BarClosed, Executed, LockReleased, MarketBatch, PermitIssued, PermitRevoked, Step

OVER: Final = {PermitState.FILLED, PermitState.CANCELLED, PermitState.REJECTED, PermitState.EXPIRED, PermitState.REVOKED}
RETURNS: Final = 128
RETURNS_MIN: Final = 30
DAY_NS: Final = 86_400 * 10**9
NEUTRAL: Final = 0.05
ROUNDING: Final = 1e-9


@dataclass
class Order:
    """One permit: what it may do, and what was heard of it."""

    permit: PermitIssued
    unit: float
    at_risk_per_step: float
    slice_money: float
    fills: list[tuple[int, float, float]] = field(default_factory=list)
    ended: int = 0

    @property
    def filled(self) -> int:
        """Steps that have filled."""
        return sum(steps for steps, *_ in self.fills)

    @property
    def pending(self) -> int:
        """Steps that may still fill."""
        return 0 if self.ended else self.permit.steps - self.filled

    @property
    def slices(self) -> int:
        """Slices of risk that what has filled and may still fill takes."""
        risk = (self.filled + self.pending) * self.at_risk_per_step
        return ceil(risk / self.slice_money - ROUNDING) if risk > 0.0 else 0


@dataclass
class Trade:
    """One position of a strategy, from flat to flat."""

    strategy: str
    won: float
    risk: float

    @property
    def counts(self) -> bool:
        """Whether it was a win or a loss, and not neither."""
        return not -NEUTRAL * self.risk < self.won < NEUTRAL * self.risk and self.won != 0.0


class Account:
    """Everything that was told of one account whose symbols trade in steps of `step` units."""

    def __init__(self, step: float, cost_frac: float, slice_frac: float) -> None:
        self.step = step
        self.cost_frac = cost_frac
        self.slice_frac = slice_frac
        self.orders: dict[int, Order] = {}
        self.order_of_fills: list[tuple[Order, int, float, float]] = []
        self.marks: dict[str, float] = {}
        self.bars: dict[str, dict[int, float]] = {}
        self.date = 0
        self.day = 0
        self.campaign = 0

    # ------------------------------------------------------------ what is told

    def record(self, step: Step, day_open: float, bar_s: float) -> None:
        """The step was recorded; its risk day, which begins at midnight, began with so much equity."""
        event = step.input
        if step.at_ns // DAY_NS != self.date:
            self.date, self.day = step.at_ns // DAY_NS, step.seq
        if isinstance(event, LockReleased) and event.code is Code.DAILY_RISK_QUOTA:
            self.campaign = step.seq
        if isinstance(event, MarketBatch):
            self.marks |= {quote.symbol: quote.mark for quote in event.quotes}
        elif isinstance(event, BarClosed) and event.length_s == bar_s and 0.0 < event.close < inf:
            bars = self.bars.setdefault(event.symbol, {})
            if not bars or event.opened_ns > max(bars):
                bars[event.opened_ns] = event.close
        elif isinstance(event, Executed) and event.permit in self.orders:
            self._executed(self.orders[event.permit], event, step.seq)
        for output in step.outputs:
            if isinstance(output, PermitIssued):
                unit = max(output.limit_price, self.marks[output.symbol]) * self.step
                lost = abs(output.limit_price - output.stop_price) / output.limit_price + self.cost_frac
                unit = 0.0 if output.reduce_only else unit
                risk = 0.0 if output.reduce_only else unit * lost
                self.orders[output.id] = Order(output, unit, risk, self.slice_frac * day_open)
            elif isinstance(output, PermitRevoked):
                self.orders[output.permit].ended = step.seq

    def _executed(self, order: Order, event: Executed, number: int) -> None:
        fresh = event.filled_steps - order.filled
        if fresh > 0:
            value = event.filled_value - sum(steps * self.step * price for steps, price, _ in order.fills)
            fee = event.fees - sum(each for *_, each in order.fills)
            order.fills.append((fresh, value / (fresh * self.step), fee))
            self.order_of_fills.append((order, fresh, value / (fresh * self.step), fee))
        if order.filled == order.permit.steps or event.state in OVER:
            order.ended = order.ended or number

    # ------------------------------------------------------------ budgets

    def _counted(self, since: int) -> list[Order]:
        """Opening orders that were permitted from that step on, or could still fill then, and that come to anything."""
        opening = (order for order in self.orders.values() if not order.permit.reduce_only)
        lived = (order for order in opening if not 0 < order.ended < since)
        return [order for order in lived if order.filled + order.pending > 0]

    def spent(self) -> tuple[int, int, int]:
        """Entries and slices of the risk day, and slices of the campaign."""
        today = self._counted(self.day)
        campaign = self._counted(self.campaign)
        return len(today), sum(order.slices for order in today), sum(order.slices for order in campaign)

    def quota(self, spent: tuple[int, int, int], caps: dict[str, int], day_open: float, stop_frac: float) -> float:
        """The notional that the budgets allow of one more order."""
        entries, slices, campaign = spent
        left = min(caps["order"], caps["day"] - slices, caps["campaign"] - campaign)
        allowed = floor(left) * self.slice_frac * day_open / (stop_frac + self.cost_frac)
        return allowed if entries < caps["entries"] and allowed > 0.0 else 0.0

    # ------------------------------------------------------------ exposure

    def position(self, symbol: str) -> int:
        """Signed steps that are held."""
        return sum(o.permit.side * steps for o, steps, *_ in self.order_of_fills if o.permit.symbol == symbol)

    def exposure(self, symbol: str) -> float:
        """What is held at the mark and reserved at the worst price."""
        reserved = sum(order.pending * order.unit for order in self.orders.values() if order.permit.symbol == symbol)
        return abs(self.position(symbol)) * self.step * self.marks[symbol] + reserved

    def sides(self, symbol: str) -> set[int]:
        """The sides on which something is held or may still be opened."""
        held = self.position(symbol)
        pending = {o.permit.side for o in self.orders.values() if o.unit and o.pending and o.permit.symbol == symbol}
        return pending | ({1} if held > 0 else {-1} if held < 0 else set())

    def owner(self, symbol: str) -> str:
        """The strategy that the symbol belongs to, as long as it holds anything or an order of it may still fill."""
        owner = ""
        here = [order for order in self.orders.values() if order.permit.symbol == symbol]
        if self.position(symbol) or any(not order.ended for order in here):
            owner = next(o.permit.strategy for o in reversed(here) if not o.permit.reduce_only)
        return owner

    # ------------------------------------------------------------ records

    def _parts(self) -> list[tuple[Order, int, float, float]]:
        """Every fill; one that crosses zero as two, the part that closes and the part that opens."""
        parts: list[tuple[Order, int, float, float]] = []
        held: dict[str, int] = {}
        for order, steps, price, fee in self.order_of_fills:
            symbol, side = order.permit.symbol, order.permit.side
            closing = min(steps, max(0, -side * held.get(symbol, 0)))
            parts += [(order, n, price, fee * n / steps) for n in (closing, steps - closing) if n]
            held[symbol] = held.get(symbol, 0) + side * steps
        return parts

    def trades(self) -> list[Trade]:
        """Every closed trade, in the order of their ends."""
        closed: list[Trade] = []
        held: dict[str, list[tuple[Order, int, float, float]]] = {}
        for part in self._parts():
            symbol = part[0].permit.symbol
            held.setdefault(symbol, []).append(part)
            if sum(order.permit.side * steps for order, steps, *_ in held[symbol]) == 0:
                closed.append(self._trade(held.pop(symbol)))
        return closed

    def _trade(self, parts: list[tuple[Order, int, float, float]]) -> Trade:
        first = parts[0][0].permit
        paid = sum(order.permit.side * steps * self.step * price for order, steps, price, _ in parts)
        entries = [part for part in parts if part[0].permit.side == first.side]
        risk = sum(abs(price - order.permit.stop_price) * steps * self.step for order, steps, price, _ in entries)
        return Trade(first.strategy, round(-paid - sum(fee for *_, fee in parts), 6), risk)

    def record_of(self, strategy: str, window: int) -> tuple[int, int, float, float]:
        """Wins, losses, and what they came to, among the strategy's last trades that were either."""
        last = [each.won for each in self.trades() if each.strategy == strategy and each.counts][-window:]
        wins, losses = [each for each in last if each > 0.0], [-each for each in last if each < 0.0]
        return len(wins), len(losses), sum(wins), sum(losses)

    # ------------------------------------------------------------ correlation

    def rho(self, one: str, two: str, decay: float) -> float:
        """The moving correlation around zero of the returns between the bars of which both kept theirs; NaN: unknown."""
        mine, other = (dict(sorted(self.bars.get(each, {}).items())[-RETURNS - 1 :]) for each in (one, two))
        common = sorted(set(mine) & set(other))
        x = [log(mine[b]) - log(mine[a]) for a, b in pairwise(common)]
        y = [log(other[b]) - log(other[a]) for a, b in pairwise(common)]
        if len(x) < RETURNS_MIN:
            return nan
        xx, yy, xy = x[0] ** 2, y[0] ** 2, x[0] * y[0]
        for a, b in zip(x[1:], y[1:], strict=True):
            xx, yy, xy = (decay * old + (1.0 - decay) * new for old, new in ((xx, a * a), (yy, b * b), (xy, a * b)))
        return xy / sqrt(xx * yy) if xx > 0.0 and yy > 0.0 else nan

    def company(self, symbol: str, side: int, limit: float, decay: float) -> tuple[float, float]:
        """The closest signed correlation with what is open elsewhere, and the exposure of all beyond the limit."""
        closest, together = -1.0, self.exposure(symbol)
        for other in self.marks:
            if other == symbol or not self.sides(other):
                continue
            rho = self.rho(symbol, other, decay)
            signed = 1.0 if rho != rho else max(rho * side * each for each in self.sides(other))
            closest = max(closest, signed)
            together += self.exposure(other) if signed > limit else 0.0
        return closest, together


def kelly(record: tuple[int, int, float, float], prior: float, enough: int) -> float:
    """The share of equity at risk that such a record deserves; NaN where there is too little of it."""
    wins, losses, won, lost = record
    if wins + losses < enough or not wins or not losses:
        return nan
    payoff = (won / wins) / (lost / losses)
    chance = (wins + prior / (1.0 + payoff)) / (wins + losses + prior)
    return chance - (1.0 - chance) / payoff
