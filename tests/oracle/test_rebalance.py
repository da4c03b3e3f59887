"""Rebalances on random books against a slow reading of the written rules: who reduces, who opens, how much, who waits."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import pytest

from interlock.core.codes import Action, Code, PermitState, Scope
from interlock.core.constants import OPERATOR_NS
from interlock.core.messages import Decision, Instruction, LockSet, PermitIssued, PermitRevoked, Rebalance, RiskEvent, Step
from interlock.core.snapshot import decode, encode
from interlock.testing import make_policy, open_bench
from interlock.testing.bench import picture

SYMBOLS: Final = {"A": 100.0, "B": 50.0, "C": 20.0, "D": 10.0, "E": 5.0}
CLUSTERS: Final = {"A": "one", "B": "one", "C": "two", "D": "two", "E": ""}
SYMBOL, CLUSTER, TOTAL, STEP = 0.303, 0.3611, 0.907, 0.0001
PATIENCE_S: Final = 5.0
OFF: Final = "off: only caps on exposure are judged"
POLICY: Final[dict[str, Any]] = {
    "exits.owner": "any",
    **{f"universe.{symbol}.margin_leverage": "10 x" for symbol in SYMBOLS},
    **{f"universe.{symbol}.cluster": cluster for symbol, cluster in CLUSTERS.items() if cluster},
    "rules.PRICE_COLLAR.collar": "0.000001 %",
    "rules.SYMBOL_EXPOSURE.exposure": "30.3 %",
    "rules.STRATEGY_EXPOSURE.exposure": "90.7 %",
    "rules.TOTAL_EXPOSURE.exposure": "90.7 %",
    "rules.NET_EXPOSURE.exposure": "90.7 %",
    "rules.CLUSTER_CAP.exposure": "36.11 %",
    "rules.ORDER_RATE": {"interval": "0.001 s", "burst": 30},
    **dict.fromkeys((f"rules.{name}" for name in ("STOP_HIT", "CONSEC_LOSS", "FAILED_TRADES", "ORDER_FAILURES")), OFF),
}


@dataclass
class Books:
    """What is held, and what may still be opened or is being closed, in steps."""

    held: dict[str, int] = field(default_factory=dict)
    opening: dict[tuple[str, int], int] = field(default_factory=dict)
    closing: dict[str, int] = field(default_factory=dict)
    vetoed: set[str] = field(default_factory=set)

    def exposure(self, symbol: str) -> float:
        """Held and reserved, in account currency."""
        pending = sum(self.opening.get((symbol, side), 0) for side in (1, -1))
        return (abs(self.held.get(symbol, 0)) + pending) * STEP * SYMBOLS[symbol]

    def room(self, symbol: str, equity: float) -> float:
        """What the caps leave for one more opening."""
        company = [each for each in SYMBOLS if each == symbol or CLUSTERS[each] == CLUSTERS[symbol] != ""]
        return min(
            SYMBOL * equity - self.exposure(symbol),
            CLUSTER * equity - sum(map(self.exposure, company)),
            TOTAL * equity - sum(map(self.exposure, SYMBOLS)),
        )


@dataclass
class Expected:
    """
    What a rebalance comes to: permits as signed steps, in order, and who is refused, scaled or waits.

    Openings of `ended` symbols are revoked, `left` symbols are left alone.
    """

    reducing: list[tuple[str, int]] = field(default_factory=list)
    opening: list[tuple[str, int]] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    scaled: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    waits: set[str] = field(default_factory=set)


def target(instruction: Instruction, equity: float) -> int:
    """Signed steps of its weight."""
    steps = int(abs(instruction.target_weight) * equity / SYMBOLS[instruction.symbol] / STEP + 1e-6)
    return steps if instruction.target_weight > 0.0 else -steps


def read(instructions: tuple[Instruction, ...], books: Books, equity: float, *, reduces: bool = True) -> Expected:
    """What the written rules make of the instructions; once the reductions have filled, only what opens is left."""
    expected, openings = Expected(), []
    for each in instructions:
        symbol, held = each.symbol, books.held.get(each.symbol, 0)
        change = -held if each.action is Action.CLOSE else target(each, equity) - held
        if each.action is Action.VETO:
            expected.left.add(symbol)
            continue
        if each.action is Action.CLOSE or each.target_weight == 0.0:
            ended = [books.opening.pop((symbol, side), 0) for side in (1, -1)]
            expected.ended |= {symbol} if any(ended) else set()
        if not change:
            continue
        if held * change < 0 and not reduces:
            continue
        if held * change < 0:
            turns = abs(change) > abs(held)
            left = max(min(abs(change), abs(held)) - books.closing.get(symbol, 0), 0)
            if left:
                expected.reducing.append((symbol, left if change > 0 else -left))
            elif each.action is Action.CLOSE or turns:
                expected.denied.add(symbol)
            expected.waits |= {symbol} if turns else set()
        else:
            side = 1 if change > 0 else -1
            left = abs(change) - books.opening.get((symbol, side), 0)
            openings += [(symbol, side * left)] if left > 0 else []
    _open(openings, books, equity, expected)
    return expected


def _open(openings: list[tuple[str, int]], books: Books, equity: float, expected: Expected) -> None:
    """Openings in order, those of a cluster by one factor where they do not fit together."""
    factors = {}
    for name in {CLUSTERS[symbol] for symbol, _ in openings} - {""}:
        together = [(s, n) for s, n in openings if CLUSTERS[s] == name and s not in books.vetoed]
        wanted = sum(abs(steps) * STEP * SYMBOLS[symbol] for symbol, steps in together)
        room = CLUSTER * equity - sum(books.exposure(symbol) for symbol in SYMBOLS if CLUSTERS[symbol] == name)
        if wanted > room > 0.0:
            factors[name] = room / wanted
            expected.scaled.add(name)
    for symbol, steps in openings:
        if symbol in books.vetoed:
            expected.denied.add(symbol)
            continue
        wished = int(abs(steps) * factors.get(CLUSTERS[symbol], 1.0))
        granted = max(min(wished, int(books.room(symbol, equity) / (SYMBOLS[symbol] * STEP))), 0)
        granted = granted if granted * STEP * SYMBOLS[symbol] >= 1.0 else 0
        if granted:
            expected.opening.append((symbol, granted if steps > 0 else -granted))
            key = (symbol, 1 if steps > 0 else -1)
            books.opening[key] = books.opening.get(key, 0) + granted
        else:
            expected.denied.add(symbol)
        if granted < abs(steps):
            expected.waits.add(symbol)


class Desk:
    """A bench under random rebalances."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        policy = make_policy("layered@1", symbols=tuple(SYMBOLS), changes=POLICY)
        self.bench = open_bench(policy=policy, prices=SYMBOLS)
        self.count = 0
        self.locked: set[str] = set()

    @property
    def equity(self) -> float:
        """Equity as the engine uses it."""
        return self.bench.engine.state.account.equity

    def books(self) -> Books:
        """The books as they follow from the permits."""
        books, state = Books(vetoed=set(self.locked)), self.bench.engine.state
        for symbol in SYMBOLS:
            books.held[symbol] = state.symbols[state.names.symbol_index[symbol]].position
        for p in state.permits.alive():
            symbol, left = state.names.symbols[p.symbol], p.steps - p.filled
            if p.reduce_only:
                books.closing[symbol] = books.closing.get(symbol, 0) + left
            else:
                books.opening[symbol, p.side] = books.opening.get((symbol, p.side), 0) + left
        return books

    def instructions(self) -> tuple[Instruction, ...]:
        """Some symbols, each once, with weights of any sign."""
        chosen = self.random.sample(sorted(SYMBOLS), self.random.randint(1, len(SYMBOLS)))
        told = []
        for symbol in chosen:
            action = self.random.choice((Action.SCALE,) * 6 + (Action.CLOSE, Action.VETO))
            weight = self.random.choice((0.0, 0.05, 0.1, 0.2, 0.28, 0.4)) * self.random.choice((1, -1))
            stop = SYMBOLS[symbol] * (0.95 if weight > 0.0 else 1.05)
            told.append(Instruction(symbol, action, weight, stop))
        return tuple(told)

    def rebalance(self, instructions: tuple[Instruction, ...]) -> Rebalance:
        """A new one with these instructions, made now."""
        self.count += 1
        return Rebalance(f"r{self.count}", "bot", "trend", instructions, created_at_ns=self.bench.clock.wall_ns)

    def told(self, event: Rebalance) -> Step:
        """The engine has answered as the rules are written, and telling it again changes nothing."""
        expected = read(event.instructions, self.books(), self.equity)
        step = self.bench.send(event)
        agree(step, expected)
        assert self.ended(step) == expected.ended
        waits = self.bench.engine.state.waiting.get("trend")
        wait = {each.symbol for each in waits.rebalance.instructions} if waits else set()
        assert wait == (expected.waits if waits else set())
        closing = any(self.books().closing.values())
        assert (waits is not None) == (bool(expected.waits) and closing)
        again = self.bench.send(event)
        assert not [each for each in again.outputs if isinstance(each, PermitIssued)]
        assert bool(self.bench.engine.state.waiting) == (waits is not None)
        return step

    def ended(self, step: Step) -> set[str]:
        """Symbols whose openings the step revoked."""
        state = self.bench.engine.state
        revoked = [state.permits.get(each.permit) for each in step.outputs if isinstance(each, PermitRevoked)]
        return {state.names.symbols[p.symbol] for p in revoked if p is not None and not p.reduce_only}

    def settle(self) -> None:
        """Every order has filled in a random order; what waited is decided once the last reduction has filled."""
        while alive := self.bench.engine.state.permits.alive():
            p = self.random.choice(alive)
            waits = self.bench.engine.state.waiting.get("trend")
            last = p.reduce_only and sum(each.reduce_only for each in alive) == 1 and waits is not None
            before, symbol = self.books(), self.bench.engine.state.names.symbols[p.symbol]
            before.held[symbol] += p.side * (p.steps - p.filled)
            before.closing = {}
            step = self.bench.fill(p.id)
            done = [each for each in step.outputs if isinstance(each, Decision)]
            assert bool(done) <= last
            if last and waits is not None:
                agree(self.steps_of_fill(), read(waits.rebalance.instructions, before, self.equity, reduces=False))

    def wait(self, seconds: float) -> None:
        """Time has passed; closes that were silent too long were cancelled, so that nothing waits for them."""
        self.bench.clock.advance(seconds)
        for p in self.bench.engine.state.permits.alive():
            if p.reduce_only and seconds > PATIENCE_S:
                self.bench.result(p.id, PermitState.CANCELLED)
        self.bench.refresh()

    def steps_of_fill(self) -> Step:
        """The step in which the last result was told."""
        return next(step for step in reversed(self.bench.steps) if type(step.input).__name__ == "Executed")


def agree(step: Step, expected: Expected) -> None:
    """The step's permits and denials are those that were expected."""
    permits = [each for each in step.outputs if isinstance(each, PermitIssued)]
    assert [each.reduce_only for each in permits] == sorted((each.reduce_only for each in permits), reverse=True)
    signed = [(each.symbol, each.side * each.steps) for each in permits]
    count = len(expected.reducing)
    assert signed[:count] == expected.reducing
    opened = signed[count:]
    assert [symbol for symbol, _ in opened] == [symbol for symbol, _ in expected.opening]
    for (_, steps), (_, wished) in zip(opened, expected.opening, strict=True):
        assert steps == pytest.approx(wished, abs=20)
    told = [each for each in step.outputs if isinstance(each, Decision) and not each.granted_steps]
    assert {each.symbol for each in told if each.headline != Code.ALLOWED} == expected.denied
    assert {each.symbol for each in told if each.headline == Code.ALLOWED} == expected.left
    scaled = {each.metadata for each in step.outputs if isinstance(each, RiskEvent) and each.trigger is Code.CLUSTER_CAP}
    assert scaled == expected.scaled


@pytest.mark.parametrize("seed", range(24))
def test_a_rebalance_is_decided_as_it_is_written(seed: int) -> None:
    desk = Desk(seed)
    waited = 0
    for _ in range(12):
        if desk.random.random() < 0.2:
            symbol = desk.random.choice(sorted(SYMBOLS))
            desk.locked.add(symbol)
            desk.bench.send(LockSet(Scope.SYMBOL, symbol, 0, OPERATOR_NS, "test", "alice"))
        desk.told(desk.rebalance(desk.instructions()))
        waited += bool(desk.bench.engine.state.waiting)
        if desk.random.random() < 0.3:
            desk.bench.engine.state = decode(encode(desk.bench.engine.state))
            assert picture(desk.bench.folded().state) == picture(desk.bench.engine.state)
        if desk.random.random() < 0.7:
            desk.settle()
            assert not desk.bench.engine.state.waiting
        desk.wait(desk.random.choice((1.0, 20.0)))
    assert waited


@pytest.mark.parametrize("seed", range(12))
def test_what_the_venue_does_not_fill_frees_nothing(seed: int) -> None:
    desk = Desk(seed)
    desk.told(desk.rebalance((Instruction("A", Action.SCALE, 0.28, 95.0), Instruction("E", Action.SCALE, 0.28, 4.75))))
    desk.settle()
    desk.told(desk.rebalance((Instruction("A", Action.SCALE, 0.05, 95.0), Instruction("B", Action.SCALE, 0.28, 47.5))))
    (close,) = [p for p in desk.bench.engine.state.permits.alive() if p.reduce_only]
    state = desk.random.choice((PermitState.CANCELLED, PermitState.REJECTED))
    part = desk.random.randrange(close.steps) if state is PermitState.CANCELLED else 0
    step = desk.bench.result(close.id, state, part)
    assert not desk.bench.engine.state.waiting
    assert not [each for each in step.outputs if isinstance(each, Decision)]
