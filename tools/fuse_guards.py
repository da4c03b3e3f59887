"""
Write `core/guards/fused.py`: all guards in one function, from the guards' own source.

Asking fifty guards one call at a time takes longer than everything they compute. Nothing about a rule is written here:
the body of each guard is taken as it stands, small helpers are put in place of their calls, what follows from the limits
alone is computed once for each policy, and a test holds the result to the guards it came from.
"""

import ast
import inspect
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable
from itertools import combinations, takewhile
from math import inf
from pathlib import Path

from interlock.core import constants, guards, limits, numbers
from interlock.core.facts import Facts
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

`guard.ask` is what it must equal; a test compares the two on facts of every kind. 1e309 is infinity.
"""

from math import exp, nan

from interlock.core.codes import Code
from interlock.core.facts import Values
from interlock.core.guard import AskAll, Found
from interlock.core.limits import Limits


def guards_under(p: Limits, active: int) -> AskAll:
    """
    The guards that these bits leave on, under these limits: what follows from limits alone is computed here.

    The function takes facts, the notional >= 0 that is requested, in account currency, and a list to which it adds the
    guards that object. It returns the smallest allowance.
    """
'''
ASK = "def ask_all(facts: Values, requested: float, found: Found) -> float:\n"


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
    return ast.IfExp(ast.Name(switch(getattr(limits, bit.id)), ast.Load()), line, parsed("-inf"))


class Substitute(ast.NodeTransformer):
    """Names become the expressions they stand for."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def parsed(expression: str) -> ast.expr:
    """The expression's syntax tree."""
    return ast.parse(expression, mode="eval").body


def switch(bit: int) -> str:
    """The name that says whether the rule of the bit is on."""
    return f"{SWITCHABLE[bit].lower()}_on"


OFTEN = 4
"""From how many times on something is computed beforehand."""


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


def assign_once(bodies: list[list[ast.stmt]]) -> list[str]:
    """The assignments that several guards make, of a name that means the same in all of them, taken out of them."""
    made = Counter(ast.unparse(each) for body in bodies for each in body if isinstance(each, ast.Assign))
    meanings = Counter(line.split(" = ")[0] for line in made)
    once = [line for line, count in made.items() if count >= OFTEN and meanings[line.split(" = ")[0]] == 1]
    for body in bodies:
        body[:] = [each for each in body if ast.unparse(each) not in once]
    return once


def statements(guard: Guard, body: list[ast.stmt]) -> list[str]:
    """The lines that ask one guard."""
    *before, last = body
    assert isinstance(last, ast.Return) and last.value is not None
    assert all(isinstance(each, ast.Assign) for each in before), f"{guard.code}: a guard returns once, at its end"
    lines = [ast.unparse(each) for each in before]
    on = "" if guard.structural else switch(SWITCHABLE.index(guard.code))
    value = last.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "open_if":
        off = f" and {on}" if on else ""
        veto = [f"    found.append((Code.{guard.code}, 0.0))", "    allowance = 0.0"]
        return [*lines, f"if not ({ast.unparse(value.args[0])}){off}:", *veto]
    inside = [*lines, *LOWERED.format(value=ast.unparse(value), code=guard.code).split("\n")]
    return [f"if {on}:", *(f"    {line}" for line in "\n".join(inside).split("\n"))] if on else inside


ENOUGH = ast.unparse(Inline({}).visit(parsed("at_least(allowed, requested)")))
LOWERED = f"""\
allowed = {{value}}
if not allowed >= bar:
    if not (allowed > 0.0 and (allowed >= requested or {ENOUGH})):
        if not allowed > 0.0:
            allowed = 0.0
        found.append((Code.{{code}}, allowed))
    if allowed < allowance:
        allowance = allowed
    bar = allowance if allowance > least else least"""
"""
What is not below `bar`, neither objects nor lowers the allowance; the rest is looked at in full.

That is the larger of the allowance so far and what is requested, which has to be more than nothing.
"""


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


class Repeated(ast.NodeTransformer):
    """Ranges in which several guards want the same fact are asked once, and have a name."""

    def __init__(self, tree: ast.AST) -> None:
        ranges = Counter(ast.unparse(node) for node in ast.walk(tree) if in_range(node))
        self.names = {text: "" for text, count in ranges.items() if count >= OFTEN}
        self.lines: list[str] = []

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        text = ast.unparse(node)
        if text not in self.names:
            return node
        if not self.names[text]:
            name = f"{read_of(node.comparators[0])[2:]}_known"
            assert name not in self.names.values(), f"{name} means two ranges"
            self.names[text] = name
            self.lines.append(f"{name} = {text}")
        return ast.Name(self.names[text], ast.Load())


def in_range(node: ast.AST) -> bool:
    """Whether the expression asks that a fact is between two constants."""
    return isinstance(node, ast.Compare) and len(node.ops) == 2 and read_of(node.comparators[0]).startswith("f_")


class Given(ast.NodeTransformer):
    """What reads limits and constants alone is computed before any order comes."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, ast.expr) or not of_limits(node):
            return super().generic_visit(node)
        text = ast.unparse(node)
        if text not in self.names:
            first = next(filter(None, map(read_of, ast.walk(node))))
            others = sum(name.startswith(f"{first}_by_") for name in self.names.values())
            self.names[text] = first if read_of(node) else f"{first}_by_{others + 1}"
        return ast.Name(self.names[text], ast.Load())

    def lines(self) -> Iterable[str]:
        """Their assignments."""
        return (f"{name} = {text}" for text, name in self.names.items())


CONSTANTS = {
    "inf": inf,
    "BASE": constants.BASE,
    "CHOP": constants.CHOP,
    "TREND": constants.TREND,
    "MONEY_SCALE": constants.MONEY_SCALE,
}


class Literal(ast.NodeTransformer):
    """Constants stand there themselves: the interpreter reads a number faster than a global name."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(CONSTANTS[node.id]) if node.id in CONSTANTS else node


TOTAL = (ast.Add, ast.Sub, ast.Mult)
"""Operators that cannot raise on floats."""


def of_limits(node: ast.expr) -> bool:
    """Whether the expression reads a limit and nothing else but constants, and cannot raise."""
    if isinstance(node, ast.Constant | ast.Name) or not any(read_of(each).startswith("p_") for each in ast.walk(node)):
        return False
    return all(map(constant_part, ast.walk(node)))


def constant_part(node: ast.AST) -> bool:
    """Whether such a node may be a part of an expression that is computed beforehand."""
    if isinstance(node, ast.Attribute):
        return read_of(node).startswith("p_")
    if isinstance(node, ast.Name):
        return node.id == "p"
    if isinstance(node, ast.BinOp):
        divisor = isinstance(node.right, ast.Constant) and node.right.value
        return isinstance(node.op, TOTAL) or bool(divisor)
    return not isinstance(node, ast.Call | ast.IfExp | ast.Subscript)


class Local(ast.NodeTransformer):
    """Facts are local variables: what there is of them is unpacked at once."""

    def __init__(self) -> None:
        self.read: set[str] = set()

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        name = read_of(node)
        if not name:
            return node
        self.read.add(name)
        return ast.Name(name, ast.Load())

    def line(self) -> str:
        """Their assignment."""
        names = (f"f_{name}" for name in Facts.__struct_fields__)
        return f"{', '.join(name if name in self.read else '_' for name in names)} = facts"


def read_of(node: ast.AST) -> str:
    """`f_equity` for a read of the fact `equity`, `p_...` for one of a limit, nothing for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("f", "p"):
        return f"{node.value.id}_{node.attr}"
    return ""


def source() -> str:
    """The whole generated module, unformatted."""
    floors: dict[str, ast.expr] = {}
    bodies = [used_once(Inline(floors).visit(definition(guard.function)).body[1:]) for guard in guards.GUARDS]
    once = [*compute_once(bodies), *assign_once(bodies)]
    asked = [line for guard, body in zip(guards.GUARDS, bodies, strict=True) for line in statements(guard, body)]
    shared = [*(f"{name} = {ast.unparse(value)}" for name, value in floors.items()), *once]
    tree = ast.parse("\n".join([*shared, *asked]))
    repeated = Repeated(tree)
    body = repeated.visit(tree)
    given = Given()
    tree = given.visit(Apart().visit(Literal().visit(ast.parse("\n".join([*repeated.lines, ast.unparse(body)])))))
    local = Local()
    switches = [f"{switch(bit)} = active >> {bit} & 1 == 1" for bit in range(len(SWITCHABLE))]
    text = ast.unparse(local.visit(tree))
    asking = [
        local.line(),
        "allowance = bar = 1e309",
        "least = requested if requested > 0.0 else 5e-324",
        text,
        "return allowance",
    ]
    used = [line for line in switches if line.split(" = ")[0] in text]
    before = [*used, *given.lines(), ASK + textwrap.indent("\n".join(asking), "    "), "return ask_all", ""]
    return HEAD + textwrap.indent("\n".join(before), "    ")


def formatted() -> str:
    """The generated module as it is committed."""
    ruff = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(ruff, input=source(), capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if TARGET.read_text() == formatted() else f"{TARGET.name} is not what the guards generate")
    TARGET.write_text(formatted())
    sys.stdout.write(f"{TARGET.name} written\n")
