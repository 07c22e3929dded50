"""Whatever umask the shell has, all that a node puts into its directory is its user's alone."""

import asyncio
import stat
from pathlib import Path

from tests.harness.bus_client import BusService
from tests.harness.connectionds import Connectionds
from tests.harness.node import NETWORK, PROGRAMS, Nodes
from tests.harness.ports import free_port

OPEN_TO_ALL = ("/bin/sh", "-c", 'umask 0; exec "$0" "$@"')
WHILE_IT_RUNS = {
    "api",
    "chnl",
    "ctl",
    "feed-curve/clients",
    "feed-curve/server.key",
    "feed-curve/server.key_secret",
    "gossipd/gossip_store",
    "gossipd/gossip_store.corrupt",
    "gossipd/gossip_store.gone",
    "hsm_secret",
    "lightning-rpc",
    "lightningd-py.sqlite3",
    "lightningd.log",
    "msg",
    "peers",
}


def modes(directory: Path) -> dict[str, str]:
    """Of all that is there: its mode, as `ls -l` writes it. Of symbolic links the mode means nothing."""
    found = {str(path.relative_to(directory)): path.lstat().st_mode for path in directory.rglob("*")}
    return {name: stat.filemode(mode) for name, mode in found.items() if not stat.S_ISLNK(mode)}


def open_to_others(found: dict[str, str]) -> dict[str, str]:
    return {name: mode for name, mode in found.items() if not mode.endswith("------")}


async def test_node(nodes: Nodes, small_map_store: Path) -> None:
    directory = nodes.directory("l1")
    store = directory / NETWORK / "gossip_store"
    content = await asyncio.to_thread(small_map_store.read_bytes)
    await asyncio.to_thread(store.write_bytes, content[:-1])
    store.chmod(0o600)
    node = nodes.start(
        f"--feed=tcp://127.0.0.1:{free_port()}",
        f"--bind-addr={directory / NETWORK / 'peers'}",
        "--log-file=-",
        "--log-file=lightningd.log",
        name="l1",
        program=(*OPEN_TO_ALL, PROGRAMS / "lightningd-py"),
    )
    async with BusService("alice", node.directory) as alice:
        await alice.join()
        found = await asyncio.to_thread(modes, directory)
    assert {f"{NETWORK}/{name}" for name in WHILE_IT_RUNS} | {f"lightningd-{NETWORK}.pid"} <= found.keys()
    assert open_to_others({name: mode for name, mode in found.items() if name != NETWORK}) == {}
    assert node.stop() == 0
    found = await asyncio.to_thread(modes, node.directory)
    assert "gossipd/gossip_store.index" in found
    assert open_to_others(found) == {}


def test_connectiond_alone(connectionds: Connectionds) -> None:
    """The directories above its own, too, where it has made them."""
    daemon = connectionds.start(
        "--listen", "127.0.0.1:0", name="above/c1", program=(*OPEN_TO_ALL, PROGRAMS / "connectiond")
    )
    found = modes(daemon.place.parent.parent)
    assert {"above", "above/c1/ctl", "above/c1/msg"} <= found.keys()
    assert open_to_others(found) == {}
