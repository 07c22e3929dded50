"""Two nodes that dial each other at the same moment end with one connection, the same for both."""

import asyncio
import contextlib

import pytest

from tests.harness.node import Node, Nodes, RpcError
from tests.harness.waiting import until

ROUNDS = 20


@pytest.mark.long
async def test_dials_that_cross(nodes: Nodes) -> None:
    l1, l2 = nodes.begin(), nodes.begin()
    l1.ready(), l2.ready()
    for _ in range(ROUNDS):
        answers = await asyncio.gather(
            l1.rpc("connect", id=l2.target), l2.rpc("connect", id=l1.target), return_exceptions=True
        )
        assert not [answer for answer in answers if isinstance(answer, BaseException) and not lost(answer)]
        await until(lambda: one_connection(l1, l2), "not exactly one connection")
        await until(lambda: nothing(l1, l2), "they do not part")
    await l1.be_alone()
    await l2.be_alone()


def lost(error: BaseException) -> bool:
    """CLN's word for a connection that has ended while `connect` was answered: the other one is kept."""
    return isinstance(error, RpcError) and error.code == 402


async def one_connection(l1: Node, l2: Node) -> bool:
    """Both nodes have one, dialled by one of them, and nothing is on its way out."""
    listed = [(await node.rpc("listpeers"))["peers"] for node in (l1, l2)]
    if [len(peers) for peers in listed] != [1, 1]:
        return False
    try:
        await l1.rpc("ping", id=l2.node_id)
        await l2.rpc("ping", id=l1.node_id)
    except RpcError:  # it was the one that goes
        return False
    return {peers[0]["direction"] for peers in listed} == {"in", "out"}


async def nothing(l1: Node, l2: Node) -> bool:
    """Disconnect; a dial that was still under way may have come through after it."""
    with contextlib.suppress(RpcError):
        await l1.rpc("disconnect", id=l2.node_id)
    return not (await l1.peers() or await l2.peers())
