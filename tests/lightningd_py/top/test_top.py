"""`top` on a terminal, over a node that runs."""

import re
import signal
from collections.abc import Callable
from typing import Any

import pytest

from lightningd_py.cli.cli import command
from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.top.model import VERDICTS
from tests.harness.node import Node, Nodes

Start = Callable[..., Any]
LEFT = b"\x1b[?1049l"
"""What leaves the alternate screen."""


def top(terminal: Start, node: Node, columns: int = 100, lines: int = 30) -> Any:
    where = (f"--lightning-dir={node.lightning_dir}", "--regtest")
    return terminal(columns, lines, *where, "top", "--interval=0.2")


async def test_the_screen_and_its_keys(nodes: Nodes, terminal: Start) -> None:
    node = nodes.start("--alias=watched")
    async with await ScriptedPeer.connect(node.target) as first, await ScriptedPeer.connect(node.target) as second:
        await first.sync()
        await second.sync()
        shown = top(terminal, node)
        words = ["2 peers", "gossipd", "connectd", "hsmd", "accepted 0", "channels", "owner▼", "q quit"]
        words += [peer.node_id.hex()[:12] for peer in (first, second)]
        text = shown.until(lambda text: all(word in text for word in words))
        assert text.startswith("watched ")
        assert "are not shown" not in text, "nothing in the log is unusual, and nothing is missing"
        shown.type("s")
        assert "in/s▼" in shown.until(lambda text: "in/s▼" in text)
        shown.type("r")
        shown.until(lambda text: "in/s▲" in text)
        shown.type("\x1b[B\r")
        text = shown.until(lambda text: "features: " in text)
        looked_at = next(peer for peer in (first, second) if peer.node_id.hex() in text)
        shown.type("d")
        shown.until(lambda text: "y/n" in text)
        shown.type("n")
        shown.until(lambda text: "y/n" not in text)
        shown.type("d")
        shown.until(lambda text: "y/n" in text)
        shown.type("y")
        await looked_at.hangs_up()
        shown.until(lambda text: "disconnect: done" in text and " 1 peer " in text)
        shown.type("b")
        shown.until(lambda text: "ban for a day" in text)
        shown.type("y")
        other = second if looked_at is first else first
        await other.hangs_up()
        shown.until(lambda text: "0 peers" in text and "no peers" in text)
        (ban,) = (await node.rpc("listbans"))["bans"]
        assert (ban["who"], ban["expires"] - ban["created"]) == (other.node_id.hex(), 86_400)
        shown.type("q")
        assert shown.end() == 0
        assert LEFT in shown.raw


async def test_every_verdict_is_a_counter_of_gossipstatus(nodes: Nodes) -> None:
    assert set(VERDICTS) <= (await nodes.start().rpc("gossipstatus")).keys()


async def test_another_size_and_no_room(nodes: Nodes, terminal: Start) -> None:
    shown = top(terminal, nodes.start(), 200, 30)
    shown.until(lambda text: "q quit" in text)
    for columns, lines in ((20, 5), (80, 24), (1, 1), (120, 30)):
        shown.resize(columns, lines)
        shown.until(
            lambda text, lines=lines, columns=columns: (
                bool(text.strip()) and (lines < 5 or "block" in text or columns < 40)
            )
        )
    shown.until(lambda text: "q quit" in text)
    shown.type("q")
    assert shown.end() == 0


async def test_a_node_that_dies_is_one_sentence(nodes: Nodes, terminal: Start) -> None:
    node = nodes.start()
    shown = top(terminal, node)
    shown.until(lambda text: "q quit" in text)
    await node.rpc("stop")
    assert shown.end() == 2
    said = shown.raw[shown.raw.rindex(LEFT) :].decode()
    assert len(re.findall("lightning-cli-py: ", said)) == 1
    assert "no node answers on" in said or "hung up" in said


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_signals_restore_the_terminal(nodes: Nodes, terminal: Start, number: int, status: int) -> None:
    shown = top(terminal, nodes.start())
    shown.until(lambda text: "q quit" in text)
    shown.process.send_signal(number)
    assert shown.end() == status
    assert LEFT in shown.raw


def test_no_terminal_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    assert command(["top"]) == 3
    assert capfd.readouterr() == ("", "lightning-cli-py: top needs a terminal\n")


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "inf", "soon"])
def test_an_interval_that_is_none(interval: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command(["top", f"--interval={interval}"]) == 3
    assert "not a number of seconds" in capfd.readouterr().err


def test_no_node_is_one_sentence(tmp_path: Any, terminal: Start) -> None:
    shown = terminal(80, 24, f"--lightning-dir={tmp_path}", "top")
    assert shown.end() == 2
    assert "no node answers on" in shown.text
    assert LEFT not in shown.raw
