"""
`runtime.toml`: which account a state directory is for, and the conditions under which it may open.

Who the account is (`account`, `venue`, `environment`, `risk_day`, `week`, `[paper]`) has to be right before anything
starts. What gates openings (`mode`, `armed`, `rollout_percent`, `[rollout]`) may be changed at any time, and anything about
it that is missing, unknown or misspelt closes openings and says so; it never keeps the gateway from looking after what is
open.
"""

import difflib
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError

from interlock.core.codes import AccountKind
from interlock.core.constants import NS_PER_S
from interlock.core.errors import InterlockError
from interlock.core.messages import CalendarSet
from interlock.policy.calendar import WEEKDAYS, CalendarInvalid, day_calendar, week_calendar
from interlock.service.home.home import Home
from interlock.service.private import read_plain

GATES: Final = ("mode", "armed", "rollout_percent", "rollout")
"""What only gates openings."""

_EXPECTED: Final = {
    "account": "a name of letters, digits, '.', '_' and '-'",
    "venue": '"paper"',
    "environment": '"testnet" or "mainnet"',
    "mode": '"shadow", "paper" or "live"',
    "armed": "true or false",
    "rollout_percent": "a whole number from 0 to 100",
    "rollout": "a whole number from 0 to 100 for each symbol",
    "risk_day": 'a time and an IANA zone, such as "17:00 America/New_York"',
    "week": f"one of {', '.join(WEEKDAYS)}",
    "paper": "a table with balance and speed",
    "paper.balance": "a number > 0",
    "paper.speed": "a number > 0",
}
_TWO_DAYS_NS: Final = 2 * 86_400 * NS_PER_S
_BUCKETS: Final = 100
_FOUND_MAX: Final = 60


class RuntimeInvalid(InterlockError):
    """runtime.toml does not say which account this is; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class KindUnsettled(InterlockError):
    """The account was opened as one kind and runtime.toml asks for another; correct the mode, or make another home."""


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Paper(_Table):
    """The account at the paper venue: what it starts with, and how many seconds of the recording pass in one."""

    balance: Annotated[float, Field(gt=0)]
    speed: Annotated[float, Field(gt=0)]


Percent = Annotated[int, Field(ge=0, le=100)]


def _kind(text: str) -> str:
    AccountKind(text)
    return text


def _risk_day(text: str) -> str:
    clock, _, zone = text.partition(" ")
    try:
        day_calendar("risk-day", zone, clock, 0, _TWO_DAYS_NS)
    except CalendarInvalid as error:
        raise ValueError from error
    return text


def _weekday(text: str) -> str:
    WEEKDAYS.index(text)
    return text


class Runtime(_Table):
    """What the file says; a gate that it does not say, or not understandably, is None, and `problems` tells why."""

    account: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    venue: Literal["paper"]
    environment: Literal["testnet", "mainnet"]
    risk_day: Annotated[str, AfterValidator(_risk_day)]
    week: Annotated[str, AfterValidator(_weekday)]
    mode: Annotated[str, AfterValidator(_kind)] | None = None
    armed: bool | None = None
    rollout_percent: Percent | None = None
    rollout: dict[str, Percent] = {}
    paper: Paper
    _problems: tuple[str, ...] = PrivateAttr(())

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the gates."""
        return self._problems

    def noting(self, problems: Sequence[str]) -> Self:
        """The same, with these problems."""
        self._problems = tuple(problems)
        return self

    @property
    def kind(self) -> AccountKind | None:
        """The kind of account that the mode asks for, None where it is not known."""
        return None if self.mode is None else AccountKind(self.mode)

    def calendars(self, start_ns: int, end_ns: int) -> tuple[CalendarSet, CalendarSet]:
        """The account's risk days and weeks that begin in the span."""
        clock, _, zone = self.risk_day.partition(" ")
        day = day_calendar("risk-day", zone, clock, start_ns, end_ns)
        return day, week_calendar("week", zone, clock, self.week, start_ns, end_ns)

    @property
    def rolled_out_whole(self) -> bool:
        """Whether the rollout covers every symbol there could be."""
        return self.rollout_percent == _BUCKETS and all(percent == _BUCKETS for percent in self.rollout.values())

    def rolled_out(self, symbol: str) -> bool:
        """Whether the rollout covers the symbol, by its own percentage where it has one; the same in every process."""
        percent = self.rollout.get(symbol, self.rollout_percent)
        return percent is not None and bucket(self.account, symbol) < percent


def bucket(account: str, symbol: str) -> int:
    """The symbol's place in the account's rollout, 0 to 99: covered while less than the percentage."""
    digest = hashlib.sha256(f"interlock rollout 1\0{account}\0{symbol}".encode()).digest()
    return int.from_bytes(digest) % _BUCKETS


def read_runtime(home: Home) -> Runtime:
    """
    What runtime.toml says.

    Raises:
        RuntimeInvalid: it cannot be read, or does not say which account this is.
    """
    try:
        data, problem = read_plain(home.runtime)
        if problem:
            raise RuntimeInvalid((problem,))
        return parse(data.decode())
    except OSError as error:
        raise RuntimeInvalid((f"{home.runtime}: {error.strerror or error}: make it with `interlock init`",)) from None
    except UnicodeDecodeError:
        raise RuntimeInvalid((f"{home.runtime} is not UTF-8: write it again",)) from None


def parse(text: str) -> Runtime:
    """
    What a runtime.toml with this text says.

    Raises:
        RuntimeInvalid: it does not say which account this is.
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RuntimeInvalid((f"runtime.toml is no TOML: {error}",)) from None
    missing = [f"{gate} is missing: write {_EXPECTED[gate]}" for gate in GATES[:3] if gate not in raw]
    try:
        return Runtime.model_validate(raw).noting(missing)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    problems = (*map(_sentence, errors), *missing)
    wrong = {str(each["loc"][0]) for each in errors}
    if wrong & (Runtime.model_fields.keys() - set(GATES)):
        raise RuntimeInvalid(problems)
    return Runtime.model_validate({key: value for key, value in raw.items() if key not in wrong}).noting(problems)


def settled_kind(recorded: AccountKind | None, runtime: Runtime) -> AccountKind:
    """
    What kind of account this is: as its ledger says, or for a new one as the mode says.

    A live account may be run in a tighter mode, which closes openings and looks after what is open. No other change is
    made by editing a file: an account of another kind has a ledger, keys and a directory of its own.

    Raises:
        KindUnsettled: the ledger and the mode do not go together.
    """
    wanted = runtime.kind
    if recorded is None:
        if wanted is None:
            raise KindUnsettled(f"a new account needs a mode in runtime.toml: {_EXPECTED['mode']}")
        return wanted
    if recorded is AccountKind.LIVE or wanted in (recorded, None):
        return recorded
    remedy = f"write {recorded}, or make a home for the {wanted} account with `interlock init`"
    raise KindUnsettled(f"runtime.toml says mode {wanted}, and this account was opened as {recorded}: {remedy}")


def _sentence(error: Mapping[str, Any]) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return _unknown(key)
    expected = _EXPECTED.get(key) or _EXPECTED[str(error["loc"][0])]
    if error["type"] == "missing":
        return f"{key} is missing: write {expected}"
    found = repr(error["input"])
    return f"{key} is {found[:_FOUND_MAX]}: write {expected}"


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, _EXPECTED, n=1)
    return f"{key} is unknown: " + (f"did you mean {near[0]}?" if near else "remove it")
