"""What the commands for a running gateway share: which one is meant, who asks, and how its silence ends a command."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from interlock.cli.output import PROBLEMS, UNREADABLE, Mistake, failures, show_json
from interlock.client import Client, CommandRefused, GatewayUnreachable, KeyUnreadable
from interlock.core.authority import OPERATOR
from interlock.core.codes import Scope
from interlock.service.desk.desk import BY_MAX, Question, Told
from interlock.service.home.home import Home, HomeMissing

TIMEOUT_S: Final = 10.0
KILL_S: Final = 3.0
"""After this the kill switch goes to the disk."""

UNREACHABLE: Final = UNREADABLE
"""Exit code where nothing is known of the gateway."""

HomeOption = Annotated[
    Path | None, typer.Option(help="The gateway's state directory; $INTERLOCK_HOME, else ./interlock-home by default.")
]
ByOption = Annotated[str | None, typer.Option(help="Who does it; your login name by default.")]


class Unconfirmed(Exception):
    """The gateway did not say that it was done; the message says what is known."""


@contextmanager
def asking() -> Iterator[None]:
    """What the gateway refuses ends the command with 1, its silence with 3; mistakes as everywhere with 2."""
    with failures():
        try:
            yield
        except CommandRefused as error:
            typer.echo(f"error: the gateway refused: {error}", err=True)
            raise typer.Exit(PROBLEMS) from None
        except (GatewayUnreachable, Unconfirmed) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(UNREACHABLE) from None


def found(home: Path | None) -> Home:
    """
    The home that is meant.

    Raises:
        HomeMissing: there is no such directory.
    """
    place = Home.find(home)
    if not place.path.is_dir():
        raise HomeMissing(
            f"there is no {place.path}: name the gateway's home with --home, or make one with `interlock init`"
        )
    return place


@contextmanager
def operator(home: Home, timeout_s: float | None = None) -> Iterator[Client]:
    """
    A client that may command, as long as the context lasts.

    Raises:
        GatewayUnreachable: the operator's key cannot be read, so nothing can be asked.
    """
    with asked_as(home, OPERATOR, timeout_s) as client:
        yield client


@contextmanager
def asked_as(home: Home, source: str, timeout_s: float | None = None) -> Iterator[Client]:
    """
    The source's client, as long as the context lasts.

    Raises:
        GatewayUnreachable: its key cannot be read, so nothing can be asked.
    """
    try:
        client = Client.connect(home.path, source=source, timeout_s=timeout_s or TIMEOUT_S)
    except KeyUnreadable as error:
        raise GatewayUnreachable(str(error)) from error
    with client:
        yield client


def told_by(home: Path | None, question: Question, unknown: str, *, as_json: bool) -> Told:
    """What the gateway says to an operator's question; UNKNOWN, and the end of the command, where it does not answer."""
    place = found(home)
    try:
        with operator(place) as gateway:
            return gateway.ask(question)
    except GatewayUnreachable as silence:
        if as_json:
            show_json({unknown.partition(":")[0].lower(): "UNKNOWN", "why": str(silence)})
        else:
            typer.echo(f"{unknown}\nWhy: {silence}")
        raise typer.Exit(UNREACHABLE) from None


def scoped(text: str) -> tuple[Scope, str]:
    """
    A scope as a person writes it: account, strategy:NAME or symbol:NAME.

    Raises:
        Mistake: it is none of these.
    """
    kind, _, key = text.partition(":")
    if kind == Scope.ACCOUNT and not key:
        return Scope.ACCOUNT, ""
    if kind in (Scope.STRATEGY, Scope.SYMBOL) and key:
        return Scope(kind), key
    raise Mistake(f"{text!r} is no scope: write account, strategy:NAME or symbol:NAME")


def scope_text(scope: Scope, key: str) -> str:
    """The scope as a person writes it."""
    return f"{scope}:{key}" if key else str(scope)


def who(by: str | None) -> str:
    """
    The name that goes on record.

    Raises:
        Mistake: there is none.
    """
    try:
        name = getpass.getuser() if by is None else by.strip()
    except (KeyError, OSError):
        name = ""
    if not name:
        raise Mistake("say who does it: --by NAME")
    return name[:BY_MAX]
