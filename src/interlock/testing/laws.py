"""
The laws that can be checked on a running system, one function each.

A law looks at one step, at the state before and after it, and at what the world outside knows, and answers what is wrong,
or nothing. Adding one is adding a function to `LAWS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, nan
from typing import Final, NamedTuple

from interlock.core import snapshot
from interlock.core.authority import ALWAYS, EMERGENCY, EXITS, OPERATOR
from interlock.core.codes import CloseAction, Code, KillMode, PermitState, RiskAction, Scope, TradingState
from interlock.core.constants import NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.decide import decide
from interlock.core.due import due_ns
from interlock.core.limits import NO_LIMITS, is_on
from interlock.core.locks import account_lock, strategy_lock, symbol_lock
from interlock.core.measure import measure, sides_of
from interlock.core.messages import (
    Adopted,
    Decision,
    Executed,
    ExitProposed,
    FlattenGoal,
    Input,
    Intent,
    KillSet,
    LockChanged,
    Output,
    PermitIssued,
    RiskEvent,
    Step,
)
from interlock.core.permit import IN_FLIGHT, RESTING
from interlock.core.state import LOSS_TRIGGERS, RUNGS, VOLUNTARY, State, is_open, is_stop
from interlock.core.transitions import is_fresh, patience_ends_ns
from interlock.ledger.steps import encode

CLOSING_ANSWERS: Final = frozenset(
    {Code.NOTHING_TO_REDUCE, Code.NOT_EXIT_OWNER, Code.TRADING_HALTED, Code.MALFORMED},
)
"""The only denials of a reducing order."""

TRUTH_ROOM: Final = 0.002
"""Truth is sampled: a price between two samples may lie this share beyond both."""


class Rung(NamedTuple):
    """A rung of the way out in one position's life."""

    symbol: str
    episode: int
    rung: str


@dataclass
class Look:
    """
    One step and everything around it.

    `looked` are the outputs of deciding the same input twice before the step, `state_looked` the state's bytes after that.
    `handed` are the permits that left with the step, `durable_seq` is what was on disk when they did. `equity_low` is the
    lowest equity that was true lately. `decided_at` tells which step issued a permit. `fired` are the rungs that closed
    anything before the step, `marks` each symbol's true lowest and highest mark of late.
    """

    state_before: bytes
    state_looked: bytes
    looked: tuple[Output, ...]
    step: Step
    state: State
    handed: tuple[PermitIssued, ...]
    durable_seq: int
    equity_low: float
    decided_at: dict[int, int]
    placements: dict[int, int]
    probe: bool = False
    fired: Mapping[Rung, int] = field(default_factory=dict)
    marks: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @cached_property
    def before(self) -> State:
        """The state before the step."""
        return snapshot.decode(self.state_before)


Law = Callable[[Look], str]


# ---------------------------------------------------------------- the engine


def deciding_changes_nothing(look: Look) -> str:
    """Deciding leaves the state as it was, to the byte."""
    return "" if look.state_before == look.state_looked else "decide changed the state"


def deciding_again_gives_the_same(look: Look) -> str:
    """The step's outputs are those that deciding the same input on the same state gave before."""
    step = look.step
    again = Step(step.seq, step.at_ns, step.mono_ns, step.input, look.looked, step.schema)
    return "" if encode(again) == encode(step) else f"decided before: {look.looked}, now: {step.outputs}"


def steps_are_conserved(look: Look) -> str:
    """Issued = reserved + settled + released, per symbol and in every sum, in integers."""
    state = look.state
    pending: dict[int, list[int]] = {}
    reserved = [0, 0]
    for p in state.permits.live.values():
        if p.reduce_only:
            continue
        sides = pending.setdefault(p.symbol, [0, 0])
        sides[p.side < 0] += p.pending
        reserved[p.side < 0] += p.reserved * p.pending // p.steps
        if p.pending != p.steps - p.filled or p.filled > p.steps:
            return f"permit {p.id} has {p.steps} steps, {p.filled} filled and {p.pending} pending"
    for index in range(len(state.symbols)):
        r = state.symbols[index]
        buy, sell = pending.get(index, [0, 0])
        if (r.pending_buy, r.pending_sell) != (buy, sell):
            return f"{state.names.symbols[index]}: pending {r.pending_buy}/{r.pending_sell}, its permits {buy}/{sell}"
        if r.issued != buy + sell + r.settled + r.released:
            return (
                f"{state.names.symbols[index]}: {r.issued} issued, {buy + sell} + {r.settled} + {r.released} accounted for"
            )
    a = state.account
    if [a.pending_buy_reserved, a.pending_sell_reserved] != reserved:
        return f"the account reserves {a.pending_buy_reserved}/{a.pending_sell_reserved}, its permits {reserved}"
    clusters = dict.fromkeys(range(len(state.clusters) - 1), 0)
    for r in state.symbols:
        if r.cluster >= 0:
            clusters[r.cluster] += r.pending_buy_reserved + r.pending_sell_reserved
    told = {number: state.clusters[number].pending_reserved for number in clusters}
    return "" if told == clusters else f"the clusters reserve {told}, their symbols {clusters}"


def what_is_derived_is_of_now(look: Look) -> str:
    """Open rows, sides, sums and what is due are remembered; they are what the rows say, or decisions come too late."""
    state, twin, anew = look.state, look.state.draft(), snapshot.decode(snapshot.encode(look.state))
    measure(twin)
    measure(anew)
    still = set(state.open_rows) - set(state.concerned())
    for what, remembered, told in (
        ("open", state.open_rows, [index for index, r in enumerate(state.symbols) if is_open(r)]),
        ("sides", state.sides, sides_of(state)),
        ("parts", repr(twin.totals.parts), repr(anew.totals.parts)),
        ("due", {index: state.due.by_row[index] for index in still}, {index: due_ns(state, index) for index in still}),
    ):
        if remembered != told:
            return f"{what}: remembered are {remembered}, the rows say {told}"
    return ""


def who_was_not_asked_had_nothing_to_say(look: Look) -> str:
    """A state read from its bytes asks every row, and comes to the same: the running one left out none that mattered."""
    step = look.step
    outputs = decide(look.before, step.at_ns, step.mono_ns, step.input)
    anew = Step(step.seq, step.at_ns, step.mono_ns, step.input, outputs, step.schema)
    return "" if encode(anew) == encode(step) else f"asked anew: {outputs}, decided: {step.outputs}"


def reducing_never_flips(look: Look) -> str:
    """No result of a reducing order takes a position through zero, unless the position is in doubt from then on."""
    event = look.step.input
    p = look.before.permits.get(event.permit) if isinstance(event, Executed) else None
    if p is None or not p.reduce_only:
        return ""
    before, after = look.before.symbols[p.symbol].position, look.state.symbols[p.symbol]
    flipped = before * after.position < 0 or (before == 0 and after.position != 0)
    return f"a reducing order took {before} steps to {after.position}" if flipped and after.known == 1.0 else ""


def core_time_goes_on(look: Look) -> str:
    """Core time does not run backwards by more than clocks may differ, and never while the clock is not trusted."""
    one, other, limits = look.before.account, look.state.account, look.state.account_limits()
    room_s = limits.clock_venue_gap_s_max + 2.0 * limits.clock_step_s_max if other.clock_trusted == 1.0 else 0.0
    if one.now_ns - other.now_ns > room_s * NS_PER_S_FLOAT:
        return f"core time went back by {one.now_ns - other.now_ns} ns"
    return ""


# ---------------------------------------------------------------- opening


def record_first(look: Look) -> str:
    """No opening permit leaves before its record is durable."""
    for permit in look.handed:
        seq = look.decided_at.get(permit.id, look.step.seq)
        if not permit.reduce_only and seq > look.durable_seq:
            return f"permit {permit.id} of step {seq} left, durable is {look.durable_seq}"
    return ""


def nothing_opens_under_a_lock(look: Look) -> str:
    """Under a lock on the account no opening permit is unspent, and every working opening order is to be cancelled."""
    state = look.state
    a = state.account
    if account_lock(a, a.now_ns, a.clock_trusted)[0] == TradingState.ACTIVE:
        return ""
    for p in state.permits.live.values():
        if not p.reduce_only and (p.state == PermitState.ISSUED or (p.state in IN_FLIGHT and not p.cancelling)):
            return f"opening permit {p.id} is {p.state.name} under a lock"
    return ""


def an_opening_needs_every_proof(look: Look) -> str:
    """An opening leaves only with its guards' facts recorded, and none of the plainest of them missing."""
    for output in look.step.outputs:
        if isinstance(output, Decision) and output.granted_steps > 0 and not output.reducing and not output.repeats:
            f = output.facts
            if f is None or not (f.equity > 0.0 and f.mark > 0.0 and f.policy_s_left >= 0.0 and f.clock_trusted == 1.0):
                return f"decision {output.id} opened without proof"
            if f.reconciled != 1.0 or f.unknown_count != 0.0 or f.reducing != 0.0:
                return f"decision {output.id} opened unreconciled or under a lock"
    return ""


def permits_are_used_once(look: Look) -> str:
    """No opening permit's order has arrived at the venue twice."""
    twice = [number for number, count in look.placements.items() if count > 1]
    opening = [number for number in twice if (p := look.state.permits.get(number)) is not None and not p.reduce_only]
    return f"permits {opening} were used twice" if opening else ""


# ---------------------------------------------------------------- the way out


def a_close_is_answered(look: Look) -> str:
    """An order against the position leaves, or is denied for one of four reasons; the operator's leaves whole."""
    intent = look.step.input
    if not isinstance(intent, Intent):
        return ""
    before = look.before
    index = before.names.symbol_index.get(intent.symbol, -1)
    instrument = before.instruments[index] if index >= 0 else None
    if instrument is None or intent.side not in (1, -1) or not 0.0 < intent.quantity < inf:
        return ""
    steps = instrument.steps_down(intent.quantity)
    r = look.before.symbols[index]
    against = r.position * intent.side < 0
    if not steps or not (against or (intent.reduce_only and r.known != 1.0)):
        return ""
    answers = [each for each in look.step.outputs if isinstance(each, Decision) and each.intent_id == intent.id]
    first = answers[0] if answers else None
    if first is None:
        return "a close was not answered"
    if first.granted_steps:
        return "" if first.reducing else f"a close was answered as an opening: {first.headline}"
    if intent.rung and first.headline == Code.ALLOWED:
        return ""  # it moves the stop and closes nothing
    if first.headline not in CLOSING_ANSWERS or first.headline == Code.MALFORMED:
        return f"a close was denied {first.headline}"
    if intent.source in ALWAYS and first.headline == Code.NOT_EXIT_OWNER:
        return f"{intent.source} may always close"
    if intent.source == OPERATOR and not intent.rung:  # a rung that is under way already closes no more
        return f"the operator's close was denied {first.headline}"
    return ""


def a_close_depends_on_nothing_else(look: Look) -> str:
    """
    The answer to a close is the same without prices, equity, policy, rates, mode and clock as with them.

    Not asked while core time is about to fall back to a clock that is trusted again: the two would not ask at one time.
    """
    state = look.state
    falls_back = state.account.clock_trusted == 1.0 and state.account.now_ns != look.step.at_ns
    if not look.probe or falls_back:
        return ""
    for index in tuple(state.open_rows):
        r = state.symbols[index]
        instrument = state.instruments[index]
        if r.position == 0 or instrument is None:
            continue
        side = -1 if r.position > 0 else 1
        strategy = state.names.strategies[r.owner] if r.owner >= 0 else ""
        for source in (OPERATOR, EMERGENCY, *state.names.sources):
            quantity = instrument.quantity(abs(r.position) + 1)
            probe = Intent("probe", source, strategy, state.names.symbols[index], side, quantity, reduce_only=True)
            whole = _answer(snapshot.decode(snapshot.encode(state)), probe, look.step, 0)
            blind = _answer(_blinded(state), probe, look.step, -3_600_000_000_000)
            if whole != blind:
                return f"{probe.symbol} by {source!r}: {whole} with data, {blind} without"
    return ""


def _answer(state: State, probe: Input, step: Step, skew_ns: int) -> list[tuple[Code, int]]:
    outputs = decide(state, step.at_ns + skew_ns, step.mono_ns, probe)
    return [(o.headline, o.granted_steps) for o in outputs if isinstance(o, Decision) and o.intent_id == "probe"]


def _blinded(state: State) -> State:
    """A copy of the state that knows its positions, its closes, its locks and who may close, and nothing else."""
    twin = snapshot.decode(snapshot.encode(state))
    a = twin.account
    patience = {index: state.limits(state.symbols[index]) for index in state.open_rows}
    account = state.account_limits()
    a.venue_equity = a.own_equity = a.equity_peak = a.drawdown_ref = a.initial_balance = a.balance_known = nan
    a.venue_equity_at_ns = a.policy_valid_until_ns = 0
    a.policy_loaded = a.policy_verified = a.armed = a.rollout = a.environment_kill = nan
    a.order_tat_ns = OPERATOR_NS
    a.clock_trusted = 0.0
    for index in range(len(twin.symbols)):
        r = twin.edit_symbol(index)
        r.bid = r.ask = r.mark = r.rate = r.unit_notional = r.margin_leverage = r.tradable = nan
        r.mark_at_ns = r.rate_at_ns = 0
        r.doubt = 1.0
    rights = twin.rights
    if twin.policy is not None and all(each.close_patience_s == account.close_patience_s for each in patience.values()):
        kept = {"close_patience_s": account.close_patience_s, "controller_age_s_max": account.controller_age_s_max}
        limits = type(account)(0, *[kept.get(name, nan) for name in NO_LIMITS.__struct_fields__[1:]])
        changed = type(twin.policy)(
            twin.policy.policy_id,
            "",
            0,
            False,
            tuple(limits for _ in twin.policy.limits),
            (),
            twin.policy.rights,
            twin.policy.exit_owner,
        )
        twin.policy = changed
    twin.rights = rights
    return twin


def the_entitled_may_close(look: Look) -> str:
    """A living owner, or whoever opened where nobody owns the exits, is denied no close; a succeeded owner is."""
    intent, before = look.step.input, look.before
    if not isinstance(intent, Intent) or intent.source in ALWAYS or intent.symbol not in before.names.symbol_index:
        return ""
    r = before.symbols[before.names.symbol_index[intent.symbol]]
    answer = next((o for o in look.step.outputs if isinstance(o, Decision) and o.intent_id == intent.id), None)
    if answer is None or r.position * intent.side >= 0 or (intent.rung and intent.close is CloseAction.NONE):
        return ""
    if answer.repeats:
        return ""  # nothing is granted by it: it says what was
    a, now_ns = before.account, look.state.account.now_ns
    opened = r.opener >= 0 and before.names.sources[r.opener] == intent.source
    owns = intent.source == a.exit_owner
    silent = not is_fresh(now_ns, a.heartbeat_ns, before.account_limits().controller_age_s_max)
    denied = answer.headline == Code.NOT_EXIT_OWNER
    if owns:
        wrong = denied != a.exit_deposed and answer.headline in (Code.NOT_EXIT_OWNER, Code.ALLOWED)
    elif a.exit_owner == "any" or a.exit_deposed or silent:
        wrong = denied and opened
    else:
        wrong = answer.granted_steps > 0
    return f"{intent.source} was answered {answer.headline}; the exits are {a.exit_owner}'s" if wrong else ""


def is_remembered(proposal: ExitProposed) -> bool:
    """Whether the proposal's rung is spent by it."""
    return proposal.rung in (RUNGS if proposal.source == EXITS else VOLUNTARY)


def a_rung_closes_once(look: Look) -> str:
    """
    No rung closes a second time in the life of a position; only whoever wants all of it closed may say so again.

    A rung that protects is the built-in rules' own: others may use its name as often as they like.
    """
    for output in look.step.outputs:
        if not isinstance(output, ExitProposed) or not output.acting or output.fraction == 0.0:
            continue
        asks = output.left_steps >= 0 or output.source == EXITS  # others may be told that it is closed already
        if asks and is_remembered(output):
            again = Rung(output.symbol, output.episode, output.rung) in look.fired
            if again and (output.fraction < 1.0 or output.source == EXITS):
                return f"{output.rung} of {output.symbol} closes again"
    return ""


def exits_close_no_more_than_is_held(look: Look) -> str:
    """What the built-in rules ask to close at once is what is held, less what may stay; one order for each rung."""
    asked: dict[str, int] = {}
    for output in look.step.outputs:
        if isinstance(output, PermitIssued) and output.source == EXITS:
            asked[output.symbol] = asked.get(output.symbol, 0) + output.steps
    for symbol, steps in asked.items():
        r = look.state.symbols[look.state.names.symbol_index[symbol]]
        if steps > abs(r.position) - max(r.exit_left, 0):
            return f"{symbol}: {steps} of {r.position} steps are to be closed at once, {r.exit_left} may stay"
    return ""


def stops_only_tighten(look: Look) -> str:
    """Where the rules look after a stop, it moves towards the market, unless an operator or a new position moves it."""
    event, before, after = look.step.input, look.before, look.state
    if isinstance(event, Adopted) or (isinstance(event, Intent) and event.source == OPERATOR):
        return ""
    for index in range(len(before.symbols)):
        one, other = before.symbols[index], after.symbols[index]
        kept = one.episode == other.episode and one.position * other.position > 0 and one.stop_price > 0.0
        if not kept or not is_on(before.limits(one), Code.STOP_EXIT):
            continue
        side = 1.0 if one.position > 0 else -1.0
        if not side * (other.stop_price - one.stop_price) >= 0.0:
            return f"{before.names.symbols[index]}: the stop went from {one.stop_price} to {other.stop_price}"
    return ""


def exits_are_proven(look: Look) -> str:
    """The built-in rules close nothing on a price that was not true of late, nor a position that is not known."""
    for output in look.step.outputs:
        if not isinstance(output, ExitProposed) or output.source != EXITS or output.fraction == 0.0:
            continue
        now = look.state.symbols[look.state.names.symbol_index[output.symbol]]
        if now.position == 0 or now.known != 1.0:
            return f"{output.rung} closes {output.symbol}, of which {now.position} steps are held, known {now.known}"
        before = look.before.symbols[look.before.names.symbol_index[output.symbol]]
        r = before if before.position * now.position > 0 else now
        low, high = look.marks.get(output.symbol, (0.0, inf))
        if not low * (1.0 - TRUTH_ROOM) <= output.mark <= high * (1.0 + TRUTH_ROOM):
            return f"{output.rung} closes {output.symbol} at {output.mark}, truly it was within {low} and {high}"
        worst = low if r.position > 0 else -high
        reached = worst <= (r.stop_price if r.position > 0 else -r.stop_price) + abs(r.stop_price) * TRUTH_ROOM
        if output.rung == "stop" and output.reason == "stop" and not reached:
            return f"{output.symbol} is closed at its stop {r.stop_price}, truly it was within {low} and {high}"
    return ""


# ---------------------------------------------------------------- triggers and locks


def no_flight_without_proof(look: Look) -> str:
    """A loss trigger fires only if equity truly was under its floor, whatever the engine was told."""
    for output in look.step.outputs:
        if not isinstance(output, RiskEvent) or output.trigger not in LOSS_TRIGGERS:
            continue
        if output.action != RiskAction.REARM and look.equity_low > output.threshold:
            return f"{output.trigger} at {output.value_at_trigger}, floor {output.threshold}, truly {look.equity_low}"
    return ""


def a_flatten_has_a_cause(look: Look) -> str:
    """A position starts being flattened only by a loss trigger of the same step or by an operator's kill."""
    fired = {
        each.trigger for each in look.step.outputs if isinstance(each, RiskEvent) and each.action == RiskAction.FLATTEN
    }
    for output in look.step.outputs:
        if isinstance(output, FlattenGoal) and output.active and output.attempts == 0:
            index = look.before.names.symbol_index[output.symbol]
            killed = isinstance(look.step.input, KillSet) and output.code == Code.KILL_SWITCH
            if not look.before.symbols[index].goal and output.code not in fired and not killed:
                return f"{output.symbol} is flattened for {output.code}, which did not fire"
    return ""


def a_managed_position_has_its_stop(look: Look) -> str:
    """
    Where stops rest at the venue, a position with a stop has exactly that one, working or on its way.

    But for the pause after a refusal, while it is closed instead, and while an earlier one is still on its way, for no
    longer than the patience. A stop for anything else is on its way out. Not asked while trust in the clock changes: core
    time leaps then, after what was decided.
    """
    state = look.state
    a = state.account
    if not a.stops_at_venue or a.clock_trusted != look.before.account.clock_trusted:
        return ""
    for index in range(len(state.symbols)):
        r = state.symbols[index]
        stops = [p for number in r.permits if (p := state.permits.get(number)) is not None and is_stop(p)]
        adding = [p.id for p in stops if p.side * r.position >= 0 and not p.cancelling]
        if r.known == 1.0 and adding:
            return f"{state.names.symbols[index]}: {r.position} steps are held, and stops {adding} would close none of them"
        needs = r.known == 1.0 and r.position != 0 and r.owner >= 0 and r.stop_price > 0.0
        pausing = r.stop_refusals > 0 and a.now_ns < r.stop_next_ns
        patience_s = state.limits(r).close_patience_s
        coming = any(
            p.issued_ns <= a.now_ns <= patience_ends_ns(p.issued_ns, patience_s) and not p.cancelling
            for p in stops
            if p.state not in RESTING
        )
        if not needs or r.goal or pausing or coming:
            continue
        if not any((p.steps - p.filled) * p.side == -r.position and p.trigger_price == r.stop_price for p in stops):
            return f"{state.names.symbols[index]}: {r.position} steps have no stop at {r.stop_price}"
    return ""


def a_missing_stop_is_proven(look: Look) -> str:
    """A position is closed in place of its stop only after the venue refused it, or with the market beyond it."""
    for output in look.step.outputs:
        if not isinstance(output, RiskEvent) or output.action != RiskAction.FLATTEN:
            continue
        r = look.state.symbols[look.state.names.symbol_index.get(output.symbol, 0)]
        if output.trigger == Code.STOP_REFUSED and not r.stop_refusals > 0:
            return f"{output.symbol} is closed for want of a stop that nobody refused"
        if output.trigger == Code.STOP_HIT and not (r.mark - r.stop_price) * (1 if r.position > 0 else -1) <= 0.0:
            return f"{output.symbol} is closed at its stop {r.stop_price}, and the mark is {r.mark}"
    return ""


def every_lock_ends(look: Look) -> str:
    """Every lock that was set has an end in the future, as far as time is known, or is an operator's to end."""
    a = look.state.account
    for output in look.step.outputs:
        if not isinstance(output, LockChanged) or output.until_ns == 0 or a.clock_trusted != 1.0:
            continue
        if output.until_ns <= a.now_ns:
            return f"{output.code} was set to end {a.now_ns - output.until_ns} ns ago"
    return ""


def only_a_freeze_halts(look: Look) -> str:
    """HALTED comes of an operator's freeze and of nothing else."""
    event = look.step.input
    freeze = isinstance(event, KillSet) and event.mode == KillMode.FREEZE
    for output in look.step.outputs:
        if isinstance(output, LockChanged) and output.severity == TradingState.HALTED and not freeze:
            return f"{output.code} halted {output.scope}"
    return ""


def a_kill_takes_effect(look: Look) -> str:
    """After the kill switch was thrown its scope is at least REDUCING."""
    event = look.step.input
    state = look.state
    a = state.account
    if not isinstance(event, KillSet) or event.scope != Scope.ACCOUNT:
        return _scoped_kill(look, event) if isinstance(event, KillSet) else ""
    held = account_lock(a, a.now_ns, a.clock_trusted)[0]
    return "" if held >= TradingState.REDUCING else "the kill switch had no effect"


def _scoped_kill(look: Look, event: KillSet) -> str:
    state = look.state
    a = state.account
    if event.scope == Scope.STRATEGY:
        s = state.strategies[state.names.strategy_index[event.scope_key]]
        held = strategy_lock(s, a.now_ns, a.clock_trusted)[0]
    else:
        r = state.symbols[state.names.symbol_index[event.scope_key]]
        held = min(symbol_lock(r, side, a.now_ns, a.clock_trusted)[0] for side in (1, -1))
    return "" if held >= TradingState.REDUCING else f"the kill switch had no effect on {event.scope_key}"


LAWS: Final[tuple[Law, ...]] = (
    deciding_changes_nothing,
    deciding_again_gives_the_same,
    steps_are_conserved,
    what_is_derived_is_of_now,
    who_was_not_asked_had_nothing_to_say,
    reducing_never_flips,
    core_time_goes_on,
    record_first,
    nothing_opens_under_a_lock,
    an_opening_needs_every_proof,
    permits_are_used_once,
    a_close_is_answered,
    a_close_depends_on_nothing_else,
    the_entitled_may_close,
    a_rung_closes_once,
    exits_close_no_more_than_is_held,
    stops_only_tighten,
    exits_are_proven,
    no_flight_without_proof,
    a_flatten_has_a_cause,
    a_managed_position_has_its_stop,
    a_missing_stop_is_proven,
    every_lock_ends,
    only_a_freeze_halts,
    a_kill_takes_effect,
)


def broken(look: Look, laws: tuple[Law, ...] = LAWS) -> list[str]:
    """The laws that the step breaks, each as its name and what is wrong."""
    found = ((law.__name__, law(look)) for law in laws)
    return [f"{name}: {problem}" for name, problem in found if problem]
