"""A guard that does not know objects, whatever it does not know."""

from math import inf, nan

import pytest
from hypothesis import example, given, settings

from interlock.core.facts import FACT_UNITS, Facts
from interlock.core.guard import Guard, ask
from interlock.core.guards import GUARDS
from interlock.core.limits import Limits
from rulekit import Case, admissible, case, impossible, sale

each_guard = pytest.mark.parametrize("guard", GUARDS, ids=[guard.code for guard in GUARDS])
STRUCTURAL = tuple(guard for guard in GUARDS if guard.structural)
FLAGS_THAT_EITHER_WAY_ADMIT = {"symbol_is_open"}


@given(admissible())
@example(case())
@example(sale())
def test_all_guards_admit_what_is_in_order(order: Case) -> None:
    assert order.admitted()
    assert order.allowance() >= order.requested


@each_guard
@given(order=admissible())
@example(order=case())
@example(order=sale())
@settings(max_examples=20)
def test_an_unknown_fact_is_a_veto(guard: Guard, order: Case) -> None:
    for fact in guard.reads:
        assert order.knowing(**{fact: nan}).allowance(guard) == 0.0, fact


@each_guard
@given(order=admissible())
@example(order=case())
@example(order=sale())
@settings(max_examples=20)
def test_an_unknown_limit_is_a_veto(guard: Guard, order: Case) -> None:
    for limit in guard.limits:
        assert order.under(**{limit: nan}).allowance(guard) == 0.0, limit


@each_guard
@given(order=admissible())
@example(order=case())
@example(order=sale())
@settings(max_examples=20)
def test_an_impossible_fact_is_a_veto_with_no_rule_on_but_this(guard: Guard, order: Case) -> None:
    for fact in guard.reads:
        for value in impossible(fact):
            assert order.knowing(**{fact: value}).allowance(guard, *STRUCTURAL) == 0.0, (fact, value)


@each_guard
@given(order=admissible())
@settings(max_examples=20)
def test_a_flag_that_says_otherwise_is_a_veto(guard: Guard, order: Case) -> None:
    for fact in guard.reads:
        if FACT_UNITS[fact] == "flag" and fact not in FLAGS_THAT_EITHER_WAY_ADMIT:
            otherwise = order.knowing(**{fact: 1.0 - getattr(order.facts, fact)})
            assert otherwise.allowance(guard) == 0.0, fact


def raises(f: Facts, p: Limits) -> float:
    raise ZeroDivisionError


def returns_nothing(f: Facts, p: Limits) -> float:
    return None  # type: ignore[return-value]


def returns_text(f: Facts, p: Limits) -> float:
    return "inf"  # type: ignore[return-value]


def knows_nothing(f: Facts, p: Limits) -> float:
    return nan


def owes(f: Facts, p: Limits) -> float:
    return -inf


@pytest.mark.parametrize("function", [raises, returns_nothing, returns_text, knows_nothing, owes])
@pytest.mark.parametrize("position", [0, 20, len(GUARDS)])
def test_a_broken_guard_is_a_veto(function: object, position: int) -> None:
    order = case()
    broken = Guard(GUARDS[0].code, function, "")  # type: ignore[arg-type]
    asked = [(guard.code, guard.function) for guard in (*GUARDS[:position], broken, *GUARDS[position:])]
    assert ask(tuple(asked), order.facts, order.limits, order.requested) == (0.0, [(broken.code, 0.0)])


@pytest.mark.parametrize("requested", [nan, inf, -inf, 0.0, -0.0, -1000.0])
@pytest.mark.parametrize("active", [0, -1])
def test_a_request_that_is_no_size_is_allowed_nothing(requested: float, active: int) -> None:
    order = case().asking(requested)
    assert order.allowance(*(guard for guard in GUARDS if active or guard.structural)) == 0.0
