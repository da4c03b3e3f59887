"""One line of the table that `make bench` prints."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured, against what, and how large the ratio may be."""

    what: str
    against: str
    measured: float
    reference: float
    ratio_max: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.measured / self.reference

    @property
    def holds(self) -> bool:
        return self.ratio_max is None or self.ratio <= self.ratio_max
