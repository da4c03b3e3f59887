"""A complete policy: what it says leaf by leaf, its digest, and what the core reads of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import nan
from typing import Any, Final

import msgspec

from interlock.core.codes import ExitMode, KillMode
from interlock.core.constants import NS_PER_S
from interlock.core.errors import PolicyInvalid
from interlock.core.limits import SWITCHABLE, Limits
from interlock.core.messages import PolicySet, SourceRight, SymbolPolicy
from interlock.policy.canonical import Document, digest_of
from interlock.policy.layout import LABELS, SLOTS, Slot
from interlock.policy.leaf import FROM_FILE, Leaf, Leaves, Written, instant_ns, utc_text
from interlock.policy.overlay import account_part, by_symbol, limits_part, of_regime, overlay
from interlock.policy.problems import Path, Problem
from interlock.policy.rules import is_needed, is_on

_KILL_MODES: Final = {"reduce_only": KillMode.REDUCE_ONLY, "flatten": KillMode.FLATTEN}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Policy:
    """
    A complete, consistent policy: every leaf with its origin, and the digest that the file stated ("" where none).

    `expanded_from` names the preset that was expanded into it, "" where none was.
    """

    leaves: Mapping[Path, Leaf]
    expanded_from: str
    stated_digest: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the expanded policy, without the digest itself."""
        return digest_of(self.document())

    @property
    def verified(self) -> bool:
        """Whether the digest that the file stated is the policy's; only one never published need not state any."""
        unstated = not self.stated_digest and ("published_at",) not in self.leaves
        return unstated or self.stated_digest == self.digest

    @property
    def since_ns(self) -> int:
        """When it was published, or made where it is not published yet."""
        return instant_ns(self.leaves.get(("published_at",), self.leaves["created_at",]).text)

    @property
    def valid_until_ns(self) -> int:
        """The last instant at which it may be used: `valid_for` after `since_ns`."""
        return self.since_ns + round(self.leaves["valid_for",].number * NS_PER_S)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the universe, in the file's order."""
        return tuple(by_symbol(dict(self.leaves)))

    def document(self) -> dict[str, Document]:
        """The expanded policy as nested tables, numbers as written."""
        document: dict[str, Any] = {"expanded_from": self.expanded_from} if self.expanded_from else {}
        for path, leaf in self.leaves.items():
            _put(document, path, _folded(leaf))
        return document

    def to_json(self) -> str:
        """A file that loads as this policy, with its digest and without its preset."""
        return json.dumps({**self.document(), "digest": self.digest}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def publish(self, at_ns: int) -> "Policy":
        """The same policy published at `at_ns`, to the microsecond: its validity runs from then, its digest is new."""
        at = _EPOCH + timedelta(microseconds=at_ns // 1000)
        stamp = Leaf(utc_text(at), nan, "")
        published = replace(self, leaves={**self.leaves, ("published_at",): stamp})
        return replace(published, stated_digest=published.digest)

    def compile(self, now_ns: int) -> PolicySet:
        """
        What the core reads, symbols and rights sorted: `limits[0]` the account's numbers, later ones those of symbols.

        A number that no active rule reads is NaN. A policy whose stated digest is not its own is not verified. An
        expired one compiles: the core checks `valid_until_ns` at every decision.

        Raises:
            PolicyInvalid: it was made or published later than `now_ns`.
        """
        future = from_the_future(self, now_ns)
        if future:
            raise PolicyInvalid((str(future),))
        leaves = dict(self.leaves)
        account = account_part(leaves)
        limits = [_limits(account)]
        places = {msgspec.msgpack.encode(limits[0]): 0}
        regimes = {label: overlay(account, own) for label in LABELS if (own := of_regime(leaves, label))}
        universe = []
        for symbol, own in sorted(by_symbol(leaves).items()):
            place = _place(limits, places, _symbol_limits(account, own))
            labelled = {
                f"{label.lower()}_limits": _place(limits, places, _symbol_limits(around, own))
                for label, around in regimes.items()
            }
            universe.append(_symbol_policy(symbol, own, place, labelled))
        return PolicySet(
            policy_id=leaves["policy_version",].text,
            digest=self.digest,
            valid_until_ns=self.valid_until_ns,
            verified=self.verified,
            limits=tuple(limits),
            universe=tuple(universe),
            rights=tuple(_rights(leaves)),
            exit_owner=leaves["exits", "owner"].text,
            exit_mode=ExitMode(leaves["exits", "mode"].text),
            kill_mode=_KILL_MODES[leaves["kill_switch", "mode"].text],
        )


def from_the_future(policy: Policy, now_ns: int) -> Problem | None:
    """The problem of a policy that was made or published later than now, if it was."""
    if policy.since_ns <= now_ns:
        return None
    path = ("published_at",) if ("published_at",) in policy.leaves else ("created_at",)
    written = policy.leaves[path].text
    return Problem(path, written, "an instant that is not in the future", "check the clock that stamped it")


def unusable(policy: Policy, now_ns: int) -> Iterator[Problem]:
    """What keeps a sound policy from letting anything open now: a digest that is not its own, or its age."""
    if not policy.verified:
        remedy = "it was changed after it was published: restore it, or publish the change"
        yield Problem(
            ("digest",), policy.stated_digest or "nothing", f"{policy.digest}, the digest of what it says", remedy
        )
    future = from_the_future(policy, now_ns)
    if future:
        yield future
    if now_ns > policy.valid_until_ns:
        age_s = (now_ns - policy.valid_until_ns) // NS_PER_S
        written = policy.leaves["valid_for",].text
        yield Problem(("valid_for",), f"{written}, which ended {age_s} s ago", "a policy that is valid", "publish it anew")


def _limits(leaves: Leaves) -> Limits:
    active = sum(is_on(leaves, rule) << bit for bit, rule in enumerate(SWITCHABLE))
    return Limits(active=active, **{slot.name: _number(leaves, slot) for slot in SLOTS})


def _number(leaves: Leaves, slot: Slot) -> float:
    leaf = leaves.get(slot.path)
    return leaf.number if leaf and (slot.path[0] == "sizing" or is_needed(leaves, slot)) else nan


def _place(limits: list[Limits], places: dict[bytes, int], compiled: Limits) -> int:
    """Where these limits stand in the list, at its end if they are new."""
    place = places.setdefault(msgspec.msgpack.encode(compiled), len(limits))
    if place == len(limits):
        limits.append(compiled)
    return place


def _symbol_limits(account: Leaves, symbol: Leaves) -> Limits:
    limits = _limits(overlay(account, limits_part(symbol)))
    leverage = symbol.get(("margin_leverage",))
    return msgspec.structs.replace(limits, margin_leverage_max=leverage.number) if leverage else limits


def _symbol_policy(symbol: str, own: Leaves, limits: int, labelled: dict[str, int]) -> SymbolPolicy:
    leverage, cluster, benchmark = (own.get((key,)) for key in ("margin_leverage", "cluster", "benchmark"))
    return SymbolPolicy(
        symbol=symbol,
        limits=limits,
        margin_leverage=leverage.number if leverage else nan,
        cluster=cluster.text if cluster else "",
        benchmark=bool(benchmark and benchmark.number),
        **labelled,
    )


def _rights(leaves: Leaves) -> Iterator[SourceRight]:
    for path, leaf in sorted(leaves.items(), key=lambda item: item[0]):
        if path[0] == "sources":
            yield SourceRight(path[1], path[2], "open" in leaf.written, "close" in leaf.written)


def _put(document: dict[str, Any], path: Path, value: Document) -> None:
    for part in path[:-1]:
        document = document.setdefault(part, {})
    document[path[-1]] = value


def _folded(leaf: Leaf) -> Document:
    """The leaf as a file writes it: plain where it has neither a reason nor an origin to tell."""
    written: Written | list[str] = list(leaf.written) if isinstance(leaf.written, tuple) else leaf.written
    told = {"why": leaf.why} if leaf.why else {}
    if leaf.origin != FROM_FILE:
        told["from"] = leaf.origin
    return {"value": written, **told} if told else written
