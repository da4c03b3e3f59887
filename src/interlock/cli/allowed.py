"""`interlock allowed`: what a source may open now, what binds it, and until when."""

from math import floor
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from interlock.cli.check import AtOption, LedgerOption, StateOption, engine_at, stop_share
from interlock.cli.gateway import HomeOption, asking, told_by
from interlock.cli.kill import JsonOption
from interlock.cli.output import failures, out, show_json, utc
from interlock.core.codes import Code
from interlock.core.constants import NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.envelope import Envelope, Room, envelope
from interlock.core.messages import BUY
from interlock.core.wording import measured, money
from interlock.service.desk.desk import GetAllowed


def allowed(
    source: Annotated[str, typer.Argument(help="Who would open, as the policy names it.")],
    symbol: Annotated[str, typer.Argument(help="Only this one; the whole universe without it.")] = "",
    *,
    stop: Annotated[str, typer.Option(help='How far the orders\' stops are from the mark, such as "2 %".')] = "",
    ledger: LedgerOption = None,
    state: StateOption = None,
    at: AtOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Show for each symbol and side the largest order that a source may open now, what binds it, and until when.

    Asked is the running gateway, or a ledger, or a described situation. An order of that size passes, one step more gets
    the code that is shown. Nothing is reserved: each order changes what is left. None of it bounds a close: a side on
    which an order would close first says so, or that the source may not close. Without --stop the orders name none; where
    the policy wants one and has no model for it, nothing opens.

    For example:

        interlock allowed trend-bot --stop "2 %"
        interlock allowed trend-bot BTCUSDT --stop "1.5 %" --home interlock-home --json
        interlock allowed trend-bot --stop "2 %" --state examples/state.toml

    Exit codes: 0 told, 2 bad input or no such home, 3 the gateway or the ledger does not answer: nothing may open.
    """
    if [home, ledger, state].count(None) < 2:
        raise typer.BadParameter("name one of --home, --ledger and --state")
    with asking(), failures():
        stop_frac = stop_share(stop)
        place = ledger or state
        if place is None:
            question = GetAllowed(symbol, stop_frac, source)
            told = told_by(home, question, "Allowed: UNKNOWN, so nothing", as_json=as_json)
            assert isinstance(told, Envelope)
        else:
            engine, at_ns = engine_at(place, at)
            told = envelope(engine.state, at_ns, at_ns, source, symbol=symbol, stop_frac=stop_frac)
        if as_json:
            show_json(told)
        else:
            _show(told)


def _show(told: Envelope) -> None:
    console = out()
    stop = "no stop" if told.stop_frac != told.stop_frac else f"a stop {measured(told.stop_frac, 'frac')} away"
    console.print(Text(f"{utc(told.at_ns)}. What {told.source} may open, with {stop}:"))
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for heading in ("Strategy", "Symbol", "Side", "At most", "Quantity", "Binds", "For"):
        table.add_column(heading, overflow="fold")
    for room in told.rooms:
        side = "buy" if room.side == BUY else "sell"
        cells = (room.strategy, room.symbol, side, at_most(room.notional, told.currency), f"{room.quantity:.15g}")
        table.add_row(*map(Text, (*cells, *bound_text(room, told.at_ns))))
    console.print(table if told.rooms else "Nothing: the policy gives it no right to open.")


def at_most(notional: float, currency: str) -> str:
    """The amount in whole cents, rounded down: what is shown fits."""
    return money(floor(notional * CENTS) / CENTS, currency)


CENTS: Final = 100.0
_FOR_OPERATORS: Final = (Code.TRADING_REDUCING, Code.TRADING_HALTED, Code.SYMBOL_VETO, Code.DAILY_RISK_QUOTA)
"""What an operator ends where no time does: a lock, or a campaign whose slices are spent."""


def bound_text(room: Room, at_ns: int) -> tuple[str, str]:
    """What binds, and how long time alone leaves it so."""
    if room.closes:
        return "", f"closes {room.closes:.10g} first"
    if room.until_ns == OPERATOR_NS:
        locked = room.binds in _FOR_OPERATORS
        return room.binds, "until an operator" if locked else "until the facts change"
    return room.binds, measured((room.until_ns - at_ns) / NS_PER_S_FLOAT, "s")
