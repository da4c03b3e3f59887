"""
The arithmetic of a market state, over lists (interpreted) or arrays (compiled) of closes and returns, oldest first.

Every function is total: what does not follow from its numbers is NaN. `scratch` is room for as many numbers as the
longest list has; what stood there is lost. Numbers of definition are in `core.constants`, with their sources.
"""

from math import inf, nan, sqrt

from interlock.core.constants import (
    ATR_BARS,
    CLOSES,
    EWMA_DECAY,
    EWMA_SEED,
    LONG_CLOSES,
    LONG_WEIGHT,
    MAD_SCALE,
    MIDDLE_CLOSES,
    MIDDLE_WEIGHT,
    RETURNS,
    SHORT_CLOSES,
    SHORT_WEIGHT,
    SIGMA_MIN,
    SIGN_PAIRS,
    SPIKE_MAX,
    SPIKE_MIDDLE,
    SPIKE_WIDTH,
    STRENGTH_BARS,
    STRENGTH_SIGMAS,
    WINSOR_FRAC,
)
from interlock.core.numbers import clip
from interlock.core.regime import sigmoid

# ---------------------------------------------------------------- range


def next_atr(atr: float, count: int, high: float, low: float, close_before: float) -> float:
    """
    The average true range with one more bar, after `count` earlier ones.

    Up to `ATR_BARS` bars it is their mean, then Wilder's average. The first bar has no close before it (NaN), and its
    range is high less low.
    """
    widest = high - low
    if high - close_before > widest:
        widest = high - close_before
    if close_before - low > widest:
        widest = close_before - low
    if count <= 0:
        return widest
    weight = float(count if count < ATR_BARS else ATR_BARS - 1)
    bars = weight + 1.0
    return (weight * atr + widest) / bars if bars > 0.0 else nan


# ---------------------------------------------------------------- deviation


def median(ordered: list[float], count: int) -> float:
    """The middle of `count` ordered numbers, the mean of the two in the middle where there are two. Needs count > 0."""
    half = count // 2
    return ordered[half] if count % 2 == 1 else 0.5 * (ordered[half - 1] + ordered[half])


def percentile(ordered: list[float], count: int, frac: float) -> float:
    """The number below which that share of `count` ordered ones lies, between two of them in proportion."""
    place = frac * float(count - 1)
    below = int(place)
    if below >= count - 1:
        return ordered[count - 1]
    return ordered[below] + (place - float(below)) * (ordered[below + 1] - ordered[below])


def ewma_sigma(returns: list[float], low: float, high: float) -> float:
    """
    The exponentially weighted deviation around zero of returns, cut off at `low` and `high`, as a share per bar.

    It starts from the variance of the first `EWMA_SEED` and takes in the others one by one.
    """
    mean = 0.0
    for i in range(EWMA_SEED):
        mean += clip(returns[i], low, high) / EWMA_SEED
    variance = 0.0
    for i in range(EWMA_SEED):
        apart = clip(returns[i], low, high) - mean
        variance += apart * apart / EWMA_SEED
    for i in range(EWMA_SEED, RETURNS):
        cut = returns[i]
        cut = low if cut < low else high if cut > high else cut
        variance = EWMA_DECAY * variance + (1.0 - EWMA_DECAY) * cut * cut
    return sqrt(variance) if variance >= 0.0 else nan


def sigma_of(returns: list[float], scratch: list[float]) -> float:
    """
    The deviation of one bar's return, as a share: the moving one, or the robust one where that is the larger.

    A moving deviation forgets quickly; how much the robust one counts grows with the ratio of the two.
    """
    for i in range(RETURNS):
        scratch[i] = returns[i]
    ordered = scratch[:RETURNS]
    ordered.sort()
    low, high = percentile(ordered, RETURNS, WINSOR_FRAC), percentile(ordered, RETURNS, 1.0 - WINSOR_FRAC)
    middle = median(ordered, RETURNS)
    for i in range(RETURNS):
        scratch[i] = abs(returns[i] - middle)
    deviations = scratch[:RETURNS]
    deviations.sort()
    robust = MAD_SCALE * median(deviations, RETURNS)
    moving = ewma_sigma(returns, low, high)
    spike = clip(robust / moving, 0.0, SPIKE_MAX) if moving > 0.0 else 0.0
    weight = sigmoid((spike - SPIKE_MIDDLE) / SPIKE_WIDTH)
    sigma = (1.0 - weight) * moving + weight * robust
    return clip(sigma, SIGMA_MIN, inf)


# ---------------------------------------------------------------- direction


def slope(logs: list[float], closes: int, scratch: list[float]) -> float:
    """
    The slope per bar of the last `closes` of all logarithms of closes, by Theil's incomplete method.

    That is the median slope between each close of the older half and the one half a span later: a sixteenth of the work
    of all pairs at least, and no less indifferent to outliers. (Theil, Indagationes Mathematicae 12, 1950.)
    """
    half = closes // 2
    bars = float(half)
    if not bars > 0.0:
        return nan
    start = CLOSES - closes
    for i in range(half):
        scratch[i] = (logs[start + i + half] - logs[start + i]) / bars
    slopes = scratch[:half]
    slopes.sort()
    return median(slopes, half)


def drift(logs: list[float], scratch: list[float]) -> float:
    """The slope per bar over a short, a middle and a long span, weighted, in the logarithm of the price."""
    return (
        SHORT_WEIGHT * slope(logs, SHORT_CLOSES, scratch)
        + MIDDLE_WEIGHT * slope(logs, MIDDLE_CLOSES, scratch)
        + LONG_WEIGHT * slope(logs, LONG_CLOSES, scratch)
    )


def strength(mu: float, sigma: float) -> float:
    """How strong a drift is against the deviation, from 0 to 1."""
    below = STRENGTH_SIGMAS * sigma
    return clip(abs(mu) * STRENGTH_BARS / below, 0.0, 1.0) if below > 0.0 else nan


def persistence(returns: list[float]) -> float:
    """The share of returns that go the same way as the one before; a return of zero goes nowhere."""
    same = 0.0
    before = returns[0]
    for i in range(1, RETURNS):
        now = returns[i]
        if now * before > 0.0:
            same += 1.0
        before = now
    return same / SIGN_PAIRS


def market_of(logs: list[float], returns: list[float], scratch: list[float]) -> tuple[float, float, float]:
    """Deviation, trend strength and score (strength plus persistence) after `CLOSES` closes and their returns."""
    sigma = sigma_of(returns, scratch)
    trend = strength(drift(logs, scratch), sigma)
    return sigma, trend, trend + persistence(returns)
