"""A strict reader of snapshots, and a client that does with them what LDK does: the oracle of these tests.

Written from the format's description, apart from the encoder: nothing may be left over, nothing out of order.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

DAY = 86_400
SIZES = (2, 8, 4, 4, 8)


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        assert self.at + size <= len(self.data), "cut"
        self.at += size
        return self.data[self.at - size : self.at]

    def u(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def sized(self) -> bytes:
        return self.take(self.u(2))

    def bigsize(self) -> int:
        first = self.u(1)
        if first < 0xFD:
            return first
        size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
        value = self.u(size)
        assert value >= (0xFD if size == 2 else 1 << size * 4), "not the shortest"
        return value


class ReadNode(NamedTuple):
    node_id: bytes
    addresses: list[bytes] | None
    features: bytes | None


class ReadChannel(NamedTuple):
    scid: int
    features: bytes
    node_ids: tuple[bytes, bytes]
    capacity_sat: int | None


class ReadUpdate(NamedTuple):
    scid: int
    direction: int
    disabled: bool
    incremental: bool
    values: tuple[int | None, ...]


class Read(NamedTuple):
    version: int
    chain_hash: bytes
    latest_seen: int
    nodes: list[ReadNode]
    channels: list[ReadChannel]
    updates: list[ReadUpdate]


def read(data: bytes) -> Read:
    source = Bytes(data)
    assert source.take(3) == b"LDK"
    version = source.u(1)
    assert version in (1, 2)
    chain_hash, latest_seen = source.take(32), source.u(4)
    common = [source.sized() for _ in range(source.u(1))] if version == 2 else []
    assert len(common) <= 6
    nodes = [_node(source, version, common) for _ in range(source.u(4))]
    assert len({node.node_id for node in nodes}) == len(nodes)
    channels = list(_channels(source, version, nodes))
    updates = list(_updates(source))
    assert source.at == len(data), "something is left over"
    return Read(version, chain_hash, latest_seen, nodes, channels, updates)


def _node(source: Bytes, version: int, common: list[bytes]) -> ReadNode:
    key = bytearray(source.take(33))
    flags = key[0]
    if version == 1:
        assert flags in (2, 3)
        return ReadNode(bytes(key), None, None)
    key[0] = flags & 3
    assert key[0] in (2, 3) and not flags & 0xC0
    addresses = [source.take(source.u(1)) for _ in range(source.u(1))] if flags & 4 else None
    marker = flags >> 3 & 7
    features = None if marker == 0 else source.sized() if marker == 7 else common[marker - 1]
    return ReadNode(bytes(key), addresses, features)


def _channels(source: Bytes, version: int, nodes: list[ReadNode]):  # type: ignore[no-untyped-def]
    scid = 0
    for number in range(source.u(4)):
        features = source.sized()
        more = source.bigsize()
        assert more or not number, "twice"
        scid += more
        first, second, capacity = source.bigsize(), source.bigsize(), None
        if second >> 63:
            assert version == 2
            second &= (1 << 63) - 1
            extra = Bytes(source.sized())
            capacity = extra.bigsize()
            assert extra.at == len(extra.data)
        yield ReadChannel(scid, features, (nodes[first].node_id, nodes[second].node_id), capacity)


def _updates(source: Bytes):  # type: ignore[no-untyped-def]
    count = source.u(4)
    if not count:
        return
    common = [source.u(size) for size in SIZES]
    scid, last = 0, (-1, -1)
    for _ in range(count):
        scid += source.bigsize()
        flags = source.u(1)
        direction = flags & 1
        assert (scid, direction) > last, "out of order, or twice, which is something else in version 2"
        last = (scid, direction)
        incremental = bool(flags & 0x80)
        values = tuple(
            source.u(size) if flags & bit else None if incremental else default
            for bit, size, default in zip((0x40, 0x20, 0x10, 0x08, 0x04), SIZES, common, strict=True)
        )
        yield ReadUpdate(scid, direction, bool(flags & 2), incremental, values)


@dataclass
class Side:
    values: tuple[int, ...]
    disabled: bool
    at: int


@dataclass
class Client:
    """The graph of an LDK client; `timestamp` is what it comes back with."""

    timestamp: int = 0
    channels: dict[int, ReadChannel] = field(default_factory=dict)
    announced: dict[int, int] = field(default_factory=dict)
    sides: dict[tuple[int, int], Side] = field(default_factory=dict)
    nodes: dict[bytes, ReadNode] = field(default_factory=dict)

    def apply(self, data: bytes) -> None:
        snapshot = read(data)
        backdated = snapshot.latest_seen - 7 * DAY
        for channel in snapshot.channels:
            if channel.scid not in self.channels:
                self.channels[channel.scid] = channel
                self.announced[channel.scid] = backdated
        for update in snapshot.updates:
            key = (update.scid, update.direction)
            before = self.sides.get(key)
            if update.scid not in self.channels or (update.incremental and before is None):
                continue
            if before is not None and before.at >= backdated:
                continue
            old = before.values if before is not None else ()
            values = tuple(old[place] if value is None else value for place, value in enumerate(update.values))
            self.sides[key] = Side(values, update.disabled, backdated)
        ends = {node_id for channel in self.channels.values() for node_id in channel.node_ids}
        for node in snapshot.nodes:
            if node.node_id in ends and node.addresses is not None:
                self.nodes[node.node_id] = node
        self.timestamp = snapshot.latest_seen

    def forget(self, now: int) -> None:
        """LDK's remove_stale_channels_and_tracking."""
        oldest = now - 14 * DAY
        self.sides = {key: side for key, side in self.sides.items() if side.at >= oldest}
        for scid in list(self.channels):
            lacks = any((scid, direction) not in self.sides for direction in (0, 1))
            if lacks and self.announced[scid] < oldest:
                del self.channels[scid], self.announced[scid]
                self.sides = {key: side for key, side in self.sides.items() if key[0] != scid}

    def graph(self) -> dict[int, tuple[tuple[tuple[int, ...], bool], ...]]:
        """scid -> values and `disabled` of both directions."""
        return {
            scid: tuple(
                (self.sides[scid, direction].values, self.sides[scid, direction].disabled) for direction in (0, 1)
            )
            for scid in self.channels
        }
