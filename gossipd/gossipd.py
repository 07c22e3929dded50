"""gossipd keeps the map of the network and owns every peer that only gossips, for as long as it does.

A tour. A connection comes in `handle_peer`, from the master or straight from connectd over the link, and leaves with
`peer_nongossip`, when the peer says something that a route says to take, or with `release_peer_reply`, when the master
asks for it. While it is away its gossip goes on through a gossip fd.

    store/    the file gossip_store                     map/    the map over it: writing, forgetting, compaction
    ingest/   the way of gossip: checks, signatures, funding output, map and store
    serve/    streams and answers to queries            ask/    what we ask for: the seeker
    peers/    what one peer says and is told, its score, eviction
    control.py  the control sockets, and each message to what it calls here     report.py  what is asked of gossipd
    v2/       gossip v2, judged and kept beside the map
    chain.py    what the chain does to the map          own_node.py  our own announcement
    ticks.py    what is done as time passes             hearing.py   what the feed says of a connection
    local_channels.py  channels that only their two ends know
    wire/net/   sockets, frames, pings, slow readers, gossip fds

Here the pieces are put together (Gossipd is the `Around` of each room): who owns which peer, and whether there is room.
"""

import asyncio
import os
import random
from collections.abc import Callable, Hashable

from gossipd.ask.compare import KnownByMap
from gossipd.ask.seeker import Seeker
from gossipd.ask.streams import Place
from gossipd.ask.witnesses import QUERIES_OF_A_CONTEST
from gossipd.chain import OnChain
from gossipd.feed import Feed
from gossipd.hearing import Hearing
from gossipd.ingest.around import Around
from gossipd.ingest.checks import Checks
from gossipd.ingest.debt import Debt
from gossipd.ingest.pipeline import Ingest
from gossipd.ingest.signatures import SignatureChecks
from gossipd.ingest.txout import Txout
from gossipd.ingest.user_gossip import Answer, UserGossip
from gossipd.ingest.workers import Workers
from gossipd.local_channels import LocalChannels
from gossipd.map.keeper import Keeper
from gossipd.own_node import OwnNode, Sign
from gossipd.peers.eviction import Upkeep
from gossipd.peers.intake_pause import IntakePause
from gossipd.peers.peer import Peer
from gossipd.peers.remotes import Remotes
from gossipd.peers.standing import Judgement, Standings
from gossipd.serve.budget import Budget
from gossipd.serve.checksums import Checksums
from gossipd.ticks import Ticks
from gossipd.v2.room import NotJudged, Room
from wire.control import control_wire
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import GossipdInit, HandlePeer, PeerInfo
from wire.control.status import Status
from wire.crypto_state import PeerState
from wire.cursor import WireError
from wire.metrics.tally import Tally
from wire.net.duties import copy_of, type_and_channel
from wire.net.gossip_fd import GossipOwed
from wire.net.moving_state import check_messages
from wire.net.owned_peers import OwnedPeers
from wire.routing import TROUBLE, Routes

MOST_TROUBLE = 100
"""Warnings and errors of a peer in a second."""
status = Status("gossipd")


class Gossipd:
    """The daemon, from `gossipd_init` on: the `Around` of each room."""

    def __init__(
        self,
        init: GossipdInit,
        master: ControlChannel,
        sign: Sign,
        workers: Workers,
        now: Callable[[], float],
        chance: random.Random,
        feed: Feed,
    ) -> None:
        """Opens the store: raises StoreError or OSError. `now`: unix seconds."""
        self._loop = asyncio.get_running_loop()
        self.now, self.clock = now, self._loop.time
        self._timing, self.chain_hash = init.timing, init.chain_hash
        self._master, self.feed = master, feed
        self.routes = Routes()
        self.peers: dict[int, Peer] = {}
        """All whose gossip comes here, whichever process owns the connection."""
        self.standing_of = self.peers.get
        self.held = False
        """All is about to move, or has just come: nothing is read, written or done."""
        self.keeper = Keeper(init, self, feed)
        self.store, self.index = self.keeper.store, self.keeper.index
        self.checksums = Checksums(self.index, self.store)
        closed = self.keeper.forgetting.closed
        known = KnownByMap(self.index, self.checksums, closed, lambda scid: self.txout.has_failed(scid))
        self.seeker = Seeker(self, known, init.timing, chance, init.limits.gossip_listen)
        self.local = LocalChannels(init.node_id, self)
        self.own_node = OwnNode(init, self.keeper.own, sign, self)
        self._begin_peers(init)
        self._begin_intake(init, workers)
        self.is_remote = self.remotes.__contains__
        self.upkeep = Upkeep(self.owned, self.end, self.novel, self.remotes, init.limits, chance.random)
        self._ticks = Ticks(self, self._loop, init.timing.gossip_flush)

    def _begin_peers(self, init: GossipdInit) -> None:
        """Their connections, what they are worth, and what they get."""
        self._standings = Standings()
        self.judge = Judgement(self, self._loop.call_later, self.clock)
        self.fault, self.bad_gossip = self.judge.fault, self.judge.bad_gossip
        self.tally, limits, rate = Tally(), init.limits, init.limits.read_rate
        self.budget = Budget(limits.gossip_peer_rate, limits.gossip_total_rate, self.tally, self.feed)
        self.owned: OwnedPeers[Peer] = OwnedPeers(self.may_read, self.lost, self.budget, init.timing, rate, self.tally)
        self.turns, self.is_owned, self.owned.on_copy = self.owned.turns, self.owned.owns, self._copy
        self.remotes: Remotes = Remotes(self)
        self.phases = Hearing(self, init.timing.stream_quiet).phases

    def _begin_intake(self, init: GossipdInit, workers: Workers) -> None:
        """The pipeline, and the chain's news, which use the same stage for funding outputs."""
        self.signatures = SignatureChecks(workers, self._loop, self.resume)
        self.user_gossip = UserGossip()
        self.txout = Txout(self._master, init.check_txout, self.resume)
        debt = Debt(self.index, self.seeker.owe, self.seeker.wanted.overflow)
        checks = Checks(self.signatures, debt, self.judge, self.user_gossip.settled, self.feed)
        stored, owe, prune_after = self.keeper.flush.schedule, self.seeker.owe, init.timing.gossip_prune
        about = (self.keeper.writer, self.index, init.chain_hash, checks, self.txout, prune_after)
        witnesses = self.seeker.witnesses.ask, QUERIES_OF_A_CONTEST * init.timing.query_timeout, self._group_of
        self.ingest = Ingest(Around(*about, self.now, self.clock, stored, owe, self._hear_of, *witnesses))
        self.pause = IntakePause(self._has_room, self._loop, init.timing.backpressure_pause, self.resume)
        self.gossip_v2: Room = self._judges_v2() if init.gossip_v2 else NotJudged(self.feed)
        self.onchain = OnChain(self._master, self.keeper, self.txout, lambda: self.gossip_v2.watched)

    def _judges_v2(self) -> Room:
        from gossipd.v2.intake import GossipV2  # 10 ms to load: for those that want it

        return GossipV2(self, self.store.path)

    def _hear_of(self, scid: int, conn_id: int) -> None:
        """An update of a peer's names a channel that is not on the map: if it is not ours, the seeker asks for it."""
        if scid not in self.local:
            self.seeker.hear_of(scid, conn_id)

    def _has_room(self) -> bool:
        return self.ingest.has_room and not self.keeper.flush.failed

    @property
    def suspended(self) -> bool:
        """Nothing can be taken in: the disk is full."""
        return self.keeper.flush.failed

    def _group_of(self, conn_id: int) -> Hashable:
        """The network that a peer is in: /16 of IPv4, /32 of IPv6, or what kind of address it has (Tor, ...)."""
        peer = self.peers.get(conn_id)
        return None if peer is None else peer.group

    def close(self, *, clean: bool) -> None:
        """Flush the store and let go of everything. `clean`: not because of a bug, so the next start may trust us."""
        self._ticks.close()
        self.onchain.close()
        self.upkeep.close()
        self.keeper.compactor.close()
        self.gossip_v2.close()
        self.owned.close_sockets()
        self.remotes.close()
        self.signatures.close()
        if clean:
            self.keeper.save()
        self.store.close()

    def tell(self, message: ControlMessage) -> None:
        """Say this to the master. If that has just gone, so are we in a moment, and nothing is sent."""
        if self._master.closed:
            message.close_fds()
        else:
            self._master.send(message)

    # a connection comes

    def handle_peer(self, message: HandlePeer) -> None:
        """Own a connection from here on."""
        conn_id = message.peer.conn_id
        peer = self.peers.get(conn_id) or self.admit(message.peer)
        if message.gossip_state is not None:
            peer.restore(message.gossip_state)
        self.tell(control_wire.PeerTaken(message.peer))
        try:
            check_messages(message.send)
            for waiting in message.send:
                peer.say(waiting)
            self.ask_for_gossip(peer)  # before it is ours: what is to be told goes out at once, in no turn of its own
            self.owned.take(peer, message.peer_fd, message.state)
        except (OSError, ValueError) as error:
            os.close(message.peer_fd)
            self.lost(peer, f"no connection came: {error}")
        self._take_gossip_back(peer, message.gossip_fd, message.state.gossip)
        if self.owned.owns(conn_id):
            self.owned.say_now(peer)
            self.begin_with(peer)

    def begin_with(self, peer: Peer) -> None:
        """Hear what the peer of a new connection has said before."""
        if self.owned.has_to_do(peer):
            self._loop.call_soon(self.owned.go_on, peer.info.conn_id)
        self.upkeep.came(peer.info.conn_id)

    def admit(self, info: PeerInfo) -> Peer:
        """A peer that was not known, or not any more."""
        peer = self.peers[info.conn_id] = Peer(info, self, self._standings.come(info.node_id))
        self.phases.begin(info.conn_id)
        return peer

    def _take_gossip_back(self, peer: Peer, returned: Fd | None, left_over: list[bytes]) -> None:
        for packet in [*self.remotes.take_back(peer, returned), *left_over]:
            if not self.remotes.hear(peer, packet):
                return

    def owed_elsewhere(self, peer: Peer, packet: bytes) -> None:
        """What the owner of a connection could not pass on."""
        try:
            self.ingest.checks.debt.note_owed(GossipOwed.decode(packet), peer.info.conn_id)
        except WireError as error:
            text = f"the owner of connection {peer.info.conn_id} said {error}: ignored"
            status.by_stranger("gossip fd", text, peer.info.node_id, peer.info.address)

    def ask_for_gossip(self, peer: Peer) -> None:
        """Greet it and let it be asked, if that was not done before."""
        info = peer.info
        if not peer.greeted:
            peer.greet(self.keeper.own.messages())
        self.seeker.peer_came(info.conn_id, info.features, Place(peer.group, info.incoming), peer.asked)

    @property
    def novel(self) -> dict[int, int]:
        """How many messages that were new each connection has brought, by conn_id."""
        return self.ingest.checks.novel

    def sync_begins(self, conn_id: int) -> None:
        """All that it has is asked of a peer."""
        self.phases.begin(conn_id)

    def seek(self, conn_id: int, message: bytes) -> None:
        """A message of the seeker's, to a peer wherever its connection is."""
        self.say_soon(self.peers[conn_id], message)

    def renew(self, conn_id: int) -> bool:
        """End a connection of ours, so that the peer connects again; False if it has another owner, for a channel."""
        if (peer := self.peer(conn_id)) is not None:
            self.end(peer, [], "gossip is lacking that only a new connection can bring")
        return peer is not None

    def say_own(self, messages: list[bytes]) -> None:
        """Something new of our own."""
        for peer in self.peers.values():
            peer.say_own(messages)
            self.pump(peer)

    def publish(self, message: bytes, settled: Answer) -> None:
        self.user_gossip.add(message, self.ingest, settled)

    def new_remote_peer(self, info: PeerInfo) -> Fd:
        """The owner's end of a gossip fd, for a connection that we do not own."""
        return self._open_gossip_fd(self.peers.get(info.conn_id) or self.admit(info))

    def _open_gossip_fd(self, peer: Peer) -> Fd:
        theirs = self.remotes.open(peer)
        self.ask_for_gossip(peer)
        return theirs

    # a connection goes

    def nongossip(self, peer: Peer, message: bytes) -> None:
        """The peer has said something that another owner may want."""
        info, (number, channel_id) = peer.info, type_and_channel(message)
        connection = self.give_away(peer)
        self.tell(control_wire.PeerNongossip(info.node_id, info.conn_id, message, number, channel_id, *connection))

    def give_away(self, peer: Peer) -> tuple[PeerState, Fd, Fd]:
        """The connection, and a gossip fd through which its gossip goes on."""
        fd, state = self.owned.give(peer)
        peer.duties.leave()
        return state, Fd(fd), self._open_gossip_fd(peer)

    def give_back(self, peer: Peer) -> None:
        """The connection to the master, with what another gossipd needs to go on, also with answers under way."""
        info = peer.info
        peer.asked = self.seeker.filter_of(info.conn_id) or peer.asked
        send, gossip_state = peer.break_off()
        fd, state = self.owned.give(peer)
        self.drop(peer)
        self.tell(control_wire.PeerGivenBack(info.node_id, info.conn_id, state, send, gossip_state, Fd(fd), None))

    def lost(self, peer: Peer, reason: str) -> None:
        """The connection has ended by itself."""
        self.end(peer, [], reason)

    def end(self, peer: Peer, last_words: list[bytes], reason: str) -> None:
        """Close a connection that we own, after these messages, and say so."""
        info = peer.info
        if self.owned.owns(info.conn_id):
            self.owned.end(peer, last_words)
        self.drop(peer)
        self.tally.ended(reason)
        status.debug(f"disconnected: {reason}", info.node_id)
        self.tell(control_wire.PeerDisconnected(info.node_id, info.conn_id, reason))

    def drop(self, peer: Peer) -> None:
        """Forget a peer whose connection is not here any more, nor its gossip fd."""
        peer.duties.leave()
        peer.leave_waiting()
        conn_id = peer.info.conn_id
        if self.peers.pop(conn_id, None) is not None:
            self.seeker.peer_left(conn_id)
            self.phases.end(conn_id)
            self._standings.leave(peer.info.node_id, peer.standing, self.clock())
        self.budget.forget(conn_id)

    def peer(self, conn_id: int) -> Peer | None:
        """The peer of a connection that we own."""
        return self.peers[conn_id] if self.owned.owns(conn_id) else None

    def copy_up(self, peer: Peer, message: bytes) -> None:
        """A copy of what a peer said, for the services that listen; some go up seldom. Warnings and errors cost the
        master as much as us: after MOST_TROUBLE in a second a peer is read on in the next.
        """
        if message[0] << 8 | message[1] in TROUBLE:
            self.owned.charge(peer.info.conn_id, 1 / MOST_TROUBLE)
        if self.owned.may_copy(peer.info.conn_id, message):
            self._copy(peer, message)

    def _copy(self, peer: Peer, message: bytes) -> None:
        if not self._master.behind:
            self.tell(copy_of(peer.info, message))

    # what `standing.py` needs

    def hang_up(self, conn_id: int, last_words: list[bytes], reason: str) -> None:
        """Close a connection that is ours."""
        self.end(self.peers[conn_id], last_words, reason)

    def warn(self, conn_id: int, message: bytes) -> None:
        """Send it when the peer's other messages have been heard."""
        self.say_soon(self.peers[conn_id], message)

    def listen(self, conn_id: int, *, to_it: bool) -> None:
        """Whether the seeker may ask this peer for anything."""
        peer = self.peers[conn_id]
        if to_it:
            self.ask_for_gossip(peer)
        else:
            peer.asked = self.seeker.filter_of(conn_id)
            self.seeker.peer_left(conn_id)

    def say_soon(self, peer: Peer, message: bytes) -> None:
        """Send a message, wherever the connection is, when the peer's other messages have been heard."""
        peer.say(message)
        self.pump(peer)

    def say(self, peer: Peer, message: bytes) -> None:
        """Send a message to a peer that we own."""
        peer.say(message)
        self.owned.pump(peer.info.conn_id)

    def pump(self, peer: Peer) -> None:
        """Send soon, wherever the connection is: not now, for its messages may be in the midst of being heard."""
        conn_id = peer.info.conn_id
        if self.owned.owns(conn_id):
            self.owned.pump_in_turn(conn_id)
        else:
            self.remotes.pump_soon(conn_id)

    # room

    def may_read(self) -> bool:
        """Reading stops while the master takes nothing. While there is no room for gossip it waits with its peer, and
        the rest is heard (intake_pause.py).
        """
        if self.held or self._master.behind:
            return False
        self.pause.look()
        return True

    def resume(self) -> None:
        """Something has drained."""
        self.pause.go_on(self.owned, self.pump)
        self.owned.resume()
        self.remotes.update_reading()

    def disk_changed(self) -> None:
        self.ingest.checks.suspended = self.keeper.flush.failed
        self.resume()

    def records_moved(self, place: Callable[[int], int]) -> None:
        """The store was compacted: where an offset of the old file is in the new one."""
        for peer in self.peers.values():
            if peer.stream is not None:
                peer.stream.move(place)
