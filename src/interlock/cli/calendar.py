"""`interlock calendar`: check a calendar file, and show the windows that follow from it."""

from pathlib import Path
from time import time_ns
from typing import Annotated, Final, NamedTuple

import typer
from rich.table import Table
from rich.text import Text

from interlock.cli.output import PROBLEMS, failures, out, read_instant, show_json, utc
from interlock.core.constants import NS_PER_S
from interlock.policy import load_policy
from interlock.policy.windows import Fault, Kind, Windows, WindowsInvalid, read_windows

DAY_NS: Final = 86_400 * NS_PER_S

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="The calendar file: when nothing may be opened, nothing closed, nothing held.",
)

File = Annotated[Path, typer.Argument(help="The calendar file (.csv).", exists=True, dir_okay=False)]
PolicyOption = Annotated[
    Path | None, typer.Option("--policy", help="Whose symbols the file may name.", exists=True, dir_okay=False)
]
At = Annotated[str | None, typer.Option(help="As of this instant (ISO 8601); by default now.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def check(file: File, *, policy: PolicyOption = None, at: At = None, as_json: Json = False) -> None:
    """
    Say everything that is wrong with a calendar file: which line, which column, what was expected.

    A file whose `end` has passed is wrong, too: nothing is known any more, and rules that need it let nothing open.

    For example:

        interlock calendar check examples/calendar.csv
        interlock calendar check examples/calendar.csv --policy examples/policy.toml --json

    Exit codes: 0 sound, 1 problems found, 2 bad usage.
    """
    with failures():
        now_ns = time_ns() if at is None else read_instant(at)
        try:
            windows = read_windows(file, _symbols(policy))
            faults = _ended(windows, now_ns)
        except WindowsInvalid as error:
            windows, faults = None, error.problems
        if as_json:
            show_json([fault._asdict() for fault in faults])
        elif windows is not None and not faults:
            reach = "as far as anybody asks" if windows.end_ns is None else f"up to {utc(windows.end_ns)}"
            typer.echo(f"{file}: sound, {len(windows.rows)} rows, known {reach}")
        for fault in () if as_json else faults:
            typer.echo(str(fault))
    if faults:
        raise typer.Exit(PROBLEMS)


@app.command()
def show(
    file: File,
    *,
    policy: PolicyOption = None,
    symbol: Annotated[str | None, typer.Option(help="Only windows that concern it.")] = None,
    days: Annotated[int, typer.Option(help="How far to look ahead.", min=1, max=400)] = 14,
    at: At = None,
    as_json: Json = False,
) -> None:
    """
    Show the windows of the next days in UTC, each as often as it comes, and how far they are known.

    For example:

        interlock calendar show examples/calendar.csv
        interlock calendar show examples/calendar.csv --symbol XAUUSD --days 40 --json

    Exit codes: 0 shown, 2 the file is refused.
    """
    with failures():
        now_ns = time_ns() if at is None else read_instant(at)
        windows = read_windows(file, _symbols(policy))
        until_ns = now_ns + days * DAY_NS
        found = _coming(windows, symbol, now_ns, until_ns)
        known_ns = until_ns if windows.end_ns is None else min(until_ns, windows.end_ns)
        if as_json:
            show_json({"at_ns": now_ns, "known_until_ns": known_ns, "windows": [each._asdict() for each in found]})
            return
        table = Table(box=None, padding=(0, 1), pad_edge=False)
        for heading in ("From", "Until", "Kind", "Symbols", "What"):
            table.add_column(heading, overflow="fold")
        for each in found:
            names = " ".join(each.symbols) or "all"
            table.add_row(*map(Text, (utc(each.from_ns), utc(each.until_ns), each.kind, names, each.what)))
        console = out()
        console.print(table if found else "No window.")
        console.print(Text(f"known up to {utc(known_ns)}"))


def _symbols(policy: Path | None) -> tuple[str, ...]:
    return () if policy is None else load_policy(policy).symbols


def _ended(windows: Windows, now_ns: int) -> tuple[Fault, ...]:
    if windows.end_ns is None or now_ns < windows.end_ns:
        return ()
    expected = f"one after {utc(now_ns)}: write the dates of the time to come"
    return (Fault(0, "", f"its end, {utc(windows.end_ns)}", expected),)


class Coming(NamedTuple):
    """A window that is to come, or is there."""

    from_ns: int
    until_ns: int
    line: int
    kind: Kind
    symbols: tuple[str, ...]
    what: str


def _coming(windows: Windows, symbol: str | None, now_ns: int, until_ns: int) -> list[Coming]:
    """Each time that a row's window touches the span, in order."""
    return sorted(
        Coming(begins_ns, ends_ns, row.line, row.kind, row.symbols, row.what)
        for row in windows.rows
        if symbol is None or not row.symbols or symbol in row.symbols
        for begins_ns, ends_ns in row.occurrences(now_ns, until_ns)
    )
