"""An endpoint of a bus, bound, with a doorkeeper where there has to be one."""

from pathlib import Path
from typing import TYPE_CHECKING

from wire.bus_socket import BusSocket
from wire.curve import Curve

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
