"""`listpeers`: the master's table, with what the owners know of traffic, and the kept nodes that are not connected."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from lightningd_py.database import Database
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from lightningd_py.peers.reconnect import KeptNode
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_wire import ListPeers, ListPeersReply, PeerStats
from wire.features import Features

OWNER_TIME = 0.5
"""Seconds that an owner has to answer; a service's program may be busy with other things."""


async def list_peers(
    ownership: Ownership, database: Database, kept: Mapping[bytes, KeptNode], wanted: bytes | None
) -> list[dict[str, Any]]:
    """All that are connected, then those that are to be, which `kept` has; or the one of this node_id."""
    owners = ownership.owners()
    answers = await asyncio.gather(*(_stats(owner) for owner in owners))
    said = {(owner, row.conn_id): row for owner, answer in zip(owners, answers, strict=True) for row in answer}
    peers = [peer for peer in ownership.peers if wanted in (None, peer.info.node_id)]
    stats = {peer: said.get((ownership.channel_of(peer), peer.info.conn_id)) for peer in peers}  # of its owner's only
    listed = [_connected(peer, stats[peer], peer.info.node_id in kept) for peer in peers]
    there = {peer.info.node_id for peer in peers}
    now = asyncio.get_running_loop().time()
    return listed + [
        _missing(node_id, state, [known.address for known in database.addresses_of(node_id)], now)
        for node_id, state in kept.items()
        if wanted in (None, node_id) and node_id not in there
    ]


async def _stats(owner: ControlChannel) -> list[PeerStats]:
    try:
        async with asyncio.timeout(OWNER_TIME):
            return (await owner.request(ListPeers(), ListPeersReply)).peers
    except (ChannelClosed, TimeoutError):
        return []


MOST_NAMES = 128
"""Features of a peer that are listed by name, twice as many as have one; `features` has them all."""


def _connected(peer: Peer, stats: PeerStats | None, kept: bool) -> dict[str, Any]:
    info = peer.info
    fields: dict[str, Any] = {
        "id": info.node_id.hex(),
        "connected": True,
        "num_channels": 0,
        "netaddr": [info.address],
        "features": info.features.hex(),
        "owner": peer.owner,
        "conn_id": info.conn_id,
        "direction": "in" if info.incoming else "out",
        "connected_since": int(peer.since),
        "keepconnected": kept,
        "feature_names": Features(info.features).names(MOST_NAMES),
        "moves": [{"at": round(move.at, 3), "owner": move.owner, "message": move.message} for move in peer.moves],
    }
    if info.remote_addr is not None:
        fields["remote_addr"] = info.remote_addr
    if peer.last_error is not None:
        fields["last_error"] = peer.last_error
    return fields | (_traffic(stats) if stats is not None else {})


def _traffic(stats: PeerStats) -> dict[str, Any]:
    traffic = stats.traffic
    fields: dict[str, Any] = {
        "bytes_in": traffic.bytes_in,
        "bytes_out": traffic.bytes_out,
        "messages_in": traffic.messages_in,
        "messages_out": traffic.messages_out,
        "new_gossip": stats.novel,
    }
    if stats.latency is not None and math.isfinite(stats.latency):
        fields["ping_ms"] = round(1000 * stats.latency, 3)
    return fields


def _missing(node_id: bytes, state: KeptNode, addresses: list[str], now: float) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": node_id.hex(),
        "connected": False,
        "num_channels": 0,
        "netaddr": addresses,
        "keepconnected": True,
        "tries": state.tries,
    }
    if state.due is not None:
        fields["next_try_in"] = round(max(0.0, state.due - now), 3)
    if state.error:
        fields["last_error"] = state.error
    return fields
