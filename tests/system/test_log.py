"""The log of a whole node: in files with levels of their own, and as JSON."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import PROGRAMS, Nodes
from tests.harness.waiting import until

SOURCES = {"lightningd", "connectd", "gossipd", "hsmd"}


def has(file: Path, *words: str) -> Callable[[], Awaitable[bool]]:
    """Whether one line of the file has all these words."""

    def found() -> bool:
        text = file.read_text() if file.exists() else ""
        return any(all(word in line for word in words) for line in text.splitlines())

    async def looked() -> bool:
        return found()

    return looked


async def test_a_level_for_one_file(nodes: Nodes) -> None:
    """A file with that subsystem's lines besides those that every file has; setconfig changes it as the node runs."""
    levels = ("--log-level=unusual", "--log-level=info:lightningd", "--log-level=debug:connectd:own")
    node = nodes.begin("--log-file=-", "--log-file=own", *levels).ready()
    own = node.directory / "own"
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
    await until(has(own, "DEBUG", f"{peer.node_id.hex()}-connectd: "), "connectd's line")
    await until(has(own, "INFO", " lightningd: ", "listens on"), "the master's")
    assert " gossipd: " not in own.read_text()
    shown = (await node.rpc("listconfigs", config="log-level"))["configs"]["log-level"]
    assert shown["value_str"] == f"debug,unusual,info:lightningd,debug:connectd:{own}"

    await node.rpc("setconfig", config="log-level", val="info,debug:gossipd:own", transient=True)
    mark = own.stat().st_size
    async with await ScriptedPeer.connect(node.target) as another:
        await another.sync()
    await until(has(own, "DEBUG", f"{another.node_id.hex()}-gossipd: "), "gossipd's line")
    await node.rpc("restart", what="log")
    assert "DEBUG" not in "".join(line for line in own.read_text()[mark:].splitlines() if "connectd" in line)
    assert node.stop() == 0
    await until(has(own, "INFO", " lightningd: "), "the last lines")
    assert "DEBUG" not in node.log


async def test_json_into_a_file_and_to_standard_output(nodes: Nodes) -> None:
    """Each line is an object, and the same in both; also what a restarted daemon says, and the last line."""
    node = nodes.begin("--log-format=json", "--log-prefix=A", "--log-file=-", "--log-file=log")
    file = node.directory / "log"
    await until(has(file, "listens on"), "the node is ready")
    ready = next(json.loads(line) for line in file.read_text().splitlines() if "listens on" in line)
    node_id, port = ready["log"].partition(" ")[0], ready["log"].rpartition(":")[2]
    async with await ScriptedPeer.connect(f"{node_id}@127.0.0.1:{port}") as peer:
        await peer.sync()
    await node.rpc("restart", what="gossipd")
    assert node.stop() == 0
    lines = file.read_text().splitlines()
    objects = [json.loads(line) for line in lines]
    assert node.lines == lines
    assert all(said["prefix"] == "A" and said["time"].endswith("Z") and said["log"] for said in objects)
    assert {said["source"] for said in objects} >= SOURCES
    assert {said["level"] for said in objects} <= {"debug", "info", "unusual"}
    assert peer.node_id.hex() in {said.get("node_id") for said in objects}


async def test_json_with_levels_of_files_and_a_program_s_words(nodes: Nodes) -> None:
    """What a service prints is in the log as the master's line, an object as all others."""
    program = nodes.directory("l1") / "program.py"
    program.write_text("import sys; print('plain words', file=sys.stderr, flush=True)")
    options = ("--log-format=json", "--log-file=-", "--log-file=log", "--log-level=unusual::-")
    service = f"--service=s={PROGRAMS / 'python'} {program}"
    node = nodes.begin(*options, service, "--take=s=open_channel", name="l1")
    file = node.directory / "log"
    await until(has(file, "listens on"), "the node is ready")
    port = next(line for line in file.read_text().splitlines() if "listens on" in line).rpartition(":")[2].rstrip('"}')
    node_id = (await node.rpc("getinfo"))["id"]
    async with await ScriptedPeer.connect(f"{node_id}@127.0.0.1:{port}") as peer:
        await peer.say((32).to_bytes(2, "big") + bytes(319))
        await until(has(file, "plain words"), "what it prints")
    await asyncio.to_thread(node.stop)
    assert all(json.loads(line) for line in file.read_text().splitlines())
    assert {json.loads(line)["level"] for line in node.lines} <= {"unusual"}
