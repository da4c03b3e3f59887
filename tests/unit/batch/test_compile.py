from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest

from interlock.batch.compile import compiled, digest, digest_of, dtype_of, sources, to_record
from interlock.core import numbers
from interlock.core.constants import RING
from interlock.core.guards import loss
from interlock.core.state import AccountRow, SymbolRow
from repository import PACKAGE
from rulekit import case


def test_a_function_has_one_twin() -> None:
    assert compiled(numbers.at_least) is compiled(numbers.at_least)


def test_a_helper_that_changed_is_another_rule() -> None:
    def load(helper: str) -> Callable[[float], float]:
        scope: dict[str, Callable[[float], float]] = {}
        exec(f"def helper(x):\n    return {helper}\ndef rule(x):\n    return helper(x) + 1.0\n", scope)
        return scope["rule"]

    assert [compiled(load(helper))(3.0) for helper in ("x * 2.0", "x * 3.0", "x * 2.0")] == [7.0, 10.0, 7.0]


def test_the_rule_itself_is_left_alone() -> None:
    before = dict(loss.daily_loss.function.__globals__)
    compiled(loss.daily_loss.function)
    assert loss.daily_loss.function.__globals__ == before
    assert loss.daily_loss.function(case().facts, case().limits) == inf


def test_a_division_by_zero_raises_in_both() -> None:
    def quotient(a: float, b: float) -> float:
        return a / b

    for function in (quotient, compiled(quotient)):
        with pytest.raises(ZeroDivisionError):
            function(1.0, 0.0)


def test_only_a_plain_function_has_a_twin() -> None:
    with pytest.raises(TypeError, match="plain function"):
        compiled(abs)


def test_a_record_has_numbers_and_lists_but_no_text() -> None:
    row = AccountRow(currency="USD", balance=7, opened=True, equity_peak=1.5)
    row.api_error_times[3] = 9
    record = to_record(row)
    assert (record["balance"], record["opened"], record["equity_peak"]) == (7, True, 1.5)
    assert record["api_error_times"].tolist() == row.api_error_times
    assert {"currency", "account", "exit_owner"}.isdisjoint(dtype_of(AccountRow).names or ())


def test_a_list_that_the_row_does_not_have_yet_is_there_in_the_record() -> None:
    assert to_record(SymbolRow())["run_buy"].tolist() == [0] * RING
    assert to_record(SymbolRow(run_buy=[5] * RING))["run_buy"].tolist() == [5] * RING


def test_the_digest_covers_every_source_of_the_core() -> None:
    texts = sources(PACKAGE / "core")
    assert set(texts) == {str(path.relative_to(PACKAGE / "core")) for path in (PACKAGE / "core").rglob("*.py")}
    assert digest() == digest_of(texts)
    for name in texts:
        assert digest_of(texts | {name: texts[name] + b" "}) != digest()
    assert digest_of({"renamed.py" if name == "numbers.py" else name: text for name, text in texts.items()}) != digest()


def test_the_digest_finds_a_folder_of_any_depth(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.py").write_bytes(b"1")
    (tmp_path / "notes.txt").write_bytes(b"2")
    assert sources(tmp_path) == {"a/b/c.py": b"1"}
