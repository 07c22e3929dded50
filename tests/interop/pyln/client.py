"""pyln-client's LightningRpc and Gossmap, driven by JSON lines (lines.py). Runs in pyln's own virtual environment.

call method args -> {"result": ...} or {"code": ..., "message": ...}          gossmap path -> counts
methods -> {"methods": [name, ...]}        notified method args -> {"result": ..., "told": [[message, progress], ...]}
"""

import sys
from typing import Any

from lines import serve
from pyln.client import Gossmap, LightningRpc, RpcError


def call(method: str, args: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    """Call LightningRpc's own method of this name, or any other by `call`, as users do."""
    rpc = LightningRpc(sys.argv[1])
    try:
        known = hasattr(LightningRpc, method)
        return {"result": getattr(rpc, method)(*args, **named) if known else rpc.call(method, *args)}
    except RpcError as error:
        return {"code": error.error["code"], "message": error.error["message"]}


def methods() -> dict[str, Any]:
    """What LightningRpc has a method of its own for, or inherits."""
    return {"methods": [name for name in dir(LightningRpc) if not name.startswith("_")]}


def notified(method: str, args: list[Any]) -> dict[str, Any]:
    """The result of a call within `notify`, and what was told meanwhile."""
    told: list[Any] = []
    rpc = LightningRpc(sys.argv[1])
    with rpc.notify(lambda message, progress, request, **more: told.append([message, progress])):
        return {"result": rpc.call(method, args), "told": told}


def gossmap(path: str) -> dict[str, Any]:
    """What Gossmap reads out of a gossip_store."""
    found = Gossmap(path)
    return {
        "channels": sorted(str(scid) for scid in found.channels),
        "nodes": sorted(str(node_id) for node_id in found.nodes),
        "updates": sum(channel.get_direction(d) is not None for channel in found.channels.values() for d in (0, 1)),
    }


if __name__ == "__main__":
    serve({"call": call, "gossmap": gossmap, "methods": methods, "notified": notified})
