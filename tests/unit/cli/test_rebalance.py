"""`interlock rebalance` against a running gateway, a silent one, and none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli_story import at_s, opening
from control_kit import Running, make_home, running
from interlock.cli import app, gateway
from interlock.core.codes import Action, Partial, PermitState
from interlock.core.messages import Executed, PermitIssued, Provenance

TARGETS = "symbol,action,target_weight,stop,run_id\nGOLD,SCALE,10 %,1900,run-7\nEURO,SCALE,0.05,1.05,\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def live(home: Path) -> Iterator[Running]:
    with running(home) as live:
        yield live


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    path = tmp_path / "targets.csv"
    path.write_text(TARGETS)
    return path


def run(home: Path, *words: str | Path, code: int = 0) -> Result:
    wish = ["rebalance", *map(str, words), "--home", str(home)]
    result = CliRunner().invoke(app, wish, env={"COLUMNS": "160", "TERM": "dumb"})
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def told(home: Path, *words: str | Path, code: int = 0) -> Any:
    return json.loads(run(home, *words, "--json", code=code).stdout)


def hold(live: Running, symbol: str = "GOLD") -> None:
    """The desk's engine holds a position."""
    step = live.desk.engine.step(opening(symbol, f"hold-{symbol}"), at_s(0.5))
    (permit,) = [each for each in step.outputs if isinstance(each, PermitIssued)]
    price = 2000.0 if symbol == "GOLD" else 1.1
    size = permit.steps * (0.01 if symbol == "GOLD" else 1.0)
    live.desk.engine.step(Executed(permit.id, PermitState.FILLED, permit.steps, size * price, 0.0, at_s(0.6)), at_s(0.6))


AS_BOT = ("--source", "bot")


def test_targets_are_told_and_the_answers_shown(live: Running, targets: Path) -> None:
    shown = run(live.home, targets, *AS_BOT).stdout
    (sent,) = live.desk.rebalances
    assert (sent.source, sent.strategy, sent.partial) == ("bot", "trend", Partial.SCALE)
    assert [(each.symbol, each.action, each.target_weight) for each in sent.instructions] == [
        ("GOLD", Action.SCALE, 0.1),
        ("EURO", Action.SCALE, 0.05),
    ]
    assert sent.instructions[0].provenance == Provenance("run-7")
    assert shown.startswith(f"Rebalance {sent.id}: ALLOWED\n")
    rows = [" ".join(line.split()) for line in shown.splitlines()[2:]]
    assert rows[0].startswith("GOLD SCALE 10 % ")
    assert rows[1].startswith("EURO SCALE 5 % ")


def test_a_dry_run_records_nothing(live: Running, targets: Path) -> None:
    before = live.desk.engine.state.account.seq
    shown = run(live.home, targets, *AS_BOT, "--dry-run", "--id", "book").stdout
    assert shown.startswith("Nothing was told; the answer would be book: ALLOWED\n")
    answer = told(live.home, targets, *AS_BOT, "--dry-run")
    assert (answer["dry_run"], len(answer["rebalance"]["answers"])) == (True, 2)
    assert live.desk.rebalances == []
    assert live.desk.engine.state.account.seq == before


def test_what_is_told_again_with_its_id_stands(live: Running, targets: Path) -> None:
    for repeats in (False, True):
        answer = told(live.home, targets, *AS_BOT, "--id", "book")["rebalance"]
        gold = answer["answers"][0]["decisions"]
        assert [bool(each["repeats"]) for each in gold] == ([repeats] if gold else [])
    assert [each.id for each in live.desk.rebalances] == ["book", "book"]


def test_a_denial_and_a_cut_are_exit_code_one_and_named(live: Running, targets: Path) -> None:
    targets.write_text("symbol,action,target_weight,stop\nGOLD,SCALE,100 %,1900\nEURO,SCALE,0.05,1.05\n")
    shown = run(live.home, targets, *AS_BOT, code=1).stdout
    assert "ORDER_NOTIONAL allows 5,000.00" in shown
    shown = run(live.home, targets, "--source", "rival", "--strategy", "trend", "--partial", "refuse", code=1).stdout
    assert "SOURCE_DENIED" in shown


def test_what_waits_is_said_to(live: Running, targets: Path) -> None:
    hold(live)
    targets.write_text("symbol,action,target_weight,stop\nGOLD,SCALE,-10 %,2100\nEURO,VETO,,\n")
    shown = run(live.home, targets, *AS_BOT).stdout
    assert "decided again when reductions have filled" in shown
    assert "a VETO leaves the position alone" in shown
    assert shown.endswith("What waits is decided when 1 reduction is filled.\n")


def test_an_operator_closes_without_a_strategy_and_opens_only_for_one(live: Running, targets: Path) -> None:
    hold(live)
    assert "say for which strategy with --strategy" in run(live.home, targets, "--source", "operator", code=2).stderr
    targets.write_text("symbol,action\nGOLD,CLOSE\nEURO,CLOSE\n")
    shown = run(live.home, targets, "--source", "operator").stdout
    assert "there is nothing to close" in shown
    (sent,) = live.desk.rebalances
    assert (sent.source, sent.strategy) == ("operator", "")


def test_who_asks_has_to_be_said_where_there_are_several(live: Running, targets: Path) -> None:
    assert "say who asks with --source: the home has keys of bot, rival" in run(live.home, targets, code=2).stderr
    (live.home / "keys" / "sources" / "rival.key").unlink()
    run(live.home, targets)
    assert live.desk.rebalances[0].source == "bot"


def test_bad_input_is_told_with_its_place_and_nothing_is_sent(live: Running, targets: Path) -> None:
    targets.write_text("symbol,action,target_weight\nGOLD,BUY,0.1\nEURO,SCALE,ten\n")
    said = run(live.home, targets, *AS_BOT, code=2).stderr
    assert "line 2, column action: found 'BUY', expected one of OPEN, CLOSE, VETO, SCALE" in said
    assert "line 3, column target_weight: found 'ten', expected a share of equity between -1 and 1" in said
    targets.write_text("symbol,action,target_weight\nGOLT,SCALE,0.1\n")
    said = run(live.home, targets, *AS_BOT, code=2).stderr
    assert "found 'GOLT', expected a symbol of the policy's universe, such as GOLD" in said
    assert live.desk.rebalances == []


def test_without_a_gateway_nothing_is_known(home: Path, targets: Path) -> None:
    assert "is it running?" in run(home, targets, *AS_BOT, code=3).stderr
    assert "nobody.key" in run(home, targets, "--source", "nobody", code=3).stderr
    targets.write_text("neither this nor that\n")
    run(home, targets, *AS_BOT, code=2)


def test_a_gateway_that_has_no_time_is_a_no(live: Running, targets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "TIMEOUT_S", 0.5)
    live.hold()
    shown = run(live.home, targets, *AS_BOT, code=3).stdout
    assert "UNANSWERED" in shown
    live.let_go()
