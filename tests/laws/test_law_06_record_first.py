"""
Law 6, record first: no opening permit leaves before its record is durable.

The real gate and the real ledger, on a disk that hangs or fails: an opening permit waits and cannot be spent; when the
disk is back it leaves once, unless a lock, its end or a crash came first.
"""

import asyncio
from pathlib import Path

import pytest

from drillkit import Rig, drilled
from interlock.core.codes import Code, KillMode, Scope
from interlock.core.messages import KillSet, Tick
from interlock.service.shell.gate import Gate, PermitSpent, PermitVoid
from interlock.testing import Bench
from interlock.testing.disk import Disk
from lawkit import bench_under, gate_on_disk, permits


def opening(gate: Gate, bench: Bench, wait_s: float = 0.0):  # type: ignore[no-untyped-def]
    intent = bench.intent("BTC", 1, quantity=1.0)
    return gate.submit(intent, bench.clock.wall_ns, bench.clock.mono_ns, wait_s=wait_s)


@pytest.mark.parametrize("fault", [Disk.hang, Disk.fill_up])
def test_an_opening_permit_waits_for_the_disk(fault: object, tmp_path: Path) -> None:
    bench = bench_under()
    with gate_on_disk(tmp_path, bench) as (gate, disk):
        fault(disk)  # type: ignore[operator]
        handed = opening(gate, bench, wait_s=0.01)
        (waiting,) = handed.waiting
        assert handed.permits == ()
        assert gate.due() == ()
        with pytest.raises(PermitVoid, match="not durable"):
            gate.spend(waiting, bench.clock.wall_ns, bench.clock.mono_ns)
        disk.heal()
        assert gate.ledger.wait(handed.step.seq, 60.0)
        assert gate.due() == (waiting,)
        assert gate.due() == ()
        gate.spend(waiting, bench.clock.wall_ns, bench.clock.mono_ns)
        with pytest.raises(PermitSpent):
            gate.spend(waiting, bench.clock.wall_ns, bench.clock.mono_ns)


def test_an_opening_permit_that_waits_is_revoked_by_a_lock(tmp_path: Path) -> None:
    bench = bench_under()
    with gate_on_disk(tmp_path, bench) as (gate, disk):
        disk.hang()
        (waiting,) = opening(gate, bench).waiting
        gate.submit(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", ""), bench.clock.wall_ns, bench.clock.mono_ns)
        disk.heal()
        assert gate.ledger.wait(gate.engine.state.account.seq, 60.0)
        assert gate.due() == ()
        with pytest.raises(PermitVoid):
            gate.spend(waiting, bench.clock.wall_ns, bench.clock.mono_ns)


def test_an_opening_permit_that_waits_too_long_has_expired(tmp_path: Path) -> None:
    bench = bench_under()
    with gate_on_disk(tmp_path, bench) as (gate, disk):
        disk.hang()
        opening(gate, bench)
        bench.clock.advance(61.0)
        gate.submit(Tick(), bench.clock.wall_ns, bench.clock.mono_ns)
        disk.heal()
        assert gate.ledger.wait(gate.engine.state.account.seq, 60.0)
        assert gate.due() == ()


def test_on_a_good_disk_it_leaves_with_its_record(tmp_path: Path) -> None:
    bench = bench_under()
    with gate_on_disk(tmp_path, bench) as (gate, _):
        handed = opening(gate, bench, wait_s=60.0)
        assert [permit.id for permit in handed.permits] == [permit.id for permit in permits(handed.step)]
        assert gate.ledger.durable_seq >= handed.step.seq


def test_control_a_gate_that_does_not_wait_is_found_out(tmp_path: Path) -> None:
    bench = bench_under()
    with gate_on_disk(tmp_path, bench) as (gate, disk), pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(gate.ledger), "durable_seq", property(lambda ledger: ledger.last_seq))
        disk.hang()
        assert opening(gate, bench).permits != ()


# ---------------------------------------------------------------- the gateway as it runs


@pytest.mark.parametrize("fault", [Disk.hang, Disk.fill_up])
def test_no_opening_order_arrives_before_its_record_is_durable(fault: object, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        fault(rig.disk)  # type: ignore[operator]
        opening = asyncio.create_task(rig.gateway.submit(rig.intent("BTC", 1, notional=500.0), hand_over=False))
        await rig.until(lambda: rig.state.permits.live, "a permit waits for the disk")
        await asyncio.sleep(0.3)
        assert rig.venue.arrivals == []
        rig.disk.heal()
        assert (await opening).headline == Code.ALLOWED
        await rig.until(lambda: rig.venue.arrivals, "the order has left")

    drilled(tmp_path, play)
