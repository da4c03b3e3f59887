"""What tests of rules start from: facts and limits that every guard admits, and ways to leave them."""

from collections.abc import Iterator
from math import inf, nan
from typing import Any, Final

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st

from interlock.core.constants import BASE, CHOP, TREND
from interlock.core.facts import FACT_UNITS, Facts
from interlock.core.guard import Guard, ask
from interlock.core.guards import GUARDS
from interlock.core.limits import BITS, EXIT_RULES, LIMIT_FIELDS, SWITCHABLE, Limits

EXITS_ON: Final = sum(BITS[code] for code in EXIT_RULES)
"""`Limits.active` with the rules of the way out on and no others."""

ALL_ON: Final = ((1 << len(SWITCHABLE)) - 1) & ~EXITS_ON
"""`Limits.active` with every rule on that is about openings or about the account."""

FIRST: Final = settings(max_examples=2_000, phases=[Phase.generate])
"""For a control: that there is an example is all it says, so the smallest one is not looked for."""

HUGE: Final = 1e300
TINY: Final = 5e-324
AWKWARD: Final = (
    nan,
    -nan,
    inf,
    -inf,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    TINY,
    -TINY,
    2.3e-308,
    HUGE,
    -HUGE,
    1e12,
    2.0**53,
)
"""Numbers that arithmetic treats in its own way."""

POSITIVE: Final = frozenset(
    {
        "requested_quantity",
        "requested_notional",
        "unit_notional",
        "worst_price",
        "stop_price",
        "margin_leverage",
        "equity",
        "initial_balance",
        "equity_peak",
        "drawdown_ref",
        "day_open_equity",
        "week_open_equity",
        "bid",
        "ask",
        "mark",
        "atr",
    }
)
"""Facts that are numbers > 0 where they are known."""

NOT_NEGATIVE: Final = frozenset(
    {
        "policy_s_left",
        "stop_frac",
        "unknown_count",
        "equity_gap_frac",
        "spread_bps",
        "symbol_notional",
        "strategy_notional",
        "cluster_notional",
        "correlated_notional",
        "gross_notional",
        "pending_side_notional",
        "position_count",
        "risk_at_stops",
        "regime_p",
        "day_entry_count",
        "day_slice_count",
        "campaign_slice_count",
        "strategy_win_count",
        "strategy_loss_count",
        "strategy_won",
        "strategy_lost",
    }
)
"""Facts that are numbers >= 0 where they are known."""

MAY_BE_INFINITE: Final = frozenset({"target_price", "bracket_leverage", "liquidation_price", "flat_ahead_s"})
"""Facts in which infinity means none."""


def impossible(fact: str) -> Iterator[float]:
    """Values that the fact never has: whoever sees one knows nothing."""
    if fact in MAY_BE_INFINITE:
        return
    yield from (inf, -inf)
    if fact in POSITIVE:
        yield from (0.0, -0.0, -1.0)
    elif fact in NOT_NEGATIVE:
        yield -1.0
    elif fact == "side":
        yield from (0.0, 0.5, 2.0)
    elif fact == "regime":
        yield from (0.0, 0.5, 4.0, -1.0)
    elif FACT_UNITS[fact] == "flag":
        yield from (-1.0, 0.5, 2.0)


class Case(msgspec.Struct, frozen=True):
    """An opening order: what is known, what is allowed, and how much it asks for in account currency."""

    facts: Facts
    limits: Limits
    requested: float

    def knowing(self, **changes: float) -> "Case":
        """The same with other facts."""
        return msgspec.structs.replace(self, facts=msgspec.structs.replace(self.facts, **changes))

    def under(self, **changes: Any) -> "Case":
        """The same under other limits."""
        return msgspec.structs.replace(self, limits=msgspec.structs.replace(self.limits, **changes))

    def asking(self, requested: float) -> "Case":
        """The same order, asking for another notional."""
        return msgspec.structs.replace(self.knowing(requested_notional=requested), requested=requested)

    def allowance(self, *guards: Guard) -> float:
        """What these guards allow, all of them where none is named."""
        return ask(tuple((each.code, each.function) for each in guards or GUARDS), self.facts, self.limits, self.requested)[
            0
        ]

    def admitted(self, *guards: Guard) -> bool:
        """Whether none of these guards objects."""
        return not ask(
            tuple((each.code, each.function) for each in guards or GUARDS), self.facts, self.limits, self.requested
        )[1]


def limits(**changes: Any) -> Limits:
    """Limits in which every rule is on and every number given, those of the examples unless changed."""
    given: dict[str, Any] = {name: _ordinary(name) for name in LIMIT_FIELDS} | {
        "active": ALL_ON,
        "intent_age_s_max": 10.0,
        "equity_age_s_max": 300.0,
        "equity_gap_frac_max": 0.02,
        "mark_age_s_max": 120.0,
        "reconciled_age_s_max": 60.0,
        "controller_age_s_max": 30.0,
        "clock_step_s_max": 1.0,
        "clock_venue_gap_s_max": 5.0,
        "day_loss_frac_max": 0.025,
        "week_loss_frac_max": 0.1,
        "drawdown_frac_max": 0.08,
        "emergency_drawdown_frac_max": 0.1,
        "total_drawdown_frac_max": 0.2,
        "equity_floor_frac_min": 0.9,
        "headroom_buffer_frac": 0.005,
        "cost_frac": 0.001,
        "spread_bps_max": 50.0,
        "collar_frac_max": 0.02,
        "order_notional_max": 5000.0,
        "order_quantity_max": 60.0,
        "order_interval_s": 2.0,
        "order_burst_count_max": 5.0,
        "symbol_exposure_frac_max": 0.3,
        "strategy_exposure_frac_max": 0.6,
        "total_exposure_frac_max": 0.9,
        "cluster_exposure_frac_max": 0.5,
        "correlation_max": 0.7,
        "correlation_decay": 0.97,
        "net_exposure_frac_max": 0.6,
        "position_count_max": 10.0,
        "margin_leverage_max": 10.0,
        "atr_frac_max": 0.05,
        "market_state_age_s_max": 7200.0,
        "trend_score_min": 0.9,
        "chop_score_max": 0.65,
        "unknown_regime": 0.0,
        "chop_leverage_unsure_max": 1.0,
        "chop_risk_frac_max": 0.003,
        "base_risk_frac_max": 0.005,
        "trend_risk_frac_max": 0.007,
        "liquidation_buffer_frac": 0.01,
        "kill_score_min": 0.9,
        "kill_score_critical": 0.95,
        "kill_score_decay": 2.0,
        "kill_score_share_min": 0.2,
        "flip_trend_min": 0.1,
        "sigma_ref": 0.01,
        "trend_ref": 0.3,
        "kelly_multiplier": 1.0,
        "kelly_probe_frac": 0.001,
        "quota_slice_frac": 0.005,
        "quota_order_slice_count_max": 2.0,
        "quota_day_slice_count_max": 4.0,
        "quota_campaign_slice_count_max": 10.0,
        "size_stop_atr": nan,
        "size_target_atr": nan,
    }
    return Limits(**(given | changes))


def _ordinary(limit: str) -> float:
    return {
        "frac": 0.1,
        "bps": 10.0,
        "s": 60.0,
        "count": 3.0,
        "money": 1000.0,
        "quantity": 10.0,
        "x": 2.0,
        "flag": 1.0,
        "regime": 0.0,
    }[LIMIT_FIELDS[limit].unit]


def facts(**changes: float) -> Facts:
    """Facts of an ordinary buy of 1 000 at 100 in an account of 10 000 that is all in order."""
    given = {
        "policy_loaded": 1.0,
        "policy_verified": 1.0,
        "policy_s_left": 3600.0,
        "policy_complete": 1.0,
        "in_universe": 1.0,
        "source_may_open": 1.0,
        "symbol_free": 1.0,
        "live_ready": 1.0,
        "halted": 0.0,
        "reducing": 0.0,
        "symbol_vetoed": 0.0,
        "session_open": 1.0,
        "side": 1.0,
        "requested_quantity": 10.0,
        "requested_notional": 1000.0,
        "unit_notional": 100.0,
        "worst_price": 100.0,
        "stop_price": 98.0,
        "target_price": inf,
        "stop_frac": 0.02,
        "margin_leverage": 5.0,
        "bracket_leverage": inf,
        "intent_age_s": 1.0,
        "intent_conflict": 0.0,
        "order_ahead_s": 2.0,
        "clock_trusted": 1.0,
        "controller_age_s": 5.0,
        "reconciled": 1.0,
        "reconciled_age_s": 10.0,
        "unknown_count": 0.0,
        "equity": 10_000.0,
        "equity_venue": 10_000.0,
        "equity_own": 10_000.0,
        "equity_age_s": 20.0,
        "equity_gap_frac": 0.0,
        "equity_unexplained": 0.0,
        "balance": 10_000.0,
        "initial_balance": 10_000.0,
        "equity_peak": 10_100.0,
        "drawdown_ref": 10_100.0,
        "day_open_equity": 10_000.0,
        "week_open_equity": 10_000.0,
        "bid": 99.95,
        "ask": 100.05,
        "mark": 100.0,
        "mark_age_s": 1.0,
        "book_age_s": 3.0,
        "rate_age_s": 2.0,
        "spread_bps": 10.0,
        "symbol_notional": 500.0,
        "symbol_is_open": 0.0,
        "strategy_notional": 1000.0,
        "gross_notional": 2000.0,
        "net_notional": 1000.0,
        "pending_side_notional": 100.0,
        "position_count": 3.0,
        "free_margin": 8000.0,
        "risk_at_stops": 60.0,
        "atr": 1.0,
        "market_state_age_s": 60.0,
        "regime": BASE,
        "regime_p": 0.7,
        "liquidation_price": 80.0,
        "kill_score": 0.5,
        "day_entry_count": 1.0,
        "day_slice_count": 1.0,
        "campaign_slice_count": 4.0,
        "strategy_win_count": 12.0,
        "strategy_loss_count": 8.0,
        "strategy_won": 2400.0,
        "strategy_lost": 800.0,
        "news_window": 0.0,
        "flat_ahead_s": 3600.0,
        "cluster_notional": 700.0,
        "correlation": 0.4,
        "correlated_notional": 500.0,
    }
    return Facts(**(given | changes))


def case() -> Case:
    """An ordinary order that every guard admits."""
    return Case(facts(), limits(), 1000.0)


def sale() -> Case:
    """The same on the other side of the market."""
    short = case().knowing(side=-1.0, stop_price=102.0, target_price=-inf, net_notional=-1000.0)
    return short.knowing(liquidation_price=120.0)


def parts(low: float = 0.01, high: float = 0.95) -> st.SearchStrategy[float]:
    """A share of what is allowed."""
    return st.floats(low, high)


@st.composite
def admissible(draw: st.DrawFn) -> Case:
    """Any order that every guard admits, with every rule on and some room to every limit."""
    p = draw(tight_limits())
    side = draw(st.sampled_from((1.0, -1.0)))
    equity = draw(st.floats(1e3, 1e9))
    requested = equity * draw(st.floats(1e-4, 0.02))
    mark = draw(st.floats(1e-3, 1e5))
    worst = mark * (1.0 + draw(st.floats(-0.95, 0.95)) * p.collar_frac_max)
    beyond = draw(st.floats(0.001, 0.3))
    stop = min(mark, worst) * (1.0 - beyond) if side > 0.0 else max(mark, worst) * (1.0 + beyond)
    target = draw(st.sampled_from((side * inf, worst * (1.0 + side * beyond))))
    spread_bps = draw(parts()) * p.spread_bps_max
    count = float(draw(st.integers(0, int(p.position_count_max) - 1)))
    references = {
        "day_open_equity": equity * draw(parts(0.1, 0.7)) / (1.0 - p.day_loss_frac_max),
        "week_open_equity": equity * draw(parts(0.1, 0.7)) / (1.0 - p.week_loss_frac_max),
        "drawdown_ref": equity * draw(parts(0.1, 0.7)) / (1.0 - p.drawdown_frac_max),
        "equity_peak": equity * draw(parts(0.1, 0.7)) / (1.0 - p.total_drawdown_frac_max),
        "initial_balance": equity * draw(parts(0.1, 0.7)) / p.equity_floor_frac_min,
    }
    known = facts(
        policy_s_left=draw(st.floats(0.0, 1e7)),
        side=side,
        requested_notional=requested,
        requested_quantity=requested / worst,
        unit_notional=worst,
        worst_price=worst,
        stop_price=stop,
        target_price=target,
        stop_frac=abs(worst - stop) / worst,
        margin_leverage=draw(parts(0.1, 1.0)) * p.margin_leverage_max,
        intent_age_s=draw(parts()) * p.intent_age_s_max,
        order_ahead_s=draw(st.sampled_from((0.0, p.order_interval_s))),
        controller_age_s=draw(parts()) * p.controller_age_s_max,
        reconciled_age_s=draw(parts()) * p.reconciled_age_s_max,
        equity=equity,
        equity_venue=equity,
        equity_own=equity,
        equity_age_s=draw(parts()) * p.equity_age_s_max,
        equity_gap_frac=draw(parts()) * p.equity_gap_frac_max,
        balance=equity,
        bid=mark * (1.0 - 0.5e-4 * spread_bps),
        ask=mark * (1.0 + 0.5e-4 * spread_bps),
        mark=mark,
        mark_age_s=draw(parts()) * p.mark_age_s_max,
        book_age_s=draw(parts(0.0)) * p.mark_age_s_max,
        rate_age_s=draw(parts(0.0)) * p.mark_age_s_max,
        spread_bps=spread_bps,
        symbol_notional=draw(parts(0.0)) * (p.symbol_exposure_frac_max * equity - requested),
        symbol_is_open=draw(st.sampled_from((0.0, 1.0))) if count >= 1.0 else 0.0,
        strategy_notional=draw(parts(0.0)) * (p.strategy_exposure_frac_max * equity - requested),
        cluster_notional=draw(parts(0.0)) * (p.cluster_exposure_frac_max * equity - requested),
        correlation=draw(st.floats(-1.0, p.correlation_max)),
        correlated_notional=draw(parts(0.0)) * equity,
        gross_notional=draw(parts(0.0)) * (p.total_exposure_frac_max * equity - requested),
        net_notional=side * draw(parts(-1.0, 0.5)) * (p.net_exposure_frac_max * equity - requested),
        pending_side_notional=draw(parts(0.0, 0.4)) * (p.net_exposure_frac_max * equity - requested),
        position_count=count,
        free_margin=equity,
        atr=draw(parts()) * p.atr_frac_max * mark,
        market_state_age_s=draw(parts(0.0)) * p.market_state_age_s_max,
        regime=draw(st.sampled_from((CHOP, BASE, TREND))),
        regime_p=draw(parts(0.0, 1.0)),
        kill_score=draw(st.floats(0.5, 0.69)),
        day_entry_count=p.quota_day_entry_count_max // 1.0 - 1.0,
        day_slice_count=(p.quota_day_slice_count_max - 1.0) // 1.0,
        strategy_win_count=float(draw(st.integers(0, 50))),
        strategy_loss_count=float(draw(st.integers(0, 50))),
        strategy_won=draw(st.floats(1.0, 1e6)),
        strategy_lost=draw(st.floats(0.0, 1e6)),
        campaign_slice_count=(p.quota_campaign_slice_count_max - 1.0) // 1.0,
        news_window=0.0,
        flat_ahead_s=draw(st.floats(1.1, inf)) * p.flat_lead_s,
        liquidation_price=draw(st.sampled_from(liquidations(side, stop, p.liquidation_buffer_frac * worst))),
        risk_at_stops=draw(parts(0.0, 0.05)) * equity,
        **references,
    )
    given = msgspec.structs.replace(
        p,
        order_notional_max=requested * draw(st.floats(1.01, 10.0)),
        order_quantity_max=requested / worst * draw(st.floats(1.01, 10.0)),
    )
    return Case(known, given, requested)


def liquidations(side: float, stop: float, buffer: float) -> tuple[float, float]:
    """Where a position may be liquidated without objection: never, or some way behind its stop."""
    return (0.0, (stop - buffer) * 0.9) if side > 0.0 else (inf, (stop + buffer) * 1.1)


def tight_limits() -> st.SearchStrategy[Limits]:
    """Limits as a policy may give them, every rule on."""
    ranges = {"frac": (0.1, 0.5), "bps": (5.0, 200.0), "s": (1.0, 1e4), "count": (2.0, 30.0), "x": (1.0, 100.0)}
    narrow = {"headroom_buffer_frac": (0.0, 0.05), "cost_frac": (0.0, 0.01), "equity_floor_frac_min": (0.5, 0.95)}
    narrow |= {"liquidation_buffer_frac": (0.0, 0.05), "unknown_regime": (0.0, 0.0)}
    narrow |= {"kill_score_min": (0.7, 0.75), "kill_score_critical": (0.8, 0.95), "kill_score_share_min": (0.0, 1.0)}
    drawn = {name: st.floats(*narrow.get(name, ranges.get(limit.unit, (1.0, 1e6)))) for name, limit in LIMIT_FIELDS.items()}
    return st.builds(limits, **drawn)


def numbers() -> st.SearchStrategy[float]:
    """Any float at all, the awkward ones often."""
    return st.sampled_from(AWKWARD) | st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)


def any_facts() -> st.SearchStrategy[Facts]:
    """Facts in which anything may stand anywhere."""
    count = len(Facts.__struct_fields__)
    return st.lists(numbers(), min_size=count, max_size=count).map(lambda values: Facts(*values))


def any_limits(number: st.SearchStrategy[float]) -> st.SearchStrategy[Limits]:
    """Limits in which any such number may stand anywhere."""
    count = len(LIMIT_FIELDS)
    values = st.lists(number, min_size=count, max_size=count)
    return st.builds(lambda active, given: Limits(active, *given), st.integers(0, ALL_ON), values)


def around(guard: Guard, known: st.SearchStrategy[float], given: st.SearchStrategy[float]) -> st.SearchStrategy[Case]:
    """An order in which such facts and such limits stand wherever this guard looks, or in some of those places."""
    return st.builds(
        lambda order, facts, limits: order.knowing(**facts).under(**limits),
        st.sampled_from((case(), sale())),
        st.fixed_dictionaries({}, optional=dict.fromkeys(guard.reads, known)),
        st.fixed_dictionaries({}, optional=dict.fromkeys(guard.limits, given)),
    )


@st.composite
def disturbed(draw: st.DrawFn) -> Case:
    """An order that some guards may object to: admissible, but for a few facts and limits."""
    one = draw(admissible())
    wrong_facts = draw(st.dictionaries(st.sampled_from(Facts.__struct_fields__), numbers(), max_size=4))
    wrong_limits = draw(st.dictionaries(st.sampled_from([*LIMIT_FIELDS]), numbers(), max_size=4))
    return one.knowing(**wrong_facts).under(active=draw(st.integers(0, ALL_ON)), **wrong_limits)
