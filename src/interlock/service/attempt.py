"""Work whose failure must not stop whoever asked for it."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def attempt(work: Callable[[], T]) -> T | Exception:
    """What the work came to, be it a failure."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 (the loop: whatever was wrong, it goes on)
        return error


async def attempt_on_thread(work: Callable[[], T]) -> T | Exception:
    """
    What the work came to, be it a failure, on a thread of its own.

    Work that hangs holds up neither the event loop nor the end of the process.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T | Exception] = loop.create_future()

    def settle(found: T | Exception) -> None:
        if not outcome.done():
            outcome.set_result(found)

    def run() -> None:
        found = attempt(work)
        with suppress(RuntimeError):  # the loop has ended, nobody waits
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=run, daemon=True).start()
    return await outcome
