"""The way out on a terminal: who acts, how far each rule is, and what two hands made of the same positions."""

from collections.abc import Iterator
from itertools import zip_longest
from math import isnan
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlock.cli.output import utc
from interlock.core.codes import CloseAction
from interlock.core.exits.views import Condition, ExitOwner, ExitView, Pursuit, RuleView
from interlock.core.wording import measured, money
from interlock.study.exits import Comparison, Exit, ExitsCompared, Hand

_FORMATS: Final = {"price": ",.8g", "money": ",.2f", "x": ",.3f", "frac": ".4g", "count": ".0f"}
_PROSE_S: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def owner_text(owner: ExitOwner) -> str:
    """Who acts on exits, and whether the owner is heard, in one sentence."""
    if owner.owner == "any":
        return "the built-in rules, and every source that may close"
    heard = f"silent for {lasting(owner.silent_s)}, limit {lasting(owner.silent_s_max)}"
    if owner.succeeded:
        return f"the built-in rules act in place of {owner.owner}, which was {heard}"
    both = " and the built-in rules" if owner.builtin_acts else ""
    return f"{owner.owner}{both} ({owner.mode.value}), {'alive' if owner.alive else heard}"


def lasting(seconds: float) -> str:
    """A length of time as a person reads it: "42 s", "1.5 h"."""
    if isnan(seconds):
        return "an unknown time"
    length, unit = next(((length, unit) for length, unit in _PROSE_S if abs(seconds) >= length), (1.0, "s"))
    return f"{seconds / length:.3g} {unit}"


def show_exit(console: Console, view: ExitView) -> None:
    """One position's way out is on the console."""
    kind = "long" if view.side > 0 else "short" if view.side < 0 else "unknown"
    whose = f" for {view.strategy}" if view.strategy else ""
    console.rule(f"{view.symbol} {kind} {_number(view.quantity, ',.10g')}{whose}", align="left")
    if view.problem:
        console.print(Text(f"No rule is asked: {view.problem}.", style="bold yellow"))
    if view.forbidden_until_ns:
        until = f"The firm forbids closing until {utc(view.forbidden_until_ns)}: what protects nothing waits."
        console.print(Text(until, style="bold yellow"))
    facts = Table.grid(padding=(0, 2))
    for name, text in _facts(view):
        facts.add_row(Text(name, style="dim"), Text(text))
    console.print(facts)
    on = tuple(rule for rule in view.rules if rule.on)
    if on:
        console.print(_rules(on))
    for rule in on:
        if rule.note:
            console.print(Text(f"{rule.rung.value}: {rule.note}", style="dim"))
    off = ", ".join(rule.rung.value for rule in view.rules if not rule.on)
    if off:
        console.print(Text(f"Off in the policy: {off}.", style="dim"))


def _facts(view: ExitView) -> Iterator[tuple[str, str]]:
    said = view.harvest
    yield "entry", f"{_price(view.entry)}, {lasting(view.age_s)} ago; largest quantity {_number(view.largest, ',.10g')}"
    yield "mark", f"{_price(view.mark)}, {lasting(view.mark_age_s)} old"
    yield "stop", f"{_price(view.stop, 'none')}, at first {_price(view.first_stop, 'none')}"
    yield "target", _price(view.target, "none")
    yield "P&L", f"{money(view.pnl)}, costs {money(said.cost)}, at risk {money(said.risk)}: R {_number(said.r, '.3f')}"
    parts = (("flip", said.flip), ("spike", said.spike), ("drop", said.drop), ("age", said.age))
    yield "K", f"{_number(said.score, '.4f')} of " + ", ".join(f"{name} {_number(part, '.3g')}" for name, part in parts)
    yield "market", f"{_market(view)}, {lasting(view.regime_age_s)} old"
    if view.pursued is not None:
        yield "pursued", _pursued(view.pursued)


def _market(view: ExitView) -> str:
    now, entry = view.market, view.market_at_entry
    pairs = (
        ("regime", measured(now.regime, "regime"), measured(entry.regime, "regime")),
        ("ATR", _price(now.atr), _price(entry.atr)),
        ("sigma", _number(now.sigma, ".4g"), _number(entry.sigma, ".4g")),
        ("strength", _number(now.trend_strength, ".3g"), _number(entry.trend_strength, ".3g")),
    )
    return ", ".join(f"{name} {new} (entry {old})" for name, new, old in pairs)


def _pursued(pursued: Pursuit) -> str:
    orders = f"{pursued.orders} order{'' if pursued.orders == 1 else 's'} under way"
    following = f", next attempt {utc(pursued.next_ns)}" if pursued.next_ns else ""
    why = f" ({pursued.flatten})" if pursued.flatten else ""
    return f"{pursued.rung}{why}: down to {_number(pursued.left, ',.10g')}, {orders}{following}"


def _rules(rules: tuple[RuleView, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name, side in (("Exit", "left"), ("Closes", "right"), ("Now", "right"), ("Acts at", "right"), ("Away", "right")):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    table.add_column("")
    for rule in rules:
        for number, condition in enumerate(rule.conditions):
            first = number == 0
            head, state = ((rule.rung.value, _closes(rule)), _state(rule)) if first else (("", ""), "")
            table.add_row(*head, *_condition(condition), state, style=_style(rule))
    return table


def _condition(condition: Condition) -> tuple[str, str, str]:
    """What is read, where the rule acts, and how far that is: as a move of the mark where it is one."""
    form = _FORMATS[condition.unit]
    reads = "idle bars" if condition.unit == "count" else condition.reads
    away = f"{condition.move_frac:+.2%}"
    if isnan(condition.move_frac):
        away = _number(condition.distance, f"+{form}", "")
    return f"{reads} {_number(condition.value, form, '?')}", _acts_at(condition, form), away


def _acts_at(condition: Condition, form: str) -> str:
    threshold = _number(condition.threshold, form, "unknown")
    if condition.unit == "price" or isnan(condition.price):
        return threshold
    return f"{threshold} = {_number(condition.price, ',.7g')}"


def _closes(rule: RuleView) -> str:
    return "stop" if rule.close is CloseAction.NONE else f"{rule.close.value} %"


def _state(rule: RuleView) -> str:
    state = "fired" if rule.fired else "" if not rule.met else "waits" if rule.waits else "acts now"
    stop = f"stop to {_price(rule.stop)}" if rule.met and not isnan(rule.stop) else ""
    return ", ".join(filter(None, (state, stop)))


def _style(rule: RuleView) -> str:
    return "dim" if rule.fired else "bold yellow" if rule.met else ""


# ---------------------------------------------------------------- two hands


def show_comparison(console: Console, told: Comparison) -> None:
    """Each position with both hands side by side, and the sums, are on the console."""
    for position in told.positions:
        console.print(_compared(position))
    if not told.compared:
        advice = 'no position has ended while the policy had `exits.mode = "advisory"` and exit rules on'
        console.print(Text(f"Nothing to compare: {advice}.", style="yellow"))
        return
    difference = told.builtin_money - told.acting_money
    sums = Table(title=f"{told.compared} positions", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for name in ("", "R", "Money"):
        sums.add_column(name, justify="right" if name else "left")
    sums.add_row("as made", f"{told.acting_r:+.2f}", money(told.acting_money))
    sums.add_row("built-in rules", f"{told.builtin_r:+.2f}", money(told.builtin_money))
    sums.add_row("difference", f"{told.builtin_r - told.acting_r:+.2f}", money(difference), style="bold")
    console.print(sums)


def _compared(position: ExitsCompared) -> Table:
    kind = "long" if position.side > 0 else "short"
    until = utc(position.closed_ns) if position.closed_ns else "still open"
    title = (
        f"{position.symbol} {kind} {position.quantity:,.10g} at {_price(position.entry)}, at risk {money(position.risk)}\n"
        f"{utc(position.opened_ns)} to {until}"
    )
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name in ("As made", "R", "Money", "Built-in rules", "R", "Money"):
        table.add_column(name, justify="right" if name in ("R", "Money") else "left")
    rules = position.builtin
    for made, advised in zip_longest(position.acting.exits, rules.exits if rules is not None else ()):
        table.add_row(*_exit(made, whose=True), *_exit(advised, whose=False))
    table.add_section()
    table.add_row(*_sum(position.acting), *(_sum(rules) if rules is not None else ("not asked for advice", "", "")))
    return table


def _exit(made: Exit | None, *, whose: bool) -> tuple[str, str, str]:
    if made is None:
        return "", "", ""
    by = f" by {made.by}" if whose and made.by != made.rung else ""
    what = f"{utc(made.at_ns)[11:19]} {made.rung}{by}: {made.quantity:,.10g} at {_price(made.price)}"
    return what, _number(made.r, "+.2f"), money(made.money)


def _sum(hand: Hand) -> tuple[str, str, str]:
    return "", _number(hand.r, "+.2f"), money(hand.money)


def _price(price: float, unknown: str = "unknown") -> str:
    return _number(price, ",.8g", unknown)


def _number(number: float, form: str, unknown: str = "unknown") -> str:
    return unknown if isnan(number) else format(number, form)
