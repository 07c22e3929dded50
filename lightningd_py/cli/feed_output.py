"""`lightning-cli-py feed`: the feed as it comes, a line a message for people, or a line of JSON.

What strangers have written reaches a terminal only as `sane` makes it.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gossipd.gossmap import Node
from lightningd_py.cli.output import SHORT
from lightningd_py.tools.feed_client import Feed, Keys
from wire.bus.feed import (
    ChannelDying,
    ChannelRemoved,
    FeedMessage,
    Gossip,
    MapChannel,
    MapNode,
    MapUpdate,
    NodeRemoved,
    PeerConnected,
    PeerDisconnected,
    PeerPing,
    PeerPong,
    Sent,
)
from wire.control.status import sane
from wire.cursor import WireError
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode
from wire.scid import scid_to_text


def follow(
    endpoint: str,
    topics: Sequence[str],
    own_key: Path | None,
    say: Callable[[str], None],
    *,
    as_json: bool,
    dated: bool = False,
) -> None:
    """Say each message until Ctrl-C. Raises FeedError when no node publishes there, or not any more.

    `own_key`: for tcp a certificate with its secret; the node's, `server.key`, lies beside it. `dated`: lines begin
    with the date, and the zone stands behind the time.
    """
    keys = Keys(own_key, own_key.with_name("server.key")) if own_key is not None else None
    try:
        with Feed(endpoint, topics or [""], keys=keys, batches=True) as feed:
            for message in feed:
                if feed.lost_of and not as_json:
                    say(f"{feed.lost_of} lost of {message.topic}")
                say(json_line(message, feed.lost_of) if as_json else line(message, dated=dated))
    except KeyboardInterrupt:
        return


def json_line(message: FeedMessage, lost: int) -> str:
    """All fields; bytes in hex, a short_channel_id as text, and `lost` if messages of the topic are missing before."""
    fields = {name: _json(name, getattr(message, name)) for name in (f.name for f in dataclasses.fields(message))}
    return json.dumps(fields | ({"lost": lost} if lost else {}))


def _json(name: str, value: Any) -> Any:
    if name == "short_channel_id" and value is not None:
        return scid_to_text(value)
    return value.hex() if isinstance(value, bytes) else value


def line(message: FeedMessage, *, dated: bool = False) -> str:
    """Time, topic, who, what, and what became of it."""
    seconds, rest_ns = divmod(message.time_ns, 10**9)
    then = time.localtime(seconds)
    form = f"%Y-%m-%d %H:%M:%S.{rest_ns // 1000:06}%z" if dated else f"%H:%M:%S.{rest_ns // 1000:06}"
    words = [time.strftime(form, then), sane(message.topic).ljust(27), *_words(message)]
    return "  ".join(words)


def _words(message: FeedMessage) -> list[str]:
    match message:
        case Gossip():
            reason = f": {sane(message.reason)}" if message.reason else ""
            return [_connection(message), _subject(message), f"{sane(message.outcome)}{reason}"]
        case Sent():
            return [_connection(message), _subject(message)]
        case PeerPing():
            return [_connection(message), sane(message.dir), f"{message.size} bytes", *_round_trip(message)]
        case MapChannel():
            amount = "unchecked" if message.amount_sat is None else f"{message.amount_sat} sat"
            return [scid_to_text(message.short_channel_id), amount]
        case MapUpdate() | MapNode():
            return [_about(message.raw)]
        case ChannelDying():
            return [scid_to_text(message.short_channel_id), f"until block {message.deadline}"]
        case ChannelRemoved():
            return [scid_to_text(message.short_channel_id), sane(message.why)]
        case NodeRemoved():
            return [_short(message.node_id)]
        case PeerConnected():
            direction = "from" if message.incoming else "to"
            return [_short(message.node_id), f"#{message.conn_id}", f"{direction} {sane(message.address)}"]
        case PeerDisconnected():
            return [_short(message.node_id), f"#{message.conn_id}", sane(message.reason)]
    return []


def _connection(message: Gossip | Sent | PeerPing) -> str:
    if message.node_id is None:
        return "ourselves"
    return f"{_short(message.node_id)} #{message.conn_id} {'in' if message.incoming else 'out'}"


def _round_trip(message: PeerPing) -> list[str]:
    """How long the pong to a ping of ours took."""
    rtt_ns = message.rtt_ns if isinstance(message, PeerPong) else None
    return [] if rtt_ns is None else [f"{rtt_ns / 1e6:.3f} ms"]


def _subject(message: Gossip | Sent) -> str:
    """Its hash, if the message itself is not known: as one of another vantage point, heard long ago."""
    return _about(message.raw) if message.raw or not message.hash else f"message {message.hash.hex()[:SHORT]}…"


def _about(raw: bytes) -> str:
    """What a gossip message is about."""
    try:
        said = decode(raw)
    except WireError:
        return "malformed"
    match said:
        case ChannelAnnouncement():
            return scid_to_text(said.short_channel_id)
        case ChannelUpdate():
            off = " disabled" if said.channel_flags & 2 else ""
            return f"{scid_to_text(said.short_channel_id)}/{said.channel_flags & 1}{off}"
        case NodeAnnouncement():
            return f"{_short(said.node_id)} {Node(said.node_id, raw, 0).alias}".rstrip()
    return "-"


def _short(node_id: bytes) -> str:
    return node_id.hex()[:SHORT] + "…"
