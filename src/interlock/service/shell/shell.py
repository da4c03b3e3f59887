"""
The shell: one task that takes what waits, the most urgent first, gives it to the gate and carries out what comes of it.

Its rules:

1. Nobody else steps the engine. `authorize` and `dry_run` run in the same thread, between two steps.
2. Before every step what is urgent is looked for, so nothing that can wait holds up an exit by more than one step.
3. A reducing permit is published in the turn in which it was issued, an opening one when its record is durable. Nothing
   here waits for the disk; the ledger's writer tells when more is durable.
4. Somebody who asked and has gone away changes nothing that was decided. What may open and has not had its turn is then
   withdrawn; what only reduces has its turn all the same.

How it fails: an input that the engine can process neither way (a step that broke half-way) leaves a state that nobody may
believe. The engine is then *away*: nothing opens, permits that reduce may be carried out without it, inputs that matter
wait. The ledger, and what it has not taken yet, are folded into a new engine; the input goes into it as quarantined, and so
does every use of a permit meanwhile. If that fails too, it is tried again with growing pauses. A ledger that cannot be
folded leaves the engine away until an operator has looked.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from interlock.core.constants import NS_PER_S
from interlock.core.decide import decide
from interlock.core.engine import quarantine
from interlock.core.envelope import Envelope, envelope
from interlock.core.errors import InputInvalid, InterlockError
from interlock.core.messages import (
    CancelOrders,
    ClockChecked,
    Decision,
    Input,
    Intent,
    OpeningsDeferred,
    Output,
    PermitIssued,
    PermitRevoked,
    Quarantined,
    Quote,
    Rebalance,
    Spent,
    Step,
    Tick,
)
from interlock.core.state import State
from interlock.core.utilisation import Utilisation, utilisation
from interlock.ledger.errors import LedgerError, LedgerUnwritable
from interlock.ledger.fold import fold
from interlock.service.attempt import attempt, attempt_on_thread
from interlock.service.clock import Clock
from interlock.service.shell.conflate import Conflater
from interlock.service.shell.gate import EngineAway, Gate, Handed, PermitSpent, PermitVoid
from interlock.service.shell.inbox import Busy, Entry, Inbox, Priority, priority_of
from interlock.service.shell.watch import Watcher

ANSWER_S_MAX: Final = 5.0
STOP_S_MAX: Final = 10.0
TICK_NS: Final = NS_PER_S
TICK_NS_MIN: Final = NS_PER_S // 100
CLOCK_CHECK_NS: Final = 10 * NS_PER_S
ASKED_NS: Final = 60 * NS_PER_S
"""How long the prices of a symbol are told after somebody asked about it."""
STEPS_PER_TURN: Final = 8
"""Steps between two looks at the event loop; what comes in meanwhile waits for at most these."""
TURN_NS: Final = NS_PER_S // 200
"""After this long the event loop has its turn all the same: a rebalance, or a step of a large book, takes longer."""
PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 30.0
CALM_NS: Final = 60 * NS_PER_S
"""After so long without a failure the next one is the first again."""
REFUSALS: Final = (InputInvalid, LedgerError, PermitSpent, PermitVoid)
"""Errors that are answers: nothing has changed."""

TRANSIENT: Final = (LedgerUnwritable, OSError, MemoryError)
"""Failures of a fold that say nothing about the ledger."""


class Unanswered(InterlockError):
    """No answer came in time: that means no, and nothing may be assumed to have been sent."""


def _nobodys(_permit: PermitIssued) -> bool:
    """No permit is kept from leaving."""
    return False


class Shell:
    """
    The gate of a running system; use it from the thread of one event loop, in which `run` is a task.

    `publish` gets reducing permits, revocations and cancellations at once and opening permits when they are durable.
    `on_away` gets the reason when the engine is away, and "" when it is back. `trouble` gets what nobody was there to be
    told. None of the three may wait.
    """

    def __init__(
        self,
        gate: Gate,
        clock: Clock,
        *,
        publish: Callable[[Output], None],
        on_away: Callable[[str], None],
        trouble: Callable[[str], None],
        inbox: Inbox | None = None,
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._publish_out = publish
        self._on_away = on_away
        self._trouble = trouble
        self._inbox = Inbox() if inbox is None else inbox
        self._conflater = Conflater(self._is_wanted)
        self._asked: dict[str, int] = {}
        self._watchers: list[Watcher] = []
        self._bell = asyncio.Event()
        self._unsettled: deque[tuple[Entry, Handed]] = deque()
        self._kept: set[int] = set()
        self._first: deque[Entry] = deque()
        self._away = ""
        self._failed_mono_ns = 0
        self._failures = 0
        self._stepped_mono_ns = self._ticked_mono_ns = self._checked_mono_ns = clock.mono_ns()
        self._stopping = False
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # ---------------------------------------------------------------- what is known

    @property
    def state(self) -> State:
        """The engine's state as of the last step, to be read only; not to be believed while the engine is away."""
        return self._gate.engine.state

    @property
    def engine_away(self) -> str:
        """Why there is no engine now; empty while all is well."""
        return self._away

    @property
    def stepped_mono_ns(self) -> int:
        """When the last step was made, on the monotonic clock."""
        return self._stepped_mono_ns

    def waiting(self, priority: Priority) -> int:
        """How many inputs of this priority wait."""
        return self._inbox.waiting(priority)

    def watch(self) -> Watcher:
        """Every step from here on, for somebody who may be slow."""
        watcher = Watcher()
        if self._ended.is_set():
            watcher.close()
        self._watchers.append(watcher)
        return watcher

    # ---------------------------------------------------------------- what comes in

    async def ask(
        self,
        event: Input,
        priority: Priority | None = None,
        timeout_s: float = ANSWER_S_MAX,
        taker: tuple[str, str] | None = None,
    ) -> Handed:
        """
        What came of the input: its step, and opening permits, or what is put off, once they are durable.

        Permits that the disk has not taken in time are still `waiting` in the answer; they leave when it has. Permits of
        the `taker`, a source and its intent, are for whoever asks and are not published: too late, they leave never.

        Raises:
            Busy: too much waits; nothing of the input was kept.
            EngineAway: it may open, and the engine is being rebuilt; nothing of it was kept.
            Unanswered: it had not had its turn in time; what only reduces, results and acts of operators still have it.
            InputInvalid: the input cannot be applied.
            LedgerUnwritable: too much waits for the disk, and the input reduces nothing.
        """
        answer: asyncio.Future[Handed] = asyncio.get_running_loop().create_future()
        entry = self._enter(event, priority, answer, taker)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            if entry.handed is not None:
                return entry.handed
            self._inbox.withdraw(entry)
            raise Unanswered(f"no answer within {timeout_s:g} s: that means no") from None
        except asyncio.CancelledError:
            self._inbox.withdraw(entry)
            raise

    def tell(self, event: Input, priority: Priority | None = None) -> None:
        """The input has its turn; nobody waits for what comes of it."""
        try:
            self._enter(event, priority, None)
        except (Busy, EngineAway) as error:
            self._report(f"{type(event).__name__} was not taken: {error}")

    def quotes(self, quotes: Iterable[Quote]) -> None:
        """The prices are told to the engine within a second, where anybody needs them."""
        known = self.state.names.symbol_index
        self._conflater.add(quote for quote in quotes if quote.symbol in known)
        self._bell.set()

    def authorize(self, permit: PermitIssued, by: str = "") -> Step:
        """
        The permit is used up by the engine, and its one order may be sent; returns the step.

        `by` names the source that sends it, empty the executor.

        Raises:
            PermitSpent: it was used before.
            PermitVoid: it has ended, was fenced off, is not durable yet, or belongs to another engine.
            EngineAway: nobody can tell; a reducing permit may be used all the same, and the engine learns of it.
        """
        if self._away:
            self._owe(permit, by)
            raise EngineAway(self._away)
        outcome = attempt(partial(self._gate.spend, permit, self._clock.wall_ns(), self._clock.mono_ns(), by=by))
        if isinstance(outcome, Handed):
            self._carry_out(outcome)
            return outcome.step
        if isinstance(outcome, REFUSALS):
            raise outcome
        self._fall(outcome)
        self._owe(permit, by)
        raise EngineAway(self._away)

    def dry_run(self, intent: Intent) -> tuple[Decision, ...]:
        """
        What would be decided now; nothing is consumed, reserved or recorded.

        Raises:
            EngineAway: the engine is being rebuilt.
            InputInvalid: the intent cannot be decided.
        """
        return tuple(each for each in self.foresee(intent) if isinstance(each, Decision))

    def foresee(self, wish: Intent | Rebalance) -> tuple[Output, ...]:
        """
        What would come of it now; nothing is consumed, reserved or recorded.

        Raises:
            EngineAway: the engine is being rebuilt.
            InputInvalid: it cannot be decided.
        """
        if not self._away:
            self._ask_about(symbols_of(wish))
            self._freshen(symbols_of(wish))
        if self._away:
            raise EngineAway(self._away)
        outcome = attempt(partial(decide, self.state, self._clock.wall_ns(), self._clock.mono_ns(), wish))
        if isinstance(outcome, Exception):
            raise InputInvalid(f"the {type(wish).__name__.lower()} cannot be decided: {type(outcome).__name__}: {outcome}")
        return outcome

    def allowed(self, source: str, symbol: str, stop_frac: float) -> Envelope:
        """
        What the source may open now, in one symbol or in all of the universe; nothing is reserved.

        Raises:
            EngineAway: the engine is being rebuilt.
        """
        self._look_at(symbol)
        wall_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        return envelope(self.state, wall_ns, mono_ns, source, symbol=symbol, stop_frac=stop_frac)

    def utilisation(self, stop_frac: float) -> Utilisation:
        """
        How far every rule is used now.

        Raises:
            EngineAway: the engine is being rebuilt.
        """
        self._look_at("")
        return utilisation(self.state, self._clock.wall_ns(), self._clock.mono_ns(), stop_frac=stop_frac)

    def _look_at(self, symbol: str) -> None:
        """The symbol, or all of the universe, is as fresh as it can be. Raises EngineAway."""
        policy = self.state.policy
        universe = () if policy is None else tuple(each.symbol for each in policy.universe)
        if not self._away:
            symbols = tuple(each for each in universe if symbol in ("", each))
            self._ask_about(symbols)
            self._freshen(symbols)
        if self._away:
            raise EngineAway(self._away)

    # ---------------------------------------------------------------- the loop

    async def run(self) -> None:
        """Everything that came in before `stop` has had its turn."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._gate.ledger.on_durable(partial(_ring, loop, self._release))
        try:
            while True:
                if self._away:
                    await self._rebuild()
                self._turn()
                if self._stopping and not (len(self._inbox) or self._away):
                    return
                await self._pause()
        finally:
            self._ended.set()
            for watcher in self._watchers:
                watcher.close()

    async def stop(self, timeout_s: float = STOP_S_MAX) -> LedgerError | None:
        """
        What waited has had its turn, the ledger is closed behind it; returns why that was not possible in time.

        What may open and waited is refused, and no opening permit leaves any more. `run` has ended.
        """
        self._stopping = True
        for entry in self._inbox.withdraw_others():
            entry.refuse(Busy("the gateway stops"))
        self._bell.set()
        if self._task is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._ended.wait()
            except TimeoutError:
                self._task.cancel()
                await self._ended.wait()
        if len(self._inbox) or self._first:
            self._report(f"{len(self._inbox) + len(self._first)} inputs had no turn before the stop")
        return await self._close(timeout_s)

    async def _close(self, timeout_s: float) -> LedgerError | None:
        try:
            async with asyncio.timeout(timeout_s):
                while self._gate.drain():
                    self._bell.clear()
                    await self._bell.wait()
                if not self._away:
                    with suppress(LedgerUnwritable):  # without it the next start folds more
                        self._gate.snapshot()
                outcome = await attempt_on_thread(self._gate.close)
        except TimeoutError:
            return self._gate.problem or LedgerUnwritable("the disk does not answer", "check the disk")
        finally:
            self._gate.ledger.on_durable(None)
        assert outcome is None or isinstance(outcome, LedgerError), outcome
        return outcome

    def _turn(self) -> None:
        """A few steps are made, or one that takes long."""
        began_ns = self._clock.mono_ns()
        for _ in range(STEPS_PER_TURN):
            if self._away or (entry := self._next()) is None:
                return
            self._work(entry)
            if self._clock.mono_ns() - began_ns > TURN_NS:
                return

    async def _pause(self) -> None:
        """Others had their turn, and there is something to do."""
        self._bell.clear()
        delay_s = 0.0 if len(self._inbox) or self._away else self._idle_s()
        if delay_s <= 0.0:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._bell.wait()

    def _next(self) -> Entry | None:
        """What is most urgent, which then waits no longer: time and prices come after what only reduces."""
        urgent = self._inbox.take(Priority.REDUCING)
        if urgent is not None:
            return urgent
        mono_ns = self._clock.mono_ns()
        if mono_ns >= self._tick_due_mono_ns():
            return Entry(self._tick(mono_ns), Priority.MARK)
        batch = self._conflater.take(mono_ns)
        if batch is not None:
            return Entry(batch, Priority.MARK)
        return self._inbox.take()

    def _tick_due_mono_ns(self) -> int:
        a = self.state.account
        if not a.opened:
            return self._clock.mono_ns() + TICK_NS
        wake_mono_ns = a.mono_ns + a.wake_ns - a.now_ns
        return min(self._ticked_mono_ns + TICK_NS, max(wake_mono_ns, self._ticked_mono_ns + TICK_NS_MIN))

    def _tick(self, mono_ns: int) -> Input:
        self._ticked_mono_ns = mono_ns
        if self.state.account.clock_trusted == 1.0 and mono_ns - self._checked_mono_ns >= CLOCK_CHECK_NS:
            self._checked_mono_ns = mono_ns
            return ClockChecked()
        return Tick()

    def _idle_s(self) -> float:
        quotes_mono_ns = self._conflater.due_mono_ns()
        due_mono_ns = self._tick_due_mono_ns()
        if quotes_mono_ns is not None:
            due_mono_ns = min(due_mono_ns, quotes_mono_ns)
        return (due_mono_ns - self._clock.mono_ns()) / NS_PER_S

    # ---------------------------------------------------------------- one step

    def _enter(
        self,
        event: Input,
        priority: Priority | None,
        answer: asyncio.Future[Handed] | None,
        taker: tuple[str, str] | None = None,
    ) -> Entry:
        priority = self._priority_of(event) if priority is None else priority
        if self._ended.is_set() or (self._stopping and priority is Priority.OTHER):
            raise Busy("the gateway stops")
        if self._away and priority is Priority.OTHER:
            raise EngineAway(self._away)
        self._ask_about(symbols_of(event))
        entry = self._inbox.put(event, priority, answer, taker)
        self._bell.set()
        return entry

    def _priority_of(self, event: Input) -> Priority:
        """How urgent the input is; an order within the opposite position only reduces, whether it says so or not."""
        priority = priority_of(event)
        if priority is not Priority.OTHER or not isinstance(event, Intent):
            return priority
        index = self.state.names.symbol_index.get(event.symbol)
        instrument = self.state.instruments[index] if index is not None else None
        if index is None or instrument is None:
            return priority
        r = self.state.symbols[index]
        if r.known != 1.0 or r.position * event.side >= 0:
            return priority
        reduces = 0 < instrument.steps_down(event.quantity) <= abs(r.position)
        return Priority.REDUCING if reduces else priority

    def _work(self, entry: Entry) -> None:
        """The entry has had its turn, and whoever asked is answered, now or when it is durable."""
        self._freshen(symbols_of(entry.event))
        if self._away:
            if entry.priority is Priority.OTHER:
                entry.refuse(EngineAway(self._away))
            else:
                self._first.append(entry)
            return
        outcome = self._step(entry.event, entry.keeps)
        if isinstance(outcome, Handed):
            entry.handed = outcome
            if outcome.waiting or _promises(outcome.step):
                self._kept.update(permit.id for permit in outcome.waiting if entry.keeps(permit))
                self._unsettled.append((entry, outcome))
            else:
                entry.settle(outcome)
        elif isinstance(outcome, REFUSALS):
            entry.refuse(outcome)
            if not entry.answers:
                self._report(f"{type(entry.event).__name__} was refused: {outcome}")
        else:
            self._fall(outcome, entry)

    def _step(self, event: Input, keeps: Callable[[PermitIssued], bool] = _nobodys) -> Handed | Exception:
        outcome = attempt(partial(self._gate.submit, event, self._clock.wall_ns(), self._clock.mono_ns()))
        if isinstance(outcome, Handed):
            self._carry_out(outcome, keeps)
        return outcome

    def _carry_out(self, handed: Handed, keeps: Callable[[PermitIssued], bool] = _nobodys) -> None:
        """What may leave now has left, in the order in which it was decided, but for what somebody else carries out."""
        step = handed.step
        self._stepped_mono_ns = step.mono_ns
        for output in step.outputs:
            if isinstance(output, PermitIssued):
                leaves = output.reduce_only or (output in handed.permits and not self._stopping)
                if leaves and not keeps(output):
                    self._publish(output)
            elif isinstance(output, PermitRevoked | CancelOrders):
                self._publish(output)
        if self._watchers:
            self._watchers = [watcher for watcher in self._watchers if not watcher.closed]
            for watcher in self._watchers:
                watcher.offer(step)

    def _release(self) -> None:
        """Opening permits that have become durable have left, and whoever asked for them is answered."""
        self._gate.drain()
        self._bell.set()
        if self._away:
            return
        durable = self._gate.ledger.durable_seq
        ready = () if self._stopping else self._gate.due()
        for permit in ready:
            if permit.id not in self._kept:
                self._publish(permit)
        while self._unsettled and self._unsettled[0][1].step.seq <= durable:
            entry, handed = self._unsettled.popleft()
            self._kept.difference_update(permit.id for permit in handed.waiting)
            now = tuple(permit for permit in handed.waiting if permit in ready)
            entry.handed = Handed(handed.step, (*handed.permits, *now), (), None)
            entry.settle(entry.handed)

    def _publish(self, output: Output) -> None:
        failure = attempt(partial(self._publish_out, output))
        if failure is not None:
            self._report(f"{type(output).__name__} could not be published: {type(failure).__name__}: {failure}")

    def _report(self, what: str) -> None:
        attempt(partial(self._trouble, what))

    # ---------------------------------------------------------------- prices that somebody needs

    def _ask_about(self, symbols: tuple[str, ...]) -> None:
        mono_ns = self._clock.mono_ns()
        known = self.state.names.symbol_index
        for symbol in symbols:
            if symbol in known:
                self._asked[symbol] = mono_ns

    def _freshen(self, symbols: tuple[str, ...]) -> None:
        """What may open is judged on the newest prices that there are."""
        batch = self._conflater.take_now(symbols) if symbols else None
        if batch is not None:
            outcome = self._step(batch)
            if isinstance(outcome, REFUSALS):
                self._report(f"MarketBatch was refused: {outcome}")
            elif isinstance(outcome, Exception):
                self._fall(outcome, Entry(batch, Priority.MARK))

    def _is_wanted(self, symbol: str) -> bool:
        state = self.state
        if state.names.symbol_index.get(symbol) in state.open_rows:
            return True
        asked_mono_ns = self._asked.get(symbol)
        return asked_mono_ns is not None and self._clock.mono_ns() - asked_mono_ns <= ASKED_NS

    # ---------------------------------------------------------------- when the engine breaks

    def _owe(self, permit: PermitIssued, by: str) -> None:
        """The engine will learn that the permit was used, where that may be without it."""
        if permit.reduce_only:
            self._first.append(Entry(Spent(permit.id, permit.epoch, by), Priority.RESULT))

    def _fall(self, error: Exception, entry: Entry | None = None) -> None:
        """The engine is away, and the input that broke it will be told to the next one as quarantined."""
        mono_ns = self._clock.mono_ns()
        if mono_ns - self._failed_mono_ns > CALM_NS:
            self._failures = 0
        self._failures += 1
        self._failed_mono_ns = mono_ns
        what = "a use of a permit"
        if entry is not None:
            entry.event = poison(entry.event, error)
            self._first.appendleft(entry)
            what = entry.event.kind
        self._set_away(f"a step broke ({what}: {type(error).__name__}: {error}); the engine is being rebuilt")

    def _set_away(self, reason: str) -> None:
        self._away = reason
        self._bell.set()
        attempt(partial(self._on_away, reason))

    async def _rebuild(self) -> None:
        """The engine is back. Ends only so, or by being cancelled."""
        for entry in self._inbox.withdraw_others():
            entry.refuse(EngineAway(self._away))
        while self._away:
            if self._failures > 1:
                await asyncio.sleep(min(PAUSE_S_MIN * 2.0 ** min(self._failures - 2, 16), PAUSE_S_MAX))
            outcome = await attempt_on_thread(partial(fold, self._gate.ledger.directory))
            if not isinstance(outcome, Exception):
                failure = attempt(partial(self._gate.resume, outcome))
                if failure is None:
                    self._catch_up()
                    continue
                outcome = failure
            if not isinstance(outcome, TRANSIENT):
                self._set_away(f"the ledger cannot be folded: {outcome}; close positions, then restore it")
                await asyncio.Event().wait()
            self._failures += 1

    def _catch_up(self) -> None:
        """The new engine has been told what broke the old one and what happened meanwhile."""
        self._away = ""
        while self._first and not self._away:
            self._work(self._first.popleft())
        if not self._away:
            self._set_away("")
            self._release()


def _ring(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended, nobody waits
        loop.call_soon_threadsafe(callback)


def _promises(step: Step) -> bool:
    """Whether something is to be decided later of which whoever asked would believe that it is on record."""
    return any(type(output) is OpeningsDeferred for output in step.outputs)


def symbols_of(event: Input) -> tuple[str, ...]:
    """The symbols in which an input may open."""
    if type(event) is Intent and not event.reduce_only:
        return (event.symbol,)
    if type(event) is Rebalance:
        return tuple(each.symbol for each in event.instructions)
    return ()


def poison(event: Input, error: Exception) -> Quarantined:
    """The record of an input that broke a step; of one that breaks even so, the bare fact."""
    if type(event) is Quarantined:
        return msgspec.structs.replace(event, payload=b"")
    made = attempt(partial(quarantine, event, error))
    if isinstance(made, Exception):
        return Quarantined(type(event).__name__, f"{type(error).__name__}: {error}", b"", getattr(event, "symbol", ""))
    return made
