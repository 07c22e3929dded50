/**
 * LDK's OnionMessenger with custom messages of one type. A text that begins with "?" is answered, if it may be.
 */
const TYPE = 4243n; // odd, and no BOLT's

export class Onions {
  constructor(ldk, logger, keys) {
    this.ldk = ldk;
    this.keys = keys;
    this.heard = [];
    this.via = []; // nodes on the way of what is sent next
    const ignoring = ldk.IgnoringMessageHandler.constructor_new();
    this.messenger = ldk.OnionMessenger.constructor_new(
      keys.as_EntropySource(),
      keys.as_NodeSigner(),
      logger,
      ldk.EmptyNodeIdLookUp.constructor_new().as_NodeIdLookUp(),
      this.router(),
      ignoring.as_OffersMessageHandler(),
      ignoring.as_AsyncPaymentsMessageHandler(),
      ignoring.as_DNSResolverMessageHandler(),
      ldk.CustomOnionMessageHandler.new_impl({
        handle_custom_message: (message, context, responder) => this.hear(message, context, responder),
        read_custom_message: (type, buffer) => this.read(type, buffer),
        release_pending_custom_messages: () => [],
      }),
    );
  }

  /** What PeerManager wants of us. */
  messageHandler() {
    return this.messenger.as_OnionMessageHandler();
  }

  router() {
    const { ldk } = this;
    const { MessageRouter, OnionMessagePath, Option_CVec_SocketAddressZZ, Result_OnionMessagePathNoneZ } = ldk;
    const none = () => ldk.Result_CVec_BlindedMessagePathZNoneZ.constructor_err();
    return MessageRouter.new_impl({
      find_path: (sender, peers, destination) =>
        Result_OnionMessagePathNoneZ.constructor_ok(
          OnionMessagePath.constructor_new(this.via, destination, Option_CVec_SocketAddressZZ.constructor_none()),
        ),
      create_blinded_paths: none,
      create_compact_blinded_paths: none,
    });
  }

  contents(type, text) {
    return this.ldk.OnionMessageContents.new_impl({
      tlv_type: () => type,
      msg_type: () => "text",
      write: () => new Uint8Array(text),
      debug_str: () => "text",
    });
  }

  read(type, buffer) {
    const { Option_OnionMessageContentsZ: Found, Result_COption_OnionMessageContentsZDecodeErrorZ: Result } = this.ldk;
    const known = type === TYPE;
    return Result.constructor_ok(known ? Found.constructor_some(this.contents(type, buffer)) : Found.constructor_none());
  }

  hear(message, context, responder) {
    const { ldk } = this;
    const text = Buffer.from(message.write()).toString();
    const known = context instanceof ldk.Option_CVec_u8ZZ_Some ? Buffer.from(context.some).toString() : null;
    this.heard.push({ text, context: known });
    const Answer = ldk.Option_C2Tuple_OnionMessageContentsResponseInstructionZZ;
    if (!responder || !text.startsWith("?")) return Answer.constructor_none();
    this.via = [];
    const answer = this.contents(TYPE, Buffer.from(`!${text.slice(1)}`));
    return Answer.constructor_some(
      ldk.TwoTuple_OnionMessageContentsResponseInstructionZ.constructor_new(answer, responder.respond()),
    );
  }

  /** A blinded path to us with `via` as its introduction node, which finds us by this channel, if there is one. */
  path(via, scid, context, recipient) {
    const { ldk } = this;
    const channel = scid === null ? ldk.Option_u64Z.constructor_none() : ldk.Option_u64Z.constructor_some(BigInt(scid));
    const made = ldk.BlindedMessagePath.constructor_new(
      [ldk.MessageForwardNode.constructor_new(via, channel)],
      recipient,
      ldk.MessageContext.constructor_custom(new Uint8Array(Buffer.from(context))),
      this.keys.as_EntropySource(),
    );
    if (!made.is_ok()) throw new Error("LDK makes no blinded path");
    return made.res.write();
  }

  /** Send a text to a node or along a path, by way of these nodes. */
  send({ node, path, via, text, reply }) {
    const { ldk } = this;
    this.via = via;
    const to = path ? ldk.Destination.constructor_blinded_path(this.readPath(path)) : ldk.Destination.constructor_node(node);
    const how = reply
      ? ldk.MessageSendInstructions.constructor_with_specified_reply_path(to, this.readPath(reply))
      : ldk.MessageSendInstructions.constructor_without_reply_path(to);
    const sent = this.messenger.send_onion_message(this.contents(TYPE, Buffer.from(text)), how);
    if (!sent.is_ok()) throw new Error(`LDK sends no onion message: ${sent.err?.constructor.name}`);
  }

  readPath(bytes) {
    const read = this.ldk.BlindedMessagePath.constructor_read(bytes);
    if (!read.is_ok()) throw new Error("LDK cannot read the blinded path");
    return read.res;
  }
}
