"""
The example strategy as a program beside a running gateway: it sees closed bars, and sends intents like any other source.

The strategy only opens; the program leaves, where the policy lets it, when the run that it followed has ended. It believes
the gateway about what is held, so that it goes on where it was after either of them was restarted.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from interlock.core.codes import Partial
from interlock.core.instrument import Instrument
from interlock.core.messages import BarClosed, Intent
from interlock.demo.strategy import Trend, TrendParameters, Wish
from interlock.service.api import Answer, PositionStatus, Status

QUICK: Final = TrendParameters(
    entry_bars=24, exit_bars=8, range_bars=24, unit_equity_mult=0.1, unit_count_max=4, add_ranges=1.5, stop_ranges=6.0
)
"""Breakouts of a day, small and with few additions: something happens while somebody watches."""


class Bot:
    """One strategy over several symbols."""

    def __init__(
        self,
        source: str,
        strategy: str,
        instruments: dict[str, Instrument],
        submit: Callable[[Intent], Awaitable[Answer]],
        status: Callable[[], Status],
        now_ns: Callable[[], int],
        parameters: TrendParameters = QUICK,
    ) -> None:
        """
        Ready for the first bar.

        Args:
            source: who it is to the gateway.
            strategy: the strategy that it trades for.
            instruments: what it trades.
            submit: sends an intent.
            status: how the gateway says that things stand.
            now_ns: the clock.
            parameters: of the strategy.
        """
        self._source = source
        self._strategy = strategy
        self._instruments = instruments
        self._submit = submit
        self._status = status
        self._now_ns = now_ns
        self._trends = {symbol: Trend(parameters) for symbol in instruments}
        for position in status().positions:
            if position.symbol in self._trends and position.strategy == strategy:
                self._trends[position.symbol].resume(position.side, position.entry)

    def learn(self, bars: Iterable[BarClosed]) -> None:
        """The strategy has seen the bars, and wants nothing of what they would have made it want."""
        for bar in bars:
            if bar.symbol in self._trends:
                self._trends[bar.symbol].learn(bar.high, bar.low)

    async def on_bar(self, bar: BarClosed) -> tuple[Answer, ...]:
        """The strategy has seen the bar; returns what the gateway answered to what was then wanted."""
        trend = self._trends.get(bar.symbol)
        if trend is None:
            return ()
        wish = trend.on_bar(bar.high, bar.low, bar.close)
        if trend.run_ended:
            return await self._leave(bar)
        return await self._enter(bar, wish) if wish is not None else ()

    async def _leave(self, bar: BarClosed) -> tuple[Answer, ...]:
        """What is held of the symbol is to be closed."""
        held = next((each for each in self._status().positions if each.symbol == bar.symbol), None)
        steps = _steps(held, self._instruments[bar.symbol])
        return (await self._submit(self._intent(bar, "exit", -steps, 0.0)),) if steps else ()

    async def _enter(self, bar: BarClosed, wish: Wish) -> tuple[Answer, ...]:
        """What is wished is asked for, as large as equity makes it."""
        equity = self._status().equity
        if not equity > 0.0:
            return ()
        steps = self._instruments[bar.symbol].steps_down(wish.notional_equity_mult * equity / bar.close)
        return (await self._submit(self._intent(bar, "entry", wish.side * steps, wish.stop_frac)),) if steps else ()

    def _intent(self, bar: BarClosed, what: str, signed_steps: int, stop_frac: float) -> Intent:
        side = 1 if signed_steps > 0 else -1
        now_ns = self._now_ns()
        opening = what == "entry"
        return Intent(
            f"{self._source}-{bar.symbol}-{now_ns}-{what}",
            self._source,
            self._strategy,
            bar.symbol,
            side,
            quantity=self._instruments[bar.symbol].quantity(abs(signed_steps)),
            stop_price=bar.close * (1.0 - side * stop_frac) if opening else float("nan"),
            reduce_only=not opening,
            partial=Partial.SCALE,
            created_at_ns=now_ns,
        )


def _steps(position: PositionStatus | None, instrument: Instrument) -> int:
    return 0 if position is None else position.side * instrument.steps_down(position.quantity)
