from datetime import UTC, date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.codes import CalendarKind
from interlock.core.instrument import Instrument
from interlock.policy.calendar import HORIZON_NS, CalendarInvalid, day_calendar, instant_ns, sessions, week_calendar

NS = 10**9
HOUR = 3600 * NS


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def text(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS, UTC).strftime("%Y-%m-%d %H:%M")


YEAR = (ns("2026-01-01"), ns("2027-02-20"))

BOUNDARIES = [
    ("Europe/Prague", "00:00", ["01-14 23:00", "03-09 23:00", "03-29 22:00", "10-27 23:00", "11-01 23:00"]),
    ("America/New_York", "17:00", ["01-14 22:00", "03-09 21:00", "03-29 21:00", "10-27 21:00", "11-01 22:00"]),
    ("Etc/GMT-3", "00:00", ["01-14 21:00", "03-09 21:00", "03-29 21:00", "10-27 21:00", "11-01 21:00"]),
    ("America/Chicago", "17:00", ["01-14 23:00", "03-09 22:00", "03-29 22:00", "10-27 22:00", "11-01 23:00"]),
    ("America/New_York", "18:00", ["01-14 23:00", "03-09 22:00", "03-29 22:00", "10-27 22:00", "11-01 23:00"]),
]


@pytest.mark.parametrize(("zone", "clock", "expected"), BOUNDARIES)
def test_boundary_clocks_of_the_firms(zone: str, clock: str, expected: list[str]) -> None:
    days = {text(at) for at in day_calendar("firm", zone, clock, *YEAR, CalendarKind.FIRM).instants_ns}
    for boundary in expected:
        assert f"2026-{boundary}" in days
        assert sum(day.startswith(f"2026-{boundary[:5]}") for day in days) == 1


def test_a_calendar_reaches_its_horizon() -> None:
    starts = day_calendar("day", "Europe/Prague", "00:00", YEAR[0], YEAR[0] + HORIZON_NS).instants_ns
    assert len(starts) == 400
    assert starts[-1] >= YEAR[0] + 399 * 24 * HOUR


def test_prague_has_a_day_of_23_and_one_of_25_hours() -> None:
    starts = day_calendar("day", "Europe/Prague", "00:00", *YEAR).instants_ns
    odd = [(text(a), (b - a) // HOUR) for a, b in pairwise(starts) if b - a != 24 * HOUR]
    assert odd == [("2026-03-28 23:00", 23), ("2026-10-24 22:00", 25)]
    assert len(starts) == 415


def test_prague_and_new_york_are_an_hour_closer_when_only_one_has_changed() -> None:
    prague = day_calendar("day", "Europe/Prague", "00:00", *YEAR).instants_ns
    server = day_calendar("day", "America/New_York", "17:00", *YEAR).instants_ns
    gaps = {text(a)[:10]: (a - b) // HOUR for a, b in zip(prague, server, strict=True)}
    apart = [day for day, gap in gaps.items() if gap == 2]
    assert set(gaps.values()) == {1, 2}
    assert apart == [day for day in gaps if "2026-03-08" <= day <= "2026-03-28" or "2026-10-25" <= day <= "2026-10-31"]


def test_weeks_begin_on_their_weekday_across_clock_changes() -> None:
    weeks = week_calendar("week", "America/New_York", "17:00", "Sun", ns("2026-03-01"), ns("2026-03-23"))
    assert [text(at) for at in weeks.instants_ns] == [
        "2026-03-01 22:00",
        "2026-03-08 21:00",
        "2026-03-15 21:00",
        "2026-03-22 21:00",
    ]
    assert weeks.kind is CalendarKind.WEEK


def test_the_span_includes_its_start_and_not_its_end() -> None:
    one = day_calendar("day", "UTC", "00:00", ns("2026-05-01"), ns("2026-05-02"))
    assert [text(at) for at in one.instants_ns] == ["2026-05-01 00:00"]
    assert one.name == "day"


@pytest.mark.parametrize(
    ("zone", "day", "clock", "expected"),
    [
        ("Europe/Prague", date(2026, 3, 29), time(2, 30), "2026-03-29 01:00"),
        ("Europe/Prague", date(2026, 3, 29), time(2, 0), "2026-03-29 01:00"),
        ("Europe/Prague", date(2026, 3, 29), time(3, 0), "2026-03-29 01:00"),
        ("Europe/Prague", date(2026, 3, 29), time(1, 59), "2026-03-29 00:59"),
        ("Europe/Prague", date(2026, 10, 25), time(2, 30), "2026-10-25 00:30"),
        ("America/Santiago", date(2026, 9, 6), time(0, 0), "2026-09-06 04:00"),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-03 15:30"),
    ],
)
def test_skipped_times_are_the_jump_and_repeated_ones_the_first(zone: str, day: date, clock: time, expected: str) -> None:
    assert text(instant_ns(ZoneInfo(zone), day, clock)) == expected


def test_a_day_that_a_zone_skips_begins_once() -> None:
    starts = day_calendar("day", "Pacific/Apia", "00:00", ns("2011-12-28"), ns("2012-01-02")).instants_ns
    assert [text(at) for at in starts] == [
        "2011-12-28 10:00", "2011-12-29 10:00", "2011-12-30 10:00", "2011-12-31 10:00", "2012-01-01 10:00",
    ]  # fmt: skip


def test_sessions_of_a_trading_week() -> None:
    week = sessions("Sun 17:00 - Fri 17:00 America/New_York", ns("2026-03-02"), ns("2026-03-16"))
    assert [(text(a), text(b)) for a, b in week] == [
        ("2026-03-02 00:00", "2026-03-06 22:00"),
        ("2026-03-08 21:00", "2026-03-13 21:00"),
        ("2026-03-15 21:00", "2026-03-16 00:00"),
    ]


def test_sessions_with_a_daily_break() -> None:
    week = sessions("Sun 18:00 - Fri 17:00 America/New_York, break 17:00 - 18:00", ns("2026-06-07"), ns("2026-06-14"))
    assert [(text(a)[5:], text(b)[5:]) for a, b in week] == [
        ("06-07 22:00", "06-08 21:00"),
        ("06-08 22:00", "06-09 21:00"),
        ("06-09 22:00", "06-10 21:00"),
        ("06-10 22:00", "06-11 21:00"),
        ("06-11 22:00", "06-12 21:00"),
    ]


def test_a_break_at_the_edges_of_a_week_leaves_no_empty_session() -> None:
    week = sessions("Mon 09:00 - Mon 17:00 UTC, break 09:00 - 10:00", ns("2026-06-08"), ns("2026-06-15"))
    assert [(text(a), text(b)) for a, b in week] == [("2026-06-08 10:00", "2026-06-08 17:00")]
    week = sessions("Mon 09:00 - Mon 17:00 UTC, break 16:00 - 17:00", ns("2026-06-08"), ns("2026-06-15"))
    assert [(text(a), text(b)) for a, b in week] == [("2026-06-08 09:00", "2026-06-08 16:00")]


def test_a_week_may_last_seven_days() -> None:
    week = sessions("Sun 17:00 - Sun 16:00 UTC", ns("2026-06-07"), ns("2026-06-22"))
    assert [text(a) for a, _ in week] == [
        "2026-06-07 00:00",
        "2026-06-07 17:00",
        "2026-06-14 17:00",
        "2026-06-21 17:00",
    ]


def test_always_open_has_no_intervals() -> None:
    assert sessions("always", *YEAR) == ()


@given(
    st.sampled_from(["America/New_York", "Europe/Prague", "Asia/Tokyo", "Australia/Lord_Howe", "UTC"]),
    st.sampled_from(
        ["Sun 17:00 - Fri 17:00 {}", "Sun 18:00 - Fri 16:00 {}, break 02:00 - 03:00", "Mon 00:00 - Sat 00:00 {}"]
    ),
    st.integers(ns("2020-01-01"), ns("2030-01-01")),
    st.integers(8, 60),
)
def test_sessions_always_make_a_sound_instrument(zone: str, week: str, start_ns: int, days: int) -> None:
    end_ns = start_ns + days * 24 * HOUR
    intervals = sessions(week.format(zone), start_ns, end_ns)
    assert Instrument("X", "v", "USD", 1.0, 1.0, 0.0, sessions=intervals).problems() == ()
    assert start_ns <= intervals[0][0]
    assert intervals[-1][1] <= end_ns


@given(st.sampled_from(["Europe/Prague", "America/Sao_Paulo", "Asia/Tehran", "Pacific/Apia"]), st.integers(0, 23 * 60 + 59))
def test_each_day_begins_once_and_lasts_about_a_day(zone: str, minute: int) -> None:
    clock = f"{minute // 60:02}:{minute % 60:02}"
    starts = day_calendar("day", zone, clock, ns("2015-01-01"), ns("2017-01-01")).instants_ns
    assert all(22 * HOUR < b - a < 26 * HOUR for a, b in pairwise(starts))


@pytest.mark.parametrize(
    ("zone", "clock", "remedy"),
    [
        ("Europe/Pragu", "00:00", "unknown zone"),
        ("../etc", "00:00", "unknown zone"),
        ("Europe", "00:00", "unknown zone"),
        ("", "00:00", "unknown zone"),
        ("UTC+3", "00:00", "Etc/GMT-3"),
        ("UTC", "24:00", "unknown time"),
        ("UTC", "9:00", "unknown time"),
        ("UTC", "09:60", "unknown time"),
    ],
)
def test_unusable_zones_and_times_are_refused(zone: str, clock: str, remedy: str) -> None:
    with pytest.raises(CalendarInvalid, match=remedy):
        day_calendar("day", zone, clock, *YEAR)


def test_an_unknown_weekday_is_refused() -> None:
    with pytest.raises(CalendarInvalid, match="unknown weekday"):
        week_calendar("week", "UTC", "00:00", "Sunday", *YEAR)


@pytest.mark.parametrize("span", [(5, 5), (5, 4)])
def test_an_empty_span_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(CalendarInvalid, match="empty"):
        day_calendar("day", "UTC", "00:00", *span)
    with pytest.raises(CalendarInvalid, match="empty"):
        sessions("always", *span)


@pytest.mark.parametrize("span", [(0, 2**63), (-(2**63) - 1, 0), (0, 2**80)])
def test_a_span_beyond_the_calendar_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(CalendarInvalid, match="nanoseconds"):
        day_calendar("day", "UTC", "00:00", *span)


@pytest.mark.parametrize(
    ("description", "remedy"),
    [
        ("", "cannot be read"),
        ("Sun 17:00 - Fri 17:00", "cannot be read"),
        ("Sun 17:00 to Fri 17:00 UTC", "cannot be read"),
        ("Sun 17:00 - Fri 17:00 UTC, break 18:00 - 17:00", "break must end later"),
        ("Son 17:00 - Fri 17:00 UTC", "unknown weekday"),
        ("Sun 17:00 - Fri 27:00 UTC", "unknown time"),
        ("Sun 17:00 - Fri 17:00 Mars/Base", "unknown zone"),
    ],
)
def test_unreadable_sessions_are_refused(description: str, remedy: str) -> None:
    with pytest.raises(CalendarInvalid, match=remedy):
        sessions(description, *YEAR)


def test_sessions_that_are_never_open_are_refused_and_not_taken_for_always() -> None:
    with pytest.raises(CalendarInvalid, match="never open"):
        sessions("Mon 09:00 - Mon 17:00 UTC", ns("2026-06-09"), ns("2026-06-10"))
