"""All news of a node, and how connections get into them."""

import time
from typing import Any

from lightningd_py.news.log_ring import LogRing, begin_ring
from lightningd_py.news.network_events import Indexes, NetworkEvents
from lightningd_py.news.topics import CONNECT, CUSTOMMSG, DISCONNECT, Topics
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from wire.address import DEFAULT_PORTS, parse_address, to_json
from wire.control.status import forward_log
from wire.routing import is_custom

PEERS = "peers"
"""The subsystem of connections, for `wait`."""


class News:
    """Made before all else: the log begins with the node."""

    def __init__(self, network: str) -> None:
        self._port = DEFAULT_PORTS[network]
        self.topics = Topics()
        self.log: LogRing = begin_ring(self.topics)
        self.indexes = Indexes()
        self.events = NetworkEvents(self.indexes)
        forward_log(self.log.own)

    def follow(self, ownership: Ownership) -> None:
        """Hear of connections."""
        ownership.came.append(self._came)
        ownership.moved.append(self._moved)
        ownership.went.append(self._went)

    def _came(self, peer: Peer) -> None:
        self.indexes.grow(PEERS, "created", _about(peer))
        if peer.info.incoming:
            self.events.add("connect", peer.info.node_id, time.time())
        self.topics.say(CONNECT, lambda: self._connect_json(peer))

    def _connect_json(self, peer: Peer) -> dict[str, Any]:
        address = to_json(parse_address(peer.info.address, self._port))
        return {
            "id": peer.info.node_id.hex(),
            "direction": "in" if peer.info.incoming else "out",
            "address": address,
            "conn_id": peer.info.conn_id,
        }

    def _moved(self, peer: Peer) -> None:
        self.indexes.grow(PEERS, "updated", _about(peer) | {"owner": peer.owner})

    def _went(self, peer: Peer, reason: str) -> None:
        self.indexes.grow(PEERS, "deleted", _about(peer))
        self.events.add("disconnect", peer.info.node_id, time.time(), reason, max(0.0, time.time() - peer.since))
        said = {"id": peer.info.node_id.hex(), "conn_id": peer.info.conn_id, "reason": reason}
        self.topics.say(DISCONNECT, lambda: said)

    def said(self, peer: Peer, message: bytes) -> None:
        """A copy of what a peer has said."""
        if is_custom(int.from_bytes(message[:2], "big")):
            self.topics.say(CUSTOMMSG, lambda: {"peer_id": peer.info.node_id.hex(), "payload": message.hex()})

    # what the master has done

    def dialled(self, node_id: bytes, seconds: float, reason: str = "", *, attempted: bool = True) -> None:
        """An attempt to connect has ended; `reason`: why it has failed. `attempted`: there was an address."""
        if reason:
            self.events.add("connect_fail", node_id, time.time(), reason, seconds, attempted)
        else:
            self.events.add("connect", node_id, time.time(), seconds=seconds)

    def pinged(self, node_id: bytes, seconds: float) -> None:
        """A ping that was asked for has been answered."""
        self.events.add("ping", node_id, time.time(), seconds=seconds)


def _about(peer: Peer) -> dict[str, Any]:
    return {"id": peer.info.node_id.hex(), "conn_id": peer.info.conn_id}
