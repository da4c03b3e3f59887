"""A whole gateway in front of a paper venue that may misbehave, in a home as `interlock init` leaves it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from math import nan
from pathlib import Path
from typing import Any

from interlock.adapters.paper_exchange import PaperExchange
from interlock.core.codes import PermitState
from interlock.core.instrument import Instrument
from interlock.core.messages import Intent, Quote
from interlock.service.app import Setting, running
from interlock.service.clock import SystemClock
from interlock.service.execution.budget import RateLimits
from interlock.service.execution.line import Patience
from interlock.service.feeds import Rhythm
from interlock.service.gateway import Gateway
from interlock.service.home.home import Home
from interlock.service.home.starter import STRATEGY, Choices, Style, write_home
from interlock.testing.disk import Disk
from interlock.testing.unruly import Unruly

GOLD = "XAUUSD"
PRICES = {GOLD: 4000.0, "EURUSD": 1.1}
SOON_S = 100.0
"""How long a test waits for what must come; it never waits that long."""

_COUNT = count()
HASTY = Patience(answer_s=0.5, arrival_s=0.3, store_s=5.0, store_reducing_s=0.1, retry_first_s=0.02, retry_last_s=0.1)


class Premises:
    """A home, its account at the paper venue, and a disk for its ledger."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path / "home")
        self.disk = Disk()
        self.threads = set(threading.enumerate())
        self.policy = write_home(self.home, Choices(balance=100_000.0, style=Style.CAREFUL), datetime.now(UTC))
        PaperExchange.create(
            self.home.paper,
            account="main",
            balance=100_000.0,
            currency="USD",
            instruments=[
                Instrument(GOLD, "paper", "USD", step=0.01, tick=0.01, min_notional=1.0),
                Instrument("EURUSD", "paper", "USD", step=100.0, tick=0.00001, min_notional=1.0),
            ],
            fee_bps=1.0,
        )
        self.venue = Unruly(PaperExchange.open(self.home.paper, "main"))

    def setting(self, **changes: Any) -> Setting:
        """Production, but for waits that a test can afford."""
        usual: dict[str, Any] = {
            "clock": SystemClock(),
            "rhythm": Rhythm(book_s=0.05, clock_s=0.5),
            "rates": RateLimits(weight_per_minute=10**9),
            "patience": HASTY,
            "environ": {},
            "disk": self.disk.writer,
        }
        return Setting(**{**usual, **changes})

    @asynccontextmanager
    async def open(self, **changes: Any) -> AsyncIterator[Gateway]:
        """The gateway runs, and has stopped in order afterwards, its venue with it."""
        try:
            async with asyncio.timeout(SOON_S), running(self.home, self.venue, self.setting(**changes)) as gateway:
                quotes = asyncio.create_task(self._quote())
                try:
                    yield gateway
                finally:
                    quotes.cancel()
                    with suppress(asyncio.CancelledError):
                        await quotes
        finally:
            self.disk.heal()
            self.venue.end()
            await self.venue.close()

    def again(self) -> None:
        """The venue as another process would find it."""
        self.venue = Unruly(PaperExchange.open(self.home.paper, "main"))

    async def quote(self) -> None:
        """The market is where it was."""
        now_ns = SystemClock().wall_ns()
        truth = self.venue.truth
        assert isinstance(truth, PaperExchange)
        await truth.feed(tuple(Quote(symbol, at, at, at, now_ns) for symbol, at in PRICES.items()))

    async def _quote(self) -> None:
        while True:
            await self.quote()
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], object]) -> None:
    """It has become true."""
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110 (any condition, of any object)
            await asyncio.sleep(0.005)


def wish(side: int = 1, **changes: Any) -> Intent:
    """The strategy's wish to hold a little gold, unlike any before."""
    fields: dict[str, Any] = {
        "quantity": 1.0,
        "stop_price": PRICES[GOLD] * (1 - 0.02 * side),
        "limit_price": nan,
        "created_at_ns": SystemClock().wall_ns(),
    }
    name = changes.pop("id", f"wish-{next(_COUNT)}")
    return Intent(name, STRATEGY, STRATEGY, GOLD, side, **{**fields, **changes})


def way_out(**changes: Any) -> Intent:
    """The strategy's wish to be out of its gold."""
    return wish(-1, **{"stop_price": nan, "reduce_only": True, **changes})


async def bought(gateway: Gateway) -> None:
    """An opening passes, and the strategy holds gold with its stop at the venue; on a slow machine it may be sent anew."""
    name = wish().id
    async with asyncio.timeout(SOON_S):
        while not (await gateway.submit(wish(id=name), hand_over=False)).allowed:  # noqa: ASYNC110 (it asks)
            await asyncio.sleep(0.02)
        while [each.stop_state for each in gateway.status().positions] != ["working"]:
            if not gateway.status().positions:
                again = await gateway.submit(wish(id=name), hand_over=False)
                if any(each.repeats and each.permit_state == PermitState.FILLED for each in again.decisions):
                    name = wish().id  # what it bought has been closed, and under this name nothing is bought twice
            await asyncio.sleep(0.02)
