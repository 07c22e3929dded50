"""The seeker, driven by hand: peers, answers and time come from the test (seeking.py)."""

import pytest

from gossipd.ask.seeker import ALL_BLOCKS, BATCH, GOSSIPERS, MAX_REPLIES, MAX_RUMOURS, PROBES_A_DAY
from gossipd.ask.states import NEXT, Event, State
from gossipd.ask.wanted import MOST, TRIES, Wanted
from tests.gossipd.seeking import CHAIN, EVERYTHING, EXTENDED, NOTHING, NOW, QUERIES, World, asking, probing, world
from wire.cursor import WireError
from wire.encoded import ALL, NODE_1, UPDATE_1, UPDATE_2
from wire.peer_wire import GossipTimestampFilter, QueryChannelRange

__all__ = ["world"]


def test_first_peer_streams_everything_and_the_next_ones_news(world: World) -> None:
    assert world.come(1) == EVERYTHING
    assert world.come(2) == (int(NOW), 0xFFFFFFFF)


@pytest.mark.bolt("B7-99", "B7-89")
def test_peer_without_gossip_queries_gets_a_filter_for_nothing_and_no_query(world: World) -> None:
    assert world.come(1, b"") == NOTHING
    world.pass_time(world.timing.probe_interval * 2)
    assert world.seeker.state is State.STARTING_UP
    assert world.sent == []


def test_only_so_many_peers_stream(world: World) -> None:
    filters = [world.come(number) for number in range(1, GOSSIPERS + 3)]
    assert filters.count(NOTHING) == 2


def test_stream_goes_on_while_it_brings_something(world: World) -> None:
    world.come(1)
    for total in (1_000, 2_000, 3_000):
        world.novel[1] = total
        world.pass_time(world.timing.stream_quiet)
        assert world.seeker.state is State.STARTING_UP
    world.pass_time(world.timing.stream_quiet, unfinished=5)
    assert world.seeker.state is State.STARTING_UP, "the pipeline has not finished"
    world.pass_time(world.timing.stream_quiet)
    assert world.seeker.state is State.PROBING_SCIDS


def test_streamer_that_leaves_is_replaced(world: World) -> None:
    world.come(1)
    world.come(2)
    world.seeker.peer_left(1, world.now)
    ((conn_id, sent),) = world.said(GossipTimestampFilter)
    assert conn_id == 2
    assert isinstance(sent, GossipTimestampFilter) and sent.first_timestamp == 0


@pytest.mark.bolt("B7-92")
def test_probe_asks_for_all_blocks_with_timestamps_and_checksums(world: World) -> None:
    probing(world)
    ((_, query),) = world.said(QueryChannelRange)
    assert query == QueryChannelRange(CHAIN, 0, ALL_BLOCKS, 3)


def test_probe_of_a_peer_without_the_extension_is_plain(world: World) -> None:
    probing(world, QUERIES)
    ((_, query),) = world.said(QueryChannelRange)
    assert query == QueryChannelRange(CHAIN, 0, ALL_BLOCKS)
    world.reply(1, [7])
    _, flags = world.asked_for()
    assert flags == {7: ALL}


def test_nothing_new_is_normal_life_until_the_next_probe(world: World) -> None:
    world.map = {5: (10, 10)}
    probing(world).reply(1, [5])
    assert world.seeker.state is State.NORMAL
    world.pass_time(world.timing.probe_interval)
    assert world.seeker.state is State.PROBING_SCIDS


def test_unknown_stale_and_unannounced_are_asked_for(world: World) -> None:
    world.map = {1: (10, 10), 2: (10, 10), 3: (10, 10)}
    world.checksums = {(1, 0): 111, (2, 0): 222, (2, 1): 333}
    probing(world)
    world.sent.clear()
    stamps = [(20, 10), (20, 20), (5, 10), (9, 9)]
    sums = [(111, 0), (999, 998), (1, 1), (1, 1)]
    world.reply(1, [1, 2, 3, 4], timestamps_tlv=stamps, checksums_tlv=sums)
    conn_id, flags = world.asked_for()
    assert conn_id == 1
    # 1 is newer with the same content; 3 is older; 4 is unknown.
    assert flags == {2: UPDATE_1 | UPDATE_2, 4: ALL}


def test_nodes_that_never_announced_are_asked_for(world: World) -> None:
    world.map = {1: (10, 10)}
    world.nodes_unknown = NODE_1
    probing(world).reply(1, [1])
    assert world.asked_for() == (1, {1: NODE_1})


def test_nodes_that_stay_silent_are_not_asked_for_at_each_probe(world: World) -> None:
    world.map = {1: (10, 10)}
    world.nodes_unknown = NODE_1
    probing(world)
    asked = []
    for probe in range(1, PROBES_A_DAY + 1):
        world.sent.clear()
        world.reply(1, [1])
        if world.sent:
            asked.append(probe)
            assert world.asked_for() == (1, {1: NODE_1})
            world.end(1)
            world.pass_time(1)
        assert world.seeker.state is State.NORMAL
        world.pass_time(world.timing.probe_interval)
    assert asked == [1, 2, 3, PROBES_A_DAY]


def test_silent_nodes_are_left_out_of_comparisons_only(world: World) -> None:
    wanted = world.seeker.wanted
    for _ in range(TRIES):
        wanted.note_silent(1)
    wanted.add_compared(1, NODE_1)
    assert len(wanted) == 0
    wanted.add_compared(1, NODE_1 | UPDATE_1)
    wanted.add(2, NODE_1)
    assert wanted.take(5) == [(1, UPDATE_1), (2, NODE_1)]


@pytest.mark.bolt("B7-91")
def test_one_query_at_a_time_and_the_next_after_the_pipeline(world: World) -> None:
    asking(world, *range(BATCH + 10))
    _, first = world.asked_for()
    assert len(first) == BATCH
    world.pass_time(1)
    world.end(1)
    world.pass_time(1, unfinished=3)
    assert world.sent == []
    world.map = dict.fromkeys(first, (1, 1))
    world.pass_time(1)
    _, second = world.asked_for()
    assert len(second) == 10
    world.map |= dict.fromkeys(second, (1, 1))
    world.end(1)
    world.pass_time(1)
    assert world.seeker.state is State.NORMAL
    assert (world.seeker.asked, world.seeker.got) == (BATCH + 10, BATCH + 10)


def test_what_does_not_come_is_asked_for_again_but_not_for_ever(world: World) -> None:
    asking(world, 9)
    asked = 0
    while world.seeker.state is State.ASKING_FOR_SCIDS:
        world.asked_for()
        asked += 1
        world.end(1)
        world.pass_time(1)
    assert asked == TRIES
    assert world.seeker.state is State.NORMAL


@pytest.mark.bolt("B7-93")
def test_replies_that_name_the_whole_range_each_are_one_answer(world: World) -> None:
    probing(world)
    world.reply(1, [1], complete=0)
    world.reply(1, [2], complete=0)
    assert world.seeker.state is State.PROBING_SCIDS
    world.reply(1, [3], complete=1)
    _, flags = world.asked_for()
    assert set(flags) == {1, 2, 3}


@pytest.mark.bolt("B7-93")
def test_a_peer_that_never_ends_its_reply_is_not_listened_to_for_ever(world: World) -> None:
    probing(world)
    for number in range(MAX_REPLIES):
        assert world.seeker.state is State.PROBING_SCIDS
        world.reply(1, [number], complete=0)
    assert world.seeker.state is State.ASKING_FOR_SCIDS


@pytest.mark.parametrize("tlv", ["timestamps_tlv", "checksums_tlv"])
def test_reply_with_another_number_of_timestamps_is_malformed(world: World, tlv: str) -> None:
    probing(world)
    with pytest.raises(WireError):
        world.reply(1, [1, 2], **{tlv: [(1, 1)]})


def test_answers_that_nobody_asked_for_change_nothing(world: World) -> None:
    probing(world)
    world.come(2)
    world.reply(2, [1, 2, 3])
    world.end(2)
    assert world.seeker.state is State.PROBING_SCIDS
    assert len(world.seeker.wanted) == 0


def test_probe_that_is_not_answered_is_tried_again(world: World) -> None:
    probing(world)
    world.pass_time(world.timing.query_timeout + 1)
    assert world.seeker.state is State.NORMAL
    world.pass_time(world.timing.query_timeout)
    assert world.seeker.state is State.PROBING_SCIDS


def test_peer_that_leaves_in_the_middle_of_an_answer(world: World) -> None:
    asking(world, 9)
    world.sent.clear()
    world.come(2)
    world.seeker.peer_left(1, world.now)
    assert world.asked_for() == (2, {9: ALL})


def test_what_is_owed_is_asked_for(world: World) -> None:
    probing(world).reply(1, [])
    world.seeker.owe(77, ALL)
    world.pass_time(1)
    assert world.asked_for() == (1, {77: ALL})


def test_updates_of_channels_that_do_not_exist_fill_nothing(world: World) -> None:
    for scid in range(MAX_RUMOURS + 500):
        world.seeker.hear_of(scid)
    assert len(world.seeker.wanted) == MAX_RUMOURS, PROBES_A_DAY


def test_wanted_is_bounded() -> None:
    wanted = Wanted()
    for scid in range(MOST + 5):
        wanted.add(scid, ALL)
    assert (len(wanted), wanted.overflowed) == (MOST, 5)


def test_debt_that_did_not_fit_is_found_by_comparing(world: World) -> None:
    probing(world).reply(1, [])
    world.seeker.wanted.overflowed = 5
    world.pass_time(1)
    assert world.seeker.state is State.PROBING_SCIDS
    assert world.seeker.wanted.overflowed == 0


def test_worst_streamer_makes_room(world: World) -> None:
    for number in range(1, GOSSIPERS + 2):
        world.come(number)
        world.novel[number] = 100 + number
    world.novel[4] = 1
    world.now += world.timing.gossiper_rotation
    world.seeker.tick(world.now, 0)
    changed = {
        conn_id: (message.first_timestamp, message.timestamp_range)
        for conn_id, message in world.said(GossipTimestampFilter)
        if isinstance(message, GossipTimestampFilter)
    }
    assert changed[4] == NOTHING
    assert changed[GOSSIPERS + 1] == (int(world.now), 0xFFFFFFFF)


def test_counts_of_peers_that_left_are_forgotten(world: World) -> None:
    world.come(1)
    world.novel[99] = 5
    world.pass_time(world.timing.gossiper_rotation)
    assert 99 not in world.novel


def test_resync_begins_anew(world: World) -> None:
    asking(world, 9)
    world.sent.clear()
    world.seeker.resync(world.now)
    assert world.seeker.state is State.STARTING_UP
    ((_, sent),) = world.said(GossipTimestampFilter)
    assert isinstance(sent, GossipTimestampFilter) and sent.first_timestamp == 0


def test_successor_compares_instead_of_starting_anew(world: World) -> None:
    world.seeker.peer_came(1, EXTENDED, world.now, has_filter=True)
    assert world.sent == []
    world.pass_time(world.timing.query_timeout)
    assert world.seeker.state is State.PROBING_SCIDS


def test_retired_seeker_says_nothing(world: World) -> None:
    world.come(1)
    world.come(2)
    world.seeker.retire()
    world.seeker.peer_left(1, world.now)
    world.seeker.peer_left(2, world.now)
    world.pass_time(world.timing.probe_interval)
    assert world.sent == []


def test_every_state_can_be_left() -> None:
    assert {state for state, _ in NEXT} == set(State)
    assert {event for _, event in NEXT} == set(Event)
