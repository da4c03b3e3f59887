"""`interlock policy`: look at policy files and presets, and say everything that is wrong with one."""

from pathlib import Path
from time import time_ns
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from interlock.cli.output import PROBLEMS, Mistake, failures, out, read_instant, show_json, utc
from interlock.policy import describe, describe_preset, load_policy, policy_problems, preset_list
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
def show(
    name: Annotated[str, typer.Argument(metavar="FILE", help="TOML or JSON, or the name of a preset, such as balanced.")],
    *,
    as_json: Json = False,
) -> None:
    """
    Show every number of a policy, its preset expanded, or of a preset: who set it, why, and which rule reads it.

    For example:

        interlock policy show examples/policy.toml
        interlock policy show balanced
        interlock policy show balanced --json

    Exit codes: 0 shown, 2 the policy is refused, or there is none.
    """
    with failures():
        if not Path(name).is_file():
            _show_preset(name, as_json=as_json)
            return
        policy = load_policy(Path(name))
        rows = describe(policy)
        if as_json:
            show_json({"digest": policy.digest, "valid_until_ns": policy.valid_until_ns, "leaves": rows})
            return
        console = out()
        console.print(_table(rows, Where="path", Says="written", From="from", Why="why"))
        console.print(Text(f"valid until {utc(policy.valid_until_ns)}, digest {policy.digest}"))


def _show_preset(name: str, *, as_json: bool) -> None:
    rows = describe_preset(name)
    if rows is None:
        known = ", ".join(str(row["extends"]) for row in preset_list())
        raise Mistake(f"there is no file and no preset {name!r}: name a policy file, or one of {known}")
    (head,) = (row for row in preset_list() if row["extends"] == rows[0]["from"])
    if as_json:
        show_json({"preset": head, "leaves": rows})
        return
    console = out()
    console.print(Text(f'extends = "{head["extends"]}"', style="bold"))
    console.print(Text(f"{head['title']}. Source: {head['source']}."))
    console.print(_table(rows, Where="path", Says="written", Why="why"))


def _table(rows: list[Row], **columns: str) -> Table:
    """The rows as a table, with what to show under each heading."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row, key)) for key in columns.values()))
    return table


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
    """The cell as text; of a rule that is off no more than that: why it is stands in a cell of its own."""
    cell = row.get(key)
    if isinstance(cell, list):
        return ", ".join(cell)
    text = "" if cell is None else str(cell)
    return "off" if key == "written" and text.startswith("off:") else text
