"""What a run of the demonstration leaves behind besides its journal: why each fill was, and where each stop lay."""

from dataclasses import dataclass, field
from typing import NamedTuple

from interlock.study.journal import Journal


class Deal(NamedTuple):
    """
    One fill and what it was for: an entry with its stop's price, or the exit that `why` names, with no stop.

    `quantity` is positive when bought; `left` is what was held after it. Both are in base units.
    """

    at_ns: int
    symbol: str
    quantity: float
    price: float
    fees: float
    left: float
    why: str
    stop: float


@dataclass(slots=True)
class Diary(Journal):
    """
    The journal of a run, with its deals in order.

    `stops` are the prices of stops as they were placed and moved, NaN where one ended; `moves` say which rule wanted
    something of a position: instant, symbol, rung.
    """

    deals: list[Deal] = field(default_factory=list)
    stops: list[tuple[int, str, float]] = field(default_factory=list)
    moves: list[tuple[int, str, str]] = field(default_factory=list)
