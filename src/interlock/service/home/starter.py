"""
What a new state directory starts with: a runtime.toml that arms nothing, a policy, and keys that nobody else has.

The policy is for the symbols of the recorded quotes, extends a preset, and lets the example strategy close what it
opens. A person is meant to read and change both files.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Final

from interlock.core.authority import OPERATOR
from interlock.core.errors import InterlockError
from interlock.policy import Policy, load_policy
from interlock.service.home.home import Home
from interlock.service.home.keys import add_source, create_keys
from interlock.service.home.runtime import RuntimeInvalid, parse
from interlock.service.private import write_private

STRATEGY: Final = "trend"
"""The example strategy, and the source that speaks for it."""

SPEED: Final = 3600.0
"""Seconds of the recording that pass in one: an hourly bar a second."""


class Style(StrEnum):
    """How much risk a first policy allows."""

    CAREFUL = "careful"
    BALANCED = "balanced"


class HomeExists(InterlockError):
    """There is something at this place already; choose another, or remove what is there."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person who starts it decides."""

    account: str = "main"
    venue: str = "paper"
    environment: str = "testnet"
    balance: float = 10_000.0
    style: Style = Style.CAREFUL


_ORDER_SHARE: Final = {Style.CAREFUL: 0.3, Style.BALANCED: 0.5}
_HEADS: Final = {
    Style.CAREFUL: """\
extends = "layered@1"                   # every number that is not written here: `interlock policy show` lists them
""",
    Style.BALANCED: """\
extends = "balanced@1"                  # every number that is not written here: `interlock policy show` lists them
""",
}

_TAILS: Final = {
    Style.CAREFUL: """
# The way out. The preset leaves it to whoever opens; here the built-in rules act beside the strategy (parameter set A).
[rules]
STOP_EXIT = "on"
TARGET_EXIT = "on"
TAKE_PROFIT = { distance = "1.2 x", trend = "60 %" }
TRAILING_STOP = { distance = "1 x" }
TIME_EXIT = { bar = "1 h", young_idle = 12, young = 24, old_idle = 24 }
REGIME_EXIT = { loss = "1 %" }
LOSS_EXIT = { loss = "12.5 %" }
HARVEST = { first = "2 x", second = "4 x", third = "6 x" }
PROFIT_LOCK = { from = "1.5 x", beyond = "0.2 %" }
KILL_EXIT = { score = "60 %" }

[market]
age = "3 h"
trend = "90 %"
chop = "65 %"

[exits]
cost = "10 bps"

[score]
flip = "label"
flip_weight = "1 x"
sigma = "entry"
sigma_weight = "0.5 x"
sigma_cap = "2 x"
strength = "entry"
strength_weight = "0.5 x"
strength_cap = "50 %"
age = "86400 s"
age_weight = "0.3 x"
""",
    Style.BALANCED: """
# The recording plays an hour a second, in bars of 1 h. What the preset counts in hours and days of a real market is here
# in seconds, or off: remove this part where the market is a real one.
[rules]
DAILY_RISK_QUOTA = "off: the recording plays a day in 24 s, so that a day's quota would be spent in a minute"
CONSEC_LOSS.lock = { value = "4 s", why = "the preset's 4 h, as they pass in the recording" }
STOP_HIT.lock = { value = "4 s", why = "the preset's 4 h, as they pass in the recording" }
RUNAWAY.window = { value = "2 s", why = "two bars of the recording; the preset's 10 min pass in no time" }
TIME_EXIT.bar = { value = "1 h", why = "the recording's bars" }
CORRELATION_VETO.bar = { value = "1 h", why = "the recording's bars" }
CORRELATION_VETO.age = { value = "3 h", why = "a common bar began up to 2 h ago, 3 h with one missing" }
""",
}

_COLLARS: Final = {
    Style.CAREFUL: (
        'rules.PRICE_COLLAR.collar = { value = "1 %", why = "gold moves by less within a second" }\n',
        'rules.PRICE_COLLAR.collar = { value = "0.5 %", why = "the euro moves by less within a second" }\n',
    ),
    Style.BALANCED: ("", ""),
}


def write_home(home: Home, choices: Choices, now: datetime) -> Policy:
    """
    The directory holds everything that a gateway needs to start; returns the policy that it starts with.

    Raises:
        HomeExists: there is something in it already.
        RuntimeInvalid: a choice cannot be an account's.
        OSError: something cannot be written; what is there by then has to be removed.
    """
    if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
        raise HomeExists(f"{home.path} is there already and not empty: choose another place, or remove it first")
    runtime, policy_text = runtime_text(choices), policy_text_of(choices, now)
    if problems := parse(runtime).problems:
        raise RuntimeInvalid(problems)
    policy = load_policy(policy_text)
    home.create()
    create_keys(home)
    for source in (STRATEGY, OPERATOR):
        add_source(home, source)
    write_private(home.policy, policy_text.encode())
    write_private(home.runtime, runtime.encode())
    return policy


def runtime_text(choices: Choices) -> str:
    """A runtime.toml with nothing armed."""
    return f"""\
# Which account this directory is for. Changes of these need a restart.
account = "{choices.account}"
venue = "{choices.venue}"
environment = "{choices.environment}"
risk_day = "00:00 UTC"                  # when its day begins: a time on the clock of an IANA zone
week = "Mon"                            # on which weekday its week begins, at that time

# The live conditions, read again before every opening order. What is missing or misspelt closes openings; a reducing
# order asks for none of them. An account keeps the mode it was opened in; a live one may be run in a tighter one.
mode = "paper"                          # shadow, paper or live
armed = false                           # live orders may leave
rollout_percent = 0                     # share of symbols with live orders, 0 to 100

[rollout]                               # a symbol's own percentage
# BTCUSDT = 100

[paper]
balance = {choices.balance:.15g}
speed = {SPEED:.10g}                            # seconds of the recording in one second
"""


def policy_text_of(choices: Choices, now: datetime) -> str:
    """A first policy for the recorded symbols."""
    share = _ORDER_SHARE[choices.style]
    gold, euro = _COLLARS[choices.style]
    return f"""\
# Written by `interlock init`, to be read and changed. `interlock policy check` says what is wrong with it.
policy_version = "{now:%Y-%m-%d}-{choices.style}"
{_HEADS[choices.style]}\
created_at = {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}
valid_for = "90 d"                      # after that nothing opens until a person signs again
generator = {{ name = "interlock init" }}
account = {{ currency = "USD" }}

[universe.XAUUSD]
margin_leverage = "10 x"
cluster = "metals"
{gold}
[universe.EURUSD]
margin_leverage = "10 x"
cluster = "currencies"
{euro}
[sources]                               # who may do what for which strategy; keys/sources/ holds a key for each
{STRATEGY} = {{ {STRATEGY} = ["open", "close"] }}

[rules.ORDER_NOTIONAL]
notional = {{ value = "{choices.balance * share:.15g} USD", why = "{share * 100:.0f} % of the first balance in one order" }}
{_TAILS[choices.style]}"""


def is_balance(amount: float) -> bool:
    """Whether an account can start with the amount."""
    return isfinite(amount) and 1.0 <= amount < 1e12
