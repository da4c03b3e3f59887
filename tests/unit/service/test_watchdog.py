import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from interlock.service.watchdog import Watchdog


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, str]]:
    monkeypatch.chdir(tmp_path)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind("notify")
        listening.setblocking(False)
        yield listening, "notify"


def heard(listening: socket.socket) -> list[str]:
    told = []
    while True:
        try:
            told.append(listening.recv(4096).decode())
        except BlockingIOError:
            return told


def test_what_the_manager_hears(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    watchdog = Watchdog({"NOTIFY_SOCKET": name})
    assert [watchdog.ready(), watchdog.status("ACTIVE\nREADY=1"), watchdog.alive(), watchdog.stopping()] == [True] * 4
    assert heard(listening) == ["READY=1", "STATUS=ACTIVE READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_name_that_is_no_path() -> None:
    name = f"interlock test {os.getpid()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind("\0" + name)
        listening.setblocking(False)
        assert Watchdog({"NOTIFY_SOCKET": "@" + name}).ready()
        assert heard(listening) == ["READY=1"]


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    assert not Watchdog({}).ready()
    assert not Watchdog({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert not Watchdog({"NOTIFY_SOCKET": "x" * 300}).ready()


def test_a_manager_that_does_not_listen_is_not_waited_for(manager: tuple[socket.socket, str]) -> None:
    _, name = manager
    watchdog = Watchdog({"NOTIFY_SOCKET": name})
    sent = [watchdog.alive() for _ in range(10_000)]
    assert sent[0]
    assert not sent[-1]


@pytest.mark.parametrize(
    ("environ", "limit_s"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
        ({"WATCHDOG_USEC": ""}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "²"}, 0.0),
    ],
)
def test_how_long_the_manager_waits(environ: dict[str, str], limit_s: float) -> None:
    assert Watchdog(environ).limit_s == limit_s


class EnoughError(Exception):
    pass


def test_an_engine_that_steps_no_more_is_not_vouched_for(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    watchdog = Watchdog({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
    story = iter([True, True, False, False, True])
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            raise EnoughError

    with pytest.raises(EnoughError):
        asyncio.run(watchdog.watch(lambda: next(story), sleep=sleep))
    assert heard(listening) == ["WATCHDOG=1"] * 3
    assert set(pauses) == {10.0}


def test_where_no_signs_are_wanted_none_are_given() -> None:
    asyncio.run(Watchdog({}).watch(lambda: True))
