"""
How roles pass messages on: named streams of bytes, in one process.

A stream keeps what is published until its one reader takes it, in order. What travels is sealed bytes, so that a role
believes nothing that it has not opened itself, here as on a wire.
"""

import asyncio
from typing import Final, Protocol

PERMITS: Final = "permit"
"""Gate to executor: permits, revocations, cancellations."""

RESULTS: Final = "result"
"""Executor to gate: what became of them, and what the venue tells."""


class Bus(Protocol):
    """Streams by name."""

    def publish(self, stream: str, body: bytes) -> None:
        """The message is in the stream."""
        ...

    async def take(self, stream: str) -> bytes:
        """The oldest message of the stream, which is then no longer in it; waits where there is none."""
        ...


class InProcessBus:
    """Streams of one event loop; publish from its thread."""

    def __init__(self) -> None:
        self._streams: dict[str, asyncio.Queue[bytes]] = {}

    def publish(self, stream: str, body: bytes) -> None:
        """The message is in the stream."""
        self._queue(stream).put_nowait(body)

    async def take(self, stream: str) -> bytes:
        """The oldest message of the stream, which is then no longer in it; waits where there is none."""
        return await self._queue(stream).get()

    def _queue(self, stream: str) -> asyncio.Queue[bytes]:
        return self._streams.setdefault(stream, asyncio.Queue())
