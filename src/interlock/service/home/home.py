"""
The state directory of one account's gateway: the name of every file in it, who may use them, and that one runs at a time.

It opens nothing but its lock; each file belongs to the module that reads it.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from interlock.core.errors import InterlockError
from interlock.service.private import FilesExposed, exposure, make_directory

DEFAULT: Final = Path("interlock-home")


class HomeMissing(InterlockError):
    """There is no state directory at this place; `interlock init` makes one."""


class HomeInUse(InterlockError):
    """Another gateway runs on this state directory; stop it, or give this one a directory of its own."""


class Home:
    """
    Every path of a state directory.

    The kill latch is a directory that is empty while nothing is killed; the sentinel `KILL` exists only while somebody
    wants it to. The anchor stands outside the ledger, so that a ledger that was cut short is found.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.runtime = self.path / "runtime.toml"
        self.policy = self.path / "policy.toml"
        self.calendar = self.path / "calendar.csv"
        self.ledger = self.path / "ledger"
        self.anchor = self.path / "anchor.jsonl"
        self.spent = self.path / "spent.sqlite"
        self.paper = self.path / "paper.sqlite"
        self.sentinel = self.path / "KILL"
        self.latch = self.path / "kill"
        self.socket = self.path / "control.sock"
        self.lock = self.path / "lock"
        self.mainnet = self.path / "mainnet-meant"
        self.keys = self.path / "keys"
        self.secret = self.keys / "secret"
        self.ledger_key = self.keys / "ledger.pem"
        self.ledger_public_key = self.keys / "ledger.pub.pem"
        self.credentials = self.keys / "venue.env"
        self.sources = self.keys / "sources"

    @classmethod
    def find(cls, path: Path | None = None, environ: Mapping[str, str] = os.environ) -> "Home":
        """The given place, else $INTERLOCK_HOME, else the $STATE_DIRECTORY of systemd, else ./interlock-home."""
        if path is not None:
            return cls(path)
        named = environ.get("INTERLOCK_HOME") or environ.get("STATE_DIRECTORY", "").split(":")[0]
        return cls(Path(named) if named else DEFAULT)

    def source_key(self, name: str) -> Path:
        """Where the key of a source lies."""
        return self.sources / f"{name}.key"

    def create(self) -> None:
        """
        The directories exist, and only their owner may enter them; the kill latch is off if it was not there before.

        Raises:
            OSError: one cannot be made.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for directory in (self.path.resolve(), self.keys, self.sources, self.latch):
            make_directory(directory)

    def check(self) -> None:
        """
        The directory, what a person writes into it and everything under keys/ is its owner's alone.

        Raises:
            HomeMissing: there is no such directory, or `interlock init` did not finish it.
            FilesExposed: somebody else may use some of it; all of it is listed.
        """
        if not self.runtime.exists():
            raise HomeMissing(f"{self.path} holds no runtime.toml: make it with `interlock init {self.path}`")
        directory = self.path.resolve()
        inside = (self.runtime, self.policy, self.calendar, self.latch, self.keys, *sorted(self.keys.rglob("*")))
        found = [exposure(path, path.lstat()) for path in (directory, *inside) if os.path.lexists(path)]
        if problems := tuple(filter(None, found)):
            raise FilesExposed(problems)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """
        No other gateway runs on this directory while the block lasts, however its process ends.

        Raises:
            HomeMissing: there is no such directory.
            HomeInUse: one runs already.
        """
        try:
            file = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            raise HomeMissing(f"there is no {self.path}: make it with `interlock init {self.path}`") from None
        try:
            self._take(file)
            yield
        finally:
            os.close(file)

    def _take(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(file, 20, 0).decode("ascii", "replace") or "another"
            remedy = "stop it, or give this one a directory of its own"
            raise HomeInUse(f"process {pid} runs on {self.path}: {remedy}") from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
