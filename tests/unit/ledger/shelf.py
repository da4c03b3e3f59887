"""A ledger to test: made, filled and reopened through the public interface, damaged through SQLite or the file."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.ledger import Ledger, VerifyReport, verify

DAY_NS = 86_400_000_000_000
START_NS = 20_000 * DAY_NS
SCHEMA = 1


class Shelf:
    """A directory for one ledger with its key and its anchor."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.directory = path / "ledger"
        self.anchor = path / "elsewhere" / "anchor.jsonl"
        self.anchor.parent.mkdir()
        self.key = Ed25519PrivateKey.generate()
        self._stack = stack

    def open(self, **options: object) -> Ledger:
        """The ledger, open; it is closed at the end of the test whatever state it is in."""
        options = {"account": "main", "schema": SCHEMA, "key": self.key, "anchor": self.anchor} | options
        ledger = Ledger.open(self.directory, **options)  # type: ignore[arg-type]
        self._stack.callback(_close, ledger)
        return ledger

    def fill(self, days: int = 3, per_day: int = 10, *, start_day: int = 0) -> None:
        """A closed ledger with ``per_day`` more records on each day."""
        with self.open() as ledger:
            for day in range(start_day, start_day + days):
                for i in range(per_day):
                    ledger.append(START_NS + day * DAY_NS + i, i % 3, b"payload %d of day %d" % (i, day))

    def segments(self) -> list[Path]:
        """The files of the days, oldest first."""
        return sorted(self.directory.glob("*.sqlite"))

    def sql(self, segment: int, *statements: str) -> None:
        """Changes a segment behind the ledger's back."""
        with closing(sqlite3.connect(self.segments()[segment])) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def verify(self) -> VerifyReport:
        """The report with key and anchor."""
        return verify(self.directory, public_key=self.key.public_key(), anchor=self.anchor)

    def found(self) -> list[tuple[str, int | None]]:
        """Code and record of each problem."""
        return [(problem.code.value, problem.seq) for problem in self.verify().problems]


def _close(ledger: Ledger) -> None:
    try:
        ledger.close(timeout_s=5.0)
    except Exception:  # noqa: BLE001 - the tests that leave a broken ledger behind have looked at it already
        return


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do, without a say in how fast."""
    end_s = time.monotonic() + 100.0
    while not condition():
        assert time.monotonic() < end_s, "it never happened"
        time.sleep(0.005)
