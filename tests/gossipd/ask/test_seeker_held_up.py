"""One stranger among honest peers that wants the seeker to wait, or to ask others for what does not exist."""

from collections.abc import Iterator

import pytest

from gossipd.ask.compare import KnownByMap
from gossipd.ask.question import LONGEST
from gossipd.ask.seeker import BATCH, LONGEST_STREAM
from gossipd.ask.states import State
from gossipd.ask.wanted import MAX_RUMOURS, MOST, TRIES
from gossipd.ingest.txout import ANY_SCRIPT
from gossipd.serve.checksums import Checksums
from tests.gossipd.ask.seeker_alone import NOW, SOMEWHERE, SeekerAlone, asking, probing
from tests.gossipd.bench import CHANNEL, Bench
from tests.gossipd.messages import scid
from wire.encoded import ALL, UPDATE_1
from wire.peer_wire import QueryChannelRange, QueryShortChannelIds

STRANGER, HONEST = 1, 2
DAY = 86_400
JUNK = 1_000_000


def normal(alone: SeekerAlone) -> SeekerAlone:
    """The stranger was there first; then an honest peer came, and all is well."""
    probing(alone, conn_id=STRANGER).reply(STRANGER, [])
    alone.come(HONEST)
    assert alone.seeker.state is State.NORMAL
    return alone


def seconds_in(alone: SeekerAlone, state: State, most: float) -> Iterator[None]:
    """Second after second while the seeker is in that state; it must not be there longer than `most`."""
    begin = alone.clock()
    while alone.seeker.state is state:
        assert alone.clock() - begin <= most
        yield


def test_a_stream_that_drips_is_not_listened_to_for_ever(alone: SeekerAlone) -> None:
    alone.come(STRANGER)
    for _ in seconds_in(alone, State.STARTING_UP, LONGEST_STREAM * alone.timing.stream_quiet):
        alone.novel[STRANGER] = alone.novel.get(STRANGER, 0) + 1
        alone.pass_time(1, unfinished=7)
    assert alone.seeker.state is State.PROBING_SCIDS


def test_streamers_that_come_and_go_do_not_begin_the_wait_again(alone: SeekerAlone) -> None:
    alone.come(HONEST, b"")
    alone.come(10)
    alone.come(11)
    for second in seconds_in(alone, State.STARTING_UP, LONGEST_STREAM * alone.timing.stream_quiet):
        streamer = alone.seeker.streamer
        assert second is None and streamer is not None
        alone.seeker.peer_left(streamer)
        alone.sent.clear()
        alone.seeker.peer_came(streamer + 2, b"\x80", SOMEWHERE)
        alone.pass_time(9)


def test_junk_in_the_pipeline_keeps_no_question_open(alone: SeekerAlone) -> None:
    asking(alone, 9)
    alone.come(HONEST)
    alone.end(STRANGER)
    waited = 0
    while not alone.said(QueryShortChannelIds):
        alone.pass_time(1, unfinished=1_000)
        waited += 1
        assert waited <= alone.timing.query_timeout + 1


def test_an_end_that_is_said_again_and_again_keeps_no_question_open(alone: SeekerAlone) -> None:
    asking(alone, 9)
    alone.sent.clear()
    for _ in range(int(alone.timing.query_timeout) + 2):
        alone.end(STRANGER)
        alone.pass_time(1, unfinished=1)
    assert alone.said(QueryShortChannelIds)


@pytest.mark.parametrize("named", [[], [1]])
def test_replies_that_drip_keep_no_comparison_open(alone: SeekerAlone, named: list[int]) -> None:
    probing(alone, conn_id=STRANGER)
    alone.come(HONEST)
    patience = alone.timing.query_timeout
    most = (LONGEST + 1) * patience if named else 2 * patience
    for _ in seconds_in(alone, State.PROBING_SCIDS, most):
        alone.reply(STRANGER, named, complete=0)
        alone.pass_time(patience - 1)
    alone.sent.clear()
    alone.pass_time(patience + 1)
    if alone.seeker.state is State.ASKING_FOR_SCIDS:
        alone.map[1] = (1, 1)
        alone.end(alone.said(QueryShortChannelIds)[0][0])
        alone.pass_time(1)
        alone.pass_time(1)
    assert [conn_id for conn_id, _ in alone.said(QueryChannelRange)] == [HONEST]


def test_an_answer_that_drips_has_an_end(alone: SeekerAlone) -> None:
    asking(alone, *range(100))
    alone.come(HONEST)
    alone.sent.clear()
    for number in range(LONGEST + 2):
        alone.map[number] = (1, 1)
        alone.pass_time(alone.timing.query_timeout - 1)
    assert alone.said(QueryShortChannelIds)[0][0] == HONEST


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_wall_clock_that_is_set_holds_nothing_up(alone: SeekerAlone, jump: int) -> None:
    asking(alone, 9)
    alone.come(HONEST)
    alone.sent.clear()
    alone.wall_jump = jump
    alone.pass_time(1)
    assert alone.sent == [], "nothing is late"
    alone.pass_time(alone.timing.query_timeout + 1)
    assert alone.asked_for() == (HONEST, {9: ALL})


def name_junk(alone: SeekerAlone, count: int) -> None:
    """The stranger sends updates of channels that do not exist: others each time."""
    begin = JUNK + int(alone.clock()) * 10_000
    for number in range(begin, begin + count):
        alone.seeker.hear_of(number, STRANGER)


def test_channels_that_do_not_exist_are_asked_of_the_peer_that_names_them(alone: SeekerAlone) -> None:
    """2,500 a second: comparing goes on, and honest peers are asked for nothing."""
    normal(alone)
    alone.sent.clear()
    asked: list[int] = []
    compared = 0
    for _ in range(int(2 * alone.timing.probe_interval)):
        name_junk(alone, 2_500 if alone.passed < 400 or alone.passed % 400 == 0 else 1)
        alone.pass_time(1)
        for conn_id, message in list(alone.sent):
            if isinstance(message, QueryShortChannelIds):
                asked.append(conn_id)
                alone.end(conn_id)
            elif isinstance(message, QueryChannelRange):
                compared += 1
                alone.reply(conn_id, [])
        alone.sent.clear()
    assert set(asked) == {STRANGER}
    assert len(asked) <= 4, "one question has shown what its word is worth"
    assert compared >= 2


def test_what_an_honest_peer_names_is_asked_of_it_beside_a_stranger_s_junk(alone: SeekerAlone) -> None:
    normal(alone)
    alone.sent.clear()
    name_junk(alone, MAX_RUMOURS + 10)
    alone.seeker.hear_of(7, HONEST)
    assert len(alone.seeker.rumours) == MAX_RUMOURS
    asked = {}
    for _ in range(4):
        alone.pass_time(1)
        for conn_id, message in alone.said(QueryShortChannelIds):
            asked[conn_id] = message
            if conn_id == HONEST:
                alone.map[7] = (1, 1)
            alone.end(conn_id)
    assert set(asked) == {STRANGER, HONEST}
    assert alone.seeker.got == 1


def test_a_peer_that_is_gone_or_answers_nothing_starts_no_rumour(alone: SeekerAlone) -> None:
    normal(alone)
    alone.seeker.hear_of(7, 99)
    alone.seeker.hear_of(7, STRANGER)
    alone.seeker.peer_left(STRANGER)
    assert len(alone.seeker.rumours) == 0


def test_a_comparison_with_a_stranger_costs_honest_peers_little(alone: SeekerAlone) -> None:
    """The stranger names 20,000 channels that do not exist, and answers for none."""
    probing(alone, conn_id=STRANGER)
    alone.come(HONEST)
    alone.sent.clear()
    for begin in range(JUNK, JUNK + 10 * BATCH, BATCH):
        alone.reply(STRANGER, list(range(begin, begin + BATCH)), complete=0)
    alone.reply(STRANGER, [])
    asked = []
    while alone.seeker.state is State.ASKING_FOR_SCIDS:
        for conn_id, _ in alone.said(QueryShortChannelIds):
            asked.append(conn_id)
            alone.end(conn_id)
        alone.pass_time(1)
    assert asked == [STRANGER] * TRIES


def test_a_stranger_makes_no_room_among_what_is_wanted_for_others(alone: SeekerAlone) -> None:
    wanted = alone.seeker.wanted
    for number in range(10):
        wanted.add(number, ALL, HONEST)
    for number in range(JUNK, JUNK + MOST + 10):
        wanted.add(number, ALL, STRANGER)
    assert len(wanted) == MOST
    taken = [wanted.take(BATCH) for _ in range(2)]
    assert [scid for source, batch, _ in taken for scid, _ in batch if source == HONEST] == list(range(10))


def test_comparing_goes_before_asking_when_it_is_due(alone: SeekerAlone) -> None:
    normal(alone)
    alone.sent.clear()
    for second in range(int(alone.timing.probe_interval) + 2):
        alone.seeker.owe(JUNK + second, ALL)
        alone.pass_time(1)
        for conn_id, message in list(alone.sent):
            if isinstance(message, QueryChannelRange):
                return
            alone.end(conn_id)
        alone.sent.clear()
    pytest.fail("never compared again")


def test_nothing_is_asked_while_nothing_can_be_taken_in(alone: SeekerAlone) -> None:
    """A full disk: what comes is owed, so that it would be asked for without end."""
    asking(alone, *range(10))
    alone.come(HONEST)
    alone.sent.clear()
    alone.suspended = True
    for _ in range(600):
        for number in range(10):
            alone.seeker.owe(number, ALL)
        alone.end(STRANGER)
        alone.pass_time(1)
    assert alone.sent == []
    alone.suspended = False
    alone.pass_time(1)
    _, wanted = alone.asked_for()
    assert wanted == dict.fromkeys(range(10), ALL)


def test_what_is_stale_with_the_peer_too_is_not_asked_for(alone: SeekerAlone) -> None:
    now, prune = int(NOW), int(alone.timing.gossip_prune)
    alone.map = {5: (1, 1), 6: (1, 1)}
    probing(alone)
    alone.sent.clear()
    old, new, future = now - prune - 10, now - prune + 100, now + DAY + 1_000
    stamps = [(old, old), (old, future), (0, 0), (old, new), (old, old), (old, now)]
    alone.reply(1, [1, 2, 3, 4, 5, 6], timestamps_tlv=stamps, checksums_tlv=[(7, 7)] * 6)
    _, flags = alone.asked_for()
    assert flags == {4: ALL, 6: UPDATE_1 << 1}


def test_a_channel_without_an_output_is_not_asked_for_again(bench: Bench) -> None:
    bench.take(*CHANNEL)
    failed = {scid(1): ANY_SCRIPT, scid(2): b"the script of a forged announcement"}
    known = KnownByMap(
        bench.index, Checksums(bench.index, bench.store), {scid(3)}, lambda each: failed.get(each) == ANY_SCRIPT
    )
    found = [known.newest(scid(number)) for number in range(5)]
    assert [each is not None for each in found] == [True, True, False, True, False]
