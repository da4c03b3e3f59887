"""A disk for a ledger that fails, fills up, hangs or is gone when it is told to; what it does take is really written."""

import errno
import threading
from collections.abc import Sequence
from typing import Any

from interlock.ledger.writer import Entry, Writer


class Disk:
    """What a ledger's writer meets; give `writer` to `Ledger.open` as its `disk`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._error = 0
        self._hangs = False
        self._arrived = 0

    @property
    def well(self) -> bool:
        """Whether it takes what it is given."""
        return not (self._error or self._hangs)

    def fill_up(self) -> None:
        """Every write fails, as on a full disk, until it is healed."""
        self._turn(errno.ENOSPC, hangs=False)

    def hang(self) -> None:
        """Every write blocks until it is healed."""
        self._turn(0, hangs=True)

    def die(self) -> None:
        """Every write fails, the blocked one too, as in a process that is being killed."""
        self._turn(errno.EIO, hangs=False)

    def heal(self) -> None:
        """Writes succeed again, the blocked one too."""
        self._turn(0, hangs=False)

    def wait_for_writer(self, timeout_s: float) -> bool:
        """True when a write blocks on the hanging disk."""
        with self._changed:
            return self._changed.wait_for(lambda: self._arrived > 0, timeout_s)

    def writer(self, *place: Any) -> Writer:
        """The writer of a ledger on this disk, which is made as every writer is."""
        return _Writer(self, *place)

    def obey(self) -> None:
        """The write may go on. Raises OSError when the disk fails; blocks while it hangs."""
        with self._changed:
            self._arrived += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._hangs)
            self._arrived -= 1
            if self._error:
                raise OSError(self._error, "the simulated disk")

    def _turn(self, error: int, *, hangs: bool) -> None:
        with self._changed:
            self._error, self._hangs = error, hangs
            self._changed.notify_all()


class _Writer(Writer):
    """The real writer behind the disk's fault point."""

    def __init__(self, disk: Disk, *place: Any) -> None:
        super().__init__(*place)
        self._disk = disk

    def commit(self, entries: Sequence[Entry]) -> int:
        try:
            self._disk.obey()
        except OSError:
            self.abandon()
            raise
        return super().commit(entries)
