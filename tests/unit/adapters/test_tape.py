import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from interlock.adapters.bars import Bars, read_bars
from interlock.adapters.tape import Moment, Tape, TapeUnplayable
from interlock.core.messages import BarClosed, Quote

HOUR_NS = 3_600_000_000_000
START_NS = 1_700_000_000_000_000_000


class Slept:
    """A wall clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def clock(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def bars(tmp_path: Path, rows: Sequence[str], header: str = "ts,open,high,low,close") -> Bars:
    path = tmp_path / "bars.csv"
    path.write_text("\n".join([header, *rows]))
    return read_bars(path)


def btc(tmp_path: Path) -> Bars:
    return bars(
        tmp_path,
        [
            "2024-01-01T00:00:00Z,100,103,98,101",
            "2024-01-01T01:00:00Z,101,102,95,96",
            "2024-01-03T02:00:00Z,96,99,95,98",
        ],
    )


def eth(tmp_path: Path) -> Bars:
    rows = ["2024-01-01T01:00:00Z,10,11,9,10.5,10.4,10.6", "2024-01-01T02:00:00Z,10.5,12,10,11,10.8,11.2"]
    return bars(tmp_path, rows, "ts,open,high,low,close,bid,ask")


def played(tape: Tape, cursor: int = 0, most: int = 1_000) -> list[Moment]:
    async def all_of_it() -> list[Moment]:
        moments = []
        async for moment in tape.play(cursor):
            moments.append(moment)
            if len(moments) == most:
                break
        return moments

    return asyncio.run(all_of_it())


def tape_of(symbols: dict[str, Bars], slept: Slept, *, loops: bool = False, speed: float = 3_600.0) -> Tape:
    return Tape(symbols, speed=speed, clock=slept.clock, spread_bps=20.0, loops=loops, sleep=slept.sleep)


def test_a_bar_is_its_open_its_extremes_and_its_close(tmp_path: Path) -> None:
    slept = Slept()
    moments = played(tape_of({"BTC": btc(tmp_path)}, slept, speed=1_800.0))
    marks = [quote.mark for moment in moments for quote in moment.quotes]
    assert marks == [100.0, 98.0, 103.0, 101.0, 101.0, 102.0, 95.0, 96.0, 96.0, 95.0, 99.0, 98.0]
    assert [moment.cursor for moment in moments] == [*range(1, 13)]
    assert moments[0].quotes == (Quote("BTC", 100.0 - 0.101, 100.0 + 0.101, 100.0, START_NS + 500_000_000),)
    told_ns = [moment.quotes[0].at_ns - START_NS for moment in moments]
    assert told_ns == [number * 500_000_000 for number in range(1, 13)]  # two seconds for an hour, and none for the gap


def test_a_bar_is_told_when_it_has_closed(tmp_path: Path) -> None:
    source = btc(tmp_path)
    moments = played(tape_of({"BTC": source}, Slept()))
    assert [len(moment.closed) for moment in moments] == [0, 0, 0, 1] * 3
    assert moments[3].closed == (BarClosed("BTC", source.ts_ns[0], 3_600.0, 100.0, 103.0, 98.0, 101.0),)


def test_symbols_play_together_where_they_have_bars_and_with_their_own_spreads(tmp_path: Path) -> None:
    moments = played(tape_of({"BTC": btc(tmp_path), "ETH": eth(tmp_path)}, Slept()))
    symbols = [[quote.symbol for quote in moment.quotes] for moment in moments[::4]]
    assert symbols == [["BTC"], ["BTC", "ETH"], ["ETH"], ["BTC"]]
    closing = moments[7].quotes[1]
    assert closing.mark == 10.5
    assert closing.bid == pytest.approx(10.4)
    assert closing.ask == pytest.approx(10.6)


def test_a_tape_goes_on_where_it_was(tmp_path: Path) -> None:
    symbols = {"BTC": btc(tmp_path)}
    whole = played(tape_of(symbols, Slept()))
    for cursor in range(13):
        rest = played(tape_of(symbols, Slept()), cursor)
        assert [moment.cursor for moment in rest] == [moment.cursor for moment in whole[cursor:]]
        assert [moment.closed for moment in rest] == [moment.closed for moment in whole[cursor:]]
        assert [moment.quotes[0].mark for moment in rest] == [moment.quotes[0].mark for moment in whole[cursor:]]


def test_a_tape_that_loops_starts_again_and_its_cursor_goes_on(tmp_path: Path) -> None:
    tape = tape_of({"BTC": btc(tmp_path)}, Slept(), loops=True)
    moments = played(tape, most=30)
    assert [moment.cursor for moment in moments] == [*range(1, 31)]
    marks = [moment.quotes[0].mark for moment in moments]
    assert marks[:12] == marks[12:24]
    assert played(tape, cursor=25, most=1)[0].quotes[0].mark == marks[25]
    assert tape.moments_per_round == 12


def test_the_closed_bars_before_a_moment_are_those_that_were_told(tmp_path: Path) -> None:
    tape = tape_of({"BTC": btc(tmp_path), "ETH": eth(tmp_path)}, Slept(), loops=True)
    told: list[tuple[BarClosed, ...]] = [()]
    for moment in played(tape, most=40):
        told.append(moment.closed)
        intervals = [closed for closed in told if closed]
        for count in (0, 1, 3, 100):
            expected = tuple(bar for closed in intervals[len(intervals) - min(count, len(intervals)) :] for bar in closed)
            assert tape.closed_before(moment.cursor, count) == expected


def test_a_tape_that_cannot_be_played_is_refused(tmp_path: Path) -> None:
    minutes = bars(tmp_path, ["2024-01-01T00:00:00Z,1,1,1,1", "2024-01-01T00:01:00Z,1,1,1,1"])
    slept = Slept()
    with pytest.raises(TapeUnplayable, match="BTC 3600 s, ETH 60 s"):
        tape_of({"BTC": btc(tmp_path), "ETH": minutes}, slept)
    with pytest.raises(TapeUnplayable, match="found no bars"):
        tape_of({}, slept)
    with pytest.raises(TapeUnplayable, match="give a spread"):
        Tape({"BTC": btc(tmp_path)}, speed=1.0, clock=slept.clock)
    for speed in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(TapeUnplayable, match="speed"):
            tape_of({"BTC": btc(tmp_path)}, slept, speed=speed)
