"""
The engine's accounting against the slow model's, on histories that Hypothesis makes up.

Both see the same inputs; the permits and revocations that the engine puts out are facts for the model. After every
step every number that both know must be the same.
"""

from fractions import Fraction
from math import nan

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from interlock.core.codes import Code, PermitState, RiskAction
from interlock.core.engine import Engine
from interlock.core.messages import (
    BUY,
    SELL,
    CashFlow,
    Decision,
    EquityMarked,
    Executed,
    LockChanged,
    MarketBatch,
    PermitIssued,
    Rebased,
    RiskEvent,
    Tick,
)
from oracle.accounting import LOSSES, NS, broken, exact
from oracle.pair import DAY, PRICES, STEPS, Pair, close, limits

GUARDED = (Code.DAILY_LOSS, Code.WEEKLY_LOSS, Code.DRAWDOWN, Code.TOTAL_DRAWDOWN, Code.EQUITY_GUARD)


class Books(Pair, RuleBasedStateMachine):
    """One account, told twice."""

    rules_on: tuple[Code, ...] = (Code.CONSEC_LOSS,)
    scale = 1

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        Pair.__init__(self, limits(*self.rules_on))
        self.judged = 0
        self.restarted = Engine()
        self.armed: set[Code] = set()

    @initialize()
    def begin(self) -> None:
        self.open_account()

    # ------------------------------------------------------------ what may happen

    @rule(symbol=st.sampled_from(sorted(PRICES)), change=st.floats(-0.08, 0.08), seconds=st.integers(1, 30))
    def mark(self, symbol: str, change: float, seconds: int) -> None:
        self.wait(seconds)
        self.marks[symbol] = round(self.marks[symbol] * (1 + change), 4)
        self.quote(symbol, self.marks[symbol])

    @rule(symbol=st.sampled_from(sorted(PRICES)), factor=st.sampled_from([0.5, 2.0, 10.0]))
    def outlier(self, symbol: str, factor: float) -> None:
        self.quote(symbol, self.marks[symbol] * factor)
        self.wait(1)
        self.quote(symbol, self.marks[symbol])

    @rule(factor=st.sampled_from([0.97, 0.999, 1.0, 1.001, 1.02]))
    def venue(self, factor: float) -> None:
        self.venue_tells(factor)

    @rule(factor=st.sampled_from([0.0, 0.5, 10.0]))
    def absurd_print(self, factor: float) -> None:
        self.venue_tells(factor)

    @rule()
    def late_print(self) -> None:
        self.tell(EquityMarked(5_000.0, 5_000.0, self.at - 400 * NS))

    @rule(symbol=st.sampled_from(sorted(PRICES)), side=st.sampled_from([BUY, SELL]), size=st.integers(1, 5))
    def order(self, symbol: str, side: int, size: int) -> None:
        """Opens, adds, reduces or flips, as the position has it."""
        self.venue_agrees()
        before = len(self.model.history)
        decision = self.want(symbol, side, size * self.scale * STEPS[symbol], 0.05, reduce_only=False)
        if decision.facts is not None:
            self.exposure_agrees(decision, before)
            self.equity_agrees(decision, before)
            self.losses_agree(decision, before)

    def exposure_agrees(self, decision: Decision, before: int) -> None:
        facts, model = decision.facts, self.model.exposure(before)
        assert facts is not None
        assert close(facts.symbol_notional, model.symbol.get(decision.symbol, Fraction(0)))
        assert close(facts.strategy_notional, model.strategy.get("s", Fraction(0)))
        assert close(facts.gross_notional, model.gross)
        assert close(facts.net_notional, model.net)
        assert close(facts.pending_side_notional, model.pending_buy if decision.side > 0 else model.pending_sell)
        assert facts.position_count == model.position_count, (facts.position_count, model.symbol)
        assert facts.symbol_is_open == (decision.symbol in model.symbol)

    def equity_agrees(self, decision: Decision, before: int) -> None:
        facts = decision.facts
        assert facts is not None
        assert close(facts.equity, self.model.equity(before))
        assert close(facts.equity_own, self.model.own_equity(before))
        assert close(facts.equity_venue, self.model.venue_equity(before))
        assert close(facts.equity_gap_frac, self.model.gap(before))

    def losses_agree(self, decision: Decision, before: int) -> None:
        """A loss guard objects exactly where the smaller of both sources breaks its limit."""
        objecting = {objection.code for objection in decision.objections}
        for code in GUARDED:
            if code in self.rules_on:
                expected = broken(code, self.model.equity(before), self.model.references[before - 1][code], self.limits)
                assert (code in objecting) == (expected is not False), code

    @precondition(lambda self: self.held())
    @rule(data=st.data(), parts=st.integers(1, 3))
    def reduce(self, data: st.DataObject, parts: int) -> None:
        symbol = data.draw(st.sampled_from(self.held()))
        steps = self.model.position(symbol)
        self.want(symbol, SELL if steps > 0 else BUY, -(-abs(steps) // parts), 0.05, reduce_only=True)

    @precondition(lambda self: self.at_venue())
    @rule(data=st.data(), end=st.sampled_from([PermitState.CANCELLED, PermitState.EXPIRED, PermitState.UNKNOWN]))
    def result(self, data: st.DataObject, end: PermitState) -> None:
        """Some more of an order is filled, perhaps nothing, and it may end with that."""
        permit = data.draw(st.sampled_from(self.at_venue()))
        self.fill(data, permit, end if data.draw(st.booleans()) else PermitState.PARTIAL)

    @rule(
        symbol=st.sampled_from(sorted(PRICES)),
        side=st.sampled_from([BUY, SELL]),
        size=st.integers(1, 5),
        moves=st.lists(st.floats(-0.08, 0.08), max_size=4),
    )
    def trade(self, symbol: str, side: int, size: int, moves: list[float]) -> None:
        """An order that is filled at once, a market that moves, and figures of the venue that follow."""
        self.order(symbol, side, size)
        for permit in self.at_venue():
            self.send_fill(permit, permit.steps, self.marks[permit.symbol], PermitState.FILLED)
        for move in moves:
            self.mark(symbol, move, 6)
        self.venue_tells(1.0)

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        symbol = data.draw(st.sampled_from(self.held()))
        steps = self.model.position(symbol)
        self.venue_agrees()
        self.want(symbol, SELL if steps > 0 else BUY, abs(steps), 0.05, reduce_only=True)
        for permit in self.at_venue():
            self.send_fill(permit, permit.steps, self.marks[permit.symbol], PermitState.FILLED)

    @precondition(lambda self: self.at_venue())
    @rule(data=st.data())
    def filled(self, data: st.DataObject) -> None:
        permit = data.draw(st.sampled_from(self.at_venue()))
        self.send_fill(permit, permit.steps, self.marks[permit.symbol], PermitState.FILLED)

    @precondition(lambda self: self.results())
    @rule(data=st.data())
    def repeated(self, data: st.DataObject) -> None:
        """A result that was told before comes again, however old."""
        self.tell(data.draw(st.sampled_from(self.results())))

    @precondition(lambda self: self.ended_short())
    @rule(data=st.data())
    def filled_after_its_end(self, data: st.DataObject) -> None:
        permit = data.draw(st.sampled_from(self.ended_short()))
        self.fill(data, permit, PermitState.CANCELLED)

    @rule(
        kind=st.sampled_from(["funding", "swap", "fee"]),
        amount=st.integers(-5_000, 5_000),
        symbol=st.sampled_from(["", *sorted(PRICES)]),
    )
    def cost(self, kind: str, amount: int, symbol: str) -> None:
        self.tell(CashFlow(kind, amount / 100, symbol))

    @rule(kind=st.sampled_from(["deposit", "withdrawal", "payout"]), cents=st.integers(1, 90_000), first=st.booleans())
    def capital(self, kind: str, cents: int, first: bool) -> None:
        """Money comes or goes; the venue's figures may show it before the flow is told."""
        amount = cents / 100 if kind == "deposit" else -cents / 100
        own = self.model.own_equity()
        assert own is not None
        if own + exact(amount) <= 1_000:
            return
        if first:
            self.tell(EquityMarked(float(own) + amount, nan, self.at))
        self.tell(CashFlow(kind, amount))
        self.venue_tells(1.0)

    @rule(seconds=st.sampled_from([1, 31, 121, 301]))
    def quiet(self, seconds: int) -> None:
        self.wait(seconds)
        self.tell(Tick())

    @rule(lead=st.sampled_from([1, 119, 121, 299, 301]), after=st.sampled_from([0, 1, 500, DAY, 8 * DAY]))
    def day_rolls(self, lead: int, after: int) -> None:
        """The venue tells figures `lead` seconds before an instant, and the next step comes some time after it."""
        instant = (self.at // (DAY * NS) + 1) * DAY * NS
        if instant - lead * NS > self.at:
            self.wait((instant - lead * NS - self.at) / NS)
        self.venue_agrees()
        self.wait((instant - self.at) / NS + after)
        self.tell(Tick())

    @rule()
    def fresh_figures(self) -> None:
        self.wait(1)
        self.venue_agrees()

    @rule()
    def rebased(self) -> None:
        self.venue_agrees()
        self.tell(Rebased("alice", "agreed"))

    # ------------------------------------------------------------ helpers of the rules

    def fill(self, data: st.DataObject, permit: PermitIssued, state: PermitState) -> None:
        done = self.model.reservation(permit.id).settled
        steps = data.draw(st.integers(done, permit.steps))
        price = self.marks[permit.symbol] * data.draw(st.floats(0.99, 1.01))
        if steps == permit.steps:
            state = PermitState.FILLED
        self.send_fill(permit, steps, price, state)

    def send_fill(self, permit: PermitIssued, steps: int, price: float, state: PermitState) -> None:
        """The venue holds reducing orders to reducing: they fill what is held, and the rest ends."""
        if permit.reduce_only:
            done = max((result.filled_steps for result in self.model.results(permit.id)), default=0)
            left = max(0, -self.model.position(permit.symbol) * permit.side)
            if steps > done + left:
                steps, state = done + left, PermitState.CANCELLED
        super().send_fill(permit, steps, price, state)

    # ------------------------------------------------------------ what must be the same

    @invariant()
    def positions_agree(self) -> None:
        for index, symbol in enumerate(self.engine.state.names.symbols):
            row, trade = self.engine.state.symbols[index], self.model.open_trade(symbol)
            assert row.position == self.model.position(symbol)
            assert row.position == 0 or trade is not None
            if trade is not None:
                assert close(row.cost / 1e6, trade.side * trade.entry_value), symbol
                assert row.episode_peak == trade.largest
                assert close(row.trade_pnl / 1e6, trade.pnl), symbol

    @invariant()
    def steps_are_conserved(self) -> None:
        for index, symbol in enumerate(self.engine.state.names.symbols):
            row = self.engine.state.symbols[index]
            where = [
                self.model.reservation(p.id)
                for p in self.model.permits().values()
                if p.symbol == symbol and not p.reduce_only
            ]
            assert row.settled == sum(reservation.settled for reservation in where)
            assert row.released == sum(reservation.released for reservation in where)
            assert row.issued == sum(reservation.permit.steps for reservation in where)

    @invariant()
    def money_agrees(self) -> None:
        account = self.engine.state.account
        if account.opened:
            assert close((account.balance + account.booked) / 1e6, self.model.booked())
            assert close(account.own_equity, self.model.own_equity())
            assert close(account.venue_equity, self.model.venue_equity())

    @invariant()
    def references_agree(self) -> None:
        account = self.engine.state.account
        if account.opened:
            assert close(account.initial_balance, self.model.initial_reference())
            assert close(account.equity_peak, self.model.peak())
            assert close(account.drawdown_ref, self.model.peak())

    @invariant()
    def periods_agree(self) -> None:
        for row in self.engine.state.calendars:
            opening = self.model.opening(row.name, self.at)
            assert opening is not None
            assert row.start_ns == opening.start_ns
            assert close(row.open_equity, opening.equity), (row.name, opening.how)
            assert close(row.open_balance, opening.balance), (row.name, opening.how)

    @invariant()
    def streaks_agree(self) -> None:
        account = self.engine.state.account
        if account.opened:
            assert (account.loss_streak, account.loss_streak_total) == self.model.streaks()

    @invariant()
    def locks_have_proof(self) -> None:
        """What locks is proven at that step; what is proven after it was safe locks where triggers run."""
        for index in range(self.judged, len(self.steps)):
            step, proofs = self.steps[index], self.proofs[index]
            acted = (RiskAction.VETO, RiskAction.FLATTEN)
            locked = {o.trigger for o in step.outputs if isinstance(o, RiskEvent) and o.action in acted}
            assert locked & set(LOSSES) <= {o.code for o in step.outputs if isinstance(o, LockChanged) and o.until_ns}
            self.armed |= self.safe[index]
            for code in set(LOSSES) & set(self.rules_on):
                assert code not in locked or proofs[code], (code, "locked without proof")
                if isinstance(step.input, MarketBatch | EquityMarked | Executed | Tick) and code in self.armed:
                    assert code in locked or not proofs[code], (code, "proven and not locked")
            self.armed -= locked
        self.judged = len(self.steps)

    @invariant()
    def a_restart_changes_nothing(self) -> None:
        again = self.restarted
        for step in self.steps[again.state.account.seq :]:
            again.fold(step)
        assert msgspec.msgpack.encode(again.state.account) == msgspec.msgpack.encode(self.engine.state.account)
        for table in ("symbols", "calendars"):
            ours, theirs = getattr(self.engine.state, table), getattr(again.state, table)
            assert msgspec.msgpack.encode(list(ours)) == msgspec.msgpack.encode(list(theirs))


class Losses(Books):
    """The same with every loss rule on."""

    rules_on = (Code.CONSEC_LOSS, *LOSSES)
    scale = 20


# A failing history is printed as it was found: shrinking one takes minutes, taking its rules away by hand seconds.
FEW = settings(
    max_examples=40,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize("machine", [Books, Losses])
def test_engine_and_model_agree_on_the_same_few_histories(machine: type[Books]) -> None:
    run_state_machine_as_test(machine, settings=FEW)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("count", [pytest.param(150, marks=pytest.mark.long), pytest.param(500, marks=pytest.mark.soak)])
@pytest.mark.parametrize("machine", [Books, Losses])
def test_engine_and_model_agree_on_many_random_histories(machine: type[Books], count: int) -> None:
    run_state_machine_as_test(machine, settings=settings(FEW, max_examples=count, stateful_step_count=30))
