"""The program beside a gateway: what it asks for as bars close, and what it makes of what is held."""

import asyncio
from dataclasses import dataclass, field
from math import nan

import msgspec

from interlock.core.codes import AccountKind, Code, TradingState
from interlock.core.messages import BarClosed, Intent
from interlock.demo.bot import Bot
from interlock.demo.strategy import LONG, TrendParameters
from interlock.service.api import Answer, PositionStatus, Status
from interlock.testing.builders import make_instrument

SMALL = TrendParameters(
    entry_bars=4, exit_bars=2, range_bars=2, unit_equity_mult=0.5, unit_count_max=2, add_ranges=2.0, stop_ranges=5.0
)
RISING = (100.0, 100.0, 100.0, 100.0, 102.0, 103.0, 107.0)
FLAT = Status(0, "main", AccountKind.PAPER, "testnet", "paper", TradingState.ACTIVE, 10_000.0, 10_000.0, *((),) * 8)
HELD = PositionStatus("BTC", "trend", LONG, 40.0, 102.0, 103.0, 40.0, 90.0, "working", flattening=False)


@dataclass
class Desk:
    """A gateway that grants everything and remembers what it was asked."""

    status: Status = FLAT
    asked: list[Intent] = field(default_factory=list)

    async def submit(self, intent: Intent) -> Answer:
        self.asked.append(intent)
        return Answer(intent.id, Code.ALLOWED)

    def bot(self) -> Bot:
        return Bot("bot", "trend", {"BTC": make_instrument("BTC")}, self.submit, lambda: self.status, lambda: 7, SMALL)


def play(bot: Bot, *closes: float, symbol: str = "BTC") -> None:
    async def all_bars() -> None:
        for hour, close in enumerate(closes):
            await bot.on_bar(BarClosed(symbol, hour * 3_600 * 10**9, 3_600.0, close, close + 1, close - 1, close))

    asyncio.run(all_bars())


def test_it_opens_and_adds_each_time_a_unit_of_equity_with_a_stop() -> None:
    desk = Desk()
    play(desk.bot(), *RISING)
    first, second = desk.asked
    assert (round(first.quantity, 4), first.stop_price, first.reduce_only) == (49.0196, 92.0, False)
    assert (round(second.quantity, 4), second.stop_price) == (46.7289, 97.0)


def test_it_leaves_what_is_held_when_the_run_has_ended() -> None:
    desk = Desk()
    bot = desk.bot()
    play(bot, *RISING)
    desk.status = msgspec.structs.replace(FLAT, positions=(HELD,))
    play(bot, 95.0)
    last = desk.asked[-1]
    assert (last.side, last.quantity, last.reduce_only) == (-1, 40.0, True)


def test_a_run_that_ends_while_nothing_is_held_asks_for_nothing() -> None:
    desk = Desk()
    play(desk.bot(), *RISING, 95.0)
    assert len(desk.asked) == 2


def test_after_a_restart_it_follows_the_run_that_the_position_is_of() -> None:
    desk = Desk(msgspec.structs.replace(FLAT, positions=(HELD,)))
    bot = desk.bot()
    bot.learn(BarClosed("BTC", hour, 3_600.0, close, close + 1, close - 1, close) for hour, close in enumerate(RISING[:4]))
    play(bot, 95.0)
    assert [intent.reduce_only for intent in desk.asked] == [True]


def test_without_known_equity_nothing_is_opened_and_other_symbols_are_none_of_its_business() -> None:
    desk = Desk(msgspec.structs.replace(FLAT, equity=nan))
    play(desk.bot(), *RISING)
    play(desk.bot(), *RISING, symbol="ETH")
    assert desk.asked == []
