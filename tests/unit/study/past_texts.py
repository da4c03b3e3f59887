"""Small histories written as text, and the runs over them."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from interlock.adapters.history import Marks, read_history, read_marks
from interlock.policy import Policy, load_policy
from interlock.policy.windows import Windows
from interlock.study.hindsight import Plan
from interlock.study.past import Past
from interlock.study.past import past as past_of
from interlock.study.presets import preset_policy
from interlock.study.run import Replay, replay

UTC = ZoneInfo("UTC")
FILLS = "time,symbol,side,quantity,price"
TRADES = "symbol,side,quantity,entry time,entry price,exit time,exit price"

GENEROUS = """
policy_version = "generous"
extends = "layered@1"
created_at = 1990-01-01T00:00:00Z
valid_for = "90 d"
generator = { name = "a test" }
account = { currency = "USD" }
universe = { A = { margin_leverage = "15 x" }, B = { margin_leverage = "15 x" } }
sources = { strategy = { trend = ["open", "close"] } }
[rules]
ORDER_NOTIONAL.notional = "900000000000 USD"
TOTAL_EXPOSURE.exposure = "100000 %"
"""
OFF = (
    "DAILY_LOSS WEEKLY_LOSS TOTAL_DRAWDOWN SYMBOL_EXPOSURE STRATEGY_EXPOSURE NET_EXPOSURE STOP_HIT WARN STOP_REQUIRED "
    "CONSEC_LOSS_BREAKER FREE_MARGIN ORDER_RATE RUNAWAY"
)


def generous() -> Policy:
    """A policy that forbids nothing of A and B."""
    return load_policy(GENEROUS + "".join(f'{code} = "off: a test of parity"\n' for code in OFF.split()))


def past(folder: Path, *lines: str, multipliers: dict[str, str] | None = None) -> Past:
    """The history in these lines."""
    path = folder / "trades.csv"
    path.write_text("\n".join(lines) + "\n")
    points = {symbol: Decimal(text) for symbol, text in (multipliers or {}).items()}
    return past_of(read_history(path, zone=UTC), points, "USD")


@dataclass(frozen=True, slots=True)
class Given:
    """What a run is given besides its history."""

    balance: float = 10_000.0
    policy: Policy | None = None
    review_days: int = 90
    marks: str = ""
    windows: Windows | None = None


def bounded(policy: Policy) -> Policy:
    """The policy with at most three times the equity in one symbol."""
    document: dict[str, Any] = {**policy.document()}
    document["rules"]["SYMBOL_EXPOSURE"]["exposure"] = "300 %"
    return load_policy(json.dumps(document))


def run(folder: Path, *lines: str, given: Given | None = None) -> Replay:
    """Both runs over the history in these lines, by default behind crypto-futures with a symbol's half of its exposure."""
    given = given or Given()
    of = past(folder, *lines)
    policy = given.policy
    if policy is None:
        policy = bounded(preset_policy("crypto-futures", [*of.contracts], "USD", stops_known=not of.openings_without_stop))
    marks: Marks | None = None
    if given.marks:
        (folder / "equity.csv").write_text(given.marks)
        marks = read_marks(folder / "equity.csv", zone=UTC)
    return replay(of, given.balance, Plan("gate", policy, "UTC", given.review_days, given.windows), folder, marks=marks)
