"""The guards that a policy leaves on, made ready for its limits once, and asked about one order after the other."""

from typing import Final

from interlock.core.codes import AccountKind, Code
from interlock.core.facts import Facts, Values
from interlock.core.guard import Checks, Found, active_guards, ask
from interlock.core.guards import GUARDS
from interlock.core.guards.fused import guards_under
from interlock.core.limits import BITS, Limits
from interlock.core.state import State, SymbolRow

STOP_REQUIRED_BIT: Final = BITS[Code.STOP_REQUIRED]


def checks_under(limits: Limits, *, live: bool = False) -> Checks:
    """The guards under these limits; a live account needs stops, whatever its policy says."""
    active = limits.active | STOP_REQUIRED_BIT if live else limits.active
    return Checks(limits, active, guards_under(limits, active))


def checks_of(state: State, r: SymbolRow) -> Checks:
    """The guards under the symbol's limits, made ready when they are first asked."""
    number = r.limits if r.limits > 0 else 0
    checks = state.checks.get(number)
    if checks is None:
        live = state.account.kind is AccountKind.LIVE
        checks = state.checks[number] = checks_under(state.limits(r), live=live)
    return checks


def ask_guards(checks: Checks, facts: Values, requested: float) -> tuple[float, Found]:
    """
    The smallest allowance and every guard that wants less; what `guard.ask` says of all active guards, only faster.

    Should a guard raise, they are asked again one by one, so that only that one vetoes.
    """
    found: Found = []
    try:
        return checks.ask_all(facts, requested, found), found
    except Exception:  # noqa: BLE001 (a guard that cannot be evaluated vetoes)
        return ask(active_guards(GUARDS, checks.active), Facts(*facts), checks.limits, requested)
