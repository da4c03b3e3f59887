"""What a run leaves behind, and what can be said of it without knowing where it came from."""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from interlock.core.codes import Code, TradingState
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.messages import Decision, LockChanged
from interlock.core.state import LOSS_TRIGGERS
from interlock.policy.calendar import day_calendar
from interlock.report import Lock, Severity

DAY_NS: Final = 86_400 * NS_PER_S
SEVERITIES: Final = {TradingState.REDUCING: Severity.REDUCING, TradingState.HALTED: Severity.HALTED}


@dataclass(slots=True)
class Journal:
    """What a run leaves behind: its equity whenever it was looked at, its fills, and what the gate did."""

    balance: float
    at_ns: "array[int]" = field(default_factory=lambda: array("q"))
    equity: "array[float]" = field(default_factory=lambda: array("d"))
    floors: dict[Code, "array[float]"] = field(default_factory=dict)
    fills: list[tuple[int, str, float, float]] = field(default_factory=list)
    decisions: list[tuple[int, Decision]] = field(default_factory=list)
    locks: list[tuple[int, LockChanged]] = field(default_factory=list)
    flattenings: list[tuple[int, str, Code, float]] = field(default_factory=list)
    intents: int = 0
    fees: float = 0.0


def answer(decision: Decision) -> str:
    """What became of an intent: "granted", "capped" or "denied"."""
    if not decision.allowed:
        return "denied"
    return "capped" if decision.granted_steps < decision.requested_steps else "granted"


def peaks(journal: Journal) -> list[float]:
    """The highest equity so far, each time it was looked at; the initial balance counts."""
    top, found = journal.balance, []
    for level in journal.equity:
        top = max(top, level)
        found.append(top)
    return found


def worst_drawdown(journal: Journal) -> float:
    """The furthest that equity was below its peak, as a fraction of the peak, negative below."""
    return min(level / top - 1.0 for level, top in zip(journal.equity, peaks(journal), strict=True))


def worst_day(journal: Journal, zone: str, clock: str) -> float:
    """The worst change of equity from the beginning of a risk day to its end, as a fraction of that beginning."""
    at_ns = journal.at_ns
    starts = day_calendar("days", zone, clock, at_ns[0], at_ns[-1] + DAY_NS).instants_ns
    closes = {bisect_left(at_ns, start_ns) - 1 for start_ns in starts} - {-1}
    levels = [journal.balance, *(journal.equity[index] for index in sorted(closes))]
    return min((later / earlier - 1.0 if earlier > 0.0 else 0.0 for earlier, later in pairwise(levels)), default=0.0)


def monthly(journal: Journal) -> list[float]:
    """The return of every calendar month (UTC) in order, as a fraction of the equity it began with; 0 without any."""
    at_ns = journal.at_ns
    months = range(_month(at_ns[0]), _month(at_ns[-1]) + 1)
    closes = {bisect_left(at_ns, _month_ns(month + 1)) - 1 for month in months}
    levels = [journal.balance, *(journal.equity[index] for index in sorted(closes))]
    return [later / earlier - 1.0 if earlier > 0.0 else 0.0 for earlier, later in pairwise(levels)]


def _month(at_ns: int) -> int:
    """The calendar month (UTC), counted from the year 0."""
    day = datetime.fromtimestamp(at_ns // NS_PER_S, UTC)
    return day.year * 12 + day.month - 1


def _month_ns(month: int) -> int:
    """When the month that is so counted begins."""
    year, month_before = divmod(month, 12)
    return int(datetime(year, month_before + 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S


def spans(journal: Journal) -> list[Lock]:
    """Every lock from when it was first set to when it ended, one span even where it was set again meanwhile."""
    found: list[Lock] = []
    held: dict[tuple[str, str, int, Code], tuple[int, LockChanged]] = {}
    for at_ns, lock in journal.locks:
        key = (lock.scope.value, lock.scope_key, lock.side, lock.code)
        before = held.pop(key, None)
        if before is not None and (lock.until_ns == 0 or before[1].until_ns < at_ns):
            found.append(_span(*before, min(at_ns, before[1].until_ns)))
            before = None
        if lock.until_ns:
            held[key] = (before[0] if before else at_ns, lock)
    end_ns = journal.at_ns[-1]
    for since_ns, lock in held.values():
        found.append(_span(since_ns, lock, lock.until_ns if lock.until_ns <= end_ns else None))
    return sorted(found, key=lambda span: span.start_ns)


def _span(since_ns: int, lock: LockChanged, end_ns: int | None) -> Lock:
    where = f"{lock.scope_key}: " if lock.scope_key else ""
    numbers = f" ({lock.value:,.0f} of {lock.threshold:,.0f})" if lock.code in LOSS_TRIGGERS else ""
    until = ", until an operator" if lock.until_ns == OPERATOR_NS else ""
    return Lock(since_ns, end_ns, lock.code.value, SEVERITIES[lock.severity], f"{where}{lock.reason}{numbers}{until}")


def locked_frac(locks: Sequence[Lock], start_ns: int, end_ns: int) -> float:
    """The share of the span in which at least one lock was in force."""
    total = until_ns = 0
    for lock in locks:
        lock_end_ns = end_ns if lock.end_ns is None else lock.end_ns
        total += max(0, lock_end_ns - max(until_ns, lock.start_ns))
        until_ns = max(until_ns, lock_end_ns)
    return total / (end_ns - start_ns) if end_ns > start_ns else 0.0
