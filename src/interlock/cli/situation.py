"""
A situation to ask about: an account as a person writes it down, made into an engine's state.

The description becomes the inputs of an ordinary start (account, instruments, policy, calendars, clock, positions, prices,
equity), each at its age, so what is asked is the real engine in that situation and not a model of it.
"""

import json
import tomllib
from collections.abc import Iterable, Iterator
from datetime import datetime
from math import isnan, nan
from pathlib import Path
from time import time_ns
from typing import Annotated, Any, Final, Literal

import msgspec

from interlock.cli.output import Mistake, instant_ns
from interlock.core.codes import AccountKind, Partial
from interlock.core.constants import NS_PER_S, NS_PER_S_FLOAT, OUTCOMES
from interlock.core.engine import Engine
from interlock.core.inputs import check
from interlock.core.instrument import Instrument
from interlock.core.messages import (
    AccountOpened,
    Adopted,
    BaselineSet,
    CashFlow,
    ClockChecked,
    EquityMarked,
    Heartbeat,
    Input,
    InstrumentSet,
    Intent,
    MarketBatch,
    MarketState,
    Output,
    PolicySet,
    PositionAt,
    PositionsReported,
    Quote,
    Step,
    Tick,
)
from interlock.core.state import State, StrategyRow, edit
from interlock.core.transitions import micros, on_outcome
from interlock.policy import load_policy
from interlock.policy.calendar import day_calendar, week_calendar
from interlock.policy.units import UnitInvalid, parse_measure
from interlock.policy.windows import read_windows
from interlock.service.home.calendar_file import AHEAD_NS, PAST_NS

_WEEK_NS: Final = 8 * 86_400 * NS_PER_S

Price = Annotated[float, msgspec.Meta(gt=0.0)]
Money = Annotated[float, msgspec.Meta(ge=0.0)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Age = Annotated[str, msgspec.Meta(description='Such as "3 s", "15 min" or "4 h".')]


class Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a person writes: unknown keys are refused."""


class AccountDescribed(Described, frozen=True, kw_only=True):
    """
    The account, in its currency. What is left out is as it would be without any profit or loss so far.

    `day_entries`, `day_slices` and `campaign_slices` are what DAILY_RISK_QUOTA has counted.
    """

    currency: str
    equity: Price
    initial_balance: Price | None = None
    day_open: Price | None = None
    week_open: Price | None = None
    peak: Price | None = None
    drawdown_ref: Price | None = None
    equity_age: Age = "0 s"
    positions_age: Age = "0 s"
    exit_owner_age: Age = "0 s"
    day_entries: Count = 0
    day_slices: Count = 0
    campaign_slices: Count = 0


class RecordDescribed(Described, frozen=True, kw_only=True):
    """What a strategy's last closed trades came to: how many won and how many did not, and the money of each, both >= 0."""

    wins: Count
    losses: Count
    won: Money
    lost: Money


class SymbolDescribed(Described, frozen=True, kw_only=True):
    """
    A symbol: its definition at the venue, its prices, its market state, the signed quantity held at an average entry price.

    `confidence` is how likely its regime is the one named. A position with a `stop` is under the exit rules, from now
    on and with the market as it is now; one without was opened outside the gate. `strategy`
    is whose it is; by default the policy's only one.
    """

    step: Price
    tick: Price
    min_notional: float = 0.0
    multiplier: Price = 1.0
    quote_currency: str = ""
    rate: Price | None = None
    bid: Price | None = None
    ask: Price | None = None
    mark: Price | None = None
    price_age: Age = "0 s"
    atr: Price | None = None
    regime: Literal["TREND", "BASE", "CHOP"] | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5
    market_age: Age = "0 s"
    sigma: Price | None = None
    trend_strength: Annotated[float, msgspec.Meta(ge=0.0)] | None = None
    quantity: float = 0.0
    entry: Price | None = None
    stop: Price | None = None
    target: Price | None = None
    strategy: str = ""


class Situation(Described, frozen=True, kw_only=True):
    """
    An account, its symbols, and the policy file by whose rules it trades (relative to this file).

    `at` is the instant for which it holds; without it, now. `calendar` is the file of its windows, relative as well;
    without one nothing is known of them. `strategies` have records; of the others no trade is known.
    """

    policy: str
    account: AccountDescribed
    symbols: dict[str, SymbolDescribed]
    at: datetime | None = None
    calendar: str = ""
    strategies: dict[str, RecordDescribed] = {}


class IntentDescribed(Described, frozen=True, kw_only=True):
    """
    An order as somebody wants it. Size by `quantity` (base units) or `notional` (account currency), or the policy's.

    Without `source` and `strategy` it is the policy's only one; without `created_at` it was made at this instant.
    """

    symbol: str
    side: Literal["buy", "sell"]
    quantity: float | None = None
    notional: float | None = None
    limit_price: float | None = None
    stop_price: float | None = None
    target_price: float | None = None
    margin_leverage: float | None = None
    reduce_only: bool = False
    partial: Partial = Partial.REFUSE
    source: str = ""
    strategy: str = ""
    id: str = "check"
    created_at: datetime | None = None

    def intent(self, policy: PolicySet | None, at_ns: int) -> Intent:
        """
        The message that asks for it.

        Raises:
            Mistake: it names no source or strategy, and the policy has not exactly one that may open.
        """
        source, strategy = self.source, self.strategy
        if not (source and strategy):
            source, strategy = _only_opener(policy, source, strategy)
        return Intent(
            self.id,
            source,
            strategy,
            self.symbol,
            1 if self.side == "buy" else -1,
            quantity=_known(self.quantity),
            notional=_known(self.notional),
            limit_price=_known(self.limit_price),
            stop_price=_known(self.stop_price),
            target_price=_known(self.target_price),
            margin_leverage=_known(self.margin_leverage),
            reduce_only=self.reduce_only,
            partial=self.partial,
            created_at_ns=at_ns if self.created_at is None else instant_ns(self.created_at),
        )


def _known(number: float | None) -> float:
    return nan if number is None else number


def read_described(path: Path, kind: type[Any]) -> Any:
    """
    What a TOML or JSON file describes.

    Raises:
        Mistake: it is not readable, or not a description of this kind; the message says where.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
        return msgspec.convert(raw, kind)
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise Mistake(f"{path}: {error}") from error


def engine_in(situation: Situation, folder: Path) -> tuple[Engine, int]:
    """
    The engine in that situation, and the instant of it.

    Raises:
        Mistake: something in the description cannot be meant.
        PolicyInvalid: the policy file is refused.
        WindowsInvalid: the calendar file is refused.
        InputInvalid: the engine refuses a number, and says which.
    """
    at_ns = time_ns() if situation.at is None else instant_ns(situation.at)
    policy = load_policy(folder / situation.policy).compile(at_ns)
    windows = _windows(folder / situation.calendar, situation.symbols, at_ns) if situation.calendar else []
    engine = Engine()
    for event_ns, event in sorted(_inputs(situation, policy, windows, at_ns), key=lambda timed: timed[0]):
        engine.step(event, event_ns)
    state = engine.state
    _count(state, situation)
    for adopted in _adopted(situation.symbols, policy):
        check(state, adopted, at_ns)
        engine.fold(Step(state.account.seq + 1, at_ns, at_ns, adopted, ()))  # folded: what follows from it is the question
    engine.fold(Step(state.account.seq + 1, at_ns, at_ns, Tick(), _baselines(engine, situation.account)))
    return engine, at_ns


def _windows(path: Path, symbols: Iterable[str], at_ns: int) -> list[Input]:
    """What the calendar file says of each symbol."""
    told = read_windows(path)
    return [told.of(symbol, at_ns - PAST_NS, at_ns + AHEAD_NS) for symbol in symbols]


def _count(state: State, situation: Situation) -> None:
    """The counters and the records are as described."""
    a = state.account
    a.day_entries, a.day_slices = situation.account.day_entries, situation.account.day_slices
    a.campaign_slices = situation.account.campaign_slices
    for name, record in situation.strategies.items():
        if name not in state.names.strategy_index:
            known = ", ".join(state.names.strategies)
            raise Mistake(f"strategies.{name}: the policy has no such strategy; it has {known}")
        _remember(f"strategies.{name}", edit(state.strategies, state.names.strategy_index[name]), record, state)


def _remember(where: str, row: StrategyRow, record: RecordDescribed, state: State) -> None:
    """The strategy has closed so many trades, those that won alike, and those that did not."""
    window = state.account_limits().kelly_window_count_max
    most = int(window) if window < OUTCOMES else OUTCOMES
    if record.wins + record.losses > most:
        raise Mistake(f"{where}: {record.wins + record.losses} trades, and the last {most} count: describe those")
    if (record.wins > 0) != (record.won > 0.0) or (record.losses == 0 and record.lost > 0.0):
        raise Mistake(f"{where}: so many trades and so much money do not belong together")
    row.outcomes = [0] * OUTCOMES
    outcomes = [record.won / record.wins] * record.wins if record.wins else []
    outcomes += [-record.lost / record.losses] * record.losses if record.losses else []
    for outcome in outcomes:
        on_outcome(row, micros(outcome), window)


def _inputs(situation: Situation, policy: PolicySet, windows: list[Input], at_ns: int) -> list[tuple[int, Input]]:
    """An ordinary start, each input at its instant; the configuration before everything else."""
    account, symbols = situation.account, situation.symbols
    reported_ns = at_ns - _age_ns("account.positions_age", account.positions_age)
    alive_ns = at_ns - _age_ns("account.exit_owner_age", account.exit_owner_age)
    marked_ns = at_ns - _age_ns("account.equity_age", account.equity_age)
    aged: list[tuple[int, Input]] = [
        *_quotes(symbols, at_ns),
        *_markets(symbols, at_ns),
        (reported_ns, PositionsReported(_held(symbols), reported_ns)),
        (alive_ns, Heartbeat(policy.exit_owner)),
        (marked_ns, EquityMarked(account.equity, nan, marked_ns)),
    ]
    start_ns = min(event_ns for event_ns, _ in aged)
    span = (start_ns - _WEEK_NS, at_ns + _WEEK_NS)
    balance = account.equity - sum(_open_pnl(described) for described in symbols.values())
    initial = balance if account.initial_balance is None else account.initial_balance
    opening: list[Input] = [
        AccountOpened("check", AccountKind.PAPER, account.currency, initial),
        CashFlow("funding", balance - initial),
        *(InstrumentSet(_instrument(name, described, account.currency)) for name, described in symbols.items()),
        *windows,
        policy,
        day_calendar("day", "UTC", "00:00", *span),
        week_calendar("week", "UTC", "00:00", "Mon", *span),
        ClockChecked(),
    ]
    return [(start_ns, event) for event in opening] + aged


def _quotes(symbols: dict[str, SymbolDescribed], at_ns: int) -> Iterator[tuple[int, Input]]:
    for name, described in symbols.items():
        quoted_ns = at_ns - _age_ns(f"symbols.{name}.price_age", described.price_age)
        if described.bid is None or described.ask is None:
            continue
        mark = _mark(described)
        rate, rate_at_ns = (nan, 0) if described.rate is None else (described.rate, quoted_ns)
        quote = Quote(name, described.bid, described.ask, mark, quoted_ns, mark, mark, rate, rate_at_ns)
        yield quoted_ns, MarketBatch((quote,))


def _markets(symbols: dict[str, SymbolDescribed], at_ns: int) -> Iterator[tuple[int, Input]]:
    """What is known of the symbols' market states; the other regimes share what is left of the confidence."""
    for name, described in symbols.items():
        told_ns = at_ns - _age_ns(f"symbols.{name}.market_age", described.market_age)
        other = (1.0 - described.confidence) / 2.0
        likely = dict.fromkeys(("p_trend", "p_base", "p_chop"), other) if described.regime else {}
        if described.regime:
            likely[f"p_{described.regime.lower()}"] = described.confidence
        figures = (_known(described.atr), _known(described.sigma), _known(described.trend_strength))
        if described.regime or not all(map(isnan, figures)):
            yield told_ns, MarketState(name, told_ns, *figures, label=described.regime or "", **likely)


def _adopted(symbols: dict[str, SymbolDescribed], policy: PolicySet) -> Iterator[Adopted]:
    """Every position that has a stop is under the exit rules."""
    for name, described in symbols.items():
        if described.quantity and described.stop is not None:
            strategy = _only_opener(policy, "", described.strategy)[1]
            yield Adopted(name, strategy, described.stop, "the description", _known(described.target))


def _mark(described: SymbolDescribed) -> float:
    if described.mark is not None:
        return described.mark
    return nan if described.bid is None or described.ask is None else 0.5 * (described.bid + described.ask)


def _held(symbols: dict[str, SymbolDescribed]) -> tuple[PositionAt, ...]:
    return tuple(
        PositionAt(name, round(described.quantity / described.step), _entry(described))
        for name, described in symbols.items()
        if described.quantity
    )


def _entry(described: SymbolDescribed) -> float:
    return _mark(described) if described.entry is None else described.entry


def _open_pnl(described: SymbolDescribed) -> float:
    """Unrealised P&L in account currency; 0 where a price is missing, which the engine then finds by itself."""
    if not described.quantity or isnan(_mark(described)):
        return 0.0
    rate = 1.0 if described.rate is None else described.rate
    return described.quantity * described.multiplier * rate * (_mark(described) - _entry(described))


def _instrument(name: str, described: SymbolDescribed, currency: str) -> Instrument:
    return Instrument(
        name,
        "described",
        described.quote_currency or currency,
        described.step,
        described.tick,
        described.min_notional,
        described.multiplier,
    )


def _baselines(engine: Engine, account: AccountDescribed) -> tuple[Output, ...]:
    """The references that losses are measured from, as described; the present equity where nothing is."""
    now = account.equity
    periods = [
        (row.name, row.start_ns, given)
        for row, given in zip(engine.state.calendars, (account.day_open, account.week_open), strict=True)
    ]
    peak = account.peak or max(now, account.day_open or now, account.week_open or now, account.drawdown_ref or now)
    references = [("equity_peak", 0, peak), ("drawdown_ref", 0, account.drawdown_ref or peak)]
    return tuple(
        BaselineSet(name, start_ns, given or now, given or now, "venue") for name, start_ns, given in periods + references
    )


def _age_ns(where: str, text: str) -> int:
    try:
        return round(parse_measure(text, "s").value * NS_PER_S_FLOAT)
    except UnitInvalid as error:
        raise Mistake(f"{where}: {error}") from error


def _only_opener(policy: PolicySet | None, source: str, strategy: str) -> tuple[str, str]:
    rights = () if policy is None else policy.rights
    openers = [(right.source, right.strategy) for right in rights if right.may_open]
    meant = [each for each in openers if source in ("", each[0]) and strategy in ("", each[1])]
    if len(meant) != 1:
        found = ", ".join(f"{source} for {strategy}" for source, strategy in meant or openers) or "nobody"
        raise Mistake(f"say who asks, with both source and strategy; the policy lets these open: {found}")
    return meant[0]
