"""What tests of exits start from: limits of the two published parameter sets, and positions by their definition."""

from math import nan
from typing import Any

import msgspec

from interlock.core.constants import BASE, CHOP, TREND
from interlock.core.exits.harvest import Harvest, Held, Market, harvest
from interlock.core.limits import BITS, EXIT_RULES, NO_LIMITS, Limits
from oracle.harvest import SETS, Position

LABELS = {"CHOP": CHOP, "BASE": BASE, "TREND": TREND, "": nan}
FIELDS = {
    "cost_bps": "exit_cost_bps", "T1": "rung_1_r_min", "T2": "rung_2_r_min", "T3": "rung_3_r_min",
    "lock_R": "lock_r_min", "be_plus": "lock_frac", "k1": "flip_weight", "k2": "sigma_weight", "k3": "trend_weight",
    "k4": "age_weight", "kill_threshold": "kill_exit_score_min", "trend_min": "flip_trend_min",
    "sigma_ref": "sigma_ref", "sigma_cap": "sigma_cap", "ts_ref": "trend_ref", "ts_cap": "trend_cap",
    "max_age": "score_age_s_max",
}  # fmt: skip
"""The definition's names of parameters, and the limits that they are."""

ALL_EXITS = sum(BITS[code] for code in EXIT_RULES)


def limits_of(theta: dict[str, float], *, numeric: bool = True, **changes: Any) -> Limits:
    """Limits with these parameters and every exit rule on; without `numeric` the references are those at entry."""
    given = {FIELDS[name]: value for name, value in theta.items()}
    if not numeric:
        given |= {"flip_trend_min": 0.0, "sigma_ref": 0.0, "trend_ref": 0.0}
    return msgspec.structs.replace(NO_LIMITS, active=ALL_EXITS, **(given | changes))


SET_A = limits_of(SETS["A"])
SET_B = limits_of(SETS["B"])


def held(position: Position) -> Held:
    """The position in the kernel's numbers."""
    side = 1.0 if position.long else -1.0
    mark = position.e + side * position.U / position.q if position.q else nan
    stop = nan if position.stop is None else position.stop
    return Held(side, position.e, position.e, position.q, position.U, mark, stop, position.s, position.age)


def judged(position: Position, p: Limits) -> Harvest:
    """What the kernel says about the position."""
    now = Market(nan, position.sigma, position.ts, position.p_trend, position.p_mr, position.p_chop, LABELS[position.label])
    at_entry = Market(nan, position.entry_sigma, position.entry_ts, regime=LABELS[position.entry_label])
    return harvest(held(position), now, at_entry, p)


def example(**changes: Any) -> Position:
    """The position of the published examples, changed as named."""
    given: dict[str, Any] = {
        "long": True, "e": 100.0, "q": 1.0, "U": 1.0, "s": 0.02, "age": 3600.0, "stop": None,
        "sigma": 0.01, "ts": 0.35, "p_trend": 0.5, "p_mr": 0.2, "p_chop": 0.3,
    }  # fmt: skip
    return Position(**(given | changes))
