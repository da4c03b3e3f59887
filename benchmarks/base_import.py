"""Importing the library costs a backtest or a command line little: below 0.2 s, interpreter included."""

import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter

from benchmarks.measure import Measure

IMPORT_S_MAX = 0.2
ROUNDS = 15


def best_s(statement: str) -> float:
    """The shortest of many runs of a fresh interpreter: what the work takes when nothing disturbs it."""
    return min(run_s(statement) for _ in range(ROUNDS))


def run_s(statement: str) -> float:
    started = perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return perf_counter() - started


def measures() -> Iterator[Measure]:
    """Both packages against the fixed budget, and against an interpreter that imports nothing."""
    bare_s = best_s("pass")
    taken_s = {module: best_s(f"import {module}") for module in ("interlock", "interlock.core.engine")}
    for module, s in taken_s.items():
        yield Measure(f"import {module}", "budget of 0.2 s", s, IMPORT_S_MAX, 1.0)
        yield Measure(f"import {module}", "bare interpreter", s, bare_s)
