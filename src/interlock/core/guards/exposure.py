"""Guards on exposure: what is held plus what is reserved, at the worst price each order allows."""

from math import inf

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import Limits
from interlock.core.numbers import by_regime, open_if, room, smaller


@guard("SYMBOL_EXPOSURE", remedy="reduce the position or its pending orders first")
def symbol_exposure(f: Facts, p: Limits) -> float:
    """Held and reserved notional of one symbol stays within its share of equity."""
    line = p.symbol_exposure_frac_max * f.equity
    return room(line, f.symbol_notional)


@guard("STRATEGY_EXPOSURE", remedy="reduce the strategy's positions first")
def strategy_exposure(f: Facts, p: Limits) -> float:
    """Held and reserved notional of one strategy stays within its share of equity."""
    line = p.strategy_exposure_frac_max * f.equity
    return room(line, f.strategy_notional)


@guard("TOTAL_EXPOSURE", remedy="reduce positions first")
def total_exposure(f: Facts, p: Limits) -> float:
    """Held and reserved notional of the account stays within its share of equity."""
    line = p.total_exposure_frac_max * f.equity
    return room(line, f.gross_notional)


@guard("NET_EXPOSURE", remedy="reduce positions on this side, or hedge with what is filled")
def net_exposure(f: Facts, p: Limits) -> float:
    """Net notional on the order's side stays within its share of equity; pending hedges give no room."""
    net = f.side * f.net_notional
    known = f.side * f.side == 1.0 and net > -inf and f.pending_side_notional >= 0.0 and 0.0 < f.equity < inf
    return p.net_exposure_frac_max * f.equity - (net + f.pending_side_notional) if known else 0.0


@guard("GROSS_LEVERAGE", remedy="reduce positions first; is the symbol's market state told?")
def gross_leverage(f: Facts, p: Limits) -> float:
    """Gross exposure, and that of the symbol, stay within their multiples of equity, the symbol's by its regime."""
    sure = 2.0 * f.regime_p - 1.0 if f.regime_p > 0.5 else 0.0
    cap = by_regime(
        f.regime,
        p.chop_leverage_unsure_max * (1.0 - sure) + p.chop_leverage_max * sure,
        p.base_leverage_max,
        p.trend_leverage_unsure_max * (1.0 - sure) + p.trend_leverage_max * sure,
    )
    total = p.gross_leverage_max * f.equity - f.gross_notional
    here = cap * f.equity - f.symbol_notional
    chop = p.chop_leverage_unsure_max + p.chop_leverage_max
    given = chop + p.base_leverage_max + p.trend_leverage_unsure_max + p.trend_leverage_max >= 0.0
    known = given and 0.0 <= f.regime_p <= 1.0 and f.gross_notional >= 0.0 and f.symbol_notional >= 0.0 and f.equity < inf
    return smaller(total, here) if known else 0.0


@guard("CONCURRENT_POSITIONS", remedy="close a position first")
def concurrent_positions(f: Facts, p: Limits) -> float:
    """Fewer positions are open or pending than allowed, or the symbol is one of them."""
    fewer = f.symbol_is_open == 0.0 and f.position_count < p.position_count_max
    one_of_them = f.symbol_is_open == 1.0 and p.position_count_max > 0.0
    return open_if(0.0 <= f.position_count < inf and (fewer or one_of_them))


@guard("CLUSTER_CAP", remedy="reduce positions in the symbol's cluster first")
def cluster_cap(f: Facts, p: Limits) -> float:
    """Held and reserved notional of the symbol's cluster stays within its share of equity."""
    line = p.cluster_exposure_frac_max * f.equity
    return room(line, f.cluster_notional)


@guard("CORRELATION_VETO", remedy="reduce what moves with the symbol first; are the bars of both told?")
def correlation_veto(f: Facts, p: Limits) -> float:
    """The order moves with nothing that is open beyond a limit, or stays with what does within a share of equity."""
    line = p.correlated_exposure_frac_max * f.equity
    known = -1.0 <= f.correlation <= 1.0 and 0.0 <= f.correlated_notional < inf and 0.0 < f.equity < inf
    given = p.correlation_max >= 0.0 and line >= 0.0
    together = line - f.correlated_notional if known and given else 0.0
    return inf if known and given and f.correlation <= p.correlation_max else together


@guard("FREE_MARGIN", remedy="reduce positions, or use less margin leverage elsewhere")
def free_margin(f: Facts, p: Limits) -> float:
    """The order's initial margin fits into free margin."""
    known = f.free_margin < inf and 0.0 < f.margin_leverage < inf
    return f.free_margin * f.margin_leverage if known else 0.0
