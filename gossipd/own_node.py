"""The way to a signature: hsmd has the key, and signs nothing for us but our node_announcement."""

import asyncio
from collections.abc import Callable

from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_wire import SignNodeAnnouncement, SignNodeAnnouncementReply


class Signer:
    """Asks hsmd; called with a node_announcement whose signature is blank, and with whom to tell the right one."""

    def __init__(self, hsm: ControlChannel) -> None:
        self._hsm = hsm
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, announcement: bytes, signed: Callable[[bytes], None]) -> None:
        """`signed` gets the signature, 64 bytes; never if hsmd is gone, and with it the node in a moment."""
        task = asyncio.get_running_loop().create_task(self._ask(announcement, signed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, announcement: bytes, signed: Callable[[bytes], None]) -> None:
        try:
            reply = await self._hsm.request(SignNodeAnnouncement(announcement), SignNodeAnnouncementReply)
        except ChannelClosed:
            return
        signed(reply.signature)
