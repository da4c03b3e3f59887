"""How far every rule is used, on a terminal: what objects, what is used most, what bounds each order, the rest by name."""

from collections.abc import Iterable, Iterator
from math import inf, isnan
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlock.cli.live import WIDE
from interlock.cli.output import utc
from interlock.core.constants import OPERATOR_NS
from interlock.core.limits import Unit
from interlock.core.utilisation import Standing, Utilisation
from interlock.core.wording import measured, money, share, stated, words

_MUCH: Final = 0.7
"""The share of a limit from which its line is yellow."""

_DIGITS: Final = 4
"""Significant digits of what is used: enough beside a limit."""

_SIDES: Final = {1: "buy", -1: "sell", 0: ""}


def show_use(console: Console, told: Utilisation) -> None:
    """All rules are on the console, those first that stop something."""
    wide = console.width >= WIDE
    console.print(Text(heading(told)))
    for symbol in told.undefined:
        console.print(Text(f"! {symbol} is in the policy and not defined: nothing opens in it", style="bold red"))
    guards = [each for each in told.standings if each.kind == "guard"]
    triggers = [each for each in told.standings if each.kind == "trigger"]
    _print(console, _objections(each for each in guards if each.stand == "objects"))
    _print(console, _shares((each for each in guards if each.stand == "admits" and each.share > 0.0), wide=wide))
    _print(console, _bounds(each for each in guards if each.stand == "admits" and each.measure != "share"))
    _print(console, _triggers(each for each in triggers if each.stand == "fired" or each.share > 0.0 or each.room))
    for line in _rest(guards, triggers):
        console.print(Text(line))


def heading(told: Utilisation) -> str:
    """When, by what orders and in how many places it was asked."""
    stop = "no stop" if isnan(told.stop_frac) else f"a stop {measured(told.stop_frac, 'frac')} away"
    asked = f"asked with the smallest orders, {stop}, in {told.place_count} places"
    return f"{utc(told.at_ns)}, amounts in {told.currency}. Guards are {asked}."


def show_standing(console: Console, standing: Standing, currency: str) -> None:
    """How one rule stands is on the console."""
    grid = Table.grid(padding=(0, 2))
    for name, text in _lines(standing, currency):
        if text:
            grid.add_row(Text(name, style="dim"), Text(text, style=_style(standing) if name == "now" else ""))
    console.print(grid)


def _lines(standing: Standing, currency: str) -> Iterator[tuple[str, str]]:
    yield "now", _stand(standing)
    now, limit, part = _numbers(standing)
    yield "used", now and f"{now} of {limit} {words(standing.limit_name)}".rstrip() + f", {part}"
    yield "at most", money(standing.allowance, currency) if 0.0 < standing.allowance < inf else ""
    yield "where", _where(standing)
    yield "why", standing.why
    yield "unknown", ", ".join(standing.unknown)
    yield "room", _room(standing)
    yield "reads", ", ".join(f"{each.name} {_near(each.value, each.unit)}" for each in standing.facts)
    yield "in force", ", ".join(f"{each.name} {measured(each.value, each.unit)}" for each in standing.limits)


def _stand(standing: Standing) -> str:
    if standing.stand == "fired" and standing.until_ns:
        return "fired, until " + ("an operator" if standing.until_ns == OPERATOR_NS else utc(standing.until_ns))
    places = f"in {standing.objecting_count} of {standing.place_count} places" if standing.stand == "objects" else ""
    binds = f", binds in {standing.binding_count} of {standing.place_count}" if standing.binding_count else ""
    return f"{standing.stand} {places}".rstrip() + binds


# ---------------------------------------------------------------- tables


def _print(console: Console, table: Table) -> None:
    if table.row_count:
        console.print()
        console.print(table)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1), pad_edge=False, box=None)
    for heading in headings:
        right = heading in ("Now", "Limit", "Used", "At most")
        table.add_column(heading, justify="right" if right else "left", no_wrap=right or heading == "Code", overflow="fold")
    return table


def _objections(standings: Iterable[Standing]) -> Table:
    table = _table("Guards that object", "Code", "In", "Where", "Why")
    for each in standings:
        where = _where(each) or ("everywhere" if each.objecting_count == each.place_count else "")
        cells = (each.code, f"{each.objecting_count}/{each.place_count}", where, each.why)
        table.add_row(*map(Text, cells), style="red")
    return table


def _shares(standings: Iterable[Standing], *, wide: bool) -> Table:
    """Guards of whose limits something is used, the most used first."""
    title = "Guards, by what is used of their limits"
    table = _table(title, "Code", "Now", "Limit", "Used", "At most", "Where", *(("Limit on",) if wide else ()))
    for each in sorted(standings, key=lambda each: -each.share):
        most = money(each.allowance) if each.allowance < inf else ""
        limit = (words(each.limit_name),) if wide else ()
        table.add_row(*map(Text, (each.code, *_numbers(each), most, _where(each), *limit)), style=_style(each))
    return table


def _triggers(standings: Iterable[Standing]) -> Table:
    """Triggers on the way to firing, those that have fired first."""
    table = _table("Triggers, by how close they are", "Code", "Now", "Limit", "Used", "State")
    for each in sorted(standings, key=lambda each: (each.stand != "fired", -each.share if each.share > 0.0 else 0.0)):
        state = ", ".join(
            filter(None, ("" if each.stand == "quiet" else _stand(each), _where(each), each.why, _room(each)))
        )
        table.add_row(*map(Text, (each.code, *_numbers(each), state)), style=_style(each))
    return table


def _numbers(standing: Standing) -> tuple[str, str, str]:
    """What is used, of what, and the share; empty where there is no share."""
    if isnan(standing.share):
        return "", "", ""
    return _near(standing.used, standing.unit), measured(standing.limit, _unit(standing)), share(standing.share)


def _bounds(standings: Iterable[Standing]) -> Table:
    """What bounds each order by itself, and what time will change."""
    table = _table("Guards that bound each order, or wait", "Code", "At most", "Where", "Room")
    for each in standings:
        if each.allowance < inf or each.room is not None:
            most = money(each.allowance) if each.allowance < inf else ""
            table.add_row(*map(Text, (each.code, most, _where(each), _room(each))))
    return table


def _rest(guards: list[Standing], triggers: list[Standing]) -> Iterator[str]:
    """What binds, and by their names those of which there is nothing more to tell."""
    binding = [f"{each.code} in {each.binding_count} of {each.place_count}" for each in guards if each.binding_count]
    admits = [each for each in guards if each.stand == "admits" and each.allowance == inf and each.room is None]
    quiet = [each for each in triggers if each.stand == "quiet" and each.room is None]
    off = dict.fromkeys(each.code for each in (*guards, *triggers) if each.stand == "off")
    yield ""
    yield f"Allows least: {', '.join(binding) or 'nothing bounds an order'}."
    for what, codes in (
        ("Nothing used", _codes(each for each in guards if each.stand == "admits" and each.share == 0.0)),
        ("Met", _codes(each for each in admits if each.measure == "condition")),
        ("Looked at with each order", _codes(each for each in admits if each.measure == "order")),
        ("Quiet triggers", _codes(each for each in quiet if not each.share > 0.0)),
        ("Not asked, as nothing is defined", _codes(each for each in guards if each.stand == "unasked")),
        ("Off", ", ".join(off)),
    ):
        if codes:
            yield f"{what}: {codes}."
    yield "`interlock guards CODE` shows one in full, `interlock exits` the way out, `interlock allowed` what may open."


def _codes(standings: Iterable[Standing]) -> str:
    return ", ".join(each.code for each in standings)


def _style(standing: Standing) -> str:
    if standing.stand in ("objects", "fired"):
        return "red"
    return "yellow" if standing.share >= _MUCH else ""


def _where(standing: Standing) -> str:
    return " ".join(filter(None, (standing.symbol, _SIDES[standing.side], standing.strategy)))


def _room(standing: Standing) -> str:
    """How far what has no share is from changing."""
    room = standing.room
    return "" if room is None else f"{stated(room.fact, room.value)}, changes at {_near(room.edge, room.unit)}"


def _near(value: float, unit: Unit | str) -> str:
    """The number to a few digits, with its unit."""
    return measured(float(f"{value:.{_DIGITS}g}"), unit or "money")  # type: ignore[arg-type]


def _unit(standing: Standing) -> Unit:
    return standing.unit or "money"
