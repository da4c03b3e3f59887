"""A step that breaks half-way: the engine is away, exits go on, and it comes back with nothing lost."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.core import absorb, apply, engine
from interlock.core.codes import Code, KillMode, PermitState, Scope
from interlock.core.messages import (
    EquityMarked,
    Executed,
    Input,
    Intent,
    KillSet,
    MarketBatch,
    PermitIssued,
    Quarantined,
    Quote,
    Spent,
    Tick,
    VenueError,
)
from interlock.ledger import LedgerBroken, LedgerUnwritable
from interlock.ledger.fold import fold
from interlock.ledger.steps import read_steps
from interlock.service.shell import shell as shells
from interlock.service.shell.gate import EngineAway
from interlock.service.shell.inbox import Priority
from interlock.service.shell.shell import Unanswered, poison
from interlock.testing.bench import picture
from lawkit import bench_under, decision
from shellkit import Rig, go, held_bench, running, until

KILL = KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", "alice")


class Trap:
    """Makes `apply` fail half-way, so many times: the input is absorbed on the state itself, and what follows is not."""

    def __init__(self, patch: pytest.MonkeyPatch, kind: type, times: int = 1) -> None:
        self.left = times
        self.handler: Callable[..., None] | None = absorb._HANDLERS.get(kind)
        self.applying = False
        whole = vars(engine)["apply"]

        def applying(*args: Any) -> None:
            self.applying = True
            try:
                whole(*args)
            finally:
                self.applying = False

        patch.setattr(engine, "apply", applying)
        patch.setitem(absorb._HANDLERS, kind, self.absorb)

    def absorb(self, state: Any, event: Input) -> None:
        if self.handler is not None:
            self.handler(state, event)
        if self.applying and self.left:
            self.left -= 1
            state.account.fence += 1_000
            raise ZeroDivisionError("the trap")


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trap]:
    return lambda kind, times=1: Trap(monkeypatch, kind, times)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shells, "PAUSE_S_MIN", 0.001)
    monkeypatch.setattr(shells, "PAUSE_S_MAX", 0.01)


def assert_recorded_is_believed(rig: Rig, place: Path) -> None:
    """The engine is what its ledger folds to."""
    assert rig.gate.ledger.wait(rig.gate.engine.state.account.seq, 60.0)
    assert picture(fold(place / "ledger").state) == picture(rig.gate.engine.state)


def test_the_engine_comes_back_without_the_half_of_the_step_and_the_input_is_quarantined(
    tmp_path: Path, trap: Callable[..., Trap]
) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            fence = rig.shell.state.account.fence
            trap(VenueError)
            handed = await rig.shell.ask(VenueError("account"))
            assert isinstance(handed.step.input, Quarantined)
            assert handed.step.input.reason == "ZeroDivisionError: the trap"
            assert rig.shell.state.account.fence == fence
            assert [bool(reason) for reason in rig.aways] == [True, False]
            assert "VenueError" in rig.aways[0]
            assert_recorded_is_believed(rig, tmp_path)
            assert len((await rig.shell.ask(rig.open("ETH"))).permits) == 1

    go(story())


def test_while_it_is_away_nothing_opens_and_what_matters_waits(
    tmp_path: Path, trap: Callable[..., Trap], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            (exit_permit,) = (await rig.shell.ask(rig.close())).permits
            (open_permit,) = (await rig.shell.ask(rig.open("ETH"))).permits
            gone = asyncio.Event()

            async def slow(work: Callable[[], object]) -> object:
                await gone.wait()
                return work()

            monkeypatch.setattr(shells, "attempt_on_thread", slow)
            trap(VenueError)
            rig.shell.tell(VenueError("account"))
            rig.shell.tell(rig.open("SOL"))
            await until(lambda: rig.shell.engine_away)
            intent = rig.open()
            assert isinstance(intent, Intent)
            with pytest.raises(EngineAway):
                await rig.shell.ask(intent)
            with pytest.raises(EngineAway):
                rig.shell.dry_run(intent)
            with pytest.raises(EngineAway):
                rig.shell.allowed("bot", "", 0.05)
            rig.shell.tell(intent)
            assert "Intent was not taken" in rig.troubles[-1]
            for permit in (exit_permit, open_permit):
                with pytest.raises(EngineAway):
                    rig.shell.authorize(permit)
            closing = asyncio.create_task(rig.shell.ask(rig.close()))
            killing = asyncio.create_task(rig.shell.ask(KILL))
            with pytest.raises(Unanswered):
                await rig.shell.ask(rig.close(), timeout_s=0.0)
            rig.shell.quotes([Quote("BTC", 99.0, 101.0, 100.0, rig.bench.clock.true_ns + 1)])
            gone.set()
            await killing
            assert len((await closing).permits) == 1
            await until(lambda: len(rig.permits) == 4)
            kinds = [type(event) for event in rig.inputs()]
            assert kinds == [Intent, Intent, Quarantined, Spent, KillSet, Intent, Intent]
            state = rig.shell.state.permits
            used, unused = state.get(exit_permit.id), state.get(open_permit.id)
            assert used is not None
            assert unused is not None
            assert used.state == PermitState.SPENT
            assert unused.state == PermitState.REVOKED
            assert_recorded_is_believed(rig, tmp_path)

    go(story())


def test_an_opening_that_waited_when_the_engine_fell_is_refused(tmp_path: Path, trap: Callable[..., Trap]) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.paused = True
            opening = asyncio.create_task(rig.shell.ask(rig.open()))
            trap(VenueError)
            rig.shell.tell(VenueError("account"))
            await asyncio.sleep(0)
            rig.paused = False
            with pytest.raises(EngineAway):
                await opening
            await until(lambda: rig.aways[-1:] == [""])

    go(story())


def test_no_result_is_lost_and_steps_that_the_disk_had_not_taken_are_kept(
    tmp_path: Path, trap: Callable[..., Trap]
) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.disk.hang()
            (permit,) = (await rig.shell.ask(rig.close())).permits
            rig.shell.authorize(permit)
            trap(VenueError)
            rig.shell.tell(VenueError("account"))
            filled = Executed(permit.id, PermitState.FILLED, permit.steps, 100.0, 0.0, rig.bench.clock.true_ns)
            await rig.shell.ask(filled)
            assert len((await rig.shell.ask(rig.close())).permits) == 1
            row = rig.shell.state.permits.get(permit.id)
            assert row is not None
            assert (row.state, row.filled) == (PermitState.FILLED, permit.steps)
            assert not rig.disk.well
            rig.disk.heal()
            assert_recorded_is_believed(rig, tmp_path)
            seqs = [step.seq for step in read_steps(tmp_path / "ledger")]
            assert seqs == list(range(1, len(seqs) + 1))

    go(story())


def test_opening_permits_that_waited_for_the_disk_leave_after_the_rebuild(
    tmp_path: Path, trap: Callable[..., Trap]
) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            rig.disk.hang()
            asking = asyncio.create_task(rig.shell.ask(rig.open(), timeout_s=60.0))
            await until(rig.inputs)
            trap(VenueError)
            await rig.shell.ask(VenueError("account"))
            assert rig.permits == []
            rig.disk.heal()
            handed = await asking
            assert rig.permits == [*handed.permits]
            assert len(handed.permits) == 1
            rig.shell.authorize(handed.permits[0])

    go(story())


def test_an_exit_that_breaks_its_step_leaves_all_the_same(tmp_path: Path, trap: Callable[..., Trap]) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            trapped = apply._HANDLERS[PermitIssued]
            left = 1

            def breaks(state: Any, output: Any) -> None:
                nonlocal left
                if left and state is rig.gate.engine.state:
                    left -= 1
                    raise KeyError("the trap")
                trapped(state, output)

            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(apply._HANDLERS, PermitIssued, breaks)
                handed = await rig.shell.ask(rig.close())
            assert isinstance(handed.step.input, Quarantined)
            assert [permit.reduce_only for permit in handed.permits] == [True]
            assert rig.permits == [*handed.permits]
            assert_recorded_is_believed(rig, tmp_path)

    go(story())


def test_a_use_of_a_permit_that_breaks_is_known_after_the_rebuild_if_it_reduces(
    tmp_path: Path, trap: Callable[..., Trap]
) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            (exit_permit,) = (await rig.shell.ask(rig.close())).permits
            (open_permit,) = (await rig.shell.ask(rig.open("ETH"))).permits
            trap(Spent)
            with pytest.raises(EngineAway, match="a use of a permit"):
                rig.shell.authorize(open_permit)
            await until(lambda: rig.aways[-1:] == [""])
            trap(Spent)
            with pytest.raises(EngineAway):
                rig.shell.authorize(exit_permit)
            await until(lambda: rig.inputs()[-1:] == [Spent(exit_permit.id, exit_permit.epoch)])
            await until(lambda: not rig.shell.engine_away)
            assert rig.inputs()[2:] == [Spent(exit_permit.id, exit_permit.epoch)]
            rig.shell.authorize(open_permit)
            assert_recorded_is_believed(rig, tmp_path)

    go(story())


def test_an_input_that_breaks_again_as_quarantined_is_told_as_a_bare_fact(
    tmp_path: Path, trap: Callable[..., Trap]
) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            whole = absorb._HANDLERS[Quarantined]

            def needs_no_payload(state: Any, event: Quarantined) -> None:
                whole(state, event)
                if event.payload:
                    raise KeyError("the payload")

            with pytest.MonkeyPatch.context() as patch:
                trap(EquityMarked)
                patch.setitem(absorb._HANDLERS, Quarantined, needs_no_payload)
                handed = await rig.shell.ask(EquityMarked(1.0, 1.0, rig.bench.clock.true_ns))
            assert isinstance(handed.step.input, Quarantined)
            assert handed.step.input.payload == b""
            equity = rig.shell.state.account.venue_equity
            assert equity != equity

    go(story())


def test_an_input_that_cannot_be_recorded_is_told_as_a_bare_fact_and_recorded(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            handed = await rig.shell.ask(rig.open(created_at_ns=10**30))
            told = handed.step.input
            assert isinstance(told, Quarantined)
            assert (told.kind, told.payload, told.symbol) == ("Intent", b"", "BTC")
            assert len((await rig.shell.ask(rig.close())).permits) == 1
            assert_recorded_is_believed(rig, tmp_path)

    go(story())


def test_prices_that_break_a_step_put_what_they_are_of_in_doubt(tmp_path: Path, trap: Callable[..., Trap]) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            trap(MarketBatch)
            rig.shell.quotes([Quote("BTC", 99.0, 101.0, 100.0, rig.bench.clock.true_ns + 1)])
            with pytest.raises(EngineAway):
                await rig.shell.ask(rig.open())
            await until(lambda: rig.aways[-1:] == [""])
            assert decision((await rig.shell.ask(rig.open())).step).headline == Code.MARKET_STALE
            assert len((await rig.shell.ask(rig.close())).permits) == 1

    go(story())


def test_prices_that_are_told_before_what_asked_for_them_break_it_too(tmp_path: Path, trap: Callable[..., Trap]) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            rig.shell.quotes([Quote("ETH", 49.0, 51.0, 50.0, rig.bench.clock.true_ns + 1)])
            trap(MarketBatch)
            intent = rig.open("ETH")
            assert isinstance(intent, Intent)
            with pytest.raises(EngineAway):
                rig.shell.dry_run(intent)
            await until(lambda: rig.aways[-1:] == [""])
            rig.shell.quotes([Quote("SOL", 19.0, 21.0, 20.0, rig.bench.clock.true_ns + 1)])
            trap(MarketBatch)
            with pytest.raises(EngineAway):
                await rig.shell.ask(rig.open("SOL"))
            await until(lambda: rig.aways[-1:] == [""])
            rig.bench.clock.advance(61.0)
            rig.shell.quotes([Quote("SOL", 19.0, 21.0, 20.0, rig.bench.clock.true_ns + 1)])
            trap(MarketBatch)
            handed = await rig.shell.ask(rig.open("SOL"), Priority.OPERATOR)
            assert decision(handed.step).intent_id == "intent-3"

    go(story())


def test_an_engine_that_breaks_again_and_again_stays_away_and_comes_back_when_it_can(
    tmp_path: Path, trap: Callable[..., Trap]
) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            trapped = trap(Tick)
            always = trap(Quarantined, 20)
            rig.shell.tell(Tick())
            await until(lambda: always.left == 0 and not rig.shell.engine_away)
            assert trapped.left == 0
            assert rig.shell._failures == 21
            assert len((await rig.shell.ask(rig.close())).permits) == 1
            rig.bench.clock.advance(61.0)
            trap(Tick)
            rig.shell.tell(Tick())
            await until(lambda: rig.shell._failures == 1 and not rig.shell.engine_away)

    go(story())


@pytest.mark.parametrize("error", [LedgerUnwritable("the disk is gone", "put it back"), OSError(24, "too many files")])
def test_a_disk_that_cannot_be_read_for_a_while_is_read_again(
    tmp_path: Path, trap: Callable[..., Trap], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    left = 3

    def unreadable(directory: Path) -> object:
        nonlocal left
        left -= 1
        if left:
            raise error
        return fold(directory)

    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            monkeypatch.setattr(shells, "fold", unreadable)
            trap(VenueError)
            await rig.shell.ask(VenueError("account"))
            assert left == 0

    go(story())


@pytest.mark.parametrize("error", [LedgerBroken(3, "it is not what was written"), KeyError("a fold that raises")])
def test_a_ledger_that_cannot_be_folded_leaves_the_engine_away_for_good(
    tmp_path: Path, trap: Callable[..., Trap], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(_: Path) -> object:
        raise error

    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            (permit,) = (await rig.shell.ask(rig.close())).permits
            monkeypatch.setattr(shells, "fold", broken)
            trap(VenueError)
            rig.shell.tell(VenueError("account"))
            await until(lambda: "cannot be folded" in rig.shell.engine_away)
            with pytest.raises(EngineAway):
                rig.shell.authorize(permit)
            with pytest.raises(Unanswered):
                await rig.shell.ask(rig.close(), timeout_s=0.01)
            assert "restore" in rig.aways[-1]
            await rig.shell.stop(timeout_s=0.01)
            assert "3 inputs had no turn before the stop" in rig.troubles

    go(story())


def test_steps_that_are_missing_are_not_invented(
    tmp_path: Path, trap: Callable[..., Trap], monkeypatch: pytest.MonkeyPatch
) -> None:
    early = fold

    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            old = early(tmp_path / "ledger")
            await rig.shell.ask(KILL)
            await until(lambda: rig.gate.ledger.durable_seq == rig.gate.ledger.last_seq)
            await rig.shell.ask(VenueError("x"))
            await until(lambda: rig.gate.ledger.durable_seq == rig.gate.ledger.last_seq)
            monkeypatch.setattr(shells, "fold", lambda _: old)
            rig.gate._in_memory.clear()
            trap(VenueError)
            rig.shell.tell(VenueError("account"))
            await until(lambda: "folds to step" in rig.shell.engine_away)

    go(story())


def test_poison_that_has_no_bytes_is_told_without() -> None:
    made = poison(VenueError(10**30), ZeroDivisionError())  # type: ignore[arg-type]
    assert (made.kind, made.payload) == ("VenueError", b"")


def test_control_without_a_rebuild_the_half_of_a_step_stays(tmp_path: Path, trap: Callable[..., Trap]) -> None:
    """What the rebuild is for: the state that a broken step leaves is not what the ledger tells of."""
    bench = held_bench()
    trap(VenueError)
    with pytest.raises(ZeroDivisionError):
        bench.send(VenueError("account"))
    assert picture(bench.folded().state) != picture(bench.engine.state)
