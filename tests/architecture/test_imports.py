import subprocess
import sys

import pytest

from repository import PACKAGE, imported, modules

GUARDS_MAY_SEE = ("codes", "constants", "facts", "guard", "guards", "limits", "numbers")
"""Modules of the core; whatever else it holds, no guard may ask for it."""


def foreign_to_the_core(source: str) -> set[str]:
    tops = {name.split(".")[0] for name in imported(source)}
    return tops - sys.stdlib_module_names - {"interlock", "msgspec"}


def out_of_a_guards_sight(source: str) -> set[str]:
    seen = {name for name in imported(source) if name.split(".")[0] == "interlock"}
    return {name for name in seen if name.split(".")[1:2] != ["core"] or name.split(".")[2] not in GUARDS_MAY_SEE}


def test_the_core_imports_no_third_party_but_msgspec() -> None:
    found = {str(path): foreign_to_the_core(path.read_text()) for path in modules(PACKAGE / "core")}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_core_check_sees_a_third_party() -> None:
    assert foreign_to_the_core("import math, msgspec\ndef f():\n    from attrs import define") == {"attrs"}


def test_guards_see_facts_and_limits_only() -> None:
    found = {str(path): out_of_a_guards_sight(path.read_text()) for path in modules(PACKAGE / "core" / "guards")}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("line", ["from interlock.core import state", "from interlock.core.apply import apply"])
def test_the_guard_check_sees_state_and_engine(line: str) -> None:
    allowed = "from interlock.core.facts import Facts\nfrom interlock.core import limits\nfrom math import inf\n"
    assert out_of_a_guards_sight(allowed) == set()
    assert len(out_of_a_guards_sight(allowed + line)) == 1


@pytest.mark.parametrize("module", ["interlock", "interlock.core.engine"])
def test_the_base_import_is_light(module: str) -> None:
    heavy = {"numpy", "numba", "pydantic", "rich", "typer", "cryptography", "asyncio", "sqlite3"}
    listing = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; import {module}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert module in listing
    assert heavy.isdisjoint(listing)
