"""What an owner does about each message, and what it keeps for gossipd when there is no room. BOLT 1."""

import pytest

from tests.gossipd.messages import announcement, scid, update
from wire.encoded import ALL, UPDATE_1
from wire.net.duties import Duties, Flaw, SlowReader, deed_of
from wire.net.gossip_fd import GossipOwed
from wire.net.gossip_queue import MAX_FILTERS, MAX_LEFT_OVER, MAX_QUESTIONS, GossipQueue
from wire.peer_wire import ErrorMessage, GossipTimestampFilter, Ping, Pong, WarningMessage, decode
from wire.routing import Deed, Routes

ROUTES = Routes()


@pytest.mark.bolt("B1-7")
@pytest.mark.parametrize("number", [1, 17, 18, 19])
def test_malformed(number: int) -> None:
    with pytest.raises(Flaw) as flaw:
        Duties().hear(number.to_bytes(2, "big") + b"\0", ROUTES)
    (warning,) = flaw.value.last_words
    assert isinstance(decode(warning), WarningMessage)


@pytest.mark.bolt("B1-6")
@pytest.mark.parametrize("message", [b"", b"\1", b"\xc0\x00"])
def test_over_which_the_connection_ends(message: bytes) -> None:
    with pytest.raises(Flaw):
        deed_of(message, ROUTES)


@pytest.mark.parametrize(
    ("message", "deed"),
    [
        (b"\x00\x10" + bytes(4), Deed.ANSWER),
        (b"\x80\x07odd", Deed.NOTHING),
        (b"\x01\x00gossip", Deed.GOSSIP),
        (b"\x00\x20" + bytes(64), Deed.TAKE),
        (ErrorMessage(bytes(32), b"oh").encode(), Deed.TROUBLE),
        (WarningMessage(bytes(32), b"oh").encode(), Deed.TROUBLE),
        (Ping(65_532, b"").encode(), Deed.ANSWER),
        (Pong(b"unasked").encode(), Deed.ANSWER),
    ],
)
def test_deeds(message: bytes, deed: Deed) -> None:
    assert Duties().hear(message, ROUTES) == (deed, message)


def test_pings_and_pongs() -> None:
    duties, answers = Duties(), list[int | None]()
    assert duties.hear(Ping(3, b"").encode(), ROUTES) == (Deed.SAY, Pong(bytes(3)).encode())
    assert duties.ping(5, 2, answers.append) == Ping(5, bytes(2)).encode()
    duties.ping(6, 0, answers.append)
    duties.hear(Pong(bytes(5)).encode(), ROUTES)
    duties.leave()
    assert answers == [9, None]


def test_slow_reader() -> None:
    slow = SlowReader()
    assert not slow.look(0.0, 1, 10.0)
    assert not slow.look(9.9, 1, 10.0)
    assert slow.look(10.0, 1, 10.0)
    assert not slow.look(11.0, 2, 10.0), "it has taken something"
    assert not slow.look(12.0, None, 10.0)
    assert not slow.look(30.0, 2, 10.0), "nothing has waited meanwhile"


def filter_said(first: int, chain: int = 0) -> bytes:
    return GossipTimestampFilter(bytes([chain]) * 32, first, 1).encode()


def full(patience: float = 1.0) -> GossipQueue:
    """A queue whose gossipd takes nothing, given up."""
    queue = GossipQueue(patience, [])
    queue.write(announcement(7))
    queue.no_room(0.0)
    assert queue.is_full
    assert not queue.look(patience - 0.1)
    assert queue.look(patience)
    assert not queue.is_full
    return queue


def written(queue: GossipQueue) -> list[bytes]:
    """All that goes out when there is room."""
    packets = []
    while (packet := queue.next_packet) is not None:
        packets.append(packet)
        queue.wrote()
    return packets


def test_the_last_filter_is_never_dropped() -> None:
    """However much else is said behind it, and although filters of many other chains come."""
    queue = full()
    for chain in range(100):
        queue.write(filter_said(chain, chain))
    queue.write(filter_said(1))
    queue.write(filter_said(2) + bytes(60_000))
    for _ in range(100):
        queue.write(b"\x01\x05" + bytes(60_000))
    _, *packets = written(queue)
    filters = [packet for packet in packets if packet[:2] == b"\x01\x09"]
    assert filters[-1] == filter_said(2)
    assert len(filters) == MAX_FILTERS


def test_what_is_left_over_is_bounded_and_goes_on() -> None:
    queue = full()
    for number in range(5_000):
        queue.write(update(number % 4_000))
    for _ in range(100):
        queue.write(b"\x01\x05" + bytes(60_000))
        queue.write(b"\x01\x05")
        queue.write(filter_said(9) + bytes(60_000))
    left = queue.left_over()
    assert sum(map(len, left)) <= MAX_LEFT_OVER
    assert len(left) <= 1 + MAX_FILTERS + MAX_QUESTIONS
    assert GossipQueue(1.0, left).left_over() == left
    assert filter_said(9) in left


def test_owed_by_two_owners() -> None:
    """What the last one could not say, and what this one could not."""
    queue = GossipQueue(1.0, full().left_over())
    queue.lose()
    queue.write(update(8))
    (owed,) = queue.left_over()
    assert GossipOwed.decode(owed).channels == {scid(7): ALL, scid(8): UPDATE_1}


@pytest.mark.bolt("B1-7", "B1-151")
@pytest.mark.parametrize("number", [7, 9])
@pytest.mark.parametrize("rest", ["", "00", "0001", "ffff00"])
def test_peer_storage_that_is_cut_short(number: int, rest: str) -> None:
    """Where it is copied its length is looked at, by each owner; elsewhere it is ignored unread."""
    message = number.to_bytes(2, "big") + bytes.fromhex(rest)
    assert deed_of(message, ROUTES) is Deed.NOTHING
    copied = Routes()
    copied.replace([(number, "copy")])
    with pytest.raises(Flaw, match="peer_storage"):
        deed_of(message, copied)
    whole = number.to_bytes(2, "big") + bytes.fromhex("0001aa")
    assert deed_of(whole, copied) is Deed.COPY
    assert deed_of(whole + bytes.fromhex("010100"), copied) is Deed.COPY, "an extension"
