"""Policies for tests: every rule on, so that any number can be moved and any pair of numbers set against each other."""

import json
from copy import deepcopy
from functools import cache
from typing import Any

from interlock.core.messages import PolicySet
from interlock.policy.load import _read, load_policy
from interlock.policy.policy import Policy
from interlock.policy.problems import Problem, dotted

CREATED_NS = 1_800_000_000 * 10**9
NOW_NS = CREATED_NS + 10**9

HEAD = """
policy_version = "test"
extends = "crypto-futures@1"
created_at = 2027-01-15T08:00:00Z
valid_for = "90 d"
generator = { name = "a test" }
account = { currency = "USDT" }
universe = { BTCUSDT = { margin_leverage = "8 x", cluster = "majors" }, ETHUSDT = { margin_leverage = "10 x" } }
sources = { bot = { trend = ["open", "close"] } }
rules.ORDER_NOTIONAL.notional = "25000 USDT"
"""

ALL_ON = (
    HEAD
    + """
sizing.fraction = "5 %"
rules.WEEKLY_LOSS.loss = "5 %"
rules.EQUITY_GUARD.floor = "50 %"
rules.LOSS_HEADROOM = { buffer = "1 %", no_stop_gap = "10 %" }
rules.ORDER_QUANTITY.quantity = "100"
rules.SYMBOL_EXPOSURE.exposure = "300 %"
rules.STRATEGY_EXPOSURE.exposure = "400 %"
rules.NET_EXPOSURE.exposure = "500 %"
rules.CLUSTER_CAP.exposure = "450 %"
rules.CORRELATION_VETO = { correlation = "70 %", exposure = "25 %", bar = "4 h", decay = "97 %", age = "12 h" }
rules.CONSEC_LOSS_BREAKER.losses = 10
rules.STOP_HIT.lock = "1 h"
rules.GROSS_LEVERAGE = { chop = "2.5 x", trend = "5 x" }
rules.STOP_EXIT = "on"
rules.TARGET_EXIT = "on"
rules.TAKE_PROFIT = { distance = "1.2 x", trend = "60 %" }
rules.TRAILING_STOP.distance = "1 x"
rules.TIME_EXIT = { bar = "15 min", young_idle = 12, young = 24, old_idle = 24 }
rules.REGIME_EXIT.loss = "1 %"
rules.LOSS_EXIT.loss = "12.5 %"
rules.HARVEST = { first = "2 x", second = "4 x", third = "6 x" }
rules.PROFIT_LOCK = { from = "1.5 x", beyond = "0.2 %" }
rules.KILL_EXIT.score = "60 %"
rules.NEWS_WINDOW = "on"
rules.SESSION_FLAT.lead = "300 s"
rules.KILL_SCORE = { shrink = "70 %", critical = "75 %", decay = "2 x", least = "20 %" }
rules.DAILY_RISK_QUOTA = { slice = "0.5 %", order_slices = 2, day_entries = 3, day_slices = 4, campaign_slices = 10 }
rules.KELLY_CAP = { multiplier = "0.1 x", probe = "0.1 %", prior = 10, above_floor = "no", scale_rebalances = "no" }
rules.KELLY_ZERO.lock = "1 d"
record = { trades = 20, window = 100 }
exits.cost = "10 bps"
score.flip = "30 %"
score.flip_weight = "1 x"
score.sigma = "1 %"
score.sigma_cap = "2 x"
score.sigma_weight = "0.5 x"
score.strength = "30 %"
score.strength_cap = "50 %"
score.strength_weight = "0.5 x"
score.age = "1 d"
score.age_weight = "0.3 x"
"""
)


@cache
def _expanded() -> dict[str, Any]:
    document = json.loads(load_policy(ALL_ON).to_json())
    del document["digest"]
    assert isinstance(document, dict)
    return document


def changed(changes: dict[str, Any]) -> str:
    """The policy with every rule on as expanded JSON, with values put at dotted paths; None removes what is there."""
    document = deepcopy(_expanded())
    for path, value in changes.items():
        *parents, key = path.split(".")
        table = document
        for part in parents:
            table = table.setdefault(part, {})
        if value is None:
            del table[key]
        else:
            table[key] = value
    return json.dumps(document)


def problems_of(text: str) -> tuple[Problem, ...]:
    """All problems of a policy's text; empty where it has none."""
    found = _read(text, {})
    return () if isinstance(found, Policy) else found


def paths_of(text: str) -> list[str]:
    """Where the problems of a policy's text stand."""
    return sorted(dotted(problem.path) for problem in problems_of(text))


def compiled(text: str) -> PolicySet:
    """What the core reads of a policy's text."""
    return load_policy(text).compile(NOW_NS)
