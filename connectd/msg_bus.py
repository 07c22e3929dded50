"""The MSG bus: where services say and hear what is said on the connections that are theirs."""

from pathlib import Path
from typing import TYPE_CHECKING

from connectd.bus_endpoint import BusEndpoint
from connectd.hub import Hub
from wire.bus_sessions import Sessions
from wire.bus_wire import CONNECTIOND

if TYPE_CHECKING:
    from zmq import Context, Socket


class MsgBus:
    """Its socket and its sessions, for a hub."""

    def __init__(
        self,
        context: "Context[Socket[bytes]]",
        endpoint: str,
        curve: Path,
        hub: Hub,
        heartbeat: float,
    ) -> None:
        """Binds: raises BindFailed. `curve` is the directory of the keys that tcp needs, which raise CurveError.
        `heartbeat`: seconds.
        """
        self._bound = BusEndpoint(context, endpoint, curve)
        self.endpoint = self._bound.name
        self._sessions = Sessions(
            "msg",
            CONNECTIOND,
            self._bound.socket,
            admit=hub.admit,
            on_message=hub.received,
            on_gone=hub.gone,
            heartbeat=heartbeat,
        )
        self._sessions.on_welcome = hub.came
        hub.open(self._sessions)

    def close(self, reason: str) -> None:
        """Say goodbye to all; it leaves when the context is terminated."""
        self._sessions.close(reason)
        self._bound.close()
