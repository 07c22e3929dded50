"""The master's half of connectd: what it is told at the start, and each of its messages to what it calls."""

import time
from collections.abc import Sequence

from lightningd_py.config.options import Options
from lightningd_py.daemons.supervisor import Daemon
from lightningd_py.database import Database
from lightningd_py.owners.ownership import Ownership
from wire.address import WireAddr
from wire.control import control_wire
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import PeerInfo
from wire.features import Features
from wire.types import NETWORKS


class ConnectControl:
    """connectd, as the master sees it."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    def received(self, message: ControlMessage) -> None:
        """A message that is no reply."""
        match message:
            case control_wire.PeerConnected():
                self._ownership.peer_connected(message)
            case control_wire.PeerReconnected():
                self._ownership.peer_reconnected(message)
            case control_wire.PeerDisconnected():
                self._ownership.never_came(message)
            case _:
                raise RuntimeError(f"connectd said {message.name()}")


async def init_connectd(
    daemon: Daemon,
    options: Options,
    node_id: bytes,
    features: Features,
    conn_id: int,
    websocket_fd: Fd | None,
    bound: list[str],
) -> control_wire.ConnectdInitReply:
    """Bind. `websocket_fd` leads to websocketd, if that runs. `bound`: sockets of a connectd that has died, which are
    bound again, at the same ports. Raises StartError.
    """
    asked = [binding for binding in options.listen_and_announce if not bound or binding.is_onion]
    besides = [str(binding) for binding in options.listen if not bound or binding.is_onion]
    return await daemon.ask(
        control_wire.ConnectdInit(
            chain_hash=NETWORKS[options.network],
            node_id=node_id,
            features=features.to_bytes(),
            addr=[str(binding) for binding in asked],
            bind=[*bound, *besides],
            announce=[str(address) for address in options.announce_addr],
            ways=control_wire.Ways(
                proxy=None if options.proxy is None else str(options.proxy),
                always_use_proxy=options.always_use_proxy,
                use_dns=not options.disable_dns,
            ),
            tor_password=options.tor_service_password,
            tor_keys=str(options.network_dir),
            websocket_fd=websocket_fd,
            conn_id=conn_id,
            timing=options.timing,
            dev_allow_localhost=options.dev_allow_localhost,
            limits=options.limits,
        ),
        control_wire.ConnectdInitReply,
    )


async def activate(daemon: Daemon) -> None:
    """Accept from here on. Raises StartError."""
    await daemon.ask(control_wire.Activate(direct=True), control_wire.ActivateReply)


async def reach(daemon: Daemon, database: Database, node_id: bytes, hints: list[str]) -> PeerInfo:
    """Connect, or find connected; remember where. Raises RequestFailed with a ReachPeerReplyfail, ChannelClosed."""
    reply = await daemon.channel.request(control_wire.ReachPeer(node_id, hints), control_wire.ReachPeerReply)
    if not reply.peer.incoming:  # where it came from is not where it can be reached
        database.remember_address(node_id, reply.peer.address, time.time())
    return reply.peer


async def ask_seeds(daemon: Daemon, seeds: Sequence[str], nameserver: WireAddr | None) -> control_wire.BootstrapReply:
    """Nodes that DNS seeds name. Raises ChannelClosed."""
    server = None if nameserver is None else str(nameserver)
    return await daemon.channel.request(control_wire.Bootstrap(list(seeds), server), control_wire.BootstrapReply)
