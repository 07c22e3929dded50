"""Comparing what a peer says that it knows with what we know. BOLT 7, reply_channel_range."""

from collections.abc import Callable, Container, Iterator
from itertools import repeat
from typing import Protocol

from gossipd.map.index import MapIndex
from gossipd.serve.checksums import Checksums
from wire.cursor import WireError
from wire.encoded import ALL, ANNOUNCEMENT, NODE_1, NODE_2, UPDATE_1, UPDATE_2, decode_short_ids
from wire.peer_wire import ReplyChannelRange

MAX_FUTURE = 86_400
"""Seconds that a timestamp may be ahead of our clock (B7-84; CLN's figure)."""

_NEWEST = (0xFFFFFFFF, 0xFFFFFFFF)


class Known(Protocol):
    """What we know of a channel."""

    def newest(self, scid: int) -> tuple[int, int] | None:
        """The timestamps of both directions, 0 for none; None if the channel is not on the map."""

    def checksum(self, scid: int, direction: int) -> int:
        """That of the update of one direction, 0 for none."""

    def unannounced(self, scid: int) -> int:
        """Which of its nodes have never announced themselves, in the bits of query_flags."""


class KnownByMap:
    """Known by the map. Channels that were closed lately, or whose output was not there, count as known, so that they
    are not asked for.
    """

    def __init__(
        self, index: MapIndex, checksums: Checksums, closed: Container[int], has_failed: Callable[[int], bool]
    ) -> None:
        """`has_failed`: whether the funding output of a scid was looked for lately and not found."""
        self._index = index
        self._checksums = checksums
        self._closed = closed
        self._has_failed = has_failed

    def newest(self, scid: int) -> tuple[int, int] | None:
        row = self._index.channels.get(scid)
        if row is None:
            return _NEWEST if scid in self._closed or self._has_failed(scid) else None
        return int(self._index.update_ts[0][row]), int(self._index.update_ts[1][row])

    def checksum(self, scid: int, direction: int) -> int:
        return self._checksums.of(self._index.channels[scid], direction)

    def unannounced(self, scid: int) -> int:
        row = self._index.channels.get(scid)
        if row is None:
            return 0
        announced = self._index.node_announce_off
        return sum(
            bit
            for bit, node in ((NODE_1, self._index.node1[row]), (NODE_2, self._index.node2[row]))
            if not announced[node]
        )


def wanted_of_reply(
    reply: ReplyChannelRange, known: Known, now: float, prune_after: float
) -> Iterator[tuple[int, int]]:
    """(scid, query_flags) of what the peer has and we lack, or have older with other content.

    What is stale with the peer, too, or of the future (`now`, unix seconds, and a day), would not be taken in, and is
    passed over, as lnd and Eclair do. Without timestamps only whole channels can be found. Raises WireError if the
    parts of the reply do not fit together.
    """
    scids = decode_short_ids(reply.encoded_short_ids)
    timestamps, checksums = reply.timestamps_tlv, reply.checksums_tlv
    for extra in (timestamps, checksums):
        if extra is not None and len(extra) != len(scids):
            raise WireError(f"{len(extra)} timestamps or checksums for {len(scids)} channels")
    fresh = range(int(now - prune_after), int(now) + MAX_FUTURE + 1)
    pairs = zip(scids, timestamps or repeat(None), checksums or repeat(None), strict=False)
    return ((scid, flags) for scid, stamps, sums in pairs if (flags := _wanted(scid, stamps, sums, known, fresh)))


def has_come(scid: int, flags: int, known: Known) -> bool:
    """What was asked about a channel is here: the channel, or an update of each direction that was asked for alone."""
    newest = known.newest(scid)
    if newest is None or flags & ANNOUNCEMENT:
        return newest is not None
    return all(newest[direction] for direction, bit in ((0, UPDATE_1), (1, UPDATE_2)) if flags & bit)


def _wanted(scid: int, stamps: tuple[int, int] | None, sums: tuple[int, int] | None, known: Known, fresh: range) -> int:
    if stamps is not None and stamps[0] not in fresh and stamps[1] not in fresh:
        return 0
    ours = known.newest(scid)
    if ours is None:
        return ALL
    flags = known.unannounced(scid)
    if stamps is not None:
        for direction, bit in ((0, UPDATE_1), (1, UPDATE_2)):
            newer = stamps[direction] > ours[direction] and stamps[direction] in fresh
            if newer and (sums is None or sums[direction] != known.checksum(scid, direction)):
                flags |= bit
    return flags
