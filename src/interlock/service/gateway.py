"""
A running gateway as those see it who ask: what can be asked is `Desk`, and this is what answers.

It brings together the shell (decisions), the executor (orders), the latch (the kill switch on the disk) and the live
conditions. An intent that may open is decided only after conditions and switch were read afresh; one that only reduces
waits for neither. Where no answer can be given in time the answer is no.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

from interlock.core.absorb import REGIMES
from interlock.core.authority import ALWAYS, OPERATOR, may_open
from interlock.core.codes import Code, KillMode, PermitState, Scope, TradingState
from interlock.core.constants import NS_PER_S
from interlock.core.decide import kill_severity
from interlock.core.envelope import Envelope
from interlock.core.errors import InputInvalid, InterlockError
from interlock.core.exits.explain import exit_owner, explain_exits
from interlock.core.explain import explain, limits_of
from interlock.core.messages import (
    Adopted,
    BarClosed,
    Cancel,
    Decision,
    Executed,
    FlattenGoal,
    FlattenSet,
    Heartbeat,
    Intent,
    KillReset,
    KillSet,
    LockChanged,
    LockReleased,
    MarketState,
    ModeSet,
    Output,
    OwnerSet,
    PermitIssued,
    Rebalance,
    Rebased,
    Step,
)
from interlock.core.permit import RESTING
from interlock.core.state import PermitRow, State, is_stop
from interlock.core.utilisation import Utilisation
from interlock.ledger.errors import LedgerError
from interlock.service.api import Answer, Cancelled, DecisionStatus, Exits, KillStatus, Rebalanced, Status
from interlock.service.clock import Clock
from interlock.service.desk.desk import PolicyView, Started, policy_view
from interlock.service.desk.rebalance import (
    NOT_DURABLE,
    cancelled,
    orders_of,
    parts,
    rebalanced,
    undecided,
)
from interlock.service.desk.status import Around, status_of
from interlock.service.execution.executor import Executor
from interlock.service.home.latch import SENTINEL, UNREADABLE, KillLatch, LatchUnwritable
from interlock.service.home.lookout import Lookout
from interlock.service.shell.gate import EngineAway, Handed, PermitSpent, PermitVoid
from interlock.service.shell.inbox import Busy, Priority
from interlock.service.shell.shell import ANSWER_S_MAX, Shell, Unanswered
from interlock.service.worker import Worker

DECISIONS_KEPT: Final = 50
DECISIONS_SHOWN: Final = 10
TROUBLE_NS: Final = 60 * NS_PER_S
"""How long a trouble that was told once is shown."""
TROUBLES_KEPT: Final = 100
"""Of more that are told within that time the newest are shown."""
LATCH_S_MAX: Final = 2.0
"""How long the kill latch is waited for before the engine is told all the same."""


class NotHandedOver(InterlockError):
    """The permit was not handed over to this source, so nothing it says of it counts; ask for the status."""


class NotEntitled(InterlockError):
    """The source has no part in this policy, so its word on a market counts for nothing; give it a right there."""


class Unreconciled(InterlockError):
    """The venue has not told what is held; a close goes by what it says now."""


class Gateway:
    """One account's gateway, asked from its own event loop."""

    def __init__(
        self,
        shell: Shell,
        executor: Executor,
        latch: KillLatch,
        lookout: Lookout,
        clock: Clock,
        *,
        environment: str,
        venue: str,
        environment_kill: str | None,
        troubles: Callable[[], Iterable[str]],
        ledger: Callable[[], tuple[int, int, str]],
    ) -> None:
        """
        Ready to answer.

        Args:
            shell: decides.
            executor: carries out.
            latch: the kill switch on the disk.
            lookout: reads it, and the live conditions.
            clock: of this machine.
            environment: testnet or mainnet.
            venue: its name.
            environment_kill: what in the process's environment throws the kill switch, None where nothing does.
            troubles: what is wrong now, beyond what is told here.
            ledger: the last record, the last durable one, what keeps records from being written.
        """
        self._shell = shell
        self._executor = executor
        self._latch = latch
        self._lookout = lookout
        self._clock = clock
        self._environment = environment
        self._venue = venue
        self._environment_kill = () if environment_kill is None else (_by_environment(environment_kill),)
        self._more_troubles = troubles
        self._ledger = ledger
        self._latch_disk = Worker("interlock-kill")
        self._decisions: deque[tuple[int, Decision]] = deque(maxlen=DECISIONS_KEPT)
        self._explained: dict[int, DecisionStatus] = {}
        self._reasons: dict[tuple[Scope, str, Code], str] = {}
        self._told: dict[str, int] = {}
        self._mode: ModeSet | None = None
        self._lists = asyncio.Lock()
        self._resets = 0
        self._obeyed: dict[tuple[Scope, str], KillMode | None] = {}
        self.stopping = False

    def end(self) -> None:
        """Nobody asks any more."""
        self._latch_disk.close()

    # ------------------------------------------------------------ intents

    async def submit(self, intent: Intent, hand_over: bool) -> Answer:
        """The intent is decided, and what was granted is on its way; handed over, the caller executes it."""
        taker = (intent.source, intent.id) if hand_over else None
        try:
            if not intent.reduce_only:
                await self.refresh()
            handed = await self._shell.ask(intent, taker=taker)
            answer = answer_of(intent, handed)
            return answer if taker is None else await self._hand_over(taker, answer, handed)
        except REFUSED as error:
            return Answer(intent.id, refusal_code(error), note=str(error))

    async def dry_run(self, intent: Intent) -> Answer:
        """What the answer would be now; nothing is consumed or recorded."""
        try:
            if not intent.reduce_only:
                await self.refresh()
            return _answer(intent, self._shell.dry_run(intent))
        except REFUSED as error:
            return Answer(intent.id, refusal_code(error), note=str(error))

    async def _hand_over(self, taker: tuple[str, str], answer: Answer, handed: Handed) -> Answer:
        """
        Every permit is the caller's: spent durably, and UNKNOWN until the caller reports.

        One that the disk has not taken yet comes too late for the caller, who is told so, and for everybody.
        """
        source, _ = taker
        mine = [permit for permit in handed.permits if (permit.source, permit.intent_id) == taker]
        permits = [permit for permit in mine if await self._spend_for(source, permit)]
        granted = sum(permit.steps for permit in permits)
        headline = answer.headline if permits else Code.UNANSWERED if mine else answer.headline
        return msgspec.structs.replace(answer, headline=headline, granted_steps=granted, permits=tuple(permits))

    async def _spend_for(self, source: str, permit: PermitIssued) -> bool:
        """Whether the permit is used up by the source that will execute it: durably, where it may open."""
        if not await self._executor.hand_over(permit, source):
            return False
        try:
            self._shell.authorize(permit, source)
        except (PermitSpent, PermitVoid):
            return False
        except EngineAway:
            return permit.reduce_only  # and the engine will learn of it
        return True

    # ------------------------------------------------------------ rebalances

    async def rebalance(self, rebalance: Rebalance) -> Rebalanced:
        """
        The instructions are decided as a whole, and what was granted is on its way; so will be what waits.

        What closes is decided first, by itself: it waits for no disk and for no other rebalance.
        """
        closes, rest = parts(rebalance)
        closed: tuple[Output, ...] = ()
        try:
            if closes is not None:
                closed = _decided(await self._shell.ask(closes, Priority.REDUCING)).step.outputs
            if rest is None:
                return rebalanced(self._shell.state, rebalance, closed)
            async with self._one_list():
                await self.refresh()
                handed = _decided(await self._shell.ask(rest))
        except REFUSED as error:
            return undecided(self._shell.state, rebalance, closed, refusal_code(error), str(error))
        outputs = (*closed, *handed.step.outputs)
        unsettled = frozenset(permit.id for permit in handed.waiting)
        told = rebalanced(self._shell.state, rebalance, outputs, unsettled=unsettled)
        _, durable, _ = self._ledger()
        return told if handed.step.seq <= durable else msgspec.structs.replace(told, note=NOT_DURABLE)

    async def dry_run_rebalance(self, rebalance: Rebalance) -> Rebalanced:
        """
        What the answer would be now; nothing is consumed or recorded.

        It takes half of the engine's time at most, so that whoever only asks holds up nobody who closes.
        """
        try:
            async with self._one_list():
                if parts(rebalance)[1] is not None:
                    await self.refresh()
                began_ns = self._clock.mono_ns()
                told = rebalanced(self._shell.state, rebalance, self._shell.foresee(rebalance))
                await asyncio.sleep((self._clock.mono_ns() - began_ns) / NS_PER_S)
                return told
        except REFUSED as error:
            return undecided(self._shell.state, rebalance, (), refusal_code(error), str(error))

    @asynccontextmanager
    async def _one_list(self) -> AsyncIterator[None]:
        """
        No other rebalance is being decided meanwhile: a list is long, and others want to be heard.

        Raises:
            Busy: those before took too long.
        """
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                await self._lists.acquire()
        except TimeoutError:
            raise Busy("other rebalances are being decided: tell it again") from None
        try:
            yield
        finally:
            self._lists.release()

    async def cancel(self, source: str, name: str) -> Cancelled:
        """
        Opening orders of that intent or rebalance, as far as they have not filled, are over or being cancelled.

        Raises:
            Unanswered, EngineAway: they may still open.
        """
        withdrawn: list[str] = []
        for waits in [each.rebalance for each in self._shell.state.waiting.values() if each.rebalance.id == name]:
            if source in ALWAYS or may_open(self._shell.state, source, waits.strategy):
                await self._shell.ask(Rebalance(f"cancel:{name}", source, waits.strategy, ()), Priority.REDUCING)
                withdrawn += [each.symbol for each in waits.instructions]
        outputs: list[Output] = []
        live = orders_of(self._shell.state, name)
        for p in live:
            if not p.executor:
                outputs += (await self._shell.ask(Cancel(f"cancel:{name}", source, p.id))).step.outputs
        return cancelled(name, live, outputs, tuple(withdrawn))

    # ------------------------------------------------------------ markets and reports

    async def report(self, source: str, executed: Executed) -> None:
        """
        What became of a permit that was handed over to the source is on record; repeats change nothing.

        Raises:
            NotHandedOver: it was not.
            InputInvalid, Unanswered, EngineAway: it was not taken; report it again.
        """
        p = self._shell.state.permits.get(executed.permit)
        if p is None or p.executor != source:
            raise NotHandedOver(f"permit {executed.permit} was not handed over to {source!r}")
        await self._shell.ask(executed)

    def tell_market(self, event: MarketState | BarClosed) -> None:
        """The engine will know the symbol's market state, or its last bar."""
        self._shell.tell(event)

    async def hear(self, source: str, event: MarketState | BarClosed) -> None:
        """
        The engine knows what the source says of a market.

        Raises:
            NotEntitled: the policy names it neither as a source nor as the exit owner.
            InputInvalid: the symbol is not known, or the label is none.
        """
        state = self._shell.state
        if not _has_part(state, source):
            raise NotEntitled(f"the policy knows no source {source!r}: give it a right under [sources] there")
        if event.symbol not in state.names.symbol_index:
            raise InputInvalid(f"symbol {event.symbol!r} is not known")
        if isinstance(event, MarketState) and event.label not in REGIMES:
            raise InputInvalid(f"a label is {', '.join(filter(None, REGIMES))} or empty, found {event.label!r}")
        await self._shell.ask(event)

    async def heartbeat(self, source: str) -> None:
        """The source is alive."""
        await self._shell.ask(Heartbeat(source))

    # ------------------------------------------------------------ operators

    async def kill(self, kill: KillSet) -> KillStatus:
        """The kill switch is on, durably; the status tells what is in force in that scope."""
        try:
            await self._latch_disk.call(lambda: self._latch.trigger(kill, self._clock.wall_ns()), timeout_s=LATCH_S_MAX)
        except (LatchUnwritable, TimeoutError) as error:
            self.trouble(f"the kill switch is on in this process, and not on the disk: {str(error) or 'no answer'}")
        with suppress(EngineAway, Unanswered):  # the executor reads the latch by itself
            await self._shell.ask(kill)
        return await self._switch(kill.scope, kill.scope_key)

    async def reset(self, reset: KillReset) -> KillStatus:
        """
        The kill switch of the scope is off.

        Raises:
            SentinelStands, ResetUnnamed, LatchUnwritable: it is still on.
            Unanswered, EngineAway: the engine was not there to be told; reset again.
        """
        try:
            await self._latch_disk.call(lambda: self._latch.reset(reset), timeout_s=LATCH_S_MAX)
        except TimeoutError:
            raise LatchUnwritable("the disk does not answer, and the switch stays on: check the disk") from None
        self._resets += 1
        await self._shell.ask(reset)
        self._obeyed.pop((reset.scope, reset.scope_key), None)
        return await self._switch(reset.scope, reset.scope_key)

    async def release(self, release: LockReleased) -> None:
        """The lock has ended."""
        await self._shell.ask(release)

    async def flatten(self, symbol: str | None, reason: str, by: str) -> Started:
        """The position, or every position, is being closed until the venue confirms that it is flat."""
        try:
            handed = await self._shell.ask(FlattenSet(symbol or "", reason, by))
        except (EngineAway, Unanswered, LedgerError) as error:
            return await self._direct(symbol, by, error)
        goals = (output.symbol for output in handed.step.outputs if isinstance(output, FlattenGoal))
        return Started(tuple(dict.fromkeys(goals)))

    async def close(self, symbol: str, by: str, reason: str) -> Started:
        """One closing order for the whole position is on its way."""
        state = self._shell.state
        index = state.names.symbol_index.get(symbol, -1)
        if index < 0:
            raise InputInvalid(f"symbol {symbol!r} is not known")
        r, instrument = state.symbols[index], state.instruments[index]
        if self._shell.engine_away or instrument is None:
            return await self._direct(symbol, by, EngineAway(self._shell.engine_away))
        if r.known != 1.0:
            return await self._direct(symbol, by, Unreconciled(f"the position in {symbol} is not known"))
        if r.position == 0:
            return Started((), note=f"{symbol} is flat")
        now_ns = self._clock.wall_ns()
        intent = Intent(
            f"close-{symbol}-{now_ns}",
            OPERATOR,
            state.names.strategies[r.owner] if r.owner >= 0 else "",
            symbol,
            -1 if r.position > 0 else 1,
            quantity=instrument.quantity(abs(r.position)),
            reduce_only=True,
            created_at_ns=now_ns,
        )
        answer = await self.submit(intent, hand_over=False)
        if answer.headline == Code.UNANSWERED:
            return await self._direct(symbol, by, Unanswered(answer.note))
        return Started((symbol,) if answer.allowed else (), note=reason if answer.allowed else answer.headline)

    async def rebase(self, by: str, reason: str) -> None:
        """Present equity is the reference for drawdown and peak."""
        await self._shell.ask(Rebased(by, reason))

    async def adopt(self, adopted: Adopted) -> None:
        """
        The position that was opened outside the gate has that stop, and its exits are the engine's.

        Raises:
            InputInvalid: there is no such position, it is looked after already, or the stop lies on the wrong side.
        """
        if not adopted.strategy:
            adopted = msgspec.structs.replace(adopted, strategy=_only_strategy(self._shell.state))
        await self._shell.ask(adopted)

    async def name_owner(self, named: OwnerSet) -> None:
        """
        Exits are the owner's from now on.

        Raises:
            InputInvalid: the policy knows no such source, so it could never close anything.
        """
        state = self._shell.state
        if named.owner != "any" and not _has_part(state, named.owner):
            raise InputInvalid(
                f"the policy knows no source {named.owner!r}: name its exit owner, one of its sources, or any"
            )
        await self._shell.ask(named)

    async def _direct(self, symbol: str | None, by: str, why: InterlockError | LedgerError) -> Started:
        """The way out past an engine that is away."""
        self.trouble(f"{by} closes past the engine: {why}")
        came = await self._executor.close_directly(symbol, by)
        left = tuple(position.symbol for position in came.left.positions) if came.left is not None else ()
        note = "flat" if came.flat else "; ".join(came.problems) or f"left: {', '.join(left) or 'unknown'}"
        return Started((symbol,) if symbol else left, direct=True, note=note)

    # ------------------------------------------------------------ the kill switch and the conditions

    async def refresh(self) -> None:
        """
        The engine knows switch and conditions as the disk has them now, or that the disk does not answer.

        Raises:
            Unanswered, EngineAway, LedgerError: it could not be told; nothing may be opened on what it knew before.
        """
        resets = self._resets
        sight = await self._lookout.look()
        for entry in () if sight.blind else sight.kill.entries:
            with suppress(InputInvalid):  # of a strategy or symbol that the engine has never heard of
                await self._obey_kill(entry, resets)
        await self._obey_mode(sight.conditions.told)

    async def _obey_mode(self, told: ModeSet) -> None:
        """The engine knows the conditions; where it is being told of others just now, it is told of these behind them."""
        if self._mode is not None and _same(self._mode, told):
            return
        self._mode = told
        try:
            await self._shell.ask(told)
        except BaseException:
            self._mode = None
            raise

    async def _obey_kill(self, entry: KillStatus, resets: int) -> None:
        """
        The engine knows of the kill, where it was told of none as severe or has forgotten it.

        What was seen before a reset, of which there were so many, may have been what was reset.
        """
        where = entry.scope, entry.scope_key
        held = kill_severity(self._shell.state, entry.scope, entry.scope_key)
        if resets == self._resets and (self._obeyed.get(where) != entry.mode or held == TradingState.ACTIVE):
            await self._shell.ask(_kill_set(entry))
            self._obeyed[where] = entry.mode

    async def _switch(self, scope: Scope, key: str) -> KillStatus:
        sight = await self._lookout.look()
        found = (each for each in sight.kill.entries if (each.scope, each.scope_key) == (scope, key))
        return next(found, KillStatus(False, scope=scope, scope_key=key))

    # ------------------------------------------------------------ reading

    @property
    def currency(self) -> str:
        """The account's."""
        return self._shell.state.account.currency

    def status(self) -> Status:
        """Everything that a person on duty wants to see."""
        now_ns = self._clock.wall_ns()
        sight = self._lookout.sight
        away = self._shell.engine_away
        self._told = {what: at_ns for what, at_ns in self._told.items() if now_ns - at_ns < TROUBLE_NS}
        troubles = [f"the engine is away, nothing opens: {away}"] if away else []
        return status_of(
            self._shell.state,
            now_ns,
            Around(
                environment=self._environment,
                venue=self._venue,
                kill=(*self._environment_kill, *sight.kill.entries),
                reasons=self._reasons,
                stops=stops_of(self._shell.state),
                decisions=tuple(self._last_decisions()),
                conditions=sight.conditions.shown,
                ledger=self._ledger(),
                troubles=(*troubles, *self._more_troubles(), *self._told),
            ),
        )

    def exits(self) -> Exits:
        """The way out of every position, with how far each rule is."""
        now_ns, state = self._clock.wall_ns(), self._shell.state
        return Exits(now_ns, exit_owner(state, now_ns), explain_exits(state, now_ns))

    async def allowed(self, source: str, symbol: str, stop_frac: float) -> Envelope:
        """
        What the source may open now, in one symbol or in all.

        Raises:
            Unanswered, EngineAway, LedgerError: nothing is known, so nothing may be opened.
        """
        await self.refresh()
        return self._shell.allowed(source, symbol, stop_frac)

    async def utilisation(self, stop_frac: float) -> Utilisation:
        """
        How far every rule is used now.

        Raises:
            Unanswered, EngineAway, LedgerError: nothing is known.
        """
        await self.refresh()
        return self._shell.utilisation(stop_frac)

    def policy(self, source: str) -> PolicyView | None:
        """The policy in force as the source sees it; None where none is verified and unexpired."""
        return policy_view(self._shell.state.policy, source, self._clock.wall_ns())

    def seen(self, step: Step) -> None:
        """The step is part of what the status tells."""
        for output in step.outputs:
            if isinstance(output, Decision):
                self._decisions.appendleft((step.at_ns, output))
            elif isinstance(output, LockChanged):
                self._reasons[output.scope, output.scope_key, output.code] = output.reason

    def trouble(self, what: str) -> None:
        """Somebody should know; it is shown for a while."""
        self._told.pop(what, None)
        self._told[what] = self._clock.wall_ns()
        if len(self._told) > TROUBLES_KEPT:
            del self._told[next(iter(self._told))]

    def _last_decisions(self) -> Iterable[DecisionStatus]:
        shown = [self._decisions[number] for number in range(min(DECISIONS_SHOWN, len(self._decisions)))]
        self._explained = {
            decision.id: self._explained.get(decision.id) or self._explain(at_ns, decision) for at_ns, decision in shown
        }
        return self._explained.values()

    def _explain(self, at_ns: int, decision: Decision) -> DecisionStatus:
        state = self._shell.state
        why = decision.note
        if state.policy is not None and not decision.repeats:
            currency = state.account.currency
            why = explain(decision, limits_of(state.policy, decision.symbol), at_ns=at_ns, currency=currency).sentence
        return DecisionStatus(
            at_ns,
            decision.id,
            decision.intent_id,
            decision.source,
            decision.symbol,
            decision.side,
            decision.reducing,
            decision.requested_steps,
            decision.granted_steps,
            decision.headline,
            why,
        )


# ---------------------------------------------------------------- who is who


def _has_part(state: State, source: str) -> bool:
    """Whether the policy says anything of the source: what it may do, or that exits are its own. Operators always have."""
    named = source in (OPERATOR, state.account.exit_owner, state.policy.exit_owner if state.policy is not None else "")
    return named or any(source == each for each, _ in state.rights)


def _only_strategy(state: State) -> str:
    strategies = sorted({strategy for _, strategy in state.rights})
    if len(strategies) != 1:
        raise InputInvalid(f"say for which strategy: the policy has {', '.join(strategies) or 'none'}")
    return strategies[0]


# ---------------------------------------------------------------- answers


def answer_of(intent: Intent, handed: Handed) -> Answer:
    """What the step says to the intent; what may open and is not durable yet is not granted yet."""
    decisions = tuple(output for output in handed.step.outputs if isinstance(output, Decision))
    answer = _answer(intent, tuple(each for each in decisions if each.intent_id == intent.id))
    waiting = sum(permit.steps for permit in handed.waiting)
    if not waiting:
        return answer
    note = NOT_DURABLE
    granted = answer.granted_steps - waiting
    headline = answer.headline if granted else Code.UNANSWERED
    return msgspec.structs.replace(answer, granted_steps=granted, headline=headline, note=note)


def _answer(intent: Intent, decisions: tuple[Decision, ...]) -> Answer:
    granted = sum(decision.granted_steps for decision in decisions)
    if not decisions:
        return Answer(intent.id, Code.UNANSWERED, note="the engine has not decided it")
    denied = next((each for each in decisions if not each.allowed), decisions[0])
    headline = Code.ALLOWED if granted else denied.headline
    return Answer(intent.id, headline, granted, decisions, note=denied.note)


def _decided(handed: Handed) -> Handed:
    """
    What came of a rebalance.

    Raises:
        Unanswered: nothing did, for the engine could not process it.
    """
    if not isinstance(handed.step.input, Rebalance):
        raise Unanswered("the engine could not decide it, and has recorded that")
    return handed


REFUSED: Final = (Busy, Unanswered, EngineAway, LedgerError, InputInvalid)
"""Errors that mean no."""


def refusal_code(error: Exception) -> Code:
    """What a no of that kind is called."""
    return Code.BUSY if isinstance(error, Busy) else Code.MALFORMED if isinstance(error, InputInvalid) else Code.UNANSWERED


# ---------------------------------------------------------------- what the engine has not been told


def _same(one: ModeSet, other: ModeSet) -> bool:
    """Whether both say the same of what may open; the reason is for people."""
    return repr(msgspec.structs.replace(one, reason="")) == repr(msgspec.structs.replace(other, reason=""))


def _by_environment(reason: str) -> KillStatus:
    """It gates openings as long as the process lives, and leaves nothing to reset."""
    return KillStatus(active=True, mode=KillMode.REDUCE_ONLY, reason=reason, by="the environment")


def _kill_set(entry: KillStatus) -> KillSet:
    by = "" if entry.by in (SENTINEL, UNREADABLE) else entry.by
    assert entry.mode is not None
    return KillSet(entry.mode, entry.scope, entry.scope_key, entry.reason, by)


# ---------------------------------------------------------------- stops


def stops_of(state: State) -> Mapping[str, str]:
    """Whether each managed position's stop rests at the venue: `working`, `pending` or `missing`."""
    found = {}
    for index in state.open_rows:
        r = state.symbols[index]
        if r.position == 0 or r.owner < 0 or not state.account.stops_at_venue:
            continue
        live = [p for number in r.permits if (p := state.permits.get(number)) is not None and is_stop(p)]
        found[state.names.symbols[index]] = _stop_state(live, abs(r.position))
    return found


def _stop_state(live: list[PermitRow], steps: int) -> str:
    if any(p.state in RESTING and p.steps - p.filled >= steps for p in live):
        return "working"
    return "pending" if live and any(p.state != PermitState.UNKNOWN for p in live) else "missing"
