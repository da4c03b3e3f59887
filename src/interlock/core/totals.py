"""
What the open positions come to: each adds its part, which is taken anew when something at the position was written.

Sums are taken over all parts, in the order of the rows, whenever one has changed: a running total of floats drifts.
"""

from collections.abc import Iterable
from typing import NamedTuple, Self

import msgspec

from interlock.core.constants import OPERATOR_NS


class Part(msgspec.Struct, frozen=True, gc=False):
    """
    What one position adds, in account currency, `notional` to its strategy and its cluster, too; NaN is not known.

    Of the instants the earliest counts: `seen_ns` is when its price was last accepted, `fresh_until_ns` when that becomes
    too old; where its venue is closed and no price is expected they say never. `unknown` is 1 for one that is in doubt.
    """

    notional: float
    net: float
    margin: float
    risk: float
    pnl: float
    unknown: int
    owner: int
    cluster: int
    seen_ns: int
    rate_ns: int
    fresh_until_ns: int


class Sums(NamedTuple):
    """What all positions come to; the notional of each strategy's and of each cluster's by number."""

    notional: float
    net: float
    margin: float
    risk: float
    pnl: float
    unknown: int
    strategies: dict[int, float]
    clusters: dict[int, float]


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
    """The parts of all positions, in the order of their rows."""

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}
        self.seen = Instants()
        self.rates = Instants()
        self.fresh_until = Instants()
        self.summed: Sums | None = None

    def copy(self) -> Self:
        """Totals of their own with the same parts."""
        twin = type(self).__new__(type(self))
        twin.parts, twin.summed = self.parts.copy(), self.summed
        twin.seen, twin.rates, twin.fresh_until = self.seen.copy(), self.rates.copy(), self.fresh_until.copy()
        return twin

    def put(self, row: int, part: Part) -> None:
        """The row's position adds this, and no longer what it added before."""
        new = row not in self.parts
        self.parts[row] = part
        self.summed = None
        if new:
            self.parts = dict(sorted(self.parts.items()))
        self.seen.put(row, part.seen_ns)
        self.rates.put(row, part.rate_ns)
        self.fresh_until.put(row, part.fresh_until_ns)

    def remove(self, row: int) -> None:
        """The row is no position and adds nothing."""
        if self.parts.pop(row, None) is not None:
            self.summed = None
            for instants in (self.seen, self.rates, self.fresh_until):
                instants.remove(row)

    def sums(self) -> Sums:
        """What all positions come to, taken anew if a part has changed since."""
        if self.summed is None:
            self.summed = _summed(self.parts.values())
        return self.summed


def _summed(parts: Iterable[Part]) -> Sums:
    held = net = margin = risk = pnl = 0.0
    unknown = 0
    strategies: dict[int, float] = {}
    clusters: dict[int, float] = {}
    for part in parts:
        notional = part.notional
        held += notional
        net += part.net
        margin += part.margin
        risk += part.risk
        pnl += part.pnl
        unknown += part.unknown
        strategies[part.owner] = strategies.get(part.owner, 0.0) + notional
        clusters[part.cluster] = clusters.get(part.cluster, 0.0) + notional
    return Sums(held, net, margin, risk, pnl, unknown, strategies, clusters)
