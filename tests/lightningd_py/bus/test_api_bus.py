"""The API bus over real ZMQ sockets: requests and answers, and clients of all kinds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
import zmq.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from lightningd_py.bus import api_bus, in_hand
from lightningd_py.bus.api_bus import ApiBus
from lightningd_py.bus.in_hand import MAX_IN_HAND
from lightningd_py.rpc.jsonrpc import Command, RpcServer
from lightningd_py.rpc.params import Parameter, RpcError, anything, hex_bytes, node_id, optional, peer, text
from wire.bus.socket import BusSocket

SOON = 60.0
NODE = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
Ask = Callable[..., Any]


class Methods:
    """What an RPC server of the tests offers."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.begun: asyncio.Queue[int] = asyncio.Queue()

    def server(self) -> RpcServer:
        return RpcServer(
            [
                Command("show", self.show, (optional("node", node_id, "a node"), optional("data", hex_bytes, "bytes"))),
                Command("peer", self.peer, (Parameter("id", peer(9735)),)),
                Command("name", self.name, (Parameter("name", text),)),
                Command("many", self.many),
                Command("plain", self.plain),
                Command("hold", self.hold),
                Command("refuse", self.refuse),
                Command("break", self.broken, (optional("value", anything, "a value"),)),
                Command("unspeakable", self.unspeakable),
            ]
        )

    async def show(self, node: bytes | None, data: bytes | None) -> dict[str, Any]:
        return {"node": node and node.hex(), "data": data and data.hex()}

    async def peer(self, id: tuple[bytes, Any]) -> str:
        return id[0].hex()

    async def name(self, name: str) -> str:
        return name

    async def many(self) -> dict[str, Any]:
        return {"entries": [{"number": number} for number in range(2_500)], "of": "numbers"}

    async def plain(self) -> list[int]:
        return [1, 2]

    async def hold(self) -> int:
        self.begun.put_nowait(1)
        await self.held.wait()
        return 1

    async def refuse(self) -> None:
        raise RpcError(401, "not today", {"tried": []})

    async def broken(self, value: Any) -> None:
        raise KeyError("no such thing")

    async def unspeakable(self) -> object:
        return {"x": object()}


@pytest.fixture
async def methods() -> Methods:
    return Methods()


@pytest.fixture
async def api(methods: Methods, tmp_path: Path) -> AsyncIterator[str]:
    """The bus's endpoint."""
    with zmq.Context() as context:
        bus_socket = BusSocket(context)
        bus = ApiBus(bus_socket, methods.server())
        bus_socket.on_message = bus.received
        yield bus_socket.bind(f"ipc://{tmp_path}/api")
        await bus.close()


@pytest.fixture
def clients(api: str) -> Iterator[Callable[..., Any]]:
    """Connects one more client of a kind, which keeps so many unread messages."""
    made: list[Any] = []
    with zmq.asyncio.Context() as context:

        def connect(kind: int, unread: int = 1_000) -> Any:
            made.append(context.socket(kind))
            made[-1].linger = 0
            made[-1].rcvhwm = unread
            made[-1].connect(api)
            return made[-1]

        yield connect
        for client in made:
            client.close()


@pytest.fixture
def ask(clients: Callable[[int], Any]) -> Ask:
    """One request of a REQ, and the map that answers it."""
    req = clients(zmq.REQ)

    async def asked(body: bytes | None = None, **fields: Any) -> Any:
        await req.send(msgpack.packb({"v": 1, "id": 1, **fields}) if body is None else body)
        async with asyncio.timeout(SOON):
            return msgpack.unpackb(await req.recv())

    return asked


async def test_a_request_has_one_answer(ask: Ask) -> None:
    for asked in (7, "seven", None):
        assert await ask(method="name", params={"name": "x"}, id=asked) == {"v": 1, "id": asked, "result": "x"}
    assert await ask(method="name", params=["x"]) == {"v": 1, "id": 1, "result": "x"}
    assert await ask(method="plain") == {"v": 1, "id": 1, "result": [1, 2]}
    (listed,) = (await ask(method="help", params=["name"]))["result"]["help"]
    assert listed["command"] == "name name"


async def test_long_lists_come_whole(ask: Ask) -> None:
    answer = await ask(method="many", filter={"entries": [{"number": True}], "of": True})
    assert answer["result"] == {"entries": [{"number": number} for number in range(2_500)], "of": "numbers"}


async def test_a_filter_is_as_on_the_json_socket(ask: Ask) -> None:
    assert (await ask(method="many", filter={"of": True}))["result"] == {"of": "numbers"}
    assert (await ask(method="many", filter=5))["error"]["code"] == -32602


async def test_bytes_are_taken_where_hex_is(ask: Ask) -> None:
    shown = {"node": NODE.hex(), "data": "0102"}
    assert (await ask(method="show", params={"node": NODE, "data": b"\1\2"}))["result"] == shown
    assert (await ask(method="show", params=[NODE.hex(), "0102"]))["result"] == shown
    assert (await ask(method="peer", params=[NODE]))["result"] == NODE.hex()
    for wrong in (b"", NODE[:-1], b"\x05" + NODE[1:], NODE * 2):
        assert (await ask(method="show", params={"node": wrong}))["error"]["code"] == -32602
    refused = (await ask(method="name", params={"name": b"x"}))["error"]
    assert refused == {"code": -32602, "message": "name: should be a string: invalid token '\"b'x'\"'"}


async def test_values_that_json_has_not_are_refused_in_words(ask: Ask) -> None:
    for value in ({b"x": b"y"}, [b"x"], float("nan")):
        assert (await ask(method="show", params={"node": value}))["error"]["code"] == -32602
    for value in (msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 2)):
        assert (await ask(method="show", params={"node": value}))["error"]["message"] == "that is no msgpack"
    assert (await ask(method="show", params={b"node": 1}))["error"]["message"] == "unknown parameter: b'node'"


@pytest.mark.parametrize("asked", [b"x", ["any", 1], {}, True, 1.5, [[[]]]])
async def test_an_id_is_an_integer_a_string_or_nil(ask: Ask, asked: Any) -> None:
    refused = {"code": -32600, "message": "id is an integer, a string or nil"}
    assert await ask(method="plain", id=asked) == {"v": 1, "id": None, "error": refused}


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


@pytest.mark.parametrize("key", [b"\xa1v", b"\xa2id", b"\xa6method", b"\xa6params", b"\xa6filter", b"\xa4type"])
@pytest.mark.parametrize("depth", [20, 600, 900, 1_000, 1_100])
async def test_what_is_nested_deeply_is_refused(ask: Ask, key: bytes, depth: int) -> None:
    """600 ended the node when the id was given back, 1,000 when the error was made."""
    others = b"".join(msgpack.packb(part) for part in ("v", 1, "method", "plain"))
    answer = await ask(b"\x83" + others + key + nested(depth))
    assert (answer["id"], answer["error"]["code"]) == (None, -32600)
    assert (await ask(method="plain"))["result"] == [1, 2]


async def test_errors_are_those_of_json_rpc(ask: Ask) -> None:
    assert await ask(method="refuse") == {
        "v": 1,
        "id": 1,
        "error": {"code": 401, "message": "not today", "data": {"tried": []}},
    }
    assert (await ask(method="nothing"))["error"] == {"code": -32601, "message": "Unknown command 'nothing'"}
    assert (await ask(params=[]))["error"] == {"code": -32600, "message": "No method"}
    assert (await ask(method=b"name"))["error"]["code"] == -32600
    assert (await ask(method="name", params=5))["error"]["code"] == -32602
    assert (await ask(method="name", id="of-mine"))["id"] == "of-mine"


async def test_a_bug_of_ours_is_logged_and_answered(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    assert (await ask(method="break"))["error"] == {"code": -1, "message": "internal error: KeyError"}
    assert "no such thing" in caplog.text
    assert (await ask(method="unspeakable"))["error"] == {"code": -1, "message": "internal error: TypeError"}


BOMBS = {
    "empty": b"",
    "no msgpack": b"\xc1",
    "an array that claims four thousand million entries": b"\xdd\xff\xff\xff\xff",
    "a map that claims them": b"\xdf\xff\xff\xff\xff",
    "a string that claims them": b"\xdb\xff\xff\xff\xff",
    "arrays in arrays": b"\x91" * 100_000,
    "maps in maps": b"\x81\xa1x" * 100_000,
    "more after the end": msgpack.packb({"v": 1}) * 2,
    "no map": msgpack.packb([1]),
    "half of a request": msgpack.packb({"v": 1, "id": 1, "method": "name", "params": ["x"]})[:-4],
    "too long": b"\xc6\x00\x10\x00\x00" + bytes(1 << 20),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_rubbish_gets_an_error_and_others_go_on(ask: Ask, bomb: bytes) -> None:
    answer = await ask(bomb)
    assert (answer["id"], answer["error"]["code"]) == (None, -32600)
    assert (await ask(method="plain"))["result"] == [1, 2]


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
async def test_another_version_is_refused(ask: Ask, version: Any) -> None:
    answer = await ask(v=version, method="plain")
    assert answer["error"]["code"] == -32600
    assert "is not spoken here" in answer["error"]["message"]


async def hear(client: Any) -> list[bytes]:
    async with asyncio.timeout(SOON):
        frames: list[bytes] = await client.recv_multipart()
        return frames


async def test_an_envelope_comes_back_as_it_was(clients: Callable[[int], Any]) -> None:
    dealer = clients(zmq.DEALER)
    body = msgpack.packb({"v": 1, "id": 1, "method": "plain"})
    answer = msgpack.packb({"v": 1, "id": 1, "result": [1, 2]})
    for envelope in ([], [b""], [b"request 5", b""], [b"proxy", b"client", b""]):
        await dealer.send_multipart([*envelope, body])
        assert await hear(dealer) == [*envelope, answer]
    await dealer.send_multipart([b"x"] * 20 + [body])
    (refused,) = await hear(dealer)
    assert msgpack.unpackb(refused)["error"]["code"] == -32600


async def test_requests_of_one_client_are_answered_as_they_get_done(
    clients: Callable[[int], Any], methods: Methods
) -> None:
    dealer = clients(zmq.DEALER)
    for number, method in enumerate(["hold", "plain"]):
        await dealer.send(msgpack.packb({"v": 1, "id": number, "method": method}))
    assert msgpack.unpackb((await hear(dealer))[-1])["id"] == 1
    methods.held.set()
    assert msgpack.unpackb((await hear(dealer))[-1])["id"] == 0


async def test_a_client_has_so_many_requests_in_hand_and_others_go_on(
    clients: Callable[[int], Any], methods: Methods, ask: Ask
) -> None:
    greedy = clients(zmq.DEALER)
    for number in range(MAX_IN_HAND + 1):
        await greedy.send(msgpack.packb({"v": 1, "id": number, "method": "hold"}))
    refused = msgpack.unpackb((await hear(greedy))[-1])
    assert (refused["id"], refused["error"]["code"]) == (MAX_IN_HAND, -1)
    assert (await ask(method="plain"))["result"] == [1, 2]
    methods.held.set()
    assert sorted([msgpack.unpackb((await hear(greedy))[-1])["id"] for _ in range(MAX_IN_HAND)]) == [*range(64)]
    await greedy.send(msgpack.packb({"v": 1, "id": 0, "method": "plain"}))
    assert msgpack.unpackb((await hear(greedy))[-1])["result"] == [1, 2]


async def test_bytes_of_requests_in_hand_are_bounded_and_others_have_room(
    clients: Callable[[int], Any], methods: Methods, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 130,000 bytes for all, one has the half."""
    monkeypatch.setattr(in_hand, "MAX_BYTES", 130_000)
    greedy, modest = clients(zmq.DEALER), clients(zmq.DEALER)

    def held(number: int) -> bytes:
        return bytes(msgpack.packb({"v": 1, "id": number, "method": "hold", "padding": bytes(20_000)}))

    for number in range(5):
        await greedy.send(held(number))
    refused = [msgpack.unpackb((await hear(greedy))[-1]) for _ in range(2)]
    assert sorted(answer["id"] for answer in refused) == [3, 4]
    assert refused[0]["error"]["message"] == "requests of 60,093 bytes of this client are in hand already"
    await modest.send(held(9))
    for _ in range(4):
        await methods.begun.get()
    methods.held.set()
    assert msgpack.unpackb((await hear(modest))[-1])["id"] == 9
    assert sorted([msgpack.unpackb((await hear(greedy))[-1])["id"] for _ in range(3)]) == [0, 1, 2]


async def test_all_clients_together_have_so_many(
    clients: Callable[[int], Any], methods: Methods, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_bus, "MAX_ALL_IN_HAND", 1)
    other = clients(zmq.DEALER)
    await other.send(msgpack.packb({"v": 1, "id": 0, "method": "hold"}))
    await methods.begun.get()
    assert (await ask(method="plain"))["error"] == {"code": -1, "message": "1 requests are in hand already"}
    methods.held.set()
    await hear(other)
    assert (await ask(method="plain"))["result"] == [1, 2]


async def test_who_goes_away_before_his_answer_harms_nobody(
    clients: Callable[[int], Any], methods: Methods, ask: Ask
) -> None:
    hasty = clients(zmq.DEALER)
    await hasty.send(msgpack.packb({"v": 1, "id": 0, "method": "hold"}))
    await methods.begun.get()
    hasty.close()
    methods.held.set()
    assert (await ask(method="plain"))["result"] == [1, 2]


async def test_who_never_reads_loses_answers_and_others_go_on(
    clients: Callable[..., Any], ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(api_bus, "ANSWER_TIME", 0.0)
    silent = clients(zmq.DEALER, unread=1)
    request = msgpack.packb({"v": 1, "id": bytes(200_000), "method": "many"})
    while "does not read" not in caplog.text:
        await silent.send(request)
        assert (await ask(method="plain"))["result"] == [1, 2]


async def test_what_is_in_hand_at_the_end_is_answered(tmp_path: Path, methods: Methods) -> None:
    with zmq.Context() as context, zmq.asyncio.Context() as client_context:
        bus_socket = BusSocket(context)
        bus = ApiBus(bus_socket, methods.server())
        bus_socket.on_message = bus.received
        with client_context.socket(zmq.DEALER) as client:
            client.connect(bus_socket.bind(f"ipc://{tmp_path}/api"))
            await client.send(msgpack.packb({"v": 1, "id": 0, "method": "hold"}))
            await methods.begun.get()
            asyncio.get_running_loop().call_soon(methods.held.set)
            await bus.close()
            assert msgpack.unpackb((await hear(client))[-1])["result"] == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.binary(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
REQUESTS = st.fixed_dictionaries(
    {"v": st.just(1), "method": st.sampled_from(["show", "peer", "name", "help", "plain"]) | VALUES},
    optional={
        "id": VALUES,
        "params": st.dictionaries(st.sampled_from(["node", "data", "id", "name", "command"]), VALUES, max_size=2)
        | st.lists(VALUES, max_size=2)
        | VALUES,
        "filter": VALUES,
    },
)


class Outbox:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []

    def send(self, frames: list[bytes]) -> None:
        self.sent.append(frames)


@given(body=REQUESTS.map(msgpack.packb) | VALUES.map(msgpack.packb) | st.binary(max_size=100))
@settings(max_examples=300)
def test_whatever_comes_has_one_answer_and_is_no_bug_of_ours(body: bytes) -> None:
    async def answered() -> list[bytes]:
        outbox: Any = Outbox()
        bus = ApiBus(outbox, Methods().server())
        bus.received([b"route", b"", body])
        await asyncio.gather(*bus._tasks)
        (frames,) = outbox.sent
        return list(frames)

    *envelope, answer = asyncio.run(answered())
    said = msgpack.unpackb(answer, strict_map_key=False)
    assert envelope == [b"route", b""]
    assert said["v"] == 1 and ("result" in said) != ("error" in said)
    assert "internal error" not in str(said.get("error"))
