"""
An example strategy to put a gate in front of: it follows trends, with leverage, and adds to winners.

It is meant to be read in a minute and to get an account into trouble. It knows prices and nothing
else: no equity, no position, no fills, so it wishes the same whatever becomes of its wishes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LONG: Final = 1
FLAT: Final = 0
SHORT: Final = -1


@dataclass(frozen=True, slots=True)
class Wish:
    """
    The position wanted from the next bar on, whole and not in addition to the one held.

    ``notional_equity_mult`` is the wanted notional over equity; ``stop_frac`` the distance of the
    protective stop from the price of the fill. Both are 0 when ``side`` is `FLAT`.
    """

    side: int
    notional_equity_mult: float
    stop_frac: float
    reason: str


FLAT_WISH: Final = Wish(FLAT, 0.0, 0.0, "exit channel broken")


@dataclass(frozen=True, slots=True)
class TrendParameters:
    """What the strategy is tuned by; bars are closed bars of the symbol's own file."""

    entry_bars: int = 120
    exit_bars: int = 40
    range_bars: int = 72
    unit_equity_mult: float = 3.0
    units_max: int = 4
    add_ranges: float = 4.0
    stop_ranges: float = 12.0


class Trend:
    """
    Breakouts of one symbol: enter beyond the entry channel, add as it runs, leave at the exit channel.

    A wish is formed from bars that have closed, so it can be filled at the next bar's quotes at
    the earliest.
    """

    def __init__(self, parameters: TrendParameters) -> None:
        self.parameters = parameters
        self._highs: deque[float] = deque(maxlen=parameters.entry_bars)
        self._lows: deque[float] = deque(maxlen=parameters.entry_bars)
        self._side = FLAT
        self._units = 0
        self._added_at = 0.0

    def on_bar(self, high: float, low: float, close: float) -> Wish | None:
        """
        The new wish after a closed bar, or None while the last one stands.
        """
        wish = self._decide(close) if len(self._highs) == self.parameters.entry_bars else None
        self._highs.append(high)
        self._lows.append(low)
        return wish

    def _decide(self, close: float) -> Wish | None:
        if self._side == FLAT:
            return self._entry(close)
        if self._left(close):
            self._side, self._units = FLAT, 0
            return FLAT_WISH
        if self._ran(close):
            return self._sized(close, "trend continues")
        return None
