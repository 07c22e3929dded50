"""Answers to gossip queries, made piece by piece as the peer takes them. BOLT 7, Query Messages.

An answer is an iterator of raw messages, pulled when there is room, so a query for everything costs no memory.
"""

from bisect import bisect_left
from collections.abc import Iterator

import google_crc32c

from gossipd.map_index import MapIndex
from gossipd.store import GossipStore
from wire.cursor import WireError
from wire.encoded import decode_short_ids, encode_short_ids
from wire.peer_wire import QueryChannelRange, QueryShortChannelIds, ReplyChannelRange, ReplyShortChannelIdsEnd
from wire.scid import block_of, make_scid

WANTS_TIMESTAMPS, WANTS_CHECKSUMS = 1, 2

_ALL = 0b11111
_MAX_REPLY = 65_535 - 2 - 32 - 4 - 4 - 1 - 2 - 1
"""What a reply_channel_range has room for besides its fixed fields."""
_TLV_OVERHEAD = 16
_LAST_BLOCK = (1 << 24) - 1


class Answer:
    """An answer under way. It looks one message ahead, so that it is finished when its last one is taken: the peer may
    ask again as soon as it has that (B7-91, B7-92).
    """

    __slots__ = ("_messages", "_next")

    def __init__(self, messages: Iterator[bytes]) -> None:
        self._messages = messages
        self._next = next(messages, None)

    @property
    def finished(self) -> bool:
        """All has been taken."""
        return self._next is None

    def pull(self, budget: int) -> list[bytes]:
        """The next messages, until they are `budget` bytes or more."""
        messages = []
        while self._next is not None and budget > 0:
            messages.append(self._next)
            budget -= len(self._next)
            self._next = next(self._messages, None)
        return messages


def answer_scids(
    query: QueryShortChannelIds, chain_hash: bytes, index: MapIndex, store: GossipStore
) -> Iterator[bytes]:
    """What is known of the channels asked for, then the end (B7-91). Raises WireError now if the query is malformed."""
    scids = decode_short_ids(query.encoded_short_ids)
    flags = query.query_flags if query.query_flags is not None else [_ALL] * len(scids)
    if len(flags) != len(scids):
        raise WireError(f"{len(flags)} query flags for {len(scids)} channels")
    if query.chain_hash != chain_hash:
        return iter([ReplyShortChannelIdsEnd(query.chain_hash, 0).encode()])
    return _answer_scids(list(zip(scids, flags, strict=True)), chain_hash, index, store)


def _answer_scids(
    wanted: list[tuple[int, int]], chain_hash: bytes, index: MapIndex, store: GossipStore
) -> Iterator[bytes]:
    nodes: dict[bytes, None] = {}
    for scid, flags in wanted:
        row = index.channels.get(scid)
        if row is None:
            continue
        if flags & 1:
            yield store.read(index.announce_off[row])
        for direction in (0, 1):
            if flags & 2 << direction and index.update_off[direction][row]:
                yield store.read(index.update_off[direction][row])
        # By id, not by row: rows may be used anew before this answer has been taken.
        for bit, node_row in ((8, index.node1[row]), (16, index.node2[row])):
            if flags & bit:
                nodes[index.node_ids[node_row]] = None
    for node_id in nodes:
        node = index.nodes.get(node_id)
        if node is not None and index.node_announce_off[node]:
            yield store.read(index.node_announce_off[node])
    yield ReplyShortChannelIdsEnd(chain_hash, 1).encode()


def answer_range(query: QueryChannelRange, chain_hash: bytes, index: MapIndex, store: GossipStore) -> Iterator[bytes]:
    """The replies to a query_channel_range: in order, covering it without a gap, the last one complete (B7-92)."""
    first, end = query.first_blocknum, query.first_blocknum + query.number_of_blocks
    if query.chain_hash != chain_hash:
        return iter(
            [ReplyChannelRange(query.chain_hash, first, query.number_of_blocks, 1, encode_short_ids([])).encode()]
        )
    return _answer_range(query, first, end, index, store)


def _answer_range(
    query: QueryChannelRange, first: int, end: int, index: MapIndex, store: GossipStore
) -> Iterator[bytes]:
    option = query.query_option or 0
    scids = _scids_between(index, first, end)
    room = _entries_in_a_reply(option)
    begin, covered = 0, first
    while True:
        stop = _end_of_piece(scids, begin, room)
        piece = [scid for scid in scids[begin:stop] if scid in index.channels]
        last = stop >= len(scids)
        # A block that is cut in two is named by both replies.
        until = end if last else block_of(scids[stop - 1]) + 1
        yield ReplyChannelRange(
            query.chain_hash,
            covered,
            until - covered,
            int(last),
            encode_short_ids(piece),
            _timestamps(piece, index) if option & WANTS_TIMESTAMPS else None,
            _checksums(piece, index, store) if option & WANTS_CHECKSUMS else None,
        ).encode()
        if last:
            return
        begin, covered = stop, min(until, block_of(scids[stop]))


def _scids_between(index: MapIndex, first: int, end: int) -> list[int]:
    scids = sorted(index.channels)
    low = bisect_left(scids, make_scid(min(first, _LAST_BLOCK), 0, 0)) if first <= _LAST_BLOCK else len(scids)
    high = bisect_left(scids, make_scid(end, 0, 0)) if end <= _LAST_BLOCK else len(scids)
    return scids[low:high]


def _entries_in_a_reply(option: int) -> int:
    size = 8 + (8 if option & WANTS_TIMESTAMPS else 0) + (8 if option & WANTS_CHECKSUMS else 0)
    return (_MAX_REPLY - _TLV_OVERHEAD) // size


def _end_of_piece(scids: list[int], begin: int, room: int) -> int:
    """Where to cut: between two blocks if that can be."""
    stop = begin + room
    if stop >= len(scids):
        return len(scids)
    block = block_of(scids[stop])
    cut = bisect_left(scids, make_scid(block, 0, 0), begin, stop)
    return cut if cut > begin else stop


def _timestamps(scids: list[int], index: MapIndex) -> list[tuple[int, int]]:
    rows = [index.channels[scid] for scid in scids]
    return [(int(index.update_ts[0][row]), int(index.update_ts[1][row])) for row in rows]


def _checksums(scids: list[int], index: MapIndex, store: GossipStore) -> list[tuple[int, int]]:
    rows = [index.channels[scid] for scid in scids]
    return [(checksum(index.update_off[0][row], store), checksum(index.update_off[1][row], store)) for row in rows]


def checksum(offset: int, store: GossipStore) -> int:
    """CRC-32C of a channel_update without its signature and timestamp, 0 where there is none."""
    if not offset:
        return 0
    update = store.read(offset)
    return int(google_crc32c.value(update[66:106] + update[110:]))
