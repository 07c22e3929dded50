/**
 * An LDK node without chain, for tests: `node peer.mjs NODE_MODULES [channels] [onions]`; without channels and onion
 * messages, if not asked for.
 *
 * NODE_MODULES is the directory that holds `lightningdevkit`. One JSON object a line on stdin, one answer a line on
 * stdout with the same "id": {"id": 1, "ok": {...}} or {"id": 1, "error": "..."}. LDK's log goes to stderr.
 * End of stdin ends the program, so that it never outlives its test.
 *
 *   {"command": "listen", "port": 0}                    -> {"port", "node_id"}
 *   {"command": "connect", "node_id", "host", "port"}   -> {}            TCP is up; wait for the peer with `wait`
 *   {"command": "disconnect", "node_id"}                -> {}
 *   {"command": "status"}                               -> {"node_id", "peers": [ids, after INIT], "channels", "nodes",
 *                                                           "updates", "announced_nodes"}
 *   {"command": "open_channel", "node_id", "satoshis"}  -> {"channel_id"}   the temporary one; only with `channels`
 *   {"command": "closed_channels"}                      -> {"closed": [{"channel_id", "reason", "peer_message"}]}
 *   {"command": "tick"}                                 -> {}            LDK's timer: a ping, and who lacks pongs goes
 *   {"command": "wait", "peers": 1, "channels": 1000, "seconds": 240}
 *                                                       -> status, once it has exactly the counts named; else an error
 *   {"command": "list_channels"}                        -> {"channels": ["scid as decimal number"]}
 *   {"command": "add_gossip", "messages": [hex]}        -> {"added", "refused": ["reason"]}
 *   {"command": "timestamp", "scid": "decimal number", "direction": 0}
 *                                                       -> {"timestamp"} of an update in the graph, null without it
 *   {"command": "apply_snapshot", "path", "now"}        -> {"timestamp"}   rapid gossip sync, from a file
 *   {"command": "whole_graph"}                          -> {"channels": {scid: [values of both directions]}}
 *   {"command": "address_counts"}                       -> {"nodes": {node_id: addresses}}
 *   {"command": "onion_path", "via": node_id, "scid": decimal or null, "context": text}
 *                                                       -> {"path": hex}   to us, with this introduction node
 *   {"command": "send_onion", "text", "via": [ids], "node_id" or "path", "reply_path": hex or null}
 *                                                       -> {}            "?x" is answered with "!x"
 *   {"command": "onions"}                               -> {"heard": [{"text", "context"}]}   `wait` has their count
 *   {"command": "quit"}                                 -> {}
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { Channels } from "./channels.mjs";
import { addMessage, addressCounts, applySnapshot, counts, listChannels, timestamp, wholeGraph } from "./gossip.mjs";
import { Onions } from "./onions.mjs";
import { Sockets } from "./sockets.mjs";

const PROCESS_EVENTS_MS = 100;
const TIMER_TICK_MS = 10_000; // LDK's advice: pings go out and silent peers are dropped on each tick
const LOG_FROM = Number(process.env.LDK_LOG_LEVEL ?? 2); // of LDK's Level: 0 gossip, 1 trace, 2 debug, 3 info, 4 warn

console.log = console.error; // the bindings print panics with it, and stdout is for answers

async function loadLdk(modules) {
  const home = path.resolve(modules, "lightningdevkit");
  const ldk = await import(pathToFileURL(path.join(home, "index.mjs")));
  await ldk.initializeWasmFromBinary(readFileSync(path.join(home, "liblightningjs.wasm")));
  return ldk;
}

/**
 * The node: a PeerManager whose gossip goes into a graph and comes out of it. Channel messages get an error, or are
 * those of a ChannelManager if it is to have one.
 */
class Peer {
  constructor(ldk, hasChannels, hasOnions) {
    const now = Date.now();
    this.ldk = ldk;
    const logger = ldk.Logger.new_impl({ log });
    const keys = ldk.KeysManager.constructor_new(randomBytes(32), BigInt(Math.floor(now / 1000)), (now % 1000) * 1e6);
    this.logger = logger;
    this.signer = keys.as_NodeSigner();
    this.graph = ldk.NetworkGraph.constructor_new(ldk.Network.LDKNetwork_Regtest, logger);
    const gossip = ldk.P2PGossipSync.constructor_new(this.graph, ldk.Option_UtxoLookupZ.constructor_none(), logger);
    const ignoring = ldk.IgnoringMessageHandler.constructor_new();
    this.onions = hasOnions ? new Onions(ldk, logger, keys) : null;
    this.channels = hasChannels ? new Channels(ldk, logger, keys, this.graph) : null;
    this.manager = ldk.PeerManager.constructor_new(
      this.channels?.messageHandler() ?? ldk.ErroringMessageHandler.constructor_new().as_ChannelMessageHandler(),
      gossip.as_RoutingMessageHandler(),
      this.onions?.messageHandler() ?? ignoring.as_OnionMessageHandler(),
      ignoring.as_CustomMessageHandler(),
      Math.floor(now / 1000),
      randomBytes(32),
      logger,
      this.signer,
    );
    this.sockets = new Sockets(ldk, this.manager);
    this.waiting = new Set();
    setInterval(() => this.tick(), PROCESS_EVENTS_MS);
    setInterval(() => this.manager.timer_tick_occurred(), TIMER_TICK_MS);
  }

  nodeId() {
    return toHex(this.signer.get_node_id(this.ldk.Recipient.LDKRecipient_Node).res);
  }

  tick() {
    this.manager.process_events();
    this.channels?.tick();
    if (this.waiting.size === 0) return;
    const status = this.status();
    for (const check of [...this.waiting]) check(status);
  }

  status() {
    const peers = this.manager.list_peers().map((peer) => toHex(peer.get_counterparty_node_id()));
    const closed_channels = this.channels?.closed.length ?? 0;
    const onions = this.onions?.heard.length ?? 0;
    return { node_id: this.nodeId(), peers, closed_channels, onions, ...counts(this.ldk, this.graph) };
  }

  /** The status once it has exactly the counts wanted; throws with what it has when the seconds are over. */
  reached(wanted, seconds) {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + seconds * 1000;
      const check = (status) => {
        const have = { ...status, peers: status.peers.length };
        const missing = Object.keys(wanted).some((name) => have[name] !== wanted[name]);
        if (missing && Date.now() < deadline) return;
        this.waiting.delete(check);
        if (missing) reject(new Error(`after ${seconds} s: ${JSON.stringify(status)}`));
        else resolve(status);
      };
      this.waiting.add(check);
      check(this.status());
    });
  }

  addGossip(messages) {
    const refused = [];
    for (const hex of messages) {
      try {
        addMessage(this.ldk, this.graph, hex);
      } catch (error) {
        refused.push(error.message);
      }
    }
    return { added: messages.length - refused.length, refused };
  }
}

const COMMANDS = {
  listen: async (peer, { port }) => ({ port: await peer.sockets.listen(port ?? 0), node_id: peer.nodeId() }),
  connect: async (peer, { node_id, host, port }) => {
    await peer.sockets.connect(host, port, fromHex(node_id));
    return {};
  },
  disconnect: (peer, { node_id }) => {
    peer.manager.disconnect_by_node_id(fromHex(node_id));
    return {};
  },
  status: (peer) => peer.status(),
  open_channel: (peer, { node_id, satoshis }) => {
    const channel_id = peer.channels.open(fromHex(node_id), satoshis);
    peer.tick();
    return { channel_id };
  },
  tick: (peer) => {
    peer.manager.timer_tick_occurred();
    return {};
  },
  closed_channels: (peer) => ({ closed: peer.channels.closed }),
  wait: (peer, { seconds = 240, ...wanted }) => peer.reached(wanted, seconds),
  list_channels: (peer) => ({ channels: listChannels(peer.graph) }),
  add_gossip: (peer, { messages }) => peer.addGossip(messages),
  timestamp: (peer, { scid, direction }) => ({ timestamp: timestamp(peer.graph, BigInt(scid), direction) }),
  apply_snapshot: (peer, { path, now }) => ({
    timestamp: applySnapshot(peer.ldk, peer.graph, peer.logger, new Uint8Array(readFileSync(path)), now),
  }),
  whole_graph: (peer) => ({ channels: wholeGraph(peer.graph) }),
  address_counts: (peer) => ({ nodes: addressCounts(peer.ldk, peer.graph) }),
  onion_path: (peer, { via, scid, context }) => {
    const path = peer.onions.path(fromHex(via), scid, context, fromHex(peer.nodeId()));
    return { path: toHex(path) };
  },
  send_onion: (peer, { text, via, node_id, path, reply_path }) => {
    const [node, along, reply] = [node_id, path, reply_path].map((hex) => hex && fromHex(hex));
    peer.onions.send({ node, path: along, via: via.map(fromHex), text, reply });
    peer.manager.process_events();
    return {};
  },
  onions: (peer) => ({ heard: peer.onions.heard }),
  quit: (peer) => {
    peer.sockets.close();
    return {};
  },
};

async function answer(peer, line) {
  const { id, command, ...fields } = JSON.parse(line);
  try {
    if (!(command in COMMANDS)) throw new Error(`no command ${command}`);
    say({ id, ok: await COMMANDS[command](peer, fields) });
  } catch (error) {
    say({ id, error: error.message });
  }
  if (command === "quit") process.exit(0);
}

function say(object) {
  process.stdout.write(JSON.stringify(object) + "\n");
}

function log(record) {
  if (record.get_level() < LOG_FROM) return;
  process.stderr.write(`${record.get_module_path()}:${record.get_line()} ${record.get_args()}\n`);
}

function toHex(bytes) {
  return Buffer.from(bytes).toString("hex");
}

function fromHex(text) {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

const words = process.argv.slice(3);
const peer = new Peer(await loadLdk(process.argv[2]), words.includes("channels"), words.includes("onions"));
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => answer(peer, line));
lines.on("close", () => process.exit(0));
