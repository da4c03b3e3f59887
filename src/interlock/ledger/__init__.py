"""
The hash-chained record of every step.

errors     what can go wrong, named for its remedy
record     one record and the chain, in memory
heads      signatures, and the anchor file outside the ledger
segment    one day's SQLite file
lock       one writer per ledger
writer     the disk's side: recover, commit, sign, anchor
ledger     the host's side: append without waiting
reader     read and find snapshots
retention  empty old payloads
problems   findings as data
verify     compare everything with everything
export     JSONL and CSV
"""

from interlock.ledger.errors import (
    LedgerBroken,
    LedgerError,
    LedgerLocked,
    LedgerMissing,
    LedgerTooNew,
    LedgerUnwritable,
)
from interlock.ledger.export import to_csv, to_jsonl
from interlock.ledger.ledger import Ledger
from interlock.ledger.problems import Code, Problem
from interlock.ledger.reader import Snapshot, SnapshotSearch, latest_snapshot, read
from interlock.ledger.record import Point, Record
from interlock.ledger.verify import VerifyReport, verify

__all__ = [
    "Code",
    "Ledger",
    "LedgerBroken",
    "LedgerError",
    "LedgerLocked",
    "LedgerMissing",
    "LedgerTooNew",
    "LedgerUnwritable",
    "Point",
    "Problem",
    "Record",
    "Snapshot",
    "SnapshotSearch",
    "VerifyReport",
    "latest_snapshot",
    "read",
    "to_csv",
    "to_jsonl",
    "verify",
]
