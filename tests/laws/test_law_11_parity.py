"""
Law 11, parity: the interpreted and the compiled rule agree to the bit.

The same function object is run twice, by CPython and through numba, for every guard on one order: the list of their
allowances is one string of bits. Transitions and helpers are held to it one by one in `tests/parity`.
"""

from collections.abc import Callable

from hypothesis import find, given, settings
from hypothesis import strategies as st

import rulekit
from interlock.batch.compile import compiled, to_record
from interlock.core.facts import Facts
from interlock.core.guards import GUARDS
from interlock.core.limits import Limits
from rulekit import Case

Rule = Callable[[Facts, Limits], float]
RULES: tuple[Rule, ...] = tuple(guard.function for guard in GUARDS)
ANY_ORDER = st.one_of(
    rulekit.admissible(),
    rulekit.disturbed(),
    st.builds(Case, rulekit.any_facts(), rulekit.any_limits(rulekit.numbers()), st.just(1.0)),
)


def bits(number: float) -> str:
    """The number's bits; one NaN is like another."""
    return "nan" if number != number else float(number).hex()


def interpreted(rules: tuple[Rule, ...], order: Case) -> list[str]:
    return [bits(rule(order.facts, order.limits)) for rule in rules]


def through_numba(rules: tuple[Rule, ...], order: Case) -> list[str]:
    facts, limits = to_record(order.facts), to_record(order.limits)
    return [bits(compiled(rule)(facts, limits)) for rule in rules]


@settings(max_examples=60)
@given(order=ANY_ORDER)
def test_every_guard_allows_the_same_in_both_worlds(order: Case) -> None:
    assert interpreted(RULES, order) == through_numba(RULES, order)


def test_control_a_rule_that_compares_the_other_way_round_is_found_out() -> None:
    def safe(f: Facts, p: Limits) -> float:
        return 1.0 if f.spread_bps <= p.spread_bps_max else 0.0

    def lax(f: Facts, p: Limits) -> float:
        return 0.0 if f.spread_bps > p.spread_bps_max else 1.0

    def differs(case: Case) -> bool:
        return interpreted((safe,), case) != through_numba((lax,), case)

    order = find(ANY_ORDER, differs, settings=rulekit.FIRST)
    assert order.facts.spread_bps != order.facts.spread_bps or order.limits.spread_bps_max != order.limits.spread_bps_max
