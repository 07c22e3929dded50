"""pyln-client's Gossmap reads our gossip_store: whole, while it is written, after it was repaired or compacted."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gossipd.gossmap import Gossmap
from gossipd.map.compaction import Compaction
from gossipd.map.forget import Forgetting
from gossipd.map.gone import Gone
from gossipd.map.index import MapIndex
from gossipd.map.loading import load
from gossipd.store.records import COMPLETED, amount_message, delete_channel_message
from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SignedChannel, SyntheticMap, random_edges
from wire.scid import scid_from_text, scid_to_text

MADE = SyntheticMap(random_edges(3, 60, 25), 3, 1_770_000_000)
CHANNELS = list(MADE.channels())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gossip_store"


@pytest.fixture
def store(path: Path) -> Iterator[GossipStore]:
    store = GossipStore.open(path)
    yield store
    store.close()


@pytest.fixture
def reader(pyln: Callable[..., Any]) -> Any:
    return pyln("follower.py")


def theirs(reader: Any, path: Path) -> Any:
    reader.ask("open", path=str(path))
    return reader.ask("refresh")


def ours(path: Path) -> dict[str, Any]:
    with Gossmap(path) as gossmap:
        halves = [(channel, number, channel.direction(number)) for channel in gossmap.channels() for number in (0, 1)]
        return {
            "channels": {scid_to_text(c.short_channel_id): c.capacity_sat for c in gossmap.channels()},
            "nodes": {node.node_id.hex(): node.alias if node.announcement else None for node in gossmap.nodes()},
            "updates": sorted(
                [
                    f"{scid_to_text(channel.short_channel_id)}/{number}",
                    half.timestamp,
                    half.fee_base_msat,
                    half.fee_proportional_millionths,
                    half.disabled,
                ]
                for channel, number, half in halves
                if half is not None
            ),
        }


def put(store: GossipStore, channel: SignedChannel) -> int:
    offset = store.append(channel.announcement, channel.timestamps[0])
    store.append(amount_message(channel.capacity_sat), 0)
    for raw, timestamp in zip(channel.updates, channel.timestamps, strict=True):
        store.append(raw, timestamp)
    return offset


def test_whole_store(reader: Any, path: Path, store: GossipStore) -> None:
    MADE.write_store(store)
    found = theirs(reader, path)
    assert (len(found["channels"]), len(found["nodes"]), len(found["updates"])) == (60, 25, 120)
    assert found == ours(path)


def test_batches_appear_whole_and_channels_go(reader: Any, path: Path, store: GossipStore) -> None:
    reader.ask("open", path=str(path))
    offsets = []
    for channel in CHANNELS[:3]:
        offsets.append(put(store, channel))
        store.flush()
        assert reader.ask("refresh") == ours(path)
    gone = next(iter(ours(path)["channels"]))
    store.append(delete_channel_message(scid_from_text(gone)), 0)
    store.mark_deleted(offsets[0])
    store.flush()
    found = reader.ask("refresh")
    assert gone not in found["channels"]
    assert (len(found["channels"]), found["channels"]) == (2, ours(path)["channels"])


def test_unfinished_batch_is_not_read(reader: Any, path: Path, store: GossipStore) -> None:
    put(store, CHANNELS[0])
    store.flush()
    start = store.end
    put(store, CHANNELS[1])
    store.flush()
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), b"\0", start)
        assert len(theirs(reader, path)["channels"]) == 1
        os.pwrite(file.fileno(), bytes([COMPLETED >> 8]), start)
        assert len(theirs(reader, path)["channels"]) == 2


def test_repaired_store(reader: Any, path: Path, store: GossipStore) -> None:
    offsets = [put(store, channel) for channel in CHANNELS[:3]]
    store.close()
    content = bytearray(path.read_bytes())
    content[offsets[1] : offsets[1] + 100] = bytes(100)
    path.write_bytes(content[:-5])
    store, _ = load(path)
    assert "bad bytes skipped" in store.note
    assert "cut off" in store.note
    store.close()
    found = theirs(reader, path)
    assert (len(found["channels"]), len(found["updates"])) == (2, 3)
    assert found == ours(path)


def compact(store: GossipStore, index: MapIndex) -> None:
    compaction = Compaction(store, index)
    while compaction.copy():
        pass
    compaction.finish()
    compaction.release()


def test_compacted_store(reader: Any, path: Path) -> None:
    """pyln's reader follows to the `ended` record, where its own part is not written yet; opened again it goes on."""
    store = GossipStore.open(path)
    MADE.write_store(store)
    store.close()
    store, index = load(path)
    before = theirs(reader, path)
    forgetting = Forgetting(store, index, Gone())
    forgetting.prune(list(index.channels)[:10])
    store.flush()
    after = reader.ask("refresh")
    assert (len(before["channels"]), len(after["channels"])) == (60, 50)
    compact(store, index)
    with pytest.raises(RuntimeError, match="AssertionError: FIXME: Implement!"):
        reader.ask("refresh")
    assert theirs(reader, path) == after == ours(path)
    forgetting.prune([next(iter(index.channels))])
    store.close()
    assert reader.ask("refresh") == ours(path)
