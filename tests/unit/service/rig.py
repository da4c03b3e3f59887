"""An executor between a gate that the test plays and a scripted venue, with a real spent-set and a real bus."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import nan
from pathlib import Path
from typing import Any

from interlock.adapters.bus import PERMITS, RESULTS, InProcessBus
from interlock.core.codes import KillMode, PermitState
from interlock.core.constants import EPOCH_BITS, NS_PER_S
from interlock.core.messages import Executed, Message, PermitIssued
from interlock.service.execution.budget import Budget, RateLimits
from interlock.service.execution.executor import Executor
from interlock.service.execution.line import Line, Patience
from interlock.service.execution.orderids import OrderIds
from interlock.service.execution.signing import Opener, Realm, Role, Sealer
from interlock.service.execution.spent import Alive, SpentStore, SpentStoreUnwritable
from unit.service.scripted import ScriptedVenue

SECRET = bytes(range(32))
REALM = Realm("testnet", "main", "scripted")
NOW_NS = 1_800_000_000 * NS_PER_S
SOON_S = 100.0
"""How long a test waits for what must come; it never waits that long."""

EAGER = Patience(answer_s=5.0, arrival_s=5.0, store_s=5.0, store_reducing_s=5.0, retry_first_s=0.005, retry_last_s=0.02)
"""Waits for answers as long as in production, and asks again at once."""

HASTY = Patience(answer_s=0.1, arrival_s=0.1, store_s=0.1, store_reducing_s=0.1, retry_first_s=0.005, retry_last_s=0.02)
"""For tests in which something hangs."""


class HandClock:
    """Clocks that the test moves."""

    def __init__(self) -> None:
        self.wall = NOW_NS
        self.mono = 1_000 * NS_PER_S

    def wall_ns(self) -> int:
        return self.wall

    def mono_ns(self) -> int:
        return self.mono

    def advance(self, seconds: float) -> None:
        self.wall += int(seconds * NS_PER_S)
        self.mono += int(seconds * NS_PER_S)


def permit_of(number: int, *, epoch: int = 1, reduce_only: bool = False, **changes: Any) -> PermitIssued:
    """The number-th permit of the epoch: it buys ten steps of BTC below 101, or closes ten steps of a long position."""
    fields: dict[str, Any] = {
        "id": (epoch << EPOCH_BITS) + number,
        "epoch": epoch,
        "fence": 0,
        "decision": 1,
        "intent_id": f"i{number}",
        "strategy": "trend",
        "symbol": "BTC",
        "side": -1 if reduce_only else 1,
        "steps": 10,
        "limit_price": nan if reduce_only else 101.0,
        "reduce_only": reduce_only,
        "stop_price": nan,
        "target_price": nan,
        "margin_leverage": nan if reduce_only else 10.0,
        "issued_ns": NOW_NS,
        "expires_ns": 0 if reduce_only else NOW_NS + 60 * NS_PER_S,
        "reserved": 0,
        "source": "bot",
    }
    return PermitIssued(**{**fields, **changes})


class FaultyStore(SpentStore):
    """A spent-set on a disk that does not take what `fails` names, and that waits for `lets_go` to spend."""

    def __init__(self, path: Path) -> None:
        self.fails: set[str] = set()
        self.lets_go = threading.Event()
        self.lets_go.set()
        super().__init__(path)

    def spend(self, permit: PermitIssued, sealed: bytes, now_ns: int) -> None:
        self.lets_go.wait()
        self._fail("spend")
        super().spend(permit, sealed, now_ns)

    def record(self, permit: PermitIssued, sealed: bytes, at_ns: int) -> None:
        self._fail("record")
        super().record(permit, sealed, at_ns)

    def finish(self, permit: int) -> None:
        self._fail("finish")
        super().finish(permit)

    def alive(self) -> tuple[Alive, ...]:
        self._fail("alive")
        return super().alive()

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise SpentStoreUnwritable("disk full")


class Rig:
    """The executor's surroundings, all of which a test may change."""

    def __init__(self, path: Path, patience: Patience = EAGER, limits: RateLimits | None = None) -> None:
        self.venue = ScriptedVenue()
        self.bus = InProcessBus()
        self.clock = HandClock()
        self.store = FaultyStore(path)
        if self.store.epoch == 0:
            self.store.open_epoch(0)
        self.ids = OrderIds(REALM)
        self.gate = Sealer(Role.GATE, REALM, SECRET)
        self.results = Opener(Role.EXECUTOR, REALM, SECRET)
        self.authorized: list[int] = []
        self.authorize: Callable[[PermitIssued], None] = lambda permit: self.authorized.append(permit.id)
        self.killed: Callable[[str, str], KillMode | None] = lambda strategy, symbol: None
        self.reconciled: dict[str, int] | None = None
        self.troubles: list[str] = []
        self.told: list[Message] = []
        self._returned: set[int] = set()
        self.line = Line(self.venue, Budget(limits or RateLimits(), self.clock.mono_ns), patience)
        self.executor = Executor(
            self.line,
            self.bus,
            self.store,
            opener=Opener(Role.GATE, REALM, SECRET),
            sealer=Sealer(Role.EXECUTOR, REALM, SECRET),
            ids=self.ids,
            clock=self.clock,
            authorize=lambda permit: self.authorize(permit),  # noqa: PLW0108 (a test may change it)
            killed=lambda strategy, symbol: self.killed(strategy, symbol),  # noqa: PLW0108
            position=self._position,
            trouble=self.troubles.append,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        """The executor runs, and has stopped well afterwards."""
        async with asyncio.timeout(SOON_S):
            task = asyncio.create_task(self.executor.run())
            try:
                yield self
                self.executor.stop()
                await task
            finally:
                task.cancel()
                self.store.close()

    def issue(self, *messages: Message) -> None:
        """The gate says so."""
        for message in messages:
            self.bus.publish(PERMITS, self.gate.seal(message))

    async def hear(self) -> Message:
        """The next thing that the executor tells."""
        message = self.results.open(await self.bus.take(RESULTS))
        self.told.append(message)
        return message

    async def until(self, permit: PermitIssued, state: PermitState) -> Executed:
        """The next result, not returned before, that tells this state of the permit's order."""
        place = 0
        while True:
            if place == len(self.told):
                await self.hear()
            message = self.told[place]
            fits = isinstance(message, Executed) and (message.permit, message.state) == (permit.id, state)
            if isinstance(message, Executed) and fits and place not in self._returned:
                self._returned.add(place)
                return message
            place += 1

    async def see(self, condition: Callable[[], object]) -> None:
        """It has become true."""
        while not condition():  # noqa: ASYNC110 (what is waited for knows nothing of tests)
            await asyncio.sleep(0.001)

    def states(self, permit: PermitIssued) -> list[PermitState]:
        """What was told of the permit so far."""
        return [each.state for each in self.told if isinstance(each, Executed) and each.permit == permit.id]

    def _position(self, symbol: str) -> int | None:
        return None if self.reconciled is None else self.reconciled.get(symbol, 0)
