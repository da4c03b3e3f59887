"""The report in a real browser: it draws, zooms as one, tells what bound and asks the network for nothing."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

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
    Verification,
    render,
)

CHROMIUM = Path("/usr/bin/chromium")
HOUR_NS = 3_600_000_000_000
AT = [1_356_998_400_000_000_000 + HOUR_NS * hour for hour in range(24 * 400)]
NASTY = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"


def wave(scale: float) -> list[float]:
    return [1e5 + scale * math.sin(hour / 300) + scale * math.sin(hour / 17) / 5 for hour in range(len(AT))]


def run(name: str, scale: float, *, gated: bool) -> Run:
    equity = wave(scale)
    peak = [1.3e5] * len(AT)
    if not gated:
        return Run(name, gated=False, at_ns=AT, equity=equity, peak=peak)
    return Run(
        name,
        gated=True,
        at_ns=AT,
        equity=equity,
        peak=peak,
        floors=[Floor("Daily loss", [value * 0.97 for value in equity]), Floor("Drawdown", [1.1e5] * len(AT))],
        locks=[Lock(AT[4600], AT[5300], "DAILY_LOSS", Severity.REDUCING, "equity fell 3 % today")],
        events=[
            Event(AT[hour], Kind.DENIED, NASTY, "SPREAD", f"spread too wide at {hour} {NASTY}", "9 of 5 bps")
            for hour in range(100, 9000, 100)
        ],
        fills=[Fill(AT[hour], "XAU", (-1) ** hour, equity[hour]) for hour in range(50, 9000, 51)],
    )


REPORT = Report(
    title="A report",
    subtitle=NASTY,
    currency="USD",
    runs=[run("No gate", 3e4, gated=False), run("layered", 1e4, gated=True)],
    prices=[Prices("XAU", "USD per ounce", AT, wave(2e4))],
    summary=[Row("Return", ["−1.0 %", "+1.0 %"])],
    verification=Verification(proven=True, text="ledger verified"),
)


@dataclass(slots=True)
class Opened:
    """A page, and whatever it complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def range(self, chart: str) -> tuple[float, float]:
        low, high = self.page.evaluate("id => rangeOf(id)", chart)
        return low, high

    def settle(self) -> None:
        """Everything that was due has been drawn: charts draw in one frame what was asked in another."""
        self.page.evaluate("() => new Promise((due) => setTimeout(() => requestAnimationFrame(() => setTimeout(due))))")


KEEP_CHARTS = """
  const charts = {};
  let library;
  const keeping = { construct(made, args) { return (charts[args[2].id] = new made(...args)); } };
  Object.defineProperty(window, "uPlot", {
    get: () => library,
    set: (found) => (library = new Proxy(found, keeping)),
  });
  window.rangeOf = (id) => [charts[id].scales.x.min, charts[id].scales.x.max];
"""


def opened(context: BrowserContext, folder: Path, report: Report) -> Opened:
    path = folder / "report.html"
    path.write_text(render(report), encoding="utf-8")
    shown = Opened(context.new_page())
    shown.page.add_init_script(f"(() => {{ {KEEP_CHARTS} }})()")
    shown.page.on("console", lambda message: shown.complaints.append(message.text))
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.page.on("request", lambda request: shown.requested.append(request.url))
    shown.page.goto(path.as_uri())
    return shown


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield opened(context, tmp_path, REPORT)
    context.close()


CHARTS = ("equity", "drawdown", "lanes", "price-0")
WHOLE = (AT[0] / 1e9, AT[-1] / 1e9)


def drag(page: Page, chart: str, start: float, end: float) -> None:
    """A drag across a chart between two fractions of its width."""
    over = page.locator(f"#{chart} .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], middle, steps=5)
    page.mouse.up()


def test_it_draws_every_chart_without_complaint_and_without_a_network(shown: Opened) -> None:
    assert shown.page.locator(".chart canvas").count() == len(CHARTS)
    assert [shown.range(chart) for chart in CHARTS] == [pytest.approx(WHOLE)] * len(CHARTS)
    assert shown.complaints == []
    assert [url for url in shown.requested if not url.startswith(("file://", "data:"))] == []


def test_the_legend_names_every_series_and_its_value_at_rest(shown: Opened) -> None:
    shown.settle()
    page = shown.page
    assert page.locator("#equity .u-legend .u-label").all_inner_texts() == ["At", "No gate", "layered"]
    names = page.locator("#drawdown .u-legend .u-label").all_inner_texts()
    assert names == ["At", "No gate", "layered", "Daily loss", "Drawdown"]


def test_a_series_can_be_hidden_from_the_keyboard(shown: Opened) -> None:
    entry = shown.page.locator("#equity .u-series", has_text="No gate")
    entry.locator("th").focus()
    shown.page.keyboard.press("Enter")
    assert "u-off" in (entry.get_attribute("class") or "")


@pytest.mark.parametrize("chart", CHARTS)
def test_a_drag_zooms_all_charts_and_a_double_click_shows_all_again(shown: Opened, chart: str) -> None:
    drag(shown.page, chart, 0.25, 0.5)
    shown.settle()
    low, high = shown.range(chart)
    span = WHOLE[1] - WHOLE[0]
    assert low == pytest.approx(WHOLE[0] + 0.25 * span, abs=0.02 * span)
    assert high == pytest.approx(WHOLE[0] + 0.5 * span, abs=0.02 * span)
    assert [shown.range(each) for each in CHARTS] == [pytest.approx((low, high))] * len(CHARTS)
    shown.page.locator(f"#{chart} .u-over").dblclick()
    shown.settle()
    assert [shown.range(each) for each in CHARTS] == [pytest.approx(WHOLE)] * len(CHARTS)


def test_keys_zoom_move_and_reset_all_charts(shown: Opened) -> None:
    shown.page.locator("#drawdown").focus()
    shown.page.keyboard.press("+")
    shown.page.keyboard.press("ArrowRight")
    shown.settle()
    span = WHOLE[1] - WHOLE[0]
    moved = (WHOLE[0] + 0.375 * span, WHOLE[0] + 0.875 * span)
    assert [shown.range(chart) for chart in CHARTS] == [pytest.approx(moved)] * len(CHARTS)
    shown.page.keyboard.press("0")
    shown.settle()
    assert shown.range("lanes") == pytest.approx(WHOLE)


def test_buttons_choose_the_range_and_say_it(shown: Opened) -> None:
    shown.page.get_by_role("button", name="3 m").click()
    shown.settle()
    low, high = shown.range("equity")
    assert high - low == pytest.approx(91 * 86400)
    assert shown.page.get_by_role("button", name="3 m").get_attribute("aria-pressed") == "true"
    assert shown.page.locator("#range").inner_text() == "5 Nov 2013 \u2013 4 Feb 2014"


def test_a_lock_is_told_under_the_cursor(shown: Opened) -> None:
    shown.page.locator("#equity .u-over").hover()
    shown.settle()
    tip = shown.page.locator("#tip").inner_text()
    assert "reducing DAILY_LOSS" in tip
    assert "equity fell 3 % today" in tip


def test_what_happened_in_view_follows_the_zoom(shown: Opened) -> None:
    view = shown.page.locator("#view-count")
    assert view.inner_text().startswith("the first 60 of 90")
    drag(shown.page, "equity", 0.4, 0.45)
    shown.settle()
    assert shown.page.locator("#view tbody tr").count() < 10
    drag(shown.page, "equity", 0.10, 0.11)
    shown.settle()


def test_another_run_can_be_chosen_and_says_what_it_lacks(shown: Opened) -> None:
    assert shown.page.locator("#reasons tbody tr").count() == 1
    shown.page.get_by_role("radio").first.check()
    assert "without a gate nothing could bind" in shown.page.locator("#stack").inner_text()
    assert "There was no gate" in shown.page.locator("#reasons").inner_text()
    assert shown.complaints == []


def test_no_text_becomes_markup(shown: Opened) -> None:
    assert shown.page.evaluate("window.broken === undefined")
    assert NASTY in shown.page.locator(".lede").inner_text()
    assert NASTY in shown.page.locator("#reasons").inner_text()


def test_a_run_of_one_instant_is_drawn_too(browser: Browser, tmp_path: Path) -> None:
    alone = Run("alone", gated=True, at_ns=AT[:1], equity=[1e5], peak=[1e5])
    context = browser.new_context()
    bare = opened(context, tmp_path, replace(REPORT, runs=[alone], prices=[], summary=[]))
    bare.settle()
    assert bare.complaints == []
    for told in ("alone let every intent through", "alone has no limit", "No intent was denied", "Nothing happened"):
        assert told in bare.page.locator("main").inner_text()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(
    browser: Browser, tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    phone = opened(context, tmp_path, REPORT)
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 360
    assert phone.page.locator(".chart canvas").count() == len(CHARTS)
    assert phone.complaints == []
    context.close()
