"""
The way out over anything that can happen to a position: a rung fires once, nothing closes too much, stops only tighten.

And it is never trapped: after every event the whole position could be closed by an operator, and by whoever is entitled.
"""

from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.codes import CloseAction, KillMode, PermitState, Scope
from interlock.core.constants import OPERATOR_NS
from interlock.core.decide import decide
from interlock.core.limits import is_on
from interlock.core.messages import (
    BarClosed,
    EquityMarked,
    ExitProposed,
    Intent,
    KillReset,
    KillSet,
    LockSet,
    MarketBatch,
    MarketState,
    PermitIssued,
    Quarantined,
    Quote,
    Step,
    Tick,
    VenueError,
)
from interlock.core.state import is_stop
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.bench import picture
from interlock.testing.wayout import EXITS
from lawkit import hold

Event = tuple[str, Any]

MINUTE_NS = 60 * 10**9
LABELS = ("TREND", "BASE", "CHOP")


def exits_bench(name: str = "A", toml: str = "", **options: Any) -> Bench:
    """A healthy engine with the built-in rules on."""
    return open_bench(policy=make_policy("layered@1", toml=(EXITS[name], toml)), stops_at_venue=True, **options)


def market(label: str, atr: float, sigma: float, strength: float) -> MarketState:
    odds = {each: 0.7 if each == label else 0.15 for each in LABELS}
    return MarketState(
        "BTC", 0, atr=atr, sigma=sigma, trend_strength=strength, p_trend=odds["TREND"], p_base=odds["BASE"],
        p_chop=odds["CHOP"], label=label,
    )  # fmt: skip


STATES = st.tuples(st.sampled_from(LABELS), st.floats(0.3, 3.0), st.floats(0.005, 0.03), st.floats(0.0, 1.0))
EVENTS = st.one_of(
    st.tuples(st.just("mark"), st.floats(-0.03, 0.03)),
    st.tuples(st.just("mark"), st.floats(0.0, 0.04)),
    st.tuples(st.just("wait"), st.floats(0.1, 90.0)),
    st.tuples(st.just("bar"), st.none()),
    st.tuples(st.just("fill"), st.floats(0.05, 1.0)),
    st.tuples(st.just("reject"), st.integers(0, 3)),
    st.tuples(st.just("unknown"), st.integers(0, 3)),
    st.tuples(st.just("add"), st.floats(0.5, 3.0)),
    st.tuples(st.just("close"), st.floats(0.1, 1.0)),
    st.tuples(st.just("exit"), st.sampled_from(("partial_25", "tp1", "own"))),
    st.tuples(
        st.just("market"),
        st.tuples(st.sampled_from(LABELS), st.floats(0.3, 3.0), st.floats(0.005, 0.03), st.floats(0.0, 1.0)),
    ),
    st.tuples(st.just("dark"), st.integers(0, 5)),
)


class Life:
    """A position on a bench, what happens to it, and what must hold whatever does."""

    def __init__(self, side: int) -> None:
        self.bench = exits_bench()
        self.bench.tell_market(market("TREND", 1.0, 0.01, 0.5))
        hold(self.bench, "BTC", side, 10.0)
        self.fired = set[tuple[int, str]]()
        self.seen = len(self.bench.steps)
        self.stop = self.row.stop_price
        self.episode = self.row.episode
        self.side = side

    @property
    def row(self) -> Any:
        state = self.bench.engine.state
        return state.symbols[state.names.symbol_index["BTC"]]

    def closes(self) -> list[PermitIssued]:
        """Reducing permits that are still alive, stops left out."""
        alive = self.bench.engine.state.permits.alive()
        return [self.bench.permits[p.id] for p in alive if p.reduce_only and not is_stop(p)]

    def happen(self, event: Event) -> None:
        what, how = event
        getattr(self, f"_{what}")(how)
        self.bench.refresh()

    def _mark(self, move: float) -> None:
        self.bench.mark("BTC", self.bench.book.prices["BTC"].mark * (1.0 + move))

    def _wait(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)
        self.bench.send(Tick())

    def _bar(self, _: None) -> None:
        opened_ns = self.bench.clock.true_ns
        self.bench.pass_until(opened_ns + 15 * MINUTE_NS)
        self.bench.send(BarClosed("BTC", opened_ns, 900.0, 1.0, 1.0, 1.0, 1.0))

    def _fill(self, part: float) -> None:
        """The venue fills a part of an order, and never more than is held: it is reduce-only."""
        for permit in self.closes()[:1]:
            already = self._done(permit)
            steps = min(round(permit.steps * part) or 1, already + abs(self.bench.book.holdings["BTC"].steps))
            if steps > already:
                self.bench.fill(permit.id, steps)

    def _reject(self, which: int) -> None:
        for permit in self.closes()[which : which + 1]:
            self.bench.result(permit.id, PermitState.REJECTED, self._done(permit), benign=True)

    def _unknown(self, which: int) -> None:
        for permit in self.closes()[which : which + 1]:
            self.bench.result(permit.id, PermitState.UNKNOWN, self._done(permit))

    def _done(self, permit: PermitIssued) -> int:
        return self.bench.filled[permit.id].steps if permit.id in self.bench.filled else 0

    def _add(self, quantity: float) -> None:
        mark = self.bench.book.prices["BTC"].mark
        step = self.bench.send(
            self.bench.intent("BTC", self.side, quantity=quantity, stop_price=mark * (1 - 0.05 * self.side))
        )
        for permit in (each for each in step.outputs if isinstance(each, PermitIssued) and not each.reduce_only):
            self.bench.fill(permit.id)

    def _close(self, part: float) -> None:
        quantity = abs(self.row.position) * 0.0001 * part
        if quantity >= 0.0001:
            self.bench.send(self.bench.intent("BTC", -self.side, quantity=quantity, source="exit", reduce_only=True))

    def _exit(self, rung: str) -> None:
        self.bench.send(
            self.bench.intent("BTC", -self.side, source="exit", reduce_only=True, rung=rung, close=CloseAction.PARTIAL_50)
        )

    def _market(self, told: tuple[str, float, float, float]) -> None:
        self.bench.tell_market(market(*told))

    def _dark(self, which: int) -> None:
        now_ns = self.bench.clock.true_ns
        quote = Quote("BTC", nan, -1.0, 0.0, now_ns)
        nonsense = (MarketBatch((quote,)), EquityMarked(0.0, inf, now_ns), VenueError("timeout"))
        more = (
            KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", ""),
            LockSet(Scope.SYMBOL, "BTC", 0, OPERATOR_NS, "", "alice"),
            Quarantined("MarketState", "", b"", "BTC"),
        )
        self.bench.send((*nonsense, *more)[which])

    # ------------------------------------------------------------ what holds

    def check(self) -> None:
        for step in self.bench.steps[self.seen :]:
            self._check_rungs(step)
        self.seen = len(self.bench.steps)
        row = self.row
        assert row.position * self.side >= 0, "the position has flipped"
        if row.episode == self.episode and row.position:
            assert self.side * (row.stop_price - self.stop) >= 0.0, "a stop was loosened"
            self.stop = row.stop_price
        if row.position:
            self._check_way_out()

    def _check_rungs(self, step: Step) -> None:
        for each in step.outputs:
            if isinstance(each, ExitProposed) and each.fraction > 0.0 and each.rung in ("tp1", "partial_25"):
                assert (each.episode, each.rung) not in self.fired, f"{each.rung} fired twice"
                self.fired.add((each.episode, each.rung))
        sizes = [each.steps for each in step.outputs if isinstance(each, PermitIssued) and each.goal.startswith("exit:")]
        assert sum(sizes) <= abs(self.row.position) or not sizes

    def _check_way_out(self) -> None:
        row = self.row
        quantity = abs(row.position) * 0.0001
        intent = Intent("probe", "operator", "trend", "BTC", -self.side, quantity=quantity, reduce_only=True)
        outputs = decide(self.bench.engine.state, self.bench.clock.wall_ns, self.bench.clock.mono_ns, intent)
        mine = [each for each in outputs if isinstance(each, PermitIssued) and each.intent_id == "probe"]
        assert [each.steps for each in mine] == [abs(row.position)], "an operator could not close"


def live(life: Life, events: list[Event]) -> None:
    """The events have happened, up to the position's end, and everything held after each."""
    for event in events:
        life.happen(event)
        life.check()
        if life.row.position == 0:
            return


@settings(max_examples=60)
@given(side=st.sampled_from((1, -1)), events=st.lists(EVENTS, min_size=1, max_size=25))
def test_whatever_happens(side: int, events: list[Event]) -> None:
    life = Life(side)
    live(life, events)
    folded = life.bench.folded()
    assert picture(folded.state) == picture(life.bench.engine.state)


RISING = [("mark", 0.03), ("fill", 1.0), ("mark", 0.02), ("fill", 1.0), ("mark", 0.02), ("mark", -0.01), ("fill", 0.5)]


def test_the_story_of_the_controls_is_sound() -> None:
    life = Life(1)
    live(life, RISING)
    assert len(life.fired) == 1


@pytest.mark.parametrize(
    ("name", "broken", "complaint"),
    [
        ("tightened", lambda side, stop, wanted: wanted - 10.0, "loosened"),
        ("_Look.due", lambda look, code, rung: is_on(look.p, code), "fired twice"),
    ],
)
def test_control_a_broken_engine_is_found_out(name: str, broken: Callable[..., Any], complaint: str) -> None:
    life = Life(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"interlock.core.exits.watch.{name}", broken)
        with pytest.raises(AssertionError, match=complaint):
            live(life, RISING)


# ---------------------------------------------------------------- ticks and bars

PATHS = st.lists(st.floats(-0.012, 0.013), min_size=5, max_size=40)


def lived(path: list[float], tick_s: int) -> list[tuple[int, str, float]]:
    """At which bar which rung fired when a mark came every minute, a bar every fifteen, and a tick ever so often."""
    bench = exits_bench(toml='[rules]\nTIME_EXIT = { bar = "5 min", young_idle = 3, young = 6, old_idle = 6 }')
    bench.tell_market(market("TREND", 1.0, 0.01, 0.5))
    hold(bench, "BTC", 1, 10.0)
    found = []
    price = 100.0
    opened_ns = bench.clock.true_ns
    for minute, move in enumerate(path, 1):
        price *= 1.0 + move
        first = len(bench.steps)
        for _ in range(60 // tick_s):
            bench.clock.advance(float(tick_s))
            bench.send(Tick())
        bench.mark("BTC", price)
        if minute % 5 == 0:
            bench.send(BarClosed("BTC", opened_ns, 300.0, price, price, price, price))
            opened_ns = bench.clock.true_ns
        for step in bench.steps[first:]:
            found += [
                ((minute - 1) // 5, each.rung, each.fraction) for each in step.outputs if isinstance(each, ExitProposed)
            ]
            for permit in [each for each in step.outputs if isinstance(each, PermitIssued) and not is_stop(each)]:
                if permit.id in {p.id for p in bench.engine.state.permits.alive()}:
                    bench.fill(permit.id)
        bench.refresh()
        if bench.engine.state.symbols[0].position == 0:
            break
    return found


@settings(max_examples=8, deadline=None)
@given(path=PATHS)
def test_the_same_bars_at_other_tick_rates_give_the_same_exits_at_the_same_bars(path: list[float]) -> None:
    assert lived(path, 60) == lived(path, 1)


def test_ticks_every_second_are_no_bars_either() -> None:
    path = [0.001, -0.001] * 10
    assert lived(path, 1) == lived(path, 60) != []


# ---------------------------------------------------------------- no flight without proof


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bench: bench.send(MarketBatch((Quote("BTC", nan, nan, nan, bench.clock.true_ns),))),
        lambda bench: bench.send(MarketBatch((Quote("BTC", 9.9, 10.1, 10.0, bench.clock.true_ns),))),
        lambda bench: bench.send(MarketBatch((Quote("BTC", 999.0, 1001.0, 1000.0, bench.clock.true_ns),))),
        lambda bench: bench.send(MarketBatch((Quote("BTC", 99.0, 101.0, 100.0, bench.clock.true_ns, low=nan, high=nan),))),
        lambda bench: bench.send(MarketState("BTC", bench.clock.true_ns)),
        lambda bench: bench.send(MarketState("BTC", bench.clock.true_ns, sigma=inf, trend_strength=-1.0, label="MOON")),
        lambda bench: bench.send(Quarantined("MarketState", "", b"", "BTC")),
        lambda bench: bench.send(BarClosed("BTC", bench.clock.true_ns - 10**12, 900.0, nan, nan, nan, nan)),
        lambda bench: bench.send(BarClosed("BTC", bench.clock.true_ns + 10**15, 900.0, 1.0, 1.0, 1.0, 1.0)),
        lambda bench: bench.send(BarClosed("XRP", bench.clock.true_ns, 900.0, 1.0, 1.0, 1.0, 1.0)),
    ],
)
def test_data_that_proves_nothing_closes_nothing(spoil: Callable[[Bench], Step]) -> None:
    bench = exits_bench()
    hold(bench, "BTC", 1, 10.0)
    before = len(bench.steps)
    for _ in range(3):
        spoil(bench)
        bench.clock.advance(1.0)
        bench.send(Tick())
        bench.mark("BTC", 100.0)
        bench.refresh()
    proposed = [each for step in bench.steps[before:] for each in step.outputs if isinstance(each, ExitProposed)]
    assert proposed == []


def test_a_stale_mark_proves_no_stop() -> None:
    bench = exits_bench()
    hold(bench, "BTC", 1, 10.0)
    bench.feeds.discard("marks")
    bench.clock.advance(130.0)
    bench.engine.state.edit_symbol(0).stop_price = 101.0
    assert [each for each in bench.send(Tick()).outputs if isinstance(each, ExitProposed)] == []


def test_a_kill_that_flattens_is_not_doubled_by_an_exit() -> None:
    bench = exits_bench()
    hold(bench, "BTC", 1, 10.0)
    bench.send(KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "", "alice"))
    step = bench.mark("BTC", 94.0)
    assert not [each for each in step.outputs if isinstance(each, ExitProposed)]
    bench.send(KillReset(Scope.ACCOUNT, "", "alice"))
    bench.clock.advance(6.0)
    (exit_order,) = [each for each in bench.send(Tick()).outputs if isinstance(each, PermitIssued) and not is_stop(each)]
    assert (exit_order.steps, exit_order.reduce_only, exit_order.goal) == (100_000, True, "exit:BTC:1:stop")
