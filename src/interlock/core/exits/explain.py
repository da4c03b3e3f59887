"""
What the way out knows of a position and makes of it: every rule with its threshold, how far it is, and who acts.

It changes nothing. All numbers are those of the rules themselves; what is not known is NaN, and then no rule is met.
"""

from collections.abc import Iterable
from math import inf, nan
from typing import NamedTuple

from interlock.core.codes import CloseAction, Code, Rung
from interlock.core.constants import NS_PER_S_FLOAT
from interlock.core.exits.harvest import Harvest, Held, Market, harvest
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
from interlock.core.exits.views import Condition, ExitOwner, ExitView, Pursuit, RuleView
from interlock.core.exits.watch import EXIT_BITS, STARTERS, acts, held_of, market_at_entry, market_now
from interlock.core.instrument import Instrument
from interlock.core.limits import Limits, is_on
from interlock.core.measure import blackout_of
from interlock.core.state import RUNGS, VOLUNTARY, State, SymbolRow, is_stop
from interlock.core.transitions import is_fresh, money


def exit_owner(state: State, now_ns: int) -> ExitOwner:
    """Who acts on exits now."""
    a = state.account
    if a.exit_owner == "any":
        return ExitOwner(mode=a.exit_mode)
    limit_s = state.account_limits().controller_age_s_max
    heard_ns = max(a.heartbeat_ns, a.owner_since_ns)
    return ExitOwner(
        a.exit_owner,
        a.exit_mode,
        acts(state),
        a.exit_deposed,
        is_fresh(now_ns, a.heartbeat_ns, limit_s),
        (now_ns - heard_ns) / NS_PER_S_FLOAT,
        limit_s,
    )


def explain_exits(state: State, now_ns: int) -> tuple[ExitView, ...]:
    """Every position that is held or in doubt, as the way out sees it now."""
    rows = ((index, state.symbols[index]) for index in state.open_rows)
    return tuple(explain_exit(state, index, now_ns) for index, r in rows if r.position != 0 or r.known != 1.0)


def explain_exit(state: State, index: int, now_ns: int) -> ExitView:
    """The symbol's position as the way out sees it now."""
    r, instrument = state.symbols[index], state.instruments[index]
    p = state.exit_limits(r)
    held = held_of(state, index, p, now_ns) if r.known == 1.0 and r.position != 0 else None
    forbidden, until_ns = blackout_of(r, now_ns)
    seen = _Seen(r, instrument, p, held or _unproven(r), market_now(state, r, p), acts(state), forbidden)
    said = harvest(seen.held, seen.now, market_at_entry(r), p)
    return ExitView(
        symbol=state.names.symbols[index],
        episode=r.episode,
        strategy=state.names.strategies[r.owner] if r.owner >= 0 else "",
        side=(r.position > 0) - (r.position < 0),
        quantity=_base(instrument, abs(r.position)) if r.known == 1.0 else nan,
        largest=_base(instrument, r.episode_peak),
        managed=r.managed == 1.0,
        entry=seen.held.entry,
        mark=r.mark,
        mark_age_s=_age_s(now_ns, r.mark_at_ns),
        age_s=seen.held.age_s,
        pnl=seen.held.pnl,
        stop=r.stop_price,
        first_stop=r.entry_stop,
        target=r.target_price,
        harvest=said,
        market=seen.now,
        market_at_entry=market_at_entry(r),
        regime_age_s=_age_s(now_ns, r.market_at_ns),
        rules=(*_protective(seen), *_profit(seen, said), *_score(seen, said)),
        pursued=_pursued(state, index),
        problem=_problem(state, index, proven=held is not None, now_ns=now_ns),
        forbidden_until_ns=until_ns if forbidden else 0,
    )


def next_rung(view: ExitView) -> RuleView | None:
    """The rule that the smallest favourable move of the mark would set off, and that closes something."""
    ahead = [
        (view.side * condition.move_frac, number)
        for number, rule in enumerate(view.rules)
        if rule.on and not rule.fired and rule.close
        for condition in rule.conditions
        if view.side * condition.move_frac > 0.0
    ]
    return view.rules[min(ahead)[1]] if ahead else None


def closest(views: Iterable[ExitView]) -> dict[Code, tuple[ExitView, RuleView, Condition]]:
    """
    For each rule the position on which least has to happen until it acts, and what of that is furthest away.

    Left out are rules that are off or have fired, and positions that nobody looks after.
    """
    found: dict[Code, tuple[ExitView, RuleView, Condition]] = {}
    for view in views:
        for rule in view.rules:
            if not rule.on or rule.fired or not view.managed:
                continue
            last = max(rule.conditions, key=_way)
            if rule.rule not in found or _way(last) < _way(found[rule.rule][2]):
                found[rule.rule] = view, rule, last
    return found


def _way(condition: Condition) -> float:
    """How far the condition is from being met: a move of the mark, or a share of its number; infinite where unknown."""
    move = abs(condition.move_frac)
    if move == move:
        return move
    whole = max(abs(condition.threshold), abs(condition.value))
    return abs(condition.distance) / whole if whole > 0.0 else inf


# ---------------------------------------------------------------- what is known


class _Seen(NamedTuple):
    row: SymbolRow
    instrument: Instrument | None
    p: Limits
    held: Held
    now: Market
    acting: bool
    forbidden: bool

    @property
    def notional(self) -> float:
        return self.held.unit_value * self.held.quantity

    @property
    def margin(self) -> float:
        return self.notional / self.row.entry_leverage if self.row.entry_leverage > 0.0 else nan

    def rule(
        self,
        code: Code,
        rung: Rung,
        close: CloseAction,
        met: bool,
        *conditions: Condition,
        stop: float = nan,
        note: str = "",
    ) -> RuleView:
        fired = (self.row.rungs if self.acting else self.row.advised) >> RUNGS.index(rung) & 1 == 1
        on = is_on(self.p, code)
        waits = self.forbidden and rung in VOLUNTARY
        return RuleView(code, rung, close, on, fired and bool(close), on and met, conditions, stop, note, waits)

    def at_price(self, price: float) -> Condition:
        """That the mark comes to the price."""
        mark = self.held.mark
        return Condition("mark", mark, price, "price", price - mark, price, self._move(price))

    def at_pnl(self, reads: str, value: float, threshold: float, unit: str, pnl: float) -> Condition:
        """That the figure comes to its threshold, where the position's P&L is `pnl`."""
        price = self._price_at(pnl + money(self.row.cost))
        return Condition(reads, value, threshold, unit, threshold - value, price, self._move(price))

    def _price_at(self, worth: float) -> float:
        """The mark at which all that is held is worth so much; NaN where it never is."""
        if self.instrument is None or self.row.position == 0 or worth == 0.0:
            return nan
        price = self.instrument.price_at(worth / (self.row.position * self.instrument.step))
        return price if 0.0 < price < inf else nan

    def _move(self, price: float) -> float:
        return (price - self.held.mark) / self.held.mark


def _unproven(r: SymbolRow) -> Held:
    side = 1.0 if r.position > 0 else -1.0
    return Held(side, nan, nan, nan, nan, nan, r.stop_price, nan, nan)


def _base(instrument: Instrument | None, steps: int) -> float:
    return instrument.quantity(steps) if instrument is not None else nan


def _age_s(now_ns: int, at_ns: int) -> float:
    return (now_ns - at_ns) / NS_PER_S_FLOAT if at_ns > 0 else nan


def _problem(state: State, index: int, *, proven: bool, now_ns: int) -> str:
    r, symbol = state.symbols[index], state.names.symbols[index]
    p = state.exit_limits(r)
    age = f"{_age_s(now_ns, r.mark_at_ns):.0f} s old, limit {p.mark_age_s_max:.0f} s"
    problems = (
        (r.known != 1.0, "the position is in doubt until the venue has told it"),
        (r.managed != 1.0, f"it was opened outside the gate: `interlock adopt {symbol} --stop PRICE` has it looked after"),
        (bool(r.goal), f"it is being flattened ({r.goal})"),
        (r.exit_left == 0 and r.exit_waits != 1.0, f"all of it is being closed ({r.exit_rung})"),
        (not p.active & EXIT_BITS, "the policy has no exit rule switched on"),
        (not proven, f"its mark is not proven ({age}) or its entry is not known: are prices connected?"),
    )
    return next((text for holds, text in problems if holds), "")


def _pursued(state: State, index: int) -> Pursuit | None:
    r = state.symbols[index]
    if r.position == 0 or (r.exit_left < 0 and not r.goal):
        return None
    live = (state.permits.get(number) for number in r.permits)
    orders = sum(1 for each in live if each is not None and each.reduce_only and not is_stop(each))
    instrument = state.instruments[index]
    if r.goal:
        return Pursuit("flatten", 0.0, r.goal_attempts, r.goal_next_ns, orders, r.goal)
    return Pursuit(r.exit_rung, _base(instrument, r.exit_left), r.exit_attempts, r.exit_next_ns, orders)


# ---------------------------------------------------------------- the rules


def _protective(seen: _Seen) -> tuple[RuleView, ...]:
    """The rules of `watch`, in its order, on the last mark."""
    r, held, p = seen.row, seen.held, seen.p
    full = CloseAction.FULL_CLOSE
    profit = held.entry + held.side * p.take_profit_atr * r.entry_atr
    return (
        seen.rule(
            Code.STOP_EXIT, Rung.STOP, full, stop_reached(held.side, held.mark, r.stop_price), seen.at_price(r.stop_price)
        ),
        seen.rule(
            Code.TARGET_EXIT, Rung.TARGET, full, target_reached(held.side, held.mark, r.target_price),
            seen.at_price(r.target_price),
        ),
        seen.rule(
            Code.TAKE_PROFIT, Rung.TAKE_PROFIT, CloseAction.PARTIAL_33,
            takes_profit(held.side, held.mark, held.entry, r.entry_atr, seen.now.p_trend, p),
            seen.at_price(profit), _plain("p_trend", seen.now.p_trend, p.take_profit_trend_min, "frac"),
            stop=tightened(held.side, r.stop_price, held.entry),
        ),
        _trailing(seen),
        _time(seen),
        seen.rule(
            Code.REGIME_EXIT, Rung.REGIME, full, chops(seen.now.regime, held.pnl, seen.notional, p),
            _pnl(seen, -p.chop_loss_frac_max * seen.notional), note="only while the regime is CHOP",
        ),
        seen.rule(
            Code.LOSS_EXIT, Rung.LOSS, full, loses_margin(held.pnl, seen.notional, r.entry_leverage, p),
            _pnl(seen, -p.margin_loss_frac_max * seen.margin),
        ),
    )  # fmt: skip


def _plain(reads: str, value: float, threshold: float, unit: str) -> Condition:
    return Condition(reads, value, threshold, unit, threshold - value)


def _pnl(seen: _Seen, threshold: float) -> Condition:
    return seen.at_pnl("P&L", seen.held.pnl, threshold, "money", threshold)


def _trailing(seen: _Seen) -> RuleView:
    r, held, instrument = seen.row, seen.held, seen.instrument
    wanted = trailed_stop(held.side, r.best, seen.now.atr, instrument.tick if instrument is not None else 0.0, seen.p)
    stop = tightened(held.side, r.stop_price, wanted)
    started = trails(r.rungs, STARTERS)
    beyond = is_beyond(-held.side, held.mark, stop)
    return seen.rule(
        Code.TRAILING_STOP, Rung.TRAILING, CloseAction.NONE, started and stop > 0.0,
        _plain("stop", r.stop_price, wanted, "price"),
        stop=nan if beyond else stop,
        note="its stop would lie beyond the market: all is closed" if beyond and started
        else "" if started else "begins after tp1 or profit_lock",
    )  # fmt: skip


def _time(seen: _Seen) -> RuleView:
    r, p = seen.row, seen.p
    young = r.bar_count <= p.young_bar_count_max
    most = p.young_idle_bar_count_max if young else p.old_idle_bar_count_max
    return seen.rule(
        Code.TIME_EXIT, Rung.TIME, CloseAction.FULL_CLOSE, is_idle(r.bar_count, r.idle_bar_count, p),
        _plain("bars without a new best mark", float(r.idle_bar_count), most, "count"),
        note=f"{r.bar_count} bars old, bars of {p.exit_bar_s:g} s",
    )  # fmt: skip


def _profit(seen: _Seen, said: Harvest) -> tuple[RuleView, ...]:
    """The lock and the ladder: what profit in units of risk sets off."""
    p = seen.p
    ladder = (
        (Rung.PARTIAL_25, CloseAction.PARTIAL_25, p.rung_1_r_min),
        (Rung.PARTIAL_50, CloseAction.PARTIAL_50, p.rung_2_r_min),
        (Rung.PARTIAL_75, CloseAction.PARTIAL_75, p.rung_3_r_min),
    )
    lock = seen.rule(
        Code.PROFIT_LOCK, Rung.LOCK, CloseAction.NONE, said.stop == said.stop, _profit_of(seen, said, p.lock_r_min),
        stop=said.stop,
    )  # fmt: skip
    return lock, *(
        seen.rule(Code.HARVEST, rung, close, said.action is close, _profit_of(seen, said, r_min))
        for rung, close, r_min in ladder
    )


def _profit_of(seen: _Seen, said: Harvest, r_min: float) -> Condition:
    return seen.at_pnl("R", said.r, r_min, "x", said.cost + r_min * said.risk)


def _score(seen: _Seen, said: Harvest) -> tuple[RuleView, ...]:
    met = said.action is CloseAction.FULL_CLOSE
    condition = _plain("K", said.score, seen.p.kill_exit_score_min, "frac")
    return (seen.rule(Code.KILL_EXIT, Rung.KILL, CloseAction.FULL_CLOSE, met, condition),)
