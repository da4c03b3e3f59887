"""What the venue knows: prices, positions and the balance, kept apart from the engine's own account of them."""

from dataclasses import dataclass, field
from math import nan

from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt, Quote


@dataclass
class Holding:
    """One position: signed steps, and what they cost in settlement currency, signed alike."""

    steps: int = 0
    cost: float = 0.0


@dataclass
class Price:
    """One symbol's prices at the venue."""

    bid: float
    ask: float
    mark: float
    high: float = nan
    low: float = nan
    rate: float = nan


@dataclass
class Book:
    """The venue's side of an account, in account currency; P&L by average cost."""

    balance: float
    instruments: dict[str, Instrument] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)

    @property
    def equity(self) -> float:
        """Balance and open P&L at present marks, in account currency."""
        return self.balance + sum(self._open_pnl(symbol) for symbol in self.holdings)

    def rate(self, symbol: str) -> float:
        """Settlement to account currency; 1.0 where it was never told."""
        rate = self.prices[symbol].rate
        return rate if rate == rate else 1.0

    def fill(self, symbol: str, side: int, steps: int, price: float, fee: float) -> None:
        """So many steps more were bought or sold at the price, and the fee was paid."""
        holding = self.holdings.setdefault(symbol, Holding())
        value = self._value(symbol, price)
        self.balance -= fee
        if holding.steps * side < 0:
            closed = min(steps, abs(holding.steps))
            released = holding.cost * closed / abs(holding.steps)
            self.balance += (-side * closed * value - released) * self.rate(symbol)
            holding.cost -= released
            holding.steps += side * closed
            steps -= closed
        holding.steps += side * steps
        holding.cost += side * steps * value

    def place(self, symbol: str, steps: int, price: float) -> None:
        """The venue holds this position, however it came about."""
        self.holdings[symbol] = Holding(steps, steps * self._value(symbol, price))

    def positions(self) -> tuple[PositionAt, ...]:
        """Every position with its average entry price, as the venue reports them."""
        held = ((symbol, each) for symbol, each in self.holdings.items() if each.steps)
        return tuple(PositionAt(symbol, each.steps, self._entry(symbol, each)) for symbol, each in held)

    def quote(self, symbol: str, at_ns: int) -> Quote:
        """The symbol's prices as of an instant."""
        p = self.prices[symbol]
        rate_at_ns = at_ns if p.rate == p.rate else 0
        return Quote(symbol, p.bid, p.ask, p.mark, at_ns, p.high, p.low, p.rate, rate_at_ns)

    def is_open(self, symbol: str, at_ns: int) -> bool:
        """Whether the symbol trades at that instant."""
        sessions = self.instruments[symbol].sessions
        return not sessions or any(opens <= at_ns < closes for opens, closes in sessions)

    def _value(self, symbol: str, price: float) -> float:
        instrument = self.instruments[symbol]
        return instrument.step * instrument.value(price)

    def _entry(self, symbol: str, holding: Holding) -> float:
        instrument = self.instruments[symbol]
        value = holding.cost / holding.steps / instrument.step
        return -instrument.multiplier / value if instrument.inverse else value / instrument.multiplier

    def _open_pnl(self, symbol: str) -> float:
        holding = self.holdings[symbol]
        now = holding.steps * self._value(symbol, self.prices[symbol].mark)
        return (now - holding.cost) * self.rate(symbol) if holding.steps else 0.0
