"""Rebalances on the gateway as it runs, asked over its socket; what the venue holds in the end is what is looked at."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from math import nan
from pathlib import Path

import msgspec
import pytest

from drillkit import BALANCE, PATIENT, Rig, drilled
from interlock.client import Action, Client, Executed, Instructed, Instruction, Rebalance, Rebalanced
from interlock.core import decide
from interlock.core.codes import Code, KillMode, PermitState, Scope
from interlock.core.messages import KillSet
from interlock.ledger.steps import read_steps
from interlock.service.desk.wire import read_key
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

UNTOLD = (Mischief.ANSWER_HANGS, Mischief.REPORTS_LOST)
"""The venue does what it is asked, and nobody hears of a fill until it ends."""

ONE_POSITION = {"rules.CONCURRENT_POSITIONS.positions": 1, "rules.INTENT_STALE.age": "300 s"}


def turn(client: Client, rig: Rig) -> Rebalance:
    """Out of ETH and into BTC, where there is room for one position."""
    return client.instruct("trend", [instruction(rig, "BTC", 0.02), Instruction("ETH", Action.CLOSE)])


def test_an_opening_waits_for_the_reduction_and_is_then_executed_by_the_gateway(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.venue.begin(*UNTOLD)
        wish = turn(client, rig)
        answer = await told(client, wish)
        btc, eth = answer.answers
        assert (btc.headline, btc.quantity, btc.waits) == (Code.CONCURRENT_POSITIONS, 0.0, True), answer
        assert (eth.headline, eth.waits, answer.reductions) == (Code.ALLOWED, False, (eth.decisions[0].permit,))
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("BTC") and rig.truth().get("BTC"), "what waited is held")
        assert "ETH" not in rig.truth()
        assert weight_held(rig, "BTC") == pytest.approx(0.02, rel=0.02)
        again = by_symbol(await told(client, wish))
        assert not again["BTC"].waits
        assert again["ETH"].note == "there is nothing to close"
        await rig.until(lambda: rig.is_quiet("BTC"), "whatever came of it")
        assert weight_held(rig, "BTC") == pytest.approx(0.02, rel=0.02), "nothing is opened twice"

    drilled(tmp_path, with_client(play), changes=ONE_POSITION)


def test_another_rebalance_under_the_same_id_opens_nothing_and_ends_nothing(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.venue.begin(*UNTOLD)
        wish = turn(client, rig)
        assert (await told(client, wish)).answers[0].waits
        more = msgspec.structs.replace(wish, instructions=(instruction(rig, "BTC", 0.05), wish.instructions[1]))
        for other in (more, msgspec.structs.replace(more, part_of=wish.content)):
            btc, eth = (await told(client, other)).answers
            assert (btc.headline, btc.quantity, btc.waits) == (Code.INTENT_CONFLICT, 0.0, False), btc
            assert eth.headline == Code.NOTHING_TO_REDUCE, "it is being closed already"
        foreseen = await asyncio.to_thread(client.decide_rebalance, more)
        assert [each.headline for each in foreseen.answers] == [Code.INTENT_CONFLICT, Code.NOTHING_TO_REDUCE]
        assert by_symbol(await told(client, wish))["BTC"].waits, "the first one stands"
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("BTC") and rig.truth().get("BTC"), "what waited is held")
        assert weight_held(rig, "BTC") == pytest.approx(0.02, rel=0.02)

    drilled(tmp_path, with_client(play), changes=ONE_POSITION | {"exits.close_patience": "5 s"})


def test_what_is_closed_stays_flat_though_more_of_it_was_on_its_way(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.venue.begin(Mischief.HANGS)
        more = await asyncio.to_thread(client.submit, rig.intent("ETH", 1, notional=500.0))
        assert more.allowed
        close = client.instruct("trend", [Instruction("ETH", Action.CLOSE)])
        assert (await told(client, close)).answers[0].quantity < 0.0
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("ETH") and not rig.permits("ETH"), "every order is over")
        assert rig.truth() == {}

    drilled(tmp_path, with_client(play))


def test_a_reduction_that_does_not_fill_frees_nothing_and_a_later_rebalance_ends_what_waits(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.venue.begin(*UNTOLD)
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


async def command(rig: Rig, *words: str | Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interlock", "rebalance", *words, "--home", rig.home.path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "200"},
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def test_a_file_of_targets_is_asked_about_and_then_reached(tmp_path: Path) -> None:
    async def play(rig: Rig, _client: Client) -> None:
        await rig.opened("ETH")
        targets = tmp_path / "targets.csv"
        stop = round(rig.prices["BTC"] * 0.95, 2)
        targets.write_text(f"symbol,action,target_weight,stop\nBTC,OPEN,2 %,{stop}\nETH,CLOSE,,\nSOL,CLOSE,,\n")
        words: tuple[str | Path, ...] = (targets, "--source", "bot", "--strategy", "trend")
        code, said = await command(rig, *words, "--dry-run")
        rows = {line.split()[0]: line for line in said.splitlines() if line[:4] in ("BTC ", "ETH ", "SOL ")}
        assert (code, "waits" in rows["BTC"], "nothing to do" in rows["SOL"]) == (0, True, True), said
        assert rig.truth().keys() == {"ETH"}
        rig.venue.begin(*UNTOLD)
        code, said = await command(rig, *words)
        assert (code, "What waits is decided when 1 reduction is filled." in said) == (0, True), said
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("BTC") and rig.truth().keys() == {"BTC"}, "the targets are reached")
        targets.write_text(f"symbol,action,target_weight,stop\nBTC,OPEN,900 %,{stop}\nETH,CLOSE,,\n")
        code, said = await command(rig, *words)
        assert (code, "line 2, column target_weight: found '900 %'" in said) == (2, True), said

    drilled(tmp_path, with_client(play), changes=ONE_POSITION)


# ---------------------------------------------------------------- a crash in between

CHILD = """
import asyncio, sys
from pathlib import Path

import msgspec

sys.path[:0] = sys.argv[1:3]
from drillkit import Rig
from interlock.testing.unruly import Mischief
from test_gateway_rebalance import ONE_POSITION, told, turn, with_client

rig = Rig(Path(sys.argv[3]), changes=ONE_POSITION)
mischief = Mischief[sys.argv[4]]


async def play(rig, client):
    await rig.opened("ETH")
    rig.venue.begin(mischief, Mischief.REPORTS_LOST, Mischief.ORDER_UNKNOWN)
    wish = turn(client, rig)
    Path(sys.argv[5]).write_bytes(msgspec.msgpack.encode(wish))
    answer = await told(client, wish)
    if mischief is Mischief.ANSWER_HANGS:
        await rig.until(lambda: "ETH" not in rig.truth(), "the venue has closed it")
    print(answer.answers[0].waits, answer.note, flush=True)
    await asyncio.Event().wait()


async def main():
    async with rig.running():
        await with_client(play)(rig)


asyncio.run(main())
"""


def died_while_something_waited(place: Path, mischief: Mischief) -> Rebalance:
    """What was told to a gateway that was killed after it had answered, before it knew what became of the reduction."""
    here, kept = Path(__file__).parent, place / "told"
    command: list[str | Path] = [sys.executable, "-c", CHILD, here.parent, here, place, mischief.name, kept]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        process.kill()
    assert said == "True"
    return msgspec.msgpack.decode(kept.read_bytes(), type=Rebalance)


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


def test_killed_after_the_reduction_filled_the_targets_are_reached_once(tmp_path: Path) -> None:
    """What waited is decided after the start, or when it is told again; both come to the same."""
    wish = died_while_something_waited(tmp_path, Mischief.ANSWER_HANGS)

    async def play(rig: Rig, client: Client) -> None:
        assert "ETH" not in rig.truth()
        for _ in range(2):
            answer = await told(client, wish)
            assert answer.headline == Code.ALLOWED, answer
            await rig.until(lambda: rig.is_quiet("BTC") and rig.truth().get("BTC"), "what waited is held")
        assert weight_held(rig, "BTC") == pytest.approx(0.02, rel=0.02)

    after_the_start(tmp_path, with_client(play))


def test_killed_before_the_reduction_arrived_nothing_that_waited_is_opened(tmp_path: Path) -> None:
    died_while_something_waited(tmp_path, Mischief.HANGS)

    async def play(rig: Rig) -> None:
        assert "BTC" not in rig.truth()
        assert not rig.permits("BTC")
        assert rig.truth()["ETH"], "the close never arrived, and is asked for again by whoever wants it"

    after_the_start(tmp_path, play)


# ---------------------------------------------------------------- who, and what stands in the way


def test_a_lock_in_between_lets_nothing_open_that_waited(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.venue.begin(*UNTOLD)
        wish = turn(client, rig)
        assert (await told(client, wish)).answers[0].waits
        await rig.gateway.kill(KillSet(KillMode.REDUCE_ONLY, Scope.STRATEGY, "trend", "drill", "alice"))
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("ETH") and not rig.state.waiting, "the reduction has filled")
        assert rig.truth() == {}
        again = by_symbol(await told(client, wish))
        assert (again["BTC"].headline, again["BTC"].waits) == (Code.TRADING_REDUCING, False)

    drilled(tmp_path, with_client(play), changes=ONE_POSITION)


def test_a_killed_account_is_closed_by_a_rebalance_and_not_opened(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.home.sentinel.write_text("reduce_only\ndrill\n")
        got = by_symbol(await told(client, turn(client, rig)))
        assert (got["BTC"].headline, got["ETH"].headline) == (Code.TRADING_REDUCING, Code.ALLOWED)
        await rig.until(lambda: not rig.truth(), "all is closed")
        rig.home.sentinel.unlink()

    drilled(tmp_path, with_client(play))


def test_a_source_without_a_right_gets_nothing_and_ends_nothing_that_waits(tmp_path: Path) -> None:
    async def play(rig: Rig, rival: Client) -> None:
        await rig.opened("ETH")
        with Client.connect(rig.home.path, source="bot", key=key_of(rig, "bot"), timeout_s=20.0) as bot:
            rig.venue.begin(*UNTOLD)
            assert (await told(bot, turn(bot, rig))).answers[0].waits
            wish = turn(rival, rig)
            got = by_symbol(await told(rival, wish))
            assert got["BTC"].headline == Code.SOURCE_DENIED
            assert got["ETH"].headline in (Code.NOT_EXIT_OWNER, Code.NOTHING_TO_REDUCE)
            assert not any(each.quantity or each.waits for each in got.values())
            rig.venue.end()
            await rig.until(lambda: rig.is_quiet("BTC") and rig.truth().get("BTC"), "what the bot waited for is held")

    drilled(tmp_path, with_client(play, "rival"), changes=ONE_POSITION)


def key_of(rig: Rig, source: str) -> bytes:
    if not rig.home.source_key(source).exists():
        add_source(rig.home, source)
    return read_key(rig.home.source_key(source))


def test_two_strategies_rebalance_each_their_own(tmp_path: Path) -> None:
    async def play(rig: Rig, bot: Client) -> None:
        with Client.connect(rig.home.path, source="rival", key=key_of(rig, "rival"), timeout_s=20.0) as rival:
            first = bot.instruct("trend", [instruction(rig, "BTC", 0.02)])
            other = rival.instruct("mean", [instruction(rig, "ETH", -0.02)])
            answers = await asyncio.gather(told(bot, first), told(rival, other))
            assert [each.answers[0].headline for each in answers] == [Code.ALLOWED] * 2
            await rig.until(lambda: rig.is_quiet("BTC") and rig.is_quiet("ETH") and len(rig.truth()) == 2, "both are held")
            held = rig.truth()
            theirs = [Instruction("BTC", Action.CLOSE), instruction(rig, "ETH", -0.02)]
            denied = by_symbol(await told(rival, rival.instruct("mean", theirs)))
            assert denied["BTC"].headline == Code.NOT_EXIT_OWNER
            taken = by_symbol(await told(rival, rival.instruct("mean", [instruction(rig, "BTC", 0.05)])))
            assert taken["BTC"].headline == Code.SYMBOL_OWNED
            assert rig.truth()["BTC"] == held["BTC"]
            await told(bot, bot.instruct("trend", [Instruction("BTC", Action.CLOSE)]))
            await rig.until(lambda: rig.is_quiet("BTC") and "BTC" not in rig.truth(), "the bot closed its own")
            assert rig.held("ETH") < 0.0

    drilled(tmp_path, with_client(play))


# ---------------------------------------------------------------- what is slow or broken


def test_what_closes_leaves_while_the_disks_hang_and_nothing_opens(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.disk.hang()
        asking = asyncio.create_task(told(client, turn(client, rig)))
        await rig.until(lambda: "ETH" not in rig.truth(), "closed without a disk")
        assert "BTC" not in rig.truth()
        rig.disk.heal()
        got = by_symbol(await asking)
        assert got["ETH"].quantity < 0.0
        await rig.until(lambda: rig.is_quiet("BTC") and rig.is_quiet("ETH"), "what was granted has left")

    drilled(tmp_path, with_client(play))


def test_what_closes_waits_for_no_other_rebalance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.service.gateway.ANSWER_S_MAX", 0.05)

    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        async with rig.gateway._one_list():
            answer = await told(client, turn(client, rig))
            assert answer.headline == Code.BUSY
            btc, eth = answer.answers
            assert (btc.headline, btc.quantity, btc.note) == (Code.BUSY, 0.0, answer.note)
            assert eth.headline == Code.ALLOWED
            foreseen = await asyncio.to_thread(client.decide_rebalance, turn(client, rig))
            assert (foreseen.headline, foreseen.answers) == (Code.BUSY, ())
            only = client.instruct("trend", [Instruction("SOL", Action.CLOSE)])
            assert (await told(client, only)).answers[0].note == "there is nothing to close"
        await rig.until(lambda: rig.is_quiet("ETH") and not rig.truth(), "ETH is closed, and BTC not opened")

    drilled(tmp_path, with_client(play))


def test_a_rebalance_that_breaks_the_engines_step_is_a_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("a drill")

    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        with monkeypatch.context() as patch:
            patch.setitem(vars(decide)["_HANDLERS"], Rebalance, breaks)
            for wish in (turn(client, rig), client.instruct("trend", [Instruction("ETH", Action.CLOSE)])):
                answer = await told(client, wish)
                assert (answer.headline, answer.answers, answer.allowed) == (Code.UNANSWERED, (), False)
            assert (await asyncio.to_thread(client.decide_rebalance, turn(client, rig))).headline == Code.MALFORMED
        await told(client, client.instruct("trend", [Instruction("ETH", Action.CLOSE)]))
        await rig.until(lambda: not rig.truth(), "closed as soon as it can be decided")

    drilled(tmp_path, with_client(play))


def test_a_symbol_that_stands_there_twice_is_only_closed(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        wish = [
            instruction(rig, "ETH", 0.05),
            Instruction("ETH", Action.CLOSE),
            *(instruction(rig, "BTC", w) for w in (0.01, 0.02)),
        ]
        more, close, *twice = (await told(client, client.instruct("trend", wish))).answers
        assert [each.headline for each in (more, *twice)] == [Code.MALFORMED] * 3
        assert "stands there more than once: only a CLOSE counts" in more.note
        assert (close.headline, close.quantity < 0.0) == (Code.ALLOWED, True)
        await rig.until(lambda: rig.is_quiet("ETH") and not rig.truth(), "ETH is closed, nothing is opened")

    drilled(tmp_path, with_client(play))


# ---------------------------------------------------------------- asked only, and cancelled


def test_a_dry_run_says_what_would_come_and_leaves_no_trace(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        wish = turn(client, rig)
        foreseen = await asyncio.to_thread(client.decide_rebalance, wish)
        assert [(each.headline, each.waits) for each in foreseen.answers] == [
            (Code.CONCURRENT_POSITIONS, True),
            (Code.ALLOWED, False),
        ]
        assert rig.state.waiting == {}
        assert not any(isinstance(step.input, Rebalance) for step in read_steps(rig.home.ledger))
        rig.venue.begin(*UNTOLD)
        assert (await told(client, wish)).answers[0].waits
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("BTC") and rig.truth().get("BTC"), "what waited is held")

    drilled(tmp_path, with_client(play), changes=ONE_POSITION)


def test_what_waits_is_withdrawn_by_its_rebalances_id(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        await rig.opened("ETH")
        rig.venue.begin(*UNTOLD)
        wish = turn(client, rig)
        assert (await told(client, wish)).answers[0].waits
        with Client.connect(rig.home.path, source="rival", key=key_of(rig, "rival"), timeout_s=20.0) as rival:
            assert (await asyncio.to_thread(rival.cancel, wish.id)).headline == Code.MALFORMED
        done = await asyncio.to_thread(client.cancel, wish.id)
        assert (done.headline, done.withdrawn) == (Code.ALLOWED, ("BTC",))
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("ETH") and not rig.truth(), "ETH is closed, and BTC not opened")

    drilled(tmp_path, with_client(play), changes=ONE_POSITION)


def test_an_opening_that_has_not_left_is_revoked(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        rig.venue.begin(Mischief.HANGS)
        intent = rig.intent("BTC", 1, notional=1_000.0)
        answer = await asyncio.to_thread(client.submit, intent)
        done = await asyncio.to_thread(client.cancel, intent.id)
        assert (done.headline, done.revoked) == (Code.ALLOWED, (answer.decisions[0].permit,))
        rig.venue.end()
        await rig.until(lambda: not rig.state.permits.alive(), "the order is over")
        assert "BTC" not in rig.truth()

    drilled(tmp_path, with_client(play), patience=PATIENT)


def test_an_order_whose_fate_is_not_known_is_cancelled_and_what_filled_is_held(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        rig.venue.begin(Mischief.PARTIAL_THEN_SILENT)
        intent = rig.intent("BTC", 1, notional=1_000.0)
        answer = await asyncio.to_thread(client.submit, intent)
        await rig.until(lambda: rig.truth().get("BTC"), "the venue has filled a part, and nobody knows of it all")
        done = await asyncio.to_thread(client.cancel, intent.id)
        assert (done.headline, done.cancelling) == (Code.ALLOWED, (answer.decisions[0].permit,)), done
        rig.venue.end()
        await rig.until(lambda: rig.is_quiet("BTC") and rig.row("BTC").position > 0, "what filled is booked")

    drilled(tmp_path, with_client(play))


def test_what_was_handed_over_is_cancelled_where_it_is_executed(tmp_path: Path) -> None:
    async def play(rig: Rig, client: Client) -> None:
        intent = rig.intent("BTC", 1, notional=1_000.0)
        (permit,) = (await asyncio.to_thread(lambda: client.submit(intent, execute_here=True))).permits
        done = await asyncio.to_thread(client.cancel, intent.id)
        assert (done.headline, done.note) == (Code.MALFORMED, "bot executes some of it: cancel that there")
        over = Executed(permit.id, PermitState.CANCELLED, 0, 0.0, 0.0, rig.clock.wall_ns())
        await asyncio.to_thread(client.report, over)

    drilled(tmp_path, with_client(play))
