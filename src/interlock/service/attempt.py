"""Work whose failure must not stop whoever asked for it."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from interlock.service.worker import Worker

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
    worker = Worker("attempt")
    try:
        return await worker.call(partial(attempt, work), timeout_s=None)
    finally:
        worker.close()
