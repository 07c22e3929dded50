"""Answers to gossip queries, made piece by piece as the peer takes them. BOLT 7, Query Messages.

The messages are made when there is room, so a query for everything costs no memory, and at any time an answer can be
broken off: what is left of it is a query again, which a successor answers.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from gossipd.map.index import MapIndex
from gossipd.serve.checksums import Checksums
from gossipd.store.writer import GossipStore
from wire.cursor import WireError
from wire.encoded import decode_short_ids, encode_short_ids
from wire.gossip_layout import RANGE_REPLY_HEAD
from wire.message import MAX_MESSAGE
from wire.peer_wire import QueryChannelRange, QueryShortChannelIds, ReplyChannelRange, ReplyShortChannelIdsEnd
from wire.scid import block_of, make_scid

WANTS_TIMESTAMPS, WANTS_CHECKSUMS = 1, 2

_ALL = 0b11111
_MAX_REPLY = MAX_MESSAGE - RANGE_REPLY_HEAD - 1
"""What a reply_channel_range has room for besides its fixed fields and the byte that names the encoding."""
_TLV_OVERHEAD = 16
_LAST_BLOCK = (1 << 24) - 1
_END_OF_BLOCKS = (1 << 32) - 1
"""No range goes beyond this block: first and number of a reply, added, fit 32 bits. The number is cut, as CLN does."""

MOST_MADE = 1_000
"""Checksums that are made for one reply: 2.6 ms. After that they are kept."""
COST_OF_MAKING = 32
"""Bytes of a reply that is made as fast."""

Sums = list[tuple[int, int]]


class Source(Protocol):
    """Makes the messages of an answer, one at a time."""

    @property
    def work(self) -> int:
        """What its last message cost, in bytes of messages that cost nothing besides."""

    def __iter__(self) -> Iterator[bytes]:
        """In order."""

    def rest(self) -> bytes | None:
        """The query whose answer is what has not been made yet; None if nothing is left."""


class Answer:
    """An answer under way. It looks one message ahead, so that it is finished when its last one is taken: the peer may
    ask again as soon as it has that (B7-91, B7-92).
    """

    __slots__ = ("_messages", "_next", "_source", "_work")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._messages = iter(source)
        self._next = next(self._messages, None)
        self._work = source.work

    @property
    def finished(self) -> bool:
        """All has been taken."""
        return self._next is None

    def pull(self, budget: int) -> list[bytes]:
        """The next messages, until they are, or have cost, `budget` bytes or more."""
        messages = []
        while self._next is not None and budget > 0:
            messages.append(self._next)
            budget -= max(len(self._next), self._work)
            self._next = next(self._messages, None)
            self._work = self._source.work
        return messages

    def break_off(self) -> tuple[list[bytes], bytes | None]:
        """The message that was made already, if there is one, and the query that asks for what follows it."""
        return [] if self._next is None else [self._next], self._source.rest()


class ScidsAnswer:
    """What is known of the channels asked for, then the end (B7-91)."""

    __slots__ = ("_chain_hash", "_ended", "_flags", "_index", "_scids", "_store", "_told")

    work = 0

    def __init__(self, query: QueryShortChannelIds, chain_hash: bytes, index: MapIndex, store: GossipStore) -> None:
        """Raises WireError if the query is malformed."""
        scids = decode_short_ids(query.encoded_short_ids)
        flags = query.query_flags if query.query_flags is not None else [_ALL] * len(scids)
        if len(flags) != len(scids):
            raise WireError(f"{len(flags)} query flags for {len(scids)} channels")
        wanted: dict[int, int] = {}
        for scid, each in zip(scids, flags, strict=True):  # an id that is repeated is answered once
            wanted[scid] = wanted.get(scid, 0) | (each & _ALL)
        self._scids = array("Q", wanted)
        self._flags = bytearray(wanted.values())
        """What is still to be told of each."""
        self._told: set[bytes] = set()
        """Nodes."""
        self._ended = False
        self._chain_hash = chain_hash
        self._index = index
        self._store = store

    def __iter__(self) -> Iterator[bytes]:
        yield from self._channels()
        yield from self._nodes()
        self._ended = True
        yield ReplyShortChannelIdsEnd(self._chain_hash, 1).encode()

    def _channels(self) -> Iterator[bytes]:
        index, channels = self._index, self._index.channels
        for number, scid in enumerate(self._scids):
            if scid not in channels:
                self._flags[number] = 0
                continue
            # The map may change whenever a message is taken, so each offset is looked up when it is wanted.
            for bit, offsets in ((1, index.announce_off), (2, index.update_off[0]), (4, index.update_off[1])):
                wanted = self._flags[number] & bit
                self._flags[number] &= ~bit
                offset = offsets[channels[scid]] if wanted and scid in channels else 0
                if offset and (message := self._store.serve(offset)) is not None:
                    yield message

    def _nodes(self) -> Iterator[bytes]:
        index = self._index
        for number, scid in enumerate(self._scids):
            for bit, rows in ((8, index.node1), (16, index.node2)):
                wanted = self._flags[number] & bit
                self._flags[number] &= ~bit
                if not wanted or scid not in index.channels:
                    continue
                row = rows[index.channels[scid]]
                node_id, offset = index.node_ids[row], index.node_announce_off[row]
                if offset and node_id not in self._told:
                    self._told.add(node_id)
                    if (message := self._store.serve(offset)) is not None:
                        yield message

    def rest(self) -> bytes | None:
        """A query for what has not been told yet."""
        if self._ended:
            return None
        untold = map(self._untold, self._scids, self._flags)
        left = [(scid, flags) for scid, flags in zip(self._scids, untold, strict=True) if flags]
        return QueryShortChannelIds(
            self._chain_hash, encode_short_ids(scid for scid, _ in left), [flags for _, flags in left]
        ).encode()

    def _untold(self, scid: int, flags: int) -> int:
        """Without the nodes that another channel has brought along."""
        index, row = self._index, self._index.channels.get(scid)
        if row is None:
            return 0
        for bit, rows in ((8, index.node1), (16, index.node2)):
            if index.node_ids[rows[row]] in self._told:
                flags &= ~bit
        return flags


class RangeAnswer:
    """The replies to a query_channel_range: in order, covering it without a gap, the last one complete (B7-92)."""

    __slots__ = ("_checksums", "_covered", "_end", "_ended", "_index", "_query", "work")

    def __init__(self, query: QueryChannelRange, index: MapIndex, checksums: Checksums) -> None:
        self._query = query
        self._covered = query.first_blocknum
        """The block from which on nothing, or not all, was told."""
        self._end = _end_of(query)
        self._ended = False
        self._index = index
        self._checksums = checksums
        self.work = 0

    def __iter__(self) -> Iterator[bytes]:
        option = self._query.query_option or 0
        room = _entries_in_a_reply(option)
        begin: int | None = _first_scid(self._covered)
        while begin is not None:
            piece, sums, following = self._piece(begin, room, option)
            covered, until = self._covered, self._end
            if following is None:
                self._ended = True
            else:  # a block that is cut in two is named by both replies
                until = block_of(piece[-1]) + 1
                self._covered = min(until, block_of(following))
            begin = following
            yield self._reply(covered, until, piece, option, sums)

    def _piece(self, begin: int, room: int, option: int) -> tuple[list[int], Sums | None, int | None]:
        """The channels of the next reply, from this one on, their checksums if they are wanted, and the channel with
        which the reply after it begins. A reply for which many checksums have to be made has fewer channels.
        """
        scids = self._index.sorted_scids()
        low, high = bisect_left(scids, begin), bisect_left(scids, _first_scid(self._end))
        stop, sums = _end_of_piece(scids, low, high, room), None
        if option & WANTS_CHECKSUMS:
            made = self._checksums.made
            sums = self._checksums.of_rows([self._index.channels[scid] for scid in scids[low:stop]], MOST_MADE)
            self.work = (self._checksums.made - made) * COST_OF_MAKING
            if len(sums) < stop - low:
                stop = _end_of_piece(scids, low, high, len(sums))
                del sums[stop - low :]
        return scids[low:stop], sums, scids[stop] if stop < high else None

    def _reply(self, first: int, end: int, scids: list[int], option: int, sums: Sums | None) -> bytes:
        index = self._index
        rows = [index.channels[scid] for scid in scids] if option & WANTS_TIMESTAMPS else []
        return ReplyChannelRange(
            self._query.chain_hash,
            first,
            end - first,
            int(self._ended),
            encode_short_ids(scids),
            _timestamps(rows, index) if option & WANTS_TIMESTAMPS else None,
            sums,
        ).encode()

    def rest(self) -> bytes | None:
        """A query for the blocks that have not been told of. A block that has more channels than a reply, which no
        real one has, is told of again.
        """
        if self._ended:
            return None
        return replace(self._query, first_blocknum=self._covered, number_of_blocks=self._end - self._covered).encode()


class Messages:
    """An answer that is in memory or costs nothing, and with which no successor goes on."""

    work = 0

    def __init__(self, messages: Iterable[bytes]) -> None:
        self._messages = messages

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._messages)

    def rest(self) -> bytes | None:
        """None: broken off, such an answer is made again from its beginning."""
        return None


def answer_scids(query: QueryShortChannelIds, chain_hash: bytes, index: MapIndex, store: GossipStore) -> Source:
    """Raises WireError if the query is malformed."""
    answer = ScidsAnswer(query, chain_hash, index, store)
    if query.chain_hash != chain_hash:
        return Messages([ReplyShortChannelIdsEnd(query.chain_hash, 0).encode()])
    return answer


def answer_range(query: QueryChannelRange, chain_hash: bytes, index: MapIndex, checksums: Checksums) -> Source:
    """Also for another chain: it has no channels here."""
    if query.chain_hash != chain_hash:
        blocks = _end_of(query) - query.first_blocknum
        nothing = (query.chain_hash, query.first_blocknum, blocks, 1, encode_short_ids([]))
        return Messages([ReplyChannelRange(*nothing).encode()])
    return RangeAnswer(query, index, checksums)


def _first_scid(blockheight: int) -> int:
    """The least one of a block; beyond the last block that a scid can name, one that is greater than all."""
    return make_scid(blockheight, 0, 0) if blockheight <= _LAST_BLOCK else 1 << 64


def _end_of(query: QueryChannelRange) -> int:
    """The block after the last one that is asked for."""
    return min(query.first_blocknum + query.number_of_blocks, _END_OF_BLOCKS)


def _entries_in_a_reply(option: int) -> int:
    size = 8 + (8 if option & WANTS_TIMESTAMPS else 0) + (8 if option & WANTS_CHECKSUMS else 0)
    return (_MAX_REPLY - _TLV_OVERHEAD) // size


def _end_of_piece(scids: list[int], begin: int, end: int, room: int) -> int:
    """Where to cut: between two blocks if that can be."""
    stop = begin + room
    if stop >= end:
        return end
    cut = bisect_left(scids, _first_scid(block_of(scids[stop])), begin, stop)
    return cut if cut > begin else stop


def _timestamps(rows: list[int], index: MapIndex) -> list[tuple[int, int]]:
    first, second = index.update_ts
    return [(first[row], second[row]) for row in rows]
