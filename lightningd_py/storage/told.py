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
    """Says them, and hears of each whether its owner has it in the connection's queue."""

    def __init__(self, ownership: Ownership, timing: Timing) -> None:
        self._ownership = ownership
        self._timing = timing
        self._tasks: set[asyncio.Task[bool]] = set()

    def say(self, peer: Peer, message: bytes, failed: Callable[[], None] = lambda: None) -> None:
        """`failed` is called if it could not be said: the connection has ended, or the peer does not read."""
        task = asyncio.get_running_loop().create_task(self._say(peer, message))
        self._tasks.add(task)

        def done(task: asyncio.Task[bool]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and not task.result():
                failed()

        task.add_done_callback(done)

    async def _say(self, peer: Peer, message: bytes) -> bool:
        info = peer.info
        request = SendMessage(info.node_id, info.conn_id, message)
        patience = self._timing.pong_timeout * patience_for(info.address)
        try:
            asking = self._ownership.channel_of(peer).request(request, SendMessageReply)
            await asyncio.wait_for(asking, patience)
        except (RequestFailed, ChannelClosed, TimeoutError):
            return False
        return True

    def close(self) -> None:
        """Wait for no answer any more."""
        for task in self._tasks:
            task.cancel()
