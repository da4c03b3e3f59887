"""
Everything that goes wrong in a simulated history, one function each.

A fault does its harm to a `Simulation` once. Adding one is adding a function to `FAULTS`.
"""

from math import inf, nan
from typing import Any, Final

import msgspec

from interlock.core.codes import KillMode, PermitState, Scope
from interlock.core.constants import NS_PER_S
from interlock.core.messages import (
    BarClosed,
    CashFlow,
    EquityMarked,
    Executed,
    Heartbeat,
    Input,
    KillReset,
    KillSet,
    LockSet,
    MarketBatch,
    MarketState,
    ModeSet,
    OwnerSet,
    PositionsReported,
    Quarantined,
    Rebased,
    Tick,
    VenueError,
)
from interlock.testing.builders import PRICES
from interlock.testing.simulator import Fault, Letter, Simulation

# ---------------------------------------------------------------- the wire


def lose_a_message(sim: Simulation) -> None:
    """A message never arrives."""
    if sim.wire:
        sim.wire.pop(sim.chance.randrange(len(sim.wire)))


def duplicate_a_message(sim: Simulation) -> None:
    """A message arrives twice, the second time whenever it likes."""
    if sim.wire:
        letter = sim.chance.choice(sim.wire)
        sim.wire.append(Letter(letter.due_ns + round(sim.chance.uniform(0.0, 60.0) * NS_PER_S), letter.event))


def reorder_messages(sim: Simulation) -> None:
    """Messages overtake each other."""
    times = [letter.due_ns for letter in sim.wire]
    sim.chance.shuffle(times)
    for letter, due_ns in zip(sim.wire, times, strict=True):
        letter.due_ns = due_ns


def delay_a_message(sim: Simulation) -> None:
    """A message takes minutes."""
    if sim.wire:
        sim.chance.choice(sim.wire).due_ns += round(sim.chance.uniform(1.0, 400.0) * NS_PER_S)


GARBLED: Final = (Executed, EquityMarked, MarketBatch, MarketState, BarClosed)


def garble_a_message(sim: Simulation) -> None:
    """A number in a message is NaN, nothing, endless or ten times too large."""
    letters = [letter for letter in sim.wire if isinstance(letter.event, GARBLED)]
    if letters:
        letter = sim.chance.choice(letters)
        letter.event = _garbled(sim, letter.event)


def _garbled(sim: Simulation, event: Input) -> Input:
    wrong = sim.chance.choice((nan, 0.0, -1.0, inf))
    if isinstance(event, MarketBatch):
        quotes = list(event.quotes)
        at = sim.chance.randrange(len(quotes))
        quote = quotes[at]
        if sim.chance.random() < 0.3:
            quotes[at] = _changed(quote, high=quote.mark * 10.0, low=quote.mark * 0.1)
        elif sim.chance.random() < 0.5:
            quotes[at] = _changed(quote, **{sim.chance.choice(("bid", "ask", "mark", "high", "low", "rate")): wrong})
        else:
            quotes[at] = _changed(quote, bid=quote.bid * 10.0, ask=quote.ask * 10.0, mark=quote.mark * 10.0)
        return MarketBatch(tuple(quotes))
    if isinstance(event, MarketState):
        name = sim.chance.choice(("atr", "sigma", "trend_strength", "score", "p_chop"))
        return _changed(event, **{name: wrong}, label=sim.chance.choice(("", "", "CHOP", "MOON")))  # type: ignore[no-any-return]
    if isinstance(event, BarClosed):
        return _changed(event, **{sim.chance.choice(("opened_ns", "length_s")): 0})  # type: ignore[no-any-return]
    if isinstance(event, EquityMarked):
        name = sim.chance.choice(("equity", "balance"))
        return _changed(event, **{name: sim.chance.choice((wrong, getattr(event, name) * 10.0))})  # type: ignore[no-any-return]
    name = sim.chance.choice(("filled_value", "fees", "at_ns"))
    return _changed(event, **{name: 0 if name == "at_ns" else sim.chance.choice((nan, inf))})  # type: ignore[no-any-return]


def _changed(message: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(message, **changes)


def an_unreadable_message(sim: Simulation) -> None:
    """Something arrived that does not decode."""
    kind = sim.chance.choice(("Executed", "EquityMarked", "MarketBatch", "PositionsReported", "CashFlow", "Intent"))
    symbol = sim.chance.choice(("", *PRICES))
    sim.feed(Quarantined(kind, "it does not decode", b"\xff", symbol))


# ---------------------------------------------------------------- clocks and silence


def step_the_clock(sim: Simulation) -> None:
    """The wall clock steps, either way."""
    sim.clock.jump(sim.chance.choice((-7_200.0, -5.0, -0.5, 0.5, 5.0, 7_200.0)))
    sim.feed(Tick())


def set_the_clock_right(sim: Simulation) -> None:
    """The time server is back."""
    sim.clock.skew_ns = 0
    sim.feed(Tick())


def fall_silent(sim: Simulation) -> None:
    """Nothing is heard for minutes."""
    sim.wire.clear()
    sim.pass_time(sim.chance.uniform(60.0, 900.0))
    sim.feed(Tick())


# ---------------------------------------------------------------- the process and its disk


def crash(sim: Simulation) -> None:
    """The process dies and starts again."""
    sim.crash()


def crash_while_writing(sim: Simulation) -> None:
    """The process dies with steps that are decided, carried out and not written."""
    sim.disk.hang()
    for _ in range(sim.chance.randint(1, 4)):
        sim.feed(sim.chance.choice((Tick(), sim.quotes(), sim.venue.equity(sim.clock.true_ns))))
    sim.crash()


def crash_in_the_middle_of_a_day(sim: Simulation) -> None:
    """The process is away for hours."""
    sim.pass_time(sim.chance.uniform(600.0, 40_000.0))
    sim.crash()


def fill_the_disk(sim: Simulation) -> None:
    """The disk takes no more."""
    sim.disk.fill_up()


def hang_the_disk(sim: Simulation) -> None:
    """The disk does not answer."""
    sim.disk.hang()


def heal_the_disk(sim: Simulation) -> None:
    """The disk is back."""
    sim.disk.heal()
    sim.feed(Tick())


# ---------------------------------------------------------------- the venue


def trade_by_hand(sim: Simulation) -> None:
    """Somebody trades past the gate."""
    symbol = sim.chance.choice(tuple(PRICES))
    steps = sim.chance.choice((-1, 1)) * sim.chance.randint(1, 20_000)
    sim.venue.trade_by_hand(symbol, steps)


def a_venue_call_fails(sim: Simulation) -> None:
    """A call to the venue timed out."""
    sim.feed(VenueError("timeout", reducing=sim.chance.random() < 0.5))


def money_moves(sim: Simulation) -> None:
    """A deposit, a withdrawal, funding or a fee, whose notice may be garbled or repeated."""
    kind = sim.chance.choice(("deposit", "withdrawal", "funding", "fee", "swap"))
    amount = sim.chance.uniform(1.0, 400.0) * (1.0 if kind == "deposit" else -1.0)
    sim.send(sim.venue.fund(amount, kind, sim.count))


def a_result_for_nobody(sim: Simulation) -> None:
    """A result comes for an order that nobody knows."""
    sim.feed(Executed(sim.chance.randint(1, 50), PermitState.FILLED, 1, 1.0, 0.0, sim.clock.true_ns))


def a_report_from_the_past(sim: Simulation) -> None:
    """A report is hours old."""
    sim.feed(PositionsReported((), sim.clock.true_ns - 7_200 * NS_PER_S))


def a_stop_is_dropped(sim: Simulation) -> None:
    """The venue cancels a stop that rested, and may not say so."""
    resting = [order for order in sim.venue.orders.values() if order.alive and order.trigger_price == order.trigger_price]
    if resting:
        order = sim.chance.choice(resting)
        sim.venue.cancel(order.permit)
        if sim.chance.random() < 0.5:
            sim.send(sim.venue.result(order.permit, sim.clock.true_ns))


def stops_are_refused(sim: Simulation) -> None:
    """The venue takes no stops."""
    sim.stops_are_taken = False


def stops_are_taken(sim: Simulation) -> None:
    """The venue takes stops again."""
    sim.stops_are_taken = True


# ---------------------------------------------------------------- the way out


def the_owner_falls_silent(sim: Simulation) -> None:
    """Nothing is heard of the exit owner."""
    sim.owner_lives = False


def the_owner_is_back(sim: Simulation) -> None:
    """The exit owner is heard again, for longer than a minute."""
    sim.owner_lives = True
    for _ in range(5):
        sim.feed(Heartbeat(sim.gate.engine.state.account.exit_owner))
        sim.pass_time(15.0)


def a_proposal_comes_again(sim: Simulation) -> None:
    """An exit owner's proposal comes again: at once, or minutes late."""
    if sim.proposals:
        sim.send(sim.chance.choice(sim.proposals), sim.chance.choice((0.1, 30.0, 400.0)))


def bars_out_of_order(sim: Simulation) -> None:
    """Bars come late, twice, of another length, or from the future."""
    symbol = sim.chance.choice(tuple(PRICES))
    for _ in range(3):
        opened_ns = sim.clock.true_ns + sim.chance.randint(-30, 5) * 60 * NS_PER_S
        sim.send(_changed(sim.bar(symbol, opened_ns), length_s=sim.chance.choice((60.0, 60.0, 900.0))))


def the_market_falls_silent(sim: Simulation) -> None:
    """Nobody tells the market state any more."""
    sim.market_tells = False


def the_market_is_told(sim: Simulation) -> None:
    """The market state is told again."""
    sim.market_tells = True


# ---------------------------------------------------------------- people and policies


def the_policy_fails(sim: Simulation) -> None:
    """The policy's digest does not match."""
    sim.feed(_changed(sim.policy.compile(sim.clock.true_ns), verified=False))


def the_policy_expires(sim: Simulation) -> None:
    """A policy is published that is about to end."""
    sim.feed(_changed(sim.policy.compile(sim.clock.true_ns), valid_until_ns=sim.clock.true_ns + 5 * NS_PER_S))


def the_policy_is_good(sim: Simulation) -> None:
    """The policy is published again."""
    sim.feed(sim.policy.publish(sim.clock.true_ns).compile(sim.clock.true_ns))


def throw_the_kill_switch(sim: Simulation) -> None:
    """An operator or a program throws the kill switch."""
    mode = sim.chance.choice((KillMode.REDUCE_ONLY, KillMode.REDUCE_ONLY, KillMode.FLATTEN, KillMode.FREEZE))
    scope, key = sim.chance.choice(
        ((Scope.ACCOUNT, ""), (Scope.STRATEGY, "trend"), (Scope.SYMBOL, sim.chance.choice(tuple(PRICES))))
    )
    sim.feed(KillSet(mode, scope, key, "trying", sim.chance.choice(("alice", ""))))


def reset_the_kill_switch(sim: Simulation) -> None:
    """An operator resets the kill switch wherever it may be."""
    for scope, key in ((Scope.ACCOUNT, ""), (Scope.STRATEGY, "trend"), *((Scope.SYMBOL, symbol) for symbol in PRICES)):
        sim.feed(KillReset(scope, key, "alice"))


def an_operator_locks(sim: Simulation) -> None:
    """An operator forbids new risk for a while."""
    until_ns = sim.clock.wall_ns + sim.chance.choice((-1, 60, 3_600)) * NS_PER_S
    scope, key = sim.chance.choice(((Scope.ACCOUNT, ""), (Scope.STRATEGY, "trend"), (Scope.SYMBOL, "BTC")))
    sim.feed(LockSet(scope, key, sim.chance.choice((-1, 0, 1)), until_ns, "lunch", "alice"))


def an_operator_rebases(sim: Simulation) -> None:
    """An operator takes present equity as the reference."""
    sim.feed(Rebased("alice", "reviewed"))


def an_operator_names_an_owner(sim: Simulation) -> None:
    """Exits belong to somebody else from now on."""
    sim.feed(OwnerSet(sim.chance.choice(("any", "exit", "nobody")), "alice"))


def the_mode_changes(sim: Simulation) -> None:
    """Arming, rollout and the environment's switch change, or are unknown."""
    armed, rollout, kill = (sim.chance.choice((0.0, 1.0, nan)) for _ in range(3))
    sim.feed(ModeSet(armed, rollout, kill))


def a_flow_without_sense(sim: Simulation) -> None:
    """A notice of money that no venue sends."""
    sim.feed(CashFlow(sim.chance.choice(("deposit", "gift")), sim.chance.choice((nan, inf, 0.0))))


FAULTS: Final[tuple[Fault, ...]] = (
    lose_a_message,
    duplicate_a_message,
    reorder_messages,
    delay_a_message,
    garble_a_message,
    garble_a_message,
    garble_a_message,
    an_unreadable_message,
    step_the_clock,
    set_the_clock_right,
    fall_silent,
    crash,
    crash_while_writing,
    crash_in_the_middle_of_a_day,
    fill_the_disk,
    hang_the_disk,
    heal_the_disk,
    heal_the_disk,
    heal_the_disk,
    trade_by_hand,
    a_venue_call_fails,
    money_moves,
    a_result_for_nobody,
    a_report_from_the_past,
    a_stop_is_dropped,
    stops_are_refused,
    stops_are_taken,
    stops_are_taken,
    the_owner_falls_silent,
    the_owner_is_back,
    the_owner_is_back,
    a_proposal_comes_again,
    bars_out_of_order,
    the_market_falls_silent,
    the_market_is_told,
    the_market_is_told,
    the_policy_fails,
    the_policy_expires,
    the_policy_is_good,
    the_policy_is_good,
    throw_the_kill_switch,
    reset_the_kill_switch,
    reset_the_kill_switch,
    an_operator_locks,
    an_operator_rebases,
    an_operator_names_an_owner,
    the_mode_changes,
    a_flow_without_sense,
)
"""All faults; one that stands here twice happens twice as often."""
