"""What a file may say, and how it is told what it may not."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.codes import Code
from interlock.core.limits import LIMIT_FIELDS, SWITCHABLE, is_on
from interlock.core.messages import SourceRight
from interlock.policy.layout import RULES, SLOT_AT, SLOTS, SYMBOL_RULES, Slot, slots_of
from interlock.policy.load import load_policy
from interlock.policy.problems import dotted
from interlock.policy.units import format_measure
from unit.policy.policy_texts import ALL_ON, HEAD, changed, compiled, paths_of, problems_of

MOVABLE = [
    slot for slot in SLOTS if slot.limit.tighter != "neither" and slot.name not in ("size_quantity", "unknown_regime")
]


def test_every_limit_stands_in_exactly_one_place() -> None:
    assert sorted(slot.name for slot in SLOTS) == sorted(LIMIT_FIELDS)
    assert len(SLOT_AT) == len(SLOTS)


def test_a_number_under_a_rules_name_is_read_by_that_rule() -> None:
    assert all(slot.rule in slot.limit.rules for slot in SLOTS if slot.rule is not None)


def test_every_switchable_rule_can_be_set() -> None:
    assert set(SWITCHABLE) <= set(RULES)
    assert set(SYMBOL_RULES) <= set(RULES)


@settings(max_examples=200)
@given(st.sampled_from(MOVABLE), st.floats(0.01, 0.05))
def test_tightening_a_leaf_tightens_its_limit_and_no_other(slot: Slot, by: float) -> None:
    before = compiled(ALL_ON).limits[0]
    value = getattr(before, slot.name)
    lower = slot.limit.tighter == "lower"
    if slot.limit.unit == "flag":
        moved = 0.0 if lower else 1.0
    elif slot.limit.unit == "count":
        moved = value - 1.0 if lower else value + 1.0
    else:
        moved = value * (1.0 - by if lower else 1.0 + by)
    text = format_measure(moved, slot.limit.unit, "USDT")
    after = compiled(changed({dotted(slot.path): text})).limits[0]
    assert getattr(after, slot.name) == moved
    assert moved < value if lower else moved > value
    others = [name for name in (*LIMIT_FIELDS, "active") if name != slot.name]
    assert [(name, getattr(after, name)) for name in others if name != "size_quantity"] == [
        (name, getattr(before, name)) for name in others if name != "size_quantity"
    ]


TABLES = ["", "account", "proof", "breaker", "exits", "sizing", "kill_switch", "generator", "rules", "universe.BTCUSDT"]
TABLES += [f"rules.{rule}" for rule in RULES if slots_of(rule)]


@given(
    st.sampled_from(TABLES),
    st.from_regex(r"[a-zA-Z_]{1,12}", fullmatch=True),
    st.sampled_from(["1 %", True, 3, {}, [], None]),
)
def test_an_unknown_key_is_refused_wherever_it_stands(table: str, key: str, value: Any) -> None:
    document: dict[str, Any] = json.loads(changed({}))
    node = document
    for part in table.split(".") if table else []:
        node = node[part]
    if key in node or key in ("sizing", "rules", "preset", "extends", "expanded_from", "published_at", "digest"):
        return
    if key in ("cluster", "benchmark", "inputs", "quantity", "value"):
        return
    node[key] = value
    assert paths_of(json.dumps(document)) == [".".join(filter(None, (table, key)))]


# Each is one mistake, at the path where it is reported; no two touch each other.
MISTAKES: list[tuple[str, Any, str]] = [
    ("policy_version", 7, "policy_version"),
    ("created_at", "2027-01-15T08:00:00", "created_at"),
    ("valid_for", "90", "valid_for"),
    ("account.currency", None, "account.currency"),
    ("account.margin_leverage", "16 x", "account.margin_leverage"),
    ("exits.close_patience", "5.1 s", "exits.close_patience"),
    ("exits.owner", None, "exits.owner"),
    ("kill_switch.mode", "freeze", "kill_switch.mode"),
    ("sizing.quantity", "1", "sizing"),
    ("universe.BTCUSDT.margin_leverage", None, "universe.BTCUSDT.margin_leverage"),
    ("universe.ETHUSDT.rules", {"DAILY_LOSS": {"loss": "1 %"}}, "universe.ETHUSDT.rules.DAILY_LOSS"),
    ("sources.bot.trend", ["open", "fly"], "sources.bot.trend"),
    ("rules.DAILY_LOSS.loss", "2.5", "rules.DAILY_LOSS.loss"),
    ("rules.WARN.at", "100 %", "rules.WARN.at"),
    ("rules.SYMBOL_EXPOSURE.exposure", "401 %", "rules.SYMBOL_EXPOSURE.exposure"),
    ("rules.SPREAD_SPIKE.spraed", "50 bps", "rules.SPREAD_SPIKE.spraed"),
    ("rules.ORDER_NOTIONAL.notional", "5,000 USDT", "rules.ORDER_NOTIONAL.notional"),
    ("rules.MARKET_STALE", "off: too strict", "rules.MARKET_STALE"),
    ("rules.API_ERRORS.errors", 33, "rules.API_ERRORS.errors"),
    ("rules.RUNAWAY.window", None, "rules.RUNAWAY.window"),
    ("rules.STOP_REQUIRED", True, "rules.STOP_REQUIRED"),
    ("rules.FREE_MARGIN", None, "rules.FREE_MARGIN"),
    ("rules.NO_SUCH_RULE", "off: of course", "rules.NO_SUCH_RULE"),
    ("proof.marks", 0, "proof.marks"),
    ("breaker", "15 min", "breaker"),
    ("leverage", "10 x", "leverage"),
]


@given(st.lists(st.sampled_from(MISTAKES), max_size=len(MISTAKES), unique_by=lambda mistake: mistake[0]))
def test_each_of_n_mistakes_is_one_problem(mistakes: list[tuple[str, Any, str]]) -> None:
    text = changed({path: value for path, value, _ in mistakes})
    assert paths_of(text) == sorted(where for _, _, where in mistakes)


def test_a_problem_says_where_what_and_what_to_do() -> None:
    (problem,) = problems_of(changed({"rules.DAILY_LOSS.loss": "2.5"}))
    assert str(problem) == (
        'rules.DAILY_LOSS.loss: found \'2.5\', expected a share such as "2.5 %" or "50 bps": use % or bps as its unit'
    )


def test_a_misspelt_key_is_one_problem_with_a_suggestion() -> None:
    (problem,) = problems_of(ALL_ON.replace("rules.WEEKLY_LOSS.loss", "rules.WEEKLY_LOSS.los"))
    assert "did you mean loss?" in problem.remedy
    assert dotted(problem.path) == "rules.WEEKLY_LOSS.los"


@pytest.mark.parametrize("raw", ["false", "true", "no ", 0, 1, "off"])
def test_text_that_looks_like_no_is_never_taken_for_a_flag(raw: Any) -> None:
    assert paths_of(changed({"account.rebase_after_drawdown": raw})) == ["account.rebase_after_drawdown"]


@pytest.mark.parametrize(("raw", "value"), [(False, 0.0), (True, 1.0), ("no", 0.0), ("yes", 1.0)])
def test_flags(raw: Any, value: float) -> None:
    assert compiled(changed({"account.rebase_after_drawdown": raw})).limits[0].drawdown_rebase == value


@pytest.mark.parametrize("rule", RULES)
def test_off_is_for_rules_that_are_not_structural_and_needs_a_reason(rule: Code) -> None:
    path = f"rules.{rule}"
    silent = (Code.KELLY_ZERO, Code.KELLY_CAP) if rule is Code.KELLY_CAP else (rule,)
    off = {f"rules.{each}": "off: tried in a test" for each in silent}
    quiet = {**off, "account.rebase_after_drawdown": "no"}
    if rule not in SWITCHABLE:
        (problem,) = problems_of(changed(quiet))
        assert dotted(problem.path) == path
        assert "structural and cannot be off" in problem.remedy
        return
    limits = compiled(changed(quiet)).limits[0]
    assert [code for code in SWITCHABLE if not is_on(limits, code)] == sorted(silent, key=SWITCHABLE.index)
    for slot in slots_of(rule):
        assert getattr(limits, slot.name) != getattr(limits, slot.name), "a number of a rule that is off is NaN"
    wrongs: list[Any] = ["off", "off:", "off: ", "off:\n", "OFF: why", "off-hours", "", 0, False, []]
    for wrong in wrongs:
        assert paths_of(changed({path: wrong})) == [path]


def test_rules_without_numbers_are_on_by_word_and_no_other() -> None:
    assert is_on(compiled(changed({"rules.STOP_REQUIRED": "on"})).limits[0], Code.STOP_REQUIRED)
    for raw in ("on: why", "yes", True, {"on": True}):
        assert paths_of(changed({"rules.STOP_REQUIRED": raw}))[0].startswith("rules.STOP_REQUIRED")
    assert paths_of(changed({"rules.DAILY_LOSS": "on"})) == ["rules.DAILY_LOSS"]


def test_a_structural_rule_without_numbers_says_so() -> None:
    (problem,) = problems_of(changed({"rules.SOURCE_DENIED": "off: I trust everybody"}))
    assert "structural" in problem.remedy


def test_an_accounts_rule_cannot_be_a_symbols() -> None:
    (problem,) = problems_of(changed({"universe.BTCUSDT.rules": {"DAILY_LOSS": {"loss": "1 %"}}}))
    assert "for the account" in problem.remedy


@pytest.mark.parametrize(
    ("path", "words", "value"),
    [
        ("rules.DRAWDOWN.lock", "until operator", float("inf")),
        ("rules.STOP_HIT.lock", "next risk day", 0.0),
        ("rules.STOP_HIT.lock", "until operator", float("inf")),
        ("rules.ORDER_FAILURES.window", "since reset", float("inf")),
    ],
)
def test_words_stand_where_no_number_does(path: str, words: str, value: float) -> None:
    limits = compiled(changed({path: words})).limits[0]
    assert getattr(limits, SLOT_AT[tuple(path.split("."))].name) == value
    assert paths_of(changed({"rules.DAILY_LOSS.loss": words})) == ["rules.DAILY_LOSS.loss"]


def test_a_leaf_may_say_why_and_nothing_else() -> None:
    policy = load_policy(changed({"rules.DAILY_LOSS.loss": {"value": "2 %", "why": "a bad month"}}))
    assert policy.leaves["rules", "DAILY_LOSS", "loss"].why == "a bad month"
    wrongs: list[dict[str, Any]] = [
        {"why": "no value"},
        {"value": "2 %", "because": "x"},
        {"value": "2 %", "why": 7},
        {"value": {"value": "2 %"}},
    ]
    for wrong in wrongs:
        assert paths_of(changed({"rules.DAILY_LOSS.loss": wrong})) == ["rules.DAILY_LOSS.loss"]
    assert paths_of(HEAD + 'sizing.fraction = { value = "5 %", from = "layered@1" }') == ["sizing.fraction"]


def test_a_rule_may_be_off_with_a_reason_beside_it() -> None:
    text = changed({"rules.SPREAD_SPIKE": {"value": "off: no book", "why": "the venue quotes one price"}})
    assert load_policy(text).leaves["rules", "SPREAD_SPIKE"].why == "the venue quotes one price"


@pytest.mark.parametrize("raw", [None, 1.5, float("inf"), [], "x" * 600, "two\nlines", " "])
def test_names_are_text_on_one_line(raw: Any) -> None:
    assert paths_of(changed({}).replace('"policy_version": "test"', f'"policy_version": {json.dumps(raw)}')) == [
        "policy_version"
    ]


def test_rights_of_sources() -> None:
    text = changed({"sources": {"bot": {"trend": ["open"], "carry": ["close", "open"]}, "agent": {"trend": ["close"]}}})
    assert compiled(text).rights == (
        SourceRight("agent", "trend", may_open=False, may_close=True),
        SourceRight("bot", "carry", may_open=True, may_close=True),
        SourceRight("bot", "trend", may_open=True, may_close=False),
    )
    for wrong in ([], ["open", "open"], "open", [True], [["open"]]):
        assert paths_of(changed({"sources.bot.trend": wrong})) == ["sources.bot.trend"]


@pytest.mark.parametrize("raw", ["0 s", "0 d", "366.1 d", "until operator", 90, "-1 d"])
def test_a_policy_is_valid_for_some_time(raw: Any) -> None:
    assert paths_of(changed({"valid_for": raw})) == ["valid_for"]


@pytest.mark.parametrize("raw", ["0 x", "15.1 x", "8", 8])
def test_margin_leverage_is_above_0_and_at_most_15(raw: Any) -> None:
    assert paths_of(changed({"universe.BTCUSDT.margin_leverage": raw})) == ["universe.BTCUSDT.margin_leverage"]


@pytest.mark.parametrize(
    "path", ["universe.SOLUSDT", "universe.BTCUSDT.rules", "rules.WEEKLY_LOSS", "sources.agent", "sizing"]
)
def test_an_empty_table_is_refused_because_it_would_say_nothing(path: str) -> None:
    assert paths_of(changed({path: {}})) == [path]


@pytest.mark.parametrize("name", ["", " ", "BTC\nUSDT"])
def test_names_can_be_printed(name: str) -> None:
    (symbol,) = problems_of(changed({"universe": {name: {"margin_leverage": "2 x"}}}))
    assert symbol.path == ("universe", name)
    (source,) = problems_of(changed({"sources": {name: {"trend": ["open"]}}}))
    assert source.path == ("sources", name)
    (strategy,) = problems_of(changed({"sources": {"bot": {name: ["open"]}}}))
    assert strategy.path == ("sources", "bot", name)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["2 %", "off: x", "on"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["value", "why", "x", "rules"]), inner, max_size=2)
    ),
)
PLACES = [dotted(slot.path) for slot in SLOTS] + TABLES[1:] + ["universe", "sources", "sources.bot", "preset", "digest"]


@given(st.dictionaries(st.sampled_from(PLACES), JSON, max_size=3))
def test_whatever_is_written_is_a_policy_or_a_list_of_problems(changes: dict[str, Any]) -> None:
    document: dict[str, Any] = json.loads(changed({}))
    for path, value in changes.items():
        *parents, key = path.split(".")
        node: Any = document
        for part in parents:
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node[key] = value
    for problem in problems_of(json.dumps(document)):
        assert all(str(problem).count(word) for word in (": found ", ", expected "))


def test_bounds_include_what_they_say() -> None:
    compiled(changed({"exits.close_patience": "5 s", "valid_for": "366 d"}))
    compiled(changed({"rules.API_ERRORS.errors": 32, "rules.RUNAWAY.orders": 32}))
    compiled(changed({"universe.BTCUSDT.margin_leverage": "15 x"}))
    assert paths_of(changed({"rules.DRAWDOWN.lock": "0 s"})) == ["rules.DRAWDOWN.lock"]


def test_a_table_in_place_of_a_table_of_tables() -> None:
    assert paths_of(changed({"universe": "BTCUSDT"})) == ["universe"]
    assert paths_of(changed({"universe.BTCUSDT": "8 x"})) == ["universe.BTCUSDT"]
    assert paths_of(changed({"sources.bot": ["open"]})) == ["sources.bot"]
    assert paths_of(changed({"rules": []})) == ["rules"]


@pytest.mark.parametrize("raw", ["yesterday", "2027-01-15", "2027-01-15T08:00:00", "0001-01-01T00:00:00+14:00", 1, None])
def test_an_instant_has_its_offset_from_utc(raw: Any) -> None:
    assert paths_of(json.dumps({**json.loads(changed({})), "created_at": raw})) == ["created_at"]


def test_a_structural_rule_with_numbers_takes_only_its_table() -> None:
    (problem,) = problems_of(changed({"rules.MARKET_STALE": "on"}))
    assert problem.expected == "a table with its numbers"
