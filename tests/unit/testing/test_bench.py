from math import isnan

import pytest

from interlock.core.codes import PermitState
from interlock.core.constants import NS_PER_S
from interlock.core.messages import Decision, PermitIssued
from interlock.policy import Policy
from interlock.testing import FakeClock, make_instrument, make_policy, open_bench
from interlock.testing.book import Book, Price


@pytest.fixture
def policy() -> Policy:
    return make_policy("layered@1")


def test_a_bench_opens_healthy(policy: Policy) -> None:
    bench = open_bench(policy=policy)
    outputs = bench.send(bench.intent("BTC", 1, notional=1000.0)).outputs
    assert [type(each) for each in outputs] == [Decision, PermitIssued]


def test_a_bench_without_a_policy_opens_nothing() -> None:
    bench = open_bench()
    (decision,) = bench.send(bench.intent("BTC", 1, notional=1000.0)).outputs
    assert isinstance(decision, Decision)
    assert not decision.allowed


def test_what_the_venue_books_is_what_the_engine_books(policy: Policy) -> None:
    bench = open_bench(policy=policy)
    for side, price in ((1, 99.0), (1, 101.0), (-1, 104.0), (-1, 97.0)):
        step = bench.send(bench.intent("BTC", side, quantity=5.0, limit_price=100.0))
        permit = next(each.id for each in step.outputs if isinstance(each, PermitIssued))
        bench.fill(permit, price=price, fee=0.25)
    account = bench.engine.state.account
    assert bench.book.positions() == ()
    assert account.own_equity == pytest.approx(bench.book.equity) == pytest.approx(10_000 + 5.0 - 1.0)


def test_a_result_is_cumulative(policy: Policy) -> None:
    bench = open_bench(policy=policy)
    step = bench.send(bench.intent("BTC", 1, quantity=5.0, limit_price=100.0))
    permit = next(each.id for each in step.outputs if isinstance(each, PermitIssued))
    bench.fill(permit, 20_000)
    bench.result(permit, PermitState.PARTIAL, 20_000)
    bench.fill(permit, 30_000)
    assert bench.engine.state.symbols[0].position == bench.book.holdings["BTC"].steps == 30_000


def test_a_short_of_an_inverse_contract_reports_its_entry() -> None:
    instrument = make_instrument("BTC", step=1.0, multiplier=100.0, inverse=True)
    book = Book(0.0, {"BTC": instrument}, {"BTC": Price(100.0, 100.0, 100.0)})
    book.place("BTC", -10, 80.0)
    (position,) = book.positions()
    assert position.entry == pytest.approx(80.0)
    assert book.equity == pytest.approx(-10 * (100 / 80 - 100 / 100))


def test_an_instrument_takes_changes() -> None:
    assert make_instrument("X", step=0.5, quote_currency="EUR").step == 0.5
    assert make_instrument("X").problems() == ()


def test_an_intent_carries_a_stop_unless_it_only_reduces(policy: Policy) -> None:
    bench = open_bench(policy=policy)
    assert bench.intent("BTC", 1).stop_price == pytest.approx(95.0)
    assert bench.intent("BTC", -1).stop_price == pytest.approx(105.0)
    assert isnan(bench.intent("BTC", -1, reduce_only=True).stop_price)


def test_the_clock_moves_only_as_told() -> None:
    clock = FakeClock(10 * NS_PER_S)
    before = clock.mono_ns
    clock.advance(2.5)
    clock.jump(-1.0)
    assert (clock.true_ns, clock.wall_ns, clock.mono_ns - before) == (12_500_000_000, 11_500_000_000, 2_500_000_000)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance_to(0)
