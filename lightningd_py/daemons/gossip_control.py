"""The master's half of gossipd: what it is told, of the chain too, and each of its messages to what it calls."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from lightningd_py.chain.source import ChainSource, NoOutput, Output
from lightningd_py.config.options import Options, in_directory
from lightningd_py.daemons.daemon import ask
from lightningd_py.daemons.store_place import STORE, place_store
from lightningd_py.news.gossip_news import GossipNews
from lightningd_py.news.topics import Topics
from lightningd_py.owners.claims import GOSSIPD, AboutOne
from lightningd_py.owners.ownership import Ownership, tell
from lightningd_py.owners.peers import Peer
from lightningd_py.peers.own_node import OwnNode
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import ControlMessage, Fd, Reply, Request
from wire.control.status import Status
from wire.net.sockman.stale_socket import remove_stale_socket
from wire.start.late_dataclass import dataclass
from wire.types import NETWORKS

FEED_KEYS = "feed-curve"
"""In the network's directory: who may take the feed on tcp may not therefore use the buses."""

VANTAGE_DIGITS = 16
"""Of the node_id, where the operator has given no name."""

R = TypeVar("R", bound=Reply)
status = Status("lightningd")


@dataclass(frozen=True, slots=True)
class TxoutLeft:
    """A question of gossipd's about an output that was not answered yet."""

    request_id: int
    short_channel_id: int
    script: bytes


class GossipControl:
    """gossipd, as the master sees it. It is the chain's follower, too."""

    def __init__(self, ownership: Ownership, chain: ChainSource, own: OwnNode, topics: Topics) -> None:
        self._ownership = ownership
        self.news = GossipNews(topics, self._say)
        self._chain = chain
        self._own = own
        self._returned = asyncio.Event()
        self.on_blockheight: Callable[[int], None] = lambda blockheight: None
        """Hears of each new height, besides gossipd."""
        self._asked: dict[tuple[ControlChannel, int], control_wire.GetTxout] = {}
        """What gossipd has asked, and was not answered yet."""
        self._feed_without: ControlChannel | None = None
        """The gossipd that has said that no one takes from its feed which peers come and go."""

    @property
    def _channel(self) -> ControlChannel:
        return self._ownership.gossipd

    def leave(self) -> list["TxoutLeft"]:
        """What gossipd waits for, for the next program of this process."""
        open_ones = [asked for (channel, _), asked in self._asked.items() if channel is self._channel]
        return [TxoutLeft(asked.request_id, asked.short_channel_id, asked.script) for asked in open_ones]

    def resume(self, left: Iterable["TxoutLeft"]) -> None:
        """Look up what gossipd has asked the program before us."""
        for one in left:
            request = control_wire.GetTxout(one.short_channel_id, one.script, request_id=one.request_id)
            self._get_txout(request, self._channel)

    def returned(self) -> None:
        """gossipd was restarted: it is told again what the one before has not done."""
        self._returned.set()

    def tell_blockheight(self) -> None:
        """How high the chain is, if that is known."""
        if self._chain.blockheight:
            self.new_blockheight(self._chain.blockheight)

    def received(self, message: ControlMessage, channel: ControlChannel) -> None:
        """A message of gossipd's that is no reply, and where its answer goes: there may be two for a moment."""
        ownership = self._ownership
        match message:
            case _ if isinstance(message, AboutOne):
                ownership.heard(GOSSIPD, message)
            case control_wire.GetTxout():
                self._get_txout(message, channel)
            case control_wire.UnwatchedChannels(short_channel_ids=scids):
                reply = control_wire.UnwatchedChannelsReply(self._chain.unwatched(scids))
                channel.reply(message, reply)
            case control_wire.FeedPeersWanted(wanted=wanted):
                self._feed_without = None if wanted else channel
            case control_wire.RemoteChannelUpdate(service=service):
                ownership.registrations.remote_update_to(service, message)
            case control_wire.FeedSaid():
                self.news.said(message)
            case _:
                raise RuntimeError(f"gossipd said {message.name()}")

    def _get_txout(self, request: control_wire.GetTxout, channel: ControlChannel) -> None:
        asked = (channel, request.request_id)
        self._asked[asked] = request

        def answered(found: Output | NoOutput) -> None:
            del self._asked[asked]
            reply = (
                control_wire.GetTxoutReply(found.amount_sat, found.script, "")
                if isinstance(found, Output)
                else control_wire.GetTxoutReply(0, b"", found.reason, found.is_known, found.forged)
            )
            channel.reply(request, reply)

        self._chain.look_up(request.short_channel_id, request.script, answered)

    # connections

    def peer_came(self, peer: Peer) -> None:
        """A connection is there, at any owner: for the feed, and for what its init says of our address."""
        if self._feed_without is not self._channel:
            self._say(control_wire.FeedPeerConnected(peer.info, time.time_ns()))
        if self._own.heard(peer.info):
            self._say(control_wire.AnnounceableChanged(self._own.addresses))

    def peer_went(self, peer: Peer, reason: str) -> None:
        """A connection has ended: for the feed."""
        info = peer.info
        if self._feed_without is not self._channel:
            self._say(control_wire.FeedPeerDisconnected(info.node_id, info.conn_id, reason, time.time_ns()))

    def _say(self, message: ControlMessage) -> None:
        tell(self._channel, message)

    # what the chain says

    def new_blockheight(self, blockheight: int) -> None:
        """See chain.Follower."""
        self._say(control_wire.NewBlockheight(blockheight))
        self.on_blockheight(blockheight)

    async def outpoints_spent(self, blockheight: int, scids: list[int]) -> None:
        """See chain.Follower."""
        await self._tell(control_wire.OutpointsSpent(blockheight, scids), control_wire.OutpointsSpentReply)

    async def reorganised(self, blockheight: int, unspent: list[int]) -> None:
        """See chain.Follower."""
        await self._tell(control_wire.ChainReorganised(blockheight, unspent), control_wire.ChainReorganisedReply)

    async def random_nodes(self, count: int) -> list[tuple[bytes, list[str]]]:
        """So many of the map, with their addresses. Raises ChannelClosed."""
        return (await self._channel.request(control_wire.RandomNodes(count), control_wire.RandomNodesReply)).nodes

    async def _tell(self, request: Request, reply_type: type[R]) -> None:
        """Returns when gossipd has it in its store: if it dies before that, the one that is started in its place."""
        while True:
            channel = self._channel
            try:
                await channel.request(request, reply_type)
                return
            except ChannelClosed:
                if self._channel is channel:
                    self._returned.clear()
                    await self._returned.wait()


async def init_gossipd(
    channel: ControlChannel, options: Options, own: OwnNode, check_txout: bool, predecessor_fd: Fd | None = None
) -> control_wire.GossipdInitReply:
    """Open the store, when the gossipd behind `predecessor_fd` has moved all to this one. Raises StartError."""
    return await ask(
        channel,
        control_wire.GossipdInit(
            chain_hash=NETWORKS[options.network],
            node_id=own.node_id,
            store=str(place_store(options.network_dir)),
            check_txout=check_txout,
            timing=options.timing,
            limits=options.limits,
            alias=own.alias,
            rgb=own.color,
            features=own.features.to_bytes(),
            addresses=own.addresses,
            feed=options.feed,
            feed_keys=str(options.network_dir / FEED_KEYS),
            vantage=vantage_of(options, own.node_id),
            feed_needed=options.feed != in_directory("ipc://feed", options.network_dir),
            predecessor_fd=predecessor_fd,
            gossip_v2=options.experimental_gossip_v2,
        ),
        control_wire.GossipdInitReply,
    )


def vantage_of(options: Options, node_id: bytes) -> str:
    """What the node is called in its feed, and in a record of it."""
    return options.vantage or options.alias or node_id.hex()[:VANTAGE_DIGITS]


def remove_dead_feed(feed: str) -> None:
    """Remove the socket of the feed, by its endpoint, after gossipd has ended: if it was killed that is still there."""
    scheme, _, path = feed.partition("://")
    if scheme == "ipc":
        with contextlib.suppress(OSError):
            remove_stale_socket(path)


def store_path(options: Options) -> Path:
    """Where the map is kept: CLN's name for it, so that its tools find it."""
    return options.network_dir / STORE
