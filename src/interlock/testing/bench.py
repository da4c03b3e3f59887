"""An engine on a bench: its clock, the venue's side of the account, and everything that went in and came out."""

from collections.abc import Sequence
from math import nan
from typing import Any, Final

import msgspec

from interlock.core.codes import PermitState
from interlock.core.constants import NS_PER_S
from interlock.core.engine import Engine
from interlock.core.messages import (
    BlackoutSet,
    ClockChecked,
    EquityMarked,
    Executed,
    Heartbeat,
    Input,
    Intent,
    MarketBatch,
    MarketState,
    PermitIssued,
    PositionsReported,
    Spent,
    Step,
)
from interlock.core.state import State
from interlock.testing.book import Book, Price
from interlock.testing.clock import FakeClock

FEEDS: Final = frozenset({"clock", "positions", "marks", "market", "equity", "heartbeat"})
"""What a venue and an exit owner tell an engine by themselves."""

BAR_NS: Final = 3600 * NS_PER_S
"""How often market states are told: as often as bars end."""

ATR_FRAC: Final = 0.01
"""Average true range of a symbol whose market state nobody has changed, as a share of its mark."""

YEAR_NS: Final = 365 * 86_400 * NS_PER_S
"""How far a bench's calendar file reaches."""

Window = tuple[float, float]

STOP_FRAC: Final = 0.05
"""Distance from the mark of the stop that an opening intent gets unless it names one."""


class Filled(msgspec.Struct):
    """What of a permit's order has filled so far."""

    steps: int = 0
    value: float = 0.0
    fees: float = 0.0


class Bench:
    """
    One engine and its surroundings.

    `feeds` are those that speak when `refresh` is called; take one out and it falls silent. `steps` is the whole record.
    """

    def __init__(self, clock: FakeClock, book: Book, feeds: set[str]) -> None:
        self.engine = Engine()
        self.clock = clock
        self.book = book
        self.feeds = feeds
        self.steps: list[Step] = []
        self.permits: dict[int, PermitIssued] = {}
        self.filled: dict[int, Filled] = {}
        self.markets: dict[str, MarketState] = {}
        self._last_intent = 0

    def send(self, event: Input) -> Step:
        """The engine has taken the input at the present time. Raises InputInvalid as the engine does."""
        step = self.engine.step(event, self.clock.wall_ns, self.clock.mono_ns)
        self.steps.append(step)
        self.permits.update((each.id, each) for each in step.outputs if isinstance(each, PermitIssued))
        return step

    # ---------------------------------------------------------------- feeds

    def refresh(self) -> None:
        """Every feed that is not silent has told its present figures."""
        if "clock" in self.feeds:
            self.send(ClockChecked(self.clock.true_ns))
        if "positions" in self.feeds:
            self.send(PositionsReported(self.book.positions(), self._told_ns))
        if "marks" in self.feeds:
            now_ns = self.clock.true_ns
            told = [symbol for symbol in self.book.prices if self.book.is_open(symbol, now_ns)]
            self.send(MarketBatch(tuple(self.book.quote(symbol, now_ns) for symbol in told)))
        if "market" in self.feeds:
            self._tell_markets()
        self.tell_equity()
        if "heartbeat" in self.feeds:
            self.send(Heartbeat(self.engine.state.account.exit_owner))

    def _tell_markets(self) -> None:
        """Each symbol's market state was told within a bar's length."""
        for symbol, price in self.book.prices.items():
            known = self.markets.get(symbol) or MarketState(
                symbol,
                0,
                atr=ATR_FRAC * price.mark,
                p_trend=0.2,
                p_base=0.6,
                p_chop=0.2,
                label="BASE",
                sigma=0.01,
                trend_strength=0.3,
            )
            if self.clock.true_ns - known.at_ns >= BAR_NS:
                self.tell_market(known)

    def tell_market(self, state: MarketState) -> Step:
        """The symbol's market state is this one as of now, and stays so with every further bar."""
        self.markets[state.symbol] = msgspec.structs.replace(state, at_ns=self._told_ns)
        return self.send(self.markets[state.symbol])

    def tell_windows(
        self, symbol: str, *, opening: Sequence[Window] = (), flat: Sequence[Window] = (), closing: Sequence[Window] = ()
    ) -> Step:
        """In these windows of the symbol, from and until in seconds from now, that is forbidden; all of a year is known."""
        now_ns = self.clock.true_ns
        intervals, no_opening, no_holding = (
            tuple((now_ns + round(start * NS_PER_S), now_ns + round(end * NS_PER_S)) for start, end in windows)
            for windows in (closing, opening, flat)
        )
        return self.send(BlackoutSet(symbol, intervals, no_opening, no_holding, now_ns + YEAR_NS))

    @property
    def _told_ns(self) -> int:
        """Now as the engine believes it: it takes no report from the future."""
        return min(self.clock.true_ns, max(self.engine.state.account.now_ns, self.clock.wall_ns))

    def tell_equity(self) -> None:
        """The venue has told equity and balance, unless that feed is silent."""
        if "equity" in self.feeds:
            self.send(EquityMarked(self.book.equity, self.book.balance, self.clock.true_ns))

    def pass_until(self, true_ns: int) -> None:
        """
        Time has passed. The feeds spoke at the end, and whenever on the way the passing of time could matter.

        That is a second before each calendar's boundary, and when the engine itself would look again.
        """
        while (edge := self._edge_before(true_ns)) < true_ns:
            self.clock.advance_to(edge)
            self.refresh()
        self.clock.advance_to(true_ns)
        self.refresh()

    def _edge_before(self, true_ns: int) -> int:
        """The next instant at which the feeds had better speak, `true_ns` at the latest."""
        state = self.engine.state
        wake_ns = state.account.wake_ns
        following = (row.instants_ns[row.next] for row in state.calendars if row.next < len(row.instants_ns))
        edges = (wake_ns - NS_PER_S, wake_ns, *(edge - NS_PER_S for edge in following))
        return min((edge for edge in edges if edge > self.clock.true_ns), default=true_ns)

    def mark(self, symbol: str, mark: float, **changes: float) -> Step:
        """The market has moved: the quote is told, and so is equity unless that feed is silent."""
        half = abs(self.book.prices[symbol].ask - self.book.prices[symbol].bid) / 2
        fields = {"bid": mark - half, "ask": mark + half, "rate": self.book.prices[symbol].rate, **changes}
        self.book.prices[symbol] = Price(mark=mark, **fields)
        step = self.send(MarketBatch((self.book.quote(symbol, self.clock.true_ns),)))
        self.book.prices[symbol].high = self.book.prices[symbol].low = nan
        self.tell_equity()
        return step

    # ---------------------------------------------------------------- intents and orders

    def intent(self, symbol: str, side: int, **changes: Any) -> Intent:
        """
        An intent of "bot" for "trend" made now, with a fresh id; not sent yet.

        It carries a stop 5 % from the mark unless it only reduces or names its own (NaN is none).
        """
        self._last_intent += 1
        mark = self.book.prices[symbol].mark if symbol in self.book.prices else nan
        stop = nan if changes.get("reduce_only") else mark * (1.0 - side * STOP_FRAC)
        fields = {"id": f"intent-{self._last_intent}", "source": "bot", "strategy": "trend", "stop_price": stop}
        fields["created_at_ns"] = self.clock.true_ns
        return Intent(symbol=symbol, side=side, **{**fields, **changes})

    def fill(self, permit: int, steps: int | None = None, price: float = nan, fee: float = 0.0) -> Step:
        """
        The permit's order has filled so many steps in all, the last of them at `price` (the mark) and for `fee`.

        Without `steps` it has filled whole. It is spent first if nobody did.
        """
        issued = self.permits[permit]
        total = issued.steps if steps is None else steps
        self._spend(permit)
        return self.result(permit, PermitState.FILLED if total >= issued.steps else PermitState.PARTIAL, total, price, fee)

    def _spend(self, permit: int) -> None:
        row = self.engine.state.permits.get(permit)
        if row is not None and row.state == PermitState.ISSUED:
            self.send(Spent(permit, self.permits[permit].epoch))

    def result(
        self, permit: int, state: PermitState, steps: int = 0, price: float = nan, fee: float = 0.0, *, benign: bool = False
    ) -> Step:
        """The venue has said what became of the order; `steps` in all, of which what is new filled at `price`."""
        issued = self.permits[permit]
        done = self.filled.setdefault(permit, Filled())
        price = price if price == price else self.book.prices[issued.symbol].mark
        instrument = self.book.instruments[issued.symbol]
        fresh = max(steps - done.steps, 0)
        if fresh:
            self.book.fill(issued.symbol, issued.side, fresh, price, fee)
            done.steps, done.fees = steps, done.fees + fee
            done.value += instrument.quantity(fresh) * instrument.value(price)
        step = self.send(Executed(permit, state, steps, done.value, done.fees, self.clock.true_ns, benign=benign))
        if fresh:
            self.tell_equity()
        return step

    # ---------------------------------------------------------------- the record

    def folded(self) -> Engine:
        """A new engine that has folded the record, as after a restart."""
        engine = Engine()
        for step in self.steps:
            engine.fold(step)
        return engine


def picture(state: State) -> bytes:
    """All of a state in bytes: equal for states that are equal, NaN included."""
    tables = (state.symbols, state.strategies, state.calendars, state.permits.live.values(), state.intents.rows.items())
    rest = (state.open_rows, state.instruments, state.policy, state.names.symbols, state.names.strategies)
    return msgspec.msgpack.encode((state.account, *(list(table) for table in tables), *rest, state.names.sources))
