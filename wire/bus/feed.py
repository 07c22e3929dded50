"""The feed's messages: what gossipd publishes over ZMQ of every gossip arrival, the map, and peers that come and go.

A message is two frames: its topic in ASCII, and a msgpack map whose keys are strings. Each topic has its dataclass
here; its fields are the map's. Readers ignore keys that they do not know: new ones may come under the same version.
docs/feed.md explains all of it.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgpack

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
    `time_ns` is in unix nanoseconds."""

    topic: str
    seq: int
    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gossip(FeedMessage):
    """A gossip message has arrived, `raw` with its type. Of the connection all is None for a message of our own, or one
    that was added by hand. `incoming`: the peer had dialled us."""

    node_id: bytes | None
    conn_id: int | None
    incoming: bool | None
    outcome: str
    reason: str
    raw: bytes


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


CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, CHANNEL_UPDATE = GOSSIP_TOPICS = (
    "gossip.channel_announcement",
    "gossip.node_announcement",
    "gossip.channel_update",
)
"""In the order of the message types 256 to 258."""
MAP_CHANNEL, MAP_UPDATE, MAP_NODE = "map.channel_announcement", "map.channel_update", "map.node_announcement"
CHANNEL_DYING, CHANNEL_REMOVED, NODE_REMOVED = "map.channel_dying", "map.channel_removed", "map.node_removed"
PEER_CONNECTED, PEER_DISCONNECTED = "peer.connected", "peer.disconnected"

TOPICS: dict[str, type[FeedMessage]] = {
    **dict.fromkeys(GOSSIP_TOPICS, Gossip),
    MAP_CHANNEL: MapChannel,
    MAP_UPDATE: MapUpdate,
    MAP_NODE: MapNode,
    CHANNEL_DYING: ChannelDying,
    CHANNEL_REMOVED: ChannelRemoved,
    NODE_REMOVED: NodeRemoved,
    PEER_CONNECTED: PeerConnected,
    PEER_DISCONNECTED: PeerDisconnected,
}
"""Every topic, and what its messages are."""


def encode(seq: int, time_ns: int, fields: Mapping[str, Any]) -> bytes:
    """The second frame; `fields` are those of the topic's dataclass besides `seq` and `time_ns`."""
    return bytes(msgpack.packb({"v": VERSION, "seq": seq, "time_ns": time_ns, **fields}))


def decode(topic: bytes, body: bytes) -> FeedMessage:
    """The message in these two frames; a plain FeedMessage under a topic that is not known here. Raises FeedError."""
    try:
        name, values = topic.decode("ascii"), msgpack.unpackb(body)
        if values["v"] != VERSION:
            raise FeedError(f"the feed speaks version {values['v']}, which is not known here")
        kind = TOPICS.get(name, FeedMessage)
        return kind(topic=name, **{key: _checked(values[key], hint) for key, hint in _hints(kind).items()})
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise FeedError(f"no message of a feed: {error!r}") from error


_known_hints: dict[type[FeedMessage], dict[str, Any]] = {}


def _hints(kind: type[FeedMessage]) -> dict[str, Any]:
    """Key -> type of what is in the map."""
    if kind not in _known_hints:
        hints = typing.get_type_hints(kind)
        _known_hints[kind] = {field.name: hints[field.name] for field in dataclasses.fields(kind)[1:]}
    return _known_hints[kind]


def _checked(value: Any, hint: Any) -> Any:
    if not isinstance(value, hint):
        raise TypeError(f"{type(value).__name__} instead of {hint}")
    return value
