"""Programs that go wrong, in each way that we could think of: one connection each, and nothing else of the node."""

import contextlib
import math
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness.moves import opening, owner
from tests.harness.node import Node
from tests.harness.puppeteer import Puppet, Puppeteer
from tests.harness.rogues import KINDS
from tests.harness.waiting import until
from wire.control.control_wire import ListPeersReply, PeerStats
from wire.crypto_state import Traffic
from wire.frames import FrameError


async def say_opening(peer: ScriptedPeer, puppets: Puppeteer) -> Puppet:
    """A puppet has the connection."""
    await peer.say(opening())
    return await puppets.next()


@pytest.mark.parametrize("kind", KINDS)
async def test_it_costs_one_connection(node: Node, peer: ScriptedPeer, puppets: Puppeteer, kind: str) -> None:
    """At most its own: what another program has, and what gossipd has, stays, and no fd of what it sent (`node`)."""
    async with await ScriptedPeer.connect(node.target) as at_gossipd, await ScriptedPeer.connect(node.target) as other:
        await at_gossipd.sync()
        bystander = await say_opening(other, puppets)
        pids = {name: node.pids()[name] for name in ("gossipd", "connectd")}
        puppet = await say_opening(peer, puppets)
        await puppet.tell("misbehave", kind=kind)

        async def has_dealt_with_it() -> bool:
            listed = await node.peers()
            return peer.node_id.hex() not in listed or listed[peer.node_id.hex()]["owner"] == "gossipd"

        await until(has_dealt_with_it, "it still has the connection")
        await puppet.close()
        await at_gossipd.sync()
        await bystander("say", message="8001")
        assert (await other.hear(0x8001)).encode() == b"\x80\x01"
        assert (await owner(node, at_gossipd), await owner(node, other)) == ("gossipd", "puppet")
        with contextlib.suppress(PeerClosed, ConnectionError, FrameError):  # its own connection may be lost
            await peer.sync()
        await bystander.close()
        assert {name: node.pids()[name] for name in pids} == pids, "no daemon was restarted"
        assert node.broken() == []


async def test_figures_of_a_program_are_of_its_own_connection(
    node: Node, peer: ScriptedPeer, puppets: Puppeteer
) -> None:
    """Whatever it says of others, or of itself: it has no say, and all is JSON."""
    async with await ScriptedPeer.connect(node.target) as other:
        await other.sync()
        of_other = (await node.peer(other.node_id))["conn_id"]
        puppet = await say_opening(peer, puppets)
        conn_ids = [puppet.about["conn_id"], of_other]
        for latency in (math.nan, math.inf):
            stats = [PeerStats(conn_id, Traffic(1, 1, 1, 1 << 60), latency, 0) for conn_id in conn_ids]
            datagram = ListPeersReply(stats).encode()[0].hex()
            listed: dict[str, Any] = {}

            async def both_tell(datagram: str = datagram, listed: dict[str, Any] = listed) -> bool:
                await puppet.tell("answer_list_peers", datagram=datagram)
                listed |= await node.peers()
                return all("messages_out" in listed[each.node_id.hex()] for each in (peer, other))

            await until(both_tell, "an owner does not answer in time")
            mine, others = listed[peer.node_id.hex()], listed[other.node_id.hex()]
            assert (mine["messages_out"], "ping_ms" in mine) == (1 << 60, False)
            assert others["messages_out"] < 1_000
