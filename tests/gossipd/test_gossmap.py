"""The index over a gossip_store, and the library that follows one while it is written."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.gossmap import Gossmap
from gossipd.map.loading import load
from gossipd.map.views import Direction, Node, sane_alias
from gossipd.store.records import (
    COMPLETED,
    DELETED,
    amount_message,
    beginning,
    delete_channel_message,
    ended_message,
    pack_record,
)
from gossipd.store.writer import GossipStore, StoreError
from tests.gossipd.made import CHANNELS, NODES, NOW, PARSED, full, put, scid
from wire.address import WireAddr
from wire.command.text import UNSAFE
from wire.peer_wire import ChannelUpdate, NodeAnnouncement


def scids_of(gossmap: Gossmap) -> set[int]:
    return {channel.short_channel_id for channel in gossmap.channels()}


def test_library_gives_what_the_messages_say(path: Path) -> None:
    full(path)
    with Gossmap(path) as gossmap:
        assert scids_of(gossmap) == {parsed.short_channel_id for parsed in PARSED}
        for made, parsed in zip(CHANNELS, PARSED, strict=True):
            channel = gossmap.channel(parsed.short_channel_id)
            assert channel is not None
            assert channel.announcement == made.announcement
            assert channel.node_ids == (parsed.node_id_1, parsed.node_id_2)
            assert (channel.capacity_sat, channel.features) == (made.capacity_sat, parsed.features)
            assert (channel.dying_at, channel.is_dying) == (None, False)
            for number, raw in enumerate(made.updates):
                direction, update = channel.direction(number), ChannelUpdate.decode(raw)
                assert direction is not None
                assert direction.raw == raw
                assert direction.disabled == bool(update.channel_flags & 2)
                for name in direction._fields[:-1]:
                    assert getattr(direction, name) == getattr(update, name)


@pytest.mark.bolt("B7-85")
@pytest.mark.parametrize(
    ("least", "most", "flags", "capacity_sat", "may_route"),
    [
        (1, 5_000, 0, 5, True),
        (1, 5_001, 0, 5, False),
        (1, 5_001, 0, None, True),
        (5_000, 5_000, 0, 5, True),
        (5_001, 5_000, 0, 5, False),
        (1, 5_000, 2, 5, False),
    ],
)
def test_what_may_be_routed_through(
    least: int, most: int, flags: int, capacity_sat: int | None, may_route: bool
) -> None:
    half = Direction(NOW, 1, flags, 40, least, 0, 0, most, b"")
    assert half.may_route(capacity_sat) is may_route


def test_library_gives_nodes(path: Path) -> None:
    full(path)
    with Gossmap(path) as gossmap:
        assert len(list(gossmap.nodes())) == 6
        for raw in NODES:
            parsed = NodeAnnouncement.decode(raw)
            node = gossmap.node(parsed.node_id)
            assert node is not None
            assert (node.announcement, node.node_id, node.timestamp) == (raw, parsed.node_id, parsed.timestamp)
            assert (node.features, node.color) == (parsed.features, parsed.rgb_color)
            assert (node.alias_bytes, node.alias) == (parsed.alias, parsed.alias.rstrip(b"\0").decode())
            of_node = list(gossmap.channels_of(parsed.node_id))
            assert node.channel_count == len(of_node) > 0
            assert all(parsed.node_id in channel.node_ids for channel in of_node)
        assert any(node.addresses for node in gossmap.nodes())
        assert gossmap.node(b"\2" + bytes(32)) is gossmap.channel(5) is None
        assert list(gossmap.channels_of(b"\2" + bytes(32))) == []


def test_node_that_was_never_announced(path: Path, store: GossipStore) -> None:
    store.append(CHANNELS[0].announcement, 0)
    store.flush()
    with Gossmap(path) as gossmap:
        node, channel = next(gossmap.nodes()), next(gossmap.channels())
        assert (node.announcement, node.timestamp, node.alias, node.color, node.features) == (b"", None, "", b"", b"")
        assert node.addresses == []
        assert (channel.capacity_sat, channel.direction(0), channel.direction(1)) == (None, None, None)


@pytest.mark.parametrize(
    ("alias", "text"),
    [
        (b"SILENTARTIST", "SILENTARTIST"),
        ("Köln ⚡".encode(), "Köln ⚡"),
        (b"", ""),
        (b"\xff\xfe\\x", "\\xff\\xfe\\x5cx"),
        (b"a\nb\x1b[31m", "a\\x0ab\\x1b[31m"),
        ("\u202egnp".encode(), "\\xe2\\x80\\xaegnp"),
        (b"a\0b", "a\\x00b"),
    ],
)
@pytest.mark.bolt("B7-76")
def test_alias_is_text_that_can_be_shown(alias: bytes, text: str) -> None:
    assert sane_alias(alias.ljust(32, b"\0")) == text


@given(st.binary(max_size=200))
def test_no_node_announcement_makes_a_view_raise(tail: bytes) -> None:
    node = Node(b"\2" * 33, b"\1\1" + bytes(64) + tail, 1)
    assert not UNSAFE.search(node.alias)
    assert all(isinstance(address, WireAddr) for address in node.addresses)
    assert (len(node.color), node.timestamp is None, len(node.features)) <= (3, True, 200)


def test_library_follows_the_writer(path: Path, store: GossipStore) -> None:
    with Gossmap(path) as gossmap:
        assert not gossmap.refresh()
        put(store, CHANNELS[0])
        assert not gossmap.refresh()
        store.flush()
        assert gossmap.refresh()
        assert scids_of(gossmap) == {scid(0)}
        put(store, CHANNELS[1])
        store.append(NODES[0], NOW)
        store.append(CHANNELS[0].updates[0][:-1] + b"\xee", NOW)
        store.flush()
        before = gossmap.channel(scid(0))
        assert gossmap.refresh()
        assert scids_of(gossmap) == {scid(0), scid(1)}
        after = gossmap.channel(scid(0))
        assert before is not None and after is not None
        assert [channel.direction(0).raw[-1] == 0xEE for channel in (before, after)] == [False, True]  # type: ignore[union-attr]
        store.append(delete_channel_message(scid(0)), 0)
        store.flush()
        assert gossmap.refresh()
        assert scids_of(gossmap) == {scid(1)}
        assert not gossmap.refresh()


def test_batch_in_the_making_is_not_seen(path: Path, store: GossipStore) -> None:
    end = store.end
    put(store, CHANNELS[0])
    store.flush()
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), b"\x00", end)
        with Gossmap(path) as gossmap:
            assert scids_of(gossmap) == set()
            assert not gossmap.refresh()
            os.pwrite(file.fileno(), b"\x20", end)
            assert gossmap.refresh()
            assert scids_of(gossmap) == {scid(0)}


def test_amount_may_come_after_its_announcement_was_read(path: Path, store: GossipStore) -> None:
    with Gossmap(path) as gossmap:
        store.append(CHANNELS[0].announcement, 0)
        store.flush()
        assert gossmap.refresh()
        store.append(amount_message(123), 0)
        store.flush()
        assert gossmap.refresh()
        channel = gossmap.channel(scid(0))
        assert channel is not None
        assert channel.capacity_sat == 123


def test_library_jumps_over_damage_but_not_at_first_sight(path: Path, store: GossipStore) -> None:
    with Gossmap(path) as gossmap:
        bad = put(store, CHANNELS[0])[0]
        put(store, CHANNELS[1])
        store.flush()
        good = path.read_bytes()
        path.write_bytes(good[: bad + 100] + b"\xff\xff" + good[bad + 102 :])
        gossmap.refresh()
        assert scids_of(gossmap) == set()
        assert gossmap.refresh()
        assert scids_of(gossmap) == {scid(1)}
        assert not gossmap.refresh()
    path.write_bytes(good)


def test_header_that_changes_while_it_is_read(path: Path, store: GossipStore) -> None:
    with Gossmap(path) as gossmap:
        offset = put(store, CHANNELS[0])[0]
        store.flush()
        good = path.read_bytes()
        path.write_bytes(good[: offset + 4] + b"\1\2\3\4" + good[offset + 8 :])
        gossmap.refresh()
        path.write_bytes(good)
        assert gossmap.refresh()
        assert scids_of(gossmap) == {scid(0)}


@pytest.mark.parametrize("says_so", [True, False], ids=["ended", "only replaced"])
def test_library_moves_to_the_new_file(path: Path, store: GossipStore, says_so: bool) -> None:
    put(store, CHANNELS[0])
    store.flush()
    with Gossmap(path) as gossmap:
        kept = gossmap.channel(scid(0))
        put(store, CHANNELS[1])
        store.flush()
        assert gossmap.refresh()
        other = GossipStore.open(path.with_name("new"))
        put(other, CHANNELS[1])
        other.flush()
        path.with_name("new").replace(path)
        if says_so:
            store.append(ended_message(other.size, other.uuid), 0)
            store.flush()
        assert gossmap.refresh()
        assert scids_of(gossmap) == {scid(1)}
        assert not gossmap.refresh()
        put(other, CHANNELS[2])
        other.close()
        assert gossmap.refresh()
        assert scids_of(gossmap) == {scid(1), scid(2)}
        assert kept is not None
        assert kept.announcement == CHANNELS[0].announcement
    del kept


def test_map_stays_while_there_is_no_file(path: Path) -> None:
    full(path)
    with Gossmap(path) as gossmap:
        path.unlink()
        assert not gossmap.refresh()
        path.write_bytes(b"")
        assert not gossmap.refresh()
        assert len(scids_of(gossmap)) == len(CHANNELS)
        path.write_bytes(beginning(bytes(32)))
        assert gossmap.refresh()
        assert scids_of(gossmap) == set()


def test_ended_without_a_new_file_is_no_end(path: Path, store: GossipStore) -> None:
    put(store, CHANNELS[0])
    store.append(ended_message(1, bytes(32)), 0)
    store.flush()
    with Gossmap(path) as gossmap:
        assert not gossmap.refresh()
        assert scids_of(gossmap) == {scid(0)}
    store.close()
    again, index = load(path)
    assert list(index.channels) == [scid(0)]
    again.close()


@pytest.mark.parametrize("version", [9, 12, 14, 15])
def test_library_reads_older_stores(path: Path, version: int) -> None:
    done = COMPLETED if version >= 15 else 0
    made = [(pack_record(c.announcement, 0, done) + pack_record(c.updates[0], 5, done)) for c in CHANNELS[:2]]
    gone = pack_record(CHANNELS[2].announcement, 0, done | (0x1000 if version <= 13 else DELETED))
    path.write_bytes(bytes([version]) + made[0] + gone + made[1])
    with Gossmap(path) as gossmap:
        assert scids_of(gossmap) == {scid(0), scid(1)}


def test_what_cannot_be_read_is_said(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Gossmap(path)
    for content, sentence in ((b"", "is empty"), (b"hello", r"\(version byte 104\)"), (b"\x08", r"\(version byte 8\)")):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=sentence):
            Gossmap(path)


def test_file_that_is_cut_while_it_is_read(path: Path) -> None:
    """A sentence, where the kernel would end the process; and a store that takes its place is read."""
    full(path)
    content = path.read_bytes()
    with Gossmap(path) as gossmap:
        channels = list(gossmap.channels())
        half, node = channels[0].direction(0), next(gossmap.nodes())
        os.truncate(path, 50)
        for look in (
            lambda: channels[0].announcement,
            lambda: channels[0].direction(0),
            lambda: channels[0].is_dying,
            lambda: list(gossmap.nodes()),
            gossmap.refresh,
        ):
            with pytest.raises(StoreError, match="was cut to 50 bytes while it was read"):
                look()
        assert half is not None and node.node_id
        new = path.with_name("new")
        new.write_bytes(content)
        new.replace(path)
        assert gossmap.refresh()
        assert scids_of(gossmap) == {channel.short_channel_id for channel in channels}


@pytest.mark.parametrize("version", [9, 13])
def test_old_store_is_read_with_its_short_updates(path: Path, version: int) -> None:
    """History: updates of before 2022 may lack their htlc_maximum_msat."""
    made = CHANNELS[0]
    short = made.updates[0][:130]
    records = [(made.announcement, NOW), (amount_message(5), 0), (short, NOW)]
    path.write_bytes(bytes([version]) + b"".join(pack_record(raw, timestamp, 0) for raw, timestamp in records))
    with Gossmap(path) as gossmap:
        (channel,) = gossmap.channels()
        half = channel.direction(0)
        assert half is not None
        assert (half.raw, half.htlc_maximum_msat, half.may_route(5)) == (short, None, not half.disabled)
        assert half.fee_base_msat == ChannelUpdate.decode(made.updates[0]).fee_base_msat
