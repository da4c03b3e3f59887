"""
The four live conditions: what may keep an account from opening besides its policy, and what each was read from.

They gate openings only: a reducing order asks for none of them. The file is read whole each time, so that no change can
hide behind an unchanged time stamp. The environment is looked at once, at the start, and can only tighten: it never arms
what the file does not arm.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Final

from interlock.core.codes import AccountKind
from interlock.core.messages import ModeSet
from interlock.service.home.home import Home
from interlock.service.home.latch import KillState, Switch
from interlock.service.home.runtime import Runtime, RuntimeInvalid, read_runtime

_OFF: Final = ("false", "0", "no", "off")
_ON: Final = ("true", "1", "yes", "on")
_KINDS: Final = tuple(AccountKind)
_FILE: Final = "runtime.toml"
_SHOWN_MAX: Final = 8


def kill_by_environment(environ: Mapping[str, str]) -> bool:
    """Whether INTERLOCK_KILL_SWITCH is on: unset, false, 0, no and off are off, everything else is on."""
    value = environ.get("INTERLOCK_KILL_SWITCH")
    return value is not None and value.strip().lower() not in _OFF


@dataclass(frozen=True, slots=True)
class Tightening:
    """What the environment says: nothing (None) or a reason to stay closed."""

    kill: str | None = None
    disarmed: str | None = None
    mode: AccountKind | None = None
    mode_unknown: str | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> "Tightening":
        """What INTERLOCK_KILL_SWITCH, INTERLOCK_ARMED and INTERLOCK_MODE say, where they are set."""
        armed, mode = environ.get("INTERLOCK_ARMED"), environ.get("INTERLOCK_MODE")
        known = next((kind for kind in _KINDS if mode is not None and kind == mode.strip().lower()), None)
        return cls(
            kill=f"INTERLOCK_KILL_SWITCH={environ['INTERLOCK_KILL_SWITCH']}" if kill_by_environment(environ) else None,
            disarmed=f"INTERLOCK_ARMED={armed}" if armed is not None and armed.strip().lower() not in _ON else None,
            mode=known,
            mode_unknown=f"INTERLOCK_MODE={mode}" if mode is not None and known is None else None,
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """The live conditions at one moment: as the core is told, and as people see them (name, met, read from what)."""

    told: ModeSet
    shown: tuple[tuple[str, bool, str], ...]


class LiveConditions:
    """The live conditions of one account, whose kind was settled when it was opened."""

    def __init__(self, home: Home, runtime: Runtime, kind: AccountKind, environment: Tightening) -> None:
        self._home = home
        self._identity = _identity(runtime)
        self._kind = kind
        self._environment = environment

    def read(self, symbols: Sequence[str], kill: KillState) -> Conditions:
        """The conditions as the disk has them now, for these symbols; may block as long as the disk does."""
        try:
            runtime = read_runtime(self._home)
        except RuntimeInvalid as error:
            return self._closed(error.problems, kill)
        now = _identity(runtime)
        changed = [
            f"{key} was {was} at the start and is {now[key]} now: change it back, or restart"
            for key, was in self._identity.items()
            if now[key] != was
        ]
        if changed or runtime.problems:
            return self._closed((*changed, *runtime.problems), kill)
        return self._judged(runtime, symbols, kill)

    def _closed(self, problems: tuple[str, ...], kill: KillState) -> Conditions:
        """Nothing is known, and so nothing may open, on an account of any kind."""
        reason = f"{_FILE}: " + "; ".join(problems)
        shown = tuple((name, False, reason) for name in ("mode", "armed", "rollout"))
        return Conditions(ModeSet(nan, nan, self._killed(unknown=True), reason), (*shown, self._switch(kill)))

    def _judged(self, runtime: Runtime, symbols: Sequence[str], kill: KillState) -> Conditions:
        env = self._environment
        mode, mode_from = self._mode(runtime)
        armed = runtime.armed is True and env.disarmed is None
        covered = tuple(symbol for symbol in symbols if runtime.rolled_out(symbol))
        rollout_from = f"{_FILE}: rollout_percent = {runtime.rollout_percent}, covers {_listed(covered, symbols)}"
        shown = (
            ("mode", mode is AccountKind.LIVE, mode_from),
            ("armed", armed, env.disarmed or f"{_FILE}: armed = {str(runtime.armed).lower()}"),
            ("rollout", bool(covered), rollout_from),
            self._switch(kill),
        )
        told = ModeSet(
            armed=float(armed and mode is AccountKind.LIVE),
            rollout=float(runtime.rolled_out_whole),
            environment_kill=self._killed(unknown=mode is not self._kind),
            reason="; ".join(where for _, met, where in shown if not met),
            symbols=covered,
        )
        return Conditions(told, shown)

    def _mode(self, runtime: Runtime) -> tuple[AccountKind | None, str]:
        """The tighter of what the file and the environment say, None where one is not understood, and who says it."""
        env, written = self._environment, runtime.kind
        if env.mode_unknown is not None or written is None:
            return None, env.mode_unknown or f"{_FILE}: mode is not known"
        if env.mode is not None and _KINDS.index(env.mode) < _KINDS.index(written):
            return env.mode, f"INTERLOCK_MODE={env.mode}"
        return written, f"{_FILE}: mode = {written}"

    def _killed(self, *, unknown: bool) -> float:
        """The environment's kill switch: on, or off; not known where openings of any kind of account must stay closed."""
        if self._environment.kill is not None:
            return 1.0
        return nan if unknown else 0.0

    def _switch(self, kill: KillState) -> tuple[str, bool, str]:
        name = "kill switch off"
        if self._environment.kill is not None:
            return name, False, self._environment.kill
        if kill.account is not None:
            return name, False, kill.entries[0].reason
        return name, kill.switch is not Switch.UNKNOWN, "latch and sentinel"


def _identity(runtime: Runtime) -> dict[str, str]:
    return {key: str(getattr(runtime, key)) for key in ("account", "venue", "environment")}


def _listed(covered: Sequence[str], symbols: Sequence[str]) -> str:
    if len(covered) == len(symbols):
        return "all symbols"
    more = "" if len(covered) <= _SHOWN_MAX else f" and {len(covered) - _SHOWN_MAX} more"
    return (", ".join(covered[:_SHOWN_MAX]) + more) or "no symbol"
