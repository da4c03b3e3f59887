"""`interlock rebalance`: instructions for many symbols at once, decided as a whole by the running gateway."""

from pathlib import Path
from time import time_ns
from typing import Annotated
from uuid import uuid4

import typer
from rich.table import Table
from rich.text import Text

from interlock.adapters.instructions import read_instructions
from interlock.cli.gateway import UNREACHABLE, HomeOption, asked_as, asking, found
from interlock.cli.kill import JsonOption
from interlock.cli.output import OK, PROBLEMS, Mistake, out, show_json
from interlock.client import Instructed, PolicyView, Rebalance, Rebalanced
from interlock.core.authority import OPERATOR
from interlock.core.codes import Action, Code, Partial
from interlock.core.wording import measured, money
from interlock.service.home.home import Home


def rebalance(
    file: Annotated[Path, typer.Argument(help="The instructions (.csv or .json).", exists=True, dir_okay=False)],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask only: nothing is recorded, nothing leaves.")] = False,
    source: Annotated[str, typer.Option(help="Who asks; the home's only source that is no operator by default.")] = "",
    strategy: Annotated[str, typer.Option(help="For which strategy; the source's only one by default.")] = "",
    partial: Annotated[Partial, typer.Option(help="What if less is allowed: refuse or scale.")] = Partial.SCALE,
    name: Annotated[str, typer.Option("--id", help="Its id, so that it can be told again; a new one by default.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Take symbols to their targets: what reduces leaves first, what opens is judged by every rule, in the order of the file.

    The columns are symbol, action, target_weight, stop, target. OPEN and SCALE go to a share of equity ("25 %", "-0.1"),
    CLOSE closes whatever is held, VETO leaves the position alone. `run_id`, `strategy_id` and `regime_id` are recorded.
    What does not fit before reductions have filled waits: the gateway decides and executes it then. Told twice, nothing is
    opened or closed twice.

    For example:

        interlock rebalance targets.csv --dry-run
        interlock rebalance targets.csv --source trend-bot --strategy trend --home interlock-home
        interlock rebalance targets.json --id 2026-02-01 --json

    Exit codes: 0 all as instructed or waiting, 1 something was denied or cut, 2 bad input and nothing was told,
    3 the gateway does not answer: tell it again.
    """
    with asking():
        read_instructions(file)
        place = found(home)
        with asked_as(place, source or _only_source(place)) as client:
            view = client.policy()
            instructions = read_instructions(file, view.universe if view is not None else ())
            opens = any(each.action in (Action.OPEN, Action.SCALE) for each in instructions)
            whose = strategy or _only_strategy(view, client.source, opens=opens)
            wish = Rebalance(name or uuid4().hex, client.source, whose, instructions, partial, time_ns())
            told = client.decide_rebalance(wish) if dry_run else client.rebalance(wish)
        if as_json:
            show_json({"dry_run": dry_run, "rebalance": told})
        else:
            _show(told, dry_run=dry_run)
    if told.headline != Code.ALLOWED:
        raise typer.Exit(PROBLEMS if told.headline == Code.MALFORMED else UNREACHABLE)
    raise typer.Exit(OK if all(map(_is_as_instructed, told.answers)) else PROBLEMS)


def _is_as_instructed(answer: Instructed) -> bool:
    cut = any(each.granted_steps < each.requested_steps for each in answer.decisions)
    return answer.waits or (answer.headline == Code.ALLOWED and not cut)


# ---------------------------------------------------------------- who asks


def _only_source(home: Home) -> str:
    names = sorted(path.stem for path in home.sources.glob("*.key") if path.stem != OPERATOR)
    if len(names) != 1:
        raise Mistake(f"say who asks with --source: the home has keys of {', '.join(names) or 'nobody but operators'}")
    return names[0]


def _only_strategy(view: PolicyView | None, source: str, *, opens: bool) -> str:
    """The strategy that is meant; an operator who only closes needs none."""
    names = sorted({right.strategy for right in view.rights}) if view is not None else []
    if len(names) == 1:
        return names[0]
    if source == OPERATOR and not opens:
        return ""
    raise Mistake(
        f"say for which strategy with --strategy: the policy lets {source!r} act for {', '.join(names) or 'none'}"
    )


# ---------------------------------------------------------------- what is shown


def _show(told: Rebalanced, *, dry_run: bool) -> None:
    console = out()
    what = "Nothing was told; the answer would be" if dry_run else "Rebalance"
    console.print(Text(f"{what} {told.rebalance_id}: {told.headline}{f', {told.note}' if told.note else ''}"))
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for heading in ("Symbol", "Action", "Target", "Answer", "Quantity", "Why"):
        table.add_column(heading, overflow="fold")
    for each in told.answers:
        asked = each.instruction
        weight = "" if asked.target_weight != asked.target_weight else measured(asked.target_weight, "frac")
        quantity = f"{each.quantity:+.10g}" if each.quantity else ""
        table.add_row(*map(Text, (asked.symbol, asked.action, weight, _answer(each), quantity, _why(each))))
    if told.answers:
        console.print(table)
    if told.reductions:
        count = len(told.reductions)
        console.print(Text(f"What waits is decided when {count} reduction{'s are' if count > 1 else ' is'} filled."))


def _answer(answer: Instructed) -> str:
    if answer.waits and not answer.quantity:
        return "waits"
    if answer.headline == Code.ALLOWED and not answer.quantity:
        return "nothing to do"
    return answer.headline


def _why(answer: Instructed) -> str:
    """The note, and what each rule that wanted less allows."""
    limits = (
        f"{each.code} allows {money(each.allowance)}" if each.allowance > 0.0 else each.code
        for decision in answer.decisions
        for each in decision.objections
    )
    waits = ("decided again when reductions have filled",) if answer.waits else ()
    return "; ".join((*filter(None, (answer.note,)), *dict.fromkeys(limits), *waits))
