"""decode: CLN's method, for what this half of a node knows: node ids, short_channel_ids, and messages between peers."""

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import INVALID_PARAMETERS, RpcError, required, text
from wire.address import parse_peer, read_descriptors, to_json
from wire.cursor import WireError
from wire.features import Features
from wire.peer_wire import (
    BoltMessage,
    ChannelAnnouncement,
    ChannelUpdate,
    NodeAnnouncement,
    UnknownMessage,
    decode,
    decode_short_ids,
    message_name,
    printable,
)
from wire.scid import block_of, output_of, scid_from_text, scid_to_text, transaction_of
from wire.secp256k1 import double_sha256, is_point, verify

_HEX = re.compile("([0-9a-fA-F]{2})+")
_NOT_HERE = re.compile("(lightning:)?(ln(bc|tb|tbs|bcrt)[0-9]|lno1|lnr1|lni1|clnemerg1)", re.IGNORECASE)
SIGNATURE = 64


class DecodeCommands:
    """The method, which needs nothing of the node."""

    def __init__(self, default_port: int) -> None:
        """`default_port`: of addresses that have none."""
        self._port = default_port

    def all(self) -> list[Command]:
        """For `Commands`."""
        what = "a node id, id@host:port, a short_channel_id, or a message in hex with its type"
        return [Command("decode", self.decode, (required("string", text, what),), "Show what a string says.")]

    async def decode(self, string: str) -> dict[str, Any]:
        """`type` is `node_id`, `short_channel_id` or the message's name. `valid` is false where a signature is wrong,
        and left out where the key is not in the message. Features are shown by name, too.
        """
        if _NOT_HERE.match(string):
            raise RpcError(INVALID_PARAMETERS, "Invoices, offers and backups are not decoded here")
        for read in (self._node, _channel, _message):
            try:
                if (said := read(string)) is not None:
                    return said
            except (ValueError, WireError) as error:
                raise RpcError(INVALID_PARAMETERS, f"Unparsable string: {error}") from error
        raise RpcError(INVALID_PARAMETERS, "Unparsable string")

    def _node(self, string: str) -> dict[str, Any] | None:
        if not re.match("0[23][0-9a-fA-F]{64}(@|$)", string):
            return None
        name, at, _ = string.partition("@")
        shown: dict[str, Any] = {"type": "node_id", "valid": is_point(bytes.fromhex(name)), "node_id": name.lower()}
        address = parse_peer(string, self._port)[1] if at else None
        return shown if address is None else shown | {"address": to_json(address)}


def _channel(string: str) -> dict[str, Any] | None:
    if not re.fullmatch("[0-9]+x[0-9]+x[0-9]+", string):
        return None
    scid = scid_from_text(string)
    return {
        "type": "short_channel_id",
        "valid": True,
        "short_channel_id": scid_to_text(scid),
        "block": block_of(scid),
        "transaction": transaction_of(scid),
        "output": output_of(scid),
    }


def _message(string: str) -> dict[str, Any] | None:
    if not _HEX.fullmatch(string):
        return None
    raw = bytes.fromhex(string)
    message = decode(raw)
    shown = {"type": message_name(message.number), "number": message.number}
    valid = _signed_rightly(message, raw)
    return shown | ({} if valid is None else {"valid": valid}) | _fields(message)


def _signed_rightly(message: BoltMessage, raw: bytes) -> bool | None:
    """None where the key is not in the message."""
    match message:
        case ChannelAnnouncement():
            keys = [message.node_id_1, message.node_id_2, message.bitcoin_key_1, message.bitcoin_key_2]
        case NodeAnnouncement():
            keys = [message.node_id]
        case ChannelUpdate():
            return None
        case _:
            return True
    signed = double_sha256(raw[2 + SIGNATURE * len(keys) :])
    starts = range(2, 2 + SIGNATURE * len(keys), SIGNATURE)
    return all(
        is_point(key) and verify(signed, raw[start : start + SIGNATURE], key)
        for key, start in zip(keys, starts, strict=True)
    )


def _fields(message: BoltMessage) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for declared in fields(message):
        value = getattr(message, declared.name)
        if declared.name == "number" or value is None or (declared.name == "extension" and not value):
            continue
        shown[declared.name] = _SHOWN.get(declared.name, _plain)(value)
    if not isinstance(message, UnknownMessage) and "features" in shown:
        shown["feature_names"] = Features(bytes.fromhex(shown["features"])).names()
    return shown


def _plain(value: Any) -> Any:
    """As JSON has it: bytes in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _text(data: bytes) -> dict[str, str]:
    return {"hex": data.hex(), "text": printable(data)}


_SHOWN: dict[str, Callable[[Any], Any]] = {
    "short_channel_id": scid_to_text,
    "alias": lambda alias: alias.rstrip(b"\0").decode(errors="replace"),
    "addresses": lambda raw: [to_json(address) for address in read_descriptors(raw)],
    "remote_addr": to_json,
    "encoded_short_ids": lambda raw: [scid_to_text(scid) for scid in decode_short_ids(raw)],
    "data": _text,
}
"""Fields that are not shown by their kind."""
