"""`interlock exits` and `adopt`: on a running gateway, a silent one, a described account, and a ledger."""

import json
from collections.abc import Iterator
from io import StringIO
from math import nan
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cli_story import write
from control_kit import Running, make_home, running
from interlock.cli import app
from interlock.cli.live import decision_line, page
from interlock.cli.way_out import lasting, owner_text
from interlock.core.codes import CloseAction, Code, ExitMode
from interlock.core.exits.views import ExitOwner
from interlock.core.messages import Heartbeat, Intent, OwnerSet, PermitIssued
from interlock.ledger import Ledger
from interlock.ledger.steps import encode, kind_of
from interlock.service.api import DecisionStatus
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.wayout import EXITS

POLICY = """
policy_version = "described"
extends = "layered@1"
created_at = 2027-01-01T00:00:00Z
valid_for = "90 d"
generator = { name = "test" }
account = { currency = "USDT" }
universe = { BTC = { margin_leverage = "10 x" }, ETH = { margin_leverage = "10 x" } }
sources = { bot = { trend = ["open", "close"] } }
"""
SITUATION = """
policy = "policy.toml"
at = 2027-01-15T08:00:00Z
[account]
currency = "USDT"
equity = 10000
[symbols.BTC]
step = 0.0001
tick = 0.01
bid = 102.99
ask = 103.01
atr = 1.0
regime = "TREND"
confidence = 0.7
sigma = 0.01
trend_strength = 0.3
quantity = 5.0
entry = 100.0
stop = 98.0
target = 120.0
[symbols.ETH]
step = 0.0001
tick = 0.01
bid = 50.0
ask = 50.01
quantity = -1.0
"""
ADVISORY = '[exits]\nowner = "exit"\nmode = "advisory"\nheartbeat = "300 s"\n'
LEAPS = '[rules.MARKET_STALE]\njump = "50 %"\n'


def run(*words: str, code: int = 0, columns: int = 80) -> Result:
    result = CliRunner().invoke(app, [*words], env={"COLUMNS": str(columns), "TERM": "dumb"})
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def told(*words: str, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code).stdout)


@pytest.fixture
def situation(tmp_path: Path) -> str:
    (tmp_path / "policy.toml").write_text(f'{POLICY}{EXITS["A"]}[rules.ORDER_NOTIONAL]\nnotional = "5000 USDT"\n')
    (tmp_path / "state.toml").write_text(SITUATION)
    return str(tmp_path / "state.toml")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Running]:
    with running(make_home(tmp_path / "home")) as live:
        yield live


def opened(made: Bench) -> None:
    made.send(Heartbeat("exit"))
    step = made.send(made.intent("BTC", 1, quantity=10.0, stop_price=98.0))
    made.fill(next(each for each in step.outputs if isinstance(each, PermitIssued)).id, price=100.0)


def kept(made: Bench, directory: Path) -> str:
    """The bench's record as a ledger."""
    with Ledger.open(directory, account="test", schema=3) as ledger:
        for step in made.steps:
            ledger.append(step.at_ns, kind_of(step), encode(step))
    return str(directory)


# ---------------------------------------------------------------- explain


def test_a_described_position_says_how_far_every_exit_is(situation: str) -> None:
    shown = " ".join(run("exits", "explain", "BTC", "--state", situation).stdout.split())
    assert "BTC long 5 for trend" in shown
    assert "stop 98, at first 98" in shown
    assert "P&L 15.00, costs 0.50, at risk 10.00: R 1.450" in shown
    assert "stop 100 % mark 103 98 -4.85%" in shown
    assert "tp1 33 % mark 103 101.2 -1.75% acts now" in shown
    assert "partial_25 25 % R 1.450 2.000 = 104.1 +1.07%" in shown
    assert "trailing: begins after tp1 or profit_lock" in shown


def test_the_same_as_json(situation: str) -> None:
    (position,) = told("exits", "explain", "BTC", "--state", situation)["positions"]
    assert position["harvest"]["r"] == pytest.approx(1.45)
    by_rung = {rule["rung"]: rule for rule in position["rules"]}
    assert by_rung["partial_25"]["conditions"][0]["price"] == pytest.approx(104.1)
    assert by_rung["kill"]["conditions"][0]["value"] == 0.5
    assert position["pursued"] is None


def test_a_position_that_nobody_looks_after_names_its_remedy(situation: str) -> None:
    shown = " ".join(run("exits", "explain", "--state", situation).stdout.split())
    assert "interlock adopt ETH --stop PRICE" in shown


def test_a_symbol_that_is_not_held_is_a_mistake(situation: str) -> None:
    said = run("exits", "explain", "SOL", "--state", situation, code=2).stderr
    assert "no position in SOL is held: what is held is BTC, ETH" in said


def test_a_ledger_is_explained_as_of_its_end(tmp_path: Path) -> None:
    made = open_bench(policy=make_policy("layered@1", toml=(EXITS["A"], LEAPS)))
    opened(made)
    made.mark("BTC", 104.5)
    directory = kept(made, tmp_path / "ledger")
    shown = " ".join(run("exits", "explain", "--ledger", directory).stdout.split())
    assert "pursued partial_25: down to 7.5, 1 order under way" in shown
    assert "partial_25 25 % R 2.200 2.000 = 104.1 -0.38% fired" in shown
    assert "Exits: the built-in rules, and every source that may close." in shown


def test_a_flat_ledger_has_no_position(tmp_path: Path) -> None:
    write(tmp_path / "ledger")
    assert "No position." in run("exits", "explain", "--ledger", str(tmp_path / "ledger")).stdout


def test_only_one_source_is_asked(situation: str, tmp_path: Path) -> None:
    run("exits", "explain", "--state", situation, "--home", str(tmp_path), code=2)
    run("exits", "compare", "--ledger", str(tmp_path), "--home", str(tmp_path), code=2)
    run("explain", "--last", "--ledger", str(tmp_path), "--home", str(tmp_path), code=2)


def test_the_running_gateway_is_asked_and_a_silent_one_is_unknown(live: Running, tmp_path: Path) -> None:
    assert "No position." in run("exits", "explain", "--home", str(live.home)).stdout
    assert told("exits", "explain", "--home", str(live.home))["owner"]["owner"] == "any"
    silent = make_home(tmp_path / "silent")
    assert run("exits", "explain", "--home", str(silent), code=3).stdout.startswith(
        "Exits: UNKNOWN\nWhy: no gateway answers"
    )
    assert told("exits", "explain", "--home", str(silent), code=3)["exits"] == "UNKNOWN"


# ---------------------------------------------------------------- compare


def test_two_hands_side_by_side(tmp_path: Path) -> None:
    made = open_bench(policy=make_policy("layered@1", toml=(EXITS["A"], LEAPS, ADVISORY)))
    opened(made)
    made.mark("BTC", 104.5)
    close = Intent("x", "exit", "trend", "BTC", -1, reduce_only=True, rung="own", close=CloseAction.FULL_CLOSE)
    step = made.send(close)
    made.fill(next(each for each in step.outputs if isinstance(each, PermitIssued)).id, price=105.0)
    made.mark("BTC", 100.0)
    opened(made)
    directory = kept(made, tmp_path / "ledger")
    shown = run("exits", "compare", "--ledger", directory, columns=120).stdout
    text = " ".join(shown.split())
    assert "own by exit: 10 at 105 +2.50 50.00 08:00:00 partial_25: 2.5 at 104.5 +0.56 11.25" in text
    assert "still held: 7.5 at 105 +1.88 37.50" in text
    assert "as made +2.50 50.00 built-in rules +2.44 48.75 difference -0.06 -1.25" in text
    assert "still open" in text
    figures = told("exits", "compare", "BTC", "--ledger", directory)
    assert (figures["compared"], figures["acting_money"], figures["builtin_money"]) == (1, 50.0, 48.75)


def test_nothing_to_compare_says_what_to_change(tmp_path: Path) -> None:
    write(tmp_path / "home" / "ledger")
    text = " ".join(run("exits", "compare", "--home", str(tmp_path / "home")).stdout.split())
    assert 'Nothing to compare: no position has ended while the policy had `exits.mode = "advisory"`' in text
    assert "not asked for advice" in text
    run("exits", "compare", "--ledger", str(tmp_path), code=3)


def test_a_home_has_its_ledger_explained(tmp_path: Path) -> None:
    write(tmp_path / "home" / "ledger")
    assert "denied" in run("explain", "--last", "--denied", "--home", str(tmp_path / "home")).stdout.lower()


# ---------------------------------------------------------------- acting


def test_exits_are_given_to_an_owner(live: Running) -> None:
    said = run("exits", "owner", "bot", "--by", "alice", "--home", str(live.home)).stdout
    assert said == "Exits belong to bot.\n"
    assert live.desk.acts == [OwnerSet("bot", "alice")]
    assert live.desk.exits().owner.owner == "bot"


def test_an_adoption_that_cannot_be_is_refused_with_the_reason(live: Running) -> None:
    said = run("adopt", "GOLD", "--stop", "1900", "--strategy", "trend", "--home", str(live.home), code=1).stderr
    assert "no position in GOLD is known: it is adopted once the venue has told it" in said


# ---------------------------------------------------------------- in words


def test_who_acts_in_one_sentence() -> None:
    assert owner_text(ExitOwner()) == "the built-in rules, and every source that may close"
    named = ExitOwner("exit", ExitMode.EXTERNAL, False, False, True, 2.0, 30.0)
    assert owner_text(named) == "exit (external), alive"
    silent = msgspec.structs.replace(named, alive=False, silent_s=45.0)
    assert owner_text(silent) == "exit (external), silent for 45 s, limit 30 s"
    gone = msgspec.structs.replace(silent, builtin_acts=True, succeeded=True, silent_s=90.0)
    assert owner_text(gone) == "the built-in rules act in place of exit, which was silent for 1.5 min, limit 30 s"
    both = msgspec.structs.replace(named, mode=ExitMode.BUILTIN, builtin_acts=True)
    assert owner_text(both) == "exit and the built-in rules (builtin), alive"


@pytest.mark.parametrize(("seconds", "text"), [(7_200.0, "2 h"), (90_000.0, "1.04 d"), (nan, "an unknown time")])
def test_times_for_people(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def shown(live: Running, width: int, **changes: Any) -> str:
    status = live.desk.status()
    position = msgspec.structs.replace(status.positions[0], **changes)
    console = Console(width=width, record=True, file=StringIO())
    console.print(page(msgspec.structs.replace(status, positions=(position,)), "USD", width))
    return " ".join(console.export_text().split())


@pytest.mark.parametrize("width", [80, 140])
def test_the_page_says_r_stop_and_what_closes_next(live: Running, width: int) -> None:
    text = shown(live, width, r=0.6, score=0.53, next_rung="tp1", next_price=2050.0)
    assert "+0.60" in text
    assert "1,900 tp1 2,050" in text
    assert ("0.53" in text) == (width > 100)
    assert "Exits: the built-in rules" in text


def test_the_page_names_what_is_wrong_with_a_position(live: Running) -> None:
    assert "not ours: adopt it" in shown(live, 80, managed=False)
    assert "flattening" in shown(live, 80, flattening=True)
    assert "1,900 missing" in shown(live, 80, stop_state="missing")
    assert "1,900 pending" in shown(live, 80, stop_state="pending")


def test_an_exit_is_named_by_its_rung_in_the_log() -> None:
    made = DecisionStatus(0, 1, "exit:GOLD:3:tp1", "exits", "GOLD", -1, True, 0, 0, Code.ALLOWED, "the stop moves to 3")
    assert "sell GOLD (tp1)  allowed  the stop moves to 3" in decision_line(made)
