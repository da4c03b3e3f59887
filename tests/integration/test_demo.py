"""The demonstration end to end: what it promises about the runs, the ledgers, the command and the page."""

import gzip
import json
import math
import pickle
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from interlock.adapters.bars import read_bars
from interlock.adapters.paper import PaperFill, PaperOrder, PaperVenue
from interlock.cli import app
from interlock.core.limits import EXIT_RULES
from interlock.core.messages import PermitIssued
from interlock.demo import run
from interlock.demo.diary import Diary
from interlock.demo.figures import figures
from interlock.demo.market import MILLISECOND_NS, Market, Tape
from interlock.demo.passage import BALANCE, FEE_BPS, REVIEW_DAYS, Gated, Passage, Ungated
from interlock.demo.plans import EXITS, PARAMETERS, POLICIES, Plan, is_alike, plans, with_other_exits
from interlock.demo.run import Outcome
from interlock.demo.story import verdict
from interlock.demo.trades import trades
from interlock.ledger import LedgerUnwritable, verify
from interlock.ledger.fold import fold
from interlock.ledger.steps import read_steps
from interlock.policy import load_policy
from interlock.service.shell.gate import Gate
from interlock.study.journal import spans
from interlock.study.proof import open_gate, prove

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEY = Ed25519PrivateKey.generate()
SYMBOLS = ("XAUUSD", "EURUSD")
HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS


def day_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@cache
def markets() -> tuple[Market, ...]:
    folder = Path(str(files("interlock.demo") / "data"))
    return tuple(Market(name, read_bars(folder / f"{name.lower()}_1h.csv.gz"), None, "USD") for name in SYMBOLS)


@cache
def tape(start: str = "2013-03-01", end: str = "2013-07-01") -> Tape:
    return Tape(markets(), day_ns(start), day_ns(end), PARAMETERS)


class Auditor(PaperVenue):
    """The venue, that lets no opening pass whose permit could still be lost with the machine."""

    gate: Gate | None = None
    openings = 0

    def execute(self, order: PaperOrder) -> PaperFill:
        if self.gate is not None and not order.reduce_only:
            spent = self.gate.engine.state.account.seq
            assert self.gate.ledger.durable_seq >= spent - 1, "the step before the spending one is the permit's"
            self.openings += 1
        return super().execute(order)


def gated(plan: Plan, over: Tape, directory: Path) -> tuple[Passage, Auditor, Gate]:
    venue = Auditor(BALANCE, [market.instrument for market in over.markets.values()], fee_bps=FEE_BPS)
    venue.gate = open_gate(directory, plan.name, KEY)
    diary = Diary(BALANCE)
    return Passage(over, venue, diary, Gated(over, venue, diary, venue.gate, plan), plan), venue, venue.gate


def ungated(over: Tape) -> Diary:
    venue = PaperVenue(BALANCE, [market.instrument for market in over.markets.values()], fee_bps=FEE_BPS)
    diary = Diary(BALANCE)
    [*Passage(over, venue, diary, Ungated(over, venue, diary), plans(SYMBOLS, None)[0]).run()]
    return diary


def assert_agreed(venue: PaperVenue, gate: Gate) -> None:
    """Venue and engine, which share no bookkeeping, say the same of positions, cash and reservations."""
    state = gate.engine.state
    for symbol, index in state.names.symbol_index.items():
        assert state.symbols[index].position == venue.position(symbol)
        row = state.symbols[index]
        assert (row.pending_buy_reserved, row.pending_sell_reserved) == (0, 0)
    assert state.account.balance + state.account.booked == venue.balance_micros
    assert state.account.unexplained == 0


@pytest.mark.parametrize("name", POLICIES)
def test_after_every_bar_engine_and_venue_agree_and_nothing_opened_without_a_durable_permit(
    name: str, tmp_path: Path
) -> None:
    plan = next(plan for plan in plans(SYMBOLS, None) if plan.name == name)
    passage, venue, gate = gated(plan, tape(), tmp_path)
    for _ in passage.run():
        assert_agreed(venue, gate)
        assert passage.diary.equity[-1] == venue.equity
    gate.close()
    steps = gate.engine.state.account.seq
    assert venue.openings > 20
    assert prove(tmp_path, name, KEY.public_key(), steps, lambda _: None).problems == ()
    assert fold(tmp_path / name).state.account.balance == gate.engine.state.account.balance
    permitted = sum(
        output.steps * (output.side if not output.reduce_only else 0)
        for step in read_steps(tmp_path / name)
        for output in step.outputs
        if isinstance(output, PermitIssued)
    )
    assert permitted != 0


def test_each_policy_acts_and_the_ungated_account_is_hurt_most(tmp_path: Path) -> None:
    over = tape("2012-01-01", "2012-07-01")
    run._start(over, None, tmp_path, KEY.private_bytes_raw())
    outcomes = [run._walk(plan) for plan in plans(SYMBOLS, None)]
    for outcome in outcomes[1:]:
        assert run._prove(outcome.plan.name, outcome.steps).problems == ()
    free, *behind = figures(outcomes)
    assert free.worst_drawdown_frac < -0.3
    for each in behind:
        assert each.intents == free.intents == each.granted + each.capped + each.denied_count > 0
        assert each.worst_drawdown_frac > free.worst_drawdown_frac / 2
        assert each.capped > 0
        assert each.denied_count > 0
    locks = [set(each.locks) for each in behind]
    assert "DAILY_LOSS" in locks[0]
    assert "STOP_HIT" in locks[1]
    assert behind[2].locks["DAILY_LOSS"] > behind[0].locks["DAILY_LOSS"]


@pytest.mark.parametrize("name", POLICIES)
def test_every_position_is_left_by_a_rule_and_has_its_stop_at_the_venue_until_then(name: str, tmp_path: Path) -> None:
    plan = next(plan for plan in plans(SYMBOLS, None) if plan.name == name)
    passage, venue, gate = gated(plan, tape("2012-01-01", "2012-06-01"), tmp_path)
    for _ in passage.run():
        for symbol in SYMBOLS:
            stop = passage.host.stop_of(symbol)
            assert (stop == stop) == (venue.position(symbol) != 0)
            assert (
                stop != stop or stop == gate.engine.state.symbols[gate.engine.state.names.symbol_index[symbol]].stop_price
            )
    gate.close()
    closed = trades(passage.diary)
    assert len(closed) > 10
    assert {"time", "trailing stop"} <= {trade.exit for trade in closed}
    assert {"tp1", "trailing"} <= {rung for trade in closed for rung in trade.rungs}
    assert all(decision.source == plan.parties.opener for _, decision in passage.diary.decisions)
    assert min(trade.r for trade in closed) > -2.0


def test_other_exits_change_the_way_out_and_nothing_else(tmp_path: Path) -> None:
    base = plans(SYMBOLS, None)[1]
    others = with_other_exits(base)
    assert [is_alike(other, base) for other in others] == [True, False, False]
    assert base.policy is not None
    kept = {
        path: leaf.number for path, leaf in base.policy.leaves.items() if path[0] == "rules" and path[1] not in EXIT_RULES
    }
    for other in others:
        assert other.policy is not None
        assert {path: other.policy.leaves[path].number for path in kept} == pytest.approx(kept, nan_ok=True)
    run._start(tape("2012-01-01", "2012-06-01"), None, tmp_path, KEY.private_bytes_raw())
    outcomes = [run._walk(plan) for plan in (base, *others)]
    tried = [trades(outcome.journal) for outcome in outcomes]
    assert tried[0] == tried[1]
    assert tried[2] != tried[1]
    assert not (tmp_path / "exits B").exists()


def test_without_rules_of_its_own_a_policy_leaves_at_the_channel(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GENEROUS)
    plan = plans(SYMBOLS, path)[1]
    assert not plan.built_in
    passage, _, gate = gated(plan, tape("2012-01-01", "2012-06-01"), tmp_path)
    [*passage.run()]
    gate.close()
    assert {trade.exit for trade in trades(passage.diary)} <= {"channel", "stop"}
    assert "channel" in {trade.exit for trade in trades(passage.diary)}


def test_bars_of_another_length_are_what_the_rules_count() -> None:
    (plan,) = plans(("ABC",), None, 14_400.0)[1:2]
    assert plan.policy is not None
    assert plan.policy.compile(plan.policy.since_ns).limits[0].exit_bar_s == 14_400.0
    assert plan.policy.compile(plan.policy.since_ns).limits[0].market_state_age_s_max == 43_200.0


def test_an_emergency_flattens_at_the_next_open_and_locks(tmp_path: Path) -> None:
    """The afternoon of a central bank's announcement: the gate closes what is held, whatever the exit rules wait for."""
    passage, venue, gate = gated(plans(SYMBOLS, None)[1], tape("2015-08-01", "2015-12-05"), tmp_path)
    decided_ns = day_ns("2015-12-03T13:00:00") - MILLISECOND_NS
    for moment in passage.run():
        if moment.close_ns == decided_ns:
            assert [symbol for _, symbol, _, _ in passage.diary.flattenings] == ["XAUUSD"]
            assert [position.symbol for position in venue.positions()] == ["XAUUSD"]
        if moment.close_ns == decided_ns + HOUR_NS:
            assert venue.positions() == ()
    gate.close()
    (closed,) = (deal for deal in passage.diary.deals if deal.at_ns == decided_ns + MILLISECOND_NS)
    assert (closed.symbol, closed.why, closed.left) == ("XAUUSD", "flatten", 0.0)
    (lock,) = (span for span in spans(passage.diary) if span.code == "EMERGENCY_FLATTEN")
    assert (lock.start_ns, lock.end_ns) == (decided_ns, decided_ns + 4 * HOUR_NS)
    assert not any(row.goal for row in gate.engine.state.symbols)


def test_what_waits_for_an_operator_is_reviewed_after_its_time_and_then_trades_again(tmp_path: Path) -> None:
    passage, _, gate = gated(plans(SYMBOLS, None)[1], tape("2013-06-01", "2014-05-01"), tmp_path)
    [*passage.run()]
    gate.close()
    lock = next(span for span in spans(passage.diary) if span.code == "TOTAL_DRAWDOWN")
    assert lock.end_ns is not None
    assert 0 <= lock.end_ns - lock.start_ns - REVIEW_DAYS * DAY_NS <= 4 * DAY_NS  # the next open after it
    opened = [at_ns for at_ns, decision in passage.diary.decisions if not decision.reducing and decision.allowed]
    assert not any(lock.start_ns < at_ns < lock.end_ns for at_ns in opened)
    assert any(at_ns > lock.end_ns for at_ns in opened)
    assert gate.engine.state.account.equity_peak < BALANCE


GENEROUS = """
policy_version = "generous"
extends = "layered@1"
created_at = 2012-01-01T00:00:00Z
valid_for = "90 d"
generator = { name = "a test" }
account = { currency = "USD" }
universe = { XAUUSD = { margin_leverage = "15 x" }, EURUSD = { margin_leverage = "15 x" } }
sources = { strategy = { trend = ["open", "close"] } }
[rules]
ORDER_NOTIONAL.notional = "900000000 USD"
TOTAL_EXPOSURE.exposure = "100000 %"
TOTAL_DRAWDOWN = "off: a test of parity"
"""
OFF = "DAILY_LOSS WEEKLY_LOSS SYMBOL_EXPOSURE STRATEGY_EXPOSURE NET_EXPOSURE STOP_HIT WARN CONSEC_LOSS_BREAKER FREE_MARGIN"


def test_behind_a_policy_that_forbids_nothing_the_run_equals_the_ungated_one_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "generous.toml"
    path.write_text(GENEROUS + "".join(f'{code} = "off: a test of parity"\n' for code in OFF.split()))
    free = ungated(tape("2013-04-01", "2013-06-01"))
    plan = plans(SYMBOLS, path)[1]
    passage, venue, gate = gated(plan, tape("2013-04-01", "2013-06-01"), tmp_path)
    [*passage.run()]
    gate.close()
    denied = [decision.headline for _, decision in passage.diary.decisions if not decision.allowed]
    assert denied == []
    assert passage.diary.equity == free.equity
    assert passage.diary.fills == free.fills
    assert min(free.equity) < BALANCE - 1000.0
    assert venue.openings > 0


def test_a_wish_looks_at_nothing_after_its_bar() -> None:
    """Cutting the future off changes no wish before the cut."""
    whole, cut = tape(), tape("2013-03-01", "2013-05-01")
    assert cut.wishes == {number: wish for number, wish in whole.wishes.items() if number < len(cut.moments)}
    assert cut.wishes


def test_a_damaged_ledger_is_not_proven(tmp_path: Path) -> None:
    plan = plans(SYMBOLS, None)[2]
    passage, _, gate = gated(plan, tape("2013-04-01", "2013-06-01"), tmp_path)
    [*passage.run()]
    gate.close()
    segment = next((tmp_path / plan.name).glob("*.sqlite"))
    with closing(sqlite3.connect(segment)) as connection:
        connection.execute("UPDATE records SET payload = x'00' WHERE seq = 40")
        connection.commit()
    proof = prove(tmp_path, plan.name, KEY.public_key(), gate.engine.state.account.seq, lambda _: None)
    assert "40" in proof.problems[0]
    told = verdict(figures([Outcome(plan, passage.diary, proof=proof)]))
    assert not told.proven
    assert "40" in told.text


def test_a_disk_that_takes_nothing_stops_the_run_instead_of_opening_unrecorded(tmp_path: Path) -> None:
    passage, venue, gate = gated(plans(SYMBOLS, None)[2], tape("2013-04-01", "2013-06-01"), tmp_path)
    gate.ledger.close()
    with pytest.raises((LedgerUnwritable, TimeoutError)):
        [*passage.run()]
    assert venue.openings == 0


def test_a_ledger_that_cannot_be_made_fails_the_run_and_says_so_across_processes(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    run._start(tape(), None, blocked, KEY.private_bytes_raw())
    with pytest.raises(run.RunFailed, match="layered") as failed:
        run._walk(plans(SYMBOLS, None)[2])
    told = pickle.loads(pickle.dumps(failed.value))
    assert (type(told), str(told)) == (run.RunFailed, str(failed.value))


# ---------------------------------------------------------------- the command


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", "interlock", "demo", *map(str, arguments)]
    return subprocess.run(
        asked, capture_output=True, text=True, check=False, env={"COLUMNS": "80", "PATH": "/usr/bin:/bin"}
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Four months by the command: its directory and what it printed for machines."""
    folder = tmp_path_factory.mktemp("demo")
    done = command(
        "--from", "2012-01-01", "--to", "2012-05-01", "--json", "--keep", folder / "ledgers", "--out", folder / "demo.html"
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder, json.loads(done.stdout)


def test_the_command_tells_machines_what_it_found(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, result = ran
    assert result["proven"] is True
    assert [each["name"] for each in result["runs"]] == ["ungated", *POLICIES]
    assert [each["name"] for each in result["other_exits"]] == [f"exits {name}" for name in EXITS]
    assert result["other_exits"][0]["exits"] == result["runs"][1]["exits"]
    assert set(result["runs"][0]["exits"]) <= {"stop", "channel"}
    assert sum(result["runs"][1]["exits"].values()) >= result["runs"][1]["trades"] > 0
    assert result["report"] == str(folder / "demo.html")
    for each in result["runs"][1:]:
        report = verify(folder / "ledgers" / each["name"])
        assert report.head is not None
        assert (report.problems, report.records, report.head.hash.hex()) == (
            (),
            each["proof"]["steps"],
            each["proof"]["head"],
        )


def test_the_same_bars_give_the_same_ledgers_and_the_table_says_so(
    ran: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    _, result = ran
    done = command("--from", "2012-01-01", "--to", "2012-05-01", "--quiet", "--out", tmp_path / "again.html")
    assert (done.returncode, done.stderr) == (0, "")
    for each in result["runs"][1:]:
        assert f"Verified and decided again  {each['name']}" in done.stdout
        assert each["proof"]["head"][:16] in done.stdout
    for told in ("Worst drawdown", "Mean result", "trailing stop", "Gate saved", str(tmp_path / "again.html")):
        assert told in done.stdout
    assert max(map(len, done.stdout.split("XAUUSD:")[0].splitlines())) <= 80
    assert "…" not in done.stdout


def test_ledgers_are_never_written_over(ran: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    done = command("--keep", ran[0] / "ledgers", "--out", tmp_path / "x.html")
    assert done.returncode == 2
    assert "never written over" in done.stderr


def bars(path: Path, count: int = 1500, *, quotes: bool = False) -> Path:
    """Bars of a wandering price, as a user might have them."""
    chance = random.Random(7)
    price, lines = 30_000.0, ["ts,open,high,low,close" + (",bid,ask" if quotes else "")]
    for hour in range(count):
        close = price * math.exp(chance.gauss(0.0, 0.006) + 0.004 * math.sin(hour / 60.0))
        at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        cells = [price, max(price, close) * 1.001, min(price, close) * 0.999, close]
        cells += [close * 0.9999, close * 1.0001] if quotes else []
        lines.append(f"{at.isoformat()}," + ",".join(f"{cell:.2f}" for cell in cells))
        price = close
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as text:
        text.write("\n".join(lines) + "\n")
    return path


OWN_POLICY = """
policy_version = "mine"
extends = "crypto-futures@1"
created_at = 2026-11-20T00:00:00Z
valid_for = "7 d"
generator = { name = "a test" }
account = { currency = "USDT" }
universe = { BTCUSDT = { margin_leverage = "8 x" } }
sources = { bot = { momentum = ["open", "close"] } }
rules.ORDER_NOTIONAL.notional = "250000 USDT"
"""


def test_ones_own_bars_and_policy(tmp_path: Path) -> None:
    policy = tmp_path / "mine.toml"
    policy.write_text(OWN_POLICY)
    data = bars(tmp_path / "btcusdt_1h.csv.gz")
    out = tmp_path / "own.html"
    done = command("--data", data, "--policy", policy, "--spread", "2 bps", "--out", out, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    runs = json.loads(done.stdout)["runs"]
    assert [(each["name"], each["policy"]) for each in runs] == [("ungated", ""), ("mine", "mine")]
    assert runs[0]["fills"] > 10
    assert runs[1]["capped"] + sum(runs[1]["denied"].values()) > 0
    assert runs[1]["fills"] > 0
    assert "USDT" in out.read_text()


def test_bars_on_which_the_strategy_asks_for_nothing_say_why(tmp_path: Path) -> None:
    done = command("--data", bars(tmp_path / "short.csv", 50), "--spread", "2 bps", "--out", tmp_path / "short.html")
    assert done.returncode == 0
    assert (
        f"No intents: the strategy opens when a close leaves the range of the {PARAMETERS.entry_bars} bars" in done.stdout
    )


def test_a_calendar_file_is_kept_to(tmp_path: Path) -> None:
    policy, calendar = tmp_path / "mine.toml", tmp_path / "calendar.csv"
    policy.write_text(OWN_POLICY + 'rules.NEWS_WINDOW = "on"\nrules.SESSION_FLAT.lead = "1 h"\n')
    calendar.write_text("kind,from,until,zone,symbols\nflat,12:00,18:00,UTC,*\nno-open,00:00,06:00,UTC,BTCUSDT\n")
    data = bars(tmp_path / "btcusdt_1h.csv.gz")
    out = tmp_path / "own.html"
    given = ["--data", str(data), "--policy", str(policy), "--spread", "2 bps", "--out", str(out), "--json"]
    done = CliRunner().invoke(app, ["demo", *given, "--calendar", str(calendar)])
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert result["proven"]
    assert {"NEWS_WINDOW", "SESSION_FLAT"} <= result["runs"][1]["denied"].keys()
    calendar.write_text("kind,from,until,zone,symbols\nflat,12:00,18:00,UTC,ETHUSDT\n")
    refused = CliRunner().invoke(app, ["demo", *given, "--calendar", str(calendar)])
    assert refused.exit_code == 2
    assert "line 2, column symbols" in refused.output


def test_ones_own_bars_behind_the_bundled_policies(tmp_path: Path) -> None:
    data = bars(tmp_path / "mine.csv", quotes=True)
    arguments = ["--data", str(data), "--symbol", "ABC", "--out", str(tmp_path / "own.html"), "--years", "0.1", "--keep"]
    done = CliRunner().invoke(app, ["demo", *arguments, str(tmp_path / "kept")])
    assert done.exit_code == 0
    assert "Verified and decided again  layered" in done.stdout
    assert "layered, decided again" in done.stderr
    assert {path.name for path in (tmp_path / "kept").iterdir()} >= {*POLICIES}


HEADER = "ts,open,high,low,close,bid,ask"
GOOD = "2024-01-01T00:00:00Z,10,12,9,11,10.9,11.1"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2023-12-31T23:00:00Z,10,12,9,11,10.9,11.1", "line 3, column ts"),
        (GOOD, "line 3, column ts: found 2024-01-01T00:00:00Z a second time"),
        ("2024-01-01T01:00:00Z,10,12,9,nan,10.9,11.1", "line 3, column close"),
        ("2024-01-01T01:00:00Z,10,12,0,11,10.9,11.1", "line 3, column low"),
        ("2024-01-01T01:00:00Z,10,12,9,11,11.2,11.1", "line 3, column bid: found 11.2, expected at most ask"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_column(line: str, told: str, tmp_path: Path) -> None:
    data = tmp_path / "x.csv"
    data.write_text(f"{HEADER}\n{GOOD}\n{line}\n")
    done = CliRunner().invoke(app, ["demo", "--data", str(data), "--out", str(tmp_path / "x.html")])
    assert done.exit_code == 2
    assert told in done.stderr
    assert not (tmp_path / "x.html").exists()


def refusals(folder: Path) -> Iterator[tuple[list[str], str]]:
    data = str(bars(folder / "abc.csv"))
    policy = folder / "policy.toml"
    policy.write_text(OWN_POLICY)
    broken = folder / "broken.toml"
    broken.write_text(OWN_POLICY.replace('"7 d"', '"7"'))
    silent = folder / "silent.toml"
    silent.write_text(OWN_POLICY.replace('["open", "close"]', '["close"]').replace("BTCUSDT", "ABC"))
    yield ["--data", data], "--spread"
    yield ["--data", data, "--spread", "2"], '"2 bps"'
    yield ["--data", data, "--spread", "2 bps", "--policy", str(policy)], "universe is BTCUSDT"
    yield ["--data", data, "--spread", "2 bps", "--policy", str(broken)], "valid_for"
    yield ["--data", data, "--spread", "2 bps", "--policy", str(silent)], "lets nobody open"
    yield ["--data", data, "--symbol", "A", "--symbol", "B"], "one symbol for each file"
    yield ["--data", data, "--data", data], "--symbol"
    yield ["--from", "March"], "2013-01-01"
    yield ["--from", "2030-01-01", "--to", "2031-01-01"], "no bar lies in the span"
    yield ["--out", str(folder / "no" / "where.html")], "a directory that exists"
    yield ["--data", str(folder / "absent.csv")], "absent.csv"


def test_what_cannot_be_used_is_refused_with_the_remedy(tmp_path: Path) -> None:
    for arguments, told in refusals(tmp_path):
        done = CliRunner().invoke(app, ["demo", *arguments])
        assert (done.exit_code, told in done.stderr) == (2, True), (arguments, done.output)


def test_the_bundled_policies_change_no_figure_of_their_presets() -> None:
    """But for what instruments and the way out need, a rule that would hide others, and the limit that tight is about."""
    needed = {"universe", "sources", "policy_version", "created_at", "valid_for", "generator", "expanded_from"}
    leaving = {("exits", "mode"), ("exits", "owner"), ("rules", "CONTROLLER_DEAD"), ("rules", "TIME_EXIT", "bar")}
    set_a = {code.value for code in EXIT_RULES}
    for name in POLICIES:
        policy = load_policy(Path(str(files("interlock.demo") / f"policies/{name}.toml")))
        own = {path for path, leaf in policy.leaves.items() if "@" not in leaf.origin and path[0] not in needed} - leaving
        own = {path for path in own if path[0] not in ("score", "market", "exits") and path[1] not in set_a}
        expected = {("account", "currency"), ("rules", "ORDER_NOTIONAL", "notional")}
        expected |= {("rules", "TRADE_RISK")} if name != "layered" else set()
        assert own == expected | ({("rules", "DAILY_LOSS", "loss")} if name == "tight" else set())
        inside = {path[2:] for path in policy.leaves if path[0] == "universe"}
        assert inside == {("margin_leverage",), ("cluster",), ("rules", "PRICE_COLLAR", "collar")}


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_the_runs_without_complaint(
    ran: tuple[Path, dict[str, Any]], browser: "Browser", width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((ran[0] / "demo.html").as_uri())
    assert page.locator(".card").count() == 1 + len(POLICIES)
    assert page.locator(".chart canvas").count() == 3 + len(SYMBOLS)
    assert "3 ledgers verified" in page.locator(".verdict").inner_text()
    page.get_by_role("radio").nth(2).check()
    assert "SYMBOL_EXPOSURE" in page.locator("#reasons").inner_text()
    assert "trailing stop" in page.locator("#exits").inner_text()
    assert "Parameter set B" in page.locator("table.list").first.inner_text()
    page.locator("#trades button").first.click()
    page.wait_for_function("Number(document.querySelector('#trade-count').textContent.split(' ')[0]) < 10")
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()
