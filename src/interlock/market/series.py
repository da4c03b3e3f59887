"""The bars of one symbol as market states, one after the other."""

from math import inf, log, nan
from typing import Final

from interlock.core.constants import CLOSES, NS_PER_S_FLOAT
from interlock.core.messages import BarClosed, MarketState
from interlock.market.kernel import market_of, next_atr

_SCRATCH: Final = [0.0] * CLOSES


class MarketSeries:
    """
    The market state of one symbol after each closed bar.

    It looks back on 257 closes of bars of one length; before that, the state is unknown. Taking a bar costs next to
    nothing and computing a state about a tenth of a millisecond, so it is only computed when somebody asks.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.closed_ns = 0
        """When the last bar that was taken ended, UTC."""
        self._length_s = nan
        self._bars = 0
        self._logs: list[float] = []
        self._returns: list[float] = []
        self._close = nan
        self._atr = nan

    def add(self, bar: BarClosed) -> bool:
        """
        Whether the bar was taken: it is plausible, later than those before it, of this symbol and of their length.

        One that is not leaves everything as it was: the last state grows old, and then proves nothing.
        """
        length_s = self._length_s if self._bars else bar.length_s
        ends_ns = bar.opened_ns + int(length_s * NS_PER_S_FLOAT) if 0.0 < length_s < inf else 0
        ordered = 0.0 < bar.low <= bar.open <= bar.high < inf and bar.low <= bar.close <= bar.high
        if not (bar.symbol == self.symbol and bar.length_s == length_s and ordered and ends_ns > self.closed_ns):
            return False
        self._atr = next_atr(self._atr, self._bars, bar.high, bar.low, self._close)
        self._close = bar.close
        self._learn(log(bar.close))
        self._length_s, self.closed_ns = length_s, ends_ns
        self._bars += 1
        return True

    def _learn(self, close_log: float) -> None:
        """The window ends with this close."""
        if self._logs:
            self._returns.append(close_log - self._logs[-1])
        self._logs.append(close_log)
        if len(self._logs) > CLOSES:
            del self._logs[0], self._returns[0]

    def state(self, at_ns: int | None = None) -> MarketState:
        """The market state after the last bar, told as of its end, or of `at_ns` where bars are played at another time."""
        told_ns = self.closed_ns if at_ns is None else at_ns
        if len(self._logs) < CLOSES:
            return MarketState(self.symbol, told_ns)
        sigma, strength, score = market_of(self._logs, self._returns, _SCRATCH)
        return MarketState(self.symbol, told_ns, self._atr, sigma, strength, score=score)
