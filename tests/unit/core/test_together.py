"""What moves together with a symbol, from the bars that the engine was told."""

from math import isnan
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core import together
from interlock.core.codes import Code
from interlock.core.constants import NS_PER_S
from interlock.core.decide import decide
from interlock.core.facts import Facts
from interlock.core.measure import measure
from interlock.core.messages import BarClosed, Output
from interlock.core.positions import doubt
from interlock.core.snapshot import decode, encode
from interlock.core.state import State
from interlock.core.together import company, correlation, correlation_of, exposure, weigh
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


def encode_step(outputs: tuple[Output, ...]) -> bytes:
    """The outputs as a ledger has them: NaN equals NaN."""
    return msgspec.msgpack.encode(outputs)


def mirrored(returns: list[float]) -> list[float]:
    return [-each for each in returns]


def test_alone_nothing_moves_with_it() -> None:
    facts = asked(bench_of())
    assert (facts.correlation, facts.correlated_notional) == (-1.0, 0.0)


def test_a_rule_that_is_off_computes_nothing() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    told(bench, "BTC", STEPS)
    assert bench.engine.state.symbols[0].bar_ns == ()
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
    assert len(row.bar_ns) == len(row.bar_logs) == 129
    again, close = row.bar_ns[-1], row.bar_logs[-1]
    bench.send(BarClosed("BTC", again, float(BAR_S), 9.0, 9.0, 9.0, 9.0))
    bench.send(BarClosed("BTC", again + 1, float(BAR_S), 0.0, 0.0, 0.0, 0.0))
    bench.send(BarClosed("BTC", again + 1, 60.0, 9.0, 9.0, 9.0, 9.0))
    assert (row.bar_ns[-1], row.bar_logs[-1]) == (again, close)
    stored = decode(encode(bench.engine.state)).symbols[0]
    assert stored.bar_ns is row.bar_ns
    assert (stored.bar_ns, stored.bar_logs) == (row.bar_ns, row.bar_logs)
    policy = make_policy("layered@1", changes={"rules.CORRELATION_VETO": RULE}, at_ns=bench.clock.wall_ns)
    bench.send(policy.compile(bench.clock.wall_ns))
    assert bench.engine.state.symbols[0].bar_ns == row.bar_ns != ()
    other = make_policy("layered@1", changes={"rules.CORRELATION_VETO": {**RULE, "bar": "4 h"}}, at_ns=bench.clock.wall_ns)
    bench.send(other.compile(bench.clock.wall_ns))
    assert bench.engine.state.symbols[0].bar_ns == ()


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


def compared(state: State, row: int, at_ns: int) -> float:
    """How closely a bought order in the row moves with what is open, at that instant."""
    return company(state, row, state.symbols[row], 1, at_ns, state.account_limits(), 0.0, 0)[1]


def test_what_was_found_at_another_time_holds_no_longer_than_its_bars_are_fresh() -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS)
    told(bench, "ETH", mirrored(STEPS))
    hold(bench, "BTC")
    state, now_ns = bench.engine.state, bench.clock.wall_ns
    fresh, old = now_ns + 22 * BAR_S * NS_PER_S, now_ns + 24 * BAR_S * NS_PER_S
    found = [compared(state, 1, at_ns) for at_ns in (now_ns, fresh, old, old, fresh, now_ns)]
    assert found == [pytest.approx(-1.0), pytest.approx(-1.0), 1.0, 1.0, pytest.approx(-1.0), pytest.approx(-1.0)]


def test_a_position_in_doubt_counts_on_both_sides() -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS)
    told(bench, "ETH", mirrored(STEPS))
    hold(bench, "BTC")
    assert asked(bench).correlation == pytest.approx(-1.0)
    state = bench.engine.state
    doubt(state, 0)
    measure(state)
    assert asked(bench).correlation == pytest.approx(1.0)


def test_returns_are_kept_of_what_is_open_and_of_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "WEIGHED_SPARE", -1)
    bench = bench_of()
    for symbol in ("BTC", "ETH", "SOL"):
        told(bench, symbol, STEPS)
    hold(bench, "SOL")
    state = bench.engine.state
    for row in (0, 1, 2, 0, 1):
        correlation_of(state, row, 2, 0.97)
        assert len(state.weighed) <= 2
    assert set(state.weighed) == {1, 2}


def test_bars_that_one_lacks_are_left_out_each_time_it_is_asked() -> None:
    bench = bench_of()
    told(bench, "BTC", STEPS)
    told(bench, "ETH", mirrored(STEPS), skip=frozenset({3, 4, 20}))
    state = bench.engine.state
    first = correlation_of(state, 0, 1, 0.97)
    assert correlation_of(state, 0, 1, 0.97) == first == correlation_of(state, 1, 0, 0.97)
    assert len(state.weighed[0].among) == 1


def test_as_many_sequences_of_bars_as_are_common_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "GRIDS", 1)
    bench = bench_of()
    told(bench, "BTC", STEPS)
    told(bench, "ETH", STEPS, skip=frozenset({3}))
    told(bench, "SOL", STEPS, skip=frozenset({9}))
    state = bench.engine.state
    for other in (1, 2, 1):
        assert correlation_of(state, 0, other, 0.97)[0] == pytest.approx(1.0)
        assert len(state.weighed[0].among) == 1


def test_a_restart_compares_and_sums_as_before() -> None:
    bench = bench_of(universe__BTC__cluster="one", universe__ETH__cluster="one", rules__CLUSTER_CAP={"exposure": "90 %"})
    told(bench, "BTC", STEPS)
    told(bench, "ETH", STEPS, skip=frozenset({7}))
    hold(bench, "BTC", 1, 3.0)
    permits(bench.send(bench.intent("ETH", -1, notional=300.0)))
    state = bench.engine.state
    restarted = decode(encode(state))
    assert restarted.sides == state.sides == {0: 1, 1: 2}
    at_ns, wish = bench.clock.wall_ns, bench.intent("SOL", -1, notional=100.0)
    outputs = decide(state, at_ns, at_ns, wish)
    assert encode_step(outputs) == encode_step(decide(restarted, at_ns, at_ns, wish))
    facts = decision(bench.send(bench.intent("ETH", 1, notional=100.0))).facts
    assert facts is not None
    rows = bench.engine.state.symbols
    assert facts.cluster_notional == pytest.approx(exposure(rows[0]) + facts.symbol_notional)
    assert facts.symbol_notional > 0.0


@given(st.integers(0, 2**32), st.integers(30, 200), st.sampled_from((0.94, 0.97)))
@settings(max_examples=25, deadline=None)
def test_it_is_the_weighted_correlation_of_the_common_returns(seed: int, count: int, decay: float) -> None:
    chance = np.random.default_rng(seed)
    x, y = chance.normal(0.0, 0.02, (2, count))
    bench = bench_of()
    told(bench, "BTC", list(x))
    told(bench, "ETH", list(y))
    weights = (1.0 - decay) * decay ** np.arange(min(count, 128))[::-1]
    weights[0] /= 1.0 - decay
    xx, yy, xy = ((weights * each[-128:]).sum() for each in (x * x, y * y, x * y))
    assert correlation_of(bench.engine.state, 0, 1, decay)[0] == pytest.approx(xy / np.sqrt(xx * yy), abs=1e-9)


def test_the_worked_vector() -> None:
    x = weigh(closes(0.01, -0.02, 0.015, 0.005, -0.01), 0.94)
    y = weigh(closes(0.008, -0.015, 0.02, -0.002, -0.012), 0.94)
    assert sum(a * b for a, b in zip(x, y, strict=True)) == pytest.approx(0.9658908535, abs=5e-11)
    assert correlation(x, y) == pytest.approx(0.9658908535, abs=5e-11)
    assert correlation(x, x) == 1.0
    assert correlation(x, tuple(-each for each in y)) == pytest.approx(-correlation(x, y))
    assert isnan(correlation(x, weigh(closes(0.0, 0.0, 0.0, 0.0, 0.0), 0.94)))


def closes(*returns: float) -> tuple[float, ...]:
    """Logarithms of closes between which these are the returns."""
    return tuple(sum(returns[:number]) for number in range(len(returns) + 1))
