"""
The shape of a policy file, as pydantic models built from the layout: strict, and nothing in it that nobody reads.

```toml
policy_version = "2026-01"            # names the policy in every decision
extends = "crypto-futures@1"          # what it does not say, the preset says
created_at = 2026-01-31T12:00:00Z
valid_for = "90 d"
generator = { name = "by hand" }
account = { currency = "USDT" }
[universe]
BTCUSDT = { margin_leverage = "8 x", cluster = "majors" }
[sources]
trend-bot = { trend = ["open", "close"] }
[rules]
ORDER_NOTIONAL = { notional = "25000 USDT" }
DAILY_LOSS = { loss = { value = "2 %", why = "half of a bad week" } }
SPREAD_SPIKE = "off: the venue quotes no book"
```
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Annotated, Any, Final, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    create_model,
    model_validator,
)

from interlock.core.codes import Code, ExitMode
from interlock.core.ids import Symbol
from interlock.policy.layout import LABEL_RULES, LABELS, MARGIN_LEVERAGE_X_MAX, RULES, SLOTS, SYMBOL_RULES, slots_of
from interlock.policy.leaf import (
    Leaf,
    LeafInvalid,
    Leaves,
    Parse,
    Raw,
    choice,
    flag,
    instant,
    leverage,
    name,
    number,
    read_leaf,
    rights,
    switch,
    validity,
)
from interlock.policy.problems import Path, Problem

SWITCH: Final = "(switch)"
"""Where a rule's "on" or "off: why" stands while the file is read; outside, it stands at the rule itself."""

KILL_MODES: Final = ("reduce_only", "flatten")
"""Modes that a policy may make the default; freeze also stops exits, so only an operator chooses it."""


class Table(BaseModel):
    """
    A table of the file: unknown keys are refused, text is never taken for a number.

    Its validator is built when the first file is read: most processes read none.
    """

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True, defer_build=True)


class RuleTable(Table):
    """A rule: its numbers, or a word in place of the table."""

    @model_validator(mode="before")
    @classmethod
    def _switched(cls, raw: object) -> object:
        return {SWITCH: raw} if not isinstance(raw, dict) or "value" in raw else raw


def leaf(parse: Parse) -> Any:
    """The type of a leaf whose value `parse` reads."""
    return Annotated[Leaf, PlainValidator(partial(_read_leaf, parse))]


def _read_leaf(parse: Parse, raw: object, info: ValidationInfo) -> Leaf:
    return read_leaf(parse, raw, frozen=bool(info.context))


def _table(title: str, fields: Mapping[str, Any], base: type[Table] = Table) -> type[Table]:
    definitions: dict[str, Any] = {key: (kind, None) for key, kind in fields.items()}
    return create_model(title, __base__=base, **definitions)


def _numbers(group: str) -> dict[str, Any]:
    return {slot.path[1]: leaf(number(slot)) for slot in SLOTS if slot.path[0] == group}


def _rule(rule: Code) -> type[Table]:
    slots = slots_of(rule)
    fields: dict[str, Any] = {slot.path[2]: (leaf(number(slot)), None) for slot in slots}
    word = leaf(switch(rule, has_numbers=bool(slots)))
    return create_model(rule.value, __base__=RuleTable, switch=(word, Field(None, alias=SWITCH)), **fields)


def _rules(title: str, rules: Iterable[Code]) -> type[Table]:
    return _table(title, {rule.value: _rule(rule) for rule in rules})


_Symbol = _table(
    "Symbol",
    {
        "margin_leverage": leaf(leverage(MARGIN_LEVERAGE_X_MAX)),
        "cluster": leaf(name),
        "benchmark": leaf(flag),
        "sizing": _table("SymbolSizing", _numbers("sizing")),
        "rules": _rules("SymbolRules", SYMBOL_RULES),
    },
)

_Regime = _table("Regime", {"rules": _rules("RegimeRules", LABEL_RULES), "score": _table("RegimeScore", _numbers("score"))})

_Generator = _table("Generator", {"name": leaf(name), "inputs": dict[str, leaf(name)]})  # type: ignore[misc]

_PresetHead = _table(
    "PresetHead",
    {key: leaf(name) for key in ("name", "version", "title", "source", "read_on", "evidence", "expires_after", "why")},
)

PolicyFile = _table(
    "PolicyFile",
    {
        "preset": _PresetHead,
        "policy_version": leaf(name),
        "extends": leaf(name),
        "expanded_from": leaf(name),
        "created_at": leaf(instant),
        "published_at": leaf(instant),
        "valid_for": leaf(validity),
        "digest": leaf(name),
        "generator": _Generator,
        "account": _table("Account", {"currency": leaf(name), **_numbers("account")}),
        "universe": dict[Symbol, _Symbol],  # type: ignore[valid-type]
        "sources": dict[str, dict[str, leaf(rights)]],  # type: ignore[misc]
        "rules": _rules("Rules", RULES),
        "proof": _table("Proof", _numbers("proof")),
        "breaker": _table("Breaker", _numbers("breaker")),
        "exits": _table("Exits", {"owner": leaf(name), "mode": leaf(choice(*ExitMode)), **_numbers("exits")}),
        "market": _table("Market", _numbers("market")),
        "score": _table("Score", _numbers("score")),
        "record": _table("Record", _numbers("record")),
        "regimes": _table("Regimes", dict.fromkeys(LABELS, _Regime)),
        "sizing": _table("Sizing", _numbers("sizing")),
        "kill_switch": _table("KillSwitch", {"mode": leaf(choice(*KILL_MODES))}),
    },
)
"""The whole file; which of its parts must be there is known once its preset is expanded."""


def read_leaves(raw: Raw) -> tuple[Leaves, list[Problem], set[Path]]:
    """
    All leaves of a parsed file that can be read, a problem for each that cannot, and where those stand.

    The places include what a misspelt key was probably meant to be, so that nobody reports that as missing too.
    """
    frozen = "expanded_from" in raw
    problems: list[Problem] = []
    broken: set[Path] = set()
    try:
        model = PolicyFile.model_validate(raw, context=frozen)
    except ValidationError as refused:
        readable = _copy(raw)
        for error in refused.errors(include_url=False):
            problem, places = _translate(error)
            problems.append(problem)
            broken.update(places)
            _remove(readable, problem.path)
        model = PolicyFile.model_validate(readable, context=frozen)
    empty = list(_empty_tables(raw, (), broken))
    problems += empty
    broken.update(problem.path for problem in empty)
    return dict(_walk(model, ())), problems, broken


def _walk(node: object, path: Path) -> Iterator[tuple[Path, Leaf]]:
    if isinstance(node, Leaf):
        yield path, node
    elif isinstance(node, Table):
        for key in sorted(node.model_fields_set):
            yield from _walk(getattr(node, key), path if key == "switch" else (*path, key))
    else:
        for key, value in cast("dict[str, object]", node).items():
            yield from _walk(value, (*path, key))


def _translate(error: Mapping[str, Any]) -> tuple[Problem, set[Path]]:
    path = tuple(str(part) for part in error["loc"] if part != SWITCH)
    if error["type"] == "extra_forbidden":
        return _unknown_key(path)
    refused = error.get("ctx", {}).get("error")
    if isinstance(refused, LeafInvalid):
        return Problem(path, _shown(refused.found), refused.expected, refused.remedy), {path}
    return Problem(path, _shown(error["input"]), "a table", "write its keys under this name"), {path}


def _empty_tables(table: Mapping[str, Any], path: Path, broken: set[Path]) -> Iterator[Problem]:
    for key, value in table.items():
        place = (*path, key)
        if place in broken or not isinstance(value, dict):
            continue
        if not value:
            yield Problem(place, "an empty table", "what it should say", "write it, or remove the table")
        yield from _empty_tables(value, place, broken)


def _unknown_key(path: Path) -> tuple[Problem, set[Path]]:
    *parent, key = path
    known = _known_keys(tuple(parent))
    if parent and parent[-1] == "rules" and key in Code.__members__:
        remedy = (
            "set it once for the account, under rules"
            if len(parent) > 1 and Code(key) in RULES
            else "remove it: it is structural and has no numbers of its own"
        )
        return Problem(path, f"the rule {key}", "a rule that can be set here", remedy), {path}
    close = get_close_matches(key, known, n=1)
    remedy = f"did you mean {close[0]}?" if close else "remove it, or move it to where it belongs"
    meant = {(*parent, close[0])} if close else set()
    expected = "a key that this table has" if close else f"one of {', '.join(known)}"
    return Problem(path, "an unknown key", expected, remedy), {path, *meant}


def _known_keys(parent: Path) -> list[str]:
    node: Any = PolicyFile
    for part in parent:
        fields = getattr(node, "model_fields", None)
        node = fields[part].annotation if fields and part in fields else _value_type(node)
    return [key for key in node.model_fields if key != "switch"]


def _value_type(node: Any) -> Any:
    return node.__args__[1]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _copy(raw: object) -> Any:
    return {key: _copy(value) for key, value in raw.items()} if isinstance(raw, dict) else raw


def _remove(raw: Raw, path: Path) -> None:
    node: Any = raw
    for part in path[:-1]:
        node = node.get(part, {})
    node.pop(path[-1], None)
