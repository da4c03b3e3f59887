"""
Exits on the gateway as it runs: two at once, during a partial one, of a position that shrank or was turned by hand.

Also a fill after the close, a stop that the venue refuses, and reads that never answer. The venue is the paper exchange,
and what it holds in the end is what is looked at.
"""

import asyncio
from pathlib import Path

import pytest

from drillkit import Rig, drilled
from interlock.adapters.venue import VenueOrder
from interlock.core.codes import CloseAction
from interlock.testing.unruly import Mischief

TARGET_ALONE = {"rules.TARGET_EXIT": "on"}


async def opened_with_target(rig: Rig, symbol: str = "BTC") -> None:
    """A position is held that the engine closes by itself as soon as it is 2 % up."""
    await rig.opened(symbol, 1, target_price=rig.prices[symbol] * 1.02)


def reach(rig: Rig, symbol: str = "BTC") -> None:
    """The market is well beyond the target."""
    rig.prices[symbol] = round(rig.row(symbol).target_price * 1.02, 2)


async def flat(rig: Rig, symbol: str = "BTC") -> None:
    await rig.until(lambda: symbol not in rig.truth() and rig.row(symbol).position == 0, f"{symbol} is flat")


async def by_hand(rig: Rig, steps: int, *, reduce_only: bool, symbol: str = "BTC") -> None:
    """Somebody trades past the gate, at the venue itself."""
    side = 1 if steps > 0 else -1
    await rig.exchange.place(VenueOrder("panic-hand", symbol, side, abs(steps), reduce_only=reduce_only))


def test_an_exit_closes_what_reaches_its_target(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await opened_with_target(rig)
        reach(rig)
        await flat(rig)

    drilled(tmp_path, play, changes=TARGET_ALONE)


def test_two_exits_at_once_close_once(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await opened_with_target(rig)
        reach(rig)
        wishes = [rig.closing("BTC", source=source, id=source) for source in ("bot", "exit", "operator")]
        await asyncio.gather(*(rig.gateway.submit(wish, hand_over=False) for wish in wishes))
        await flat(rig)

    drilled(tmp_path, play, changes=TARGET_ALONE)


def test_an_exit_during_a_partial_one_closes_the_rest(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await opened_with_target(rig)
        whole = rig.truth()["BTC"]
        rig.venue.begin(Mischief.PARTIAL_THEN_SILENT)
        proposal = rig.intent("BTC", -1, source="exit", reduce_only=True, rung="own", close=CloseAction.PARTIAL_50)
        await rig.gateway.submit(proposal, hand_over=False)
        await rig.until(lambda: rig.truth()["BTC"] < whole, "some of it is closed")
        reach(rig)
        half = rig.truth()["BTC"]
        await rig.until(lambda: rig.truth().get("BTC", 0) < half, "the exit closes more of it")
        rig.venue.end()
        await flat(rig)

    drilled(tmp_path, play, changes=TARGET_ALONE)


def test_an_exit_of_a_position_that_shrank_closes_what_is_left(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await opened_with_target(rig)
        whole = rig.truth()["BTC"]
        await by_hand(rig, -(whole // 3), reduce_only=True)
        reach(rig)
        await flat(rig)

    drilled(tmp_path, play, changes=TARGET_ALONE)


def test_a_position_that_was_turned_by_hand_is_left_alone(tmp_path: Path) -> None:
    rig = Rig(tmp_path, changes=TARGET_ALONE)

    async def play() -> None:
        async with rig.running():
            await opened_with_target(rig)
            whole = rig.truth()["BTC"]
            await by_hand(rig, -(whole + 100), reduce_only=False)
            await rig.until(lambda: rig.row("BTC").position == -100, "the engine knows what the venue holds")
            rig.prices["BTC"] = round(rig.prices["BTC"] * 0.95, 2)
            await rig.until(lambda: not rig.permits("BTC"), "stops of what was held before are gone")
            assert rig.truth()["BTC"] == -100
            answer = await rig.gateway.submit(rig.closing("BTC"), hand_over=False)
            assert answer.granted_steps == 100
            await flat(rig)

    asyncio.run(play())


def test_a_fill_after_the_close_opens_nothing(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await opened_with_target(rig)
        rig.venue.begin(Mischief.ANSWER_LOST, Mischief.REPORTS_LOST)
        reach(rig)
        await rig.until(lambda: "BTC" not in rig.truth(), "the venue closed it, and said nothing")
        await asyncio.sleep(1.5)
        assert "BTC" not in rig.truth()

    drilled(tmp_path, play, changes=TARGET_ALONE)


def test_a_stop_that_the_venue_refuses_is_a_close_past_the_patience(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        rig.venue.begin(Mischief.STOPS_REJECTED)
        answer = await rig.gateway.submit(rig.intent("BTC", 1, notional=1_000.0), hand_over=False)
        assert answer.allowed
        await rig.until(lambda: rig.truth().get("BTC"), "it is held, and has no stop")
        await flat(rig)

    drilled(tmp_path, play, changes=TARGET_ALONE)


def test_a_stop_that_the_venue_takes_and_drops_is_a_close_past_the_patience(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        while rig.truth().get("BTC"):
            for order in (await rig.exchange.open_orders()).orders:
                await rig.exchange.cancel(order.symbol, order.client_id)
            await asyncio.sleep(0.05)
        await flat(rig)

    drilled(tmp_path, play, changes=TARGET_ALONE)


@pytest.mark.parametrize("mischief", [Mischief.ORDER_UNKNOWN, Mischief.REPORTS_LOST, Mischief.ANSWER_HANGS])
def test_a_read_that_never_answers_holds_up_no_exit(mischief: Mischief, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await opened_with_target(rig)
        rig.venue.begin(mischief)
        reach(rig)
        await rig.until(lambda: "BTC" not in rig.truth(), "closed while nothing is heard")

    drilled(tmp_path, play, changes=TARGET_ALONE)
