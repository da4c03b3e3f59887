import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.core.constants import NS_PER_S
from interlock.service.execution.spent import (
    Alive,
    PermitOutdated,
    SpentStore,
    SpentStoreBroken,
    SpentStoreTooNew,
    SpentStoreUnwritable,
)
from interlock.service.shell.gate import PermitSpent, PermitVoid
from unit.service.rig import NOW_NS, permit_of

SEALED = b"sealed"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spent.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SpentStore]:
    opened = SpentStore(path)
    opened.open_epoch(0)
    yield opened
    opened.close()


def reopened(store: SpentStore, path: Path) -> SpentStore:
    store.close()
    return SpentStore(path)


@pytest.mark.parametrize("reduce_only", [False, True])
def test_a_permit_is_spent_once_whatever_comes_between(store: SpentStore, path: Path, reduce_only: bool) -> None:
    permit = permit_of(1, reduce_only=reduce_only)
    store.spend(permit, SEALED, NOW_NS)
    with pytest.raises(PermitSpent):
        store.spend(permit, SEALED, NOW_NS)
    again = reopened(store, path)
    with pytest.raises(PermitSpent):
        again.spend(permit, SEALED, NOW_NS)
    again.finish(permit.id)
    with pytest.raises(PermitSpent):
        again.spend(permit, SEALED, NOW_NS)
    assert again.is_spent(permit.id)
    assert not again.is_spent(permit.id + 1)
    again.close()


def test_an_epoch_is_higher_than_any_before_it(store: SpentStore, path: Path) -> None:
    assert store.epoch == 1
    assert store.open_epoch(0) == 2
    assert store.open_epoch(7) == 8
    again = reopened(store, path)
    assert again.epoch == 8
    assert again.open_epoch(3) == 9
    again.close()


@pytest.mark.parametrize("reduce_only", [False, True])
def test_nothing_of_an_older_epoch_is_spent(store: SpentStore, reduce_only: bool) -> None:
    store.open_epoch(4)
    with pytest.raises(PermitOutdated):
        store.spend(permit_of(1, epoch=4, reduce_only=reduce_only), SEALED, NOW_NS)
    store.spend(permit_of(1, epoch=5, reduce_only=reduce_only), SEALED, NOW_NS)


def test_a_permit_of_a_newer_epoch_ends_the_older_ones(store: SpentStore) -> None:
    store.spend(permit_of(1, epoch=6), SEALED, NOW_NS)
    with pytest.raises(PermitOutdated):
        store.spend(permit_of(2, epoch=5), SEALED, NOW_NS)
    assert store.open_epoch(0) == 7


def test_openings_from_before_a_lock_are_void_and_reducing_ones_are_not(store: SpentStore) -> None:
    store.spend(permit_of(1, fence=3, reduce_only=True), SEALED, NOW_NS)
    with pytest.raises(PermitVoid):
        store.spend(permit_of(2, fence=2), SEALED, NOW_NS)
    store.spend(permit_of(3, fence=2, reduce_only=True), SEALED, NOW_NS)
    store.spend(permit_of(4, fence=3), SEALED, NOW_NS)
    with pytest.raises(PermitVoid):
        store.spend(permit_of(5, fence=2), SEALED, NOW_NS)


def test_a_ledger_that_was_restored_with_a_lower_fence_can_open_in_its_new_epoch(store: SpentStore) -> None:
    store.spend(permit_of(1, fence=9), SEALED, NOW_NS)
    epoch = store.open_epoch(1)
    store.spend(permit_of(1, epoch=epoch, fence=2), SEALED, NOW_NS)


def test_openings_expire_at_their_instant_and_reducing_ones_never(store: SpentStore) -> None:
    expires_ns = NOW_NS + 60 * NS_PER_S
    store.spend(permit_of(1, expires_ns=expires_ns), SEALED, expires_ns)
    with pytest.raises(PermitVoid):
        store.spend(permit_of(2, expires_ns=expires_ns), SEALED, expires_ns + 1)
    store.spend(permit_of(3, reduce_only=True), SEALED, expires_ns * 2)


def test_what_was_refused_was_not_spent(store: SpentStore) -> None:
    late = permit_of(2, expires_ns=NOW_NS)
    with pytest.raises(PermitVoid):
        store.spend(late, SEALED, NOW_NS + 1)
    assert not store.is_spent(late.id)
    store.spend(late, SEALED, NOW_NS)


def test_sealed_permits_are_kept_until_their_orders_are_over(store: SpentStore, path: Path) -> None:
    first, second = permit_of(1), permit_of(2)
    store.spend(first, b"one", NOW_NS)
    store.spend(second, b"two", NOW_NS + 5)
    again = reopened(store, path)
    assert again.alive() == (Alive(first.id, NOW_NS, b"one"), Alive(second.id, NOW_NS + 5, b"two"))
    again.finish(first.id)
    assert again.alive() == (Alive(second.id, NOW_NS + 5, b"two"),)
    again.close()


def test_what_was_spent_from_memory_can_be_recorded_and_then_is_spent(store: SpentStore) -> None:
    permit = permit_of(1, reduce_only=True)
    store.record(permit, SEALED, NOW_NS)
    store.record(permit, b"other", NOW_NS)
    assert [each.sealed for each in store.alive()] == [SEALED]
    with pytest.raises(PermitSpent):
        store.spend(permit, SEALED, NOW_NS)


def test_growth_is_bounded_by_what_the_epoch_has_spent(store: SpentStore, path: Path) -> None:
    living = permit_of(0)
    for number in range(300):
        store.spend(permit_of(number), SEALED, NOW_NS)
        if number:
            store.finish(permit_of(number).id)
    store.open_epoch(1)
    assert store.is_spent(permit_of(299).id)  # for the ledger may never have heard of it
    store.open_epoch(2)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT permit FROM spent").fetchall() == [(living.id,)]
    db.close()
    with pytest.raises(PermitSpent):
        store.spend(living, SEALED, NOW_NS)


def test_of_two_that_spend_at_once_one_wins(store: SpentStore, path: Path) -> None:
    other = SpentStore(path)
    permits = [permit_of(number) for number in range(40)]
    won: dict[int, int] = {}

    def spend_all(using: SpentStore) -> None:
        for permit in permits:
            try:
                using.spend(permit, SEALED, NOW_NS)
            except PermitSpent:
                continue
            won[permit.id] = won.get(permit.id, 0) + 1

    threads = [threading.Thread(target=spend_all, args=(using,)) for using in (store, other, store, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert won == {permit.id: 1 for permit in permits}


# ---------------------------------------------------------------- disks that fail


def test_a_full_disk_is_named_and_nothing_is_spent(store: SpentStore) -> None:
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpentStoreUnwritable, match="free space"):
        store.spend(permit_of(1), bytes(100_000), NOW_NS)
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert not store.is_spent(permit_of(1).id)
    store.spend(permit_of(1), SEALED, NOW_NS)


def test_another_writer_is_named(store: SpentStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store._db.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SpentStoreUnwritable, match="close the other program"):
        store.spend(permit_of(1), SEALED, NOW_NS)
    other.execute("ROLLBACK")
    other.close()
    store.spend(permit_of(1), SEALED, NOW_NS)


def test_a_place_that_is_no_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpentStoreUnwritable, match="writable"):
        SpentStore(tmp_path / "missing" / "spent.sqlite")


def test_garbage_is_broken_with_the_way_out(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(SpentStoreBroken, match="move the file away"):
        SpentStore(path)


def test_a_damaged_page_is_broken(store: SpentStore, path: Path) -> None:
    for number in range(200):
        store.spend(permit_of(number), bytes(400), NOW_NS)
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    whole = bytearray(path.read_bytes())
    for offset in range(2 * 4096, len(whole), 4096):
        whole[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(bytes(whole))
    with pytest.raises(SpentStoreBroken):
        SpentStore(path)


def test_a_file_without_its_fences_is_broken(store: SpentStore) -> None:
    store._db.execute("DELETE FROM fences")
    with pytest.raises(SpentStoreBroken, match="fences"):
        store.open_epoch(1)


def test_another_programs_file_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(SpentStoreBroken, match="another program"):
        SpentStore(path)


def test_a_newer_format_asks_for_an_upgrade(store: SpentStore, path: Path) -> None:
    store._db.execute("PRAGMA user_version = 2")
    store.close()
    with pytest.raises(SpentStoreTooNew, match="upgrade"):
        SpentStore(path)


def test_after_its_end_it_is_unwritable(store: SpentStore) -> None:
    store.close()
    with pytest.raises(SpentStoreUnwritable):
        store.spend(permit_of(1), SEALED, NOW_NS)


def test_closing_does_not_wait_for_a_disk_that_hangs(store: SpentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.service.execution.spent._BUSY_S", 0.01)
    taken, done = threading.Event(), threading.Event()

    def hang() -> None:
        with store._turn:
            taken.set()
            done.wait()

    thread = threading.Thread(target=hang)
    thread.start()
    taken.wait()
    store.close()
    done.set()
    thread.join()
    assert store.epoch == 1


def test_everything_said_to_be_done_is_synced(store: SpentStore) -> None:
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_permit_that_was_handed_over_is_spent_and_nobodys_here_to_follow(store: SpentStore, path: Path) -> None:
    store.hand_over(permit_of(1), "bot", NOW_NS)
    store.spend(permit_of(2), SEALED, NOW_NS)
    again = SpentStore(path)
    assert [again.spent_by(permit_of(number).id) for number in (1, 2, 3)] == ["bot", "", None]
    assert [each.permit for each in again.alive()] == [permit_of(2).id]
    with pytest.raises(PermitSpent):
        again.hand_over(permit_of(2), "bot", NOW_NS)
    again.close()
