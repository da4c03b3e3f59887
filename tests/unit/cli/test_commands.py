import csv
import hashlib
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner, Result

from cli_story import SCHEMA, START_NS, at_s, opening, start, write
from interlock.cli import app, records
from interlock.cli.schema import What, schema_of
from interlock.core.engine import Engine
from interlock.core.limits import NO_LIMITS
from interlock.ledger import Ledger
from interlock.service.shell.gate import Gate
from repository import ROOT

STATE = str(ROOT / "examples" / "state.toml")
INTENT = str(ROOT / "examples" / "intent.toml")
POLICY = str(ROOT / "examples" / "policy.toml")


def run(*words: str, code: int = 0) -> Result:
    """The command, which must end with that code and without a traceback."""
    result = CliRunner().invoke(app, [*words], env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def told(*words: str, code: int = 0) -> Any:
    """What the command prints with --json, read strictly."""

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(run(*words, "--json", code=code).stdout, parse_constant=refuse)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("story") / "ledger"
    write(directory)
    return str(directory)


def state_file(folder: Path, *changes: tuple[str, str]) -> str:
    """The example's state with some of its text changed."""
    text = Path(STATE).read_text()
    calendar = ('"calendar.csv"', f'"{ROOT / "examples" / "calendar.csv"}"')
    for old, new in (('"policy.toml"', f'"{POLICY}"'), calendar, *changes):
        assert old in text
        text = text.replace(old, new)
    (folder / "state.toml").write_text(text)
    return str(folder / "state.toml")


# ---------------------------------------------------------------- check


def test_an_order_that_may_go_out() -> None:
    shown = run("check", INTENT, "--state", STATE).stdout
    assert shown.startswith("ALLOWED: all 6,120.01 USDT asked for; closest is TRADE_RISK, 95 %")
    assert "equity 9,850, may fall by 59.8 to 9,790.2" in " ".join(shown.split())


def test_the_same_from_options_with_options_winning() -> None:
    order = ("--symbol", "BTCUSDT", "--side", "buy", "--quantity", "0.1", "--limit", "61200.1", "--stop", "60800")
    words = (*order, "--state", STATE)
    assert told("check", *words)["decisions"][0] == told("check", INTENT, "--state", STATE)["decisions"][0]
    smaller = told("check", INTENT, "--quantity", "0.05", "--state", STATE)
    assert smaller["explanations"][0]["granted_steps"] == 50


def test_what_left_the_least_of_an_order_stands_first_and_nothing_twice() -> None:
    shown = run("check", INTENT, "--quantity", "10", "--partial", "scale", "--state", STATE).stdout
    assert shown.startswith("ALLOWED in part, 6,426.01 USDT of 612,001.00 USDT: TRADE_RISK: ")
    assert (shown.count("TRADE_RISK: "), shown.count("ORDER_NOTIONAL: ")) == (1, 1)


def test_an_order_of_no_size_has_to_be_above_nothing() -> None:
    shown = " ".join(run("check", INTENT, "--quantity", "nan", "--state", STATE, code=1).stdout.split())
    assert "POLICY_MISSING_SIZE: requested notional is 0, needs more than 0:" in shown
    assert "requested notional 0, must be above 0" in shown


def test_an_order_that_may_not(tmp_path: Path) -> None:
    state = state_file(tmp_path, ('equity_age = "4 s"', 'equity_age = "412 s"'))
    shown = " ".join(run("check", INTENT, "--state", state, code=1).stdout.split())
    assert shown.startswith("DENIED EQUITY_STALE: equity is 412 s old, limit 300 s: is the account stream connected?")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (('positions_age = "9 s"', 'positions_age = "2 min"'), "POSITION_UNRECONCILED"),
        (('exit_owner_age = "2 s"', 'exit_owner_age = "1 h"'), "CONTROLLER_DEAD"),
        (("day_open = 9990", "day_open = 10200"), "DAILY_LOSS"),
        (("peak = 10400", "peak = 10900\ndrawdown_ref = 10900"), "DRAWDOWN"),
        (("bid = 61200.0", "bid = 60000.0"), "SPREAD_SPIKE"),
        (("bid = 61200.0\n", ""), "MARKET_STALE"),
        (("atr = 410.0", "atr = 4100.0"), "ATR_SPIKE"),
        (('market_age = "20 min"', 'market_age = "4 h"'), "TRADE_RISK"),
        (('regime = "BASE"', 'regime = "CHOP"'), "TRADE_RISK"),
        (('regime = "BASE"\n', ""), "GROSS_LEVERAGE"),
    ],
)
def test_each_part_of_the_description_counts(tmp_path: Path, change: tuple[str, str], code: str) -> None:
    explanation = told("check", INTENT, "--state", state_file(tmp_path, change), code=1)["explanations"][0]
    assert code in [answer["code"] for answer in explanation["answers"] if answer["objects"]]


def test_a_described_account_has_its_figures() -> None:
    facts = told("check", INTENT, "--state", STATE)["decisions"][0]["facts"]
    wanted = {
        "equity": 9850.0, "equity_own": 9850.0, "initial_balance": 10000.0, "day_open_equity": 9990.0,
        "week_open_equity": 10050.0, "equity_peak": 10400.0, "drawdown_ref": 10400.0, "equity_age_s": 4.0,
        "reconciled_age_s": 9.0, "controller_age_s": 2.0, "mark_age_s": 1.0, "position_count": 1.0,
    }  # fmt: skip
    assert {name: facts[name] for name in wanted} == pytest.approx(wanted)
    assert facts["gross_notional"] == pytest.approx(2.5 * 3011.225)


def test_what_is_left_out_is_undamaged_and_now(tmp_path: Path) -> None:
    calm = {"atr": 0.01, "regime": "BASE"}
    (tmp_path / "state.json").write_text(
        json.dumps(
            {
                "policy": POLICY,
                "account": {"currency": "USDT", "equity": 5000},
                "symbols": {
                    "BTCUSDT": {"step": 0.001, "tick": 0.1, "bid": 1.0, "ask": 1.0, "mark": 1.0, "rate": 1.0, **calm}
                },
                "at": "2026-12-01T00:00:00+00:00",
            }
        )
    )
    facts = told("check", INTENT, "--stop", "0.9", "--limit", "1", "--state", str(tmp_path / "state.json"))["decisions"][0][
        "facts"
    ]
    references = ("initial_balance", "day_open_equity", "week_open_equity", "equity_peak", "drawdown_ref")
    assert {facts[name] for name in references} == {5000.0}


def test_every_guard_is_listed_when_asked() -> None:
    shown = run("check", INTENT, "--state", STATE, "--all").stdout
    assert "FREE_MARGIN" in shown
    assert "off" in shown


def test_an_operator_may_close_and_the_rest_of_a_flip_waits() -> None:
    words = ("--symbol", "ETHUSDT", "--side", "sell", "--quantity", "4", "--source", "operator", "--strategy", "trend")
    shown = run("check", *words, "--state", STATE).stdout
    assert "ALLOWED: it reduces the position" in shown
    assert "The rest, 1.5, is judged when this part has filled." in shown


def test_a_symbol_that_is_not_known_is_denied_and_not_a_failure() -> None:
    shown = run("check", INTENT, "--symbol", "XRPUSDT", "--state", STATE, code=1).stdout
    assert "MALFORMED: symbol 'XRPUSDT' is not known" in shown


def test_a_ledger_is_a_state_as_of_its_end_or_another_instant(story: str) -> None:
    words = ("check", "--symbol", "EURO", "--side", "buy", "--quantity", "10", "--stop", "1", "--state", story)
    assert told(*words, code=1)["at_ns"] == at_s(8)
    explanation = told(*words, "--at", "now", code=1)["explanations"][0]
    assert explanation["headline"] != "ALLOWED"
    assert told("ledger", "stats", story)["steps"] == 20


def test_an_open_question_about_who_asks(story: str) -> None:
    words = ("check", "--symbol", "EURO", "--side", "buy", "--source", "somebody", "--state", story)
    assert (
        "say who asks, with both source and strategy; the policy lets these open: bot for trend"
        in run(*words, code=2).stderr
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("check", "--state", STATE), "name the order: a file, or at least --symbol and --side"),
        (
            ("check", "--symbol", "A", "--side", "up", "--state", STATE),
            "Invalid enum value 'up' - at `$.side`: write buy or sell",
        ),
        (("check", POLICY, "--state", STATE), "unknown field"),
        (("check", INTENT, "--state", STATE, "--at", "yesterday"), "'yesterday' is no instant"),
        (("check", INTENT, "--state", STATE, "--at", "2026-12-01T00:00:00"), "has no offset from UTC"),
        (("check", INTENT, "--state", POLICY), "unknown field"),
        (("check", INTENT, "--state", str(ROOT / "README.md")), "README.md: "),
        (("check", INTENT, "--state", "/nowhere"), "does not exist"),
    ],
)
def test_a_mistake_is_named_and_ends_with_2(words: tuple[str, ...], complaint: str) -> None:
    assert complaint in " ".join(run(*words, code=2).stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('"4 s"', '"4 parsecs"'), "account.equity_age: expected"),
        (("equity = 9850", "equity = -1"), "$.account.equity"),
        (("initial_balance = 10000", "initial_balance = inf"), "initial_balance plus nominal_base"),
        (("at = 2026-11-20T12:00:00Z", "at = 2026-11-20T12:00:00"), "has no offset from UTC"),
        (("at = 2026-11-20T12:00:00Z", "at = 2026-01-01T00:00:00Z"), "an instant that is not in the future"),
    ],
)
def test_a_mistake_in_the_description_is_named(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    assert complaint in run("check", INTENT, "--state", state_file(tmp_path, change), code=2).stderr


def test_an_unreadable_ledger_ends_with_3(tmp_path: Path) -> None:
    assert "there is no ledger in" in run("check", INTENT, "--state", str(tmp_path), code=3).stderr
    (tmp_path / "2026-01-01.sqlite").write_bytes(b"no database" * 200)
    assert "is damaged" in run("check", INTENT, "--state", str(tmp_path), code=3).stderr


# ---------------------------------------------------------------- explain


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--last",), "DENIED TRADING_REDUCING: locked by OPERATOR_LOCK for another 3,592 s"),
        (("--last", "--denied"), "DENIED TRADING_REDUCING"),
        (("11",), "ALLOWED: all 1,020.00 USD asked for"),
        (("--intent", "i2"), "DENIED ORDER_NOTIONAL: 5,000.00 USD of 6,120.00 USD fit"),
        (("--intent", "x1"), "ALLOWED: it reduces the position"),
        (("--intent", "x2"), "DENIED NOTHING_TO_REDUCE: nothing is held on that side"),
    ],
)
def test_a_recorded_decision_is_explained(story: str, words: tuple[str, ...], sentence: str) -> None:
    shown = " ".join(run("explain", *words, "--ledger", story).stdout.split())
    assert sentence in shown


def test_every_recorded_decision_is_reproduced(story: str) -> None:
    for intent in ("i1", "i2", "i3", "x1", "x2"):
        (row,) = told("explain", "--intent", intent, "--ledger", story)
        assert row["explanation"]["reproduced"]
        assert row["explanation"]["decision"] == row["decision"]["id"]
        same = told("explain", str(row["decision"]["id"]), "--ledger", story)
        assert same == [row]


def test_another_policy_than_that_of_the_time_is_said(story: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "limits_of", lambda policy, symbol: NO_LIMITS)
    assert "Asking the guards again gives another answer" in run("explain", "11", "--ledger", story).stdout


@pytest.mark.parametrize("words", [(), ("--last", "--intent", "i1"), ("3",), ("--intent", "nobody")])
def test_nothing_to_explain_ends_with_2(story: str, words: tuple[str, ...]) -> None:
    assert "error: " in run("explain", *words, "--ledger", story, code=2).stderr


# ---------------------------------------------------------------- guards, policy, schema


def test_all_rules_are_listed() -> None:
    shown = run("guards").stdout
    assert "POLICY_MISSING*" in shown
    assert "loss 2.5 % | 2.5 % |" in shown
    assert "CONSEC_LOSS_BREAKER" in shown


def test_one_rule_is_shown_in_full() -> None:
    shown = run("guards", "daily_loss").stdout
    assert "rules.DAILY_LOSS.loss: of the equity at day open [frac, lower is stricter]" in shown
    assert "DAILY_LOSS (trigger)" in shown


def test_a_policys_numbers_are_shown() -> None:
    assert "loss 2 %" in run("guards", "--policy", POLICY).stdout
    (guard, _) = told("guards", "DAILY_LOSS", "--policy", POLICY)
    assert guard["limits"][0]["values"] == {"policy.toml": "2 %"}


def test_a_reason_that_is_no_rule_is_explained_instead() -> None:
    complaint = run("guards", "NOT_EXIT_OWNER", code=2).stderr
    assert "is no rule but a reason" in complaint
    assert "there is no rule 'NONSENSE'" in run("guards", "NONSENSE", code=2).stderr


def test_a_sound_policy_is_sound_until_it_ends() -> None:
    assert (
        ": sound, 2 symbols, valid until 2027-02-18" in run("policy", "check", POLICY, "--at", "2026-12-01T00:00Z").stdout
    )
    stale = run("policy", "check", POLICY, "--at", "2028-01-01T00:00:00Z", code=1).stdout
    assert "publish it anew" in stale
    (problem,) = told("policy", "check", POLICY, "--at", "2028-01-01T00:00:00Z", code=1)
    assert problem["path"] == ["valid_for"]


def test_everything_wrong_with_a_policy_is_listed(tmp_path: Path) -> None:
    broken = tmp_path / "policy.toml"
    broken.write_text(Path(POLICY).read_text().replace('"2 %"', '"2"').replace('"8 x"', '"800 x"'))
    lines = run("policy", "check", str(broken), code=1).stdout.splitlines()
    assert len(lines) == 2
    assert "the policy is refused" in run("policy", "show", str(broken), code=2).stderr


def test_a_policy_is_shown_with_origins_and_reasons() -> None:
    shown = run("policy", "show", POLICY).stdout
    assert "crypto-fut" in shown
    leaves = told("policy", "show", POLICY)["leaves"]
    assert next(leaf for leaf in leaves if leaf["path"] == "rules.DAILY_LOSS.loss")["from"] == "file"


def test_a_preset_is_shown_by_its_name() -> None:
    shown = run("policy", "show", "balanced").stdout
    assert 'extends = "balanced@1"' in shown
    assert "five ordinary" in shown
    assert "off: " not in shown
    document = told("policy", "show", "balanced@1")
    assert document["preset"]["name"] == "balanced"
    assert all(leaf["why"] for leaf in document["leaves"] if leaf["written"] != "on")
    assert told("policy", "show", "layered")["preset"]["extends"] == "layered@1"


def test_what_is_neither_a_file_nor_a_preset_is_not_shown() -> None:
    refused = run("policy", "show", "balance", code=2).stderr
    assert "one of balanced@1, crypto-futures@1, layered@1" in refused


def test_presets_are_listed() -> None:
    assert 'extends = "layered@1"' in run("policy", "presets").stdout
    assert [row["extends"] for row in told("policy", "presets")] == ["balanced@1", "crypto-futures@1", "layered@1"]


@pytest.mark.parametrize("what", list(What))
def test_every_schema_is_printed(what: What) -> None:
    schema = json.loads(run("schema", what).stdout)
    assert schema == schema_of(what)
    assert "$ref" in schema or "anyOf" in schema or "properties" in schema


def test_the_schema_of_a_policy_knows_words_for_rules_and_values_with_reasons() -> None:
    definitions = schema_of(What.POLICY)["$defs"]
    word, table = definitions["DAILY_LOSS"]["anyOf"]
    assert word["type"] == "string"
    assert table["properties"]["loss"] == {"$ref": "#/$defs/Leaf"}
    assert definitions["Leaf"]["anyOf"][1]["required"] == ["value"]


# ---------------------------------------------------------------- ledger


def test_a_sound_ledger_verifies(story: str) -> None:
    assert run("ledger", "verify", story).stdout.startswith("sound: 20 records; covered up to record 20")
    assert told("ledger", "verify", story)["problems"] == []


def damaged(folder: Path, statement: str) -> str:
    """A ledger of the story, changed behind its back."""
    write(folder / "ledger")
    (segment,) = (folder / "ledger").glob("*.sqlite")
    with closing(sqlite3.connect(segment)) as connection:
        connection.execute(statement)
        connection.commit()
    return str(folder / "ledger")


def test_an_edited_record_is_named_with_its_remedy(tmp_path: Path) -> None:
    ledger = damaged(tmp_path, "UPDATE records SET at_ns = at_ns + 1 WHERE seq = 7")
    shown = run("ledger", "verify", ledger, code=1).stdout
    assert "RECORD_EDITED (record 7, " in shown
    assert "restore the segment from a backup" in shown
    assert "\n1 problem: " in shown
    assert told("ledger", "verify", ledger, code=1)["problems"][0]["code"] == "RECORD_EDITED"
    for command in ("replay", "export", "stats"):
        assert "record 7: its content does not give its hash" in run("ledger", command, ledger, code=3).stderr


def test_a_newer_ledger_asks_for_an_upgrade(tmp_path: Path) -> None:
    ledger = damaged(tmp_path, "UPDATE segment SET format = 99")
    assert "upgrade interlock" in run("ledger", "verify", ledger, code=3).stdout
    assert "upgrade interlock" in run("ledger", "stats", ledger, code=3).stderr


def test_signatures_and_anchor_are_checked_where_given(tmp_path: Path) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    ledger, anchor = tmp_path / "ledger", tmp_path / "anchor.jsonl"
    with Ledger.open(ledger, account="a", schema=SCHEMA, key=key, anchor=anchor) as opened:
        opened.append(1, 1, b"x")
    for name, each in (("mine", key), ("other", other)):
        pem = each.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / name).write_bytes(pem)
    sound = run("ledger", "verify", str(ledger), "--key", str(tmp_path / "mine"), "--anchor", str(anchor)).stdout
    assert "heads signed with this key" in sound
    assert "HEAD_FORGED" in run("ledger", "verify", str(ledger), "--key", str(tmp_path / "other"), code=1).stdout
    missing = run("ledger", "verify", str(ledger), "--anchor", str(tmp_path / "none"), code=1).stdout
    assert missing.startswith("ANCHOR_MISSING there is no anchor file")
    (tmp_path / "text").write_text("no key")
    assert (
        "is no Ed25519 public key" in run("ledger", "verify", str(ledger), "--key", str(tmp_path / "text"), code=2).stderr
    )
    assert "No such file" in run("ledger", "verify", str(ledger), "--key", str(tmp_path / "gone"), code=2).stderr


def test_a_ledger_replays(story: str) -> None:
    assert "the same: 20 steps decided again, trading state REDUCING" in run("ledger", "replay", story).stdout
    assert told("ledger", "replay", story)["same"] is True


def test_a_step_that_would_be_decided_otherwise_is_shown(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger", account="story", schema=SCHEMA)
    engine = Engine()
    gate = Gate(engine, ledger)
    for event in start():
        gate.submit(event, START_NS)
    honest = engine.step(opening(), at_s(1))
    forged = msgspec.structs.replace(honest, outputs=honest.outputs[:1])
    ledger.append(forged.at_ns, 2, msgspec.msgpack.encode(forged))
    ledger.close()
    shown = run("ledger", "replay", str(tmp_path / "ledger"), code=1).stdout
    assert shown.startswith("diverged: step 11: the ledger holds")
    assert told("ledger", "replay", str(tmp_path / "ledger"), code=1)["seq"] == 11


def test_an_export_names_everything_and_fits_its_schema(story: str, tmp_path: Path) -> None:
    lines = run("ledger", "export", story).stdout.splitlines()
    assert len(lines) == 20
    intent = json.loads(lines[10])["payload"]["input"]
    assert (intent["type"], intent["quantity"], intent["limit_price"]) == ("Intent", 0.5, "NaN")
    run("ledger", "export", story, "--decisions", "--to", str(tmp_path / "out.jsonl"))
    assert 0 < len((tmp_path / "out.jsonl").read_text().splitlines()) < 20
    rows = list(csv.DictReader(io.StringIO(run("ledger", "export", story, "--format", "csv").stdout)))
    assert [row["payload.input.type"] for row in rows][:2] == ["AccountOpened", "InstrumentSet"]
    nowhere = str(tmp_path / "none" / "out.csv")
    assert "No such file" in run("ledger", "export", story, "--to", nowhere, code=2).stderr


def test_what_a_ledger_holds_is_counted(story: str) -> None:
    counted = told("ledger", "stats", story)
    assert counted["account"] == "story (paper, USD)"
    assert counted["decisions_by_reason"] == {
        "ALLOWED": 2, "ORDER_NOTIONAL": 1, "NOTHING_TO_REDUCE": 1, "TRADING_REDUCING": 1,
    }  # fmt: skip
    assert counted["locks"] == {"OPERATOR_LOCK": 1}
    assert "ALLOWED 2" in run("ledger", "stats", story).stdout


def test_payloads_emptied_by_retention_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "ledger")
    (segment,) = (tmp_path / "ledger").glob("*.sqlite")
    with closing(sqlite3.connect(segment)) as connection:
        ((payload,),) = connection.execute("SELECT payload FROM records WHERE seq = 9").fetchall()
        digest = hashlib.sha256(payload).digest()
        connection.execute("UPDATE records SET payload = NULL, digest = ? WHERE seq = 9", (digest,))
        connection.commit()
    counted = told("ledger", "stats", str(tmp_path / "ledger"))
    assert (counted["steps"], counted["emptied_by_retention"]) == (20, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_named_with_what_was_done(story: str) -> None:
    shown = run("ledger", "export", story, "--to", "/dev/full", code=2).stderr
    assert shown == "error: writing: No space left on device\n"


def test_no_directory_holds_a_ledger_by_itself(tmp_path: Path) -> None:
    for command in ("verify", "replay", "export", "stats"):
        assert "name the directory that holds its *.sqlite files" in run("ledger", command, str(tmp_path), code=3).stderr
