"""The gossip fd: packets both ways, when there is room, and what is found in it at the end."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from wire.net.gossip_fd import GOSSIP_START, GossipFd, close_returned, drain, gossip_pair


class End:
    """gossipd's end, and what was told of it."""

    def __init__(self) -> None:
        ours, theirs = gossip_pair()
        self.packets: list[bytes] = []
        self.told = asyncio.Event()
        self.room = 0
        self.ends = 0
        self.fd = GossipFd(ours, asyncio.get_running_loop(), self._packet, self._room, self._end)
        self.owner = socket.socket(fileno=theirs)

    def _packet(self, packet: bytes) -> None:
        self.packets.append(packet)
        self.told.set()

    def _room(self) -> None:
        self.room += 1
        self.told.set()

    def _end(self) -> None:
        self.ends += 1
        self.fd.close()
        self.told.set()

    async def hears(self) -> None:
        """Wait until it is told anything."""
        async with asyncio.timeout(60):
            await self.told.wait()
        self.told.clear()


@pytest.fixture
async def end() -> AsyncIterator[End]:
    """A fresh pair."""
    end = End()
    yield end
    end.fd.close()
    end.owner.close()


async def test_packets_come_in_order_and_whole(end: End) -> None:
    sent = [bytes([number]) * size for number, size in enumerate((2, 138, 65_535, 3), 1)]
    for packet in sent:
        end.owner.send(packet)
    while len(end.packets) < len(sent):
        await end.hears()
    assert end.packets == sent


async def test_start(end: End) -> None:
    assert not end.fd.started
    end.owner.send(b"\x01\x00gossip")
    await end.hears()
    assert (end.fd.started, end.room) == (False, 0)
    end.owner.send(GOSSIP_START)
    await end.hears()
    assert (end.fd.started, end.room, end.packets) == (True, 1, [b"\x01\x00gossip"])


async def test_room(end: End) -> None:
    """When it does not fit nothing is lost or sent twice, and room is told once."""
    sent = 0
    while end.fd.send(bytes(1_000)):
        sent += 1
    assert not end.fd.send(bytes(1_000))
    assert drain(end.owner) == [bytes(1_000)] * sent
    await end.hears()
    assert end.room == 1
    assert end.fd.send(b"\x01\x02again")
    assert end.owner.recv(100) == b"\x01\x02again"


async def test_pause(end: End) -> None:
    end.fd.pause()
    end.fd.pause()
    end.owner.send(b"\x01\x00a")
    await asyncio.sleep(0)
    assert end.packets == []
    end.fd.resume()
    end.fd.resume()
    await end.hears()
    assert end.packets == [b"\x01\x00a"]


async def test_pause_in_the_midst(end: End) -> None:
    """A packet whose handling pauses is the last one that is read."""

    def told(packet: bytes) -> None:
        end._packet(packet)
        end.fd.pause()

    end.fd._on_packet = told
    for number in range(3):
        end.owner.send(bytes([1, number]))
    await end.hears()
    assert end.packets == [b"\x01\x00"]
    assert end.fd.close() == [b"\x01\x01", b"\x01\x02"]


async def test_end(end: End) -> None:
    end.owner.send(b"\x01\x00last")
    end.owner.close()
    while not end.ends:
        await end.hears()
    assert end.packets == [b"\x01\x00last"]
    assert (end.ends, end.fd.closed) == (1, True)


async def test_end_with_something_unread_at_the_other_side(end: End) -> None:
    """The kernel says ECONNRESET ahead of what the owner has written; that is not lost."""
    end.owner.send(GOSSIP_START)
    await end.hears()
    end.fd.pause()
    assert end.fd.send(b"\x01\x00never read")
    end.owner.send(b"\x01\x00a")
    end.owner.close()
    left: list[bytes] = []

    def ended() -> None:
        left.extend(end.fd.close())
        end.told.set()

    end.fd._on_end = ended
    end.fd.resume()
    await end.hears()
    assert end.packets + left == [b"\x01\x00a"]


async def test_close_when_the_other_end_is_reset(end: End) -> None:
    """The same when we close without having heard of its end."""
    end.fd.pause()
    assert end.fd.send(b"\x01\x00never read")
    end.owner.send(b"\x01\x00a")
    end.owner.close()
    assert end.fd.close() == [b"\x01\x00a"]


async def test_send_to_nobody(end: End) -> None:
    end.fd.pause()
    end.owner.close()
    assert end.fd.send(b"\x01\x00a"), "there is nothing to wait for: the reader hears of the end"


async def test_close_returns_what_was_not_read(end: End) -> None:
    end.fd.pause()
    for packet in (b"\x01\x00a", GOSSIP_START, b"\x01\x00b"):
        end.owner.send(packet)
    assert end.fd.close() == [b"\x01\x00a", b"\x01\x00b"]
    assert end.fd.close() == []


async def test_close_while_waiting_for_room(end: End) -> None:
    while end.fd.send(bytes(1_000)):
        pass
    end.fd.close()
    drain(end.owner)
    await asyncio.sleep(0)
    assert end.room == 0


async def test_returned(end: End) -> None:
    """The owner's end comes back with what the owner has not read."""
    assert end.fd.send(b"\x01\x00a")
    assert end.fd.send(b"\x01\x00b")
    assert close_returned(end.owner.detach()) == [b"\x01\x00a", b"\x01\x00b"]
