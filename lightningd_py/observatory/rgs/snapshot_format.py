"""LDK's rapid gossip sync snapshots as bytes, versions 1 and 2. All integers are big-endian, BigSize as in BOLT 1.

    "LDK" | version | chain_hash | latest_seen u32
    v2: n u8, n features that many nodes have (at most 6)
    count u32, nodes: v1 a key; v2 a key whose first byte has flags, then what they announce
    count u32, channels: features | scid (what it is more than the one before) | two indices of nodes [| capacity]
    count u32, and if there are any: five values that most have, then updates: scid (more) | flags | values

The format is that of rust-lightning's lightning-rapid-gossip-sync; its reader is the test (tests/interop/test_rgs.py).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wire.cursor import encode_bigsize

MAGIC = b"LDK"
VERSIONS = (1, 2)
MOST_DEFAULT_FEATURES = 6
SIZES = (2, 8, 4, 4, 8)
"""Bytes of cltv_expiry_delta, htlc_minimum_msat, fee_base_msat, fee_proportional_millionths, htlc_maximum_msat."""
FLAGS = (0x40, 0x20, 0x10, 0x08, 0x04)
"""Whose bit says that this value follows."""
INCREMENTAL, DISABLED = 0x80, 0x02
ADDRESSES, OWN_FEATURES = 1 << 2, 7
CAPACITY_FOLLOWS = 1 << 63
MOST_ADDRESSES, LONGEST_ADDRESS = 255, 255

Values = tuple[int, int, int, int, int]
"""In the order of SIZES; amounts in msat."""


class NodeSaid(NamedTuple):
    """What a node announced: feature bits, big-endian, and addresses with their type byte."""

    features: bytes
    addresses: tuple[bytes, ...]


class Announced(NamedTuple):
    """A channel. `capacity_sat` is None if it is not known."""

    scid: int
    features: bytes
    node_ids: tuple[bytes, bytes]
    capacity_sat: int | None


class Updated(NamedTuple):
    """A direction. `said`: which of the five values are given, as places; None is all of them, in a full update."""

    scid: int
    direction: int
    disabled: bool
    values: Values
    said: frozenset[int] | None


class Snapshot(NamedTuple):
    """Channels and updates in the order of their scids. `nodes`: of whom something is said, and all ends."""

    chain_hash: bytes
    latest_seen: int
    nodes: dict[bytes, NodeSaid | None]
    announced: list[Announced]
    updates: list[Updated]


def encode(snapshot: Snapshot, version: int) -> bytes:
    """The whole file."""
    nodes = list(snapshot.nodes) if version == 2 else list(dict.fromkeys(_ends(snapshot.announced)))
    numbers = {node_id: number for number, node_id in enumerate(nodes)}
    head = MAGIC + bytes([version]) + snapshot.chain_hash + _u(snapshot.latest_seen, 4)
    return b"".join(
        [
            head,
            *(_nodes_2(snapshot, nodes) if version == 2 else [_u(len(nodes), 4), *nodes]),
            *_channels(snapshot.announced, numbers, version),
            *_updates(snapshot.updates),
        ]
    )


def _u(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def _sized(data: bytes) -> bytes:
    return _u(len(data), 2) + data


def _ends(announced: Iterable[Announced]) -> Iterator[bytes]:
    for channel in announced:
        yield from channel.node_ids


def _nodes_2(snapshot: Snapshot, nodes: list[bytes]) -> Iterator[bytes]:
    counts = Counter(said.features for said in snapshot.nodes.values() if said is not None)
    common = [features for features, _ in counts.most_common(MOST_DEFAULT_FEATURES)]
    yield _u(len(common), 1)
    yield from map(_sized, common)
    yield _u(len(nodes), 4)
    for node_id in nodes:
        said = snapshot.nodes[node_id]
        yield node_id if said is None else _node_2(node_id, said, common)


def _node_2(node_id: bytes, said: NodeSaid, common: list[bytes]) -> bytes:
    own = said.features not in common
    marker = OWN_FEATURES if own else common.index(said.features) + 1
    addresses = [each for each in said.addresses if len(each) <= LONGEST_ADDRESS][:MOST_ADDRESSES]
    return b"".join(
        [
            bytes([node_id[0] | ADDRESSES | marker << 3]),
            node_id[1:],
            _u(len(addresses), 1),
            *(_u(len(each), 1) + each for each in addresses),
            _sized(said.features) if own else b"",
        ]
    )


def _channels(announced: list[Announced], numbers: dict[bytes, int], version: int) -> Iterator[bytes]:
    yield _u(len(announced), 4)
    before = 0
    for channel in announced:
        first, second = (numbers[node_id] for node_id in channel.node_ids)
        yield _sized(channel.features) + encode_bigsize(channel.scid - before) + encode_bigsize(first)
        if version == 2 and channel.capacity_sat is not None:
            yield encode_bigsize(second | CAPACITY_FOLLOWS) + _sized(encode_bigsize(channel.capacity_sat))
        else:
            yield encode_bigsize(second)
        before = channel.scid


def _updates(updates: list[Updated]) -> Iterator[bytes]:
    yield _u(len(updates), 4)
    if not updates:
        return
    common = _most_have(updates)
    yield from (_u(value, size) for value, size in zip(common, SIZES, strict=True))
    before = 0
    for update in updates:
        said = update.said
        if said is None:
            said = frozenset(place for place in range(5) if update.values[place] != common[place])
        flags = update.direction | DISABLED * update.disabled | INCREMENTAL * (update.said is not None)
        flags |= sum(FLAGS[place] for place in said)
        yield encode_bigsize(update.scid - before) + bytes([flags])
        yield from (_u(update.values[place], SIZES[place]) for place in sorted(said))
        before = update.scid


def _most_have(updates: list[Updated]) -> list[int]:
    full = [update.values for update in updates if update.said is None]
    return [Counter(column).most_common(1)[0][0] for column in zip(*full, strict=True)] if full else [0] * 5
