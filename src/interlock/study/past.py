"""
A trading history as what somebody wanted: orders that open and orders that close, in whole numbers.

Whether a fill opened or closed follows from the position that the history itself had. In a file of closed trades each row
is a trade of its own, closed by its own exit; in a file of fills, and where closed trades of one symbol overlap on both
sides, a trade lasts from flat to flat. All quantities are steps, all prices ticks and all money is in units fine enough
that nothing is ever rounded: the history is told to the last digit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import nan
from operator import itemgetter
from typing import Final

from interlock.adapters.history import BUY, DEFAULT_CURRENCY, SELL, ZERO, History, HistoryInvalid, HistoryTrade
from interlock.adapters.problems import Problems
from interlock.core.constants import MAX_STEPS, NS_PER_S
from interlock.core.instrument import Instrument
from interlock.study.plausible import check_currencies, check_profits

ORDER_SPAN_NS: Final = 5 * NS_PER_S
"""Pieces of one order that came within this of its first are one wish; later ones are a new wish."""
PLACES_MIN: Final = 6
ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Contract:
    """A symbol in whole numbers: ``grain`` is what one step gains, in money units, when the price rises by one tick."""

    step: Decimal
    tick: Decimal
    grain: int
    instrument: Instrument

    def price(self, ticks: int) -> float:
        """Whole ticks as a price."""
        return float(ticks * self.tick)

    def ticks(self, price: float) -> int:
        """The price as whole ticks, to the nearest."""
        return round(Decimal(repr(price)) / self.tick)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an order: so many steps at one price for one fee (in money units), of one trade."""

    steps: int
    ticks: int
    fee: int
    trade: int


@dataclass(frozen=True, slots=True)
class Order:
    """What was wanted at once of one symbol, and how it was filled; ``opens`` says that it opened or added."""

    number: int
    line: int
    at_ns: int
    symbol: str
    side: int
    opens: bool
    stop: float
    key: str
    pieces: list[Piece]

    @property
    def steps(self) -> int:
        """All that was wanted."""
        return sum(piece.steps for piece in self.pieces)

    @property
    def worst_ticks(self) -> int:
        """The worst price that was paid or got: what the order was ready to accept."""
        ticks = [piece.ticks for piece in self.pieces]
        return max(ticks) if self.side > 0 else min(ticks)


@dataclass(slots=True)
class PastTrade:
    """One trade of the history: ``steps`` is all that was opened in it, ``closed_ns`` 0 while it never ended."""

    line: int
    symbol: str
    side: int
    opened_ns: int
    closed_ns: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """A history ready to be walked again; ``unit`` money units are one of the account's currency."""

    contracts: dict[str, Contract]
    orders: list[Order]
    trades: list[PastTrade]
    unit: int
    currency: str
    openings_without_stop: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    """A fill of the history, whole: ``row`` is its closed trade's number, -1 where it comes from a file of fills."""

    line: int
    at_ns: int
    symbol: str
    side: int
    quantity: Decimal
    price: Decimal
    cost: Decimal
    stop: Decimal | None
    key: str
    row: int = -1
    closes: bool = False


def past(history: History, multipliers: Mapping[str, Decimal], currency: str) -> Past:
    """
    The history as orders; ``multipliers`` are the worth of one price point and unit, by symbol, 1 where none is given.

    Raises:
        HistoryInvalid: it closes more than it holds, its numbers are too large, or it cannot be in the account's currency.
    """
    problems = Problems()
    currency = currency or DEFAULT_CURRENCY
    notes = check_currencies(history.symbols, currency, multipliers, problems)
    notes += check_profits(history.trades, multipliers, problems)
    events = [*_events(history)]
    unit, contracts = _contracts(events, multipliers, currency)
    walk = _Walk(contracts, unit, problems)
    netted = _hedged(events)
    for event in events:
        if event.row >= 0 and event.symbol not in netted:
            walk.take_row(event)
        else:
            walk.take_fill(event)
    if problems.count:
        raise HistoryInvalid(history.path, problems.found, problems.count)
    if netted:
        notes.append(f"{', '.join(sorted(netted))}: held on both sides at once; counted net, a trade is from flat to flat")
    first = {fill.symbol: fill.side for fill in reversed(history.fills)}
    notes += [
        f"{symbol}: begins with a sale, taken as a short position (were they held before, earlier fills are missing)"
        for symbol, side in first.items()
        if side == SELL
    ]
    for symbol, contract in contracts.items():
        worth = f", {multipliers[symbol]:f} {currency} per point and unit" if symbol in multipliers else ""
        notes.append(f"{symbol}: steps of {contract.step:f}, ticks of {contract.tick:f} (as in the file){worth}")
    return Past(contracts, walk.orders, walk.trades, unit, currency, walk.openings_without_stop, tuple(notes))


def _events(history: History) -> Iterator[_Event]:
    """
    Every fill in order of time.

    At one instant exits of what was held come first, then entries, then exits of what was entered in that instant.
    """
    for fill in history.fills:
        yield _Event(
            fill.line,
            fill.at_ns,
            fill.symbol,
            fill.side,
            fill.quantity,
            fill.price,
            fill.fee,
            fill.stop,
            fill.order or f"@{fill.at_ns}",
            closes=fill.closes,
        )
    found = []
    for row, trade in enumerate(history.trades):
        found.append((trade.entry_ns, 1, row, _entry(trade, row)))
        found.append((trade.exit_ns, 0 if trade.entry_ns < trade.exit_ns else 2, row, _exit(trade, row)))
    found.sort(key=itemgetter(0, 1, 2))
    for *_, event in found:
        yield event


def _entry(trade: HistoryTrade, row: int) -> _Event:
    at_ns = trade.entry_ns
    quantity, price = trade.quantity, trade.entry_price
    return _Event(trade.line, at_ns, trade.symbol, trade.side, quantity, price, ZERO, trade.stop, f"@{at_ns}", row)


def _exit(trade: HistoryTrade, row: int) -> _Event:
    """The trade's end, which bears all its costs."""
    cost, key = trade.fee - trade.swap, f"@{trade.exit_ns}"
    quantity, price = trade.quantity, trade.exit_price
    return _Event(trade.line, trade.exit_ns, trade.symbol, -trade.side, quantity, price, cost, None, key, row, closes=True)


def _hedged(events: Iterable[_Event]) -> set[str]:
    """The symbols of which closed trades were held on both sides at once."""
    position: dict[str, Decimal] = {}
    found = set()
    for event in events:
        held = position.get(event.symbol, ZERO)
        if event.row >= 0 and not event.closes and held * event.side < 0:
            found.add(event.symbol)
        position[event.symbol] = held + event.side * event.quantity
    return found


def _contracts(
    events: Iterable[_Event], multipliers: Mapping[str, Decimal], currency: str
) -> tuple[int, dict[str, Contract]]:
    """Money units per unit of currency, and every symbol's contract: as fine as the finest number of the history."""
    quantity: dict[str, int] = {}
    price: dict[str, int] = {}
    places = PLACES_MIN
    for event in events:
        quantity[event.symbol] = max(quantity.get(event.symbol, 0), _decimals(event.quantity))
        price[event.symbol] = max(price.get(event.symbol, 0), _decimals(event.price))
        places = max(places, _decimals(event.cost))
    grains = {symbol: ONE.scaleb(-quantity[symbol] - price[symbol]) * multipliers.get(symbol, ONE) for symbol in quantity}
    unit = 10 ** max(places, *map(_decimals, grains.values()), 0)
    contracts = {}
    for symbol, grain in grains.items():
        step, tick = ONE.scaleb(-quantity[symbol]), ONE.scaleb(-price[symbol])
        multiplier = float(multipliers.get(symbol, ONE))
        instrument = Instrument(symbol, "history", currency, float(step), float(tick), 0.0, multiplier)
        contracts[symbol] = Contract(step, tick, int(grain * unit), instrument)
    return unit, contracts


def _decimals(number: Decimal) -> int:
    """Digits after the point."""
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "only finite numbers are read"
    return max(0, -exponent)


@dataclass(slots=True)
class _Walk:
    """The orders and trades so far, and what is held by each symbol: signed steps, and the trade that they belong to."""

    contracts: dict[str, Contract]
    unit: int
    problems: Problems
    orders: list[Order] = field(default_factory=list)
    trades: list[PastTrade] = field(default_factory=list)
    openings_without_stop: int = 0
    _position: dict[str, int] = field(default_factory=dict)
    _current: dict[str, int] = field(default_factory=dict)
    _rows: dict[int, int] = field(default_factory=dict)
    _last: dict[str, Order] = field(default_factory=dict)

    def take_row(self, event: _Event) -> None:
        """An entry or exit of a closed trade, which is a trade of its own."""
        steps = self._steps(event)
        if event.closes:
            trade = self._rows.pop(event.row)
            self.trades[trade].closed_ns = event.at_ns
        else:
            trade = self._rows[event.row] = self._new(event)
            self.trades[trade].steps = steps
        self._hold(event, event.side * steps)
        self._add(event, trade, steps, self._money(event.cost), opens=not event.closes)

    def take_fill(self, event: _Event) -> None:
        """A fill, which closes what is held on the other side and opens with the rest."""
        steps, cost = self._steps(event), self._money(event.cost)
        held = self._position.get(event.symbol, 0)
        closing = min(steps, abs(held)) if held * event.side < 0 else 0
        if event.row < 0 and event.closes and closing < steps:
            found = f"{event.quantity:f} to close, with {abs(held) * self.contracts[event.symbol].step:f} held on that side"
            told = "a file that begins flat and has every fill: add the earlier ones"
            self.problems.report(event.line, "quantity", found, told)
        self._hold(event, event.side * steps)
        if closing:
            trade = self._current[event.symbol]
            if closing == abs(held):
                self.trades[trade].closed_ns = event.at_ns
                held = 0
            share = cost * closing // steps
            self._add(event, trade, closing, share, opens=False)
            cost -= share
        opening = steps - closing
        if opening:
            if held == 0:
                self._current[event.symbol] = self._new(event)
            trade = self._current[event.symbol]
            self.trades[trade].steps += opening
            self._add(event, trade, opening, cost, opens=True)

    def _new(self, event: _Event) -> int:
        self.trades.append(PastTrade(event.line, event.symbol, event.side, event.at_ns))
        return len(self.trades) - 1

    def _steps(self, event: _Event) -> int:
        return int(event.quantity / self.contracts[event.symbol].step)

    def _money(self, amount: Decimal) -> int:
        return int(amount * self.unit)

    def _hold(self, event: _Event, steps: int) -> None:
        held = self._position[event.symbol] = self._position.get(event.symbol, 0) + steps
        if max(abs(held), abs(steps)) > MAX_STEPS:
            step = self.contracts[event.symbol].step
            found = f"{abs(held) * step:f} held, in steps of {step:f} (the file's decimals)"
            self.problems.report(event.line, "quantity", found, "at most two billion steps: round the quantities")

    def _add(self, event: _Event, trade: int, steps: int, cost: int, *, opens: bool) -> None:
        contract = self.contracts[event.symbol]
        piece = Piece(steps, int(event.price / contract.tick), cost, trade)
        stop = float(event.stop) if opens and event.stop is not None else nan
        if opens and not event.side * (event.price - (event.stop or event.price)) > 0:
            self.openings_without_stop += 1
        last = self._last.get(event.symbol)
        if (
            last is not None
            and (last.side, last.opens, last.key) == (event.side, opens, event.key)
            and (last.stop == stop or (last.stop != last.stop and stop != stop))
            and event.at_ns - last.at_ns <= ORDER_SPAN_NS
        ):
            last.pieces.append(piece)
            return
        order = Order(len(self.orders), event.line, event.at_ns, event.symbol, event.side, opens, stop, event.key, [piece])
        self.orders.append(order)
        self._last[event.symbol] = order


def trade_quantity(past: Past, trade: PastTrade) -> str:
    """What the trade opened, with its side, as a person writes it."""
    quantity = (trade.steps * past.contracts[trade.symbol].step).normalize()
    return f"{'long' if trade.side == BUY else 'short'} {quantity:f}"
