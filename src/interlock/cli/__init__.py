"""The command line: one thin module per command group, no decisions of its own."""

from importlib.metadata import version
from typing import Annotated

import typer

from interlock.cli import calendar, exits, ledger, policy
from interlock.cli.allowed import allowed
from interlock.cli.check import check
from interlock.cli.demo import demo
from interlock.cli.explain import explain
from interlock.cli.guards import guards
from interlock.cli.init import init
from interlock.cli.kill import flatten, kill, reset
from interlock.cli.operate import adopt, close, rebase, release
from interlock.cli.rebalance import rebalance
from interlock.cli.replay import replay
from interlock.cli.run import run
from interlock.cli.schema import schema
from interlock.cli.status import status
from interlock.panic import panic

app = typer.Typer(
    name="interlock",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(demo)
app.command()(run)
app.command()(replay)
app.command()(init)
app.command()(check)
app.command()(allowed)
app.command()(rebalance)
app.command()(explain)
app.command()(guards)
app.add_typer(exits.app, name="exits")
app.add_typer(policy.app, name="policy")
app.add_typer(calendar.app, name="calendar")
app.add_typer(ledger.app, name="ledger")
app.command()(schema)
app.command()(status)
app.command()(kill)
app.command()(reset)
app.command()(flatten)
app.command()(close)
app.command()(adopt)
app.command()(release)
app.command()(rebase)
app.command()(panic)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"interlock {version('interlock')}")
        raise typer.Exit


@app.callback()
def interlock(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """The gate between whatever decides to trade and the venue."""


def main() -> None:
    """The process has ended with the exit code of the command that was asked for."""
    app()
