"""
Instructions of a rebalance from a file that a person or a model wrote, as CSV or JSON.

    symbol,action,target_weight,stop,target
    BTCUSDT,SCALE,25 %,58000,
    ETHUSDT,CLOSE,,,
    SOLUSDT,VETO,,,

JSON is a list of objects with the same names. `target_weight` is a share of equity, `0.25` or `25 %`, negative for short.
`run_id`, `strategy_id` and `regime_id` may say where a row comes from. A file is read whole or not at all: every mistake
is told with its line and column, of JSON with the number of the object, from 1.
"""

import csv
import difflib
import json
import re
from collections.abc import Collection, Iterator
from decimal import Decimal
from math import nan
from pathlib import Path
from typing import Any, Final

from interlock.adapters.problems import FileInvalid, Problems, opened
from interlock.core.codes import Action
from interlock.core.messages import Instruction, Provenance

NEEDED: Final = ("symbol", "action")
ORIGIN: Final = ("run_id", "strategy_id", "regime_id")
COLUMNS: Final = (*NEEDED, "target_weight", "stop", "target", *ORIGIN)
ROWS_MAX: Final = 1000
TEXT_MAX: Final = 128
CHARACTERS_MAX: Final = 2_000_000
_FOUND_MAX: Final = 60
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,17})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_COLUMNS_EXPECTED: Final = f"the columns {','.join(COLUMNS)}; what follows {NEEDED[-1]} may be left out"
_OBJECTS_EXPECTED: Final = f"a list of objects with {', '.join(COLUMNS)}"
_UNIQUE: Final = "each symbol once"

Row = tuple[int, str, dict[str, str]]
"""Its line, what its columns are called before their name, and its cells by column."""


def read_instructions(path: Path, universe: Collection[str] = ()) -> tuple[Instruction, ...]:
    """
    The file's instructions in order; where a `universe` is given, what may open is of it.

    Raises:
        FileInvalid: something in it is wrong; it lists everything, to be corrected before any of it is told.
    """
    problems = Problems()
    rows = _rows(path, problems)
    if not rows and not problems.count:
        problems.report(0, "", "no instruction", "at least one")
    if len(rows) > ROWS_MAX:
        problems.report(0, "", f"{len(rows)} instructions", f"at most {ROWS_MAX}: decide them in parts")
    seen: set[str] = set()
    told = [_Reading(row, problems, seen, universe).instruction() for row in rows[:ROWS_MAX]]
    if problems.count:
        raise FileInvalid(path, problems.found, problems.count)
    return tuple(told)


def _rows(path: Path, problems: Problems) -> list[Row]:
    try:
        with opened(path) as file:
            text = file.read(CHARACTERS_MAX + 1)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        problems.report(0, "", f"a file that cannot be read ({error})", "CSV or JSON in UTF-8")
        return []
    if len(text) > CHARACTERS_MAX:
        problems.report(0, "", f"more than {CHARACTERS_MAX} characters", f"at most {ROWS_MAX} instructions")
        return []
    return list(_json_rows(text, problems) if ".json" in path.suffixes else _csv_rows(text, problems))


# ---------------------------------------------------------------- what the file is made of


def _csv_rows(text: str, problems: Problems) -> Iterator[Row]:
    """Each line that is neither empty nor a remark, as long as its cells fit the header."""
    reader = csv.reader(text.splitlines(), strict=True, skipinitialspace=True)
    header: list[str] | None = None
    try:
        for raw in reader:
            cells = [cell.strip() for cell in raw]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if header is None:
                header = cells
                if not _is_header(header):
                    problems.report(reader.line_num, "", repr(",".join(header)[:_FOUND_MAX]), _COLUMNS_EXPECTED)
                    return
            elif len(cells) != len(header):
                problems.report(reader.line_num, "", f"{len(cells)} cells", f"{len(header)}, as in the first line")
            else:
                yield reader.line_num, "", dict(zip(header, cells, strict=True))
    except csv.Error as error:
        problems.report(reader.line_num, "", f"a line that cannot be split ({error})", "cells between commas")


def _is_header(names: list[str]) -> bool:
    return len(set(names)) == len(names) and set(NEEDED) <= set(names) <= set(COLUMNS)


def _json_rows(text: str, problems: Problems) -> Iterator[Row]:
    """Each object of the list, its values as they are written."""
    try:
        listed = json.loads(text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=tuple)
    except (json.JSONDecodeError, RecursionError) as error:
        problems.report(getattr(error, "lineno", 0), "", f"no JSON ({error})", _OBJECTS_EXPECTED)
        return
    if not isinstance(listed, list):
        problems.report(0, "", "no list", _OBJECTS_EXPECTED)
        return
    for number, pairs in enumerate(listed, 1):
        names = [pair[0] for pair in pairs] if isinstance(pairs, tuple) else []
        if not _is_header(names):
            problems.report(0, f"[{number}]", repr(",".join(names)[:_FOUND_MAX]), _COLUMNS_EXPECTED)
        elif wrong := [name for name, value in pairs if not isinstance(value, str | None)]:
            problems.report(0, f"[{number}].{wrong[0]}", "neither text nor a number", "one of them")
        else:
            yield 0, f"[{number}].", {name: _text(value) for name, value in pairs}


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


# ---------------------------------------------------------------- what it says


class _Reading:
    """One row while it is read: what cannot be understood is reported, and reading goes on."""

    def __init__(self, row: Row, problems: Problems, seen: set[str], universe: Collection[str]) -> None:
        self._line, self._prefix, self._cells = row
        self._problems = problems
        self._seen = seen
        self._universe = universe

    def instruction(self) -> Instruction:
        """What the row says; of no use where something was reported."""
        action = self._action()
        return Instruction(
            self._symbol(action),
            action,
            self._weight(action),
            self._price("stop"),
            self._price("target"),
            Provenance(*(self._origin(column) for column in ORIGIN)),
        )

    def _report(self, column: str, expected: str) -> None:
        cell = self._cells.get(column, "")
        self._problems.report(self._line, self._prefix + column, repr(cell[:_FOUND_MAX]) if cell else "nothing", expected)

    def _action(self) -> Action:
        try:
            return Action(self._cells["action"])
        except ValueError:
            self._report("action", f"one of {', '.join(Action)}")
            return Action.VETO

    def _symbol(self, action: Action) -> str:
        symbol = self._cells["symbol"]
        if not symbol or len(symbol) > TEXT_MAX or not symbol.isprintable():
            self._report("symbol", f"a symbol of at most {TEXT_MAX} printable characters")
        elif symbol in self._seen:
            self._report("symbol", _UNIQUE)
        elif self._universe and symbol not in self._universe and action in (Action.OPEN, Action.SCALE):
            close = difflib.get_close_matches(symbol, self._universe, 1) or sorted(self._universe)
            self._report("symbol", f"a symbol of the policy's universe, such as {close[0]}")
        self._seen.add(symbol)
        return symbol

    def _weight(self, action: Action) -> float:
        text = self._cells.get("target_weight", "")
        if not text and action in (Action.CLOSE, Action.VETO):
            return nan
        number, percent = (text[:-1].rstrip(), Decimal("0.01")) if text.endswith("%") else (text, Decimal(1))
        weight = Decimal(number) * percent if _NUMBER.fullmatch(number) else None
        if weight is None or abs(weight) > 1 or (weight == 0 and action is Action.OPEN):
            unless = "other than 0, " if action is Action.OPEN else ""
            self._report("target_weight", f"a share of equity {unless}between -1 and 1, such as 0.25, 25 % or -10 %")
            return nan
        return float(weight)

    def _price(self, column: str) -> float:
        text = self._cells.get(column, "")
        if not text:
            return nan
        price = float(text) if _NUMBER.fullmatch(text) else nan
        if not price > 0.0:
            self._report(column, "a price, more than 0, or nothing")
        return price

    def _origin(self, column: str) -> str:
        text = self._cells.get(column, "")
        if len(text) > TEXT_MAX or not text.isprintable():
            self._report(column, f"at most {TEXT_MAX} printable characters")
        return text
