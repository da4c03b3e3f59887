"""Where a passage fills, on bars that are written out here: at opens, at stops, and beyond them."""

from array import array
from collections.abc import Sequence
from math import isnan

import pytest

from interlock.adapters.bars import Bars, Gaps
from interlock.adapters.paper import PaperVenue
from interlock.demo.diary import Diary
from interlock.demo.market import Market, Tape
from interlock.demo.passage import Passage, Ungated
from interlock.demo.plans import Plan
from interlock.demo.strategy import LONG, SHORT, TrendParameters, Wish
from interlock.demo.trades import trades
from interlock.study.parties import Parties

HOUR_NS = 3_600_000_000_000
START_NS = 1_700_000_000 * 10**9 // HOUR_NS * HOUR_NS
Row = tuple[float, float, float, float]


def passed(rows: Sequence[Row], wishes: dict[int, Wish], ends: Sequence[int] = ()) -> tuple[Diary, PaperVenue]:
    """A passage over the bars, without costs and with a spread of 0.2 around prices of 100."""
    ts_ns = array("q", (START_NS + hour * HOUR_NS for hour in range(len(rows))))
    open_, high, low, close = (array("d", column) for column in zip(*rows, strict=True))
    bid, ask = (array("d", (each + half for each in close)) for half in (-0.1, 0.1))
    bars = Bars(ts_ns, open_, high, low, close, bid, ask, Gaps(HOUR_NS, 0, 0, 0, 0))
    market = Market("XYZ", bars, None, "USD")
    tape = Tape([market], 0, 2**62, TrendParameters())
    tape.wishes = {number: (("XYZ", wish),) for number, wish in wishes.items()}
    tape.run_ends = dict.fromkeys(ends, ("XYZ",))
    venue, journal = PaperVenue(100_000.0, [market.instrument]), Diary(100_000.0)
    plan = Plan("ungated", None, Parties("s", "s", "s"))
    [*Passage(tape, venue, journal, Ungated(tape, venue, journal), plan).run()]
    return journal, venue


def told(journal: Diary) -> list[tuple[int, float, float]]:
    """Each fill: the bar it lies in, its signed quantity and its price."""
    return [((at_ns - START_NS) // HOUR_NS, round(quantity, 6), price) for at_ns, _, quantity, price in journal.fills]


BUY = Wish(LONG, 1.0, 0.0501, "")
SELL = Wish(SHORT, 1.0, 0.0501, "")
CALM = (100.0, 101.0, 99.0, 100.0)


def test_a_wish_at_a_close_fills_at_the_next_open() -> None:
    journal, venue = passed([CALM, (102.0, 103.0, 101.0, 102.0), (104.0, 104.5, 103.5, 104.0)], {0: BUY}, [1])
    assert told(journal) == [(1, 979.43, 102.1), (2, -979.43, 103.9)]
    assert venue.balance == 100_000.0 + 979.43 * 1.8
    assert list(journal.equity) == [100_000.0, 100_000.0 - 979.43 * 0.2, venue.balance]


def test_a_wish_at_the_last_close_comes_too_late() -> None:
    assert told(passed([CALM, CALM], {1: BUY})[0]) == []


def test_a_stop_fills_at_its_price() -> None:
    journal, _ = passed([CALM, CALM, (100.0, 101.0, 94.0, 100.0)], {0: BUY})
    assert told(journal)[1:] == [(2, -999.0, 95.084)]  # 5.01 % below the ask of 100.1, and down to a tick


def test_the_bid_reaches_a_stop_before_the_middle_does() -> None:
    untouched, hit = (100.0, 101.0, 95.186, 100.0), (100.0, 101.0, 95.184, 100.0)
    assert len(told(passed([CALM, CALM, untouched], {0: BUY})[0])) == 1
    assert len(told(passed([CALM, CALM, hit], {0: BUY})[0])) == 2


def test_a_bar_that_opens_beyond_the_stop_fills_at_its_open() -> None:
    journal, _ = passed([CALM, CALM, (90.0, 92.0, 89.0, 91.0)], {0: BUY})
    assert told(journal)[1:] == [(2, -999.0, 89.9)]


def test_a_short_is_stopped_at_the_ask() -> None:
    journal, _ = passed([CALM, CALM, (100.0, 110.0, 100.0, 108.0)], {0: SELL})
    assert told(journal)[1:] == [(2, 1001.0, 104.905)]  # 5.01 % above the bid of 99.9, and up to a tick
    journal, _ = passed([CALM, CALM, (106.0, 110.0, 105.0, 108.0)], {0: SELL})
    assert told(journal)[1:] == [(2, 1001.0, 106.1)]


def test_a_stop_in_the_bar_of_the_entry_comes_after_it() -> None:
    journal, _ = passed([CALM, (100.0, 101.0, 90.0, 99.0)], {0: BUY})
    assert [quantity for _, quantity, _ in told(journal)] == [999.0, -999.0]


def test_each_wish_adds_and_the_end_of_the_run_closes_before_the_next_opens() -> None:
    journal, venue = passed([CALM, CALM, CALM, CALM], {0: BUY, 1: BUY, 2: SELL}, [2])
    assert [(bar, quantity > 0) for bar, quantity, _ in told(journal)] == [(1, True), (2, True), (3, False), (3, False)]
    assert venue.position("XYZ") < 0


def test_a_trade_is_told_with_its_result_in_units_of_what_it_risked() -> None:
    """Bought 999 at 100.1 with a stop 5.01 % below; stopped 5.015 lower a bar after, or sold at 103.9 when the run ends."""
    (lost,) = trades(passed([CALM, CALM, (100.0, 101.0, 94.0, 100.0)], {0: BUY})[0])
    assert (lost.side, lost.exit, lost.rungs) == (1, "stop", ())
    assert lost.gained == pytest.approx(999.0 * (95.084 - 100.1))
    assert lost.r == pytest.approx((95.084 - 100.1) / (100.1 * 0.0501))
    (won,) = trades(passed([CALM, CALM, (104.0, 104.5, 103.5, 104.0)], {0: BUY}, [1])[0])
    assert (won.exit, won.start_ns, won.end_ns) == ("channel", START_NS + HOUR_NS, START_NS + 2 * HOUR_NS)
    assert won.r == pytest.approx(3.8 / (100.1 * 0.0501))


def test_a_position_that_is_still_held_is_no_trade_yet() -> None:
    assert trades(passed([CALM, CALM, CALM], {0: BUY})[0]) == []


def test_the_stop_of_the_last_order_holds_until_the_position_is_flat() -> None:
    journal, _ = passed([CALM, CALM, CALM, CALM], {0: BUY, 1: Wish(LONG, 1.0, 0.02, "")}, [2])
    assert [price for _, _, price in journal.stops[:2]] == [pytest.approx(95.08499), pytest.approx(98.098)]
    assert isnan(journal.stops[2][2])


def test_an_account_without_equity_opens_nothing_more() -> None:
    ruin = (30.0, 31.0, 29.0, 30.0)
    journal, venue = passed([CALM, CALM, ruin, ruin], {0: Wish(LONG, 10.0, 0.05, ""), 2: SELL})
    assert venue.equity < 0.0
    assert len(told(journal)) == 2
