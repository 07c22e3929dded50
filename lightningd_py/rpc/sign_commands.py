"""signmessage and checkmessage: CLN's names, fields and errors. hsmd signs; a signer is found by any node."""

from typing import Any

from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.hsm.signmessage import LONGEST_MESSAGE, digest_of, from_zbase, signer_of, to_zbase
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import INTERNAL_ERROR, INVALID_PARAMETERS, RpcError, node_id, optional, required, text
from lightningd_py.rpc.peer_requests import ENDING
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_wire import MapListing, SignMessage, SignMessageReply

PUBKEY_NOT_FOUND = 1301
"""CLN's code."""


class SignCommands:
    """The two methods of one node."""

    def __init__(self, hsmd: ControlChannel, listingd: ListingControl) -> None:
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
            reply = await self._hsmd.request(SignMessage(raw), SignMessageReply)
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
