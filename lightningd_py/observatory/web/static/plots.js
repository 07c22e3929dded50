// Curves as SVG, and the arrivals a second on a canvas.

import { duration, minute, number } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 460, HIGH = 200, LEFT = 56, RIGHT = 10, TOP = 10, BOTTOM = 26;
export const VERDICTS = ["new", "waiting", "owed", "rate-limited", "rejected", "redundant"];

function shape(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// `points`: [x, y] with both from 0 to 1; `across` and `up`: [[place, text]].
function curve(where, label, points, across, up, isStep) {
  const x = (value) => (LEFT + value * (WIDE - LEFT - RIGHT)).toFixed(1);
  const y = (value) => (HIGH - BOTTOM - value * (HIGH - TOP - BOTTOM)).toFixed(1);
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": label });
  for (const [at, text] of up) {
    svg.append(shape("path", { class: "axis", d: `M${LEFT} ${y(at)}H${WIDE - RIGHT}` }));
    svg.append(shape("text", { x: LEFT - 6, y: Number(y(at)) + 4, "text-anchor": "end" }, text));
  }
  for (const [at, text] of across) {
    const anchor = at < 0.1 ? "start" : at > 0.9 ? "end" : "middle";
    svg.append(shape("text", { x: x(at), y: HIGH - 8, "text-anchor": anchor }, text));
  }
  const path = points.map(([one, two], place) =>
    place === 0 ? `M${x(one)} ${y(two)}` : isStep ? `H${x(one)}V${y(two)}` : `L${x(one)} ${y(two)}`).join("");
  const ends = [points[0][0], points[points.length - 1][0]];
  svg.append(shape("path", { class: "under", d: `${path}V${y(0)}H${x(ends[0])}Z` }), shape("path", { class: "curve", d: path }));
  svg.dataset.end = x(ends[1]);
  where.replaceChildren(svg);
}

export function growth(where, { points }) {
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  const counts = points.map((point) => point[1]);
  let [low, high] = [Math.min(...counts), Math.max(...counts)];
  const room = Math.max(2, (high - low) * 0.15);
  [low, high] = [Math.max(0, Math.floor(low - room)), Math.ceil(high + room)];
  const scaled = points.map(([ms, count]) => [(ms - first) / Math.max(1, last - first), (count - low) / (high - low)]);
  const up = [0, 0.5, 1].map((at) => [at, number(Math.round(low + at * (high - low)))]);
  curve(where, `Channels from ${minute(first)} to ${minute(last)}: ${number(counts[0])} to ${number(counts[counts.length - 1])}`,
    scaled, [[0, minute(first)], [1, minute(last)]], up, true);
}

export function propagation(where, { delays_ms: delays }) {
  const most = Math.max(1000, delays[delays.length - 1]);
  const place = (ms) => Math.log10(Math.max(1, ms)) / Math.log10(most);
  const points = [[0, 0], ...delays.map((ms, at) => [place(ms), (at + 1) / delays.length])];
  const ticks = [1, 10, 100, 1e3, 1e4, 6e4, 6e5].filter((ms) => ms <= most).map((ms) => [place(ms), duration(ms)]);
  curve(where, "Share of receipts by time since a message's first arrival", points, ticks, [[0, "0 %"], [0.5, "50 %"], [1, "100 %"]], true);
}

// `seconds`: [second, {verdict: count}], the newest last.
export function rate(canvas, seconds) {
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = wide * ratio;
  canvas.height = high * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`);
  const bars = Math.max(30, Math.min(240, Math.floor((wide - 40) / 5)));
  const last = Math.max(Math.floor(Date.now() / 1000) - 1, seconds.length ? seconds[seconds.length - 1][0] : 0);
  const shown = seconds.filter(([second]) => second > last - bars);
  const sum = (counts) => Object.values(counts).reduce((one, two) => one + two, 0);
  const top = Math.max(4, ...shown.map(([, counts]) => sum(counts)));
  const left = 40, step = (wide - left) / bars;
  pen.font = "11px system-ui, sans-serif";
  pen.textAlign = "right";
  for (const at of [0, 0.5, 1]) {
    const y = high - 6 - at * (high - 16);
    pen.fillStyle = colour("line");
    pen.fillRect(left, y, wide - left, 1);
    pen.fillStyle = colour("quiet");
    pen.fillText(number(Math.round(top * at)), left - 6, y + 4);
  }
  for (const [second, counts] of shown) {
    let y = high - 6;
    for (const verdict of VERDICTS) {
      const tall = ((counts[verdict] || 0) / top) * (high - 16);
      pen.fillStyle = colour(verdict);
      pen.fillRect(left + (bars - 1 - (last - second)) * step, y - tall, Math.max(1, step - 1), tall);
      y -= tall;
    }
  }
}
