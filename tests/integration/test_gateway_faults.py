"""
The way out in every fault: whatever is broken, a close by somebody entitled reaches the venue while it is broken.

Where no order can reach the venue, it leaves as soon as one can, without anybody asking again.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from drillkit import Rig, drilled
from interlock.adapters.bus import PERMITS, RESULTS
from interlock.adapters.venue import VenueUnreachable
from interlock.core import engine as engines
from interlock.core.codes import KillMode, Scope
from interlock.core.messages import KillSet, Quarantined, Tick
from interlock.testing.unruly import Mischief

M = Mischief
PATIENCE_S = 1.2
"""Longer than a drill's policy lets a silent close hold up the next one."""


def mischief(*kinds: Mischief) -> Callable[[Rig], None]:
    return lambda rig: rig.venue.begin(*kinds)


def slow_disk(rig: Rig) -> None:
    rig.disk.hang()


def full_disk(rig: Rig) -> None:
    rig.disk.fill_up()


def clock_forward(rig: Rig) -> None:
    rig.clock.step(7_200.0)


def clock_back(rig: Rig) -> None:
    rig.clock.step(-7_200.0)


def killed(rig: Rig) -> None:
    rig.gateway._shell.tell(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "drill", "alice"))


def positions_in_doubt(rig: Rig) -> None:
    rig.gateway._shell.tell(Quarantined("Executed", "it does not decode", b"\xff", "BTC"))


def spent_set_is_locked(rig: Rig) -> None:
    """Another program has the executor's file and keeps it."""
    thief = sqlite3.connect(rig.home.spent, isolation_level=None, timeout=10.0)
    thief.execute("BEGIN IMMEDIATE")
    rig.mended = thief.close


def latch_is_gone(rig: Rig) -> None:
    rig.home.latch.rename(rig.home.path / "stolen")


def files_are_garbage(rig: Rig) -> None:
    for path in (rig.home.policy, rig.home.runtime, rig.home.latch / "account.json", rig.home.sentinel):
        path.write_bytes(b"\xff\x00 neither this nor that")


def no_prices(rig: Rig) -> None:
    rig.silent = True


def garbage_in_the_streams(rig: Rig) -> None:
    for stream in (PERMITS, RESULTS):
        for _ in range(1_000):
            rig.gateway._executor._bus.publish(stream, b"garbage")


def a_flood_of_intents(rig: Rig) -> None:
    """More than is worked off before the close; what still waits when it is over goes."""
    for number in range(10_000):
        rig.gateway._shell.tell(rig.intent("ETH", 1, notional=50.0, id=f"flood-{number}"))
    rig.mended = rig.gateway._shell._inbox.withdraw_others


def a_poisoned_step(rig: Rig) -> None:
    """A step breaks half-way, and the engine is built anew."""
    whole = vars(engines)["apply"]

    def breaks(*_: object) -> None:
        setattr(engines, "apply", whole)  # noqa: B010 (a name of that module, for one step)
        raise ZeroDivisionError("a drill")

    setattr(engines, "apply", breaks)  # noqa: B010
    rig.gateway._shell.tell(Tick())


PASSABLE: dict[str, Callable[[Rig], None]] = {
    "answers lost": mischief(M.ANSWER_LOST),
    "answers hang": mischief(M.ANSWER_HANGS),
    "slow": mischief(M.SLOW),
    "positions wrong": mischief(M.POSITIONS_WRONG),
    "orders missing": mischief(M.ORDERS_MISSING),
    "order unknown": mischief(M.ORDER_UNKNOWN),
    "nothing known": mischief(M.ORDER_UNKNOWN, M.ORDERS_MISSING, M.REPORTS_LOST),
    "equity zero": mischief(M.EQUITY_ZERO),
    "equity tenfold": mischief(M.EQUITY_TENFOLD),
    "reports twice and swapped": mischief(M.REPORTS_TWICE, M.REPORTS_SWAPPED),
    "reports lost": mischief(M.REPORTS_LOST),
    "streams dropped": mischief(M.STREAMS_DROPPED),
    "stops rejected": mischief(M.STOPS_REJECTED),
    "cancels rejected": mischief(M.CANCELS_REJECTED),
    "disk hangs": slow_disk,
    "disk full": full_disk,
    "clock two hours ahead": clock_forward,
    "clock two hours behind": clock_back,
    "killed": killed,
    "positions in doubt": positions_in_doubt,
    "spent-set locked": spent_set_is_locked,
    "latch gone": latch_is_gone,
    "files of garbage": files_are_garbage,
    "no prices": no_prices,
    "garbage in the streams": garbage_in_the_streams,
    "flood": a_flood_of_intents,
    "poison": a_poisoned_step,
}

FLAT_SAYS_THE_VENUE: dict[str, Callable[[Rig], None]] = {
    "stale": mischief(M.STALE),
    "positions empty": mischief(M.POSITIONS_EMPTY),
    "everything forgotten": mischief(M.POSITIONS_EMPTY, M.ORDER_UNKNOWN, M.ORDERS_MISSING, M.REPORTS_LOST),
}

IMPASSABLE: dict[str, Callable[[Rig], None]] = {
    "down": mischief(M.DOWN),
    "hangs": mischief(M.HANGS),
    "orders rejected": mischief(M.ORDERS_REJECTED),
}


@pytest.mark.parametrize("source", ["operator", "bot"])
@pytest.mark.parametrize("fault", PASSABLE)
def test_a_close_reaches_the_venue_in(fault: str, source: str, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        PASSABLE[fault](rig)
        await asyncio.sleep(0.3)
        await rig.gateway.submit(rig.closing("BTC", source=source), hand_over=False)
        await rig.until(lambda: "BTC" not in rig.truth(), f"closed though {fault}")

    drilled(tmp_path, play)


def test_a_close_that_was_filled_in_part_and_is_then_silent_holds_up_no_other(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        whole = rig.truth()["BTC"]
        rig.venue.begin(Mischief.PARTIAL_THEN_SILENT)
        await rig.gateway.submit(rig.closing("BTC", source="bot"), hand_over=False)
        await rig.until(lambda: rig.truth()["BTC"] < whole, "some of it is closed")
        await asyncio.sleep(PATIENCE_S)
        half = rig.truth()["BTC"]
        await rig.gateway.submit(rig.closing("BTC", source="bot"), hand_over=False)
        await rig.until(lambda: rig.truth()["BTC"] < half, "some more of it is closed")

    drilled(tmp_path, play)


@pytest.mark.parametrize("fault", IMPASSABLE)
def test_a_flatten_reaches_the_venue_after(fault: str, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        IMPASSABLE[fault](rig)
        await asyncio.sleep(0.3)
        rig.gateway._shell.tell(KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "drill", "alice"))
        await asyncio.sleep(1.0)
        assert rig.truth()["BTC"]
        rig.venue.end()
        await rig.until(lambda: "BTC" not in rig.truth(), f"closed after {fault}")

    drilled(tmp_path, play)


@pytest.mark.parametrize("fault", FLAT_SAYS_THE_VENUE)
def test_a_position_that_the_venue_denied_is_closed_when_it_admits_it(fault: str, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        FLAT_SAYS_THE_VENUE[fault](rig)
        await asyncio.sleep(0.5)
        rig.venue.end()
        await rig.until(lambda: rig.held("BTC") > 0.0, "the engine has the position again")
        await rig.gateway.submit(rig.closing("BTC"), hand_over=False)
        await rig.until(lambda: "BTC" not in rig.truth(), f"closed after {fault}")

    drilled(tmp_path, play)


def test_what_could_not_be_cancelled_before_a_restart_is_cancelled_after_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def cannot_cancel() -> None:
        async with rig.running():
            await rig.opened()
            rig.venue.begin(Mischief.CANCELS_REJECTED)
            await rig.gateway.close("BTC", "alice", "")
            await rig.until(lambda: any(p.cancelling for p in rig.permits("BTC")), "the stop is to go")

    async def cancels() -> None:
        async with rig.running():
            await rig.rest()
            assert (await rig.exchange.open_orders()).orders == ()

    asyncio.run(cannot_cancel())
    asyncio.run(cancels())
    assert rig.audited() == ()


def test_a_new_account_does_not_start_while_its_venue_is_down(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.at_first = (Mischief.DOWN,)

    async def starts() -> None:
        async with rig.running():
            raise AssertionError("it runs")

    with pytest.raises(VenueUnreachable):
        asyncio.run(starts())
    rig.at_first = ()

    async def starts_later() -> None:
        async with rig.running():
            await rig.opened()
            await rig.rest()

    asyncio.run(starts_later())
    assert rig.audited() == ()


def test_a_known_account_starts_while_its_venue_is_down_and_opens_when_it_is_back(tmp_path: Path) -> None:
    rig = drilled(tmp_path, opens)
    rig.at_first = (Mischief.DOWN,)

    async def starts() -> None:
        async with rig.running():
            assert rig.state.account.reconciled != 1.0 or rig.gateway.status().troubles
            assert not (await rig.gateway.submit(rig.intent("ETH", 1, notional=500.0), hand_over=False)).allowed
            await rig.gateway.flatten(None, "leaving", "alice")
            await asyncio.sleep(0.5)
            assert rig.truth() != {}
            rig.venue.end()
            await rig.until(lambda: not rig.truth(), "flat as soon as the venue is back")
            await rig.rest()
            await rig.until(rig.is_informed, "the venue has told everything")
            await rig.opened("ETH")
            await rig.rest()

    asyncio.run(starts())
    assert rig.audited() == ()


async def opens(rig: Rig) -> None:
    await rig.opened()
