"""What a symbol is at its venue: how steps and prices become money."""

from itertools import pairwise
from math import inf, nan
from typing import Final

import msgspec

from interlock.core.constants import MAX_STEPS, STEP_TOLERANCE

MOST: Final = float(MAX_STEPS)
"""Compared with a float: a float and an integer take the interpreter several times as long."""


class Instrument(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """
    One tradable symbol.

    A linear contract is settled in its quote currency, an inverse one in its base currency; the rate that comes with
    its quotes turns that currency into account currency, and is 1 by itself only for a linear contract quoted in it.

    `multiplier` is quote currency per price point and base unit; for an inverse contract it is quote currency per
    contract and money is settled in the base currency. `step` is the venue's quantity step in base units (contracts),
    `tick` its price step. `sessions` are UTC intervals `(open_ns, close_ns)` in order; empty means always open.
    `bracket_leverage` is the largest margin leverage that the venue offers, NaN where it does not say.
    `maintenance_frac` is the share of a position's value that its margin must not fall under, NaN where it is not known;
    `maintenance_tiers` are larger shares for larger positions, as pairs of the value in settlement currency from which a
    share holds, ascending.
    """

    symbol: str
    venue: str
    quote_currency: str
    step: float
    tick: float
    min_notional: float
    multiplier: float = 1.0
    inverse: bool = False
    bracket_leverage: float = inf
    maintenance_frac: float = 0.0
    sessions: tuple[tuple[int, int], ...] = ()
    reduce_only: bool = True
    maintenance_tiers: tuple[tuple[float, float], ...] = ()

    def problems(self) -> tuple[str, ...]:
        """Everything that makes the definition unusable, as sentences; empty when it is sound."""
        found = [
            f"{self.symbol}: {name} must be a number > 0, found {value!r}"
            for name, value in (("step", self.step), ("tick", self.tick), ("multiplier", self.multiplier))
            if not 0.0 < value < inf
        ]
        if not 0.0 <= self.min_notional < inf:
            found.append(f"{self.symbol}: min_notional must be a number >= 0, found {self.min_notional!r}")
        edges = [edge for session in self.sessions for edge in session]
        if any(later <= earlier for earlier, later in pairwise(edges)):
            found.append(f"{self.symbol}: sessions must be open < close and in order without overlap")
        if not (0.0 <= self.maintenance_frac < 1.0 or self.maintenance_frac != self.maintenance_frac):
            found.append(f"{self.symbol}: maintenance_frac must be in [0, 1) or NaN, found {self.maintenance_frac!r}")
        tiers = ((0.0, self.maintenance_frac), *self.maintenance_tiers)
        if any(not (later[0] > earlier[0] and earlier[1] <= later[1] < 1.0) for earlier, later in pairwise(tiers)):
            found.append(f"{self.symbol}: maintenance_tiers must ascend in value and share, and stay below 1")
        return tuple(found)

    def steps_down(self, quantity: float) -> int:
        """Whole steps in `quantity` base units, rounded towards zero and bounded; 0 unless it is a number > 0."""
        if not 0.0 < quantity < inf:
            return 0
        steps = quantity / self.step
        if not steps < MOST:
            return MAX_STEPS
        whole = int(steps + steps * STEP_TOLERANCE)
        return whole if whole < MAX_STEPS else MAX_STEPS

    def quantity(self, steps: int) -> float:
        """Base units in `steps`, signed as they are."""
        return steps * self.step

    def value(self, price: float) -> float:
        """
        Quote-currency value of one base unit, growing with the price: P&L is quantity times its difference.

        Linear: `multiplier * price`. Inverse: `-multiplier / price`, in base currency.
        """
        return -self.multiplier / price if self.inverse else self.multiplier * price

    def liquidation_price(
        self, side: float, price: float, leverage: float, steps: float, held: float, cost: float
    ) -> float:
        """
        The price at which the venue would take over a position, estimated as if it stood alone; NaN where unknown.

        That is where what is left of its initial margin is its maintenance margin; 0 (bought) and infinity (sold) are
        never. The position is `steps` at `price` on top of `held` on the same side, which cost so much in settlement
        currency, all >= 0.
        """
        share = self.maintenance_frac
        if not (share >= 0.0 and leverage > 0.0 and price > 0.0):
            return nan
        if held > 0.0:
            unit = self.multiplier * self.step
            total = held + steps
            price = unit * total / (cost + unit * steps / price) if self.inverse else (cost / unit + price * steps) / total
        if self.maintenance_tiers:
            value = abs(self.value(price)) * (held + steps) * self.step
            share = max((higher for least, higher in self.maintenance_tiers if value >= least), default=share)
        margin = side / leverage
        if self.inverse:
            return price * (1.0 + side * share) / (1.0 + margin) if margin > -1.0 else inf
        return price * (1.0 - margin) / (1.0 - side * share) if margin < 1.0 else 0.0

    def price_at(self, value: float) -> float:
        """The price at which one base unit has that value; the inverse of `value`."""
        return -self.multiplier / value if self.inverse else value / self.multiplier

    def unit_value(self, price: float, rate: float) -> float:
        """Notional of one step in account currency, >= 0, at `price` and `rate` (settlement to account currency)."""
        value = self.multiplier / price if self.inverse else self.multiplier * price
        return value * self.step * rate
