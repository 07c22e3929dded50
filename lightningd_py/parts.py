"""The parts of a running node, as `node.py` puts them together, and the making of those that are loaded late."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from lightningd_py.config.options import Options
from lightningd_py.core import Core
from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.daemons.gossip_control import vantage_of
from lightningd_py.daemons.hsm_control import derive_secret
from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.daemons.moving import Mover
from lightningd_py.daemons.opening import Opening
from lightningd_py.daemons.registration_news import RegistrationNews
from lightningd_py.daemons.restart import Restarts
from lightningd_py.daemons.setup import Replacements
from lightningd_py.news.news import News
from lightningd_py.node_left import NodeLeft
from lightningd_py.onions.onion_control import OnionControl
from lightningd_py.onions.onion_services import OnionServices
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.peers.staying_connected import StayingConnected
from lightningd_py.recording.companion import Companion
from lightningd_py.recording.page import Page
from lightningd_py.recording.recorder import Recorder
from lightningd_py.registrations.registrations import Registrations
from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.service_manager import ServiceManager
from wire.start.late_dataclass import dataclass
from wire.start.version import version

if TYPE_CHECKING:
    from lightningd_py.bus.buses import Buses  # ZMQ takes 45 ms to load
    from lightningd_py.metrics.serving import Serving


BUSES = "lightningd_py.bus.buses"
"""Imported while the daemons start: ZMQ takes 45 ms to load."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What stands on the core: which peers the node wants, and what services ask of it."""

    access: AccessControl
    staying: StayingConnected
    connectiond: ConnectiondControl
    news: RegistrationNews
    requests: PeerRequests
    listingd: ListingControl
    onions: OnionControl
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
    companions: Sequence[Companion]
    mover: Mover
    opening: Opening
    news: News
    restarts: Restarts
    manager: ServiceManager
    ended: asyncio.Future[int | NodeLeft]
    """Done when the node is to end, or another program is to take its place."""


def make_onions(
    core: Core, options: Options, registrations: Registrations, refusal: Callable[[str], str]
) -> OnionControl:
    """What the node has to do with onion messages. `refusal`: why a daemon is not there."""
    services = OnionServices(registrations, core.listeners.onion)
    whom = (core.ownership, core.teller, core.own.node_id)
    return OnionControl(options.onion_messages, core.supervisor, *whom, services, refusal)


async def begin_onions(core: Core, onions: OnionControl, left: NodeLeft | None) -> None:
    """Start oniond, or go on with the one that runs, if it is wanted. Raises ChannelClosed if a daemon has died."""
    core.supervisor.hears["oniond"] = onions.received
    if left is None:
        await onions.begin(lambda info: derive_secret(core.supervisor.hsmd, info))
    else:
        onions.resume(core.channels.get("oniond"), left.onion_secret)


def serve_metrics(
    core: Core,
    parts: Parts,
    options: Options,
    restarts: Restarts,
    rpc: RpcServer,
    mover: Mover,
    companions: Sequence[Companion],
    ends: AsyncExitStack,
) -> "Serving":
    """Raises StartError if it cannot listen at --metrics-addr."""
    assert options.metrics_addr is not None
    from lightningd_py.metrics.collector import Around, Collector  # prometheus_client: only for those who scrape
    from lightningd_py.metrics.serving import Serving

    around = Around(
        labels=(version(), options.network, core.own.node_id.hex()),
        supervisor=core.supervisor,
        restarts=restarts,
        peers=core.ownership.peers,
        rpc=rpc,
        mover=mover,
        registrations=core.ownership.registrations,
        chain=core.chain,
        pid=os.getpid(),
        storage=core.storage,
        onions_not_passed=parts.onions.not_passed,
        companions=lambda: {each.name: each.pid for each in companions if each.pid},
    )
    serving = Serving(Collector(around, asyncio.get_running_loop().time))
    ends.push_async_callback(serving.close)
    serving.start(options.metrics_addr)
    return serving


def start_companions(core: Core, options: Options, ends: AsyncExitStack) -> list[Companion]:
    """Those that are asked for. Raises StartError if one cannot be had."""
    companions: list[Companion] = []
    if options.record is not None:
        companions.append(Recorder(options, vantage_of(options, core.own.node_id)))
    if options.web_addr is not None:
        companions.append(Page(options))
    for each in companions:
        ends.push_async_callback(each.close)
        each.start()
    return companions


def open_buses(core: Core, options: Options, parts: Parts, rpc: RpcServer, ends: AsyncExitStack) -> "Buses":
    """Raises StartError if one that was asked for cannot be had."""
    from lightningd_py.bus.buses import Buses  # loaded by now: see BUSES
    from lightningd_py.bus.ctl_requests import Around

    around = Around(
        options=options,
        own=core.own,
        ownership=core.ownership,
        requests=parts.requests,
        storage=core.storage,
        msg_endpoint=lambda: parts.connectiond.endpoint,
        catch_up=parts.connectiond.catch_up,
        signing_socket=core.signing.make,
        onions=parts.onions,
    )
    buses = Buses(around, rpc)
    ends.push_async_callback(buses.close)
    return buses
