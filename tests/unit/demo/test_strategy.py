"""The example strategy is deterministic, looks only back and wishes what its docstring says."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from interlock.demo.strategy import LONG, SHORT, Trend, TrendParameters, Wish

SMALL = TrendParameters(
    entry_bars=4, exit_bars=2, range_bars=2, unit_equity_mult=3.0, unit_count_max=2, add_ranges=2.0, stop_ranges=5.0
)


def followed(closes: Sequence[float], parameters: TrendParameters = SMALL) -> list[tuple[Wish | None, bool]]:
    """After each close: what is wished, and whether a run has ended."""
    trend = Trend(parameters)
    return [(trend.on_bar(close + 1, close - 1, close), trend.run_ended) for close in closes]


def wishes(closes: Sequence[float], parameters: TrendParameters = SMALL) -> list[Wish | None]:
    return [wish for wish, _ in followed(closes, parameters)]


def test_a_breakout_is_entered_and_added_to_once_until_its_run_ends() -> None:
    rising = [100.0, 100.0, 100.0, 100.0, 102.0, 103.0, 107.0, 120.0, 100.0]
    assert followed(rising) == [
        *[(None, False)] * 4,
        (Wish(LONG, 3.0, 5.0 * 2.0 / 102.0, "breakout"), False),
        (None, False),
        (Wish(LONG, 3.0, 5.0 * 2.0 / 107.0, "add to winner"), False),
        (None, False),
        (None, True),
    ]


def test_falls_are_sold_and_may_follow_the_end_of_a_run() -> None:
    falling = [100.0, 100.0, 100.0, 100.0, 98.0, 97.0, 100.0, 90.0]
    assert [(wish and wish.side, ended) for wish, ended in followed(falling)] == [
        *[(None, False)] * 4,
        (SHORT, False),
        (None, False),
        (None, True),
        (SHORT, False),
    ]


def test_a_close_on_the_channel_is_no_breakout() -> None:
    assert wishes([100.0, 100.0, 100.0, 100.0, 101.0, 99.0, 102.0]) == [None] * 7


closes = st.lists(st.floats(50, 150), min_size=1, max_size=60)


@given(closes, closes)
def test_later_bars_change_no_earlier_wish(past: list[float], future: list[float]) -> None:
    assert wishes(past + future)[: len(past)] == wishes(past)


@given(closes)
def test_it_only_opens_one_side_at_a_time_with_a_stop_and_not_beyond_its_units(prices: list[float]) -> None:
    units: list[int] = []
    for wish, ended in followed(prices):
        if ended:
            assert wish is None
            units = []
        if wish is not None:
            units.append(wish.side)
            assert wish.notional_equity_mult == 3.0
            assert wish.stop_frac > 0.0
        assert len(set(units)) <= 1
        assert len(units) <= 2
