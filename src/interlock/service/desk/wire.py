"""
What goes over the local socket: frames, and the handshake by which each side proves that it holds the source's key.

A frame is one byte of version, four of length, and a MessagePack body. The server speaks first:

    server  Challenge   a nonce, and which account and environment it stands for
    client  Proof       who it is, a nonce of its own, and a MAC over all of these under the source's key
    server  Welcome     a MAC of its own under the same key, so that nobody else can answer "allowed"

After that the client asks and the server replies, one at a time. The source of everything on a connection is the one that
was proven. A refused handshake never says what was wrong with it.
"""

import hashlib
import hmac
import re
import struct
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from interlock.core.envelope import Envelope
from interlock.core.errors import InterlockError
from interlock.core.utilisation import Utilisation
from interlock.service.api import Answer, Cancelled, Exits, KillStatus, Rebalanced, Status
from interlock.service.desk.desk import (
    Adopt,
    Ask,
    Beat,
    CancelOrder,
    Close,
    DryRun,
    DryRunRebalance,
    Flatten,
    GetAllowed,
    GetExits,
    GetPolicy,
    GetStatus,
    GetUtilisation,
    Kill,
    NameOwner,
    PolicyView,
    Question,
    Rebase,
    Release,
    Report,
    Reset,
    Started,
    Submit,
    SubmitRebalance,
    TellMarket,
)
from interlock.service.private import read_plain

VERSION: Final = 1
HEADER: Final = struct.Struct(">BI")
HANDSHAKE_BYTES_MAX: Final = 1024
"""Longest message of somebody who has not proven anything yet."""

REQUEST_BYTES_MAX: Final = 512 * 1024
"""A rebalance of the most instructions, with ordinary names."""

REPLY_BYTES_MAX: Final = 4 * 1024 * 1024
NONCE_BYTES: Final = 32
KEY_BYTES_MIN: Final = 16
SOCKET_NAME: Final = "control.sock"
_SOURCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CLIENT: Final = "interlock control client"
_SERVER: Final = "interlock control server"

Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]


class FrameInvalid(InterlockError):
    """What came is no frame of this protocol; use the same version on both sides."""


class KeyUnreadable(InterlockError):
    """A source's key file is missing, empty, too short, or open to others."""


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server's opening."""

    nonce: Nonce
    account: str
    environment: str


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The client's answer to the challenge."""

    source: Annotated[str, Meta(max_length=64)]
    nonce: Nonce
    mac: Nonce


class Welcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server's answer to the proof; an empty `mac` with the reason where it admits nobody."""

    mac: Annotated[bytes, Meta(max_length=NONCE_BYTES)] = b""
    refused: str = ""


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A question, its number on this connection, and how long the asker waits for the answer."""

    number: int
    patience_s: Annotated[float, Meta(gt=0.0)]
    ask: Question


class Failure(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Why a question has no answer: the error's name, and its message with the remedy."""

    error: str
    message: str


class Reply(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The answer to the request of that number."""

    number: int
    failure: Failure | None
    body: msgspec.Raw


ANSWERS: Final[dict[type[Ask], msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(answer)
    for kind, answer in (
        (Submit, Answer),
        (DryRun, Answer),
        (SubmitRebalance, Rebalanced),
        (DryRunRebalance, Rebalanced),
        (CancelOrder, Cancelled),
        (Report, None),
        (Beat, None),
        (Kill, KillStatus),
        (Reset, KillStatus),
        (Release, None),
        (Flatten, Started),
        (Close, Started),
        (Rebase, None),
        (TellMarket, None),
        (Adopt, None),
        (NameOwner, None),
        (GetExits, Exits),
        (GetAllowed, Envelope),
        (GetUtilisation, Utilisation),
        (GetStatus, Status),
        (GetPolicy, PolicyView | None),
    )
}
"""What the body of a reply is, by question."""


def frame(message: object, bytes_max: int) -> bytes:
    """
    The message as it travels.

    Raises:
        FrameInvalid: it is longer than the other side takes, or holds what cannot travel.
    """
    try:
        body = msgspec.msgpack.encode(message)
    except (TypeError, ValueError, OverflowError) as error:
        raise FrameInvalid(f"the message cannot be written: {error}") from error
    if len(body) > bytes_max:
        raise FrameInvalid(f"a message of {len(body)} bytes, at most {bytes_max} are taken")
    return HEADER.pack(VERSION, len(body)) + body


def body_length(header: bytes, bytes_max: int) -> int:
    """
    How many bytes follow the header.

    Raises:
        FrameInvalid: another version, or more than is taken.
    """
    version, length = HEADER.unpack(header)
    if version != VERSION:
        raise FrameInvalid(f"protocol version {version}, here {VERSION}: use the same version on both sides")
    if length > bytes_max:
        raise FrameInvalid(f"a message of {length} bytes, at most {bytes_max} are taken")
    return int(length)


def client_mac(key: bytes, challenge: Challenge, source: str, nonce: bytes) -> bytes:
    """What proves to the server that the client holds the source's key."""
    return _mac(key, _CLIENT, challenge, source, nonce)


def server_mac(key: bytes, challenge: Challenge, source: str, nonce: bytes) -> bytes:
    """What proves the same to the client."""
    return _mac(key, _SERVER, challenge, source, nonce)


def _mac(key: bytes, domain: str, challenge: Challenge, source: str, nonce: bytes) -> bytes:
    parts = (domain, VERSION, challenge.account, challenge.environment, source, challenge.nonce, nonce)
    return hmac.digest(key, msgspec.msgpack.encode(parts), hashlib.sha256)


def is_source_name(name: str) -> bool:
    """Whether the name can be a source's, and so a file's."""
    return _SOURCE.fullmatch(name) is not None


def read_key(path: Path) -> bytes:
    """
    The key in the file, without white space around it. Root may read anybody's: an operator often is.

    Raises:
        KeyUnreadable: it cannot be read, is shorter than a key is, or others than its owner may read it.
    """
    try:
        data, problem = read_plain(path)
        open_to_others = path.stat().st_mode & 0o077
    except OSError as error:
        raise KeyUnreadable(f"{path}: {error.strerror}: name the home of a gateway, and a source that has a key") from error
    if problem or open_to_others:
        raise KeyUnreadable(problem or f"{path} is open to others than its owner: chmod 600 {path}")
    key = data.strip()
    if len(key) < KEY_BYTES_MIN:
        raise KeyUnreadable(f"{path} holds {len(key)} bytes, a key has at least {KEY_BYTES_MIN}")
    return key
