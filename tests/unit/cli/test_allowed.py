"""`interlock allowed`: of a described account, a ledger, a running gateway, and one that does not answer."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli_story import START_NS, write
from control_kit import make_home, running
from interlock.cli import app
from interlock.cli.allowed import at_most, bound_text
from interlock.cli.output import utc
from interlock.core.codes import Code
from interlock.core.constants import OPERATOR_NS
from interlock.core.envelope import Room
from repository import ROOT

STATE = ROOT / "examples" / "state.toml"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["allowed", *map(str, arguments)], env={"COLUMNS": "160"})


def test_a_described_account_tells_its_rooms() -> None:
    told = json.loads(run("trend-bot", "--stop", "2 %", "--state", STATE, "--json").output)
    assert (told["source"], told["currency"], told["stop_frac"]) == ("trend-bot", "USDT", 0.02)
    rooms = {(each["symbol"], each["side"]): each for each in told["rooms"]}
    assert set(rooms) == {("BTCUSDT", 1), ("BTCUSDT", -1), ("ETHUSDT", 1), ("ETHUSDT", -1)}
    assert rooms["BTCUSDT", 1]["notional"] > 0
    assert (rooms["ETHUSDT", 1]["binds"], rooms["ETHUSDT", 1]["notional"]) == ("SYMBOL_OWNED", 0.0)
    assert (rooms["ETHUSDT", -1]["binds"], rooms["ETHUSDT", -1]["closes"]) == ("NOT_EXIT_OWNER", 0.0)
    text = run("trend-bot", "BTCUSDT", "--stop", "2 %", "--state", STATE).output
    assert "a stop 2 % away" in text
    assert rooms["BTCUSDT", 1]["binds"] in text
    assert "ETHUSDT" not in text


def test_what_is_told_is_what_check_says() -> None:
    told = json.loads(run("trend-bot", "BTCUSDT", "--stop", "2 %", "--state", STATE, "--json").output)["rooms"][0]
    for quantity, code in ((told["quantity"], 0), (told["quantity"] + 0.001, 1)):
        order = ("--symbol", "BTCUSDT", "--side", "buy", "--quantity", f"{quantity:.3f}", "--stop", str(told["stop_price"]))
        result = CliRunner().invoke(app, ["check", *order, "--state", str(STATE)])
        assert result.exit_code == code, result.output


def test_an_amount_that_is_shown_fits() -> None:
    assert at_most(2_999.999, "USDT") == "2,999.99 USDT"
    shown = next(
        line for line in run("trend-bot", "BTCUSDT", "--stop", "2 %", "--state", STATE).output.splitlines() if "buy" in line
    )
    notional = shown.split("buy")[1].split()[0].replace(",", "")
    told = json.loads(run("trend-bot", "BTCUSDT", "--stop", "2 %", "--state", STATE, "--json").output)["rooms"][0]
    order = ("--symbol", "BTCUSDT", "--side", "buy", "--notional", notional, "--stop", str(told["stop_price"]))
    assert CliRunner().invoke(app, ["check", *order, "--state", str(STATE)]).exit_code == 0


def test_nothing_is_said_to_be_nothing() -> None:
    assert "Nothing: the policy gives it no right to open." in run("nobody", "--state", STATE).output
    text = run("trend-bot", "BTCUSDT", "--state", STATE).output
    assert "with no stop" in text
    assert "STOP_REQUIRED" in text
    assert "until the facts change" in text


def test_a_ledger_is_asked_at_its_end(tmp_path: Path) -> None:
    directory = tmp_path / "ledger"
    write(directory)
    text = run("bot", "GOLD", "--stop", "5 %", "--ledger", directory).output
    assert "TRADING_REDUCING" in text
    assert "3,592 s" in text
    assert utc(START_NS)[:10] in text


def test_what_only_a_person_ends_says_so() -> None:
    room = Room("trend", "GOLD", 1, 0.0, 0.0, 0, Code.SYMBOL_VETO, OPERATOR_NS)
    assert bound_text(room, 0) == (Code.SYMBOL_VETO, "until an operator")
    spent = Room("trend", "GOLD", 1, 0.0, 0.0, 0, Code.DAILY_RISK_QUOTA, OPERATOR_NS)
    assert bound_text(spent, 0) == (Code.DAILY_RISK_QUOTA, "until an operator")


def test_the_running_gateway_is_asked(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with running(home):
        told = json.loads(run("bot", "GOLD", "--stop", "1 %", "--home", home, "--json").output)
    assert [each["side"] for each in told["rooms"]] == [1, -1]


def test_a_gateway_that_does_not_answer_allows_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    result = run("bot", "--home", home)
    assert result.exit_code == 3
    assert result.output.startswith("Allowed: UNKNOWN, so nothing")
    assert json.loads(run("bot", "--home", home, "--json").output)["allowed"] == "UNKNOWN"


@pytest.mark.parametrize("stop", ["2", "0 %", "100 %", "far"])
def test_a_stop_that_is_no_share_is_refused(stop: str) -> None:
    result = run("trend-bot", "--stop", stop, "--state", STATE)
    assert result.exit_code == 2
    assert "--stop" in result.output


def test_one_place_is_asked(tmp_path: Path) -> None:
    assert run("bot", "--state", STATE, "--home", tmp_path).exit_code == 2
