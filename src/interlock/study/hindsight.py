"""
An account's history walked again: as it was, and with a policy's gate in front of it.

What the history did is what somebody wanted: an opening is an intent at its time, price and quantity, a close a reducing
intent. Behind the gate an opening fills at the history's own price as far as it is permitted, and a close takes what is
left of the trade that it closed. Nobody's later wishes change because an earlier one was denied; that is the limit of
every such comparison.

Prices are known where the history (or price bars) have them. In between, a position is marked at the last known price,
which is told again at each order, at the end of each risk day and when a lock ends. A price that is far from the one told
last is told twice: there were others between, and a mark that jumps needs a second that agrees.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, merge
from operator import itemgetter
from typing import Final

from interlock.adapters.bars import Bars
from interlock.core.codes import AccountKind, Code, Partial, PermitState, Scope
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.floors import floor_of
from interlock.core.limits import is_on
from interlock.core.messages import (
    AccountOpened,
    ClockChecked,
    Decision,
    EquityMarked,
    Executed,
    FlattenGoal,
    Heartbeat,
    Input,
    InstrumentSet,
    Intent,
    LockChanged,
    LockReleased,
    MarketBatch,
    PermitIssued,
    PositionsReported,
    Quote,
    Rebased,
    Step,
)
from interlock.core.state import LOSS_TRIGGERS
from interlock.policy import Policy
from interlock.policy.calendar import Interval, day_calendar, week_calendar
from interlock.policy.windows import Windows
from interlock.report import Event, Kind
from interlock.service.shell.gate import Gate
from interlock.study.books import Books
from interlock.study.journal import DAY_NS, Journal
from interlock.study.parties import parties_of
from interlock.study.past import Contract, Order, Past, Piece
from interlock.study.wording import FLATTENING, SAYS, bound, explained, reason

MIDNIGHT: Final = "00:00"
DURABLE_S_MAX: Final = 30.0
BEFORE_NS: Final = NS_PER_S
"""The end of a risk day is told this long before the next begins, fresh enough to be its opening figure."""
OPERATOR: Final = "operator"

Price = tuple[int, str, int]
"""When a price in ticks was known of a symbol."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An opening that the gate gave less than all: in steps, with its foremost reason and the trades it was part of."""

    seq: int
    at_ns: int
    order: int
    asked: int
    granted: int
    code: Code
    lock: str
    trades: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A gate to put before a history.

    Risk days and weeks begin at midnight of ``zone``; ``review_days`` after a lock that waits for an operator the
    replay's operator releases it, or never (0). Without ``windows`` no calendar file is known.
    """

    name: str
    policy: Policy
    zone: str
    review_days: int
    windows: Windows | None = None


class Free:
    """The history as it was: every order is executed whole."""

    def __init__(self, past: Past, balance: float) -> None:
        self.past = past
        self.books = Books(past, balance)
        self.journal = Journal(balance)

    def advance(self, to_ns: int, /) -> None:
        """Nothing was due."""

    def price(self, symbol: str, ticks: int, _at_ns: int, /) -> None:
        """The symbol's price is known."""
        self.books.ticks[symbol] = ticks

    def meet(self, order: Order) -> None:
        """The order was executed."""
        self.journal.intents += 1
        self.execute(order.at_ns, order.symbol, order.side, order.pieces)

    def execute(self, at_ns: int, symbol: str, side: int, pieces: Sequence[Piece]) -> tuple[int, int, int]:
        """Every piece was filled; returns steps, worth and costs in money units."""
        steps = value = fees = 0
        contract = self.past.contracts[symbol]
        for piece in pieces:
            value += self.books.execute(symbol, side, piece.steps, piece.ticks, piece.fee, piece.trade)
            steps += piece.steps
            fees += piece.fee
            quantity = side * contract.instrument.quantity(piece.steps)
            self.journal.fills.append((at_ns, symbol, quantity, contract.price(piece.ticks)))
        return steps, value, fees

    def look(self, at_ns: int) -> None:
        """Equity is noted as it is now."""
        self.journal.at_ns.append(at_ns)
        self.journal.equity.append(self.books.equity)


class Gated(Free):
    """The history with an engine and its ledger in front: what they permit is executed, and they are told of it."""

    def __init__(self, past: Past, balance: float, gate: Gate, plan: Plan) -> None:
        super().__init__(past, balance)
        self.gate = gate
        self.verdicts: list[Verdict] = []
        self.events: list[Event] = []
        self.flattened: dict[int, Code] = {}
        self.exits_left_nothing = 0
        self.answers = {"granted": 0, "capped": 0, "denied": 0}
        self._policy = plan.policy
        self._parties = parties_of(plan.policy)
        self._review_ns = plan.review_days * DAY_NS
        self._due: list[tuple[int, bool]] = []
        self._waiting: dict[tuple[Scope, str, Code], int] = {}
        self._order: tuple[str, Sequence[Piece]] = ("", ())
        self._told: set[tuple[Code, Kind]] = set()
        self._goal = Code.EMERGENCY_FLATTEN
        self._open(plan)

    # ---------------------------------------------------------------- the start

    def _open(self, plan: Plan) -> None:
        start_ns, end_ns = self.past.orders[0].at_ns, self.past.orders[-1].at_ns
        span = start_ns - 8 * DAY_NS, end_ns + 400 * DAY_NS
        self._submit(start_ns, AccountOpened(plan.name, AccountKind.PAPER, self.past.currency, self.journal.balance))
        for contract in self.past.contracts.values():
            self._submit(start_ns, InstrumentSet(contract.instrument))
        self._publish(start_ns)
        days = day_calendar("risk-day", plan.zone, MIDNIGHT, *span)
        self._submit(start_ns, days)
        self._submit(start_ns, week_calendar("week", plan.zone, MIDNIGHT, "Mon", *span))
        self._submit(start_ns, ClockChecked())
        self._due += [(at_ns - BEFORE_NS, True) for at_ns in days.instants_ns if start_ns < at_ns <= end_ns + DAY_NS]
        if plan.windows is not None:
            self._tell_windows(plan.windows, span)
        limits = self.gate.engine.state.account_limits()
        self._floors = [code for code in LOSS_TRIGGERS if is_on(limits, code)]
        self.journal.floors = {code: array("d") for code in self._floors}

    def _tell_windows(self, windows: Windows, span: Interval) -> None:
        """The windows of every symbol are known, and looked at when a position has to be closed for one."""
        state = self.gate.engine.state
        start_ns, end_ns = self.past.orders[0].at_ns, self.past.orders[-1].at_ns
        for symbol in self.past.contracts:
            told = windows.of(symbol, *span)
            self._submit(start_ns, told)
            lead_s = state.limits(state.symbols[state.names.symbol_index[symbol]]).flat_lead_s
            lead_ns = int(lead_s * NS_PER_S) if lead_s >= 0.0 else 0
            for from_ns, _ in told.flat:
                if start_ns < from_ns - lead_ns <= end_ns + DAY_NS:
                    heappush(self._due, (from_ns - lead_ns, True))

    def _publish(self, at_ns: int) -> None:
        """The policy is published anew, and will be when half its validity is over: what it says stays the same."""
        published = self._policy.publish(at_ns).compile(at_ns)
        self._renewal_ns = at_ns + (published.valid_until_ns - at_ns) // 2
        self._submit(at_ns, published)

    # ---------------------------------------------------------------- time and prices

    def advance(self, to_ns: int, /) -> None:
        """Whatever was due before then has happened: days have ended, locks too, an operator has looked."""
        while self._due and self._due[0][0] <= to_ns:
            at_ns, is_day = heappop(self._due)
            if not is_day or self.books.open_symbols:
                self._tell(at_ns)
                self._review(at_ns)

    def price(self, symbol: str, ticks: int, at_ns: int, /) -> None:
        """The symbol's price is known; where it is held, so are its equity and what follows from it."""
        self.books.ticks[symbol] = ticks
        if self.books.position(symbol):
            self._tell(at_ns)

    def look(self, at_ns: int) -> None:
        """Equity and every floor are noted as they are now."""
        super().look(at_ns)
        state = self.gate.engine.state
        limits = state.account_limits()
        for code in self._floors:
            self.journal.floors[code].append(floor_of(state, code, limits)[1])

    def _tell(self, at_ns: int, symbol: str = "") -> None:
        """The engine knows positions, the prices of what is held (and of the symbol), and equity."""
        if at_ns > self._renewal_ns:
            self._publish(at_ns)
        self._submit(at_ns, PositionsReported(self.books.positions(), at_ns))
        self._mark(at_ns, symbol)
        self._confirm(at_ns)

    def _mark(self, at_ns: int, symbol: str = "") -> None:
        """The engine knows the prices of what is held, and of the symbol."""
        symbols = {*self.books.open_symbols, symbol} - {""}
        self._submit(at_ns, MarketBatch(tuple(self._quote(each, at_ns) for each in sorted(symbols))))
        state = self.gate.engine.state
        doubted = [each for each in sorted(symbols) if state.symbols[state.names.symbol_index[each]].doubt != 0.0]
        if doubted:
            self._submit(at_ns, MarketBatch(tuple(self._quote(each, at_ns) for each in doubted)))

    def _confirm(self, at_ns: int) -> None:
        """Equity is told, and positions too where that has closed any."""
        held = None
        while held != self.books.open_symbols:
            if held is not None:
                self._submit(at_ns, PositionsReported(self.books.positions(), at_ns))
            held = self.books.open_symbols
            self._submit(at_ns, EquityMarked(self.books.equity, self.books.balance, at_ns))

    def _quote(self, symbol: str, at_ns: int) -> Quote:
        price = self.past.contracts[symbol].price(self.books.ticks[symbol])
        return Quote(symbol, price, price, price, at_ns)

    def _review(self, at_ns: int) -> None:
        """The operator has released every lock that has waited long enough, and taken present equity as the reference."""
        due = [lock for lock, since_ns in self._waiting.items() if at_ns >= since_ns + self._review_ns]
        why = f"the replay's operator reviews after {self._review_ns // DAY_NS} days"
        for scope, key, code in due:
            self._submit(at_ns, LockReleased(scope, key, code, OPERATOR, why))
        if due:
            self._submit(at_ns, Rebased(OPERATOR, why))

    # ---------------------------------------------------------------- orders

    def meet(self, order: Order) -> None:
        """The order was asked for, and what the gate permitted of it was executed."""
        self.advance(order.at_ns)
        self.books.ticks[order.symbol] = order.worst_ticks if order.opens else order.pieces[0].ticks
        if order.opens:
            self._want_in(order)
        else:
            self._want_out(order)
        self.books.ticks[order.symbol] = order.pieces[-1].ticks

    def _want_in(self, order: Order) -> None:
        self._tell(order.at_ns, order.symbol)
        if self.gate.engine.state.account.exit_owner != "any":
            self._submit(order.at_ns, Heartbeat(self._parties.closer))
        contract = self.past.contracts[order.symbol]
        self._ask(
            order,
            order.pieces,
            Intent(
                f"h{order.number}",
                self._parties.opener,
                self._parties.strategy,
                order.symbol,
                order.side,
                quantity=contract.instrument.quantity(order.steps),
                limit_price=contract.price(order.worst_ticks),
                stop_price=order.stop,
                partial=Partial.SCALE,
                created_at_ns=order.at_ns,
            ),
        )

    def _want_out(self, order: Order) -> None:
        """The exit is asked for, as large as what is left of the trades that it closes."""
        if self.books.position(order.symbol):
            self._mark(order.at_ns)
        pieces = self._left(order)
        if not pieces:
            self.exits_left_nothing += 1
            return
        self._ask(
            order,
            pieces,
            Intent(
                f"h{order.number}",
                self._parties.closer,
                self._parties.strategy,
                order.symbol,
                order.side,
                quantity=self.past.contracts[order.symbol].instrument.quantity(sum(piece.steps for piece in pieces)),
                reduce_only=True,
                created_at_ns=order.at_ns,
            ),
        )
        self._confirm(order.at_ns)

    def _left(self, order: Order) -> list[Piece]:
        """The order's pieces, each no larger than what is still held of its trade."""
        held = dict(self.books.held[order.symbol])
        pieces = []
        for piece in order.pieces:
            steps = min(piece.steps, held.get(piece.trade, 0))
            if steps:
                held[piece.trade] -= steps
                pieces.append(_part(piece, steps))
        return pieces

    def _ask(self, order: Order, pieces: Sequence[Piece], intent: Intent) -> None:
        self.journal.intents += 1
        self._order = (intent.id, pieces)
        step = self._submit(order.at_ns, intent)
        self._order = ("", ())
        for output in step.outputs:
            if isinstance(output, Decision):
                self._judge(order, step.seq, output)

    def _judge(self, order: Order, seq: int, decision: Decision) -> None:
        if decision.granted_steps == decision.requested_steps:
            self.answers["granted"] += 1
            return
        code, kind = reason(decision)
        self.answers[kind.value] += 1
        message = SAYS.get(code, decision.note)
        if (code, kind) not in self._told:
            self._told.add((code, kind))
            message = explained(self._policy, order.at_ns, decision)
        self.events.append(Event(order.at_ns, kind, order.symbol, code.value, message, bound(decision, code)))
        trades = tuple(dict.fromkeys(piece.trade for piece in order.pieces))
        granted = decision.granted_steps
        self.verdicts.append(
            Verdict(seq, order.at_ns, order.number, decision.requested_steps, granted, code, decision.lock, trades)
        )

    # ---------------------------------------------------------------- the engine

    def _submit(self, at_ns: int, event: Input) -> Step:
        handed = self.gate.submit(event, at_ns, wait_s=DURABLE_S_MAX)
        if handed.step.outputs:
            self._note(handed.step)
        if handed.waiting:
            raise handed.problem or TimeoutError("the ledger did not take a step in time: is the disk busy?")
        for permit in handed.permits:
            self._carry_out(at_ns, permit)
        return handed.step

    def _carry_out(self, at_ns: int, permit: PermitIssued) -> None:
        self.gate.spend(permit, at_ns)
        wanted, pieces = self._order
        pieces = _first(pieces, permit.steps) if permit.intent_id == wanted else self._flattening(permit)
        steps, value, fees = self.execute(at_ns, permit.symbol, permit.side, pieces)
        unit = self.past.unit
        self._submit(at_ns, Executed(permit.id, PermitState.FILLED, steps, value / unit, fees / unit, at_ns))

    def _flattening(self, permit: PermitIssued) -> list[Piece]:
        """What the gate itself closes, at the last known price and without costs, of the oldest trades first."""
        pieces, left = [], permit.steps
        for trade, held in self.books.held[permit.symbol].items():
            steps = min(left, held)
            if steps:
                pieces.append(Piece(steps, self.books.ticks[permit.symbol], 0, trade))
                self.flattened[trade] = self._goal
            left -= steps
        return pieces

    def _note(self, step: Step) -> None:
        for output in step.outputs:
            if isinstance(output, LockChanged):
                self.journal.locks.append((step.at_ns, output))
                self._watch(step.at_ns, output)
            elif isinstance(output, FlattenGoal) and output.active and output.attempts == 0:
                self._goal = output.code
                equity = self.books.equity
                self.journal.flattenings.append((step.at_ns, output.symbol, output.code, equity))
                told = f"equity {equity:,.0f}"
                self.events.append(Event(step.at_ns, Kind.FLATTENED, output.symbol, output.code.value, FLATTENING, told))

    def _watch(self, at_ns: int, lock: LockChanged) -> None:
        """The lock's end is looked at when it comes: its own, or an operator's review."""
        name = (lock.scope, lock.scope_key, lock.code)
        if lock.until_ns != OPERATOR_NS:
            self._waiting.pop(name, None)
            if lock.until_ns > at_ns:
                heappush(self._due, (lock.until_ns, False))
        elif name not in self._waiting and self._review_ns:
            self._waiting[name] = at_ns
            heappush(self._due, (at_ns + self._review_ns, False))


def _part(piece: Piece, steps: int) -> Piece:
    """So many steps of the piece, for their share of its fee."""
    return piece if steps == piece.steps else Piece(steps, piece.ticks, piece.fee * steps // piece.steps, piece.trade)


def _first(pieces: Sequence[Piece], steps: int) -> list[Piece]:
    """The first so many steps of the pieces."""
    found = []
    for piece in pieces:
        taken = min(steps, piece.steps)
        if taken:
            found.append(_part(piece, taken))
        steps -= taken
    return found


def closes(symbol: str, bars: Bars, contract: Contract) -> Iterator[Price]:
    """The price at the close of each bar, as ticks, at the instant at which the bar is known."""
    for opened_ns, close in zip(bars.ts_ns, bars.close, strict=True):
        ticks = contract.ticks(close)
        if ticks > 0:
            yield opened_ns + bars.gaps.interval_ns, symbol, ticks


def walk(run: Free, prices: Sequence[Iterator[Price]] = ()) -> Iterator[int]:
    """The run has met every order in order of time and seen every price between; yields how many orders it has met."""
    orders = run.past.orders
    run.look(orders[0].at_ns - 1)
    told = _within(merge(*prices, key=itemgetter(0)), orders[0].at_ns, orders[-1].at_ns)
    upcoming = next(told, None)
    for number, order in enumerate(orders):
        while upcoming is not None and upcoming[0] <= order.at_ns:
            at_ns, symbol, ticks = upcoming
            run.advance(at_ns)
            run.price(symbol, ticks, at_ns)
            if run.books.open_symbols and at_ns < order.at_ns:
                run.look(at_ns)
            upcoming = next(told, None)
        run.meet(order)
        if number + 1 == len(orders) or orders[number + 1].at_ns > order.at_ns:
            run.look(order.at_ns)
        yield number + 1
    run.journal.fees = run.books.fees


def _within(prices: Iterator[Price], start_ns: int, end_ns: int) -> Iterator[Price]:
    return (price for price in prices if start_ns < price[0] < end_ns)
