/**
 * A channel service on the buses CTL and MSG, in JavaScript: `node service.mjs NODE_MODULES`.
 *
 * One JSON object a line on stdin, one answer a line on stdout: {"ok": {...}} or {"error": "..."}.
 *
 *   {"command": "join", "ctl": "ipc://...", "service": "name"}    -> the welcome's {"channels": [hex]}
 *   {"command": "register", "take", "node_ids", "channels"}       -> {}; ids in hex, channels as [channel_id, node_id]
 *   {"command": "sell", "onion_messages": [type], "context"}      -> {"path": hex} of a blinded path with this context
 *   {"command": "taken"}                                          -> {"conn_id", "node_id"} of the next take_peer
 *   {"command": "said", "conn_id", "count"}                       -> {"types": [..]} once so many messages have come
 *   {"command": "say", "conn_id", "messages": [hex]}              -> {}
 *   {"command": "give_back", "conn_id"}                           -> {} once the node has confirmed it
 *   {"command": "lost", "conn_id"}                                -> {"reason"} once the connection has ended
 *
 * open_channel is answered with an accept_channel, update_fee with the same message, and on every connection of a
 * registered channel channel_reestablish is said first: as a service would that has channels. After `sell` an onion message
 * with a reply path is answered along that, with the text of the question and the context that it came for.
 */
import { EventEmitter, once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";

const VERSION = 1;
const CREDIT = 100;
const OPEN_CHANNEL = 32;
const ACCEPT_CHANNEL = 33;
const UPDATE_FEE = 134;
const CHANNEL_REESTABLISH = 136;

const require = createRequire(path.resolve(process.argv[2], "x.js"));
const zmq = require("zeromq");
const { encode, decode } = require("@msgpack/msgpack");

/** A session on one bus. */
class Session extends EventEmitter {
  constructor(endpoint, address) {
    super();
    this.address = address;
    this.socket = new zmq.Dealer({ linger: 1000 });
    this.socket.connect(endpoint);
    this.sending = Promise.resolve();
    this.held = null; // what is to be said after a restart
  }

  say(type, fields) {
    if (this.held) return void this.held.push([type, fields]);
    return this.send(type, fields);
  }

  /** One message after the other: a Dealer takes no second send before the first is done. */
  send(type, fields) {
    const body = encode({ v: VERSION, type, ...fields });
    this.sending = this.sending.then(() => this.socket.send([this.address, body]));
    return this.sending;
  }

  async ask(type, fields) {
    const id = (this.asked = (this.asked ?? 0) + 1);
    const answered = once(this, `answer ${id}`);
    await this.say(type, { id, ...fields });
    const [answer] = await answered;
    if (answer.type === "error") throw new Error(answer.error);
    return answer;
  }

  async listen(received) {
    for await (const [, body] of this.socket) {
      const message = decode(body);
      if (message.type === "restart") this.restart();
      else if (message.type === "welcome" && this.held) this.goOn();
      else if (message.id !== undefined && message.id !== null) this.emit(`answer ${message.id}`, message);
      else received(message);
    }
  }

  /** Another connectiond takes over: say hello again until it says that we are welcome, and nothing else. */
  restart() {
    const hello = () => this.send("hello", { ...this.hello, resumes: true });
    this.held = [];
    this.again = setInterval(hello, 250);
    hello();
  }

  goOn() {
    clearInterval(this.again);
    const held = this.held;
    this.held = null;
    for (const [type, fields] of held) this.say(type, fields);
  }
}

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const typeOf = (raw) => (raw[0] << 8) | raw[1];

/** A message about a channel: type, channel_id, and zeros where a real one would have more. */
function aboutChannel(type, channelId, more) {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), channelId, Buffer.alloc(more)]);
}

class Peer {
  constructor(taken) {
    this.connId = taken.conn_id;
    this.nodeId = hex(taken.node_id);
    this.credit = taken.credit;
    this.waiting = [];
    this.seqSaid = 0;
    this.seqHeard = 0;
    this.types = [];
    this.lost = null;
  }
}

class Service extends EventEmitter {
  constructor() {
    super();
    this.setMaxListeners(0);
    this.peers = new Map();
    this.arrived = [];
    this.channels = [];
  }

  async join({ ctl, service }) {
    this.ctl = new Session(ctl, "lightningd");
    this.ctl.listen((message) => message.type === "onion_message" && this.answer(message));
    const welcome = await this.ctl.ask("hello", { service });
    this.channels = welcome.channels; // those that were kept for us
    this.msg = new Session(welcome.msg, "connectiond");
    this.msg.listen((message) => this.received(message));
    this.msg.hello = { service, ticket: welcome.ticket, credit: CREDIT };
    await this.msg.ask("hello", this.msg.hello);
    return { channels: this.channels.map(({ channel_id }) => hex(channel_id)) };
  }

  async register({ take = [], node_ids = [], channels = [] }) {
    const bytes = (text) => Buffer.from(text, "hex");
    this.channels = channels.map(([channel_id, node_id]) => ({ channel_id: bytes(channel_id), node_id: bytes(node_id) }));
    await this.ctl.ask("register", { take, node_ids: node_ids.map(bytes), channels: this.channels });
    return {};
  }

  async sell({ onion_messages, context }) {
    await this.ctl.ask("register", { onion_messages });
    const { path } = await this.ctl.ask("make_blinded_path", { context: Buffer.from(context) });
    return { path: hex(path) };
  }

  async answer({ fields: [{ type, value }], reply_path, own_path, context }) {
    if (!reply_path.length) return;
    const text = `${Buffer.from(value)} ${own_path ? Buffer.from(context) : "of no path of ours"}: 100`;
    await this.ctl.ask("send_onion_message", { path: reply_path, fields: [{ type, value: Buffer.from(text) }] });
  }

  received(message) {
    if (message.type === "take_peer") this.take(new Peer(message));
    else if (message.type === "message") this.hear(this.peers.get(message.conn_id), message);
    else if (message.type === "credit") this.renew(this.peers.get(message.conn_id), message.messages);
    else if (message.type === "peer_disconnected") this.peers.get(message.conn_id).lost = message.reason;
    else if (message.type === "peer_given_back") this.peers.get(message.conn_id).lost = "given back";
    else if (message.type === "error") this.peers.get(message.conn_id).lost = `error: ${message.error}`;
    this.emit("change");
  }

  take(peer) {
    this.peers.set(peer.connId, peer);
    this.arrived.push(peer);
    for (const channel of this.channels)
      if (hex(channel.node_id) === peer.nodeId) this.tell(peer, aboutChannel(CHANNEL_REESTABLISH, channel.channel_id, 48));
  }

  hear(peer, { seq, message }) {
    if (seq !== ++peer.seqHeard) throw new Error(`message ${seq} instead of ${peer.seqHeard}`);
    if (seq % (CREDIT / 2) === 0) this.msg.say("credit", { conn_id: peer.connId, messages: CREDIT / 2 });
    const raw = Buffer.from(message);
    const type = typeOf(raw);
    peer.types.push(type);
    if (type === OPEN_CHANNEL) this.tell(peer, aboutChannel(ACCEPT_CHANNEL, raw.subarray(34, 66), 240));
    else if (type === UPDATE_FEE) this.tell(peer, raw);
  }

  /** What there is no credit for waits. */
  tell(peer, message) {
    peer.waiting.push(message);
    this.renew(peer, 0);
  }

  renew(peer, messages) {
    peer.credit += messages;
    while (peer.credit > 0 && peer.waiting.length) {
      peer.credit -= 1;
      this.msg.say("message", { conn_id: peer.connId, seq: ++peer.seqSaid, message: peer.waiting.shift() });
    }
  }

  async until(done) {
    while (!done()) await once(this, "change");
  }

  async taken() {
    await this.until(() => this.arrived.length);
    const peer = this.arrived.shift();
    return { conn_id: peer.connId, node_id: peer.nodeId };
  }

  async said({ conn_id, count }) {
    const peer = this.peers.get(conn_id);
    await this.until(() => peer.types.length >= count || peer.lost !== null);
    return { types: peer.types };
  }

  say({ conn_id, messages }) {
    for (const message of messages) this.tell(this.peers.get(conn_id), Buffer.from(message, "hex"));
    return {};
  }

  async give_back({ conn_id }) {
    const peer = this.peers.get(conn_id);
    await this.until(() => !peer.waiting.length);
    await this.msg.say("give_back", { conn_id });
    await this.until(() => peer.lost !== null);
    if (peer.lost !== "given back") throw new Error(peer.lost);
    return {};
  }

  async lost({ conn_id }) {
    const peer = this.peers.get(conn_id);
    await this.until(() => peer.lost !== null);
    return { reason: peer.lost };
  }
}

const service = new Service();
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...argument } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: await service[command](argument) }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.message ?? error) }));
  }
}
process.exit(0);
