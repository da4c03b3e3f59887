"""Which runs there are: without a gate, behind the demonstration's policies or the user's own, and with other exits."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from interlock.core.codes import Code, ExitMode
from interlock.core.limits import EXIT_RULES
from interlock.demo.strategy import TrendParameters
from interlock.policy import Policy, load_policy
from interlock.policy.rules import is_on
from interlock.policy.windows import Windows
from interlock.study.parties import Parties, fit, parties_of

UNGATED: Final = "ungated"
POLICIES: Final = ("crypto-futures", "layered", "tight")
EXITS: Final = ("A", "B", "by-regime")
"""The ways out that the same intents are tried with; each is a file to lay over a policy."""
MARGIN_LEVERAGE: Final = "15 x"
HOUR_S: Final = 3600.0
PARAMETERS: Final = TrendParameters(entry_bars=480, unit_equity_mult=3.0, unit_count_max=6, add_ranges=2.0, stop_ranges=5.0)
"""Breakouts of twenty days, bought for three times what the account is worth and added to, if they run, up to eighteen."""


@dataclass(frozen=True, slots=True)
class Plan:
    """
    One run: its name, and the policy it is behind or None.

    With ``built_in`` the engine's own rules close positions; without, the closer does when the strategy's run has ended.
    A run that is not ``recorded`` writes no ledger. Without ``windows`` no calendar file is known.
    """

    name: str
    policy: Policy | None
    parties: Parties
    built_in: bool = False
    recorded: bool = False
    windows: Windows | None = None


def plans(symbols: Sequence[str], own: Path | None, bar_s: float = HOUR_S) -> tuple[Plan, ...]:
    """
    The runs over these symbols: no gate, then the demonstration's three policies or the user's one.

    Raises:
        PolicyInvalid: the user's policy cannot be read; it lists everything.
        PolicyUnfit: it knows none of the symbols, or lets nobody open.
    """
    if own is None:
        gated = [_plan(name, load_policy(_text(name, symbols)), bar_s) for name in POLICIES]
    else:
        gated = [_plan(own.stem, fit(load_policy(own), symbols), bar_s)]
    return (Plan(UNGATED, None, gated[0].parties), *gated)


def with_other_exits(plan: Plan, bar_s: float = HOUR_S) -> tuple[Plan, ...]:
    """The plan with each of the ways out in place of its own, as runs that are not recorded."""
    assert plan.policy is not None, "without a gate nobody asks how to leave"
    document = plan.policy.document()
    found = []
    for name in EXITS:
        text = (files("interlock.demo") / f"exits/{name}.toml").read_text(encoding="utf-8")
        policy = load_policy(json.dumps(_laid_over(document, tomllib.loads(text))))
        found.append(Plan(f"exits {name}", _acting(policy, bar_s), plan.parties, built_in=True, windows=plan.windows))
    return tuple(found)


def is_alike(one: Plan, other: Plan) -> bool:
    """Whether two gated plans decide and leave alike, so that a run of the one tells what a run of the other would."""
    policies = [plan.policy for plan in (one, other) if plan.policy is not None]
    at_ns = max(policy.since_ns for policy in policies)
    first, second = (msgspec.msgpack.encode(replace(policy.compile(at_ns), digest="")) for policy in policies)
    return first == second


def _plan(name: str, policy: Policy, bar_s: float) -> Plan:
    leaves = dict(policy.leaves)
    parties = parties_of(policy)
    if not any(is_on(leaves, rule) for rule in EXIT_RULES):
        return Plan(name, policy, parties, recorded=True)
    return Plan(name, _acting(policy, bar_s), parties, built_in=True, recorded=True)


def _acting(policy: Policy, bar_s: float) -> Policy:
    """The policy, whose rules of the way out act by themselves, and count bars of this length."""
    changes: dict[str, Any] = {"exits": {}, "rules": {}, "market": {}}
    leaves = dict(policy.leaves)
    if leaves["exits", "owner"].text != "any" or leaves["exits", "mode"].text != ExitMode.BUILTIN:
        changes["exits"] = {"mode": ExitMode.BUILTIN.value, "owner": "any"}
        changes["rules"][Code.CONTROLLER_DEAD] = (
            "off: the built-in rules leave, there is no owner whose heartbeat could stop"
        )
    bar, age = leaves.get(("rules", Code.TIME_EXIT, "bar")), leaves.get(("market", "age"))
    if bar is not None and bar.number != bar_s:
        changes["rules"][Code.TIME_EXIT] = {
            **{path[2]: leaf.text for path, leaf in leaves.items() if path[:2] == ("rules", Code.TIME_EXIT)},
            "bar": f"{bar_s:.15g} s",
        }
    if age is not None and age.number < 3.0 * bar_s:
        changes["market"] = {"age": f"{3.0 * bar_s:.15g} s"}
    if not any(changes.values()):
        return policy
    return load_policy(json.dumps(_laid_over(policy.document(), changes)))


def _laid_over(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The policy's document with the changes: whole rules, whole regimes, and single numbers of everything else."""
    made = {name: dict(table) if isinstance(table, dict) else table for name, table in document.items()}
    for name, table in changes.items():
        made[name] = {**made.get(name, {}), **table}
    return made


def _text(name: str, symbols: Sequence[str]) -> str:
    """The demonstration's policy for these symbols: those it does not know get a margin leverage and nothing else."""
    raw: dict[str, Any] = tomllib.loads((files("interlock.demo") / f"policies/{name}.toml").read_text(encoding="utf-8"))
    known = raw["universe"]
    raw["universe"] = {symbol: known.get(symbol, {"margin_leverage": MARGIN_LEVERAGE}) for symbol in symbols}
    return json.dumps(raw, default=lambda instant: instant.isoformat())
