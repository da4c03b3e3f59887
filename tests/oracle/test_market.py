"""Two implementations of the market state, written apart, say the same."""

import random
from itertools import accumulate, pairwise
from math import exp, isclose

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core import regime
from interlock.core.constants import BASE, CHOP, CLOSES, RETURNS, TREND
from interlock.core.messages import BarClosed
from interlock.core.state import SymbolRow
from interlock.core.together import correlation, weigh
from interlock.market import MarketSeries
from market_series import walks
from oracle import market_model

NUMBERS = {"TREND": TREND, "BASE": BASE, "CHOP": CHOP}
HOUR_NS = 3_600_000_000_000


def near(ours: float, theirs: float) -> bool:
    return isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)


def bars_of(logs: list[float], seed: int) -> list[BarClosed]:
    chance = random.Random(seed)
    closes = [exp(each) for each in logs]
    bars = []
    for number, (before, close) in enumerate(pairwise([closes[0], *closes])):
        high, low = max(before, close) * exp(chance.random() * 0.01), min(before, close) * exp(-chance.random() * 0.01)
        bars.append(BarClosed("X", number * HOUR_NS, 3600.0, before, high, low, close))
    return bars


@given(walks(CLOSES + 40), st.integers(0, 1000))
@settings(max_examples=150)
def test_a_series_of_bars_has_the_state_of_its_definition(logs: list[float], seed: int) -> None:
    bars = bars_of(logs, seed)
    series = MarketSeries("X")
    assert all(series.add(bar) for bar in bars)
    ours = series.state()
    sigma, strength, score = market_model.market([bar.close for bar in bars[-CLOSES:]])
    assert near(ours.sigma, sigma)
    assert near(ours.trend_strength, strength)
    assert near(ours.score, score)
    high, low, close = ([getattr(bar, name) for bar in bars] for name in ("high", "low", "close"))
    assert near(ours.atr, market_model.wilder(high, low, close, 14))


@given(st.floats(0.0, 2.0))
@settings(max_examples=300)
def test_a_score_has_the_regime_of_its_definition(score: float) -> None:
    r = SymbolRow()
    regime.on_market_state(r, 1.0, 0.01, 0.1, score, 0.0, 0.0, 0.0, 0.0, 1, 0.90, 0.65)
    label, *likely = market_model.regime(score)
    assert r.regime == NUMBERS[label]
    for ours, theirs in zip((r.p_trend, r.p_base, r.p_chop), likely, strict=True):
        assert isclose(ours, theirs, abs_tol=1e-12)
    assert r.regime_p == {"TREND": r.p_trend, "BASE": r.p_base, "CHOP": r.p_chop}[label]


@given(walks(RETURNS), walks(RETURNS), st.integers(2, 128), st.sampled_from((0.94, 0.97)))
def test_a_correlation_is_that_of_its_definition(x: list[float], y: list[float], count: int, decay: float) -> None:
    ours = correlation(*(weigh(tuple(accumulate(each[:count], initial=0.0)), decay) for each in (x, y)))
    assert near(ours, market_model.correlation(x[:count], y[:count], decay))
