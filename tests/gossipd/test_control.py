"""gossipd's control sockets: what breaks one ends the process, and strangers do not use up its fds."""

import asyncio
import resource

import pytest

from gossipd.peers import eviction
from tests.gossipd.gossipd_process import GossipdProcesses
from wire.control.control_wire import Activate, PeerDisconnected

MOST = eviction.LEAST_PEERS + eviction.FDS_BESIDES


@pytest.mark.parametrize("case", ["not connectd's", "no message"])
async def test_a_link_that_breaks_ends_it(gossipds: GossipdProcesses, case: str) -> None:
    """The master starts the next one, and gives both ends a new link: nothing else would."""
    gossipd = gossipds.new()
    await gossipd.start()
    if case == "no message":
        gossipd.link._sock.send(b"?")
    else:
        gossipd.link.send(Activate(direct=False))
    assert await asyncio.to_thread(gossipd.process.wait, 20) == 1
    assert "BROKEN" in gossipd.log()
    gossipd.master.close()


async def test_peers_that_do_not_hang_up_use_up_no_fds(gossipds: GossipdProcesses) -> None:
    """Each says an even unknown message, is told why it goes, and stays there: that is bounded, and the link works."""
    gossipd = gossipds.new()
    resource.prlimit(gossipd.process.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
    await gossipd.start()
    for _ in range(MOST + 50):
        peer = await gossipd.connect(over_the_link=True)
        await peer.say(bytes.fromhex("8000"))
        assert (await gossipd.hear(PeerDisconnected)).conn_id == peer.conn_id
    assert gossipd.fds() < MOST
    honest = await gossipd.connect(over_the_link=True)
    await honest.sync()
    assert not gossipd.link.closed


async def test_gossip_fds_make_room_for_themselves(gossipds: GossipdProcesses) -> None:
    """Those of peers that others own count with the connections: one of these goes for one more of them."""
    gossipd = gossipds.new()
    resource.prlimit(gossipd.process.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
    await gossipd.start()
    owned = [await gossipd.connect() for _ in range(eviction.LEAST_PEERS)]
    for _ in range(5):
        await gossipd.connect_elsewhere()
        assert (await gossipd.hear(PeerDisconnected)).conn_id in {peer.conn_id for peer in owned}
    await owned[0].sync()
