"""`interlock check`: may this order go out, and why; nothing is recorded."""

from math import nan
from pathlib import Path
from time import time_ns
from typing import Annotated, Any, Final

import msgspec
import typer

from interlock.cli.output import OK, PROBLEMS, Mistake, failures, out, progress, read_instant, show_json
from interlock.cli.records import ledger_end, opened_ledger
from interlock.cli.show import show_explanation
from interlock.cli.situation import IntentDescribed, Situation, engine_in, read_described
from interlock.core.engine import Engine
from interlock.core.explain import Explanation, explain
from interlock.core.messages import Decision, Intent, PermitIssued, Step
from interlock.ledger.fold import fold
from interlock.policy.units import UnitInvalid, parse_measure

State = Annotated[
    Path,
    typer.Option(
        help="A ledger's directory, or a TOML or JSON file that describes the account.", exists=True, readable=True
    ),
]


LedgerOption = Annotated[Path | None, typer.Option(help="A ledger's directory.", exists=True, file_okay=False)]
StateOption = Annotated[
    Path | None, typer.Option(help="A file that describes the account, as for `interlock check`.", exists=True)
]
AtOption = Annotated[
    str | None, typer.Option(help="Instant of the question for these two: ISO 8601 or `now`; theirs by default.")
]


def check(
    state: State,
    intent: Annotated[
        Path | None,
        typer.Argument(help="TOML or JSON file with the order; or give it with the options.", exists=True, dir_okay=False),
    ] = None,
    *,
    symbol: Annotated[str | None, typer.Option(help="Symbol, such as BTCUSDT.")] = None,
    side: Annotated[str | None, typer.Option(help="buy or sell.")] = None,
    quantity: Annotated[float | None, typer.Option(help="Size in base units.")] = None,
    notional: Annotated[float | None, typer.Option(help="Size in account currency.")] = None,
    limit: Annotated[float | None, typer.Option(help="Limit price; without it a market order.")] = None,
    stop: Annotated[float | None, typer.Option(help="Stop price.")] = None,
    target: Annotated[float | None, typer.Option(help="Target price.")] = None,
    reduce_only: Annotated[bool | None, typer.Option("--reduce-only", help="Forbid any opening part.")] = None,
    partial: Annotated[str | None, typer.Option(help="What if less is allowed: refuse or scale.")] = None,
    source: Annotated[str | None, typer.Option(help="Who asks; the policy's only opener by default.")] = None,
    strategy: Annotated[str | None, typer.Option(help="For which strategy.")] = None,
    at: Annotated[
        str | None, typer.Option(help="Instant of the question: ISO 8601 or `now`; by default the state's own.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every guard and what it read.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """
    Say whether an order may go out, how large, and why. Nothing is recorded.

    The order comes from a file, from options, or from both (options win).

    For example:

        interlock check examples/intent.toml --state examples/state.toml
        interlock check --symbol BTCUSDT --side buy --quantity 0.1 --stop 59000 --state examples/state.toml
        interlock check --symbol BTCUSDT --side sell --quantity 1 --state ledger/ --json

    Exit codes: 0 allowed (all or in part), 1 denied, 2 bad input, 3 the ledger cannot be read.
    """
    given = {
        "symbol": symbol, "side": side, "quantity": quantity, "notional": notional, "limit_price": limit,
        "stop_price": stop, "target_price": target, "reduce_only": reduce_only, "partial": partial, "source": source,
        "strategy": strategy,
    }  # fmt: skip
    with failures():
        engine, at_ns = engine_at(state, at)
        wish = _described(intent, given).intent(engine.state.policy, at_ns)
        currency = engine.state.account.currency
        step, explanations = decided(engine, wish, at_ns)
        if as_json:
            show_json({"at_ns": at_ns, "decisions": step.outputs, "explanations": explanations})
        else:
            console = out()
            for explanation in explanations:
                show_explanation(console, explanation, currency, every=every)
            for permit in step.outputs:
                if isinstance(permit, PermitIssued) and permit.deferred is not None:
                    console.print(f"The rest, {permit.deferred.quantity:g}, is judged when this part has filled.")
    raise typer.Exit(OK if any(explanation.allowed for explanation in explanations) else PROBLEMS)


def decided(engine: Engine, intent: Intent, at_ns: int) -> tuple[Step, list[Explanation]]:
    """The engine's step for the intent, and an explanation of each of its decisions."""
    step = engine.step(intent, at_ns)
    state = engine.state
    index = state.names.symbol_index.get(intent.symbol)
    limits = state.account_limits() if index is None else state.limits(state.symbols[index])
    mine = [output for output in step.outputs if isinstance(output, Decision) and output.intent_id == intent.id]
    return step, [explain(decision, limits, at_ns=at_ns, currency=state.account.currency) for decision in mine]


def engine_at(state: Path, at: str | None) -> tuple[Engine, int]:
    """
    The engine in that situation, of a ledger's directory or a description, and the instant that is asked about.

    Raises:
        Mistake, InterlockError: the description or the instant cannot be meant.
        LedgerError: there is no ledger, or it cannot be read.
    """
    if not state.is_dir():
        engine, at_ns = engine_in(read_described(state, Situation), state.parent)
    else:
        directory = opened_ledger(state)
        with progress("folding", ledger_end(directory)) as bar:
            engine = fold(directory, progress=bar.at)
        at_ns = engine.state.account.now_ns
    if at is not None:
        at_ns = time_ns() if at == "now" else read_instant(at)
    return engine, at_ns


def stop_share(text: str) -> float:
    """
    How far from the mark the stops of assumed orders are, as a share of it; NaN for none.

    Raises:
        Mistake: it is no share of the mark.
    """
    if not text:
        return nan
    try:
        share = parse_measure(text, "frac").value
    except UnitInvalid as error:
        raise Mistake(f"--stop {text!r}: {error}") from error
    if not 0.0 < share < 1.0:
        raise Mistake(f"--stop {text!r}: write a share of the mark between 0 % and 100 %")
    return share


_CHOICES: Final = {"side": "buy or sell", "partial": "refuse or scale"}


def _described(path: Path | None, given: dict[str, Any]) -> IntentDescribed:
    """The order from the file, with the options laid over it."""
    options = {name: value for name, value in given.items() if value is not None}
    if path is None and not {"symbol", "side"} <= options.keys():
        raise Mistake("name the order: a file, or at least --symbol and --side")
    base = {} if path is None else msgspec.to_builtins(read_described(path, dict))
    try:
        described: IntentDescribed = msgspec.convert(base | options, IntentDescribed)
    except msgspec.ValidationError as error:
        told = next((f": write {words}" for field, words in _CHOICES.items() if f"$.{field}`" in str(error)), "")
        raise Mistake(f"{'the order' if path is None else path}: {error}{told}") from error
    return described
