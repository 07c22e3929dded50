// What is shown is text: nothing here, or anywhere on this page, makes markup out of what was said by strangers.

export function element(tag, { kind, of, ...attributes } = {}, ...inside) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (of) made.dataset.of = of;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside.filter((each) => each !== null && each !== undefined));
  return made;
}

export function button(kind, text, action) {
  const made = element("button", { kind, type: "button", title: text }, text);
  made.addEventListener("click", action);
  return made;
}

export function pairs(list) {
  return list.flatMap(([name, value]) =>
    value === null || value === undefined || value === "" ? [] : [element("dt", {}, name), element("dd", {}, value)]);
}

const whole = new Intl.NumberFormat("en");
export const number = (value) => whole.format(value);
export const short = (id) => (id ? `${id.slice(0, 8)}…${id.slice(-4)}` : "");

export function bitcoin(sat) {
  if (sat === null || sat === undefined) return "capacity not known";
  return sat >= 1e7 ? `${whole.format(Math.round(sat / 1e6) / 100)} BTC` : `${whole.format(sat)} sat`;
}

export function bytes(count) {
  const unit = ["B", "kB", "MB", "GB"];
  let at = 0;
  for (; count >= 1000 && at < 3; at++) count /= 1000;
  return `${count.toFixed(at && count < 100 ? 1 : 0)} ${unit[at]}`;
}

export function duration(ms) {
  for (const [unit, size] of [["h", 3600e3], ["min", 60e3], ["s", 1e3]]) if (ms >= size) return `${+(ms / size).toFixed(1)} ${unit}`;
  return `${+ms.toFixed(1)} ms`;
}

export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
export const minute = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
