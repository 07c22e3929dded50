"""The programs of services: how one is started and ended, and what is printed by it.

A program is started for one connection, by exec, with its control socket as fd 3. The first message there is
`take_peer`: the peer fd, the gossip fd, the PeerState and the message for which it was called. It gives the connection
back with `peer_given_back`, or says `peer_disconnected`, and exits. docs/programs.md.

It runs in a process group of its own, what is left of which is killed when it has ended. A child that has left the
group cannot keep the connection either: the master has a copy of the peer fd, and shuts the socket down (PeerEnd).
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import field
from pathlib import Path

from lightningd_py.config.values import Service
from wire.control.control_channel import ChannelLeft, ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import PeerGivenBack
from wire.control.heartbeat import Heartbeat
from wire.control.process import Process
from wire.control.status import Status, sane
from wire.start.late_dataclass import dataclass

CONTROL_FD = 3
LONGEST_LINE = 1_000
"""Bytes of what a program prints in one line of the log: a longer line is cut into several."""
READ_SIZE = 1 << 16
MOST_PRINTED = 1 << 19
"""Bytes that the programs of a service may print at once: a peer can make them print, or start one after the other."""
PRINTED_PER_SECOND = 2_000
"""And bytes a second for ever."""
LEFT_OUT_FOR = 10.0
"""Seconds in which nothing more of a service's is logged when it has printed more than that."""


class Allowance:
    """How much a service's programs may still print, all together. What is more is left out, counted and told."""

    def __init__(self, service: str) -> None:
        self._status = Status(f"service {service}")
        self._left = float(MOST_PRINTED)
        self._at = 0.0
        self._lines = self._bytes = 0

    def takes(self, size: int) -> bool:
        """Whether a line of so many bytes is logged."""
        loop = asyncio.get_running_loop()
        now, before = loop.time(), self._at
        self._at = now
        self._left = min(self._left + PRINTED_PER_SECOND * (now - before), MOST_PRINTED)
        if not self._lines and size <= self._left:
            self._left -= size
            return True
        if not self._lines:
            loop.call_later(LEFT_OUT_FOR, self._tell)
        self._lines += 1
        self._bytes += size
        return False

    def _tell(self) -> None:
        lines, size = self._lines, self._bytes
        self._lines = self._bytes = 0
        text = f"its programs print more than {PRINTED_PER_SECOND} bytes a second"
        self._status.unusual(f"{lines} lines ({size} bytes) were left out: {text}")


_allowances: dict[str, Allowance] = {}
"""By service, of which there are as many as the operator has named."""


class Output:
    """What a program prints, in the node's log: line by line, under the service's name and its pid, printable. Whatever
    it writes, its lines cannot be taken for those of another process.
    """

    def __init__(self, service: str, reading: int, pid: int = 0, rest: bytes = b"") -> None:
        """`reading`: the pipe's end, ours from now on. `rest`: of a line that has begun."""
        self._status = Status(f"service {service}")
        self._allowance = _allowances.setdefault(service, Allowance(service))
        self.pid = pid
        self._rest = rest
        self._reading = reading
        os.set_blocking(reading, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reading, self._readable)

    def _readable(self) -> None:
        """Take what is there: at most READ_SIZE bytes, so that a program that prints without end holds up nothing."""
        with contextlib.suppress(BlockingIOError):
            self._take(os.read(self._reading, READ_SIZE))

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._rest) >= LONGEST_LINE:
            self._say(self._rest)
            self._rest = b""
        if not data:
            self._loop.remove_reader(self._reading)

    def _say(self, line: bytes) -> None:
        for start in range(0, len(line), LONGEST_LINE):
            piece = line[start : start + LONGEST_LINE]
            if self._allowance.takes(len(piece)):
                self._status.info(f"[{self.pid}] {sane(piece)}")

    def leave(self) -> tuple[Fd, bytes]:
        """The pipe's end and the beginning of a line, for the next program of this process."""
        self._loop.remove_reader(self._reading)
        return Fd(self._reading), self._rest

    def close(self) -> None:
        """The program has ended: what it has printed is read to its end."""
        self._loop.remove_reader(self._reading)
        self._readable()  # a pipe holds no more than READ_SIZE
        self._say(self._rest)
        os.close(self._reading)


class PeerEnd:
    """The master's copy of a peer fd that a program has. It reads and writes nothing with it, and has no keys: it ends
    the connection for every process that has the socket when the program is gone, whatever that has left behind.
    """

    def __init__(self, peer_fd: int) -> None:
        """Raises OSError if there are too many file descriptors."""
        self._fd = os.dup(peer_fd)

    @classmethod
    def of(cls, fd: Fd) -> "PeerEnd":
        """The one that the program before us had, see `leave`."""
        peer_end = cls.__new__(cls)
        peer_end._fd = fd
        return peer_end

    def leave(self) -> Fd | None:
        """For the next program of this process; None if the connection is to live."""
        return Fd(self._fd) if self._fd >= 0 else None

    def close(self) -> None:
        """Let the connection live."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def shut_down(self) -> None:
        """End the connection, if it was not let live."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            sock = socket.socket(fileno=fd)
        except OSError:  # it is no socket
            os.close(fd)
            return
        with sock, contextlib.suppress(OSError):  # it has ended already
            sock.shutdown(socket.SHUT_RDWR)


def socket_behind(fd: int) -> tuple[int, int]:
    """What tells whether two fds are of one socket."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class ProgramLeft:
    """A program, for the next program of this process."""

    service: str
    command: list[str]
    conn_id: int
    pid: int
    channel: ChannelLeft | None
    """None for one that has no connection any more."""
    output_fd: Fd
    printed: bytes = b""
    peer_end_fd: Fd | None = None
    source: str | None = None
    node_id: bytes = b""
    address: str = ""
    sockets: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Program:
    """A running program: one connection's owner."""

    service: Service
    conn_id: int
    channel: ControlChannel
    process: Process
    peer_end: PeerEnd | None = None
    """None for one that owns no connection."""
    source: str | None = None
    """The network of the stranger whose connection it has; None if its node is wanted, or was dialled."""
    heartbeat: Heartbeat | None = None
    finished: bool = field(default=False)
    """A program has no connection any more."""
    node_id: bytes = b""
    """Whose connection it is."""
    address: str = ""
    """Where that peer is."""
    sockets: tuple[tuple[int, int], ...] = ()
    """Which sockets the peer fd and the gossip fd are that it was given."""
    output: Output | None = None

    def flaw_of_fds(self, returned: PeerGivenBack) -> str | None:
        """What is wrong with the fds that it gives back; None if they are those that it was given. gossipd may have
        ended its gossip fd.
        """
        if socket_behind(returned.peer_fd) != self.sockets[0]:
            return "its peer fd is not the one that it was given"
        if returned.gossip_fd is not None and socket_behind(returned.gossip_fd) not in self.sockets[1:]:
            return "its gossip fd is not the one that it was given"
        return None

    def leave(self) -> ProgramLeft:
        """Let go of it, for the next program of this process."""
        if self.heartbeat is not None:
            self.heartbeat.close()
        channel = None if self.channel.closed else self.channel.leave()
        assert self.output is not None
        output_fd, printed = self.output.leave()
        return ProgramLeft(
            self.service.name,
            list(self.service.command),
            self.conn_id,
            self.process.leave(),
            channel,
            output_fd,
            printed,
            None if self.peer_end is None else self.peer_end.leave(),
            self.source,
            self.node_id,
            self.address,
            list(self.sockets),
        )

    def part(self) -> None:
        """Nothing more is said to it, and nothing heard."""
        self.finished = True
        if self.heartbeat is not None:
            self.heartbeat.close()
        for unsent in self.channel.close():
            unsent.close_fds()


def environment() -> dict[str, str]:
    """A program's: `python3` is the node's own interpreter, which finds `wire`, and no module that lies beside the
    program is taken for one of ours. What it prints comes when it is printed. An operator who has set PYTHONSAFEPATH or
    PYTHONUNBUFFERED is obeyed.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", **os.environ, "PATH": path}


def start_program(
    service: Service,
    conn_id: int,
    on_message: Callable[[ControlMessage], None],
    on_closed: Callable[[str], None],
    on_exit: Callable[[int], None],
) -> Program:
    """Start a service's program. Raises OSError if that cannot be done; then nothing is left behind."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.ExitStack() as on_failure, theirs:
        on_failure.callback(ours.close)
        reading, writing = os.pipe()
        output = Output(service.name, reading)
        on_failure.callback(output.close)

        def exited(exit_status: int) -> None:
            output.close()
            on_exit(exit_status)

        try:
            fds = {2: writing, CONTROL_FD: theirs.fileno()}
            process = Process(service.command, fds, exited, service.name, environment=environment(), group=True)
            output.pid = process.pid
        finally:
            os.close(writing)
        on_failure.pop_all()
    channel = ControlChannel(ours, "program", on_message, on_closed, foreign=True)
    return Program(service, conn_id, channel, process, output=output)


def adopt_program(
    left: ProgramLeft,
    on_message: Callable[[ControlMessage], None],
    on_closed: Callable[[str], None],
    on_exit: Callable[[int], None],
) -> Program:
    """A program that the program before us in this process has started."""
    output = Output(left.service, left.output_fd, left.pid, left.printed)

    def exited(exit_status: int) -> None:
        output.close()
        on_exit(exit_status)

    if left.channel is None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.close()
        last_request_id = 0
    else:
        ours, last_request_id = socket.socket(fileno=left.channel.fd), left.channel.last_request_id
    channel = ControlChannel(ours, "program", on_message, on_closed, foreign=True, last_request_id=last_request_id)
    return Program(
        Service(left.service, tuple(left.command)),
        left.conn_id,
        channel,
        Process.adopt(left.pid, exited, left.service, group=True),
        None if left.peer_end_fd is None else PeerEnd.of(left.peer_end_fd),
        left.source,
        node_id=left.node_id,
        address=left.address,
        sockets=tuple(left.sockets),
        output=output,
    )
