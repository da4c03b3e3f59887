"""A self-contained HTML report of runs with and without the gate: one file, no network."""

from interlock.report.model import (
    Event,
    Fill,
    Floor,
    Kind,
    Listing,
    Lock,
    Prices,
    Report,
    Row,
    Run,
    Severity,
    Stop,
    Trade,
    Verification,
)
from interlock.report.render import render

__all__ = [
    "Event",
    "Fill",
    "Floor",
    "Kind",
    "Listing",
    "Lock",
    "Prices",
    "Report",
    "Row",
    "Run",
    "Severity",
    "Stop",
    "Trade",
    "Verification",
    "render",
]
