"""A seeker that is driven by hand: peers, answers and time come from the test."""

import random
from dataclasses import dataclass, field
from typing import Any

from gossipd.ask.seeker import ALL_BLOCKS, Seeker
from gossipd.ask.states import State
from gossipd.ask.streams import Place
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.encoded import ALL, decode_short_ids, encode_short_ids
from wire.features import Features, feature_bit
from wire.message import BoltMessage
from wire.peer_wire import (
    GossipTimestampFilter,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    decode,
)
from wire.types import NETWORKS

CHAIN = NETWORKS["regtest"]
QUERIES = Features.of([feature_bit("gossip_queries") + 1]).to_bytes()
EXTENDED = Features.of([feature_bit("gossip_queries") + 1, feature_bit("gossip_queries_ex") + 1]).to_bytes()
NOW = 1_700_000_000.0
SOMEWHERE = Place("192.0.2.0/24", incoming=False)
EVERYTHING, NOTHING = (0, 0xFFFFFFFF), (0xFFFFFFFF, 0)


@dataclass
class SeekerAlone:
    """What the seeker sees, and what it has said."""

    chain_hash: bytes = CHAIN
    map: dict[int, tuple[int, int]] = field(default_factory=dict)
    checksums: dict[tuple[int, int], int] = field(default_factory=dict)
    nodes_unknown: int = 0
    novel: dict[int, int] = field(default_factory=dict)
    sent: list[tuple[int, BoltMessage]] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    """Connections that somebody else has."""
    renewed: list[int] = field(default_factory=list)
    synced: list[int] = field(default_factory=list)
    """Of whom everything was asked."""
    passed: float = 0.0
    """Seconds since the beginning."""
    wall_jump: float = 0.0
    """By how much the wall clock was set forward or back since."""
    suspended: bool = False
    timing: Timing = field(default_factory=Timing)
    gossip_listen: int = Limits().gossip_listen

    def __post_init__(self) -> None:
        chance = random.Random(1)
        self.seeker = Seeker(self, self, self.timing, chance, self.gossip_listen)

    def now(self) -> float:
        return NOW + self.passed + self.wall_jump

    def clock(self) -> float:
        return 12_345.0 + self.passed

    def sync_begins(self, conn_id: int) -> None:
        self.synced.append(conn_id)

    def seek(self, conn_id: int, message: bytes) -> None:
        self.sent.append((conn_id, decode(message)))

    def renew(self, conn_id: int) -> bool:
        if conn_id in self.taken:
            return False
        self.renewed.append(conn_id)
        self.seeker.peer_left(conn_id)
        return True

    def newest(self, scid: int) -> tuple[int, int] | None:
        return self.map.get(scid)

    def checksum(self, scid: int, direction: int) -> int:
        return self.checksums.get((scid, direction), 0)

    def unannounced(self, scid: int) -> int:
        return self.nodes_unknown

    def said(self, kind: type[BoltMessage]) -> list[tuple[int, BoltMessage]]:
        """Messages of that kind since the last look; the others are forgotten too."""
        found = [(conn_id, message) for conn_id, message in self.sent if isinstance(message, kind)]
        self.sent.clear()
        return found

    def pass_time(self, seconds: float, unfinished: int = 0) -> None:
        self.passed += seconds
        self.seeker.tick(unfinished)

    def come(self, conn_id: int, features: bytes = EXTENDED, place: Place = SOMEWHERE) -> tuple[int, int]:
        """A peer comes; its filter."""
        self.seeker.peer_came(conn_id, features, place)
        ((to, sent),) = self.said(GossipTimestampFilter)
        assert isinstance(sent, GossipTimestampFilter) and to == conn_id and sent.chain_hash == CHAIN
        return sent.first_timestamp, sent.timestamp_range

    def reply(self, conn_id: int, scids: list[int], complete: int = 1, **tlvs: Any) -> None:
        self.seeker.reply_range(
            conn_id, ReplyChannelRange(CHAIN, 0, ALL_BLOCKS, complete, encode_short_ids(scids), **tlvs)
        )

    def end(self, conn_id: int) -> None:
        self.seeker.reply_end(conn_id, ReplyShortChannelIdsEnd(CHAIN, 1))

    def asked_for(self) -> tuple[int, dict[int, int]]:
        """Of whom what was asked: scid -> flags."""
        ((conn_id, query),) = self.said(QueryShortChannelIds)
        assert isinstance(query, QueryShortChannelIds)
        scids = decode_short_ids(query.encoded_short_ids)
        assert scids == sorted(scids)  # B7-90
        return conn_id, dict(zip(scids, query.query_flags or [ALL] * len(scids), strict=True))


def probing(alone: SeekerAlone, features: bytes = EXTENDED, conn_id: int = 1) -> SeekerAlone:
    """A seeker whose first peer has streamed all it had and was asked for its channels."""
    alone.come(conn_id, features)
    alone.pass_time(alone.timing.stream_quiet)
    assert alone.seeker.state is State.PROBING_SCIDS
    return alone


def asking(alone: SeekerAlone, *scids: int) -> SeekerAlone:
    probing(alone).reply(1, list(scids))
    assert alone.seeker.state is State.ASKING_FOR_SCIDS
    return alone
