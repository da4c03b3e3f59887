"""`interlock exits`: how far each position is from each of its exits, and who acts on them."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.check import AtOption, LedgerOption, StateOption, engine_at
from interlock.cli.gateway import UNREACHABLE, HomeOption, asking, found, operator, who
from interlock.cli.kill import JsonOption
from interlock.cli.operate import NamedBy, say
from interlock.cli.output import Mistake, failures, out, progress, show_json, utc
from interlock.cli.records import ledger_end, opened_ledger
from interlock.cli.way_out import owner_text, show_comparison, show_exit
from interlock.client import GatewayUnreachable
from interlock.core.exits.explain import exit_owner, explain_exits
from interlock.ledger.steps import read_steps
from interlock.service.api import Exits
from interlock.service.desk.desk import NameOwner
from interlock.study.exits import compare_exits

app = typer.Typer(help="The way out: each rule with how far it is, who acts, and what another hand would have done.")


@app.command()
def explain(
    symbol: Annotated[
        str | None, typer.Argument(metavar="[POSITION]", help="The position's symbol; all positions without it.")
    ] = None,
    *,
    ledger: LedgerOption = None,
    state: StateOption = None,
    at: AtOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Say of each position how far its stop, each rung and each time limit are, and who acts on exits.

    Asked is the running gateway, or a ledger, or a described situation. Every rule is shown with what it reads now, where
    it acts, and for prices the move of the mark to there; K is shown with its components. What is not known is unknown.

    For example:

        interlock exits explain
        interlock exits explain BTCUSDT --home interlock-home
        interlock exits explain XAUUSD --ledger interlock-home/ledger --json
        interlock exits explain --state examples/state.toml

    Exit codes: 0 explained, 2 no such position or home, 3 the gateway or the ledger does not answer: nothing is known.
    """
    if [home, ledger, state].count(None) < 2:
        raise typer.BadParameter("name one of --home, --ledger and --state")
    with asking(), failures():
        told = _asked(home, as_json=as_json) if ledger is None and state is None else _recorded(ledger or state, at)
        shown = tuple(each for each in told.positions if symbol in (None, each.symbol))
        if symbol is not None and not shown:
            held = ", ".join(each.symbol for each in told.positions) or "nothing"
            raise Mistake(f"no position in {symbol} is held: what is held is {held}")
        if as_json:
            show_json({"at_ns": told.at_ns, "owner": told.owner, "positions": shown})
            return
        console = out()
        console.print(f"{utc(told.at_ns)}. Exits: {owner_text(told.owner)}.")
        for view in shown:
            show_exit(console, view)
        if not shown:
            console.print("No position.")


def _asked(home: Path | None, *, as_json: bool) -> Exits:
    place = found(home)
    try:
        with operator(place) as gateway:
            return gateway.exits()
    except GatewayUnreachable as silence:
        if as_json:
            show_json({"exits": "UNKNOWN", "why": str(silence)})
        else:
            typer.echo(f"Exits: UNKNOWN\nWhy: {silence}")
        raise typer.Exit(UNREACHABLE) from None


def _recorded(place: Path | None, at: str | None) -> Exits:
    assert place is not None
    engine, at_ns = engine_at(place, at)
    return Exits(at_ns, exit_owner(engine.state, at_ns), explain_exits(engine.state, at_ns))


@app.command()
def compare(
    symbol: Annotated[str | None, typer.Argument(help="Only its positions.")] = None,
    *,
    ledger: LedgerOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Compare the exits that were made with those that the built-in rules advised, on the same positions.

    Needs positions that were held while the policy's `exits.mode` was `advisory`. What was made is told at its fills, what
    was advised at the marks of its instants; both before fees. What the rules would still have held when a position ended
    counts at its last price. R is profit in units of the position's first risk.

    For example:

        interlock exits compare
        interlock exits compare BTCUSDT --home interlock-home
        interlock exits compare --ledger ledger/ --json

    Exit codes: 0 compared, 2 bad input or no such home, 3 the ledger cannot be read.
    """
    if home is not None and ledger is not None:
        raise typer.BadParameter("name --home or --ledger, not both")
    with failures():
        directory = opened_ledger(ledger or found(home).ledger)
        with progress("reading", ledger_end(directory)) as bar:
            told = compare_exits(bar.along(read_steps(directory)), symbol)
        if as_json:
            show_json(told)
        else:
            show_comparison(out(), told)


@app.command()
def owner(
    name: Annotated[str, typer.Argument(metavar="OWNER", help="The source, or `any` for everybody who may close.")],
    *,
    by: NamedBy,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Give exits to an owner, or back to one that was silent and succeeded by the built-in rules.

    It holds until the policy names another. An owner that stays silent is succeeded again.

    For example:

        interlock exits owner controller --by alice
        interlock exits owner any --by alice

    Exit codes: 0 done, 1 the gateway refused, 2 bad input, 3 the gateway does not answer: nothing is changed.
    """
    with asking():
        with operator(found(home)) as gateway:
            gateway.ask(NameOwner(name, who(by)))
        say(f"Exits belong to {name}.", {"owner": name}, as_json=as_json)
