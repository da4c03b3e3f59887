"""Numbers and facts in words: `equity_age_s` 412.0 becomes "equity is 412 s old"."""

from math import isinf, isnan
from typing import Final

from interlock.core.constants import BASE, CHOP, TREND
from interlock.core.facts import FACT_UNITS
from interlock.core.limits import Unit

_REGIMES: Final = {0.0: "veto", CHOP: "CHOP", BASE: "BASE", TREND: "TREND"}
_BOUNDS: Final = ("_max", "_min")
_UNITS: Final = ("_frac", "_bps", "_s")


def measured(value: float, unit: Unit) -> str:
    """The number with its unit, as a person writes it: "2.5 %", "412 s", "9,749.99", "yes"; "unknown" for NaN."""
    if isnan(value):
        return "unknown"
    if unit == "flag":
        return "yes" if value else "no"
    if unit == "regime":
        return _REGIMES.get(value, "no regime")
    if isinf(value):
        return "infinite" if value > 0.0 else "-infinite"
    if unit == "frac":
        return f"{_trimmed(f'{value:,.6%}'[:-1])} %"
    if unit in ("s", "bps"):
        return f"{_trimmed(f'{value:,.3f}')} {unit}"
    number = f"{value:,.9g}"
    if "e" in number and abs(value) >= 1.0:
        number = f"{value:,.2f}"
    return f"{number} x" if unit == "x" else number


def money(value: float, currency: str = "") -> str:
    """An amount in account currency, to the cent: "9,749.99 USDT"."""
    number = f"{value:,.2f}" if not (isnan(value) or isinf(value)) else measured(value, "money")
    return f"{number} {currency}".strip()


def share(value: float) -> str:
    """A share in whole percent: "70 %"."""
    return f"{value:,.0%}"[:-1] + " %"


def words(name: str) -> str:
    """The field's name without bound and unit, as words: "equity gap"."""
    for suffix in (*_BOUNDS, *_UNITS):
        name = name.removesuffix(suffix)
    return name.replace("_", " ")


def stated(name: str, value: float) -> str:
    """The fact as a clause: "equity is 412 s old", "position count is 9", "mark is unknown"."""
    unit = FACT_UNITS[name]
    text = measured(value, unit)
    if isnan(value):
        return f"{words(name)} is unknown"
    if name.endswith("_age_s"):
        subject = name.removesuffix("_age_s").replace("_", " ")
        return f"{subject} has no accepted time" if isinf(value) else f"{subject} is {text} old"
    if name.endswith("_s_left"):
        return f"{name.removesuffix('_s_left').replace('_', ' ')} has {text} left"
    return f"{words(name)} is {text}"


def _trimmed(number: str) -> str:
    """Without zeros that say nothing after the decimal point."""
    return number.rstrip("0").rstrip(".") if "." in number else number
