"""
Signed heads, and the anchor: the file outside the ledger's directory that remembers them.

A chain without a key can be recomputed by whoever edits it, and a cut tail leaves no gap. A signature stops the first,
a head that is kept elsewhere finds the second. Put the anchor on another disk, or better on another machine.
"""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from interlock.ledger.record import Point

_HEAD: Final = b"interlock/ledger/head/1\0"
_SNAPSHOT: Final = b"interlock/ledger/snapshot/1\0"
_RETENTION: Final = b"interlock/ledger/retention/1\0"
_NUMBERS: Final = struct.Struct(">qq")
_TAIL_BYTES: Final = 4096


class Head(msgspec.Struct, frozen=True):
    """A statement that the chain of ``account`` had ``hash`` at ``seq``; unsigned if the ledger has no key."""

    account: str
    seq: int
    at_ns: int
    hash: bytes
    signature: bytes = b""

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        return _HEAD + _NUMBERS.pack(self.seq, self.at_ns) + self.hash + self.account.encode()


def snapshot_message(account: str, at: Point, schema: int, payload_digest: bytes) -> bytes:
    """The bytes that are signed for a snapshot: it belongs to one place of one chain."""
    return _SNAPSHOT + _NUMBERS.pack(at.seq, schema) + at.hash + payload_digest + account.encode()


def retention_message(account: str, kind: int, before_ns: int) -> bytes:
    """The bytes that are signed when payloads of ``kind`` older than ``before_ns`` are emptied."""
    return _RETENTION + _NUMBERS.pack(kind, before_ns) + account.encode()


def sign(key: Ed25519PrivateKey | None, message: bytes) -> bytes:
    """The signature of ``message``, empty without a key."""
    return b"" if key is None else key.sign(message)


def genuine(public_key: Ed25519PublicKey | None, signature: bytes, message: bytes) -> bool:
    """True if the holder of the key signed ``message``, or if there is no key to ask for."""
    if public_key is None:
        return True
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


class Anchor:
    """An append-only file of heads, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """The file exists."""
        self.path.touch()

    def append(self, head: Head) -> None:
        """
        The head is on disk.

        Raises:
            OSError: it is not, or not surely.
        """
        line = json.dumps(
            {
                "account": head.account,
                "seq": head.seq,
                "at_ns": head.at_ns,
                "hash": head.hash.hex(),
                "signature": head.signature.hex(),
            }
        )
        with self.path.open("ab", buffering=0) as file:
            start = "\n" if self._torn() else ""
            data = f"{start}{line}\n".encode()
            if file.write(data) != len(data):
                raise OSError(None, "the line was written in part", str(self.path))
            os.fsync(file.fileno())

    def last(self) -> Head | None:
        """The newest head, read from the end of the file; None if there is none yet."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = file.read(_TAIL_BYTES).split(b"\n")
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            if line.endswith(b"}"):
                return _parse(line)
        return None

    def heads(self) -> Iterator[Head | ValueError]:
        """
        The heads that are in the file now, oldest first, or what is wrong with a line.

        A line that a crash has cut short is passed over: what it said was never acknowledged.
        """
        with self.path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            number = 0
            while line := file.readline(left):
                left -= len(line)
                number += 1
                if line.rstrip().endswith(b"}"):
                    try:
                        yield _parse(line)
                    except ValueError as error:
                        yield ValueError(f"line {number}: {error}")

    def _torn(self) -> bool:
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def _parse(line: bytes) -> Head:
    try:
        fields = msgspec.json.decode(line, type=_Line)
        return Head(fields.account, fields.seq, fields.at_ns, bytes.fromhex(fields.hash), bytes.fromhex(fields.signature))
    except msgspec.DecodeError as error:
        raise ValueError(f"not a head: {error}") from None


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    account: str
    seq: int
    at_ns: int
    hash: str
    signature: str
