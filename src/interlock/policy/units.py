"""
Numbers as people write them: "2.5 %", "50 bps", "300 s", "4 h", "5000 USD", "6 x", "10".

A number has digits and at most one decimal point: no sign, no exponent, no thousands separator. It is scaled as an
exact fraction and rounded once, so "2.5 %" is the float nearest to 0.025.
"""

import re
from fractions import Fraction
from typing import Final, NamedTuple

from interlock.core.constants import BASE, CHOP, TREND
from interlock.core.limits import Unit

_NUMBER: Final = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,30})?)(?:\s*(?P<unit>[A-Za-z%][A-Za-z0-9%]*))?", re.ASCII)
_SEPARATED: Final = re.compile(r"\d[,_' ]\d")
_CURRENCY: Final = re.compile(r"[A-Z][A-Z0-9]{2,9}")

_SCALES: Final[dict[Unit, dict[str, Fraction]]] = {
    "frac": {"%": Fraction(1, 100), "bps": Fraction(1, 10_000)},
    "bps": {"bps": Fraction(1)},
    "s": {
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "min": Fraction(60),
        "h": Fraction(3600),
        "d": Fraction(86_400),
    },
    "x": {"x": Fraction(1)},
    "count": {"": Fraction(1)},
    "quantity": {"": Fraction(1)},
}

EXPECTED: Final[dict[Unit, str]] = {
    "frac": 'a share such as "2.5 %" or "50 bps"',
    "bps": 'basis points such as "50 bps"',
    "s": 'a duration such as "300 s", "15 min", "4 h" or "90 d"',
    "count": "a whole number such as 10",
    "money": 'an amount with its currency such as "5000 USD"',
    "quantity": 'a quantity in base units such as "0.5"',
    "x": 'a multiple such as "6 x"',
    "flag": '"yes" or "no"',
    "regime": '"CHOP", "BASE", "TREND" or "veto"',
}

_REGIMES: Final = {"veto": 0.0, "CHOP": CHOP, "BASE": BASE, "TREND": TREND}
_FLAGS: Final[dict[str | bool, str]] = {True: "yes", False: "no", "yes": "yes", "no": "no"}


class Measure(NamedTuple):
    """A number as written, the value that it has inside, and its written unit ("" where it has none)."""

    written: str
    value: float
    unit: str


class UnitInvalid(ValueError):
    """A number or its unit cannot be read; `expected` and `remedy` say what to write instead."""

    def __init__(self, expected: str, remedy: str) -> None:
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"expected {expected}: {remedy}")


def parse_measure(raw: object, kind: Unit) -> Measure:
    """
    The number that `raw` writes, fractions as 0..1 and times in seconds.

    Text carries the unit. Only a count may be a bare integer and only a flag a bare boolean: a bare `2.5` does not say
    whether it is percent.

    Raises:
        UnitInvalid: it is no such number, or its unit belongs to another kind.
    """
    if kind == "flag":
        return _parse_flag(raw)
    if kind == "regime":
        return _parse_regime(raw)
    if kind == "count" and type(raw) is int:
        raw = str(raw)
    if not isinstance(raw, str):
        raise UnitInvalid(EXPECTED[kind], "write the number as text, with its unit")
    number, unit = _split(raw, kind)
    scale = _scale(unit, kind)
    value = Fraction(number) * scale
    if kind == "count" and value.denominator != 1:
        raise UnitInvalid(EXPECTED[kind], "things are counted whole")
    return Measure(raw, float(value), unit)


def format_measure(value: float, kind: Unit, currency: str = "") -> str:
    """The shortest text that `parse_measure` reads as exactly this value, in the kind's plainest unit."""
    if kind == "flag":
        return "yes" if value else "no"
    if kind == "regime":
        return next(word for word, number in _REGIMES.items() if number == value)
    unit = {"frac": "%", "bps": "bps", "s": "s", "x": "x", "money": currency}.get(kind, "")
    number = _plain(Fraction(repr(value)) * 100 if kind == "frac" else Fraction(repr(value)))
    return f"{number} {unit}".rstrip()


def _parse_flag(raw: object) -> Measure:
    if not isinstance(raw, (str, bool)) or raw not in _FLAGS:
        raise UnitInvalid(EXPECTED["flag"], 'write "yes", "no", true or false; other text is never taken for either')
    written = _FLAGS[raw]
    return Measure(written, float(written == "yes"), "")


def _parse_regime(raw: object) -> Measure:
    if not isinstance(raw, str) or raw not in _REGIMES:
        raise UnitInvalid(EXPECTED["regime"], "name the regime, or veto")
    return Measure(raw, _REGIMES[raw], "")


def _split(text: str, kind: Unit) -> tuple[str, str]:
    match = _NUMBER.fullmatch(text.strip())
    if match:
        return match["number"], match["unit"] or ""
    if _SEPARATED.search(text):
        remedy = "write the digits without separators, and a point before decimals"
    elif text.strip().startswith("-"):
        remedy = "no number of a policy is negative; the name says which side it limits"
    else:
        remedy = "write digits, then the unit"
    raise UnitInvalid(EXPECTED[kind], remedy)


def _scale(unit: str, kind: Unit) -> Fraction:
    if kind == "money":
        if not _CURRENCY.fullmatch(unit):
            raise UnitInvalid(EXPECTED[kind], "add the account's currency after the number")
        return Fraction(1)
    scales = _SCALES[kind]
    if unit not in scales:
        known = " or ".join(name for name in scales if name)
        raise UnitInvalid(EXPECTED[kind], f"use {known} as its unit" if known else "leave the unit away")
    return scales[unit]


def _plain(number: Fraction) -> str:
    """A decimal fraction in digits, without exponent."""
    places = 0
    while number.denominator != 1:
        number *= 10
        places += 1
    digits = str(number.numerator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits
