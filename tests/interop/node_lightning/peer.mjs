/**
 * A node-lightning peer without channels or chain, for tests: `node peer.mjs NODE_MODULES`.
 *
 * NODE_MODULES is the directory that holds `@node-lightning`. One JSON object a line on stdin, one answer a line on
 * stdout: {"ok": {...}} or {"error": "..."}. The end of stdin ends the program.
 *
 *   {"command": "listen"}                                 -> {"port", "node_id"}
 *   {"command": "accepted"}                               -> INIT of the one who has dialled: {"features", "chains"}
 *   {"command": "connect", "node_id", "host", "port", "without": [feature bits]}
 *                                                         -> the other's INIT, and our "node_id"
 *   {"command": "disconnect"}                             -> {}
 *   {"command": "ping", "pong_bytes", "ignored"}          -> {"ignored": bytes in the pong}
 *   {"command": "filter", "first", "range"}               -> {}
 *   {"command": "wait", "channels", "updates", "nodes"}   -> counts, once there are so many
 *   {"command": "query_range"}                            -> {"replies", "scids", "checksums": [[c, c]], "timestamps"}
 *   {"command": "query_scids", "scids", "zlib": false}    -> {"complete"}, or {"warning"} if that is the answer
 *   {"command": "end"}                                    -> the same: another end of an answer, or a warning
 *   {"command": "checksums"}                              -> {scid: [c, c]}, computed from the updates heard
 *   {"command": "send", "messages": [hex]}                -> {}
 *   {"command": "keep", "messages": [hex]}                -> counts: from now on it has a graph, with these in it; it
 *                                                           answers a gossip_timestamp_filter with all of it
 *   {"command": "relay"}                                  -> {}: what is new in the graph goes to all peers
 *   {"command": "timestamp", "scid", "direction"}         -> {"timestamp"} of an update in the graph
 */
import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import { Heard } from "./gossip.mjs";
import { Graph } from "./graph.mjs";

const REGTEST = Buffer.from("06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f", "hex");
const FEATURES = [1, 7, 9, 11, 13, 15]; // optional: data_loss_protect, gossip_queries, var_onion, gossip_queries_ex, ...
const RAW = 0;
const ZLIB = 1;
const WARNING = 1;
const FILTER = 265;
const HOST = "127.0.0.1";
const PATIENCE_MS = 120_000;

function load(modules) {
  const require = createRequire(path.resolve(modules, "x.js"));
  return {
    core: require("@node-lightning/core"),
    logger: new (require("@node-lightning/logger").Logger)("peer"), // without a transport it says nothing
    noise: require("@node-lightning/noise"),
    wire: require("@node-lightning/wire"),
    crc32c: require("@node-lightning/checksum").crc32c,
    crypto: require("@node-lightning/crypto"),
  };
}

class Program {
  constructor(library) {
    this.library = library;
    this.secret = randomBytes(32);
    this.heard = new Heard(library); // or, from `keep` on, a Graph
    this.graph = null;
    this.events = new EventEmitter(); // "change" after each message, "ended" with a reason
    this.queue = []; // answers that are no gossip: {message} or {warning}
    this.peer = null;
    this.ready = null;
  }

  nodeId() {
    return this.library.crypto.getPublicKey(this.secret, true).toString("hex");
  }

  /** A new Peer with our INIT, which lacks some of FEATURES; `ready` follows the other's. */
  newPeer(without = []) {
    const { core, wire, logger } = this.library;
    const features = new core.BitField();
    for (const bit of FEATURES) if (!without.includes(bit)) features.set(bit);
    const peer = new wire.Peer(this.secret, features, [REGTEST], logger);
    this.peer = peer;
    this.ready = once(peer, "ready");
    this.ready.catch(() => {}); // whoever awaits it hears of it
    peer.on("error", (error) => this.events.emit("ended", error));
    peer.on("ready", () => this.graph?.relay.addPeer(peer));
    peer.on("close", () => this.graph?.relay.removePeer(peer));
    peer.on("rawmessage", (raw) => this.take(raw, peer));
    peer.resume(); // what it has read itself is not needed
    return peer;
  }

  /** The library knows no `warning`; all else is read by its own classes. */
  take(raw, peer) {
    const type = raw.readUInt16BE(0);
    if (type === WARNING) {
      this.queue.push({ warning: raw.subarray(36).toString() });
    } else {
      const message = this.library.wire.MessageFactory.deserialize(raw);
      if (type >= 256 && type <= 258) this.heard.take(message, raw);
      else if (type === FILTER && this.graph && message.timestampRange > 0) this.graph.serve(peer);
      else this.queue.push({ message });
    }
    this.events.emit("change");
  }

  /** What `find` answers as soon as it is something; rejects when the connection fails or nothing comes in time. */
  until(find) {
    const found = find();
    if (found) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const done = (finish, value) => {
        clearTimeout(timer);
        this.events.off("change", look);
        this.events.off("ended", ended);
        finish(value);
      };
      const look = () => {
        const value = find();
        if (value) done(resolve, value);
      };
      const ended = (error) => done(reject, error);
      const timer = setTimeout(() => ended(new Error(`nothing: ${JSON.stringify(this.heard.counts())}`)), PATIENCE_MS);
      this.events.on("change", look);
      this.events.on("ended", ended);
    });
  }

  /** The first of the queue that is wanted, taken out of it. */
  next(wanted) {
    return this.until(() => {
      const at = this.queue.findIndex(wanted);
      return at >= 0 && this.queue.splice(at, 1)[0];
    });
  }

  /** The next message of this class, or a warning, if one comes first. */
  reply(kind) {
    return this.next(({ message, warning }) => warning !== undefined || message instanceof kind);
  }

  async init() {
    await this.ready;
    const chains = this.peer.remoteChains.map((chain) => chain.toString("hex"));
    return { features: this.peer.remoteFeatures.flags(), chains, node_id: this.nodeId() };
  }

  async listen() {
    const server = this.library.noise.createServer({ ls: this.secret }, (socket) => this.newPeer().attach(socket));
    server.listen({ host: HOST, port: 0 });
    await once(server, "listening");
    return { port: server.address().port, node_id: this.nodeId() };
  }

  async accepted() {
    await this.until(() => this.peer); // the test dials before it asks
    return this.init();
  }

  async connect({ node_id, host, port, without }) {
    this.newPeer(without).connect(Buffer.from(node_id, "hex"), host, port);
    return this.init();
  }

  async disconnect() {
    const closed = once(this.peer, "close");
    this.peer.disconnect();
    await closed;
    return {};
  }

  async ping({ pong_bytes, ignored }) {
    const body = Buffer.alloc(6 + ignored);
    body.writeUInt16BE(this.library.wire.MessageType.Ping, 0);
    body.writeUInt16BE(pong_bytes, 2);
    body.writeUInt16BE(ignored, 4);
    this.peer.send(body);
    const pong = await this.next(({ message }) => message?.type === this.library.wire.MessageType.Pong);
    return { ignored: pong.message.ignored.length };
  }

  filter({ first, range }) {
    const message = new this.library.wire.GossipTimestampFilterMessage();
    Object.assign(message, { chainHash: REGTEST, firstTimestamp: first, timestampRange: range });
    this.peer.sendMessage(message);
    return {};
  }

  async wait(wanted) {
    return this.until(() => {
      const counts = this.heard.counts();
      return Object.entries(wanted).every(([name, count]) => counts[name] >= count) && counts;
    });
  }

  async query_range() {
    const { wire } = this.library;
    const query = new wire.QueryChannelRangeMessage();
    Object.assign(query, { chainHash: REGTEST, firstBlocknum: 0, numberOfBlocks: 0xffffffff });
    Object.assign(query, { timestamps: true, checksums: true });
    this.peer.sendMessage(query);
    const all = { replies: 0, scids: [], checksums: [], timestamps: [] };
    for (;;) {
      const { message, warning } = await this.reply(wire.ReplyChannelRangeMessage);
      if (warning !== undefined) return { warning };
      all.replies += 1;
      all.scids.push(...message.shortChannelIds.map(String));
      all.checksums.push(...message.checksums);
      all.timestamps.push(...message.timestamps);
      if (message.fullInformation) return all;
    }
  }

  async query_scids({ scids, zlib }) {
    const { core, wire } = this.library;
    const query = new wire.QueryShortChannelIdsMessage();
    query.chainHash = REGTEST;
    query.shortChannelIds = scids.map(core.shortChannelIdFromString);
    this.peer.send(query.serialize(zlib ? ZLIB : RAW));
    return this.end();
  }

  async end() {
    const { message, warning } = await this.reply(this.library.wire.ReplyShortChannelIdsEndMessage);
    return warning === undefined ? { complete: message.complete } : { warning };
  }

  checksums() {
    return this.heard.checksums();
  }

  send({ messages }) {
    for (const hex of messages) this.peer.send(Buffer.from(hex, "hex"));
    return {};
  }

  async keep({ messages }) {
    this.heard = this.graph = new Graph(this.library, () => this.events.emit("change"));
    for (const hex of messages) this.graph.take(this.library.wire.MessageFactory.deserialize(Buffer.from(hex, "hex")));
    await this.graph.last;
    return this.graph.counts();
  }

  relay() {
    this.graph.relay.start();
    return {};
  }

  async timestamp({ scid, direction }) {
    return { timestamp: await this.graph.timestamp(scid, direction) };
  }
}

const COMMANDS = [
  ...["listen", "accepted", "connect", "disconnect", "ping", "filter", "wait"],
  ...["query_range", "query_scids", "end", "checksums", "send"],
  ...["keep", "relay", "timestamp"],
];

async function answer(program, line) {
  const { command, ...fields } = JSON.parse(line);
  try {
    if (!COMMANDS.includes(command)) throw new Error(`no command ${command}`);
    return { ok: await program[command](fields) };
  } catch (error) {
    return { error: String(error?.stack ?? error) };
  }
}

const program = new Program(load(process.argv[2]));
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => process.stdout.write(JSON.stringify(await answer(program, line)) + "\n"));
lines.on("close", () => process.exit(0));
