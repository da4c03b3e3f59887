"""Explanations on a terminal: the verdict first, then what spoke against it, then how close the rest was."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlock.core.codes import Code
from interlock.core.explain import Answer, Explanation, Reading
from interlock.core.wording import measured, money, share, words

_NEAREST_SHOWN = 5


def show_explanation(console: Console, explanation: Explanation, currency: str, *, every: bool) -> None:
    """The explanation is on the console; with `every`, each guard with what it read."""
    colour = "green" if explanation.headline == Code.ALLOWED else "red"
    console.print(Text(explanation.sentence, style=f"bold {colour}"))
    for reason in explanation.reasons:
        if reason not in explanation.sentence:
            console.print(Text(f"also {reason}"))
    console.print(_order(explanation, currency))
    if not explanation.reproduced:
        console.print(
            "Asking the guards again gives another answer: use the version and policy of the time.", style="yellow"
        )
    if not explanation.answers:
        return
    shown = explanation.answers if every else [*_objecting(explanation), *_closest(explanation)]
    if shown:
        console.print(
            _table(shown, "All guards" if every else "What objected, and what came closest", currency, facts=every)
        )


def _order(explanation: Explanation, currency: str) -> Table:
    table = Table.grid(padding=(0, 2))
    size = f" for {money(explanation.requested, currency)}" if explanation.answers else ""
    steps = f"{explanation.granted_steps:,} of {explanation.requested_steps:,} steps"
    kind = "reduces" if explanation.reducing else "opens"
    rows = [
        ("order", f"{explanation.side} {explanation.symbol}{size} ({kind})"),
        ("granted", steps),
        ("asked by", f"{explanation.source} for {explanation.strategy}, intent {explanation.intent_id}"),
        ("decision", f"{explanation.decision}, trading state {explanation.state}"),
        ("what to do", explanation.remedy),
    ]
    for name, text in rows:
        if text:
            table.add_row(Text(name, style="dim"), Text(text))
    return table


def _objecting(explanation: Explanation) -> list[Answer]:
    return [answer for answer in explanation.answers if answer.objects]


def _closest(explanation: Explanation) -> list[Answer]:
    by_code = {answer.code: answer for answer in explanation.answers}
    return [by_code[code] for code in explanation.nearest[:_NEAREST_SHOWN]]


def _table(answers: Iterable[Answer], title: str, currency: str, *, facts: bool) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1), pad_edge=False)
    table.add_column("Guard", no_wrap=True)
    table.add_column("Allows", justify="right")
    table.add_column("Limit used", justify="right")
    table.add_column("Room" if not facts else "Read")
    for answer in answers:
        style = "red" if answer.objects else "dim" if not answer.on else ""
        last = _read(answer) if facts and answer.on else _room(answer, currency)
        table.add_row(Text(answer.code), _allows(answer), _used(answer), Text(last), style=style)
    return table


def _allows(answer: Answer) -> str:
    if not answer.on:
        return "off"
    if answer.kind == "condition":
        return "no" if answer.objects else "yes"
    return money(answer.allowance)


def _used(answer: Answer) -> str:
    return share(answer.used) if answer.used >= 0.0 else ""


def _room(answer: Answer, currency: str) -> str:
    """How far the answer is from the other one, in words."""
    room = answer.headroom
    if room is None:
        return ""
    if answer.kind == "cap":
        side = "less than" if answer.objects else "more than"
        return f"{money(room.distance, currency)} {side} asked for"
    if room.is_positive:
        return f"{words(room.fact)} {measured(room.value, room.unit)}, must be above 0"
    verb = "must" if answer.objects else "may"
    way = "rise" if room.edge > room.value else "fall"
    distance = float(f"{room.distance:.6g}")
    value, by, edge = (measured(each, room.unit) for each in (room.value, distance, room.edge))
    return f"{words(room.fact)} {value}, {verb} {way} by {by} to {edge}"


def _read(answer: Answer) -> str:
    return ", ".join(_reading(reading) for reading in (*answer.facts, *answer.limits))


def _reading(reading: Reading) -> str:
    return f"{reading.name} {measured(reading.value, reading.unit)}"
