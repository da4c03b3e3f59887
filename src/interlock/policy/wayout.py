"""What must be true of a policy's way out: thresholds that can be reached, a stop on this side of the market, an owner."""

from collections.abc import Iterator

from interlock.core.codes import Code, ExitMode
from interlock.core.exits.kernel import score_max
from interlock.policy.layout import LABELS
from interlock.policy.leaf import Leaves
from interlock.policy.overlay import account_part, of_regime, overlay
from interlock.policy.problems import Path, Problem
from interlock.policy.rules import is_on

_WEIGHTS = (
    "score.flip_weight",
    "score.sigma_weight",
    "score.sigma_cap",
    "score.strength_weight",
    "score.strength_cap",
    "score.strength",
)


def way_out(leaves: Leaves) -> Iterator[Problem]:
    """A problem for each number of the way out that contradicts another, for the account and for each regime."""
    account = account_part(leaves)
    found = [*_owner(account), *_starters(account), *_opening_score(account), *_numbers(account)]
    yield from found
    for label in LABELS:
        if own := of_regime(leaves, label):
            for problem in _numbers(overlay(account, own)):
                if problem not in found:
                    yield problem._replace(path=("regimes", label, *problem.path))


def _numbers(leaves: Leaves) -> Iterator[Problem]:
    yield from _ladder(leaves)
    yield from _lock(leaves)
    yield from _exit_score(leaves)


def _number(leaves: Leaves, place: str) -> float | None:
    leaf = leaves.get(_path(place))
    return leaf.number if leaf is not None else None


def _path(place: str) -> Path:
    return tuple(place.split("."))


def _text(leaves: Leaves, place: str) -> str:
    return f'"{leaves[_path(place)].text}"'


def _owner(leaves: Leaves) -> Iterator[Problem]:
    mode, owner = (leaves.get(("exits", key)) for key in ("mode", "owner"))
    if mode and owner and mode.text != ExitMode.BUILTIN and owner.text == "any":
        remedy = "name the owner whom the built-in rules succeed, or let them act"
        yield Problem(("exits", "mode"), f'"{mode.text}"', '"builtin" while exits.owner is "any"', remedy)


def _starters(leaves: Leaves) -> Iterator[Problem]:
    path = ("rules", Code.TRAILING_STOP.value)
    told = any(place[:2] == path for place in leaves) and is_on(leaves, Code.TRAILING_STOP)
    if told and not (is_on(leaves, Code.TAKE_PROFIT) or is_on(leaves, Code.PROFIT_LOCK)):
        remedy = "switch TAKE_PROFIT or PROFIT_LOCK on: trailing begins after one of them"
        yield Problem(path, "a trailing stop that nothing starts", '"off: <why>"', remedy)


def _ladder(leaves: Leaves) -> Iterator[Problem]:
    if not is_on(leaves, Code.HARVEST):
        return
    for lower, upper in (("first", "second"), ("second", "third")):
        below, above = f"rules.HARVEST.{lower}", f"rules.HARVEST.{upper}"
        low, high = _number(leaves, below), _number(leaves, above)
        if low is not None and high is not None and not low < high:
            remedy = f"lower it, or raise {above}"
            yield Problem(_path(below), _text(leaves, below), f"less than {above} = {_text(leaves, above)}", remedy)


def _lock(leaves: Leaves) -> Iterator[Problem]:
    """A stop that locks a profit in lies, where it is moved, on this side of the market, whatever the first stop was."""
    place = "rules.PROFIT_LOCK.beyond"
    beyond, start, cost = (_number(leaves, each) for each in (place, "rules.PROFIT_LOCK.from", "exits.cost"))
    if not is_on(leaves, Code.PROFIT_LOCK) or beyond is None or start is None or cost is None:
        return
    profit = start + cost / 1e4
    if not beyond < profit:
        expected = f"less than {profit:.4%} of the entry, the profit at which it is locked with the widest stop"
        yield Problem(_path(place), _text(leaves, place), expected, "lower it, or lock later")


def _largest_score(leaves: Leaves, age_place: str) -> float | None:
    """The largest kill score of these weights; None while one of them is not known. By entry, trend strength is up to 1."""
    found = [_number(leaves, place) for place in _WEIGHTS]
    age = _number(leaves, age_place) if age_place else 0.0
    if age is None or any(each is None for each in found):
        return None
    flip, sigma, sigma_cap, trend, trend_cap, reference = (each or 0.0 for each in found)
    return score_max(flip, sigma, sigma_cap, trend, trend_cap, reference if reference > 0.0 else 1.0, age)


def _in_domain(leaves: Leaves, place: str, most: float | None) -> Iterator[Problem]:
    threshold = _number(leaves, place)
    if threshold is not None and most is not None and not 0.5 < threshold <= most:
        expected = f"more than 50 % and at most {100 * most:.4f} %, all that the score can be with these weights"
        yield Problem(_path(place), _text(leaves, place), expected, "move it into this range, or change the weights")


def _exit_score(leaves: Leaves) -> Iterator[Problem]:
    if is_on(leaves, Code.KILL_EXIT):
        yield from _in_domain(leaves, "rules.KILL_EXIT.score", _largest_score(leaves, "score.age_weight"))


def _opening_score(leaves: Leaves) -> Iterator[Problem]:
    """An opening has no entry to compare with, so its references are numbers, and its age is 0."""
    if not is_on(leaves, Code.KILL_SCORE):
        return
    for place in ("score.flip", "score.sigma", "score.strength"):
        if _number(leaves, place) == 0.0:
            remedy = "name a number, or switch KILL_SCORE off: an opening has no entry yet"
            yield Problem(_path(place), _text(leaves, place), "a number while KILL_SCORE is on", remedy)
    most = _largest_score(leaves, "")
    for place in ("rules.KILL_SCORE.shrink", "rules.KILL_SCORE.critical"):
        yield from _in_domain(leaves, place, most)
