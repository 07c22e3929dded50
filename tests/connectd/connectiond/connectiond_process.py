"""The real connectiond as a process: the test is its master, its gossipd, its peers and its services."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self, TypeVar

import zmq
import zmq.asyncio

from tests.gossipd.ends import mirrored
from tests.gossipd.gossipd_process import PATIENCE, FakePeer, peer_info
from wire.bus import bus_wire
from wire.bus.bus_message import BusMessage
from wire.bus.bus_wire import CONNECTIOND, Heartbeat, Hello, TakePeer, Welcome
from wire.control import control_wire
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd, Reply, Request
from wire.control.control_wire import (
    ChangeServiceRegistrations,
    ConnectiondInit,
    ConnectiondInitReply,
    ListPeers,
    ListPeersReply,
    PeerInfo,
    ServicePresence,
)
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.crypto_state import PeerState
from wire.frames import Frames
from wire.net.gossip_fd import GOSSIP_START

C = TypeVar("C", bound=ControlMessage)
R = TypeVar("R", bound=Reply)
B = TypeVar("B", bound=BusMessage)

TIMING = Timing(bus_heartbeat=60.0)


def channel_id(number: int) -> bytes:
    """A channel_id, or a temporary one."""
    return bytes([number]) * 32


def about(number: int, channel: bytes, rest: bytes = b"") -> bytes:
    """A message of this type about a channel; an opening has a chain_hash before it."""
    return number.to_bytes(2, "big") + (bytes(32) if number in (32, 64) else b"") + channel + rest


def registrations_of(
    name: str,
    *,
    node_ids: tuple[bytes, ...] = (),
    channels: tuple[tuple[bytes, bytes], ...] = (),
    take: tuple[int, ...] = (),
    ticket: bytes | None = None,
) -> ChangeServiceRegistrations:
    """As the master tells it. If no ticket is named it is one that the name gives."""
    ticket = name.encode().ljust(16, b"!") if ticket is None else ticket
    return ChangeServiceRegistrations(name, ticket, list(node_ids), list(channels), list(take))


class Service:
    """A service's plain DEALER on MSG, with the numbers that the protocol wants."""

    def __init__(self, connectiond: "ConnectiondProcess", name: str, endpoint: str) -> None:
        self.name = name
        self.socket = connectiond.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self._seqs: dict[int, int] = {}

    async def say(self, message: BusMessage | bytes) -> None:
        """Send a message to connectiond."""
        await self.socket.send_multipart([CONNECTIOND, message if isinstance(message, bytes) else message.encode()])

    async def hear(self, kind: type[B]) -> B:
        """The next thing that it hears, heartbeats aside; it must be of this kind."""
        message: BusMessage = Heartbeat()
        while isinstance(message, Heartbeat):
            async with asyncio.timeout(PATIENCE):
                sender, body = await self.socket.recv_multipart()
            assert sender == CONNECTIOND
            message = BusMessage.decode(body, "msg", "node")
        assert isinstance(message, kind), message
        return message

    async def tell(self, peer: "Peer", *messages: bytes) -> None:
        """Send a peer messages, rightly numbered."""
        for raw in messages:
            seq = self._seqs[peer.conn_id] = self._seqs.get(peer.conn_id, 0) + 1
            await self.say(bus_wire.Message(peer.conn_id, seq, raw))

    async def hears(self, peer: "Peer", *messages: bytes, first: int = 1) -> None:
        """These messages of the peer's come next, numbered from `first` on."""
        for seq, raw in enumerate(messages, first):
            message = await self.hear(bus_wire.Message)
            assert (message.conn_id, message.seq, message.message) == (peer.conn_id, seq, raw)

    async def takes(self, peer: "Peer") -> TakePeer:
        """Wait until it is told that it has a part in the connection."""
        taken = await self.hear(TakePeer)
        assert (taken.conn_id, taken.node_id) == (peer.conn_id, peer.info.node_id)
        return taken

    async def was_disconnected(self, peer: "Peer") -> str:
        """Wait until it is told that the connection has ended: why."""
        message = await self.hear(bus_wire.PeerDisconnected)
        assert (message.conn_id, message.node_id) == (peer.conn_id, peer.info.node_id)
        return message.reason

    async def hears_nothing(self) -> None:
        """A question that is answered at once, and its answer is what comes next."""
        await self.say(bus_wire.Disconnect(conn_id=None, id="a barrier"))
        assert (await self.hear(bus_wire.Error)).id == "a barrier"

    def leaves(self) -> None:
        """Die: nothing is said any more."""
        self.socket.close()


class Peer(FakePeer):
    """The far end of a connection, and gossipd's end of its gossip fd."""

    def __init__(self, sock: socket.socket, frames_state: Any, info: PeerInfo, gossip: socket.socket) -> None:
        super().__init__(sock, frames_state, info.conn_id)
        self.info = info
        self.gossip_sock = gossip
        self.gossip_sock.setblocking(False)

    async def gossip_heard(self) -> bytes:
        """The next packet that gossipd gets."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.gossip_sock, 65_536)


class ConnectiondProcess:
    """Starts connectiond, speaks to it from all sides, and ends it."""

    def __init__(self, directory: Path, log: str = "log") -> None:
        """`log`: the name of its file there."""
        self.said: asyncio.Queue[ControlMessage] = asyncio.Queue()
        """To the master, in order, without replies to requests."""
        self.context = zmq.asyncio.Context()
        self.endpoint = ""
        self._directory = directory
        self.log_file = directory / log
        self._held: list[socket.socket] = []
        self._services: list[Service] = []
        self._last_conn_id = 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()
        command = [sys.executable, "-P", "-m", "connectd.connectiond", str(fd), "debug"]
        with theirs, self.log_file.open("wb") as errors:
            self.process = subprocess.Popen(command, pass_fds=[fd], stderr=errors)
        ours.setblocking(False)
        self.master = ControlChannel(ours, "connectiond", self.said.put_nowait, lambda _: None)

    async def start(self, timing: Timing = TIMING, limits: Limits | None = None, *, takes_place: bool = False) -> Self:
        """connectiond_init."""
        init = ConnectiondInit(f"ipc://{self._directory}/msg", "", timing, limits or Limits(), takes_place)
        async with asyncio.timeout(PATIENCE):
            self.endpoint = (await self.master.request(init, ConnectiondInitReply)).msg
        return self

    # services

    def registers(self, name: str, **wanted: Any) -> bytes:
        """set_service_registrations; the ticket."""
        registrations = registrations_of(name, **wanted)
        self.master.send(registrations)
        return registrations.ticket

    async def service(self, name: str, *, credit: int = 256, **wanted: Any) -> Service:
        """A service that has said hello."""
        ticket = self.registers(name, **wanted)
        service = Service(self, name, self.endpoint)
        self._services.append(service)
        await service.say(Hello(name, ticket, credit))
        assert (await service.hear(Welcome)).service == name
        presence = await self.hear(ServicePresence)
        assert (presence.service, presence.here) == (name, True)
        return service

    def stranger(self) -> Service:
        """A client that has said nothing yet."""
        self._services.append(Service(self, "", self.endpoint))
        return self._services[-1]

    # peers

    async def give(
        self, service: str, message: bytes | None = None, *, unread: bytes = b"", unsent: bytes = b"", tcp: bool = False
    ) -> Peer:
        """A connection for this service, `message` being the reason; gossip begins."""
        self._last_conn_id += 1
        info = peer_info(self._last_conn_id)
        near_sock, far_sock = socket.socketpair()
        near, far = mirrored()
        our_gossip, their_gossip = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        peer = Peer(far_sock, far, info, our_gossip)
        self._held += [far_sock, our_gossip]
        state = PeerState(near, unread, unsent)
        fds = Fd(near_sock.detach()), Fd(their_gossip.detach())
        self.master.send(control_wire.TakePeer(service, info, message, state, *fds, TIMING))
        assert await peer.gossip_heard() == GOSSIP_START
        return peer

    async def hear(self, kind: type[C]) -> C:
        """The next thing that the master hears; it must be of this kind."""
        async with asyncio.timeout(PATIENCE):
            message = await self.said.get()
        assert isinstance(message, kind), message
        return message

    async def disconnected(self, peer: Peer) -> str:
        """The master hears that the connection has ended: why."""
        message = await self.hear(control_wire.PeerDisconnected)
        assert (message.conn_id, message.node_id) == (peer.conn_id, peer.info.node_id)
        return message.reason

    def taken_back(self, message: control_wire.PeerGivenBack | control_wire.PeerNongossip) -> "Returned":
        """A connection that has come back."""
        assert message.gossip_fd is not None
        socks = [socket.socket(fileno=fd) for fd in (message.peer_fd, message.gossip_fd)]
        for sock in socks:
            sock.setblocking(False)
        self._held += socks
        return Returned(socks[0], message.state)

    def asks(self, question: Request, answer: type[R]) -> asyncio.Task[R]:
        """A request, not waited for."""
        return asyncio.create_task(self.master.request(question, answer))

    async def conn_ids(self) -> list[int]:
        """list_peers: also a barrier for what was said to connectiond before."""
        async with asyncio.timeout(PATIENCE):
            reply = await self.master.request(ListPeers(), ListPeersReply)
        return sorted(stats.conn_id for stats in reply.peers)

    def log(self) -> str:
        """What it has logged."""
        return self.log_file.read_text()

    # the end

    def ends_well(self) -> None:
        """EOF of the control socket: exit 0, no BROKEN in the log."""
        self.master.close()
        assert self.process.wait(PATIENCE) == 0, self.log()
        assert "BROKEN" not in self.log(), self.log()
        assert "Traceback" not in self.log(), self.log()

    def clean_up(self) -> None:
        """Leave nothing behind, whatever has happened."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for message in self.master.close():
            message.close_fds()
        while not self.said.empty():
            self.said.get_nowait().close_fds()
        for service in self._services:
            service.leaves()
        for sock in self._held:
            sock.close()
        self.context.term()


class Returned:
    """A connection that the master has got back, as its next owner goes on with it."""

    def __init__(self, sock: socket.socket, state: PeerState) -> None:
        self.state = state
        self._sock = sock
        self._frames = Frames(state.crypto, state.unread)

    async def next(self) -> bytes:
        """The peer's next message: none is lost, none comes twice."""
        message = next(self._frames.feed(b""), None)
        while message is None:
            async with asyncio.timeout(PATIENCE):
                data = await asyncio.get_running_loop().sock_recv(self._sock, 65_536)
            message = next(self._frames.feed(data), None)
        return message

    async def say(self, *messages: bytes) -> None:
        """What was unsent first, then these."""
        batch = bytearray(self.state.unsent)
        for message in messages:
            self._frames.encrypt_into(batch, message)
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self._sock, batch)
