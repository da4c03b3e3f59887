"""What is due for a symbol is done in whatever step comes then; else a step about another one asks nothing of it."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from interlock.core import absorb, apply, due
from interlock.core.codes import AccountKind, KillMode, PermitState, Scope
from interlock.core.constants import FREEZE_ALERT_NS, OPERATOR_NS
from interlock.core.messages import (
    AccountOpened,
    BlackoutSet,
    Cancel,
    CancelOrders,
    CashFlow,
    ClockChecked,
    EquityMarked,
    Executed,
    ExitProposed,
    FlattenGoal,
    FlattenSet,
    Heartbeat,
    Input,
    InstrumentSet,
    KillSet,
    LockSet,
    MarketBatch,
    MarketState,
    PermitIssued,
    PermitRevoked,
    RiskEvent,
    Spent,
    Step,
    Tick,
    VenueError,
)
from interlock.core.state import State, SymbolRow, edit, is_stop
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.wayout import EXITS
from lawkit import hold, permits

WINDOWS = 'rules.NEWS_WINDOW = "on"\nrules.SESSION_FLAT.lead = "300 s"\n'
BTC, ETH = 0, 1


def bench(*, stops: bool = False) -> Bench:
    """BTC and ETH are held, and every rule of the way out is on."""
    made = open_bench(policy=make_policy("layered@1", toml=(EXITS["A"], WINDOWS)), stops_at_venue=stops)
    for symbol in made.book.instruments:
        made.tell_windows(symbol)
    made.tell_market(
        MarketState("BTC", 0, atr=1.0, sigma=0.01, trend_strength=0.5, p_trend=0.7, p_base=0.15, p_chop=0.15, label="TREND")
    )
    for symbol in ("BTC", "ETH"):
        hold(made, symbol, 1, 5.0)
        for p in made.engine.state.permits.alive():
            if p.state == PermitState.ISSUED:
                made._spend(p.id)
                made.result(p.id, PermitState.WORKING)
    assert made.engine.state.open_rows == [BTC, ETH]
    return made


def of_btc(step: Step, kind: type) -> bool:
    """Whether the step puts out anything of that kind for BTC."""
    return any(type(each) is kind and getattr(each, "symbol", "BTC") == "BTC" for each in step.outputs)


# ---------------------------------------------------------------- what is due


def unused(made: Bench) -> type:
    (permit,) = permits(made.send(made.intent("BTC", 1, quantity=0.1)))
    assert permit.expires_ns
    made.send(Tick())
    return PermitRevoked


def resting(made: Bench) -> type:
    """An order to open rests at the venue; when it is judged again, it is too long since positions were read."""
    made.clock.advance(1.0)
    (permit,) = permits(made.send(made.intent("BTC", 1, quantity=0.1, limit_price=99.0)))
    made._spend(permit.id)
    made.result(permit.id, PermitState.WORKING)
    return CancelOrders


def resting_over_a_break(made: Bench) -> type:
    """An order to open rests at a venue that has just closed; what was asked for before the break does not outlive it."""
    now_ns = made.clock.true_ns
    sessions = ((now_ns - 10**12, now_ns + 10 * 10**9), (now_ns + 20 * 10**9, now_ns + 10**15))
    made.book.instruments["BTC"] = replace(made.book.instruments["BTC"], sessions=sessions)
    made.send(InstrumentSet(made.book.instruments["BTC"]))
    (permit,) = permits(made.send(made.intent("BTC", 1, quantity=0.1, limit_price=99.0)))
    made._spend(permit.id)
    made.result(permit.id, PermitState.WORKING)
    made.clock.advance(10.0)
    made.send(Tick())
    assert due.due_ns(made.engine.state, BTC) == sessions[1][0]
    return CancelOrders


def to_be_flat(made: Bench) -> type:
    made.tell_windows("BTC", flat=[(900.0, 1_000.0)])
    return FlattenGoal


def flattened_in_vain(made: Bench) -> type:
    (permit,) = permits(made.send(FlattenSet("BTC", "", "alice")))
    made._spend(permit.id)
    made.result(permit.id, PermitState.REJECTED)
    return PermitIssued


def exit_of_unknown_fate(made: Bench) -> type:
    (permit,) = permits(made.mark("BTC", 94.0))
    made._spend(permit.id)
    made.clock.advance(3.0)
    made.result(permit.id, PermitState.UNKNOWN)
    return PermitIssued


def exit_behind_another_s_silent_close(made: Bench) -> type:
    """Somebody's close of all is on its way when the stop is reached, and is never heard of again."""
    (permit,) = permits(made.send(made.intent("BTC", -1, quantity=5.0, reduce_only=True)))
    made._spend(permit.id)
    assert of_btc(made.mark("BTC", 94.0), ExitProposed)
    return PermitIssued


def profit_in_a_blackout(made: Bench) -> type:
    made.tell_windows("BTC", closing=[(0.0, 2.0)])
    made.mark("BTC", 101.3)
    return ExitProposed


def stop_never_heard_of(made: Bench) -> type:
    """The position has grown again since a stop was sent that nobody has heard of: no other is sent after it yet."""
    for following in (1, 0):
        (permit,) = permits(made.send(made.intent("BTC", 1, quantity=0.1)))
        assert len(permits(made.fill(permit.id))) == following
    return PermitIssued


def stop_refused(made: Bench) -> type:
    made.result(stop_of(made), PermitState.REJECTED)
    return PermitIssued


def stop_refused_again_and_again(made: Bench) -> type:
    """The venue has nothing to protect the position with until the patience ends."""
    made.result(stop_of(made), PermitState.REJECTED)
    ends_ns = made.engine.state.symbols[BTC].stop_close_ns
    while due.due_ns(made.engine.state, BTC) < ends_ns:
        made.clock.advance_to(due.due_ns(made.engine.state, BTC))
        (permit,) = permits(made.send(Tick()))
        made._spend(permit.id)
        made.result(permit.id, PermitState.REJECTED)
    return RiskEvent


def stop_of(made: Bench) -> int:
    rows = (made.engine.state.permits.get(number) for number in made.engine.state.symbols[BTC].permits)
    return next(p.id for p in rows if p is not None and is_stop(p))


STORIES: dict[Callable[[Bench], type], bool] = {
    unused: False,
    resting: False,
    resting_over_a_break: False,
    to_be_flat: False,
    flattened_in_vain: False,
    exit_of_unknown_fate: False,
    exit_behind_another_s_silent_close: False,
    profit_in_a_blackout: False,
    stop_never_heard_of: True,
    stop_refused: True,
    stop_refused_again_and_again: True,
}
"""Something is due for BTC, and whether its stops rest at the venue; each tells what then comes of it."""


def eth_result(made: Bench) -> Input:
    row = made.engine.state.permits.get(max(made.permits))
    other = next(p for p in made.permits.values() if p.symbol == "ETH")
    assert row is not None
    return Executed(other.id, PermitState.FILLED, other.steps, 500.0, 0.0, made.clock.true_ns)


OTHERS: dict[str, Callable[[Bench], Input]] = {
    "result": eth_result,
    "equity": lambda made: EquityMarked(made.book.equity, made.book.balance, made.clock.true_ns),
    "intent": lambda made: made.intent("ETH", 1, quantity=0.01),
    "tick": lambda _made: Tick(),
}


def told(made: Bench, other: Callable[[Bench], Input], at_ns: int) -> Step:
    made.clock.advance_to(at_ns)
    return made.send(other(made))


def when_due(made: Bench, story: Callable[[Bench], type], other: Callable[[Bench], Input]) -> tuple[bool, bool]:
    """Whether it is done in another symbol's step a moment before it is due, and in one at that instant."""
    kind = story(made)
    due_ns = due.due_ns(made.engine.state, BTC)
    assert made.clock.true_ns + 2 < due_ns < OPERATOR_NS
    told(made, other, due_ns - 2)
    return of_btc(told(made, other, due_ns - 1), kind), of_btc(told(made, other, due_ns), kind)


@pytest.mark.parametrize("other", OTHERS.values(), ids=list(OTHERS))
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_what_is_due_is_done_in_the_step_of_another_symbol(
    story: Callable[[Bench], type], other: Callable[[Bench], Input]
) -> None:
    assert when_due(bench(stops=STORIES[story]), story, other) == (False, True)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_control_a_symbol_for_which_nothing_is_ever_due(
    story: Callable[[Bench], type], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench(stops=STORIES[story])
    monkeypatch.setattr(apply, "due_rows", lambda _state: [])
    assert when_due(made, story, eth_result) == (False, False)


def test_a_flat_account_is_due_when_a_period_begins_a_lock_or_the_policy_ends_and_for_each_alert_of_a_freeze() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    begins_ns = min(c.instants_ns[c.next] for c in made.engine.state.calendars)
    assert made.engine.state.account.wake_ns == begins_ns
    made.send(LockSet(Scope.ACCOUNT, "", 0, made.clock.true_ns + 10**9, "", "alice"))
    assert made.engine.state.account.wake_ns == made.clock.true_ns + 10**9 + 1
    made.pass_until(made.clock.true_ns + 2 * 10**9)
    made.send(Tick())
    assert made.engine.state.account.wake_ns == begins_ns
    made.send(KillSet(KillMode.FREEZE, Scope.ACCOUNT, "", "", "alice"))
    assert made.engine.state.account.wake_ns == (made.clock.true_ns // FREEZE_ALERT_NS + 1) * FREEZE_ALERT_NS
    made = open_bench(policy=make_policy("layered@1", changes={"valid_for": "1 h"}))
    policy = made.engine.state.policy
    assert policy is not None
    assert made.engine.state.account.wake_ns == policy.valid_until_ns + 1


# ---------------------------------------------------------------- what concerns all


def restarted(made: Bench) -> Step:
    """Nothing was going on when the account was opened again, from then on with stops at its venue."""
    for _ in range(2):
        made.send(Tick())
    return made.send(AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0, epoch=2, stops_at_venue=True))


def test_a_restart_that_rests_stops_at_the_venue_gives_every_position_one() -> None:
    step = restarted(bench())
    assert [p.symbol for p in permits(step) if p.trigger_price == p.trigger_price] == ["BTC", "ETH"]


def test_what_waited_for_a_clock_is_done_once_it_is_trusted_whatever_comes_next() -> None:
    made = bench()
    made.tell_windows("BTC", flat=[(400.0, 500.0)])
    made.send(ClockChecked(made.clock.true_ns + 10**12))
    for seconds in (200.0, 31.0):
        made.clock.advance(seconds)
        assert not of_btc(made.send(ClockChecked(made.clock.true_ns)), FlattenGoal)
    assert made.engine.state.account.clock_trusted == 1.0
    assert of_btc(made.send(eth_result(made)), FlattenGoal)


# ---------------------------------------------------------------- what concerns one


class Read(list[SymbolRow]):
    """A table that remembers which rows were read."""

    def __init__(self, table: Iterable[SymbolRow]) -> None:
        super().__init__(table)
        self.seen = set[int]()

    def __getitem__(self, index: Any) -> Any:
        self.seen.add(index)
        return super().__getitem__(index)


def rows_read(made: Bench, event: Input) -> set[int]:
    state: State = made.engine.state
    table = Read(state.symbols)
    state.symbols = table
    made.send(event)
    return table.seen.copy()


@pytest.mark.parametrize("stops", [False, True])
def test_what_happens_to_one_symbol_reads_no_other(*, stops: bool) -> None:
    made = bench(stops=stops)
    (permit,) = permits(made.send(made.intent("ETH", 1, quantity=0.2)))
    made.send(Tick())
    made.send(EquityMarked(made.book.equity, made.book.balance, made.clock.true_ns))
    now_ns = made.clock.true_ns
    events: tuple[Input, ...] = (
        Spent(permit.id, permit.epoch),
        Executed(permit.id, PermitState.WORKING, 0, 0.0, 0.0, now_ns),
        Executed(permit.id, PermitState.PARTIAL, permit.steps // 2, 5.0, 0.0, now_ns),
        Executed(permit.id, PermitState.FILLED, permit.steps, 10.0, 0.0, now_ns),
        MarketBatch((made.book.quote("ETH", now_ns),)),
        MarketState("ETH", now_ns, atr=1.0),
        EquityMarked(made.book.equity, made.book.balance, now_ns),
        CashFlow("funding", -1.0, "ETH"),
        Cancel("cancel", "bot", permit.id),
        VenueError("timeout"),
        Heartbeat("exit"),
        BlackoutSet("ETH", (), (), (), now_ns + 10**15),
    )
    assert [rows_read(made, event) - {ETH} for event in events] == [set()] * len(events)
    assert BTC in rows_read(made, Tick())


def test_control_a_row_that_does_not_say_that_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench()
    monkeypatch.setattr(State, "edit_symbol", lambda state, index: edit(state.symbols, index))
    before = made.engine.state.account.held_notional
    made.send(MarketBatch((made.book.quote("ETH", made.clock.true_ns + 10**9),)))
    made.mark("ETH", 101.0)
    assert made.engine.state.account.held_notional == before


def test_control_an_input_of_all_that_is_taken_for_one_of_one_symbol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absorb, "OF_ONE_SYMBOL", absorb.OF_ONE_SYMBOL | {AccountOpened})
    assert permits(restarted(bench())) == []
