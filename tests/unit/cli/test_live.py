from math import nan

import pytest

from interlock.cli.live import AMPLE_ROOM_FRAC, BAR_WIDTH, _bar_of_room
from interlock.core.codes import Code
from interlock.service.api import FloorStatus


@pytest.mark.parametrize(
    ("room_frac", "full"),
    [
        (2.0 * AMPLE_ROOM_FRAC, BAR_WIDTH),
        (AMPLE_ROOM_FRAC, BAR_WIDTH),
        (AMPLE_ROOM_FRAC / 2.0, BAR_WIDTH // 2),
        (0.0, 0),
        (-0.1, 0),
    ],
)
def test_a_floors_bar_shows_how_much_of_an_ample_room_is_left(room_frac: float, full: int) -> None:
    equity = 10_000.0
    bar = _bar_of_room(FloorStatus(Code.DRAWDOWN, equity * (1.0 - room_frac), equity))
    assert (bar.count("█"), len(bar)) == (full, BAR_WIDTH)


@pytest.mark.parametrize(("floor", "equity"), [(nan, 100.0), (90.0, nan), (0.0, 0.0)])
def test_a_room_that_is_not_known_has_no_bar(floor: float, equity: float) -> None:
    assert _bar_of_room(FloorStatus(Code.DRAWDOWN, floor, equity)) == ""
