"""The JSON-RPC methods: CLN's names, parameters, result fields and error codes, with `owner` and `conn_id` added."""

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from lightningd_py.config import options
from lightningd_py.daemons.gossip_control import store_path
from lightningd_py.rpc import peer_requests
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.listings import Listings
from lightningd_py.rpc.params import (
    INTERNAL_ERROR,
    INVALID_PARAMETERS,
    Parameter,
    RpcError,
    boolean,
    hex_bytes,
    node_id,
    optional,
    short_channel_id,
    text,
    u16,
)
from lightningd_py.rpc.params import peer as peer_parameter
from lightningd_py.rpc.peer_commands import PeerCommands
from lightningd_py.rpc.peer_listing import list_peers
from lightningd_py.rpc.service_commands import ServiceCommands
from lightningd_py.rpc.sign_commands import SignCommands
from wire.address import DEFAULT_PORTS, WireAddr, parse_address, to_json
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_message import Reply, Request
from wire.frames import MAX_MESSAGE

if TYPE_CHECKING:
    from lightningd_py.node import Node

MAX_PING = MAX_MESSAGE - 6
"""Ignored bytes in a ping: what a message has room for besides its type and two lengths."""

R = TypeVar("R", bound=Reply)


class Commands:
    """The methods of one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._listings = Listings(store_path(node.options))
        self._peer_commands = PeerCommands(node)
        self._port = DEFAULT_PORTS[node.options.network]

    def close(self) -> None:
        """Let go of what was opened for listings."""
        self._listings.close()

    def all(self) -> list[Command]:
        """Every method, for the RPC server and for docs/json-rpc.md."""
        return [
            Command("getinfo", self.getinfo, (), "Show this node: id, addresses, features, and what it knows."),
            Command(
                "connect",
                self.connect,
                (Parameter("id", peer_parameter(self._port)), optional("host", text), optional("port", u16)),
                "Connect to a node, by id@host:port, by id, host and port, or by id alone if it is on the map.",
            ),
            Command(
                "disconnect",
                self.disconnect,
                (Parameter("id", node_id), optional("force", boolean, False)),
                "End the connection with a peer. One that a service owns needs force.",
            ),
            Command(
                "listpeers",
                self.listpeers,
                (optional("id", node_id), optional("level", text)),
                "Show connected peers, who owns each connection, and through which messages it came there.",
            ),
            Command("listnodes", self.listnodes, (optional("id", node_id),), "Show one node of the map, or all."),
            Command(
                "listchannels",
                self.listchannels,
                (
                    optional("short_channel_id", short_channel_id),
                    optional("source", node_id),
                    optional("destination", node_id),
                ),
                "Show channels of the map, an entry a direction: one, those from or to a node, or all.",
            ),
            Command(
                "ping",
                self.ping,
                (Parameter("id", node_id), optional("len", u16, 128), optional("pongbytes", u16, 128)),
                "Ping a peer with len bytes, asking for pongbytes back.",
            ),
            Command(
                "sendcustommsg",
                self.sendcustommsg,
                (Parameter("node_id", node_id), Parameter("msg", hex_bytes)),
                "Send a peer a message of a type that is nobody's: msg is its type and content in hex.",
            ),
            Command(
                "addgossip",
                self.addgossip,
                (Parameter("message", hex_bytes),),
                "Put a signed gossip message on the map, as if a peer had sent it.",
            ),
            Command("resync", self.resync, (), "Ask a peer for all it has, and compare, as at the first start."),
            Command("compactgossipstore", self.compactgossipstore, (), "Rewrite gossip_store without what is dead."),
            Command("gossipstatus", self.gossipstatus, (), "Show how the map is: sizes, and what became of gossip."),
            *self._peer_commands.all(),
            *ServiceCommands(self._node).all(),
            *SignCommands(self._node, self._listings).all(),
            Command("stop", self.stop, (), "End the node."),
        ]

    async def getinfo(self) -> dict[str, Any]:
        """CLN's fields; the channel counts are 0, for this is the peer-to-peer half."""
        node = self._node
        chosen = node.options
        init = node.features.to_bytes().hex()
        info = {
            "id": node.node_id.hex(),
            "alias": node.alias,
            "color": node.color.hex(),
            "num_peers": len(node.ownership.peers),
            "num_pending_channels": 0,
            "num_active_channels": 0,
            "num_inactive_channels": 0,
            "address": [_address_json(address, self._port) for address in node.addresses],
            "binding": [_binding_json(address, self._port) for address in node.bindings],
            "version": options.version(),
            "blockheight": node.chain.blockheight,
            "network": chosen.network,
            "fees_collected_msat": 0,
            "lightning-dir": str(chosen.network_dir),
            "our_features": {"init": init, "node": init, "channel": "", "invoice": ""},
        }
        if node.chain.warning:
            info["warning_bitcoind_sync"] = node.chain.warning
        return info

    async def connect(self, id: tuple[bytes, WireAddr | None], host: str | None, port: int | None) -> dict[str, Any]:
        """Reach a node; the answer comes when the master knows who owns the connection."""
        wanted, address = id
        hints = [str(hint) for hint in [address, self._hint(host, port)] if hint is not None]
        info = (await peer_requests.reach(self._node, wanted, hints)).info
        return {
            "id": info.node_id.hex(),
            "features": info.features.hex(),
            "direction": "in" if info.incoming else "out",
            "address": _address_json(info.address, self._port),
        }

    def _hint(self, host: str | None, port: int | None) -> WireAddr | None:
        if host is None:
            if port is not None:
                raise RpcError(INVALID_PARAMETERS, "port: a port needs a host")
            return None
        bracketed = f"[{host}]" if ":" in host and not host.startswith(("[", "/")) else host
        try:
            return parse_address(bracketed if port is None else f"{bracketed}:{port}", self._port)
        except ValueError as error:
            raise RpcError(INVALID_PARAMETERS, f"host: {error}") from error

    async def disconnect(self, id: bytes, force: bool) -> dict[str, Any]:
        """Done when the connection is gone."""
        peer = peer_requests.connected(self._node, id)
        if peer_requests.is_a_services(self._node, peer) and not force:
            raise RpcError(INTERNAL_ERROR, f"Peer is owned by service {peer.owner}: use force")
        await peer_requests.disconnect(self._node, peer, "disconnect was asked for")
        return {}

    async def listpeers(self, id: bytes | None, level: str | None) -> dict[str, Any]:
        """Also those that are to be connected. `level` is CLN's parameter for its log and has no effect here."""
        return {"peers": await list_peers(self._node, id)}

    async def listnodes(self, id: bytes | None) -> dict[str, Any]:
        """From the gossip_store, in a thread: a large map takes a while to write down."""
        return {"nodes": await asyncio.to_thread(self._listings.nodes, id)}

    async def listchannels(
        self, short_channel_id: int | None, source: bytes | None, destination: bytes | None
    ) -> dict[str, Any]:
        """From the gossip_store, in a thread."""
        if sum(wanted is not None for wanted in (short_channel_id, source, destination)) > 1:
            raise RpcError(INVALID_PARAMETERS, "Can only specify one of short_channel_id, source or destination")
        found = await asyncio.to_thread(self._listings.channels, short_channel_id, source, destination)
        return {"channels": found}

    async def ping(self, id: bytes, len: int, pongbytes: int) -> dict[str, Any]:
        """Through the connection's owner; totlen is the pong's size, 0 where none may come."""
        if len > MAX_PING:
            raise RpcError(INVALID_PARAMETERS, f"len: {len} bytes do not fit into a ping, {MAX_PING} do")
        peer = peer_requests.connected(self._node, id)
        request = control_wire.Ping(id, peer.info.conn_id, pongbytes, len)
        reply = await peer_requests.ask_owner(self._node, peer, request, control_wire.Pong)
        return {"totlen": reply.totlen}

    async def sendcustommsg(self, node_id: bytes, msg: bytes) -> dict[str, Any]:
        """Only types that no daemon of ours and no channel service answers for."""
        await peer_requests.send_message(self._node, node_id, msg)
        return {"status": "Message sent to peer for delivery"}

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
        peer = self._node.ownership.peers.get(conn_id)
        return None if peer is None else peer.info.node_id.hex()

    async def resync(self) -> dict[str, Any]:
        """gossipstatus shows how it goes."""
        await self._ask_gossipd(control_wire.Resync(), control_wire.ResyncReply)
        return {}

    async def compactgossipstore(self) -> dict[str, Any]:
        """CLN's dev-compact-gossip-store. Answers when it is done; `store_bytes` is the new size."""
        try:
            reply = await self._ask_gossipd(control_wire.CompactStore(), control_wire.CompactStoreReply)
        except RequestFailed as failed:
            raise RpcError(INTERNAL_ERROR, str(failed)) from failed
        return {"store_bytes": reply.store_bytes}

    async def _ask_gossipd(self, request: Request, reply_type: type[R]) -> R:
        try:
            return await self._node.gossipd.channel.request(request, reply_type)
        except ChannelClosed:
            raise RpcError(INTERNAL_ERROR, self._node.anew.refusal(self._node.gossipd)) from None

    async def stop(self) -> dict[str, Any]:
        """The answer is written before the socket closes."""
        self._node.stop(0)
        return {"result": "Shutdown complete"}


def _address_json(address: str, default_port: int) -> dict[str, str | int]:
    return to_json(parse_address(address, default_port))


def _binding_json(text: str, default_port: int) -> dict[str, str | int]:
    """As CLN shows it, a WebSocket's kind of address as its subtype."""
    shown = _address_json(text.removeprefix("ws:"), default_port)
    return shown | {"type": "websocket", "subtype": shown["type"]} if text.startswith("ws:") else shown
