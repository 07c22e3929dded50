"""The index over a gossip_store: its arrays, and what it makes of a file."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.gossmap import Gossmap
from gossipd.map.index import MapIndex
from gossipd.map.loading import load
from gossipd.store.records import COMPLETED, DELETED, amount_message, dying_message
from gossipd.store.writer import GossipStore
from tests.gossipd.made import CHANNELS, NODES, NOW, PARSED, full, put, scid
from wire.peer_wire import NodeAnnouncement


def test_index_holds_what_the_messages_say(path: Path) -> None:
    full(path)
    store, index = load(path)
    assert store.note == ""
    assert list(index.channels) == [parsed.short_channel_id for parsed in PARSED]
    for channel, parsed in zip(CHANNELS, PARSED, strict=True):
        row = index.channels[parsed.short_channel_id]
        assert index.scid[row] == parsed.short_channel_id
        assert index.node_ids[index.node1[row]] == parsed.node_id_1
        assert index.node_ids[index.node2[row]] == parsed.node_id_2
        assert index.amount_sat[row] == channel.capacity_sat
        assert store.read(index.announce_off[row]) == channel.announcement
        for direction in (0, 1):
            assert store.read(index.update_off[direction][row]) == channel.updates[direction]
            assert index.update_ts[direction][row] == channel.timestamps[direction]
    for raw in NODES:
        node = NodeAnnouncement.decode(raw)
        row = index.nodes[node.node_id]
        assert store.read(index.node_announce_off[row]) == raw
        assert index.node_ts[row] == node.timestamp
        assert index.node_channels[row] == len(index.rows_of_node(row))
    assert len(NODES) == len(index.nodes) == 6
    store.close()


def test_removed_channel_names_what_died_and_its_row_is_used_again() -> None:
    index = MapIndex()
    one = index.add_channel(1, b"a", b"b", 100)
    two = index.add_channel(2, b"b", b"c", 200)
    index.amount_sat[one] = 5
    assert index.set_update(one, 1, 300, 7) == 0
    assert index.set_update(one, 1, 310, 8) == 300
    assert index.set_node_announcement(index.nodes[b"a"], 400, 9) == 0
    assert index.set_node_announcement(index.nodes[b"a"], 410, 9) == 400
    assert index.set_node_announcement(index.nodes[b"b"], 420, 9) == 0
    index.dying[1] = (800, 500)
    assert sorted(index.remove_channel(one)) == [100, 310, 410, 500]
    assert (index.channels, set(index.nodes), index.dying) == ({2: two}, {b"b", b"c"}, {})
    free = index.nodes.keys() - {b"b", b"c"}
    assert not free
    again = index.add_channel(3, b"d", b"b", 600)
    assert again == one
    assert (index.amount_sat[again], index.update_off[1][again], index.update_ts[1][again]) == (-1, 0, 0)
    assert (index.node_announce_off[index.nodes[b"d"]], index.node_ts[index.nodes[b"d"]]) == (0, 0)
    assert len(index.node_ids) == 3
    assert sorted(index.rows_of_node(index.nodes[b"b"])) == sorted([one, two])


def test_channel_of_a_node_with_itself_is_counted_out_again() -> None:
    index = MapIndex()
    index.remove_channel(index.add_channel(1, b"a", b"a", 100))
    assert (index.channels, index.nodes) == ({}, {})


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))))
def test_index_agrees_with_a_plain_dict(steps: list[tuple[int, int, int, int]]) -> None:
    index, plain = MapIndex(), dict[int, tuple[bytes, bytes, list[int]]]()
    for offset, (number, one, two, what) in enumerate(steps, start=1):
        if number not in plain:
            index.add_channel(number, bytes([one]), bytes([two]), offset)
            plain[number] = (bytes([one]), bytes([two]), [0, 0])
        elif what == 2:
            died = index.remove_channel(index.channels[number])
            assert set(died) >= {update for update in plain.pop(number)[2] if update}
        else:
            assert index.set_update(index.channels[number], what, offset, offset) == plain[number][2][what]
            plain[number][2][what] = offset
    rows = index.channels.items()
    assert {number: [column[row] for column in index.update_off] for number, row in rows} == {
        number: updates for number, (_, _, updates) in plain.items()
    }
    assert {number: (index.node_ids[index.node1[row]], index.node_ids[index.node2[row]]) for number, row in rows} == {
        number: (one, two) for number, (one, two, _) in plain.items()
    }
    assert index.nodes.keys() == {node for one, two, _ in plain.values() for node in (one, two)}


def test_replaced_records_that_a_crash_left_are_deleted_at_load(path: Path) -> None:
    store = GossipStore.open(path)
    offsets = put(store, CHANNELS[0])
    newer = store.append(CHANNELS[0].updates[0], NOW)
    twice = store.append(CHANNELS[0].announcement, 5)
    orphan = store.append(CHANNELS[1].updates[0], 5)
    lonely = store.append(NODES[-1], 5)
    store.close()
    store, index = load(path)
    row = index.channels[scid(0)]
    assert [index.update_off[0][row], index.update_off[1][row]] == [newer, offsets[3]]
    assert [offset for offset in (*offsets, newer, twice, orphan, lonely) if store.flags(offset) & DELETED] == [
        offsets[2],
        twice,
        orphan,
        lonely,
    ]
    assert index.dead == []
    store.close()


def test_announcement_brought_forward_takes_over(store: GossipStore, path: Path) -> None:
    first, amount = store.append(CHANNELS[0].announcement, 0), store.append(amount_message(5), 0)
    store.append(NODES[0], NOW)
    second = store.append(CHANNELS[0].announcement, CHANNELS[0].timestamps[0])
    store.append(amount_message(5), 0)
    store.append(CHANNELS[0].updates[0], CHANNELS[0].timestamps[0])
    other = CHANNELS[1].announcement
    impostor = store.append(CHANNELS[0].announcement[:300] + other[300:], 0)
    store.close()
    store, index = load(path)
    row = index.channels[scid(0)]
    assert (index.announce_off[row], index.amount_sat[row]) == (second, 5)
    assert all(store.flags(offset) & DELETED for offset in (first, amount, impostor))
    assert store.flags(second) == COMPLETED
    store.close()


def test_node_announced_before_the_channel_that_is_left_stays(path: Path, store: GossipStore) -> None:
    node = NodeAnnouncement.decode(NODES[0]).node_id
    store.append(NODES[0], NOW)
    for channel in CHANNELS:
        put(store, channel)
    store.close()
    store, index = load(path)
    assert store.read(index.node_announce_off[index.nodes[node]]) == NODES[0]
    store.close()


def test_amount_belongs_to_the_announcement_right_before_it(path: Path, store: GossipStore) -> None:
    put(store, CHANNELS[0])
    lost, amount, *_ = put(store, CHANNELS[1])
    store.close()
    content = bytearray(path.read_bytes())
    content[lost + 50] ^= 1
    path.write_bytes(content)
    store, index = load(path)
    assert "bad bytes skipped" in store.note
    assert list(index.channels) == [scid(0)]
    assert index.amount_sat[index.channels[scid(0)]] == CHANNELS[0].capacity_sat
    assert store.flags(amount) & DELETED  # other readers might give it to the channel before
    store.close()


def test_dying_channels_are_known_after_a_restart(path: Path, store: GossipStore) -> None:
    announced = put(store, CHANNELS[0])[0]
    store.set_dying(announced)
    early = store.append(dying_message(scid(0), 800_000), 0)
    offset = store.append(dying_message(scid(0), 800_001), 0)
    unknown = store.append(dying_message(scid(1), 800_000), 0)
    store.close()
    store, index = load(path)
    assert index.dying == {scid(0): (800_001, offset)}
    assert store.flags(early) & store.flags(unknown) & DELETED
    with Gossmap(path) as gossmap:
        channel = gossmap.channel(scid(0))
        assert channel is not None
        assert (channel.dying_at, channel.is_dying) == (800_001, True)
    store.close()


def test_announcements_that_say_nonsense_are_dead(path: Path, store: GossipStore) -> None:
    longer = b"\xff\xff"
    bad = [
        CHANNELS[0].announcement[:258] + longer + CHANNELS[0].announcement[260:],
        NODES[0][:66] + longer + NODES[0][68:],
        CHANNELS[0].announcement[:300],
        NODES[0][:80],
        CHANNELS[0].updates[0][:130],
    ]
    offsets = [store.append(raw, 0) for raw in bad]
    store.append(b"\x9c\x41 of a type that nobody knows", 0)
    store.close()
    store, index = load(path)
    assert (index.channels, index.nodes) == ({}, {})
    assert all(store.flags(offset) & DELETED for offset in offsets)
    store.close()


def test_amount_whose_announcement_is_deleted_goes_to_no_other_channel(path: Path, store: GossipStore) -> None:
    """A crash between the two flags could leave that."""
    store.append(CHANNELS[0].announcement, 0)
    store.append(amount_message(1000), 0)
    deleted = store.append(CHANNELS[1].announcement, 0)
    store.flush()
    store.mark_deleted(deleted)
    store.append(amount_message(2000), 0)
    store.close()
    again, index = load(path)
    assert [index.amount_sat[row] for row in index.channels.values()] == [1000]
    again.close()


@pytest.mark.parametrize("seed", range(8))
def test_scids_are_sorted_whatever_comes_and_goes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.map.index.MOST_UNSORTED", 60)
    monkeypatch.setattr("gossipd.map.index.FEW", 5)
    chance, index = random.Random(seed), MapIndex()
    for _ in range(300):
        for each in chance.sample(range(400), chance.choice([1, 2, 20, 100])):
            if each in index.channels:
                index.remove_channel(index.channels[each])
            else:
                index.add_channel(each, b"\2" * 33, b"\3" * 33, each + 1)
            assert len(index._unsorted) < 60
        if chance.random() < 0.5:
            assert index.sorted_scids() == sorted(index.channels)


def test_sorting_again_costs_what_has_changed() -> None:
    """After each new channel only that one is looked for: nothing is sorted a second time."""
    index = MapIndex()
    for each in range(0, 20_000, 2):
        index.add_channel(each, b"\2" * 33, b"\3" * 33, each + 1)
    first = index.sorted_scids()
    for each in range(1, 200, 2):
        index.add_channel(each, b"\2" * 33, b"\3" * 33, each + 1)
        assert index.sorted_scids() is first
        assert first[each] == each
