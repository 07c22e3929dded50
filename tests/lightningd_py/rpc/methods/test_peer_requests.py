"""What is asked of an owner that does not answer: a deadline, and a sentence."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lightningd_py.owners.peers import Peer, State
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.rpc.params import RpcError
from tests.lightningd_py.ownership_among_fakes import NODE, info
from wire.control.control_wire import PeerInfo, Ping, Pong
from wire.control.timing import Timing


class Hanging:
    """An Ownership whose owners never answer, and never let go."""

    def __init__(self) -> None:
        self.peers = self
        self.peer = Peer(info(1), State.PROGRAM, "s", 0.0)

    def of_node(self, node_id: bytes) -> Peer:
        return self.peer

    def channel_of(self, peer: Peer) -> "Hanging":
        return self

    async def request(self, message: object, reply_type: object) -> None:
        await asyncio.get_running_loop().create_future()

    async def arrival(self, conn_id: int) -> Peer:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    def disconnect(self, peer: Peer, reason: str) -> None:
        """Do nothing."""

    def addresses_of(self, node_id: bytes) -> list[Any]:
        return []


async def reach(node_id: bytes, hints: list[str]) -> PeerInfo:
    return info(1)


@pytest.mark.parametrize(
    ("ask", "who"),
    [
        (lambda requests, peer: requests.ask_owner(peer, Ping(NODE, 1, 1, 1), Pong), "s, which has its connection,"),
        (lambda requests, peer: requests.send_message(NODE, b"\x80\x01"), "s, which has its connection,"),
        (lambda requests, peer: requests.disconnect(peer, "why not"), "s, which has its connection,"),
        (lambda requests, peer: requests.reach(NODE, []), "the owner of the new connection"),
    ],
    ids=["ping", "send_message", "disconnect", "reach"],
)
async def test_owner_that_does_not_answer(ask: Callable[[PeerRequests, Peer], Awaitable[object]], who: str) -> None:
    owners: Any = Hanging()
    requests = PeerRequests(owners, owners, reach, Timing(pong_timeout=0.05))
    with pytest.raises(RpcError, match=f"{who} has not answered for 0.05 seconds"):
        async with asyncio.timeout(60):
            await ask(requests, owners.peer)
