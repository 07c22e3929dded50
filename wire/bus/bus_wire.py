"""The messages of the buses CTL, MSG and CHNL: what services in any language and we say to each other, declared once.

A message is two ZMQ frames: the address of the other end (to whom; on arrival, from whom), and a msgpack map with the
string keys `v` (1), `type`, and the fields below. Keys, hashes and messages are bin, never hex. A key that is not known
is ignored; one that has a default may be left out. `id` is whatever the asker chose, and comes back in the answer.
docs/bus.md explains them, docs/bus-messages.md is generated from here.
"""

from dataclasses import field

from wire.bus.bus_message import VERSION, BusMessage, Id, pack
from wire.start.late_dataclass import dataclass

LIGHTNINGD = b"lightningd"
"""The address of the node itself on CTL and CHNL."""
CONNECTIOND = b"connectiond"
"""The address of the peers' owner on MSG."""
CREDIT = 256
"""Messages of one connection that may be on the way in one direction, if nothing else is said."""
MAX_CREDIT = 65_536

# parts of messages


@dataclass(frozen=True, slots=True)
class BusChannel:
    """A channel that a service has with a node. With `short_channel_id` (or an alias) gossipd knows of it, too."""

    channel_id: bytes
    node_id: bytes
    short_channel_id: int | None = None


@dataclass(frozen=True, slots=True)
class BusPeer:
    """A connection. `owner`: connectd, gossipd, master, or a service's name."""

    node_id: bytes
    conn_id: int
    owner: str
    address: str
    incoming: bool
    features: bytes


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """What a service has registered, and whether it is here. `kind`: program or bus."""

    service: str
    kind: str
    here: bool
    node_ids: list[bytes]
    channels: list[BusChannel]
    take: list[int]
    copy: list[int]
    offer: list[str]
    allow: list[str]
    deny: list[str]
    onion_messages: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OnionField:
    """One field of an `onionmsg_tlv` (BOLT 4): from type 64 on it is a payload, of which a message has one."""

    type: int
    value: bytes


# on every bus


class Hello(BusMessage, bus=("ctl", "msg", "chnl"), sender="service"):
    """First message on each bus: who speaks. `ticket` is CTL's `welcome`'s, and is needed on MSG, and on CHNL for the
    name of a service. `credit`: messages of each connection that the service takes before it gives more (MSG).
    """

    service: str
    ticket: bytes = field(default=b"", repr=False)
    credit: int = CREDIT
    id: Id = None
    resumes: bool = False
    """The service goes on with what it has, after `restart` on MSG or the master's on CTL and CHNL: said four times a
    second until `welcome` comes.
    """


class Ok(BusMessage, bus=("ctl", "msg", "chnl"), sender="node"):
    """Done."""

    id: Id = None


class Error(BusMessage, bus=("ctl", "msg", "chnl"), sender="node"):
    """Not done, and why, in one sentence. `conn_id` if it is about a connection."""

    error: str
    id: Id = None
    conn_id: int | None = None


class Heartbeat(BusMessage, bus=("ctl", "msg", "chnl"), sender="node"):
    """The node lives. Every few seconds; there is nothing to answer."""


class Goodbye(BusMessage, bus=("ctl", "msg", "chnl"), sender=("service", "node")):
    """The session ends here; from the node with the reason."""

    reason: str = ""
    again: bool = False
    """Another process of the node goes on with what the service has: say `hello` again, with `resumes`."""


# CTL: service -> node


class Register(BusMessage, bus="ctl", sender="service"):
    """Add to what this service wants: all of it or, with an `error`, nothing. Nodes and channels are kept while it is
    away; the rest lasts as long as its session.
    """

    node_ids: list[bytes] = field(default_factory=list)
    """Every connection of these nodes is taken as soon as it is there."""
    channels: list[BusChannel] = field(default_factory=list)
    """Messages with these channel_ids, and the connections of their nodes as above."""
    take: list[int] = field(default_factory=list)
    """Message types for which a connection moves here."""
    copy: list[int] = field(default_factory=list)
    """Message types of which a copy comes over CTL while the connection stays where it is."""
    offer: list[str] = field(default_factory=list)
    """Features that stand in init and node_announcement as long as this service is here."""
    allow: list[str] = field(default_factory=list)
    deny: list[str] = field(default_factory=list)
    """Rules as `--allow` and `--deny` have them."""
    events: bool = False
    """Tell of every connection that comes, goes, or changes its owner."""
    id: Id = None
    onion_messages: list[int] = field(default_factory=list)
    """Types of payloads that this service understands: onion messages to this node that have one of them come here."""


class Unregister(BusMessage, bus="ctl", sender="service"):
    """Take this back. What was not registered is no error."""

    node_ids: list[bytes] = field(default_factory=list)
    channel_ids: list[bytes] = field(default_factory=list)
    take: list[int] = field(default_factory=list)
    copy: list[int] = field(default_factory=list)
    offer: list[str] = field(default_factory=list)
    allow: list[str] = field(default_factory=list)
    deny: list[str] = field(default_factory=list)
    events: bool = False
    id: Id = None
    onion_messages: list[int] = field(default_factory=list)


class ListRegistrations(BusMessage, bus="ctl", sender="service"):
    """Who has registered what? Answered by `registrations`."""

    id: Id = None


class ListPeers(BusMessage, bus="ctl", sender="service"):
    """Who is connected, and who owns what? Answered by `peers`."""

    id: Id = None


class Connect(BusMessage, bus="ctl", sender="service"):
    """Reach a node, at this address first. Answered by `connected`."""

    node_id: bytes
    address: str | None = None
    id: Id = None


class Disconnect(BusMessage, bus=("ctl", "msg"), sender="service"):
    """End a connection: on CTL by node_id, one that no other service owns; on MSG by conn_id, one's own."""

    node_id: bytes | None = None
    conn_id: int | None = None
    reason: str = ""
    id: Id = None


class ReleasePeer(BusMessage, bus="ctl", sender="service"):
    """Move this node's connection, with which gossipd gossips, to this service now."""

    node_id: bytes
    id: Id = None


class SendMessage(BusMessage, bus="ctl", sender="service"):
    """Send a peer a message of a type that this service has registered for copies, or that is no service's and odd."""

    node_id: bytes
    message: bytes
    id: Id = None


class SignChannelAnnouncement(BusMessage, bus="ctl", sender="service"):
    """Sign as one of its two nodes; only for services named by --may-sign. Answered by `signature`."""

    message: bytes
    id: Id = None


class StoreWithPeers(BusMessage, bus="ctl", sender="service"):
    """Have this kept by the peers with which this service has channels and that offer option_provide_storage; at most
    65,531 bytes. What they give back comes as `peer_storage_retrieval` from here on, without a blob, too. Answered by
    `ok`.
    """

    blob: bytes | None = field(default=None, repr=False)
    id: Id = None


class MakeBlindedPath(BusMessage, bus="ctl", sender="service"):
    """Make a blinded path to this node, by way of these nodes, the introduction node first; none: we are that. What
    comes along it is told to this service alone, with `context`. Answered by `blinded_path`.
    """

    node_ids: list[bytes] = field(default_factory=list)
    context: bytes = b""
    id: Id = None


class SendOnionMessage(BusMessage, bus="ctl", sender="service"):
    """Send an onion message to the last of these nodes, or by way of them along a blinded path of another's. The first
    one is connected with us, each with the next one. Done when it is on its way: no one says whether it arrives.
    """

    fields: list[OnionField]
    node_ids: list[bytes] = field(default_factory=list)
    path: bytes = b""
    reply_path: bytes = b""
    """A blinded path to us, for an answer."""
    id: Id = None


# CTL: node -> service


class Welcome(BusMessage, bus=("ctl", "msg", "chnl"), sender="node"):
    """The answer to `hello`. On CTL with all fields; `msg` is the endpoint of the MSG bus, and nodes and channels are
    those that were kept for this service.
    """

    service: str
    ticket: bytes = field(default=b"", repr=False)
    node_id: bytes = b""
    network: str = ""
    features: bytes = b""
    version: str = ""
    msg: str = ""
    node_ids: list[bytes] = field(default_factory=list)
    channels: list[BusChannel] = field(default_factory=list)
    id: Id = None


class Registrations(BusMessage, bus="ctl", sender="node"):
    """All services."""

    services: list[ServiceEntry]
    id: Id = None


class Peers(BusMessage, bus="ctl", sender="node"):
    """All connections."""

    peers: list[BusPeer]
    id: Id = None


class Connected(BusMessage, bus="ctl", sender="node"):
    """The node is connected, now or since long."""

    peer: BusPeer
    id: Id = None


class Signature(BusMessage, bus="ctl", sender="node"):
    """64 bytes."""

    signature: bytes
    id: Id = None


class BlindedPath(BusMessage, bus="ctl", sender="node"):
    """A blinded_path to this node, as BOLT 4 writes it."""

    path: bytes
    id: Id = None


class OnionMessage(BusMessage, bus="ctl", sender="node"):
    """Event: an onion message for this node, with a payload that the service has registered. `lost`: so many such
    messages were lost before it, because this service did not read.

    `own_path`: it came along a path that this service has made, with that path's `context`. Without it, it is no answer
    to anything that was sent with a reply_path, whatever it says, and must not be treated as one (BOLT 4).
    """

    fields: list[OnionField]
    reply_path: bytes
    """Where an answer may go, for `send_onion_message`; empty if none is wanted."""
    path_key: bytes
    """With which it came to us: a BOLT 12 service needs it to sign for a blinded path."""
    own_path: bool
    context: bytes
    lost: int = 0


class PeerConnected(BusMessage, bus="ctl", sender="node"):
    """Event: a connection is there."""

    peer: BusPeer


class PeerOwner(BusMessage, bus="ctl", sender="node"):
    """Event: a connection has this owner now."""

    node_id: bytes
    conn_id: int
    owner: str


class PeerDisconnected(BusMessage, bus=("ctl", "msg"), sender="node"):
    """A connection has ended: on CTL an event, on MSG the last word about one that was the service's."""

    node_id: bytes
    conn_id: int
    reason: str


class PeerMessage(BusMessage, bus="ctl", sender="node"):
    """A copy of what a peer said. `lost`: so many copies were lost before it, because this service did not read."""

    node_id: bytes
    conn_id: int
    message_type: int
    channel_id: bytes | None
    message: bytes
    lost: int = 0


class RemoteChannelUpdate(BusMessage, bus="ctl", sender="node"):
    """The peer of a registered channel says, for us alone, what it asks for; its signature is right. BOLT 7."""

    node_id: bytes
    short_channel_id: int
    channel_update: bytes


class PeerStorageRetrieval(BusMessage, bus="ctl", sender="node"):
    """Event: a peer gives back what it has kept for us. Whether it is whole and the newest is the service's to see."""

    node_id: bytes
    blob: bytes = field(repr=False)


# MSG


class TakePeer(BusMessage, bus="msg", sender="node"):
    """The connection, or a part in it, is this service's, who may speak first. `credit`: messages that it may send
    before more is given. If a message was the reason it follows as the first one.
    """

    conn_id: int
    node_id: bytes
    address: str
    incoming: bool
    features: bytes
    credit: int


class Message(BusMessage, bus="msg", sender=("service", "node")):
    """What the peer says, or is to be told: a BOLT message, its type first. `seq` counts from 1 in each direction of
    each connection and service; the node fills in the last three fields.
    """

    conn_id: int
    seq: int
    message: bytes
    node_id: bytes | None = None
    message_type: int | None = None
    channel_id: bytes | None = None

    def encode(self) -> bytes:
        """The body. Hot: written out, where the other messages have one way for all."""
        return bytes(
            pack(
                {
                    "v": VERSION,
                    "type": "message",
                    "conn_id": self.conn_id,
                    "seq": self.seq,
                    "message": self.message,
                    "node_id": self.node_id,
                    "message_type": self.message_type,
                    "channel_id": self.channel_id,
                }
            )
        )


class Credit(BusMessage, bus="msg", sender=("service", "node")):
    """So many messages more may be sent on this connection."""

    conn_id: int
    messages: int


class Restart(BusMessage, bus="msg", sender="node"):
    """Another connectiond takes the place of this one. Say `hello` again, with `resumes`, four times a second until
    `welcome` comes, and nothing else on MSG until then: all goes on, with the same numbers and the same credit.
    """


class GiveBack(BusMessage, bus="msg", sender="service"):
    """This service has nothing more to do with the connection; it goes back to gossipd when no other service has."""

    conn_id: int
    heard: int | None = None
    """`seq` of the last message that it has heard, 0 for none: if one more is on its way to it this has no effect, for
    that one it may want to answer. Left out, such a message is lost.
    """


class PeerGivenBack(BusMessage, bus="msg", sender="node"):
    """The connection is no longer this service's, as it wished: the last word about it."""

    conn_id: int
