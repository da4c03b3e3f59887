"""
The compiled twin of a rule: the same code object, run by numba over record rows.

A rule is a plain function that knows nothing of numba. Its twin keeps the code and replaces, in the names that the code
looks up, every plain function by that function's own twin; nothing is rewritten and the core's functions stay as they
are. Rows become records with the same fields, so `f.equity` means the same in both worlds, and twins agree with their
rules to the bit: no fast mathematics, and division by zero raises as in the interpreter.
"""

import dis
import hashlib
import platform
from collections.abc import Callable
from enum import IntEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import FunctionType
from typing import Annotated, Any, Final, TypeVar, cast, get_args, get_origin

import msgspec
import numba
import numpy as np

from interlock.core.constants import OUTCOMES, RING
from interlock.core.facts import Facts
from interlock.core.limits import Limits

__all__ = ["compiled", "digest", "dtype_of", "facts_dtype", "limits_dtype", "to_record"]

Result = TypeVar("Result")

GROWN: Final = {"run_buy": RING, "run_sell": RING, "outcomes": OUTCOMES}
"""Lists that a row only has once it needs them, and how long they then are."""


def compiled(function: Callable[..., Result]) -> Callable[..., Result]:
    """
    The function's compiled twin; the same one for the same function.

    Called with records it does to them what the function does to rows. A twin lives as long as the process and belongs
    to the function object, so it can never be older than its rule.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"only a plain function has a compiled twin, found {function!r}")
    return cast(Callable[..., Result], _twin(function))


@cache
def _twin(function: FunctionType) -> Callable[..., Any]:
    names = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    known = {name: function.__globals__[name] for name in names if name in function.__globals__}
    scope = {name: _twin(value) if isinstance(value, FunctionType) else value for name, value in known.items()}
    plain = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    plain.__module__ = function.__module__
    return cast(Callable[..., Any], numba.njit(error_model="python")(plain))


def digest() -> str:
    """
    What a compiled rule depends on, as 64 hex digits: every source of the core, the compiler, the interpreter, the CPU.

    Compiled code that outlives a process must be filed under it; under a rule's name or age alone, an old rule would go
    on deciding after one of its helpers has changed.
    """
    return digest_of(sources(files("interlock.core")))


def digest_of(texts: dict[str, bytes]) -> str:
    """The digest of these sources under this compiler, interpreter and CPU."""
    versions = (numba.__version__, np.__version__, platform.python_version(), platform.machine())
    parts = [*(version.encode() for version in versions)]
    for name in sorted(texts):
        parts += [name.encode(), texts[name]]
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.hexdigest()


def sources(folder: Traversable, prefix: str = "") -> dict[str, bytes]:
    """The Python files below the folder by their path within it."""
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".py"):
            found[prefix + entry.name] = entry.read_bytes()
    return found


@cache
def dtype_of(row: type[msgspec.Struct]) -> np.dtype[np.void]:
    """
    The record type with the row's numbers under their names, lists as sub-arrays.

    Text, tables and lists without a length are left out: no compiled rule reads them.
    """
    forms = ((field.name, _form(field)) for field in msgspec.structs.fields(row))
    return np.dtype([(name, *form) for name, form in forms if form is not None], align=True)


def _form(field: msgspec.structs.FieldInfo) -> tuple[Any, ...] | None:
    kind = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
    if kind is float:
        return (np.float64,)
    if kind is bool:
        return (np.bool_,)
    if isinstance(kind, type) and issubclass(kind, int | IntEnum):
        return (np.int64,)
    if kind == list[int]:
        length = GROWN.get(field.name, len(field.default_factory()))
        return (np.int64, (length,)) if length else None
    return None


def to_record(row: msgspec.Struct) -> np.void:
    """A record of its own with the row's numbers; a list that the row does not have yet is all zeros."""
    dtype = dtype_of(type(row))
    record: np.void = np.zeros(1, dtype)[0]
    for name in dtype.names or ():
        value = getattr(row, name)
        if value != []:
            record[name] = value
    return record


facts_dtype: Final = dtype_of(Facts)
limits_dtype: Final = dtype_of(Limits)
