"""The master's half of connectd: what it is told at the start, and each of its messages to what it calls."""

import time
from collections.abc import Callable, Sequence

from lightningd_py.config.options import Options
from lightningd_py.daemons.daemon import ask
from lightningd_py.daemons.listening import ListeningSockets
from lightningd_py.daemons.opening import Opening
from lightningd_py.database import Database
from lightningd_py.owners.ownership import Ownership
from lightningd_py.peers.own_node import OwnNode
from wire.address import WireAddr
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import PeerInfo, ReachPeerReplyfail
from wire.types import NETWORKS

NOT_NOW = -1
"""CLN's code for what has failed for no reason of the peer's."""


class ConnectControl:
    """connectd, as the master sees it: the one that is there now."""

    def __init__(
        self,
        ownership: Ownership,
        database: Database,
        opening: Opening,
        refusal: Callable[[str], str],
        on_dialled: Callable[..., None] = lambda node_id, seconds, reason="", *, attempted=True: None,
    ) -> None:
        """`refusal` says why connectd is not there; `on_dialled` is called when an attempt to connect has ended, see
        `news.dialled`.
        """
        self._ownership = ownership
        self._database = database
        self._opening = opening
        self._refusal = refusal
        self._on_dialled = on_dialled

    def received(self, message: ControlMessage) -> None:
        """A message that is no reply."""
        match message:
            case control_wire.PeerConnected():
                self._ownership.peer_connected(message)
            case control_wire.PeerHandedOver():
                self._ownership.peer_handed_over(message.peer)
            case control_wire.PeerReconnected():
                self._ownership.peer_reconnected(message)
            case control_wire.PeerDisconnected():
                self._ownership.never_came(message)
            case _:
                raise RuntimeError(f"connectd said {message.name()}")

    async def activate(self) -> None:
        """Accept and dial from here on. Raises StartError."""
        await ask(self._ownership.connectd, control_wire.Activate(direct=True), control_wire.ActivateReply)

    async def reach(self, node_id: bytes, hints: list[str]) -> PeerInfo:
        """Connect, or find connected, these addresses first; remember where. Raises RequestFailed, whose refusal is a
        ReachPeerReplyfail.
        """
        if missing := self._opening.waits_for:
            raise _not_now(f"the node waits for service {', '.join(missing)} before it connects to any node")
        began, is_new = time.monotonic(), self._ownership.peers.of_node(node_id) is None
        try:
            peer = await self._reach(node_id, hints)
        except RequestFailed as failed:
            attempted = isinstance(failed.refusal, ReachPeerReplyfail) and bool(failed.refusal.errors)
            self._on_dialled(node_id, time.monotonic() - began, str(failed), attempted=attempted)
            raise
        if is_new and not peer.incoming:
            self._on_dialled(node_id, time.monotonic() - began)
        if not peer.incoming:  # where it came from is not where it can be reached
            self._database.remember_address(node_id, peer.address, time.time())
        return peer

    async def _reach(self, node_id: bytes, hints: list[str]) -> PeerInfo:
        """Where another connectd has taken the place of the one that was asked, that one has the last word."""
        while True:
            connectd, request = self._ownership.connectd, control_wire.ReachPeer(node_id, hints)
            try:
                return (await connectd.request(request, control_wire.ReachPeerReply)).peer
            except (ChannelClosed, RequestFailed) as error:
                if connectd is not self._ownership.connectd:
                    continue
                if isinstance(error, RequestFailed):
                    raise
                raise _not_now(self._refusal("connectd")) from None

    async def ask_seeds(self, seeds: Sequence[str], nameserver: WireAddr | None) -> control_wire.BootstrapReply:
        """Nodes that DNS seeds name. Raises ChannelClosed."""
        request = control_wire.Bootstrap(list(seeds), None if nameserver is None else str(nameserver))
        return await self._ownership.connectd.request(request, control_wire.BootstrapReply)


def _not_now(reason: str) -> RequestFailed:
    return RequestFailed(ReachPeerReplyfail(reason, NOT_NOW, []))


async def init_connectd(
    channel: ControlChannel,
    options: Options,
    own: OwnNode,
    conn_id: int,
    listeners: ListeningSockets,
    websocket_fd: Fd | None,
    predecessor_fd: Fd | None = None,
) -> control_wire.ConnectdInitReply:
    """Bind what is not bound already. `websocket_fd` leads to websocketd, if that runs. Where a connectd before this
    one has listened this one does, at the same sockets. Raises StartError, OSError.
    """
    bound, everywhere = own.bindings, options.listens_everywhere
    given = not bound and len(listeners) > 0 and everywhere
    asked = [binding for binding in options.listen_and_announce if binding.is_onion or not (bound or given)]
    besides = [str(binding) for binding in options.listen if not bound or binding.is_onion]
    return await ask(
        channel,
        control_wire.ConnectdInit(
            chain_hash=NETWORKS[options.network],
            node_id=own.node_id,
            features=own.features.to_bytes(),
            addr=[str(binding) for binding in asked],
            bind=besides,
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
            web_proxies=list(options.ws_trusted_proxy),
            listeners=[] if options.offline else listeners.copies(announce=given),
            predecessor_fd=predecessor_fd,
        ),
        control_wire.ConnectdInitReply,
    )
