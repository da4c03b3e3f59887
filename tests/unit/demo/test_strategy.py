"""The example strategy is deterministic, looks only back and wishes what its docstring says."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from interlock.demo.strategy import FLAT, LONG, SHORT, Trend, TrendParameters, Wish

SMALL = TrendParameters(
    entry_bars=4, exit_bars=2, range_bars=2, unit_equity_mult=3.0, unit_count_max=2, add_ranges=2.0, stop_ranges=5.0
)


def wishes(closes: Sequence[float], parameters: TrendParameters = SMALL) -> list[Wish | None]:
    trend = Trend(parameters)
    return [trend.on_bar(close + 1, close - 1, close) for close in closes]


def test_a_breakout_is_entered_added_to_once_and_left() -> None:
    rising = [100.0, 100.0, 100.0, 100.0, 102.0, 103.0, 107.0, 120.0, 100.0]
    assert wishes(rising) == [
        *[None] * 4,
        Wish(LONG, 3.0, 5.0 * 2.0 / 102.0, "breakout"),
        None,
        Wish(LONG, 6.0, 5.0 * 2.0 / 107.0, "add to winner"),
        None,
        Wish(FLAT, 0.0, 0.0, "exit"),
    ]


def test_falls_are_sold_and_may_follow_an_exit() -> None:
    falling = [100.0, 100.0, 100.0, 100.0, 98.0, 97.0, 100.0, 90.0]
    assert [wish and (wish.side, wish.notional_equity_mult) for wish in wishes(falling)] == [
        *[None] * 4,
        (SHORT, 3.0),
        None,
        (FLAT, 0.0),
        (SHORT, 3.0),
    ]


def test_a_close_on_the_channel_is_no_breakout() -> None:
    assert wishes([100.0, 100.0, 100.0, 100.0, 101.0, 99.0, 102.0]) == [None] * 7


closes = st.lists(st.floats(50, 150), min_size=1, max_size=60)


@given(closes, closes)
def test_later_bars_change_no_earlier_wish(past: list[float], future: list[float]) -> None:
    assert wishes(past + future)[: len(past)] == wishes(past)


@given(closes)
def test_wishes_grow_by_one_unit_and_every_way_in_has_a_way_out(prices: list[float]) -> None:
    standing = Wish(FLAT, 0.0, 0.0, "")
    for wish in filter(None, wishes(prices)):
        assert wish.side in ({FLAT, standing.side} if standing.side else {LONG, SHORT})
        assert wish.notional_equity_mult == (0.0 if wish.side == FLAT else standing.notional_equity_mult + 3.0)
        assert wish.notional_equity_mult <= 6.0
        assert (wish.stop_frac > 0.0) == (wish.side != FLAT)
        standing = wish
