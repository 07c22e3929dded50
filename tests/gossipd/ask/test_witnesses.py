"""Peers are asked about contested channels beside the seeker's own question."""

from gossipd.ask.streams import Place
from gossipd.ask.witnesses import AT_A_TIME
from tests.gossipd.ask.seeker_alone import EXTENDED, QUERIES, SeekerAlone, asking, probing
from wire.encoded import ALL, ANNOUNCEMENT, UPDATE_1, decode_short_ids
from wire.peer_wire import QueryShortChannelIds

CONTESTED = [7, 9]


class Contested:
    """Channels that are contested since an opening of this number."""

    def __init__(self, number: int = 1) -> None:
        self.number = number

    def __call__(self, conn_id: int, after: int) -> tuple[list[int], int]:
        return (CONTESTED if after < self.number else []), self.number


def asked(alone: SeekerAlone, contested: Contested) -> list[int]:
    """The peers that are asked about what is contested in this tick."""
    alone.sent.clear()
    alone.seeker.witnesses.ask(contested)
    said = alone.said(QueryShortChannelIds)
    for _, query in said:
        assert isinstance(query, QueryShortChannelIds)
        assert decode_short_ids(query.encoded_short_ids) == CONTESTED
        assert query.query_flags in (None, [ANNOUNCEMENT] * len(CONTESTED))
    return sorted(conn_id for conn_id, _ in said)


def networks(alone: SeekerAlone, count: int, features: bytes = EXTENDED) -> list[int]:
    """So many peers come, each of a network of its own."""
    peers = [100 * number for number in range(1, count + 1)]
    for conn_id in peers:
        alone.come(conn_id, features, Place(f"10.{conn_id}", incoming=True))
    return peers


def test_each_peer_is_asked_once_and_again_when_something_is_opened(alone: SeekerAlone) -> None:
    peers = networks(alone, 3)
    assert asked(alone, Contested(1)) == peers
    assert asked(alone, Contested(2)) == [], "one question at a time (B7-91)"
    for conn_id in peers:
        alone.end(conn_id)
    assert asked(alone, Contested(2)) == [], "not so soon"
    alone.passed += alone.timing.query_timeout
    assert asked(alone, Contested(1)) == []
    assert asked(alone, Contested(2)) == peers


def test_also_those_without_query_flags_and_not_those_that_answer_nothing(alone: SeekerAlone) -> None:
    (peer,) = networks(alone, 1, QUERIES)
    alone.come(900, b"")
    assert asked(alone, Contested()) == [peer]


def test_one_that_does_not_answer_is_asked_for_nothing_more(alone: SeekerAlone) -> None:
    networks(alone, 2)
    asked(alone, Contested(1))
    alone.end(100)
    alone.passed += alone.timing.query_timeout + 1
    assert asked(alone, Contested(2)) == [100]


def test_connections_of_one_network_hold_up_one_question(alone: SeekerAlone) -> None:
    for conn_id in range(200, 250):
        alone.come(conn_id)
    alone.come(300, place=Place("10.3", incoming=True))
    first = asked(alone, Contested())
    assert len(first) == 2 and 300 in first


def test_there_are_not_more_questions_than_so_many(alone: SeekerAlone) -> None:
    peers = networks(alone, AT_A_TIME + 5)
    first = asked(alone, Contested())
    assert len(first) == AT_A_TIME
    alone.seeker.peer_left(first[0])
    for conn_id in first[1:]:
        alone.end(conn_id)
    assert asked(alone, Contested()) == sorted({*peers} - {*first})


def test_while_a_peer_is_asked_so_the_seeker_asks_it_for_no_channels(alone: SeekerAlone) -> None:
    probing(alone, conn_id=100)
    asked(alone, Contested())
    alone.reply(100, [1])
    assert alone.said(QueryShortChannelIds) == []
    alone.end(100)
    alone.pass_time(1)
    assert alone.asked_for() == (100, {1: ALL})


def test_nor_about_what_it_has_named_itself(alone: SeekerAlone) -> None:
    probing(alone, conn_id=100).reply(100, [])
    asked(alone, Contested())
    alone.seeker.hear_of(5, 100)
    alone.pass_time(1)
    assert alone.said(QueryShortChannelIds) == []
    alone.end(100)
    alone.pass_time(1)
    assert alone.asked_for() == (100, {5: ALL})


def test_the_peer_that_the_seeker_asks_is_asked_later(alone: SeekerAlone) -> None:
    asking(alone, 1)
    assert asked(alone, Contested()) == []
    alone.map = {1: (10, 10)}
    alone.end(1)
    alone.pass_time(1)
    assert asked(alone, Contested()) == [1]


def test_not_while_nothing_can_be_taken_in(alone: SeekerAlone) -> None:
    (peer,) = networks(alone, 1)
    alone.suspended = True
    assert asked(alone, Contested()) == []
    alone.suspended = False
    assert asked(alone, Contested()) == [peer]


def test_an_update_that_did_not_come_is_asked_of_another_peer(alone: SeekerAlone) -> None:
    """The first one may be the stranger that has made the channel up."""
    alone.map = {5: (0, 0)}
    probing(alone).reply(1, [])
    alone.come(2)
    alone.seeker.owe(5, UPDATE_1, 1)
    alone.pass_time(1)
    assert alone.asked_for() == (1, {5: UPDATE_1})
    alone.end(1)
    alone.pass_time(1)
    assert alone.asked_for() == (2, {5: UPDATE_1})
