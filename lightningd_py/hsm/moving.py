"""One hsmd takes the place of another: its clients' sockets move, and no client notices.

A client's request that was read has been answered; those that were not read are still in its socket. The old one reads
none from `move_all` on, and goes on if the new one does not say that it has all sockets.
"""

import os
import socket
from collections.abc import Sequence

from wire.control.control_message import ControlError, Fd
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import MoveClient, MoveClients, MoveClientsReply, MoveDone

STEP_TIME = 5.0
"""Seconds that the next one has for each step."""

ALL_SENT = 1
"""The number of the only request here: what is said before it is no answer."""

Client = tuple[str, socket.socket]
"""The name of its row of permissions, and its socket."""


class MoveFailed(Exception):
    """The next one does not take all; one sentence. Nothing has moved."""


def move(successor: socket.socket, clients: Sequence[Client]) -> None:
    """Give copies of all sockets to the next hsmd, and say that they are its own. Raises MoveFailed."""
    successor.settimeout(STEP_TIME)
    try:
        for name, sock in clients:
            _send_copy(successor, name, sock)
        send_message(successor, MoveClients(len(clients), request_id=ALL_SENT))
        _hear_reply(successor)
        send_message(successor, MoveDone())
    except TimeoutError as error:
        raise MoveFailed(f"the next hsmd has not answered for {STEP_TIME:g} s") from error
    except (OSError, ControlError) as error:
        raise MoveFailed(f"the next hsmd: {error}") from error


def _hear_reply(successor: socket.socket) -> None:
    """That it has all. Raises MoveFailed, OSError, ControlError."""
    reply = receive_message(successor, "successor")
    if reply is None:
        raise MoveFailed("the next hsmd has ended")
    if not isinstance(reply, MoveClientsReply) or reply.request_id != ALL_SENT:
        reply.close_fds()
        raise MoveFailed(f"the next hsmd has said {reply.name()} where it should say that it has all")


def _send_copy(successor: socket.socket, name: str, sock: socket.socket) -> None:
    copy = os.dup(sock.fileno())
    try:
        send_message(successor, MoveClient(name, Fd(copy)))
    except BaseException:
        os.close(copy)
        raise


class Arrivals:
    """From the new one's side: the clients that have come, which are not read before `move_done`."""

    def __init__(self) -> None:
        self._clients: list[Client] = []

    def take(self, message: MoveClient) -> None:
        """One more."""
        sock = socket.socket(fileno=message.fd)
        sock.setblocking(False)
        self._clients.append((message.client, sock))

    def check(self, message: MoveClients) -> MoveClientsReply:
        """Whether all have come. Raises ControlError."""
        if len(self._clients) != message.count:
            raise ControlError(f"{len(self._clients)} clients have come, of {message.count}")
        return MoveClientsReply(request_id=message.request_id)

    def all(self) -> list[Client]:
        """They are the caller's from here on."""
        clients, self._clients = self._clients, []
        return clients

    def close(self) -> None:
        """The old one goes on with them."""
        for _, sock in self.all():
            sock.close()
