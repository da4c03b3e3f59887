from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from interlock.service.home.home import Home
from interlock.service.home.keys import KeyExists, KeyMissing, add_source, create_keys, read_ledger_key, read_secret
from interlock.service.private import FilesExposed
from unit.service.homes import made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = made(tmp_path)
    create_keys(home)
    return home


def test_y1_no_two_homes_share_a_secret(tmp_path: Path) -> None:
    secrets = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        home = made(tmp_path / name)
        create_keys(home)
        secrets.add(read_secret(home))
    assert [len(secret) for secret in secrets] == [32, 32]


def test_the_ledgers_keys_are_a_pair(home: Home) -> None:
    message = b"head"
    public = load_pem_public_key(home.ledger_public_key.read_bytes())
    public.verify(read_ledger_key(home).sign(message), message)  # type: ignore[union-attr, call-arg]


def test_all_are_their_owners_alone(home: Home) -> None:
    add_source(home, "trend")
    home.check()
    for path in home.keys.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


def test_none_is_replaced(home: Home) -> None:
    before = read_secret(home)
    with pytest.raises(KeyExists, match="remove it first"):
        create_keys(home)
    assert read_secret(home) == before
    add_source(home, "trend")
    key = home.source_key("trend").read_bytes()
    with pytest.raises(KeyExists, match=r"trend\.key exists"):
        add_source(home, "trend")
    assert home.source_key("trend").read_bytes() == key


@pytest.mark.parametrize("name", ["", "..", "../operator", "a/b", ".hidden", "a b", "ä", "x" * 65])
def test_what_cannot_be_a_files_name_is_no_source(home: Home, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a source"):
        add_source(home, name)


@pytest.mark.parametrize("data", [b"", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff" * 64, b"AA" * 32])
def test_a_damaged_secret_is_no_secret(home: Home, data: bytes) -> None:
    home.secret.write_bytes(data)
    with pytest.raises(KeyMissing, match="damaged"):
        read_secret(home)


@pytest.mark.parametrize("data", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\xff"])
def test_a_damaged_ledger_key_is_none(home: Home, data: bytes) -> None:
    home.ledger_key.write_bytes(data)
    with pytest.raises(KeyMissing, match="no Ed25519 key"):
        read_ledger_key(home)


def test_the_public_half_signs_nothing(home: Home) -> None:
    home.ledger_key.write_bytes(home.ledger_public_key.read_bytes())
    with pytest.raises(KeyMissing):
        read_ledger_key(home)


def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    home = made(tmp_path)
    with pytest.raises(KeyMissing, match="interlock init"):
        read_secret(home)
    with pytest.raises(KeyMissing, match="interlock init"):
        read_ledger_key(home)


def test_a_key_that_others_may_read_is_not_used(home: Home) -> None:
    home.secret.chmod(0o640)
    home.ledger_key.chmod(0o604)
    with pytest.raises(FilesExposed, match=f"chmod 600 {home.secret}"):
        read_secret(home)
    with pytest.raises(FilesExposed, match=f"chmod 600 {home.ledger_key}"):
        read_ledger_key(home)
