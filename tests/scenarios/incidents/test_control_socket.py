# ruff: noqa: N802
"""Incidents of a safety module's commands, at the socket of a running gateway; `docs/incidents.md` lists them."""

import socket
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from control_kit import KEYS, Running, make_home, running
from interlock.cli import app
from interlock.client import Client, GatewayUnreachable
from interlock.core.codes import KillMode, Scope
from interlock.service.desk.desk import Kill, Reset
from interlock.service.desk.local_socket import connect
from interlock.service.desk.wire import (
    HEADER,
    REQUEST_BYTES_MAX,
    Challenge,
    Proof,
    Request,
    Welcome,
    body_length,
    client_mac,
    frame,
)


def test_Y1_without_keys_nobody_commands_and_there_is_no_default(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    for path in (home / "keys" / "sources").iterdir():
        path.unlink()
    with running(home) as gateway:
        for key in (b"secret" * 4, b"\0" * 32, KEYS["operator"]):
            with Client.connect(gateway.socket, source="operator", key=key) as client, pytest.raises(GatewayUnreachable):
                client.ask(Kill(KillMode.FREEZE, Scope.ACCOUNT, "", "guessed", "mallory"))
        assert gateway.desk.acts == []


def test_Y2_the_command_asks_the_running_process_and_never_says_inactive_by_itself(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")

    def status() -> str:
        return CliRunner().invoke(app, ["status", "--safety", "--home", str(home)]).stdout.splitlines()[0]

    with running(home) as gateway:
        assert status() == "Kill Switch: INACTIVE"
        with Client.connect(gateway.home, source="operator") as client:
            client.ask(Kill(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "odd fills", "alice"))
        assert status().startswith("Kill Switch: ACTIVE")
    assert status() == "Kill Switch: UNKNOWN"


def test_Y3_what_was_captured_on_one_connection_is_worth_nothing_on_another(tmp_path: Path) -> None:
    with running(make_home(tmp_path / "home")) as gateway:
        captured = _reset_by_an_operator(gateway)
        assert len(gateway.desk.acts) == 1
        with connect(gateway.socket, 10.0) as peer:
            assert _read(peer)
            peer.sendall(captured)
            assert msgspec.msgpack.decode(_read(peer), type=Welcome).refused
            assert peer.recv(1) == b""
        assert len(gateway.desk.acts) == 1


def _reset_by_an_operator(gateway: Running) -> bytes:
    """Everything that an operator's client sends to reset the kill switch."""
    with connect(gateway.socket, 10.0) as peer:
        challenge = msgspec.msgpack.decode(_read(peer), type=Challenge)
        nonce = b"n" * 32
        proof = Proof("operator", nonce, client_mac(KEYS["operator"], challenge, "operator", nonce))
        reset = Request(1, 10.0, Reset(Scope.ACCOUNT, "", "alice"))
        sent = [frame(each, REQUEST_BYTES_MAX) for each in (proof, reset)]
        for each in sent:
            peer.sendall(each)
            _read(peer)
    return b"".join(sent)


def _read(peer: socket.socket) -> bytes:
    header = peer.recv(HEADER.size, socket.MSG_WAITALL)
    return peer.recv(body_length(header, 1 << 22), socket.MSG_WAITALL)
