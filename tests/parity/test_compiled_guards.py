"""The interpreted and the compiled rule agree to the bit, over anything that can stand in a row."""

import inspect
import operator
from collections.abc import Callable
from math import nan
from types import FunctionType
from typing import Any, get_type_hints

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import types

from interlock.batch.compile import compiled, dtype_of, to_record
from interlock.core import numbers, regime, transitions
from interlock.core.constants import MAX_CASH, MAX_STEPS, MICROS, OPERATOR_NS, RING
from interlock.core.facts import Facts
from interlock.core.guard import Guard
from interlock.core.guards import GUARDS
from interlock.core.limits import Limits
from interlock.core.state import Row
from rulekit import AWKWARD, around, case, sale
from rulekit import numbers as any_number


def functions_of(module: Any) -> list[FunctionType]:
    return [each for each in vars(module).values() if inspect.isfunction(each) and each.__module__ == module.__name__]


NUMBERS = [*functions_of(numbers), *functions_of(regime)]
TRANSITIONS = functions_of(transitions)


def same(interpreted: Any, through_numba: Any) -> bool:
    """Whether both are the same numbers of the same kind, bit for bit; one NaN is like another."""
    if isinstance(interpreted, tuple):
        return len(interpreted) == len(through_numba) and all(map(same, interpreted, through_numba))
    if interpreted is None or isinstance(interpreted, bool):
        return interpreted is through_numba
    if isinstance(interpreted, int):
        return isinstance(through_numba, int) and interpreted == through_numba
    if interpreted != interpreted:
        return isinstance(through_numba, float) and through_numba != through_numba
    return isinstance(through_numba, float) and interpreted.hex() == through_numba.hex()


def row_and_record_agree(row: Row, record: np.void) -> bool:
    fresh = to_record(row)
    return all(
        same(tuple(np.ravel(fresh[name]).tolist()), tuple(np.ravel(record[name]).tolist()))
        for name in record.dtype.names or ()
    )


@pytest.mark.parametrize("guard", GUARDS, ids=[guard.code for guard in GUARDS])
@given(data=st.data())
@settings(max_examples=60)
def test_a_guard_and_its_twin(guard: Guard, data: st.DataObject) -> None:
    order = data.draw(around(guard, any_number(), any_number()))
    f, p = order.facts, order.limits
    assert same(guard.function(f, p), compiled(guard.function)(to_record(f), to_record(p)))


@pytest.mark.parametrize("guard", GUARDS, ids=[guard.code for guard in GUARDS])
def test_a_guard_and_its_twin_on_every_awkward_number(guard: Guard) -> None:
    twin = compiled(guard.function)
    for order in (case(), sale()):
        for name in guard.reads:
            for value in (*AWKWARD, *neighbours(getattr(order.facts, name))):
                f = msgspec.structs.replace(order.facts, **{name: value})
                assert same(guard.function(f, order.limits), twin(to_record(f), to_record(order.limits))), (name, value)
        for name in guard.limits:
            for value in (*AWKWARD, *neighbours(getattr(order.limits, name))):
                p = msgspec.structs.replace(order.limits, **{name: value})
                assert same(guard.function(order.facts, p), twin(to_record(order.facts), to_record(p))), (name, value)


def neighbours(value: float) -> tuple[float, float]:
    return float(np.nextafter(value, -np.inf)), float(np.nextafter(value, np.inf))


# ---------------------------------------------------------------- functions over scalars and rows

instants = st.integers(0, 2**62) | st.sampled_from((0, 1, 10**18, 2**53, 2**53 + 1, 2**62))
cash = st.integers(-int(MAX_CASH) * MICROS, int(MAX_CASH) * MICROS) | st.sampled_from((0, 1, -1, 2**53 + 1, 7))
steps = st.integers(0, MAX_STEPS) | st.sampled_from((0, 1, 2, 3, MAX_STEPS))
SCALARS: dict[str, st.SearchStrategy[int]] = {
    "slot": st.integers(0, 5),
    "count": st.integers(0, 4 * RING),
    "signed_steps": steps | steps.map(operator.neg),
    "value": cash.map(abs),
    "active": st.integers(0, 2**40),
    "bit": st.integers(0, 40),
    "total": cash,
    "whole": steps.filter(bool),
}


def an_integer(name: str) -> st.SearchStrategy[int]:
    """Any value that the engine admits under that name: instants, cash, steps, small counts."""
    if name in SCALARS:
        return SCALARS[name]
    if name.endswith("_ns"):
        return instants
    if name in ("position", "episode_peak"):
        return steps | steps.map(operator.neg)
    if name.startswith(("pending", "steps", "filled", "issued", "settled", "released")):
        return steps
    return cash


def a_float(name: str) -> st.SearchStrategy[float]:
    return st.floats(-MAX_CASH, MAX_CASH) if name == "amount" else any_number()


def names_in(function: FunctionType) -> set[str]:
    """Every name that the function's code mentions, the functions that it calls included."""
    names = {*function.__code__.co_names}
    called = [function.__globals__.get(name) for name in names]
    return names.union(*(names_in(each) for each in called if isinstance(each, FunctionType)))


@st.composite
def a_row(draw: st.DrawFn, kind: type[Row], used: set[str]) -> Row:
    """A row with anything that fits in the fields that are used; a permit's amounts are in order."""
    known: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.name not in used and not field.required:
            continue
        if field.type is float:
            known[field.name] = draw(any_number())
        elif field.type is bool:
            known[field.name] = draw(st.booleans())
        elif field.type is int:
            known[field.name] = draw(an_integer(field.name))
        elif field.type == list[int] and field.name in (dtype_of(kind).names or ()):
            length = dtype_of(kind)[field.name].shape[0]
            few = draw(st.lists(instants | st.integers(0, 3), min_size=1, max_size=5))
            known[field.name] = (few * length)[:length]
        elif field.required:
            known[field.name] = ""
    if kind.__name__ == "PermitRow":
        whole = draw(steps)
        known |= {"side": draw(st.sampled_from((1, -1))), "steps": whole}
        known |= {name: draw(st.integers(0, whole)) for name in ("filled", "pending") if name in known}
    return kind(**known)


@st.composite
def a_call(draw: st.DrawFn, function: FunctionType) -> list[Any]:
    """Arguments that the function's contract admits."""
    hints = {name: hint for name, hint in get_type_hints(function).items() if name != "return"}
    arguments: dict[str, Any] = {}
    for name, hint in hints.items():
        if isinstance(hint, type) and issubclass(hint, Row):
            arguments[name] = draw(a_row(hint, names_in(function)))
        elif hint == list[int]:
            arguments[name] = (draw(st.lists(instants, min_size=1, max_size=5)) * RING)[:RING]
        elif hint is bool:
            arguments[name] = draw(st.booleans())
        elif hint is float:
            arguments[name] = draw(a_float(name))
        else:
            arguments[name] = draw(an_integer(name))
    permit = arguments.get("p")
    if "steps" in arguments and permit is not None:
        arguments["steps"] = draw(st.integers(0, permit.steps))
    if "filled" in arguments and permit is not None:
        arguments["filled"] = draw(st.integers(permit.filled, permit.steps))
    if "whole" in arguments:
        arguments["part"] = draw(st.integers(0, arguments["whole"]))
    return [*arguments.values()]


def as_record(argument: Any) -> Any:
    if isinstance(argument, Row):
        return to_record(argument)
    return np.array(argument, np.int64) if isinstance(argument, list) else argument


@pytest.mark.parametrize("function", [*NUMBERS, *TRANSITIONS], ids=lambda function: function.__name__)
@given(data=st.data())
@settings(max_examples=60)
def test_a_function_and_its_twin_leave_the_same(function: FunctionType, data: st.DataObject) -> None:
    arguments = data.draw(a_call(function))
    records = [as_record(argument) for argument in arguments]
    assert same(function(*arguments), compiled(function)(*records))
    for argument, record in zip(arguments, records, strict=True):
        if isinstance(argument, Row):
            assert row_and_record_agree(argument, record)
        elif isinstance(argument, list):
            assert argument == record.tolist()


@pytest.mark.parametrize("function", [numbers.at_least, numbers.above])
@given(a=any_number(), b=any_number())
@example(a=9200.0, b=9200.000000000001)
@example(a=0.0, b=-0.0)
@example(a=9200.0000005, b=9200.0)
@example(a=-0.0000005, b=0.0)
@example(a=float("inf"), b=float("inf"))
@example(a=1.7e302, b=1.8e302)
def test_money_is_compared_alike(function: Callable[[float, float], bool], a: float, b: float) -> None:
    assert same(function(a, b), compiled(function)(a, b))
    assert same(function(a, a), compiled(function)(a, a))


@given(total=cash, whole=st.integers(1, MAX_STEPS), data=st.data())
def test_a_share_is_exact_in_both(total: int, whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    exact = abs(total) * part // whole * (1 if total >= 0 else -1)
    assert numbers.share(total, part, whole) == exact
    assert compiled(numbers.share)(total, part, whole) == exact


@pytest.mark.parametrize("length_s", [nan, -1.0, float("inf"), -float("inf"), 9.3e9, 1e300, 0.0, 3600.0])
@pytest.mark.parametrize("now_ns", [0, 1_700_000_000_000_000_000, OPERATOR_NS - 1])
def test_a_lock_never_ends_before_it_began(length_s: float, now_ns: int) -> None:
    until = transitions.lock_end(now_ns, length_s)
    assert now_ns <= until <= OPERATOR_NS
    assert compiled(transitions.lock_end)(now_ns, length_s) == until


# ---------------------------------------------------------------- what the interpreter does and a compiler cannot

INEXACT = {operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne, operator.truediv}


def mixed_operations(function: FunctionType) -> list[str]:
    """
    Operations of the compiled twin that the interpreter does exactly and machine code does in floats.

    Literals and constants are exempt: small integers are the same in both.
    """
    found = []
    for result in compiled(function).overloads.values():  # type: ignore[attr-defined]
        kind_of = result.type_annotation.typemap
        for expression in result.type_annotation.calltypes:
            if getattr(expression, "op", "") not in ("binop", "inplace_binop") or expression.fn not in INEXACT:
                continue
            kinds = [kind_of[side.name] for side in (expression.lhs, expression.rhs)]
            integers = sum(isinstance(kind, types.Integer) for kind in kinds)
            literal = any(isinstance(kind, types.Literal) for kind in kinds)
            if not literal and (integers == 1 or (integers and expression.fn is operator.truediv)):
                found.append(f"{function.__name__}: line {expression.loc.line}: {kinds}")
    return found


def integer_meets_float(a: int, b: float) -> bool:
    return a < b


def integers_divided(a: int, b: int) -> float:
    return a / b


def converted(a: int, b: float) -> bool:
    return float(a) < b and a > 0


@pytest.mark.parametrize("function", [*NUMBERS, *TRANSITIONS], ids=lambda function: function.__name__)
@given(data=st.data())
@settings(max_examples=1)
def test_no_integer_meets_a_float_unconverted(function: FunctionType, data: st.DataObject) -> None:
    compiled(function)(*map(as_record, data.draw(a_call(function))))
    assert mixed_operations(function) == []


@pytest.mark.parametrize(
    ("function", "arguments", "count"),
    [(integer_meets_float, (1, 2.0), 1), (integers_divided, (1, 2), 1), (converted, (1, 2.0), 0)],
)
def test_the_check_sees_an_integer_that_does(function: FunctionType, arguments: tuple[Any, ...], count: int) -> None:
    compiled(function)(*arguments)
    assert len(mixed_operations(function)) == count


def test_what_differs_is_seen() -> None:
    assert same(0.0, 0.0)
    assert not same(0.0, -0.0)
    assert not same(1, 1.0)
    assert not same(1.0, 1.0000000000000002)
    assert same((1, nan), (1, nan))
    assert not same((1, nan), (1, 0.0))
    one, other = to_record(case().facts), to_record(case().knowing(equity=-0.0).facts)
    assert not np.array_equal(one, other)


def test_records_hold_every_fact_and_limit() -> None:
    order = case()
    for struct, kind in ((order.facts, Facts), (order.limits, Limits)):
        record = to_record(struct)
        assert record.dtype.names == kind.__struct_fields__
        assert all(same(getattr(struct, name), record[name].item()) for name in kind.__struct_fields__)
