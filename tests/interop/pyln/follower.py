"""pyln-client's Gossmap kept open over a store that goes on. Runs in pyln's own virtual environment.

open path -> null          refresh -> what the map holds then
"""

from typing import Any

from lines import serve
from pyln.client import Gossmap

opened: list[Gossmap] = []


def open_store(path: str) -> None:
    opened[:] = [Gossmap(path)]


def refresh() -> dict[str, Any]:
    (gossmap,) = opened
    gossmap.refresh()
    return {
        "channels": {str(scid): channel.satoshis for scid, channel in gossmap.channels.items()},
        "nodes": {
            str(node_id): node.alias.rstrip(chr(0)) if node.announced else None
            for node_id, node in gossmap.nodes.items()
        },
        "updates": sorted(
            [str(half), half.timestamp, half.fee_base_msat, half.fee_proportional_millionths, half.disabled]
            for channel in gossmap.channels.values()
            for half in channel.half_channels
            if half is not None
        ),
    }


if __name__ == "__main__":
    serve({"open": open_store, "refresh": refresh})
