"""
A slow, obvious model of an account, against which the engine's own accounting is held.

It keeps everything that ever happened in one list and works every answer out from that list, in fractions, with no
running totals. It knows the vocabulary of messages and nothing of the engine: what it says follows from the written
rules alone. Numbers are read as the decimals they print as; None is unknown.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, wraps
from math import isnan
from typing import Concatenate, ParamSpec, TypeVar, cast

from interlock.core.codes import Code, PermitState
from interlock.core.instrument import Instrument
from interlock.core.limits import Limits
from interlock.core.messages import (
    AccountOpened,
    CalendarSet,
    CashFlow,
    EquityMarked,
    Executed,
    InstrumentSet,
    MarketBatch,
    Message,
    PermitIssued,
    PermitRevoked,
    PositionsReported,
    Quote,
    Rebased,
)

NS = 1_000_000_000
MICRO = Fraction(1, 1_000_000)
NEUTRAL = Fraction(5, 100)
OVER = {PermitState.FILLED, PermitState.CANCELLED, PermitState.REJECTED, PermitState.EXPIRED, PermitState.REVOKED}
CAPITAL = ("deposit", "withdrawal", "payout")
LOSSES = (
    Code.DAILY_LOSS,
    Code.WEEKLY_LOSS,
    Code.DRAWDOWN,
    Code.TOTAL_DRAWDOWN,
    Code.EQUITY_GUARD,
    Code.EMERGENCY_FLATTEN,
)


@cache
def exact(number: float) -> Fraction:
    """The number a person sees when it is printed."""
    return Fraction(repr(float(number)))


def cents(money: Fraction) -> Fraction:
    """Money rounded to a millionth, as every comparison of money sees it."""
    return round(money / MICRO) * MICRO


def worth(instrument: Instrument, price: float | Fraction) -> Fraction:
    """What one base unit is worth in settlement currency: growing with the price, negative for inverse contracts."""
    at = price if isinstance(price, Fraction) else exact(price)
    multiplier = exact(instrument.multiplier)
    return -multiplier / at if instrument.inverse else multiplier * at


def price_of(instrument: Instrument, value: Fraction) -> Fraction:
    """The price at which one base unit is worth `value`."""
    multiplier = exact(instrument.multiplier)
    return -multiplier / value if instrument.inverse else value / multiplier


Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


def remembered(
    question: Callable[Concatenate["Account", Asked], Answer],
) -> Callable[Concatenate["Account", Asked], Answer]:
    """The question, answered once for each symbol and each length of history: the past does not change."""

    @wraps(question)
    def ask(account: "Account", /, *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        asked = [each for each in (*args, *kwargs.values()) if each is not None]
        upto = () if asked and isinstance(asked[-1], int) else (len(account.history),)
        key = (question.__name__, *asked, *upto)
        if key not in account.answers:
            account.answers[key] = question(account, *args, **kwargs)
        return cast(Answer, account.answers[key])

    return ask


# ---------------------------------------------------------------- fills and trades


@dataclass(frozen=True)
class Fill:
    """What one result added: signed steps, their value in settlement currency, fees in account currency."""

    order: int
    symbol: str
    permit: int
    steps: int
    value: Fraction
    fees: Fraction
    rate: Fraction
    stop: float


@dataclass(frozen=True)
class Cost:
    """Funding, swap or a fee of a symbol, signed for the account."""

    order: int
    symbol: str
    amount: Fraction


@dataclass
class Trade:
    """One episode from flat to flat; `closed` is the number of the entry that closed it, None while it is open."""

    symbol: str
    side: int
    steps: int = 0
    largest: int = 0
    entry_value: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    paid: Fraction = Fraction(0)
    risk: Fraction | None = Fraction(0)
    closed: int | None = None

    @property
    def pnl(self) -> Fraction:
        """Net of fees and funding, in account currency."""
        return self.realised + self.paid

    @property
    def outcome(self) -> str:
        """Win, loss or neutral; without a known risk only exactly nothing is neutral."""
        if self.pnl == 0 or (self.risk is not None and abs(self.pnl) < NEUTRAL * self.risk):
            return "neutral"
        return "win" if self.pnl > 0 else "loss"


def enter(trade: Trade, instrument: Instrument, fill: Fill, steps: int) -> None:
    """Add `steps` of a fill to a trade, with their share of value, fees and risk at the stop."""
    share = Fraction(steps, abs(fill.steps))
    trade.steps += steps
    trade.largest = max(trade.largest, trade.steps)
    trade.entry_value += fill.value * share
    trade.paid -= fill.fees * share
    if isnan(fill.stop) or trade.risk is None:
        trade.risk = None
        return
    quantity = steps * exact(instrument.step)
    trade.risk += abs(fill.value * share - worth(instrument, fill.stop) * quantity) * fill.rate


def leave(trade: Trade, fill: Fill, steps: int) -> None:
    """Take `steps` out of a trade at a fill's price; the average entry of what remains does not change."""
    share = Fraction(steps, abs(fill.steps))
    cost = trade.entry_value * Fraction(steps, trade.steps)
    trade.realised += trade.side * (fill.value * share - cost) * fill.rate
    trade.paid -= fill.fees * share
    trade.entry_value -= cost
    trade.steps -= steps
    if trade.steps == 0:
        trade.closed = fill.order


def trades_of(instrument: Instrument, events: Iterable[Fill | Cost]) -> list[Trade]:
    """All trades of one symbol, oldest first, from its fills and costs in the order they became known."""
    trades: list[Trade] = []
    for event in events:
        now = trades[-1] if trades and trades[-1].closed is None else None
        if isinstance(event, Cost):
            if now is not None:
                now.paid += event.amount
            continue
        side = 1 if event.steps > 0 else -1
        rest = abs(event.steps)
        if now is not None and now.side != side:
            out = min(rest, now.steps)
            leave(now, event, out)
            rest -= out
        if rest:
            if now is None or now.side != side:
                now = Trade(instrument.symbol, side)
                trades.append(now)
            enter(now, instrument, event, rest)
    return trades


# ---------------------------------------------------------------- reservations


@dataclass(frozen=True)
class Reservation:
    """Where the steps of one permit are: issued = reserved + settled + released."""

    permit: PermitIssued
    settled: int
    over: bool

    @property
    def reserved(self) -> int:
        return 0 if self.over else self.permit.steps - self.settled

    @property
    def released(self) -> int:
        return self.permit.steps - self.settled if self.over else 0


# ---------------------------------------------------------------- exposure


@dataclass(frozen=True)
class Exposure:
    """Notional in account currency: held at the mark, reserved openings at the worst price they allow."""

    symbol: dict[str, Fraction]
    strategy: dict[str, Fraction]
    gross: Fraction
    net: Fraction
    pending_buy: Fraction
    pending_sell: Fraction
    position_count: int


@dataclass(frozen=True)
class Figure:
    """Guard equity and booked balance at one plausible instant; `told_ns` is the venue's time of its part in it."""

    order: int
    at_ns: int
    told_ns: int
    equity: Fraction
    balance: Fraction
    fresh: bool


@dataclass(frozen=True)
class Opening:
    """A period's references; `how` is exact, shadow or pending."""

    start_ns: int
    equity: Fraction | None
    balance: Fraction | None
    how: str


@dataclass(frozen=True)
class Verdict:
    """Whether a loss limit is broken, by each source alone."""

    own: bool | None
    venue: bool | None


@dataclass(frozen=True)
class Entry:
    at_ns: int
    event: Message


# ---------------------------------------------------------------- the account


@dataclass
class Account:
    """
    One account as its history tells it.

    Questions take `upto`, how many entries of the history to look at; without it, all of them.
    """

    limits: Limits
    history: list[Entry] = field(default_factory=list)
    known: list[Figure | None] = field(default_factory=list)
    factors: dict[int, Fraction] = field(default_factory=dict)
    answers: dict[tuple[object, ...], object] = field(default_factory=dict)
    verdicts: list[dict[Code, Verdict]] = field(default_factory=list)
    references: list[dict[Code, Fraction | None]] = field(default_factory=list)

    def record(self, at_ns: int, event: Message) -> None:
        """
        Append what happened, and note what is of that instant alone: figure, factor, verdicts.

        The past does not change, so none of them is ever worked out again.
        """
        self.history.append(Entry(at_ns, event))
        if isinstance(event, CashFlow) and event.kind in CAPITAL:
            self.factors[len(self.history) - 1] = self.factor(len(self.history) - 1, event)
        self.known.append(self.figure_at(len(self.history)))
        self.references.append(self.reference_of_each())
        self.verdicts.append(self.verdict())

    def seen(self, upto: int | None) -> Sequence[Entry]:
        return self.history if upto is None else self.history[:upto]

    # -------------------------------------------------------- market

    def instruments(self) -> dict[str, Instrument]:
        return {
            entry.event.instrument.symbol: entry.event.instrument
            for entry in self.history
            if isinstance(entry.event, InstrumentSet)
        }

    @remembered
    def quotes(self, symbol: str, upto: int | None = None) -> list[tuple[int, Quote]]:
        return [
            (entry.at_ns, quote)
            for entry in self.seen(upto)
            if isinstance(entry.event, MarketBatch)
            for quote in entry.event.quotes
            if quote.symbol == symbol
        ]

    @remembered
    def marks(self, symbol: str, upto: int | None = None) -> list[tuple[int, Fraction]]:
        """
        The accepted marks.

        One outside the collar around bid and ask, or too far from the last accepted one, waits for a second that
        agrees with it.
        """
        accepted: list[tuple[int, Fraction]] = []
        suspect: Fraction | None = None
        for at, quote in self.quotes(symbol, upto):
            if not (quote.bid > 0 and quote.ask >= quote.bid and quote.mark > 0):
                continue
            mark = exact(quote.mark)
            collar = exact(self.limits.collar_frac_max) * mark
            jump = exact(self.limits.mark_jump_frac_max)
            inside = exact(quote.bid) - collar <= mark <= exact(quote.ask) + collar
            near = not accepted or abs(mark - accepted[-1][1]) <= jump * accepted[-1][1]
            agreed = suspect is not None and abs(mark - suspect) <= jump * suspect
            if inside and (near or agreed):
                accepted.append((at, mark))
                suspect = None
            else:
                suspect = mark
        return accepted

    @remembered
    def rate(self, symbol: str, upto: int | None = None) -> Fraction | None:
        """Settlement currency in account currency: the last one told."""
        told = [quote.rate for _, quote in self.quotes(symbol, upto) if not isnan(quote.rate)]
        return exact(told[-1]) if told else None

    # -------------------------------------------------------- permits, fills, trades

    @remembered
    def permits(self, upto: int | None = None) -> dict[int, PermitIssued]:
        return {e.event.id: e.event for e in self.seen(upto) if isinstance(e.event, PermitIssued)}

    def results(self, permit: int, upto: int | None = None) -> list[Executed]:
        return [e.event for e in self.seen(upto) if isinstance(e.event, Executed) and e.event.permit == permit]

    def reservation(self, permit: int, upto: int | None = None) -> Reservation:
        """A permit that has ended once stays ended; what turns out to have filled later was filled all the same."""
        results = self.results(permit, upto)
        revoked = any(isinstance(e.event, PermitRevoked) and e.event.permit == permit for e in self.seen(upto))
        issued = self.permits(upto)[permit]
        settled = max((result.filled_steps for result in results), default=0)
        return Reservation(issued, settled, revoked or any(result.state in OVER for result in results))

    @remembered
    def news(self, upto: int | None = None) -> list[Fill | Cost]:
        """
        Everything that touched a trade, in the order in which it became known.

        Results are cumulative: only one that knows more steps than all before it says anything new.
        """
        news: list[Fill | Cost] = []
        permits = self.permits(upto)
        for index, entry in enumerate(self.seen(upto)):
            event = entry.event
            if isinstance(event, Executed):
                news += self.added(permits[event.permit], event, index)
            elif isinstance(event, CashFlow) and event.symbol and event.kind not in CAPITAL:
                news.append(Cost(index, event.symbol, exact(event.amount)))
        return news

    def added(self, permit: PermitIssued, result: Executed, index: int) -> list[Fill]:
        """What the result at `index` says beyond every earlier result of its permit."""
        steps, value, fees = 0, Fraction(0), Fraction(0)
        for earlier in self.results(permit.id, index):
            if earlier.filled_steps > steps:
                steps, value, fees = earlier.filled_steps, exact(earlier.filled_value), exact(earlier.fees)
        more = result.filled_steps - steps
        if more <= 0:
            return []
        rate = self.rate(permit.symbol, index)
        assert rate is not None, "a fill before its conversion rate"
        value, fees = exact(result.filled_value) - value, exact(result.fees) - fees
        return [Fill(index, permit.symbol, permit.id, permit.side * more, value, fees, rate, permit.stop_price)]

    def fills(self, symbol: str, upto: int | None = None) -> list[Fill]:
        return [news for news in self.news(upto) if isinstance(news, Fill) and news.symbol == symbol]

    @remembered
    def trades(self, symbol: str, upto: int | None = None) -> list[Trade]:
        return trades_of(self.instruments()[symbol], [news for news in self.news(upto) if news.symbol == symbol])

    def open_trade(self, symbol: str, upto: int | None = None) -> Trade | None:
        trades = self.trades(symbol, upto)
        return trades[-1] if trades and trades[-1].closed is None else None

    def position(self, symbol: str, upto: int | None = None) -> int:
        """Signed steps held: the sum of the fills."""
        return sum(fill.steps for fill in self.fills(symbol, upto))

    def entry(self, symbol: str, upto: int | None = None) -> Fraction | None:
        """Average entry price of what is held, None when flat."""
        trade = self.open_trade(symbol, upto)
        if trade is None:
            return None
        instrument = self.instruments()[symbol]
        return price_of(instrument, trade.entry_value / (trade.steps * exact(instrument.step)))

    # -------------------------------------------------------- winning and losing

    def closed_trades(self, upto: int | None = None) -> list[Trade]:
        """Closed trades of all symbols in the order in which they closed."""
        closed = [(t.closed, t) for s in self.instruments() for t in self.trades(s, upto) if t.closed is not None]
        return [trade for _, trade in sorted(closed, key=lambda pair: pair[0])]

    def streaks(self, upto: int | None = None) -> tuple[int, int]:
        """
        Losing trades in a row: as the lock counts them, which starts again whenever it locks, and since the last win.

        A neutral trade neither lengthens nor ends a streak.
        """
        lock = since_win = 0
        for trade in self.closed_trades(upto):
            if trade.outcome == "win":
                lock = since_win = 0
            elif trade.outcome == "loss":
                lock, since_win = lock + 1, since_win + 1
                if lock >= self.limits.consec_loss_count_max:
                    lock = 0
        return lock, since_win

    # -------------------------------------------------------- money

    def initial(self) -> Fraction:
        return next(exact(e.event.initial_balance) for e in self.history if isinstance(e.event, AccountOpened))

    def flows(self, upto: int | None = None) -> list[tuple[int, CashFlow]]:
        return [(i, e.event) for i, e in enumerate(self.seen(upto)) if isinstance(e.event, CashFlow)]

    @remembered
    def booked(self, upto: int | None = None) -> Fraction:
        """What the balance has to be: the start, all realised P&L less fees, all flows."""
        total = self.initial() + sum(exact(flow.amount) for _, flow in self.flows(upto))
        for symbol in self.instruments():
            total += sum(trade.realised for trade in self.trades(symbol, upto))
            total -= sum(fill.fees for fill in self.fills(symbol, upto))
        return total

    def open_pnl(self, upto: int | None = None) -> Fraction | None:
        """Open P&L at the last accepted marks, None where one is missing."""
        total = Fraction(0)
        for symbol, instrument in self.instruments().items():
            trade = self.open_trade(symbol, upto)
            if trade is None:
                continue
            marks, rate = self.marks(symbol, upto), self.rate(symbol, upto)
            if not marks or rate is None:
                return None
            quantity = trade.steps * exact(instrument.step)
            total += trade.side * (worth(instrument, marks[-1][1]) * quantity - trade.entry_value) * rate
        return total

    @remembered
    def own_equity(self, upto: int | None = None) -> Fraction | None:
        pnl = self.open_pnl(upto)
        return None if pnl is None else self.booked(upto) + pnl

    @remembered
    def venue_report(self, upto: int | None = None) -> EquityMarked | None:
        """The newest report by the venue's own time; one that arrives after a newer one changes nothing."""
        reports = [e.event for e in self.seen(upto) if isinstance(e.event, EquityMarked)]
        newest: EquityMarked | None = None
        for report in reports:
            if newest is None or report.at_ns >= newest.at_ns:
                newest = report
        return newest

    def venue_equity(self, upto: int | None = None) -> Fraction | None:
        report = self.venue_report(upto)
        return None if report is None or isnan(report.equity) else exact(report.equity)

    def unexplained(self, upto: int | None = None) -> Fraction | None:
        """Venue balance less what was booked when the venue told it."""
        found: Fraction | None = None
        newest = 0
        for index, entry in enumerate(self.seen(upto)):
            event = entry.event
            if isinstance(event, EquityMarked) and event.at_ns >= newest and not isnan(event.balance):
                found, newest = exact(event.balance) - self.booked(index), event.at_ns
        return found

    def gap(self, upto: int | None = None) -> Fraction | None:
        """How far the two sources are apart, as a share of the larger; None unless both are known and > 0."""
        own, venue = self.own_equity(upto), self.venue_equity(upto)
        if own is None or venue is None or own <= 0 or venue <= 0:
            return None
        return abs(own - venue) / max(own, venue)

    def equity(self, upto: int | None = None) -> Fraction | None:
        """What guards use: the smaller of the two sources."""
        own, venue = self.own_equity(upto), self.venue_equity(upto)
        return None if own is None or venue is None else min(own, venue)

    def plausible(self, upto: int | None = None) -> bool:
        gap = self.gap(upto)
        return gap is not None and gap <= exact(self.limits.equity_gap_frac_max)

    # -------------------------------------------------------- references

    def factor(self, index: int, flow: CashFlow) -> Fraction:
        """By how much the flow at `index` moved every reference: equity after over equity before."""
        before = self.own_equity(index)
        assert before is not None, "a flow while equity is unknown"
        assert before > 0
        return (before + exact(flow.amount)) / before

    def moved(self, figure: Fraction, since: int, upto: int | None = None) -> Fraction:
        """A figure as of entry `since`, moved by every flow after it."""
        end = len(self.seen(upto))
        for index, factor in self.factors.items():
            if since <= index < end:
                figure *= factor
        return figure

    def age_ok(self, then_ns: int, at_ns: int, limit_s: float) -> bool:
        return at_ns - then_ns <= exact(limit_s) * NS

    def fresh_at(self, at_ns: int, upto: int) -> bool:
        """The venue's figure is young enough, and so is the mark of everything held."""
        report = self.venue_report(upto)
        if report is None or not self.age_ok(report.at_ns, at_ns, self.limits.equity_age_s_max):
            return False
        return self.book_fresh(at_ns, upto)

    def book_fresh(self, at_ns: int, upto: int) -> bool:
        """The mark of everything held is young enough."""
        held = [symbol for symbol in self.instruments() if self.position(symbol, upto)]
        return all(self.age_ok(self.marks(s, upto)[-1][0], at_ns, self.limits.mark_age_s_max) for s in held)

    def figure_at(self, upto: int) -> Figure | None:
        if not any(isinstance(e.event, AccountOpened) for e in self.seen(upto)):
            return None
        equity, report = self.equity(upto), self.venue_report(upto)
        if equity is None or report is None or not self.plausible(upto):
            return None
        at = self.history[upto - 1].at_ns
        return Figure(upto, at, report.at_ns, equity, self.booked(upto), self.fresh_at(at, upto))

    def figures(self, upto: int | None = None) -> list[Figure]:
        """Guard equity after every entry at which it was plausible."""
        return [figure for figure in (self.known if upto is None else self.known[:upto]) if figure is not None]

    def last_rebase(self, upto: int | None = None) -> int:
        """How many entries there were when an operator last took a new reference, 0 if never."""
        return max((i + 1 for i, e in enumerate(self.seen(upto)) if isinstance(e.event, Rebased)), default=0)

    def initial_reference(self, upto: int | None = None) -> Fraction:
        """The initial balance moved by every flow."""
        return self.moved(self.initial(), 0, upto)

    @remembered
    def peak(self, upto: int | None = None) -> Fraction | None:
        """The high-water mark: the highest fresh and plausible figure since the start or an operator's rebase."""
        since = self.last_rebase(upto)
        highs = [self.moved(f.equity, f.order, upto) for f in self.figures(upto) if f.fresh and f.order >= since]
        return max(highs, default=None)

    # -------------------------------------------------------- periods

    def calendar(self, name: str, upto: int | None = None) -> tuple[int, ...]:
        sets = [e.event for e in self.seen(upto) if isinstance(e.event, CalendarSet) and e.event.name == name]
        return sets[-1].instants_ns if sets else ()

    def venue_open(self, at_ns: int) -> bool:
        """Whether any instrument trades at that instant."""
        return any(
            not instrument.sessions or any(begin <= at_ns < end for begin, end in instrument.sessions)
            for instrument in self.instruments().values()
        )

    def opening(self, name: str, now_ns: int) -> Opening | None:
        """
        The references of the period that contains `now_ns`.

        Exact: the last figure, if it was fresh at the instant or the venue was closed then. Shadow: per figure, the
        larger of the last before and the first fresh one that the venue told after. Pending: none has come yet.
        """
        instants = self.calendar(name)
        current = bisect_right(instants, now_ns)
        if current == 0:
            return None
        start = instants[current - 1]
        before = [figure for figure in self.figures() if figure.at_ns < start]
        after = [figure for figure in self.figures() if figure.fresh and figure.told_ns >= start]
        if before and (self.fresh_at(start, before[-1].order) or not self.venue_open(start)):
            return self.taken(start, before[-1:], "exact")
        if not after:
            return Opening(start, None, None, "pending")
        return self.taken(start, before[-1:] + after[:1], "shadow" if before else "exact")

    def taken(self, start: int, candidates: list[Figure], how: str) -> Opening:
        return Opening(
            start,
            max(self.moved(figure.equity, figure.order) for figure in candidates),
            max(self.moved(figure.balance, figure.order) for figure in candidates),
            how,
        )

    # -------------------------------------------------------- losses

    def reference(self, code: Code) -> Fraction | None:
        if code in (Code.DAILY_LOSS, Code.WEEKLY_LOSS):
            opening = self.opening("day" if code is Code.DAILY_LOSS else "week", self.history[-1].at_ns)
            return opening.equity if opening is not None else None
        return self.initial_reference() if code is Code.EQUITY_GUARD else self.peak()

    def reference_of_each(self) -> dict[Code, Fraction | None]:
        """What each loss limit is measured against now, None while it is unknown."""
        if not any(isinstance(entry.event, AccountOpened) for entry in self.history):
            return dict.fromkeys(LOSSES)
        return {code: self.reference(code) for code in LOSSES}

    def verdict(self) -> dict[Code, Verdict]:
        """
        What each source says of each loss limit now.

        The own one is silent while a mark it needs is stale, the venue's while its figure is.
        """
        if not any(isinstance(entry.event, AccountOpened) for entry in self.history):
            return dict.fromkeys(LOSSES, Verdict(None, None))
        now_ns, report = self.history[-1].at_ns, self.venue_report()
        told = report is not None and self.age_ok(report.at_ns, now_ns, self.limits.equity_age_s_max)
        own = self.own_equity() if self.book_fresh(now_ns, len(self.history)) else None
        venue = self.venue_equity() if told else None
        return {
            code: Verdict(broken(code, own, reference, self.limits), broken(code, venue, reference, self.limits))
            for code, reference in self.references[-1].items()
        }

    def proven(self, code: Code) -> bool:
        """
        Both sources say that the limit is broken, or the own one does for long enough and over enough marks.

        The venue's figure alone proves nothing, and one that is implausible confirms nothing.
        """
        now = self.verdicts[-1][code]
        if now.own is not True:
            return False
        return (now.venue is True and self.plausible()) or self.own_alone(code)

    def own_alone(self, code: Code) -> bool:
        """The own estimate has been beyond the limit on enough accepted marks, over enough time, without a break."""
        marks: list[int] = []
        for index in range(len(self.history) - 1, -1, -1):
            if self.verdicts[index][code].own is not True:
                break
            if self.accepts(index):
                marks.append(self.history[index].at_ns)
        limits = self.limits
        return (
            len(marks) >= limits.confirm_mark_count_min
            and marks[0] - marks[-1] >= exact(limits.confirm_s_min) * NS
            and self.reconciled()
        )

    def accepts(self, index: int) -> bool:
        """Whether the entry at `index` brought an accepted mark."""
        return any(len(self.marks(s, index + 1)) > len(self.marks(s, index)) for s in self.instruments())

    def reconciled(self) -> bool:
        """No order's fate is unknown, and the venue's last word on positions is young, agrees, and knows every fill."""
        reports = [(i, e) for i, e in enumerate(self.history) if isinstance(e.event, PositionsReported)]
        if not reports or self.unknown():
            return False
        index, entry = reports[-1]
        assert isinstance(entry.event, PositionsReported)
        told = {position.symbol: position.steps for position in entry.event.positions if position.steps}
        ours = {symbol: self.position(symbol, index) for symbol in self.instruments() if self.position(symbol, index)}
        filled = any(
            self.history[fill.order].at_ns > entry.event.at_ns
            for symbol in self.instruments()
            for fill in self.fills(symbol)
        )
        young = self.age_ok(entry.event.at_ns, self.history[-1].at_ns, self.limits.reconciled_age_s_max)
        return told == ours and young and not filled

    def unknown(self) -> bool:
        """The venue's last word on some order that has not ended is that its fate is unknown."""
        alive = [permit for permit in self.permits() if not self.reservation(permit).over and self.results(permit)]
        return any(self.results(permit)[-1].state == PermitState.UNKNOWN for permit in alive)

    # -------------------------------------------------------- exposure

    def pending(self, upto: int | None = None) -> list[tuple[PermitIssued, Fraction]]:
        """
        Opening permits with something reserved, and its notional at the worst price.

        Worst is what makes the most notional of the limit price and the mark at issue: an order may fill at either.
        """
        found: list[tuple[PermitIssued, Fraction]] = []
        for index, entry in enumerate(self.seen(upto)):
            permit = entry.event
            if not isinstance(permit, PermitIssued) or permit.reduce_only:
                continue
            steps = self.reservation(permit.id, upto).reserved
            marks, rate = self.marks(permit.symbol, index), self.rate(permit.symbol, index)
            if steps and rate is not None:
                instrument = self.instruments()[permit.symbol]
                prices = [exact(permit.limit_price), *[mark for _, mark in marks[-1:]]]
                worst = max(abs(worth(instrument, price)) for price in prices)
                found.append((permit, worst * steps * exact(instrument.step) * rate))
        return found

    def held(self, upto: int | None = None) -> dict[str, Fraction]:
        """Signed notional of every open position, at its last accepted mark."""
        found: dict[str, Fraction] = {}
        for symbol, instrument in self.instruments().items():
            steps = self.position(symbol, upto)
            if not steps:
                continue
            rate = self.rate(symbol, upto)
            assert rate is not None
            mark = self.marks(symbol, upto)[-1][1]
            found[symbol] = abs(worth(instrument, mark)) * exact(instrument.step) * steps * rate
        return found

    def owner(self, symbol: str, upto: int | None = None) -> str:
        """The strategy of the last opening permit."""
        openings = [p for p in self.permits(upto).values() if p.symbol == symbol and not p.reduce_only]
        return openings[-1].strategy if openings else ""

    def exposure(self, upto: int | None = None) -> Exposure:
        held, pending = self.held(upto), self.pending(upto)
        symbols: dict[str, Fraction] = {symbol: abs(notional) for symbol, notional in held.items()}
        for permit, notional in pending:
            symbols[permit.symbol] = symbols.get(permit.symbol, Fraction(0)) + notional
        strategies: dict[str, Fraction] = {}
        for symbol, notional in symbols.items():
            owner = self.owner(symbol, upto)
            strategies[owner] = strategies.get(owner, Fraction(0)) + notional
        zero = Fraction(0)
        return Exposure(
            symbols,
            strategies,
            sum(symbols.values(), zero),
            sum(held.values(), zero),
            sum((notional for permit, notional in pending if permit.side > 0), zero),
            sum((notional for permit, notional in pending if permit.side < 0), zero),
            len(symbols),
        )


# ---------------------------------------------------------------- when a loss limit is broken


def broken(code: Code, equity: Fraction | None, reference: Fraction | None, limits: Limits) -> bool | None:
    """
    Whether equity is beyond what the reference allows, None while either is unknown or the reference is not > 0.

    Both sides are rounded to a millionth. On the line is safe, except for the equity guard, where it is broken.
    """
    if equity is None or reference is None or reference <= 0:
        return None
    if code is Code.EQUITY_GUARD:
        return cents(equity) <= cents(reference * exact(limits.equity_floor_frac_min))
    allowed: dict[Code, Callable[[], float]] = {
        Code.DAILY_LOSS: lambda: limits.day_loss_frac_max,
        Code.WEEKLY_LOSS: lambda: limits.week_loss_frac_max,
        Code.DRAWDOWN: lambda: limits.drawdown_frac_max,
        Code.TOTAL_DRAWDOWN: lambda: limits.total_drawdown_frac_max,
        Code.EMERGENCY_FLATTEN: lambda: limits.emergency_drawdown_frac_max,
    }
    return cents(equity) < cents(reference * (1 - exact(allowed[code]())))
