"""Every Python snippet of README and docs/, and every example, in a fresh interpreter from the installed wheel, with a
real node. tests/interop/test_javascript_snippets.py does the same for those in JavaScript.
"""

import asyncio
import shlex
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.installed import run
from tests.harness.moves import TEMPORARY_ID, opening
from tests.harness.node import Node, Nodes
from tests.harness.ports import free_port
from tests.harness.snippets import Running, placed, snippets
from tests.harness.waiting import until
from tests.system.test_feed import taken
from wire.bus.feed import topics_of
from wire.peer_wire import ErrorMessage

EXAMPLES = Path(__file__).parent.parent.parent / "lightningd_py" / "examples"
GOSSMAP_PAGE = "docs/gossmap.md"
SHUTDOWN = (38).to_bytes(2, "big") + TEMPORARY_ID + bytes(2)
SNIPPETS = snippets("python")


@dataclass(frozen=True)
class Ground:
    """Where a snippet runs: the interpreter, an empty directory, nodes, and gossip to say."""

    python: Path
    directory: Path
    nodes: Nodes
    gossip: bytes

    def written(self, code: str) -> Path:
        path = self.directory / "mine.py"
        path.write_text(code)
        return path

    async def start(self, code: str, *arguments: str | Path) -> Running:
        """The code in a file, as its reader would start it."""
        return await Running.start(self.python, self.written(code), *arguments, cwd=self.directory)

    def owned(self, code: str) -> Node:
        """A node with the code as a service that takes openings."""
        command = shlex.join([str(self.python), str(self.written(code))])
        return self.nodes.start(f"--service=mine={command}", "--take=mine=open_channel")


async def readme(ground: Ground, text: str) -> None:
    node = ground.owned(text)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(opening())
        await node.logged(f"{peer.node_id.hex()} says {opening().hex()[:20]}")


async def scripted_peer(ground: Ground, text: str) -> None:
    node = ground.nodes.start()
    async with await ground.start(text, node.target) as it:
        assert bytes.fromhex(await it.line())
        assert await it.line() == r"Pong(extension=b'', ignored=b'\x00\x00\x00')"


async def refused_by_a_program(ground: Ground, text: str) -> None:
    node = ground.owned(text)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(opening())
        refusal = ErrorMessage(TEMPORARY_ID, b"this node opens no channels")
        assert await peer.hear(ErrorMessage.number) == refusal


async def api(ground: Ground, text: str) -> None:
    node = ground.nodes.start()
    text = placed(text, {"/home/me/.lightning-py/regtest": node.directory})
    async with await ScriptedPeer.connect(node.target) as peer:
        await node.logged(f"{peer.node_id.hex()}-lightningd: connected")
        async with await ground.start(text) as it:
            assert peer.node_id.hex() in await it.line()


async def curve(ground: Ground, text: str) -> None:
    """The names that stand before it, and a request behind it."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    node = ground.nodes.start(f"--ctl={endpoint}", f"--msg=tcp://127.0.0.1:{free_port()}")
    keys = node.directory / "curve"
    made = "import zmq.auth; zmq.auth.create_certificates('.', 'alice')"
    await asyncio.to_thread(run, ground.python, "-c", made, cwd=ground.directory)
    shutil.copy(ground.directory / "alice.key", keys / "clients")
    shutil.copy(keys / "server.key", ground.directory)
    before = "import msgpack, zmq, zmq.auth\nsocket = zmq.Context.instance().socket(zmq.DEALER)\n"
    hello = "[b'lightningd', msgpack.packb({'v': 1, 'type': 'hello', 'service': 'alice'})]"
    behind = f"socket.send_multipart({hello})\nprint(msgpack.unpackb(socket.recv_multipart()[1])['type'])\n"
    code = before + placed(text, {"tcp://127.0.0.1:62963": endpoint}) + behind
    async with await ground.start(code) as it:
        assert await it.line() == "welcome"


async def channel_service(ground: Ground, text: str) -> None:
    node = ground.nodes.start()

    async def takes() -> bool:
        return any(each["here"] and each["take"] for each in (await node.rpc("listservices"))["services"])

    async with await ground.start(text, node.directory):
        await until(takes, "it takes openings")
        async with await ScriptedPeer.connect(node.target) as peer:
            await peer.say(opening())
            assert await peer.hear(ErrorMessage.number) == ErrorMessage(TEMPORARY_ID, b"too small for us")


async def embedded(ground: Ground, text: str) -> None:
    """With the `ready` that the page speaks of, which is told how to end it."""
    before = "import queue\nbegun = queue.Queue()\nready = begun.put\n"
    behind = "begun.get(timeout=60)()\nprint('ended')\n"
    async with await ground.start(before + placed(text, {"127.0.0.1:9735": "127.0.0.1:0"}) + behind) as it:
        while (line := await it.line()) != "ended":
            assert "BROKEN" not in line
        assert (await it.end())[0] == 0


async def feed(ground: Ground, text: str) -> None:
    node = ground.nodes.start()
    await followed(ground, node, placed(text, {"/home/me/.lightning-py/bitcoin/feed": node.directory / "feed"}))


async def collector(ground: Ground, text: str) -> None:
    node = ground.nodes.start()
    await followed(ground, node, text, node.directory / "feed")


async def followed(ground: Ground, node: Node, code: str, *arguments: Path) -> None:
    async with await ground.start(code, *arguments) as it, await ScriptedPeer.connect(node.target) as peer:
        await taken(node, len(topics_of([b"gossip."])))
        await peer.say(ground.gossip)
        assert ground.gossip.hex() in await it.line()


async def follower(ground: Ground, text: str) -> None:
    node = ground.nodes.start()
    store = node.directory / "gossip_store"
    async with await ground.start(text, store) as it, await ScriptedPeer.connect(node.target) as peer:
        # It says nothing of what was there before it came: so it must have come, which only its files tell.
        await until(lambda: asyncio.to_thread(it.has_open, store.resolve()), "the follower reads the store")
        await peer.say(ground.gossip)
        assert (await it.line()).startswith("+ ")


RUNS: dict[str, Callable[[Ground, str], Awaitable[None]]] = {
    "README.md 1": scripted_peer,
    "README.md 2": readme,
    "docs/bus.md 1": api,
    "docs/bus.md 2": curve,
    "docs/bus.md 3": channel_service,
    "docs/connectiond.md 1": embedded,
    "docs/feed.md 1": feed,
    "docs/programs.md 1": refused_by_a_program,
    "channel_service.py": channel_service,
    "collect_gossip.py": collector,
    "follow_gossmap.py": follower,
    "refuse_channels.py": refused_by_a_program,
}
"""How each is run; those of GOSSMAP_PAGE are one session, and have a test of their own."""


def code_of(name: str) -> str:
    return SNIPPETS[name] if name in SNIPPETS else (EXAMPLES / name).read_text()


def test_every_snippet_is_run() -> None:
    shown = {name for name in SNIPPETS if not name.startswith(GOSSMAP_PAGE)}
    assert shown | {path.name for path in EXAMPLES.glob("*.py")} == set(RUNS)


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
async def test_snippet(environment: Path, tmp_path: Path, nodes: Nodes, small_map: SyntheticMap, name: str) -> None:
    directory = tmp_path / "mine"
    directory.mkdir()
    ground = Ground(environment / "bin" / "python3", directory, nodes, next(iter(small_map.messages())))
    await RUNS[name](ground, code_of(name))


def test_gossmap_page(environment: Path, tmp_path: Path) -> None:
    """All of its snippets, one after the other as in one session, and what they print."""
    blocks = [text for name, text in SNIPPETS.items() if name.startswith(GOSSMAP_PAGE)]
    assert len(blocks) >= 8
    store = GossipStore.open(tmp_path / "gossip_store")
    SyntheticMap(random_edges(1, 12, 6), 1, 1_770_000_000).write_store(store)
    store.close()
    (tmp_path / "page").write_text("\n".join(blocks))
    code = "import doctest, sys; sys.exit(doctest.testfile('page', module_relative=False, encoding='utf-8').failed)"
    run(environment / "bin" / "python3", "-X", "utf8", "-c", code, cwd=tmp_path)


@pytest.mark.parametrize(
    ("name", "argument", "complaint"),
    [
        ("channel_service.py", "nowhere", "no node answers at ipc://nowhere/ctl"),
        ("collect_gossip.py", "nowhere", "nothing is published on ipc://nowhere"),
        ("follow_gossmap.py", "nowhere", "nowhere cannot be read: No such file or directory"),
        ("follow_gossmap.py", "mine.py", "mine.py is no gossip_store that can be read (version byte 35)."),
        ("channel_service.py", None, "usage: channel_service.py DIRECTORY, the node's"),
        ("collect_gossip.py", None, "usage: collect_gossip.py FEED, the node's socket"),
        ("follow_gossmap.py", None, "usage: follow_gossmap.py GOSSIP_STORE"),
        ("refuse_channels.py", None, "lightningd-py starts this program, as --service: fd 3 is no socket of its"),
    ],
)
async def test_example_without_a_node(
    environment: Path, tmp_path: Path, name: str, argument: str | None, complaint: str
) -> None:
    """One sentence, and an exit status."""
    (tmp_path / "mine.py").write_text("#" + code_of(name))
    shutil.copy(EXAMPLES / name, tmp_path)
    arguments = [] if argument is None else [argument]
    async with await Running.start(environment / "bin" / "python3", name, *arguments, cwd=tmp_path) as it:
        assert await it.end() == (1, "", complaint + "\n")
