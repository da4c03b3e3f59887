"""
The ledger against bare SQLite: the same bytes, tables, pragmas and transaction size, in one run.

``bare`` inserts ready-made rows with ``executemany``, 64 to a transaction. ``ledger`` appends 64 payloads at a time,
which its writer thread numbers, hashes, chains and commits while the caller prepares the next 64: both ends wait for
every record to be durable. ``waiting`` appends 64 and waits for just these before it goes on.
"""

import argparse
import hashlib
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from interlock.ledger import Ledger, latest_snapshot, read

GROUP = 64
DAY_NS = 20_000 * 86_400_000_000_000
ROUNDS = 7


def bare(directory: Path, payloads: list[bytes]) -> float:
    """Rows per second of plain inserts."""
    digest = bytes(32)
    with closing(sqlite3.connect(directory / "bare.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            """CREATE TABLE records (seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind INTEGER NOT NULL,
               schema INTEGER NOT NULL, payload BLOB, digest BLOB, hash BLOB NOT NULL) STRICT"""
        )
        start_s = time.perf_counter()
        for first in range(0, len(payloads), GROUP):
            group = payloads[first : first + GROUP]
            rows = [(first + i, DAY_NS, 1, 1, payload, None, digest) for i, payload in enumerate(group)]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
        return len(payloads) / (time.perf_counter() - start_s)


def streamed(directory: Path, payloads: list[bytes]) -> float:
    """Rows per second of appends in groups, one group ahead of what is durable."""
    with Ledger.open(directory, account="bench", schema=1) as ledger:
        start_s = time.perf_counter()
        before = 0
        for first in range(0, len(payloads), GROUP):
            for payload in payloads[first : first + GROUP]:
                seq = ledger.append(DAY_NS, 1, payload)
            assert ledger.wait(before, 10.0)
            before = seq
        assert ledger.wait(before, 10.0)
        return len(payloads) / (time.perf_counter() - start_s)


def waiting(directory: Path, payloads: list[bytes]) -> float:
    """Rows per second of appends in groups, each waited for."""
    with Ledger.open(directory, account="bench", schema=1) as ledger:
        start_s = time.perf_counter()
        for first in range(0, len(payloads), GROUP):
            for payload in payloads[first : first + GROUP]:
                seq = ledger.append(DAY_NS, 1, payload)
            assert ledger.wait(seq, 10.0)
        return len(payloads) / (time.perf_counter() - start_s)


def append_us(directory: Path, payloads: list[bytes]) -> Iterator[float]:
    """Microseconds that the caller spends in each append."""
    with Ledger.open(directory, account="bench", schema=1) as ledger:
        for payload in payloads:
            start_ns = time.perf_counter_ns()
            seq = ledger.append(DAY_NS, 1, payload)
            yield (time.perf_counter_ns() - start_ns) / 1e3
            assert ledger.wait(seq, 10.0)


def measure(run: Callable[[Path, list[bytes]], float], payloads: list[bytes]) -> float:
    """The figure of one run in a directory of its own."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        return run(Path(directory), payloads)


def restart_s(records: int) -> tuple[float, float]:
    """Seconds to open a ledger of so many records and to fold what follows its last snapshot, and the ledger's MB."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        directory = Path(name)
        with Ledger.open(directory, account="bench", schema=1) as ledger:
            for i in range(records):
                seq = ledger.append(DAY_NS + i, 1, os.urandom(600))
                if i % 1000 == 0:
                    assert ledger.wait(seq, 60.0)
                if i == records - 5000:
                    ledger.snapshot(os.urandom(1_000_000))
            assert ledger.wait(seq, 60.0)
        start_s = time.perf_counter()
        with Ledger.open(directory, account="bench", schema=1):
            snapshot = latest_snapshot(directory, schema=1).snapshot
            assert snapshot is not None
            assert sum(1 for _ in read(directory, schema=1, after_seq=snapshot.seq)) == 4999
        took_s = time.perf_counter() - start_s
        return took_s, sum(path.stat().st_size for path in directory.iterdir()) / 1e6


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=GROUP * 500, help="records per run")
    parser.add_argument("--restart-records", type=int, default=1_000_000, help="records of the ledger that is reopened")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    payloads = [hashlib.sha256(bytes([i % 256])).digest() * 19 for i in range(options.records)]
    rounds = [[measure(run, payloads) for run in (bare, streamed, waiting)] for _ in range(ROUNDS)]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        appends_us = sorted(append_us(Path(directory), payloads[:5000]))
    restart, megabytes = restart_s(options.restart_records)
    figures = {
        "payload_bytes": len(payloads[0]),
        "bare_rows_per_s": round(statistics.median(row[0] for row in rounds)),
        "streamed_rows_per_s": round(statistics.median(row[1] for row in rounds)),
        "streamed_to_bare": round(statistics.median(row[1] / row[0] for row in rounds), 3),
        "waiting_rows_per_s": round(statistics.median(row[2] for row in rounds)),
        "waiting_to_bare": round(statistics.median(row[2] / row[0] for row in rounds), 3),
        "append_p50_us": round(appends_us[len(appends_us) // 2], 2),
        "append_p99_us": round(appends_us[len(appends_us) * 99 // 100], 2),
        "restart_records": options.restart_records,
        "restart_ledger_mb": round(megabytes),
        "restart_s": round(restart, 3),
    }
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value:>12,}")


if __name__ == "__main__":
    main()
