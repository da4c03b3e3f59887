"""The history and the gated run in numbers: what the gate let through, what it saved, what it cost, trade by trade."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Final

from interlock.adapters.history import Marks
from interlock.core.constants import OPERATOR_NS
from interlock.core.messages import Decision
from interlock.ledger.steps import read_steps
from interlock.policy import Policy
from interlock.report import Lock
from interlock.study.hindsight import MIDNIGHT, Free, Gated, Plan, Verdict
from interlock.study.journal import Journal, locked_frac, spans, worst_day, worst_drawdown
from interlock.study.past import Past, trade_quantity
from interlock.study.proof import Proof
from interlock.study.wording import explained, instant

SHOWN_MAX: Final = 10
"""Trades of either kind that are told one by one."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One equity curve in numbers; fractions are of equity, money is in account currency."""

    name: str
    gated: bool
    equity: float
    return_frac: float
    worst_day_frac: float
    worst_drawdown_frac: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One trade that became another: what it brought, what it would have, and why."""

    line: int
    opened: str
    symbol: str
    trade: str
    was: float
    became: float
    gained: float
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Gap:
    """How far our reconstruction is from the account's own equity marks, at most, and when."""

    marks: int
    largest: float
    at: str
    flat_marks: int
    flat_largest: float
    flat_at: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    What the gate would have done.

    ``saved`` and ``cost`` are sums over trades and differ by the difference of final equity. ``denied`` and ``capped``
    count openings by reason, denials of a lock by the lock; ``exits_empty`` are exits of what the gate had not let in.
    """

    curves: tuple[Curve, ...]
    trades: int
    openings: int
    granted: int
    capped: dict[str, int]
    denied: dict[str, int]
    exits: int
    exits_held_up: int
    exits_empty: int
    locks: dict[str, int]
    locked_frac: float
    flattenings: int
    saved: float
    cost: float
    losers_spared: int
    winners_missed: int
    biggest_saves: tuple[Difference, ...]
    biggest_costs: tuple[Difference, ...]
    gap: Gap | None
    proof: Proof


def compare(free: Free, gated: Gated, plan: Plan, directory: Path, proof: Proof, marks: Marks | None) -> Comparison:
    """The gated run beside the history; the ledger in ``directory`` says why."""
    past = free.past
    was, became = free.books.brought(), gated.books.brought()
    gains = [later - earlier for earlier, later in zip(was, became, strict=True)]
    openings = sum(order.opens for order in past.orders)
    exits = [verdict for verdict in gated.verdicts if not past.orders[verdict.order].opens]
    limited = [verdict for verdict in gated.verdicts if past.orders[verdict.order].opens]
    locks = spans(gated.journal)
    tell = _Teller(gated, plan.policy, directory, was, became)
    saves = sorted((trade for trade, gain in enumerate(gains) if gain > 0), key=lambda trade: -gains[trade])
    costs = sorted((trade for trade, gain in enumerate(gains) if gain < 0), key=lambda trade: gains[trade])
    curves = [_curve("history", free.journal, plan.zone), _curve("with the gate", gated.journal, plan.zone, gated=True)]
    if marks is not None:
        curves.append(_curve("equity marks", journal_of(marks), plan.zone))
    return Comparison(
        curves=tuple(curves),
        trades=len(past.trades),
        openings=openings,
        granted=openings - len(limited),
        capped=_count(verdict for verdict in limited if verdict.granted),
        denied=_count(verdict for verdict in limited if not verdict.granted),
        exits=len(past.orders) - openings,
        exits_held_up=len(exits),
        exits_empty=gated.exits_left_nothing,
        locks=dict(Counter(lock.code for lock in locks).most_common()),
        locked_frac=locked_frac(locks, gated.journal.at_ns[0], gated.journal.at_ns[-1]),
        flattenings=len(gated.journal.flattenings),
        saved=sum(gains[trade] for trade in saves) / past.unit,
        cost=-sum(gains[trade] for trade in costs) / past.unit,
        losers_spared=sum(was[trade] < 0 for trade in saves),
        winners_missed=sum(was[trade] > 0 for trade in costs),
        biggest_saves=tuple(map(tell.difference, saves[:SHOWN_MAX])),
        biggest_costs=tuple(map(tell.difference, costs[:SHOWN_MAX])),
        gap=None if marks is None else gap(past, free.journal, marks),
        proof=proof,
    )


def _count(verdicts: Iterable[Verdict]) -> dict[str, int]:
    return dict(Counter(_name(verdict) for verdict in verdicts).most_common())


def _name(verdict: Verdict) -> str:
    return f"lock {verdict.lock}" if verdict.lock else verdict.code.value


def _curve(name: str, journal: Journal, zone: str, *, gated: bool = False) -> Curve:
    return Curve(
        name=name,
        gated=gated,
        equity=journal.equity[-1],
        return_frac=journal.equity[-1] / journal.balance - 1.0,
        worst_day_frac=worst_day(journal, zone, MIDNIGHT),
        worst_drawdown_frac=worst_drawdown(journal),
    )


def journal_of(marks: Marks) -> Journal:
    """The equity marks as a run: one value for each instant, the last where there were several."""
    journal = Journal(marks.equity[0])
    for at_ns, equity in dict(zip(marks.at_ns, marks.equity, strict=True)).items():
        journal.at_ns.append(at_ns)
        journal.equity.append(equity)
    return journal


class _Teller:
    """Trades that became others, with the reason in words."""

    def __init__(self, gated: Gated, policy: Policy, directory: Path, was: Sequence[int], became: Sequence[int]) -> None:
        self._past = gated.past
        self._policy = policy
        self._directory = directory
        self._was = was
        self._became = became
        self._flattened = gated.flattened
        self._locks = spans(gated.journal)
        self._verdicts: dict[int, Verdict] = {}
        for verdict in gated.verdicts:
            for trade in verdict.trades:
                known = self._verdicts.setdefault(trade, verdict)
                if verdict.asked - verdict.granted > known.asked - known.granted:
                    self._verdicts[trade] = verdict

    def difference(self, number: int) -> Difference:
        trade, unit = self._past.trades[number], self._past.unit
        code, why = self._reason(number)
        return Difference(
            line=trade.line,
            opened=instant(trade.opened_ns),
            symbol=trade.symbol,
            trade=trade_quantity(self._past, trade),
            was=self._was[number] / unit,
            became=self._became[number] / unit,
            gained=(self._became[number] - self._was[number]) / unit,
            code=code,
            why=why,
        )

    def _reason(self, number: int) -> tuple[str, str]:
        """The opening that the gate cut most, or that it closed the trade itself."""
        verdict = self._verdicts.get(number)
        if verdict is None:
            code = self._flattened[number].value
            return code, f"{code}: the gate closed it at the last known price."
        share = "nothing" if not verdict.granted else f"{verdict.granted / verdict.asked:.0%}"
        lock = next((each for each in self._locks if _holds(each, verdict)), None)
        if lock is not None:
            end = "" if lock.end_ns is None else f", until {instant(lock.end_ns)}"
            return _name(verdict), f"locked by {lock.code} since {instant(lock.start_ns)}{end}: {lock.reason}."
        step = next(read_steps(self._directory, after_seq=verdict.seq - 1))
        decision = next(output for output in step.outputs if isinstance(output, Decision))
        return _name(verdict), f"{verdict.code}, {share} let in: {explained(self._policy, verdict.at_ns, decision)}"


def _holds(lock: Lock, verdict: Verdict) -> bool:
    """Whether the lock is the one behind the verdict."""
    return lock.code == verdict.lock and lock.start_ns <= verdict.at_ns and verdict.at_ns <= (lock.end_ns or OPERATOR_NS)


def gap(past: Past, journal: Journal, marks: Marks) -> Gap | None:
    """The largest differences between equity marks and the history's equity; None where no mark lies within it."""
    rows = []
    opened = sorted(trade.opened_ns for trade in past.trades)
    closed = sorted(trade.closed_ns for trade in past.trades if trade.closed_ns)
    for at_ns, equity in zip(marks.at_ns, marks.equity, strict=True):
        place = bisect_right(journal.at_ns, at_ns) - 1
        if place >= 0 and not isnan(equity):
            rows.append((abs(equity - journal.equity[place]), at_ns))
    if not rows:
        return None
    flat = [(apart, at_ns) for apart, at_ns in rows if bisect_right(opened, at_ns) == bisect_right(closed, at_ns)]
    largest, flat_largest = max(rows), max(flat, default=(0.0, 0))
    return Gap(
        len(rows), largest[0], instant(largest[1]), len(flat), flat_largest[0], instant(flat_largest[1]) if flat else ""
    )
