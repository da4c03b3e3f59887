"""The kernel and its second implementation agree, on the published examples and on anything else."""

from dataclasses import replace
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exitkit import SET_A, SET_B, example, judged, limits_of
from interlock.core.exits.kernel import score_max
from oracle import harvest as oracle
from oracle.harvest import SETS, Position

CLOSE = 1e-12
AT_REST = 0.5031249593105316
THETA = SETS["A"]


def agree(one: float, other: float | None) -> bool:
    return isnan(one) if other is None else abs(one - other) <= CLOSE * max(1.0, abs(other))


@pytest.mark.parametrize(
    ("changes", "r", "action", "stop", "score"),
    [
        ({"U": 1.0}, 0.45, "NONE", None, AT_REST),
        ({"U": 4.0}, 1.95, "NONE", 100.2, AT_REST),
        ({"U": 5.1}, 2.5, "PARTIAL_25", 100.2, AT_REST),
        ({"U": 9.1}, 4.5, "PARTIAL_50", 100.2, AT_REST),
        ({"U": 1.0, "sigma": 0.015}, 0.45, "NONE", None, 0.5652507475670999),
        (
            {"U": 1.0, "p_trend": 0.1, "p_mr": 0.3, "p_chop": 0.6, "ts": 0.4},
            0.45,
            "FULL_CLOSE",
            None,
            0.7335091181602805,
        ),
        ({"U": 1.0, "age": 100_000.0}, 0.45, "NONE", None, 0.574442516811659),
        ({"U": 4.0, "long": False, "stop": 101.0}, 1.95, "NONE", 99.8, AT_REST),
        ({"U": 4.0, "stop": 101.0}, 1.95, "NONE", None, AT_REST),
        ({"U": 50.0, "q": 10.0}, 2.45, "PARTIAL_25", 100.2, AT_REST),
        ({"U": 0.005, "q": 0.001}, 2.45, "PARTIAL_25", 100.2, AT_REST),
    ],
)
def test_the_published_examples(changes: dict[str, float], r: float, action: str, stop: float | None, score: float) -> None:
    position = example(**changes)
    said = judged(position, SET_A)
    assert agree(said.r, r)
    assert said.action.name == action
    assert agree(said.stop, stop)
    assert agree(said.score, score)
    assert agree(score, oracle.kill_score(position, THETA, numeric=True))


def test_two_risks_are_a_rung_under_the_second_set_only() -> None:
    first, second = (example(U=2.0 * 2.0 + cost / 1e4 * 100.0) for cost in (10.0, 12.0))
    assert judged(second, SET_B).action.name == "PARTIAL_25"
    assert abs(judged(second, SET_B).r - 2.0) <= CLOSE
    assert abs(judged(first, SET_A).r - 2.0) <= CLOSE


positions = st.builds(
    Position,
    long=st.booleans(),
    e=st.floats(1e-3, 1e5),
    q=st.floats(1e-4, 1e4),
    U=st.floats(-20.0, 20.0),
    s=st.sampled_from((0.0, -0.01)) | st.floats(1e-3, 0.5),
    age=st.floats(0.0, 2e5),
    stop=st.none() | st.floats(1e-3, 2e5),
    sigma=st.floats(0.0, 0.2),
    ts=st.floats(0.0, 1.0),
    p_trend=st.floats(0.0, 1.0),
    p_mr=st.floats(0.0, 1.0),
    p_chop=st.floats(0.0, 1.0),
    label=st.sampled_from(("CHOP", "BASE", "TREND")),
    entry_label=st.sampled_from(("CHOP", "BASE", "TREND")),
    entry_sigma=st.floats(1e-3, 0.2),
    entry_ts=st.floats(0.0, 1.0),
).map(lambda each: replace(each, U=each.U * each.e * each.q * abs(each.s or 0.01)))


@given(position=positions, name=st.sampled_from(("A", "B")), numeric=st.booleans())
def test_both_say_the_same(position: Position, name: str, numeric: bool) -> None:
    theta = SETS[name]
    said = judged(position, limits_of(theta, numeric=numeric))
    r = oracle.r_net(position, theta)
    edges = [theta[each] for each in ("T1", "T2", "T3", "lock_R")]
    assume(r is None or all(abs(r - edge) > 1e-9 for edge in edges))
    score = oracle.kill_score(position, theta, numeric=numeric)
    assume(score is None or abs(score - theta["kill_threshold"]) > 1e-9)
    assert agree(said.r, r)
    assert agree(said.score, score)
    assert said.action.name.lower() == oracle.action(position, theta, numeric=numeric).lower()
    stop = oracle.new_stop(position, r, theta)
    mark = position.e + (1 if position.long else -1) * position.U / position.q
    near = position.e * theta["be_plus"] * 1e-6
    wanted = position.e * (1 + theta["be_plus"] * (1 if position.long else -1))
    assume(abs(wanted - mark) > near and (position.stop is None or abs(wanted - position.stop) > near))
    assert agree(said.stop, stop)


NONSENSE = (nan, inf, -inf, 0.0, -1.0)
LABELS = ("label", "entry_label")
SPOILED = ("e", "q", "U", "s", "age", "sigma", "ts", "p_trend", "p_mr", "p_chop", "entry_sigma", "entry_ts", *LABELS)


@given(
    position=positions,
    spoiled=st.lists(st.sampled_from(SPOILED), min_size=1, max_size=3),
    nonsense=st.sampled_from(NONSENSE),
    name=st.sampled_from(("A", "B")),
    numeric=st.booleans(),
)
def test_both_say_the_same_of_what_cannot_be(
    position: Position, spoiled: list[str], nonsense: float, name: str, numeric: bool
) -> None:
    """Unknown in is unknown out: what is NaN, endless, nothing or negative closes nothing that it should not."""
    theta = SETS[name]
    changes: dict[str, Any] = {each: "" if each in LABELS else nonsense for each in spoiled}
    wild = replace(position, **changes)
    said = judged(wild, limits_of(theta, numeric=numeric))
    r, score = oracle.r_net(wild, theta), oracle.kill_score(wild, theta, numeric=numeric)
    assume(r is None or all(abs(r - theta[each]) > 1e-9 for each in ("T1", "T2", "T3", "lock_R")))
    assume(score is None or abs(score - theta["kill_threshold"]) > 1e-9)
    assert agree(said.r, r)
    assert agree(said.score, score)
    assert said.action.name.lower() == oracle.action(wild, theta, numeric=numeric).lower()
    assert r is not None or isnan(said.stop)


def test_control_an_endless_profit_would_be_a_rung() -> None:
    assert judged(example(U=inf), SET_A).action.name == "NONE"
    assert judged(example(U=1e9), SET_A).action.name == "PARTIAL_75"


@pytest.mark.parametrize("name", SETS)
def test_the_largest_score_is_the_same_and_is_reached(name: str) -> None:
    theta = SETS[name]
    p = limits_of(theta)
    most = score_max(p.flip_weight, p.sigma_weight, p.sigma_cap, p.trend_weight, p.trend_cap, p.trend_ref, p.age_weight)
    assert agree(most, oracle.k_max(theta))
    worst = example(p_trend=0.0, p_mr=0.5, p_chop=0.5, sigma=1.0, ts=0.0, age=1e9)
    assert agree(judged(worst, p).score, most)
