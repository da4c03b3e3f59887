"""
How much may be asked of the venue: its limits on call weight and on orders, with room kept for the way out.

Openings together use at most what is not reserved, and wait for it; what reduces, and what finds out how things stand, is
counted and never waits. The windows slide, so that however the venue cuts its own, no cut of that length holds more.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from interlock.core.constants import NS_PER_S
from interlock.core.errors import InterlockError

RESERVED_FRAC: Final = 0.4
"""The share of every limit that openings leave to reducing orders and reconciliation."""

WEIGHT_ORDER: Final = 1
WEIGHT_CANCEL: Final = 1
WEIGHT_QUERY: Final = 1
WEIGHT_LEVERAGE: Final = 1
WEIGHT_POSITIONS: Final = 5
WEIGHT_ACCOUNT: Final = 5
WEIGHT_FILLS: Final = 5
WEIGHT_OPEN_ORDERS: Final = 40
"""What a call weighs at the venue that counts them most strictly, Binance USD-M futures; open orders are of all symbols."""

LOOK_AGAIN_S: Final = 0.02
"""How often a waiting opening looks whether there is room."""


class BudgetExhausted(InterlockError):
    """The venue's limits leave no room for another opening in time; send fewer, or later."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a venue takes in a minute and in ten seconds; the defaults are those of Binance USD-M futures."""

    weight_per_minute: int = 2400
    orders_per_minute: int = 1200
    orders_per_ten_s: int = 300
    minute_s: float = 60.0
    ten_s: float = 10.0


class _Window:
    """What was used within the last so many seconds, by openings and by all."""

    def __init__(self, limit: int, length_s: float) -> None:
        self._limit = limit
        self._opening_limit = int(limit * (1.0 - RESERVED_FRAC))
        self._length_ns = int(length_s * NS_PER_S)
        self._uses: deque[tuple[int, int, bool]] = deque()
        self.used = 0
        self.used_by_openings = 0

    def forget(self, now_ns: int) -> None:
        while self._uses and self._uses[0][0] <= now_ns - self._length_ns:
            _, amount, opening = self._uses.popleft()
            self.used -= amount
            self.used_by_openings -= amount if opening else 0

    def use(self, now_ns: int, amount: int, *, opening: bool) -> None:
        self._uses.append((now_ns, amount, opening))
        self.used += amount
        self.used_by_openings += amount if opening else 0

    def admits(self, amount: int) -> bool:
        return self.used_by_openings + amount <= self._opening_limit and self.used + amount <= self._limit


class Budget:
    """The account's rate budget at its venue; use it from one event loop."""

    def __init__(self, limits: RateLimits, mono_ns: Callable[[], int]) -> None:
        self._mono_ns = mono_ns
        self._weight = _Window(limits.weight_per_minute, limits.minute_s)
        self._orders = (
            _Window(limits.orders_per_minute, limits.minute_s),
            _Window(limits.orders_per_ten_s, limits.ten_s),
        )

    @property
    def weight_used(self) -> int:
        """Weight of the calls of the last minute."""
        self._weight.forget(self._mono_ns())
        return self._weight.used

    def count(self, weight: int, orders: int = 0) -> None:
        """The call is counted; it never waits."""
        self._use(self._mono_ns(), weight, orders, opening=False)

    async def wait(self, weight: int, orders: int, timeout_s: float) -> None:
        """
        There is room for an opening's calls, and they are counted.

        Raises:
            BudgetExhausted: there was none in time.
        """
        until_ns = self._mono_ns() + int(timeout_s * NS_PER_S)
        while not self._take(weight, orders):
            if self._mono_ns() >= until_ns:
                raise BudgetExhausted("the venue's rate limits leave no room for another opening")
            await asyncio.sleep(LOOK_AGAIN_S)

    def _take(self, weight: int, orders: int) -> bool:
        now_ns = self._mono_ns()
        for window in (self._weight, *self._orders):
            window.forget(now_ns)
        fits = self._weight.admits(weight) and all(window.admits(orders) for window in self._orders)
        if fits:
            self._use(now_ns, weight, orders, opening=True)
        return fits

    def _use(self, now_ns: int, weight: int, orders: int, *, opening: bool) -> None:
        self._weight.use(now_ns, weight, opening=opening)
        for window in self._orders if orders else ():
            window.use(now_ns, orders, opening=opening)
