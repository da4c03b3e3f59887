"""What tests of laws start from: an engine with every rule on, and a gate before a disk that can be made to fail."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

import rulekit
from interlock.core.engine import Engine
from interlock.core.limits import Limits
from interlock.core.messages import SCHEMA, Decision, FlattenGoal, LockChanged, PermitIssued, PolicySet, Step
from interlock.ledger import Ledger, LedgerError
from interlock.service.shell.gate import Gate
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.bench import FEEDS
from interlock.testing.builders import START_NS
from interlock.testing.disk import Disk


def limits_of_everything(**changes: Any) -> Limits:
    """Every rule on, with room for an order of 1 000 in an account of 10 000."""
    room = {"order_quantity_max": 1_000.0, "warn_frac_min": 0.7, "warn_rearm_frac_max": 0.6, "size_quantity": 1.0}
    room |= {"quota_order_slice_count_max": 100.0, "quota_day_entry_count_max": 1_000.0, "kelly_probe_frac": 0.2}
    room |= {"kelly_trade_count_min": 30.0}
    room |= {"quota_day_slice_count_max": 1_000.0, "quota_campaign_slice_count_max": 10_000.0}
    room |= {"chop_risk_frac_max": 0.2, "base_risk_frac_max": 0.2, "trend_risk_frac_max": 0.2, "correlation_max": 1.0}
    return rulekit.limits(**{**room, **changes})


def policy_of(limits: Limits, *, at_ns: int = START_NS) -> PolicySet:
    """A policy that gives these limits to every symbol of a bench; exits belong to nobody in particular."""
    made = make_policy(at_ns=at_ns).compile(at_ns)
    universe = tuple(msgspec.structs.replace(symbol, limits=0) for symbol in made.universe)
    return msgspec.structs.replace(made, limits=(limits,), universe=universe, exit_owner="any")


def bench_under(limits: Limits | None = None, **options: Any) -> Bench:
    """A healthy engine under these limits, every rule on where none are given."""
    bench = open_bench(feeds=frozenset(), **options)
    bench.feeds |= FEEDS
    for symbol in bench.book.instruments:
        bench.tell_windows(symbol)
    bench.send(policy_of(limits_of_everything() if limits is None else limits))
    bench.refresh()
    return bench


def decision(step: Step) -> Decision:
    """The first decision of a step."""
    return next(each for each in step.outputs if isinstance(each, Decision))


def permits(step: Step) -> list[PermitIssued]:
    """The permits that a step issued."""
    return [each for each in step.outputs if isinstance(each, PermitIssued)]


def flights(step: Step) -> list[FlattenGoal | LockChanged]:
    """What a step did against positions or for locks."""
    return [each for each in step.outputs if isinstance(each, FlattenGoal | LockChanged)]


def hold(bench: Bench, symbol: str = "BTC", side: int = 1, quantity: float = 5.0) -> None:
    """The bench holds a position, opened by "bot" for "trend"."""
    step = bench.send(bench.intent(symbol, side, quantity=quantity))
    (permit,) = permits(step)
    bench.fill(permit.id)
    bench.refresh()


@contextmanager
def gate_on_disk(place: Path, bench: Bench, **options: Any) -> Iterator[tuple[Gate, Disk]]:
    """A gate whose ledger holds the bench's record, on a disk that does as it is told; the bench's engine is the gate's."""
    disk = Disk()
    ledger = Ledger.open(place / "ledger", account="test", schema=SCHEMA, disk=disk.writer, **options)
    gate = Gate(Engine(), ledger)
    for step in bench.steps:
        gate.submit(step.input, step.at_ns, step.mono_ns)
    assert ledger.wait(gate.engine.state.account.seq, 60.0)
    try:
        yield gate, disk
    finally:
        disk.die()
        with suppress(LedgerError):
            ledger.close()
