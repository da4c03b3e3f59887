"""The ledger on a disk that fails: a named problem at once, nothing lost, everything written when the disk is back."""

import errno
import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from interlock.ledger import Ledger, LedgerBroken, LedgerError, LedgerUnwritable, read
from interlock.ledger.errors import named
from interlock.ledger.record import header
from interlock.ledger.writer import NewRecord, NewSnapshot, Writer
from unit.ledger.shelf import DAY_NS, SCHEMA, START_NS, Shelf, until


def stored(directory: Path) -> list[bytes | None]:
    return [record.payload for record in read(directory, schema=SCHEMA)]


def append(ledger: Ledger, first: int, last: int) -> None:
    for i in range(first, last + 1):
        assert ledger.append(START_NS, 1, b"%d" % i) == i


def numbers(last: int) -> list[bytes]:
    return [b"%d" % i for i in range(1, last + 1)]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process can grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more(shelf: Shelf) -> None:
    with shelf.open() as ledger:
        append(ledger, 1, 10)
        assert ledger.wait(10, 10.0)
        with file_size_limit(64 * 1024):
            big = [ledger.append(START_NS, 1, bytes(20_000)) for _ in range(20)]
            until(lambda: ledger.problem is not None)
            problem = ledger.problem
            assert isinstance(problem, LedgerUnwritable)
            assert problem.remedy
            assert not ledger.wait(big[-1], 0.05)
        assert ledger.wait(big[-1], 30.0)
        until(lambda: ledger.problem is None)
    assert stored(shelf.directory) == numbers(10) + [bytes(20_000)] * 20
    assert shelf.verify().problems == ()


def test_a_full_database(shelf: Shelf) -> None:
    with shelf.open() as ledger:
        append(ledger, 1, 10)
        assert ledger.wait(10, 10.0)
        segment = ledger._writer._segment
        assert segment is not None
        segment._connection.execute("PRAGMA max_page_count = 20").fetchall()
        seq = ledger.append(START_NS, 1, bytes(200_000))
        until(lambda: ledger.problem is not None or ledger.durable_seq == seq)
        assert ledger.wait(seq, 30.0)
    assert stored(shelf.directory) == [*numbers(10), bytes(200_000)]


def test_another_program_holds_the_file(shelf: Shelf) -> None:
    with shelf.open() as ledger:
        append(ledger, 1, 5)
        assert ledger.wait(5, 10.0)
        with closing(sqlite3.connect(shelf.segments()[0], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            append(ledger, 6, 800)
            until(lambda: ledger.problem is not None)
            assert "other program" in str(ledger.problem)
            assert ledger.durable_seq == 5
            append(ledger, 801, 900)
            other.execute("ROLLBACK")
        assert ledger.wait(900, 30.0)
        until(lambda: ledger.problem is None)
    assert stored(shelf.directory) == numbers(900)
    assert shelf.verify().problems == ()


def test_the_file_is_moved_away_and_back(shelf: Shelf, tmp_path: Path) -> None:
    with shelf.open() as ledger:
        append(ledger, 1, 5)
        assert ledger.wait(5, 10.0)
        path = shelf.segments()[0]
        path.rename(tmp_path / "away")
        append(ledger, 6, 7)
        until(lambda: "is gone" in str(ledger.problem))
        (tmp_path / "away").rename(path)
        assert ledger.wait(7, 30.0)
        until(lambda: ledger.problem is None)
    assert stored(shelf.directory) == numbers(7)


def test_an_older_copy_of_the_file_is_not_continued(shelf: Shelf, tmp_path: Path) -> None:
    shelf.fill(days=1, per_day=3)
    path = shelf.segments()[0]
    shutil.copy(path, tmp_path / "older")
    ledger = shelf.open()
    assert ledger.wait(ledger.append(START_NS, 1, b"acknowledged"), 10.0)
    for name in (path.name + "-wal", path.name + "-shm", path.name):
        (path.parent / name).unlink()
    shutil.copy(tmp_path / "older", path)
    ledger.append(START_NS, 1, b"never")
    until(lambda: "ends at record 3" in str(ledger.problem))
    assert isinstance(ledger.problem, LedgerBroken)
    with pytest.raises(LedgerUnwritable, match="1 records are not durable"):
        ledger.close()
    with pytest.raises(LedgerUnwritable, match="closed"):
        ledger.append(START_NS, 1, b"late")


def test_the_next_day_waits_for_the_disk_too(shelf: Shelf) -> None:
    tomorrow = shelf.directory / "2024-10-05.sqlite"
    with shelf.open() as ledger:
        append(ledger, 1, 3)
        assert ledger.wait(3, 10.0)
        tomorrow.mkdir()
        for i in (4, 5):
            ledger.append(START_NS + DAY_NS, 1, b"%d" % i)
        until(lambda: ledger.problem is not None)
        assert ledger.durable_seq == 3
        tomorrow.rmdir()
        assert ledger.wait(5, 30.0)
    assert stored(shelf.directory) == numbers(5)
    assert shelf.verify().problems == ()


@contextmanager
def hanging(shelf: Shelf) -> Iterator[None]:
    """The anchor is a pipe that nobody reads: opening it blocks in the kernel, as a dead network disk does."""
    away = shelf.anchor.rename(shelf.anchor.with_name("away"))
    os.mkfifo(shelf.anchor)
    try:
        yield
    finally:
        both_ends = os.open(shelf.anchor, os.O_RDWR)
        away.rename(shelf.anchor)
        os.close(both_ends)


def test_a_disk_that_hangs_holds_only_the_writer_thread(shelf: Shelf) -> None:
    with shelf.open(head_every_records=1, answer_s_max=0.05) as ledger:
        with hanging(shelf):
            append(ledger, 1, 1)
            assert ledger.wait(1, 10.0)
            until(lambda: "has not answered" in str(ledger.problem))
            append(ledger, 2, 50)
            assert not ledger.wait(50, 0.05)
            assert ledger.durable_seq == 1
        assert ledger.wait(50, 30.0)
        until(lambda: ledger.problem is None)
    assert stored(shelf.directory) == numbers(50)
    assert shelf.verify().problems == ()
    assert shelf.verify().vouched_seq == 50


def test_closing_does_not_wait_for_a_disk_that_hangs(shelf: Shelf) -> None:
    ledger = shelf.open(head_every_records=1)
    with hanging(shelf):
        append(ledger, 1, 1)
        assert ledger.wait(1, 10.0)
        until(lambda: ledger._busy_since_s is not None)
        append(ledger, 2, 50)
        with pytest.raises(LedgerUnwritable, match="does not answer, 49 records are not durable"):
            ledger.close(timeout_s=0.05)
    ledger._thread.join(30.0)
    assert stored(shelf.directory) == numbers(50)


def test_an_anchor_on_a_full_disk_stops_no_records(shelf: Shelf) -> None:
    shelf.anchor.symlink_to("/dev/full")
    ledger = shelf.open()
    append(ledger, 1, 5)
    assert ledger.wait(5, 10.0)
    until(lambda: ledger.problem is not None)
    assert "No space left" in str(ledger.problem)
    append(ledger, 6, 9)
    assert ledger.wait(9, 10.0)
    shelf.anchor.unlink()
    until(lambda: ledger.problem is None)
    ledger.close()
    assert shelf.verify().problems == ()
    assert shelf.verify().vouched_seq == 9


def test_an_anchor_that_is_away_at_the_start_is_read_when_it_is_back(shelf: Shelf) -> None:
    shelf.fill(days=1, per_day=3)
    away = shelf.anchor.parent.rename(shelf.anchor.parent.with_name("away"))
    shelf.anchor.parent.write_text("not a directory")
    with shelf.open() as ledger:
        until(lambda: ledger.problem is not None)
        assert ledger.wait(ledger.append(START_NS, 1, b"on"), 10.0)
        shelf.anchor.parent.unlink()
        away.rename(shelf.anchor.parent)
        until(lambda: ledger.problem is None)
    assert shelf.verify().problems == ()
    assert shelf.verify().vouched_seq == 4


def test_the_anchor_of_another_account_is_refused(shelf: Shelf) -> None:
    shelf.fill(days=1, per_day=3)
    with pytest.raises(LedgerBroken, match="anchor is of account main"):
        Ledger.open(shelf.directory.with_name("second"), account="second", schema=SCHEMA, anchor=shelf.anchor)


def test_an_anchor_whose_end_is_no_head_is_refused(shelf: Shelf) -> None:
    shelf.fill(days=1, per_day=3)
    with shelf.anchor.open("a") as file:
        file.write("{}\n")
    with pytest.raises(LedgerBroken, match="not a head"):
        shelf.open()


def test_a_log_that_a_crash_left_is_synced_before_it_counts(shelf: Shelf) -> None:
    shelf.directory.mkdir()
    writer = Writer(shelf.directory, "main", SCHEMA, None, None)
    writer.commit([NewRecord(1, START_NS, 1, header(1, START_NS, 1, SCHEMA), b"1")])
    with closing(sqlite3.connect(shelf.segments()[0], isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM records").fetchall()
        with pytest.raises(LedgerUnwritable, match="being read"):
            Ledger.open(shelf.directory, account="main", schema=SCHEMA)
        reader.execute("ROLLBACK")
    writer.abandon()
    with shelf.open() as ledger:
        assert ledger.durable_seq == 1


def test_a_commit_that_got_through_although_it_failed_is_not_repeated(shelf: Shelf) -> None:
    shelf.directory.mkdir()
    writer = Writer(shelf.directory, "main", SCHEMA, shelf.key, None)
    entries = [NewRecord(i, START_NS, 1, header(i, START_NS, 1, SCHEMA), b"%d" % i) for i in (1, 2)]
    start = writer.durable
    assert writer.commit(entries) == 2
    end = writer.durable
    writer.abandon()
    writer.durable = start
    assert writer.commit([*entries, NewSnapshot(b"state")]) == 3
    assert writer.durable == end
    writer.sign()
    signed = writer._signed_seq
    writer._signed_seq = 0
    writer.abandon()
    writer.sign()
    assert writer._signed_seq == signed == 2
    writer.close()
    assert stored(shelf.directory) == numbers(2)


def test_a_segment_that_was_begun_is_continued_and_a_foreign_one_is_not(shelf: Shelf) -> None:
    shelf.fill(days=1, per_day=1)
    for wrong, day in ((False, 1), (True, 2)):
        writer = Writer(shelf.directory, "main", SCHEMA, shelf.key, None)
        writer.recover()
        seq = writer.durable.seq + 1
        entry = NewRecord(seq, START_NS + day * DAY_NS, 1, header(seq, START_NS + day * DAY_NS, 1, SCHEMA), b"")
        old = (writer._segment, writer._day)
        writer._begin_segment(entry)
        assert writer._segment is not None
        writer._segment.close()
        if wrong:
            shelf.sql(-1, "UPDATE segment SET first_seq = 77")
            writer._segment, writer._day = None, old[1]
            with pytest.raises(LedgerBroken, match="already holds"):
                writer.commit([entry])
        else:
            writer._segment, writer._day = None, old[1]
            assert writer.commit([entry]) == 1
            writer.sign()
            writer.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_stops_for_a_fault_of_its_own_says_so(shelf: Shelf) -> None:
    ledger = shelf.open()
    with ledger._mutex:
        ledger._queue.append("no entry")  # type: ignore[arg-type]
    ledger._bell.ring()
    until(lambda: ledger.problem is not None)
    assert "stopped unexpectedly" in str(ledger.problem)
    assert not ledger.wait(1, 3600.0)
    with pytest.raises(LedgerUnwritable, match="closed"):
        ledger.append(START_NS, 1, b"")
    with pytest.raises(LedgerUnwritable, match="stopped"):
        ledger.close()


def test_the_reason_for_refusing_is_in_the_refusal(shelf: Shelf) -> None:
    with shelf.open(pending_max=3) as ledger:
        assert ledger.wait(ledger.append(START_NS, 1, b""), 10.0)
        with closing(sqlite3.connect(shelf.segments()[0], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                ledger.append(START_NS, 1, b"")
            until(lambda: ledger.problem is not None)
            with pytest.raises(LedgerUnwritable, match=r"3 records are waiting for the disk .*other program"):
                ledger.append(START_NS, 1, b"")
            with pytest.raises(LedgerUnwritable):
                ledger.snapshot(b"")
            other.execute("ROLLBACK")
        assert ledger.wait(4, 30.0)


def test_a_damaged_segment_is_not_opened(shelf: Shelf) -> None:
    shelf.fill()
    shelf.segments()[-1].write_bytes(b"nothing" * 3000)
    with pytest.raises(LedgerBroken, match="damaged"):
        shelf.open()


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        ("UPDATE records SET hash = zeroblob(32) WHERE seq = 30", "last head speaks"),
        ("UPDATE heads SET signature = zeroblob(64)", "not signed"),
        ("DELETE FROM heads; UPDATE records SET payload = x'00' WHERE seq = 25", "content"),
        ("DELETE FROM heads; DELETE FROM records WHERE seq = 25", "missing"),
        ("DELETE FROM heads; UPDATE records SET payload = NULL WHERE seq = 25", "wrong type"),
    ],
)
def test_an_end_that_was_changed_is_not_vouched_for(shelf: Shelf, edit: str, what: str) -> None:
    shelf.fill()
    shelf.sql(2, *edit.split("; "))
    with pytest.raises(LedgerBroken, match=what):
        shelf.open(anchor=None)
    with pytest.raises(LedgerBroken, match=what):
        shelf.open(anchor=None)


def test_a_place_where_no_ledger_can_be(shelf: Shelf) -> None:
    shelf.directory.write_text("a file")
    with pytest.raises(LedgerUnwritable):
        shelf.open()


def test_reading_from_beyond_the_end_is_an_error(shelf: Shelf) -> None:
    shelf.fill()
    with pytest.raises(LedgerBroken):
        list(read(shelf.directory, schema=SCHEMA, after_seq=31))


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (OSError(errno.ENOSPC, "full"), LedgerUnwritable, "free space"),
        (OSError(errno.EROFS, "read-only"), LedgerUnwritable, "writable"),
        (OSError(errno.EIO, "input/output"), LedgerUnwritable, "check the disk"),
        (LedgerBroken(3, "itself"), LedgerBroken, "backup"),
        (sqlite3.ProgrammingError("no code"), LedgerUnwritable, "check the disk"),
    ],
)
def test_every_error_has_a_remedy(error: OSError, kind: type[LedgerError], remedy: str) -> None:
    found = named(error, Path("ledger"), 1)
    assert type(found) is kind
    assert remedy in found.remedy
    assert found.remedy in str(found)
