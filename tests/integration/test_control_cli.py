"""Operators' commands as real processes against a gateway in a process of its own, and against its corpse."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from control_kit import make_home
from repository import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}


@contextmanager
def gateway(home: Path) -> Iterator[subprocess.Popen[str]]:
    run = [sys.executable, str(ROOT / "tests" / "control_kit.py"), str(home)]
    with subprocess.Popen(run, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def interlock(home: Path, *words: str, code: int = 0) -> str:
    run = [sys.executable, "-m", "interlock", *words, "--home", str(home)]
    result = subprocess.run(run, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


def test_another_process_throws_the_switch_and_a_third_sees_it(home: Path) -> None:
    with gateway(home):
        assert interlock(home, "status", "--safety").startswith("Kill Switch: INACTIVE\nCircuit Breaker: CLOSED (trading")
        interlock(home, "kill", "--reason", "odd fills", "--by", "alice")
        assert json.loads(interlock(home, "status", "--safety", "--json"))["kill_switch"] == "ACTIVE"
        interlock(home, "reset", "--by", "bob")
        assert interlock(home, "status", "--safety").startswith("Kill Switch: INACTIVE")
        assert interlock(home, "flatten", "GOLD") == "Closing GOLD.\n"


def test_a_gateway_that_was_killed_is_unknown_and_the_switch_goes_to_the_disk(home: Path) -> None:
    with gateway(home) as process:
        process.kill()
        process.wait()
        assert interlock(home, "status", "--safety", code=3).startswith("Kill Switch: UNKNOWN\nCircuit Breaker: UNKNOWN\n")
        interlock(home, "kill", "--by", "alice", code=3)
    assert (home / "KILL").exists()
