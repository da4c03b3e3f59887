"""
Stories: tests of the whole engine as a table of times, happenings and expectations that reads aloud.

    story: a losing day
    policy: layered@1

    09:00  equity 10000
    09:01  intent i1 BTC +3000 at mark stop -2%      -> permit p1 3000
    09:02  filled p1                                 -> position BTC 30
    10:00  funding -600                              -> lock DAILY_LOSS until +14h
    10:01  intent i2 ETH +1000                       -> deny TRADING_REDUCING lock DAILY_LOSS
    10:02  close BTC by exit                         -> permit p2 reduce-only

A file holds any number of stories. `#` starts a comment. Each story has a head and then its lines.

**The head**, all of it optional but the first:

    story: TITLE
    starts: 2027-01-15T08:00               UTC; the default is this Friday
    account: 10000 [paper|shadow|live] [base 50000] [stops]    starting balance, nominal base, stops at the venue
    policy: NAME@VERSION | none            then indented lines of TOML that are laid over the preset
    exits: A|B|A-numbers|B-numbers         the built-in exit rules are on, with that parameter set
    symbol: BTC 100 [step N] [min N] [multiplier N] [quote EUR] [rate N] [bracket N] [sessions "..."] [inverse]
    day: 00:00 UTC                         when risk days begin (clock and IANA zone)
    week: Mon 00:00 UTC
    silent: FEED...                        feeds that say nothing from the start
    holds: BTC=+10@100 ...                 positions that the venue holds already

The account is in USDT. Without symbols there are BTC at 100, ETH at 50 and SOL at 20, in steps of 0.0001, at 10x.
Sources are `bot` (opens and closes for the strategy `trend`), `exit` (closes for it) and `rival` (for `mean`).

**A line** is a time, what happens, and after `->` what is expected; several of each are separated by commas. A line that
starts with `->` goes on with the expectations of the line above. A time is `09:30`, `09:30:00.5` (UTC, the same day),
`2027-03-28T09:30`, `+90s` (also ns, ms, m, h, d) or `=` for no time at all.

**The market keeps itself fresh.** Before each line, and on the way to it whenever time alone could matter, the feeds
speak: `clock` (compared with the venue's), `positions`, `marks`, `market` (each symbol's state, once an hour),
`equity` and the exit owner's `heartbeat`, all as the venue has them.
After a move, a fill or a flow equity is told at once. `silent FEED...` or `silent all` stops that until `live FEED...`.

**What happens**:

    tick                                     time alone
    mark BTC 99 [bid N] [ask N] [high N] [low N] [rate N]
    market BTC [atr N] [label TREND|BASE|CHOP|none] [trend N] [base N] [chop N] [score N] [sigma N] [strength N]
                                             its market state, from now on with every bar; without label by the score
    equity 9700                              a cost makes it so, in both sources
    venue equity 0 | venue balance 9000      the venue alone says so; a balance stays so
    deposit N, withdrawal -N, payout -N, funding N, swap N, fee N  [on SYMBOL] [id ID]
    intent ID BTC +3000 [at mark|PRICE|-1%] [stop PRICE|-2%|none] [target PRICE|+4%] [reduce-only] [scale]
           [leverage N] [by SOURCE] [for STRATEGY] [age 5s|unknown]
                                             +/- account currency, `+3u` base units, `+policy` the policy's size;
                                             a stop 5 % away unless it says otherwise; a market order without `at`
    close BTC [size N] [at PRICE] [by SOURCE] [for STRATEGY] [id ID]     reduce-only, whole, by the exit owner or bot
    rebalance ID BTC=0.2 ETH=open:-0.1 SOL=close XRP=veto [refuse] [by SOURCE] [for STRATEGY]
    exit BTC RUNG [PARTIAL_25|PARTIAL_33|PARTIAL_50|PARTIAL_75|FULL_CLOSE] [stop PRICE] [by SOURCE]
                                             an exit owner proposes; `exit` where the story does not say who
    bars BTC N [LENGTH]                      so many bars pass one after the other, of 15m, each with a mark at its end
    windows BTC [no-open 10:00..10:30] [no-close TIME..TIME] [flat TIME..TIME] [known TIME]
                                             what the calendar file says, all of a year where nothing else is `known`
    adopt BTC stop PRICE [target PRICE] for STRATEGY by NAME
    cancel p1 [by SOURCE], amend p1 [by SOURCE]
    again                                    the last input a second time
    spent p1|permit:99 [by SOURCE], working p1 [Nu], filled p1 [Nu] [at PRICE] [fee N], rejected p1 [benign],
    cancelled p1 [Nu], unknown p1            `Nu` is the total filled so far, in base units
    positions none | positions BTC +30@100 ...    what the venue holds from now on, told at once
    orders p1 ...                            open at the venue
    error [reducing]                         a call to the venue failed
    tradable BTC yes|no|unknown
    heartbeat NAME
    clock jump -5s | clock check [+6s|alone] the wall clock steps; it is compared with the venue's, or with nothing
    kill [flatten|freeze] [strategy S|symbol BTC] by NAME ["reason"], reset [scope] by NAME
    lock [strategy S|symbol BTC [buy|sell]] until TIME|OPERATOR by NAME, release CODE [scope] by NAME
    flatten BTC|all by NAME                  positions are to be closed, until the venue confirms it
    rebase by NAME, owner any|NAME by NAME
    mode armed 1 rollout 1 kill 0 [symbols BTC+ETH]
    policy [unverified] [with PATH VALUE]... published anew
    quarantine KIND [SYMBOL]                 an input of that kind could not be processed
    restart                                  the record is folded into a new engine; it must be in the same state
    takeover                                 that, and the new engine opens the account under the next epoch

**What may be expected.** Outputs, of the line's inputs and of the feeds before them:

    permit [NAME] [3000|30u] [reduce-only]   names the permit for later lines; a stop at the venue is none of these:
    stop [NAME] [3000|30u] [at PRICE]        but this, with the price that triggers it
    deny CODE [cap N] [lock CODE] [by SOURCE], objects CODE [N], repeat p1 [STATE], left BTC (by a rebalance's veto)
    revoked p1 [CODE], expired p1, cancel p1 [CODE]
    lock CODE [REDUCING|HALTED] [on account|strategy S|symbol BTC [buy|sell]] [until TIME], unlock CODE [on ...]
    goal BTC [reached] [CODE], fence [CODE]
    exit BTC RUNG [FRACTION] [stop PRICE] [advice] [because "text"]       a proposal of the rules, or of the owner
    baseline day|week|drawdown_ref|equity_peak N [exact|pending|shadow|rebase]
    event CODE [VETO|FLATTEN|WARN|REARM] [of CODE], alert CODE ["text"]
    no EXPECTATION                           none such; also `no permit`, `no lock` and so on for any kind of output
    invalid ["text"]                         the input was refused as InputInvalid

and figures afterwards: `state ACTIVE|REDUCING|HALTED`, `peak N`, `drawdown-ref N`, `initial N`, `own N`, `day-open N`,
`week-open N`, `streak N`, `position BTC N`, `pending BTC N` (base units),
`stop-of BTC N`. What a line does not mention may happen too,
unless it says `only`: then every decision, permit, lock, goal, baseline, event, alert and cancellation must be mentioned.
An input that could not be processed fails its line unless that expects `alert QUARANTINED`.

**Never trapped.** After every line the runner asks, without doing it, whether each open position could be closed in whole:
by an operator always, and by whoever owns the exits unless a freeze is on or a close is under way. If not, the story fails.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import msgspec

from interlock.core.codes import AccountKind, Code, TradingState
from interlock.core.decide import decide
from interlock.core.errors import InputInvalid
from interlock.core.legs import closing_steps
from interlock.core.locks import strategy_lock, symbol_lock, trading_state
from interlock.core.messages import Alert, Decision, EquityMarked, FenceRaised, Intent, Output, PermitIssued, Spent
from interlock.core.state import SymbolRow
from interlock.policy.calendar import sessions
from interlock.testing.bench import FEEDS, Bench
from interlock.testing.builders import CALENDAR_DAYS, PRICES, START_NS, make_instrument, make_policy, open_bench
from interlock.testing.expectations import FIGURES, KINDS, OUTPUTS, SHARED, code_named, figure_of_symbol, same, state_is
from interlock.testing.happenings import VERBS
from interlock.testing.wayout import EXITS
from interlock.testing.words import UNITS_NS, Line, StoryFailed, StoryInvalid, Words, clauses, instant_ns, number

__all__ = ["Line", "Run", "Story", "StoryFailed", "StoryInvalid", "read_stories", "tell"]

CLOSERS: Final = {"trend": "bot", "mean": "rival"}
"""Who may close for each strategy where nobody owns the exits."""


@dataclass
class Story:
    """One story: its title, its head, and its lines. `where` is its file and line."""

    title: str
    where: str
    head: dict[str, str] = field(default_factory=dict)
    symbols: list[str] = field(default_factory=list)
    toml: str = ""
    lines: list[Line] = field(default_factory=list)

    def run(self) -> "Run":
        """
        The story has been told to a new engine, and every expectation was met.

        Raises:
            StoryFailed: one was not; the message shows the line and what came out instead.
            StoryInvalid: a line cannot be read.
        """
        run = Run(self)
        for line in self.lines:
            run.tell(line)
        return run


class Run:
    """A story being told. `proven_closes` counts the closes that were proven possible, `last_proven` on the last line."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.names: dict[str, int] = {}
        self.flows = set[str]()
        self.last_input = 0
        self.refused = ""
        self.outputs: list[Output] = []
        self.proven_closes = 0
        self.last_proven = 0
        self.bench: Bench
        self._head = Line(story.where, f"story: {story.title}", "=", (), ())
        self.bench = self._open()

    # ---------------------------------------------------------------- opening

    def _open(self) -> Bench:
        head = self.story.head
        account = Words(self._head, tuple(head.get("account", "10000").split()))
        balance = account.number("the balance")
        kind = AccountKind(account.next("a kind")) if account.peek() in tuple(AccountKind) else AccountKind.PAPER
        told_of_account = account.options("base", "stops")
        start_ns = instant_ns(self._head, head["starts"], 0) if "starts" in head else START_NS
        told = [self._symbol(text, start_ns) for text in self.story.symbols]
        self.prices = {name: price for name, price, _, _ in told} or dict(PRICES)
        day = tuple(head.get("day", "00:00 UTC").split())
        week = tuple(head.get("week", "Mon 00:00 UTC").split())
        return open_bench(
            balance=balance,
            start_ns=start_ns,
            policy=self._policy(start_ns, {}),
            prices=self.prices,
            instruments=[make_instrument(name, **changes) for name, _, changes, _ in told],
            kind=kind,
            nominal_base=number(self._head, told_of_account.get("base", "0")),
            day=(day[0], day[1]),
            week=(week[0], week[1], week[2]),
            feeds=FEEDS - set(head.get("silent", "").split()),
            holdings=dict(map(self._holding, head.get("holds", "").split())),
            rates={name: rate for name, _, _, rate in told},
            stops_at_venue="stops" in told_of_account,
        )

    def _symbol(self, text: str, start_ns: int) -> tuple[str, float, dict[str, Any], float]:
        words = Words(self._head, clauses(text)[0])
        name, price = words.next("a symbol"), words.number("its mark")
        told = words.options("step min multiplier bracket quote rate sessions", "inverse")
        fields = {"step": "step", "min": "min_notional", "multiplier": "multiplier", "bracket": "bracket_leverage"}
        changes: dict[str, Any] = {fields[key]: number(self._head, told[key]) for key in fields if key in told}
        changes |= {"quote_currency": told["quote"]} if "quote" in told else {}
        changes |= {"inverse": True} if "inverse" in told else {}
        if "sessions" in told:
            day_ns = UNITS_NS["d"]
            changes["sessions"] = sessions(told["sessions"], start_ns - 8 * day_ns, start_ns + CALENDAR_DAYS * day_ns)
        return name, price, changes, number(self._head, told.get("rate", "nan"))

    def _holding(self, text: str) -> tuple[str, tuple[float, float]]:
        symbol, _, rest = text.partition("=")
        units, _, entry = rest.partition("@")
        return symbol, (number(self._head, units), number(self._head, entry))

    def _policy(self, at_ns: int, changes: dict[str, Any]) -> Any:
        name = self.story.head.get("policy", "crypto-futures@1")
        if name == "none":
            return None
        layers = (EXITS[self.story.head["exits"]],) if "exits" in self.story.head else ()
        toml = (*layers, self.story.toml)
        return make_policy(name, at_ns=at_ns, symbols=tuple(self.prices), toml=toml, changes=changes)

    def publish(self, changes: dict[str, Any], *, verified: bool) -> None:
        """The story's policy, made now with these changes, is in force; unverified, it is refused."""
        at_ns = self.bench.clock.true_ns
        policy = self._policy(at_ns, changes).compile(at_ns)
        self.bench.send(msgspec.structs.replace(policy, verified=verified))

    # ---------------------------------------------------------------- telling

    def tell(self, line: Line) -> None:
        """The line has happened and its expectations are met."""
        at_ns = instant_ns(line, line.time, self.bench.clock.true_ns)
        if at_ns < self.bench.clock.true_ns:
            raise line.invalid("time does not go back: name the date of a later day")
        first = len(self.bench.steps)
        self.refused = ""
        self.bench.pass_until(at_ns)
        for words in line.inputs:
            self._happen(line, words)
        self.outputs = [output for step in self.bench.steps[first:] for output in step.outputs]
        self._expect(line)
        if Code.QUARANTINED in (each.code for each in self.outputs if isinstance(each, Alert)):
            told = any(words[:2] == ("alert", "QUARANTINED") for words in line.expected)
            self._require(line, ("no", "alert", "QUARANTINED"), told)
        self._prove_exits(line)

    def _happen(self, line: Line, clause: tuple[str, ...]) -> None:
        words = Words(line, clause)
        verb = VERBS.get(words.next("what happens"))
        if verb is None:
            raise line.invalid(f"{clause[0]!r} is nothing that happens: {', '.join(VERBS)}")
        before = len(self.bench.steps)
        try:
            verb(self, words)
        except InputInvalid as error:
            self.refused = str(error)
        if words:
            raise line.invalid(f"{words.peek()!r} is more than {clause[0]!r} takes")
        told = range(before, len(self.bench.steps))
        if clause[0] != "again" and told:
            own = [at for at in told if not isinstance(self.bench.steps[at].input, EquityMarked | Spent)]
            self.last_input = own[-1] if own else told[-1]

    def _expect(self, line: Line) -> None:
        met = set[int]()
        only = False
        refusal_expected = False
        for clause in line.expected:
            words = Words(line, clause)
            if clause == ("only",):
                only = True
            elif words.take("invalid"):
                refusal_expected = True
                self._require(line, clause, self.refused and (not words or words.next("text") in self.refused))
            else:
                self._meet(line, clause, words, met)
        if self.refused and not refusal_expected:
            raise self._failed(line, f"the input was refused: {self.refused}")
        if only:
            surprises = [each for each in self.outputs if id(each) not in met and not isinstance(each, FenceRaised)]
            self._require(line, ("only",), not surprises)

    def _meet(self, line: Line, clause: tuple[str, ...], words: Words, met: set[int]) -> None:
        what = words.next("an expectation")
        if what in FIGURES:
            self._require(line, clause, same(FIGURES[what](self), words.number("a figure")))
        elif what in ("position", "pending", "stop-of"):
            symbol = self.symbol(words)
            self._require(line, clause, same(figure_of_symbol(self, what, symbol), words.number("base units")))
        elif what == "state":
            self._require(line, clause, state_is(self, words.next("a state")))
        elif what == "no":
            self._require(line, clause, not self._unwanted(line, words))
        elif what in OUTPUTS:
            matches = OUTPUTS[what](self, words)
            seen = set[int]() if what in SHARED else met
            found = next((each for each in self.outputs if id(each) not in seen and matches(each)), None)
            self._require(line, clause, found is not None)
            met |= {id(found)} | {id(each) for each in self.outputs if _same_decision(found, each)}
        else:
            raise line.invalid(f"{what!r} cannot be expected")
        if words:
            raise line.invalid(f"{words.peek()!r} is more than {what!r} takes")

    def _unwanted(self, line: Line, words: Words) -> bool:
        what = words.next("what must not be")
        if not words and what in KINDS:
            return any(map(KINDS[what], self.outputs))
        if what not in OUTPUTS:
            raise line.invalid(f"{what!r} cannot be expected")
        matches = OUTPUTS[what](self, words)
        return any(matches(each) for each in self.outputs)

    def _require(self, line: Line, clause: tuple[str, ...], met: object) -> None:
        if not met:
            raise self._failed(line, f"expected {' '.join(clause)}")

    def _failed(self, line: Line, problem: str) -> StoryFailed:
        shown = "\n".join(f"    {show(each)}" for each in self.outputs) or "    nothing"
        figures = " ".join(f"{name}={read(self):.6f}" for name, read in FIGURES.items())
        state = trading_state(self.bench.engine.state).name
        return StoryFailed(
            f"{line.where}: {line.text.strip()}\n  {problem}\n  what came out:\n{shown}\n  state={state} {figures}"
        )

    # ---------------------------------------------------------------- never trapped

    def _prove_exits(self, line: Line) -> None:
        """Every open position could be closed now."""
        state = self.bench.engine.state
        self.last_proven = 0
        for index in state.open_rows:
            r = state.symbols[index]
            if r.position == 0:
                continue
            symbol = state.names.symbols[index]
            closers = ["operator"]
            locks = [trading_state(state), symbol_lock(r, -r.position, state.account.now_ns, 1.0)[0]]
            if r.owner >= 0:
                locks.append(strategy_lock(state.strategies[r.owner], state.account.now_ns, 1.0)[0])
            if max(locks) < TradingState.HALTED and closing_steps(state, r, state.account.now_ns) == 0:
                closers += self.closers(r)
            for source in closers:
                self._prove_close(line, symbol, r, source)

    def _prove_close(self, line: Line, symbol: str, r: SymbolRow, source: str) -> None:
        state = self.bench.engine.state
        strategy = state.names.strategies[r.owner] if r.owner >= 0 else "trend"
        quantity = self.bench.book.instruments[symbol].quantity(abs(r.position))
        side = -1 if r.position > 0 else 1
        intent = Intent("probe", source, strategy, symbol, side, quantity=quantity, reduce_only=True)
        outputs = decide(state, self.bench.clock.wall_ns, self.bench.clock.mono_ns, intent)
        mine = [each for each in outputs if isinstance(each, PermitIssued) and each.intent_id == "probe"]
        if [each.steps for each in mine] != [abs(r.position)] or not mine[0].reduce_only:
            raise self._failed(line, f"{source} cannot close {symbol}: " + "; ".join(map(show, outputs)))
        self.proven_closes += 1
        self.last_proven += 1

    def closers(self, r: SymbolRow) -> list[str]:
        """Who may close the position besides the built-in sources; nobody else where there is no policy."""
        state = self.bench.engine.state
        owner = state.account.exit_owner
        if owner != "any" and not state.account.exit_deposed:
            return [owner]
        return [CLOSERS[state.names.strategies[r.owner] if r.owner >= 0 else "trend"]] if state.rights else []

    # ---------------------------------------------------------------- reading words

    def symbol(self, words: Words) -> str:
        """The next word, a symbol; one that the story does not know is passed on to the engine."""
        return words.next("a symbol")

    def row(self, symbol: str) -> SymbolRow:
        """The symbol's row in the engine's state."""
        state = self.bench.engine.state
        return state.symbols[state.names.symbol_index[symbol]]

    def permit(self, words: Words) -> int:
        """The permit that the next word names; `permit:99` is that number, whatever it stands for."""
        name = words.next("a permit's name")
        if name.startswith("permit:"):
            return int(number(words.line, name.removeprefix("permit:")))
        if name not in self.names:
            raise words.line.invalid(f"no permit was called {name!r} before: `-> permit {name}` names one")
        return self.names[name]

    def steps(self, words: Words, permit: int) -> int:
        """The next word, base units such as `3u`, in steps of the permit's symbol."""
        quantity = number(words.line, words.next("base units").removesuffix("u"))
        return self.bench.book.instruments[self.bench.permits[permit].symbol].steps_down(quantity)

    def code(self, words: Words) -> Code:
        """The next word, a reason code."""
        return code_named(words)

    def price(self, line: Line, symbol: str, text: str) -> float:
        """A price: the mark, a distance from it such as `-2%`, or a number."""
        known = self.bench.book.prices.get(symbol)
        mark = known.mark if known else nan
        if text == "mark":
            return mark
        return mark * (1.0 + number(line, text[:-1]) / 100.0) if text.endswith("%") else number(line, text)

    def is_size(self, line: Line, permit: PermitIssued, size: str) -> bool:
        """Whether the permit is that large: in base units to the step, in account currency to less than one step."""
        instrument = self.bench.book.instruments[permit.symbol]
        if size.endswith("u"):
            return permit.steps == instrument.steps_down(number(line, size[:-1]))
        limit = permit.limit_price
        price = limit if limit == limit else self.bench.book.prices[permit.symbol].mark
        unit = instrument.unit_value(price, self.bench.book.rate(permit.symbol))
        worth = permit.reserved / 1e6 if permit.reserved else permit.steps * unit
        return same(worth, number(line, size), unit)


def _same_decision(found: Output | None, other: Output) -> bool:
    """Whether a permit and a decision are each other's."""
    if isinstance(found, PermitIssued):
        return isinstance(other, Decision) and other.id == found.decision
    return False


def show(output: Output) -> str:
    """One output in one line, without the facts that a decision carries."""
    skipped = {"facts", "note"} if isinstance(output, Decision) else set()
    fields = ((name, getattr(output, name)) for name in output.__struct_fields__ if name not in skipped)
    shown = " ".join(f"{name}={value!s}" for name, value in fields if value not in ("", None))
    if isinstance(output, Decision):
        wanted = ", ".join(f"{each.code} {each.allowance:g}" for each in output.objections)
        return f"Decision {output.intent_id} {output.symbol} {output.headline} granted={output.granted_steps} [{wanted}]"
    return f"{type(output).__name__} {shown}"


# ---------------------------------------------------------------- reading a file


def read_stories(source: Path | str) -> list[Story]:
    """
    The stories of a file (a path) or a text, in order.

    Raises:
        StoryInvalid: a line of the head or of a table is not one.
    """
    name, text = ("story", source) if isinstance(source, str) else (source.name, source.read_text(encoding="utf-8"))
    stories: list[Story] = []
    for count, raw in enumerate(text.splitlines(), 1):
        line = _without_comment(raw)
        if line.strip():
            _read_line(stories, Line(f"{name}:{count}", line.rstrip(), "", (), ()))
    return stories


def tell(text: str) -> Run:
    """
    The one story in the text has been told, and every expectation was met; its `story:` line may be left out.

    Raises:
        StoryFailed: one was not met.
        StoryInvalid: the text is not one story.
    """
    lines = dedent(text).strip("\n")
    stories = read_stories(lines if lines.startswith("story:") else f"story: told\n{lines}")
    if len(stories) != 1:
        raise StoryInvalid(f"one story is told at a time, found {len(stories)}")
    return stories[0].run()


def _without_comment(text: str) -> str:
    quoted = False
    for at, sign in enumerate(text):
        quoted ^= sign == '"'
        if sign == "#" and not quoted:
            return text[:at]
    return text


HEAD: Final = ("holds", "starts", "account", "policy", "day", "week", "silent", "exits")


def _read_line(stories: list[Story], line: Line) -> None:
    text = line.text
    key, colon, value = text.partition(": ")
    if key == "story" and colon:
        stories.append(Story(value.strip(), line.where))
        return
    if not stories:
        raise line.invalid("a file begins with `story: TITLE`")
    story = stories[-1]
    if text.lstrip().startswith("->"):
        _go_on(story, line)
    elif text[0].isspace():
        if story.lines:
            raise line.invalid("an indented line goes on with expectations and begins with ->")
        story.toml += text.strip() + "\n"
    elif colon and key == "symbol":
        story.symbols.append(value)
    elif colon and key in HEAD:
        story.head[key] = value.strip()
    else:
        story.lines.append(_table_line(line))


def _table_line(line: Line) -> Line:
    time, _, rest = line.text.partition(" ")
    happens, _, expects = rest.partition("->")
    return Line(line.where, line.text, time, clauses(happens), clauses(expects))


def _go_on(story: Story, line: Line) -> None:
    if not story.lines:
        raise line.invalid("expectations belong to a line with a time")
    last = story.lines[-1]
    more = clauses(line.text.replace("->", "", 1))
    story.lines[-1] = Line(last.where, f"{last.text} {line.text.strip()}", last.time, last.inputs, last.expected + more)


def titles(stories: list[Story]) -> Iterator[str]:
    """Each story's file and title, for parametrised tests."""
    for story in stories:
        yield f"{story.where.partition(':')[0].removesuffix('.txt')}: {story.title}"
