"""Histories on which the engine and the slow model once disagreed, each with the sum done by hand."""

import pytest

from interlock.core.codes import Code, PermitState
from interlock.core.constants import NS_PER_S
from interlock.core.messages import BUY, SELL, CashFlow, Executed, LockChanged, PermitIssued, Tick
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


# ---------------------------------------------------------------- what a trade put at risk


def test_what_a_trade_put_at_risk_is_measured_from_its_entry(pair: Pair) -> None:
    """Bought at 100 with the stop at 95, R is 5 whatever the order's limit was, and 6 % of it is a loss."""
    entry = opened(pair, "BTC", 1_000)
    assert entry.limit_price == pytest.approx(102.0)  # from here R would be 7
    pair.send_fill(entry, 1_000, 100.0, PermitState.FILLED)
    pair.want("BTC", SELL, 1_000, 0.05, reduce_only=True)
    pair.send_fill(pair.at_venue()[-1], 1_000, 99.9, PermitState.FILLED)
    # -0.1 from the price and two fees of 0.1
    assert pair.engine.state.account.loss_streak == 1
    assert pair.model.streaks() == (1, 1)


def crossed(pair: Pair) -> PermitIssued:
    """
    A long position that an older sell order has closed: flat, with its own close, which is returned, at the venue.

    Where the venue does not hold that one to reducing, it opens a short position without a stop.
    """
    pair.want("BTC", SELL, 1_000, 0.05, reduce_only=False)
    older = pair.at_venue()[-1]
    pair.send_fill(opened(pair, "BTC", 1_000), 1_000, 100.0, PermitState.FILLED)
    pair.want("BTC", SELL, 1_000, 0.05, reduce_only=True)
    closing = pair.at_venue()[-1]
    pair.send_fill(older, 1_000, 100.0, PermitState.FILLED)
    assert pair.model.position("BTC") == 0
    return closing


def test_what_a_trade_put_at_risk_is_unknown_once_it_was_entered_without_a_stop(pair: Pair) -> None:
    """The known half of R is 5, but how small a loss of 0.2 is nobody can say: it counts."""
    pair.send_fill(crossed(pair), 1_000, 100.0, PermitState.FILLED)
    pair.want("BTC", SELL, 1_000, 0.05, reduce_only=False)
    pair.send_fill(pair.at_venue()[-1], 1_000, 100.0, PermitState.FILLED)
    before = pair.engine.state.account.loss_streak
    pair.want("BTC", BUY, 2_000, 0.05, reduce_only=True)
    pair.send_fill(pair.at_venue()[-1], 2_000, 99.9, PermitState.FILLED)
    # 0.2 from the price, less fees of 0.1, 0.1 and 0.2
    assert pair.engine.state.account.loss_streak == before + 1
    assert pair.model.streaks() == (before + 1, before + 1)


def test_a_flat_symbol_with_a_close_still_at_the_venue_is_no_position(pair: Pair) -> None:
    crossed(pair)
    facts = pair.want("GER", BUY, 20, 0.05, reduce_only=False).facts
    assert facts is not None
    assert (facts.position_count, facts.symbol_is_open) == (0.0, 0.0)


# ---------------------------------------------------------------- what proves a loss


@pytest.fixture
def holding() -> Pair:
    """20 BTC bought at 100 with 10 000 USD, of which a day may lose 250."""
    pair = Pair(limits(Code.DAILY_LOSS))
    pair.open_account()
    pair.send_fill(opened(pair, "BTC", 20_000), 20_000, 100.0, PermitState.FILLED)
    pair.venue_agrees()
    return pair


def falls(pair: Pair, seconds: float = 0.0) -> None:
    """So much later BTC is 85: 300 USD and the fee are lost."""
    pair.wait(seconds)
    pair.marks["BTC"] = 85.0
    pair.quote("BTC", 85.0)


def locks(pair: Pair) -> int:
    return sum(isinstance(o, LockChanged) and o.code == Code.DAILY_LOSS for step in pair.steps for o in step.outputs)


def test_two_sources_prove_a_loss_however_old_the_reconciliation(holding: Pair) -> None:
    falls(holding, 61.0)
    assert locks(holding) == 0
    holding.venue_tells(1.0)
    assert holding.proofs[-1][Code.DAILY_LOSS]
    assert locks(holding) == 1


def test_a_stale_figure_of_the_venue_confirms_nothing(holding: Pair) -> None:
    holding.venue_tells(0.95)
    holding.wait(301.0)
    holding.tell(holding.positions())
    falls(holding)
    assert not holding.proofs[-1][Code.DAILY_LOSS]
    assert locks(holding) == 0


def test_the_own_estimate_alone_proves_a_loss_only_without_a_break(holding: Pair) -> None:
    """Three marks over ten seconds; a gain in between makes the count start over, though no mark showed it."""
    falls(holding)
    falls(holding, 6.0)
    holding.tell(CashFlow("funding", 100.0))
    holding.tell(CashFlow("funding", -100.0))
    falls(holding, 6.0)
    falls(holding, 6.0)
    assert locks(holding) == 0
    falls(holding, 6.0)
    assert holding.proofs[-1][Code.DAILY_LOSS]
    assert locks(holding) == 1


# ---------------------------------------------------------------- what a lock counts


def loses(pair: Pair, seconds: float) -> None:
    """So much later a round trip of one BTC is closed 10 USD lower."""
    pair.venue_agrees()
    pair.want("BTC", BUY, 1_000, 0.05, reduce_only=False)
    pair.send_fill(pair.at_venue()[-1], 1_000, 100.0, PermitState.FILLED)
    pair.want("BTC", SELL, 1_000, 0.05, reduce_only=True)
    pair.wait(seconds - 2.0)
    pair.send_fill(pair.at_venue()[-1], 1_000, 90.0, PermitState.FILLED)


def test_a_trade_that_loses_as_the_lock_ends_is_the_first_of_the_next_streak() -> None:
    pair = Pair(limits(Code.CONSEC_LOSS))
    pair.open_account()
    early = opened(pair, "GER", 20)
    pair.send_fill(early, 20, 50.0, PermitState.FILLED)
    pair.want("GER", SELL, 20, 0.05, reduce_only=True)
    closing = pair.at_venue()[-1]
    for _ in range(3):
        loses(pair, 2.0)
    a = pair.engine.state.account
    assert (a.loss_streak, a.loss_streak_total) == (0, 3)
    pair.wait(1.0)
    pair.send_fill(closing, 20, 40.0, PermitState.FILLED)  # 2 s after the lock of 1 s began, which ends with this step
    assert (a.loss_streak, a.loss_streak_total) == (1, 4)
    assert pair.model.streaks() == (1, 4)
