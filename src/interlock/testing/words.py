"""The words of a story's line: reading them, and the two ways in which a story can go wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from interlock.core.constants import NS_PER_S, OPERATOR_NS

UNITS_NS: Final = {
    "ns": 1,
    "ms": NS_PER_S // 1000,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
}
_WORD: Final = re.compile(r'"[^"]*"|[^\s,]+|,')
_LENGTH: Final = re.compile(r"([+-]?)(\d+(?:\.\d+)?)(ns|ms|s|m|h|d)", re.ASCII)
_CLOCK: Final = re.compile(r"(?:(\d{4}-\d\d-\d\d)T)?(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?", re.ASCII)


class StoryInvalid(ValueError):
    """A story cannot be read; the message names the file, the line and what was expected."""


class StoryFailed(AssertionError):
    """The engine did not do what a line of a story expects; the message shows the line and what came out."""


@dataclass(frozen=True)
class Line:
    """One line of a story: where it stands, its time, what goes in and what is expected to come out."""

    where: str
    text: str
    time: str
    inputs: tuple[tuple[str, ...], ...]
    expected: tuple[tuple[str, ...], ...]

    def invalid(self, problem: str) -> StoryInvalid:
        """The error that says what is wrong with this line."""
        return StoryInvalid(f"{self.where}: {self.text.strip()}\n  {problem}")


class Words:
    """The words of one clause, taken from the left."""

    def __init__(self, line: Line, words: tuple[str, ...]) -> None:
        self.line = line
        self._words = list(words)

    def __bool__(self) -> bool:
        return bool(self._words)

    def peek(self) -> str:
        """The next word, or nothing."""
        return self._words[0] if self._words else ""

    def next(self, what: str) -> str:
        """The next word. Raises StoryInvalid when there is none: `what` was expected."""
        if not self._words:
            raise self.line.invalid(f"expected {what} at the end of the clause")
        return self._words.pop(0)

    def take(self, word: str) -> bool:
        """Whether the next word is this one; then it is taken."""
        if self.peek() != word:
            return False
        self._words.pop(0)
        return True

    def number(self, what: str) -> float:
        """The next word as a number."""
        return number(self.line, self.next(what))

    def options(self, valued: str, flags: str = "") -> dict[str, str]:
        """All remaining words as `name value` pairs and flags; nothing else may be there."""
        found: dict[str, str] = {}
        while self._words:
            word = self._words.pop(0)
            if word in flags.split():
                found[word] = word
            elif word in valued.split():
                found[word] = self.next(f"a value for {word!r}")
            else:
                known = " ".join(filter(None, (valued, flags))) or "nothing more"
                raise self.line.invalid(f"{word!r} is not known here: expected {known}")
        return found


def clauses(text: str) -> tuple[tuple[str, ...], ...]:
    """The words of each clause, clauses being separated by commas; quotes hold words together."""
    return tuple(_clauses(text))


def _clauses(text: str) -> Iterator[tuple[str, ...]]:
    words: list[str] = []
    for word in _WORD.findall(text):
        if word == ",":
            yield tuple(words)
            words = []
        else:
            words.append(word.strip('"'))
    if words:
        yield tuple(words)


def number(line: Line, text: str) -> float:
    """The word as a number; `nan` and `inf` are numbers too."""
    try:
        return float(text.replace("_", ""))
    except ValueError:
        raise line.invalid(f"{text!r} is not a number") from None


def length_ns(text: str) -> int | None:
    """A length of time such as `90s`, `-2s`, `1.5h` or `+1d`, or None where it is not one."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        return None
    sign = -1 if match[1] == "-" else 1
    return sign * round(float(match[2]) * UNITS_NS[match[3]])


def instant_ns(line: Line, text: str, now_ns: int) -> int:
    """
    The instant that a word names.

    `+90s` counts from `now_ns`, `=` is now, `09:30` is on the same UTC day, `2027-03-28T09:30` on that one, `OPERATOR`
    never.
    """
    if text == "OPERATOR":
        return OPERATOR_NS
    if text == "=":
        return now_ns
    ahead = length_ns(text)
    if ahead is not None and text[0] in "+-":
        return now_ns + ahead
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise line.invalid(f"{text!r} is not a time: write 09:30, 09:30:00.5, 2027-03-28T09:30, +90s or =")
    day_ns = now_ns // UNITS_NS["d"] * UNITS_NS["d"] if match[1] is None else _day_ns(line, match[1])
    seconds = float(match[5] or 0)
    whole = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4] or 0)
    return day_ns + whole * NS_PER_S + round(seconds * NS_PER_S)


def _day_ns(line: Line, text: str) -> int:
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days * UNITS_NS["d"]
    except ValueError:
        raise line.invalid(f"{text!r} is not a date") from None
