"""
The desk behind a local socket: whoever holds a source's key may ask, everybody else is gone within seconds.

Rules:

1. A connection is one source's, by proof. No message can name another.
2. Whatever a peer does (garbage, silence, half a frame, reading nothing) costs it its connection, and nobody else anything.
3. Connections are bounded, and operators have room of their own that no one else can take.
4. What the desk has begun it finishes: a peer that goes away, or waits no longer, stops nothing.
"""

import asyncio
import hmac
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from interlock.core.authority import OPERATOR
from interlock.core.codes import Code
from interlock.core.errors import InterlockError
from interlock.ledger.errors import LedgerError
from interlock.service.api import Answer, Rebalanced
from interlock.service.desk.desk import Desk, DryRun, DryRunRebalance, Submit, SubmitRebalance, Told, carry_out
from interlock.service.desk.local_socket import listen
from interlock.service.desk.sources import SourceKeys
from interlock.service.desk.wire import (
    HANDSHAKE_BYTES_MAX,
    HEADER,
    NONCE_BYTES,
    REPLY_BYTES_MAX,
    REQUEST_BYTES_MAX,
    Challenge,
    Failure,
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

CONNECTIONS_MAX: Final = 256
OPERATORS_MAX: Final = 16
STRANGERS_MAX: Final = 256
"""Connections that have not proven anything yet; beyond it the oldest of them goes."""

ACTS_MAX: Final = 4096
"""Questions under way at once; operators' are taken beyond it."""

HANDSHAKE_S: Final = 2.0
FRAME_S: Final = 5.0
"""How long a frame may take once its header is there, and how long a peer may take to read a reply."""

IDLE_S: Final = 300.0
PATIENCE_S_MAX: Final = 60.0
CLOSING_S: Final = 5.0
PAUSE_S: Final = 1.0

_PEERS_DOING: Final = (OSError, asyncio.IncompleteReadError, FrameInvalid, msgspec.MsgspecError)
"""What a peer can bring about; it ends the connection. (A timeout is an OSError.)"""

_REFUSALS: Final = (InterlockError, LedgerError)
_PROOFS: Final = msgspec.msgpack.Decoder(Proof)
_REQUESTS: Final = msgspec.msgpack.Decoder(Request)
_NOTHING: Final = msgspec.Raw(msgspec.msgpack.encode(None))


class ControlServer:
    """A desk that is asked through a socket file; use it as an asynchronous context."""

    def __init__(
        self,
        desk: Desk,
        keys: SourceKeys,
        path: Path,
        *,
        account: str,
        environment: str,
        trouble: Callable[[str], None],
    ) -> None:
        """
        Nothing is open yet.

        Args:
            desk: who answers.
            keys: the sources' keys.
            path: where the socket is to be.
            account: its name, which every handshake covers.
            environment: testnet or mainnet, likewise.
            trouble: told, as a sentence, what a person should know.
        """
        self._desk = desk
        self._keys = keys
        self._path = path
        self._account = account
        self._environment = environment
        self._trouble = trouble
        self._room = {OPERATOR: OPERATORS_MAX, "": CONNECTIONS_MAX}
        self._pausing: asyncio.TimerHandle | None = None
        self._serving: dict[asyncio.Task[None], socket.socket] = {}
        self._acts: set[asyncio.Task[Told]] = set()
        self._strangers: dict[asyncio.Task[None], None] = {}

    async def __aenter__(self) -> Self:
        """
        The socket answers.

        Raises:
            SocketInUse: another process answers there.
            SocketUnusable: there is no place for it.
        """
        self._keys.load()
        for problem in self._keys.problems:
            self._trouble(problem)
        self._listening = listen(self._path)
        self._inode = self._path.stat().st_ino
        self._accept_from_now_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        """The socket is gone; what the desk had begun is finished, or given up after some seconds."""
        if self._pausing is not None:
            self._pausing.cancel()
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        if self._acts:
            await asyncio.wait(self._acts, timeout=CLOSING_S)
        left = [*self._serving, *self._acts]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    # ------------------------------------------------------------ connections

    def _accept_from_now_on(self) -> None:
        self._pausing = None
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        """Whoever knocks is being served; where the process has no room for more files, they wait a moment."""
        loop = asyncio.get_running_loop()
        try:
            peer, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            self._trouble(f"the control socket takes nobody for now: {error.strerror}")
            loop.remove_reader(self._listening)
            self._pausing = loop.call_later(PAUSE_S, self._accept_from_now_on)
            return
        peer.setblocking(False)
        if len(self._strangers) >= STRANGERS_MAX:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()
        task = loop.create_task(self._serve(peer), name="control connection")
        self._strangers[task] = None
        self._serving[task] = peer
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._strangers.pop(task, None)
        self._serving.pop(task).close()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble(f"a control connection broke, report it: {error!r}")

    async def _serve(self, peer: socket.socket) -> None:
        with suppress(*_PEERS_DOING):
            reader, writer = await asyncio.open_unix_connection(sock=peer)
            writer.transport.set_write_buffer_limits(high=0)  # so that what is drained has left
            try:
                await self._converse(reader, writer)
            finally:
                writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HANDSHAKE_S):
            source, welcome = await self._introduced(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._strangers.pop(task, None)
        with self._admitted(source) as refused:
            await _send(writer, Welcome(refused=refused) if refused else welcome)
            while not refused:
                await self._answer_next(source, reader, writer)

    async def _introduced(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, Welcome]:
        """Which source the peer has proven to be, empty where none, and what is to be said to it."""
        challenge = Challenge(secrets.token_bytes(NONCE_BYTES), self._account, self._environment)
        await _send(writer, challenge)
        proof = _PROOFS.decode(await _receive(reader, bytes_max=HANDSHAKE_BYTES_MAX))
        key = await self._keys.current(proof.source)
        expected = client_mac(key or secrets.token_bytes(NONCE_BYTES), challenge, proof.source, proof.nonce)
        if not hmac.compare_digest(expected, proof.mac) or key is None:
            whom = repr(proof.source) if key is not None else "a source that has no key"
            self._trouble(f"somebody tried to be {whom} on the control socket, and did not prove it")
            return "", Welcome()
        return proof.source, Welcome(server_mac(key, challenge, proof.source, proof.nonce))

    @contextmanager
    def _admitted(self, source: str) -> Iterator[str]:
        """Room for the connection while it lasts; yields why not, where there is none."""
        if not source:
            yield "the key is not this source's: use the key file of this gateway's home"
            return
        kind = source if source == OPERATOR else ""
        if not self._room[kind]:
            yield "too many connections: close some of them"
            return
        self._room[kind] -= 1
        try:
            yield ""
        finally:
            self._room[kind] += 1

    # ------------------------------------------------------------ questions

    async def _answer_next(self, source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await _receive(reader, header_s=IDLE_S)
        try:
            request = _REQUESTS.decode(body)
        except msgspec.MsgspecError as error:
            await _send(writer, _failed(0, "QuestionUnreadable", str(error)))
            return
        await _send(writer, await self._reply(source, request))

    async def _reply(self, source: str, request: Request) -> Reply:
        if len(self._acts) >= ACTS_MAX and source != OPERATOR:
            return _unheard(request, Code.BUSY, f"{ACTS_MAX} questions are under way")
        act = asyncio.get_running_loop().create_task(carry_out(self._desk, source, request.ask), name="control act")
        self._acts.add(act)
        act.add_done_callback(self._acted)
        await asyncio.wait({act}, timeout=min(request.patience_s, PATIENCE_S_MAX))
        if not act.done() or act.cancelled():
            return _unheard(request, Code.UNANSWERED, "the gateway did not come to it in time")
        error = act.exception()
        if error is not None:
            return _failed(request.number, type(error).__name__, str(error))
        return Reply(request.number, None, msgspec.Raw(msgspec.msgpack.encode(act.result())))

    def _acted(self, act: asyncio.Task[Told]) -> None:
        self._acts.discard(act)
        error = None if act.cancelled() else act.exception()
        if error is not None and not isinstance(error, _REFUSALS):
            self._trouble(f"a question to the gateway broke, report it: {error!r}")


def _failed(number: int, error: str, message: str) -> Reply:
    return Reply(number, Failure(error, message), _NOTHING)


def _unheard(request: Request, code: Code, note: str) -> Reply:
    """The reply where the desk has not spoken: for an order a no."""
    answer: Answer | Rebalanced
    if isinstance(request.ask, Submit | DryRun):
        answer = Answer(request.ask.intent.id, code, note=note)
    elif isinstance(request.ask, SubmitRebalance | DryRunRebalance):
        answer = Rebalanced(request.ask.rebalance.id, code, note=note)
    else:
        return _failed(request.number, code, note)
    return Reply(request.number, None, msgspec.Raw(msgspec.msgpack.encode(answer)))


async def _receive(reader: asyncio.StreamReader, *, header_s: float = FRAME_S, bytes_max: int = REQUEST_BYTES_MAX) -> bytes:
    async with asyncio.timeout(header_s):
        header = await reader.readexactly(HEADER.size)
    async with asyncio.timeout(FRAME_S):
        return await reader.readexactly(body_length(header, bytes_max))


async def _send(writer: asyncio.StreamWriter, message: object) -> None:
    writer.write(frame(message, REPLY_BYTES_MAX))
    async with asyncio.timeout(FRAME_S):
        await writer.drain()
