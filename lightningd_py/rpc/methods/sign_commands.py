"""signmessage, checkmessage and makesecret, as CLN has them. hsmd has the key; a signer is found by any node."""

from collections.abc import Callable
from typing import Any

from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.hsm.signmessage import LONGEST_MESSAGE, digest_of, from_zbase, signer_of, to_zbase
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.methods.peer_requests import ENDING
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
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_wire import DeriveSecret, DeriveSecretReply, MapListing, SignMessage, SignMessageReply

PUBKEY_NOT_FOUND = 1301
"""CLN's code."""


class SignCommands:
    """The methods of one node."""

    def __init__(self, hsmd: Callable[[], ControlChannel], listingd: ListingControl) -> None:
        """`hsmd`: the one that is there now."""
        self._hsmd = hsmd
        self._listingd = listingd

    def all(self) -> list[Command]:
        """For `Commands`."""
        return [
            Command(
                "signmessage",
                self.signmessage,
                (required("message", text, "the text, up to 65,535 bytes of UTF-8"),),
                "Sign a message with the node's key, so that checkmessage of any Lightning node knows it again.",
            ),
            Command(
                "makesecret",
                self.makesecret,
                (optional("hex", hex_bytes, "any bytes"), optional("string", text, "or any text")),
                "Derive a secret of 32 bytes from the node's.",
            ),
            Command(
                "checkmessage",
                self.checkmessage,
                (
                    required("message", text, "the text that was signed"),
                    required("zbase", text, "the signature, as signmessage gives it"),
                    optional("pubkey", node_id, "who is said to have signed it"),
                ),
                "Check a signature of signmessage: is it pubkey's, or else that of any node on the map?",
            ),
        ]

    async def makesecret(self, hex: bytes | None, string: str | None) -> dict[str, Any]:
        """The same for the same words, now and with another node of this hsm_secret: CLN derives the same."""
        if (hex is None) == (string is None):
            raise RpcError(INVALID_PARAMETERS, "Must have either hex or string")
        info = hex if hex is not None else (string or "").encode()
        if len(info) > LONGEST_MESSAGE:
            raise RpcError(INVALID_PARAMETERS, f"at most {LONGEST_MESSAGE} bytes may be said")
        try:
            reply = await self._hsmd().request(DeriveSecret(info), DeriveSecretReply)
        except RequestFailed as refused:
            raise RpcError(INTERNAL_ERROR, str(refused)) from refused
        except ChannelClosed:
            raise RpcError(INTERNAL_ERROR, ENDING) from None
        return {"secret": reply.secret.hex()}

    async def signmessage(self, message: str) -> dict[str, Any]:
        """The signature in three forms."""
        raw = message.encode()
        if len(raw) > LONGEST_MESSAGE:
            raise RpcError(INVALID_PARAMETERS, "Message must be < 64k")
        try:
            digest_of(raw)  # hsmd looks, too, and takes it for our own fault
        except ValueError as error:
            raise RpcError(INVALID_PARAMETERS, f"Message is not signed: {error}") from error
        try:
            reply = await self._hsmd().request(SignMessage(raw), SignMessageReply)
        except ChannelClosed:
            raise RpcError(INTERNAL_ERROR, ENDING) from None
        return {
            "signature": reply.signature.hex(),
            "recid": f"{reply.recovery_id:02x}",
            "zbase": to_zbase(reply.signature, reply.recovery_id),
        }

    async def checkmessage(self, message: str, zbase: str, pubkey: bytes | None) -> dict[str, Any]:
        """Without `pubkey` the signer must be on the map: some key fits any signature."""
        try:
            signer = signer_of(message.encode(), *from_zbase(zbase))
        except ValueError as error:
            words = str(error) if str(error).startswith("zbase") else "cannot parse zbase signature"
            raise RpcError(INVALID_PARAMETERS, words) from error
        if signer is None:
            return {"verified": False}
        if pubkey is None and not await self._is_listed(signer):
            raise RpcError(PUBKEY_NOT_FOUND, "pubkey not found in the graph", {"claimed_key": signer.hex()})
        return {"pubkey": signer.hex(), "verified": pubkey in (None, signer)}

    async def _is_listed(self, node_id: bytes) -> bool:
        """Whether it is a node of the map."""
        count, _ = await self._listingd.packed(MapListing("nodes", node_id=node_id))
        return count > 0
