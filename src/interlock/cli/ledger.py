"""`interlock ledger`: verify the record, decide it again, export it, count what is in it."""

import sys
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from rich.table import Table
from rich.text import Text

from interlock.cli.output import PROBLEMS, UNREADABLE, Mistake, failures, out, plain, progress, show_json, utc
from interlock.cli.records import ledger_end, opened_ledger
from interlock.core.errors import ReplayDiverged
from interlock.core.locks import trading_state
from interlock.core.messages import SCHEMA, AccountOpened, Decision, LockChanged, Step
from interlock.ledger import Code, Record, to_csv, to_jsonl
from interlock.ledger import verify as verified
from interlock.ledger.fold import replay as replayed
from interlock.ledger.reader import read
from interlock.ledger.segment import segment_paths
from interlock.ledger.steps import DECISIONS, decode

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="Verify, replay, export and count the record of an account."
)

Directory = Annotated[Path, typer.Argument(help="The ledger's directory.", exists=True, file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Form(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command()
def verify(
    directory: Directory,
    *,
    key: Annotated[
        Path | None, typer.Option(help="The ledger's public key (Ed25519, PEM); without it signatures are not checked.")
    ] = None,
    anchor: Annotated[Path | None, typer.Option(help="The anchor file, to find a cut tail.")] = None,
    as_json: Json = False,
) -> None:
    """
    Compare every record with the chain, its signed heads and the anchor.

    For example:

        interlock ledger verify ledger/
        interlock ledger verify ledger/ --key ledger.pub.pem --anchor /mnt/other/anchor.jsonl

    Exit codes: 0 sound, 1 problems found, 2 bad usage, 3 unreadable or written by a newer version.
    """
    with failures():
        opened_ledger(directory)
        with progress("verifying", ledger_end(directory)) as bar:
            report = verified(directory, public_key=_public_key(key), anchor=anchor, progress=bar.at)
        problems = report.problems
        if as_json:
            show_json({**_report_row(report), "problems": [{**_row(each), "remedy": each.remedy} for each in problems]})
        else:
            for problem in problems:
                typer.echo(f"{problem.code} {_place(problem.seq, problem.segment)}{problem.what}: {problem.remedy}")
            typer.echo(_summary(report.records, report.pruned, report.vouched_seq, len(problems), signed=key is not None))
    if any(problem.code in (Code.SEGMENT_UNREADABLE, Code.TOO_NEW) for problem in problems):
        raise typer.Exit(UNREADABLE)
    if problems:
        raise typer.Exit(PROBLEMS)


def _report_row(report: msgspec.Struct) -> dict[str, object]:
    row = _row(report)
    head = getattr(report, "head", None)
    row["head"] = None if head is None else {"seq": head.seq, "hash": head.hash.hex()}
    return row


def _row(struct: msgspec.Struct) -> dict[str, object]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _place(seq: int | None, segment: str | None) -> str:
    where = ", ".join(text for text in (f"record {seq}" if seq is not None else "", segment or "") if text)
    return f"({where}): " if where else ""


def _summary(records: int, pruned: int, vouched_seq: int, problems: int, *, signed: bool) -> str:
    verdict = "sound" if not problems else f"{problems} problem{'s' if problems != 1 else ''}"
    emptied = f", {pruned:,} payloads emptied by retention" if pruned else ""
    signed_by = "signed with this key" if signed else "whose signatures were not checked (no --key)"
    return f"{verdict}: {records:,} records{emptied}; covered up to record {vouched_seq:,} by heads {signed_by}"


def _public_key(path: Path | None) -> Ed25519PublicKey | None:
    if path is None:
        return None
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise Mistake(f"{path} is no Ed25519 public key: write it as PEM, such as `openssl pkey -pubout` does")
    return key


@app.command()
def replay(directory: Directory, *, as_json: Json = False) -> None:
    """
    Decide every recorded step again, from the beginning, and compare to the byte.

    For example:

        interlock ledger replay ledger/
        interlock ledger replay ledger/ --json

    Exit codes: 0 the same, 1 a step came out differently, 2 bad usage, 3 unreadable, damaged or written by a newer version.
    """
    with failures():
        opened_ledger(directory)
        try:
            with progress("replaying", ledger_end(directory)) as bar:
                engine = replayed(directory, progress=bar.at)
        except ReplayDiverged as diverged:
            told = {"same": False, "seq": diverged.seq, "recorded": diverged.recorded, "decided": diverged.decided}
            if as_json:
                show_json(told)
            else:
                typer.echo(f"diverged: {diverged}")
            raise typer.Exit(PROBLEMS) from None
        a = engine.state.account
        told = {"same": True, "seq": a.seq, "equity": a.own_equity, "state": trading_state(engine.state).name}
        if as_json:
            show_json(told)
        else:
            typer.echo(f"the same: {a.seq:,} steps decided again, trading state {told['state']}")


@app.command()
def export(
    directory: Directory,
    *,
    form: Annotated[Form, typer.Option("--format", help="What to write.")] = Form.JSONL,
    to: Annotated[Path | None, typer.Option(help="File to write; by default standard output.")] = None,
    decisions: Annotated[bool, typer.Option("--decisions", help="Leave out steps that are nothing but prices.")] = False,
) -> None:
    """
    Write the record as JSON lines or CSV, with the names of all fields; NaN is the string "NaN".

    For example:

        interlock ledger export ledger/ > record.jsonl
        interlock ledger export ledger/ --decisions --format csv --to record.csv

    Exit codes: 0 written, 2 the file cannot be written, 3 unreadable or written by a newer version.
    """
    with failures():
        opened_ledger(directory)

        def records() -> Iterator[Record]:
            for record in read(directory, schema=SCHEMA):
                if not decisions or record.kind == DECISIONS:
                    bar.at(record.seq)
                    yield record

        with progress("exporting", ledger_end(directory)) as bar:
            lines = to_jsonl(records(), _named) if form is Form.JSONL else to_csv(records, _named)
            if to is None:
                sys.stdout.writelines(lines)
            else:
                with to.open("w", encoding="utf-8") as file:
                    file.writelines(lines)


_STEP = msgspec.msgpack.Decoder(Step)


def _named(payload: bytes) -> object:
    return plain(_STEP.decode(payload))


@app.command()
def stats(directory: Directory, *, as_json: Json = False) -> None:
    """
    Count what a ledger holds: steps, inputs, decisions by headline reason, locks, files.

    For example:

        interlock ledger stats ledger/
        interlock ledger stats ledger/ --json

    Exit codes: 0 counted, 2 bad usage, 3 unreadable, damaged or written by a newer version.
    """
    with failures():
        opened_ledger(directory)
        told = _counted(directory)
        if as_json:
            show_json(told)
            return
        console = out()
        grid = Table.grid(padding=(0, 2))
        for name, value in told.items():
            shown = value if not isinstance(value, Counter) else ", ".join(f"{key} {n:,}" for key, n in value.most_common())
            grid.add_row(Text(name.replace("_", " "), style="dim"), Text(str(shown)))
        console.print(grid)


def _counted(directory: Path) -> dict[str, object]:
    inputs, outputs, headlines, locks = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    account, first_ns, last_ns, emptied = "", 0, 0, 0
    with progress("counting", ledger_end(directory)) as bar:
        for record in read(directory, schema=SCHEMA):
            bar.at(record.seq)
            first_ns, last_ns = first_ns or record.at_ns, record.at_ns
            if record.payload is None:
                emptied += 1
                continue
            step = decode(record)
            inputs[type(step.input).__name__] += 1
            if isinstance(step.input, AccountOpened):
                account = f"{step.input.account} ({step.input.kind}, {step.input.currency})"
            outputs.update(type(output).__name__ for output in step.outputs)
            headlines.update(output.headline.value for output in step.outputs if isinstance(output, Decision))
            locks.update(each.code.value for each in step.outputs if isinstance(each, LockChanged) and each.until_ns)
    paths = segment_paths(directory)
    return {
        "account": account,
        "steps": inputs.total() + emptied,
        "emptied_by_retention": emptied,
        "from": utc(first_ns),
        "to": utc(last_ns),
        "files": len(paths),
        "bytes": sum(path.stat().st_size for path in paths),
        "inputs": inputs,
        "outputs": outputs,
        "decisions_by_reason": headlines,
        "locks": locks,
    }
