"""
A calendar file: when nothing may be opened, nothing closed and nothing held, written by a person as rows of a table.

    kind,from,until,zone,symbols,what
    no-open,2026-12-04 14:28,14:32,Europe/Prague,XAUUSD EURUSD,US payrolls
    flat,Fri 16:45,Sun 18:00,America/New_York,*,the weekend
    end,2026-12-31 00:00,,Europe/Prague,,news are complete up to here

`from` is an instant, or comes again: `2026-12-04 14:28`, `Fri 16:45` each week, `16:45` each day. `until` is written
alike, or as a time alone, which is the next one on the clock. A file that names dates says with `end` how far they are
complete: from there on nothing is known, and what is not known is not proven. No clock is read: the caller gives the span.

A time that the clocks show twice begins a window at its first occurrence and ends one at its second.
"""

import csv
import difflib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from interlock.core.errors import InterlockError
from interlock.core.messages import BlackoutSet
from interlock.policy.calendar import (
    WEEKDAYS,
    CalendarInvalid,
    Interval,
    days_around,
    instant_ns,
    last_instant_ns,
    time_of,
    weekday_of,
    zone_of,
)

COLUMNS: Final = ("kind", "from", "until", "zone", "symbols", "what")
EVERY: Final = "*"
BYTES_MAX: Final = 1_000_000
TEXT_MAX: Final = 200
YEARS: Final = range(1970, 2200)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FOUND_MAX: Final = 60
_FROM: Final = "2026-12-04 14:28, Fri 16:45 or 16:45"


class Kind(StrEnum):
    """What a row says."""

    NO_OPEN = "no-open"
    NO_CLOSE = "no-close"
    FLAT = "flat"
    END = "end"


class Fault(NamedTuple):
    """One mistake in a calendar file; line 0 is the file as a whole, an empty column the whole line."""

    line: int
    column: str
    found: str
    expected: str

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else "the file"
        where = f"{place}, column {self.column}" if self.column else place
        return f"{where}: found {self.found}, expected {self.expected}"


class WindowsInvalid(InterlockError):
    """A calendar file cannot be used; `problems` is everything that is wrong with it, in the order of its lines."""

    def __init__(self, problems: tuple[Fault, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


class When(NamedTuple):
    """A time of day, on one date, on a weekday of each week, or with neither on each day."""

    at: time
    day: date | None = None
    weekday: int | None = None


class Row(NamedTuple):
    """One line that was understood; without symbols it is for all."""

    line: int
    kind: Kind
    begins: When
    ends: When
    zone: ZoneInfo
    symbols: tuple[str, ...]
    what: str

    def occurrences(self, start_ns: int, end_ns: int) -> Iterator[Interval]:
        """Each time that the row's window touches the span."""
        for day in days_around(self.zone, start_ns, end_ns) if self.begins.day is None else (self.begins.day,):
            if self.begins.weekday in (None, day.weekday()):
                window = _window(self.zone, day, self.begins, self.ends)
                if window[0] < window[1] and window[0] < end_ns and start_ns < window[1]:
                    yield window


@dataclass(frozen=True)
class Windows:
    """What a calendar file says. From `end_ns` on it says nothing; None where it names no dates."""

    rows: tuple[Row, ...]
    end_ns: int | None

    def of(self, symbol: str, start_ns: int, end_ns: int) -> BlackoutSet:
        """The symbol's windows that touch the span, known no further than the span or the file reaches."""
        known_ns = end_ns if self.end_ns is None else min(self.end_ns, end_ns)
        closing, opening, flat = (
            _united(
                window
                for row in self.rows
                if row.kind is kind and (not row.symbols or symbol in row.symbols)
                for window in row.occurrences(start_ns, end_ns)
            )
            for kind in (Kind.NO_CLOSE, Kind.NO_OPEN, Kind.FLAT)
        )
        return BlackoutSet(symbol, closing, opening, flat, known_ns)


def read_windows(path: Path, symbols: Collection[str] = ()) -> Windows:
    """
    What the calendar file says.

    Raises:
        WindowsInvalid: it cannot be used; every mistake in it is listed.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise WindowsInvalid((Fault(0, "", f"more than {BYTES_MAX} bytes", "at most so many"),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise WindowsInvalid((Fault(line, "", "bytes that are no UTF-8", "text in UTF-8"),)) from None
    return parse_windows(text, symbols)


def parse_windows(text: str, symbols: Collection[str] = ()) -> Windows:
    """
    What a calendar file with this text says; with `symbols`, rows name no others.

    Raises:
        WindowsInvalid: it cannot be used; every mistake in it is listed.
    """
    faults: list[Fault] = []
    rows: list[Row] = []
    ends: list[tuple[int, int]] = []
    lines = _cells(text, faults)
    header = next(lines, None)
    columns = _header(header, faults)
    for line, cells in lines if columns else ():
        if len(cells) != len(columns):
            faults.append(Fault(line, "", f"{len(cells)} cells", f"{len(columns)}, one for each column of the first line"))
            continue
        reading = _Reading(line, dict(zip(columns, cells, strict=True)), symbols, faults)
        if reading.kind is Kind.END:
            ends += [(line, end_ns) for end_ns in reading.end()]
        else:
            rows += reading.row()
    dated = next((row.line for row in rows if row.begins.day is not None), 0)
    if dated and not ends and not faults:
        faults.append(Fault(dated, "from", "a date, and no row of kind end", "one that says how far dates are complete"))
    faults += [Fault(line, "kind", "a second end", "one") for line, _ in ends[1:]]
    if faults:
        raise WindowsInvalid(tuple(sorted(faults, key=lambda fault: fault.line)))
    return Windows(tuple(rows), ends[0][1] if ends else None)


def _cells(text: str, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    """Each line that is neither empty nor a remark, with its number."""
    reader = csv.reader(text.splitlines(), strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped) and not stripped[0].startswith("#"):
                yield reader.line_num, stripped
    except csv.Error as error:
        faults.append(Fault(reader.line_num, "", f"a line that cannot be split ({error})", "cells between commas"))


def _header(header: tuple[int, list[str]] | None, faults: list[Fault]) -> list[str]:
    """The file's columns; none where its first line does not name them."""
    wanted = f"the columns {','.join(COLUMNS)}; what may be left out"
    if header is None:
        faults.append(Fault(0, "", "nothing", wanted))
        return []
    line, names = header
    lacking = [name for name in COLUMNS[:-1] if name not in names]
    if lacking or len(set(names)) < len(names) or set(names) - set(COLUMNS):
        faults.append(Fault(line, "", repr(",".join(names)[:_FOUND_MAX]), wanted))
        return []
    return names


class _Reading:
    """One line while it is read: what cannot be understood is a fault, and reading goes on."""

    def __init__(self, line: int, cells: dict[str, str], symbols: Collection[str], faults: list[Fault]) -> None:
        self._line = line
        self._cells = cells
        self._symbols = symbols
        self._faults = faults
        self.kind = self._kind()

    def row(self) -> Iterator[Row]:
        """The window; none where something is wrong with it."""
        before = len(self._faults)
        zone, symbols, what = self._zone(), self._named(), self._what()
        begins = self._when("from", _FROM)
        ends = self._when("until", "written as from is, or a time alone such as 14:32")
        if begins and ends and not _fit(begins, ends):
            self._fault("until", "the same form as from, or a time alone such as 14:32")
        if len(self._faults) > before or self.kind is None or not (zone and begins and ends):
            return
        if begins.day is not None:
            first_ns, last_ns = _window(zone, begins.day, begins, ends)
            if first_ns >= last_ns:
                self._fault("until", "later than from")
                return
        yield Row(self._line, self.kind, begins, ends, zone, symbols, what)

    def end(self) -> Iterator[int]:
        """The instant up to which dates are complete; none where something is wrong with it."""
        zone, begins = self._zone(), self._when("from", "a date and a time such as 2026-12-31 00:00")
        self._what()
        for column in ("until", "symbols"):
            if self._cells[column]:
                self._fault(column, "nothing: the end is one instant for all symbols")
        if begins is not None and begins.day is None:
            self._fault("from", "a date and a time such as 2026-12-31 00:00")
        elif zone and begins and begins.day:
            yield instant_ns(zone, begins.day, begins.at)

    def _fault(self, column: str, expected: str, found: str | None = None) -> None:
        text = self._cells[column] if found is None else found
        shown = repr(text[:_FOUND_MAX]) if text else "nothing"
        self._faults.append(Fault(self._line, column, shown, expected))

    def _kind(self) -> Kind | None:
        try:
            return Kind(self._cells["kind"])
        except ValueError:
            self._fault("kind", f"one of {', '.join(Kind)}")
            return None

    def _zone(self) -> ZoneInfo | None:
        try:
            return zone_of(self._cells["zone"])
        except CalendarInvalid:
            self._fault("zone", "an IANA name such as Europe/Prague or UTC")
            return None

    def _when(self, column: str, expected: str) -> When | None:
        try:
            return _when(self._cells[column])
        except ValueError:
            self._fault(column, expected)
            return None

    def _named(self) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(self._cells["symbols"].split()))
        if names == (EVERY,):
            return ()
        if not names or EVERY in names:
            self._fault("symbols", f"symbols with spaces between them, or {EVERY} alone for all")
        for name in names if self._symbols else ():
            if name not in self._symbols and name != EVERY:
                close = difflib.get_close_matches(name, self._symbols, 1) or sorted(self._symbols)
                self._fault("symbols", f"a symbol that is known, such as {close[0]}", name)
        return names

    def _what(self) -> str:
        what = self._cells.get("what", "")
        if len(what) > TEXT_MAX or not what.isprintable():
            self._fault("what", f"at most {TEXT_MAX} printable characters")
        return what


def _when(text: str) -> When:
    """
    A date and a time, a weekday and a time, or a time alone.

    Raises:
        ValueError: it is none of them.
    """
    first, _, last = text.rpartition(" ")
    try:
        at = time_of(last)
        if not first:
            return When(at)
        if _DATE.fullmatch(first):
            day = date.fromisoformat(first)
            if day.year not in YEARS:
                raise ValueError(first)
            return When(at, day=day)
        return When(at, weekday=weekday_of(first))
    except CalendarInvalid as error:
        raise ValueError from error


def _fit(begins: When, ends: When) -> bool:
    """Whether the end is written as the beginning is, or as a time alone."""
    alone = ends.day is None and ends.weekday is None
    return alone or ((begins.day is None) == (ends.day is None) and (begins.weekday is None) == (ends.weekday is None))


def _window(zone: ZoneInfo, day: date, begins: When, ends: When) -> Interval:
    """The window that begins on that day."""
    if ends.day is not None:
        last = ends.day
    elif ends.weekday is not None:
        last = day + timedelta(days=(ends.weekday - day.weekday()) % 7)
        if last == day and ends.at <= begins.at:
            last += timedelta(days=len(WEEKDAYS))
    else:
        last = day if ends.at > begins.at else day + timedelta(days=1)
    return instant_ns(zone, day, begins.at), last_instant_ns(zone, last, ends.at)


def _united(windows: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same instants as windows in order that neither touch nor overlap."""
    united: list[Interval] = []
    for begins, ends in sorted(windows):
        if united and begins <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], ends)
        else:
            united.append((begins, ends))
    return tuple(united)
