"""`interlock run`, where it is not to run on."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.venue import VenueUnreachable
from interlock.cli import app
from interlock.core.messages import BarClosed
from interlock.ledger import verify
from interlock.ledger.steps import read_steps


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert CliRunner().invoke(app, ["init", str(tmp_path / "home"), "--yes"]).exit_code == 0
    return tmp_path / "home"


def run(home: Path, *words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["run", "--home", str(home), "--plain", *words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_it_goes_on_where_it_was(home: Path) -> None:
    for _ in range(2):
        assert "Stopped" in run(home, "--for", "0.2").stdout
    assert verify(home / "ledger").problems == ()


def test_the_bars_of_the_recording_count_from_when_they_are_played(home: Path) -> None:
    """By the instants of their recording they would be years older than any position, and no time limit would count."""
    run(home, "--for", "3", "--speed", "36000")
    steps = list(read_steps(home / "ledger"))
    bars = [step.input for step in steps if isinstance(step.input, BarClosed) and step.input.symbol == "EURUSD"]
    began = [bar.opened_ns for bar in bars]
    assert began == sorted(set(began))
    assert began[0] >= steps[0].at_ns
    assert {bar.length_s for bar in bars} == {3_600.0}


@pytest.mark.parametrize("error", [VenueUnreachable("no space left on device"), KeyError("BTC")])
@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_run_without_prices_is_stopped_in_order_and_says_so(
    home: Path, error: Exception, fails_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, number = PaperExchange.feed, count(1)

    async def failing(*given: Any) -> None:
        if next(number) == fails_at:
            raise error
        await feed(*given)

    monkeypatch.setattr(PaperExchange, "feed", failing)
    result = run(home, "--speed", "86400", code=1)
    assert "Stopped: what is open stays" in result.stdout
    assert f"no more prices come, so the gateway was stopped: {type(error).__name__}" in result.stderr
    assert verify(home / "ledger").problems == ()


def test_a_live_account_is_not_put_in_front_of_the_paper_venue(home: Path) -> None:
    runtime = home / "runtime.toml"
    runtime.write_text(runtime.read_text().replace('mode = "paper"', 'mode = "live"'))
    assert "paper holds no money" in run(home, code=2).stderr
    assert not (home / "paper.sqlite").exists()
