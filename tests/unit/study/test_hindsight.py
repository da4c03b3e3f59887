"""What the gate would have done to histories small enough to compute by hand; and what holds for every history."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.codes import Code
from interlock.policy import load_policy
from interlock.policy.windows import parse_windows
from interlock.study.hindsight import Gated
from interlock.study.parties import PolicyUnfit
from interlock.study.run import Replay
from interlock.study.tale import remarks
from unit.study.past_texts import FILLS, GENEROUS, TRADES, Given, generous, run

DAY_S = 86_400
START_S = 1_709_251_200  # 2024-03-01, midnight


def at(hours: float, day: int = 0) -> str:
    return str(START_S + day * DAY_S + round(hours * 3600))


def gains(replay: Replay) -> list[float]:
    """What the gate changed, trade by trade."""
    was, became = replay.free.books.brought(), replay.gated.books.brought()
    return [(later - earlier) / replay.past.unit for earlier, later in zip(was, became, strict=True)]


def test_a_second_buy_beyond_the_exposure_is_shrunk_and_the_exit_takes_what_is_left(tmp_path: Path) -> None:
    done = run(tmp_path, FILLS, f"{at(1)},A,buy,500,40", f"{at(2)},A,buy,500.00,40", f"{at(3)},A,sell,1000,42")
    # 10 000 of equity at most three times: 20 000 is held, 10 000 of the second 20 000 fit
    assert [fill[2:] for fill in done.gated.journal.fills] == [(500, 40), (250, 40), (-750, 42)]
    assert (done.free.books.equity, done.gated.books.equity) == (12_000.0, 11_500.0)
    found = done.comparison
    assert (found.openings, found.granted, found.capped, found.denied) == (2, 1, {"SYMBOL_EXPOSURE": 1}, {})
    assert (found.saved, found.cost, found.winners_missed, found.losers_spared) == (0.0, 500.0, 1, 0)
    (cost,) = found.biggest_costs
    assert (cost.was, cost.became, cost.code, cost.trade) == (2000.0, 1500.0, "SYMBOL_EXPOSURE", "long 1000")
    assert "50% let in" in cost.why
    assert found.proof.problems == ()


def test_an_order_filled_at_several_prices_is_judged_at_the_worst_and_filled_at_each(tmp_path: Path) -> None:
    done = run(tmp_path, FILLS, f"{at(1)},A,buy,300,40", f"{at(1)},A,buy,500,45", f"{at(2)},A,sell,800,45")
    # 30 000 at 45 are 666 whole units, and the first 300 of them were had at 40
    assert [fill[2:] for fill in done.gated.journal.fills] == [(300, 40), (366, 45), (-666, 45)]
    assert done.gated.books.equity == 11_500.0


DAY_OF_LOSS = (
    TRADES,
    "A,buy,500,2024-03-01 01:00:00,40,2024-03-01 02:00:00,39.4",  # -300 of 10 000, the limit is 2.5 %
    "A,buy,100,2024-03-01 03:00:00,40,2024-03-01 04:00:00,41",
    "B,sell,100,2024-03-01 05:00:00,40,2024-03-01 06:00:00,42",
    "A,buy,100,2024-03-02 01:00:00,40,2024-03-02 02:00:00,41",
)


def test_after_the_day_s_loss_the_day_is_over_winners_and_losers_alike(tmp_path: Path) -> None:
    done = run(tmp_path, *DAY_OF_LOSS)
    assert gains(done) == [0.0, -100.0, 200.0, 0.0]
    found = done.comparison
    assert found.denied == {"lock DAILY_LOSS": 2}
    assert (found.saved, found.cost, found.exits, found.exits_empty, found.exits_held_up) == (200.0, 100.0, 4, 2, 0)
    assert (found.locks, found.losers_spared, found.winners_missed) == ({"DAILY_LOSS": 1}, 1, 1)
    assert found.biggest_saves[0].why == (
        "locked by DAILY_LOSS since 2024-03-01 02:00, until 2024-03-02 00:00: equity is proven under its floor "
        "(9,700 of 9,750)."
    )
    assert [curve.equity for curve in found.curves] == [9_700.0, 9_800.0]
    assert found.curves[1].worst_day_frac == pytest.approx(-0.03)


def test_an_emergency_closes_the_rest_at_the_last_known_price(tmp_path: Path) -> None:
    done = run(tmp_path, FILLS, f"{at(1)},A,buy,500,40.0", f"{at(2)},A,sell,100,37.9", f"{at(30)},A,sell,400,42.0")
    assert [fill[2:] for fill in done.gated.journal.fills] == [(500, 40.0), (-100, 37.9), (-400, 37.9)]
    assert done.gated.books.equity == 10_000 - 500 * 2.1
    assert done.free.books.equity == 10_000 - 100 * 2.1 + 400 * 2
    assert done.gated.exits_left_nothing == 1
    assert done.comparison.biggest_costs[0].why == "EMERGENCY_FLATTEN: the gate closed it at the last known price."
    assert {"EMERGENCY_FLATTEN", "DRAWDOWN", "DAILY_LOSS"} <= set(done.comparison.locks)


def test_another_symbol_s_price_flattens_what_is_held(tmp_path: Path) -> None:
    """The loss of one symbol closes the other at its own last price."""
    done = run(
        tmp_path,
        FILLS,
        f"{at(1)},B,buy,10,40",
        f"{at(1)},A,buy,500,40.0",
        f"{at(2)},A,sell,500,37.9",
        f"{at(3)},B,sell,10,39",
    )
    assert [(fill[1], *fill[2:]) for fill in done.gated.journal.fills][2:] == [("A", -500, 37.9), ("B", -10, 40)]


def test_the_day_opens_with_the_last_known_price_of_what_is_held(tmp_path: Path) -> None:
    done = run(tmp_path, FILLS, f"{at(20)},A,buy,500,40.0", f"{at(30)},A,buy,1,39.4", f"{at(31)},A,buy,1,39.4")
    assert done.comparison.denied == {"lock DAILY_LOSS": 2}  # 300.0 below the 10 000 at midnight
    assert done.comparison.biggest_costs == done.comparison.biggest_saves == ()


def test_a_price_far_from_the_last_is_believed(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        FILLS,
        f"{at(1)},A,buy,10,40",
        f"{at(1, 9)},A,sell,10,60",
        f"{at(2, 9)},A,buy,10,60",
        f"{at(1, 30)},A,sell,10,20",
    )
    assert done.comparison.denied == {}
    assert done.gated.books.equity == done.free.books.equity == 9_800.0


def test_the_exit_of_a_trade_that_was_not_let_in_closes_no_other(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        TRADES,
        "A,buy,750,2024-03-01 01:00:00,40,2024-03-01 04:00:00,41",
        "A,buy,100,2024-03-01 02:00:00,40,2024-03-01 03:00:00,39.9",  # three times equity is held already
    )
    assert [fill[2:] for fill in done.gated.journal.fills] == [(750, 40.0), (-750, 41.0)]
    assert gains(done) == [0.0, 10.0]
    assert done.comparison.exits_empty == 1


TOTAL = (
    TRADES,
    *(f"A,buy,500,2024-03-{day:02} 01:00:00,40,2024-03-{day:02} 02:00:00,38.8" for day in range(1, 6)),  # -600 each
    "A,buy,100,2024-05-05 01:00:00,40,2024-05-05 02:00:00,41",
    "A,buy,100,2024-07-05 01:00:00,40,2024-07-05 02:00:00,41",
)


@pytest.mark.parametrize(("review_days", "missed"), [(90, [5]), (0, [5, 6]), (30, [])])
def test_what_waits_for_an_operator_is_reviewed_after_its_days_or_never(
    review_days: int, missed: list[int], tmp_path: Path
) -> None:
    done = run(tmp_path, *TOTAL, given=Given(review_days=review_days))
    assert done.comparison.locks["TOTAL_DRAWDOWN"] == 1
    assert [trade for trade, gain in enumerate(gains(done)) if gain < 0] == missed
    told = " ".join(remarks(done))
    assert ("never released" in told) == (review_days == 0)
    assert ("still in force: TOTAL_DRAWDOWN" in told) == (review_days == 0)


def test_each_fee_is_shared_by_what_was_filled(tmp_path: Path) -> None:
    done = run(tmp_path, f"{FILLS},fee", f"{at(1)},A,buy,1000,40,8", f"{at(2)},A,sell,1000,40,-2")
    assert done.free.books.fees == 6.0
    assert done.gated.books.fees == 4.5  # three quarters were let in


def test_a_stop_is_required_where_the_history_has_them_all(tmp_path: Path) -> None:
    fills = (f"{FILLS},stop", f"{at(1)},A,buy,10,40,39", f"{at(2)},A,sell,10,39,", f"{at(2.5)},A,buy,10,39,38")
    done = run(tmp_path, *fills)
    assert done.comparison.denied == {"lock STOP_HIT": 1}
    assert "Every opening has a stop; the policy requires a stop" in " ".join(remarks(done))


def test_a_policy_that_requires_stops_denies_what_has_none(tmp_path: Path) -> None:
    given = Given(policy=load_policy(GENEROUS))
    done = run(tmp_path, FILLS, f"{at(1)},A,buy,1,40", f"{at(2)},A,sell,1,41", given=given)
    assert done.comparison.denied == {"STOP_REQUIRED": 1}
    assert "1 of 1 openings have no stop on their losing side; the policy requires a stop and denies" in " ".join(
        remarks(done)
    )


def test_a_policy_that_lets_nobody_open_is_refused(tmp_path: Path) -> None:
    policy = load_policy(GENEROUS.replace('["open", "close"]', '["close"]'))
    with pytest.raises(PolicyUnfit, match="lets nobody open"):
        run(tmp_path, FILLS, f"{at(1)},A,buy,1,40", given=Given(policy=policy))


WINDOWS = "kind,from,until,zone,symbols\n"


def with_windows(rows: str) -> Given:
    """Behind a policy that knows news and a session's end, and a calendar file of these rows."""
    on = GENEROUS + 'NEWS_WINDOW = "on"\nSESSION_FLAT.lead = "15 min"\nSTOP_REQUIRED = "off: a test"\n'
    return Given(policy=load_policy(on), windows=parse_windows(WINDOWS + rows))


def test_what_opens_in_the_news_is_denied(tmp_path: Path) -> None:
    given = with_windows("no-open,01:00,02:00,UTC,A\n")
    fills = (f"{at(1)},A,buy,10,40", f"{at(1.5)},B,buy,10,40", f"{at(2)},A,buy,10,41", f"{at(3)},A,sell,20,42")
    done = run(tmp_path, FILLS, *fills, given=given)
    assert done.comparison.denied == {"NEWS_WINDOW": 1}
    assert [fill[1:] for fill in done.gated.journal.fills if fill[1] == "A"] == [("A", 10, 41), ("A", -10, 42)]


def test_what_has_to_be_flat_is_closed_by_the_lead_before_it(tmp_path: Path) -> None:
    given = with_windows("flat,02:00,05:00,UTC,A\n")
    fills = (f"{at(1)},A,buy,10,40", f"{at(1)},B,buy,10,40", f"{at(3)},A,buy,10,41", f"{at(6)},A,sell,20,42")
    done = run(tmp_path, FILLS, *fills, given=given)
    assert done.comparison.denied == {"SESSION_FLAT": 1}
    assert [(at_ns // 10**9, symbol, code) for at_ns, symbol, code, _ in done.gated.journal.flattenings] == [
        (int(at(1.75)), "A", Code.SESSION_FLAT)
    ]
    assert done.gated.books.open_symbols == ["B"]


def test_without_a_calendar_file_nothing_is_known_of_news(tmp_path: Path) -> None:
    given = replace(with_windows(""), windows=None)
    done = run(tmp_path, FILLS, f"{at(1)},A,buy,10,40", f"{at(2)},A,sell,10,42", given=given)
    assert done.comparison.denied == {"NEWS_WINDOW": 1}


def test_equity_marks_are_compared_with_what_we_reckon(tmp_path: Path) -> None:
    marks = f"time,equity\n{at(0)},10000\n{at(1.5)},9000\n{at(4)},9700.25\n"
    done = run(tmp_path, *DAY_OF_LOSS, given=Given(marks=marks))
    gap = done.comparison.gap
    assert gap is not None
    assert (gap.marks, gap.largest, gap.at) == (2, 1000.0, "2024-03-01 01:30")
    assert (gap.flat_marks, gap.flat_largest) == (1, 99.75)
    assert [curve.name for curve in done.comparison.curves] == ["history", "with the gate", "equity marks"]
    assert done.comparison.curves[2].worst_drawdown_frac == pytest.approx(-0.1)


def test_an_account_that_cannot_have_been_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, FILLS, f"{at(1)},A,buy,500,40", f"{at(2)},A,sell,400,10")
    told = " ".join(remarks(done))
    assert "falls to zero or below" in told
    assert "Between fills A is valued at the last known price" in told
    assert "Still open at the end, valued at the last price: A" in told


# ---------------------------------------------------------------- whatever the history

fills = st.lists(
    st.tuples(
        st.integers(1, 200_000),
        st.sampled_from(["A", "B"]),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 900),
        st.integers(300, 500),
        st.integers(-2, 9),
    ),
    min_size=1,
    max_size=25,
)
Drawn = list[tuple[int, str, str, int, int, int]]


def lines(drawn: Drawn) -> list[str]:
    second, found = START_S, [f"{FILLS},fee"]
    for later, symbol, side, quantity, price, fee in drawn:
        second += later
        found.append(f"{second},{symbol},{side},{quantity / 2},{price / 10},{fee}")
    return found


def trades(drawn: Drawn) -> list[str]:
    """The same numbers as closed trades that overlap."""
    found = [f"{TRADES},fee"]
    second = START_S
    for later, symbol, side, quantity, price, fee in drawn:
        second += later // 4
        found.append(f"{symbol},{side},{quantity / 2},{second},{price / 10},{second + later},{(price + fee) / 10},{fee}")
    return found


@settings(max_examples=25)
@given(fills, st.booleans())
def test_behind_a_policy_that_forbids_nothing_the_account_is_the_same_to_the_last_digit(drawn: Drawn, closed: bool) -> None:
    with TemporaryDirectory() as folder:
        done = run(Path(folder), *(trades(drawn) if closed else lines(drawn)), given=Given(1e9, generous()))
        assert done.comparison.denied == done.comparison.capped == {}
        assert done.gated.books.equity_units == done.free.books.equity_units
        assert done.gated.books.brought() == done.free.books.brought()
        assert done.gated.journal.fills == done.free.journal.fills


@settings(max_examples=40)
@given(fills, st.booleans())
def test_no_exit_is_ever_held_up_and_the_books_always_agree(drawn: Drawn, closed: bool) -> None:
    with TemporaryDirectory() as folder:
        done = run(Path(folder), *(trades(drawn) if closed else lines(drawn)))
        assert_sound(done)


def assert_sound(done: Replay) -> None:
    gated: Gated = done.gated
    found = done.comparison
    assert found.exits_held_up == 0
    assert found.proof.problems == ()
    unit = done.past.unit
    assert sum(gated.books.brought()) == gated.books.equity_units - round(done.gated.journal.balance * unit)
    assert found.saved - found.cost == pytest.approx(gated.books.equity - done.free.books.equity, abs=1e-6)
    state = gated.gate.engine.state
    for symbol, index in state.names.symbol_index.items():
        assert state.symbols[index].position == gated.books.position(symbol)
        theirs = done.free.books.position(symbol)
        assert abs(gated.books.position(symbol)) <= abs(theirs)
        assert gated.books.position(symbol) * theirs >= 0
    assert (state.account.balance + state.account.booked) / 1e6 == pytest.approx(gated.books.balance, abs=1e-3)
    assert state.account.unexplained == 0
    assert Code.RECONCILE_MISMATCH not in {lock.code for _, lock in gated.journal.locks}
