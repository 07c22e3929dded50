"""A peer that has a map and answers queries about it."""

from tests.gossipd.gossipd_process import CHAIN, FakePeer
from wire.encoded import decode_short_ids, encode_short_ids
from wire.peer_wire import (
    ChannelAnnouncement,
    ChannelUpdate,
    Ping,
    Pong,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    decode,
)


async def serve(peer: FakePeer, messages: list[bytes]) -> None:
    """Answer gossipd's queries from these messages, and its pings, until it hangs up."""
    of_channel: dict[int, list[bytes]] = {}
    for raw in messages:
        parsed = decode(raw)
        if isinstance(parsed, ChannelAnnouncement | ChannelUpdate):
            of_channel.setdefault(parsed.short_channel_id, []).append(raw)
    nodes = [raw for raw in messages if raw[:2] == b"\x01\x01"]
    while True:
        match decode(await peer.next()):
            case QueryChannelRange():
                scids = encode_short_ids(sorted(of_channel))
                await peer.say(ReplyChannelRange(CHAIN, 0, 0xFFFFFFFF, 1, scids))
            case Ping(num_pong_bytes=size):
                await peer.say(Pong(bytes(size)))
            case QueryShortChannelIds(encoded_short_ids=encoded):
                wanted = [raw for scid in decode_short_ids(encoded) for raw in of_channel[scid]]
                await peer.say(*wanted, *nodes, ReplyShortChannelIdsEnd(CHAIN, 1))
