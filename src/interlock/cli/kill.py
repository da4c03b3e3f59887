"""`interlock kill`, `reset`, `flatten`: what an operator does to a running gateway, and to one that does not answer."""

from time import time_ns
from typing import Annotated, NoReturn

import msgspec
import typer

from interlock.cli.gateway import (
    KILL_S,
    ByOption,
    HomeOption,
    Unconfirmed,
    asking,
    found,
    operator,
    scope_text,
    scoped,
    who,
)
from interlock.cli.output import Mistake, show_json
from interlock.client import CommandRefused, GatewayUnreachable
from interlock.core.codes import KillMode, Scope
from interlock.core.errors import InputInvalid
from interlock.core.messages import KillSet
from interlock.service.api import KillStatus
from interlock.service.desk.desk import TEXT_MAX, Flatten, Kill, Reset, Started
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch, LatchUnwritable

MODES = {mode.name.lower(): mode for mode in KillMode if mode is not KillMode.NONE}

ScopeOption = Annotated[str, typer.Option(metavar="SCOPE", help="account, strategy:NAME or symbol:NAME.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def kill(
    *,
    mode: Annotated[
        str,
        typer.Option(
            help="reduce_only: nothing opens, exits go on. flatten: and every position is closed. freeze: nothing leaves."
        ),
    ] = "reduce_only",
    scope: ScopeOption = "account",
    reason: Annotated[str, typer.Option(help="Why; it goes on record.")] = "thrown by hand",
    by: ByOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Throw the kill switch: no new risk in its scope until somebody resets it.

    Throwing it again does no harm, keeps the first reason and never weakens it. Where the gateway does not answer, the
    switch is thrown on the disk, where any gateway of this home finds it before its next opening; the exit code is then 3,
    because nobody has confirmed it.

    For example:

        interlock kill --reason "odd fills"
        interlock kill --mode flatten --reason "leaving" --by alice --home interlock-home
        interlock kill --scope strategy:trend --reason "repeats itself"

    Exit codes: 0 killed, 1 the gateway refused, 2 bad input, 3 thrown on the disk and not confirmed.
    """
    with asking():
        place, (kind, key) = found(home), scoped(scope)
        if mode not in MODES:
            raise Mistake(f"{mode!r} is no mode: write {', '.join(MODES)}")
        ask = Kill(MODES[mode], kind, key, reason[:TEXT_MAX], who(by))
        try:
            with operator(place, KILL_S) as gateway:
                told = gateway.ask(ask)
        except CommandRefused as error:
            if error.error == InputInvalid.__name__:
                raise
            _throw_on_disk(place, ask, error)
        except GatewayUnreachable as error:
            _throw_on_disk(place, ask, error)
        assert isinstance(told, KillStatus)
        _show_switch(told, as_json=as_json)


def reset(
    *,
    scope: ScopeOption = "account",
    by: Annotated[str, typer.Option(help="Who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why; it goes on record.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Reset the kill switch. Other locks stay; a file KILL has to be removed first.

    For example:

        interlock reset --by alice --reason "feed repaired"
        interlock reset --scope symbol:BTCUSDT --by alice

    Exit codes: 0 reset, 1 the gateway refused, 2 bad input, 3 the gateway does not answer: nothing is reset.
    """
    with asking():
        place, (kind, key) = found(home), scoped(scope)
        with operator(place) as gateway:
            told = gateway.ask(Reset(kind, key, who(by), reason[:TEXT_MAX]))
        assert isinstance(told, KillStatus)
        _show_switch(told, as_json=as_json)


def flatten(
    symbol: Annotated[str | None, typer.Argument(help="One symbol; every position without it.")] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; it goes on record.")] = "flattened by hand",
    by: ByOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Close a position, or all, until the venue confirms that it is flat. `interlock status` says how far it is.

    For example:

        interlock flatten BTCUSDT --reason "before the news"
        interlock flatten --by alice --reason "leaving"

    Exit codes: 0 started, 1 the gateway refused, 2 bad input, 3 the gateway does not answer: see `interlock panic`.
    """
    with asking():
        place = found(home)
        if symbol == "":
            raise Mistake("name the symbol, or leave it out to close every position")
        try:
            with operator(place) as gateway:
                told = gateway.ask(Flatten(symbol or "", reason[:TEXT_MAX], who(by)))
        except GatewayUnreachable as error:
            remedy = f"if it is dead, `interlock panic --home {place.path}` closes everything at the venue"
            raise Unconfirmed(f"{error}; {remedy}") from error
        assert isinstance(told, Started)
        show_started(told, as_json=as_json)


def show_started(told: Started, *, as_json: bool) -> None:
    """What an operator's close has set in motion is on standard output."""
    if as_json:
        show_json(told)
        return
    typer.echo(f"Closing {', '.join(told.symbols)}." if told.symbols else "There is nothing to close.")
    if told.direct:
        typer.echo("The engine is away: the orders went straight to the venue.")
    if told.note:
        typer.echo(told.note)


def _throw_on_disk(place: Home, ask: Kill, silence: Exception) -> NoReturn:
    """
    The switch is thrown where any gateway of this home looks.

    Raises:
        Unconfirmed: always; nobody has said that it was seen.
    """
    latch = KillLatch(place)
    thrown, failed = [], []
    try:
        latch.trigger(KillSet(ask.mode, ask.scope, ask.scope_key, ask.reason, ask.by), time_ns())
        thrown.append(str(place.latch))
    except LatchUnwritable as error:
        failed.append(str(error))
    try:
        if ask.scope is Scope.ACCOUNT:
            latch.place_sentinel(ask.mode, f"{ask.reason} (by {ask.by})")
            thrown.append(str(place.sentinel))
    except LatchUnwritable as error:
        failed.append(str(error))
    if thrown:
        failed.append(
            f"THROWN ON THE DISK, in {' and '.join(thrown)}: a gateway of this home opens nothing, now or once started"
        )
        failed.append("NOT CONFIRMED by any gateway; resting orders are not cancelled")
        failed.append("to reset it one day: start the gateway, remove KILL if it is there, interlock reset")
    else:
        failed.append("NOT KILLED: neither the gateway nor the disk took it")
    failed.append(f"to be out at the venue: interlock panic --home {place.path}")
    raise Unconfirmed("\n".join((str(silence), *failed)))


def _show_switch(switch: KillStatus, *, as_json: bool) -> None:
    if as_json:
        show_json(switch_told(switch))
    else:
        typer.echo(f"Kill Switch: {switch_text(switch)}")


def switch_told(switch: KillStatus) -> dict[str, object]:
    """The switch for a program, with the mode by its name."""
    mode = switch.mode.name.lower() if switch.mode is not None else None
    return msgspec.structs.asdict(switch) | {"mode": mode}


def switch_text(switch: KillStatus) -> str:
    """The switch in one line: "ACTIVE: reduce_only for account, by alice: bad feed", or "INACTIVE"."""
    if not switch.active:
        return "INACTIVE"
    mode = switch.mode.name.lower() if switch.mode is not None else "unknown mode"
    by = f", by {switch.by}" if switch.by else ""
    return f"ACTIVE: {mode} for {scope_text(switch.scope, switch.scope_key)}{by}: {switch.reason or 'no reason given'}"
