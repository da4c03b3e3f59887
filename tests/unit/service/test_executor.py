# ruff: noqa: N802 (incidents have names)
import asyncio
from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.adapters.bus import PERMITS
from interlock.adapters.venue import VenueOrder, VenueRejected, VenueUnreachable
from interlock.core.codes import Code, KillMode, PermitState
from interlock.core.constants import NS_PER_S
from interlock.core.messages import (
    CancelOrders,
    Executed,
    PermitIssued,
    PermitRevoked,
    PositionAt,
    PositionsReported,
    VenueError,
)
from interlock.service.execution.budget import RateLimits
from interlock.service.execution.executor import OPENINGS_MAX
from interlock.service.execution.orders import order_of
from interlock.service.shell.gate import EngineAway, PermitSpent, PermitVoid
from unit.service.rig import HASTY, NOW_NS, SOON_S, Rig, permit_of
from unit.service.scripted import AnswerLost, Hang

FILLED, REJECTED, UNKNOWN = PermitState.FILLED, PermitState.REJECTED, PermitState.UNKNOWN
WORKING, CANCELLED, PARTIAL = PermitState.WORKING, PermitState.CANCELLED, PermitState.PARTIAL


def close_of(number: int, **changes: Any) -> PermitIssued:
    return permit_of(number, reduce_only=True, **changes)


def stop_of(number: int, **changes: Any) -> PermitIssued:
    return permit_of(number, reduce_only=True, trigger_price=95.0, **changes)


def is_spent(rig: Rig, permit: PermitIssued) -> bool:
    return rig.store.is_spent(permit.id)


# ---------------------------------------------------------------- openings


def test_an_opening_is_spent_allowed_sent_and_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            permit = permit_of(1, limit_price=101.07)
            rig.authorize = lambda each: rig.authorized.append(each.id) if is_spent(rig, each) else None
            rig.issue(permit)
            result = await rig.until(permit, FILLED)
            assert (result.filled_steps, result.filled_value, result.fees) == (10, 1.0, 0.001)
            assert rig.authorized == [permit.id]
            (order,) = rig.venue.placed
            assert order.client_id == rig.ids.of(permit.id)
            assert (order.limit_price, order.immediate, order.reduce_only, order.steps) == (101.0, True, False, 10)
            await rig.see(lambda: rig.store.alive() == ())

    asyncio.run(story())


def test_openings_leave_so_many_at_a_time_and_an_exit_waits_for_none_of_them(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            hang = Hang()
            rig.venue.every["set_leverage"] = hang
            symbols = [f"S{number}" for number in range(OPENINGS_MAX + 3)]
            permits = [permit_of(number, symbol=symbol) for number, symbol in enumerate(symbols, 1)]
            rig.issue(*permits)
            await rig.see(lambda: rig.venue.calls.count("set_leverage") == OPENINGS_MAX)
            rig.venue.held["BTC"] = 10
            rig.issue(way_out := close_of(100))
            await rig.until(way_out, FILLED)
            assert rig.venue.calls.count("set_leverage") == OPENINGS_MAX
            assert not any(is_spent(rig, permit) for permit in permits)
            hang.gate.set()
            for permit in permits:
                await rig.until(permit, REJECTED)  # the venue lists no such symbol
            assert rig.venue.calls.count("set_leverage") == len(permits)

    asyncio.run(story())


def test_W14_a_permit_that_the_gate_did_not_seal_is_not_believed(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            sealed = bytearray(rig.gate.seal(permit_of(1)))
            sealed[-1] ^= 1
            rig.bus.publish(PERMITS, bytes(sealed))
            rig.bus.publish(PERMITS, b"")
            rig.issue(good := permit_of(2))
            await rig.until(good, FILLED)
            assert len(rig.troubles) == 2
            assert len(rig.venue.placed) == 1

    asyncio.run(story())


def test_two_copies_of_a_permit_come_to_one_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            permit, other = permit_of(1), permit_of(2)
            rig.issue(permit, permit, permit, other)
            await rig.until(other, FILLED)
            rig.issue(permit, last := permit_of(3))
            await rig.until(last, FILLED)
            assert rig.states(permit) == [FILLED]
            assert len(rig.venue.placed) == 3

    asyncio.run(story())


@pytest.mark.parametrize(
    ("mode", "why"), [(KillMode.REDUCE_ONLY, "reduce_only"), (KillMode.FLATTEN, "flatten"), (KillMode.FREEZE, "freeze")]
)
def test_no_opening_leaves_while_killed(tmp_path: Path, mode: KillMode, why: str) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.killed = lambda strategy, symbol: mode if (strategy, symbol) == ("trend", "BTC") else None
            rig.issue(permit := permit_of(1), free := permit_of(2, symbol="ETH"))
            result = await rig.until(permit, REJECTED)
            assert result.benign
            assert why in result.reason
            await rig.until(free, FILLED)
            assert [order.symbol for order in rig.venue.placed] == ["ETH"]
            assert is_spent(rig, permit)

    asyncio.run(story())


def test_a_kill_that_comes_while_the_permit_is_being_spent_keeps_its_order_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            spend = rig.store.spend

            def killed_meanwhile(*given: Any) -> None:
                rig.killed = lambda strategy, symbol: KillMode.REDUCE_ONLY
                spend(*given)

            monkeypatch.setattr(rig.store, "spend", killed_meanwhile)
            rig.issue(permit := permit_of(1))
            assert "kill switch" in (await rig.until(permit, REJECTED)).reason
            assert (rig.venue.placed, is_spent(rig, permit)) == ([], True)

    asyncio.run(story())


def test_W10_a_kill_switch_that_cannot_be_read_is_on(tmp_path: Path) -> None:
    def unreadable(strategy: str, symbol: str) -> KillMode | None:
        raise OSError("bad sector")

    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.killed = unreadable
            rig.venue.held["BTC"] = 10
            rig.issue(opening := permit_of(1), closing := close_of(2))
            await rig.until(opening, REJECTED)
            await rig.until(closing, FILLED)
            assert any("bad sector" in trouble for trouble in rig.troubles)

    asyncio.run(story())


@pytest.mark.parametrize("mode", [KillMode.REDUCE_ONLY, KillMode.FLATTEN, KillMode.NONE, None])
def test_a_close_leaves_whatever_kill_but_a_freeze(tmp_path: Path, mode: KillMode | None) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.killed = lambda strategy, symbol: mode
            rig.venue.held["BTC"] = 10
            rig.issue(permit := close_of(1))
            await rig.until(permit, FILLED)
            (order,) = rig.venue.placed
            assert order.reduce_only
            assert order.immediate
            assert isnan(order.limit_price)

    asyncio.run(story())


def test_a_freeze_keeps_exits_back_but_not_the_operators_and_no_stop(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.killed = lambda strategy, symbol: KillMode.FREEZE
            rig.venue.held["BTC"] = 10
            rig.issue(held_back := close_of(1))
            assert "frozen" in (await rig.until(held_back, REJECTED)).reason
            rig.issue(stop := stop_of(2))
            await rig.until(stop, WORKING)
            rig.issue(by_hand := close_of(3, source="operator"))
            await rig.until(by_hand, FILLED)

    asyncio.run(story())


# ---------------------------------------------------------------- the engine's word


@pytest.mark.parametrize("reduce_only", [False, True])
def test_what_the_engine_has_voided_is_not_sent(tmp_path: Path, reduce_only: bool) -> None:
    def void(permit: PermitIssued) -> None:
        if permit.id == first.id:
            raise PermitVoid("revoked")

    first = permit_of(1, reduce_only=reduce_only)

    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.authorize = void
            rig.issue(first, second := permit_of(2))
            await rig.until(second, FILLED)
            await rig.see(lambda: is_spent(rig, first) and rig.store.alive() == ())
            assert rig.states(first) == []
            assert [order.client_id for order in rig.venue.placed] == [rig.ids.of(second.id)]

    asyncio.run(story())


def test_without_an_engine_nothing_opens_and_what_reduces_leaves(tmp_path: Path) -> None:
    def away(permit: PermitIssued) -> None:
        raise EngineAway("it is being rebuilt")

    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.authorize = away
            rig.venue.held["BTC"] = 10
            rig.issue(opening := permit_of(1))
            assert (await rig.until(opening, REJECTED)).benign
            rig.issue(closing := close_of(2))
            await rig.until(closing, FILLED)
            assert rig.venue.held["BTC"] == 0

    asyncio.run(story())


def test_what_the_engine_holds_for_used_is_asked_after_and_not_sent(tmp_path: Path) -> None:
    def used(permit: PermitIssued) -> None:
        raise PermitSpent("in flight")

    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.authorize = used
            rig.issue(permit := permit_of(1))
            await rig.see(lambda: "order" in rig.venue.calls)
            rig.clock.advance(11.0)
            await rig.until(permit, REJECTED)
            assert rig.venue.placed == []
            assert rig.troubles

    asyncio.run(story())


def test_a_revoked_permit_is_not_sent(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            first, closing, cancelled, last = permit_of(1), close_of(2), permit_of(4), permit_of(3)
            for each in (first, closing):
                rig.issue(PermitRevoked(each.id, PermitState.REVOKED, Code.KILL_SWITCH))
            rig.issue(CancelOrders((cancelled.id,), Code.KILL_SWITCH))
            rig.issue(first, closing, cancelled, last)
            await rig.until(last, FILLED)
            for each in (first, closing, cancelled):
                assert (await rig.until(each, REJECTED)).benign
            assert len(rig.venue.placed) == 1

    asyncio.run(story())


@pytest.mark.parametrize("changes", [{"epoch": 1}, {"expires_ns": NOW_NS - 1}, {"fence": 0}])
def test_an_outdated_or_expired_opening_is_not_sent(tmp_path: Path, changes: dict[str, Any]) -> None:
    async def story() -> None:
        rig = Rig(tmp_path / "spent")
        epoch = rig.store.open_epoch(1)
        async with rig.running():
            rig.issue(permit_of(1, epoch=epoch, fence=1))
            await rig.until(permit_of(1, epoch=epoch), FILLED)
            rig.issue(permit_of(2, **{"epoch": epoch, "fence": 1, **changes}))
            rig.issue(last := permit_of(3, epoch=epoch, fence=1))
            await rig.until(last, FILLED)
            assert len(rig.venue.placed) == 2

    asyncio.run(story())


# ---------------------------------------------------------------- the venue's answers


@pytest.mark.parametrize("benign", [False, True])
def test_a_rejection_is_told_as_the_venue_told_it(tmp_path: Path, benign: bool) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.mishaps["place"].append(VenueRejected("margin", benign=benign))
            rig.issue(permit := permit_of(1))
            result = await rig.until(permit, REJECTED)
            assert (result.reason, result.benign) == ("margin", benign)
            await rig.see(lambda: rig.store.alive() == ())

    asyncio.run(story())


@pytest.mark.parametrize("mishap", [AnswerLost(), Hang()])
def test_an_order_whose_answer_is_lost_is_unknown_until_the_venue_says(tmp_path: Path, mishap: AnswerLost | Hang) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent", replace(HASTY, store_s=SOON_S)).running() as rig:
            permit = permit_of(1)
            rig.venue.mishaps["place"].append(Hang() if isinstance(mishap, Hang) else mishap)
            rig.issue(permit)
            await rig.until(permit, UNKNOWN)
            assert any(isinstance(each, VenueError) for each in rig.told)
            if isinstance(mishap, Hang):
                rig.clock.advance(1.0)
                await rig.until(permit, REJECTED)
            else:
                await rig.until(permit, FILLED)
            assert len(rig.venue.placed) <= 1

    asyncio.run(story())


def test_not_found_proves_nothing_before_its_time_nor_without_fresh_readings(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.mishaps["place"].append(VenueUnreachable("reset by peer"))
            rig.venue.every |= {"open_orders": VenueUnreachable("down"), "fills_since": VenueUnreachable("down")}
            rig.issue(permit := permit_of(1))
            await rig.until(permit, UNKNOWN)
            rig.clock.advance(9.9)
            asked = rig.venue.calls.count("order")
            await rig.see(lambda: rig.venue.calls.count("order") > asked + 3)
            assert "open_orders" not in rig.venue.calls
            rig.clock.advance(0.2)
            await rig.see(lambda: rig.venue.calls.count("open_orders") > 2)
            rig.venue.every.pop("open_orders")
            await rig.see(lambda: rig.venue.calls.count("fills_since") > 2)
            assert rig.states(permit) == [UNKNOWN]
            rig.venue.every.pop("fills_since")
            result = await rig.until(permit, REJECTED)
            assert result.benign
            assert rig.venue.placed == []
            assert rig.states(permit) == [UNKNOWN, REJECTED]

    asyncio.run(story())


def test_an_order_that_the_venue_denies_is_found_among_its_fills(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            permit = permit_of(1)
            rig.venue.hidden.add(rig.ids.of(permit.id))
            rig.venue.mishaps["place"].append(AnswerLost())
            rig.issue(permit)
            await rig.until(permit, UNKNOWN)
            rig.clock.advance(10.1)
            assert (await rig.until(permit, FILLED)).filled_steps == 10

    asyncio.run(story())


def test_what_turns_up_after_its_absence_was_proven_is_cancelled_and_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            permit, name = permit_of(1), rig.ids.of(permit_of(1).id)
            rig.venue.fills = False
            rig.venue.hidden.add(name)
            rig.venue.mishaps["place"].append(AnswerLost())
            rig.issue(permit)
            await rig.until(permit, UNKNOWN)
            rig.clock.advance(10.1)
            await rig.until(permit, REJECTED)
            rig.venue.hidden.clear()
            rig.venue.stream.put_nowait(rig.venue.change(name, filled_steps=3, filled_value=0.3, state=PARTIAL))
            assert (await rig.until(permit, PARTIAL)).filled_steps == 3
            assert (await rig.until(permit, CANCELLED)).filled_steps == 3

    asyncio.run(story())


def test_an_answer_for_another_order_is_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            permit = permit_of(1)
            accept = rig.venue._accept
            rig.venue._accept = lambda order: rig.venue.orders.setdefault("another", accept(order))  # type: ignore[method-assign]
            rig.venue.orders["another"] = rig.venue._accept(_order("another"))
            rig.issue(permit)
            await rig.until(permit, UNKNOWN)
            await rig.until(permit, FILLED)

    asyncio.run(story())


def _order(name: str) -> VenueOrder:
    return VenueOrder(name, "ETH", 1, 1)


def test_a_crash_in_the_adapter_is_no_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.mishaps["place"].append(KeyError("avgPrice"))
            rig.venue.stream.put_nowait(KeyError("o"))
            rig.issue(permit := permit_of(1))
            assert "avgPrice" in (await rig.until(permit, UNKNOWN)).reason
            await rig.see(lambda: rig.venue.subscribed == 2)

    asyncio.run(story())


def test_what_the_venue_says_is_passed_on_as_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.fills = False
            permit, name = permit_of(1), rig.ids.of(permit_of(1).id)
            rig.issue(permit)
            await rig.until(permit, WORKING)
            strange = rig.venue.change(name, filled_steps=12, filled_value=nan, fees=-nan, state=PARTIAL, at_ns=7)
            rig.venue.stream.put_nowait(strange)
            result = await rig.until(permit, PARTIAL)
            assert (result.filled_steps, result.at_ns) == (12, 7)
            assert isnan(result.filled_value)
            assert isnan(result.fees)
            rig.venue.stream.put_nowait(strange)
            rig.venue.change(name, state=CANCELLED)
            await rig.until(permit, CANCELLED)
            assert rig.states(permit) == [WORKING, PARTIAL, CANCELLED]

    asyncio.run(story())


def test_repeats_and_stale_words_after_the_end_are_no_news_but_more_fills_are(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.fills = False
            permit, name = permit_of(1), rig.ids.of(permit_of(1).id)
            rig.issue(permit)
            working = rig.venue.orders.get(name) or (await rig.until(permit, WORKING), rig.venue.orders[name])[1]
            over = rig.venue.change(name, filled_steps=4, filled_value=0.4, state=CANCELLED)
            for report in (over, over, working):
                rig.venue.stream.put_nowait(report)
            rig.venue.stream.put_nowait(rig.venue.change(name, filled_steps=6, filled_value=0.6))
            while (await rig.until(permit, CANCELLED)).filled_steps < 6:
                pass
            assert rig.states(permit) == [WORKING, CANCELLED, CANCELLED]

    asyncio.run(story())


@pytest.mark.parametrize("answer", [VenueRejected("duplicate name"), VenueUnreachable("down")])
def test_what_the_stream_has_told_outweighs_a_lost_or_contrary_answer(tmp_path: Path, answer: Exception) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            permit, stuck = permit_of(1), Hang()
            rig.venue.mishaps["place"].append(stuck)
            rig.issue(permit)
            await rig.see(lambda: "place" in rig.venue.calls)
            order = VenueOrder(rig.ids.of(permit.id), "BTC", 1, 10, 101.0, immediate=False)
            rig.venue.stream.put_nowait(rig.venue._accept(order))
            await rig.until(permit, WORKING)
            rig.venue.rejoinder = answer
            stuck.gate.set()
            rig.venue.fill(order.client_id)
            await rig.until(permit, FILLED)
            assert rig.states(permit) == [WORKING, FILLED]

    asyncio.run(story())


def test_orders_of_others_are_nobodys_here(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.issue(permit := permit_of(1))
            await rig.until(permit, FILLED)
            report = rig.venue.orders[rig.ids.of(permit.id)]
            for name in ("", "web_1", rig.ids.direct(NOW_NS, 1), rig.ids.of(1)[:-1]):
                rig.venue.orders[name] = report
                rig.venue.stream.put_nowait(rig.venue.change(name, client_id=name))
            rig.issue(last := permit_of(2))
            await rig.until(last, FILLED)
            await rig.see(rig.venue.stream.empty)
            assert [
                each for each in rig.told if isinstance(each, Executed) and each.permit not in (permit.id, last.id)
            ] == []

    asyncio.run(story())


def test_a_lost_stream_is_found_again_and_what_was_missed_is_asked_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.held["BTC"] = 10
            rig.issue(permit := stop_of(1))
            await rig.until(permit, WORKING)
            rig.venue.fill(rig.ids.of(permit.id))
            rig.venue.stream.put_nowait(VenueUnreachable("closed by peer"))
            assert (await rig.until(permit, FILLED)).filled_steps == 10
            await rig.see(lambda: rig.venue.subscribed == 2)
            assert VenueError("the stream of orders: closed by peer") in rig.told

    asyncio.run(story())


# ---------------------------------------------------------------- leverage, ticks, budget


def test_W39_leverage_is_set_while_flat_and_read_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.issue(first := permit_of(1))
            await rig.until(first, FILLED)
            assert rig.venue.leverages == {"BTC": 10.0}
            assert rig.venue.calls.index("set_leverage") < rig.venue.calls.index("place")
            rig.issue(more := permit_of(2), close := close_of(3, margin_leverage=3.0))
            await rig.until(more, FILLED)
            await rig.see(lambda: is_spent(rig, close))
            rig.issue(other := permit_of(4, margin_leverage=9.0))
            await rig.see(lambda: is_spent(rig, other))
            assert rig.venue.calls.count("set_leverage") == 1

    asyncio.run(story())


@pytest.mark.parametrize("case", ["held", "refused", "ignored", "unreachable", "on its way"])
def test_W39_an_opening_does_not_leave_at_another_leverage(tmp_path: Path, case: str) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            benign = case in ("held", "unreachable", "on its way")
            if case == "held":
                rig.venue.held["BTC"] = 5
            elif case == "refused":
                rig.venue.mishaps["set_leverage"].append(VenueRejected("not offered"))
            elif case == "ignored":
                rig.venue.leverage_sticks = True
            elif case == "unreachable":
                rig.venue.mishaps["leverage"].append(VenueUnreachable("down"))
            else:
                rig.venue.fills = False
                rig.issue(resting := permit_of(9, margin_leverage=nan))
                await rig.until(resting, WORKING)
            placed = len(rig.venue.placed)
            rig.issue(permit := permit_of(1))
            result = await rig.until(permit, REJECTED)
            assert result.benign is benign
            assert len(rig.venue.placed) == placed
            assert any(isinstance(each, VenueError) for each in rig.told) is (case == "unreachable")

    asyncio.run(story())


def test_an_opening_needs_a_known_tick_and_a_close_does_not(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path / "spent")
        rig.venue.every["instruments"] = VenueUnreachable("down")
        rig.venue.held["BTC"] = 10
        async with rig.running():
            rig.issue(opening := permit_of(1, margin_leverage=nan))
            await rig.until(opening, REJECTED)
            rig.issue(closing := close_of(2, limit_price=99.97))
            await rig.until(closing, WORKING)
            assert rig.venue.placed[0].limit_price == 99.97
            del rig.venue.every["instruments"]
            rig.issue(unlisted := permit_of(3, symbol="XYZ", margin_leverage=nan), unheard := permit_of(6, symbol="QQQ"))
            rig.venue.mishaps["leverage"].append(VenueRejected("no such symbol"))
            await rig.until(unlisted, REJECTED)
            await rig.until(unheard, REJECTED)
            rig.issue(priceless := permit_of(4, limit_price=nan, margin_leverage=nan))
            await rig.until(priceless, REJECTED)
            rig.issue(opening := permit_of(5, margin_leverage=nan))
            await rig.until(opening, FILLED)

    asyncio.run(story())


def test_openings_wait_for_room_and_closes_do_not(tmp_path: Path) -> None:
    async def story() -> None:
        limits = RateLimits(orders_per_ten_s=3)
        async with Rig(tmp_path / "spent", limits=limits).running() as rig:
            rig.issue(first := permit_of(1))
            await rig.until(first, FILLED)
            rig.issue(waiting := permit_of(2))
            closes = [close_of(number, steps=1) for number in range(3, 9)]
            rig.issue(*closes)
            for close in closes:
                await rig.until(close, FILLED)
            assert len(rig.venue.placed) == 7
            rig.clock.advance(10.1)
            await rig.until(waiting, FILLED)
            rig.issue(hopeless := permit_of(10, expires_ns=rig.clock.wall + 6 * NS_PER_S))
            await asyncio.sleep(0.05)
            rig.clock.advance(2.0)
            assert "limits" in (await rig.until(hopeless, REJECTED)).reason

    asyncio.run(story())


# ---------------------------------------------------------------- nothing delays a close


def test_a_hanging_opening_delays_neither_a_close_nor_another_symbol(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.held["BTC"] = 10
            rig.venue.leverages = {"BTC": 10.0, "ETH": 10.0}
            stuck = Hang()
            rig.venue.mishaps["place"].append(stuck)
            rig.issue(permit_of(1), behind := permit_of(2))
            await rig.see(lambda: rig.venue.calls.count("place") == 1)
            rig.issue(close := close_of(3), other := permit_of(4, symbol="ETH"))
            await rig.until(close, FILLED)
            await rig.until(other, FILLED)
            assert not is_spent(rig, behind)
            stuck.gate.set()
            await rig.until(behind, FILLED)

    asyncio.run(story())


# ---------------------------------------------------------------- stops and cancellations


def test_a_stop_rests_at_the_venue_on_a_tick_that_fires_no_earlier(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.held["BTC"] = 10
            rig.issue(permit := stop_of(1, limit_price=94.0))
            await rig.until(permit, WORKING)
            rig.issue(finer := permit_of(2, reduce_only=True, trigger_price=95.01))
            await rig.until(finer, WORKING)
            one, two = rig.venue.placed
            assert (one.trigger_price, one.immediate, one.reduce_only) == (95.0, False, True)
            assert isnan(one.limit_price)
            assert two.trigger_price == 95.0
            assert rig.executor.flights[0].resting

    asyncio.run(story())


@pytest.mark.parametrize(
    "mishaps", [[], [VenueUnreachable("down")], [AnswerLost(), VenueUnreachable("down")], [VenueRejected("no")]]
)
def test_a_cancellation_is_repeated_until_the_venue_confirms(tmp_path: Path, mishaps: list[Exception]) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.fills = False
            rig.issue(permit := permit_of(1))
            await rig.until(permit, WORKING)
            rig.venue.mishaps["cancel"].extend(mishaps)
            rig.issue(CancelOrders((permit.id,), Code.KILL_SWITCH), CancelOrders((permit.id,), Code.KILL_SWITCH))
            await rig.until(permit, CANCELLED)
            failed = [each for each in rig.told if isinstance(each, VenueError)]
            assert len(failed) == len(mishaps) or AnswerLost in map(type, mishaps)
            assert all(each.reducing for each in failed)

    asyncio.run(story())


def test_a_cancellation_overtaken_by_the_fill_is_no_failure(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.fills = False
            rig.issue(permit := permit_of(1))
            await rig.until(permit, WORKING)
            rig.venue.mishaps["cancel"].append(VenueRejected("unknown order"))
            rig.venue.fill(rig.ids.of(permit.id))
            rig.issue(CancelOrders((permit.id,), Code.KILL_SWITCH))
            await rig.until(permit, FILLED)
            assert not any(isinstance(each, VenueError) for each in rig.told)

    asyncio.run(story())


def test_a_cancellation_reaches_an_order_that_is_still_being_sent(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.fills = False
            stuck = Hang()
            rig.venue.mishaps["place"].append(stuck)
            rig.issue(permit := permit_of(1))
            await rig.see(lambda: "place" in rig.venue.calls)
            rig.issue(CancelOrders((permit.id,), Code.KILL_SWITCH))
            await rig.see(lambda: rig.venue.calls.count("cancel") > 1)
            stuck.gate.set()
            await rig.until(permit, CANCELLED)

    asyncio.run(story())


def test_a_cancellation_of_what_is_over_asks_the_venue_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.issue(permit := permit_of(1))
            await rig.until(permit, FILLED)
            rig.issue(CancelOrders((permit.id,), Code.KILL_SWITCH), last := permit_of(2))
            await rig.until(last, FILLED)
            assert not {"cancel", "open_orders"} & set(rig.venue.calls)

    asyncio.run(story())


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.service.execution.tracker.ENDED_KEPT", 3)
    monkeypatch.setattr("interlock.service.execution.executor.REVOKED_KEPT", 3)

    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            for number in range(8):
                rig.issue(PermitRevoked(100 + number, PermitState.REVOKED, Code.KILL_SWITCH), permit := permit_of(number))
                await rig.until(permit, FILLED)
            assert len(rig.executor._revoked) == 3
            assert len(rig.executor._tracker._ended) == 3

    asyncio.run(story())


def test_a_venue_that_was_closed_is_not_listened_to_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            await rig.venue.close()
            rig.issue(permit := permit_of(1))
            await rig.until(permit, FILLED)
            assert rig.venue.subscribed == 1

    asyncio.run(story())


def test_an_order_of_which_nothing_is_known_here_is_cancelled_where_it_rests(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.fills = False
            old, gone = permit_of(7), permit_of(8)
            await rig.venue.place(VenueOrder(rig.ids.of(old.id), "BTC", 1, 10, 90.0))
            rig.venue.mishaps["open_orders"].append(VenueUnreachable("down"))
            rig.issue(CancelOrders((old.id, gone.id), Code.KILL_SWITCH))
            await rig.until(old, CANCELLED)
            assert rig.states(gone) == []

    asyncio.run(story())


# ---------------------------------------------------------------- a spent-set that fails


@pytest.mark.parametrize("hangs", [False, True])
def test_law_07_a_failing_spent_set_stops_openings_and_no_close(tmp_path: Path, hangs: bool) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent", HASTY).running() as rig:
            rig.venue.held["BTC"] = 10
            if hangs:
                rig.store.lets_go.clear()
            else:
                rig.store.fails |= {"spend", "record"}
            opening, closing = permit_of(1, symbol="ETH"), close_of(2)
            rig.issue(opening, closing, closing)
            await rig.until(closing, FILLED)
            await rig.see(lambda: len(rig.troubles) >= 2)
            assert [order.symbol for order in rig.venue.placed] == ["BTC"]
            assert rig.states(opening) == []
            rig.issue(closing)
            rig.store.lets_go.set()
            rig.store.fails.clear()
            await rig.see(lambda: is_spent(rig, closing))
            rig.issue(closing, last := close_of(3))
            await rig.until(last, REJECTED)
            assert len(rig.venue.placed) == 1 + 1

    asyncio.run(story())


@pytest.mark.parametrize(
    ("held", "sent"), [({"BTC": 4}, [4]), ({"BTC": 10}, [10]), ({}, []), ({"BTC": -10}, []), (None, [10])]
)
def test_a_close_spent_from_memory_is_bounded_by_the_position(
    tmp_path: Path, held: dict[str, int] | None, sent: list[int]
) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.store.fails.add("spend")
            rig.venue.held["BTC"] = 10
            rig.reconciled = held
            rig.issue(permit := close_of(1))
            if sent:
                result = await rig.until(permit, FILLED if sent == [10] else CANCELLED)
                assert result.filled_steps == sent[0]
            else:
                assert (await rig.until(permit, REJECTED)).benign
            assert [order.steps for order in rig.venue.placed] == sent

    asyncio.run(story())


def test_closes_under_way_leave_less_to_close_from_memory_and_stops_do_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.fills = False
            rig.venue.held["BTC"] = 10
            rig.reconciled = {"BTC": 10}
            rig.issue(stop := stop_of(1), first := close_of(2, steps=7))
            await rig.until(stop, WORKING)
            await rig.until(first, WORKING)
            rig.store.fails.add("spend")
            rig.issue(second := close_of(3), another := stop_of(4))
            await rig.until(second, WORKING)
            await rig.until(another, WORKING)
            assert {order.client_id: order.steps for order in rig.venue.placed[2:]} == {
                rig.ids.of(second.id): 3,
                rig.ids.of(another.id): 10,
            }

    asyncio.run(story())


def test_the_end_of_an_order_is_recorded_when_the_disk_is_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.store.fails.add("finish")
            rig.issue(permit := permit_of(1))
            await rig.until(permit, FILLED)
            rig.issue(other := permit_of(2))
            await rig.until(other, FILLED)
            assert len(rig.store.alive()) == 2
            rig.store.fails.clear()
            await rig.see(lambda: rig.store.alive() == ())

    asyncio.run(story())


# ---------------------------------------------------------------- the next start


def test_orders_of_the_last_run_are_asked_after_before_anything_else(tmp_path: Path) -> None:
    async def story() -> None:
        before = Rig(tmp_path / "spent")
        filled, resting, lost = permit_of(1), stop_of(2), permit_of(3, symbol="ETH")
        for each in (filled, resting, lost):
            before.store.spend(each, before.gate.seal(each), NOW_NS)
        before.store.close()
        rig = Rig(tmp_path / "spent")
        for each in (filled, resting):
            await rig.venue.place(order_of(each, rig.ids.of(each.id), 10, 0.1))
        rig.venue.calls.clear()
        epoch = rig.store.open_epoch(1)
        rig.issue(new := permit_of(1, epoch=epoch, symbol="SOL"))
        async with rig.running():
            assert (await rig.until(filled, FILLED)).filled_steps == 10
            await rig.until(resting, WORKING)
            await rig.until(lost, UNKNOWN)
            await rig.until(new, FILLED)
            assert rig.venue.calls.index("order") < rig.venue.calls.index("place")
            rig.clock.advance(10.1)
            await rig.until(lost, REJECTED)
            await rig.see(lambda: [each.permit for each in rig.store.alive()] == [resting.id])
            assert len(rig.venue.placed) == 3

    asyncio.run(story())


def test_a_start_without_an_answer_tells_that_nothing_is_known_and_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path / "spent")
        old, foreign = permit_of(1), permit_of(2)
        rig.store.spend(old, rig.gate.seal(old), NOW_NS)
        rig.store.spend(foreign, b"sealed with a key that is no more", NOW_NS)
        rig.venue.mishaps["order"].append(VenueUnreachable("down"))
        rig.venue.held["BTC"] = 10
        async with rig.running():
            await rig.until(old, UNKNOWN)
            rig.issue(close := close_of(3))
            await rig.until(close, FILLED)
            assert any("can no longer be opened" in trouble for trouble in rig.troubles)

    asyncio.run(story())


def test_a_start_without_the_spent_set_asks_after_what_the_engine_believes_in_flight(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path / "spent")
        rig.store.fails.add("alive")
        believed = permit_of(1)
        rig.executor.resume(believed.id, "BTC", 1, 10, reduce_only=False, resting=False)
        async with rig.running():
            await rig.until(believed, UNKNOWN)
            rig.clock.advance(10.1)
            await rig.until(believed, REJECTED)
            assert "not known from the spent-set" in rig.troubles[0]

    asyncio.run(story())


def test_a_stop_lets_orders_under_way_be_answered_and_leaves_what_rests(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.venue.held["BTC"] = 10
            rig.issue(stop := stop_of(1))
            await rig.until(stop, WORKING)
            stuck = Hang()
            rig.venue.mishaps["place"].append(stuck)
            rig.issue(close := close_of(2))
            await rig.see(lambda: rig.venue.calls.count("place") == 2)
            rig.executor.stop()
            rig.issue(late := permit_of(3, symbol="ETH"))
            await asyncio.sleep(0.01)
            stuck.gate.set()
            await rig.until(close, FILLED)
            assert rig.venue.orders[rig.ids.of(stop.id)].state == WORKING
        assert rig.states(late) == []

    asyncio.run(story())


# ---------------------------------------------------------------- closing past the engine


def test_a_direct_close_needs_neither_engine_nor_spent_set_nor_latch(tmp_path: Path) -> None:
    def away(permit: PermitIssued) -> None:
        raise EngineAway("gone")

    async def story() -> None:
        async with Rig(tmp_path / "spent").running() as rig:
            rig.authorize = away
            rig.killed = lambda strategy, symbol: KillMode.FREEZE
            rig.store.fails.add("spend")
            rig.venue.held |= {"BTC": 10, "ETH": -4}
            result = await rig.executor.close_directly("BTC", "alice")
            assert (result.flat, result.problems) == (True, ())
            message = await rig.hear()
            assert message == PositionsReported((PositionAt("ETH", -4, 100.0),), 1)
            assert rig.ids.permit_in(rig.venue.placed[0].client_id) is None
            rig.venue.mishaps["positions"].extend([None, None, VenueUnreachable("down")])
            assert (await rig.executor.close_directly(None, "alice")).flat
            assert isinstance(await rig.hear(), VenueError)

    asyncio.run(story())


def test_an_exit_that_was_permitted_before_the_stop_leaves_and_an_opening_does_not(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path / "spent.sqlite")
        rig.venue.held["BTC"] = 10
        async with rig.running():
            rig.issue(permit_of(1, symbol="ETH"), permit_of(2, reduce_only=True))
            rig.executor.stop()
        assert [each.symbol for each in rig.venue.placed] == ["BTC"]

    asyncio.run(story())


def test_a_stop_is_on_the_tick_although_the_venue_was_silent_at_the_start(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path / "spent.sqlite")
        rig.venue.held["BTC"] = 10
        rig.venue.mishaps["instruments"].append(VenueUnreachable("down"))
        async with rig.running():
            rig.issue(stop := msgspec.structs.replace(stop_of(1), trigger_price=97.03))
            await rig.until(stop, WORKING)
        assert [each.trigger_price for each in rig.venue.placed] == [97.0]

    asyncio.run(story())


@pytest.mark.parametrize("nonsense", [-1, 2**70])
def test_what_no_order_can_have_filled_is_not_believed_and_is_asked_again(tmp_path: Path, nonsense: int) -> None:
    async def story() -> None:
        rig = Rig(tmp_path / "spent.sqlite")
        rig.venue.held["BTC"] = 10
        async with rig.running():
            rig.issue(stop := stop_of(1))
            await rig.until(stop, WORKING)
            report = rig.venue.orders[rig.ids.of(stop.id)]
            rig.venue.stream.put_nowait(msgspec.structs.replace(report, filled_steps=nonsense, state=FILLED))
            await rig.hear()
            assert isinstance(rig.told[-1], VenueError)
            rig.venue.stream.put_nowait(rig.venue.fill(report.client_id))
            assert (await rig.until(stop, FILLED)).filled_steps == 10

    asyncio.run(story())


def test_a_stop_that_the_engine_knows_nothing_of_goes_when_another_protects_the_position(tmp_path: Path) -> None:
    async def story() -> None:
        before = Rig(tmp_path / "spent.sqlite")
        before.venue.held["BTC"] = 10
        async with before.running():
            before.issue(orphan := stop_of(1))
            await before.until(orphan, WORKING)
        rig = Rig(tmp_path / "spent.sqlite")
        rig.venue.held, rig.venue.orders = before.venue.held, before.venue.orders
        rig.reconciled = {"BTC": 10}
        async with rig.running():
            await rig.until(orphan, WORKING)
            await asyncio.sleep(0.05)
            assert "cancel" not in rig.venue.calls
            rig.issue(stop := stop_of(2))
            await rig.until(orphan, CANCELLED)
            assert rig.venue.orders[rig.ids.of(stop.id)].state == WORKING

    asyncio.run(story())


def test_one_that_protects_nothing_goes_at_once_and_so_does_an_opening(tmp_path: Path) -> None:
    async def story() -> None:
        before = Rig(tmp_path / "spent.sqlite")
        before.venue.held["BTC"] = 10
        before.venue.fills = False
        async with before.running():
            before.issue(orphan := stop_of(1), opening := permit_of(2, symbol="ETH"))
            await before.until(orphan, WORKING)
            await before.until(opening, WORKING)
        rig = Rig(tmp_path / "spent.sqlite")
        rig.venue.orders, rig.reconciled = before.venue.orders, {}
        async with rig.running():
            await rig.until(orphan, CANCELLED)
            await rig.until(opening, CANCELLED)

    asyncio.run(story())
