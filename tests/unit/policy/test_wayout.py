"""What a policy's way out must be: thresholds within reach, rungs in order, an owner where one is needed."""

from math import isclose
from typing import Any

import pytest

from interlock.core.codes import ExitMode
from interlock.core.limits import EXIT_RULES, is_on
from interlock.policy.load import load_policy
from interlock.testing import make_policy
from interlock.testing.wayout import EXITS
from oracle.harvest import SETS, k_max
from unit.policy.policy_texts import NOW_NS, changed, compiled, paths_of, problems_of

SET_A = SETS["A"]
MOST = k_max(SET_A)
MOST_AT_BIRTH = k_max({**SET_A, "k4": 0.0})


def share(value: float) -> str:
    return f"{100 * value:.6f} %"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"rules.KILL_EXIT.score": "50 %"}, "rules.KILL_EXIT.score"),
        ({"rules.KILL_EXIT.score": share(MOST + 1e-6)}, "rules.KILL_EXIT.score"),
        ({"rules.KILL_SCORE.shrink": "50 %"}, "rules.KILL_SCORE.shrink"),
        ({"rules.KILL_SCORE.critical": share(MOST_AT_BIRTH + 1e-6)}, "rules.KILL_SCORE.critical"),
        ({"rules.KILL_SCORE.shrink": "76 %"}, "rules.KILL_SCORE.shrink"),
        ({"score.flip": "label"}, "score.flip"),
        ({"score.sigma": "entry"}, "score.sigma"),
        ({"score.strength": "entry"}, "score.strength"),
        ({"rules.HARVEST.first": "4 x"}, "rules.HARVEST.first"),
        ({"rules.HARVEST.third": "4 x"}, "rules.HARVEST.second"),
        ({"rules.PROFIT_LOCK": {"from": "0.1 x", "beyond": "10.1 %"}}, "rules.PROFIT_LOCK.beyond"),
        ({"exits.mode": "external", "exits.owner": "any"}, "exits.mode"),
        ({"exits.mode": "advisory", "exits.owner": "any"}, "exits.mode"),
        ({"rules.TAKE_PROFIT": "off: x", "rules.PROFIT_LOCK": "off: x"}, "rules.TRAILING_STOP"),
        ({"exits.mode": "sometimes"}, "exits.mode"),
        ({"exits.mode": None}, "exits.mode"),
        ({"score.age": None}, "score.age"),
        ({"exits.cost": None}, "exits.cost"),
        ({"rules.STOP_EXIT": None}, "rules.STOP_EXIT"),
    ],
)
def test_a_contradiction_is_told_where_it_stands(changes: dict[str, Any], path: str) -> None:
    assert paths_of(changed(changes)) == [path]


@pytest.mark.parametrize(
    "changes",
    [
        {"rules.KILL_EXIT.score": share(MOST - 1e-6)},
        {"rules.KILL_EXIT.score": "50.0001 %"},
        {"rules.KILL_SCORE.critical": share(MOST_AT_BIRTH - 1e-6)},
        {"rules.PROFIT_LOCK": {"from": "0.1 x", "beyond": "10 %"}},
        {"exits.cost": "0 bps"},
        {"exits.mode": "external"},
        {"exits.mode": "advisory"},
    ],
)
def test_what_is_in_its_domain_is_taken(changes: dict[str, Any]) -> None:
    assert paths_of(changed(changes)) == []


def test_the_domain_is_told() -> None:
    (problem,) = problems_of(changed({"rules.KILL_EXIT.score": "99 %"}))
    assert f"{100 * MOST:.4f} %" in problem.expected


def test_by_entry_the_trend_can_drop_by_all_of_the_cap() -> None:
    by_entry = {"rules.KILL_SCORE": "off: by entry", "score.strength": "entry"}
    reachable = k_max({**SET_A, "ts_ref": 1.0})
    assert paths_of(changed({**by_entry, "rules.KILL_EXIT.score": share(reachable - 1e-6)})) == []
    assert paths_of(changed({**by_entry, "rules.KILL_EXIT.score": share(reachable + 1e-6)})) == ["rules.KILL_EXIT.score"]


@pytest.mark.parametrize("name", ["A", "B", "A-numbers", "B-numbers"])
def test_the_published_sets_are_sound_and_are_those_published(name: str) -> None:
    policy = make_policy("layered@1", toml=EXITS[name]).compile(NOW_NS)
    limits, theta = policy.limits[0], SETS[name[0]]
    assert policy.exit_mode is ExitMode.BUILTIN
    assert all(is_on(limits, rule) for rule in EXIT_RULES)
    for parameter, limit in (
        ("cost_bps", "exit_cost_bps"),
        ("T1", "rung_1_r_min"),
        ("T2", "rung_2_r_min"),
        ("T3", "rung_3_r_min"),
        ("lock_R", "lock_r_min"),
        ("be_plus", "lock_frac"),
        ("k1", "flip_weight"),
        ("k2", "sigma_weight"),
        ("k3", "trend_weight"),
        ("k4", "age_weight"),
        ("kill_threshold", "kill_exit_score_min"),
        ("sigma_cap", "sigma_cap"),
        ("ts_cap", "trend_cap"),
        ("max_age", "score_age_s_max"),
    ):
        assert isclose(getattr(limits, limit), theta[parameter], rel_tol=1e-15), parameter
    references = (limits.flip_trend_min, limits.sigma_ref, limits.trend_ref)
    in_numbers = (theta["trend_min"], theta["sigma_ref"], theta["ts_ref"])
    assert references == (in_numbers if name.endswith("numbers") else (0.0, 0.0, 0.0))


# ---------------------------------------------------------------- regimes


def test_a_regime_has_its_own_numbers_and_shares_the_rest() -> None:
    policy = compiled(changed({"regimes.CHOP.rules.HARVEST.first": "1 x", "regimes.TREND.score.age": "2 d"}))
    symbol = policy.universe[0]
    own, chop, trend = (policy.limits[number] for number in (symbol.limits, symbol.chop_limits, symbol.trend_limits))
    assert symbol.base_limits == -1
    assert (own.rung_1_r_min, chop.rung_1_r_min, chop.rung_2_r_min) == (2.0, 1.0, 4.0)
    assert (own.score_age_s_max, trend.score_age_s_max, trend.rung_1_r_min) == (86_400.0, 172_800.0, 2.0)


def test_a_symbol_keeps_its_own_numbers_in_a_regime() -> None:
    policy = compiled(
        changed(
            {
                "regimes.CHOP.rules.HARVEST.first": "1 x",
                "universe.BTCUSDT.rules": {"ORDER_NOTIONAL": {"notional": "10 USDT"}},
            }
        )
    )
    one, other = (policy.limits[symbol.chop_limits] for symbol in policy.universe)
    assert (one.order_notional_max, one.rung_1_r_min) == (10.0, 1.0)
    assert (other.order_notional_max, other.rung_1_r_min) == (25_000.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"regimes.CHOP.rules.HARVEST.first": "5 x"}, ["regimes.CHOP.rules.HARVEST.first"]),
        ({"regimes.CHOP.rules.KILL_EXIT.score": "99 %"}, ["regimes.CHOP.rules.KILL_EXIT.score"]),
        (
            {"rules.HARVEST": "off: only in a trend", "regimes.TREND.rules.HARVEST.first": "2 x"},
            ["regimes.TREND.rules.HARVEST.second", "regimes.TREND.rules.HARVEST.third"],
        ),
        (
            {
                "rules.KILL_EXIT": "off: only in a trend",
                "rules.KILL_SCORE": "off: x",
                "score": None,
                "regimes.TREND.rules.KILL_EXIT.score": "60 %",
                "regimes.TREND.score": {"flip": "label", "flip_weight": "1 x", "sigma": "entry"},
            },
            [
                f"regimes.TREND.score.{name}"
                for name in (
                    "age",
                    "age_weight",
                    "sigma_cap",
                    "sigma_weight",
                    "strength",
                    "strength_cap",
                    "strength_weight",
                )
            ],
        ),
        ({"regimes.MOON.rules.HARVEST.first": "1 x"}, ["regimes.MOON"]),
        ({"regimes.CHOP.rules.STOP_EXIT": "on"}, ["regimes.CHOP.rules.STOP_EXIT"]),
        ({"rules.HARVEST.first": "5 x", "regimes.CHOP.score.age": "2 d"}, ["rules.HARVEST.first"]),
    ],
)
def test_a_regime_is_checked_like_the_account(changes: dict[str, Any], paths: list[str]) -> None:
    assert paths_of(changed(changes)) == paths


def test_a_frozen_policy_with_regimes_says_the_same() -> None:
    policy = load_policy(changed({"regimes.CHOP.rules.HARVEST.first": "1 x"}))
    again = load_policy(policy.to_json())
    assert again.digest == policy.digest
    assert again.compile(NOW_NS).limits == policy.compile(NOW_NS).limits
