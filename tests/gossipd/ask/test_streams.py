"""Which peers stream what is new to us: all, or so many of different networks and both directions."""

from collections import Counter

import pytest

from gossipd.ask.streams import NOTHING, Place
from tests.gossipd.ask.seeker_alone import EXTENDED, SeekerAlone
from wire.peer_wire import GossipTimestampFilter


def streaming(alone: SeekerAlone) -> list[int]:
    """Whose filter lets something through."""
    return [conn_id for conn_id in alone.seeker.peers if alone.seeker.filter_of(conn_id) != NOTHING]


def place(network: int, *, incoming: bool = False) -> Place:
    return Place(f"10.{network}.0.0/16", incoming)


@pytest.fixture
def all_ears() -> SeekerAlone:
    return SeekerAlone(gossip_listen=0)


def test_every_peer_streams(all_ears: SeekerAlone) -> None:
    for number in range(1, 501):
        assert all_ears.come(number) != NOTHING
    all_ears.pass_time(all_ears.timing.gossiper_rotation)
    assert len(streaming(all_ears)) == 500
    assert all_ears.said(GossipTimestampFilter) == []


def test_one_that_an_earlier_gossipd_did_not_listen_to_streams_now(all_ears: SeekerAlone) -> None:
    all_ears.come(1)
    all_ears.seeker.peer_came(2, EXTENDED, place(2), NOTHING)
    all_ears.pass_time(1)
    assert streaming(all_ears) == [1, 2]


def test_more_than_ten_if_the_operator_wants_that() -> None:
    alone = SeekerAlone(gossip_listen=30)
    for number in range(1, 41):
        alone.come(number)
    assert streaming(alone) == list(range(1, 31))


def test_the_place_of_one_that_leaves_is_taken_at_once_by_one_of_a_new_network(alone: SeekerAlone) -> None:
    for number in range(1, 11):
        alone.come(number, place=place(number))
    for number, network in ((11, 3), (12, 4), (13, 99), (14, 5)):
        alone.come(number, place=place(network))
    alone.seeker.peer_left(1)
    alone.sent.clear()
    alone.pass_time(1)
    assert streaming(alone) == [*range(2, 11), 13]


def test_one_of_the_most_crowded_network_makes_room_however_much_it_tells(alone: SeekerAlone) -> None:
    for number in range(1, 11):
        alone.come(number, place=place(1 if number < 4 else number))
        alone.novel[number] = 1_000 if number < 4 else 1
    alone.novel[2] = 900
    alone.come(11, place=place(1))
    alone.come(12, place=place(77))
    alone.pass_time(alone.timing.gossiper_rotation)
    assert streaming(alone) == [1, 3, *range(4, 11), 12]


def test_of_both_directions(alone: SeekerAlone) -> None:
    """Strangers that dial us, of as many networks as they like, get half of the places in the end and no more."""
    for number in range(1, 31):
        alone.come(number, place=place(number, incoming=number <= 20))
    for _ in range(30):
        alone.pass_time(alone.timing.gossiper_rotation)
    directions = Counter(alone.seeker.peers[conn_id].place.incoming for conn_id in streaming(alone))
    assert directions == {True: 5, False: 5}


def test_of_many_a_tenth_is_rotated() -> None:
    alone = SeekerAlone(gossip_listen=100)
    for number in range(1, 201):
        alone.come(number, place=place(number))
    before = set(streaming(alone))
    alone.pass_time(alone.timing.gossiper_rotation)
    after = set(streaming(alone))
    assert len(after) == 100
    assert len(before - after) == 10


def test_peers_that_come_and_go_leave_nothing(alone: SeekerAlone) -> None:
    for number in range(1, 1_001):
        alone.seeker.peer_came(number, EXTENDED, place(number % 50))
        alone.seeker.peer_left(number)
    assert not alone.seeker._streams._streaming
