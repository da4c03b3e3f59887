"""`interlock replay` as a user runs it: on the example, on what cannot be used, and its page in a browser."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from interlock.cli import app
from interlock.ledger import verify
from repository import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EXAMPLE = ROOT / "examples" / "my-trades.csv"
EQUITY = ROOT / "examples" / "my-equity.csv"
FILLS = "time,symbol,side,quantity,price\n1709294400,A,buy,500,40\n1709298000,A,sell,500,41\n"
POLICY = """
policy_version = "mine"
extends = "crypto-futures@1"
created_at = 2026-11-20T00:00:00Z
valid_for = "7 d"
generator = { name = "a test" }
account = { currency = "USDT" }
universe = { BTCUSDT = { margin_leverage = "8 x" } }
sources = { bot = { momentum = ["open", "close"] } }
rules.ORDER_NOTIONAL.notional = "2000 USDT"
rules.STOP_REQUIRED = "off: my history has none"
rules.ATR_SPIKE = "off: a history carries no market state"
rules.GROSS_LEVERAGE = "off: a history carries no market state"
rules.TRADE_RISK = "off: a history carries no market state"
rules.LIQUIDATION_DISTANCE = "off: my history does not say its leverage"
exits = { mode = "builtin", owner = "any" }
rules.CONTROLLER_DEAD = "off: there is no owner whose heartbeat could stop"
rules.LOSS_EXIT.loss = "0.1 %"
"""


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", "interlock", "replay", *map(str, arguments)]
    return subprocess.run(
        asked, capture_output=True, text=True, check=False, env={"COLUMNS": "80", "PATH": "/usr/bin:/bin"}
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The example by the command: its directory and what it printed for machines."""
    folder = tmp_path_factory.mktemp("replay")
    done = command(
        *(EXAMPLE, "--equity", EQUITY, "--currency", "USDT", "--json"),
        *("--keep", folder / "ledger", "--out", folder / "replay.html"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder, json.loads(done.stdout)


def test_the_command_tells_machines_what_it_found(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, result = ran
    found = result["comparison"]
    assert (result["proven"], result["currency"]) == (True, "USDT")
    assert result["columns"]["entry_time"] == "Entry time"
    assert [curve["name"] for curve in found["curves"]] == ["history", "with the gate", "equity marks"]
    was, became, marks = found["curves"]
    assert was["worst_drawdown_frac"] < became["worst_drawdown_frac"] < -0.05
    assert was["equity"] == pytest.approx(marks["equity"], abs=0.1)
    assert found["saved"] - found["cost"] == pytest.approx(became["equity"] - was["equity"])
    assert (found["exits_held_up"], found["openings"]) == (0, 188)
    assert found["granted"] + sum(found["denied"].values()) + sum(found["capped"].values()) == 188
    assert found["gap"]["flat_largest"] < 0.1
    report = verify(folder / "ledger" / "gate")
    assert report.head is not None
    assert (report.problems, report.head.hash.hex()) == ((), found["proof"]["head"])


def test_the_same_history_gives_the_same_ledger_and_the_table_says_so(
    ran: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    done = command(EXAMPLE, "--balance", "10000", "--currency", "USDT", "--quiet", "--out", tmp_path / "again.html")
    assert (done.returncode, done.stderr) == (0, "")
    for told in (
        "quantity = Quantity",
        "Worst drawdown",
        "lock DAILY_LOSS",
        "Biggest saves",
        "Biggest costs",
        "instants without a zone are taken as UTC",
        "Ledger verified",
        str(tmp_path / "again.html"),
    ):
        assert told in done.stdout
    assert ran[1]["comparison"]["proof"]["head"] in (tmp_path / "again.html").read_text()
    table = done.stdout.split("Your own trades")[1].split("Biggest saves")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_progress_is_on_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(FILLS)
    done = CliRunner().invoke(app, ["replay", str(path), "--balance", "10000", "--out", str(tmp_path / "x.html")])
    assert done.exit_code == 0
    assert "decided again" in done.stderr
    assert "decided again  " not in done.stdout


def test_ones_own_policy_and_price_bars(tmp_path: Path) -> None:
    policy, bars = tmp_path / "mine.toml", tmp_path / "btc.csv"
    policy.write_text(POLICY)
    trades = tmp_path / "trades.csv"
    trades.write_text(
        "time,symbol,side,quantity,price\n1709294400,BTCUSDT,buy,0.11,40000.0\n1709380800,BTCUSDT,sell,0.11,40100\n"
    )
    hours = [f"{1709294400 + 3600 * hour},{price},{price},{price},{price}" for hour, price in enumerate([39_000.0] * 20)]
    bars.write_text("\n".join(["ts,open,high,low,close", *hours]) + "\n")
    done = command(
        *(trades, "--policy", policy, "--balance", "10000", "--prices", f"BTCUSDT={bars}", "--json"),
        *("--out", tmp_path / "x.html"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    found = result["comparison"]
    assert result["policy"]["version"] == "mine"
    assert found["capped"] == {"ORDER_NOTIONAL": 1}
    was, became, *_ = found["curves"]
    assert was["worst_drawdown_frac"] == pytest.approx(-0.011)  # 0.11 × 1 000, seen through the bars alone
    assert became["worst_drawdown_frac"] == pytest.approx(-0.005)
    assert (became["equity"], found["exits_empty"]) == (10_005.0, 0)  # LOSS_EXIT of the policy closed nothing


def refusals(folder: Path) -> Iterator[tuple[list[str], str]]:
    trades = folder / "trades.csv"
    trades.write_text(FILLS)
    late = folder / "late.csv"
    late.write_text("time,equity\n1709999999,5\n")
    ruined = folder / "ruined.csv"
    ruined.write_text("time,equity\n1709290000,-5\n")
    policy = folder / "mine.toml"
    policy.write_text(POLICY)
    euros = folder / "euros.toml"
    euros.write_text(POLICY.replace("USDT", "EUR").replace("BTCEUR", "BTC"))
    bars = folder / "bars.csv"
    bars.write_text("ts,open,high,low,close\n1709294400,1,1,1,1\n1709298000,1,1,1,1\n")
    given = [str(trades), "--balance", "10000"]
    yield [str(trades)], "--balance 10000, or its equity"
    yield [str(trades), "--equity", str(late)], "later than the first fill"
    yield [str(trades), "--equity", str(ruined)], "is -5"
    yield [str(trades), "--balance", "-1"], "an amount above 0"
    yield [str(folder / "absent.csv"), "--balance", "1"], "absent.csv"
    calendar = folder / "calendar.csv"
    calendar.write_text("kind,from,until,zone,symbols\nflat,10:00,25:00,UTC,A\n")
    yield [*given, "--calendar", str(calendar)], "line 2, column until"
    yield [*given, "--zone", "Nowhere"], "Europe/Prague"
    yield [*given, "--map", "time"], "NAME=VALUE"
    yield [*given, "--map", "time=a", "--map", "time=b"], "twice"
    yield [*given, "--map", "colour=a"], "the meanings are"
    yield [*given, "--map", "price=Nope"], "--map price=Nope names"
    yield [*given, "--multiplier", "100", "--multiplier", "A=5"], "give it alone"
    yield [*given, "--multiplier", "B=5"], "the file has A"
    yield [*given, "--multiplier", "A=x"], "such as A=100"
    yield [*given, "--multiplier", "0"], "such as A=100"
    yield [*given, "--prices", f"B={bars}"], "the file has A"
    yield [*given, "--preset", "nonsense"], "crypto-futures@1, layered@1"
    yield [*given, "--policy", str(policy)], "universe is BTCUSDT"
    yield [*given, "--policy", str(euros), "--currency", "USD"], "they must agree"
    yield [*given, "--keep", str(folder)], "never written over"
    yield [*given, "--out", str(folder / "no" / "where.html")], "a directory that exists"


def test_what_cannot_be_used_is_refused_with_the_remedy(tmp_path: Path) -> None:
    for arguments, told in refusals(tmp_path):
        done = CliRunner().invoke(app, ["replay", *arguments, "--quiet"])
        assert (done.exit_code, told in done.stderr) == (2, True), (arguments, done.output)
        assert done.stdout == ""


def test_one_multiplier_serves_all_symbols(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(FILLS.replace("500", "5"))
    arguments = [
        "replay",
        str(path),
        "--balance",
        "10000",
        "--multiplier",
        "100",
        "--json",
        "--out",
        str(tmp_path / "x.html"),
    ]
    done = CliRunner().invoke(app, arguments)
    assert json.loads(done.stdout)["comparison"]["curves"][0]["equity"] == 10_500.0


def test_help_keeps_the_two_replays_apart() -> None:
    assert "interlock ledger replay" in CliRunner().invoke(app, ["replay", "--help"]).stdout


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_the_runs_without_complaint(
    ran: tuple[Path, dict[str, Any]], browser: "Browser", width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((ran[0] / "replay.html").as_uri())
    assert page.locator(".card").count() == 3
    assert page.locator(".chart canvas").count() == 3 + 2
    assert "Ledger verified" in page.locator(".verdict").inner_text()
    saves = page.get_by_role("region", name="What it would have saved")
    assert saves.locator("tbody tr").count() == 10
    assert "locked by" in saves.inner_text()
    assert "TRADING_REDUCING" in page.locator("#reasons").inner_text()
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()
