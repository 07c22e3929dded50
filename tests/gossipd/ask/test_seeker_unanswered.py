"""The seeker among peers that answer late, or not at all, as LDK does queries for channels."""

from gossipd.ask.states import State
from gossipd.ask.wanted import TRIES
from tests.gossipd.seeking import EVERYTHING, NOTHING, World, asking, probing, world
from wire.encoded import ALL, NODE_1
from wire.peer_wire import GossipTimestampFilter, QueryChannelRange

__all__ = ["world"]


def test_peers_that_do_not_answer_use_up_no_tries(world: World) -> None:
    """Several LDKs among the peers: what they were asked for is not given up, as long as somebody may answer."""
    asking(world, 9)
    asked_of = [world.asked_for()[0]]
    for conn_id in range(2, TRIES + 3):
        world.come(conn_id)
    for _ in range(TRIES + 1):
        world.pass_time(world.timing.query_timeout + 1)
        conn_id, wanted = world.asked_for()
        assert wanted == {9: ALL}
        asked_of.append(conn_id)
    assert sorted(asked_of) == list(range(1, TRIES + 3)), "nobody twice"


def test_an_answer_that_takes_long_is_waited_for_while_it_comes(world: World) -> None:
    """2 MB over Tor."""
    asking(world, *range(5))
    world.sent.clear()
    for scid in range(5):
        world.pass_time(world.timing.query_timeout - 1)
        world.map[scid] = (1, 1)
    world.pass_time(world.timing.query_timeout - 1)
    assert world.sent == []
    world.end(1)
    world.pass_time(1)
    assert (world.seeker.state, world.seeker.got) == (State.NORMAL, 5)


def test_who_answers_no_query_is_asked_to_stream_everything(world: World) -> None:
    """LDK answers query_channel_range but not query_short_channel_ids."""
    world.map = {}
    world.come(1)
    world.come(2)
    world.pass_time(world.timing.stream_quiet)
    ((conn_id, _),) = world.said(QueryChannelRange)
    world.reply(conn_id, [9])
    for _ in range(2):
        world.sent.clear()
        world.pass_time(world.timing.query_timeout + 1)
    filters = [message for _, message in world.said(GossipTimestampFilter)]
    assert [message.first_timestamp for message in filters if isinstance(message, GossipTimestampFilter)] == [0]
    assert world.seeker.state is State.NORMAL


def lacks_something(world: World, flags: int = ALL) -> None:
    """A channel, or a part of it, is owed, and nobody answers the query for it."""
    world.seeker.owe(9, flags)
    world.pass_time(1)
    while world.seeker.state is State.ASKING_FOR_SCIDS:
        world.pass_time(world.timing.query_timeout + 1)
    assert world.seeker.state is State.NORMAL
    world.seeker._next_probe = world.now + 1e6
    world.sent.clear()


def test_a_connection_is_renewed_if_nothing_else_brings_what_is_lacking(world: World) -> None:
    """Only LDKs: they answer no query, and stream everything on a connection's first filter."""
    hour = world.timing.gossip_renewal
    probing(world).reply(1, [])
    world.come(2)
    world.taken = {2}
    lacks_something(world)
    lacks_something(world)
    assert world.renewed == [], "it may still be on its way"
    world.now += hour
    lacks_something(world)
    assert world.renewed == [1], "2 has a channel with us"
    assert world.come(3, b"") == NOTHING
    assert world.come(4) == EVERYTHING
    assert world.come(5) == (int(world.now), 0xFFFFFFFF)
    lacks_something(world)
    lacks_something(world)
    assert world.renewed == [1]
    world.now += hour
    lacks_something(world)
    assert len(world.renewed) == 2
    world.come(6)
    world.now += hour
    lacks_something(world)
    lacks_something(world)
    assert len(world.renewed) == 2, "twice as seldom each time"
    world.now += hour
    lacks_something(world)
    assert len(world.renewed) == 3


def test_first_those_who_stream_are_asked_for_everything(world: World) -> None:
    probing(world).reply(1, [])
    world.come(2)
    world.now += world.timing.gossip_renewal
    lacks_something(world)
    assert world.renewed == []
    lacks_something(world)
    assert len(world.renewed) == 1


def test_no_connection_is_renewed_by_what_it_says(world: World) -> None:
    """It is in the midst of being heard."""
    probing(world).reply(1, [])
    lacks_something(world)
    world.now += world.timing.gossip_renewal
    world.seeker._next_probe = world.now
    world.pass_time(1)
    world.reply(1, [9])
    assert (world.seeker.state, world.renewed) == (State.NORMAL, [])
    world.pass_time(1)
    assert world.renewed == [1]


def test_no_connection_is_renewed_for_nodes_that_may_never_have_announced_themselves(world: World) -> None:
    probing(world).reply(1, [])
    world.now += world.timing.gossip_renewal
    for _ in range(3):
        lacks_something(world, NODE_1)
    assert world.renewed == []
