"""
The keys of those who may speak to the gateway, one file each, and read afresh when somebody comes.

A disk that hangs must not keep an operator out: a reading that takes too long leaves the keys as they were.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Final

from interlock.service.desk.desk import RESERVED
from interlock.service.desk.wire import KeyUnreadable, is_source_name, read_key

READING_S: Final = 0.5


class SourceKeys:
    """Every `NAME.key` of a directory; `problems` says, as sentences, which of them are not used."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._keys: dict[str, bytes] = {}
        self._reading: asyncio.Future[None] | None = None
        self.problems: tuple[str, ...] = ()

    def load(self) -> None:
        """The keys are as on disk; an unreadable directory leaves them as they were and is a problem."""
        keys: dict[str, bytes] = {}
        problems: list[str] = []
        try:
            names = sorted(name for name in os.listdir(self._directory) if name.endswith(".key"))
        except OSError as error:
            self.problems = (f"{self._directory}: {error.strerror}",)
            return
        for path in map(self._directory.joinpath, names):
            if not is_source_name(path.stem) or path.stem in RESERVED:
                problems.append(f"{path}: {path.stem!r} cannot be a source's name: rename the key")
                continue
            try:
                keys[path.stem] = read_key(path)
            except KeyUnreadable as error:
                problems.append(str(error))
        self._keys, self.problems = keys, tuple(problems)

    async def current(self, source: str) -> bytes | None:
        """The source's key as on disk now, or as last read where the disk takes too long; None where it has none."""
        if self._reading is None or self._reading.done():
            loop = asyncio.get_running_loop()
            self._reading = loop.create_future()
            Thread(target=self._read, args=(loop, self._reading), name="source keys", daemon=True).start()
        await asyncio.wait({self._reading}, timeout=READING_S)
        return self._keys.get(source)

    def _read(self, loop: asyncio.AbstractEventLoop, reading: asyncio.Future[None]) -> None:
        self.load()
        with suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits
            loop.call_soon_threadsafe(_finish, reading)


def _finish(reading: asyncio.Future[None]) -> None:
    if not reading.done():
        reading.set_result(None)
