"""
What the acting hand made of its exits, and what the built-in rules would have made of the same positions.

The acting hand is whoever closed: an exit owner, an operator, a stop at the venue; its exits are fills. The built-in rules
advise an owner in the mode `advisory`; each piece of advice counts as an exit at the mark of its instant, and their stop as
one at the first mark beyond it. What they would still have held when the position ended counts as left at its last price.
Before fees and funding on both sides, in settlement currency.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import nan
from typing import Final

import msgspec

from interlock.core.apply import EXIT_NAME
from interlock.core.authority import EXITS
from interlock.core.codes import CloseAction, Code, ExitMode, Rung
from interlock.core.engine import Engine
from interlock.core.exits.kernel import risk_at_stop, tightened
from interlock.core.exits.rules import stop_reached, trailed_stop
from interlock.core.exits.watch import EXIT_BITS, market_now
from interlock.core.instrument import Instrument
from interlock.core.limits import is_on
from interlock.core.messages import Executed, ExitProposed, MarketBatch, PositionsReported, Step
from interlock.core.numbers import share
from interlock.core.state import PermitRow, State, SymbolRow, is_stop
from interlock.core.transitions import money

OUTSIDE: Final = "outside the gate"
STARTERS: Final = (Rung.TAKE_PROFIT, Rung.LOCK)
"""Rungs after which the stop trails."""

HELD: Final = "still held"
"""What the built-in rules would not have closed when the position ended."""


class Exit(msgspec.Struct, frozen=True):
    """A part of a position that was closed: `r` is its profit in units of the risk of the whole, at its largest."""

    at_ns: int
    rung: str
    by: str
    quantity: float
    price: float
    r: float
    money: float


class Hand(msgspec.Struct, frozen=True):
    """What one hand closed, and what it came to."""

    exits: tuple[Exit, ...]
    r: float
    money: float


class ExitsCompared(msgspec.Struct, frozen=True):
    """One position from flat to flat by both hands; `builtin` is None where the rules did not advise."""

    symbol: str
    episode: int
    strategy: str
    side: int
    opened_ns: int
    closed_ns: int
    quantity: float
    entry: float
    risk: float
    acting: Hand
    builtin: Hand | None


class Comparison(msgspec.Struct, frozen=True):
    """Every position, and the sums over the `compared` ones: those that have ended and that both hands have looked at."""

    positions: tuple[ExitsCompared, ...]
    compared: int
    acting_r: float
    acting_money: float
    builtin_r: float
    builtin_money: float


def compare_exits(steps: Iterable[Step], symbol: str | None = None) -> Comparison:
    """The exits of every position in the record, which starts at its beginning, or of one symbol's."""
    follower = _Follower()
    for step in steps:
        follower.follow(step)
    positions = tuple(each for each in follower.told() if symbol in (None, each.symbol))
    both = [(each.acting, each.builtin) for each in positions if each.closed_ns and each.builtin is not None]
    return Comparison(
        positions,
        len(both),
        sum(acting.r for acting, _ in both),
        sum(acting.money for acting, _ in both),
        sum(builtin.r for _, builtin in both),
        sum(builtin.money for _, builtin in both),
    )


# ---------------------------------------------------------------- one position


@dataclass(slots=True)
class _Book:
    """What one hand holds, in steps, what that was worth at its entry, and what it has closed."""

    steps: int = 0
    worth: float = 0.0
    exits: list[tuple[int, str, str, float, float, float]] = field(default_factory=list)


@dataclass(slots=True)
class _Trade:
    """A position as both hands go on with it; they share what is added to it. `peak` is the most the rules have held."""

    index: int
    episode: int
    side: int
    opened_ns: int
    instrument: Instrument
    strategy: str = ""
    largest: int = 0
    peak: int = 0
    unit: float = nan
    risk: float = nan
    stop: float = nan
    advised: bool = False
    trails: bool = False
    closed_ns: int = 0
    acting: _Book = field(default_factory=_Book)
    builtin: _Book = field(default_factory=_Book)

    def add(self, steps: int, worth: float) -> None:
        """So many steps more are held by both hands, which were worth so much at their entry."""
        for book in (self.acting, self.builtin):
            book.steps += steps
            book.worth += worth
        self.peak = max(self.peak, self.builtin.steps)

    def measure(self, r: SymbolRow) -> None:
        """Entry, first stop and risk are those of the row."""
        self.unit = money(r.cost) / (r.position * self.instrument.step)
        self.largest = r.episode_peak
        entry = self.instrument.price_at(self.unit)
        frac = self.side * (entry - r.entry_stop) / entry
        self.risk = risk_at_stop(abs(self.unit), self.instrument.quantity(self.largest), frac)
        self.tighten(r.entry_stop)

    def tighten(self, stop: float) -> None:
        """The stop of the built-in rules is this one, where it is nearer to the market."""
        nearer = tightened(float(self.side), self.stop, stop)
        self.stop = nearer if nearer == nearer else self.stop

    def exit(self, book: _Book, at_ns: int, rung: str, by: str, steps: int, unit: float) -> None:
        """The hand has closed so many steps where one base unit is worth `unit`."""
        quantity = self.instrument.quantity(steps)
        entered = book.worth * steps / book.steps
        came = self.side * (quantity * unit - entered)
        book.exits.append((at_ns, rung, by, quantity, self.instrument.price_at(unit), came))
        book.worth -= entered
        book.steps -= steps

    def advise(self, at_ns: int, rung: str, close: int, mark: float) -> None:
        """The built-in rules would have closed so many percent in all by now."""
        over = self.builtin.steps - self.peak + share(self.peak, close, int(CloseAction.FULL_CLOSE))
        if over > 0:
            self.exit(self.builtin, at_ns, rung, EXITS, over, self.instrument.value(mark))

    def end(self, at_ns: int) -> None:
        """The position is over; what the built-in rules still held counts at its last price."""
        self.closed_ns = at_ns
        if self.builtin.steps:
            last = self.acting.exits[-1][4]
            self.exit(self.builtin, at_ns, HELD, EXITS, self.builtin.steps, self.instrument.value(last))

    def told(self, state: State) -> ExitsCompared:
        """The position as it is told."""
        return ExitsCompared(
            state.names.symbols[self.index],
            self.episode,
            self.strategy,
            self.side,
            self.opened_ns,
            self.closed_ns,
            self.instrument.quantity(self.largest),
            self.instrument.price_at(self.unit),
            self.risk,
            self._hand(self.acting),
            self._hand(self.builtin) if self.advised else None,
        )

    def _hand(self, book: _Book) -> Hand:
        exits = tuple(
            Exit(at_ns, rung, by, quantity, price, came / self.risk, came)
            for at_ns, rung, by, quantity, price, came in book.exits
        )
        return Hand(exits, sum(each.r for each in exits), sum(each.money for each in exits))


# ---------------------------------------------------------------- following it


class _Follower:
    """An engine that folds the record, and the positions in it."""

    def __init__(self) -> None:
        self._engine = Engine()
        self._live: dict[int, _Trade] = {}
        self._all: list[_Trade] = []

    def told(self) -> Iterator[ExitsCompared]:
        """Every position so far, oldest first."""
        return (trade.told(self._engine.state) for trade in self._all)

    def follow(self, step: Step) -> None:
        """The step is part of the record."""
        state = self._engine.state
        held = {index: (state.symbols[index].position, state.symbols[index].cost) for index in _concerned(state, step)}
        p = _permit(state, step)
        was = p.clone() if p is not None else None
        self._engine.fold(step)
        for index, (position, cost) in held.items():
            self._close(step, index, position, was)
            self._open(step, index, position, cost)
            self._stop(step, index)
        self._advise(step)

    def _close(self, step: Step, index: int, position: int, was: PermitRow | None) -> None:
        """What has gone of the position is an exit of the acting hand."""
        trade, r = self._live.get(index), self._engine.state.symbols[index]
        if trade is None:
            return
        left = max(r.position * trade.side, 0)
        gone = position * trade.side - left
        if gone > 0:
            self._exit(step, trade, was, gone, r.mark)
        if left == 0:
            trade.end(step.at_ns)
            del self._live[index]

    def _exit(self, step: Step, trade: _Trade, was: PermitRow | None, gone: int, mark: float) -> None:
        """The exit is told at the price of its fills, or at the mark where it happened outside the gate."""
        now = _permit(self._engine.state, step)
        if was is None or now is None or now.filled == was.filled:
            trade.exit(trade.acting, step.at_ns, OUTSIDE, OUTSIDE, gone, trade.instrument.value(mark))
            return
        worth = money(now.filled_value - was.filled_value) / trade.instrument.quantity(now.filled - was.filled)
        by = self._engine.state.names.sources[now.source] if now.source >= 0 else ""
        trade.exit(trade.acting, step.at_ns, _rung(now), by, gone, worth)

    def _open(self, step: Step, index: int, position: int, cost: int) -> None:
        """A position that began, or grew, is followed as it is now."""
        state = self._engine.state
        r, instrument, trade = state.symbols[index], state.instruments[index], self._live.get(index)
        if r.position == 0 or r.cost == 0 or instrument is None:
            return
        if trade is None:
            position, cost, side = 0, 0, 1 if r.position > 0 else -1
            trade = self._live[index] = _Trade(index, r.episode, side, step.at_ns, instrument)
            self._all.append(trade)
        added = (r.position - position) * trade.side
        if added > 0:
            trade.add(added, trade.side * money(r.cost - cost))
        if added > 0 or trade.risk != trade.risk:
            trade.strategy = state.names.strategies[r.owner] if r.owner >= 0 else ""
            trade.measure(r)

    def _stop(self, step: Step, index: int) -> None:
        """The stop that the built-in rules would have closes what they would still hold."""
        trade, state = self._live.get(index), self._engine.state
        if trade is None:
            return
        r = state.symbols[index]
        p = state.exit_limits(r)
        trade.advised |= state.account.exit_mode is ExitMode.ADVISORY and p.active & EXIT_BITS != 0
        if r.doubt != 0.0:
            return
        if stop_reached(float(trade.side), r.mark, trade.stop):
            trade.advise(step.at_ns, Rung.STOP, int(CloseAction.FULL_CLOSE), r.mark)
        elif trade.trails and is_on(p, Code.TRAILING_STOP):
            atr = market_now(state, r, p).atr
            wanted = trailed_stop(float(trade.side), r.best, atr, trade.instrument.tick, p)
            trade.tighten(wanted)
            if stop_reached(float(trade.side), r.mark, trade.stop):
                trade.advise(step.at_ns, Rung.TRAILING, int(CloseAction.FULL_CLOSE), r.mark)

    def _advise(self, step: Step) -> None:
        """What the built-in rules proposed counts as theirs, whether they acted or advised; stops are seen to above."""
        for output in step.outputs:
            if not isinstance(output, ExitProposed) or output.source != EXITS:
                continue
            trade = self._live.get(self._engine.state.names.symbol_index[output.symbol])
            if trade is None:
                continue
            trade.tighten(output.stop_price)
            trade.trails |= output.rung in STARTERS
            if (output.rung, output.reason) != (Rung.STOP, "stop"):
                trade.advise(step.at_ns, output.rung, round(output.fraction * CloseAction.FULL_CLOSE), output.mark)


def _concerned(state: State, step: Step) -> tuple[int, ...]:
    """Rows whose position, or whose mark, the step may change."""
    event = step.input
    if isinstance(event, Executed):
        p = state.permits.get(event.permit)
        return (p.symbol,) if p is not None else ()
    if isinstance(event, PositionsReported):
        return tuple(range(len(state.symbols)))
    if isinstance(event, MarketBatch):
        told = (state.names.symbol_index.get(quote.symbol, -1) for quote in event.quotes)
        return tuple(index for index in told if index in state.open_rows)
    return ()


def _permit(state: State, step: Step) -> PermitRow | None:
    return state.permits.get(step.input.permit) if isinstance(step.input, Executed) else None


def _rung(p: PermitRow) -> str:
    if is_stop(p):
        return Rung.STOP
    if p.goal.startswith(EXIT_NAME):
        return p.goal.rsplit(":", 1)[1]
    return "flatten" if p.goal.startswith("flatten:") else "close"
