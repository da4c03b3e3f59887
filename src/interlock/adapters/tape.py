"""
Recorded bars of several symbols played as quotes of the present, at a chosen speed.

Every interval in which some symbol has a bar is four moments, evenly spaced over it: the opens, the extremes nearer to
the opens, the other extremes, the closes. Time without bars (nights, weekends) is left out. Quotes carry the wall clock
of the moment they are played; the bars that closed keep the instants at which they were recorded.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from interlock.adapters.bars import SECOND_NS, Bars
from interlock.core.errors import InterlockError
from interlock.core.messages import BarClosed, Quote

MOMENTS_PER_BAR: Final = 4
BPS: Final = 1e4


class TapeUnplayable(InterlockError):
    """These bars cannot be played together or not like this; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is told at one moment; a tape played from `cursor` goes on after it."""

    cursor: int
    quotes: tuple[Quote, ...]
    closed: tuple[BarClosed, ...]


class Tape:
    """
    Bars of the same interval, by symbol.

    `spread_bps` is the spread where the bars have no quotes; where they do, a bar's closing spread holds for all of it.
    `speed` is seconds of bars played in a second. A tape that `loops` starts again at its end; its cursor goes on.
    `clock` tells the wall clock, UTC epoch in nanoseconds.
    """

    def __init__(
        self,
        bars: Mapping[str, Bars],
        *,
        speed: float,
        clock: Callable[[], int],
        spread_bps: float | None = None,
        loops: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bars = dict(bars)
        self._interval_ns = _interval_ns(self._bars)
        if not 0.0 < speed < inf:
            raise TapeUnplayable(f"a speed is a number > 0, found {speed!r}")
        self._half_spreads = {symbol: _half_spreads(symbol, each, spread_bps) for symbol, each in self._bars.items()}
        self._pause_s = self._interval_ns / SECOND_NS / MOMENTS_PER_BAR / speed
        self._numbers = {symbol: {ts: i for i, ts in enumerate(each.ts_ns)} for symbol, each in self._bars.items()}
        self._opens_ns = sorted({ts_ns for each in self._bars.values() for ts_ns in each.ts_ns})
        self._clock = clock
        self._loops = loops
        self._sleep = sleep

    @property
    def moments_per_round(self) -> int:
        """How many moments the tape has from its start to its end."""
        return len(self._opens_ns) * MOMENTS_PER_BAR

    async def play(self, cursor: int = 0) -> AsyncIterator[Moment]:
        """The moments after the first `cursor` ones, each when its time has come; ends with the tape unless it loops."""
        while self._loops or cursor < self.moments_per_round:
            await self._sleep(self._pause_s)
            interval, phase = divmod(cursor % self.moments_per_round, MOMENTS_PER_BAR)
            cursor += 1
            yield self._moment(cursor, self._opens_ns[interval], phase)

    def closed_before(self, cursor: int, intervals: int) -> tuple[BarClosed, ...]:
        """The bars that closed within the last so many intervals of the tape before the cursor, oldest first."""
        ended = cursor // MOMENTS_PER_BAR
        first = max(ended - intervals, 0)
        opens_ns = [self._opens_ns[number % len(self._opens_ns)] for number in range(first, ended)]
        return tuple(bar for open_ns in opens_ns for bar in self._closed(open_ns))

    def _moment(self, cursor: int, open_ns: int, phase: int) -> Moment:
        now_ns = self._clock()
        quotes = tuple(self._quote(symbol, index, phase, now_ns) for symbol, index in self._present(open_ns))
        closed = tuple(self._closed(open_ns)) if phase == MOMENTS_PER_BAR - 1 else ()
        return Moment(cursor, quotes, closed)

    def _present(self, open_ns: int) -> list[tuple[str, int]]:
        """The symbols that have a bar in the interval, each with its bar's number."""
        return [(symbol, numbers[open_ns]) for symbol, numbers in self._numbers.items() if open_ns in numbers]

    def _quote(self, symbol: str, index: int, phase: int, now_ns: int) -> Quote:
        price = _path(self._bars[symbol], index)[phase]
        half = self._half_spreads[symbol][index]
        return Quote(symbol, bid=price - half, ask=price + half, mark=price, at_ns=now_ns)

    def _closed(self, open_ns: int) -> list[BarClosed]:
        length_s = self._interval_ns / SECOND_NS
        return [
            BarClosed(symbol, open_ns, length_s, bars.open[i], bars.high[i], bars.low[i], bars.close[i])
            for symbol, i in self._present(open_ns)
            for bars in (self._bars[symbol],)
        ]


def _path(bars: Bars, index: int) -> tuple[float, float, float, float]:
    """The prices of a bar as they are played; of two extremes equally near to the open, the low comes first."""
    start, high, low = bars.open[index], bars.high[index], bars.low[index]
    near, far = (high, low) if high - start < start - low else (low, high)
    return start, near, far, bars.close[index]


def _interval_ns(bars: Mapping[str, Bars]) -> int:
    intervals = {each.gaps.interval_ns for each in bars.values()}
    if len(intervals) != 1:
        told = ", ".join(f"{symbol} {each.gaps.interval_ns / SECOND_NS:g} s" for symbol, each in bars.items())
        raise TapeUnplayable(f"a tape has bars of one interval, found {told or 'no bars'}: choose files that have the same")
    return intervals.pop()


def _half_spreads(symbol: str, bars: Bars, spread_bps: float | None) -> "array[float]":
    if bars.quoted:
        return array("d", ((ask - bid) / 2.0 for bid, ask in zip(bars.bid, bars.ask, strict=True)))
    if spread_bps is None or not 0.0 <= spread_bps < BPS:
        raise TapeUnplayable(f"the bars of {symbol} have no quotes: give a spread from 0 to {BPS:g} bps")
    return array("d", (close * spread_bps / BPS / 2.0 for close in bars.close))
