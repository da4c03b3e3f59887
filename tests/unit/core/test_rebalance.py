"""Corners of a rebalance that stories do not reach."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from interlock.core.codes import Action, Code, Partial, RiskAction
from interlock.core.messages import (
    Decision,
    Instruction,
    OpeningsDeferred,
    PermitIssued,
    Provenance,
    Rebalance,
    RiskEvent,
    Step,
)
from interlock.core.snapshot import decode, encode
from interlock.testing import Bench, make_instrument, make_policy, open_bench
from lawkit import hold

CLUSTERED = {
    "universe.BTC.cluster": "one",
    "universe.ETH.cluster": "one",
    "universe.SOL.cluster": "two",
    "rules.CLUSTER_CAP.exposure": "25 %",
    "rules.PRICE_COLLAR.collar": "0.0001 %",
}


def rebalance(bench: Bench, name: str, partial: Partial = Partial.SCALE, **weights: float) -> Rebalance:
    origin = Provenance("run-7", "trend", "calm")
    instructions = tuple(
        Instruction(symbol, Action.SCALE, weight, bench.book.prices[symbol].mark * 0.95, provenance=origin)
        for symbol, weight in weights.items()
    )
    return Rebalance(name, "bot", "trend", instructions, partial, bench.clock.wall_ns)


def scalings(step: Step) -> list[RiskEvent]:
    return [each for each in step.outputs if isinstance(each, RiskEvent) and each.action is RiskAction.SCALE]


def test_the_worked_example_of_a_cluster_is_scaled_by_five_sixths() -> None:
    bench = open_bench(policy=make_policy("layered@1", changes=CLUSTERED))
    step = bench.send(rebalance(bench, "r", BTC=0.2, ETH=0.1, SOL=0.05))
    (event,) = scalings(step)
    assert (event.trigger, event.metadata) == (Code.CLUSTER_CAP, "one")
    assert event.threshold / event.value_at_trigger == pytest.approx(5 / 6, rel=1e-5)
    btc, eth, sol = [each.steps for each in step.outputs if isinstance(each, PermitIssued)]
    assert [btc, eth, sol] == [pytest.approx(each, abs=2) for each in (1_000_000 / 6, 1_000_000 / 6, 250_000)]


def test_one_that_takes_all_or_nothing_is_not_scaled() -> None:
    bench = open_bench(policy=make_policy("layered@1", changes=CLUSTERED))
    step = bench.send(rebalance(bench, "r", Partial.REFUSE, BTC=0.2, ETH=0.1))
    assert scalings(step) == []
    assert [each.headline for each in step.outputs if isinstance(each, Decision)] == [Code.ALLOWED, Code.CLUSTER_CAP]


def test_scaled_below_a_step_it_waits_and_is_told_so() -> None:
    coarse = (make_instrument("ETH", step=1.0),)
    bench = open_bench(policy=make_policy("layered@1", changes=CLUSTERED), instruments=coarse)
    hold(bench, "SOL", 1, 50.0)
    hold(bench, "BTC", 1, 20.0)
    step = bench.send(rebalance(bench, "r", SOL=0.05, BTC=0.295, ETH=0.005))
    answers = {each.symbol: each.headline for each in step.outputs if isinstance(each, Decision)}
    assert answers == {"SOL": Code.ALLOWED, "BTC": Code.ALLOWED, "ETH": Code.BELOW_MIN_NOTIONAL}
    (waits,) = [each for each in step.outputs if isinstance(each, OpeningsDeferred)]
    assert [each.symbol for each in waits.rebalance.instructions] == ["BTC", "ETH"]


def test_a_veto_is_answered_for_whatever_symbol() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    vetoes = tuple(Instruction(symbol, Action.VETO, 0.5) for symbol in ("BTC", "DOGE"))
    step = bench.send(Rebalance("r", "bot", "trend", vetoes, created_at_ns=bench.clock.wall_ns))
    answers = [each for each in step.outputs if isinstance(each, Decision)]
    assert [each.intent_id for each in answers] == ["r/BTC", "r/DOGE"]
    assert {(each.headline, each.note, each.allowed, each.permit) for each in answers} == {
        (Code.ALLOWED, "a VETO leaves the position alone", False, 0)
    }


def test_content_is_what_is_asked_for_whoever_tells_it_in_parts_and_whenever() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    whole = rebalance(bench, "r", BTC=0.1, ETH=-0.1)
    later = replace(whole, created_at_ns=whole.created_at_ns + 1)
    part = replace(whole, instructions=whole.instructions[:1], part_of=whole.content)
    assert whole.content == later.content == part.content
    others = (
        replace(whole, instructions=whole.instructions[::-1]),
        replace(whole, instructions=whole.instructions[:1]),
        replace(whole, partial=Partial.REFUSE),
        replace(whole, source="operator"),
        replace(whole, strategy="mean"),
    )
    assert len({each.content for each in (whole, *others)}) == 1 + len(others)


def test_which_ids_stand_for_what_is_stored() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    first = rebalance(bench, "r", BTC=0.1)
    bench.send(first)
    bench.send(rebalance(bench, "r", BTC=0.2))
    stored = decode(encode(bench.engine.state))
    assert stored.rebalances.rows == bench.engine.state.rebalances.rows == {"r": first.content}


def test_a_rebalance_that_asks_for_nothing_contradicts_nothing() -> None:
    bench = open_bench(policy=make_policy("layered@1", changes=CLUSTERED))
    hold(bench, "BTC", 1, 20.0)
    bench.send(rebalance(bench, "r", BTC=0.1, ETH=0.2))
    assert bench.engine.state.waiting
    bench.send(Rebalance("r", "bot", "trend", ()))
    assert not bench.engine.state.waiting


def test_what_waits_is_stored_with_where_it_came_from() -> None:
    bench = open_bench(policy=make_policy("layered@1", changes=CLUSTERED))
    hold(bench, "BTC", 1, 20.0)
    bench.send(rebalance(bench, "r", BTC=0.1, ETH=0.2))
    state = bench.engine.state
    stored = decode(encode(state))
    assert encode(stored) == encode(state)
    (waits,) = stored.waiting.values()
    assert [each.provenance.run_id for each in waits.rebalance.instructions] == ["run-7"]


def test_reductions_leave_before_openings_whatever_their_order() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    hold(bench, "ETH", 1, 20.0)
    step = bench.send(rebalance(bench, "r", BTC=0.1, ETH=0.05, SOL=0.1))
    leaving = [each.reduce_only for each in step.outputs if isinstance(each, PermitIssued)]
    assert leaving == [True, False, False]
    ids = [each.id for each in step.outputs if isinstance(each, Decision | PermitIssued)]
    assert all(one < other for one, other in pairwise(ids))


def test_a_close_of_a_position_in_doubt_that_has_no_quantity_says_why() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    hold(bench, "BTC", 1, 5.0)
    step = bench.send(rebalance(bench, "r", BTC=0.0))
    (permit,) = [each for each in step.outputs if isinstance(each, PermitIssued)]
    bench.fill(permit.id)
    bench.book.place("BTC", 70_000, 100.0)
    bench.refresh()
    assert bench.engine.state.symbols[0].known != 1.0
    close = Rebalance("q", "bot", "trend", (Instruction("BTC", Action.CLOSE),), Partial.SCALE, bench.clock.wall_ns)
    (answer,) = [each for each in bench.send(close).outputs if isinstance(each, Decision)]
    assert (answer.headline, answer.granted_steps) == (Code.NOTHING_TO_REDUCE, 0)
    assert "not known" in answer.note


@pytest.mark.parametrize(("source", "stands"), [("rival", True), ("exit", True), ("operator", False), ("bot", False)])
def test_what_waits_is_ended_only_by_those_who_may_open_for_the_strategy(source: str, stands: bool) -> None:
    bench = open_bench(policy=make_policy("layered@1", changes=CLUSTERED))
    hold(bench, "BTC", 1, 20.0)
    bench.send(rebalance(bench, "r", BTC=0.1, ETH=0.2))
    assert bench.engine.state.waiting
    bench.send(Rebalance("other", source, "trend", (), created_at_ns=bench.clock.wall_ns))
    assert bool(bench.engine.state.waiting) == stands


def test_a_rebalance_that_was_made_before_the_stop_is_not_the_next_one() -> None:
    bench = open_bench(policy=make_policy("layered@1", changes={"rules.STOP_HIT.lock": "next rebalance"}))
    hold(bench, "BTC", 1, 5.0)
    early = rebalance(bench, "early", BTC=0.1)
    bench.clock.advance(1.0)
    (close,) = [
        each
        for each in bench.send(bench.intent("BTC", -1, quantity=5.0, reduce_only=True)).outputs
        if isinstance(each, PermitIssued)
    ]
    bench.fill(close.id, price=90.0)
    (told,) = [each for each in bench.send(early).outputs if isinstance(each, Decision)]
    assert (told.headline, told.lock) == (Code.SYMBOL_VETO, Code.STOP_HIT)
    (told,) = [each for each in bench.send(rebalance(bench, "late", BTC=0.1)).outputs if isinstance(each, Decision)]
    assert told.granted_steps > 0
