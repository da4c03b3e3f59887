import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.service.execution.orderids import CLIENT_ID_CHARS_MAX, OrderIds
from interlock.service.execution.signing import Realm
from unit.service.rig import NOW_NS, REALM

IDS = OrderIds(REALM)
OTHERS = [Realm("mainnet", "main", "scripted"), Realm("testnet", "second", "scripted"), Realm("testnet", "main", "binance")]
TAKEN_BY_BINANCE = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")


@given(st.integers(0, 2**64 - 1))
def test_a_name_leads_back_to_its_permit(permit: int) -> None:
    name = IDS.of(permit)
    assert IDS.permit_in(name) == permit
    assert IDS.is_ours(name)
    assert TAKEN_BY_BINANCE.fullmatch(name)
    assert len(name) <= CLIENT_ID_CHARS_MAX


@given(st.integers(0, 2**63), st.integers(0, 10**9))
def test_a_direct_close_has_a_name_of_ours_without_a_permit(at_ns: int, count: int) -> None:
    name = IDS.direct(at_ns, count)
    assert IDS.permit_in(name) is None
    assert IDS.is_ours(name)
    assert TAKEN_BY_BINANCE.fullmatch(name)


def test_direct_closes_of_one_instant_differ() -> None:
    assert len({IDS.direct(NOW_NS, count) for count in range(1000)}) == 1000


@pytest.mark.parametrize("realm", OTHERS)
def test_accounts_do_not_take_each_others_orders(realm: Realm) -> None:
    assert OrderIds(realm).permit_in(IDS.of(7)) is None
    assert not OrderIds(realm).is_ours(IDS.of(7))


@given(st.text(max_size=40))
def test_names_that_we_would_not_write_are_not_ours(text: str) -> None:
    stem = IDS.of(0)[:-1]
    for name in (text, stem + text):
        permit = IDS.permit_in(name)
        assert permit is None or IDS.of(permit) == name


@pytest.mark.parametrize("tail", ["", "00", "07", "A", " 7", "7 ", "-7", "+7", "1_0", "٣"])
def test_odd_spellings_of_a_number_are_no_permit(tail: str) -> None:
    assert IDS.permit_in(IDS.of(0)[:-1] + tail) is None


def test_a_number_that_no_permit_has_is_nobodys() -> None:
    head = IDS.of(0)[:-1]
    assert IDS.permit_in(IDS.of(2**64 - 1)) == 2**64 - 1
    assert IDS.permit_in(head + "3w5e11264sgsg") is None  # 2**64
    assert IDS.permit_in(head + "z" * 14) is None
