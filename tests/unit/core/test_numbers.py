"""What takes a short way says what the long one says."""

from math import inf, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlock.core.measure import NEVER, present_or_next
from interlock.core.numbers import above, at_least, room

MONEY = st.floats(-1e9, 1e9)
CLOSE = st.sampled_from((0.0, 4e-7, 5e-7, 6e-7, 1e-6, 2e-6, 2.000001e-6, 3e-6, -5e-7, -1e-6, 1.0))


def rounded(amount: float) -> float:
    """The amount in whole millionths, half up."""
    return (amount * 1e6 + 0.5) // 1.0


@given(line=MONEY, beyond=CLOSE | MONEY)
@example(line=0.0, beyond=5e-7)
def test_money_is_compared_in_whole_millionths(line: float, beyond: float) -> None:
    amount = line + beyond
    assert above(amount, line) == (rounded(amount) > rounded(line))
    assert at_least(amount, line) == (rounded(amount) >= rounded(line))


@pytest.mark.parametrize("unknown", [nan, inf, -inf])
def test_what_is_not_finite_is_neither_above_nor_below(unknown: float) -> None:
    for one, other in ((unknown, 1.0), (1.0, unknown), (unknown, unknown)):
        assert not above(one, other)
        assert not at_least(one, other)


@pytest.mark.parametrize("unknown", [nan, inf, -inf])
def test_a_line_that_is_not_finite_leaves_no_room(unknown: float) -> None:
    assert not room(unknown, 1.0) > 0.0
    assert not room(10.0, unknown) > 0.0
    assert not room(10.0, -1.0) > 0.0
    assert room(10.0, 4.0) == 6.0


@given(edges=st.lists(st.integers(1, 60), unique=True, max_size=10).map(sorted), now=st.integers(0, 61))
def test_a_window_is_the_first_that_is_not_over(edges: list[int], now: int) -> None:
    windows = tuple(zip(edges[::2], edges[1::2], strict=False))
    assert present_or_next(windows, now) == next((each for each in windows if now < each[1]), NEVER)
