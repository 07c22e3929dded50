"""What services ask for on CTL and what takes a while: about peers as over JSON-RPC, and signatures."""

from collections.abc import Callable

from lightningd_py.bus.ctl_news import shown
from lightningd_py.config.options import Options
from lightningd_py.daemons.hsm_control import AnnouncementSigner
from lightningd_py.onions.onion_control import CannotSend, OnionControl
from lightningd_py.owners.ownership import Ownership
from lightningd_py.peers.own_node import OwnNode
from lightningd_py.registrations.registered import Registered
from lightningd_py.rpc.methods.peer_requests import ENDING, PeerRequests
from lightningd_py.rpc.params import INTERNAL_ERROR, INVALID_PARAMETERS, RpcError
from lightningd_py.storage.for_peers import StorageForPeers
from wire.address import DEFAULT_PORTS, parse_address
from wire.bus import bus_wire
from wire.bus.bus_message import BusMessage
from wire.bus.bus_wire import Error, Ok
from wire.control.control_channel import ChannelClosed
from wire.control.control_message import Fd
from wire.secp256k1 import is_point
from wire.start.late_dataclass import dataclass

Answer = (
    Ok
    | Error
    | bus_wire.Registrations
    | bus_wire.Peers
    | bus_wire.Connected
    | bus_wire.Signature
    | bus_wire.BlindedPath
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the CTL bus uses of the node."""

    options: Options
    own: OwnNode
    ownership: Ownership
    requests: PeerRequests
    storage: StorageForPeers
    msg_endpoint: Callable[[], str]
    """Where services find the MSG bus; empty if there is none."""
    signing_socket: Callable[[str], Fd | None]
    """A socket to hsmd for this service, if it may sign."""
    onions: OnionControl
    catch_up: Callable[[], None]
    """Deals with what connectiond has said already: a service has heard on MSG of what we have not read yet."""


class CtlRequests:
    """For all services of a node."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._ownership = around.ownership
        self._requests = around.requests
        self._signers: dict[str, AnnouncementSigner] = {}

    def forget(self, service: str) -> None:
        """Its session has ended."""
        signer = self._signers.pop(service, None)
        if signer is not None:
            signer.close()

    async def carry_out(self, service: str, message: BusMessage) -> Answer:
        """Raises RpcError, whose message is one sentence."""
        match message:
            case bus_wire.Connect():
                return await self._connect(message)
            case bus_wire.Disconnect():
                await self._disconnect(service, message)
            case bus_wire.ReleasePeer():
                self._release(service, message)
            case bus_wire.SendMessage():
                copied = self._registered(service).copy
                await self._requests.send_message(message.node_id, message.message, copied)
            case bus_wire.StoreWithPeers():
                self._store(service, message.blob)
            case bus_wire.MakeBlindedPath():
                return await self._make_path(service, message)
            case bus_wire.SendOnionMessage():
                await self._send_onion(message)
            case bus_wire.SignChannelAnnouncement():
                return await self._sign(service, message.message)
            case _:
                raise RpcError(INVALID_PARAMETERS, f"there is nothing that a {message.name()} could do on this bus")
        return Ok()

    def _registered(self, service: str) -> Registered:
        found = self._ownership.registrations.named(service)
        if found is None:
            raise RpcError(INTERNAL_ERROR, "the session has ended")
        return found

    async def _connect(self, message: bus_wire.Connect) -> bus_wire.Connected:
        if not is_point(message.node_id):
            raise RpcError(INVALID_PARAMETERS, "node_id: it is no point on the curve")
        hints = []
        if message.address is not None:
            try:
                hints = [str(parse_address(message.address, DEFAULT_PORTS[self._around.options.network]))]
            except ValueError as error:
                raise RpcError(INVALID_PARAMETERS, f"address: {error}") from error
        return bus_wire.Connected(shown(await self._requests.reach(message.node_id, hints)))

    async def _disconnect(self, service: str, message: bus_wire.Disconnect) -> None:
        if message.node_id is None:
            raise RpcError(INVALID_PARAMETERS, "node_id: it is missing")
        peer = self._requests.connected(message.node_id)
        if peer.owner != service and self._requests.is_a_services(peer):
            raise RpcError(INTERNAL_ERROR, f"the connection is service {peer.owner}'s")
        await self._requests.disconnect(peer, f"service {service} has asked for that")

    def _release(self, service: str, message: bus_wire.ReleasePeer) -> None:
        registered = self._registered(service)
        if not registered.present:
            raise RpcError(INTERNAL_ERROR, "say hello on MSG first: connections are handed over there")
        peer = self._requests.connected(message.node_id)
        try:
            self._ownership.release(peer, registered)
        except ValueError as error:
            raise RpcError(INTERNAL_ERROR, str(error)) from error

    def _store(self, service: str, blob: bytes | None) -> None:
        try:
            self._around.storage.store_with_peers(service, blob)
        except ValueError as error:
            raise RpcError(INVALID_PARAMETERS, str(error)) from error

    async def _make_path(self, service: str, message: bus_wire.MakeBlindedPath) -> bus_wire.BlindedPath:
        onions = self._around.onions
        try:
            return bus_wire.BlindedPath(await onions.path_to_us(message.node_ids, service, message.context))
        except CannotSend as error:
            raise RpcError(INVALID_PARAMETERS, str(error)) from error

    async def _send_onion(self, message: bus_wire.SendOnionMessage) -> None:
        fields = {each.type: each.value for each in message.fields}
        try:
            await self._around.onions.send(message.node_ids, message.path, fields, message.reply_path)
        except CannotSend as error:
            raise RpcError(INVALID_PARAMETERS, str(error)) from error

    async def _sign(self, service: str, message: bytes) -> bus_wire.Signature:
        if service not in self._signers:
            hsm_socket = self._around.signing_socket(service)
            if hsm_socket is None:
                raise RpcError(INTERNAL_ERROR, f"nothing is signed for this service: there is no --may-sign={service}")
            self._signers[service] = AnnouncementSigner(hsm_socket)
        try:
            return bus_wire.Signature(await self._signers[service].sign_channel_announcement(message))
        except ValueError as error:
            raise RpcError(INVALID_PARAMETERS, str(error)) from error
        except ChannelClosed:
            raise RpcError(INTERNAL_ERROR, ENDING) from None
