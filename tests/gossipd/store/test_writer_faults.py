"""The store in a bad world: no room on the disk, nothing to be written, killed in the midst of it."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipd.gossmap import Gossmap
from gossipd.map import compaction
from gossipd.map.compaction import Compaction
from gossipd.store.file import StoreError, successor_of
from gossipd.store.records import beginning
from tests.gossipd.gossipd_process import PATIENCE, GossipdProcess, GossipdProcesses
from tests.gossipd.map.test_compaction import compact
from tests.gossipd.map.test_forget import check_order, take
from tests.gossipd.messages import big_map
from tests.gossipd.writer import Content, Writer, content_at, content_of
from tests.harness.small_disk import small_disk
from wire.control.control_channel import RequestFailed

STEPS = ["channel", "update", "update", "node", "update", "prune", "update", "spend", "block", "update"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    with contextlib.ExitStack() as mounted:
        try:
            mounted.enter_context(small_disk(tmp_path / "disk", 256 << 10))
        except (subprocess.CalledProcessError, OSError):
            pytest.skip("needs the right to mount")
        yield tmp_path / "disk"


def fill_disk(writer: Writer) -> Content:
    """Write until it is full; what was completed."""
    completed: Content = {}
    with pytest.raises(OSError, match="No space left"):
        for number in itertools.count():
            channel = number % 40
            if channel == number:
                writer.full_channel(channel, 1, 2 + channel, 10)
            else:
                writer.update(channel, number % 2, number)
            writer.store.flush()
            completed = writer.content()
    return completed


def test_full_disk(disk: Path) -> None:
    path = disk / "gossip_store"
    writer = Writer(path)
    completed = fill_disk(writer)
    with Gossmap(path) as follower:
        assert content_of(follower) == completed
    with pytest.raises(OSError, match="No space left"):
        Compaction(writer.store, writer.index)
    assert list(disk.iterdir()) == [path]
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    assert content_at(path) == completed


def test_disk_that_has_room_again(disk: Path) -> None:
    other = disk / "something else"
    other.write_bytes(bytes(150_000))
    path = disk / "gossip_store"
    writer = Writer(path)
    fill_disk(writer)
    content = writer.content()
    other.unlink()
    writer.store.flush()
    compact(writer)
    assert writer.content() == content
    writer.close()
    assert content_at(path) == content


def make_read_only(path: Path) -> None:
    path.chmod(0o400)
    if not os.geteuid():  # whom that does not keep from anything
        subprocess.run(["mount", "-o", "remount,ro", path.parent], check=True)


async def test_read_only_file(disk: Path, gossipds: GossipdProcesses) -> None:
    path = disk / "gossip_store"
    writer = Writer(path)
    writer.full_channel(1, 1, 2, 10)
    content = writer.content()
    writer.close()
    make_read_only(path)
    gossipd = gossipds.new()
    with pytest.raises(RequestFailed, match=r"gossip_store: (Read-only file system|Permission denied)"):
        await gossipd.start(store=str(path))
    with Gossmap(path) as follower:
        assert content_of(follower) == content


def write_for_ever(path: Path, seed: int, acknowledgements: int) -> None:
    """Steps by the seed, each flushed and then acknowledged, with one compaction after the other all the while."""
    compaction.SLICE_RECORDS = 20
    writer = Writer(path)
    compacting = None
    for number in itertools.count(1):
        take(writer, step(seed, number), number)
        writer.store.flush()
        os.write(acknowledgements, b".")
        compacting = compacting or Compaction(writer.store, writer.index)
        if not compacting.copy():
            compacting.finish()
            compacting.release()
            compacting = None


def step(seed: int, number: int) -> tuple[str, int, int]:
    chance = random.Random(seed * 1_000_003 + number)
    return chance.choice(STEPS), chance.randrange(6), chance.randrange(4)


@pytest.mark.parametrize("seed", range(6))
def test_killed_writer_loses_nothing_that_was_completed(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "gossip_store"
    readable, writable = os.pipe()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            write_for_ever(path, seed, writable)
        os._exit(1)
    os.close(writable)
    done = 0
    while done < random.Random(seed).randrange(50, 1_500):
        done += len(os.read(readable, 1))
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    done += len(os.read(readable, 1 << 16))
    os.close(readable)
    found = content_at(path)
    assert not successor_of(path).exists()
    assert found in contents_after(tmp_path / "again", seed, done)
    writer = Writer(path)
    check_order(writer)
    writer.close()


def contents_after(path: Path, seed: int, done: int) -> list[Content]:
    """After so many steps, and after one more, which may have been completed but not acknowledged."""
    writer = Writer(path)
    for number in range(1, done + 1):
        take(writer, step(seed, number), number)
    contents = [writer.content()]
    take(writer, step(seed, done + 1), done + 1)
    contents.append(writer.content())
    writer.close()
    return contents


@pytest.mark.parametrize("seed", range(4))
async def test_killed_gossipd_loses_nothing_that_was_seen(gossipds: GossipdProcesses, seed: int) -> None:
    gossipd = gossipds.new()
    await gossipd.start()
    messages = big_map(300, 100)
    await seen_and_killed(gossipd, messages, random.Random(seed).randrange(len(messages)))


async def seen_and_killed(gossipd: GossipdProcess, messages: list[bytes], moment: int) -> None:
    peer = await gossipd.connect()
    with Gossmap(gossipd.store) as follower:
        await peer.say(*messages)
        while (await gossipd.status())["accepted"] < moment:
            pass
        follower.refresh()
        seen = content_of(follower)
        gossipd.process.kill()
        gossipd.process.wait()
        gossipd.master.close()
    found = content_at(gossipd.store)
    assert len(seen) > 0 or moment < 10
    for name, raws in seen.items():
        assert found[name] == raws or b"" in raws


@pytest.mark.parametrize("how", ["removed", "replaced", "cut"])
async def test_gossipd_notices_what_others_do_to_its_store(
    gossipds: GossipdProcesses, tmp_path: Path, how: str
) -> None:
    """What is still there is in a store at its place soon, and no process ends over it."""
    gossipd = gossipds.new()
    await gossipd.start()
    peer = await gossipd.connect()
    await peer.say(*big_map(50, 20))
    await gossipd.settled_at("accepted", 170)
    with Gossmap(gossipd.store) as gossmap:
        before = content_of(gossmap)
    other = tmp_path / "other"
    match how:
        case "removed":
            gossipd.store.unlink()
        case "replaced":
            other.write_bytes(beginning(bytes(32)))
            other.replace(gossipd.store)
        case "cut":
            os.truncate(gossipd.store, gossipd.store.stat().st_size // 2)
    async with asyncio.timeout(PATIENCE):
        while not is_whole(gossipd.store):
            await gossipd.status()
    status = await gossipd.settled()
    with Gossmap(gossipd.store) as gossmap:
        content = content_of(gossmap)
    assert len(gossmap.index.channels) == status["channels"]
    assert content == before if how != "cut" else 0 < len(content) < len(before)


def is_whole(store: Path) -> bool:
    """Whether a store with channels in it can be read there."""
    with contextlib.suppress(OSError, StoreError), Gossmap(store) as gossmap:
        return bool(gossmap.index.channels) and gossmap._end == store.stat().st_size
    return False
