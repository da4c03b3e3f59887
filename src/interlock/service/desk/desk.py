"""
Everything that can be asked of a running gateway, whichever way the question comes in.

`Desk` is what the gateway answers; an `Ask` is one question as data, and knows whom it is put to; `carry_out` is the one
way in, and says who may ask what. The source is the one that was authenticated, never the one that a message names.
"""

from math import nan
from typing import Annotated, ClassVar, Final, Protocol

import msgspec
from msgspec import Meta

from interlock.core.authority import ALWAYS, OPERATOR
from interlock.core.codes import Code, KillMode, Scope
from interlock.core.envelope import Envelope
from interlock.core.errors import InputInvalid, InterlockError
from interlock.core.messages import (
    Adopted,
    BarClosed,
    Executed,
    Intent,
    KillReset,
    KillSet,
    LockReleased,
    MarketState,
    OwnerSet,
    PolicySet,
    Rebalance,
    SourceRight,
)
from interlock.core.utilisation import Utilisation
from interlock.service.api import Answer, Cancelled, Exits, KillStatus, Rebalanced, Status

RESERVED: Final = ALWAYS - {OPERATOR}
"""Sources that only the gateway itself can be."""

NAME_MAX: Final = 128
"""Longest id, symbol, strategy or rung of an intent, and of what a rebalance says of itself."""

INSTRUCTIONS_MAX: Final = 1000
"""Most instructions of one rebalance."""

BY_MAX: Final = 64
TEXT_MAX: Final = 500

Key = Annotated[str, Meta(max_length=NAME_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=BY_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_MAX)]


class NotAnOperator(InterlockError):
    """The source may ask, and may not command; use the operator's key."""


class PolicyView(msgspec.Struct, frozen=True):
    """The policy in force, as one source needs to know it."""

    policy_id: str
    digest: str
    valid_until_ns: int
    exit_owner: str
    universe: tuple[str, ...]
    rights: tuple[SourceRight, ...]
    """What this source may do, by strategy."""


class Started(msgspec.Struct, frozen=True):
    """
    What a close or a flatten has set in motion; whether it came to its end is in the status.

    `direct` where the engine was away and the orders went straight to the venue.
    """

    symbols: tuple[str, ...]
    direct: bool = False
    note: str = ""


class Desk(Protocol):
    """
    A running gateway, asked from its own event loop.

    What is refused raises an `InterlockError` with the remedy. A caller that goes away in the middle changes nothing.
    """

    async def submit(self, intent: Intent, hand_over: bool) -> Answer:
        """The intent is decided, and what was granted is on its way; handed over, the caller executes it."""
        ...

    async def dry_run(self, intent: Intent) -> Answer:
        """What the answer would be now; nothing is consumed or recorded."""
        ...

    async def rebalance(self, rebalance: Rebalance) -> Rebalanced:
        """The instructions are decided as a whole, and what was granted is on its way; so will be what waits."""
        ...

    async def dry_run_rebalance(self, rebalance: Rebalance) -> Rebalanced:
        """What the answer would be now; nothing is consumed or recorded."""
        ...

    async def cancel(self, source: str, name: str) -> Cancelled:
        """Opening orders of that intent or rebalance, as far as they have not filled, are over or being cancelled."""
        ...

    async def report(self, source: str, executed: Executed) -> None:
        """What became of a permit that was handed over to the source is on record; repeats change nothing."""
        ...

    async def heartbeat(self, source: str) -> None:
        """The source is known to be alive, which the exit owner of a policy has to be."""
        ...

    async def hear(self, source: str, event: MarketState | BarClosed) -> None:
        """The engine knows what the source says of a market."""
        ...

    async def kill(self, kill: KillSet) -> KillStatus:
        """The kill switch is on, durably; the status tells what is in force in that scope."""
        ...

    async def reset(self, reset: KillReset) -> KillStatus:
        """The kill switch of the scope is off."""
        ...

    async def release(self, release: LockReleased) -> None:
        """The lock has ended."""
        ...

    async def flatten(self, symbol: str | None, reason: str, by: str) -> Started:
        """The position, or every position, is being closed until the venue confirms that it is flat."""
        ...

    async def close(self, symbol: str, by: str, reason: str) -> Started:
        """One closing order for the whole position is on its way."""
        ...

    async def rebase(self, by: str, reason: str) -> None:
        """Present equity is the reference for drawdown and peak."""
        ...

    async def adopt(self, adopted: Adopted) -> None:
        """The position that was opened outside the gate has that stop, and its exits are the engine's."""
        ...

    async def name_owner(self, named: OwnerSet) -> None:
        """Exits are the owner's from now on."""
        ...

    def status(self) -> Status:
        """Everything that a person on duty wants to see."""
        ...

    def exits(self) -> Exits:
        """The way out of every position, with how far each rule is."""
        ...

    async def allowed(self, source: str, symbol: str, stop_frac: float) -> Envelope:
        """What the source may open now, in one symbol or in all, with stops so far from the mark."""
        ...

    async def utilisation(self, stop_frac: float) -> Utilisation:
        """How far every rule is used now, by orders with stops so far from the mark."""
        ...

    def policy(self, source: str) -> PolicyView | None:
        """The policy in force as the source sees it; None where none is verified and unexpired."""
        ...


# ---------------------------------------------------------------- questions as data


Told = Answer | Rebalanced | Cancelled | KillStatus | Started | Status | Exits | Envelope | Utilisation | PolicyView | None


class Ask(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    """Base of all questions: the tag is the class name. A command is for operators only."""

    is_command: ClassVar[bool] = False

    async def put(self, desk: Desk, source: str) -> Told:
        """What the desk says to it."""
        raise NotImplementedError


class Submit(Ask, frozen=True):
    """May this go out; and if so, send it, or with `hand_over` let me."""

    intent: Intent
    hand_over: bool = False

    async def put(self, desk: Desk, source: str) -> Answer:
        """What the desk says to it."""
        return await desk.submit(from_source(self.intent, source), self.hand_over)


class DryRun(Ask, frozen=True):
    """Might this go out."""

    intent: Intent

    async def put(self, desk: Desk, source: str) -> Answer:
        """What the desk says to it."""
        return await desk.dry_run(from_source(self.intent, source))


class SubmitRebalance(Ask, frozen=True):
    """Take these symbols to these targets, as a whole."""

    rebalance: Rebalance

    async def put(self, desk: Desk, source: str) -> Rebalanced:
        """What the desk says to it."""
        return await desk.rebalance(rebalance_from(self.rebalance, source))


class DryRunRebalance(Ask, frozen=True):
    """What would come of these instructions."""

    rebalance: Rebalance

    async def put(self, desk: Desk, source: str) -> Rebalanced:
        """What the desk says to it."""
        return await desk.dry_run_rebalance(rebalance_from(self.rebalance, source))


class CancelOrder(Ask, frozen=True):
    """Let the intent, or the rebalance, of that id open no more than it has."""

    id: Key

    async def put(self, desk: Desk, source: str) -> Cancelled:
        """What the desk says to it."""
        return await desk.cancel(source, self.id)


class Report(Ask, frozen=True):
    """What became of a permit that was handed over."""

    executed: Executed

    async def put(self, desk: Desk, source: str) -> None:
        """The desk has taken it."""
        await desk.report(source, self.executed)


class Beat(Ask, frozen=True):
    """I am alive."""

    async def put(self, desk: Desk, source: str) -> None:
        """The desk knows."""
        await desk.heartbeat(source)


class TellMarket(Ask, frozen=True):
    """What I have computed, or seen, of a market."""

    event: MarketState | BarClosed

    async def put(self, desk: Desk, source: str) -> None:
        """The desk has told the engine."""
        await desk.hear(source, self.event)


class Kill(Ask, frozen=True):
    """Throw the kill switch."""

    is_command = True

    mode: KillMode
    scope: Scope
    scope_key: Key
    reason: Text
    by: Name

    async def put(self, desk: Desk, source: str) -> KillStatus:  # noqa: ARG002
        """What the desk says to it."""
        return await desk.kill(KillSet(self.mode, self.scope, self.scope_key, self.reason, self.by))


class Reset(Ask, frozen=True):
    """Reset the kill switch."""

    is_command = True

    scope: Scope
    scope_key: Key
    by: Name
    reason: Text = ""

    async def put(self, desk: Desk, source: str) -> KillStatus:  # noqa: ARG002
        """What the desk says to it."""
        return await desk.reset(KillReset(self.scope, self.scope_key, self.by, self.reason))


class Release(Ask, frozen=True):
    """End a lock."""

    is_command = True

    scope: Scope
    scope_key: Key
    code: Code
    by: Name
    reason: Text = ""

    async def put(self, desk: Desk, source: str) -> None:  # noqa: ARG002
        """The lock has ended."""
        await desk.release(LockReleased(self.scope, self.scope_key, self.code, self.by, self.reason))


class Flatten(Ask, frozen=True):
    """Close the symbol's position, or with an empty symbol every position, until it is flat."""

    is_command = True

    symbol: Key
    reason: Text
    by: Name

    async def put(self, desk: Desk, source: str) -> Started:  # noqa: ARG002
        """What the desk has started."""
        return await desk.flatten(self.symbol or None, self.reason, self.by)


class Close(Ask, frozen=True):
    """Send one closing order for the symbol's whole position."""

    is_command = True

    symbol: Key
    by: Name
    reason: Text = ""

    async def put(self, desk: Desk, source: str) -> Started:  # noqa: ARG002
        """What the desk has started."""
        return await desk.close(self.symbol, self.by, self.reason)


class Rebase(Ask, frozen=True):
    """Take present equity as the reference."""

    is_command = True

    by: Name
    reason: Text = ""

    async def put(self, desk: Desk, source: str) -> None:  # noqa: ARG002
        """The reference is taken."""
        await desk.rebase(self.by, self.reason)


class Adopt(Ask, frozen=True):
    """Look after a position that was opened outside the gate; an empty `strategy` is the policy's only one."""

    is_command = True

    symbol: Key
    stop_price: float
    by: Name
    strategy: Key = ""
    target_price: float = nan
    reason: Text = ""

    async def put(self, desk: Desk, source: str) -> None:  # noqa: ARG002
        """The position is looked after."""
        await desk.adopt(Adopted(self.symbol, self.strategy, self.stop_price, self.by, self.target_price, self.reason))


class NameOwner(Ask, frozen=True):
    """Give exits to an owner, or back to one that was succeeded."""

    is_command = True

    owner: Name
    by: Name

    async def put(self, desk: Desk, source: str) -> None:  # noqa: ARG002
        """They are the owner's."""
        await desk.name_owner(OwnerSet(self.owner, self.by))


class GetExits(Ask, frozen=True):
    """Tell the way out of every position."""

    async def put(self, desk: Desk, source: str) -> Exits:  # noqa: ARG002
        """What the desk says to it."""
        return desk.exits()


class GetAllowed(Ask, frozen=True):
    """Tell what may be opened now; an operator may ask for any source, everybody else for itself."""

    symbol: Key = ""
    stop_frac: float = nan
    source: Key = ""

    async def put(self, desk: Desk, source: str) -> Envelope:
        """What the desk says to it."""
        if self.source not in ("", source) and source != OPERATOR:
            raise NotAnOperator(f"{source!r} may not ask for {self.source!r}: use the operator's key")
        _check_stop(self.stop_frac)
        return await desk.allowed(self.source or source, self.symbol, self.stop_frac)


class GetUtilisation(Ask, frozen=True):
    """Tell how far every rule is used."""

    stop_frac: float = nan

    async def put(self, desk: Desk, source: str) -> Utilisation:  # noqa: ARG002
        """What the desk says to it."""
        _check_stop(self.stop_frac)
        return await desk.utilisation(self.stop_frac)


def _check_stop(stop_frac: float) -> None:
    if not (0.0 < stop_frac < 1.0 or stop_frac != stop_frac):
        raise InputInvalid(f"the stop is a share of the mark between 0 and 1, found {stop_frac!r}")


class GetStatus(Ask, frozen=True):
    """Tell everything that a person on duty wants to see."""

    async def put(self, desk: Desk, source: str) -> Status:  # noqa: ARG002
        """What the desk says to it."""
        return desk.status()


class GetPolicy(Ask, frozen=True):
    """Tell the policy in force."""

    async def put(self, desk: Desk, source: str) -> PolicyView | None:
        """What the desk says to it."""
        return desk.policy(source)


Question = (
    Submit
    | DryRun
    | SubmitRebalance
    | DryRunRebalance
    | CancelOrder
    | Report
    | Beat
    | TellMarket
    | Kill
    | Reset
    | Release
    | Flatten
    | Close
    | Rebase
    | Adopt
    | NameOwner
    | GetStatus
    | GetExits
    | GetAllowed
    | GetUtilisation
    | GetPolicy
)


async def carry_out(desk: Desk, source: str, ask: Ask) -> Told:
    """
    The desk's answer to what the authenticated source asked.

    Raises:
        NotAnOperator: the source may not command.
        InterlockError: the desk refused, with the remedy.
    """
    if ask.is_command and source != OPERATOR:
        raise NotAnOperator(f"{source!r} may not {type(ask).__name__.lower()}: use the operator's key")
    return await ask.put(desk, source)


def from_source(intent: Intent, source: str) -> Intent:
    """
    The intent as the authenticated source's own, whatever it says about itself; an exit proposal only reduces.

    Raises:
        InputInvalid: a text in it is longer than any name may be.
    """
    for field in ("id", "strategy", "symbol", "rung"):
        if len(getattr(intent, field)) > NAME_MAX:
            raise InputInvalid(f"the {field} of an intent has at most {NAME_MAX} characters")
    return msgspec.structs.replace(intent, source=source, reduce_only=intent.reduce_only or intent.rung != "")


def rebalance_from(rebalance: Rebalance, source: str) -> Rebalance:
    """
    The rebalance as the authenticated source's own, whatever it says about itself.

    Raises:
        InputInvalid: it has no id, or a text in it is longer than any name may be, or there is too much of it.
    """
    if not rebalance.id:
        raise InputInvalid("a rebalance has an id")
    if len(rebalance.instructions) > INSTRUCTIONS_MAX:
        count = len(rebalance.instructions)
        raise InputInvalid(f"a rebalance has at most {INSTRUCTIONS_MAX} instructions, found {count}: decide it in parts")
    for field in ("id", "strategy"):
        if len(getattr(rebalance, field)) > NAME_MAX:
            raise InputInvalid(f"the {field} of a rebalance has at most {NAME_MAX} characters")
    for number, each in enumerate(rebalance.instructions, 1):
        if any(len(text) > NAME_MAX for text in (each.symbol, *msgspec.structs.astuple(each.provenance))):
            raise InputInvalid(f"instruction {number}: symbol and provenance have at most {NAME_MAX} characters each")
    return msgspec.structs.replace(rebalance, source=source, part_of="")


def policy_view(policy: PolicySet | None, source: str, now_ns: int) -> PolicyView | None:
    """The policy as the source sees it; None where it is missing, not verified or expired."""
    if policy is None or not policy.verified or now_ns > policy.valid_until_ns:
        return None
    return PolicyView(
        policy_id=policy.policy_id,
        digest=policy.digest,
        valid_until_ns=policy.valid_until_ns,
        exit_owner=policy.exit_owner,
        universe=tuple(symbol.symbol for symbol in policy.universe),
        rights=tuple(right for right in policy.rights if right.source == source),
    )
