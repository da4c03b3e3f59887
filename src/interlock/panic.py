"""
`interlock panic`: out of everything, with nothing alive but the venue.

It knows the venue's port, the name of the state directory and the kill sentinel; engine, policy, ledger and bus may be
dead, or alive and doing the same: every order here can only reduce, so that two at it do not harm each other. It believes
nothing but what the venue says, and says at the end what is left.
"""

import asyncio
import secrets
import tomllib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Annotated, Final, NoReturn, TypeVar

import msgspec
import typer

from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.venue import OrderReport, Venue, VenueOrder, VenueRejected, VenueUnreachable
from interlock.core.codes import KillMode
from interlock.core.errors import InterlockError
from interlock.core.messages import PositionAt
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch, LatchUnwritable

FLAT: Final = 0
SOMETHING_LEFT: Final = 1
MISTAKE: Final = 2
UNKNOWN: Final = 3

CALL_S: Final = 5.0
"""How long the venue may take for one call."""

SENTINEL_S: Final = 2.0
PAUSE_S_MIN: Final = 0.2
PAUSE_S_MAX: Final = 5.0

T = TypeVar("T")


class VenueUnsupported(InterlockError):
    """The home's venue cannot be opened from here; close the positions at the venue itself."""


@dataclass
class Left:
    """What the venue still holds as of the last look; `is_known` where it answered all that was asked."""

    positions: tuple[PositionAt, ...] = ()
    orders: tuple[OrderReport, ...] = ()
    is_known: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def is_flat(self) -> bool:
        """Whether the venue says that nothing is held and nothing rests."""
        return self.is_known and not self.positions and not self.orders


async def close_everything(venue: Venue, limit_s: float, say: Callable[[str], None]) -> Left:
    """
    Nothing is held at the venue and no order rests there, or the time is over; returns what is left.

    Openings are cancelled and positions closed side by side, each symbol by itself, so that none waits for another.
    Resting closes (stops) stay until their position is gone.
    """
    until_s = monotonic() + limit_s
    pause_s = PAUSE_S_MIN
    while True:
        before = await _look(venue)
        if before.is_flat:
            return before
        problems = await _act(venue, before, say)
        left = await _look(venue)
        left.problems += problems
        if left.is_flat or monotonic() >= until_s:
            return left
        for problem in left.problems:
            say(problem)
        await asyncio.sleep(min(pause_s, max(0.0, until_s - monotonic())))
        pause_s = min(2.0 * pause_s, PAUSE_S_MAX)


async def _look(venue: Venue) -> Left:
    """What the venue says that it holds; what it does not answer is a problem."""
    problems: list[str] = []
    positions, orders = await asyncio.gather(
        _answer("positions", venue.positions(), problems), _answer("open orders", venue.open_orders(), problems)
    )
    return Left(
        positions=positions.positions if positions is not None else (),
        orders=orders.orders if orders is not None else (),
        is_known=positions is not None and orders is not None,
        problems=problems,
    )


async def _act(venue: Venue, held: Left, say: Callable[[str], None]) -> list[str]:
    """One attempt at everything that is held; returns what went wrong."""
    problems: list[str] = []
    at_risk = {position.symbol for position in held.positions}
    calls: list[Awaitable[object]] = []
    for position in held.positions:
        say(f"closing {position.symbol}: {position.steps} steps")
        name = f"panic-{secrets.token_hex(8)}"
        side = -1 if position.steps > 0 else 1
        order = VenueOrder(name, position.symbol, side, abs(position.steps), reduce_only=True)
        calls.append(_answer(f"close {position.symbol}", venue.place(order), problems))
    for each in held.orders:
        if not each.reduce_only or (held.is_known and each.symbol not in at_risk):
            say(f"cancelling {each.symbol}: {_side(each.side)} {each.steps - each.filled_steps} steps")
            calls.append(_answer(f"cancel {each.symbol}", venue.cancel(each.symbol, each.client_id), problems))
    await asyncio.gather(*calls)
    return problems


async def _answer(what: str, call: Awaitable[T], problems: list[str]) -> T | None:
    """What the venue answers; None, with a problem, where it does not or says no."""
    try:
        async with asyncio.timeout(CALL_S):
            return await call
    except TimeoutError:
        problems.append(f"{what}: no answer within {CALL_S:g} s")
    except VenueUnreachable as error:
        problems.append(f"{what}: {error}")
    except VenueRejected as error:
        if not error.benign:
            problems.append(f"{what}: the venue says no: {error.reason}")
    return None


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


async def _panic(home: Home, limit_s: float, say: Callable[[str], None]) -> Left:
    venue = open_venue(home)
    try:
        return await close_everything(venue, limit_s, say)
    finally:
        await _answer("close the connection", venue.close(), [])


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
    raise typer.Exit(FLAT if left.is_flat else SOMETHING_LEFT if left.is_known else UNKNOWN)


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


def _lines(left: Left) -> Iterable[str]:
    if left.is_flat:
        yield "FLAT: the venue holds no position and no order of this account."
        return
    yield "NOT FLAT:" if left.is_known else "UNKNOWN: the venue did not say all of what it holds:"
    yield from (f"  position  {each.symbol}  {each.steps} steps, entry {each.entry:g}" for each in left.positions)
    yield from (
        f"  order     {each.symbol}  {_side(each.side)} {each.steps - each.filled_steps} steps" for each in left.orders
    )
    yield from (f"  problem   {problem}" for problem in left.problems)
    yield "Run it again, or close what is left at the venue itself."


def _told(left: Left) -> dict[str, object]:
    return {
        "flat": left.is_flat,
        "known": left.is_known,
        "positions": [{"symbol": each.symbol, "steps": each.steps, "entry": each.entry} for each in left.positions],
        "orders": [
            {"symbol": each.symbol, "side": _side(each.side), "steps": each.steps - each.filled_steps}
            for each in left.orders
        ],
        "problems": left.problems,
    }


def _side(side: int) -> str:
    return "buy" if side > 0 else "sell"
