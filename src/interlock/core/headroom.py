"""
How far a guard is from the other answer, found by asking it again with one number moved.

A guard is a black box here: nothing knows its formula, so a new guard has its headroom from the day it exists.
"""

from collections.abc import Callable
from math import ceil, copysign, inf, isnan, nan

import msgspec

from interlock.core.constants import FIRST_REACH, MAX_CASH
from interlock.core.facts import FACT_UNITS, Facts
from interlock.core.guard import Guard, ask
from interlock.core.limits import LIMIT_FIELDS, Limits

Passes = Callable[[float], bool]


def admits(guard: Guard, facts: Facts, limits: Limits, requested: float) -> bool:
    """Whether the guard has no objection to the whole order."""
    return not ask(((guard.code, guard.function),), facts, limits, requested)[1]


def fact_edge(guard: Guard, facts: Facts, limits: Limits, requested: float, name: str) -> float:
    """
    The passing value of the fact nearest to where the guard's answer changes, all others staying as they are.

    NaN where the answer does not depend on this fact alone.
    """

    def passes(value: float) -> bool:
        return admits(guard, msgspec.structs.replace(facts, **{name: value}), limits, requested)

    at: float = getattr(facts, name)
    if isnan(at):
        return nan
    at = _bounded(at)
    for limit in guard.limits:
        there = _bounded(getattr(limits, limit))
        if LIMIT_FIELDS[limit].unit == FACT_UNITS[name] and passes(there) and not passes(at):
            return _edge(passes, there, at)
    return _edge_near(passes, at, 0.0 if _is_never_negative(name) and at >= 0.0 else -inf)


def _bounded(number: float) -> float:
    """The number, or the largest that is believed in its place, so that halving a way comes to an end."""
    return copysign(MAX_CASH, number) if abs(number) > MAX_CASH else number


def _is_never_negative(name: str) -> bool:
    return FACT_UNITS[name] in ("s", "bps", "count", "frac") and not name.endswith("_left")


def limit_edge(guard: Guard, facts: Facts, limits: Limits, requested: float, name: str) -> float:
    """
    The strictest value of the limit under which the guard would still not object.

    Under a guard that objects it is looser than the limit is. NaN where no value of this limit alone decides.
    """

    def passes(value: float) -> bool:
        return admits(guard, facts, msgspec.structs.replace(limits, **{name: value}), requested)

    limit = LIMIT_FIELDS[name]
    at: float = getattr(limits, name)
    if isnan(at) or limit.unit == "flag":
        return nan
    at = _bounded(at)
    least, most = 0.0, 1.0 if limit.unit == "frac" and limit.tighter == "higher" else MAX_CASH
    strict, loose = (least, most) if limit.tighter == "lower" else (most, least)
    if passes(at):
        return nan if passes(strict) else _edge(passes, at, strict)
    return _edge(passes, loose, at) if passes(loose) else nan


def use(guard: Guard, facts: Facts, limits: Limits, requested: float) -> float:
    """
    The share of its limit that the order uses: 1 where it binds, above where it objects; NaN where no limit decides.

    Of several limits the one that is used most counts. For a floor, what counts is the distance below the whole; for a
    buffer, how much of what there is must stay free.
    """
    most = nan
    for name in guard.limits:
        edge, at = limit_edge(guard, facts, limits, requested, name), getattr(limits, name)
        if isnan(edge):
            continue
        share = nan
        if LIMIT_FIELDS[name].tighter == "lower":
            share = edge / at if at > 0.0 else nan
        elif len(guard.limits) == 1 and at < 1.0:
            share = (1.0 - edge) / (1.0 - at) if name.endswith("_min") else at / edge if edge > 0.0 else inf
        if not share <= most:
            most = share if not isnan(share) else most
    return most


def limit_use(guard: Guard, facts: Facts, limits: Limits, name: str) -> tuple[float, float]:
    """
    What of the limit is used by what there is already, in its unit, and the share of the limit that this is.

    It is the strictest value of the limit under which the guard would still admit an order too small to count; of a
    number of things the next one is left out again. For a floor the share is the distance below the whole. Nothing is
    used where even the strictest value admits; NaN where no value of this limit decides.
    """
    limit, at = LIMIT_FIELDS[name], getattr(limits, name)
    is_floor = limit.tighter == "higher" and limit.unit == "frac" and name.endswith("_min") and at < 1.0
    if isnan(at) or limit.unit == "flag" or not (limit.tighter == "lower" or is_floor):
        return nan, nan
    strict = 1.0 if is_floor else 0.0
    if admits(guard, facts, msgspec.structs.replace(limits, **{name: strict}), 0.0):
        return strict, 0.0
    edge = limit_edge(guard, facts, limits, 0.0, name)
    if is_floor:
        return edge, (1.0 - edge) / (1.0 - at)
    if limit.unit == "count" and not isnan(edge):
        edge = float(ceil(edge) - 1)
    return edge, edge / at if at > 0.0 else nan if isnan(edge) else inf


def _edge_near(passes: Passes, at: float, least: float) -> float:
    """Looks around `at`, each time twice as far but not below `least`, for the other answer."""
    here = passes(at)
    reach = FIRST_REACH * max(abs(at), 1.0)
    while reach <= 2.0 * MAX_CASH:
        for there in (max(at - reach, least), at + reach):
            if passes(there) != here:
                return _edge(passes, at, there) if here else _edge(passes, there, at)
        reach *= 2.0
    return nan


def _edge(passes: Passes, inside: float, outside: float) -> float:
    """The last passing number on the way from one that passes to one that does not."""
    while True:
        middle = inside + 0.5 * (outside - inside)
        if middle in (inside, outside):
            return inside
        if passes(middle):
            inside = middle
        else:
            outside = middle
