"""The control socket against those who wish it ill, and those who are merely clumsy: real sockets, real handshakes."""

import errno
import os
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from time import monotonic

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli_story import opening
from control_kit import KEYS, Running, SmallDesk, make_home, running
from interlock.client import Client, CommandRefused, GatewayUnreachable
from interlock.client.line import Line
from interlock.core.codes import Code, KillMode, Scope
from interlock.service.desk import control
from interlock.service.desk.desk import Close, DryRun, Flatten, GetStatus, Kill, Rebase, Release, Reset, Submit
from interlock.service.desk.local_socket import SocketInUse, SocketUnusable, connect, listen
from interlock.service.desk.sources import SourceKeys
from interlock.service.desk.wire import (
    HEADER,
    REQUEST_BYTES_MAX,
    VERSION,
    Challenge,
    FrameInvalid,
    Proof,
    Request,
    Welcome,
    body_length,
    client_mac,
    frame,
    is_source_name,
)

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(make_home(tmp_path_factory.mktemp("control") / "home")) as gateway:
        yield gateway


def line(gateway: Running, source: str = "bot", key: bytes | None = None) -> Line:
    return Line(gateway.socket, source, KEYS[source] if key is None else key, monotonic() + PATIENCE_S)


def still_answers(gateway: Running) -> bool:
    with Client.connect(gateway.home, source="operator", timeout_s=PATIENCE_S) as client:
        return client.status().account == "story"


def received(peer: socket.socket) -> bytes:
    """Everything until the end of the connection."""
    data = b""
    with peer:
        peer.settimeout(PATIENCE_S)
        try:
            while chunk := peer.recv(1 << 16):
                data += chunk
        except ConnectionResetError:
            pass
    return data


def one_frame(peer: socket.socket) -> bytes:
    peer.settimeout(PATIENCE_S)
    header = peer.recv(HEADER.size, socket.MSG_WAITALL)
    return peer.recv(body_length(header, 1 << 22), socket.MSG_WAITALL)


# ---------------------------------------------------------------- what cannot get in


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    garbage=st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda body: HEADER.pack(1, len(body)) + body))
)
def test_garbage_costs_the_stranger_its_connection_and_nobody_else_anything(gateway: Running, garbage: bytes) -> None:
    peer = connect(gateway.socket, PATIENCE_S)
    one_frame(peer)
    with closing(peer):
        try:
            peer.sendall(garbage)
            peer.shutdown(socket.SHUT_WR)
            answer = received(peer)
        except OSError:
            return
    assert answer in (b"", *(frame(Welcome(refused=text), 1 << 16) for text in refusals()))


def refusals() -> tuple[str, ...]:
    return ("the key is not this source's: use the key file of this gateway's home",)


def test_the_gateway_answers_after_all_that(gateway: Running) -> None:
    assert still_answers(gateway)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_proof_lets_nobody_in(gateway: Running, data: st.DataObject) -> None:
    peer = connect(gateway.socket, PATIENCE_S)
    challenge = msgspec.msgpack.decode(one_frame(peer), type=Challenge)
    nonce = b"n" * 32
    proof = Proof("operator", nonce, client_mac(KEYS["operator"], challenge, "operator", nonce))
    sent = bytearray(frame(proof, REQUEST_BYTES_MAX))
    bit = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[bit // 8] ^= 1 << bit % 8
    peer.sendall(sent)
    peer.shutdown(socket.SHUT_WR)
    answer = received(peer)
    if answer:
        welcome = msgspec.msgpack.decode(answer[HEADER.size :], type=Welcome)
        assert welcome.refused
        assert welcome.mac == b""


@pytest.mark.parametrize(("source", "key"), [("bot", b"x" * 32), ("nobody", KEYS["bot"]), ("operator", KEYS["bot"])])
def test_a_wrong_key_an_unknown_name_and_another_sources_key_are_refused_alike(
    gateway: Running, source: str, key: bytes
) -> None:
    with pytest.raises(GatewayUnreachable, match="the key is not this source's"):
        line(gateway, source, key)


def test_a_proof_made_for_one_connection_opens_no_other(gateway: Running) -> None:
    first = connect(gateway.socket, PATIENCE_S)
    challenge = msgspec.msgpack.decode(one_frame(first), type=Challenge)
    proof = frame(Proof("bot", b"n" * 32, client_mac(KEYS["bot"], challenge, "bot", b"n" * 32)), REQUEST_BYTES_MAX)
    first.sendall(proof)
    assert msgspec.msgpack.decode(one_frame(first), type=Welcome).mac
    second = connect(gateway.socket, PATIENCE_S)
    one_frame(second)
    second.sendall(proof)
    assert msgspec.msgpack.decode(one_frame(second), type=Welcome).refused
    first.close()
    second.close()


def test_a_stranger_who_says_nothing_is_gone_soon_and_the_oldest_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STRANGERS_MAX", 3)
    with running(make_home(tmp_path / "home")) as gateway, ExitStack() as peers:
        with monkeypatch.context() as hasty:
            hasty.setattr(control, "HANDSHAKE_S", 0.2)
            silent = [peers.enter_context(connect(gateway.socket, PATIENCE_S)) for _ in range(10)]
            for peer in silent:
                assert received(peer)[:1] in (b"", bytes([VERSION]))
        assert still_answers(gateway)


def test_an_impostor_without_the_key_is_not_believed(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    server = listen(home / "control.sock")
    server.setblocking(True)

    def pretend() -> None:
        peer, _ = server.accept()
        with peer:
            peer.sendall(frame(Challenge(b"c" * 32, "story", "testnet"), 1 << 16))
            one_frame(peer)
            peer.sendall(frame(Welcome(b"m" * 32), 1 << 16))
            received(peer)

    thread = threading.Thread(target=pretend)
    thread.start()
    with Client.connect(home, source="bot", timeout_s=PATIENCE_S) as client:
        answer = client.submit(opening())
    thread.join(PATIENCE_S)
    server.close()
    assert answer.headline == Code.UNANSWERED
    assert "does not hold the key" in answer.note


# ---------------------------------------------------------------- what got in and misbehaves


@pytest.mark.parametrize(
    "sent",
    [
        HEADER.pack(VERSION, REQUEST_BYTES_MAX + 1),
        HEADER.pack(VERSION + 1, 3) + b"abc",
        b"\0",
    ],
    ids=["over-long", "another version", "half a header"],
)
def test_a_broken_frame_ends_the_connection(gateway: Running, sent: bytes) -> None:
    peer = line(gateway)
    peer._socket.sendall(sent)
    peer._socket.shutdown(socket.SHUT_WR)
    assert received(peer._socket) == b""
    assert still_answers(gateway)


def test_a_question_that_cannot_be_read_is_told_so_and_the_next_is_answered(gateway: Running) -> None:
    peer = line(gateway)
    too_long = Request(1, PATIENCE_S, Kill(KillMode.FREEZE, Scope.ACCOUNT, "", "x" * 501, "alice"))
    reply = peer.ask(too_long, monotonic() + PATIENCE_S)
    assert reply.failure is not None
    assert reply.failure.error == "QuestionUnreadable"
    assert peer.ask(Request(2, PATIENCE_S, GetStatus()), monotonic() + PATIENCE_S).failure is None
    peer.close()


def test_half_a_frame_does_not_hold_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(make_home(tmp_path / "home")) as gateway:
        peer = line(gateway)
        monkeypatch.setattr(control, "FRAME_S", 0.2)
        peer._socket.sendall(HEADER.pack(VERSION, 100) + b"half")
        assert received(peer._socket) == b""


def test_an_idle_connection_ends_and_the_client_opens_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home(tmp_path / "home")
    with running(home), Client.connect(home, source="bot", timeout_s=PATIENCE_S) as client:
        assert client.decide(opening()).allowed
        with monkeypatch.context() as hasty:
            hasty.setattr(control, "IDLE_S", 0.2)
            assert client.decide(opening()).allowed  # after this one the gateway waits so short a time
            (idle,) = client._way._idle  # type: ignore[attr-defined]
            assert idle._socket.recv(1) == b""
        assert client.decide(opening()).allowed


def test_who_reads_no_reply_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(make_home(tmp_path / "home")) as gateway:
        peer = line(gateway)
        request = frame(Request(1, PATIENCE_S, GetStatus()), REQUEST_BYTES_MAX)
        with monkeypatch.context() as hasty:
            hasty.setattr(control, "FRAME_S", 0.3)
            with pytest.raises(OSError, match=r"Broken pipe|reset"):
                peer._socket.sendall(request * 100_000)
        assert still_answers(gateway)
        peer.close()


def test_a_peer_that_goes_away_stops_nothing(gateway: Running) -> None:
    gateway.hold()
    peer = line(gateway)
    peer._send(frame(Request(1, PATIENCE_S, Submit(opening(number="gone"))), REQUEST_BYTES_MAX), monotonic() + 5.0)
    with Client.connect(gateway.home, source="operator", timeout_s=PATIENCE_S) as client:
        while not any(intent.id == "gone" for intent in gateway.desk.submitted):
            client.status()
        peer.close()
        gateway.let_go()
        while gateway.desk.engine.state.intents.get("gone") is None:
            client.status()


# ---------------------------------------------------------------- many


def test_two_hundred_connections_are_served_at_once(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "HANDSHAKE_S", PATIENCE_S)  # two hundred threads of one process make them
    arrived = threading.Barrier(200)

    def ask(number: int) -> str:
        peer = line(gateway)
        arrived.wait(60.0)
        reply = peer.ask(Request(1, PATIENCE_S, DryRun(opening(number=f"c{number}"))), monotonic() + PATIENCE_S)
        peer.close()
        return str(msgspec.msgpack.decode(reply.body)["intent_id"])

    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(ask, range(200))) == {f"c{number}" for number in range(200)}


def test_sources_that_take_every_connection_leave_room_for_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "CONNECTIONS_MAX", 5)
    monkeypatch.setattr(control, "OPERATORS_MAX", 2)
    with running(make_home(tmp_path / "home")) as gateway:
        bots = [line(gateway) for _ in range(5)]
        with pytest.raises(GatewayUnreachable, match="too many connections"):
            line(gateway, "rival")
        operators = [line(gateway, "operator") for _ in range(2)]
        with pytest.raises(GatewayUnreachable, match="too many connections"):
            line(gateway, "operator")
        operators.pop().close()
        bots.pop().close()
        assert still_answers(gateway)
        for each in (*bots, *operators):
            each.close()


def test_too_many_questions_under_way_are_denied_and_operators_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ACTS_MAX", 1)
    with running(make_home(tmp_path / "home")) as gateway:
        gateway.hold()
        gone = line(gateway)
        gone._send(frame(Request(1, PATIENCE_S, Submit(opening())), REQUEST_BYTES_MAX), monotonic() + PATIENCE_S)
        gateway.has_heard(1)
        gone.close()
        with Client.connect(gateway.home, source="bot", timeout_s=PATIENCE_S) as client:
            assert client.submit(opening(number="i2")).headline == Code.BUSY
            with pytest.raises(GatewayUnreachable, match="under way"):
                client.status()
        assert still_answers(gateway)
        gateway.let_go()


# ---------------------------------------------------------------- what operators do


def test_every_command_arrives_with_who_and_why(gateway: Running) -> None:
    gateway.desk.acts.clear()
    with Client.connect(gateway.home, source="operator", timeout_s=PATIENCE_S) as client:
        client.ask(Kill(KillMode.REDUCE_ONLY, Scope.STRATEGY, "trend", "odd fills", "alice"))
        client.ask(Reset(Scope.STRATEGY, "trend", "bob", "explained"))
        client.ask(Release(Scope.ACCOUNT, "", Code.WEEKLY_LOSS, "bob", "new week"))
        client.ask(Flatten("", "storm", "alice"))
        client.ask(Flatten("GOLD", "storm", "alice"))
        client.ask(Close("EURO", "alice", "tidy"))
        client.ask(Rebase("bob", "payout"))
        with pytest.raises(CommandRefused, match="symbol 'LEAD' is not known"):
            client.ask(Close("LEAD", "alice"))
    kinds = [type(act).__name__ if not isinstance(act, tuple) else act for act in gateway.desk.acts]
    assert kinds == [
        "KillSet",
        "KillReset",
        "LockReleased",
        ("flatten", None, "storm", "alice"),
        ("flatten", "GOLD", "storm", "alice"),
        ("close", "EURO", "alice", "tidy"),
        "Rebased",
    ]


# ---------------------------------------------------------------- the socket file


def test_only_the_owner_reaches_the_socket_and_it_goes_with_the_gateway(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with running(home) as gateway:
        assert stat.S_IMODE(gateway.socket.stat().st_mode) == 0o600
        assert [path.name for path in home.iterdir() if "sock" in path.name] == ["control.sock"]
    assert not (home / "control.sock").exists()


def test_a_dead_socket_is_replaced_and_a_living_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    listen(path).close()
    with closing(listen(path)), pytest.raises(SocketInUse, match="another home"):
        listen(path)


def test_a_socket_whose_backlog_is_full_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.service.desk.local_socket.BACKLOG", 0)
    monkeypatch.setattr("interlock.service.desk.local_socket.PROBE_S", 0.2)
    path = tmp_path / "control.sock"
    with closing(listen(path)), ExitStack() as waiting:
        waiting.enter_context(connect(path, 1.0))
        with pytest.raises(SocketInUse):
            listen(path)
        with pytest.raises(GatewayUnreachable, match="no gateway answers"):
            Line(path, "bot", KEYS["bot"], monotonic() + 0.1)


def test_a_path_longer_than_the_kernel_takes_works(tmp_path: Path) -> None:
    home = make_home(tmp_path / ("d" * 120) / "home")
    with running(home) as gateway:
        assert len(os.fsencode(gateway.socket)) > 108
        assert still_answers(gateway)


def test_what_cannot_be_a_socket_is_said(tmp_path: Path) -> None:
    (tmp_path / "control.sock").write_text("a file")
    with pytest.raises(SocketUnusable, match="move it away"):
        listen(tmp_path / "control.sock")
    with pytest.raises(SocketUnusable, match="No such file"):
        listen(tmp_path / "nowhere" / "control.sock")


def test_a_gateway_leaves_the_socket_of_its_successor_alone(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with running(home) as gateway:
        gateway.socket.unlink()
        successor = listen(gateway.socket)
    assert (home / "control.sock").exists()
    successor.close()


# ---------------------------------------------------------------- frames and keys


def test_a_message_over_the_limit_is_not_sent() -> None:
    with pytest.raises(FrameInvalid, match="at most 10"):
        frame(b"x" * 20, 10)


@pytest.mark.parametrize(
    ("name", "good"), [("bot", True), ("a.b-c_9", True), ("", False), ("../bot", False), (".bot", False), ("x" * 65, False)]
)
def test_names_of_sources_are_names_of_files(name: str, good: bool) -> None:
    assert is_source_name(name) is good


def test_keys_that_cannot_be_used_are_named_and_let_nobody_in(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    sources = home / "keys" / "sources"
    for name in ("emergency", "reconciler", "-"):
        (sources / f"{name}.key").write_bytes(b"k" * 32)
        (sources / f"{name}.key").chmod(0o600)
    (sources / "rival.key").chmod(0o640)
    with running(home) as gateway:
        assert [trouble.split(":")[0].rsplit("/", 1)[-1] for trouble in gateway.troubles] == [
            "-.key",
            "emergency.key",
            "reconciler.key",
            "rival.key is open to others than its owner",
        ]
        for source, key in (("emergency", b"k" * 32), ("rival", KEYS["rival"])):
            with pytest.raises(GatewayUnreachable, match="the key is not this source's"):
                line(gateway, source, key)


def test_a_disk_that_hangs_or_is_gone_leaves_the_keys_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home(tmp_path / "home")
    with running(home) as gateway:
        mended = threading.Event()
        monkeypatch.setattr(SourceKeys, "load", lambda _keys: mended.wait(30.0))
        assert still_answers(gateway)
        assert still_answers(gateway)
        mended.set()
        monkeypatch.undo()
        (home / "keys" / "sources").rename(home / "keys" / "away")
        line(gateway, "bot").close()


def test_a_desk_is_asked_to_finish_before_the_socket_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CLOSING_S", 0.2)
    desk = SmallDesk()
    with running(make_home(tmp_path / "home"), desk) as gateway:
        gateway.hold()
        with Client.connect(gateway.home, source="bot", timeout_s=0.2) as client:
            assert client.submit(opening(number="never")).headline == Code.UNANSWERED
            gateway.has_heard(1)
            stranger = connect(gateway.socket, PATIENCE_S)
            assert one_frame(stranger)
    assert received(stranger) == b""
    assert desk.engine.state.intents.get("never") is None


def test_a_process_without_room_for_more_files_takes_callers_when_it_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PAUSE_S", 0.05)
    home = make_home(tmp_path / "home")
    with running(home) as gateway:
        real = gateway.server._listening

        class Full:
            """A listening socket whose process has used up its file descriptors."""

            def accept(self) -> None:
                gateway.server._listening = real
                raise OSError(errno.EMFILE, "Too many open files")

            def fileno(self) -> int:
                return real.fileno()

        gateway.server._listening = Full()  # type: ignore[assignment]
        assert still_answers(gateway)
        assert gateway.troubles == ["the control socket takes nobody for now: Too many open files"]
