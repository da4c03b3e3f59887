"""The client against a real socket with a real engine behind it: whatever is not an answer is a no."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest

from cli_story import START_NS, at_s, opening
from control_kit import KEYS, Running, make_home, replaced, running
from interlock.client import (
    Action,
    Answer,
    BarClosed,
    Client,
    CloseAction,
    CommandRefused,
    Envelope,
    GatewayUnreachable,
    Instruction,
    Intent,
    KeyUnreadable,
    MarketState,
    Provenance,
    Rebalance,
    Rebalanced,
)
from interlock.core.codes import Code, KillMode, PermitState, Scope
from interlock.core.messages import BUY, SELL, Executed
from interlock.core.utilisation import Utilisation
from interlock.service.desk.desk import GetAllowed, GetUtilisation, Kill
from repository import ROOT

Connect = Callable[..., Client]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def gateway(home: Path) -> Iterator[Running]:
    with running(home) as gateway:
        yield gateway


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as clients:

        def connect(where: Path, source: str = "bot", timeout_s: float = 20.0, key: bytes | None = None) -> Client:
            return clients.enter_context(Client.connect(where, source=source, key=key, timeout_s=timeout_s))

        yield connect


@contextmanager
def impatient(client: Client) -> Iterator[None]:
    """The client waits for an answer so short a time that a busy desk is too late."""
    patience_s, client._timeout_s = client._timeout_s, 1.0
    yield
    client._timeout_s = patience_s


def test_a_dry_run_consumes_nothing_and_a_submission_does(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        wish = opening()
        for _ in range(2):
            answer = client.decide(wish)
            assert (answer.headline, answer.allowed, answer.permits) == (Code.ALLOWED, True, ())
        assert gateway.desk.submitted == []
        answer = client.submit(wish)
        assert (answer.headline, answer.granted_steps, answer.permits) == (Code.ALLOWED, 50, ())
        assert client.decide(wish).decisions[0].repeats == answer.decisions[0].id


def test_the_source_is_the_one_that_was_proven_whatever_the_intent_says(gateway: Running) -> None:
    with Client.connect(gateway.home, source="rival") as client:
        answer = client.submit(opening())
    assert gateway.desk.submitted[0].source == "rival"
    assert answer.headline == Code.SOURCE_DENIED
    assert not answer.allowed


def test_a_permit_that_is_handed_over_is_executed_and_reported_here(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        (permit,) = client.submit(opening(), execute_here=True).permits
        done = Executed(permit.id, PermitState.FILLED, permit.steps, permit.steps * 20.0, 0.0, START_NS)
        client.report(done)
    assert gateway.desk.reported == [("bot", done)]


def test_a_heartbeat_is_the_sources_own(gateway: Running) -> None:
    with Client.connect(gateway.home, source="rival") as client:
        client.heartbeat()
    assert gateway.desk.acts == [("heartbeat", "rival")]


def test_intents_made_by_the_client_are_the_sources_own_and_differ(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        one = client.buy("GOLD", "trend", quantity=0.5, stop_price=1900.0)
        other = client.sell("GOLD", "trend", notional=100.0, reduce_only=True)
    assert (one.source, one.side, one.stop_price, other.side, other.notional) == ("bot", BUY, 1900.0, SELL, 100.0)
    assert one.id != other.id
    assert one.created_at_ns > START_NS


def test_policy_and_status_are_typed(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        policy = client.policy()
        assert policy is not None
        assert (policy.policy_id, set(policy.universe)) == ("story", {"GOLD", "EURO"})
        assert [(right.strategy, right.may_open, right.may_close) for right in policy.rights] == [("trend", True, True)]
        assert client.status().positions[0].symbol == "GOLD"
    with Client.connect(gateway.home, source="rival") as client:
        rivals = client.policy()
        assert rivals is not None
        assert rivals.rights == ()


def test_without_a_gateway_the_answer_is_no_and_what_cannot_be_said_raises(home: Path, connect: Connect) -> None:
    client = connect(home, timeout_s=1.0)
    for answer in (client.decide(opening()), client.submit(opening())):
        assert (answer.headline, answer.allowed, answer.intent_id) == (Code.UNANSWERED, False, "i1")
        assert "is it running?" in answer.note
    with pytest.raises(GatewayUnreachable):
        client.status()
    with pytest.raises(GatewayUnreachable):
        client.report(Executed(1, PermitState.FILLED, 1, 1.0, 0.0, START_NS))


def test_a_gateway_that_comes_back_is_found_again(home: Path, connect: Connect) -> None:
    client = connect(home)
    for _ in range(2):
        with running(home):
            assert client.submit(opening()).allowed
        assert client.submit(opening()).headline == Code.UNANSWERED


def test_a_slow_gateway_is_a_no_and_its_late_answer_meets_no_other_question(gateway: Running, connect: Connect) -> None:
    client = connect(gateway.home)
    assert client.decide(opening()).allowed
    gateway.hold()
    with impatient(client):
        assert client.submit(opening()).headline == Code.UNANSWERED
    gateway.has_heard(1)
    gateway.let_go()
    for number in ("j1", "j2"):
        assert client.decide(opening("EURO", number, quantity=100.0)).intent_id == number
    repeated = client.submit(opening())
    assert repeated.decisions[0].repeats
    assert len(gateway.desk.submitted) == 2


def test_a_wrong_key_is_a_no(gateway: Running, connect: Connect) -> None:
    client = connect(gateway.socket, key=b"x" * 32)
    answer = client.submit(opening())
    assert answer.headline == Code.UNANSWERED
    assert "did not let 'bot' in" in answer.note
    assert gateway.desk.submitted == []
    assert any("'bot'" in trouble for trouble in gateway.troubles)


def test_only_an_operator_commands(gateway: Running) -> None:
    kill = Kill(KillMode.FREEZE, Scope.ACCOUNT, "", "now", "mallory")
    with Client.connect(gateway.home, source="bot") as client, pytest.raises(CommandRefused, match="operator's key"):
        client.ask(kill)
    assert gateway.desk.acts == []
    with Client.connect(gateway.home, source="operator") as client:
        client.ask(kill)
    assert [type(act).__name__ for act in gateway.desk.acts] == ["KillSet"]


def test_what_the_desk_refuses_is_said(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        answer = client.submit(opening(number="x" * 500))
        assert answer.headline == Code.UNANSWERED
        assert "128 characters" in answer.note
        assert "at most" in client.submit(opening(number="x" * 100_000)).note
        assert client.submit(opening()).allowed


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "\udcff"},
        {"symbol": object()},
        {"created_at_ns": 1 << 70},
        {"quantity": Decimal("0.5")},
        {"side": "buy"},
        {"stop_price": None},
    ],
    ids=lambda odd: next(iter(odd)),
)
def test_an_intent_that_cannot_travel_is_a_no(gateway: Running, connect: Connect, odd: dict[str, Any]) -> None:
    client = connect(gateway.home)
    answer = client.submit(replaced(opening(), **odd))
    assert (answer.headline, answer.allowed) == (Code.UNANSWERED, False)
    assert gateway.desk.submitted == []
    assert client.submit(opening()).allowed


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_client_waits_some_time_and_not_for_ever(home: Path, timeout_s: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Client.connect(home, source="bot", timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda key: key.unlink(), "No such file"),
        (lambda key: key.write_bytes(b"short"), "at least 16"),
        (lambda key: key.chmod(0o644), "chmod 600"),
    ],
)
def test_a_key_that_is_none_is_refused_at_once(home: Path, break_it: object, says: str) -> None:
    break_it(home / "keys" / "sources" / "bot.key")  # type: ignore[operator]
    with pytest.raises(KeyUnreadable, match=says):
        Client.connect(home, source="bot")


def test_twenty_threads_share_a_client(gateway: Running, connect: Connect) -> None:
    client = connect(gateway.home)
    answers: dict[str, str] = {}

    def ask(number: str) -> None:
        answers[number] = client.decide(opening(number=number)).intent_id

    threads = [Thread(target=ask, args=(f"t{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"t{number}": f"t{number}" for number in range(20)}


# ---------------------------------------------------------------- in the gateway's own process


def test_inside_the_process_the_same_is_said(gateway: Running) -> None:
    client = Client.inside(gateway.desk, gateway.loop, source="bot")
    assert client.submit(opening()).allowed
    assert client.status().account == "story"
    with pytest.raises(CommandRefused, match="operator"):
        client.ask(Kill(KillMode.FREEZE, Scope.ACCOUNT, "", "now", "mallory"))


def test_inside_too_a_busy_desk_is_a_no_and_finishes_what_it_began(gateway: Running) -> None:
    client = Client.inside(gateway.desk, gateway.loop, source="bot")
    gateway.hold()
    with impatient(client):
        assert client.submit(opening()).headline == Code.UNANSWERED
    gateway.has_heard(1)
    gateway.let_go()
    assert client.submit(opening()).decisions[0].repeats


def test_the_gateways_own_thread_cannot_wait_for_itself(gateway: Running) -> None:
    client = Client.inside(gateway.desk, gateway.loop, source="bot")

    async def ask() -> str:
        return client.submit(opening()).note

    note = asyncio.run_coroutine_threadsafe(ask(), gateway.loop).result(5.0)
    assert "own thread" in note


def test_an_event_loop_that_is_over_is_a_no(home: Path) -> None:
    with running(home) as gateway:
        client = Client.inside(gateway.desk, gateway.loop, source="bot")
    assert "not running" in client.submit(opening()).note


def test_a_desk_that_breaks_is_a_no(gateway: Running, connect: Connect) -> None:
    async def broken(intent: Intent) -> Answer:
        raise ZeroDivisionError

    gateway.desk.dry_run = broken  # type: ignore[method-assign]
    for client in (Client.inside(gateway.desk, gateway.loop, source="bot"), connect(gateway.home)):
        answer = client.decide(opening())
        assert answer.headline == Code.UNANSWERED
        assert client.submit(opening()).headline == Code.ALLOWED
    assert any("ZeroDivisionError" in trouble for trouble in gateway.troubles)


# ---------------------------------------------------------------- a process that dies


def test_a_gateway_killed_in_the_middle_of_a_question_has_not_answered(home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    run = [sys.executable, str(ROOT / "tests" / "control_kit.py"), str(home)]
    for _ in range(2):  # the second time over the socket that the dead one left behind
        with subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            with Client.connect(home, source="bot", timeout_s=30.0) as client:
                assert client.decide(opening()).allowed
                answers = []
                asking = Thread(target=lambda: answers.append(client.submit(opening(number="wait"))))  # noqa: B023
                asking.start()
                assert process.stdout.readline() == "waiting\n"
                process.send_signal(signal.SIGKILL)
                asking.join(20.0)
                assert [answer.headline for answer in answers] == [Code.UNANSWERED]
                assert client.submit(opening()).headline == Code.UNANSWERED


def test_the_key_in_use_is_the_one_in_the_file(home: Path) -> None:
    with running(home) as gateway:
        path = home / "keys" / "sources" / "late.key"
        path.write_bytes(KEYS["bot"])
        path.chmod(0o600)
        with Client.connect(home, source="late") as client:
            assert client.status().account == "story"
        path.unlink()
        with Client.connect(gateway.socket, source="late", key=KEYS["bot"]) as client, pytest.raises(GatewayUnreachable):
            client.status()


def test_an_exit_proposal_names_its_side_and_rung_and_only_reduces(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        answer = client.propose_exit("GOLD", SELL, rung="tp1", close=CloseAction.PARTIAL_33, stop_price=1990.0)
        nameless = client.propose_exit("GOLD", SELL, rung="", close=CloseAction.FULL_CLOSE)
    assert answer.headline == Code.NOTHING_TO_REDUCE
    (sent,) = gateway.desk.submitted
    assert (sent.source, sent.side, sent.rung, sent.close) == ("bot", SELL, "tp1", CloseAction.PARTIAL_33)
    assert (sent.stop_price, sent.reduce_only) == (1990.0, True)
    assert (nameless.headline, nameless.allowed) == (Code.MALFORMED, False)


def test_a_proposal_that_forgets_to_say_so_only_reduces_all_the_same(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        client.submit(Intent("x", "bot", "trend", "GOLD", SELL, rung="own", close=CloseAction.FULL_CLOSE))
        longest = client.submit(Intent("y", "bot", "trend", "GOLD", SELL, rung="r" * 129))
    assert [sent.reduce_only for sent in gateway.desk.submitted] == [True]
    assert (longest.headline, "the rung of an intent" in longest.note) == (Code.UNANSWERED, True)


def test_markets_are_told_and_exits_are_read(gateway: Running) -> None:
    state = MarketState("GOLD", START_NS, atr=12.0, label="TREND")
    bar = BarClosed("GOLD", START_NS, 900.0, 1.0, 1.0, 1.0, 1.0)
    with Client.connect(gateway.home, source="bot") as client:
        client.tell_market(state)
        client.tell_market(bar)
        told = client.exits()
    assert gateway.desk.heard[1:] == [("bot", bar)]
    assert [(source, event.symbol) for source, event in gateway.desk.heard] == [("bot", "GOLD")] * 2
    assert (told.owner.owner, told.positions) == ("any", ())


def test_what_is_told_as_allowed_passes_and_more_does_not(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        told = client.allowed("GOLD", stop_frac=0.01)
        assert (told.source, [each.side for each in told.rooms]) == ("bot", [BUY, SELL])
        room = told.rooms[0]
        assert room.steps > 0
        fits = client.buy("GOLD", room.strategy, quantity=room.quantity, stop_price=room.stop_price)
        more = client.buy("GOLD", room.strategy, quantity=room.quantity * 1.01, stop_price=room.stop_price)
        fits, more = (replaced(each, created_at_ns=at_s(1)) for each in (fits, more))
        assert client.decide(fits).granted_steps == room.steps
        assert client.decide(more).headline is room.binds
        assert {each.symbol for each in client.allowed().rooms} == {"GOLD", "EURO"}


def test_what_is_allowed_is_told_of_oneself_and_to_operators_of_anybody(gateway: Running) -> None:
    with Client.connect(gateway.home, source="rival") as rival:
        assert rival.allowed().rooms == ()
        with pytest.raises(CommandRefused, match="'rival' may not ask for 'bot': use the operator's key"):
            rival.ask(GetAllowed(source="bot"))
        with pytest.raises(CommandRefused, match="a share of the mark between 0 and 1, found 5"):
            rival.allowed(stop_frac=5.0)
    with Client.connect(gateway.home, source="operator") as operator:
        told = operator.ask(GetAllowed("GOLD", 0.01, "bot"))
        assert isinstance(told, Envelope)
        assert len(told.rooms) == 2


def test_how_far_rules_are_used_is_told_to_whoever_asks(gateway: Running) -> None:
    with Client.connect(gateway.home, source="rival") as rival:
        told = rival.ask(GetUtilisation(0.01))
        assert isinstance(told, Utilisation)
        assert (told.currency, told.stop_frac, told.undefined) == ("USD", 0.01, ())
        exposure = next(each for each in told.standings if each.code == Code.SYMBOL_EXPOSURE)
        assert (exposure.measure, exposure.stand, exposure.limit_name) == ("share", "admits", "symbol_exposure_frac_max")
        with pytest.raises(CommandRefused, match="a share of the mark between 0 and 1, found 5"):
            rival.ask(GetUtilisation(5.0))


# ---------------------------------------------------------------- rebalances and cancellations


def targets(client: Client, **weights: float) -> Rebalance:
    told = [
        Instruction(symbol, Action.SCALE, weight, 1900.0 if symbol == "GOLD" else 1.0) for symbol, weight in weights.items()
    ]
    return client.instruct("trend", told)


def test_a_rebalance_is_answered_instruction_by_instruction(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        wish = targets(client, GOLD=0.1, EURO=0.05, SILVER=0.01)
        foreseen = client.decide_rebalance(wish)
        assert gateway.desk.rebalances == []
        answer = client.rebalance(wish)
        for told in (foreseen, answer):
            assert (told.rebalance_id, told.headline, told.allowed) == (wish.id, Code.ALLOWED, True)
            assert [each.headline for each in told.answers] == [Code.ALLOWED, Code.ALLOWED, Code.MALFORMED]
        assert [each.quantity for each in answer.answers] == [0.5, 454.0, 0.0]
        assert wish.id != targets(client).id


def test_a_rebalance_is_of_the_source_that_was_proven(gateway: Running) -> None:
    with Client.connect(gateway.home, source="rival") as client:
        answer = client.rebalance(replaced_rebalance(targets(client, GOLD=0.1), source="bot"))
    assert gateway.desk.rebalances[0].source == "rival"
    assert [each.headline for each in answer.answers] == [Code.SOURCE_DENIED]
    assert not answer.allowed


def replaced_rebalance(rebalance: Rebalance, **changes: object) -> Rebalance:
    return msgspec.structs.replace(rebalance, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": ""}, "a rebalance has an id"),
        ({"id": "i" * 129}, "the id of a rebalance has at most 128 characters"),
        ({"strategy": "s" * 129}, "the strategy of a rebalance has at most 128 characters"),
        ({"instructions": (Instruction("G" * 129, Action.CLOSE),)}, "instruction 1: symbol and provenance"),
        (
            {"instructions": (Instruction("G", Action.CLOSE, provenance=Provenance("r" * 129)),)},
            "instruction 1: symbol and provenance have at most 128 characters each",
        ),
        ({"instructions": (Instruction("G", Action.CLOSE),) * 1001}, "at most 1000 instructions, found 1001"),
        ({"instructions": (Instruction("G" * 10_000, Action.CLOSE),) * 100}, "at most 524288 are taken"),
    ],
)
def test_what_nobody_may_send_is_a_no_and_is_not_decided(gateway: Running, changes: dict[str, object], says: str) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        answer = client.rebalance(replaced_rebalance(targets(client, GOLD=0.1), **changes))
    assert (answer.headline, answer.answers) == (Code.UNANSWERED, ())
    assert says in answer.note
    assert gateway.desk.rebalances == []


def test_the_longest_rebalance_travels(gateway: Running) -> None:
    with Client.connect(gateway.home, source="bot") as client:
        origin = Provenance("r" * 64, "s" * 64, "g" * 64)
        told = [Instruction(f"{number:0>20}", Action.SCALE, 0.001, 1.0, 2.0, origin) for number in range(1000)]
        answer = client.decide_rebalance(client.instruct("trend", told))
    assert [each.headline for each in answer.answers] == [Code.MALFORMED] * 1000


def test_without_a_gateway_a_rebalance_is_unanswered_and_a_cancellation_raises(home: Path, connect: Connect) -> None:
    client = connect(home, timeout_s=1.0)
    for answer in (client.rebalance(targets(client, GOLD=0.1)), client.decide_rebalance(targets(client))):
        assert (answer.headline, answer.answers, answer.allowed) == (Code.UNANSWERED, (), False)
        assert "is it running?" in answer.note
    with pytest.raises(GatewayUnreachable):
        client.cancel("i1")


def test_a_busy_desk_is_a_no_to_a_rebalance_too(gateway: Running, connect: Connect) -> None:
    gateway.hold()
    for client in (
        connect(gateway.home, timeout_s=0.2),
        Client.inside(gateway.desk, gateway.loop, source="bot", timeout_s=0.2),
    ):
        assert client.rebalance(targets(client, GOLD=0.1)).headline == Code.UNANSWERED
    gateway.let_go()


def test_an_answer_to_another_rebalance_is_none(gateway: Running, connect: Connect) -> None:
    async def answers_another(rebalance: Rebalance) -> Rebalanced:
        return Rebalanced("another", Code.ALLOWED)

    gateway.desk.rebalance = answers_another  # type: ignore[method-assign]
    client = connect(gateway.home)
    answer = client.rebalance(targets(client, GOLD=0.1))
    assert (answer.headline, answer.note) == (Code.UNANSWERED, "the gateway answered to something else")


def test_an_opening_is_cancelled_by_its_intents_id_and_by_whoever_may_open(gateway: Running, connect: Connect) -> None:
    bot, rival = connect(gateway.home), connect(gateway.home, "rival")
    decision = bot.submit(opening()).decisions[0]
    assert rival.cancel("i1").headline == Code.SOURCE_DENIED
    done = bot.cancel("i1")
    assert (done.id, done.headline, done.revoked, done.cancelling) == ("i1", Code.ALLOWED, (decision.permit,), ())
    again = bot.cancel("i1")
    assert (again.headline, again.note) == (Code.MALFORMED, "no order of it is live that opens")
    with pytest.raises(CommandRefused):
        bot.cancel("i" * 129)


def test_a_rebalances_openings_are_cancelled_by_its_id(gateway: Running, connect: Connect) -> None:
    client = connect(gateway.home)
    wish = targets(client, GOLD=0.1, EURO=0.05)
    permits = [each.decisions[0].permit for each in client.rebalance(wish).answers]
    assert client.cancel(f"{wish.id}/EURO").revoked == (permits[1],)
    assert client.cancel(wish.id).revoked == (permits[0],)
