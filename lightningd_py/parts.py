"""The parts of a running node, as `node.py` puts them together."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightningd_py.config.options import Options
from lightningd_py.core import Core
from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.daemons.moving import Mover
from lightningd_py.daemons.opening import Opening
from lightningd_py.daemons.registration_news import RegistrationNews
from lightningd_py.daemons.restart import Restarts
from lightningd_py.daemons.setup import Replacements
from lightningd_py.node_left import NodeLeft
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.peers.staying_connected import StayingConnected
from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.service_manager import ServiceManager

if TYPE_CHECKING:
    from lightningd_py.bus.buses import Buses  # ZMQ takes 45 ms to load
    from lightningd_py.metrics.serving import Serving


@dataclass(frozen=True, slots=True)
class Parts:
    """What stands on the core: which peers the node wants, and what services ask of it."""

    access: AccessControl
    staying: StayingConnected
    connectiond: ConnectiondControl
    news: RegistrationNews
    requests: PeerRequests
    listingd: ListingControl
    replacements: Replacements


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """All of them, when the node has started."""

    options: Options
    core: Core
    parts: Parts
    rpc: RpcServer
    buses: "Buses"
    metrics: "Serving | None"
    mover: Mover
    opening: Opening
    restarts: Restarts
    manager: ServiceManager
    ended: asyncio.Future[int | NodeLeft]
    """Done when the node is to end, or another program is to take its place."""
