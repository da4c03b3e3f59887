"""What a reader of a user's file says when it refuses it: every problem at once, with its place and what was expected."""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from interlock.core.errors import InterlockError

PROBLEMS_SHOWN_MAX: Final = 20
UNREADABLE_EXPECTED: Final = "CSV in UTF-8, plain or compressed with gzip (.gz)"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps a file from being read; ``line`` 1 is the header, 0 the file as a whole."""

    line: int
    column: str
    found: str
    expected: str

    def __str__(self) -> str:
        place = f"line {self.line}, " if self.line else ""
        place += f"column {self.column}" if self.column else ""
        return f"{place.rstrip(', ') or 'file'}: found {self.found}, expected {self.expected}"


class Problems:
    """The problems of one file so far: the first `PROBLEMS_SHOWN_MAX`, and how many there are."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self.count = 0

    def report(self, line: int, column: str, found: str, expected: str) -> None:
        """One more is known."""
        self.count += 1
        if len(self.found) < PROBLEMS_SHOWN_MAX:
            self.found.append(Problem(line, column, found, expected))


class FileInvalid(InterlockError):
    """
    The file was not read; correct ``problems`` in it and read it again.

    ``problems`` holds the first `PROBLEMS_SHOWN_MAX`, ``problem_count`` how many there are.
    """

    def __init__(self, path: Path, problems: Sequence[Problem], problem_count: int) -> None:
        self.path = path
        self.problems = tuple(problems)
        self.problem_count = problem_count
        lines = [f"{path}: {problem_count} problem{'s' if problem_count != 1 else ''}", *map(str, self.problems)]
        if problem_count > len(self.problems):
            lines.append(f"and {problem_count - len(self.problems)} more")
        super().__init__("\n  ".join(lines))


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file as text, uncompressed where its name ends in .gz."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as text:
            yield text
    else:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield text
