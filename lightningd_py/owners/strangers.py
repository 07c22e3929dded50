"""Strangers whose connections services have: they count towards --max-inbound, and get at most half of it.

A stranger is a peer that has connected to us and that no service has registered. The other half is for those who tell
us gossip: they keep their places whatever strangers ask of services. A channel that is registered in time makes its
peer no stranger any more.
"""

from lightningd_py.owners.peers import Peer
from lightningd_py.registrations.registrations import Registrations
from wire.address import network_group
from wire.control.control_wire import PeerInfo
from wire.control.status import Status

status = Status("lightningd")


class StrangersAtServices:
    """All of them, by conn_id. `moved` and `went` hear what becomes of each connection."""

    def __init__(self, inbound: int, registrations: Registrations) -> None:
        """`inbound`: --max-inbound."""
        self.change(inbound)
        self._registrations = registrations
        self._infos: dict[int, PeerInfo] = {}

    def change(self, inbound: int) -> None:
        """--max-inbound from now on."""
        self._most = max(1, inbound // 2)

    def network_of(self, info: PeerInfo) -> str | None:
        """The network of a stranger; None if this is none."""
        if not info.incoming or self._registrations.concerned(info.node_id):
            return None
        return network_group(info.address)

    def refuses(self, info: PeerInfo) -> bool:
        """Whether no service may have this connection; the log says why."""
        network = self.network_of(info)
        if network is None:
            return False
        networks = list(filter(None, map(self.network_of, self._infos.values())))
        if len(networks) >= self._most:
            reason = f"services have {len(networks)} connections of strangers, and get no more"
        elif (count := networks.count(network)) >= max(1, self._most // 2):
            reason = f"services have {count} connections of strangers of {network}, and get no more"
        else:
            return False
        status.by_stranger("services", reason, info.node_id, info.address)
        return True

    def moved(self, peer: Peer) -> None:
        """A connection has another owner."""
        if peer.info.incoming and self._registrations.named(peer.owner) is not None:
            self._infos[peer.info.conn_id] = peer.info
        else:
            self._infos.pop(peer.info.conn_id, None)

    def went(self, peer: Peer, reason: str) -> None:
        """A connection has ended."""
        self._infos.pop(peer.info.conn_id, None)
