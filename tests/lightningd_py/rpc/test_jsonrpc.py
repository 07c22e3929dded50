"""The JSON-RPC server, over a real socket."""

import asyncio
import functools
import json
import logging
import stat
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightningd_py import unix_socket
from lightningd_py.errors import DirectoryError
from lightningd_py.rpc import clients, connection, jsonrpc
from lightningd_py.rpc.jsonrpc import Command, RpcServer
from tests.lightningd_py.served_commands import ServedCommands


async def test_a_reply_has_the_id_and_ends_with_an_empty_line(served: ServedCommands) -> None:
    client = await served.client()
    client.say(b'{"jsonrpc":"2.0","id":"me:echo#1","method":"echo","params":[[1,null]]}')
    raw = await client.reader.readuntil(b"\n\n")
    expected = {"jsonrpc": "2.0", "id": "me:echo#1", "result": {"what": [1, None], "more": "none"}}
    assert json.loads(raw) == expected
    assert raw.count(b"\n") == 2


async def test_params_as_a_list_an_object_or_left_out(served: ServedCommands) -> None:
    client = await served.client()
    assert (await client.call("echo", {"what": 1, "more": "x"}))["result"] == {"what": 1, "more": "x"}
    assert (await client.call("echo", [1, "x"]))["result"] == {"what": 1, "more": "x"}
    client.say(b'{"jsonrpc":"2.0","id":1,"method":"help"}')
    assert "result" in await client.reply()


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("fly", [], {"code": -32601, "message": "Unknown command 'fly'"}),
        ("echo", [], {"code": -32602, "message": "missing required parameter: what"}),
        ("echo", 5, {"code": -32602, "message": "Expected array or object for params"}),
        ("refuse", [], {"code": 401, "message": "all failed", "data": {"tried": 3}}),
        ("help", ["fly"], {"code": -32601, "message": "Unknown command 'fly'"}),
    ],
)
async def test_errors_have_clns_codes(served: ServedCommands, method: str, params: Any, error: Any) -> None:
    client = await served.client()
    assert await client.call(method, params) == {"jsonrpc": "2.0", "id": 1, "error": error}
    assert (await client.call("echo", [1]))["result"]["what"] == 1


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ([], "Expected {} for json command"),
        ({"jsonrpc": "2.0", "method": "help"}, "No id"),
        ({"jsonrpc": "2.0", "method": "help", "id": [1]}, "Expected string/primitive for id"),
        ({"jsonrpc": "2.0", "method": "help", "id": True}, "Expected string/primitive for id"),
        ({"method": "help", "id": 1}, 'jsonrpc: "2.0" must be specified in the request'),
        ({"jsonrpc": "2.0", "id": 1}, "No method"),
        ({"jsonrpc": "2.0", "id": 1, "method": {}}, "Expected string for method"),
    ],
)
async def test_what_is_json_and_no_request(served: ServedCommands, request_: Any, message: str) -> None:
    client = await served.client()
    client.say(json.dumps(request_).encode())
    reply = await client.reply()
    assert reply["error"] == {"code": -32600, "message": message}
    assert (await client.call("echo", [1]))["result"]["what"] == 1


@pytest.mark.parametrize("said", ["1e999", "-0", "1.50", "9" * 30, '"\\ud800"', '"1.5"', "7"])
async def test_an_id_comes_back_as_it_was_written(served: ServedCommands, said: str) -> None:
    client = await served.client()
    client.say(f'{{"jsonrpc": "2.0", "id": {said}, "method": "echo", "params": [1]}}'.encode())
    raw = await client.reader.readuntil(b"\n\n")
    assert raw.startswith(f'{{"jsonrpc": "2.0", "id": {said}, "result": '.encode())


@pytest.mark.parametrize("word", ['"\\ud800"', '"a\\udc00b"'])
async def test_half_a_surrogate_pair_is_no_text(served: ServedCommands, word: str) -> None:
    client = await served.client()
    client.say(f'{{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": [1, {word}]}}'.encode())
    assert (await client.reply())["error"] == {
        "code": -32602,
        "message": f"more: should be Unicode: it has half a surrogate pair: invalid token '{word}'",
    }


@pytest.mark.parametrize("word", ["1.50", "0.10", "-0", "9" * 40, "true", "10.0.0.1", "1.", "007", "-1E+5"])
async def test_a_parameter_keeps_its_text(served: ServedCommands, word: str) -> None:
    """The bytes are those of CLN's lightning-cli, which says what is digits and dots without quotes."""
    client = await served.client()
    for params in (f"[ 1, {word}] ", f'{{ "what" : 1, "more" : {word}}} '):
        client.say(f'{{ "jsonrpc" : "2.0", "method" : "echo", "id" : "cli:echo#1", "params" :{params}}}'.encode())
        assert (await client.reply())["result"] == {"what": 1, "more": word}


@pytest.mark.parametrize("stream", [b"GET / HTTP/1.1\r\n", b'{"jsonrpc" 2}', b"{]", b'{"id":NaN}'])
async def test_what_is_no_json_ends_the_connection(served: ServedCommands, stream: bytes) -> None:
    client = await served.client()
    client.say(stream)
    reply = await client.reply()
    assert (reply["id"], reply["error"]["code"]) == (None, -32700)
    assert await client.at_end()
    assert "result" in await (await served.client()).call("help")


async def test_a_request_that_is_too_long_ends_the_connection(served: ServedCommands) -> None:
    client = await served.client()
    client.say(b'{"jsonrpc":"' + b"x" * connection.MAX_REQUEST)
    assert (await client.reply())["error"] == {"code": -32600, "message": "request is over 4194304 bytes"}


async def test_a_bug_is_told_and_logged_and_the_server_goes_on(
    served: ServedCommands, caplog: pytest.LogCaptureFixture
) -> None:
    client = await served.client()
    assert (await client.call("boom"))["error"] == {"code": -1, "message": "internal error: KeyError"}
    assert (await client.call("unspeakable"))["error"] == {"code": -1, "message": "internal error: TypeError"}
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert (await client.call("echo", [1]))["result"]["what"] == 1


async def test_a_filter_thins_the_result(served: ServedCommands) -> None:
    client = await served.client()
    reply = await client.call("echo", [[{"a": 1, "b": 2}]], filter={"what": [{"a": True}]})
    assert reply["result"] == {"what": [{"a": 1}]}
    assert (await client.call("echo", [1], filter={"what": {}}))["error"]["code"] == -32602


async def test_help_is_made_from_the_registry(served: ServedCommands) -> None:
    client = await served.client()
    everything = (await client.call("help"))["result"]
    assert [entry["command"] for entry in everything["help"]] == [
        "boom",
        "channels",
        "check command_to_check [its parameters]",
        "echo what [more]",
        "help [command]",
        "notifications enable [topics] [level]",
        "refuse",
        "steps",
        "unspeakable",
        "wait",
    ]
    one = (await client.call("help", ["echo"]))["result"]["help"]
    parameters = [
        {"name": "what", "required": True, "description": "this"},
        {"name": "more", "required": False, "description": "and that", "default": "none"},
    ]
    assert one == [{"command": "echo what [more]", "summary": "Say it back.", "parameters": parameters}]
    assert (await client.call("notifications", [True]))["result"] == {}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.text(max_size=20), st.sampled_from([None, 2])), max_size=5),
    st.lists(st.integers(0, 600), max_size=8),
)
def test_requests_in_any_pieces_are_answered_in_order(
    tmp_path_factory: pytest.TempPathFactory, words: list[tuple[str, int | None]], cuts: list[int]
) -> None:
    requests = [
        json.dumps({"jsonrpc": "2.0", "id": i, "method": "echo", "params": [word]}, indent=indent)
        for i, (word, indent) in enumerate(words)
    ]
    stream = "".join(requests).encode()
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    async def talk() -> list[Any]:
        served = ServedCommands(tmp_path_factory.mktemp("rpc") / "rpc")
        await served.server.start(served.path)
        client = await served.client()
        for start, end in pairwise(places):
            client.say(stream[start:end])
            await client.writer.drain()
        replies = [await client.reply() for _ in words]
        await client.close()
        await served.server.close()
        return replies

    replies = asyncio.run(talk())
    assert [(reply["id"], reply["result"]["what"]) for reply in replies] == [(i, w) for i, (w, _) in enumerate(words)]


async def test_one_clients_waiting_holds_nobody_up(served: ServedCommands) -> None:
    first, second = await served.client(), await served.client()
    waiting = asyncio.create_task(first.call("wait"))
    await served.arrived.wait()
    assert (await second.call("echo", [1]))["result"]["what"] == 1
    first.say(b'{"jsonrpc":"2.0","id":2,"method":"echo","params":["later"]}')
    assert "later" not in served.order
    served.gate.set()
    assert (await waiting)["result"] == {"waited": True}
    assert (await first.reply())["id"] == 2


async def test_a_client_that_takes_no_replies_is_not_read_on(served: ServedCommands) -> None:
    """Each reply is of 1 MB: the next request is taken only when the one before has its reply taken."""
    client, other = await served.client(), await served.client()
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x" * 1_000_000]}).encode()
    client.transport.pause_reading()
    client.say(request * 10)
    while not served.order:
        await other.call("help")
    for _ in range(50):
        await other.call("help")
    assert len(served.order) < 10
    client.transport.resume_reading()
    assert [len((await client.reply())["result"]["what"]) for _ in range(10)] == [1_000_000] * 10


async def test_a_client_that_leaves_in_the_middle_costs_nothing(served: ServedCommands) -> None:
    leaver, other = await served.client(), await served.client()
    leaver.say(b'{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}')
    await served.arrived.wait()
    await leaver.close()
    served.gate.set()
    half = await served.client()
    half.say(b'{"jsonrpc":')
    await half.close()
    assert "result" in await other.call("help")


async def test_a_client_that_has_said_all_still_gets_its_answer(served: ServedCommands) -> None:
    client = await served.client()
    client.say(b'{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}')
    client.writer.write_eof()
    assert (await client.reply())["result"]["what"] == 1
    assert await client.at_end()


async def test_closing_lets_a_request_in_hand_finish(served: ServedCommands) -> None:
    idle, busy = await served.client(), await served.client()
    await idle.call("help")
    waiting = asyncio.create_task(busy.call("wait"))
    await served.arrived.wait()
    closing = asyncio.create_task(served.server.close())
    assert await idle.at_end()
    served.gate.set()
    assert (await waiting)["result"] == {"waited": True}
    await closing
    assert not served.path.exists()


async def test_closing_does_not_wait_for_ever(served: ServedCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "GRACE", 0.0)
    client = await served.client()
    client.say(b'{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}')
    await served.arrived.wait()
    await served.server.close()
    assert await client.at_end()


async def test_only_the_owner_may_talk(served: ServedCommands) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


async def test_a_dead_nodes_socket_is_replaced_and_a_living_ones_is_not(served: ServedCommands, tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    unix_socket.listen(stale, 0o600).close()
    assert stale.exists()
    unix_socket.listen(stale, 0o660).close()
    assert stat.S_IMODE(stale.stat().st_mode) == 0o660
    with pytest.raises(DirectoryError, match=r"cannot listen on .*/rpc: another process listens there"):
        await RpcServer().start(served.path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DirectoryError, match="something else is there that is no socket"):
        await RpcServer().start(tmp_path / "file")
    with pytest.raises(DirectoryError, match=r"cannot listen on .*: No such file"):
        await RpcServer().start(tmp_path / "nowhere" / "rpc")


async def test_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    server = RpcServer()
    await server.start(directory / "rpc")
    unix_socket.connect(directory / "rpc").close()
    await server.close()
    assert list(directory.iterdir()) == []


def test_a_command_is_registered_once() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        RpcServer().add(Command("help", RpcServer().call))


@pytest.mark.parametrize("length", [0, 1, 999, 1_000, 1_001, 2_500])
async def test_long_lists_are_encoded_in_pieces_and_read_the_same(length: int) -> None:
    result = {"channels": [{"n": number, "text": 'é"\n'} for number in range(length)], "more": [[]], "count": length}
    encoded = await jsonrpc._encode_result("id", result)
    assert encoded.endswith(b"\n\n") and b"\n" not in encoded[:-2]
    assert json.loads(encoded) == {"jsonrpc": "2.0", "id": "id", "result": result}


async def test_while_a_daemon_does_not_keep_up() -> None:
    """Requests wait, but not the one that ends the node."""
    behind, done = True, []

    async def do(name: str) -> dict[str, Any]:
        done.append(name)
        return {}

    commands = [Command(name, functools.partial(do, name)) for name in ("stop", "connect")]
    rpc = RpcServer(commands, behind=lambda: behind)

    async def encode(result: object) -> bytes:
        return b""

    waiting = asyncio.create_task(rpc.carry_out({"method": "connect"}, encode))
    await rpc.carry_out({"method": "stop"}, encode)
    assert done == ["stop"]
    behind = False
    await waiting
    assert done == ["stop", "connect"]


# check


async def test_check(served: ServedCommands) -> None:
    """The parameters are read, by name and in order, and nothing is done."""
    client = await served.client()
    for params in ({"command_to_check": "echo", "what": 1}, ["echo", 1], ["refuse"]):
        name = params[0] if isinstance(params, list) else params["command_to_check"]
        assert (await client.call("check", params))["result"] == {"command_to_check": name}
    assert served.order == []
    cases: tuple[tuple[object, int], ...] = (
        ({}, -32602),
        ("echo", -32602),
        (["echo"], -32602),
        (["echo", 1, "a", 3], -32602),
        ({"command_to_check": "echo", "what": 1, "other": 2}, -32602),
        (["nosuch"], -32601),
    )
    for refused, code in cases:
        assert (await client.call("check", refused))["error"]["code"] == code
