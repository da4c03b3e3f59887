"""`interlock policy`: look at policy files and presets, and say everything that is wrong with one."""

from pathlib import Path
from time import time_ns
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from interlock.cli.output import PROBLEMS, failures, out, read_instant, show_json, utc
from interlock.policy import describe, load_policy, policy_problems, preset_list
from interlock.policy.describe import Row

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="Check policy files, show what they say, list the presets."
)

File = Annotated[Path, typer.Argument(help="TOML or JSON.", exists=True, dir_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def check(
    file: File,
    *,
    at: Annotated[str | None, typer.Option(help="Judge its age at this instant (ISO 8601); by default now.")] = None,
    as_json: Json = False,
) -> None:
    """
    Say everything that keeps a policy from letting an order open: mistakes, a wrong digest, its age.

    For example:

        interlock policy check examples/policy.toml
        interlock policy check examples/policy.toml --at 2027-06-01T00:00:00Z --json

    Exit codes: 0 sound, 1 problems found, 2 bad usage.
    """
    with failures():
        now_ns = time_ns() if at is None else read_instant(at)
        problems = policy_problems(file, now_ns)
        if as_json:
            show_json([{**problem._asdict(), "path": list(problem.path)} for problem in problems])
        elif not problems:
            policy = load_policy(file)
            typer.echo(f"{file}: sound, {len(policy.symbols)} symbols, valid until {utc(policy.valid_until_ns)}")
            typer.echo(f"digest {policy.digest}")
        for problem in () if as_json else problems:
            typer.echo(str(problem))
    if problems:
        raise typer.Exit(PROBLEMS)


@app.command()
def show(file: File, *, as_json: Json = False) -> None:
    """
    Show every number of a policy, its preset expanded: who set it, why, and which rule reads it.

    For example:

        interlock policy show examples/policy.toml
        interlock policy show examples/policy.toml --json

    Exit codes: 0 shown, 2 the policy is refused.
    """
    with failures():
        policy = load_policy(file)
        rows = describe(policy)
        if as_json:
            show_json({"digest": policy.digest, "valid_until_ns": policy.valid_until_ns, "leaves": rows})
            return
        table = Table(box=None, padding=(0, 1), pad_edge=False)
        for heading in ("Where", "Says", "From", "Why"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(Text(_text(row, key)) for key in ("path", "written", "from", "why")))
        console = out()
        console.print(table)
        console.print(Text(f"valid until {utc(policy.valid_until_ns)}, digest {policy.digest}"))


@app.command()
def presets(*, as_json: Json = False) -> None:
    """
    List the presets that a policy can extend.

    For example:

        interlock policy presets
        interlock policy presets --json

    Exit codes: 0 listed.
    """
    rows = preset_list()
    if as_json:
        show_json(rows)
        return
    console = out()
    for row in rows:
        console.print(Text(f'extends = "{row["extends"]}"', style="bold"))
        grid = Table.grid(padding=(0, 2))
        for key in ("title", "source", "read_on", "evidence", "expires_after", "numbers", "off"):
            grid.add_row(Text(key.replace("_", " "), style="dim"), Text(_text(row, key)))
        console.print(grid)


def _text(row: Row, key: str) -> str:
    cell = row.get(key)
    if isinstance(cell, list):
        return ", ".join(cell)
    return "" if cell is None else str(cell)
