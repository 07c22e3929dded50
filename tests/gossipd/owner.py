"""Another owner of a connection for a while: the test, in the place of a service's program."""

import asyncio
import os

from tests.gossipd.gossipd_process import PATIENCE, GossipdProcess, peer_info
from wire.control.control_message import Fd
from wire.control.control_wire import PeerNongossip, ReleasePeer, ReleasePeerReply
from wire.crypto_state import READ_SIZE, PeerState
from wire.frames import Frames


class Owner:
    """The test as owner of a connection: reads it from where gossipd has left it, and gives it back in the same way."""

    def __init__(self, gossipd: GossipdProcess, message: PeerNongossip | ReleasePeerReply) -> None:
        self.gossipd = gossipd
        self.conn_id = message.conn_id
        self.state = message.state
        self.left_over: list[bytes] = []
        """For gossipd, and without room in the gossip fd."""
        self.fd = message.peer_fd
        self.gossip = gossipd.hold(message.gossip_fd)
        self._frames = Frames(message.state.crypto, message.state.unread)
        self._sock = gossipd.hold(os.dup(message.peer_fd))

    async def next(self) -> bytes:
        """The peer's next message."""
        message = next(self._frames.feed(b""), None)
        while message is None:
            async with asyncio.timeout(PATIENCE):
                data = await asyncio.get_running_loop().sock_recv(self._sock, READ_SIZE)
            assert data
            message = next(self._frames.feed(data), None)
        return message

    async def say(self, *messages: bytes) -> None:
        """Send `unsent` first, then these."""
        batch = bytearray(self.state.unsent)
        self.state.unsent = b""
        for message in messages:
            self._frames.encrypt_into(batch, message)
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self._sock, batch)

    async def gives_back(self, *send: bytes) -> None:
        """handle_peer with all that has come."""
        state = self.exported()
        gossip_fd = Fd(self.gossip.detach())
        await self.gossipd.hand_over(peer_info(self.conn_id), self.fd, state, send=send, gossip_fd=gossip_fd)

    def exported(self) -> PeerState:
        """The state to give back; the connection is not ours any more."""
        self._sock.close()
        state = self._frames.export(self.state.unsent)
        state.gossip = self.left_over
        return state

    def hangs_up(self) -> None:
        """The connection ends, as the master is told by the owner."""
        self._sock.close()
        os.close(self.fd)
        self.gossip.close()


async def released(gossipd: GossipdProcess, conn_id: int) -> Owner:
    """release_peer, and what comes."""
    gossipd.master.send(ReleasePeer(b"", conn_id))
    return Owner(gossipd, await gossipd.hear(ReleasePeerReply))


async def taken(gossipd: GossipdProcess) -> Owner:
    """The connection that gossipd gives up next."""
    return Owner(gossipd, await gossipd.hear(PeerNongossip))
