"""listnodes and listchannels, read from a store that grows meanwhile."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.gossmap import Channel, Direction, StoreError
from gossipd.store.records import delete_channel_message
from gossipd.store.writer import GossipStore
from lightningd_py.listingd import listings as module
from lightningd_py.listingd.listings import Listings, channel_json, channel_text
from lightningd_py.listingd.result_filter import EXAMPLES
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness.small_map import CHANNELS, NODES
from wire.control.control_wire import MapListing
from wire.peer_wire import ChannelUpdate
from wire.scid import scid_from_text, scid_to_text

STRANGER = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


class Lister:
    """Listings whole, as lists."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.listings = Listings(store)

    def begin(self, listing: MapListing) -> Iterator[list[dict[str, Any]]]:
        return self.listings.begin(listing, os.open(self.store, os.O_RDONLY))

    def _all(self, listing: MapListing) -> list[dict[str, Any]]:
        return [entry for piece in self.begin(listing) for entry in piece]

    def channels(self, scid: int | None = None, **narrow: Any) -> list[dict[str, Any]]:
        return self._all(MapListing("channels", scid, **narrow))

    def nodes(self, node_id: bytes | None = None, **how: Any) -> list[dict[str, Any]]:
        return self._all(MapListing("nodes", node_id=node_id, **how))

    def text(self, listing: MapListing) -> list[str]:
        begun = self.listings.begin_text(listing, os.open(self.store, os.O_RDONLY))
        return [entry for piece in begun for entry in piece]

    def entries(self, listing: MapListing) -> list[dict[str, Any]]:
        return self._all(listing)


@pytest.fixture
def listings(small_map_store: Path, tmp_path: Path) -> Iterator[Lister]:
    shutil.copy(small_map_store, tmp_path / "gossip_store")
    lister = Lister(tmp_path / "gossip_store")
    yield lister
    lister.listings.close()


@pytest.mark.parametrize("wanted", ["true", '{"source": true, "direction": true, "nodeid": true}'])
def test_text_is_what_json_makes_of_the_entries(listings: Lister, wanted: str) -> None:
    source = bytes.fromhex(listings.channels()[0]["source"])
    for listing in (
        MapListing("channels", wanted=wanted),
        MapListing("channels", source=source, wanted=wanted),
        MapListing("nodes", wanted=wanted),
    ):
        entries = listings.entries(listing)
        assert entries
        assert listings.text(listing) == [json.dumps(entry) for entry in entries]


@given(
    numbers=st.tuples(*[st.integers(0, (1 << 64) - 1)] * 7),
    maximum=st.none() | st.integers(0, (1 << 64) - 1),
    capacity=st.none() | st.integers(0, 1 << 56),
    features=st.binary(max_size=9),
    number=st.integers(0, 1),
)
def test_text_of_any_direction_is_what_json_makes_of_it(
    numbers: tuple[int, int, int, int, int, int, int],
    maximum: int | None,
    capacity: int | None,
    features: bytes,
    number: int,
) -> None:
    channel = Channel(cast(Any, None), numbers[0], (bytes(33), b"\2" * 33), (1, 2, 3), capacity, None)
    direction = Direction(*numbers, maximum, b"")
    about = channel, features, [(number, direction)]
    assert list(channel_text(*about)) == [json.dumps(entry) for entry in channel_json(*about)]


def test_everything(listings: Lister, small_map: SyntheticMap) -> None:
    channels, nodes = listings.channels(), listings.nodes()
    assert len({(entry["short_channel_id"], entry["direction"]) for entry in channels}) == len(channels) == 2 * CHANNELS
    assert len({entry["nodeid"] for entry in nodes}) == len(nodes) == NODES
    assert {entry["source"] for entry in channels} == {entry["nodeid"] for entry in nodes}
    assert listings.channels() == channels


def test_each_update_is_listed_as_it_was_signed(listings: Lister, small_map: SyntheticMap) -> None:
    listed = {(entry["short_channel_id"], entry["direction"]): entry for entry in listings.channels()}
    for channel in small_map.channels():
        for raw in channel.updates:
            update = ChannelUpdate.decode(raw)
            entry = listed.pop((scid_to_text(update.short_channel_id), update.channel_flags & 1))
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


def test_choices(listings: Lister) -> None:
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


def test_what_is_not_on_the_map(listings: Lister) -> None:
    assert listings.nodes(STRANGER) == []
    assert listings.channels(1) == []
    assert listings.channels(source=STRANGER) == []
    assert listings.channels(destination=STRANGER) == []


def test_it_follows(tmp_path: Path, small_map: SyntheticMap) -> None:
    """Directions without an update are not listed, and a node without an announcement by its id alone."""
    store = GossipStore.open(tmp_path / "gossip_store")
    listings = Lister(tmp_path / "gossip_store")
    assert (listings.channels(), listings.nodes()) == ([], [])
    channel = next(iter(small_map.channels()))
    store.append(channel.announcement, channel.timestamps[0])
    store.append(channel.updates[1], channel.timestamps[1])
    store.flush()
    (entry,) = listings.channels()
    assert entry["direction"] == 1
    assert "amount_msat" not in entry, "the chain was not asked"
    assert entry["unchecked"] is True
    assert [list(node) for node in listings.nodes()] == [["nodeid"], ["nodeid"]]
    store.append(channel.updates[0], channel.timestamps[0])
    store.flush()
    assert [entry["direction"] for entry in listings.channels()] == [0, 1]
    listings.listings.close()
    store.close()


def test_a_listing_that_takes_long_has_what_is_still_there(
    listings: Lister, small_map: SyntheticMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map goes on while a slow client reads: what is gone is left out, what is new is another listing's."""
    monkeypatch.setattr(module, "PIECE", 7)
    before = listings.channels()
    slow = listings.begin(MapListing("channels"))
    first = next(slow)
    store = GossipStore.open(listings.store)
    gone = [scid_from_text(entry["short_channel_id"]) for entry in before[-40::2]]
    for scid in gone:
        store.append(delete_channel_message(scid), 0)
    store.flush()
    now = listings.channels()
    assert len(now) == len(before) - 2 * len(gone)
    assert [*first, *(entry for piece in slow for entry in piece)] == now
    store.close()


def test_listings_share_what_they_are_led_by(listings: Lister) -> None:
    """Many clients that do not read hold one list of what there is."""
    begun = [listings.begin(MapListing(what)) for what in ("channels", "nodes") * 50]
    assert len([next(each) for each in begun]) == 100
    assert len(listings.listings._snapshots) == 2


def test_the_store_is_replaced(listings: Lister, small_map: SyntheticMap) -> None:
    """As compaction does: what has begun goes on with the new one."""
    whole = listings.channels()
    begun = listings.begin(MapListing("channels"))
    shutil.copy(listings.store, listings.store.with_suffix(".new"))
    listings.store.with_suffix(".new").replace(listings.store)
    assert listings.channels() == whole
    assert [entry for piece in begun for entry in piece] == whole


def test_a_store_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "gossip_store").write_bytes(b"\xffno store")
    lister = Lister(tmp_path / "gossip_store")
    with pytest.raises(StoreError, match="is no gossip_store that can be read"):
        lister.channels()
    (tmp_path / "gossip_store").write_bytes(b"")
    with pytest.raises(StoreError, match="is empty"):
        lister.channels()
    lister.listings.close()
    lister.listings.close()


def test_a_filter_for_each_entry(listings: Lister) -> None:
    assert listings.nodes(wanted='{"nodeid": true, "addresses": [{"port": true}]}') == [
        {"nodeid": node["nodeid"], "addresses": [{"port": address["port"]} for address in node["addresses"]]}
        for node in listings.nodes()
    ]


def test_the_examples_have_every_field(listings: Lister) -> None:
    channels = {name for entry in listings.channels() for name in entry} | {"unchecked"}
    assert EXAMPLES["channels"].keys() == channels
    assert EXAMPLES["nodes"].keys() == {name for entry in listings.nodes() for name in entry}
