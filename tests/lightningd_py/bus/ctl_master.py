"""The CTL bus with a master around it whose daemons answer as a test wishes, and the services that come to it."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import zmq
import zmq.asyncio

from lightningd_py.bus.ctl_requests import Around
from lightningd_py.config.options import parse
from lightningd_py.daemons.connect_control import ConnectControl
from lightningd_py.daemons.opening import Opening
from lightningd_py.database import Database
from lightningd_py.onions.onion_control import CannotSend
from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.teller import Teller
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.storage.for_peers import StorageForPeers
from tests.harness.bus_client import Bus
from tests.lightningd_py.ownership_among_fakes import Daemon, info, registrations
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    PeerDisconnected,
    PeerInfo,
    PeerMessage,
    PeerTaken,
    SignChannelAnnouncement,
    SignChannelAnnouncementReply,
    SignChannelAnnouncementReplyfail,
)
from wire.control.timing import Timing
from wire.features import Features
from wire.secp256k1 import public_key

OWN, NODE, OTHER = (public_key(bytes([number]) * 32) for number in (1, 2, 3))
ODD = b"\x80\x01" + b"hello"


class Onions:
    """oniond's part: what services ask for, and the way to them."""

    def __init__(self) -> None:
        self.enabled = True
        self.services = SimpleNamespace(to_bus=None)
        self.asked: list[tuple[Any, ...]] = []
        self.refuses = ""

    async def path_to_us(self, *asked: Any) -> bytes:
        self._heed(asked)
        return b"a path"

    async def send(self, *asked: Any) -> None:
        self._heed(asked)

    def _heed(self, asked: tuple[Any, ...]) -> None:
        if self.refuses:
            raise CannotSend(self.refuses)
        self.asked.append(asked)


class CtlMaster:
    """What CTL sees of the node: registrations and ownership are real, the daemons answer as a test wishes."""

    def __init__(self, directory: Path) -> None:
        self.connectd, self.gossipd = Daemon(), Daemon()
        connectd: Any = self.connectd
        gossipd: Any = self.gossipd
        self.registrations = registrations()
        self.registrations._own_id = OWN
        self.ownership = Ownership(self.registrations, connectd, gossipd, Timing(), lambda peer, message: None)
        self.database = Database(directory / "database")
        self.signers: list[ControlChannel] = []
        self.renamed: asyncio.Queue[str] = asyncio.Queue()
        self.connectiond_says: Callable[[], None] = lambda: None
        """Deals with what connectiond has said and the master has not read."""
        opening = Opening((), self.registrations)
        control = ConnectControl(self.ownership, self.database, opening, lambda name: f"{name} is away")
        own: Any = SimpleNamespace(node_id=OWN, features=Features.of([1]))
        self.onions = Onions()
        onions: Any = self.onions
        self.around = Around(
            options=parse([f"--lightning-dir={directory}", "--network=regtest"]),
            own=own,
            ownership=self.ownership,
            requests=PeerRequests(self.ownership, self.database, control.reach, Timing()),
            storage=StorageForPeers("none", 0, directory, self.ownership, Teller(self.ownership, Timing())),
            msg_endpoint=lambda: "ipc:///msg",
            signing_socket=self.signing_socket,
            onions=onions,
            catch_up=lambda: self.connectiond_says(),
        )

    def signing_socket(self, service: str) -> Fd | None:
        """For the service `signer` only; it signs what ends in x."""
        if service != "signer":
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def sign(message: ControlMessage) -> None:
            assert isinstance(message, SignChannelAnnouncement)
            if message.message.endswith(b"x"):
                hsmd.reply(message, SignChannelAnnouncementReply(bytes(64)))
            else:
                hsmd.reply(message, SignChannelAnnouncementReplyfail("the channel_announcement is of other nodes"))

        hsmd = ControlChannel(theirs, "service", sign, lambda reason: None)
        self.signers.append(hsmd)
        return Fd(ours.detach())

    def connected(self, conn_id: int = 1, node_id: bytes = NODE) -> PeerInfo:
        """A peer of gossipd's."""
        peer = info(conn_id, node_id)
        self.ownership.peer_handed_over(peer)
        self.ownership.heard(GOSSIPD, PeerTaken(peer))
        return peer

    def gone(self, conn_id: int = 1, node_id: bytes = NODE) -> None:
        self.ownership.heard(GOSSIPD, PeerDisconnected(node_id, conn_id, "it hung up"))

    def copy(self, message: bytes = ODD, conn_id: int = 1) -> None:
        """gossipd sends up a copy."""
        number = int.from_bytes(message[:2], "big")
        self.ownership.heard(GOSSIPD, PeerMessage(NODE, conn_id, message, number, None))

    def close(self) -> None:
        for signer in self.signers:
            signer.close()
        self.database.close()


class Service(Bus):
    """The end of a session, and what it asks."""

    asked = 0

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        self.asked += 1
        await self.say(kind, id=self.asked, **fields)
        return await self.hear(id=self.asked)

    async def refused(self, kind: str, **fields: Any) -> str:
        answer = await self.ask(kind, **fields)
        assert answer["type"] == "error", answer
        return str(answer["error"])

    async def done(self, kind: str, **fields: Any) -> None:
        answer = await self.ask(kind, **fields)
        assert answer["type"] == "ok", answer


class Services:
    """Makes them."""

    def __init__(self, context: zmq.asyncio.Context, endpoint: str) -> None:
        self._context = context
        self._endpoint = endpoint
        self.made: list[Service] = []

    def connect(self) -> Service:
        self.made.append(Service(self._context, self._endpoint, b"lightningd"))
        return self.made[-1]

    async def join(self, name: str) -> Service:
        service = self.connect()
        assert (await service.ask("hello", service=name))["type"] == "welcome"
        return service


async def until_gone(master: CtlMaster, name: str) -> None:
    """Wait until its session on CTL has ended."""
    async with asyncio.timeout(60):
        while (known := master.registrations.named(name)) is not None and known.ticket:
            await master.renamed.get()
