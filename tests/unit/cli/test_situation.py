"""A described account has windows, records, counters and clusters, and the engine answers in their light."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from interlock.cli import app
from interlock.cli.output import Mistake
from interlock.cli.situation import Situation, engine_in, read_described

POLICY = """
policy_version = "1"
extends = "layered@1"
created_at = 2026-11-20T00:00:00Z
valid_for = "90 d"
generator = { name = "written by hand" }
account = { currency = "USDT", cost = "0 %" }
universe = { A = { margin_leverage = "5 x", cluster = "one" }, B = { margin_leverage = "5 x", cluster = "one" } }
sources = { bot = { trend = ["open", "close"] } }
record = { trades = 20, window = 60 }
rules.ORDER_NOTIONAL.notional = "100000 USDT"
rules.SYMBOL_EXPOSURE.exposure = "60 %"
rules.CLUSTER_CAP.exposure = "50 %"
rules.NEWS_WINDOW = "on"
rules.SESSION_FLAT.lead = "10 min"
rules.DAILY_RISK_QUOTA = { slice = "0.5 %", order_slices = 2, day_entries = 5, day_slices = 4, campaign_slices = 9 }
rules.KELLY_CAP = { multiplier = "1 x", probe = "90 %", prior = 0, above_floor = "no", scale_rebalances = "no" }
rules.KELLY_ZERO.lock = "1 d"
"""
CALENDAR = """kind,from,until,zone,symbols,what
no-open,2026-11-20 11:55,12:05,UTC,A,a release
flat,2026-11-20 15:00,16:00,UTC,B,the close
end,2026-12-31 00:00,,UTC,,
"""
SYMBOL = "step = 0.01\ntick = 0.01\nbid = 99.99\nask = 100.01\natr = 1.0\nregime = 'BASE'\n"
RECORD = "[strategies.trend]\nwins = 21\nlosses = 19\nwon = 4200\nlost = 2850\n"


def describe(folder: Path, *, account: str = "", strategies: str = RECORD, held: str = "", top: str = "") -> Path:
    (folder / "policy.toml").write_text(POLICY)
    (folder / "calendar.csv").write_text(CALENDAR)
    top = top or 'calendar = "calendar.csv"\n'
    text = (
        f'policy = "policy.toml"\nat = 2026-11-20T12:00:00Z\n{top}[account]\ncurrency = "USDT"\nequity = 10000\n{account}\n'
    )
    (folder / "state.toml").write_text(f"{text}[symbols.A]\n{SYMBOL}[symbols.B]\n{SYMBOL}{held}\n{strategies}")
    return folder / "state.toml"


def standings(path: Path, *words: str) -> dict[tuple[str, str], dict[str, Any]]:
    result = CliRunner().invoke(app, ["guards", "--state", str(path), "--json", *words])
    assert result.exit_code == 0, result.output
    return {(each["kind"], each["code"]): each["now"] for each in json.loads(result.output)["rules"]}


def test_windows_come_from_the_calendar_file(tmp_path: Path) -> None:
    told = standings(describe(tmp_path))
    news, flat = told["guard", "NEWS_WINDOW"], told["guard", "SESSION_FLAT"]
    assert (news["stand"], news["symbol"], news["objecting_count"]) == ("objects", "A", 2)
    assert (flat["stand"], flat["symbol"], flat["room"]["value"], flat["room"]["edge"]) == (
        "admits", "B", 10_800.0, pytest.approx(600.0),
    )  # fmt: skip


def test_without_a_file_nothing_is_known_of_windows(tmp_path: Path) -> None:
    told = standings(describe(tmp_path, top="\n"))
    assert told["guard", "NEWS_WINDOW"]["unknown"] == ["news_window"]
    assert told["guard", "SESSION_FLAT"]["unknown"] == ["flat_ahead_s"]


def test_a_position_that_must_be_flat_soon_is_told(tmp_path: Path) -> None:
    told = standings(describe(tmp_path, held="quantity = 3.0\n"))["trigger", "SESSION_FLAT"]
    assert (told["symbol"], told["room"]["value"]) == ("B", 10_800.0)


def test_what_is_spent_of_the_quota_is_counted(tmp_path: Path) -> None:
    quota = standings(describe(tmp_path, account="day_entries = 2\nday_slices = 3\ncampaign_slices = 4"))
    told = quota["guard", "DAILY_RISK_QUOTA"]
    assert (told["limit_name"], told["used"], told["limit"]) == ("quota_day_slice_count_max", 3.0, 4.0)
    spent = standings(describe(tmp_path, account="campaign_slices = 9"))["guard", "DAILY_RISK_QUOTA"]
    assert (spent["stand"], spent["limit_name"], spent["share"]) == ("objects", "quota_campaign_slice_count_max", 1.0)


def test_a_record_is_what_was_described(tmp_path: Path) -> None:
    path = describe(tmp_path)
    engine, _ = engine_in(read_described(path, Situation), tmp_path)
    row = engine.state.strategies[engine.state.names.strategy_index["trend"]]
    assert (row.recent_wins, row.recent_losses) == (21, 19)
    assert (row.recent_won, row.recent_lost) == pytest.approx((4_200.0, 2_850.0))
    told = standings(path)["trigger", "KELLY_ZERO"]
    assert (told["stand"], told["strategy"]) == ("quiet", "trend")
    assert told["share"] == pytest.approx(2_850 / 4_200)


def test_a_record_without_an_edge_locks(tmp_path: Path) -> None:
    path = describe(tmp_path, strategies=RECORD.replace("won = 4200", "won = 2000"))
    told = standings(path)
    assert told["trigger", "KELLY_ZERO"]["stand"] == "fired"
    assert told["guard", "TRADING_REDUCING"]["stand"] == "objects"


def test_symbols_of_one_cluster_share_its_cap(tmp_path: Path) -> None:
    told = standings(describe(tmp_path, held="quantity = 30.0\n"))["guard", "CLUSTER_CAP"]
    assert (told["used"], told["limit"]) == (pytest.approx(0.3), 0.5)


@pytest.mark.parametrize(
    ("strategies", "why"),
    [
        (RECORD.replace("trend", "mean"), "strategies.mean: the policy has no such strategy; it has trend"),
        (RECORD.replace("wins = 21", "wins = 60"), "79 trades, and the last 60 count"),
        (RECORD.replace("wins = 21", "wins = 0"), "do not belong together"),
        (RECORD.replace("losses = 19", "losses = 0"), "do not belong together"),
    ],
)
def test_a_record_that_cannot_be_is_refused(tmp_path: Path, strategies: str, why: str) -> None:
    with pytest.raises(Mistake, match=why):
        engine_in(read_described(describe(tmp_path, strategies=strategies), Situation), tmp_path)


def test_a_calendar_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = describe(tmp_path, top='calendar = "none.csv"\n')
    result = CliRunner().invoke(app, ["guards", "--state", str(path)])
    assert result.exit_code == 2
    assert "none.csv" in result.output
