"""Text for other programs: nothing that was recorded turns into something else, NaN least of all."""

import csv
import json
import math
from collections.abc import Iterator

import msgspec

from interlock.ledger import Record, read, to_csv, to_jsonl
from unit.ledger.shelf import DAY_NS, SCHEMA, START_NS, Shelf


class Leg(msgspec.Struct, array_like=True):
    symbol: str
    steps: int


class Step(msgspec.Struct):
    equity: float
    legs: list[Leg]
    facts: dict[str, float]
    note: str = "=1+1"
    mac: bytes = b"\x00\xff"


STEPS = [
    Step(math.nan, [Leg("XAU", -3)], {"peak": math.inf, "open": 1.5}),
    Step(1.25, [], {}),
    Step(-math.inf, [Leg("EUR", 1), Leg("XAU", 2)], {"other": -math.inf}),
]


def filled(shelf: Shelf) -> Shelf:
    with shelf.open() as ledger:
        for i, step in enumerate(STEPS):
            ledger.append(START_NS + i, 1, msgspec.msgpack.encode(step))
        ledger.snapshot(b"state")
        ledger.append(START_NS + DAY_NS, 2, msgspec.msgpack.encode(STEPS[1]))
    return shelf


def decode(payload: bytes) -> object:
    return msgspec.msgpack.decode(payload, type=Step)


def test_jsonl(shelf: Shelf) -> None:
    filled(shelf)
    lines = [json.loads(line) for line in to_jsonl(read(shelf.directory, schema=SCHEMA), decode)]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4]
    assert [line["payload"]["equity"] for line in lines] == ["NaN", 1.25, "-Infinity", 1.25]
    first = lines[0]
    assert first["payload"]["facts"] == {"peak": "Infinity", "open": 1.5}
    assert first["payload"]["legs"] == [["XAU", -3]]
    assert first["payload"]["mac"] == "AP8="
    assert (first["at_ns"], first["kind"], first["schema"], first["pruned"]) == (START_NS, 1, SCHEMA, False)
    assert first["hash"] == next(read(shelf.directory, schema=SCHEMA)).hash.hex()


def test_csv_has_a_column_for_every_field(shelf: Shelf) -> None:
    filled(shelf)

    def records() -> Iterator[Record]:
        return read(shelf.directory, schema=SCHEMA)

    rows = list(csv.DictReader(to_csv(records, decode)))
    assert [row["payload.equity"] for row in rows] == ["NaN", "1.25", "-Infinity", "1.25"]
    assert [row["payload.facts.peak"] for row in rows] == ["Infinity", "", "", ""]
    assert [row["payload.facts.other"] for row in rows] == ["", "", "-Infinity", ""]
    assert json.loads(rows[2]["payload.legs"]) == [["EUR", 1], ["XAU", 2]]
    assert rows[0]["payload.note"] == "=1+1"


def test_an_emptied_payload_is_absent_and_said_so(shelf: Shelf) -> None:
    filled(shelf)
    with shelf.open() as ledger:
        assert ledger.prune(START_NS + DAY_NS, [1]) == 3
    lines = [json.loads(line) for line in to_jsonl(read(shelf.directory, schema=SCHEMA), decode)]
    assert [line["pruned"] for line in lines] == [True, True, True, False]
    assert "payload" not in lines[0]


def test_an_empty_ledger_gives_no_lines(shelf: Shelf) -> None:
    shelf.open().close()
    assert list(to_jsonl(read(shelf.directory, schema=SCHEMA), decode)) == []
    assert list(to_csv(lambda: read(shelf.directory, schema=SCHEMA), decode)) == ["\n"]
