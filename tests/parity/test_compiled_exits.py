"""The interpreted and the compiled way out agree to the bit, over any numbers that a position may have."""

import inspect
from types import FunctionType
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exitkit import SET_A, SET_B
from interlock.batch.compile import compiled, to_record
from interlock.core.constants import BASE, CHOP, TREND
from interlock.core.exits import kernel, rules
from interlock.core.limits import Limits
from rulekit import any_limits
from rulekit import numbers as any_number

FUNCTIONS = [
    each
    for module in (kernel, rules)
    for each in vars(module).values()
    if inspect.isfunction(each) and each.__module__ == module.__name__
]
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "side": st.sampled_from((1.0, -1.0)),
    "regime": st.sampled_from((CHOP, BASE, TREND)) | any_number(),
    "entry_regime": st.sampled_from((CHOP, BASE, TREND)) | any_number(),
}


def argument(name: str, kind: type) -> st.SearchStrategy[Any]:
    if kind is Limits:
        return st.sampled_from((SET_A, SET_B)) | any_limits(any_number())
    if kind is int:
        return st.integers(0, 2**20)
    return KINDS.get(name, st.floats(0.0, 200.0) | any_number())


def same(interpreted: Any, twin: Any) -> bool:
    if isinstance(interpreted, float):
        return interpreted.hex() == float(twin).hex() or (interpreted != interpreted and twin != twin)
    return type(interpreted) is type(twin) and interpreted == twin


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@given(data=st.data())
@settings(max_examples=150)
def test_a_function_and_its_twin(function: FunctionType, data: st.DataObject) -> None:
    hints = {name: kind for name, kind in get_type_hints(function).items() if name != "return"}
    arguments = [data.draw(argument(name, kind), label=name) for name, kind in hints.items()]
    records = [to_record(each) if isinstance(each, Limits) else each for each in arguments]
    assert same(function(*arguments), compiled(function)(*records))
