"""A cash flow at a moment of doubt moves the references; it does not make the account forget its peak."""

from interlock.core.messages import CashFlow, Quarantined, Rebased
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
    assert round(a.equity_peak, 6) == round(10_000.0 * 9_999.0 / 9_900.0, 6)
    assert a.initial_balance == a.equity_peak


def test_a_rebase_finds_an_initial_balance_that_a_flow_in_the_dark_lost() -> None:
    bench = bench_under()
    a = bench.engine.state.account
    bench.send(Quarantined("EquityMarked", "it does not decode", b""))
    bench.send(Quarantined("CashFlow", "it does not decode", b""))
    bench.send(CashFlow("deposit", 100.0))
    assert a.initial_balance != a.initial_balance
    bench.refresh()
    bench.send(Rebased("alice", "the deposit is known now"))
    assert a.initial_balance == a.equity_peak == a.equity
