"""
Law 7, audit loss never traps: with a ledger that fails, hangs or is full, reducing permits leave and are recorded later.

The bound is structural: `DISK_CALLS_BEFORE_A_REDUCING_PERMIT` is 0. The disk is still blocked when the permit is in hand,
so nothing on the way to it can have waited for the disk.
"""

from pathlib import Path
from typing import Final

import pytest

from drillkit import Rig, drilled
from interlock.core.codes import KillMode, Scope
from interlock.core.messages import SCHEMA, Input, KillSet, Tick
from interlock.ledger import LedgerUnwritable, read
from interlock.ledger.fold import fold
from interlock.service.shell import gate as gates
from interlock.service.shell.gate import Gate, Handed
from interlock.testing import Bench
from interlock.testing.disk import Disk
from lawkit import bench_under, gate_on_disk, hold

DISK_CALLS_BEFORE_A_REDUCING_PERMIT: Final = 0
PENDING_MAX: Final = 8


def submit(gate: Gate, bench: Bench, event: Input) -> Handed:
    return gate.submit(event, bench.clock.wall_ns, bench.clock.mono_ns)


def close(gate: Gate, bench: Bench) -> Handed:
    return submit(gate, bench, bench.intent("BTC", -1, quantity=1.0, source="operator", reduce_only=True))


@pytest.mark.parametrize("fault", [Disk.hang, Disk.fill_up, Disk.die])
def test_a_reducing_permit_does_not_wait_for_the_disk(fault: object, tmp_path: Path) -> None:
    bench = bench_under()
    hold(bench)
    with gate_on_disk(tmp_path, bench) as (gate, disk):
        before = gate.ledger.durable_seq
        fault(disk)  # type: ignore[operator]
        permits = [close(gate, bench).permits for _ in range(3)]
        assert [len(each) for each in permits] == [1, 1, 1]
        for (permit,) in permits:
            gate.spend(permit, bench.clock.wall_ns, bench.clock.mono_ns)
        assert gate.ledger.durable_seq - before == DISK_CALLS_BEFORE_A_REDUCING_PERMIT
        disk.heal()
        assert gate.ledger.wait(gate.engine.state.account.seq, 60.0)
        gate.close()
    assert fold(tmp_path / "ledger").state.permits.get(permits[0][0].id) is not None


def test_the_disk_is_blocked_in_a_write_while_the_permit_is_handed_out(tmp_path: Path) -> None:
    bench = bench_under()
    hold(bench)
    with gate_on_disk(tmp_path, bench) as (gate, disk):
        before = gate.ledger.durable_seq
        disk.hang()
        submit(gate, bench, Tick())
        assert disk.wait_for_writer(60.0)
        assert len(close(gate, bench).permits) == 1
        assert gate.ledger.durable_seq == before


def test_closes_leave_when_ledger_and_memory_are_full(tmp_path: Path) -> None:
    bench = bench_under()
    hold(bench)
    with gate_on_disk(tmp_path, bench) as (gate, disk), pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "BACKLOG_MAX", 5)
        patch.setattr(gate.ledger, "_pending_max", PENDING_MAX)
        disk.hang()
        for _ in range(PENDING_MAX + 5):
            submit(gate, bench, Tick())
        with pytest.raises(LedgerUnwritable):
            submit(gate, bench, Tick())
        assert len(close(gate, bench).permits) == 1
        with pytest.raises(LedgerUnwritable):
            submit(gate, bench, Tick())
        disk.heal()
        assert gate.ledger.wait(gate.ledger.last_seq, 60.0)
        submit(gate, bench, Tick())
        gate.close()
    assert fold(tmp_path / "ledger").state.account.seq == gate.engine.state.account.seq


def test_the_kill_switch_works_when_ledger_and_memory_are_full(tmp_path: Path) -> None:
    bench = bench_under()
    hold(bench)
    with gate_on_disk(tmp_path, bench) as (gate, disk), pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "BACKLOG_MAX", 0)
        disk.hang()
        for mode in (KillMode.REDUCE_ONLY, KillMode.FLATTEN):
            submit(gate, bench, KillSet(mode, Scope.ACCOUNT, "", "", "alice"))
        assert gate.engine.trading_state > 0


def test_a_snapshot_that_finds_no_room_loses_no_permit(tmp_path: Path) -> None:
    bench = bench_under()
    hold(bench)
    with gate_on_disk(tmp_path, bench) as (gate, disk), pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_snapshot_every", 1)
        patch.setattr(gate.ledger, "_pending_max", 1)
        disk.hang()
        assert len(close(gate, bench).permits) == 1


def test_everything_that_waited_is_recorded_in_order(tmp_path: Path) -> None:
    bench = bench_under()
    hold(bench)
    with gate_on_disk(tmp_path, bench, pending_max=512) as (gate, disk):
        disk.hang()
        for _ in range(600):
            submit(gate, bench, Tick())
        close(gate, bench)
        last = gate.engine.state.account.seq
        disk.heal()
        while gate.ledger.last_seq < last:
            assert gate.ledger.wait(gate.ledger.last_seq, 60.0)
            gate.due()
        assert gate.ledger.wait(last, 60.0)
        gate.close()
    assert [record.seq for record in read(tmp_path / "ledger", schema=SCHEMA)] == list(range(1, last + 1))


def test_control_a_gate_that_writes_first_is_found_out(tmp_path: Path) -> None:
    bench = bench_under()
    hold(bench)
    with gate_on_disk(tmp_path, bench) as (gate, disk), pytest.MonkeyPatch.context() as patch:
        record = gate._record

        def writes_first(step: object) -> None:
            record(step)  # type: ignore[arg-type]
            if not gate.ledger.wait(gate.ledger.last_seq, 0.2):
                raise TimeoutError

        patch.setattr(gate, "_record", writes_first)
        disk.hang()
        with pytest.raises(TimeoutError):
            close(gate, bench)


# ---------------------------------------------------------------- the gateway as it runs


@pytest.mark.parametrize("fault", [Disk.hang, Disk.fill_up, Disk.die])
def test_a_close_arrives_before_anything_of_it_is_recorded(fault: object, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        fault(rig.disk)  # type: ignore[operator]
        ledger = rig.gateway._shell._gate.ledger
        await rig.until(lambda: rig.disk.wait_for_writer(0.0) or ledger.problem, "a write has met the fault")
        before = rig.durable_seq()
        assert (await rig.gateway.submit(rig.closing("BTC"), hand_over=False)).allowed
        await rig.until(lambda: "BTC" not in rig.truth(), "the close has arrived and filled")
        assert rig.durable_seq() - before <= DISK_CALLS_BEFORE_A_REDUCING_PERMIT
        rig.disk.heal()

    drilled(tmp_path, play)
