"""What gossipd tells its peers: by filter, as news, and in answer to queries. With the real process."""

import pytest

from tests.gossipd.gossipd_process import CHAIN, EVERYTHING, FakePeer, GossipdProcess, GossipdProcesses, is_gossip
from tests.gossipd.messages import NOW, announcement, big_map, node_announcement, scid, update
from wire.control.control_wire import PeerDisconnected
from wire.control.timing import Timing
from wire.encoded import decode_short_ids, encode_short_ids
from wire.peer_wire import (
    ChannelAnnouncement,
    ChannelUpdate,
    GossipTimestampFilter,
    NodeAnnouncement,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    WarningMessage,
    decode,
)
from wire.types import NETWORKS

CHANNEL = [announcement(), update(direction=0), update(direction=1, timestamp=NOW - 1_000)]
NODES = [node_announcement(0), node_announcement(1, NOW - 2_000)]
OTHER_CHAIN = NETWORKS["bitcoin"]


async def tell(gossipd: GossipdProcess, *messages: bytes) -> FakePeer:
    """Gossip from a peer, all of it taken in before the next thing happens."""
    teller = await gossipd.connect()
    await tell_more(gossipd, teller, *messages)
    return teller


async def tell_more(gossipd: GossipdProcess, teller: FakePeer, *messages: bytes) -> None:
    """The same from a peer that is there."""
    await teller.say(*messages)
    await teller.sync()
    await gossipd.settled()


async def gossip_until_sync(peer: FakePeer) -> list[bytes]:
    """The gossip that comes before the pong."""
    return [raw for raw in await peer.sync() if is_gossip(raw)]


def wants(first: int, timestamp_range: int, chain_hash: bytes = CHAIN) -> bytes:
    """A filter."""
    return GossipTimestampFilter(chain_hash, first, timestamp_range).encode()


# filter


@pytest.mark.bolt("B7-95", "B7-96")
async def test_nothing_before_a_filter_and_all_of_it_after(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *CHANNEL, *NODES)
    peer = await gossipd.connect()
    assert await gossip_until_sync(peer) == []
    await peer.say(EVERYTHING)
    assert await peer.gossip(5) == [*CHANNEL, *NODES]


@pytest.mark.bolt("B7-96", "B7-98")
async def test_range(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *CHANNEL, *NODES)
    for first, length, expected in [
        (NOW, 1, [CHANNEL[0], CHANNEL[1], NODES[0]]),
        (NOW - 1_000, 1_000, [CHANNEL[0], CHANNEL[2]]),
        (NOW - 1_000, 1_001, [*CHANNEL, NODES[0]]),
        (NOW - 2_000, 1, [NODES[1]]),
        (NOW + 1, 0xFFFFFFFF, []),
        (0, NOW - 2_000, []),
        (0, 0xFFFFFFFF, [*CHANNEL, *NODES]),
        (0xFFFFFFFF, 0, []),
        (0, 0, []),
    ]:
        peer = await gossipd.connect()
        await peer.say(wants(first, length))
        assert await peer.gossip(len(expected)) == expected
        assert await gossip_until_sync(peer) == []


@pytest.mark.bolt("B7-98")
async def test_announcements_come_before_what_needs_them(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *big_map())
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    channels: set[int] = set()
    nodes: set[bytes] = set()
    for raw in await peer.gossip(len(big_map())):
        match decode(raw):
            case ChannelAnnouncement() as channel:
                channels.add(channel.short_channel_id)
                nodes |= {channel.node_id_1, channel.node_id_2}
            case ChannelUpdate() as news:
                assert news.short_channel_id in channels
            case NodeAnnouncement() as node:
                assert node.node_id in nodes


@pytest.mark.bolt("B7-98")
async def test_announcement_without_update_is_not_sent(gossipd: GossipdProcess) -> None:
    await tell(gossipd, announcement(7), *CHANNEL[:2])
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    assert await peer.gossip(2) == CHANNEL[:2]
    assert await gossip_until_sync(peer) == []


@pytest.mark.bolt("B7-96")
async def test_second_filter_replaces_the_first(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *CHANNEL, *NODES)
    peer = await gossipd.connect()
    await peer.say(wants(NOW, 1))
    await peer.gossip(3)
    await peer.say(wants(NOW - 2_000, 1))
    assert await peer.gossip(1) == [NODES[1]]
    assert await gossip_until_sync(peer) == []


async def test_second_filter_in_the_midst_of_the_first(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *big_map())
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    await peer.gossip(10)
    await peer.say(wants(0xFFFFFFFF, 0))
    assert len(await gossip_until_sync(peer)) < len(big_map()) - 10
    assert await gossip_until_sync(peer) == []


async def test_filter_for_another_chain_is_ignored(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *CHANNEL)
    peer = await gossipd.connect()
    await peer.say(wants(0, 0xFFFFFFFF, OTHER_CHAIN))
    assert await gossip_until_sync(peer) == []
    await peer.say(EVERYTHING, wants(0xFFFFFFFF, 0, OTHER_CHAIN))
    assert await peer.gossip(3) == CHANNEL


@pytest.mark.bolt("B7-100")
async def test_news(gossipds: GossipdProcesses) -> None:
    """News comes with the flush, to those whose filter wants it."""
    gossipd = gossipds.new()
    await gossipd.start(timing=Timing(gossip_flush=0.2))
    all_of_it, later, nothing = [await gossipd.connect() for _ in range(3)]
    await all_of_it.say(EVERYTHING)
    await later.say(wants(NOW + 1, 0xFFFFFFFF))
    await all_of_it.sync()
    await later.sync()
    teller = await tell(gossipd, *CHANNEL)
    assert await all_of_it.gossip(3) == CHANNEL
    newer = update(timestamp=NOW + 5)
    await tell_more(gossipd, teller, newer)
    assert await all_of_it.gossip(1) == [newer]
    first = await later.gossip(1)
    # If it had not passed the announcement yet, that is of the time of the new update now.
    assert first == [newer] or [*first, *await later.gossip(1)] == [CHANNEL[0], newer]
    assert await gossip_until_sync(nothing) == []


@pytest.mark.bolt("B7-100")
async def test_news_waits_for_the_flush(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    await peer.sync()
    await tell(gossipd, *CHANNEL)
    assert await gossip_until_sync(peer) == []


@pytest.mark.bolt("B7-98", "B7-100")
async def test_lonely_announcement_moves_forward(gossipds: GossipdProcesses) -> None:
    """A peer that had passed it without its update gets it when that comes."""
    gossipd = gossipds.new()
    await gossipd.start(timing=Timing(gossip_flush=0.2))
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    teller = await tell(gossipd, CHANNEL[0])
    assert (await gossipd.status())["channels"] == 0
    assert await gossip_until_sync(peer) == []
    await tell_more(gossipd, teller, CHANNEL[1])
    assert await peer.gossip(2) == CHANNEL[:2]


# queries


async def answer(peer: FakePeer, query: QueryShortChannelIds) -> tuple[list[bytes], int]:
    """What comes before the end, and full_information."""
    await peer.say(query)
    end = await peer.hear(ReplyShortChannelIdsEnd)
    assert end.chain_hash == query.chain_hash
    return [raw for raw in peer.took() if is_gossip(raw)], end.full_information


def asks_for(*channels: int, flags: list[int] | None = None, chain_hash: bytes = CHAIN) -> QueryShortChannelIds:
    """A query for these channels."""
    return QueryShortChannelIds(chain_hash, encode_short_ids(map(scid, channels)), flags)


@pytest.mark.bolt("B7-91")
async def test_query_of_channels(gossipd: GossipdProcess) -> None:
    """No filter is needed, unknown ones are passed over, a node is told of once."""
    second = [announcement(1), update(1)]
    await tell(gossipd, *CHANNEL, *NODES, *second)
    peer = await gossipd.connect()
    assert await answer(peer, asks_for(0, 1, 50)) == ([*CHANNEL, *second, *NODES], 1)
    assert await answer(peer, asks_for(50)) == ([], 1)
    assert await answer(peer, asks_for()) == ([], 1)


@pytest.mark.bolt("B7-91")
async def test_query_flags(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *CHANNEL, *NODES)
    peer = await gossipd.connect()
    for bit, message in enumerate([*CHANNEL, *NODES]):
        assert await answer(peer, asks_for(0, flags=[1 << bit])) == ([message], 1)
    assert await answer(peer, asks_for(0, flags=[0])) == ([], 1)
    assert await answer(peer, asks_for(0, flags=[0xFFFFFFFF])) == ([*CHANNEL, *NODES], 1)


@pytest.mark.bolt("B7-91")
async def test_query_for_another_chain(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *CHANNEL)
    peer = await gossipd.connect()
    assert await answer(peer, asks_for(0, chain_hash=OTHER_CHAIN)) == ([], 0)
    reply = await ranges(peer, QueryChannelRange(OTHER_CHAIN, 5, 10))
    assert [(each.chain_hash, each.first_blocknum, each.number_of_blocks) for each in reply] == [(OTHER_CHAIN, 5, 10)]
    assert decode_short_ids(reply[0].encoded_short_ids) == []


@pytest.mark.bolt("B7-91", "B7-92")
async def test_second_query_before_the_answer_is_complete(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *CHANNEL)
    peer = await gossipd.connect()
    everything = QueryChannelRange(CHAIN, 0, 1_000)
    await peer.say(asks_for(0), asks_for(0), everything, everything)
    await peer.hear(ReplyChannelRange)
    texts = [decode(raw) for raw in await peer.sync() if raw[:2] == b"\0\1"]
    assert [text.data for text in texts if isinstance(text, WarningMessage)] == [
        b"query_short_channel_ids before the last one was answered",
        b"query_channel_range before the last one was answered",
    ]
    assert (await answer(peer, asks_for(0)))[1] == 1, "the connection lives, and may ask again"


@pytest.mark.bolt("B7-90")
@pytest.mark.parametrize(
    "query",
    [
        QueryShortChannelIds(CHAIN, b"\1" + bytes(8)).encode(),
        asks_for(0).encode() + b"\1\2\1\0",
    ],
    ids=["ids", "flags"],
)
async def test_encoding_that_must_not_be_used(gossipd: GossipdProcess, query: bytes) -> None:
    """zlib, as it was once: a warning, and the connection stays. The end follows, for Electrum waits for it."""
    await tell(gossipd, *CHANNEL)
    peer = await gossipd.connect()
    await peer.say(query)
    warning, end = [decode(raw) for raw in await peer.sync() if raw[:2] in (b"\0\1", b"\1\6")]
    assert isinstance(warning, WarningMessage)
    assert b"encoding type 1" in warning.data
    assert end == ReplyShortChannelIdsEnd(CHAIN, 0)


@pytest.mark.bolt("B7-90")
async def test_forbidden_encoding_while_another_answer_is_under_way(gossipd: GossipdProcess) -> None:
    """Only that answer has an end."""
    await tell(gossipd, *CHANNEL)
    peer = await gossipd.connect()
    await peer.say(asks_for(0), QueryShortChannelIds(CHAIN, b"\1" + bytes(8)))
    assert (await peer.hear(ReplyShortChannelIdsEnd)).full_information == 1
    assert [raw[:2] for raw in [*peer.took(), *await peer.sync()] if raw[:2] in (b"\0\1", b"\1\6")] == [b"\0\1"]


@pytest.mark.bolt("B7-91")
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (QueryShortChannelIds(CHAIN, b"\0" + bytes(9)), "no whole number"),
        (QueryShortChannelIds(CHAIN, b""), "query_short_channel_ids"),
        (asks_for(0, 1, flags=[1]), "1 query flags for 2 channels"),
    ],
)
async def test_query_that_is_wrong(gossipd: GossipdProcess, query: QueryShortChannelIds, reason: str) -> None:
    peer = await gossipd.connect()
    await peer.say(query)
    (warning,) = [decode(raw) for raw in await peer.is_hung_up_on() if raw[:2] == b"\0\1"]
    assert isinstance(warning, WarningMessage)
    assert reason in warning.data.decode()
    await gossipd.hear(PeerDisconnected)


async def ranges(peer: FakePeer, query: QueryChannelRange) -> list[ReplyChannelRange]:
    """All replies to a range query."""
    await peer.say(query)
    replies = [await peer.hear(ReplyChannelRange)]
    while not replies[-1].sync_complete:
        replies.append(await peer.hear(ReplyChannelRange))
    return replies


@pytest.mark.bolt("B7-92")
async def test_query_of_a_range(gossipd: GossipdProcess) -> None:
    messages = [message for number in (0, 3, 4) for message in (announcement(number), update(number))]
    await tell(gossipd, *messages)
    peer = await gossipd.connect()
    for first, count, expected in [
        (100, 5, [0, 3, 4]),
        (101, 3, [3]),
        (103, 1, [3]),
        (105, 10, []),
        (0, 100, []),
        (0, 0xFFFFFFFF, [0, 3, 4]),
        (103, 0xFFFFFFFF, [3, 4]),
        (0xFFFFFFFF, 0xFFFFFFFF, []),
    ]:
        (reply,) = await ranges(peer, QueryChannelRange(CHAIN, first, count))
        assert (reply.first_blocknum, reply.number_of_blocks) == (first, min(count, 0xFFFFFFFF - first))
        assert decode_short_ids(reply.encoded_short_ids) == [scid(number) for number in expected]


@pytest.mark.bolt("B7-92")
async def test_answers_to_many_peers_at_once(gossipd: GossipdProcess) -> None:
    await tell(gossipd, *big_map())
    peers = [await gossipd.connect() for _ in range(5)]
    scids = sorted({int.from_bytes(raw[98:106], "big") for raw in big_map() if raw[1] == 2})
    for peer in peers:
        await peer.say(QueryShortChannelIds(CHAIN, encode_short_ids(scids)))
    for peer in peers:
        assert sorted(await peer.gossip(len(big_map()))) == sorted(big_map())
        await peer.hear(ReplyShortChannelIdsEnd)
