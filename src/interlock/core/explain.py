"""
Why a decision came out as it did, in words and numbers.

Everything is computed again from what the decision carries: its facts, and the limits of its policy, which the caller
passes in. So a decision of a year ago is explained from one line of the ledger exactly as one of this moment. Nothing
here decides; `reproduced` says whether asking the guards again gave what was recorded.
"""

from collections.abc import Iterable
from math import inf, isclose, isinf, isnan, nan, nextafter
from typing import Final, Literal

import msgspec

from interlock.core.codes import Code, TradingState
from interlock.core.constants import NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.facts import FACT_UNITS, Facts
from interlock.core.guard import Guard, active_guards, ask
from interlock.core.guards import GUARDS
from interlock.core.headroom import admits, fact_edge, use
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE, Limits, Unit, is_on
from interlock.core.messages import Decision, PolicySet
from interlock.core.reasons import COMMANDS, TRIGGERS, Reason, reason_of
from interlock.core.wording import measured, money, share, stated, words

_STOP_BIT: Final = 1 << SWITCHABLE.index(Code.STOP_REQUIRED)


class Reading(msgspec.Struct, frozen=True):
    """A fact or a limit that a guard reads; for a limit, `of` says what it is measured against."""

    name: str
    value: float
    unit: Unit
    of: str = ""


class Headroom(msgspec.Struct, frozen=True):
    """
    How far the answer is from changing: the fact that would change it alone, and its last passing value.

    For a cap `fact` is `requested_notional` and `edge` the allowance.
    """

    fact: str
    value: float
    edge: float
    unit: Unit

    @property
    def is_positive(self) -> bool:
        """Whether the fact has to be above 0, and no more is asked of it."""
        return self.edge == nextafter(0.0, inf)

    @property
    def distance(self) -> float:
        """How far the fact may move (or would have to), in its unit, >= 0."""
        return inf if isinf(self.edge) else abs(self.edge - self.value)


class Answer(msgspec.Struct, frozen=True):
    """
    What one guard says to the order.

    `kind` is condition (it admits or vetoes) or cap (it names an amount). `used` is the share of its limit that the
    order uses, NaN where no limit decides. `why` is the objection in words, empty where there is none.
    """

    code: Code
    says: str
    remedy: str
    kind: Literal["condition", "cap"]
    structural: bool
    on: bool
    allowance: float
    objects: bool
    binds: bool
    why: str
    facts: tuple[Reading, ...]
    limits: tuple[Reading, ...]
    headroom: Headroom | None
    used: float


class Explanation(msgspec.Struct, frozen=True):
    """
    A decision in full.

    `sentence` is the verdict with its reason and remedy; `reasons` holds one sentence for each objection, first the
    headline's, or of an order that is allowed in part the one that leaves the least. `nearest` names guards that did not
    object, the one whose limit is used most first. `answers` is empty for an order that no guard was asked about: a
    closing one, or one that could not be meant.
    """

    decision: int
    intent_id: str
    source: str
    strategy: str
    symbol: str
    side: Literal["buy", "sell", ""]
    reducing: bool
    headline: Code
    allowed: bool
    requested_steps: int
    granted_steps: int
    requested: float
    allowance: float
    state: str
    sentence: str
    reasons: tuple[str, ...]
    remedy: str
    nearest: tuple[Code, ...]
    answers: tuple[Answer, ...]
    reproduced: bool


def limits_of(policy: PolicySet, symbol: str) -> Limits:
    """The limits that the policy sets for the symbol: its own, or the account's."""
    own = {each.symbol: each.limits for each in policy.universe}
    return policy.limits[own.get(symbol, 0)]


def explain(decision: Decision, limits: Limits, *, at_ns: int = 0, currency: str = "") -> Explanation:
    """
    The decision, explained.

    Args:
        decision: a live one, or one read back from the ledger.
        limits: those of its symbol, in the policy in force at the time.
        at_ns: when it was made, to tell how long a lock still lasts; 0 leaves that out.
        currency: of the account, for amounts in sentences.
    """
    facts = decision.facts
    requested = _requested(facts)
    answers = _answers(decision, facts, limits, requested, currency) if facts is not None else ()
    reasons = _reasons(decision, answers, at_ns)
    return Explanation(
        decision.id,
        decision.intent_id,
        decision.source,
        decision.strategy,
        decision.symbol,
        _SIDES.get(decision.side, ""),
        decision.reducing,
        decision.headline,
        decision.allowed,
        decision.requested_steps,
        decision.granted_steps,
        requested,
        decision.allowance,
        TradingState(decision.state).name,
        _verdict(decision, answers, reasons, requested, currency),
        reasons,
        _remedy(decision, answers),
        _nearest(answers),
        answers,
        facts is None or _reproduced(decision, facts, limits, requested),
    )


_SIDES: Final[dict[int, Literal["buy", "sell"]]] = {1: "buy", -1: "sell"}


# ---------------------------------------------------------------- guards asked again


def _requested(facts: Facts | None) -> float:
    return facts.requested_notional if facts is not None and facts.requested_notional > 0.0 else 0.0


def _active(decision: Decision, limits: Limits) -> int:
    """The guards' bits; a live account's STOP_REQUIRED is always on, and an objection shows that it was."""
    stop = any(objection.code == Code.STOP_REQUIRED for objection in decision.objections)
    return limits.active | _STOP_BIT if stop else limits.active


def _reproduced(decision: Decision, facts: Facts, limits: Limits, requested: float) -> bool:
    allowance, found = ask(active_guards(GUARDS, _active(decision, limits)), facts, limits, requested)
    recorded = [(objection.code, objection.allowance) for objection in decision.objections]
    return (allowance, found) == (decision.allowance, recorded)


def _answers(decision: Decision, facts: Facts, limits: Limits, requested: float, currency: str) -> tuple[Answer, ...]:
    active = {code for code, _ in active_guards(GUARDS, _active(decision, limits))}
    return tuple(
        _answer(guard, facts, limits, requested, currency, decision.allowance if guard.code in active else nan)
        for guard in GUARDS
    )


def _answer(guard: Guard, facts: Facts, limits: Limits, requested: float, currency: str, smallest: float) -> Answer:
    """One guard's answer; `smallest` is the order's allowance, NaN for a guard that is off."""
    on = not isnan(smallest)
    allowance, objections = ask(((guard.code, guard.function),), facts, limits, requested)
    objects = on and bool(objections)
    return Answer(
        guard.code,
        guard.says,
        guard.remedy,
        "cap" if is_cap(guard) else "condition",
        guard.structural,
        on,
        allowance if on else nan,
        objects,
        objects and allowance == smallest,
        objection_of(guard, facts, limits, requested, allowance, currency) if objects else "",
        facts_read(guard, facts),
        limits_read(_given(guard, limits), limits),
        headroom_of(guard, facts, limits, requested, allowance) if on else None,
        use(guard, facts, limits, requested) if on else nan,
    )


def facts_read(guard: Guard, facts: Facts) -> tuple[Reading, ...]:
    """What the guard reads of an order and its surroundings."""
    return tuple(Reading(name, getattr(facts, name), FACT_UNITS[name]) for name in guard.reads)


def limits_read(names: Iterable[str], limits: Limits) -> tuple[Reading, ...]:
    """The limits of these names as they are in force."""
    return tuple(Reading(name, getattr(limits, name), LIMIT_FIELDS[name].unit, LIMIT_FIELDS[name].of) for name in names)


def _given(guard: Guard, limits: Limits) -> list[str]:
    """The limits that count for the guard: one that it borrows from a rule that is off does not."""
    return [name for name in guard.limits if any(is_on(limits, code) for code in LIMIT_FIELDS[name].rules)]


def is_cap(guard: Guard) -> bool:
    """Whether the guard names an amount; otherwise it admits or vetoes."""
    return "open_if" not in guard.function.__code__.co_names


def headroom_of(guard: Guard, facts: Facts, limits: Limits, requested: float, allowance: float) -> Headroom | None:
    """How far the guard's answer is from changing; None where no number alone changes it."""
    if is_cap(guard):
        return Headroom("requested_notional", requested, allowance, "money")
    for names in _telling(guard):
        found = [
            Headroom(name, getattr(facts, name), edge, FACT_UNITS[name])
            for name in names
            if not isnan(edge := fact_edge(guard, facts, limits, requested, name))
        ]
        if found:
            return min(found, key=_relative)
    return None


def _relative(headroom: Headroom) -> float:
    return headroom.distance / max(abs(headroom.edge), abs(headroom.value), 1.0)


_FIXED: Final = frozenset({"side", "initial_balance", "day_open_equity", "week_open_equity", "drawdown_ref", "equity_peak"})
"""Facts from which distances are measured: nobody waits for these to move."""


def _telling(guard: Guard) -> tuple[list[str], list[str]]:
    """The facts whose distance tells most, those in the unit of a limit; and all others that are no flags, one by one."""
    continuous = [name for name in guard.reads if FACT_UNITS[name] != "flag" and name not in _FIXED]
    units = {LIMIT_FIELDS[name].unit for name in guard.limits}
    matching = [name for name in continuous if FACT_UNITS[name] in units]
    return matching or continuous[:1], [name for name in continuous if name not in matching]


# ---------------------------------------------------------------- sentences


def objection_of(guard: Guard, facts: Facts, limits: Limits, requested: float, allowance: float, currency: str) -> str:
    """What speaks against the order, with its numbers."""
    unknown = [stated(name, nan) for name in guard.reads if isnan(getattr(facts, name))]
    unknown += [f"the limit {words(name)} is not given" for name in _given(guard, limits) if isnan(getattr(limits, name))]
    if unknown:
        return ", ".join(unknown)
    if is_cap(guard):
        found = [stated(name, getattr(facts, name)) for name in guard.reads if name not in _OBVIOUS]
        numbers = ", ".join(found + [_rule(name, limits) for name in _given(guard, limits)])
        return f"{money(allowance, currency)} of {money(requested, currency)} fit ({numbers})"
    return _unmet(guard, facts, limits, requested)


_OBVIOUS: Final = frozenset({"side", "requested_notional"})
"""Facts that a sentence about an amount has told already."""


def _unmet(guard: Guard, facts: Facts, limits: Limits, requested: float) -> str:
    """The number that breaks a condition and what it would have to be; where none does alone, the condition itself."""
    headroom = headroom_of(guard, facts, limits, requested, 0.0)
    if headroom is not None:
        return f"{stated(headroom.fact, headroom.value)}, {_bound(guard, limits, headroom)}"
    for name in _given(guard, limits):
        beyond = _beyond(guard, facts, limits, requested, name)
        if beyond:
            found = ", ".join(stated(fact, getattr(facts, fact)) for fact in beyond)
            return f"{found}, limit {measured(getattr(limits, name), LIMIT_FIELDS[name].unit)}"
    readings = [f"{words(name)}: {measured(getattr(facts, name), FACT_UNITS[name])}" for name in guard.reads]
    readings += [_rule(name, limits) for name in _given(guard, limits)]
    return f"not proven that {_lowered(guard.says)} ({', '.join(readings)})"


def _beyond(guard: Guard, facts: Facts, limits: Limits, requested: float, name: str) -> list[str]:
    """The facts that exceed this limit, if the guard would admit with all of them at it."""
    limit: float = getattr(limits, name)
    beyond = [fact for fact in guard.reads if FACT_UNITS[fact] == LIMIT_FIELDS[name].unit and getattr(facts, fact) > limit]
    met = msgspec.structs.replace(facts, **dict.fromkeys(beyond, limit))
    return beyond if admits(guard, met, limits, requested) else []


def _bound(guard: Guard, limits: Limits, headroom: Headroom) -> str:
    """The limit that the fact is compared with, or the value that it needs and the limits behind that."""
    for name in _given(guard, limits):
        limit: float = getattr(limits, name)
        if LIMIT_FIELDS[name].unit == headroom.unit and isclose(limit, headroom.edge):
            return f"limit {measured(limit, headroom.unit)}"
    if headroom.is_positive:
        return "needs more than 0"
    side = "at least" if headroom.edge > headroom.value else "at most"
    behind = ", ".join(_rule(name, limits) for name in _given(guard, limits))
    return f"needs {side} {measured(headroom.edge, headroom.unit)}" + (f" ({behind})" if behind else "")


def _rule(name: str, limits: Limits) -> str:
    """The limit in words: "day loss at most 2.5 % of the equity at day open"."""
    limit = LIMIT_FIELDS[name]
    side = "at least" if limit.tighter == "higher" else "at most"
    return f"{words(name)} {side} {measured(getattr(limits, name), limit.unit)} {limit.of}".rstrip()


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _reasons(decision: Decision, answers: tuple[Answer, ...], at_ns: int) -> tuple[str, ...]:
    """One sentence for each objection, the foremost first."""
    if decision.repeats:
        state = decision.permit_state.name
        return (f"{decision.note} (decision {decision.repeats}, permit {decision.permit}, {state})",)
    by_code = {answer.code: answer for answer in answers}
    codes = [objection.code for objection in decision.objections]
    if decision.headline not in codes and decision.headline is not Code.ALLOWED:
        codes.append(decision.headline)
    foremost = _foremost(decision)
    codes.sort(key=lambda code: code != foremost)
    return tuple(_reason(decision, code, by_code.get(code), at_ns) for code in codes)


def _foremost(decision: Decision) -> Code:
    """What a denial is headed by, or the objection that leaves the least of an order."""
    if decision.headline is not Code.ALLOWED or not decision.objections:
        return decision.headline
    return min(decision.objections, key=lambda objection: objection.allowance).code


def _reason(decision: Decision, code: Code, answer: Answer | None, at_ns: int) -> str:
    if decision.lock and code in _LOCKING and code == decision.headline:
        return f"{code}: {_lock(decision, at_ns)}"
    if answer is not None:
        return f"{code}: {answer.why}: {answer.remedy}"
    says, remedy = _meaning(code)
    return f"{code}: {decision.note or says}: {remedy}"


def _meaning(code: Code) -> tuple[str, str]:
    """What the code says, and its remedy, where there are no numbers to tell."""
    reason = reason_of(code)
    if reason is not None:
        return _lowered(reason.says), reason.remedy
    guard = next(each for each in GUARDS if each.code == code)
    return f"not proven that {_lowered(guard.says)}", guard.remedy


_LOCKING: Final = frozenset({Code.TRADING_REDUCING, Code.TRADING_HALTED, Code.SYMBOL_VETO})


def _lock(decision: Decision, at_ns: int) -> str:
    """What the lock is about, how long it lasts, and what to do."""
    reason = _behind(Code(decision.lock))
    if decision.lock_until_ns == OPERATOR_NS:
        lasts = "until an operator ends it"
    elif at_ns:
        lasts = f"for another {measured((decision.lock_until_ns - at_ns) / NS_PER_S_FLOAT, 's')}"
    else:
        lasts = "for a time"
    return f"locked by {reason.code} {lasts}; {_lowered(reason.says)}: {reason.remedy}"


def _behind(code: Code) -> Reason:
    return TRIGGERS[code] if code in TRIGGERS else COMMANDS[code]


def _remedy(decision: Decision, answers: tuple[Answer, ...]) -> str:
    """What to do about the headline; empty where everything asked for was allowed."""
    foremost = _foremost(decision)
    if foremost is Code.ALLOWED or (decision.allowed and decision.granted_steps >= decision.requested_steps):
        return ""
    if decision.lock:
        return _behind(Code(decision.lock)).remedy
    return next((answer.remedy for answer in answers if answer.code == foremost), _meaning(foremost)[1])


def _verdict(
    decision: Decision, answers: tuple[Answer, ...], reasons: tuple[str, ...], requested: float, currency: str
) -> str:
    if decision.repeats:
        return f"REPEATED: {reasons[0]}"
    if not decision.allowed:
        return f"DENIED {reasons[0]}" if reasons else f"ALLOWED: {decision.note}"
    if decision.reducing:
        return "ALLOWED: it reduces the position; no guard is asked about a closing order"
    if decision.granted_steps < decision.requested_steps:
        granted = requested * decision.granted_steps / decision.requested_steps
        return f"ALLOWED in part, {money(granted, currency)} of {money(requested, currency)}: {reasons[0]}"
    nearest = [answer for answer in answers if answer.code in _nearest(answers)[:1]]
    closest = "".join(f"; closest is {answer.code}, {share(answer.used)} of its limit used" for answer in nearest)
    return f"ALLOWED: all {money(requested, currency)} asked for{closest}"


_CHOSEN: Final = frozenset({"worst_price", "margin_leverage"})
"""Numbers of the order that stand at their limit by choice, as a market order's worst price does, and warn of nothing."""


def _nearest(answers: tuple[Answer, ...]) -> tuple[Code, ...]:
    """The guards that did not object, by the share of their limit that is used."""
    close = [answer for answer in answers if answer.on and not answer.objects and answer.used > 0.0]
    close = [answer for answer in close if answer.headroom is None or answer.headroom.fact not in _CHOSEN]
    close.sort(key=lambda answer: -answer.used)
    return tuple(answer.code for answer in close)
