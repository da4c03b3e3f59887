"""A gateway that holds the key and says anything at all: only a whole answer to this very question can allow."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_story import opening
from control_kit import KEYS, make_home
from interlock.client import Client
from interlock.core.codes import Code
from interlock.service.api import Answer
from interlock.service.desk.local_socket import listen
from interlock.service.desk.wire import (
    HEADER,
    VERSION,
    Challenge,
    Failure,
    Proof,
    Reply,
    Welcome,
    body_length,
    frame,
    server_mac,
)

LONGEST = 1 << 22
ALLOWED = msgspec.msgpack.encode(Answer("i1", Code.ALLOWED, 50))


@contextmanager
def saying(home: Path, reply: bytes, *, version: int = VERSION) -> Iterator[None]:
    """Whoever asks at the home is let in, and is told exactly these bytes."""
    server = listen(home / "control.sock")
    server.setblocking(True)

    def serve() -> None:
        peer, _ = server.accept()
        with peer:
            challenge = Challenge(b"c" * 32, "story", "testnet")
            hello = frame(challenge, LONGEST)
            peer.sendall(bytes([version]) + hello[1:])
            try:
                proof = msgspec.msgpack.decode(_read(peer), type=Proof)
                peer.sendall(frame(Welcome(server_mac(KEYS["bot"], challenge, proof.source, proof.nonce)), LONGEST))
                _read(peer)
                peer.sendall(reply)
            except (OSError, msgspec.DecodeError):
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join(20.0)
        server.close()
        (home / "control.sock").unlink()


def _read(peer: socket.socket) -> bytes:
    header = peer.recv(HEADER.size, socket.MSG_WAITALL)
    return peer.recv(body_length(header, LONGEST), socket.MSG_WAITALL) if header else b""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("client") / "home")


def answer(home: Path, reply: bytes, **given_: int) -> Answer:
    with saying(home, reply, **given_), Client.connect(home, source="bot", timeout_s=10.0) as client:
        return client.submit(opening())


def replied(number: int, body: bytes, failure: Failure | None = None) -> bytes:
    return frame(Reply(number, failure, msgspec.Raw(body)), LONGEST)


def test_a_whole_answer_to_this_question_allows(home: Path) -> None:
    assert answer(home, replied(1, ALLOWED)).allowed


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (b"", "gave no answer"),
        (replied(1, ALLOWED)[:-1], "gave no answer"),
        (replied(2, ALLOWED), "replied to question 2"),
        (replied(1, msgspec.msgpack.encode(Answer("other", Code.ALLOWED, 50))), "something else"),
        (replied(1, b"\xc0"), "cannot be read"),
        (replied(1, b"\xc0", Failure("UNANSWERED", "too busy")), "too busy"),
        (replied(1, b"\xc0", Failure("InputInvalid", "no such symbol")), "no such symbol"),
        (HEADER.pack(VERSION, LONGEST + 1), "cannot be read"),
        (HEADER.pack(VERSION + 1, 1) + b"x", "same version"),
    ],
)
def test_everything_else_is_a_no(home: Path, reply: bytes, says: str) -> None:
    told = answer(home, reply)
    assert (told.headline, told.allowed, told.permits) == (Code.UNANSWERED, False, ())
    assert says in told.note


def test_a_gateway_of_another_version_is_a_no(home: Path) -> None:
    assert "same version" in answer(home, replied(1, ALLOWED), version=9).note


@settings(max_examples=60, deadline=None)
@given(garbage=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda body: replied(1, body))))
def test_garbage_never_allows(home: Path, garbage: bytes) -> None:
    assert answer(home, garbage).headline == Code.UNANSWERED


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, len(replied(1, ALLOWED)) - 1))
def test_part_of_an_answer_never_allows(home: Path, length: int) -> None:
    assert answer(home, replied(1, ALLOWED)[:length]).headline == Code.UNANSWERED
