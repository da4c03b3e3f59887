"""Thinning keeps the instants it draws real, the axis short and every extreme."""

from math import inf, isnan, nan

from hypothesis import given
from hypothesis import strategies as st

from interlock.report.thin import Axis, differences, scaled_differences

columns = st.lists(st.integers(0, 10**6), min_size=1, max_size=300, unique=True).map(sorted)


@given(columns, st.integers(2, 100), st.data())
def test_a_thinned_series_is_short_real_and_as_extreme(at_ns: list[int], points_max: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(-1e6, 1e6), min_size=len(at_ns), max_size=len(at_ns)))
    axis = Axis.over([at_ns], points_max)
    drawn = axis.thin(at_ns, values)
    assert len(drawn) == len(axis.at_ns) <= points_max
    assert set(axis.at_ns) <= set(at_ns)
    assert list(axis.at_ns) == sorted(set(axis.at_ns))
    assert (axis.at_ns[0], axis.at_ns[-1]) == (at_ns[0], at_ns[-1])
    assert (min(drawn), max(drawn)) == (min(values), max(values))


def test_a_short_series_is_drawn_as_it_is_with_absences() -> None:
    axis = Axis.over([[1, 3], [2, 3]], 10)
    assert (axis.at_ns, axis.bucket_count) == ([1, 2, 3], 1)
    first, second, third = axis.thin([1, 3], [10.0, 30.0])
    assert (first, third) == (10.0, 30.0)
    assert isnan(second)


def test_extremes_keep_their_order_and_absent_or_infinite_values_are_no_extremes() -> None:
    axis = Axis.over([range(12)], 4)
    assert (axis.at_ns, axis.bucket_count) == ([0, 5, 6, 11], 6)
    rise_then_nothing = [5.0, 1.0, 9.0, nan, inf, 4.0, *[nan] * 6]
    drawn = axis.thin(range(12), rise_then_nothing)
    assert drawn[:2] == [1.0, 9.0]
    assert isnan(drawn[2])
    assert isnan(drawn[3])
    assert axis.thin(range(12), [9.0, *[1.0] * 11])[:2] == [9.0, 1.0]


@given(st.lists(st.integers(-(10**9), 10**9)))
def test_differences_sum_to_the_values(values: list[int]) -> None:
    total, summed = 0, []
    for step in differences(values):
        total += step
        summed.append(total)
    assert summed == values


def test_scaled_differences_skip_what_is_absent() -> None:
    assert scaled_differences([1.25, nan, 1.5, -inf, 1.0], 100) == [125, None, 25, None, -50]
