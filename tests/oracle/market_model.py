"""
A market state computed a second time, from its definition alone and with numpy: whole arrays, no shared code.

Written from the specification's page on market state; nothing of `interlock.market` or the core is used or was looked at
for it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(x: float) -> float:
    return float(0.5 * (1.0 + np.tanh(0.5 * x)))


def moving_deviation(returns: Array) -> float:
    """Winsorised at 1 % and 99 %; the variance of the first ten, then (1 - w) of the old and w of each new square."""
    cut = np.clip(returns, *np.percentile(returns, [1.0, 99.0]))
    weights = 0.06 * 0.94 ** np.arange(len(cut) - 11, -1, -1)
    return float(np.sqrt(0.94 ** (len(cut) - 10) * np.var(cut[:10]) + np.dot(weights, cut[10:] ** 2)))


def robust_deviation(returns: Array) -> float:
    return float(1.4826 * np.median(np.abs(returns - np.median(returns))))


def sigma(returns: Array) -> float:
    moving, robust = moving_deviation(returns), robust_deviation(returns)
    spike = float(np.clip(robust / moving, 0.0, 5.0)) if moving > 0.0 else 0.0
    w = sigmoid((spike - 1.2) / 0.3)
    return max(1e-6, (1.0 - w) * moving + w * robust)


def theil(values: Array) -> float:
    """The median slope of the pairs (i, i + n/2)."""
    half = len(values) // 2
    return float(np.median((values[half:] - values[:half]) / half))


def market(closes: Sequence[float]) -> tuple[float, float, float]:
    """Sigma, trend strength and score after 257 closes."""
    logs = np.log(np.asarray(closes, dtype=np.float64))
    assert logs.shape == (257,)
    returns = np.diff(logs)
    deviation = sigma(returns)
    mu = np.dot([0.5, 0.3, 0.2], [theil(logs[-n:]) for n in (64, 128, 256)])
    ts = min(1.0, abs(float(mu)) * 8.0 / (3.0 * deviation))
    signs = np.sign(returns)
    dp = float(np.mean((signs[1:] == signs[:-1]) & (signs[1:] != 0.0)))
    return deviation, ts, ts + dp


def regime(score: float) -> tuple[str, float, float, float]:
    """The label, and how likely TREND, BASE and CHOP are."""
    p_trend, p_chop = sigmoid((score - 0.90) / 0.05), sigmoid((0.65 - score) / 0.05)
    label = "TREND" if score > 0.90 else "CHOP" if score < 0.65 else "BASE"
    return label, p_trend, 1.0 - p_trend - p_chop, p_chop


def wilder(high: Sequence[float], low: Sequence[float], close: Sequence[float], bars: int) -> float:
    """The average true range after all bars."""
    h, l, c = (np.asarray(each, dtype=np.float64) for each in (high, low, close))  # noqa: E741 (as in the formula)
    ranges = np.maximum.reduce([h[1:] - l[1:], np.abs(h[1:] - c[:-1]), np.abs(l[1:] - c[:-1])])
    ranges = np.concatenate([h[:1] - l[:1], ranges])
    atr = float(np.mean(ranges[:bars]))
    for each in ranges[bars:]:
        atr = ((bars - 1) * atr + float(each)) / bars
    return atr


def correlation(x: Sequence[float], y: Sequence[float], decay: float) -> float:
    a, b = np.asarray(x), np.asarray(y)
    weights = (1.0 - decay) * decay ** np.arange(len(a) - 1, -1, -1.0)
    weights[0] = decay ** (len(a) - 1)
    return float(weights @ (a * b) / np.sqrt((weights @ a**2) * (weights @ b**2)))
