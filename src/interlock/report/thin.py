"""
Long series made short enough to draw, without losing an extreme.

All series of a report are drawn over one axis. Where that has too many instants, consecutive ones
form buckets of equal count; each bucket keeps its first and last instant, and each series its
minimum and maximum within the bucket, in the order in which they came.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, isfinite, nan


@dataclass(frozen=True, slots=True)
class Axis:
    """
    The instants that are drawn, and how many of the original ones stand behind each pair of them.

    ``bucket_count`` 1 means that every instant is drawn.
    """

    at_ns: Sequence[int]
    bucket_count: int

    @classmethod
    def over(cls, columns: Iterable[Sequence[int]], points_max: int) -> "Axis":
        """The axis over all instants of ``columns``, with at most ``points_max`` of them."""
        instants = sorted(set().union(*columns))
        if len(instants) <= points_max:
            return cls(instants, 1)
        count = max(2, ceil(len(instants) / (points_max // 2)))
        drawn: list[int] = []
        for start in range(0, len(instants), count):
            end = min(start + count, len(instants)) - 1
            drawn += [instants[start], instants[end]] if end > start else [instants[start]]
        return cls(drawn, count)

    def thin(self, at_ns: Sequence[int], values: Sequence[float]) -> list[float]:
        """Return one value for each drawn instant; NaN where the series has none."""
        if self.bucket_count == 1:
            known = dict(zip(at_ns, values, strict=True))
            return [known.get(instant, nan) for instant in self.at_ns]
        drawn: list[float] = []
        for index in range(0, len(self.at_ns), 2):
            edges = self.at_ns[index : index + 2]
            bucket = values[bisect_left(at_ns, edges[0]) : bisect_right(at_ns, edges[-1])]
            drawn += _extremes(bucket)[: len(edges)]
        return drawn


def _extremes(values: Sequence[float]) -> list[float]:
    """Return minimum and maximum in the order in which they came, or NaN twice."""
    present = [value for value in values if isfinite(value)]
    if not present:
        return [nan, nan]
    low, high = min(present), max(present)
    return [low, high] if present.index(low) < present.index(high) else [high, low]


def differences(values: Sequence[int]) -> list[int]:
    """The first value, then what each adds to the one before: shorter to write down."""
    return [*values[:1], *(later - earlier for earlier, later in pairwise(values))]


def scaled_differences(values: Iterable[float], scale: int) -> list[int | None]:
    """Values times ``scale``, rounded, each as the difference to the last known; NaN is None."""
    written: list[int | None] = []
    last = 0
    for value in values:
        if not isfinite(value):
            written.append(None)
            continue
        whole = round(value * scale)
        written.append(whole - last)
        last = whole
    return written
