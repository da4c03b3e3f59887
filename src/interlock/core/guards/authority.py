"""Guards on who asks, and on what is locked."""

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import Limits
from interlock.core.numbers import open_if


@guard("SOURCE_DENIED", remedy="give the source the right to open for this strategy in the policy")
def source_denied(f: Facts, p: Limits) -> float:
    """The authenticated source may open for this strategy."""
    return open_if(f.source_may_open == 1.0)


@guard(
    "SYMBOL_OWNED", remedy="wait until the other strategy is flat in this symbol; adopt what was opened outside the gate"
)
def symbol_owned(f: Facts, p: Limits) -> float:
    """Nobody else holds the symbol or has an order for it: no other strategy, and nobody outside the gate."""
    return open_if(f.symbol_free == 1.0)


@guard("NOT_LIVE", remedy="check mode, arming, rollout and the environment's kill switch")
def not_live(f: Facts, p: Limits) -> float:
    """A live account is armed and rolled out for the symbol, and no account is killed by its environment."""
    return open_if(f.live_ready == 1.0)


@guard("TRADING_HALTED", remedy="an operator froze trading; only an operator can end it")
def trading_halted(f: Facts, p: Limits) -> float:
    """Nobody has frozen trading."""
    return open_if(f.halted == 0.0)


@guard("TRADING_REDUCING", remedy="wait for the lock's end, or have an operator release it")
def trading_reducing(f: Facts, p: Limits) -> float:
    """No lock forbids new risk for the account or the strategy."""
    return open_if(f.reducing == 0.0)


@guard("SYMBOL_VETO", remedy="wait for the veto's end, or have an operator release it")
def symbol_veto(f: Facts, p: Limits) -> float:
    """No lock forbids new risk in this symbol on this side."""
    return open_if(f.symbol_vetoed == 0.0)


@guard("SESSION_CLOSED", remedy="wait for the venue's session")
def session_closed(f: Facts, p: Limits) -> float:
    """The symbol's venue is open."""
    return open_if(f.session_open == 1.0)


@guard(
    "NEWS_WINDOW",
    remedy="wait for the window's end; `interlock calendar show` tells them and how far they are known",
)
def news_window(f: Facts, p: Limits) -> float:
    """The calendar file reaches to now, and no window in it forbids opening the symbol."""
    return open_if(f.news_window == 0.0)


@guard("SESSION_FLAT", remedy="wait until the symbol may be held again; `interlock calendar show` tells the windows")
def session_flat(f: Facts, p: Limits) -> float:
    """The calendar file reaches to now, and the symbol need not be flat before `flat_lead_s` have passed."""
    return open_if(f.flat_ahead_s > p.flat_lead_s)
