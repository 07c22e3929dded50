"""Giving a connection away where gossipd does not answer."""

import asyncio
from collections.abc import Callable

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import PATIENCE, ConnectdProcess
from wire.control.timing import Timing


@pytest.mark.parametrize("there", [True, False], ids=["hangs", "is away"])
async def test_who_asked_for_a_peer_is_answered_while_gossipd(
    new_connectd: Callable[[], ConnectdProcess], there: bool
) -> None:
    connectd = new_connectd()
    await connectd.start(timing=Timing(connection_timeout=1.0))
    connectd.gossip_gate.clear()
    if not there:
        connectd.link.close()
    async with await ScriptedPeer.listen() as listener:
        reaching = connectd.reaching(listener.node_id, listener.address)
        async with await listener.accept() as peer:
            code, errors = await connectd.refused(reaching)
            assert (code, errors) == (401, [(listener.address, "gossipd has not taken it within 1 seconds")])
            await peer.hangs_up()
    connectd.gossip_gate.set()
    connectd.new_link()
    await connectd.lives()


async def test_strangers_leave_nothing_while_gossipd_hangs(new_connectd: Callable[[], ConnectdProcess]) -> None:
    connectd = new_connectd()
    await connectd.start(timing=Timing(connection_timeout=1.0))
    await connectd.lives()
    await connectd.barrier()
    before = connectd.fds()
    connectd.gossip_gate.clear()
    for _ in range(3):
        async with await ScriptedPeer.connect(connectd.target()) as peer:
            await peer.hangs_up()
    connectd.gossip_gate.set()
    await connectd.barrier()
    async with asyncio.timeout(PATIENCE):
        while connectd.fds() > before:  # what comes too late is closed
            await connectd.barrier()
    await connectd.lives()
