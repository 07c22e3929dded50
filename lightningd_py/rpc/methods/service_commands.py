"""JSON-RPC methods about services: who has registered what, and whose a connection is to be. CLN has none of these."""

from typing import Any

from lightningd_py.daemons.opening import Opening
from lightningd_py.owners.ownership import Ownership
from lightningd_py.registrations.registered import Refused
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.rpc.params import INTERNAL_ERROR, INVALID_PARAMETERS, RpcError, node_id, required, text
from wire.bus.bus_wire import BusChannel, ServiceEntry
from wire.peer_wire import message_name
from wire.scid import scid_to_text


class ServiceCommands:
    """The methods of one node."""

    def __init__(self, ownership: Ownership, requests: PeerRequests, opening: Opening) -> None:
        self._ownership = ownership
        self._registrations = ownership.registrations
        self._requests = requests
        self._opening = opening

    def all(self) -> list[Command]:
        """For `Commands`."""
        service = required("service", text, "its name")
        return [
            Command(
                "listservices", self.listservices, (), "Show every service: what it has registered, if it is here."
            ),
            Command(
                "takepeer",
                self.takepeer,
                (service, required("id", node_id, "the peer")),
                "Have gossipd release a peer's connection, and give it to this service.",
            ),
            Command(
                "forgetservice",
                self.forgetservice,
                (service,),
                "Give up the nodes and channels that are kept for a bus service which is away and will not come back.",
            ),
        ]

    async def listservices(self) -> dict[str, Any]:
        """`here`: a program always, a bus service while it can be given what it has registered for."""
        shown = {"services": [_entry_json(entry) for entry in self._registrations.entries()]}
        return shown | ({"waits_for": missing} if (missing := self._opening.waits_for) else {})

    async def takepeer(self, service: str, id: bytes) -> dict[str, Any]:
        """By `release_peer`; listpeers shows the new owner."""
        chosen = self._registrations.named(service)
        if chosen is None:
            raise RpcError(INVALID_PARAMETERS, f"service: there is no service '{service}'")
        if not chosen.present:
            raise RpcError(INTERNAL_ERROR, f"Service {service} is not here")
        peer = self._requests.connected(id)
        try:
            self._ownership.release(peer, chosen)
        except ValueError as error:
            raise RpcError(INTERNAL_ERROR, str(error)) from error
        return {}

    async def forgetservice(self, service: str) -> dict[str, Any]:
        """Its peers' channel messages get the answer for which no service is here, from now on."""
        try:
            self._registrations.forget(service)
        except Refused as refused:
            raise RpcError(INVALID_PARAMETERS, f"service: {refused}") from refused
        await self._registrations.saved()
        return {}


def _entry_json(entry: ServiceEntry) -> dict[str, Any]:
    return {
        "service": entry.service,
        "kind": entry.kind,
        "here": entry.here,
        "node_ids": [node_id.hex() for node_id in entry.node_ids],
        "channels": [_channel_json(channel) for channel in entry.channels],
        "take": list(map(_type_text, entry.take)),
        "copy": list(map(_type_text, entry.copy)),
        "offer": entry.offer,
        "allow": entry.allow,
        "deny": entry.deny,
        "onion_messages": entry.onion_messages,
    }


def _channel_json(channel: BusChannel) -> dict[str, Any]:
    scid = channel.short_channel_id
    shown = {"channel_id": channel.channel_id.hex(), "id": channel.node_id.hex()}
    return shown if scid is None else shown | {"short_channel_id": scid_to_text(scid)}


def _type_text(number: int) -> str:
    """By name, or by number where it has none: as --take has them."""
    name = message_name(number)
    return str(number) if name.startswith("unknown_") else name
