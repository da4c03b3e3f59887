"""A position in doubt: what puts it there, what it stops, and that the venue's word always ends it."""

from math import nan

import pytest

from interlock.core.codes import Code, PermitState
from interlock.core.instrument import Instrument
from interlock.core.messages import (
    Decision,
    Executed,
    InstrumentSet,
    PermitIssued,
    PositionAt,
    PositionsReported,
    Quarantined,
    Step,
)
from interlock.core.state import SymbolRow
from interlock.testing import Bench, make_policy, open_bench

NEW = Instrument("NEW", "v", "USDT", step=0.1, tick=0.01, min_notional=0.0)


@pytest.fixture
def bench() -> Bench:
    """Ten BTC are held, and nothing is in flight."""
    bench = open_bench(policy=make_policy("layered@1"))
    bench.fill(permit(bench.send(bench.intent("BTC", 1, quantity=10.0, limit_price=100.0))).id)
    bench.refresh()
    return bench


def permit(step: Step) -> PermitIssued:
    return next(each for each in step.outputs if isinstance(each, PermitIssued))


def vetoes(bench: Bench) -> set[Code]:
    """What speaks against a sound small opening."""
    step = bench.send(bench.intent("SOL", 1, quantity=5.0, limit_price=20.0))
    (decision,) = [each for each in step.outputs if isinstance(each, Decision)]
    return {each.code for each in decision.objections}


def report(bench: Bench, *more: PositionAt) -> None:
    """The venue shows the positions of its book, and more."""
    bench.send(PositionsReported((*bench.book.positions(), *more), bench.clock.true_ns))


def row_of(bench: Bench, symbol: str) -> SymbolRow:
    state = bench.engine.state
    return state.symbols[state.names.symbol_index[symbol]]


def test_a_position_without_entry_or_mark_is_in_doubt_until_the_venue_tells_its_entry(bench: Bench) -> None:
    """Believed at a cost of nothing it would be pure profit when long and ruin when short, and ruin flattens."""
    bench.send(InstrumentSet(NEW))
    row = row_of(bench, "NEW")
    for _ in range(3):
        report(bench, PositionAt("NEW", -50, nan))
        assert row.known != 1.0
        assert bench.engine.state.account.own_proven == 0.0
        assert Code.POSITION_UNRECONCILED in vetoes(bench)
    close = bench.intent("NEW", 1, quantity=5.0, reduce_only=True, source="operator")
    assert permit(bench.send(close)).steps == 50
    report(bench, PositionAt("NEW", -50, 8.0))
    assert (row.known, row.position, row.cost) == (1.0, -50, -40_000_000)


def test_a_position_without_entry_takes_the_first_mark_there_is(bench: Bench) -> None:
    bench.send(InstrumentSet(NEW))
    row = row_of(bench, "NEW")
    for _ in range(2):
        report(bench, PositionAt("NEW", 50, nan))
    row.mark = 6.0
    report(bench, PositionAt("NEW", 50, nan))
    assert (row.known, row.cost) == (1.0, 30_000_000)


def test_a_difference_that_is_taken_back_leaves_nothing_behind(bench: Bench) -> None:
    """Two reports prove a position only when they follow each other."""
    row = row_of(bench, "ETH")
    for _ in range(2):
        report(bench, PositionAt("ETH", 10_000, 50.0))
        assert row.known != 1.0
        assert Code.POSITION_UNRECONCILED in vetoes(bench)
        report(bench)
        assert (row.known, row.mismatch_count, row.position) == (1.0, 0, 0)
    assert vetoes(bench) == set()


def test_more_than_was_ordered_and_told_late_is_in_doubt_until_the_venue_has_told(bench: Bench) -> None:
    opened = permit(bench.send(bench.intent("ETH", 1, quantity=4.0, limit_price=50.0)))
    bench.fill(opened.id)
    bench.fill(permit(bench.send(bench.intent("ETH", -1, quantity=4.0, reduce_only=True))).id)
    bench.refresh()
    row = row_of(bench, "ETH")
    assert (row.position, row.known) == (0, 1.0)
    bench.send(Executed(opened.id, PermitState.FILLED, opened.steps + 1, 250.0, 0.0, bench.clock.true_ns))
    assert row.known != 1.0
    assert bench.engine.state.account.unknown_rows == 1
    assert Code.POSITION_UNRECONCILED in vetoes(bench)
    bench.refresh()
    assert row.known == 1.0
    assert vetoes(bench) == set()


def test_a_close_in_doubt_that_opened_belongs_to_nobody(bench: Bench) -> None:
    """The books say flat, the operator knows better or errs: no strategy takes the position for its own."""
    bench.send(Quarantined("Executed", "it broke", b"", "ETH"))
    order = bench.intent("ETH", -1, quantity=4.0, reduce_only=True, source="operator", strategy="")
    issued = permit(bench.send(order))
    bench.fill(issued.id)
    row = row_of(bench, "ETH")
    assert (row.position, row.owner) == (-issued.steps, -1)


def test_a_close_in_doubt_that_crosses_zero_ends_one_trade_and_begins_another(bench: Bench) -> None:
    row = row_of(bench, "BTC")
    episode, held = row.episode, row.position
    bench.send(Quarantined("Executed", "it broke", b"", "BTC"))
    issued = permit(bench.send(bench.intent("BTC", -1, quantity=15.0, reduce_only=True, source="operator")))
    bench.fill(issued.id, price=90.0)
    assert (row.position, row.episode, row.episode_peak) == (held - issued.steps, episode + 1, issued.steps - held)
    assert (row.cost, row.trade_pnl) == (-450_000_000, 0)
    assert bench.engine.state.account.loss_streak == 1


def test_a_fill_without_its_money_or_a_mark_proves_no_loss(bench: Bench) -> None:
    """Nobody knows what it was worth: the steps count at once, the money once the venue has told."""
    bench.send(InstrumentSet(NEW))
    row = row_of(bench, "NEW")
    for _ in range(2):
        report(bench, PositionAt("NEW", 50, 8.0))
    assert (row.known, row.position) == (1.0, 50)
    close = bench.intent("NEW", -1, quantity=3.0, reduce_only=True, source="operator")
    number = permit(bench.send(close)).id
    bench.send(Executed(number, PermitState.FILLED, 30, nan, 0.0, bench.clock.true_ns))
    assert row.position == 20
    assert row.known != 1.0
    assert bench.engine.state.account.own_proven == 0.0
    assert Code.POSITION_UNRECONCILED in vetoes(bench)
    report(bench, PositionAt("NEW", 20, 8.0))
    assert (row.known, row.cost) == (1.0, 16_000_000)
