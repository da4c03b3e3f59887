"""Retention empties what it may and nothing else; the chain still verifies and replay can start at a snapshot."""

import hashlib
import sqlite3
from contextlib import closing

import pytest

from interlock.ledger import LedgerUnwritable, latest_snapshot, read
from unit.ledger.shelf import DAY_NS, SCHEMA, START_NS, Shelf

MARK, DECISION = 1, 2


def fill(shelf: Shelf, days: int = 4, size: int = 500) -> None:
    with shelf.open() as ledger:
        for day in range(days):
            for i in range(20):
                ledger.append(START_NS + day * DAY_NS + i, MARK if i % 2 else DECISION, bytes([i]) * size)
            ledger.snapshot(b"state of day %d" % day)


def pruned(shelf: Shelf) -> list[int]:
    return [record.seq for record in read(shelf.directory, schema=SCHEMA) if record.payload is None]


def test_old_marks_are_emptied_and_decisions_stay(shelf: Shelf) -> None:
    fill(shelf)
    before = sum(path.stat().st_size for path in shelf.segments())
    with shelf.open() as ledger:
        assert ledger.prune(START_NS + 2 * DAY_NS, [MARK]) == 20
        assert ledger.prune(START_NS + 2 * DAY_NS, [MARK]) == 0
        ledger.append(START_NS + 3 * DAY_NS, MARK, b"goes on")
    assert pruned(shelf) == [*range(2, 41, 2)]
    report = shelf.verify()
    assert report.problems == ()
    assert (report.records, report.pruned) == (81, 20)
    assert sum(path.stat().st_size for path in shelf.segments()) < before
    snapshots = latest_snapshot(shelf.directory, schema=SCHEMA, before_ns=START_NS + 2 * DAY_NS)
    assert snapshots.snapshot is not None
    assert snapshots.snapshot.payload == b"state of day 1"
    assert latest_snapshot(shelf.directory, schema=SCHEMA, before_ns=START_NS + DAY_NS).snapshot is None


def test_nothing_after_the_last_old_enough_snapshot_is_emptied(shelf: Shelf) -> None:
    fill(shelf)
    shelf.sql(1, "DELETE FROM snapshots")
    with shelf.open() as ledger:
        assert ledger.prune(START_NS + 2 * DAY_NS, [MARK, 7]) == 10
    assert max(pruned(shelf)) == 20
    assert shelf.verify().problems == ()


def test_without_a_snapshot_nothing_is_emptied(shelf: Shelf) -> None:
    shelf.fill()
    with shelf.open() as ledger:
        assert ledger.prune(START_NS + 9 * DAY_NS, [1]) == 0


def test_the_segment_being_written_is_left_alone(shelf: Shelf) -> None:
    fill(shelf, days=1)
    with shelf.open() as ledger:
        assert ledger.prune(START_NS + 9 * DAY_NS, [MARK]) == 0
    assert pruned(shelf) == []


def test_a_mark_does_not_cover_younger_records_or_other_kinds(shelf: Shelf) -> None:
    fill(shelf)
    with shelf.open() as ledger:
        ledger.prune(START_NS + DAY_NS + 10, [MARK])
    for seq, i in ((11, 10), (40, 19)):
        digest = hashlib.sha256(bytes([i]) * 500).hexdigest()
        shelf.sql((seq - 1) // 20, f"UPDATE records SET payload = NULL, digest = x'{digest}' WHERE seq = {seq}")
    assert shelf.found() == [("PAYLOAD_REMOVED", 11), ("PAYLOAD_REMOVED", 40)]


def test_an_emptied_record_still_proves_its_digest(shelf: Shelf) -> None:
    fill(shelf)
    with shelf.open() as ledger:
        ledger.prune(START_NS + 2 * DAY_NS, [MARK])
    shelf.sql(0, "UPDATE records SET digest = zeroblob(32) WHERE seq = 4")
    assert shelf.found() == [("RECORD_EDITED", 4)]


def test_a_segment_somebody_has_locked_is_left_for_later(shelf: Shelf) -> None:
    fill(shelf)
    with shelf.open() as ledger:
        with closing(sqlite3.connect(shelf.segments()[0], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnwritable, match="other program"):
                ledger.prune(START_NS + 2 * DAY_NS, [MARK])
        assert ledger.prune(START_NS + 2 * DAY_NS, [MARK]) == 20


def test_a_file_that_a_crash_left_empty_is_passed_over(shelf: Shelf) -> None:
    fill(shelf)
    (shelf.directory / "2024-10-02.sqlite").touch()
    with shelf.open() as ledger:
        assert ledger.prune(START_NS + 2 * DAY_NS, [MARK]) == 20


def test_a_reader_keeps_its_place_while_a_segment_is_pruned(shelf: Shelf) -> None:
    fill(shelf)
    records = read(shelf.directory, schema=SCHEMA)
    assert next(records).seq == 1
    with shelf.open() as ledger:
        assert ledger.prune(START_NS + 2 * DAY_NS, [MARK]) == 20
    assert [record.seq for record in records] == [*range(2, 81)]
