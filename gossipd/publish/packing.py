"""A feed message as bytes, put together from pieces that were packed before: what `wire.bus.feed.encode` would make.

Each arrival has twenty keys. What is the same for all messages of a run, for all of one connection, or for all with one
outcome is packed once; what a gossip message says stands in it as the feed wants it, big-endian, and is cut out.
"""

from collections.abc import Callable
from hashlib import sha256
from struct import Struct
from typing import Any

import msgpack

from wire.bus.feed import TOPICS, VERSION
from wire.gossip_layout import (
    BODY_KEYS,
    BODY_NODE_ID,
    BODY_RGB,
    BODY_SCID,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_FEATURES,
    CHANNEL_UPDATE,
    NODE_ANNOUNCEMENT,
    NODE_FEATURES,
    UPDATE_CHANNEL_FLAGS,
    UPDATE_MESSAGE_FLAGS,
    UPDATE_SCID,
    UPDATE_TIMESTAMP,
    channel_body,
    node_body,
    undated,
)
from wire.gossip_v2.about import about_v2

_COUNTED = Struct(">5sI9sQ")
_COUNTED_HIGH = Struct(">5sQ9sQ")
_SEQ, _SEQ_HIGH, _TIME = b"\xa3seq\xce", b"\xa3seq\xcf", b"\xa7time_ns\xcf"
_KINDS = 1 << 32
_COMMON_KEYS = 5
"""v, vantage, epoch, seq, time_ns."""
_FEW = 16
"""Keys of a map from which on its size takes two bytes more."""
ARRIVAL_KEYS, SENT_KEYS = 20, 17

_MESSAGE = (
    b"\xa4type\xcd%b\xa4size\xcd%b\xa4hash\xc4\x20%b\xaainner_hash\xc4\x20%b"
    b"\xb0short_channel_id%b\xa9direction%b\xa9timestamp%b\xa5about%b\xa3raw\xc5%b%b"
)
_RAW = b"\xa3raw\xc5"
_NIL = b"\xc0"
_U32, _U64, _KEY = b"\xce", b"\xcf", b"\xc4\x21"
_DIRECTIONS = b"\0", b"\1"
_SMALL = 1_024
"""Bytes of a message that is worth keeping packed."""
_GENERATION = 2_000
"""Messages whose pieces are kept since the last clearance: 4,000 in all, of up to 1.4 kB."""


_pack: Callable[[dict[str, Any]], bytes] = msgpack.Packer().pack
"""One packer for all: a new one takes longer to make than to use."""


def fields(values: dict[str, Any]) -> bytes:
    """These keys and values, fewer than 16, to stand in a map."""
    return _pack(values)[1:]


def _map_of(count: int) -> bytes:
    return bytes([0x80 | count]) if count < _FEW else b"\xde" + count.to_bytes(2, "big")


class Packing:
    """For one run of a gossipd."""

    def __init__(self, vantage: str, epoch: int) -> None:
        common = fields({"v": VERSION, "vantage": vantage, "epoch": epoch})
        self._begin = [_map_of(count) + common for count in range(ARRIVAL_KEYS + 1)]
        self._packed: dict[bytes, bytes] = {}
        self._packed_before: dict[bytes, bytes] = {}
        """What 500 peers say is packed once. Two generations, so that the bound costs nothing to keep."""

    def head(self, keys: int, seq: int, time_ns: int) -> bytes:
        """How a message with so many keys begins."""
        return self._begin[keys] + _counted(seq, time_ns)

    def encode(self, seq: int, time_ns: int, values: dict[str, Any]) -> bytes:
        """A message with these keys besides."""
        return self.head(_COMMON_KEYS + len(values), seq, time_ns) + _pack(values)[1:]

    def message(self, raw: bytes) -> bytes:
        """Nine keys of a gossip message that may be said often, from `type` to `raw`."""
        packed = self._packed.get(raw) or self._packed_before.get(raw)
        if packed is None:
            packed = pack_message(raw)
            if len(raw) <= _SMALL:
                self._keep(raw, packed)
        return packed

    def _keep(self, raw: bytes, packed: bytes) -> None:
        if len(self._packed) >= _GENERATION:
            self._packed_before, self._packed = self._packed, {}
        self._packed[raw] = packed


def _counted(seq: int, time_ns: int) -> bytes:
    if seq < _KINDS:  # as small as it is, or readers in JavaScript would get another type than before
        return _COUNTED.pack(_SEQ, seq, _TIME, time_ns)
    return _COUNTED_HIGH.pack(_SEQ_HIGH, seq, _TIME, time_ns)


def _entries(keys: int) -> dict[str, bytes]:
    """How an entry of a batch begins: topic, and a map with so many keys."""
    return {topic: b"\x92" + bytes(msgpack.packb(topic)) + _map_of(keys) for topic in TOPICS}


_OF_ARRIVAL, _OF_SENT = _entries(9), _entries(6)
_OF_OTHERS = [_entries(2 + keys) for keys in range(12)]


def batched_arrival(topic: str, seq: int, time_ns: int, sender: bytes, became: bytes, raw: bytes) -> bytes:
    """An arrival as an entry of a batch: without what can be found out from `raw`."""
    size = len(raw).to_bytes(2, "big")
    return b"".join((_OF_ARRIVAL[topic], _counted(seq, time_ns), sender, became, _RAW, size, raw))


def batched_sent(topic: str, seq: int, time_ns: int, connection: bytes, raw: bytes) -> bytes:
    """The same of what goes out to a peer."""
    size = len(raw).to_bytes(2, "big")
    return b"".join((_OF_SENT[topic], _counted(seq, time_ns), connection, _RAW, size, raw))


def batched_message(topic: str, seq: int, time_ns: int, values: dict[str, Any]) -> bytes:
    """The same of any other message."""
    return _OF_OTHERS[len(values)][topic] + _counted(seq, time_ns) + _pack(values)[1:]


def _pack_v2(raw: bytes) -> bytes:
    """The same for gossip v2, which has a block height in the place of a timestamp; of no TLV stream, nil."""
    said = about_v2(raw)
    scid = _NIL if said.scid is None else _U64 + said.scid
    direction = _NIL if said.direction is None else _DIRECTIONS[said.direction]
    node = _NIL if said.node_id is None else _KEY + said.node_id
    length, outer, inner = len(raw).to_bytes(2, "big"), sha256(raw).digest(), sha256(said.undated or raw).digest()
    return _MESSAGE % (raw[:2], length, outer, inner, scid, direction, _NIL, node, length, raw)


def pack_message(raw: bytes) -> bytes:
    """What a gossip message says, cut out of it; of one that is cut short before a field, nil."""
    scid = direction = timestamp = about = _NIL
    number, size = raw[0] << 8 | raw[1], len(raw)
    if number == CHANNEL_UPDATE and size > UPDATE_CHANNEL_FLAGS:
        scid = _U64 + raw[UPDATE_SCID:UPDATE_TIMESTAMP]
        direction = _DIRECTIONS[raw[UPDATE_CHANNEL_FLAGS] & 1]
        timestamp = _U32 + raw[UPDATE_TIMESTAMP:UPDATE_MESSAGE_FLAGS]
    elif number == CHANNEL_ANNOUNCEMENT and size >= CHANNEL_FEATURES:
        at = channel_body(raw)
        if size >= at + BODY_KEYS:
            scid = _U64 + raw[at + BODY_SCID : at + BODY_KEYS]
    elif number == NODE_ANNOUNCEMENT and size >= NODE_FEATURES:
        at = node_body(raw)
        if size >= at + BODY_RGB:
            timestamp = _U32 + raw[at : at + BODY_NODE_ID]
            about = _KEY + raw[at + BODY_NODE_ID : at + BODY_RGB]
    elif number > CHANNEL_UPDATE:
        return _pack_v2(raw)
    outer = sha256(raw).digest()
    inner = outer if (said := undated(raw)) is None else sha256(said).digest()
    length = size.to_bytes(2, "big")
    return _MESSAGE % (raw[:2], length, outer, inner, scid, direction, timestamp, about, length, raw)
