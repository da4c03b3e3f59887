"""
Laws 6 and 7 on the running shell, with a disk that hangs, is full, fails or cannot be written to.

The bounds are structural: an exit is published while the disk still refuses, in the next turn of the shell.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from interlock.core.codes import KillMode, Scope
from interlock.core.messages import SCHEMA, CashFlow, Heartbeat, KillSet, PermitIssued, Quote, Step
from interlock.ledger import LedgerUnwritable, read
from interlock.ledger.fold import fold
from interlock.service.shell import gate as gates
from interlock.service.shell.gate import Handed, PermitVoid
from interlock.testing.bench import picture
from interlock.testing.disk import Disk
from lawkit import bench_under
from shellkit import Rig, go, held_bench, running, until

TURNS_BEFORE_A_REDUCING_PERMIT_LEAVES: Final = 2
"""Of the event loop: in the first the bell rings, in the second the step is made."""
FAULTS: Final = [Disk.hang, Disk.fill_up, Disk.die]
KILL = KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", "alice")


async def turns_until_it_leaves(rig: Rig) -> int:
    """How often the event loop goes round between an exit's arrival and its permit's leaving."""
    before, turns = len(rig.permits), 0
    rig.shell.tell(rig.close())
    while len(rig.permits) == before:
        turns += 1
        await asyncio.sleep(0)
    return turns


@pytest.mark.parametrize("fault", FAULTS)
def test_an_opening_waits_for_the_disk_and_an_exit_does_not(fault: object, tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            durable = rig.gate.ledger.durable_seq
            fault(rig.disk)  # type: ignore[operator]
            handed = await rig.shell.ask(rig.open("ETH"), timeout_s=0.05)
            (waiting,) = handed.waiting
            with pytest.raises(PermitVoid, match="not durable"):
                rig.shell.authorize(waiting)
            assert await turns_until_it_leaves(rig) <= TURNS_BEFORE_A_REDUCING_PERMIT_LEAVES
            (exit_permit,) = rig.permits
            assert exit_permit.reduce_only
            rig.shell.authorize(exit_permit)
            assert rig.gate.ledger.durable_seq == durable
            rig.disk.heal()
            await until(lambda: waiting in rig.permits)
            rig.shell.authorize(waiting)
            assert await rig.shell.stop() is None

    go(story())
    state = fold(tmp_path / "ledger").state
    assert [row.spent for row in state.permits.alive() if not row.reduce_only] == [True]


def test_a_ledger_that_cannot_be_written_to_stops_openings_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:

            def readonly(*_: object) -> int:
                raise PermissionError(30, "Read-only file system")

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(rig.gate.ledger._writer, "commit", readonly)
                handed = await rig.shell.ask(rig.open("ETH"), timeout_s=0.05)
                assert (handed.permits, len(handed.waiting)) == ((), 1)
                assert len((await rig.shell.ask(rig.close())).permits) == 1
                await until(lambda: isinstance(rig.gate.problem, LedgerUnwritable))
                assert len(rig.permits) == 1
            await until(lambda: len(rig.permits) == 2)
            assert await rig.shell.stop() is None

    go(story())


def test_the_disk_is_blocked_in_a_write_while_exits_and_the_kill_switch_work(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.disk.hang()
            await rig.shell.ask(Heartbeat("exit"))
            await until(lambda: rig.disk.wait_for_writer(0.0))
            durable = rig.gate.ledger.durable_seq
            await rig.shell.ask(KILL)
            for _ in range(3):
                assert len((await rig.shell.ask(rig.close())).permits) == 1
            assert rig.gate.ledger.durable_seq == durable
            assert rig.shell.engine_away == ""

    go(story())


def test_when_memory_is_full_too_exits_and_what_has_happened_are_still_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> bytes:
        async with running(tmp_path, held_bench()) as rig:
            monkeypatch.setattr(rig.gate.ledger, "_pending_max", 4)
            rig.disk.hang()
            for _ in range(9):
                await rig.shell.ask(Heartbeat("exit"))
            monkeypatch.setattr(gates, "BACKLOG_MAX", 1)
            with pytest.raises(LedgerUnwritable):
                await rig.shell.ask(Heartbeat("exit"))
            rig.shell.quotes([Quote("ETH", 49.0, 51.0, 50.0, rig.bench.clock.true_ns + 1)])
            with pytest.raises(LedgerUnwritable):
                await rig.shell.ask(rig.open("ETH"))
            rig.shell.tell(Heartbeat("exit"))
            await until(lambda: len(rig.troubles) == 2)
            assert "MarketBatch was refused" in rig.troubles[0]
            assert "Heartbeat was refused" in rig.troubles[1]
            assert len((await rig.shell.ask(rig.close())).permits) == 1
            await rig.shell.ask(CashFlow("deposit", 5.0, id="d"))
            await rig.shell.ask(KILL)
            rig.disk.heal()
            assert await rig.shell.stop() is None
            return picture(rig.shell.state)

    left = go(story())
    assert picture(fold(tmp_path / "ledger").state) == left
    seqs = [record.seq for record in read(tmp_path / "ledger", schema=SCHEMA)]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_backlog_is_written_when_the_disk_is_back_without_anybody_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            monkeypatch.setattr(rig.gate.ledger, "_pending_max", 4)
            rig.disk.hang()
            asking = asyncio.create_task(rig.shell.ask(rig.open("ETH"), timeout_s=60.0))
            for _ in range(50):
                rig.shell.tell(Heartbeat("exit"))
            await until(lambda: len(rig.inputs()) == 51)
            last = rig.shell.state.account.seq
            rig.disk.heal()
            assert len((await asking).permits) == 1
            await until(lambda: rig.gate.ledger.durable_seq >= last)

    go(story())


def test_control_a_shell_that_publishes_openings_at_once_is_found_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            carry_out = rig.shell._carry_out

            def hasty(handed: Handed, keeps: Any = lambda _: False) -> None:
                carry_out(handed, keeps)
                step: Step = handed.step
                rig.published.extend(each for each in step.outputs if isinstance(each, PermitIssued))

            rig.shell._carry_out = hasty  # type: ignore[method-assign]
            rig.disk.hang()
            handed = await rig.shell.ask(rig.open(), timeout_s=0.01)
            assert rig.permits == [*handed.waiting]

    go(story())
