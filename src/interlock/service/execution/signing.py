"""
How roles believe each other: every message between them is sealed, and only its own kind of role can have sealed it.

One secret gives each role its own key. A seal covers the message's type, the environment, the account, the venue and
every byte of the message, so that what was sealed for one of them opens nowhere else. Two secrets are valid while keys
are rotated: the present one seals, both open. Whoever can verify a seal can forge it, so roles that share a secret trust
each other; what this keeps out is everybody else, and a role that says what is not its to say.

A sealed message is, byte for byte: four of `MAGIC`, eight of key id, 32 of MAC, one for the length of the type's name,
the name, and the message as msgpack.
"""

import hmac
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from interlock.core.errors import InterlockError
from interlock.core.messages import (
    CancelOrders,
    Executed,
    Message,
    PermitIssued,
    PermitRevoked,
    PositionsReported,
    VenueError,
)

MAGIC: Final = b"ilk1"
SECRET_BYTES_MIN: Final = 32
SEALED_BYTES_MAX: Final = 1 << 20
"""Longest sealed message that is looked at; a cancellation of 100 000 orders fits."""

_KEY_ID_BYTES: Final = 8
_MAC_BYTES: Final = 32
_HEAD_BYTES: Final = len(MAGIC) + _KEY_ID_BYTES + _MAC_BYTES + 1


class SecretTooShort(InterlockError):
    """The secret does not have enough bytes to keep anybody out; make one of 32 random bytes."""


class SealUnreadable(InterlockError):
    """The bytes are not a sealed message of this version; whoever sent them needs the version that runs here."""


class MessageForged(InterlockError):
    """The seal is not that of the role, account, environment or venue; check that all roles read the same secret."""


class Role(StrEnum):
    """Who seals; each with a key of its own."""

    GATE = "gate"
    EXECUTOR = "executor"


PRODUCES: Final[dict[Role, frozenset[type[Message]]]] = {
    Role.GATE: frozenset({PermitIssued, PermitRevoked, CancelOrders}),
    Role.EXECUTOR: frozenset({Executed, VenueError, PositionsReported}),
}
"""What each role may say; anything else of it is not believed, whatever its seal."""


@dataclass(frozen=True, slots=True)
class Realm:
    """Where a seal holds: one account, at one venue, in one environment."""

    environment: str
    account: str
    venue: str


@dataclass(frozen=True, slots=True)
class _Key:
    id: bytes
    key: bytes


def _derive(secret: bytes, label: str, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=b"interlock-1/" + label.encode()).derive(secret)


def _role_key(secret: bytes, role: Role) -> _Key:
    if len(secret) < SECRET_BYTES_MIN:
        raise SecretTooShort(f"the secret has {len(secret)} bytes, it needs {SECRET_BYTES_MIN} random ones")
    return _Key(_derive(secret, f"key-id/{role}", _KEY_ID_BYTES), _derive(secret, f"seal/{role}", 32))


def _mac(key: _Key, role: Role, kind: str, realm: Realm, body: bytes) -> bytes:
    """The MAC over everything the seal stands for, each part with its length, so that none can run into the next."""
    parts = ("interlock-seal-1", role, kind, realm.environment, realm.account, realm.venue, key.id, body)
    return hmac.digest(key.key, msgspec.msgpack.encode(parts), sha256)


class Sealer:
    """Seals what one role says."""

    def __init__(self, role: Role, realm: Realm, secret: bytes) -> None:
        self._role = role
        self._realm = realm
        self._key = _role_key(secret, role)

    def seal(self, message: Message) -> bytes:
        """The message with its seal, as it travels."""
        assert type(message) in PRODUCES[self._role], f"a {type(message).__name__} is not the {self._role}'s to say"
        kind = type(message).__name__
        body = msgspec.msgpack.encode(message)
        name = kind.encode()
        mac = _mac(self._key, self._role, kind, self._realm, body)
        sealed = b"".join((MAGIC, self._key.id, mac, bytes([len(name)]), name, body))
        assert len(sealed) <= SEALED_BYTES_MAX, f"a {kind} of {len(sealed)} bytes is too long to be opened"
        return sealed


class Opener:
    """Opens what one role has sealed, with the present secret or the one before it."""

    def __init__(self, role: Role, realm: Realm, secret: bytes, previous: bytes | None = None) -> None:
        self._role = role
        self._realm = realm
        keys = (_role_key(each, role) for each in (secret, previous) if each is not None)
        self._keys = {key.id: key for key in keys}
        self._decoders = {kind.__name__: msgspec.msgpack.Decoder(kind) for kind in PRODUCES[role]}

    def open(self, sealed: bytes) -> Message:
        """
        The message as the role has sealed it.

        Raises:
            SealUnreadable: these bytes are no sealed message of this version.
            MessageForged: the seal is another's.
        """
        if not _HEAD_BYTES < len(sealed) <= SEALED_BYTES_MAX or not sealed.startswith(MAGIC):
            raise SealUnreadable(f"{len(sealed)} bytes that are no sealed message")
        at = len(MAGIC)
        key = self._keys.get(sealed[at : at + _KEY_ID_BYTES])
        if key is None:
            raise MessageForged(f"not sealed with a key of the {self._role} that is valid here")
        at += _KEY_ID_BYTES
        mac = sealed[at : at + _MAC_BYTES]
        name_end = _HEAD_BYTES + sealed[_HEAD_BYTES - 1]
        name, body = sealed[_HEAD_BYTES:name_end], sealed[name_end:]
        kind = name.decode("ascii", errors="replace")
        decoder = self._decoders.get(kind)
        if decoder is None:
            raise MessageForged(f"a {kind!r} is not the {self._role}'s to say")
        if not hmac.compare_digest(mac, _mac(key, self._role, kind, self._realm, body)):
            raise MessageForged(f"the seal of this {kind} is not the {self._role}'s for {self._realm}")
        try:
            return decoder.decode(body)
        except msgspec.DecodeError as error:
            raise SealUnreadable(f"a {kind} of another version: {error}") from error
