"""What a guard is, and how guards are asked."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import msgspec

from interlock.core.codes import Code
from interlock.core.facts import FACT_UNITS, Facts, Values
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE, Limits
from interlock.core.numbers import at_least

GuardFunction = Callable[[Facts, Limits], float]
Found = list[tuple[Code, float]]
"""The guards that object, and what each allows."""

AskAll = Callable[[Values, float, Found], float]


class Checks(msgspec.Struct, frozen=True, gc=False):
    """The guards that are on under one set of limits: their bits, and all of them as one function."""

    limits: Limits
    active: int
    ask_all: AskAll


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule for opening orders: its code, its function, and what to do when it objects."""

    code: Code
    function: GuardFunction
    remedy: str

    @property
    def says(self) -> str:
        """What is proven when the guard does not object, in one sentence."""
        return (self.function.__doc__ or "").strip().split("\n")[0]

    @property
    def reads(self) -> tuple[str, ...]:
        """The facts that the function reads, taken from its code."""
        return tuple(name for name in self.function.__code__.co_names if name in FACT_UNITS)

    @property
    def limits(self) -> tuple[str, ...]:
        """The limits that the function reads, taken from its code."""
        return tuple(name for name in self.function.__code__.co_names if name in LIMIT_FIELDS)

    @property
    def structural(self) -> bool:
        """Whether no policy can switch the guard off."""
        return self.code not in SWITCHABLE


def guard(code: str, *, remedy: str) -> Callable[[GuardFunction], Guard]:
    """A pure function of facts and limits becomes the guard of that code."""

    def register(function: GuardFunction) -> Guard:
        return Guard(Code(code), function, remedy)

    return register


def active_guards(guards: tuple[Guard, ...], active: int) -> tuple[tuple[Code, GuardFunction], ...]:
    """The guards that a policy with these bits leaves on, in order."""
    return tuple(
        (each.code, each.function) for each in guards if each.structural or active >> SWITCHABLE.index(each.code) & 1
    )


def ask(
    guards: tuple[tuple[Code, GuardFunction], ...], facts: Facts, limits: Limits, requested: float
) -> tuple[float, list[tuple[Code, float]]]:
    """
    The smallest allowance in account currency, >= 0, and every guard that wanted less than `requested`.

    NaN, a guard that raises and a guard that returns nothing are vetoes. Infinity is no objection. Money is compared at
    1e-6, as everywhere: an order of exactly what is allowed has no objection, however both were rounded.
    """
    allowance = inf
    objections: list[tuple[Code, float]] = []
    for code, function in guards:
        try:
            allowed = function(facts, limits)
            if allowed > 0.0 and (allowed >= requested or at_least(allowed, requested)):
                if allowed < allowance:
                    allowance = allowed
                continue
            if not allowed > 0.0:
                allowed = 0.0
        except Exception:  # noqa: BLE001 (a guard that cannot be evaluated vetoes)
            allowed = 0.0
        objections.append((code, allowed))
        if allowed < allowance:
            allowance = allowed
    return allowance, objections
