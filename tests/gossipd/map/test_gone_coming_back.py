"""What was closed or pruned does not come back through the pipeline, unless it has a right to."""

import pytest

from gossipd.ask.compare import KnownByMap, wanted_of_reply
from gossipd.serve.checksums import Checksums
from gossipd.verdict import Verdict
from tests.gossipd.bench import CHANNEL, CHECKED, PRUNE, Bench
from tests.gossipd.messages import CHAIN, NOW, announcement, node_announcement, scid, update
from wire.encoded import encode_short_ids
from wire.peer_wire import ReplyChannelRange

HEIGHT = 1_000


def close_channel(bench: Bench) -> None:
    bench.take(*CHANNEL)
    bench.forgetting.spend([scid(0)], HEIGHT)
    bench.forgetting.block(HEIGHT + 72)


@pytest.mark.bolt("B7-98")
def test_closed_channel_is_refused_and_not_asked_for(bench: Bench) -> None:
    close_channel(bench)
    assert bench.take(CHANNEL[0], update(timestamp=NOW + 5)) == [Verdict.CLOSED] * 2
    assert bench.owed == []
    assert bench.records() == []
    assert bench.is_as_reopened()


def test_closed_channel_counts_as_known_in_a_comparison(bench: Bench) -> None:
    close_channel(bench)
    known = KnownByMap(bench.index, Checksums(bench.index, bench.store), bench.forgetting.closed, lambda _: False)
    scids = encode_short_ids([scid(0), scid(1)])
    reply = ReplyChannelRange(CHAIN, 0, 1_000, 1, scids, [(NOW + 9, NOW + 9)] * 2, [(1, 1)] * 2)
    assert [number for number, _ in wanted_of_reply(reply, known, NOW, PRUNE)] == [scid(1)]


def test_channel_that_is_spent_while_it_is_checked(bench: Bench) -> None:
    assert bench.tell(*CHANNEL) == [Verdict.CHECKING, Verdict.HELD, Verdict.HELD]
    bench.forgetting.spend([scid(0)], HEIGHT)
    bench.signatures.run()
    assert bench.records() == []


@pytest.mark.bolt("B7-78")
def test_update_of_a_dying_channel_is_dying(bench: Bench) -> None:
    bench.take(*CHANNEL, node_announcement(0))
    bench.forgetting.spend([scid(0)], HEIGHT)
    assert bench.take(update(timestamp=NOW + 5)) == [Verdict.CLOSED]
    assert bench.take(update(timestamp=NOW + 5, disable=True), node_announcement(0, NOW + 5)) == CHECKED * 2
    bench.store.flush()
    records, _ = bench.store.scan(1, bench.store.end)
    assert [bool(flags & 0x800) for flags, _, kind, _, _ in records if kind in (256, 257, 258)] == [True] * 4
    assert bench.is_as_reopened()


@pytest.mark.bolt("B7-98")
def test_first_update_of_a_channel_that_is_dying(bench: Bench) -> None:
    """No announcement is brought forward that is not sent: it would stand, alive, behind its chan_dying."""
    bench.take(CHANNEL[0])
    bench.now += 60
    bench.ingest.write_lonely(10)
    bench.forgetting.spend([scid(0)], HEIGHT)
    bench.take(update(timestamp=NOW + 5, disable=True))
    bench.store.flush()
    records, _ = bench.store.scan(1, bench.store.end)
    assert [bool(flags & 0x800) for flags, _, kind, _, _ in records if kind in (256, 258)] == [True] * 2
    assert bench.is_as_reopened()


def test_pruned_channel_comes_back_with_a_fresh_update_only(bench: Bench) -> None:
    bench.take(*CHANNEL)
    bench.forgetting.prune([scid(0)])
    stale = update(timestamp=int(bench.now - PRUNE) - 1)
    assert bench.take(stale) == [Verdict.STALE]
    assert bench.heard_of == []
    bench.take(CHANNEL[0])
    bench.now += 60
    bench.ingest.write_lonely(10)
    assert bench.records() == []
    fresh = update(timestamp=NOW + 5)
    assert bench.take(fresh) == [Verdict.UNKNOWN_CHANNEL]
    assert bench.heard_of == [scid(0)]
    assert bench.take(CHANNEL[0], fresh) == CHECKED * 2
    assert bench.records() == [CHANNEL[0], fresh]


@pytest.mark.bolt("B7-98")
def test_node_announcement_that_came_before_its_channel_was_brought_forward(bench: Bench) -> None:
    node = node_announcement(0)
    bench.take(CHANNEL[0])
    bench.now += 60
    bench.ingest.write_lonely(10)
    bench.take(node)
    bench.store.flush()
    (flags,) = [flags for flags, _, kind, _, _ in bench.store.scan(1, bench.store.end)[0] if kind == 257]
    assert flags & 0x800, "no peer is sent it before its channel"
    bench.take(CHANNEL[1])
    assert bench.records() == [CHANNEL[0], CHANNEL[1], node]
    bench.take(announcement(1), update(1))
    assert bench.is_as_reopened()
