import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.service.home.home import DEFAULT, Home, HomeInUse, HomeMissing
from interlock.service.private import BYTES_MAX, FilesExposed, exposure, read_private, write_private
from repository import ROOT
from unit.service.homes import made


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        (Path("/a"), {"INTERLOCK_HOME": "/b", "STATE_DIRECTORY": "/c"}, Path("/a")),
        (None, {"INTERLOCK_HOME": "/b", "STATE_DIRECTORY": "/c"}, Path("/b")),
        (None, {"STATE_DIRECTORY": "/c:/d"}, Path("/c")),
        (None, {"INTERLOCK_HOME": "", "STATE_DIRECTORY": ""}, DEFAULT.absolute()),
        (None, {}, DEFAULT.absolute()),
    ],
)
def test_where_it_is_looked_for(given: Path | None, environ: dict[str, str], expected: Path) -> None:
    assert Home.find(given, environ).path == expected


def test_a_new_one_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = Home(tmp_path / "deep" / "home")
        home.create()
        home.create()
    finally:
        os.umask(before)
    for directory in (home.path, home.keys, home.sources, home.latch):
        assert directory.stat().st_mode & 0o777 == 0o700
    home.runtime.touch(0o600)
    home.check()


def test_a_link_is_not_followed_when_one_is_made(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    home = Home(tmp_path / "home")
    home.path.mkdir()
    home.keys.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="keys"):
        home.create()
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_directorys_owner(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    os.chown(home.path, 65534, 65534)
    home.create()
    write_private(home.secret, b"x")
    assert {path.stat().st_uid for path in home.path.rglob("*")} == {65534}


def test_one_that_init_did_not_finish_is_missing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(HomeMissing, match="interlock init"):
        home.check()


@pytest.mark.parametrize("name", ["", "runtime.toml", "policy.toml", "kill", "keys", "keys/secret", "keys/sources/bot.key"])
def test_what_others_may_use_is_refused_with_the_command_that_mends_it(tmp_path: Path, name: str) -> None:
    home = made(tmp_path)
    path = home.path / name
    if not path.exists():
        path.touch(0o600)
    home.check()
    bits = 0o700 if path.is_dir() else 0o600
    for extra in (0o040, 0o020, 0o010, 0o004, 0o002, 0o001):
        path.chmod(bits | extra)
        with pytest.raises(FilesExposed, match=f"chmod {bits:o} {path}$"):
            home.check()
    path.chmod(bits)
    home.check()


def test_everything_that_is_exposed_is_listed_at_once(tmp_path: Path) -> None:
    home = made(tmp_path)
    home.runtime.chmod(0o644)
    home.keys.chmod(0o755)
    with pytest.raises(FilesExposed) as refused:
        home.check()
    assert [str(home.runtime) in refused.value.problems[0], str(home.keys) in refused.value.problems[1]] == [True, True]


def test_another_owner_is_refused_by_number(tmp_path: Path) -> None:
    found = os.stat_result((0o100600, 0, 0, 1, os.geteuid() + 4711, 0, 0, 0, 0, 0))
    assert f"belongs to user {os.geteuid() + 4711}" in exposure(tmp_path, found)
    assert exposure(tmp_path, os.stat_result((0o100600, 0, 0, 1, 0, 0, 0, 0, 0, 0))) == ""


def test_a_link_among_the_keys_is_refused(tmp_path: Path) -> None:
    home = made(tmp_path)
    home.secret.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FilesExposed, match="symbolic link"):
        home.check()


def test_the_directory_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    home = made(tmp_path)
    (tmp_path / "link").symlink_to(home.path)
    Home(tmp_path / "link").check()


def test_one_gateway_at_a_time(tmp_path: Path) -> None:
    home = made(tmp_path)
    with home.claimed(), pytest.raises(HomeInUse, match=f"process {os.getpid()} runs on"), home.claimed():
        pass
    with home.claimed():
        pass


def test_a_gateway_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    home = made(tmp_path)
    code = f"""
from pathlib import Path
from interlock.service.home.home import Home
with Home(Path({str(home.path)!r})).claimed():
    print("mine", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(HomeInUse, match=f"process {other.pid} "), home.claimed():
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    with home.claimed():
        pass


def test_nothing_is_claimed_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing), Home(tmp_path / "none").claimed():
        pass


def test_a_holder_that_left_no_number_is_another(tmp_path: Path) -> None:
    home = made(tmp_path)
    with home.claimed():
        home.lock.write_text("")
        with pytest.raises(HomeInUse, match="process another runs"), home.claimed():
            pass


# ---------------------------------------------------------------- private files


def test_what_is_written_is_read_back_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, b"one")
    write_private(path, b"two")
    assert read_private(path) == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_a_crash_before_the_rename_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    write_private(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_private(path, b"new")
    assert read_private(path) == b"old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("kind", ["directory", "pipe", "link", "long", "open"])
def test_what_is_no_private_file_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "secret"
    make: dict[str, Callable[[], None]] = {
        "directory": path.mkdir,
        "pipe": lambda: os.mkfifo(path, 0o600),
        "link": lambda: path.symlink_to(path),
        "long": lambda: write_private(path, b"x" * (BYTES_MAX + 1)),
        "open": lambda: path.touch(0o644),
    }
    make[kind]()
    with pytest.raises(FilesExposed, match=str(path)):
        read_private(path)


def test_the_longest_file_is_read(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", b"x" * BYTES_MAX)
    assert len(read_private(tmp_path / "secret")) == BYTES_MAX


def test_the_operations_page_names_every_file(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    home = Home(tmp_path)
    paths = {value for value in vars(home).values() if isinstance(value, Path)} - {home.path, home.keys, home.sources}
    names = {str(path.relative_to(home.path)) for path in paths}
    assert {name for name in names if f"`{name}`" not in page and f"`{name}/`" not in page} == set()
