"""What came of each run in numbers: plain values for the table, the report and the machine-readable result."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from interlock.demo.passage import CLOCK, ZONE
from interlock.demo.run import Outcome
from interlock.demo.trades import exits, mean_r, trades, won_frac
from interlock.study.journal import Journal, answer, locked_frac, monthly, spans, worst_day, worst_drawdown
from interlock.study.proof import Proof


@dataclass(frozen=True, slots=True)
class Figures:
    """
    One run in numbers; fractions are of equity, money is in account currency.

    Months are compared with those of the run without a gate: in ``months_ahead`` the run's return was larger, on
    average by ``ahead_frac``; in ``months_behind`` it was smaller, on average by ``behind_frac``. ``denied`` counts by
    reason code, ``denied_by_lock`` the same denials by the lock behind them, where there was one.

    A trade lasts from flat to flat; ``mean_r`` is its mean result in units of what it risked at the stops that it was
    opened with, NaN without a trade. ``exits`` counts the fills that closed something by what asked for them.
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
    trades: int
    mean_r: float
    won_frac: float
    exits: dict[str, int]
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
    free = outcomes[0].journal
    free_months = monthly(free)
    return tuple(_figures(outcome, free, free_months) for outcome in outcomes)


def _figures(outcome: Outcome, free: Journal, free_months: Sequence[float]) -> Figures:
    journal, policy = outcome.journal, outcome.plan.policy
    closed = trades(journal)
    answers = Counter(answer(decision) for _, decision in journal.decisions if not decision.reducing)
    denied = [decision for _, decision in journal.decisions if answer(decision) == "denied"]
    locks = spans(journal)
    differences = [mine - theirs for mine, theirs in zip(monthly(journal), free_months, strict=True)]
    ahead = [difference for difference in differences if difference > 0.0]
    behind = [-difference for difference in differences if difference < 0.0]
    return Figures(
        name=outcome.plan.name,
        gated=policy is not None,
        equity=journal.equity[-1],
        return_frac=journal.equity[-1] / journal.balance - 1.0,
        worst_day_frac=worst_day(journal, ZONE, CLOCK),
        worst_drawdown_frac=worst_drawdown(journal),
        fees=journal.fees,
        intents=journal.intents,
        fills=len(journal.fills),
        granted=answers["granted"] if policy else journal.intents,
        capped=answers["capped"],
        denied=dict(Counter(decision.headline.value for decision in denied).most_common()),
        denied_by_lock=dict(Counter(decision.lock for decision in denied if decision.lock).most_common()),
        locks=dict(Counter(lock.code for lock in locks).most_common()),
        locked_frac=locked_frac(locks, journal.at_ns[0], journal.at_ns[-1]),
        flattenings=len(journal.flattenings),
        trades=len(closed),
        mean_r=mean_r(closed),
        won_frac=won_frac(closed),
        exits=exits(journal),
        equity_gained=journal.equity[-1] - free.equity[-1],
        months_ahead=len(ahead),
        ahead_frac=_mean(ahead),
        months_behind=len(behind),
        behind_frac=_mean(behind),
        proof=outcome.proof,
        policy=policy.leaves["policy_version",].text if policy else "",
        digest=policy.digest if policy else "",
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
