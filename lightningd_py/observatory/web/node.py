"""What the node says of itself over its RPC: three fixed questions that change nothing. Blocking."""

from pathlib import Path
from typing import Any

from lightningd_py.client import NotTalking, call, request
from wire.command.text import replaced

ANSWER_TIME = 5.0
LONGEST_TEXT = 300
MOST_PEERS = 200
INFO = ("id", "alias", "color", "version", "network", "blockheight", "num_peers", "warning_bitcoind_sync")
STATUS = ("state", "percent", "channels", "nodes", "updates", "store_bytes", "gossipers")
PEER = (
    "id",
    "direction",
    "connected",
    "connected_since",
    "ping_ms",
    "new_gossip",
    "messages_in",
    "messages_out",
    "owner",
)


class NodeFigures:
    """`path`: the RPC socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> dict[str, Any]:
        """`error`: one sentence if it does not answer."""
        try:
            info, status, peers = (self._ask(method) for method in ("getinfo", "gossipstatus", "listpeers"))
        except NotTalking as error:
            return {"error": str(error)}
        listed = peers.get("peers", [])
        return {
            "info": _chosen(info, INFO),
            "status": _chosen(status, STATUS),
            "peers": [_peer(peer) for peer in listed[:MOST_PEERS]],
            "peer_count": len(listed),
        }

    def _ask(self, method: str) -> dict[str, Any]:
        """Raises NotTalking."""
        answer = call(self._path, request(method), ANSWER_TIME).get("result")
        return answer if isinstance(answer, dict) else {}


def _chosen(said: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _short(said[name]) for name in names if name in said}


def _short(value: Any) -> Any:
    return replaced(value)[:LONGEST_TEXT] if isinstance(value, str) else value


def _peer(peer: dict[str, Any]) -> dict[str, Any]:
    addresses = peer.get("netaddr") or [""]
    return _chosen(peer, PEER) | {"address": _short(str(addresses[0]))}
