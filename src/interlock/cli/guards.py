"""`interlock guards`: every rule, what it proves, the numbers it takes, and how far it is used now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlock.cli.check import AtOption, LedgerOption, StateOption, engine_at, stop_share
from interlock.cli.gateway import HomeOption, asking, told_by
from interlock.cli.kill import JsonOption
from interlock.cli.output import Mistake, failures, out, plain, show_json
from interlock.cli.used import heading, show_standing, show_use
from interlock.core.codes import Code
from interlock.core.reasons import reason_of
from interlock.core.utilisation import Standing, Utilisation, utilisation
from interlock.policy import load_policy
from interlock.policy.rulebook import MEASURES, Rule, describe_rules, presets
from interlock.service.desk.desk import GetUtilisation

Standings = Mapping[tuple[str, str], Standing]


def guards(
    code: Annotated[str | None, typer.Argument(help="One rule in full, such as DAILY_LOSS.")] = None,
    *,
    policy: Annotated[
        Path | None, typer.Option(help="Show this policy's numbers, not those of the presets.", exists=True, dir_okay=False)
    ] = None,
    home: HomeOption = None,
    ledger: LedgerOption = None,
    state: StateOption = None,
    at: AtOption = None,
    stop: Annotated[str, typer.Option(help="How far from the mark the stops of the orders are that are assumed.")] = "2 %",
    as_json: JsonOption = False,
) -> None:
    """
    List every rule: what it proves or what fires it, its limits and their values, whether a policy may switch it off.

    With --home, --ledger or --state: how far each is used now, by that gateway, at that ledger's end, in that described
    account. Each guard is asked for the smallest order of every strategy, symbol and side, and the place is told where
    most is used. A limit that is used to 100 % stops openings.

    For example:

        interlock guards
        interlock guards DAILY_LOSS
        interlock guards --policy examples/policy.toml
        interlock guards --json
        interlock guards --state examples/state.toml
        interlock guards SYMBOL_EXPOSURE --state examples/state.toml
        interlock guards --home interlock-home --json

    Exit codes: 0 listed, 2 no such rule, bad input or no such home, 3 the gateway or the ledger does not answer.
    """
    if [home, ledger, state, policy].count(None) < 3:
        raise typer.BadParameter("name one of --policy, --home, --ledger and --state")
    with asking(), failures():
        shown = presets() if policy is None else {policy.name: load_policy(policy).leaves}
        rules = describe_rules(shown) if code is None else _named(code, describe_rules(shown))
        told = _used(home, ledger or state, at, stop_share(stop), as_json=as_json)
        if told is not None:
            _show_used(rules, told, whole=code is None, as_json=as_json)
        elif as_json:
            show_json(rules)
        elif code is not None:
            for rule in rules:
                _show_rule(out(), rule)
        else:
            _show_rules(out(), rules, list(shown))


def _named(code: str, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    found = tuple(rule for rule in rules if rule.code == code.upper())
    if found:
        return found
    reason = reason_of(Code(code.upper())) if code.upper() in Code.__members__ else None
    if reason is not None:
        raise Mistake(f"{reason.code} is no rule but a reason. {reason.says} Remedy: {reason.remedy}")
    raise Mistake(f"there is no rule {code!r}: `interlock guards` lists all")


# ---------------------------------------------------------------- how far they are used


def _used(home: Path | None, place: Path | None, at: str | None, stop_frac: float, *, as_json: bool) -> Utilisation | None:
    """How far the rules are used in the place that is named; None where none is."""
    if place is not None:
        engine, at_ns = engine_at(place, at)
        return utilisation(engine.state, at_ns, at_ns, stop_frac=stop_frac)
    if home is None:
        return None
    told = told_by(home, GetUtilisation(stop_frac), "Used: UNKNOWN", as_json=as_json)
    assert isinstance(told, Utilisation)
    return told


def _show_used(rules: tuple[Rule, ...], told: Utilisation, *, whole: bool, as_json: bool) -> None:
    standings: Standings = {(each.kind, each.code): each for each in told.standings}
    console = out()
    if as_json:
        show_json(_json_of(rules, told, standings))
    elif whole:
        show_use(console, told)
    else:
        console.print(Text(heading(told)))
        for rule in rules:
            console.print()
            _show_rule(console, rule, standings, told.currency)


def _json_of(rules: tuple[Rule, ...], told: Utilisation, standings: Standings) -> dict[str, Any]:
    """The rules, each with how far it is used as `now`, and what that was asked with."""
    asked = {name: getattr(told, name) for name in told.__struct_fields__ if name != "standings"}
    described = [{name: getattr(rule, name) for name in rule.__struct_fields__} for rule in rules]
    for rule, each in zip(rules, described, strict=True):
        each["now"] = plain(standings.get((rule.kind, rule.code)))
    return asked | {"rules": described}


# ---------------------------------------------------------------- what they are


def _show_rules(console: Console, rules: tuple[Rule, ...], shown: list[str]) -> None:
    numbers = " | ".join(name.partition("@")[0] for name in shown)
    for kind, title, when in (
        ("guard", "Guards: an opening order leaves only if all of them admit it", "Admits when"),
        ("trigger", "Triggers: what is proven broken locks", "Fires when"),
        ("exit", "The way out: rules about a position that is held", "Fires when"),
    ):
        table = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1), pad_edge=False, box=None)
        table.add_column("Code", no_wrap=True)
        table.add_column(when, ratio=3, overflow="fold")
        table.add_column(numbers, ratio=2, overflow="fold")
        for rule in rules:
            if rule.kind == kind:
                code = Text(rule.code + ("*" if rule.structural else ""))
                table.add_row(code, Text(rule.says), Text("\n".join(_values(rule, shown))))
        console.print(table)
        console.print()
    console.print("* structural: no policy can switch it off. `interlock guards CODE` shows a rule in full.")


def _values(rule: Rule, shown: list[str]) -> list[str]:
    """One line for each limit, its values side by side; off where nobody has the rule on."""
    if all(name in rule.off for name in shown):
        return ["off"]
    lines = [f"{limit.path.rpartition('.')[2]} {' | '.join(limit.values.values())}" for limit in rule.limits]
    if not lines and rule.off:
        return [" | ".join("off" if name in rule.off else "on" for name in shown)]
    return lines


def _show_rule(console: Console, rule: Rule, standings: Standings | None = None, currency: str = "") -> None:
    console.print(Text(f"{rule.code} ({rule.kind}{', structural' if rule.structural else ''})", style="bold"))
    console.print(Text(rule.says))
    grid = Table.grid(padding=(0, 2))
    rows = [("effect", rule.effect), ("facts", ", ".join(f"{fact.name} [{fact.unit}]" for fact in rule.facts))]
    rows += [("formula", rule.formula), ("use", f"{rule.measure}: {MEASURES[rule.measure]}"), ("remedy", rule.remedy)]
    rows += [(f"off in {name}", why) for name, why in rule.off.items() if standings is None]
    for name, text in rows:
        if text:
            grid.add_row(Text(name, style="dim"), Text(text))
    console.print(grid)
    for limit in rule.limits:
        tighter = {"lower": ", lower is stricter", "higher": ", higher is stricter", "neither": ""}[limit.tighter]
        console.print(Text(f"{limit.path}: {limit.of} [{limit.unit}{tighter}]"))
        if standings is None:
            console.print(Text("  " + ", ".join(f"{name}: {value}" for name, value in limit.values.items())))
    standing = None if standings is None else standings.get((rule.kind, rule.code))
    if standing is not None:
        show_standing(console, standing, currency)
    console.print()
