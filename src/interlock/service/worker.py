"""
One thread for work that blocks, so that a disk that hangs never holds up the event loop.

Whoever waits names how long. Work whose asker has given up before it began is not done; work that has begun goes on.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from queue import PriorityQueue
from typing import Any, TypeVar

_T = TypeVar("_T")


class Worker:
    """
    A thread that does one thing after the other, urgent ones first.

    It is a daemon: a process that wants to end is not kept by a disk that hangs.
    """

    def __init__(self, name: str) -> None:
        self._jobs: PriorityQueue[tuple[bool, int, Callable[[], Any], Future[Any]]] = PriorityQueue()
        self._count = count()
        self._ended = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def call(self, work: Callable[[], _T], *, timeout_s: float | None, urgent: bool = False) -> _T:
        """
        What the work returned, or raised; None waits for however long it needs.

        Raises:
            TimeoutError: it has not ended in time; if it has begun it may still be done.
        """
        answer: Future[_T] = Future()
        self._jobs.put((not urgent, next(self._count), work, answer))
        async with asyncio.timeout(timeout_s):
            return await asyncio.wrap_future(answer)

    def close(self) -> None:
        """The thread ends when everything asked before is done."""
        self._jobs.put((True, next(self._count), self._end, Future()))

    def _end(self) -> None:
        self._ended = True

    def _work(self) -> None:
        while not self._ended:
            _, _, work, answer = self._jobs.get()
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 (handed to whoever asked for the work)
                answer.set_exception(error)
            else:
                answer.set_result(result)
