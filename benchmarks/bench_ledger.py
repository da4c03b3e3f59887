"""
The ledger against bare SQLite: the same bytes, tables, pragmas and transaction size, in one run.

``bare`` inserts ready-made rows with ``executemany``, 64 to a transaction. ``ledger`` appends 64 payloads at a time,
which its writer thread numbers, hashes, chains and commits while the caller prepares the next 64: both ends wait for
every record to be durable. ``waiting`` appends 64 and waits for just these before it goes on. Rounds alternate, and the
best of each is compared: what the code takes when nothing else disturbs it.
"""

import argparse
import hashlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from interlock.ledger import Ledger, latest_snapshot, read, verify

GROUP = 64
DAY_NS = 20_000 * 86_400_000_000_000
ROUNDS = 7
TAIL = 5000


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
        for first in range(0, len(payloads), GROUP):
            before = ledger.last_seq
            append_all(ledger, payloads[first : first + GROUP])
            assert ledger.wait(before, 10.0)
        assert ledger.wait(ledger.last_seq, 10.0)
        return len(payloads) / (time.perf_counter() - start_s)


def waiting(directory: Path, payloads: list[bytes]) -> float:
    """Rows per second of appends in groups, each waited for."""
    with Ledger.open(directory, account="bench", schema=1) as ledger:
        start_s = time.perf_counter()
        for first in range(0, len(payloads), GROUP):
            append_all(ledger, payloads[first : first + GROUP])
            assert ledger.wait(ledger.last_seq, 10.0)
        return len(payloads) / (time.perf_counter() - start_s)


def append_all(ledger: Ledger, payloads: list[bytes]) -> None:
    """The payloads are in line."""
    for payload in payloads:
        ledger.append(DAY_NS, 1, payload)


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


def fill(directory: Path, records: int) -> None:
    """A closed ledger with a snapshot ``TAIL`` records before its end."""
    with Ledger.open(directory, account="bench", schema=1) as ledger:
        for first in range(0, records, 1000):
            append_all(ledger, [os.urandom(600) for _ in range(min(1000, records - first))])
            if ledger.last_seq == records - TAIL:
                ledger.snapshot(os.urandom(1_000_000))
            assert ledger.wait(ledger.last_seq, 60.0)


def reopen(directory: Path) -> dict[str, float]:
    """Seconds to open a ledger, find its snapshot and read what follows it, and this process's peak memory."""
    start_s = time.perf_counter()
    with Ledger.open(directory, account="bench", schema=1):
        snapshot = latest_snapshot(directory, schema=1).snapshot
        assert snapshot is not None
        count = sum(1 for _ in read(directory, schema=1, after_seq=snapshot.seq))
    took_s = time.perf_counter() - start_s
    assert count == TAIL
    return {
        "restart_s": round(took_s, 3),
        "restart_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


def audit(directory: Path) -> dict[str, float]:
    """Seconds to verify a whole ledger, and this process's peak memory."""
    start_s = time.perf_counter()
    assert verify(directory).problems == ()
    took_s = time.perf_counter() - start_s
    return {"verify_s": round(took_s, 3), "verify_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)}


def in_process(what: str, directory: Path) -> dict[str, float]:
    """The figures of ``reopen`` or ``audit`` from a process of their own."""
    command = [sys.executable, __file__, f"--{what}", str(directory)]
    figures: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return figures


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=GROUP * 500, help="records per run")
    parser.add_argument("--restart-records", type=int, default=1_000_000, help="records of the ledger that is reopened")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--reopen", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--audit", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reopen or options.audit:
        figures = reopen(options.reopen) if options.reopen else audit(options.audit)
        sys.stdout.write(json.dumps(figures))
        return

    payloads = [hashlib.sha256(bytes([i % 256])).digest() * 19 for i in range(options.records)]
    rounds = [[measure(run, payloads) for run in (bare, streamed, waiting)] for _ in range(ROUNDS)]
    bare_best, streamed_best, waiting_best = (max(figures) for figures in zip(*rounds, strict=True))
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        appends_us = sorted(append_us(Path(name), payloads[:5000]))
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        fill(Path(name), options.restart_records)
        restart = {
            "restart_records": options.restart_records,
            "restart_ledger_mb": round(sum(path.stat().st_size for path in Path(name).iterdir()) / 1e6),
            **in_process("reopen", Path(name)),
            **in_process("audit", Path(name)),
        }
    figures = {
        "payload_bytes": len(payloads[0]),
        "bare_rows_per_s": round(bare_best),
        "streamed_rows_per_s": round(streamed_best),
        "streamed_to_bare": round(streamed_best / bare_best, 3),
        "waiting_rows_per_s": round(waiting_best),
        "waiting_to_bare": round(waiting_best / bare_best, 3),
        "append_p50_us": round(appends_us[len(appends_us) // 2], 2),
        "append_p99_us": round(appends_us[len(appends_us) * 99 // 100], 2),
        **restart,
    }
    table = "".join(f"{name:24} {value:>12,}\n" for name, value in figures.items())
    sys.stdout.write(json.dumps(figures) + "\n" if options.json else table)


if __name__ == "__main__":
    main()
