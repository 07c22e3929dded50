"""What becomes of a blob from the copy of a message to the state of the peer's next connection."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lightningd_py.storage.kept import EXPIRES, Refusal
from tests.harness.waiting import until
from tests.lightningd_py.storage.storage_bench import QUOTA, StorageBench
from tests.lightningd_py.table import ID, NODE, OTHER
from wire.bus.bus_wire import Register
from wire.peer_wire import PeerStorage, PeerStorageRetrieval

Open = Callable[..., StorageBench]


@pytest.fixture
async def open_bench(tmp_path: Path) -> AsyncIterator[Open]:
    """On the same directory each time; only the last one is open."""
    opened: list[StorageBench] = []

    def again(*about: object, moved: bool = False) -> StorageBench:
        if opened:
            opened[-1].close(moved=moved)
        opened.append(StorageBench(tmp_path, *about))  # type: ignore[arg-type]
        return opened[-1]

    yield again
    opened[-1].close()


@pytest.fixture
async def bench(open_bench: Open) -> StorageBench:
    return open_bench()


@pytest.mark.bolt("B1-41", "B1-152")
async def test_kept_and_told_before_an_owner_has_the_connection(bench: StorageBench) -> None:
    peer = bench.connects(NODE)
    bench.stores(peer, b"first")
    assert bench.kept_changed == [[NODE]]
    bench.stores(peer, b"second")
    assert bench.kept_changed == [[NODE]], "connectd knows it"
    bench.leaves(peer)
    assert bench.comes_to_us(NODE, 2) == [PeerStorageRetrieval(b"second")]
    assert bench.comes_to_us(OTHER, 3) == []
    assert (bench.storage.received, bench.storage.returned) == (2, 1)
    assert bench.told() == []


async def test_on_the_direct_path_it_is_told_a_moment_later(bench: StorageBench) -> None:
    """connectd had not heard yet that it is kept."""
    peer = bench.connects(NODE)
    bench.stores(peer, b"blob")
    bench.leaves(peer)
    bench.connects(NODE, 2)
    await bench.tells((NODE, PeerStorageRetrieval(b"blob")))


async def test_another_start(open_bench: Open) -> None:
    """What waits is written at the end, and what is in the file is given back."""
    bench = open_bench()
    peer = bench.connects(NODE)
    bench.stores(peer, b"first")
    bench.stores(peer, b"second")
    after = open_bench()
    assert [*after.storage.table.kept] == [NODE]
    assert after.comes_to_us(NODE) == [PeerStorageRetrieval(b"second")]


async def test_another_program_of_this_process(open_bench: Open) -> None:
    """What waits moves with the state, and not by the file."""
    bench = open_bench()
    peer = bench.connects(NODE)
    bench.stores(peer, b"first")

    async def on_disk() -> bool:
        return not bench.storage.is_waiting(NODE)

    await until(on_disk, "it is not written")
    bench.stores(peer, b"second")
    bench.stores(bench.connects(OTHER, 2), b"other")
    left = bench.storage.leave()
    assert [(node_id, blob) for node_id, blob, _ in left.pending] == [(NODE, b"second"), (OTHER, b"other")]
    after = open_bench("all", left, moved=True)
    assert {node_id: kept.size for node_id, kept in after.storage.table.kept.items()} == {NODE: 6, OTHER: 5}
    assert after.comes_to_us(NODE) == [PeerStorageRetrieval(b"second")]
    assert after.comes_to_us(OTHER, 2) == [PeerStorageRetrieval(b"other")]


@pytest.mark.bolt("B1-152", "B1-154")
async def test_with_mode_channels(open_bench: Open) -> None:
    bench = open_bench("channels")
    bench.has_channel(NODE)
    peer, stranger = bench.connects(NODE), bench.connects(OTHER, 2)
    bench.stores(peer, b"blob")
    bench.stores(stranger, b"blob")
    assert [*bench.storage.table.kept] == [NODE]
    bench.has_none()
    bench.stores(peer, b"without a channel")
    assert bench.storage.refused == {Refusal.NO_CHANNEL: 2}
    bench.leaves(peer)
    assert bench.comes_to_us(NODE, 3) == [PeerStorageRetrieval(b"blob")]
    bench.now += EXPIRES
    bench.storage._expire()
    assert (bench.storage.table.kept, bench.kept_changed) == ({}, [[NODE], [NODE]])
    bench.leaves(bench.peer(3))
    assert bench.comes_to_us(NODE, 4) == []


async def test_the_time_runs_on_while_the_node_is_stopped(open_bench: Open) -> None:
    bench = open_bench()
    peer = bench.connects(NODE)
    bench.stores(peer, b"blob")
    bench.leaves(peer)
    after = open_bench()
    assert after.storage.table.kept[NODE].since == 1_000.0
    after.now += EXPIRES
    after.storage._expire()
    assert open_bench().storage.table.kept == {}


async def test_deleted(open_bench: Open) -> None:
    bench = open_bench()
    bench.stores(bench.connects(NODE), b"blob")
    assert (bench.storage.delete(NODE), bench.storage.delete(NODE)) == (True, False)
    assert bench.kept_changed == [[NODE], [NODE]]
    assert open_bench().storage.table.kept == {}


async def test_refusals_are_counted_and_the_older_one_stays(bench: StorageBench) -> None:
    peer = bench.connects(NODE)
    bench.stores(peer, b"blob")
    for conn_id, node_id in ((2, OTHER), (3, ID)):
        other = bench.connects(node_id, conn_id)
        bench.stores(other, bytes(65_000))
    assert bench.storage.refused == {Refusal.NETWORK: 1}, "an eighth of 1 MiB is for two of these"
    bench.says(peer, bytes.fromhex("0007ffff"))
    assert bench.storage.refused[Refusal.MALFORMED] == 1
    bench.storage.writing.pending.has_room = lambda node_id, size: False  # type: ignore[method-assign,union-attr]
    bench.stores(peer, b"new")
    assert bench.storage.refused[Refusal.DISK] == 1
    bench.leaves(peer)
    assert bench.comes_to_us(NODE, 4) == [PeerStorageRetrieval(b"blob")]


async def test_a_service_that_offers_the_feature_does_it_itself(bench: StorageBench) -> None:
    peer = bench.connects(NODE)
    bench.stores(peer, b"blob")
    bench.registrations.service("keeper", offer=["option_provide_storage"], present=True)
    bench.stores(peer, b"for the service")
    bench.leaves(peer)
    assert bench.comes_to_us(NODE, 2) == []
    bench.registrations.leave("keeper", "it is done")
    bench.leaves(bench.peer(2))
    assert bench.comes_to_us(NODE, 3) == [PeerStorageRetrieval(b"blob")]


@pytest.mark.bolt("B1-155")
async def test_a_file_that_cannot_be_used(open_bench: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "peer_storage.sqlite3").mkdir()
    bench = open_bench()
    assert "cannot open database" in caplog.text
    assert "the node runs on, and keeps no backups of peers" in caplog.text
    bench.stores(bench.connects(NODE), b"blob")
    assert (bench.storage.table.kept, bench.storage.table.mode) == ({}, "none")
    assert not bench.registrations.features.offers("option_provide_storage")
    assert 7 not in dict(bench.registrations.routes())


async def test_routes_and_what_a_hundred_peers_may_take(open_bench: Open) -> None:
    bench = open_bench()
    assert dict(bench.registrations.routes())[7] == "copy"
    for number in range(100):
        peer = bench.connects(number.to_bytes(33, "big"), number + 1, address=f"1.{number}.3.4:9735")
        bench.stores(peer, bytes(65_531))
    assert bench.storage.table.bytes <= QUOTA // 2
    assert bench.storage.refused[Refusal.STRANGERS] == 100 - len(bench.storage.table.kept)


async def test_ignored_types_and_no_peers_storage(bench: StorageBench) -> None:
    peer = bench.connects(NODE)
    bench.says(peer, bytes.fromhex("8001beef"))
    bench.says(peer, PeerStorageRetrieval(b"unasked"))
    assert (bench.storage.table.kept, bench.storage.refused) == ({}, {})
    bench.registrations.register(bench.registrations.service("x").name, Register(copy=[7]))
    bench.stores(peer, b"for both")
    assert [*bench.storage.table.kept] == [NODE]
    assert PeerStorage.number in bench.registrations.own_copies
