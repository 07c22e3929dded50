"""What is asked about peers, by JSON-RPC and on the CTL bus: reach one, end its connection, tell it something.

What an owner has to do has a deadline: an owner may hang, and a service's program is not ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container
from typing import TypeVar

from lightningd_py.database import Database
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from lightningd_py.rpc.params import INTERNAL_ERROR, INVALID_PARAMETERS, RpcError
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_message import Refusal, Reply, Request
from wire.control.control_wire import PeerInfo
from wire.control.timing import Timing
from wire.crypto_state import MAX_MESSAGE
from wire.net.pinger import patience_for
from wire.peer_wire import message_name
from wire.routing import Action, default_action

CONNECT_NO_KNOWN_ADDRESS, CONNECT_ALL_ADDRESSES_FAILED, CONNECT_DISCONNECTED_DURING = 400, 401, 402
ENDING = "the node is ending"
R = TypeVar("R", bound=Reply)
T = TypeVar("T")


class PeerRequests:
    """Each method raises RpcError, with CLN's code and words, for what cannot be done."""

    def __init__(
        self,
        ownership: Ownership,
        database: Database,
        reach: Callable[[bytes, list[str]], Awaitable[PeerInfo]],
        timing: Timing,
    ) -> None:
        """`reach`: ConnectControl's."""
        self._timing = timing
        self._ownership = ownership
        self._database = database
        self._reach = reach

    @property
    def behind(self) -> bool:
        """A daemon takes less than it is told: nothing is begun that would tell it more."""
        channels = self._ownership.connectd, self._ownership.gossipd, self._ownership.connectiond
        return any(channel is not None and channel.behind for channel in channels)

    async def reach(self, node_id: bytes, hints: list[str]) -> Peer:
        """Connect, or find connected: at these addresses first, then at those where it was before. Done when the master
        knows who owns the connection. Two dials that cross may both end: then it is looked and dialled once more.
        """
        for _ in range(2):
            if (peer := await self._reach_once(node_id, hints)) is not None:
                return peer
        raise RpcError(CONNECT_DISCONNECTED_DURING, "Peer disconnected as soon as it was connected")

    async def _reach_once(self, node_id: bytes, hints: list[str]) -> Peer | None:
        """The node's connection; None if it has ended again."""
        known = [known.address for known in self._database.addresses_of(node_id)]
        try:
            info = await self._reach(node_id, [*hints, *known])
        except RequestFailed as failed:
            raise _reach_error(failed.refusal) from failed
        peer = await self._in_time(self._ownership.arrival(info.conn_id), info, "the owner of the new connection")
        return self._ownership.peers.of_node(node_id) if peer is None or peer.is_gone else peer

    def connected(self, node_id: bytes) -> Peer:
        """The node's connection."""
        peer = self._ownership.peers.of_node(node_id)
        if peer is None:
            raise RpcError(INTERNAL_ERROR, "Peer not connected")
        return peer

    def is_a_services(self, peer: Peer) -> bool:
        """Whether a service owns it."""
        return self._ownership.registrations.named(peer.owner) is not None

    async def disconnect(self, peer: Peer, reason: str) -> None:
        """Done when the connection is gone."""
        self._ownership.disconnect(peer, reason)
        await self._in_time(peer.gone.wait(), peer.info, _owner_of(peer))

    async def send_message(self, node_id: bytes, message: bytes, own: Container[int] = ()) -> None:
        """Only of types that no daemon of ours and no channel service answers for, or that are the asker's `own`."""
        number = int.from_bytes(message[:2], "big")
        if not 2 <= len(message) <= MAX_MESSAGE:
            raise RpcError(INVALID_PARAMETERS, f"msg: a message has 2 to {MAX_MESSAGE} bytes, its type comes first")
        if number not in own:
            if not message_name(number).startswith("unknown_"):
                raise RpcError(INVALID_PARAMETERS, f"Cannot send messages of type {number} ({message_name(number)})")
            if default_action(number) is not Action.IGNORE:
                raise RpcError(INVALID_PARAMETERS, f"Cannot send messages of even type {number}")
        peer = self.connected(node_id)
        request = control_wire.SendMessage(node_id, peer.info.conn_id, message)
        await self.ask_owner(peer, request, control_wire.SendMessageReply)

    async def ask_owner(self, peer: Peer, request: Request, reply_type: type[R]) -> R:
        """The answer of the connection's owner."""
        asking = self._ownership.channel_of(peer).request(request, reply_type)
        try:
            return await self._in_time(asking, peer.info, _owner_of(peer))
        except RequestFailed as failed:
            raise RpcError(INTERNAL_ERROR, str(failed)) from failed
        except ChannelClosed:
            raise RpcError(INTERNAL_ERROR, "Peer not connected") from None

    async def _in_time(self, waiting: Awaitable[T], info: PeerInfo, who: str) -> T:
        """What is waited for, for as long as a peer may take to answer a ping."""
        patience = self._timing.pong_timeout * patience_for(info.address)
        try:
            async with asyncio.timeout(patience):
                return await waiting
        except TimeoutError:
            raise RpcError(INTERNAL_ERROR, f"{who} has not answered for {patience:g} seconds") from None


def _owner_of(peer: Peer) -> str:
    return f"the peer, or {peer.owner}, which has its connection,"


def _reach_error(refusal: Refusal) -> RpcError:
    """CLN's codes, and every address that was tried with what came of it."""
    if not isinstance(refusal, control_wire.ReachPeerReplyfail):
        return RpcError(INTERNAL_ERROR, refusal.error)
    tried = [{"address": address, "error": reason} for address, reason in refusal.errors]
    return RpcError(refusal.code, refusal.error, {"tried": tried} if tried else None)
