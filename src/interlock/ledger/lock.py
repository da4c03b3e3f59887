"""One writer per ledger: an operating-system lock that ends with its holder, however that ends."""

import fcntl
import os
from pathlib import Path

from interlock.ledger.errors import LedgerLocked


class WriterLock:
    """The right to write one ledger, held from construction to ``release`` or the end of the process."""

    def __init__(self, directory: Path) -> None:
        self._file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0)
            os.close(self._file)
            raise LedgerLocked(str(directory), int(holder) if holder.isdigit() else None) from None
        except BaseException:
            os.close(self._file)
            raise

    def release(self) -> None:
        """Another writer may open the ledger; releasing twice does no harm."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
