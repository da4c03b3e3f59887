"""A cash flow at a moment of doubt moves the references; it does not make the account forget its peak."""

from interlock.core.messages import CashFlow, EquityMarked, Quarantined, Rebased
from lawkit import bench_under, hold


def test_a_deposit_while_a_position_is_in_doubt_keeps_the_peak() -> None:
    bench = bench_under()
    hold(bench, "BTC", 1, 5.0)
    bench.mark("BTC", 80.0)
    bench.refresh()
    a = bench.engine.state.account
    bench.send(Quarantined("Executed", "it does not decode", b"", "BTC"))
    assert a.own_equity != a.own_equity
    bench.send(CashFlow("deposit", 99.0))
    assert a.equity_peak == 10_000.0
    bench.refresh()
    assert round(a.equity_peak, 6) == round(10_000.0 * 9_999.0 / 9_900.0, 6)
    assert a.initial_balance == a.equity_peak


def test_references_wait_for_equity_when_a_flow_comes_in_the_dark() -> None:
    bench = bench_under()
    a = bench.engine.state.account
    bench.send(Quarantined("EquityMarked", "it does not decode", b""))
    bench.send(Quarantined("CashFlow", "it does not decode", b""))
    bench.send(CashFlow("deposit", 100.0))
    assert a.initial_balance == 10_000.0
    bench.refresh()
    assert a.own_equity == 10_000.0
    assert round(a.initial_balance, 6) == round(a.equity_peak, 6) == round(10_000.0 * 10_000.0 / 9_900.0, 6)


def test_a_rebase_restores_an_initial_balance_that_a_withdrawal_of_everything_lost() -> None:
    bench = bench_under()
    a = bench.engine.state.account
    bench.send(CashFlow("withdrawal", -10_000.0))
    assert a.initial_balance != a.initial_balance
    bench.send(CashFlow("deposit", 10_000.0))
    bench.refresh()
    bench.send(Rebased("alice", "the account starts again"))
    assert a.initial_balance == a.equity_peak == a.equity == 10_000.0


def test_a_cost_that_the_balance_showed_before_it_was_told_is_not_booked_twice() -> None:
    bench = bench_under()
    a = bench.engine.state.account
    bench.send(EquityMarked(9_990.0, 9_990.0, bench.clock.true_ns))
    assert a.own_equity == 9_990.0
    bench.send(CashFlow("swap", -10.0))
    assert a.own_equity == 9_990.0
    bench.send(CashFlow("swap", -10.0))
    assert a.own_equity == 9_980.0


def test_a_deposit_that_the_balance_showed_before_it_was_told_moves_the_references_once() -> None:
    bench = bench_under()
    a = bench.engine.state.account
    bench.send(EquityMarked(10_010.0, 10_010.0, bench.clock.true_ns))
    peak = a.equity_peak
    bench.send(CashFlow("deposit", 10.0))
    assert (a.own_equity, a.venue_equity) == (10_010.0, 10_010.0)
    assert round(a.initial_balance, 6) == 10_010.0
    assert a.equity_peak >= peak
