// Charts as SVG: drawn to the size of their place, read out by keyboard, and described in words beside them.
import { dayText, shortDay, spacing, units, weekday } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const redraws = new WeakMap();
const LEFT = 46, RIGHT = 12, TOP = 18, BOTTOM = 24;

export function drawCharts(root) {
  for (const figure of root.querySelectorAll("[data-chart]")) {
    const data = JSON.parse(document.getElementById(figure.dataset.source).textContent);
    const plot = figure.querySelector(".plot");
    const draw = figure.dataset.chart === "series" ? drawSeries : drawDrivers;
    let width = 0, height = 0;
    const redraw = () => {
      if ((plot.clientWidth === width && plot.clientHeight === height) || !plot.clientWidth) return;
      [width, height] = [plot.clientWidth, plot.clientHeight];
      draw(plot, data);
    };
    redraws.set(plot, redraw);
    new ResizeObserver(redraw).observe(plot);
  }
}

// A ResizeObserver does not report sizes on paper.
function redrawAll(printed) {
  for (const plot of document.querySelectorAll(".plot")) {
    plot.classList.toggle("printed", printed);
    redraws.get(plot)?.();
  }
}
window.addEventListener("beforeprint", () => redrawAll(true));
window.addEventListener("afterprint", () => redrawAll(false));

function addNode(parent, name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function niceStep(span, count) {
  const raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw);
}

function drawAxes(plot, low, high, count) {
  plot.replaceChildren();
  const width = plot.clientWidth, height = plot.clientHeight;
  const svg = addNode(plot, "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const step = niceStep(Math.max(high - low, 1e-6), height > 260 ? 5 : 4);
  const bottom = Math.floor(low / step) * step, top = Math.ceil(high / step) * step;
  const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - (value - bottom) / (top - bottom));
  const x = (place) => LEFT + (width - LEFT - RIGHT) * (count === 1 ? .5 : place / (count - 1));
  for (let value = bottom; value <= top + step / 2; value += step) {
    addNode(svg, "line", { class: Math.abs(value) < step / 1e3 && low < 0 ? "zero" : "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) });
    addNode(svg, "text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, compactNumber(value));
  }
  addNode(svg, "text", { x: LEFT - 8, y: 9, "text-anchor": "end" }, "units");
  return { svg, x, y, width, height };
}

function compactNumber(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return oneDecimal(value / 1e6) + "M";
  if (size >= 1e4) return oneDecimal(value / 1e3) + "k";
  return Math.abs(value) < 1e-9 ? "0" : size >= 100 ? units(value) : oneDecimal(value);
}

function oneDecimal(value) {
  return String(Math.round(value * 10) / 10).replace("-", "\u2212");
}

function linePath(points) {
  let path = "", isDrawing = false;
  for (const [x, y] of points) {
    if (y === null) { isDrawing = false; continue; }
    path += `${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isDrawing = true;
  }
  return path;
}

function drawDayTicks(view, days, offset, first = 0) {
  // Of days, the Mondays are named.
  const step = spacing === "daily" ? 7 : 1, each = Math.max(1, Math.ceil(60 / Math.abs(view.x(step) - view.x(0))));
  let named = 0;
  days.forEach((day, place) => {
    if (place < first || (step === 7 && weekday(day) !== 1) || named++ % each) return;
    const x = view.x(place);
    if (x > view.width - 24) return;
    addNode(view.svg, "line", { class: "grid", x1: x + offset, x2: x + offset, y1: view.height - BOTTOM, y2: view.height - BOTTOM + 4 });
    addNode(view.svg, "text", { x: x + offset, y: view.height - 6, "text-anchor": "middle" }, shortDay(day));
  });
}

function drawSeries(plot, data) {
  // Narrow charts show less of the past, not smaller text.
  const back = Math.min(data.past_dates.length, plot.clientWidth < 520 ? 21 : 56);
  const pastDays = data.past_dates.slice(-back || undefined), past = data.past.slice(-back || undefined);
  const days = [...(back ? pastDays : []), ...data.dates], from = back;
  const known = [...data.high, ...(back ? past : []), ...data.last_year, ...data.mean].filter((v) => v !== null);
  const view = drawAxes(plot, 0, Math.max(...known, 1) * 1.04, days.length);
  const { svg, x, y } = view;
  drawDayTicks(view, days, 0);
  const upper = data.high.map((v, i) => [x(from + i), y(v)]);
  const lower = data.low.map((v, i) => [x(from + i), y(v)]).reverse();
  addNode(svg, "path", { class: "band", d: linePath([...upper, ...lower]) + "Z" });
  addNode(svg, "path", { class: "year", d: linePath(data.last_year.map((v, i) => [x(from + i), v === null ? null : y(v)])) });
  const joined = past.map((v, i) => [x(i), v === null ? null : y(v)]);
  if (back) addNode(svg, "path", { class: "past", d: linePath(joined) });
  addNode(svg, "path", { class: "mean", d: linePath(data.mean.map((v, i) => [x(from + i), y(v)])) });
  if (back) {
    const now = (x(from - 1) + x(from)) / 2;
    addNode(svg, "line", { class: "now", x1: now, x2: now, y1: TOP - 6, y2: view.height - BOTTOM });
    addNode(svg, "text", { x: now + 5, y: 9 }, "forecast");
  }
  const ahead = data.mean.slice(0, data.window), peak = ahead.indexOf(Math.max(...ahead));
  addNode(svg, "circle", { class: "dot", cx: x(from + peak), cy: y(data.mean[peak]), r: 5 });
  wireReadout(plot, view, days.length, (place) => {
    const ahead = place - from;
    if (ahead < 0) return [dayText(days[place]), `sold ${units(past[place])} units`];
    const lines = [dayText(days[place]), `expected ${units(data.mean[ahead])} units`, `80 % sure: ${units(data.low[ahead])} to ${units(data.high[ahead])}`];
    if (data.last_year[ahead] !== null) lines.push(`last year ${units(data.last_year[ahead])}`);
    return lines;
  }, from);
}

function drawDrivers(plot, data) {
  const shown = data.drivers.slice(0, 6), rest = data.drivers.slice(6);
  const parts = shown.map((d) => ({ name: d.name, units: d.units.map((v) => v ?? 0) }));
  if (rest.length) parts.push({ name: "others", units: data.dates.map((_, i) => rest.reduce((sum, d) => sum + (d.units[i] ?? 0), 0)) });
  const up = data.dates.map((_, i) => parts.reduce((sum, p) => sum + Math.max(p.units[i], 0), 0));
  const down = data.dates.map((_, i) => parts.reduce((sum, p) => sum + Math.min(p.units[i], 0), 0));
  const count = data.dates.length;
  const view = drawAxes(plot, Math.min(0, ...down), Math.max(...up, 1), count + 1);
  const slot = view.x(1) - view.x(0), bar = Math.max(2, slot * .72);
  drawDayTicks(view, data.dates, slot / 2);
  data.dates.forEach((_, i) => {
    let above = 0, below = 0;
    parts.forEach((part, number) => {
      const value = part.units[i];
      if (!value) return;
      const from = value > 0 ? above : below, to = from + value;
      const top = view.y(Math.max(from, to)), height = Math.max(.5, view.y(Math.min(from, to)) - top);
      addNode(view.svg, "rect", { class: `d${number}`, x: view.x(i) + (slot - bar) / 2, y: top, width: bar, height });
      if (value > 0) above = to; else below = to;
    });
  });
  wireReadout(plot, { ...view, x: (i) => view.x(i) + slot / 2 }, count, (i) => [
    dayText(data.dates[i]),
    `total ${units(data.total[i])} units`,
    ...parts.filter((p) => Math.abs(p.units[i]) >= .5 || parts.length < 3).map((p) => `${p.name} ${p.units[i] > 0 ? "+" : ""}${units(p.units[i])}`),
  ], 0);
}

// Shows the numbers of the day under the pointer, or of the day that the arrow keys choose.
function wireReadout(plot, view, count, describe, start) {
  const cross = addNode(view.svg, "line", { class: "cross", y1: TOP, y2: view.height - BOTTOM, visibility: "hidden" });
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  plot.append(tip);
  let shown = start;
  const showDay = (place, { announce }) => {
    shown = Math.max(0, Math.min(count - 1, place));
    const x = view.x(shown), lines = describe(shown);
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
    cross.setAttribute("visibility", "visible");
    tip.replaceChildren(...lines.map((text) => Object.assign(document.createElement("div"), { textContent: text })));
    tip.hidden = false;
    tip.style.left = `${Math.min(Math.max(0, x + 12), view.width - tip.offsetWidth)}px`;
    if (x + 12 + tip.offsetWidth > view.width) tip.style.left = `${Math.max(0, x - 12 - tip.offsetWidth)}px`;
    if (announce) document.getElementById("announcer").textContent = lines.join(", ");
  };
  const hide = () => { cross.setAttribute("visibility", "hidden"); tip.hidden = true; };
  plot.onpointerdown = plot.onpointermove = (event) => {
    const x = event.clientX - plot.getBoundingClientRect().left;
    let nearest = 0;
    for (let i = 1; i < count; i++) if (Math.abs(view.x(i) - x) < Math.abs(view.x(nearest) - x)) nearest = i;
    showDay(nearest, { announce: false });
  };
  // A finger leaves when it lifts; what it touched stays readable.
  plot.onpointerleave = (event) => { if (event.pointerType === "mouse") hide(); };
  plot.onpointercancel = hide;
  plot.onblur = hide;
  plot.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -count, End: count }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    showDay(tip.hidden ? shown : shown + step, { announce: true });
  };
}
