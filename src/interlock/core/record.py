"""What a strategy's record deserves of a rebalance; of a single order the guard KELLY_CAP says it."""

from math import nan
from typing import Final

from interlock.core.agenda import Agenda
from interlock.core.codes import Code, RiskAction
from interlock.core.floors import floor_of
from interlock.core.limits import Limits, is_on
from interlock.core.messages import Instruction, RiskEvent
from interlock.core.numbers import clip, kelly_frac, larger
from interlock.core.observe import collar_price, equity_now, market_now
from interlock.core.sizing import model_stop
from interlock.core.state import State, StrategyRow

FLOORS: Final = (Code.DAILY_LOSS, Code.WEEKLY_LOSS, Code.DRAWDOWN, Code.TOTAL_DRAWDOWN, Code.EQUITY_GUARD)
"""Rules whose floors KELLY_CAP stays above, as LOSS_HEADROOM does."""


def stake_frac(state: State, limits: Limits, equity: float) -> float:
    """The share of equity that is at stake: all of it, or what is above the nearest active loss floor; NaN is unknown."""
    floor = 0.0
    if limits.kelly_above_floor > 0.0:
        for code in FLOORS:
            floor = larger(floor, floor_of(state, code, limits)[1]) if is_on(limits, code) else floor
    return (equity - floor) / equity if equity > 0.0 else nan


def deserved_frac(s: StrategyRow, limits: Limits) -> float:
    """The share of what is asked for that the record deserves: the multiplier times Kelly's, 0.0 where it says nothing."""
    enough = s.recent_wins + s.recent_losses >= limits.kelly_trade_count_min
    if not (enough and s.recent_wins and s.recent_losses):
        return 0.0
    wins, losses = float(s.recent_wins), float(s.recent_losses)
    full = kelly_frac(wins, losses, s.recent_won, s.recent_lost, limits.kelly_prior_count)
    return clip(limits.kelly_multiplier * full, 0.0, 1.0)


def deserved_steps(agenda: Agenda, strategy: str, instruction: Instruction, index: int, steps: int) -> int:
    """
    Steps of the target that the strategy's record deserves, where the policy scales rebalances by it.

    It is the target that is scaled, so the same rebalance told twice does not creep towards it. Never less than a probe
    leaves, and never so little that something held would have to be closed: a record closes nothing.
    """
    state = agenda.state
    r, number = state.symbols[index], state.names.strategy_index.get(strategy, -1)
    limits = state.limits(r)
    if not is_on(limits, Code.KELLY_CAP) or limits.kelly_scale != 1.0 or number < 0:
        return steps
    side = 1 if instruction.target_weight > 0.0 else -1
    least = max(_probe_steps(agenda, instruction, index, side, limits), r.position * side)
    stake = stake_frac(state, limits, equity_now(state, agenda.at_ns))
    deserved = deserved_frac(state.strategies[number], limits) * stake
    scaled = min(steps, max(int(steps * deserved) if deserved > 0.0 else 0, least))
    if scaled < steps:
        weight = abs(instruction.target_weight)
        scale = (weight, weight * scaled / steps)
        agenda.emit(RiskEvent(agenda.at_ns, Code.KELLY_CAP, instruction.symbol, RiskAction.SCALE, *scale, strategy))
    return scaled


def _probe_steps(agenda: Agenda, instruction: Instruction, index: int, side: int, limits: Limits) -> int:
    """Steps that lose the probe from the worst price to the stop, costs included; 0 where that is not known."""
    state = agenda.state
    r, instrument = state.symbols[index], state.instruments[index]
    assert instrument is not None
    stop = instruction.sl_price
    if stop != stop:
        stop = model_stop(side, r.mark, market_now(r, agenda.at_ns, limits)[0], limits)
    price = collar_price(r, side, limits)
    stop_frac = abs(price - stop) / price if stop == stop else limits.no_stop_gap_frac
    lost = (stop_frac + limits.cost_frac) * larger(instrument.unit_value(price, r.rate), r.unit_notional)
    risk = limits.kelly_probe_frac * equity_now(state, agenda.at_ns)
    return instrument.steps_down(risk / lost * instrument.step) if lost > 0.0 and risk > 0.0 else 0
