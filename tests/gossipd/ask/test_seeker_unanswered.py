"""The seeker among peers that answer late, or not at all, as LDK does queries for channels."""

from gossipd.ask.states import State
from gossipd.ask.wanted import TRIES
from tests.gossipd.ask.seeker_alone import EVERYTHING, NOTHING, SeekerAlone, asking, probing
from wire.encoded import ALL, NODE_1
from wire.peer_wire import GossipTimestampFilter, QueryChannelRange


def test_peers_that_do_not_answer_use_up_no_tries(alone: SeekerAlone) -> None:
    """Several LDKs among the peers: what they were asked for is not given up, as long as somebody may answer."""
    asking(alone, 9)
    asked_of = [alone.asked_for()[0]]
    for conn_id in range(2, TRIES + 3):
        alone.come(conn_id)
    for _ in range(TRIES + 1):
        alone.pass_time(alone.timing.query_timeout + 1)
        conn_id, wanted = alone.asked_for()
        assert wanted == {9: ALL}
        asked_of.append(conn_id)
    assert sorted(asked_of) == list(range(1, TRIES + 3)), "none twice"


def test_an_answer_that_takes_long_is_waited_for_while_it_comes(alone: SeekerAlone) -> None:
    """2 MB over Tor."""
    asking(alone, *range(5))
    alone.sent.clear()
    for scid in range(5):
        alone.pass_time(alone.timing.query_timeout - 1)
        alone.map[scid] = (1, 1)
    alone.pass_time(alone.timing.query_timeout - 1)
    assert alone.sent == []
    alone.end(1)
    alone.pass_time(1)
    assert (alone.seeker.state, alone.seeker.got) == (State.NORMAL, 5)


def test_who_answers_no_query_is_asked_to_stream_everything(alone: SeekerAlone) -> None:
    """LDK answers query_channel_range but not query_short_channel_ids."""
    alone.map = {}
    alone.come(1)
    alone.come(2)
    alone.pass_time(alone.timing.stream_quiet)
    ((conn_id, _),) = alone.said(QueryChannelRange)
    alone.reply(conn_id, [9])
    for _ in range(2):
        alone.sent.clear()
        alone.pass_time(alone.timing.query_timeout + 1)
    filters = [message for _, message in alone.said(GossipTimestampFilter)]
    assert [message.first_timestamp for message in filters if isinstance(message, GossipTimestampFilter)] == [0]
    assert alone.seeker.state is State.NORMAL


def lacks_something(alone: SeekerAlone, flags: int = ALL) -> None:
    """A channel, or a part of it, is owed, and no peer answers the query for it."""
    alone.seeker.next_probe = alone.clock() + 1e6
    alone.seeker.owe(9, flags)
    alone.pass_time(1)
    while alone.seeker.state is State.ASKING_FOR_SCIDS:
        alone.pass_time(alone.timing.query_timeout + 1)
    assert alone.seeker.state is State.NORMAL
    alone.sent.clear()


def test_a_connection_is_renewed_if_nothing_else_brings_what_is_lacking(alone: SeekerAlone) -> None:
    """Only LDKs: they answer no query, and stream everything on a connection's first filter."""
    hour = alone.timing.gossip_renewal
    probing(alone).reply(1, [])
    alone.come(2)
    alone.taken = {2}
    lacks_something(alone)
    lacks_something(alone)
    assert alone.renewed == [], "it may still be on its way"
    alone.passed += hour
    lacks_something(alone)
    assert alone.renewed == [1], "2 has a channel with us"
    assert alone.come(3, b"") == NOTHING
    assert alone.come(4) == EVERYTHING
    assert alone.come(5) == (int(alone.now()), 0xFFFFFFFF)
    lacks_something(alone)
    lacks_something(alone)
    assert alone.renewed == [1]
    alone.passed += hour
    lacks_something(alone)
    assert len(alone.renewed) == 2
    alone.come(6)
    alone.passed += hour
    lacks_something(alone)
    lacks_something(alone)
    assert len(alone.renewed) == 2, "twice as seldom each time"
    alone.passed += hour
    lacks_something(alone)
    assert len(alone.renewed) == 3


def test_first_those_who_stream_are_asked_for_everything(alone: SeekerAlone) -> None:
    probing(alone).reply(1, [])
    alone.come(2)
    alone.passed += alone.timing.gossip_renewal
    lacks_something(alone)
    assert alone.renewed == []
    lacks_something(alone)
    assert len(alone.renewed) == 1


def test_no_connection_is_renewed_by_what_it_says(alone: SeekerAlone) -> None:
    """The peer is in the midst of being heard."""
    probing(alone).reply(1, [])
    lacks_something(alone)
    alone.passed += alone.timing.gossip_renewal
    alone.seeker.next_probe = alone.clock()
    alone.pass_time(1)
    alone.reply(1, [9])
    assert (alone.seeker.state, alone.renewed) == (State.NORMAL, [])
    alone.pass_time(1)
    assert alone.renewed == [1]


def test_no_connection_is_renewed_for_nodes_that_may_never_have_announced_themselves(alone: SeekerAlone) -> None:
    probing(alone).reply(1, [])
    alone.passed += alone.timing.gossip_renewal
    for _ in range(3):
        lacks_something(alone, NODE_1)
    assert alone.renewed == []
