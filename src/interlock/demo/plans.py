"""Which runs there are: without a gate, behind the demonstration's policies, or behind the user's own."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from interlock.demo.strategy import TrendParameters
from interlock.policy import Policy, load_policy
from interlock.study.parties import Parties, fit, parties_of

UNGATED: Final = "ungated"
POLICIES: Final = ("crypto-futures", "layered", "tight")
MARGIN_LEVERAGE: Final = "15 x"
PARAMETERS: Final = TrendParameters(entry_bars=240, unit_equity_mult=1.0, unit_count_max=20, add_ranges=0.7)
"""Breakouts of ten days, bought for what the account is worth and added to, if they run, up to twenty times that."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: its name, and the policy it is behind or None."""

    name: str
    policy: Policy | None
    parties: Parties


def plans(symbols: Sequence[str], own: Path | None) -> tuple[Plan, ...]:
    """
    The runs over these symbols: no gate, then the demonstration's three policies or the user's one.

    Raises:
        PolicyInvalid: the user's policy cannot be read; it lists everything.
        PolicyUnfit: it knows none of the symbols, or lets nobody open.
    """
    if own is None:
        gated = [_plan(name, load_policy(_text(name, symbols))) for name in POLICIES]
    else:
        gated = [_plan(own.stem, fit(load_policy(own), symbols))]
    return (Plan(UNGATED, None, gated[0].parties), *gated)


def _plan(name: str, policy: Policy) -> Plan:
    return Plan(name, policy, parties_of(policy))


def _text(name: str, symbols: Sequence[str]) -> str:
    """The demonstration's policy for these symbols: those it does not know get a margin leverage and nothing else."""
    raw: dict[str, Any] = tomllib.loads((files("interlock.demo") / f"policies/{name}.toml").read_text(encoding="utf-8"))
    known = raw["universe"]
    raw["universe"] = {symbol: known.get(symbol, {"margin_leverage": MARGIN_LEVERAGE}) for symbol in symbols}
    return json.dumps(raw, default=lambda instant: instant.isoformat())
