"""Rebalances on the gateway as it runs, asked over its socket; what the venue holds in the end is what is looked at."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from math import nan
from pathlib import Path

import pytest

from drillkit import BALANCE, Rig, drilled
from interlock.client import Action, Client, Instructed, Instruction, Rebalance, Rebalanced
from interlock.core.codes import Code
from interlock.service.home.keys import add_source
from interlock.testing.unruly import Mischief

Play = Callable[[Rig, Client], Awaitable[None]]


def with_client(play: Play, source: str = "bot") -> Callable[[Rig], Awaitable[None]]:
    """The play has a client of its own, over the socket."""

    async def played(rig: Rig) -> None:
        if not rig.home.source_key(source).exists():
            add_source(rig.home, source)
        with Client.connect(rig.home.path, source=source, timeout_s=20.0) as client:
            await play(rig, client)

    return played


def instruction(rig: Rig, symbol: str, weight: float = nan, action: Action = Action.SCALE) -> Instruction:
    """A target with a stop on the right side of the market."""
    stop = rig.prices[symbol] * (0.95 if weight > 0.0 else 1.05)
    return Instruction(symbol, action, weight, sl_price=round(stop, 2))


async def told(client: Client, rebalance: Rebalance) -> Rebalanced:
    return await asyncio.to_thread(client.rebalance, rebalance)


def by_symbol(answer: Rebalanced) -> dict[str, Instructed]:
    return {each.instruction.symbol: each for each in answer.answers}


def weight_held(rig: Rig, symbol: str) -> float:
    return rig.held(symbol) * rig.prices[symbol] / BALANCE


def test_positions_are_closed_left_alone_and_opened_in_one_message(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        await rig.opened("SOL")
        kept = rig.truth()["SOL"]
        wish = client.instruct(
            "trend",
            [
                instruction(rig, "BTC", 0.02),
                Instruction("ETH", Action.CLOSE),
                Instruction("SOL", Action.VETO, 0.5),
                Instruction("DOGE", Action.SCALE, 0.01),
            ],
        )
        answer = await told(client, wish)
        assert (answer.rebalance_id, answer.headline, answer.reductions) == (wish.id, Code.ALLOWED, ()), answer
        got = by_symbol(answer)
        assert got["BTC"].headline == Code.ALLOWED
        assert got["BTC"].quantity == pytest.approx(0.02 * BALANCE / rig.prices["BTC"], rel=0.01)
        assert got["ETH"].quantity < 0.0
        assert (got["SOL"].quantity, got["SOL"].note) == (0.0, "a VETO leaves the position alone")
        assert (got["DOGE"].headline, got["DOGE"].note) == (Code.MALFORMED, "symbol 'DOGE' is not known")
        await rig.until(lambda: rig.is_quiet("BTC") and not rig.truth().get("ETH"), "as instructed")
        assert rig.truth()["SOL"] == kept
        assert weight_held(rig, "BTC") == pytest.approx(0.02, rel=0.02)

    drilled(tmp_path, with_client(play))


# ---------------------------------------------------------------- what waits for reductions

ONE_POSITION = {"rules.CONCURRENT_POSITIONS.positions": 1, "rules.INTENT_STALE.age": "300 s"}


def turn(client: Client, rig: Rig) -> Rebalance:
    """Out of ETH and into BTC, where there is room for one position."""
    return client.instruct("trend", [instruction(rig, "BTC", 0.02), Instruction("ETH", Action.CLOSE)])


def test_an_opening_waits_for_the_reduction_and_is_then_executed_by_the_gateway(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        wish = turn(client, rig)
        answer = await told(client, wish)
        btc, eth = answer.answers
        assert (btc.headline, btc.quantity, btc.waits) == (Code.CONCURRENT_POSITIONS, 0.0, True), answer
        assert (eth.headline, eth.waits, answer.reductions) == (Code.ALLOWED, False, (eth.decisions[0].permit,))
        await rig.until(lambda: rig.is_quiet("BTC") and rig.truth().get("BTC"), "what waited is held")
        assert "ETH" not in rig.truth()
        assert weight_held(rig, "BTC") == pytest.approx(0.02, rel=0.02)
        again = by_symbol(await told(client, wish))
        assert not again["BTC"].waits
        assert all(each.repeats or each.reducing for each in again["BTC"].decisions), "nothing is opened twice"
        assert again["ETH"].note == "there is nothing to close"
        assert weight_held(rig, "BTC") == pytest.approx(0.02, rel=0.02)

    drilled(tmp_path, with_client(play), changes=ONE_POSITION)


def test_a_reduction_that_does_not_fill_frees_nothing_and_a_later_rebalance_ends_what_waits(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.venue.begin(Mischief.ANSWER_HANGS, Mischief.REPORTS_LOST)
        answer = await told(client, turn(client, rig))
        assert answer.answers[0].waits
        assert "trend" in rig.state.waiting
        ended = await told(client, client.instruct("trend", []))
        assert (ended.headline, ended.answers) == (Code.ALLOWED, ())
        assert rig.state.waiting == {}
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("ETH") and "ETH" not in rig.truth(), "ETH is closed")
        assert "BTC" not in rig.truth()

    drilled(tmp_path, with_client(play), changes=ONE_POSITION)


# ---------------------------------------------------------------- a crash in between

CHILD = """
import asyncio, sys
from pathlib import Path

sys.path[:0] = sys.argv[1:3]
from drillkit import Rig
from interlock.testing.unruly import Mischief
from test_gateway_rebalance import ONE_POSITION, told, turn, with_client

rig = Rig(Path(sys.argv[3]), changes=ONE_POSITION)
mischief = Mischief[sys.argv[4]]


async def play(rig, client):
    await rig.opened("ETH")
    rig.venue.begin(mischief, Mischief.REPORTS_LOST, Mischief.ORDER_UNKNOWN)
    answer = await told(client, turn(client, rig))
    if mischief is Mischief.ANSWER_HANGS:
        await rig.until(lambda: "ETH" not in rig.truth(), "the venue has closed it")
    print(answer.answers[0].waits, answer.note, flush=True)
    await asyncio.Event().wait()


async def main():
    async with rig.running():
        await with_client(play)(rig)


asyncio.run(main())
"""


def died_while_something_waited(place: Path, mischief: Mischief) -> None:
    """A gateway was killed after it had answered, and before it knew what became of the reduction."""
    here = Path(__file__).parent
    command: list[str | Path] = [sys.executable, "-c", CHILD, here.parent, here, place, mischief.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        process.kill()
    assert said == "True"


def after_the_start(place: Path, play: Callable[[Rig], Awaitable[None]]) -> None:
    """The play was played on the gateway that was started again, and the auditor found nothing."""
    rig = Rig(place, changes=ONE_POSITION)

    async def run() -> None:
        async with rig.running():
            await rig.until(lambda: not rig.state.waiting, "nothing waits any more")
            await play(rig)
            await rig.rest()

    asyncio.run(run())
    assert rig.audited() == ()


def test_killed_after_the_reduction_filled_what_waited_is_opened_once_after_the_start(tmp_path: Path) -> None:
    died_while_something_waited(tmp_path, Mischief.ANSWER_HANGS)

    async def play(rig: Rig) -> None:
        await rig.until(lambda: rig.is_quiet("BTC") and rig.truth().get("BTC"), "what waited is held")
        assert "ETH" not in rig.truth()
        assert weight_held(rig, "BTC") == pytest.approx(0.02, rel=0.02)

    after_the_start(tmp_path, play)


def test_killed_before_the_reduction_arrived_nothing_that_waited_is_opened(tmp_path: Path) -> None:
    died_while_something_waited(tmp_path, Mischief.HANGS)

    async def play(rig: Rig) -> None:
        assert "BTC" not in rig.truth()
        assert not rig.permits("BTC")
        assert rig.truth()["ETH"], "the close never arrived, and is asked for again by whoever wants it"

    after_the_start(tmp_path, play)
