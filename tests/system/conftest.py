"""Fixtures: gossipd processes; a Bitcoin node; a node with services that are puppets, and peers of it."""

import os
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.gossipd.gossipd_process import GossipdProcess, GossipdProcesses
from tests.harness.bitcoin import BCOIN, SEGWIT, Bitcoin
from tests.harness.moves import PRIVILEGED
from tests.harness.node import Node, Nodes
from tests.harness.puppeteer import Puppeteer
from tests.interop.conftest import node_modules
from wire.secp256k1 import public_key

__all__ = ["node_modules"]

NodeModules = Callable[[Sequence[str]], Path]
EXAMPLE = Path(__file__).parent.parent.parent / "lightningd_py" / "examples" / "refuse_channels.py"


@pytest.fixture
async def gossipds(tmp_path: Path) -> AsyncIterator[GossipdProcesses]:
    """Makes gossipd processes."""
    async with GossipdProcesses(tmp_path) as gossipds:
        yield gossipds


@pytest.fixture
async def gossipd(gossipds: GossipdProcesses) -> GossipdProcess:
    """A gossipd with an empty store and no chain."""
    gossipd = gossipds.new()
    await gossipd.start()
    return gossipd


@pytest.fixture(scope="module")
def strings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The socket of the puppets."""
    return tmp_path_factory.mktemp("puppets") / "strings"


@pytest.fixture(scope="module")
def shared_node(shared_nodes: Nodes, strings: Path) -> Node:
    """open_channel goes to a puppet, open_channel2 to the example; accept_channel to what cannot be started."""
    return shared_nodes.start(
        Puppeteer.service("puppet", strings),
        f"--service=refuser={shlex.join([sys.executable, '-P', str(EXAMPLE)])}",
        "--service=missing=/no/such/program",
        "--take=puppet=open_channel,channel_reestablish,9999",
        "--take=refuser=open_channel2",
        "--take=missing=accept_channel",
        f"--take=puppet={public_key(PRIVILEGED).hex()}",
        "--copy=puppet=onion_message,40000",
    )


@pytest.fixture
async def puppets(strings: Path) -> AsyncIterator[Puppeteer]:
    async with Puppeteer(strings) as puppets:
        yield puppets


@pytest.fixture
async def node(shared_node: Node, puppets: Puppeteer) -> AsyncIterator[Node]:
    yield shared_node
    assert puppets.nobody_came()
    await shared_node.be_alone()


@pytest.fixture
async def peer(node: Node) -> AsyncIterator[ScriptedPeer]:
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        yield peer


@pytest.fixture
def modules(node_modules: NodeModules) -> Path:
    try:
        return node_modules(BCOIN)
    except pytest.skip.Exception as reason:  # CI has npm and its registry
        if "CI" in os.environ:
            pytest.fail(str(reason))
        raise


@pytest.fixture
def bitcoin(modules: Path) -> Iterator[Bitcoin]:
    bitcoin = Bitcoin(modules)
    bitcoin.mine(SEGWIT + 20)
    yield bitcoin
    bitcoin.end()
