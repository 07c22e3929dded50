"""Everybody around the master's Ownership, as objects that do nothing by themselves: channels are lists."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

from lightningd_py.config.values import Service, Wanted
from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer, State
from lightningd_py.owners.service_process import Program
from lightningd_py.registrations.registered import Registered
from lightningd_py.registrations.registrations import Registrations
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_message import ControlMessage, Fd, Refusal, Reply, Request
from wire.control.control_wire import (
    PeerConnected,
    PeerDisconnected,
    PeerGivenBack,
    PeerInfo,
    PeerNongossip,
    PeerTaken,
    ReleasePeerReply,
    ReleasePeerReplyfail,
)
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.crypto_state import CryptoState, PeerState

CHANNEL = bytes(range(32))
KEYS = CryptoState(4, 6, *[bytes(32)] * 4)
STATE = PeerState(KEYS, b"unread", b"unsent")
OPEN_CHANNEL = b"\x00\x20" + bytes(32) + CHANNEL
NODE, PRIVILEGED = bytes([2]) * 33, bytes([3]) * 33


def registrations() -> Registrations:
    return Registrations([Service("s", ("s-program",))], [Wanted("s", (32,), (PRIVILEGED,))])


class Channel:
    """What was said to somebody. Fds go with it, as they do with a real one."""

    behind = False

    def __init__(self) -> None:
        self.said: list[ControlMessage] = []
        self.on_said: Callable[[], None] = lambda: None
        self.closed = False
        self.knows: frozenset[int] | None = None

    def send(self, message: ControlMessage) -> None:
        assert not self.closed, f"{message.name()} to a closed channel"
        message.close_fds()
        self.said.append(message)
        self.on_said()

    def close(self) -> list[ControlMessage]:
        self.closed = True
        return []

    hear_out = close

    def take(self) -> list[ControlMessage]:
        """What has been said since the last time."""
        said, self.said = self.said, []
        return said


class Daemon(Channel):
    """A daemon's channel whose answers the test decides."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self.answer: Callable[[Request], Reply] | None = None

    @property
    def channel(self) -> "Daemon":
        return self

    async def request(self, message: Request, reply_type: type[Reply]) -> Reply:
        return await self.ask(message, reply_type)

    def ask(self, message: Request, reply_type: type[Reply]) -> Coroutine[Any, Any, Reply]:
        self.asked.append(message)
        return self._answered(message, reply_type)

    async def _answered(self, message: Request, reply_type: type[Reply]) -> Reply:
        if self.answer is None:
            raise ChannelClosed("it is gone")
        reply = self.answer(message)
        if isinstance(reply, Refusal):
            raise RequestFailed(reply)
        assert isinstance(reply, reply_type)
        return reply


class FakeProcess:
    """Runs until it is told to exit or is killed."""

    pid = 4711

    def __init__(self, exited: Callable[[int], None]) -> None:
        self.running = True
        self.killed = asyncio.Event()
        self._exited = exited

    def exit(self, status: int) -> None:
        if self.running:
            self.running = False
            self._exited(status)

    def kill(self) -> None:
        self.killed.set()

    async def wait(self, patience: float) -> bool:
        self.exit(0)
        return True


class OwnershipAmongFakes:
    """An Ownership with everybody around it. Its programs are not started."""

    def __init__(self, limits: Limits = Limits(slow_reader=7.0)) -> None:  # noqa: B008 - a value that does not change
        self.connectd, self.gossipd = Channel(), Channel()
        self.errors: list[bytes] = []
        self.programs: list[tuple[Program, Callable[[ControlMessage], None], Callable[[str], None]]] = []
        self.unstartable = False
        connectd: Any = self.connectd
        gossipd: Any = self.gossipd
        self.ownership = Ownership(
            registrations(),
            connectd,
            gossipd,
            Timing(release_timeout=0.01),
            lambda peer, message: self.errors.append(message),
            limits=limits,
        )

    def start(
        self,
        service: Service,
        conn_id: int,
        on_message: Callable[[ControlMessage], None],
        on_closed: Callable[[str], None],
        on_exit: Callable[[int], None],
    ) -> Program:
        if self.unstartable:
            raise FileNotFoundError("no such program")
        channel: Any = Channel()
        process: Any = FakeProcess(on_exit)
        program = Program(service, conn_id, channel, process)
        self.programs.append((program, on_message, on_closed))
        return program

    def end_programs(self) -> None:
        """They are gone, and what the master had of them: for the end of a test."""
        for program, _, _ in self.programs:
            fake: Any = program.process
            fake.running = False
            if program.peer_end is not None:
                program.peer_end.close()

    @property
    def only_service(self) -> Registered:
        """The one program."""
        found = self.ownership.registrations.named("s")
        assert found is not None
        return found

    # shorthand for what comes

    def connected(self, conn_id: int = 1, node_id: bytes = NODE) -> Peer:
        """By the master: registered, or before the direct path is open."""
        self.ownership.peer_connected(PeerConnected(info(conn_id, node_id), STATE, fd(), fd()))
        return self.peer(conn_id)

    def taken(self, conn_id: int = 1, node_id: bytes = NODE) -> Peer:
        """By the direct path."""
        if self.ownership.peers.get(conn_id) is None:
            self.ownership.peer_handed_over(info(conn_id, node_id))
        self.ownership.heard(GOSSIPD, PeerTaken(info(conn_id, node_id)))
        return self.peer(conn_id)

    def nongossip(self, conn_id: int = 1, message: bytes = OPEN_CHANNEL, channel_id: bytes | None = CHANNEL) -> None:
        number, node_id = int.from_bytes(message[:2], "big"), self.peer(conn_id).info.node_id
        self.says(PeerNongossip(node_id, conn_id, message, number, channel_id, STATE, fd(), fd()))

    def released(self, conn_id: int = 1) -> None:
        self.ownership.heard(GOSSIPD, ReleasePeerReply(self.node(conn_id), conn_id, STATE, fd(), fd()))

    def not_released(self, conn_id: int = 1) -> None:
        self.ownership.heard(GOSSIPD, ReleasePeerReplyfail(self.node(conn_id), conn_id))

    def disconnected(self, conn_id: int = 1, reason: str = "gone") -> None:
        self.says(PeerDisconnected(self.node(conn_id), conn_id, reason))

    def says(self, message: PeerNongossip | PeerDisconnected | PeerGivenBack) -> None:
        """The owner of a connection says so."""
        self.ownership.heard(self.ownership._owner_of(self.peer(message.conn_id)), message)

    def node(self, conn_id: int) -> bytes:
        """Whose connection that is; NODE's if there is none."""
        peer = self.ownership.peers.get(conn_id)
        return NODE if peer is None else peer.info.node_id

    def peer(self, conn_id: int = 1) -> Peer:
        peer = self.ownership.peers.get(conn_id)
        assert peer is not None
        return peer

    def with_program(self) -> tuple[Peer, Program, Callable[[ControlMessage], None]]:
        """A connection that a program has."""
        peer = self.taken()
        self.nongossip()
        assert (peer.state, peer.owner) == (State.PROGRAM, "s")
        program, say, _ = self.programs[-1]
        said(program.channel)
        return peer, program, say

    def ended_once(self, reason: str, conn_id: int = 1) -> None:
        """connectd has been told, by exactly one message, and nothing is left of it."""
        told = self.connectd.take()
        assert [(type(message), vars(message)["conn_id"], vars(message)["reason"]) for message in told] == [
            (PeerDisconnected, conn_id, reason)
        ]
        assert self.ownership.peers.get(conn_id) is None


def said(channel: Any) -> list[ControlMessage]:
    """What a program was told, that it has not been asked for yet."""
    told: list[ControlMessage] = channel.take()
    return told


def info(conn_id: int, node_id: bytes = NODE) -> PeerInfo:
    return PeerInfo(node_id, conn_id, "127.0.0.1:9735", True, None, b"", [])


def fd() -> Fd:
    return Fd(os.open(os.devnull, os.O_RDONLY))


def given_back(conn_id: int = 1, **fields: Any) -> PeerGivenBack:
    values: dict[str, Any] = {"node_id": NODE, "conn_id": conn_id, "state": STATE, "send": [], "gossip_state": None}
    return PeerGivenBack(**(values | {"peer_fd": fd(), "gossip_fd": fd()} | fields))
