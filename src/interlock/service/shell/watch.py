"""Steps for whoever looks on: a console, a log. Someone who is slow loses some and is told how many; nobody waits."""

import asyncio
from collections import deque
from typing import Final, Self

import msgspec

from interlock.core.messages import Step

WATCHED_MAX: Final = 1_000


class Missed(msgspec.Struct, frozen=True):
    """So many steps came too fast."""

    count: int


class Watcher:
    """Steps as they are made, oldest first; ends when it, or the shell, is closed."""

    def __init__(self, waiting_max: int = WATCHED_MAX) -> None:
        self._steps: deque[Step] = deque()
        self._waiting_max = waiting_max
        self._missed = 0
        self._closed = False
        self._bell = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether no further step comes."""
        return self._closed

    def offer(self, step: Step) -> None:
        """The step waits to be looked at; where too many do, the oldest is missed. None waits after the close."""
        if self._closed:
            return
        if len(self._steps) >= self._waiting_max:
            self._steps.popleft()
            self._missed += 1
        self._steps.append(step)
        self._bell.set()

    def close(self) -> None:
        """No further step comes; what waits can still be read."""
        self._closed = True
        self._bell.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Step | Missed:
        while True:
            if self._missed:
                count, self._missed = self._missed, 0
                return Missed(count)
            if self._steps:
                return self._steps.popleft()
            if self._closed:
                raise StopAsyncIteration
            self._bell.clear()
            await self._bell.wait()
