"""`lightning-cli-py` as a process, against a small server; and its parts."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.cli.cli import parameter, parameters
from lightningd_py.cli.output import as_text, error_text
from lightningd_py.errors import UsageError
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import RpcError, anything, optional
from tests.lightningd_py.cli.answering import answering, cli, in_terminal
from wire.control.status import sane

NODE_ID = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
EVIL = "\x1b[31mred\u202e\x07"


async def echo(a: Any, b: Any) -> Any:
    return {"a": a, "b": b}


async def refuse() -> Any:
    raise RpcError(401, f"All addresses failed {EVIL}", {"tried": ["1.2.3.4:9735"]})


async def listnodes() -> Any:
    address = {"type": "ipv6", "address": "::1", "port": 9735}
    return {"nodes": [{"nodeid": NODE_ID, "alias": f"über {EVIL}", "last_timestamp": 7, "addresses": [address]}]}


async def compactgossipstore() -> Any:
    return {"store_bytes": 1_234}


SYNC = [{"state": "asking for scids", "percent": 40}] * 3 + [{"state": "normal", "percent": 100}]


async def resync() -> Any:
    return {}


async def gossipstatus() -> Any:
    return {"store_live_bytes": 10, **(SYNC.pop(0) if len(SYNC) > 1 else SYNC[0])}


COMMANDS = [
    Command("compactgossipstore", compactgossipstore),
    Command("resync", resync),
    Command("gossipstatus", gossipstatus),
    Command("echo", echo, (optional("a", anything, "any value"), optional("b", anything, "another")), "Say it back."),
    Command("refuse", refuse),
    Command("listnodes", listnodes),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lightning-dir in which a server answers."""
    with answering(tmp_path_factory.mktemp("ln"), COMMANDS) as base:
        yield base


def test_a_result_into_a_pipe_is_json(directory: Path) -> None:
    done = cli(directory, "echo", "1", NODE_ID)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"a": 1, "b": NODE_ID}
    assert "\n" in done.stdout.strip()


def test_options_may_stand_anywhere(directory: Path) -> None:
    done = cli(directory, "-k", "echo", "b=true", "--raw")
    assert done.stdout == '{"a": null, "b": true}\n'


def test_the_filter_goes_to_the_node(directory: Path) -> None:
    assert json.loads(cli(directory, "--filter", '{"a": true}', "echo", "x").stdout) == {"a": "x"}


def test_an_error_reply_is_printed_with_status_1(directory: Path) -> None:
    done = cli(directory, "refuse")
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 401
    assert cli(directory, "fly").returncode == 1


def test_an_error_for_a_person(directory: Path) -> None:
    done = cli(directory, "-H", "refuse")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error 401: All addresses failed ?[31mred??\n  tried:\n    - 1.2.3.4:9735\n"


def test_no_node_is_one_sentence_with_status_2(tmp_path: Path) -> None:
    done = cli(tmp_path, "getinfo")
    socket_path = tmp_path / "regtest" / "lightning-rpc"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"lightning-cli-py: no node answers on {socket_path}: No such file or directory\n"


@pytest.mark.parametrize(
    ("answer", "complaint"), [(b"", "hung up without an answer"), (b"hello\n\n", "does not speak JSON-RPC")]
)
def test_what_answers_is_no_node(tmp_path: Path, answer: bytes, complaint: str) -> None:
    path = tmp_path / "rpc"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = cli(tmp_path, f"--rpc-file={path}", "getinfo")
        thread.join()
    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--nonsense", "getinfo"],
        ["-k", "echo", "x"],
        ["echo", b"caf\xe9"],
        ["-k", "echo", b"what=\xff"],
        ["--network=mars", "help"],
        ["--filter=x", "help"],
    ],
)
def test_wrong_usage_is_one_sentence_with_status_3(tmp_path: Path, words: list[str | bytes]) -> None:
    done = cli(tmp_path, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)


def test_the_networks_config_says_where_the_socket_is(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "regtest").mkdir()
    socket_path = directory / "regtest" / "lightning-rpc"
    (tmp_path / "regtest" / "config").write_text(f"rpc-file={socket_path}\nservice=x=y\n")
    assert cli(tmp_path, "help").returncode == 0


def test_help_lists_the_commands(directory: Path) -> None:
    assert "echo [a] [b]  " in cli(directory, "-H", "help").stdout
    assert cli(directory, "-H", "help", "echo").stdout.splitlines()[1:] == ["echo [a] [b]  Say it back."]


def test_in_a_terminal_a_table_without_a_strangers_control_characters(directory: Path) -> None:
    shown = in_terminal(directory, "listnodes", columns=200, NO_COLOR="1")
    assert re.sub("\x1b\\[[0-9;]*m", "", shown[0]).split() == ["NODEID", "ALIAS", "LAST_TIMESTAMP", "ADDRESSES"]
    assert "31" not in re.findall("\x1b\\[([0-9;]*)m", "".join(shown)), "no colour is set, least of all a stranger's"
    assert re.sub("\x1b\\[[0-9;]*m", "", shown[1]).split() == [
        NODE_ID,
        "über",
        "?[31mred??",
        "1970-01-01",
        *shown[1].split()[4:5],
        "[::1]:9735",
    ]


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_table_is_cut_to_the_terminal(directory: Path, columns: int) -> None:
    shown = in_terminal(directory, "listnodes", columns=columns, TERM="dumb")
    assert max(map(len, shown)) <= columns
    assert any("…" in line for line in shown)


def test_no_colours_where_they_are_not_wanted(directory: Path) -> None:
    assert any("\x1b[36m" in line for line in in_terminal(directory, "listnodes"))
    assert not any("\x1b[36m" in line for line in in_terminal(directory, "listnodes", NO_COLOR="1"))
    assert not any("\x1b" in line for line in in_terminal(directory, "listnodes", TERM="dumb"))


def test_a_person_is_told_what_a_misspelt_command_may_have_been(directory: Path) -> None:
    assert in_terminal(directory, "lstnodes") == ["error -32601: Unknown command 'lstnodes': did you mean listnodes?"]
    assert in_terminal(directory, "compltion") == [
        "error -32601: Unknown command 'compltion': did you mean completion?"
    ]
    assert in_terminal(directory, "xyzzy") == ["error -32601: Unknown command 'xyzzy'"]


def test_a_misspelt_option(directory: Path) -> None:
    done = cli(directory, "--lightnin-dir=/tmp", "getinfo")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.endswith("--lightnin-dir=/tmp: did you mean --lightning-dir?\n")


def test_flat_is_a_line_a_value(directory: Path) -> None:
    done = cli(directory, "--flat", "listnodes")
    assert done.stdout.splitlines() == [
        f"nodes[0].nodeid={NODE_ID}",
        "nodes[0].alias=\\u00fcber \\u001b[31mred\\u202e\\u0007",
        "nodes[0].last_timestamp=7",
        "nodes[0].addresses[0].type=ipv6",
        "nodes[0].addresses[0].address=::1",
        "nodes[0].addresses[0].port=9735",
    ]
    refused = cli(directory, "-F", "refuse")
    assert (refused.returncode, refused.stdout.splitlines()[0]) == (1, "code=401")


def test_scripts_do_not_wait_for_rich(directory: Path) -> None:
    """Nor for ZMQ, nor for the map."""
    code = (
        "import sys; from lightningd_py.cli.cli import command;"
        f"command(['--lightning-dir={directory}', '--regtest', 'listnodes']);"
        "print([name for name in ('rich', 'zmq', 'gossipd.gossmap') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_long_command_has_a_bar_and_then_its_result(directory: Path) -> None:
    shown = in_terminal(directory, "compactgossipstore")
    text = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", "\n".join(shown))
    assert "rewriting gossip_store" in text
    assert "store_bytes: 1.2 kB" in text
    assert cli(directory, "compactgossipstore").stderr == ""


def test_a_sync_is_followed_to_its_end(directory: Path) -> None:
    shown = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", "\n".join(in_terminal(directory, "resync", columns=100)))
    assert "syncing, asking for scids" in shown
    assert "40 %" in shown


def test_json_for_a_terminal_is_ascii(directory: Path) -> None:
    assert cli(directory, "--json", "listnodes").stdout.isascii()


def test_a_reader_that_has_seen_enough(directory: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "lightningd_py.cli", f"--lightning-dir={directory}", "--regtest", "help"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", 1),
        ("-1.5", -1.5),
        ("true", True),
        ("null", None),
        ('{"a": [1]}', {"a": [1]}),
        ('"1"', "1"),
        ("", ""),
        ("alice", "alice"),
        ("02" + "1" * 64, "02" + "1" * 64),
        ("00ff", "00ff"),
        ("1e5", "1e5"),
        ("1x2x3", "1x2x3"),
        ("007", "007"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        # what signmessage would sign another text for
        ("1.50", "1.50"),
        ("0.10", "0.10"),
        ("-0", "-0"),
        ("1.0e1", "1.0e1"),
        ("9" * 30, int("9" * 30)),
        ("9" * 5_000, "9" * 5_000),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("[tag] hello", "[tag] hello"),
        ("[tag]", "[tag]"),
        ("{", "{"),
        ('"so" he said', '"so" he said'),
        ("[1e999]", "[1e999]"),
        ("[" * 100_000, "[" * 100_000),
        ("truely", "truely"),
    ],
)
def test_what_a_word_is_taken_for(word: str, value: Any) -> None:
    assert parameter(word) == value
    assert type(parameter(word)) is type(value)


def test_keywords_are_recognised_by_the_first_word() -> None:
    assert parameters(["id=1", "host=x=y"], None) == {"id": 1, "host": "x=y"}


@pytest.mark.parametrize("word", ["1.50", "true", "7", "[tag] hello", '{"a": 1}'])
def test_a_word_is_the_same_with_its_name_and_without(word: str) -> None:
    (alone,) = parameters([word], False)
    assert parameters([f"what={word}"], True) == {"what": alone}
    assert parameters([f"{NODE_ID}@a:1"], None) == [f"{NODE_ID}@a:1"]
    assert parameters(["a=1"], False) == ["a=1"]
    assert parameters([], None) == []
    with pytest.raises(UsageError, match="expected key=value in 'b'"):
        parameters(["a=1", "b"], None)


def test_listpeers_names_the_owner() -> None:
    peer = {"id": NODE_ID, "connected": True, "owner": "gossipd", "conn_id": 3, "netaddr": ["127.0.0.1:1"], "log": []}
    head, row = as_text("listpeers", {"peers": [peer]}).splitlines()
    assert head.split() == ["ID", "CONNECTED", "OWNER", "CONN_ID", "NETADDR"]
    assert row.split() == [NODE_ID, "yes", "gossipd", "3", "127.0.0.1:1"]
    assert as_text("listpeers", {"peers": []}) == "no peers"


def test_listchannels_shortens_ids() -> None:
    channel = {"short_channel_id": "1x2x3", "source": NODE_ID, "destination": NODE_ID, "active": False, "delay": None}
    assert as_text("listchannels", {"channels": [channel]}).splitlines()[1].split() == [
        "1x2x3",
        NODE_ID[:16] + "…",
        NODE_ID[:16] + "…",
        "no",
        "-",
    ]


def test_all_else_is_lines() -> None:
    result = {"id": "02", "address": [], "our_features": {"init": "08"}, "list": [1, {"x": EVIL}]}
    assert as_text("getinfo", result) == (
        "id: 02\naddress: none\nour_features:\n  init: 08\nlist:\n  - 1\n  -\n    x: ?[31mred??"
    )
    assert as_text("stop", "Shutdown complete") == "Shutdown complete"
    assert error_text("what?") == "what?"


def test_sane_keeps_letters_and_pictures() -> None:
    assert sane("über ⚡ node") == "über ⚡ node"
    assert sane("\x00\x9b\u200f\n") == "????"
