"""Histories on which the engine and the slow model once disagreed, each with the sum done by hand."""

import pytest

from interlock.core.codes import PermitState
from interlock.core.constants import NS_PER_S
from interlock.core.messages import BUY, CashFlow, Executed, PermitIssued, Tick
from oracle.pair import DAY, Pair, limits


@pytest.fixture
def pair() -> Pair:
    pair = Pair(limits())
    pair.open_account()
    return pair


def opened(pair: Pair, symbol: str, steps: int) -> PermitIssued:
    """An opening order that is at the venue."""
    pair.venue_agrees()
    pair.want(symbol, BUY, steps, 0.05, reduce_only=False)
    return pair.at_venue()[-1]


def test_an_inverse_contract_quoted_in_account_currency_is_settled_in_base_currency(pair: Pair) -> None:
    """20 contracts of 10 USD are 200 USD, whatever the price: the rate turns the base currency into USD."""
    permit = opened(pair, "DOT", 20)
    assert permit.reserved / 1e6 == pytest.approx(200.0)  # at the mark, where it is worth more than at the limit
    pair.send_fill(permit, 20, 8.0, PermitState.FILLED)
    assert pair.engine.state.account.held_notional == pytest.approx(200.0)
    pair.marks["DOT"] = 8.8
    pair.quote("DOT", 8.8)
    # (200 / 8 - 200 / 8.8) DOT at 8 USD, less the fee of 0.002
    assert pair.engine.state.account.own_equity == pytest.approx(10_000 + (25 - 200 / 8.8) * 8 - 0.002)


@pytest.mark.parametrize("old", [PermitState.WORKING, PermitState.PARTIAL, PermitState.UNKNOWN])
def test_an_old_result_told_again_does_not_reserve_what_the_end_released(pair: Pair, old: PermitState) -> None:
    permit = opened(pair, "BTC", 1_000)
    earlier = Executed(permit.id, old, 100, 10.0, 0.0, pair.at)
    pair.tell(earlier)
    pair.wait(1)
    pair.tell(Executed(permit.id, PermitState.EXPIRED, 300, 30.0, 0.0, pair.at))
    row = pair.engine.state.symbols[0]
    assert (row.settled, row.released) == (300, 700)
    pair.tell(earlier)
    assert (row.settled, row.released, row.pending_buy) == (300, 700, 0)


def test_a_gain_that_a_flow_books_is_in_the_high_water_mark_even_if_the_next_one_takes_it(pair: Pair) -> None:
    pair.venue_tells(1.02)
    pair.tell(CashFlow("funding", 100.0))
    pair.tell(CashFlow("funding", -100.0))
    pair.quote("BTC", pair.marks["BTC"])
    assert pair.engine.state.account.equity_peak == pytest.approx(10_100.0)


def until_next_day(pair: Pair, lead_s: float) -> None:
    """Fresh figures `lead_s` before the day's instant, and the clock at the instant."""
    instant = (pair.at // (DAY * NS_PER_S) + 1) * DAY * NS_PER_S
    pair.wait((instant - pair.at) / NS_PER_S - lead_s)
    pair.venue_agrees()
    pair.wait(lead_s)


def test_a_flat_account_that_missed_the_instant_takes_the_strictest_candidate(pair: Pair) -> None:
    """Nothing held does not mean that every venue is closed: money can move while nobody looks."""
    until_next_day(pair, lead_s=301.0)
    pair.tell(CashFlow("funding", 500.0))
    day = pair.engine.state.calendars[0]
    pair.venue_agrees()
    assert day.open_equity == pytest.approx(10_500.0)
    assert day.open_balance == pytest.approx(10_500.0)


def test_a_figure_that_was_fresh_at_the_instant_is_exact_however_late_the_next_step_comes(pair: Pair) -> None:
    permit = opened(pair, "BTC", 2_000)
    pair.send_fill(permit, 2_000, 100.0, PermitState.FILLED)
    until_next_day(pair, lead_s=1.0)
    pair.wait(500)
    pair.tell(Tick())
    day = pair.engine.state.calendars[0]
    assert day.pending == 0.0
    assert day.open_equity == pytest.approx(9_999.8)
    pair.marks["BTC"] = 101.0
    pair.venue_agrees()
    assert day.open_equity == pytest.approx(9_999.8)
