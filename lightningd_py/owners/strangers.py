"""Strangers whose connections services have: they count towards --max-inbound, and get at most half of it.

A stranger is a peer that has connected to us and that no service has registered. The other half is for those who tell
us gossip: they keep their places whatever strangers ask of services. A channel that is registered in time makes its
peer no stranger any more.
"""

from collections.abc import Callable

from wire.address import network_group
from wire.control.control_wire import PeerInfo


class StrangersAtServices:
    """All of them, by conn_id. `is_registered`: whether a service has registered something for this node_id."""

    def __init__(self, inbound: int, is_registered: Callable[[bytes], bool]) -> None:
        """`inbound`: --max-inbound."""
        self._most = max(1, inbound // 2)
        self._is_registered = is_registered
        self._infos: dict[int, tuple[bytes, str]] = {}

    def network_of(self, info: PeerInfo) -> str | None:
        """The network of a stranger; None if this is none."""
        if not info.incoming or self._is_registered(info.node_id):
            return None
        return network_group(info.address)

    def refuses(self, network: str | None) -> str | None:
        """Why no service may have one more stranger of this network. None if one may."""
        if network is None:
            return None
        networks = [each for node_id, each in self._infos.values() if not self._is_registered(node_id)]
        if len(networks) >= self._most:
            return f"services have {len(networks)} connections of strangers, and get no more"
        if (count := networks.count(network)) >= max(1, self._most // 2):
            return f"services have {count} connections of strangers of {network}, and get no more"
        return None

    def came(self, info: PeerInfo, network: str | None) -> None:
        """A service has this connection."""
        if network is not None:
            self._infos[info.conn_id] = (info.node_id, network)

    def went(self, conn_id: int) -> None:
        """It has it no longer."""
        self._infos.pop(conn_id, None)
