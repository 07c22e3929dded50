"""What peers list and give, counted."""

import pytest

from lightningd_py.probe import survey as module
from lightningd_py.probe.survey import Survey, Worth
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from wire.gossip_layout import channel_scid
from wire.types import NETWORKS

MAP = SyntheticMap(random_edges(1, 12, 6), seed=1, now=1_700_000_000)
CHANNELS = list(MAP.channels())
SCIDS = [channel_scid(channel.announcement) for channel in CHANNELS]
REGTEST = NETWORKS["regtest"]


def survey(peers: int = 2) -> Survey:
    return Survey([f"peer {i}" for i in range(peers)], REGTEST)


def spoilt(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def test_who_is_first_and_who_repeats() -> None:
    found = survey()
    channel = CHANNELS[0]
    assert found.arrives(0, channel.announcement, 1.0) is Worth.FIRST
    assert found.arrives(1, channel.announcement, 2.0) is Worth.REDUNDANT
    assert found.arrives(1, channel.updates[0], 2.0) is Worth.FIRST
    assert found.arrives(0, channel.updates[0], 3.0) is Worth.REDUNDANT
    node = next(MAP.node_announcements())
    assert [found.arrives(peer, node, 4.0) for peer in (0, 1)] == [Worth.FIRST, Worth.REDUNDANT]
    assert found.arrivals == [(1.0, 0)]
    assert found.peers[0].count(Worth.FIRST) == 2
    assert found.peers[0].count(Worth.FIRST, "channels") == 1


def test_what_is_wrong() -> None:
    found = survey()
    other = Survey(["x"], NETWORKS["bitcoin"])
    assert other.arrives(0, CHANNELS[0].announcement, 1.0) is Worth.WRONG
    assert found.arrives(0, spoilt(CHANNELS[0].announcement), 1.0) is Worth.WRONG
    assert found.arrives(0, CHANNELS[0].announcement[:100], 1.0) is Worth.WRONG
    assert found.arrives(0, CHANNELS[1].updates[0], 1.0) is Worth.UNKNOWN
    found.arrives(0, CHANNELS[1].announcement, 1.0)
    assert found.arrives(0, spoilt(CHANNELS[1].updates[0]), 1.0) is Worth.WRONG
    assert found.arrives(0, spoilt(next(MAP.node_announcements())), 1.0) is Worth.WRONG
    assert list(found.channels) == [SCIDS[1]]


def test_no_channel_is_asked_of_two_peers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 5)
    found = survey()
    for peer in (0, 1):
        found.lists(peer, SCIDS)
        found.listed_all(peer, 0.1)
    first, second = found.question(0), found.question(1)
    assert (len(first), len(second)) == (5, 5)
    assert not set(first) & set(second)


def test_what_one_peer_does_not_give_is_asked_of_the_next() -> None:
    found = survey()
    found.lists(0, SCIDS[:3])
    found.lists(1, SCIDS[:3])
    asked = found.question(0)
    assert (set(asked), found.question(1)) == (set(SCIDS[:3]), ())
    found.arrives(0, CHANNELS[0].announcement, 1.0)
    found.answered(0, 0.5)
    assert found.peers[0].refused == set(SCIDS[1:3])
    assert found.question(0) == (), "it was asked already"
    assert set(found.question(1)) == set(SCIDS[1:3])
    found.answered(1, None)
    assert (found.peers[1].unanswered, found.peers[1].refused) == (1, set())


def test_the_map_is_what_was_given_or_what_two_list() -> None:
    found = survey(3)
    found.lists(0, SCIDS[:4])
    assert found.map() == set(SCIDS[:4]), "there is no second list"
    found.lists(1, SCIDS[2:6])
    found.arrives(2, CHANNELS[9].announcement, 1.0)
    assert found.map() == {SCIDS[2], SCIDS[3], SCIDS[9]}


def test_times_to_shares_of_the_map() -> None:
    found = survey(1)
    found.lists(0, SCIDS[:10])
    assert found.time_to(50) is None
    for i in range(9):
        found.arrives(0, CHANNELS[i].announcement, float(i + 1))
    assert [found.time_to(share) for share in (50, 90, 95)] == [5.0, 9.0, None]


def test_a_peer_cannot_list_or_give_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LISTED", 3)
    monkeypatch.setattr(module, "MOST_FIRST", 2)
    found = survey()
    found.lists(0, range(10))
    assert (len(found.peers[0].listed), found.peers[0].overflow) == (3, True)
    worths = [found.arrives(0, CHANNELS[i].announcement, 1.0) for i in range(3)]
    assert worths == [Worth.FIRST, Worth.FIRST, Worth.TOO_MANY]
    assert found.arrives(1, CHANNELS[2].announcement, 1.0) is Worth.FIRST, "each peer has its share"
