"""One peer of gossipd: what it says, and what it is to be told. Knows no sockets.

While gossipd owns the connection everything comes here; while another process does, only gossip, through the gossip fd.
What waits to be sent is kept as plaintext, cursors and a query under way, and is pulled when there is room.
"""

import contextlib
from collections.abc import Iterable, Iterator

from gossipd.feed import NOT_JUDGED
from gossipd.peers.around import Around
from gossipd.peers.common import in_common
from gossipd.peers.standing import Standing
from gossipd.peers.waiting import Waiting
from gossipd.serve.budget import PASSED_OVER
from gossipd.serve.queries import Answer, Messages, Source, answer_range, answer_scids
from gossipd.serve.stream import Stream
from gossipd.verdict import BadGossip, Consequence, PeerFault, Verdict
from wire.address import network_group
from wire.control.control_wire import GossipState, PeerInfo
from wire.control.status import Status
from wire.cursor import WireError
from wire.encoded import UnknownEncoding
from wire.gossip_layout import ANNOUNCEMENT_SIGNATURES_2, CHAIN_HASH, GOSSIP_2_TYPES
from wire.net.duties import ANSWERS_MARK, Duties, Flaw, log_trouble
from wire.net.pinger import PongHandler
from wire.peer_wire import (
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    decode,
    message_name,
)
from wire.routing import Action, Deed

OWN_MARK = 65_536
"""Bytes in the outbox above which a peer is not told what is new of our own."""

_FRAME = 34
"""What a frame has besides its message."""
# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
_GOSSIP, _NOTHING, _REDUNDANT = Deed.GOSSIP, Deed.NOTHING, Verdict.REDUNDANT
_UNKNOWN_CHANNEL, _DONT_FORWARD = Verdict.UNKNOWN_CHANNEL, Verdict.DONT_FORWARD
_ANSWERS = (b"\x00\x01", b"\x00\x13")
"""Warnings and pongs: the peer's own doing. Above ANSWERS_MARK bytes of them nothing more is taken from it. What others
have put there does not count: two nodes that both wait for the other one to read would wait for ever."""

status = Status("gossipd")


class Peer:
    """State of one connection, whichever process owns it. Made at its first hand-over, gone with the connection."""

    __slots__ = (
        "_answer_bytes",
        "_around",
        "_greeting",
        "_outbox",
        "asked",
        "came_ns",
        "choked",
        "duties",
        "filter",
        "greeted",
        "group",
        "info",
        "outbox_bytes",
        "queries",
        "standing",
        "stream",
        "waiting",
        "work",
    )

    def __init__(self, info: PeerInfo, around: "Around[Peer]", standing: Standing) -> None:
        self.info = in_common(info)
        self.group = network_group(info.address)
        """The network that it is in, of which one operator may have much."""
        self.standing = standing
        self.filter: tuple[int, int] | None = None
        self.asked: tuple[int, int] | None = None
        """The filter that we have sent it last."""
        self.stream: Stream | None = None
        self.outbox_bytes = 0
        self.work = 0
        """What the last `pull_paid` cost besides what it gave, in bytes."""
        self.duties = Duties()
        self.queries: dict[int, Answer] = {}
        self.greeted = False
        """Our own gossip has been said, or is on its way."""
        self._greeting: Answer | None = None
        self._answer_bytes = 0
        self._around = around
        self._outbox: list[bytes] = []
        self.came_ns = 0
        """When the gossip that is dealt with had arrived, if it has waited here; else 0."""
        self.waiting: Waiting | None = None
        """Gossip that is not taken in yet, if there is any."""
        self.choked = False
        """The peer does not take our answers, or too much of its gossip waits: nothing more is heard until then."""

    # hearing

    def hear(self, message: bytes) -> bool:
        """Deal with one message, gossip perhaps later; False if the connection is no longer ours after it."""
        number = message[0] << 8 | message[1] if len(message) > 1 else 0
        if (self._around.pause.on or self.waiting is not None) and self._around.routes.deed(number) is _GOSSIP:
            if self.waiting is None:
                self.waiting = Waiting()
                self._around.pause.add(self)
            self.waiting.add(message, self._around.feed.stamp(self.info.conn_id))
            self._look_choked()
            return True
        return self._hear(number, message)

    def hear_waiting(self, most: int) -> bool:
        """Deal with gossip that waits, about so many bytes of it; False if the connection is gone."""
        waiting = self.waiting or Waiting()
        stays = waiting.hear(self._hear_late, most)
        self.came_ns = 0
        self.waiting = waiting if waiting.size else None
        self._look_choked()
        return stays

    def leave_waiting(self) -> list[bytes]:
        """The peer goes: gossip that waits is owed, queries are returned."""
        waiting, self.waiting = self.waiting or Waiting(), None
        self._look_choked()
        queries = waiting.leave(self._pass_over)
        self.came_ns = 0
        return queries

    def _hear_late(self, message: bytes, came_ns: int) -> bool:
        self.came_ns = came_ns
        return self._hear(message[0] << 8 | message[1], message)

    def _pass_over(self, message: bytes, came_ns: int) -> None:
        self.came_ns = came_ns
        self._around.ingest.pass_over(message, self.info.conn_id)
        if self._around.feed.gossip:
            self._around.feed.arrived(message, self.info.conn_id, Verdict.OWED)

    def _hear(self, number: int, message: bytes) -> bool:
        try:
            if number in self._around.routes.news:
                return self._hear_news(message)
            deed = self._around.routes.deed(number)
            if deed is _NOTHING and len(message) > 1:  # early: a stranger may send nothing else
                self._around.tally.heard(message)
                return True
            return self._hear_other(message)
        except UnknownEncoding as error:
            return self._cannot_unpack(number, message, error)
        except WireError as error:  # B1-7, B1-8
            return self._around.fault(self, PeerFault(f"{message_name(number)}: {error}", Consequence.DISCONNECT))
        except Flaw as flaw:
            if number == ANNOUNCEMENT_SIGNATURES_2 and self._around.feed.gossip:
                self._around.feed.refused(message, self.info.conn_id, NOT_JUDGED)
            return self._around.fault(self, PeerFault(str(flaw), Consequence.DISCONNECT))
        except BadGossip as fault:
            return self._around.bad_gossip(self, fault)
        except PeerFault as fault:
            return self._around.fault(self, fault)

    def _cannot_unpack(self, number: int, message: bytes, error: UnknownEncoding) -> bool:
        """The question can be asked again in another form (B7-90). Electrum 4.3 waits for the end whatever it reads."""
        stays = self._around.fault(self, PeerFault(f"{message_name(number)}: {error}", Consequence.WARN))
        if stays and number == QueryShortChannelIds.number and number not in self.queries:
            self.say(ReplyShortChannelIdsEnd(message[CHAIN_HASH], 0).encode())
        return stays

    def _hear_news(self, message: bytes) -> bool:
        standing = self.standing
        if standing.ignored_until and standing.is_ignored(self._around.clock()):
            if self._around.feed.gossip:
                self._around.feed.refused(message, self.info.conn_id, "its sender is ignored for a while")
            self._around.ingest.pass_over(message, self.info.conn_id)
            return True
        if self.stream is not None:
            self.stream.heard(message)
        verdict = self._around.ingest.receive(message, self.info.conn_id)
        if verdict is _REDUNDANT:
            standing.redundant += 1
        elif verdict is _UNKNOWN_CHANNEL or verdict is _DONT_FORWARD:
            self._around.local.receive(message, self.info.node_id, self.info.conn_id)
        return True

    def hear_gossip(self, message: bytes) -> bool:
        """Deal with a message from the gossip fd; whatever is no gossip is the owner's mistake and ignored."""
        number = int.from_bytes(message[:2], "big")
        if self._around.routes.action(number) is not Action.GOSSIP:
            text = f"{message_name(number)} came through the gossip fd: ignored"
            status.by_stranger("gossip fd", text, self.info.node_id, self.info.address)
            return True
        return self.hear(message)

    def _hear_other(self, message: bytes) -> bool:
        self._around.tally.heard(message)
        deed, message = self.duties.hear(message, self._around.routes)
        match deed:
            case Deed.SAY:
                self.say(message)
                if self._around.feed.pings:
                    self._around.feed.heard_ping(self.info, message)
            case Deed.GOSSIP:
                self._hear_query(message)
            case Deed.ANSWER if self._around.feed.pings:
                self._around.feed.heard_answer(self.info, message, self.duties.rtt_ns)
            case Deed.TAKE:
                self._around.nongossip(self, message)
                return False
            case Deed.COPY:
                self._around.copy_up(self, message)
            case Deed.TROUBLE:
                log_trouble(status, message, self.info)
                self._around.copy_up(self, message)
        return True

    def ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> None:
        """Say a ping, and call `answered` when its pong has come."""
        self.say(self.duties.ping(num_pong_bytes, ignored_len, answered))
        if self._around.feed.pings:
            self._around.feed.say_ping(self.info, "out", num_pong_bytes)

    def _hear_query(self, message: bytes) -> None:
        """Also what is left of a query, from the gossipd that was here before."""
        around = self._around
        if message[0] << 8 | message[1] in GOSSIP_2_TYPES:
            around.gossip_v2.hear(message, self.info.conn_id)
            return
        match decode(message):
            case GossipTimestampFilter() as wanted:
                if wanted.chain_hash == around.chain_hash:
                    self.set_filter(wanted.first_timestamp, wanted.timestamp_range)
            case ReplyChannelRange() as reply:
                around.seeker.reply_range(self.info.conn_id, reply)
            case ReplyShortChannelIdsEnd() as end:
                around.seeker.reply_end(self.info.conn_id, end)
            case QueryShortChannelIds() as query:
                self._begin_answer(query.number, answer_scids(query, around.chain_hash, around.index, around.store))
            case QueryChannelRange() as query:
                self._begin_answer(query.number, answer_range(query, around.chain_hash, around.index, around.checksums))

    def _begin_answer(self, number: int, answer: Source) -> None:
        if number in self.queries:  # B7-91, B7-92: one outstanding
            raise PeerFault(f"{message_name(number)} before the last one was answered", Consequence.WARN)
        self.queries[number] = Answer(answer)

    def set_filter(self, first: int, timestamp_range: int, offset: int | None = None) -> None:
        """Put a filter in force; it replaces the last one, and what the store holds for it goes out at once (B7-96).

        `offset` is where to go on in the store, if the filter was in force before.
        """
        store = self._around.store
        self.filter = (first, timestamp_range)
        nothing_past = first == 0xFFFFFFFF or timestamp_range == 0
        begin = (store.end if nothing_past else 1) if offset is None else offset
        self.stream = Stream(first, timestamp_range, begin, store.end)

    # saying

    def say(self, message: bytes) -> None:
        """Put a message into the outbox, which goes before all gossip."""
        self._outbox.append(message)
        self._count(message, 1)

    def greet(self, own: Iterator[bytes]) -> None:
        """Our own gossip goes to the peer whatever its filter is, or will be (B7-97)."""
        self.greeted = True
        greeting = Answer(Messages(own))
        self._greeting = None if greeting.finished else greeting

    def say_own(self, messages: Iterable[bytes]) -> None:
        """What is new of our own gossip goes out at once, and not with the next flush again."""
        for message in messages:
            if self.outbox_bytes <= OWN_MARK and (self.stream is None or self.stream.heard(message)):
                self.say(message)

    def brought(self, message: bytes) -> None:
        """A message of the peer's has been appended to the store: it need not be told."""
        if self.stream is not None:
            self.stream.stored(message, self._around.store.size)

    def _count(self, message: bytes, sign: int) -> None:
        size = sign * (len(message) + _FRAME)
        self.outbox_bytes += size
        if message[:2] in _ANSWERS:
            self._answer_bytes += size
            self._look_choked()

    def _look_choked(self) -> None:
        """What it hangs on has changed: it is asked for after each message."""
        self.choked = self._answer_bytes > ANSWERS_MARK or (self.waiting is not None and self.waiting.is_full)

    @property
    def has_free(self) -> bool:
        """Whether there is something to say that the peer has not asked for in bulk."""
        return bool(self._outbox or self._greeting)

    @property
    def has_something_to_say(self) -> bool:
        """Whether `pull` would, or might, give something."""
        return bool(self.has_free or self.queries or (self.stream is not None and not self.stream.finished))

    def pull_outbox(self) -> list[bytes]:
        """All of the outbox."""
        messages = self._empty_outbox()
        self._around.tally.said(messages)
        if self._around.feed.sent:
            self._around.feed.say_sent(self.info, messages)
        return messages

    def _empty_outbox(self) -> list[bytes]:
        messages, self._outbox = self._outbox, []
        self.outbox_bytes = self._answer_bytes = 0
        self._look_choked()
        return messages

    def pull(self, budget: int) -> list[bytes]:
        """The next messages to send, until they are `budget` bytes or more: the outbox, what is our own, then answers
        to queries, then the stream.
        """
        return self.pull_free(budget) if self.has_free else self.pull_paid(budget)

    def pull_free(self, budget: int) -> list[bytes]:
        """The outbox, and what is our own."""
        if self._outbox or self._greeting is None:
            return self._pull_outbox(budget)
        messages = self._greeting.pull(budget)
        if self._greeting.finished:
            self._greeting = None
        return messages

    def pull_paid(self, budget: int) -> list[bytes]:
        """Answers to queries, then the stream."""
        self.work = 0
        if self.queries:
            return self._pull_answer(budget)
        if self.stream is None or self.stream.finished:
            return []
        begin = self.stream.offset
        messages = self.stream.pull(self._around.store, self._around.index, budget)
        self.work = (self.stream.offset - begin) // PASSED_OVER
        return messages

    def _pull_outbox(self, budget: int) -> list[bytes]:
        count = 0
        for message in self._outbox:
            if budget <= 0:
                break
            count += 1
            self._count(message, -1)
            budget -= len(message) + _FRAME
        messages, self._outbox = self._outbox[:count], self._outbox[count:]
        return messages

    def _pull_answer(self, budget: int) -> list[bytes]:
        number, answer = next(iter(self.queries.items()))
        messages = answer.pull(budget)
        if answer.finished:
            del self.queries[number]
        return messages

    def flush(self) -> None:
        """The time has come to send what is news."""
        if self.stream is not None:
            self.stream.flush(self._around.store.end)

    # moving

    def break_off(self) -> tuple[list[bytes], GossipState]:
        """What has still to be said before all else, and what another gossipd needs to go on."""
        messages, waiting, queries = self._empty_outbox(), self.leave_waiting(), []
        for answer in self.queries.values():
            made, rest = answer.break_off()
            messages += made
            queries += [] if rest is None else [rest]
        offset = self.stream.offset if self.stream is not None else 0
        greeted = self.greeted and self._greeting is None
        queries += waiting
        return messages, GossipState(self.filter, self._around.store.uuid, offset, self.asked, greeted, queries)

    def restore(self, state: GossipState) -> None:
        """Go on where another gossipd was. An offset of another file, or behind a tail that was cut off since, is of
        no use: then the filter begins again. What is no query is passed over: the other one may have been taken over.
        """
        self.asked, self.greeted = state.asked, state.greeted
        for query in state.queries:
            with contextlib.suppress(WireError, PeerFault):
                self._hear_query(query)
        if state.filter is not None:
            store = self._around.store
            same_file = state.store_uuid == store.uuid and 0 < state.store_offset <= store.end
            self.set_filter(*state.filter, state.store_offset if same_file else None)
