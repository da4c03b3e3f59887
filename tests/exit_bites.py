"""For each limit of the way out a story in which it bites, and the range in which it does."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from interlock.core.codes import Code, Partial
from interlock.core.messages import BarClosed, MarketState
from interlock.testing import Bench
from lawkit import hold


class ExitBite(NamedTuple):
    """A limit, its range, its story, and what else is given."""

    name: str
    low: float
    high: float
    story: Callable[[Bench], None]
    given: dict[str, Any]


WILD = MarketState("BTC", 0, atr=1.0, sigma=0.015, trend_strength=0.2, p_trend=0.05, p_base=0.6, p_chop=0.35, label="BASE")
"""Half as volatile again as the reference, less of a trend, and by its probabilities no trend at all."""

SCORE = {
    "flip_weight": 0.0, "sigma_weight": 1.0, "trend_weight": 1.0, "age_weight": 0.0, "flip_trend_min": 0.1,
    "sigma_ref": 0.01, "sigma_cap": 2.0, "trend_ref": 0.3, "trend_cap": 0.3, "score_age_s_max": 1000.0,
    "kill_exit_score_min": 0.7,
}  # fmt: skip


def rises(bench: Bench) -> None:
    """Five bought at 100 with a stop at 95, marked 7 % higher."""
    hold(bench)
    bench.mark("BTC", 107.0)


def rises_and_falls_back(bench: Bench) -> None:
    hold(bench)
    for price in (104.0, 110.0, 107.0):
        bench.mark("BTC", price)


def stands_still(bench: Bench) -> None:
    hold(bench)
    for _ in range(6):
        opened_ns = bench.clock.true_ns
        bench.clock.advance(60.0)
        bench.refresh()
        bench.send(BarClosed("BTC", opened_ns, 60.0, 100.0, 100.0, 100.0, 100.0))


def falls_in_chop(bench: Bench) -> None:
    hold(bench)
    bench.tell_market(MarketState("BTC", 0, atr=1.0, p_trend=0.1, p_base=0.1, p_chop=0.8, label="CHOP"))
    bench.mark("BTC", 98.0)


def grows_old_in_a_wild_market(bench: Bench) -> None:
    hold(bench)
    bench.clock.advance(500.0)
    bench.refresh()
    bench.tell_market(WILD)


def asks_in_a_wild_market(bench: Bench) -> None:
    bench.tell_market(msgspec.structs.replace(WILD, p_trend=0.2, trend_strength=0.3))
    bench.send(bench.intent("BTC", 1, notional=1_000.0, partial=Partial.SCALE))


def exit_bites() -> Iterator[ExitBite]:
    """All of them."""
    far = {"rung_1_r_min": 0.1, "rung_2_r_min": 0.2, "rung_3_r_min": 1e3, "exit_cost_bps": 10.0}
    ladder = {"on": (Code.HARVEST,)}
    yield ExitBite("rung_1_r_min", 1.0, 1.9, rises, far | {"rung_2_r_min": 1e3} | ladder)
    yield ExitBite("rung_2_r_min", 1.0, 1.9, rises, far | ladder)
    yield ExitBite("rung_3_r_min", 1.0, 1.9, rises, far | ladder)
    yield ExitBite("exit_cost_bps", 1.0, 100.0, rises, far | {"rung_1_r_min": 1.3, "rung_2_r_min": 1e3} | ladder)
    lock = {"on": (Code.PROFIT_LOCK,), "lock_r_min": 1.0, "lock_frac": 0.001, "exit_cost_bps": 10.0}
    yield ExitBite("lock_r_min", 1.0, 1.9, rises, lock)
    yield ExitBite("lock_frac", 0.01, 0.09, rises, lock)
    taken = {"on": (Code.TAKE_PROFIT,), "take_profit_atr": 2.0, "take_profit_trend_min": 0.1}
    yield ExitBite("take_profit_atr", 2.0, 12.0, rises, taken)
    yield ExitBite("take_profit_trend_min", 0.1, 0.5, rises, taken)
    trailing = {"on": (Code.TAKE_PROFIT, Code.TRAILING_STOP, Code.STOP_EXIT)}
    yield ExitBite("trail_atr", 1.0, 6.0, rises_and_falls_back, taken | trailing)
    bars = {
        "on": (Code.TIME_EXIT,), "exit_bar_s": 60.0,
        "young_idle_bar_count_max": 3.0, "young_bar_count_max": 100.0, "old_idle_bar_count_max": 100.0,
    }  # fmt: skip
    yield ExitBite("exit_bar_s", 60.0, 100.0, stands_still, bars)
    yield ExitBite("young_idle_bar_count_max", 2.0, 10.0, stands_still, bars)
    yield ExitBite("young_bar_count_max", 1.0, 10.0, stands_still, bars)
    yield ExitBite("old_idle_bar_count_max", 2.0, 10.0, stands_still, bars | {"young_bar_count_max": 0.0})
    yield ExitBite("chop_loss_frac_max", 0.01, 0.05, falls_in_chop, {"on": (Code.REGIME_EXIT,)})
    yield ExitBite("margin_loss_frac_max", 0.1, 0.5, falls_in_chop, {"on": (Code.LOSS_EXIT,)})
    yield from _scored()


def _scored() -> Iterator[ExitBite]:
    """With weights of 1 volatility counts 0.5 and the trend 0.1; the threshold of 0.7 is a sum of 0.85."""
    story, on = grows_old_in_a_wild_market, {"on": (Code.KILL_EXIT,)}
    for name, low, high, given in (
        ("kill_exit_score_min", 0.6, 0.95, {"flip_weight": 1.0}),
        ("flip_weight", 0.0, 1.0, {}),
        ("sigma_weight", 0.0, 3.0, {}),
        ("trend_weight", 0.0, 9.0, {}),
        ("age_weight", 0.0, 2.0, {}),
        ("flip_trend_min", 0.01, 0.1, {"flip_weight": 1.0}),
        ("sigma_ref", 0.01, 0.015, {"sigma_weight": 2.0}),
        ("sigma_cap", 0.1, 1.0, {"sigma_weight": 2.0}),
        ("trend_ref", 0.2, 0.5, {"trend_weight": 4.0}),
        ("trend_cap", 0.01, 0.3, {"trend_weight": 4.0, "trend_ref": 0.5}),
        ("score_age_s_max", 500.0, 5000.0, {"age_weight": 1.0}),
    ):
        yield ExitBite(name, low, high, story, SCORE | given | on)
    opening = SCORE | {"sigma_weight": 2.0, "off": (Code.LOSS_HEADROOM,), "kill_score_min": 0.6, "kill_score_critical": 0.9}
    for name, low, high in (
        ("kill_score_min", 0.6, 0.89),
        ("kill_score_critical", 0.65, 0.9),
        ("kill_score_decay", 0.0, 5.0),
    ):
        yield ExitBite(name, low, high, asks_in_a_wild_market, opening)
    yield ExitBite("kill_score_share_min", 0.1, 0.9, asks_in_a_wild_market, opening | {"kill_score_decay": 50.0})
