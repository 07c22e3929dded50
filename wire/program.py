"""A service's side of a connection: for programs that lightningd-py starts with a live peer on fd 3.

    from wire.program import taken_peer

    with taken_peer() as peer:              # reads take_peer from fd 3
        print(peer.info.node_id.hex(), "says", peer.message)
        peer.say(b"...")
        while (message := peer.hear()) is not None:
            ...                             # what is for a service; pings and gossip are dealt with meanwhile
                                            # leaving the block gives the peer back to gossipd

`hear` returns what the routes say to take, and each `error` and `warning` of the peer's: about which channel is in the
message (`wire.peer_wire.channel_id_of`), 32 zero bytes are all of them (B1-32). The master gets a copy of those.

Blocking and simple on purpose: one connection, one process. An owner has duties (`wire.net.duties`), and `hear` does
them, and `say` while it waits for room: they answer pings and ping the peer, carry gossip between it and the gossip fd,
end a connection whose peer takes nothing, and do what the master asks. docs/programs.md.
"""

import contextlib
import socket
from types import TracebackType
from typing import Self

from wire.control import control_wire
from wire.control.control_message import ControlMessage
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import TakePeer
from wire.net.blocking_owner import BlockingOwner
from wire.routing import Routes

CONTROL_FD = 3


class TakenPeer:
    """The connection, owned by this process. `message` is what the peer said, nil if we may speak first."""

    def __init__(self, control: socket.socket, taken: TakePeer, routes: Routes) -> None:
        self.info = taken.peer
        self.service = taken.service
        self.message = taken.message
        self._control = control
        self._hsmd = None if taken.hsm_fd is None else socket.socket(fileno=taken.hsm_fd)
        if self._hsmd is not None:
            self._hsmd.settimeout(taken.timing.control_timeout)
        self._owner = BlockingOwner(control, taken, routes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the peer back, unless it is gone; after an exception close the connection."""
        if error is None:
            self._owner.give_back()
        else:
            self._owner.end(f"the service has failed: {error!r}")
        self._control.close()
        if self._hsmd is not None:
            self._hsmd.close()

    def say(self, message: bytes) -> None:
        """Send a message (its type first). Waits for room while the peer does not read, does an owner's duties
        meanwhile, and ends the connection if the peer takes nothing for long. Does nothing if it has gone.

        Raises ValueError for more than 65,535 bytes.
        """
        self._owner.say(message)

    def hear(self) -> bytes | None:
        """The next message that is for a service; None when the connection is no longer ours.

        That is what the routes say to take, and each `error` and `warning`.
        """
        return self._owner.hear()

    def give_back(self) -> None:
        """The connection goes back to gossipd, with everything that has not been read from it and all that has not been
        sent to it, unless it is gone.
        """
        self._owner.give_back()

    def sign_channel_announcement(self, message: bytes) -> bytes:
        """The node's signature under a channel_announcement whose one node it is: 64 bytes, BOLT 7's node_signature.

        What stands in the place of the signatures does not matter. Raises RuntimeError if the service has no right to
        it (`--may-sign`), or the node has ended or does not answer; ValueError if hsmd does not sign this message.
        """
        if self._hsmd is None:
            raise RuntimeError(f"the node does not sign for {self.service}: start it with --may-sign={self.service}")
        reply = None
        with contextlib.suppress(OSError):
            send_message(self._hsmd, control_wire.SignChannelAnnouncement(message))
            reply = receive_message(self._hsmd, "hsmd")
        match reply:
            case control_wire.SignChannelAnnouncementReply(signature=signature):
                return signature
            case control_wire.SignChannelAnnouncementReplyfail(error=error):
                raise ValueError(error)
        self._hsmd.close()  # an answer that comes later must not be taken for that to another question
        raise RuntimeError("the node has ended")


def taken_peer(fd: int = CONTROL_FD) -> TakenPeer:
    """The peer for which this program was started. Raises RuntimeError if lightningd-py did not start it."""
    control = _control_socket(fd)
    routes = Routes()
    while True:
        match receive_message(control, "master"):
            case control_wire.SetMessageRoutes(routes=changes):
                routes.replace(changes)
            case TakePeer() as taken:
                return TakenPeer(control, taken, routes)
            case other:
                control.close()
                raise RuntimeError(f"no take_peer on fd {fd} but {other}")


def _control_socket(fd: int) -> socket.socket:
    try:
        control = socket.socket(fileno=fd)
    except OSError as error:
        raise RuntimeError(f"lightningd-py starts this program, as --service: fd {fd} is no socket of its") from error
    control.set_inheritable(False)
    return control


class Copies:
    """The copies for a service, one by one, until the node ends: of what peers say, and, for one that copies 513, the
    onion messages for this node, opened. A copy counts as taken when it is returned: one that
    this program does not come back from is not repeated, and all that stand behind it come to the next program.
    """

    def __init__(self, control: socket.socket) -> None:
        self.lost = 0
        """Copies of this service that were lost since the node began, because no program took them in time."""
        self._control = control

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> control_wire.PeerMessage | control_wire.OnionForUs:
        while True:
            match receive_message(self._control, "master"):
                case (control_wire.PeerMessage() | control_wire.OnionForUs()) as copy:
                    self._say(control_wire.CopyTaken())
                    return copy
                case control_wire.CopiesLost(lost=lost):
                    self.lost = lost
                case control_wire.Heartbeat():
                    self._say(control_wire.HeartbeatReply())
                case _:
                    self._control.close()
                    raise StopIteration

    def _say(self, message: ControlMessage) -> None:
        with contextlib.suppress(OSError):  # the node has ended: that is heard next
            send_message(self._control, message)


def copies(fd: int = CONTROL_FD) -> Copies:
    """The copies for which this program was started (`--copy NAME=...`).

    Raises RuntimeError if lightningd-py did not start it for that.
    """
    control = _control_socket(fd)
    first = receive_message(control, "master")
    if not isinstance(first, control_wire.Listen):
        control.close()
        raise RuntimeError(f"no listen on fd {fd} but {first}")
    return Copies(control)
