"""A preset's policy for the symbols of a history: what a preset leaves open, chosen so that it decides nothing."""

import json
from collections.abc import Sequence
from typing import Any, Final

from interlock.core.limits import EXIT_RULES
from interlock.policy import Policy, load_policy
from interlock.policy.rules import is_on

OPENER: Final = "history"
CLOSER: Final = "controller"
STRATEGY: Final = "history"
MARGIN_LEVERAGE: Final = "15 x"
ORDER_NOTIONAL: Final = 1_000_000_000
VALID: Final = "90 d"
NOT_SAID: Final = "a history does not say at which margin leverage it traded"
OWN_EXITS: Final = "off: the exits of a history are its own"


def preset_policy(preset: str, symbols: Sequence[str], currency: str, *, stops_known: bool) -> Policy:
    """
    The preset (``name`` or ``name@version``) for the symbols; without known stops it requires none, and says so.

    Raises:
        PolicyInvalid: there is no such preset, or a symbol's name cannot be in a policy.
    """
    name = preset if "@" in preset else f"{preset}@1"
    rules: dict[str, Any] = {
        **dict.fromkeys(("ATR_SPIKE", "GROSS_LEVERAGE", "TRADE_RISK"), "off: a history carries no market state"),
        **dict.fromkeys(EXIT_RULES, OWN_EXITS),
        "LIQUIDATION_DISTANCE": f"off: {NOT_SAID}",
        "ORDER_NOTIONAL": {
            "notional": {
                "value": f"{ORDER_NOTIONAL} {currency}",
                "why": "the preset leaves it open: exposure bounds every order",
            }
        },
    }
    if not stops_known:
        rules["STOP_REQUIRED"] = "off: the history does not say every opening's stop"
    raw = {
        "policy_version": f"replay-{name.partition('@')[0]}",
        "extends": name,
        "created_at": "1970-01-01T00:00:00Z",
        "valid_for": VALID,
        "generator": {"name": "interlock replay"},
        "account": {"currency": currency, "margin_leverage": {"value": MARGIN_LEVERAGE, "why": NOT_SAID}},
        "universe": {symbol: {"margin_leverage": MARGIN_LEVERAGE} for symbol in symbols},
        "sources": {OPENER: {STRATEGY: ["open"]}, CLOSER: {STRATEGY: ["close"]}},
        "rules": rules,
    }
    return load_policy(json.dumps(raw))


def without_exits(policy: Policy) -> Policy:
    """The policy with every rule of the way out off, since the exits of a history are its own; itself where none is on."""
    if not any(is_on(dict(policy.leaves), rule) for rule in EXIT_RULES):
        return policy
    document = policy.document()
    rules = document["rules"]
    assert isinstance(rules, dict)
    document["rules"] = {**rules, **dict.fromkeys(EXIT_RULES, OWN_EXITS)}
    document.pop("regimes", None)
    return load_policy(json.dumps(document))
