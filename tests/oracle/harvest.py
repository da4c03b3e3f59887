"""
The harvest kernel a second time, from its definition alone, in the plainest way: dictionaries, `if` and `min`.

Nothing here is imported from the product, so that a mistake there is not repeated here.
"""

import math
from dataclasses import dataclass

SETS = {
    "A": {
        "cost_bps": 10.0, "T1": 2.0, "T2": 4.0, "T3": 6.0, "lock_R": 1.5, "be_plus": 0.002,
        "k1": 1.0, "k2": 0.5, "k3": 0.5, "k4": 0.3, "kill_threshold": 0.6, "trend_min": 0.3,
        "sigma_ref": 0.01, "sigma_cap": 2.0, "ts_ref": 0.3, "ts_cap": 0.5, "max_age": 86_400.0,
    },
    "B": {
        "cost_bps": 12.0, "T1": 1.8, "T2": 3.5, "T3": 5.8, "lock_R": 1.2, "be_plus": 0.003,
        "k1": 0.8, "k2": 0.6, "k3": 0.4, "k4": 0.2, "kill_threshold": 0.55, "trend_min": 0.25,
        "sigma_ref": 0.012, "sigma_cap": 1.8, "ts_ref": 0.35, "ts_cap": 0.45, "max_age": 72_000.0,
    },
}  # fmt: skip
"""The two published parameter sets."""


@dataclass
class Position:
    """A position and the market around it, as the definition names them."""

    long: bool
    e: float
    q: float
    U: float
    s: float
    age: float
    stop: float | None
    sigma: float
    ts: float
    p_trend: float
    p_mr: float
    p_chop: float
    label: str = "TREND"
    entry_label: str = "TREND"
    entry_sigma: float = 0.01
    entry_ts: float = 0.3


def is_number(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)


def r_net(position: Position, theta: dict[str, float]) -> float | None:
    """None where the risk, or what was made, is not known."""
    if not is_number(position.e, position.q, position.U, position.s):
        return None
    if position.s <= 0 or position.e <= 0 or position.q <= 0:
        return None
    risk = position.e * position.s * position.q
    cost = position.e * position.q * theta["cost_bps"] / 10_000
    return (position.U - cost) / risk


def ladder(r: float | None, theta: dict[str, float]) -> str:
    if r is None:
        return "none"
    if r >= theta["T3"]:
        return "PARTIAL_75"
    if r >= theta["T2"]:
        return "PARTIAL_50"
    if r >= theta["T1"]:
        return "PARTIAL_25"
    return "none"


def new_stop(position: Position, r: float | None, theta: dict[str, float]) -> float | None:
    """Only from lock_R on, only tighter, only on this side of the market."""
    if r is None or r < theta["lock_R"]:
        return None
    mark = position.e + position.U / position.q if position.long else position.e - position.U / position.q
    if position.long:
        wanted = position.e * (1 + theta["be_plus"])
        allowed = wanted < mark and (position.stop is None or wanted > position.stop)
    else:
        wanted = position.e * (1 - theta["be_plus"])
        allowed = wanted > mark and (position.stop is None or wanted < position.stop)
    return wanted if allowed else None


def between(x: float, low: float, high: float) -> float:
    return max(low, min(high, x))


def kill_score(position: Position, theta: dict[str, float], *, numeric: bool) -> float | None:
    """None where any of its components is not known."""
    if not is_number(position.sigma, position.ts, position.age) or position.sigma < 0 or position.ts < 0:
        return None
    if numeric:
        if not all(is_number(p) and 0 <= p <= 1 for p in (position.p_trend, position.p_mr, position.p_chop)):
            return None
    else:
        told = is_number(position.entry_sigma, position.entry_ts) and position.label and position.entry_label
        if not told or position.entry_sigma <= 0 or position.entry_ts < 0:
            return None
    if numeric:
        flip = position.p_trend < theta["trend_min"] and position.p_chop + position.p_mr > 0.5
        sigma_ref, ts_ref = theta["sigma_ref"], theta["ts_ref"]
    else:
        flip = position.entry_label != "CHOP" and position.label == "CHOP"
        sigma_ref, ts_ref = position.entry_sigma, position.entry_ts
    z = (
        theta["k1"] * (1 if flip else 0)
        + theta["k2"] * between(position.sigma / sigma_ref - 1, 0, theta["sigma_cap"])
        + theta["k3"] * between(ts_ref - position.ts, 0, theta["ts_cap"])
        + theta["k4"] * between(position.age / theta["max_age"], 0, 1)
    )
    return 1 / (1 + math.exp(-z))


def k_max(theta: dict[str, float]) -> float:
    z = theta["k1"] + theta["k2"] * theta["sigma_cap"] + theta["k3"] * min(theta["ts_cap"], theta["ts_ref"]) + theta["k4"]
    return 1 / (1 + math.exp(-z))


def action(position: Position, theta: dict[str, float], *, numeric: bool) -> str:
    score = kill_score(position, theta, numeric=numeric)
    if score is not None and score >= theta["kill_threshold"]:
        return "FULL_CLOSE"
    return ladder(r_net(position, theta), theta)
