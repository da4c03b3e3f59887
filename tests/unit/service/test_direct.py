import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any

import pytest

from interlock.adapters.venue import VenueOrder, VenueRejected, VenueUnreachable
from interlock.core.codes import PermitState
from interlock.service.execution.budget import Budget, RateLimits
from interlock.service.execution.direct import DirectClose, Manner, close_directly
from interlock.service.execution.line import Line, Patience
from interlock.service.execution.orderids import OrderIds
from unit.service.rig import EAGER, HASTY, REALM, SOON_S, HandClock
from unit.service.scripted import AnswerLost, Hang, ScriptedVenue

IDS = OrderIds(REALM)


class Scene:
    """A venue that holds something, and nobody else."""

    def __init__(self, patience: Patience = EAGER, **held: int) -> None:
        self.venue = ScriptedVenue()
        self.venue.held |= held
        self.clock = HandClock()
        self.line = Line(self.venue, Budget(RateLimits(), self.clock.mono_ns), patience)
        self.said: list[str] = []
        names = count()
        self.manner = Manner(
            lambda: IDS.direct(self.clock.wall_ns(), next(names)),
            lambda order: IDS.is_ours(order.client_id) and not order.reduce_only,
            self.said.append,
        )

    def close(self, symbol: str | None = None, timeout_s: float = 30.0) -> Coroutine[Any, Any, DirectClose]:
        return close_directly(self.line, self.clock, self.manner, symbol, timeout_s=timeout_s)


def run(scene: Scene, symbol: str | None = None, timeout_s: float = 30.0) -> DirectClose:
    return asyncio.run(asyncio.wait_for(scene.close(symbol, timeout_s), SOON_S))


def test_what_the_venue_holds_is_closed_reduce_only_at_market() -> None:
    scene = Scene(BTC=10, ETH=-4)
    assert run(scene) == DirectClose(result_left(), (), ())
    assert scene.venue.held == {"BTC": 0, "ETH": 0}
    assert {(order.symbol, order.side, order.steps) for order in scene.venue.placed} == {("BTC", -1, 10), ("ETH", 1, 4)}
    for order in scene.venue.placed:
        assert order.reduce_only
        assert order.limit_price != order.limit_price
        assert IDS.permit_in(order.client_id) is None


def result_left() -> Any:
    return asyncio.run(ScriptedVenue().positions())


def test_one_symbol_leaves_the_others_alone() -> None:
    scene = Scene(BTC=10, ETH=-4)
    assert run(scene, "BTC").flat
    assert scene.venue.held == {"BTC": 0, "ETH": -4}


def test_a_flat_account_is_left_alone() -> None:
    scene = Scene()
    assert run(scene).flat
    assert scene.venue.placed == []


def test_our_openings_are_cancelled_and_nothing_else() -> None:
    scene = Scene(BTC=10)
    venue = scene.venue
    venue.fills = False
    ours, stop, theirs = IDS.of(1), IDS.of(2), "web_3"

    async def rest() -> None:
        await venue.place(VenueOrder(ours, "BTC", 1, 5, 90.0, immediate=False))
        await venue.place(VenueOrder(stop, "BTC", -1, 10, trigger_price=95.0, reduce_only=True, immediate=False))
        await venue.place(VenueOrder(theirs, "BTC", 1, 5, 90.0, immediate=False))
        venue.fills = True

    asyncio.run(rest())
    assert run(scene).flat
    states = {name: venue.orders[name].state for name in (ours, stop, theirs)}
    assert states == {ours: PermitState.CANCELLED, stop: PermitState.WORKING, theirs: PermitState.WORKING}


@pytest.mark.parametrize("call", ["positions", "open_orders", "place", "cancel"])
@pytest.mark.parametrize(
    "mishap", [VenueUnreachable("down"), VenueRejected("no"), KeyError("x"), Hang()], ids=lambda each: type(each).__name__
)
def test_it_is_tried_again_until_the_venue_is_flat(call: str, mishap: Exception | Hang) -> None:
    if isinstance(mishap, VenueRejected) and call in ("positions", "open_orders"):
        mishap = VenueUnreachable("a question is never rejected")
    scene = Scene(HASTY, BTC=10)

    async def story() -> DirectClose:
        await scene.venue.place(VenueOrder(IDS.of(1), "BTC", 1, 5, 90.0, immediate=False))
        scene.venue.mishaps[call].extend([Hang() if isinstance(mishap, Hang) else mishap] * 2)
        return await scene.close()

    result = asyncio.run(asyncio.wait_for(story(), SOON_S))
    assert result.flat
    assert len(result.problems) >= 1
    assert scene.venue.held["BTC"] == 0


def test_an_order_whose_answer_is_lost_is_not_waited_for_and_never_flips() -> None:
    scene = Scene(BTC=10)
    scene.venue.mishaps["place"].append(AnswerLost())
    result = run(scene)
    assert result.flat
    assert scene.venue.held["BTC"] == 0


def test_a_symbol_that_hangs_holds_up_no_other() -> None:
    async def story() -> None:
        scene = Scene(BTC=10, ETH=4)
        hang = Hang()
        scene.venue.mishaps["place"].append(hang)
        closing = asyncio.create_task(scene.close())
        while scene.venue.held["ETH"]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert scene.venue.held["BTC"] == 10
        hang.gate.set()
        assert (await closing).flat

    asyncio.run(asyncio.wait_for(story(), SOON_S))


def test_what_is_left_is_told_when_the_time_is_over() -> None:
    async def story() -> None:
        scene = Scene(BTC=10)
        scene.venue.every["place"] = VenueRejected("market closed")
        closing = asyncio.create_task(scene.close())
        while scene.venue.calls.count("place") < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        scene.clock.advance(31.0)
        result = await closing
        assert not result.flat
        assert result.left is not None
        assert [each.steps for each in result.left.positions] == [10]
        assert result.problems == ("closing BTC: the venue says no: market closed",)

    asyncio.run(asyncio.wait_for(story(), SOON_S))


def test_a_venue_that_cannot_be_read_is_never_called_flat() -> None:
    scene = Scene()
    scene.venue.every |= {"positions": VenueUnreachable("down"), "open_orders": VenueUnreachable("down")}
    result = run(scene, timeout_s=0.0)
    assert not result.flat
    assert (result.left, result.resting) == (None, None)
    assert len(result.problems) == 2
