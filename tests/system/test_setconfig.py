"""setconfig: options that change while the node runs, in every process that has to know, and after a restart."""

from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import NETWORK, Node, Nodes, RpcError
from tests.harness.waiting import until

INVALID = -32602


async def setting(node: Node, name: str) -> dict[str, Any]:
    """As listconfigs shows it."""
    return dict((await node.rpc("listconfigs", config=name))["configs"].get(name, {}))


async def test_limits_are_in_force_at_once_and_after_restarts(nodes: Nodes) -> None:
    """gossipd keeps as many peers as it is told; so does a gossipd that comes later, and the master's next program."""
    node = nodes.start(name="l1")
    own = node.directory / "config.setconfig"
    done = await node.rpc("setconfig", config="max-inbound", val=1)
    assert done == {"config": {"config": "max-inbound", "value_int": 1, "source": f"{own}:2", "dynamic": True}}

    async def keeps_one() -> None:
        async with await ScriptedPeer.connect(node.target) as first:
            await first.sync()
            async with await ScriptedPeer.connect(node.target):
                await until(one_is_left, "one of two peers goes")
        await node.be_alone()

    async def one_is_left() -> bool:
        events = (await node.rpc("listnetworkevents"))["networkevents"]
        return [event.get("reason") for event in events].count("too many peers") == ended

    ended = 1
    await keeps_one()
    ended = 2
    await node.rpc("restart", what="gossipd")
    await keeps_one()
    await node.rpc("restart", what="master")
    del done["config"]["config"]
    assert await setting(node, "max-inbound") == done["config"]


async def test_for_this_life_only(nodes: Nodes) -> None:
    """Over a restart of the master's program, and in no file."""
    node = nodes.start(name="l1")
    await node.rpc("setconfig", config="alias", val="for now", transient=True)
    await node.rpc("setconfig", config="announce-addr", val=["8.8.8.8", "9.9.9.9:1"], transient=True)
    assert not (node.directory / "config").exists()
    assert await setting(node, "alias") == {"value_str": "for now", "source": "setconfig", "dynamic": True}
    for _ in range(2):
        info = await node.rpc("getinfo")
        assert info["alias"] == "for now"
        assert [address["address"] for address in info["address"]] == ["8.8.8.8", "9.9.9.9"]
        await node.rpc("restart", what="master")
    await node.rpc("setconfig", config="announce-addr", transient=True)
    assert (await node.rpc("getinfo"))["address"] == []


async def test_log_levels_of_all_processes(nodes: Nodes) -> None:
    node = nodes.start("--log-level=info", name="l1")
    await node.rpc("setconfig", config="log-level", val="unusual,debug:connectd", transient=True)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
    await node.logged(r"DEBUG +\w+-connectd: given to gossipd")
    assert await setting(node, "log-level") == {
        "value_str": "unusual,debug:connectd",
        "source": "setconfig",
        "dynamic": True,
    }
    await node.rpc("restart", what="connectd")
    async with await ScriptedPeer.connect(node.target) as another:
        await another.sync()
    await node.logged(f"DEBUG +{another.node_id.hex()}-connectd: given to gossipd")


async def test_what_we_announce(nodes: Nodes) -> None:
    """gossipd is told, and so is the one that comes after it."""
    node = nodes.start(name="l1")
    await node.rpc("setconfig", config="rgb", val="0a0b0c")
    await node.rpc("setconfig", config="alias", val="⚡ new")
    assert (node.directory / "config.setconfig").read_text().splitlines()[1:] == ["rgb=0a0b0c", "alias=⚡ new"]
    info = await node.rpc("getinfo")
    assert (info["color"], info["alias"]) == ("0a0b0c", "⚡ new")

    async def is_logged() -> bool:
        return any("setconfig: alias is" in entry.get("log", "") for entry in (await node.rpc("getlog"))["log"])

    await until(is_logged, "the change is in the log")


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({}, "missing required parameter: config"),
        ({"config": "nosuch", "val": 1}, "Unknown config option 'nosuch'"),
        ({"config": "network", "val": "bitcoin"}, "Not a dynamic config option"),
        ({"config": "alias"}, "alias needs a value"),
        ({"config": "alias", "val": ["a"]}, "alias is not a multi option: val must not be an array"),
        ({"config": "alias", "val": {"a": 1}}, "val: should be a string"),
        ({"config": "alias", "val": "a\nrpc-file=/tmp/x"}, "alias is one line"),
        ({"config": "alias", "val": "é" * 17}, "is over 32 bytes long"),
        ({"config": "rgb", "val": "red"}, "'red' is not six hex digits"),
        ({"config": "max-inbound", "val": -1}, "'-1' is not a number from 0"),
        ({"config": "max-inbound", "val": 1.5}, "'1.5' is not a number from 0"),
        ({"config": "log-level", "val": "loud"}, "'loud' is not one of io"),
        ({"config": "announce-addr", "val": "8.8.8.8"}, "announce-addr is a multi option: val must be an array"),
        ({"config": "announce-addr", "val": ["10.0.0.1", 7]}, "announce-addr"),
        ({"config": "announce-addr", "val": ["dns:a.example", "dns:b.example"]}, "only one dns: name"),
        ({"config": "rgb", "val": "010203", "transient": "perhaps"}, "transient: should be 'true' or 'false'"),
    ],
)
async def test_rubbish(shared_setconfig_node: Node, params: dict[str, Any], complaint: str) -> None:
    node = shared_setconfig_node
    before = await node.rpc("listconfigs")
    with pytest.raises(RpcError) as error:
        await node.rpc("setconfig", **params)
    assert error.value.code == INVALID
    assert complaint in error.value.message
    assert await node.rpc("listconfigs") == before
    assert not (node.directory / "config").exists()


@pytest.fixture(scope="module")
def shared_setconfig_node(shared_nodes: Nodes) -> Node:
    return shared_nodes.start()


async def test_a_config_file_that_cannot_be_read_any_more(nodes: Nodes) -> None:
    """Nothing changes, in the node either."""
    (nodes.directory("l1") / NETWORK / "config").write_text("rgb=010101\n")
    node = nodes.start(name="l1")
    (node.directory / "config").write_text("rgb=020202\n")
    with pytest.raises(RpcError, match="line 1 changed from rgb=010101 to rgb=020202"):
        await node.rpc("setconfig", config="rgb", val="030303")
    assert (await node.rpc("getinfo"))["color"] == "010101"
    assert (await node.rpc("setconfig", config="rgb", val="030303", transient=True))["config"]["source"] == "setconfig"
    assert (await node.rpc("getinfo"))["color"] == "030303"
