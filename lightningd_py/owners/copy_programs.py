"""Programs that get copies: `--copy NAME=513` starts one of NAME's, which hears what peers say and owns no connection.

Its control socket is fd 3, as for a program that is handed a connection, and the first message there is `listen`; then
comes a `peer_message` for each copy, and the program says `copy_taken` for each that it has read. What it has not taken
waits here: if it dies, or hangs, all of that comes to the next one, which is started at most once in RESTART seconds.
The queue is bounded, with a share for each peer; what finds no room is counted, logged, and told to the program by
`copies_lost`. Nothing waits for it.
"""

import asyncio
from collections import deque
from dataclasses import field, replace

from lightningd_py.config.values import Service
from lightningd_py.owners.service_process import Program, ProgramLeft, adopt_program, start_program
from lightningd_py.registrations.registered import Registered
from lightningd_py.registrations.registrations import Registrations
from wire.control import control_wire
from wire.control.control_message import ControlMessage
from wire.control.heartbeat import Heartbeat
from wire.control.shares import Shares
from wire.control.status import Status
from wire.control.timing import Timing
from wire.start.late_dataclass import dataclass

MAX_QUEUED = 1_000
"""Copies that wait for a program to read them."""
MAX_BYTES = 16 << 20
"""And bytes of them. The peer with the most of either loses its oldest for one more."""
WINDOW = 64
"""Copies that are in the program's socket."""
RESTART = 5.0
NO_CONNECTION = 0
"""A conn_id that no connection has."""

Copy = control_wire.PeerMessage | control_wire.OnionForUs
"""What a peer has said, or an onion message for this node, which is no peer's: all of these have one share."""

status = Status("lightningd")


def _source_and_size(copy: Copy) -> tuple[bytes, int]:
    if isinstance(copy, control_wire.PeerMessage):
        return copy.node_id, len(copy.message)
    return b"", len(copy.reply_path) + sum(len(value) for _, value in copy.fields)


@dataclass(frozen=True, slots=True)
class ListenerLeft:
    """One service's program and what waits for it, for the next program of this process."""

    service: str
    program: ProgramLeft | None = None
    ending: list[ProgramLeft] = field(default_factory=list)
    in_socket: list[Copy] = field(default_factory=list)
    waiting: list[Copy] = field(default_factory=list)
    not_before: float = 0.0
    lost: int = 0


class _Listener:
    """One service's program, when it runs."""

    def __init__(self, service: Service, timing: Timing) -> None:
        self._service = service
        self._timing = timing
        self._program: Program | None = None
        self._running: set[Program] = set()
        """Those, too, that have closed their socket and not exited yet."""
        self._queue: Shares[int, Copy] = Shares(MAX_QUEUED, MAX_BYTES)
        self._again: deque[Copy] = deque()
        """What a program that has died had not taken: older than all of the queue."""
        self._in_socket: deque[Copy] = deque()
        self._last = 0
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.lost = 0

    def start(self) -> None:
        """Start it."""
        self._timer = None
        self._not_before = asyncio.get_running_loop().time() + RESTART
        try:
            program = start_program(
                self._service,
                NO_CONNECTION,
                lambda message: self._said(program, message),
                lambda reason: self._closed(program),
                lambda exit_status: self._exited(program, exit_status),
            )
        except OSError as error:
            status.unusual(f"service {self._service.name} cannot be started: {error}")
            return
        self._has(program)
        program.channel.send(control_wire.Listen(self._service.name))
        if self.lost:
            program.channel.send(control_wire.CopiesLost(self.lost))
        self._pump()

    def _has(self, program: Program) -> None:
        timing = self._timing
        program.heartbeat = Heartbeat(
            program.channel, timing.heartbeat, timing.control_timeout, lambda: self._hangs(program)
        )
        self._program = program
        self._running.add(program)

    def leave(self) -> ListenerLeft:
        """Let go of it, for the next program of this process."""
        waiting = [*self._again, *self._queue.values.values()]
        program, self._program = self._program, None
        ending = [each.leave() for each in self._running if each is not program]
        ours = None if program is None else program.leave()
        in_socket = list(self._in_socket)
        return ListenerLeft(self._service.name, ours, ending, in_socket, waiting, self._not_before, self.lost)

    def resume(self, left: ListenerLeft) -> None:
        """Go on with what the program before us has left."""
        self._not_before, self.lost = left.not_before, left.lost
        self._in_socket.extend(left.in_socket)
        for message in left.waiting:
            self._last += 1
            self._queue.put(self._last, message, *_source_and_size(message))
        for one in left.ending:
            program = self._adopt(one)
            self._running.add(program)
            asyncio.get_running_loop().call_later(self._timing.release_timeout, program.process.kill)
        if left.program is not None:
            self._has(self._adopt(left.program))
            self._pump()
        elif self._queue:
            self._start_when_due()

    def _adopt(self, left: ProgramLeft) -> Program:
        program = adopt_program(
            left,
            lambda message: self._said(program, message),
            lambda reason: self._closed(program),
            lambda exit_status: self._exited(program, exit_status),
        )
        return program

    def _start_when_due(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._not_before), self.start)

    def copy(self, message: Copy) -> None:
        """Pass a copy on, or keep it, or count that one is lost."""
        self._last += 1
        gone = self._queue.put(self._last, message, *_source_and_size(message))
        for _ in gone:
            self._lose_one()
        if self._program is None:
            self._start_when_due()
            return
        if gone:
            self._program.channel.send(control_wire.CopiesLost(self.lost))
        self._pump()

    def _lose_one(self) -> None:
        self.lost += 1
        if self.lost.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            status.unusual(f"service {self._service.name} takes no copies: {self.lost} are lost so far")

    def _pump(self) -> None:
        """Say what there is room for."""
        while self._program is not None and len(self._in_socket) < WINDOW:
            message = self._next()
            if message is None:
                return
            self._in_socket.append(message)
            self._program.channel.send(message)

    def _next(self) -> Copy | None:
        if self._again:
            return self._again.popleft()
        return self._queue.pop(next(iter(self._queue))) if self._queue else None

    def _said(self, program: Program, message: ControlMessage) -> None:
        """A listener says what it has taken, and nothing else."""
        if isinstance(message, control_wire.CopyTaken) and program is self._program and self._in_socket:
            self._in_socket.popleft()
            self._pump()
            return
        message.close_fds()
        name = self._service.name
        text = f"service {name} owns no connection, and says {message.name()}: ignored"
        status.by_stranger("program", text, name, name)

    def _hangs(self, program: Program) -> None:
        limit = self._timing.control_timeout
        status.unusual(f"service {self._service.name}, which gets copies, has not answered for {limit:g} s: killed")
        program.process.kill()

    def _closed(self, program: Program) -> None:
        """What it has not taken is for the next one."""
        if program is not self._program:
            return
        self._program = None
        program.part()
        self._again.extendleft(reversed(self._in_socket))
        self._in_socket.clear()
        asyncio.get_running_loop().call_later(self._timing.release_timeout, program.process.kill)
        if self._again or self._queue:
            self._start_when_due()

    def _exited(self, program: Program, exit_status: int) -> None:
        for unsent in program.channel.hear_out():  # it may have taken some
            unsent.close_fds()
        self._closed(program)
        self._running.discard(program)
        if exit_status:
            status.unusual(f"service {self._service.name}, which gets copies, exited with {exit_status}")

    async def close(self) -> None:
        """End it."""
        self._program = None
        if self._timer is not None:
            self._timer.cancel()
        for program in self._running:
            program.part()
        await asyncio.gather(*(program.process.wait(self._timing.release_timeout) for program in self._running))


class Listeners:
    """All of them, and the way to bus services, who need no program to hear."""

    def __init__(self, registrations: Registrations, timing: Timing) -> None:
        self._registrations = registrations
        self._timing = timing
        self._by_service = {
            service.name: _Listener(service.program, timing)
            for service in registrations
            if service.program is not None and service.copy
        }

    def start(self) -> None:
        """Start every program that wants copies."""
        for listener in self._by_service.values():
            listener.start()

    def leave(self) -> list[ListenerLeft]:
        """Let go of all, for the next program of this process."""
        return [listener.leave() for listener in self._by_service.values()]

    def resume(self, left: list[ListenerLeft]) -> None:
        """Go on with those of the program before us. A service that is new is started; one that is no more gets nothing
        from here on.
        """
        by_service = {one.service: one for one in left}
        for name, listener in self._by_service.items():
            if name in by_service:
                listener.resume(by_service.pop(name))
            else:
                listener.start()
        for name, one in by_service.items():
            listener = self._by_service[name] = _Listener(Service(name, ()), self._timing)
            listener.resume(replace(one, in_socket=[], waiting=[]))

    def copy(self, service: Registered, message: control_wire.PeerMessage) -> None:
        """A copy for this service. A program that has asked for none gets none."""
        if service.ticket:
            self._registrations.copy_to(service.name, message)
        elif service.name in self._by_service:
            self._by_service[service.name].copy(message)

    def onion(self, service: str, message: control_wire.OnionForUs) -> None:
        """An onion message for this node, for the program of a service that copies 513."""
        if service in self._by_service:
            self._by_service[service].copy(message)

    async def close(self) -> None:
        """End them side by side."""
        await asyncio.gather(*(listener.close() for listener in self._by_service.values()))
