"""Clients that say half a request, do not read, or are too many; and those whose answer listingd writes."""

import asyncio
import errno
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lightningd_py.rpc import clients, connection
from tests.lightningd_py.listingd.test_listingd import former
from tests.lightningd_py.listingd_inside import ListingdInside
from tests.lightningd_py.served_commands import Client, ServedCommands

HALF = b'{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ['


async def works(served: ServedCommands) -> None:
    """A client that comes now has its answer."""
    client = await served.client()
    assert (await client.call("echo", ["now"]))["result"]["what"] == "now"


# half requests


async def test_half_a_request_is_not_waited_for_for_ever(
    served: ServedCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HALF_REQUEST_TIME", 0.05)
    client = await served.client()
    assert (await client.call("echo", [1]))["result"]["what"] == 1
    client.say(HALF)
    assert (await client.reply())["error"] == {"code": -32600, "message": "half a request for 0.05 s"}
    assert await client.at_end()


async def test_the_deadline_is_over_the_whole_request(served: ServedCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not move it."""
    monkeypatch.setattr(connection, "HALF_REQUEST_TIME", 0.2)
    client, other = await served.client(), await served.client()
    client.say(HALF)
    while not client.writer.is_closing():
        client.say(b" ")
        await other.call("help")


async def test_a_client_that_says_nothing_may_stay(served: ServedCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its first request, and between two of them: no time runs while there is no half request."""
    monkeypatch.setattr(connection, "HALF_REQUEST_TIME", 0.0)
    fresh, used, half = await served.client(), await served.client(), await served.client()
    await used.call("help")
    half.say(HALF)
    assert (await half.reply())["error"]["code"] == -32600
    for client in (fresh, used):
        assert (await client.call("echo", [1]))["result"]["what"] == 1


# clients that do not read


async def test_a_client_that_does_not_read_is_hung_up_on(
    served: ServedCommands, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "ANSWER_TIME", 0.05)
    client = await served.client()
    client.transport.pause_reading()
    client.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x" * 3_000_000]}).encode())
    gone = asyncio.Event()
    monkeypatch.setattr(connection.Client, "close", lambda self: (gone.set(), close(self)))
    await gone.wait()
    assert "a client takes nothing of its answer for 0.05 s" in caplog.text
    client.transport.resume_reading()
    assert len(await client.reader.read()) < 3_000_000
    await works(served)


close = connection.Client.close


# too many


async def all_in_hand(served: ServedCommands, count: int) -> list[Client]:
    """Clients that have asked for something that does not come."""
    waiting = []
    for _ in range(count):
        waiting.append(await served.client())
        waiting[-1].say(b'{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}')
        await served.arrived.wait()
        served.arrived.clear()
    return waiting


async def test_100_half_requests_lock_no_other_out(served: ServedCommands) -> None:
    halves = [await served.client() for _ in range(clients.MAX_CLIENTS)]
    for half in halves:
        half.say(HALF)
    await works(served)
    first = halves[0]
    assert (await first.reply())["error"] == {"code": -1, "message": "there are too many clients"}
    assert await first.at_end()
    halves[1].say(b"2]}")
    assert (await halves[1].reply())["result"]["what"] == 2, "one more costs one"


async def test_the_one_that_has_been_idle_longest_goes(served: ServedCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_CLIENTS", 3)
    first, second, third = [await served.client() for _ in range(3)]
    for client in (first, second, third, first):
        await client.call("help")
    await works(served)
    assert (await second.reply())["error"]["message"] == "there are too many clients"
    for client in (first, third):
        assert "result" in await client.call("help")


async def test_those_that_do_not_read_go_before_those_that_wait(
    served: ServedCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await all_in_hand(served, 1)
    silent, other = await served.client(), await served.client()
    silent.transport.pause_reading()
    silent.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x" * 3_000_000]}).encode())
    while not served.order:
        await other.call("help")
    await other.close()
    (second,) = await all_in_hand(served, 1)
    monkeypatch.setattr(clients, "MAX_CLIENTS", 3)
    await works(served)
    silent.transport.resume_reading()
    assert len(await silent.reader.read()) < 3_000_000
    served.gate.set()
    for client in (first, second):
        assert (await client.reply())["result"] == {"waited": True}


async def test_100_requests_in_hand_lock_no_other_out(served: ServedCommands) -> None:
    """So `stop` gets in, whatever else is asked: the one that has waited longest gives up its place."""
    waiting = await all_in_hand(served, clients.MAX_CLIENTS)
    await works(served)
    assert await waiting[0].at_end()
    served.gate.set()
    assert (await waiting[1].reply())["result"] == {"waited": True}


async def test_no_fds_are_left(
    served: ServedCommands, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The node goes on, says so once, and a client that says nothing makes room."""
    monkeypatch.setattr(clients, "ACCEPT_PAUSE", 0.0)
    idle = await served.client()
    await idle.call("help")
    accept, refused = clients.accepted, [3]

    def no_fds(listener: socket.socket) -> socket.socket:
        if refused[0]:
            refused[0] -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(listener)

    monkeypatch.setattr(clients, "accepted", no_fds)
    await works(served)
    await works(served)
    assert await idle.reader.read() != b""
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == ["no client can be accepted: Too many open files"]


# listings


class ServedListings(ServedCommands):
    """With listingd, in this process."""

    def __init__(self, path: Path, inside: ListingdInside) -> None:
        super().__init__(path, inside.control)
        self.inside = inside


@pytest_asyncio.fixture
async def listing(tmp_path: Path, small_map_store: Path) -> AsyncIterator[ServedListings]:
    inside = ListingdInside(small_map_store)
    await inside.control.begin()
    served = ServedListings(tmp_path / "rpc", inside)
    await served.server.start(served.path)
    yield served
    await served.close()
    await inside.close()


def request(number: int, method: str, *params: object, **more: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params} | more).encode()


async def test_a_listing_is_as_it_was(listing: ServedListings, small_map_store: Path) -> None:
    """The same bytes, with the same spaces, as when the master made it."""
    client = await listing.client()
    client.say(request(1, "channels"))
    raw = await client.reader.readuntil(b"\n\n")
    expected = {"jsonrpc": "2.0", "id": 1, "result": {"channels": former(small_map_store, "channels")}}
    assert raw == json.dumps(expected).encode() + b"\n\n"


async def test_what_is_asked_behind_a_listing_is_answered_in_order(listing: ServedListings) -> None:
    client = await listing.client()
    asked = [request(n, "channels") + request(n + 1, "echo", n) for n in range(0, 20, 2)]
    client.say(b"".join(asked) + HALF)
    client.say(b"1]}")
    replies = [await client.reply() for _ in range(21)]
    assert [reply["id"] for reply in replies] == [*range(20), 1]
    assert len({json.dumps(reply["result"]) for reply in replies[0:20:2]}) == 1
    assert [reply["result"]["what"] for reply in replies[1:20:2]] == list(range(0, 20, 2))


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (True, lambda all: {"channels": all}),
        ({}, lambda all: {}),
        ({"nodes": True}, lambda all: {}),
        ({"channels": True}, lambda all: {"channels": all}),
        (
            {"channels": [{"source": True, "nothing": True}]},
            lambda all: {"channels": [{"source": entry["source"]} for entry in all]},
        ),
    ],
)
async def test_a_filtered_listing(
    listing: ServedListings, small_map_store: Path, wanted: object, left: Callable[[Any], object]
) -> None:
    client = await listing.client()
    reply = await client.call("channels", filter=wanted)
    assert reply["result"] == left(former(small_map_store, "channels"))


@pytest.mark.parametrize("wanted", [False, [], {"channels": {}}, {"channels": [{"source": {"x": True}}]}])
async def test_a_filter_that_does_not_fit_a_listing(listing: ServedListings, wanted: object) -> None:
    client = await listing.client()
    expected = {"code": -32602, "message": "filter: the filter does not fit the result"}
    assert (await client.call("channels", filter=wanted))["error"] == expected
    assert "result" in await client.call("channels")


async def test_listingd_dies(listing: ServedListings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection that it was writing to ends; the next listing works."""
    silent = await listing.client()
    silent.transport.pause_reading()
    silent.say(request(1, "channels") * 100)
    other = await listing.client()
    while not listing.inside.daemon._writing:
        await other.call("help")
    for _ in range(20):
        await other.call("help")
    await listing.inside.die()
    next_one = asyncio.create_task(other.call("channels"))
    silent.transport.resume_reading()
    assert not (await silent.reader.read()).endswith(b"\n\n")
    await listing.inside.control.restart()
    assert "result" in await next_one


async def test_an_error_of_the_store_is_an_answer(listing: ServedListings, small_map_store: Path) -> None:
    client = await listing.client()
    expected = {"code": -1, "message": "the gossip_store cannot be read: No such file or directory"}
    listing.inside.control._store = small_map_store.with_suffix(".away")
    assert (await client.call("channels"))["error"] == expected
    listing.inside.control._store = small_map_store
    assert "result" in await client.call("channels")


async def test_100_clients_that_do_not_read_their_listing_lock_no_other_out(listing: ServedListings) -> None:
    silent = [await listing.client() for _ in range(clients.MAX_CLIENTS)]
    for client in silent:
        client.transport.pause_reading()
        client.say(request(1, "channels") * 100)
    other = await listing.client()
    assert (await other.call("echo", [1]))["result"]["what"] == 1
    assert "result" in await other.call("channels")
    silent[0].transport.resume_reading()
    assert not (await silent[0].reader.read()).endswith(b"\n\n" * 2)
