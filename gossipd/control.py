"""The control messages that gossipd understands: from the master, and from connectd over the link."""

import itertools
import random
import socket
import time
from collections.abc import Callable

from gossipd.gossipd import Gossipd
from gossipd.sigcheck import stop_workers
from gossipd.signer import Signer
from gossipd.store import StoreError
from wire import control_wire
from wire.address import read_descriptors
from wire.control_channel import ControlChannel
from wire.control_wire import ControlMessage, GossipdInit, HandlePeer
from wire.cursor import WireError
from wire.peer_wire import NodeAnnouncement
from wire.status import Status

MAX_OUTBOX = 65_536
"""Bytes that may wait for a peer before the master is told that it does not take more."""

status = Status("gossipd")


class Control:
    """The control sockets of gossipd. Nothing is handled before `gossipd_init`; the link's messages wait for it."""

    def __init__(
        self,
        master: socket.socket,
        hsm: socket.socket,
        link: socket.socket,
        workers: list[tuple[int, socket.socket]],
        stop: Callable[[int], None],
    ) -> None:
        self._workers = workers
        self._stop = stop
        self._stopped = False
        self._gossipd: Gossipd | None = None
        self._early: list[ControlMessage] = []
        self._master = ControlChannel(master, "master", self._from_master, self._master_closed, window=1_000)
        self._hsm = ControlChannel(hsm, "hsmd", self._from_hsmd, self._hsm_closed)
        self._link = ControlChannel(link, "connectd", self._from_link, self._link_closed)

    def close(self) -> None:
        """The end: everything is flushed and closed."""
        if self._gossipd is not None:
            self._gossipd.close(clean=self._stopped)
        else:
            stop_workers(self._workers)
        for channel in (self._master, self._hsm, self._link):
            for message in channel.close():
                message.close_fds()

    def _master_closed(self, reason: str) -> None:
        self._stopped = True
        self._stop(0)

    def _hsm_closed(self, reason: str) -> None:
        """The master sees to that, too: without the key there is no node."""
        status.debug(f"hsmd is gone: {reason}")

    def _from_hsmd(self, message: ControlMessage) -> None:
        raise RuntimeError(f"hsmd said {message.name()}")

    def _link_closed(self, reason: str) -> None:
        """connectd is gone; the master knows what that means."""
        status.debug(f"the link is closed: {reason}")

    def _from_link(self, message: ControlMessage) -> None:
        if self._gossipd is None:
            self._early.append(message)
        else:
            self._handle(message, self._link, self._gossipd)

    def _from_master(self, message: ControlMessage) -> None:
        if isinstance(message, GossipdInit):
            self._init(message)
        elif self._gossipd is not None:
            self._handle(message, self._master, self._gossipd)

    def _init(self, message: GossipdInit) -> None:
        try:
            gossipd = self._gossipd = Gossipd(message, self._master, Signer(self._hsm), self._workers)
        except StoreError as error:
            self._master.reply(message, control_wire.GossipdInitReplyfail(str(error)))
            return
        except OSError as error:
            reason = f"{message.store}: {error.strerror or error}"
            self._master.reply(message, control_wire.GossipdInitReplyfail(reason))
            return
        counts = len(gossipd.index.channels), len(gossipd.index.nodes)
        self._master.reply(message, control_wire.GossipdInitReply(*counts, gossipd.store.note))
        for early in self._early:
            self._handle(early, self._link, gossipd)
        self._early.clear()

    def _handle(self, message: ControlMessage, channel: ControlChannel, gossipd: Gossipd) -> None:
        match message:
            case HandlePeer():
                gossipd.handle_peer(message)
            case control_wire.GossipNewPeer(peer=info):
                channel.reply(message, control_wire.GossipNewPeerReply(gossipd.new_remote_peer(info)))
            case control_wire.GossipGetAddrs(node_id=node_id):
                channel.reply(message, control_wire.GossipGetAddrsReply(_addresses(gossipd, node_id)))
            case control_wire.ReleasePeer():
                self._release(message, gossipd)
            case control_wire.GiveBack(conn_id=None):
                gossipd.seeker.retire()
                for owned in gossipd.owned.peers():
                    gossipd.give_back(owned)
                gossipd.tell(control_wire.AllGivenBack())
            case control_wire.GiveBack(conn_id=int(conn_id)):
                if (peer := gossipd.peer(conn_id)) is not None:
                    gossipd.give_back(peer)
            case control_wire.Disconnect(conn_id=conn_id, send=send, reason=reason):
                if (peer := gossipd.peer(conn_id)) is not None:
                    gossipd.end(peer, send, reason)
            case control_wire.SendMessage():
                self._send_message(message, gossipd)
            case control_wire.Ping():
                self._ping(message, gossipd)
            case control_wire.AddGossip():
                self._add_gossip(message, gossipd)
            case control_wire.LocalChannels(channels=channels):
                gossipd.local.replace(channels)
            case control_wire.SetMessageRoutes(routes=routes):
                gossipd.routes.replace(routes)
            case control_wire.NewBlockheight(blockheight=blockheight):
                gossipd.onchain.new_blockheight(blockheight)
            case control_wire.OutpointsSpent(blockheight=blockheight, short_channel_ids=scids):
                spent = control_wire.OutpointsSpentReply()
                gossipd.onchain.outpoints_spent(blockheight, scids, lambda: channel.reply(message, spent))
            case control_wire.ChainReorganised(blockheight=blockheight, unspent=unspent):
                undone = control_wire.ChainReorganisedReply()
                gossipd.onchain.reorganised(blockheight, unspent, lambda: channel.reply(message, undone))
            case control_wire.GossipStatus():
                channel.reply(message, _status(gossipd))
            case control_wire.AnnounceableChanged(addresses=addresses):
                gossipd.own_node.announce_at(addresses)
            case control_wire.SetWantedNodes(node_ids=node_ids):
                gossipd.upkeep.wanted = frozenset(node_ids)
            case control_wire.RandomNodes(count=count):
                channel.reply(message, control_wire.RandomNodesReply(_random_nodes(gossipd, count)))
            case control_wire.ListPeers():
                channel.reply(message, control_wire.ListPeersReply(gossipd.upkeep.stats()))
            case control_wire.Resync():
                gossipd.seeker.resync(time.time())
                channel.reply(message, control_wire.ResyncReply())
            case _:
                raise RuntimeError(f"gossipd does not know {message.name()}")

    def _release(self, message: control_wire.ReleasePeer, gossipd: Gossipd) -> None:
        peer = gossipd.peer(message.conn_id)
        if peer is None:  # it has ended, or crosses with our peer_nongossip
            gossipd.tell(control_wire.ReleasePeerReplyfail(message.node_id, message.conn_id))
            return
        state, peer_fd, gossip_fd = gossipd.give_away(peer)
        gossipd.tell(control_wire.ReleasePeerReply(message.node_id, message.conn_id, state, peer_fd, gossip_fd))

    def _send_message(self, message: control_wire.SendMessage, gossipd: Gossipd) -> None:
        peer = gossipd.peer(message.conn_id)
        if peer is None or peer.outbox_bytes > MAX_OUTBOX:
            reason = "the peer is not here" if peer is None else "the peer does not read: its queue is full"
            self._master.reply(message, control_wire.SendMessageReplyfail(reason))
            return
        gossipd.say(peer, message.message)
        self._master.reply(message, control_wire.SendMessageReply())

    def _ping(self, message: control_wire.Ping, gossipd: Gossipd) -> None:
        peer = gossipd.peer(message.conn_id)
        if peer is None:
            self._master.reply(message, control_wire.PingReplyfail("the peer is not here"))
            return

        def answered(total: int | None) -> None:
            failed = control_wire.PingReplyfail("the connection left before the pong came")
            self._master.reply(message, failed if total is None else control_wire.Pong(total))

        peer.ping(message.num_pong_bytes, message.ignored_len, answered)
        gossipd.owned.pump(message.conn_id)

    def _add_gossip(self, message: control_wire.AddGossip, gossipd: Gossipd) -> None:
        def settled(error: str | None) -> None:
            refused = error is not None
            self._master.reply(
                message, control_wire.AddGossipReplyfail(error or "") if refused else control_wire.AddGossipReply()
            )

        gossipd.user_gossip.add(message.message, gossipd.ingest, settled)


def _random_nodes(gossipd: Gossipd, count: int) -> list[tuple[bytes, list[str]]]:
    """Nodes with addresses; rows without are passed over, so there may be fewer than are wanted."""
    ids = gossipd.index.node_ids
    rows = random.sample(range(len(ids)), min(10 * count, len(ids)))
    found = ((ids[row], _addresses(gossipd, ids[row])) for row in rows if gossipd.index.node_announce_off[row])
    return list(itertools.islice((node for node in found if node[1]), count))


def _status(gossipd: Gossipd) -> control_wire.GossipStatusReply:
    return control_wire.GossipStatusReply(gossipd.seeker.state.value, gossipd.counters(), gossipd.peers_gossip())


def _addresses(gossipd: Gossipd, node_id: bytes) -> list[str]:
    """What the node has announced, in its order."""
    row = gossipd.index.nodes.get(node_id)
    if row is None or not gossipd.index.node_announce_off[row]:
        return []
    try:
        announcement = NodeAnnouncement.decode(gossipd.store.read(gossipd.index.node_announce_off[row]))
        return [str(address) for address in read_descriptors(announcement.addresses)]
    except WireError:
        return []
