"""
The disk's side of the ledger: everything that may block, fail or hang, called by one thread at a time.

It holds the durable point of the chain. Every method either has done what it says or raises and may be called again:
after an error the file is closed, and the next call opens it anew and looks at what really got there.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.ledger.errors import LedgerBroken
from interlock.ledger.heads import Anchor, Head, genuine, sign, snapshot_message
from interlock.ledger.reader import follow, hash_at
from interlock.ledger.record import Point, day_of, digest, genesis, link, start_of
from interlock.ledger.segment import Info, Row, Segment, StoredSnapshot, segment_day, segment_path, segment_paths

_UNANCHORED_MAX: Final = 4096


class NewRecord(msgspec.Struct, frozen=True, gc=False):
    """A record that waits to be written."""

    seq: int
    at_ns: int
    kind: int
    header: bytes
    payload: bytes


class NewSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A snapshot that waits to be written, of the state after the record queued before it."""

    payload: bytes


Entry = NewRecord | NewSnapshot


class Writer:
    """The open end of a ledger."""

    def __init__(
        self,
        directory: Path,
        account: str,
        schema: int,
        key: Ed25519PrivateKey | None,
        anchor: Path | None,
        segment_days: int = 1,
    ) -> None:
        self._directory = directory
        self._account = account
        self._schema = schema
        self._key = key
        self._public_key = key.public_key() if key else None
        self._anchor = Anchor(anchor) if anchor else None
        self._segment: Segment | None = None
        self._day: int | None = None
        self._segment_days = segment_days
        self._at_ns = 0
        self._unanchored: deque[Head] = deque(maxlen=_UNANCHORED_MAX)
        self._signed_seq = 0
        self._anchored_seq: int | None = None
        self.durable = genesis(account)

    @property
    def unsigned_count(self) -> int:
        """How many durable records are behind the last head."""
        return self.durable.seq - self._signed_seq

    @property
    def unanchored(self) -> bool:
        """True if the anchor file has not been read yet, or lacks a head."""
        return self._anchor is not None and (self._anchored_seq is None or bool(self._unanchored))

    @property
    def current_path(self) -> Path | None:
        """The segment that is being written; all older ones are closed for good."""
        return None if self._day is None else segment_path(self._directory, self._day)

    def recover(self) -> None:
        """
        The durable point is where the ledger ends, and everything behind the last signed head has been checked.

        Raises:
            LedgerBroken: the end of the ledger is not what was written.
        """
        for path in reversed(segment_paths(self._directory)):
            self._segment = segment = Segment.writer(path)
            info = segment.info()
            if info is not None:
                self._day = segment_day(path)
                self._check_tail(segment, info)
                break
            self.abandon()
        with suppress(OSError):  # an anchor that is away stops opening orders, not the engine: ``anchor`` asks again
            self._read_anchor()

    def commit(self, entries: Sequence[Entry]) -> int:
        """
        The first entries, as many as returned, are durable; they end where the next segment begins.

        Raises:
            LedgerBroken: the file does not hold what was acknowledged.
            sqlite3.Error, OSError: the disk did not take them.
        """
        first = entries[0]
        if isinstance(first, NewRecord) and (self._day is None or first.at_ns >= start_of(self._day + self._segment_days)):
            self._begin_segment(first)
        rows, snapshots, count = self._chain(entries)
        end = Point(rows[-1][0], rows[-1][5]) if rows else self.durable
        try:
            segment, found = self._connect(end)
            if snapshots or found != end:
                segment.write([] if found == end else rows, snapshots)
        except BaseException:
            self.abandon()
            raise
        self.durable = end
        self._at_ns = rows[-1][1] if rows else self._at_ns
        return count

    def sign(self) -> None:
        """The durable point is signed in its segment."""
        if not self.unsigned_count:
            return
        head = Head(self._account, self.durable.seq, self._at_ns, self.durable.hash)
        head = Head(head.account, head.seq, head.at_ns, head.hash, sign(self._key, head.message))
        try:
            segment, _ = self._connect(self.durable)
            stored = segment.last_head(self._account)
            if stored is None or stored.seq < head.seq:
                segment.write_head(head)
        except BaseException:
            self.abandon()
            raise
        self._signed_seq = head.seq
        self._unanchored.append(head)

    def anchor(self) -> None:
        """The anchor file agrees with the ledger and has every head since."""
        if self._anchored_seq is None:
            self._read_anchor()
        while self._anchor and self._unanchored:
            head = self._unanchored[0]
            if head.seq > (self._anchored_seq or 0):
                self._anchor.append(head)
                self._anchored_seq = head.seq
            self._unanchored.popleft()

    def close(self) -> None:
        """The current segment is one closed file."""
        if self._segment is not None:
            segment, self._segment = self._segment, None
            segment.seal()

    def abandon(self) -> None:
        """No file is open; what is durable stays so."""
        if self._segment is not None:
            segment, self._segment = self._segment, None
            segment.close()

    def _begin_segment(self, first: NewRecord) -> None:
        self.sign()
        self.close()
        day = day_of(first.at_ns)
        segment = Segment.writer(segment_path(self._directory, day))
        try:
            start = Info(self._account, self.durable.seq + 1, self.durable.hash)
            found = segment.info()
            if found is None:
                segment.begin(start)
            elif found != start:
                raise LedgerBroken(start.first_seq, f"{segment.path} already holds other records")
        except BaseException:
            segment.close()
            raise
        self._segment, self._day = segment, day

    def _chain(self, entries: Sequence[Entry]) -> tuple[list[Row], list[StoredSnapshot], int]:
        rows: list[Row] = []
        snapshots: list[StoredSnapshot] = []
        seq, prev = self.durable.seq, self.durable.hash
        assert self._day is not None
        end_ns = start_of(self._day + self._segment_days)
        for count, entry in enumerate(entries):
            if isinstance(entry, NewSnapshot):
                snapshots.append(self._seal_snapshot(entry, Point(seq, prev)))
                continue
            at_ns, payload = entry.at_ns, entry.payload
            if at_ns >= end_ns:
                return rows, snapshots, count
            seq, prev = entry.seq, link(prev, entry.header, digest(payload))
            rows.append((seq, at_ns, entry.kind, self._schema, payload, prev))
        return rows, snapshots, len(entries)

    def _seal_snapshot(self, snapshot: NewSnapshot, at: Point) -> StoredSnapshot:
        message = snapshot_message(self._account, at, self._schema, digest(snapshot.payload))
        return StoredSnapshot(at.seq, self._schema, snapshot.payload, digest(message), sign(self._key, message))

    def _connect(self, end: Point) -> tuple[Segment, Point]:
        """The current segment, and where it ends: at the durable point, or at ``end`` if that got there after all."""
        if self._segment is not None:
            if not self._segment.present():
                raise LedgerBroken(self.durable.seq, f"{self._segment.path} was removed or replaced while in use")
            return self._segment, self.durable
        path = self.current_path
        if path is None or not path.exists():
            raise LedgerBroken(self.durable.seq, f"{path} is gone")
        self._segment = Segment.writer(path)
        found = self._segment.last()
        if found not in (self.durable, end):
            raise LedgerBroken(self.durable.seq, f"{path} ends at record {found.seq}, not where it was left")
        return self._segment, found

    def _check_tail(self, segment: Segment, info: Info) -> None:
        """Checks what no signed head covers yet: the next head would vouch for it."""
        if info.account != self._account:
            raise LedgerBroken(info.first_seq, f"{segment.path} is of account {info.account}, not {self._account}")
        point = Point(info.first_seq - 1, info.prev_hash)
        head = segment.last_head(self._account)
        if head is not None:
            point = Point(head.seq, head.hash)
            row = segment.row(point.seq)
            if row is None or row[6] != point.hash:
                raise LedgerBroken(point.seq, "it is not the record that the last head speaks of")
            if not genuine(self._public_key, head.signature, head.message):
                raise LedgerBroken(point.seq, "its head was not signed with the ledger's key")
            self._at_ns = head.at_ns
            self._unanchored.append(head)
        self._signed_seq = point.seq
        self.durable = point
        for record in follow(segment.rows(point.seq), point):
            self.durable, self._at_ns = Point(record.seq, record.hash), record.at_ns

    def _read_anchor(self) -> None:
        if self._anchor is None:
            return
        try:
            last = self._anchor.last()
        except OSError:
            raise
        except ValueError as error:
            raise LedgerBroken(self.durable.seq, f"the last line of {self._anchor.path} is {error}") from None
        if last is None:
            self._anchor.create()
        elif last.account != self._account:
            raise LedgerBroken(last.seq, f"the anchor is of account {last.account}, not {self._account}")
        elif last.seq > self.durable.seq:
            raise LedgerBroken(self.durable.seq + 1, f"it is cut off: the anchor knows records up to {last.seq}")
        elif hash_at(self._directory, last.seq) != last.hash:
            raise LedgerBroken(last.seq, "it is not the record that the anchor speaks of")
        self._anchored_seq = last.seq if last else 0
