"""
Guards on knowing: what is missing, old or implausible proves nothing.

An age is negative where its stamp is ahead of us. Clocks differ by a little; further ahead than it might be old, a
stamp proves nothing either.
"""

from math import inf

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import Limits
from interlock.core.numbers import open_if, within


@guard("INTENT_STALE", remedy="stamp created_at_ns when the intent is made, and send it at once")
def intent_stale(f: Facts, p: Limits) -> float:
    """The intent's age is known and within its limit; it may be ahead of us by no more than the clock tolerance."""
    return open_if(-p.clock_step_s_max <= f.intent_age_s <= p.intent_age_s_max)


@guard("INTENT_CONFLICT", remedy="use a new id for a new intent")
def intent_conflict(f: Facts, p: Limits) -> float:
    """No other intent was sent under this id."""
    return open_if(f.intent_conflict == 0.0)


@guard("EQUITY_STALE", remedy="is the account stream connected?")
def equity_stale(f: Facts, p: Limits) -> float:
    """The venue confirmed equity recently enough."""
    return open_if(within(f.equity_age_s, p.equity_age_s_max))


@guard("EQUITY_IMPLAUSIBLE", remedy="compare the venue's balance with fills, fees and cash flows")
def equity_implausible(f: Facts, p: Limits) -> float:
    """Equity is above zero, the venue's figure and our own agree, and every change of the balance is explained."""
    plausible = 0.0 < f.equity < inf and 0.0 <= f.equity_gap_frac <= p.equity_gap_frac_max
    return open_if(plausible and f.equity_unexplained == 0.0)


@guard("MARKET_STALE", remedy="is the market stream connected for this symbol and every held one?")
def market_stale(f: Facts, p: Limits) -> float:
    """Prices are known, not crossed and fresh, for this symbol, every held one and every conversion rate."""
    return open_if(
        0.0 < f.bid <= f.ask < inf
        and 0.0 < f.mark < inf
        and within(f.mark_age_s, p.mark_age_s_max)
        and within(f.book_age_s, p.mark_age_s_max)
        and within(f.rate_age_s, p.mark_age_s_max)
    )


@guard("POSITION_UNRECONCILED", remedy="is the venue answering position and order queries?")
def position_unreconciled(f: Facts, p: Limits) -> float:
    """The venue confirmed all positions recently, and no order's fate is unknown."""
    confirmed = f.reconciled == 1.0 and within(f.reconciled_age_s, p.reconciled_age_s_max)
    return open_if(confirmed and f.unknown_count == 0.0)


@guard("CONTROLLER_DEAD", remedy="restart the exit owner, or hand its positions to the built-in rules")
def controller_dead(f: Facts, p: Limits) -> float:
    """Whoever owns the exits is alive."""
    return open_if(within(f.controller_age_s, p.controller_age_s_max))


@guard("CLOCK_UNTRUSTED", remedy="check time synchronisation; two venue reads or an operator restore trust")
def clock_untrusted(f: Facts, p: Limits) -> float:
    """The clock was checked and has not stepped since."""
    return open_if(f.clock_trusted == 1.0)
