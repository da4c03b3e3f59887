"""From a file to what the core reads: parsing, presets, overlay, digest, validity."""

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from interlock.core.errors import PolicyInvalid
from interlock.core.messages import PolicySet
from interlock.policy.load import load_policy, policy_problems, preset_texts, read_preset
from unit.policy.policy_texts import ALL_ON, CREATED_NS, HEAD, NOW_NS, changed, compiled, paths_of, problems_of

DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + 'valid_for = "1 d"', "overwrite"),
        ("[account", "end of document"),
        ('{"policy_version": "a", "policy_version": "b"}', "'policy_version' stands twice"),
        ('{"policy_version": "\\ud800"}', "surrogates"),
        ('{"policy_version": ', "line 1"),
        ("{" * 100_000, "line 1"),
        ('{"a":' * 100_000, "recursion"),
        ("x = " + "[" * 100_000, "recursion"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested more than 16"),
        ('{"a":' + "[" * 500 + "1" + "]" * 500 + "}", "nested more than 16"),
    ],
)
def test_what_cannot_be_parsed_is_one_problem_with_its_line(text: str, words: str) -> None:
    (problem,) = problems_of(text)
    assert words in problem.found
    with pytest.raises(PolicyInvalid):
        load_policy(text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="No such file"):
        load_policy(tmp_path / "missing.toml")
    with pytest.raises(PolicyInvalid, match="directory"):
        load_policy(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'policy_version = "\xff"')
    with pytest.raises(PolicyInvalid, match="decode"):
        load_policy(tmp_path / "latin.toml")


def test_a_list_is_no_policy() -> None:
    assert problems_of("[1]") != ()


def test_all_problems_are_in_the_exception() -> None:
    with pytest.raises(PolicyInvalid) as refused:
        load_policy(changed({"rules.WARN.at": "2", "rules.DAILY_LOSS.loss": "2"}))
    assert len(refused.value.problems) == 2


def test_toml_and_json_of_the_same_content_are_the_same_policy() -> None:
    raw = tomllib.loads(ALL_ON)
    raw["created_at"] = "2027-01-15T09:00:00+01:00"
    assert load_policy(json.dumps(raw)).digest == load_policy(ALL_ON).digest


def test_the_digest_is_of_the_content_and_not_of_its_order() -> None:
    first = load_policy(ALL_ON)
    turned = load_policy("\n".join(reversed(ALL_ON.strip().splitlines())))
    assert turned.digest == first.digest
    assert msgspec.msgpack.encode(turned.compile(NOW_NS)) == msgspec.msgpack.encode(first.compile(NOW_NS))


@pytest.mark.parametrize(
    "change",
    [
        {"rules.DAILY_LOSS.loss": "2.50 %"},
        {"rules.DAILY_LOSS.loss": {"value": "2.5 %", "why": "said twice"}},
        {"universe.BTCUSDT.cluster": "other"},
        {"sources.bot.trend": ["open"]},
        {"generator.inputs": {"bars.csv": "sha256:00"}},
    ],
)
def test_any_change_changes_the_digest(change: dict[str, object]) -> None:
    assert load_policy(changed(change)).digest != load_policy(changed({})).digest


def test_an_expanded_policy_stands_alone() -> None:
    policy = load_policy(ALL_ON)
    frozen = load_policy(policy.to_json())
    assert (frozen.digest, frozen.verified, frozen.expanded_from) == (policy.digest, True, "crypto-futures@1")
    assert frozen.leaves["rules", "DRAWDOWN", "loss"].origin == "crypto-futures@1"
    assert frozen.to_json() == policy.to_json()
    assert msgspec.msgpack.encode(frozen.compile(NOW_NS)) == msgspec.msgpack.encode(policy.compile(NOW_NS))
    whole = json.loads(policy.to_json().replace('"expanded_from": "crypto-futures@1"', '"expanded_from": "gone@7"'))
    del whole["digest"]
    assert load_policy(json.dumps(whole)).expanded_from == "gone@7"


def test_a_policy_without_preset_needs_none() -> None:
    document = json.loads(load_policy(ALL_ON).to_json())
    del document["expanded_from"], document["digest"]
    text = json.dumps(document).replace('"from": "crypto-futures@1", ', "")
    alone = load_policy(text)
    assert alone.expanded_from == ""
    assert {leaf.origin for leaf in alone.leaves.values()} == {"file"}
    assert load_policy(alone.to_json()).verified


def test_a_digest_that_is_not_its_own_is_not_verified() -> None:
    stated = load_policy(ALL_ON).to_json()
    tampered = stated.replace('"2.5 %"', '"2.6 %"')
    assert tampered != stated
    policy = load_policy(tampered)
    assert not policy.verified
    assert policy.compile(NOW_NS).verified is False
    (problem,) = policy_problems(tampered, NOW_NS)
    assert problem.path == ("digest",)
    assert policy.digest in problem.expected
    assert load_policy(stated).compile(NOW_NS).verified is True
    assert policy_problems(stated, NOW_NS) == ()


def test_a_file_that_extends_may_state_its_digest() -> None:
    digest = load_policy(HEAD).digest
    assert load_policy(HEAD + f'digest = "{digest}"').verified
    assert not load_policy(HEAD + 'digest = "0"').verified


def test_the_file_is_laid_over_its_preset() -> None:
    rules = """
rules.DRAWDOWN.loss = "7 %"
rules.SPREAD_SPIKE = "off: no book"
rules.WEEKLY_LOSS.loss = "9 %"
"""
    policy = load_policy(HEAD + rules)
    limits = policy.compile(NOW_NS).limits[0]
    assert (limits.drawdown_frac_max, limits.drawdown_lock_s, limits.week_loss_frac_max) == (0.07, 3600.0, 0.09)
    assert limits.spread_bps_max != limits.spread_bps_max
    assert ("rules", "SPREAD_SPIKE", "spread") not in policy.leaves
    assert ("rules", "WEEKLY_LOSS") not in policy.leaves


def test_a_presets_sizing_is_replaced_whole() -> None:
    house = 'preset = { name = "house", version = "1", why = "a test" }\nsizing.fraction = "1 %"'
    text = HEAD.replace("crypto-futures@1", "house@1")
    base = {"house@1": house + "\n" + _rules_of_crypto()}
    kept = load_policy(text, presets=base).compile(NOW_NS).limits[0]
    replaced = load_policy(text + 'sizing.quantity = "2"', presets=base).compile(NOW_NS).limits[0]
    assert kept.size_frac == 0.01
    assert replaced.size_quantity == 2.0
    assert replaced.size_frac != replaced.size_frac


def _rules_of_crypto() -> str:
    return preset_texts()["crypto-futures@1"].split("\nwhy = ", 1)[1].split("\n", 1)[1]


def test_an_unknown_preset_is_one_problem_that_names_the_known_ones() -> None:
    (problem,) = problems_of(HEAD.replace("crypto-futures@1", "crypto-futures"))
    assert problem.path == ("extends",)
    assert "balanced@1, crypto-futures@1, layered@1" in problem.expected
    assert paths_of(HEAD.replace('"crypto-futures@1"', "1")) == ["extends"]


def test_a_broken_preset_is_a_problem_of_extends() -> None:
    text = HEAD.replace("crypto-futures@1", "mine@1")
    for broken in ("rules = 1", "rules ="):
        (problem,) = policy_problems(text, NOW_NS, presets={"mine@1": broken})
        assert problem.path == ("extends",)
        with pytest.raises(PolicyInvalid):
            read_preset(broken)


def test_every_number_of_a_preset_says_why() -> None:
    head = 'preset = { name = "house", version = "1" }\n'
    body = 'rules = { DAILY_LOSS = { loss = "2 %" }, FREE_MARGIN = "on", SPREAD_SPIKE = "off: no book" }\n'
    owner = 'exits.owner = { value = "any", why = "several strategies" }\n'
    with pytest.raises(PolicyInvalid) as refused:
        read_preset(head + body + owner)
    (problem,) = refused.value.problems
    assert problem == (
        'rules.DAILY_LOSS.loss: found "2 %" without a reason, expected { value = "2 %", why = "..." }: '
        "say why, or say it for all in preset.why"
    )
    refusing = policy_problems(HEAD.replace("crypto-futures@1", "house@1"), NOW_NS, presets={"house@1": head + body})
    assert refusing[0].path == ("extends",)


def test_a_preset_may_say_why_once_for_all_that_say_no_more() -> None:
    head = 'preset = { name = "house", version = "1", why = "the document\'s" }\n'
    body = 'rules.DRAWDOWN = { loss = "2 %", lock = { value = "1 h", why = "ours" } }\nrules.FREE_MARGIN = "on"\n'
    leaves = read_preset(head + body)
    assert leaves["rules", "DRAWDOWN", "loss"].why == "the document's"
    assert leaves["rules", "DRAWDOWN", "lock"].why == "ours"
    assert leaves["rules", "FREE_MARGIN"].why == ""


def test_a_preset_is_no_policy_and_an_expanded_policy_extends_nothing() -> None:
    assert paths_of(HEAD + 'preset = { name = "x" }') == ["preset"]
    assert paths_of(HEAD + 'expanded_from = "layered@1"') == ["extends"]


def test_validity_runs_from_when_it_was_made_or_published() -> None:
    policy = load_policy(HEAD)
    assert policy.since_ns == CREATED_NS
    assert policy.compile(NOW_NS).valid_until_ns == CREATED_NS + 90 * DAY_NS
    published = policy.publish(CREATED_NS + DAY_NS + 1999)
    assert published.since_ns == CREATED_NS + DAY_NS + 1000
    assert published.valid_until_ns == CREATED_NS + 91 * DAY_NS + 1000
    assert published.digest != policy.digest
    again = load_policy(published.to_json())
    assert (again.verified, again.since_ns) == (True, published.since_ns)


def test_a_published_policy_states_its_digest() -> None:
    published = load_policy(HEAD).publish(NOW_NS)
    assert published.verified
    document = json.loads(published.to_json())
    del document["digest"]
    assert not load_policy(json.dumps(document)).verified
    assert [problem.found for problem in policy_problems(json.dumps(document), NOW_NS)] == ["nothing"]


def test_publishing_a_change_verifies_it() -> None:
    tampered = load_policy(load_policy(ALL_ON).to_json().replace('"2.5 %"', '"2.6 %"'))
    assert tampered.publish(NOW_NS).verified


def test_a_policy_from_the_future_is_refused() -> None:
    policy = load_policy(HEAD)
    assert isinstance(policy.compile(CREATED_NS), PolicySet)
    with pytest.raises(PolicyInvalid, match=r"created_at.*not in the future"):
        policy.compile(CREATED_NS - 1)
    with pytest.raises(PolicyInvalid, match="published_at"):
        policy.publish(NOW_NS).compile(NOW_NS - 1000)
    assert [problem.path for problem in policy_problems(HEAD, CREATED_NS - 1)] == [("created_at",)]


def test_an_expired_policy_compiles_and_says_that_it_has_expired() -> None:
    end_ns = CREATED_NS + 90 * DAY_NS
    assert policy_problems(HEAD, end_ns) == ()
    (problem,) = policy_problems(HEAD, end_ns + 5 * 10**9)
    assert problem.path == ("valid_for",)
    assert "5 s ago" in problem.found
    assert load_policy(HEAD).compile(end_ns + 1).valid_until_ns == end_ns


def test_problems_are_the_same_whoever_asks() -> None:
    text = changed({"rules.WARN.at": "2"})
    assert policy_problems(text, NOW_NS) == problems_of(text)


def test_what_the_core_reads() -> None:
    policy = compiled(ALL_ON)
    assert policy.policy_id == "test"
    assert policy.digest == load_policy(ALL_ON).digest
    assert [(symbol.symbol, symbol.cluster, symbol.benchmark) for symbol in policy.universe] == [
        ("BTCUSDT", "majors", False),
        ("ETHUSDT", "", False),
    ]
    assert [policy.limits[symbol.limits].margin_leverage_max for symbol in policy.universe] == [8.0, 10.0]
    assert policy.limits[0].margin_leverage_max == 15.0
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(policy), type=PolicySet)
    assert decoded.digest == policy.digest


def test_ten_thousand_symbols_share_what_is_equal() -> None:
    universe = {f"S{i:05}": {"margin_leverage": f"{1 + i % 3} x"} for i in range(10_000)}
    policy = compiled(changed({"universe": universe}))
    assert (len(policy.universe), len(policy.limits)) == (10_000, 4)


def test_symbols_may_have_any_name() -> None:
    policy = load_policy(
        changed({"universe": {"BTC/USDT:USDT": {"margin_leverage": "2 x"}, "EUR.USD": {"margin_leverage": "3 x"}}})
    )
    assert policy.symbols == ("BTC/USDT:USDT", "EUR.USD")
    assert paths_of(changed({"universe": {"EUR.USD": {"margin_leverage": "3"}}})) == ['universe."EUR.USD".margin_leverage']
