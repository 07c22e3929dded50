"""Messages that the master itself has a peer told, through whichever process owns the connection."""

import asyncio
from collections.abc import Callable

from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_wire import SendMessage, SendMessageReply
from wire.control.timing import Timing
from wire.net.pinger import patience_for


class Teller:
    """Says them, and hears of each whether its owner has it in the connection's queue. It waits for an owner as long as
    for a peer's pong.
    """

    def __init__(self, ownership: Ownership, timing: Timing) -> None:
        self._ownership = ownership
        self._timing = timing
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, peer: Peer, message: bytes, ended: Callable[[bool], None] = lambda told: None) -> None:
        """`ended` is called with True if it is said, with False if it could not be: the connection has ended, or the
        peer, or its owner, takes nothing.
        """
        task = asyncio.get_running_loop().create_task(self.tell(peer, message))
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                return
            error = task.exception()
            if error is not None and not isinstance(error, RequestFailed | ChannelClosed | TimeoutError):
                raise error
            ended(error is None)

        task.add_done_callback(done)

    async def tell(self, peer: Peer, message: bytes) -> None:
        """Done when it is said. Raises RequestFailed, ChannelClosed, TimeoutError."""
        info = peer.info
        request = SendMessage(info.node_id, info.conn_id, message)
        patience = self._timing.pong_timeout * patience_for(info.address)
        async with asyncio.timeout(patience):
            await self._ownership.channel_of(peer).request(request, SendMessageReply)

    def close(self) -> None:
        """Wait for no answer any more."""
        for task in self._tasks:
            task.cancel()
