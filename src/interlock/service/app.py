"""
The one place where a gateway is put together, started and stopped.

A start goes from what is known to what must be asked: the ledger is folded into an engine, the spent-set says what the
last run still sent, a new epoch makes every unused permit void, and then the venue is asked after orders, positions and
money. Until it has answered nothing opens, because nothing is proven; exits, kill switch and the local socket work from
the first moment. Stopping stops openings, lets orders under way be answered, leaves stops resting at the venue and
writes everything down.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import msgspec

from interlock.adapters.bus import PERMITS, RESULTS, InProcessBus
from interlock.adapters.venue import Venue, VenueUnreachable
from interlock.core.codes import AccountKind, Code, PermitState
from interlock.core.constants import NS_PER_S
from interlock.core.engine import Engine
from interlock.core.errors import InputInvalid, InterlockError, PolicyInvalid
from interlock.core.messages import (
    SCHEMA,
    AccountOpened,
    CancelOrders,
    ClockChecked,
    Input,
    Message,
    Output,
    PolicySet,
    Quarantined,
    Spent,
    Step,
)
from interlock.core.permit import IN_FLIGHT
from interlock.core.state import PermitRow, State, is_stop
from interlock.ledger import Ledger, LedgerError
from interlock.ledger.fold import fold
from interlock.ledger.writer import Writer
from interlock.policy import Policy, load_policy
from interlock.service.attempt import attempt_on_thread
from interlock.service.clock import Clock, SystemClock
from interlock.service.desk.control import ControlServer
from interlock.service.desk.sources import SourceKeys
from interlock.service.execution.budget import Budget, RateLimits
from interlock.service.execution.executor import Executor
from interlock.service.execution.line import Line, Patience
from interlock.service.execution.orderids import OrderIds
from interlock.service.execution.signing import MessageForged, Opener, Realm, Role, Sealer, SealUnreadable
from interlock.service.execution.spent import SpentStore
from interlock.service.feeds import AccountUnfit, Feeds, Rhythm, instruments_set
from interlock.service.gateway import Gateway
from interlock.service.home.calendar_file import CalendarFile
from interlock.service.home.conditions import LiveConditions, Tightening
from interlock.service.home.environment import require_environment, require_mainnet_meant, require_venue
from interlock.service.home.home import Home
from interlock.service.home.keys import read_ledger_key, read_secret
from interlock.service.home.latch import KillLatch
from interlock.service.home.lookout import Lookout
from interlock.service.home.runtime import Runtime, read_runtime, settled_kind
from interlock.service.shell.gate import Gate
from interlock.service.shell.inbox import Priority
from interlock.service.shell.shell import Shell, Unanswered
from interlock.service.watchdog import Watchdog
from interlock.service.worker import Worker

DAY_NS: Final = 86_400 * NS_PER_S
CALENDAR_PAST_NS: Final = 8 * DAY_NS
CALENDAR_AHEAD_NS: Final = 410 * DAY_NS
LOOK_S: Final = 0.5
"""How often switch, conditions and policy are looked at when nobody asks for anything."""
RECONCILE_S_MIN: Final = 0.5
RECONCILE_S_MAX: Final = 10.0
POLICY_S_MAX: Final = 30.0
"""How long the policy's disk may take."""
CLOSE_S_MAX: Final = 5.0
"""How long the spent-set's disk is waited for at the end; what was said to be spent is on it by then."""
STEPPING_NS: Final = 10 * NS_PER_S
"""An engine that has made no step for so long is not alive."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What may differ between one gateway and another besides their homes; the defaults are those of production."""

    clock: Clock
    rhythm: Rhythm
    rates: RateLimits
    patience: Patience
    environ: Mapping[str, str]
    disk: Callable[..., Writer]
    means_mainnet: bool = False

    @classmethod
    def usual(cls, *, means_mainnet: bool = False) -> "Setting":
        """Production."""
        return cls(SystemClock(), Rhythm(), RateLimits(), Patience(), os.environ, Writer, means_mainnet)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the disk held at the start."""

    runtime: Runtime
    kind: AccountKind
    policy: Policy | None
    policy_problem: str
    policy_mark: tuple[int, ...]
    secret: bytes
    ledger: Ledger
    engine: Engine
    store: SpentStore
    epoch: int
    unheard: tuple[Spent, ...]


@asynccontextmanager
async def running(home: Home, venue: Venue, setting: Setting | None = None) -> AsyncIterator[Gateway]:
    """
    A gateway of this home runs while the block lasts, in front of this venue, and is stopped in order behind it.

    Raises:
        InterlockError: it cannot start; the message says what to put right. Nothing was opened.
        LedgerError: the ledger cannot be used.
        VenueUnreachable: a new account's venue does not answer.
    """
    setting = setting or Setting.usual()
    async with AsyncExitStack() as stack:
        stack.enter_context(home.claimed())
        found = await asyncio.to_thread(_find, home, venue, setting)
        app = _App(home, venue, setting, found)
        try:
            async with app.running() as gateway:
                yield gateway
        except BaseExceptionGroup as group:
            raise _first_of(group) from group


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first."""
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _find(home: Home, venue: Venue, setting: Setting) -> _Found:
    """Everything on the disk is read and opened, on a thread."""
    home.check()
    runtime = read_runtime(home)
    require_environment(runtime, venue.environment, setting.environ)
    require_mainnet_meant(home, runtime, said=setting.means_mainnet)
    secret, key = read_secret(home), read_ledger_key(home)
    mark, (policy, problem) = _mark(home), _policy(home)
    ledger = Ledger.open(
        home.ledger, account=runtime.account, schema=SCHEMA, key=key, anchor=home.anchor, disk=setting.disk
    )
    store: SpentStore | None = None
    try:
        engine = fold(home.ledger, public_key=key.public_key())
        a = engine.state.account
        kind = settled_kind(a.kind if a.opened else None, runtime)
        require_venue(runtime, kind, venue.name)
        if policy is None and not a.opened:
            raise PolicyInvalid((problem,))
        store = SpentStore(home.spent)
        unheard = tuple(
            Spent(p.id, a.epoch, by)
            for p in engine.state.permits.alive()
            if p.state == PermitState.ISSUED and (by := store.spent_by(p.id)) is not None
        )
        epoch = store.open_epoch(a.epoch)
        return _Found(runtime, kind, policy, problem, mark, secret, ledger, engine, store, epoch, unheard)
    except BaseException:
        if store is not None:
            store.close()
        ledger.close()
        raise


def _policy(home: Home) -> tuple[Policy | None, str]:
    try:
        return load_policy(home.policy), ""
    except PolicyInvalid as error:
        return None, f"{home.policy} is refused: {error}"
    except OSError as error:
        return None, f"{home.policy} cannot be read: {error.strerror or error}"


def _mark(home: Home) -> tuple[int, ...]:
    """What changes when the policy file does."""
    try:
        stat = home.policy.stat()
    except OSError:
        return (0,)
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


class _App:
    """The parts of one running gateway."""

    def __init__(self, home: Home, venue: Venue, setting: Setting, found: _Found) -> None:
        self._home = home
        self._venue = venue
        self._clock = setting.clock
        self._found = found
        runtime = found.runtime
        realm = Realm(runtime.environment, runtime.account, runtime.venue)
        self._ids = OrderIds(realm)
        self._bus = InProcessBus()
        self._gate_sealer = Sealer(Role.GATE, realm, found.secret)
        self._results_opener = Opener(Role.EXECUTOR, realm, found.secret)
        self._shell = Shell(
            Gate(found.engine, found.ledger),
            setting.clock,
            publish=self._publish,
            on_away=self._on_away,
            trouble=self._say,
        )
        latch = KillLatch(home)
        tightening = Tightening.of(setting.environ)
        conditions = LiveConditions(home, runtime, found.kind, tightening)
        self._lookout = Lookout(latch, conditions, self._universe)
        line = Line(venue, Budget(setting.rates, setting.clock.mono_ns), setting.patience)
        self._executor = Executor(
            line,
            self._bus,
            found.store,
            opener=Opener(Role.GATE, realm, found.secret),
            sealer=Sealer(Role.EXECUTOR, realm, found.secret),
            ids=self._ids,
            clock=setting.clock,
            authorize=self._shell.authorize,
            killed=lambda strategy, symbol: latch.state().covering(strategy, symbol),
            position=self._position,
            trouble=self._say,
        )
        self._feeds = Feeds(line, self._shell.tell, self._shell.quotes, self._ids.permit_in, rhythm=setting.rhythm)
        self.gateway = Gateway(
            self._shell,
            self._executor,
            latch,
            self._lookout,
            setting.clock,
            environment=runtime.environment,
            venue=venue.name,
            environment_kill=tightening.kill,
            troubles=self._troubles,
            ledger=self._ledger_status,
        )
        self._watchdog = Watchdog(setting.environ)
        self._policy_problem = found.policy_problem
        self._policy_disk = Worker("interlock-policy")
        self._calendar_file = CalendarFile(home.calendar)
        self._calendars_ns = 0
        self._met = False
        self._unreconciled = "positions and orders have not been read yet"

    # ------------------------------------------------------------ start and stop

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        """The parts run while the block lasts."""
        server = ControlServer(
            self.gateway,
            SourceKeys(self._home.sources),
            self._home.socket,
            account=self._found.runtime.account,
            environment=self._found.runtime.environment,
            trouble=self.gateway.trouble,
        )
        async with asyncio.TaskGroup() as tasks:
            shell = tasks.create_task(self._shell.run(), name="shell")
            watcher = tasks.create_task(self._follow_steps(), name="watcher")
            executor: list[asyncio.Task[None]] = []
            background: list[asyncio.Task[None]] = []
            try:
                await self._open_account()
                executor.append(tasks.create_task(self._executor.run(), name="executor"))
                background += [tasks.create_task(work, name=name) for name, work in self._background()]
                async with server:
                    self._watchdog.ready()
                    yield self.gateway
            finally:
                self._watchdog.stopping()
                self.gateway.stopping = True
                await self._stop(executor, background)
                await asyncio.wait([shell])
                watcher.cancel()

    async def _stop(self, executor: list[asyncio.Task[None]], background: list[asyncio.Task[None]]) -> None:
        """What had been started has ended, in order, and files are closed as far as the disk answers."""
        self._executor.stop()
        if executor:
            await asyncio.wait(executor)
        for task in background:
            task.cancel()
        if background:
            await asyncio.wait(background)
        problem = await self._shell.stop()
        self._executor.close()
        self.gateway.end()
        self._policy_disk.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S_MAX):
                await attempt_on_thread(self._found.store.close)
        if problem is not None:
            raise problem

    def _background(self) -> Iterator[tuple[str, "asyncio._CoroutineLike[None]"]]:
        yield "results", self._take_results()
        yield "feeds", self._feed()
        yield "lookout", self._watch()
        yield "policy", self._watch_policy()
        yield "calendar", self._watch_calendar_file()
        yield "watchdog", self._watchdog.watch(self._is_alive)

    # ------------------------------------------------------------ the account

    async def _open_account(self) -> None:
        """The engine has taken over the account, and knows all that does not have to be asked of the venue."""
        found, runtime = self._found, self._found.runtime
        state = found.engine.state
        a = state.account
        policy = found.policy
        currency = a.currency if a.opened else policy.leaves["account", "currency"].text if policy else ""
        balance = 1.0
        for spent in found.unheard:
            await self._tell(spent)
        if not a.opened:
            balance = (await self._feeds.check_account(currency, runtime.environment)).balance
        await self._tell(
            AccountOpened(runtime.account, found.kind, currency, balance, epoch=found.epoch, stops_at_venue=True)
        )
        try:
            await self._meet_venue()
        except VenueUnreachable as error:
            self._unreconciled = f"the venue does not answer at the start: {error}"
        await self._tell_policy(policy)
        await self._tell_calendars()
        await self._tell(ClockChecked())
        with self._noting():
            await self.gateway.refresh()
        for p in state.permits.alive():
            if p.state in IN_FLIGHT and not p.executor:
                self._resume(state, p)
                if p.cancelling:
                    self._publish(CancelOrders((p.id,), Code.RESTARTED))

    async def _meet_venue(self) -> None:
        """
        The venue's account is one that can be guarded, and its instruments are known.

        Raises:
            AccountUnfit: it is none.
            VenueUnreachable: it did not say.
        """
        policy, state = self._found.policy, self._shell.state
        await self._feeds.check_account(state.account.currency, self._found.runtime.environment)
        symbols = set(policy.symbols if policy else ()) | set(state.names.symbols)
        for event in instruments_set(await self._feeds.instruments(symbols)):
            try:
                await self._tell(event)
            except InputInvalid as error:
                self.gateway.trouble(str(error))
        self._met = True

    def _resume(self, state: State, p: PermitRow) -> None:
        resting = is_stop(p) or (p.reduce_only and p.limit_price == p.limit_price)
        symbol = state.names.symbols[p.symbol]
        self._executor.resume(p.id, symbol, p.side, p.steps, reduce_only=p.reduce_only, resting=resting)

    async def _tell(self, event: Input) -> None:
        await self._shell.ask(event, Priority.OPERATOR)

    async def _tell_policy(self, policy: Policy | None) -> None:
        """The policy is in force; one that cannot be used closes openings and leaves the rights to close as they were."""
        known = self._known_policy()
        now_ns = self._clock.wall_ns()
        try:
            compiled = policy.compile(now_ns) if policy is not None else None
        except PolicyInvalid as error:
            self._policy_problem, compiled = str(error), None
        if compiled is None and known is not None:
            compiled = msgspec.structs.replace(known, verified=False)
        if compiled is not None and (known is None or _differ(known, compiled)):
            await self._tell(compiled)

    def _known_policy(self) -> PolicySet | None:
        """The policy as the engine holds it: not verified where the last one that it was told of was not."""
        state = self._shell.state
        if state.policy is None:
            return None
        return msgspec.structs.replace(state.policy, verified=state.account.policy_verified == 1.0)

    async def _tell_calendars(self) -> None:
        now_ns = self._clock.wall_ns()
        self._calendars_ns = now_ns
        for calendar in self._found.runtime.calendars(now_ns - CALENDAR_PAST_NS, now_ns + CALENDAR_AHEAD_NS):
            await self._tell(calendar)

    async def _tell_windows(self) -> None:
        """The engine knows the windows of the calendar file; of symbols without any nothing is said where there is none."""
        state, file = self._shell.state, self._calendar_file
        symbols = tuple(state.names.symbols)
        to_tell = partial(file.to_tell, symbols, self._clock.wall_ns())
        try:
            for event in await self._policy_disk.call(to_tell, timeout_s=POLICY_S_MAX):
                r = state.symbols[state.names.symbol_index[event.symbol]]
                if event.until_ns or r.windows_until_ns or r.blackouts:
                    await self._tell(event)
        except BaseException:
            file.forget()
            raise

    # ------------------------------------------------------------ what goes on all the time

    async def _follow_steps(self) -> None:
        async for step in self._shell.watch():
            if isinstance(step, Step):
                self.gateway.seen(step)

    async def _take_results(self) -> None:
        """What the executor says goes to the engine; what it cannot have said leaves positions in doubt."""
        while True:
            sealed = await self._bus.take(RESULTS)
            try:
                self._shell.tell(cast(Input, self._results_opener.open(sealed)))
            except (MessageForged, SealUnreadable) as error:
                self.gateway.trouble(f"a result was not believed: {error}")
                self._shell.tell(Quarantined("Executed", str(error), sealed))

    async def _feed(self) -> None:
        """The venue's word on orders, positions and money, first of all until it was given, and then regularly."""
        pause_s = RECONCILE_S_MIN
        while self._unreconciled:
            try:
                if not self._met:
                    await self._meet_venue()
                await self._feeds.reconcile()
                self._unreconciled = ""
            except (VenueUnreachable, AccountUnfit, Unanswered, LedgerError) as error:
                self._unreconciled = f"nothing opens until the venue has told positions and orders: {error}"
                await asyncio.sleep(pause_s)
                pause_s = min(2.0 * pause_s, RECONCILE_S_MAX)
        await self._feeds.run()

    async def _watch(self) -> None:
        """Switch and conditions are looked at again and again."""
        while True:
            with self._noting():
                await self.gateway.refresh()
                if self._clock.wall_ns() - self._calendars_ns > DAY_NS:
                    await self._tell_calendars()
            await asyncio.sleep(LOOK_S)

    async def _watch_policy(self) -> None:
        """A policy file that has changed is in force, or closes openings where it cannot be used."""
        mark = self._found.policy_mark
        while True:
            await asyncio.sleep(LOOK_S)
            with self._noting():
                found = await self._policy_disk.call(partial(self._read_policy, mark), timeout_s=POLICY_S_MAX)
                if found is not None:
                    now, policy, self._policy_problem = found
                    await self._tell_policy(policy)
                    mark = now

    async def _watch_calendar_file(self) -> None:
        """A calendar file that has changed is told; one that cannot be used is complained of."""
        while True:
            with self._noting():
                await self._tell_windows()
            await asyncio.sleep(LOOK_S)

    def _read_policy(self, mark: tuple[int, ...]) -> tuple[tuple[int, ...], Policy | None, str] | None:
        """The policy file, where it is not the one with that mark."""
        now = _mark(self._home)
        return None if now == mark else (now, *_policy(self._home))

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """What fails meanwhile is told, and tried again later."""
        try:
            yield
        except (InterlockError, LedgerError, TimeoutError) as error:
            self.gateway.trouble(str(error) or "the disk does not answer")

    # ------------------------------------------------------------ what the parts ask of each other

    def _publish(self, output: Output) -> None:
        assert isinstance(output, Message)
        self._bus.publish(PERMITS, self._gate_sealer.seal(output))

    def _say(self, what: str) -> None:
        self.gateway.trouble(what)

    def _on_away(self, reason: str) -> None:
        if reason:
            self.gateway.trouble(f"the engine is being rebuilt: {reason}")

    def _universe(self) -> tuple[str, ...]:
        policy = self._shell.state.policy
        return tuple(symbol.symbol for symbol in policy.universe) if policy is not None else ()

    def _position(self, symbol: str) -> int | None:
        state = self._shell.state
        index = state.names.symbol_index.get(symbol, -1)
        known = index >= 0 and state.account.reconciled == 1.0 and state.symbols[index].known == 1.0
        return state.symbols[index].position if known else None

    def _troubles(self) -> Iterator[str]:
        yield from filter(None, (self._policy_problem, self._unreconciled, self._calendar_file.problem))
        if unknown := self._calendar_file.strangers(self._shell.state.names.symbols):
            yield f"the calendar file names {', '.join(unknown)}, which nobody here knows: correct it"
        yield from self._feeds.troubles.values()

    def _ledger_status(self) -> tuple[int, int, str]:
        ledger = self._found.ledger
        return self._shell.state.account.seq, ledger.durable_seq, str(ledger.problem or "")

    def _is_alive(self) -> bool:
        return self._clock.mono_ns() - self._shell.stepped_mono_ns < STEPPING_NS


def _differ(known: PolicySet, now: PolicySet) -> bool:
    return (known.digest, known.verified, known.valid_until_ns) != (now.digest, now.verified, now.valid_until_ns)
