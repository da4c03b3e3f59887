"""
What the open positions come to: each adds its part, and when it changes the old part goes and the new one comes.

Sums are kept in whole numbers, which do not drift: taken anew over all positions, in whatever order, they are the same.
"""

from math import nan
from operator import add, sub
from typing import Final, NamedTuple, Self

from interlock.core.constants import OPERATOR_NS, SUM_MAX, SUM_UNIT, UNKNOWN_AMOUNT


class Amounts(NamedTuple):
    """What is added up, in whole units of the sums; `unknown` counts positions that are not known."""

    notional: int = 0
    net: int = 0
    margin: int = 0
    risk: int = 0
    pnl: int = 0
    unknown: int = 0


class Part(NamedTuple):
    """
    What one position adds, to its strategy and its cluster too, and instants of which the earliest counts.

    `seen_ns` is when its price was last accepted, `fresh_until_ns` when that becomes too old; where its venue is closed and
    no price is expected they say never.
    """

    amounts: Amounts
    owner: int
    cluster: int
    seen_ns: int
    rate_ns: int
    fresh_until_ns: int


class Instants:
    """Instants by row, of which the earliest counts; `first_ns` is that one, None while it is to be found anew."""

    def __init__(self) -> None:
        self.by_row: dict[int, int] = {}
        self.first_ns: int | None = OPERATOR_NS

    def copy(self) -> Self:
        """Instants of their own, the same."""
        twin = type(self).__new__(type(self))
        twin.by_row, twin.first_ns = self.by_row.copy(), self.first_ns
        return twin

    def put(self, row: int, at_ns: int) -> None:
        """The row's instant is this one."""
        before_ns = self.by_row.get(row, OPERATOR_NS)
        self.by_row[row] = at_ns
        if self.first_ns is not None and at_ns <= self.first_ns:
            self.first_ns = at_ns
        elif before_ns == self.first_ns:
            self.first_ns = None

    def remove(self, row: int) -> None:
        """The row has none."""
        if self.by_row.pop(row, OPERATOR_NS) == self.first_ns:
            self.first_ns = None

    @property
    def earliest_ns(self) -> int:
        """The earliest of them; an operator's where there is none."""
        if self.first_ns is None:
            self.first_ns = min(self.by_row.values(), default=OPERATOR_NS)
        return self.first_ns


class Totals:
    """The parts of all positions by row, and their sums."""

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}
        self.sums = Amounts()
        self.strategies: dict[int, int] = {}
        self.clusters: dict[int, int] = {}
        self.seen = Instants()
        self.rates = Instants()
        self.fresh_until = Instants()

    def copy(self) -> Self:
        """Totals of their own with the same parts."""
        twin = type(self).__new__(type(self))
        twin.parts, twin.sums = self.parts.copy(), self.sums
        twin.strategies, twin.clusters = self.strategies.copy(), self.clusters.copy()
        twin.seen, twin.rates, twin.fresh_until = self.seen.copy(), self.rates.copy(), self.fresh_until.copy()
        return twin

    def put(self, row: int, part: Part) -> None:
        """The row's position adds this, and no longer what it added before."""
        before = self.parts.get(row)
        if before == part:
            return
        self._add(before, part)
        self.parts[row] = part
        self.seen.put(row, part.seen_ns)
        self.rates.put(row, part.rate_ns)
        self.fresh_until.put(row, part.fresh_until_ns)

    def remove(self, row: int) -> None:
        """The row is no position and adds nothing."""
        before = self.parts.pop(row, None)
        if before is not None:
            self._add(before, None)
            for instants in (self.seen, self.rates, self.fresh_until):
                instants.remove(row)

    def _add(self, gone: Part | None, come: Part | None) -> None:
        less = NOTHING if gone is None else gone.amounts
        more = NOTHING if come is None else come.amounts
        self.sums = Amounts(*map(add, map(sub, self.sums, less), more))
        if gone is not None:
            self.strategies[gone.owner] -= less.notional
            self.clusters[gone.cluster] -= less.notional
        if come is not None:
            self.strategies[come.owner] = self.strategies.get(come.owner, 0) + more.notional
            self.clusters[come.cluster] = self.clusters.get(come.cluster, 0) + more.notional


NOTHING: Final = Amounts()


def whole(amount: float) -> int:
    """The amount of account currency in whole units of the sums."""
    units = amount / SUM_UNIT
    return int(units) if -SUM_MAX < units < SUM_MAX else UNKNOWN_AMOUNT


def amount_of(total: int) -> float:
    """The sum in account currency; NaN where any part of it is unknown."""
    return total * SUM_UNIT if total < UNKNOWN_AMOUNT // 2 else nan
