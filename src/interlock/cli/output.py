"""What all commands share: where they write, how JSON writes what it has no numbers for, how a failure ends."""

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from math import isfinite, isnan
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.errors import InterlockError, PolicyInvalid
from interlock.core.messages import Step
from interlock.ledger.errors import LedgerError

OK: Final = 0
PROBLEMS: Final = 1
MISTAKE: Final = 2
UNREADABLE: Final = 3

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Mistake(InterlockError):
    """What the user asked for cannot be meant; the message says what to write instead."""


def out() -> Console:
    """Standard output, as wide as the terminal, 80 columns where there is none."""
    return Console(highlight=False, soft_wrap=False)


@contextmanager
def failures() -> Iterator[None]:
    """A user's mistake ends the command with 2, a ledger that cannot be read with 3; both say so on standard error."""
    try:
        yield
    except PolicyInvalid as error:
        _end(MISTAKE, "the policy is refused", *error.problems)
    except InterlockError as error:
        _end(MISTAKE, str(error))
    except LedgerError as error:
        _end(UNREADABLE, str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _end(MISTAKE, f"{error.filename or 'writing'}: {error.strerror or error}")


def _end(code: int, *lines: str) -> NoReturn:
    first, *rest = lines
    typer.echo(f"error: {first}", err=True)
    for line in rest:
        typer.echo(f"  {line}", err=True)
    raise typer.Exit(code)


def require_places(keep: Path | None, out_path: Path) -> None:
    """
    The ledgers and the report can be written where the user wants them, over nothing that is there.

    Raises:
        Mistake: one of them cannot.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise Mistake(f"--keep {keep} is not an empty directory: name a new one, ledgers are never written over")
    if not out_path.parent.is_dir() or out_path.is_dir():
        raise Mistake(f"--out {out_path} cannot be written: name a file in a directory that exists")


@contextmanager
def ledger_directory(keep: Path | None) -> Iterator[Path]:
    """Where the ledgers go: the user's directory, or one that is gone afterwards."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="interlock-") as name:
        yield Path(name)


def plain(value: object) -> object:
    """
    The value as JSON can hold it: NaN and infinities as the strings "NaN", "Infinity", "-Infinity", bytes as base64.

    Structs become objects with their fields' names, messages with their kind as `type`.
    """
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        fields = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        return {"type": tag, **fields} if tag is not None else fields
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return msgspec.to_builtins(value)


def show_json(value: object) -> None:
    """The value is on standard output, as indented JSON."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def utc(at_ns: int) -> str:
    """The instant for people, to the millisecond; a lock without end is an operator's."""
    if at_ns == OPERATOR_NS:
        return "operator"
    moment = _EPOCH + timedelta(microseconds=at_ns // 1000)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def instant_ns(moment: datetime) -> int:
    """
    Nanoseconds since 1970, to the microsecond.

    Raises:
        Mistake: the instant does not say its offset from UTC.
    """
    if moment.tzinfo is None:
        raise Mistake(f"{moment.isoformat()} has no offset from UTC: write {moment.isoformat()}Z")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


def read_instant(text: str) -> int:
    """
    An instant as ISO 8601 with its offset, in nanoseconds since 1970.

    Raises:
        Mistake: it is none.
    """
    try:
        return instant_ns(datetime.fromisoformat(text))
    except ValueError:
        raise Mistake(f"{text!r} is no instant: write one such as 2026-01-31T12:00:00Z") from None


@contextmanager
def progress(what: str, total: int | None) -> Iterator["Bar"]:
    """A bar on standard error while the work lasts, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        yield Bar(shown, what, total)


class Bar:
    """A progress bar that is drawn a few times a second, however often it is moved."""

    def __init__(self, shown: Progress, what: str, total: int | None) -> None:
        self._shown = shown
        self._task = shown.add_task(what, total=total)

    def along(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The same steps; the bar moves with them."""
        for step in steps:
            self.at(step.seq)
            yield step

    def at(self, seq: int) -> None:
        """The work has come to this record."""
        if seq % 1000 == 0:
            self._shown.update(self._task, completed=seq)
