"""The interpreted and the compiled market state agree to the bit, over any series of closes."""

from itertools import pairwise
from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from interlock.batch.compile import compiled
from interlock.core.constants import CLOSES
from interlock.market import kernel
from market_series import walks


def bits(numbers: tuple[float, ...]) -> list[str]:
    return [float(number).hex() for number in numbers]


def both(function: Any, *arguments: Any) -> tuple[Any, Any]:
    """What the function and its twin say; lists become arrays for the twin."""
    arrays = (np.array(each) if isinstance(each, list) else each for each in arguments)
    return function(*arguments), compiled(function)(*arrays)


@given(walks(CLOSES))
@settings(max_examples=60)
def test_a_state_and_its_twin(logs: list[float]) -> None:
    returns = [later - earlier for earlier, later in pairwise(logs)]
    interpreted, twin = both(kernel.market_of, logs, returns, [0.0] * CLOSES)
    assert bits(interpreted) == bits(twin)


@given(walks(CLOSES))
@settings(max_examples=20)
def test_the_series_is_left_as_it_was(logs: list[float]) -> None:
    returns = [later - earlier for earlier, later in pairwise(logs)]
    closes, moves = np.array(logs), np.array(returns)
    compiled(kernel.market_of)(closes, moves, np.zeros(CLOSES))
    kernel.market_of(logs, returns, [0.0] * CLOSES)
    assert (closes.tolist(), moves.tolist()) == (logs, returns)


@pytest.mark.parametrize("count", [0, 1, 13, 14, 1000])
@pytest.mark.parametrize("close_before", [nan, 90.0, 100.0, 110.0])
def test_a_range_and_its_twin(count: int, close_before: float) -> None:
    interpreted, twin = both(kernel.next_atr, nan if count == 0 else 1.7, count, 101.0, 99.0, close_before)
    assert bits((interpreted,)) == bits((twin,))
