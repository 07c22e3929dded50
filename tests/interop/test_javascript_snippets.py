"""Every JavaScript snippet of docs/, with a real node; tests/system/test_snippets.py does the same for Python."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness.moves import TEMPORARY_ID, opening
from tests.harness.node import Nodes
from tests.harness.snippets import Running, placed, snippets
from tests.harness.waiting import until
from tests.interop.conftest import pins
from tests.system.test_feed import taken
from wire.peer_wire import ErrorMessage

SNIPPETS = snippets("javascript")
SERVICE, FEED = "docs/bus.md 1", "docs/feed.md 1"
SHOWN = "/home/me/.lightning-py/bitcoin/feed"


@pytest.fixture
def here(node_modules: Callable[[Sequence[str]], Path], tmp_path: Path) -> Path:
    """A directory with what the pages say is needed, from npm."""
    modules = node_modules(pins(Path(__file__).parent / "bus" / "package.json"))
    directory = tmp_path / "mine"
    directory.mkdir()
    (directory / "node_modules").symlink_to(modules)
    return directory


async def start(here: Path, code: str, *arguments: Path) -> Running:
    (here / "mine.mjs").write_text(code)
    return await Running.start("node", "mine.mjs", *arguments, cwd=here)


def test_every_snippet_is_run() -> None:
    assert set(SNIPPETS) == {SERVICE, FEED}


@pytest.mark.long
async def test_service(here: Path, nodes: Nodes) -> None:
    node = nodes.start()

    async def takes() -> bool:
        return any(each["here"] and each["take"] for each in (await node.rpc("listservices"))["services"])

    async with await start(here, SNIPPETS[SERVICE], node.directory):
        await until(takes, "it takes openings")
        async with await ScriptedPeer.connect(node.target) as peer:
            await peer.say(opening())
            refusal = ErrorMessage(TEMPORARY_ID, b"we have channels enough")
            assert await peer.hear(ErrorMessage.number) == refusal
        for what in ("connectiond", "all"):
            assert (await node.rpc("restart", what=what))["lost"] == 0
            async with await ScriptedPeer.connect(node.target) as peer:
                await peer.say(opening())
                assert await peer.hear(ErrorMessage.number) == refusal
        async with await start(here, SNIPPETS[SERVICE], node.directory) as second:
            assert await second.end() == (1, "", "service refuser is here already\n")


async def test_feed(here: Path, nodes: Nodes, small_map: SyntheticMap) -> None:
    node = nodes.start()
    async with await start(here, placed(SNIPPETS[FEED], {SHOWN: node.directory / "feed"})) as it:
        await taken(node, 11)
        async with await ScriptedPeer.connect(node.target) as peer:
            assert (await it.line()).startswith("peer.connected 1")
            await peer.say(next(iter(small_map.messages())))
            assert await it.line() == "gossip.channel_announcement 1 new"
            assert node.stop() == 0
        status, _, complaint = await it.end()
        assert (status, complaint) == (1, "no node publishes there\n")


async def test_without_a_node(here: Path) -> None:
    async with await start(here, SNIPPETS[SERVICE], here) as it:
        assert await it.end() == (1, "", "no node answers\n")
    async with await start(here, placed(SNIPPETS[FEED], {SHOWN: here / "feed"})) as it:
        assert await it.end() == (1, "", "no node publishes there\n")
