"""What can go wrong with the ledger, named for what an operator has to do about it."""

import errno
import sqlite3
from pathlib import Path
from typing import Final


class LedgerError(Exception):
    """The ledger cannot do what was asked; ``remedy`` says what a person can do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


class LedgerLocked(LedgerError):
    """Another process is the writer of this ledger."""

    def __init__(self, directory: str, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{directory} is being written by {holder}", "stop it, or wait for its end")
        self.pid = pid


class LedgerUnwritable(LedgerError):
    """The disk does not take records now; what is pending is kept and tried again."""


class LedgerBroken(LedgerError):
    """The record of ``seq``, or what should be there, is not what was written."""

    def __init__(self, seq: int, what: str) -> None:
        super().__init__(f"record {seq}: {what}", "keep the files, run `interlock ledger verify`, restore a backup")
        self.seq = seq


class LedgerMissing(LedgerError):
    """There is no ledger where one was looked for."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory} is not a directory", "check the path")


class LedgerTooNew(LedgerError):
    """The ledger was written by a newer version."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "upgrade interlock")


def named(error: sqlite3.Error | OSError | LedgerError, where: Path, seq: int) -> LedgerError:
    """The error as an operator should read it; ``seq`` is the first record that is not durable."""
    if isinstance(error, LedgerError):
        return error
    if isinstance(error, OSError):
        return LedgerUnwritable(f"{where}: {error.strerror or error}", _OS_REMEDIES.get(error.errno or 0, _CHECK_DISK))
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGE:
        return LedgerBroken(seq, f"{where} is damaged: {error}")
    return LedgerUnwritable(f"{where}: {error}", _SQLITE_REMEDIES.get(code, _CHECK_DISK))


_CHECK_DISK: Final = "check the disk and its messages"
_FREE_SPACE: Final = "free space on this disk"
_MAKE_WRITABLE: Final = "make the directory and its files writable for this user"
_OS_REMEDIES: Final = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EFBIG: "raise the file size limit of this process",
    errno.EROFS: _MAKE_WRITABLE,
    errno.EACCES: _MAKE_WRITABLE,
    errno.EPERM: _MAKE_WRITABLE,
}
_SQLITE_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: _FREE_SPACE,
    sqlite3.SQLITE_READONLY: _MAKE_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _MAKE_WRITABLE,
    sqlite3.SQLITE_PERM: _MAKE_WRITABLE,
    sqlite3.SQLITE_BUSY: "close the other program that has this file open",
    sqlite3.SQLITE_LOCKED: "close the other program that has this file open",
}
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT)
