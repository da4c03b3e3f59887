import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.core.codes import AccountKind
from interlock.service.home.home import Home
from interlock.service.home.runtime import KindUnsettled, Runtime, RuntimeInvalid, bucket, parse, read_runtime, settled_kind
from unit.service.homes import RUNTIME, made

SHADOW, PAPER, LIVE = AccountKind


def runtime(*changes: tuple[str, str]) -> Runtime:
    text = RUNTIME
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(text)


def test_what_it_says() -> None:
    said = runtime(("rollout_percent = 0", "rollout_percent = 25\nrollout = { BTCUSDT = 100 }"))
    assert (said.account, said.venue, said.environment, said.kind) == ("main", "paper", "testnet", PAPER)
    assert (said.armed, said.rollout_percent, said.rollout) == (False, 25, {"BTCUSDT": 100})
    assert (said.paper.balance, said.paper.speed, said.problems) == (10000.0, 3600.0, ())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('account = "main"\n', "", "account is missing: write a name"),
        ('"main"', '"../x"', "account is '../x': write a name"),
        ('"main"', '""', "account is '': write a name"),
        ('"main"', "1", "account is 1: write a name"),
        ('venue = "paper"', 'venue = "papr"', "venue is 'papr': write \"paper\""),
        ('"testnet"', '"main"', 'environment is \'main\': write "testnet" or "mainnet"'),
        ('"testnet"', "true", 'environment is True: write "testnet" or "mainnet"'),
        ('"00:00 UTC"', '"24:00 UTC"', "risk_day is '24:00 UTC': write a time and an IANA zone"),
        ('"00:00 UTC"', '"17:00 Mars/Olympus"', "risk_day is '17:00 Mars/Olympus': write a time and an IANA zone"),
        ('"00:00 UTC"', '"17:00"', "risk_day is '17:00': write a time and an IANA zone"),
        ('"Mon"', '"Monday"', "week is 'Monday': write one of Mon, Tue"),
        ("balance = 10000", "balance = 0", "paper.balance is 0: write a number > 0"),
        ("balance = 10000", "balance = nan", "paper.balance is nan: write a number > 0"),
        ("balance = 10000", "balance = inf", "paper.balance is inf: write a number > 0"),
        ("balance = 10000", "balance = true", "paper.balance is True: write a number > 0"),
        ("balance = 10000\n", "", "paper.balance is missing: write a number > 0"),
        ("speed = 3600", "sped = 3600", "paper.sped is unknown: did you mean paper.speed?"),
        ("[paper]\nbalance = 10000\nspeed = 3600\n", "", "paper is missing: write a table with balance and speed"),
        ("armed = false", "armed = false\narmed = true", "runtime.toml is no TOML: "),
        ("armed = false", "armed = ", "runtime.toml is no TOML: "),
    ],
)
def test_nothing_starts_without_knowing_which_account_this_is(old: str, new: str, told: str) -> None:
    with pytest.raises(RuntimeInvalid) as refused:
        runtime((old, new))
    assert any(problem.startswith(told) for problem in refused.value.problems), refused.value.problems


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(RuntimeInvalid) as refused:
        parse('account = "x y"\nvenue = "y"\narmed = "yes"\nenvironmnt = "testnet"\n')
    assert refused.value.problems == (
        "account is 'x y': write a name of letters, digits, '.', '_' and '-'",
        "venue is 'y': write \"paper\"",
        'environment is missing: write "testnet" or "mainnet"',
        'risk_day is missing: write a time and an IANA zone, such as "17:00 America/New_York"',
        "week is missing: write one of Mon, Tue, Wed, Thu, Fri, Sat, Sun",
        "armed is 'yes': write true or false",
        "paper is missing: write a table with balance and speed",
        "environmnt is unknown: did you mean environment?",
        'mode is missing: write "shadow", "paper" or "live"',
        "rollout_percent is missing: write a whole number from 0 to 100",
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('mode = "paper"\n', "", 'mode is missing: write "shadow", "paper" or "live"'),
        ('mode = "paper"', 'mode = "Live"', "mode is 'Live': write"),
        ('mode = "paper"', "mode = true", "mode is True: write"),
        ("armed = false\n", "", "armed is missing: write true or false"),
        ("armed = false", 'armed = "false"', "armed is 'false': write true or false"),
        ("armed = false", "armed = 1", "armed is 1: write true or false"),
        ("rollout_percent = 0\n", "", "rollout_percent is missing: write a whole number from 0 to 100"),
        ("rollout_percent = 0", "rollout_percent = 101", "rollout_percent is 101: write"),
        ("rollout_percent = 0", "rollout_percent = -1", "rollout_percent is -1: write"),
        ("rollout_percent = 0", "rollout_percent = true", "rollout_percent is True: write"),
        ("rollout_percent = 0", "rollout_percent = 0\nrollout = { BTC = 1e9 }", "rollout.BTC is 1000000000.0: write"),
        ("armed = false", "armed = false\narmd = true", "armd is unknown: did you mean armed?"),
        ("armed = false", "armed = false\nproblems = []", "problems is unknown: remove it"),
    ],
)
def test_what_is_wrong_with_a_gate_is_told_and_keeps_nothing_from_starting(old: str, new: str, told: str) -> None:
    said = runtime((old, new))
    assert len(said.problems) == 1
    assert said.problems[0].startswith(told)
    assert said.account == "main"


def take_away(path: Path) -> None:
    path.unlink()


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [take_away, make_directory, make_loop, make_pipe])
def test_what_is_no_file_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    home = made(tmp_path)
    spoil(home.runtime)
    with pytest.raises(RuntimeInvalid):
        read_runtime(home)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", RUNTIME[:50].encode(), b"[" * 60_000, b"x = 1\n" * 20_000])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, data: bytes) -> None:
    home = made(tmp_path)
    home.runtime.write_bytes(data)
    with pytest.raises(RuntimeInvalid):
        read_runtime(home)


def test_the_file_is_read_from_the_home(tmp_path: Path) -> None:
    assert read_runtime(made(tmp_path)) == parse(RUNTIME)
    with pytest.raises(RuntimeInvalid, match="interlock init"):
        read_runtime(Home(tmp_path / "none"))


# ---------------------------------------------------------------- rollout


def test_a_bucket_is_the_same_for_ever() -> None:
    assert [bucket("main", symbol) for symbol in ("BTCUSDT", "ETHUSDT", "XAUUSD", "EURUSD")] == [93, 30, 80, 11]
    assert bucket("other", "BTCUSDT") == 81


def test_w63_a_bucket_is_the_same_in_every_process() -> None:
    code = "from interlock.service.home.runtime import bucket; print(*[bucket('main', f'S{i}') for i in range(50)])"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert told == {(" ".join(str(bucket("main", f"S{i}")) for i in range(50)) + "\n").encode()}


def test_buckets_are_spread_evenly() -> None:
    counts = [0] * 100
    for i in range(20_000):
        counts[bucket("main", f"SYMBOL{i}")] += 1
    assert min(counts) > 140
    assert max(counts) < 260


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "XAUUSD"])
def test_a_symbol_is_covered_from_its_bucket_on_and_stays_covered(symbol: str) -> None:
    edge = bucket("main", symbol)
    for percent in range(101):
        said = runtime(("rollout_percent = 0", f"rollout_percent = {percent}"))
        assert said.rolled_out(symbol) == (percent > edge)


def test_a_symbols_own_percentage_wins() -> None:
    said = runtime(("rollout_percent = 0", "rollout_percent = 100\nrollout = { BTCUSDT = 0 }"))
    assert not said.rolled_out("BTCUSDT")
    assert said.rolled_out("ETHUSDT")
    assert not said.rolled_out_whole
    assert runtime(("rollout_percent = 0", "rollout_percent = 100\nrollout = { BTCUSDT = 100 }")).rolled_out_whole


# ---------------------------------------------------------------- kind


@pytest.mark.parametrize("mode", [*AccountKind])
def test_a_new_account_is_what_its_mode_says(mode: AccountKind) -> None:
    assert settled_kind(None, runtime(('mode = "paper"', f'mode = "{mode}"'))) is mode


def test_a_new_account_needs_a_mode() -> None:
    with pytest.raises(KindUnsettled, match="needs a mode"):
        settled_kind(None, runtime(('mode = "paper"', 'mode = "lve"')))


@pytest.mark.parametrize("recorded", [*AccountKind])
@pytest.mark.parametrize("mode", [*AccountKind])
def test_only_a_live_account_may_be_run_in_another_mode(recorded: AccountKind, mode: AccountKind) -> None:
    said = runtime(('mode = "paper"', f'mode = "{mode}"'))
    if recorded in (mode, LIVE):
        assert settled_kind(recorded, said) is recorded
    else:
        with pytest.raises(KindUnsettled, match=f"write {recorded}, or make a home for the {mode} account"):
            settled_kind(recorded, said)


@pytest.mark.parametrize("recorded", [*AccountKind])
def test_an_open_account_starts_with_a_mode_that_nobody_understands(recorded: AccountKind) -> None:
    assert settled_kind(recorded, runtime(('mode = "paper"', 'mode = "lve"'))) is recorded
