"""The file: what is written into it and read from it, and what comes of one that cannot be used."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lightningd_py.errors import DatabaseError
from lightningd_py.storage import writing as writing_module
from lightningd_py.storage.file import BlobFile
from lightningd_py.storage.kept import Kept
from lightningd_py.storage.writing import Writing
from tests.harness.small_disk import small_disk
from tests.harness.waiting import until

NODE, OTHER = bytes([2]) * 33, bytes([3]) * 33
LARGEST = os.urandom(65_531)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "peer_storage.sqlite3"


class Written:
    """What a test writes into."""

    def __init__(self, path: Path) -> None:
        self.kept: dict[bytes, Kept] = {}
        self.file = BlobFile(path)
        self.kept.update(self.file.kept)
        self.writing = Writing(self.file, self.kept)

    def put(self, node_id: bytes, blob: bytes) -> None:
        self.kept[node_id] = Kept(len(blob), 5.0, None, "1.2.0.0/16")
        self.writing.put(node_id, blob)

    async def on_disk(self, *node_ids: bytes) -> None:
        async def so() -> bool:
            return all(self.writing.pending.get(node_id) is None for node_id in node_ids)

        await until(so, "it is not written")


@pytest.fixture
async def written(path: Path) -> AsyncIterator[Written]:
    written = Written(path)
    yield written
    written.writing.close(moved=False)


def rows(path: Path) -> dict[bytes, tuple[object, ...]]:
    file = sqlite3.connect(path)
    try:
        found = file.execute("SELECT * FROM kept LEFT JOIN blobs USING (node_id)").fetchall()
    finally:
        file.close()
    return {row[0]: row[1:] for row in found}


async def test_written_read_and_deleted(written: Written, path: Path) -> None:
    written.put(NODE, LARGEST)
    written.put(OTHER, b"")
    assert written.writing.read(NODE) == LARGEST
    await written.on_disk(NODE, OTHER)
    assert (written.writing.read(NODE), written.writing.read(OTHER)) == (LARGEST, b"")
    assert rows(path) == {
        NODE: (65_531, 5.0, None, "1.2.0.0/16", LARGEST),
        OTHER: (0, 5.0, None, "1.2.0.0/16", b""),
    }
    assert stat.S_IMODE((await asyncio.to_thread(path.stat)).st_mode) == 0o600
    del written.kept[OTHER]
    written.writing.forget([OTHER])
    written.kept[NODE].since = 77.0
    written.writing.change([NODE])

    async def so() -> bool:
        return {node_id: row[2] for node_id, row in rows(path).items()} == {NODE: 77.0}

    await until(so, lambda: f"it is {rows(path)}")


async def test_all_that_waits_is_written_at_the_end(path: Path) -> None:
    before = Written(path)
    before.put(NODE, b"first")
    await before.on_disk(NODE)
    before.put(NODE, b"second")
    assert before.writing.pending.get(NODE) == b"second", "its minute is not over"
    before.writing.close(moved=False)
    after = Written(path)
    assert (after.kept[NODE].size, after.writing.read(NODE)) == (6, b"second")
    after.put(NODE, b"third")
    left = after.writing.pending.leave(asyncio.get_running_loop().time())
    after.writing.close(moved=True)
    successor = Written(path)
    assert successor.writing.read(NODE) == b"second"
    successor.kept[NODE].size = 5
    successor.writing.resume(left)
    await successor.on_disk(NODE)
    assert successor.writing.read(NODE) == b"third"
    successor.writing.close(moved=False)


async def test_a_disk_that_is_full_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob waits, can be read, and is written when there is room; the loop goes on meanwhile."""
    monkeypatch.setattr(writing_module, "RETRY", 0.1)
    place = tmp_path / "disk"
    if os.geteuid():
        pytest.skip("only root can mount a small disk")
    with small_disk(place, 300_000):
        written = Written(place / "peer_storage.sqlite3")
        filler = place / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4_096))
        written.put(NODE, LARGEST)

        async def said() -> bool:
            return "cannot be written" in caplog.text

        await until(said, "nothing is said of it")
        assert (written.writing.pending.get(NODE), written.writing.read(NODE)) == (LARGEST, LARGEST)
        filler.unlink()
        await written.on_disk(NODE)
        assert written.writing.read(NODE) == LARGEST
        written.writing.close(moved=False)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("PRAGMA user_version = 7", "is of version 7, from a newer lightningd-py: this one knows up to 1"),
        ("DROP TABLE kept", "no such table: kept"),
    ],
)
async def test_of_another_version_or_without_its_tables(path: Path, damage: str, sentence: str) -> None:
    Written(path).writing.close(moved=False)
    with sqlite3.connect(path) as file:
        file.execute(damage)
    file.close()
    with pytest.raises(DatabaseError, match=sentence):
        BlobFile(path)


def test_no_database(path: Path) -> None:
    path.write_bytes(bytes(5_000) + b"x" * 5_000)
    with pytest.raises(DatabaseError, match=r"is damaged .* and the backups that peers have here are forgotten"):
        BlobFile(path)


async def test_held_by_another_process(path: Path) -> None:
    Written(path).writing.close(moved=False)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseError, match="is held by another process"):
        BlobFile(path)
    other.close()


async def test_a_blob_that_cannot_be_read_is_said_once(
    written: Written, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written.put(NODE, LARGEST)
    await written.on_disk(NODE)
    assert written.writing.read(OTHER) is None
    assert "lacks a blob that it should have; a peer is not given its backup back" in caplog.text
    caplog.clear()
    assert written.writing.read(OTHER) is None
    assert caplog.text == ""


def damage(path: Path) -> None:
    """One page in the midst of the first blob."""
    data = bytearray(path.read_bytes())
    at = data.index(LARGEST[20_000:20_100])
    page = at - at % 4_096
    data[page : page + 4] = bytes.fromhex("7fffffff")
    path.write_bytes(data)


async def test_a_page_that_is_damaged_costs_that_blob_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The pages that follow the beginning of a blob belong to nothing else."""
    before = Written(path)
    for node_id in (NODE, OTHER):
        before.put(node_id, LARGEST)
    before.writing.close(moved=False)
    damage(path)
    after = Written(path)
    read = [after.writing.read(node_id) for node_id in (NODE, OTHER)]
    assert sorted(each is None for each in read) == [False, True]
    assert LARGEST in read
    assert "is damaged" in caplog.text
    after.writing.close(moved=False)
