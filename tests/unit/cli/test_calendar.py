"""`interlock calendar`: what is wrong with a calendar file, and the windows that follow from a sound one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from interlock.cli import app
from repository import ROOT

EXAMPLE = ROOT / "examples" / "calendar.csv"
POLICY = ROOT / "examples" / "policy.toml"
NOW = "2026-11-20T12:00:00Z"
BAD = "kind,from,until,zone,symbols\nflat,Fri 16:45,Sunday 18:00,UTC,*\nflat,Fri 16:45,18:00,UTC,XRPUSDT\n"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["calendar", *map(str, arguments)])


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "calendar.csv"
    path.write_text(BAD)
    return path


def test_a_sound_file_is_said_to_be_sound() -> None:
    result = run("check", EXAMPLE, "--policy", POLICY, "--at", NOW)
    assert result.exit_code == 0
    assert "sound, 4 rows, known up to 2026-12-31 05:00:00" in result.output
    assert json.loads(run("check", EXAMPLE, "--at", NOW, "--json").output) == []


def test_a_file_without_dates_is_known_as_far_as_anybody_asks(tmp_path: Path) -> None:
    path = tmp_path / "calendar.csv"
    path.write_text("kind,from,until,zone,symbols\nflat,Fri 16:45,18:00,UTC,*\n")
    assert "known as far as anybody asks" in run("check", path).output


def test_every_mistake_is_a_line(bad: Path) -> None:
    result = run("check", bad, "--policy", POLICY)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "line 2, column until: found 'Sunday 18:00', expected written as from is, or a time alone such as 14:32",
        "line 3, column symbols: found 'XRPUSDT', expected a symbol that is known, such as BTCUSDT",
    ]
    told = json.loads(run("check", bad, "--json").output)
    assert [(each["line"], each["column"], each["found"]) for each in told] == [(2, "until", "'Sunday 18:00'")]


def test_a_file_that_has_ended_is_wrong() -> None:
    result = run("check", EXAMPLE, "--at", "2026-12-31T05:00:00Z")
    assert result.exit_code == 1
    assert result.output.startswith("the file: found its end, 2026-12-31 05:00:00")
    assert run("check", EXAMPLE, "--at", "2026-12-31T04:59:59Z").exit_code == 0


def test_windows_are_shown_in_order_and_as_far_as_they_are_known() -> None:
    told = json.loads(run("show", EXAMPLE, "--at", NOW, "--days", "60", "--json").output)
    assert told["known_until_ns"] == 1_798_693_200 * 10**9
    assert [each["line"] for each in told["windows"]][:4] == [6, 6, 3, 6]
    assert told["windows"][2]["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert sorted(each["from_ns"] for each in told["windows"]) == [each["from_ns"] for each in told["windows"]]
    text = run("show", EXAMPLE, "--at", NOW, "--days", "1").output
    assert "the weekend" in text
    assert "payrolls" not in text


def test_one_symbols_windows_are_shown_alone() -> None:
    told = json.loads(run("show", EXAMPLE, "--symbol", "XAUUSD", "--at", NOW, "--days", "20", "--json").output)
    assert {each["what"] for each in told["windows"]} == {"the weekend", "Federal Reserve"}


def test_no_window_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "calendar.csv"
    path.write_text("kind,from,until,zone,symbols\n")
    assert run("show", path).output.startswith("No window.")


def test_a_refused_file_is_not_shown(bad: Path) -> None:
    result = run("show", bad)
    assert result.exit_code == 2
    assert "line 2, column until" in result.output
