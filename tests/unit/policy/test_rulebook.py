import re

import pytest

from interlock.core.codes import Code
from interlock.core.facts import Facts
from interlock.core.guard import Guard, guard
from interlock.core.guards import GUARDS
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE, Limits
from interlock.core.numbers import open_if
from interlock.core.reasons import EXITS, TRIGGERS, Reason
from interlock.core.state import BREAKER, LOSS_TRIGGERS
from interlock.core.triggers import USE
from interlock.policy import load_policy
from interlock.policy.rulebook import Rule, describe_rules, formula, presets
from unit.policy.policy_texts import changed


def rule(code: str, kind: str) -> Rule:
    (found,) = [each for each in describe_rules() if (each.code, each.kind) == (code, kind)]
    return found


def test_a_guard_is_told_from_its_code() -> None:
    daily = rule("DAILY_LOSS", "guard")
    assert daily.says == "Equity is within `day_loss_frac_max` of the equity at day open."
    assert "f.day_open_equity" in daily.formula
    assert [fact.name for fact in daily.facts] == ["equity", "day_open_equity"]
    (limit,) = daily.limits
    assert (limit.path, limit.unit, limit.tighter) == ("rules.DAILY_LOSS.loss", "frac", "lower")
    assert limit.values == {"balanced@1": "2.5 %", "crypto-futures@1": "2.5 %", "layered@1": "5 %"}
    assert (daily.structural, daily.off) == (False, {})


def test_a_trigger_is_told_from_its_reason_and_the_limits_that_name_it() -> None:
    streak = rule("CONSEC_LOSS", "trigger")
    assert {limit.name for limit in streak.limits} == {"consec_loss_count_max", "consec_loss_lock_s"}
    assert "consec_loss_lock_s" in streak.effect
    assert streak.off["layered@1"].startswith("the source counts losses once")
    assert streak.limits[0].values == {"balanced@1": "4", "crypto-futures@1": "3", "layered@1": "off"}


def test_numbers_that_a_preset_leaves_open_are_yours() -> None:
    assert rule("ORDER_NOTIONAL", "guard").limits[0].values["layered@1"] == "yours"


def test_a_policy_shows_its_own_numbers() -> None:
    mine = load_policy(changed({"rules.DAILY_LOSS.loss": "1 %", "rules.SPREAD_SPIKE": "off: no book"}))
    told = {(each.code, each.kind): each for each in describe_rules({"mine": mine.leaves})}
    assert told[Code.DAILY_LOSS, "guard"].limits[0].values == {"mine": "1 %"}
    assert told[Code.SPREAD_SPIKE, "guard"].off == {"mine": "no book"}
    assert told[Code.SPREAD_SPIKE, "guard"].limits[0].values == {"mine": "off"}


def test_every_rule_is_told_once() -> None:
    told = [(each.code, each.kind) for each in describe_rules()]
    assert len(told) == len(set(told))
    assert [code for code, kind in told if kind == "guard"] == [each.code for each in GUARDS]
    rules = {code for code, _ in told}
    assert set(SWITCHABLE) <= rules
    assert {*LOSS_TRIGGERS, *BREAKER} <= set(TRIGGERS)
    assert {code for limit in LIMIT_FIELDS.values() for code in limit.rules} - rules == {
        Code.NOTHING_TO_REDUCE, Code.NOT_EXIT_OWNER,
    }  # fmt: skip
    assert set(USE) <= rules


SPEAKERS = (*TRIGGERS.values(), *EXITS.values())


@pytest.mark.parametrize("reason", SPEAKERS, ids=[each.code for each in SPEAKERS])
def test_a_trigger_or_exit_speaks_of_its_own_limits_only(reason: Reason) -> None:
    spoken = LIMIT_FIELDS.keys() & set(re.findall(r"\w+", f"{reason.says} {reason.effect}"))
    assert spoken <= set(reason.limits)


def test_a_formula_of_several_statements_is_shown_whole() -> None:
    @guard("WARN", remedy="none")
    def twofold(f: Facts, p: Limits) -> float:
        """It is."""
        limit = p.spread_bps_max
        return open_if(f.spread_bps <= limit)

    assert isinstance(twofold, Guard)
    assert formula(twofold) == "limit = p.spread_bps_max\nreturn open_if(f.spread_bps <= limit)"


def test_presets_are_read_once() -> None:
    assert presets() is presets()
