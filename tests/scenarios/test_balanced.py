"""
Each limit of the preset balanced binds in some situation, with all of its rules on: none hides behind another one.

What needs a record of trades, bars of several symbols or clusters is here; the rest is told in `balanced.txt`.
"""

from math import exp
from random import Random
from typing import Any, Final

import pytest

from interlock.core.codes import Code
from interlock.core.constants import NS_PER_S
from interlock.core.facts import Facts
from interlock.core.messages import BarClosed, LockChanged, MarketState
from interlock.policy.load import preset_texts, read_preset
from interlock.testing import Bench, make_policy, open_bench
from lawkit import decision, permits

SYMBOLS: Final = ("A", "B", "C", "D", "E", "F")
BAR_S: Final = 4 * 3600
CLOSE: Final = 0.001
"""A stop so near that exposure binds and not the risk at the stop."""
FAR: Final = 0.0235
"""A stop at which 2.5 % are lost, costs included."""


def bench_of(**clusters: str) -> Bench:
    """An account of 10 000 under the preset; rules of the way out are off."""
    leaves = read_preset(preset_texts()["balanced@1"])
    risks = {path[2]: leaf.text for path, leaf in leaves.items() if path[:2] == ("rules", "TRADE_RISK")}
    named = {f"universe.{symbol}.cluster": name for symbol, name in clusters.items()}
    policy = make_policy("balanced@1", symbols=SYMBOLS, changes={"rules.TRADE_RISK": risks, **named})
    return open_bench(policy=policy, prices=dict.fromkeys(SYMBOLS, 100.0))


def wait(bench: Bench, seconds: float) -> None:
    bench.pass_until(bench.clock.true_ns + round(seconds * NS_PER_S))


def market(bench: Bench, symbol: str, label: str, chance: float) -> None:
    others = (1.0 - chance) / 2.0
    chances = {f"p_{name.lower()}": chance if name == label else others for name in ("CHOP", "BASE", "TREND")}
    bench.tell_market(MarketState(symbol, 0, atr=1.0, sigma=0.01, trend_strength=0.3, label=label, **chances))


def asked(bench: Bench, symbol: str, side: int = 1, stop: float = CLOSE, notional: float = 50_000.0, **who: Any) -> Any:
    """The decision on an order at the mark, larger than anything allows unless it says how large."""
    mark = bench.book.prices[symbol].mark
    price = {"limit_price": mark, "stop_price": mark * (1.0 - side * stop)}
    return decision(bench.send(bench.intent(symbol, side, notional=notional, **price, **who)))


def binds(bench: Bench, symbol: str, side: int = 1, stop: float = CLOSE, **who: Any) -> tuple[Any, set[Code]]:
    """The largest order that may open, and every rule that says so."""
    objections = asked(bench, symbol, side, stop, **who).objections
    least = min(each.allowance for each in objections)
    return pytest.approx(least), {each.code for each in objections if each.allowance <= least + 0.01}


def hold(bench: Bench, symbol: str, notional: float, side: int = 1, stop: float = CLOSE, **who: Any) -> None:
    mark = bench.book.prices[symbol].mark
    price = {"limit_price": mark, "stop_price": mark * (1.0 - side * stop)}
    (permit,) = permits(bench.send(bench.intent(symbol, side, notional=notional, **price, **who)))
    bench.fill(permit.id)
    bench.refresh()


def leave(bench: Bench, symbol: str, gain: float) -> None:
    """The position is closed, which won that share of the price."""
    (permit,) = permits(bench.send(bench.intent(symbol, -1, quantity=100.0, reduce_only=True)))
    bench.fill(permit.id, price=100.0 * (1.0 + gain))
    bench.refresh()


def record(bench: Bench, gains: list[float]) -> None:
    """So many trades of 900 were closed, eight a day."""
    for gain in gains:
        hold(bench, "A", 900.0, stop=FAR)
        leave(bench, "A", gain)
        wait(bench, 3 * 3600)


def bars(bench: Bench, **returns: list[float]) -> None:
    """Bars of 4 h with these log returns, the last one just closed."""
    for symbol, steps in returns.items():
        close = 1.0
        for number, step in enumerate([0.0, *steps]):
            close *= exp(step)
            opened_ns = bench.clock.wall_ns - (len(steps) + 1 - number) * BAR_S * NS_PER_S
            bench.send(BarClosed(symbol, opened_ns, float(BAR_S), close, close, close, close))


RIVAL: Final[dict[str, Any]] = {"source": "rival", "strategy": "mean"}


def test_a_symbol_is_bounded_by_its_regime_and_at_most_by_its_share() -> None:
    bench = bench_of()
    for label, chance, most in (("CHOP", 0.5, 2000), ("CHOP", 1.0, 2500), ("BASE", 0.8, 5000), ("TREND", 0.7, 7000)):
        market(bench, "A", label, chance)
        assert binds(bench, "A") == (most, {Code.GROSS_LEVERAGE})
    market(bench, "A", "TREND", 0.95)
    assert binds(bench, "A") == (7500, {Code.SYMBOL_EXPOSURE})


def test_a_cluster_is_bounded_before_what_merely_has_no_bars() -> None:
    bench = bench_of(A="majors", B="majors", C="majors", D="others")
    hold(bench, "A", 5000)
    hold(bench, "B", 4000)
    assert binds(bench, "C") == (1000, {Code.CLUSTER_CAP})
    assert binds(bench, "D") == (5000, {Code.GROSS_LEVERAGE})


def test_a_strategy_the_net_and_the_total_are_bounded_where_symbols_differ() -> None:
    bench = bench_of()
    chance = Random(1)
    bars(bench, **{symbol: [chance.gauss(0.0, 0.01) for _ in range(128)] for symbol in SYMBOLS})
    for symbol in "ABC":
        hold(bench, symbol, 4900)
    assert binds(bench, "D") == (300, {Code.STRATEGY_EXPOSURE})
    hold(bench, "D", 4900, **RIVAL)
    assert binds(bench, "E", **RIVAL) == (400, {Code.NET_EXPOSURE})
    hold(bench, "E", 4900, -1, **RIVAL)
    assert binds(bench, "F", -1, **RIVAL) == (500, {Code.TOTAL_EXPOSURE, Code.GROSS_LEVERAGE})


@pytest.mark.parametrize(("shared", "close"), [(0.6, False), (0.8, True)])
def test_what_moves_together_is_one_bet_beyond_its_correlation(shared: float, close: bool) -> None:
    bench = bench_of()
    chance = Random(2)
    common = [chance.gauss(0.0, 0.01) for _ in range(128)]
    apart = [shared * each + (1.0 - shared**2) ** 0.5 * chance.gauss(0.0, 0.01) for each in common]
    bars(bench, A=common, B=common, C=common, D=apart)
    for symbol in "ABC":
        hold(bench, symbol, 4800)
    told = asked(bench, "D", notional=1000, **RIVAL)
    assert isinstance(told.facts, Facts)
    assert (told.facts.correlation > 0.7) == close
    assert (told.headline == Code.CORRELATION_VETO) == close
    assert asked(bench, "D", -1, notional=1000, **RIVAL).headline == Code.ALLOWED


def test_a_record_with_an_edge_leaves_the_risk_of_a_trade_to_its_regime_and_to_the_morning() -> None:
    bench = bench_of()
    record(bench, [0.04, -0.02] * 15)
    assert binds(bench, "B", stop=FAR) == (0.005 * bench.book.equity / 0.025, {Code.TRADE_RISK})
    market(bench, "B", "TREND", 0.95)
    morning = bench.engine.state.calendars[0].open_equity
    record(bench, [0.04])
    assert bench.book.equity > morning
    assert binds(bench, "B", stop=FAR) == (0.0075 * morning / 0.025, {Code.DAILY_RISK_QUOTA})
    record(bench, [-0.02, -0.03])
    assert bench.book.equity < morning
    assert binds(bench, "B", stop=FAR) == (0.0075 * bench.book.equity / 0.025, {Code.TRADE_RISK})


def test_a_record_with_a_small_edge_deserves_less_than_a_trend_may_risk() -> None:
    bench = bench_of()
    record(bench, [0.026, -0.02] * 15)
    market(bench, "B", "TREND", 0.95)
    deserved = 0.1 * 15 / 60 * (1 - 20 / 26)
    assert binds(bench, "B", stop=FAR) == (deserved * bench.book.equity / 0.025, {Code.KELLY_CAP})


def test_a_day_takes_twelve_slices_in_ordinary_trades() -> None:
    bench = bench_of()
    record(bench, [0.04, -0.02] * 15)
    wait(bench, 86_400)
    for number in range(6):
        hold(bench, "B", 1900.0, stop=FAR)
        leave(bench, "B", 0.001 * (-1) ** number)
        wait(bench, 600)
    told = asked(bench, "B", stop=FAR, notional=100.0)
    assert told.facts is not None
    assert (told.facts.day_entry_count, told.facts.day_slice_count) == (6.0, 12.0)
    assert (told.headline, told.allowance) == (Code.DAILY_RISK_QUOTA, 0.0)


def test_ten_losers_wait_for_an_operator_although_four_only_rest() -> None:
    bench = bench_of()
    for count in (4, 4, 2):
        record(bench, [-0.015] * count)
        wait(bench, 2 * 3600)
    locks = [each.code for step in bench.steps for each in step.outputs if isinstance(each, LockChanged) and each.until_ns]
    assert locks == [Code.CONSEC_LOSS, Code.CONSEC_LOSS, Code.CONSEC_LOSS_BREAKER]
    assert asked(bench, "A", notional=100.0).lock == Code.CONSEC_LOSS_BREAKER
