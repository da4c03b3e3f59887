"""The two ways to a gateway: over its local socket, and from another thread of its own process."""

import asyncio
from collections import deque
from concurrent.futures import wait
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final, Protocol

import msgspec

from interlock.client.errors import CommandRefused, GatewayUnreachable
from interlock.client.line import Line
from interlock.core.codes import Code
from interlock.service.desk.desk import Desk, Question, Told, carry_out
from interlock.service.desk.wire import ANSWERS, FrameInvalid, Request

IDLE_LINES_MAX: Final = 4
UNHEARD: Final = (Code.BUSY, Code.UNANSWERED)
"""What a failure is called that is none of the desk's."""


class Way(Protocol):
    """How a question reaches the desk as one source's."""

    def ask(self, question: Question, timeout_s: float) -> Told:
        """
        What the desk says.

        Raises:
            GatewayUnreachable: it said nothing readable in time; it may have heard the question.
            CommandRefused: it refused.
        """
        ...

    def close(self) -> None:
        """Nothing is held open."""
        ...


class SocketWay:
    """
    Over the local socket; any number of threads.

    Each thread that asks has a connection to itself. One on which anything went wrong is never used again, so that a late
    answer meets nobody else's question. No question is sent twice.
    """

    def __init__(self, path: Path, source: str, key: bytes) -> None:
        self._path = path
        self._source = source
        self._key = key
        self._idle: deque[Line] = deque()
        self._lock = Lock()

    def ask(self, question: Question, timeout_s: float) -> Told:
        """What the desk says; the errors of `Way.ask`."""
        deadline = monotonic() + timeout_s
        line = self._line(deadline)
        try:
            reply = line.ask(Request(1, timeout_s, question), deadline)
            told: Told = ANSWERS[type(question)].decode(reply.body) if reply.failure is None else None
        except msgspec.MsgspecError as error:
            line.close()
            raise GatewayUnreachable(f"the gateway's answer cannot be read: {error}") from error
        except FrameInvalid as error:
            line.close()
            raise CommandRefused(type(error).__name__, str(error)) from error
        except BaseException:
            line.close()
            raise
        self._keep(line)
        if reply.failure is None:
            return told
        if reply.failure.error in UNHEARD:
            raise GatewayUnreachable(reply.failure.message)
        raise CommandRefused(reply.failure.error, reply.failure.message)

    def close(self) -> None:
        """No idle connection is left; the next question opens one."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _line(self, deadline: float) -> Line:
        """A connection that the gateway has not closed meanwhile, as far as can be seen."""
        with self._lock:
            while self._idle:
                line = self._idle.pop()
                if line.is_usable():
                    return line
                line.close()
        return Line(self._path, self._source, self._key, deadline)

    def _keep(self, line: Line) -> None:
        with self._lock:
            if len(self._idle) < IDLE_LINES_MAX:
                self._idle.append(line)
                return
        line.close()


class InsideWay:
    """In the gateway's own process, from any thread but its event loop's."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop, source: str) -> None:
        self._desk = desk
        self._loop = loop
        self._source = source

    def ask(self, question: Question, timeout_s: float) -> Told:
        """What the desk says; the errors of `Way.ask`."""
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                raise GatewayUnreachable("this is the gateway's own thread, which cannot wait for itself: await the desk")
        if not self._loop.is_running():
            raise GatewayUnreachable("the gateway's event loop is not running")
        act = asyncio.run_coroutine_threadsafe(carry_out(self._desk, self._source, question), self._loop)
        wait([act], timeout_s)
        if not act.done() or act.cancelled():
            raise GatewayUnreachable("the gateway did not come to it in time")
        error = act.exception()
        if error is not None:
            raise CommandRefused(type(error).__name__, str(error)) from error
        return act.result()

    def close(self) -> None:
        """Nothing is held open."""
