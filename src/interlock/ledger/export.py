"""
Export: the ledger as text for other programs. What the payloads mean is the caller's to say.

Numbers that JSON does not have stay visible: NaN becomes the string "NaN", infinities "Infinity" and "-Infinity", never
null.
"""

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from interlock.ledger.record import Record

Decoder = Callable[[bytes], object]
"""Turns a payload into what msgspec can take apart: structs, mappings, sequences, scalars."""


def to_jsonl(records: Iterable[Record], decode: Decoder) -> Iterator[str]:
    """One JSON object per record, one line each; ``payload`` is absent where retention has emptied it."""
    for record in records:
        yield json.dumps(_fields(record, decode), allow_nan=False) + "\n"


def to_csv(records: Callable[[], Iterable[Record]], decode: Decoder) -> Iterator[str]:
    """
    One line per record, with a column for every field that occurs; nested fields are named with dots.

    ``records`` is called twice: the columns have to be known before the first line.
    """
    columns: dict[str, None] = {}
    for record in records():
        columns |= dict.fromkeys(_flat(_fields(record, decode)))
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(columns), lineterminator="\n")
    table.writeheader()
    for record in records():
        yield _drained(buffer)
        table.writerow(_flat(_fields(record, decode)))
    yield _drained(buffer)


def _drained(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _fields(record: Record, decode: Decoder) -> dict[str, object]:
    fields: dict[str, object] = {
        "seq": record.seq,
        "at_ns": record.at_ns,
        "kind": record.kind,
        "schema": record.schema,
        "hash": record.hash.hex(),
        "pruned": record.payload is None,
    }
    if record.payload is not None:
        fields["payload"] = _plain(msgspec.to_builtins(decode(record.payload), builtin_types=(bytes,), str_keys=True))
    return fields


def _plain(value: object) -> object:
    match value:
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


def _flat(fields: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in fields.items():
        match value:
            case Mapping() if value:
                flat |= _flat(value, f"{prefix}{name}.")
            case Mapping() | list():
                flat[prefix + name] = json.dumps(value)
            case _:
                flat[prefix + name] = value
    return flat
