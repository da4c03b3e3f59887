"""The one place where a running system reads time."""

import time
from typing import Protocol


class Clock(Protocol):
    """A wall clock, which people and venues share, and a monotonic one, which never steps."""

    def wall_ns(self) -> int:
        """UTC epoch."""
        ...

    def mono_ns(self) -> int:
        """Time since some fixed moment; it never goes back."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def wall_ns(self) -> int:
        """UTC epoch."""
        return time.time_ns()

    def mono_ns(self) -> int:
        """Time since some fixed moment; it never goes back."""
        return time.monotonic_ns()
