"""JSON-RPC methods for onion messages: one is sent, and a blinded path to this node is made. Named after CLN's."""

from typing import Any

from lightningd_py.onions.onion_control import CannotSend, OnionControl
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import (
    INTERNAL_ERROR,
    INVALID_PARAMETERS,
    RpcError,
    hex_bytes,
    node_id,
    optional,
    required,
    text,
)
from wire.onion.blinding import BlindedPath, read_path
from wire.onion.payloads import ENCRYPTED_RECIPIENT_DATA, REPLY_PATH

MOST_FIELDS = 20


class OnionCommands:
    """The methods of one node."""

    def __init__(self, onions: OnionControl) -> None:
        self._onions = onions

    def all(self) -> list[Command]:
        """For `Commands`."""
        return [
            Command(
                "blindedpath",
                self.blindedpath,
                (
                    required("service", text, "who is told what comes along the path: a service of the buses"),
                    optional("ids", node_ids, "nodes on the way, the introduction node first; none: it is this node"),
                    optional("context", hex_bytes, "what the service is told with it, up to 128 bytes", b""),
                ),
                "Make a blinded path to this node, for answers or for an offer.",
            ),
            Command(
                "sendonionmessage",
                self.sendonionmessage,
                (
                    required("fields", fields, "type: hex, of onionmsg_tlv; types from 64 on are payloads"),
                    optional("ids", node_ids, "the nodes: a peer first, each connected with the next one"),
                    optional("blindedpath", hex_bytes, "where it goes from the last of these, or from this node"),
                    optional("reply_path", hex_bytes, "a blinded path to this node"),
                ),
                "Send an onion message to a node or along a blinded path. No one says whether it arrives.",
            ),
        ]

    async def blindedpath(self, service: str, ids: list[bytes] | None, context: bytes) -> dict[str, Any]:
        """In hex as BOLT 4 writes it, and its parts."""
        try:
            raw = await self._onions.path_to_us(ids or [], service, context)
        except CannotSend as error:
            raise RpcError(INVALID_PARAMETERS, str(error)) from error
        return {"blindedpath": raw.hex()} | _path_json(read_path(raw))

    async def sendonionmessage(
        self, fields: dict[int, bytes], ids: list[bytes] | None, blindedpath: bytes | None, reply_path: bytes | None
    ) -> dict[str, Any]:
        """Done when the first node's connection has it."""
        try:
            await self._onions.send(ids or [], blindedpath or b"", fields, reply_path or b"")
        except CannotSend as error:
            raise RpcError(INTERNAL_ERROR, str(error)) from error
        return {}


def node_ids(value: Any) -> list[bytes]:
    """A list of node ids."""
    if not isinstance(value, list):
        raise ValueError("should be an array of node ids")
    return [node_id(each) for each in value]


def fields(value: Any) -> dict[int, bytes]:
    """An object of hex values by decimal types, but for the two that have a parameter of their own, or are made."""
    if not isinstance(value, dict) or len(value) > MOST_FIELDS:
        raise ValueError(f"should be an object of {MOST_FIELDS} fields at most")
    found = {_type(name): hex_bytes(each) for name, each in value.items()}
    if found.keys() & {REPLY_PATH, ENCRYPTED_RECIPIENT_DATA}:
        raise ValueError("should have no reply_path and no encrypted_recipient_data")
    return found


def _type(name: Any) -> int:
    if not str(name).isdecimal() or len(str(name)) > 19:
        raise ValueError("should have numbers as names")
    return int(name)


def _path_json(path: BlindedPath) -> dict[str, Any]:
    return {
        "first_node_id": path.first_node_id.hex(),
        "first_path_key": path.first_path_key.hex(),
        "path": [
            {
                "blinded_node_id": hop.blinded_node_id.hex(),
                "encrypted_recipient_data": hop.encrypted_recipient_data.hex(),
            }
            for hop in path.hops
        ],
    }
