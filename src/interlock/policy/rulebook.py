"""
Every rule as data: what it proves, how it computes it, what it reads, what the presets say, what to do.

It is read off the rules themselves, their source included, so the command line and the documents cannot tell another
story than the code.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Final, Literal

import msgspec

from interlock.core.codes import Code
from interlock.core.facts import FACT_UNITS
from interlock.core.firing import UNMEASURED
from interlock.core.guard import Guard
from interlock.core.guards import GUARDS
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE, Tighter, Unit
from interlock.core.reasons import EXITS, TRIGGERS, Reason
from interlock.core.utilisation import Measure, measure_of
from interlock.policy.layout import SLOTS
from interlock.policy.leaf import OFF, Leaf
from interlock.policy.load import preset_texts, read_preset
from interlock.policy.problems import Path, dotted

OWN: Final = "yours"
"""Stands where a preset leaves a number to the policy that extends it."""

_SLOT_OF: Final = {slot.name: slot for slot in SLOTS}


class FactRead(msgspec.Struct, frozen=True):
    """A fact that a guard looks at."""

    name: str
    unit: Unit


class LimitRead(msgspec.Struct, frozen=True):
    """A limit that a rule looks at: where a policy writes it, and what policies or presets give it, by their name."""

    name: str
    unit: Unit
    tighter: Tighter
    of: str
    path: str
    values: dict[str, str]


class Rule(msgspec.Struct, frozen=True):
    """
    One guard, trigger or rule of the way out.

    `off` gives, by policy or preset, the reason for which a rule is left off there. `formula` is the guard's source,
    where it is more than 0 it is the largest notional that may open; of the others `says` states the condition. `measure`
    is what can be said of the rule's use, a key of `MEASURES`.
    """

    code: Code
    kind: Literal["guard", "trigger", "exit"]
    says: str
    effect: str
    formula: str
    facts: tuple[FactRead, ...]
    limits: tuple[LimitRead, ...]
    structural: bool
    off: dict[str, str]
    remedy: str
    measure: Measure | Literal["position"]


MEASURES: Final[dict[Measure | Literal["position"], str]] = {
    "share": "the share of its limit that is used up already, without the order that asks",
    "order": "bounds each order by itself, so that nothing is used up: the largest that it lets pass",
    "condition": "holds or does not; where time or a fact decides, how far away that is",
    "position": "on each position by itself: `interlock exits` shows the distance",
}
"""What is said of how far a rule is used, by the class of the rule."""


def describe_rules(policies: Mapping[str, Mapping[Path, Leaf]] | None = None) -> tuple[Rule, ...]:
    """
    All guards in their order, then all triggers, then the way out.

    `policies` are the leaves of those whose values are shown, by name; without it, the presets of the package.
    """
    shown = presets() if policies is None else policies
    guards = [_guard(guard, shown) for guard in GUARDS]
    triggers = [_reason("trigger", reason, shown) for reason in TRIGGERS.values()]
    return (*guards, *triggers, *(_reason("exit", reason, shown) for reason in EXITS.values()))


@cache
def presets() -> Mapping[str, Mapping[Path, Leaf]]:
    """The leaves of the package's presets, by name and version."""
    return {name: read_preset(text) for name, text in preset_texts().items()}


def _guard(guard: Guard, policies: Mapping[str, Mapping[Path, Leaf]]) -> Rule:
    return Rule(
        guard.code,
        "guard",
        guard.says,
        "",
        formula(guard),
        tuple(FactRead(name, FACT_UNITS[name]) for name in guard.reads),
        tuple(_limit(name, guard.code, policies) for name in guard.limits),
        guard.structural,
        _off(guard.code, policies),
        guard.remedy,
        measure_of(guard),
    )


def _reason(kind: Literal["trigger", "exit"], reason: Reason, policies: Mapping[str, Mapping[Path, Leaf]]) -> Rule:
    return Rule(
        reason.code,
        kind,
        reason.says,
        reason.effect,
        "",
        (),
        tuple(_limit(name, reason.code, policies) for name in reason.limits),
        reason.code not in SWITCHABLE,
        _off(reason.code, policies),
        reason.remedy,
        "position" if kind == "exit" else "condition" if reason.code in UNMEASURED else "share",
    )


def formula(guard: Guard) -> str:
    """The guard's computation as source: one expression, or the statements that lead to it."""
    source = textwrap.dedent(inspect.getsource(guard.function))
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    lines = "\n".join(ast.unparse(statement) for statement in function.body[1:])
    return lines.removeprefix("return ") if len(function.body) == 2 else lines


def _limit(name: str, code: Code, policies: Mapping[str, Mapping[Path, Leaf]]) -> LimitRead:
    limit, slot = LIMIT_FIELDS[name], _SLOT_OF[name]
    values = {policy: _value(leaves, slot.path, code) for policy, leaves in policies.items()}
    return LimitRead(name, limit.unit, limit.tighter, limit.of, dotted(slot.path), values)


def _value(leaves: Mapping[Path, Leaf], path: Path, code: Code) -> str:
    if _off_reason(leaves, code) or (path[0] == "rules" and _off_reason(leaves, Code(path[1]))):
        return OFF
    leaf = leaves.get(path)
    return OWN if leaf is None else str(leaf.written)


def _off(code: Code, policies: Mapping[str, Mapping[Path, Leaf]]) -> dict[str, str]:
    return {name: why for name, leaves in policies.items() if (why := _off_reason(leaves, code))}


def _off_reason(leaves: Mapping[Path, Leaf], code: Code) -> str:
    leaf = leaves.get(("rules", code.value))
    written = leaf.written if leaf is not None and isinstance(leaf.written, str) else ""
    word, _, why = written.partition(":")
    return why.strip() if word == OFF else ""
