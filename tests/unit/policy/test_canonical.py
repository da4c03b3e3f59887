import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.policy.canonical import canonical, digest_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DOCUMENTS = st.recursive(
    TEXT | st.booleans(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)


def test_keys_are_in_the_order_of_the_standards_example() -> None:
    document = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = list(json.loads(canonical(document)).values())
    assert order == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_text_is_escaped_as_the_standard_says() -> None:
    written = canonical("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/\u2028\u007f")
    assert written == b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\xe2\x80\xa8\x7f"'


def test_nothing_but_the_content_is_written() -> None:
    assert canonical({"b": ["x", True, {}], "a": False}) == b'{"a":false,"b":["x",true,{}]}'


@pytest.mark.parametrize("value", [1, 1.5, None, ["a", 2], {"a": None}, b"raw"[0]])
def test_numbers_and_null_have_no_place(value: Any) -> None:
    with pytest.raises(TypeError, match="policy document holds"):
        canonical(value)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        canonical("\ud800")


@given(DOCUMENTS)
def test_it_is_json_with_one_form(document: Any) -> None:
    written = canonical(document)
    assert json.loads(written) == document
    assert canonical(json.loads(written)) == written
    assert digest_of(document) == hashlib.sha256(written).hexdigest()
