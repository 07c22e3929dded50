"""listingd and the master's half of it: clients of all kinds, and its death."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gossipd.gossmap import Gossmap
from lightningd_py.daemons import listing_control
from lightningd_py.daemons.listing_control import NoListing
from lightningd_py.listingd import listingd as module
from lightningd_py.listingd import listings
from lightningd_py.listingd.listings import channel_json, node_json
from tests.lightningd_py.listingd_inside import ListingdInside
from wire.control.control_wire import MapListing

CHANNELS, NODES = MapListing("channels"), MapListing("nodes")
BEFORE, AFTER = b'{"all": [', b"]}\n\n"


def former(store: Path, what: str) -> list[dict[str, Any]]:
    """What the master itself made of the map in one go, before there was listingd: the oracle."""
    with Gossmap(store) as gossmap:
        if what == "nodes":
            return [node_json(node) for node in gossmap.nodes()]
        return [
            entry
            for channel in gossmap.channels()
            for number in (0, 1)
            if (direction := channel.direction(number)) is not None
            for entry in channel_json(channel, channel.features, [(number, direction)])
        ]


class Client:
    """A socketpair of which one end is lent."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)

    def listing(self, inside: ListingdInside, listing: MapListing = CHANNELS) -> asyncio.Task[None]:
        return asyncio.create_task(inside.control.write(listing, BEFORE, AFTER, self.theirs.fileno()))

    async def answer(self) -> bytes:
        said = b""
        while not said.endswith(AFTER):
            data = await asyncio.get_running_loop().sock_recv(self.ours, 1 << 16)
            assert data, "it was hung up on"
            said += data
        return said

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
async def inside(small_map_store: Path) -> AsyncIterator[ListingdInside]:
    inside = ListingdInside(small_map_store)
    await inside.control.begin()
    yield inside
    await inside.close()


@pytest.fixture
async def clients() -> AsyncIterator[list[Client]]:
    clients = [Client() for _ in range(20)]
    for client in clients:
        client.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    yield clients
    for client in clients:
        client.close()


@pytest.mark.parametrize("what", ["channels", "nodes"])
@pytest.mark.parametrize("piece", [1, 7, 1000])
async def test_the_answer_is_the_former_one_to_the_byte(
    inside: ListingdInside,
    clients: list[Client],
    small_map_store: Path,
    what: str,
    piece: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listings, "PIECE", piece)
    written = clients[0].listing(inside, MapListing(what))
    assert await clients[0].answer() == json.dumps({"all": former(small_map_store, what)}).encode() + b"\n\n"
    await written


async def test_in_msgpack_for_the_bus(inside: ListingdInside, small_map_store: Path) -> None:
    count, entries = await inside.control.packed(NODES)
    unpacker = msgpack.Unpacker()
    unpacker.feed(entries)
    assert list(unpacker) == former(small_map_store, "nodes")
    assert count == len(former(small_map_store, "nodes"))
    nobody = MapListing("channels", source=b"\2" * 33)
    assert await inside.control.packed(nobody) == (0, b"")


async def test_nothing_to_list(inside: ListingdInside, clients: list[Client]) -> None:
    written = clients[0].listing(inside, MapListing("channels", 1))
    assert await clients[0].answer() == BEFORE + AFTER
    await written


async def test_clients_that_do_not_read_hold_up_no_other(
    inside: ListingdInside, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "PIECE", 8)
    *silent, reader = clients
    waiting = [client.listing(inside) for client in silent]
    written = reader.listing(inside)
    whole = await reader.answer()
    await written
    assert not any(task.done() for task in waiting)
    assert await asyncio.gather(*(client.answer() for client in silent)) == [whole] * len(silent)
    await asyncio.gather(*waiting)


async def test_a_client_that_takes_nothing_is_given_up(
    inside: ListingdInside, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TAKE_TIME", 0.01)
    with pytest.raises(NoListing, match=r"takes nothing for 0\.01 s") as failed:
        await clients[0].listing(inside)
    assert failed.value.begun
    monkeypatch.setattr(module, "TAKE_TIME", 30.0)
    written = clients[1].listing(inside)
    await clients[1].answer()
    await written


async def test_a_client_that_has_gone_is_given_up(inside: ListingdInside, clients: list[Client]) -> None:
    written = clients[0].listing(inside)
    await asyncio.get_running_loop().sock_recv(clients[0].ours, 100)
    clients[0].ours.close()
    with pytest.raises(NoListing, match="has gone") as failed:
        await written
    assert failed.value.begun


async def test_listingd_dies_and_another_takes_its_place(inside: ListingdInside, clients: list[Client]) -> None:
    """What had begun is known to be cut off; what is asked meanwhile waits for the next one."""
    cut = clients[0].listing(inside)
    await asyncio.get_running_loop().sock_recv(clients[0].ours, 100)
    await inside.die()
    with pytest.raises(NoListing, match="listingd is away") as failed:
        await cut
    assert failed.value.begun
    early = clients[1].listing(inside)
    await asyncio.sleep(0)
    await inside.control.restart()
    await clients[1].answer()
    await early


async def test_listingd_does_not_come_back(
    inside: ListingdInside, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_control, "RESTART_PATIENCE", 0.01)
    await inside.die()
    with pytest.raises(NoListing, match="listingd is away") as failed:
        await clients[0].listing(inside)
    assert not failed.value.begun


async def test_a_store_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One sentence for the client, who may go on with its connection."""
    inside, client = ListingdInside(tmp_path / "gossip_store"), Client()
    await inside.control.begin()
    with pytest.raises(NoListing, match=r"^the gossip_store cannot be read: No such file") as failed:
        await client.listing(inside)
    assert not failed.value.begun
    (tmp_path / "gossip_store").write_bytes(b"\xffrubbish")
    with pytest.raises(NoListing, match="is no gossip_store that can be read") as failed:
        await client.listing(inside)
    assert not failed.value.begun
    assert "gossip_store cannot be read" in caplog.text
    client.close()
    await inside.close()


async def test_a_request_that_is_given_up_leaves_nothing_behind(inside: ListingdInside, clients: list[Client]) -> None:
    """As when the master ends a client that it has lent: its copy of the socket is let go."""
    written = clients[0].listing(inside)
    await asyncio.get_running_loop().sock_recv(clients[0].ours, 100)
    written.cancel()
    clients[0].theirs.shutdown(socket.SHUT_RDWR)
    await asyncio.gather(*inside.daemon._writing)
    other = clients[1].listing(inside)
    await clients[1].answer()
    await other
