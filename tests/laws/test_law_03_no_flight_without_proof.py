"""
Law 3, no flight without proof: missing, NaN or implausible data never closes a position and never locks for a loss.

One print of nothing, of NaN or ten times too large, of a price or of equity, is not a loss, however often it comes back.
"""

from dataclasses import dataclass
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core import triggers
from interlock.core.agenda import Agenda
from interlock.core.limits import Limits
from interlock.core.messages import EquityMarked, MarketBatch, PositionsReported, Quote, Step
from interlock.core.state import LOSS_TRIGGERS
from interlock.testing import Bench
from lawkit import bench_under, flights, hold

GARBAGE = (nan, 0.0, -1.0, inf, -inf)


@dataclass(frozen=True)
class Moment:
    """What the feeds say at one instant: a true price within 0.5 %, and what is wrong with how it is told."""

    price: float
    passed_s: float
    mark: str
    equity: str


def moments() -> st.SearchStrategy[list[Moment]]:
    faults = st.sampled_from(("told", "told", "missing", "garbage", "tenfold", "tenth"))
    return st.lists(
        st.builds(Moment, st.floats(0.995, 1.005), st.floats(0.1, 100.0), faults, faults), min_size=1, max_size=25
    )


def wrong(value: float, fault: str, garbage: float) -> float:
    return {"garbage": garbage, "tenfold": value * 10.0, "tenth": value * 0.1}.get(fault, value)


def live_through(bench: Bench, story: list[Moment], garbage: float) -> list[Step]:
    """The steps of a story in which no two prints in a row agree on nonsense."""
    steps: list[Step] = []
    spoiled = misled = False
    for moment in story:
        bench.clock.advance(moment.passed_s)
        now_ns = bench.clock.true_ns
        price = 100.0 * moment.price
        fault = "told" if spoiled and moment.mark in ("tenfold", "tenth") else moment.mark
        spoiled = fault in ("tenfold", "tenth")
        bench.book.prices["BTC"].mark = price
        if fault != "missing":
            mark = wrong(price, fault, garbage)
            steps.append(bench.send(MarketBatch((Quote("BTC", mark * 0.9999, mark * 1.0001, mark, now_ns),))))
        told = "told" if misled else moment.equity
        misled = told in ("garbage", "tenfold", "tenth") or (misled and told == "missing")
        if told != "missing":
            equity = wrong(bench.book.equity, told, garbage)
            steps.append(bench.send(EquityMarked(equity, wrong(bench.book.balance, told, garbage), now_ns)))
        if moment.passed_s < 30.0:
            bench.send(PositionsReported(bench.book.positions(), now_ns))
    return steps


def flown(steps: list[Step]) -> list[object]:
    """Flatten goals, and locks of loss triggers."""
    return [each for step in steps for each in flights(step) if each.code in LOSS_TRIGGERS or not hasattr(each, "scope")]


@settings(max_examples=40)
@given(story=moments(), garbage=st.sampled_from(GARBAGE), side=st.sampled_from((1, -1)))
def test_bad_data_closes_nothing(story: list[Moment], garbage: float, side: int) -> None:
    bench = bench_under()
    hold(bench, "BTC", side, 25.0)
    steps = live_through(bench, story, garbage)
    assert flown(steps) == []
    state = bench.engine.state
    assert state.symbols[state.names.symbol_index["BTC"]].position == side * 250_000
    assert not state.account.equity_peak > 10_200.0


@pytest.mark.parametrize(
    ("apart_s", "positions", "believed"), [(70.0, True, True), (70.0, False, False), (20.0, True, False)]
)
def test_a_balance_that_nothing_explains_takes_two_joint_reads_a_minute_apart(
    apart_s: float, positions: bool, believed: bool
) -> None:
    bench = bench_under()
    hold(bench, "BTC", 1, 25.0)
    steps = []
    for told in (True, positions):
        bench.clock.advance(apart_s)
        now_ns = bench.clock.true_ns
        bench.send(EquityMarked(5_000.0, 5_000.0, now_ns))
        bench.send(MarketBatch((bench.book.quote("BTC", now_ns),)))
        if told:
            bench.send(PositionsReported(bench.book.positions(), now_ns))
        steps.append(bench.send(EquityMarked(5_000.0, 5_000.0, now_ns)))
    assert bool(flown(steps)) is believed


def test_a_true_loss_is_acted_upon() -> None:
    bench = bench_under()
    hold(bench, "BTC", 1, 25.0)
    steps = []
    for price in (97.0, 94.0, 91.0, 88.0, 85.0, 82.0, 79.0, 76.0, 73.0, 70.0, 67.0, 64.0, 61.0, 58.0):
        bench.clock.advance(5.0)
        before = len(bench.steps)
        bench.mark("BTC", price)
        bench.refresh()
        steps += bench.steps[before:]
    assert {each.code for each in flown(steps)} >= {"DAILY_LOSS", "EMERGENCY_FLATTEN"}  # type: ignore[attr-defined]


def test_control_a_trigger_that_believes_the_venue_alone_is_found_out() -> None:
    losses = triggers._losses

    def gullible(agenda: Agenda, limits: Limits) -> None:
        a = agenda.state.account
        a.own_equity, a.own_proven, a.equity_gap = a.venue_equity, 1.0, 0.0
        losses(agenda, limits)

    bench = bench_under()
    hold(bench, "BTC", 1, 25.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triggers, "_losses", gullible)
        bench.clock.advance(1.0)
        assert flown([bench.send(EquityMarked(1.0, nan, bench.clock.true_ns)) for _ in range(2)])
