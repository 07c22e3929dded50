"""The folder: kills, restarts, damaged files, a store that is compacted, a full disk."""

import gzip
from pathlib import Path

import pytest

from gossipd.gossmap import StoreError
from lightningd_py.observatory.rgs import snapshots as module
from lightningd_py.observatory.rgs.snapshots import Snapshots
from lightningd_py.observatory.tables.errors import ObservatoryError
from tests.lightningd_py.observatory.rgs.made import CHAIN, NOW, USUAL, Side, write
from tests.lightningd_py.observatory.rgs.reading import Client, read

HOUR = 3600
START = NOW // HOUR * HOUR
OTHER = Side((40, 1, 7, 7, 10**9))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write(tmp_path / "gossip_store", {0: (USUAL, USUAL), 1: (USUAL, USUAL)})


def opened(tmp_path: Path, store: Path) -> Snapshots:
    return Snapshots(tmp_path / "rgs", store, HOUR, CHAIN)


def test_steps_follow_a_store_that_is_compacted(tmp_path: Path, store: Path) -> None:
    found, client = opened(tmp_path, store), Client()
    found.step(START + 5)
    client.apply(found.find(1, 0, START + 5, as_gzip=False))
    write(store, {0: (OTHER, USUAL), 1: (USUAL, USUAL), 2: (USUAL, USUAL)})
    assert found.step(START + 10).now == START, "the same hour"
    found.step(START + HOUR)
    data = found.find(1, client.timestamp, START + HOUR, as_gzip=False)
    assert gzip.decompress(found.find(1, client.timestamp, START + HOUR, as_gzip=True)) == data
    assert (len(read(data).channels), len(read(data).updates)) == (1, 3)
    client.apply(data)
    assert len(client.graph()) == 3
    assert [path.name for path in (tmp_path / "rgs").glob("snapshots-*")] == [f"snapshots-{START + HOUR}"]
    found.close()


def test_restart_goes_on_where_it_was(tmp_path: Path, store: Path) -> None:
    """A to B while it is away, and clients of before."""
    found, client = opened(tmp_path, store), Client()
    found.step(START)
    client.apply(found.find(2, 0, START, as_gzip=False))
    found.close()
    write(store, {0: (OTHER, USUAL), 1: (USUAL, USUAL)})
    again = opened(tmp_path, store)
    assert again.due(START + 60) == HOUR - 60 and again.warning == ""
    again.step(START + HOUR)
    (update,) = read(again.find(2, client.timestamp, START + HOUR, as_gzip=False)).updates
    assert (update.incremental, update.values) == (True, (None, None, 7, 7, None))
    again.close()


def test_kill_before_the_files_were_there(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = opened(tmp_path, store)
    monkeypatch.setattr(Snapshots, "_write", lambda self, history: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        found.step(START)
    monkeypatch.undo()
    found.close()
    again = opened(tmp_path, store)
    assert len(read(again.find(1, 0, START, as_gzip=False)).channels) == 2
    again.close()


def test_full_disk_leaves_all_as_it_was(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that could not be saved was never served: the next one says what it would have said."""
    found, client = opened(tmp_path, store), Client()
    found.step(START)
    client.apply(found.find(1, 0, START, as_gzip=False))
    write(store, {0: (OTHER, USUAL), 1: (USUAL, USUAL)})

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(module, "replace_file", full)
    with pytest.raises(OSError, match="No space left"):
        found.step(START + HOUR)
    assert read(found.find(1, client.timestamp, START + HOUR, as_gzip=False)).updates == []
    monkeypatch.undo()
    found.step(START + 2 * HOUR)
    assert len(read(found.find(1, client.timestamp, START + 2 * HOUR, as_gzip=False)).updates) == 1
    found.close()


def test_damaged_history_is_said_and_all_is_sent_once_more(tmp_path: Path, store: Path) -> None:
    found = opened(tmp_path, store)
    found.step(START)
    found.close()
    (tmp_path / "rgs" / "history").write_bytes(b"rubbish")
    again = opened(tmp_path, store)
    assert "is not used: it is damaged" in again.warning and again.due(START) == 0
    again.step(START + HOUR)
    assert len(read(again.find(1, START, START + HOUR, as_gzip=False)).channels) == 2
    again.close()


def test_store_that_is_cut_is_an_error_and_nothing_changes(tmp_path: Path, store: Path) -> None:
    found = opened(tmp_path, store)
    found.step(START)
    with store.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(StoreError):
        found.step(START + HOUR)
    assert len(read(found.find(1, 0, START, as_gzip=False)).channels) == 2
    found.close()


def test_second_process_is_refused(tmp_path: Path, store: Path) -> None:
    found = opened(tmp_path, store)
    with pytest.raises(ObservatoryError, match="another process writes snapshots to"):
        opened(tmp_path, store)
    found.close()


def test_map_of_no_channel(tmp_path: Path) -> None:
    found = opened(tmp_path, write(tmp_path / "gossip_store", {}))
    found.step(START)
    for timestamp in (0, START, START + 10**6):
        empty = read(found.find(2, timestamp, START, as_gzip=False))
        assert (empty.nodes, empty.channels, empty.updates, empty.latest_seen) == ([], [], [], START)
    found.close()
