"""pandas: the exponentially weighted correlation of two series of returns."""

import random
from itertools import accumulate
from math import isclose
from typing import Any, Final

import pytest

from interlock.core.constants import CORRELATION_RETURNS
from interlock.core.together import correlation, weigh
from peers.asking import ask


def series() -> list[dict[str, Any]]:
    """Pairs of series, from unrelated to nearly the same, short ones and one with a jump among them."""
    chance = random.Random(9)
    told = []
    for number in range(60):
        count = chance.choice((2, 30, CORRELATION_RETURNS))
        alike = chance.uniform(-1.0, 1.0)
        x = [chance.gauss(0.0, 0.02) for _ in range(count)]
        y = [alike * each + (1.0 - abs(alike)) * chance.gauss(0.0, 0.02) for each in x]
        if number % 5 == 0:
            y[-1] = -0.3
        told.append({"x": x, "y": y, "decay": chance.choice((0.94, 0.97))})
    return told


SERIES: Final = series()


@pytest.fixture(scope="module")
def theirs(peers: None) -> list[float]:
    return ask("pandas", SERIES)


def apart(theirs: list[float], faster: float = 0.0) -> int:
    """How many correlations differ, our decay being faster by that much."""
    ours = [
        correlation(*(weigh(tuple(accumulate(each[name], initial=7.0)), each["decay"] - faster) for name in "xy"))
        for each in SERIES
    ]
    return sum(not isclose(*pair, rel_tol=0.0, abs_tol=1e-12) for pair in zip(ours, theirs, strict=True))


def test_a_correlation_is_the_same(theirs: list[float]) -> None:
    assert max(map(abs, theirs)) > 0.9 > 0.1 > min(map(abs, theirs))
    assert apart(theirs) == 0


def test_a_decay_a_little_off_would_be_found(theirs: list[float]) -> None:
    assert apart(theirs, 1e-6) > len(SERIES) // 2
