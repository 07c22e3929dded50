"""What a message of the feed says besides `raw`, and how it is packed: compared with the slow form."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.feed import MOST_SENDERS
from gossipd.publish import packing as feed_packing
from gossipd.publish.packing import Packing, pack_message
from gossipd.verdict import Verdict
from tests.gossipd.bench import TELLER
from tests.gossipd.gossipd_process import peer_info
from tests.gossipd.messages import NOW, announcement, node_announcement, scid, update
from tests.gossipd.test_feed import LATER, Listener
from wire.bus.feed import (
    GOSSIP_TOPICS,
    SENT_TOPICS,
    Gossip,
    Outcome,
    PeerPing,
    PeerPong,
    Sent,
    decode,
    encode,
)
from wire.cursor import WireError
from wire.gossip_layout import undated
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, Ping, Pong
from wire.peer_wire import decode as decode_wire

MESSAGES = {
    "channel_announcement": announcement(3),
    "node_announcement": node_announcement(1),
    "channel_update": update(3, 1),
}
RAW = st.sampled_from(sorted(MESSAGES.values())).flatmap(
    lambda raw: st.one_of(
        st.integers(2, len(raw)).map(lambda size: raw[:size]),
        st.binary(max_size=300).map(lambda more: raw + more),
        st.binary(max_size=600).map(lambda rest: raw[:2] + rest),
    )
)


def said_by(raw: bytes) -> dict[str, Any]:
    """The nine keys, by way of the declarations: of messages that are whole."""
    about: dict[str, Any] = dict.fromkeys(("short_channel_id", "direction", "timestamp", "about"))
    inner = raw
    match decode_wire(raw):
        case ChannelAnnouncement() as said:
            about["short_channel_id"] = said.short_channel_id
            inner = raw[:2] + raw[2 + 4 * 64 :]
        case ChannelUpdate() as said:
            about |= {"short_channel_id": said.short_channel_id, "direction": said.channel_flags & 1}
            about["timestamp"] = said.timestamp
            inner = raw[:2] + raw[66:106] + raw[110:]
        case NodeAnnouncement() as said:
            about |= {"timestamp": said.timestamp, "about": bytes(said.node_id)}
            at = 68 + int.from_bytes(raw[66:68], "big")
            inner = raw[:2] + raw[66:at] + raw[at + 4 :]
    hashes = {"hash": hashlib.sha256(raw).digest(), "inner_hash": hashlib.sha256(inner).digest()}
    return {"type": int.from_bytes(raw[:2], "big"), "size": len(raw), "raw": raw, **hashes, **about}


def unpacked(raw: bytes) -> dict[str, Any]:
    """The nine keys as they were packed."""
    body = Packing("x", 1).head(5 + 3 + 9, 1, 2) + feed_packing.fields({"node_id": b"", "conn_id": 1, "incoming": True})
    message = decode(SENT_TOPICS[0].encode(), body + pack_message(raw))
    assert isinstance(message, Sent)
    return {name: getattr(message, name) for name in said_by(MESSAGES["channel_update"])}


@given(raw=RAW)
def test_what_is_cut_out_is_what_the_declarations_say(raw: bytes) -> None:
    """And of what is cut short or rubbish there is at least the hash."""
    found = unpacked(raw)
    try:
        assert found == said_by(raw)
    except WireError:
        assert found["hash"] == hashlib.sha256(raw).digest()
        assert (found["raw"], found["size"], found["type"]) == (raw, len(raw), int.from_bytes(raw[:2], "big"))
        assert len(found["inner_hash"]) == 32


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_what_is_cut_anywhere_is_packed(kind: str) -> None:
    raw = MESSAGES[kind]
    for size in range(2, len(raw)):
        assert unpacked(raw[:size])["size"] == size


def test_the_inner_hash_is_that_of_what_is_said_whenever_it_is_said() -> None:
    """The same with another signature and timestamp, another one with anything else."""
    first, later = update(3, 1, NOW), update(3, 1, NOW + 60)
    assert first != later
    assert undated(first) == undated(later)
    assert undated(first) != undated(update(3, 0, NOW))
    assert undated(first) != undated(update(3, 1, NOW, cltv_expiry_delta=99))
    assert (
        undated(node_announcement(1, NOW)) == undated(node_announcement(1, NOW + 60)) != undated(node_announcement(2))
    )
    assert undated(announcement(1)) != undated(announcement(2))
    assert undated(b"\1\x0b") is None


def test_it_is_the_hash_itself_of_what_is_cut_short() -> None:
    cut = update()[:80]
    assert unpacked(cut)["inner_hash"] == hashlib.sha256(cut).digest()


# the whole message


@pytest.fixture
def listener() -> Listener:
    listener = Listener()
    listener.feed.subscribed(b"", wanted=True)
    return listener


@pytest.mark.parametrize("seq", [1, 127, 255, 65_535, (1 << 32) - 1, 1 << 32, 1 << 40])
@pytest.mark.parametrize("kind", range(3))
def test_an_arrival_is_what_the_slow_form_makes_of_it(listener: Listener, seq: int, kind: int) -> None:
    topic, raw = GOSSIP_TOPICS[kind], [announcement(3), node_announcement(1), update(3, 1)][kind]
    bodies: list[bytes] = []
    listener.feed.send = lambda _, body: bodies.append(body)
    listener.feed._seq[topic] = seq - 1
    listener.feed.arrived(raw, TELLER, Verdict.WAITING)
    info = peer_info(TELLER)
    said = {"node_id": info.node_id, "conn_id": TELLER, "incoming": True, "phase": "live"}
    said |= {"outcome": "waiting", "reason": "for a channel of its node", "vantage": "a name", "epoch": LATER + 1}
    slow = encode(seq, LATER + 2, {**said, **said_by(raw)})
    assert decode(topic.encode(), bodies[0]) == decode(topic.encode(), slow)


def test_the_time_is_that_of_the_arrival_however_long_the_checks_take(listener: Listener) -> None:
    times = {TELLER: LATER - 5_000, 6: LATER - 7_000}
    listener.feed.read_at_of = lambda conn_id: times.get(conn_id, 0)
    listener.feed.arrived(update(), TELLER, Verdict.CHECKING)
    listener.feed.arrived(announcement(), 6, Verdict.REDUNDANT)
    times.clear()
    listener.feed.settled(update(), Outcome.NEW)
    assert [message.time_ns for message in listener.heard] == [LATER - 7_000, LATER - 5_000]
    assert isinstance(listener.heard[1], Gossip)
    assert listener.heard[1].outcome == "new"


def test_the_phase_is_that_of_the_moment(listener: Listener) -> None:
    phases = iter(["sync", "sync", "live"])
    listener.feed.phase_of = lambda conn_id: next(phases)
    for _ in range(3):
        listener.feed.arrived(update(), TELLER, Verdict.REDUNDANT)
    listener.feed.arrived(update(), 0, Verdict.REDUNDANT)
    assert [message.phase for message in listener.heard if isinstance(message, Gossip)] == [
        "sync",
        "sync",
        "live",
        None,
    ]


def test_every_message_names_the_vantage_point_and_the_run(listener: Listener) -> None:
    listener.feed.say("map.channel_dying", short_channel_id=1, deadline=2)
    listener.feed.arrived(update(), TELLER, Verdict.REDUNDANT)
    listener.feed.refused(update()[:5], TELLER, "cut")
    assert {(message.vantage, message.epoch) for message in listener.heard} == {("a name", LATER + 1)}


def test_a_message_of_an_older_node_lacks_only_what_came_later() -> None:
    arrival: dict[str, Any] = {"node_id": None, "conn_id": None, "incoming": None, "outcome": "new", "reason": ""}
    arrival["raw"] = update()
    assert decode(GOSSIP_TOPICS[2].encode(), encode(1, 2, arrival)) == Gossip(
        topic=GOSSIP_TOPICS[2], seq=1, time_ns=2, **arrival
    )
    dying = decode(b"map.channel_dying", encode(1, 2, {"short_channel_id": 3, "deadline": 4}))
    assert (dying.vantage, dying.epoch) == ("", 0)


def test_numbers_are_as_wide_as_before() -> None:
    """Readers in JavaScript get a BigInt for what has 64 bits, and a number for all else."""
    body = Packing("x", LATER).encode(7, LATER, {"conn_id": 300})
    assert b"\xa3seq\xce\0\0\0\7" in body
    assert b"\xa7time_ns\xcf" in body


# what is kept


def test_what_many_say_is_packed_once_and_the_pieces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    packing, packed = Packing("x", 1), list[bytes]()
    monkeypatch.setattr(feed_packing, "pack_message", lambda raw: packed.append(raw) or b"packed")
    for _ in range(500):
        packing.message(b"\1\2the same")
    assert len(packed) == 1
    for number in range(3 * feed_packing._GENERATION):
        packing.message(b"\1\2%d" % number)
    packing.message(b"\1\2" + bytes(2_000))
    kept = packing._packed | packing._packed_before
    assert len(kept) <= 2 * feed_packing._GENERATION
    assert max(map(len, kept)) <= feed_packing._SMALL


def test_connections_that_are_kept_packed_are_bounded(listener: Listener) -> None:
    for conn_id in range(1, MOST_SENDERS + 10):
        listener.feed.arrived(update(), conn_id, Verdict.REDUNDANT)
    assert len(listener.feed._senders) <= MOST_SENDERS


# what goes out, pings and pongs


def test_what_is_sent_is_said_only_when_it_is_asked_for_by_name(listener: Listener) -> None:
    feed = listener.feed
    assert not feed.sent
    feed.subscribed(b"sent.", wanted=True)
    assert feed.sent
    feed.say_sent(peer_info(9), [update(3, 1), b"\0\x12\0\0\0\0", b"", announcement(3), b"\1\x09filter"])
    ours = [message for message in listener.heard if isinstance(message, Sent)]
    assert [message.topic for message in ours] == [SENT_TOPICS[2], SENT_TOPICS[0]]
    assert (ours[0].conn_id, ours[0].raw, ours[0].short_channel_id) == (9, update(3, 1), scid(3))
    assert ours[0].node_id == peer_info(9).node_id


def test_pings_and_pongs(listener: Listener) -> None:
    feed, info = listener.feed, peer_info(9)
    assert feed.pings
    feed.read_at_of = lambda conn_id: LATER - 1_000
    feed.heard_ping(info, Pong(bytes(7)).encode())
    feed.heard_answer(info, Ping(65_535, b"").encode(), None)
    feed.say_ping(info, "out", 1)
    feed.heard_answer(info, Pong(bytes(3)).encode(), 500_000)
    feed.heard_answer(info, Pong(b"").encode(), None)
    said = [(type(m), m.dir, m.size, m.time_ns) for m in listener.heard if isinstance(m, PeerPing)]
    assert said == [
        (PeerPing, "in", 7, LATER - 1_000),
        (PeerPong, "out", 7, LATER + 2),
        (PeerPing, "in", 65_535, LATER - 1_000),
        (PeerPing, "out", 1, LATER + 3),
        (PeerPong, "in", 3, LATER - 1_000),
        (PeerPong, "in", 0, LATER - 1_000),
    ]
    waited = LATER + 4 - (LATER - 1_000)
    rtts = [message.rtt_ns for message in listener.heard if isinstance(message, PeerPong)]
    assert rtts == [None, 500_000 - waited, None]
