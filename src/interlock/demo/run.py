"""
All runs of the demonstration, on as many cores as there are: each walks the tape, and each ledger is proven.

A run and its proof are separate tasks and the longest begin first, so that two cores stay busy to the end. Workers get
the tape once, when they start; what they tell while they work goes through one queue.
"""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.adapters.paper import PaperVenue
from interlock.demo.diary import Diary
from interlock.demo.market import Tape
from interlock.demo.passage import BALANCE, FEE_BPS, Gated, Passage, Ungated, Unrecorded
from interlock.demo.plans import Plan, is_alike
from interlock.ledger import LedgerError
from interlock.study.proof import Proof, open_gate, prove

TOLD_EVERY: Final = 500
POLL_S: Final = 0.1


class RunFailed(LedgerError):
    """A run ended because its ledger took nothing more; nothing unrecorded was opened. Fit to cross processes."""

    def __reduce__(self) -> tuple[type["RunFailed"], tuple[str, str]]:
        return RunFailed, (self.what, self.remedy)


class Progress(NamedTuple):
    """How far a run has come: ``part`` is "run" (in moments) or "proof" (in steps decided again)."""

    name: str
    part: str
    done: int
    total: int


@dataclass(slots=True)
class Outcome:
    """One finished run: what it left behind, and the proof of its ledger where it had one."""

    plan: Plan
    journal: Diary
    steps: int = 0
    proof: Proof | None = None


@dataclass(slots=True)
class _Worker:
    """What a worker process knows from its start."""

    tape: Tape
    queue: "Queue[Progress] | None"
    directory: Path
    secret: bytes

    @property
    def key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.secret)

    def tell(self, progress: Progress) -> None:
        if self.queue is not None:
            self.queue.put(progress)

    def venue(self) -> PaperVenue:
        return PaperVenue(BALANCE, [market.instrument for market in self.tape.markets.values()], fee_bps=FEE_BPS)

    def follow(self, plan: Plan, passage: Passage) -> None:
        total = len(self.tape.moments)
        for done, _ in enumerate(passage.run(), 1):
            if done % TOLD_EVERY == 0 or done == total:
                self.tell(Progress(plan.name, "run", done, total))


_worker: _Worker | None = None


def _start(worker_tape: Tape, queue: "Queue[Progress] | None", directory: Path, secret: bytes) -> None:
    global _worker  # noqa: PLW0603 (the one thing that a worker process is given when it starts)
    _worker = _Worker(worker_tape, queue, directory, secret)


def _enter(worker_tape: Tape, queue: "Queue[Progress]", directory: Path, secret: bytes) -> None:
    """The worker process is ready; Ctrl-C is for its parent, which ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _start(worker_tape, queue, directory, secret)


def _end_workers() -> None:
    for child in active_children():
        child.terminate()


def _walk(plan: Plan) -> Outcome:
    """The plan's run over the whole tape; its ledger is closed. Raises RunFailed when that could not be written."""
    try:
        return _ungated(plan) if plan.policy is None else _gated(plan)
    except LedgerError as error:
        raise RunFailed(f"{plan.name}: {error.what}", error.remedy) from error


def _ungated(plan: Plan) -> Outcome:
    worker = _present()
    venue, diary = worker.venue(), Diary(BALANCE)
    worker.follow(plan, Passage(worker.tape, venue, diary, Ungated(worker.tape, venue, diary), plan))
    return Outcome(plan, diary)


def _gated(plan: Plan) -> Outcome:
    worker = _present()
    venue, diary = worker.venue(), Diary(BALANCE)
    gate = open_gate(worker.directory, plan.name, worker.key) if plan.recorded else None
    host = Gated(worker.tape, venue, diary, gate or Unrecorded(), plan)
    worker.follow(plan, Passage(worker.tape, venue, diary, host, plan))
    if gate is not None:
        gate.close()
    return Outcome(plan, diary, host.engine.state.account.seq)


def _present() -> _Worker:
    assert _worker is not None, "a worker process was started"
    return _worker


def _prove(name: str, steps: int) -> Proof:
    worker = _present()

    def told(done: int) -> None:
        if done % TOLD_EVERY == 0 or done == steps:
            worker.tell(Progress(name, "proof", done, steps))

    return prove(worker.directory, name, worker.key.public_key(), steps, told)


def run_all(
    tape: Tape, plans: Sequence[Plan], directory: Path, told: Callable[[Progress], None] = lambda _: None
) -> tuple[Outcome, ...]:
    """Every plan was run and every ledger proven, in the order of the plans; ``told`` heard of it on the way."""
    context = get_context("spawn")
    queue: Queue[Progress] = context.Queue()
    secret = Ed25519PrivateKey.generate().private_bytes_raw()
    runs: list[Future[Outcome]] = []
    proofs: dict[str, Future[Proof]] = {}
    workers = min(len(plans), os.cpu_count() or 1)
    start = (tape, queue, directory, secret)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_enter, initargs=start) as pool:
        try:
            runs += [pool.submit(_walk, plan) for plan in sorted(plans, key=_work, reverse=True)]
            pending: set[Future[Any]] = {*runs}
            while pending:
                done, pending = wait(pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
                _hear(queue, told)
                for run in done.intersection(runs):
                    outcome: Outcome = run.result()
                    if outcome.plan.recorded:
                        proofs[outcome.plan.name] = pool.submit(_prove, outcome.plan.name, outcome.steps)
                        pending.add(proofs[outcome.plan.name])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _end_workers()
            raise
    _hear(queue, told)
    queue.close()
    outcomes = {run.result().plan.name: run.result() for run in runs}
    for name, proof in proofs.items():
        outcomes[name].proof = proof.result()
    return tuple(outcomes[plan.name] for plan in plans)


def _work(plan: Plan) -> tuple[bool, bool]:
    """Orders plans by how much work they are: a ledger is written and proven, and a gate asked, or not."""
    return plan.recorded, plan.policy is not None


def run_with_others(
    tape: Tape,
    plans: Sequence[Plan],
    others: Sequence[Plan],
    directory: Path,
    told: Callable[[Progress], None] = lambda _: None,
) -> tuple[tuple[Outcome, ...], tuple[Outcome, ...]]:
    """The outcomes of the plans, and those of the others; one that is like the first gated plan has that one's."""
    base = plans[1]
    new = [plan for plan in others if not is_alike(plan, base)]
    outcomes = run_all(tape, [*plans, *new], directory, told)
    ran = {outcome.plan.name: outcome for outcome in outcomes}
    tried = [ran.get(plan.name) or Outcome(plan, ran[base.name].journal) for plan in others]
    return outcomes[: len(plans)], tuple(tried)


def _hear(queue: "Queue[Progress]", told: Callable[[Progress], None]) -> None:
    try:
        while True:
            told(queue.get_nowait())
    except Empty:
        return
