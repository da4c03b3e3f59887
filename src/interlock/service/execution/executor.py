"""
The executor: the only one that sends orders, and only with a permit that it has opened, spent and been allowed to use.

Its rules:

1. It believes nothing but sealed permits and its own spent-set. A permit is spent before anything is said or done about
   it, also when it is then given back, so that two copies of one permit come to one order at most.
2. An opening leaves only on proof: room in the venue's limits, margin leverage as permitted, spent on disk, no kill as
   read behind that, and allowed by the engine in the very step in which it goes. It is sent once.
3. A reducing order waits for nothing that can hang: a spent-set or a latch that does not answer in time is done without,
   and so is an engine that is away. What then bounds it is the position as last reconciled, closes under way, and
   reduce-only at the venue. Only an operator's freeze keeps it back, and that not from the operator.
4. What became of an order is told as the venue tells it. No answer is UNKNOWN, and is asked after until it is known.

How it works: one task takes what the gate says and starts a task for each permit. Orders do not wait for each other,
but for openings: so many at once, and in one symbol one after another, since they would set its leverage under each
other's feet. `Tracker` follows what was sent.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from itertools import count
from math import isfinite, nan
from typing import Any, Final, NamedTuple

from interlock.adapters.bus import PERMITS, RESULTS, Bus
from interlock.adapters.venue import OrderReport, VenueOrder, VenueRejected, VenueUnreachable
from interlock.core.authority import OPERATOR
from interlock.core.codes import KillMode, PermitState
from interlock.core.constants import NS_PER_S_FLOAT
from interlock.core.errors import InterlockError
from interlock.core.messages import (
    CancelOrders,
    Message,
    PermitIssued,
    PermitRevoked,
    PositionsReported,
    VenueError,
)
from interlock.service.clock import Clock
from interlock.service.execution.budget import WEIGHT_ORDER, WEIGHT_POSITIONS, WEIGHT_QUERY, BudgetExhausted
from interlock.service.execution.direct import DirectClose, Manner, close_directly
from interlock.service.execution.leverage import LeverageUnset, ensure_leverage
from interlock.service.execution.line import Line
from interlock.service.execution.orderids import OrderIds
from interlock.service.execution.orders import Flight, is_stop, order_of, rests
from interlock.service.execution.signing import MessageForged, Opener, Sealer, SealUnreadable
from interlock.service.execution.spent import Alive, SpentStore, SpentStoreError
from interlock.service.execution.tracker import Tracker
from interlock.service.shell.gate import EngineAway, PermitSpent, PermitVoid
from interlock.service.worker import Worker

TAKEN_PER_TURN: Final = 256
"""Messages taken between two looks at the event loop; the gate makes far fewer steps in that time."""

OPENINGS_MAX: Final = 16
"""Openings under way at once; of more, as a large rebalance brings, the others wait, so that exits find room."""

REVOKED_KEPT: Final = 4096
"""Revocations remembered, for the case that the engine cannot be asked."""


class _Refusal(NamedTuple):
    """Why an order is not sent; `benign` where that says nothing about anybody's health."""

    reason: str
    benign: bool = True


class Executor:
    """Carries out the permits of one account at one venue; use it from one event loop."""

    def __init__(
        self,
        line: Line,
        bus: Bus,
        store: SpentStore,
        *,
        opener: Opener,
        sealer: Sealer,
        ids: OrderIds,
        clock: Clock,
        authorize: Callable[[PermitIssued], object],
        killed: Callable[[str, str], KillMode | None],
        position: Callable[[str], int | None],
        trouble: Callable[[str], None],
    ) -> None:
        """
        Nothing has been sent; `run` does the work.

        Args:
            line: to the venue.
            bus: carries permits here and results away.
            store: the executor's own spent-set; used on a thread of its own from now on.
            opener: of what the gate seals.
            sealer: of what the executor says.
            ids: names of the account's orders.
            clock: of this machine.
            authorize: one step of the engine that uses the permit; raises PermitVoid, PermitSpent or EngineAway, and sees
                to it that an engine that is away learns of what was used meanwhile.
            killed: the kill latch and sentinel for a strategy and symbol, read afresh on a thread; what it raises counts as
                killed.
            position: the reconciled position of a symbol, in signed steps; None where it is not known.
            trouble: takes what a person should know, as a sentence.
        """
        self._line = line
        self._bus = bus
        self._store = store
        self._opener = opener
        self._sealer = sealer
        self._ids = ids
        self._clock = clock
        self._authorize = authorize
        self._killed = killed
        self._position = position
        self._trouble = trouble
        self._disk = Worker("interlock-spent")
        self._latch = Worker("interlock-latch")
        self._tracker = Tracker(line, ids, clock, self._tell, self._finish, self._spawn)
        self._tasks: asyncio.TaskGroup | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._resumed: list[Flight] = []
        self._lanes: dict[str, asyncio.Lock] = {}
        self._openings = asyncio.Semaphore(OPENINGS_MAX)
        self._engine = asyncio.Lock()
        self._ticks: dict[str, float] = {}
        self._revoked: dict[int, None] = {}
        self._reducing: set[int] = set()
        self._directs = count()
        self._stopping = asyncio.Event()

    @property
    def flights(self) -> tuple[Flight, ...]:
        """Orders that were sent, or may have been, and are not known to be over."""
        return self._tracker.flights

    def resume(self, permit: int, symbol: str, side: int, steps: int, *, reduce_only: bool, resting: bool) -> None:
        """
        The order of a permit that the engine believes in flight will be asked after; call it before `run`.

        It covers what the spent-set has let go already and the ledger has not heard of.
        """
        name, now_ns = self._ids.of(permit), self._clock.wall_ns()
        mono_ns = self._clock.mono_ns()
        self._resumed.append(Flight(permit, name, symbol, side, steps, reduce_only, resting, now_ns, mono_ns))

    async def run(self) -> None:
        """
        It was stopped: orders under way were answered or given up in bounded time, and what rests stays at the venue.

        What was spent before it began is asked after before anything else.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._restore()
                self._tasks.create_task(self._tracker.listen())
                taking = self._tasks.create_task(self._take_all())
                await self._stopping.wait()
                taking.cancel()
                await self._take_rest()
                if self._sending:
                    await asyncio.wait(self._sending, timeout=self._line.patience.answer_s)
                raise _Stopped
        except* _Stopped:
            self.close()

    def stop(self) -> None:
        """No more permits are taken, and `run` will end."""
        self._stopping.set()

    def close(self) -> None:
        """The threads end with what they were asked for; `run` does so by itself when it was stopped."""
        self._disk.close()
        self._latch.close()

    async def hand_over(self, permit: PermitIssued, by: str) -> bool:
        """
        Whether the permit is used by somebody else, who executes it: for the first time, and on disk.

        One that reduces is handed over without the disk where that fails.
        """
        at_ns, patience = self._clock.wall_ns(), self._line.patience
        timeout_s = patience.store_reducing_s if permit.reduce_only else patience.store_s
        use = partial(self._store.hand_over, permit, by, at_ns)
        try:
            await self._disk.call(use, timeout_s=timeout_s, urgent=permit.reduce_only)
        except (PermitSpent, PermitVoid):
            return False
        except (SpentStoreError, TimeoutError) as error:
            self._trouble(f"that permit {permit.id} was handed over was not recorded: {_words(error)}")
            return permit.reduce_only
        return True

    async def close_directly(self, symbol: str | None, by: str, *, timeout_s: float = 30.0) -> DirectClose:
        """
        The symbol, or with None the account, is closed at the venue's own word; positions as then read are told.

        It asks neither the engine nor the spent-set, and is for an operator whose engine is away.
        """
        manner = Manner(self._direct_name, self._is_our_opening, self._trouble)
        result = await close_directly(self._line, self._clock, manner, symbol, timeout_s=timeout_s)
        try:
            report = await self._line.ask(self._line.venue.positions(), WEIGHT_POSITIONS)
        except VenueUnreachable as error:
            self._tell(VenueError(f"reading positions after a close by {by}: {error}", reducing=True))
        else:
            self._tell(PositionsReported(report.positions, report.at_ns))
        return result

    def _direct_name(self) -> str:
        return self._ids.direct(self._clock.wall_ns(), next(self._directs))

    def _is_our_opening(self, order: OrderReport) -> bool:
        return self._ids.is_ours(order.client_id) and not order.reduce_only

    # ---------------------------------------------------------------- what the gate says

    async def _take_all(self) -> None:
        """Everything that waits is taken in one turn: what reduces must not wait behind thousands that open."""
        while True:
            for _ in range(TAKEN_PER_TURN):
                self._take(await self._bus.take(PERMITS))
            await asyncio.sleep(0)

    async def _take_rest(self) -> None:
        """What was said before the stop is under way too, but for openings."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.0):
                while True:
                    self._take(await self._bus.take(PERMITS))

    def _take(self, sealed: bytes) -> None:
        """What was sealed is under way; what nobody entitled has sealed is a dead letter."""
        try:
            message = self._opener.open(sealed)
        except (MessageForged, SealUnreadable) as error:
            self._trouble(f"a message to the executor was not believed: {error}")
            return
        if isinstance(message, PermitIssued):
            if self._stopping.is_set() and not message.reduce_only:
                return
            carry_out = self._reduce if message.reduce_only else self._open
            task = self._spawn(carry_out(message, sealed))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        elif isinstance(message, PermitRevoked):
            self._revoke(message.permit)
        elif isinstance(message, CancelOrders):
            for permit in message.permits:
                self._revoke(permit)
                self._spawn(self._tracker.cancel(permit))

    def _revoke(self, permit: int) -> None:
        self._revoked[permit] = None
        if len(self._revoked) > REVOKED_KEPT:
            del self._revoked[next(iter(self._revoked))]

    # ---------------------------------------------------------------- openings

    async def _open(self, permit: PermitIssued, sealed: bytes) -> None:
        """The opening was sent once, or was given back."""
        async with self._lanes.setdefault(permit.symbol, asyncio.Lock()), self._openings:
            revoked = permit.id in self._revoked
            refusal = _Refusal("the engine has revoked it") if revoked else await self._objection(permit)
            if not await self._spend(permit, sealed):
                return
            flight = self._flight(permit)
            refusal = refusal or await self._kill_refusal(permit)
            if refusal is not None:
                self._give_back(flight, refusal)
                return
            async with self._engine:  # one step at a time, so that others have their turn in between
                authorized = self._authorized(flight, permit)
            if authorized:
                await self._send(flight, order_of(permit, flight.client_id, permit.steps, self._tick(permit.symbol)))

    async def _objection(self, permit: PermitIssued) -> _Refusal | None:
        """What at the venue speaks against the opening; None where all is as it should be."""
        left_s = (permit.expires_ns - self._clock.wall_ns()) / NS_PER_S_FLOAT - self._line.patience.store_s
        moving = any(each.symbol == permit.symbol and not each.reduce_only for each in self._tracker.flights)
        try:
            await self._line.budget.wait(WEIGHT_ORDER, 1, left_s)
            await ensure_leverage(self._line, permit.symbol, permit.margin_leverage, moving=moving)
            if permit.symbol not in self._ticks:
                await self._learn_ticks()
        except BudgetExhausted as error:
            return _Refusal(str(error))
        except LeverageUnset as error:
            return _Refusal(str(error), error.benign)
        except VenueUnreachable as error:
            self._tell(VenueError(f"before opening {permit.symbol}: {error}"))
            return _Refusal(str(error))
        if not (isfinite(permit.limit_price) and isfinite(self._tick(permit.symbol))):
            return _Refusal(f"no worst price on a tick that {self._line.venue.name} is known to have for {permit.symbol}")
        return None

    async def _kill_refusal(self, permit: PermitIssued) -> _Refusal | None:
        mode = await self._read_kill(permit, self._line.patience.store_s)
        return _Refusal(f"the kill switch is on: {mode.name.lower()}") if mode else None

    async def _spend(self, permit: PermitIssued, sealed: bytes) -> bool:
        """Whether the permit is now spent on disk, for the first time; one that is void is the engine's to end."""
        at_ns = self._clock.wall_ns()
        try:
            await self._disk.call(lambda: self._store.spend(permit, sealed, at_ns), timeout_s=self._line.patience.store_s)
        except (PermitSpent, PermitVoid):
            return False
        except (SpentStoreError, TimeoutError) as error:
            self._trouble(f"permit {permit.id} was not sent, the spent-set failed: {_words(error)}")
            self._spawn(self._finish(permit.id))
            return False
        return True

    # ---------------------------------------------------------------- reducing

    async def _reduce(self, permit: PermitIssued, sealed: bytes) -> None:
        """The reducing order was sent, or was given back for a reason that binds it."""
        if permit.id in self._tracker or permit.id in self._reducing:
            return
        self._reducing.add(permit.id)
        if rests(permit) and permit.symbol not in self._ticks:
            await self._first_ticks()
        frozen, steps = await asyncio.gather(self._is_frozen(permit), self._spend_reducing(permit, sealed))
        if steps is not None:
            await self._send_reducing(permit, steps, frozen=frozen)
        self._reducing.discard(permit.id)

    async def _send_reducing(self, permit: PermitIssued, steps: int, *, frozen: bool) -> None:
        flight = self._flight(permit)
        if frozen:
            self._give_back(flight, _Refusal("exits are frozen by an operator"))
        elif steps <= 0:
            self._give_back(flight, _Refusal("nothing is left to reduce"))
        elif self._authorized(flight, permit):
            await self._send(flight, order_of(permit, flight.client_id, steps, self._tick(permit.symbol)))

    async def _is_frozen(self, permit: PermitIssued) -> bool:
        """Whether an operator keeps this exit back; a stop may rest, for the engine knows of the freeze too."""
        if permit.source == OPERATOR or is_stop(permit):
            return False
        return await self._read_kill(permit, self._line.patience.store_reducing_s) == KillMode.FREEZE

    async def _spend_reducing(self, permit: PermitIssued, sealed: bytes) -> int | None:
        """
        Steps that may be sent with the permit, which is now spent; None where it was before, or may be used no more.

        Where the disk does not record it, it is spent from memory, for at most what is left of the reconciled position.
        """
        at_ns = self._clock.wall_ns()
        timeout_s = self._line.patience.store_reducing_s
        try:
            await self._disk.call(lambda: self._store.spend(permit, sealed, at_ns), timeout_s=timeout_s, urgent=True)
        except (PermitSpent, PermitVoid):
            return None
        except (SpentStoreError, TimeoutError) as error:
            self._spawn(self._keep(lambda: self._store.record(permit, sealed, at_ns)))
            self._trouble(f"permit {permit.id} reduces and leaves although the spent-set failed: {_words(error)}")
            return self._reducible(permit)
        return permit.steps

    def _reducible(self, permit: PermitIssued) -> int:
        """Steps of the permit that the reconciled position has room for; all where it is not known: the venue bounds it."""
        held = self._position(permit.symbol)
        if held is None:
            return permit.steps
        closing = 0 if rests(permit) else self._tracker.closing_steps(permit.symbol)
        return min(permit.steps, abs(held) - closing) if held * permit.side < 0 else 0

    async def _finish(self, permit: int) -> None:
        """Of the permit, whose order is over or was never sent, the spent-set keeps the number alone."""
        await self._keep(lambda: self._store.finish(permit))

    async def _keep(self, change: Callable[[], object]) -> None:
        """The spent-set has taken the change, however long its disk needs."""
        pause_s = self._line.patience.retry_first_s
        while True:
            try:
                await self._disk.call(change, timeout_s=None)
            except SpentStoreError:
                await asyncio.sleep(pause_s)
                pause_s = min(2.0 * pause_s, self._line.patience.retry_last_s)
            else:
                return

    # ---------------------------------------------------------------- both

    def _authorized(self, flight: Flight, permit: PermitIssued) -> bool:
        """
        Whether the engine lets the order go, in one step that also counts it as sent.

        Where it does not, the order is not sent. An engine that is away stops openings only.
        """
        if permit.id in self._revoked:
            self._give_back(flight, _Refusal("it was revoked or cancelled before it was sent"))
            return False
        try:
            self._authorize(permit)
        except EngineAway as error:
            if permit.reduce_only:
                return True
            self._give_back(flight, _Refusal(str(error)))
        except PermitVoid:
            self._spawn(self._finish(permit.id))
        except PermitSpent as error:
            self._trouble(f"the engine holds for used what was not used here, and its order is asked after: {error}")
            self._tracker.begin(flight)
            self._spawn(self._tracker.follow(flight))
        else:
            return True
        return False

    async def _send(self, flight: Flight, order: VenueOrder) -> None:
        """The order was sent, and its fate is told or followed."""
        flight.since_ns = self._clock.mono_ns()
        self._tracker.begin(flight)
        weight = WEIGHT_ORDER if order.reduce_only else 0  # an opening was counted when it waited for room
        try:
            report = await self._line.act(self._line.venue.place(order), weight, weight)
            if report.client_id != order.client_id:
                raise VenueUnreachable(f"{self._line.venue.name} answered for another order")
        except VenueRejected as error:
            if flight.told is None:
                self._tracker.refused(flight, error.reason, benign=error.benign)
        except VenueUnreachable as error:
            if flight.told is None:
                self._tracker.lost(flight, error)
        else:
            self._tracker.heard(report)
        self._spawn(self._tracker.follow(flight))

    def _give_back(self, flight: Flight, refusal: _Refusal) -> None:
        """The permit, which is spent, is told to have come to nothing."""
        self._tracker.refused(flight, refusal.reason, benign=refusal.benign)
        self._spawn(self._finish(flight.permit))

    def _flight(self, permit: PermitIssued) -> Flight:
        return Flight(
            permit.id,
            self._ids.of(permit.id),
            permit.symbol,
            permit.side,
            permit.steps,
            permit.reduce_only,
            rests(permit),
            self._clock.wall_ns(),
            self._clock.mono_ns(),
        )

    async def _read_kill(self, permit: PermitIssued, timeout_s: float) -> KillMode | None:
        """The kill switch as it stands for the permit, None where it is off; on where it cannot be read."""
        try:
            mode = await self._latch.call(lambda: self._killed(permit.strategy, permit.symbol), timeout_s=timeout_s)
        except (OSError, ValueError, InterlockError) as error:
            self._trouble(f"the kill switch cannot be read, so it counts as on: {_words(error)}")
            return KillMode.REDUCE_ONLY
        return mode or None

    def _tick(self, symbol: str) -> float:
        return self._ticks.get(symbol, nan)

    async def _learn_ticks(self) -> None:
        instruments = await self._line.ask(self._line.venue.instruments(), WEIGHT_QUERY)
        self._ticks.update((instrument.symbol, instrument.tick) for instrument in instruments)

    def _tell(self, message: Message) -> None:
        self._bus.publish(RESULTS, self._sealer.seal(message))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._tasks is not None, "the executor is not running"
        return self._tasks.create_task(work)

    # ---------------------------------------------------------------- the start

    async def _restore(self) -> None:
        """Every order that may be at the venue from before has been asked after once, and is followed."""
        for flight in (*self._resumed, *await self._recall()):
            self._tracker.begin(flight)
        flights = self._tracker.flights
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._first_ticks())
            for flight in flights:
                tasks.create_task(self._look_after(flight))
        known = {flight.permit for flight in self._resumed}
        for flight in flights:
            self._spawn(self._tracker.follow(flight))
            if flight.permit not in known:
                self._spawn(self._retire(flight))

    async def _retire(self, flight: Flight) -> None:
        """
        An order whose permit the engine does not hold for alive is over: a crash has lost its record.

        One that rests to close goes only when another protects what is held, or nothing is.
        """
        while not flight.over and flight.reduce_only and not self._is_needless(flight):  # noqa: ASYNC110 (bounded by it)
            await asyncio.sleep(self._line.patience.retry_first_s)
        if not flight.over:
            await self._tracker.cancel(flight.permit)

    def _is_needless(self, flight: Flight) -> bool:
        held = self._position(flight.symbol)
        if held is None:
            return False
        return held * flight.side >= 0 or any(
            each is not flight
            and (each.symbol, each.side, each.resting) == (flight.symbol, flight.side, True)
            and each.told is not None
            and each.told.state == PermitState.WORKING
            and each.open_steps >= abs(held)
            for each in self._tracker.flights
        )

    async def _recall(self) -> list[Flight]:
        """What the spent-set holds of orders that are not over."""
        try:
            kept = await self._disk.call(self._store.alive, timeout_s=self._line.patience.answer_s)
        except (SpentStoreError, TimeoutError) as error:
            self._trouble(f"the orders of the last run are not known from the spent-set: {_words(error)}")
            return []
        return [flight for flight in map(self._recalled, kept) if flight is not None]

    def _recalled(self, kept: Alive) -> Flight | None:
        try:
            permit = self._opener.open(kept.sealed)
        except (MessageForged, SealUnreadable) as error:
            self._trouble(f"permit {kept.permit} of the last run can no longer be opened: {error}")
            return None
        assert isinstance(permit, PermitIssued)
        flight = self._flight(permit)
        flight.spent_ns = kept.at_ns
        return flight

    async def _first_ticks(self) -> None:
        try:
            await self._learn_ticks()
        except VenueUnreachable as error:
            self._tell(VenueError(f"reading instruments: {error}"))

    async def _look_after(self, flight: Flight) -> None:
        try:
            await self._tracker.ask_after(flight)
        except VenueUnreachable as error:
            self._tracker.lost(flight, error)
        else:
            if flight.told is None:
                self._tracker.unknown(flight, "not seen at the venue yet")


class _Stopped(Exception):
    """Ends the tasks of an executor that was stopped."""


def _words(error: Exception) -> str:
    return str(error) or "no answer in time"
