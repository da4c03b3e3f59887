"""
Which regime a market is in: TREND, BASE or CHOP, from its score by the policy's thresholds.

The score is trend strength plus persistence (`interlock.market` computes it from bars, others may send it). A regime
that is not proven is NaN: unknown, and never the ordinary one.
"""

from math import exp, inf, nan

from interlock.core.constants import BASE, CHOP, SCORE_WIDTH, TREND
from interlock.core.numbers import by_regime
from interlock.core.state import SymbolRow

__all__ = ["on_market_state", "p_above", "regime_of", "sigmoid"]


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), in (0, 1) or at its ends; NaN for NaN. Never overflows."""
    small = exp(-x) if x >= 0.0 else exp(x)
    whole = 1.0 + small
    if not whole > 0.0:
        return nan
    return 1.0 / whole if x >= 0.0 else small / whole


def regime_of(score: float, trend_min: float, chop_max: float) -> float:
    """The regime of a score: TREND above the one threshold, CHOP below the other, else BASE; NaN unless all are known."""
    if not 0.0 <= chop_max <= trend_min < inf:
        return nan
    if score > trend_min:
        return TREND if score < inf else nan
    if score < chop_max:
        return CHOP if score >= 0.0 else nan
    return BASE if score >= chop_max else nan


def p_above(high: float, low: float) -> float:
    """How sure it is that one score is above another, from 0 to 1: one half where they are equal."""
    return sigmoid((high - low) / SCORE_WIDTH)


def on_market_state(
    r: SymbolRow,
    atr: float,
    sigma: float,
    trend_strength: float,
    score: float,
    regime: float,
    p_trend: float,
    p_base: float,
    p_chop: float,
    at_ns: int,
    trend_min: float,
    chop_max: float,
) -> None:
    """
    The row's market state is this one; what cannot be meant is unknown.

    `regime` 0.0 leaves the label to the score, and then the probabilities follow from it too.
    """
    r.atr = atr if 0.0 < atr < inf else nan
    r.sigma = sigma if 0.0 < sigma < inf else nan
    r.trend_strength = trend_strength if 0.0 <= trend_strength < inf else nan
    r.market_at_ns = at_ns
    if regime == 0.0:
        regime = regime_of(score, trend_min, chop_max)
        p_trend = p_above(score, trend_min)
        p_chop = p_above(chop_max, score)
        p_base = 1.0 - p_trend - p_chop
    r.p_trend = p_trend if 0.0 <= p_trend <= 1.0 else nan
    r.p_base = p_base if 0.0 <= p_base <= 1.0 else nan
    r.p_chop = p_chop if 0.0 <= p_chop <= 1.0 else nan
    known = r.p_trend + r.p_base + r.p_chop >= 0.0
    r.regime_p = by_regime(regime, r.p_chop, r.p_base, r.p_trend) if known else nan
    r.regime = regime if r.regime_p >= 0.0 else nan
