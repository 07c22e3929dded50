"""The programs of services: how one is started, and what may be wrong with what it gives back.

A program is started for one connection, by exec, with its control socket as fd 3. The first message there is
`take_peer`: the peer fd, the gossip fd, the PeerState and the message for which it was called. It gives the connection
back with `peer_given_back`, or says `peer_disconnected`, and exits. docs/programs.md.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from lightningd_py.config.values import Service
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import PeerGivenBack
from wire.control.process import Process
from wire.frames import MAX_MESSAGE, MAX_UNREAD, Frames

CONTROL_FD = 3
KEY_SIZE = 32


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
