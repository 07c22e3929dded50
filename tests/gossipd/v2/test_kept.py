"""What is kept of gossip v2: what hangs together goes together, and the bounds with their shares."""

from gossipd.v2.kept import OVERHEAD, Kept
from tests.gossipd.v2.v2_inside import GOSSIP, MADE
from tests.wire.gossip_v2.kept_messages import key_of
from wire.gossip_v2.kept import Record
from wire.gossip_v2.records import read_records

NODE = MADE.edges[0].node1


def record(raw: bytes, source: str = "here") -> Record:
    key, height = key_of(raw)
    return Record(key, raw, source, height)


def filled(**bounds: int) -> tuple[Kept, list[Record]]:
    noted: list[Record] = []
    return Kept(noted.append, **bounds), noted


def channel(number: int, source: str = "here") -> list[Record]:
    made = GOSSIP.channel(number)
    return [record(raw, source) for raw in (made.announcement, *made.updates)]


def test_what_belongs_to_no_channel_is_not_kept() -> None:
    kept, noted = filled()
    announcement, *updates = channel(0)
    node = record(GOSSIP.node_announcement(NODE, 5))
    assert not any(map(kept.put, [*updates, node]))
    assert (noted, kept.live_size) == ([], 0)
    assert all(map(kept.put, [announcement, *updates, node]))
    assert noted == [announcement, *updates, node]
    assert kept.live_size == sum(len(each.message) + OVERHEAD for each in noted)
    assert kept.height(updates[0].key) == updates[0].height
    assert kept.height(b"\1" * 9) == -1


def test_a_channel_that_goes_takes_all_with_it() -> None:
    kept, noted = filled()
    messages = channel(0)
    others = [number for number, edge in enumerate(MADE.edges) if number and NODE in edge[:2]]
    node = record(GOSSIP.node_announcement(NODE, 5))
    for each in (*messages, node, *channel(others[0])):
        assert kept.put(each)
    noted.clear()
    kept.drop(messages[0].key)
    assert [each.key for each in noted] == [each.key for each in messages]
    assert {each.message for each in noted} == {b""}
    assert node.key in kept.table, "it has another channel"
    kept.drop(channel(others[0])[0].key)
    assert (len(kept.table), kept.channels, kept.nodes, kept.live_size) == (0, {}, {}, 0)
    noted.clear()
    kept.drop(messages[0].key)
    assert noted == []


def test_a_newer_one_takes_the_place() -> None:
    kept, _ = filled()
    announcement, update, _ = channel(0)
    newer = record(GOSSIP.update(0, 0, update.height + 1), "elsewhere")
    assert all(map(kept.put, [announcement, update, newer]))
    assert kept.table.get(update.key) == newer
    assert len(kept.table) == 2
    assert kept.table.source(update.key) == "elsewhere"


def test_the_source_with_the_most_makes_room() -> None:
    kept, _ = filled(most=6)
    honest = channel(0, "honest")
    assert all(map(kept.put, honest))
    for number in range(1, 9):
        kept.put(channel(number, "flood")[0])
        assert len(kept.table) <= 6
    assert all(each.key in kept.table for each in honest)


def test_bytes_are_bounded_too() -> None:
    most = 3_000
    kept, _ = filled(most_bytes=most)
    for number in range(9):
        for each in channel(number):
            kept.put(each)
            assert kept.live_size <= most
    assert kept.table


def test_one_that_is_larger_than_all_that_may_be_is_not_kept() -> None:
    kept, noted = filled(most_bytes=100)
    (announcement, *_) = channel(0)
    assert not kept.put(announcement)
    assert (len(kept.table), kept.channels, kept.nodes) == (0, {}, {})
    assert [each.message for each in noted] == [announcement.message, b""]


def test_what_was_noted_makes_the_same_again() -> None:
    """Evictions as well: the file says what went."""
    kept, noted = filled(most=8)
    for number in range(9):
        for each in channel(number, f"source {number % 3}"):
            kept.put(each)
    kept.put(record(GOSSIP.node_announcement(NODE, 5)))
    kept.drop(next(iter(kept.channels)))
    again, heard = filled(most=8)
    for each in noted:
        again.load(each)
    assert list(again.table.values.items()) == list(kept.table.values.items())
    assert (again.channels, again.nodes, heard) == (kept.channels, kept.nodes, [])
    assert read_records(again.table.values[next(iter(again.channels))].message)
