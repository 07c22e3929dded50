"""Blobs of services, which peers are to keep: whom they are told, how often, and who hears what comes back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.lightningd_py.storage.storage_bench import StorageBench
from tests.lightningd_py.table import ID, NODE, OTHER
from wire.control.control_message import Reply, Request
from wire.control.control_wire import SendMessageReplyfail
from wire.peer_wire import PeerStorage, PeerStorageRetrieval


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[StorageBench]:
    bench = StorageBench(tmp_path, "none")
    yield bench
    bench.close()


async def settled() -> None:
    """What was begun in this turn of the loop has been done."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.bolt("B1-156")
async def test_peers_with_a_channel_that_offer_it_are_told(bench: StorageBench) -> None:
    bench.has_channel(NODE)
    bench.connects(NODE), bench.connects(OTHER, 2)
    assert bench.storage.store_with_peers("s", b"ours") == [NODE]
    await bench.tells((NODE, PeerStorage(b"ours")))
    bench.has_channel(ID, "t", 1)
    bench.connects(ID, 3, offers=False)
    assert bench.storage.store_with_peers("t", b"theirs") == []
    await settled()
    assert bench.told() == []


async def test_at_the_next_connection_only_if_it_has_changed(
    bench: StorageBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.has_channel(NODE)
    bench.storage.store_with_peers("s", b"first")
    peer = bench.connects(NODE)
    await bench.tells((NODE, PeerStorage(b"first")))
    bench.leaves(peer)
    peer = bench.connects(NODE, 2)
    await settled()
    assert bench.told() == []
    bench.leaves(peer)
    assert bench.storage.store_with_peers("s", b"second") == [], "it is not connected"
    monkeypatch.setattr("lightningd_py.storage.ours.MINUTE", 0.0)
    bench.connects(NODE, 3)
    await bench.tells((NODE, PeerStorage(b"second")))


async def test_once_a_minute_the_newest(bench: StorageBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.has_channel(NODE)
    bench.connects(NODE)
    bench.storage.store_with_peers("s", b"first")
    await bench.tells((NODE, PeerStorage(b"first")))
    monkeypatch.setattr("lightningd_py.storage.ours.MINUTE", 0.2)
    assert bench.storage.store_with_peers("s", b"second") == []
    assert bench.storage.store_with_peers("s", b"third") == []
    await bench.tells((NODE, PeerStorage(b"third")))


async def test_a_channel_that_is_new(bench: StorageBench) -> None:
    bench.connects(NODE)
    bench.registrations.service("s")
    bench.storage.store_with_peers("s", b"ours")
    bench.registrations.leave("s", "for another hello")
    bench.has_channel(NODE)
    await settled()
    assert bench.told() == [], "a service that keeps nothing is forgotten with its blob when it leaves"
    bench.storage.store_with_peers("s", b"ours")
    await bench.tells((NODE, PeerStorage(b"ours")))


async def test_one_that_could_not_be_told_is_told_later(bench: StorageBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(request: Request) -> Reply:
        return SendMessageReplyfail("its queue is full")

    bench.has_channel(NODE)
    bench.connects(NODE)
    bench.gossipd.answer = full
    monkeypatch.setattr("lightningd_py.storage.ours.MINUTE", 0.01)
    bench.storage.store_with_peers("s", b"ours")
    await bench.tells((NODE, PeerStorage(b"ours")))
    bench.gossipd.answer = bench.takes
    await bench.tells((NODE, PeerStorage(b"ours")))
    await settled()
    assert bench.told() == [] and not bench.storage.ours._later


async def test_a_program_that_has_the_connection(bench: StorageBench) -> None:
    bench.connects(NODE).owner = "program"
    assert bench.storage.store_with_peers("program", b"ours") == [NODE]
    await bench.tells((NODE, PeerStorage(b"ours")))


async def test_bad_ones(bench: StorageBench) -> None:
    with pytest.raises(ValueError, match="there is no service 'x'"):
        bench.storage.store_with_peers("x", b"")
    bench.registrations.service("s")
    with pytest.raises(ValueError, match="it has 65532 bytes, and 65531 are the most"):
        bench.storage.store_with_peers("s", bytes(65_532))
    assert 9 not in dict(bench.registrations.routes()), "nothing has changed"


@pytest.mark.bolt("B1-156")
async def test_what_comes_back(bench: StorageBench) -> None:
    heard: list[tuple[str, bytes, bytes]] = []
    bench.storage.ours.to_service = lambda *about: heard.append(about)
    peer, stranger = bench.connects(NODE), bench.connects(OTHER, 2)
    bench.says(peer, PeerStorageRetrieval(b"unasked"))
    assert (heard, 9 in dict(bench.registrations.routes())) == ([], False)
    bench.has_channel(NODE)
    bench.registrations.service("t")
    for service in ("s", "t"):
        bench.storage.store_with_peers(service, None)
    assert (bench.routes_changed, dict(bench.registrations.routes())[9]) == (1, "copy")
    bench.says(peer, PeerStorageRetrieval(b"of a channel"))
    bench.says(stranger, PeerStorageRetrieval(b"of which?"))
    assert heard == [
        ("s", NODE, b"of a channel"),
        ("s", OTHER, b"of which?"),
        ("t", OTHER, b"of which?"),
    ]
    bench.registrations.leave("t", "it is done")
    bench.storage.nodes_changed([])
    assert [*bench.storage.ours.asked] == ["s"]


async def test_copies_end_with_the_last_service_that_wants_them(bench: StorageBench) -> None:
    bench.registrations.service("t")
    bench.storage.store_with_peers("t", None)
    assert dict(bench.registrations.routes())[9] == "copy"
    others = bench.registrations.own_copies - {9}
    bench.registrations.leave("t", "it is done")
    bench.storage.nodes_changed([])
    assert (bench.registrations.own_copies, bench.routes_changed) == (others, 2)


async def test_another_program_of_this_process(bench: StorageBench, tmp_path: Path) -> None:
    bench.has_channel(NODE)
    bench.connects(NODE)
    bench.storage.store_with_peers("s", b"ours")
    await bench.tells((NODE, PeerStorage(b"ours")))
    left = bench.storage.leave()
    (tmp_path / "after").mkdir()
    after = StorageBench(tmp_path / "after", "none", left)
    after.has_channel(NODE)
    after.connects(NODE)
    await settled()
    assert (after.told(), 9 in dict(after.registrations.routes())) == ([], True), "it has been told"
    after.close()
