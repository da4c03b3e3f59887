"""
Canonical JSON (RFC 8785) for what a policy document holds: text, booleans, lists and objects.

Numbers are text in a policy, so the part of the standard about printing numbers is not needed and not here.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Document: TypeAlias = "str | bool | Sequence[Document] | Mapping[str, Document]"

_TEXT: Final = json.JSONEncoder(ensure_ascii=False)


def canonical(value: Document) -> bytes:
    """
    The one UTF-8 form of the document: keys in the order of their UTF-16 code units, no white space.

    Raises:
        TypeError: it holds something else than text, booleans, lists and objects.
        UnicodeEncodeError: it holds half of a surrogate pair.
    """
    return _write(value).encode()


def digest_of(value: Document) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _write(value: Document) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _TEXT.encode(value)
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_write(key)}:{_write(value[key])}" for key in keys) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_write, value)) + "]"
    raise TypeError(f"a policy document holds text, booleans, lists and objects, found {type(value).__name__}")
