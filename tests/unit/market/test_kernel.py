"""The worked examples of market state, figure by figure."""

import json
from itertools import pairwise
from math import inf, isnan, log, nan, nextafter
from pathlib import Path
from typing import Any, Final

import pytest

from interlock.core import regime
from interlock.core.constants import BASE, CHOP, CLOSES, RETURNS, TREND
from interlock.core.state import SymbolRow
from interlock.market import kernel

WORKED: Final[dict[str, Any]] = json.loads((Path(__file__).parent / "worked.json").read_text())
LOGS: Final = [log(close) for close in WORKED["closes"]]
MOVES: Final = [later - earlier for earlier, later in pairwise(LOGS)]
SCRATCH: Final = [0.0] * CLOSES


def near(found: float, key: str) -> bool:
    return found == pytest.approx(WORKED[key], rel=1e-10)


def test_the_worked_series_has_every_figure_of_its_page() -> None:
    ordered = sorted(MOVES)
    assert (len(LOGS), len(MOVES)) == (CLOSES, RETURNS)
    assert near(kernel.percentile(ordered, RETURNS, 0.01), "low")
    assert near(kernel.percentile(ordered, RETURNS, 0.99), "high")
    assert near(kernel.ewma_sigma(MOVES, WORKED["low"], WORKED["high"]), "moving")
    assert near(regime.sigmoid((WORKED["robust"] / WORKED["moving"] - 1.2) / 0.3), "weight")
    assert near(kernel.sigma_of(MOVES, SCRATCH), "sigma")
    assert [kernel.slope(LOGS, closes, SCRATCH) for closes in (64, 128, 256)] == pytest.approx(WORKED["slopes"], rel=1e-10)
    assert near(kernel.drift(LOGS, SCRATCH), "drift")
    assert near(kernel.strength(WORKED["drift"], WORKED["sigma"]), "strength")
    assert near(kernel.persistence(MOVES), "persistence")
    assert near(kernel.market_of(LOGS, MOVES, SCRATCH)[2], "score")
    assert regime.regime_of(WORKED["score"], 0.90, 0.65) == {"TREND": TREND, "BASE": BASE, "CHOP": CHOP}[WORKED["label"]]
    assert near(regime.p_above(WORKED["score"], 0.90), "p_trend")
    assert near(regime.p_above(0.65, WORKED["score"]), "p_chop")


def test_a_range_begins_with_a_mean_and_goes_on_as_wilder_has_it() -> None:
    atr = nan
    for count in range(14):
        atr = kernel.next_atr(atr, count, 100.0 + count, 100.0, nan)
    assert atr == pytest.approx(6.5)
    assert kernel.next_atr(atr, 14, 100.0, 90.0, 95.0) == pytest.approx((13 * 6.5 + 10.0) / 14)
    assert kernel.next_atr(atr, 14, 100.0, 90.0, 75.0) == pytest.approx((13 * 6.5 + 25.0) / 14)
    assert kernel.next_atr(atr, 14, 100.0, 90.0, 120.0) == pytest.approx((13 * 6.5 + 30.0) / 14)


def test_a_market_that_stands_still_is_no_trend() -> None:
    still = [4.0] * CLOSES
    sigma, strength, score = kernel.market_of(still, [0.0] * RETURNS, SCRATCH)
    assert (sigma, strength, score) == (1e-6, 0.0, 0.0)
    assert regime.regime_of(score, 0.90, 0.65) == CHOP


def test_a_market_that_goes_one_way_is_a_trend() -> None:
    rising = [0.001 * number for number in range(CLOSES)]
    _, strength, score = kernel.market_of(rising, [0.001] * RETURNS, SCRATCH)
    assert (strength, score) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.0, CHOP),
        (nextafter(0.65, 0.0), CHOP),
        (0.65, BASE),
        (0.90, BASE),
        (nextafter(0.90, 1.0), TREND),
        (2.0, TREND),
    ],
)
def test_a_score_on_a_threshold_is_base(score: float, expected: float) -> None:
    assert regime.regime_of(score, 0.90, 0.65) == expected


@pytest.mark.parametrize("score", [nan, inf, -inf, -0.001])
def test_a_score_that_cannot_be_is_no_regime(score: float) -> None:
    assert isnan(regime.regime_of(score, 0.90, 0.65))


@pytest.mark.parametrize(("trend", "chop"), [(nan, 0.65), (0.90, nan), (0.5, 0.65), (inf, 0.65), (0.9, -0.1)])
def test_thresholds_that_cannot_be_give_no_regime(trend: float, chop: float) -> None:
    assert isnan(regime.regime_of(0.95, trend, chop))


@pytest.mark.parametrize("x", [-1e308, -800.0, -1.0, 0.0, 1.0, 800.0, 1e308, inf, -inf])
def test_a_sigmoid_never_overflows_and_is_even(x: float) -> None:
    assert 0.0 <= regime.sigmoid(x) <= 1.0
    assert regime.sigmoid(x) + regime.sigmoid(-x) == pytest.approx(1.0)


def test_a_sigmoid_of_nothing_is_nothing() -> None:
    assert isnan(regime.sigmoid(nan))


def told(**changes: float) -> SymbolRow:
    """A row that was told a market state by somebody who names its label."""
    given = {
        "atr": 1.0, "sigma": 0.01, "trend_strength": 0.3, "score": nan, "regime": TREND,
        "p_trend": 0.7, "p_base": 0.2, "p_chop": 0.1, "at_ns": 1, "trend_min": 0.9, "chop_max": 0.65,
    }  # fmt: skip
    r = SymbolRow()
    regime.on_market_state(r, **(given | changes))  # type: ignore[arg-type]
    return r


def test_a_label_that_is_told_stands_whatever_the_score() -> None:
    assert (told(score=0.1).regime, told(score=0.1).regime_p) == (TREND, 0.7)


@pytest.mark.parametrize(
    "wrong", [{"p_trend": nan}, {"p_trend": 1.5}, {"p_chop": -0.1}, {"p_base": inf}, {"regime": nan}, {"regime": 7.0}]
)
def test_a_label_without_plausible_probabilities_is_unknown(wrong: dict[str, float]) -> None:
    r = told(**wrong)
    assert isnan(r.regime)
    assert isnan(r.regime_p)


@pytest.mark.parametrize("name", ["atr", "sigma"])
@pytest.mark.parametrize("value", [nan, 0.0, -1.0, inf])
def test_a_deviation_or_a_range_that_cannot_be_is_unknown(name: str, value: float) -> None:
    assert isnan(getattr(told(**{name: value}), name))
