"""
Law 1, proof: an order that opens passes only if its safety is proven.

Any one fact that a guard reads being unknown, or any one guard that raises or returns nothing, allows nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core import checks, legs
from interlock.core import observe as observing
from interlock.core.codes import Code
from interlock.core.facts import Facts, Values
from interlock.core.guard import Guard
from interlock.core.guards import GUARDS
from interlock.core.limits import Limits
from lawkit import bench_under, decision

READ = sorted({fact for guard in GUARDS for fact in guard.reads})


def seen(values: Values, **changes: float) -> Values:
    """The same facts but for these."""
    return msgspec.structs.astuple(msgspec.structs.replace(Facts(*values), **changes))


def allowance(**changes: Any) -> tuple[float, int]:
    """What an order of 1 000 is allowed, and the steps it is granted, when these facts are seen otherwise."""
    observe = observing.observe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(legs, "observe", lambda *args: seen(observe(*args), **changes))
        bench = bench_under()
        made = decision(bench.send(bench.intent("BTC", 1, notional=1_000.0)))
    return made.allowance, made.granted_steps


def test_the_order_passes_when_everything_is_known() -> None:
    allowed, granted = allowance()
    assert allowed >= 1_000.0
    assert granted > 0


@pytest.mark.parametrize("fact", READ)
def test_one_unknown_fact_allows_nothing(fact: str) -> None:
    assert allowance(**{fact: nan}) == (0.0, 0)


@given(unknown=st.sets(st.sampled_from(READ), min_size=1))
def test_any_set_of_unknown_facts_allows_nothing(unknown: set[str]) -> None:
    assert allowance(**dict.fromkeys(unknown, nan)) == (0.0, 0)


def asked_one_by_one(index: int, function: Callable[[Facts, Limits], float]) -> tuple[float, int]:
    """The order's allowance when one guard's function is another one and guards are asked one by one."""
    guards: list[Guard] = list(GUARDS)
    guards[index] = replace(guards[index], function=function)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "GUARDS", tuple(guards))
        patch.setattr(checks, "guards_under", lambda *_: raises)
        return allowance()


def raises(*_: object) -> float:
    raise ZeroDivisionError


def nothing(_f: Facts, _p: Limits) -> float:
    return None  # type: ignore[return-value]


@pytest.mark.parametrize("broken", [raises, nothing, lambda _f, _p: nan, lambda _f, _p: -inf])
@pytest.mark.parametrize("index", range(len(GUARDS)), ids=[guard.code for guard in GUARDS])
def test_a_guard_that_cannot_be_evaluated_allows_nothing(index: int, broken: Callable[[Facts, Limits], float]) -> None:
    assert asked_one_by_one(index, broken) == (0.0, 0)


def test_control_a_guard_that_vetoes_only_what_it_sees_broken_lets_the_unknown_pass() -> None:
    index = [guard.code for guard in GUARDS].index(Code.SPREAD_SPIKE)

    def fails_open(f: Facts, p: Limits) -> float:
        return 0.0 if f.spread_bps > p.spread_bps_max else inf

    observe = observing.observe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(legs, "observe", lambda *args: seen(observe(*args), spread_bps=nan))
        assert asked_one_by_one(index, fails_open)[1] > 0
