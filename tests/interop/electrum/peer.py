"""Electrum's own gossip client (LNGossip and its database), driven by JSON lines (../pyln/lines.py).

Runs with Debian's Python, which has Electrum's modules; argument: an empty directory for its files.

connect target [packed] -> null     want first_timestamp -> null: a gossip_timestamp_filter     peers -> their number
graph -> {"channels": [...], "nodes": {id: alias}, "policies": [[scid, start node, timestamp, fee base], ...]}
"""

import asyncio
import os
import sys
from typing import Any

from electrum import constants, util
from electrum.lnpeer import Peer
from electrum.network import Network
from electrum.simple_config import SimpleConfig
from lines import serve

TIMEOUT = 30.0
BLOCKS = 1_000_000
"""The height that Electrum believes in: it asks for channels up to there."""

# Electrum's caution against its peers is ten milliseconds for each message.
Peer.DELAY_INC_MSG_PROCESSING_SLEEP = 0


class Client:
    """Electrum without servers, wallets and screen."""

    def __init__(self, directory: str) -> None:
        constants.set_regtest()
        self.loop, *_ = util.create_and_start_event_loop()
        config = SimpleConfig({"electrum_path": directory, "regtest": True, "use_gossip": True, "offline": True})
        self.network = Network(config)
        self.network.get_local_height = lambda: BLOCKS
        self._wait_for(self._start())

    def _wait_for(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(TIMEOUT)

    async def _start(self) -> None:
        self.network.start_gossip()
        await self.network.channel_db.data_loaded.wait()

    def connect(self, target: str, packed: bool = False) -> None:
        """`packed`: as it is shipped, with queries in a form that has been forbidden since; later versions do not."""
        Peer.query_short_channel_ids.__defaults__ = (packed,)
        self._wait_for(self._connect(target))

    async def _connect(self, target: str) -> None:
        self.peer = await self.network.lngossip.add_peer(target)
        await asyncio.wait_for(self.peer.initialized, TIMEOUT)

    def want(self, first_timestamp: int) -> None:
        self.loop.call_soon_threadsafe(self.peer.request_gossip, first_timestamp)

    def peers(self) -> int:
        return int(self.network.lngossip.num_peers())

    def graph(self) -> dict[str, Any]:
        known = self.network.channel_db
        with known.lock:
            return {
                "channels": sorted(str(scid) for scid in known._channels),
                "nodes": {node_id.hex(): node.alias for node_id, node in known._nodes.items()},
                "policies": sorted(
                    [str(scid), node_id.hex(), policy.timestamp, policy.fee_base_msat]
                    for (node_id, scid), policy in known._policies.items()
                ),
            }


if __name__ == "__main__":
    client = Client(sys.argv[1])
    serve({name: getattr(client, name) for name in ("connect", "want", "peers", "graph")})
    os._exit(0)  # Electrum's threads would go on
