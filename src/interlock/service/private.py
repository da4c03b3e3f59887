"""
Files that only their owner may read, and how one is written so that a crash leaves the old or the new one.

A file is looked at through the descriptor it is read from, so that it cannot be exchanged between the two.
"""

import os
import shlex
import stat
import tempfile
from pathlib import Path
from typing import Final

from interlock.core.errors import InterlockError

BYTES_MAX: Final = 65_536
"""Far more than any file that a person or `interlock init` writes here."""


class FilesExposed(InterlockError):
    """Files do not belong to who runs this, or others may use them; `problems` names each with the command to mend it."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def exposure(path: Path, found: os.stat_result) -> str:
    """What lets others at the file or directory, with the command that mends it; empty where nothing does."""
    quoted = shlex.quote(str(path))
    user = os.geteuid()
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a symbolic link: put the file itself there"
    if found.st_uid not in (user, 0):
        return f"{path} belongs to user {found.st_uid}, not to user {user} or root: chown {user} {quoted}"
    if found.st_mode & 0o077:
        bits = "700" if stat.S_ISDIR(found.st_mode) else "600"
        return f"{path} can be used by others (mode {stat.S_IMODE(found.st_mode):03o}): chmod {bits} {quoted}"
    return ""


def read_private(path: Path) -> bytes:
    """
    The file's bytes; nobody but its owner and root can read or change it.

    Raises:
        FilesExposed: others can, or it is no plain file, or it is far too long.
        OSError: it is not there, or cannot be read.
    """
    data, problem = read_plain(path, checked=True)
    if problem:
        raise FilesExposed((problem,))
    return data


def read_plain(path: Path, *, checked: bool = False) -> tuple[bytes, str]:
    """
    The plain file's bytes, or what is wrong with it; never waits for a pipe's other end.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    if checked and path.is_symlink():
        return b"", exposure(path, path.lstat())
    nofollow = os.O_NOFOLLOW if checked else 0
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | nofollow)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            return b"", f"{path} is no plain file: put one there"
        if checked and (problem := exposure(path, found)):
            return b"", problem
        data = _read_all(file)
    finally:
        os.close(file)
    if len(data) > BYTES_MAX:
        return b"", f"{path} is longer than {BYTES_MAX} bytes: put the right file there"
    return data, ""


def _read_all(file: int) -> bytes:
    data = b""
    while len(data) <= BYTES_MAX and (part := os.read(file, BYTES_MAX + 1 - len(data))):
        data += part
    return data


def write_private(path: Path, data: bytes) -> None:
    """
    The file holds the data, durably, and only its owner may use it; after a crash it holds the old or the new.

    What root writes belongs to the owner of the directory, so that the service can read what an administrator wrote.

    Raises:
        OSError: it does not, or not surely.
    """
    file, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        try:
            os.fchmod(file, 0o600)
            give_to_owner(file, path.parent)
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def give_to_owner(file: int, directory: Path) -> None:
    """What root made in the directory, open as `file`, belongs to the directory's owner."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


def make_directory(path: Path) -> None:
    """
    The directory is there and only its owner may enter it; a link in its place is refused.

    Raises:
        OSError: it cannot be made, or something else is there.
    """
    made = not path.exists()
    path.mkdir(mode=0o700, exist_ok=True)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if made:
            give_to_owner(directory, path.parent)
        os.fchmod(directory, 0o700)
    finally:
        os.close(directory)


def sync_directory(path: Path) -> None:
    """
    What was created, renamed or removed in the directory is durable.

    Raises:
        OSError: it is not, or not surely.
    """
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
