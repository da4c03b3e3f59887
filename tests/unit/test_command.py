import runpy
import subprocess
import sys
from importlib.metadata import version

import pytest


def test_the_module_runs_as_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["interlock", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("interlock", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"interlock {version('interlock')}\n"


def test_help_is_what_a_bare_call_shows() -> None:
    shown = subprocess.run([sys.executable, "-m", "interlock", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: " in shown.stdout
    assert shown.stderr == ""
