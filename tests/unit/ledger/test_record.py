"""The chain's arithmetic, held to vectors: a ledger written today has to verify in ten years."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.ledger.record import Record, day_of, digest, genesis, header, link, restore


def test_the_hash_is_the_documented_one() -> None:
    start = hashlib.sha256(b"interlock/ledger/genesis/1\0" + b"main").digest()
    assert (genesis("main").seq, genesis("main").hash) == (0, start)
    fields = struct.pack(">QqIH", 1, -5, 7, 2)
    assert header(1, -5, 7, 2) == fields
    expected = hashlib.sha256(
        b"interlock/ledger/record/1\0" + start + fields + hashlib.sha256(b"payload").digest()
    ).digest()
    assert link(start, fields, digest(b"payload")) == expected
    assert expected.hex() == "176eba960a0e32bbb4f454d6feb47461480094f48cfbdab5cdaf39e2db68ed51"
    row = (1, -5, 7, 2, b"payload", None, expected)
    assert restore(row, start).intact
    emptied = restore((1, -5, 7, 2, None, digest(b"payload"), expected), start)
    assert emptied.intact
    assert emptied.payload is None


def test_accounts_have_chains_of_their_own() -> None:
    assert genesis("main").hash != genesis("other").hash


@given(
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.binary(max_size=50),
    st.sampled_from(["seq", "at_ns", "kind", "schema", "payload_digest", "prev"]),
)
def test_every_field_is_in_the_hash(seq: int, at_ns: int, kind: int, schema: int, payload: bytes, field: str) -> None:
    prev = digest(b"before")
    hash_ = link(prev, header(seq, at_ns, kind, schema), digest(payload))
    fields = {
        "seq": seq,
        "at_ns": at_ns,
        "kind": kind,
        "schema": schema,
        "payload_digest": digest(payload),
        "prev": prev,
    }
    assert Record(**fields, payload=payload, hash=hash_).intact  # type: ignore[arg-type]
    value = fields[field]
    fields[field] = value ^ 1 if isinstance(value, int) else digest(value)  # type: ignore[arg-type]
    assert not Record(**fields, payload=payload, hash=hash_).intact  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [(-1, 0, 0, 0), (2**64, 0, 0, 0), (0, 2**63, 0, 0), (0, 0, -1, 0), (0, 0, 0, 2**16)])
def test_numbers_that_do_not_fit_are_refused(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="seq"):
        header(*numbers)
    with pytest.raises(ValueError, match="seq"):
        restore((*numbers, b"", None, bytes(32)), bytes(32))


@pytest.mark.parametrize(("at_ns", "day"), [(0, 0), (-1, -1), (86_399_999_999_999, 0), (86_400_000_000_000, 1)])
def test_days_start_at_midnight_utc(at_ns: int, day: int) -> None:
    assert day_of(at_ns) == day
