// The search field: what is found as one types, led by the arrow keys.

import { bitcoin, element, number } from "./text.js";

export class Finder {
  constructor(page) {
    this.page = page;
    this.field = document.getElementById("search");
    this.list = document.getElementById("found");
    this.at = -1;
    this.field.addEventListener("input", () => this.#find());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("blur", () => setTimeout(() => this.#close(), 150));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || /^(INPUT|TEXTAREA)$/.test(document.activeElement?.tagName)) return;
      event.preventDefault();
      this.field.focus();
      this.field.select();
    });
  }

  #find() {
    const { graph } = this.page;
    this.results = graph ? graph.search(this.field.value) : [];
    this.at = this.results.length ? 0 : -1;
    const lines = this.results.map((result, place) => this.#line(graph, result, place));
    if (!lines.length && this.field.value.trim()) lines.push(element("li", { kind: "quiet", role: "option", "aria-disabled": "true" }, element("span", {}, "nothing on this map")));
    this.list.replaceChildren(...lines);
    this.list.hidden = !lines.length;
    this.field.setAttribute("aria-expanded", String(!this.list.hidden));
    this.#mark();
  }

  #line(graph, { place, scid }, number_) {
    const channel = scid ? graph.channel(scid) : null;
    const text = channel ? [scid, `${graph.name(channel.a)} — ${graph.name(channel.b)}, ${bitcoin(channel.sat)}`]
      : [graph.name(place), `${number(graph.degree[place])} ch · ${graph.nodes.id[place].slice(0, 10)}…`];
    const line = element("li", { role: "option", id: `found-${number_}` }, element("span", {}, text[0]), element("span", {}, text[1]));
    line.addEventListener("mousedown", (event) => {
      event.preventDefault();
      this.#take(number_);
    });
    return line;
  }

  #mark() {
    [...this.list.children].forEach((line, place) => line.setAttribute("aria-selected", String(place === this.at)));
    if (this.at >= 0) this.field.setAttribute("aria-activedescendant", `found-${this.at}`);
    else this.field.removeAttribute("aria-activedescendant");
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.results?.length) {
      this.at = (this.at + step + this.results.length) % this.results.length;
      this.#mark();
    } else if (event.key === "Enter" && this.at >= 0) this.#take(this.at);
    else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
  }

  #take(place) {
    const { scid, place: node } = this.results[place];
    this.#close();
    if (scid) this.page.chooseChannel(scid);
    else this.page.choose(node);
  }

  #close() {
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
  }
}
