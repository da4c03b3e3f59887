"""`status`, `kill`, `reset`, `flatten` against a running gateway, a silent one, and none."""

import getpass
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cli_story import START_NS
from control_kit import Running, make_home, running
from interlock.cli import app, gateway
from interlock.core.codes import Code, KillMode, Scope, TradingState
from interlock.core.constants import OPERATOR_NS
from interlock.core.messages import KillReset, KillSet, LockReleased, Rebased
from interlock.service.api import LockStatus
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch, LatchUnwritable


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def live(home: Path) -> Iterator[Running]:
    with running(home) as live:
        yield live


def run(home: Path, *words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [*words, "--home", str(home)], env={"COLUMNS": "120", "TERM": "dumb"})
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def told(home: Path, *words: str, code: int = 0) -> Any:
    return json.loads(run(home, *words, "--json", code=code).stdout)


# ---------------------------------------------------------------- status


def test_the_safety_of_a_running_gateway(live: Running) -> None:
    lines = run(live.home, "status", "--safety").stdout.splitlines()
    assert lines[:3] == ["Kill Switch: INACTIVE", "Circuit Breaker: CLOSED (trading enabled)", "Position Limits:"]
    figures = {" ".join(line.split()) for line in lines[3:]}
    assert figures == {
        "per symbol GOLD 1,200.00 USD of 2,500.00 USD 48 %",
        "per strategy trend 1,200.00 USD of 5,000.00 USD 24 %",
        "portfolio-wide gross 1,200.00 USD of 10,000.00 USD 12 %",
        "portfolio-wide net unknown USD of 10,000.00 USD",
        "max positions 1 of 5 20 %",
    }


def test_all_of_a_running_gateway(live: Running) -> None:
    shown = run(live.home, "status").stdout
    assert shown.startswith("Kill Switch: INACTIVE\n")
    for part in ("story", "10,006.00 USD", "GOLD", "DAILY_LOSS", "no stop is set for EURO"):
        assert part in shown


def test_a_thrown_switch_and_an_open_breaker_are_shown(live: Running) -> None:
    live.desk.breaker = (
        LockStatus(Scope.ACCOUNT, "", 0, Code.WEEKLY_LOSS, TradingState.REDUCING, OPERATOR_NS),
        LockStatus(Scope.ACCOUNT, "", 0, Code.API_ERRORS, TradingState.REDUCING, START_NS),
    )
    run(live.home, "kill", "--reason", "bad feed", "--by", "alice")
    lines = run(live.home, "status", "--safety").stdout.splitlines()
    assert lines[0] == "Kill Switch: ACTIVE: reduce_only for account, by alice: bad feed"
    assert lines[1].startswith("Circuit Breaker: OPEN (WEEKLY_LOSS until operator, API_ERRORS until 20")
    live.desk.breaker = ()
    lines = run(live.home, "status", "--safety").stdout.splitlines()
    assert lines[1] == "Circuit Breaker: CLOSED (but trading is REDUCING)"
    safety = told(live.home, "status", "--safety")
    assert (safety["kill_switch"], safety["circuit_breaker"]) == ("ACTIVE", "CLOSED")
    assert "status" not in safety
    assert told(live.home, "status")["status"]["account"] == "story"


def test_limits_that_are_off_are_said_to_be(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    real = live.desk.status
    monkeypatch.setattr(live.desk, "status", lambda: msgspec.structs.replace(real(), limits=()))
    lines = run(live.home, "status", "--safety").stdout.splitlines()
    assert [line.split("  ")[-1].strip() for line in lines[3:]] == ["no limit in force"] * 4
    run(live.home, "status")


def test_a_gateway_that_does_not_answer_is_unknown_and_never_inactive(home: Path) -> None:
    for words in (("status",), ("status", "--safety")):
        shown = run(home, *words, code=3).stdout
        assert shown.splitlines()[:2] == ["Kill Switch: UNKNOWN", "Circuit Breaker: UNKNOWN"]
        assert "INACTIVE" not in shown
        assert "CLOSED" not in shown
    assert told(home, "status", code=3)["kill_switch"] == "UNKNOWN"


def test_one_that_refuses_the_key_is_unknown_too(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.client.client.read_key", lambda _path: b"z" * 32)
    shown = run(live.home, "status", code=3).stdout
    assert shown.startswith("Kill Switch: UNKNOWN\n")
    assert "did not let 'operator' in" in shown


def test_so_is_one_whose_key_cannot_be_read(live: Running) -> None:
    (live.home / "keys" / "sources" / "operator.key").write_bytes(b"short")
    shown = run(live.home, "status", code=3).stdout
    assert shown.startswith("Kill Switch: UNKNOWN\n")
    assert "at least 16" in shown


def test_so_is_one_that_hangs(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "TIMEOUT_S", 0.2)
    goes_on = threading.Event()
    live.loop.call_soon_threadsafe(goes_on.wait, 60.0)
    try:
        assert run(live.home, "status", code=3).stdout.startswith("Kill Switch: UNKNOWN\n")
    finally:
        goes_on.set()


def test_what_the_disk_says_is_shown_beside_unknown(home: Path) -> None:
    run(home, "kill", "--reason", "odd fills", "--by", "alice", code=3)
    shown = run(home, "status", "--safety", code=3).stdout
    assert "On the disk: ACTIVE: reduce_only for account" in shown
    assert "odd fills" in shown


# ---------------------------------------------------------------- kill, reset, flatten


def test_kill_and_reset_arrive_with_who_and_why(live: Running) -> None:
    shown = run(live.home, "kill", "--mode", "flatten", "--scope", "symbol:GOLD", "--reason", "odd", "--by", "alice").stdout
    assert shown == "Kill Switch: ACTIVE: flatten for symbol:GOLD, by alice: odd\n"
    assert run(live.home, "reset", "--scope", "symbol:GOLD", "--by", "bob", "--reason", "fine").stdout.endswith(
        "INACTIVE\n"
    )
    assert live.desk.acts == [
        KillSet(KillMode.FLATTEN, Scope.SYMBOL, "GOLD", "odd", "alice"),
        KillReset(Scope.SYMBOL, "GOLD", "bob", "fine"),
    ]
    assert not (live.home / "KILL").exists()


def test_a_bare_kill_is_enough_and_an_endless_reason_is_cut(live: Running) -> None:
    switch = told(live.home, "kill", "--reason", "x" * 10_000)
    assert (switch["active"], switch["mode"]) == (True, "reduce_only")
    (kill,) = live.desk.acts
    assert isinstance(kill, KillSet)
    assert (kill.by, len(kill.reason), kill.scope) == (getpass.getuser(), 500, Scope.ACCOUNT)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("kill", "--mode", "gently"), "reduce_only, flatten, freeze"),
        (("kill", "--scope", "everything"), "strategy:NAME"),
        (("kill", "--scope", "symbol:"), "symbol:NAME"),
        (("kill", "--by", " "), "--by NAME"),
        (("reset", "--by", " "), "--by NAME"),
        (("flatten", ""), "name the symbol"),
    ],
)
def test_a_mistake_is_named_and_nothing_happens(live: Running, words: tuple[str, ...], says: str) -> None:
    assert says in run(live.home, *words, code=2).stderr
    assert live.desk.acts == []
    assert KillLatch(Home(live.home)).state().account is None


def test_a_scope_that_the_gateway_does_not_know_is_refused_and_not_thrown_on_the_disk(live: Running) -> None:
    assert "strategy 'nobody' is not known" in run(live.home, "kill", "--scope", "strategy:nobody", code=1).stderr
    assert KillLatch(Home(live.home)).state().entries == ()


def test_a_home_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    for words in (("status",), ("kill",), ("reset", "--by", "bob"), ("flatten",)):
        assert "--home" in run(tmp_path / "nowhere", *words, code=2).stderr


@pytest.mark.parametrize("mode", ["reduce_only", "flatten", "freeze"])
def test_where_nobody_answers_the_switch_is_thrown_on_the_disk(home: Path, mode: str) -> None:
    says = run(home, "kill", "--mode", mode, "--reason", "odd", "--by", "alice", code=3).stderr
    assert "NOT CONFIRMED" in says
    assert "interlock panic" in says
    assert (home / "KILL").read_text().startswith(f"{mode}\n")
    (entry,) = KillLatch(Home(home)).state().entries
    assert entry.mode is KillMode[mode.upper()]


def test_a_narrower_scope_is_thrown_on_the_disk_without_the_sentinel(home: Path) -> None:
    run(home, "kill", "--scope", "strategy:trend", code=3)
    assert not (home / "KILL").exists()
    state = KillLatch(Home(home)).state()
    assert (state.account, state.covering(strategy="trend")) == (None, KillMode.REDUCE_ONLY)


def test_a_gateway_that_breaks_over_the_kill_does_not_keep_it_from_the_disk(
    live: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_kill: KillSet) -> None:
        raise ZeroDivisionError("engine")

    monkeypatch.setattr(live.desk, "kill", broken)
    assert "NOT CONFIRMED" in run(live.home, "kill", code=3).stderr
    assert (live.home / "KILL").exists()


def test_where_not_even_the_disk_takes_it_that_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise LatchUnwritable("no space left on device")

    monkeypatch.setattr(KillLatch, "trigger", full)
    says = run(home, "kill", code=3).stderr
    assert "THROWN ON THE DISK" in says
    assert "no space" in says
    monkeypatch.setattr(KillLatch, "place_sentinel", full)
    assert "NOT KILLED" in run(home, "kill", code=3).stderr


def test_nothing_is_reset_or_flattened_without_a_gateway(home: Path) -> None:
    run(home, "kill", code=3)
    assert "no gateway answers" in run(home, "reset", "--by", "bob", code=3).stderr
    assert (home / "KILL").exists()
    assert "interlock panic --home" in run(home, "flatten", code=3).stderr


def test_flatten_says_what_it_started(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(live.home, "flatten", "GOLD", "--reason", "news", "--by", "alice").stdout == "Closing GOLD.\n"
    assert told(live.home, "flatten", "--by", "bob")["symbols"] == ["GOLD", "EURO"]
    assert live.desk.acts == [
        ("flatten", "GOLD", "news", "alice"),
        ("flatten", None, "flattened by hand", "bob"),
    ]
    started = live.desk.flatten

    async def directly(symbol: str | None, reason: str, by: str) -> object:
        return msgspec.structs.replace(await started(symbol, reason, by), symbols=(), direct=True, note="be patient")

    monkeypatch.setattr(live.desk, "flatten", directly)
    assert run(live.home, "flatten").stdout == (
        "There is nothing to close.\nThe engine is away: the orders went straight to the venue.\nbe patient\n"
    )


def test_an_operator_closes_releases_and_rebases(live: Running) -> None:
    assert run(live.home, "close", "GOLD", "--by", "alice").stdout == "Closing GOLD.\n"
    shown = run(live.home, "release", "weekly_loss", "--by", "alice", "--reason", "reviewed").stdout
    assert shown == "Released WEEKLY_LOSS of account.\n"
    assert told(live.home, "release", "RUNAWAY", "--scope", "strategy:trend", "--by", "bob")["released"] == "RUNAWAY"
    assert "reference" in run(live.home, "rebase", "--by", "alice", "--reason", "new month").stdout
    assert live.desk.acts == [
        ("close", "GOLD", "alice", "closed by hand"),
        LockReleased(Scope.ACCOUNT, "", Code.WEEKLY_LOSS, "alice", "reviewed"),
        LockReleased(Scope.STRATEGY, "trend", Code.RUNAWAY, "bob"),
        Rebased("alice", "new month"),
    ]


def test_what_an_operator_cannot_mean_is_refused(live: Running) -> None:
    assert "no lock 'NONSENSE'" in run(live.home, "release", "NONSENSE", "--by", "bob", code=2).stderr
    assert "is no lock of account scope" in run(live.home, "release", "SPREAD_SPIKE", "--by", "bob", code=1).stderr
    assert "'LEAD' is not known" in run(live.home, "close", "LEAD", code=1).stderr
