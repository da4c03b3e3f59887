"""What a strategy's record says: against numpy on random series, within the window, after a restart."""

from math import isnan

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import rulekit
from interlock.core.codes import Action, Code, RiskAction
from interlock.core.constants import OUTCOMES
from interlock.core.limits import BITS
from interlock.core.messages import CashFlow, Instruction, Rebalance, RiskEvent, Step
from interlock.core.numbers import kelly_frac
from interlock.core.snapshot import decode, encode
from interlock.core.state import StrategyRow
from interlock.core.transitions import micros, on_outcome
from interlock.testing.bench import Bench, picture
from lawkit import bench_under, decision, hold, limits_of_everything, permits, policy_of


def recorded(pnls: list[float], window: float) -> StrategyRow:
    row = StrategyRow(outcomes=[0] * OUTCOMES)
    for pnl in pnls:
        on_outcome(row, micros(pnl), window)
    return row


def kelly_of(row: StrategyRow, prior: float) -> float:
    return kelly_frac(float(row.recent_wins), float(row.recent_losses), row.recent_won, row.recent_lost, prior)


@given(st.integers(0, 2**32), st.integers(1, 600), st.integers(1, OUTCOMES), st.floats(0.0, 200.0), st.floats(0.0, 100.0))
@example(1, 600, OUTCOMES, 0.0, 0.0)
def test_kelly_is_numpys_on_random_series(seed: int, count: int, window: int, prior: float, edge: float) -> None:
    pnls = np.round(np.random.default_rng(seed).normal(edge, 100.0, count), 6)
    pnls[pnls == 0.0] = 1.0
    last = pnls[-window:]
    won, lost = last[last > 0.0], -last[last < 0.0]
    row = recorded(pnls.tolist(), float(window))
    assert (row.recent_wins, row.recent_losses) == (won.size, lost.size)
    assert [row.recent_won, row.recent_lost] == pytest.approx([won.sum(), lost.sum()])
    if not (won.size and lost.size):
        return
    payoff = won.mean() / lost.mean()
    chance = (won.size + prior / (1.0 + payoff)) / (last.size + prior)
    assert kelly_of(row, prior) == pytest.approx(chance - (1.0 - chance) / payoff, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("window", [float("nan"), -1.0, float("inf"), 1e300])
def test_without_a_window_all_that_is_remembered_counts(window: float) -> None:
    assert recorded([1.0] * 300, window).recent_wins == OUTCOMES


def test_a_record_of_nothing_is_no_number() -> None:
    assert isnan(kelly_frac(0.0, 0.0, 0.0, 0.0, 0.0))
    assert isnan(kelly_frac(0.0, 5.0, 0.0, 10.0, 0.0))


def test_what_was_won_and_lost_is_summed_without_dust() -> None:
    row = recorded([0.1, 0.2, -0.3], 3.0)
    assert row.recent_won == row.recent_lost == 0.3


def traded(*pnls: float, window: float = 10.0, enough: float = 30.0, **changes: float) -> Bench:
    """A bench whose strategy has closed trades that came to these sums."""
    given = {"kelly_window_count_max": window, "kelly_trade_count_min": enough}
    bench = bench_under(limits_of_everything(**given, runaway_count_max=30.0, stop_hit_lock_s=1.0, **changes))
    for pnl in pnls:
        hold(bench, "BTC", 1, 0.1)
        (permit,) = permits(bench.send(bench.intent("BTC", -1, quantity=0.1, source="operator", reduce_only=True)))
        bench.fill(permit.id, price=100.0 + 10.0 * pnl)
        bench.clock.advance(10.0)
        bench.refresh()
    return bench


def test_the_record_is_of_closed_trades_and_of_the_strategy_that_made_them() -> None:
    bench = traded(4.0, -2.0, 3.0)
    facts = decision(bench.send(bench.intent("BTC", 1, quantity=0.1))).facts
    assert facts is not None
    told = facts.strategy_win_count, facts.strategy_loss_count, facts.strategy_won, facts.strategy_lost
    assert told == (2.0, 1.0, 7.0, 2.0)
    other = decision(bench.send(bench.intent("ETH", 1, quantity=0.1, source="rival", strategy="mean"))).facts
    assert other is not None
    assert (other.strategy_win_count, other.strategy_loss_count) == (0.0, 0.0)


def test_the_record_survives_a_fold_and_a_snapshot_and_follows_the_policys_window() -> None:
    bench = traded(4.0, -2.0, 3.0, 1.0, window=2.0)
    row = bench.engine.state.strategies[0]
    assert (row.recent_wins, row.recent_losses, row.recent_won) == (2, 0, 4.0)
    assert picture(bench.folded().state) == picture(bench.engine.state)
    assert picture(decode(encode(bench.engine.state))) == picture(bench.engine.state)
    bench.send(policy_of(limits_of_everything(kelly_window_count_max=10.0), at_ns=bench.clock.true_ns))
    row = bench.engine.state.strategies[0]
    assert (row.recent_wins, row.recent_losses, row.recent_won, row.recent_lost) == (3, 1, 8.0, 2.0)


def test_a_snapshot_with_fewer_locks_of_a_strategy_has_the_others_free() -> None:
    bench = traded(4.0)
    data = encode(bench.engine.state)
    row = bench.engine.state.strategies[0]
    row.lock_until, row.lock_severity = row.lock_until[:3], row.lock_severity[:3]
    assert encode(decode(encode(bench.engine.state))) == data


def test_a_strategy_without_a_win_has_no_edge_and_one_without_a_loss_has_one() -> None:
    def rests(*pnls: float) -> bool:
        bench = traded(*pnls, window=10.0, enough=2.0)
        return bench.engine.state.strategies[0].edgeless == 1.0

    assert rests(-1.0, -1.0)
    assert not rests(-1.0)
    assert not rests(1.0, 1.0)
    assert rests(2.0, -2.0)


SCALED = {
    "kelly_above_floor": 0.0,
    "kelly_scale": 1.0,
    "kelly_multiplier": 0.1,
    "kelly_prior_count": 0.0,
    "kelly_probe_frac": 0.0001,
}


def rebalanced(bench: Bench, number: int, **weights: float) -> Step:
    """Weights with stops a twentieth away, asked for as one."""
    stop = {symbol: bench.book.prices[symbol].mark * (0.95 if weight > 0 else 1.05) for symbol, weight in weights.items()}
    wishes = tuple(Instruction(symbol, Action.SCALE, weight, stop[symbol]) for symbol, weight in weights.items())
    return bench.send(Rebalance(f"r{number}", "bot", "trend", wishes, created_at_ns=bench.clock.true_ns))


def test_even_odds_of_twice_the_loss_scale_a_tenth_and_a_fifth_to_a_fourtieth_of_them() -> None:
    bench = traded(2.0, -1.0, 2.0, -1.0, enough=4.0, **SCALED)
    bench.send(CashFlow("fee", -2.0))
    bench.book.balance -= 2.0
    bench.refresh()
    first = rebalanced(bench, 1, BTC=0.1, ETH=0.2)
    assert [permit.steps for permit in permits(first)] == [2_500, 10_000]  # 25 of 10 000 at 100, 50 at 50
    told = [each for each in first.outputs if isinstance(each, RiskEvent)]
    assert [(each.symbol, each.action, each.value_at_trigger) for each in told] == [
        ("BTC", RiskAction.SCALE, 0.1),
        ("ETH", RiskAction.SCALE, 0.2),
    ]
    assert [each.threshold for each in told] == pytest.approx([0.0025, 0.005])
    for permit in permits(first):
        bench.fill(permit.id)
    bench.refresh()
    assert permits(rebalanced(bench, 2, BTC=0.1, ETH=0.2)) == []


def test_a_record_closes_nothing_and_holds_up_no_reduction() -> None:
    bench = traded(2.0, -1.0, 2.0, -1.0, enough=4.0, **SCALED | {"kelly_probe_frac": 0.2})
    hold(bench, "BTC", 1, 5.0)
    bench.send(policy_of(limits_of_everything(**SCALED, kelly_trade_count_min=4.0), at_ns=bench.clock.true_ns))
    bench.refresh()
    assert permits(rebalanced(bench, 1, BTC=0.1)) == []
    (less,) = permits(rebalanced(bench, 2, BTC=0.02))
    assert (less.side, less.reduce_only) == (-1, True)
    assert permits(rebalanced(bench, 3, BTC=-0.1))[0].reduce_only


def test_a_rebalance_without_a_record_is_scaled_to_a_probe() -> None:
    bench = traded(**SCALED)
    (probe,) = permits(rebalanced(bench, 1, BTC=0.1))
    assert 0.999 <= probe.steps * 1e-4 * (7.0 + 0.102) <= 1.0  # of a market order at the collar, 102, stopped at 95
    assert permits(rebalanced(bench, 2, ETH=0.0001)) != []


@pytest.mark.parametrize("changes", [{"kelly_scale": 0.0}, {"active": rulekit.ALL_ON - BITS[Code.KELLY_CAP]}])
def test_a_rebalance_is_left_as_it_is_where_the_policy_does_not_scale(changes: dict[str, float]) -> None:
    bench = traded(**SCALED | {"kelly_probe_frac": 0.2} | changes)
    (permit,) = permits(rebalanced(bench, 1, BTC=0.1))
    assert permit.steps == 100_000


def test_a_rebalance_for_nobody_or_without_a_known_stop_opens_nothing() -> None:
    bench = traded(**SCALED)
    wish = Instruction("BTC", Action.OPEN, 0.1, 95.0)
    assert permits(bench.send(Rebalance("r", "bot", "nobody", (wish,), created_at_ns=bench.clock.true_ns))) == []
    unbounded = limits_of_everything(**SCALED, no_stop_gap_frac=float("nan"))
    bench.send(policy_of(unbounded, at_ns=bench.clock.true_ns))
    bare = Instruction("BTC", Action.OPEN, 0.1)
    assert permits(bench.send(Rebalance("s", "bot", "trend", (bare,), created_at_ns=bench.clock.true_ns))) == []


def test_a_rebalance_is_scaled_by_what_is_above_the_nearest_floor() -> None:
    floors = {"kelly_above_floor": 1.0, "day_loss_frac_max": 0.5, "week_loss_frac_max": 0.5, "equity_floor_frac_min": 0.5}
    floors |= {"drawdown_frac_max": 0.5, "total_drawdown_frac_max": 0.5, "kelly_probe_frac": 0.00008}
    bench = traded(2.0, -1.0, 2.0, -1.0, enough=4.0, **SCALED | floors)
    (permit,) = permits(rebalanced(bench, 1, BTC=0.1))
    assert permit.steps == pytest.approx(1_250, abs=1)
    lower = limits_of_everything(**SCALED | floors | {"day_loss_frac_max": 0.03}, kelly_trade_count_min=4.0)
    bench.send(policy_of(lower, at_ns=bench.clock.true_ns))
    (probe,) = permits(rebalanced(bench, 2, ETH=0.1))
    assert probe.steps * 1e-4 * 3.551 == pytest.approx(0.8, abs=1e-3)  # close to the floor, a probe
