"""``interlock run``: a gateway in front of its venue, the example strategy beside it, and a page that shows both."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.live import Live

from interlock.adapters.bars import Bars, read_bars
from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.tape import MOMENTS_PER_BAR, Tape
from interlock.cli.live import lines, page
from interlock.cli.output import OK, PROBLEMS, failures, out
from interlock.core.constants import CLOSES
from interlock.core.errors import InterlockError
from interlock.core.instrument import Instrument
from interlock.core.messages import BarClosed, Intent
from interlock.demo.bot import QUICK, Bot
from interlock.demo.market import listing_of
from interlock.market import MarketSeries
from interlock.service.api import Answer
from interlock.service.app import Setting, running
from interlock.service.clock import Clock
from interlock.service.desk.desk import from_source
from interlock.service.gateway import Gateway
from interlock.service.home.environment import require_safety_mode, require_venue
from interlock.service.home.home import Home
from interlock.service.home.runtime import Runtime, read_runtime
from interlock.service.home.starter import STRATEGY

BUNDLED: Final = ("XAUUSD", "EURUSD")
FEE_BPS: Final = 0.2
LATENCY_S: Final = 0.02
DRAWN_S: Final = 0.25
LOGGED_S: Final = 5.0
LOOK_BACK_BARS: Final = 2 * CLOSES
"""Intervals in which both symbols have bars enough for a market state: gold trades an hour less each day."""
WARM_BARS: Final = 2 * QUICK.entry_bars
FIRST_BAR: Final = 1_000
NOTE: Final = "Ctrl-C stops: positions stay, with their stops at the venue; `interlock run` goes on from here."


class FeedFailed(InterlockError):
    """No more prices come, so the gateway was stopped; put right what is named, and start it again."""


def run(
    home: Annotated[
        Path | None, typer.Option(help="The state directory; by default $INTERLOCK_HOME or ./interlock-home.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(help="Seconds of the recording in one second, instead of runtime.toml's.", min=1.0)
    ] = None,
    no_strategy: Annotated[bool, typer.Option("--no-strategy", help="Only the gateway: your own programs trade.")] = False,
    seconds: Annotated[float | None, typer.Option("--for", help="Stop by itself after so many seconds.", min=0.0)] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a page, as where there is no terminal.")] = False,
    safety_mode: Annotated[str, typer.Option(help="Only enabled is accepted.")] = "enabled",
    i_mean_mainnet: Annotated[
        bool, typer.Option("--i-mean-mainnet", help="Say once that this home is meant for mainnet.")
    ] = False,
) -> None:
    """
    Run the gateway of a state directory.

    The paper venue plays recorded quotes of gold and euro as if they were now, and the example strategy trades on them.
    Other programs and operators reach the gateway through the socket in the state directory. It goes on where it was.

    For example:

        interlock init --yes && interlock run
        interlock run --home state/paper --speed 600
        interlock status --safety            # in another terminal
        interlock kill --reason "bad feed" --by alice

    Exit codes: 0 stopped in order, 1 stopped because no more prices came, 2 it cannot start, 3 the ledger cannot be used.
    """
    with failures():
        require_safety_mode(safety_mode)
        place = Home.find(home)
        place.check()
        runtime = read_runtime(place)
        bars = {
            symbol: read_bars(Path(str(files("interlock.demo") / f"data/{symbol.lower()}_1h.csv.gz"))) for symbol in BUNDLED
        }
        if runtime.kind is not None:
            require_venue(runtime, runtime.kind, PaperExchange.name)
        _prepare_paper(place, runtime, bars)
        setting = Setting.usual(means_mainnet=i_mean_mainnet)
        playing = _run(
            place,
            PaperExchange.open(place.paper, runtime.account),
            Tape(bars, speed=speed or runtime.paper.speed, clock=setting.clock.wall_ns, loops=True),
            setting,
            strategy=not no_strategy,
            seconds=seconds,
            drawn=sys.stdout.isatty() and not plain,
        )
        try:
            asyncio.run(playing)
        except FeedFailed as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(PROBLEMS) from None
    raise typer.Exit(OK)


def _prepare_paper(home: Home, runtime: Runtime, bars: dict[str, Bars]) -> None:
    """The account at the paper venue exists."""
    if home.paper.exists():
        return
    PaperExchange.create(
        home.paper,
        account=runtime.account,
        balance=runtime.paper.balance,
        currency="USD",
        instruments=[_instrument(symbol, each) for symbol, each in bars.items()],
        environment=runtime.environment,
        fee_bps=FEE_BPS,
        latency_s=LATENCY_S,
    )


def _instrument(symbol: str, bars: Bars) -> Instrument:
    """The symbol at a venue that never closes, since the recording is played at all hours."""
    listing = listing_of(symbol, bars.close[0])
    return Instrument(symbol, "paper", "USD", step=listing.step, tick=listing.tick, min_notional=1.0)


async def _run(
    home: Home,
    venue: PaperExchange,
    tape: Tape,
    setting: Setting,
    *,
    strategy: bool,
    seconds: float | None,
    drawn: bool,
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stopped.set)
    if seconds is not None:
        loop.call_later(seconds, stopped.set)
    try:
        async with (
            running(home, venue, setting) as gateway,
            _beside(gateway, venue, tape, setting, strategy=strategy) as feed,
        ):
            feed.add_done_callback(lambda _: stopped.set())
            await (_draw(gateway, stopped) if drawn else _log(gateway, stopped))
    finally:
        await venue.close()
    out().print("Stopped: what is open stays at the venue, everything is written down.")
    error = None if feed.cancelled() else feed.exception()
    if error is not None:
        raise FeedFailed(f"no more prices come, so the gateway was stopped: {type(error).__name__}: {error}") from error


@asynccontextmanager
async def _beside(
    gateway: Gateway, venue: PaperExchange, tape: Tape, setting: Setting, *, strategy: bool
) -> AsyncIterator[asyncio.Task[None]]:
    """The recording plays and the strategy trades while the block lasts; it gets the task that does it."""
    instruments = {each.symbol: each for each in await venue.instruments()}

    async def submit(intent: Intent) -> Answer:
        return await gateway.submit(from_source(intent, STRATEGY), hand_over=False)

    bot = Bot(STRATEGY, STRATEGY, instruments, submit, gateway.status, setting.clock.wall_ns) if strategy else None
    task = asyncio.create_task(_play(venue, tape, bot, gateway, setting.clock))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _play(venue: PaperExchange, tape: Tape, bot: Bot | None, gateway: Gateway, clock: Clock) -> None:
    """
    The recording goes on from where it was, strategy and market states having seen the bars before.

    The engine is told each bar as one that began when it began to be played, as positions do.
    """
    cursor = await venue.cursor() or FIRST_BAR * MOMENTS_PER_BAR
    if bot is not None:
        bot.learn(tape.closed_before(cursor, WARM_BARS))
    markets = {symbol: MarketSeries(symbol) for symbol in BUNDLED}
    for bar in tape.closed_before(cursor, LOOK_BACK_BARS):
        _learn(markets, bar)
    for series in markets.values():
        gateway.tell_market(series.state(clock.wall_ns()))
    began_ns = clock.wall_ns()
    async for moment in tape.play(cursor):
        await venue.feed(moment.quotes, moment.cursor)
        for bar in moment.closed:
            gateway.tell_market(msgspec.structs.replace(bar, opened_ns=began_ns))
            gateway.tell_market(_learn(markets, bar).state(clock.wall_ns()))
            if bot is not None:
                await bot.on_bar(bar)
        if moment.closed:
            began_ns = clock.wall_ns()


def _learn(markets: dict[str, MarketSeries], bar: BarClosed) -> MarketSeries:
    """The symbol's series with the bar, a new one where the recording has begun again."""
    if not markets[bar.symbol].add(bar):
        markets[bar.symbol] = MarketSeries(bar.symbol)
        markets[bar.symbol].add(bar)
    return markets[bar.symbol]


async def _draw(gateway: Gateway, stopped: asyncio.Event) -> None:
    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not stopped.is_set():
            live.update(page(gateway.status(), gateway.currency, console.width, NOTE), refresh=True)
            await _wait(stopped, DRAWN_S)


async def _log(gateway: Gateway, stopped: asyncio.Event) -> None:
    seen: set[int] = set()
    while not stopped.is_set():
        for text in lines(gateway.status(), gateway.currency, seen):
            typer.echo(text)
        await _wait(stopped, LOGGED_S)


async def _wait(stopped: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopped.wait()
    except TimeoutError:
        return
