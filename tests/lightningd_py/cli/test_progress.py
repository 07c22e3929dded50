"""lightning-cli-py and what the node tells of a command's way: -N, a bar on a terminal, and a node of another mind."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.cli.output import as_text
from lightningd_py.cli.progress import bar_of
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.notifications import tell_asker
from lightningd_py.rpc.params import anything, optional
from tests.lightningd_py.cli.answering import answering, cli, in_terminal


async def restart(what: Any) -> Any:
    tell = tell_asker()
    tell("restarting \x1b[31mhsmd", 0, 2)
    tell("restarting gossipd", 1, 2)
    await asyncio.sleep(0.3)  # a bar is drawn ten times a second
    return {"restarted": "all"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lightning-dir in which a server answers."""
    with answering(
        tmp_path_factory.mktemp("ln"), [Command("restart", restart, (optional("what", anything, "which"),))]
    ) as base:
        yield base


def test_the_way_is_on_standard_error_and_the_result_stays_json(directory: Path) -> None:
    done = cli(directory, "-N", "info", "restart")
    assert json.loads(done.stdout) == {"restarted": "all"}
    assert done.stderr == "# restarting ?[31mhsmd\n# restarting gossipd\n"


@pytest.mark.parametrize("words", [(), ("-N", "none"), ("--notifications=unusual",)])
def test_nothing_is_said_that_was_not_asked_for(directory: Path, words: tuple[str, ...]) -> None:
    done = cli(directory, *words, "restart")
    assert (json.loads(done.stdout), done.stderr) == ({"restarted": "all"}, "")


def test_a_level_that_is_none(directory: Path) -> None:
    done = cli(directory, "-N", "loud", "restart")
    assert (done.returncode, done.stdout) == (3, "")
    assert "invalid choice: 'loud'" in done.stderr


def test_a_bar_on_a_terminal(directory: Path) -> None:
    shown = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", "\n".join(in_terminal(directory, "restart", columns=100)))
    assert "restarting gossipd" in shown
    assert "50 %" in shown
    assert "restarted: all" in shown


def test_a_node_that_knows_no_topics(tmp_path: Path) -> None:
    """The request for notifications is refused there, and the command is carried out all the same."""
    (tmp_path / "regtest").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "regtest" / "lightning-rpc"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for answer in ({"error": {"code": -32602, "message": "too many"}}, {"result": {"x": 1}}):
                    connection.recv(65_536)
                    connection.sendall(json.dumps({"id": 1, **answer}).encode() + b"\n\n")

        thread = threading.Thread(target=serve)
        thread.start()
        done = cli(tmp_path, "-N", "info", "restart")
        thread.join()
    assert (json.loads(done.stdout), done.returncode) == ({"x": 1}, 0)


@pytest.mark.parametrize(
    ("params", "percent"),
    [
        ({"num": 0, "total": 4}, 0),
        ({"num": 3, "total": 4}, 75),
        ({"num": 9, "total": 4}, 100),
        ({"num": -1, "total": 4}, 0),
        ({"num": 1, "total": 0}, None),
        ({"num": "x", "total": 4}, None),
        ({}, None),
    ],
)
def test_bars(params: dict[str, Any], percent: float | None) -> None:
    assert bar_of("progress", params) == percent
    assert bar_of("message", params) is None


def test_the_log_for_people() -> None:
    entries = [
        {"type": "SKIPPED", "num_skipped": 3},
        {"type": "UNUSUAL", "time": "1.500000000", "source": "gossipd", "log": "a\x1b[2Jb", "node_id": "02ab"},
    ]
    assert as_text("getlog", {"created_at": "0.000000000", "log": entries}).splitlines() == [
        "(3 lines are not shown)",
        "1970-01-01T00:00:01.500Z UNUSUAL 02ab-gossipd: a?[2Jb",
    ]


def test_network_events_for_people() -> None:
    event = {"created_index": 1, "timestamp": 0, "type": "ping", "peer_id": "02ab", "duration_nsec": 35_400_000}
    head, row = as_text("listnetworkevents", {"networkevents": [event]}).splitlines()
    assert head.split() == ["CREATED_INDEX", "TIMESTAMP", "TYPE", "PEER_ID", "DURATION_NSEC"]
    assert row.split()[-3:] == ["ping", "02ab", "35ms"]
