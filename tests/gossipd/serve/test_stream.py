"""The cursor in the store: what a filter lets through, and what has gone when its turn comes."""

import itertools

import pytest

from gossipd.serve import stream as stream_module
from gossipd.serve.stream import Stream
from tests.gossipd.bench import CHANNEL, Bench
from tests.gossipd.messages import NOW, announcement, big_map, node_announcement, scid, update

NODES = [node_announcement(0), node_announcement(1)]


def all_of(stream: Stream, bench: Bench, budget: int = 32_768) -> list[bytes]:
    """Pull until the limit."""
    bench.store.flush()
    messages = []
    while not stream.finished:
        before = stream.offset
        messages += stream.pull(bench.store, bench.index, budget)
        assert stream.offset > before
    return messages


def new_stream(bench: Bench, first: int = 0, timestamp_range: int = 0xFFFFFFFF) -> Stream:
    """A filter that comes now."""
    bench.store.flush()
    return Stream(first, timestamp_range, 1, bench.store.end)


@pytest.mark.bolt("B7-98")
@pytest.mark.parametrize("budget", [1, 100, 430, 10_000])
def test_order_is_the_store_s(bench: Bench, budget: int) -> None:
    """In pieces of any size, and each piece is about that large."""
    bench.take(*CHANNEL, *NODES)
    assert all_of(new_stream(bench), bench, budget) == [*CHANNEL, *NODES]


def test_budget(bench: Bench) -> None:
    said = big_map(100, 30)
    bench.take(*said)
    stream = new_stream(bench)
    while not stream.finished:
        assert sum(map(len, stream.pull(bench.store, bench.index, 5_000))) < 5_000 + 500


@pytest.mark.bolt("B7-100")
def test_replaced_before_the_flush(bench: Bench) -> None:
    """Of what was replaced since the last flush only the newest goes out."""
    bench.take(*CHANNEL)
    stream = new_stream(bench)
    assert all_of(stream, bench) == CHANNEL
    updates = [update(timestamp=NOW + number) for number in range(1, 5)]
    nodes = [node_announcement(0, NOW + number) for number in range(5)]
    bench.take(*updates, *nodes)
    bench.store.flush()
    assert stream.finished, "news waits for the flush"
    stream.limit = bench.store.end
    assert all_of(stream, bench) == [updates[-1], nodes[-1]]


@pytest.mark.bolt("B7-66")
def test_dying_channel_is_not_told(bench: Bench) -> None:
    bench.take(*CHANNEL)
    row = bench.index.channels[scid(0)]
    bench.store.flush()
    for offset in (bench.index.announce_off[row], bench.index.update_off[0][row]):
        bench.store.set_dying(offset)
    assert all_of(new_stream(bench), bench) == [CHANNEL[2]]


@pytest.mark.bolt("B7-96", "B7-98")
def test_range(bench: Bench) -> None:
    """Against the slow, obvious form."""
    channels = [
        (announcement(number), [update(number, direction, NOW + number * 2 + direction) for direction in (0, 1)])
        for number in range(3)
    ]
    for channel, updates in channels:
        bench.take(channel, *updates)
    for first, length in itertools.product(range(NOW - 2, NOW + 8), range(10)):
        expected = []
        for channel, updates in channels:
            wanted = [update for update in updates if first <= int.from_bytes(update[106:110], "big") < first + length]
            expected += [channel] * bool(wanted) + wanted
        assert all_of(new_stream(bench, first, length), bench) == expected


def test_range_past_the_end_of_time(bench: Bench) -> None:
    """first + range over 2^32 is the end of time, not a small number."""
    bench.take(*CHANNEL)
    assert all_of(new_stream(bench, NOW, 0xFFFFFFFF), bench) == CHANNEL


def test_peer_does_not_hear_what_it_said_itself(bench: Bench) -> None:
    bench.take(*CHANNEL, *NODES)
    stream = new_stream(bench)
    stream.heard(CHANNEL[1])
    stream.heard(NODES[0])
    assert all_of(stream, bench) == [CHANNEL[0], CHANNEL[2], NODES[1]]


def test_memory_of_what_a_peer_said_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_HEARD", 1)
    bench.take(*CHANNEL)
    stream = new_stream(bench)
    for message in CHANNEL:
        stream.heard(message)
    assert all_of(stream, bench) == CHANNEL[:1], "the oldest is forgotten"


def test_what_a_peer_said_is_forgotten_after_two_flushes(bench: Bench) -> None:
    """What it said is remembered over the first, for it may be in the pipeline then."""
    stream = new_stream(bench)
    for number in range(100):
        stream.heard(b"%d" % number)
    stream.flush(bench.store.end)
    assert not stream.heard(b"7")
    stream.flush(bench.store.end)
    assert stream.heard(b"7")


def test_what_a_peer_said_is_not_for_it_however_long_it_took(bench: Bench) -> None:
    """Ten flushes in the pipeline, and another peer hears it."""
    said, other = new_stream(bench), new_stream(bench)
    for message in CHANNEL:
        said.heard(message)
    for _ in range(10):
        said.flush(bench.store.end)
    bench.take(*CHANNEL, *NODES)
    for message in CHANNEL:
        said.stored(message, bench.store.size)
    bench.store.flush()
    for stream in (said, other):
        stream.flush(bench.store.end)
    assert all_of(other, bench) == [*CHANNEL, *NODES]
    assert all_of(said, bench) == NODES
    said.flush(bench.store.end)
    assert said._stored == {}, "it is behind the cursor"


def test_memory_of_what_a_peer_brought_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_HEARD", 2)
    stream = new_stream(bench)
    bench.take(*CHANNEL)
    for message in CHANNEL:
        stream.stored(message, bench.store.size)
    bench.store.flush()
    stream.flush(bench.store.end)
    assert all_of(stream, bench) == CHANNEL[:1], "the oldest is forgotten"


def test_what_a_peer_brought_is_found_after_compaction(bench: Bench) -> None:
    stream = new_stream(bench)
    bench.take(*CHANNEL)
    stream.stored(CHANNEL[0], bench.store.size)
    stream.move(lambda offset: offset - 1 if offset > 1 else offset)
    assert stream._stored == {hash(CHANNEL[0]): bench.store.size - 1}


def test_what_is_known_goes_to_another_gossipd_within_a_bound(bench: Bench) -> None:
    said = big_map(400, 60)
    stream = new_stream(bench)
    for message in said:
        stream.heard(message)
    bench.take(*said)
    bench.store.flush()
    known = stream.leave(bench.store)
    assert 0 < known[-1] < stream_module.NEAR + 500
    other = new_stream(bench)
    other.go_on(bench.store, [*known, 10**9])
    told = all_of(other, bench)
    assert len(told) + len(known) == len(bench.records())
