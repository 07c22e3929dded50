"""JSON-RPC methods about connections: CLN's, with `owner` and `conn_id` added to its fields."""

import time
from collections.abc import Callable
from typing import Any

from lightningd_py.database import Database
from lightningd_py.owners.ownership import Ownership
from lightningd_py.peers.staying_connected import StayingConnected
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.methods.peer_listing import list_peers
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.rpc.params import (
    INTERNAL_ERROR,
    INVALID_PARAMETERS,
    RpcError,
    boolean,
    hex_bytes,
    node_id,
    optional,
    required,
    text,
    u16,
)
from lightningd_py.rpc.params import peer as peer_parameter
from wire.address import WireAddr, parse_address, to_json
from wire.control import control_wire
from wire.crypto_state import MAX_MESSAGE

MAX_PING = MAX_MESSAGE - 6
"""Ignored bytes in a ping: what a message has room for besides its type and two lengths."""


class ConnectionCommands:
    """The methods of one node."""

    def __init__(
        self,
        port: int,
        requests: PeerRequests,
        ownership: Ownership,
        database: Database,
        staying: StayingConnected,
        pinged: Callable[[bytes, float], None] = lambda node_id, seconds: None,
    ) -> None:
        """`port`: of addresses that have none. `pinged` hears how long each pong took."""
        self._pinged = pinged
        self._port = port
        self._requests = requests
        self._ownership = ownership
        self._database = database
        self._staying = staying

    def all(self) -> list[Command]:
        """For `Commands`."""
        return [
            Command(
                "connect",
                self.connect,
                (
                    required("id", peer_parameter(self._port), "the node, and perhaps where it is"),
                    optional("host", text, "an address, an .onion or a host name, with or without port"),
                    optional("port", u16, "of host"),
                ),
                "Connect to a node, by id@host:port, by id, host and port, or by id alone if it is on the map.",
            ),
            Command(
                "disconnect",
                self.disconnect,
                (
                    required("id", node_id, "the peer"),
                    optional("force", boolean, "end it even if a service owns it", False),
                ),
                "End the connection with a peer. One that a service owns needs force.",
            ),
            Command(
                "listpeers",
                self.listpeers,
                (optional("id", node_id, "this peer alone"), optional("level", text, "CLN's; has no effect here")),
                "Show connected peers, who owns each connection, and through which messages it came there.",
            ),
            Command(
                "ping",
                self.ping,
                (
                    required("id", node_id, "the peer"),
                    optional("len", u16, "ignored bytes in the ping", 128),
                    optional("pongbytes", u16, "bytes that the pong is to have; from 65532 on none is to come", 128),
                ),
                "Ping a peer with len bytes, asking for pongbytes back.",
            ),
            Command(
                "sendcustommsg",
                self.sendcustommsg,
                (
                    required("node_id", node_id, "the peer"),
                    required("msg", hex_bytes, "the message: two bytes of type, and its content"),
                ),
                "Send a peer a message of a type that no service has: msg is its type and content in hex.",
            ),
        ]

    async def connect(self, id: tuple[bytes, WireAddr | None], host: str | None, port: int | None) -> dict[str, Any]:
        """Reach a node; the answer comes when the master knows who owns the connection."""
        wanted, address = id
        hints = [str(hint) for hint in [address, self._hint(host, port)] if hint is not None]
        info = (await self._requests.reach(wanted, hints)).info
        return {
            "id": info.node_id.hex(),
            "features": info.features.hex(),
            "direction": "in" if info.incoming else "out",
            "address": address_json(info.address, self._port),
        }

    def _hint(self, host: str | None, port: int | None) -> WireAddr | None:
        if host is None:
            if port is not None:
                raise RpcError(INVALID_PARAMETERS, "port: a port needs a host")
            return None
        has_port = port is None and host.count(":") == 1
        bracketed = f"[{host}]" if ":" in host and not has_port and not host.startswith(("[", "/")) else host
        try:
            return parse_address(bracketed if port is None else f"{bracketed}:{port}", self._port)
        except ValueError as error:
            raise RpcError(INVALID_PARAMETERS, f"host: {error}") from error

    async def disconnect(self, id: bytes, force: bool) -> dict[str, Any]:
        """Done when the connection is gone."""
        peer = self._requests.connected(id)
        if self._requests.is_a_services(peer) and not force:
            raise RpcError(INTERNAL_ERROR, f"Peer is owned by service {peer.owner}: use force")
        await self._requests.disconnect(peer, "disconnect was asked for")
        return {}

    async def listpeers(self, id: bytes | None, level: str | None) -> dict[str, Any]:
        """Also those that are to be connected. `level` is CLN's parameter for its log and has no effect here."""
        kept = self._staying.core.nodes
        return {"peers": await list_peers(self._ownership, self._database, kept, id)}

    async def ping(self, id: bytes, len: int, pongbytes: int) -> dict[str, Any]:
        """Through the connection's owner; totlen is the pong's size, 0 where none may come."""
        if len > MAX_PING:
            raise RpcError(INVALID_PARAMETERS, f"len: {len} bytes do not fit into a ping, {MAX_PING} do")
        peer = self._requests.connected(id)
        request = control_wire.Ping(id, peer.info.conn_id, pongbytes, len)
        began = time.monotonic()
        reply = await self._requests.ask_owner(peer, request, control_wire.Pong)
        self._pinged(id, time.monotonic() - began)
        return {"totlen": reply.totlen}

    async def sendcustommsg(self, node_id: bytes, msg: bytes) -> dict[str, Any]:
        """Only types that no daemon of ours and no channel service answers for."""
        await self._requests.send_message(node_id, msg)
        return {"status": "Message sent to peer for delivery"}


def address_json(address: str, default_port: int) -> dict[str, str | int]:
    """As CLN shows it."""
    return to_json(parse_address(address, default_port))
