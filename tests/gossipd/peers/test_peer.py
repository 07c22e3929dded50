"""One peer without a socket: what follows from what it says, and what it is told in which order."""

import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from gossipd.feed import SILENT, Feed
from gossipd.peers.peer import Peer
from gossipd.peers.standing import Judgement, Standing
from gossipd.peers.waiting import WAITING_MARK
from gossipd.serve.budget import PASSED_OVER
from gossipd.serve.checksums import Checksums
from gossipd.verdict import Consequence, PeerFault
from tests.gossipd.bench import CHANNEL, Bench
from tests.gossipd.gossipd_process import peer_info
from tests.gossipd.messages import CHAIN, NOW, announcement, big_map, node_announcement, scid, update
from wire.bus.feed import FeedMessage, Gossip
from wire.bus.feed import decode as decode_feed
from wire.control.control_wire import GossipState
from wire.encoded import ALL, decode_short_ids, encode_short_ids
from wire.metrics.tally import Tally
from wire.net.duties import ANSWERS_MARK
from wire.net.owned_peers import PULL
from wire.peer_wire import (
    GossipTimestampFilter,
    Ping,
    Pong,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    WarningMessage,
)
from wire.routing import Routes

EVERYTHING = GossipTimestampFilter(CHAIN, 0, 0xFFFFFFFF).encode()
QUERY = QueryShortChannelIds(CHAIN, encode_short_ids([scid(0)])).encode()
END = ReplyShortChannelIdsEnd(CHAIN, 1).encode()


class Daemon:
    """What surrounds a peer, noting what it is told."""

    def __init__(self, bench: Bench) -> None:
        self.routes = Routes()
        self.ingest, self.store, self.index, self.chain_hash = bench.ingest, bench.store, bench.index, CHAIN
        self.tally, self.feed = Tally(), SILENT
        self.checksums = Checksums(bench.index, bench.store)
        self.seeker = None
        self.now = self.clock = lambda: float(NOW)
        self.faults: list[tuple[str, Consequence]] = []
        self.given_up: list[bytes] = []
        self.copies: list[bytes] = []
        self.points = 0.0
        self.waiting: list[Peer] = []
        self.pause = SimpleNamespace(on=False, add=self.waiting.append)

    def fault(self, peer: Peer, fault: PeerFault) -> bool:
        """Note it; a disconnection is one."""
        self.faults.append((str(fault), fault.consequence))
        return fault.consequence is Consequence.WARN

    def bad_gossip(self, peer: Peer, fault: PeerFault) -> bool:
        """Note it as the others."""
        return self.fault(peer, fault)

    def unwanted(self, peer: Peer, points: float) -> bool:
        """Note it."""
        self.points += points
        return True

    def nongossip(self, peer: Peer, message: bytes) -> None:
        """Note it."""
        self.given_up.append(message)

    def copy_up(self, peer: Peer, message: bytes) -> None:
        """Note it."""
        self.copies.append(message)


@pytest.fixture
def daemon(bench: Bench) -> Daemon:
    """With a channel in its map."""
    bench.take(*CHANNEL)
    bench.store.flush()
    return Daemon(bench)


@pytest.fixture
def peer(daemon: Daemon) -> Peer:
    """Its peer."""
    return Peer(peer_info(1), daemon, Standing())  # type: ignore[arg-type]


def all_of(peer: Peer, budget: int = PULL) -> list[bytes]:
    """Pull until there is nothing."""
    messages = []
    while peer.has_something_to_say:
        messages += peer.pull(budget)
    return messages


# hearing


def test_channel_message_gives_the_connection_up(peer: Peer, daemon: Daemon) -> None:
    for number in (2, 32, 136, 255, 259):
        message = number.to_bytes(2, "big")
        assert not peer.hear(message)
        assert daemon.given_up.pop() == message


@pytest.mark.bolt("B1-5", "B1-6")
def test_unknown(peer: Peer, daemon: Daemon) -> None:
    assert peer.hear(b"\x80\x01")
    assert daemon.faults == []
    assert not peer.hear(b"\x80\x00")
    assert daemon.faults == [("unknown even message type 32768", Consequence.DISCONNECT)]


def test_gossip_by_a_route_of_its_own(peer: Peer, daemon: Daemon) -> None:
    """A service that wants updates gets them instead of us."""
    daemon.routes.replace([(258, "copy")])
    assert peer.hear(update(timestamp=NOW + 1))
    assert daemon.copies == [update(timestamp=NOW + 1)]
    assert daemon.ingest.checks.counters["checking"] == len(CHANNEL)


def test_through_the_gossip_fd_only_gossip(peer: Peer, daemon: Daemon) -> None:
    for message in (b"\x80\x00", b"\x00\x20", b"\x00\x12", b""):
        assert peer.hear_gossip(message)
    assert (daemon.faults, daemon.given_up, peer.has_something_to_say) == ([], [], False)
    assert peer.hear_gossip(EVERYTHING)
    assert all_of(peer) == CHANNEL


def test_pongs_go_to_those_who_asked(peer: Peer) -> None:
    answers: list[tuple[str, int | None]] = []

    def answered(name: str) -> Callable[[int | None], None]:
        return lambda total: answers.append((name, total))

    for name, size in (("a", 5), ("b", 0), ("c", 5)):
        peer.ping(size, 2, answered(name))
    assert [message[:6].hex() for message in peer.pull_outbox()][:2] == ["001200050002", "001200000002"]
    for size in (7, 0, 5, 5, 0):
        peer.hear(Pong(bytes(size)).encode())
    assert answers == [("a", None), ("b", 4), ("c", 9)], "they come in order, and no other size answers anything"


# being told


def test_order(peer: Peer) -> None:
    """What waits goes first, then answers, then the stream."""
    peer.hear(EVERYTHING)
    peer.hear(QUERY)
    peer.hear(Ping(3, b"").encode())
    assert all_of(peer) == [Pong(bytes(3)).encode(), *CHANNEL, END, *CHANNEL]
    assert not peer.has_something_to_say


def test_answer_before_the_next_stream_piece(peer: Peer) -> None:
    peer.hear(EVERYTHING)
    assert peer.pull(100) == CHANNEL[:1]
    peer.hear(Ping(3, b"").encode())
    assert peer.pull(PULL) == [Pong(bytes(3)).encode()]
    assert all_of(peer) == CHANNEL[1:]


def test_pull_minds_its_budget(peer: Peer) -> None:
    for _ in range(10):
        peer.say(b"\x80\x01" + bytes(998))
    assert len(peer.pull(2_500)) == 3
    assert len(peer.pull(1)) == 1
    assert len(peer.pull(100_000)) == 6
    assert peer.outbox_bytes == 0


NEWS = [announcement(7), update(7)]


def test_while_gossip_is_not_taken_the_rest_is_answered(peer: Peer, daemon: Daemon, bench: Bench) -> None:
    daemon.pause.on = True
    for message in (*NEWS, QUERY, Ping(3, b"").encode()):
        assert peer.hear(message)
    assert peer.pull(PULL) == [Pong(bytes(3)).encode()]
    assert (daemon.waiting, bench.signatures.waiting, peer.queries) == ([peer], 0, {})
    daemon.pause.on = False
    peer.hear(update(7, direction=1))
    assert bench.signatures.waiting == 0, "each in its turn"
    assert peer.hear_waiting(1 << 20)
    assert (bench.signatures.waiting, len(peer.queries), peer.waiting) == (1, 1, None)
    bench.signatures.run()
    assert bench.records()[-3:] == [*NEWS, update(7, direction=1)]


def test_what_waits_is_taken_a_piece_at_a_time(peer: Peer, daemon: Daemon, bench: Bench) -> None:
    daemon.pause.on = True
    for number in range(20, 40):
        peer.hear(announcement(number))
    assert peer.hear_waiting(len(announcement()) * 3)
    assert bench.signatures.waiting == 2


def test_not_more_than_so_much_gossip_waits(peer: Peer, daemon: Daemon) -> None:
    daemon.pause.on = True
    while not peer.choked:
        peer.hear(announcement(50))
    assert peer.waiting is not None and WAITING_MARK < peer.waiting.size < WAITING_MARK + 1_000
    peer.hear_waiting(1_000)
    assert not peer.choked


def test_gossip_that_waits_is_owed_when_the_peer_goes(peer: Peer, daemon: Daemon, bench: Bench) -> None:
    daemon.pause.on = True
    for message in (*NEWS, QUERY):
        peer.hear(message)
    _, state = peer.break_off()
    assert (bench.owed, state.queries) == ([(scid(7), ALL)] * 2, [QUERY])
    assert peer.waiting is None


def test_what_has_waited_is_said_with_the_time_of_its_arrival(
    peer: Peer, daemon: Daemon, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three come, each at its time; two are heard later, and one is passed over when the peer goes."""
    said: list[FeedMessage] = []
    daemon.feed = Feed(lambda topic, body: said.append(decode_feed(topic, body)))
    daemon.feed.subscribed(b"gossip.", wanted=True)
    monkeypatch.setattr(bench.ingest, "_feed", daemon.feed)
    times = iter((111, 222, 333))
    daemon.feed.read_at_of = lambda conn_id: peer.came_ns or next(times)
    daemon.pause.on = True
    for _ in range(3):
        peer.hear(announcement())
    daemon.pause.on = False
    assert peer.hear_waiting(2 * len(announcement()))
    peer.leave_waiting()
    assert [message.time_ns for message in said] == [111, 222, 333]
    assert [message.outcome for message in said if isinstance(message, Gossip)] == ["redundant", "redundant", "owed"]
    assert peer.came_ns == 0


@pytest.mark.bolt("B1-37")
def test_choked_by_its_own_pings(peer: Peer) -> None:
    """And by warnings, but never by what others say to it."""
    peer.say(b"\x80\x01" + bytes(60_000))
    assert not peer.choked
    count = 0
    while not peer.choked:
        peer.hear(Ping(0, b"").encode())
        count += 1
    assert count == ANSWERS_MARK // (4 + 34) + 1
    peer.pull_outbox()
    assert not peer.choked
    peer.say(WarningMessage(bytes(32), bytes(20_000)).encode())
    assert peer.choked
    assert len(peer.pull(1)) == 1
    assert not peer.choked
    assert peer.outbox_bytes == 0


@pytest.mark.bolt("B7-91")
def test_second_query(peer: Peer, daemon: Daemon) -> None:
    """Until the end of the first one's answer has been pulled, and not a moment longer."""
    peer.hear(QUERY)
    assert peer.hear(QUERY)
    text = "query_short_channel_ids before the last one was answered"
    assert daemon.faults == [(text, Consequence.WARN)]
    messages: list[bytes] = []
    while END not in messages:
        assert peer.queries
        messages += peer.pull(1)
    assert messages == [*CHANNEL, END]
    assert peer.hear(QUERY)
    assert len(daemon.faults) == 1


# news, and moving


@pytest.mark.bolt("B7-100")
def test_flush(peer: Peer, bench: Bench) -> None:
    peer.flush()
    peer.hear(EVERYTHING)
    assert all_of(peer) == CHANNEL
    bench.take(node_announcement(0))
    bench.store.flush()
    assert not peer.has_something_to_say
    peer.flush()
    assert all_of(peer) == [node_announcement(0)]


def gone_on(peer: Peer, daemon: Daemon) -> Peer:
    """The same peer with a successor."""
    other = Peer(peer.info, daemon, Standing())  # type: ignore[arg-type]
    messages, state = peer.break_off()
    other.restore(state)
    for message in messages:
        other.say(message)
    return other


def test_state_goes_on_elsewhere(peer: Peer, daemon: Daemon, bench: Bench) -> None:
    bench.take(*big_map(50, 20))
    bench.store.flush()
    peer.hear(EVERYTHING)
    peer.asked = (7, 8)
    first = peer.pull(3_000)
    other = gone_on(peer, daemon)
    assert other.asked == (7, 8)
    assert sorted(first + all_of(other)) == sorted([*CHANNEL, *big_map(50, 20)])


def test_state_without_a_filter(peer: Peer, daemon: Daemon) -> None:
    other = gone_on(peer, daemon)
    assert (other.filter, other.stream, other.asked) == (None, None, None)


@pytest.mark.parametrize(("uuid", "further"), [(b"another", 0), (b"", 1)])
def test_place_that_is_of_no_use(peer: Peer, daemon: Daemon, uuid: bytes, further: int) -> None:
    """In another file, or behind the end of this one: the filter begins again."""
    store = daemon.store
    peer.restore(GossipState((0, 0xFFFFFFFF), uuid or store.uuid, store.end + further, (0, 0), True, []))
    assert all_of(peer) == CHANNEL


@pytest.mark.bolt("B7-91", "B7-92")
def test_answers_go_on_elsewhere(peer: Peer, daemon: Daemon, bench: Bench) -> None:
    """However often: each message comes once, and both answers are complete. What moves is small."""
    bench.take(*big_map(50, 20))
    bench.store.flush()
    scids = sorted(bench.index.channels)
    peer.hear(QueryShortChannelIds(CHAIN, encode_short_ids(scids)).encode())
    peer.hear(QueryChannelRange(CHAIN, 0, 1_000_000).encode())
    heard: list[bytes] = []
    while peer.has_something_to_say:
        heard += peer.pull(2_000)
        assert sum(map(len, peer.break_off()[0])) < 3_000
        peer = gone_on(peer, daemon)
    (whole,) = (ReplyChannelRange.decode(raw) for raw in heard if raw[:2] == b"\x01\x08")
    assert decode_short_ids(whole.encoded_short_ids) == scids
    assert heard.pop() == END
    assert sorted(raw for raw in heard if raw[:2] != b"\x01\x08") == sorted([*CHANNEL, *big_map(50, 20)])


@pytest.mark.bolt("B7-97")
def test_greeting_that_is_broken_off_begins_again(peer: Peer, daemon: Daemon) -> None:
    peer.greet(iter(CHANNEL))
    assert peer.pull(1) == CHANNEL[:1]
    assert not gone_on(peer, daemon).greeted
    assert all_of(peer) == CHANNEL[1:]
    assert gone_on(peer, daemon).greeted


def test_pings_fail_when_it_leaves(peer: Peer) -> None:
    answers: list[int | None] = []
    peer.ping(5, 0, answers.append)
    peer.ping(6, 0, answers.append)
    peer.duties.leave()
    assert answers == [None, None]


def test_a_filter_that_matches_nothing_is_work(peer: Peer, daemon: Daemon) -> None:
    peer.hear(GossipTimestampFilter(CHAIN, 1, 1).encode())
    size = daemon.store.end - 1
    assert peer.pull_paid(PULL) == []
    assert peer.work == size // PASSED_OVER
    assert peer.pull_paid(PULL) == []
    assert peer.work == 0


def test_what_is_stored_of_a_peers_is_not_told_to_it(bench: Bench, peer: Peer) -> None:
    """Whenever that is: the judge of what it brought says so."""
    peer.hear(EVERYTHING)
    all_of(peer)
    bench.take(announcement(1), update(1))
    around = SimpleNamespace(standing_of={1: peer}.get)
    Judgement(around, lambda: None, lambda: 0.0).found_good(announcement(1), 1)
    bench.store.flush()
    peer.flush()
    assert all_of(peer) == [update(1)]
    assert peer.standing.good == 1


def test_an_answer_from_a_file_that_is_cut(peer: Peer, daemon: Daemon) -> None:
    """A look at what is missing would end the process. Before the query, and while it is answered."""
    for _ in range(2):
        peer.hear(QUERY)
        os.truncate(daemon.store.path, 300)
        assert all_of(peer)[-1:] == [END]
