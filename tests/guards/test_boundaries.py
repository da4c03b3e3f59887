"""
Where each guard's answer turns, found by bisection over all floats and compared with the line that the rule states.

The table says for each guard and fact where that is. Its kinds:
    exact     the line itself is safe, the next float is not
    open      the line itself is not safe, the next float is
    micro     safe at the line, where a millionth is the smallest amount; not safe one millionth beyond
    breach    not safe at the line, safe one millionth inside
    derived   the line is a quotient; the turn lies within rounding of it
"""

import struct
from collections.abc import Callable, Iterator
from math import inf, isclose, nextafter
from typing import Final, NamedTuple

import numpy as np
import pytest

from interlock.core.codes import Code
from interlock.core.facts import FACT_UNITS, Facts
from interlock.core.guards import GUARDS
from interlock.core.limits import Limits
from rulekit import Case, case, sale

MICRO: Final = 1e-6
FAR: Final = 1e15
"""Where a guard has no line on this side of a fact, it still admits here."""

Line = Callable[[Facts, Limits], float]


class Turn(NamedTuple):
    """From which value of the fact on the guard objects, above the line or below it."""

    kind: str
    above: bool
    line: Line


def at_most(kind: str, line: Line) -> Turn:
    return Turn(kind, True, line)


def at_least(kind: str, line: Line) -> Turn:
    return Turn(kind, False, line)


def within(line: Line) -> tuple[Turn, Turn]:
    return at_most("exact", line), at_least("exact", lambda f, p: -line(f, p))


def floor(f: Facts, p: Limits) -> float:
    return max(
        f.day_open_equity * (1 - p.day_loss_frac_max),
        f.week_open_equity * (1 - p.week_loss_frac_max),
        f.drawdown_ref * (1 - p.drawdown_frac_max),
        f.equity_peak * (1 - p.total_drawdown_frac_max),
        f.initial_balance * p.equity_floor_frac_min,
    )


def needed(f: Facts, p: Limits) -> float:
    return f.requested_notional * (f.stop_frac + p.cost_frac)


def headroom(f: Facts, p: Limits) -> float:
    return f.equity - needed(f, p) - f.risk_at_stops - p.headroom_buffer_frac * f.initial_balance


def buffer(f: Facts, p: Limits) -> float:
    return p.liquidation_buffer_frac * f.worst_price


def slices(f: Facts, p: Limits) -> float:
    return p.quota_order_slice_count_max * p.quota_slice_frac * f.day_open_equity


def kelly(f: Facts, p: Limits) -> float:
    count = f.strategy_win_count + f.strategy_loss_count
    payoff = (f.strategy_won / f.strategy_win_count) / (f.strategy_lost / f.strategy_loss_count)
    chance = (f.strategy_win_count + p.kelly_prior_count / (1.0 + payoff)) / (count + p.kelly_prior_count)
    return chance - (1.0 - chance) / payoff


def stake(f: Facts, p: Limits) -> float:
    return f.equity - floor(f, p)


def bearable(f: Facts, p: Limits) -> float:
    """The highest floor above which enough is at stake."""
    return f.equity - needed(f, p) / (p.kelly_multiplier * kelly(f, p))


def edge(f: Facts) -> float:
    """The share of what was won that was not lost again."""
    return 1.0 - f.strategy_lost / f.strategy_won


def dull(f: Facts, p: Limits) -> float:
    """The smallest share at risk that still admits the order, before the multiplier."""
    return needed(f, p) / (p.kelly_multiplier * stake(f, p))


def needless(f: Facts, p: Limits) -> float:
    """How much of the edge could be missing: the smallest admitted share of the present one."""
    return dull(f, p) / kelly(f, p)


def zero(f: Facts, p: Limits) -> float:
    return 0.0


POSITIVE: Final = at_least("open", zero)
NOT_NEGATIVE: Final = at_least("exact", zero)
NOT_INFINITE: Final = at_most("exact", lambda f, p: nextafter(inf, 0.0))
KNOWN: Final = (POSITIVE, NOT_INFINITE)
ONLY_THIS_REGIME: Final = (at_most("exact", lambda f, p: f.regime), at_least("exact", lambda f, p: f.regime))
"""The next float is no regime at all."""

TURNS: Final[dict[tuple[str, str], tuple[Turn, ...]]] = {
    ("POLICY_STALE", "policy_s_left"): (NOT_NEGATIVE, NOT_INFINITE),
    ("POLICY_MISSING_LEVERAGE", "margin_leverage"): (POSITIVE, at_most("exact", lambda f, p: p.margin_leverage_max)),
    ("POLICY_MISSING_LEVERAGE", "bracket_leverage"): (at_least("exact", lambda f, p: f.margin_leverage),),
    ("POLICY_MISSING_SIZE", "requested_notional"): KNOWN,
    ("INTENT_STALE", "intent_age_s"): (
        at_most("exact", lambda f, p: p.intent_age_s_max),
        at_least("exact", lambda f, p: -p.clock_step_s_max),
    ),
    ("EQUITY_STALE", "equity_age_s"): within(lambda f, p: p.equity_age_s_max),
    ("EQUITY_IMPLAUSIBLE", "equity"): KNOWN,
    ("EQUITY_IMPLAUSIBLE", "equity_unexplained"): within(zero),
    ("EQUITY_IMPLAUSIBLE", "equity_gap_frac"): (
        NOT_NEGATIVE,
        at_most("exact", lambda f, p: p.equity_gap_frac_max),
    ),
    ("MARKET_STALE", "bid"): (POSITIVE, at_most("exact", lambda f, p: f.ask)),
    ("MARKET_STALE", "ask"): (at_least("exact", lambda f, p: f.bid), NOT_INFINITE),
    ("MARKET_STALE", "mark"): KNOWN,
    ("MARKET_STALE", "mark_age_s"): within(lambda f, p: p.mark_age_s_max),
    ("MARKET_STALE", "book_age_s"): within(lambda f, p: p.mark_age_s_max),
    ("MARKET_STALE", "rate_age_s"): within(lambda f, p: p.mark_age_s_max),
    ("POSITION_UNRECONCILED", "reconciled_age_s"): within(lambda f, p: p.reconciled_age_s_max),
    ("POSITION_UNRECONCILED", "unknown_count"): within(zero),
    ("CONTROLLER_DEAD", "controller_age_s"): within(lambda f, p: p.controller_age_s_max),
    ("DAILY_LOSS", "equity"): (at_least("micro", lambda f, p: f.day_open_equity * (1 - p.day_loss_frac_max)),),
    ("DAILY_LOSS", "day_open_equity"): (
        POSITIVE,
        at_most("micro", lambda f, p: f.equity / (1 - p.day_loss_frac_max)),
    ),
    ("WEEKLY_LOSS", "equity"): (at_least("micro", lambda f, p: f.week_open_equity * (1 - p.week_loss_frac_max)),),
    ("WEEKLY_LOSS", "week_open_equity"): (
        POSITIVE,
        at_most("micro", lambda f, p: f.equity / (1 - p.week_loss_frac_max)),
    ),
    ("DRAWDOWN", "equity"): (at_least("micro", lambda f, p: f.drawdown_ref * (1 - p.drawdown_frac_max)),),
    ("DRAWDOWN", "drawdown_ref"): (POSITIVE, at_most("micro", lambda f, p: f.equity / (1 - p.drawdown_frac_max))),
    ("TOTAL_DRAWDOWN", "equity"): (at_least("micro", lambda f, p: f.equity_peak * (1 - p.total_drawdown_frac_max)),),
    ("TOTAL_DRAWDOWN", "equity_peak"): (
        POSITIVE,
        at_most("micro", lambda f, p: f.equity / (1 - p.total_drawdown_frac_max)),
    ),
    ("EQUITY_GUARD", "equity"): (at_least("breach", lambda f, p: f.initial_balance * p.equity_floor_frac_min),),
    ("EQUITY_GUARD", "initial_balance"): (
        POSITIVE,
        at_most("breach", lambda f, p: f.equity / p.equity_floor_frac_min),
    ),
    ("LOSS_HEADROOM", "equity"): (at_least("micro", lambda f, p: floor(f, p) + f.equity - headroom(f, p)),),
    ("LOSS_HEADROOM", "day_open_equity"): (
        POSITIVE,
        at_most("micro", lambda f, p: headroom(f, p) / (1 - p.day_loss_frac_max)),
    ),
    ("LOSS_HEADROOM", "week_open_equity"): (
        POSITIVE,
        at_most("micro", lambda f, p: headroom(f, p) / (1 - p.week_loss_frac_max)),
    ),
    ("LOSS_HEADROOM", "drawdown_ref"): (
        POSITIVE,
        at_most("micro", lambda f, p: headroom(f, p) / (1 - p.drawdown_frac_max)),
    ),
    ("LOSS_HEADROOM", "equity_peak"): (
        POSITIVE,
        at_most("micro", lambda f, p: headroom(f, p) / (1 - p.total_drawdown_frac_max)),
    ),
    ("LOSS_HEADROOM", "initial_balance"): (
        POSITIVE,
        at_most(
            "micro",
            lambda f, p: (f.equity - needed(f, p) - f.risk_at_stops) / (p.equity_floor_frac_min + p.headroom_buffer_frac),
        ),
    ),
    ("LOSS_HEADROOM", "risk_at_stops"): (
        NOT_NEGATIVE,
        at_most("micro", lambda f, p: f.risk_at_stops + headroom(f, p) - floor(f, p)),
    ),
    ("LOSS_HEADROOM", "stop_frac"): (
        POSITIVE,
        at_most(
            "derived",
            lambda f, p: (headroom(f, p) + needed(f, p) - floor(f, p)) / f.requested_notional - p.cost_frac,
        ),
    ),
    ("SPREAD_SPIKE", "spread_bps"): (NOT_NEGATIVE, at_most("exact", lambda f, p: p.spread_bps_max)),
    ("PRICE_COLLAR", "worst_price"): (
        at_most("derived", lambda f, p: f.mark * (1 + p.collar_frac_max)),
        at_least("derived", lambda f, p: f.mark * (1 - p.collar_frac_max)),
    ),
    ("PRICE_COLLAR", "mark"): (
        at_most("derived", lambda f, p: f.worst_price / (1 - p.collar_frac_max)),
        at_least("derived", lambda f, p: f.worst_price / (1 + p.collar_frac_max)),
    ),
    ("ORDER_NOTIONAL", "requested_notional"): (POSITIVE, at_most("micro", lambda f, p: p.order_notional_max)),
    ("ORDER_QUANTITY", "requested_quantity"): KNOWN,
    ("ORDER_QUANTITY", "unit_notional"): (
        at_least("derived", lambda f, p: f.requested_notional / p.order_quantity_max),
        at_most("exact", lambda f, p: nextafter(inf, 0.0)),
    ),
    ("ORDER_RATE", "order_ahead_s"): (at_most("micro", lambda f, p: p.order_interval_s * (p.order_burst_count_max - 1)),),
    ("SYMBOL_EXPOSURE", "equity"): (
        at_least("derived", lambda f, p: (f.symbol_notional + f.requested_notional) / p.symbol_exposure_frac_max),
    ),
    ("SYMBOL_EXPOSURE", "symbol_notional"): (
        NOT_NEGATIVE,
        at_most("micro", lambda f, p: p.symbol_exposure_frac_max * f.equity - f.requested_notional),
    ),
    ("STRATEGY_EXPOSURE", "equity"): (
        at_least("derived", lambda f, p: (f.strategy_notional + f.requested_notional) / p.strategy_exposure_frac_max),
    ),
    ("STRATEGY_EXPOSURE", "strategy_notional"): (
        NOT_NEGATIVE,
        at_most("micro", lambda f, p: p.strategy_exposure_frac_max * f.equity - f.requested_notional),
    ),
    ("CLUSTER_CAP", "equity"): (
        at_least("derived", lambda f, p: (f.cluster_notional + f.requested_notional) / p.cluster_exposure_frac_max),
    ),
    ("CLUSTER_CAP", "cluster_notional"): (
        NOT_NEGATIVE,
        at_most("micro", lambda f, p: p.cluster_exposure_frac_max * f.equity - f.requested_notional),
    ),
    ("CORRELATION_VETO", "equity"): KNOWN,
    ("CORRELATION_VETO", "correlated_notional"): (NOT_NEGATIVE, NOT_INFINITE),
    ("CORRELATION_VETO", "correlation"): (
        at_least("exact", lambda f, p: -1.0),
        at_most("exact", lambda f, p: p.correlation_max),
    ),
    ("TOTAL_EXPOSURE", "equity"): (
        at_least("derived", lambda f, p: (f.gross_notional + f.requested_notional) / p.total_exposure_frac_max),
    ),
    ("TOTAL_EXPOSURE", "gross_notional"): (
        NOT_NEGATIVE,
        at_most("micro", lambda f, p: p.total_exposure_frac_max * f.equity - f.requested_notional),
    ),
    ("NET_EXPOSURE", "equity"): (
        at_least(
            "derived",
            lambda f, p: (
                (f.side * f.net_notional + f.pending_side_notional + f.requested_notional) / p.net_exposure_frac_max
            ),
        ),
    ),
    ("NET_EXPOSURE", "pending_side_notional"): (
        NOT_NEGATIVE,
        at_most("micro", lambda f, p: p.net_exposure_frac_max * f.equity - f.side * f.net_notional - f.requested_notional),
    ),
    ("CONCURRENT_POSITIONS", "position_count"): (
        NOT_NEGATIVE,
        at_most("open", lambda f, p: p.position_count_max),
    ),
    ("FREE_MARGIN", "free_margin"): (
        at_least("derived", lambda f, p: f.requested_notional / f.margin_leverage),
        NOT_INFINITE,
    ),
    ("FREE_MARGIN", "margin_leverage"): (
        at_least("derived", lambda f, p: f.requested_notional / f.free_margin),
        NOT_INFINITE,
    ),
    ("ATR_SPIKE", "atr"): (POSITIVE, at_most("exact", lambda f, p: p.atr_frac_max * f.mark)),
    ("ATR_SPIKE", "mark"): (at_least("derived", lambda f, p: f.atr / p.atr_frac_max), NOT_INFINITE),
    ("ATR_SPIKE", "market_state_age_s"): within(lambda f, p: p.market_state_age_s_max),
    ("GROSS_LEVERAGE", "equity"): (
        at_least(
            "derived",
            lambda f, p: max(
                (f.gross_notional + f.requested_notional) / p.gross_leverage_max,
                (f.symbol_notional + f.requested_notional) / p.base_leverage_max,
            ),
        ),
    ),
    ("GROSS_LEVERAGE", "gross_notional"): (
        NOT_NEGATIVE,
        at_most("micro", lambda f, p: p.gross_leverage_max * f.equity - f.requested_notional),
    ),
    ("GROSS_LEVERAGE", "symbol_notional"): (
        NOT_NEGATIVE,
        at_most("micro", lambda f, p: p.base_leverage_max * f.equity - f.requested_notional),
    ),
    ("GROSS_LEVERAGE", "regime"): ONLY_THIS_REGIME,
    ("GROSS_LEVERAGE", "regime_p"): (NOT_NEGATIVE, at_most("exact", lambda f, p: 1.0)),
    ("TRADE_RISK", "equity"): (at_least("derived", lambda f, p: needed(f, p) / p.base_risk_frac_max), NOT_INFINITE),
    ("TRADE_RISK", "stop_frac"): (
        POSITIVE,
        at_most("derived", lambda f, p: p.base_risk_frac_max * f.equity / f.requested_notional - p.cost_frac),
    ),
    ("TRADE_RISK", "regime"): ONLY_THIS_REGIME,
    ("DAILY_RISK_QUOTA", "stop_frac"): (
        POSITIVE,
        at_most("derived", lambda f, p: slices(f, p) / f.requested_notional - p.cost_frac),
    ),
    ("DAILY_RISK_QUOTA", "day_open_equity"): (
        at_least("derived", lambda f, p: needed(f, p) / (p.quota_slice_frac * p.quota_order_slice_count_max)),
        NOT_INFINITE,
    ),
    ("DAILY_RISK_QUOTA", "day_entry_count"): (
        NOT_NEGATIVE,
        at_most("exact", lambda f, p: p.quota_day_entry_count_max - 1),
    ),
    ("DAILY_RISK_QUOTA", "day_slice_count"): (
        NOT_NEGATIVE,
        at_most("exact", lambda f, p: p.quota_day_slice_count_max - 1),
    ),
    ("DAILY_RISK_QUOTA", "campaign_slice_count"): (
        NOT_NEGATIVE,
        at_most("exact", lambda f, p: p.quota_campaign_slice_count_max - 1),
    ),
    ("KELLY_CAP", "equity"): (
        at_least("derived", lambda f, p: floor(f, p) + needed(f, p) / (p.kelly_multiplier * kelly(f, p))),
        NOT_INFINITE,
    ),
    ("KELLY_CAP", "day_open_equity"): (
        POSITIVE,
        at_most("derived", lambda f, p: bearable(f, p) / (1 - p.day_loss_frac_max)),
    ),
    ("KELLY_CAP", "week_open_equity"): (
        POSITIVE,
        at_most("derived", lambda f, p: bearable(f, p) / (1 - p.week_loss_frac_max)),
    ),
    ("KELLY_CAP", "drawdown_ref"): (
        POSITIVE,
        at_most("derived", lambda f, p: bearable(f, p) / (1 - p.drawdown_frac_max)),
    ),
    ("KELLY_CAP", "equity_peak"): (
        POSITIVE,
        at_most("derived", lambda f, p: bearable(f, p) / (1 - p.total_drawdown_frac_max)),
    ),
    ("KELLY_CAP", "initial_balance"): (
        POSITIVE,
        at_most("derived", lambda f, p: bearable(f, p) / p.equity_floor_frac_min),
    ),
    ("KELLY_CAP", "stop_frac"): (
        POSITIVE,
        at_most(
            "derived", lambda f, p: p.kelly_multiplier * kelly(f, p) * stake(f, p) / f.requested_notional - p.cost_frac
        ),
    ),
    ("KELLY_CAP", "strategy_win_count"): (
        at_least(
            "derived",
            lambda f, p: dull(f, p) * (f.strategy_loss_count + p.kelly_prior_count) / (edge(f) - dull(f, p)),
        ),
        NOT_INFINITE,
    ),
    ("KELLY_CAP", "strategy_loss_count"): (
        POSITIVE,
        at_most(
            "derived",
            lambda f, p: f.strategy_win_count * (edge(f) / dull(f, p) - 1.0) - p.kelly_prior_count,
        ),
    ),
    ("KELLY_CAP", "strategy_won"): (
        at_least("derived", lambda f, p: f.strategy_lost / (1.0 - edge(f) * needless(f, p))),
        NOT_INFINITE,
    ),
    ("KELLY_CAP", "strategy_lost"): (
        NOT_NEGATIVE,
        at_most("derived", lambda f, p: f.strategy_won * (1.0 - edge(f) * needless(f, p))),
    ),
    ("KILL_SCORE", "kill_score"): (at_least("exact", lambda f, p: 0.5), at_most("derived", lambda f, p: p.kill_score_min)),
    ("KILL_SCORE", "requested_notional"): KNOWN,
    ("SESSION_FLAT", "flat_ahead_s"): (at_least("open", lambda f, p: p.flat_lead_s),),
}
"""Lines that mean the same for a buy and a sale."""

BUYS: Final[dict[tuple[str, str], tuple[Turn, ...]]] = {
    ("STOP_REQUIRED", "stop_price"): (POSITIVE, at_most("open", lambda f, p: min(f.worst_price, f.mark))),
    ("STOP_REQUIRED", "worst_price"): (at_least("open", lambda f, p: f.stop_price),),
    ("STOP_REQUIRED", "mark"): (at_least("open", lambda f, p: f.stop_price),),
    ("STOP_REQUIRED", "target_price"): (at_least("open", lambda f, p: f.worst_price),),
    ("NET_EXPOSURE", "net_notional"): (
        at_most("micro", lambda f, p: p.net_exposure_frac_max * f.equity - f.pending_side_notional - f.requested_notional),
    ),
    ("LIQUIDATION_DISTANCE", "stop_price"): (
        at_least("derived", lambda f, p: f.liquidation_price + buffer(f, p)),
        NOT_INFINITE,
    ),
    ("LIQUIDATION_DISTANCE", "liquidation_price"): (
        NOT_NEGATIVE,
        at_most("derived", lambda f, p: f.stop_price - buffer(f, p)),
    ),
    ("LIQUIDATION_DISTANCE", "worst_price"): (
        POSITIVE,
        at_most("derived", lambda f, p: (f.stop_price - f.liquidation_price) / p.liquidation_buffer_frac),
    ),
}
SALES: Final[dict[tuple[str, str], tuple[Turn, ...]]] = {
    ("STOP_REQUIRED", "stop_price"): (at_least("open", lambda f, p: max(f.worst_price, f.mark)), NOT_INFINITE),
    ("STOP_REQUIRED", "worst_price"): (at_most("open", lambda f, p: f.stop_price),),
    ("STOP_REQUIRED", "mark"): (at_most("open", lambda f, p: f.stop_price),),
    ("STOP_REQUIRED", "target_price"): (at_most("open", lambda f, p: f.worst_price),),
    ("NET_EXPOSURE", "net_notional"): (
        at_least(
            "micro",
            lambda f, p: -(p.net_exposure_frac_max * f.equity - f.pending_side_notional - f.requested_notional),
        ),
    ),
    ("LIQUIDATION_DISTANCE", "stop_price"): (POSITIVE, at_most("derived", lambda f, p: f.liquidation_price - buffer(f, p))),
    ("LIQUIDATION_DISTANCE", "liquidation_price"): (at_least("derived", lambda f, p: f.stop_price + buffer(f, p)),),
    ("LIQUIDATION_DISTANCE", "worst_price"): (
        POSITIVE,
        at_most("derived", lambda f, p: (f.liquidation_price - f.stop_price) / p.liquidation_buffer_frac),
    ),
}
GUARD_OF: Final = {str(guard.code): guard for guard in GUARDS}


def probe(order: Case, code: str, fact: str, value: float) -> bool:
    """Whether the guard admits the order with that value; an order's own notional is also what it asks for."""
    changed = order.asking(value) if fact == "requested_notional" else order.knowing(**{fact: value})
    return changed.admitted(GUARD_OF[code])


def as_order(value: float) -> int:
    """The float's place among all floats."""
    bits = int.from_bytes(struct.pack(">d", value), signed=True)
    return bits if bits >= 0 else -(bits & 0x7FFFFFFFFFFFFFFF)


def at_place(place: int) -> float:
    value = np.int64(abs(place)).view(np.float64)
    return float(value if place >= 0 else -value)


def turn(admits: Callable[[float], bool], safe: float, unsafe: float) -> tuple[float, float]:
    """Two neighbours among the floats, the first admitted, the second not."""
    good, bad = as_order(safe), as_order(unsafe)
    while abs(good - bad) > 1:
        middle = (good + bad) // 2
        if admits(at_place(middle)):
            good = middle
        else:
            bad = middle
    return at_place(good), at_place(bad)


def turns() -> Iterator[object]:
    for name, order, own in (("buy", case(), BUYS), ("sale", sale(), SALES)):
        for (code, fact), lines in (TURNS | own).items():
            yield pytest.param(order, code, fact, lines, id=f"{code}-{fact}-{name}")


@pytest.mark.parametrize(("order", "code", "fact", "lines"), [*turns()])
def test_the_guard_turns_where_the_rule_says(order: Case, code: str, fact: str, lines: tuple[Turn, ...]) -> None:
    start = getattr(order.facts, fact)

    def admits(value: float) -> bool:
        return probe(order, code, fact, value)

    assert admits(start)
    assert all(admits(far) for far in {FAR, -FAR} - {FAR if each.above else -FAR for each in lines})
    for each in lines:
        line = each.line(order.facts, order.limits)
        last_safe, first_unsafe = turn(admits, start, inf if each.above else -inf)
        outward = MICRO if each.above else -MICRO
        match each.kind:
            case "exact":
                assert last_safe == line
            case "open":
                assert first_unsafe == line
            case "micro":
                assert isclose(last_safe, line, abs_tol=1.2 * MICRO, rel_tol=0.0)
                assert admits(line)
                assert not admits(line + 1.2 * outward)
            case "breach":
                assert isclose(last_safe, line, abs_tol=1.2 * MICRO, rel_tol=0.0)
                assert not admits(line)
                assert admits(line - 1.2 * outward)
            case "derived":
                assert isclose(last_safe, line, rel_tol=1e-8)


def test_every_number_that_a_guard_reads_has_its_line() -> None:
    read = {(str(guard.code), fact) for guard in GUARDS for fact in guard.reads if FACT_UNITS[fact] != "flag"}
    assert {pair for pair in read if pair[1] != "side"} == set(TURNS | BUYS) == set(TURNS | SALES)


@pytest.mark.parametrize("code", ["NET_EXPOSURE", "STOP_REQUIRED", "LIQUIDATION_DISTANCE"])
def test_a_side_is_one_or_minus_one(code: str) -> None:
    assert Code(code) in {guard.code for guard in GUARDS if "side" in guard.reads}
    for order in (case(), sale()):
        side = order.facts.side
        assert probe(order, code, "side", side)
        assert not any(probe(order, code, "side", nextafter(side, far)) for far in (-inf, inf))
