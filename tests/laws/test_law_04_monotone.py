"""
Law 4, monotone: on equal facts, adding a guard or tightening a limit never raises an allowance.

Tightening is what the limit's own annotation says it is.
"""

from math import isnan

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

import rulekit
from interlock.core.checks import ask_guards, checks_under
from interlock.core.guards import GUARDS
from interlock.core.limits import LIMIT_FIELDS
from rulekit import ALL_ON, Case

ORDERED = sorted(
    name
    for name, limit in LIMIT_FIELDS.items()
    if limit.tighter != "neither" and any(name in guard.limits for guard in GUARDS)
)
"""Limits that guards read and that have a tighter direction."""


def allowed(order: Case) -> float:
    """What the production path allows."""
    return ask_guards(checks_under(order.limits), astuple(order.facts), order.requested)[0]


def tightened(order: Case, name: str, one: float, other: float) -> tuple[Case, Case]:
    """The order under the looser and under the tighter of two values."""
    loose, tight = sorted((one, other), reverse=LIMIT_FIELDS[name].tighter == "lower")
    return order.under(**{name: loose}), order.under(**{name: tight})


@pytest.mark.parametrize("name", ORDERED)
@settings(max_examples=15)
@given(data=st.data())
def test_a_tighter_limit_never_allows_more(name: str, data: st.DataObject) -> None:
    order = data.draw(rulekit.admissible() | rulekit.disturbed())
    one, other = (data.draw(st.floats(0.0, 1e6) | st.floats(0.0, 1.0)) for _ in range(2))
    loose, tight = tightened(order, name, one, other)
    assert allowed(tight) <= allowed(loose)


@settings(max_examples=50)
@given(order=rulekit.disturbed(), some=st.integers(0, ALL_ON), more=st.integers(0, ALL_ON))
def test_another_guard_never_allows_more(order: Case, some: int, more: int) -> None:
    assert allowed(order.under(active=some | more)) <= allowed(order.under(active=some))


def test_control_a_limit_taken_the_wrong_way_round_is_found_out() -> None:
    def rises(order: Case) -> bool:
        tight, loose = tightened(order, "symbol_exposure_frac_max", 0.2, 0.4)
        return allowed(tight) > allowed(loose)

    assert not isnan(allowed(find(rulekit.admissible(), rises, settings=rulekit.FIRST)))
