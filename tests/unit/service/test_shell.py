"""The shell on a disk that works: who is answered what and when, what is published, what time and prices do."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from interlock.core.codes import Action, Code, KillMode, Scope
from interlock.core.errors import InputInvalid
from interlock.core.messages import (
    CancelOrders,
    ClockChecked,
    EquityMarked,
    Instruction,
    Intent,
    KillReset,
    KillSet,
    MarketBatch,
    PermitIssued,
    PermitRevoked,
    Quarantined,
    Quote,
    Rebalance,
    Spent,
    Tick,
)
from interlock.ledger.fold import fold
from interlock.service.clock import SystemClock
from interlock.service.shell import shell as shells
from interlock.service.shell.gate import PermitSpent, PermitVoid
from interlock.service.shell.inbox import Busy, Inbox, Priority
from interlock.service.shell.shell import Shell, Unanswered, symbols_of
from interlock.service.shell.watch import Missed
from interlock.testing.bench import picture
from lawkit import bench_under, decision
from shellkit import Rig, go, held_bench, running, until

KILL = KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", "alice")


def quote(rig: Rig, symbol: str, mark: float, later_ns: int = 1) -> Quote:
    at_ns = rig.bench.clock.true_ns + later_ns
    return Quote(symbol, mark * 0.9999, mark * 1.0001, mark, at_ns)


# ---------------------------------------------------------------- answers


def test_an_opening_is_answered_when_it_is_durable_and_its_permit_has_left(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            handed = await rig.shell.ask(rig.open())
            (permit,) = handed.permits
            assert handed.waiting == ()
            assert rig.gate.ledger.durable_seq >= handed.step.seq
            assert rig.permits == [permit]

    go(story())


def test_a_reducing_permit_leaves_and_is_answered_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            handed = await rig.shell.ask(rig.close())
            assert rig.permits == [*handed.permits]
            assert handed.permits[0].reduce_only

    go(story())


def test_a_denial_is_an_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            handed = await rig.shell.ask(rig.open(source="nobody"))
            assert decision(handed.step).headline == Code.SOURCE_DENIED
            assert rig.permits == []

    go(story())


def test_what_cannot_be_applied_goes_back_to_whoever_asked_and_to_the_trouble_of_whoever_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            with pytest.raises(InputInvalid, match="names who resets"):
                await rig.shell.ask(KillReset(Scope.ACCOUNT, "", ""))
            rig.shell.tell(KillReset(Scope.ACCOUNT, "", ""))
            await until(lambda: rig.troubles)
            assert "KillReset was refused" in rig.troubles[0]
            assert rig.inputs() == []
            assert rig.shell.engine_away == ""

    go(story())


def test_an_input_whose_decision_raises_is_quarantined_by_the_engine_which_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(__import__("interlock.core.decide", fromlist=["_HANDLERS"])._HANDLERS, KillSet, raises)

    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            handed = await rig.shell.ask(KILL)
            assert isinstance(handed.step.input, Quarantined)
            assert rig.shell.engine_away == ""

    go(story())


def test_an_overflow_of_openings_is_refused_and_nothing_of_it_is_recorded(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench(), inbox=Inbox(others_max=3)) as rig:
            for _ in range(3):
                rig.shell.tell(rig.open("ETH", limit_price=1.0))
            with pytest.raises(Busy):
                await rig.shell.ask(rig.open())
            rig.shell.tell(rig.open())
            assert "Busy" in rig.troubles[0] or "inputs wait" in rig.troubles[0]
            await rig.shell.ask(rig.close())
            await until(lambda: rig.shell.waiting(Priority.OTHER) == 0)
            assert len(rig.inputs()) == 4

    go(story())


def test_a_close_that_does_not_say_so_is_not_refused_for_load_either(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench(), inbox=Inbox(others_max=0)) as rig:
            held = rig.shell.state.symbols[0].position * 0.0001
            for quantity in (held / 2, held / 2):
                close = rig.bench.intent("BTC", -1, quantity=quantity, source="exit")
                assert (await rig.shell.ask(close)).permits[0].reduce_only
            for opening in (
                rig.bench.intent("BTC", -1, quantity=held * 2, source="exit"),
                rig.bench.intent("BTC", -1, notional=10.0, source="exit"),
                rig.bench.intent("DOGE", -1, quantity=held, source="exit"),
                rig.open(),
            ):
                with pytest.raises(Busy):
                    await rig.shell.ask(opening)

    go(story())


# ---------------------------------------------------------------- askers who go away


def test_an_opening_that_nobody_waits_for_any_more_is_not_looked_at(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.paused = True
            asking = asyncio.create_task(rig.shell.ask(rig.open()))
            with pytest.raises(Unanswered):
                await rig.shell.ask(rig.open(), timeout_s=0.0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            rig.paused = False
            await rig.shell.ask(rig.close())
            assert len(rig.inputs()) == 1

    go(story())


def test_an_exit_has_its_turn_whoever_waits_for_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.paused = True
            asking = asyncio.create_task(rig.shell.ask(rig.close()))
            with pytest.raises(Unanswered):
                await rig.shell.ask(rig.close(), timeout_s=0.0)
            asking.cancel()
            rig.paused = False
            await until(lambda: len(rig.permits) == 2)

    go(story())


def test_a_step_that_waits_for_the_disk_is_the_answer_in_time_and_its_permit_still_leaves(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            rig.disk.hang()
            handed = await rig.shell.ask(rig.open(), timeout_s=0.01)
            assert handed.permits == ()
            assert [permit.reduce_only for permit in handed.waiting] == [False]
            assert rig.permits == []
            rig.disk.heal()
            await until(lambda: rig.permits == [*handed.waiting])

    go(story())


def test_an_asker_who_is_cancelled_while_the_disk_hangs_loses_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            rig.disk.hang()
            asking = asyncio.create_task(rig.shell.ask(rig.open()))
            await until(rig.inputs)
            asking.cancel()
            rig.disk.heal()
            await until(lambda: rig.permits)

    go(story())


# ---------------------------------------------------------------- permits


def test_using_a_permit_is_a_step_between_two_others(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            (permit,) = (await rig.shell.ask(rig.close())).permits
            assert rig.shell.authorize(permit).input == Spent(permit.id, permit.epoch)
            with pytest.raises(PermitSpent):
                rig.shell.authorize(permit)
            (opening,) = (await rig.shell.ask(rig.open("ETH"))).permits
            await rig.shell.ask(KILL)
            with pytest.raises(PermitVoid):
                rig.shell.authorize(opening)

    go(story())


def test_revocations_and_cancellations_are_published_and_nothing_else_but_permits(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            (working,) = (await rig.shell.ask(rig.open())).permits
            rig.shell.authorize(working)
            (unused,) = (await rig.shell.ask(rig.open("ETH"))).permits
            await rig.shell.ask(KILL)
            revoked = [each.permit for each in rig.published if isinstance(each, PermitRevoked)]
            cancelled = [each.permits for each in rig.published if isinstance(each, CancelOrders)]
            assert (revoked, cancelled) == ([unused.id], [(working.id,)])
            assert {type(each) for each in rig.published} == {PermitIssued, PermitRevoked, CancelOrders}

    go(story())


def test_a_permit_revoked_while_it_waits_for_the_disk_never_leaves(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            rig.disk.hang()
            asking = asyncio.create_task(rig.shell.ask(rig.open(), timeout_s=60.0))
            await until(rig.inputs)
            await rig.shell.ask(KILL)
            rig.disk.heal()
            handed = await asking
            assert (handed.permits, handed.waiting) == ((), ())
            assert rig.permits == []

    go(story())


def test_a_reader_who_fails_stops_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:

            def fails(_: object) -> None:
                raise BrokenPipeError

            rig.shell._publish_out = fails
            await rig.shell.ask(rig.close())
            assert "PermitIssued could not be published: BrokenPipeError" in rig.troubles[0]
            rig.shell._trouble = fails
            await rig.shell.ask(rig.close())

    go(story())


def test_a_dry_run_decides_and_consumes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            before = picture(rig.shell.state)
            intent = rig.open()
            assert isinstance(intent, Intent)
            (told,) = rig.shell.dry_run(intent)
            assert told.allowed
            assert picture(rig.shell.state) == before
            assert decision((await rig.shell.ask(intent)).step).repeats == 0

    go(story())


def test_after_a_step_that_takes_long_others_have_their_turn(tmp_path: Path) -> None:
    """A rebalance is long: whoever wants out must not wait for several of them to be heard."""

    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            for number in range(20):
                rig.shell.tell(Rebalance(f"r{number}", "bot", "trend", (Instruction("ETH", Action.SCALE, 0.01),)))
            made = [0]
            while made[-1] < 20:
                await asyncio.sleep(0)
                made.append(sum(isinstance(event, Rebalance) for event in rig.inputs()))
                if len(made) == 2:
                    rig.shell.tell(rig.close())
            assert max(later - earlier for earlier, later in pairwise(made)) == 1
            assert [type(event) for event in rig.inputs()].index(Intent) <= made[1] + 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shells, "TURN_NS", -1)
        go(story())


def test_a_dry_run_that_cannot_be_decided_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        raise ZeroDivisionError

    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            monkeypatch.setattr(shells, "decide", raises)
            intent = rig.open()
            assert isinstance(intent, Intent)
            with pytest.raises(InputInvalid, match="ZeroDivisionError"):
                rig.shell.dry_run(intent)

    go(story())


# ---------------------------------------------------------------- prices


def test_prices_of_what_is_held_are_told_and_others_wait_for_somebody_to_ask(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.shell.quotes([quote(rig, "BTC", 101.0), quote(rig, "ETH", 51.0), quote(rig, "NOPE", 1.0)])
            await until(lambda: rig.steps)
            (batch,) = [event for event in rig.inputs(told=True) if isinstance(event, MarketBatch)]
            assert [each.symbol for each in batch.quotes] == ["BTC"]
            handed = await rig.shell.ask(rig.open("ETH", stop_price=48.0))
            before = rig.steps[-2].input
            assert isinstance(before, MarketBatch)
            assert [each.mark for each in before.quotes] == [51.0]
            facts = decision(handed.step).facts
            assert facts is not None
            rig.bench.clock.advance(1.5)
            rig.shell.quotes([quote(rig, "ETH", 52.0)])
            await until(lambda: any(isinstance(s.input, MarketBatch) and s.input.quotes[0].mark == 52.0 for s in rig.steps))

    go(story())


def test_prices_are_told_once_a_second(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            for number in range(200):
                rig.shell.quotes([quote(rig, "BTC", 100.0 + number / 100.0)])
                rig.bench.clock.advance(0.01)
                await asyncio.sleep(0)
            batches = [event for event in rig.inputs(told=True) if isinstance(event, MarketBatch)]
            assert 2 <= len(batches) <= 3

    go(story())


def test_a_symbol_is_forgotten_a_minute_after_somebody_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            for symbol in ("SOL", "NOPE"):
                intent = rig.open(symbol, source="nobody")
                assert isinstance(intent, Intent)
                rig.shell.dry_run(intent)
            assert rig.shell._is_wanted("SOL")
            rig.bench.clock.advance(61.0)
            assert not rig.shell._is_wanted("SOL")
            assert not rig.shell._is_wanted("NOPE")

    go(story())


def test_symbols_in_which_an_input_may_open(tmp_path: Path) -> None:
    bench = bench_under()
    assert symbols_of(bench.intent("ETH", 1)) == ("ETH",)
    assert symbols_of(bench.intent("ETH", 1, reduce_only=True)) == ()
    assert symbols_of(Rebalance("r", "bot", "trend", ())) == ()
    assert symbols_of(Tick()) == ()


# ---------------------------------------------------------------- time


def ticks(rig: Rig) -> list[Any]:
    return [step.input for step in rig.steps if isinstance(step.input, Tick | ClockChecked)]


def test_a_tick_comes_every_second_and_the_clock_is_checked_every_ten(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            for number in range(1, 22):
                rig.bench.clock.advance(1.0)
                rig.shell.quotes([])
                await until(lambda number=number: len(ticks(rig)) == number)  # type: ignore[misc]
            assert [type(event) for event in ticks(rig)].count(ClockChecked) == 2
            assert rig.shell.stepped_mono_ns == rig.bench.clock.mono_ns

    go(story())


def test_a_tick_comes_when_the_engine_wants_to_look_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, bench_under()) as rig:
            await rig.shell.ask(rig.open())
            wake_ns = rig.shell.state.account.wake_ns
            rig.bench.clock.advance_to(wake_ns - 1)
            rig.shell.quotes([])
            await until(lambda: ticks(rig))
            rig.bench.clock.advance(0.02)
            rig.shell.quotes([])
            await until(lambda: any(isinstance(each, PermitRevoked) for each in rig.published))
            assert len(ticks(rig)) == 2

    go(story())


@pytest.mark.parametrize("jump_s", [-3_600.0, 3_600.0])
def test_a_clock_that_steps_closes_openings_and_no_exit(tmp_path: Path, jump_s: float) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.bench.clock.jump(jump_s)
            opening = decision((await rig.shell.ask(rig.open("ETH"))).step)
            assert opening.headline == Code.CLOCK_UNTRUSTED
            assert len((await rig.shell.ask(rig.close())).permits) == 1
            for _ in range(3):
                rig.bench.clock.advance(1.0)
                rig.shell.quotes([])
                seen = len(ticks(rig))
                await until(lambda seen=seen: len(ticks(rig)) > seen or ticks(rig))  # type: ignore[misc]
            assert rig.shell.engine_away == ""

    go(story())


def test_no_time_passes_before_the_account_is_opened(tmp_path: Path) -> None:
    async def story() -> None:
        bench = bench_under()
        bench.steps.clear()
        async with running(tmp_path, bench) as rig:
            bench.clock.advance(5.0)
            rig.shell.quotes([])
            await asyncio.sleep(0.01)
            assert rig.steps == []
            assert rig.troubles == []

    go(story())


def test_the_clock_of_this_machine_goes_on() -> None:
    clock = SystemClock()
    assert clock.wall_ns() > 1_700_000_000 * 10**9
    assert clock.mono_ns() <= clock.mono_ns()


# ---------------------------------------------------------------- looking on, and the end


def test_a_watcher_sees_every_step_until_the_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            watcher, gone = rig.shell.watch(), rig.shell.watch()
            gone.close()
            await rig.shell.ask(rig.close())
            await rig.shell.ask(KILL)
            assert await rig.shell.stop() is None
            seen = [step async for step in watcher]
            assert [step.input for step in seen if not isinstance(step, Missed)] == [step.input for step in rig.steps]
            assert [each async for each in rig.shell.watch()] == []
            assert [each async for each in gone] == []

    go(story())


def test_a_stop_refuses_what_may_open_works_off_the_rest_and_leaves_a_ledger_that_folds(tmp_path: Path) -> None:
    async def story() -> bytes:
        async with running(tmp_path, held_bench()) as rig:
            rig.paused = True
            opening = asyncio.create_task(rig.shell.ask(rig.open()))
            closing = asyncio.create_task(rig.shell.ask(rig.close()))
            killing = asyncio.create_task(rig.shell.ask(KILL))
            rig.shell.tell(EquityMarked(10_000.0, 10_000.0, rig.bench.clock.true_ns))
            await asyncio.sleep(0)
            stopping = asyncio.create_task(rig.shell.stop())
            with pytest.raises(Busy, match="stops"):
                await opening
            rig.paused = False
            assert len((await closing).permits) == 1
            await killing
            assert await stopping is None
            with pytest.raises(Busy):
                await rig.shell.ask(KILL)
            assert rig.task.done()
            return picture(rig.shell.state)

    assert go(story()) == picture(fold(tmp_path / "ledger").state)


def test_a_stop_before_a_disk_that_hangs_ends_and_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.disk.hang()
            await rig.shell.ask(rig.close())
            problem = await rig.shell.stop(timeout_s=0.05)
            assert problem is not None
            assert "disk" in str(problem)

    go(story())


def test_a_stop_before_a_disk_that_fails_says_what_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            rig.disk.fill_up()
            await rig.shell.ask(rig.close())
            problem = await rig.shell.stop()
            assert problem is not None
            assert "not durable" in str(problem)

    go(story())


def test_a_shell_that_never_ran_can_be_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, held_bench()) as rig:
            shell = Shell(rig.gate, rig.shell._clock, publish=print, on_away=print, trouble=print)
            shell.tell(KILL)
            shell._trouble = rig.troubles.append
            assert await shell.stop() is None
            assert rig.troubles == ["1 inputs had no turn before the stop"]

    go(story())
