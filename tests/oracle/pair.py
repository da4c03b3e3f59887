"""An engine and the slow model, told the same."""

from fractions import Fraction
from math import nan

from interlock.core.codes import AccountKind, CalendarKind, Code, PermitState
from interlock.core.engine import Engine
from interlock.core.instrument import Instrument
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE, Limits
from interlock.core.messages import (
    AccountOpened,
    CalendarSet,
    ClockChecked,
    Decision,
    EquityMarked,
    Executed,
    Input,
    InstrumentSet,
    Intent,
    MarketBatch,
    PermitIssued,
    PermitRevoked,
    PolicySet,
    PositionAt,
    PositionsReported,
    Quote,
    SourceRight,
    Spent,
    Step,
    SymbolPolicy,
)
from oracle.accounting import LOSSES, NS, Account, exact, worth

DAY = 86_400
START_NS = 20_000 * DAY * NS + 3_600 * NS
EPOCH = 1

INSTRUMENTS = (
    Instrument("BTC", "v", "USD", step=0.001, tick=0.1, min_notional=0.0),
    Instrument("GER", "v", "EUR", step=0.1, tick=0.1, min_notional=0.0, multiplier=2.0),
    Instrument("DOT", "v", "USD", step=1.0, tick=0.001, min_notional=0.0, multiplier=10.0, inverse=True),
)
PRICES = {"BTC": 100.0, "GER": 50.0, "DOT": 8.0}
RATES = {"BTC": 1.0, "GER": 1.1, "DOT": 8.0}
STEPS = {"BTC": 1_000, "GER": 20, "DOT": 20}

GENEROUS = {
    "intent_age_s_max": 10.0,
    "equity_age_s_max": 300.0,
    "equity_gap_frac_max": 0.10,
    "mark_age_s_max": 120.0,
    "mark_jump_frac_max": 0.20,
    "reconciled_age_s_max": 60.0,
    "controller_age_s_max": 1e9,
    "clock_step_s_max": 1.0,
    "clock_venue_gap_s_max": 5.0,
    "collar_frac_max": 0.02,
    "order_notional_max": 1e9,
    "total_exposure_frac_max": 1e6,
    "permit_ttl_s": 45.0,
    "resting_review_s": 60.0,
    "position_count_max": 10.0,
    "consec_loss_count_max": 3.0,
    "consec_loss_lock_s": 1.0,
    "consec_loss_breaker_count_max": 1e6,
    "day_loss_frac_max": 0.025,
    "week_loss_frac_max": 0.10,
    "drawdown_frac_max": 0.08,
    "drawdown_lock_s": 30.0,
    "drawdown_rebase": 0.0,
    "emergency_lock_s": 60.0,
    "emergency_drawdown_frac_max": 0.10,
    "total_drawdown_frac_max": 0.20,
    "equity_floor_frac_min": 0.90,
    "unexplained_patience_s": 600.0,
    "confirm_mark_count_min": 3.0,
    "confirm_s_min": 10.0,
    "close_patience_s": 5.0,
    "flatten_retry_s_min": 1.0,
    "flatten_retry_s_max": 30.0,
}


def limits(*switched_on: Code) -> Limits:
    """Room for everything, with the switchable rules named."""
    active = sum(1 << SWITCHABLE.index(code) for code in switched_on)
    return Limits(active=active, **{name: GENEROUS.get(name, nan) for name in LIMIT_FIELDS})


def close(theirs: float, ours: Fraction | None) -> bool:
    """Equal up to the millionths that integer cash loses, and unknown where the other is unknown."""
    if ours is None or theirs != theirs:
        return ours is None and theirs != theirs
    return abs(exact(theirs) - ours) <= Fraction(1, 10_000) + abs(ours) / 10**9


class Pair:
    """
    One account, told twice: what the engine is told, the model is told too.

    The permits and revocations that the engine puts out are facts for the model.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.engine = Engine()
        self.model = Account(limits)
        self.at = START_NS
        self.mono = 0
        self.intents = 0
        self.steps: list[Step] = []
        self.marks = dict(PRICES)
        self.proofs: list[dict[Code, bool]] = []
        self.safe: list[set[Code]] = []

    # ------------------------------------------------------------ telling both

    def tell(self, event: Input) -> Step:
        step = self.engine.step(event, self.at, self.mono)
        self.steps.append(step)
        self.model.record(self.at, event)
        self.proofs.append({code: self.model.proven(code) for code in LOSSES})
        verdicts = self.model.verdicts[-1]
        self.safe.append({code for code in LOSSES if verdicts[code].own is False and verdicts[code].venue is False})
        for output in step.outputs:
            if isinstance(output, PermitIssued | PermitRevoked):
                self.model.record(self.at, output)
        revoked = {output.permit for output in step.outputs if isinstance(output, PermitRevoked)}
        for output in step.outputs:
            if isinstance(output, PermitIssued) and output.id not in revoked:  # nobody can spend a revoked one
                self.tell(Spent(output.id, EPOCH))
        return step

    def wait(self, seconds: float) -> None:
        self.at += int(seconds * NS)
        self.mono += int(seconds * NS)

    def quote(self, symbol: str, mark: float) -> None:
        half = mark * 0.0001
        quote = Quote(symbol, mark - half, mark + half, mark, self.at, rate=RATES[symbol], rate_at_ns=self.at)
        self.tell(MarketBatch((quote,)))

    def venue_agrees(self) -> None:
        """Fresh marks, and the venue's own figures, equal to the books."""
        for symbol, mark in self.marks.items():
            self.quote(symbol, mark)
        self.tell(self.positions())
        self.venue_tells(1.0)

    def venue_tells(self, factor: float) -> None:
        own = self.model.own_equity()
        assert own is not None
        self.tell(EquityMarked(float(own) * factor, float(self.model.booked()), self.at))

    def positions(self) -> PositionsReported:
        held = [PositionAt(symbol, self.model.position(symbol), float(self.model.entry(symbol) or 0)) for symbol in PRICES]
        return PositionsReported(tuple(position for position in held if position.steps), self.at)

    def want(self, symbol: str, side: int, steps: int, stop_frac: float, *, reduce_only: bool) -> Decision:
        self.intents += 1
        instrument = self.model.instruments()[symbol]
        mark = self.marks[symbol]
        step = self.tell(
            Intent(
                id=f"i{self.intents}",
                source="bot",
                strategy="s",
                symbol=symbol,
                side=side,
                quantity=steps * instrument.step,
                stop_price=mark * (1 - side * stop_frac),
                reduce_only=reduce_only,
                created_at_ns=self.at,
            )
        )
        return next(output for output in step.outputs if isinstance(output, Decision))

    # ------------------------------------------------------------ the beginning

    def open_account(self) -> None:
        self.tell(AccountOpened("a", AccountKind.PAPER, "USD", 10_000.0, EPOCH))
        self.tell(
            PolicySet(
                "p",
                "d",
                self.at + 1_000 * DAY * NS,
                True,
                (self.limits,),
                tuple(SymbolPolicy(symbol, 0, 5.0) for symbol in PRICES),
                (SourceRight("bot", "s", True, True),),
            )
        )
        for instrument in INSTRUMENTS:
            self.tell(InstrumentSet(instrument))
        days = tuple(day * DAY * NS for day in range(19_999, 20_400))
        self.tell(CalendarSet("day", CalendarKind.DAY, days))
        self.tell(CalendarSet("week", CalendarKind.WEEK, days[::7]))
        self.tell(ClockChecked())
        self.venue_agrees()

    def held(self) -> list[str]:
        return [symbol for symbol in PRICES if self.model.position(symbol)]

    def results(self) -> list[Executed]:
        return [entry.event for entry in self.model.history if isinstance(entry.event, Executed)]

    def spent(self) -> list[PermitIssued]:
        spent = {entry.event.permit for entry in self.model.history if isinstance(entry.event, Spent)}
        return [permit for permit in self.model.permits().values() if permit.id in spent]

    def at_venue(self) -> list[PermitIssued]:
        return [permit for permit in self.spent() if self.model.reservation(permit.id).reserved]

    def ended_short(self) -> list[PermitIssued]:
        return [permit for permit in self.spent() if self.model.reservation(permit.id).released]

    def send_fill(self, permit: PermitIssued, steps: int, price: float, state: PermitState) -> None:
        best = max(self.model.results(permit.id), key=lambda r: r.filled_steps, default=None)
        done, value, fees = (best.filled_steps, best.filled_value, best.fees) if best else (0, 0.0, 0.0)
        instrument = self.model.instruments()[permit.symbol]
        more = worth(instrument, price) * (steps - done) * exact(instrument.step)
        total = round(value + float(more), 12)
        self.wait(1)
        self.tell(Executed(permit.id, state, steps, total, round(fees + (steps - done) * 0.0001, 6), self.at))
