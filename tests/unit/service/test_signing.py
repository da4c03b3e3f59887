from math import isnan, nan
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.codes import Code, PermitState
from interlock.core.messages import (
    CancelOrders,
    Executed,
    Input,
    Message,
    Output,
    PermitRevoked,
    PositionAt,
    PositionsReported,
    Tick,
    VenueError,
)
from interlock.service.execution import signing
from interlock.service.execution.signing import (
    MAGIC,
    PRODUCES,
    SEALED_BYTES_MAX,
    MessageForged,
    Opener,
    Realm,
    Role,
    Sealer,
    SealUnreadable,
    SecretTooShort,
)
from unit.service.rig import REALM, SECRET, permit_of

OLD, NEW = bytes(32), b"n" * 40
BY_GATE: tuple[Message, ...] = (
    permit_of(1, deferred=None),
    PermitRevoked(3, PermitState.EXPIRED, Code.ALLOWED),
    CancelOrders((1, 2), Code.KILL_SWITCH),
)
BY_EXECUTOR: tuple[Message, ...] = (
    Executed(1, PermitState.FILLED, 3, 0.5, nan, 7, reason="ok"),
    VenueError("place: ü", reducing=True),
    PositionsReported((PositionAt("BTC", -4, 99.5),), 3),
)
REFUSED = (MessageForged, SealUnreadable)


def gate(realm: Realm = REALM, secret: bytes = SECRET) -> Sealer:
    return Sealer(Role.GATE, realm, secret)


def opener(realm: Realm = REALM, secret: bytes = SECRET, previous: bytes | None = None) -> Opener:
    return Opener(Role.GATE, realm, secret, previous)


def test_every_type_that_a_role_says_is_tried_here() -> None:
    assert {type(each) for each in BY_GATE} == PRODUCES[Role.GATE]
    assert {type(each) for each in BY_EXECUTOR} == PRODUCES[Role.EXECUTOR]
    assert PRODUCES[Role.EXECUTOR] <= set(get_args(Input))
    assert PRODUCES[Role.GATE] <= set(get_args(Output))


@pytest.mark.parametrize("message", [*BY_GATE, *BY_EXECUTOR], ids=lambda each: type(each).__name__)
def test_what_was_sealed_is_opened_as_it_was(message: Message) -> None:
    role = Role.GATE if message in BY_GATE else Role.EXECUTOR
    opened = Opener(role, REALM, SECRET).open(Sealer(role, REALM, SECRET).seal(message))
    assert type(opened) is type(message)
    assert msgspec.msgpack.encode(opened) == msgspec.msgpack.encode(message)


def test_nan_stays_nan() -> None:
    opened = Opener(Role.EXECUTOR, REALM, SECRET).open(Sealer(Role.EXECUTOR, REALM, SECRET).seal(BY_EXECUTOR[0]))
    assert isinstance(opened, Executed)
    assert isnan(opened.fees)


@given(st.data(), st.sampled_from(BY_GATE))
def test_any_flipped_bit_is_refused(data: st.DataObject, message: Message) -> None:
    sealed = bytearray(gate().seal(message))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(REFUSED):
        opener().open(bytes(sealed))


@given(st.data(), st.sampled_from(BY_GATE))
def test_anything_cut_or_longer_is_refused(data: st.DataObject, message: Message) -> None:
    sealed = gate().seal(message)
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for changed in (cut, sealed + data.draw(st.binary(min_size=1, max_size=40))):
        with pytest.raises(REFUSED):
            opener().open(changed)


@given(st.binary(max_size=300))
def test_garbage_is_refused(garbage: bytes) -> None:
    for sealed in (garbage, MAGIC + garbage, gate().seal(BY_GATE[1])[:12] + garbage):
        with pytest.raises(REFUSED):
            opener().open(sealed)


@given(st.sampled_from(["environment", "account", "venue"]), st.text(max_size=20))
def test_what_was_sealed_elsewhere_is_forged_here(part: str, name: str) -> None:
    elsewhere = {"environment": REALM.environment, "account": REALM.account, "venue": REALM.venue, part: name}
    sealed = gate(Realm(**elsewhere)).seal(BY_GATE[1])
    if Realm(**elsewhere) == REALM:
        assert opener().open(sealed) == BY_GATE[1]
    else:
        with pytest.raises(MessageForged):
            opener().open(sealed)


@given(st.text("ab", max_size=4), st.text("ab", max_size=4), st.text("ab", max_size=4))
def test_the_parts_of_a_realm_do_not_run_into_each_other(environment: str, account: str, venue: str) -> None:
    sealed = gate(Realm("ab", "a", "ba")).seal(BY_GATE[1])
    if (environment, account, venue) == ("ab", "a", "ba"):
        return
    with pytest.raises(MessageForged):
        opener(Realm(environment, account, venue)).open(sealed)


def test_one_type_does_not_pass_for_another() -> None:
    sealed = gate().seal(PermitRevoked(3, PermitState.EXPIRED, Code.ALLOWED))
    renamed = sealed.replace(b"\x0dPermitRevoked", b"\x0cCancelOrders", 1)
    with pytest.raises(MessageForged):
        opener().open(renamed)


def test_a_role_is_believed_only_its_own_types(monkeypatch: pytest.MonkeyPatch) -> None:
    for role in Role:
        with pytest.raises(AssertionError):
            Sealer(role, REALM, SECRET).seal(Tick())
    with pytest.raises(AssertionError):
        gate().seal(BY_EXECUTOR[0])
    with pytest.raises(MessageForged):
        Opener(Role.EXECUTOR, REALM, SECRET).open(gate().seal(BY_GATE[1]))
    believing = opener()
    monkeypatch.setitem(signing.PRODUCES, Role.GATE, frozenset({Tick}))
    with pytest.raises(MessageForged, match="not the gate's to say"):
        believing.open(gate().seal(Tick()))


def test_two_secrets_open_while_keys_are_rotated_and_one_seals() -> None:
    before, after = gate(secret=OLD), gate(secret=NEW)
    rotating = opener(secret=NEW, previous=OLD)
    assert rotating.open(before.seal(BY_GATE[1])) == rotating.open(after.seal(BY_GATE[1])) == BY_GATE[1]
    with pytest.raises(MessageForged):
        opener(secret=NEW).open(before.seal(BY_GATE[1]))


def test_a_short_secret_keeps_nobody_out() -> None:
    with pytest.raises(SecretTooShort):
        gate(secret=b"x" * 31)
    with pytest.raises(SecretTooShort):
        opener(previous=b"")


def test_nothing_over_long_is_looked_at_or_sealed() -> None:
    with pytest.raises(SealUnreadable):
        opener().open(MAGIC + bytes(SEALED_BYTES_MAX))
    with pytest.raises(AssertionError):
        gate().seal(CancelOrders(tuple(range(1 << 40, (1 << 40) + 200_000)), Code.ALLOWED))


def test_a_sealed_message_of_another_version_is_unreadable() -> None:
    newer = msgspec.defstruct(
        "PermitRevoked",
        [("permit", int), ("state", int), ("code", str), ("why", int)],
        bases=(Message,),
        frozen=True,
        array_like=True,
        tag=True,
    )
    sealer = gate()
    body = msgspec.msgpack.encode(newer(3, 8, "ALLOWED", 1))
    original = msgspec.msgpack.encode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            msgspec.msgpack, "encode", lambda value: body if isinstance(value, PermitRevoked) else original(value)
        )
        sealed = sealer.seal(BY_GATE[1])
    with pytest.raises(SealUnreadable, match="another version"):
        opener().open(sealed)
