"""
What the service manager is told: ready, what is going on, still alive, stopping.

systemd's notification protocol: datagrams to the socket in $NOTIFY_SOCKET. Where there is none, nothing is sent and
nothing fails. A lost datagram is a lost sign of life and no more, so sending never waits.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

_SIGNS_PER_LIMIT: Final = 3
_US_PER_S: Final = 1_000_000
_STATUS_MAX: Final = 200


class Watchdog:
    """The line to the service manager."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self.limit_s = _limit_s(environ)

    def ready(self) -> bool:
        """The manager knows that the gateway is up; returns whether it was told, as all of these do."""
        return self._send("READY=1")

    def status(self, text: str) -> bool:
        """`systemctl status` shows the text."""
        return self._send("STATUS=" + " ".join(text.split())[:_STATUS_MAX])

    def stopping(self) -> bool:
        """The manager knows that the gateway is on its way down."""
        return self._send("STOPPING=1")

    def alive(self) -> bool:
        """The manager gives the gateway another `limit_s`."""
        return self._send("WATCHDOG=1")

    async def watch(self, steps: Callable[[], bool], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """
        The manager hears several times per `limit_s` that the gateway is alive, as long as `steps` says that its engine is.

        Ends at once where the manager wants no signs of life, and otherwise never.
        """
        while self.limit_s > 0.0:
            if steps():
                self.alive()
            await sleep(self.limit_s / _SIGNS_PER_LIMIT)

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as line:
                line.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError:
            return False
        return True


def _limit_s(environ: Mapping[str, str]) -> float:
    """Seconds of silence after which the manager ends this process, 0 where it waits for no sign."""
    us, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    for_us = not pid or pid == str(os.getpid())
    return int(us) / _US_PER_S if us.isascii() and us.isdigit() and for_us else 0.0
