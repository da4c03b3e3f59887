from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from interlock.cli import app
from interlock.core.authority import OPERATOR
from interlock.policy import load_policy, policy_problems
from interlock.policy.leaf import FROM_FILE
from interlock.service.home.home import Home
from interlock.service.home.keys import read_ledger_key, read_secret
from interlock.service.home.latch import KillLatch, Switch
from interlock.service.home.runtime import RuntimeInvalid, read_runtime
from interlock.service.home.starter import STRATEGY, Choices, HomeExists, Style, is_balance, runtime_text, write_home

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def run(*words: str, code: int = 0, answers: str = "", **environ: str) -> Result:
    result = CliRunner().invoke(app, ["init", *words], input=answers, env={"COLUMNS": "120", "TERM": "dumb", **environ})
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize("style", [*Style])
@pytest.mark.parametrize("balance", [1.1, 10_000.0, 123_456_789.25])
def test_what_it_writes_starts(tmp_path: Path, style: Style, balance: float) -> None:
    home = Home(tmp_path / "home")
    policy = write_home(home, Choices(style=style, balance=balance), NOW)
    home.check()
    assert policy_problems(home.policy, int(NOW.timestamp()) * 1_000_000_000) == ()
    assert load_policy(home.policy).digest == policy.digest
    runtime = read_runtime(home)
    assert (runtime.problems, runtime.armed, runtime.rollout_percent) == ((), False, 0)
    assert runtime.paper.balance == balance
    assert len(read_secret(home)) == 32
    read_ledger_key(home)
    assert sorted(path.name for path in home.sources.iterdir()) == [f"{OPERATOR}.key", f"{STRATEGY}.key"]
    assert KillLatch(home).state().switch is Switch.OFF


@pytest.mark.parametrize("style", [*Style])
def test_the_example_strategy_may_close_what_it_opened(tmp_path: Path, style: Style) -> None:
    policy = write_home(Home(tmp_path / "home"), Choices(style=style), NOW)
    told = policy.compile(int(NOW.timestamp()) * 1_000_000_000)
    assert told.exit_owner == "any"
    (right,) = told.rights
    assert (right.source, right.strategy, right.may_open, right.may_close) == (STRATEGY, STRATEGY, True, True)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for place in ("file", "full"):
        with pytest.raises(HomeExists, match="not empty"):
            write_home(Home(tmp_path / place), Choices(), NOW)
    home = Home(tmp_path / "home")
    write_home(home, Choices(), NOW)
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    run(str(home.path), "--yes", code=2)
    assert {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()} == before


def test_an_empty_directory_is_as_good_as_none(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    run(str(tmp_path), "--yes")
    Home(tmp_path).check()


@pytest.mark.parametrize("account", ["", "a b", "../x", 'x"\narmd = "y', "x" * 65])
def test_a_name_that_cannot_be_an_accounts_leaves_nothing_behind(tmp_path: Path, account: str) -> None:
    with pytest.raises(RuntimeInvalid):
        write_home(Home(tmp_path / "home"), Choices(account=account), NOW)
    assert [*tmp_path.iterdir()] == []


def test_balanced_differs_from_its_preset_in_what_the_recording_needs(tmp_path: Path) -> None:
    policy = write_home(Home(tmp_path / "home"), Choices(style=Style.BALANCED), NOW)
    assert policy.expanded_from == "balanced@1"
    own = {path: leaf for path, leaf in policy.leaves.items() if path[0] == "rules" and leaf.origin == FROM_FILE}
    assert {path[1] for path in own} == {
        "ORDER_NOTIONAL", "DAILY_RISK_QUOTA", "CONSEC_LOSS", "STOP_HIT", "RUNAWAY", "TIME_EXIT", "CORRELATION_VETO",
    }  # fmt: skip
    assert all(leaf.why or leaf.text.startswith("off: ") for leaf in own.values())


def test_the_file_explains_itself() -> None:
    for gate in ("mode", "armed", "rollout_percent", "[rollout]"):
        assert f"\n{gate}" in runtime_text(Choices())


def test_without_questions(tmp_path: Path) -> None:
    shown = run(str(tmp_path / "home"), "--yes", "--account", "mine", "--balance", "2500", "--style", "balanced").stdout
    assert "paper account mine, 2,500.00 USD, balanced" in shown
    assert f"interlock run --home {tmp_path / 'home'}" in shown
    assert read_runtime(Home(tmp_path / "home")).account == "mine"
    assert 'value = "1250 USD"' in (tmp_path / "home" / "policy.toml").read_text()


def test_with_questions_until_each_is_answered(tmp_path: Path) -> None:
    answers = "mine\nbinance\npaper\nabc\n-5\nnan\n2,500\nbold\nbalanced\n"
    shown = run(str(tmp_path / "home"), answers=answers).stdout
    assert "'bold' is no answer to that" in shown
    assert "paper account mine, 2,500.00 USD, balanced" in shown


def test_the_proposals_may_be_taken(tmp_path: Path) -> None:
    assert "paper account main, 10,000.00 USD, careful" in run(str(tmp_path / "home"), answers="\n\n\n\n").stdout


@pytest.mark.parametrize("balance", ["0", "0.99", "-1", "nan", "inf", "1e13"])
def test_no_account_starts_with_that(tmp_path: Path, balance: str) -> None:
    assert not is_balance(float(balance))
    assert "give 1 or more" in run(str(tmp_path / "home"), "--yes", "--balance", balance, code=2).output
    assert not (tmp_path / "home").exists()


def test_the_environment_names_the_place(tmp_path: Path) -> None:
    run("--yes", INTERLOCK_HOME=str(tmp_path / "home"))
    Home(tmp_path / "home").check()


def test_nobody_to_ask_is_no_answer(tmp_path: Path) -> None:
    run(str(tmp_path / "home"), code=1)
    assert not (tmp_path / "home").exists()
