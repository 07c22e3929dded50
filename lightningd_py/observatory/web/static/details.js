// What is said of the chosen node or channel.

import { bitcoin, button, element, minute, number, pairs } from "./text.js";

const MOST_SHOWN = 300;

export function node(where, graph, place, said, choose) {
  const channels = graph.channelsOf(place).sort((one, two) => (two.sat ?? 0) - (one.sat ?? 0));
  const capacity = channels.reduce((sum, { sat }) => sum + (sat ?? 0), 0);
  const list = element("ul", { id: "neighbours", "aria-label": "Its channels, the largest first" });
  for (const { scid, sat, other } of channels.slice(0, MOST_SHOWN)) {
    const line = button("", "", () => choose(other));
    line.title = scid;
    line.append(element("span", {}, graph.name(other)), element("span", { kind: "number quiet" }, bitcoin(sat)));
    list.append(element("li", {}, line));
  }
  where.replaceChildren(
    element("h3", {}, graph.nodes.alias[place] || "a node without a name"),
    element("code", { kind: "id" }, graph.nodes.id[place]),
    element("dl", {}, ...pairs([
      ["Channels", number(channels.length)],
      ["Capacity", bitcoin(capacity)],
      ["Announced", said?.timestamp ? minute(said.timestamp * 1000) : null],
      ["Addresses", said?.addresses.join(", ")],
      ["Features", said?.features.length ? features(said.features) : null],
    ])),
    list);
}

function features(names) {
  const all = element("details", {}, element("summary", {}, `${names.length} bits`));
  all.append(names.join(", "));
  return all;
}

export function channel(where, graph, found, said, choose) {
  const [one, two] = [found.a, found.b].map((place) => button("", graph.name(place), () => choose(place)));
  const policies = element("div", { kind: "policies" });
  (said?.directions || []).forEach((policy, direction) => {
    const from = graph.name(direction ? found.b : found.a);
    policies.append(element("div", {}, element("strong", {}, `from ${from}`), policy ? terms(policy) : element("p", { kind: "quiet" }, "has said nothing")));
  });
  where.replaceChildren(
    element("h3", {}, found.scid),
    element("p", {}, one, " — ", two),
    element("dl", {}, ...pairs([["Capacity", bitcoin(found.sat)], ["Spent", said?.dying_at ? `leaves the map at block ${number(said.dying_at)}` : null]])),
    policies);
}

function terms(policy) {
  return element("dl", {}, ...pairs([
    ["Fee", `${number(policy.fee_base_msat)} msat + ${number(policy.fee_proportional_millionths)} ppm`],
    ["Amounts", `${number(BigInt(policy.htlc_minimum_msat))} to ${policy.htlc_maximum_msat === null ? "?" : number(BigInt(policy.htlc_maximum_msat))} msat`],
    ["CLTV", `${number(policy.cltv_expiry_delta)} blocks`],
    ["Said", minute(policy.timestamp * 1000)],
    ["State", policy.disabled ? "disabled" : null],
  ]));
}
