"""
A seeded random history of one account: engine, ledger and gate as in production, everything around them simulated.

The venue holds the truth; what it says travels over a wire that faults may disturb; an executor spends permits and places
their orders. After every step all laws are checked, at every crash the ledger is folded and compared with the engine that
is lost, and at the end the faults stop, everything is reconciled and truth and engine must agree.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Final

import msgspec

from interlock.core import snapshot
from interlock.core.codes import AccountKind, Action, CalendarKind, CloseAction, Code, Partial, PermitState, Scope
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.decide import decide
from interlock.core.errors import InputInvalid
from interlock.core.inputs import check
from interlock.core.messages import (
    SCHEMA,
    AccountOpened,
    Adopted,
    BarClosed,
    CalendarSet,
    CancelOrders,
    ClockChecked,
    Executed,
    ExitProposed,
    Heartbeat,
    Input,
    Instruction,
    InstrumentSet,
    Intent,
    LockReleased,
    MarketBatch,
    MarketState,
    PermitIssued,
    Rebalance,
    Step,
    Tick,
)
from interlock.core.state import ACCOUNT_LOCKS, RUNGS, STRATEGY_LOCKS, SymbolRow
from interlock.ledger import Ledger, LedgerError, LedgerUnwritable, verify
from interlock.ledger.fold import fold, replay
from interlock.policy.calendar import day_calendar, week_calendar
from interlock.service.shell.gate import Gate, PermitSpent, PermitVoid
from interlock.testing.book import Book
from interlock.testing.builders import PRICES, START_NS, around, make_instrument, make_policy
from interlock.testing.clock import FakeClock
from interlock.testing.disk import Disk
from interlock.testing.laws import LAWS, Law, Look, Rung, broken, is_remembered
from interlock.testing.venue import Venue
from interlock.testing.wayout import EXITS

STORY_LINES: Final = 60
BALANCE: Final = 10_000.0
PENDING_MAX: Final = 64
SNAPSHOT_EVERY: Final = 97
TRUTH_WINDOW_S: Final = 300.0
MARKS_WINDOW_S: Final = 900.0
TRUTH_ROOM_FRAC: Final = 0.01
"""Truth is sampled: what the engine saw of it between two samples may be this much lower."""
PROBE_EVERY: Final = 11
BAR_NS: Final = 60 * NS_PER_S
BARS_MAX: Final = 30
CALENDAR_DAYS: Final = 420
DAY_NS: Final = 86_400 * NS_PER_S
HOUR_NS: Final = 3_600 * NS_PER_S
ATR_FRAC: Final = 0.01
SCORES: Final = (0.7, 0.85, 1.0, 0.5)
"""Of market states, hour by hour: BASE twice, TREND, CHOP."""

NOBODY: Final = 'exits.owner = "any"\nrules.CONTROLLER_DEAD = "off: nobody owns the exits"'
QUICK: Final = 'rules.TIME_EXIT.bar = "1 min"'
"""Histories are short: their bars are, too."""

POLICIES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("crypto-futures@1", (EXITS["A"], QUICK, 'exits.owner = "exit"')),
    ("crypto-futures@1", (EXITS["B"], QUICK, NOBODY)),
    ("layered@1", (EXITS["A-numbers"], QUICK)),
    ("crypto-futures@1", (EXITS["B"], QUICK, 'exits.owner = "exit"\nexits.mode = "external"')),
    ("layered@1", (EXITS["A"], QUICK, 'exits.owner = "exit"\nexits.mode = "advisory"')),
    ("crypto-futures@1", (EXITS["B-numbers"], QUICK, 'exits.owner = "exit"\nexits.mode = "advisory"')),
    ("crypto-futures@1", ('exits.owner = "exit"',)),
    ("layered@1", ("",)),
)
"""Preset and changes, by the seed: every mode of exits and every owner, and exits that are off."""


class LawBroken(AssertionError):
    """A law does not hold; the message tells the history before it."""


@dataclass
class Letter:
    """A message on its way to the engine."""

    due_ns: int
    event: Input


class Simulation:
    """One account's world, its chance and its story."""

    def __init__(
        self, seed: int, directory: Path, *, faults: tuple["Fault", ...] = (), laws: tuple[Law, ...] = LAWS
    ) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311 (the seed is the point)
        self.directory = directory / "ledger"
        self.faults = faults
        self.laws = laws
        self.clock = FakeClock(START_NS + self.chance.randrange(86_400) * NS_PER_S)
        self.wire: list[Letter] = []
        self.inbox: list[PermitIssued] = []
        self.issued: dict[int, PermitIssued] = {}
        self.decided_at: dict[int, int] = {}
        self.unsent: set[int] = set()
        self.epoch = 0
        self.count = 0
        self.crashes = 0
        self.story: deque[str] = deque(maxlen=STORY_LINES)
        self.lowest: deque[tuple[int, float]] = deque()
        self.pictures: dict[int, bytes] = {}
        self.owner_lives = self.market_tells = self.stops_are_taken = True
        self.fired: dict[Rung, int] = {}
        self.marks: dict[str, deque[tuple[int, float]]] = {symbol: deque() for symbol in PRICES}
        self.proposals: deque[Intent] = deque(maxlen=20)
        self.barred_ns = self.clock.true_ns // BAR_NS * BAR_NS
        preset, changes = POLICIES[seed // 2 % len(POLICIES)]
        self.asked = 0
        self.stops_at_venue = seed % 2 == 1
        self.policy = make_policy(preset, at_ns=self.clock.true_ns, toml=changes)
        instruments = {symbol: make_instrument(symbol) for symbol in PRICES}
        book = Book(BALANCE, instruments, {symbol: around(mark) for symbol, mark in PRICES.items()})
        self.venue = Venue(book)
        self.disk = Disk()
        self.open()

    # ---------------------------------------------------------------- the process

    def open(self) -> None:
        """A process with the account has started: the ledger is folded, and the engine told what it must know."""
        self.disk = Disk()
        self.ledger = Ledger.open(
            self.directory, account="sim", schema=SCHEMA, pending_max=PENDING_MAX, disk=self.disk.writer
        )
        self.gate = Gate(fold(self.directory), self.ledger, snapshot_every=SNAPSHOT_EVERY)
        self.epoch = max(self.epoch, self.gate.engine.state.account.epoch) + 1
        first = self.gate.engine.state.account.seq == 0
        stops = self.stops_at_venue
        self.feed(AccountOpened("sim", AccountKind.PAPER, "USDT", BALANCE, epoch=self.epoch, stops_at_venue=stops))
        if first:
            for instrument in self.venue.book.instruments.values():
                self.feed(InstrumentSet(instrument))
            self.feed(self.policy.compile(self.clock.true_ns))
            for calendar in self._calendars():
                self.feed(calendar)
        self.refresh()

    def _calendars(self) -> tuple[CalendarSet, CalendarSet]:
        first, last = START_NS - 8 * DAY_NS, START_NS + CALENDAR_DAYS * DAY_NS
        day = day_calendar("day", "UTC", "00:00", first, last)
        assert day.kind == CalendarKind.DAY
        return day, week_calendar("week", "UTC", "00:00", "Mon", first, last)

    def crash(self) -> None:
        """The process is dead: what was durable is all that is left, and it is what the engine was at that step."""
        self.crashes += 1
        durable = self.ledger.durable_seq
        lost = self.gate.engine.state.account.seq - durable
        self.disk.die()
        try:
            self.ledger.close()
        except LedgerError:
            self.tell(f"crash: {lost} steps are lost")
        self.inbox.clear()
        self.fired = {rung: seq for rung, seq in self.fired.items() if seq <= durable}
        self._compare_fold(durable)
        self.open()

    def _compare_fold(self, seq: int) -> None:
        folded = fold(self.directory).state
        if folded.account.seq != seq:
            self.fail(f"{seq} steps were durable, the ledger has {folded.account.seq}")
        if seq in self.pictures and snapshot.encode(folded) != self.pictures[seq]:
            self.fail(f"folding the ledger up to step {seq} gives another state than the engine had")

    # ---------------------------------------------------------------- inputs

    def feed(self, event: Input) -> Step | None:
        """The engine has taken the input now, and every law held; None when it refused the input."""
        engine = self.gate.engine
        wall_ns, mono_ns = self.clock.wall_ns, self.clock.mono_ns
        before = snapshot.encode(engine.state)
        try:
            check(engine.state, event, wall_ns)
            looked = decide(engine.state, wall_ns, mono_ns, event)
            looked_state = snapshot.encode(engine.state)
            handed = self.gate.submit(event, wall_ns, mono_ns)
        except InputInvalid as error:
            self.tell(f"refused  {_short(event)}: {error}")
            return None
        except LedgerUnwritable as error:
            self.tell(f"no room  {_short(event)}: {error}")
            return None
        step = handed.step
        self.count += 1
        self.tell(f"{step.seq:>5} {_short(event)}", *(f"        -> {_short(output)}" for output in step.outputs))
        for output in step.outputs:
            if isinstance(output, PermitIssued):
                self.issued[output.id] = output
                self.decided_at[output.id] = step.seq
            elif isinstance(output, CancelOrders):
                for permit in output.permits:
                    if self.chance.random() < 0.9:
                        self.venue.cancel(permit)
                        self.send(self.venue.result(permit, self.clock.true_ns))
        durable_seq = self.ledger.durable_seq
        self._judge(
            Look(
                before,
                looked_state,
                looked,
                step,
                engine.state,
                handed.permits,
                durable_seq,
                self._equity_low(),
                self.decided_at,
                self.venue.placements,
                step.seq % PROBE_EVERY == 0,
                self.fired,
                self._true_marks(),
            )
        )
        self._remember_rungs(step)
        self.inbox.extend(handed.permits)
        self.settle_disk(step)
        return step

    def settle_disk(self, step: Step) -> None:
        """Where the disk is well everything is durable before time goes on: histories do not depend on threads."""
        if self.disk.well:
            while self.ledger.durable_seq < step.seq:
                self._collect()
                if not self.ledger.wait(min(self.ledger.last_seq, step.seq), 60.0):
                    self.fail(f"the disk is well and step {step.seq} is not durable: {self.ledger.problem}")
            self.pictures = {step.seq: snapshot.encode(self.gate.engine.state)}
        self._collect()

    def _collect(self) -> None:
        due = self.gate.due()
        for permit in due:
            if self.decided_at[permit.id] > self.ledger.durable_seq:
                self.fail(f"permit {permit.id} became due before its record is durable")
        self.inbox.extend(due)

    def _judge(self, look: Look) -> None:
        found = broken(look, self.laws)
        if found:
            self.fail("; ".join(found))

    def send(self, event: Input, delay_s: float = -1.0) -> None:
        """The message is on its way; without a delay it takes the usual fraction of a second."""
        delay_s = self.chance.uniform(0.01, 0.4) if delay_s < 0.0 else delay_s
        self.wire.append(Letter(self.clock.true_ns + round(delay_s * NS_PER_S), event))

    def pass_time(self, seconds: float) -> None:
        """So much time has passed, and what arrived on the way was fed when it arrived."""
        end_ns = self.clock.true_ns + round(seconds * NS_PER_S)
        while self.wire and (letter := min(self.wire, key=lambda each: each.due_ns)).due_ns <= end_ns:
            self.wire.remove(letter)
            self.clock.advance_to(max(letter.due_ns, self.clock.true_ns))
            self.feed(letter.event)
        self.clock.advance_to(end_ns)

    # ---------------------------------------------------------------- truth

    def _equity_low(self) -> float:
        """The lowest equity that was true lately."""
        now_ns = self.clock.true_ns
        self.lowest.append((now_ns, self.venue.book.equity))
        while self.lowest and now_ns - self.lowest[0][0] > TRUTH_WINDOW_S * NS_PER_S:
            self.lowest.popleft()
        return min(equity for _, equity in self.lowest) * (1.0 - TRUTH_ROOM_FRAC)

    def _true_marks(self) -> dict[str, tuple[float, float]]:
        """Each symbol's lowest and highest mark of late, and of its last move, which the venue goes on telling."""
        now_ns = self.clock.true_ns
        prices = self.venue.book.prices
        for symbol, seen in self.marks.items():
            seen.append((now_ns, prices[symbol].mark))
            while now_ns - seen[0][0] > MARKS_WINDOW_S * NS_PER_S:
                seen.popleft()
        lowest = {symbol: min((mark for _, mark in seen)) for symbol, seen in self.marks.items()}
        highest = {symbol: max((mark for _, mark in seen)) for symbol, seen in self.marks.items()}
        return {
            symbol: (min(lowest[symbol], price.low), max(highest[symbol], price.high)) for symbol, price in prices.items()
        }

    def _remember_rungs(self, step: Step) -> None:
        for output in step.outputs:
            if isinstance(output, ExitProposed) and output.acting and output.fraction > 0.0 and is_remembered(output):
                self.fired[Rung(output.symbol, output.episode, output.rung)] = step.seq

    @property
    def told_ns(self) -> int:
        """Now, as the venue stamps it and the engine can believe it."""
        return min(self.clock.true_ns, max(self.gate.engine.state.account.now_ns, self.clock.wall_ns))

    def refresh(self) -> None:
        """Every feed has told its present figures."""
        now_ns = self.clock.true_ns
        self.feed(ClockChecked(now_ns))
        self.feed(self.venue.working(now_ns))
        self.feed(self.venue.positions(self.told_ns))
        self.feed(self.quotes())
        for state in self.markets():
            self.feed(state)
        self.feed(self.venue.equity(now_ns))
        if self.owner_lives:
            self.feed(Heartbeat(self.gate.engine.state.account.exit_owner))

    def row(self, symbol: str) -> SymbolRow:
        """The symbol as the engine has it."""
        state = self.gate.engine.state
        return state.symbols[state.names.symbol_index[symbol]]

    def bar(self, symbol: str, opened_ns: int) -> BarClosed:
        """A bar of the symbol that began then."""
        mark = self.venue.book.prices[symbol].mark
        return BarClosed(symbol, opened_ns, BAR_NS / NS_PER_S, mark, mark, mark, mark)

    def quotes(self) -> MarketBatch:
        """Every symbol's prices."""
        return MarketBatch(tuple(self.venue.book.quote(symbol, self.clock.true_ns) for symbol in PRICES))

    def markets(self) -> tuple[MarketState, ...]:
        """Every symbol's market state, which goes through all regimes as the hours pass; none while nobody tells it."""
        if not self.market_tells:
            return ()
        now_ns, score = self.told_ns, SCORES[self.told_ns // HOUR_NS % len(SCORES)]
        marks = ((symbol, self.venue.book.prices[symbol].mark) for symbol in PRICES)
        return tuple(
            MarketState(
                symbol, now_ns, atr=ATR_FRAC * mark, sigma=0.012 - 0.004 * score, trend_strength=score / 2.0, score=score
            )
            for symbol, mark in marks
        )

    # ---------------------------------------------------------------- the story

    def tell(self, *lines: str) -> None:
        """The lines are part of the story."""
        at_s = (self.clock.true_ns - START_NS) / NS_PER_S
        self.story.extend(f"{at_s:>11.2f} {line}" for line in lines)

    def fail(self, problem: str) -> None:
        """The history ends here. Raises LawBroken with its last events and how to see it again."""
        self.disk.die()
        again = f"python -m interlock.testing --seed {self.seed} --steps {self.asked or self.count}"
        raise LawBroken("\n".join([*self.story, "", f"broken: {problem}", f"again:  {again}"]))

    # ---------------------------------------------------------------- running

    def run(self, steps: int) -> "Outcome":
        """
        The history has gone on for at least so many steps, has come to rest, and was folded and replayed.

        Raises:
            LawBroken: a law did not hold.
        """
        self.asked = steps
        actions, weights = [act for act, _ in ACTIONS], [weight for _, weight in ACTIONS]
        while self.count < steps:
            if self.faults and self.chance.random() < 0.12:
                fault = self.chance.choice(self.faults)
                self.tell(f"fault    {fault.__name__}")
                fault(self)
            else:
                self.chance.choices(actions, weights)[0](self)
            self.pass_time(0.05)
        self.rest()
        return self._end()

    def rest(self) -> None:
        """Faults are over: everything that was said has arrived, every order's end is known, reports agree."""
        self.tell("rest")
        self.disk.heal()
        self.clock.skew_ns = 0
        self.owner_lives = self.market_tells = self.stops_are_taken = True
        self.wire.sort(key=lambda each: each.due_ns)
        for letter in self.wire:
            self.feed(letter.event)
        self.wire.clear()
        self.inbox.clear()
        for _ in range(4):
            self.pass_time(70.0)
            for permit in sorted(self.gate.engine.state.permits.live):
                self.venue.cancel(permit)
                row = self.gate.engine.state.permits.get(permit)
                if row is not None and row.state != PermitState.ISSUED:
                    self.feed(self.venue.result(permit, self.clock.true_ns))
            self.refresh()
        self._agree()

    def _agree(self) -> None:
        """The engine's positions are the venue's, and nothing is reserved."""
        state = self.gate.engine.state
        for symbol in PRICES:
            r = state.symbols[state.names.symbol_index[symbol]]
            truth = self.venue.position(symbol)
            if r.position != truth or r.known != 1.0:
                self.fail(f"{symbol}: the venue holds {truth} steps, the engine {r.position} (known {r.known})")
            if r.pending_buy or r.pending_sell:
                self.fail(f"{symbol}: {r.pending_buy}/{r.pending_sell} steps are reserved though every order has ended")
        if state.account.reconciled != 1.0 or state.account.unknown_permits:
            self.fail(f"reports agree, and the engine is reconciled {state.account.reconciled}")

    def _end(self) -> "Outcome":
        live = snapshot.encode(self.gate.engine.state)
        self.gate.close()
        for name, again in (("folding", fold), ("replaying", replay)):
            if snapshot.encode(again(self.directory).state) != live:
                self.fail(f"{name} the ledger gives another state than the engine has")
        problems = verify(self.directory).problems
        if problems:
            self.fail(f"the ledger does not verify: {problems}")
        state = self.gate.engine.state
        return Outcome(state.account.seq, self.crashes, len(self.issued), self.venue.book.equity, live)

    def abandon(self) -> None:
        """The ledger's files are let go, whatever is left to write."""
        self.disk.die()
        try:
            self.ledger.close()
        except LedgerError:
            return


@dataclass(frozen=True)
class Outcome:
    """What a history came to."""

    steps: int
    crashes: int
    permits: int
    equity: float
    state: bytes


Fault = Callable[[Simulation], None]
Act = Callable[[Simulation], None]


def _short(message: object) -> str:
    text = repr(message)
    cut = text.find("facts=Facts(")
    if cut >= 0:
        text = text[:cut] + "facts=..., " + text[text.find("), state=", cut) + 3 :]
    return text if len(text) <= 400 else f"{text[:400]}..."


# ---------------------------------------------------------------- what happens by itself


def move_market(sim: Simulation) -> None:
    """Time passes and prices move; some of what was said is not about every symbol."""
    sim.pass_time(sim.chance.uniform(0.2, 12.0))
    wild = sim.chance.random() < 0.04
    for symbol, price in sim.venue.book.prices.items():
        change = sim.chance.gauss(0.0, 0.02 if wild else 0.002)
        moved = around(price.mark * (1.0 + max(-0.06, min(0.06, change))))
        moved.high, moved.low = max(price.mark, moved.mark), min(price.mark, moved.mark)
        sim.venue.book.prices[symbol] = moved
    for order in sim.venue.fire():
        sim.send(sim.venue.result(order.permit, sim.clock.true_ns))
    for order in sim.venue.orders.values():
        if order.alive and sim.chance.random() < 0.4:
            _trade(sim, order.permit)
    sim.send(sim.quotes())


def _trade(sim: Simulation, permit: int) -> None:
    order = sim.venue.orders[permit]
    left = order.steps - order.filled
    before = (order.filled, order.state)
    sim.venue.trade(order, left if sim.chance.random() < 0.5 else sim.chance.randint(1, left))
    if before != (order.filled, order.state):
        sim.send(sim.venue.result(permit, sim.clock.true_ns))


def feeds_tell(sim: Simulation) -> None:
    """The venue tells equity, positions, orders and time; the exit owner is alive."""
    now_ns = sim.clock.true_ns
    for event in (
        sim.venue.equity(now_ns),
        sim.venue.working(now_ns),
        sim.venue.positions(sim.told_ns),
        ClockChecked(now_ns),
        *([Heartbeat(sim.gate.engine.state.account.exit_owner)] if sim.owner_lives else ()),
    ):
        if sim.chance.random() < 0.9:
            sim.send(event)
    for state in sim.markets():
        sim.send(state)


def want_opening(sim: Simulation) -> None:
    """A strategy wants in, most of the time with a proper stop."""
    symbol = sim.chance.choice(tuple(PRICES))
    side = sim.chance.choice((1, -1))
    mark = sim.venue.book.prices[symbol].mark
    source, strategy = sim.chance.choice((("bot", "trend"), ("bot", "trend"), ("rival", "mean")))
    limit = sim.chance.choice((nan, nan, mark * (1.0 + side * sim.chance.uniform(-0.01, 0.01))))
    sim.feed(
        Intent(
            f"open-{sim.count}",
            source,
            strategy,
            symbol,
            side,
            notional=sim.chance.choice((500.0, 2_000.0, 8_000.0)),
            limit_price=limit,
            stop_price=mark * (1.0 - side * sim.chance.choice((0.008, 0.03, 0.05, -0.01))),
            partial=sim.chance.choice((Partial.SCALE, Partial.REFUSE)),
            created_at_ns=sim.clock.wall_ns,
        )
    )


def want_closing(sim: Simulation) -> None:
    """Somebody wants out of what is held, in part, whole, or too much of it."""
    state = sim.gate.engine.state
    symbol = sim.chance.choice(tuple(PRICES))
    r = state.symbols[state.names.symbol_index[symbol]]
    held = r.position or sim.venue.position(symbol)
    if held == 0 and sim.chance.random() < 0.9:
        return
    steps = max(1, int(abs(held) * sim.chance.choice((0.1, 0.5, 1.0, 1.0, 2.0))))
    source = sim.chance.choice(("bot", "exit", "rival", "operator", "emergency", "stranger"))
    only = sim.chance.random() < 0.7
    side = -1 if held > 0 else 1
    instrument = sim.venue.book.instruments[symbol]
    sim.feed(
        Intent(
            f"close-{sim.count}",
            source,
            "trend",
            symbol,
            side,
            quantity=instrument.quantity(steps),
            stop_price=sim.venue.book.prices[symbol].mark * (1.0 - side * 0.04),
            reduce_only=only,
            created_at_ns=sim.clock.wall_ns,
        )
    )


def bars_close(sim: Simulation) -> None:
    """Bars that have ended since are told, as far as anybody still wants them."""
    first_ns = max(sim.barred_ns, sim.clock.true_ns - BARS_MAX * BAR_NS) // BAR_NS * BAR_NS
    for opened_ns in range(first_ns, sim.clock.true_ns - BAR_NS, BAR_NS):
        for symbol in (symbol for symbol in PRICES if sim.venue.position(symbol)):
            sim.send(sim.bar(symbol, opened_ns))
    sim.barred_ns = max(sim.barred_ns, sim.clock.true_ns // BAR_NS * BAR_NS)


def propose_an_exit(sim: Simulation) -> None:
    """Somebody proposes to leave a part, or all, or another stop; most of the time it is the owner."""
    symbol = sim.chance.choice(tuple(PRICES))
    r = sim.row(symbol)
    if r.position == 0 and sim.chance.random() < 0.9:
        return
    side = 1 if r.position < 0 else -1
    mark = sim.venue.book.prices[symbol].mark
    away = sim.chance.choice((nan, nan, nan, 0.002, 0.01, 0.04, -0.01))
    intent = Intent(
        f"exit-{sim.count}",
        sim.chance.choice(("exit", "exit", "exit", "bot", "rival", "operator")),
        "trend",
        symbol,
        side,
        stop_price=mark * (1.0 + side * away),
        reduce_only=True,
        created_at_ns=sim.clock.wall_ns,
        rung=sim.chance.choice(("house_rule", *RUNGS)),
        close=sim.chance.choice(tuple(CloseAction)),
    )
    sim.proposals.append(intent)
    sim.feed(intent)


def adopt(sim: Simulation) -> None:
    """An operator puts what was opened by hand under the exit rules."""
    for symbol in PRICES:
        r = sim.row(symbol)
        if r.position != 0 and r.managed != 1.0:
            mark = sim.venue.book.prices[symbol].mark
            stop = mark * (0.97 if r.position > 0 else 1.03)
            sim.feed(Adopted(symbol, sim.chance.choice(("trend", "mean")), stop, "alice"))


def say_again(sim: Simulation) -> None:
    """A strategy repeats an intent it has sent before, as it was or changed."""
    seen = list(sim.gate.engine.state.intents.rows.values())
    if seen:
        intent = sim.chance.choice(seen[-20:]).intent
        if sim.chance.random() < 0.3:
            intent = msgspec.structs.replace(intent, quantity=0.5 + sim.chance.random(), notional=nan)
        sim.feed(msgspec.structs.replace(intent, created_at_ns=sim.clock.wall_ns))


def rebalance(sim: Simulation) -> None:
    """A strategy wants another book."""
    instructions = tuple(
        Instruction(
            symbol,
            sim.chance.choice((Action.OPEN, Action.SCALE, Action.CLOSE, Action.VETO)),
            sim.chance.choice((-0.3, 0.0, 0.1, 0.5)),
            sl_price=sim.venue.book.prices[symbol].mark * sim.chance.choice((0.95, 1.05)),
        )
        for symbol in PRICES
        if sim.chance.random() < 0.7
    )
    sim.feed(Rebalance(f"book-{sim.count}", "bot", "trend", instructions, created_at_ns=sim.clock.wall_ns))


def execute(sim: Simulation) -> None:
    """The executor spends what is in its inbox and places the orders; now and then an answer is lost."""
    inbox, sim.inbox = sim.inbox, []
    for permit in inbox:
        try:
            handed = sim.gate.spend(permit, sim.clock.wall_ns, sim.clock.mono_ns)
        except (PermitVoid, PermitSpent) as error:
            sim.tell(f"no spend {error}")
            continue
        except LedgerUnwritable as error:
            sim.fail(f"a permit could not be spent: {error}")
            return
        sim.tell(f"{handed.step.seq:>5} {_short(handed.step.input)}")
        sim.count += 1
        sim.inbox.extend(handed.permits)
        sim.settle_disk(handed.step)
        _place(sim, permit)


def _place(sim: Simulation, permit: PermitIssued) -> None:
    taken = sim.stops_are_taken or permit.trigger_price != permit.trigger_price
    order = sim.venue.place(permit, accept=taken and sim.chance.random() < 0.93)
    if order.alive and (permit.limit_price != permit.limit_price or sim.chance.random() < 0.7):
        sim.venue.trade(order, order.steps if sim.chance.random() < 0.7 else sim.chance.randint(1, order.steps))
    result = sim.venue.result(permit.id, sim.clock.true_ns)
    if sim.chance.random() < 0.06:
        result = Executed(permit.id, PermitState.UNKNOWN, 0, 0.0, 0.0, sim.clock.true_ns, reason="timed out")
    sim.send(result)


def resolve(sim: Simulation) -> None:
    """The executor asks the venue what became of an order."""
    live = [number for number, row in sim.gate.engine.state.permits.live.items() if row.state != PermitState.ISSUED]
    if live:
        sim.send(sim.venue.result(sim.chance.choice(live), sim.clock.true_ns))


def idle(sim: Simulation) -> None:
    """Time passes."""
    sim.pass_time(sim.chance.choice((0.5, 3.0, 30.0, 90.0)))
    sim.feed(Tick())


def long_idle(sim: Simulation) -> None:
    """Hours pass, the feeds tell, and an operator looks at what only he can end."""
    sim.pass_time(sim.chance.uniform(1_800.0, 20_000.0))
    sim.feed(Tick())
    sim.refresh()
    sim.pass_time(15.0)
    sim.refresh()
    state = sim.gate.engine.state
    operators: list[tuple[Scope, str, list[int], tuple[Code, ...]]] = [
        (Scope.ACCOUNT, "", state.account.lock_until, ACCOUNT_LOCKS)
    ]
    for name, row in zip(state.names.strategies, state.strategies, strict=True):
        operators.append((Scope.STRATEGY, name, row.lock_until, STRATEGY_LOCKS))
    for scope, key, until, codes in operators:
        for slot, code in enumerate(codes):
            if until[slot] == OPERATOR_NS and code not in (Code.KILL_SWITCH, Code.RECONCILE_MISMATCH):
                sim.feed(LockReleased(scope, key, code, "alice", "reviewed"))


ACTIONS: Final[tuple[tuple[Act, int], ...]] = (
    (move_market, 20),
    (feeds_tell, 14),
    (want_opening, 14),
    (want_closing, 8),
    (bars_close, 6),
    (propose_an_exit, 4),
    (adopt, 1),
    (say_again, 3),
    (rebalance, 2),
    (execute, 16),
    (resolve, 4),
    (idle, 5),
    (long_idle, 1),
)
"""What happens without anybody being at fault, and how often."""
