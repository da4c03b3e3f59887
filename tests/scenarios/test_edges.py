"""What no feed says and no story tells: inputs that are refused, late, repeated, unknown or beyond belief."""

from math import inf, nan
from typing import Any

import msgspec
import pytest

from interlock.core.codes import AccountKind, CalendarKind, Code, PermitState, Scope
from interlock.core.constants import INTENT_WINDOW, NS_PER_S
from interlock.core.engine import Engine
from interlock.core.errors import InputInvalid
from interlock.core.messages import (
    AccountOpened,
    Alert,
    BarClosed,
    CalendarSet,
    CashFlow,
    Decision,
    EquityMarked,
    Executed,
    FlattenSet,
    Input,
    InstrumentSet,
    KillReset,
    LockReleased,
    LockSet,
    MarketBatch,
    OrderAt,
    OrdersReported,
    OwnerSet,
    PermitIssued,
    PositionAt,
    PositionsReported,
    Quarantined,
    Quote,
    Rebased,
    Spent,
    Step,
)
from interlock.testing import Bench, make_instrument, make_policy, open_bench, tell


@pytest.fixture
def bench() -> Bench:
    """Ten BTC are held, and nothing is in flight."""
    bench = open_bench(policy=make_policy("layered@1"))
    bench.fill(permit(bench.send(bench.intent("BTC", 1, quantity=10.0, limit_price=100.0))))
    bench.refresh()
    return bench


def permit(step: Step) -> int:
    return next(each.id for each in step.outputs if isinstance(each, PermitIssued))


def opened(bench: Bench, **changes: Any) -> int:
    """A permit to open ETH."""
    return permit(bench.send(bench.intent("ETH", 1, **{"quantity": 4.0, "limit_price": 50.0, **changes})))


def headline(bench: Bench) -> Code:
    """What a sound small opening is answered."""
    step = bench.send(bench.intent("SOL", 1, quantity=5.0, limit_price=20.0))
    return next(each.headline for each in step.outputs if isinstance(each, Decision))


def close(bench: Bench, source: str = "bot") -> list[PermitIssued]:
    intent = bench.intent("BTC", -1, quantity=10.0, reduce_only=True, source=source)
    return [each for each in bench.send(intent).outputs if isinstance(each, PermitIssued)]


# ---------------------------------------------------------------- refused


def refusals(bench: Bench) -> dict[str, Input]:
    now_ns = bench.clock.true_ns
    instrument = bench.book.instruments["BTC"]
    return {
        "must be > 0": AccountOpened("other", AccountKind.PAPER, "USDT", 0.0),
        "another ledger": AccountOpened("other", AccountKind.PAPER, "USDT", 1.0, 2),
        "epoch must rise": AccountOpened("test", AccountKind.PAPER, "USDT", 1.0, 1),
        "step must be a number > 0": InstrumentSet(msgspec.structs.replace(instrument, step=0.0)),
        "min_notional must be": InstrumentSet(msgspec.structs.replace(instrument, min_notional=nan)),
        "sessions must be": InstrumentSet(msgspec.structs.replace(instrument, sessions=((2, 1),))),
        "cannot change until it is flat": InstrumentSet(msgspec.structs.replace(instrument, step=1.0)),
        "must ascend": CalendarSet("day", CalendarKind.DAY, (2, 1)),
        "has no instants": CalendarSet("day", CalendarKind.DAY, ()),
        "side must be": LockSet(Scope.ACCOUNT, "", 2, now_ns + NS_PER_S, "why", "alice"),
        "names who resets": KillReset(Scope.ACCOUNT, "", ""),
        "names who rebases": Rebased("", "why"),
        "names who wants it": FlattenSet("", "why", ""),
        "names who releases": LockReleased(Scope.ACCOUNT, "", Code.DAILY_LOSS, ""),
    }


@pytest.mark.parametrize("problem", [key for key in refusals(open_bench()) if key != "must be > 0"])
def test_what_a_person_got_wrong_is_refused_and_changes_nothing(bench: Bench, problem: str) -> None:
    seq = bench.engine.state.account.seq
    with pytest.raises(InputInvalid, match=problem):
        bench.send(refusals(bench)[problem])
    assert bench.engine.state.account.seq == seq


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (AccountOpened("a", AccountKind.PAPER, "USDT", 0.0), "must be > 0"),
        (AccountOpened("a", AccountKind.PAPER, "USDT", nan), "must be > 0"),
        (AccountOpened("a", AccountKind.PAPER, "USDT", 1.0, epoch=0), "epoch must be at least 1"),
        (Rebased("alice", "why"), "the first input of an account is AccountOpened"),
    ],
)
def test_an_account_begins_with_its_opening(event: Input, problem: str) -> None:
    with pytest.raises(InputInvalid, match=problem):
        Engine().step(event, NS_PER_S)


def test_a_policy_that_points_nowhere_is_refused(bench: Bench) -> None:
    policy = make_policy("layered@1").compile(bench.clock.true_ns)
    lost = msgspec.structs.replace(policy.universe[0], limits=9)
    too_many = msgspec.structs.replace(policy.limits[0], runaway_count_max=99.0)
    for wrong, problem in (({"limits": ()}, "account's limits"), ({"universe": (lost,)}, "not there")):
        with pytest.raises(InputInvalid, match=problem):
            bench.send(msgspec.structs.replace(policy, **wrong))
    no_number = msgspec.structs.replace(policy.limits[0], spread_bps_max=None)
    for limits, problem in ((too_many, "runaway_count_max is at most"), (no_number, "spread_bps_max must be a number")):
        with pytest.raises(InputInvalid, match=problem):
            bench.send(msgspec.structs.replace(policy, limits=(limits,), universe=()))


def test_an_exit_owner_has_a_name(bench: Bench) -> None:
    policy = msgspec.structs.replace(make_policy("layered@1").compile(bench.clock.true_ns), exit_owner="")
    for wrong in (policy, OwnerSet("", "alice")):
        with pytest.raises(InputInvalid, match="has a name"):
            bench.send(wrong)


# ---------------------------------------------------------------- quarantined


def test_an_intent_that_breaks_the_engine_is_quarantined_and_the_engine_goes_on(bench: Bench) -> None:
    broken = bench.intent("BTC", 1, quantity="three")
    outputs = bench.send(broken).outputs
    assert [each.code for each in outputs if isinstance(each, Alert)] == [Code.QUARANTINED]
    assert headline(bench) == Code.ALLOWED


@pytest.mark.parametrize(
    ("changes", "leaves"),
    [({}, 1), ({"reduce_only": False}, 0), ({"symbol": "GHOST"}, 0), ({"side": 0}, 0), ({"quantity": 0.00001}, 0)],
)
def test_a_quarantined_intent_that_only_reduces_still_leaves(bench: Bench, changes: dict[str, Any], leaves: int) -> None:
    intent = bench.intent("BTC", -1, quantity=3.0, reduce_only=True)
    payload = msgspec.msgpack.encode(msgspec.structs.replace(intent, **changes))
    outputs = bench.send(Quarantined("Intent", "it broke", payload, "BTC")).outputs
    permits = [each for each in outputs if isinstance(each, PermitIssued)]
    assert [each.reduce_only for each in permits] == [True] * leaves


@pytest.mark.parametrize("kind", ["Intent", "Heartbeat"])
def test_a_quarantined_input_without_a_meaning_is_an_alert(bench: Bench, kind: str) -> None:
    outputs = bench.send(Quarantined(kind, "it broke", b"\xff")).outputs
    assert [type(each) for each in outputs] == [Alert]
    assert headline(bench) == Code.ALLOWED


def test_nonsense_from_the_venue_makes_its_subject_unknown(bench: Bench) -> None:
    now_ns = bench.clock.true_ns
    bench.send(PositionsReported((PositionAt("BTC", 2**40, 100.0),), now_ns))
    assert headline(bench) == Code.POSITION_UNRECONCILED
    assert len(close(bench)) == 1


@pytest.mark.parametrize("flow", [CashFlow("gift", 1.0), CashFlow("deposit", nan)])
def test_a_flow_that_cannot_be_meant_makes_the_balance_unknown(bench: Bench, flow: CashFlow) -> None:
    assert isinstance(bench.send(flow).input, Quarantined)
    assert headline(bench) != Code.ALLOWED
    assert len(close(bench)) == 1


# ---------------------------------------------------------------- late, early, repeated


def test_reports_out_of_order_say_nothing(bench: Bench) -> None:
    old_ns, now_ns = bench.clock.true_ns - 1, bench.clock.true_ns
    bench.send(MarketBatch((Quote("BTC", 1.0, 1.0, 1.0, old_ns), Quote("GHOST", 1.0, 1.0, 1.0, now_ns))))
    bench.send(EquityMarked(1.0, 1.0, old_ns))
    bench.send(PositionsReported((), old_ns))
    account = bench.engine.state.account
    assert (account.own_equity, account.venue_equity, account.reconciled) == (10_000.0, 10_000.0, 1.0)
    assert headline(bench) == Code.ALLOWED


def test_reports_from_the_future_are_not_believed(bench: Bench) -> None:
    ahead_ns = bench.clock.true_ns + 6 * NS_PER_S
    bench.send(EquityMarked(1.0, 1.0, ahead_ns))
    bench.send(PositionsReported((), ahead_ns))
    assert headline(bench) == Code.ALLOWED
    bench.send(MarketBatch((Quote("SOL", 20.0, 20.0, 20.0, ahead_ns),)))
    assert headline(bench) == Code.MARKET_STALE


def test_a_spent_permit_is_spent_once(bench: Bench) -> None:
    number = opened(bench)
    for _ in range(2):
        bench.send(Spent(number, 1))
    assert bench.engine.state.permits.edit(number).state == PermitState.SPENT


def test_an_order_that_was_sent_after_its_permit_ended_is_reserved_again(bench: Bench) -> None:
    number = opened(bench)
    bench.clock.advance(11)
    bench.refresh()
    row = bench.engine.state.symbols[1]
    assert row.pending_buy == 0
    bench.send(Spent(number, 1))
    assert row.pending_buy == 40_000
    bench.fill(number)
    assert (row.position, row.pending_buy) == (40_000, 0)


def test_a_close_that_was_sent_after_it_was_taken_back_still_closes(bench: Bench) -> None:
    (issued,) = close(bench)
    bench.send(msgspec.structs.replace(bench.intent("BTC", -1), id="cancel"))
    row = bench.engine.state.permits.edit(issued.id)
    bench.result(issued.id, PermitState.CANCELLED)
    assert row.ended
    bench.result(issued.id, PermitState.FILLED, 100_000)
    assert bench.engine.state.symbols[0].position == 0


def test_older_results_change_nothing(bench: Bench) -> None:
    number = opened(bench)
    bench.fill(number, 30_000)
    for state in (PermitState.PARTIAL, PermitState.CANCELLED):
        bench.send(Executed(number, state, 10_000, 50.0, 0.0, bench.clock.true_ns))
    row = bench.engine.state.symbols[1]
    assert (row.position, row.pending_buy) == (30_000, 10_000)
    bench.send(Executed(number, PermitState.FILLED, 30_000, 150.0, 0.0, bench.clock.true_ns))
    assert row.pending_buy == 10_000


def test_more_than_was_ordered_puts_the_position_in_doubt(bench: Bench) -> None:
    number = opened(bench)
    bench.send(Executed(number, PermitState.FILLED, 50_000, 250.0, 0.0, bench.clock.true_ns))
    assert headline(bench) != Code.ALLOWED
    assert len(close(bench)) == 1


@pytest.mark.parametrize("wrong", [{"filled_value": nan}, {"fees": inf}])
def test_a_fill_without_its_money_is_booked_at_the_mark(bench: Bench, wrong: dict[str, float]) -> None:
    number = opened(bench)
    result = Executed(number, PermitState.FILLED, 40_000, 200.0, 0.0, bench.clock.true_ns)
    bench.send(msgspec.structs.replace(result, **wrong))
    row = bench.engine.state.symbols[1]
    assert (row.position, row.cost) == (40_000, 200_000_000)


def test_an_order_that_the_venue_lists_is_working(bench: Bench) -> None:
    number, other = opened(bench), 99
    bench.send(Spent(number, 1))
    listed = tuple(OrderAt(each, "ETH", 1, 40_000, 0, reduce_only=False) for each in (number, other))
    for _ in range(2):
        bench.send(OrdersReported(listed, bench.clock.true_ns))
    assert bench.engine.state.permits.edit(number).state == PermitState.WORKING


# ---------------------------------------------------------------- unknown


def test_a_position_in_a_symbol_that_nobody_knows_stops_openings(bench: Bench) -> None:
    held = (*bench.book.positions(), PositionAt("GHOST", 1, 1.0))
    bench.send(PositionsReported(held, bench.clock.true_ns))
    assert headline(bench) == Code.POSITION_UNRECONCILED
    assert len(close(bench)) == 1


def test_a_position_without_an_entry_takes_the_mark(bench: Bench) -> None:
    held = (*bench.book.positions(), PositionAt("ETH", 10_000, nan))
    for _ in range(2):
        bench.send(PositionsReported(held, bench.clock.true_ns))
    assert bench.engine.state.symbols[1].cost == 50_000_000


def test_a_position_that_the_venue_does_not_show_is_gone_after_two_reports(bench: Bench) -> None:
    for _ in range(2):
        bench.send(PositionsReported((), bench.clock.true_ns))
    assert bench.engine.state.symbols[0].position == 0
    assert close(bench) == []


def test_a_close_in_doubt_is_smaller_than_a_step_or_leaves(bench: Bench) -> None:
    bench.send(Quarantined("Executed", "it broke", b"", "BTC"))
    small = bench.send(bench.intent("BTC", -1, quantity=0.00001, reduce_only=True, source="operator"))
    assert [each.headline for each in small.outputs if isinstance(each, Decision)] == [Code.NOTHING_TO_REDUCE]
    against = bench.send(bench.intent("BTC", -1, quantity=1.0))
    assert [each.reduce_only for each in against.outputs if isinstance(each, PermitIssued)] == [True]
    assert len(close(bench)) == 1


def test_a_close_by_nobody_is_denied(bench: Bench) -> None:
    assert close(bench, source="") == []
    assert len(close(bench)) == 1


def test_a_close_in_money_needs_a_price() -> None:
    run = tell("""
    policy: none
    holds: BTC=+10@100
    silent: marks
    09:00  intent x BTC -100 reduce-only by operator   -> deny MALFORMED
    =      close BTC by operator                       -> permit 10u
    """)
    assert run.proven_closes


def test_a_rebase_needs_a_proven_equity(bench: Bench) -> None:
    bench.feeds.remove("equity")
    bench.clock.advance(400)
    bench.refresh()
    outputs = bench.send(Rebased("alice", "why")).outputs
    assert [each.code for each in outputs if isinstance(each, Alert)] == [Code.EQUITY_IMPLAUSIBLE]
    assert bench.engine.state.account.equity_peak == 10_000.0


def test_a_rebalance_without_equity_is_no_size() -> None:
    tell("""
    policy: layered@1
    silent: equity
    holds: BTC=+10@100
    09:00  rebalance r ETH=0.1 SOL=close BTC=close  -> deny EQUITY_STALE, permit 10u reduce-only
    """)


# ---------------------------------------------------------------- configuration


def test_an_account_is_opened_again_under_a_higher_epoch(bench: Bench) -> None:
    bench.send(AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0, epoch=2))
    assert bench.engine.state.account.balance == 10_000_000_000
    (issued,) = close(bench)
    assert (issued.epoch, issued.id >> 40) == (2, 2)


def test_an_account_whose_stops_rest_at_the_venue_is_not_opened_without_them() -> None:
    bench = open_bench(policy=make_policy("layered@1"), holdings={"BTC": (1.0, 100.0)}, stops_at_venue=True)
    with pytest.raises(InputInvalid, match="open it with stops_at_venue"):
        bench.send(AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0, epoch=2))
    close(bench)
    bench.fill(max(bench.permits))
    bench.refresh()
    bench.send(AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0, epoch=2))
    assert not bench.engine.state.account.stops_at_venue


def test_a_calendar_told_again_keeps_the_day_that_is_running(bench: Bench) -> None:
    day = bench.engine.state.calendars[0]
    start_ns, following_ns = day.start_ns, day.instants_ns[day.next] + 3600 * NS_PER_S
    bench.send(CalendarSet("day", CalendarKind.DAY, (following_ns,)))
    assert (day.start_ns, day.open_equity, day.instants_ns[day.next]) == (start_ns, 10_000.0, following_ns)


def test_a_calendar_that_has_run_out_opens_no_day(bench: Bench) -> None:
    bench.send(CalendarSet("day", CalendarKind.DAY, (bench.clock.true_ns - NS_PER_S,)))
    bench.clock.advance(90_000)
    bench.refresh()
    assert bench.engine.state.calendars[0].open_equity == 10_000.0


def test_sessions_that_have_run_out_open_nothing() -> None:
    past = make_instrument("BTC", sessions=((1, 2),))
    bench = open_bench(policy=make_policy("layered@1"), instruments=(past,))
    step = bench.send(bench.intent("BTC", 1, quantity=1.0, limit_price=100.0))
    decision = next(each for each in step.outputs if isinstance(each, Decision))
    assert Code.SESSION_CLOSED in [each.code for each in decision.objections]


def test_what_the_core_has_no_rule_for_changes_nothing(bench: Bench) -> None:
    before = msgspec.msgpack.encode(bench.engine.state.symbols)
    bench.send(BarClosed("BTC", bench.clock.true_ns, 3600.0, 1.0, 1.0, 1.0, 1.0))
    assert msgspec.msgpack.encode(bench.engine.state.symbols) == before


def test_old_ids_are_forgotten_after_thousands() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    first = bench.intent("ETH", 1, id="first", quantity=1.0, limit_price=50.0, stop_price=nan)
    bench.send(first)
    for _ in range(INTENT_WINDOW):
        bench.send(bench.intent("ETH", 1, quantity=1.0, limit_price=50.0, stop_price=nan))
    assert bench.engine.state.intents.get("first") is None
    assert len(bench.engine.state.intents.rows) == INTENT_WINDOW


def test_a_permit_that_does_not_exist_cannot_be_written(bench: Bench) -> None:
    with pytest.raises(KeyError):
        bench.engine.state.permits.edit(99)
