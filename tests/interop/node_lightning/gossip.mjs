/**
 * What node-lightning has heard of the map: each message read by its own classes, its signatures checked by its own
 * curve, and counted once.
 */

export class Heard {
  constructor(library) {
    this.library = library;
    this.channels = new Map(); // scid -> channel_announcement
    this.updates = new Map(); // scid and direction -> raw channel_update
    this.nodes = new Set(); // node ids with an announcement
    this.wrong = []; // what came without a channel, or with a bad signature
  }

  /** Counts of what is good, and what is not. */
  counts() {
    return { channels: this.channels.size, updates: this.updates.size, nodes: this.nodes.size, wrong: this.wrong };
  }

  /** Takes one message; what is no announcement and no update is left alone. */
  take(message, raw) {
    const { wire } = this.library;
    if (message instanceof wire.ChannelAnnouncementMessage) this.takeChannel(message, raw);
    else if (message instanceof wire.ChannelUpdateMessage) this.takeUpdate(message, raw);
    else if (message instanceof wire.NodeAnnouncementMessage) this.takeNode(message, raw);
  }

  takeChannel(message, raw) {
    const scid = message.shortChannelId.toString();
    const signers = [
      [message.nodeSignature1, message.nodeId1],
      [message.nodeSignature2, message.nodeId2],
      [message.bitcoinSignature1, message.bitcoinKey1],
      [message.bitcoinSignature2, message.bitcoinKey2],
    ];
    const good = signers.every(([signature, key]) => this.signed(raw.subarray(258), signature, key));
    if (good) this.channels.set(scid, message);
    else this.wrong.push(`channel_announcement ${scid}`);
  }

  takeUpdate(message, raw) {
    const name = `${message.shortChannelId}/${message.direction}`;
    const channel = this.channels.get(message.shortChannelId.toString());
    const signer = channel && (message.direction === 0 ? channel.nodeId1 : channel.nodeId2);
    if (signer && this.signed(raw.subarray(66), message.signature, signer)) this.updates.set(name, raw);
    else this.wrong.push(`channel_update ${name}`);
  }

  takeNode(message, raw) {
    const id = message.nodeId.toString("hex");
    if (this.signed(raw.subarray(66), message.signature, message.nodeId)) this.nodes.add(id);
    else this.wrong.push(`node_announcement ${id}`);
  }

  /**
   * By node-lightning's hash and curve, over the bytes as they came: its own verifySignatures() writes the message anew,
   * and knows no addresses of type 5 (host names).
   */
  signed(bytes, signature, key) {
    const { crypto } = this.library;
    return crypto.verifySig(crypto.hash256(bytes), signature, key);
  }

  /**
   * {scid: [checksum, checksum]} of the updates, BOLT 7's checksum with node-lightning's CRC-32C; 0 where there is none.
   * Its ChannelUpdateMessage.checksum() includes the message's type, which is not BOLT 7's.
   */
  checksums() {
    const of = (raw) => (raw ? this.library.crc32c(Buffer.concat([raw.subarray(66, 106), raw.subarray(110)])) : 0);
    const pairs = [...this.channels.keys()].map((scid) => [
      scid,
      [of(this.updates.get(`${scid}/0`)), of(this.updates.get(`${scid}/1`))],
    ]);
    return Object.fromEntries(pairs);
  }
}
