"""
Wall clocks into instants: when risk days and weeks begin, and when a venue's sessions are open.

Zones are IANA names, so days of 23 and 25 hours come out right. No clock is read: the caller gives the span.

Two wall-clock times need a decision. One that the clocks skip stands for the instant at which they jump; one that they
show twice stands for its first occurrence. So a day always begins once, and never later than the wall clock says.
Holidays are not known here; a venue that closes for one is seen as closed by its missing quotes.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from interlock.core.codes import CalendarKind
from interlock.core.constants import NS_PER_S
from interlock.core.errors import InterlockError
from interlock.core.messages import CalendarSet

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

HORIZON_NS: Final = 400 * 86_400 * NS_PER_S
"""A live account's calendars reach at least this far ahead."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_INSTANT_MAX_NS: Final = 2**63 - 1
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_SESSIONS: Final = re.compile(
    r"(?P<open_day>\w{3}) (?P<open>\d\d:\d\d) - (?P<close_day>\w{3}) (?P<close>\d\d:\d\d) (?P<zone>\S+?)"
    r"(?:, break (?P<break_from>\d\d:\d\d) - (?P<break_to>\d\d:\d\d))?"
)

Interval = tuple[int, int]


class CalendarInvalid(InterlockError):
    """A calendar's zone, time, weekday, span or description cannot be used; the message says what to write."""


def day_calendar(
    name: str, zone: str, clock: str, start_ns: int, end_ns: int, kind: CalendarKind = CalendarKind.DAY
) -> CalendarSet:
    """
    Every instant in [start_ns, end_ns) at which a day of the zone begins: when its clock shows the time.

    Raises:
        CalendarInvalid: the zone or time is unknown, or the span is empty.
    """
    where, at = zone_of(zone), time_of(clock)
    starts = (instant_ns(where, day, at) for day in days_around(where, start_ns, end_ns))
    return CalendarSet(name, kind, _within(starts, start_ns, end_ns))


def week_calendar(name: str, zone: str, clock: str, weekday: str, start_ns: int, end_ns: int) -> CalendarSet:
    """
    Every instant in [start_ns, end_ns) at which a week of the zone begins: at that time on that weekday ("Mon").

    Raises:
        CalendarInvalid: the zone, time or weekday is unknown, or the span is empty.
    """
    where, at, first = zone_of(zone), time_of(clock), weekday_of(weekday)
    starts = (instant_ns(where, day, at) for day in days_around(where, start_ns, end_ns) if day.weekday() == first)
    return CalendarSet(name, CalendarKind.WEEK, _within(starts, start_ns, end_ns))


def sessions(description: str, start_ns: int, end_ns: int) -> tuple[Interval, ...]:
    """
    The UTC intervals within [start_ns, end_ns) in which trading is open, in order; empty for "always".

    The description names a week and optionally a daily break, both on the zone's clock:
    "Sun 17:00 - Fri 17:00 America/New_York, break 17:00 - 18:00".

    Raises:
        CalendarInvalid: it cannot be read, or nothing is open in the span.
    """
    if description == "always":
        days_around(ZoneInfo("UTC"), start_ns, end_ns)
        return ()
    week = _week(description)
    days = days_around(week.zone, start_ns, end_ns)
    pauses = tuple(_pauses(week, days))
    pieces = (piece for whole in _weeks(week, days) for piece in _without(whole, pauses))
    clipped = ((max(opens, start_ns), min(closes, end_ns)) for opens, closes in pieces)
    found = tuple((opens, closes) for opens, closes in clipped if opens < closes)
    if not found:
        raise CalendarInvalid(f"{description!r} is never open in the span: give a longer span")
    return found


def instant_ns(zone: ZoneInfo, day: date, at: time) -> int:
    """The instant at which the zone's clock shows that time on that day; see above for skipped and repeated times."""
    first, second = _both_s(zone, day, at)
    return (first if first <= second else _jump_s(zone, second, first)) * NS_PER_S


def last_instant_ns(zone: ZoneInfo, day: date, at: time) -> int:
    """As `instant_ns`, but the second occurrence of a time that the clock shows twice."""
    first, second = _both_s(zone, day, at)
    return second * NS_PER_S if first <= second else instant_ns(zone, day, at)


def _both_s(zone: ZoneInfo, day: date, at: time) -> tuple[int, int]:
    """The first and the second occurrence of the time, the same where there is one; in reverse where it is skipped."""
    first, second = (_utc_s(datetime.combine(day, at, zone).replace(fold=fold)) for fold in (0, 1))
    return first, second


def _within(instants: Iterable[int], start_ns: int, end_ns: int) -> tuple[int, ...]:
    """Each instant of the span once: where clocks skip a whole day, two days begin at the same one."""
    return tuple(sorted({instant for instant in instants if start_ns <= instant < end_ns}))


def _jump_s(zone: ZoneInfo, low: int, high: int) -> int:
    """The second in (low, high] at which the zone's offset from UTC changes."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: ZoneInfo, at_s: int) -> timedelta | None:
    return (_EPOCH + timedelta(seconds=at_s)).astimezone(zone).utcoffset()


def _utc_s(moment: datetime) -> int:
    since = moment.astimezone(UTC) - _EPOCH
    return since.days * 86_400 + since.seconds


def days_around(zone: ZoneInfo, start_ns: int, end_ns: int) -> list[date]:
    """
    The zone's dates from a week before the span to a week after it.

    Raises:
        CalendarInvalid: the span is empty, or out of range.
    """
    if start_ns >= end_ns:
        raise CalendarInvalid("the span is empty: its end must be later than its start")
    if start_ns < -_INSTANT_MAX_NS or end_ns > _INSTANT_MAX_NS:
        raise CalendarInvalid("the span leaves the years 1678 to 2261: give instants in nanoseconds since 1970")
    first, last = ((_EPOCH + timedelta(seconds=at // NS_PER_S)).astimezone(zone) for at in (start_ns, end_ns))
    begin = (first - _WEEK).date()
    count = (last + _WEEK).date() - begin
    return [begin + timedelta(days=i) for i in range(count.days + 1)]


class _Week(NamedTuple):
    zone: ZoneInfo
    open_day: int
    opens: time
    close_day: int
    closes: time
    pause: tuple[time, time] | None


def _week(description: str) -> _Week:
    match = _SESSIONS.fullmatch(description)
    if match is None:
        raise CalendarInvalid(
            f'sessions {description!r} cannot be read: write "always" or '
            '"Sun 17:00 - Fri 17:00 America/New_York", and ", break 17:00 - 18:00" where there is one every day'
        )
    pause = (time_of(match["break_from"]), time_of(match["break_to"])) if match["break_from"] else None
    if pause and pause[0] >= pause[1]:
        raise CalendarInvalid(f"sessions {description!r}: the break must end later on the day on which it begins")
    opens, closes = time_of(match["open"]), time_of(match["close"])
    return _Week(
        zone_of(match["zone"]), weekday_of(match["open_day"]), opens, weekday_of(match["close_day"]), closes, pause
    )


def _weeks(week: _Week, days: list[date]) -> Iterator[Interval]:
    length = (week.close_day - week.open_day) % 7
    if length == 0 and week.closes <= week.opens:
        length = 7
    for day in days:
        if day.weekday() == week.open_day:
            closes = instant_ns(week.zone, day + timedelta(days=length), week.closes)
            yield instant_ns(week.zone, day, week.opens), closes


def _pauses(week: _Week, days: list[date]) -> Iterator[Interval]:
    if week.pause:
        for day in days:
            yield instant_ns(week.zone, day, week.pause[0]), instant_ns(week.zone, day, week.pause[1])


def _without(whole: Interval, pauses: tuple[Interval, ...]) -> Iterator[Interval]:
    """What is left of an interval when the pauses, in order, are cut out."""
    opens, closes = whole
    for begin, end in pauses:
        if begin < closes and end > opens:
            if opens < begin:
                yield opens, begin
            opens = end
    if opens < closes:
        yield opens, closes


def zone_of(name: str) -> ZoneInfo:
    """
    The zone of that IANA name.

    Raises:
        CalendarInvalid: there is none.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise CalendarInvalid(
            f"unknown zone {name!r}: write an IANA name such as Europe/Prague, "
            "or Etc/GMT-3 for a clock that is always three hours ahead of UTC"
        ) from error


def time_of(text: str) -> time:
    """
    The time that is written as hours and minutes.

    Raises:
        CalendarInvalid: it is none.
    """
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise CalendarInvalid(f"unknown time {text!r}: write hours and minutes such as 17:00")
    return time(int(match[1]), int(match[2]))


def weekday_of(name: str) -> int:
    """
    The number of the weekday, Monday 0.

    Raises:
        CalendarInvalid: it is none.
    """
    if name not in WEEKDAYS:
        raise CalendarInvalid(f"unknown weekday {name!r}: write one of {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(name)
