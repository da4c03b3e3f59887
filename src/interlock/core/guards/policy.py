"""Guards on the policy and on what the intent may ask of it."""

from math import inf

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import Limits
from interlock.core.numbers import open_if


@guard("POLICY_MISSING", remedy="publish a policy for this account")
def policy_missing(f: Facts, p: Limits) -> float:
    """A policy is loaded."""
    return open_if(f.policy_loaded == 1.0)


@guard("POLICY_INVALID", remedy="publish the policy again: its digest or signature does not match")
def policy_invalid(f: Facts, p: Limits) -> float:
    """The policy's digest and signature match its content."""
    return open_if(f.policy_verified == 1.0)


@guard("POLICY_STALE", remedy="publish a fresh policy; closing orders still pass")
def policy_stale(f: Facts, p: Limits) -> float:
    """The policy is still valid; its last instant counts."""
    return open_if(0.0 <= f.policy_s_left < inf)


@guard("POLICY_MISSING_FIELD", remedy="name every limit of an active rule, or inherit it with extends")
def policy_missing_field(f: Facts, p: Limits) -> float:
    """Every limit that an active rule reads is given."""
    return open_if(f.policy_complete == 1.0)


@guard("POLICY_UNIVERSE_FILTER", remedy="add the symbol to the policy's universe, or check that the venue lists it")
def policy_universe_filter(f: Facts, p: Limits) -> float:
    """The symbol is in the policy's universe and tradable at the venue."""
    return open_if(f.in_universe == 1.0)


@guard("POLICY_MISSING_LEVERAGE", remedy="give the symbol a margin leverage within the policy's and the venue's limits")
def policy_missing_leverage(f: Facts, p: Limits) -> float:
    """The margin leverage in use is known and within what policy and venue allow."""
    return open_if(0.0 < f.margin_leverage <= p.margin_leverage_max and f.margin_leverage <= f.bracket_leverage)


@guard("POLICY_MISSING_SIZE", remedy="give the intent a quantity, or the policy a sizing model")
def policy_missing_size(f: Facts, p: Limits) -> float:
    """The requested size is a number above zero."""
    return open_if(0.0 < f.requested_notional < inf)
