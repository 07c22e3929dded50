"""The hsmd of a connectiond that runs on its own: started by exec, for it may not be imported, and asked for ecdh only.

connectiond -- hsmd    as its master: hsm_init, and the end
            -- hsmd    as its client connectd: ecdh
"""

import os
import socket
from collections.abc import Callable

from connectd.connectiond.alone.options import Settings
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import ClientHsmfd, Ecdh, EcdhReply, HsmInit, HsmInitReply
from wire.control.process import Process
from wire.control.timing import CHILD_END_TIME
from wire.start.python import command

CONTROL_FD = 3


class HsmdFailed(Exception):
    """There is no key; one sentence."""


class OwnHsmd:
    """The process and both channels. `on_death` is called with the reason if it ends before `end`."""

    def __init__(self, settings: Settings, on_death: Callable[[str], None]) -> None:
        """Raises HsmdFailed if it cannot be started."""
        self._on_death = on_death
        self._ending = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client, client_of_hsm = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = command("lightningd_py.hsm.hsmd", str(CONTROL_FD), settings.log_level)
        try:
            self._process = Process(argv, {CONTROL_FD: theirs.fileno()}, self._exited, "hsmd", ours=True)
        except OSError as error:
            for sock in (ours, client, client_of_hsm):
                sock.close()
            raise HsmdFailed(f"hsmd cannot be started: {error.strerror}") from error
        finally:
            theirs.close()
        self._control = ControlChannel(ours, "hsmd", self._unexpected, lambda _: None)
        self._client = ControlChannel(client, "hsmd", self._unexpected, lambda _: None)
        self._control.send(ClientHsmfd("connectd", Fd(client_of_hsm.detach())))

    async def node_id(self, settings: Settings) -> bytes:
        """Load the key, or make one; whose it is. A passphrase is read by hsmd itself. Raises HsmdFailed."""
        passphrase_fd = Fd(os.dup(0)) if settings.hsm_passphrase else None
        try:
            init = HsmInit(str(settings.hsm_secret), None, passphrase_fd)
            return (await self._control.request(init, HsmInitReply)).node_id
        except RequestFailed as refusal:
            raise HsmdFailed(str(refusal)) from refusal
        except ChannelClosed:
            raise HsmdFailed("hsmd ended at the start; its reason stands above") from None

    async def ecdh(self, point: bytes) -> bytes:
        """SHA256 of the compressed product of our key and a point. BOLT 8."""
        return (await self._client.request(Ecdh(point=point), EcdhReply)).shared_secret

    async def end(self) -> None:
        """Its sockets close, and so it ends."""
        self.close()
        await self._process.wait(CHILD_END_TIME)

    def close(self) -> None:
        """The same without waiting for it."""
        self._ending = True
        for channel in (self._client, self._control):
            for message in channel.close():
                message.close_fds()

    def _exited(self, exit_status: int) -> None:
        if not self._ending:
            self._on_death(f"hsmd has ended with status {exit_status}")

    def _unexpected(self, message: ControlMessage) -> None:
        raise RuntimeError(f"{message.name()} is nothing that hsmd says by itself")
