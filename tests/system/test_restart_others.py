"""`restart` of hsmd, listingd and the log writer: those who use them notice nothing."""

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness import processes
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.restarts import another
from tests.harness.waiting import until

pytestmark = pytest.mark.long


async def as_before(node: Node, fds: int, names: set[str]) -> None:
    """Wait until what was replaced has ended, and the master has so many fds."""

    async def is_so() -> bool:
        return processes.fd_count(node.process.pid) == fds and node.pids().keys() == names

    await until(is_so, "the master has more fds than before, or more children")


async def greets(node: Node) -> None:
    """A peer connects: that takes one ECDH of hsmd's."""
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()


async def test_no_client_of_hsmd_notices(nodes: Nodes) -> None:
    """Peers shake hands and messages are signed all the while; the node's id stays."""
    node = nodes.start()
    processes.look_into(node.process.pid)
    before, names = processes.fd_count(node.process.pid), set(node.pids())
    stop = asyncio.Event()

    async def use() -> None:
        while not stop.is_set():
            await greets(node)
            signed = await node.rpc("signmessage", message="m")
            assert (await node.rpc("checkmessage", message="m", zbase=signed["zbase"], pubkey=node.node_id))["verified"]

    using = [asyncio.create_task(use()) for _ in range(3)]
    for _ in range(5):
        old = node.pids()["hsmd"]
        done = await node.rpc("restart", what="hsmd")
        assert (done["restarted"], done["moved"], done["lost"]) == ("hsmd", 0, 0)
        assert old != node.pids_of("hsmd")[-1]
    stop.set()
    await asyncio.gather(*using)
    await as_before(node, before, names)
    await node.be_alone()


async def test_hsmd_is_not_replaced_by_one_with_another_key(nodes: Nodes) -> None:
    """Nor is a new secret made: the old one goes on."""
    node = nodes.start()
    secret = node.directory / "hsm_secret"
    content = secret.read_bytes()
    secret.unlink()
    with pytest.raises(RpcError, match=r"hsmd goes on as it was: .*hsm_secret is no longer there"):
        await node.rpc("restart", what="hsmd")
    assert not secret.exists()
    secret.write_bytes(bytes([7]) * 32)
    secret.chmod(0o600)
    with pytest.raises(RpcError, match="hsmd goes on as it was: what is in hsm_secret now is not this node's"):
        await node.rpc("restart", what="hsmd")
    await greets(node)
    secret.unlink()
    secret.write_bytes(content)
    secret.chmod(0o600)
    await node.rpc("restart", what="hsmd")
    await greets(node)


@pytest.mark.parametrize("source", ["file", "pipe"])
async def test_a_passphrase_is_read_again_if_it_can_be(nodes: Nodes, tmp_path: Path, source: str) -> None:
    """From a file, where it stood; not from a pipe that was read."""
    file = tmp_path / "passphrase"
    file.write_text("secret words\nsomething else\n")
    if source == "file":
        with file.open("rb") as stdin:
            node = nodes.start("--hsm-passphrase", stdin=stdin)
        assert (await node.rpc("restart", what="hsmd"))["lost"] == 0
    else:
        reading, writing = os.pipe()
        os.write(writing, file.read_bytes())
        os.close(writing)
        node = nodes.start("--hsm-passphrase", stdin=reading)
        os.close(reading)
        with pytest.raises(RpcError, match="hsm_secret has a passphrase that only a person can give again"):
            await node.rpc("restart", what="hsmd")
    await greets(node)


@pytest.mark.parametrize("victim", ["old", "new"])
async def test_hsmd_killed_in_the_middle(nodes: Nodes, victim: str) -> None:
    """The new one: the old one goes on. The old one: its clients' sockets have gone with it, and the node ends."""
    node = nodes.start()
    old = node.pids()["hsmd"]
    os.kill(old, signal.SIGSTOP)  # or it could be done before the kill
    restarting = asyncio.create_task(node.rpc("restart", what="hsmd"))
    new = await another(node, "hsmd", old)
    if victim == "new":
        os.kill(new, signal.SIGKILL)
        os.kill(old, signal.SIGCONT)
    else:
        os.kill(old, signal.SIGKILL)
    answer = (await asyncio.gather(restarting, return_exceptions=True))[0]
    if victim == "old":
        assert await asyncio.to_thread(node.wait) == 1
        assert node.lines[-1].endswith("hsmd has died (killed by SIGKILL): the node ends")
        nodes.expect_end(node)
        return
    assert isinstance(answer, RpcError) and answer.message.startswith("hsmd goes on as it was: ")
    await greets(node)


async def is_another(node: Node, name: str, old: int) -> bool:
    """A process of this name is there besides the old one, which may still be ending."""
    return any(pid != old for pid in node.pids_of(name))


@pytest.mark.parametrize("what", ["listingd", "log"])
async def test_another_one_for_what_comes(nodes: Nodes, tmp_path: Path, what: str) -> None:
    log = tmp_path / "log"
    node = nodes.start(f"--log-file={log}", "--log-file=-")
    processes.look_into(node.process.pid)
    before, names = processes.fd_count(node.process.pid), set(node.pids())
    stop = asyncio.Event()
    greeted = 0

    async def use() -> None:
        nonlocal greeted
        while not stop.is_set():
            assert (await node.rpc("listnodes"))["nodes"] == []
            await greets(node)
            greeted += 1

    using = asyncio.create_task(use())
    name = {"log": "log_writer"}.get(what, what)
    for _ in range(5):
        old = node.pids_of(name)[-1]
        assert (await node.rpc("restart", what=what))["lost"] == 0
        await until(partial(is_another, node, name, old), f"no other {name} comes")
    stop.set()
    await using
    await as_before(node, before, names)
    assert greeted
    assert node.stop() == 0
    assert log.read_text().splitlines() == node.lines
    assert len([line for line in node.lines if f"{what} was restarted" in line]) == 5
