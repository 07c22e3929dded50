"""graceful: CLN's method. No connections are made or taken any more, and those that are idle end."""

import asyncio
from typing import Any

from lightningd_py.owners.ownership import Ownership
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.peers.staying_connected import StayingConnected
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.rpc.notifications import tell_asker
from lightningd_py.rpc.params import optional, u32


class GracefulCommand:
    """The method of one node."""

    def __init__(
        self, ownership: Ownership, requests: PeerRequests, access: AccessControl, staying: StayingConnected
    ) -> None:
        self._ownership = ownership
        self._requests = requests
        self._access = access
        self._staying = staying

    def all(self) -> list[Command]:
        """For `Commands`."""
        timeout = optional("timeout", u32, "seconds after which it answers, whether all peers have gone or not")
        return [
            Command(
                "graceful",
                self.graceful,
                (timeout,),
                "Make ready to stop: refuse all peers from now on, and end idle connections.",
            )
        ]

    async def graceful(self, timeout: int | None) -> dict[str, Any]:  # noqa: ASYNC109 - CLN's name
        """Connections that a service owns are its own: it is waited for them. `pending_peers`: those that are left."""
        self._staying.close()
        self._access.refuse_all("the node is about to stop")
        peers = list(self._ownership.peers)
        for peer in peers:
            if not self._requests.is_a_services(peer):
                self._ownership.disconnect(peer, "the node is about to stop")
        tell = tell_asker()
        try:
            async with asyncio.timeout(timeout):
                for number, peer in enumerate(peers):
                    tell(f"waiting for {len(peers) - number} peers to go", number, len(peers))
                    await peer.gone.wait()
        except TimeoutError:
            return {"pending_peers": sorted({peer.info.node_id.hex() for peer in self._ownership.peers})}
        return {}
