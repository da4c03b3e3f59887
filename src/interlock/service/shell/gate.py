"""
The smallest shell: one engine, one ledger, and the order in which their work becomes real.

A step is decided in memory and handed to the ledger, which writes on a thread of its own. A *reducing* permit is handed
out at once; an *opening* one when its step is durable. So a disk that is slow, full, read-only or hangs stops risk and
never an exit. What the ledger has no room for waits here, in order, and is written when the disk is back. When this room is
full too, only what reduces and what has happened already is still taken.
"""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from interlock.core import snapshot
from interlock.core.codes import PermitState
from interlock.core.decide import decide
from interlock.core.engine import Engine
from interlock.core.errors import InterlockError
from interlock.core.messages import (
    CashFlow,
    Executed,
    Input,
    KillSet,
    LockSet,
    PermitIssued,
    PermitRevoked,
    Quarantined,
    Spent,
    Step,
)
from interlock.core.permit import ENDED
from interlock.ledger.errors import LedgerBroken, LedgerError, LedgerUnwritable
from interlock.ledger.ledger import Ledger
from interlock.ledger.steps import encode, kind_of

BACKLOG_MAX: Final = 100_000
"""Steps kept in memory while the ledger takes none."""


class PermitVoid(InterlockError):
    """The permit can no longer be used; send a new intent."""


class PermitSpent(InterlockError):
    """The permit was used before; look up what became of its order."""


class EngineAway(InterlockError):
    """The engine is being rebuilt: nothing may open until it is back; what only reduces may leave without it."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What a step came to: the permits to carry out now, those that wait for the disk, and what the disk's trouble is."""

    step: Step
    permits: tuple[PermitIssued, ...]
    waiting: tuple[PermitIssued, ...]
    problem: LedgerError | None


class Gate:
    """An engine in front of a ledger; use it from one thread."""

    def __init__(self, engine: Engine, ledger: Ledger, *, snapshot_every: int = 20_000) -> None:
        self.engine = engine
        self.ledger = ledger
        self._snapshot_every = snapshot_every
        self._backlog: deque[tuple[int, int, int, bytes]] = deque()
        self._in_memory: deque[Step] = deque()
        self._waiting: dict[int, tuple[int, PermitIssued]] = {}
        if engine.state.account.seq != ledger.last_seq:
            raise LedgerBroken(ledger.last_seq, f"the engine is at step {engine.state.account.seq}: fold the ledger first")

    @property
    def problem(self) -> LedgerError | None:
        """What keeps new risk from being recorded, and so from leaving."""
        return self.ledger.problem

    def submit(self, event: Input, at_ns: int, mono_ns: int | None = None, *, wait_s: float = 0.0) -> Handed:
        """
        The input is decided and on its way to the disk.

        Args:
            event: what happened.
            at_ns: wall clock, UTC epoch.
            mono_ns: monotonic clock.
            wait_s: how long to wait for the disk on behalf of opening permits; reducing ones are not waited for.

        Raises:
            InputInvalid: the input cannot be applied to this state.
            LedgerUnwritable: too much waits for the disk for an input that reduces nothing; it was not looked at.
        """
        self.drain()
        if len(self._backlog) >= BACKLOG_MAX and not self._is_urgent(event, at_ns, mono_ns):
            raise self.ledger.problem or LedgerUnwritable("the ledger takes no more steps", "check the disk")
        step = self.engine.step(event, at_ns, mono_ns)
        self._record(step)
        now: list[PermitIssued] = []
        later: list[PermitIssued] = []
        for output in step.outputs:
            if type(output) is PermitIssued:
                (now if output.reduce_only else later).append(output)
            elif type(output) is PermitRevoked:
                self._waiting.pop(output.permit, None)
        if later and wait_s > 0.0 and not self._backlog:
            self.ledger.wait(step.seq, wait_s)
        if not later:
            return Handed(step, tuple(now), (), None)
        if self.ledger.durable_seq >= step.seq:
            return Handed(step, (*now, *later), (), None)
        for permit in later:
            self._waiting[permit.id] = (step.seq, permit)
        return Handed(step, tuple(now), tuple(later), self.ledger.problem)

    def due(self) -> tuple[PermitIssued, ...]:
        """Opening permits whose step has become durable since the last call; each is returned once."""
        self.drain()
        durable = self._forget_durable()
        ready = [permit for seq, permit in self._waiting.values() if seq <= durable]
        for permit in ready:
            del self._waiting[permit.id]
        return tuple(ready)

    def spend(self, permit: PermitIssued, at_ns: int, mono_ns: int | None = None, *, by: str = "") -> Handed:
        """
        The permit is used up, and its one order may be sent; `by` names the source that sends it, empty the executor.

        Raises:
            PermitSpent: it was used before.
            PermitVoid: it has ended, was fenced off, is not durable yet, or belongs to another engine.
        """
        a = self.engine.state.account
        row = self.engine.state.permits.get(permit.id)
        if row is None or permit.epoch != a.epoch:
            raise PermitVoid(f"permit {permit.id} is not one of this engine's (epoch {permit.epoch}, now {a.epoch})")
        if row.state in ENDED and row.filled == 0 and row.state != PermitState.REJECTED:
            raise PermitVoid(f"permit {permit.id} is {row.state.name}")
        if row.state != PermitState.ISSUED:
            raise PermitSpent(f"permit {permit.id} is {row.state.name}")
        if not permit.reduce_only:
            if permit.id in self._waiting:
                raise PermitVoid(f"permit {permit.id} is not durable yet")
            if permit.fence != a.fence or at_ns > permit.expires_ns:
                raise PermitVoid(f"permit {permit.id} was issued before a lock or has expired")
        return self.submit(Spent(permit.id, permit.epoch, by), at_ns, mono_ns)

    def drain(self) -> int:
        """As many waiting steps as the ledger has room for are on their way to the disk; returns how many are not."""
        while self._backlog:
            seq, at_ns, kind, payload = self._backlog[0]
            try:
                appended = self.ledger.append(at_ns, kind, payload)
            except LedgerUnwritable:
                break
            assert appended == seq
            self._backlog.popleft()
        return len(self._backlog)

    def resume(self, engine: Engine) -> None:
        """
        The gate goes on with an engine that was folded from its ledger; what the disk has not taken yet is folded here.

        Raises:
            LedgerBroken: steps are missing between the two.
        """
        for step in self._in_memory:
            if step.seq > engine.state.account.seq:
                engine.fold(step)
        last = self._in_memory[-1].seq if self._in_memory else self.ledger.last_seq
        if engine.state.account.seq != last:
            raise LedgerBroken(last, f"the ledger folds to step {engine.state.account.seq}")
        self.engine = engine

    def snapshot(self) -> None:
        """The state is in line for the disk, unless steps before it have found no room. Raises LedgerUnwritable."""
        if not self._backlog and self.engine.state.account.seq:
            self.ledger.snapshot(snapshot.encode(self.engine.state))

    def close(self) -> None:
        """Everything decided is durable. Raises LedgerError when the disk did not take it all."""
        self.drain()
        self.ledger.close()
        if self._backlog:
            raise LedgerUnwritable(f"{len(self._backlog)} steps were not written", "check the disk")

    def _is_urgent(self, event: Input, at_ns: int, mono_ns: int | None) -> bool:
        """Whether the input is taken even when nothing can be recorded: a result, a lock, or something that reduces."""
        if type(event) in (Spent, Executed, CashFlow, Quarantined, KillSet, LockSet):
            return True
        outputs = decide(self.engine.state, at_ns, at_ns if mono_ns is None else mono_ns, event)
        return any(type(output) is PermitIssued and output.reduce_only for output in outputs)

    def _record(self, step: Step) -> None:
        self._backlog.append((step.seq, step.at_ns, kind_of(step), encode(step)))
        self._in_memory.append(step)
        self.drain()
        self._forget_durable()
        if step.seq % self._snapshot_every == 0:
            with suppress(LedgerUnwritable):  # without it a restart folds more; what the step handed out must leave
                self.snapshot()

    def _forget_durable(self) -> int:
        """What can be read back from the disk is kept in memory no longer; returns the last such step's number."""
        durable = self.ledger.durable_seq
        while self._in_memory and self._in_memory[0].seq <= durable:
            self._in_memory.popleft()
        return durable
