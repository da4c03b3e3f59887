"""A small desk over a real engine, behind the real socket: in a thread of the test, or in a process of its own."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from time import monotonic, sleep

import msgspec

from cli_story import START_NS, at_s, engine
from interlock.core.codes import AccountKind, Code, Scope
from interlock.core.decide import decide
from interlock.core.engine import Engine
from interlock.core.envelope import Envelope, envelope
from interlock.core.errors import InputInvalid
from interlock.core.exits.explain import exit_owner, explain_exits
from interlock.core.messages import (
    Adopted,
    BarClosed,
    Cancel,
    Decision,
    Executed,
    Heartbeat,
    Intent,
    KillReset,
    KillSet,
    LockReleased,
    MarketState,
    Output,
    OwnerSet,
    PermitIssued,
    Rebalance,
    Rebased,
)
from interlock.core.utilisation import Utilisation, utilisation
from interlock.service.api import (
    Answer,
    Cancelled,
    DecisionStatus,
    Exits,
    FloorStatus,
    KillStatus,
    LimitStatus,
    LockStatus,
    PositionStatus,
    Rebalanced,
    Status,
)
from interlock.service.desk.control import ControlServer
from interlock.service.desk.desk import PolicyView, Started, policy_view
from interlock.service.desk.rebalance import cancelled, orders_of, rebalanced
from interlock.service.desk.sources import SourceKeys

KEYS = {"bot": b"b" * 32, "operator": b"o" * 32, "rival": b"r" * 32}


def make_home(path: Path) -> Path:
    """A state directory with a key for each source."""
    sources = path / "keys" / "sources"
    sources.mkdir(mode=0o700, parents=True)
    (path / "kill").mkdir(mode=0o700)
    for source, key in KEYS.items():
        (sources / f"{source}.key").write_bytes(key + b"\n")
        (sources / f"{source}.key").chmod(0o600)
    return path


class SmallDesk:
    """An engine in memory whose clock stands still; `hold` makes it busy until it is set."""

    def __init__(self) -> None:
        self.engine: Engine = engine()
        self.submitted: list[Intent] = []
        self.rebalances: list[Rebalance] = []
        self.reported: list[tuple[str, Executed]] = []
        self.acts: list[object] = []
        self.heard: list[tuple[str, MarketState | BarClosed]] = []
        self.held: asyncio.Event | None = None
        self.killed: dict[tuple[Scope, str], KillStatus] = {}
        self.breaker: tuple[LockStatus, ...] = ()

    async def submit(self, intent: Intent, hand_over: bool) -> Answer:
        self.submitted.append(intent)
        if self.held is not None:
            await self.held.wait()
        return _answer(intent, self.engine.step(intent, at_s(1)).outputs, hand_over=hand_over)

    async def dry_run(self, intent: Intent) -> Answer:
        return _answer(intent, decide(self.engine.state, at_s(1), at_s(1), intent), hand_over=False)

    async def rebalance(self, rebalance: Rebalance) -> Rebalanced:
        self.rebalances.append(rebalance)
        if self.held is not None:
            await self.held.wait()
        step = self.engine.step(_made_now(rebalance), at_s(1))
        return rebalanced(self.engine.state, rebalance, step.outputs)

    async def dry_run_rebalance(self, rebalance: Rebalance) -> Rebalanced:
        outputs = decide(self.engine.state, at_s(1), at_s(1), _made_now(rebalance))
        return rebalanced(self.engine.state, rebalance, outputs)

    async def cancel(self, source: str, name: str) -> Cancelled:
        orders = orders_of(self.engine.state, name)
        steps = [self.engine.step(Cancel(f"cancel:{name}", source, p.id), at_s(1)) for p in orders]
        return cancelled(name, orders, [output for step in steps for output in step.outputs], ())

    async def report(self, source: str, executed: Executed) -> None:
        self.reported.append((source, executed))
        self.engine.step(executed, at_s(1))

    async def heartbeat(self, source: str) -> None:
        self.engine.step(Heartbeat(source), at_s(1))
        self.acts.append(("heartbeat", source))

    async def kill(self, kill: KillSet) -> KillStatus:
        self.acts.append(kill)
        self.engine.step(kill, at_s(1))
        status = KillStatus(True, kill.mode, kill.scope, kill.scope_key, kill.reason, kill.by, START_NS)
        return self.killed.setdefault((kill.scope, kill.scope_key), status)

    async def reset(self, reset: KillReset) -> KillStatus:
        self.acts.append(reset)
        self.engine.step(reset, at_s(1))
        self.killed.pop((reset.scope, reset.scope_key), None)
        return KillStatus(False, scope=reset.scope, scope_key=reset.scope_key, by=reset.by)

    async def release(self, release: LockReleased) -> None:
        self.acts.append(release)
        self.engine.step(release, at_s(1))

    async def flatten(self, symbol: str | None, reason: str, by: str) -> Started:
        self.acts.append(("flatten", symbol, reason, by))
        return Started((symbol,) if symbol else ("GOLD", "EURO"))

    async def close(self, symbol: str, by: str, reason: str) -> Started:
        if symbol not in self.engine.state.names.symbol_index:
            raise InputInvalid(f"symbol {symbol!r} is not known")
        self.acts.append(("close", symbol, by, reason))
        return Started((symbol,))

    async def adopt(self, adopted: Adopted) -> None:
        self.engine.step(adopted, at_s(1))

    async def name_owner(self, named: OwnerSet) -> None:
        self.acts.append(named)
        self.engine.step(named, at_s(1))

    async def hear(self, source: str, event: MarketState | BarClosed) -> None:
        self.heard.append((source, event))
        self.engine.step(event, at_s(1))

    def exits(self) -> Exits:
        state = self.engine.state
        return Exits(at_s(1), exit_owner(state, at_s(1)), explain_exits(state, at_s(1)))

    async def allowed(self, source: str, symbol: str, stop_frac: float) -> Envelope:
        return envelope(self.engine.state, at_s(1), at_s(1), source, symbol=symbol, stop_frac=stop_frac)

    async def utilisation(self, stop_frac: float) -> Utilisation:
        return utilisation(self.engine.state, at_s(1), at_s(1), stop_frac=stop_frac)

    async def rebase(self, by: str, reason: str) -> None:
        self.acts.append(Rebased(by, reason))

    def policy(self, source: str) -> PolicyView | None:
        return policy_view(self.engine.state.policy, source, START_NS)

    def status(self) -> Status:
        limits = (
            LimitStatus(Code.SYMBOL_EXPOSURE, "symbol_exposure_frac_max", "GOLD", 1200.0, 2500.0, "USD"),
            LimitStatus(Code.STRATEGY_EXPOSURE, "strategy_exposure_frac_max", "trend", 1200.0, 5000.0, "USD"),
            LimitStatus(Code.TOTAL_EXPOSURE, "total_exposure_frac_max", "", 1200.0, 10_000.0, "USD"),
            LimitStatus(Code.NET_EXPOSURE, "net_exposure_frac_max", "", float("nan"), 10_000.0, "USD"),
            LimitStatus(Code.CONCURRENT_POSITIONS, "position_count_max", "", 1.0, 5.0, "count"),
        )
        position = PositionStatus("GOLD", "trend", 1, 0.6, 2000.0, 2010.0, 6.0, 1900.0, "working", False)
        decision = DecisionStatus(
            START_NS, 1, "i1", "bot", "GOLD", 1, False, 60, 60, Code.ALLOWED, "ALLOWED: all 1,200.00 USD asked for"
        )
        return Status(
            at_ns=START_NS,
            account="story",
            kind=AccountKind.PAPER,
            environment="testnet",
            venue="paper",
            trading_state=self.engine.trading_state,
            equity=10_006.0,
            equity_venue=10_006.0,
            kill=tuple(self.killed.values()),
            breaker=self.breaker,
            locks=self.breaker,
            limits=limits,
            floors=(FloorStatus(Code.DAILY_LOSS, 9_750.0, 10_006.0),),
            positions=(position,),
            decisions=(decision,),
            conditions=(("mode live", True, "runtime.toml"), ("armed", False, "runtime.toml")),
            policy_id="story",
            policy_digest="d" * 64,
            policy_until_ns=at_s(86_400),
            troubles=("no stop is set for EURO",),
        )


def _made_now(rebalance: Rebalance) -> Rebalance:
    """As of the desk's clock, which stands still."""
    return msgspec.structs.replace(rebalance, created_at_ns=at_s(1))


def _answer(intent: Intent, outputs: tuple[Output, ...], *, hand_over: bool) -> Answer:
    decisions = tuple(each for each in outputs if isinstance(each, Decision))
    permits = tuple(each for each in outputs if isinstance(each, PermitIssued)) if hand_over else ()
    granted = sum(decision.granted_steps for decision in decisions)
    return Answer(intent.id, decisions[0].headline, granted, decisions, permits)


@dataclass
class Running:
    """A desk behind the socket of a home, in a thread; `troubles` is what a person was told."""

    home: Path
    desk: SmallDesk
    server: ControlServer
    loop: asyncio.AbstractEventLoop
    troubles: list[str]

    @property
    def socket(self) -> Path:
        return self.home / "control.sock"

    def hold(self) -> None:
        """The desk takes intents and does not come to an answer."""

        async def _hold() -> None:
            self.desk.held = asyncio.Event()

        asyncio.run_coroutine_threadsafe(_hold(), self.loop).result(5.0)

    def has_heard(self, intents: int) -> None:
        """So many intents have reached the desk."""
        until_s = monotonic() + 60.0
        while len(self.desk.submitted) < intents:
            assert monotonic() < until_s, "an intent never reached the desk"
            sleep(0.005)

    def let_go(self) -> None:
        """Held intents are answered."""
        held = self.desk.held
        assert held is not None
        self.desk.held = None
        self.loop.call_soon_threadsafe(held.set)


@contextmanager
def running(home: Path, desk: SmallDesk | None = None) -> Iterator[Running]:
    """The desk answers at the home's socket while the block lasts."""
    ready: Queue[tuple[Running, asyncio.Event]] = Queue()

    async def serve() -> None:
        mine, troubles, ended = desk or SmallDesk(), list[str](), asyncio.Event()
        keys, path = SourceKeys(home / "keys" / "sources"), home / "control.sock"
        async with ControlServer(
            mine, keys, path, account="story", environment="testnet", trouble=troubles.append
        ) as server:
            ready.put((Running(home, mine, server, asyncio.get_running_loop(), troubles), ended))
            await ended.wait()

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    gateway, ended = ready.get(timeout=60.0)
    try:
        yield gateway
    finally:
        gateway.loop.call_soon_threadsafe(ended.set)
        thread.join(20.0)


def main(home: Path) -> None:
    """A process that answers at the home's socket until it is killed; an intent named `wait` is never answered."""
    desk = SmallDesk()
    submit = desk.submit

    async def submit_unless_told(intent: Intent, hand_over: bool) -> Answer:
        if intent.id == "wait":
            print("waiting", flush=True)
            await asyncio.Event().wait()
        return await submit(intent, hand_over)

    desk.submit = submit_unless_told  # type: ignore[method-assign]

    async def serve() -> None:
        keys = SourceKeys(home / "keys" / "sources")
        path = home / "control.sock"
        async with ControlServer(desk, keys, path, account="story", environment="testnet", trouble=print):
            print("ready", flush=True)
            await asyncio.Event().wait()

    asyncio.run(serve())


def replaced(intent: Intent, **changes: object) -> Intent:
    """The intent with other fields."""
    return msgspec.structs.replace(intent, **changes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
