"""
What rules are written in: guards, transitions and their arithmetic compile, so they keep to what compiles.

Plain functions over rows and numbers; no text, no containers but a row's own lists, no exceptions, no loops without an
end, no division whose divisor is not proven to be other than zero, and no number that is not named.
"""

import ast
from collections.abc import Iterator
from itertools import chain
from math import inf
from pathlib import Path

import pytest

from repository import PACKAGE, modules

CORE = PACKAGE / "core"
FUSED = CORE / "guards" / "fused.py"
"""Generated from the guards: what holds for them need not hold for it."""

RULES = [path for path in modules(CORE / "guards") if path.name != "__init__.py" and path != FUSED]
RULES += [CORE / "numbers.py", CORE / "regime.py", CORE / "transitions.py", PACKAGE / "market" / "kernel.py"]
RULES += [CORE / "exits" / "kernel.py", CORE / "exits" / "rules.py"]

BUILTINS = {"abs", "int", "float", "range"}
"""min and max order NaN by position, and round, sum and len are about containers or taste."""

NAMED_ELSEWHERE = {"inf", "nan"}
ROWS = {"Facts", "Limits", "AccountRow", "SymbolRow", "ClusterRow", "StrategyRow", "CalendarRow", "PermitRow"}
SCALARS = {"int", "float", "bool", "list[int]", "list[float]"}
NUMBERS_OF_NO_MEANING = {0, 1, 2, 0.5, 1e4, inf}
PROVEN_DIVISOR = {"share": {"whole"}}
"""Divisors that a docstring's contract keeps from zero: `share` needs 0 <= part <= whole, and returns when equal."""

ALLOWED = (
    ast.Return,
    ast.Assign,
    ast.AugAssign,
    ast.If,
    ast.For,
    ast.Expr,
    ast.Compare,
    ast.BoolOp,
    ast.BinOp,
    ast.UnaryOp,
    ast.IfExp,
    ast.Call,
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Slice,
    ast.Constant,
    ast.Tuple,
    ast.expr_context,
    ast.boolop,
    ast.unaryop,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.Eq,
    ast.NotEq,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.LShift,
    ast.RShift,
    ast.BitAnd,
    ast.BitOr,
)


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


def imported_names(tree: ast.Module) -> set[str]:
    return {alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def outside_the_subset(source: str) -> Iterator[str]:
    """What in the source's functions a compiler or a reader could not take as a rule, with its line."""
    tree = ast.parse(source)
    callable_names = {node.name for node in functions(tree)} | BUILTINS
    callable_names |= {name for name in imported_names(tree) if name.islower() and name not in NAMED_ELSEWHERE}
    constants = {name for name in imported_names(tree) if name.isupper()} | NAMED_ELSEWHERE
    for node in functions(tree):
        yield from chain(
            wrong_signature(node),
            wrong_nodes(node),
            wrong_names(node, callable_names, constants),
            wrong_divisions(node),
        )


def at(node: ast.AST, what: str) -> str:
    return f"line {getattr(node, 'lineno', 0)}: {what}"


def wrong_signature(function: ast.FunctionDef) -> Iterator[str]:
    given = function.args
    if given.vararg or given.kwarg or given.kwonlyargs or given.defaults or given.posonlyargs:
        yield at(function, "an argument that is not plain")
    for each in given.args:
        kind = ast.unparse(each.annotation) if each.annotation else "nothing"
        if kind not in ROWS | SCALARS:
            yield at(function, f"an argument of {kind}")
    for decorator in function.decorator_list:
        if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "guard"):
            yield at(function, f"decorated with {ast.unparse(decorator)}")


def wrong_nodes(function: ast.FunctionDef) -> Iterator[str]:
    for node in chain.from_iterable(ast.walk(statement) for statement in body(function)):
        if not isinstance(node, ALLOWED):
            yield at(node, type(node).__name__)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and not is_scratch(node):
            yield at(node, f"a slice of {ast.unparse(node.value)}, which an array would share and a list copy")
        elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call):
            yield at(node, "a statement that does nothing")
        elif isinstance(node, ast.Constant) and not isinstance(node.value, int | float):
            yield at(node, f"the constant {node.value!r}")
        elif isinstance(node, ast.For) and not (isinstance(node.iter, ast.Call) and ast.unparse(node.iter.func) == "range"):
            yield at(node, "a loop over something else than a range")


def body(function: ast.FunctionDef) -> list[ast.stmt]:
    """The function's statements without its docstring."""
    return function.body[ast.get_docstring(function) is not None :]


def wrong_names(function: ast.FunctionDef, callable_names: set[str], constants: set[str]) -> Iterator[str]:
    arguments = {each.arg for each in function.args.args}
    rows = {each.arg for each in function.args.args if each.annotation and ast.unparse(each.annotation) in ROWS}
    nodes = [node for statement in body(function) for node in ast.walk(statement)]
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    written = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    sorts = {id(node.func) for node in nodes if isinstance(node, ast.Call) and sorts_a_copy(node, nodes)}
    for node in nodes:
        is_field = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rows
        if isinstance(node, ast.Attribute) and not is_field and id(node) not in sorts:
            yield at(node, f"{ast.unparse(node)} is not a field of a row")
        is_known = isinstance(node, ast.Call) and (ast.unparse(node.func) in callable_names or id(node.func) in sorts)
        if isinstance(node, ast.Call) and (node.keywords or not is_known):
            yield at(node, f"the call {ast.unparse(node)}")
        if isinstance(node, ast.Name) and id(node) not in called and node.id not in arguments | written | constants:
            yield at(node, f"the name {node.id}")


def sorts_a_copy(call: ast.Call, nodes: list[ast.AST]) -> bool:
    """Whether the call sorts what was sliced off `scratch`: a list's slice is a copy and an array's is not."""
    copies = {
        ast.unparse(node.targets[0])
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and is_scratch(node.value)
    }
    return ast.unparse(call) in {f"{name}.sort()" for name in copies}


def is_scratch(node: ast.Subscript) -> bool:
    return isinstance(node.slice, ast.Slice) and ast.unparse(node.value) == "scratch"


def wrong_divisions(function: ast.FunctionDef) -> Iterator[str]:
    nodes = [node for statement in body(function) for node in ast.walk(statement)]
    proven = PROVEN_DIVISOR.get(function.name, set()) | {
        ast.unparse(node.left)
        for node in nodes
        if isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Gt)
        and isinstance(node.comparators[0], ast.Constant)
        and node.comparators[0].value == 0
    }
    for node in nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod):
            divisor = ast.unparse(node.right)
            constant = isinstance(node.right, ast.Constant) and node.right.value != 0
            if not constant and not divisor.isupper() and divisor not in proven:
                yield at(node, f"a division by {divisor}, which no comparison proves > 0")


def unnamed_numbers(source: str) -> Iterator[str]:
    """Literals that mean something and have no name; an enumeration's numbers are names, and so is the schema's."""
    tree = ast.parse(source)
    enumerated = {
        id(node)
        for group in ast.walk(tree)
        if (isinstance(group, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in group.bases))
        or (isinstance(group, ast.AnnAssign) and ast.unparse(group.target) == "SCHEMA")
        for node in ast.walk(group)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, int | float)
            and not isinstance(node.value, bool)
            and id(node) not in enumerated
            and node.value not in NUMBERS_OF_NO_MEANING
        ):
            yield at(node, f"the number {node.value!r}")


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_rules_keep_to_the_subset(path: Path) -> None:
    assert [*outside_the_subset(path.read_text())] == []


@pytest.mark.parametrize(
    "path",
    [path for path in (*modules(CORE), *modules(PACKAGE / "market")) if path not in (CORE / "constants.py", FUSED)],
    ids=lambda p: p.stem,
)
def test_every_number_in_the_core_has_a_name(path: Path) -> None:
    assert [*unnamed_numbers(path.read_text())] == []


HEADER = "from math import inf\nfrom interlock.core.constants import RING\nfrom interlock.core.numbers import open_if\n"
GOOD = '''
@guard("SOUND", remedy="none")
def sound(f: Facts, p: Limits) -> float:
    """It is sound."""
    ratio = f.equity / p.cost_frac if p.cost_frac > 0.0 else 0.0
    for number in range(RING):
        ratio += float(number % RING)
    return open_if(ratio < inf and not abs(f.mark) == 0.5)
'''


def test_the_check_lets_a_rule_pass() -> None:
    assert [*outside_the_subset(HEADER + GOOD)] == []


@pytest.mark.parametrize(
    "line",
    [
        "x = 'text'",
        "x = f'{f.equity}'",
        "x = None",
        "x = {}",
        "x = {1, 2}",
        "x = [1]",
        "x = [each for each in range(3)]",
        "x = sum(each for each in range(3))",
        "x = min(f.bid, f.ask)",
        "x = max(1, 2)",
        "x = len(f.times)",
        "x = round(f.bid)",
        "x = f.bid ** 2",
        "x = f.bid in (1, 2)",
        "x = f.bid is f.ask",
        "x = lambda: 0",
        "x = (y := 1)",
        "x = f.bid.real",
        "x = math.inf",
        "x = datetime.now()",
        "x = open_if(safe=True)",
        "x = unknown",
        "x = unknown(f.bid)",
        "x = Facts",
        "x: float = 0.0",
        "x = f.bid / f.ask",
        "x = f.bid // 0.0",
        "x = f.bid % p.cost_frac",
        "x = f.times[:2]",
        "x = f.times[:2]\n    x.sort()",
        "scratch.sort()",
        "x = f.bid / p.cost_frac if p.cost_frac >= 0.0 else 0.0",
        "raise ValueError",
        "try:\n        x = 1\n    except ZeroDivisionError:\n        x = 2",
        "with f:\n        x = 1",
        "while True:\n        x = 1",
        "for x in (1, 2):\n        pass",
        "import math",
        "from math import nan",
        "global x",
        "assert f.bid",
        "del f",
        "yield 1",
        "f.bid",
        "def inner() -> float:\n        return 0.0",
        "print(f.bid)",
    ],
)
def test_the_check_sees(line: str) -> None:
    bad = f"def bad(f: Facts, p: Limits) -> float:\n    {line}\n    return 0.0\n"
    assert [*outside_the_subset(HEADER + bad)] != []


@pytest.mark.parametrize(
    "signature",
    [
        "def bad(f: State) -> float:",
        "def bad(f) -> float:",
        "def bad(f: Facts, p: float = 0.0) -> float:",
        "def bad(*f: Facts) -> float:",
        "def bad(f: Facts, *, p: Limits) -> float:",
        "def bad(f: Facts, **p: Limits) -> float:",
        "@cache\ndef bad(f: Facts) -> float:",
    ],
)
def test_the_check_sees_a_signature(signature: str) -> None:
    assert [*outside_the_subset(f"{HEADER}{signature}\n    return 0.0\n")] != []


@pytest.mark.parametrize("number", ["3", "0.1", "1e9", "60", "-3", "10_000_000"])
def test_the_check_sees_a_number(number: str) -> None:
    assert len([*unnamed_numbers(f"def f(x):\n    return x * {number}\n")]) == 1


def test_the_check_lets_plain_numbers_and_enumerations_pass() -> None:
    plain = "x = (0, 1, -1, 0.5, 2, 1e4, 0.0, True, 'text')\nclass A(IntEnum):\n    B = 7\n"
    assert [*unnamed_numbers(plain)] == []
