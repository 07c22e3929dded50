"""listnodes and listchannels, read from a store that grows meanwhile."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.rpc import listings as module
from lightningd_py.rpc.listings import Listings
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness.small_map import CHANNELS, NODES
from wire.peer_wire import ChannelUpdate
from wire.scid import scid_from_text

STRANGER = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


@pytest.fixture
def listings(small_map_store: Path, tmp_path: Path) -> Iterator[Listings]:
    shutil.copy(small_map_store, tmp_path / "gossip_store")
    listings = Listings(tmp_path / "gossip_store")
    yield listings
    listings.close()


def test_everything(listings: Listings, small_map: SyntheticMap) -> None:
    channels, nodes = listings.channels(), listings.nodes(None)
    assert len({(entry["short_channel_id"], entry["direction"]) for entry in channels}) == len(channels) == 2 * CHANNELS
    assert len({entry["nodeid"] for entry in nodes}) == len(nodes) == NODES
    assert {entry["source"] for entry in channels} == {entry["nodeid"] for entry in nodes}
    assert listings.channels() == channels


def test_each_update_is_listed_as_it_was_signed(listings: Listings, small_map: SyntheticMap) -> None:
    listed = {(entry["short_channel_id"], entry["direction"]): entry for entry in listings.channels()}
    for channel in small_map.channels():
        for raw in channel.updates:
            update = ChannelUpdate.decode(raw)
            entry = listed.pop((module.scid_to_text(update.short_channel_id), update.channel_flags & 1))
            assert entry["active"] is not bool(update.channel_flags & 2)
            assert entry["last_update"] == update.timestamp
            assert entry["base_fee_millisatoshi"] == update.fee_base_msat
            assert entry["fee_per_millionth"] == update.fee_proportional_millionths
            assert entry["delay"] == update.cltv_expiry_delta
            assert entry["htlc_minimum_msat"] == update.htlc_minimum_msat
            assert entry["htlc_maximum_msat"] == update.htlc_maximum_msat
            assert entry["amount_msat"] == channel.capacity_sat * 1000
            assert entry["public"] is True
    assert listed == {}


def test_choices(listings: Listings) -> None:
    everything = listings.channels()
    one = everything[0]
    source, destination = bytes.fromhex(one["source"]), bytes.fromhex(one["destination"])
    by_scid = listings.channels(scid_from_text(one["short_channel_id"]))
    assert [entry["direction"] for entry in by_scid] == [0, 1]
    assert one in by_scid
    assert listings.channels(source=source) == [entry for entry in everything if entry["source"] == one["source"]]
    to_it = listings.channels(destination=destination)
    assert to_it == [entry for entry in everything if entry["destination"] == one["destination"]]
    assert [entry["nodeid"] for entry in listings.nodes(source)] == [one["source"]]


def test_what_is_not_on_the_map(listings: Listings) -> None:
    assert listings.nodes(STRANGER) == []
    assert listings.channels(1) == []
    assert listings.channels(source=STRANGER) == []
    assert listings.channels(destination=STRANGER) == []


def test_it_follows(tmp_path: Path, small_map: SyntheticMap) -> None:
    """Directions without an update are not listed, and a node without an announcement by its id alone."""
    store = GossipStore.open(tmp_path / "gossip_store")
    listings = Listings(tmp_path / "gossip_store")
    assert (listings.channels(), listings.nodes(None)) == ([], [])
    channel = next(iter(small_map.channels()))
    store.append(channel.announcement, channel.timestamps[0])
    store.append(channel.updates[1], channel.timestamps[1])
    store.flush()
    (entry,) = listings.channels()
    assert entry["direction"] == 1
    assert "amount_msat" not in entry, "the chain was not asked"
    assert entry["unchecked"] is True
    assert [list(node) for node in listings.nodes(None)] == [["nodeid"], ["nodeid"]]
    store.append(channel.updates[0], channel.timestamps[0])
    store.flush()
    assert [entry["direction"] for entry in listings.channels()] == [0, 1]
    listings.close()
    store.close()


def test_one_thread_at_a_time(listings: Listings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clients that ask at once: one index, and none reads it while it changes."""
    inside, together = [], []
    lock = threading.Lock()

    class Watched(module.Gossmap):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            opened.append(self)

        def refresh(self) -> None:
            with lock:
                inside.append(None)
                together.append(len(inside))
            waiting.wait(0.05)  # long enough for another one to come in, if it may
            super().refresh()
            with lock:
                inside.pop()

    opened: list[Watched] = []
    waiting = threading.Event()
    monkeypatch.setattr(module, "Gossmap", Watched)
    with ThreadPoolExecutor(4) as threads:
        listed = list(threads.map(lambda _: len(listings.channels()), range(4)))
    assert listed == [2 * CHANNELS] * 4
    assert len(opened) == 1
    assert together == [1] * 4


def test_closing_twice_and_unopened(tmp_path: Path) -> None:
    listings = Listings(tmp_path / "gossip_store")
    listings.close()
    listings.close()
