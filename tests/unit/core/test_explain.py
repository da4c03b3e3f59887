from math import inf, isnan, nan
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings

from interlock.core.codes import Code, PermitState, TradingState
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.explain import Answer, Explanation, explain, limits_of
from interlock.core.guard import Guard, active_guards, ask
from interlock.core.guards import GUARDS
from interlock.core.headroom import admits, fact_edge, limit_edge, use
from interlock.core.limits import SWITCHABLE, Limits
from interlock.core.messages import Decision, Objection, PolicySet, SymbolPolicy
from interlock.core.reasons import COMMANDS, DENIALS, TRIGGERS, reason_of
from interlock.core.state import ACCOUNT_LOCKS, STRATEGY_LOCKS, SYMBOL_LOCKS
from rulekit import Case, case, disturbed, limits

EACH = pytest.mark.parametrize("guard", GUARDS, ids=[guard.code for guard in GUARDS])


def decision(order: Case, **changes: Any) -> Decision:
    """The decision that the order gets: denied if anything objects."""
    allowance, found = ask(active_guards(GUARDS, order.limits.active), order.facts, order.limits, order.requested)
    granted = 0 if found else 10
    headline = found[0][0] if found else Code.ALLOWED
    objections = tuple(Objection(code, allowed) for code, allowed in found)
    given: dict[str, Any] = {
        "id": 7, "intent_id": "i1", "source": "bot", "strategy": "trend", "symbol": "GOLD", "side": 1, "reducing": False,
        "requested_steps": 10, "granted_steps": granted, "allowance": allowance, "headline": headline,
        "objections": objections, "facts": order.facts, "state": TradingState.ACTIVE,
    }  # fmt: skip
    return Decision(**given | changes)


def told(order: Case, **changes: Any) -> Explanation:
    return explain(decision(order, **changes), order.limits, currency="USD")


def answer(explanation: Explanation, code: Code) -> Answer:
    (found,) = [each for each in explanation.answers if each.code == code]
    return found


def guard_of(code: str) -> Guard:
    (found,) = [guard for guard in GUARDS if guard.code == code]
    return found


# ---------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ({"equity_age_s": 412.0}, "EQUITY_STALE: equity is 412 s old, limit 300 s: is the account stream connected?"),
        ({"equity_age_s": nan}, "EQUITY_STALE: equity age is unknown: is the account stream connected?"),
        ({"equity_age_s": inf}, "EQUITY_STALE: equity has no accepted time, limit 300 s: is the account stream connected?"),
        (
            {"day_open_equity": 10_300.0},
            (
                "DAILY_LOSS: equity is 10,000, needs at least 10,042.5 (day loss at most 2.5 % of the equity at day open): "
                "wait for the next risk day"
            ),
        ),
        ({"spread_bps": 61.0}, "SPREAD_SPIKE: spread is 61 bps, limit 50 bps: wait until the spread narrows"),
        (
            {"mark_age_s": 200.0, "book_age_s": 180.0},
            (
                "MARKET_STALE: mark is 200 s old, book is 180 s old, limit 120 s: "
                "is the market stream connected for this symbol and every held one?"
            ),
        ),
        (
            {"source_may_open": 0.0},
            (
                "SOURCE_DENIED: not proven that the authenticated source may open for this strategy (source may open: no): "
                "give the source the right to open for this strategy in the policy"
            ),
        ),
        (
            {"symbol_notional": 2_500.0},
            (
                "SYMBOL_EXPOSURE: 500.00 USD of 1,000.00 USD fit (equity is 10,000, symbol notional is 2,500, "
                "symbol exposure at most 30 % of equity): reduce the position or its pending orders first"
            ),
        ),
        ({"policy_s_left": -5.0}, "POLICY_STALE: policy has -5 s left, needs at least 0 s: publish a fresh policy"),
        ({"position_count": 10.0}, "CONCURRENT_POSITIONS: position count is 10, limit 10: close a position first"),
    ],
)
def test_an_objection_is_told_in_words_and_numbers(known: dict[str, float], sentence: str) -> None:
    explanation = told(case().knowing(**known))
    assert any(reason.startswith(sentence) for reason in explanation.reasons), explanation.reasons
    assert explanation.sentence == f"DENIED {explanation.reasons[0]}"


def test_a_floor_says_at_least() -> None:
    explanation = told(case().knowing(equity=8_900.0, equity_venue=8_900.0))
    assert "EQUITY_GUARD: equity is 8,900, needs at least 9,000" in "".join(explanation.reasons)
    assert "equity floor at least 90 % of the initial balance" in "".join(explanation.reasons)


def test_a_limit_that_is_not_given_is_named() -> None:
    explanation = told(case().under(spread_bps_max=nan))
    assert "SPREAD_SPIKE: the limit spread is not given: wait until the spread narrows" in explanation.reasons


def test_a_limit_of_a_rule_that_is_off_does_not_count() -> None:
    off = limits().active & ~(1 << SWITCHABLE.index(Code.WEEKLY_LOSS))
    order = case().under(active=off, week_loss_frac_max=nan).knowing(risk_at_stops=5_000.0)
    found = answer(told(order), Code.LOSS_HEADROOM)
    assert "not given" not in found.why
    assert "week_loss_frac_max" not in {reading.name for reading in found.limits}


def test_an_allowed_order_tells_what_came_closest() -> None:
    without_headroom = limits().active & ~(1 << SWITCHABLE.index(Code.LOSS_HEADROOM))
    explanation = told(case().knowing(day_open_equity=10_200.0).under(active=without_headroom, kelly_above_floor=0.0))
    assert explanation.nearest[0] == Code.DAILY_LOSS
    assert explanation.sentence.startswith("ALLOWED: all 1,000.00 USD asked for; closest is DAILY_LOSS, 78 % of its limit")
    assert (explanation.reasons, explanation.remedy, explanation.allowed) == ((), "", True)


def test_an_order_without_a_limit_in_use_has_no_closest() -> None:
    everything_off = case().under(active=0)
    explanation = explain(decision(everything_off, objections=()), Limits(0, *[nan] * (len(Limits.__struct_fields__) - 1)))
    assert explanation.nearest == ()


def test_a_part_that_is_allowed_says_how_much() -> None:
    explanation = told(case().knowing(symbol_notional=2_500.0), granted_steps=5, headline=Code.ALLOWED)
    assert explanation.sentence.startswith("ALLOWED in part, 500.00 USD of 1,000.00 USD: SYMBOL_EXPOSURE: 500.00 USD of")
    assert explanation.remedy == guard_of("SYMBOL_EXPOSURE").remedy


def test_a_part_that_is_allowed_says_first_what_left_the_least() -> None:
    order = case().knowing(symbol_notional=2_500.0, strategy_notional=5_700.0)
    explanation = told(order, granted_steps=3, headline=Code.ALLOWED)
    assert [reason.split(":")[0] for reason in explanation.reasons] == ["STRATEGY_EXPOSURE", "SYMBOL_EXPOSURE"]
    assert explanation.sentence.startswith("ALLOWED in part, 300.00 USD of 1,000.00 USD: STRATEGY_EXPOSURE: 300.00 USD of")
    assert explanation.remedy == guard_of("STRATEGY_EXPOSURE").remedy


def test_what_has_to_be_there_at_all_needs_more_than_nothing() -> None:
    explanation = told(case().asking(0.0))
    assert "POLICY_MISSING_SIZE: requested notional is 0, needs more than 0: give the" in explanation.sentence


def test_what_is_too_small_to_leave_says_so() -> None:
    explanation = told(case().knowing(symbol_notional=2_999.0), headline=Code.BELOW_MIN_NOTIONAL)
    assert explanation.reasons[0].startswith("BELOW_MIN_NOTIONAL: what is allowed of the order is less than one step")
    assert explanation.reasons[1].startswith("SYMBOL_EXPOSURE: 1.00 USD of 1,000.00 USD fit")
    assert explanation.remedy == DENIALS[Code.BELOW_MIN_NOTIONAL].remedy


# ---------------------------------------------------------------- without guards


def bare(**changes: Any) -> Explanation:
    return explain(decision(case(), facts=None, **changes), limits())


def test_a_closing_order_passes_no_guard() -> None:
    explanation = bare(reducing=True, side=-1)
    assert explanation.sentence == "ALLOWED: it reduces the position; no guard is asked about a closing order"
    assert (explanation.answers, explanation.side, explanation.reproduced) == ((), "sell", True)


@pytest.mark.parametrize("code", DENIALS)
def test_a_denial_without_guards_has_its_sentence_and_remedy(code: Code) -> None:
    explanation = bare(headline=code, objections=(Objection(code, 0.0),), granted_steps=0, side=0)
    assert explanation.sentence.startswith(f"DENIED {code}: ")
    assert explanation.sentence.endswith(DENIALS[code].remedy)
    assert explanation.remedy == DENIALS[code].remedy
    assert explanation.side == ""


@EACH
def test_a_guards_code_without_facts_has_its_sentence_and_remedy(guard: Guard) -> None:
    explanation = bare(headline=guard.code, objections=(Objection(guard.code, 0.0),), granted_steps=0)
    assert explanation.sentence.startswith(f"DENIED {guard.code}: ")
    assert explanation.sentence.endswith(explanation.remedy)
    assert explanation.remedy


def test_a_note_says_it_better_than_the_code() -> None:
    explanation = bare(
        headline=Code.MALFORMED, objections=(Objection(Code.MALFORMED, 0.0),), granted_steps=0, note="no side"
    )
    assert explanation.sentence == "DENIED MALFORMED: no side: correct the order and send it again"


def test_what_a_rebalance_leaves_alone_is_no_denial() -> None:
    explanation = bare(headline=Code.ALLOWED, objections=(), requested_steps=0, granted_steps=0, side=0, note="left alone")
    assert (explanation.sentence, explanation.reasons, explanation.remedy) == ("ALLOWED: left alone", (), "")


def test_a_repeated_intent_names_the_first_decision() -> None:
    explanation = bare(repeats=3, permit=4, permit_state=PermitState.WORKING, note="decided before")
    assert explanation.sentence == "REPEATED: decided before (decision 3, permit 4, WORKING)"


@pytest.mark.parametrize("lock", sorted({*ACCOUNT_LOCKS, *STRATEGY_LOCKS, *SYMBOL_LOCKS}))
def test_a_lock_says_what_it_is_about_and_how_long_it_lasts(lock: Code) -> None:
    order = case().knowing(reducing=1.0)
    made = decision(order, lock=lock, lock_until_ns=90 * NS_PER_S)
    reason = reason_of(lock)
    assert reason is not None
    explanation = explain(made, order.limits, at_ns=30 * NS_PER_S)
    assert explanation.sentence.startswith(f"DENIED TRADING_REDUCING: locked by {lock} for another 60 s; ")
    assert explanation.remedy == reason.remedy
    assert "for a time" in explain(made, order.limits).sentence
    forever = msgspec.structs.replace(made, lock_until_ns=OPERATOR_NS)
    assert "until an operator ends it" in explain(forever, order.limits, at_ns=1).sentence


def test_a_freeze_denies_a_close_by_its_lock() -> None:
    frozen = {"headline": Code.TRADING_HALTED, "objections": (Objection(Code.TRADING_HALTED, 0.0),), "granted_steps": 0}
    explanation = bare(reducing=True, lock=Code.KILL_SWITCH, lock_until_ns=OPERATOR_NS, **frozen)
    assert explanation.sentence.startswith("DENIED TRADING_HALTED: locked by KILL_SWITCH until an operator ends it")


# ---------------------------------------------------------------- every guard


@EACH
def test_an_unknown_fact_is_named_by_every_guard_that_reads_it(guard: Guard) -> None:
    for name in guard.reads:
        found = answer(told(case().knowing(**{name: nan})), guard.code)
        assert found.objects, name
        assert "unknown" in found.why, name


@EACH
def test_a_guard_that_is_off_is_not_asked(guard: Guard) -> None:
    on = answer(told(case()), guard.code)
    assert (on.on, on.objects, on.structural) == (True, False, guard.structural)
    assert [reading.name for reading in on.facts] == list(guard.reads)
    off = answer(explain(decision(case().under(active=0)), limits(active=0)), guard.code)
    assert off.on == guard.structural
    assert isnan(off.allowance) != guard.structural


def test_a_live_accounts_stop_is_required_whatever_the_policy_says() -> None:
    order = case().knowing(stop_price=nan).under(active=0)
    made = decision(
        order, objections=(Objection(Code.STOP_REQUIRED, 0.0),), allowance=0.0, granted_steps=0, headline=Code.STOP_REQUIRED
    )
    explanation = explain(made, order.limits)
    assert answer(explanation, Code.STOP_REQUIRED).objects
    assert explanation.reproduced


def test_other_limits_than_those_of_the_time_do_not_reproduce_it() -> None:
    made = decision(case())
    assert explain(made, limits()).reproduced
    assert not explain(made, limits(order_notional_max=10.0)).reproduced


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(disturbed())
def test_every_decision_is_reproduced_and_every_edge_is_one(drawn: Case) -> None:
    order = drawn.asking(drawn.requested)
    explanation = told(order)
    assert explanation.reproduced
    assert all(each.why for each in explanation.answers if each.objects)
    for each in explanation.answers:
        room = each.headroom
        if room is None or each.kind == "cap" or not each.on:
            continue
        guard = guard_of(each.code)
        assert admits(guard, msgspec.structs.replace(order.facts, **{room.fact: room.edge}), order.limits, order.requested)


# ---------------------------------------------------------------- headroom


@pytest.mark.parametrize(
    ("known", "code", "fact", "edge", "distance"),
    [
        ({}, "EQUITY_STALE", "equity_age_s", 300.0, 299.0),
        ({"intent_age_s": 0.5}, "INTENT_STALE", "intent_age_s", 10.0, 9.5),
        ({"equity": 9_900.0}, "DAILY_LOSS", "equity", 9_750.0, 150.0),
        ({"equity_age_s": 30_000.0}, "EQUITY_STALE", "equity_age_s", 300.0, 29_700.0),
        ({"spread_bps": 2.0}, "SPREAD_SPIKE", "spread_bps", 50.0, 48.0),
        ({"policy_s_left": 60.0}, "POLICY_STALE", "policy_s_left", 0.0, 60.0),
        ({"spread_bps": 60.0}, "SPREAD_SPIKE", "spread_bps", 50.0, 10.0),
        ({}, "SYMBOL_EXPOSURE", "requested_notional", 3_000.0, 2_000.0),
    ],
)
def test_the_distance_to_the_other_answer(
    known: dict[str, float], code: str, fact: str, edge: float, distance: float
) -> None:
    order = case().knowing(**({"equity_age_s": 1.0, "symbol_notional": 0.0} | known))
    room = answer(told(order), Code(code)).headroom
    assert room is not None
    assert room.fact == fact
    assert room.edge == pytest.approx(edge)
    assert room.distance == pytest.approx(distance)


def test_no_fact_alone_may_decide() -> None:
    order = case().knowing(source_may_open=0.0, reconciled=0.0, unknown_count=1.0)
    assert answer(told(order), Code.SOURCE_DENIED).headroom is None
    assert isnan(fact_edge(guard_of("POSITION_UNRECONCILED"), order.facts, order.limits, 1.0, "unknown_count"))
    assert isnan(fact_edge(guard_of("EQUITY_STALE"), case().knowing(equity_age_s=nan).facts, limits(), 1.0, "equity_age_s"))


def test_an_allowance_without_bound_is_infinitely_far() -> None:
    explanation = told(case().knowing(free_margin=inf))
    free = answer(explanation, Code.FREE_MARGIN).headroom
    assert free is not None
    assert free.distance > 0.0


@pytest.mark.parametrize(
    ("known", "code", "used"),
    [
        ({"equity_age_s": 75.0}, "EQUITY_STALE", 0.25),
        ({"equity_age_s": 450.0}, "EQUITY_STALE", 1.5),
        ({"equity": 9_800.0}, "DAILY_LOSS", 0.8),
        ({"symbol_notional": 1_400.0}, "SYMBOL_EXPOSURE", 0.8),
        ({"equity": 9_500.0}, "EQUITY_GUARD", 0.5),
    ],
)
def test_the_share_of_a_limit_that_is_used(known: dict[str, float], code: str, used: float) -> None:
    order = case().knowing(**known)
    assert use(guard_of(code), order.facts, order.limits, order.requested) == pytest.approx(used)


def test_a_limit_without_a_say_has_no_edge() -> None:
    order = case()
    collar = guard_of("PRICE_COLLAR")
    assert isnan(limit_edge(collar, order.facts, limits(collar_frac_max=nan), order.requested, "collar_frac_max"))
    broken = order.knowing(mark=nan)
    assert isnan(limit_edge(collar, broken.facts, broken.limits, broken.requested, "collar_frac_max"))
    assert isnan(use(guard_of("SPREAD_SPIKE"), order.facts, limits(spread_bps_max=0.0), order.requested))


def test_an_endless_limit_is_looked_at_from_the_largest_number_that_is_believed() -> None:
    order = case().under(order_notional_max=inf, spread_bps_max=inf).knowing(mark_age_s=inf, spread_bps=nan)
    assert limit_edge(
        guard_of("ORDER_NOTIONAL"), order.facts, order.limits, 1_000.0, "order_notional_max"
    ) == pytest.approx(1_000)
    assert fact_edge(guard_of("MARKET_STALE"), order.facts, order.limits, 1_000.0, "mark_age_s") == 120.0
    assert isnan(fact_edge(guard_of("SPREAD_SPIKE"), order.facts, order.limits, 1_000.0, "spread_bps"))


def test_flags_among_limits_have_no_edge() -> None:
    order = case()
    assert isnan(limit_edge(guard_of("DRAWDOWN"), order.facts, order.limits, order.requested, "drawdown_rebase"))


# ---------------------------------------------------------------- vocabulary


def test_every_code_that_users_can_meet_is_explained() -> None:
    unexplained = {code for code in Code if reason_of(code) is None} - {guard.code for guard in GUARDS}
    assert unexplained == {Code.ALLOWED}


def test_reasons_are_filed_under_their_code_and_complete() -> None:
    for table in (DENIALS, TRIGGERS, COMMANDS):
        for code, reason in table.items():
            assert reason.code is code
            assert reason.says.endswith(".")
            assert not reason.remedy.endswith(".")


def test_the_limits_of_a_symbol_are_its_own_or_the_accounts() -> None:
    own, account = limits(spread_bps_max=9.0), limits()
    policy = PolicySet("p", "d", 1, True, (account, own), (SymbolPolicy("GOLD", 1), SymbolPolicy("EURO", 0)), ())
    assert [limits_of(policy, symbol) for symbol in ("GOLD", "EURO", "SILK")] == [own, account, account]
