"""The real gossipd as a process, among a master and a connectd that are the test itself, and peers without Noise."""

import asyncio
import contextlib
import itertools
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.gossipd.ends import mirrored, tcp_pair
from tests.gossipd.observed_process import ObservedProcess
from wire import secp256k1
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    GossipdInit,
    GossipdInitReply,
    GossipNewPeer,
    GossipNewPeerReply,
    GossipState,
    GossipStatus,
    GossipStatusReply,
    HandlePeer,
    NewBlockheight,
    PeerInfo,
    PeerTaken,
    SetLimits,
    SignNodeAnnouncement,
    SignNodeAnnouncementReply,
    UnwatchedChannels,
    UnwatchedChannelsReply,
)
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.crypto_state import READ_SIZE, CryptoState, PeerState
from wire.features import default_init_features
from wire.frames import Frames
from wire.message import BoltMessage
from wire.peer_wire import GossipTimestampFilter, Ping, Pong, decode
from wire.types import NETWORKS

C = TypeVar("C", bound=ControlMessage)
M = TypeVar("M", bound=BoltMessage)

PATIENCE = 60
"""Seconds that a test waits for what must come."""
CHAIN = NETWORKS["regtest"]
HEIGHT = 100_000
"""Of the chain where there is one."""
NODE_KEY = bytes([200]) * 32
"""Ours; hsmd's, of course."""
PEER_ID = secp256k1.public_key(bytes([7]) * 32)
EVERYTHING = GossipTimestampFilter(CHAIN, 0, 0xFFFFFFFF).encode()


def peer_info(
    conn_id: int, *, features: bytes | None = None, node_id: bytes = PEER_ID, address: str = "127.0.0.1:9735"
) -> PeerInfo:
    """What connectd would have found out."""
    if features is None:
        features = default_init_features().to_bytes()
    return PeerInfo(node_id, conn_id, address, True, None, features, [CHAIN])


def is_gossip(raw: bytes) -> bool:
    """Whether this is an announcement or an update."""
    return 256 <= int.from_bytes(raw[:2], "big") <= 258


class PeerGone(Exception):
    """The other end has closed."""


class FakePeer:
    """The far end of a connection: reads only when it is asked to hear."""

    def __init__(self, sock: socket.socket, crypto: CryptoState, conn_id: int) -> None:
        self.sock = sock
        self.conn_id = conn_id
        self.heard: list[bytes] = []
        """What came and was not returned by `hear`, in order."""
        self._frames = Frames(crypto)
        self._ready: list[bytes] = []
        self._saying = asyncio.Lock()
        sock.setblocking(False)

    async def say(self, *messages: bytes | BoltMessage) -> None:
        """Send messages, all in one piece if the socket takes it."""
        async with self._saying:  # a task may answer queries while another one tells a map
            await self.say_raw(self.encrypt(*messages))

    def encrypt(self, *messages: bytes | BoltMessage) -> bytes:
        """The frames of these messages: they must be sent, all of them, before the next ones are made."""
        batch = bytearray()
        for message in messages:
            self._frames.encrypt_into(batch, message.encode() if isinstance(message, BoltMessage) else message)
        return bytes(batch)

    async def say_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def next(self) -> bytes:
        """The next message, whatever it is. Raises PeerGone."""
        while not self._ready:
            async with asyncio.timeout(PATIENCE):
                data = await asyncio.get_running_loop().sock_recv(self.sock, READ_SIZE)
            if not data:
                raise PeerGone
            self._ready.extend(self._frames.feed(data))
        return self._ready.pop(0)

    async def hear(self, wanted: type[M]) -> M:
        """The next message of this type; those before it are added to `heard`."""
        while True:
            raw = await self.next()
            if int.from_bytes(raw[:2], "big") == wanted.number:
                message = decode(raw)
                assert isinstance(message, wanted)
                return message
            self.heard.append(raw)

    async def sync(self, mark: int = 1) -> list[bytes]:
        """Ping, and wait for the pong: all that was said has been heard. What has come since the last time."""
        await self.say(Ping(mark, b""))
        assert len((await self.hear(Pong)).ignored) == mark
        return self.took()

    async def gossip(self, count: int) -> list[bytes]:
        """Wait until so many messages of types 256 to 258 have come since the last time; returns those."""
        missing = count - sum(map(is_gossip, self.heard))
        while missing > 0:
            self.heard.append(await self.next())
            missing -= is_gossip(self.heard[-1])
        heard = self.took()
        self.heard = [raw for raw in heard if not is_gossip(raw)]
        return [raw for raw in heard if is_gossip(raw)]

    def took(self) -> list[bytes]:
        """What was heard and not returned; forgets it."""
        heard, self.heard = self.heard, []
        return heard

    async def is_hung_up_on(self) -> list[bytes]:
        """Wait until the other end closes, and close: what it said before."""
        with contextlib.suppress(PeerGone, ConnectionResetError):
            while True:
                self.heard.append(await self.next())
        self.close()
        return self.took()

    def close(self) -> None:
        """Hang up."""
        self.sock.close()


class GossipdProcess(ObservedProcess):
    """Starts gossipd, speaks to it as master and as connectd, and ends it."""

    def __init__(self, directory: Path) -> None:
        self.store = directory / "gossip_store"
        self.log_file = directory / f"log-{time.monotonic_ns()}"
        self.said: asyncio.Queue[ControlMessage] = asyncio.Queue()
        """To the master, in order, without replies to requests."""
        self.held: list[socket.socket] = []
        """Sockets to be closed at the end of the test, whatever happens."""
        self.node_key = NODE_KEY
        self.base_fds = 0
        self.conn_ids = itertools.count(1)
        ours, theirs = zip(*(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)), strict=True)
        self._begin(theirs)
        for sock in ours:
            sock.setblocking(False)
        self.master = ControlChannel(ours[0], "gossipd", self.said.put_nowait, lambda _: None)
        self.hsm = ControlChannel(ours[1], "gossipd", self._sign, lambda _: None)
        self.link = ControlChannel(ours[2], "gossipd", self.said.put_nowait, lambda _: None)

    def _begin(self, sockets: tuple[socket.socket, ...]) -> None:
        """Start gossipd with its ends of the control sockets."""
        fds = [sock.fileno() for sock in sockets]
        with self.log_file.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gossipd", *map(str, fds), "debug"], pass_fds=fds, stderr=errors
            )
        for sock in sockets:
            sock.close()

    async def start(self, *, unwatched: list[int] | None = None, **changes: Any) -> GossipdInitReply:
        """gossipd_init as most tests want it. With `check_txout` the chain has HEIGHT blocks, and these channels of the
        store were never looked up. Raises RequestFailed."""
        fields: dict[str, Any] = {
            "chain_hash": CHAIN,
            "node_id": secp256k1.public_key(self.node_key),
            "store": str(self.store),
            "check_txout": False,
            "timing": Timing(),
            "alias": "the alias",
            "rgb": b"\1\2\3",
            "features": b"\x02",
            "addresses": ["192.0.2.1:9735"],
        }
        async with asyncio.timeout(PATIENCE):
            reply = await self.master.request(GossipdInit(**(fields | changes)), GossipdInitReply)
        if changes.get("check_txout"):
            self.master.send(NewBlockheight(HEIGHT))
            self.master.reply(await self.hear(UnwatchedChannels), UnwatchedChannelsReply(unwatched or []))
        self.base_fds = self.fds()
        return reply

    async def start_with(self, limits: Limits, *, later: bool, **changes: Any) -> None:
        """The same with these limits: `later` they are changed while it runs, as setconfig does it."""
        await self.start(limits=Limits() if later else limits, **changes)
        if later:
            self.master.send(SetLimits(limits))
            await self.status()

    def _sign(self, message: ControlMessage) -> None:
        """We are hsmd, too."""
        assert isinstance(message, SignNodeAnnouncement)
        digest = secp256k1.double_sha256(message.announcement[66:])
        self.hsm.reply(message, SignNodeAnnouncementReply(secp256k1.sign(self.node_key, digest)))

    # A connection

    def new_id(self) -> int:
        """A conn_id that was not there before."""
        return next(self.conn_ids)

    def connection(
        self, conn_id: int = 0, *, rn: int = 0, sn: int = 0, tcp: bool = False
    ) -> tuple[FakePeer, Fd, PeerState]:
        """A new connection: its far end, and its near end as it is handed over."""
        ours, theirs = tcp_pair() if tcp else socket.socketpair()
        near, far = mirrored(rn, sn)
        self.held.append(theirs)
        return FakePeer(theirs, far, conn_id or self.new_id()), Fd(ours.detach()), PeerState(near, b"", b"")

    async def connect(
        self,
        *,
        send: tuple[bytes, ...] = (),
        features: bytes | None = None,
        tcp: bool = False,
        over_the_link: bool = False,
        address: str = "127.0.0.1:9735",
    ) -> FakePeer:
        """A peer that gossipd owns."""
        peer, fd, state = self.connection(tcp=tcp)
        info = peer_info(peer.conn_id, features=features, address=address)
        await self.hand_over(info, fd, state, send=send, over_the_link=over_the_link)
        return peer

    async def hand_over(
        self,
        info: PeerInfo,
        fd: Fd,
        state: PeerState,
        *,
        send: tuple[bytes, ...] = (),
        gossip_fd: Fd | None = None,
        gossip_state: GossipState | None = None,
        over_the_link: bool = False,
    ) -> None:
        """handle_peer, and its peer_taken."""
        channel = self.link if over_the_link else self.master
        channel.send(HandlePeer(info, state, list(send), gossip_state, fd, gossip_fd))
        assert (await self.hear(PeerTaken)).peer == info

    async def connect_elsewhere(self, conn_id: int = 0) -> socket.socket:
        """A connection that somebody else owns from the start: the owner's end of its gossip fd."""
        info = peer_info(conn_id or self.new_id())
        async with asyncio.timeout(PATIENCE):
            reply = await self.link.request(GossipNewPeer(info), GossipNewPeerReply)
        return self.hold(reply.gossip_fd)

    # The master's ears

    async def hear(self, kind: type[C]) -> C:
        """The next thing that gossipd says; it must be of this kind."""
        async with asyncio.timeout(PATIENCE):
            message = await self.said.get()
        assert isinstance(message, kind), message
        return message

    async def status(self) -> dict[str, int]:
        """gossip_status: also a barrier for what was said to gossipd before."""
        async with asyncio.timeout(PATIENCE):
            return dict((await self.master.request(GossipStatus(), GossipStatusReply)).counters)

    async def settled(self) -> dict[str, int]:
        """Ask until nothing is in the pipeline any more, and all is in the store."""
        async with asyncio.timeout(PATIENCE):
            while (status := await self.status())["unfinished"]:
                pass
        return status

    async def settled_at(self, counter: str, value: int) -> None:
        """Ask until nothing is in the pipeline and a counter is at this value."""
        async with asyncio.timeout(PATIENCE):
            while (await self.settled())[counter] != value:
                pass

    async def sync_all(self) -> None:
        """All that any peer has said so far has been read: a new one comes and is answered in a later turn."""
        peer = await self.connect()
        for _ in range(3):
            await peer.sync()

    async def logs(self, text: str) -> None:
        """Wait until it has logged this."""
        async with asyncio.timeout(PATIENCE):
            while text not in self.log():
                await self.status()

    # The end

    def hold(self, fd: int) -> socket.socket:
        """A socket of ours for this fd, closed at the end of the test."""
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        self.held.append(sock)
        return sock

    async def leaves_nothing(self) -> None:
        """Every peer hangs up, and gossipd has the fds that it had in the beginning."""
        for sock in self.held:
            sock.close()
        async with asyncio.timeout(PATIENCE):
            while self.fds() > self.base_fds:
                await self.status()
        assert self.fds() == self.base_fds

    def ends_well(self, workers: list[int] | None = None) -> None:
        """EOF of the master's socket: exit 0, no BROKEN in the log, no worker left."""
        workers = workers or self.workers()
        self.master.close()
        assert self.process.wait(PATIENCE) == 0, self.log()
        assert "BROKEN" not in self.log(), self.log()
        assert "Traceback" not in self.log(), self.log()
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]

    async def ends_without_its_peers(self) -> None:
        """End it while the far ends of its connections live on, in the hands of its successor."""
        assert self.fds() <= self.base_fds
        self.ends_well()

    def clean_up(self) -> None:
        """Leave nothing behind, whatever has happened."""
        self.process.kill()
        self.process.wait()
        self.let_go()

    def let_go(self) -> None:
        """Close our ends of everything."""
        for channel in (self.master, self.hsm, self.link):
            for message in channel.close():
                message.close_fds()
        while not self.said.empty():
            self.said.get_nowait().close_fds()
        for sock in self.held:
            sock.close()


class GossipdProcesses:
    """Makes gossipd processes; at the end each must have let go of everything and end well."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._gossipds: list[GossipdProcess] = []

    def new(self) -> GossipdProcess:
        """A gossipd that was told nothing. All of one test use the same store, one after the other."""
        gossipd = GossipdProcess(self._directory)
        if self._gossipds:  # its successor: what is open towards the old one is its business
            gossipd.held, gossipd.conn_ids = self._gossipds[-1].held, self._gossipds[-1].conn_ids
        self._gossipds.append(gossipd)
        return gossipd

    async def end(self, gossipd: GossipdProcess) -> None:
        """End one before the end of the test."""
        if gossipd.base_fds:
            await gossipd.leaves_nothing()
        gossipd.ends_well()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            for gossipd in self._gossipds:
                if kind is None and not gossipd.master.closed:
                    await self.end(gossipd)
        finally:
            for gossipd in self._gossipds:
                gossipd.clean_up()
