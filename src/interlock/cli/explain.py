"""`interlock explain`: why a recorded decision came out as it did."""

from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from interlock.cli.gateway import HomeOption, found
from interlock.cli.output import Mistake, failures, out, progress, show_json, utc
from interlock.cli.records import Decided, decisions, ledger_end, opened_ledger
from interlock.cli.show import show_explanation
from interlock.core.codes import Code
from interlock.core.explain import explain as explained
from interlock.ledger.steps import read_steps

_FIRST_ID: Final = 1 << 40
"""Decision ids start here, step numbers stay below."""

_SHOWN_MAX: Final = 20


def explain(
    which: Annotated[
        int | None, typer.Argument(metavar="[DECISION|STEP]", help="A decision's id, or the number of its step.")
    ] = None,
    *,
    ledger: Annotated[Path | None, typer.Option(help="The ledger's directory.", exists=True, file_okay=False)] = None,
    home: HomeOption = None,
    last: Annotated[bool, typer.Option("--last", help="The last decision.")] = False,
    denied: Annotated[bool, typer.Option("--denied", help="Only denials; with --last the last one.")] = False,
    intent: Annotated[str | None, typer.Option(help="Every decision on the intent with this id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every guard and what it read.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of decisions with explanations.")] = False,
) -> None:
    """
    Explain a recorded decision: each guard's allowance, what bound, how far the others were, what to do.

    For example:

        interlock explain --last
        interlock explain --last --ledger ledger/
        interlock explain --last --denied --ledger ledger/
        interlock explain 1041 --ledger ledger/ --all
        interlock explain --intent rebalance-17 --ledger ledger/ --json

    Exit codes: 0 explained, 2 nothing such was decided, 3 the ledger cannot be read.
    """
    if home is not None and ledger is not None:
        raise typer.BadParameter("name --home or --ledger, not both")
    with failures():
        chosen = _choice(which, intent, last=last, denied=denied)
        directory = opened_ledger(ledger or found(home).ledger)
        with progress("reading", ledger_end(directory)) as bar:
            picked = _found(decisions(bar.along(read_steps(directory))), chosen, keep=1 if last else _SHOWN_MAX)
        if not picked:
            raise Mistake("no such decision is in this ledger; `interlock ledger stats` says what is")
        if as_json:
            show_json([_row(each) for each in picked])
            return
        console = out()
        for each in picked:
            console.rule(f"step {each.step.seq}, {utc(each.step.at_ns)}", align="left")
            explanation = explained(each.decision, each.limits, at_ns=each.step.at_ns, currency=each.currency)
            show_explanation(console, explanation, each.currency, every=every)


def _choice(which: int | None, intent: str | None, *, last: bool, denied: bool) -> Callable[[Decided], bool]:
    if [which is not None, intent is not None, last].count(True) != 1:
        raise Mistake("say which decision: its id or step, --intent ID, or --last")

    def chosen(each: Decided) -> bool:
        if denied and each.decision.headline == Code.ALLOWED:
            return False
        if which is not None:
            return which in ((each.decision.id,) if which >= _FIRST_ID else (each.step.seq,))
        return intent in (None, each.decision.intent_id)

    return chosen


def _found(decided: Iterable[Decided], chosen: Callable[[Decided], bool], keep: int) -> list[Decided]:
    """The newest of those that are chosen."""
    return list(deque(filter(chosen, decided), keep))


def _row(each: Decided) -> dict[str, object]:
    explanation = explained(each.decision, each.limits, at_ns=each.step.at_ns, currency=each.currency)
    return {"seq": each.step.seq, "at_ns": each.step.at_ns, "decision": each.decision, "explanation": explanation}
