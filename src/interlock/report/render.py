"""
A `Report` as one HTML file that shows everything by itself.

The file carries its own styles, scripts and data, and a content security policy that admits
nothing else: the two scripts by their digests, no connection anywhere. Whatever text a report
holds reaches the page as escaped text or as JSON that no script tag can end.
"""

import base64
import hashlib
import html
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from math import ceil, isfinite, log10, nan
from string import Template
from typing import Final, TypeVar

from interlock.report.model import Event, Kind, Listing, Prices, Report, Run, Trade
from interlock.report.thin import Axis, differences, scaled_differences

DATA_LENGTH_MAX: Final = 1_350_000  # with the library and the page's own parts below 1.5 MB
DETAIL_MIN: Final = 1 / 64
DETAIL_STEP_MAX: Final = 0.9
POINTS_MAX: Final = 12_000
EVENT_RESERVE: Final = 8  # lines lose this much detail before an event is left out
EVENTS_MAX: Final = 6_000  # of all runs together, like the following
LOCKS_MAX: Final = 3_000
FILLS_MAX: Final = 12_000
STOPS_MAX: Final = 16_000
TRADES_MAX: Final = 4_000
PRICE_DIGITS: Final = 7
SPARK_POINTS_MAX: Final = 120
SPARK_WIDTH: Final = 200
SPARK_HEIGHT: Final = 44
DIGITS: Final = 6
DRAWN_DIGITS: Final = 4  # of a share: a hundredth of a percent
RUN_COLORS: Final = 7  # as many as the style sheet names
MESSAGE_LENGTH_MAX: Final = 300
SECOND_NS: Final = 1_000_000_000

T = TypeVar("T")


def render(report: Report) -> str:
    """The report as the text of one HTML file, below 1.5 MB however long the runs were."""
    parts = files("interlock.report")
    library = (parts / "vendor/uPlot.iife.min.js").read_text(encoding="utf-8")
    script = (parts / "report.js").read_text(encoding="utf-8")
    style = (parts / "vendor/uPlot.min.css").read_text(encoding="utf-8")
    style += (parts / "report.css").read_text(encoding="utf-8")
    page = Template((parts / "template.html").read_text(encoding="utf-8"))
    return page.substitute(
        policy=_security_policy([library, script], style),
        library=library,
        script=script,
        style=style,
        data=_fitting(report),
        title=html.escape(report.title),
        subtitle=html.escape(report.subtitle),
        verdict=_verdict(report),
        cards=_cards(report.runs),
        summary=_summary(report),
        listings="".join(map(_listing, report.listings)),
        notes="".join(f"<li>{html.escape(note)}</li>" for note in report.notes),
        provenance="".join(
            f"<dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd>" for label, text in report.provenance
        ),
    )


def _security_policy(scripts: Iterable[str], style: str) -> str:
    allowed = " ".join(_digest(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(data: object) -> str:
    """JSON without a character that could end the script element around it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _fitting(report: Report) -> str:
    """The data with as much detail as fits."""
    detail = 1.0
    while len(text := _json(_data(report, detail))) > DATA_LENGTH_MAX and detail > DETAIL_MIN:
        detail *= min(DETAIL_STEP_MAX, DATA_LENGTH_MAX / len(text))
    return text


def _data(report: Report, detail: float) -> dict[str, object]:
    columns = [*(run.at_ns for run in report.runs), *(prices.at_ns for prices in report.prices)]
    axis = Axis.over(columns, int(POINTS_MAX * detail))
    share = min(1.0, EVENT_RESERVE * detail) / len(report.runs)
    return {
        "currency": report.currency,
        "bucketCount": axis.bucket_count,
        "at": differences([at_ns // SECOND_NS for at_ns in axis.at_ns]),
        "runs": [_run(run, axis, share) for run in report.runs],
        "prices": [_prices(prices, axis) for prices in report.prices],
    }


def _run(run: Run, axis: Axis, share: float) -> dict[str, object]:
    kept, event_step = _every(run.events, int(EVENTS_MAX * share))
    locks, lock_step = _every(run.locks, int(LOCKS_MAX * share))
    fills, fill_step = _every(run.fills, int(FILLS_MAX * share))
    stops, stop_step = _every(run.stops, int(STOPS_MAX * share))
    trades, trade_step = _every(run.trades, int(TRADES_MAX * share))
    words = [
        *dict.fromkeys([fill.why for fill in fills] + [word for trade in trades for word in (trade.exit, *trade.rungs)])
    ]
    place = {word: number for number, word in enumerate(words)}
    return {
        "name": run.name,
        "gated": run.gated,
        "equity": _series(axis, run.at_ns, run.equity),
        "drawdown": _series(axis, run.at_ns, _below_peak(run.equity, run.peak), DRAWN_DIGITS),
        "floors": [
            {"name": floor.name, "drawdown": _series(axis, run.at_ns, _below_peak(floor.values, run.peak), DRAWN_DIGITS)}
            for floor in run.floors
        ],
        "reasons": _reasons(run.events),
        "events": [
            [event.at_ns // SECOND_NS, event.kind, event.symbol, event.code, _short(event.message), event.bound]
            for event in kept
        ],
        "locks": [
            [
                lock.start_ns // SECOND_NS,
                None if lock.end_ns is None else lock.end_ns // SECOND_NS,
                lock.code,
                lock.severity,
                _short(lock.reason),
            ]
            for lock in locks
        ],
        "words": words,
        "fills": [
            [fill.at_ns // SECOND_NS, fill.symbol, fill.quantity, _digits(fill.price), place[fill.why]] for fill in fills
        ],
        "stops": [
            [stop.at_ns // SECOND_NS, stop.symbol, _digits(stop.price) if isfinite(stop.price) else None] for stop in stops
        ],
        "trades": [
            [
                trade.symbol,
                trade.side,
                trade.start_ns // SECOND_NS,
                trade.end_ns // SECOND_NS,
                _digits(trade.entry),
                round(trade.gained, 2),
                round(trade.r, 3) if isfinite(trade.r) else None,
                [place[rung] for rung in trade.rungs],
                place[trade.exit],
            ]
            for trade in trades
        ],
        "exits": _exits(run.trades),
        "counts": [len(run.events), len(run.locks), len(run.fills), len(run.stops), len(run.trades)],
        "steps": [event_step, lock_step, fill_step, stop_step, trade_step],
    }


def _digits(price: float) -> float:
    return float(f"{price:.{PRICE_DIGITS}g}")


def _exits(trades: Sequence[Trade]) -> list[dict[str, object]]:
    """How trades ended, most frequent first, over all of them and not only those listed."""
    by_exit: dict[str, list[Trade]] = {}
    for trade in trades:
        by_exit.setdefault(trade.exit, []).append(trade)
    found = []
    for name, group in sorted(by_exit.items(), key=lambda item: -len(item[1])):
        known = [trade.r for trade in group if isfinite(trade.r)]
        mean = round(sum(known) / len(known), 3) if known else None
        won = sum(trade.gained > 0.0 for trade in group)
        total = round(sum(trade.gained for trade in group))
        found.append({"name": name, "count": len(group), "won": won, "mean": mean, "gained": total})
    return found


def _prices(prices: Prices, axis: Axis) -> dict[str, object]:
    return {
        "symbol": prices.symbol,
        "unit": prices.unit,
        "values": _series(axis, prices.at_ns, prices.values),
    }


def _series(axis: Axis, at_ns: Sequence[int], values: Sequence[float], digits: int = DIGITS) -> dict[str, object]:
    drawn = axis.thin(at_ns, values)
    greatest = max((abs(value) for value in drawn if isfinite(value)), default=0.0)
    scale = 10 ** max(0, digits - ceil(log10(greatest))) if greatest else 1
    return {"scale": scale, "steps": scaled_differences(drawn, scale)}


def _below_peak(levels: Sequence[float], peak: Sequence[float]) -> list[float]:
    """Each level's distance from the peak as a fraction of it, negative below; NaN without a peak."""
    return [level / top - 1.0 if top > 0.0 else nan for level, top in zip(levels, peak, strict=True)]


def _every(rows: Sequence[T], kept_max: int) -> tuple[Sequence[T], int]:
    """Every n-th row with the smallest n that keeps no more than ``kept_max``, and that n."""
    step = max(1, ceil(len(rows) / max(1, kept_max)))
    return rows[::step], step


def _short(text: str) -> str:
    return text if len(text) <= MESSAGE_LENGTH_MAX else text[: MESSAGE_LENGTH_MAX - 1] + "…"


def _reasons(events: Sequence[Event]) -> list[dict[str, object]]:
    """What bound, most frequent first, counted over all events and not only over those drawn."""
    by_reason: dict[tuple[str, Kind], list[Event]] = {}
    for event in events:
        by_reason.setdefault((event.code, event.kind), []).append(event)
    return [
        {
            "code": code,
            "kind": kind,
            "count": len(found),
            "symbols": Counter(event.symbol for event in found).most_common(),
            "first": found[0].at_ns // SECOND_NS,
            "last": found[-1].at_ns // SECOND_NS,
            "message": _short(found[0].message),
        }
        for (code, kind), found in sorted(by_reason.items(), key=lambda item: -len(item[1]))
    ]


def _verdict(report: Report) -> str:
    state, mark = ("proven", "✓") if report.verification.proven else ("unproven", "✕")
    text = html.escape(report.verification.text)
    return f'<p class="verdict {state}"><span aria-hidden="true">{mark}</span> {text}</p>'


def _cards(runs: Sequence[Run]) -> str:
    """Each run as a choice: its name, what became of the money, and a small picture, all on one scale."""
    known = [value for run in runs for value in run.equity if isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return "".join(_card(index, run, low, high) for index, run in enumerate(runs))


def _card(index: int, run: Run, low: float, high: float) -> str:
    gate = "behind the gate" if run.gated else "no gate"
    denied_count = sum(event.kind is Kind.DENIED for event in run.events)
    return (
        f'<label class="card run-{index % RUN_COLORS}"><input type="radio" name="run" value="{index}">'
        f'<span class="card-name">{html.escape(run.name)}</span><span class="card-gate">{gate}</span>'
        f'<span class="card-return">{_percent(_return_frac(run))}</span>'
        f"{_spark(run.equity, low, high)}"
        f'<span class="card-facts"><b>{_percent(_worst_drawdown_frac(run))}</b> worst drawdown '
        f"<b>{_count(denied_count)}</b> denied <b>{_count(len(run.locks))}</b> locks</span></label>"
    )


def _return_frac(run: Run) -> float:
    return run.equity[-1] / run.equity[0] - 1.0 if run.equity[0] > 0.0 else nan


def _worst_drawdown_frac(run: Run) -> float:
    known = [frac for frac in _below_peak(run.equity, run.peak) if isfinite(frac)]
    return min(known, default=nan)


def _spark(values: Sequence[float], low: float, high: float) -> str:
    known, _ = _every([value for value in values if isfinite(value)], SPARK_POINTS_MAX)
    if len(known) < 2:
        return ""
    across = SPARK_WIDTH / (len(known) - 1)
    up = (SPARK_HEIGHT - 4) / (high - low or 1.0)
    heights = [f"{SPARK_HEIGHT - 2 - (value - low) * up:.1f}" for value in known]
    points = " ".join(f"{index * across:.1f},{height}" for index, height in enumerate(heights))
    return (
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" preserveAspectRatio="none" '
        f'aria-hidden="true"><line x1="0" x2="{SPARK_WIDTH}" y1="{heights[0]}" y2="{heights[0]}"/>'
        f'<polyline points="{points}"/></svg>'
    )


def _percent(frac: float) -> str:
    return f"{frac * 100.0:+.1f} %".replace("-", "−") if isfinite(frac) else "unknown"


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _summary(report: Report) -> str:
    if not report.summary:
        return '<p class="empty">This report was made without a summary.</p>'
    names = "".join(
        f'<th scope="col" class="run-{index % RUN_COLORS}">{html.escape(run.name)}</th>'
        for index, run in enumerate(report.runs)
    )
    rows = "".join(
        f'<tr><th scope="row">{html.escape(row.label)}<small>{html.escape(row.meaning)}</small></th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row.cells)
        + "</tr>"
        for row in report.summary
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Summary"><table class="summary">'
        f"<thead><tr><td></td>{names}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _listing(listing: Listing) -> str:
    styles = ["number" if index in listing.amounts else "whole" for index in range(len(listing.header) - 1)] + ["said"]
    header = "".join(
        f'<th scope="col" class="{style}">{html.escape(name)}</th>'
        for style, name in zip(styles, listing.header, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td class="{style}" data-label="{html.escape(name)}">{html.escape(cell)}</td>'
            for style, name, cell in zip(styles, listing.header, row, strict=True)
        )
        + "</tr>"
        for row in listing.rows
    )
    title = html.escape(listing.title)
    return (
        f"<section><h2>{title}</h2><p>{html.escape(listing.meaning)}</p>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f'<table class="list"><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )
