"""The way out on the gateway as it runs: an owner that proposes and may fall silent, positions opened by hand, advice."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drillkit import BY_HAND, STEP, Rig, drilled
from interlock.adapters.venue import VenueOrder
from interlock.client import BUY, SELL, BarClosed, Client, CloseAction, CommandRefused, Intent, MarketState
from interlock.core.codes import Code, ExitMode
from interlock.core.exits import succession
from interlock.core.permit import RESTING
from interlock.core.state import is_stop
from interlock.service.home.keys import add_source

EXITS_ON = {f"rules.{code}": "on" for code in ("STOP_EXIT", "TARGET_EXIT")} | {
    "exits.cost": "10 bps",
    "rules.HARVEST": {"first": "2 x", "second": "4 x", "third": "6 x"},
    "rules.MARKET_STALE.jump": "50 %",
}
OWNED = EXITS_ON | {"exits.owner": "exit", "exits.mode": "external", "exits.heartbeat": "60 s"}
FALLS_SILENT = OWNED | {"exits.heartbeat": "2 s"}
RETURN_S = 0.6
"""Instead of a minute of heartbeats."""


def with_owner(play: Callable[[Rig, Client], Awaitable[None]]) -> Callable[[Rig], Awaitable[None]]:
    """The play has the exit owner's own client, over the socket."""

    async def played(rig: Rig) -> None:
        if not rig.home.source_key("exit").exists():
            add_source(rig.home, "exit")
        with Client.connect(rig.home.path, source="exit") as owner:
            await play(rig, owner)

    return played


@asynccontextmanager
async def beating(owner: Client) -> AsyncIterator[None]:
    """The owner says again and again that it is alive, until the block ends; then its last word has been answered."""
    silent = asyncio.Event()

    async def beat() -> None:
        while not silent.is_set():
            await asyncio.to_thread(owner.heartbeat)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        silent.set()
        await task


async def opened(rig: Rig, owner: Client) -> None:
    await asyncio.to_thread(owner.heartbeat)
    await rig.opened(stop_price=rig.prices["BTC"] * 0.98)


async def command(rig: Rig, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interlock", *words, "--home", str(rig.home.path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


# ---------------------------------------------------------------- an owner proposes


def test_an_owner_closes_in_parts_and_moves_the_stop_at_the_venue(tmp_path: Path) -> None:
    async def play(rig: Rig, owner: Client) -> None:
        async with beating(owner):
            await opened(rig, owner)
            held = rig.truth()["BTC"]
            stop = round(rig.prices["BTC"] * 0.99, 2)
            answer = await asyncio.to_thread(
                lambda: owner.propose_exit("BTC", SELL, rung="first", close=CloseAction.PARTIAL_25, stop_price=stop)
            )
            assert answer.headline == Code.ALLOWED, answer
            await rig.until(lambda: rig.truth()["BTC"] == held - held // 4, "a quarter is closed")
            await rig.until(lambda: rig.is_quiet("BTC"), "the rest has its stop")
            (resting,) = [p for p in rig.permits("BTC") if is_stop(p) and p.state in RESTING]
            assert resting.trigger_price == stop
            again = await asyncio.to_thread(
                lambda: owner.propose_exit("BTC", SELL, rung="first", close=CloseAction.PARTIAL_25)
            )
            assert again.headline == Code.NOTHING_TO_REDUCE
            looser = await asyncio.to_thread(lambda: owner.propose_exit("BTC", SELL, rung="trail", stop_price=stop * 0.9))
            assert (looser.headline, looser.granted_steps) == (Code.NOT_EXIT_OWNER, 0)
            await asyncio.to_thread(lambda: owner.propose_exit("BTC", SELL, rung="kill", close=CloseAction.FULL_CLOSE))
            await rig.until(lambda: not rig.truth().get("BTC"), "all is closed")

    drilled(tmp_path, with_owner(play), changes=OWNED)


def test_a_proposal_is_for_one_side_and_from_the_owner_alone(tmp_path: Path) -> None:
    async def play(rig: Rig, owner: Client) -> None:
        async with beating(owner):
            await opened(rig, owner)
            held = rig.truth()["BTC"]
            wrong = await asyncio.to_thread(
                lambda: owner.propose_exit("BTC", BUY, rung="first", close=CloseAction.FULL_CLOSE)
            )
            assert wrong.headline == Code.NOTHING_TO_REDUCE
            foreign = Intent("f", "bot", "trend", "BTC", SELL, rung="first", close=CloseAction.FULL_CLOSE)
            assert (await rig.gateway.submit(foreign, hand_over=False)).headline == Code.NOT_EXIT_OWNER
            assert rig.truth()["BTC"] == held

    drilled(tmp_path, with_owner(play), changes=OWNED)


def test_a_proposal_leaves_while_conditions_cannot_be_read(tmp_path: Path) -> None:
    """It only reduces, so it waits for no disk."""

    async def play(rig: Rig, owner: Client) -> None:
        async with beating(owner):
            await opened(rig, owner)
            rig.disk.hang()
            answer = await asyncio.to_thread(
                lambda: owner.propose_exit("BTC", SELL, rung="out", close=CloseAction.FULL_CLOSE)
            )
            assert answer.allowed
            await rig.until(lambda: not rig.truth().get("BTC"), "closed without a disk")

    drilled(tmp_path, with_owner(play), changes=OWNED)


def test_nobody_there_is_a_no(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    with Client.connect(tmp_path / "control.sock", source="exit", key=b"k" * 32, timeout_s=0.5) as owner:
        answer = owner.propose_exit("BTC", SELL, rung="first", close=CloseAction.FULL_CLOSE)
    assert (answer.headline, answer.allowed) == (Code.UNANSWERED, False)


# ---------------------------------------------------------------- succession


def test_a_silent_owner_is_succeeded_named_in_the_status_and_returns_with_its_heartbeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(succession, "OWNER_RETURN_S", RETURN_S)

    async def play(rig: Rig, owner: Client) -> None:
        async with beating(owner):
            await opened(rig, owner)
            status = rig.gateway.status().exits
            assert (status.owner, status.mode, status.builtin_acts) == ("exit", ExitMode.EXTERNAL, False)
        await rig.until(lambda: rig.gateway.status().exits.succeeded, "the silent owner is succeeded")
        code, said = await command(rig, "status")
        assert code == 0
        assert "the built-in rules act in place of exit" in said
        deposed = await asyncio.to_thread(
            lambda: owner.propose_exit("BTC", SELL, rung="first", close=CloseAction.PARTIAL_25)
        )
        assert deposed.headline == Code.NOT_EXIT_OWNER
        async with beating(owner):
            await rig.until(lambda: not rig.gateway.status().exits.succeeded, "it has its exits back")
            assert rig.gateway.status().exits.alive

    drilled(tmp_path, with_owner(play), changes=FALLS_SILENT)


def test_the_built_in_rules_close_in_place_of_a_silent_owner(tmp_path: Path) -> None:
    async def play(rig: Rig, owner: Client) -> None:
        await opened(rig, owner)
        held = rig.truth()["BTC"]
        await rig.until(lambda: rig.gateway.status().exits.succeeded, "the silent owner is succeeded")
        rig.prices["BTC"] *= 1.06
        await rig.until(lambda: 0 < rig.truth().get("BTC", 0) <= held - held // 4, "the first rung has fired")

    drilled(tmp_path, with_owner(play), changes=FALLS_SILENT)


def test_an_operator_gives_exits_back_at_once(tmp_path: Path) -> None:
    async def play(rig: Rig, owner: Client) -> None:
        await opened(rig, owner)
        await rig.until(lambda: rig.gateway.status().exits.succeeded, "the silent owner is succeeded")
        code, said = await command(rig, "exits", "owner", "nobody", "--by", "alice")
        assert code == 1
        assert "the policy knows no source 'nobody'" in said
        async with beating(owner):
            code, said = await command(rig, "exits", "owner", "exit", "--by", "alice")
            assert (code, "Exits belong to exit" in said) == (0, True)
            assert not rig.gateway.status().exits.succeeded
            answer = await asyncio.to_thread(
                lambda: owner.propose_exit("BTC", SELL, rung="first", close=CloseAction.PARTIAL_25)
            )
            assert answer.headline == Code.ALLOWED

    drilled(tmp_path, with_owner(play), changes=FALLS_SILENT)


def test_advice_closes_nothing_while_the_owner_lives(tmp_path: Path) -> None:
    async def play(rig: Rig, owner: Client) -> None:
        async with beating(owner):
            await opened(rig, owner)
            held = rig.truth()["BTC"]
            rig.prices["BTC"] *= 1.06
            await rig.until(lambda: rig.row("BTC").advised, "the rules have advised")
            await rig.until(lambda: rig.is_quiet("BTC"), "nothing is under way")
            assert rig.truth()["BTC"] == held
            assert not rig.row("BTC").rungs

    drilled(tmp_path, with_owner(play), changes=OWNED | {"exits.mode": "advisory"})


# ---------------------------------------------------------------- adopted


@pytest.mark.parametrize("side", [1, -1])
def test_a_position_opened_by_hand_is_adopted_with_a_stop_that_then_rests(side: int, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.exchange.place(VenueOrder(BY_HAND, "BTC", side, 500))
        await rig.until(lambda: rig.held("BTC") == side * 500 * STEP, "the gateway has learnt of it")
        assert not rig.gateway.status().positions[0].managed
        price = rig.prices["BTC"]
        code, said = await command(rig, "adopt", "BTC", "--stop", str(price * (1.0 + 0.05 * side)), "--strategy", "trend")
        assert code == 1, said
        assert f"is {'long: its stop lies below' if side > 0 else 'short: its stop lies above'} the mark" in said
        assert "the policy has mean, trend" in (await command(rig, "adopt", "BTC", "--stop", "1"))[1]
        stop = round(price * (1.0 - 0.05 * side), 2)
        code, said = await command(rig, "adopt", "BTC", "--stop", str(stop), "--strategy", "trend", "--by", "alice")
        assert code == 0, said
        await rig.until(lambda: rig.is_quiet("BTC"), "its stop rests at the venue")
        (resting,) = [p for p in rig.permits("BTC") if is_stop(p)]
        assert (resting.trigger_price, resting.steps) == (stop, 500)
        assert (await command(rig, "adopt", "BTC", "--stop", str(stop), "--strategy", "trend"))[0] == 1

    drilled(tmp_path, play, changes=EXITS_ON)


# ---------------------------------------------------------------- a source's own market state, and what is explained


def test_a_source_tells_its_own_market_state_and_a_stranger_does_not(tmp_path: Path) -> None:
    async def play(rig: Rig, owner: Client) -> None:
        now_ns = rig.clock.wall_ns()
        state = MarketState("BTC", now_ns, atr=1.5, sigma=0.01, trend_strength=0.3, score=0.7)
        await asyncio.to_thread(owner.tell_market, state)
        assert rig.row("BTC").atr == 1.5
        await asyncio.to_thread(owner.tell_market, BarClosed("BTC", now_ns, 900.0, 1.0, 1.0, 1.0, 1.0))
        with pytest.raises(CommandRefused, match="'DOGE' is not known"):
            await asyncio.to_thread(owner.tell_market, MarketState("DOGE", now_ns))
        with pytest.raises(CommandRefused, match="a label is CHOP, BASE, TREND or empty"):
            await asyncio.to_thread(owner.tell_market, MarketState("BTC", now_ns, label="SIDEWAYS"))
        add_source(rig.home, "stranger")
        with (
            Client.connect(rig.home.path, source="stranger") as stranger,
            pytest.raises(CommandRefused, match="give it a right under"),
        ):
            await asyncio.to_thread(stranger.tell_market, state)

    drilled(tmp_path, with_owner(play), changes=OWNED)


def test_exits_are_explained_by_the_gateway_and_unknown_without_it(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened(stop_price=rig.prices["BTC"] * 0.98)
        code, said = await command(rig, "exits", "explain", "BTC")
        assert code == 0, said
        assert "partial_25" in said
        code, said = await command(rig, "exits", "explain", "--json")
        told: dict[str, Any] = json.loads(said)
        (position,) = told["positions"]
        assert position["symbol"] == "BTC"
        assert position["stop"] == rig.row("BTC").stop_price
        assert (await command(rig, "exits", "explain", "ETH"))[0] == 2

    rig = drilled(tmp_path, play, changes=EXITS_ON)

    async def away() -> tuple[int, str]:
        return await command(rig, "exits", "explain")

    code, said = asyncio.run(away())
    assert (code, "UNKNOWN" in said) == (3, True)
