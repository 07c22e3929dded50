"""The control messages: what the processes of the house say to each other, each declared once.

Ranges of numbers are CLN's: 1xxx any child of the master, 2xxx connectd, 3xxx gossipd, 4xxx the link between them, 5xxx
hsmd, 6xxx an owner of connections; 7xxx, listingd, and 8xxx, oniond, are ours. A reply is its request's number + 100, a
refusal + 200. The names are those of c-lightning's own split; `aliases` are those that the field has used for the same
thing. `wire.control.control_message` says how a message travels; docs/control-messages.md is generated from here.
"""

from dataclasses import field

from wire.control.control_message import ControlMessage, Fd, Refusal, Reply, Request
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.crypto_state import PeerState, Traffic
from wire.start.late_dataclass import dataclass

MANY = 64 << 20
"""Bytes of what the master alone says, of all nodes or channels that services have."""
SOME = 4 << 20
"""Bytes of what has something of each connection, or of some nodes."""
WHOLE_MAP = 16 << 20
"""Bytes of the short_channel_ids of the map."""
MOVED = 3 << 20
"""Bytes of a connection's state that comes to the master: `unread`, `unsent`, and what is left over of its gossip."""
GIVEN = 4 << 20
"""Bytes of the same as the master gives it on, with what is known of the peer."""

MOVES = ("predecessor", "successor")
"""The two processes of one kind, of which one moves all that it has to the other one."""

OWNERS = ("gossipd", "program", "connectiond")
"""Who may own a connection besides connectd and the master, and so understands the 6xxx messages."""


DAEMONS = ("hsmd", "connectd", "gossipd", "connectiond", "listingd", "websocketd", "oniond")
"""The children of the master that are ours."""


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """What was learnt of a peer when it connected. `address` and `remote_addr` are text, as `wire.address` reads it."""

    node_id: bytes
    conn_id: int
    address: str
    incoming: bool
    remote_addr: str | None
    features: bytes
    networks: list[bytes]


@dataclass(frozen=True, slots=True)
class GossipState:
    """What gossipd remembers of a peer across owners: its filter as it sent it, how far in the store we are, the filter
    that we have sent it last (`asked`, None for none), whether our own gossip was sent, and what is left of its
    queries, as queries that ask for that.
    """

    filter: tuple[int, int] | None = None
    store_uuid: bytes = b""
    store_offset: int = 0
    asked: tuple[int, int] | None = None
    greeted: bool = False
    queries: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PeerStats:
    """How an owned connection does. `latency` of the last ping in seconds; `novel`: gossip of its that was new."""

    conn_id: int
    traffic: Traffic
    latency: float | None
    novel: int


@dataclass(frozen=True, slots=True)
class PeerGossip:
    """Messages of a peer's by what they were worth, and its score: 100 and more lead to being ignored."""

    conn_id: int
    good: int
    redundant: int
    rate_limited: int
    bad: int
    score: int
    ignored: bool


@dataclass(frozen=True, slots=True)
class Ways:
    """How connectd may reach others. `proxy`: host:port of a SOCKS5 proxy; no `use_dns`: it looks up no names."""

    proxy: str | None
    always_use_proxy: bool
    use_dns: bool


@dataclass(frozen=True, slots=True)
class LocalChannel:
    """A channel of ours with `node_id` that a service has. `short_channel_id` may be an alias."""

    short_channel_id: int
    node_id: bytes
    service: str


GOSSIP_V2 = "gossip_v2"


@dataclass(frozen=True, slots=True)
class MapListing:
    """What is to be listed of the map: `channels`, an entry a direction, or `nodes`; all, or as narrow as is said. Or
    `gossip_v2`, which is beside it."""

    what: str
    short_channel_id: int | None = None
    source: bytes | None = None
    destination: bytes | None = None
    node_id: bytes | None = None
    wanted: str = "true"
    """Which fields of an entry: CLN's filter for it, as JSON."""


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A socket at which strangers arrive, bound and listening. `kind`: plain or ws, as in `wire.control.binding`."""

    kind: str
    fd: Fd
    announce: bool = False
    """Its address, if that is public."""


# 1xxx: any child of the master


class Heartbeat(ControlMessage, number=1000, sender="master"):
    """Do you still read what you are told? A ControlChannel answers by itself, behind all that came before."""


class HeartbeatReply(ControlMessage, number=1100, sender=(*DAEMONS, "program")):
    """The answer to `heartbeat`: it lives."""


class GetMetrics(Request, number=1001, sender="master"):
    """What have you counted? For a scrape of --metrics-addr."""


class GetMetricsReply(Reply, number=1101, sender=DAEMONS):
    """Values as (name, labels in the order of their declaration, value), and histograms as (name, labels, how many were
    in each bucket alone, sum of all). `wire.metrics.declared` has each name.
    """

    values: list[tuple[str, list[str], float]]
    histograms: list[tuple[str, list[str], list[int], float]]


MOVING = ("gossipd", "connectd", "connectiond", "websocketd", "hsmd")
"""Those that can move all that they have to another process of their kind."""


class SetLog(ControlMessage, number=1002, sender="master"):
    """Which lines you log from now on, `LEVEL[:SUBSYSTEM],...`; each of them is told to the master, too."""

    levels: str


class LogLine(ControlMessage, number=1003, sender=DAEMONS):
    """A line of a daemon's log. `created`: unix seconds; `level`: as in `wire.log.style`; `node_id` in hex, or empty.

    `left_out`: lines before this one that were not told, for there were too many.
    """

    created: float
    level: int
    source: str
    node_id: str
    text: str
    left_out: int


class SetLimits(ControlMessage, number=1004, sender="master"):
    """The bounds against strangers, from now on: to connectd, gossipd and connectiond."""

    limits: Limits


class MoveAll(Request, number=1010, sender="master"):
    """Move all that you have to another process of your kind, which waits behind this socket. Nothing else follows on
    this channel, unless it is refused.
    """

    successor_fd: Fd


class MoveAllReply(Reply, number=1110, sender=MOVING):
    """The next one has all: so many connections of its own, so many of other owners. This one ends when it has done
    what cannot move. `lost`: connections that could not move.
    """

    owned: int
    elsewhere: int
    lost: int = 0


class MoveAllReplyfail(Refusal, number=1210, sender=MOVING):
    """The next one could not take all: nothing has moved, and the sender goes on."""


class TakePlace(ControlMessage, number=1012, sender="master"):
    """To a process that is fresh: another one of your kind moves all that it has to you, over this socket."""

    predecessor_fd: Fd


class MoveDone(ControlMessage, number=1011, sender="predecessor"):
    """From the old one to the next one: all is yours. The sender neither reads nor writes any of it from here on."""


# 2xxx: connectd


class ConnectdInit(Request, number=2000, sender="master", aliases=("connectctl_init",)):
    """First message to connectd: who we are, what INIT says, where to listen. `conn_id` is the first one to use.

    `addr`, `bind`, `announce`: the options of these names, as `wire.control.binding` reads them; what is public of
    `addr` is announced. `listeners` are there already: what is bound is not bound again. `websocket_fd` is there if a
    WebSocket is among them.
    """

    chain_hash: bytes
    node_id: bytes
    features: bytes
    addr: list[str]
    bind: list[str]
    announce: list[str]
    ways: Ways
    tor_password: str | None = field(repr=False)
    tor_keys: str
    """The directory in which the keys of onion services are kept."""
    websocket_fd: Fd | None
    """Connectd's end of the socket to websocketd."""
    conn_id: int
    timing: Timing
    dev_allow_localhost: bool
    limits: Limits = field(default_factory=Limits)
    web_proxies: list[str] = field(default_factory=list)
    """Networks of proxies that are believed where WebSockets come from."""
    listeners: list[ListeningSocket] = field(default_factory=list)
    predecessor_fd: Fd | None = None
    """Where another connectd moves what it has to this one: its onion services, too."""


class ConnectdInitReply(Reply, number=2100, sender="connectd", aliases=("connectctl_init_reply",)):
    """All is bound: the addresses, with the ports that the kernel chose, and those worth announcing. `listeners`:
    copies of those sockets that were not there before, for the connectd that comes after this one.
    """

    bindings: list[str]
    announceable: list[str]
    listeners: list[ListeningSocket] = field(default_factory=list)


class ConnectdInitReplyfail(Refusal, number=2200, sender="connectd"):
    """An address cannot be bound."""


class Activate(Request, number=2025, sender="master", aliases=("connectctl_activate",)):
    """Begin to accept. With `direct`, peers in no registration go straight to gossipd over the link."""

    direct: bool


class ActivateReply(Reply, number=2125, sender="connectd", aliases=("connectctl_activate_reply",)):
    """connectd accepts."""


class ReachPeer(Request, number=2001, sender="master", aliases=("gossipctl_reach_peer", "connectctl_connect_to_peer")):
    """Connect to a node; given up only after INIT fails. The hints come first. A live peer is an answer at once."""

    node_id: bytes
    addrhints: list[str]


class ReachPeerReply(Reply, number=2101, sender="connectd", aliases=("connectctl_connect_to_peer_result",)):
    """The peer is connected: `peer_connected` or `peer_taken` has said so, or will."""

    peer: PeerInfo


class ReachPeerReplyfail(Refusal, number=2201, sender="connectd", largest=SOME):
    """No address led to INIT. `code` is CLN's: 400 no address known, 401 all failed. `errors` has (address, reason)."""

    code: int
    errors: list[tuple[str, str]]


class PeerAddrhint(ControlMessage, number=2014, sender="master", aliases=("gossipctl_peer_addrhint",)):
    """An address that a user gave for a node; kept for the next `reach_peer`."""

    node_id: bytes
    address: str


class ChangeNodeRegistrations(ControlMessage, number=2018, sender="master", largest=MANY):
    """Which node_ids services want from now on, and which no longer: they are never on the direct path. A fresh
    connectd knows of none.
    """

    added: list[bytes]
    removed: list[bytes]


class SetAccess(ControlMessage, number=2019, sender="master", largest=MANY):
    """Who may connect, for `wire.control.access`: (what, reason, end in unix seconds). Replaces the earlier rules."""

    allow: list[tuple[str, str, float | None]]
    deny: list[tuple[str, str, float | None]]


class SetFeatures(ControlMessage, number=2020, sender="master"):
    """What `init` says from the next connection on: services come and go, and with them what they do."""

    features: bytes


class PeerConnected(
    ControlMessage,
    number=2002,
    sender="connectd",
    aliases=("gossip_peer_connected", "connect_peer_connected"),
    largest=MOVED,
):
    """INIT is done, here is the connection."""

    peer: PeerInfo
    state: PeerState
    peer_fd: Fd
    gossip_fd: Fd


class PeerHandedOver(ControlMessage, number=2003, sender="connectd"):
    """INIT is done, and gossipd gets the connection over the link in this moment: it says `peer_taken`."""

    peer: PeerInfo


class PeerReconnected(ControlMessage, number=2012, sender="connectd", aliases=("connect_reconnected",)):
    """The same node has connected again and waits: this older connection must end first."""

    node_id: bytes
    conn_id: int


class PeerDisconnected(
    ControlMessage, number=2015, sender=("master", "connectd", *OWNERS), aliases=("connectctl_peer_disconnected",)
):
    """The connection is gone. Said by its owner to the master and by the master to connectd, once for each conn_id."""

    node_id: bytes
    conn_id: int
    reason: str


class PeersElsewhere(ControlMessage, number=2021, sender="master", largest=MANY):
    """For a connectd that was restarted: these connections live, at their owners, and were an earlier one's."""

    peers: list[PeerInfo]


class NewGossipdLink(ControlMessage, number=2022, sender="master", largest=MANY):
    """gossipd was restarted: this is the link to it. What connectd has given to the one before it, by the direct
    path, is lost unless its conn_id is in `live`.
    """

    link_fd: Fd
    live: list[int]
    moved: bool = False
    """Nothing is lost: the gossipd before it has moved all to this one."""


class NewWebsocketdLink(ControlMessage, number=2023, sender="master"):
    """websocketd was started again, and hears connectd at this socket; WebSockets of the one before have ended."""

    websocket_fd: Fd


class MovePlace(Request, number=2050, sender="predecessor", largest=MANY):
    """From one connectd to the next: which nodes live where, addresses, onion services. `state` is
    `connectd.moving.MovedPlace`, by `wire.net.states`; `tor_fds` has the conversation with Tor's control port for each
    onion service in it, if that is up.
    """

    state: bytes = field(repr=False)
    tor_fds: list[Fd | None]


class MovePlaceReply(Reply, number=2150, sender="successor"):
    """All of that is there."""


class MovePlaceReplyfail(Refusal, number=2250, sender="successor"):
    """The state cannot be read: one sentence."""


class MoveCandidate(Request, number=2051, sender="predecessor", largest=GIVEN):
    """From one connectd to the next, after `move_done`: a connection that has done INIT and has no owner yet. `state`
    is `connectd.moving.MovedCandidate`, by `wire.net.states`.
    """

    state: bytes = field(repr=False)
    peer_fd: Fd


class MoveCandidateReply(Reply, number=2151, sender="successor"):
    """The connection was given to its owner."""


class MoveCandidateReplyfail(Refusal, number=2251, sender="successor"):
    """The connection has ended before that: one sentence."""


class Bootstrap(Request, number=2030, sender="master"):
    """No node is known: ask these DNS seeds (BOLT 10), by the system's resolver if no `nameserver` is named."""

    seeds: list[str]
    nameserver: str | None


class BootstrapReply(Reply, number=2130, sender="connectd", largest=SOME):
    """`candidates` has (node_id, address), `errors` has (seed, reason) for each that gave none."""

    candidates: list[tuple[bytes, str]]
    errors: list[tuple[str, str]]


class UnwrapWebsocket(ControlMessage, number=2040, sender="connectd"):
    """To websocketd: a stranger's TCP connection, and the end of a stream to which its payloads go."""

    conn_id: int
    address: str
    read_rate: int
    """As in the limits: of all WebSockets of a source."""
    proxies: list[str]
    """Not empty: the stranger is one of these; where its client is stands in the request, and `websocket_source` says.
    """
    tcp_fd: Fd
    stream_fd: Fd


class WebsocketSource(ControlMessage, number=2041, sender="websocketd"):
    """To connectd: where the client of a trusted proxy is. None: its WebSocket has ended before that was said."""

    conn_id: int
    address: str | None


class MoveBridge(Request, number=2052, sender="predecessor", largest=SOME):
    """From one websocketd to the next: a WebSocket's TCP connection and its stream, not to be read before `move_done`.
    `state` is `connectd.websocketd.bridges.MovedBridge`, by `wire.net.states`.
    """

    state: bytes = field(repr=False)
    tcp_fd: Fd
    stream_fd: Fd


class MoveBridgeReply(Reply, number=2152, sender="successor"):
    """The WebSocket is there, and waits."""


class MoveBridgeReplyfail(Refusal, number=2252, sender="successor"):
    """The state cannot be read: one sentence."""


class MoveLinks(Request, number=2053, sender="predecessor"):
    """From one websocketd to the next, after all WebSockets: the links to connectds, as their states number them."""

    link_fds: list[Fd]


class MoveLinksReply(Reply, number=2153, sender="successor"):
    """They are there, and so many WebSockets."""

    websockets: int


# 3xxx: gossipd


class GossipdInit(Request, number=3000, sender="master", aliases=("gossipctl_init",)):
    """First message to gossipd. With `check_txout` each announcement waits for `get_txout`. `store` is a path."""

    chain_hash: bytes
    node_id: bytes
    store: str
    check_txout: bool
    timing: Timing
    alias: str
    """From here on what our node_announcement says. Up to 32 bytes of UTF-8."""
    rgb: bytes
    features: bytes
    addresses: list[str]
    limits: Limits = field(default_factory=Limits)
    feed: str = ""
    """The ZMQ endpoint at which the feed is published; empty for no feed."""
    feed_keys: str = ""
    """The directory of its CURVE keys, for tcp."""
    vantage: str = ""
    """What the feed calls this node."""
    feed_needed: bool = False
    """A feed that cannot be published is an error: it was asked for."""
    gossip_v2: bool = False
    """Gossip v2 is judged, and kept beside the map."""
    predecessor_fd: Fd | None = None
    """Where another gossipd moves all that it has to this one, which opens the store when that one has let it go."""


class GossipdInitReply(Reply, number=3100, sender="gossipd", aliases=("gossipctl_init_reply",)):
    """The store is open, with so many channels and nodes; `note` says what had to be repaired, or is empty."""

    channels: int
    nodes: int
    note: str


class GossipdInitReplyfail(Refusal, number=3200, sender="gossipd"):
    """The store cannot be opened or written, or the feed not published."""


class HandlePeer(
    ControlMessage,
    number=3013,
    sender=("master", "connectd"),
    aliases=("gossipctl_handle_peer", "gossipctl_hand_back_peer", "connectctl_hand_back_peer"),
    largest=GIVEN,
):
    """The connection is yours. `send` goes to the peer first. The gossip fd is the one that its last owner had."""

    peer: PeerInfo
    state: PeerState
    send: list[bytes]
    gossip_state: GossipState | None
    peer_fd: Fd
    gossip_fd: Fd | None


class PeerTaken(ControlMessage, number=3113, sender="gossipd"):
    """gossipd owns the connection; said before anything else about this conn_id."""

    peer: PeerInfo


class PeerNongossip(
    ControlMessage,
    number=3003,
    sender=("gossipd", "connectiond"),
    aliases=("gossip_peer_nongossip", "connect_peer_nongossip"),
    largest=MOVED,
):
    """The peer said something that a route says to take: that message, and the connection."""

    node_id: bytes
    conn_id: int
    message: bytes
    message_type: int
    channel_id: bytes | None
    state: PeerState
    peer_fd: Fd
    gossip_fd: Fd


class ReleasePeer(
    ControlMessage,
    number=3004,
    sender="master",
    aliases=("gossipctl_release_peer", "connectctl_release_peer", "release_channel"),
):
    """A service wants this connection."""

    node_id: bytes
    conn_id: int


class ReleasePeerReply(
    ControlMessage,
    number=3104,
    sender="gossipd",
    aliases=("gossipctl_release_peer_reply", "connectctl_release_peer_reply"),
    largest=MOVED,
):
    """Here it is."""

    node_id: bytes
    conn_id: int
    state: PeerState
    peer_fd: Fd
    gossip_fd: Fd


class ReleasePeerReplyfail(
    ControlMessage,
    number=3204,
    sender="gossipd",
    aliases=("gossipctl_release_peer_replyfail", "connectctl_release_peer_replyfail"),
):
    """gossipd does not own it: it is gone, or crossed with `peer_nongossip`, which then decides."""

    node_id: bytes
    conn_id: int


class GetTxout(Request, number=3018, sender="gossipd", aliases=("gossip_get_txout",)):
    """What does this short_channel_id pay to? Answered when the chain can be asked, be it hours later. Where it is
    `script` the master watches it from then on."""

    short_channel_id: int
    script: bytes


class GetTxoutReply(Reply, number=3118, sender="master", aliases=("gossip_get_txout_reply",)):
    """The output: its amount and script. Where it is spent or was never there both are empty, and `reason` says so.

    `is_known` is false where the chain's node cannot tell: it has not got the block. `forged`: there never was such an
    output, or it paid to another script, so that no honest node announces it.
    """

    amount_sat: int
    script: bytes
    reason: str
    is_known: bool = True
    forged: bool = False


class UnwatchedChannels(Request, number=3035, sender="gossipd", largest=WHOLE_MAP):
    """All channels on the map: which of them are not watched? Others are let go."""

    short_channel_ids: list[int]


class UnwatchedChannelsReply(Reply, number=3135, sender="master", largest=WHOLE_MAP):
    """These: each is to be asked for with `get_txout`."""

    short_channel_ids: list[int]


class NewBlockheight(ControlMessage, number=3026, sender="master", aliases=("new_blockheight",)):
    """The best chain ends at this height; not said before it is known. Said again after every new block."""

    blockheight: int


class OutpointsSpent(
    Request, number=3024, sender="master", aliases=("outpoint_spent", "outpoints_spent"), largest=MANY
):
    """The block at this height spends the funding outputs of these channels."""

    blockheight: int
    short_channel_ids: list[int]


class OutpointsSpentReply(Reply, number=3124, sender="gossipd"):
    """They are dying, and it is in the store."""


class ChainReorganised(Request, number=3034, sender="master", largest=MANY):
    """The blocks above this height are undone, and the funding outputs of these channels are unspent again.

    Height 0: all blocks that were remembered are undone, and what was spent in older ones may be unspent, too.
    """

    blockheight: int
    unspent: list[int]


class ChainReorganisedReply(Reply, number=3134, sender="gossipd"):
    """They live again, and it is in the store."""


class AnnounceableChanged(ControlMessage, number=3016, sender="master"):
    """Where the world can reach us, for our node_announcement."""

    addresses: list[str]


class IdentityChanged(ControlMessage, number=3038, sender="master"):
    """What our node_announcement says from now on: the alias, and the colour."""

    alias: str
    rgb: bytes


class FeaturesChanged(ControlMessage, number=3017, sender="master"):
    """What our node_announcement says that we can do."""

    features: bytes


class ChangeWantedNodes(ControlMessage, number=3014, sender="master", largest=MANY):
    """Nodes that must not be the ones to go when there are too many peers: which from now on, and which no longer. A
    fresh gossipd knows of none.
    """

    added: list[bytes]
    removed: list[bytes]


class RandomNodes(Request, number=3046, sender="master"):
    """Some nodes of the map that have announced addresses, at most so many, chosen by chance."""

    count: int


class RandomNodesReply(Reply, number=3146, sender="gossipd", largest=SOME):
    """Each with its addresses."""

    nodes: list[tuple[bytes, list[str]]]


class FindChannel(Request, number=3047, sender="master"):
    """Whose channel of the map is this?"""

    short_channel_id: int


class FindChannelReply(Reply, number=3147, sender="gossipd"):
    """Its two nodes, node_id_1 first (BOLT 7); none if it is not there."""

    node_ids: list[bytes]


class NewConnectdLink(ControlMessage, number=3019, sender="master"):
    """A connectd was started: this is the link to it."""

    link_fd: Fd


class PeerFault(ControlMessage, number=3020, sender="gossipd"):
    """A connection with another owner has earned its end by its gossip."""

    node_id: bytes
    conn_id: int
    reason: str


class ChangeLocalChannels(ControlMessage, number=3010, sender="master", largest=MANY):
    """Channels of our own that services have, by short_channel_id or alias: those that are new or different, and the
    short_channel_ids of those that are none any more. A fresh gossipd knows of none.
    """

    added: list[LocalChannel]
    removed: list[int]


class RemoteChannelUpdate(ControlMessage, number=3011, sender="gossipd", aliases=("gossipd_remote_channel_update",)):
    """The peer of a local channel has said, for us alone, what it asks for. The signature is right. BOLT 7 (B7-79)."""

    node_id: bytes
    short_channel_id: int
    service: str
    channel_update: bytes


class AddGossip(Request, number=3044, sender="master", aliases=("addgossip",)):
    """A gossip message from a user."""

    message: bytes


class AddGossipReply(Reply, number=3144, sender="gossipd", aliases=("addgossip_reply",)):
    """Taken, or known already."""


class AddGossipReplyfail(Refusal, number=3244, sender="gossipd"):
    """Refused."""


class FeedPeerConnected(ControlMessage, number=3050, sender="master"):
    """For the feed: a peer is connected since `time_ns` (unix), with any owner."""

    peer: PeerInfo
    time_ns: int


class FeedPeerDisconnected(ControlMessage, number=3051, sender="master"):
    """For the feed: a connection has ended at `time_ns` (unix)."""

    node_id: bytes
    conn_id: int
    reason: str
    time_ns: int


class FeedPeersWanted(ControlMessage, number=3052, sender="gossipd"):
    """Whether anyone takes from the feed what the two messages above bring: while no one does they need not be sent.
    Said in answer to one in vain, and then when someone comes.
    """

    wanted: bool


class TakeFeed(ControlMessage, number=3053, sender="master"):
    """Tell the master of these topics of the feed, and of no others: clients of its JSON-RPC want to hear of them."""

    topics: list[str]


class FeedSaid(ControlMessage, number=3054, sender="gossipd"):
    """A message of the feed, its body in msgpack. `lost`: messages before this one that found no room."""

    topic: str
    body: bytes
    lost: int


class CopyCustom(ControlMessage, number=3055, sender="master"):
    """Whether the master wants a copy (`peer_message`) of each message that is no BOLT's and has no other route."""

    wanted: bool


class GossipStatus(Request, number=3030, sender="master"):
    """How is the map?"""


class GossipStatusReply(Reply, number=3130, sender="gossipd", largest=SOME):
    """What the seeker is about, in words, counters by name, and what each peer's gossip has been worth."""

    state: str
    counters: list[tuple[str, int]]
    peers: list[PeerGossip]


class Resync(Request, number=3032, sender="master"):
    """Begin the synchronisation again: stream everything of one peer, then compare."""


class ResyncReply(Reply, number=3132, sender="gossipd"):
    """Begun."""


class CompactStore(Request, number=3033, sender="master", aliases=("gossipd_dev_compact_store",)):
    """Compact the gossip_store now, whether it is worth it or not."""


class CompactStoreReply(Reply, number=3133, sender="gossipd", aliases=("gossipd_dev_compact_store_reply",)):
    """Done; so many bytes it has now."""

    store_bytes: int


class CompactStoreReplyfail(Refusal, number=3233, sender="gossipd"):
    """The disk would not; the store is as it was."""


class OpenStore(Request, number=3061, sender="predecessor"):
    """From one gossipd to the next: the store is let go. Open it, and write nothing into it before `move_done`."""


class OpenStoreReply(Reply, number=3161, sender="successor"):
    """The store is open."""


class OpenStoreReplyfail(Refusal, number=3261, sender="successor"):
    """The store cannot be opened."""


class MovePeer(Request, number=3062, sender="predecessor", largest=MANY):
    """A connection (`peer_fd`) that is not to be read before `move_done`, or the gossip fd of one with another owner.
    `state` is `gossipd.moving.MovedPeer`, by `wire.net.states`: the next gossipd may be of another version. From one
    connectiond to the next: both fds, with `connectd.connectiond.moved.MovedLine`.
    """

    state: bytes = field(repr=False)
    peer_fd: Fd | None
    gossip_fd: Fd | None


class MovePeerReply(Reply, number=3162, sender="successor"):
    """The peer is there, and waits."""


class MovePeerReplyfail(Refusal, number=3262, sender="successor"):
    """The state cannot be read: one sentence."""


class MoveRest(Request, number=3063, sender="predecessor", largest=MANY):
    """What is of no single connection: `gossipd.moving.MovedRest`, by `wire.net.states`."""

    state: bytes = field(repr=False)


class MoveRestReply(Reply, number=3163, sender="successor"):
    """All of that is there, and so many connections."""

    peers: int


class MoveRestReplyfail(Refusal, number=3263, sender="successor"):
    """The state cannot be read: one sentence."""


# 4xxx: the link between connectd and gossipd


class GossipNewPeer(Request, number=4000, sender="connectd", aliases=("gossip_new_peer",)):
    """A gossip fd is wanted for this connection, which gossipd will not own at first."""

    peer: PeerInfo


class GossipNewPeerReply(Reply, number=4100, sender="gossipd", aliases=("gossip_new_peer_reply",)):
    """The owner's end of the gossip fd."""

    gossip_fd: Fd


class GossipGetAddrs(Request, number=4001, sender="connectd", aliases=("gossip_get_addrs",)):
    """Which addresses has this node announced?"""

    node_id: bytes


class GossipGetAddrsReply(Reply, number=4101, sender="gossipd", aliases=("gossip_get_addrs_reply",), largest=SOME):
    """Those of its node_announcement, in its order."""

    addresses: list[str]


# 5xxx: hsmd


class HsmInit(Request, number=5000, sender="master", aliases=("hsmctl_init",)):
    """First message to hsmd: the secret's file, which is made if it is not there. A given key replaces it (tests). Its
    passphrase is to be read from the fd, if there is one: the master does not see it."""

    hsm_secret: str
    dev_force_privkey: bytes | None = field(repr=False)
    passphrase_fd: Fd | None = None
    must_exist: bool = False
    """There is a secret: if its file has gone no other is made."""


class HsmInitReply(Reply, number=5100, sender="hsmd", aliases=("hsmctl_init_reply",)):
    """The key is loaded; this is its public half."""

    node_id: bytes


class HsmInitReplyfail(Refusal, number=5200, sender="hsmd"):
    """The file cannot be used."""


class ClientHsmfd(ControlMessage, number=5009, sender="master", aliases=("hsm_client_hsmfd",)):
    """A new client's socket; `client` names the row of the permission table."""

    client: str
    fd: Fd


class MoveClient(ControlMessage, number=5010, sender="predecessor"):
    """From one hsmd to the next: the socket of a client, not to be read before `move_done`."""

    client: str
    fd: Fd


class MoveClients(Request, number=5011, sender="predecessor"):
    """These were all: so many."""

    count: int


class MoveClientsReply(Reply, number=5111, sender="successor"):
    """All are there."""


class Ecdh(Request, number=5001, sender="connectd", aliases=("hsm_ecdh_req",)):
    """SHA256 of the compressed product of the node's key and this point. BOLT 8."""

    point: bytes


class EcdhReply(Reply, number=5101, sender="hsmd", aliases=("hsm_ecdh_resp",)):
    """The shared secret, 32 bytes."""

    shared_secret: bytes = field(repr=False)


class OnionHopKeys(Request, number=5006, sender="oniond"):
    """What follows from the node's key for one hop of an onion message. No product of the key is told,
    as `ecdh` tells it: only what BOLT 4 derives from two of them (`wire.onion.keys`).
    """

    path_key: bytes
    public_key: bytes


class OnionHopKeysReply(Reply, number=5106, sender="hsmd"):
    """32 bytes each: PathKeys' two and OnionKeys' three."""

    path_rho: bytes = field(repr=False)
    path_factor: bytes = field(repr=False)
    rho: bytes = field(repr=False)
    mu: bytes = field(repr=False)
    factor: bytes = field(repr=False)


class SignMessage(Request, number=5023, sender="master", aliases=("hsm_sign_message",)):
    """Sign what a user wants to be signed; a prefix keeps it from being anything else."""

    message: bytes


class SignMessageReply(Reply, number=5123, sender="hsmd", aliases=("hsm_sign_message_reply",)):
    """The signature, 64 bytes, and the number with which the key can be found from it."""

    signature: bytes
    recovery_id: int


class DeriveSecret(Request, number=5027, sender="master", aliases=("hsm_derive_secret",)):
    """Derive 32 bytes from the node's secret and this: a user's key for something else."""

    info: bytes


class DeriveSecretReply(Reply, number=5127, sender="hsmd", aliases=("hsm_derive_secret_reply",)):
    """No key of the node's own can be had so."""

    secret: bytes = field(repr=False)


class DeriveSecretReplyfail(Refusal, number=5227, sender="hsmd"):
    """There is no secret to derive from: a key was forced."""


class SignChannelUpdate(Request, number=5003, sender="gossipd", aliases=("hsm_cupdate_sig_req",)):
    """Sign a channel_update."""

    message: bytes


class SignChannelAnnouncement(Request, number=5002, sender="service", aliases=("hsm_cannouncement_sig_req",)):
    """Sign a channel_announcement as one of its two nodes, for a service that may."""

    message: bytes


class SignChannelUpdateReply(Reply, number=5103, sender="hsmd", aliases=("hsm_cupdate_sig_reply",)):
    """The signature, 64 bytes."""

    signature: bytes


class SignChannelAnnouncementReply(Reply, number=5102, sender="hsmd", aliases=("hsm_cannouncement_sig_reply",)):
    """The signature, 64 bytes."""

    signature: bytes


class SignChannelAnnouncementReplyfail(Refusal, number=5202, sender="hsmd"):
    """No channel_announcement, or not one of ours."""


class SignNodeAnnouncement(Request, number=5004, sender="gossipd", aliases=("hsm_node_announcement_sig_req",)):
    """Sign our node_announcement; what stands in its place for the signature does not matter. BOLT 7."""

    announcement: bytes


class SignNodeAnnouncementReply(Reply, number=5104, sender="hsmd", aliases=("hsm_node_announcement_sig_reply",)):
    """The signature, 64 bytes."""

    signature: bytes


# 6xxx: to and from a connection's owner


class SetMessageRoutes(ControlMessage, number=6000, sender="master"):
    """What an owner does with each message type: (type, action of `wire.routing`); a type not named has its default."""

    routes: list[tuple[int, str]]


class TakePeer(ControlMessage, number=6001, sender="master", largest=GIVEN):
    """The connection is yours, and this is the message for which you were called; nil if you may speak first."""

    service: str
    peer: PeerInfo
    message: bytes | None
    state: PeerState
    peer_fd: Fd
    gossip_fd: Fd | None
    """Nil if there is no gossipd: connectiond on its own."""
    timing: Timing = field(default_factory=Timing)
    hsm_fd: Fd | None = None
    """A socket to hsmd for `sign_channel_announcement`, if the service may have them signed."""
    limits: Limits = field(default_factory=Limits)


class SendMessage(Request, number=6002, sender="master", aliases=("sendcustommsg",)):
    """Send this message to the peer."""

    node_id: bytes
    conn_id: int
    message: bytes


class SendMessageReply(Reply, number=6102, sender=OWNERS):
    """In the connection's queue."""


class SendMessageReplyfail(Refusal, number=6202, sender=OWNERS):
    """No such connection here, or its queue is full."""


class Ping(Request, number=6003, sender="master", aliases=("gossip_ping", "connectd_ping")):
    """Ping the peer with so many ignored bytes, asking for so many back. BOLT 1."""

    node_id: bytes
    conn_id: int
    num_pong_bytes: int
    ignored_len: int


class Pong(Reply, number=6103, sender=OWNERS, aliases=("gossip_ping_reply", "connectd_ping_done")):
    """The pong came, so many bytes in all; 0 where none was asked for."""

    totlen: int


class PingReplyfail(Refusal, number=6203, sender=OWNERS):
    """No such connection here, or it ended first."""


class ListPeers(Request, number=6007, sender="master"):
    """How do the connections do that you own?"""


class ListPeersReply(Reply, number=6107, sender=OWNERS, largest=SOME):
    """All of them."""

    peers: list[PeerStats]


class Disconnect(ControlMessage, number=6004, sender="master", aliases=("connectctl_peer_disconnect",)):
    """End this connection, after `send` has gone out, then say `peer_disconnected`."""

    node_id: bytes
    conn_id: int
    send: list[bytes]
    reason: str


class GiveBack(ControlMessage, number=6005, sender="master"):
    """Give this connection back; `give_back_all` with no conn_id."""

    conn_id: int | None


class PeerGivenBack(ControlMessage, number=6105, sender=OWNERS, largest=MOVED):
    """The connection is the master's again; `send` is to go to the peer first."""

    node_id: bytes
    conn_id: int
    state: PeerState
    send: list[bytes]
    gossip_state: GossipState | None
    peer_fd: Fd
    gossip_fd: Fd | None


class AllGivenBack(ControlMessage, number=6106, sender=OWNERS):
    """Nothing is left here: the answer to a `give_back` of everything."""


class PeerMessage(ControlMessage, number=6010, sender=(*OWNERS, "master")):
    """A copy of what the peer said, for a service; the connection stays. The master passes it on to listeners."""

    node_id: bytes
    conn_id: int
    message: bytes
    message_type: int
    channel_id: bytes | None


class Listen(ControlMessage, number=6011, sender="master"):
    """To a service's program that owns no connection: a `peer_message` follows for each copy that it asked for."""

    service: str


class CopyTaken(ControlMessage, number=6012, sender="program"):
    """The oldest copy that was not taken yet is now in the program's hands. Those that are not come again to the next
    one if it dies.
    """


class CopiesLost(ControlMessage, number=6013, sender="master"):
    """So many copies for this service are lost since the node began, because its programs did not take them."""

    lost: int


# 602x: connectiond, which owns the peers of bus services


class ConnectiondInit(Request, number=6020, sender="master"):
    """First message to connectiond: where to bind the MSG bus; `curve` is the directory of its keys, for tcp."""

    msg: str
    curve: str
    timing: Timing
    limits: Limits = field(default_factory=Limits)
    takes_place: bool = False
    """Another connectiond has the bus: bind nothing, and wait for `take_place`."""


class ConnectiondInitReply(Reply, number=6120, sender="connectiond"):
    """Bound: the endpoint to connect to, with the port that the kernel chose. Or ready to take another one's place."""

    msg: str


class ConnectiondInitReplyfail(Refusal, number=6220, sender="connectiond"):
    """Cannot be bound."""


class MoveBus(Request, number=6024, sender="predecessor", largest=MANY):
    """From one connectiond to the next: what is of no single connection, `connectd.connectiond.moved.MovedBus`, by
    `wire.net.states`, and the socket at which the MSG bus listens: nothing is accepted there before `move_done`.
    """

    state: bytes = field(repr=False)
    listener_fd: Fd


class MoveBusReply(Reply, number=6124, sender="successor"):
    """All of that is there, and so many connections."""

    peers: int


class MoveBusReplyfail(Refusal, number=6224, sender="successor"):
    """The state cannot be read: one sentence."""


class ChangeServiceRegistrations(ControlMessage, number=6021, sender="master", largest=MANY):
    """What a bus service has registered besides what is known of it, and what it has given up. `channels` has
    (channel_id, node_id); one that was known has another node now. A fresh connectiond knows nothing.

    `ticket` is what it says on MSG to be known; empty while the service is away.
    """

    service: str
    ticket: bytes = field(repr=False)
    node_ids: list[bytes] = field(default_factory=list)
    channels: list[tuple[bytes, bytes]] = field(default_factory=list)
    take: list[int] = field(default_factory=list)
    without_node_ids: list[bytes] = field(default_factory=list)
    without_channel_ids: list[bytes] = field(default_factory=list)
    without_take: list[int] = field(default_factory=list)


class ServicePresence(ControlMessage, number=6022, sender="connectiond"):
    """A bus service has come to MSG, or has left it."""

    service: str
    here: bool
    reason: str


class PeerOwner(ControlMessage, number=6023, sender="connectiond"):
    """The connection's first service has given back its part; this one, which has another, stands for it now."""

    node_id: bytes
    conn_id: int
    service: str


# 603x: connectiond on its own, which is the master of the process or thread that it starts for each connection


class PeerWords(ControlMessage, number=6030, sender=("master", "connectiond")):
    """A message: from the master what the peer is to be told, to the master what the peer has said."""

    message: bytes


class WordsTaken(ControlMessage, number=6031, sender=("master", "connectiond")):
    """So many `peer_words` of the other end have been dealt with, the oldest ones: encrypted for the peer's socket, or
    taken in by the master, who may be ahead of that by a window.
    """

    messages: int


# 7xxx: listingd


class ListingdInit(Request, number=7000, sender="master"):
    """First message to listingd. `store`: the gossip_store's path, which it looks at; it may open nothing."""

    store: str


class ListingdInitReply(Reply, number=7100, sender="listingd"):
    """Ready for listings."""


class WriteListing(Request, number=7001, sender="master"):
    """Write to `fd`, which we leave alone meanwhile: `before`, the entries with commas between them, `after`.

    `packed`: the entries in msgpack instead of JSON, back to back. `store_fd`: what lies at the store's path now, open.
    """

    listing: MapListing
    packed: bool
    before: bytes
    after: bytes
    store_fd: Fd
    fd: Fd


class WriteListingReply(Reply, number=7101, sender="listingd"):
    """All is written."""

    entries: int


class WriteListingReplyfail(Refusal, number=7201, sender="listingd"):
    """The store cannot be read, or the client takes nothing. `begun`: a part may have been written."""

    begun: bool


# 8xxx: oniond


class OniondInit(Request, number=8000, sender="master"):
    """First message to oniond. `secret`: 32 bytes, under which it knows the path_ids of its own paths again."""

    node_id: bytes
    secret: bytes = field(repr=False)


class OniondInitReply(Reply, number=8100, sender="oniond"):
    """Ready for onions."""


class OnionHeard(ControlMessage, number=8001, sender="master"):
    """A peer has said this onion_message, of which nothing has been looked at but its type."""

    node_id: bytes
    message: bytes


class OnionToSay(ControlMessage, number=8002, sender="oniond"):
    """Have this onion_message said to this node, if it is connected; otherwise nothing is done."""

    node_id: bytes
    message: bytes
    source: bytes
    """The node that has said it to us; empty if a service has."""


class SetOnionPayloads(ControlMessage, number=8003, sender="master"):
    """Types of payload fields that services understand: messages with other even ones are ignored (BOLT 4)."""

    types: list[int]


class OnionForUs(ControlMessage, number=8004, sender=("oniond", "master")):
    """A message for this node. `fields`: of onionmsg_tlv, by type, without reply_path and encrypted_recipient_data.

    `service` and `context` if it came along a path of ours: for whom that was made, and what for. Else `service` is
    None, whatever path_id it had.
    """

    fields: list[tuple[int, bytes]]
    reply_path: bytes
    """A blinded_path; empty if there is none."""
    path_key: bytes
    service: str | None
    context: bytes


class FindNextHop(Request, number=8005, sender="oniond"):
    """Whose channel is this, of a service, perhaps by an alias, or on the map?"""

    short_channel_id: int


class FindNextHopReply(Reply, number=8105, sender="master"):
    """Its two nodes, node_id_1 first (BOLT 7); none if it is not known."""

    node_ids: list[bytes]


class MakeBlindedPath(Request, number=8010, sender="master"):
    """A path to this node by way of these, the introduction node first; none: we are that ourselves."""

    node_ids: list[bytes]
    service: str
    context: bytes


class MakeBlindedPathReply(Reply, number=8110, sender="oniond"):
    """The blinded_path, as BOLT 4 writes it."""

    path: bytes


class MakeBlindedPathReplyfail(Refusal, number=8210, sender="oniond"):
    """What was asked for is no path."""


class MakeOnion(Request, number=8011, sender="master"):
    """An onion_message to the last of these nodes, each of which is connected with the next one; or, by way of them, to
    the end of this blinded_path, if it is not empty.
    """

    node_ids: list[bytes]
    path: bytes
    fields: list[tuple[int, bytes]]
    reply_path: bytes


class MakeOnionReply(Reply, number=8111, sender="oniond"):
    """What is to be said to whom. `node_id` is None if the first node was this one: then it is on its way already."""

    node_id: bytes | None
    message: bytes


class MakeOnionReplyfail(Refusal, number=8211, sender="oniond"):
    """What was asked for cannot be sent so."""
