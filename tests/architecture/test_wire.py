"""What ledgers are made of may only grow at the end: fields keep their places, tags and codes their names."""

import json
from enum import Enum
from typing import get_args

import msgspec
import pytest

from interlock.core import codes, facts, instrument, limits, messages, snapshot, state
from repository import ROOT

RECORDED = ROOT / "tests" / "architecture" / "wire.json"
MODULES = (facts, instrument, limits, messages, snapshot, state)


def present() -> dict[str, list[str]]:
    """Every struct's fields and every vocabulary's words, in order."""
    found: dict[str, list[str]] = {}
    for module in MODULES:
        for name, thing in vars(module).items():
            ours = isinstance(thing, type) and thing.__module__ == module.__name__
            if ours and issubclass(thing, msgspec.Struct) and thing.__struct_config__.array_like:
                found[name] = list(thing.__struct_fields__)
    for name, thing in vars(codes).items():
        if isinstance(thing, type) and issubclass(thing, Enum) and thing.__module__ == codes.__name__:
            found[name] = [f"{word.name}={word.value}" for word in thing]
    for name in ("LOSS_TRIGGERS", "ACCOUNT_LOCKS", "STRATEGY_LOCKS", "SYMBOL_LOCKS", "ACCOUNT_WARNINGS"):
        found[name] = list(getattr(state, name))
    found["SWITCHABLE"] = list(limits.SWITCHABLE)
    found["Input"] = sorted(kind.__name__ for kind in get_args(messages.Input))
    found["Output"] = sorted(kind.__name__ for kind in get_args(messages.Output))
    return found


def moved(recorded: list[str], now: list[str], *, ordered: bool) -> bool:
    """Whether something that old ledgers hold is no longer where it was."""
    return now[: len(recorded)] != recorded if ordered else not set(recorded) <= set(now)


SETS = ("Input", "Output", *(name for name, thing in vars(codes).items() if isinstance(thing, type)))


def test_nothing_recorded_has_moved() -> None:
    now = present()
    for name, recorded in json.loads(RECORDED.read_text()).items():
        assert not moved(recorded, now.get(name, []), ordered=name not in SETS), f"{name} changed under old ledgers"


def test_what_was_added_is_recorded() -> None:
    assert json.loads(RECORDED.read_text()) == present(), "run `make generate`"


@pytest.mark.parametrize("now", [["b", "a"], ["a"], ["a", "x", "b"]])
def test_a_moved_or_lost_field_is_noticed(now: list[str]) -> None:
    assert moved(["a", "b"], now, ordered=True)


def test_an_older_record_is_padded_and_a_longer_one_refused() -> None:
    step = messages.Step(1, 2, 3, messages.CashFlow("fee", -1.0, "BTC", "f1"), ())
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(step))
    fields[3] = fields[3][:3]
    padded = msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=messages.Step)
    assert padded.input == messages.CashFlow("fee", -1.0)
    fields[3] = ["CashFlow", "fee", -1.0, "BTC", "f1", "from the future"]
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=messages.Step)


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(present(), indent=1) + "\n")
