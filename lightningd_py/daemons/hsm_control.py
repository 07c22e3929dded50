"""channel_announcements signed for one service of the buses: the master asks hsmd for it, as that service.

A program that is started with a connection has such a socket itself (`wire.program`).
"""

import socket

from lightningd_py.daemons.supervisor import no_message
from wire.control.control_channel import ControlChannel, RequestFailed
from wire.control.control_message import Fd
from wire.control.control_wire import SignChannelAnnouncement, SignChannelAnnouncementReply


class AnnouncementSigner:
    """One service's socket to hsmd, on the running asyncio loop."""

    def __init__(self, hsm_socket: Fd) -> None:
        """`hsm_socket`: as `Supervisor.hsm_socket` makes it for a service. It is ours from now on."""
        self._channel = ControlChannel(socket.socket(fileno=hsm_socket), "hsmd", no_message, lambda reason: None)

    async def sign_channel_announcement(self, message: bytes) -> bytes:
        """The node's signature, 64 bytes, under a channel_announcement whose one node it is.

        What stands in the place of the signatures does not matter. Raises ValueError, one sentence, for what hsmd does
        not sign; ChannelClosed if the node ends.
        """
        try:
            reply = await self._channel.request(SignChannelAnnouncement(message), SignChannelAnnouncementReply)
        except RequestFailed as refused:
            raise ValueError(str(refused)) from refused
        return reply.signature

    def close(self) -> None:
        """The service has gone."""
        self._channel.close()
