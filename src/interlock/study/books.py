"""
The account's books while a history is walked again: positions, cash and what each trade brought, exactly.

They are the truth that the engine is told, so they share no bookkeeping with it. All money is in whole units of the past.
"""

from interlock.core.messages import PositionAt
from interlock.study.past import Past


class Books:
    """One account: it holds whatever is executed, at average cost, and credits each trade with its cash."""

    def __init__(self, past: Past, balance: float) -> None:
        self._past = past
        self._unit = past.unit
        self._balance = round(balance * past.unit)
        self._position = dict.fromkeys(past.contracts, 0)
        self._cost = dict.fromkeys(past.contracts, 0)
        self.ticks = dict.fromkeys(past.contracts, 0)
        self.held: dict[str, dict[int, int]] = {symbol: {} for symbol in past.contracts}
        self._brought = [0] * len(past.trades)
        self._fees = 0

    @property
    def balance(self) -> float:
        """Cash after all closed profit and loss and all costs, in account currency."""
        return self._balance / self._unit

    @property
    def equity(self) -> float:
        """The balance and what every position is worth at its last known price, in account currency."""
        return self.equity_units / self._unit

    @property
    def equity_units(self) -> int:
        """The same, exactly."""
        return self._balance + sum(self._worth(symbol) - self._cost[symbol] for symbol in self.open_symbols)

    @property
    def fees(self) -> float:
        """All costs, in account currency."""
        return self._fees / self._unit

    @property
    def open_symbols(self) -> list[str]:
        """The symbols of which something is held."""
        return [symbol for symbol, position in self._position.items() if position]

    def position(self, symbol: str) -> int:
        """The signed position in steps."""
        return self._position[symbol]

    def positions(self) -> tuple[PositionAt, ...]:
        """Every position, with its average price."""
        return tuple(PositionAt(symbol, self._position[symbol], self._entry(symbol)) for symbol in self.open_symbols)

    def execute(self, symbol: str, side: int, steps: int, ticks: int, cost: int, trade: int) -> int:
        """The books hold the fill; returns its unsigned worth in money units."""
        value = steps * ticks * self._past.contracts[symbol].grain
        position = self._position[symbol]
        if position * side < 0:
            assert steps <= abs(position), "an order that crosses zero comes as two"
            released = self._cost[symbol] * steps // abs(position)
            self._balance += -side * value - released
            self._cost[symbol] -= released
        else:
            self._cost[symbol] += side * value
        self._position[symbol] += side * steps
        self._balance -= cost
        self._fees += cost
        self._brought[trade] -= side * value + cost
        self.ticks[symbol] = ticks
        self._hold(symbol, trade, steps if position * side >= 0 else -steps)
        return value

    def _hold(self, symbol: str, trade: int, steps: int) -> None:
        held = self.held[symbol]
        held[trade] = held.get(trade, 0) + steps
        if held[trade] == 0:
            del held[trade]

    def brought(self) -> list[int]:
        """What each trade brought, in money units; what is still held counts at its last known price."""
        found = [*self._brought]
        for symbol in self.open_symbols:
            side = 1 if self._position[symbol] > 0 else -1
            per_step = side * self.ticks[symbol] * self._past.contracts[symbol].grain
            for trade, steps in self.held[symbol].items():
                found[trade] += steps * per_step
        return found

    def _worth(self, symbol: str) -> int:
        return self._position[symbol] * self.ticks[symbol] * self._past.contracts[symbol].grain

    def _entry(self, symbol: str) -> float:
        contract = self._past.contracts[symbol]
        return float(self._cost[symbol] / (self._position[symbol] * contract.grain) * float(contract.tick))
