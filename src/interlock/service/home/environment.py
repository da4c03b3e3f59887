"""
On which side a gateway stands: the venue's test network or real money, and never by accident on the other.

Every role compares the venue's own word with what its directory was made for, before it does anything else.
"""

import os
from collections.abc import Mapping
from typing import Final

from interlock.core.codes import AccountKind
from interlock.core.errors import InterlockError
from interlock.service.home.home import Home
from interlock.service.home.runtime import Runtime
from interlock.service.private import read_plain, write_private

MAINNET: Final = "mainnet"
PAPER: Final = "paper"


class EnvironmentMismatch(InterlockError):
    """Two sides mean different environments; correct the one that is wrong before anything starts."""


class VenueMismatch(InterlockError):
    """The gateway was put in front of another venue than its account is for; correct runtime.toml or the start."""


class MainnetNotMeant(InterlockError):
    """Nobody has said yet that this account is for real money; say so once with --i-mean-mainnet."""


class SafetyModeRefused(InterlockError):
    """The gate cannot be switched off; to see trading without one, run `interlock demo`."""


def require_environment(runtime: Runtime, venue_environment: str, environ: Mapping[str, str] = os.environ) -> None:
    """
    The venue is where runtime.toml says, and INTERLOCK_ENVIRONMENT, where it is set, says the same.

    Raises:
        EnvironmentMismatch: one says otherwise.
    """
    ours = runtime.environment
    named = environ.get("INTERLOCK_ENVIRONMENT", ours)
    if named != ours:
        raise EnvironmentMismatch(
            f"INTERLOCK_ENVIRONMENT says {named}, runtime.toml says {ours}: use the home made for {named}, or correct one"
        )
    if venue_environment != ours:
        raise EnvironmentMismatch(
            f"the venue is on {venue_environment}, runtime.toml says {ours}: use credentials of {ours}, or another home"
        )


def require_venue(runtime: Runtime, kind: AccountKind, venue_name: str) -> None:
    """
    The venue is the one that runtime.toml names, and a live account, and no other, is in front of one with real orders.

    Raises:
        VenueMismatch: it is not.
    """
    if venue_name != runtime.venue:
        raise VenueMismatch(f"the venue is {venue_name}, runtime.toml says {runtime.venue}: correct one of them")
    if kind is AccountKind.LIVE:
        if venue_name == PAPER:
            raise VenueMismatch(f'mode = "{kind}", and the venue {PAPER} holds no money: write "paper" or "shadow"')
    elif venue_name != PAPER:
        raise VenueMismatch(f"a {kind} account keeps its book at the venue {PAPER}, not at {venue_name}: name that one")


def require_mainnet_meant(home: Home, runtime: Runtime, *, said: bool) -> None:
    """
    Mainnet is used on purpose: somebody says so now, or has once for this account in this home.

    Raises:
        MainnetNotMeant: nobody has.
        OSError: it cannot be recorded that somebody has.
    """
    if runtime.environment != MAINNET:
        return
    words = f"{runtime.account} is meant to trade on {MAINNET} at {runtime.venue}\n".encode()
    if said:
        write_private(home.mainnet, words)
        return
    try:
        data, _ = read_plain(home.mainnet)
    except OSError:
        data = b""
    if data != words:
        raise MainnetNotMeant(
            f"{runtime.account} is on {MAINNET}, with real money: say once that you mean it: --i-mean-mainnet"
        )


def require_safety_mode(mode: str) -> None:
    """
    The safety mode is `enabled`, the only one there is.

    Raises:
        SafetyModeRefused: another was asked for.
    """
    if mode == "enabled":
        return
    raise SafetyModeRefused(
        f"--safety-mode {mode} is refused, only enabled is accepted: to see trading without a gate, run `interlock demo`"
    )
