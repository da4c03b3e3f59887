"""What is told of the way out of a position to whoever asks: who acts, every rule, and what is being closed."""

from math import nan

import msgspec

from interlock.core.codes import CloseAction, Code, ExitMode, Rung
from interlock.core.exits.harvest import Harvest, Market


class ExitOwner(msgspec.Struct, frozen=True):
    """Who acts on exits; `owner` is `any` where nobody is named, times are NaN where nobody has to be heard."""

    owner: str = "any"
    mode: ExitMode = ExitMode.BUILTIN
    builtin_acts: bool = True
    succeeded: bool = False
    alive: bool = False
    silent_s: float = nan
    silent_s_max: float = nan


class Condition(msgspec.Struct, frozen=True):
    """
    What a rule reads, and from where on it is met; `distance` is from the one to the other, in `unit`.

    Where it is a matter of price, `price` is the mark at which it is met and `move_frac` the move of the mark to there.
    """

    reads: str
    value: float
    threshold: float
    unit: str
    distance: float
    price: float = nan
    move_frac: float = nan


class RuleView(msgspec.Struct, frozen=True):
    """
    A rule on one position. It acts where it is `on`, `met`, not `fired` yet, and does not have to wait.

    `close` is how much is then closed in all, `stop` the stop that it would set now. It `waits` while the firm forbids
    closing and nothing is unprotected without it.
    """

    rule: Code
    rung: Rung
    close: CloseAction
    on: bool
    fired: bool
    met: bool
    conditions: tuple[Condition, ...]
    stop: float = nan
    note: str = ""
    waits: bool = False


class Pursuit(msgspec.Struct, frozen=True):
    """What is being closed: down to `left`, under the name `rung`; `flatten` names the reason where all of it goes."""

    rung: str
    left: float
    attempts: int
    next_ns: int
    orders: int
    flatten: str = ""


class ExitView(msgspec.Struct, frozen=True):
    """
    One position as the way out sees it. Prices in quote currency, money in settlement currency, quantities in base units.

    `problem` says why no rule is asked, empty where they are. `pursued` is None where nothing is being closed. The firm
    forbids closing until `forbidden_until_ns`, 0 where it does not.
    """

    symbol: str
    episode: int
    strategy: str
    side: int
    quantity: float
    largest: float
    managed: bool
    entry: float
    mark: float
    mark_age_s: float
    age_s: float
    pnl: float
    stop: float
    first_stop: float
    target: float
    harvest: Harvest
    market: Market
    market_at_entry: Market
    regime_age_s: float
    rules: tuple[RuleView, ...]
    pursued: Pursuit | None
    problem: str = ""
    forbidden_until_ns: int = 0
