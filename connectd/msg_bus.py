"""The MSG bus: where services say and hear what is said on the connections that are theirs."""

import zmq

from connectd.hub import Hub
from wire.bus_sessions import Sessions
from wire.bus_socket import BusSocket, CurveKeys
from wire.bus_wire import CONNECTIOND


class MsgBus:
    """Its socket and its sessions, for a hub."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        hub: Hub,
        heartbeat: float,
        curve: CurveKeys | None = None,
    ) -> None:
        """Binds: raises BindFailed. `heartbeat` in seconds; `curve` is for tcp."""
        self._socket = BusSocket(context, self._received, curve=curve)
        try:
            self.endpoint = self._socket.bind(endpoint)
        except BaseException:
            self._socket.close()
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
        self._socket.close()
