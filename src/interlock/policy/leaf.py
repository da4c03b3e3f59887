"""
Leaves of a policy file: a value, and optionally why it is what it is.

A leaf is written plainly (`loss = "2.5 %"`) or with its reason (`loss = { value = "2.5 %", why = "..." }`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import inf, nan
from typing import Any, Final, NamedTuple, TypeAlias

from interlock.core.codes import Code
from interlock.core.constants import NS_PER_S
from interlock.core.limits import SWITCHABLE, Unit
from interlock.policy.layout import VALID_FOR_S_MAX, Slot
from interlock.policy.problems import Path
from interlock.policy.units import EXPECTED, Measure, UnitInvalid, format_measure, parse_measure

OFF: Final = "off"
ON: Final = "on"
FROM_FILE: Final = "file"

_TEXT_MAX: Final = 500
_LEAF_KEYS: Final = frozenset({"value", "why", "from"})

Written: TypeAlias = str | tuple[str, ...]


class Reading(NamedTuple):
    """What a leaf says: the text as written, its number (NaN where it is none), and the written unit."""

    written: Written
    number: float = nan
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A reading with its reason and its origin: the file, or the preset that set it."""

    written: Written
    number: float
    unit: str
    why: str = ""
    origin: str = FROM_FILE

    @property
    def text(self) -> str:
        """The written text of a leaf that is not a list."""
        assert isinstance(self.written, str)
        return self.written


Raw: TypeAlias = dict[str, Any]
"""A policy file as it is parsed, not yet read."""

Leaves: TypeAlias = dict[Path, Leaf]
"""Everything that a policy or a part of it says."""


class LeafInvalid(ValueError):
    """A leaf cannot be read: what was expected in its place, what to do, and, once it is known, what was found."""

    def __init__(self, expected: str, remedy: str, found: object = None) -> None:
        self.expected = expected
        self.remedy = remedy
        self.found = found
        super().__init__(expected)


Parse: TypeAlias = Callable[[object], Reading]


def number(slot: Slot) -> Parse:
    """A parser for the slot's unit, words and range."""
    return partial(_read_number, slot)


def choice(*words: str) -> Parse:
    """A parser that takes one of the words."""
    expected = " or ".join(f'"{word}"' for word in words)

    def read(raw: object) -> Reading:
        if raw in words and isinstance(raw, str):
            return Reading(raw)
        raise LeafInvalid(expected, "choose one of them")

    return read


def name(raw: object) -> Reading:
    """Printable text of at most 500 characters that is not blank."""
    if isinstance(raw, str) and raw.strip() and raw.isprintable() and len(raw) <= _TEXT_MAX:
        return Reading(raw)
    raise LeafInvalid("text on one line", "write it in quotes")


def flag(raw: object) -> Reading:
    """Yes or no, as 1.0 or 0.0."""
    return _measure(raw, "flag")


def validity(raw: object) -> Reading:
    """How long a policy may be used, in seconds."""
    reading = _measure(raw, "s")
    if not 0.0 < reading.number <= VALID_FOR_S_MAX:
        raise LeafInvalid('more than nothing and at most "366 d"', "a person signs anew at least once a year")
    return reading


def leverage(most: float) -> Parse:
    """A parser for margin leverage in (0, most]."""

    def read(raw: object) -> Reading:
        reading = _measure(raw, "x")
        if not 0.0 < reading.number <= most:
            raise LeafInvalid(f'more than 0 and at most "{most:g} x"', "lower the leverage; smaller orders need no more")
        return reading

    return read


def instant(raw: object) -> Reading:
    """An instant with its UTC offset; the number is not used, the written form is UTC."""
    try:
        moment = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            return Reading(utc_text(moment))
    except (ValueError, OverflowError):
        pass
    raise LeafInvalid("an instant such as 2026-01-31T12:00:00Z", "write date, time and offset from UTC")


def utc_text(moment: datetime) -> str:
    """The moment as a policy writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant_ns(written: str) -> int:
    """The instant of a leaf's written form in ns since 1970, to the microsecond."""
    since = datetime.fromisoformat(written) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


def rights(raw: object) -> Reading:
    """A list of the words open and close, at least one of them, neither twice."""
    if isinstance(raw, list) and raw and all(raw.count(word) == 1 and word in ("open", "close") for word in raw):
        return Reading(tuple(raw))
    raise LeafInvalid('a list of "open", "close" or both', 'write what the source may do, such as ["open", "close"]')


def switch(rule: Code, *, has_numbers: bool) -> Parse:
    """A parser for "off: why" (only where the rule is not structural) and "on" (only where it has no numbers)."""

    def read(raw: object) -> Reading:
        word, _, why = raw.partition(":") if isinstance(raw, str) else ("", "", "")
        if word == ON and not has_numbers and not why:
            return Reading(ON)
        if word != OFF or not isinstance(raw, str):
            raise LeafInvalid(_switch_forms(rule, has_numbers=has_numbers), "write one of these forms")
        if rule not in SWITCHABLE:
            raise LeafInvalid(
                "its numbers",
                f"{rule} is structural and cannot be off: without it an opening order would pass unproven",
            )
        if not why.strip() or len(raw) > _TEXT_MAX or not raw.isprintable():
            raise LeafInvalid('"off: <why>"', "say in one line why the rule is off; the reason is recorded")
        return Reading(raw)

    return read


def _switch_forms(rule: Code, *, has_numbers: bool) -> str:
    forms = ["a table with its numbers" if has_numbers else '"on"']
    if rule in SWITCHABLE:
        forms.append('"off: <why>"')
    return " or ".join(forms)


def read_leaf(parse: Parse, raw: object, *, frozen: bool) -> Leaf:
    """
    The leaf whose value `parse` reads; in a `frozen` policy it may say where it is from.

    Raises:
        LeafInvalid: it cannot be read.
    """
    value, why, origin = raw, "", FROM_FILE
    try:
        if isinstance(raw, dict):
            value, why, origin = _unfold(raw, frozen=frozen)
        reading = parse(value)
    except (LeafInvalid, UnitInvalid) as error:
        raise LeafInvalid(error.expected, error.remedy, value) from error
    return Leaf(reading.written, reading.number, reading.unit, why, origin)


def _unfold(raw: dict[str, object], *, frozen: bool) -> tuple[object, str, str]:
    allowed = _LEAF_KEYS if frozen else _LEAF_KEYS - {"from"}
    why = raw.get("why", "")
    origin = raw.get("from", FROM_FILE)
    if "value" not in raw or raw.keys() - allowed:
        raise LeafInvalid("a value, or a table of value and why", 'write { value = "...", why = "..." }')
    if not isinstance(why, str) or not isinstance(origin, str) or len(why) > _TEXT_MAX:
        raise LeafInvalid(f"a why of at most {_TEXT_MAX} characters of text", "shorten the reason")
    return raw["value"], why, origin


def _measure(raw: object, kind: Unit) -> Reading:
    measure: Measure = parse_measure(raw, kind)
    return Reading(*measure)


def _read_number(slot: Slot, raw: object) -> Reading:
    if isinstance(raw, str) and raw in slot.words:
        return Reading(raw, slot.words[raw])
    kind = slot.limit.unit
    try:
        reading = _measure(raw, kind)
    except UnitInvalid as error:
        words = "".join(f', or "{word}"' for word in slot.words)
        raise LeafInvalid(error.expected + words, error.remedy) from error
    _check_range(slot, reading.number, kind)
    return reading


def _check_range(slot: Slot, value: float, kind: Unit) -> None:
    fits_below = value > 0.0 or (slot.zero and value == 0.0)
    if fits_below and value <= slot.most and value < slot.under:
        return
    bounds = ["0 or more" if slot.zero else "more than 0"]
    if slot.most < inf:
        bounds.append(f"at most {format_measure(slot.most, kind)}")
    if slot.under < inf:
        bounds.append(f"less than {format_measure(slot.under, kind)}")
    raise LeafInvalid(f"{EXPECTED[kind]}, {' and '.join(bounds)}", "move the number into this range")
