"""The index that is left at a clean stop: used if it fits, byte for byte, and ignored in all other cases."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from gossipd.map import side_index
from gossipd.map.gone import Gone
from gossipd.map.index import MapIndex
from gossipd.map.keeper import Keeper
from gossipd.map.loading import load, save
from gossipd.store.records import BEGINNING_SIZE, amount_message
from tests.gossipd.gossipd_process import GossipdProcesses
from tests.gossipd.map.test_compaction import compact
from tests.gossipd.map.test_forget import STEPS, take
from tests.gossipd.messages import big_map
from tests.gossipd.writer import Content, Writer, scid


def fill(path: Path) -> Content:
    """A store with its side index; what it holds."""
    writer = Writer(path)
    for channel in range(5):
        writer.full_channel(channel, channel, channel + 1, 10)
        writer.node(channel, 20)
    writer.update(0, 1, 11)
    writer.forgetting.prune([scid(1)])
    writer.forgetting.spend([scid(3)], 100)
    content = writer.content()
    save(writer.store, writer.index)
    writer.close()
    return content


class Reads:
    """Counts how often a store is read for its index."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = MapIndex.read_records

        def read_records(index: MapIndex, data: bytes, start: int, end: int) -> int:
            self.count += 1
            return real(index, data, start, end)

        patch.setattr(MapIndex, "read_records", read_records)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def test_next_start_need_not_read_the_store(path: Path, reads: Reads) -> None:
    content = fill(path)
    assert side_index.path_of(path).stat().st_mode & 0o777 == 0o600
    reads.count = 0
    writer = Writer(path)
    assert reads.count == 0
    assert writer.content() == content
    assert not side_index.path_of(path).exists()
    dead = writer.store.dead_bytes
    writer.close()
    writer = Writer(path)
    assert reads.count == 1
    assert (writer.content(), writer.store.dead_bytes) == (content, dead)
    writer.close()


@pytest.mark.parametrize("umask", [0, 0o77, 0o377])
def test_only_we_may_read_what_is_written(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Gone(path.with_name("gone")).closed.add(1)
        fill(path)
        compacted(path)
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 & ~umask for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["gone", "gossip_store", "gossip_store.index"], 0o600 & ~umask)


def compacted(path: Path) -> None:
    """The store with its index, moved to a new file."""
    writer = Writer(path)
    compact(writer)
    save(writer.store, writer.index)
    writer.close()


@given(before=STEPS, after=STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_map_goes_on_as_if_it_had_been_read(
    tmp_path: Path, before: list[tuple[str, int, int]], after: list[tuple[str, int, int]]
) -> None:
    path = tmp_path / os.urandom(8).hex()
    writer = Writer(path)
    for number, step in enumerate(before, 1):
        take(writer, step, number)
    save(writer.store, writer.index)
    content, dead = writer.content(), writer.store.dead_bytes
    writer.close()
    again = Writer(path)
    assert (again.content(), again.store.dead_bytes) == (content, dead)
    for number, step in enumerate(after, 100):
        take(again, step, number)
    content = again.content()
    again.close()
    writer = Writer(path)
    assert writer.content() == content
    writer.close()


def flip(place: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        flip(0),
        flip(30),
        flip(61),
        flip(100),
        flip(-5),
        lambda content: content[:-1],
        lambda _: b"",
        lambda _: b"x" * 99,
    ],
    ids=["magic", "uuid", "length", "a column", "its CRC", "cut", "empty", "something else"],
)
def test_side_index_that_is_not_whole(path: Path, reads: Reads, damage: Callable[[bytes], bytes]) -> None:
    content = fill(path)
    saved = side_index.path_of(path)
    saved.write_bytes(damage(saved.read_bytes()))
    reads.count = 0
    writer = Writer(path)
    assert (writer.content(), reads.count) == (content, 1)
    writer.close()


@pytest.mark.parametrize("place", [BEGINNING_SIZE + 3, 500, -1])
def test_store_that_was_changed_meanwhile(path: Path, reads: Reads, place: int) -> None:
    content = fill(path)
    path.write_bytes(flip(place % path.stat().st_size)(path.read_bytes()))
    reads.count = 0
    writer = Writer(path)
    assert reads.count > 0
    assert writer.content() != content
    writer.close()


@pytest.mark.parametrize("place", [0, 12, 40], ids=["flag", "message", "further on"])
def test_damage_from_before_the_stop_is_not_sealed(
    path: Path, reads: Reads, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A bit that has turned over in the file is no part of what we wrote."""
    writer = Writer(path)
    writer.full_channel(1, 1, 2, 10)
    offset = writer.update(1, 0, 11)
    writer.store.flush()
    with path.open("r+b") as file:
        file.seek(offset + place)
        turned = file.read(1)[0] ^ 0x80
        file.seek(offset + place)
        file.write(bytes([turned]))
    keeper: Any = SimpleNamespace(store=writer.store, index=writer.index)
    Keeper.save(keeper)
    assert not save(writer.store, writer.index)
    writer.close()
    assert not side_index.path_of(path).exists()
    assert "is damaged: the next start reads the whole of it" in caplog.text
    reads.count = 0
    again = Writer(path)
    assert reads.count > 0
    assert again.index.update_off[0][again.index.channels[scid(1)]] == 0
    again.close()


def test_what_a_kill_has_left_half_marked_is_no_damage(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The amount was marked deleted, and its announcement not yet: it is not counted as dead twice."""
    writer = Writer(path)
    first = writer.channel(1, 1, 2)
    row = writer.index.channels[scid(1)]
    writer.store.append(writer.store.read(first), 0)
    writer.store.append(amount_message(1001), 0)
    writer.store._delete(first + 12 + len(writer.store.read(first)), 22)
    writer.close()
    again = Writer(path)
    assert again.index.announce_off[row] > first
    save(again.store, again.index)
    again.close()
    assert side_index.path_of(path).exists()
    assert "damaged" not in caplog.text


def test_store_that_was_written_to_by_another(path: Path, reads: Reads) -> None:
    fill(path)
    saved = side_index.path_of(path).read_bytes()
    writer = Writer(path)
    writer.full_channel(9, 9, 10, 30)
    content = writer.content()
    writer.close()
    side_index.path_of(path).write_bytes(saved)
    reads.count = 0
    writer = Writer(path)
    assert (writer.content(), reads.count) == (content, 1)
    writer.close()


def test_another_store_at_its_place(path: Path, reads: Reads) -> None:
    content = fill(path)
    saved = side_index.path_of(path).read_bytes()
    path.unlink()
    fill(path)
    side_index.path_of(path).write_bytes(saved)
    reads.count = 0
    writer = Writer(path)
    assert (writer.content(), reads.count) == (content, 1)
    writer.close()


def test_disk_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, index = load(path)

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            save(store, index)
    store.close()
    load(path)[0].close()


async def test_gossipd_leaves_it_when_it_is_stopped(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start()
    assert not side_index.path_of(gossipd.store).exists()
    peer = await gossipd.connect()
    await peer.say(*big_map(50, 20))
    await gossipd.settled_at("accepted", 170)
    await gossipds.end(gossipd)
    assert side_index.path_of(gossipd.store).exists()
    again = gossipds.new()
    reply = await again.start()
    assert (reply.channels, reply.nodes, reply.note) == (50, 20, "")
    assert not side_index.path_of(gossipd.store).exists()


async def test_gossipd_that_is_killed_leaves_none(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start()
    gossipd.process.kill()
    gossipd.process.wait()
    gossipd.master.close()
    assert not side_index.path_of(gossipd.store).exists()
