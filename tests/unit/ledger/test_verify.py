"""Each way to tamper with a ledger is found and named with its record; the sound ledger beside it is not."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.ledger import Ledger, LedgerBroken, read, verify
from interlock.ledger.record import Point, genesis, header, link
from unit.ledger.shelf import DAY_NS, SCHEMA, START_NS, Shelf


def recompute(path: Path, start: bytes) -> bytes:
    """Makes the chain of a segment consistent again, as somebody without the key can; returns its end."""
    with closing(sqlite3.connect(path)) as connection:
        prev = start
        for seq, at_ns, kind, schema, payload in connection.execute(
            "SELECT seq, at_ns, kind, schema, payload FROM records ORDER BY seq"
        ).fetchall():
            prev = link(prev, header(seq, at_ns, kind, schema), hashlib.sha256(payload).digest())
            connection.execute("UPDATE records SET hash = ? WHERE seq = ?", (prev, seq))
        connection.commit()
    return prev


def test_a_sound_ledger_is_sound(filled: Shelf) -> None:
    report = filled.verify()
    assert report.problems == ()
    assert (report.records, report.pruned, report.vouched_seq) == (30, 0, 30)
    assert report.head is not None
    assert report.head.seq == 30
    assert report.head == Point(30, list(read(filled.directory, schema=SCHEMA))[-1].hash)


def test_without_key_and_anchor_the_chain_alone_is_checked(filled: Shelf) -> None:
    assert verify(filled.directory).problems == ()


@pytest.mark.parametrize(
    "edit", ["payload = x'00'", "at_ns = at_ns + 1", "kind = 7", "schema = 0", "hash = zeroblob(32)", "digest = x'00'"]
)
@pytest.mark.parametrize("seq", [11, 15, 20])
def test_an_edited_record(filled: Shelf, edit: str, seq: int) -> None:
    filled.sql(1, f"UPDATE records SET {edit} WHERE seq = {seq}")
    assert filled.found()[0] == ("RECORD_EDITED", seq)
    with pytest.raises(LedgerBroken) as broken:
        list(read(filled.directory, schema=SCHEMA))
    assert broken.value.seq in (seq, seq + 1)


@pytest.mark.parametrize("edit", ["payload = NULL", "hash = x'00', payload = NULL, digest = NULL"])
def test_a_record_that_is_no_record(filled: Shelf, edit: str) -> None:
    filled.sql(1, f"UPDATE records SET {edit} WHERE seq = 15")
    assert ("RECORD_EDITED", 15) in filled.found()
    with pytest.raises(LedgerBroken, match=r"wrong type|content"):
        list(read(filled.directory, schema=SCHEMA))


@pytest.mark.parametrize(("first", "last"), [(11, 11), (13, 15), (20, 20), (11, 20)])
def test_removed_records(filled: Shelf, first: int, last: int) -> None:
    filled.sql(1, f"DELETE FROM records WHERE seq BETWEEN {first} AND {last}")
    assert filled.found() == [("RECORD_MISSING", first)]
    with pytest.raises(LedgerBroken) as broken:
        list(read(filled.directory, schema=SCHEMA))
    assert broken.value.seq == first


def test_a_removed_record_whose_followers_were_renumbered(filled: Shelf) -> None:
    filled.sql(1, "DELETE FROM records WHERE seq = 15", "UPDATE records SET seq = seq - 1 WHERE seq > 15")
    assert filled.found()[0] == ("RECORD_EDITED", 15)


@pytest.mark.parametrize(("one", "other"), [(15, 16), (12, 18), (11, 20)])
def test_swapped_records(filled: Shelf, one: int, other: int) -> None:
    filled.sql(
        1,
        f"UPDATE records SET seq = -1 WHERE seq = {one}",
        f"UPDATE records SET seq = {one} WHERE seq = {other}",
        f"UPDATE records SET seq = {other} WHERE seq = -1",
    )
    assert filled.found() == [("RECORD_REORDERED", one), ("RECORD_REORDERED", other)]


def test_an_extra_record(filled: Shelf) -> None:
    filled.sql(1, "INSERT INTO records SELECT 3, at_ns, kind, schema, payload, digest, hash FROM records WHERE seq = 15")
    assert filled.found() == [("RECORD_EDITED", 3)]


def test_a_cut_tail_with_its_head_is_found_by_the_anchor(filled: Shelf) -> None:
    filled.sql(2, "DELETE FROM records WHERE seq > 25", "DELETE FROM heads")
    assert filled.found() == [("TAIL_CUT", 26)]
    assert verify(filled.directory, public_key=filled.key.public_key()).vouched_seq == 20
    with pytest.raises(LedgerBroken) as broken:
        filled.open()
    assert broken.value.seq == 26


def test_a_cut_tail_is_found_by_the_head_that_was_left(filled: Shelf) -> None:
    filled.sql(2, "DELETE FROM records WHERE seq > 25")
    report = verify(filled.directory)
    assert [(problem.code.value, problem.seq) for problem in report.problems] == [("TAIL_CUT", 26)]


def test_a_missing_last_segment_is_a_cut_tail(filled: Shelf) -> None:
    filled.segments()[2].unlink()
    assert filled.found() == [("TAIL_CUT", 21)]


def test_a_ledger_that_is_gone_is_a_cut_tail(filled: Shelf) -> None:
    shutil.rmtree(filled.directory)
    filled.directory.mkdir()
    assert filled.found() == [("TAIL_CUT", 1)]
    with pytest.raises(LedgerBroken, match="cut off"):
        filled.open()


@pytest.mark.parametrize(("segment", "seq"), [(0, 1), (1, 11)])
def test_a_missing_segment(filled: Shelf, segment: int, seq: int) -> None:
    filled.segments()[segment].unlink()
    assert filled.found() == [("SEGMENT_MISSING", seq)]
    with pytest.raises(LedgerBroken):
        list(read(filled.directory, schema=SCHEMA))


def test_a_segment_replaced_by_one_of_another_ledger(filled: Shelf, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "other", account="main", schema=SCHEMA) as other:
        for i in range(20):
            other.append(START_NS + i // 10 * DAY_NS, 1, b"other %d" % i)
    shutil.copy(sorted((tmp_path / "other").glob("*.sqlite"))[1], filled.segments()[1])
    codes = filled.found()
    assert codes[0] == ("SEGMENT_REPLACED", 11)
    with pytest.raises(LedgerBroken) as broken:
        list(read(filled.directory, schema=SCHEMA))
    assert broken.value.seq == 11


def test_a_segment_of_another_account(filled: Shelf) -> None:
    filled.sql(1, "UPDATE segment SET account = 'other'")
    assert filled.found()[0] == ("SEGMENT_REPLACED", 11)


@pytest.mark.parametrize("edit", ["prev_hash = zeroblob(32)", "first_seq = 5", "first_seq = 12"])
def test_an_edited_note_of_where_a_segment_belongs(filled: Shelf, edit: str) -> None:
    filled.sql(1, f"UPDATE segment SET {edit}")
    assert filled.found() == [("SEGMENT_EDITED", 11)]


@pytest.mark.parametrize("edit", ["format = 0", "prev_hash = x''", "first_seq = 5"])
def test_a_segment_that_does_not_say_what_it_is(filled: Shelf, edit: str) -> None:
    filled.sql(1, f"UPDATE segment SET {edit}" if edit != "prev_hash = x''" else "DELETE FROM segment")
    assert filled.found()[0][1] == 11


def test_a_replaced_segment_without_a_first_record(filled: Shelf) -> None:
    filled.sql(1, "DELETE FROM records", "DELETE FROM heads", "UPDATE segment SET first_seq = 5")
    assert filled.found()[0] == ("SEGMENT_REPLACED", 5)


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_a_chain_recomputed_without_the_key(filled: Shelf, segment: int) -> None:
    seq = 10 * segment + 5
    filled.sql(segment, f"UPDATE records SET payload = x'00' WHERE seq = {seq}")
    start = genesis("main").hash if segment == 0 else next(read(filled.directory, schema=SCHEMA, after_seq=0)).hash
    if segment:
        with closing(sqlite3.connect(filled.segments()[segment])) as connection:
            (start,) = connection.execute("SELECT prev_hash FROM segment").fetchone()
    for number, path in enumerate(filled.segments()[segment:], segment):
        if number > segment:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("UPDATE segment SET prev_hash = ?", (start,))
                connection.commit()
        start = recompute(path, start)
    assert filled.found() == [("CHAIN_RECOMPUTED", 10 * segment + 10)]
    assert filled.verify().vouched_seq == 10 * segment
    without_anchor = verify(filled.directory, public_key=filled.key.public_key())
    assert [problem.code.value for problem in without_anchor.problems] == ["CHAIN_RECOMPUTED"]


def test_a_tail_recomputed_together_with_its_heads_is_found_by_the_anchor(filled: Shelf) -> None:
    filled.sql(2, "UPDATE records SET payload = x'00' WHERE seq = 25", "DELETE FROM heads")
    with closing(sqlite3.connect(filled.segments()[2])) as connection:
        (start,) = connection.execute("SELECT prev_hash FROM segment").fetchone()
    recompute(filled.segments()[2], start)
    assert verify(filled.directory, public_key=filled.key.public_key()).problems == ()
    assert filled.found() == [("CHAIN_RECOMPUTED", 30)]
    with pytest.raises(LedgerBroken, match="anchor speaks"):
        filled.open()


@pytest.mark.parametrize("edit", ["signature = zeroblob(64)", "signature = x''", "at_ns = at_ns + 1", "hash = x'00'"])
def test_a_forged_head(filled: Shelf, edit: str) -> None:
    filled.sql(1, f"UPDATE heads SET {edit}")
    assert filled.found() == [("HEAD_FORGED", 20)]


@pytest.mark.parametrize("seq", [3, 15, 99])
def test_a_head_moved_to_another_record(filled: Shelf, seq: int) -> None:
    filled.sql(1, f"UPDATE heads SET seq = {seq}")
    assert sorted(filled.found()) == sorted([("HEAD_FORGED", seq), ("HEAD_MISSING", 20)])


def test_a_head_signed_with_another_key(filled: Shelf) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    codes = [problem.code.value for problem in verify(filled.directory, public_key=other).problems]
    assert codes == ["HEAD_FORGED"] * 3


def test_a_removed_head_of_a_closed_segment(filled: Shelf) -> None:
    filled.sql(1, "DELETE FROM heads")
    assert filled.found() == [("HEAD_MISSING", 20)]


def test_a_segment_cut_in_the_middle_of_the_ledger_with_its_head(filled: Shelf) -> None:
    filled.sql(1, "DELETE FROM heads", "DELETE FROM records WHERE seq > 18")
    assert filled.found() == [("HEAD_MISSING", 18), ("RECORD_MISSING", 19)]


def test_a_payload_emptied_by_somebody_else_than_retention(filled: Shelf) -> None:
    digest = hashlib.sha256(b"payload 4 of day 1").hexdigest()
    filled.sql(1, f"UPDATE records SET payload = NULL, digest = x'{digest}' WHERE seq = 15")
    assert filled.found() == [("PAYLOAD_REMOVED", 15)]


def test_a_forged_mark_of_retention(filled: Shelf) -> None:
    digest = hashlib.sha256(b"payload 4 of day 1").hexdigest()
    filled.sql(
        1,
        f"UPDATE records SET payload = NULL, digest = x'{digest}' WHERE seq = 15",
        f"INSERT INTO retention VALUES (1, {START_NS + 9 * DAY_NS}, zeroblob(64))",
    )
    assert filled.found() == [("RETENTION_FORGED", None), ("PAYLOAD_REMOVED", 15)]


def test_a_file_that_is_no_database(filled: Shelf) -> None:
    filled.segments()[1].write_bytes(b"nothing" * 3000)
    assert filled.found() == [("SEGMENT_UNREADABLE", 11)]
    with pytest.raises(LedgerBroken, match="damaged"):
        list(read(filled.directory, schema=SCHEMA))


def test_an_anchor_that_is_not_there(filled: Shelf) -> None:
    filled.anchor.unlink()
    assert filled.found() == [("ANCHOR_MISSING", None)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.replace("seq", "sequence"),
        lambda line: line.replace('"main"', '"other"'),
        lambda line: line.replace('"seq": 20', '"seq": 2'),
        lambda line: line.replace('"signature": "', '"signature": "00'),
        lambda line: line.replace('"hash": "', '"hash": "zz'),
        lambda _: "{}",
    ],
)
def test_a_damaged_line_of_the_anchor(filled: Shelf, spoil) -> None:  # type: ignore[no-untyped-def]
    lines = filled.anchor.read_text().splitlines(keepends=True)
    assert len(lines) == 3
    filled.anchor.write_text(lines[0] + spoil(lines[1]).rstrip() + "\n" + lines[2])
    assert filled.found() == [("ANCHOR_DAMAGED", None)]


def test_a_line_that_a_crash_cut_short_is_passed_over(filled: Shelf) -> None:
    with filled.anchor.open("a") as file:
        file.write('{"account": "ma')
    assert filled.verify().problems == ()
    filled.fill(days=1, start_day=5)
    assert len(filled.anchor.read_text().splitlines()) == 5
    report = filled.verify()
    assert report.problems == ()
    assert report.vouched_seq == 40


def test_no_more_than_a_hundred_problems(shelf: Shelf) -> None:
    shelf.fill(days=1, per_day=300)
    shelf.sql(0, "UPDATE records SET payload = x'00'")
    assert len(shelf.verify().problems) == 100


COLUMNS = {
    "records": ["seq", "at_ns", "kind", "schema", "payload", "hash"],
    "heads": ["seq", "at_ns", "hash", "signature"],
    "snapshots": ["seq", "schema", "payload", "digest", "signature"],
    "segment": ["format", "account", "first_seq", "prev_hash"],
}


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_of_one_byte_in_any_column_is_found(sound: Shelf, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(sorted(COLUMNS)))
    column = data.draw(st.sampled_from(COLUMNS[table]))
    segment = data.draw(st.integers(0, 2))
    path = sound.segments()[segment]
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
        rowid, value = data.draw(st.sampled_from(rows))
        flip = data.draw(st.integers(1, 127))
        if isinstance(value, int):
            changed: object = value ^ flip << data.draw(st.sampled_from([0, 8, 16, 24]))
        else:
            raw = bytearray(value.encode() if isinstance(value, str) else value)
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= flip
            changed = raw.decode("ascii", "replace") if isinstance(value, str) else bytes(raw)
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, rowid))
        except sqlite3.IntegrityError:
            return
        connection.commit()
    try:
        assert sound.found(), f"{table}.{column}: {value!r} became {changed!r}"
    finally:
        path.write_bytes(before)
    assert sound.found() == []


@pytest.mark.parametrize(
    ("table", "columns"),
    [("heads", "seq, 'x' AS at_ns, hash, signature"), ("snapshots", "seq, 'x' AS schema, payload, digest, signature")],
)
def test_a_value_of_another_kind_is_found_and_not_read(sound: Shelf, table: str, columns: str) -> None:
    with closing(sqlite3.connect(sound.segments()[-1])) as database, database:
        database.execute(f"ALTER TABLE {table} RENAME TO was")
        database.execute(f"CREATE TABLE {table} AS SELECT {columns} FROM was")
    assert sound.found()


@given(st.integers(0), st.integers(1, 255))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_flipped_byte_of_a_file_changes_what_is_read_in_silence(sound: Shelf, at: int, flip: int) -> None:
    path = sound.segments()[1]
    before = path.read_bytes()
    expected = list(read(sound.directory, schema=SCHEMA))
    spoiled = bytearray(before)
    spoiled[at % len(before)] ^= flip
    path.write_bytes(spoiled)
    try:
        problems = sound.found()
        try:
            same = list(read(sound.directory, schema=SCHEMA)) == expected
        except Exception:  # noqa: BLE001 - which error it is has tests of its own
            same = False
        assert same or problems
    finally:
        path.write_bytes(before)
