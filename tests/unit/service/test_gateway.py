"""A running gateway against those who ask it at the wrong moment."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.core.codes import Code, KillMode, PermitState, Scope, TradingState
from interlock.core.locks import trading_state
from interlock.core.messages import Intent, KillReset, KillSet, Output, PermitIssued, Quarantined
from interlock.ledger.errors import LedgerUnwritable
from interlock.service.execution.spent import SpentStore, SpentStoreUnwritable
from interlock.service.gateway import TROUBLES_KEPT
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch
from interlock.service.shell.shell import Unanswered
from interlock.testing.unruly import Mischief
from unit.service.gateways import GOLD, Premises, bought, until, way_out, wish


def play(story: Any) -> None:
    asyncio.run(story())


# ---------------------------------------------------------------- permits that are handed over


def test_an_exit_under_the_name_of_an_intent_that_is_handed_over_to_another_leaves(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            other = msgspec.structs.replace(way_out(id="same"), source="somebody")
            mine = way_out(id="same")
            answers = await asyncio.gather(gateway.submit(other, hand_over=True), gateway.submit(mine, hand_over=False))
            assert [each.allowed for each in answers] == [False, True]
            await until(lambda: not gateway.status().positions)

    premises = Premises(tmp_path)
    play(story)


def test_one_intent_that_is_handed_over_twice_at_once_is_handed_over_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            intent = way_out(id="same")
            answers = await asyncio.gather(*(gateway.submit(intent, hand_over=True) for _ in range(3)))
            assert [len(each.permits) for each in answers] == [1, 0, 0]
            assert [each.headline for each in answers] == [Code.ALLOWED] * 3

    premises = Premises(tmp_path)
    play(story)


@pytest.mark.parametrize(("first", "handed"), [(wish, 1), (way_out, 0)], ids=["an opening", "an exit, which it replaces"])
def test_an_exit_under_the_name_of_what_is_being_handed_over_waits_for_nothing(
    first: Any, handed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            at_it, goes_on = asyncio.Event(), asyncio.Event()
            hand_over = gateway._executor.hand_over

            async def slow(*permit: Any) -> bool:
                at_it.set()
                await goes_on.wait()
                return await hand_over(*permit)

            monkeypatch.setattr(gateway._executor, "hand_over", slow)
            handing = asyncio.create_task(gateway.submit(first(id="same", quantity=0.5), hand_over=True))
            await at_it.wait()
            sent = len(premises.venue.arrivals)
            assert (await gateway.submit(way_out(id="same", quantity=0.3), hand_over=False)).granted_steps == 30
            await until(lambda: len(premises.venue.arrivals) > sent)
            assert premises.venue.arrivals[sent].order.steps == 30
            goes_on.set()
            assert len((await handing).permits) == handed

    premises = Premises(tmp_path)
    play(story)


def test_an_opening_that_came_too_late_for_whoever_wanted_it_handed_over_is_sent_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            sent = len(premises.venue.arrivals)
            ask = gateway._shell.ask

            async def hasty(event: Any, **how: Any) -> Any:
                return await ask(event, timeout_s=0.2 if isinstance(event, Intent) else 5.0, **how)

            monkeypatch.setattr(gateway._shell, "ask", hasty)
            premises.disk.hang()
            answer = await gateway.submit(wish(), hand_over=True)
            assert (answer.headline, answer.permits) == (Code.UNANSWERED, ())
            published: list[Output] = []
            monkeypatch.setattr(gateway._executor, "_take", published.append)
            premises.disk.heal()
            _, durable, _ = gateway._ledger()
            await until(lambda: gateway._ledger()[1] > durable + 3)
            assert published == []
            assert len(premises.venue.arrivals) == sent

    premises = Premises(tmp_path)
    play(story)


def test_an_exit_is_handed_over_although_the_spent_set_takes_nothing_and_an_opening_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: SpentStore, permit: PermitIssued, *_: object) -> None:
        raise SpentStoreUnwritable("the disk is full")

    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            monkeypatch.setattr(SpentStore, "hand_over", full)
            assert (await gateway.submit(wish(), hand_over=True)).permits == ()
            assert len((await gateway.submit(way_out(), hand_over=True)).permits) == 1

    premises = Premises(tmp_path)
    play(story)


def test_what_was_handed_over_just_before_a_crash_is_still_its_executors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            hand_over = gateway._executor.hand_over

            async def after_the_permit_is_durable(*permit: Any) -> bool:
                await until(lambda: gateway._ledger()[0] == gateway._ledger()[1])
                premises.disk.hang()
                return await hand_over(*permit)

            monkeypatch.setattr(gateway._executor, "hand_over", after_the_permit_is_durable)
            [permit] = (await gateway.submit(way_out(), hand_over=True)).permits
            shutil.copytree(premises.home.path, tmp_path / "crashed", ignore=shutil.ignore_patterns("*.sock"))
            premises.disk.heal()
        premises.home = Home(tmp_path / "crashed")
        premises.again()
        async with premises.open() as gateway:
            row = gateway._shell.state.permits.get(permit.id)
            assert row is not None
            assert (row.executor, row.state) == ("trend", PermitState.UNKNOWN)

    premises = Premises(tmp_path)
    play(story)


# ---------------------------------------------------------------- switch and conditions


def test_conditions_that_could_not_be_told_are_told_again_even_where_they_are_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            state, ask = gateway._shell.state, gateway._shell.ask
            before = state.account.rollout

            async def late(event: Any, *more: Any) -> Any:
                gateway._shell.tell(event, *more)
                raise Unanswered("no answer")

            text = premises.home.runtime.read_text()
            with monkeypatch.context() as patch:
                patch.setattr(gateway._shell, "ask", late)
                premises.home.runtime.write_text(text.replace("rollout_percent = 0 ", "rollout_percent = 100 "))
                await until(lambda: state.account.rollout != before)
                premises.home.runtime.write_text(text)
                await asyncio.sleep(0)
            assert gateway._shell.ask == ask
            await until(lambda: state.account.rollout == before)

    premises = Premises(tmp_path)
    play(story)


def test_of_two_who_look_at_once_the_later_look_is_what_the_engine_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await gateway.refresh()
            here = gateway._lookout.sight.conditions.told
            open_, closed = (msgspec.structs.replace(here, rollout=each) for each in (1.0, here.rollout))
            await asyncio.gather(gateway._obey_mode(open_), gateway._obey_mode(closed))
            assert gateway._shell.state.account.rollout == closed.rollout

    premises = Premises(tmp_path)
    play(story)


def test_a_kill_of_something_unknown_does_not_hide_the_kills_after_it(tmp_path: Path) -> None:
    async def story() -> None:
        latch = KillLatch(premises.home)
        async with premises.open() as gateway:
            await bought(gateway)
            latch.trigger(KillSet(KillMode.REDUCE_ONLY, Scope.STRATEGY, "nobody", "a typo", "alice"), 1)
            latch.trigger(KillSet(KillMode.FLATTEN, Scope.SYMBOL, GOLD, "bad feed", "alice"), 1)
            await until(lambda: not gateway.status().positions)

    premises = Premises(tmp_path)
    play(story)


def test_a_look_from_before_a_reset_does_not_kill_again_what_was_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await gateway.kill(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "bad feed", "alice"))
            look = gateway._lookout.look
            seen, goes_on = asyncio.Event(), asyncio.Event()

            async def slow() -> Any:
                sight = await look()
                seen.set()
                await goes_on.wait()
                return sight

            with monkeypatch.context() as patch:
                patch.setattr(gateway._lookout, "look", slow)
                refresh = asyncio.create_task(gateway.refresh())
                await seen.wait()
            await gateway.reset(KillReset(Scope.ACCOUNT, "", "alice", "fine again"))
            goes_on.set()
            await refresh
            assert trading_state(gateway._shell.state) == TradingState.ACTIVE

    premises = Premises(tmp_path)
    play(story)


# ---------------------------------------------------------------- ways out


def test_a_position_that_is_not_known_is_not_taken_for_flat_by_a_close(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            premises.venue.begin(Mischief.POSITIONS_EMPTY)
            await until(lambda: GOLD not in {each.symbol for each in gateway.status().positions})
            premises.venue.begin(Mischief.DOWN)
            await gateway._shell.ask(Quarantined("Executed", "garbled", b"", GOLD))
            premises.venue.end()
            started = await gateway.close(GOLD, "alice", "out")
            assert started.direct
            assert (await premises.venue.truth.positions()).positions == ()

    premises = Premises(tmp_path)
    play(story)


def test_a_flattening_for_which_there_is_no_room_in_the_ledger_goes_past_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)

            async def full(*_: object) -> None:
                raise LedgerUnwritable("too much waits", "check the disk")

            monkeypatch.setattr(gateway._shell, "ask", full)
            assert (await gateway.flatten(None, "out", "alice")).direct
            assert (await premises.venue.truth.positions()).positions == ()
            await until(lambda: any("too much waits" in each for each in gateway.status().troubles))

    premises = Premises(tmp_path)
    play(story)


# ---------------------------------------------------------------- what is told


def test_of_many_troubles_that_nobody_asks_after_the_newest_are_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            for number in range(2 * TROUBLES_KEPT):
                gateway.trouble(f"trouble {number}")
                gateway.trouble("again and again")
            assert len(gateway._told) == TROUBLES_KEPT
            shown = gateway.status().troubles
            assert {"again and again", f"trouble {2 * TROUBLES_KEPT - 1}"} <= set(shown)
            assert "trouble 0" not in shown

    premises = Premises(tmp_path)
    play(story)


# ---------------------------------------------------------------- what may be opened


def test_what_the_gateway_tells_as_allowed_is_granted_and_one_step_more_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            told = await gateway.allowed("trend", GOLD, 0.02)
            room = next(each for each in told.rooms if each.side == 1)
            assert (told.currency, room.strategy, room.steps > 0) == ("USD", "trend", True)
            fits = await gateway.dry_run(wish(quantity=room.quantity))
            assert fits.granted_steps == room.steps
            assert (await gateway.dry_run(wish(quantity=room.quantity + 0.01))).headline == room.binds
            assert {each.symbol for each in (await gateway.allowed("trend", "", 0.02)).rooms} == {GOLD, "EURUSD"}
            assert (await gateway.allowed("nobody", "", 0.02)).rooms == ()

    premises = Premises(tmp_path)
    play(story)


def test_the_gateway_tells_how_far_its_rules_are_used(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            told = {(each.kind, each.code): each for each in (await gateway.utilisation(0.02)).standings}
            exposure = told["guard", Code.TOTAL_EXPOSURE]
            state = gateway.status()
            held = next(each for each in state.limits if each.code == Code.TOTAL_EXPOSURE)
            assert exposure.share == pytest.approx(held.use / held.limit)
            assert told["guard", Code.SYMBOL_EXPOSURE].symbol == GOLD
            assert told["trigger", Code.API_ERRORS].stand == "quiet"

    premises = Premises(tmp_path)
    play(story)
