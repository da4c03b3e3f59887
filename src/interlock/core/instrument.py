"""What a symbol is at its venue: how steps and prices become money."""

from itertools import pairwise
from math import inf

import msgspec

from interlock.core.constants import MAX_STEPS, STEP_TOLERANCE


class Instrument(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """
    One tradable symbol.

    A linear contract is settled in its quote currency, an inverse one in its base currency; the rate that comes with
    its quotes turns that currency into account currency, and is 1 by itself only for a linear contract quoted in it.

    `multiplier` is quote currency per price point and base unit; for an inverse contract it is quote currency per
    contract and money is settled in the base currency. `step` is the venue's quantity step in base units (contracts),
    `tick` its price step. `sessions` are UTC intervals `(open_ns, close_ns)` in order; empty means always open.
    `bracket_leverage` is the largest margin leverage that the venue offers, NaN where it does not say.
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
        return tuple(found)

    def steps_down(self, quantity: float) -> int:
        """Whole steps in `quantity` base units, rounded towards zero and bounded; 0 unless it is a number > 0."""
        if not 0.0 < quantity < inf:
            return 0
        steps = quantity / self.step
        return min(int(steps + steps * STEP_TOLERANCE), MAX_STEPS) if steps < MAX_STEPS else MAX_STEPS

    def quantity(self, steps: int) -> float:
        """Base units in `steps`, signed as they are."""
        return steps * self.step

    def value(self, price: float) -> float:
        """
        Quote-currency value of one base unit, growing with the price: P&L is quantity times its difference.

        Linear: `multiplier * price`. Inverse: `-multiplier / price`, in base currency.
        """
        return -self.multiplier / price if self.inverse else self.multiplier * price

    def unit_value(self, price: float, rate: float) -> float:
        """Notional of one step in account currency, >= 0, at `price` and `rate` (settlement to account currency)."""
        return abs(self.value(price)) * self.step * rate
