"""Ledgers as the commands read them: where one is, how long it is, and its decisions with the policy of their time."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from interlock.core.explain import limits_of
from interlock.core.limits import NO_LIMITS, Limits
from interlock.core.messages import AccountOpened, Decision, PolicySet, Step
from interlock.ledger.errors import LedgerError
from interlock.ledger.segment import Segment, segment_paths


class Decided(NamedTuple):
    """A recorded decision, its step, and what was in force when it was made."""

    decision: Decision
    step: Step
    limits: Limits
    currency: str


def opened_ledger(directory: Path) -> Path:
    """
    The directory, which holds a ledger.

    Raises:
        LedgerError: there is none in it.
    """
    if not segment_paths(directory):
        raise LedgerError(f"there is no ledger in {directory}", "name the directory that holds its *.sqlite files")
    return directory


def ledger_end(directory: Path) -> int | None:
    """Number of the last record, not checked; None where the newest segment does not say."""
    try:
        with Segment.reader(segment_paths(directory)[-1]) as segment:
            return segment.last().seq if segment.info() else None
    except (sqlite3.Error, LedgerError):
        return None


def decisions(steps: Iterator[Step]) -> Iterator[Decided]:
    """Every decision among the steps, which start at the ledger's beginning."""
    policy: PolicySet | None = None
    currency = ""
    for step in steps:
        if isinstance(step.input, PolicySet) and step.input.verified:
            policy = step.input
        elif isinstance(step.input, AccountOpened):
            currency = step.input.currency
        for output in step.outputs:
            if isinstance(output, Decision):
                limits = NO_LIMITS if policy is None else limits_of(policy, output.symbol)
                yield Decided(output, step, limits, currency)
