"""What moves together with a symbol, from the bars that the engine was told."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.codes import Code
from interlock.core.constants import NS_PER_S
from interlock.core.facts import Facts
from interlock.core.messages import BarClosed
from interlock.core.snapshot import decode, encode
from interlock.core.together import correlation_of, weigh
from interlock.market import correlation
from interlock.testing import Bench, make_policy, open_bench
from lawkit import decision, hold, permits

BAR_S = 3600
STEPS = [0.01, -0.02, 0.015, 0.005, -0.01] * 8
RULE = {"correlation": "70 %", "exposure": "veto", "bar": "1 h", "decay": "97 %", "age": "24 h"}


def bench_of(**changes: Any) -> Bench:
    """A bench under a policy that compares symbols by hourly bars."""
    rule = {**RULE, **{key: value for key, value in changes.items() if key in RULE}}
    rest = {key.replace("__", "."): value for key, value in changes.items() if key not in RULE}
    policy = make_policy("layered@1", changes={"rules.CORRELATION_VETO": rule, **rest})
    return open_bench(policy=policy)


def told(bench: Bench, symbol: str, returns: list[float], ends_s: int = BAR_S, skip: frozenset[int] = frozenset()) -> None:
    """The symbol's hourly bars, whose closes make these log returns; the last ended so long ago."""
    close, count = 1.0, len(returns)
    for number in range(count + 1):
        close *= np.exp(returns[number - 1]) if number else 1.0
        opened_ns = bench.clock.wall_ns - (ends_s + (count - number) * BAR_S) * NS_PER_S
        if number not in skip:
            bench.send(BarClosed(symbol, opened_ns, float(BAR_S), close, close, close, close))


def asked(bench: Bench, symbol: str = "ETH", side: int = 1, **changes: Any) -> Facts:
    """The facts of an opening order's decision."""
    facts = decision(bench.send(bench.intent(symbol, side, **{"notional": 100.0, **changes}))).facts
    assert facts is not None
    return facts


def mirrored(returns: list[float]) -> list[float]:
    return [-each for each in returns]


def test_alone_nothing_moves_with_it() -> None:
    facts = asked(bench_of())
    assert (facts.correlation, facts.correlated_notional) == (-1.0, 0.0)


def test_a_rule_that_is_off_computes_nothing() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    told(bench, "BTC", STEPS)
    assert bench.engine.state.symbols[0].bars == ()
    facts = asked(bench)
    assert facts.correlation != facts.correlation
    assert facts.correlated_notional != facts.correlated_notional


@pytest.mark.parametrize(("held", "side", "moves", "veto"), [
    (1, 1, STEPS, True),
    (1, -1, STEPS, False),
    (-1, 1, STEPS, False),
    (-1, -1, STEPS, True),
    (1, 1, mirrored(STEPS), False),
    (1, -1, mirrored(STEPS), True),
])  # fmt: skip
def test_a_correlation_counts_with_both_sides(held: int, side: int, moves: list[float], veto: bool) -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS)
    told(bench, "ETH", moves)
    hold(bench, "BTC", held)
    answer = decision(bench.send(bench.intent("ETH", side, notional=100.0)))
    assert (answer.headline is Code.CORRELATION_VETO) == veto
    assert answer.facts is not None
    assert answer.facts.correlation == pytest.approx(1.0 if veto else -1.0)


def test_in_the_form_of_a_cap_the_company_shares_a_share_of_equity() -> None:
    bench = bench_of(exposure="10 %")
    told(bench, "BTC", STEPS)
    told(bench, "ETH", STEPS)
    told(bench, "SOL", mirrored(STEPS))
    hold(bench, "BTC", 1, 5.0)
    hold(bench, "SOL", 1, 5.0)
    answer = decision(bench.send(bench.intent("ETH", 1, notional=600.0)))
    assert (answer.headline, answer.allowance) == (Code.CORRELATION_VETO, 500.0)
    assert decision(bench.send(bench.intent("ETH", 1, notional=500.0))).allowed


def test_a_resting_order_is_as_good_as_a_position_and_not_its_own_company() -> None:
    bench = bench_of(exposure="10 %")
    told(bench, "BTC", STEPS)
    told(bench, "ETH", STEPS)
    permits(bench.send(bench.intent("BTC", 1, notional=300.0)))
    assert asked(bench, "ETH").correlated_notional == pytest.approx(300.0, rel=0.03)
    assert asked(bench, "BTC").correlated_notional == pytest.approx(400.0, rel=0.03)


@pytest.mark.parametrize("count", [29, 30])
def test_fewer_than_thirty_common_returns_count_as_one(count: int) -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS[:count])
    told(bench, "ETH", mirrored(STEPS[:count]))
    hold(bench, "BTC")
    assert asked(bench).correlation == (1.0 if count < 30 else pytest.approx(-1.0))


def test_bars_that_one_of_them_lacks_are_left_out_for_both() -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS)
    told(bench, "ETH", mirrored(STEPS), skip=frozenset({3, 4, 20}))
    hold(bench, "BTC")
    assert asked(bench).correlation == pytest.approx(-1.0)
    gaps = bench_of()
    told(gaps, "BTC", STEPS)
    told(gaps, "ETH", mirrored(STEPS), skip=frozenset(range(0, 40, 3)))
    hold(gaps, "BTC")
    assert asked(gaps).correlation == 1.0


@pytest.mark.parametrize("ends_h", [23, 25])
def test_old_bars_prove_nothing(ends_h: int) -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS * 3)
    told(bench, "ETH", STEPS * 3, ends_s=ends_h * BAR_S)
    hold(bench, "BTC")
    assert (asked(bench).correlation == 1.0) == (ends_h > 24)


def test_a_market_that_does_not_move_counts_as_one() -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS)
    told(bench, "ETH", [0.0] * len(STEPS))
    hold(bench, "BTC")
    assert asked(bench).correlation == 1.0


def test_a_benchmark_counts_as_bought_and_never_against_itself() -> None:
    bench = bench_of(universe__BTC__benchmark="yes")
    told(bench, "BTC", STEPS)
    told(bench, "ETH", STEPS)
    assert asked(bench, "ETH").correlation == pytest.approx(1.0)
    assert asked(bench, "ETH", -1).correlation == pytest.approx(-1.0)
    assert asked(bench, "BTC").correlation == -1.0
    assert asked(bench, "SOL").correlation == 1.0


def test_bars_are_kept_as_long_as_symbols_are_compared_by_them() -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS * 5)
    row = bench.engine.state.symbols[0]
    assert len(row.bars) == 129
    again = row.bars[-1]
    bench.send(BarClosed("BTC", again[0], float(BAR_S), 9.0, 9.0, 9.0, 9.0))
    bench.send(BarClosed("BTC", again[0] + 1, float(BAR_S), 0.0, 0.0, 0.0, 0.0))
    bench.send(BarClosed("BTC", again[0] + 1, 60.0, 9.0, 9.0, 9.0, 9.0))
    assert row.bars[-1] == again
    assert decode(encode(bench.engine.state)).symbols[0].bars == row.bars
    policy = make_policy("layered@1", changes={"rules.CORRELATION_VETO": RULE}, at_ns=bench.clock.wall_ns)
    bench.send(policy.compile(bench.clock.wall_ns))
    assert bench.engine.state.symbols[0].bars == row.bars != ()
    other = make_policy("layered@1", changes={"rules.CORRELATION_VETO": {**RULE, "bar": "4 h"}}, at_ns=bench.clock.wall_ns)
    bench.send(other.compile(bench.clock.wall_ns))
    assert bench.engine.state.symbols[0].bars == ()


def test_a_new_bar_is_seen_at_once() -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS)
    told(bench, "ETH", STEPS)
    state = bench.engine.state
    before = correlation_of(state, 0, 1, 0.97)
    assert correlation_of(state, 0, 1, 0.97) == before
    assert correlation_of(state, 0, 1, 0.94)[1] == before[1]
    for symbol, close in (("BTC", 9.0), ("ETH", 0.1)):
        bench.send(BarClosed(symbol, bench.clock.wall_ns, float(BAR_S), close, close, close, close))
    assert correlation_of(state, 0, 1, 0.97)[0] < 0.0 < before[0]


@given(st.integers(0, 2**32), st.integers(30, 200), st.sampled_from((0.94, 0.97)))
@settings(max_examples=25, deadline=None)
def test_it_is_the_weighted_correlation_of_the_common_returns(seed: int, count: int, decay: float) -> None:
    chance = np.random.default_rng(seed)
    x, y = chance.normal(0.0, 0.02, (2, count))
    bench = bench_of()
    told(bench, "BTC", list(x))
    told(bench, "ETH", list(y))
    expected = correlation(list(x[-128:]), list(y[-128:]), min(count, 128), decay)
    assert correlation_of(bench.engine.state, 0, 1, decay)[0] == pytest.approx(expected, abs=1e-9)
    weights = (1.0 - decay) * decay ** np.arange(min(count, 128))[::-1]
    weights[0] /= 1.0 - decay
    xx, yy, xy = ((weights * each[-128:]).sum() for each in (x * x, y * y, x * y))
    assert expected == pytest.approx(xy / np.sqrt(xx * yy), abs=1e-9)


def test_the_worked_vector() -> None:
    x = weigh(closes(0.01, -0.02, 0.015, 0.005, -0.01), 0.94)
    y = weigh(closes(0.008, -0.015, 0.02, -0.002, -0.012), 0.94)
    assert sum(a * b for a, b in zip(x.returns, y.returns, strict=True)) == pytest.approx(0.9658908535, abs=5e-11)


def closes(*returns: float) -> tuple[tuple[int, float], ...]:
    """Bars between which these are the returns."""
    return tuple((number, sum(returns[:number])) for number in range(len(returns) + 1))
