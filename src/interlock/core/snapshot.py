"""The whole state as bytes and back, so that a restart need not fold from the beginning."""

import msgspec

from interlock.core.due import due_ns
from interlock.core.instrument import Instrument
from interlock.core.measure import sides_of
from interlock.core.messages import OpeningsDeferred, PolicySet
from interlock.core.state import (
    STRATEGY_LOCKS,
    AccountRow,
    CalendarRow,
    ClusterRow,
    PermitRow,
    SeenIntent,
    State,
    StrategyRow,
    SymbolRow,
)
from interlock.core.together import one_of


class Snapshot(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Everything in a state, as it is stored."""

    account: AccountRow
    symbols: list[SymbolRow]
    strategies: list[StrategyRow]
    calendars: list[CalendarRow]
    live_permits: list[PermitRow]
    ended_permits: list[PermitRow]
    intents: list[SeenIntent]
    flows: list[str]
    open_rows: list[int]
    instruments: list[Instrument | None]
    symbol_names: list[str]
    strategy_names: list[str]
    source_names: list[str]
    policy: PolicySet | None
    waiting: list[OpeningsDeferred] = []
    clusters: list[ClusterRow] = msgspec.field(default_factory=lambda: [ClusterRow()])
    rebalances: dict[str, str] = {}


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def encode(state: State) -> bytes:
    """The state as bytes; equal states give equal bytes."""
    names = state.names
    return _ENCODER.encode(
        Snapshot(
            state.account,
            list(state.symbols),
            list(state.strategies),
            list(state.calendars),
            list(state.permits.live.values()),
            list(state.permits.ended.rows.values()),
            list(state.intents.rows.values()),
            list(state.flows.rows),
            state.open_rows,
            state.instruments,
            names.symbols,
            names.strategies,
            names.sources,
            state.policy,
            list(state.waiting.values()),
            list(state.clusters),
            dict(state.rebalances.rows),
        )
    )


def decode(data: bytes) -> State:
    """The state that `encode` was given. Raises msgspec.MsgspecError when the bytes are not one."""
    stored = _DECODER.decode(data)
    state = State()
    state.account = stored.account
    state.symbols = stored.symbols
    for symbol in stored.symbols:
        symbol.bar_ns = one_of(symbol.bar_ns)
    state.strategies = stored.strategies
    for strategy in stored.strategies:
        new = [0] * (len(STRATEGY_LOCKS) - len(strategy.lock_until))
        strategy.lock_until += new
        strategy.lock_severity += new
    state.calendars = stored.calendars
    state.clusters = stored.clusters
    for row in stored.live_permits:
        state.permits.live[row.id] = row
    for row in stored.ended_permits:
        state.permits.ended.add(row.id, row)
    for seen in stored.intents:
        state.intents.add(seen.intent.id, seen)
    for flow in stored.flows:
        state.flows.add(flow, True)
    for rebalance, content in stored.rebalances.items():
        state.rebalances.add(rebalance, content)
    state.open_rows = stored.open_rows
    state.instruments = stored.instruments
    names = state.names
    names.symbols, names.symbol_index = stored.symbol_names, _index(stored.symbol_names)
    names.strategies, names.strategy_index = stored.strategy_names, _index(stored.strategy_names)
    names.sources, names.source_index = stored.source_names, _index(stored.source_names)
    state.policy = stored.policy
    state.sides = sides_of(state)
    state.waiting = {waits.rebalance.strategy: waits for waits in stored.waiting}
    if stored.policy is not None:
        state.rights = {(right.source, right.strategy): right for right in stored.policy.rights}
    for index in state.open_rows:
        state.due.put(index, due_ns(state, index))
    state.touch(state.open_rows)
    return state


def _index(names: list[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}
