"""
The keys of a state directory: one secret of the gateway, the ledger's signing key, and one key for each source.

They are made once, at random, and never replaced by accident. There is no default key: what is missing or damaged is an
error with its remedy.
"""

import re
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from interlock.core.errors import InterlockError
from interlock.service.home.home import Home
from interlock.service.private import read_private, write_private

SECRET_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEX: Final = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}\n?")


class KeyMissing(InterlockError):
    """A key is not there or is not what was made; restore it from a backup, or make it anew."""


class KeyExists(InterlockError):
    """There is a key of this name; whoever holds it would be locked out, so remove it first."""


def create_keys(home: Home) -> None:
    """
    The secret and the ledger's key pair exist, new and random.

    Raises:
        KeyExists: one exists already.
        OSError: one cannot be written.
    """
    for path in (home.secret, home.ledger_key, home.ledger_public_key):
        if path.exists():
            raise KeyExists(f"{path} exists: remove it first, if nothing needs it any more")
    key = Ed25519PrivateKey.generate()
    write_private(home.secret, _random())
    write_private(home.ledger_key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(home.ledger_public_key, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def add_source(home: Home, name: str) -> None:
    """
    The source has a new key; its policy says what it may do with it.

    Raises:
        KeyExists: it has one already.
        ValueError: the name cannot be a file's.
        OSError: it cannot be written.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot name a source: use letters, digits, '.', '_' and '-'")
    path = home.source_key(name)
    if path.exists():
        raise KeyExists(f"{path} exists: remove it first, if nobody uses it any more")
    write_private(path, _random())


def read_secret(home: Home) -> bytes:
    """
    The gateway's secret, from which the keys of its roles are derived.

    Raises:
        KeyMissing: it is not there, or damaged.
        FilesExposed: others than its owner may use it.
    """
    text = _bytes(home.secret).decode("ascii", "replace")
    if _HEX.fullmatch(text) is None:
        raise KeyMissing(f"{home.secret} is damaged: restore it from a backup, or make a new home")
    return bytes.fromhex(text)


def read_ledger_key(home: Home) -> Ed25519PrivateKey:
    """
    The key that signs the ledger's heads.

    Raises:
        KeyMissing: it is not there, or damaged.
        FilesExposed: others than its owner may use it.
    """
    try:
        key = load_pem_private_key(_bytes(home.ledger_key), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyMissing(f"{home.ledger_key} is no Ed25519 key: restore it from a backup")
    return key


def _bytes(path: Path) -> bytes:
    try:
        return read_private(path)
    except OSError as error:
        remedy = "restore it from a backup, or make a new home with `interlock init`"
        raise KeyMissing(f"{path}: {error.strerror or error}: {remedy}") from None


def _random() -> bytes:
    return secrets.token_hex(SECRET_BYTES).encode() + b"\n"
