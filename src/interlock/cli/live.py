"""The gateway on a terminal: one page that is drawn again and again from its status, and lines where there is none."""

from collections.abc import Iterable, Iterator
from math import isnan
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from interlock.cli.output import utc
from interlock.core.codes import AccountKind, TradingState
from interlock.core.wording import money, share
from interlock.service.api import DecisionStatus, FloorStatus, LimitStatus, PositionStatus, Status

COLOURS: Final = {TradingState.ACTIVE: "green", TradingState.REDUCING: "yellow", TradingState.HALTED: "red"}
BAR_WIDTH: Final = 20
DECISIONS_SHOWN: Final = 6


def page(status: Status, currency: str, note: str = "") -> RenderableType:
    """Everything that a person on duty wants to see at once."""
    parts: list[RenderableType] = [_headline(status, currency)]
    parts += [Text(f"! {trouble}", style="bold red") for trouble in status.troubles]
    parts += [_floors(status.floors, currency)] if status.floors else []
    parts += [_limits(status.limits, currency)] if status.limits else []
    parts += [_positions(status.positions, currency)]
    parts += [_locks(status)] if status.locks else []
    parts += [_decisions(status.decisions)]
    if note:
        parts.append(Text(note, style="dim"))
    title = f"{status.account} · {status.kind.value} · {status.environment} · {status.venue}"
    return Panel(Group(*parts), title=title, title_align="left", border_style=COLOURS[status.trading_state])


def line(status: Status, currency: str) -> str:
    """The same in one line, for a log."""
    held = ", ".join(f"{_side(p.side)} {p.quantity:g} {p.symbol}" for p in status.positions) or "flat"
    return f"{utc(status.at_ns)}  {status.trading_state.name}  equity {money(status.equity, currency)}  {held}"


def decision_line(decision: DecisionStatus) -> str:
    """One decision in one line, for a log."""
    answer = "allowed" if decision.granted_steps else f"denied {decision.headline}"
    return f"{utc(decision.at_ns)}  {_side(decision.side)} {decision.symbol}  {answer}  {decision.why}"


def _headline(status: Status, currency: str) -> RenderableType:
    state = status.trading_state
    killed = [each for each in status.kill if each.active]
    grid = Table.grid(padding=(0, 3))
    grid.add_row(
        Text(state.name, style=f"bold {COLOURS[state]}"),
        Text(f"equity {money(status.equity, currency)}"),
        Text(f"kill switch {'ACTIVE' if killed else 'inactive'}", style="bold red" if killed else "dim"),
        Text(f"breaker {'OPEN' if status.breaker else 'closed'}", style="bold red" if status.breaker else "dim"),
        Text(f"ledger {status.ledger_durable_seq:,} of {status.ledger_seq:,}", style="dim"),
        Text(utc(status.at_ns), style="dim"),
    )
    unmet = [f"{name}: {source}" for name, met, source in status.conditions if not met]
    if status.kind == AccountKind.LIVE and unmet:
        return Group(grid, Text("openings are closed: " + "; ".join(unmet), style="yellow"))
    return grid


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=name != "Why")
    return table


def _floors(floors: Iterable[FloorStatus], currency: str) -> Table:
    table = _table("Equity against its floors", ("Floor", ""), ("At", "right"), ("Room", "right"), ("", ""))
    for floor in floors:
        room = floor.equity - floor.floor
        used = _unknown_or(room, money(room, currency))
        style = "red" if room <= 0.0 else "yellow" if room < 0.01 * floor.equity else ""
        table.add_row(floor.code, money(floor.floor, currency), used, _bar_of_room(floor), style=style)
    return table


def _bar_of_room(floor: FloorStatus) -> str:
    """What is left of the way from twice the room of a small loss down to the floor, as a bar."""
    if not floor.equity > 0.0 or isnan(floor.floor):
        return ""
    left = max(0.0, min(1.0, (floor.equity - floor.floor) / (0.1 * floor.equity)))
    return _bar(left)


def _bar(part: float) -> str:
    full = round(max(0.0, min(1.0, part)) * BAR_WIDTH)
    return "█" * full + "░" * (BAR_WIDTH - full)


def _limits(limits: Iterable[LimitStatus], currency: str) -> Table:
    table = _table("Limits", ("Limit", ""), ("Of", ""), ("Used", "right"), ("Limit", "right"), ("", ""))
    for limit in limits:
        used = limit.use / limit.limit if limit.limit > 0.0 else 0.0 if limit.use == 0.0 else 1.0
        counted = limit.unit == "count"
        shown = [f"{each:g}" if counted else money(each, currency) for each in (limit.use, limit.limit)]
        style = "red" if used >= 1.0 else "yellow" if used >= 0.7 else ""
        bar = "" if isnan(used) else f"{_bar(used)} {share(used)}"
        table.add_row(limit.code, limit.scope, *shown, bar, style=style)
    return table


def _positions(positions: tuple[PositionStatus, ...], currency: str) -> RenderableType:
    if not positions:
        return Text("No position.", style="dim")
    table = _table(
        "Positions",
        ("Symbol", ""),
        ("Side", ""),
        ("Quantity", "right"),
        ("Entry", "right"),
        ("Mark", "right"),
        ("P&L", "right"),
        ("Stop", "right"),
        ("At the venue", ""),
    )
    for each in positions:
        stop = "flattening" if each.flattening else each.stop_state
        naked = each.stop_state == "missing"
        table.add_row(
            each.symbol,
            _side(each.side),
            _unknown_or(each.quantity, f"{each.quantity:,.10g}"),
            _unknown_or(each.entry, f"{each.entry:,.8g}"),
            _unknown_or(each.mark, f"{each.mark:,.8g}"),
            money(each.pnl, currency),
            _unknown_or(each.stop_price, f"{each.stop_price:,.8g}", "none"),
            Text(stop, style="bold red" if naked else ""),
        )
    return table


def _locks(status: Status) -> Table:
    table = _table("Locks", ("Lock", ""), ("Of", ""), ("State", ""), ("Until", ""), ("Why", ""))
    for lock in status.locks:
        scope = lock.scope_key or lock.scope.value
        table.add_row(lock.code, scope, lock.severity.name, utc(lock.until_ns), lock.reason, style="yellow")
    return table


def _decisions(decisions: tuple[DecisionStatus, ...]) -> RenderableType:
    if not decisions:
        return Text("No decision yet.", style="dim")
    table = _table("Last decisions", ("At", ""), ("Order", ""), ("Answer", ""), ("Why", ""))
    for each in decisions[:DECISIONS_SHOWN]:
        order = f"{_side(each.side)} {each.symbol}{' (reduces)' if each.reducing else ''}"
        whole = each.granted_steps == each.requested_steps
        answer = "allowed" if whole and each.granted_steps else "allowed in part" if each.granted_steps else each.headline
        style = "green" if whole and each.granted_steps else "yellow" if each.granted_steps else "red"
        table.add_row(utc(each.at_ns)[11:19], order, Text(answer, style=style), each.why)
    return table


def _side(side: int) -> str:
    return {1: "buy", -1: "sell"}.get(side, "")


def _unknown_or(value: float, text: str, unknown: str = "unknown") -> str:
    return unknown if isnan(value) else text


def lines(status: Status, currency: str, seen: set[int]) -> Iterator[str]:
    """What is new since the last call, for a log: decisions not seen before, and how things stand."""
    for decision in reversed(status.decisions):
        if decision.id not in seen:
            seen.add(decision.id)
            yield decision_line(decision)
    yield line(status, currency)
