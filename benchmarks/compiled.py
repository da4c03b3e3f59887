"""What all guards cost compiled, a decision at a time in one loop, against the interpreter asking the same guards."""

import time
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np

from benchmarks.engine import best_s, decide_once, engine_with, wide_limits
from benchmarks.measure import Measure
from interlock.batch.compile import compiled, to_record
from interlock.core.guard import active_guards, ask
from interlock.core.guards import GUARDS

DECISIONS = 100_000
RATIO_MAX = 0.2
"""A compiled decision takes at most a fifth of an interpreted one; some fifty times less is usual."""


def measures() -> Iterator[Measure]:
    engine, names = engine_with(10, 10)
    outputs: Any = decide_once(engine, names[0])()
    facts, limits = outputs[0].facts, wide_limits()
    guards = active_guards(GUARDS, limits.active)
    interpreted_s = best_s(lambda: ask(guards, facts, limits, facts.requested_notional), 50)
    yield Measure("guards compiled, one decision", "interpreted", compiled_s(facts, limits), interpreted_s, RATIO_MAX)


def compiled_s(facts: Any, limits: Any) -> float:
    """Seconds of one decision in a loop over records that differ."""
    records = np.array([to_record(facts)] * DECISIONS)
    records["equity"] += np.arange(DECISIONS)
    loop = numba.njit(kernel(tuple(compiled(guard.function) for guard in GUARDS)))
    record = to_record(limits)
    loop(records[:1], record)
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        loop(records, record)
        taken.append(time.perf_counter() - start)
    return min(taken) / DECISIONS


def kernel(guards: tuple[Any, ...]) -> Any:
    """A function over an array of facts that sums each one's smallest allowance; the loop over guards is unrolled."""
    lines = ["def run(records, limits):", "    total = 0.0", "    for f in records:", "        allowance = 1e300"]
    for number in range(len(guards)):
        lines += [f"        allowed = guard_{number}(f, limits)", "        if not allowed >= allowance:"]
        lines += ["            allowance = allowed"]
    lines += ["        total += allowance", "    return total"]
    scope: dict[str, Any] = {f"guard_{number}": guard for number, guard in enumerate(guards)}
    exec("\n".join(lines), scope)
    return scope["run"]
