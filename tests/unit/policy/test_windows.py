"""A calendar file is read whole or refused whole, with every mistake: which line, which column, what was expected."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.constants import NS_PER_S
from interlock.policy.windows import BYTES_MAX, Windows, WindowsInvalid, parse_windows, read_windows

HEAD = "kind,from,until,zone,symbols,what\n"
START = datetime(2026, 10, 1, tzinfo=UTC)
Span = tuple[int, int]


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S


def windows(*rows: str) -> Windows:
    return parse_windows(HEAD + "\n".join(rows))


def within(found: Windows, symbol: str = "XAUUSD", start: str = "2026-10-01", end: str = "2026-12-31") -> list[list[str]]:
    """The symbol's windows in UTC: no closing, no opening, flat."""
    told = found.of(symbol, ns(start), ns(end))
    kinds = (told.intervals, told.opening, told.flat)
    return [[f"{utc(begins)}/{utc(ends)}" for begins, ends in kind] for kind in kinds]


def utc(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / NS_PER_S, UTC):%m-%d %H:%M}"


def problems(text: str, symbols: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(WindowsInvalid) as caught:
        parse_windows(text, symbols)
    assert str(caught.value) == "; ".join(map(str, caught.value.problems))
    return [str(each) for each in caught.value.problems]


# ---------------------------------------------------------------- what it says


def test_a_date_is_one_window_on_the_clock_of_its_zone() -> None:
    found = windows(
        "no-open,2026-12-04 14:28,14:32,Europe/Prague,XAUUSD EURUSD,US payrolls",
        "end,2026-12-31 00:00,,Europe/Prague,,",
    )
    assert within(found) == [[], ["12-04 13:28/12-04 13:32"], []]
    assert within(found, "EURUSD") == within(found)
    assert within(found, "BTCUSD") == [[], [], []]
    assert found.of("XAUUSD", ns("2026-10-01"), ns("2027-10-01")).until_ns == ns("2026-12-30T23:00")


def test_each_kind_is_told_apart() -> None:
    found = windows("no-open,10:00,11:00,UTC,*,", "no-close,12:00,13:00,UTC,*,", "flat,14:00,15:00,UTC,*,")
    assert within(found, end="2026-10-02") == [["10-01 12:00/10-01 13:00"], ["10-01 10:00/10-01 11:00"],
                                               ["10-01 14:00/10-01 15:00"]]  # fmt: skip


def test_a_weekday_comes_again_each_week_and_keeps_its_clock_when_the_clocks_change() -> None:
    found = windows("flat,Fri 16:45,Sun 18:00,America/New_York,*,the weekend")
    assert within(found, start="2026-10-22", end="2026-11-14")[2] == [
        "10-23 20:45/10-25 22:00",
        "10-30 20:45/11-01 23:00",  # the clocks go back within it
        "11-06 21:45/11-08 23:00",
        "11-13 21:45/11-15 23:00",  # it only begins in the span
    ]


def test_a_time_alone_comes_again_each_day_and_may_end_on_the_next() -> None:
    found = windows("flat,23:50,00:10,UTC,*,the day's end")
    assert within(found, start="2026-10-01", end="2026-10-02")[2] == ["09-30 23:50/10-01 00:10", "10-01 23:50/10-02 00:10"]


def test_the_same_weekday_before_its_time_is_a_week_later() -> None:
    assert within(windows("flat,Fri 16:00,Fri 15:00,UTC,*,"), start="2026-10-10", end="2026-10-16")[2] == [
        "10-09 16:00/10-16 15:00"
    ]


def test_a_time_that_the_clocks_show_twice_begins_at_the_first_and_ends_at_the_second() -> None:
    found = windows("no-open,02:30,02:45,Europe/Prague,*,")
    assert within(found, start="2026-10-25", end="2026-10-26")[1][0] == "10-25 00:30/10-25 01:45"


def test_a_time_that_the_clocks_skip_stands_for_the_instant_of_the_jump() -> None:
    found = windows("no-open,01:30,02:30,Europe/Prague,*,", "flat,02:10,02:20,Europe/Prague,*,")
    told = within(found, start="2027-03-28", end="2027-03-29")
    assert told[1][0] == "03-28 00:30/03-28 01:00"
    assert told[2] == []  # nothing is left of it


def test_what_touches_or_overlaps_is_one_window() -> None:
    found = windows("no-open,10:00,11:00,UTC,*,", "no-open,11:00,12:00,UTC,XAUUSD,", "no-open,10:30,10:40,UTC,*,")
    assert within(found, end="2026-10-02")[1] == ["10-01 10:00/10-01 12:00"]


def test_a_file_without_dates_is_known_as_far_as_anybody_asks() -> None:
    assert windows("flat,Fri 16:45,Sun 18:00,UTC,*,").of("A", 0, 99).until_ns == 99
    assert windows().of("A", 0, 99).until_ns == 99


def test_columns_stand_in_any_order_and_remarks_are_left_out() -> None:
    text = "\ufeff# mine\nsymbols, zone, kind, until, from\n\n*, UTC, no-open, 11:00, 10:00\n"
    assert within(parse_windows(text.lstrip("\ufeff")), end="2026-10-02")[1] == ["10-01 10:00/10-01 11:00"]


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 3_000), st.sampled_from(("A", "B", "A B", "*"))), max_size=8),
    st.integers(-1_000, 45_000),
)
def test_an_instant_is_in_a_window_exactly_where_a_row_says_so(rows: list[tuple[int, int, str]], minute: int) -> None:
    def shown(minutes: int) -> str:
        return f"{START + timedelta(minutes=minutes):%Y-%m-%d %H:%M}"

    lines = [f"flat,{shown(begins)},{shown(begins + length)},UTC,{symbols}," for begins, length, symbols in rows]
    found = windows(*lines, "end,2027-12-31 00:00,,UTC,,")
    start_ns = int(START.timestamp()) * NS_PER_S
    at_ns = start_ns + minute * 60 * NS_PER_S
    told = found.of("A", start_ns - 86_400 * NS_PER_S, start_ns + 60 * 86_400 * NS_PER_S).flat
    expected = any(begins <= minute < begins + length and symbols != "B" for begins, length, symbols in rows)
    assert any(begins <= at_ns < ends for begins, ends in told) is expected
    edges = [edge for window in told for edge in window]
    assert edges == sorted(set(edges))


# ---------------------------------------------------------------- what is wrong with it


def test_every_mistake_is_told_at_once_with_its_line_and_column() -> None:
    text = (
        HEAD
        + "no-opening,2026-12-04 14:28,14:32,Europe/Prague,XAUUSD,\n"
        + "no-open,2026-12-04 25:28,14:32,Europe/Praha,XAUUSD,\n"
        + "flat,Fri 16:45,2026-12-04 14:00,UTC,XAUUSD,\n"
        + "flat,Fri 16:45,Sun 18:00,UTC\n"
        + "no-close,2026-12-04 14:28,2026-12-04 14:28,UTC,* XAUUSD,\n"
        + "no-open,Fry 10:00,11:00,UTC,XAGUSD,\n"
    )
    assert problems(text, ("XAUUSD", "EURUSD")) == [
        "line 2, column kind: found 'no-opening', expected one of no-open, no-close, flat, end",
        "line 3, column zone: found 'Europe/Praha', expected an IANA name such as Europe/Prague or UTC",
        "line 3, column from: found '2026-12-04 25:28', expected 2026-12-04 14:28, Fri 16:45 or 16:45",
        "line 4, column until: found '2026-12-04 14:00', expected the same form as from, or a time alone such as 14:32",
        "line 5: found 4 cells, expected 6, one for each column of the first line",
        "line 6, column symbols: found '* XAUUSD', expected symbols with spaces between them, or * alone for all",
        "line 7, column symbols: found 'XAGUSD', expected a symbol that is known, such as XAUUSD",
        "line 7, column from: found 'Fry 10:00', expected 2026-12-04 14:28, Fri 16:45 or 16:45",
    ]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            "no-open,2026-12-04 14:28,2026-12-04 14:28,UTC,*,",
            "line 2, column until: found '2026-12-04 14:28', expected later",
        ),
        (
            "no-open,2026-12-04 14:28,14:32,UTC,*,",
            "line 2, column from: found a date, and no row of kind end, expected one",
        ),
        ("no-open,2026-02-30 14:28,14:32,UTC,*,", "line 2, column from: found '2026-02-30 14:28', expected 2026-12-04"),
        ("no-open,9999-12-31 14:28,14:32,UTC,*,", "line 2, column from: found '9999-12-31 14:28', expected 2026-12-04"),
        ("no-open,,14:32,UTC,*,", "line 2, column from: found nothing, expected 2026-12-04 14:28, Fri 16:45 or 16:45"),
        ("no-open,10:00,14:32,UTC,,", "line 2, column symbols: found nothing, expected symbols with spaces between them"),
        (f"no-open,10:00,14:32,UTC,*,{'x' * 201}", "line 2, column what: found "),
        ("end,Fri 10:00,,UTC,,", "line 2, column from: found 'Fri 10:00', expected a date and a time such as"),
        ("end,tomorrow,,UTC,,", "line 2, column from: found 'tomorrow', expected a date and a time such as"),
        (
            "end,2026-12-31 00:00,10:00,UTC,,",
            "line 2, column until: found '10:00', expected nothing: the end is one instant",
        ),
        (
            "end,2026-12-31 00:00,,UTC,,\nend,2026-12-30 00:00,,UTC,,",
            "line 3, column kind: found a second end, expected one",
        ),
        ('flat,10:00,11:00,UTC,*,"the', "line 2: found a line that cannot be split"),
    ],
)
def test_a_mistake_is_told(rows: str, told: str) -> None:
    (problem,) = problems(HEAD + rows)
    assert problem.startswith(told)


@pytest.mark.parametrize("text", ["", "# nothing\n", "from,until\n10:00,11:00\n", HEAD.replace("what", "kind"), "a;b\n"])
def test_a_file_without_its_columns_is_refused(text: str) -> None:
    (problem,) = problems(text)
    assert problem.endswith("expected the columns kind,from,until,zone,symbols,what; what may be left out")


def test_a_file_that_is_no_text_says_where(tmp_path: Path) -> None:
    path = tmp_path / "calendar.csv"
    path.write_bytes(HEAD.encode() + b"flat,10:00,11:00,UTC,*,caf\xe9\n")
    with pytest.raises(WindowsInvalid, match="line 2: found bytes that are no UTF-8, expected text in UTF-8"):
        read_windows(path)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "calendar.csv"
    path.write_text(HEAD + "#" * BYTES_MAX)
    with pytest.raises(WindowsInvalid, match="more than 1000000 bytes"):
        read_windows(path)
    path.write_text("\ufeff" + HEAD)
    assert read_windows(path).rows == ()
