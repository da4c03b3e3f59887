"""A limit that no rule reads would be a promise that nothing keeps."""

import ast
from collections.abc import Iterator

from interlock.core.limits import LIMIT_FIELDS
from repository import PACKAGE, modules

DEFINITIONS = "limits.py"


def attributes_read(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr


def unread(sources: list[str]) -> set[str]:
    read = {name for source in sources for name in attributes_read(source)}
    return set(LIMIT_FIELDS) - read


def test_every_limit_is_read_by_some_rule() -> None:
    assert unread([path.read_text() for path in modules(PACKAGE / "core") if path.name != DEFINITIONS]) == set()


def test_the_check_sees_a_limit_that_is_only_named_or_written() -> None:
    read = "\n".join(f"p.{name}" for name in LIMIT_FIELDS if name != "cost_frac")
    for mention in ("cost_frac = 1", "'cost_frac'", "p.cost_frac = 1", "# p.cost_frac", "f(cost_frac=1)"):
        assert unread([read, mention]) == {"cost_frac"}
    assert unread([read, "x = p.cost_frac"]) == set()
