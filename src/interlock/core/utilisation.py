"""
How far every rule is used now: of what a limit allows, what is taken already, in the place where that is most.

Guards are asked themselves, for the venue's smallest order of every strategy that may open, in every symbol and on
either side; no formula is repeated here. What can honestly be said depends on the rule:

- `share`: what is held, reserved, lost, counted or aged uses up a limit. The use is the strictest value of that limit
  under which the guard would still admit a further, tiny order: 1.2 % of a daily loss of 2.5 % is 48 %. Of several limits
  the one that is used most is told. LOSS_HEADROOM counts as lost what the stops would lose.
- `order`: the rule bounds each order by itself, and nothing is used up: what is told is the largest that it lets pass.
- `condition`: something holds or does not, such as a lock or a window, and where time decides, how far away that is.
- `position`: a rule of the way out looks at each position by itself: what it reads, from where on it acts, and the move of
  the mark until then, on the position where that is nearest.

A trigger is told by the measure that fires it, as a share of the value at which it does. Nothing here is changed.
"""

from collections.abc import Iterable, Iterator
from math import inf, isnan, nan
from operator import attrgetter
from typing import Final, Literal, NamedTuple

import msgspec

from interlock.core.agenda import Agenda
from interlock.core.checks import ask_guards, checks_of
from interlock.core.codes import Code
from interlock.core.constants import SILENCES
from interlock.core.envelope import least_steps, present, with_stop
from interlock.core.exits.explain import closest, exit_owner, explain_exits
from interlock.core.exits.views import ExitOwner
from interlock.core.explain import Headroom, Reading, facts_read, headroom_of, is_cap, limits_read, objection_of
from interlock.core.facts import Facts
from interlock.core.firing import UNMEASURED, Firing, firings
from interlock.core.guard import Guard
from interlock.core.guards import GUARDS
from interlock.core.headroom import admits, limit_use
from interlock.core.legs import order_of
from interlock.core.limits import BITS, LIMIT_FIELDS, Limits, is_on
from interlock.core.messages import BUY, SELL, Intent
from interlock.core.observe import observe
from interlock.core.reasons import EXITS, TRIGGERS
from interlock.core.state import State

Measure = Literal["share", "order", "condition", "position"]
Stand = Literal["admits", "objects", "quiet", "fired", "off", "unasked"]


class Standing(msgspec.Struct, frozen=True):
    """
    How one rule stands now.

    `stand` is, of a guard, whether it admits the venue's smallest order wherever it was asked; of a trigger, whether it has
    fired and still holds. `used` of `limit`, in `unit`, is a `share` of 1; all are NaN where there is no such measure, and
    `limit_name` is empty. `allowance` is the most that a guard lets pass, in account currency, infinite without a bound.

    These are told of the worst place: `strategy`, `symbol` and `side`, empty and 0 where it is the same everywhere.
    `place_count` places were asked, in `objecting_count` of them the guard objects, in `binding_count` it is the one that
    allows least. `unknown` names facts that are missing there, `why` the objection in words, `room` how far a condition
    without a share is from changing. `move_frac` is the move of the mark by which a rule of the way out acts. `facts` and
    `limits` are what it reads there. `until_ns` is the end of a trigger's lock, 0 without one.
    """

    code: Code
    kind: Literal["guard", "trigger", "exit"]
    measure: Measure
    stand: Stand
    limit_name: str = ""
    used: float = nan
    limit: float = nan
    unit: str = ""
    share: float = nan
    allowance: float = inf
    strategy: str = ""
    symbol: str = ""
    side: int = 0
    place_count: int = 0
    objecting_count: int = 0
    binding_count: int = 0
    unknown: tuple[str, ...] = ()
    why: str = ""
    room: Headroom | None = None
    move_frac: float = nan
    until_ns: int = 0
    facts: tuple[Reading, ...] = ()
    limits: tuple[Reading, ...] = ()


class Utilisation(msgspec.Struct, frozen=True):
    """
    How far every guard, every trigger and every rule of the way out is used at `at_ns`, in their order.

    `stop_frac` is the stop that was assumed for orders; `undefined` are symbols of the policy that nobody has defined, in
    which nothing can be asked.
    """

    at_ns: int
    currency: str
    stop_frac: float
    place_count: int
    undefined: tuple[str, ...]
    standings: tuple[Standing, ...]


def utilisation(state: State, wall_ns: int, mono_ns: int, *, stop_frac: float = nan) -> Utilisation:
    """
    How far every rule is used now.

    Args:
        state: of the account; it is not changed.
        wall_ns: wall clock, UTC epoch.
        mono_ns: monotonic clock.
        stop_frac: distance of the assumed orders' stops, as a share of the mark; without it they name none, and the
            policy's sizing model may give them one.
    """
    agenda = present(state, wall_ns, mono_ns)
    now = agenda.state
    universe = now.names.symbols if now.policy is None else [each.symbol for each in now.policy.universe]
    undefined = tuple(symbol for symbol in universe if not _is_defined(now, symbol))
    places = [*_places(agenda, [symbol for symbol in universe if symbol not in undefined], stop_frac)]
    binding = [place.binding() for place in places]
    guards = (_guard_stands(guard, places, binding.count(guard.code), now) for guard in GUARDS)
    told = {each.code: each for each in firings(now, agenda.at_ns)}
    triggers = (_trigger_stands(code, told.get(code), now.account_limits()) for code in TRIGGERS)
    standings = (*guards, *triggers, *_exits_stand(now, agenda.at_ns))
    return Utilisation(agenda.at_ns, now.account.currency, stop_frac, len(places), undefined, standings)


def measure_of_trigger(code: Code) -> Measure:
    """What can be said of a trigger: how much of what fires it is there, or whether it has come."""
    return "condition" if code in UNMEASURED else "share"


def measure_of_exit(code: Code) -> Measure:
    """What can be said of a rule of the way out: of most, how far it is on a position."""
    if code == Code.HEARTBEAT_LOST:
        return "share"
    return "condition" if code == Code.RULE_EXPOSED else "position"


def measure_of(guard: Guard) -> Measure:
    """What can be said of a guard's use."""
    reads = {*guard.reads}
    if reads & OF_ORDER and not reads & TAKEN:
        return "order"
    return "share" if any(_has_use(name) for name in guard.limits) else "condition"


OF_ORDER: Final = frozenset(
    {
        "requested_quantity",
        "requested_notional",
        "unit_notional",
        "worst_price",
        "stop_price",
        "target_price",
        "stop_frac",
        "margin_leverage",
        "intent_age_s",
        "intent_conflict",
        "liquidation_price",
    }
)
"""Facts that an order brings with it."""

TAKEN: Final = frozenset(
    {"risk_at_stops", "day_entry_count", "day_slice_count", "campaign_slice_count", "free_margin", "kill_score"}
)
"""Facts that use something up, in guards that look at the order as well."""

OF_STRATEGY: Final = frozenset(
    {
        "source_may_open",
        "symbol_free",
        "halted",
        "reducing",
        "strategy_notional",
        "strategy_win_count",
        "strategy_loss_count",
        "strategy_won",
        "strategy_lost",
    }
)
"""Facts that differ between strategies."""

OF_SIDE: Final = frozenset({"side", "symbol_vetoed", "pending_side_notional", "correlation", "correlated_notional"})
"""Facts that differ between buying and selling."""

OF_SYMBOL: Final = OF_ORDER | {
    "policy_complete",
    "in_universe",
    "symbol_free",
    "live_ready",
    "symbol_vetoed",
    "session_open",
    "bid",
    "ask",
    "mark",
    "mark_age_s",
    "rate_age_s",
    "spread_bps",
    "symbol_notional",
    "atr",
    "market_state_age_s",
    "regime",
    "regime_p",
    "kill_score",
    "news_window",
    "flat_ahead_s",
    "cluster_notional",
    "correlation",
    "correlated_notional",
}
"""Facts that differ between symbols, but for whether one is open: a further position would be in another."""


def _has_use(name: str) -> bool:
    """Whether something can use up this limit: it is no window, no lock's length, no buffer."""
    limit = LIMIT_FIELDS[name]
    return limit.tighter == "lower" or (limit.tighter == "higher" and limit.unit == "frac" and name.endswith("_min"))


# ---------------------------------------------------------------- places


class _Place(NamedTuple):
    """The smallest order of one strategy, in one symbol, on one side, and what the guards that bound it allow."""

    strategy: str
    symbol: str
    side: int
    facts: Facts
    limits: Limits
    active: int
    requested: float
    allowed: dict[Code, float]

    def allowance(self, guard: Guard) -> float:
        """What the guard allows here, infinite where it has no objection to any size."""
        return self.allowed.get(guard.code, inf)

    def admits(self, guard: Guard) -> bool:
        """Whether the guard has no objection to the smallest order."""
        return self.allowance(guard) == inf or admits(guard, self.facts, self.limits, self.requested)

    def binding(self) -> Code | None:
        """The guard that allows least here; None where none has a bound."""
        amounts = {code: allowed for code, allowed in self.allowed.items() if code not in _PROPORTIONAL}
        return min(amounts, key=amounts.__getitem__) if amounts else None


def _is_defined(state: State, symbol: str) -> bool:
    index = state.names.symbol_index.get(symbol, -1)
    return index >= 0 and state.instruments[index] is not None


def _places(agenda: Agenda, symbols: Iterable[str], stop_frac: float) -> Iterator[_Place]:
    """Every place where something may be opened; sides on which an order would only close are left out."""
    state = agenda.state
    openers = {right.strategy: right.source for right in state.rights.values() if right.may_open} or {"": ""}
    for symbol in symbols:
        index = state.names.symbol_index[symbol]
        for strategy, source in openers.items():
            for side in (BUY, SELL):
                if state.symbols[index].position * side >= 0:
                    wish = Intent("", source, strategy, symbol, side, created_at_ns=agenda.at_ns)
                    yield _place(agenda, wish, index, stop_frac)


def _place(agenda: Agenda, wish: Intent, index: int, stop_frac: float) -> _Place:
    state = agenda.state
    r, instrument = state.symbols[index], state.instruments[index]
    assert instrument is not None
    limits = state.limits(r)
    wish = msgspec.structs.replace(with_stop(wish, r.mark, stop_frac), quantity=instrument.quantity(1))
    unit = order_of(agenda, wish, index, limits, 0.0).unit_notional
    wish = msgspec.structs.replace(wish, quantity=instrument.quantity(least_steps(instrument, unit)))
    values = observe(state, agenda.at_ns, agenda.trusted, order_of(agenda, wish, index, limits, 0.0), limits, None)
    facts = Facts(*values)
    checks = checks_of(state, r)
    requested = facts.requested_notional if facts.requested_notional > 0.0 else 0.0
    allowed = dict(ask_guards(checks, values, inf)[1])
    return _Place(wish.strategy, wish.symbol, wish.side, facts, limits, checks.active, requested, allowed)


# ---------------------------------------------------------------- guards


class _Use(NamedTuple):
    name: str = ""
    used: float = nan
    share: float = nan


def _guard_stands(guard: Guard, places: list[_Place], binding_count: int, state: State) -> Standing:
    measure = measure_of(guard)
    active = {each for each in {place.active for place in places} if guard.structural or each & BITS[guard.code]}
    asked = [place for place in places if place.active in active]
    if not asked:
        off = bool(places) or not is_on(state.account_limits(), guard.code)
        return Standing(guard.code, "guard", measure, "off" if off else "unasked", place_count=len(places))
    distinct = {_seen(guard, place): place for place in reversed(asked)}.values()
    objecting = [place for place in distinct if not place.admits(guard)]
    count = sum(not place.admits(guard) for place in asked) if objecting else 0
    worst, use = _worst(guard, objecting or [*distinct], measure)
    allowance = worst.allowance(guard)
    said = _told(guard, worst, allowance, state.account.currency) if objecting else _Said()
    room = _room(guard, worst) if measure == "condition" and not objecting else None
    bound = inf if guard.code in _PROPORTIONAL and not objecting else allowance
    differs = bool(objecting) or use.share > 0.0 or room is not None or _differ(guard, distinct)
    where = {*guard.reads} if differs and len(distinct) > 1 else set()
    return Standing(
        guard.code,
        "guard",
        measure,
        "objects" if objecting else "admits",
        use.name,
        use.used,
        getattr(worst.limits, use.name) if use.name else nan,
        LIMIT_FIELDS[use.name].unit if use.name else "",
        use.share,
        bound,
        worst.strategy if where & OF_STRATEGY else "",
        worst.symbol if where & (OF_SYMBOL if objecting or measure != "share" else OF_SYMBOL - OF_ORDER) else "",
        worst.side if where & OF_SIDE else 0,
        len(asked),
        count,
        binding_count,
        said.unknown,
        said.why,
        room,
        facts=facts_read(guard, worst.facts),
        limits=limits_read(guard.limits, worst.limits),
    )


class _Said(NamedTuple):
    unknown: tuple[str, ...] = ()
    why: str = ""


def _differ(guard: Guard, places: Iterable[_Place]) -> bool:
    """Whether the guard allows more in one place than in another."""
    return len({place.allowance(guard) for place in places}) > 1


def _told(guard: Guard, place: _Place, allowance: float, currency: str) -> _Said:
    unknown = tuple(name for name in guard.reads if isnan(getattr(place.facts, name)))
    return _Said(unknown, objection_of(guard, place.facts, place.limits, place.requested, allowance, currency))


def _seen(guard: Guard, place: _Place) -> tuple[object, ...]:
    """All that the guard's answer can depend on in this place: equal for places that need to be asked but once."""
    return id(place.limits), place.requested if guard.code in _CAPS else 0.0, _READ[guard.code](place.facts)


_CAPS: Final = {guard.code for guard in GUARDS if is_cap(guard)}
_READ: Final = {guard.code: attrgetter(*guard.reads) for guard in GUARDS}

_PROPORTIONAL: Final = {
    guard.code for guard in GUARDS if "requested_notional" in guard.reads and measure_of(guard) == "share"
}
"""Guards whose allowance grows with what is asked for, so that a tiny order says nothing of it."""


def _worst(guard: Guard, places: list[_Place], measure: Measure) -> tuple[_Place, _Use]:
    """The place where most of a limit is used, and that use; the one that allows least where no limit is used up."""
    if measure == "condition":
        return min(places, key=lambda place: _nearness(guard, place)), _Use()
    ordered = sorted(places, key=lambda place: place.allowance(guard))
    found, use = ordered[0], _Use()
    if measure == "order":
        return found, use
    for place in ordered:
        facts = _further(place.facts)
        for name in filter(_has_use, guard.limits):
            if not isnan(use.share) and _uses_less(guard, facts, place.limits, name, use.share):
                continue
            used, share = limit_use(guard, facts, place.limits, name)
            if share > use.share or (isnan(use.share) and not isnan(share)):
                found, use = place, _Use(name, used, share)
    return found, use


def _further(facts: Facts) -> Facts:
    """The same order in a symbol that is not open yet: it is a further position that a count of them is about."""
    return msgspec.structs.replace(facts, symbol_is_open=0.0) if facts.symbol_is_open == 1.0 else facts


def _uses_less(guard: Guard, facts: Facts, limits: Limits, name: str, share: float) -> bool:
    """Whether no more than this share of the limit is used: the guard admits under one so much stricter."""
    at: float = getattr(limits, name)
    stricter = share * at if LIMIT_FIELDS[name].tighter == "lower" else 1.0 - share * (1.0 - at)
    return admits(guard, facts, msgspec.structs.replace(limits, **{name: stricter}), 0.0)


def _room(guard: Guard, place: _Place) -> Headroom | None:
    """How far a condition is from changing; an amount says so itself."""
    if is_cap(guard):
        return None
    return headroom_of(guard, place.facts, place.limits, place.requested, place.allowance(guard))


def _nearness(guard: Guard, place: _Place) -> float:
    room = _room(guard, place)
    return place.allowance(guard) if room is None else room.distance


# ---------------------------------------------------------------- triggers


def _trigger_stands(code: Code, told: Firing | None, limits: Limits) -> Standing:
    if told is None:
        return Standing(code, "trigger", measure_of_trigger(code), "off")
    return Standing(
        code,
        "trigger",
        measure_of_trigger(code),
        "fired" if told.fired else "quiet",
        told.limit_name,
        told.used,
        told.limit,
        told.unit or "",
        told.share,
        strategy=told.strategy,
        symbol=told.symbol,
        why=told.note,
        room=told.room,
        until_ns=told.until_ns,
        limits=limits_read(TRIGGERS[code].limits, limits),
    )


# ---------------------------------------------------------------- the way out


def _exits_stand(state: State, now_ns: int) -> Iterator[Standing]:
    limits = state.account_limits()
    near = closest(explain_exits(state, now_ns))
    for code, reason in EXITS.items():
        read = limits_read(reason.limits, limits)
        if code == Code.HEARTBEAT_LOST:
            yield _owner_stands(exit_owner(state, now_ns), read)
        elif code not in near:
            yield Standing(code, "exit", measure_of_exit(code), "quiet" if is_on(limits, code) else "off", limits=read)
        else:
            view, rule, condition = near[code]
            yield Standing(
                code,
                "exit",
                "position",
                "fired" if rule.met else "quiet",
                condition.reads,
                condition.value,
                condition.threshold,
                condition.unit,
                strategy=view.strategy,
                symbol=view.symbol,
                why=view.problem or rule.note,
                move_frac=condition.move_frac,
                limits=read,
            )


def _owner_stands(owner: ExitOwner, read: tuple[Reading, ...]) -> Standing:
    """How long the exit owner has been silent, of the time after which it is succeeded."""
    limit_s = SILENCES * owner.silent_s_max
    stand: Stand = "fired" if owner.succeeded else "quiet"
    share = owner.silent_s / limit_s if limit_s > 0.0 else nan
    name = "" if isnan(limit_s) else "controller_age_s_max"
    return Standing(
        Code.HEARTBEAT_LOST,
        "exit",
        "share",
        stand,
        name,
        owner.silent_s,
        limit_s,
        "s",
        share,
        why=owner.owner,
        limits=read,
    )
