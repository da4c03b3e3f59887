"""`interlock guards`: every rule, what it proves, and the numbers it takes from a policy or the presets."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlock.cli.output import Mistake, failures, out, show_json
from interlock.core.codes import Code
from interlock.core.reasons import reason_of
from interlock.policy import load_policy
from interlock.policy.rulebook import Rule, describe_rules, presets


def guards(
    code: Annotated[str | None, typer.Argument(help="One rule in full, such as DAILY_LOSS.")] = None,
    *,
    policy: Annotated[
        Path | None, typer.Option(help="Show this policy's numbers, not those of the presets.", exists=True, dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """
    List every guard and trigger: what it proves, its limits and their values, whether a policy may switch it off.

    For example:

        interlock guards
        interlock guards DAILY_LOSS
        interlock guards --policy examples/policy.toml
        interlock guards --json

    Exit codes: 0 listed, 2 no such rule, or the policy is refused.
    """
    with failures():
        shown = presets() if policy is None else {policy.name: load_policy(policy).leaves}
        rules = describe_rules(shown)
        if code is not None:
            rules = _named(code, rules)
        if as_json:
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


def _show_rules(console: Console, rules: tuple[Rule, ...], shown: list[str]) -> None:
    numbers = " | ".join(name.partition("@")[0] for name in shown)
    for kind, title, heading in (
        ("guard", "Guards: an opening order leaves only if all of them admit it", "Admits when"),
        ("trigger", "Triggers: what is proven broken locks", "Fires when"),
    ):
        table = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1), pad_edge=False, box=None)
        table.add_column("Code", no_wrap=True)
        table.add_column(heading, ratio=3, overflow="fold")
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


def _show_rule(console: Console, rule: Rule) -> None:
    console.print(Text(f"{rule.code} ({rule.kind}{', structural' if rule.structural else ''})", style="bold"))
    console.print(Text(rule.says))
    grid = Table.grid(padding=(0, 2))
    rows = [("effect", rule.effect), ("facts", ", ".join(f"{fact.name} [{fact.unit}]" for fact in rule.facts))]
    rows += [("formula", rule.formula), ("remedy", rule.remedy)]
    rows += [(f"off in {name}", why) for name, why in rule.off.items()]
    for name, text in rows:
        if text:
            grid.add_row(Text(name, style="dim"), Text(text))
    console.print(grid)
    for limit in rule.limits:
        tighter = {"lower": ", lower is stricter", "higher": ", higher is stricter", "neither": ""}[limit.tighter]
        console.print(Text(f"{limit.path}: {limit.of} [{limit.unit}{tighter}]"))
        console.print(Text("  " + ", ".join(f"{name}: {value}" for name, value in limit.values.items())))
    console.print()
