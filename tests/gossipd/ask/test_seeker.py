"""The seeker, driven by hand: peers, answers and time come from the test (seeker_alone.py)."""

from typing import Any

import pytest

from gossipd.ask.seeker import ALL_BLOCKS, BATCH, MAX_REPLIES, OVERFLOW_PAUSE, PROBES_A_DAY
from gossipd.ask.states import NEXT, Event, State
from gossipd.ask.wanted import MAX_RUMOURS, MOST, TRIES, Wanted
from tests.gossipd.ask.seeker_alone import (
    CHAIN,
    EVERYTHING,
    EXTENDED,
    NOTHING,
    NOW,
    QUERIES,
    SOMEWHERE,
    SeekerAlone,
    asking,
    probing,
)
from wire.control.limits import Limits
from wire.cursor import WireError
from wire.encoded import ALL, NODE_1, UPDATE_1, UPDATE_2
from wire.peer_wire import GossipTimestampFilter, QueryChannelRange

T = int(NOW) - 1_000

LISTENED_TO = Limits().gossip_listen


def test_first_peer_streams_everything_and_the_next_ones_news(alone: SeekerAlone) -> None:
    assert alone.come(1) == EVERYTHING
    assert alone.come(2) == (int(NOW), 0xFFFFFFFF)


@pytest.mark.bolt("B7-99", "B7-89")
def test_peer_without_gossip_queries_gets_a_filter_for_nothing_and_no_query(alone: SeekerAlone) -> None:
    assert alone.come(1, b"") == NOTHING
    alone.pass_time(alone.timing.probe_interval * 2)
    assert alone.seeker.state is State.STARTING_UP
    assert alone.sent == []


def test_only_so_many_peers_stream(alone: SeekerAlone) -> None:
    filters = [alone.come(number) for number in range(1, LISTENED_TO + 3)]
    assert filters.count(NOTHING) == 2


def test_stream_goes_on_while_it_brings_something(alone: SeekerAlone) -> None:
    alone.come(1)
    for total in (1_000, 2_000, 3_000):
        alone.novel[1] = total
        alone.pass_time(alone.timing.stream_quiet)
        assert alone.seeker.state is State.STARTING_UP
    alone.pass_time(alone.timing.stream_quiet, unfinished=5)
    assert alone.seeker.state is State.STARTING_UP, "the pipeline has not finished"
    alone.pass_time(alone.timing.stream_quiet)
    assert alone.seeker.state is State.PROBING_SCIDS


def test_streamer_that_leaves_is_replaced(alone: SeekerAlone) -> None:
    alone.come(1)
    alone.come(2)
    alone.seeker.peer_left(1)
    ((conn_id, sent),) = alone.said(GossipTimestampFilter)
    assert conn_id == 2
    assert isinstance(sent, GossipTimestampFilter) and sent.first_timestamp == 0


@pytest.mark.bolt("B7-92")
def test_probe_asks_for_all_blocks_with_timestamps_and_checksums(alone: SeekerAlone) -> None:
    probing(alone)
    ((_, query),) = alone.said(QueryChannelRange)
    assert query == QueryChannelRange(CHAIN, 0, ALL_BLOCKS, 3)


def test_probe_of_a_peer_without_the_extension_is_plain(alone: SeekerAlone) -> None:
    probing(alone, QUERIES)
    ((_, query),) = alone.said(QueryChannelRange)
    assert query == QueryChannelRange(CHAIN, 0, ALL_BLOCKS)
    alone.reply(1, [7])
    _, flags = alone.asked_for()
    assert flags == {7: ALL}


def test_nothing_new_is_normal_life_until_the_next_probe(alone: SeekerAlone) -> None:
    alone.map = {5: (10, 10)}
    probing(alone).reply(1, [5])
    assert alone.seeker.state is State.NORMAL
    alone.pass_time(alone.timing.probe_interval)
    assert alone.seeker.state is State.PROBING_SCIDS


def test_unknown_stale_and_unannounced_are_asked_for(alone: SeekerAlone) -> None:
    alone.map = {1: (T, T), 2: (T, T), 3: (T, T)}
    alone.checksums = {(1, 0): 111, (2, 0): 222, (2, 1): 333}
    probing(alone)
    alone.sent.clear()
    stamps = [(T + 10, T), (T + 10, T + 10), (T - 5, T), (T - 1, T - 1)]
    sums = [(111, 0), (999, 998), (1, 1), (1, 1)]
    alone.reply(1, [1, 2, 3, 4], timestamps_tlv=stamps, checksums_tlv=sums)
    conn_id, flags = alone.asked_for()
    assert conn_id == 1
    # 1 is newer with the same content; 3 is older; 4 is unknown.
    assert flags == {2: UPDATE_1 | UPDATE_2, 4: ALL}


def test_nodes_that_never_announced_are_asked_for(alone: SeekerAlone) -> None:
    alone.map = {1: (10, 10)}
    alone.nodes_unknown = NODE_1
    probing(alone).reply(1, [1])
    assert alone.asked_for() == (1, {1: NODE_1})


def test_nodes_that_stay_silent_are_not_asked_for_at_each_probe(alone: SeekerAlone) -> None:
    alone.map = {1: (10, 10)}
    alone.nodes_unknown = NODE_1
    probing(alone)
    asked = []
    for probe in range(1, PROBES_A_DAY + 1):
        alone.sent.clear()
        alone.reply(1, [1])
        if alone.sent:
            asked.append(probe)
            assert alone.asked_for() == (1, {1: NODE_1})
            alone.end(1)
            alone.pass_time(1)
        assert alone.seeker.state is State.NORMAL
        alone.pass_time(alone.timing.probe_interval)
    assert asked == [1, 2, 3, PROBES_A_DAY]


def test_silent_nodes_are_left_out_of_comparisons_only(alone: SeekerAlone) -> None:
    wanted = alone.seeker.wanted
    for _ in range(TRIES):
        wanted.note_silent(1)
    wanted.add_compared(1, NODE_1, None)
    assert len(wanted) == 0
    wanted.add_compared(1, NODE_1 | UPDATE_1, None)
    wanted.add(2, NODE_1)
    assert wanted.take(5) == (None, [(1, UPDATE_1), (2, NODE_1)], False)


@pytest.mark.bolt("B7-91")
def test_one_query_at_a_time_and_the_next_after_the_pipeline(alone: SeekerAlone) -> None:
    asking(alone, *range(BATCH + 10))
    _, first = alone.asked_for()
    assert len(first) == BATCH
    alone.pass_time(1)
    alone.end(1)
    alone.pass_time(1, unfinished=3)
    assert alone.sent == []
    alone.map = dict.fromkeys(first, (1, 1))
    alone.pass_time(1)
    _, second = alone.asked_for()
    assert len(second) == 10
    alone.map |= dict.fromkeys(second, (1, 1))
    alone.end(1)
    alone.pass_time(1)
    assert alone.seeker.state is State.NORMAL
    assert (alone.seeker.asked, alone.seeker.got) == (BATCH + 10, BATCH + 10)


def test_what_does_not_come_is_asked_for_again_but_not_for_ever(alone: SeekerAlone) -> None:
    asking(alone, 9)
    asked = 0
    while alone.seeker.state is State.ASKING_FOR_SCIDS:
        alone.asked_for()
        asked += 1
        alone.end(1)
        alone.pass_time(1)
    assert asked == TRIES
    assert alone.seeker.state is State.NORMAL


@pytest.mark.bolt("B7-93")
def test_replies_that_name_the_whole_range_each_are_one_answer(alone: SeekerAlone) -> None:
    probing(alone)
    alone.reply(1, [1], complete=0)
    alone.reply(1, [2], complete=0)
    assert alone.seeker.state is State.PROBING_SCIDS
    alone.reply(1, [3], complete=1)
    _, flags = alone.asked_for()
    assert set(flags) == {1, 2, 3}


@pytest.mark.bolt("B7-93")
def test_a_peer_that_never_ends_its_reply_is_not_listened_to_for_ever(alone: SeekerAlone) -> None:
    probing(alone)
    for number in range(MAX_REPLIES):
        assert alone.seeker.state is State.PROBING_SCIDS
        alone.reply(1, [number], complete=0)
    assert alone.seeker.state is State.ASKING_FOR_SCIDS


@pytest.mark.parametrize("tlv", ["timestamps_tlv", "checksums_tlv"])
def test_reply_with_another_number_of_timestamps_is_malformed(alone: SeekerAlone, tlv: str) -> None:
    probing(alone)
    tlvs: dict[str, Any] = {tlv: [(1, 1)]}
    with pytest.raises(WireError):
        alone.reply(1, [1, 2], **tlvs)


def test_answers_that_nobody_asked_for_change_nothing(alone: SeekerAlone) -> None:
    probing(alone)
    alone.come(2)
    alone.reply(2, [1, 2, 3])
    alone.end(2)
    assert alone.seeker.state is State.PROBING_SCIDS
    assert len(alone.seeker.wanted) == 0


def test_probe_that_is_not_answered_is_tried_again(alone: SeekerAlone) -> None:
    probing(alone)
    alone.pass_time(alone.timing.query_timeout + 1)
    assert alone.seeker.state is State.NORMAL
    alone.pass_time(alone.timing.query_timeout)
    assert alone.seeker.state is State.PROBING_SCIDS


def test_peer_that_leaves_in_the_middle_of_an_answer(alone: SeekerAlone) -> None:
    asking(alone, 9)
    alone.sent.clear()
    alone.come(2)
    alone.seeker.peer_left(1)
    assert alone.asked_for() == (2, {9: ALL})


def test_what_is_owed_is_asked_for(alone: SeekerAlone) -> None:
    probing(alone).reply(1, [])
    alone.seeker.owe(77, ALL)
    alone.pass_time(1)
    assert alone.asked_for() == (1, {77: ALL})


def test_updates_of_channels_that_do_not_exist_fill_nothing(alone: SeekerAlone) -> None:
    alone.come(1)
    for scid in range(MAX_RUMOURS + 500):
        alone.seeker.hear_of(scid, 1)
    assert (len(alone.seeker.rumours), len(alone.seeker.wanted)) == (MAX_RUMOURS, 0)


def test_wanted_is_bounded() -> None:
    wanted = Wanted()
    for scid in range(MOST + 5):
        wanted.add(scid, ALL)
    assert (len(wanted), wanted.overflowed) == (MOST, 5)


def test_debt_that_did_not_fit_is_found_by_comparing(alone: SeekerAlone) -> None:
    probing(alone).reply(1, [])
    alone.seeker.wanted.overflowed = 5
    alone.pass_time(1)
    assert alone.seeker.state is State.NORMAL, "the last comparison was a moment ago"
    alone.pass_time(OVERFLOW_PAUSE * alone.timing.query_timeout)
    assert alone.seeker.state is State.PROBING_SCIDS
    assert alone.seeker.wanted.overflowed == 0


def test_worst_streamer_makes_room(alone: SeekerAlone) -> None:
    for number in range(1, LISTENED_TO + 2):
        alone.come(number)
        alone.novel[number] = 100 + number
    alone.novel[4] = 1
    alone.passed += alone.timing.gossiper_rotation
    alone.seeker.tick(0)
    changed = {
        conn_id: (message.first_timestamp, message.timestamp_range)
        for conn_id, message in alone.said(GossipTimestampFilter)
        if isinstance(message, GossipTimestampFilter)
    }
    assert changed[4] == NOTHING
    assert changed[LISTENED_TO + 1] == (int(alone.now()), 0xFFFFFFFF)


def test_counts_of_peers_that_left_are_forgotten(alone: SeekerAlone) -> None:
    alone.come(1)
    alone.novel[99] = 5
    alone.pass_time(alone.timing.gossiper_rotation)
    assert 99 not in alone.novel


def test_resync_begins_again(alone: SeekerAlone) -> None:
    asking(alone, 9)
    alone.sent.clear()
    alone.seeker.resync()
    assert alone.seeker.state is State.STARTING_UP
    ((_, sent),) = alone.said(GossipTimestampFilter)
    assert isinstance(sent, GossipTimestampFilter) and sent.first_timestamp == 0


def test_successor_compares_instead_of_starting_up(alone: SeekerAlone) -> None:
    alone.seeker.peer_came(1, EXTENDED, SOMEWHERE, (5, 0xFFFFFFFF))
    assert alone.sent == []
    alone.pass_time(alone.timing.query_timeout)
    assert alone.seeker.state is State.PROBING_SCIDS


def test_peer_that_was_told_to_say_nothing_is_not_believed_to_stream(alone: SeekerAlone) -> None:
    """By another gossipd: here it is the first that is worth asking."""
    alone.seeker.peer_came(1, EXTENDED, SOMEWHERE, NOTHING)
    assert alone.seeker.filter_of(1) == NOTHING
    alone.come(2)
    assert alone.seeker.filter_of(2) != NOTHING, "there is room for ten that stream"
    assert alone.seeker.filter_of(3) is None


def test_retired_seeker_says_nothing(alone: SeekerAlone) -> None:
    alone.come(1)
    alone.come(2)
    alone.seeker.retire()
    alone.seeker.peer_left(1)
    alone.seeker.peer_left(2)
    alone.pass_time(alone.timing.probe_interval)
    assert alone.sent == []


def test_every_state_can_be_left() -> None:
    assert {state for state, _ in NEXT} == set(State)
    assert {event for _, event in NEXT} == set(Event)
