"""
The kill switch on the disk: a latch that survives the process, and the sentinel file that anybody can put down.

`KillLatch.state` is the one answer to "is it on?", for the engine, the executor and the desk alike. It has three values,
and unknown counts as on: what cannot be read, is not what was written, or is missing where it should be kills to
`reduce_only`. Nothing here raises because of what it finds.

The latch is a directory with one file for each scope that is killed. A file appears whole or not at all. Throwing the
switch again keeps the first reason and never weakens: `reduce_only` < `flatten`, and `freeze` and `flatten`, which
contradict each other, replace each other only in the name of an operator.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

import msgspec

from interlock.core.codes import KillMode, Scope
from interlock.core.errors import InterlockError
from interlock.core.messages import KillReset, KillSet
from interlock.service.api import KillStatus
from interlock.service.home.home import Home
from interlock.service.private import make_directory, read_plain, sync_directory, write_private

SENTINEL: Final = "sentinel"
"""Who threw the switch where the file KILL did."""

UNREADABLE: Final = "unreadable"
"""Who threw it where a record could not be read."""

_TEXT_MAX: Final = 2000
_MODES: Final = {mode.name.lower(): mode for mode in KillMode if mode is not KillMode.NONE}
_RETRY_S: Final = 0.01


class LatchUnwritable(InterlockError):
    """The kill switch holds in this process alone, since the disk did not take it; mend the disk and throw it again."""


class SentinelStands(InterlockError):
    """The file KILL exists, and while it does nothing resets the switch; remove it first."""


class ResetUnnamed(InterlockError):
    """A reset needs the name of the person who answers for it."""


class Switch(Enum):
    """Whether the kill switch is on; only OFF lets anything open."""

    OFF = "off"
    ON = "on"
    UNKNOWN = "unknown"


class KillState(msgspec.Struct, frozen=True):
    """Everything that is killed now, the account first; an empty one is off."""

    entries: tuple[KillStatus, ...] = ()
    switch: Switch = Switch.OFF

    @property
    def account(self) -> KillMode | None:
        """The mode in which the whole account is killed, None where it is not."""
        return self.covering()

    def covering(self, strategy: str = "", symbol: str = "") -> KillMode | None:
        """The most severe mode that holds for an order of the strategy in the symbol, None where nothing is killed."""
        keys = {Scope.ACCOUNT: "", Scope.STRATEGY: strategy, Scope.SYMBOL: symbol}
        modes = [entry.mode for entry in self.entries if entry.scope_key == keys[entry.scope] and entry.mode is not None]
        return max(modes, default=None)


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: str
    scope: Scope
    scope_key: str
    reason: str
    by: str
    at_ns: int


class KillLatch:
    """
    The durable kill switch of one state directory; every process that knows the directory may use one.

    Calls may block as long as the disk does: make them on a thread. A switch that the disk did not take holds in this
    process until it is thrown again or reset.
    """

    def __init__(self, home: Home, *, patience_s: float = 2.0) -> None:
        self._home = home
        self._patience_s = patience_s
        self._memory = threading.Lock()
        self._unwritten: dict[str, KillStatus] = {}

    def state(self) -> KillState:
        """What is killed now, by the sentinel, by the latch, or by not being readable."""
        found = [*self._sentinel(), *self._latched(), *tuple(self._unwritten.values())]
        unknown = any(entry.by == UNREADABLE for entry in found)
        switch = Switch.UNKNOWN if unknown else Switch.ON if found else Switch.OFF
        return KillState(tuple(_strongest(found)), switch)

    def trigger(self, event: KillSet, at_ns: int) -> KillStatus:
        """
        The switch is on in the scope, in this process at once and durably; returns how it holds now.

        Raises:
            LatchUnwritable: it is on in this process alone.
        """
        if event.mode is KillMode.NONE:
            raise ValueError("a kill switch is thrown in a mode: reduce_only, flatten or freeze")
        wanted = _wanted(event, at_ns)
        name = _file_name(wanted.scope, wanted.scope_key)
        with self._memory:
            mine = self._unwritten[name] = merged(self._unwritten.get(name), wanted)
        try:
            if not self._home.latch.exists():
                self._replace_lost()
            with self._alone():
                held = self._read(name)
                now = merged(held, mine)
                if now != held:
                    write_private(self._home.latch / name, _encode(now))
        except OSError as error:
            remedy = "mend the disk and throw it again; until then the switch holds in this process alone"
            raise LatchUnwritable(f"{self._home.latch}: {error.strerror or error}: {remedy}") from error
        with self._memory:
            if self._unwritten.get(name) is mine:
                del self._unwritten[name]
        return now

    def reset(self, event: KillReset) -> None:
        """
        The switch is off in the scope, durably; a reset of the account also clears away what cannot be read.

        Raises:
            ResetUnnamed: nobody answers for it.
            SentinelStands: the file KILL has to be removed first.
            LatchUnwritable: the disk did not let it.
        """
        if not event.by.strip():
            raise ResetUnnamed("say who resets the kill switch: --by NAME")
        if next(self._sentinel(), None) is not None:
            raise SentinelStands(f"{self._home.sentinel} exists: remove it, then reset")
        account = event.scope is Scope.ACCOUNT
        name = _file_name(event.scope, _key(event))
        try:
            if account:
                make_directory(self._home.latch)
            with self._alone():
                (self._home.latch / name).unlink(missing_ok=True)
                for each in self._illegible() if account else ():
                    (self._home.latch / each).unlink()
                sync_directory(self._home.latch)
        except OSError as error:
            remedy = "mend it by hand and reset the account"
            raise LatchUnwritable(f"{self._home.latch}: {error.strerror or error}: {remedy}") from error
        with self._memory:
            self._unwritten.pop(name, None)

    def place_sentinel(self, mode: KillMode, reason: str) -> None:
        """
        The file KILL exists and names the mode, or the stronger one that it named before.

        Raises:
            LatchUnwritable: it does not.
        """
        held = next(self._sentinel(), None)
        wanted = KillStatus(active=True, mode=mode, reason=reason[:_TEXT_MAX])
        now = merged(held, wanted)
        if now == held or now.mode is None:
            return
        text = f"{now.mode.name.lower()}\n{now.reason}\n"
        try:
            write_private(self._home.sentinel, text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            if held is None:
                remedy = f"create the file by any means: touch {self._home.sentinel}"
                raise LatchUnwritable(f"{self._home.sentinel}: {error.strerror or error}: {remedy}") from error

    def _sentinel(self) -> Iterator[KillStatus]:
        path = self._home.sentinel
        try:
            data, problem = read_plain(path)
        except FileNotFoundError:
            if os.path.islink(path):
                yield _unreadable(f"{path} is a link that leads nowhere")
            return
        except OSError as error:
            yield _unreadable(f"{path}: {error.strerror or error}")
            return
        if problem:
            yield _unreadable(problem)
            return
        first, _, rest = data.decode("utf-8", "replace").partition("\n")
        mode = _MODES.get(first.strip().lower().replace("-", "_"), KillMode.REDUCE_ONLY)
        reason = " ".join(rest.split())[:_TEXT_MAX] or f"the file {path} exists"
        yield KillStatus(active=True, mode=mode, reason=reason, by=SENTINEL)

    def _latched(self) -> Iterator[KillStatus]:
        try:
            names = self._names()
        except OSError as error:
            yield _unreadable(f"{self._home.latch}: {error.strerror or error}; `interlock reset` makes it afresh")
            return
        for name in names:
            held = self._read(name)
            if held is not None:
                yield held

    def _illegible(self) -> list[str]:
        held = {name: self._read(name) for name in self._names()}
        return [name for name, entry in held.items() if entry is not None and entry.by == UNREADABLE]

    def _replace_lost(self) -> None:
        """A latch that is gone is there again, and the account stays killed until somebody resets it."""
        lost = _unreadable(f"{self._home.latch} was gone")
        made = self._home.path / f".kill.{secrets.token_hex(8)}"
        make_directory(made)
        write_private(made / _file_name(lost.scope, ""), _encode(lost))
        try:
            made.rename(self._home.latch)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            if not self._home.latch.exists():
                raise
        sync_directory(self._home.path)

    def _names(self) -> list[str]:
        return sorted(name for name in os.listdir(self._home.latch) if not name.startswith("."))

    def _read(self, name: str) -> KillStatus | None:
        path = self._home.latch / name
        try:
            data, problem = read_plain(path)
            record = msgspec.json.decode(data, type=_Record) if not problem else None
        except FileNotFoundError:
            return None if not os.path.islink(path) else _unreadable(f"{path} is a link that leads nowhere")
        except OSError as error:
            return _unreadable(f"{path}: {error.strerror or error}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _unreadable(f"{path}: {error}")
        if record is None or record.mode not in _MODES or _file_name(record.scope, record.scope_key) != name:
            return _unreadable(problem or f"{path} is not what was written")
        return KillStatus(
            active=True,
            mode=_MODES[record.mode],
            scope=record.scope,
            scope_key=record.scope_key,
            reason=record.reason,
            by=record.by,
            at_ns=record.at_ns,
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else writes the latch; whoever holds it too long is no longer waited for."""
        directory = os.open(self._home.latch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            until_s = time.monotonic() + self._patience_s
            while not _taken(directory) and time.monotonic() < until_s:
                time.sleep(_RETRY_S)
            yield
        finally:
            os.close(directory)


def merged(held: KillStatus | None, wanted: KillStatus) -> KillStatus:
    """What holds after the switch is thrown once more: the first reason, and never a weaker mode."""
    if held is None or held.by == UNREADABLE or held.mode is None or wanted.mode is None:
        return wanted
    if {held.mode, wanted.mode} == {KillMode.FLATTEN, KillMode.FREEZE}:
        return msgspec.structs.replace(held, mode=wanted.mode) if wanted.by else held
    return held if wanted.mode <= held.mode else msgspec.structs.replace(held, mode=wanted.mode)


def _wanted(event: KillSet, at_ns: int) -> KillStatus:
    return KillStatus(
        active=True,
        mode=event.mode,
        scope=event.scope,
        scope_key=_key(event),
        reason=_clean(event.reason),
        by=_clean(event.by),
        at_ns=at_ns,
    )


def _key(event: KillSet | KillReset) -> str:
    return "" if event.scope is Scope.ACCOUNT else _clean(event.scope_key)


def _clean(text: str) -> str:
    """The text as a file can hold it: valid Unicode, and not endless."""
    return text[:_TEXT_MAX].encode("utf-8", "replace").decode()


def _strongest(found: list[KillStatus]) -> Iterator[KillStatus]:
    """One entry for each scope, the account first: the first that was found, in the most severe mode of all."""
    order = list(Scope)
    places = sorted({(order.index(entry.scope), entry.scope_key) for entry in found})
    for rank, key in places:
        here = [entry for entry in found if (entry.scope, entry.scope_key) == (order[rank], key)]
        modes = [entry.mode for entry in here if entry.mode is not None]
        yield msgspec.structs.replace(here[0], mode=max(modes))


def _unreadable(why: str) -> KillStatus:
    return KillStatus(active=True, mode=KillMode.REDUCE_ONLY, reason=f"unreadable: {why}"[:_TEXT_MAX], by=UNREADABLE)


def _file_name(scope: Scope, key: str) -> str:
    return f"{scope}.json" if scope is Scope.ACCOUNT else f"{scope}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _encode(entry: KillStatus) -> bytes:
    mode = entry.mode.name.lower() if entry.mode is not None else ""
    record = _Record(mode, entry.scope, entry.scope_key, entry.reason, entry.by, entry.at_ns)
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _taken(directory: int) -> bool:
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
