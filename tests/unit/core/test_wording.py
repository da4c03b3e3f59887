from math import inf, nan

import pytest

from interlock.core.limits import Unit
from interlock.core.wording import measured, money, share, stated, words


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.025, "frac", "2.5 %"),
        (3.0, "frac", "300 %"),
        (0.0, "frac", "0 %"),
        (412.0, "s", "412 s"),
        (0.0155, "s", "0.015 s"),
        (86_400.0, "s", "86,400 s"),
        (50.1, "bps", "50.1 bps"),
        (9_749.99, "money", "9,749.99"),
        (9_749.9999995, "money", "9,750"),
        (0.00001234, "money", "1.234e-05"),
        (123_456_789_012.345, "money", "123,456,789,012.35"),
        (6.0, "x", "6 x"),
        (10.0, "count", "10"),
        (1.0, "flag", "yes"),
        (0.0, "flag", "no"),
        (nan, "flag", "unknown"),
        (inf, "s", "infinite"),
        (-inf, "money", "-infinite"),
    ],
)
def test_a_number_is_written_as_a_person_would(value: float, unit: Unit, text: str) -> None:
    assert measured(value, unit) == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(1234.5, "USD", "1,234.50 USD"), (0.0, "", "0.00"), (inf, "USD", "infinite USD"), (nan, "", "unknown")],
)
def test_money_is_to_the_cent(amount: float, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def test_shares_are_whole_percents() -> None:
    assert (share(0.699), share(1.25)) == ("70 %", "125 %")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("equity_age_s", 412.0, "equity is 412 s old"),
        ("mark_age_s", inf, "mark has no accepted time"),
        ("policy_s_left", 9.0, "policy has 9 s left"),
        ("equity_gap_frac", 0.07, "equity gap is 7 %"),
        ("position_count", 9.0, "position count is 9"),
        ("mark", nan, "mark is unknown"),
        ("symbol_free", 0.0, "symbol free is no"),
    ],
)
def test_a_fact_is_a_clause(name: str, value: float, text: str) -> None:
    assert stated(name, value) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [("day_loss_frac_max", "day loss"), ("intent_age_s_max", "intent age"), ("position_count_max", "position count")],
)
def test_a_field_has_a_name_without_its_unit(name: str, text: str) -> None:
    assert words(name) == text
