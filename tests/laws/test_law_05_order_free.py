"""Law 5, order-free: permuting guards never changes the allowance, and the fused production path agrees with any order."""

from math import inf
from random import Random

from hypothesis import find, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

import rulekit
from interlock.core.checks import ask_guards, checks_under
from interlock.core.codes import Code
from interlock.core.guard import GuardFunction, active_guards, ask
from interlock.core.guards import GUARDS
from rulekit import Case


@settings(max_examples=40)
@given(order=rulekit.admissible() | rulekit.disturbed(), chance=st.randoms(use_true_random=False))
def test_the_order_of_guards_changes_nothing(order: Case, chance: Random) -> None:
    guards = list(active_guards(GUARDS, order.limits.active))
    chance.shuffle(guards)
    allowance, objections = ask(tuple(guards), order.facts, order.limits, order.requested)
    first, found = ask_guards(checks_under(order.limits), astuple(order.facts), order.requested)
    assert allowance == first
    assert sorted(objections) == sorted(found)


def test_control_the_first_objection_wins_is_found_out() -> None:
    def first(order: Case, guards: tuple[tuple[Code, GuardFunction], ...]) -> float:
        allowances = (guard(order.facts, order.limits) for _, guard in guards)
        return next((allowed for allowed in allowances if allowed < inf), inf)

    def differs(order: Case) -> bool:
        guards = active_guards(GUARDS, order.limits.active)
        return first(order, guards) != first(order, guards[::-1])

    assert find(rulekit.admissible(), differs, settings=rulekit.FIRST).requested > 0.0
