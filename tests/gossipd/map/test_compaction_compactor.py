"""When a store is compacted, and that the daemon's loop goes on meanwhile."""

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gossipd.map import compaction
from gossipd.map.compaction import Compactor
from gossipd.store.file import successor_of
from tests.gossipd.map.test_forget import check_order
from tests.gossipd.writer import MapAround, Writer, content_at
from wire.control.limits import Limits

Place = Callable[[int], int]
"""An offset of the old file -> where it is in the new one."""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path / "gossip_store")
    for channel in range(4):
        writer.full_channel(channel, channel, channel + 1, 10)
    writer.store.flush()
    yield writer
    writer.close()


def grow(writer: Writer, rounds: int) -> None:
    """Each round is an update of one direction."""
    for number in range(rounds):
        writer.update(number % 4, 0, 100 + number)
    writer.store.flush()


def compactor(writer: Writer, moves: list[Place], min_size: int = 5_000) -> Compactor:
    around = MapAround(records_moved=moves.append)
    return Compactor(writer.store, writer.index, around, Limits(compact_size=min_size, compact_ratio=4))


def test_thresholds_are_those_of_cln() -> None:
    assert (Limits().compact_size, Limits().compact_ratio) == (10_000_000, 4)


async def test_begins_when_the_store_is_large_and_mostly_dead(writer: Writer) -> None:
    moves: list[Place] = []
    small, large = compactor(writer, moves, 100_000), compactor(writer, moves)
    grow(writer, 40)
    assert not large.is_worth_it
    large.tick()
    assert not large.running
    grow(writer, 100)
    content, live = writer.content(), writer.store.size - writer.store.dead_bytes
    assert writer.store.dead_bytes >= 4 * live
    assert [small.is_worth_it, large.is_worth_it] == [False, True]
    large.tick()
    large.tick()
    assert large.running
    await large.wait()
    assert (len(moves), large.running, large.is_worth_it) == (1, False, False)
    assert (writer.store.size, writer.store.dead_bytes) == (live, 0)
    assert writer.content() == content


async def test_loop_goes_on_and_so_does_the_writer(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SLICE_RECORDS", 5)
    grow(writer, 150)
    moves: list[Place] = []
    compacting = compactor(writer, moves)
    compacting.start()
    turns = 0
    while compacting.running:
        await asyncio.sleep(0)
        turns += 1
        if turns % 20 == 1 and turns < 200:
            writer.update(turns % 4, turns // 20 % 2, 1_000 + turns)
            writer.store.flush()
    assert turns > 30
    assert len(moves) == 1
    check_order(writer)
    content = writer.content()
    writer.close()
    assert content_at(writer.store.path) == content


async def test_disk_that_is_full(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    grow(writer, 200)
    content = writer.content()
    compacting = compactor(writer, [])

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.INFO, "gossipd"):
        patch.setattr(os, "fsync", full)
        compacting.tick()
        await compacting.wait()
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == [
        "[Errno 28] No space left on device"
    ]
    assert not successor_of(writer.store.path).exists()
    compacting.tick()
    assert not compacting.running, "not before an hour has passed"
    assert writer.content() == content
    compacting.start()
    await compacting.wait()
    assert writer.content() == content
    assert not compacting.is_worth_it
    assert compacting.count == 1


async def test_broken_off(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SLICE_RECORDS", 5)
    grow(writer, 100)
    content = writer.content()
    compacting = compactor(writer, [])
    compacting.start()
    for _ in range(3):
        await asyncio.sleep(0)
    assert successor_of(writer.store.path).exists()
    compacting.close()
    await compacting.wait()
    assert not successor_of(writer.store.path).exists()
    assert writer.content() == content
    compacting.close()


async def test_whoever_asks_for_it_hears_of_its_end(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str | None] = []
    compacting = compactor(writer, [])

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        compacting.compact_now(heard.append)
        compacting.compact_now(heard.append)
        await compacting.wait()
        await asyncio.sleep(0)
    assert heard == [f"{writer.store.path} cannot be compacted: [Errno 28] No space left on device"] * 2
    compacting.compact_now(heard.append)
    await compacting.wait()
    await asyncio.sleep(0)
    assert (heard[2:], compacting.count) == ([None], 1)
