"""
Law 8, once: an opening permit is spent at most once, and no result of a reducing order flips a position unnoticed.

Here as far as one process goes: through the gate, across repeats, ends, locks and restarts.
"""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drillkit import Rig, drilled
from interlock.adapters.bus import PERMITS
from interlock.core.codes import AccountKind, KillMode, PermitState, Scope
from interlock.core.messages import AccountOpened, Executed, Input, KillSet, OrderAt, OrdersReported, PermitIssued, Tick
from interlock.service.shell.gate import Gate, PermitSpent, PermitVoid
from interlock.testing import Bench
from lawkit import bench_under, gate_on_disk, hold, permits

EVENTS = ("spend", "result", "time", "lock", "restart")


def spent(gate: Gate, bench: Bench, permit: PermitIssued) -> int:
    """1 when the permit could be spent now, 0 when it was refused by name."""
    try:
        gate.spend(permit, bench.clock.wall_ns, bench.clock.mono_ns)
    except (PermitSpent, PermitVoid):
        return 0
    return 1


@settings(max_examples=25)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=8), reducing=st.booleans())
def test_a_permit_is_spent_at_most_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[str], reducing: bool
) -> None:
    bench = bench_under()
    hold(bench)
    with gate_on_disk(tmp_path_factory.mktemp("law"), bench) as (gate, _):
        side = -1 if reducing else 1
        intent = bench.intent("BTC", side, quantity=1.0, reduce_only=reducing)
        handed = gate.submit(intent, bench.clock.wall_ns, bench.clock.mono_ns, wait_s=60.0)
        (permit,) = handed.permits
        count = 0
        for event in (*events, "spend", "spend"):
            count += spent(gate, bench, permit) if event == "spend" else happens(gate, bench, event, permit)
        assert count <= 1


def happens(gate: Gate, bench: Bench, event: str, permit: PermitIssued) -> int:
    bench.clock.advance(7.0)
    epoch = gate.engine.state.account.epoch
    now_ns = bench.clock.true_ns
    events: dict[str, Input] = {
        "result": Executed(permit.id, PermitState.REJECTED, 0, 0.0, 0.0, now_ns),
        "time": Tick(),
        "lock": KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", ""),
        "restart": AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0, epoch=epoch + 1),
    }
    gate.submit(events[event], bench.clock.wall_ns, bench.clock.mono_ns)
    return 0


@pytest.mark.parametrize("said", ["again", "otherwise", "otherwise twice"])
def test_an_intent_never_has_two_live_permits(said: str) -> None:
    bench = bench_under()
    intent = bench.intent("BTC", 1, quantity=1.0)
    other = bench.intent("BTC", 1, quantity=2.0, id=intent.id)
    assert len(permits(bench.send(intent))) == 1
    for each in {"again": (intent,), "otherwise": (other,), "otherwise twice": (other, other)}[said]:
        assert permits(bench.send(each)) == []
    assert len(bench.engine.state.permits.live) == 1


def test_ids_of_an_earlier_process_are_never_used_again() -> None:
    bench = bench_under()
    hold(bench)
    bench.send(KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "", "alice"))
    bench.clock.advance(100.0)
    step = bench.send(AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0, epoch=2))
    (permit,) = permits(step)
    assert permit.epoch == 2
    assert permit.id > 2 << 40


def test_a_reducing_fill_beyond_the_position_puts_it_in_doubt() -> None:
    bench = bench_under()
    hold(bench)
    closes = [permits(bench.send(bench.intent("BTC", -1, quantity=5.0, source="operator")))[0] for _ in range(2)]
    for permit in closes:
        bench.send(Executed(permit.id, PermitState.FILLED, 50_000, 500.0, 0.0, bench.clock.true_ns))
    r = bench.engine.state.symbols[bench.engine.state.names.symbol_index["BTC"]]
    assert r.position == -50_000
    assert r.known != 1.0
    assert bench.engine.state.account.reconciled == 0.0


def test_an_order_found_working_after_its_permit_expired_is_reserved_again() -> None:
    bench = bench_under()
    (permit,) = permits(bench.send(bench.intent("BTC", 1, quantity=5.0)))
    bench.clock.advance(100.0)
    bench.send(Tick())
    assert bench.engine.state.permits.live == {}
    order = OrderAt(permit.id, "BTC", 1, 50_000, 0, reduce_only=False)
    bench.send(OrdersReported((order,), bench.clock.true_ns))
    r = bench.engine.state.symbols[bench.engine.state.names.symbol_index["BTC"]]
    assert r.pending_buy == 50_000
    assert bench.engine.state.permits.live[permit.id].state == PermitState.WORKING


def test_control_a_gate_that_forgets_what_was_spent_is_found_out(tmp_path: Path) -> None:
    bench = bench_under()
    with gate_on_disk(tmp_path, bench) as (gate, _):
        (permit,) = gate.submit(
            bench.intent("BTC", 1, quantity=1.0), bench.clock.wall_ns, bench.clock.mono_ns, wait_s=60.0
        ).permits
        assert spent(gate, bench, permit) == 1
        gate.engine.state.permits.edit(permit.id).state = PermitState.ISSUED
        assert spent(gate, bench, permit) == 1


# ---------------------------------------------------------------- the gateway as it runs


def overheard(rig: Rig) -> list[bytes]:
    """Every sealed message to the executor from now on, as somebody who listens has it."""
    bus, heard = rig.gateway._executor._bus, []
    publish = bus.publish

    def listens(stream: str, body: bytes) -> None:
        if stream == PERMITS:
            heard.append(body)
        publish(stream, body)

    bus.publish = listens  # type: ignore[method-assign]
    return heard


def test_what_was_overheard_and_is_said_again_sends_nothing(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        heard = overheard(rig)
        await rig.opened()
        await rig.gateway.submit(rig.closing("BTC"), hand_over=False)
        await rig.until(lambda: rig.is_quiet("BTC") and "BTC" not in rig.truth(), "opened and closed")
        arrived = len(rig.venue.arrivals)
        for body in [*heard, *heard]:
            rig.gateway._executor._bus.publish(PERMITS, body)
        await asyncio.sleep(0.3)
        assert len(rig.venue.arrivals) == arrived

    drilled(tmp_path, play)


def test_nor_does_it_after_a_restart(tmp_path: Path) -> None:
    rig, heard = Rig(tmp_path), list[bytes]()

    async def first() -> None:
        async with rig.running():
            heard.extend(overheard(rig))
            sealed = overheard(rig)
            await rig.opened()
            heard.extend(sealed)
            await rig.rest()

    async def second() -> None:
        async with rig.running():
            for body in heard:
                rig.gateway._executor._bus.publish(PERMITS, body)
            await asyncio.sleep(0.3)
            assert rig.venue.arrivals == []
            await rig.rest()

    asyncio.run(first())
    assert rig.audited() == ()
    assert len(heard) >= 2
    asyncio.run(second())
    assert rig.audited() == ()
