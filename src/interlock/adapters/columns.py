"""
A table in a text file whose author nobody asked: which character separates, which column means what, how numbers and
instants are written.

Everything is detected from the file and told, nothing is guessed where two readings are possible: such a file is refused
with the two readings. A number or an instant is either read exactly or reported.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from zlib import error as zlib_error
from zoneinfo import ZoneInfo

from interlock.adapters.problems import UNREADABLE_EXPECTED, Problems, opened
from interlock.core.constants import NS_PER_S

SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLE_LINES: Final = 50
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
TS_NS_MAX: Final = 2**63 - 1
DIGITS_MAX: Final = 18
"""Digits on either side of the point; more is no price, quantity or amount of money."""

INSTANT_EXPECTED: Final = (
    "an instant such as 2024-03-01T13:00:00Z, 2024-03-01 13:00:00 or 2024.03.01 13:00:00 (in --zone), or epoch seconds "
    "or milliseconds"
)
EPOCH_SCALES: Final = {10: 10**9, 13: 10**6, 16: 10**3, 19: 1}
"""Nanoseconds in one unit of an epoch, by its digits: seconds, milliseconds, microseconds, nanoseconds."""

UNSURE: Final = "?"

_PLAIN: Final = re.compile(r"[+-]?\d*\.?\d*(?:[eE][+-]?\d{1,2})?", re.ASCII)
_GROUPS: Final = re.compile(r"(?<=\d)[ '\u00a0\u202f](?=\d{3}(?!\d))")
_COMPACT: Final = re.compile(r"(\d{9,19})(\.\d+)?", re.ASCII)
_DATE: Final = re.compile(r"(\d{4})[./](\d{2})[./](\d{2})", re.ASCII)
_CLOCK: Final = re.compile(r"[T ]\d\d:\d\d", re.ASCII)


def normal(name: str) -> str:
    """A column's name without case, units' brackets and punctuation: what is left to recognise it by."""
    return " ".join(re.findall(r"[^\W_]+", re.sub(r"\([^)]*\)", " ", name.lower())))


def instant_ns(text: str, zone: ZoneInfo) -> int:
    """
    Nanoseconds since 1970, UTC, of an instant as exporters write it; the zone is for those that name none.

    Raises:
        ValueError: its text says what was expected.
    """
    compact = _COMPACT.fullmatch(text)
    if compact is not None:
        digits = len(compact[1])
        scale = next(scale for length, scale in EPOCH_SCALES.items() if digits <= length + 1 or scale == 1)
        return _storable(int(Decimal(text) * scale))
    text = _DATE.sub(r"\1-\2-\3", text, count=1)
    if text.endswith(" UTC"):
        text = text.removesuffix(" UTC") + "+00:00"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(INSTANT_EXPECTED) from None
    if _CLOCK.search(text) is None:
        raise ValueError("a date with the time of day")
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=zone)
    return _storable((instant - EPOCH) // MICROSECOND * 1000)


def _storable(ts_ns: int) -> int:
    if not 0 <= ts_ns <= TS_NS_MAX:
        raise ValueError("an instant between 1970 and 2262")
    return ts_ns


def instant_text(ts_ns: int) -> str:
    """The instant in UTC, to the second."""
    return f"{EPOCH + timedelta(seconds=ts_ns // NS_PER_S):%Y-%m-%d %H:%M:%S} UTC"


class Numbers:
    """How the file writes numbers: which of point and comma is the decimal mark, the other then groups digits."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self._group = "," if mark == "." else "."

    @property
    def name(self) -> str:
        """The mark as a word."""
        return "point" if self.mark == "." else "comma"

    def read(self, cell: str) -> Decimal | None:
        """The number in a cell, exactly; None where there is none."""
        text = _GROUPS.sub("", cell)
        if self._group in text:
            whole, mark, rest = text.partition(self.mark)
            first, *groups = whole.split(self._group)
            if any(len(group) != 3 for group in groups) or not first or self._group in rest:
                return None
            text = "".join((first, *groups)) + mark + rest
        text = text.replace(self.mark, ".")
        if not _PLAIN.fullmatch(text) or not any(map(str.isdigit, text)):
            return None
        number = Decimal(text)
        exponent = number.as_tuple().exponent
        fits = isinstance(exponent, int) and exponent >= -DIGITS_MAX and abs(number) < 10**DIGITS_MAX
        return number.normalize() if fits else None


def decimal_mark(cells: Sequence[str]) -> str:
    """
    The decimal mark that all the cells agree on: "." or ","; "" where they leave both open.

    A mark is a decimal mark where it comes last of two kinds or is not followed by exactly three digits; it groups
    digits where it comes more than once. A point that could be either is a decimal mark unless a comma proves to be.
    """
    seen = {_mark_of(cell) for cell in cells}
    if "," in seen and "." not in seen:
        return ","
    return "" if "," + UNSURE in seen and "." not in seen else "."


def _mark_of(cell: str) -> str:
    """What the cell says: "." or ",", with `UNSURE` where its one mark may group digits, "" where it has neither."""
    point, comma = cell.rfind("."), cell.rfind(",")
    if point >= 0 and comma >= 0:
        return "." if point > comma else ","
    place = max(point, comma)
    if place < 0:
        return ""
    mark, other = (".", ",") if point >= 0 else (",", ".")
    if cell.count(mark) > 1:
        return other
    before, after = cell[:place].lstrip("+-"), cell[place + 1 :]
    grouping = len(after) == 3 and 1 <= len(before) <= 3 and before != "0"
    return mark + UNSURE if grouping else mark


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column may mean: its key in ``--map``, what it holds, and the names that exporters give it, best first."""

    key: str
    holds: str
    names: tuple[str, ...]
    is_number: bool = False


class Grid:
    """The file's rows as text, with the columns that mean something; its problems are gathered in ``problems``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems = Problems()
        self.separator = ","
        self.header: list[str] = []
        self.rows: list[list[str]] = []
        self.lines: list[int] = []
        self.places: dict[str, int] = {}
        try:
            self._read()
        except (OSError, EOFError, zlib_error, UnicodeDecodeError, csv.Error) as error:
            self.problems.report(0, "", f"a file that cannot be read ({error})", UNREADABLE_EXPECTED)

    def _read(self) -> None:
        with opened(self.path) as text:
            first = text.readline()
            self.separator = max(SEPARATORS, key=first.count)
            text.seek(0)
            rows = csv.reader(text, delimiter=self.separator, strict=True)
            self.header = [name.strip() for name in next(rows, [])]
            for row in rows:
                if len(row) == len(self.header):
                    self.rows.append([cell.strip() for cell in row])
                    self.lines.append(rows.line_num)
                elif any(map(str.strip, row)):
                    self.problems.report(rows.line_num, "", f"{len(row)} values", f"{len(self.header)}, as in the header")
        if not self.rows and not self.problems.count:
            self.problems.report(0, "", "no rows" if self.header else "nothing", "a header and at least one row")

    def names(self) -> list[str]:
        """The normal names of the columns; one that comes again is numbered, as in ``time`` and ``time 2``."""
        found: list[str] = []
        for name in map(normal, self.header):
            count = sum(each == name or (each.startswith(f"{name} ") and each[len(name) + 1 :].isdigit()) for each in found)
            found.append(f"{name} {count + 1}" if count else name)
        return found

    def place(self, meanings: Sequence[Meaning], given: Mapping[str, str]) -> None:
        """Every meaning has its column, the given one or the first that bears one of its names; some have none."""
        names = self.names()
        taken = {self._given(key, column) for key, column in given.items() if column}
        for meaning in meanings:
            if meaning.key in given:
                column = given[meaning.key]
                if column:
                    self.places[meaning.key] = self._given(meaning.key, column)
                continue
            free = (names.index(name) for name in meaning.names if name in names)
            found = next((index for index in free if index not in taken), None)
            if found is not None:
                self.places[meaning.key] = found
                taken.add(found)

    def _given(self, key: str, column: str) -> int:
        if column in self.header:
            return self.header.index(column)
        names = self.names()
        if normal(column) in names:
            return names.index(normal(column))
        found = f"only {', '.join(self.header) or 'an empty line'}"
        self.problems.report(1, column, found, f"the column that --map {key}={column} names")
        return 0

    def need(self, meanings: Sequence[Meaning], keys: Sequence[str]) -> None:
        """Every key has its column, or it is reported how to name it."""
        holds = {meaning.key: meaning.holds for meaning in meanings}
        for key in keys:
            if key not in self.places:
                found = f"only {', '.join(self.header) or 'an empty line'}"
                self.problems.report(1, key, found, f"a column with {holds[key]}: name it with --map {key}=NAME")

    def column(self, key: str) -> list[str]:
        """The cells of what the key means; empty texts where no column means it."""
        place = self.places.get(key)
        return [""] * len(self.rows) if place is None else [row[place] for row in self.rows]

    def title(self, key: str) -> str:
        """The header's own name of the column, the key where there is none."""
        place = self.places.get(key)
        return key if place is None else self.header[place]

    def numbers(self, meanings: Sequence[Meaning], mark: str) -> Numbers:
        """How numbers are written: with the given mark (``point`` or ``comma``), or as all of them together say."""
        if mark:
            return Numbers("," if mark == "comma" else ".")
        keys = [meaning.key for meaning in meanings if meaning.is_number and meaning.key in self.places]
        found = decimal_mark([cell for key in keys for cell in self.column(key)])
        if found:
            return Numbers(found)
        cell = next(cell for key in keys for cell in self.column(key) if "," in cell)
        readings = f"{cell!r}, which may be {cell.replace(',', '.')} or {cell.replace(',', '')}"
        self.problems.report(0, "", readings, "to be told which: --decimal comma, or --decimal point")
        return Numbers(".")
