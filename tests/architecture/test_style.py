import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import PACKAGE, ROOT, modules, tracked_text
from required_parts import Requires

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 800

TABLES = {
    ("core/observe.py", "observe"): "one line for each fact",
    ("core/guards/fused.py", "guards_under"): "generated",
    ("core/guards/fused.py", "ask_all"): "generated",
}
GENERATED = {"core/guards/fused.py"}

OF_ONE_MACHINE = re.compile(
    r"""
      (?<![\w.]) / (?: home | root | Users ) / \w  # somebody's own folders
    | py[p]i\.org | pythonhosted\.or[g] | registry\.np[m] # where one machine fetches packages
    | https?://\S+/simple\b
    | (?: index-url | find-links ) [ =]+ [\w/:'"$]
    """,
    re.VERBOSE,
)


def long_functions(source: str, lines_max: int = FUNCTION_LINES_MAX) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > lines_max:
                yield node.name, lines


def test_a_function_fits_a_screen() -> None:
    found = [
        (str(path.relative_to(PACKAGE)), name, lines)
        for path in modules()
        for name, lines in long_functions(path.read_text())
    ]
    assert [each for each in found if each[:2] not in TABLES] == []
    assert {each[:2] for each in found} >= set(TABLES), "an exception that nothing needs any more"


def test_the_length_check_sees_a_long_function() -> None:
    source = "class A:\n    async def f(self):\n        1\n        2\n"
    assert [*long_functions(source, lines_max=2)] == [("f", 3)]
    assert [*long_functions(source, lines_max=3)] == []


def test_a_module_has_one_subject() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in modules()}
    assert {path: lines for path, lines in lengths.items() if lines > FILE_LINES_MAX}.keys() <= GENERATED


def test_no_tracked_file_knows_one_machine(requires: Requires) -> None:
    requires("git")
    this = Path(__file__).relative_to(ROOT)
    found = {
        f"{path}:{number}": line.strip()
        for path, text in tracked_text()
        if path != this
        for number, line in enumerate(text.splitlines(), 1)
        if OF_ONE_MACHINE.search(line)
    }
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "open('/home/someone/data.csv')",
        "cd /root/clone",
        "--index-url https://example.org/",
        "https://mirror.example/simple",
        "from https://files.pythonhosted.org/packages/x.whl",
    ],
)
def test_the_machine_check_sees(line: str) -> None:
    assert OF_ONE_MACHINE.search(line)


@pytest.mark.parametrize("line", ["/usr/bin/chromium", "docs/home/x", "--no-emit-index-url --no-emit-find-links"])
def test_the_machine_check_lets_pass(line: str) -> None:
    assert not OF_ONE_MACHINE.search(line)
