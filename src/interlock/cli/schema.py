"""`interlock schema`: JSON schemas of what goes in and comes out, for other programs."""

from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import typer

from interlock.cli.output import show_json
from interlock.cli.situation import IntentDescribed, Situation
from interlock.core.messages import Input, Message, Output, Step
from interlock.policy.model import SWITCH, PolicyFile
from interlock.policy.units import EXPECTED

_LEAF: Final = {
    "description": "A value: " + "; ".join(EXPECTED.values()) + ". Plainly, or with its reason.",
    "anyOf": [
        {"type": ["string", "integer", "boolean", "array"]},
        {
            "type": "object",
            "properties": {"value": {}, "why": {"type": "string"}, "from": {"type": "string"}},
            "required": ["value"],
            "additionalProperties": False,
        },
    ],
}
_SWITCH: Final = {"type": "string", "pattern": "^(on|off: .+)$", "description": 'A rule as a whole: "on" or "off: <why>".'}
_NUMBER: Final = float | Literal["NaN", "Infinity", "-Infinity"]


class What(StrEnum):
    """What there is a schema of."""

    POLICY = "policy"
    INTENT = "intent"
    STATE = "state"
    INPUT = "input"
    OUTPUT = "output"
    STEP = "step"


def schema(
    what: Annotated[
        What,
        typer.Argument(
            help="policy, intent, state: files that people write; input, output, step: what `ledger export` writes."
        ),
    ],
) -> None:
    """
    Print the JSON schema of a policy file, an order, a state description, or of what the ledger exports.

    For example:

        interlock schema policy > policy.schema.json
        interlock schema step

    Exit codes: 0 printed, 2 no such schema.
    """
    show_json(schema_of(what))


def schema_of(what: What) -> dict[str, Any]:
    """The JSON schema (draft 2020-12)."""
    if what is What.POLICY:
        found = _filled(PolicyFile.model_json_schema())
        found["$defs"]["Leaf"] = _LEAF
    else:
        found = msgspec.json.schema(_kind(what))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _kind(what: What) -> Any:
    written = {What.INTENT: IntentDescribed, What.STATE: Situation}
    exported = {What.INPUT: Input, What.OUTPUT: Output, What.STEP: Step}
    return written[what] if what in written else _exported(exported[what])


def _exported(kind: Any) -> Any:
    """The type as an export writes it: objects with names instead of arrays, NaN as text."""
    if kind is float:
        return _NUMBER
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _twin(kind)
    if get_origin(kind) is Annotated:
        return _exported(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return Union[tuple(_exported(each) for each in get_args(kind))]  # noqa: UP007 (of a computed tuple)
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if inner[1:] == (...,):
            return tuple[_exported(inner[0]), ...]  # type: ignore[misc]
        return tuple[tuple(_exported(each) for each in inner)]  # type: ignore[misc]
    return kind


@cache
def _twin(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    hints = get_type_hints(kind, include_extras=True)
    fields = [(name, _exported(hints[name])) for name in kind.__struct_fields__]
    tag = kind.__name__ if issubclass(kind, Message) else None
    twin = msgspec.defstruct(kind.__name__, fields, tag=tag, tag_field="type" if tag else None, forbid_unknown_fields=True)
    twin.__doc__ = kind.__doc__
    return twin


def _filled(node: Any) -> Any:
    """The schema with what pydantic cannot know, because validators read it: leaves, and rules written as one word."""
    if isinstance(node, list):
        return [_filled(item) for item in node]
    if not isinstance(node, dict):
        return node
    if not node.keys() - {"title", "default"}:
        return {"$ref": "#/$defs/Leaf"}
    properties = node.get("properties", {})
    if SWITCH in properties:
        numbers = {key: value for key, value in properties.items() if key != SWITCH}
        return {"anyOf": [_SWITCH, _filled({**node, "properties": numbers})]}
    filled = {key: value if key in _PLAIN else _filled(value) for key, value in node.items() if key != "default"}
    if "properties" in node:
        filled["properties"] = {key: _filled(value) for key, value in properties.items()}
    if node.get("additionalProperties") is True:
        filled["additionalProperties"] = {"$ref": "#/$defs/Leaf"}
    return filled


_PLAIN: Final = ("title", "description", "required", "type")
