"""The feed's messages: what gossipd publishes over ZMQ of every gossip arrival, the map, and peers that come and go.

A message is two frames: its topic in ASCII, and a msgpack map whose keys are strings. Each topic has its dataclass
here; its fields are the map's. Readers ignore keys that they do not know: new ones may come under the same version.
docs/feed.md explains all of it.
"""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

import msgpack

from wire.start.late_dataclass import dataclass

VERSION = 1
"""Changes when a key gets another meaning or goes away."""


class FeedError(Exception):
    """What came is no message of a feed of this version, or no feed is there."""


class Outcome(StrEnum):
    """What became of a gossip message that arrived."""

    NEW = "new"
    """Rightly signed, and newer than what is known."""
    REDUNDANT = "redundant"
    """This message, or something newer, is known or is being checked."""
    WAITING = "waiting"
    """Waits, and `reason` says for what; the map's topics tell when it gets there."""
    RATE_LIMITED = "rate-limited"
    """Rightly signed, but its channel updates too often."""
    OWED = "owed"
    """There was no room for it: it will be asked for again."""
    REJECTED = "rejected"
    """`reason` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedMessage:
    """What every message has. `seq` counts the topic's messages from 1: a gap is what this subscriber has lost.
    `time_ns` is in unix nanoseconds. `vantage` names the node, `epoch` (unix nanoseconds) this run of its gossipd; an
    older node says neither. So has each field that came later a default."""

    topic: str
    seq: int
    time_ns: int
    vantage: str = ""
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class About(FeedMessage):
    """A gossip message, `raw` with its type. `hash` is SHA256 of it, `inner_hash` of what it says whenever it is said
    (docs/feed.md). What it does not have, or is cut before, is None. `about`: the node of a node_announcement."""

    raw: bytes
    type: int = 0
    size: int = 0
    hash: bytes = b""
    inner_hash: bytes = b""
    short_channel_id: int | None = None
    direction: int | None = None
    timestamp: int | None = None
    about: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gossip(About):
    """A gossip message has arrived. Of the connection all is None for a message of our own, or one that was added by
    hand. `incoming`: the peer had dialled us. `phase`: sync, or live."""

    node_id: bytes | None
    conn_id: int | None
    incoming: bool | None
    outcome: str
    reason: str
    phase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent(About):
    """A gossip message goes out to a peer."""

    node_id: bytes
    conn_id: int
    incoming: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MapChannel(FeedMessage):
    """A channel is on the map. `amount_sat` is None where its output was not looked up; `timestamp` (seconds) is that
    of its first update, 0 if none has come."""

    short_channel_id: int
    amount_sat: int | None
    timestamp: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MapUpdate(FeedMessage):
    """A direction of a channel on the map has a new channel_update."""

    short_channel_id: int
    direction: int
    timestamp: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNode(FeedMessage):
    """A node on the map has a new node_announcement."""

    node_id: bytes
    timestamp: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDying(FeedMessage):
    """A channel's output was spent: it leaves the map at block `deadline`."""

    short_channel_id: int
    deadline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRemoved(FeedMessage):
    """A channel has left the map. `why`: spent, pruned (stale), blacklisted (its nodes), contradicted or unspent: of
    the last two it is written again at once.
    """

    short_channel_id: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRemoved(FeedMessage):
    """A node has left the map with its last channel."""

    node_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnected(FeedMessage):
    """INIT is done. `features` are those of the peer's init."""

    node_id: bytes
    conn_id: int
    address: str
    incoming: bool
    features: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDisconnected(FeedMessage):
    """A connection has ended."""

    node_id: bytes
    conn_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPing(FeedMessage):
    """A ping or a pong. `dir`: in or out. `size`: the bytes that a ping asks for, or that a pong brings."""

    node_id: bytes
    conn_id: int
    incoming: bool
    dir: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPong(PeerPing):
    """`rtt_ns`: nanoseconds since our ping, of a pong that answers one."""

    rtt_ns: int | None


CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, CHANNEL_UPDATE = GOSSIP_TOPICS = (
    "gossip.channel_announcement",
    "gossip.node_announcement",
    "gossip.channel_update",
)
"""In the order of the message types 256 to 258."""
GOSSIP_2_TOPICS = {
    260: "gossip.announcement_signatures_2",
    267: "gossip.channel_announcement_2",
    269: "gossip.node_announcement_2",
    271: "gossip.channel_update_2",
}
"""By message type: gossip v2, which is judged with --experimental-gossip-v2 only, and never on the map."""
SENT_TOPICS = ("sent.channel_announcement", "sent.node_announcement", "sent.channel_update")
"""As GOSSIP_TOPICS: only a prefix that begins with `sent.` takes them."""
MAP_CHANNEL, MAP_UPDATE, MAP_NODE = "map.channel_announcement", "map.channel_update", "map.node_announcement"
CHANNEL_DYING, CHANNEL_REMOVED, NODE_REMOVED = "map.channel_dying", "map.channel_removed", "map.node_removed"
PEER_CONNECTED, PEER_DISCONNECTED = "peer.connected", "peer.disconnected"
PEER_PING, PEER_PONG = "peer.ping", "peer.pong"
Direction = Literal["in", "out"]

TOPICS: dict[str, type[FeedMessage]] = {
    **dict.fromkeys(GOSSIP_TOPICS, Gossip),
    **dict.fromkeys(GOSSIP_2_TOPICS.values(), Gossip),
    **dict.fromkeys(SENT_TOPICS, Sent),
    MAP_CHANNEL: MapChannel,
    MAP_UPDATE: MapUpdate,
    MAP_NODE: MapNode,
    CHANNEL_DYING: ChannelDying,
    CHANNEL_REMOVED: ChannelRemoved,
    NODE_REMOVED: NodeRemoved,
    PEER_CONNECTED: PeerConnected,
    PEER_DISCONNECTED: PeerDisconnected,
    PEER_PING: PeerPing,
    PEER_PONG: PeerPong,
}
"""Every topic, and what its messages are."""


def topics_of(prefixes: Iterable[bytes]) -> frozenset[str]:
    """The topics that these subscriptions take. What is said to peers is much: it has to be asked for by name."""
    plain = tuple(prefixes)
    named = tuple(prefix for prefix in plain if prefix.startswith(b"sent."))
    return frozenset(topic for topic in TOPICS if topic.encode().startswith(named if topic in SENT_TOPICS else plain))


def encode(seq: int, time_ns: int, fields: Mapping[str, Any]) -> bytes:
    """The second frame; `fields` are those of the topic's dataclass besides `seq` and `time_ns`."""
    return bytes(msgpack.packb({"v": VERSION, "seq": seq, "time_ns": time_ns, **fields}))


def decode(topic: bytes, body: bytes) -> FeedMessage:
    """The message in these two frames; a plain FeedMessage under a topic that is not known here. Raises FeedError."""
    try:
        name, values = topic.decode("ascii"), msgpack.unpackb(body)
        if values["v"] != VERSION:
            raise FeedError(f"the feed speaks version {values['v']}, which is not known here")
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise FeedError(f"no message of a feed: {error!r}") from error
    return message_of(name, values)


def message_of(name: str, values: Mapping[str, Any]) -> FeedMessage:
    """The message of this topic with these values. Raises FeedError."""
    kind = TOPICS.get(name, FeedMessage)
    try:
        return kind(topic=name, **{key: _checked(values[key], hint) for key, hint in _present(kind, values)})
    except (ValueError, TypeError, KeyError) as error:
        raise FeedError(f"no message of a feed: {error!r}") from error


_known_hints: dict[type[FeedMessage], tuple[dict[str, Any], frozenset[str]]] = {}


def _present(kind: type[FeedMessage], values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """(key, type) of what must be in the map, and of what is in it besides: a node of before a key came has it not."""
    hints, newer = _hints(kind)
    return ((key, hint) for key, hint in hints.items() if key in values or key not in newer)


def _hints(kind: type[FeedMessage]) -> tuple[dict[str, Any], frozenset[str]]:
    """Key -> type of what is in the map; and the keys that may be missing."""
    if kind not in _known_hints:
        hints, fields = typing.get_type_hints(kind), dataclasses.fields(kind)[1:]
        newer = frozenset(field.name for field in fields if field.default is not dataclasses.MISSING)
        _known_hints[kind] = {field.name: hints[field.name] for field in fields}, newer
    return _known_hints[kind]


def _checked(value: Any, hint: Any) -> Any:
    if not isinstance(value, hint):
        raise TypeError(f"{type(value).__name__} instead of {hint}")
    return value
