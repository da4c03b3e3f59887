"""``interlock replay``: an account's own trading history, as it was and behind a gate."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NoReturn
from zoneinfo import ZoneInfo

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from interlock.adapters.bars import Bars, read_bars
from interlock.adapters.history import History, Marks, read_history, read_marks
from interlock.cli.output import OK, PROBLEMS, Mistake, failures, ledger_directory, out, require_places
from interlock.policy import Policy, load_policy
from interlock.policy.windows import Windows, read_windows
from interlock.report import render
from interlock.study import tale
from interlock.study.comparison import Difference
from interlock.study.hindsight import Plan
from interlock.study.parties import fit
from interlock.study.past import Past
from interlock.study.past import past as past_of
from interlock.study.presets import preset_policy, without_exits
from interlock.study.run import Replay
from interlock.study.run import replay as walk_again

PRESET: Final = "crypto-futures@1"
SHOWN: Final = 5
"""Trades of either kind that the terminal shows; the report has more."""


class DecimalMark(StrEnum):
    """What stands before the digits of a fraction."""

    POINT = "point"
    COMMA = "comma"


def replay(
    trades: Annotated[Path, typer.Argument(help="Your fills or closed trades (.csv, .csv.gz).")],
    *,
    balance: Annotated[float | None, typer.Option(help="What the account began with.")] = None,
    currency: Annotated[str, typer.Option(help="The account's currency, if the file or the policy does not say.")] = "",
    policy: Annotated[Path | None, typer.Option(help="Your own policy; its universe must hold your symbols.")] = None,
    preset: Annotated[str, typer.Option(help="The preset to try where there is no --policy.")] = PRESET,
    calendar: Annotated[Path | None, typer.Option(help="A calendar file, as for `interlock calendar check`.")] = None,
    equity: Annotated[Path | None, typer.Option(help="What equity was (time, equity, balance), to check and show.")] = None,
    prices: Annotated[
        list[str] | None, typer.Option(help="Price bars between your fills, as SYMBOL=FILE; once for each symbol.")
    ] = None,
    multiplier: Annotated[
        list[str] | None, typer.Option(help="Worth of one price point and unit, as SYMBOL=100, or 100 for all.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="What a column means, as time=Date; fee= leaves a meaning out.")
    ] = None,
    zone: Annotated[str, typer.Option(help="The zone of instants that name none, and of the risk day.")] = "UTC",
    decimal: Annotated[DecimalMark | None, typer.Option(help="The decimal mark, where the file leaves it open.")] = None,
    review_days: Annotated[
        int, typer.Option(help="Days after which an operator releases a lock that waits for one; 0 never.", min=0)
    ] = 90,
    out_path: Annotated[Path, typer.Option("--out", help="Where the report goes.")] = Path("interlock-replay.html"),
    keep: Annotated[Path | None, typer.Option(help="Keep the ledger in this directory, new or empty.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results for machines, and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """
    Show what the gate would have done to your own trading history.

    Every opening in the file is asked for again at its time, price and quantity, in front of a policy's gate; every exit
    closes what is left to close. What was detected in the file is shown and can be corrected; a file that cannot be read
    exactly is refused with every problem. A table and a report remain. (To decide a ledger's records again, see
    `interlock ledger replay`.)

    For example:

        interlock replay my-trades.csv --balance 10000 --currency USDT
        interlock replay my-trades.csv --equity equity.csv --policy policy.toml
        interlock replay deals.csv --balance 5000 --zone Europe/Athens --multiplier XAUUSD=100 --preset layered
        interlock replay odd.csv --balance 5000 --map time=Date --map price=Fill_Px --json

    Exit codes: 0 done, 1 the ledger was not proven, 2 bad input, 3 the ledger could not be written or read.
    """
    with failures():
        clock, own = _zone(zone), None if policy is None else load_policy(policy)
        currency = currency.upper() or ("" if own is None else own.leaves["account", "currency"].text)
        mark = "" if decimal is None else decimal.value
        history = read_history(trades, zone=clock, currency=currency, columns=_pairs("--map", columns), decimal=mark)
        marks = None if equity is None else read_marks(equity, zone=clock, decimal=mark)
        past = past_of(history, _multipliers(history, multiplier), currency or history.currency)
        began = _balance(balance, marks, past)
        plan = Plan("gate", _policy(own, preset, past), zone, review_days, _windows(calendar, history))
        bars = {name: read_bars(Path(file)) for name, file in _pairs("--prices", prices).items()}
        _check(past, bars, keep, out_path)
        with ledger_directory(keep) as directory, _progress(quiet=quiet or as_json) as told:
            done = walk_again(past, began, plan, directory, bars=bars, marks=marks, told=told)
            out_path.write_text(render(tale.report(done, _sources(history, bars, equity, began, past))), encoding="utf-8")
    _end(done, history, out_path, keep, as_json=as_json)


# ---------------------------------------------------------------- input


def _pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    """The texts ``key=value`` by key."""
    found: dict[str, str] = {}
    for text in given or ():
        key, mark, value = text.partition("=")
        if not mark or not key:
            raise Mistake(f"{option} {text!r}: write it as NAME=VALUE")
        if key in found:
            raise Mistake(f"{option} names {key} twice: give it once")
        found[key] = value
    return found


def _windows(calendar: Path | None, history: History) -> Windows | None:
    return None if calendar is None else read_windows(calendar, history.symbols)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise Mistake(f"--zone {name!r} is no zone: write one such as UTC, Europe/Prague or Etc/GMT-3") from None


def _multipliers(history: History, given: Sequence[str] | None) -> dict[str, Decimal]:
    """The worth of a point by symbol: one number for all, or each its own."""
    alone = [text for text in given or () if "=" not in text]
    if alone and len(given or ()) > 1:
        raise Mistake(f"--multiplier {alone[0]} is for all symbols: give it alone, or each symbol its own")
    pairs = dict.fromkeys(history.symbols, alone[0]) if alone else _pairs("--multiplier", given)
    unknown = [symbol for symbol in pairs if symbol not in history.symbols]
    if unknown:
        raise Mistake(f"--multiplier names {', '.join(unknown)}: the file has {', '.join(history.symbols)}")
    found = {}
    for symbol, text in pairs.items():
        try:
            found[symbol] = Decimal(text)
        except InvalidOperation:
            found[symbol] = Decimal(0)
        if not 0 < found[symbol] < 10**12:
            raise Mistake(f"--multiplier {symbol}={text}: write what one point is worth, such as {symbol}=100")
    return found


def _balance(balance: float | None, marks: Marks | None, past: Past) -> float:
    if balance is not None:
        if not 0.0 < balance < 1e12:
            raise Mistake(f"--balance {balance:g}: write an amount above 0")
        return balance
    if marks is None:
        raise Mistake("what did the account begin with? Give --balance 10000, or its equity over time with --equity FILE")
    start_ns = past.orders[0].at_ns
    before = [index for index, at_ns in enumerate(marks.at_ns) if at_ns <= start_ns]
    if not before:
        raise Mistake("every equity mark is later than the first fill: give --balance, what the account began with")
    told, known = marks.equity[before[-1]], marks.balance[before[-1]]
    began = known if known == known else told
    if not began > 0.0:
        raise Mistake(f"the equity mark before the first fill is {began:g}: give --balance")
    return began


def _policy(own: Policy | None, preset: str, past: Past) -> Policy:
    symbols = [*past.contracts]
    if own is None:
        return preset_policy(preset, symbols, past.currency, stops_known=not past.openings_without_stop)
    written = own.leaves["account", "currency"].text
    if written != past.currency:
        raise Mistake(f"the policy is for an account in {written}, the history is in {past.currency}: they must agree")
    return without_exits(fit(own, symbols))


def _check(past: Past, bars: Mapping[str, Bars], keep: Path | None, out_path: Path) -> None:
    unknown = [symbol for symbol in bars if symbol not in past.contracts]
    if unknown:
        raise Mistake(f"--prices names {', '.join(unknown)}: the file has {', '.join(past.contracts)}")
    require_places(keep, out_path)


# ---------------------------------------------------------------- output


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each part of the work."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as shown:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done)

        yield told


def _mapping(history: History) -> str:
    return ", ".join(f"{key} = {column}" for key, column in history.columns)


def _sources(
    history: History, bars: Mapping[str, Bars], equity: Path | None, began: float, past: Past
) -> list[tuple[str, str]]:
    found = [("History", f"{history.path}; {'; '.join(history.notes)}"), ("Columns", _mapping(history))]
    found.append(("Balance at the beginning", f"{tale.money(began)} {past.currency}"))
    found += [(f"Prices {symbol}", str(each.gaps)) for symbol, each in bars.items()]
    return [*found, ("Equity marks", str(equity))] if equity is not None else found


def _end(done: Replay, history: History, out_path: Path, keep: Path | None, *, as_json: bool) -> NoReturn:
    proven = not done.comparison.proof.problems
    if as_json:
        typer.echo(json.dumps(_result(done, history, out_path, proven=proven), indent=2, allow_nan=False))
    else:
        _show(done, history, out_path, keep)
    raise typer.Exit(OK if proven else PROBLEMS)


def _show(done: Replay, history: History, out_path: Path, keep: Path | None) -> None:
    console, found, currency = out(), done.comparison, done.past.currency
    console.print(f"{history.path}: {'; '.join(history.notes)}", soft_wrap=True)
    console.print(f"Columns: {_mapping(history)} (correct with --map)", soft_wrap=True)
    table = Table(title=tale.TITLE, box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("", no_wrap=True)
    for curve in found.curves:
        table.add_column(curve.name, justify="right", no_wrap=True)
    for row in tale.rows(found, currency):
        table.add_row(row.label, *row.cells)
    console.print(table)
    _show_trades(console, f"Biggest saves, {currency}", found.biggest_saves)
    _show_trades(console, f"Biggest costs, {currency}", found.biggest_costs)
    for line in (*tale.remarks(done), tale.verdict(found).text):
        console.print(f"- {line}", soft_wrap=True)
    if keep is not None:
        console.print(f"Ledger: {(keep / done.plan.name).absolute()}", soft_wrap=True)
    console.print(f"Report: {out_path.absolute()}", soft_wrap=True)


def _show_trades(console: Console, title: str, rows: Sequence[Difference]) -> None:
    if not rows:
        return
    console.print(f"{title}:")
    for each in rows[:SHOWN]:
        gained = tale.signed(each.gained)
        console.print(f"{gained:>12}  {each.opened}  {each.symbol} {each.trade} (line {each.line})", soft_wrap=True)
        console.print(f"{'':12}  {each.why}", soft_wrap=True)


def _result(done: Replay, history: History, out_path: Path, *, proven: bool) -> dict[str, object]:
    return {
        "proven": proven,
        "report": str(out_path.absolute()),
        "currency": done.past.currency,
        "columns": dict(history.columns),
        "notes": [*history.notes, *tale.remarks(done)],
        "policy": {
            "version": done.plan.policy.leaves["policy_version",].text,
            "digest": done.plan.policy.digest,
        },
        "comparison": asdict(done.comparison),
    }
