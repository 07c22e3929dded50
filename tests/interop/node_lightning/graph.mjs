/**
 * node-lightning's own map of the network, put together as its GossipManager does it: its GossipFilter checks each
 * message, its GossipMemoryStore keeps it, its GossipRelay tells its peers.
 *
 * The GossipManager itself cannot be used as it is: it compresses its queries with zlib, which BOLT 7 has withdrawn, and
 * relays nothing before they are answered.
 */

const RELAY_MS = 100;
const RELAY_QUEUE = 2000; // as its GossipManager has it

export class Graph {
  /** `changed` is called after each message that was looked at. */
  constructor({ wire, logger, core }, changed) {
    const pending = new wire.GossipMemoryStore();
    this.core = core;
    this.changed = changed;
    this.store = new wire.GossipMemoryStore();
    this.filter = new wire.GossipFilter(this.store, pending);
    this.manager = new wire.GossipManager(logger, this.store, pending); // for `allMessages` alone
    this.relay = new wire.GossipRelay(logger, RELAY_MS, RELAY_QUEUE);
    this.wrong = []; // what its filter refused
    this.last = Promise.resolve(); // it looks at one message after the other
  }

  /** Takes one message. The relay drops it as long as it has not been started. */
  take(message) {
    this.last = this.last.then(() => this.look(message));
    return this.last;
  }

  async look(message) {
    const result = await this.filter.validateMessage(message);
    if (result.isErr) this.wrong.push(String(result.error));
    else for (const good of result.value) this.relay.enqueue(good);
    this.changed();
  }

  counts() {
    const { channelAnnouncementCount, channelUpdateCount, nodeAnnouncementCount } = this.store;
    const [channels, updates, nodes] = [channelAnnouncementCount, channelUpdateCount, nodeAnnouncementCount];
    return { channels, updates, nodes, wrong: this.wrong };
  }

  /** The timestamp of an update, null if there is none. */
  async timestamp(scid, direction) {
    const update = await this.store.findChannelUpdate(this.core.shortChannelIdFromString(scid), direction);
    return update?.timestamp ?? null;
  }

  /** All that it holds, each message written by its own class. */
  async serve(peer) {
    for await (const message of this.manager.allMessages()) peer.sendMessage(message);
  }
}
