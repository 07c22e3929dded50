/**
 * A ChannelManager without a chain: it opens channels as far as the first answer, and remembers how each has ended.
 */

const FEERATE = 253; // satoshi per 1000 weight, the lowest that LDK takes

export class Channels {
  constructor(ldk, logger, keys, graph) {
    this.ldk = ldk;
    this.closed = [];
    const fees = ldk.FeeEstimator.new_impl({ get_est_sat_per_1000_weight: () => FEERATE });
    const broadcaster = ldk.BroadcasterInterface.new_impl({ broadcast_transactions: () => {} });
    const done = () => ldk.ChannelMonitorUpdateStatus.LDKChannelMonitorUpdateStatus_Completed;
    const monitor = ldk.ChainMonitor.constructor_new(
      ldk.Option_FilterZ.constructor_none(),
      broadcaster,
      logger,
      fees,
      ldk.Persist.new_impl({
        persist_new_channel: done,
        update_persisted_channel: done,
        archive_persisted_channel: () => {},
      }),
    );
    const scorer = ldk.ProbabilisticScorer.constructor_new(
      ldk.ProbabilisticScoringDecayParameters.constructor_default(),
      graph,
      logger,
    );
    const router = ldk.DefaultRouter.constructor_new(
      graph,
      logger,
      keys.as_EntropySource(),
      ldk.MultiThreadedLockableScore.constructor_new(scorer.as_Score()).as_LockableScore(),
      ldk.ProbabilisticScoringFeeParameters.constructor_default(),
    );
    const network = ldk.Network.LDKNetwork_Regtest;
    this.manager = ldk.ChannelManager.constructor_new(
      fees,
      monitor.as_Watch(),
      broadcaster,
      router.as_Router(),
      ldk.DefaultMessageRouter.constructor_new(graph, keys.as_EntropySource()).as_MessageRouter(),
      logger,
      keys.as_EntropySource(),
      keys.as_NodeSigner(),
      keys.as_SignerProvider(),
      ldk.UserConfig.constructor_default(),
      ldk.ChainParameters.constructor_new(network, ldk.BestBlock.constructor_from_network(network)),
      Math.floor(Date.now() / 1000),
    );
    this.handler = ldk.EventHandler.new_impl({ handle_event: (event) => this.happened(event) });
  }

  /** What PeerManager wants of us. */
  messageHandler() {
    return this.manager.as_ChannelMessageHandler();
  }

  tick() {
    this.manager.as_EventsProvider().process_pending_events(this.handler);
  }

  /** Say open_channel. The temporary channel_id in hex. */
  open(nodeId, satoshis) {
    const result = this.manager.create_channel(nodeId, BigInt(satoshis), 0n, 0n, null, null);
    if (!result.is_ok()) throw new Error(`LDK opens no channel: ${JSON.stringify(result.err)}`);
    return Buffer.from(result.res.get_a()).toString("hex");
  }

  happened(event) {
    const { Event_ChannelClosed, ClosureReason_CounterpartyForceClosed, Result_NoneReplayEventZ } = this.ldk;
    if (event instanceof Event_ChannelClosed) {
      const byPeer = event.reason instanceof ClosureReason_CounterpartyForceClosed;
      this.closed.push({
        channel_id: Buffer.from(event.channel_id.get_a()).toString("hex"),
        reason: event.reason.constructor.name,
        peer_message: byPeer ? event.reason.peer_msg.get_a() : null,
      });
    }
    return Result_NoneReplayEventZ.constructor_ok();
  }
}
