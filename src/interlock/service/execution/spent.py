"""
The executor's own memory: which permits were used, under which epoch, and whose orders are not over.

It is a file of its own, apart from the ledger, so that an engine that comes back with an older past can use no permit
twice: what is spent here stays spent, and an epoch that was fenced off stays so. Everything said to be done is on the
disk.

It keeps the whole sealed permit while its order may still be alive, and of one that is over the number alone: some 15
bytes an order. The numbers of older epochs go at a later start, when the ledger is known to have them.
Threads take turns.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from interlock.core.errors import InterlockError
from interlock.core.messages import PermitIssued
from interlock.service.shell.gate import PermitSpent, PermitVoid

FORMAT: Final = 1
APPLICATION: Final = 0x494C5350
"""Marks the file as a spent-set."""

_BUSY_S: Final = 1.0
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_T = TypeVar("_T")

_TABLES: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS fences (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, fence INTEGER NOT NULL);
INSERT OR IGNORE INTO fences VALUES (1, 0, 0);
CREATE TABLE IF NOT EXISTS spent (
    permit INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, at_ns INTEGER, sealed BLOB, executor TEXT
);
CREATE INDEX IF NOT EXISTS alive ON spent (permit) WHERE sealed IS NOT NULL;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
COMMIT;
"""


class SpentStoreError(InterlockError):
    """The spent-set cannot do what was asked; the message says how to mend it."""


class SpentStoreUnwritable(SpentStoreError):
    """The disk does not take what was spent; until it does, nothing is opened."""


class SpentStoreBroken(SpentStoreError):
    """The file is not the spent-set that was written; move it away, and the next start takes a new epoch."""


class SpentStoreTooNew(SpentStoreError):
    """The file was written by a newer version; upgrade."""


class PermitOutdated(PermitVoid):
    """The permit comes from an engine that another has replaced."""


class Alive(NamedTuple):
    """A permit that was spent and whose order is not known to be over."""

    permit: int
    at_ns: int
    sealed: bytes


class SpentStore:
    """The spent-set in one SQLite file."""

    def __init__(self, path: Path) -> None:
        """
        The file is open and sound.

        Raises:
            SpentStoreError: it is damaged, another's, a newer version's, or cannot be written.
        """
        self._path = path
        self._turn = threading.RLock()
        self._db = self._named(
            lambda: sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        )
        try:
            self._named(self._prepare)
        except SpentStoreError:
            self._db.close()
            raise

    @property
    def epoch(self) -> int:
        """The highest epoch of which anything was spent or opened."""
        return self._fences()[0]

    def open_epoch(self, ledger_epoch: int) -> int:
        """
        A new epoch, higher than any before it here or in the ledger; from now on nothing older is spent.

        Finished numbers from before the ledger's own epoch go: its record of that begins with what was spent before.
        """

        def take() -> int:
            epoch = max(ledger_epoch, self._fences()[0]) + 1
            self._db.execute("DELETE FROM spent WHERE epoch < ? AND sealed IS NULL", (ledger_epoch,))
            self._raise_fences(epoch, 0)
            return epoch

        return self._at_once(take)

    def spend(self, permit: PermitIssued, sealed: bytes, now_ns: int) -> None:
        """
        The permit is used, for good.

        Raises:
            PermitSpent, PermitOutdated, PermitVoid, SpentStoreError: as `hand_over` does.
        """
        self._use(permit, now_ns, lambda: self._insert(permit, sealed, now_ns))

    def hand_over(self, permit: PermitIssued, by: str, now_ns: int) -> None:
        """
        The permit is used, for good, by a source that executes it itself.

        Raises:
            PermitSpent: it was used before.
            PermitOutdated: it is of an older epoch.
            PermitVoid: it would open, and was issued before a lock or has expired.
            SpentStoreError: nothing was recorded.
        """
        row = (permit.id, permit.epoch, by)
        self._use(permit, now_ns, lambda: self._db.execute("INSERT INTO spent VALUES (?, ?, NULL, NULL, ?)", row))

    def _use(self, permit: PermitIssued, now_ns: int, insert: Callable[[], object]) -> None:
        def use() -> None:
            if self._db.execute("SELECT 1 FROM spent WHERE permit = ?", (permit.id,)).fetchone():
                raise PermitSpent(f"permit {permit.id} was used before")
            epoch, fence = self._fences()
            if permit.epoch < epoch:
                raise PermitOutdated(f"permit {permit.id} is of epoch {permit.epoch}, and {epoch} has begun")
            if not permit.reduce_only:
                if permit.epoch == epoch and permit.fence < fence:
                    raise PermitVoid(f"permit {permit.id} was issued before a lock")
                if now_ns > permit.expires_ns:
                    raise PermitVoid(f"permit {permit.id} has expired")
            self._raise_fences(permit.epoch, permit.fence)
            insert()

        self._at_once(use)

    def record(self, permit: PermitIssued, sealed: bytes, at_ns: int) -> None:
        """The permit, which was used already, is known to be; again is harmless."""
        self._at_once(lambda: self._insert(permit, sealed, at_ns))

    def finish(self, permit: int) -> None:
        """The permit's order is over; only the number is kept."""
        self._at_once(lambda: self._db.execute("UPDATE spent SET at_ns = NULL, sealed = NULL WHERE permit = ?", (permit,)))

    def alive(self) -> tuple[Alive, ...]:
        """Permits whose orders are not known to be over, oldest first."""
        rows = self._named(
            lambda: self._db.execute(
                "SELECT permit, at_ns, sealed FROM spent WHERE sealed IS NOT NULL ORDER BY permit"
            ).fetchall()
        )
        return tuple(Alive(*row) for row in rows)

    def spent_by(self, permit: int) -> str | None:
        """The source that the permit was handed over to, empty where it was used here; None where it was not used."""
        row = self._named(
            lambda: self._db.execute("SELECT coalesce(executor, '') FROM spent WHERE permit = ?", (permit,)).fetchone()
        )
        return None if row is None else row[0]

    def is_spent(self, permit: int) -> bool:
        """Whether the permit, of an epoch that matters or still alive, was used."""
        return self.spent_by(permit) is not None

    def close(self) -> None:
        """The file is closed; where the disk hangs it is left as it is, and nothing is lost that was said to be done."""
        if self._turn.acquire(timeout=_BUSY_S):
            self._db.close()
            self._turn.release()

    def _prepare(self) -> None:
        application = self._pragma("application_id")
        version = self._pragma("user_version")
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != APPLICATION:
            raise SpentStoreBroken(f"{self._path} is another program's file: name another place for the spent-set")
        if version > FORMAT:
            raise SpentStoreTooNew(f"{self._path} has format {version}, this version reads {FORMAT}: upgrade interlock")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if not tables:
            self._db.executescript(_TABLES)
        verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise SpentStoreBroken(self._broken(verdict))

    def _pragma(self, name: str) -> int:
        number: int = self._db.execute(f"PRAGMA {name}").fetchone()[0]
        return number

    def _fences(self) -> tuple[int, int]:
        row: tuple[int, int] | None = self._named(
            lambda: self._db.execute("SELECT epoch, fence FROM fences WHERE one = 1").fetchone()
        )
        if row is None:
            raise SpentStoreBroken(self._broken("its fences are missing"))
        return row

    def _raise_fences(self, epoch: int, fence: int) -> None:
        """Nothing before this epoch, or in it before this fence, is spent."""
        old_epoch, old_fence = self._fences()
        if epoch == old_epoch and fence <= old_fence:
            return
        self._db.execute("UPDATE fences SET epoch = ?, fence = ?", (epoch, fence))

    def _insert(self, permit: PermitIssued, sealed: bytes, at_ns: int) -> None:
        row = (permit.id, permit.epoch, at_ns, sealed)
        self._db.execute("INSERT OR IGNORE INTO spent VALUES (?, ?, ?, ?, NULL)", row)

    def _at_once(self, change: Callable[[], _T]) -> _T:
        """What the change does is done whole and on the disk, or not at all."""

        def transaction() -> _T:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                result = change()
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
            return result

        return self._named(transaction)

    def _named(self, work: Callable[[], _T]) -> _T:
        """What the work returns; what SQLite says against it is named for its remedy."""
        try:
            with self._turn:
                return work()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _DAMAGE:
                raise SpentStoreBroken(self._broken(str(error))) from error
            remedy = _REMEDIES.get(code, "check the disk and its messages")
            raise SpentStoreUnwritable(f"{self._path}: {error}: {remedy}") from error

    def _broken(self, what: str) -> str:
        return f"{self._path} is damaged: {what}: stop the gateway, move the file away, and start: a new epoch begins"


_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "free space on this disk",
    sqlite3.SQLITE_READONLY: "make the directory and its files writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make the directory and its files writable for this user",
    sqlite3.SQLITE_BUSY: "close the other program that has this file open",
    sqlite3.SQLITE_LOCKED: "close the other program that has this file open",
}
