"""Asking: which gossip of whom, so that the map becomes complete and stays so. BOLT 7, Query Messages.

The first peer that is worth asking streams all it has. When that has become quiet, another one is asked which channels
it knows (with timestamps and checksums, if it can), and what we lack or have older is asked for, first of the peer that
has spoken of it. From then on several peers stream what is new (streams.py), and every hour we compare with a random
peer again. What found no room when it came is owed, and asked for in the same way.

LDK answers no query for channels, and streams all it has on a connection's first filter only. If no peer answers, those
that stream are asked for everything; if that has been tried, a connection is ended now and then, so that the next one
begins with everything; not for nodes only, which may never have announced themselves.

No peer can hold us up: each question has its deadlines (question.py), the first stream has one, and comparing goes
before asking when it is due. The states are a table (states.py); nothing here knows sockets.
"""

import random
from collections.abc import Hashable

from gossipd.ask.compare import Known, has_come, wanted_of_reply
from gossipd.ask.question import Question
from gossipd.ask.states import NEXT, Event, State
from gossipd.ask.streams import EVERYTHING, Around, Asked, Place, Streams
from gossipd.ask.wanted import TRIES, Rumours, Wanted
from gossipd.ask.witnesses import Witnesses
from wire.control.status import Status
from wire.control.timing import Timing
from wire.encoded import ALL, encode_short_ids
from wire.peer_wire import QueryChannelRange, QueryShortChannelIds, ReplyChannelRange, ReplyShortChannelIdsEnd

BATCH = 2_000
"""Channels asked for in one query: its answer is about 2 MB."""
MAX_REPLIES = 500
"""Replies to one query_channel_range, after which a peer is told that this is enough (lnd's figure)."""
ALL_BLOCKS = 0xFFFFFFFF
TIMESTAMPS_AND_CHECKSUMS = 3
PROBES_A_DAY = 24
"""After so many, nodes that have never announced themselves are asked for again."""
MIN_STREAM_RATE = 1.0
"""New messages a second, under which a peer that streams everything is as good as quiet (CLN's figure)."""
LONGEST_STREAM = 180
"""We listen for so many times `stream_quiet` to peers that stream everything, half an hour, and then compare."""
OVERFLOW_PAUSE = 2
"""So many times `query_timeout` lie between two comparisons that are made because something did not fit."""

status = Status("gossipd")


class Seeker:
    """The state machine: which peer is asked for what, and when."""

    def __init__(self, around: Around, known: Known, timing: Timing, chance: random.Random, gossip_listen: int) -> None:
        """`gossip_listen`: how many peers may stream what is new to us; 0 for all."""
        self.state = State.STARTING_UP
        self.wanted = Wanted()
        self.rumours = Rumours()
        self.asked = self.got = 0
        self.around = around
        self._chain_hash = around.chain_hash
        self._known = known
        self.timing = timing
        self._chance = chance
        self._streams = Streams(around, timing, chance, gossip_listen)
        self.peers = self._streams.peers
        self.witnesses = Witnesses(around, self.peers, timing, chance, self._is_asked)
        self.streamer: int | None = None
        self.stream_seen = (around.clock(), 0)
        self.stream_until: float | None = None
        """When we compare at last, however much is streamed; None while there is no peer."""
        self.question: Question | None = None
        self.next_probe = around.clock() + timing.probe_interval
        self._overflow_probe = 0.0
        """Not before that for want of room."""
        self._probes = 0
        self._fruitless: dict[Hashable, int] = {}
        """Source -> questions about its wishes in a row that brought nothing, since the last comparison."""
        self._rumours_next = False

    # peers come, go and answer

    def peer_came(self, conn_id: int, features: bytes, place: Place, has: tuple[int, int] | None = None) -> None:
        """A peer to be asked; it gets its filter at once (B7-99), unless it has one from an earlier gossipd."""
        if conn_id in self.peers:
            return
        peer = self._streams.add(conn_id, features, place)
        if has is not None:
            self._streams.go_on(peer, has)
            self._succeed()
        elif self.state is State.STARTING_UP and self.streamer is None and peer.offers_queries:
            self._stream_everything(peer)
        else:
            self._streams.give_filter(peer)

    def _succeed(self) -> None:
        """Peers come from another gossipd, with its map: there is nothing to start, only to compare, soon."""
        if self.state is State.STARTING_UP and self.streamer is None:
            self._step(Event.SUCCEEDED)
            self.next_probe = self.around.clock() + self.timing.query_timeout

    def peer_left(self, conn_id: int) -> None:
        """The peer is gone; what it was to do, another one does."""
        self._streams.remove(conn_id)
        self.rumours.forget(conn_id)
        if conn_id == self.streamer:
            self.streamer = None
            self._step(Event.STREAM_LOST)
            self.choose_streamer()
        if self.question is not None and self.question.conn_id == conn_id:
            self._question_failed()

    def filter_of(self, conn_id: int) -> tuple[int, int] | None:
        """What this peer was asked to stream; None if it is not ours to ask."""
        peer = self.peers.get(conn_id)
        return None if peer is None else peer.filter

    def retire(self) -> None:
        """All peers go to another gossipd: ask for nothing more."""
        self._streams.clear()
        self.streamer = self.question = None

    def reply_range(self, conn_id: int, reply: ReplyChannelRange) -> None:
        """A piece of the answer to our query_channel_range. Raises WireError if its parts do not fit together."""
        question = self.question
        if question is None or question.conn_id != conn_id or question.batch or self.state is not State.PROBING_SCIDS:
            return  # to no question of ours, or not any more
        question.replies += 1
        if reply.chain_hash != self._chain_hash:
            return
        wanted = wanted_of_reply(reply, self._known, self.around.now(), self.timing.gossip_prune)
        if len(reply.encoded_short_ids) > 1:  # an empty one is no sign that more comes
            question.go_on(self.around.clock())
        for scid, flags in wanted:
            self.wanted.add_compared(scid, flags, conn_id)
        # Before sync_complete was what it is now, lnd named the whole range in each reply until the last (B7-93).
        names_all = reply.first_blocknum == 0 and reply.number_of_blocks == ALL_BLOCKS
        reaches_end = reply.first_blocknum + reply.number_of_blocks >= ALL_BLOCKS
        if reply.sync_complete or (reaches_end and not names_all) or question.replies >= MAX_REPLIES:
            self.question = None
            self._step(Event.PROBE_FOUND_SOMETHING if self.wanted else Event.PROBE_FOUND_NOTHING)
            status.debug(f"a peer knows of {len(self.wanted)} channels more, or newer")
            self._ask()

    def reply_end(self, conn_id: int, reply: ReplyShortChannelIdsEnd) -> None:
        """The answer to our query_short_channel_ids is complete; it may still be on its way through the pipeline."""
        question = self.question
        if self.witnesses.answered(conn_id):
            return
        if question is not None and question.conn_id == conn_id and question.batch and not question.answered:
            question.answered = True
            question.go_on(self.around.clock())

    def owe(self, scid: int, flags: int, source: Hashable = None) -> None:
        """Something about this channel was not taken in, for want of room. `source`: the connection that has it, None
        if that is not known."""
        self.wanted.add(scid, flags, source)

    def hear_of(self, scid: int, conn_id: int) -> None:
        """An update of this peer's has named a channel that we do not know.

        Any peer can send updates of channels that do not exist: it is asked for them itself, and if it has none of
        them, what it names is left to the next comparison.
        """
        peer = self.peers.get(conn_id)
        if peer is None or not peer.offers_queries or peer.mute or self.around.clock() < peer.unbelieved_until:
            return
        if self._known.newest(scid) is None:
            self.rumours.add(conn_id, scid)

    def resync(self) -> None:
        """Begin from the start: a user wants it."""
        self.question = None
        self.streamer = self.stream_until = None
        self._step(Event.RESYNC)
        self.choose_streamer()

    # time passes

    def tick(self, unfinished: int) -> None:
        """Look at what has become of things. `unfinished`: messages that are still in the pipeline."""
        if self.around.suspended:
            self._wait_for_room()
            return
        if self.state is State.STARTING_UP:
            self._watch_stream(unfinished)
        elif self.question is not None:
            self._watch_question(self.question, unfinished)
        elif self.state is State.ASKING_FOR_SCIDS:
            self._ask()
        else:
            self._look_around()
        self._streams.tick()

    def _step(self, event: Event) -> None:
        self.state = NEXT[self.state, event]

    def _wait_for_room(self) -> None:
        """Nothing that came now could be taken in: what was asked for is asked for again, later."""
        if self.question is not None and self.question.batch:
            self._question_failed()

    def _watch_stream(self, unfinished: int) -> None:
        clock = self.around.clock()
        if self.stream_until is not None and clock >= self.stream_until:
            self._end_stream()
            return
        if self.streamer is None:
            self.choose_streamer()
            return
        since, seen = self.stream_seen
        novel = self.around.novel.get(self.streamer, 0)
        if clock - since < self.timing.stream_quiet:
            return
        self.stream_seen = (clock, novel)
        if novel - seen < MIN_STREAM_RATE * (clock - since) and not unfinished:
            self._end_stream()

    def _end_stream(self) -> None:
        self.streamer = self.stream_until = None
        self._step(Event.STREAM_WENT_QUIET)
        self._probe()

    def _stream_everything(self, peer: Asked) -> None:
        clock = self.around.clock()
        self.streamer = peer.conn_id
        self.stream_seen = (clock, self.around.novel.get(peer.conn_id, 0))
        if self.stream_until is None:
            self.stream_until = clock + LONGEST_STREAM * self.timing.stream_quiet
        self._streams.set_filter(peer, EVERYTHING)

    def choose_streamer(self) -> None:
        """Have one that answers stream everything, in the beginning."""
        candidates = self._streams.answering
        if not candidates:
            self.stream_until = None
        elif self.state is State.STARTING_UP:
            self._stream_everything(self._chance.choice(candidates))

    def _watch_question(self, question: Question, unfinished: int) -> None:
        clock = self.around.clock()
        late = clock > question.until
        if question.answered:
            if late or not unfinished:
                self._settle(question)
            return
        come = self._count_known(question.batch)
        if come > question.come and clock <= question.end:  # 2 MB may take long
            question.come = come
            question.go_on(clock)
        elif late:
            self._note_unanswered(question)
            self._question_failed()

    def _note_unanswered(self, question: Question) -> None:
        peer = self.peers.get(question.conn_id)
        if peer is not None and question.batch:
            peer.mute = True
            self.rumours.forget(peer.conn_id)
        elif peer is not None:
            peer.hides_range = True

    # questions

    def _is_asked(self, conn_id: int) -> bool:
        """For channels: there may be one such question to a peer (B7-91)."""
        return self.question is not None and bool(self.question.batch) and self.question.conn_id == conn_id

    def _look_around(self) -> None:
        """Nothing is under way: comparing goes first, if it is due."""
        clock = self.around.clock()
        if clock >= self.next_probe:
            self._step(Event.PROBE_DUE)
            self._probe()
        elif self.wanted or self.rumours:
            self._step(Event.SOMETHING_OWED)
            self._ask()
        elif self.wanted.overflowed and clock >= self._overflow_probe:
            self._step(Event.PROBE_DUE)
            self._probe()

    def _probe(self) -> None:
        """Ask a random peer which channels it knows."""
        clock = self.around.clock()
        self.next_probe = clock + self.timing.probe_interval
        self._overflow_probe = clock + OVERFLOW_PAUSE * self.timing.query_timeout
        self.wanted.overflowed = 0  # what did not fit is found by comparing
        self._fruitless.clear()
        self._probes += 1
        if self._probes % PROBES_A_DAY == 0:
            self.wanted.start_over()
        answering = self._streams.answering
        candidates = [peer for peer in answering if not peer.hides_range] or answering
        if not candidates:
            self._step(Event.PROBE_FAILED)
            return
        peer = self._chance.choice(candidates)
        option = TIMESTAMPS_AND_CHECKSUMS if peer.extended else None
        self.question = Question(peer.conn_id, clock, self.timing.query_timeout)
        self.around.seek(peer.conn_id, QueryChannelRange(self._chain_hash, 0, ALL_BLOCKS, option).encode())

    def _ask(self) -> None:
        """Ask for the next batch of what is wanted, or of what one peer has named, in turn."""
        if self.state is not State.ASKING_FOR_SCIDS or self.around.suspended:
            return
        if self.around.clock() >= self.next_probe:
            self._step(Event.PROBE_DUE)
            self._probe()
        elif self.rumours and (self._rumours_next or not self.wanted):
            self._ask_about_rumours()
        elif self.wanted:
            self._ask_for_wanted()
        else:
            self._step(Event.NOTHING_LEFT)

    def _ask_about_rumours(self) -> None:
        conn_id, named = self.rumours.take(BATCH)
        if conn_id in self.witnesses.asked:
            self.rumours.put_back(conn_id, named)
            self._rumours_next = False
            return
        batch = [(scid, flags) for scid, flags in named if self._known.newest(scid) is None]
        if batch:
            self._query(self.peers[conn_id], batch, conn_id, is_rumour=True)

    def _ask_for_wanted(self) -> None:
        candidates = [peer for peer in self._streams.answering if not peer.mute]
        if not candidates:
            self._ask_for_streams()
            return
        candidates = [peer for peer in candidates if peer.conn_id not in self.witnesses.asked]
        if not candidates:
            return
        source, batch, tried = self.wanted.take(BATCH)
        told = [peer for peer in candidates if peer.conn_id == source]
        others = [peer for peer in candidates if peer.conn_id != source]
        self._query(self._chance.choice((others or told) if tried else (told or others)), batch, source)

    def _query(self, peer: Asked, batch: list[tuple[int, int]], source: Hashable, *, is_rumour: bool = False) -> None:
        self._rumours_next = not is_rumour
        batch = sorted(batch)
        self.asked += len(batch)
        patience, come = self.timing.query_timeout, self._count_known(batch)
        self.question = Question(peer.conn_id, self.around.clock(), patience, batch, source, is_rumour, come)
        scids = encode_short_ids(scid for scid, _ in batch)
        query_flags = [flags for _, flags in batch] if peer.extended else None
        self.around.seek(peer.conn_id, QueryShortChannelIds(self._chain_hash, scids, query_flags).encode())

    def _ask_for_streams(self) -> None:
        """No peer answers queries: those that stream are asked for everything instead."""
        self._step(Event.NOTHING_LEFT)
        lacks_channels = self.wanted.has_channels
        self.wanted.clear()
        self._streams.ask_for_everything(lacks_channels)

    def _count_known(self, batch: list[tuple[int, int]]) -> int:
        return sum(self._known.newest(scid) is not None for scid, _ in batch)

    def _settle(self, question: Question) -> None:
        """All answers are through the pipeline: what is still missing is asked for again, of another peer."""
        self.question = None
        come = [(scid, flags) for scid, flags in question.batch if has_come(scid, flags, self._known)]
        self.got += len(come)
        self.wanted.done(scid for scid, _ in come)
        for scid, flags in come:
            if flags & self._known.unannounced(scid):
                self.wanted.note_silent(scid)
        if question.is_rumour:
            self._settle_rumours(question, bool(come))
        else:
            self._settle_wanted(question, {scid for scid, _ in come})
        self._step(Event.ANSWERED)
        self._ask()

    def _settle_rumours(self, question: Question, true: bool) -> None:
        peer = self.peers.get(question.conn_id)
        if peer is not None and not true:
            peer.unbelieved_until = self.around.clock() + self.timing.probe_interval
            self.rumours.forget(peer.conn_id)

    def _settle_wanted(self, question: Question, come: set[int]) -> None:
        source = question.source
        for scid, flags in question.batch:
            if scid not in come:
                self.wanted.retry(scid, flags, source)
        self._fruitless[source] = 0 if come else self._fruitless.get(source, 0) + 1
        if source is not None and self._fruitless[source] >= TRIES:
            self.wanted.give_up(source)

    def _question_failed(self) -> None:
        question, self.question = self.question, None
        if question is None or self.state is State.STARTING_UP:
            return
        if self.state is State.PROBING_SCIDS:
            self._step(Event.PROBE_FAILED)
            self.next_probe = self.around.clock() + self.timing.query_timeout
            return
        for scid, flags in question.batch if not question.is_rumour else ():
            if flags != ALL or self._known.newest(scid) is None:
                self.wanted.add(scid, flags, question.source)  # no try is used up: the peer is not asked again
        self._step(Event.QUERY_FAILED)
        self._ask()
