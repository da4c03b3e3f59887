"""
One day's SQLite file; all SQL of the ledger is here.

Rules that SQLite itself asks for: exactly one connection per file writes and checkpoints (its 3.40 series can lose
frames when a second one resets the log); readers open ``mode=ro`` without checkpoints and in short transactions, so
that they never hold the log back. Rows are inserted by one statement for many: a statement per row gives the
interpreter lock away at each, and next to a busy thread that costs up to 5 ms a row.
"""

import functools
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Self, cast

import msgspec

from interlock.ledger.errors import LedgerBroken, LedgerMissing, LedgerTooNew, LedgerUnwritable
from interlock.ledger.heads import Head
from interlock.ledger.record import FORMAT, Point

Row = tuple[int, int, int, int, bytes, bytes]
"""A new record: seq, at_ns, kind, schema, payload, hash."""

_TABLES: Final = (
    """CREATE TABLE segment (format INTEGER NOT NULL, account TEXT NOT NULL,
       first_seq INTEGER NOT NULL, prev_hash BLOB NOT NULL) STRICT""",
    """CREATE TABLE records (seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind INTEGER NOT NULL,
       schema INTEGER NOT NULL, payload BLOB, digest BLOB, hash BLOB NOT NULL) STRICT""",
    """CREATE TABLE heads (seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, hash BLOB NOT NULL,
       signature BLOB NOT NULL) STRICT""",
    """CREATE TABLE snapshots (seq INTEGER PRIMARY KEY, schema INTEGER NOT NULL, payload BLOB NOT NULL,
       digest BLOB NOT NULL, signature BLOB NOT NULL) STRICT""",
    """CREATE TABLE retention (kind INTEGER PRIMARY KEY, before_ns INTEGER NOT NULL,
       signature BLOB NOT NULL) STRICT""",
)
_COLUMNS: Final = "seq, at_ns, kind, schema, payload, digest, hash"
_ROWS_PER_STATEMENT: Final = 128
_ROWS_PER_READ: Final = 512
_BUSY_S: Final = 1.0
_EPOCH: Final = date(1970, 1, 1)


class Info(msgspec.Struct, frozen=True):
    """Where a segment belongs: whose it is and the point of the chain it continues."""

    account: str
    first_seq: int
    prev_hash: bytes


class StoredSnapshot(msgspec.Struct, frozen=True):
    """A snapshot as it is stored, not yet checked."""

    seq: int
    schema: int
    payload: bytes
    digest: bytes
    signature: bytes


def segment_path(directory: Path, day: int) -> Path:
    """The file of a day counted from 1970-01-01."""
    return directory / f"{_EPOCH + timedelta(days=day)}.sqlite"


def segment_day(path: Path) -> int:
    """The day, counted from 1970-01-01, that a file is named for."""
    return (date.fromisoformat(path.stem) - _EPOCH).days


def segment_paths(directory: Path) -> list[Path]:
    """
    The segments of a ledger, oldest first.

    Raises:
        LedgerMissing: there is no such directory.
    """
    if not directory.is_dir():
        raise LedgerMissing(directory)
    return sorted(directory.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].sqlite"))


class Segment:
    """An open segment: ``writer`` for the one who appends, ``editor`` for retention, ``reader`` for everybody else."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._inode = path.stat().st_ino

    @classmethod
    def writer(cls, path: Path) -> Self:
        """The segment, created if it is absent, open to write; what its log held is in the file and synced."""
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        segment = cls._prepared(path, connection, "journal_mode=WAL", "synchronous=FULL")
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if busy:
            segment.close()
            raise LedgerUnwritable(f"{path} is being read and its log could not be synced", "end the long read")
        return segment

    @classmethod
    def editor(cls, path: Path) -> Self:
        """A closed segment, open to be changed in place."""
        return cls._prepared(path, sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None))

    @classmethod
    def reader(cls, path: Path) -> Self:
        """The segment, open to read, whether or not its directory can be written."""
        log = path.with_name(f"{path.name}-wal")
        alone = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
        options = "mode=ro&immutable=1" if alone else "mode=ro"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{options}", uri=True, timeout=_BUSY_S, isolation_level=None
        )
        return cls._prepared(path, connection, "wal_autocheckpoint=0")

    @classmethod
    def _prepared(cls, path: Path, connection: sqlite3.Connection, *pragmas: str) -> Self:
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            return cls(path, connection)
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The file is no longer open."""
        self._connection.close()

    def seal(self) -> None:
        """The segment is closed and is one file without a log, unless a reader still has it open."""
        try:
            self._connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
        finally:
            self.close()

    def info(self) -> Info | None:
        """
        Where the segment belongs; None if a crash left a file before anything was in it.

        Raises:
            LedgerTooNew: a newer version wrote it.
        """
        if not self._all("SELECT 1 FROM sqlite_schema WHERE name = 'segment'"):
            return None
        rows = self._all("SELECT format, account, first_seq, prev_hash FROM segment")
        match rows:
            case [(int(number), str(account), int(first_seq), bytes(prev_hash))]:
                if number > FORMAT:
                    raise LedgerTooNew(f"{self.path.name} has format {number}, known is {FORMAT}")
                if number == FORMAT:
                    return Info(account, first_seq, prev_hash)
        raise LedgerBroken(0, f"{self.path.name} does not say what it is")

    def last(self) -> Point:
        """The point that the segment ends at."""
        rows = self._all("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1")
        if rows:
            return Point(*cast(tuple[int, bytes], rows[0]))
        info = self.info()
        assert info is not None
        return Point(info.first_seq - 1, info.prev_hash)

    def rows(self, after_seq: int) -> Iterator[tuple[object, ...]]:
        """The rows after ``after_seq`` in order, in short transactions and bounded memory."""
        while True:
            rows = self._all(f"SELECT {_COLUMNS} FROM records WHERE seq > ? ORDER BY seq LIMIT {_ROWS_PER_READ}", after_seq)
            yield from rows
            if len(rows) < _ROWS_PER_READ:
                return
            after_seq = cast(int, rows[-1][0])

    def row(self, seq: int) -> tuple[object, ...] | None:
        """The row of ``seq``."""
        rows = self._all(f"SELECT {_COLUMNS} FROM records WHERE seq = ?", seq)
        return rows[0] if rows else None

    def heads(self, account: str) -> list[Head]:
        """The heads stored in this segment, oldest first."""
        rows = self._all("SELECT seq, at_ns, hash, signature FROM heads ORDER BY seq")
        return [self._head(account, row) for row in rows]

    def last_head(self, account: str) -> Head | None:
        """The newest head stored in this segment."""
        rows = self._all("SELECT seq, at_ns, hash, signature FROM heads ORDER BY seq DESC LIMIT 1")
        return self._head(account, rows[0]) if rows else None

    def _head(self, account: str, row: tuple[object, ...]) -> Head:
        return Head(account, *cast(tuple[int, int, bytes, bytes], self._sound(row, (int, int, bytes, bytes))))

    def _sound(self, row: tuple[object, ...], kinds: tuple[type, ...]) -> tuple[object, ...]:
        """The row, whose values are of the kinds that were written: SQLite keeps any in any column. Raises LedgerBroken."""
        if tuple(map(type, row)) != kinds:
            seq = row[0] if isinstance(row[0], int) else 0
            raise LedgerBroken(seq, f"{self.path.name} holds values of another kind than were written")
        return row

    def snapshots(self) -> Iterator[StoredSnapshot]:
        """The snapshots stored in this segment, newest first, one in memory at a time."""
        for (seq,) in self._all("SELECT seq FROM snapshots ORDER BY seq DESC"):
            for row in self._all(
                "SELECT seq, schema, payload, digest, signature FROM snapshots WHERE seq = ?", cast(int, seq)
            ):
                sound = self._sound(row, (int, int, bytes, bytes, bytes))
                yield StoredSnapshot(*cast(tuple[int, int, bytes, bytes, bytes], sound))

    def retention(self) -> dict[int, tuple[int, bytes]]:
        """By kind: payloads older than which time were emptied, and the signature that allowed it."""
        rows = self._all("SELECT kind, before_ns, signature FROM retention")
        sound = [self._sound(row, (int, int, bytes)) for row in rows]
        return {kind: (before_ns, mark) for kind, before_ns, mark in cast(list[tuple[int, int, bytes]], sound)}

    def begin(self, info: Info) -> None:
        """The segment says where it belongs; what a crash left unfinished is replaced."""
        with self._transaction():
            for statement in _TABLES:
                self._connection.execute(statement)
            self._connection.execute(
                "INSERT INTO segment VALUES (?, ?, ?, ?)", (FORMAT, info.account, info.first_seq, info.prev_hash)
            )

    def write(self, rows: Sequence[Row], snapshots: Sequence[StoredSnapshot]) -> None:
        """The rows and snapshots are durable, all of them or none."""
        with self._transaction():
            _insert(self._connection, rows)
            self._connection.executemany(
                "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)",
                [(s.seq, s.schema, s.payload, s.digest, s.signature) for s in snapshots],
            )

    def write_head(self, head: Head) -> None:
        """The head is durable."""
        with self._transaction():
            self._connection.execute(
                "INSERT INTO heads VALUES (?, ?, ?, ?)", (head.seq, head.at_ns, head.hash, head.signature)
            )

    def present(self) -> bool:
        """True if the name still leads to the file that is open: writes to a removed file are lost."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def prunable(self, kind: int, before_ns: int, last_seq: int) -> Iterator[list[tuple[int, bytes]]]:
        """Sequence number and payload of what ``empty`` may empty, in pages."""
        after_seq = 0
        while rows := self._all(
            f"""SELECT seq, payload FROM records WHERE seq > ? AND seq <= ? AND kind = ? AND at_ns < ?
                AND payload IS NOT NULL ORDER BY seq LIMIT {_ROWS_PER_READ}""",
            after_seq,
            last_seq,
            kind,
            before_ns,
        ):
            page = cast(list[tuple[int, bytes]], rows)
            yield page
            after_seq = page[-1][0]

    def empty(self, digests: Sequence[tuple[bytes, int]], kind: int, before_ns: int, signature: bytes) -> None:
        """The payloads of the given (digest, seq) are gone, their digests remain, and the mark says by whose word."""
        with self._transaction():
            self._connection.executemany("UPDATE records SET payload = NULL, digest = ? WHERE seq = ?", digests)
            self._connection.execute("INSERT OR REPLACE INTO retention VALUES (?, ?, ?)", (kind, before_ns, signature))

    def drop_snapshots(self, before_seq: int) -> int:
        """Snapshots of states older than record ``before_seq`` are gone; returns how many."""
        return self._connection.execute("DELETE FROM snapshots WHERE seq < ?", (before_seq,)).rowcount

    def shrink(self) -> None:
        """The file holds no free pages."""
        self._connection.execute("VACUUM")

    def _all(self, statement: str, *values: int) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except UnicodeDecodeError as error:  # a message of SQLite's that quotes damaged text
            damaged = sqlite3.DatabaseError(f"damaged text: {error.reason}")
            damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damaged from None

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._connection)


class _Transaction:
    """A transaction that is committed, or rolled back when anything in it or the commit itself fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    at = 0
    size = _ROWS_PER_STATEMENT
    while at < len(rows):
        while size > len(rows) - at:
            size //= 2
        values = [value for row in rows[at : at + size] for value in row]
        connection.execute(_insert_statement(size), values)
        at += size


@functools.cache
def _insert_statement(size: int) -> str:
    return f"INSERT INTO records VALUES {','.join(['(?,?,?,?,?,NULL,?)'] * size)}"
