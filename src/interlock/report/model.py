"""
What a report shows, as plain values.

Nothing here knows the engine: whoever ran something fills these in. Instants are nanoseconds since
1970 UTC in ascending order, money is in the report's currency, NaN means there was no value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a lock forbids."""

    WARNING = "warning"
    REDUCING = "reducing"
    HALTED = "halted"


class Kind(StrEnum):
    """What became of an intent, or of a position."""

    DENIED = "denied"
    CAPPED = "capped"
    FLATTENED = "flattened"


@dataclass(frozen=True, slots=True)
class Floor:
    """A limit as the equity below which it is broken, one value for each instant of its run."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Lock:
    """A span without new risk; ``end_ns`` is None if it was still in force when the run ended."""

    start_ns: int
    end_ns: int | None
    code: str
    severity: Severity
    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """One intervention of the gate; ``bound`` says in numbers what bound, such as ``2.61 % of 2.5 %``."""

    at_ns: int
    kind: Kind
    symbol: str
    code: str
    message: str
    bound: str


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution; ``quantity`` is positive when bought, ``why`` what it was for where that is known."""

    at_ns: int
    symbol: str
    quantity: float
    price: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """From this instant on a symbol's protective stop lay at this price; NaN where there was none any more."""

    at_ns: int
    symbol: str
    price: float


@dataclass(frozen=True, slots=True)
class Trade:
    """
    A position from its first fill until it was flat.

    ``gained`` is money after costs, ``r`` the same in units of what was risked; ``rungs`` acted on it on its way, and
    ``exit`` closed its last part.
    """

    symbol: str
    side: int
    start_ns: int
    end_ns: int
    entry: float
    gained: float
    r: float
    rungs: Sequence[str]
    exit: str


@dataclass(frozen=True, slots=True)
class Run:
    """One passage over the same intents, behind a policy or (not ``gated``) without a gate."""

    name: str
    gated: bool
    at_ns: Sequence[int]
    equity: Sequence[float]
    peak: Sequence[float]
    floors: Sequence[Floor] = ()
    locks: Sequence[Lock] = ()
    events: Sequence[Event] = ()
    fills: Sequence[Fill] = ()
    stops: Sequence[Stop] = ()
    trades: Sequence[Trade] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.at_ns), len(self.equity), len(self.peak), *(len(floor.values) for floor in self.floors)}
        assert lengths != {0}, f"run {self.name!r} has no instant"
        assert len(lengths) == 1, f"the columns of run {self.name!r} differ in length: {sorted(lengths)}"


@dataclass(frozen=True, slots=True)
class Prices:
    """The price of one symbol over time; ``unit`` is what one unit of price is, such as ``USD/oz``."""

    symbol: str
    unit: str
    at_ns: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the summary: one text with its unit for each run, and what the row means."""

    label: str
    cells: Sequence[str]
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A table of its own, such as the trades that differ most: texts under a header; ``amounts`` are columns of numbers."""

    title: str
    meaning: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    amounts: Sequence[int] = ()

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), f"a row of {self.title!r} needs its header's length"


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on the ledgers behind the report: whether all were verified and replayed alike."""

    proven: bool
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report; ``provenance`` names where everything came from, as label and text."""

    title: str
    subtitle: str
    currency: str
    runs: Sequence[Run]
    prices: Sequence[Prices]
    summary: Sequence[Row]
    verification: Verification
    notes: Sequence[str] = ()
    provenance: Sequence[tuple[str, str]] = ()
    listings: Sequence[Listing] = ()

    def __post_init__(self) -> None:
        assert self.runs, "a report needs a run"
        for row in self.summary:
            assert len(row.cells) == len(self.runs), f"row {row.label!r} needs one cell for each run"
