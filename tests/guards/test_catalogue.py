"""Every guard can be explained from its code, and every fact is there for a reason."""

import pytest

from interlock.core.codes import Code
from interlock.core.facts import Facts
from interlock.core.guard import Guard
from interlock.core.guards import GUARDS
from interlock.core.limits import LIMIT_FIELDS

RECORDED_FOR_THE_READER = {
    "equity_venue": "one half of equity and of equity_gap_frac",
    "equity_own": "the other half",
    "balance": "what equity is made of",
}
"""Facts that no guard reads: they explain others in a recorded decision."""

LOSSES = {Code.DAILY_LOSS, Code.WEEKLY_LOSS, Code.DRAWDOWN, Code.TOTAL_DRAWDOWN, Code.EQUITY_GUARD}
BORROWS = {Code.LOSS_HEADROOM: LOSSES, Code.KELLY_CAP: LOSSES}
"""Whose limits a guard reads besides its own, where those rules are on."""

each_guard = pytest.mark.parametrize("guard", GUARDS, ids=[guard.code for guard in GUARDS])


@each_guard
def test_it_explains_itself(guard: Guard) -> None:
    assert guard.says.endswith(".")
    assert guard.remedy
    assert guard.reads


@each_guard
def test_its_limits_name_it(guard: Guard) -> None:
    mine = {guard.code} | BORROWS.get(guard.code, set())
    assert {limit for limit in guard.limits if mine.isdisjoint(LIMIT_FIELDS[limit].rules)} == set()


def test_codes_are_unique() -> None:
    assert len({guard.code for guard in GUARDS}) == len(GUARDS)


def test_every_fact_is_read_or_explained() -> None:
    read = {fact for guard in GUARDS for fact in guard.reads}
    assert set(Facts.__struct_fields__) - read == set(RECORDED_FOR_THE_READER)
