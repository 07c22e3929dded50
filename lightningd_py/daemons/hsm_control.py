"""The master's half of hsmd: what it is told at the start, and the sockets by which services have something signed.

For a service of the buses the master asks hsmd itself, as that service; a program that is started with a connection has
such a socket of its own (`wire.program`).
"""

import asyncio
import os
import socket
import stat
from collections.abc import Container
from typing import Any

from lightningd_py.config.options import Options
from lightningd_py.daemons.daemon import ask
from lightningd_py.daemons.supervisor import Supervisor, no_message
from lightningd_py.errors import StartError
from wire.control.control_channel import ControlChannel, RequestFailed
from wire.control.control_message import Fd
from wire.control.control_wire import (
    DeriveSecret,
    DeriveSecretReply,
    HsmInit,
    HsmInitReply,
    SignChannelAnnouncement,
    SignChannelAnnouncementReply,
)
from wire.control.status import Status

status = Status("lightningd")


class PassphraseInput:
    """Our standard input, where a passphrase comes from that hsmd reads."""

    def __init__(self, begins: int | None = None) -> None:
        """`begins`: where the first passphrase was, if it was read already."""
        self.begins = begins if begins is not None else os.lseek(0, 0, os.SEEK_CUR) if self._is_file() else 0

    def first(self) -> Fd:
        """For the first hsmd. Raises OSError."""
        return Fd(os.dup(0))

    def again(self) -> Fd:
        """For another one, without a person. Raises StartError."""
        if not self._is_file():
            raise StartError("hsm_secret has a passphrase that only a person can give again: restart the node instead")
        try:
            fd = os.open("/proc/self/fd/0", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StartError(f"the passphrase of hsm_secret cannot be read again: {error.strerror}") from error
        os.lseek(fd, self.begins, os.SEEK_SET)
        return Fd(fd)

    def _is_file(self) -> bool:
        return stat.S_ISREG(os.fstat(0).st_mode)


async def init_next_hsmd(channel: ControlChannel, options: Options, passphrase: PassphraseInput) -> bytes:
    """Have another hsmd load the secret that is there; the node_id. Raises StartError."""
    fd = passphrase.again() if options.hsm_passphrase else None
    init = HsmInit(str(options.network_dir / "hsm_secret"), options.dev_force_privkey, fd, must_exist=True)
    return (await ask(channel, init, HsmInitReply)).node_id


async def init_hsmd(
    channel: ControlChannel, options: Options, passphrase: PassphraseInput, given_up: asyncio.Future[Any]
) -> bytes:
    """Have hsmd load or make the secret; the node_id. A passphrase it reads itself from our standard input, which may
    take a while: until `given_up` is done. Raises StartError.
    """
    passphrase_fd = passphrase.first() if options.hsm_passphrase else None
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


async def derive_secret(hsmd: ControlChannel, info: bytes) -> bytes | None:
    """32 bytes that are the same for the same `info` as long as the node has this secret; None if its key was forced.
    Raises ChannelClosed.
    """
    try:
        return (await hsmd.request(DeriveSecret(info), DeriveSecretReply)).secret
    except RequestFailed:
        return None


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
