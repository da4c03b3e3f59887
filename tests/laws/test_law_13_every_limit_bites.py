"""
Law 13, every limit bites: for each limit there are two inputs one tick apart between which the engine acts differently.

They are looked for, with everything else that the policy asks switched on: for every limit of every preset, and for those
that no preset gives in policies that do. A limit that is not met before another one, whatever is pushed, fails by name.
"""

import json
import tomllib
from functools import cache
from typing import Any, Final

import msgspec
import pytest

from bite_search import BALANCE, OTHERS, PRICES, Push, Search, given
from interlock.core.codes import Code
from interlock.core.limits import BITS, LIMIT_FIELDS
from interlock.core.messages import PolicySet
from interlock.policy import load_policy
from interlock.policy.load import preset_texts, read_preset
from interlock.testing.builders import START_NS
from pushes import PUSHES

SOURCES: Final = {
    "bot": {"trend": ["open", "close"]},
    "rival": {"mean": ["open", "close"]},
    "exit": {"trend": ["close"], "mean": ["close"]},
    "controller": {"trend": ["close"], "mean": ["close"]},
}

MORE: Final = {
    "quantities": (
        "layered@1",
        """
        sizing.quantity = "150"
        rules.ORDER_QUANTITY.quantity = "200"
        """,
    ),
    "fractions": (
        "layered@1",
        """
        sizing.fraction = "1 %"
        """,
    ),
    "scores": (
        "crypto-futures@1",
        """
        sizing = { stop = "2 x", target = "3 x" }
        rules.SESSION_FLAT.lead = "300 s"
        rules.KILL_SCORE = { shrink = "60 %", critical = "70 %", decay = "5 x", least = "70 %" }
        score.flip = "10 %"
        score.sigma_cap = "1.2 x"
        score.sigma = "1 %"
        score.strength = "50 %"
        """,
    ),
}
"""For limits that no preset gives: a preset, and what is laid over it."""


@cache
def compiled(preset: str, toml: str = "") -> PolicySet:
    """The preset as a policy of an account's own, with something laid over it; a symbol's leverage is the account's."""
    leverage = read_preset(preset_texts()[preset])["account", "margin_leverage"].written
    document: dict[str, Any] = {
        "policy_version": "test",
        "extends": preset,
        "created_at": "2027-01-15T08:00:00Z",
        "valid_for": "366 d",
        "generator": {"name": "a test"},
        "account": {"currency": "USDT"},
        "universe": {symbol: {"margin_leverage": leverage} for symbol in PRICES | OTHERS},
        "sources": SOURCES,
        "rules": {"ORDER_NOTIONAL": {"notional": f"{2 * BALANCE:.0f} USDT"}},
    }
    for symbol in ("BTC", "ETH"):
        document["universe"][symbol]["cluster"] = "majors"
    changes = tomllib.loads(toml)
    for key, value in changes.items():
        document[key] = document.get(key, {}) | value
    return load_policy(json.dumps(document)).compile(START_NS)


DORMANT: Final = {
    "crypto-futures@1": {
        "sigma_cap": "volatility alone counts 0.5 x 2 at the cap, and 0.405 closes the position: no cap above 0.81 is met",
    },
}
"""Limits that a preset gives and that never decide there, with the reason; they bite in other policies."""


def names(limits: Any) -> set[str]:
    return {limit.name for limit in limits}


def of_presets() -> set[str]:
    """Limits that bite in some preset."""
    return {name for each in preset_texts() for name in names(given(compiled(each))).difference(DORMANT.get(each, ()))}


LONG: Final = ("crypto-futures@1",)
"""Presets of whose limits each is one of another preset, too, or of a policy below, and which are therefore not hurried."""

PRESETS: Final = [pytest.param(each, marks=[pytest.mark.long] * (each in LONG)) for each in preset_texts()]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_limit_of_the_preset_bites(preset: str) -> None:
    search = Search(compiled(preset)).run(PUSHES)
    assert names(search.idle) == set(DORMANT.get(preset, ()))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("policy", MORE)
def test_limits_that_bite_in_no_preset_bite_here(policy: str) -> None:
    rules = compiled(*MORE[policy])
    wanted = names(given(rules)) - of_presets()
    assert wanted
    assert Search(rules, wanted).run(PUSHES).idle == []


def test_no_limit_is_left_out() -> None:
    given_here = {limit.name for policy in MORE.values() for limit in given(compiled(*policy))}
    assert of_presets() | given_here == set(LIMIT_FIELDS)


def of_size() -> list[Push]:
    return [push for push in PUSHES if push.story.__name__.startswith("size")]


def test_control_limits_that_another_one_shadows_are_found_out() -> None:
    """Where only one symbol may be held, and that for 30 % of equity, 60 % and 90 % are never met."""
    shadowed = compiled("layered@1", "rules.CONCURRENT_POSITIONS.positions = 1")
    exposures = {"symbol_exposure_frac_max", "strategy_exposure_frac_max", "total_exposure_frac_max"}
    assert names(Search(shadowed, exposures).run(of_size()).idle) == exposures - {"symbol_exposure_frac_max"}


def test_control_a_limit_that_nothing_reads_is_found_out() -> None:
    rules = compiled("crypto-futures@1")
    unread = tuple(msgspec.structs.replace(row, active=row.active - BITS[Code.TRADE_RISK]) for row in rules.limits)
    wanted = {"base_risk_frac_max", "base_leverage_max"}
    search = Search(msgspec.structs.replace(rules, limits=unread), wanted).run(of_size())
    assert names(search.idle) == {"base_risk_frac_max"}


def test_control_a_limit_that_nobody_pushes_is_found_out() -> None:
    idle = Search(compiled("crypto-futures@1"), {"spread_bps_max", "base_risk_frac_max"}).run(of_size()).idle
    assert [(limit.name, limit.value) for limit in idle] == [("spread_bps_max", 50.0)]
