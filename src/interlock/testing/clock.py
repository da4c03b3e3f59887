"""A clock that stands still until a test moves it."""

from typing import Final

from interlock.core.constants import NS_PER_S

BOOT_NS: Final = 1_000 * NS_PER_S
"""What the monotonic clock shows at first: not 0, and not the wall clock."""


class FakeClock:
    """
    A wall clock and a monotonic clock over one true time, UTC epoch in nanoseconds.

    `advance_to` lets time pass on both; `jump` steps the wall clock alone, as a bad time server does.
    """

    def __init__(self, true_ns: int) -> None:
        self._start_ns = true_ns
        self.true_ns = true_ns
        self.skew_ns = 0

    @property
    def wall_ns(self) -> int:
        """What the host's wall clock shows."""
        return self.true_ns + self.skew_ns

    @property
    def mono_ns(self) -> int:
        """What the host's monotonic clock shows."""
        return self.true_ns - self._start_ns + BOOT_NS

    def advance_to(self, true_ns: int) -> None:
        """
        True time is `true_ns`.

        Raises:
            ValueError: that lies in the past.
        """
        if true_ns < self.true_ns:
            raise ValueError(f"time does not go back: {self.true_ns - true_ns} ns")
        self.true_ns = true_ns

    def advance(self, seconds: float) -> None:
        """So many seconds have passed."""
        self.advance_to(self.true_ns + round(seconds * NS_PER_S))

    def jump(self, seconds: float) -> None:
        """The wall clock has stepped by so many seconds, forwards or backwards, while no time passed."""
        self.skew_ns += round(seconds * NS_PER_S)
