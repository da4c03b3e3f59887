"""
calendar.csv of a state directory, looked at again and again: what the engine is to be told of each symbol's windows.

A file that cannot be used changes nothing: what was told holds as far as it reached, and what is wrong is told. Without a
file nothing is known, and rules that need one let nothing open.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from interlock.core.constants import NS_PER_S
from interlock.core.messages import BlackoutSet
from interlock.policy.windows import Windows, WindowsInvalid, read_windows

DAY_NS: Final = 86_400 * NS_PER_S
PAST_NS: Final = 8 * DAY_NS
AHEAD_NS: Final = 40 * DAY_NS
"""How far ahead windows are told; they are told again each day."""


class CalendarFile:
    """Reads one file; every call may wait for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, ...] | None = None
        self._windows: Windows | None = None
        self._told: tuple[object, ...] = ()
        self.problem = ""
        """What is wrong with the file, empty where nothing is."""

    def to_tell(self, symbols: Sequence[str], now_ns: int) -> tuple[BlackoutSet, ...]:
        """What these symbols' windows are, where the file, the symbols or the day have changed since it was told."""
        self._look()
        told = (self._windows, tuple(symbols), now_ns // DAY_NS)
        if self.problem or told == self._told:
            return ()
        self._told = told
        if self._windows is None:
            return tuple(BlackoutSet(symbol, ()) for symbol in symbols)
        return tuple(self._windows.of(symbol, now_ns - PAST_NS, now_ns + AHEAD_NS) for symbol in symbols)

    def forget(self) -> None:
        """What was to be told may not have been heard, and is told again."""
        self._told = ()

    def strangers(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """Symbols that the file names and nobody knows."""
        rows = () if self._windows is None else self._windows.rows
        return tuple(dict.fromkeys(name for row in rows for name in row.symbols if name not in symbols))

    def _look(self) -> None:
        try:
            mark = self._present()
            if mark == self._mark:
                return
            self._mark = mark
            self._windows = read_windows(self._path) if mark else None
            self.problem = ""
        except WindowsInvalid as error:
            self.problem = f"{self._path} is refused, windows stay as they were told: {error}"
        except OSError as error:
            self._mark = None
            self.problem = f"{self._path} cannot be read, windows stay as they were told: {error.strerror or error}"

    def _present(self) -> tuple[int, ...]:
        """What changes when the file does; empty where there is none."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return ()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
