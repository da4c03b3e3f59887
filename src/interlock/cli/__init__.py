"""The command line: one thin module per command group, no decisions of its own."""

from importlib.metadata import version
from typing import Annotated

import typer

from interlock.cli.demo import demo

app = typer.Typer(name="interlock", no_args_is_help=True, add_completion=False)


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


app.command()(demo)


def main() -> None:
    """The process has ended with the exit code of the command that was asked for."""
    app()
