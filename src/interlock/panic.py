"""
`interlock panic`: out of everything, with nothing alive but the venue.

It knows the venue's port, the name of the state directory and the kill sentinel; engine, policy, ledger and bus may be
dead, or alive and doing the same: every order here can only reduce, so that two at it do not harm each other. It believes
nothing but what the venue says, and says at the end what is left.
"""

import asyncio
import secrets
import tomllib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Annotated, Final, NoReturn

import msgspec
import typer

from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.venue import Venue, VenueRejected, VenueUnreachable
from interlock.core.codes import KillMode
from interlock.core.errors import InterlockError
from interlock.service.clock import SystemClock
from interlock.service.execution.budget import Budget, RateLimits
from interlock.service.execution.direct import DirectClose, Manner, close_directly, side_word
from interlock.service.execution.line import Line, Patience
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch, LatchUnwritable

FLAT: Final = 0
SOMETHING_LEFT: Final = 1
MISTAKE: Final = 2
UNKNOWN: Final = 3

CALL_S: Final = 5.0
"""How long the venue may take for one call."""

SENTINEL_S: Final = 2.0
PAUSE_S: Final = 0.2
"""Before it is tried again the first time; it doubles from there."""

CLOCK: Final = SystemClock()


class VenueUnsupported(InterlockError):
    """The home's venue cannot be opened from here; close the positions at the venue itself."""


async def close_everything(venue: Venue, limit_s: float, say: Callable[[str], None]) -> DirectClose:
    """
    Nothing is held at the venue and no order of anybody rests there, or the time is over; returns what is left.

    Stops stay until their position is gone.
    """
    manner = Manner(lambda: f"panic-{secrets.token_hex(8)}", lambda _order: True, say)
    return await close_directly(line_to(venue), CLOCK, manner, timeout_s=limit_s)


def line_to(venue: Venue) -> Line:
    """Calls to the venue, each of which ends in time; nobody else's are counted with them."""
    return Line(venue, Budget(RateLimits(), CLOCK.mono_ns), Patience(answer_s=CALL_S, retry_first_s=PAUSE_S))


# ---------------------------------------------------------------- the home


def open_venue(home: Home) -> Venue:
    """
    The venue of the home, as its runtime.toml names it; the paper account that lies there if that cannot be read.

    Raises:
        VenueUnsupported: it is another than these.
        InterlockError: it cannot be opened.
    """
    try:
        named = tomllib.loads(home.runtime.read_text(encoding="utf-8")).get("venue", PaperExchange.name)
    except (OSError, ValueError):
        named = PaperExchange.name
    if named != PaperExchange.name:
        raise VenueUnsupported(f"venue {named!r} cannot be opened from here: close the positions at the venue itself")
    return PaperExchange.open(home.paper)


def _stop_openings(home: Home, reason: str, say: Callable[[str], None]) -> None:
    """The sentinel stands, if the disk takes it within two seconds; no exit waits longer."""

    def place() -> None:
        try:
            KillLatch(home).place_sentinel(KillMode.FLATTEN, reason)
        except LatchUnwritable as error:
            said.append(str(error))
        else:
            said.append(f"{home.sentinel} stands: nothing opens until it is removed")

    said: list[str] = []
    thread = Thread(target=place, name="sentinel", daemon=True)
    thread.start()
    thread.join(SENTINEL_S)
    say(said[0] if said else f"{home.sentinel}: the disk does not answer; going on without")


async def _panic(home: Home, limit_s: float, say: Callable[[str], None]) -> DirectClose:
    venue = open_venue(home)
    try:
        return await close_everything(venue, limit_s, say)
    finally:
        with suppress(VenueRejected, VenueUnreachable):
            await line_to(venue).act(venue.close(), 0)


# ---------------------------------------------------------------- the command


def panic(
    *,
    home: Annotated[Path | None, typer.Option(help="The gateway's state directory; $INTERLOCK_HOME by default.")] = None,
    seconds: Annotated[float, typer.Option(help="Give up after so many seconds and say what is left.", min=1.0)] = 60.0,
    reason: Annotated[str, typer.Option(help="Why; it is written into the file KILL.")] = "panic",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """
    Close everything at the venue, now, whether or not anything of the gateway is alive.

    Puts down the file KILL first, so that nothing opens; then cancels openings and closes every position with orders
    that can only reduce, again and again until the venue says that nothing is held and nothing rests.

    For example:

        interlock panic --home interlock-home
        interlock panic --home interlock-home --seconds 300 --json

    Exit codes: 0 all flat, 1 something is left, 2 no such home, 3 the venue does not answer: what is left is not known.
    """
    place = Home.find(home)
    if not place.path.is_dir():
        _end(f"there is no {place.path}: name the gateway's home with --home", MISTAKE)
    _stop_openings(place, reason, _say)
    try:
        left = asyncio.run(_panic(place, seconds, _say))
    except InterlockError as error:
        _end(str(error), UNKNOWN)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_told(left)), indent=2).decode())
    else:
        for line in _lines(left):
            typer.echo(line)
    raise typer.Exit(FLAT if left.flat else SOMETHING_LEFT if _is_known(left) else UNKNOWN)


def alone() -> None:
    """The process has ended with the exit code of `interlock panic`, and has imported nothing that it does not need."""
    app = typer.Typer(name="interlock", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    app.command()(panic)
    app.callback()(lambda: None)
    app()


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _end(line: str, code: int) -> NoReturn:
    typer.echo(f"error: {line}", err=True)
    raise typer.Exit(code)


def _is_known(left: DirectClose) -> bool:
    return left.left is not None and left.resting is not None


def _lines(left: DirectClose) -> Iterable[str]:
    if left.flat:
        yield "FLAT: the venue holds no position and no order of this account."
        return
    yield "NOT FLAT:" if _is_known(left) else "UNKNOWN: the venue did not say all of what it holds:"
    for position in left.left.positions if left.left is not None else ():
        yield f"  position  {position.symbol}  {position.steps} steps, entry {position.entry:g}"
    for order in left.resting or ():
        yield f"  order     {order.symbol}  {side_word(order.side)} {order.steps - order.filled_steps} steps"
    yield from (f"  problem   {problem}" for problem in left.problems)
    yield "Run it again, or close what is left at the venue itself."


def _told(left: DirectClose) -> dict[str, object]:
    positions = left.left.positions if left.left is not None else ()
    return {
        "flat": left.flat,
        "known": _is_known(left),
        "positions": [{"symbol": each.symbol, "steps": each.steps, "entry": each.entry} for each in positions],
        "orders": [
            {"symbol": each.symbol, "side": side_word(each.side), "steps": each.steps - each.filled_steps}
            for each in left.resting or ()
        ],
        "problems": left.problems,
    }
