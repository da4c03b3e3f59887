"""Each check of the auditor sees exactly what it is for, and none sees anything in a history without fault."""

from collections.abc import Callable
from dataclasses import replace
from math import nan
from typing import Any

import msgspec
import pytest

from interlock.adapters.venue import OrderReport, VenueOrder
from interlock.core.codes import KillMode, PermitState, Scope
from interlock.core.messages import Executed, KillSet, PermitIssued, Spent, Step
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.auditor import ALWAYS, AT_REST, Evidence, Fill, Glance, audit
from interlock.testing.unruly import Arrival

S = 1_000_000_000


def permit_of(client_id: str) -> int | None:
    return int(client_id[1:]) if client_id.startswith("i") else None


def order_of(permit: PermitIssued, **changes: Any) -> OrderReport:
    report = OrderReport(
        f"i{permit.id}",
        permit.symbol,
        permit.side,
        permit.steps,
        PermitState.FILLED,
        permit.steps,
        permit.steps * 0.01,
        0.0,
        permit.issued_ns,
        permit.reduce_only,
        limit_price=permit.limit_price,
    )
    return msgspec.structs.replace(report, **changes)


def arrival_of(report: OrderReport, seen: int) -> Arrival:
    order = VenueOrder(
        report.client_id, report.symbol, report.side, report.steps, report.limit_price, reduce_only=report.reduce_only
    )
    return Arrival(order, report.at_ns, seen)


def history() -> Evidence:
    """A position that was opened, added to and closed in part, each order with its permit, and a stop all the while."""
    bench = open_bench(policy=make_policy())
    permits = []
    for side, quantity, only in ((1, 4.0, False), (1, 1.0, False), (-1, 2.0, True)):
        bench.clock.advance(30.0)
        bench.refresh()
        source = "operator" if only else "bot"
        bench.send(bench.intent("BTC", side, quantity=quantity, source=source, reduce_only=only))
        permit = list(bench.permits.values())[-1]
        bench.fill(permit.id)
        permits.append(permit)
    orders = tuple(order_of(permit) for permit in permits)
    seqs = {each.id: step.seq for step in bench.steps for each in step.outputs if isinstance(each, PermitIssued)}
    return Evidence(
        tuple(bench.steps),
        orders,
        tuple(Fill(o.client_id, o.symbol, o.side, o.filled_steps, o.reduce_only) for o in orders),
        {"BTC": 30_000},
        {"BTC": bench.engine.state.symbols[bench.engine.state.names.symbol_index["BTC"]].position},
        frozenset(seqs),
        permit_of,
        is_direct=lambda client_id: client_id.startswith("direct"),
        arrivals=tuple(arrival_of(order, seqs[permit.id]) for order, permit in zip(orders, permits, strict=True)),
        glances=tuple(Glance(second * S, {"BTC": 50_000}, {"BTC": -50_000}) for second in range(60)),
    )


def fired(evidence: Evidence) -> set[str]:
    return {check.__name__ for check in (*ALWAYS, *AT_REST) if [*check(evidence)]}


def change(e: Evidence, index: int, **changes: Any) -> Evidence:
    orders = list(e.orders)
    orders[index] = msgspec.structs.replace(orders[index], **changes)
    return replace(e, orders=tuple(orders))


def with_steps(e: Evidence, keep: Callable[[Step], bool]) -> Evidence:
    return replace(e, steps=tuple(step for step in e.steps if keep(step)))


def test_a_history_without_fault_gives_no_sentence() -> None:
    assert audit(history(), at_rest=True) == ()
    assert len(history().orders) == 3


def test_a_direct_close_needs_no_permit() -> None:
    e = history()
    direct = order_of(permits_of(e)[2], client_id="direct-1", filled_steps=0)
    assert fired(replace(e, orders=(*e.orders, direct))) == set()


def permits_of(e: Evidence) -> list[PermitIssued]:
    return [each for step in e.steps for each in step.outputs if isinstance(each, PermitIssued)]


def a_foreign_name(e: Evidence) -> Evidence:
    return replace(e, orders=(*e.orders, order_of(permits_of(e)[0], client_id="web-1", filled_steps=0)))


def a_direct_order_that_may_open(e: Evidence) -> Evidence:
    return replace(e, orders=(*e.orders, order_of(permits_of(e)[0], client_id="direct-1", filled_steps=0)))


def a_permit_that_nobody_issued(e: Evidence) -> Evidence:
    orders = (*e.orders, order_of(permits_of(e)[0], client_id="i99", filled_steps=0))
    return replace(e, orders=orders, spent=e.spent | {99})


def a_reducing_order_that_nobody_spent(e: Evidence) -> Evidence:
    return replace(e, orders=(*e.orders, order_of(permits_of(e)[2], client_id="i99", filled_steps=0)))


def an_order_before_its_record(e: Evidence) -> Evidence:
    early = replace(e.arrivals[1], seen=e.arrivals[1].seen - 1)
    return replace(e, arrivals=(e.arrivals[0], early, e.arrivals[2]))


def a_permit_spent_again(e: Evidence) -> Evidence:
    last = next(step for step in e.steps if isinstance(step.input, Spent))
    return replace(e, steps=(*e.steps, msgspec.structs.replace(last, seq=len(e.steps) + 1)))


def an_opening_placed_again(e: Evidence) -> Evidence:
    return replace(e, arrivals=(*e.arrivals, e.arrivals[1]))


def an_opening_that_the_venue_has_twice(e: Evidence) -> Evidence:
    return replace(e, orders=(*e.orders, msgspec.structs.replace(e.orders[1], filled_steps=0)))


def an_executor_that_forgets(e: Evidence) -> Evidence:
    return replace(e, spent=frozenset({permits_of(e)[1].id, permits_of(e)[2].id}))


def another_symbol(e: Evidence) -> Evidence:
    return change(e, 0, symbol="ETH")


def another_side(e: Evidence) -> Evidence:
    return change(e, 0, side=-1, limit_price=200.0)


def a_larger_order(e: Evidence) -> Evidence:
    return change(e, 0, steps=40_001)


def a_close_that_may_open(e: Evidence) -> Evidence:
    return change(e, 2, reduce_only=False)


def a_worse_limit(e: Evidence) -> Evidence:
    return change(e, 0, limit_price=e.orders[0].limit_price + 0.01)


def no_limit(e: Evidence) -> Evidence:
    return change(e, 0, limit_price=nan)


def a_trigger(e: Evidence) -> Evidence:
    return change(e, 2, trigger_price=90.0)


def a_fence_before_the_order(e: Evidence) -> Evidence:
    bench = killed_bench()
    permit = next(iter(bench.permits.values()))
    spent = Step(len(bench.steps) + 1, permit.issued_ns, 0, Spent(permit.id, permit.epoch), ())
    unrevoked = tuple(without_revocations(step) for step in bench.steps)
    return replace(e, steps=(*unrevoked, spent), orders=(), fills=(), positions={}, books={}, arrivals=(), glances=())


def a_revoked_permit(e: Evidence) -> Evidence:
    bench = killed_bench()
    permit = next(iter(bench.permits.values()))
    spent = Step(len(bench.steps) + 1, permit.issued_ns, 0, Spent(permit.id, permit.epoch), ())
    steps = (*(without_fences(step) for step in bench.steps), spent)
    return replace(e, steps=steps, orders=(), fills=(), positions={}, books={}, arrivals=(), glances=())


def killed_bench() -> Bench:
    """A permit was issued, and the kill switch thrown before anybody used it."""
    bench = open_bench(policy=make_policy())
    bench.send(bench.intent("BTC", 1, quantity=4.0))
    bench.send(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", "alice"))
    return bench


def without_revocations(step: Step) -> Step:
    return without(step, "PermitRevoked")


def without_fences(step: Step) -> Step:
    return without(step, "FenceRaised")


def without(step: Step, name: str) -> Step:
    kept = tuple(output for output in step.outputs if type(output).__name__ != name)
    return msgspec.structs.replace(step, outputs=kept)


def a_naked_position(e: Evidence) -> Evidence:
    glances = tuple(replace(each, stops={}) if 20 * S < each.at_ns < 40 * S else each for each in e.glances)
    return replace(e, glances=glances)


def a_stop_for_less(e: Evidence) -> Evidence:
    return replace(e, glances=tuple(replace(each, stops={"BTC": -49_999}) for each in e.glances))


def a_stop_on_the_wrong_side(e: Evidence) -> Evidence:
    return replace(e, glances=tuple(replace(each, stops={"BTC": 50_000}) for each in e.glances))


def a_close_that_flips(e: Evidence) -> Evidence:
    more = Fill("direct-1", "BTC", -1, 30_001, reduce_only=True)
    return replace(e, fills=(*e.fills, more), positions={"BTC": -1}, books={"BTC": -1})


def a_close_of_nothing(e: Evidence) -> Evidence:
    more = Fill("direct-1", "ETH", -1, 1, reduce_only=True)
    return replace(e, fills=(*e.fills, more), positions={**e.positions, "ETH": -1}, books={**e.books, "ETH": -1})


def a_lost_fill(e: Evidence) -> Evidence:
    return with_steps(e, lambda step: not (isinstance(step.input, Executed) and step.input.permit == permits_of(e)[1].id))


def books_that_differ(e: Evidence) -> Evidence:
    return replace(e, books={"BTC": 29_999})


def a_venue_that_differs_from_its_fills(e: Evidence) -> Evidence:
    return replace(e, positions={"BTC": 1}, books={"BTC": 1})


def an_order_that_the_engine_never_released(e: Evidence) -> Evidence:
    return with_steps(e, lambda step: not (isinstance(step.input, Spent) and step.input.permit == permits_of(e)[1].id))


@pytest.mark.parametrize(
    ("doctored", "check"),
    [
        (a_foreign_name, "orders_have_permits"),
        (a_direct_order_that_may_open, "orders_have_permits"),
        (a_permit_that_nobody_issued, "orders_have_permits"),
        (a_reducing_order_that_nobody_spent, "orders_have_permits"),
        (an_order_before_its_record, "records_came_first"),
        (a_permit_spent_again, "permits_are_used_once"),
        (an_opening_placed_again, "permits_are_used_once"),
        (an_opening_that_the_venue_has_twice, "permits_are_used_once"),
        (an_executor_that_forgets, "openings_were_spent_first"),
        (another_symbol, "orders_are_as_permitted"),
        (another_side, "orders_are_as_permitted"),
        (a_larger_order, "orders_are_as_permitted"),
        (a_close_that_may_open, "orders_are_as_permitted"),
        (a_worse_limit, "orders_are_as_permitted"),
        (no_limit, "orders_are_as_permitted"),
        (a_trigger, "orders_are_as_permitted"),
        (a_fence_before_the_order, "nothing_void_is_spent"),
        (a_revoked_permit, "nothing_void_is_spent"),
        (a_naked_position, "positions_have_stops"),
        (a_stop_for_less, "positions_have_stops"),
        (a_stop_on_the_wrong_side, "positions_have_stops"),
        (a_close_that_flips, "reduce_only_never_flips"),
        (a_close_of_nothing, "reduce_only_never_flips"),
        (a_lost_fill, "fills_are_booked"),
        (books_that_differ, "books_agree"),
        (a_venue_that_differs_from_its_fills, "books_agree"),
        (an_order_that_the_engine_never_released, "orders_were_released"),
    ],
)
def test_control_each_violation_is_seen_by_its_check_alone(doctored: Callable[[Evidence], Evidence], check: str) -> None:
    assert fired(doctored(history())) == {check}


def test_control_more_filled_than_was_permitted() -> None:
    e = change(history(), 0, filled_steps=40_001)
    assert any("and 40001 filled" in sentence for sentence in audit(e, at_rest=False))


def test_every_check_has_its_control() -> None:
    marks = test_control_each_violation_is_seen_by_its_check_alone.pytestmark  # type: ignore[attr-defined]
    assert {check for _, check in marks[0].args[1]} == {check.__name__ for check in (*ALWAYS, *AT_REST)}


def test_what_holds_only_at_rest_is_not_asked_before() -> None:
    assert audit(books_that_differ(history()), at_rest=False) == ()
    assert len(audit(books_that_differ(history()), at_rest=True)) == 1


def test_while_no_gateway_runs_nobody_can_place_a_stop() -> None:
    assert fired(replace(a_naked_position(history()), away=((15 * S, 34 * S),))) == set()
    assert fired(replace(a_naked_position(history()), away=((15 * S, 25 * S),))) == {"positions_have_stops"}


def test_a_price_may_have_been_rounded_to_its_tick() -> None:
    e = history()
    stop = msgspec.structs.replace(permits_of(e)[2], id=99, trigger_price=90.004)
    step = Step(len(e.steps) + 1, 0, 0, e.steps[0].input, (stop,))
    order = order_of(stop, trigger_price=90.0, filled_steps=0)
    e = replace(e, steps=(step, *e.steps), orders=(*e.orders, order), spent=e.spent | {99})
    assert fired(replace(e, ticks={"BTC": 0.01})) == set()
    assert fired(replace(e, ticks={"BTC": 0.001})) == {"orders_are_as_permitted"}


def test_a_symbol_that_was_traded_by_hand_is_not_expected_to_have_a_stop() -> None:
    assert fired(replace(a_naked_position(history()), by_hand={"BTC": 1})) == set()
