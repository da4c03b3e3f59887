"""A report is one file that reaches nowhere, escapes everything, keeps every count and stays small."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from math import nan
from random import Random
from typing import Any

import pytest

from interlock.report import (
    Event,
    Fill,
    Floor,
    Kind,
    Lock,
    Prices,
    Report,
    Row,
    Run,
    Severity,
    Stop,
    Trade,
    Verification,
    render,
)

HOUR_NS = 3_600_000_000_000
AT = [HOUR_NS * hour for hour in range(10, 15)]
EQUITY = [100.0, 120.0, 60.0, 90.0, 80.0]
PEAK = [100.0, 120.0, 120.0, 120.0, 120.0]
NASTY = "</script><script>alert(1)</script>&<b>\"'\u2028<!--"

UNGATED = Run("No gate", gated=False, at_ns=AT, equity=EQUITY, peak=PEAK)
GATED = Run(
    "layered",
    gated=True,
    at_ns=AT,
    equity=EQUITY,
    peak=PEAK,
    floors=[Floor("Drawdown", [90.0, 108.0, 108.0, 108.0, nan])],
    locks=[
        Lock(AT[1], AT[2], "DAILY_LOSS", Severity.REDUCING, "equity is 3 % below its open"),
        Lock(AT[3], None, "FREEZE", Severity.HALTED, "by alice"),
    ],
    events=[
        Event(AT[1], Kind.DENIED, "XAU", "SPREAD", "spread is 9 bps, limit 5 bps", "9 of 5 bps"),
        Event(AT[2], Kind.FLATTENED, "XAU", "DRAWDOWN", "closing", ""),
        Event(AT[3], Kind.DENIED, "EUR", "SPREAD", "spread is 8 bps, limit 5 bps", "8 of 5 bps"),
    ],
    fills=[Fill(AT[1], "XAU", -2.0, 1500.5, "entry"), Fill(AT[3], "XAU", 2.0, 1499.0, "stop")],
    stops=[Stop(AT[1], "XAU", 1503.25), Stop(AT[3], "XAU", nan)],
    trades=[
        Trade("XAU", -1, AT[1], AT[3], 1500.5, 3.0, 0.5, ["tp1"], "stop"),
        Trade("XAU", 1, AT[3], AT[4], 1500.5, -2.0, nan, [], "stop"),
    ],
)
REPORT = Report(
    title="Title",
    subtitle="Subtitle",
    currency="USD",
    runs=[UNGATED, GATED],
    prices=[Prices("XAU", "USD/oz", AT, [1500.0, 1501.0, 1499.0, nan, 1500.5])],
    summary=[Row("Return", ["−20.0 %", "−20.0 %"], "over the whole span")],
    verification=Verification(proven=True, text="all proven"),
    notes=["a note"],
    provenance=[("Data", "somebody's")],
)


class Page(HTMLParser):
    """The elements of a page as a browser would see them, with the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.words = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag in self.raw:
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside][-1] += data
        else:
            self.words += data


def carried(text: str) -> Any:
    return json.loads(Page(text).raw["script"][0])


def values(series: dict[str, Any]) -> list[float | None]:
    total, summed = 0, []
    for step in series["steps"]:
        total += step or 0
        summed.append(None if step is None else total / series["scale"])
    return summed


def test_the_file_carries_every_series_and_count() -> None:
    data = carried(render(REPORT))
    ungated, gated = data["runs"]
    assert values(gated["equity"]) == EQUITY
    assert values(gated["drawdown"]) == [0.0, 0.0, -0.5, -0.25, pytest.approx(-1 / 3, abs=1e-4)]
    assert values(gated["floors"][0]["drawdown"]) == [pytest.approx(-0.1), *[pytest.approx(-0.1)] * 3, None]
    assert values(data["prices"][0]["values"]) == [1500.0, 1501.0, 1499.0, None, 1500.5]
    assert data["at"] == [36_000, 3600, 3600, 3600, 3600]
    assert gated["locks"][1] == [AT[3] // 10**9, None, "FREEZE", "halted", "by alice"]
    told = gated["words"].index
    assert gated["fills"] == [
        [AT[1] // 10**9, "XAU", -2.0, 1500.5, told("entry")],
        [AT[3] // 10**9, "XAU", 2.0, 1499.0, told("stop")],
    ]
    assert gated["stops"] == [[AT[1] // 10**9, "XAU", 1503.25], [AT[3] // 10**9, "XAU", None]]
    first, second = gated["trades"]
    assert first == ["XAU", -1, AT[1] // 10**9, AT[3] // 10**9, 1500.5, 3.0, 0.5, [told("tp1")], told("stop")]
    assert second[6] is None
    assert gated["exits"] == [{"name": "stop", "count": 2, "won": 1, "mean": 0.5, "gained": 1}]
    assert [(reason["code"], reason["count"], reason["symbols"]) for reason in gated["reasons"]] == [
        ("SPREAD", 2, [["XAU", 1], ["EUR", 1]]),
        ("DRAWDOWN", 1, [["XAU", 1]]),
    ]
    assert ungated["reasons"] == ungated["locks"] == ungated["floors"] == []


def test_the_figures_stand_in_the_page_without_scripts() -> None:
    words = Page(render(REPORT)).words
    for text in (
        "Title",
        "Subtitle",
        "all proven",
        "−20.0 %",
        "−50.0 %",
        "2 denied",
        "2 locks",
        "a note",
        "somebody's",
    ):
        assert text in words


def test_nothing_but_the_two_scripts_and_the_style_may_load() -> None:
    page = Page(render(REPORT))
    policy = next(found["content"] for _, found in page.tags if found.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    for text in (*page.raw["script"][1:], *page.raw["style"]):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    addresses = [value for _, found in page.tags for name in ("src", "href") if (value := found.get(name))]
    assert addresses == ["data:,", "#charts"]
    assert not re.search(r"@import|url\(", page.raw["style"][0])


def test_no_text_can_break_out() -> None:
    run = replace(
        GATED,
        name=NASTY,
        floors=[Floor(NASTY, EQUITY)],
        locks=[Lock(AT[0], None, NASTY, Severity.WARNING, NASTY)],
        events=[Event(AT[0], Kind.CAPPED, NASTY, NASTY, NASTY, NASTY)],
        fills=[Fill(AT[0], NASTY, 1.0, 1.0, NASTY)],
        stops=[Stop(AT[0], NASTY, 1.0)],
        trades=[Trade(NASTY, 1, AT[0], AT[1], 1.0, 1.0, 1.0, [NASTY], NASTY)],
    )
    nasty = Report(
        title=NASTY,
        subtitle=NASTY,
        currency=NASTY,
        runs=[run],
        prices=[Prices(NASTY, NASTY, AT, EQUITY)],
        summary=[Row(NASTY, [NASTY], NASTY)],
        verification=Verification(proven=False, text=NASTY),
        notes=[NASTY],
        provenance=[(NASTY, NASTY)],
    )
    tame = replace(
        nasty,
        title="t",
        subtitle="t",
        runs=[replace(run, name="t")],
        summary=[Row("t", ["t"], "t")],
        verification=Verification(proven=False, text="t"),
        notes=["t"],
        provenance=[("t", "t")],
    )
    page, expected = Page(render(nasty)), Page(render(tame))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in expected.tags]
    assert page.raw["script"][1:] == expected.raw["script"][1:]
    assert carried(render(nasty))["runs"][0]["events"][0][2] == NASTY


def test_placeholders_in_texts_stay_texts() -> None:
    assert "costs $5 or $data" in Page(render(replace(REPORT, subtitle="costs $5 or $data"))).words


def test_an_unproven_ledger_is_not_shown_as_proven() -> None:
    text = render(replace(REPORT, verification=Verification(proven=False, text="seq 7 differs")))
    assert 'class="verdict unproven"' in text
    assert 'class="verdict proven"' not in text


def test_a_report_without_anything_says_so() -> None:
    bare = Run("bare", gated=True, at_ns=AT[:1], equity=[nan], peak=[nan])
    text = render(replace(REPORT, runs=[bare], prices=[], summary=[]))
    assert "without a summary" in text
    assert "unknown" in Page(text).words
    assert '<svg class="spark"' not in text
    assert values(carried(text)["runs"][0]["equity"]) == [None]


def test_an_account_that_begins_with_nothing_has_no_return() -> None:
    run = replace(UNGATED, equity=[0.0] * 5, peak=[0.0] * 5)
    assert "unknown" in Page(render(replace(REPORT, runs=[run], summary=[]))).words


def test_long_runs_make_a_small_file_with_true_counts() -> None:
    chance = Random(7)
    at_ns = [HOUR_NS * hour for hour in range(40_000)]
    equity = [1e5 + chance.gauss(0, 2e4) for _ in at_ns]
    peak = [2e5] * len(at_ns)
    events = [Event(at, Kind.DENIED, "XAUUSD", f"CODE_{at % 7}", "m" * 2000, "b") for at in at_ns]
    run = Run(
        "long",
        gated=True,
        at_ns=at_ns,
        equity=equity,
        peak=peak,
        floors=[Floor(str(number), equity) for number in range(3)],
        events=events,
        locks=[Lock(at, at + HOUR_NS, "L", Severity.WARNING, "r" * 100) for at in at_ns],
        fills=[Fill(at, "XAUUSD", chance.random(), chance.random()) for at in at_ns],
    )
    text = render(replace(REPORT, runs=[run, run, run, run], prices=[], summary=[]))
    assert len(text.encode()) < 1_500_000
    found = carried(text)["runs"][0]
    assert sum(reason["count"] for reason in found["reasons"]) == found["counts"][0] == 40_000
    assert found["steps"][0] * len(found["events"]) >= 40_000
    assert max(value for value in values(found["equity"]) if value) == pytest.approx(max(equity), abs=1.0)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(AssertionError, match="differ in length"):
        replace(GATED, equity=[1.0])
    with pytest.raises(AssertionError, match="one cell for each run"):
        replace(REPORT, summary=[Row("Return", ["1 %"])])
