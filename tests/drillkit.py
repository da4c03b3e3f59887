"""A whole gateway in one process, on a venue that misbehaves, a disk that obeys and a clock that steps, and its audit."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interlock.adapters.paper_exchange import PaperExchange
from interlock.core.messages import Intent, MarketState, Quote
from interlock.core.permit import RESTING
from interlock.core.state import PermitRow, State, SymbolRow, is_stop
from interlock.ledger import verify
from interlock.ledger.fold import fold
from interlock.ledger.steps import read_steps
from interlock.policy import Policy
from interlock.service.app import Setting, running
from interlock.service.clock import SystemClock
from interlock.service.execution.budget import RateLimits
from interlock.service.execution.line import Patience
from interlock.service.execution.orderids import OrderIds
from interlock.service.execution.signing import Realm
from interlock.service.feeds import Rhythm
from interlock.service.gateway import Gateway
from interlock.service.home.home import Home
from interlock.service.home.starter import Choices, write_home
from interlock.service.private import write_private
from interlock.testing import journal, make_instrument, make_policy
from interlock.testing.auditor import Evidence, audit
from interlock.testing.builders import PRICES
from interlock.testing.disk import Disk
from interlock.testing.unruly import Arrival, Mischief, Unruly

IDS = OrderIds(Realm("testnet", "main", "paper"))
UNBOUNDED = RateLimits(10**9, 10**9, 10**9)
QUICK = Patience(answer_s=0.5, arrival_s=0.5, store_s=1.0, store_reducing_s=0.3, retry_first_s=0.02, retry_last_s=0.3)
"""Seconds become tenths of them: what is waited for is the same."""
PATIENT = replace(QUICK, answer_s=60.0)
"""For tests in which nobody may give up what hangs before somebody has acted on it."""

BY_HAND = "by-hand"
"""The name of an order that somebody sends past the gateway."""

BALANCE = 100_000.0
STEP = 0.0001
TICK = 0.01


class SkewedClock(SystemClock):
    """The machine's clocks, of which the wall clock can be stepped."""

    def __init__(self) -> None:
        self.skew_ns = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.skew_ns

    def step(self, seconds: float) -> None:
        self.skew_ns += round(seconds * 1e9)


def drill_policy(at_ns: int, **changes: Any) -> Policy:
    """Everything on that protects, nothing that ends the traffic: breakers for failures that a drill makes on purpose."""
    off = "off: a drill makes these on purpose"
    rules = {
        f"rules.{code}": off
        for code in ("API_ERRORS", "ORDER_FAILURES", "FAILED_TRADES", "RUNAWAY", "CONSEC_LOSS", "STOP_HIT")
    }
    usual = {
        "exits.owner": "any",
        "exits.close_patience": "1 s",
        "exits.retry_first": "0.2 s",
        "exits.retry_max": "1 s",
        "rules.ORDER_RATE.interval": "0.001 s",
        "rules.ORDER_RATE.burst": 1000,
        "rules.DAILY_LOSS.loss": "7.5 %",
        "rules.CLOCK_UNTRUSTED.venue_gap": "5 s",
    }
    return make_policy(at_ns=at_ns, changes={**rules, **usual, **changes})


class Rig:
    """
    The gateway as it runs, over one directory that outlives it.

    `exchange` is the truth, `venue` what the gateway sees of it.
    """

    venue: Unruly
    gateway: Gateway

    def __init__(
        self, place: Path, *, seed: int = 1, changes: dict[str, Any] | None = None, patience: Patience = QUICK
    ) -> None:
        self.chance = random.Random(seed)
        self.clock = SkewedClock()
        self.disk = Disk()
        self.home = Home(place / "home")
        self.paper = place / "paper.sqlite"
        self.prices = dict(PRICES)
        self.setting = Setting(self.clock, Rhythm(book_s=0.1, clock_s=0.3), UNBOUNDED, patience, {}, self.disk.writer)
        self.spent: set[int] = set()
        self.away: list[tuple[int, int]] = []
        self.arrivals: list[Arrival] = []
        self.silent = False
        self.mended: Callable[[], object] = list
        self.at_first: tuple[Mischief, ...] = ()
        if not self.paper.exists():
            now_ns = self.clock.wall_ns()
            write_home(self.home, Choices(balance=BALANCE), datetime.now(UTC))
            write_private(self.home.policy, drill_policy(now_ns, **changes or {}).to_json().encode())
            instruments = [make_instrument(symbol) for symbol in PRICES]
            PaperExchange.create(
                self.paper, account="main", balance=BALANCE, currency="USDT", instruments=instruments, fee_bps=4.0
            )
            journal.install(self.paper)

    # ---------------------------------------------------------------- running

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        """The gateway runs and has reconciled; afterwards it has stopped as it does when asked to."""
        if self.home.spent.exists():
            self.spent |= spent_in(self.home.spent)  # what is over goes at a start
        self.exchange = PaperExchange.open(self.paper)
        self.venue = Unruly(self.exchange, seed=self.chance.randrange(1 << 30), witness=self.durable_seq)
        self.venue.begin(*self.at_first)
        self.prices |= {symbol: round(ticks * TICK, 2) for symbol, ticks in journal.marks(self.paper).items()}
        await self.exchange.feed(self.quotes())
        market = asyncio.create_task(self._market())
        try:
            async with running(self.home, self.venue, self.setting) as self.gateway:
                self.tell_markets()
                if not self.at_first:
                    await self.until(self.is_informed, "the account is reconciled and prices have been heard")
                try:
                    yield self
                finally:
                    self.disk.heal()
        finally:
            market.cancel()
            await asyncio.wait([market])
            await self.exchange.close()
            self.arrivals += self.venue.arrivals

    async def _market(self) -> None:
        """Prices move, as the venue sees them."""
        while True:
            for symbol, price in self.prices.items():
                self.prices[symbol] = round(price * (1.0 + self.chance.gauss(0.0, 0.0004)), 2)
            if not self.silent:
                await self.exchange.feed(self.quotes())
            await asyncio.sleep(0.02)

    def quotes(self) -> tuple[Quote, ...]:
        now_ns = self.clock.wall_ns()
        return tuple(Quote(s, round(p - 0.01, 2), round(p + 0.01, 2), p, now_ns) for s, p in self.prices.items())

    def tell_markets(self, **changes: Any) -> None:
        """Every symbol's market state is told: an ordinary market, unless said otherwise."""
        usual = {"atr_frac": 0.01, "sigma": 0.01, "trend_strength": 0.5, "score": 0.8}
        told = {**usual, **changes}
        atr_frac = told.pop("atr_frac")
        for symbol, price in self.prices.items():
            self.gateway.tell_market(MarketState(symbol, self.clock.wall_ns(), atr=atr_frac * price, **told))

    def durable_seq(self) -> int:
        """The last record that is in the ledger's files, as somebody else reads them."""
        return next(filter(None, map(last_seq, sorted(self.home.ledger.glob("*.sqlite"), reverse=True))))

    # ---------------------------------------------------------------- what one does

    def intent(self, symbol: str, side: int, **changes: Any) -> Intent:
        now_ns = self.clock.wall_ns()
        stop = float("nan") if changes.get("reduce_only") else self.prices[symbol] * (1.0 - side * 0.05)
        fields = {"id": f"i-{now_ns}", "source": "bot", "strategy": "trend", "stop_price": stop, "created_at_ns": now_ns}
        return Intent(symbol=symbol, side=side, **{**fields, **changes})

    def closing(self, symbol: str, **changes: Any) -> Intent:
        """All that the venue holds in the symbol, by an operator unless said otherwise."""
        held = self.truth().get(symbol, 0)
        fields = {"quantity": abs(held) * STEP, "source": "operator", "reduce_only": True}
        return self.intent(symbol, -1 if held > 0 else 1, **{**fields, **changes})

    async def opened(self, symbol: str = "BTC", side: int = 1, notional: float = 1_000.0, **changes: Any) -> None:
        """A position is held, booked and protected."""
        answer = await self.gateway.submit(self.intent(symbol, side, notional=notional, **changes), hand_over=False)
        if not (answer.allowed or self.knows_its_day()):
            await self.until(self.knows_its_day, "equity is known of the day that has begun")
            answer = await self.gateway.submit(self.intent(symbol, side, notional=notional, **changes), hand_over=False)
        assert answer.allowed, answer
        await self.until(lambda: self.truth().get(symbol) and self.is_quiet(symbol), f"{symbol} is held with its stop")

    # ---------------------------------------------------------------- what one sees

    @property
    def state(self) -> State:
        return self.gateway._shell.state

    def is_informed(self) -> bool:
        heard = len(self.gateway._shell._conflater._waiting) + sum(row.mark > 0.0 for row in self.state.symbols)
        return self.state.account.reconciled == 1.0 and heard >= len(PRICES)

    def knows_its_day(self) -> bool:
        """No calendar lacks its opening equity: at midnight it does until the venue is asked again."""
        return not any(each.pending for each in self.state.calendars)

    def row(self, symbol: str) -> SymbolRow:
        return self.state.symbols[self.state.names.symbol_index[symbol]]

    def permits(self, symbol: str) -> list[PermitRow]:
        return [p for number in self.row(symbol).permits if (p := self.state.permits.get(number)) is not None]

    def held(self, symbol: str) -> float:
        """Signed base units, as the engine has it."""
        return self.row(symbol).position * STEP

    def truth(self) -> dict[str, int]:
        """Signed steps at the venue."""
        return journal.positions(self.paper)

    async def until(self, holds: Callable[[], object], what: str, timeout_s: float = 100.0) -> None:
        """It holds. What never comes fails; how long it takes is not looked at."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():  # noqa: ASYNC110 (what it waits for tells nobody)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError("\n".join([f"it never came: {what}", *self.report()])) from None

    def is_quiet(self, symbol: str) -> bool:
        """The engine's position is the venue's, and it rests behind its one stop or is flat."""
        r, held = self.row(symbol), self.truth().get(symbol, 0)
        permits = self.permits(symbol)
        working = [p for p in permits if is_stop(p) and p.state in RESTING]
        protected = len(working) == len(permits) == bool(held and r.stop_price > 0.0)
        return r.position == held and r.known == 1.0 and protected

    async def rest(self) -> None:
        """Faults are over, everything that was begun has come to its end."""
        self.venue.end()
        self.mended()
        self.disk.heal()
        self.clock.skew_ns = 0
        await self.until(self.has_come_to_rest, "the account comes to rest")

    def has_come_to_rest(self) -> bool:
        """Every symbol is quiet; the market goes to an exit that waits for a price, which else it meets by chance."""
        for symbol in PRICES:
            for p in self.permits(symbol):
                if p.state in RESTING and p.limit_price > 0.0 and not is_stop(p):
                    self.prices[symbol] = round(p.limit_price * (1.0 - p.side * 0.001), 2)
        return all(self.is_quiet(symbol) for symbol in PRICES)

    def report(self) -> list[str]:
        """What somebody wants to know who looks into a failure."""
        status = self.gateway.status()
        lines = [f"venue {self.truth()}", f"troubles {status.troubles[-10:]}", f"locks {status.locks}"]
        for symbol in PRICES:
            r = self.row(symbol)
            lines.append(f"{symbol}: position {r.position} known {r.known} goal {r.goal!r} owner {r.owner}")
            lines += [f"    {p}" for p in self.permits(symbol)]
        return [*lines, *(f"flight {flight}" for flight in self.gateway._executor.flights)]

    # ---------------------------------------------------------------- the audit

    def audited(self, *, at_rest: bool = True) -> tuple[str, ...]:
        """What an auditor finds in the files, once the gateway has stopped."""
        self.spent |= spent_in(self.home.spent)
        lines = journal.read(self.paper)
        engine = fold(self.home.ledger)
        names = engine.state.names.symbols
        evidence = Evidence(
            steps=tuple(read_steps(self.home.ledger)),
            orders=tuple(order for order in journal.orders(self.paper) if order.client_id != BY_HAND),
            fills=tuple(journal.fills(lines)),
            positions=journal.positions(self.paper),
            books={names[index]: row.position for index, row in enumerate(engine.state.symbols) if row.position},
            spent=frozenset(self.spent),
            permit_of=IDS.permit_in,
            is_direct=lambda client_id: IDS.is_ours(client_id) or client_id.startswith("panic-"),
            arrivals=tuple(self.arrivals),
            glances=tuple(journal.glances(lines, SystemClock().wall_ns())),
            ticks=dict.fromkeys(PRICES, TICK),
            away=tuple(self.away),
        )
        problems = verify(self.home.ledger, anchor=self.home.anchor).problems
        return (*audit(evidence, at_rest=at_rest), *map(str, problems))


def last_seq(segment: Path) -> int:
    """The last record in one file of the ledger; 0 in that of a day that is only just beginning."""
    with closing(sqlite3.connect(f"{segment.as_uri()}?mode=ro", uri=True)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone() is None:
            return 0
        (seq,) = connection.execute("SELECT max(seq) FROM records").fetchone()
    return int(seq or 0)


def spent_in(path: Path) -> set[int]:
    """The permits that the executor has recorded as spent."""
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT permit FROM spent")}


def drilled(place: Path, play: Callable[[Rig], Awaitable[None]], **options: Any) -> Rig:
    """The play was played on a running gateway, which then came to rest, stopped and was audited without a finding."""
    rig = Rig(place, **options)

    async def run() -> None:
        async with rig.running():
            await play(rig)
            await rig.rest()

    asyncio.run(run())
    found = rig.audited()
    assert not found, "\n".join(found[:20])
    return rig
