"""What came of each run in numbers: plain values for the table, the report and the machine-readable result."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from interlock.core.codes import Code, TradingState
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.messages import Decision, LockChanged
from interlock.core.state import LOSS_TRIGGERS
from interlock.demo.market import DAY_NS
from interlock.demo.passage import BALANCE, ZONE, Journal
from interlock.demo.run import Outcome, Proof
from interlock.policy.calendar import day_calendar
from interlock.report import Lock, Severity

SEVERITIES: Final = {TradingState.REDUCING: Severity.REDUCING, TradingState.HALTED: Severity.HALTED}


@dataclass(frozen=True, slots=True)
class Figures:
    """
    One run in numbers; fractions are of equity, money is in account currency.

    Months are compared with those of the run without a gate: in ``months_ahead`` the run's return was larger, on
    average by ``ahead_frac``; in ``months_behind`` it was smaller, on average by ``behind_frac``. ``denied`` counts by
    reason code, ``denied_by_lock`` the same denials by the lock behind them, where there was one.
    """

    name: str
    gated: bool
    equity: float
    return_frac: float
    worst_day_frac: float
    worst_drawdown_frac: float
    fees: float
    intents: int
    fills: int
    granted: int
    capped: int
    denied: dict[str, int]
    denied_by_lock: dict[str, int]
    locks: dict[str, int]
    locked_frac: float
    flattenings: int
    equity_gained: float
    months_ahead: int
    ahead_frac: float
    months_behind: int
    behind_frac: float
    proof: Proof | None
    policy: str
    digest: str

    @property
    def denied_count(self) -> int:
        """Intents that were denied, for whatever reason."""
        return sum(self.denied.values())


def figures(outcomes: Sequence[Outcome]) -> tuple[Figures, ...]:
    """The figures of every run; the first of them is the one without a gate."""
    return tuple(_figures(outcome, outcomes[0].journal) for outcome in outcomes)


def _figures(outcome: Outcome, free: Journal) -> Figures:
    journal, policy = outcome.journal, outcome.plan.policy
    answers = Counter(answer(decision) for _, decision in journal.decisions)
    denied = [decision for _, decision in journal.decisions if answer(decision) == "denied"]
    locks = spans(journal)
    differences = [mine - theirs for mine, theirs in zip(monthly(journal), monthly(free), strict=True)]
    ahead = [difference for difference in differences if difference > 0.0]
    behind = [-difference for difference in differences if difference < 0.0]
    span_ns = journal.at_ns[-1] - journal.at_ns[0]
    return Figures(
        name=outcome.plan.name,
        gated=policy is not None,
        equity=journal.equity[-1],
        return_frac=journal.equity[-1] / BALANCE - 1.0,
        worst_day_frac=worst_day(journal),
        worst_drawdown_frac=min(level / top - 1.0 for level, top in zip(journal.equity, peaks(journal), strict=True)),
        fees=journal.fees,
        intents=journal.intents,
        fills=len(journal.fills),
        granted=answers["granted"] if policy else journal.intents,
        capped=answers["capped"],
        denied=dict(Counter(decision.headline.value for decision in denied).most_common()),
        denied_by_lock=dict(Counter(decision.lock for decision in denied if decision.lock).most_common()),
        locks=dict(Counter(lock.code for lock in locks).most_common()),
        locked_frac=_locked_ns(locks, journal.at_ns[-1]) / span_ns if span_ns else 0.0,
        flattenings=len(journal.flattenings),
        equity_gained=journal.equity[-1] - free.equity[-1],
        months_ahead=len(ahead),
        ahead_frac=_mean(ahead),
        months_behind=len(behind),
        behind_frac=_mean(behind),
        proof=outcome.proof,
        policy=policy.leaves["policy_version",].text if policy else "",
        digest=policy.digest if policy else "",
    )


def answer(decision: Decision) -> str:
    """What became of an intent: "granted", "capped" or "denied"."""
    if not decision.allowed:
        return "denied"
    return "capped" if decision.granted_steps < decision.requested_steps else "granted"


def peaks(journal: Journal) -> list[float]:
    """The highest equity so far, at every close; the initial balance counts."""
    top, found = BALANCE, []
    for level in journal.equity:
        top = max(top, level)
        found.append(top)
    return found


def worst_day(journal: Journal) -> float:
    """The worst change of equity from the beginning of a risk day to its end, as a fraction of that beginning."""
    at_ns = journal.at_ns
    starts = day_calendar("days", ZONE, "17:00", at_ns[0], at_ns[-1] + DAY_NS).instants_ns
    closes = {bisect_left(at_ns, start_ns) - 1 for start_ns in starts} - {-1}
    levels = [BALANCE, *(journal.equity[index] for index in sorted(closes))]
    return min(later / earlier - 1.0 if earlier > 0.0 else 0.0 for earlier, later in pairwise(levels))


def monthly(journal: Journal) -> list[float]:
    """The return of every calendar month (UTC) in order, as a fraction of the equity it began with; 0 without any."""
    last: dict[tuple[int, int], float] = {}
    for at_ns, level in zip(journal.at_ns, journal.equity, strict=True):
        day = datetime.fromtimestamp(at_ns // NS_PER_S, UTC)
        last[day.year, day.month] = level
    return [later / earlier - 1.0 if earlier > 0.0 else 0.0 for earlier, later in pairwise([BALANCE, *last.values()])]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


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


def _locked_ns(locks: Sequence[Lock], end_ns: int) -> int:
    """Nanoseconds in which at least one lock was in force."""
    total = until_ns = 0
    for lock in locks:
        lock_end_ns = end_ns if lock.end_ns is None else lock.end_ns
        total += max(0, lock_end_ns - max(until_ns, lock.start_ns))
        until_ns = max(until_ns, lock_end_ns)
    return total
