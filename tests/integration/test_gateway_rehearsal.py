"""
The rehearsal of the kill switch on the gateway as it runs: trigger, openings stop, a close passes, reset, openings pass.

In every mode and by every way in: the command line, the sentinel file, the environment. In a freeze only an operator's
close passes, and in a flatten the gateway closes by itself.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drillkit import Rig
from interlock.core.codes import Code, KillMode, TradingState
from interlock.service.api import Answer

MODES = {mode.name.lower(): mode for mode in KillMode if mode is not KillMode.NONE}


async def command(rig: Rig, *words: str) -> str:
    """What the command printed; it has done what it was asked."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interlock", *words, "--home", str(rig.home.path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def open_more(rig: Rig) -> Answer:
    return await rig.gateway.submit(rig.intent("ETH", 1, notional=500.0), hand_over=False)


async def opens_again(rig: Rig) -> None:
    """An opening passes, as soon as what was said about the switch has reached the engine."""
    async with asyncio.timeout(100.0):
        while not (await open_more(rig)).allowed:  # noqa: ASYNC110 (what it waits for tells nobody)
            await asyncio.sleep(0.05)


async def is_obeyed(rig: Rig, mode: str) -> None:
    """Openings stop, and what may leave leaves."""
    severity = TradingState.HALTED if mode == "freeze" else TradingState.REDUCING
    await rig.until(lambda: rig.gateway.status().trading_state == severity, f"{mode} is in force")
    assert not (await open_more(rig)).allowed
    if mode == "freeze":
        held = rig.truth()
        answer = await rig.gateway.submit(rig.closing("BTC", source="bot"), hand_over=False)
        assert answer.headline == Code.TRADING_HALTED
        assert rig.truth() == held
    if mode != "flatten":
        source = "operator" if mode == "freeze" else "bot"
        assert (await rig.gateway.submit(rig.closing("BTC", source=source), hand_over=False)).allowed
    await rig.until(lambda: "BTC" not in rig.truth(), f"closed under {mode}")


@pytest.mark.parametrize("mode", MODES)
def test_by_the_command_line(mode: str, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        said = await command(rig, "kill", "--mode", mode, "--reason", "rehearsal", "--by", "alice")
        assert "rehearsal" in said
        assert "Kill Switch: ACTIVE" in await command(rig, "status", "--safety")
        await is_obeyed(rig, mode)
        await command(rig, "reset", "--by", "alice")
        assert "Kill Switch: INACTIVE" in await command(rig, "status", "--safety")
        await opens_again(rig)

    rehearsed(Rig(tmp_path), play)


@pytest.mark.parametrize("mode", MODES)
def test_by_the_sentinel(mode: str, tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        rig.home.sentinel.write_text(f"{mode}\nrehearsal\n")
        await is_obeyed(rig, mode)
        rig.home.sentinel.unlink()
        await command(rig, "reset", "--by", "alice")
        await opens_again(rig)

    rehearsed(Rig(tmp_path), play)


def test_a_bare_sentinel_lets_only_reduce(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened()
        rig.home.sentinel.touch()
        await is_obeyed(rig, "reduce_only")

    rehearsed(Rig(tmp_path), play)


@pytest.mark.parametrize("value", ["on", "true", "", "yes please"])
def test_by_the_environment(value: str, tmp_path: Path) -> None:
    """It is looked at when the gateway starts, can only tighten, and knows no mode but the mildest."""

    async def opens(rig: Rig) -> None:
        await rig.opened()

    async def closes(rig: Rig) -> None:
        assert not (await open_more(rig)).allowed
        assert (await rig.gateway.submit(rig.closing("BTC", source="bot"), hand_over=False)).allowed
        await rig.until(lambda: "BTC" not in rig.truth(), "closed though the environment kills")

    rig = Rig(tmp_path)
    rehearsed(rig, opens)
    rehearsed(rig, closes, {"INTERLOCK_KILL_SWITCH": value})
    rehearsed(rig, opens_again, {"INTERLOCK_KILL_SWITCH": "off"})


def test_a_switch_that_was_thrown_while_nobody_ran_is_found_at_the_start(tmp_path: Path) -> None:
    async def opens(rig: Rig) -> None:
        await rig.opened()

    async def is_killed(rig: Rig) -> None:
        await is_obeyed(rig, "reduce_only")
        await command(rig, "reset", "--by", "alice")
        await opens_again(rig)

    rig = Rig(tmp_path)
    rehearsed(rig, opens)
    (rig.home.latch / "account.json").write_text("half a rec")
    rehearsed(rig, is_killed)


def rehearsed(rig: Rig, play: Callable[[Rig], Awaitable[None]], environ: dict[str, str] | None = None) -> None:
    """The play was played on a running gateway, and the auditor found nothing."""
    rig.setting = replace(rig.setting, environ=environ or {})

    async def run() -> None:
        async with rig.running():
            await play(rig)
            await rig.rest()

    asyncio.run(run())
    assert rig.audited() == ()


async def panics(rig: Rig) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interlock", "panic", "--home", str(rig.home.path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def test_panic_beside_a_running_gateway(tmp_path: Path) -> None:
    """The account is flat, the gateway learns of it and opens nothing until somebody has reset the switch."""

    async def play(rig: Rig) -> None:
        await rig.opened()
        await rig.opened("ETH", -1)
        await panics(rig)
        assert rig.truth() == {}
        await rig.until(lambda: all(rig.is_quiet(symbol) for symbol in ("BTC", "ETH")), "the engine knows that it is flat")
        assert not (await open_more(rig)).allowed
        rig.home.sentinel.unlink()
        await command(rig, "reset", "--by", "alice")
        await opens_again(rig)

    rehearsed(in_its_home(tmp_path), play)


def test_panic_with_everything_else_dead(tmp_path: Path) -> None:
    async def opens(rig: Rig) -> None:
        await rig.opened()

    async def is_known(rig: Rig) -> None:
        await rig.until(lambda: rig.is_quiet("BTC") and rig.held("BTC") == 0.0, "the engine knows that it is flat")

    rig = in_its_home(tmp_path)
    rehearsed(rig, opens)
    for path in (rig.home.policy, rig.home.spent):
        path.rename(path.with_suffix(".aside"))
        path.write_bytes(b"\xff garbage")
    ledger = rig.home.ledger.rename(rig.home.path / "away")
    asyncio.run(panics(rig))
    assert rig.truth() == {}
    ledger.rename(rig.home.ledger)
    for path in (rig.home.policy, rig.home.spent):
        path.with_suffix(".aside").replace(path)
    rehearsed(rig, is_known)


def in_its_home(place: Path) -> Rig:
    """A gateway whose paper venue lies where `interlock panic` looks for it."""
    rig = Rig(place)
    for path in place.glob("paper.sqlite*"):
        path.rename(rig.home.path / path.name)
    rig.paper = rig.home.paper
    return rig
