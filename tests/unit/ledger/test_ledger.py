"""Appending, reopening, one writer, snapshots: the ledger on a disk that works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.ledger import (
    Ledger,
    LedgerBroken,
    LedgerLocked,
    LedgerMissing,
    LedgerTooNew,
    LedgerUnwritable,
    latest_snapshot,
    read,
)
from interlock.ledger.ledger import _GROUP
from unit.ledger.shelf import DAY_NS, SCHEMA, START_NS, Shelf


def payloads(directory: Path, after_seq: int = 0) -> list[bytes | None]:
    return [record.payload for record in read(directory, schema=SCHEMA, after_seq=after_seq)]


def test_what_was_appended_is_read_back_in_order(shelf: Shelf) -> None:
    with shelf.open() as ledger:
        assert [ledger.append(START_NS + i, i, b"%d" % i) for i in range(5)] == [1, 2, 3, 4, 5]
        assert ledger.wait(5, 10.0)
        assert (ledger.durable_seq, ledger.last_seq, ledger.problem) == (5, 5, None)
    records = list(read(shelf.directory, schema=SCHEMA))
    assert [(r.seq, r.at_ns, r.kind, r.schema, r.payload) for r in records] == [
        (i + 1, START_NS + i, i, SCHEMA, b"%d" % i) for i in range(5)
    ]
    assert all(record.intact for record in records)


def test_numbers_go_on_after_reopening(shelf: Shelf) -> None:
    shelf.fill(days=1, per_day=3)
    with shelf.open() as ledger:
        assert ledger.last_seq == ledger.durable_seq == 3
        assert ledger.append(START_NS, 1, b"next") == 4
    assert payloads(shelf.directory, after_seq=2)[1:] == [b"next"]
    assert shelf.verify().problems == ()


def test_an_empty_ledger_can_be_opened_closed_read_and_verified(shelf: Shelf) -> None:
    shelf.open().close()
    assert payloads(shelf.directory) == []
    assert shelf.verify().records == 0
    with shelf.open() as ledger:
        assert ledger.append(START_NS, 1, b"") == 1
    assert payloads(shelf.directory) == [b""]


def test_a_segment_may_hold_more_days(shelf: Shelf) -> None:
    with shelf.open(segment_days=30) as ledger:
        for day in (0, 29, 30, 70):
            ledger.append(START_NS + day * DAY_NS, 1, b"%d" % day)
    assert [path.name for path in shelf.segments()] == ["2024-10-04.sqlite", "2024-11-03.sqlite", "2024-12-13.sqlite"]
    assert payloads(shelf.directory) == [b"0", b"29", b"30", b"70"]
    assert shelf.verify().problems == ()


def test_a_segment_per_day_and_none_when_time_steps_back(shelf: Shelf) -> None:
    with shelf.open() as ledger:
        for day in (0, 1, 0, 1, 4):
            ledger.append(START_NS + day * DAY_NS, 1, b"%d" % day)
    assert [path.name for path in shelf.segments()] == ["2024-10-04.sqlite", "2024-10-05.sqlite", "2024-10-08.sqlite"]
    assert payloads(shelf.directory) == [b"0", b"1", b"0", b"1", b"4"]
    assert shelf.verify().problems == ()


def test_a_closed_ledger_is_plain_files(filled: Shelf) -> None:
    assert sorted(path.name for path in filled.directory.iterdir()) == [
        "2024-10-04.sqlite",
        "2024-10-05.sqlite",
        "2024-10-06.sqlite",
        "lock",
    ]


def test_backlogs_larger_than_a_group_are_written_whole(shelf: Shelf) -> None:
    count = 2 * _GROUP + 77
    with shelf.open(head_every_records=100) as ledger:
        for i in range(count):
            ledger.append(START_NS, 1, b"%d" % i)
        assert ledger.wait(count, 30.0)
    assert payloads(shelf.directory) == [b"%d" % i for i in range(count)]
    assert shelf.verify().problems == ()


def test_the_writer_tells_each_time_more_is_durable(shelf: Shelf) -> None:
    told: list[int] = []
    with shelf.open() as ledger:
        ledger.on_durable(lambda: told.append(ledger.durable_seq))
        for i in range(1, 4):
            ledger.append(START_NS, 1, b"%d" % i)
            assert ledger.wait(i, 10.0)
    assert told == [1, 2, 3]


def test_waiting_ends_at_the_timeout_and_at_the_close(shelf: Shelf) -> None:
    ledger = shelf.open()
    assert not ledger.wait(1, 0.01)
    ledger.close()
    assert not ledger.wait(1, 3600.0)


def test_a_second_writer_is_refused_by_name_of_the_first(shelf: Shelf) -> None:
    program = (
        "import sys; from pathlib import Path; from interlock.ledger import Ledger, LedgerBroken, LedgerLocked\n"
        "try: Ledger.open(Path(sys.argv[1]), account='main', schema=1)\n"
        "except LedgerLocked as error: print(error.pid)"
    )
    with shelf.open():
        other = subprocess.run([sys.executable, "-c", program, shelf.directory], capture_output=True, check=True)
        assert int(other.stdout) == os.getpid()
        with pytest.raises(LedgerLocked, match="stop it"):
            shelf.open()
    shelf.open().close()


def test_a_lock_without_a_name_still_holds(shelf: Shelf) -> None:
    with shelf.open():
        (shelf.directory / "lock").write_text("")
        with pytest.raises(LedgerLocked) as refused:
            shelf.open()
    assert refused.value.pid is None


def test_after_the_close_nothing_is_appended(shelf: Shelf) -> None:
    ledger = shelf.open()
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerUnwritable, match="closed"):
        ledger.append(START_NS, 1, b"late")


@pytest.mark.parametrize(
    ("at_ns", "kind", "payload"),
    [(2**63, 1, b""), (START_NS, -1, b""), (START_NS, 2**32, b""), (START_NS, 1, None), (START_NS, 1, bytearray(3))],
)
def test_what_cannot_be_stored_is_refused_at_once(shelf: Shelf, at_ns: int, kind: int, payload: bytes) -> None:
    with shelf.open() as ledger:
        with pytest.raises(ValueError, match=r"at_ns|payload"):
            ledger.append(at_ns, kind, payload)
        assert ledger.append(START_NS, 1, b"next") == 1
        assert ledger.wait(1, 10.0)


def test_the_queue_is_bounded_in_records_and_bytes(shelf: Shelf) -> None:
    with shelf.open(pending_max=0) as ledger, pytest.raises(LedgerUnwritable, match="0 records are waiting"):
        ledger.append(START_NS, 1, b"")
    with shelf.open(pending_bytes_max=10) as ledger:
        with pytest.raises(LedgerUnwritable, match="waiting"):
            ledger.append(START_NS, 1, bytes(11))
        for _ in range(100):
            assert ledger.wait(ledger.append(START_NS, 1, bytes(10)), 10.0)
    assert shelf.verify().records == 100


def test_records_of_a_newer_schema_are_refused(shelf: Shelf) -> None:
    with shelf.open(schema=2) as ledger:
        ledger.append(START_NS, 1, b"new")
        ledger.snapshot(b"new")
    with pytest.raises(LedgerTooNew, match="upgrade"):
        payloads(shelf.directory)
    with pytest.raises(LedgerTooNew, match="upgrade"):
        latest_snapshot(shelf.directory, schema=1)


def test_a_segment_of_a_newer_format_is_refused(filled: Shelf) -> None:
    filled.sql(-1, "UPDATE segment SET format = 2")
    with pytest.raises(LedgerTooNew, match="upgrade"):
        filled.open()
    with pytest.raises(LedgerTooNew):
        payloads(filled.directory)
    assert filled.found() == [("TOO_NEW", 21)]


def test_the_newest_snapshot_is_found_across_days(shelf: Shelf) -> None:
    with shelf.open() as ledger:
        with pytest.raises(ValueError, match="no record"):
            ledger.snapshot(b"too early")
        for day in range(3):
            for i in range(10):
                ledger.append(START_NS + day * DAY_NS + i, 1, b"")
                if day < 2 and i in (4, 9):
                    assert ledger.snapshot(b"day %d, %d" % (day, i)) == ledger.last_seq
    found = latest_snapshot(shelf.directory, schema=SCHEMA, public_key=shelf.key.public_key())
    assert found.problems == ()
    assert found.snapshot is not None
    assert (found.snapshot.seq, found.snapshot.payload) == (20, b"day 1, 9")
    before = latest_snapshot(shelf.directory, schema=SCHEMA, before_ns=START_NS + 9).snapshot
    assert before is not None
    assert before.seq == 5
    assert latest_snapshot(shelf.directory, schema=SCHEMA, before_ns=START_NS).snapshot is None


def test_a_snapshot_may_be_written_after_the_day_has_turned(shelf: Shelf) -> None:
    with shelf.open() as ledger:
        ledger.append(START_NS, 1, b"")
        assert ledger.wait(1, 10.0)
        ledger.snapshot(b"after 1")
        ledger.append(START_NS + DAY_NS, 1, b"")
    found = latest_snapshot(shelf.directory, schema=SCHEMA)
    assert found.snapshot is not None
    assert found.snapshot.seq == 1
    assert shelf.verify().problems == ()


@pytest.mark.parametrize("column", ["payload = x'00'", "digest = x'00'", "schema = 0", "signature = x'00'", "seq = 99"])
def test_a_damaged_snapshot_is_reported_and_an_older_one_used(shelf: Shelf, column: str) -> None:
    with shelf.open() as ledger:
        for payload in (b"older", b"newer"):
            ledger.append(START_NS, 1, b"")
            ledger.snapshot(payload)
    shelf.sql(0, f"UPDATE snapshots SET {column} WHERE seq = 2")
    found = latest_snapshot(shelf.directory, schema=SCHEMA, public_key=shelf.key.public_key())
    assert found.snapshot is not None
    assert found.snapshot.payload == b"older"
    assert [problem.code.value for problem in found.problems] == ["SNAPSHOT_DAMAGED"]
    assert [code for code, _ in shelf.found()] == ["SNAPSHOT_DAMAGED"]
    assert "older snapshot" in found.problems[0].remedy


def test_a_snapshot_of_another_place_in_the_chain_is_not_trusted_even_without_a_key(shelf: Shelf) -> None:
    with shelf.open(key=None) as ledger:
        for i in range(2):
            ledger.append(START_NS + i, 1, b"")
        ledger.snapshot(b"after 2")
    shelf.sql(0, "UPDATE snapshots SET seq = 1")
    assert latest_snapshot(shelf.directory, schema=SCHEMA).snapshot is None


def test_a_segment_that_cannot_be_read_does_not_hide_older_snapshots(shelf: Shelf) -> None:
    with shelf.open() as ledger:
        ledger.append(START_NS, 1, b"")
        ledger.snapshot(b"older")
        ledger.append(START_NS + DAY_NS, 1, b"")
    shelf.segments()[1].write_bytes(b"not a database" * 1000)
    found = latest_snapshot(shelf.directory, schema=SCHEMA)
    assert found.snapshot is not None
    assert [problem.code.value for problem in found.problems] == ["SEGMENT_UNREADABLE"]


def test_readers_follow_a_ledger_that_is_being_written(shelf: Shelf) -> None:
    count, seen = 3000, 0
    with shelf.open() as ledger:
        for i in range(count):
            ledger.append(START_NS + i * DAY_NS // 1000, 1, b"%d" % i)
            if i % 300 == 299:
                assert ledger.wait(ledger.last_seq - 100, 30.0)
                durable = ledger.durable_seq
                for record in read(shelf.directory, schema=SCHEMA, after_seq=seen):
                    assert record.payload == b"%d" % seen
                    seen += 1
                assert seen >= durable
                assert shelf.verify().problems == ()
    assert payloads(shelf.directory, after_seq=seen) == [b"%d" % i for i in range(seen, count)]


def test_the_ledger_of_another_account_is_not_continued(filled: Shelf) -> None:
    with pytest.raises(LedgerBroken, match="account main"):
        Ledger.open(filled.directory, account="other", schema=SCHEMA)


def test_a_file_that_a_crash_left_empty_is_no_segment(filled: Shelf) -> None:
    (filled.directory / "2024-10-07.sqlite").touch()
    assert len(payloads(filled.directory)) == 30
    assert filled.verify().problems == ()
    filled.fill(days=2, start_day=3)
    assert len(payloads(filled.directory)) == 50
    assert filled.verify().problems == ()


def test_reading_starts_in_the_middle(filled: Shelf) -> None:
    for after in range(31):
        assert len(payloads(filled.directory, after_seq=after)) == 30 - after


def test_a_wrong_path_is_not_an_empty_ledger(shelf: Shelf) -> None:
    with pytest.raises(LedgerMissing, match="check the path"):
        payloads(shelf.directory)
    with pytest.raises(LedgerMissing):
        shelf.verify()
    with pytest.raises(LedgerMissing):
        latest_snapshot(shelf.directory, schema=SCHEMA)
