"""The model itself, against the written examples and sums done by hand."""

from fractions import Fraction
from math import nan

import pytest

from interlock.core.codes import AccountKind, CalendarKind, Code, PermitState
from interlock.core.instrument import Instrument
from interlock.core.limits import LIMIT_FIELDS, Limits
from interlock.core.messages import (
    AccountOpened,
    CalendarSet,
    CashFlow,
    EquityMarked,
    Executed,
    InstrumentSet,
    MarketBatch,
    PermitIssued,
    PermitRevoked,
    PositionAt,
    PositionsReported,
    Quote,
    Rebased,
)
from oracle.accounting import NS, Account, Verdict, broken, cents, exact, price_of, worth

GENEROUS = {
    "equity_gap_frac_max": 0.10,
    "equity_age_s_max": 300.0,
    "mark_age_s_max": 120.0,
    "mark_jump_frac_max": 0.20,
    "collar_frac_max": 0.02,
    "consec_loss_count_max": 3.0,
    "day_loss_frac_max": 0.025,
    "week_loss_frac_max": 0.10,
    "drawdown_frac_max": 0.08,
    "emergency_drawdown_frac_max": 0.10,
    "total_drawdown_frac_max": 0.20,
    "equity_floor_frac_min": 0.90,
    "reconciled_age_s_max": 60.0,
    "confirm_mark_count_min": 3.0,
    "confirm_s_min": 10.0,
}
LIMITS = Limits(active=0, **{name: GENEROUS.get(name, nan) for name in LIMIT_FIELDS})

BTC = Instrument("BTC", "v", "USD", step=0.001, tick=0.1, min_notional=0.0)
GER = Instrument("GER", "v", "EUR", step=1.0, tick=0.1, min_notional=0.0, multiplier=25.0)
XBT = Instrument("XBT", "v", "USD", step=1.0, tick=0.5, min_notional=0.0, multiplier=100.0, inverse=True)


class Story:
    """An account told second by second."""

    def __init__(self, *instruments: Instrument, start: float = 10_000.0) -> None:
        self.account = Account(LIMITS)
        self.at = 1_000 * NS
        self.permits = 0
        for instrument in instruments or (BTC,):
            self.tell(InstrumentSet(instrument))
        self.tell(AccountOpened("a", AccountKind.PAPER, "USD", start))

    def tell(self, event: object, after_s: float = 0.0) -> None:
        self.at += int(after_s * NS)
        self.account.record(self.at, event)  # type: ignore[arg-type]

    def quote(self, symbol: str, mark: float, rate: float = 1.0, after_s: float = 1.0, half: float = 0.0) -> None:
        self.at += int(after_s * NS)
        self.tell(MarketBatch((Quote(symbol, mark - half, mark + half, mark, self.at, rate=rate),)))

    def venue(self, equity: float, balance: float = nan, after_s: float = 0.0) -> None:
        self.at += int(after_s * NS)
        self.tell(EquityMarked(equity, balance, self.at))

    def permit(self, symbol: str, side: int, steps: int, price: float, **more: object) -> int:
        self.permits += 1
        fixed: dict[str, object] = {
            "id": self.permits,
            "epoch": 1,
            "fence": 0,
            "decision": self.permits,
            "intent_id": f"i{self.permits}",
            "strategy": "s",
            "symbol": symbol,
            "side": side,
            "steps": steps,
            "limit_price": price,
            "reduce_only": False,
            "stop_price": nan,
            "target_price": nan,
            "margin_leverage": 1.0,
            "issued_ns": self.at,
            "expires_ns": 0,
            "reserved": 0,
        }
        self.tell(PermitIssued(**(fixed | more)))  # type: ignore[arg-type]
        return self.permits

    def result(self, permit: int, state: PermitState, steps: int = 0, value: float = 0.0, fees: float = 0.0) -> None:
        self.tell(Executed(permit, state, steps, value, fees, self.at))

    def trade(self, symbol: str, side: int, steps: int, price: float, fees: float = 0.0, stop: float = nan) -> int:
        """One order, filled whole."""
        instrument = self.account.instruments()[symbol]
        permit = self.permit(symbol, side, steps, price, stop_price=stop)
        value = float(worth(instrument, price) * steps * exact(instrument.step))
        self.result(permit, PermitState.FILLED, steps, value, fees)
        return permit


# ---------------------------------------------------------------- fills


def test_a_linear_trade_earns_its_price_difference_less_fees() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.trade("BTC", 1, 2_000, 100.0, fees=0.2)
    story.trade("BTC", 1, 2_000, 110.0, fees=0.22)
    assert story.account.position("BTC") == 4_000
    assert story.account.entry("BTC") == 105
    story.trade("BTC", -1, 1_000, 120.0, fees=0.12)
    assert story.account.entry("BTC") == 105
    assert story.account.booked() == 10_000 + 15 - Fraction("0.54")
    story.trade("BTC", -1, 3_000, 100.0)
    (trade,) = story.account.closed_trades()
    assert trade.pnl == 15 - 15 - Fraction("0.54")
    assert trade.largest == 4_000
    assert story.account.position("BTC") == 0
    assert story.account.entry("BTC") is None


def test_an_inverse_trade_is_settled_in_base_currency_and_averages_harmonically() -> None:
    story = Story(XBT)
    story.quote("XBT", 20_000.0, rate=20_000.0)
    story.trade("XBT", 1, 10, 20_000.0)
    story.trade("XBT", 1, 10, 25_000.0)
    # 20 contracts of 100 USD: 0.05 + 0.04 BTC bought, 2 000 / 0.09 = 22 222.2...
    assert story.account.entry("XBT") == Fraction(200_000, 9)
    story.quote("XBT", 24_000.0, rate=24_000.0)
    story.trade("XBT", -1, 20, 24_000.0)
    # 0.09 - 2 000 / 24 000 = 0.00666... BTC at 24 000
    (trade,) = story.account.closed_trades()
    assert abs(trade.pnl - 160) < Fraction(1, 10**6)


def test_a_conversion_rate_turns_settlement_into_account_currency() -> None:
    story = Story(GER)
    story.quote("GER", 16_000.0, rate=1.10)
    story.trade("GER", -1, 2, 16_000.0)
    story.quote("GER", 15_990.0, rate=1.20)
    assert story.account.open_pnl() == 10 * 25 * 2 * Fraction("1.2")
    assert story.account.own_equity() == 10_600
    assert story.account.exposure().symbol == {"GER": 15_990 * 25 * 2 * Fraction("1.2")}
    assert story.account.exposure().net == -959_400


def test_a_flip_is_two_trades_and_shares_its_fee_by_steps() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.trade("BTC", 1, 1_000, 100.0)
    story.trade("BTC", -1, 4_000, 110.0, fees=4.0)
    (closed,) = story.account.closed_trades()
    assert closed.pnl == 10 - 1
    now = story.account.open_trade("BTC")
    assert now is not None
    assert (now.side, now.steps, now.paid) == (-1, 3_000, Fraction(-3))
    assert story.account.entry("BTC") == 110
    assert story.account.position("BTC") == -3_000


def test_repeated_reordered_and_late_results_count_once() -> None:
    plain, torn = Story(), Story()
    for story in (plain, torn):
        story.quote("BTC", 100.0)
    for story, results in (
        (plain, [(PermitState.FILLED, 3)]),
        (
            torn,
            [(PermitState.PARTIAL, 1), (PermitState.CANCELLED, 2), (PermitState.PARTIAL, 1)]
            + [(PermitState.FILLED, 3)] * 2,
        ),
    ):
        permit = story.permit("BTC", 1, 3, 100.0)
        for state, steps in results:
            story.result(permit, state, steps, steps / 10, steps / 100)
    assert plain.account.position("BTC") == torn.account.position("BTC") == 3
    assert plain.account.booked() == torn.account.booked() == 10_000 - Fraction("0.03")
    assert plain.account.entry("BTC") == torn.account.entry("BTC") == 100


@pytest.mark.parametrize("end", [PermitState.CANCELLED, PermitState.REJECTED, PermitState.EXPIRED])
def test_reserved_settled_and_released_make_what_was_issued(end: PermitState) -> None:
    story = Story()
    story.quote("BTC", 100.0)
    permit = story.permit("BTC", 1, 10, 100.0)
    seen = []
    for state, steps in [
        (PermitState.SPENT, 0),
        (PermitState.PARTIAL, 4),
        (PermitState.UNKNOWN, 4),
        (end, 4),
        (end, 7),
    ]:
        story.result(permit, state, steps, steps / 10)
        where = story.account.reservation(permit)
        assert where.reserved + where.settled + where.released == 10
        seen.append((where.reserved, where.settled, where.released))
    assert seen == [(10, 0, 0), (6, 4, 0), (6, 4, 0), (0, 4, 6), (0, 7, 3)]


def test_a_revoked_permit_releases_everything() -> None:
    story = Story()
    permit = story.permit("BTC", 1, 10, 100.0)
    story.tell(PermitRevoked(permit, PermitState.REVOKED, Code.TRADING_REDUCING))
    where = story.account.reservation(permit)
    assert (where.reserved, where.settled, where.released) == (0, 0, 10)


# ---------------------------------------------------------------- trades


def test_funding_belongs_to_the_trade_that_is_open() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.tell(CashFlow("funding", -1.0, "BTC"))
    story.trade("BTC", 1, 1_000, 100.0)
    story.tell(CashFlow("funding", -2.0, "BTC"))
    story.tell(CashFlow("swap", -3.0, "BTC"))
    story.tell(CashFlow("fee", -4.0))
    story.trade("BTC", -1, 1_000, 110.0)
    (trade,) = story.account.closed_trades()
    assert trade.pnl == 10 - 2 - 3
    assert story.account.booked() == 10_000 + 10 - 1 - 2 - 3 - 4


@pytest.mark.parametrize(
    ("exit_price", "outcome"),
    [(100.0, "neutral"), (100.49, "neutral"), (100.5, "win"), (99.51, "neutral"), (99.5, "loss")],
)
def test_within_a_twentieth_of_the_risk_is_neither_win_nor_loss(exit_price: float, outcome: str) -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.trade("BTC", 1, 1_000, 100.0, stop=90.0)
    story.trade("BTC", -1, 1_000, exit_price)
    (trade,) = story.account.closed_trades()
    assert trade.risk == 10
    assert trade.outcome == outcome


def test_without_a_stop_every_loss_is_a_loss() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.trade("BTC", 1, 1_000, 100.0)
    story.trade("BTC", -1, 1_000, 99.999)
    assert [trade.outcome for trade in story.account.closed_trades()] == ["loss"]


def test_the_locks_own_streak_starts_again_and_only_a_win_ends_the_other() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    seen = []
    for exit_price in (99.0, 99.0, 100.01, 99.0, 99.0, 101.0, 99.0):
        story.trade("BTC", 1, 1_000, 100.0, stop=90.0)
        story.trade("BTC", -1, 1_000, exit_price)
        seen.append(story.account.streaks())
    assert seen == [(1, 1), (2, 2), (2, 2), (0, 3), (1, 4), (0, 0), (1, 1)]


# ---------------------------------------------------------------- equity


def test_guards_use_the_smaller_of_both_sources() -> None:
    story = Story()
    assert story.account.equity() is None
    story.venue(9_990.0)
    assert story.account.equity() == 9_990
    story.venue(10_010.0)
    assert story.account.equity() == 10_000


@pytest.mark.parametrize("print_", [0.0, 100_000.0])
def test_an_absurd_print_moves_no_reference(print_: float) -> None:
    story = Story()
    story.venue(10_000.0)
    story.venue(print_)
    assert not story.account.plausible()
    assert story.account.peak() == 10_000
    own, peak = story.account.own_equity(), story.account.peak()
    assert broken(Code.EMERGENCY_FLATTEN, own, peak, LIMITS) is False


def test_the_gap_is_a_share_of_the_larger_source() -> None:
    story = Story()
    story.venue(11_111.1)
    assert story.account.gap() == Fraction("1111.1") / Fraction("11111.1")
    assert story.account.plausible()
    story.venue(11_111.2)
    assert not story.account.plausible()


def test_a_report_that_arrives_after_a_newer_one_changes_nothing() -> None:
    story = Story()
    story.venue(10_100.0)
    story.tell(EquityMarked(9_000.0, nan, story.at - 1))
    assert story.account.venue_equity() == 10_100


def test_what_the_books_do_not_explain() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.trade("BTC", 1, 1_000, 100.0, fees=1.0)
    story.venue(9_999.0, 9_999.0)
    assert story.account.unexplained() == 0
    story.venue(9_990.0, 9_990.0)
    assert story.account.unexplained() == -9


def test_a_lone_outlier_is_not_a_mark_and_a_second_one_makes_it_one() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.quote("BTC", 130.0)
    assert story.account.marks("BTC")[-1][1] == 100
    story.quote("BTC", 101.0)
    assert story.account.marks("BTC")[-1][1] == 101
    story.quote("BTC", 130.0)
    story.quote("BTC", 131.0)
    assert story.account.marks("BTC")[-1][1] == 131


# ---------------------------------------------------------------- flows


def test_a_withdrawal_moves_every_reference_and_breaks_nothing() -> None:
    story = Story()
    story.venue(10_000.0, 10_000.0)
    story.tell(CashFlow("withdrawal", -1_100.0))
    story.venue(8_900.0, 8_900.0)
    assert story.account.initial_reference() == story.account.peak() == story.account.equity() == 8_900
    for code in (Code.DRAWDOWN, Code.EMERGENCY_FLATTEN, Code.TOTAL_DRAWDOWN, Code.EQUITY_GUARD):
        reference = story.account.initial_reference() if code is Code.EQUITY_GUARD else story.account.peak()
        assert broken(code, story.account.equity(), reference, LIMITS) is False
    assert story.account.unexplained() == 0


def test_a_withdrawal_that_the_venue_shows_first_moves_the_references_all_the_same() -> None:
    story = Story()
    story.venue(10_000.0, 10_000.0)
    story.venue(9_100.0, 9_100.0)
    story.tell(CashFlow("payout", -900.0))
    assert story.account.peak() == 9_100


def test_a_deposit_keeps_a_drawdown_what_it_was() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.trade("BTC", 1, 50_000, 100.0)
    story.venue(10_000.0)
    story.quote("BTC", 90.0)
    story.venue(9_500.0)
    story.tell(CashFlow("deposit", 9_500.0))
    story.venue(19_000.0)
    equity, peak = story.account.equity(), story.account.peak()
    assert equity is not None
    assert peak is not None
    assert peak == 20_000
    assert equity / peak == Fraction("0.95")


def test_funding_is_loss_and_moves_no_reference() -> None:
    story = Story()
    story.venue(10_000.0)
    story.tell(CashFlow("funding", -300.0))
    story.venue(9_700.0)
    assert story.account.peak() == story.account.initial_reference() == 10_000
    assert story.account.equity() == 9_700


def test_a_rebase_takes_present_equity() -> None:
    story = Story()
    story.venue(10_000.0)
    story.tell(CashFlow("fee", -500.0))
    story.venue(9_500.0)
    story.tell(Rebased("alice", "accepted"))
    assert story.account.peak() == 9_500
    story.tell(CashFlow("fee", 200.0))
    story.venue(9_700.0)
    assert story.account.peak() == 9_700


# ---------------------------------------------------------------- periods


DAY = 86_400


def with_day(*instruments: Instrument) -> Story:
    story = Story(*instruments)
    story.tell(CalendarSet("day", CalendarKind.DAY, tuple(day * DAY * NS for day in range(4))))
    return story


def test_the_first_period_of_an_account_opens_with_its_first_fresh_figure() -> None:
    story = with_day()
    opening = story.account.opening("day", story.at)
    assert opening is not None
    assert (opening.how, opening.equity) == ("pending", None)
    story.venue(9_990.0)
    opening = story.account.opening("day", story.at)
    assert opening is not None
    assert opening.how == "exact"
    assert (opening.equity, opening.balance) == (Fraction(9_990), Fraction(10_000))


def test_a_fresh_figure_at_the_instant_is_exact() -> None:
    story = with_day()
    story.at = DAY * NS - 300 * NS
    story.venue(9_800.0)
    story.venue(9_700.0, after_s=301)
    opening = story.account.opening("day", story.at)
    assert opening is not None
    assert (opening.start_ns, opening.how) == (DAY * NS, "exact")
    assert (opening.equity, opening.balance) == (Fraction(9_800), Fraction(10_000))


def test_a_missed_instant_takes_the_strictest_candidate_of_each_figure() -> None:
    story = with_day()
    story.at = DAY * NS - 301 * NS
    story.venue(9_800.0)
    story.tell(CashFlow("fee", 50.0), after_s=302)
    opening = story.account.opening("day", story.at)
    assert opening is not None
    assert (opening.how, opening.equity) == ("pending", None)
    story.venue(9_700.0)
    story.venue(9_900.0)
    opening = story.account.opening("day", story.at)
    assert opening is not None
    assert opening.how == "shadow"
    assert (opening.equity, opening.balance) == (Fraction(9_800), Fraction(10_050))


def test_while_the_venue_is_closed_an_old_figure_is_exact() -> None:
    closed = Instrument("BTC", "v", "USD", 0.001, 0.1, 0.0, sessions=((0, DAY * NS // 2),))
    story = with_day(closed)
    story.venue(9_800.0)
    story.venue(9_900.0, after_s=2 * DAY)
    opening = story.account.opening("day", story.at)
    assert opening is not None
    assert opening.how == "exact"
    assert opening.equity == 9_800


def test_a_flow_moves_the_periods_references() -> None:
    story = with_day()
    story.venue(10_000.0, 10_000.0)
    story.tell(CashFlow("deposit", 1_000.0))
    opening = story.account.opening("day", story.at)
    assert opening is not None
    assert opening.equity == opening.balance == 11_000


# ---------------------------------------------------------------- the written boundaries


@pytest.mark.parametrize(
    ("code", "reference", "equity", "expected"),
    [
        (Code.DRAWDOWN, 10_000.0, 9_200.0, False),
        (Code.DRAWDOWN, 10_000.0, 9_199.99, True),
        (Code.DRAWDOWN, 10_000.0, 9_199.9999999, False),
        (Code.EMERGENCY_FLATTEN, 10_000.0, 8_000.0, True),
        (Code.EMERGENCY_FLATTEN, 10_000.0, 9_000.0, False),
        (Code.DAILY_LOSS, 10_000.0, 9_750.0, False),
        (Code.DAILY_LOSS, 10_000.0, 9_749.99, True),
        (Code.WEEKLY_LOSS, 10_000.0, 9_000.0, False),
        (Code.WEEKLY_LOSS, 10_000.0, 8_999.99, True),
        (Code.EQUITY_GUARD, 100_000.0, 90_000.0, True),
        (Code.EQUITY_GUARD, 100_000.0, 90_000.01, False),
        (Code.TOTAL_DRAWDOWN, 10_000.0, 8_000.0, False),
        (Code.TOTAL_DRAWDOWN, 10_000.0, 7_999.99, True),
        (Code.DRAWDOWN, 0.0, 1.0, None),
    ],
)
def test_boundaries(code: Code, reference: float, equity: float, expected: bool | None) -> None:
    assert broken(code, exact(equity), exact(reference), LIMITS) is expected


def test_unknown_breaks_nothing_and_proves_nothing() -> None:
    assert broken(Code.DRAWDOWN, None, Fraction(1), LIMITS) is None
    assert broken(Code.DRAWDOWN, Fraction(1), None, LIMITS) is None


def test_a_fifth_realised_is_a_fifth_of_drawdown() -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.venue(10_000.0)
    story.trade("BTC", 1, 100_000, 100.0)
    story.trade("BTC", -1, 100_000, 80.0)
    story.venue(8_000.0)
    equity, peak = story.account.equity(), story.account.peak()
    assert equity is not None
    assert peak is not None
    assert 1 - equity / peak == Fraction(1, 5)


def test_both_sources_together_prove_a_loss_and_the_venue_alone_never_does() -> None:
    story = Story()
    story.venue(10_000.0)
    story.venue(9_100.0)
    assert story.account.verdicts[-1][Code.DRAWDOWN] == Verdict(own=False, venue=True)
    assert not story.account.proven(Code.DRAWDOWN)
    story.tell(CashFlow("fee", -900.0))
    assert story.account.proven(Code.DRAWDOWN)
    assert not story.account.proven(Code.EMERGENCY_FLATTEN)


@pytest.mark.parametrize(
    ("gap_s", "marks", "reconcile", "expected"),
    [
        (5.0, 3, True, True),
        (4.9, 3, True, False),
        (10.0, 2, True, False),
        (5.0, 3, False, False),
    ],
)
def test_the_own_estimate_needs_marks_time_and_reconciled_positions(
    gap_s: float, marks: int, reconcile: bool, expected: bool
) -> None:
    story = Story()
    story.quote("BTC", 100.0)
    story.venue(10_000.0)
    story.trade("BTC", 1, 100_000, 100.0)
    for _ in range(marks):
        story.quote("BTC", 91.0, after_s=gap_s)
    if reconcile:
        story.tell(PositionsReported((PositionAt("BTC", 100_000, 100.0),), story.at))
    assert story.account.proven(Code.DRAWDOWN) is expected


# ---------------------------------------------------------------- exposure


def test_held_counts_at_the_mark_and_reserved_at_the_worst_price() -> None:
    story = Story(BTC, GER)
    story.quote("BTC", 100.0)
    story.quote("GER", 16_000.0, rate=1.1)
    story.trade("BTC", 1, 2_000, 100.0)
    story.quote("BTC", 110.0)
    permit = story.permit("BTC", 1, 1_000, 112.0)
    story.permit("GER", -1, 1, 15_900.0, strategy="t")
    story.permit("BTC", -1, 1_000, nan, reduce_only=True)
    exposure = story.account.exposure()
    assert exposure.symbol == {"BTC": 220 + 112, "GER": 16_000 * 25 * Fraction("1.1")}
    assert exposure.strategy == {"s": 332, "t": 440_000}
    assert exposure.gross == 332 + 440_000
    assert exposure.net == 220
    assert (exposure.pending_buy, exposure.pending_sell) == (Fraction(112), Fraction(440_000))
    assert exposure.position_count == 2
    story.result(permit, PermitState.PARTIAL, 400, 44.4)
    assert story.account.exposure().symbol["BTC"] == 2_400 * Fraction("0.11") + 600 * Fraction("0.112")


def test_worth_and_price_are_each_others_inverse() -> None:
    for instrument in (BTC, GER, XBT):
        assert price_of(instrument, worth(instrument, 123.5)) == Fraction("123.5")


def test_money_is_compared_to_a_millionth() -> None:
    assert cents(Fraction("1.0000004")) == 1
    assert cents(Fraction("1.0000006")) == Fraction("1.000001")
