"""Starting and ending a node: what keeps it from starting, signals, deaths of its processes, what it keeps."""

import os
import select
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from lightningd_py.database import FILE_NAME
from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness import processes
from tests.harness.logged import PATIENCE
from tests.harness.node import NETWORK, PROGRAMS, Nodes
from tests.harness.small_map import CHANNELS, NODES
from tests.harness.waiting import until


def refused(nodes: Nodes, *options: str, name: str | None = None) -> str:
    """What a node that cannot start says: one sentence, exit status 1."""
    node = nodes.begin(*options, name=name)
    assert node.wait() == 1
    sentences = [line for line in node.lines if line.startswith("lightningd-py: ")]
    assert len(sentences) == 1, node.log
    assert node.lines[-1] == sentences[0]
    assert node.broken() == []
    nodes.expect_end(node)
    return sentences[0]


# What keeps a node from starting


def test_second_node_on_the_same_directory(nodes: Nodes) -> None:
    first = nodes.start(name="l1")
    sentence = refused(nodes, name="l1")
    assert str(first.process.pid) in sentence
    assert "running" in sentence
    assert first.rpc_file.is_socket()


async def test_port_in_use(nodes: Nodes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = refused(nodes, f"--bind-addr=127.0.0.1:{port}", name="l1")
    assert f"127.0.0.1:{port}" in sentence
    assert "in use" in sentence
    assert not (nodes.directory("l1") / f"lightningd-{NETWORK}.pid").exists()
    assert nodes.start(name="l1").node_id


def test_unix_socket_in_use(nodes: Nodes, tmp_path: Path) -> None:
    path = str(tmp_path / "peers")
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(path)
        taken.listen()
        assert path in refused(nodes, f"--bind-addr={path}")


@pytest.mark.parametrize("line", ["no-such-option=1", "bind-addr=nowhere at all", "daemon=yes"])
def test_bad_line_in_the_config_file(nodes: Nodes, line: str) -> None:
    config = nodes.directory("l1") / NETWORK / "config"
    config.write_text(f"alias=fine\n{line}\n")
    sentence = refused(nodes, name="l1")
    assert f"{config}" in sentence
    assert "2" in sentence, "the line's number"
    assert line.partition("=")[0] in sentence


@pytest.mark.parametrize(
    ("option", "named"),
    [("--no-such-option", "no-such-option"), ("--take=nobody=open_channel", "nobody"), ("--daemon", "log-file")],
)
def test_bad_command_line(nodes: Nodes, option: str, named: str) -> None:
    assert named in refused(nodes, option)


@pytest.mark.parametrize("length", [0, 33])
def test_hsm_secret_of_wrong_length(nodes: Nodes, length: int) -> None:
    secret = nodes.directory("l1") / NETWORK / "hsm_secret"
    secret.write_bytes(bytes(length))
    sentence = refused(nodes, name="l1")
    assert str(secret) in sentence
    assert secret.read_bytes() == bytes(length), "nothing of it is lost"


def test_directory_where_the_store_should_be(nodes: Nodes) -> None:
    (nodes.directory("l1") / NETWORK / "gossip_store").mkdir()
    assert "gossip_store" in refused(nodes, name="l1")


def test_database_that_is_none(nodes: Nodes) -> None:
    database = nodes.directory("l1") / NETWORK / FILE_NAME
    database.write_bytes(b"not a database at all" * 100)
    assert str(database) in refused(nodes, name="l1")


# What it keeps


def test_store_with_a_cut_tail(nodes: Nodes, small_map_store: Path) -> None:
    store = nodes.directory("l1") / NETWORK / "gossip_store"
    store.write_bytes(small_map_store.read_bytes()[:-7])
    node = nodes.start(name="l1")
    (note,) = [line for line in node.lines if "UNUSUAL" in line]
    assert "gossip_store" in note
    assert f"has {CHANNELS} channels and {NODES} nodes" in node.log
    assert node.stop() == 0
    again = nodes.start(name="l1")
    assert [line for line in again.lines if "UNUSUAL" in line] == []


async def test_restart_keeps_the_node(nodes: Nodes, small_map_store: Path) -> None:
    """Its id, its map, and conn_ids that never repeat."""
    shutil.copy(small_map_store, nodes.directory("l1") / NETWORK / "gossip_store")
    ids, conn_ids, listed = set(), [], []
    for _ in range(2):
        node = nodes.start(name="l1")
        ids.add(node.node_id)
        async with await ScriptedPeer.connect(node.target) as peer:
            await peer.sync()
            conn_ids.append((await node.peer(peer.node_id))["conn_id"])
        listed.append(await node.rpc("listchannels"))
        assert node.stop() == 0
        assert node.broken() == []
    assert len(ids) == 1
    assert conn_ids == sorted(set(conn_ids))
    assert listed == [listed[0]] * 2


async def test_sudden_death_loses_nothing_that_was_answered_for(nodes: Nodes, small_map: SyntheticMap) -> None:
    """All processes at once: what addgossip has taken is there when the node starts again."""
    node = nodes.start(name="l1")
    for message in small_map.messages():
        await node.rpc("addgossip", message=message.hex())
    listed = await node.rpc("listchannels"), await node.rpc("listnodes")
    node.send_signal(signal.SIGKILL, whole_group=True)
    node.wait()
    nodes.expect_end(node)
    again = nodes.start(name="l1")
    assert (await again.rpc("listchannels"), await again.rpc("listnodes")) == listed
    assert [line for line in again.lines if "UNUSUAL" in line] == []


@pytest.mark.long
async def test_addresses_outlive_a_restart(nodes: Nodes) -> None:
    l1, l2 = nodes.begin(name="l1"), nodes.begin(name="l2")
    l1.ready()
    await l2.ready().rpc("connect", id=l1.target)
    l2.stop()
    l2 = nodes.start(name="l2")
    assert (await l2.rpc("connect", id=l1.node_id))["direction"] == "out"


# Ending


@pytest.mark.parametrize("how", ["stop", "SIGTERM", "SIGINT", "SIGINT to the group"])
async def test_ending_in_order(nodes: Nodes, how: str) -> None:
    """With a peer, and with a connection that has said nothing yet; exit status 0, as `nodes` checks."""
    node = nodes.start()
    silent = await ScriptedPeer.dial(node.target)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        match how:
            case "stop":
                assert await node.rpc("stop") == {"result": "Shutdown complete"}
            case "SIGINT to the group":
                node.send_signal(signal.SIGINT, whole_group=True)
            case _:
                node.send_signal(signal.Signals[how])
        await peer.hangs_up()
        await silent.hangs_up()
        await silent.close()
    assert node.wait() == 0
    assert node.left_behind() == []


async def test_signal_while_it_starts(nodes: Nodes) -> None:
    """The node ends, however far it has come; nothing is left behind."""
    node = nodes.begin()
    await node.logged("hsmd: created")
    node.send_signal(signal.SIGTERM)
    assert node.wait() == 0
    assert node.broken() == []


@pytest.mark.long
async def test_both_ends_of_a_connection_end_at_once(nodes: Nodes) -> None:
    """What is said of a connection while its node ends troubles nobody."""
    l1, *others = started = [nodes.begin() for _ in range(3)]
    for node in started:
        node.ready()
    for other in others:
        await other.rpc("connect", id=l1.target)
    for node in started:
        node.send_signal(signal.SIGTERM)


async def test_death_of_hsmd_ends_the_node(nodes: Nodes) -> None:
    """The reason is last in the log, the exit status says so, and all the others have gone with it."""
    node = nodes.start()
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        os.kill(node.pids()["hsmd"], signal.SIGKILL)
        assert node.wait() == 1
        await peer.hangs_up()
    assert [line.partition(" lightningd: ")[2] for line in node.broken()] == [
        "hsmd has died (killed by SIGKILL): the node ends"
    ]
    assert node.lines[-1] == node.broken()[0]
    assert node.left_behind() == []
    nodes.expect_end(node)


async def test_death_of_the_master_ends_the_daemons(nodes: Nodes) -> None:
    """Its lock goes with it: another node can start there, and takes away the dead one's socket."""
    node = nodes.start(name="l1")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        node.send_signal(signal.SIGKILL)
        assert node.wait() == -signal.SIGKILL
        await peer.hangs_up()
    assert node.survivors() == []
    assert node.broken() == []
    nodes.expect_end(node)
    assert node.rpc_file.is_socket()
    again = nodes.start(name="l1")
    assert again.node_id == node.node_id
    assert (await again.rpc("getinfo"))["id"] == node.node_id


async def test_death_of_a_master_that_starts(nodes: Nodes) -> None:
    node = nodes.begin()
    await node.logged("hsmd: created")
    node.send_signal(signal.SIGKILL)
    node.wait()
    assert node.broken() == []
    nodes.expect_end(node)


# Ways to run it


def test_in_the_background(nodes: Nodes, tmp_path: Path) -> None:
    """The shell's command returns when the node can be connected to, and so does a pipe that it is in: nothing of the
    node holds that. `stop` ends it all the same."""
    log = tmp_path / "log"
    node = nodes.begin("--daemon", f"--log-file={log}")
    assert node.process.wait(PATIENCE) == 0
    assert node.all_gone(), "somebody holds the standard output or error of the command"
    (pid,) = [int(path.read_text()) for path in node.lightning_dir.glob("*.pid")]
    started = [pid, *processes.descendants(pid)]
    assert len(started) >= 4
    assert "listens on" in log.read_text()
    pidfds = [os.pidfd_open(pid) for pid in started]
    cli = PROGRAMS / "lightning-cli-py"
    where = [f"--network={NETWORK}", f"--lightning-dir={node.lightning_dir}"]
    done = subprocess.run([cli, *where, "stop"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "Shutdown complete" in done.stdout
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], PATIENCE)[0], "a process of the node goes on"
        os.close(pidfd)
    assert "BROKEN" not in log.read_text()
    assert node.left_behind() == []


def test_in_the_background_what_goes_wrong_is_told(nodes: Nodes, tmp_path: Path) -> None:
    first = nodes.start(name="l1")
    sentence = refused(nodes, "--daemon", f"--log-file={tmp_path / 'log'}", name="l1")
    assert str(first.process.pid) in sentence


async def test_without_standard_files(nodes: Nodes, tmp_path: Path) -> None:
    """A parent that has closed 0, 1 and 2 does no harm: no fd of the node's own gets these numbers."""
    script = f'exec {PROGRAMS}/lightningd-py "$@" 0<&- 1>&- 2>&-'
    log = tmp_path / "log"
    node = nodes.begin(f"--log-file={log}", program=["/bin/sh", "-c", script, "sh"])

    async def listens() -> bool:
        return log.exists() and "listens on" in log.read_text()

    await until(listens, "it does not start")
    assert (await node.rpc("getinfo"))["network"] == NETWORK
    await node.rpc("stop")
    assert node.process.wait(PATIENCE) == 0
    assert "BROKEN" not in log.read_text()
    assert node.left_behind() == []


def test_what_the_parent_left_open_goes_no_further(nodes: Nodes, tmp_path: Path) -> None:
    """The master may have it, its daemons do not."""
    (tmp_path / "of the parent").touch()
    script = f'exec {PROGRAMS}/lightningd-py "$@" 9<"{tmp_path}/of the parent"'
    node = nodes.start(program=["/bin/sh", "-c", script, "sh"])
    processes.look_into(node.pids()["gossipd"])
    for name, pid in node.pids().items():
        files = list(processes.links(pid))
        assert name == "lightningd" or not any("of the parent" in file for file in files), name


async def test_socket_paths(nodes: Nodes, tmp_path: Path) -> None:
    """A node that only listens on a Unix socket, and peers that come that way."""
    path = tmp_path / "peers"
    l1 = nodes.start("--rpc-file=other-rpc", name="l1")
    assert l1.node_id
    l2 = nodes.begin(f"--bind-addr={path}", name="l2").ready()
    assert str(path) in l2.bindings
    async with await ScriptedPeer.connect(f"{l2.node_id}@{path}") as peer:
        await peer.sync()
        listed = await l2.peer(peer.node_id)
        assert listed["direction"] == "in"
        assert (await l2.rpc("connect", id=peer.node_id.hex()))["address"]["type"] == "local socket"
    assert (await l2.rpc("getinfo"))["binding"][-1] == {"type": "local socket", "socket": str(path)}
    l2.stop()
    assert not path.exists()
    with pytest.raises((OSError, PeerClosed)):
        await ScriptedPeer.connect(f"{l2.node_id}@{path}")


async def test_offline(nodes: Nodes) -> None:
    node = nodes.start("--offline")
    assert node.bindings == []
    assert (await node.rpc("getinfo"))["binding"] == []
