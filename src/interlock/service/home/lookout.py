"""
What the disk says about opening, asked on a thread of its own: a disk that hangs closes openings and delays nobody.

One reading at a time is under way. Whoever asks gets a reading that began after the question, or is told that none came
in time, which counts as killed.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import nan
from typing import Final

from interlock.core.codes import KillMode
from interlock.core.messages import ModeSet
from interlock.service.api import KillStatus
from interlock.service.home.conditions import Conditions, LiveConditions
from interlock.service.home.latch import UNREADABLE, KillLatch, KillState, Switch

_SLOW: Final = "the disk does not answer: check the disk of the state directory"


@dataclass(frozen=True, slots=True)
class Sight:
    """The kill switch and the live conditions at one moment; blind where the disk did not answer."""

    kill: KillState
    conditions: Conditions
    blind: bool = False


BLIND: Final = Sight(
    KillState((KillStatus(active=True, mode=KillMode.REDUCE_ONLY, reason=_SLOW, by=UNREADABLE),), Switch.UNKNOWN),
    Conditions(
        ModeSet(nan, nan, nan, _SLOW),
        tuple((name, False, _SLOW) for name in ("mode", "armed", "rollout", "kill switch off")),
    ),
    blind=True,
)
"""What is to be assumed while the disk does not answer; it is no reason to throw the switch for good."""


class Lookout:
    """Reads latch, sentinel and conditions for one event loop."""

    def __init__(
        self,
        latch: KillLatch,
        conditions: LiveConditions,
        symbols: Callable[[], Sequence[str]],
        *,
        patience_s: float = 1.0,
        mono_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Ready to look.

        Args:
            latch: the kill switch.
            conditions: the live conditions.
            symbols: the universe of the policy in force.
            patience_s: how long an answer of the disk is waited for, and how long the last one may be relied on.
            mono_s: the monotonic clock.
        """
        self._latch = latch
        self._conditions = conditions
        self._symbols = symbols
        self._patience_s = patience_s
        self._mono_s = mono_s
        self._readings = 0
        self._reading: asyncio.Future[Sight] | None = None
        self._last: tuple[float, Sight] | None = None

    @property
    def sight(self) -> Sight:
        """The last reading, blind where it is older than the patience; never waits."""
        if self._last is None or self._mono_s() - self._last[0] > self._patience_s:
            return BLIND
        return self._last[1]

    def killed(self) -> KillMode | None:
        """The mode in which the account is killed as far as the last reading knows; reduce_only where that is too old."""
        return self.sight.kill.account

    async def look(self) -> Sight:
        """What the disk says now, by a reading that began after the call; blind where none came in time."""
        wanted = self._readings + 1
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    if self._reading is None or self._reading.done():
                        self._begin()
                    number, reading = self._readings, self._reading
                    assert reading is not None
                    sight = await asyncio.shield(reading)
                    if number >= wanted:
                        return sight
        except TimeoutError:
            return BLIND

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._readings += 1
        self._reading = loop.create_future()
        symbols = tuple(self._symbols())
        threading.Thread(target=self._read, args=(loop, self._reading, symbols), name="lookout", daemon=True).start()

    def _read(self, loop: asyncio.AbstractEventLoop, reading: asyncio.Future[Sight], symbols: Sequence[str]) -> None:
        began_s, sight = self._mono_s(), BLIND
        try:
            kill = self._latch.state()
            sight = Sight(kill, self._conditions.read(symbols, kill))
        finally:
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(self._arrived, reading, began_s, sight)

    def _arrived(self, reading: asyncio.Future[Sight], began_s: float, sight: Sight) -> None:
        self._last = (began_s, sight)
        if not reading.done():
            reading.set_result(sight)
