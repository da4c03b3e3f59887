"""Trades: from flat to flat, what each risked, what came of it, and how it was left."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from operator import itemgetter
from typing import Final

from interlock.demo.diary import Deal, Diary

ENTRY: Final = "entry"
EVEN_R: Final = 0.05
"""Results nearer to nothing than this are neither won nor lost."""


@dataclass(frozen=True, slots=True)
class Trade:
    """
    One position from its first fill until it was flat; money in account currency.

    `gained` is after fees. `r` is `gained` over what all its entries together would have lost at the stops that they were
    made with. `rungs` are the rules that closed part of it or moved its stop, in the order of their first time; `exit` is
    what closed its last part.
    """

    symbol: str
    side: int
    start_ns: int
    end_ns: int
    quantity: float
    entry: float
    gained: float
    r: float
    rungs: tuple[str, ...]
    exit: str


def trades(diary: Diary) -> list[Trade]:
    """Every trade that was over when the run was, in the order of their ends."""
    held: dict[str, list[Deal]] = {}
    moves: dict[str, list[tuple[int, str]]] = {}
    for at_ns, symbol, rung in diary.moves:
        moves.setdefault(symbol, []).append((at_ns, rung))
    found = []
    for deal in diary.deals:
        held.setdefault(deal.symbol, []).append(deal)
        if deal.left == 0.0:
            found.append(_trade(held.pop(deal.symbol), moves.get(deal.symbol, [])))
    return found


def _trade(deals: Sequence[Deal], moves: Sequence[tuple[int, str]]) -> Trade:
    first, last = deals[0], deals[-1]
    entries = [deal for deal in deals if deal.why == ENTRY]
    bought = sum(abs(deal.quantity) for deal in entries)
    risk = sum(abs(deal.quantity * (deal.price - deal.stop)) for deal in entries)
    gained = -sum(deal.quantity * deal.price + deal.fees for deal in deals)
    return Trade(
        symbol=first.symbol,
        side=1 if first.quantity > 0.0 else -1,
        start_ns=first.at_ns,
        end_ns=last.at_ns,
        quantity=bought,
        entry=sum(abs(deal.quantity) * deal.price for deal in entries) / bought,
        gained=gained,
        r=gained / risk if risk > 0.0 else nan,
        rungs=tuple(
            dict.fromkeys(rung for _, rung in moves[slice(*_between(moves, first.at_ns, last.at_ns))] if rung != last.why)
        ),
        exit=last.why,
    )


def _between(moves: Sequence[tuple[int, str]], start_ns: int, end_ns: int) -> tuple[int, int]:
    return bisect_left(moves, start_ns, key=itemgetter(0)), bisect_right(moves, end_ns, key=itemgetter(0))


def exits(diary: Diary) -> dict[str, int]:
    """How many fills closed something, by what asked for it, most frequent first."""
    return dict(Counter(deal.why for deal in diary.deals if deal.why != ENTRY).most_common())


def mean_r(found: Sequence[Trade]) -> float:
    """The mean result of trades in units of what they risked; NaN without any."""
    known = [trade.r for trade in found if trade.r == trade.r]
    return sum(known) / len(known) if known else nan


def won_frac(found: Sequence[Trade]) -> float:
    """The share of trades that won more than nothing to speak of; NaN without any."""
    return sum(trade.r >= EVEN_R for trade in found) / len(found) if found else nan
