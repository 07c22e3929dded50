"""Services: who wants what is not gossip. Which messages and nodes they have registered for, and their programs.

A program is started for one connection, by exec, with its control socket as fd 3. The first message there is
`take_peer`: the peer fd, the gossip fd, the PeerState and the message for which it was called. It gives the connection
back with `peer_given_back`, or says `peer_disconnected`, and exits. docs/architecture.md, "Writing a service".
"""

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lightningd_py.option_values import Service, Wanted
from wire.control_channel import ControlChannel
from wire.control_wire import ControlMessage, PeerGivenBack
from wire.frames import MAX_MESSAGE, MAX_UNREAD, Frames
from wire.process import Process
from wire.routes import Action
from wire.status import Status

CONTROL_FD = 3
KEY_SIZE = 32

status = Status("lightningd")


class Services:
    """The registrations. Of two services that want the same, the one that was named first gets it."""

    def __init__(self, services: Iterable[Service], take: Iterable[Wanted], copy: Iterable[Wanted]) -> None:
        """Raises ValueError, one sentence, if a service is wanted that is none."""
        self._services: dict[str, Service] = {}
        for service in services:
            self._services.setdefault(service.name, service)
        self._takers: dict[int, Service] = {}
        self._nodes: dict[bytes, Service] = {}
        self._copies: dict[int, list[Service]] = {}
        for wanted in take:
            service = self._named(wanted.service)
            for number in wanted.messages:
                self._takers.setdefault(number, service)
            for node_id in wanted.node_ids:
                self._nodes.setdefault(node_id, service)
        for wanted in copy:
            service = self._named(wanted.service)
            for number in wanted.messages:
                self._copies.setdefault(number, []).append(service)

    def _named(self, name: str) -> Service:
        if name not in self._services:
            raise ValueError(f"there is no --service {name}")
        return self._services[name]

    @property
    def node_ids(self) -> list[bytes]:
        """Nodes that are taken as soon as they connect: never on the direct path."""
        return list(self._nodes)

    @property
    def names(self) -> list[str]:
        """Their names, in the order of the options."""
        return list(self._services)

    def named(self, name: str) -> Service | None:
        """The service of that name."""
        return self._services.get(name)

    def routes(self) -> list[tuple[int, str]]:
        """What differs from the defaults in the routes table."""
        copies = [(number, Action.COPY.value) for number in self._copies if number not in self._takers]
        return copies + [(number, Action.TAKE.value) for number in self._takers]

    def for_message(self, number: int) -> Service | None:
        """Who takes a connection on which this message came."""
        return self._takers.get(number)

    def for_copies(self, number: int) -> list[Service]:
        """Who gets a copy of such a message."""
        return self._copies.get(number, [])

    def listening(self) -> list[Service]:
        """Every service that gets copies of something."""
        return list({service.name: service for services in self._copies.values() for service in services}.values())

    def for_node(self, node_id: bytes) -> Service | None:
        """Who takes every connection of this node."""
        return self._nodes.get(node_id)


@dataclass(slots=True, eq=False)
class Program:
    """A running program: one connection's owner."""

    service: Service
    conn_id: int
    channel: ControlChannel
    process: Process
    finished: bool = field(default=False)
    """It has no connection any more."""


def start_program(
    service: Service,
    conn_id: int,
    on_message: Callable[[ControlMessage], None],
    on_closed: Callable[[str], None],
    on_exit: Callable[[int], None],
) -> Program:
    """Start a service's program. Raises OSError if that cannot be done; then nothing is left behind."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        process = Process(service.command, {CONTROL_FD: theirs.fileno()}, on_exit, service.name)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Program(service, conn_id, ControlChannel(ours, "program", on_message, on_closed, foreign=True), process)


def flaw(returned: PeerGivenBack) -> str | None:
    """What is wrong with a connection that a program gives back: programs may be anybody's. None if nothing is."""
    crypto = returned.state.crypto
    try:
        Frames(crypto)
    except ValueError as error:
        return str(error)
    if any(len(key) != KEY_SIZE for key in (crypto.rk, crypto.sk, crypto.r_ck, crypto.s_ck)):
        return "a key is not 32 bytes long"
    if len(returned.state.unread) > MAX_UNREAD:
        return f"{len(returned.state.unread)} bytes are unread, more than may be"
    if any(not 2 <= len(message) <= MAX_MESSAGE for message in returned.send):
        return "a message to send has no type, or is too long"
    return None
