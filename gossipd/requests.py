"""What gossipd does about each message of the master's, and of connectd's over the link."""

from gossipd import metrics, report
from gossipd.feed import say_peer
from gossipd.gossipd import Gossipd
from wire.control import control_wire
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import FeedPeerConnected, FeedPeerDisconnected, HandlePeer
from wire.net.duties import ping_reply, send_message_reply

MOST_FEED_WAITING = 500
"""Messages that the master has not taken yet, above which it loses what the feed says."""


class Requests:
    """Each message goes to the first group that knows it; each group returns whether it does."""

    def __init__(self, gossipd: Gossipd, master: ControlChannel) -> None:
        self._gossipd = gossipd
        self._master = master
        self._feed_lost = 0
        gossipd.feed.tell_master = self._tell_feed
        self._groups = (self._connections, self._peers, self._chain, self._questions, self._settings)

    def handle(self, message: ControlMessage, channel: ControlChannel) -> None:
        """Do what it says; a reply goes back through `channel`."""
        if not any(group(message, channel) for group in self._groups):
            raise RuntimeError(f"gossipd does not know {message.name()}")

    def _connections(self, message: ControlMessage, channel: ControlChannel) -> bool:
        """Connections that come and go."""
        gossipd = self._gossipd
        match message:
            case HandlePeer():
                gossipd.handle_peer(message)
            case control_wire.GossipNewPeer(peer=info):
                channel.reply(message, control_wire.GossipNewPeerReply(gossipd.new_remote_peer(info)))
                gossipd.upkeep.make_room(info.conn_id)
            case control_wire.ReleasePeer():
                self._release(message)
            case control_wire.GiveBack(conn_id=None):
                self._give_all_back()
            case control_wire.GiveBack(conn_id=int(conn_id)):
                if (peer := gossipd.peer(conn_id)) is not None:
                    gossipd.give_back(peer)
            case control_wire.Disconnect(conn_id=conn_id, send=send, reason=reason):
                if (peer := gossipd.peer(conn_id)) is not None:
                    gossipd.end(peer, send, reason)
            case _:
                return False
        return True

    def _peers(self, message: ControlMessage, channel: ControlChannel) -> bool:
        """What is said to peers."""
        match message:
            case control_wire.SendMessage():
                self._send_message(message)
            case control_wire.Ping():
                self._ping(message)
            case control_wire.SetMessageRoutes(routes=routes):
                self._gossipd.routes.replace(routes)
            case control_wire.CopyCustom(wanted=wanted):
                self._gossipd.routes.copy_custom(wanted=wanted)
            case _:
                return False
        return True

    def _tell_feed(self, topic: str, body: bytes) -> bool:
        if self._master.closed or self._master.queued >= MOST_FEED_WAITING:
            self._feed_lost += 1
            return False
        self._master.send(control_wire.FeedSaid(topic, body, self._feed_lost))
        self._feed_lost = 0
        return True

    def _chain(self, message: ControlMessage, channel: ControlChannel) -> bool:
        """What happens on the chain; the reply means that the store has it."""
        onchain = self._gossipd.onchain
        match message:
            case control_wire.NewBlockheight(blockheight=blockheight):
                onchain.new_blockheight(blockheight)
            case control_wire.OutpointsSpent(blockheight=blockheight, short_channel_ids=scids):
                spent = control_wire.OutpointsSpentReply()
                onchain.outpoints_spent(blockheight, scids, lambda: channel.reply(message, spent))
                self._gossipd.gossip_v2.spent(scids)
            case control_wire.ChainReorganised(blockheight=blockheight, unspent=unspent):
                undone = control_wire.ChainReorganisedReply()
                onchain.reorganised(blockheight, unspent, lambda: channel.reply(message, undone))
            case _:
                return False
        return True

    def _questions(self, message: ControlMessage, channel: ControlChannel) -> bool:
        """What is asked about the map and the peers."""
        gossipd = self._gossipd
        match message:
            case control_wire.GossipGetAddrs(node_id=node_id):
                channel.reply(message, control_wire.GossipGetAddrsReply(report.addresses(gossipd, node_id)))
            case control_wire.RandomNodes(count=count):
                channel.reply(message, control_wire.RandomNodesReply(report.random_nodes(gossipd, count)))
            case control_wire.FindChannel(short_channel_id=scid):
                channel.reply(message, control_wire.FindChannelReply(report.ends_of(gossipd, scid)))
            case control_wire.GossipStatus():
                channel.reply(message, report.status(gossipd))
            case control_wire.GetMetrics():
                channel.reply(message, metrics.reply(gossipd, channel.queued))
            case control_wire.ListPeers():
                channel.reply(message, control_wire.ListPeersReply(gossipd.upkeep.stats()))
            case _:
                return False
        return True

    def _settings(self, message: ControlMessage, channel: ControlChannel) -> bool:
        """Settings from now on, and what is to be done once."""
        gossipd = self._gossipd
        match message:
            case control_wire.ChangeLocalChannels(added=channels, removed=scids):
                gossipd.local.change(channels, scids)
            case control_wire.AnnounceableChanged(addresses=addresses):
                gossipd.own_node.announce_at(addresses)
            case control_wire.IdentityChanged(alias=alias, rgb=rgb):
                gossipd.own_node.announce_as(alias, rgb)
            case control_wire.SetLimits(limits=limits):
                gossipd.upkeep.change_limits(limits)
                gossipd.budget.change(limits.gossip_peer_rate, limits.gossip_total_rate, gossipd.clock())
                gossipd.owned.change_read_rate(limits.read_rate)
                gossipd.keeper.compactor.change_limits(limits)
            case control_wire.FeaturesChanged(features=features):
                gossipd.own_node.announce_features(features)
            case control_wire.ChangeWantedNodes(added=added, removed=removed):
                gossipd.upkeep.change_wanted(added, removed)
            case control_wire.AddGossip():
                self._add_gossip(message)
            case FeedPeerConnected() | FeedPeerDisconnected():
                say_peer(gossipd.feed, message, gossipd.tell)
            case control_wire.TakeFeed(topics=topics):
                gossipd.feed.taken_by_master(topics)
            case control_wire.Resync():
                gossipd.seeker.resync()
                channel.reply(message, control_wire.ResyncReply())
            case control_wire.CompactStore():
                self._compact_store(message)
            case _:
                return False
        return True

    def _compact_store(self, message: control_wire.CompactStore) -> None:
        def ended(failure: str | None) -> None:
            done = control_wire.CompactStoreReply(self._gossipd.store.size)
            self._master.reply(message, done if failure is None else control_wire.CompactStoreReplyfail(failure))

        self._gossipd.keeper.compactor.compact_now(ended)

    def _give_all_back(self) -> None:
        gossipd = self._gossipd
        for owned in gossipd.owned.peers():
            owned.asked = gossipd.seeker.filter_of(owned.info.conn_id)
        gossipd.seeker.retire()
        for owned in gossipd.owned.peers():
            gossipd.give_back(owned)
        gossipd.tell(control_wire.AllGivenBack())

    def _release(self, message: control_wire.ReleasePeer) -> None:
        gossipd = self._gossipd
        peer = gossipd.peer(message.conn_id)
        if peer is None:  # it has ended, or crosses with our peer_nongossip
            gossipd.tell(control_wire.ReleasePeerReplyfail(message.node_id, message.conn_id))
            return
        state, peer_fd, gossip_fd = gossipd.give_away(peer)
        gossipd.tell(control_wire.ReleasePeerReply(message.node_id, message.conn_id, state, peer_fd, gossip_fd))

    def _send_message(self, message: control_wire.SendMessage) -> None:
        peer = self._gossipd.peer(message.conn_id)
        reply = send_message_reply(None if peer is None else peer.outbox_bytes)
        if peer is not None and isinstance(reply, control_wire.SendMessageReply):
            self._gossipd.say(peer, message.message)
        self._master.reply(message, reply)

    def _ping(self, message: control_wire.Ping) -> None:
        peer = self._gossipd.peer(message.conn_id)
        if peer is None:
            self._master.reply(message, control_wire.PingReplyfail("the peer is not here"))
            return

        def answered(total: int | None) -> None:
            self._master.reply(message, ping_reply(total))

        peer.ping(message.num_pong_bytes, message.ignored_len, answered)
        self._gossipd.owned.pump(message.conn_id)

    def _add_gossip(self, message: control_wire.AddGossip) -> None:
        def settled(error: str | None) -> None:
            done = control_wire.AddGossipReply()
            self._master.reply(message, done if error is None else control_wire.AddGossipReplyfail(error))

        self._gossipd.user_gossip.add(message.message, self._gossipd.ingest, settled)
