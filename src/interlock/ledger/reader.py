"""
Reading a ledger, while it is being written or at rest, in bounded memory.

Whoever reads gets records that follow from one another or an error: nothing is passed on unchecked.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from interlock.ledger.errors import LedgerBroken, LedgerTooNew, named
from interlock.ledger.heads import genuine, snapshot_message
from interlock.ledger.problems import Code, Problem
from interlock.ledger.record import Point, Record, digest, genesis, restore
from interlock.ledger.segment import Segment, StoredSnapshot, segment_paths


class Snapshot(msgspec.Struct, frozen=True):
    """The state after record ``seq``, as the caller encoded it."""

    seq: int
    at_ns: int
    schema: int
    payload: bytes


class SnapshotSearch(msgspec.Struct, frozen=True):
    """The newest snapshot that can be trusted, and what was wrong with newer ones."""

    snapshot: Snapshot | None
    problems: tuple[Problem, ...]


def follow(rows: Iterable[tuple[object, ...]], after: Point) -> Iterator[Record]:
    """
    The records stored in ``rows``, each proven to follow the one before it.

    Raises:
        LedgerBroken: a record is missing, or its content does not give its hash.
    """
    seq, prev = after.seq, after.hash
    for row in rows:
        seq += 1
        try:
            record = restore(row, prev)
        except ValueError as error:
            raise LedgerBroken(seq, str(error)) from None
        if record.seq != seq:
            raise LedgerBroken(seq, "it is missing")
        if not record.intact:
            raise LedgerBroken(seq, "its content does not give its hash")
        prev = record.hash
        yield record


def read(directory: Path, *, schema: int, after_seq: int = 0) -> Iterator[Record]:
    """
    The records after ``after_seq``, oldest first, as far as the ledger reaches when its end is read.

    Raises:
        LedgerBroken: a record is not the one that was written, or is missing.
        LedgerTooNew: a record's schema is newer than ``schema``.
        LedgerUnwritable: a file cannot be read.
        LedgerMissing: there is no ledger.
    """
    at: Point | None = None
    for path in _from(directory, after_seq):
        seq = (at.seq if at else after_seq) + 1
        try:
            with Segment.reader(path) as segment:
                info = segment.info()
                if info is None:
                    continue
                start = Point(info.first_seq - 1, info.prev_hash)
                if at is None:
                    at = genesis(info.account) if after_seq == 0 else _point(segment, start, after_seq)
                elif start != at:
                    raise LedgerBroken(seq, f"{path.name} does not continue the segment before it")
                for record in follow(segment.rows(at.seq), at):
                    if record.schema > schema:
                        raise LedgerTooNew(f"record {record.seq} has schema {record.schema}, known is {schema}")
                    at = Point(record.seq, record.hash)
                    yield record
        except sqlite3.Error as error:
            raise named(error, path, seq) from error


def hash_at(directory: Path, seq: int) -> bytes | None:
    """The stored hash of record ``seq``, not checked; None if there is no such record."""
    for path in _from(directory, seq - 1):
        with Segment.reader(path) as segment:
            row = segment.row(seq)
            return row[6] if row and isinstance(row[6], bytes) else None
    return None


def latest_snapshot(
    directory: Path, *, schema: int, before_ns: int | None = None, public_key: Ed25519PublicKey | None = None
) -> SnapshotSearch:
    """
    The newest snapshot, of a state older than ``before_ns`` if given, that belongs to its place in the chain.

    Raises:
        LedgerTooNew: it was written by a newer version.
    """
    problems: list[Problem] = []
    for path in reversed(segment_paths(directory)):
        try:
            with Segment.reader(path) as segment:
                info = segment.info()
                for stored in segment.snapshots() if info else ():
                    found = trusted(segment, stored, info.account if info else "", public_key)
                    if found is None:
                        what = "the snapshot is not the one that was written"
                        problems.append(Problem(Code.SNAPSHOT_DAMAGED, stored.seq, path.name, what))
                    elif before_ns is None or found.at_ns < before_ns:
                        if found.schema > schema:
                            raise LedgerTooNew(f"snapshot {found.seq} has schema {found.schema}, known is {schema}")
                        return SnapshotSearch(found, tuple(problems))
        except (sqlite3.Error, LedgerBroken) as error:
            problems.append(Problem(Code.SEGMENT_UNREADABLE, None, path.name, str(error)))
    return SnapshotSearch(None, tuple(problems))


def _from(directory: Path, after_seq: int) -> Iterator[Path]:
    """The segments from the one that holds the record after ``after_seq``, oldest first."""
    paths = segment_paths(directory)
    first = len(paths)
    while first > 0:
        first -= 1
        path = paths[first]
        try:
            with Segment.reader(path) as segment:
                info = segment.info()
        except sqlite3.Error as error:
            raise named(error, path, after_seq + 1) from error
        if info is not None and info.first_seq <= after_seq + 1:
            break
    yield from paths[first:]


def _point(segment: Segment, start: Point, seq: int) -> Point:
    """The point of the chain at record ``seq``, which is in this segment or just before it."""
    if start.seq == seq:
        return start
    row = segment.row(seq)
    if row is None or not isinstance(row[6], bytes):
        raise LedgerBroken(seq, "it is missing")
    return Point(seq, row[6])


def trusted(segment: Segment, stored: StoredSnapshot, account: str, public_key: Ed25519PublicKey | None) -> Snapshot | None:
    """The snapshot, if it is the one that was written for its place in the chain."""
    row = segment.row(stored.seq)
    match row:
        case (int(seq), int(at_ns), _, _, _, _, bytes(hash_)):
            message = snapshot_message(account, Point(seq, hash_), stored.schema, digest(stored.payload))
            if digest(message) == stored.digest and genuine(public_key, stored.signature, message):
                return Snapshot(seq, at_ns, stored.schema, stored.payload)
    return None
