"""Bars go in, market states come out; what is no bar of the series changes nothing."""

from array import array
from importlib.resources import files
from math import isnan, nan
from pathlib import Path

import msgspec
import numpy as np
import pytest

from exitkit import limits_of
from interlock.adapters.bars import read_bars
from interlock.batch.compile import compiled
from interlock.core.codes import CloseAction
from interlock.core.constants import BASE, CHOP, CLOSES, TREND
from interlock.core.exits.harvest import Held, Market, harvest
from interlock.core.limits import Limits
from interlock.core.messages import BarClosed
from interlock.core.regime import on_market_state, regime_of
from interlock.core.state import SymbolRow
from interlock.market import MarketSeries
from interlock.market.kernel import market_of
from oracle.harvest import SETS

HOUR_NS = 3_600_000_000_000
START_NS = 1_800_000_000_000_000_000


def bar(number: int, close: float = 100.0, **changes: float) -> BarClosed:
    made = BarClosed("BTC", START_NS + number * HOUR_NS, 3600.0, close, close * 1.01, close * 0.99, close)
    return msgspec.structs.replace(made, **changes)


def filled(count: int) -> MarketSeries:
    series = MarketSeries("BTC")
    assert all(series.add(bar(number, 100.0 + number % 3)) for number in range(count))
    return series


def test_before_257_closes_nothing_is_known() -> None:
    early = filled(CLOSES - 1).state()
    figures = (early.atr, early.sigma, early.trend_strength, early.score, early.p_trend, early.p_base, early.p_chop)
    assert all(map(isnan, figures))
    assert (early.symbol, early.label, early.at_ns) == ("BTC", "", START_NS + (CLOSES - 1) * HOUR_NS)


def test_from_257_closes_on_everything_is() -> None:
    state = filled(CLOSES).state()
    assert not any(map(isnan, (state.atr, state.sigma, state.trend_strength, state.score)))
    assert state.at_ns == START_NS + CLOSES * HOUR_NS
    assert filled(CLOSES).state(at_ns=7).at_ns == 7


def test_it_looks_back_no_further_than_257_closes_but_for_its_range() -> None:
    long, short = MarketSeries("BTC"), MarketSeries("BTC")
    for number in range(CLOSES + 300):
        assert long.add(bar(number, 50.0 if number < 300 else 100.0 + number % 7))
        if number >= 300:
            assert short.add(bar(number, 100.0 + number % 7))
    ours, fresh = long.state(), short.state()
    assert (ours.sigma, ours.trend_strength, ours.score) == (fresh.sigma, fresh.trend_strength, fresh.score)
    assert ours.atr != fresh.atr


@pytest.mark.parametrize(
    "wrong",
    [
        {"opened_ns": START_NS + 299 * HOUR_NS},
        {"length_s": 60.0},
        {"length_s": nan},
        {"close": nan},
        {"close": 0.0},
        {"low": 0.0},
        {"high": float("inf")},
        {"high": 50.0},
        {"low": 150.0},
        {"open": 10.0},
        {"symbol": "ETH"},
    ],
)
def test_what_is_no_next_bar_changes_nothing(wrong: dict[str, float]) -> None:
    series = filled(300)
    before = series.state()
    assert not series.add(bar(300, **wrong))
    assert series.state() == before
    assert series.add(bar(300))


@pytest.mark.parametrize("length_s", [0.0, -60.0, nan, float("inf")])
def test_a_first_bar_has_a_length(length_s: float) -> None:
    assert not MarketSeries("BTC").add(bar(0, length_s=length_s))


DATA = {
    "gold": Path(str(files("interlock.demo") / "data/xauusd_1h.csv.gz")),
    "euro": Path(str(files("interlock.demo") / "data/eurusd_1h.csv.gz")),
    "stocks": Path(__file__).parents[2] / "data" / "spy_1h.csv.gz",
}
LABEL_SHARE_MIN = 0.05


@pytest.mark.parametrize("name", DATA)
def test_every_label_is_met_on_real_bars(name: str) -> None:
    """Thresholds that call one market everything would be no thresholds."""
    shares = label_shares(read_bars(DATA[name]).close)
    assert min(shares.values()) >= LABEL_SHARE_MIN, shares


@pytest.mark.parametrize("name", DATA)
def test_control_the_drift_over_the_deviation_alone_calls_everything_chop(name: str) -> None:
    drifts = [strength / 8.0 * 3.0 for _, strength, _ in states_of(read_bars(DATA[name]).close)]
    assert {regime_of(drift, 0.90, 0.65) for drift in drifts} == {CHOP}


def label_shares(closes: "array[float]") -> dict[float, float]:
    labels = [regime_of(score, 0.90, 0.65) for _, _, score in states_of(closes)]
    return {label: labels.count(label) / len(labels) for label in (CHOP, BASE, TREND)}


def states_of(closes: "array[float]") -> list[tuple[float, float, float]]:
    logs = np.log(np.asarray(closes))
    moves, scratch, twin = np.diff(logs), np.zeros(CLOSES), compiled(market_of)
    ends = range(CLOSES, len(logs) + 1)
    return [twin(logs[end - CLOSES : end], moves[end - CLOSES : end - 1], scratch) for end in ends]


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("letter", ["A", "B"])
def test_no_position_is_closed_by_its_kill_score_at_birth_on_real_bars(name: str, letter: str) -> None:
    """The market that it was entered in is the one that it is compared with."""
    p = limits_of(SETS[letter], numeric=False)
    assert kills_at_birth(read_bars(DATA[name]).close, p) == 0


def test_control_references_in_numbers_close_positions_at_birth() -> None:
    assert kills_at_birth(read_bars(DATA["gold"]).close, limits_of(SETS["A"])) > 0


def kills_at_birth(closes: "array[float]", p: Limits) -> int:
    """In how many market states of the series a position would be closed by its kill score as soon as it is opened."""
    count = 0
    for sigma, strength, score in states_of(closes):
        row = SymbolRow()
        on_market_state(row, 1.0, sigma, strength, score, 0.0, nan, nan, nan, 1, 0.90, 0.65)
        assert row.regime == row.regime
        now = Market(1.0, sigma, strength, row.p_trend, row.p_base, row.p_chop, row.regime)
        held = Held(1.0, 100.0, 100.0, 1.0, 0.0, 100.0, 98.0, 0.02, 0.0)
        count += harvest(held, now, now, p).action is CloseAction.FULL_CLOSE
    return count
