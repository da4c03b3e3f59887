"""A replay told to a person: rows for the table and the report, and the report itself."""

from collections.abc import Sequence
from typing import Final

from interlock.core.codes import Code
from interlock.core.limits import is_on
from interlock.report import Fill, Floor, Listing, Prices, Report, Row, Run, Verification
from interlock.study.comparison import Comparison, Difference, journal_of
from interlock.study.journal import Journal, peaks, spans
from interlock.study.run import Replay
from interlock.study.wording import FLOOR_NAMES, INDENT, count, date, percent

TITLE: Final = "Your own trades, with and without a gate"
HEADER: Final = ("Opened (UTC)", "Line", "Symbol", "Trade", "As it was", "With the gate", "Difference", "Why")
AMOUNTS: Final = (4, 5, 6)

CONVENTIONS: Final = tuple(
    " ".join(paragraph.split())
    for paragraph in """
Every opening of the history is asked for at its own time, price and quantity, and filled at that price as far as the gate
permits. Every exit takes what is left of the trade that it closed; exits are never denied for risk, and one that finds
nothing left closed what the gate had not let in.

Nobody trades differently here because an earlier wish was denied. In life one denial changes the next wish; no replay can
know how.

Prices are known where the file has them. In between, a position is valued at the last known price: drawdowns inside a
trade are invisible, and so is any limit that they would have broken, unless price bars are given.

Where the gate itself closes a position, it is closed at the last known price of its symbol, without costs.

Fills of one symbol, side and instant, or of one order within five seconds, are one wish. Fees are shared by quantity. What
a closed trade cost or brought besides its prices is booked at its exit.

Saved and cost are sums over trades: what each would have brought behind the gate, less what it brought. They differ by
the difference of final equity, to the last digit. What is still open at the end is valued at its last price.

Deposits and withdrawals are not in a file of trades and not in these curves.

One history proves nothing about the next. A gate that limits size gives up part of every good trade; that is its price.
""".strip().split("\n\n")
)
"""What must be known to read the figures; shown with the report."""


def rows(found: Comparison, currency: str) -> tuple[Row, ...]:
    """The comparison, one cell for each curve."""
    curves = found.curves
    exits = found.exits - found.exits_empty
    return (
        Row("Return", [percent(curve.return_frac) for curve in curves], "of the balance at the beginning"),
        Row(f"Final equity, {currency}", [money(curve.equity) for curve in curves], "open positions at their last price"),
        Row("Worst day", [percent(curve.worst_day_frac) for curve in curves], "from midnight to midnight"),
        Row("Worst drawdown", [percent(curve.worst_drawdown_frac) for curve in curves], "below the highest equity before"),
        _row(found, "Openings", count(found.openings), count(found.granted), "asked for; let through whole"),
        _row(found, "Shrunk", "–", count(sum(found.capped.values())), "let through, smaller than asked"),
        *(_row(found, f"{INDENT}{code}", "–", count(number)) for code, number in found.capped.items()),
        _row(found, "Denied", "–", count(sum(found.denied.values())), "nothing went out"),
        *(_row(found, f"{INDENT}{code}", "–", count(number)) for code, number in found.denied.items()),
        _row(found, "Exits", count(found.exits), count(exits), "asked for; the rest had nothing left to close"),
        _row(found, "Exits held up", "–", count(found.exits_held_up), "asked for and not filled whole"),
        _row(found, "Locks", "–", count(sum(found.locks.values())), "each from its start to its end"),
        *(_row(found, f"{INDENT}{code}", "–", count(number)) for code, number in found.locks.items()),
        _row(found, "Time locked", "–", percent(found.locked_frac, ""), "at least one lock in force"),
        _row(found, "Flattenings", "–", count(found.flattenings), "positions that the gate closed"),
        _row(found, f"Saved, {currency}", "–", signed(found.saved), "on trades that did better with the gate"),
        _row(found, f"Cost, {currency}", "–", signed(-found.cost), "on trades that did worse with it"),
        _row(found, "Losers spared", "–", count(found.losers_spared), "losing trades, denied or smaller"),
        _row(found, "Winners missed", "–", count(found.winners_missed), "winning trades, denied or smaller"),
    )


def _row(found: Comparison, label: str, was: str, became: str, meaning: str = "") -> Row:
    return Row(label, [was, became, *["–"] * (len(found.curves) - 2)], meaning)


def money(amount: float) -> str:
    """An amount to the cent, as a person reads it."""
    return f"{amount:,.2f}".replace(",", "\u202f").replace("-", "−")


def signed(amount: float) -> str:
    """The same, with its sign."""
    return f"{'+' if amount > 0.0 else ''}{money(amount)}"


def verdict(found: Comparison) -> Verification:
    """Whether the ledger was verified and decided again alike, in one sentence."""
    if found.proof.problems:
        return Verification(proven=False, text=f"The ledger is not proven: {found.proof.problems[0]}")
    return Verification(
        proven=True, text=f"Ledger verified, {count(found.proof.steps)} steps decided again with the same outcome."
    )


def remarks(replay: Replay) -> list[str]:
    """What the user must know of this replay in particular: what was taken for granted, and what looks wrong."""
    past, found = replay.past, replay.comparison
    told = list(past.notes)
    told.append(_stops(replay))
    unpriced = [symbol for symbol in past.contracts if symbol not in replay.priced]
    if unpriced:
        told.append(
            f"Between fills {', '.join(unpriced)} is valued at the last known price: drawdowns inside a trade are not seen "
            "(--prices gives bars)"
        )
    if min(replay.free.journal.equity) <= 0.0:
        told.append("The history's own equity falls to zero or below: is the balance right, or are deposits missing?")
    still = [trade.symbol for trade in past.trades if not trade.closed_ns]
    if still:
        told.append(f"Still open at the end, valued at the last price: {', '.join(dict.fromkeys(still))}")
    waiting = [lock for lock in spans(replay.gated.journal) if lock.end_ns is None]
    told += [f"At the end still in force: {lock.code} ({lock.reason}), since {date(lock.start_ns)}" for lock in waiting]
    if replay.plan.review_days:
        told.append(f"A lock that waits for an operator is released after {replay.plan.review_days} days (--review-days)")
    else:
        told.append("A lock that waits for an operator is never released (--review-days 0)")
    if found.gap is not None:
        told.append(_gap(replay))
    elif replay.marks is not None:
        told.append("No equity mark lies within the history: nothing could be checked against them")
    return told


def _stops(replay: Replay) -> str:
    past = replay.past
    openings = sum(len(order.pieces) for order in past.orders if order.opens)
    required = is_on(replay.gated.gate.engine.state.account_limits(), Code.STOP_REQUIRED)
    rule = "the policy requires a stop and denies those without" if required else "the policy requires none here"
    if not past.openings_without_stop:
        return f"Every opening has a stop; {rule}" if required else "Every opening has a stop; the policy requires none"
    lacking = f"{count(past.openings_without_stop)} of {count(openings)} openings have no stop on their losing side"
    return f"{lacking}; {rule}"


def _gap(replay: Replay) -> str:
    found, currency = replay.comparison.gap, replay.past.currency
    assert found is not None, "asked only where there is one"
    told = f"Our reconstruction against {count(found.marks)} equity marks: at most {money(found.largest)} {currency} apart"
    told += f" ({found.at}), where positions are valued at the last known price"
    if found.flat_marks:
        flat = f"; with nothing held, at most {money(found.flat_largest)} {currency} ({found.flat_at})"
        return f"{told}{flat}: more than cents are deposits, withdrawals, or fills and fees that the file does not have"
    return told


def listings(found: Comparison, currency: str) -> list[Listing]:
    """The trades that differ most, for the better and for the worse."""
    return [
        Listing(
            "What it would have saved",
            f"The {len(found.biggest_saves)} trades that would have gained most, in {currency}.",
            HEADER,
            [_cells(each) for each in found.biggest_saves],
            AMOUNTS,
        ),
        Listing(
            "What it would have cost",
            f"The {len(found.biggest_costs)} trades that would have lost most, in {currency}.",
            HEADER,
            [_cells(each) for each in found.biggest_costs],
            AMOUNTS,
        ),
    ]


def _cells(each: Difference) -> list[str]:
    amounts = (signed(each.was), signed(each.became), signed(each.gained))
    return [each.opened, str(each.line), each.symbol, each.trade, *amounts, each.why]


def report(replay: Replay, sources: Sequence[tuple[str, str]]) -> Report:
    """The whole story as a report."""
    past, found = replay.past, replay.comparison
    was, became, *_ = found.curves
    first, last = (date(at_ns) for at_ns in (past.orders[0].at_ns, past.orders[-1].at_ns))
    subtitle = (
        f"{', '.join(past.contracts)}, {first} to {last}, {count(found.trades)} trades. As it was, the account ends at "
        f"{percent(was.return_frac)} and falls {percent(-was.worst_drawdown_frac, '')} below its peak; behind the gate "
        f"it ends at {percent(became.return_frac)} and falls "
        f"{percent(-became.worst_drawdown_frac, '')} at worst."
    )
    policy = replay.plan.policy
    head = f"{count(found.proof.steps)} steps, head {found.proof.head}"
    return Report(
        title=TITLE,
        subtitle=subtitle,
        currency=past.currency,
        runs=_runs(replay),
        prices=_prices(replay),
        summary=rows(found, past.currency),
        verification=verdict(found),
        notes=(*remarks(replay), *CONVENTIONS),
        provenance=[
            *sources,
            (f"Policy {replay.plan.name}", f"{policy.leaves['policy_version',].text}, digest {policy.digest}"),
            ("Ledger", head),
        ],
        listings=listings(found, past.currency),
    )


def _runs(replay: Replay) -> list[Run]:
    curves = replay.comparison.curves
    gated = replay.gated
    floors = [Floor(FLOOR_NAMES[code], values) for code, values in gated.journal.floors.items()]
    events = sorted(gated.events, key=lambda event: event.at_ns)
    found = [
        _run(curves[0].name, replay.free.journal),
        Run(
            name=curves[1].name,
            gated=True,
            at_ns=gated.journal.at_ns,
            equity=gated.journal.equity,
            peak=peaks(gated.journal),
            floors=floors,
            locks=spans(gated.journal),
            events=events,
            fills=[Fill(*fill) for fill in gated.journal.fills],
        ),
    ]
    if replay.marks is not None:
        found.append(_run(curves[2].name, journal_of(replay.marks)))
    return found


def _run(name: str, journal: Journal) -> Run:
    fills = [Fill(*fill) for fill in journal.fills]
    return Run(name, gated=False, at_ns=journal.at_ns, equity=journal.equity, peak=peaks(journal), fills=fills)


def _prices(replay: Replay) -> list[Prices]:
    """The history's own prices, by symbol."""
    found = []
    for symbol in replay.past.contracts:
        known = {at_ns: price for at_ns, name, _, price in replay.free.journal.fills if name == symbol}
        found.append(Prices(symbol, "per unit, as filled", [*known], [*known.values()]))
    return found
