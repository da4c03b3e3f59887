from fractions import Fraction
from math import nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.limits import Unit
from interlock.policy.units import Measure, UnitInvalid, format_measure, parse_measure

KINDS: tuple[Unit, ...] = ("frac", "bps", "s", "count", "money", "quantity", "x", "flag")


@pytest.mark.parametrize(
    ("raw", "kind", "value", "unit"),
    [
        ("2.5 %", "frac", 0.025, "%"),
        ("2.5%", "frac", 0.025, "%"),
        (" 2.5 % ", "frac", 0.025, "%"),
        ("0.1 %", "frac", 0.001, "%"),
        ("50 bps", "frac", 0.005, "bps"),
        ("50 bps", "bps", 50.0, "bps"),
        ("300 s", "s", 300.0, "s"),
        ("250 ms", "s", 0.25, "ms"),
        ("15 min", "s", 900.0, "min"),
        ("4 h", "s", 14_400.0, "h"),
        ("90 d", "s", 7_776_000.0, "d"),
        ("5000 USD", "money", 5000.0, "USD"),
        ("0.1 USDT", "money", 0.1, "USDT"),
        ("30 x", "x", 30.0, "x"),
        ("6x", "x", 6.0, "x"),
        ("10", "count", 10.0, ""),
        (10, "count", 10.0, ""),
        ("10.0", "count", 10.0, ""),
        ("0.5", "quantity", 0.5, ""),
        ("yes", "flag", 1.0, ""),
        (True, "flag", 1.0, ""),
        ("no", "flag", 0.0, ""),
        (False, "flag", 0.0, ""),
    ],
)
def test_what_people_write_is_read(raw: object, kind: Unit, value: float, unit: str) -> None:
    measure = parse_measure(raw, kind)
    assert (measure.value, measure.unit) == (value, unit)


def test_percent_is_shifted_and_not_divided() -> None:
    assert any(float(n) / 10 / 100 != float(Fraction(n, 1000)) for n in range(1, 1000)), "division would do as well"
    for n in range(1, 1000):
        assert parse_measure(f"{n // 10}.{n % 10} %", "frac").value == float(Fraction(n, 1000))


@pytest.mark.parametrize(
    ("raw", "kind", "remedy"),
    [
        ("2.5", "frac", "use % or bps"),
        (2.5, "frac", "as text"),
        (0.025, "frac", "as text"),
        (10, "quantity", "as text"),
        (True, "count", "as text"),
        (10.0, "count", "as text"),
        (None, "s", "as text"),
        ("2.5 s", "frac", "use % or bps"),
        ("50 %", "bps", "use bps"),
        ("300", "s", "use ms or s"),
        ("5 m", "s", "use ms or s"),
        ("5000", "money", "currency"),
        ("5000 usd", "money", "currency"),
        ("10 x", "count", "leave the unit away"),
        ("2.5", "count", "whole"),
        ("6", "x", "use x"),
        ("5,000 USD", "money", "without separators"),
        ("5_000 USD", "money", "without separators"),
        ("5 000 USD", "money", "without separators"),
        ("5'000 USD", "money", "without separators"),
        ("2,5 %", "frac", "without separators"),
        ("-2.5 %", "frac", "negative"),
        ("+2.5 %", "frac", "digits"),
        ("1e3 s", "s", "digits"),
        ("1e-3 s", "s", "digits"),
        (".5 %", "frac", "digits"),
        ("inf s", "s", "digits"),
        ("nan %", "frac", "digits"),
        ("٢ %", "frac", "digits"),
        ("", "count", "digits"),
        ("1" * 16, "count", "digits"),
        ("false", "flag", '"yes"'),
        ("true", "flag", '"yes"'),
        ("Yes", "flag", '"yes"'),
        ("1", "flag", '"yes"'),
        (1, "flag", '"yes"'),
        (0, "flag", '"yes"'),
        ([], "flag", '"yes"'),
    ],
)
def test_what_is_unclear_is_refused_with_a_remedy(raw: object, kind: Unit, remedy: str) -> None:
    with pytest.raises(UnitInvalid) as refused:
        parse_measure(raw, kind)
    assert remedy in refused.value.remedy
    assert refused.value.expected in str(refused.value)


@given(st.sampled_from([kind for kind in KINDS if kind not in ("flag", "count")]), st.floats(1e-6, 1e9))
def test_a_value_survives_being_written(kind: Unit, value: float) -> None:
    assert parse_measure(format_measure(value, kind, "USD"), kind).value == value
    assert parse_measure(format_measure(nextafter(value, 2e9), kind, "USD"), kind).value != value


@given(st.integers(0, 10**15 - 1))
def test_a_count_survives_being_written(count: int) -> None:
    assert parse_measure(format_measure(float(count), "count"), "count").value == count


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_flag_survives_being_written(value: float) -> None:
    assert parse_measure(format_measure(value, "flag"), "flag").value == value


@given(st.sampled_from(KINDS), st.text() | st.floats() | st.integers() | st.booleans() | st.none())
def test_anything_is_read_or_refused(kind: Unit, raw: object) -> None:
    try:
        measure = parse_measure(raw, kind)
    except UnitInvalid:
        return
    assert isinstance(measure, Measure)
    assert 0.0 <= measure.value < 1e21
