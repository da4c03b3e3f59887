"""A file of instructions: what it says is told as it stands, and every mistake with its place and what was expected."""

import gzip
import json
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.instructions import ROWS_MAX, read_instructions
from interlock.adapters.problems import FileInvalid
from interlock.core.codes import Action
from interlock.core.messages import Instruction, Provenance

TABLE = """\
symbol, action, target_weight, stop, target, run_id
# the book of the day
BTCUSDT, SCALE, 25 %, 58000, , run-7
ETHUSDT, OPEN, -0.1, 3100.5, 2500,

SOLUSDT, CLOSE,,,,
XRPUSDT, VETO, 0.5,,,
"""


def file(path: Path, text: str, name: str = "targets.csv") -> Path:
    target = path / name
    target.write_text(text, encoding="utf-8")
    return target


def problems(path: Path, *universe: str) -> list[str]:
    with pytest.raises(FileInvalid) as refused:
        read_instructions(path, universe)
    return [str(problem) for problem in refused.value.problems]


def shown(instruction: Instruction) -> list[Any]:
    """The fields, with None for what is unknown."""
    fields = (instruction.target_weight, instruction.sl_price, instruction.tp_price)
    return [instruction.symbol, instruction.action, *(None if isnan(each) else each for each in fields)]


def test_a_table_is_read_in_order(tmp_path: Path) -> None:
    told = read_instructions(file(tmp_path, TABLE))
    assert [shown(each) for each in told] == [
        ["BTCUSDT", Action.SCALE, 0.25, 58000.0, None],
        ["ETHUSDT", Action.OPEN, -0.1, 3100.5, 2500.0],
        ["SOLUSDT", Action.CLOSE, None, None, None],
        ["XRPUSDT", Action.VETO, 0.5, None, None],
    ]
    assert [each.provenance for each in told] == [Provenance("run-7"), *[Provenance()] * 3]


def test_json_says_the_same(tmp_path: Path) -> None:
    rows = [
        {"symbol": "BTCUSDT", "action": "SCALE", "target_weight": "25 %", "stop": 58000, "run_id": "run-7"},
        {"symbol": "ETHUSDT", "action": "OPEN", "target_weight": -1e-1, "stop": 3100.5, "target": 2500.0},
        {"symbol": "SOLUSDT", "action": "CLOSE", "target_weight": None},
        {"symbol": "XRPUSDT", "action": "VETO", "target_weight": 0.5},
    ]
    told = read_instructions(file(tmp_path, json.dumps(rows), "targets.json"))
    assert repr(told) == repr(read_instructions(file(tmp_path, TABLE)))


def test_compressed_files_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv.gz"
    path.write_bytes(gzip.compress(TABLE.encode()))
    assert len(read_instructions(path)) == 4


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("BTC,BUY,0.1,", "line 3, column action: found 'BUY', expected one of OPEN, CLOSE, VETO, SCALE"),
        (",SCALE,0.1,", "line 3, column symbol: found nothing, expected a symbol of at most 128 printable characters"),
        (f"{'B' * 129},SCALE,0.1,", f"line 3, column symbol: found '{'B' * 60}', expected a symbol of at most 128"),
        ("ETH,SCALE,0.1,", "line 3, column symbol: found 'ETH', expected each symbol once"),
        ("BTC,SCALE,,", "line 3, column target_weight: found nothing, expected a share of equity between -1 and 1"),
        ("BTC,SCALE,25,", "column target_weight: found '25', expected a share of equity between -1 and 1, such as 0.25"),
        ("BTC,SCALE,-1.001,", "column target_weight: found '-1.001'"),
        ("BTC,SCALE,101 %,", "column target_weight: found '101 %'"),
        ("BTC,SCALE,nan,", "column target_weight: found 'nan'"),
        ("BTC,SCALE,0x1,", "column target_weight: found '0x1'"),
        ("BTC,OPEN,0,", "column target_weight: found '0', expected a share of equity other than 0, between -1 and 1"),
        ("BTC,OPEN,0.0 %,", "column target_weight: found '0.0 %'"),
        ("BTC,CLOSE,2,", "column target_weight: found '2'"),
        ("BTC,SCALE,0.1,0", "line 3, column stop: found '0', expected a price, more than 0, or nothing"),
        ("BTC,SCALE,0.1,-5", "column stop: found '-5'"),
        ("BTC,SCALE,0.1,inf", "column stop: found 'inf'"),
        ("BTC,SCALE,0.1", "line 3: found 3 cells, expected 4, as in the first line"),
        ('BTC,"SCALE,0.1,', "line 3: found a line that cannot be split"),
    ],
)
def test_a_mistake_is_told_with_its_place(row: str, says: str, tmp_path: Path) -> None:
    (told,) = problems(file(tmp_path, f"symbol,action,target_weight,stop\nETH,CLOSE,,\n{row}\n"))
    assert told.startswith(says) or says in told


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    told = problems(file(tmp_path, f"symbol,action,target,run_id\nBTC,BUY,-1,{'r' * 129}\nETH,SCALE,1,\n"))
    columns = [each.split(":")[0] for each in told]
    assert columns == [
        *(f"line 2, column {name}" for name in ("action", "target", "run_id")),
        "line 3, column target_weight",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "file: found no instruction, expected at least one"),
        ("symbol,action\n", "file: found no instruction, expected at least one"),
        ("symbol,weight\nBTC,1\n", "line 1, : found"),
        ("symbol,action,action\n", "found 'symbol,action,action', expected the columns symbol,action,target_weight,stop"),
    ],
)
def test_a_table_that_is_none_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (told,) = problems(file(tmp_path, text))
    assert says.removeprefix("line 1, : ") in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "line 1: found no JSON"),
        ('{"symbol": "BTC", "action": "CLOSE"}', "found no list, expected a list of objects with symbol, action"),
        ("[]", "found no instruction"),
        ("[1]", "column [1]: found '', expected the columns"),
        ('[{"symbol": "BTC", "action": "CLOSE", "action": "OPEN"}]', "column [1]: found 'symbol,action,action'"),
        ('[{"symbol": "BTC", "action": ["CLOSE"]}]', "column [1].action: found neither text nor a number"),
        ('[{"symbol": "BTC", "action": true}]', "column [1].action: found neither text nor a number"),
        ('[{"symbol": "BTC", "action": "SCALE", "target_weight": NaN}]', "column [1].target_weight: found 'NaN'"),
        ("[" * 100_000, "found no JSON"),
    ],
)
def test_json_that_is_none_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (told,) = problems(file(tmp_path, text, "targets.json"))
    assert says in told


def test_what_opens_is_of_the_universe_and_what_closes_may_be_anything(tmp_path: Path) -> None:
    path = file(tmp_path, "symbol,action,target_weight\nBTCUSD,SCALE,0.1\nOLD,CLOSE,\nOLDER,VETO,\n")
    assert problems(path, "ETHUSDT", "BTCUSDT") == [
        "line 2, column symbol: found 'BTCUSD', expected a symbol of the policy's universe, such as BTCUSDT"
    ]
    assert problems(path, "ZZZ", "AAA")[0].endswith("such as AAA")
    assert len(read_instructions(path)) == 3


def test_too_much_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"S{number},CLOSE\n" for number in range(ROWS_MAX + 1))
    assert problems(file(tmp_path, f"symbol,action\n{rows}")) == [
        "file: found 1001 instructions, expected at most 1000: decide them in parts"
    ]
    assert "more than 2000000 characters" in problems(file(tmp_path, "x" * 2_000_001))[0]


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\x00")
    assert "found a file that cannot be read" in problems(tmp_path / "odd.csv")[0]
    assert "found a file that cannot be read" in problems(tmp_path / "absent.csv")[0]
