"""
Law 2, never trapped, over every state that a history can reach: whatever is locked, missing, silent or unknown.

After every event, whoever is entitled could close what is held: the operator and the emergency all of it, everybody else
what no live close is closing already. A disk that takes nothing any more changes nothing of it.
"""

import tempfile
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from interlock.core import legs
from interlock.core.agenda import Agenda
from interlock.core.authority import IMPATIENT
from interlock.core.codes import CloseAction, Code, ExitMode, KillMode, PermitState, Scope
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.decide import decide
from interlock.core.limits import NO_LIMITS
from interlock.core.messages import (
    ClockChecked,
    Decision,
    EquityMarked,
    Heartbeat,
    Input,
    InstrumentSet,
    Intent,
    KillReset,
    KillSet,
    LockSet,
    MarketBatch,
    MarketState,
    ModeSet,
    Output,
    OwnerSet,
    PermitIssued,
    Quarantined,
    Quote,
    Tick,
    VenueError,
)
from interlock.core.state import State, SymbolRow, is_stop
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.builders import START_NS
from interlock.testing.disk import Disk
from interlock.testing.wayout import EXITS
from lawkit import gate_on_disk, hold

HELD = 50_000
PATIENCE_NS = 5 * NS_PER_S
SOURCES = ("operator", "emergency", "reconciler", "exit", "bot", "rival", "stranger")
SCOPES = ((Scope.ACCOUNT, ""), (Scope.STRATEGY, "trend"), (Scope.SYMBOL, "BTC"))
KINDS = ("MarketBatch", "MarketState", "CashFlow", "EquityMarked", "PositionsReported", "Heartbeat")


class Anything(RuleBasedStateMachine):
    """Five BTC are held, bought or sold by "bot", and everything happens to them but a freeze and their end."""

    @initialize(
        side=st.sampled_from((1, -1)),
        exits=st.sampled_from((("any", ExitMode.BUILTIN), *(("exit", mode) for mode in ExitMode))),
        stops=st.booleans(),
    )
    def begin(self, side: int, exits: tuple[str, ExitMode], *, stops: bool) -> None:
        self.side = side
        changes = {"exits.owner": exits[0], "exits.mode": exits[1].value}
        policy = make_policy("layered@1", toml=EXITS["A"], changes=changes)
        self.policy = policy.compile(START_NS)
        self.bench = open_bench(policy=policy, stops_at_venue=stops)
        self.bench.send(Heartbeat("exit"))
        hold(self.bench, "BTC", side)

    # ------------------------------------------------------------ what happens

    @rule(scope=st.sampled_from(SCOPES), mode=st.sampled_from((KillMode.REDUCE_ONLY, KillMode.FLATTEN)), by=st.booleans())
    def killed(self, scope: tuple[Scope, str], mode: KillMode, *, by: bool) -> None:
        self.bench.send(KillSet(mode, *scope, "", "alice" if by else ""))

    @rule(scope=st.sampled_from(SCOPES))
    def reset(self, scope: tuple[Scope, str]) -> None:
        self.bench.send(KillReset(*scope, "alice"))

    @rule(scope=st.sampled_from(SCOPES), side=st.sampled_from((-1, 0, 1)))
    def locked(self, scope: tuple[Scope, str], side: int) -> None:
        self.bench.send(LockSet(*scope, side, OPERATOR_NS, "", "alice"))

    @rule(factor=st.sampled_from((nan, -1.0, 0.0, 0.5, 0.97, 1.02, 10.0, inf)))
    def priced(self, factor: float) -> None:
        mark = 100.0 * factor
        self.bench.send(MarketBatch((Quote("BTC", mark * 0.999, mark * 1.001, mark, self.bench.clock.true_ns),)))

    @rule(equity=st.sampled_from((nan, 0.0, -1.0, 100.0, 1e9, inf)))
    def valued(self, equity: float) -> None:
        self.bench.send(EquityMarked(equity, equity, self.bench.clock.true_ns))

    @rule(label=st.sampled_from(("CHOP", "", "MOON")), number=st.sampled_from((nan, 0.0, -1.0, inf, 0.02)))
    def market_turns(self, label: str, number: float) -> None:
        odds = {"p_trend": 0.1, "p_base": 0.1, "p_chop": 0.8}
        state = MarketState("BTC", self.bench.clock.true_ns, number, number, number, label=label, **odds)
        self.bench.send(state)

    @rule(kind=st.sampled_from(KINDS), symbol=st.sampled_from(("", "BTC")))
    def unreadable(self, kind: str, symbol: str) -> None:
        self.bench.send(Quarantined(kind, "", b"", symbol))

    @rule(seconds=st.sampled_from((0.1, 3.0, 6.0, 31.0, 61.0, 100_000.0)))
    def silent(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)
        self.bench.send(Tick())

    @rule(seconds=st.sampled_from((-7_200.0, -2.0, 2.0, 7_200.0)))
    def clock_steps(self, seconds: float) -> None:
        self.bench.clock.jump(seconds)
        self.bench.send(ClockChecked(self.bench.clock.true_ns))

    @rule(reducing=st.booleans())
    def venue_fails(self, *, reducing: bool) -> None:
        for _ in range(3):
            self.bench.send(VenueError("timeout", reducing=reducing))

    @rule()
    def rates_run_out(self) -> None:
        for _ in range(12):
            self.bench.send(self.bench.intent("ETH", 1, quantity=0.1))

    @rule(broken=st.sampled_from(("none", "empty", "ended", "universe", "good")))
    def policy_changes(self, broken: str) -> None:
        nothing = msgspec.structs.replace(self.policy, limits=(NO_LIMITS,) * len(self.policy.limits))
        changed: dict[str, Input] = {
            "none": msgspec.structs.replace(nothing, verified=False),
            "empty": nothing,
            "ended": msgspec.structs.replace(self.policy, valid_until_ns=1),
            "universe": msgspec.structs.replace(nothing, universe=()),
            "good": self.policy,
        }
        self.bench.send(changed[broken])

    @rule(armed=st.sampled_from((0.0, 1.0, nan)))
    def mode_changes(self, armed: float) -> None:
        self.bench.send(ModeSet(armed, nan, 1.0 - armed))

    @rule(tradable=st.sampled_from((0.0, 1.0, nan)))
    def instrument_changes(self, tradable: float) -> None:
        self.bench.send(InstrumentSet(self.bench.book.instruments["BTC"], tradable))

    @rule(owner=st.sampled_from(("any", "exit", "nobody")))
    def owner_named(self, owner: str) -> None:
        self.bench.send(OwnerSet(owner, "alice"))

    @rule(beats=st.integers(1, 5))
    def owner_is_heard(self, beats: int) -> None:
        for _ in range(beats):
            self.bench.clock.advance(15.0)
            self.bench.send(Heartbeat("exit"))

    @rule(source=st.sampled_from(SOURCES), part=st.floats(0.1, 2.0))
    def close_asked(self, source: str, part: float) -> None:
        self.bench.send(self.probe(source, quantity=5.0 * part))

    @rule(
        source=st.sampled_from(SOURCES),
        rung=st.sampled_from(("tp1", "partial_50", "kill", "own")),
        close=st.sampled_from(tuple(CloseAction)),
    )
    def exit_proposed(self, source: str, rung: str, close: CloseAction) -> None:
        self.bench.send(self.probe(source, rung=rung, close=close, stop_price=100.0 - self.side))

    @rule(state=st.sampled_from((PermitState.UNKNOWN, PermitState.REJECTED, PermitState.WORKING)), which=st.integers(0, 4))
    def order_comes_to(self, state: PermitState, which: int) -> None:
        for p in self.bench.engine.state.permits.alive()[which : which + 1]:
            if p.reduce_only:
                self.bench.result(p.id, state, 0, benign=True)

    @rule()
    def result_unreadable(self) -> None:
        self.bench.send(Quarantined("Executed", "", b"", "BTC"))

    @rule()
    def restarted(self) -> None:
        assert self.bench.folded().state.account.seq == self.bench.engine.state.account.seq

    # ------------------------------------------------------------ what holds

    def probe(self, source: str, **changes: Any) -> Intent:
        return self.bench.intent("BTC", -self.side, source=source, **{"quantity": 5.0, "reduce_only": True, **changes})

    @invariant()
    def nobody_is_trapped(self) -> None:
        for source in SOURCES:
            assert trapped(self.bench, self.probe(source), source) == ""

    def teardown(self) -> None:
        if hasattr(self, "policy"):
            with tempfile.TemporaryDirectory() as place, gate_on_disk(Path(place), self.bench) as (gate, disk):
                assert trapped_by_a_disk(gate, disk, self.probe("operator"), self.bench) == ""


def trapped(bench: Bench, probe: Intent, source: str) -> str:
    """Why the source could not close what is held, though it is entitled; or why it could, though it is not."""
    state = bench.engine.state
    r = state.symbols[state.names.symbol_index["BTC"]]
    assert abs(r.position) == HELD
    outputs = decide(state, bench.clock.wall_ns, bench.clock.mono_ns, probe)
    (answer,) = (each for each in outputs if isinstance(each, Decision) and each.intent_id == probe.id)
    if not entitled(state, r, source, bench.clock.wall_ns):
        denied = answer.headline in (Code.NOT_EXIT_OWNER, Code.NOTHING_TO_REDUCE) and answer.granted_steps == 0
        return "" if denied else f"{source} was answered {answer.headline}"
    left = HELD if source in IMPATIENT else HELD - closing(state, r, outputs)
    if left > 0 and answer.granted_steps < left:
        return f"{source} was answered {answer.headline}: {answer.granted_steps} of {left} steps"
    if left <= 0 and answer.headline not in (Code.NOTHING_TO_REDUCE, Code.ALLOWED):
        return f"{source} was answered {answer.headline}"
    permits = [each for each in outputs if isinstance(each, PermitIssued) and each.intent_id == probe.id]
    return "" if all(each.reduce_only and each.expires_ns == 0 for each in permits) else f"{permits}"


def entitled(state: State, r: SymbolRow, source: str, wall_ns: int) -> bool:
    """Whether the source may close, by the words of the rules alone."""
    a = state.account
    if source in ("operator", "emergency", "reconciler"):
        return True
    if a.exit_owner == source:
        return not a.exit_deposed
    now_ns = decide_time(state, wall_ns)
    limit_s = state.account_limits().controller_age_s_max
    heard = a.heartbeat_ns > 0 and now_ns - a.heartbeat_ns <= limit_s * NS_PER_S
    if a.exit_owner != "any" and not a.exit_deposed and heard:
        return False
    return source == "bot" or (source == "exit" and ("exit", "trend") in state.rights)


def decide_time(state: State, wall_ns: int) -> int:
    """Core time as the next step has it: between steps of a bench no time passes."""
    return state.account.now_ns or wall_ns


def closing(state: State, r: SymbolRow, outputs: tuple[Output, ...]) -> int:
    """Steps that live closes, and those of the same step, are closing: younger than the patience, and no stops."""
    a = state.account
    alive = (p for number in r.permits if (p := state.permits.get(number)) is not None)
    orders = [p for p in alive if p.reduce_only and not is_stop(p)]
    young = [p for p in orders if 0 <= a.now_ns - max(p.issued_ns, p.working_ns) <= PATIENCE_NS]
    return sum(p.steps - p.filled for p in young)


def trapped_by_a_disk(gate: Any, disk: Disk, probe: Intent, bench: Bench) -> str:
    """Why an operator's close could not leave a gate whose disk takes nothing."""
    disk.fill_up()
    handed = gate.submit(probe, bench.clock.wall_ns, bench.clock.mono_ns)
    left = [each.steps for each in handed.permits if each.intent_id == probe.id]
    return "" if left == [HELD] else f"{left} of {HELD} steps left"


def look(examples: int, steps: int) -> None:
    """So many histories of so many events have happened, without a search for the shortest that fails."""
    found = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        phases=(Phase.generate,),
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Anything, settings=found)


def test_nobody_entitled_is_ever_trapped() -> None:
    look(60, 20)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nobody_entitled_is_ever_trapped_for_long() -> None:
    look(500, 40)


def vetoed(condition: Callable[[State, int], bool]) -> Callable[..., None]:
    """A gate that asks something of a close that is no business of its."""
    reducing = legs.decide_reducing

    def decides(agenda: Agenda, intent: Intent, index: int, *rest: Any) -> None:
        if condition(agenda.state, index):
            legs.deny(agenda, intent, Code.MARKET_STALE, reducing=True)
        else:
            reducing(agenda, intent, index, *rest)

    return decides


@pytest.mark.parametrize(
    "condition",
    [
        lambda state, index: state.symbols[index].doubt != 0.0,
        lambda state, index: state.account.lock_mask != 0,
        lambda state, index: state.account.policy_verified != 1.0,
        lambda state, index: state.account.unknown_permits > 0,
        lambda state, index: state.account.exit_deposed,
    ],
)
def test_control_a_gate_that_asks_more_is_found_out(
    condition: Callable[[State, int], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legs, "decide_reducing", vetoed(condition))
    with pytest.raises(AssertionError, match=r"MARKET_STALE|steps left"):
        look(200, 20)
