"""Arithmetic that every rule shares: comparisons that NaN cannot pass, and integer shares that leave no dust."""

from math import inf, nan

from interlock.core.constants import BASE, CHOP, MONEY_SCALE, TREND

__all__ = [
    "above",
    "at_least",
    "by_regime",
    "clip",
    "floor_if",
    "kelly_frac",
    "larger",
    "loss_floor",
    "open_if",
    "room",
    "share",
    "smaller",
    "within",
]


def open_if(safe: bool) -> float:
    """No objection when the safe condition is proven, else a veto."""
    return inf if safe else 0.0


def at_least(amount: float, line: float) -> bool:
    """
    `amount >= line`, both rounded to 1e-6 of account currency; False when either is NaN or infinite.

    Rounding keeps order, so what holds without it holds with it, and only the rest is rounded.
    """
    return -inf < line <= amount < inf or (amount * MONEY_SCALE + 0.5) // 1.0 >= (line * MONEY_SCALE + 0.5) // 1.0


def within(x: float, limit: float) -> bool:
    """Whether x is no further from zero than the limit; False when either is NaN."""
    return -limit <= x <= limit


def above(amount: float, line: float) -> bool:
    """
    `amount > line`, both rounded to 1e-6 of account currency; False when either is NaN or infinite.

    What is further above than rounding reaches is so with it, too, and only the rest is rounded.
    """
    return (
        2.0 / MONEY_SCALE < amount - line < inf or (amount * MONEY_SCALE + 0.5) // 1.0 > (line * MONEY_SCALE + 0.5) // 1.0
    )


def larger(a: float, b: float) -> float:
    """The larger of the two; NaN when either is NaN."""
    return a if a >= b else b if b > a else nan


def smaller(a: float, b: float) -> float:
    """The smaller of the two; NaN when either is NaN."""
    return a if a <= b else b if b < a else nan


def clip(x: float, low: float, high: float) -> float:
    """The number, or the bound that it is beyond; NaN for NaN."""
    return low if x < low else high if x > high else x


def by_regime(regime: float, chop: float, base: float, trend: float) -> float:
    """The one of the three that belongs to the regime; NaN when it is none of them."""
    return base if regime == BASE else trend if regime == TREND else chop if regime == CHOP else nan


def kelly_frac(win_count: float, loss_count: float, won: float, lost: float, prior_count: float) -> float:
    """
    The share of equity at risk by which such a record grows fastest; <= 0 without an edge, NaN unless something was won.

    `p - (1 - p)/b` with the payoff b = mean win / mean loss and the chance p = (wins + m/(1 + b))/(n + m): n trades, and
    m = `prior_count` more without an edge.
    """
    return (
        win_count / (win_count + loss_count + prior_count) * ((won - lost) / won)
        if won > 0.0 and win_count + loss_count + prior_count > 0.0
        else nan
    )


def loss_floor(reference: float, loss_frac: float) -> float:
    """What a reference leaves after a loss of that share; NaN unless the reference is proven > 0."""
    return reference * (1.0 - loss_frac) if reference > 0.0 else nan


def room(line: float, used: float) -> float:
    """What is left of `line`, below 0 where it is overdrawn; a veto unless it is finite and `used` a number >= 0."""
    return line - used if used >= 0.0 and line < inf else 0.0


def floor_if(active: int, bit: int, line: float) -> float:
    """The floor where its rule is on, else -inf."""
    return line if (active >> bit) & 1 else -inf


def share(total: int, part: int, whole: int) -> int:
    """
    `total * part / whole` in integers, rounded towards zero; exactly `total` when `part == whole`.

    Needs 0 <= part <= whole < 2**31 and whole > 0, so that no product leaves 64 bits.
    """
    if part == whole:
        return total
    sign = 1
    if total < 0:
        sign = -1
    size = total * sign
    return sign * (size // whole * part + size % whole * part // whole)
