"""The fused function says of every order exactly what the guards it was made from say."""

import subprocess
import sys
from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from interlock.core.facts import FACT_UNITS, Facts
from interlock.core.guard import Found, active_guards, ask
from interlock.core.guards import GUARDS
from interlock.core.guards.fused import guards_under
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE, Limits
from repository import ROOT

SPECIAL = st.sampled_from([nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 1e-300, 1e300, 0.999999, 100.0])
NUMBERS = st.one_of(SPECIAL, st.floats(0.0, 1e6), st.floats())
FACTS = st.lists(NUMBERS, min_size=len(FACT_UNITS), max_size=len(FACT_UNITS)).map(lambda values: Facts(*values))
LIMITS = st.builds(
    lambda active, values: Limits(active, *values),
    st.integers(0, 2 ** len(SWITCHABLE) - 1),
    st.lists(NUMBERS, min_size=len(LIMIT_FIELDS), max_size=len(LIMIT_FIELDS)),
)


@given(facts=FACTS, limits=LIMITS, requested=st.floats(0.0, 1e9))
def test_one_function_and_forty_agree(facts: Facts, limits: Limits, requested: float) -> None:
    found: Found = []
    allowance = guards_under(limits, limits.active)(astuple(facts), requested, found)
    assert (allowance, found) == ask(active_guards(GUARDS, limits.active), facts, limits, requested)


def test_the_file_is_what_the_guards_generate() -> None:
    done = subprocess.run(
        [sys.executable, "tools/fuse_guards.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}: run `make generate`"
