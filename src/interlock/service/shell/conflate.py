"""
Prices at the pace of the ledger: everything that moved within a second becomes one input.

Of each symbol the last prices go on, with the extremes of the marks before them. A quote that cannot be right (no number,
bid above ask) is neither dropped nor mixed with others: it goes on as it came, and the core judges it. Symbols that nobody
holds or asks about are not told; their last prices are kept for the moment somebody does.
"""

from collections.abc import Callable, Iterable
from math import inf, nan
from typing import Final

import msgspec

from interlock.core.constants import NS_PER_S
from interlock.core.messages import MarketBatch, Quote

INTERVAL_NS: Final = NS_PER_S
APART_MAX: Final = 4
"""Quotes of one symbol in one interval that stand by themselves."""


class Conflater:
    """Quotes that wait to be told; `wanted` says whether anybody needs a symbol's prices now."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._waiting: dict[str, list[Quote]] = {}
        self._due = False
        self._told_mono_ns = -INTERVAL_NS

    def add(self, quotes: Iterable[Quote]) -> None:
        """The quotes wait, newest last."""
        for quote in quotes:
            waiting = self._waiting.setdefault(quote.symbol, [])
            if waiting and quote.at_ns < waiting[-1].at_ns:
                continue
            merge(waiting, quote)
            self._due = self._due or self._wanted(quote.symbol)

    def due_mono_ns(self) -> int | None:
        """When the next batch is due on the monotonic clock; None while there is none."""
        return self._told_mono_ns + INTERVAL_NS if self._due else None

    def take(self, mono_ns: int) -> MarketBatch | None:
        """What is due, which then waits no longer."""
        if not self._due or mono_ns - self._told_mono_ns < INTERVAL_NS:
            return None
        self._told_mono_ns = mono_ns
        self._due = False
        told: list[Quote] = []
        for symbol, waiting in tuple(self._waiting.items()):
            if self._wanted(symbol):
                told += self._waiting.pop(symbol)
            else:
                waiting[:] = [msgspec.structs.replace(waiting[-1], high=nan, low=nan)]
        return MarketBatch(tuple(told)) if told else None

    def take_now(self, symbols: Iterable[str]) -> MarketBatch | None:
        """What waits of these symbols, due or not."""
        told = [quote for symbol in symbols for quote in self._waiting.pop(symbol, ())]
        return MarketBatch(tuple(told)) if told else None


def merge(waiting: list[Quote], quote: Quote) -> None:
    """The quote is in the list: as part of the last one where both are in order, by itself otherwise."""
    if waiting and is_orderly(waiting[-1]) and is_orderly(quote):
        waiting[-1] = merged(waiting[-1], quote)
    elif len(waiting) < APART_MAX:
        waiting.append(quote)
    else:
        waiting[-1] = quote


def is_orderly(quote: Quote) -> bool:
    """Whether the prices could be some."""
    return 0.0 < quote.bid <= quote.ask < inf and 0.0 < quote.mark < inf


def merged(earlier: Quote, later: Quote) -> Quote:
    """The later prices, the extremes of both, and the last rate that was told."""
    told = later.rate == later.rate
    return msgspec.structs.replace(
        later,
        high=max(_high(earlier), _high(later)),
        low=min(_low(earlier), _low(later)),
        rate=later.rate if told else earlier.rate,
        rate_at_ns=(later.rate_at_ns or later.at_ns) if told else (earlier.rate_at_ns or earlier.at_ns),
    )


def _high(quote: Quote) -> float:
    return quote.high if quote.high > quote.mark else quote.mark


def _low(quote: Quote) -> float:
    return quote.low if quote.low < quote.mark else quote.mark
