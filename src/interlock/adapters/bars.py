"""
Reading the user's own price bars from a CSV file, strictly.

A backtest is only as honest as its prices, so a file is either read whole or refused with every
problem at once: where it is, what was found, what was expected. Nothing is repaired, skipped or
filled. Gaps are not errors (markets close) but they are counted and told.

Expected columns: ``ts, open, high, low, close`` and, if the file has quotes, ``bid`` and ``ask``;
others are ignored. ``ts`` is ISO 8601 with ``Z`` or an offset, or epoch seconds or milliseconds.
"""

import csv
import math
import zlib
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Final, TextIO

from interlock.adapters.problems import UNREADABLE_EXPECTED, FileInvalid, Problems, opened

PRICES: Final = ("open", "high", "low", "close")
QUOTES: Final = ("bid", "ask")
ORDERED: Final = (
    ("low", "high"),
    ("low", "open"),
    ("open", "high"),
    ("low", "close"),
    ("close", "high"),
    ("bid", "ask"),
)

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1000 * MILLISECOND_NS
HOUR_NS: Final = 3600 * SECOND_NS
DAY_NS: Final = 24 * HOUR_NS
WEEK_NS: Final = 7 * DAY_NS
WEEKEND_NS_MAX: Final = 4 * DAY_NS  # with a holiday on either side
SATURDAY_NOON_NS: Final = 2 * DAY_NS + 12 * HOUR_NS  # 1970-01-03, the first of them
TS_NS_MAX: Final = 2**63 - 1

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
EPOCH_SECONDS_DIGITS_MIN: Final = 9  # 1973; a compact date has eight
EPOCH_MILLIS_DIGITS_MIN: Final = 12

TS_EXPECTED: Final = "an instant such as 2013-04-12T13:00:00Z, or epoch seconds or milliseconds"
PRICE_EXPECTED: Final = "a finite price above 0, such as 1234.5"


class BarsInvalid(FileInvalid):
    """The bars were not read; correct ``problems`` in the file and read it again."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Where consecutive bars are further apart than the file's usual interval: over a weekend, or otherwise."""

    interval_ns: int
    weekend_count: int
    other_count: int
    longest_other_ns: int
    longest_other_after_ns: int

    def __str__(self) -> str:
        told = f"one bar every {_duration(self.interval_ns)}; {_counted(self.weekend_count, 'weekend')}"
        told += f", {_counted(self.other_count, 'other gap')}"
        if not self.other_count:
            return told
        return f"{told}, the longest {_duration(self.longest_other_ns)} after {_instant(self.longest_other_after_ns)}"


@dataclass(frozen=True, slots=True)
class Bars:
    """
    Bars of one symbol in columns, strictly ascending in ``ts_ns`` (the bar's opening instant, UTC).

    ``bid`` and ``ask`` are the closing quotes, as long as the others or both empty.
    """

    ts_ns: "array[int]"
    open: "array[float]"
    high: "array[float]"
    low: "array[float]"
    close: "array[float]"
    bid: "array[float]"
    ask: "array[float]"
    gaps: Gaps

    def __len__(self) -> int:
        return len(self.ts_ns)

    @property
    def quoted(self) -> bool:
        """Whether every bar carries a closing bid and ask."""
        return bool(self.bid)


def read_bars(path: Path) -> Bars:
    """
    Every bar of a ``.csv`` or ``.csv.gz`` file, each proven plausible.

    Raises:
        BarsInvalid: with all problems of the file (the first twenty, and their number).
    """
    reading = _Reading()
    try:
        with opened(path) as text:
            reading.read(text)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        reading.report(0, "", f"a file that cannot be read ({error})", UNREADABLE_EXPECTED)
    if not reading.count and len(reading.ts_ns) < 2:
        reading.report(0, "", f"{len(reading.ts_ns)} bars", "at least two")
    if reading.count:
        raise BarsInvalid(path, reading.found, reading.count)
    open_, high, low, close, bid, ask = reading.columns
    return Bars(reading.ts_ns, open_, high, low, close, bid, ask, _gaps(reading.ts_ns))


class _Reading(Problems):
    """A file being read: the columns and the problems so far."""

    def __init__(self) -> None:
        super().__init__()
        self.ts_ns = array("q")
        self.columns = [array("d") for _ in (*PRICES, *QUOTES)]

    def read(self, text: TextIO) -> None:
        rows = csv.reader(text, strict=True)
        header = [name.strip().lower() for name in next(rows, [])]
        wanted = ("ts", *PRICES, *QUOTES) if {*QUOTES} & {*header} else ("ts", *PRICES)
        if not self._has(wanted, header):
            return
        pick = itemgetter(*(header.index(name) for name in wanted))
        for row in rows:
            if len(row) == len(header):
                self._take(rows.line_num, pick(row))
            elif row:
                self.report(rows.line_num, "", f"{len(row)} values", f"{len(header)}, as in the header")

    def _has(self, wanted: Sequence[str], header: Sequence[str]) -> bool:
        """Whether the header names every wanted column once; reports those it does not."""
        wrong = [name for name in wanted if header.count(name) != 1]
        for name in wrong:
            found = "it more than once" if name in header else f"only {', '.join(header) or 'an empty line'}"
            self.report(1, name, found, f"a header with {', '.join(wanted)}, separated by commas")
        return not wrong

    def _take(self, line: int, cells: tuple[str, ...]) -> None:
        """Append a plausible bar; report everything wrong with any other."""
        ts_ns, values = 0, [0.0]
        try:
            ts_ns = instant_ns(cells[0])
            values = [float(cell) for cell in cells[1:]]
        except ValueError:
            ts_ns, values = -1, []
        latest_ns = self.ts_ns[-1] if self.ts_ns else -1
        if not (ts_ns > latest_ns and _plausible(values) and _plain("".join(cells[1:]))):
            known = self.count
            self._diagnose(line, cells)
            assert self.count > known, "a bar is read or reported, never dropped"
            return
        self.ts_ns.append(ts_ns)
        for column, value in zip(self.columns, values, strict=False):
            column.append(value)

    def _diagnose(self, line: int, cells: tuple[str, ...]) -> None:
        self._diagnose_instant(line, cells[0])
        prices: dict[str, float] = {}
        for name, cell in zip((*PRICES, *QUOTES), cells[1:], strict=False):
            price, found = _price(cell)
            prices[name] = price
            if found:
                self.report(line, name, found, PRICE_EXPECTED)
        for lower, upper in ORDERED:
            if prices.get(lower, math.nan) > prices.get(upper, math.nan):
                self.report(line, lower, f"{prices[lower]:g}", f"at most {upper}, which is {prices[upper]:g}")

    def _diagnose_instant(self, line: int, cell: str) -> None:
        try:
            ts_ns = instant_ns(cell)
        except ValueError as error:
            self.report(line, "ts", f"{cell!r}", str(error))
            return
        if self.ts_ns and ts_ns == self.ts_ns[-1]:
            self.report(line, "ts", f"{_instant(ts_ns)} a second time", "each instant once")
        elif self.ts_ns and ts_ns < self.ts_ns[-1]:
            found = f"{_instant(ts_ns)} after {_instant(self.ts_ns[-1])}"
            self.report(line, "ts", found, "instants in ascending order")


def instant_ns(text: str) -> int:
    """
    Nanoseconds since 1970, UTC, of an ISO 8601 instant with a zone or of epoch seconds or milliseconds.

    Raises:
        ValueError: its text says what was expected.
    """
    if text.isdigit() and text.isascii() and len(text) >= EPOCH_SECONDS_DIGITS_MIN:
        scale = SECOND_NS if len(text) < EPOCH_MILLIS_DIGITS_MIN else MILLISECOND_NS
        return _storable(int(text) * scale)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(TS_EXPECTED) from None
    if instant.tzinfo is None:
        raise ValueError(f"a zone: write {text}Z if it is UTC, or give the offset, as in {text}-05:00")
    return _storable((instant - EPOCH) // MICROSECOND * 1000)


def _storable(ts_ns: int) -> int:
    if not 0 <= ts_ns <= TS_NS_MAX:
        raise ValueError("an instant between 1970 and 2262, in epoch seconds or milliseconds or ISO 8601")
    return ts_ns


def _plausible(values: Sequence[float]) -> bool:
    """Whether all is proven: NaN and infinity fail every comparison they are in."""
    open_, high, low, close, *quote = values
    if not (0.0 < low <= open_ <= high < math.inf and low <= close <= high):
        return False
    return not quote or 0.0 < quote[0] <= quote[1] < math.inf


def _plain(cells: str) -> bool:
    """Whether it holds only what people write: Python also reads ``1_000`` and the digits of other scripts."""
    return cells.isascii() and "_" not in cells


def _price(cell: str) -> tuple[float, str]:
    """The price in a cell; or NaN, and what was found instead."""
    try:
        price = float(cell) if _plain(cell) else math.nan
    except ValueError:
        return math.nan, f"{cell!r}" if cell.strip() else "nothing"
    return (price, "") if 0.0 < price < math.inf else (math.nan, f"{cell!r}")


def _gaps(ts_ns: Sequence[int]) -> Gaps:
    steps = [later - earlier for earlier, later in pairwise(ts_ns)]
    interval_ns = Counter(steps).most_common(1)[0][0]
    gaps = [(step, ts_ns[i]) for i, step in enumerate(steps) if step > interval_ns]
    others = [gap for gap in gaps if not _over_weekend(*gap)]
    longest_ns, after_ns = max(others, key=itemgetter(0), default=(0, 0))
    return Gaps(interval_ns, len(gaps) - len(others), len(others), longest_ns, after_ns)


def _over_weekend(step_ns: int, after_ns: int) -> bool:
    """Whether a gap spans the noon of a Saturday (UTC) and is no longer than a weekend with holidays."""
    to_noon_ns = (SATURDAY_NOON_NS - after_ns) % WEEK_NS
    return to_noon_ns < step_ns <= WEEKEND_NS_MAX


def _instant(ts_ns: int) -> str:
    return (EPOCH + timedelta(microseconds=ts_ns // 1000)).isoformat().replace("+00:00", "Z")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _duration(span_ns: int) -> str:
    for unit_ns, unit in ((DAY_NS, "d"), (HOUR_NS, "h"), (60 * SECOND_NS, "min")):
        if span_ns >= unit_ns:
            return f"{span_ns / unit_ns:.4g} {unit}"
    return f"{span_ns / SECOND_NS:.4g} s"
