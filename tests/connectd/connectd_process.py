"""The real connectd as a process, among a master, an hsmd and a gossipd that are the test itself."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeVar

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness import processes
from wire import secp256k1
from wire.control.control_channel import ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    Activate,
    ActivateReply,
    ConnectdInit,
    ConnectdInitReply,
    Ecdh,
    EcdhReply,
    GossipGetAddrs,
    GossipGetAddrsReply,
    GossipNewPeer,
    GossipNewPeerReply,
    HandlePeer,
    ListeningSocket,
    NewGossipdLink,
    PeerConnected,
    PeerDisconnected,
    PeerHandedOver,
    PeerInfo,
    ReachPeer,
    ReachPeerReply,
    ReachPeerReplyfail,
    Ways,
)
from wire.control.timing import Timing
from wire.features import default_init_features
from wire.peer_wire import Init
from wire.types import NETWORKS

M = TypeVar("M", bound=ControlMessage)

PATIENCE = 60.0
"""Seconds that a test waits for what must come."""
FIRST_ID = 1_000
NOBODY = secp256k1.public_key(bytes([99]) * 32)


def peer_init() -> bytes:
    """A peer's INIT as it should be."""
    return Init(b"", default_init_features().to_bytes(), [NETWORKS["regtest"]]).encode()


class ConnectdProcess:
    """Starts connectd, speaks to it as all of its three neighbours, and ends it."""

    def __init__(self, log: Path) -> None:
        self.privkey = bytes([1]) * 32
        self.node_id = secp256k1.public_key(self.privkey)
        self.bindings: list[str] = []
        self.announceable: list[str] = []
        self.listeners: list[ListeningSocket] = []
        """Copies of the sockets that it has bound, as the master keeps them."""
        self.announced: dict[bytes, list[str]] = {}
        """What our gossipd knows of a node's addresses."""
        self.gossip_fds: dict[int, socket.socket] = {}
        """gossipd's ends, by conn_id."""
        self.asked_for_addresses: list[bytes] = []
        self.gossip_gate: asyncio.Event = asyncio.Event()
        """Cleared, gossipd takes its time with gossip fds."""
        self.gossip_gate.set()
        self.held: asyncio.Queue[Ecdh] | None = None
        """A queue, and hsmd puts what it is asked into it instead of answering."""
        self.log_file = log
        self.said: asyncio.Queue[ControlMessage] = asyncio.Queue()
        """To the master, and handle_peer to gossipd, in order."""
        self._gates: set[asyncio.Task[None]] = set()
        ours, theirs = zip(*(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)), strict=True)
        fds = [sock.fileno() for sock in theirs]
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "connectd", *map(str, fds), "debug"], pass_fds=fds, stderr=errors
            )
        for sock in (*ours, *theirs):
            if sock in theirs:
                sock.close()
            else:
                sock.setblocking(False)
        master, hsm, link = ours
        self.master = ControlChannel(master, "connectd", self.said.put_nowait, lambda _: None)
        self.hsm = ControlChannel(hsm, "connectd", self._as_hsmd, lambda _: None)
        self.link = self._open_link(link)

    def _open_link(self, sock: socket.socket) -> ControlChannel:
        """gossipd's end: what was asked there is answered there, and dropped if it has been closed."""
        link = ControlChannel(sock, "connectd", lambda message: self._as_gossipd(message, link), lambda _: None)
        return link

    def new_link(self, *live: int) -> None:
        """gossipd was restarted; these conn_ids are not lost."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link.close()
        self.link = self._open_link(ours)
        self.master.send(NewGossipdLink(Fd(theirs.detach()), list(live)))

    def _as_hsmd(self, message: ControlMessage) -> None:
        assert isinstance(message, Ecdh)
        if self.held is None:
            self.answer(message)
        else:
            self.held.put_nowait(message)

    def answer(self, message: Ecdh) -> None:
        """hsmd's reply."""
        self.hsm.reply(message, EcdhReply(shared_secret=secp256k1.ecdh(self.privkey, message.point)))

    def _as_gossipd(self, message: ControlMessage, link: ControlChannel) -> None:
        match message:
            case GossipNewPeer():
                task = asyncio.create_task(self._give_gossip_fd(message, link))
                self._gates.add(task)
                task.add_done_callback(self._gates.discard)
            case GossipGetAddrs():
                self.asked_for_addresses.append(message.node_id)
                link.reply(message, GossipGetAddrsReply(addresses=self.announced.get(message.node_id, [])))
            case _:
                self.said.put_nowait(message)

    async def _give_gossip_fd(self, message: GossipNewPeer, link: ControlChannel) -> None:
        await self.gossip_gate.wait()
        if link.closed:  # the gossipd that was asked is gone: the next one will be asked
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.gossip_fds[message.peer.conn_id] = ours
        link.reply(message, GossipNewPeerReply(gossip_fd=Fd(theirs.detach())))

    # The master's words

    def init(self, **changes: Any) -> ConnectdInit:
        """connectd_init as most tests want it."""
        fields: dict[str, Any] = {
            "chain_hash": NETWORKS["regtest"],
            "node_id": self.node_id,
            "features": default_init_features().to_bytes(),
            "addr": [],
            "bind": ["127.0.0.1:0"],
            "announce": [],
            "ways": Ways(proxy=None, always_use_proxy=False, use_dns=True),
            "tor_password": None,
            "tor_keys": str(self.log_file.parent),
            "websocket_fd": None,
            "conn_id": FIRST_ID,
            "timing": Timing(),
            "dev_allow_localhost": True,
        }
        return ConnectdInit(**(fields | changes))

    async def start(self, *, direct: bool = False, **changes: Any) -> None:
        """Up to accepting."""
        async with asyncio.timeout(PATIENCE):
            reply = await self.master.request(self.init(**changes), ConnectdInitReply)
            self.bindings, self.announceable = reply.bindings, reply.announceable
            self.listeners += reply.listeners
            await self.master.request(Activate(direct=direct), ActivateReply)

    def target(self, binding: int = 0) -> str:
        """Where to dial us."""
        return f"{self.node_id.hex()}@{self.bindings[binding]}"

    async def hear(self, kind: type[M]) -> M:
        """The next thing that connectd says; it must be of this kind."""
        async with asyncio.timeout(PATIENCE):
            message = await self.said.get()
        assert isinstance(message, kind), message
        return message

    async def reach(self, node_id: bytes, *hints: str) -> PeerInfo:
        """reach_peer. Raises RequestFailed."""
        async with asyncio.timeout(PATIENCE):
            message = ReachPeer(node_id=node_id, addrhints=list(hints))
            return (await self.master.request(message, ReachPeerReply)).peer

    def reaching(self, node_id: bytes, *hints: str) -> asyncio.Task[PeerInfo]:
        """reach_peer, not waited for."""
        return asyncio.create_task(self.reach(node_id, *hints))

    async def refused(self, reaching: asyncio.Task[PeerInfo]) -> tuple[int, list[tuple[str, str]]]:
        """That it fails, with which code and reasons."""
        try:
            raise AssertionError(f"reached {await reaching}")
        except RequestFailed as failed:
            return self.reasons(failed)

    def reasons(self, failed: RequestFailed) -> tuple[int, list[tuple[str, str]]]:
        """Code and (address, reason) of a failed reach_peer."""
        assert isinstance(failed.refusal, ReachPeerReplyfail)
        return failed.refusal.code, failed.refusal.errors

    async def owner(self) -> "Owner":
        """The next connection that connectd gives away, to the master or to gossipd: then the master is told before."""
        async with asyncio.timeout(PATIENCE):
            message = await self.said.get()
            if isinstance(message, PeerHandedOver):
                told, message = message, await self.said.get()
                assert isinstance(message, HandlePeer)
                assert message.peer == told.peer
        assert isinstance(message, PeerConnected | HandlePeer), message
        peer = await ScriptedPeer.adopt(
            message.peer_fd, message.state, their_id=message.peer.node_id, privkey=self.privkey
        )
        return Owner(self, message, peer)

    # What can be seen from outside

    def fds(self) -> int:
        """How many fds the process has open. Skips the test if we may not know."""
        processes.look_into(self.process.pid)
        return processes.fd_count(self.process.pid)

    async def barrier(self) -> None:
        """What was said before has been done: a question that is answered at once, by no address."""
        with contextlib.suppress(RequestFailed):
            await self.reach(NOBODY)

    def log(self) -> str:
        """What it has logged."""
        return self.log_file.read_text()

    async def lives(self) -> None:
        """Whatever was done to it, a peer can connect."""
        async with await ScriptedPeer.connect(self.target()) as peer:
            owner = await self.owner()
            assert owner.info.node_id == peer.node_id
            await owner.ends()

    # The end

    def ended(self, timeout: float = PATIENCE) -> int:
        """Close the master's socket; the exit status."""
        self.master.close()
        return self.process.wait(timeout)

    def clean_up(self) -> None:
        """Leave nothing behind, whatever has happened."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for channel in (self.master, self.hsm, self.link):
            channel.close()
        while not self.said.empty():
            self.said.get_nowait().close_fds()
        for sock in self.gossip_fds.values():
            sock.close()
        for listener in self.listeners:
            os.close(listener.fd)


class Owner:
    """The test as owner of a connection: goes on with the stream where connectd has left it."""

    def __init__(self, connectd: ConnectdProcess, message: PeerConnected | HandlePeer, peer: ScriptedPeer) -> None:
        self.message = message
        self.info = message.peer
        self.peer = peer
        self._connectd = connectd
        self._gossip_fd = message.gossip_fd

    async def ends(self) -> None:
        """Hang up and have it reported."""
        await self.close()
        self.report()

    def report(self) -> None:
        """peer_disconnected, from the master to connectd."""
        self._connectd.master.send(
            PeerDisconnected(node_id=self.info.node_id, conn_id=self.info.conn_id, reason="test")
        )

    async def close(self) -> None:
        """Hang up."""
        await self.peer.close()
        if self._gossip_fd is not None:
            os.close(self._gossip_fd)
            self._gossip_fd = None
