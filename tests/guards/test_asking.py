"""More guards, tighter limits and another order of asking never allow more."""

from math import inf, nan
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from interlock.core.codes import Code
from interlock.core.guard import Guard, active_guards, ask
from interlock.core.guards import GUARDS
from interlock.core.guards.fused import guards_under
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE
from interlock.core.numbers import at_least
from rulekit import ALL_ON, Case, admissible, any_facts, any_limits, around, case, disturbed

BELIEVABLE = st.floats(-1e12, 1e12) | st.sampled_from((nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 0.1, 100.0, 1e4))
FINITE = st.floats(0.0, 1e12) | st.sampled_from((0.0, 0.1, 0.5, 1.0, 2.0, 10.0))
wild = st.builds(Case, any_facts(), any_limits(FINITE), st.floats(1e-3, 1e9))
orders = disturbed() | wild
tightenable = [
    pytest.param(guard, limit, id=f"{guard.code}-{limit}")
    for guard in GUARDS
    for limit in guard.limits
    if LIMIT_FIELDS[limit].tighter != "neither"
]


@pytest.mark.parametrize(("guard", "limit"), tightenable)
@given(data=st.data(), values=st.tuples(FINITE, FINITE).map(sorted))
@settings(max_examples=60)
def test_a_tighter_limit_never_allows_more(guard: Guard, limit: str, data: st.DataObject, values: list[float]) -> None:
    order = data.draw(around(guard, BELIEVABLE, FINITE))
    low, high = values
    tight, loose = (low, high) if LIMIT_FIELDS[limit].tighter == "lower" else (high, low)
    assert order.under(**{limit: tight}).allowance(guard) <= order.under(**{limit: loose}).allowance(guard)


@pytest.mark.parametrize("code", [Code.LOSS_HEADROOM, Code.TRADE_RISK])
@pytest.mark.parametrize("stop_frac", [0.0, -0.0, -0.01, nan])
def test_a_stop_at_the_very_price_proves_no_risk_whatever_the_costs(code: Code, stop_frac: float) -> None:
    (guard,) = (each for each in GUARDS if each.code == code)
    order = case().knowing(stop_frac=stop_frac)
    assert [order.under(cost_frac=cost).allowance(guard) for cost in (0.0, 0.1, 10.0)] == [0.0, 0.0, 0.0]


@given(orders, st.integers(0, ALL_ON), st.integers(0, ALL_ON))
def test_another_rule_never_allows_more(order: Case, some: int, others: int) -> None:
    fewer = order.under(active=some & others)
    more = order.under(active=some)
    allowed = [
        ask(active_guards(GUARDS, each.limits.active), each.facts, each.limits, each.requested)[0] for each in (more, fewer)
    ]
    assert allowed[0] <= allowed[1]


@given(orders, st.randoms(use_true_random=False))
def test_the_order_of_guards_changes_nothing(order: Case, random: Random) -> None:
    guards = [(guard.code, guard.function) for guard in GUARDS]
    allowance, objections = ask(tuple(guards), order.facts, order.limits, order.requested)
    random.shuffle(guards)
    shuffled, the_same = ask(tuple(guards), order.facts, order.limits, order.requested)
    assert shuffled == allowance
    assert sorted(the_same) == sorted(objections)


@given(orders)
def test_what_is_allowed_is_a_number_not_below_zero(order: Case) -> None:
    allowance, objections = ask(
        tuple((guard.code, guard.function) for guard in GUARDS), order.facts, order.limits, order.requested
    )
    assert allowance >= 0.0
    assert all(0.0 <= allowed < order.requested for _, allowed in objections)
    assert bool(objections) == (not allowance > 0.0 or not at_least(allowance, order.requested))


@given(disturbed() | admissible(), st.sampled_from((-1e-3, -1e-6, -1e-9, 0.0, 1e-9, 4e-7, 1e-6, 1e-3)))
def test_the_fused_guards_say_the_same_at_the_very_allowance(order: Case, beyond: float) -> None:
    at_the_line = order.asking(order.allowance() + beyond)
    guards = active_guards(GUARDS, order.limits.active)
    found: list[tuple[Code, float]] = []
    allowance = guards_under(order.limits, order.limits.active)(astuple(at_the_line.facts), at_the_line.requested, found)
    assert (allowance, found) == ask(guards, at_the_line.facts, order.limits, at_the_line.requested)


def test_only_a_switchable_rule_can_be_off() -> None:
    off = {code for code, _ in active_guards(GUARDS, ALL_ON)} - {code for code, _ in active_guards(GUARDS, 0)}
    assert off == {guard.code for guard in GUARDS} & set(SWITCHABLE)
    assert {guard.code for guard in GUARDS if guard.structural} == {code for code, _ in active_guards(GUARDS, 0)}
