import os
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.service.home.credentials import (
    CredentialsMissing,
    CredentialsRefused,
    credentials_path,
    read_credentials,
)
from unit.service.homes import made

TEXT = """\
# made on the venue's test network
INTERLOCK_VENUE_API_KEY=k3y-Value/+=
INTERLOCK_VENUE_API_SECRET=s3cr3t-Value
INTERLOCK_ENVIRONMENT=testnet
"""


def written(folder: Path, text: str | bytes = TEXT, bits: int = 0o600) -> Path:
    path = folder / "venue.env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(bits)
    return path


def test_what_it_holds(tmp_path: Path) -> None:
    credentials = read_credentials(written(tmp_path), "testnet", {})
    assert (credentials.api_key, credentials.api_secret) == ("k3y-Value/+=", "s3cr3t-Value")
    assert credentials.environment == "testnet"


def test_no_secret_is_shown(tmp_path: Path) -> None:
    credentials = read_credentials(written(tmp_path), "testnet", {})
    for shown in (repr(credentials), str(credentials), f"{credentials}", repr([credentials])):
        assert shown.strip("[]") == "Credentials(environment='testnet')"


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o400 | 0o004])
def test_what_others_may_use_is_refused(tmp_path: Path, bits: int) -> None:
    path = written(tmp_path, bits=bits)
    with pytest.raises(CredentialsRefused, match=f"chmod 600 {path}"):
        read_credentials(path, "testnet", {})


def test_what_only_its_owner_may_read_is_enough(tmp_path: Path) -> None:
    read_credentials(written(tmp_path, bits=0o400), "testnet", {})


def test_another_owner_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 4711)
    if path.stat().st_uid == 0:
        read_credentials(path, "testnet", {})
    else:
        with pytest.raises(CredentialsRefused, match="chown"):
            read_credentials(path, "testnet", {})


def test_the_directory_that_systemd_made_is_trusted(tmp_path: Path) -> None:
    path = written(tmp_path, bits=0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert credentials_path(made(tmp_path), environ) == path
    assert read_credentials(path, "testnet", environ).api_key == "k3y-Value/+="
    with pytest.raises(CredentialsRefused):
        read_credentials(path, "testnet", {"CREDENTIALS_DIRECTORY": str(tmp_path / "home")})
    path.unlink()
    path.mkdir()
    with pytest.raises(CredentialsRefused, match="no plain file"):
        read_credentials(path, "testnet", environ)


def test_without_systemd_they_are_in_the_home(tmp_path: Path) -> None:
    home = made(tmp_path)
    assert credentials_path(home, {}) == home.credentials
    assert credentials_path(home, {"CREDENTIALS_DIRECTORY": ""}) == home.credentials


def test_none_are_missing(tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing, match="INTERLOCK_VENUE_API_KEY"):
        read_credentials(tmp_path / "venue.env", "testnet", {})


@pytest.mark.parametrize(
    "make",
    [
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to(written(path.parent / "elsewhere")),
        lambda path: path.symlink_to(path),
        lambda path: (path.parent / "venue.env").write_bytes(b"#" * 70_000),
    ],
    ids=["directory", "pipe", "link", "loop", "long"],
)
def test_what_is_no_file_of_its_owner_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "venue.env"
    make(path)
    with pytest.raises(CredentialsRefused):
        read_credentials(path, "testnet", {})


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CredentialsRefused, match="readable"):
        read_credentials(tmp_path / "file" / "venue.env", "testnet", {})


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("INTERLOCK_VENUE_API_KEY=k3y-Value/+=\n", "", "INTERLOCK_VENUE_API_KEY is missing"),
        ("INTERLOCK_ENVIRONMENT=testnet\n", "", "INTERLOCK_ENVIRONMENT is missing"),
        ("INTERLOCK_VENUE_API_KEY", "export INTERLOCK_VENUE_API_KEY", "line 2: write one of"),
        ("INTERLOCK_VENUE_API_KEY", "BINANCE_API_KEY", "line 2: write one of"),
        ("INTERLOCK_VENUE_API_KEY=k3y", "INTERLOCK_VENUE_API_KEY =k3y", "line 2: write one of"),
        ("INTERLOCK_VENUE_API_KEY=k3y", "INTERLOCK_VENUE_API_KEY= k3y", "line 2: the value of INTERLOCK_VENUE_API_KEY"),
        ("=k3y-Value/+=", "=", "line 2: the value of INTERLOCK_VENUE_API_KEY is empty"),
        ("=s3cr3t-Value", '="s3cr3t-Value"', "line 3: the value of INTERLOCK_VENUE_API_SECRET"),
        ("=s3cr3t-Value", "=s3cr3t-\tValue", "line 3: the value of INTERLOCK_VENUE_API_SECRET"),
        ("=s3cr3t-Value\n", "=s3cr3t-Value\r\n", "line 3: the value of INTERLOCK_VENUE_API_SECRET"),
        ("# made", "\ufeff# made", "ASCII"),
        ("s3cr3t-Value", "s3cr3t-Välue", "ASCII"),
        ("# made", "INTERLOCK_VENUE_API_KEY=other\n# made", "line 3: INTERLOCK_VENUE_API_KEY stands twice"),
        ("=testnet", "=mainnet", "INTERLOCK_ENVIRONMENT is not testnet"),
        (TEXT, "", "INTERLOCK_VENUE_API_KEY is missing"),
        (TEXT, "s3cr3t-Value", "line 1: write one of"),
    ],
)
def test_what_is_not_exactly_right_is_refused_without_telling_a_secret(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in TEXT
    path = written(tmp_path, TEXT.replace(old, new))
    with pytest.raises(CredentialsRefused) as refused:
        read_credentials(path, "testnet", {})
    message = str(refused.value)
    assert told in message
    for secret in ("s3cr3t", "k3y", "Value", "other"):
        assert secret not in message


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "A=1\nB=2\nINTERLOCK_ENVIRONMENT=mainnet\n")
    with pytest.raises(CredentialsRefused) as refused:
        read_credentials(path, "testnet", {})
    assert len(refused.value.problems) == 3
