"""
A socket file that only its owner can reach, whatever the length of its path.

The kernel takes at most 107 bytes of path; a longer one goes through the open directory (`/proc/self/fd`), which Linux has.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from interlock.core.errors import InterlockError

PATH_BYTES_MAX: Final = 100
BACKLOG: Final = 512
PROBE_S: Final = 1.0


class SocketInUse(InterlockError):
    """Another process answers at the socket; stop it, or use another home."""


class SocketUnusable(InterlockError):
    """The socket cannot be made where it belongs; the message says what stands in its way."""


def listen(path: Path) -> socket.socket:
    """
    A listening socket in place at the path, readable by its owner alone; a dead one that lay there is replaced.

    Raises:
        SocketInUse: somebody answers there.
        SocketUnusable: the directory cannot hold it, or something else lies there.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _refuse_unless_free(path)
        with suppress(FileNotFoundError):
            new.unlink()
        with _address(new) as address:
            listening.bind(address)
        new.chmod(0o600)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        new.replace(path)
    except OSError as error:
        listening.close()
        raise SocketUnusable(f"{path}: {error.strerror}") from error
    except InterlockError:
        listening.close()
        raise
    return listening


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connection to whoever listens at the path. Raises OSError where nobody does, or not in time."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(timeout_s)
        with _address(path) as address:
            line.connect(address)
    except OSError:
        line.close()
        raise
    return line


def _refuse_unless_free(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise SocketUnusable(f"{path} is no socket: move it away")
    try:
        connect(path, PROBE_S).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return
    except OSError as error:  # a full backlog: there is somebody, who is busy
        raise SocketInUse(f"somebody listens at {path} ({error})") from error
    raise SocketInUse(f"a process answers at {path} already: stop it, or use another home")


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A name of the path that is short enough, while the context lasts."""
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
