/**
 * LDK's network graph: raw gossip messages in, counts out.
 */

/** Each kind of message: LDK's class that reads it (after the 2 bytes of type) and the graph's method that takes it. */
const KINDS = {
  256: {
    name: "channel_announcement",
    reader: "ChannelAnnouncement",
    take: (graph, message, ldk) =>
      graph.update_channel_from_announcement(message, ldk.Option_UtxoLookupZ.constructor_none()),
  },
  257: {
    name: "node_announcement",
    reader: "NodeAnnouncement",
    take: (graph, message) => graph.update_node_from_announcement(message),
  },
  258: {
    name: "channel_update",
    reader: "ChannelUpdate",
    take: (graph, message) => graph.update_channel(message),
  },
};

/**
 * Gives one signed message (hex, with its type) to the graph, which checks its signatures and keeps the bytes for its
 * peers. Peers that have already been served hear nothing of it. Throws if LDK refuses it.
 */
export function addMessage(ldk, graph, hex) {
  const raw = Uint8Array.from(Buffer.from(hex, "hex"));
  const kind = KINDS[(raw[0] << 8) | raw[1]];
  if (!kind) throw new Error(`no gossip message: ${hex.slice(0, 4)}`);
  const message = ldk[kind.reader].constructor_read(raw.subarray(2));
  if (!message.is_ok()) throw new Error(`${kind.name}: LDK cannot read it`);
  const result = kind.take(graph, message.res, ldk);
  if (!result.is_ok()) throw new Error(`${kind.name}: ${result.err.get_err()}`);
}

/** Counts of the graph: channels, nodes that have channels, updates (two a channel), node announcements. */
export function counts(ldk, graph) {
  const view = graph.read_only();
  try {
    const scids = [...view.list_channels()];
    const ids = view.list_nodes();
    const updates = scids.reduce((sum, scid) => sum + directions(view.channel(scid)), 0);
    const announced = ids.filter((id) => isAnnounced(ldk, view.node(id))).length;
    return { channels: scids.length, nodes: ids.length, updates, announced_nodes: announced };
  } finally {
    view.free(); // it holds the graph's lock
  }
}

/** The channels' ids, as decimal numbers in text (u64 does not fit a JavaScript number). */
export function listChannels(graph) {
  const view = graph.read_only();
  try {
    return Array.from(view.list_channels(), String); // a BigUint64Array: its own map() makes no strings
  } finally {
    view.free();
  }
}

/** The timestamp of one direction's update; null if there is none. */
export function timestamp(graph, scid, direction) {
  const view = graph.read_only();
  try {
    const channel = view.channel(scid);
    const update = isSet(channel) && (direction === 0 ? channel.get_one_to_two() : channel.get_two_to_one());
    return isSet(update) ? update.get_last_update() : null;
  } finally {
    view.free();
  }
}

/**
 * Takes a rapid gossip sync snapshot into the graph, as a client does that read it from a server at the time `now`
 * (seconds); returns what the client will ask with the next time. Throws if LDK refuses it.
 */
export function applySnapshot(ldk, graph, logger, bytes, now) {
  const sync = ldk.RapidGossipSync.constructor_new(graph, logger);
  const result = sync.update_network_graph_no_std(bytes, ldk.Option_u64Z.constructor_some(BigInt(now)));
  if (!result.is_ok()) throw new Error(`LDK refuses the snapshot: ${JSON.stringify(result.err)}`);
  return result.res;
}

/** All that is said of each channel: scid -> the six values of both directions, null for a direction that is not there. */
export function wholeGraph(graph) {
  const view = graph.read_only();
  try {
    const scids = [...view.list_channels()];
    return Object.fromEntries(
      scids.map((scid) => {
        const channel = view.channel(scid);
        return [String(scid), [channel.get_one_to_two(), channel.get_two_to_one()].map(policy)];
      }),
    );
  } finally {
    view.free();
  }
}

/** How many addresses each announced node has. */
export function addressCounts(ldk, graph) {
  const view = graph.read_only();
  try {
    const found = {};
    for (const id of view.list_nodes()) {
      const info = view.node(id).get_announcement_info();
      if (info instanceof ldk.Option_NodeAnnouncementInfoZ_Some)
        found[Buffer.from(id.as_slice()).toString("hex")] = info.some.addresses().length;
    }
    return found;
  } finally {
    view.free();
  }
}

function policy(update) {
  if (!isSet(update)) return null;
  const fees = update.get_fees();
  return [
    update.get_cltv_expiry_delta(),
    String(update.get_htlc_minimum_msat()),
    fees.get_base_msat(),
    fees.get_proportional_millionths(),
    String(update.get_htlc_maximum_msat()),
    !update.get_enabled(),
  ];
}

function directions(channel) {
  return Number(isSet(channel.get_one_to_two())) + Number(isSet(channel.get_two_to_one()));
}

function isSet(object) {
  return Boolean(object) && object.ptr !== 0n;
}

function isAnnounced(ldk, node) {
  return node.get_announcement_info() instanceof ldk.Option_NodeAnnouncementInfoZ_Some;
}
