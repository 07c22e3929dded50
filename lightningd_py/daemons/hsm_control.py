"""The master's half of hsmd: what it is told at the start, and the sockets by which services have something signed.

For a service of the buses the master asks hsmd itself, as that service; a program that is started with a connection has
such a socket of its own (`wire.program`).
"""

import asyncio
import os
import socket
from collections.abc import Container
from typing import Any

from lightningd_py.config.options import Options
from lightningd_py.daemons.supervisor import Supervisor, ask, no_message
from lightningd_py.errors import StartError
from wire.control.control_channel import ControlChannel, RequestFailed
from wire.control.control_message import Fd
from wire.control.control_wire import (
    HsmInit,
    HsmInitReply,
    SignChannelAnnouncement,
    SignChannelAnnouncementReply,
)
from wire.control.status import Status

status = Status("lightningd")


async def init_hsmd(channel: ControlChannel, options: Options, given_up: asyncio.Future[Any]) -> bytes:
    """Have hsmd load or make the secret; the node_id. A passphrase it reads itself from our standard input, which may
    take a while: until `given_up` is done. Raises StartError.
    """
    passphrase_fd = Fd(os.dup(0)) if options.hsm_passphrase else None
    init = HsmInit(str(options.network_dir / "hsm_secret"), options.dev_force_privkey, passphrase_fd)
    asking = asyncio.ensure_future(ask(channel, init, HsmInitReply))
    if passphrase_fd is None:
        return (await asking).node_id
    waits: set[asyncio.Future[Any]] = {asking, given_up}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if not asking.done():
        asking.cancel()
        raise StartError("ended before the passphrase was given")
    return (await asking).node_id


class SigningSockets:
    """Sockets to hsmd for the services that the operator lets sign."""

    def __init__(self, supervisor: Supervisor, may_sign: Container[str]) -> None:
        """`may_sign`: the services of --may-sign."""
        self._supervisor = supervisor
        self._may_sign = may_sign

    def make(self, service: str) -> Fd | None:
        """A socket for this service, if it may have channel_announcements signed and one can be made."""
        if service not in self._may_sign:
            return None
        try:
            return self._supervisor.hsm_socket("service")
        except OSError as error:
            status.unusual(f"service {service} cannot have anything signed: {error}")
            return None


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
