"""Answers to queries: whole, in order, and cut where they must be."""

import itertools
from collections.abc import Callable, Iterator

import google_crc32c
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossipd.map.index import MapIndex
from gossipd.serve import queries
from gossipd.serve.checksums import Checksums
from gossipd.serve.queries import Answer, Messages, Source, answer_range, answer_scids
from tests.gossipd.bench import CHANNEL, Bench
from tests.gossipd.messages import CHAIN, NOW, announcement, node_announcement, scid, update
from wire.encoded import decode_short_ids, encode_short_ids
from wire.peer_wire import QueryChannelRange, QueryShortChannelIds, ReplyChannelRange
from wire.scid import block_of, make_scid


def replies(index: MapIndex, first: int, count: int, option: int | None = None) -> list[ReplyChannelRange]:
    """The answer to a range query over an index that has no store."""
    query = QueryChannelRange(CHAIN, first, count, option)
    answer = answer_range(query, CHAIN, index, Checksums(index, None))  # type: ignore[arg-type]
    return [ReplyChannelRange.decode(raw) for raw in answer]


def index_of(scids: list[int]) -> MapIndex:
    """An index that knows of these channels, and nothing else of them."""
    index = MapIndex()
    for offset, each in enumerate(scids):
        index.add_channel(each, b"\2" * 33, b"\3" * 33, offset + 1)
    return index


def check_coverage(found: list[ReplyChannelRange], first: int, count: int) -> None:
    """The rules of BOLT 7 for the sequence of replies (B7-92)."""
    assert found[0].first_blocknum <= first < found[0].first_blocknum + found[0].number_of_blocks
    for before, after in itertools.pairwise(found):
        assert before.first_blocknum <= after.first_blocknum <= before.first_blocknum + before.number_of_blocks
    assert found[-1].first_blocknum + found[-1].number_of_blocks >= first + count
    assert [reply.sync_complete for reply in found] == [0] * (len(found) - 1) + [1]
    for reply in found:
        blocks = [block_of(each) for each in decode_short_ids(reply.encoded_short_ids)]
        assert all(0 <= block - reply.first_blocknum < reply.number_of_blocks for block in blocks)


SCIDS = st.lists(st.builds(make_scid, st.integers(0, 40), st.integers(0, 3), st.just(0)), unique=True)


@pytest.fixture
def small_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for three entries in a reply."""
    monkeypatch.setattr(queries, "_MAX_REPLY", 16 + 3 * 8)


@pytest.mark.bolt("B7-92")
@given(scids=SCIDS, first=st.integers(0, 45), count=st.integers(1, 45))
def test_replies_cover_the_range(scids: list[int], first: int, count: int) -> None:
    room, queries._MAX_REPLY = queries._MAX_REPLY, 16 + 3 * 8
    try:
        found = replies(index_of(scids), first, count)
    finally:
        queries._MAX_REPLY = room
    check_coverage(found, first, count)
    told = [each for reply in found for each in decode_short_ids(reply.encoded_short_ids)]
    assert told == sorted(each for each in scids if first <= block_of(each) < first + count)
    assert all(len(decode_short_ids(reply.encoded_short_ids)) <= 3 for reply in found)


@pytest.mark.bolt("B7-92")
@pytest.mark.parametrize("chain", [CHAIN, bytes(32)], ids=["ours", "another"])
def test_no_reply_goes_beyond_32_bits(chain: bytes) -> None:
    index = index_of([make_scid(110, 1, 0)])
    answer = answer_range(QueryChannelRange(chain, 109, 4294967295), CHAIN, index, Checksums(index, None))  # type: ignore[arg-type]
    (reply,) = map(ReplyChannelRange.decode, answer)
    assert (reply.first_blocknum, reply.number_of_blocks) == (109, 4294967186)


@pytest.mark.bolt("B7-92")
@pytest.mark.parametrize("option", [0, 1, 2, 3])
def test_largest_reply_fits(option: int) -> None:
    """More channels than one message holds, all in one block, so that it must be cut."""
    scids = [make_scid(7, number, 0) for number in range(20_000)]
    found = replies(index_of(scids), 0, 100, option)
    check_coverage(found, 0, 100)
    assert [each for reply in found for each in decode_short_ids(reply.encoded_short_ids)] == scids
    sizes = [len(reply.encode()) for reply in found]
    assert max(sizes) > 65_000
    assert len(found) == -(-20_000 // len(decode_short_ids(found[0].encoded_short_ids)))


@pytest.mark.bolt("B7-92")
def test_whole_range_and_beyond() -> None:
    scids = [make_scid(0, 0, 0), make_scid(0xFFFFFF, 0xFFFFFF, 0xFFFF)]
    for first, count, expected in [
        (0, 0xFFFFFFFF, scids),
        (0xFFFFFF, 1, scids[1:]),
        (0xFFFFFF, 0xFFFFFFFF, scids[1:]),
        (0x1000000, 0xFFFFFFFF, []),
        (0xFFFFFFFF, 0xFFFFFFFF, []),
        (1, 5, []),
    ]:
        (reply,) = replies(index_of(scids), first, count)
        assert (reply.first_blocknum, reply.number_of_blocks) == (first, min(count, 0xFFFFFFFF - first))
        assert decode_short_ids(reply.encoded_short_ids) == expected


@pytest.mark.bolt("B7-92")
def test_timestamps_and_checksums(bench: Bench) -> None:
    bench.take(*CHANNEL, announcement(1), update(1, 1, NOW - 7))
    sums = [google_crc32c.value(raw[66:106] + raw[110:]) for raw in (*CHANNEL[1:], update(1, 1, NOW - 7))]
    for option in (None, 0, 1, 2, 3):
        query = QueryChannelRange(CHAIN, 0, 1_000, option)
        (raw,) = answer_range(query, CHAIN, bench.index, Checksums(bench.index, bench.store))
        reply = ReplyChannelRange.decode(raw)
        wants_timestamps, wants_checksums = (option or 0) & 1, (option or 0) & 2
        assert reply.timestamps_tlv == ([(NOW, NOW), (0, NOW - 7)] if wants_timestamps else None)
        assert reply.checksums_tlv == ([(sums[0], sums[1]), (0, sums[2])] if wants_checksums else None)


@pytest.mark.bolt("B7-92")
def test_checksum_leaves_signature_and_timestamp_out(bench: Bench) -> None:
    bench.take(*CHANNEL)
    before = _checksums(bench)
    bench.take(update(timestamp=NOW + 9))
    assert _checksums(bench) == before
    bench.take(update(timestamp=NOW + 10, cltv_expiry_delta=77))
    assert _checksums(bench) != before


def _checksums(bench: Bench) -> object:
    (raw,) = answer_range(
        QueryChannelRange(CHAIN, 0, 1_000, 2), CHAIN, bench.index, Checksums(bench.index, bench.store)
    )
    return ReplyChannelRange.decode(raw).checksums_tlv


def test_channel_that_goes_while_it_is_told(bench: Bench) -> None:
    """An answer is made as the peer takes it; the map goes on meanwhile."""
    bench.take(*CHANNEL, announcement(1), update(1), node_announcement(0))
    answer = _answer(bench, 0, 1)
    assert next(answer) == CHANNEL[0]
    bench.take(newer := update(timestamp=NOW + 1))
    bench.index.remove_channel(bench.index.channels[scid(1)])
    assert list(answer)[:-1] == [newer, CHANNEL[2], node_announcement(0)]


def _answer(bench: Bench, *channels: int) -> Iterator[bytes]:
    query = QueryShortChannelIds(CHAIN, encode_short_ids(map(scid, channels)))
    return iter(answer_scids(query, CHAIN, bench.index, bench.store))


def in_pieces(source: Source, cuts: list[int], again: Callable[[bytes], Source]) -> list[bytes]:
    """The whole answer, broken off after so many messages each time, and gone on with by somebody else."""
    messages: list[bytes] = []
    for cut in cuts:
        answer = Answer(source)
        for _ in range(cut):
            messages += answer.pull(1)
        made, rest = answer.break_off()
        messages += made
        if rest is None:
            return messages
        source = again(rest)
    return messages + list(source)


@pytest.mark.bolt("B7-91")
@given(cuts=st.lists(st.integers(0, 6)), flags=st.lists(st.integers(0, 31), min_size=3, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_query_of_channels_that_is_gone_on_with(bench: Bench, cuts: list[int], flags: list[int]) -> None:
    if not bench.index.channels:
        bench.take(
            *CHANNEL, announcement(1), update(1), announcement(2, 1, 2), node_announcement(0), node_announcement(1)
        )
    query = QueryShortChannelIds(CHAIN, encode_short_ids(map(scid, range(3))), flags)

    def again(raw: bytes) -> Source:
        return answer_scids(QueryShortChannelIds.decode(raw), CHAIN, bench.index, bench.store)

    assert in_pieces(again(query.encode()), cuts, again) == list(again(query.encode()))


@pytest.mark.bolt("B7-92")
@given(scids=SCIDS, first=st.integers(0, 45), count=st.integers(1, 45), cuts=st.lists(st.integers(0, 4)))
def test_query_of_a_range_that_is_gone_on_with(scids: list[int], first: int, count: int, cuts: list[int]) -> None:
    index = index_of(scids)

    def again(raw: bytes) -> Source:
        return answer_range(QueryChannelRange.decode(raw), CHAIN, index, Checksums(index, None))  # type: ignore[arg-type]

    # Four entries: no block has more channels, so none is told of twice.
    room, queries._MAX_REPLY = queries._MAX_REPLY, 16 + 4 * 8
    try:
        messages = in_pieces(again(QueryChannelRange(CHAIN, first, count).encode()), cuts, again)
    finally:
        queries._MAX_REPLY = room
    found = [ReplyChannelRange.decode(raw) for raw in messages]
    check_coverage(found, first, count)
    told = [each for reply in found for each in decode_short_ids(reply.encoded_short_ids)]
    assert told == sorted(each for each in scids if first <= block_of(each) < first + count)


def test_channel_is_answered_once_a_query(bench: Bench) -> None:
    bench.take(*CHANNEL)
    query = QueryShortChannelIds(CHAIN, encode_short_ids([scid(0)] * 500), [1, 2] * 250)
    *told, end = answer_scids(query, CHAIN, bench.index, bench.store)
    assert told == CHANNEL[:2]
    assert end[:2] == b"\1\6"


@pytest.mark.bolt("B7-91", "B7-92")
@given(sizes=st.lists(st.integers(1, 10), min_size=1), budget=st.integers(1, 20))
def test_answer_is_finished_with_its_last_message(sizes: list[int], budget: int) -> None:
    messages = [bytes(size) for size in sizes]
    answer, taken = Answer(Messages(messages)), list[bytes]()
    while not answer.finished:
        piece = answer.pull(budget)
        assert piece
        assert sum(map(len, piece[:-1])) < budget
        taken += piece
    assert taken == messages


def test_the_first_answer_with_checksums_is_made_in_bounded_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than so many checksums for a reply, one such reply at a time, and all of the range in the end."""
    monkeypatch.setattr(queries, "MOST_MADE", 4)
    monkeypatch.setattr(queries, "COST_OF_MAKING", 10_000)
    for number in range(10):
        bench.take(announcement(number), update(number, 0), update(number, 1))
    checksums = Checksums(bench.index, bench.store)
    query = QueryChannelRange(CHAIN, 0, 1_000, 3)
    answer, found = Answer(answer_range(query, CHAIN, bench.index, checksums)), list[ReplyChannelRange]()
    while not answer.finished:
        before = checksums.made
        found += map(ReplyChannelRange.decode, answer.pull(32_768))
        assert checksums.made - before <= 4
    assert checksums.made == 20
    check_coverage(found, 0, 1_000)
    assert [each for reply in found for each in decode_short_ids(reply.encoded_short_ids)] == sorted(
        bench.index.channels
    )
    sums = [each for reply in found for each in reply.checksums_tlv or ()]
    assert sums == checksums.of_rows([bench.index.channels[each] for each in sorted(bench.index.channels)])
    again = [ReplyChannelRange.decode(raw) for raw in answer_range(query, CHAIN, bench.index, checksums)]
    assert len(again) == 1
