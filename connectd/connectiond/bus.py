"""The endpoint of a bus, bound, with the keys that tcp needs; and the MSG bus, bound to one.

On MSG services say and hear what is said on the connections that are theirs; the CTL of `alone/` has an endpoint, too.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from connectd.connectiond.hub import Hub
from wire.bus.bus_wire import CONNECTIOND
from wire.bus.curve import Curve
from wire.bus.sessions import Sessions
from wire.bus.socket import BusSocket
from wire.control.timing import Timing

if TYPE_CHECKING:
    from zmq import Context, Socket


class BusEndpoint:
    """A socket of the bus. `curve` is the directory of the keys that tcp needs; one tcp endpoint for each context."""

    def __init__(self, context: "Context[Socket[bytes]]", endpoint: str, curve: Path) -> None:
        """Raises BindFailed, and CurveError about the keys."""
        self._curve = Curve(context, curve) if endpoint.startswith("tcp:") else None
        self.socket = BusSocket(context, curve=self._curve.keys if self._curve is not None else None)
        if self._curve is not None:
            self.socket.on_refused = self._curve.without_key
        try:
            self.name = self.socket.bind(endpoint)
            """As others reach it."""
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """What was said leaves when the context is terminated."""
        self.socket.close()
        if self._curve is not None:
            self._curve.close()


class MsgBus:
    """Its socket and its sessions, for a hub."""

    def __init__(
        self,
        context: "Context[Socket[bytes]]",
        endpoint: str,
        curve: Path,
        hub: Hub,
        timing: Timing,
    ) -> None:
        """Binds: raises BindFailed. `curve` is the directory of the keys that tcp needs, which raise CurveError."""
        self._bound = BusEndpoint(context, endpoint, curve)
        self.endpoint = self._bound.name
        self._sessions = Sessions(
            "msg",
            CONNECTIOND,
            self._bound.socket,
            admit=hub.admit,
            on_message=hub.received,
            on_gone=hub.gone,
            heartbeat=timing.bus_heartbeat,
            patience=timing.bus_patience,
        )
        self._sessions.on_welcome = hub.came
        hub.open(self._sessions)

    def close(self, reason: str) -> None:
        """Say goodbye to all; it leaves when the context is terminated."""
        self._sessions.close(reason)
        self._bound.close()
