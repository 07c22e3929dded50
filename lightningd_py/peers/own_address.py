"""Our own public address, as peers see it. Knows no clocks and no sockets.

A peer that we have dialled tells us in its `init` where we come from. One may lie or be mistaken, so several nodes from
different networks must agree, each of which counts once, with what it has said last. The port is not theirs to know:
it is that of our outgoing connection. BOLT 1, The `init` Message; CLN's --announce-addr-discovered.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable

from wire.address import Kind, WireAddr, is_routable, parse_address
from wire.control.control_wire import PeerInfo
from wire.control.shares import Newest

WITNESSES = 3
"""Nodes that must agree."""
MOST_REMEMBERED = 100
_NETWORKS: dict[Kind, int] = {"ipv4": 16, "ipv6": 32}
"""Length of the prefix under which addresses count as one network's."""


class Discovery:
    """What peers have said. `port` is what we announce with an address, `any_address` is for tests on one machine.

    `remembered` holds until enough of them say otherwise: a restart is no reason for another node_announcement.
    """

    def __init__(self, port: int, remembered: Iterable[str] = (), *, any_address: bool = False) -> None:
        self._port = port
        self._found = {address.kind: address.host for address in (parse_address(text, port) for text in remembered)}
        self._any_address = any_address
        self._said: Newest[str, tuple[bytes, WireAddr]] = Newest(MOST_REMEMBERED)

    def heard(self, peer: PeerInfo) -> None:
        """A peer has said INIT."""
        if peer.incoming or peer.remote_addr is None:
            return
        seen = parse_address(peer.remote_addr, self._port)
        if seen.kind not in _NETWORKS or not (self._any_address or is_routable(seen)):
            return
        self._said.put(self._network_of(peer), (peer.node_id, seen))
        self._count()

    def _network_of(self, peer: PeerInfo) -> str:
        """Whom the peer counts for: its network, or itself if that is not known."""
        address = parse_address(peer.address, self._port)
        if self._any_address or address.kind not in _NETWORKS:
            return peer.node_id.hex()
        return str(ipaddress.ip_network(f"{address.host}/{_NETWORKS[address.kind]}", strict=False))

    @property
    def agreed(self) -> list[str]:
        """What enough of them say: at most one address of each kind."""
        return [str(WireAddr(kind, host, self._port)) for kind, host in self._found.items()]

    def _count(self) -> None:
        nodes = dict(self._said.values.values())  # a node has one say, wherever it was dialled
        for kind in _NETWORKS:
            hosts = Counter(seen.host for seen in nodes.values() if seen.kind == kind)
            for host, count in hosts.most_common(1):
                if count >= WITNESSES:
                    self._found[kind] = host
