"""
What must be true across a policy: nothing that an active rule reads is missing, and limits stand in their order.

Works on the leaves of an expanded policy. A leaf that could not be read takes part in nothing: its own problem is
reported where it stands, and not a second time here.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import inf
from typing import Final

from interlock.core.codes import Code
from interlock.core.limits import SWITCHABLE
from interlock.policy.layout import LABEL_RULES, LABELS, RULES, SLOT_AT, SLOTS, Slot, slots_of
from interlock.policy.leaf import OFF, Leaves, instant_ns
from interlock.policy.overlay import account_part, by_symbol, limits_part, of_regime, overlay
from interlock.policy.problems import Path, Problem, dotted
from interlock.policy.units import EXPECTED

_HEAD: Final[dict[Path, str]] = {
    ("policy_version",): 'a name for this policy, such as "2026-01"',
    ("created_at",): "the instant at which it was made, such as 2026-01-31T12:00:00Z",
    ("valid_for",): 'how long it may be used, such as "90 d"',
    ("generator", "name"): "who or what made it",
    ("account", "currency"): 'the account\'s currency, such as "USD"',
    ("kill_switch", "mode"): '"reduce_only" or "flatten"',
    ("exits", "owner"): 'who may close: "any", or one name',
    ("exits", "mode"): '"builtin", "external" or "advisory"',
}

_ALWAYS: Final = (("exits", "retry_first"), ("exits", "retry_max"))
"""Read whenever something is flattened, which the kill switch can ask for with every trigger off."""

_TRIPS: Final = (("breaker", "trips"), ("breaker", "trip_window"))
"""Read only where an open breaker closes by itself: what trips once and waits for an operator needs no count."""

_RISING: Final[tuple[tuple[str, ...], ...]] = (
    ("rules.DAILY_LOSS.loss", "rules.WEEKLY_LOSS.loss", "rules.TOTAL_DRAWDOWN.loss"),
    (
        "rules.DAILY_LOSS.loss",
        "rules.DRAWDOWN.loss",
        "rules.EMERGENCY_FLATTEN.loss",
        "rules.TOTAL_DRAWDOWN.loss",
    ),
    ("rules.WARN.rearm", "rules.WARN.at"),
    ("market.chop", "market.trend"),
    ("rules.KILL_SCORE.shrink", "rules.KILL_SCORE.critical"),
    ("rules.CONSEC_LOSS.losses", "rules.CONSEC_LOSS_BREAKER.losses"),
)
_NOT_FALLING: Final[tuple[tuple[str, ...], ...]] = (
    ("rules.SYMBOL_EXPOSURE.exposure", "rules.STRATEGY_EXPOSURE.exposure", "rules.TOTAL_EXPOSURE.exposure"),
    ("rules.NET_EXPOSURE.exposure", "rules.TOTAL_EXPOSURE.exposure"),
    ("rules.CLUSTER_CAP.exposure", "rules.TOTAL_EXPOSURE.exposure"),
    ("rules.CORRELATION_VETO.exposure", "rules.TOTAL_EXPOSURE.exposure"),
    ("exits.retry_first", "exits.retry_max"),
    ("record.trades", "record.window"),
    ("rules.TRADE_RISK.chop", "rules.TRADE_RISK.base", "rules.TRADE_RISK.trend"),
    (
        "rules.GROSS_LEVERAGE.chop_unsure",
        "rules.GROSS_LEVERAGE.chop",
        "rules.GROSS_LEVERAGE.base",
        "rules.GROSS_LEVERAGE.trend_unsure",
        "rules.GROSS_LEVERAGE.trend",
        "rules.GROSS_LEVERAGE.total",
    ),
    (
        "rules.DAILY_RISK_QUOTA.order_slices",
        "rules.DAILY_RISK_QUOTA.day_slices",
        "rules.DAILY_RISK_QUOTA.campaign_slices",
    ),
)
_LEVERAGE: Final = SLOT_AT["account", "margin_leverage"]
_NAMES: Final = {"universe": (2,), "sources": (2, 3)}
"""How many parts of a path end in a name that the writer chose."""


def is_on(leaves: Leaves, rule: Code) -> bool:
    """Whether the rule is on: structural, or given and not "off: why"."""
    word = leaves.get(("rules", rule.value))
    return rule not in SWITCHABLE or word is None or not word.text.startswith(OFF)


def is_needed(leaves: Leaves, slot: Slot) -> bool:
    """Whether some active rule reads the slot's number."""
    if slot.path[0] == "sizing":
        return False
    if slot.rule is not None:
        return is_on(leaves, slot.rule)
    if slot.path in _ALWAYS:
        return True
    if slot.path in _TRIPS and _waits(leaves):
        return False
    return any(is_on(leaves, rule) for rule in slot.limit.rules)


def _waits(leaves: Leaves) -> bool:
    """Whether an open breaker waits for an operator from its first trip on."""
    lock = leaves.get(("breaker", "lock"))
    return lock is not None and lock.number == inf


def missing(leaves: Leaves, broken: set[Path]) -> Iterator[Problem]:
    """A problem for each part that must be there and is not."""
    for path, expected in _HEAD.items():
        if path not in leaves and not _is_broken(path, broken):
            yield _absent(path, expected, "write it; nothing has a default")
    for table, what in (("universe", "symbol"), ("sources", "source")):
        if not any(path[0] == table for path in leaves) and not any(path[0] == table for path in broken):
            yield _absent((table,), f"at least one {what}", f"without a {what} nothing could ever be opened")
    for rule in RULES:
        yield from _missing_numbers(leaves, rule, broken)
    account = account_part(leaves)
    for symbol, own in by_symbol(leaves).items():
        yield from _missing_in_symbol(account, symbol, own, broken)
    yield from _missing_in_regimes(leaves, account, broken)
    for slot in SLOTS:
        if slot.rule is None and is_needed(leaves, slot) and _lacks(leaves, slot.path, broken):
            yield _absent(slot.path, EXPECTED[slot.limit.unit], _read_by(leaves, slot))


def _missing_in_regimes(leaves: Leaves, account: Leaves, broken: set[Path]) -> Iterator[Problem]:
    for label in LABELS:
        if own := of_regime(leaves, label):
            yield from _missing_in_regime(account, label, own, broken)


def _missing_in_regime(account: Leaves, label: str, own: Leaves, broken: set[Path]) -> Iterator[Problem]:
    """What a regime's own rules and score lack, also where the account has the rule off."""
    inside = ("regimes", label)
    broken_here = broken | {place[2:] for place in broken if place[:2] == inside}
    around = overlay(account, own)
    for rule in LABEL_RULES:
        for problem in _missing_numbers(around, rule, broken_here):
            yield problem._replace(path=(*inside, *problem.path))
    for slot in SLOTS:
        new = slot.rule is None and is_needed(around, slot) and not is_needed(account, slot)
        if new and _lacks(around, slot.path, broken_here):
            yield _absent((*inside, *slot.path), EXPECTED[slot.limit.unit], _read_by(around, slot))


def _missing_in_symbol(account: Leaves, symbol: str, own: Leaves, broken: set[Path]) -> Iterator[Problem]:
    inside = ("universe", symbol)
    broken_here = broken | {place[2:] for place in broken if place[:2] == inside}
    if is_needed(account, _LEVERAGE) and _lacks(own, ("margin_leverage",), broken_here):
        yield _absent((*inside, "margin_leverage"), EXPECTED["x"], _read_by(account, _LEVERAGE))
    rules = {Code(path[1]): None for path in own if path[0] == "rules"}
    around = overlay(account, limits_part(own)) if rules else account
    for rule in rules:
        for problem in _missing_numbers(around, rule, broken_here):
            yield problem._replace(path=(*inside, *problem.path))


def _missing_numbers(leaves: Leaves, rule: Code, broken: set[Path]) -> Iterator[Problem]:
    path = ("rules", rule.value)
    if path in leaves or _is_broken(path, broken):
        return
    slots = slots_of(rule)
    absent = [slot for slot in slots if _lacks(leaves, slot.path, broken)]
    if len(absent) == len(slots) and not any(place[:2] == path for place in broken):
        forms = "a table with its numbers" if slots else '"on"'
        off = ' or "off: <why>"' if rule in SWITCHABLE else ""
        yield _absent(path, forms + off, "write it, or inherit it with extends; nothing has a default")
        return
    for slot in absent:
        yield _absent(slot.path, EXPECTED[slot.limit.unit], f"{rule} reads it")


def crossed(leaves: Leaves) -> Iterator[Problem]:
    """A problem for each pair of numbers that contradict each other."""
    yield from dict.fromkeys(problem for chain in _RISING for problem in _in_order(leaves, chain, equal=False))
    for chain in _NOT_FALLING:
        yield from _in_order(leaves, chain, equal=True)
    yield from _rebase(leaves)
    yield from _probe(leaves)
    yield from _one_size(leaves, ())
    yield from _currencies(leaves)
    yield from _leverages(leaves)
    yield from _one_benchmark(leaves)
    yield from _symbols(leaves)
    yield from _instants(leaves)
    yield from _names(leaves)


def _in_order(leaves: Leaves, chain: Iterable[str], *, equal: bool) -> Iterator[Problem]:
    places = [tuple(name.split(".")) for name in chain]
    present = [path for path in places if path in leaves and _rule_is_on(leaves, path)]
    for lower, upper in pairwise(present):
        low, high = leaves[lower], leaves[upper]
        if not (low.number < high.number or (equal and low.number == high.number)):
            word = "at most" if equal else "less than"
            expected = f'{word} {dotted(upper)} = "{high.text}"'
            yield Problem(lower, f'"{low.text}"', expected, f"lower it, or raise {dotted(upper)}")


def _rule_is_on(leaves: Leaves, path: Path) -> bool:
    return path[0] != "rules" or is_on(leaves, Code(path[1]))


def _rebase(leaves: Leaves) -> Iterator[Problem]:
    path = ("account", "rebase_after_drawdown")
    rebase = leaves.get(path)
    if rebase and rebase.number and not is_on(leaves, Code.TOTAL_DRAWDOWN):
        remedy = "switch TOTAL_DRAWDOWN on: otherwise each new reference would allow the same loss again"
        yield Problem(path, '"yes"', '"no" while TOTAL_DRAWDOWN is off', remedy)


def _probe(leaves: Leaves) -> Iterator[Problem]:
    path = ("rules", "KELLY_ZERO", "lock")
    if path in leaves and not is_on(leaves, Code.KELLY_CAP):
        remedy = "switch KELLY_CAP on, which has the probe that a strategy without an edge trades at after its rest"
        yield Problem(path, f'"{leaves[path].text}"', 'KELLY_ZERO = "off: <why>" while KELLY_CAP is off', remedy)


def _one_size(leaves: Leaves, inside: Path) -> Iterator[Problem]:
    if ("sizing", "quantity") in leaves and ("sizing", "fraction") in leaves:
        remedy = "keep the one by which an order without a size is sized"
        yield Problem((*inside, "sizing"), "quantity and fraction", "one of them", remedy)
    if ("sizing", "target") in leaves and ("sizing", "stop") not in leaves:
        yield Problem((*inside, "sizing"), "target without stop", "both", "say how far away the stop is, in ATR")
    if ("sizing", "stop") in leaves and not inside and not is_on(leaves, Code.TRADE_RISK):
        remedy = "switch TRADE_RISK on, which says how much a trade may lose and what it costs"
        yield Problem(("sizing", "stop"), f'"{leaves["sizing", "stop"].text}"', "no stop while TRADE_RISK is off", remedy)


def _currencies(leaves: Leaves) -> Iterator[Problem]:
    currency = leaves.get(("account", "currency"))
    if currency is None:
        return
    for path, leaf in leaves.items():
        if path[-2:] == ("ORDER_NOTIONAL", "notional") and leaf.unit != currency.text:
            expected = f"an amount in {currency.text}"
            yield Problem(path, f'"{leaf.text}"', expected, "limits are in the account's currency; convert it")


def _leverages(leaves: Leaves) -> Iterator[Problem]:
    cap = leaves.get(("account", "margin_leverage"))
    if cap is None:
        return
    for path, leaf in leaves.items():
        if path[0] == "universe" and path[2:] == ("margin_leverage",) and leaf.number > cap.number:
            expected = f'at most account.margin_leverage = "{cap.text}"'
            yield Problem(path, f'"{leaf.text}"', expected, "lower the symbol's leverage")


def _one_benchmark(leaves: Leaves) -> Iterator[Problem]:
    named = [path for path, leaf in leaves.items() if path[0] == "universe" and path[2:] == ("benchmark",) and leaf.number]
    for path in named[1:]:
        yield Problem(path, '"yes"', f"one benchmark, and {named[0][1]} is one", f"keep the flag at {named[0][1]} or here")


def _symbols(leaves: Leaves) -> Iterator[Problem]:
    account = account_part(leaves)
    for symbol, own in by_symbol(leaves).items():
        yield from _one_size(own, ("universe", symbol))
        if ("rules", "SYMBOL_EXPOSURE", "exposure") in own:
            around = overlay(account, limits_part(own))
            for problem in _in_order(around, _NOT_FALLING[0], equal=True):
                if problem.path[1] == "SYMBOL_EXPOSURE":
                    yield problem._replace(path=("universe", symbol, *problem.path))


def _instants(leaves: Leaves) -> Iterator[Problem]:
    created, published = leaves.get(("created_at",)), leaves.get(("published_at",))
    if created and published and instant_ns(published.text) < instant_ns(created.text):
        expected = f"created_at = {created.text} or later"
        yield Problem(("published_at",), published.text, expected, "publish it again")


def _names(leaves: Leaves) -> Iterator[Problem]:
    named = {path[:end] for path in leaves for end in _NAMES.get(path[0], ())}
    for path in sorted(named):
        if not path[-1].strip() or not path[-1].isprintable():
            yield Problem(path, repr(path[-1]), "a name of printable characters", "name it as the venue or the source does")


def _lacks(leaves: Leaves, path: Path, broken: set[Path]) -> bool:
    return path not in leaves and not _is_broken(path, broken)


def _is_broken(path: Path, broken: set[Path]) -> bool:
    return any(path[: len(place)] == place for place in broken)


def _read_by(leaves: Leaves, slot: Slot) -> str:
    readers = [rule.value for rule in slot.limit.rules if is_on(leaves, rule)]
    return f"write it: {', '.join(readers)} read it" if readers else "write it: every flatten reads it"


def _absent(path: Path, expected: str, remedy: str) -> Problem:
    return Problem(path, "nothing", expected, remedy)
