"""`interlock guards`: the rules, and how far they are used in a described account, a ledger and a running gateway."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cli_story import write
from control_kit import make_home, running
from interlock.cli import app
from interlock.cli.used import show_standing
from interlock.core.codes import Code
from interlock.core.constants import OPERATOR_NS
from interlock.core.guards import GUARDS
from interlock.core.reasons import TRIGGERS
from interlock.core.utilisation import Standing
from repository import ROOT

STATE = ROOT / "examples" / "state.toml"


def run(*arguments: str | Path, columns: int = 120) -> Result:
    return CliRunner().invoke(app, ["guards", *map(str, arguments)], env={"COLUMNS": str(columns)})


def of(told: dict[str, Any], code: str, kind: str = "guard") -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in told["rules"] if (each["code"], each["kind"]) == (code, kind))
    return found


def line(text: str, code: str) -> str:
    return next(each for each in text.splitlines() if each.startswith(code + " "))


def test_every_rule_has_its_formula_facts_limits_and_present_use() -> None:
    told = json.loads(run("--state", STATE, "--json").output)
    assert [each["code"] for each in told["rules"] if each["kind"] == "guard"] == [guard.code for guard in GUARDS]
    assert [each["code"] for each in told["rules"] if each["kind"] == "trigger"] == [*TRIGGERS]
    assert (told["currency"], told["stop_frac"], told["place_count"], told["undefined"]) == ("USDT", 0.02, 3, [])
    loss = of(told, "DAILY_LOSS")
    assert "f.day_open_equity" in loss["formula"]
    now = loss["now"]
    assert (now["stand"], now["measure"], now["limit_name"]) == ("admits", "share", "day_loss_frac_max")
    assert (now["used"], now["limit"]) == (pytest.approx(140 / 9_990), 0.02)
    assert now["share"] == pytest.approx(140 / 9_990 / 0.02)
    assert {each["name"]: each["value"] for each in now["facts"]} == {"equity": 9_850.0, "day_open_equity": 9_990.0}
    assert of(told, "DAILY_LOSS", "trigger")["now"]["share"] == pytest.approx(now["share"])
    assert of(told, "STOP_EXIT", "exit")["now"] is None


@pytest.mark.parametrize("columns", [80, 120])
def test_what_objects_comes_first_and_then_what_is_used_most(columns: int) -> None:
    text = run("--state", STATE, columns=columns).output
    assert max(map(len, text.splitlines())) <= columns
    objects, used, bounds, triggers, rest = (
        text.index(part)
        for part in ("Guards that object", "Guards, by what", "Guards that bound", "Triggers, by how", "Allows least:")
    )
    assert objects < used < bounds < triggers < rest
    assert "ETHUSDT" in line(text, "ATR_SPIKE")
    assert "atr is unknown" in line(text, "ATR_SPIKE")
    assert line(text, "DAILY_LOSS").split()[1:][:5] == ["1.401", "%", "2", "%", "70"]
    assert text.index("DAILY_LOSS  ") < text.index("DRAWDOWN  ") < text.index("TOTAL_DRAWDOWN  ")
    assert "22,021.94  ETHUSDT" in line(text, "SYMBOL_EXPOSURE")
    assert "25,000.00" in line(text, "ORDER_NOTIONAL")
    assert "fired, DAILY_LOSS" in line(text, "WARN")
    assert ("symbol exposure" in line(text, "SYMBOL_EXPOSURE")) == (columns == 120)


def test_every_rule_is_on_the_page_whatever_its_state() -> None:
    text = run("--state", STATE).output
    assert {guard.code for guard in GUARDS} | {*TRIGGERS} <= {word.strip(".,") for word in text.split()}


def test_one_rule_is_told_whole() -> None:
    text = run("symbol_exposure", "--state", STATE).output
    for part in ("formula", "76.43 % of 300 % symbol exposure, 25 %", "22,021.94 USDT", "ETHUSDT", "symbol_notional 7,528"):
        assert part in text
    text = run("TRADE_RISK", "--state", STATE).output
    assert "objects in 1 of 3 places, binds in 2 of 3" in text
    assert "regime is unknown" in text


def test_the_rules_themselves_say_what_can_be_told_of_their_use() -> None:
    assert "bounds each order by itself" in run("TRADE_RISK").output
    assert "`interlock exits` shows the distance" in run("STOP_EXIT").output
    assert {each["measure"] for each in json.loads(run("--json").output)} == {"share", "order", "condition", "position"}


def test_a_ledger_is_asked_at_its_end(tmp_path: Path) -> None:
    directory = tmp_path / "ledger"
    write(directory)
    told = json.loads(run("--ledger", directory, "--json").output)
    locked = of(told, "TRADING_REDUCING")["now"]
    assert (locked["stand"], locked["objecting_count"]) == ("objects", told["place_count"])
    text = run("--ledger", directory).output
    assert "everywhere" in line(text, "TRADING_REDUCING")


@pytest.mark.parametrize(
    ("until_ns", "text"), [(10**18, "until 2001-09-09"), (OPERATOR_NS, "until an operator"), (0, "fired")]
)
def test_a_trigger_that_has_fired_says_until_when(until_ns: int, text: str) -> None:
    console = Console(file=StringIO(), width=100)
    show_standing(console, Standing(Code.CONSEC_LOSS, "trigger", "share", "fired", until_ns=until_ns), "USD")
    assert text in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_running_gateway_is_asked(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with running(home):
        told = json.loads(run("--home", home, "--stop", "1 %", "--json").output)
        text = run("--home", home).output
    assert (told["stop_frac"], told["currency"]) == (0.01, "USD")
    assert "Guards that bound each order" in text


def test_a_gateway_that_does_not_answer_is_unknown(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    result = run("--home", home)
    assert result.exit_code == 3
    assert result.output.startswith("Used: UNKNOWN")
    assert json.loads(run("--home", home, "--json").output)["used"] == "UNKNOWN"
    assert run("--home", tmp_path / "nowhere").exit_code == 2


def test_nothing_that_is_defined_is_said(tmp_path: Path) -> None:
    described = tmp_path / "state.toml"
    policy = ROOT / "examples" / "policy.toml"
    described.write_text(f'policy = "{policy}"\naccount = {{ currency = "USDT", equity = 1000 }}\n[symbols]\n')
    told = run("--state", described).output
    assert "! BTCUSDT is in the policy and not defined" in told
    assert "Not asked, as nothing is defined: POLICY_MISSING" in told
    assert "nothing bounds an order" in told


def test_one_place_is_asked(tmp_path: Path) -> None:
    assert run("--state", STATE, "--home", tmp_path).exit_code == 2
    assert run("--state", STATE, "--policy", ROOT / "examples" / "policy.toml").exit_code == 2
