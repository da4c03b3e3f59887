from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.paper import InstrumentUnusable, PaperOrder, PaperVenue
from interlock.core.codes import PermitState
from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt

GOLD = Instrument("XAU", "paper", "USD", step=0.1, tick=0.01, min_notional=0.0)
EURO = Instrument("EUR", "paper", "USD", step=100.0, tick=0.00001, min_notional=0.0)


def venue(fee_bps: float = 0.0) -> PaperVenue:
    made = PaperVenue(100_000.0, [GOLD, EURO], fee_bps=fee_bps)
    made.quote("XAU", 1999.9, 2000.1)
    made.quote("EUR", 1.1, 1.1002)
    return made


def test_an_order_buys_at_the_ask_and_sells_at_the_bid() -> None:
    v = venue()
    bought = v.execute(PaperOrder("XAU", 1, 50))
    assert (bought.state, bought.filled_steps, bought.price, bought.filled_value) == (
        PermitState.FILLED,
        50,
        2000.1,
        10_000.5,
    )
    assert v.positions() == (PositionAt("XAU", 50, 2000.1),)
    assert (v.balance, v.equity) == (100_000.0, 99_999.0)
    sold = v.execute(PaperOrder("XAU", -1, 50))
    assert sold.price == 1999.9
    assert (v.positions(), v.balance, v.equity) == ((), 99_999.0, 99_999.0)


def test_fees_are_taken_from_the_balance_and_rounded_against_the_account() -> None:
    v = venue(fee_bps=0.25)
    fill = v.execute(PaperOrder("EUR", 1, 1))
    assert fill.filled_value == 110.02
    assert fill.fees == 0.002751  # 0.0027505 rounded up to a millionth
    assert v.balance == 100_000.0 - 0.002751
    assert v.fees_micros == 2751


def test_a_limit_that_the_market_is_beyond_ends_without_a_fill() -> None:
    v = venue()
    assert v.execute(PaperOrder("XAU", 1, 5, limit_price=2000.09)).state == PermitState.CANCELLED
    assert v.execute(PaperOrder("XAU", -1, 5, limit_price=1999.91)).state == PermitState.CANCELLED
    assert v.position("XAU") == 0
    assert v.execute(PaperOrder("XAU", 1, 5, limit_price=2000.1)).price == 2000.1


def test_a_reduce_only_order_is_cut_to_the_position_and_never_flips_it() -> None:
    v = venue()
    v.execute(PaperOrder("XAU", 1, 5))
    assert v.execute(PaperOrder("XAU", 1, 5, reduce_only=True)).state == PermitState.REJECTED
    assert v.execute(PaperOrder("XAU", -1, 9, reduce_only=True)).filled_steps == 5
    assert v.position("XAU") == 0
    assert v.execute(PaperOrder("XAU", -1, 1, reduce_only=True)).state == PermitState.REJECTED


def test_an_order_through_zero_closes_and_opens_at_one_price() -> None:
    v = venue()
    v.execute(PaperOrder("XAU", 1, 10))
    v.execute(PaperOrder("XAU", -1, 25))
    assert v.positions() == (PositionAt("XAU", -15, 1999.9),)
    assert v.balance == 100_000.0 - 0.2


def test_average_cost_over_several_fills() -> None:
    v = venue()
    v.execute(PaperOrder("XAU", 1, 10))
    v.quote("XAU", 2100.0, 2100.1)
    v.execute(PaperOrder("XAU", 1, 30))
    assert v.positions() == (PositionAt("XAU", 40, 2075.1),)
    v.execute(PaperOrder("XAU", -1, 20))
    assert v.balance == 100_000.0 + 2.0 * (2100.0 - 2075.1)


def test_a_fill_at_a_price_of_the_past_bar_leaves_the_quote_alone() -> None:
    v = venue()
    v.execute(PaperOrder("XAU", 1, 10))
    assert v.execute_at(PaperOrder("XAU", -1, 10, reduce_only=True), 1950.019).price == 1950.01
    assert v.execute_at(PaperOrder("XAU", 1, 10), 1950.011).price == 1950.02
    assert (v.bid("XAU"), v.ask("XAU")) == (1999.9, 2000.1)


def test_a_quote_is_rounded_against_whoever_trades_on_it() -> None:
    v = venue()
    v.quote("XAU", 1999.999, 2000.001)
    assert (v.bid("XAU"), v.ask("XAU")) == (1999.99, 2000.01)


def test_nothing_fills_before_the_first_quote() -> None:
    assert PaperVenue(1.0, [GOLD]).execute(PaperOrder("XAU", 1, 1)).state == PermitState.REJECTED


@pytest.mark.parametrize(("bid", "ask"), [(2.0, 1.0), (0.0, 1.0), (float("nan"), 1.0), (1.0, float("inf")), (0.001, 1.0)])
def test_an_impossible_quote_is_refused(bid: float, ask: float) -> None:
    with pytest.raises(ValueError, match="XAU"):
        venue().quote("XAU", bid, ask)


def test_an_instrument_that_needs_more_than_a_millionth_is_refused() -> None:
    with pytest.raises(InstrumentUnusable, match="larger step or tick"):
        PaperVenue(1.0, [Instrument("X", "paper", "USD", step=0.001, tick=0.0001, min_notional=0.0)])
    with pytest.raises(InstrumentUnusable, match="linear"):
        PaperVenue(1.0, [Instrument("X", "paper", "USD", step=1.0, tick=1.0, min_notional=0.0, inverse=True)])


Move = tuple[int, int, int]
moves = st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 500), st.integers(150_000, 250_000)), max_size=40)


@given(moves)
def test_equity_is_cash_in_and_out_plus_what_is_held_exactly(trades: list[Move]) -> None:
    """Against books that know no average cost: every fill moves cash, the position is worth its exit price."""
    v = PaperVenue(1_000_000.0, [GOLD], fee_bps=0.7)
    cash, held = Fraction(1_000_000), 0
    for side, steps, cents in trades:
        v.quote("XAU", cents / 100, (cents + 15) / 100)
        ticks = cents + 15 if side > 0 else cents
        fill = v.execute(PaperOrder("XAU", side, steps))
        value = steps * Fraction(1, 10) * Fraction(ticks, 100)
        assert Fraction(fill.filled_value).limit_denominator(10**6) == value
        cash -= side * value + Fraction(round(fill.fees * 1e6), 10**6)
        held += side * steps
        exit_ticks = cents if held > 0 else cents + 15
        assert v.equity_micros == (cash + held * Fraction(1, 10) * Fraction(exit_ticks, 100)) * 10**6
        assert v.position("XAU") == held
