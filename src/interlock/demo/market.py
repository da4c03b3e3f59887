"""
The bars of several symbols as one sequence of moments, and what the strategy wished at each of them.

The convention of every run, gated or not:

- A bar is known when it has closed. What is wished then is sent when the next bar of that symbol opens within the
  venue's session, and filled at that open: bought at the ask, sold at the bid.
- The files give a bid and an ask at each close. The spread at an open is the one of the close before.
- Inside a bar the adverse extreme comes first: a stop is hit before anything else is assumed, at its price, or at the
  open where the bar opened beyond it.
- Positions are valued at the closing bid or ask. A bar's close is stamped a millisecond before the next bar opens.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from math import floor, log10
from operator import itemgetter
from typing import Final, NamedTuple

from interlock.adapters.bars import SECOND_NS, Bars
from interlock.core.instrument import Instrument
from interlock.core.messages import BarClosed, MarketState
from interlock.demo.strategy import Trend, TrendParameters, Wish
from interlock.market import MarketSeries
from interlock.policy.calendar import sessions

MILLISECOND_NS: Final = 1_000_000
DAY_NS: Final = 86_400_000_000_000
BPS: Final = 1e4


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known of a symbol besides its prices: ``unit`` of its price, its steps and ticks, when its venue is open."""

    unit: str
    step: float
    tick: float
    sessions: str


LISTINGS: Final = {
    "XAUUSD": Listing("USD/oz", 0.1, 0.001, "Sun 18:00 - Fri 17:00 America/New_York, break 17:00 - 18:00"),
    "EURUSD": Listing("USD per EUR", 100.0, 0.00001, "Sun 17:00 - Fri 17:00 America/New_York"),
}
"""The symbols of the bundled data, as their dealer quoted them."""


def listing_of(symbol: str, price: float) -> Listing:
    """The symbol's listing; for one that is not known, ticks of six digits of its price and no closing time."""
    known = LISTINGS.get(symbol)
    if known is not None:
        return known
    magnitude = floor(log10(price))
    return Listing("per unit", 10.0**-magnitude, 10.0 ** (magnitude - 5), "always")


class Market:
    """One symbol: its instrument, its bars, and a bid and ask at every open and close."""

    def __init__(self, symbol: str, bars: Bars, spread_bps: float | None, currency: str) -> None:
        listing = listing_of(symbol, bars.close[0])
        span = bars.ts_ns[0] - DAY_NS, bars.ts_ns[-1] + 400 * DAY_NS
        self.symbol = symbol
        self.unit = listing.unit
        self.bars = bars
        self.instrument = Instrument(
            symbol=symbol,
            venue="paper",
            quote_currency=currency,
            step=listing.step,
            tick=listing.tick,
            min_notional=0.0,
            sessions=sessions(listing.sessions, *span),
        )
        self.half_spread = _half_spreads(bars, spread_bps)
        self._edges = [edge for session in self.instrument.sessions for edge in session]
        self._series = MarketSeries(symbol)
        self._series_count = 0
        self._states: dict[int, MarketState] = {}

    def is_open(self, at_ns: int) -> bool:
        """Whether the venue's session is on."""
        return not self._edges or bisect_right(self._edges, at_ns) % 2 == 1

    def closed(self, index: int) -> BarClosed:
        """The bar of that number, when it had ended."""
        bars, length_s = self.bars, self.bars.gaps.interval_ns / SECOND_NS
        return BarClosed(
            self.symbol, bars.ts_ns[index], length_s, bars.open[index], bars.high[index], bars.low[index], bars.close[index]
        )

    def state(self, count: int) -> MarketState:
        """The market state after the first `count` bars, computed once for all runs that ask for it."""
        found = self._states.get(count)
        if found is None:
            if count < self._series_count:
                self._series, self._series_count = MarketSeries(self.symbol), 0
            for index in range(self._series_count, count):
                self._series.add(self.closed(index))
            self._series_count = count
            found = self._states[count] = self._series.state()
        return found

    def open_quote(self, index: int) -> tuple[float, float]:
        """Bid and ask at the bar's open, with the spread of the close before."""
        half = self.half_spread[index - 1 if index else 0]
        middle = self.bars.open[index]
        return middle - half, middle + half

    def close_quote(self, index: int) -> tuple[float, float]:
        """Bid and ask at the bar's close."""
        half = self.half_spread[index]
        middle = self.bars.close[index]
        return middle - half, middle + half


def _half_spreads(bars: Bars, spread_bps: float | None) -> "array[float]":
    if bars.quoted:
        return array("d", ((ask - bid) / 2.0 for bid, ask in zip(bars.bid, bars.ask, strict=True)))
    assert spread_bps is not None, "bars without quotes need a spread"
    return array("d", (close * spread_bps / BPS / 2.0 for close in bars.close))


class Moment(NamedTuple):
    """One bar interval: the symbols that have a bar in it, each with its bar's number."""

    open_ns: int
    close_ns: int
    bars: tuple[tuple[str, int], ...]


class Tape:
    """Everything that a run needs to know of the world, the same for every run."""

    def __init__(self, markets: Sequence[Market], start_ns: int, end_ns: int, parameters: TrendParameters) -> None:
        self.markets = {market.symbol: market for market in markets}
        self.moments = tuple(_moments(markets, start_ns, end_ns))
        self.wishes, self.run_ends = _wishes(self.moments, self.markets, parameters)


def _moments(markets: Sequence[Market], start_ns: int, end_ns: int) -> Iterator[Moment]:
    columns = [
        [(market.bars.ts_ns[index], market.symbol, index) for index in range(*_between(market.bars, start_ns, end_ns))]
        for market in markets
    ]
    interval_ns = markets[0].bars.gaps.interval_ns
    for open_ns, found in groupby(merge(*columns), itemgetter(0)):
        yield Moment(open_ns, open_ns + interval_ns - MILLISECOND_NS, tuple((symbol, index) for _, symbol, index in found))


def _between(bars: Bars, start_ns: int, end_ns: int) -> tuple[int, int]:
    return bisect_left(bars.ts_ns, start_ns), bisect_left(bars.ts_ns, end_ns)


def _wishes(
    moments: Sequence[Moment], markets: dict[str, Market], parameters: TrendParameters
) -> tuple[dict[int, tuple[tuple[str, Wish], ...]], dict[int, tuple[str, ...]]]:
    """What is wished at the close of a moment, and of which symbols the run ended there, by the moment's number."""
    strategies = {symbol: Trend(parameters) for symbol in markets}
    wishes: dict[int, tuple[tuple[str, Wish], ...]] = {}
    ends: dict[int, tuple[str, ...]] = {}
    for number, moment in enumerate(moments):
        found, ended = [], []
        for symbol, index in moment.bars:
            bars, strategy = markets[symbol].bars, strategies[symbol]
            wish = strategy.on_bar(bars.high[index], bars.low[index], bars.close[index])
            if wish is not None:
                found.append((symbol, wish))
            if strategy.run_ended:
                ended.append(symbol)
        if found:
            wishes[number] = tuple(found)
        if ended:
            ends[number] = tuple(ended)
    return wishes, ends
