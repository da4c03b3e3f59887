import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.codes import KillMode, Scope
from interlock.core.messages import KillReset, KillSet
from interlock.service.home.home import Home
from interlock.service.home.latch import (
    SENTINEL,
    UNREADABLE,
    KillLatch,
    LatchUnwritable,
    ResetUnnamed,
    SentinelStands,
    Switch,
)
from unit.service.homes import made

REDUCE_ONLY, FLATTEN, FREEZE = KillMode.REDUCE_ONLY, KillMode.FLATTEN, KillMode.FREEZE
NOBODY = 65534


def thrown(mode: KillMode = REDUCE_ONLY, scope: Scope = Scope.ACCOUNT, key: str = "", by: str = "alice") -> KillSet:
    return KillSet(mode, scope, key, f"{mode.name} by {by}", by)


def reset(scope: Scope = Scope.ACCOUNT, key: str = "", by: str = "alice") -> KillReset:
    return KillReset(scope, key, by)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return made(tmp_path)


def killed(home: Home) -> KillMode | None:
    """What a process that starts now finds."""
    return KillLatch(home, patience_s=0.0).state().account


def test_a_new_home_is_not_killed(home: Home) -> None:
    state = KillLatch(home).state()
    assert (state.switch, state.account, state.entries) == (Switch.OFF, None, ())


@pytest.mark.parametrize("mode", [REDUCE_ONLY, FLATTEN, FREEZE])
def test_the_next_process_finds_what_this_one_threw(home: Home, mode: KillMode) -> None:
    entry = KillLatch(home).trigger(thrown(mode), 17)
    state = KillLatch(home).state()
    assert state.switch is Switch.ON
    assert state.entries == (entry,)
    assert (entry.mode, entry.reason, entry.by, entry.at_ns) == (mode, f"{mode.name} by alice", "alice", 17)


def test_each_scope_covers_its_own(home: Home) -> None:
    latch = KillLatch(home)
    latch.trigger(thrown(FLATTEN, Scope.STRATEGY, "trend"), 1)
    latch.trigger(thrown(REDUCE_ONLY, Scope.SYMBOL, "../BTC/USDT"), 2)
    state = KillLatch(home).state()
    assert state.account is None
    assert state.covering(strategy="trend", symbol="ETHUSDT") == FLATTEN
    assert state.covering(strategy="trend", symbol="../BTC/USDT") == FLATTEN
    assert state.covering(strategy="other", symbol="../BTC/USDT") == REDUCE_ONLY
    assert state.covering(strategy="other", symbol="ETHUSDT") is None
    latch.reset(reset(Scope.STRATEGY, "trend"))
    assert KillLatch(home).state().covering("trend", "../BTC/USDT") == REDUCE_ONLY
    latch.reset(reset())
    assert KillLatch(home).state().covering(symbol="../BTC/USDT") == REDUCE_ONLY


@pytest.mark.parametrize(
    ("first", "second", "by", "holds"),
    [
        (REDUCE_ONLY, REDUCE_ONLY, "", REDUCE_ONLY),
        (REDUCE_ONLY, FLATTEN, "", FLATTEN),
        (REDUCE_ONLY, FREEZE, "", FREEZE),
        (FLATTEN, REDUCE_ONLY, "bob", FLATTEN),
        (FREEZE, REDUCE_ONLY, "bob", FREEZE),
        (FLATTEN, FREEZE, "", FLATTEN),
        (FREEZE, FLATTEN, "", FREEZE),
        (FLATTEN, FREEZE, "bob", FREEZE),
        (FREEZE, FLATTEN, "bob", FLATTEN),
    ],
)
def test_throwing_it_again_never_weakens_and_keeps_the_first_reason(
    home: Home, first: KillMode, second: KillMode, by: str, holds: KillMode
) -> None:
    KillLatch(home).trigger(thrown(first), 1)
    again = KillLatch(home).trigger(thrown(second, by=by), 2)
    assert (again.mode, again.reason, again.by, again.at_ns) == (holds, f"{first.name} by alice", "alice", 1)
    assert KillLatch(home).state().entries == (again,)


def test_no_mode_is_no_way_to_throw_it(home: Home) -> None:
    with pytest.raises(ValueError, match="reduce_only, flatten or freeze"):
        KillLatch(home).trigger(thrown(KillMode.NONE), 1)


def test_a_reset_needs_a_name(home: Home) -> None:
    latch = KillLatch(home)
    latch.trigger(thrown(), 1)
    for nobody in ("", " "):
        with pytest.raises(ResetUnnamed, match="--by"):
            latch.reset(reset(by=nobody))
    assert killed(home) == REDUCE_ONLY
    latch.reset(reset())
    assert KillLatch(home).state().switch is Switch.OFF
    latch.reset(reset())


# ---------------------------------------------------------------- the sentinel


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (b"", REDUCE_ONLY),
        (b"flatten", FLATTEN),
        (b" Flatten \r\nfeed is mad", FLATTEN),
        (b"freeze\n", FREEZE),
        (b"reduce-only", REDUCE_ONLY),
        (b"none", REDUCE_ONLY),
        (b"off", REDUCE_ONLY),
        (b"false", REDUCE_ONLY),
        (b"\nflatten", REDUCE_ONLY),
        (b"\xff\xfe\x00flatten", REDUCE_ONLY),
        (b"flatten" * 100_000, REDUCE_ONLY),
    ],
)
def test_that_the_file_exists_is_enough(home: Home, text: bytes, mode: KillMode) -> None:
    home.sentinel.write_bytes(text)
    assert killed(home) == mode
    home.sentinel.unlink()
    assert killed(home) is None


def test_its_other_lines_are_the_reason(home: Home) -> None:
    home.sentinel.write_text("flatten\nfeed\nis mad\n")
    entry = KillLatch(home).state().entries[0]
    assert (entry.reason, entry.by) == ("feed is mad", SENTINEL)


@pytest.mark.parametrize(
    "make",
    [
        Path.mkdir,
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to(path.parent / "nowhere"),
        os.mkfifo,
        lambda path: path.symlink_to("/dev/null"),
    ],
    ids=["directory", "loop", "nowhere", "pipe", "device"],
)
def test_whatever_it_is_it_kills(home: Home, make: Callable[[Path], None]) -> None:
    make(home.sentinel)
    state = KillLatch(home).state()
    assert (state.switch, state.account) == (Switch.UNKNOWN, REDUCE_ONLY)
    with pytest.raises(SentinelStands):
        KillLatch(home).reset(reset())


def test_nothing_is_reset_while_it_stands(home: Home) -> None:
    latch = KillLatch(home)
    latch.trigger(thrown(FLATTEN), 1)
    home.sentinel.touch()
    for scope in (Scope.ACCOUNT, Scope.SYMBOL):
        with pytest.raises(SentinelStands, match=f"{home.sentinel} exists: remove it"):
            latch.reset(reset(scope))
    home.sentinel.unlink()
    assert killed(home) == FLATTEN


def test_the_stronger_of_sentinel_and_latch_holds(home: Home) -> None:
    home.sentinel.touch()
    KillLatch(home).trigger(thrown(FLATTEN), 1)
    assert killed(home) == FLATTEN
    home.sentinel.write_text("freeze")
    assert killed(home) == FREEZE


def test_a_sentinel_that_a_program_puts_down_never_weakens_one(home: Home) -> None:
    latch = KillLatch(home)
    latch.place_sentinel(REDUCE_ONLY, "panic")
    assert home.sentinel.read_text() == "reduce_only\npanic\n"
    latch.place_sentinel(FLATTEN, "again")
    assert home.sentinel.read_text() == "flatten\npanic\n"
    latch.place_sentinel(REDUCE_ONLY, "again")
    assert home.sentinel.read_text() == "flatten\npanic\n"


def test_a_sentinel_that_cannot_be_put_down_says_how_else(tmp_path: Path) -> None:
    with pytest.raises(LatchUnwritable, match="touch "):
        KillLatch(Home(tmp_path / "none")).place_sentinel(FLATTEN, "panic")


def test_one_that_cannot_be_made_stronger_still_stands(home: Home) -> None:
    home.sentinel.mkdir()
    KillLatch(home).place_sentinel(FLATTEN, "panic")
    assert killed(home) == REDUCE_ONLY


# ---------------------------------------------------------------- what cannot be read


def spoil_empty(path: Path) -> None:
    path.write_bytes(b"")


def spoil_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def spoil_bytes(path: Path) -> None:
    path.write_bytes(b"\xff\x00" * 20)


def spoil_mode(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "mode": "none"}))


def spoil_scope(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "scope": "symbol"}))


def spoil_field(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "until": 0}))


def spoil_kind(path: Path) -> None:
    path.unlink()
    path.mkdir()


def spoil_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def spoil_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_empty, spoil_half, spoil_bytes, spoil_mode, spoil_scope, spoil_field, spoil_kind, spoil_link, spoil_loop,
    ],
)  # fmt: skip
@pytest.mark.parametrize("scope", [Scope.ACCOUNT, Scope.STRATEGY])
def test_a_record_that_cannot_be_read_kills_the_account(home: Home, spoil: Callable[[Path], None], scope: Scope) -> None:
    KillLatch(home).trigger(thrown(FLATTEN, scope, "trend"), 1)
    (path,) = home.latch.iterdir()
    spoil(path)
    state = KillLatch(home).state()
    assert state.switch is Switch.UNKNOWN
    assert state.account == REDUCE_ONLY
    assert state.entries[0].by == UNREADABLE
    assert str(path) in state.entries[0].reason
    if path.is_dir():
        with pytest.raises(LatchUnwritable, match="by hand"):
            KillLatch(home).reset(reset())
        path.rmdir()
    KillLatch(home).reset(reset())
    assert KillLatch(home).state().switch is Switch.OFF


def test_a_record_that_cannot_be_read_is_replaced_by_the_next(home: Home) -> None:
    KillLatch(home).trigger(thrown(REDUCE_ONLY), 1)
    (path,) = home.latch.iterdir()
    path.write_text("{")
    KillLatch(home).trigger(thrown(FLATTEN, by="bob"), 2)
    state = KillLatch(home).state()
    assert (state.switch, state.account, state.entries[0].by) == (Switch.ON, FLATTEN, "bob")


def test_a_latch_that_is_gone_kills_until_it_is_reset(home: Home) -> None:
    shutil.rmtree(home.latch)
    assert KillLatch(home).state().switch is Switch.UNKNOWN
    with pytest.raises(LatchUnwritable, match="reset the account"):
        KillLatch(home).reset(reset(Scope.SYMBOL, "BTCUSDT"))
    assert killed(home) == REDUCE_ONLY
    KillLatch(home).reset(reset())
    assert KillLatch(home).state().switch is Switch.OFF


def test_to_kill_a_symbol_does_not_bring_back_an_account_whose_latch_is_gone(home: Home) -> None:
    shutil.rmtree(home.latch)
    KillLatch(home).trigger(thrown(FLATTEN, Scope.SYMBOL, "BTCUSDT"), 1)
    state = KillLatch(home).state()
    assert (state.switch, state.account, state.covering(symbol="BTCUSDT")) == (Switch.UNKNOWN, REDUCE_ONLY, FLATTEN)
    KillLatch(home).reset(reset())
    assert KillLatch(home).state().covering(symbol="ETHUSDT") is None


def test_a_home_that_is_not_there_is_killed(tmp_path: Path) -> None:
    assert killed(Home(tmp_path / "none")) == REDUCE_ONLY
    (tmp_path / "file").touch()
    assert killed(Home(tmp_path / "file")) == REDUCE_ONLY


def test_text_that_is_no_unicode_or_endless_is_kept_as_far_as_it_goes(home: Home) -> None:
    KillLatch(home).trigger(KillSet(FLATTEN, Scope.STRATEGY, "a\udcffb", "\udcff" * 10_000, "x"), 1)
    state = KillLatch(home).state()
    assert state.switch is Switch.ON
    assert len(state.entries[0].reason) == 2000
    KillLatch(home).reset(KillReset(Scope.STRATEGY, "a\udcffb", "alice"))
    assert KillLatch(home).state().switch is Switch.OFF


@pytest.fixture
def private_home() -> Iterator[Home]:
    """A home of a user who cannot read everything: root is somebody else for as long."""
    with TemporaryDirectory() as place:
        user = os.geteuid()
        if user == 0:
            os.chown(place, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield made(Path(place))
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("what", ["KILL", "kill", "kill/account.json", ""])
def test_what_this_user_may_not_read_kills(private_home: Home, what: str) -> None:
    home = private_home
    KillLatch(home).trigger(thrown(FLATTEN), 1)
    home.sentinel.write_text("flatten")
    path = home.path / what
    before = path.stat().st_mode
    path.chmod(0)
    try:
        state = KillLatch(home).state()
        with pytest.raises(SentinelStands):
            KillLatch(home).reset(reset())
    finally:
        path.chmod(before)
    assert state.switch is Switch.UNKNOWN
    assert state.account is not None


# ---------------------------------------------------------------- a disk that fails, a process that dies, many at once


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["replace", "fsync", "write"])
def test_what_the_disk_does_not_take_holds_in_this_process(home: Home, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    latch = KillLatch(home)
    with monkeypatch.context() as broken:
        broken.setattr(os, call, full)
        with pytest.raises(LatchUnwritable, match="holds in this process alone"):
            latch.trigger(thrown(FLATTEN), 1)
    assert latch.state().account == FLATTEN
    assert [*home.latch.iterdir()] == [] or call == "fsync"
    latch.trigger(thrown(REDUCE_ONLY), 2)
    assert killed(home) == FLATTEN
    latch.reset(reset())
    assert latch.state().account is None


def test_a_reset_that_the_disk_does_not_take_resets_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    latch = KillLatch(home)
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", full)
        with pytest.raises(LatchUnwritable):
            latch.trigger(thrown(FLATTEN), 1)
        broken.setattr(os, "fsync", full)
        with pytest.raises(LatchUnwritable):
            latch.reset(reset())
    assert latch.state().account == FLATTEN


DIES = """
import os, sys
from pathlib import Path
from interlock.core.codes import KillMode, Scope
from interlock.core.messages import KillSet
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch
real = getattr(os, sys.argv[2])
def die(*args, **kwargs):
    if sys.argv[3] == "after":
        real(*args, **kwargs)
    os._exit(9)
setattr(os, sys.argv[2], die)
KillLatch(Home(Path(sys.argv[1]))).trigger(KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "second", "bob"), 2)
"""


@pytest.mark.parametrize(
    ("call", "when", "holds"),
    [("write", "before", REDUCE_ONLY), ("fsync", "before", REDUCE_ONLY), ("replace", "before", REDUCE_ONLY),
     ("replace", "after", FLATTEN)],
)  # fmt: skip
def test_a_process_that_dies_leaves_the_old_or_the_new(home: Home, call: str, when: str, holds: KillMode) -> None:
    KillLatch(home).trigger(thrown(REDUCE_ONLY), 1)
    died = subprocess.run([sys.executable, "-c", DIES, str(home.path), call, when], check=False)
    assert died.returncode == 9
    state = KillLatch(home).state()
    assert (state.switch, state.account) == (Switch.ON, holds)


def test_many_at_once_end_in_the_strongest(home: Home) -> None:
    modes = [REDUCE_ONLY, FLATTEN] * 20
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(KillLatch(home).trigger, thrown(mode), at) for at, mode in enumerate(modes)]:
            done.result()
        shared = KillLatch(home)
        for done in [pool.submit(shared.trigger, thrown(mode, Scope.SYMBOL, "X"), 1) for mode in modes]:
            done.result()
    state = KillLatch(home).state()
    assert (state.switch, state.account, state.covering(symbol="X")) == (Switch.ON, FLATTEN, FLATTEN)
    assert len([*home.latch.iterdir()]) == 2


THROWS = """
import sys
from pathlib import Path
from interlock.core.codes import KillMode, Scope
from interlock.core.messages import KillSet
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch
latch = KillLatch(Home(Path(sys.argv[1])))
for number in range(50):
    mode = KillMode.FLATTEN if number == int(sys.argv[2]) else KillMode.REDUCE_ONLY
    latch.trigger(KillSet(mode, Scope.ACCOUNT, "", "r", sys.argv[2]), number)
    assert latch.state().account >= mode
"""


def test_many_processes_at_once_end_in_the_strongest(home: Home) -> None:
    throwing = [subprocess.Popen([sys.executable, "-c", THROWS, str(home.path), str(i)]) for i in range(4)]
    assert [each.wait() for each in throwing] == [0] * 4
    state = KillLatch(home).state()
    assert (state.switch, state.account) == (Switch.ON, FLATTEN)
    assert len([*home.latch.iterdir()]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_throws_can_be_read_and_reset_by_the_directorys_owner(home: Home) -> None:
    os.chown(home.path, NOBODY, NOBODY)
    os.chown(home.latch, NOBODY, NOBODY)
    KillLatch(home).trigger(thrown(FLATTEN), 1)
    KillLatch(home).place_sentinel(FLATTEN, "panic")
    (record,) = home.latch.iterdir()
    assert (record.stat().st_uid, home.sentinel.stat().st_uid) == (NOBODY, NOBODY)
    shutil.rmtree(home.latch)
    KillLatch(home).trigger(thrown(FLATTEN), 1)
    assert {path.stat().st_uid for path in (home.latch, *home.latch.iterdir())} == {NOBODY}


def test_nobody_who_holds_the_latch_keeps_it_from_being_thrown(home: Home) -> None:
    directory = os.open(home.latch, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        KillLatch(home, patience_s=0.0).trigger(thrown(FLATTEN), 1)
    finally:
        os.close(directory)
    assert killed(home) == FLATTEN


def test_two_that_find_it_gone_both_bring_it_back(home: Home) -> None:
    shutil.rmtree(home.latch)
    for _ in range(2):
        KillLatch(home)._replace_lost()
    KillLatch(home).trigger(thrown(FLATTEN, Scope.SYMBOL, "X"), 1)
    assert not [*home.path.glob(".kill.*")]
    assert killed(home) == REDUCE_ONLY


@given(st.lists(st.tuples(st.sampled_from((REDUCE_ONLY, FLATTEN, FREEZE)), st.sampled_from(("", "alice"))), min_size=1))
def test_it_is_never_weaker_than_before(throws: list[tuple[KillMode, str]]) -> None:
    from tempfile import TemporaryDirectory  # noqa: PLC0415 (a fixture would be shared by all examples)

    with TemporaryDirectory() as name:
        home = made(Path(name))
        before = KillMode.NONE
        for mode, by in throws:
            KillLatch(home).trigger(thrown(mode, by=by), 1)
            now = killed(home)
            assert now is not None
            assert now >= before or (before, now) == (FREEZE, FLATTEN)
            assert now == before or by or before < FLATTEN
            before = now
