"""The engine's budgets, records, clusters and correlations against the model, on random histories."""

from math import nan
from random import Random
from typing import Any, Final

import pytest

from interlock.core.codes import Code, PermitState, Scope
from interlock.core.constants import NS_PER_S
from interlock.core.engine import Engine
from interlock.core.messages import BarClosed, Decision, Executed, LockChanged, LockReleased, PermitIssued, Step
from interlock.core.snapshot import decode, encode
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.bench import picture
from oracle.risk_model import Account, Order, kelly

OFF: Final = "off: only what the model knows of is judged"
CAPS: Final = {"order": 4, "entries": 6, "day": 9, "campaign": 25}
COST, SLICE, DECAY, LIMIT, TOGETHER, CLUSTER = 0.001, 0.002, 0.94, 0.3, 0.5, 0.4
PROBE, MULTIPLIER, PRIOR, ENOUGH, WINDOW, REST_S = 0.004, 0.5, 2.0, 3, 8, 1800
BAR_S: Final = 3600.0
POLICY: Final[dict[str, Any]] = {
    "account.cost": "0.1 %",
    "exits.owner": "any",
    "universe.BTC.cluster": "majors",
    "universe.ETH.cluster": "majors",
    "record": {"trades": ENOUGH, "window": WINDOW},
    "rules.DAILY_RISK_QUOTA": {
        "slice": "0.2 %",
        "order_slices": CAPS["order"],
        "day_entries": CAPS["entries"],
        "day_slices": CAPS["day"],
        "campaign_slices": CAPS["campaign"],
    },
    "rules.KELLY_CAP": {
        "multiplier": "0.5 x",
        "probe": "0.4 %",
        "prior": 2,
        "above_floor": "no",
        "scale_rebalances": "no",
    },
    "rules.KELLY_ZERO": {"lock": "1800 s"},
    "rules.CLUSTER_CAP.exposure": "40 %",
    "rules.CORRELATION_VETO": {"correlation": "30 %", "exposure": "50 %", "bar": "1 h", "decay": "94 %", "age": "10000 h"},
    "rules.SYMBOL_EXPOSURE.exposure": "500 %",
    "rules.STRATEGY_EXPOSURE.exposure": "500 %",
    "rules.TOTAL_EXPOSURE.exposure": "600 %",
    **dict.fromkeys(
        (
            f"rules.{name}"
            for name in ("STOP_HIT", "CONSEC_LOSS", "FAILED_TRADES", "ORDER_FAILURES", "DAILY_LOSS", "DRAWDOWN", "RUNAWAY")
        ),
        OFF,
    ),
}
STRATEGIES: Final = {"bot": "trend", "rival": "mean"}


class History:
    """One account, told at random what may happen to it, and the model that is told the same."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.bench = open_bench(policy=make_policy("crypto-futures@1", changes=POLICY))
        self.model = Account(0.0001, COST, SLICE)
        self.seen = 0
        self.locks: dict[str, int] = {}
        self.edgeless: set[str] = set()
        self.judged = 0
        self.bar_ns = self.bench.clock.true_ns - 200 * 3600 * NS_PER_S
        self.tell()
        self.bars(80)

    @property
    def day(self) -> Any:
        """The row of the risk day."""
        state = self.bench.engine.state
        return state.calendars[state.account.day_calendar]

    def tell(self) -> None:
        """The model knows every step."""
        for step in self.bench.steps[self.seen :]:
            self.model.record(step, self.day.open_equity, BAR_S)
            if isinstance(step.input, Executed):
                self.rest(step)
        self.seen = len(self.bench.steps)

    def rest(self, step: Step) -> None:
        """A strategy whose record shows no edge rests for a while, once until it shows one; nobody else does."""
        locked = {each.scope_key for each in step.outputs if isinstance(each, LockChanged) and each.code is Code.KELLY_ZERO}
        expected = set()
        for strategy in STRATEGIES.values():
            wins, losses, won, lost = self.model.record_of(strategy, WINDOW)
            if wins + losses >= ENOUGH and round(won - lost, 5) <= 0.0 and strategy not in self.edgeless:
                expected.add(strategy)
                self.locks[strategy] = step.at_ns + REST_S * NS_PER_S
            if wins + losses >= ENOUGH:
                (self.edgeless.discard if won > lost else self.edgeless.add)(strategy)
        assert locked == expected

    def bars(self, count: int) -> None:
        """So many bars have closed; some are lacking, told twice, told late, of another length or nonsense."""
        for _ in range(count):
            self.bar_ns += 3600 * NS_PER_S
            common = self.random.gauss(0.0, 0.01)
            for symbol, weight in (("BTC", 1.0), ("ETH", 1.0), ("SOL", -0.3)):
                if self.random.random() < 0.1:
                    continue
                close = 100.0 * (1.0 + weight * common + self.random.gauss(0.0, 0.004))
                close = self.random.choice((nan, 0.0, -1.0)) if self.random.random() < 0.03 else close
                back = self.random.choice((0, 0, 0, 0, 0, 1, 7))
                length_s = self.random.choice((BAR_S,) * 9 + (900.0,))
                opened_ns = self.bar_ns - back * 3600 * NS_PER_S
                for _ in range(self.random.choice((1, 1, 1, 2))):
                    self.bench.send(BarClosed(symbol, opened_ns, length_s, close, close, close, close))
        self.tell()

    def some(self, *, reducing: bool) -> Order | None:
        """One order that may still fill."""
        alive = [o for o in self.model.orders.values() if o.permit.reduce_only == reducing and not o.ended]
        return self.random.choice(alive) if alive else None

    def run(self, count: int) -> None:
        """So many things have happened."""
        for _ in range(count):
            self.happen()

    def happen(self) -> None:
        """Something has happened."""
        kind = self.random.choice(
            ("open", "open", "open", "fill", "fill", "cancel", "close", "close", "mark", "time", "other")
        )
        getattr(self, f"_{kind}")()
        self.tell()

    def _open(self) -> None:
        symbol, source = self.random.choice(("BTC", "ETH", "SOL")), self.random.choice(("bot", "bot", "rival"))
        held = self.model.position(symbol)
        side = self.random.choice((1, -1)) if held == 0 else 1 if held > 0 else -1
        mark = self.model.marks[symbol]
        stop = mark * (1.0 - side * self.random.uniform(0.025, 0.1))
        notional = self.random.choice((50.0, 400.0, 1500.0, 4000.0)) * self.random.uniform(0.5, 1.5)
        partial = {"partial": "scale"} if self.random.random() < 0.3 else {}
        intent = self.bench.intent(
            symbol, side, notional=notional, stop_price=stop, source=source, strategy=STRATEGIES[source], **partial
        )
        expected = self.expectations(symbol, side, STRATEGIES[source])
        step = self.bench.send(intent)
        self.agree(next(each for each in step.outputs if isinstance(each, Decision)), expected)

    def expectations(self, symbol: str, side: int, strategy: str) -> dict[str, Any]:
        """What the model says of such an order."""
        return {
            "spent": self.model.spent(),
            "record": self.model.record_of(strategy, WINDOW),
            "cluster": sum(self.model.exposure(each) for each in (("BTC", "ETH") if symbol != "SOL" else ("SOL",))),
            "company": self.model.company(symbol, side, LIMIT, DECAY),
            "owner": self.model.owner(symbol),
            "locked": self.locks.get(strategy, 0) >= self.bench.clock.true_ns,
        }

    def agree(self, answer: Decision, expected: dict[str, Any]) -> None:
        """The engine has answered as the model would."""
        f = answer.facts
        assert f is not None, answer
        if f.intent_age_s == f.intent_age_s and self.bench.engine.state.account.reconciled != 1.0:
            return
        self.judged += 1
        assert (f.day_entry_count, f.day_slice_count, f.campaign_slice_count) == expected["spent"]
        wins, losses, won, lost = expected["record"]
        assert (f.strategy_win_count, f.strategy_loss_count) == (wins, losses)
        assert [f.strategy_won, f.strategy_lost] == pytest.approx([won, lost], abs=1e-5)
        assert f.cluster_notional == pytest.approx(expected["cluster"], abs=1e-3)
        assert [f.correlation, f.correlated_notional] == pytest.approx(expected["company"], abs=1e-3)
        assert f.symbol_free == (expected["owner"] in ("", answer.strategy))
        assert f.reducing == expected["locked"]
        share = kelly(expected["record"], PRIOR, ENOUGH)
        risk = max(MULTIPLIER * share, PROBE) if share == share else PROBE
        closest, together = expected["company"]
        allowed = {
            Code.DAILY_RISK_QUOTA: self.model.quota(expected["spent"], CAPS, f.day_open_equity, f.stop_frac),
            Code.KELLY_CAP: risk * f.equity / (f.stop_frac + COST),
            Code.CLUSTER_CAP: CLUSTER * f.equity - expected["cluster"],
            Code.CORRELATION_VETO: TOGETHER * f.equity - together if closest > LIMIT else 1e300,
        }
        objected = {each.code: each.allowance for each in answer.objections}
        for code, notional in allowed.items():
            assert (code in objected) == (f.requested_notional > max(notional, 0.0)), (code, notional)
            if code in objected:
                assert max(objected[code], 0.0) == pytest.approx(max(notional, 0.0), rel=1e-4, abs=1e-3)

    def _fill(self) -> None:
        order = self.some(reducing=self.random.random() < 0.5)
        if order is not None:
            part = self.random.choice((1.0, 1.0, self.random.random()))
            steps = max(order.filled, order.filled + round(part * (order.permit.steps - order.filled)))
            price = self.model.marks[order.permit.symbol] * self.random.uniform(0.97, 1.03)
            if steps > order.filled:
                self.bench.fill(order.permit.id, steps, price, self.random.choice((0.0, 0.01)))

    def _cancel(self) -> None:
        order = self.some(reducing=False)
        if order is not None:
            state = self.random.choice((PermitState.CANCELLED, PermitState.REJECTED))
            self.bench.result(order.permit.id, PermitState.CANCELLED if order.filled else state, order.filled)

    def _close(self) -> None:
        held = [symbol for symbol in self.model.marks if self.model.position(symbol)]
        if held:
            symbol = self.random.choice(held)
            position = self.model.position(symbol)
            quantity = abs(position) * 0.0001 * self.random.choice((1.0, 1.0, 0.4))
            side = -1 if position > 0 else 1
            step = self.bench.send(self.bench.intent(symbol, side, quantity=quantity, source="operator", reduce_only=True))
            for permit in (each for each in step.outputs if isinstance(each, PermitIssued)):
                self.bench.fill(permit.id, price=self.model.marks[symbol] * self.random.uniform(0.96, 1.04))

    def _mark(self) -> None:
        symbol = self.random.choice(("BTC", "ETH", "SOL"))
        self.bench.mark(symbol, self.model.marks[symbol] * self.random.uniform(0.995, 1.005))

    def _time(self) -> None:
        seconds = self.random.choice((1.0, 12.0, 300.0, 2000.0, 40_000.0))
        self.bench.pass_until(self.bench.clock.true_ns + round(seconds * NS_PER_S))

    def _other(self) -> None:
        kind = self.random.random()
        if kind < 0.2:
            self.bench.send(LockReleased(Scope.ACCOUNT, "", Code.DAILY_RISK_QUOTA, "alice"))
        elif kind < 0.4:
            folded = self.bench.folded()
            assert picture(folded.state) == picture(self.bench.engine.state)
            self.bench.engine = Engine(decode(encode(folded.state)))
        else:
            self.bars(3)


def reach(bench: Bench) -> set[Code]:
    """Every reason that was given for an opening."""
    decisions = (each for step in bench.steps for each in step.outputs if isinstance(each, Decision))
    return {objection.code for each in decisions for objection in each.objections}


@pytest.mark.parametrize("seed", range(24))
def test_engine_and_model_agree_on_what_may_open(seed: int) -> None:
    history = History(seed)
    history.run(150)
    assert history.judged > 10


def test_the_histories_reach_every_rule_that_the_model_knows() -> None:
    reached: set[Code] = set()
    for seed in range(100, 106):
        history = History(seed)
        history.run(150)
        reached |= reach(history.bench)
    assert {Code.DAILY_RISK_QUOTA, Code.KELLY_CAP, Code.CLUSTER_CAP, Code.CORRELATION_VETO, Code.SYMBOL_OWNED} <= reached
    assert Code.TRADING_REDUCING in reached


def test_a_model_of_other_slices_does_not_agree() -> None:
    history = History(0)
    history.model.slice_frac *= 2.0
    with pytest.raises(AssertionError):
        history.run(150)
