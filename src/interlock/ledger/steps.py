"""Steps of the engine as ledger payloads and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from interlock.core.messages import SCHEMA, MarketBatch, Step
from interlock.ledger.errors import LedgerBroken
from interlock.ledger.reader import read
from interlock.ledger.record import Record

MARKS: Final = 1
DECISIONS: Final = 2
"""Kinds of records: payloads of marks may be emptied after their retention, all others are kept for ever."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Step)


def kind_of(step: Step) -> int:
    """MARKS for a step of nothing but prices, DECISIONS for one that anything came of."""
    return MARKS if type(step.input) is MarketBatch and not step.outputs else DECISIONS


def encode(step: Step) -> bytes:
    """The step as a payload."""
    return _ENCODER.encode(step)


def decode(record: Record) -> Step:
    """
    The step in a record.

    Raises:
        LedgerBroken: the payload was emptied by retention, or is no step.
    """
    if record.payload is None:
        raise LedgerBroken(record.seq, "its payload was emptied by retention: start from a snapshot that is newer")
    try:
        return _DECODER.decode(record.payload)
    except msgspec.MsgspecError as error:
        raise LedgerBroken(record.seq, f"its payload is no step: {error}") from error


def read_steps(directory: Path, *, after_seq: int = 0) -> Iterator[Step]:
    """
    The steps after a record number, oldest first.

    Raises:
        LedgerBroken: a record is not what was written, or its payload is gone.
        LedgerTooNew: a newer version wrote it.
    """
    return map(decode, read(directory, schema=SCHEMA, after_seq=after_seq))
