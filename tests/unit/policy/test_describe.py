import json
import subprocess
import sys

from interlock.policy import describe, describe_preset, load_policy, preset_list
from unit.policy.policy_texts import ALL_ON, changed


def rows(text: str) -> dict[object, dict[str, object]]:
    return {row["path"]: dict(row) for row in describe(load_policy(text))}


def test_a_number_tells_its_meaning_its_origin_and_its_reason() -> None:
    row = rows(changed({"rules.DAILY_LOSS.loss": {"value": "2 %", "why": "half"}}))["rules.DAILY_LOSS.loss"]
    assert row == {
        "path": "rules.DAILY_LOSS.loss",
        "written": "2 %",
        "value": 0.02,
        "unit": "frac",
        "tighter": "lower",
        "of": "of the equity at day open",
        "rules": ["DAILY_LOSS"],
        "from": "file",
        "why": "half",
    }


def test_a_presets_number_tells_the_preset() -> None:
    row = rows(ALL_ON)["breaker.trips"]
    assert (row["from"], row["value"], row["rules"]) == (
        "crypto-futures@1", 3.0, ["API_ERRORS", "ORDER_FAILURES", "FAILED_TRADES"],
    )  # fmt: skip


def test_other_leaves_have_no_number() -> None:
    table = rows(changed({"rules.SPREAD_SPIKE": "off: no book", "breaker.lock": "until operator"}))
    assert (table["policy_version"]["value"], table["policy_version"]["tighter"]) == (None, None)
    assert (table["rules.SPREAD_SPIKE"]["why"], table["rules.SPREAD_SPIKE"]["rules"]) == ("no book", ["SPREAD_SPIKE"])
    assert table["breaker.lock"]["value"] == "inf"
    assert table["sources.bot.trend"]["written"] == ["open", "close"]
    assert table["valid_for"]["unit"] == "d"


def test_a_symbols_numbers_tell_what_the_accounts_do() -> None:
    table = rows(changed({"universe.BTCUSDT.rules": {"SPREAD_SPIKE": {"spread": "9 bps"}}}))
    assert table["universe.BTCUSDT.rules.SPREAD_SPIKE.spread"]["rules"] == ["SPREAD_SPIKE"]
    assert table["universe.BTCUSDT.margin_leverage"]["of"] == "margin leverage at the venue"
    assert table["universe.BTCUSDT.cluster"]["rules"] == []


def test_descriptions_are_json() -> None:
    json.dumps(describe(load_policy(ALL_ON)), allow_nan=False)
    json.dumps(preset_list(), allow_nan=False)


def test_presets_are_listed_with_what_they_leave_off() -> None:
    listed = {row["extends"]: row for row in preset_list()}
    assert list(listed) == ["balanced@1", "crypto-futures@1", "layered@1"]
    off = listed["layered@1"]["off"]
    assert isinstance(off, list)
    assert "SPREAD_SPIKE" in off
    assert all(row[key] for row in listed.values() for key in ("title", "source", "read_on", "evidence", "numbers"))


def test_a_preset_tells_each_number_with_its_reason() -> None:
    table = {row["path"]: row for row in describe_preset("balanced") or ()}
    assert table["rules.DAILY_LOSS.loss"]["written"] == "2.5 %"
    assert str(table["rules.DAILY_LOSS.loss"]["why"]).startswith("five ordinary losers of 0.5 %")
    assert str(table["rules.NEWS_WINDOW"]["why"]).startswith("it denies all openings without a calendar file")
    assert {row["from"] for row in table.values()} == {"balanced@1"}
    assert not any(path.startswith("preset") for path in map(str, table))


def test_a_presets_version_may_be_left_out() -> None:
    assert describe_preset("layered") == describe_preset("layered@1") != describe_preset("balanced")
    assert describe_preset("layered@2") is describe_preset("lay") is None


def test_the_core_does_not_pull_pydantic() -> None:
    code = "import sys, interlock.core.messages; print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
