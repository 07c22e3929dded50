"""The owner's end of a gossip fd: both ways, gossipd that takes nothing, gossipd that goes."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from connectd.connectiond.lines.gossip_end import GossipEnd
from tests.gossipd.messages import KEYS, announcement, node_announcement, scid, update
from wire.control.control_wire import PeerInfo
from wire.encoded import ALL, UPDATE_1, UPDATE_2
from wire.net.gossip_fd import GOSSIP_START, GossipOwed, drain
from wire.net.gossip_queue import GOSSIP_MARK, GossipQueue
from wire.peer_wire import GossipTimestampFilter

PATIENCE = 0.05
PEER = PeerInfo(b"\2" * 33, 1, "192.0.2.1:9735", True, None, b"", [])


def filter_said(first: int) -> bytes:
    """A peer's filter."""
    return GossipTimestampFilter(bytes(32), first, 1).encode()


class Ends:
    """Ours, theirs, and what ours has told."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.theirs.setblocking(False)
        self.packets, self.room = asyncio.Event(), asyncio.Event()
        self.queue = GossipQueue(PATIENCE, [])
        self.end = GossipEnd(ours.detach(), PEER, self.queue, self.packets.set, self.room.set)

    def pull(self, most: int) -> list[bytes]:
        """What waits for the peer."""
        messages: list[bytes] = []
        self.queue.pull(messages, most)
        self.end.pulled()
        return messages

    def fill(self) -> int:
        """Write until there is no room; how many messages it was."""
        count = 0
        while not self.queue.is_full:
            count += 1
            self.end.write(b"\1\0" + count.to_bytes(4, "big") + b"\xff" * 1_000)
        return count

    def taken(self) -> list[int]:
        """The numbers of what gossipd reads now."""
        return [int.from_bytes(packet[2:6], "big") for packet in drain(self.theirs) if packet != GOSSIP_START]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """Both closed at the end."""
    made = Ends()
    yield made
    made.end.close()
    made.theirs.close()


async def test_gossip_starts_and_flows_both_ways(ends: Ends) -> None:
    ends.end.write(b"\1\2up")
    assert drain(ends.theirs) == [GOSSIP_START, b"\1\2up"]
    ends.theirs.send(b"\1\2down")
    await ends.packets.wait()
    assert ends.pull(100) == [b"\1\2down"]


async def test_gossipd_that_reads_late_gets_everything(ends: Ends) -> None:
    count = ends.fill()
    taken = ends.taken()
    await ends.room.wait()
    assert taken + ends.taken() == list(range(1, count + 1))
    assert ends.queue.dropped == 0
    assert not ends.queue.is_full


async def test_what_gossipd_did_not_read_for_long_is_owed(ends: Ends) -> None:
    """gossipd hears what that was about; what could not be asked for again has waited."""
    count = ends.fill()
    await ends.room.wait()  # patience is over: the peer is read again
    assert not ends.queue.is_full
    asked = GossipTimestampFilter(bytes(32), 0, 1).encode()
    for message in (announcement(7), update(8, direction=1), node_announcement(1), asked, b"\1\2no update"):
        ends.end.write(message)
    assert ends.queue.dropped == 5, "with the one that waited"
    assert ends.taken() == list(range(1, count))
    ends.room.clear()
    await ends.room.wait()
    ends.end.write(b"\1\2 news")
    owed, *rest = drain(ends.theirs)
    assert GossipOwed.decode(owed) == GossipOwed({scid(7): ALL, scid(8): UPDATE_2}, {KEYS[1][1]})
    assert rest == [asked, b"\1\2 news"]


async def test_what_is_owed_goes_with_the_fd(ends: Ends) -> None:
    count = ends.fill()
    await ends.room.wait()
    ends.end.write(update(8))
    assert ends.taken() == list(range(1, count))
    fd, left_over = ends.end.detach()
    assert fd is not None
    assert left_over == []
    (owed,) = drain(ends.theirs)
    assert GossipOwed.decode(owed).channels == {scid(8): UPDATE_1}
    os.close(fd)


async def test_what_finds_no_room_goes_with_the_connection(ends: Ends) -> None:
    """What is owed, and the filter said last, although many questions came behind it."""
    ends.fill()
    await ends.room.wait()
    for message in (filter_said(1), filter_said(2), update(8), *[b"\1\5" + bytes([number]) for number in range(100)]):
        ends.end.write(message)
    fd, left_over = ends.end.detach()
    assert fd is not None
    os.close(fd)
    owed, kept, *questions = left_over
    assert GossipOwed.decode(owed).channels == {scid(8): UPDATE_1}
    assert kept == filter_said(2)
    assert questions == [b"\1\5" + bytes([number]) for number in range(84, 100)]


async def test_what_waits_for_the_peer_is_bounded(ends: Ends) -> None:
    packet = bytes(10_000)
    sent = 0
    while sent < 1_000_000:
        try:
            sent += ends.theirs.send(packet)
        except BlockingIOError:
            break
        await asyncio.sleep(0)
    assert sum(map(len, ends.pull(1 << 30))) <= GOSSIP_MARK + len(packet)
    ends.packets.clear()
    await ends.packets.wait()
    assert ends.pull(1 << 30), "read on when that was taken"


async def test_gossipd_goes(ends: Ends) -> None:
    ends.fill()
    ends.theirs.close()
    await ends.room.wait()
    ends.end.write(filter_said(1))
    assert not ends.queue.is_full
    fd, left_over = ends.end.detach()
    assert fd is None
    assert left_over == [filter_said(1)], "for the next gossipd"


async def test_end_is_given_on_with_what_is_unread(ends: Ends) -> None:
    fd, _ = ends.end.detach()
    assert fd is not None
    ends.theirs.send(b"\1\2later")
    with socket.socket(fileno=fd) as sock:
        assert sock.recv(100) == b"\1\2later"


async def test_no_socket_is_the_callers() -> None:
    read, write = os.pipe()
    with pytest.raises(OSError, match="socket"):
        GossipEnd(read, PEER, GossipQueue(PATIENCE, []), lambda: None, lambda: None)
    os.close(read)
    os.close(write)


async def test_complaints_are_counted_per_peer(caplog: pytest.LogCaptureFixture) -> None:
    """A peer that comes again and again, and whose gossip is dropped each time, does not fill the log."""
    peer = replace(PEER, node_id=b"\3" * 33, address="192.0.2.77:9735")
    for _ in range(20):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            end = GossipEnd(ours.detach(), peer, GossipQueue(PATIENCE, []), lambda: None, lambda: None)
            end.queue.dropped = 1
            end._complain()
            end.close()
    assert caplog.text.count("gossip of this peer is dropped") == 5, "the 1st, 2nd, 4th, 8th and 16th"
