"""
The ledger against bare SQLite: the same bytes, tables, pragmas and transaction size, in one run; and a restart.

`bare` inserts ready-made rows, 64 to a transaction. `streamed` appends 64 payloads at a time, which the writer thread
numbers, hashes, chains and commits while the caller prepares the next 64: both ends wait for every record to be durable.
`waiting` appends 64 and waits for just these before it goes on. Rounds alternate, and the best of each is compared.
"""

import hashlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.engine import START_NS, S, engine_with
from benchmarks.measure import Measure
from interlock.core import snapshot
from interlock.core.messages import EquityMarked, MarketBatch, Quote, Tick
from interlock.ledger import Ledger
from interlock.ledger.fold import fold
from interlock.ledger.steps import encode, kind_of

GROUP = 64
RECORDS = GROUP * 500
DAY_NS = 20_000 * 86_400_000_000_000
ROUNDS = 5
STEPS = 1_000_000
SNAPSHOT_EVERY = 20_000
FIRST_DECIDED = STEPS - 2 * SNAPSHOT_EVERY
KINDS = 3
RATE_MIN = 0.7
"""Of the rows per second of bare inserts."""
RESTART_S_MAX = 3.0
RESTART_MB_MAX = 300.0


def bare(directory: Path, payloads: list[bytes]) -> None:
    """Plain inserts."""
    digest = bytes(32)
    with closing(sqlite3.connect(directory / "bare.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            """CREATE TABLE records (seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind INTEGER NOT NULL,
               schema INTEGER NOT NULL, payload BLOB, digest BLOB, hash BLOB NOT NULL) STRICT"""
        )
        for first in range(0, len(payloads), GROUP):
            group = payloads[first : first + GROUP]
            rows = [(first + i, DAY_NS, 1, 1, payload, None, digest) for i, payload in enumerate(group)]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")


def streamed(directory: Path, payloads: list[bytes]) -> None:
    """Appends in groups, one group ahead of what is durable."""
    with Ledger.open(directory, account="bench", schema=1) as ledger:
        for first in range(0, len(payloads), GROUP):
            before = ledger.last_seq
            for payload in payloads[first : first + GROUP]:
                ledger.append(DAY_NS, 1, payload)
            assert ledger.wait(before, 10.0)
        assert ledger.wait(ledger.last_seq, 10.0)


def waiting(directory: Path, payloads: list[bytes]) -> None:
    """Appends in groups, each waited for."""
    with Ledger.open(directory, account="bench", schema=1) as ledger:
        for first in range(0, len(payloads), GROUP):
            for payload in payloads[first : first + GROUP]:
                ledger.append(DAY_NS, 1, payload)
            assert ledger.wait(ledger.last_seq, 10.0)


def row_s(run: Callable[[Path, list[bytes]], None], payloads: list[bytes]) -> float:
    """Seconds a row of one run in a directory of its own, on the disk that the benchmark runs on."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        start = time.perf_counter()
        run(Path(directory), payloads)
        return (time.perf_counter() - start) / len(payloads)


def record_steps(directory: Path) -> None:
    """
    A ledger of a million steps: an account with ten positions, its prices, its equity, its clock.

    Until shortly before the last snapshot the same steps are recorded again and again: a restart does not read them.
    """
    engine, names = engine_with(10, 10)
    with Ledger.open(directory, account="bench", schema=1) as ledger:
        recorded: list[tuple[int, bytes]] = []
        for number in range(STEPS):
            at = START_NS + S + number
            if number == FIRST_DECIDED:
                engine.state.account.seq = number
            if not KINDS <= number < FIRST_DECIDED:
                quotes = (Quote(names[number % 10], 100.0, 100.01, 100.005, at),)
                events = (MarketBatch(quotes), EquityMarked(1e6, 1e6, at), Tick())
                step = engine.step(events[number % KINDS], at)
                recorded.append((kind_of(step), encode(step)))
            kind, payload = recorded[number % KINDS] if number < FIRST_DECIDED else recorded.pop()
            seq = ledger.append(at, kind, payload)
            assert seq == number + 1
            if seq % SNAPSHOT_EVERY == 0 and seq < STEPS:
                ledger.snapshot(snapshot.encode(engine.state))
            if seq % 10_000 == 0:
                assert ledger.wait(seq, 60.0)


def restart(directory: Path) -> tuple[float, float]:
    """Seconds and megabytes that a fresh process takes to have the engine of the ledger's last step."""
    command = [sys.executable, "-m", "benchmarks.ledger", str(directory)]
    told = subprocess.run(command, capture_output=True, check=True).stdout
    seconds, megabytes = json.loads(told)
    return seconds, megabytes


def most_resident_mb() -> float:
    """The most megabytes that this process has held itself: `getrusage` would count what its parent held, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def measures() -> Iterator[Measure]:
    payloads = [hashlib.sha256(bytes([i % 256])).digest() * 19 for i in range(RECORDS)]
    rounds = [[row_s(run, payloads) for run in (bare, streamed, waiting)] for _ in range(ROUNDS)]
    bare_s, streamed_s, waiting_s = (min(figures) for figures in zip(*rounds, strict=True))
    yield Measure("ledger row, groups of 64", "bare SQLite insert", streamed_s, bare_s, 1 / RATE_MIN)
    yield Measure("ledger row, each group waited for", "bare SQLite insert", waiting_s, bare_s)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        record_steps(Path(name))
        seconds, megabytes = restart(Path(name))
    yield Measure("restart from 1 M steps", "budget of 3 s", seconds, RESTART_S_MAX, 1.0)
    yield Measure("memory of that restart", "budget of 300 MB", megabytes, RESTART_MB_MAX, 1.0, "MB")


if __name__ == "__main__":
    start_s = time.perf_counter()
    assert fold(Path(sys.argv[1])).state.account.opened
    taken_s = time.perf_counter() - start_s
    print(json.dumps([taken_s, most_resident_mb()]))
