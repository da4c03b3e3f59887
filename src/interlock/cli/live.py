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
from interlock.cli.way_out import owner_text
from interlock.core.apply import EXIT_NAME
from interlock.core.codes import AccountKind, Code, TradingState
from interlock.core.constants import NS_PER_S_FLOAT
from interlock.core.stops import STOP_NAME
from interlock.core.wording import money, share
from interlock.service.api import DecisionStatus, FloorStatus, LimitStatus, PositionStatus, RecordStatus, Status

COLOURS: Final = {TradingState.ACTIVE: "green", TradingState.REDUCING: "yellow", TradingState.HALTED: "red"}
BAR_WIDTH: Final = 20
AMPLE_ROOM_FRAC: Final = 0.1
"""The room above a floor that fills its bar, as a share of equity: one scale for all floors, so that bars compare."""
SCARCE_ROOM_FRAC: Final = 0.01
"""The room above a floor below which its line is yellow, as a share of equity."""
DECISIONS_SHOWN: Final = 6
WINDOWS_SHOWN: Final = 4
SYMBOLS_SHOWN: Final = 3
ENDING_S: Final = 3 * 86_400.0
"""From so long before the calendar file ends it is told."""
COUNTED: Final = {
    "quota_day_entry_count_max": "entries today",
    "quota_day_slice_count_max": "slices today",
    "quota_campaign_slice_count_max": "slices in all",
}
"""What is counted of the account, where one code counts several things."""
WIDE: Final = 100
"""Columns from which there is room for bars, prices and reasons."""


def page(status: Status, currency: str, width: int, note: str = "") -> RenderableType:
    """Everything that a person on duty wants to see at once, on a terminal of so many columns."""
    wide = width >= WIDE
    parts: list[RenderableType] = [_headline(status, currency, wide=wide)]
    parts += [Text(f"! {trouble}", style="bold red") for trouble in status.troubles]
    parts += [_floors(status.floors, wide=wide)] if status.floors else []
    parts += [_limits(status.limits, wide=wide)] if status.limits else []
    parts += [_positions(status.positions, wide=wide)]
    parts += [Text(f"Exits: {owner_text(status.exits)}", style="bold yellow" if status.exits.succeeded else "dim")]
    parts += [_locks(status)] if status.locks else []
    parts += [*_windows(status)]
    traded = [each for each in status.records if each.wins or each.losses]
    parts += [_records(traded)] if traded else []
    parts += [_decisions(status.decisions, wide=wide)]
    if note:
        parts.append(Text(note, style="dim"))
    title = f"{status.account} · {status.kind.value} · {status.environment} · {status.venue}"
    return Panel(Group(*parts), title=title, title_align="left", border_style=COLOURS[status.trading_state])


def line(status: Status, currency: str) -> str:
    """The same in one line, for a log."""
    held = ", ".join(f"{_unknown_or(p.quantity, f'{p.side * p.quantity:+g}')} {p.symbol}" for p in status.positions)
    return f"{utc(status.at_ns)}  {status.trading_state.name}  equity {money(status.equity, currency)}  {held or 'flat'}"


def decision_line(decision: DecisionStatus) -> str:
    """One decision in one line, for a log."""
    answer = "allowed" if decision.headline == Code.ALLOWED or decision.granted_steps else f"denied {decision.headline}"
    return f"{utc(decision.at_ns)}  {_order(decision)}  {answer}  {decision.why}"


def _headline(status: Status, currency: str, *, wide: bool) -> RenderableType:
    state = status.trading_state
    killed = [each for each in status.kill if each.active]
    facts = [
        Text(state.name, style=f"bold {COLOURS[state]}"),
        Text(f"equity {money(status.equity, currency)}"),
        Text(f"kill switch {'ACTIVE' if killed else 'inactive'}", style="bold red" if killed else "dim"),
        Text(f"breaker {'OPEN' if status.breaker else 'closed'}", style="bold red" if status.breaker else "dim"),
    ]
    more = [Text(f"ledger {status.ledger_durable_seq:,} of {status.ledger_seq:,}", style="dim")]
    more += [Text(utc(status.at_ns), style="dim")]
    rows: list[RenderableType] = [_row([*facts, *more])] if wide else [_row(facts), _row(more)]
    unmet = [f"{name}: {source}" for name, met, source in status.conditions if not met]
    if status.kind == AccountKind.LIVE and unmet:
        rows.append(Text("openings are closed: " + "; ".join(unmet), style="yellow"))
    return Group(*rows)


def _row(texts: list[Text]) -> Table:
    grid = Table.grid(padding=(0, 3))
    grid.add_row(*texts)
    return grid


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=name != "Why")
    return table


def _floors(floors: Iterable[FloorStatus], *, wide: bool) -> Table:
    table = _table("Equity against its floors", ("Floor", ""), ("At", "right"), ("Room", "right"), *_bars(wide=wide))
    for floor in floors:
        room = floor.equity - floor.floor
        style = "red" if room <= 0.0 else "yellow" if room < SCARCE_ROOM_FRAC * floor.equity else ""
        bar = [_bar_of_room(floor)] if wide else []
        table.add_row(floor.code, money(floor.floor), money(room), *bar, style=style)
    return table


def _bars(*, wide: bool) -> tuple[tuple[str, str], ...]:
    """A column for bars where there is room."""
    return (("", ""),) if wide else ()


def _bar_of_room(floor: FloorStatus) -> str:
    """The room above the floor as a bar: full while it is ample, empty on the floor; nothing where it is not known."""
    if not floor.equity > 0.0 or isnan(floor.floor):
        return ""
    return _bar((floor.equity - floor.floor) / (AMPLE_ROOM_FRAC * floor.equity))


def _bar(part: float) -> str:
    """Full from 1 on, empty from 0 down."""
    full = round(max(0.0, min(1.0, part)) * BAR_WIDTH)
    return "█" * full + "░" * (BAR_WIDTH - full)


def _limits(limits: Iterable[LimitStatus], *, wide: bool) -> Table:
    columns = (("Limit", ""), ("Of", ""), ("Used", "right"), ("Limit", "right"), ("", "right"))
    table = _table("Limits", *columns, *_bars(wide=wide))
    for limit in limits:
        used = limit.use / limit.limit if limit.limit > 0.0 else 0.0 if limit.use == 0.0 else 1.0
        counted = limit.unit == "count"
        shown = [f"{each:g}" if counted else money(each) for each in (limit.use, limit.limit)]
        style = "red" if used >= 1.0 else "yellow" if used >= 0.7 else ""
        bar = [_bar(used)] if wide and not isnan(used) else []
        table.add_row(
            limit.code,
            limit.scope or COUNTED.get(limit.name, ""),
            *shown,
            "" if isnan(used) else share(used),
            *bar,
            style=style,
        )
    return table


def _positions(positions: tuple[PositionStatus, ...], *, wide: bool) -> RenderableType:
    if not positions:
        return Text("No position.", style="dim")
    prices = (("Entry", "right"), ("Mark", "right")) if wide else ()
    columns = (("P&L", "right"), ("R", "right"), *((("K", "right"),) if wide else ()), ("Stop", "right"), ("Next exit", ""))
    table = _table("Positions", ("Symbol", ""), ("Side", ""), ("Quantity", "right"), *prices, *columns)
    for each in positions:
        told = (_unknown_or(each.entry, f"{each.entry:,.8g}"), _unknown_or(each.mark, f"{each.mark:,.8g}"))
        table.add_row(
            each.symbol,
            "long" if each.side > 0 else "short" if each.side < 0 else "",
            _unknown_or(each.quantity, f"{each.quantity:,.10g}"),
            *(told if wide else ()),
            money(each.pnl),
            _unknown_or(each.r, f"{each.r:+.2f}", "?"),
            *((_unknown_or(each.score, f"{each.score:.2f}", "?"),) if wide else ()),
            _stop(each),
            _next(each),
        )
    return table


def _stop(position: PositionStatus) -> Text:
    """The stop, and how it stands at the venue where it does not rest there."""
    price = _unknown_or(position.stop_price, f"{position.stop_price:,.7g}", "none")
    if position.stop_state in ("working", "none"):
        return Text(price)
    return Text(f"{price} {position.stop_state}", style="bold red" if position.stop_state == "missing" else "")


def _next(position: PositionStatus) -> Text:
    """What closes next if the market goes the position's way, that all of it goes, or that nobody looks after it."""
    if position.flattening:
        return Text("flattening", style="yellow")
    if not position.managed:
        return Text("not ours: adopt it", style="yellow")
    return Text(f"{position.next_rung} {position.next_price:,.7g}" if position.next_rung else "")


def _locks(status: Status) -> Table:
    table = _table("Locks", ("Lock", ""), ("Of", ""), ("State", ""), ("Until", ""), ("Why", ""))
    for lock in status.locks:
        scope = lock.scope_key or lock.scope.value
        table.add_row(lock.code, scope, lock.severity.name, utc(lock.until_ns), lock.reason, style="yellow")
    return table


def _windows(status: Status) -> Iterator[RenderableType]:
    """What the calendar file forbids now and soon, and that it ends."""
    if status.windows:
        table = _table("Windows", ("Window", ""), ("In", "right"), ("From", ""), ("Until", ""), ("Symbols", ""))
        for each in status.windows[:WINDOWS_SHOWN]:
            ahead_s = (each.from_ns - status.at_ns) / NS_PER_S_FLOAT
            more = len(each.symbols) - SYMBOLS_SHOWN
            symbols = ", ".join(each.symbols[:SYMBOLS_SHOWN]) + (f" and {more} more" if more > 0 else "")
            times = (utc(each.from_ns)[5:16], utc(each.until_ns)[5:16])
            table.add_row(each.kind, _in(ahead_s), *times, symbols, style="yellow" if ahead_s <= 0.0 else "")
        yield table
    if len(status.windows) > WINDOWS_SHOWN:
        yield Text(f"{len(status.windows) - WINDOWS_SHOWN} more within a day: `interlock calendar show`", style="dim")
    left_s = (status.windows_until_ns - status.at_ns) / NS_PER_S_FLOAT
    if not status.windows_until_ns:
        yield Text("! nothing is known of windows, so nothing opens: is there a calendar file?", style="bold red")
    elif left_s <= 0.0:
        yield Text("! the calendar file has ended: nothing opens until it is continued", style="bold red")
    elif left_s < ENDING_S:
        yield Text(f"! the calendar file ends in {_in(left_s)}: then nothing opens", style="bold yellow")


def _in(ahead_s: float) -> str:
    """How far away that is, roughly."""
    if ahead_s <= 0.0:
        return "now"
    return f"{ahead_s / 60.0:.0f} min" if ahead_s < 2.0 * 3_600.0 else f"{ahead_s / 3_600.0:.0f} h"


def _records(records: Iterable[RecordStatus]) -> Table:
    columns = (("Won", "right"), ("Lost", "right"), ("Gains", "right"), ("Losses", "right"), ("Deserves", "right"))
    table = _table("Records", ("Strategy", ""), *columns)
    for each in records:
        deserves = "no edge" if each.edgeless else f"{each.deserved_frac:.1%}" if each.enough else "too few trades"
        money_told = (money(each.won), money(each.lost))
        table.add_row(
            each.strategy, str(each.wins), str(each.losses), *money_told, deserves, style="yellow" if each.edgeless else ""
        )
    return table


def _decisions(decisions: tuple[DecisionStatus, ...], *, wide: bool) -> RenderableType:
    if not decisions:
        return Text("No decision yet.", style="dim")
    table = _table("Last decisions", ("At", ""), ("Order", ""), ("Answer", ""), *((("Why", ""),) if wide else ()))
    for each in decisions[:DECISIONS_SHOWN]:
        whole = each.granted_steps == each.requested_steps
        allowed = whole and each.headline == Code.ALLOWED
        answer = "allowed" if allowed else "allowed in part" if each.granted_steps else each.headline
        style = "green" if allowed else "yellow" if each.granted_steps else "red"
        why = (each.why,) if wide else ()
        table.add_row(utc(each.at_ns)[11:19], _order(each), Text(answer, style=style), *why)
    return table


def _order(decision: DecisionStatus) -> str:
    """What was asked for, and what kind of exit it is."""
    return f"{_side(decision.side)} {decision.symbol}{_kind(decision)}"


def _kind(decision: DecisionStatus) -> str:
    if decision.intent_id.startswith(STOP_NAME):
        return " (stop)"
    if decision.intent_id.startswith(EXIT_NAME):
        return f" ({decision.intent_id.rsplit(':', 1)[1]})"
    return " (reduces)" if decision.reducing else ""


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
