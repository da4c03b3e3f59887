"""
One record: what is stored per engine step, and the chain that runs through all of them.

The chain runs over the *digests* of payloads, so a payload that retention has emptied leaves its digest behind and
the chain still verifies. Nothing here touches a disk.
"""

import hashlib
import struct
from typing import Final

import msgspec

FORMAT: Final = 1
"""Number of the ledger's own layout: header, chain, tables. Raised by whoever changes any of them."""

_CHAIN: Final = b"interlock/ledger/record/1\0"
_GENESIS: Final = b"interlock/ledger/genesis/1\0"
_HEADER: Final = struct.Struct(">QqIH")
_DAY_NS: Final = 86_400_000_000_000


class Record(msgspec.Struct, frozen=True, gc=False):
    """One step as it is stored; ``payload`` is None once retention has emptied it."""

    seq: int
    at_ns: int
    kind: int
    schema: int
    payload: bytes | None
    payload_digest: bytes
    prev: bytes
    hash: bytes

    @property
    def intact(self) -> bool:
        """True if the stored hash is the one that this content and the record before it give."""
        return link(self.prev, header(self.seq, self.at_ns, self.kind, self.schema), self.payload_digest) == self.hash


class Point(msgspec.Struct, frozen=True, gc=False):
    """A place in the chain."""

    seq: int
    hash: bytes


def genesis(account: str) -> Point:
    """Where the chain of ``account`` starts: the point before its first record."""
    return Point(0, hashlib.sha256(_GENESIS + account.encode()).digest())


def header(seq: int, at_ns: int, kind: int, schema: int) -> bytes:
    """
    The fixed-width bytes of everything but the payload.

    Raises:
        ValueError: a number does not fit its field.
    """
    try:
        return _HEADER.pack(seq, at_ns, kind, schema)
    except struct.error as error:
        raise ValueError(f"seq {seq}, at_ns {at_ns}, kind {kind}, schema {schema}: {error}") from None


def digest(payload: bytes) -> bytes:
    """SHA-256 of a payload."""
    return hashlib.sha256(payload).digest()


def link(prev: bytes, header: bytes, payload_digest: bytes) -> bytes:
    """The hash of a record that follows the one with hash ``prev``."""
    return hashlib.sha256(_CHAIN + prev + header + payload_digest).digest()


def day_of(at_ns: int) -> int:
    """Days since 1970-01-01 UTC."""
    return at_ns // _DAY_NS


def start_of(day: int) -> int:
    """The first nanosecond of a day counted from 1970-01-01 UTC."""
    return day * _DAY_NS


def restore(row: tuple[object, ...], prev: bytes) -> Record:
    """
    The record stored as ``row`` (seq, at_ns, kind, schema, payload, digest, hash), not yet checked against its hash.

    A digest is stored only in the place of an emptied payload: one fact, one place.

    Raises:
        ValueError: the row is not one that the ledger can have written.
    """
    match row:
        case (int(seq), int(at_ns), int(kind), int(schema), bytes(payload), None, bytes(hash_)):
            record = Record(seq, at_ns, kind, schema, payload, digest(payload), prev, hash_)
        case (int(seq), int(at_ns), int(kind), int(schema), None, bytes(payload_digest), bytes(hash_)):
            record = Record(seq, at_ns, kind, schema, None, payload_digest, prev, hash_)
        case _:
            raise ValueError("the row has columns of a wrong type")
    header(seq, at_ns, kind, schema)
    return record
