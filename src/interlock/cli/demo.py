"""``interlock demo``: the gate in front of an example strategy, on real quotes or on the user's own."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from interlock.adapters.bars import SECOND_NS, Bars, read_bars
from interlock.cli.output import OK, PROBLEMS, Mistake, failures, ledger_directory, out, require_places
from interlock.demo import story
from interlock.demo.figures import Figures, figures
from interlock.demo.market import Market, Tape
from interlock.demo.plans import PARAMETERS, Plan, plans, with_other_exits
from interlock.demo.run import Progress as Told
from interlock.demo.run import run_with_others
from interlock.policy.windows import read_windows
from interlock.report import render

BUNDLED: Final = ("XAUUSD", "EURUSD")
ATTRIBUTION: Final = "sample data of QuantConnect LEAN (quotes by OANDA), Apache License 2.0, trimmed"
DAY_NS: Final = 86_400_000_000_000
OwnBars = Annotated[
    list[Path] | None,
    typer.Option(
        help="Your own bars: a .csv or .csv.gz for each symbol, with ts, open, high, low, close; bid and ask if known."
    ),
]
SPREAD: Final = re.compile(r"(\d+(?:\.\d+)?) ?bps", re.ASCII)


def demo(
    data: OwnBars = None,
    symbol: Annotated[
        list[str] | None, typer.Option(help="The symbol of each --data, if its file is not named so.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Your own policy instead of the demonstration's three.")] = None,
    calendar: Annotated[Path | None, typer.Option(help="A calendar file, as for `interlock calendar check`.")] = None,
    spread: Annotated[str | None, typer.Option(help='The spread of data without bid and ask, such as "2 bps".')] = None,
    start: Annotated[str | None, typer.Option("--from", help="The first day, such as 2013-01-01.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="The day after the last.")] = None,
    years: Annotated[float | None, typer.Option(help="Only the first years of the data.", min=0.01)] = None,
    out_path: Annotated[Path, typer.Option("--out", help="Where the report goes.")] = Path("interlock-demo.html"),
    keep: Annotated[Path | None, typer.Option(help="Keep the ledgers in this directory, new or empty.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results for machines, and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """
    Put the gate in front of an example strategy, and compare.

    The same intents run without a gate and behind each policy, on years of hourly gold and euro quotes or on your bars.
    The strategy only opens: the engine's rules leave, ungated a stop and a price channel. Each gated run writes a ledger,
    which is verified and decided again. A table and a report remain, with what other exits would have come to.

    For example:

        interlock demo
        interlock demo --years 1 --out year.html
        interlock demo --data BTCUSD.csv.gz --spread "5 bps" --policy policy.toml

    Exit codes: 0 done, 1 a ledger was not proven, 2 bad input, 3 a ledger could not be written or read.
    """
    with failures():
        bars = _bars(data or [], symbol or [])
        bar_s = bars[0][1].gaps.interval_ns / SECOND_NS
        symbols = [name for name, _, _ in bars]
        windows = None if calendar is None else read_windows(calendar, symbols)
        chosen = tuple(replace(plan, windows=windows) for plan in plans(symbols, policy, bar_s))
        others = with_other_exits(chosen[1], bar_s)
        currency = _currency(chosen)
        tape = Tape(
            [Market(name, each, _spread(name, each, spread), currency) for name, each, _ in bars],
            *_span(bars, start, end, years),
            PARAMETERS,
        )
        _check(tape, keep, out_path)
        with ledger_directory(keep) as directory, _progress(chosen, quiet=quiet or as_json) as told:
            outcomes, tried = run_with_others(tape, chosen, others, directory, told)
        found = figures(outcomes)
        left_otherwise = figures([outcomes[0], *tried])[1:]
        sources = [(f"Data {name}", source) for name, _, source in bars]
        page = render(story.report(tape, outcomes, found, left_otherwise, sources, currency))
        out_path.write_text(page, encoding="utf-8")
    proven = story.verdict(found).proven
    if as_json:
        typer.echo(json.dumps(_result(found, left_otherwise, out_path, proven=proven), indent=2))
    else:
        lines = [f"{name}: {source}" for name, _, source in bars]
        lines += [*story.silence(found, PARAMETERS.entry_bars), *story.proofs(found)]
        _show(found, currency, lines, out_path, keep)
    raise typer.Exit(OK if proven else PROBLEMS)


# ---------------------------------------------------------------- input


def _bars(data: Sequence[Path], symbols: Sequence[str]) -> list[tuple[str, Bars, str]]:
    """Symbol, bars and source of each file, the bundled ones where none is given."""
    if not data:
        folder = files("interlock.demo") / "data"
        bundled = [(name, read_bars(Path(str(folder / f"{name.lower()}_1h.csv.gz")))) for name in BUNDLED]
        return [(name, bars, f"{ATTRIBUTION}; {bars.gaps}") for name, bars in bundled]
    if symbols and len(symbols) != len(data):
        raise Mistake(f"{len(data)} --data and {len(symbols)} --symbol: give one symbol for each file, in order")
    names = [*symbols] or [_symbol(path) for path in data]
    if len({*names}) < len(names):
        raise Mistake(f"two files are of {', '.join(names)}: name each file's symbol with --symbol")
    read = [(name, read_bars(path)) for name, path in zip(names, data, strict=True)]
    if len({bars.gaps.interval_ns for _, bars in read}) > 1:
        told = ", ".join(f"{name}: {bars.gaps}" for name, bars in read)
        raise Mistake(f"the files have bars of different lengths ({told}): give bars of one length")
    return [(name, bars, f"{path}; {bars.gaps}") for (name, bars), path in zip(read, data, strict=True)]


def _symbol(path: Path) -> str:
    """The symbol that a file is named for: what stands before the first dot, underscore or dash, in capitals."""
    name = re.split(r"[._-]", path.name)[0].upper()
    if not name:
        raise Mistake(f"{path} is not named for a symbol: give --symbol")
    return name


def _spread(name: str, bars: Bars, spread: str | None) -> float | None:
    if bars.quoted:
        return None
    if spread is None:
        raise Mistake(f'{name}: the data have no columns bid and ask: state the spread, such as --spread "2 bps"')
    match = SPREAD.fullmatch(spread.strip())
    if match is None:
        raise Mistake(f'--spread {spread!r}: write it in basis points, such as "2 bps"')
    return float(match[1])


def _span(
    bars: Sequence[tuple[str, Bars, str]], start: str | None, end: str | None, years: float | None
) -> tuple[int, int]:
    start_ns = _instant("--from", start) if start else min(each.ts_ns[0] for _, each, _ in bars)
    end_ns = _instant("--to", end) if end else max(each.ts_ns[-1] for _, each, _ in bars) + 1
    if years is not None:
        end_ns = min(end_ns, start_ns + int(years * 365.25 * DAY_NS))
    return start_ns, end_ns


def _instant(option: str, text: str) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Mistake(f"{option} {text!r}: write a day such as 2013-01-01") from None
    return (day - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _currency(chosen: Sequence[Plan]) -> str:
    policy = chosen[-1].policy
    assert policy is not None, "the last run is behind a policy"
    return policy.leaves["account", "currency"].text


def _check(tape: Tape, keep: Path | None, out_path: Path) -> None:
    if not tape.moments:
        raise Mistake("no bar lies in the span: give another --from, --to or --years")
    require_places(keep, out_path)


# ---------------------------------------------------------------- output


@contextmanager
def _progress(chosen: Sequence[Plan], *, quiet: bool) -> Iterator[Callable[[Told], None]]:
    """A bar for each run and each proof; a proof's total is known when its run is over."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=quiet) as shown:
        tasks: dict[tuple[str, str], TaskID] = {
            (plan.name, "run"): shown.add_task(plan.name, total=None, unit="bars") for plan in chosen
        }

        def told(news: Told) -> None:
            key = (news.name, news.part)
            if key not in tasks:
                what, unit = ("", "bars") if news.part == "run" else (", decided again", "steps")
                tasks[key] = shown.add_task(f"{news.name}{what}", total=news.total, unit=unit)
            shown.update(tasks[key], completed=news.done, total=news.total)

        yield told


def _show(found: Sequence[Figures], currency: str, lines: Sequence[str], out_path: Path, keep: Path | None) -> None:
    console = out()
    table = Table(title="The same intents, with and without a gate", box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("", no_wrap=True)
    for each in found:
        table.add_column(each.name, justify="right", no_wrap=True, style="" if each.gated else "red")
    for row in story.rows(found, currency):
        table.add_row(row.label, *row.cells)
    console.print(table)
    for line in lines:
        console.print(line, soft_wrap=True)
    if keep is not None:
        console.print(f"Ledgers: {keep.absolute()}", soft_wrap=True)
    console.print(f"Report: {out_path.absolute()}", soft_wrap=True)


def _result(found: Sequence[Figures], tried: Sequence[Figures], out_path: Path, *, proven: bool) -> dict[str, object]:
    heads = "".join(each.proof.head for each in found if each.proof)
    digest = hashlib.sha256(heads.encode()).hexdigest()
    return {
        "proven": proven,
        "digest": digest,
        "report": str(out_path.absolute()),
        "runs": [_plain(each) for each in found],
        "other_exits": [_plain(each) for each in tried],
    }


def _plain(each: Figures) -> dict[str, object]:
    """A run's figures as JSON can carry them: what is not known is null."""
    return {name: None if value != value else value for name, value in asdict(each).items()}
