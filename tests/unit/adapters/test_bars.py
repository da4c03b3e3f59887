"""Bars are read whole and exactly, or refused with every problem, its place and what was expected."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.bars import HOUR_NS, Bars, BarsInvalid, instant_ns, read_bars
from interlock.adapters.problems import PROBLEMS_SHOWN_MAX

HEADER = "ts,open,high,low,close,bid,ask"
FIRST = "2013-04-12T13:00:00Z,10,12,9,11,10.9,11.1"
NEXT = "2013-04-12T14:00:00Z,11,12,10,11,10.9,11.1"
NOON = datetime(2013, 4, 12, 12, tzinfo=UTC)


def written(folder: Path, *lines: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def outcome(path: Path) -> Bars | BarsInvalid:
    try:
        return read_bars(path)
    except BarsInvalid as error:
        return error


def refusal(path: Path) -> BarsInvalid:
    with pytest.raises(BarsInvalid) as raised:
        read_bars(path)
    return raised.value


def test_every_column_is_read(tmp_path: Path) -> None:
    bars = read_bars(written(tmp_path, HEADER, FIRST, NEXT))
    assert len(bars) == 2
    assert bars.quoted
    assert [bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.bid[0], bars.ask[0]] == [
        10, 12, 9, 11, 10.9, 11.1,
    ]  # fmt: skip
    assert bars.ts_ns[1] - bars.ts_ns[0] == bars.gaps.interval_ns == HOUR_NS


def test_columns_may_come_in_any_order_with_others_between_and_quotes_left_out(tmp_path: Path) -> None:
    lines = ("Close,volume, TS ,high,low,open", "11,é_1,2013-04-12T13:00:00Z,12,9,10", "", "12,5,1365775200,12,9,10")
    bars = read_bars(written(tmp_path, *lines))
    assert not bars.quoted
    assert list(bars.close) == [11, 12]
    assert bars.ts_ns[1] - bars.ts_ns[0] == HOUR_NS


def test_gzip_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(f"\ufeff{HEADER}\r\n{FIRST}\r\n{NEXT}\r\n".encode()))
    assert len(read_bars(path)) == 2


@pytest.mark.parametrize(
    ("row", "line", "column", "found", "expected"),
    [
        ("2013-04-12T14:00:00Z,11,12,10,x,10.9,11.1", 3, "close", "'x'", "a finite price"),
        ("2013-04-12T14:00:00Z,11,12,10,,10.9,11.1", 3, "close", "nothing", "a finite price"),
        ('2013-04-12T14:00:00Z,11,"1,200",10,11,10.9,11.1', 3, "high", "'1,200'", "a finite price"),
        ("2013-04-12T14:00:00Z,11,1_2,10,11,10.9,11.1", 3, "high", "'1_2'", "a finite price"),
        ("2013-04-12T14:00:00Z,11,١٢,10,11,10.9,11.1", 3, "high", "'١٢'", "a finite price"),
        ("2013-04-12T14:00:00Z,11,12,nan,11,10.9,11.1", 3, "low", "'nan'", "a finite price"),
        ("2013-04-12T14:00:00Z,11,inf,10,11,10.9,11.1", 3, "high", "'inf'", "a finite price"),
        ("2013-04-12T14:00:00Z,0,12,10,11,10.9,11.1", 3, "open", "'0'", "a finite price above 0"),
        ("2013-04-12T14:00:00Z,11,12,10,11,-10.9,11.1", 3, "bid", "'-10.9'", "a finite price above 0"),
        ("2013-04-12T14:00:00Z,11,12,10,11,10.9,inf", 3, "ask", "'inf'", "a finite price"),
        ("2013-04-12T14:00:00Z,11,10,12,11,10.9,11.1", 3, "low", "12", "at most high, which is 10"),
        ("2013-04-12T14:00:00Z,11,12,10,12.5,10.9,11.1", 3, "close", "12.5", "at most high, which is 12"),
        ("2013-04-12T14:00:00Z,11,12,10,9.5,10.9,11.1", 3, "low", "10", "at most close, which is 9.5"),
        ("2013-04-12T14:00:00Z,13,12,10,11,10.9,11.1", 3, "open", "13", "at most high, which is 12"),
        ("2013-04-12T14:00:00Z,9,12,10,11,10.9,11.1", 3, "low", "10", "at most open, which is 9"),
        ("2013-04-12T14:00:00Z,11,12,10,11,11.2,11.1", 3, "bid", "11.2", "at most ask, which is 11.1"),
        ("2013-04-12T13:00:00Z,11,12,10,11,10.9,11.1", 3, "ts", "2013-04-12T13:00:00Z a second time", "once"),
        ("2013-04-12T12:00:00Z,11,12,10,11,10.9,11.1", 3, "ts", "T12:00:00Z after 2013-04-12T13", "ascending"),
        ("2013-04-12 14:00:00,11,12,10,11,10.9,11.1", 3, "ts", "14:00:00'", "write 2013-04-12 14:00:00Z if it is UTC"),
        ("20130412,11,12,10,11,10.9,11.1", 3, "ts", "'20130412'", "a zone"),
        ("12/04/2013 14:00,11,12,10,11,10.9,11.1", 3, "ts", "'12/04/2013 14:00'", "such as 2013-04-12T13:00:00Z"),
        ("1365775200000000,11,12,10,11,10.9,11.1", 3, "ts", "'1365775200000000'", "between 1970 and 2262"),
        ("1960-04-12T14:00:00Z,11,12,10,11,10.9,11.1", 3, "ts", "'1960", "between 1970 and 2262"),
        ("2013-04-12T14:00:00Z,11,12,10,11,10.9", 3, "", "6 values", "7, as in the header"),
    ],
)
def test_a_bad_row_is_told_with_its_place(
    tmp_path: Path, row: str, line: int, column: str, found: str, expected: str
) -> None:
    error = refusal(written(tmp_path, HEADER, FIRST, row))
    problem = error.problems[0]
    assert (problem.line, problem.column) == (line, column)
    assert found in problem.found
    assert expected in problem.expected
    assert f"line {line}" in str(error)


@pytest.mark.parametrize(
    ("header", "column", "found"),
    [
        ("ts,open,high,low", "close", "only ts, open, high, low"),
        ("ts,open,high,low,close,bid", "ask", "only ts"),
        ("ts,open,high,low,close,close", "close", "it more than once"),
        ("ts;open;high;low;close", "ts", "only ts;open"),
        ("", "ts", "only an empty line"),
    ],
)
def test_a_bad_header_is_told(tmp_path: Path, header: str, column: str, found: str) -> None:
    problem = refusal(written(tmp_path, header, FIRST)).problems[0]
    assert (problem.line, problem.column) == (1, column)
    assert found in problem.found


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress(f"{HEADER}\n{FIRST}\n{NEXT}".encode())[:-12])
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"ts,open\xff\n")
    for path in (tmp_path / "absent.csv", tmp_path, torn, latin, written(tmp_path, HEADER, FIRST, name="plain.csv.gz")):
        problem = refusal(path).problems[0]
        assert (problem.line, problem.column) == (0, "")
        assert "cannot be read" in problem.found


def test_fewer_than_two_bars_are_refused(tmp_path: Path) -> None:
    assert "found 0 bars, expected at least two" in str(refusal(written(tmp_path, HEADER)))
    assert "file: found 1 bars" in str(refusal(written(tmp_path, HEADER, FIRST)))


def test_all_problems_are_told_at_once_up_to_a_bound(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, HEADER, *["?,?,12,10,11,10.9,11.1"] * 15))
    assert error.problem_count == 30
    assert len(error.problems) == PROBLEMS_SHOWN_MAX
    assert "30 problems" in str(error)
    assert "and 10 more" in str(error)


def test_a_broken_quote_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in str(refusal(written(tmp_path, HEADER, FIRST, '"2013')))


@pytest.mark.parametrize(
    "text",
    ["2013-04-12T13:00:00Z", "2013-04-12 13:00:00+00:00", "2013-04-12T09:00:00-04:00", "1365771600", "1365771600000"],
)
def test_one_instant_may_be_written_in_several_ways(text: str) -> None:
    assert instant_ns(text) == 1_365_771_600_000_000_000


def test_gaps_are_counted_and_told_apart(tmp_path: Path) -> None:
    instants = [NOON + timedelta(hours=n) for n in (0, 1, 2, 5, 8, 57, 58)]  # Friday noon to Sunday night
    lines = [f"{at.isoformat()},10,12,9,11" for at in instants]
    gaps = read_bars(written(tmp_path, "ts,open,high,low,close", *lines)).gaps
    assert (gaps.weekend_count, gaps.other_count) == (1, 2)
    assert gaps.longest_other_ns == 3 * HOUR_NS
    assert str(gaps) == "one bar every 1 h; 1 weekend, 2 other gaps, the longest 3 h after 2013-04-12T14:00:00Z"


def test_an_unbroken_series_has_no_gaps(tmp_path: Path) -> None:
    lines = [f"{(NOON + timedelta(seconds=n * 15)).isoformat()},10,12,9,11" for n in range(9)]
    gaps = read_bars(written(tmp_path, "ts,open,high,low,close", *lines)).gaps
    assert str(gaps) == "one bar every 15 s; 0 weekends, 0 other gaps"


prices = st.floats(0.001, 1e6)
good_bars = st.tuples(prices, prices, prices, prices, prices, prices).map(
    lambda p: (p[0], max(p[:4]), min(p[:4]), p[3], min(p[4:]), max(p[4:]))
)
cells = st.one_of(
    st.floats(0.5, 2.0).map(repr),
    st.sampled_from(["nan", "-1", "0", "inf", "", "1_0", "x", "1e400", " 1 ", "+1"]),
    st.text(st.characters(exclude_characters='\r\n",', exclude_categories=["Cs"]), max_size=6),
)


@given(st.lists(good_bars, min_size=2, max_size=30))
def test_plausible_bars_come_back_to_the_bit(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float]]) -> None:
    lines = [f"{1_365_771_600 + 60 * i},{','.join(map(repr, row))}" for i, row in enumerate(rows)]
    bars = read_bars(written(tmp_path_factory.mktemp("bars"), HEADER, *lines))
    assert list(zip(bars.open, bars.high, bars.low, bars.close, bars.bid, bars.ask, strict=True)) == rows


@given(st.lists(st.tuples(cells, cells, cells, cells, cells, cells), min_size=2, max_size=8))
def test_no_bar_is_dropped_and_none_is_implausible(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str]]
) -> None:
    lines = [f"{1_365_771_600 + 60 * i},{','.join(row)}" for i, row in enumerate(rows)]
    path = written(tmp_path_factory.mktemp("bars"), HEADER, *lines)
    read = outcome(path)
    if isinstance(read, BarsInvalid):
        assert read.problems
        assert all(problem.line for problem in read.problems)
        return
    assert len(read) == len(rows)
    assert all(0 < low <= high for low, high in zip(read.low, read.high, strict=True))
    assert all(0 < bid <= ask for bid, ask in zip(read.bid, read.ask, strict=True))
