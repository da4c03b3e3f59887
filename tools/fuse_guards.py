"""
Write `core/guards/fused.py`: all guards in one function, from the guards' own source.

Asking forty guards one call at a time takes longer than everything they compute. Nothing about a rule is written here:
the body of each guard is taken as it stands, small helpers are put in place of their calls, and a test holds the result
to the guards it came from.
"""

import ast
import inspect
import subprocess
import sys
import textwrap
from itertools import combinations, takewhile
from pathlib import Path

from interlock.core import guards, limits, numbers
from interlock.core.guard import Guard
from interlock.core.limits import SWITCHABLE

TARGET = Path(guards.__file__).with_name("fused.py")
INLINED = {
    function.__name__: function
    for function in (
        numbers.at_least,
        numbers.above,
        numbers.by_regime,
        numbers.kelly_frac,
        numbers.larger,
        numbers.loss_floor,
        numbers.room,
        numbers.smaller,
        numbers.within,
    )
}
HEAD = '''"""
All guards in one function: generated from them by `make generate`, never edited.

`guard.ask` is what it must equal; a test compares the two on facts of every kind.
"""

from math import exp, inf, nan

from interlock.core.codes import Code
from interlock.core.constants import BASE, CHOP, MONEY_SCALE, TREND
from interlock.core.facts import Facts
from interlock.core.limits import Limits

Found = list[tuple[Code, float]]


def ask_all(f: Facts, p: Limits, active: int, requested: float, found: Found) -> float:
    """The smallest allowance of the active guards, in account currency; those that object are added to `found`."""
    allowance = inf
'''


def definition(function: object) -> ast.FunctionDef:
    """The function's syntax tree."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]  # type: ignore[arg-type]
    assert isinstance(tree, ast.FunctionDef)
    return tree


class Inline(ast.NodeTransformer):
    """Calls of small helpers become the expression that they return; a loss floor, which several guards read, a name."""

    def __init__(self, floors: dict[str, ast.expr]) -> None:
        self.floors = floors

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "floor_if":
            return floor_if_asked(*node.args)
        if name not in INLINED:
            return node
        helper = definition(INLINED[name])
        result = helper.body[-1]
        assert isinstance(result, ast.Return) and result.value is not None
        values = dict(zip((each.arg for each in helper.args.args), node.args, strict=True))
        expression: ast.expr = Substitute(values).visit(result.value)
        if name != "loss_floor":
            return expression
        floor = f"{read_of(node.args[0])[2:]}_floor"
        self.floors[floor] = expression
        return ast.Name(floor, ast.Load())


def floor_if_asked(active: ast.expr, bit: ast.expr, line: ast.expr) -> ast.expr:
    """The floor where its rule is on: loss rules are on where the policy says so, for every kind of account."""
    assert ast.unparse(active) == "p.active"
    assert isinstance(bit, ast.Name)
    asked = asked_bit(getattr(limits, bit.id))
    return ast.IfExp(ast.parse(asked, mode="eval").body, line, ast.parse("-inf", mode="eval").body)


class Substitute(ast.NodeTransformer):
    """Names become the expressions they stand for."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


OFTEN = 4
"""From how many reads on a variable is worth its assignment."""

DIGIT = 30
"""Bits of an integer that the interpreter handles in one piece; asking a longer one for a bit takes three times as long."""


def asked_bit(bit: int) -> str:
    """The expression that is true where the bit is set."""
    return f"active_{bit // DIGIT} & {1 << bit % DIGIT}"


def pieces() -> list[str]:
    """The lines that cut `active` into pieces of one digit."""
    count = (len(SWITCHABLE) - 1) // DIGIT + 1
    low = [f"active_{number} = active >> {DIGIT * number} & {(1 << DIGIT) - 1}" for number in range(count - 1)]
    return [*(line.replace(" >> 0", "") for line in low), f"active_{count - 1} = active >> {DIGIT * (count - 1)}"]


ENOUGH = ast.unparse(Inline({}).visit(ast.parse("at_least(allowed, requested)", mode="eval")))


def compute_once(bodies: list[list[ast.stmt]]) -> list[str]:
    """
    The longest run of lines with which several guards begin, which is taken out of them and computed once for all.

    Its names are its own, so that no guard between them uses one for something else.
    """
    begins = [[ast.unparse(each) for each in body[:-1]] for body in bodies]
    pairs = (takewhile(lambda lines: lines[0] == lines[1], zip(*two, strict=False)) for two in combinations(begins, 2))
    run = max(([one for one, _ in same] for same in pairs), key=len)
    names = {line.split(" = ")[0] for line in run}
    renamed = Substitute({name: ast.Name(f"nearest_{name}", ast.Load()) for name in names})
    lines = [ast.unparse(renamed.visit(ast.parse(line))) for line in run]
    for body, begin in zip(bodies, begins, strict=True):
        if begin[: len(run)] == run:
            body[:] = [renamed.visit(each) for each in body[len(run) :]]
    return lines


def statements(guard: Guard, body: list[ast.stmt]) -> list[str]:
    """The lines that ask one guard."""
    *before, last = body
    assert isinstance(last, ast.Return) and last.value is not None
    assert all(isinstance(each, ast.Assign) for each in before), f"{guard.code}: a guard returns once, at its end"
    lines = [ast.unparse(each) for each in before]
    on = "" if guard.structural else asked_bit(SWITCHABLE.index(guard.code))
    value = last.value
    veto = [f"    found.append((Code.{guard.code}, 0.0))", "    allowance = 0.0"]
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "open_if":
        off = f" and {on}" if on else ""
        return [*lines, f"if not ({ast.unparse(value.args[0])}){off}:", *veto]
    inside = [
        *lines,
        f"allowed = {ast.unparse(value)}",
        f"if allowed > 0.0 and (allowed >= requested or {ENOUGH}):",
        "    if allowed < allowance:",
        "        allowance = allowed",
        "else:",
        "    if not allowed > 0.0:",
        "        allowed = 0.0",
        f"    found.append((Code.{guard.code}, allowed))",
        "    if allowed < allowance:",
        "        allowance = allowed",
    ]
    if not on:
        return inside
    return [f"if {on}:", *(f"    {line}" for line in "\n".join(inside).split("\n"))]


def used_once(body: list[ast.stmt]) -> list[ast.stmt]:
    """The same with every variable that is used in one place standing there itself: what is not needed is not computed."""
    kept: list[ast.stmt] = []
    values: dict[str, ast.expr] = {}
    names = [node.id for statement in body for node in ast.walk(statement) if isinstance(node, ast.Name)]
    for statement in body:
        each = Substitute(values).visit(statement)
        name = each.targets[0].id if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) else ""
        if names.count(name) == 2:
            values[name] = each.value
        else:
            kept.append(each)
    return kept


class Apart(ast.NodeTransformer):
    """`a < b <= c` becomes `a < b and b <= c` where b is a name: the interpreter compares two floats faster than three."""

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        sides = [node.left, *node.comparators]
        if len(sides) == 2 or not all(isinstance(each, ast.Name | ast.Attribute) for each in sides[1:-1]):
            return node
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        return ast.BoolOp(ast.And(), [ast.Compare(left, [how], [right]) for left, how, right in pairs])


class Local(ast.NodeTransformer):
    """Facts and limits that are read often become local variables, in the order of their first use."""

    def __init__(self, tree: ast.AST) -> None:
        reads = [read_of(node) for node in ast.walk(tree)]
        self.repeated = [name for name in dict.fromkeys(filter(None, reads)) if reads.count(name) >= OFTEN]

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        name = read_of(node)
        return ast.Name(name, ast.Load()) if name in self.repeated else node


def read_of(node: ast.AST) -> str:
    """`f_equity` for a read of the fact `equity`, `p_...` for one of a limit, nothing for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("f", "p"):
        return f"{node.value.id}_{node.attr}"
    return ""


def source() -> str:
    """The whole generated module, unformatted."""
    floors: dict[str, ast.expr] = {}
    bodies = [used_once(Inline(floors).visit(definition(guard.function)).body[1:]) for guard in guards.GUARDS]
    once = compute_once(bodies)
    asked = [line for guard, body in zip(guards.GUARDS, bodies, strict=True) for line in statements(guard, body)]
    shared = [*(f"{name} = {ast.unparse(value)}" for name, value in floors.items()), *once]
    tree = Apart().visit(ast.parse("\n".join([*shared, *asked])))
    local = Local(tree)
    bindings = [*pieces(), *(f"{name} = {name[0]}.{name[2:]}" for name in local.repeated)]
    body = textwrap.indent("\n".join([*bindings, ast.unparse(local.visit(tree)), "return allowance", ""]), "    ")
    return HEAD + body


def formatted() -> str:
    """The generated module as it is committed."""
    ruff = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(ruff, input=source(), capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if TARGET.read_text() == formatted() else f"{TARGET.name} is not what the guards generate")
    TARGET.write_text(formatted())
    sys.stdout.write(f"{TARGET.name} written\n")
