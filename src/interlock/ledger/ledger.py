"""
The ledger as the engine's host sees it: ``append`` never touches the disk and never waits for it.

Theory of operation. The caller's thread numbers a record and queues it. One writer thread takes what has queued, chains
it and commits it in groups; the bigger the backlog, the bigger the group. ``durable_seq`` follows. When the disk
refuses, the group stays first in line and is tried again with growing pauses, and ``problem`` says at once what is
wrong and what to do; when it is back, everything pending is written in order and ``problem`` clears. When it *hangs*,
only the writer thread hangs with it. The queue is bounded: beyond the bound ``append`` refuses, by name.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.ledger.errors import LedgerError, LedgerUnwritable, named
from interlock.ledger.lock import WriterLock
from interlock.ledger.record import header
from interlock.ledger.retention import prune
from interlock.ledger.writer import Entry, NewRecord, NewSnapshot, Writer

_GROUP: Final = 512
_BACKOFF_FIRST_S: Final = 0.05
_BACKOFF_LAST_S: Final = 2.0


class _Bell:
    """
    Wakes the writer thread; ringing neither waits nor makes the ringer share a lock with the one who wakes up.

    A condition would: its sleeper takes the lock back before it may run, the next ``append`` finds it taken and has to
    hand over, and a group falls apart into small ones.
    """

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Whoever sleeps, or is about to, wakes up."""
        if self._silence.locked():
            with contextlib.suppress(RuntimeError):  # somebody else rang in this moment
                self._silence.release()

    def sleep(self, timeout_s: float) -> None:
        """The bell was rung since the last sleep, or the time is over."""
        self._silence.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX))


class Ledger:
    """An open ledger; made by ``Ledger.open``, one per account and directory."""

    def __init__(
        self,
        directory: Path,
        writer: Writer,
        lock: WriterLock,
        schema: int,
        key: Ed25519PrivateKey | None,
        pending_max: int,
        pending_bytes_max: int,
        head_every_records: int,
        head_every_s: float,
        answer_s_max: float,
    ) -> None:
        self.directory = directory
        self._writer = writer
        self._lock = lock
        self._schema = schema
        self._key = key
        self._pending_max = pending_max
        self._pending_bytes_max = pending_bytes_max
        self._head_every_records = head_every_records
        self._head_every_s = head_every_s
        self._answer_s_max = answer_s_max

        self._mutex = threading.Lock()
        self._progress = threading.Condition(self._mutex)
        self._queue: list[Entry] = []
        self._last_seq = self._durable_seq = writer.durable.seq
        self._pending_bytes = 0
        self._bell = _Bell()
        self._closing = threading.Event()
        self._stopped = False
        self._busy_since_s: float | None = None
        self._troubles: dict[str, LedgerError] = {}
        self._on_durable: Callable[[], None] | None = None

        self._head_at_s = time.monotonic()
        self._anchor_at_s = self._head_at_s
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        account: str,
        schema: int,
        key: Ed25519PrivateKey | None = None,
        anchor: Path | None = None,
        pending_max: int = 65_536,
        pending_bytes_max: int = 64 * 1024 * 1024,
        head_every_records: int = 10_000,
        head_every_s: float = 60.0,
        answer_s_max: float = 5.0,
        segment_days: int = 1,
        disk: Callable[..., Writer] = Writer,
    ) -> Self:
        """
        The ledger is open to append after its last durable record; nobody else can open it to write.

        Args:
            schema: number of the payloads' layout, stored with each record.
            key: signs heads; without it heads are stored unsigned.
            anchor: file outside ``directory`` that remembers heads, so that a cut tail is found.
            pending_max: records that may wait for the disk.
            pending_bytes_max: their payloads' bytes.
            answer_s_max: how long the disk may take over one group before ``problem`` says that it hangs.
            segment_days: days of records in one file, counted from the first; more where years are recorded in minutes.
            disk: makes the writer; the test kit's fails and hangs when told to.

        Raises:
            LedgerLocked: it has a writer.
            LedgerBroken: its end is not what was written.
            LedgerUnwritable: the disk does not let it be opened.
            LedgerTooNew: a newer version wrote it.
        """
        lock: WriterLock | None = None
        writer = disk(directory, account, schema, key, anchor, segment_days)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = WriterLock(directory)
            writer.recover()
        except (sqlite3.Error, OSError, LedgerError) as error:
            writer.abandon()
            if lock is not None:
                lock.release()
            raise named(error, directory, writer.durable.seq + 1) from error
        ledger = cls(
            directory,
            writer,
            lock,
            schema,
            key,
            pending_max,
            pending_bytes_max,
            head_every_records,
            head_every_s,
            answer_s_max,
        )
        ledger._thread.start()
        return ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def last_seq(self) -> int:
        """Number of the last record appended."""
        return self._last_seq

    @property
    def durable_seq(self) -> int:
        """Number of the last record that survives a crash of the machine."""
        return self._durable_seq

    @property
    def problem(self) -> LedgerError | None:
        """What keeps the ledger from being written or anchored right now."""
        with self._mutex:
            if self._busy_since_s is not None:
                busy_s = time.monotonic() - self._busy_since_s
                if busy_s > self._answer_s_max:
                    return LedgerUnwritable(f"the disk has not answered for {busy_s:.0f} s", "check the disk")
            return self._trouble()

    def append(self, at_ns: int, kind: int, payload: bytes) -> int:
        """
        The record is numbered and in line for the disk; returns its number.

        Raises:
            LedgerUnwritable: too much is waiting already, or the ledger is closed; nothing was appended.
            ValueError: a number does not fit its field.
        """
        if type(payload) is not bytes:
            raise ValueError(f"payload must be bytes, not {type(payload).__name__}")
        with self._mutex:
            self._admit(len(payload))
            seq = self._last_seq + 1
            self._queue.append(NewRecord(seq, at_ns, kind, header(seq, at_ns, kind, self._schema), payload))
            self._last_seq = seq
        self._bell.ring()
        return seq

    def snapshot(self, payload: bytes) -> int:
        """
        The state after the last appended record is in line for the disk; returns that record's number.

        Raises:
            LedgerUnwritable: too much is waiting already, or the ledger is closed.
            ValueError: nothing has been recorded yet.
        """
        with self._mutex:
            if self._last_seq == 0:
                raise ValueError("there is no record that a snapshot could follow")
            self._admit(len(payload))
            self._queue.append(NewSnapshot(payload))
            seq = self._last_seq
        self._bell.ring()
        return seq

    def wait(self, seq: int, timeout_s: float) -> bool:
        """True if record ``seq`` became durable in time."""
        with self._mutex:
            self._progress.wait_for(lambda: self._durable_seq >= seq or self._stopped, timeout_s)
            return self._durable_seq >= seq

    def on_durable(self, callback: Callable[[], None] | None) -> None:
        """The writer thread calls back, instead of anyone before, each time more is durable; it must not wait nor raise."""
        self._on_durable = callback

    def prune(self, before_ns: int, kinds: Collection[int]) -> int:
        """
        Payloads of ``kinds`` older than ``before_ns`` are emptied; returns how many.

        Only in segments that are closed, and only up to the newest snapshot that is older than ``before_ns``, so that
        everything younger can still be replayed. Takes as long as the disk needs: call it from a thread of its own.

        Raises:
            LedgerError: the disk, or what is on it, did not allow it; calling again goes on where it stopped.
        """
        return prune(self.directory, before_ns, kinds, self._writer.current_path, self._schema, self._key)

    def close(self, timeout_s: float = 10.0) -> None:
        """
        Everything is durable, signed and anchored, and another writer may open the ledger.

        Raises:
            LedgerError: the disk did not take everything; the message says how much is lost with this process.
        """
        with self._mutex:
            self._closing.set()
        self._bell.ring()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise LedgerUnwritable(f"{self.directory} does not answer, {self._pending()}", "check the disk")
        self._lock.release()
        if (problem := self.problem) is not None:
            raise LedgerUnwritable(f"{problem.what}, {self._pending()}", problem.remedy) from problem

    def _trouble(self) -> LedgerError | None:
        """The newest trouble that is not over."""
        return next(reversed(self._troubles.values()), None)

    def _pending(self) -> str:
        return f"{self._last_seq - self._durable_seq} records are not durable"

    def _admit(self, size: int) -> None:
        if self._closing.is_set() or self._stopped:
            raise LedgerUnwritable("the ledger is closed", "open it again")
        waiting = self._last_seq - self._durable_seq
        if waiting >= self._pending_max or self._pending_bytes + size > self._pending_bytes_max:
            problem = self._trouble()
            raise LedgerUnwritable(
                f"{waiting} records are waiting for the disk" + (f" ({problem.what})" if problem else ""),
                problem.remedy if problem else "check whether the disk answers",
            )
        self._pending_bytes += size

    def _run(self) -> None:
        """The writer thread."""
        finished = False
        try:
            while self._round():
                pass
            finished = True
        finally:
            self._writer.abandon()
            with self._mutex:
                self._stopped = True
                if not finished:
                    self._troubles["thread"] = LedgerUnwritable("the writer stopped unexpectedly", "restart")
                self._progress.notify_all()

    def _round(self) -> bool:
        """One turn of the writer thread; False when the ledger is closed."""
        entries, closing = self._take()
        while not entries and not closing and (pause_s := self._pause_s()) > 0.0:
            self._bell.sleep(pause_s)
            entries, closing = self._take()
        if not self._write(entries):
            return False
        self._sign_and_anchor(closing)
        if closing:
            self._try("close", self._writer.close)
        return not closing

    def _take(self) -> tuple[list[Entry], bool]:
        """Everything that is queued, and whether nothing more will come."""
        with self._mutex:
            entries, self._queue = self._queue, []
            return entries, self._closing.is_set()

    def _write(self, entries: list[Entry]) -> bool:
        """Writes all entries, however often it takes; False if the ledger closes before that."""
        start, pause_s = 0, _BACKOFF_FIRST_S
        while start < len(entries):
            group = entries[start : start + _GROUP]
            last_try = self._closing.is_set()
            done = self._commit(group)
            if done:
                start, pause_s = start + done, _BACKOFF_FIRST_S
            elif last_try:
                return False
            else:
                self._closing.wait(pause_s)
                pause_s = min(2.0 * pause_s, _BACKOFF_LAST_S)
        entries.clear()
        return True

    def _commit(self, group: list[Entry]) -> int:
        done = 0

        def commit() -> None:
            nonlocal done
            done = self._writer.commit(group)

        self._try("records", commit)
        with self._mutex:
            self._pending_bytes -= sum(len(entry.payload) for entry in group[:done])
            self._durable_seq = self._writer.durable.seq
            self._progress.notify_all()
        if done and (callback := self._on_durable) is not None:
            callback()
        return done

    def _sign_and_anchor(self, closing: bool) -> None:
        now_s = time.monotonic()
        many = self._writer.unsigned_count >= self._head_every_records
        if self._writer.unsigned_count and (closing or many or now_s >= self._head_at_s):
            signed = self._try("head", self._writer.sign)
            self._head_at_s = now_s + (self._head_every_s if signed else _BACKOFF_LAST_S)
        if self._writer.unanchored and (closing or now_s >= self._anchor_at_s):
            anchored = self._try("anchor", self._writer.anchor)
            self._anchor_at_s = now_s if anchored else now_s + _BACKOFF_LAST_S

    def _pause_s(self) -> float:
        """Seconds until a head has to be signed or anchored."""
        due_s = [self._head_at_s] if self._writer.unsigned_count else []
        due_s += [self._anchor_at_s] if self._writer.unanchored else []
        return min(due_s, default=float("inf")) - time.monotonic()

    def _try(self, what: str, action: Callable[[], None]) -> bool:
        """True if the disk took it; else the trouble is on record until it does."""
        self._busy_since_s = time.monotonic()
        trouble: LedgerError | None = None
        try:
            action()
        except (sqlite3.Error, OSError, LedgerError) as error:
            trouble = named(error, self.directory, self._writer.durable.seq + 1)
        with self._mutex:
            self._busy_since_s = None
            self._troubles.pop(what, None)
            if trouble is not None:
                self._troubles[what] = trouble
        return trouble is None
