"""Asking: which gossip of whom, so that the map becomes complete and stays so. BOLT 7, Query Messages.

The first peer that is worth asking streams all it has. When that has become quiet, another one is asked which channels
it knows (with timestamps and checksums, if it can), and what we lack or have older is asked for. From then on several
peers stream what is new, the one that tells us least is now and then replaced, and every hour we compare with a random
peer again. What found no room when it came is owed, and asked for in the same way.

LDK answers no query for channels, and streams all it has on a connection's first filter only. If no peer answers, those
that stream are asked for everything; if that has been tried, a connection is ended now and then, so that the next one
begins with everything; not for nodes only, which may never have announced themselves.

The states are a table (states.py); time and chance are arguments; nothing here knows sockets.
"""

import random
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from gossipd.ask.compare import Known, wanted_of_reply
from gossipd.ask.states import NEXT, Event, State
from gossipd.ask.wanted import Wanted
from wire.control.status import Status
from wire.control.timing import Timing
from wire.encoded import ALL, encode_short_ids
from wire.features import Features
from wire.peer_wire import (
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
)

EVERYTHING = (0, 0xFFFFFFFF)
NOTHING = (0xFFFFFFFF, 0)
GOSSIPERS = 10
"""Peers that stream to us at a time (CLN's figure)."""
BATCH = 2_000
"""Channels asked for in one query: its answer is about 2 MB."""
MAX_RUMOURS = 10_000
"""Wanted channels above which an update alone makes none wanted."""
MAX_REPLIES = 500
"""Replies to one query_channel_range, after which a peer is told that this is enough (lnd's figure)."""
ALL_BLOCKS = 0xFFFFFFFF
TIMESTAMPS_AND_CHECKSUMS = 3
PROBES_A_DAY = 24
"""After so many, nodes that have never announced themselves are asked for again."""
LONGEST_RENEWAL = 86_400.0
"""Seconds between two connections that are ended because no peer answers queries, which double each time, at most."""
MIN_STREAM_RATE = 1.0
"""New messages a second, under which a peer that streams everything is as good as quiet (CLN's figure)."""

status = Status("gossipd")


@dataclass(slots=True, eq=False)
class _Asked:
    """A peer that can be asked."""

    conn_id: int
    offers_queries: bool
    extended: bool
    filter: tuple[int, int] = NOTHING
    mute: bool = False
    """A query was left unanswered: LDK does that, for channels. Its stream may be good all the same."""
    novel_before: int = 0


@dataclass(slots=True)
class Question:
    """The one query that is under way."""

    conn_id: int
    at: float
    batch: list[tuple[int, int]] = field(default_factory=list)
    come: int = 0
    """Channels of the batch that are on the map by now."""
    replies: int = 0
    answered: bool = False


class Around(Protocol):
    """What the seeker needs of its daemon."""

    chain_hash: bytes

    @property
    def novel(self) -> dict[int, int]:
        """How many messages that were new each connection has brought, by conn_id."""

    def seek(self, conn_id: int, message: bytes) -> None:
        """Send a message of the seeker's to a peer."""

    def renew(self, conn_id: int) -> bool:
        """End this connection, so that the peer connects again; False if it belongs to another owner."""


class Seeker:
    """The state machine: which peer is asked for what, and when."""

    def __init__(self, around: Around, known: Known, timing: Timing, chance: random.Random, now: float) -> None:
        """`now`: unix seconds, as everywhere here."""
        self.state = State.STARTING_UP
        self.wanted = Wanted()
        self.asked = self.got = 0
        self._around = around
        self._chain_hash = around.chain_hash
        self._known = known
        self._timing = timing
        self._chance = chance
        self._peers: dict[int, _Asked] = {}
        self._streamer: int | None = None
        self._stream_seen = (now, 0)
        self._question: Question | None = None
        self._next_probe = now + timing.probe_interval
        self._next_rotation = now + timing.gossiper_rotation
        self._probes = 0
        self._next_renewal, self._renewal_interval = now + timing.gossip_renewal, timing.gossip_renewal
        self._nothing_helps = False
        self._next_streams_all = False
        """Something is lacking that only a new connection's stream can bring."""

    # peers come, go and answer

    def peer_came(self, conn_id: int, features: bytes, now: float, *, has_filter: bool = False) -> None:
        """A peer to be asked; it gets its filter at once (B7-99), unless it has one from an earlier gossipd."""
        if conn_id in self._peers:
            return
        offered = Features(features)
        peer = _Asked(conn_id, offered.offers("gossip_queries"), offered.offers("gossip_queries_ex"))
        self._peers[conn_id] = peer
        if has_filter:
            peer.filter = (int(now), 0xFFFFFFFF)
            self._succeed(now)
        elif self.state is State.STARTING_UP and self._streamer is None and peer.offers_queries:
            self._stream_everything(peer, now)
        elif peer.offers_queries and self._next_streams_all:
            self._next_streams_all = False
            self._set_filter(peer, EVERYTHING)
        elif peer.offers_queries and self._needs_gossiper():
            self._set_filter(peer, (int(now), 0xFFFFFFFF))
        else:
            self._set_filter(peer, NOTHING)

    def _succeed(self, now: float) -> None:
        """Peers come from another gossipd, with its map: there is nothing to start, only to compare, soon."""
        if self.state is State.STARTING_UP and self._streamer is None:
            self._step(Event.SUCCEEDED)
            self._next_probe = now + self._timing.query_timeout

    def peer_left(self, conn_id: int, now: float) -> None:
        """The peer is gone; what it was to do, another one does."""
        self._peers.pop(conn_id, None)
        self._around.novel.pop(conn_id, None)
        if conn_id == self._streamer:
            self._streamer = None
            self._step(Event.STREAM_LOST)
            self._choose_streamer(now)
        if self._question is not None and self._question.conn_id == conn_id:
            self._question_failed(now)

    def retire(self) -> None:
        """All peers go to another gossipd: ask for nothing more."""
        self._peers.clear()
        self._streamer = self._question = None

    def reply_range(self, conn_id: int, reply: ReplyChannelRange, now: float) -> None:
        """A piece of the answer to our query_channel_range. Raises WireError if its parts do not fit together."""
        question = self._question
        if question is None or question.conn_id != conn_id or question.batch or self.state is not State.PROBING_SCIDS:
            return  # to no question of ours, or not any more
        question.at = now
        question.replies += 1
        if reply.chain_hash != self._chain_hash:
            return
        for scid, flags in wanted_of_reply(reply, self._known):
            self.wanted.add_compared(scid, flags)
        # Before sync_complete was what it is now, lnd named the whole range in each reply until the last (B7-93).
        names_all = reply.first_blocknum == 0 and reply.number_of_blocks == ALL_BLOCKS
        reaches_end = reply.first_blocknum + reply.number_of_blocks >= ALL_BLOCKS
        if reply.sync_complete or (reaches_end and not names_all) or question.replies >= MAX_REPLIES:
            self._question = None
            self._step(Event.PROBE_FOUND_SOMETHING if self.wanted else Event.PROBE_FOUND_NOTHING)
            status.debug(f"a peer knows of {len(self.wanted)} channels more, or newer")
            self._ask(now)

    def reply_end(self, conn_id: int, reply: ReplyShortChannelIdsEnd, now: float) -> None:
        """The answer to our query_short_channel_ids is complete; it may still be on its way through the pipeline."""
        question = self._question
        if question is not None and question.conn_id == conn_id and question.batch:
            question.answered = True
            question.at = now

    def owe(self, scid: int, flags: int) -> None:
        """Something about this channel was not taken in, for want of room."""
        self.wanted.add(scid, flags)

    def hear_of(self, scid: int) -> None:
        """An update has named a channel that we do not know.

        Any peer can send updates of channels that do not exist, so what is known only from them does not fill the set.
        """
        if len(self.wanted) < MAX_RUMOURS:
            self.wanted.add(scid, ALL)

    def resync(self, now: float) -> None:
        """Begin from the start: a user wants it."""
        self._question = None
        self._streamer = None
        self._step(Event.RESYNC)
        self._choose_streamer(now)

    # time passes

    def tick(self, now: float, unfinished: int) -> None:
        """Look at what has become of things. `unfinished`: messages that are still in the pipeline."""
        if self.state is State.STARTING_UP:
            self._watch_stream(now, unfinished)
        elif self._question is not None:
            self._watch_question(self._question, now, unfinished)
        elif self.state is State.ASKING_FOR_SCIDS:
            self._ask(now)
        elif self.wanted:
            self._step(Event.SOMETHING_OWED)
            self._ask(now)
        elif now >= self._next_probe or self.wanted.overflowed:
            self.wanted.overflowed = 0  # what did not fit is found by comparing
            self._step(Event.PROBE_DUE)
            self._probe(now)
        if now >= self._next_rotation:
            self._rotate(now)
        if self._nothing_helps:
            self._renew_one(now)

    def _step(self, event: Event) -> None:
        self.state = NEXT[self.state, event]

    def _watch_stream(self, now: float, unfinished: int) -> None:
        if self._streamer is None:
            self._choose_streamer(now)
            return
        since, seen = self._stream_seen
        novel = self._around.novel.get(self._streamer, 0)
        if now - since < self._timing.stream_quiet:
            return
        self._stream_seen = (now, novel)
        if novel - seen < MIN_STREAM_RATE * (now - since) and not unfinished:
            self._streamer = None
            self._step(Event.STREAM_WENT_QUIET)
            self._probe(now)

    def _watch_question(self, question: Question, now: float, unfinished: int) -> None:
        if question.answered:
            if not unfinished:
                self._settle(question, now)
            return
        come = self._count_known(question.batch)
        if come > question.come:  # 2 MB may take long
            question.come, question.at = come, now
        elif now - question.at > self._timing.query_timeout:
            peer = self._peers.get(question.conn_id)
            if peer is not None:
                peer.mute = True
            self._question_failed(now)

    # streams

    def _needs_gossiper(self) -> bool:
        """Looks at no more peers than it must: each that comes is a reason to ask."""
        streaming = (peer for peer in self._peers.values() if peer.filter != NOTHING)
        return len(list(islice(streaming, GOSSIPERS))) < GOSSIPERS

    def _set_filter(self, peer: _Asked, wanted: tuple[int, int]) -> None:
        peer.filter = wanted
        self._around.seek(peer.conn_id, GossipTimestampFilter(self._chain_hash, *wanted).encode())

    def _stream_everything(self, peer: _Asked, now: float) -> None:
        self._streamer = peer.conn_id
        self._stream_seen = (now, self._around.novel.get(peer.conn_id, 0))
        self._set_filter(peer, EVERYTHING)

    def _choose_streamer(self, now: float) -> None:
        candidates = [peer for peer in self._peers.values() if peer.offers_queries]
        if candidates and self.state is State.STARTING_UP:
            self._stream_everything(self._chance.choice(candidates), now)

    def _rotate(self, now: float) -> None:
        """Of the peers that stream, the one that has told us least makes room for one that does not."""
        for gone in self._around.novel.keys() - self._peers.keys():
            del self._around.novel[gone]  # what it had sent was still in the pipeline when it left
        self._next_rotation = now + self._timing.gossiper_rotation
        streaming = [peer for peer in self._peers.values() if peer.filter != NOTHING]
        others = [peer for peer in self._peers.values() if peer.offers_queries and peer.filter == NOTHING]
        if others and len(streaming) >= GOSSIPERS:
            worst = min(streaming, key=lambda peer: self._around.novel.get(peer.conn_id, 0) - peer.novel_before)
            self._set_filter(worst, NOTHING)
        if others and self._needs_gossiper():
            self._set_filter(self._chance.choice(others), (int(now), 0xFFFFFFFF))
        for peer in streaming:
            peer.novel_before = self._around.novel.get(peer.conn_id, 0)

    # questions

    def _probe(self, now: float) -> None:
        """Ask a random peer which channels it knows."""
        self._next_probe = now + self._timing.probe_interval
        self._probes += 1
        if self._probes % PROBES_A_DAY == 0:
            self.wanted.start_over()
        candidates = [peer for peer in self._peers.values() if peer.offers_queries]
        if not candidates:
            self._step(Event.PROBE_FAILED)
            return
        peer = self._chance.choice(candidates)
        option = TIMESTAMPS_AND_CHECKSUMS if peer.extended else None
        self._question = Question(peer.conn_id, now)
        self._around.seek(peer.conn_id, QueryChannelRange(self._chain_hash, 0, ALL_BLOCKS, option).encode())

    def _ask(self, now: float) -> None:
        """Ask for the next batch of what is wanted."""
        if self.state is not State.ASKING_FOR_SCIDS:
            return
        candidates = [peer for peer in self._peers.values() if peer.offers_queries and not peer.mute]
        if not self.wanted:
            self._step(Event.NOTHING_LEFT)
        elif candidates:
            self._query(self._chance.choice(candidates), now)
        else:
            self._ask_for_streams(now)

    def _query(self, peer: _Asked, now: float) -> None:
        batch = sorted(self.wanted.take(BATCH))
        self.asked += len(batch)
        self._question = Question(peer.conn_id, now, batch, self._count_known(batch))
        scids = encode_short_ids(scid for scid, _ in batch)
        flags = [flags for _, flags in batch] if peer.extended else None
        self._around.seek(peer.conn_id, QueryShortChannelIds(self._chain_hash, scids, flags).encode())

    def _ask_for_streams(self, now: float) -> None:
        """No peer answers queries: those that stream are asked for everything instead."""
        self._step(Event.NOTHING_LEFT)
        lacks_channels = self.wanted.has_channels
        self.wanted.clear()
        streaming = [peer for peer in self._peers.values() if peer.offers_queries]
        others = [peer for peer in streaming if peer.filter != EVERYTHING]
        for peer in others:
            self._set_filter(peer, EVERYTHING)
        self._nothing_helps = lacks_channels and bool(streaming) and not others

    def _renew_one(self, now: float) -> None:
        """End a connection. Only as time passes: a peer that is being heard must not be closed by what it says."""
        self._nothing_helps = False
        if now < self._next_renewal:
            return
        self._next_renewal = now + self._renewal_interval
        self._renewal_interval = min(2 * self._renewal_interval, LONGEST_RENEWAL)
        self._next_streams_all = True
        streaming = [peer.conn_id for peer in self._peers.values() if peer.offers_queries]
        self._chance.shuffle(streaming)
        any(map(self._around.renew, streaming))

    def _count_known(self, batch: list[tuple[int, int]]) -> int:
        return sum(self._known.newest(scid) is not None for scid, _ in batch)

    def _settle(self, question: Question, now: float) -> None:
        """All answers are through the pipeline: what is still missing is asked for again, of another peer."""
        self._question = None
        for scid, flags in question.batch:
            if self._known.newest(scid) is not None:
                self.got += 1
                self.wanted.done(scid)
                if flags & self._known.unannounced(scid):
                    self.wanted.note_silent(scid)
            else:
                self.wanted.retry(scid, flags)
        self._step(Event.ANSWERED)
        self._ask(now)

    def _question_failed(self, now: float) -> None:
        question, self._question = self._question, None
        if question is None or self.state is State.STARTING_UP:
            return
        if self.state is State.PROBING_SCIDS:
            self._step(Event.PROBE_FAILED)
            self._next_probe = now + self._timing.query_timeout
            return
        for scid, flags in question.batch:
            self.wanted.add(scid, flags)  # no try is used up: the peer that has failed is not asked again
        self._step(Event.QUERY_FAILED)
        self._ask(now)
