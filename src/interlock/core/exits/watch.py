"""
Every held position is looked at: which rules of the way out have proven that it should shrink, or its stop move.

What has fired is proposed once; `pursuit` gets it closed. Nothing is proposed for a position that is not known, nor on a
mark that is not fresh: the stop at the venue needs no mark. Rules are asked in order and all that fire are recorded; the
one that leaves least wins, of those the first.
"""

from dataclasses import dataclass
from math import inf, nan
from typing import Final

import msgspec

from interlock.core.absorb import OF_ONE_SYMBOL
from interlock.core.agenda import Agenda
from interlock.core.authority import EXITS
from interlock.core.codes import CloseAction, Code, ExitMode, RiskAction, Rung
from interlock.core.constants import NS_PER_S_FLOAT
from interlock.core.exits.harvest import UNKNOWN_MARKET, Harvest, Held, Market, harvest
from interlock.core.exits.kernel import tightened
from interlock.core.exits.rules import (
    chops,
    is_beyond,
    is_idle,
    loses_margin,
    stop_reached,
    takes_profit,
    target_reached,
    trailed_stop,
    trails,
)
from interlock.core.limits import BITS, EXIT_RULES, Limits, is_on
from interlock.core.measure import blackout_of, market_fresh
from interlock.core.messages import Alert, BarClosed, ExitProposed, Input, MarketBatch, MarketState, RiskEvent, Tick
from interlock.core.numbers import share
from interlock.core.state import RUNG_BITS, VOLUNTARY, State, SymbolRow, is_open
from interlock.core.transitions import is_fresh, money

EXIT_BITS: Final = sum(BITS[code] for code in EXIT_RULES)
STARTERS: Final = RUNG_BITS[Rung.TAKE_PROFIT] | RUNG_BITS[Rung.LOCK]
"""Rungs after which the stop trails."""

_OF_THE_MARKET: Final = (BarClosed, MarketState)

LADDER_RUNGS: Final = {
    CloseAction.PARTIAL_25: Rung.PARTIAL_25,
    CloseAction.PARTIAL_50: Rung.PARTIAL_50,
    CloseAction.PARTIAL_75: Rung.PARTIAL_75,
}


def acts(state: State) -> bool:
    """Whether the built-in rules act by themselves: in their own mode, or having succeeded an owner."""
    a = state.account
    return a.exit_mode is ExitMode.BUILTIN or a.exit_owner == "any" or a.exit_deposed


def watch(agenda: Agenda, event: Input) -> None:
    """Every position that the input concerns was looked at."""
    state = agenda.state
    acting = acts(state)
    if not acting and state.account.exit_mode is not ExitMode.ADVISORY:
        return
    for index in _concerned(state, event):
        r = state.symbols[index]
        if r.managed != 1.0 or r.position == 0 or r.known != 1.0 or r.goal:
            continue
        forbidden = blackout_of(r, agenda.at_ns)[0]
        if r.exit_left == 0 and not (forbidden and r.exit_waits == 1.0):
            continue
        p = state.exit_limits(r)
        if not p.active & EXIT_BITS:
            continue
        held = held_of(state, index, p, agenda.at_ns)
        if held is not None:
            extremes = type(event) is MarketBatch and r.lived == 1.0
            _look(_Look(agenda, index, r, p, held, extremes, acting, forbidden))


def _concerned(state: State, event: Input) -> list[int]:
    """
    The open rows that the input can have changed something for: one symbol's prices change nothing for another.

    A tick tells all of them the time; what comes between ticks tells it those for which an instant has come or something
    has changed since they were last asked.
    """
    if isinstance(event, MarketBatch):
        told = {state.names.symbol_index.get(quote.symbol, -1) for quote in event.quotes}
    elif isinstance(event, _OF_THE_MARKET):
        told = {_row_of(state, event)}
    elif type(event) is Tick or type(event) not in OF_ONE_SYMBOL:
        return state.open_rows.copy()
    else:
        told = {*state.concerned(), _row_of(state, event)}
    return sorted(index for index in told if index >= 0 and is_open(state.symbols[index]))


def _row_of(state: State, event: Input) -> int:
    """The row of the symbol, or of the permit, that the input names; -1 where it names none that is known."""
    p = state.permits.get(getattr(event, "permit", 0))
    return state.names.symbol_index.get(getattr(event, "symbol", ""), -1) if p is None else p.symbol


# ---------------------------------------------------------------- what is known


def held_of(state: State, index: int, p: Limits, now_ns: int) -> Held | None:
    """The position in the rules' numbers; None where its mark is not fresh or its entry is not known."""
    r = state.symbols[index]
    instrument = state.instruments[index]
    if instrument is None or r.doubt != 0.0 or not is_fresh(now_ns, r.mark_at_ns, p.mark_age_s_max) or r.cost == 0:
        return None
    side = 1.0 if r.position > 0 else -1.0
    base = r.position * instrument.step
    unit_value = money(r.cost) / base
    entry = instrument.price_at(unit_value)
    if not 0.0 < entry < inf:
        return None
    pnl = base * instrument.value(r.mark) - money(r.cost)
    stop_frac = side * (entry - r.entry_stop) / entry
    age_s = (now_ns - r.episode_ns) / NS_PER_S_FLOAT
    return Held(side, entry, abs(unit_value), abs(base), pnl, r.mark, r.stop_price, stop_frac, age_s)


def market_now(state: State, r: SymbolRow, p: Limits) -> Market:
    """The symbol's market state; unknown where it is too old."""
    if market_fresh(state, r, p) != 1.0:
        return UNKNOWN_MARKET
    return Market(r.atr, r.sigma, r.trend_strength, r.p_trend, r.p_base, r.p_chop, r.regime)


def market_at_entry(r: SymbolRow) -> Market:
    """What was known of the market when the position was entered."""
    return Market(r.entry_atr, r.entry_sigma, r.entry_trend_strength, regime=r.entry_regime)


# ---------------------------------------------------------------- one look


@dataclass(slots=True)
class _Look:
    """
    One position at one instant. With `extremes` the interval's high and low count, else the mark alone.

    `row` is read only, and taken anew with each proposal, which shows in it.

    While closing is `forbidden` by the firm, what can wait is not asked: it is judged afresh when the interval ends.
    """

    agenda: Agenda
    symbol: int
    row: SymbolRow
    p: Limits
    held: Held
    extremes: bool
    acting: bool
    forbidden: bool

    def due(self, code: Code, rung: Rung) -> bool:
        """Whether the rule is on, its rung has not fired yet, and it need not wait."""
        if self.forbidden and rung in VOLUNTARY:
            return False
        fired = self.row.rungs if self.acting else self.row.advised
        return is_on(self.p, code) and not fired & RUNG_BITS[rung]


def _look(look: _Look) -> None:
    now = market_now(look.agenda.state, look.row, look.p)
    _stop_and_target(look)
    _take_profit(look, now)
    _trail(look, now)
    _time_regime_loss(look, now)
    _harvest(look, now)


def _stop_and_target(look: _Look) -> None:
    r, held = look.row, look.held
    long = r.position > 0
    worst = (r.low if long else r.high) if look.extremes else held.mark
    best = (r.high if long else r.low) if look.extremes else held.mark
    if look.due(Code.STOP_EXIT, Rung.STOP) and stop_reached(held.side, worst, r.stop_price):
        _propose(look, Rung.STOP, CloseAction.FULL_CLOSE, "stop")
    if look.due(Code.TARGET_EXIT, Rung.TARGET) and target_reached(held.side, best, r.target_price):
        _propose(look, Rung.TARGET, CloseAction.FULL_CLOSE, "target_hit")


def _take_profit(look: _Look, now: Market) -> None:
    held = look.held
    if not look.due(Code.TAKE_PROFIT, Rung.TAKE_PROFIT):
        return
    if takes_profit(held.side, held.mark, held.entry, look.row.entry_atr, now.p_trend, look.p):
        stop = tightened(held.side, look.row.stop_price, held.entry)
        _propose(look, Rung.TAKE_PROFIT, CloseAction.PARTIAL_33, "take_profit", stop)


def _trail(look: _Look, now: Market) -> None:
    """The stop follows the best mark; where it would lie beyond the market the position is closed instead."""
    r, held = look.row, look.held
    instrument = look.agenda.state.instruments[look.symbol]
    assert instrument is not None
    if not is_on(look.p, Code.TRAILING_STOP) or not trails(r.rungs, STARTERS):
        return
    wanted = trailed_stop(held.side, r.best, now.atr, instrument.tick, look.p)
    stop = tightened(held.side, r.stop_price, wanted)
    if not stop > 0.0:
        return
    if not is_beyond(-held.side, held.mark, stop):
        if look.acting or look.due(Code.TRAILING_STOP, Rung.TRAILING):
            _propose(look, Rung.TRAILING, CloseAction.NONE, "trailing_stop", stop)
    elif look.due(Code.TRAILING_STOP, Rung.STOP):
        _propose(look, Rung.STOP, CloseAction.FULL_CLOSE, "trailing_stop_beyond_market")


def _time_regime_loss(look: _Look, now: Market) -> None:
    r, held, p = look.row, look.held, look.p
    notional = held.unit_value * held.quantity
    if look.due(Code.TIME_EXIT, Rung.TIME) and is_idle(r.bar_count, r.idle_bar_count, p):
        _propose(look, Rung.TIME, CloseAction.FULL_CLOSE, "time")
    if look.due(Code.REGIME_EXIT, Rung.REGIME) and chops(now.regime, held.pnl, notional, p):
        _propose(look, Rung.REGIME, CloseAction.FULL_CLOSE, "regime")
    if look.due(Code.LOSS_EXIT, Rung.LOSS) and loses_margin(held.pnl, notional, r.entry_leverage, p):
        _propose(look, Rung.LOSS, CloseAction.FULL_CLOSE, "loss_guard")


def _harvest(look: _Look, now: Market) -> None:
    r = look.row
    said = harvest(msgspec.structs.replace(look.held, stop=r.stop_price), now, market_at_entry(r), look.p)
    reasons = ", ".join(said.reasons)
    if said.stop == said.stop and (look.acting or look.due(Code.PROFIT_LOCK, Rung.LOCK)):
        _propose(look, Rung.LOCK, CloseAction.NONE, reasons, said.stop, said)
    if said.action is CloseAction.FULL_CLOSE:
        if look.due(Code.KILL_EXIT, Rung.KILL):
            _propose(look, Rung.KILL, said.action, reasons, said=said)
    elif said.action and look.due(Code.HARVEST, LADDER_RUNGS[said.action]):
        _propose(look, LADDER_RUNGS[said.action], said.action, reasons, said=said)
    _tell_unknown_score(look, said.score)


def _tell_unknown_score(look: _Look, score: float) -> None:
    """Somebody is told once that the kill score is not known, so that no position is closed by it."""
    r, agenda = look.row, look.agenda
    unknown = score != score
    if not is_on(look.p, Code.KILL_EXIT) or unknown == (r.score_unknown == 1.0):
        return
    symbol = agenda.state.names.symbols[look.symbol]
    action = RiskAction.WARN if unknown else RiskAction.REARM
    agenda.emit(RiskEvent(agenda.at_ns, Code.KILL_EXIT, symbol, action, score, look.p.kill_exit_score_min))
    if unknown:
        what = f"the market state of {symbol} is not known: its position is not closed by its kill score"
        agenda.emit(Alert(Code.KILL_EXIT, what, symbol))


# ---------------------------------------------------------------- proposals


def left_after(state: State, index: int, action: CloseAction, *, waits: bool) -> tuple[int, str]:
    """
    Steps that the action leaves of the largest quantity held, and a word where that is not as asked; -1 closes nothing.

    A share that rounds to nothing closes nothing; one that would leave less than the venue's smallest order closes all.
    What does not wait for the end of a blackout takes the place of what does.
    """
    r = state.symbols[index]
    instrument = state.instruments[index]
    assert instrument is not None
    if action is CloseAction.NONE:
        return -1, ""
    closed = share(r.episode_peak, int(action), int(CloseAction.FULL_CLOSE))
    left = r.episode_peak - closed
    if closed == 0:
        return -1, "rounds_to_zero"
    pursued = 0 <= r.exit_left <= left and not (r.exit_left == left and r.exit_waits == 1.0 and not waits)
    if abs(r.position) <= left or pursued:
        return -1, "closed_already"
    if left > 0 and left * r.unit_notional < instrument.min_notional:
        return 0, "rest_below_minimum"
    return left, ""


def propose(
    agenda: Agenda,
    index: int,
    rung: str,
    action: CloseAction,
    reason: str,
    stop: float,
    source: str,
    held: Held | None,
    said: Harvest | None,
    *,
    acting: bool,
) -> None:
    """The proposal is part of the step, with what it leaves of the position and what led to it."""
    state = agenda.state
    r = state.symbols[index]
    left, note = left_after(state, index, action, waits=source == EXITS and rung in VOLUNTARY)
    if note == "rest_below_minimum":
        action = CloseAction.FULL_CLOSE
    numbers = {}
    if said is not None:
        names = ("r", "risk", "cost", "score", "flip", "spike", "drop", "age")
        numbers = {name: getattr(said, name) for name in names}
    agenda.emit(
        ExitProposed(
            state.names.symbols[index],
            rung,
            action.fraction,
            ", ".join(filter(None, (reason, note))),
            episode=r.episode,
            left_steps=left,
            stop_price=stop,
            acting=acting,
            source=source,
            mark=held.mark if held is not None else r.mark,
            mark_age_s=(agenda.at_ns - r.mark_at_ns) / NS_PER_S_FLOAT,
            policy=state.policy.digest if state.policy is not None else "",
            **numbers,
        )
    )


def _propose(
    look: _Look, rung: Rung, action: CloseAction, reason: str, stop: float = nan, said: Harvest | None = None
) -> None:
    propose(look.agenda, look.symbol, rung, action, reason, stop, EXITS, look.held, said, acting=look.acting)
    look.row = look.agenda.state.symbols[look.symbol]
