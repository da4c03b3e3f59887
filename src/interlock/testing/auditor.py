"""
An auditor that is not the engine: it compares what the venue holds with what the ledger and the executor recorded.

It decides nothing again and uses none of the gate's books: it reads recorded steps for what was permitted, and keeps its
own sums. Every check says each violation as a sentence; an audit without sentences is one where nothing was wrong. Checks
that hold only once everything has come to rest are asked for by `at_rest`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from interlock.adapters.venue import OrderReport
from interlock.core.messages import AccountOpened, Executed, FenceRaised, PermitIssued, PermitRevoked, Spent, Step
from interlock.testing.unruly import Arrival


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill at the venue, in the order in which they happened."""

    client_id: str
    symbol: str
    side: int
    steps: int
    reduce_only: bool


@dataclass(frozen=True, slots=True)
class Glance:
    """Positions and the stops that rested at the venue from one moment on, each in signed steps."""

    at_ns: int
    positions: Mapping[str, int]
    stops: Mapping[str, int]


@dataclass(frozen=True)
class Evidence:
    """
    What an audit looks at.

    `orders` is every order that the venue ever took. `permit_of` gives the permit in a client order id, None where there
    is none; `is_direct` says whether an order is a close that needs no permit. `by_hand` is what was traded past the gate,
    in signed steps. `books` are the positions that the ledger folds to. `ticks` are price steps, to which an order's
    price may have been rounded. `away` are the times, by the venue's clock, in which no gateway ran.
    """

    steps: tuple[Step, ...]
    orders: tuple[OrderReport, ...]
    fills: tuple[Fill, ...]
    positions: Mapping[str, int]
    books: Mapping[str, int]
    spent: frozenset[int]
    permit_of: Callable[[str], int | None]
    is_direct: Callable[[str], bool] = lambda _: False
    arrivals: tuple[Arrival, ...] = ()
    glances: tuple[Glance, ...] = ()
    naked_s_max: float = 10.0
    ticks: Mapping[str, float] = field(default_factory=dict)
    away: tuple[tuple[int, int], ...] = ()
    by_hand: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issue:
    """A permit, and the step that issued it."""

    seq: int
    permit: PermitIssued


def issues(steps: Iterable[Step]) -> dict[int, Issue]:
    """Every permit in the ledger."""
    return {each.id: Issue(step.seq, each) for step in steps for each in step.outputs if isinstance(each, PermitIssued)}


def audit(evidence: Evidence, *, at_rest: bool) -> tuple[str, ...]:
    """Every violation as a sentence; `at_rest` when no order is open and every report has arrived."""
    checks = (*ALWAYS, *AT_REST) if at_rest else ALWAYS
    return tuple(sentence for check in checks for sentence in check(evidence))


# ---------------------------------------------------------------- what holds at every moment


def orders_have_permits(e: Evidence) -> Iterator[str]:
    """Every order of ours has a permit in the ledger; a reducing one may leave before its record and die with it."""
    known = issues(e.steps)
    for order in _ours(e):
        permit = e.permit_of(order.client_id)
        if permit is None:
            if not (e.is_direct(order.client_id) and order.reduce_only):
                yield f"order {order.client_id} is at the venue and names no permit"
        elif permit not in known and not (order.reduce_only and permit in e.spent):
            yield f"order {order.client_id} is at the venue, and the ledger has no permit {permit}"


def records_came_first(e: Evidence) -> Iterator[str]:
    """The permit of every opening order was durable when the order arrived."""
    known = issues(e.steps)
    for arrival in e.arrivals:
        issue = known.get(e.permit_of(arrival.order.client_id) or 0)
        if issue is not None and not issue.permit.reduce_only and issue.seq > arrival.seen:
            yield (
                f"order {arrival.order.client_id} arrived when record {arrival.seen} was the last durable one, "
                f"and its permit is in record {issue.seq}"
            )


def permits_are_used_once(e: Evidence) -> Iterator[str]:
    """No permit is spent twice, and no opening one is at the venue twice."""
    known = issues(e.steps)
    spent = Counter(step.input.permit for step in e.steps if isinstance(step.input, Spent))
    yield from (f"permit {permit} was spent {count} times" for permit, count in spent.items() if count > 1)
    arrived = Counter(each.order.client_id for each in e.arrivals)
    taken = Counter(order.client_id for order in _ours(e))
    for client_id, count in (arrived | taken).items():
        issue = known.get(e.permit_of(client_id) or 0)
        if count > 1 and issue is not None and not issue.permit.reduce_only:
            yield f"permit {issue.permit.id} opens, and its order was placed {count} times"


def openings_were_spent_first(e: Evidence) -> Iterator[str]:
    """The executor's own store knows every opening order at the venue as spent."""
    for order in _ours(e):
        permit = e.permit_of(order.client_id)
        if permit is not None and not order.reduce_only and permit not in e.spent:
            yield f"order {order.client_id} is at the venue, and the executor has not recorded permit {permit} as spent"


def orders_are_as_permitted(e: Evidence) -> Iterator[str]:
    """No order, and nothing that filled, goes beyond what its permit says."""
    known = issues(e.steps)
    filled: Counter[int] = Counter()
    for order in _ours(e):
        issue = known.get(e.permit_of(order.client_id) or 0)
        if issue is None:
            continue
        filled[issue.permit.id] += order.filled_steps
        for what in _beyond(order, issue.permit, e.ticks.get(order.symbol, 0.0)):
            yield f"order {order.client_id} {what}"
    for permit, steps in filled.items():
        if steps > known[permit].permit.steps:
            yield f"permit {permit} is for {known[permit].permit.steps} steps, and {steps} filled"


def _beyond(order: OrderReport, permit: PermitIssued, tick: float) -> Iterator[str]:
    if order.symbol != permit.symbol:
        yield f"is for {order.symbol}, its permit for {permit.symbol}"
    if order.side != permit.side:
        yield f"is on side {order.side:+d}, its permit on {permit.side:+d}"
    if order.steps > permit.steps:
        yield f"is for {order.steps} steps, its permit for {permit.steps}"
    if permit.reduce_only and not order.reduce_only:
        yield "may open, and its permit only reduces"
    if not permit.reduce_only and not order.side * (permit.limit_price - order.limit_price) >= 0.0:
        yield f"has the limit {order.limit_price}, its permit {permit.limit_price}"
    if not _same(order.trigger_price, permit.trigger_price, tick):
        yield f"has the trigger {order.trigger_price}, its permit {permit.trigger_price}"


def _same(one: float, other: float, tick: float) -> bool:
    return abs(one - other) <= tick or (one != one and other != other)


def nothing_void_is_spent(e: Evidence) -> Iterator[str]:
    """No permit is spent after it was revoked, nor an opening one under an older fence or epoch than is in force."""
    known = issues(e.steps)
    fence = epoch = 0
    revoked: set[int] = set()
    for step in e.steps:
        spent = step.input.permit if isinstance(step.input, Spent) else 0
        permit = known[spent].permit if spent in known else None
        if spent in revoked:
            yield f"permit {spent} was revoked, and spent in record {step.seq}"
        if permit is not None and not permit.reduce_only and (permit.fence < fence or permit.epoch < epoch):
            yield (
                f"permit {spent} of fence {permit.fence} and epoch {permit.epoch} was spent in record {step.seq} "
                f"under fence {fence} and epoch {epoch}"
            )
        if isinstance(step.input, AccountOpened):
            epoch = step.input.epoch
        fence = max((fence, *(each.fence for each in step.outputs if isinstance(each, FenceRaised))))
        revoked.update(each.permit for each in step.outputs if isinstance(each, PermitRevoked))


def positions_have_stops(e: Evidence) -> Iterator[str]:
    """Whatever was opened with a stop is covered by one at the venue within the bound, also while the position grows."""
    managed = {each.permit.symbol for each in issues(e.steps).values() if each.permit.stop_price > 0.0} - e.by_hand.keys()
    for symbol in sorted(managed):
        needed, side, since_ns = 0, 1, 0
        for glance in e.glances:
            if needed and (naked_s := _awake_ns(e, since_ns, glance.at_ns) / 1e9) > e.naked_s_max:
                yield f"{symbol}: {needed} steps were held for {naked_s:.1f} s without a stop for them"
                break
            held = glance.positions.get(symbol, 0)
            covered = max(-glance.stops.get(symbol, 0) * (1 if held > 0 else -1), 0)
            if held * side > 0 and min(needed, abs(held)) > covered:
                needed = min(needed, abs(held))
            else:
                needed, side, since_ns = max(abs(held) - covered, 0) and abs(held), held, glance.at_ns


def _awake_ns(e: Evidence, since_ns: int, until_ns: int) -> int:
    """How long a gateway ran between the two."""
    asleep = sum(max(min(end, until_ns) - max(start, since_ns), 0) for start, end in e.away)
    return until_ns - since_ns - asleep


def reduce_only_never_flips(e: Evidence) -> Iterator[str]:
    """Every fill of a reduce-only order took something off the position, and no more than there was."""
    held: Counter[str] = Counter()
    for fill in e.fills:
        before = held[fill.symbol]
        if fill.reduce_only and (before * fill.side >= 0 or fill.steps > abs(before)):
            yield f"order {fill.client_id} is reduce-only and filled {fill.side * fill.steps:+d} on {before} {fill.symbol}"
        held[fill.symbol] += fill.side * fill.steps


# ---------------------------------------------------------------- what holds at rest


def fills_are_booked(e: Evidence) -> Iterator[str]:
    """Every fill at the venue is in the ledger."""
    booked: dict[int, int] = {}
    for step in e.steps:
        if isinstance(step.input, Executed):
            booked[step.input.permit] = max(booked.get(step.input.permit, 0), step.input.filled_steps)
    filled: Counter[int] = Counter()
    for order in _ours(e):
        filled[e.permit_of(order.client_id) or 0] += order.filled_steps
    for permit, steps in filled.items():
        if permit and steps != booked.get(permit, 0):
            yield f"permit {permit} filled {steps} steps at the venue, and the ledger knows of {booked.get(permit, 0)}"


def books_agree(e: Evidence) -> Iterator[str]:
    """The venue's positions are the sum of its fills, and those of the ledger's books."""
    summed: Counter[str] = Counter()
    for fill in e.fills:
        summed[fill.symbol] += fill.side * fill.steps
    for symbol in sorted({*summed, *e.positions, *e.books}):
        held = e.positions.get(symbol, 0)
        if held != summed[symbol]:
            yield f"{symbol}: the venue holds {held} steps, and its fills sum to {summed[symbol]}"
        if held != e.books.get(symbol, 0):
            yield f"{symbol}: the venue holds {held} steps, and the ledger {e.books.get(symbol, 0)}"


def orders_were_released(e: Evidence) -> Iterator[str]:
    """Every opening order of the newest epoch was released by the engine before it left."""
    known = issues(e.steps)
    epoch = max((step.input.epoch for step in e.steps if isinstance(step.input, AccountOpened)), default=0)
    spent = {step.input.permit for step in e.steps if isinstance(step.input, Spent)}
    for order in _ours(e):
        issue = known.get(e.permit_of(order.client_id) or 0)
        if issue is None or issue.permit.reduce_only or issue.permit.epoch < epoch:
            continue
        if issue.permit.id not in spent:
            yield f"order {order.client_id} is at the venue, and the engine never released permit {issue.permit.id}"


def _ours(e: Evidence) -> Iterator[OrderReport]:
    return (order for order in e.orders if order.client_id)


Check = Callable[[Evidence], Iterator[str]]

ALWAYS: Final[tuple[Check, ...]] = (
    orders_have_permits,
    records_came_first,
    permits_are_used_once,
    openings_were_spent_first,
    orders_are_as_permitted,
    nothing_void_is_spent,
    positions_have_stops,
    reduce_only_never_flips,
)
AT_REST: Final[tuple[Check, ...]] = (fills_are_booked, books_agree, orders_were_released)
