"""One authenticated connection to a gateway's socket, asked from one thread at a time."""

import hmac
import secrets
import select
import socket
from pathlib import Path
from time import monotonic, sleep
from typing import Final, TypeVar

import msgspec

from interlock.client.errors import GatewayUnreachable
from interlock.service.desk.local_socket import connect
from interlock.service.desk.wire import (
    HEADER,
    NONCE_BYTES,
    REPLY_BYTES_MAX,
    REQUEST_BYTES_MAX,
    Challenge,
    FrameInvalid,
    Proof,
    Reply,
    Request,
    Welcome,
    body_length,
    client_mac,
    frame,
    server_mac,
)

_RETRY_S: Final = 0.01
_CHUNK_BYTES: Final = 1 << 16

T = TypeVar("T")


class Line:
    """A connection that both sides have proven; after any error it is of no use."""

    def __init__(self, path: Path, source: str, key: bytes, deadline: float) -> None:
        """
        The gateway has let the source in.

        Raises:
            GatewayUnreachable: nobody answers at the path, or refuses, or cannot prove that it holds the key.
        """
        try:
            self._socket = _connected(path, deadline)
        except OSError as error:
            raise GatewayUnreachable(f"no gateway answers at {path} ({_said(error)}): is it running?") from error
        self._number = 0
        try:
            self._introduce(source, key, deadline)
        except GatewayUnreachable:
            self.close()
            raise

    def ask(self, request: Request, deadline: float) -> Reply:
        """
        What the gateway replies.

        Raises:
            GatewayUnreachable: no readable reply came in time; the question may have been heard.
        """
        self._send(frame(request, REQUEST_BYTES_MAX), deadline)
        reply = self._read(Reply, deadline)
        if reply.number not in (request.number, 0):
            raise GatewayUnreachable(f"the gateway replied to question {reply.number}, asked was {request.number}")
        return reply

    def is_usable(self) -> bool:
        """Whether nothing has come, not even the end, since the last reply."""
        return not select.select([self._socket], [], [], 0)[0]

    def close(self) -> None:
        """The connection is gone."""
        self._socket.close()

    def _introduce(self, source: str, key: bytes, deadline: float) -> None:
        challenge = self._read(Challenge, deadline)
        nonce = secrets.token_bytes(NONCE_BYTES)
        proof = Proof(source, nonce, client_mac(key, challenge, source, nonce))
        self._send(frame(proof, REQUEST_BYTES_MAX), deadline)
        welcome = self._read(Welcome, deadline)
        if welcome.refused:
            raise GatewayUnreachable(f"the gateway did not let {source!r} in: {welcome.refused}")
        if not hmac.compare_digest(welcome.mac, server_mac(key, challenge, source, nonce)):
            raise GatewayUnreachable(f"what answers does not hold the key of {source!r}: it is not this home's gateway")

    def _send(self, data: bytes, deadline: float) -> None:
        try:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(data)
        except OSError as error:
            raise GatewayUnreachable(f"the gateway took no question ({_said(error)})") from error

    def _read(self, kind: type[T], deadline: float) -> T:
        try:
            length = body_length(self._receive(HEADER.size, deadline), REPLY_BYTES_MAX)
            return msgspec.msgpack.decode(self._receive(length, deadline), type=kind)
        except OSError as error:
            raise GatewayUnreachable(f"the gateway gave no answer ({_said(error)})") from error
        except (FrameInvalid, msgspec.MsgspecError) as error:
            raise GatewayUnreachable(f"the gateway's answer cannot be read: {error}") from error

    def _receive(self, length: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < length:
            self._socket.settimeout(_left(deadline))
            chunk = self._socket.recv(min(length - len(data), _CHUNK_BYTES))
            if not chunk:
                raise ConnectionResetError("the connection ended")
            data += chunk
        return bytes(data)


def _connected(path: Path, deadline: float) -> socket.socket:
    """A connection; while the gateway has more callers than it can greet, it is tried again."""
    while True:
        try:
            return connect(path, _left(deadline))
        except BlockingIOError:
            sleep(min(_RETRY_S, _left(deadline)))


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0.0:
        raise TimeoutError("no answer in time")
    return left


def _said(error: OSError) -> str:
    return error.strerror or str(error)
