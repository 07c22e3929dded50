"""The master takes nothing for a while: gossipd stops what would make it say more, and loses nothing."""

import asyncio
import fcntl
import sys
import termios

import pytest

from tests.gossipd.gossipd_process import FakePeer, GossipdProcess, peer_info
from tests.harness.waiting import until
from wire.control.control_wire import HandlePeer, PeerDisconnected, PeerMessage, PeerTaken, SetMessageRoutes
from wire.crypto_state import READ_SIZE
from wire.peer_wire import WarningMessage

CUSTOM = 0x8001
SIZE = 60_000
COUNT = 200
"""12 MB: what waits for the master is 4 MB at most. From one peer 2 MB are read in a second."""


class Steady:
    """Whether a number has been the same for a while: what another process does not do can only be looked at."""

    def __init__(self, looks: int = 30) -> None:
        self._looks = looks
        self._last: list[int] = []

    def __call__(self, number: int) -> bool:
        self._last = [*self._last, number][-self._looks :]
        return len(self._last) == self._looks and len(set(self._last)) == 1


def unread(peer: FakePeer) -> int:
    """Bytes of what it said that were not taken."""
    return int.from_bytes(fcntl.ioctl(peer.sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


@pytest.mark.long
async def test_large_copies(gossipd: GossipdProcess) -> None:
    """A thousand messages may wait, and a thousand of these would be 60 MB."""
    gossipd.master.send(SetMessageRoutes([(CUSTOM, "copy")]))
    peer = await gossipd.connect(tcp=True)
    await peer.sync()
    gossipd.master.pause_reading(paused=True)
    message = CUSTOM.to_bytes(2, "big") + bytes(SIZE)
    saying = asyncio.create_task(peer.say(*[message] * COUNT))
    steady = Steady()

    async def stopped() -> bool:
        return steady(unread(peer))

    await until(stopped, "it reads on")
    assert not saying.done()
    gossipd.master.pause_reading(paused=False)
    await saying
    await peer.sync()
    for _ in range(4 * 1024 * 1024 // SIZE):
        assert (await gossipd.hear(PeerMessage)).message == message
    while not gossipd.said.empty():
        assert isinstance(gossipd.said.get_nowait(), PeerMessage)


@pytest.mark.long
async def test_warnings_without_end(gossipd: GossipdProcess) -> None:
    """Each goes up to the master and into the log: what is read at a time is 64 kB, and then no more in that second."""
    peer, begun = await gossipd.connect(), asyncio.get_running_loop().time()
    warning = WarningMessage(bytes(32), b"w").encode()
    await peer.say(*[warning] * (3 * READ_SIZE // len(warning)))
    for _ in range(2 * READ_SIZE // len(warning)):
        assert (await gossipd.hear(PeerMessage)).message == warning
    assert asyncio.get_running_loop().time() - begun > 1.0


async def test_strangers_that_come_and_go(gossipd: GossipdProcess) -> None:
    """connectd, at the other end of the link, accepts no more when 64 of its messages wait there."""
    gossipd.master.pause_reading(paused=True)
    count = 1_000
    for _ in range(count):
        peer, fd, state = gossipd.connection()
        gossipd.held.clear()
        peer.close()
        gossipd.link.send(HandlePeer(peer_info(peer.conn_id), state, [], None, fd, None))
        await asyncio.sleep(0)
    steady = Steady()

    async def stopped() -> bool:
        return steady(gossipd.link.queued)

    await until(stopped, "the link is read on")
    assert gossipd.link.queued > 0
    gossipd.master.pause_reading(paused=False)
    came: set[int] = set()
    went: set[int] = set()
    while len(went) < count:
        async with asyncio.timeout(60):
            match await gossipd.said.get():
                case PeerTaken(peer=info):
                    came.add(info.conn_id)
                case PeerDisconnected(conn_id=conn_id):
                    went.add(conn_id)
    assert came == went
    assert gossipd.link.queued == 0
