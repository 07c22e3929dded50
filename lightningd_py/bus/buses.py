"""The ZMQ buses that the master binds: CTL, CHNL and API; MSG is connectiond's. docs/bus.md.

ZMQ takes 45 ms to load: this module is imported while the daemons start.
"""

import asyncio

import zmq

from lightningd_py.bus import api_bus, chnl_bus, ctl_bus
from lightningd_py.bus.api_bus import ApiBus
from lightningd_py.bus.chnl_bus import ChnlBus
from lightningd_py.bus.ctl_bus import CtlBus
from lightningd_py.bus.ctl_requests import Around
from lightningd_py.errors import StartError
from lightningd_py.rpc.jsonrpc import GRACE, RpcServer
from wire.bus.bus_message import BusError
from wire.bus.curve import Curve, CurveError
from wire.bus.socket import BusSocket
from wire.control.binding import BindFailed
from wire.control.status import Status

CURVE_DIRECTORY = "curve"
"""In the network's directory."""

status = Status("bus")


class Buses:
    """All of them, on the running loop."""

    def __init__(self, around: Around, rpc: RpcServer) -> None:
        """Opens them. Raises StartError if one that was asked for cannot be had; one that is only there by default is
        missing then, and the log says why.
        """
        self._around = around
        self._options = around.options
        self._registrations = around.ownership.registrations
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._curve: Curve | None = None
        self._sockets: list[BusSocket] = []
        self._api: ApiBus | None = None
        self._chnl: ChnlBus | None = None
        self._ctl: CtlBus | None = None
        try:
            self._open(rpc)
        except BaseException:
            self._close_sockets()
            raise

    def _open(self, rpc: RpcServer) -> None:
        chnl = self._bound("chnl", chnl_bus.ROOM)
        if chnl is not None:
            self._chnl = ChnlBus(chnl, self._ticket_of, self._options.timing.bus_heartbeat)
        ctl = self._bound("ctl", ctl_bus.ROOM)
        if ctl is not None:
            self._ctl = CtlBus(ctl, self._around, self._renamed)
        api = self._bound("api", api_bus.ROOM)
        if api is not None:
            self._api = ApiBus(api, rpc)
            api.on_message = self._api.received

    def _ticket_of(self, service: str) -> bytes | None:
        known = self._registrations.named(service)
        if known is not None and not known.ticket:
            raise BusError(f"{service} is the name of a {'program' if known.program else 'service that is away'}")
        return None if known is None else known.ticket

    def _renamed(self, service: str) -> None:
        if self._chnl is not None:
            self._chnl.renamed(service)

    def _bound(self, bus: str, room: int) -> BusSocket | None:
        """The socket of a bus at its endpoint; None if it is not wanted or cannot be had. Raises StartError."""
        endpoint: str = getattr(self._options, bus)
        if not endpoint:
            return None
        try:
            found = self._socket(endpoint, room)
            status.info(f"bus {bus} is at {found.bind(endpoint)}")
        except (BindFailed, CurveError) as error:
            if endpoint != f"ipc://{self._options.network_dir / bus}":
                raise StartError(f"--{bus}: {error}") from error
            status.unusual(f"there is no bus {bus}: {error}")
            return None
        return found

    def _socket(self, endpoint: str, room: int) -> BusSocket:
        """One that is not bound yet, with CURVE if that is needed. Raises CurveError."""
        tcp = endpoint.startswith("tcp:")
        if tcp and self._curve is None:
            self._curve = Curve(self._context, self._options.network_dir / CURVE_DIRECTORY)
        keys = self._curve.keys if tcp and self._curve is not None else None
        made = BusSocket(self._context, curve=keys, room=room)
        self._sockets.append(made)
        if self._curve is not None:
            made.on_refused = self._curve.without_key
        return made

    def pause(self) -> None:
        """Hear nothing more: what is said waits at the clients."""
        for each in self._sockets:
            each.pause()

    def go_on(self) -> None:
        """After `pause`."""
        for each in self._sockets:
            each.resume()

    @property
    def in_hand(self) -> int:
        """Requests that are not answered yet."""
        return sum(bus.in_hand for bus in (self._ctl, self._api) if bus is not None)

    async def close(self, reason: str = "the node ends", grace: float = GRACE, *, kept: bool = False) -> None:
        """Answer what is in hand in `grace` seconds, say goodbye, and let go of the endpoints. `kept`: what services
        have registered stays as it is.
        """
        self._registrations.on_change = lambda service: None  # services do not leave, the node does
        closing = [] if self._api is None else [self._api.close(grace)]
        closing += [] if self._ctl is None else [self._ctl.close(reason, grace, kept=kept)]
        await asyncio.gather(*closing)
        if self._chnl is not None:
            self._chnl.close(reason, again=kept)
        self._close_sockets()

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        if self._curve is not None:
            self._curve.close()
        self._context.term()
