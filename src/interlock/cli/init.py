"""``interlock init``: a state directory with policy, keys and runtime.toml, from a few answers."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from interlock.cli.output import Mistake, failures, utc
from interlock.service.home.home import Home
from interlock.service.home.starter import STRATEGY, Choices, Style, is_balance, write_home

T = TypeVar("T")


class Place(StrEnum):
    """Where orders go."""

    PAPER = "paper"


def init(
    directory: Annotated[
        Path | None,
        typer.Argument(help="The state directory, new or empty; by default $INTERLOCK_HOME or ./interlock-home."),
    ] = None,
    *,
    account: Annotated[str | None, typer.Option(help="The account's name, in its ledger and orders.")] = None,
    venue: Annotated[Place | None, typer.Option(help="Where orders go.")] = None,
    balance: Annotated[float | None, typer.Option(help="What the paper account starts with, in USD.")] = None,
    style: Annotated[
        Style | None,
        typer.Option(help="careful: no leverage, a breaker that a person resets; balanced: 2.5 x in all, 2.5 % a day."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: what is not given is as proposed.")] = False,
) -> None:
    """
    Make the state directory of a gateway: policy, keys, runtime.toml.

    It asks for what is not given. Nothing is armed, and nothing that exists is overwritten.

    For example:

        interlock init
        interlock init state/paper --balance 25000 --style balanced --yes

    Exit codes: 0 made, 2 bad usage or something is there already.
    """
    proposed = Choices()
    with failures():
        home = Home.find(directory)
        choices = Choices(
            account=_answer(account, "Name of the account", proposed.account, str.strip, yes=yes),
            venue=_answer(venue, "Venue (paper)", Place.PAPER, Place, yes=yes),
            balance=_balance(_answer(balance, "Balance in USD", proposed.balance, _number, yes=yes)),
            style=_answer(style, "Style (careful, balanced)", proposed.style, Style, yes=yes),
        )
        now = datetime.now(UTC)
        policy = write_home(home, choices, now)
    shown = directory or home.path
    typer.echo(f"{shown}: {choices.venue} account {choices.account}, {choices.balance:,.2f} USD, {choices.style}")
    typer.echo(f"  runtime.toml  {choices.environment}, nothing armed")
    typer.echo(f"  policy.toml   {', '.join(policy.symbols)}, valid until {utc(policy.valid_until_ns)}")
    typer.echo(f"  keys/         the gateway's, and those of the sources {STRATEGY} and operator")
    typer.echo("Next:")
    typer.echo(f"  interlock policy show {shown}/policy.toml")
    typer.echo(f"  interlock run --home {shown}")
    typer.echo(f"  interlock status --safety --home {shown}")
    typer.echo(f"  touch {shown}/KILL         stops everything that opens, whatever else happens")


def _answer(given: T | None, question: str, proposed: T, read: Callable[[str], T], *, yes: bool) -> T:
    if given is not None:
        return given
    if yes:
        return proposed
    answer: T = typer.prompt(question, default=str(proposed), value_proc=lambda text: _read(read, str(text)))
    return answer


def _read(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text.strip()!r} is no answer to that") from None


def _number(text: str) -> float:
    amount = float(text.replace(",", ""))
    if not is_balance(amount):
        raise ValueError
    return amount


def _balance(amount: float) -> float:
    if not is_balance(amount):
        raise Mistake(f"an account does not start with {amount}: give 1 or more")
    return amount
