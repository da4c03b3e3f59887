"""What the gate did, in the words of a table or a report."""

from datetime import UTC, datetime
from math import inf
from typing import Final

from interlock.core.codes import Code
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.explain import explain, limits_of
from interlock.core.guards import GUARDS
from interlock.core.messages import Decision
from interlock.core.numbers import larger
from interlock.policy import Policy
from interlock.report import Kind

SAYS: Final = {guard.code: f"{guard.remedy[0].upper()}{guard.remedy[1:]}" for guard in GUARDS}
"""What a denial tells whoever asked."""
FLOOR_NAMES: Final = {
    Code.DAILY_LOSS: "Daily loss",
    Code.WEEKLY_LOSS: "Weekly loss",
    Code.DRAWDOWN: "Drawdown",
    Code.TOTAL_DRAWDOWN: "Total drawdown",
    Code.EMERGENCY_FLATTEN: "Emergency flatten",
    Code.EQUITY_GUARD: "Equity guard",
}
FLATTENING: Final = "The position is to be closed until it is flat."
LOCKED: Final = (Code.TRADING_REDUCING, Code.TRADING_HALTED, Code.SYMBOL_VETO)
INDENT: Final = "· "


def reason(decision: Decision) -> tuple[Code, Kind]:
    """The foremost reason why a decision gave less than was asked for, and whether it gave anything."""
    if decision.allowed:
        return min(decision.objections, key=lambda objection: objection.allowance).code, Kind.CAPPED
    return decision.headline, Kind.DENIED


def explained(policy: Policy, at_ns: int, decision: Decision) -> str:
    """The decision's foremost reason in words and numbers."""
    limits = limits_of(policy.publish(at_ns).compile(at_ns), decision.symbol)
    currency = policy.leaves["account", "currency"].text
    explanation = explain(decision, limits, at_ns=at_ns, currency=currency)
    return explanation.reasons[0].removeprefix(f"{reason(decision)[0]}: ")


def bound(decision: Decision, code: Code) -> str:
    """What bound, in numbers."""
    facts = decision.facts
    if decision.allowed:
        return _room(decision)
    if decision.lock:
        end = "an operator" if decision.lock_until_ns == OPERATOR_NS else instant(decision.lock_until_ns)
        return f"{decision.lock} until {end}"
    if facts is None:
        return decision.note
    if code in FLOOR_NAMES:
        return f"equity {facts.equity:,.0f}"
    if code == Code.MARKET_STALE:
        age_s = larger(facts.mark_age_s, facts.book_age_s)
        return f"oldest price {age_s:,.0f} s" if age_s < inf else "a symbol's session has no price yet"
    return _room(decision)


def _room(decision: Decision) -> str:
    """How much there was room for, of how much was asked."""
    asked = decision.facts.requested_notional if decision.facts else 0.0
    return f"room for {max(decision.allowance, 0.0):,.0f} of {asked:,.0f}"


def percent(frac: float, sign: str = "+") -> str:
    """A fraction as a percentage with its sign."""
    return f"{frac * 100.0:{sign}.1f} %".replace("-", "−")


def count(number: int) -> str:
    """A whole number."""
    return f"{number:,}".replace(",", "\u202f").replace("-", "−")


def date(at_ns: int) -> str:
    """The day of an instant, UTC."""
    return f"{datetime.fromtimestamp(at_ns // NS_PER_S, UTC):%-d %b %Y}"


def instant(at_ns: int) -> str:
    """An instant to the minute, UTC."""
    return f"{datetime.fromtimestamp(at_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M}"
