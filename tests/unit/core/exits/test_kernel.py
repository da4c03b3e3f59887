"""The kernel's properties: what moves it, what does not, and where it says that it does not know."""

from math import inf, isnan, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitkit import SET_A, example, held, judged, limits_of
from interlock.core.codes import CloseAction, Code
from interlock.core.exits.harvest import LADDER, UNKNOWN_MARKET, harvest
from interlock.core.exits.kernel import kill_score, logistic, regime_flip
from interlock.core.limits import BITS
from oracle.harvest import SETS

parts = st.floats(0.0, 1.0)
BY_ENTRY = limits_of(SETS["A"], numeric=False)


@given(flip=st.sampled_from((0.0, 1.0)), spike=parts, drop=parts, age=parts, more=parts, which=st.integers(0, 3))
def test_the_score_never_falls_when_a_component_rises(
    flip: float, spike: float, drop: float, age: float, more: float, which: int
) -> None:
    flip_2, spike_2, drop_2, age_2 = (
        value + (more if at == which else 0.0) for at, value in enumerate((flip, spike, drop, age))
    )
    assert 0.5 <= kill_score(flip, spike, drop, age, SET_A) <= kill_score(flip_2, spike_2, drop_2, age_2, SET_A)


@given(sigma=st.floats(1e-6, 1.0), strength=parts, label=st.sampled_from(("CHOP", "BASE", "TREND")))
def test_the_score_at_birth_is_one_half_where_references_are_those_at_entry(
    sigma: float, strength: float, label: str
) -> None:
    born = example(age=0.0, sigma=sigma, ts=strength, label=label, entry_label=label, entry_sigma=sigma, entry_ts=strength)
    assert judged(born, BY_ENTRY).score == 0.5
    assert judged(born, BY_ENTRY).action is CloseAction.NONE


@given(quantity=st.floats(1e-4, 1e6), profit=st.floats(-10.0, 20.0))
def test_r_does_not_depend_on_the_quantity(quantity: float, profit: float) -> None:
    one, many = judged(example(U=profit), SET_A), judged(example(q=quantity, U=profit * quantity), SET_A)
    assert abs(one.r - many.r) <= 1e-9 * max(1.0, abs(one.r))
    assert one.score == many.score


@pytest.mark.parametrize("stop_frac", [0.0, -0.02, nan])
def test_without_a_stop_on_the_losing_side_there_is_no_r_no_rung_and_no_lock(stop_frac: float) -> None:
    said = judged(example(U=50.0, s=stop_frac), SET_A)
    assert isnan(said.r)
    assert said.action is CloseAction.NONE
    assert isnan(said.stop)


@pytest.mark.parametrize("changes", [{"sigma": nan}, {"ts": nan}, {"p_trend": nan}, {"age": nan}, {"p_chop": nan}])
def test_an_unknown_component_leaves_the_score_unknown_and_closes_nothing(changes: dict[str, float]) -> None:
    choppy = {"p_trend": 0.0, "p_mr": 0.2, "p_chop": 0.8}
    said = judged(example(**(choppy | changes)), SET_A)
    assert isnan(said.score)
    assert said.action is CloseAction.NONE
    assert judged(example(**choppy), SET_A).action is CloseAction.FULL_CLOSE


def test_an_unknown_market_leaves_the_score_unknown() -> None:
    assert isnan(harvest(held(example()), UNKNOWN_MARKET, UNKNOWN_MARKET, BY_ENTRY).score)


@pytest.mark.parametrize(
    ("r", "action"),
    [
        (1.999, CloseAction.NONE),
        (2.0, CloseAction.PARTIAL_25),
        (4.0, CloseAction.PARTIAL_50),
        (6.0, CloseAction.PARTIAL_75),
    ],
)
def test_rungs_are_inclusive(r: float, action: CloseAction) -> None:
    free = msgspec.structs.replace(SET_A, exit_cost_bps=0.0)
    assert judged(example(U=2.0 * r), free).action is action


def test_a_lock_is_inclusive_and_never_beyond_the_market() -> None:
    free = msgspec.structs.replace(SET_A, exit_cost_bps=0.0)
    assert judged(example(U=3.0), free).stop == pytest.approx(100.2)
    assert isnan(judged(example(U=2.99), free).stop)
    wide = msgspec.structs.replace(free, lock_frac=0.04)
    assert isnan(judged(example(U=3.0), wide).stop)
    assert isnan(judged(example(U=4.0), wide).stop)
    assert judged(example(U=4.01), wide).stop == pytest.approx(104.0)


def test_every_reason_is_told() -> None:
    worst = example(U=5.1, p_trend=0.0, p_mr=0.5, p_chop=0.5, sigma=0.02, ts=0.05, age=80_000.0)
    assert judged(worst, SET_A).reasons == (
        "harvest_partial_25",
        "profit_lock",
        "kill_score_triggered",
        "regime_flip",
        "sigma_spike",
        "ts_drop",
        "age_penalty",
    )
    assert judged(worst, SET_A).action is CloseAction.FULL_CLOSE


@pytest.mark.parametrize(
    ("off", "without"),
    [
        (Code.HARVEST, "harvest_partial_25"),
        (Code.PROFIT_LOCK, "profit_lock"),
        (Code.KILL_EXIT, "kill_score_triggered"),
    ],
)
def test_what_is_off_says_nothing(off: Code, without: str) -> None:
    worst = example(U=5.1, p_trend=0.0, p_mr=0.5, p_chop=0.5)
    p = msgspec.structs.replace(SET_A, active=SET_A.active & ~BITS[off])
    assert without in judged(worst, SET_A).reasons
    assert without not in judged(worst, p).reasons


@pytest.mark.parametrize(
    ("entered", "now", "flip"),
    [("TREND", "CHOP", 1.0), ("BASE", "CHOP", 1.0), ("CHOP", "CHOP", 0.0), ("TREND", "BASE", 0.0)],
)
def test_a_label_flips_once(entered: str, now: str, flip: float) -> None:
    assert judged(example(entry_label=entered, label=now), BY_ENTRY).flip == flip
    assert isnan(judged(example(entry_label="", label=now), BY_ENTRY).flip)
    assert isnan(judged(example(entry_label=entered, label=""), BY_ENTRY).flip)


@pytest.mark.parametrize(("trend", "rest", "flip"), [(0.3, 0.6, 0.0), (0.29, 0.5, 0.0), (0.29, 0.51, 1.0)])
def test_the_numeric_flip_is_strict_on_both_sides(trend: float, rest: float, flip: float) -> None:
    assert regime_flip(nan, nan, trend, rest, 0.0, 0.3) == flip


@pytest.mark.parametrize("z", [-1.0, nan, -inf])
def test_a_negative_score_cannot_be(z: float) -> None:
    assert isnan(logistic(z))
    assert logistic(inf) == 1.0


def test_every_action_carries_its_fraction() -> None:
    assert [each.fraction for each in CloseAction] == [0.0, 0.25, 0.33, 0.5, 0.75, 1.0]
    assert set(LADDER) < set(CloseAction)
