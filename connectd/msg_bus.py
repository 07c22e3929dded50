"""The MSG bus: where services say and hear what is said on the connections that are theirs."""

from pathlib import Path

import zmq

from connectd.hub import Hub
from wire.bus_sessions import Sessions
from wire.bus_socket import BusSocket
from wire.bus_wire import CONNECTIOND
from wire.curve import Curve


class MsgBus:
    """Its socket and its sessions, for a hub."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        curve: Path,
        hub: Hub,
        heartbeat: float,
    ) -> None:
        """Binds: raises BindFailed. `curve` is the directory of the keys that tcp needs, which raise CurveError.
        `heartbeat`: seconds.
        """
        self._curve = Curve(context, curve) if endpoint.startswith("tcp:") else None
        self._socket = BusSocket(context, self._received, curve=self._curve.keys if self._curve is not None else None)
        if self._curve is not None:
            self._socket.on_refused = self._curve.without_key
        try:
            self.endpoint = self._socket.bind(endpoint)
        except BaseException:
            self._close_sockets()
            raise
        self._sessions = Sessions(
            "msg",
            CONNECTIOND,
            self._socket,
            admit=hub.admit,
            on_message=hub.received,
            on_gone=hub.gone,
            heartbeat=heartbeat,
        )
        self._sessions.on_welcome = hub.came
        hub.open(self._sessions)

    def _received(self, frames: list[bytes]) -> None:
        self._sessions.received(frames)

    def close(self, reason: str) -> None:
        """Say goodbye to all; it leaves when the context is terminated."""
        self._sessions.close(reason)
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._socket.close()
        if self._curve is not None:
            self._curve.close()
