"""A policy and the presets as plain data, for people and programs to look at."""

from math import inf, isnan
from typing import TypeAlias

from interlock.policy.layout import SLOT_AT
from interlock.policy.leaf import OFF, Leaf
from interlock.policy.load import preset_named, preset_texts, read_preset
from interlock.policy.policy import Policy
from interlock.policy.problems import Path, dotted

Cell: TypeAlias = str | float | list[str] | None
Row: TypeAlias = dict[str, Cell]


def describe(policy: Policy) -> list[Row]:
    """
    One row for each leaf, in the policy's order, ready for JSON.

    `written` is the text of the file and `value` the number that the core reads ("inf" for no end, None where the leaf
    is no number) in `unit`; `tighter` is the stricter direction, `of` what the number is measured against, `rules` who
    reads it, `from` the preset or "file", `why` the written reason.
    """
    return [_row(path, leaf) for path, leaf in policy.leaves.items()]


def preset_list() -> list[Row]:
    """One row for each preset of the package: its head, how many numbers it gives and which rules it leaves off."""
    return [_preset_row(name, text) for name, text in preset_texts().items()]


def describe_preset(name: str) -> list[Row] | None:
    """
    One row for each leaf of the preset, as `describe` has them, each with its reason; None where there is no such preset.

    `name` may leave its version out.
    """
    full = preset_named(name)
    if full is None:
        return None
    leaves = read_preset(preset_texts()[full])
    return [{**_row(path, leaf), "from": full} for path, leaf in leaves.items() if path[0] != "preset"]


def _row(path: Path, leaf: Leaf) -> Row:
    account_path = path[2:] if path[0] == "universe" else path
    slot = SLOT_AT.get(("account", "margin_leverage") if account_path == ("margin_leverage",) else account_path)
    limit = slot.limit if slot else None
    return {
        "path": dotted(path),
        "written": list(leaf.written) if isinstance(leaf.written, tuple) else leaf.written,
        "value": _value(leaf),
        "unit": limit.unit if limit else leaf.unit,
        "tighter": limit.tighter if limit else None,
        "of": limit.of if limit else "",
        "rules": [rule.value for rule in limit.rules] if limit else _named_rule(account_path),
        "from": leaf.origin,
        "why": leaf.why or _off_reason(leaf),
    }


def _value(leaf: Leaf) -> Cell:
    if isnan(leaf.number):
        return None
    return "inf" if leaf.number == inf else leaf.number


def _named_rule(path: Path) -> list[str]:
    return [path[1]] if path[0] == "rules" else []


def _off_reason(leaf: Leaf) -> str:
    written = leaf.written if isinstance(leaf.written, str) else ""
    word, _, why = written.partition(":")
    return why.strip() if word == OFF else ""


def _preset_row(name: str, text: str) -> Row:
    leaves = read_preset(text)
    head: Row = {path[1]: leaf.text for path, leaf in leaves.items() if path[0] == "preset"}
    off = [path[1] for path, leaf in leaves.items() if path[0] == "rules" and len(path) == 2 and _off_reason(leaf)]
    return {**head, "extends": name, "numbers": sum(path in SLOT_AT for path in leaves), "off": off}
