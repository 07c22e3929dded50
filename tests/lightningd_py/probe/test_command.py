"""`lightning-cli-py probe` as a person types it."""

import asyncio
import json
import signal
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from shutil import copy

import pytest

from lightningd_py.cli.cli import command
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import Nodes
from wire.peer_wire import QueryChannelRange

NODE_ID = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


def test_two_nodes_are_compared(
    nodes: Nodes, small_map_store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "l1" / "regtest").mkdir(parents=True)
    copy(small_map_store, tmp_path / "l1" / "regtest" / "gossip_store")
    full, empty = nodes.start(), nodes.start()
    svg, mine = tmp_path / "plot.svg", f"--lightning-dir={tmp_path}/mine"
    words = ["probe", full.target, empty.target, "--minutes=0.2", f"--svg={svg}", "--json", "--regtest", mine]
    assert command(words) == 0
    report = json.loads(capfd.readouterr().out)
    first, second = report["peers"]
    assert report["map"] == {"channels": 60, "given": 60, "never_given": 0}
    assert (first["listed"], first["first_channels"], first["wrong"], first["refused"]) == (60, 60, 0, 0)
    assert (second["listed"], second["first"]) == (0, 0)
    assert 0 < report["time_to"]["50"] <= report["time_to"]["99"]
    assert report["curve"][-1][1] == 60
    texts = [each.text for each in ET.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert "all peers: 60 of 60 channels" in texts


def test_no_node_could_be_connected_with(
    tmp_path: Path, unused_ports: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    target = f"{NODE_ID}@127.0.0.1:{unused_ports[0]}"
    assert command(["probe", target, "-H", f"--lightning-dir={tmp_path}", "--regtest"]) == 2
    shown = capfd.readouterr()
    assert target in shown.out
    assert shown.err == "lightning-cli-py: no node could be connected with\n"


async def test_ctrl_c_ends_it_with_the_report(tmp_path: Path) -> None:
    async with await ScriptedPeer.listen() as node:
        words = ["probe", node.target, "--minutes=10", "--json", f"--lightning-dir={tmp_path}", "--regtest"]
        command = [sys.executable, "-P", "-m", "lightningd_py.cli", *words]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        peer = await node.accept(timeout=60)
        await peer.hear(QueryChannelRange, timeout=60)
        process.send_signal(signal.SIGINT)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        await peer.close()
    assert process.returncode == 0
    assert json.loads(out)["peers"][0]["connect_s"] > 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "no node is named as ID@HOST:PORT"),
        (["hello"], 3, "hello: "),
        ([NODE_ID], 3, "expected ID@HOST"),
        ([f"{NODE_ID}@127.0.0.1:1", "--minutes=0"], 3, "--minutes"),
        ([f"{NODE_ID}@127.0.0.1:1", "--nodes=x"], 3, "--nodes"),
        ([f"{NODE_ID}@127.0.0.1:1", "--svg=/nowhere/x.svg"], 4, "/nowhere/x.svg cannot be written"),
        ([f"{NODE_ID}@127.0.0.{i}:1" for i in range(1, 70)], 3, "too many"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], status: int, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command(["probe", *words, f"--lightning-dir={tmp_path}"]) == status
    shown = capfd.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert said in shown.err
