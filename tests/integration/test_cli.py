"""The command as a user runs it: real processes, real exit codes, output and errors apart."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli_story import SCHEMA, write
from interlock.ledger import Ledger
from repository import ROOT

COLUMNS = 80


def interlock(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONIOENCODING": "utf-8"}
    run = [sys.executable, "-m", "interlock", *words]
    result = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("story") / "ledger"
    write(directory)
    return str(directory)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("check", "examples/intent.toml", "--state", "examples/state.toml"), 0),
        (("check", "examples/intent.toml", "--symbol", "XRPUSDT", "--state", "examples/state.toml"), 1),
        (("guards",), 0),
        (("guards", "MARKET_STALE"), 0),
        (("policy", "show", "examples/universe.toml"), 0),
        (("policy", "presets"), 0),
    ],
)
def test_output_fits_80_columns_and_errors_are_silent(words: tuple[str, ...], code: int) -> None:
    result = interlock(*words, code=code)
    assert result.stderr == ""
    assert max(map(len, result.stdout.splitlines())) <= COLUMNS


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("check", "--state", "examples/state.toml"), 2),
        (("explain", "--ledger", "examples", "--last"), 3),
        (("guards", "NONSENSE"), 2),
        (("policy", "show", "README.md"), 2),
        (("ledger", "verify", "examples"), 3),
        (("ledger", "verify", "no/such/place"), 2),
        (("schema", "nonsense"), 2),
    ],
)
def test_a_failure_says_why_on_standard_error_only(words: tuple[str, ...], code: int) -> None:
    result = interlock(*words, code=code)
    assert result.stdout == ""
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_a_ledger_is_read_while_it_is_being_written(tmp_path: Path) -> None:
    write(tmp_path / "ledger")
    with Ledger.open(tmp_path / "ledger", account="story", schema=SCHEMA):
        assert "the same: 20 steps" in interlock("ledger", "replay", str(tmp_path / "ledger")).stdout


def test_a_reader_that_has_seen_enough_ends_an_export_quietly(story: str) -> None:
    run = [sys.executable, "-m", "interlock", "ledger", "export", story, "--format", "csv"]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_json_is_json_whatever_the_numbers(story: str) -> None:
    (row,) = json.loads(interlock("explain", "--last", "--ledger", story, "--json").stdout)
    assert row["decision"]["facts"]["target_price"] == "Infinity"
    assert {answer["used"] for answer in row["explanation"]["answers"]} >= {"NaN"}
