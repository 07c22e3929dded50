"""Strangers who all want a program, on a whole node."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.moves import TEMPORARY_ID, opening, owner
from tests.harness.node import Nodes
from tests.harness.puppeteer import Puppeteer
from wire.control.timing import Timing
from wire.peer_wire import ErrorMessage


def logged_at(line: str) -> datetime:
    """When it was."""
    return datetime.fromisoformat(line.split()[0])


async def test_strangers_beyond_the_bound_are_told_so_and_hung_programs_end_together(
    nodes: Nodes, tmp_path: Path
) -> None:
    """Of eight programs strangers get six, and those of one network four; these hang when the node is to end."""
    node = nodes.start(
        Puppeteer.service("puppet", tmp_path / "strings"), "--take=puppet=open_channel", "--max-programs-per-service=8"
    )
    async with Puppeteer(tmp_path / "strings") as puppets:
        peers = [await ScriptedPeer.connect(node.target) for _ in range(6)]
        for peer in peers[:4]:
            await peer.say(opening())
            await (await puppets.next())("hang")
        for peer in peers[4:]:
            await peer.say(opening())
            answers = [said for said in await peer.sync() if isinstance(said, ErrorMessage)]
            assert [answer.channel_id for answer in answers] == [TEMPORARY_ID]
            assert await owner(node, peer) == "gossipd"
        await node.logged("4 programs of service puppet run for 127.0.0.0/16, and no more may")
        start = len(node.lines)
        assert await asyncio.to_thread(node.stop) == 0
        killed = [logged_at(line) for line in node.lines[start:] if "exited with -9" in line]
        assert len(killed) == 4 and killed[-1] - killed[0] < timedelta(seconds=Timing().release_timeout)
        for peer in peers:
            await peer.close()
