"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const DAY_S = 86400;
  const VIEW_ROWS_MAX = 60;
  const TRADE_ROWS_MAX = 40;
  const LABELLED_FILLS_MAX = 30;
  const LABEL_ROWS = 3;
  const LANES_MAX = 12;
  const LANE_PX = 34;
  const SYNC_KEY = "interlock";
  const DASHES = [[8, 4], [3, 3], [12, 3, 2, 3], [1, 3]];

  const page = (id) => document.getElementById(id);
  const palette = new Map();
  const color = (name) => {
    if (!palette.has(name)) palette.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
    return palette.get(name);
  };
  const phone = () => window.innerWidth <= 640;

  /* numbers and instants as people read them */
  const spaced = (text) => text.replaceAll(",", "\u202f").replace("-", "\u2212");
  const decimals = (digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const DECIMALS = [0, 1, 2, 3, 4, 5].map(decimals);
  const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
  const known = (value) => value !== null && value !== undefined;
  const number = (value, digits) => spaced(DECIMALS[digits].format(value));
  const money = (value) => (known(value) ? `${number(value, Math.abs(value) < 1000 ? 2 : 0)} ${data.currency}` : "\u2013");
  const percent = (value, digits = 1) => (known(value) ? `${number(value * 100, digits)} %` : "\u2013");
  const priceDigits = (value) => (Math.abs(value) < 10 ? 5 : Math.abs(value) < 1000 ? 3 : 2);
  const price = (value) => (known(value) ? number(value, priceDigits(value)) : "\u2013");
  const count = (value, word) => `${number(value, 0)} ${word}${value === 1 ? "" : "s"}`;
  const date = (at) => new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }).format(at * 1000);
  const instant = (at) => `${new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;

  /* the data is written as differences */
  const summed = (steps) => {
    let last = 0;
    return steps.map((step) => (step === null ? null : (last += step)));
  };
  const column = (series) => summed(series.steps).map((value) => (value === null ? null : value / series.scale));
  const at = summed(data.at);
  const first = at[0];
  const last = at[at.length - 1] > first ? at[at.length - 1] : first + 1;
  const runs = data.runs.map((run) => ({
    ...run,
    equity: column(run.equity),
    drawdown: column(run.drawdown),
    floors: run.floors.map((floor) => ({ name: floor.name, drawdown: column(floor.drawdown) })),
    events: run.events.map(([when, kind, symbol, code, message, bound]) => ({ at: when, kind, symbol, code, message, bound })),
    locks: run.locks.map(([start, end, code, severity, reason]) => ({ start, end: end ?? last, open: end === null, code, severity, reason })),
    fills: run.fills.map(([when, symbol, quantity, paid, why]) => ({ at: when, symbol, quantity, price: paid, why: run.words[why] })),
    stops: run.stops.map(([when, symbol, level]) => ({ at: when, symbol, price: level })),
    trades: run.trades.map(([symbol, side, start, end, entry, gained, r, rungs, exit]) => ({ symbol, side, start, end, entry, gained, r, rungs: rungs.map((rung) => run.words[rung]), exit: run.words[exit] })),
  }));
  const prices = data.prices.map((item) => ({ ...item, values: column(item.values) }));

  let chosen = Math.max(0, runs.findIndex((run) => run.gated));
  let range = { min: first, max: last };
  let charts = [];

  /* small pieces of page, from text only */
  const element = (tag, className, ...children) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children);
    return made;
  };
  const empty = (text) => element("p", "empty", text);
  const runColor = (index) => () => color(`--run-${index % 7}`);

  /* one range for all charts */
  const show = (min, max) => {
    const width = Math.min(Math.max(max - min, 3600), last - first);
    const start = Math.min(Math.max(min, first), last - width);
    range = { min: start, max: start + width };
    for (const chart of charts) chart.setScale("x", range);
    tell();
  };
  const followed = (chart, key) => {
    if (key !== "x") return;
    const { min, max } = chart.scales.x;
    if (min === null || (min === range.min && max === range.max)) return;
    show(min, max);
  };
  const zoom = (factor, around = (range.min + range.max) / 2) =>
    show(around - (around - range.min) * factor, around + (range.max - around) * factor);
  const pan = (share) => show(range.min + (range.max - range.min) * share, range.max + (range.max - range.min) * share);
  const MOVES = { earlier: () => pan(-0.25), later: () => pan(0.25), in: () => zoom(0.5), out: () => zoom(2) };
  const KEYS = {
    ArrowLeft: MOVES.earlier, ArrowRight: MOVES.later, "+": MOVES.in, "=": MOVES.in, "-": MOVES.out,
    0: () => show(first, last), Home: () => show(first, range.max - range.min + first), End: () => show(last - range.max + range.min, last),
  };

  /* without a cursor the legend tells the right edge */
  const atRest = (chart) => {
    if (!charts.includes(chart) || chart.cursor.left >= 0) return;
    const beyond = at.findIndex((when) => when > range.max);
    chart.setLegend({ idx: beyond < 0 ? at.length - 1 : Math.max(0, beyond - 1) });
  };

  /* what lies under the cursor, in words */
  const tip = page("tip");
  const lockText = (lock) => [
    element("p", "", element("span", `tag ${lock.severity}`, lock.severity), ` ${lock.code}`),
    element("p", "", lock.reason),
    element("p", "", `${instant(lock.start)} \u2013 ${lock.open ? "still in force" : instant(lock.end)}`),
  ];
  const eventText = (event) => [
    element("p", "", element("span", `tag ${event.kind}`, event.kind), ` ${event.symbol} ${event.code}`),
    element("p", "", event.message),
    ...(event.bound ? [element("p", "", element("b", "", event.bound))] : []),
  ];
  const point = (chart, pieces, when) => {
    tip.hidden = pieces.length === 0;
    if (tip.hidden) return;
    tip.replaceChildren(element("time", "", instant(when)), ...pieces);
    const box = chart.over.getBoundingClientRect();
    const x = box.left + chart.cursor.left;
    const y = box.top + Math.max(chart.cursor.top, 0);
    const left = x + 16 + tip.offsetWidth > window.innerWidth ? x - 16 - tip.offsetWidth : x + 16;
    tip.style.left = `${Math.max(12, left)}px`;
    tip.style.top = `${Math.max(8, Math.min(y + 14, window.innerHeight - tip.offsetHeight - 8))}px`;
  };
  const locksAt = (run, when) => run.locks.filter((lock) => lock.start <= when && when <= lock.end);

  /* drawing on the canvas of a chart */
  const place = (chart, when) => chart.valToPos(when, "x", true);
  const inside = (chart, draw) => {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    draw(ctx, bbox);
    ctx.restore();
  };
  const band = (chart, ctx, lock, top, height) => {
    if (lock.end < range.min || lock.start > range.max) return;
    const left = place(chart, lock.start);
    const width = Math.max(place(chart, lock.end) - left, 2 * devicePixelRatio);
    ctx.fillStyle = color(`--${lock.severity}`);
    ctx.fillRect(left, top, width, height);
    ctx.fillStyle = color(`--${lock.severity}-ink`);
    ctx.fillRect(left, top, width, (lock.severity === "warning" ? 1 : lock.severity === "reducing" ? 2 : 4) * devicePixelRatio);
  };
  const bands = (run) => (chart) =>
    inside(chart, (ctx, box) => run.locks.forEach((lock) => band(chart, ctx, lock, box.top, box.height)));

  const triangle = (ctx, x, y, size, up) => {
    const tall = up ? size : -size;
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(x - size * 0.7, y + tall * 1.4);
    ctx.lineTo(x + size * 0.7, y + tall * 1.4);
    ctx.fill();
  };
  const ring = (ctx, x, y, size) => {
    ctx.beginPath();
    ctx.arc(x, y, size * 0.75, 0, 7);
    ctx.fill();
  };
  const plain = (word) => word.replaceAll("_", " ");
  const opens = (fill) => fill.why === "" || fill.why === "entry";
  /* the steps of the stop: level until the next, nothing after the position's end */
  const stepped = (chart, ctx, stops) => {
    ctx.strokeStyle = color("--stop");
    ctx.lineWidth = 1.25 * devicePixelRatio;
    ctx.beginPath();
    stops.forEach((stop, index) => {
      const until = index + 1 < stops.length ? stops[index + 1].at : last;
      if (stop.price === null || until < range.min || stop.at > range.max) return;
      const y = chart.valToPos(stop.price, "y", true);
      const before = index > 0 ? stops[index - 1].price : null;
      if (before === null) ctx.moveTo(place(chart, stop.at), y);
      else ctx.lineTo(place(chart, stop.at), y);
      ctx.lineTo(place(chart, until), y);
    });
    ctx.stroke();
  };
  const labels = (chart, ctx, fills, size) => {
    ctx.font = `${10 * devicePixelRatio}px ${color("--sans")}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ctx.fillStyle = color("--ink");
    const right = Array(LABEL_ROWS).fill(-Infinity);
    for (const fill of fills) {
      const x = place(chart, fill.at) + size + 2 * devicePixelRatio;
      const row = opens(fill) ? -1 : right.findIndex((edge) => edge <= x);
      if (row < 0) continue;
      const text = plain(fill.why);
      ctx.fillText(text, x, chart.valToPos(fill.price, "y", true) + 12 * row * devicePixelRatio);
      right[row] = x + ctx.measureText(text).width + 4 * devicePixelRatio;
    }
  };
  const markers = (fills, stops) => (chart) =>
    inside(chart, (ctx) => {
      const visible = fills.filter((fill) => fill.at >= range.min && fill.at <= range.max);
      const size = (visible.length > 150 ? 2.5 : visible.length > 40 ? 4 : 6) * devicePixelRatio;
      stepped(chart, ctx, stops);
      for (const fill of visible) {
        ctx.fillStyle = color(fill.quantity > 0 ? "--buy" : "--sell");
        const x = place(chart, fill.at);
        const y = chart.valToPos(fill.price, "y", true);
        if (opens(fill)) triangle(ctx, x, y, size, fill.quantity > 0);
        else ring(ctx, x, y, size);
      }
      if (visible.length <= LABELLED_FILLS_MAX) labels(chart, ctx, visible, size);
    });
  const fillText = (fills, stops) => (chart, when) => {
    const near = ((range.max - range.min) / chart.over.clientWidth) * 8;
    const found = fills.filter((fill) => Math.abs(fill.at - when) <= near).slice(0, 4);
    const stop = stops.findLast((each) => each.at <= when);
    return [
      ...found.map((fill) => element("p", "", element("b", "", opens(fill) ? "entry" : plain(fill.why)), ` ${fill.quantity > 0 ? "bought" : "sold"} ${number(Math.abs(fill.quantity), Math.abs(fill.quantity) < 1000 ? 1 : 0)} at ${price(fill.price)}`)),
      ...(stop && stop.price !== null ? [element("p", "", `stop ${price(stop.price)}`)] : []),
    ];
  };

  /* what bound when: a lane for each lock and each reason */
  const lanesOf = (run) => {
    const lanes = new Map();
    const lane = (name, key, item) => {
      if (!lanes.has(name)) lanes.set(name, { name, locks: [], events: [] });
      lanes.get(name)[key].push(item);
    };
    for (const lock of run.locks) lane(`Lock ${lock.code}`, "locks", lock);
    for (const reason of run.reasons) for (const event of run.events) if (event.code === reason.code && event.kind === reason.kind) lane(`${reason.code} ${reason.kind}`, "events", event);
    return [...lanes.values()].sort((a, b) => b.locks.length - a.locks.length || b.events.length - a.events.length);
  };
  const drawLanes = (lanes) => (chart) =>
    inside(chart, (ctx, box) => {
      const tall = box.height / lanes.length;
      const ratio = devicePixelRatio;
      lanes.forEach((lane, index) => {
        const top = box.top + index * tall;
        ctx.fillStyle = color("--grid");
        ctx.fillRect(box.left, top + tall - ratio, box.width, ratio);
        lane.locks.forEach((lock) => band(chart, ctx, lock, top + 16 * ratio, tall - 20 * ratio));
        ctx.globalAlpha = 0.75;
        for (const event of lane.events) {
          if (event.at < range.min || event.at > range.max) continue;
          ctx.fillStyle = color(`--${event.kind}`);
          ctx.fillRect(place(chart, event.at) - ratio * 0.75, top + 17 * ratio, 1.5 * ratio, tall - 22 * ratio);
        }
        ctx.globalAlpha = 1;
        const seen = [...lane.events.filter((event) => event.at >= range.min && event.at <= range.max), ...lane.locks.filter((lock) => lock.end >= range.min && lock.start <= range.max)].length;
        ctx.fillStyle = color("--soft");
        ctx.font = `${11 * ratio}px ${color("--sans")}`;
        ctx.textAlign = "left";
        ctx.textBaseline = "top";
        ctx.fillText(`${lane.name}  \u00b7  ${number(seen, 0)}`, box.left + 2 * ratio, top + 3 * ratio);
      });
    });
  const laneText = (lanes) => (chart, when) => {
    const lane = lanes[Math.floor((chart.cursor.top / chart.over.clientHeight) * lanes.length)];
    if (!lane) return [];
    const near = ((range.max - range.min) / chart.over.clientWidth) * 6;
    const lock = lane.locks.find((item) => item.start - near <= when && when <= item.end + near);
    if (lock) return lockText(lock);
    const event = lane.events.reduce((best, item) => (!best || Math.abs(item.at - when) < Math.abs(best.at - when) ? item : best), null);
    return event && Math.abs(event.at - when) <= near ? eventText(event) : [];
  };

  /* charts */
  const axisFont = () => `12px ${color("--sans")}`;
  const base = { stroke: () => color("--faint"), ticks: { show: false } };
  const times = (least, usual, year, day) => [least, usual, year, null, day, null, null, null, 1];
  const TIMES = [
    times(365 * DAY_S, "{YYYY}", null, null),
    times(28 * DAY_S, "{MMM}", "\n{YYYY}", null),
    times(DAY_S, "{D} {MMM}", "\n{YYYY}", null),
    times(60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", "\n{D} {MMM}"),
  ];
  const timeAxis = () => ({ ...base, font: axisFont(), grid: { stroke: () => color("--grid"), width: 1 }, size: 32, values: TIMES });
  const valueAxis = (write) => ({
    ...base, font: axisFont(), grid: { stroke: () => color("--grid"), width: 1 }, size: phone() ? 50 : 66, gap: 6,
    values: (_, splits) => splits.map((value) => (value === null ? "" : write(value))),
  });
  const touched = (chart) => {
    const fingers = new Map();
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return Math.abs(a - b);
    };
    chart.over.addEventListener("pointerdown", (event) => event.pointerType === "touch" && fingers.set(event.pointerId, event.clientX));
    chart.over.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      const box = chart.over.getBoundingClientRect();
      const before = fingers.size === 2 ? spread() : 0;
      fingers.set(event.pointerId, event.clientX);
      if (fingers.size === 1) chart.setCursor({ left: event.clientX - box.left, top: event.clientY - box.top });
      else if (fingers.size === 2 && spread() > 8 && before > 8) zoom(before / spread());
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) chart.over.addEventListener(name, (event) => fingers.delete(event.pointerId));
  };

  const add = ({ id, title, detail, height, series, columns, write, scale, draw, below, describe, legend = true }) => {
    const box = element("div", "chart");
    box.id = id;
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${title}. ${detail}`);
    box.addEventListener("keydown", (event) => {
      const move = KEYS[event.key];
      if (!move || event.target !== box || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      move();
    });
    box.append(element("h3", "", title, " ", element("small", "", detail)));
    page("stack").append(box);
    const said = (chart) => {
      const { left } = chart.cursor;
      if (left < 0) requestAnimationFrame(() => atRest(chart));
      if (left < 0 || !chart.over.matches(":hover")) return;
      const when = chart.posToVal(left, "x");
      point(chart, describe(chart, when), when);
    };
    const chart = new uPlot({
      width: box.clientWidth,
      height,
      tzDate: (when) => uPlot.tzDate(new Date(when * 1000), "UTC"),
      padding: [8, 4, 0, 0],
      legend: { show: legend },
      cursor: {
        y: false,
        drag: { x: true, y: false, dist: 5 },
        points: { size: 7 },
        sync: { key: SYNC_KEY, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
      },
      scales: { x: { time: true, min: range.min, max: range.max }, y: scale ?? {} },
      axes: [timeAxis(), valueAxis(write)],
      series: [{ label: "At", value: (_, when) => (known(when) ? instant(when) : "\u2013") }, ...series],
      hooks: {
        drawClear: below ? [below] : [],
        draw: draw ? [draw] : [],
        setScale: [followed],
        setCursor: [said],
      },
    }, [at, ...columns], box);
    chart.over.addEventListener("mouseleave", () => (tip.hidden = true));
    for (const label of box.querySelectorAll(".u-legend .u-series:not(:first-child) th")) {
      label.tabIndex = 0;
      label.setAttribute("role", "button");
      label.addEventListener("keydown", (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), label.click()));
    }
    touched(chart);
    charts.push(chart);
  };

  const line = (label, stroke, value, more = {}) => ({ label, stroke, value: (_, raw) => value(raw), width: 1.5, spanGaps: true, points: { show: false }, ...more });

  const equityChart = (run) => add({
    id: "equity",
    title: "Equity",
    detail: `with and without the gate; shaded: locks of ${run.name}`,
    height: phone() ? 260 : 360,
    series: runs.map((each, index) => line(each.name, runColor(index), money, { width: index === chosen ? 2.5 : 1.2, alpha: index === chosen ? 1 : 0.75 })),
    columns: runs.map((each) => each.equity),
    write: (value) => (Math.abs(value) >= (phone() ? 1e4 : 1e6) ? spaced(COMPACT.format(value)) : number(value, value % 1 ? 2 : 0)),
    below: bands(run),
    describe: (_, when) => locksAt(run, when).flatMap(lockText),
  });
  const drawdownChart = (run) => {
    const ungated = runs.findIndex((each) => !each.gated);
    const compared = ungated >= 0 && ungated !== chosen ? [ungated] : [];
    add({
      id: "drawdown",
      title: "Drawdown against every limit",
      detail: run.floors.length ? `${run.name}, below its peak` : `${run.name} has no limit to break`,
      height: phone() ? 210 : 250,
      series: [
        ...compared.map((index) => line(runs[index].name, runColor(index), percent, { width: 1.2, alpha: 0.6 })),
        line(run.name, runColor(chosen), percent, { width: 2, fill: () => `${runColor(chosen)()}1c` }),
        ...run.floors.map((floor, index) => line(floor.name, () => color(`--floor-${index % 4}`), percent, { dash: DASHES[index % 4], width: 1.6, paths: uPlot.paths.stepped({ align: 1 }) })),
      ],
      columns: [...compared.map((index) => runs[index].drawdown), run.drawdown, ...run.floors.map((floor) => floor.drawdown)],
      write: (value) => `${number(value * 100, Math.abs(value * 100) % 1 > 0.001 ? 1 : 0)} %`,
      below: bands(run),
      describe: (_, when) => locksAt(run, when).flatMap(lockText),
    });
  };
  const laneChart = (run) => {
    const all = lanesOf(run);
    const lanes = all.slice(0, LANES_MAX);
    if (lanes.length === 0) {
      const box = element("div", "chart", element("h3", "", "What bound when"));
      box.append(empty(run.gated ? `Nothing bound: ${run.name} let every intent through as it was.` : "This run shows nothing here: without a gate nothing could bind."));
      page("stack").append(box);
      return;
    }
    add({
      id: "lanes",
      title: "What bound when",
      detail: all.length > lanes.length ? `${run.name}, the ${LANES_MAX} busiest of ${all.length} reasons` : run.name,
      height: lanes.length * LANE_PX + 40,
      series: [{ points: { show: false } }],
      columns: [at.map(() => null)],
      write: () => "",
      scale: { range: [0, lanes.length] },
      legend: false,
      draw: drawLanes(lanes),
      describe: laneText(lanes),
    });
  };
  const priceChart = (run) => (item, index) => {
    const fills = run.fills.filter((fill) => fill.symbol === item.symbol);
    const stops = run.stops.filter((stop) => stop.symbol === item.symbol);
    const told = stops.length ? "\u25b2\u25bc opened, \u25cf closed, bought or sold by colour; line: the stop" : "\u25b2 bought \u25bc sold";
    add({
      id: `price-${index}`,
      title: item.symbol,
      detail: `${item.unit}; ${fills.length ? `${run.name}: ${told}` : `${run.name} has no fills here`}`,
      height: phone() ? 190 : 220,
      series: [line(item.symbol, () => color("--soft"), price, { width: 1.2 })],
      columns: [item.values],
      write: (value) => number(value, item.values.some((each) => each !== null && Math.abs(each) >= 10) ? 0 : 3),
      below: bands(run),
      draw: markers(fills, stops),
      describe: (chart, when) => [...fillText(fills, stops)(chart, when), ...locksAt(run, when).flatMap(lockText)],
    });
  };

  /* tables */
  const cell = (className, ...children) => element("td", className, ...children);
  const table = (names, rows) => {
    const made = element("table", "list");
    const head = element("tr", "", ...names.map((name) => Object.assign(element("th", "", name), { scope: "col" })));
    for (const row of rows) [...row.children].forEach((made, index) => (made.dataset.label = names[index]));
    made.append(element("thead", "", head), element("tbody", "", ...rows));
    return made;
  };
  const tellReasons = (run) => {
    if (run.reasons.length === 0) return page("reasons").replaceChildren(empty(run.gated ? "No intent was denied or capped, and nothing was flattened." : "There was no gate to say anything."));
    const most = run.reasons[0].count;
    page("reasons").replaceChildren(table(["Reason", "", "Times", "Symbols", "First and last", "First said"], run.reasons.map((reason) => {
      const meter = Object.assign(document.createElement("meter"), { max: most, value: reason.count });
      meter.className = reason.kind;
      meter.setAttribute("aria-hidden", "true");
      return element("tr", "",
        cell("whole", element("code", "", reason.code)), cell("", element("span", `tag ${reason.kind}`, reason.kind)),
        cell("number", number(reason.count, 0), meter), cell("symbols", reason.symbols.map(([symbol, times]) => `${symbol}\u00a0${number(times, 0)}`).join(", ")),
        cell("whole", `${date(reason.first)} \u2013 ${date(reason.last)}`), cell("said", reason.message));
    })));
  };
  const tellView = (run) => {
    const rows = [
      ...run.locks.filter((lock) => lock.end >= range.min && lock.start <= range.max).map((lock) => ({ at: lock.start, tag: lock.severity, kind: `lock, ${lock.severity}`, symbol: "", code: lock.code, message: lock.reason, bound: lock.open ? "still in force" : `until ${instant(lock.end)}` })),
      ...run.events.filter((event) => event.at >= range.min && event.at <= range.max).map((event) => ({ ...event, tag: event.kind })),
    ].sort((a, b) => a.at - b.at);
    const shown = rows.slice(0, VIEW_ROWS_MAX);
    page("view-count").textContent = rows.length > shown.length ? `the first ${shown.length} of ${number(rows.length, 0)}; zoom in to see others` : count(rows.length, "entry").replace("entrys", "entries");
    if (shown.length === 0) return page("view").replaceChildren(empty("Nothing happened in this range."));
    page("view").replaceChildren(table(["At", "", "Symbol", "Reason", "Said"], shown.map((row) => {
      const jump = element("button", "", instant(row.at));
      jump.type = "button";
      jump.title = "Zoom all charts to this day";
      jump.addEventListener("click", () => {
        show(row.at - 2 * DAY_S, row.at + 2 * DAY_S);
        page("charts").scrollIntoView();
      });
      return element("tr", "",
        cell("whole", jump), cell("", element("span", `tag ${row.tag}`, row.kind)), cell("whole", row.symbol), cell("whole", element("code", "", row.code)),
        cell("said", row.message, row.bound ? element("b", "", ` \u00b7 ${row.bound}`) : ""));
    })));
  };
  const signed = (value, digits) => `${value > 0 ? "+" : ""}${number(value, digits)}`;
  const inR = (value) => (known(value) ? `${signed(value, 2)} R` : "\u2013");
  const tellExits = (run) => {
    page("leaving").hidden = runs.every((each) => each.trades.length === 0);
    if (run.exits.length === 0) return page("exits").replaceChildren(empty(`${run.name} closed no trade.`));
    const most = run.exits[0].count;
    page("exits").replaceChildren(table(["Last exit", "Trades", "Won", "Mean result", `Gained, ${data.currency}`], run.exits.map((exit) => {
      const meter = Object.assign(document.createElement("meter"), { max: most, value: exit.count });
      meter.setAttribute("aria-hidden", "true");
      return element("tr", "",
        cell("whole", element("code", "", plain(exit.name))), cell("number", number(exit.count, 0), meter),
        cell("number", percent(exit.won / exit.count, 0)), cell("number", inR(exit.mean)), cell("number", signed(exit.gained, 0)));
    })));
  };
  const tellTrades = (run) => {
    const found = run.trades.filter((trade) => trade.end >= range.min && trade.start <= range.max);
    const shown = found.slice(0, TRADE_ROWS_MAX);
    page("trade-count").textContent = found.length > shown.length ? `the first ${shown.length} of ${number(found.length, 0)}; zoom in to see others` : count(found.length, "trade");
    if (shown.length === 0) return page("trades").replaceChildren(empty("No trade lies in this range."));
    page("trades").replaceChildren(table(["Opened", "Symbol", "", "Held", "Result", `Gained, ${data.currency}`, "On its way", "Last exit"], shown.map((trade) => {
      const jump = element("button", "", instant(trade.start));
      jump.type = "button";
      jump.title = "Zoom all charts to this trade";
      jump.addEventListener("click", () => {
        show(trade.start - DAY_S, trade.end + DAY_S);
        page(`price-${prices.findIndex((item) => item.symbol === trade.symbol)}`)?.scrollIntoView();
      });
      const hours = (trade.end - trade.start) / 3600;
      return element("tr", "",
        cell("whole", jump), cell("whole", trade.symbol), cell("whole", trade.side > 0 ? "long" : "short"),
        cell("number", hours < 48 ? `${number(hours, 0)} h` : `${number(hours / 24, 0)} d`), cell("number", inR(trade.r)),
        cell("number", signed(trade.gained, 0)), cell("", trade.rungs.map(plain).join(", ") || "\u2013"), cell("whole", plain(trade.exit)));
    })));
  };
  const told = (run) => {
    const words = ["event", "lock", "fill", "stop", "trade"];
    const thinned = run.steps.flatMap((step, index) => (step > 1 ? [`one ${words[index]} in ${step} of ${number(run.counts[index], 0)}`] : []));
    const drawn = data.bucketCount > 1 ? [`the lowest and highest of every ${data.bucketCount} instants`] : [];
    return [...drawn, ...thinned].length ? `Drawn: ${[...drawn, ...thinned].join("; ")}.` : "";
  };

  let pending = 0;
  const tell = () => {
    page("range").textContent = `${date(range.min)} \u2013 ${date(range.max)}`;
    const days = (range.max - range.min) / DAY_S;
    for (const button of document.querySelectorAll("[data-range]")) {
      const wanted = button.dataset.range === "all" ? (last - first) / DAY_S : Number(button.dataset.range);
      button.setAttribute("aria-pressed", String(Math.abs(days - wanted) < 0.01));
    }
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => {
      tellView(runs[chosen]);
      tellTrades(runs[chosen]);
      charts.forEach(atRest);
    });
  };

  const build = () => {
    const run = runs[chosen];
    palette.clear();
    for (const chart of charts) chart.destroy();
    charts = [];
    page("stack").replaceChildren();
    equityChart(run);
    drawdownChart(run);
    laneChart(run);
    prices.forEach(priceChart(run));
    for (const place of document.querySelectorAll(".of-run")) place.textContent = run.name;
    page("resolution").textContent = told(run);
    tellReasons(run);
    tellExits(run);
    tell();
  };

  for (const input of document.querySelectorAll("input[name=run]")) {
    input.checked = Number(input.value) === chosen;
    input.addEventListener("change", () => {
      chosen = Number(input.value);
      build();
    });
  }
  for (const button of document.querySelectorAll("[data-range]")) {
    button.addEventListener("click", () => {
      if (button.dataset.range === "all") return show(first, last);
      const half = (Number(button.dataset.range) * DAY_S) / 2;
      const middle = range.max - range.min >= last - first ? last : (range.min + range.max) / 2;
      show(middle - half, middle + half);
    });
  }
  for (const button of document.querySelectorAll("[data-move]")) button.addEventListener("click", MOVES[button.dataset.move]);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    build();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
  build();
})();
