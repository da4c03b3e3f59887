"""
A policy from its file: read, expanded, checked.

`extends = "preset@version"` lays the file over that preset (see `overlay`); a preset extends nothing. The result,
`Policy.to_json`, is complete by itself: it no longer needs the preset, and says of each leaf who set it.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path as FilePath
from typing import Any, Final

from interlock.core.errors import PolicyInvalid
from interlock.policy.leaf import Leaf, Leaves, Raw
from interlock.policy.overlay import is_switch, overlay
from interlock.policy.policy import Policy, unusable
from interlock.policy.problems import Path, Problem
from interlock.policy.rules import crossed, missing
from interlock.policy.wayout import way_out

_ENVELOPE: Final = ("extends", "expanded_from", "digest", "preset")
"""Keys that speak about the file and are no part of what it says about trading."""


_DEPTH_MAX: Final = 16
"""Far more than a policy needs, far less than recursion has."""


def load_policy(source: FilePath | str, *, presets: Mapping[str, str] | None = None) -> Policy:
    """
    The policy in a file (a path) or a text, TOML or JSON, with its preset expanded.

    `presets` are texts of further presets by "name@version"; those of the package are always known.

    Raises:
        PolicyInvalid: it cannot be read, or something in it is wrong; it lists everything.
    """
    policy = _read(source, presets or {})
    if isinstance(policy, Policy):
        return policy
    raise PolicyInvalid(tuple(map(str, policy)))


def policy_problems(
    source: FilePath | str, now_ns: int, *, presets: Mapping[str, str] | None = None
) -> tuple[Problem, ...]:
    """Everything that keeps the policy from letting anything open at `now_ns`: mistakes, a wrong digest, its age."""
    policy = _read(source, presets or {})
    return tuple(unusable(policy, now_ns)) if isinstance(policy, Policy) else policy


@cache
def preset_texts() -> Mapping[str, str]:
    """The texts of the package's presets by "name@version"."""
    folder = resources.files("interlock.policy") / "presets"
    texts = [entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.name.endswith(".toml")]
    heads = [tomllib.loads(text)["preset"] for text in texts]
    named = {f"{head['name']}@{head['version']}": text for head, text in zip(heads, texts, strict=True)}
    return dict(sorted(named.items()))


def preset_named(name: str) -> str | None:
    """The preset's "name@version", the last version where only its name is given; None where there is no such preset."""
    known = [full for full in preset_texts() if name in (full, full.partition("@")[0])]
    return known[-1] if known else None


def read_preset(text: str) -> Leaves:
    """
    The leaves of a preset's text, its head among them, complete or not; each one says why it is what it is.

    What gives no reason of its own has that of the head, `preset.why`.

    Raises:
        PolicyInvalid: something in it cannot be read, or has no reason.
    """
    raw = _parse(text)
    leaves, problems, _ = _leaves(raw) if isinstance(raw, dict) else ({}, [raw], set())
    common = leaves.get(("preset", "why"))
    bare = [path for path, leaf in leaves.items() if path[0] != "preset" and not (leaf.why or is_switch(path))]
    if common is None:
        problems += [_unreasoned(path, leaves[path]) for path in bare]
    if problems:
        raise PolicyInvalid(tuple(map(str, problems)))
    return {**leaves, **{path: replace(leaves[path], why=common.text) for path in bare if common}}


def _read(source: FilePath | str, presets: Mapping[str, str]) -> Policy | tuple[Problem, ...]:
    text = _text(source)
    raw = _parse(text) if isinstance(text, str) else text
    if isinstance(raw, Problem):
        return (raw,)
    file, problems, broken = _leaves(raw)
    problems += _envelope(file)
    base, lost = _base(file, presets)
    leaves = overlay(base, _body(file))
    leaves = {path: leaf for path, leaf in leaves.items() if not any(path[: len(place)] == place for place in broken)}
    if lost is None and ("extends",) not in broken:
        problems += missing(leaves, broken)
    problems += [*crossed(leaves), *way_out(leaves)]
    if lost:
        problems.append(lost)
    if problems:
        return tuple(problems)
    named, stated = (file.get((key,)) for key in ("extends", "digest"))
    origin = named or file.get(("expanded_from",))
    return Policy(leaves, origin.text if origin else "", stated.text if stated else "")


def _unreasoned(path: Path, leaf: Leaf) -> Problem:
    expected = f'{{ value = "{leaf.written}", why = "..." }}'
    return Problem(path, f'"{leaf.written}" without a reason', expected, "say why, or say it for all in preset.why")


def _leaves(raw: Raw) -> tuple[Leaves, list[Problem], set[Path]]:
    """All leaves of a parsed file, what is wrong with others, and where those stand."""
    from interlock.policy.model import read_leaves  # noqa: PLC0415 (pydantic is for those who read a file, and slow to load)

    return read_leaves(raw)


def _base(file: Leaves, presets: Mapping[str, str]) -> tuple[Leaves, Problem | None]:
    extends = file.get(("extends",))
    if extends is None:
        return {}, None
    known = {**preset_texts(), **presets}
    if extends.text not in known:
        expected = f"one of {', '.join(known)}"
        return {}, Problem(("extends",), f'"{extends.text}"', expected, "name a preset with its version")
    try:
        leaves = _body(read_preset(known[extends.text]))
    except PolicyInvalid as broken:
        return {}, Problem(("extends",), f"a broken preset ({broken})", "a preset that can be read", "put it right")
    return {path: replace(leaf, origin=extends.text) for path, leaf in leaves.items()}, None


def _body(leaves: Leaves) -> Leaves:
    return {path: leaf for path, leaf in leaves.items() if path[0] not in _ENVELOPE}


def _envelope(file: Leaves) -> list[Problem]:
    problems = []
    if ("extends",) in file and ("expanded_from",) in file:
        remedy = "remove one: an expanded policy holds everything, a file that extends does not"
        problems.append(Problem(("extends",), "extends beside expanded_from", "one of them", remedy))
    if any(path[0] == "preset" for path in file):
        remedy = "extend the preset, or remove its head"
        problems.append(Problem(("preset",), "the head of a preset", "a policy", remedy))
    return problems


def _text(source: FilePath | str) -> str | Problem:
    if isinstance(source, str):
        return source
    try:
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return _unreadable(f"{source}: {error}", "a readable file in UTF-8", "check the path and its permissions")


def _parse(text: str) -> Raw | Problem:
    try:
        raw = _parse_json(text) if text.lstrip().startswith("{") else tomllib.loads(text)
        if _is_deeper(raw, _DEPTH_MAX):
            raise ValueError(f"tables or lists nested more than {_DEPTH_MAX} deep")
    except (ValueError, RecursionError) as error:
        return _unreadable(str(error), "TOML or JSON in which each key stands once", "put the named line right")
    return raw


def _is_deeper(value: object, levels: int) -> bool:
    inner: Iterable[object] = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list):
        inner = value
    return levels < 0 or any(_is_deeper(item, levels - 1) for item in inner)


def _parse_json(text: str) -> Raw:
    raw: Raw = json.loads(text, object_pairs_hook=_unique)
    json.dumps(raw, ensure_ascii=False).encode()
    return raw


def _unique(pairs: list[tuple[str, Any]]) -> Raw:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return table


def _unreadable(found: str, expected: str, remedy: str) -> Problem:
    path: Path = ()
    return Problem(path, found, expected, remedy)
