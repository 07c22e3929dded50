"""The programs that own a connection: one for each, from `take_peer` to its exit.

What a program says is checked here: it may speak of its own connection only, and only while it has it. What it has not
given back when its control socket closes is lost, and it must not go on with that. One that does not answer heartbeats
is killed. How many there may be is bounded, with a share for strangers and for each network.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import field

from lightningd_py.config.values import Service
from lightningd_py.owners.claims import PROGRAM, AboutOne, flaw_of
from lightningd_py.owners.peers import MovingConnection
from lightningd_py.owners.service_process import (
    PeerEnd,
    Program,
    ProgramLeft,
    adopt_program,
    socket_behind,
    start_program,
)
from wire.control import control_wire
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import PeerInfo
from wire.control.heartbeat import Heartbeat
from wire.control.limits import Limits
from wire.control.status import Status
from wire.control.timing import Timing
from wire.start.late_dataclass import dataclass

status = Status("lightningd")


def _objection(program: Program, message: ControlMessage) -> str | None:
    """Why a program may not say this. None if it may."""
    conn_id = getattr(message, "conn_id", program.conn_id)
    if program.finished or conn_id != program.conn_id:
        return f"connection {conn_id} is not its own"
    if getattr(message, "node_id", program.node_id) != program.node_id:
        return f"connection {conn_id} is another node's"
    if isinstance(message, control_wire.PeerGivenBack) and (flaw := program.flaw_of_fds(message)):
        return flaw
    return flaw_of(message, PROGRAM)


def no_room(programs: Collection[Program], service: str, source: str | None, limits: Limits) -> str | None:
    """Why these programs are too many for one more of this service, which strangers of this network ask for (None: no
    stranger does). None if they are not.
    """
    of_service = [program for program in programs if program.service.name == service]
    for bound, among, whose in (
        (limits.programs_per_service, of_service, f"of service {service}"),
        (limits.programs, programs, "of all services"),
    ):
        strangers = [program.source for program in among if program.source is not None]
        if len(among) >= bound:
            return f"{bound} programs {whose} run, and no more may"
        if source is not None and len(strangers) >= max(1, bound * 3 // 4):
            return f"{len(strangers)} programs {whose} run for strangers, and no more may"
        if source is not None and (count := strangers.count(source)) >= max(1, bound // 2):
            return f"{count} programs {whose} run for {source}, and no more may"
    return None


@dataclass(frozen=True, slots=True)
class ProgramsLeft:
    """All programs with connections, for the next program of this process."""

    owning: list[ProgramLeft] = field(default_factory=list)
    leaving: list[ProgramLeft] = field(default_factory=list)


class Programs:
    """All of them, by the conn_id of what they own; those that own nothing any more until they have exited."""

    def __init__(
        self,
        timing: Timing,
        hsm_socket: Callable[[str], Fd | None],
        on_word: Callable[[str, AboutOne], None],
        on_lost: Callable[[int, str], None],
        limits: Limits,
    ) -> None:
        """`hsm_socket`: a socket to hsmd if that service may sign. `on_word` gets (PROGRAM, what a program
        may say), `on_lost` a connection that its program has not given back, and why.
        """
        self._timing, self.limits = timing, limits
        self._hsm_socket = hsm_socket
        self._on_word = on_word
        self._on_lost = on_lost
        self._owning: dict[int, Program] = {}
        self._leaving: set[Program] = set()

    def start(
        self,
        service: Service,
        info: PeerInfo,
        moving: MovingConnection,
        message: bytes | None,
        routes: list[tuple[int, str]],
        source: str | None,
    ) -> bool:
        """Start the service's program with the connection. `source`: the network of a stranger, None for a node that is
        wanted. False if it cannot be started, or too many run: then nothing has moved.
        """
        if reason := no_room([*self._owning.values(), *self._leaving], service.name, source, self.limits):
            status.by_stranger("programs", reason, info.node_id, info.address)
            return False
        assert moving.gossip_fd is not None
        try:
            program = self._start(service, info, moving.peer_fd)
        except OSError as error:
            text = f"service {service.name} cannot be started: {error}"
            status.by_stranger("cannot be started", text, info.node_id, info.address)
            return False
        program.source, program.node_id, program.address = source, info.node_id, info.address
        program.sockets = socket_behind(moving.peer_fd), socket_behind(moving.gossip_fd)
        self._owning[info.conn_id] = program
        program.channel.send(control_wire.SetMessageRoutes(routes))
        program.channel.send(
            control_wire.TakePeer(
                service.name,
                info,
                message,
                moving.state,
                moving.peer_fd,
                moving.gossip_fd,
                self._timing,
                self._hsm_socket(service.name),
                self.limits,
            )
        )
        return True

    def _start(self, service: Service, info: PeerInfo, peer_fd: int) -> Program:
        """Raises OSError."""
        peer_end = PeerEnd(peer_fd)
        try:
            program = start_program(
                service,
                info.conn_id,
                lambda said: self._said(program, said),
                lambda reason: self._closed(program),
                lambda exit_status: self._exited(program, exit_status),
            )
        except OSError:
            peer_end.close()
            raise
        program.peer_end = peer_end
        self._watch(program)
        return program

    def _watch(self, program: Program) -> None:
        timing = self._timing
        program.heartbeat = Heartbeat(
            program.channel, timing.heartbeat, timing.control_timeout, lambda: self._hangs(program)
        )

    def leave(self) -> ProgramsLeft:
        """Let go of all, for the next program of this process."""
        left = ProgramsLeft(
            [program.leave() for program in self._owning.values()], [program.leave() for program in self._leaving]
        )
        self._owning.clear()
        self._leaving.clear()
        return left

    def resume(self, left: ProgramsLeft, ending: Collection[int]) -> None:
        """Go on with those of the program before us. `ending`: the conn_ids of connections that are to end."""
        for one in left.owning:
            program = self._owning[one.conn_id] = self._adopt(one)
            self._watch(program)
            if one.conn_id in ending:
                self._lose_patience_later(program)
        for one in left.leaving:
            program = self._adopt(one)
            program.part()
            self._leaving.add(program)
            self._lose_patience_later(program)

    def _adopt(self, left: ProgramLeft) -> Program:
        program = adopt_program(
            left,
            lambda said: self._said(program, said),
            lambda reason: self._closed(program),
            lambda exit_status: self._exited(program, exit_status),
        )
        return program

    def channel_of(self, conn_id: int) -> ControlChannel | None:
        """Where the program that has this connection hears us; None if none has it."""
        program = self._owning.get(conn_id)
        return None if program is None else program.channel

    def channels(self) -> list[ControlChannel]:
        """Of all that own a connection."""
        return [program.channel for program in self._owning.values()]

    def disconnect(self, order: control_wire.Disconnect) -> bool:
        """Have a program end its connection, in a while by force. False if none has it."""
        program = self._owning.get(order.conn_id)
        if program is None:
            return False
        program.channel.send(order)
        self._lose_patience_later(program)
        return True

    def part_with(self, conn_id: int) -> None:
        """A program that has let go of this connection gets some time to exit by itself."""
        program = self._owning.pop(conn_id, None)
        if program is None:
            return
        program.part()
        if program.process.running:
            self._leaving.add(program)
            self._lose_patience_later(program)

    async def close(self) -> None:
        """End all programs side by side, and with them their connections."""
        programs = [*self._owning.values(), *self._leaving]
        for program in programs:
            program.part()
        self._owning.clear()
        await asyncio.gather(*(program.process.wait(self._timing.release_timeout) for program in programs))

    def _said(self, program: Program, message: ControlMessage) -> None:
        reason = _objection(program, message)
        if reason is not None:
            _log(program, "said", f"said {message.name()}: {reason}: killed")
            message.close_fds()
            program.process.kill()
            return
        match message:
            case control_wire.PeerGivenBack():
                if program.peer_end is not None:
                    program.peer_end.close()
                self._on_word(PROGRAM, message)
            case control_wire.PeerDisconnected() | control_wire.PeerMessage():
                self._on_word(PROGRAM, message)
            case _:
                name = program.service.name
                status.by_stranger("program", f"service {name} said {message.name()}: ignored", name, name)

    def _closed(self, program: Program) -> None:
        if self._owning.get(program.conn_id) is program:
            program.process.kill()
            self._on_lost(program.conn_id, f"service {program.service.name} has left it")
            self.part_with(program.conn_id)

    def _exited(self, program: Program, exit_status: int) -> None:
        if exit_status:
            _log(program, "exited", f"(process {program.process.pid}) exited with {exit_status}")
        for unsent in program.channel.hear_out():  # it may have given the connection back with its last word
            unsent.close_fds()
        self._closed(program)
        self._leaving.discard(program)
        if program.peer_end is not None:
            program.peer_end.shut_down()

    def _hangs(self, program: Program) -> None:
        silent = f"has not answered for {self._timing.control_timeout:g} s: killed"
        _log(program, "hangs", f"(process {program.process.pid}) {silent}")
        program.process.kill()

    def _lose_patience_later(self, program: Program) -> None:
        asyncio.get_running_loop().call_later(self._timing.release_timeout, self._lose_patience, program)

    def _lose_patience(self, program: Program) -> None:
        if program.process.running:
            _log(program, "does not let go", f"(process {program.process.pid}) does not let go: killed")
            program.process.kill()


def _log(program: Program, kind: str, text: str) -> None:
    """What a service's program has done: it was its peer, a stranger, that made it."""
    text = f"service {program.service.name} {text}"
    status.by_stranger(f"program {kind}", text, program.node_id, program.address)
