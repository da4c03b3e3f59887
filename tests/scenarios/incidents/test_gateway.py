# ruff: noqa: N802
"""Incidents of services around an engine, on the gateway as it runs; `docs/incidents.md` lists them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from drillkit import IDS, STEP, Rig, drilled
from interlock.adapters.bus import PERMITS, RESULTS
from interlock.adapters.venue import VenueOrder
from interlock.core import engine as engines
from interlock.core.codes import KillMode, PermitState, Scope, TradingState
from interlock.core.errors import InterlockError
from interlock.core.messages import Executed, KillSet, PermitIssued, Step, Tick
from interlock.core.state import is_stop
from interlock.ledger import LedgerBroken
from interlock.ledger.fold import fold
from interlock.service.execution.orderids import OrderIds
from interlock.service.execution.signing import Realm, Role, Sealer
from interlock.service.home.environment import EnvironmentMismatch
from interlock.service.home.runtime import bucket
from interlock.service.shell import shell
from interlock.service.shell.watch import Watcher
from interlock.testing import journal
from interlock.testing.auditor import Evidence, audit
from interlock.testing.unruly import Mischief

REALM = Realm("testnet", "main", "paper")
TESTS = Path(__file__).parents[2]


def played(rig: Rig, play: Callable[[Rig], Awaitable[None]]) -> None:
    """The play was played on a gateway that was started for it and stopped after it, without a finding."""

    async def run() -> None:
        async with rig.running():
            await play(rig)
            await rig.rest()

    asyncio.run(run())
    assert rig.audited() == ()


async def opens(rig: Rig) -> None:
    await rig.opened()


async def is_denied(rig: Rig) -> bool:
    return not (await rig.gateway.submit(rig.intent("ETH", 1, notional=500.0), hand_over=False)).allowed


async def closes(rig: Rig, source: str = "bot") -> None:
    answer = await rig.gateway.submit(rig.closing("BTC", source=source), hand_over=False)
    assert answer.allowed, answer
    await rig.until(lambda: "BTC" not in rig.truth(), "closed")


# ---------------------------------------------------------------- types, keys, fields


def test_W10_whatever_the_switch_s_file_says_it_is_on(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        for text in (b"", b"1", b"false", b"off", b"\xff\xfe\x00", b"reduce_only", b"REDUCE-ONLY\r\n", b"x" * 100_000):
            rig.home.sentinel.write_bytes(text)
            assert await is_denied(rig), text
            rig.home.sentinel.unlink()
        await closes(rig)

    drilled(tmp_path, play)


def test_W11_every_kind_of_permit_is_read_as_it_was_written(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        await closes(rig)
        orders = {each.order.client_id: each.order for each in rig.venue.arrivals}
        assert len(orders) == 3
        assert [trouble for trouble in rig.gateway.status().troubles if "believed" in trouble] == []

    drilled(tmp_path, play)


@pytest.mark.parametrize("record", [b'"reduce_only"', b"[1]", b"{}", b'{"mode": 1}', b"half a rec", b"\x00"])
def test_W12_a_record_of_another_type_kills(record: bytes, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        assert await is_denied(rig)
        assert rig.gateway.status().kill[0].active

    rig = Rig(tmp_path)
    (rig.home.latch / "account.json").write_bytes(record)
    played(rig, play)


@pytest.mark.parametrize(("text", "opened"), [("false", True), ("No", True), ("0", True), ("true", False), ("wahr", False)])
def test_W13_a_text_is_not_true_because_it_is_there(text: str, opened: bool, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        assert await is_denied(rig) is not opened

    rig = Rig(tmp_path)
    rig.setting = replace(rig.setting, environ={"INTERLOCK_KILL_SWITCH": text})
    played(rig, play)


def test_W13_a_text_where_a_flag_belongs_closes_openings(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        rig.home.runtime.write_text(rig.home.runtime.read_text().replace("armed = false", 'armed = "false"'))
        assert await is_denied(rig)
        await closes(rig)

    drilled(tmp_path, play)


async def first_permit(watcher: Watcher) -> PermitIssued:
    async for step in watcher:
        for output in step.outputs if isinstance(step, Step) else ():
            if isinstance(output, PermitIssued):
                return output
    raise AssertionError("no permit was issued")


@pytest.mark.parametrize("who", ["a stranger", "the executor", "another environment"])
def test_W14_a_permit_that_the_gate_did_not_issue_moves_nothing(who: str, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        watcher = rig.gateway._shell.watch()
        await rig.opened()
        arrived = len(rig.venue.arrivals)
        issued = await first_permit(watcher)
        forged = msgspec.structs.replace(issued, id=77, steps=9_999)
        secret = rig.home.secret.read_bytes()
        sealers = {
            "a stranger": Sealer(Role.GATE, REALM, os.urandom(32)),
            "the executor": Sealer(Role.EXECUTOR, REALM, secret),
            "another environment": Sealer(Role.GATE, replace(REALM, environment="mainnet"), secret),
        }
        message = forged if who != "the executor" else Executed(77, PermitState.FILLED, 1, 1.0, 0.0, 1)
        rig.gateway._executor._bus.publish(PERMITS, sealers[who].seal(message))
        await rig.until(lambda: any("believed" in each for each in rig.gateway.status().troubles), "somebody is told")
        assert len(rig.venue.arrivals) == arrived

    drilled(tmp_path, play)


def test_W15_everybody_has_one_figure_for_a_position(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened("ETH", -1)
        steps = rig.truth()["ETH"]
        (shown,) = rig.gateway.status().positions
        assert shown.side * shown.quantity == pytest.approx(steps * STEP)
        assert rig.row("ETH").position == steps
        assert [each.steps for each in (await rig.exchange.positions()).positions] == [steps]
        (stop,) = rig.permits("ETH")
        assert stop.steps * stop.side == -steps

    rig = drilled(tmp_path, play)
    engine = fold(rig.home.ledger)
    assert engine.state.symbols[engine.state.names.symbol_index["ETH"]].position == rig.truth()["ETH"]


def test_W16_a_close_goes_past_an_engine_that_is_away_for_good(tmp_path: Path) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("a drill")

    def is_lost(*_: object) -> None:
        raise LedgerBroken(1, "a drill")

    async def play() -> None:
        async with rig.running():
            await rig.opened()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(engines, "apply", breaks)
                patch.setattr(shell, "fold", is_lost)
                rig.gateway._shell.tell(Tick())
                await rig.until(lambda: rig.gateway._shell.engine_away, "the engine is away")
                assert await is_denied(rig)
                assert (await rig.gateway.close("BTC", "alice", "it is enough")).direct
                assert rig.truth() == {}

    rig = Rig(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell.Shell.stop, "__defaults__", (1.0,))
        asyncio.run(play())
    assert rig.audited(at_rest=False) == ()
    played(rig, lambda rig: rig.until(lambda: rig.row("BTC").position == 0, "the engine has learnt of it"))


@pytest.mark.parametrize("stream", [PERMITS, RESULTS])
def test_W17_another_layout_is_a_dead_letter_and_the_stream_goes_on(stream: str, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        for body in (b"", b"garbage", msgspec.json.encode({"permit": 1}), b"ilk1" + bytes(60)):
            rig.gateway._executor._bus.publish(stream, body)
        await rig.until(lambda: any("believed" in each for each in rig.gateway.status().troubles), "somebody is told")
        await rig.until(lambda: rig.state.account.reconciled == 1.0, "positions are read afresh")
        await closes(rig)

    drilled(tmp_path, play)


def test_W23_a_stop_that_is_to_move_moves_at_the_venue(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        before = rig.truth()["BTC"]
        await rig.gateway.submit(rig.intent("BTC", 1, notional=500.0), hand_over=False)
        await rig.until(lambda: rig.truth()["BTC"] > before and rig.is_quiet("BTC"), "more is held behind one stop")
        (stop,) = [each for each in (await rig.exchange.open_orders()).orders if each.trigger_price > 0.0]
        assert stop.steps == rig.truth()["BTC"]

    drilled(tmp_path, play)


# ---------------------------------------------------------------- duplicates and races


def test_W32_closers_at_once_never_flip_the_account(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        wishes = [rig.closing("BTC", source=source, id=source) for source in ("bot", "operator", "emergency", "exit")]
        await asyncio.gather(*(rig.gateway.submit(wish, hand_over=False) for wish in wishes))
        await asyncio.gather(rig.gateway.close("BTC", "alice", ""), rig.gateway.flatten(None, "", "bob"))
        await rig.until(lambda: "BTC" not in rig.truth(), "closed")

    drilled(tmp_path, play)


def test_W34_a_permit_that_comes_before_its_record_is_not_used(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        early = Sealer(Role.GATE, REALM, rig.home.secret.read_bytes())
        rig.disk.hang()
        asking = asyncio.create_task(rig.gateway.submit(rig.intent("BTC", 1, notional=500.0), hand_over=False))
        await rig.until(lambda: rig.gateway._shell._gate._waiting, "a permit waits for the disk")
        ((_, permit),) = rig.gateway._shell._gate._waiting.values()
        rig.gateway._executor._bus.publish(PERMITS, early.seal(permit))
        await asyncio.sleep(0.3)
        assert rig.venue.arrivals == []
        rig.disk.heal()
        await asking

    drilled(tmp_path, play)


def test_W39_the_permitted_leverage_is_the_venue_s_before_the_entry(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        assert await rig.exchange.leverage("BTC") == 20.0
        await rig.opened()
        assert await rig.exchange.leverage("BTC") == 10.0

    drilled(tmp_path, play)


# ---------------------------------------------------------------- execution and operations


def test_W60_every_exit_is_reduce_only_at_the_venue(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened("BTC")
        await rig.opened("ETH", -1)
        await rig.opened("SOL")
        await closes(rig)
        await rig.gateway.close("ETH", "alice", "")
        await rig.gateway.flatten("SOL", "", "alice")
        await rig.until(lambda: not rig.truth(), "flat")

    rig = drilled(tmp_path, play)
    exits = [each for each in journal.orders(rig.paper) if each.side == (1 if each.symbol == "ETH" else -1)]
    assert len(exits) >= 6
    assert all(each.reduce_only for each in exits)


@pytest.mark.parametrize("mischief", [Mischief.DOWN, Mischief.ANSWER_LOST, Mischief.HANGS])
def test_W61_a_failed_read_is_not_flat(mischief: Mischief, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        (stop,) = rig.permits("BTC")
        rig.venue.begin(mischief)
        await asyncio.sleep(0.8)
        assert rig.row("BTC").position == rig.truth()["BTC"]
        assert [each.id for each in rig.permits("BTC") if is_stop(each)] == [stop.id]

    drilled(tmp_path, play)


KILLED = """
import asyncio, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from drillkit import Rig

async def main():
    async with (rig := Rig(Path(sys.argv[2]))).running():
        await rig.opened()
        print("held", flush=True)
        await asyncio.sleep(60.0)

asyncio.run(main())
"""


def test_W62_the_stop_is_at_the_venue_when_the_process_dies(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, TESTS, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()
    rig = Rig(tmp_path)
    *_, last = journal.glances(journal.read(rig.paper), time.time_ns())
    assert last.stops["BTC"] == -rig.truth()["BTC"] < 0


def test_W63_the_rollout_is_the_same_in_every_process() -> None:
    code = "from interlock.service.home.runtime import bucket; print([bucket('main', s) for s in ('BTC', 'ETH', 'SOL')])"
    said = {
        subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, text=True)
        for seed in ("1", "2")
    }
    assert said == {f"{[bucket('main', symbol) for symbol in ('BTC', 'ETH', 'SOL')]}\n"}


def test_W64_the_auditor_finds_what_is_wrong(tmp_path: Path) -> None:
    rig = drilled(tmp_path, opens)
    orders, lines = journal.orders(rig.paper), journal.read(rig.paper)
    nothing = Evidence((), orders, tuple(journal.fills(lines)), rig.truth(), {}, frozenset(), IDS.permit_in)
    assert len(audit(nothing, at_rest=True)) > 3


def test_W65_orders_of_another_environment_are_nobody_s_here(tmp_path: Path) -> None:
    ghost = OrderIds(replace(REALM, environment="mainnet")).of(1)

    async def play(rig: Rig) -> None:
        order = VenueOrder(ghost, "BTC", 1, 10_000, limit_price=round(rig.prices["BTC"] * 0.9, 2), immediate=False)
        await rig.exchange.place(order)
        await rig.opened()
        await closes(rig)
        await rig.until(lambda: rig.is_quiet("BTC"), "the stop is gone, too")
        assert [each.client_id for each in (await rig.exchange.open_orders()).orders] == [ghost]
        await rig.exchange.cancel("BTC", ghost)

    rig = Rig(tmp_path)
    asyncio.run(run_only(rig, play))
    assert IDS.permit_in(ghost) is None
    assert [sentence for sentence in rig.audited() if ghost not in sentence] == []


async def run_only(rig: Rig, play: Callable[[Rig], Awaitable[None]]) -> None:
    async with rig.running():
        await play(rig)
        await rig.rest()


def test_W66_a_gateway_refuses_a_venue_of_another_environment(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    played(rig, opens)
    rig.home.runtime.write_text(rig.home.runtime.read_text().replace('environment = "testnet"', 'environment = "mainnet"'))
    before = journal.read(rig.paper)

    async def starts() -> None:
        async with rig.running():
            raise AssertionError("it runs")

    with pytest.raises(EnvironmentMismatch, match="testnet"):
        asyncio.run(starts())
    assert journal.read(rig.paper) == before


WAYS: dict[str, Callable[[Rig], Awaitable[object]]] = {}


def way(act: Callable[[Rig], Awaitable[object]]) -> Callable[[Rig], Awaitable[object]]:
    WAYS[act.__name__] = act
    return act


@way
async def sentinel(rig: Rig) -> None:
    rig.home.sentinel.touch()


@way
async def desk(rig: Rig) -> None:
    await rig.gateway.kill(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "drill", "alice"))


@way
async def latch_of_another_process(rig: Rig) -> None:
    code = """
import sys
from pathlib import Path
from interlock.core.codes import KillMode, Scope
from interlock.core.messages import KillSet
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch
KillLatch(Home(Path(sys.argv[1]))).trigger(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "drill", "alice"), 1)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(rig.home.path))
    assert await process.wait() == 0


@way
async def symbol_alone(rig: Rig) -> None:
    await rig.gateway.kill(KillSet(KillMode.REDUCE_ONLY, Scope.SYMBOL, "ETH", "drill", "alice"))


@way
async def strategy_alone(rig: Rig) -> None:
    await rig.gateway.kill(KillSet(KillMode.REDUCE_ONLY, Scope.STRATEGY, "trend", "drill", "alice"))


@pytest.mark.parametrize("way", WAYS)
def test_W67_every_way_to_kill_stops_the_very_next_opening(way: str, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        await WAYS[way](rig)
        assert await is_denied(rig)
        await closes(rig)

    drilled(tmp_path, play)


def test_W68_an_exit_that_was_under_way_at_the_stop_goes_on_at_the_start(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def stops_too_early() -> None:
        async with rig.running():
            await rig.opened()
            rig.venue.begin(Mischief.DOWN)
            await rig.gateway.flatten(None, "leaving", "alice")

    asyncio.run(stops_too_early())
    assert rig.truth() != {}
    played(rig, lambda rig: rig.until(lambda: not rig.truth(), "flat without anybody asking again"))


def test_W69_what_was_won_and_lost_is_what_the_venue_s_fills_say(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        rig.venue.begin(Mischief.REPORTS_LOST, Mischief.SLOW)
        for side in (1, -1, 1):
            await rig.opened("BTC", side, 2_000.0)
            await rig.gateway.close("BTC", "alice", "")
            await rig.until(lambda: rig.is_quiet("BTC") and "BTC" not in rig.truth(), "closed")
        told = await rig.exchange.account()
        a = rig.state.account
        assert told.balance == told.equity != 100_000.0
        assert (a.realised + a.fees) / 1e6 == pytest.approx(told.balance - 100_000.0, abs=0.01)

    drilled(tmp_path, play)


# ---------------------------------------------------------------- secrets and what is durable


@pytest.mark.parametrize("secret", [b"", b"short", None])
def test_Y1_without_a_secret_of_its_own_nothing_starts(secret: bytes | None, tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.home.secret.unlink()
    if secret is not None:
        rig.home.secret.write_bytes(secret)
        rig.home.secret.chmod(0o600)

    async def starts() -> None:
        async with rig.running():
            raise AssertionError("it runs")

    with pytest.raises(InterlockError, match="secret"):
        asyncio.run(starts())


def test_Y1_two_homes_have_two_secrets(tmp_path: Path) -> None:
    secrets = {Rig(tmp_path / name).home.secret.read_bytes() for name in ("one", "other")}
    assert len(secrets) == 2


def test_Y2_a_kill_switch_outlives_the_process_that_was_told(tmp_path: Path) -> None:
    async def is_killed(rig: Rig) -> None:
        await rig.opened()
        await rig.gateway.kill(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "drill", "alice"))

    async def is_still_killed(rig: Rig) -> None:
        status = rig.gateway.status()
        assert status.trading_state == TradingState.REDUCING
        assert [(each.reason, each.by) for each in status.kill] == [("drill", "alice")]
        assert await is_denied(rig)
        await closes(rig)

    rig = Rig(tmp_path)
    played(rig, is_killed)
    played(rig, is_still_killed)
