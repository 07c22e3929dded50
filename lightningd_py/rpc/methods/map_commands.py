"""JSON-RPC methods about the map: CLN's listings, and what gossipd is asked for."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from lightningd_py.config.options import Options
from lightningd_py.owners.ownership import Ownership
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.notifications import tell_asker
from lightningd_py.rpc.params import (
    INTERNAL_ERROR,
    INVALID_PARAMETERS,
    WAIT_TIMEOUT,
    RpcError,
    hex_bytes,
    node_id,
    optional,
    required,
    short_channel_id,
    u32,
)
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_message import Reply, Request
from wire.control.control_wire import GOSSIP_V2, MapListing

R = TypeVar("R", bound=Reply)
NORMAL = "normal"
"""The seeker's state when it misses nothing that it knows of."""
LOOK = 0.5
"""Seconds between two looks."""


class MapCommands:
    """The methods of one node."""

    def __init__(self, chosen: Options, ownership: Ownership, refusal: Callable[[str], str]) -> None:
        """`refusal`: why gossipd is not there."""
        self._options = chosen
        self._ownership = ownership
        self._refusal = refusal

    def all(self) -> list[Command]:
        """For `Commands`."""
        return [
            Command(
                "listnodes",
                self.listnodes,
                (optional("id", node_id, "this node alone"),),
                "Show one node of the map, or all.",
            ),
            Command(
                "listchannels",
                self.listchannels,
                (
                    optional("short_channel_id", short_channel_id, "this channel alone"),
                    optional("source", node_id, "the directions that go out from this node"),
                    optional("destination", node_id, "the directions that lead to this node"),
                ),
                "Show channels of the map, an entry a direction: one, those from or to a node, or all.",
            ),
            Command(
                "listgossipv2",
                self.listgossipv2,
                (
                    optional("short_channel_id", short_channel_id, "this channel alone"),
                    optional("id", node_id, "this node and its channels"),
                ),
                "Show what is kept of gossip v2 (--experimental-gossip-v2): channels with their updates, and nodes.",
            ),
            Command(
                "addgossip",
                self.addgossip,
                (required("message", hex_bytes, "a signed gossip message, with its type"),),
                "Put a signed gossip message on the map, as if a peer had sent it.",
            ),
            Command("resync", self.resync, (), "Ask a peer for all it has, and compare, as at the first start."),
            Command(
                "waitsync",
                self.waitsync,
                (optional("timeout", u32, "seconds after which it is given up"),),
                "Wait until the map is as complete as the peers can make it, after a start or a resync.",
            ),
            Command("compactgossipstore", self.compactgossipstore, (), "Rewrite gossip_store without what is dead."),
            Command("gossipstatus", self.gossipstatus, (), "Show how the map is: sizes, and what became of gossip."),
        ]

    async def listnodes(self, id: bytes | None) -> MapListing:
        """From the gossip_store. A long answer is written by listingd, as fast as it is read."""
        return MapListing("nodes", node_id=id)

    async def listchannels(
        self, short_channel_id: int | None, source: bytes | None, destination: bytes | None
    ) -> MapListing:
        """From the gossip_store, as listnodes. What is on the map from the first moment to the last is in it.

        `amount_msat` is there if the funding output was looked up: with --chain=none there is `unchecked` in its place,
        since no amount would be true. For scripts `htlc_maximum_msat` is the best that is known then.
        """
        if sum(wanted is not None for wanted in (short_channel_id, source, destination)) > 1:
            raise RpcError(INVALID_PARAMETERS, "Can only specify one of short_channel_id, source or destination")
        return MapListing("channels", short_channel_id, source, destination)

    async def listgossipv2(self, short_channel_id: int | None, id: bytes | None) -> MapListing:
        """What is beside the map, and in no other listing. `type` of an entry is channel or node; `unchecked` is there
        where no chain has shown the funding output; `heard_from`: the address that has brought it. docs/gossip-v2.md
        """
        if short_channel_id is not None and id is not None:
            raise RpcError(INVALID_PARAMETERS, "Can only specify one of short_channel_id or id")
        if not self._options.experimental_gossip_v2:
            raise RpcError(INTERNAL_ERROR, "gossip v2 is not judged here: start the node with --experimental-gossip-v2")
        return MapListing(GOSSIP_V2, short_channel_id, node_id=id)

    async def addgossip(self, message: bytes) -> dict[str, Any]:
        """The answer comes after the signature check."""
        try:
            await self._ask_gossipd(control_wire.AddGossip(message), control_wire.AddGossipReply)
        except RequestFailed as failed:
            raise RpcError(INVALID_PARAMETERS, f"message: {failed}") from failed
        return {}

    async def gossipstatus(self) -> dict[str, Any]:
        """`state` of the seeker, `percent` of what it has asked for that has come, counters by name; `peer_gossip`: how
        much of each peer's was good, redundant, rate_limited or bad, its score, and whether it is ignored for that.
        """
        reply = await self._ask_gossipd(control_wire.GossipStatus(), control_wire.GossipStatusReply)
        counters = dict(reply.counters)
        missing = counters["asked"] + counters["wanted"]
        percent = 100 if not missing else 100 * counters["got"] // missing
        peers = [{"id": self._node_id_of(each.conn_id), **dataclasses.asdict(each)} for each in reply.peers]
        return {"state": reply.state, "percent": percent, **counters, "peer_gossip": peers}

    def _node_id_of(self, conn_id: int) -> str | None:
        peer = self._ownership.peers.get(conn_id)
        return None if peer is None else peer.info.node_id.hex()

    async def resync(self) -> dict[str, Any]:
        """gossipstatus shows how it goes."""
        await self._ask_gossipd(control_wire.Resync(), control_wire.ResyncReply)
        return {}

    async def waitsync(self, timeout: int | None) -> dict[str, Any]:  # noqa: ASYNC109 - as waitblockheight's
        """Notifications tell how far it is; the answer is that of gossipstatus. Code 2000 if it takes longer."""
        tell = tell_asker()
        try:
            async with asyncio.timeout(timeout):
                told = None
                while (status := await self.gossipstatus())["state"] != NORMAL:
                    step = f"{status['state']}: {status['channels']} channels", min(status["percent"], 99)
                    if step != told:
                        tell(*step, 100)
                    told = step
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise RpcError(WAIT_TIMEOUT, "Timed out.") from None
        return status

    async def compactgossipstore(self) -> dict[str, Any]:
        """CLN's dev-compact-gossip-store. Answers when it is done; `store_bytes` is the new size."""
        try:
            reply = await self._ask_gossipd(control_wire.CompactStore(), control_wire.CompactStoreReply)
        except RequestFailed as failed:
            raise RpcError(INTERNAL_ERROR, str(failed)) from failed
        return {"store_bytes": reply.store_bytes}

    async def _ask_gossipd(self, request: Request, reply_type: type[R]) -> R:
        try:
            return await self._ownership.gossipd.request(request, reply_type)
        except ChannelClosed:
            raise RpcError(INTERNAL_ERROR, self._refusal("gossipd")) from None
