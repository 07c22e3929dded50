"""Programs that get copies: `--copy NAME=513` starts one of NAME's, which hears what peers say and owns no connection.

Its control socket is fd 3, as for a program that is handed a connection, and the first message there is `listen`; then
comes a `peer_message` for each copy. One that ends is started again with the next copy, at most once in RESTART
seconds; one that does not read loses copies, which is counted and said, and nothing waits for it.
"""

import asyncio

from lightningd_py.config.values import Service
from lightningd_py.owners.service_process import Program, start_program
from lightningd_py.registrations.registered import Registered
from lightningd_py.registrations.registrations import Registrations
from wire.control import control_wire
from wire.control.control_message import ControlMessage
from wire.control.status import Status
from wire.control.timing import CHILD_END_TIME

MAX_QUEUED = 1_000
"""Copies that wait for a program to read them."""
RESTART = 5.0
NO_CONNECTION = 0
"""A conn_id that no connection has."""

status = Status("lightningd")


class _Listener:
    """One service's program, when it runs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._program: Program | None = None
        self._ended: list[Program] = []
        self._not_before = 0.0
        self.lost = 0

    def start(self) -> None:
        """Start it, unless that was done a moment ago."""
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            return
        self._not_before = now + RESTART
        try:
            self._program = start_program(self._service, NO_CONNECTION, self._said, self._closed, self._exited)
        except OSError as error:
            status.unusual(f"service {self._service.name} cannot be started: {error}")
            return
        self._program.channel.send(control_wire.Listen(self._service.name))

    def copy(self, message: control_wire.PeerMessage) -> None:
        """Pass a copy on, or count that it is lost."""
        if self._program is None:
            self.start()
        if self._program is not None and self._program.channel.queued < MAX_QUEUED:
            self._program.channel.send(message)
            return
        self.lost += 1
        if self.lost.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            status.unusual(f"service {self._service.name} takes no copies: {self.lost} are lost so far")

    def _said(self, message: ControlMessage) -> None:
        """A listener has nothing to say."""
        message.close_fds()
        name = self._service.name
        text = f"service {name} owns no connection, and says {message.name()}: ignored"
        status.by_stranger("program", text, name, name)

    def _closed(self, reason: str) -> None:
        if self._program is not None:
            self._ended.append(self._program)
            self._program = None

    def _exited(self, exit_status: int) -> None:
        if exit_status:
            status.unusual(f"service {self._service.name}, which gets copies, exited with {exit_status}")

    async def close(self) -> None:
        """End it."""
        programs = [*self._ended, *([self._program] if self._program is not None else [])]
        self._program = None
        for program in programs:
            for unsent in program.channel.close():
                unsent.close_fds()
            await program.process.wait(CHILD_END_TIME)


class Listeners:
    """All of them, and the way to bus services, who need no program to hear."""

    def __init__(self, registrations: Registrations) -> None:
        self._registrations = registrations
        self._by_service = {
            service.name: _Listener(service.program)
            for service in registrations
            if service.program is not None and service.copy
        }

    def start(self) -> None:
        """Start every program that wants copies."""
        for listener in self._by_service.values():
            listener.start()

    def copy(self, service: Registered, message: control_wire.PeerMessage) -> None:
        """A copy for this service. A program that has asked for none gets none."""
        if service.ticket:
            self._registrations.copy_to(service.name, message)
        elif service.name in self._by_service:
            self._by_service[service.name].copy(message)

    async def close(self) -> None:
        """End them."""
        for listener in self._by_service.values():
            await listener.close()
