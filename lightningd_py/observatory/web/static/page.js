// The page: what is loaded when, and what is chosen.

import { follow, get, Locked, setToken, takeToken } from "./api.js";
import * as details from "./details.js";
import { Finder } from "./finder.js";
import { Graph } from "./graph.js";
import { Live } from "./live.js";
import { canDraw, MapView } from "./map.js";
import * as plots from "./plots.js";
import { bitcoin, bytes, duration, element, minute, number, pairs } from "./text.js";

const MAP_AGAIN = 300e3, FIGURES_AGAIN = 5e3, RECORD_AGAIN = 120e3, PAUSE = 350;
const at = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.graph = null;
    this.time = null;
    this.layouts = 0;
    this.feed = "";
    this.node = "";
    this.view = new MapView(at("map"), (place) => this.choose(place));
    this.live = new Live(this);
    this.finder = new Finder(this);
    this.#slider();
  }

  async begin() {
    try {
      this.about = await get("/api/about");
    } catch (error) {
      if (!(error instanceof Locked)) throw error;
      return this.#lock();
    }
    at("locked").hidden = true;
    document.querySelector("main").hidden = false;
    if (!canDraw()) this.#tellHowToGetLibraries();
    const loading = this.loadMap();
    follow("/api/live", (news) => this.#hear(news), (sentence) => this.#say({ feed: sentence })).catch(() => this.#lock());
    every(FIGURES_AGAIN, () => this.#figures());
    every(RECORD_AGAIN, () => this.#record());
    setInterval(() => this.time === null && !document.hidden && this.loadMap(), MAP_AGAIN);
    return loading;
  }

  #lock() {
    at("locked").hidden = false;
    document.querySelector("main").hidden = true;
    at("token").focus();
    at("unlock").onsubmit = (event) => {
      event.preventDefault();
      setToken(at("token").value.trim());
      at("refused").textContent = "";
      this.begin().then(() => at("locked").hidden || (at("refused").textContent = "this is not the token"));
    };
  }

  #tellHowToGetLibraries() {
    at("map").hidden = true;
    at("mapnote").hidden = false;
    at("mapnote").replaceChildren("The map is drawn by sigma and graphology, which this installation does not have. ",
      element("code", {}, "lightning-observatory web-assets"), " gets both from npm; then start this page's server again. All else works without them.");
  }

  // the map

  async loadMap() {
    this.loading?.abort();
    const mine = (this.loading = new AbortController());
    at("mapcard").setAttribute("aria-busy", "true");
    try {
      const found = await get(this.time === null ? "/api/map" : `/api/map?at=${this.time}`, mine.signal);
      if (mine.signal.aborted) return;
      this.graph = new Graph(found);
      if (canDraw()) this.view.show(this.graph);
      this.#tellCounts();
      if (this.chosenId || this.chosenScid) this.#again();
    } catch (error) {
      if (!mine.signal.aborted) at("counts").textContent = error.message;
    } finally {
      if (this.loading === mine) at("mapcard").removeAttribute("aria-busy");
    }
  }

  #tellCounts() {
    const { graph } = this;
    at("counts").textContent = `${number(graph.size)} nodes · ${number(graph.channels.scid.length)} channels` +
      (graph.capacity ? ` · ${bitcoin(graph.capacity)}` : "");
    at("counts").dataset.time = this.time ?? "now";
  }

  nameOf(id) {
    return this.graph ? this.graph.nameOf(id) : `${id.slice(0, 16)}…`;
  }

  chooseId(id) {
    const place = this.graph?.byId.get(id);
    if (place !== undefined) this.choose(place);
    else at("details").replaceChildren(element("code", { kind: "id" }, id), element("p", {}, "This node has no channel on this map."));
  }

  async choose(place, moves = true) {
    this.chosenScid = null;
    this.chosenId = place === null ? null : this.graph.nodes.id[place];
    if (canDraw()) this.view.mark(place, moves);
    if (place === null) return at("details").replaceChildren(element("p", { kind: "quiet" }, "Nothing is chosen."));
    const { graph, chosenId } = this;
    details.node(at("details"), graph, place, null, (other) => this.choose(other));
    const said = await this.#said(`/api/node/${chosenId}`);
    if (said && this.chosenId === chosenId && this.graph === graph) details.node(at("details"), graph, place, said, (other) => this.choose(other));
  }

  async chooseChannel(scid, moves = true) {
    const { graph } = this;
    const found = graph?.channel(scid);
    if (!found) return at("details").replaceChildren(element("h3", {}, scid), element("p", {}, "This channel is not on this map."));
    this.chosenId = null;
    this.chosenScid = scid;
    if (canDraw()) this.view.mark(graph.degree[found.a] < graph.degree[found.b] ? found.a : found.b, moves);
    details.channel(at("details"), graph, found, null, (other) => this.choose(other));
    const said = await this.#said(`/api/channel/${scid}`);
    if (said && this.chosenScid === scid && this.graph === graph) details.channel(at("details"), graph, found, said, (other) => this.choose(other));
    return undefined;
  }

  // The store knows the present alone.
  #said(path) {
    return this.time === null && this.about.map ? get(path).catch(() => null) : Promise.resolve(null);
  }

  #again() {
    if (this.chosenScid) return this.chooseChannel(this.chosenScid, false);
    const place = this.graph.byId.get(this.chosenId);
    return place === undefined ? this.chooseId(this.chosenId) : this.choose(place, false);
  }

  // time

  #slider() {
    let waiting;
    at("time").addEventListener("input", () => {
      this.#tellTime();
      clearTimeout(waiting);
      waiting = setTimeout(() => this.#goTo(Number(at("time").value)), PAUSE);
    });
    at("now").addEventListener("click", () => {
      at("time").value = at("time").max;
      this.#tellTime();
      this.#goTo(Number(at("time").max));
    });
  }

  #tellTime() {
    const value = Number(at("time").value);
    const text = value >= Number(at("time").max) ? "now" : `${minute(value)} UTC`;
    at("when").textContent = text;
    at("time").setAttribute("aria-valuetext", text);
  }

  #goTo(ms) {
    const time = ms >= Number(at("time").max) ? null : ms;
    if (time === this.time) return;
    this.time = time;
    this.loadMap();
  }

  // what comes again and again

  #hear(news) {
    this.#say({ feed: news.feed, lost: news.lost });
    this.live.hear(news);
    if (news.layouts !== this.layouts) {
      this.layouts = news.layouts;
      if (this.graph && !this.graph.is_laid_out) this.loadMap();
    }
  }

  #say({ feed = this.feed, lost = this.lost, node = this.node } = {}) {
    Object.assign(this, { feed, lost, node });
    const said = [node, feed, lost ? `${number(lost)} messages of the feed were missed` : ""].filter(Boolean).join(" · ");
    if (at("state").textContent !== said) at("state").textContent = at("state").title = said;
  }

  async #figures() {
    if (!this.about.node) return at("figures").replaceChildren(...pairs([["RPC", "not asked: no socket was given"]]));
    const found = await get("/api/figures");
    if (found.error) return at("figures").replaceChildren(...pairs([["RPC", found.error]]));
    const { info, status } = found;
    if (info.alias) at("title").textContent = document.title = info.alias;
    this.#say({ node: status.state === "normal" ? "in sync" : `${status.state ?? ""} ${status.percent ?? ""} %` });
    for (const peer of found.peers) this.live.pings.set(peer.id, peer.ping_ms === undefined ? "" : duration(peer.ping_ms));
    const meter = element("meter", { min: 0, max: 100, value: status.percent ?? 100, "aria-label": "Sync" });
    return at("figures").replaceChildren(...pairs([
      ["Sync", status.state], ["", status.percent === undefined ? null : meter], ["Peers", number(found.peer_count)],
      ["Channels", status.channels === undefined ? null : number(status.channels)], ["Nodes", status.nodes === undefined ? null : number(status.nodes)],
      ["Store", status.store_bytes === undefined ? null : bytes(status.store_bytes)], ["Network", info.network], ["Block", info.blockheight ? number(info.blockheight) : null],
      ["Chain", info.warning_bitcoind_sync], ["Id", info.id], ["Version", info.version],
    ]));
  }

  async #record() {
    if (!this.about.record) {
      for (const id of ["growth", "propagation"]) at(id).hidden = true;
      return;
    }
    await Promise.all([this.#extent(), this.#plot("growth", ({ points }) => `${number(points[points.length - 1][1])} channels`),
      this.#plot("propagation", ({ receipts, shares_ms: shares }) => receipts ? `half in ${duration(shares.p50)}, 95 % in ${duration(shares.p95)}` : "")]);
  }

  async #extent() {
    const { since_ms: since, until_ms: until } = await get("/api/extent");
    at("past").hidden = since === null;
    if (since === null) return;
    const wasNow = this.time === null;
    const first = since + 60000 - (since % 60000);
    Object.assign(at("time"), { min: first, max: Math.max(first + 60000, until - (until - first) % 60000) });
    if (wasNow) at("time").value = at("time").max;
    this.#tellTime();
  }

  async #plot(id, note) {
    try {
      const found = await get(`/api/${id}`);
      at(`${id}note`).textContent = note(found);
      if (found.points?.length || found.delays_ms?.length) plots[id](at(`${id}plot`), found);
      else at(`${id}plot`).replaceChildren(element("p", { kind: "quiet" }, "Nothing was recorded in that time."));
    } catch (error) {
      at(`${id}plot`).replaceChildren(element("p", { kind: "quiet" }, error.message));
    }
  }
}

function every(ms, action) {
  const go = () => document.hidden || action().catch(() => {});
  go();
  setInterval(go, ms);
}

takeToken();
new Page().begin().catch((error) => (at("state").textContent = error.message));
