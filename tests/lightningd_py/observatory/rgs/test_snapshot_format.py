"""What is encoded is read back by a strict reader: any snapshot, both versions."""

from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.observatory.rgs.snapshot_format import Announced, NodeSaid, Snapshot, Updated, encode
from tests.lightningd_py.observatory.rgs.reading import SIZES, Bytes, read

KEYS = [bytes([2 + number % 2]) + bytes([number]) * 32 for number in range(12)]
FEATURES = st.sampled_from([b"", b"\x02", b"\x08\xa2", b"\x01\x00\x00", *(bytes([9, each]) for each in range(9))])
ADDRESSES = st.lists(st.binary(min_size=1, max_size=255), max_size=3).map(tuple)
SCIDS = st.lists(st.integers(0, (1 << 64) - 1) | st.integers(0, 300), max_size=8, unique=True).map(sorted)
VALUES = st.tuples(*(st.sampled_from([0, 1, 40]) | st.integers(0, (1 << 8 * size) - 1) for size in SIZES))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    said: dict[bytes, NodeSaid | None] = draw(
        st.dictionaries(st.sampled_from(KEYS), st.none() | st.builds(NodeSaid, FEATURES, ADDRESSES))
    )
    ends = st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS))
    capacities = st.none() | st.integers(0, 21 * 10**14)
    announced = [Announced(scid, draw(FEATURES), draw(ends), draw(capacities)) for scid in draw(SCIDS)]
    for channel in announced:
        for node_id in channel.node_ids:
            said.setdefault(node_id, None)
    places = st.none() | st.frozensets(st.integers(0, 4))
    updates = [
        Updated(scid, direction, draw(st.booleans()), draw(VALUES), draw(places))
        for scid in draw(SCIDS)
        for direction in draw(st.sampled_from([(0,), (1,), (0, 1)]))
    ]
    return Snapshot(
        draw(st.binary(min_size=32, max_size=32)), draw(st.integers(0, (1 << 32) - 1)), said, announced, updates
    )


@given(snapshots(), st.sampled_from([1, 2]))
def test_any_snapshot_is_read_back(snapshot: Snapshot, version: int) -> None:
    found = read(encode(snapshot, version))
    assert (found.version, found.chain_hash, found.latest_seen) == (version, snapshot.chain_hash, snapshot.latest_seen)
    assert [(c.scid, c.features, c.node_ids) for c in found.channels] == [c[:3] for c in snapshot.announced]
    if version == 2:
        assert [c.capacity_sat for c in found.channels] == [c.capacity_sat for c in snapshot.announced]
        for node in found.nodes:
            said = snapshot.nodes[node.node_id]
            assert (node.features, node.addresses) == ((said.features, [*said.addresses]) if said else (None, None))
    assert {node.node_id for node in found.nodes} >= {key for c in snapshot.announced for key in c.node_ids}
    for update, wanted in zip(found.updates, snapshot.updates, strict=True):
        assert update[:4] == (wanted.scid, wanted.direction, wanted.disabled, wanted.said is not None)
        places = range(5) if wanted.said is None else wanted.said
        assert update.values == tuple(wanted.values[place] if place in places else None for place in range(5))


def test_empty_snapshot_byte_by_byte() -> None:
    empty = Snapshot(b"\x11" * 32, 0x01020304, {}, [], [])
    assert encode(empty, 1) == b"LDK\x01" + b"\x11" * 32 + b"\x01\x02\x03\x04" + bytes(12)
    assert encode(empty, 2) == b"LDK\x02" + b"\x11" * 32 + b"\x01\x02\x03\x04" + bytes(13)


def test_one_channel_byte_by_byte() -> None:
    said: dict[bytes, NodeSaid | None] = {KEYS[0]: None, KEYS[1]: None}
    values = (40, 1, 1000, 5, 99)
    full = Updated(300, 1, True, values, None)
    changed = Updated(301, 0, False, values, frozenset({3}))
    data = encode(Snapshot(bytes(32), 1, said, [Announced(300, b"\x01", (KEYS[1], KEYS[0]), 7)], [full, changed]), 1)
    source = Bytes(data)
    source.take(40)
    assert source.take(4 + 66) == bytes([0, 0, 0, 2]) + KEYS[1] + KEYS[0], "in the order of their first use"
    assert source.take(12) == bytes.fromhex("00000001" + "0001" + "01" + "fd012c" + "00" + "01")
    assert data.endswith(
        bytes.fromhex("00000002" + "0028" + "0000000000000001" + "000003e8" + "00000005" + "0000000000000063")
        + bytes.fromhex("fd012c" + "03")
        + bytes.fromhex("01" + "88" + "00000005")
    )


def test_addresses_that_are_too_long_or_too_many_are_left_out() -> None:
    said: dict[bytes, NodeSaid | None] = {KEYS[0]: NodeSaid(b"", (b"x" * 256, *[b"y"] * 300))}
    (node,) = read(encode(Snapshot(bytes(32), 1, said, [], []), 2)).nodes
    assert node.addresses == [b"y"] * 255
