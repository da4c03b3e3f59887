"""The runs told to a person: rows for the table and the report, and the report itself."""

from collections import Counter
from collections.abc import Sequence
from math import nan
from typing import Final

from interlock.core.codes import Code
from interlock.demo.diary import Diary
from interlock.demo.figures import Figures
from interlock.demo.market import Market, Tape
from interlock.demo.passage import FEE_BPS, REVIEW_DAYS
from interlock.demo.plans import PARAMETERS
from interlock.demo.run import Outcome
from interlock.demo.trades import trades
from interlock.report import Event, Fill, Floor, Kind, Listing, Prices, Report, Row, Run, Stop, Trade, Verification
from interlock.study.journal import answer, peaks, spans
from interlock.study.wording import (
    FLATTENING,
    FLOOR_NAMES,
    INDENT,
    LOCKED,
    SAYS,
    bound,
    count,
    date,
    explained,
    percent,
    reason,
)

CONVENTIONS: Final = tuple(
    " ".join(paragraph.split())
    for paragraph in f"""
A wish is formed when a bar has closed, and sent when the next bar of its symbol opens within the venue's session. It
is filled there: bought at the ask, sold at the bid. The data give bid and ask at each close; the spread at an open is
that of the close before.

Inside a bar the adverse extreme comes first: a stop fills at its price, or at the open where the bar opened beyond
it. Positions are valued at the closing bid or ask; loss limits are judged at each close.

The strategy only opens and adds, each time with a stop. Behind a gate the engine's own rules leave (parameter set A): they
look when a bar has closed, what they want closed is sold at the next open, and their stop rests at the venue. Ungated, the
account leaves as its owner would without an engine: at the stop of its last order, or when the price leaves the channel of
{PARAMETERS.exit_bars} bars. A policy whose exit rules are all off leaves like that, too.

A trade lasts from flat to flat; its result in R is what it gained after costs, over what its entries together would have
lost at the stops that they were made with. A trade with less than 0.05 R is not counted as won.

All symbols are taken to be quoted in the account's currency. Costs: the spread, and {FEE_BPS:g} bps of notional for
each fill. Overnight financing, depth and a broker's margin calls are not modelled; an ungated run is not ended by one
either.

All runs share strategy, prices and wishes. A wish is a multiple of equity, so an intent's size follows each run's own;
ungated, every intent is sent as it is.

Where a lock waits for an operator, the demonstration's operator releases it after {REVIEW_DAYS} days and takes
present equity as the new reference. Each review is in the ledger.

The policies extend presets that were made for other markets. Only what depends on the instruments was written anew
(universe, margin leverage, price collar, largest order, length of a bar), and that the engine leaves by itself; every loss
and exposure figure is the preset's own, but for the daily loss of the run named tight.

What the gate saved is the difference of final equity, and the lesser drawdown. What it cost shows in the months in
which the ungated account did better: each month's return, of the equity it began with, is compared with that
of the ungated run. A gate that limits size gives up part of every good month; that is its price.

The strategy's parameters were chosen so that the ungated account is badly hurt. It is an example, not advice,
and one history proves nothing about the next.
""".split("\n\n")
)
"""What must be known to read the figures; shown with the report."""

WAYS_OUT: Final = {
    "exits A": "Parameter set A",
    "exits B": "Parameter set B",
    "exits by-regime": "By regime at entry: A in a trend, B otherwise",
}


def rows(found: Sequence[Figures], currency: str) -> tuple[Row, ...]:
    """The comparison, one cell for each run."""
    return (
        Row("Return", [percent(each.return_frac) for each in found], "of the initial balance"),
        Row(f"Final equity, {currency}", [count(round(each.equity)) for each in found]),
        Row("Worst day", [percent(each.worst_day_frac) for each in found], "from one 17:00 in New York to the next"),
        Row("Worst drawdown", [percent(each.worst_drawdown_frac) for each in found], "below the highest close before"),
        Row("Intents", [count(each.intents) for each in found], "openings that were asked for, the same in every run"),
        Row("Capped", [_gated(each, count(each.capped)) for each in found], "let through, smaller than asked"),
        Row("Denied", [_gated(each, count(each.denied_count)) for each in found], "nothing went out"),
        *_by_code(found, [_reasons(each) for each in found]),
        Row("Locks", [_gated(each, count(sum(each.locks.values()))) for each in found], "each from its start to its end"),
        *_by_code(found, [each.locks for each in found]),
        Row("Time locked", [_gated(each, percent(each.locked_frac, "")) for each in found], "at least one lock in force"),
        Row("Flattenings", [_gated(each, count(each.flattenings)) for each in found], "positions that the gate closed"),
        Row("Trades", [count(each.trades) for each in found], "from flat to flat"),
        Row("Won", [_share(each.won_frac) for each in found], "of all trades"),
        Row("Mean result", [in_r(each.mean_r) for each in found], "of a trade, in units of what it risked"),
        Row("Exits", [count(sum(each.exits.values())) for each in found], "fills that closed a position or a part of it"),
        *_by_code(found, [_named(each.exits) for each in found], all_runs=True),
        Row(f"Fees, {currency}", [count(round(each.fees)) for each in found], "besides the spread"),
        Row(
            f"Gate saved, {currency}",
            [_gated(each, _saved(each)) for each in found],
            "final equity above the ungated one's",
        ),
        Row(
            "Months ahead",
            [_gated(each, _ahead(each)) for each in found],
            "of the ungated account, on average",
        ),
        Row("Months behind", [_gated(each, _behind(each)) for each in found], "of it, on average: what the gate cost"),
    )


def _reasons(each: Figures) -> dict[str, int]:
    """Denials by reason; those of a lock under the lock's own name."""
    named = {code: number for code, number in each.denied.items() if code not in LOCKED}
    return {**named, **{f"lock {code}": number for code, number in each.denied_by_lock.items()}}


def _named(counts: dict[str, int]) -> dict[str, int]:
    return {name.replace("_", " "): number for name, number in counts.items()}


def _share(frac: float) -> str:
    return percent(frac, "") if frac == frac else "–"


def in_r(value: float) -> str:
    """A result in units of risk."""
    return f"{value:+.2f} R".replace("-", "−") if value == value else "–"


def _by_code(found: Sequence[Figures], counts: Sequence[dict[str, int]], *, all_runs: bool = False) -> list[Row]:
    """A row for each code that any run has, most frequent first; without ``all_runs`` none of a run without a gate."""
    total = Counter[str]()
    for each in counts:
        total.update(each)
    return [
        Row(
            f"{INDENT}{code}",
            [count(each.get(code, 0)) if all_runs or run.gated else "–" for run, each in zip(found, counts, strict=True)],
        )
        for code, _ in total.most_common()
    ]


def _gated(each: Figures, text: str) -> str:
    return text if each.gated else "–"


def _saved(each: Figures) -> str:
    return f"{'+' if each.equity_gained > 0.0 else ''}{count(round(each.equity_gained))}"


def _ahead(each: Figures) -> str:
    return f"{each.months_ahead}, {percent(each.ahead_frac)}"


def _behind(each: Figures) -> str:
    return f"{each.months_behind}, {percent(-each.behind_frac)}"


def verdict(found: Sequence[Figures]) -> Verification:
    """Whether every ledger was verified and decided again alike, in one sentence."""
    proofs = [each.proof for each in found if each.proof is not None]
    broken = [f"{each.name}: {each.proof.problems[0]}" for each in found if each.proof and each.proof.problems]
    if broken:
        return Verification(proven=False, text="; ".join(broken))
    steps = count(sum(proof.steps for proof in proofs))
    text = f"{len(proofs)} ledgers verified, {steps} steps decided again with the same outcome."
    return Verification(proven=True, text=text)


def silence(found: Sequence[Figures], entry_bars: int) -> list[str]:
    """A line that says what the strategy waits for, if it asked for nothing."""
    if found[0].intents:
        return []
    return [f"No intents: the strategy opens when a close leaves the range of the {entry_bars} bars before it; none did"]


def proofs(found: Sequence[Figures]) -> list[str]:
    """A line for each ledger: whether it is proven, how many steps it holds, and its head."""
    lines = []
    for each in found:
        if each.proof is None:
            continue
        head = f"{count(each.proof.steps)} steps, head {each.proof.head[:16]}"
        if each.proof.problems:
            lines.append(f"NOT PROVEN  {each.name}: {head}: {'; '.join(each.proof.problems)}")
        else:
            lines.append(f"Verified and decided again  {each.name}: {head}")
    return lines


def other_exits(found: Sequence[Figures], base: str) -> Listing:
    """The same intents behind one policy, left in other ways."""
    reasons = [*dict.fromkeys(reason for each in found for reason in each.exits)]
    rows = [
        (
            WAYS_OUT[each.name],
            percent(each.return_frac),
            percent(each.worst_drawdown_frac),
            count(each.trades),
            in_r(each.mean_r),
            _share(each.won_frac),
            ", ".join(f"{name.replace('_', ' ')} {count(each.exits[name])}" for name in reasons if name in each.exits),
        )
        for each in found
    ]
    return Listing(
        title="What if it had left otherwise",
        meaning=f"The same intents behind {base}, with other numbers in its way out. These runs keep no ledger.",
        header=("Way out", "Return", "Worst drawdown", "Trades", "Mean result", "Won", "Exits"),
        rows=rows,
        amounts=(1, 2, 3, 4, 5),
    )


def report(
    tape: Tape,
    outcomes: Sequence[Outcome],
    found: Sequence[Figures],
    tried: Sequence[Figures],
    sources: Sequence[tuple[str, str]],
    currency: str,
) -> Report:
    """The whole story as a report; ``tried`` are runs of the first gated policy that left otherwise."""
    first, last = (date(instant) for instant in (tape.moments[0].open_ns, tape.moments[-1].close_ns))
    hurt, kept = found[0], max(found[1:], key=lambda each: each.equity)
    subtitle = (
        f"{', '.join(tape.markets)}, {first} to {last}. A strategy that adds to its winners without end: ungated, the "
        f"account ends at {percent(hurt.return_frac)} and once falls {percent(-hurt.worst_drawdown_frac, '')} below its "
        f"peak; behind {kept.name} it ends at {percent(kept.return_frac)} and falls "
        f"{percent(-kept.worst_drawdown_frac, '')} at worst."
    )
    policies = [(f"Policy {each.name}", f"{each.policy}, digest {each.digest}") for each in found if each.gated]
    heads = [
        (f"Ledger {each.name}", f"{count(each.proof.steps)} steps, head {each.proof.head}") for each in found if each.proof
    ]
    return Report(
        title="The same intents, with and without a gate",
        subtitle=subtitle,
        currency=currency,
        runs=[_run(outcome) for outcome in outcomes],
        prices=[_prices(market, tape) for market in tape.markets.values()],
        summary=rows(found, currency),
        verification=verdict(found),
        notes=CONVENTIONS,
        listings=[other_exits(tried, found[1].name)],
        provenance=[*sources, *policies, *heads],
    )


def _prices(market: Market, tape: Tape) -> Prices:
    """The closes of the span, at the instants at which runs are looked at."""
    bars = [(moment.close_ns, index) for moment in tape.moments for symbol, index in moment.bars if symbol == market.symbol]
    return Prices(market.symbol, market.unit, [at_ns for at_ns, _ in bars], [market.bars.close[index] for _, index in bars])


def _run(outcome: Outcome) -> Run:
    journal = outcome.journal
    return Run(
        name=outcome.plan.name,
        gated=outcome.plan.policy is not None,
        at_ns=journal.at_ns,
        equity=journal.equity,
        peak=peaks(journal),
        floors=[Floor(FLOOR_NAMES[code], values) for code, values in journal.floors.items()],
        locks=spans(journal),
        events=events(outcome),
        fills=[Fill(deal.at_ns, deal.symbol, deal.quantity, deal.price, deal.why) for deal in journal.deals],
        stops=_stops(journal),
        trades=[
            Trade(
                each.symbol, each.side, each.start_ns, each.end_ns, each.entry, each.gained, each.r, each.rungs, each.exit
            )
            for each in trades(journal)
        ],
    )


def _stops(diary: Diary) -> list[Stop]:
    """Where each stop lay, without what changed nothing: a stop for another quantity at the same price."""
    found: list[Stop] = []
    last: dict[str, float] = {}
    for at_ns, symbol, price in diary.stops:
        if price != last.get(symbol, nan) and (price == price or symbol in last):
            found.append(Stop(at_ns, symbol, price))
        if price == price:
            last[symbol] = price
        else:
            last.pop(symbol, None)
    return found


def events(outcome: Outcome) -> list[Event]:
    """
    Every intervention of the gate in order: denials, caps and flattenings, each with what bound in numbers.

    The first of each kind is explained in full.
    """
    policy = outcome.plan.policy
    told: set[tuple[Code, Kind]] = set()
    found = []
    for at_ns, decision in outcome.journal.decisions:
        if answer(decision) == "granted":
            continue
        code, kind = reason(decision)
        message = SAYS.get(code, decision.note)
        if policy is not None and (code, kind) not in told:
            told.add((code, kind))
            message = explained(policy, at_ns, decision)
        found.append(Event(at_ns, kind, decision.symbol, code.value, message, bound(decision, code)))
    found += [
        Event(at_ns, Kind.FLATTENED, symbol, code.value, FLATTENING, f"equity {equity:,.0f}")
        for at_ns, symbol, code, equity in outcome.journal.flattenings
    ]
    return sorted(found, key=lambda event: event.at_ns)
