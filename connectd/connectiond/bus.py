"""The endpoint of a bus, bound, with the keys that tcp needs; and the MSG bus, bound to one.

On MSG services say and hear what is said on the connections that are theirs; the CTL of `alone/` has an endpoint, too.
"""

import os
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from connectd.connectiond.hub import Hub
from wire.bus.bus_wire import CONNECTIOND
from wire.bus.curve import Curve
from wire.bus.lasting_sessions import LastingSessions
from wire.bus.listener import Listener
from wire.bus.socket import BusSocket
from wire.control.control_message import Fd
from wire.control.timing import Timing

if TYPE_CHECKING:
    from zmq import Context, Socket

LONGEST = 1 << 17
"""Bytes of what a service says on MSG: twice what a peer's message may have."""


class BusEndpoint:
    """A socket of the bus. `curve` is the directory of the keys that tcp needs; one tcp endpoint for each context."""

    def __init__(
        self, context: "Context[Socket[bytes]]", endpoint: str, curve: Path, *, longest: int, waits: bool = False
    ) -> None:
        """`longest`: bytes of a frame. `waits`: for `listen`. Raises BindFailed, and CurveError about the keys."""
        self._curve = Curve(context, curve) if endpoint.startswith("tcp:") else None
        keys = self._curve.keys if self._curve is not None else None
        self.socket = BusSocket(context, curve=keys, longest=longest)
        if self._curve is not None:
            self.socket.on_refused = self._curve.without_key
        self.name = endpoint
        """As others reach it."""
        try:
            if not waits:
                self.name = self.socket.bind(endpoint)
        except BaseException:
            self.close()
            raise

    def listen(self, sock: socket) -> None:
        """Accept at a socket that listens there already."""
        self.socket.listen(Listener(self.name, sock))

    def close(self) -> None:
        """What was said leaves when the context is terminated."""
        self.socket.close()
        self._close_curve()

    def leave(self) -> None:
        """The same; but another process listens there."""
        self.socket.leave()
        self._close_curve()

    def _close_curve(self) -> None:
        if self._curve is not None:
            self._curve.close()


class MsgBus:
    """Its socket and its sessions, for a hub."""

    def __init__(
        self,
        bound: BusEndpoint,
        hub: Hub,
        timing: Timing,
    ) -> None:
        self._bound = bound
        self.sessions = LastingSessions(
            "msg",
            CONNECTIOND,
            bound.socket,
            admit=hub.admit,
            on_message=hub.received,
            on_gone=hub.gone,
            heartbeat=timing.bus_heartbeat,
            patience=timing.bus_patience,
        )
        self.sessions.on_welcome = hub.came
        self.sessions.on_back = hub.back
        hub.open(self.sessions)

    @property
    def endpoint(self) -> str:
        """As services reach it."""
        return self._bound.name

    def copy_of_listener(self) -> Fd:
        """The socket at which it listens, for another process. Raises OSError."""
        listener = self._bound.socket.listener
        assert listener is not None
        return Fd(os.dup(listener.sock.fileno()))

    def listen(self, listener: Fd) -> None:
        """Accept at a socket that listens at our endpoint already."""
        self._bound.listen(socket(fileno=listener))

    def close(self, reason: str) -> None:
        """Say goodbye to all; it leaves when the context is terminated."""
        self.sessions.close(reason)
        self._bound.close()

    def leave(self) -> None:
        """Let go of the endpoint and the sessions, without a word: they are another process's."""
        self.sessions.leave()
        self._bound.leave()
