// Arrivals and peers, as they come.

import { rate, VERDICTS } from "./plots.js";
import { button, clock, duration, element, number, short } from "./text.js";

const MOST_LINES = 60, MOST_SECONDS = 600;

export class Live {
  constructor(page) {
    this.page = page;
    this.seconds = new Map();
    this.pings = new Map();
    this.paused = false;
    this.list = document.getElementById("list");
    this.canvas = document.getElementById("rate");
    this.fresh = document.getElementById("fresh");
    const pause = document.getElementById("pause");
    pause.addEventListener("click", () => {
      this.paused = !this.paused;
      pause.setAttribute("aria-pressed", String(this.paused));
      pause.textContent = this.paused ? "go on" : "pause";
    });
  }

  hear(news) {
    for (const [second, counts] of news.seconds) this.seconds.set(second, counts);
    for (const second of this.seconds.keys()) if (this.seconds.size > MOST_SECONDS) this.seconds.delete(second);
    if (this.paused) return;
    this.#totals(news);
    rate(this.canvas, [...this.seconds].sort((one, two) => one[0] - two[0]));
    this.#lines(news);
    this.#peers(news.peers);
    this.#vantages(news.vantages);
  }

  #vantages(vantages) {
    document.getElementById("vantages").hidden = !this.page.about.vantages;
    const wrong = vantages.filter(({ state }) => state).length;
    document.getElementById("vantagecount").textContent = `${number(vantages.length)}${wrong ? `, ${number(wrong)} silent, behind or ahead` : ""}`;
    document.getElementById("vantagerows").replaceChildren(...vantages.map(({ name, state, rate, outcomes, peers, lag, lost }) =>
      element("tr", state ? { kind: "gone" } : {}, element("td", {}, name), element("td", {}, state || "well"),
        element("td", { kind: "number" }, number(Math.round(rate))), element("td", { kind: "number" }, number(outcomes.new || 0)),
        element("td", { kind: "number" }, number(outcomes.redundant || 0)), element("td", { kind: "number wide" }, number(peers)),
        element("td", { kind: "number" }, `${lag < 0 ? "-" : ""}${duration(Math.abs(lag) * 1000)}`), element("td", { kind: "number wide" }, number(lost)))));
  }

  #totals({ totals, missed }) {
    const chips = VERDICTS.filter((verdict) => totals[verdict] || verdict === "new" || verdict === "redundant").map((verdict) =>
      element("li", { of: verdict }, verdict, element("b", {}, number(totals[verdict] || 0))));
    document.getElementById("totals").replaceChildren(...chips);
    if (missed) this.list.prepend(element("li", {}, element("time", {}, "…"), element("span", { kind: "quiet" }, `${number(missed)} more`)));
  }

  #lines({ arrivals }) {
    const wanted = this.fresh.checked ? arrivals.filter(({ outcome }) => outcome !== "redundant") : arrivals;
    this.list.prepend(...wanted.slice(-MOST_LINES).reverse().map((arrival) => this.#line(arrival)));
    while (this.list.children.length > MOST_LINES) this.list.lastElementChild.remove();
  }

  #line({ ms, kind, outcome, reason, peer, scid, direction, about }) {
    const { page } = this;
    const what = scid
      ? button("", `${kind.replace("channel_", "")} ${scid}${direction === null ? "" : `/${direction}`}`, () => page.chooseChannel(scid))
      : about ? button("", `node ${page.nameOf(about)}`, () => page.chooseId(about)) : element("span", {}, kind);
    if (reason) what.title = reason;
    const from = peer ? button("", page.nameOf(peer), () => page.chooseId(peer)) : element("span", { kind: "quiet" }, "ourselves");
    return element("li", {}, element("time", {}, clock(ms)), element("span", { kind: "verdict", of: outcome, title: reason || outcome }, outcome), what, from);
  }

  #peers(peers) {
    const { page } = this;
    const there = peers.filter((peer) => peer.connected).length;
    document.getElementById("peercount").textContent = peers.length ? `${number(there)} heard of ${number(peers.length)}` : "";
    const rows = peers.map(({ id, address, incoming, connected, counts }) => {
      const all = Object.values(counts).reduce((one, two) => one + two, 0);
      const other = all - (counts.new || 0) - (counts.redundant || 0);
      const name = button("", page.nameOf(id), () => page.chooseId(id));
      name.title = `${short(id)} ${address}`;
      return element("tr", connected ? {} : { kind: "gone" }, element("td", {}, name),
        element("td", { kind: "wide" }, !connected ? "gone" : incoming === null ? "" : incoming ? "in" : "out"),
        element("td", { kind: "number" }, number(counts.new || 0)), element("td", { kind: "number" }, number(counts.redundant || 0)),
        element("td", { kind: "number wide" }, number(other)), element("td", { kind: "number" }, this.pings.get(id) ?? ""));
    });
    if (!document.getElementById("peerrows").contains(document.activeElement)) document.getElementById("peerrows").replaceChildren(...rows);
  }
}
