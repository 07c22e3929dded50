/**
 * lnmessage, which browsers use to reach Lightning nodes, as a peer for tests: `node peer.mjs NODE_MODULES`.
 *
 * One JSON object a line on stdin, one answer a line on stdout: {"ok": {...}} or {"error": "..."}. The end of stdin
 * ends the program.
 *
 *   {"command": "connect", "node_id", "port"}    -> {"connected", "node_id": our own}
 *   {"command": "send", "messages": [hex]}       -> {}
 *   {"command": "hear", "number", "count": 1}    -> {"messages": [hex]}: the next of this type
 *   {"command": "disconnect"}                    -> {}, when the WebSocket is closed
 *   {"command": "closed"}                        -> {}, when the other side has closed it
 */
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const PATIENCE_MS = 120_000;
const entry = path.resolve(process.argv[2], "lnmessage/dist/index.js");
const { default: LnMessage } = await import(pathToFileURL(entry).href);

/** lnmessage leaves the 16 bytes of the MAC, now without meaning, behind each message. */
const withoutMac = (message) => Buffer.from(message).subarray(0, -16);

class Program {
  constructor() {
    this.heard = [];
    this.wakes = [];
    this.status = "disconnected";
  }

  async connect({ node_id, port }) {
    this.peer = new LnMessage({ remoteNodePublicKey: node_id, wsProtocol: "ws:", ip: "127.0.0.1", port });
    this.peer.decryptedMsgs$.subscribe((message) => this.wake(() => this.heard.push(withoutMac(message))));
    this.peer.connectionStatus$.subscribe((status) => this.wake(() => (this.status = status)));
    return { connected: await this.peer.connect(false), node_id: this.peer.publicKey };
  }

  wake(change) {
    change();
    for (const wake of this.wakes.splice(0)) wake();
  }

  /** Until `done` holds; it is asked again after each message and each change of the connection. */
  async until(done) {
    const late = setTimeout(() => this.wake(() => (this.late = true)), PATIENCE_MS);
    while (!done()) {
      if (this.late) throw new Error("waited in vain");
      await new Promise((resolve) => this.wakes.push(resolve));
    }
    clearTimeout(late);
  }

  send({ messages }) {
    for (const hex of messages) this.peer.socket.send(this.peer.noise.encryptMessage(this.peer.Buffer.from(hex, "hex")));
    return {};
  }

  async hear({ number, count = 1 }) {
    const wanted = () => this.heard.filter((message) => message.readUInt16BE(0) === number);
    await this.until(() => wanted().length >= count);
    const messages = wanted().slice(0, count);
    this.heard = this.heard.filter((message) => !messages.includes(message));
    return { messages: messages.map((message) => message.toString("hex")) };
  }

  async disconnect() {
    this.peer.disconnect();
    return this.closed();
  }

  async closed() {
    await this.until(() => this.status === "disconnected");
    return {};
  }
}

const COMMANDS = ["connect", "send", "hear", "disconnect", "closed"];

async function answer(program, line) {
  const { command, ...fields } = JSON.parse(line);
  try {
    if (!COMMANDS.includes(command)) throw new Error(`no command ${command}`);
    return { ok: await program[command](fields) };
  } catch (error) {
    return { error: String(error?.stack ?? error) };
  }
}

const program = new Program();
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => process.stdout.write(JSON.stringify(await answer(program, line)) + "\n"));
lines.on("close", () => process.exit(0));
