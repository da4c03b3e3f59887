"""
An example strategy to put a gate in front of: it follows trends, with leverage, and adds to winners.

It only opens, each time with a stop: leaving is the business of whoever holds the position. It is meant to be read in a
minute and to get an account into trouble. It knows prices and nothing else: no equity, no position, no fills, so it
wishes the same whatever becomes of its wishes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import fsum
from typing import Final

LONG: Final = 1
SHORT: Final = -1
NEITHER: Final = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What is to be opened, or added to what is held, at the next bar.

    ``notional_equity_mult`` is its notional over equity; ``stop_frac`` the distance of the protective stop from the price
    of the fill.
    """

    side: int
    notional_equity_mult: float
    stop_frac: float
    reason: str


@dataclass(frozen=True, slots=True)
class TrendParameters:
    """What the strategy is tuned by; distances are in mean ranges (high less low) of recent bars."""

    entry_bars: int = 120
    exit_bars: int = 24
    range_bars: int = 72
    unit_equity_mult: float = 3.0
    unit_count_max: int = 4
    add_ranges: float = 4.0
    stop_ranges: float = 10.0

    def __post_init__(self) -> None:
        assert min(self.exit_bars, self.range_bars) > 0
        assert max(self.exit_bars, self.range_bars) <= self.entry_bars


class Trend:
    """
    Breakouts of one symbol: in beyond the entry channel, more as it runs, until the run leaves the exit channel.

    A wish is formed when a bar has closed, from that bar and those before it, so the next bar's
    quotes are the first that can fill it.
    """

    def __init__(self, parameters: TrendParameters) -> None:
        self.parameters = parameters
        self.run_ended = False
        """Whether the run that it followed left the exit channel with the last bar: nothing is added to it any more."""
        self._highs: deque[float] = deque(maxlen=parameters.entry_bars)
        self._lows: deque[float] = deque(maxlen=parameters.entry_bars)
        self._side = NEITHER
        self._unit_count = 0
        self._added_at = 0.0

    def resume(self, side: int, entry: float) -> None:
        """The strategy follows a run on this side since before it was started."""
        self._side, self._unit_count, self._added_at = side, 1, entry

    def learn(self, high: float, low: float) -> None:
        """A bar of the past is known."""
        self._highs.append(high)
        self._lows.append(low)

    def on_bar(self, high: float, low: float, close: float) -> Wish | None:
        """Return what is to be opened or added, or None."""
        self.run_ended = False
        wish = self._decide(close) if len(self._highs) == self.parameters.entry_bars else None
        self.learn(high, low)
        return wish

    def _decide(self, close: float) -> Wish | None:
        if self._side == NEITHER:
            side = self._broken_out(close)
            return self._add(side, close, "breakout") if side else None
        if self._left_exit_channel(close):
            self._side, self._unit_count = NEITHER, 0
            self.run_ended = True
            return None
        run = self._side * (close - self._added_at)
        if self._unit_count < self.parameters.unit_count_max and run > self.parameters.add_ranges * self._mean_range():
            return self._add(self._side, close, "add to winner")
        return None

    def _add(self, side: int, close: float, reason: str) -> Wish:
        self._side, self._added_at = side, close
        self._unit_count += 1
        stop_frac = self.parameters.stop_ranges * self._mean_range() / close
        return Wish(side, self.parameters.unit_equity_mult, stop_frac, reason)

    def _broken_out(self, close: float) -> int:
        """The side on which the close lies beyond the entry channel; the latest bars tell soonest that it does not."""
        above = all(close > high for high in reversed(self._highs))
        return above - all(close < low for low in reversed(self._lows))

    def _left_exit_channel(self, close: float) -> bool:
        if self._side == LONG:
            return close < min(_latest(self._lows, self.parameters.exit_bars))
        return close > max(_latest(self._highs, self.parameters.exit_bars))

    def _mean_range(self) -> float:
        count = self.parameters.range_bars
        return (fsum(_latest(self._highs, count)) - fsum(_latest(self._lows, count))) / count


def _latest(column: deque[float], count: int) -> Iterator[float]:
    return islice(reversed(column), count)
