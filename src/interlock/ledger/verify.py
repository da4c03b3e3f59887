"""
Verification: every way in which a ledger can differ from what was written is found, and named with its record.

The chain finds an edit, a gap, a swap. Signed heads find a chain recomputed by somebody without the key; the anchor
finds a tail cut off together with its heads. What no head covers yet is only chained: the report says up to where the
signatures reach.
"""

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, cast

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from interlock.ledger.errors import LedgerBroken, LedgerTooNew
from interlock.ledger.heads import Anchor, Head, genuine, retention_message
from interlock.ledger.problems import Code, Problem
from interlock.ledger.reader import trusted
from interlock.ledger.record import Point, Record, genesis, header, link, restore
from interlock.ledger.segment import Info, Segment, segment_paths

_PROBLEMS_MAX: Final = 100
_SEARCHES_MAX: Final = 8
_BEFORE_ALL: Final = -(2**63)


class VerifyReport(msgspec.Struct, frozen=True):
    """
    What was checked and found; the ledger is sound if there are no problems.

    ``vouched_seq`` is the last record that a matching head covers: beyond it the records are chained, not signed.
    """

    records: int
    pruned: int
    head: Point | None
    vouched_seq: int
    problems: tuple[Problem, ...]


def verify(
    directory: Path,
    *,
    public_key: Ed25519PublicKey | None = None,
    anchor: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> VerifyReport:
    """
    Everything in the ledger has been compared with its chain, its heads and the anchor; nothing was changed.

    Stops after a hundred problems. A ledger may be verified while it is being written. `progress` is told the number of
    each record that has been looked at.

    Raises:
        LedgerMissing: there is no ledger.
    """
    walk = _Walk(directory, public_key, anchor, progress)
    problems = tuple(islice(walk.problems(), _PROBLEMS_MAX))
    return VerifyReport(walk.records, walk.pruned, walk.at, walk.vouched_seq, problems)


class _Walk:
    """One walk along the chain; ``at`` is the point up to which it has been followed."""

    def __init__(
        self,
        directory: Path,
        public_key: Ed25519PublicKey | None,
        anchor: Path | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.at: Point | None = None
        self.records = 0
        self.pruned = 0
        self.vouched_seq = 0
        self._directory = directory
        self._public_key = public_key
        self._anchor = anchor
        self._progress = progress
        self._anchored: Head | None = None
        self._anchor_heads: Iterator[Head | ValueError] = iter(())
        self._account: str | None = None
        self._tips: tuple[bytes, ...] = ()
        self._lost = False
        self._ends_with_head = True
        self._recomputed = False

    def problems(self) -> Iterator[Problem]:
        """Everything that is wrong, in the order of the chain."""
        if self._anchor is not None:
            self._anchor_heads = Anchor(self._anchor).heads()
        yield from self._pull_anchored()
        paths = segment_paths(self._directory)
        for path in paths:
            try:
                yield from self._segment(path, last=path == paths[-1])
            except LedgerTooNew as error:
                yield self._lose(Code.TOO_NEW, path, error)
            except (sqlite3.Error, LedgerBroken) as error:
                yield self._lose(Code.SEGMENT_UNREADABLE, path, error)
        yield from self._cut_tail()

    def _lose(self, code: Code, path: Path, error: Exception) -> Problem:
        self._lost = True
        return Problem(code, self._seq + 1, path.name, str(error))

    @property
    def _seq(self) -> int:
        return self.at.seq if self.at else 0

    def _segment(self, path: Path, *, last: bool) -> Iterator[Problem]:
        with Segment.reader(path) as segment:
            info = segment.info()
            if info is None:
                return
            at, problem = self._join(segment, info)
            self.at = at
            if problem:
                yield problem
            yield from self._records(segment, info.account, last=last)
            yield from self._snapshots(segment, info.account)

    def _join(self, segment: Segment, info: Info) -> tuple[Point, Problem | None]:
        """The point where this segment's records start, and what is wrong with that."""
        name, start = segment.path.name, Point(info.first_seq - 1, info.prev_hash)
        at = self.at or genesis(info.account)
        lost, self._lost = self._lost, False
        if self._account not in (None, info.account):
            what = f"it belongs to account {info.account}, not {self._account}"
            return start, Problem(Code.SEGMENT_REPLACED, at.seq + 1, name, what)
        self._account = info.account
        if lost or start == at or (start.seq == at.seq and start.hash in self._tips):
            return start, None
        if _follows(next(segment.rows(_BEFORE_ALL), None), at):
            what = "it does not say where it belongs, though its records do"
            return at, Problem(Code.SEGMENT_EDITED, at.seq + 1, name, what)
        if start.seq > at.seq:
            code = Code.SEGMENT_MISSING if self._ends_with_head else Code.RECORD_MISSING
            return start, Problem(code, at.seq + 1, name, f"records {at.seq + 1} to {start.seq} before it are missing")
        what = "it does not continue the segment before it: one of the two was replaced"
        return start, Problem(Code.SEGMENT_REPLACED, min(at.seq, start.seq) + 1, name, what)

    def _records(self, segment: Segment, account: str, *, last: bool) -> Iterator[Problem]:
        assert self.at is not None
        name = segment.path.name
        heads = {head.seq: head for head in segment.heads(account)}
        marks = yield from self._marks(segment, account)
        self._ends_with_head = True
        for step in _Chain(segment, self.at):
            if step.problem:
                yield step.problem
            if step.record is None:
                continue
            seq = step.record.seq
            self.at, self._tips = Point(seq, step.record.hash), step.hashes
            self.records += 1
            if self._progress is not None:
                self._progress(seq)
            if step.record.payload is None:
                self.pruned += 1
                if step.record.at_ns >= marks.get(step.record.kind, _BEFORE_ALL):
                    what = "its payload was removed, and no retention allowed it"
                    yield Problem(Code.PAYLOAD_REMOVED, seq, name, what)
            head = heads.pop(seq, None)
            self._ends_with_head = head is not None
            if head is not None:
                yield from self._compare(head, step.hashes, name)
            while self._anchored is not None and self._anchored.seq <= seq:
                if self._anchored.seq == seq:
                    yield from self._compare(self._anchored, step.hashes, name)
                yield from self._pull_anchored()
        yield from self._left_over(heads.values(), name, last=last)

    def _marks(self, segment: Segment, account: str) -> Generator[Problem, None, dict[int, int]]:
        """Until when payloads may be gone, by kind, as far as the marks are genuine."""
        marks = {}
        for kind, (before_ns, signature) in segment.retention().items():
            if genuine(self._public_key, signature, retention_message(account, kind, before_ns)):
                marks[kind] = before_ns
            else:
                what = f"the mark that payloads of kind {kind} were emptied was not signed with the ledger's key"
                yield Problem(Code.RETENTION_FORGED, None, segment.path.name, what)
        return marks

    def _compare(self, head: Head, hashes: Collection[bytes], name: str) -> Iterator[Problem]:
        if not genuine(self._public_key, head.signature, head.message):
            yield Problem(Code.HEAD_FORGED, head.seq, name, "its head was not signed with the ledger's key")
        elif head.hash in hashes:
            self.vouched_seq = head.seq
        elif not self._recomputed:
            self._recomputed = True
            what = f"a record after {self.vouched_seq} was changed and the chain computed anew: the head disagrees"
            yield Problem(Code.CHAIN_RECOMPUTED, head.seq, name, what)

    def _left_over(self, heads: Iterable[Head], name: str, *, last: bool) -> Iterator[Problem]:
        """Heads that speak of records which are not in their segment, and a closed segment that ends without one."""
        cut = False
        for head in heads:
            if not genuine(self._public_key, head.signature, head.message):
                yield Problem(Code.HEAD_FORGED, head.seq, name, "its head was not signed with the ledger's key")
            elif head.seq > self._seq:
                cut = True
        if cut:
            self._lost = True
            code = Code.TAIL_CUT if last else Code.RECORD_MISSING
            yield Problem(code, self._seq + 1, name, "it and what followed is missing: a head speaks of it")
        elif not last and not self._ends_with_head:
            yield Problem(Code.HEAD_MISSING, self._seq, name, "the segment ends without a head")

    def _snapshots(self, segment: Segment, account: str) -> Iterator[Problem]:
        for stored in segment.snapshots():
            if trusted(segment, stored, account, self._public_key) is None:
                what = "the snapshot is not the one that was written"
                yield Problem(Code.SNAPSHOT_DAMAGED, stored.seq, segment.path.name, what)

    def _cut_tail(self) -> Iterator[Problem]:
        """The anchor speaks of records after the end."""
        if self._anchored is not None and not self._lost:
            what = f"it and what followed is missing: the anchor speaks of record {self._anchored.seq}"
            yield Problem(Code.TAIL_CUT, self._seq + 1, None, what)

    def _pull_anchored(self) -> Iterator[Problem]:
        """The next head of the anchor that is in order and genuine."""
        before = self._anchored.seq if self._anchored else 0
        self._anchored = None
        try:
            for head in self._anchor_heads:
                what = self._misplaced(head, before)
                if what is None:
                    assert isinstance(head, Head)
                    self._anchored = head
                    return
                yield Problem(Code.ANCHOR_DAMAGED, None, None, what)
        except FileNotFoundError:
            yield Problem(Code.ANCHOR_MISSING, None, None, f"there is no anchor file {self._anchor}")

    def _misplaced(self, head: Head | ValueError, before: int) -> str | None:
        if isinstance(head, ValueError):
            return str(head)
        if head.seq < before:
            return f"head {head.seq} stands after head {before}"
        if self._account not in (None, head.account):
            return f"head {head.seq} is of account {head.account}, not {self._account}"
        if not genuine(self._public_key, head.signature, head.message):
            return f"head {head.seq} was not signed with the ledger's key"
        return None


class _Step(NamedTuple):
    """A stored record, the hashes it may be known by, and what is wrong with it."""

    record: Record | None
    hashes: tuple[bytes, ...]
    problem: Problem | None


class _Chain:
    """The records of one segment, followed past whatever is wrong with them."""

    def __init__(self, segment: Segment, at: Point) -> None:
        self._segment = segment
        self._seq = at.seq
        self._prevs: tuple[bytes, ...] = (at.hash,)
        self._searches = 0

    def __iter__(self) -> Iterator[_Step]:
        for row in self._segment.rows(_BEFORE_ALL):
            seq = cast(int, row[0])
            if seq <= self._seq:
                yield _Step(None, (), self._problem(Code.RECORD_EDITED, seq, "it does not belong here"))
                continue
            step = self._step(row, seq)
            if seq > self._seq + 1:
                what = f"records {self._seq + 1} to {seq - 1} are missing"
                yield _Step(None, (), self._problem(Code.RECORD_MISSING, self._seq + 1, what))
                step = step._replace(hashes=step.hashes[-1:], problem=None) if step.record else step
            self._seq, self._prevs = seq, step.hashes
            yield step

    def _step(self, row: tuple[object, ...], seq: int) -> _Step:
        try:
            records = [restore(row, prev) for prev in self._prevs]
        except ValueError as error:
            return _Step(None, self._prevs, self._problem(Code.RECORD_EDITED, seq, str(error)))
        for record in records:
            if record.intact:
                return _Step(record, (record.hash,), None)
        for prev in self._prevs:
            if (found := self._search(seq, prev)) is not None:
                what = f"it was stored in the place of record {found.seq}"
                return _Step(records[0], (found.hash,), self._problem(Code.RECORD_REORDERED, seq, what))
        hashes = (*(_hash_of(record, record.prev, seq) for record in records), records[0].hash)
        what = "its content does not give its hash: it was edited, or another stood here"
        return _Step(records[0], hashes, self._problem(Code.RECORD_EDITED, seq, what))

    def _search(self, seq: int, prev: bytes) -> Point | None:
        """Where the record that belongs at ``seq`` was put, if it is in this segment."""
        self._searches += 1
        if self._searches > _SEARCHES_MAX:
            return None
        for row in self._segment.rows(_BEFORE_ALL):
            try:
                record = restore(row, prev)
            except ValueError:
                continue
            if _hash_of(record, prev, seq) == record.hash:
                return Point(record.seq, record.hash)
        return None

    def _problem(self, code: Code, seq: int, what: str) -> Problem:
        return Problem(code, seq, self._segment.path.name, what)


def _hash_of(record: Record, prev: bytes, seq: int) -> bytes:
    return link(prev, header(seq, record.at_ns, record.kind, record.schema), record.payload_digest)


def _follows(row: tuple[object, ...] | None, at: Point) -> bool:
    try:
        record = restore(row or (), at.hash)
    except ValueError:
        return False
    return record.seq == at.seq + 1 and record.intact
