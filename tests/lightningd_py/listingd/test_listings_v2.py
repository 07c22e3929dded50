"""listgossipv2, read from the file that gossipd writes."""

import os
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.listingd.listings import Listings
from lightningd_py.listingd.result_filter import EXAMPLES, apply_filter
from lightningd_py.tools.synthetic_gossip_v2 import FUNDINGS, KEYLESS, TWEAKED, SyntheticGossip2
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges, scid_of
from tests.wire.gossip_v2.kept_messages import key_of
from wire.control.control_wire import GOSSIP_V2, MapListing
from wire.gossip_v2.kept import BEGINNING, Record, pack
from wire.gossip_v2.messages import ChannelUpdate2
from wire.scid import scid_to_text
from wire.secp256k1 import public_key

MADE = SyntheticMap(random_edges(6, 8, 5), 6, 1_700_000_000)
GOSSIP = SyntheticGossip2(MADE, 1_000, FUNDINGS)


def record(raw: bytes, *, checked: bool = False) -> bytes:
    key, height = key_of(raw)
    return pack(Record(key, raw, "192.0.2.1", height, checked))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "gossip_store_v2"
    messages = list(GOSSIP.messages())
    spent = pack(Record(scid_of(7).to_bytes(8)))
    path.write_bytes(BEGINNING + b"".join(map(record, messages)) + record(messages[0], checked=True) + spent)
    return path


def listed(path: Path, **narrow: Any) -> list[dict[str, Any]]:
    listings = Listings(path)
    pieces = listings.begin(MapListing(GOSSIP_V2, **narrow), os.open(path, os.O_RDONLY))
    found = [entry for piece in pieces for entry in piece]
    listings.close()
    return found


def test_everything(path: Path) -> None:
    found = listed(path)
    channels = {entry["short_channel_id"]: entry for entry in found if entry["type"] == "channel"}
    nodes = {entry["nodeid"] for entry in found if entry["type"] == "node"}
    assert channels.keys() == {scid_to_text(scid_of(number)) for number in range(7)}, "the last one has gone"
    assert nodes == {public_key(MADE.node_secret(node)).hex() for node in MADE.node_numbers()}
    for number in range(7):
        entry = channels[scid_to_text(scid_of(number))]
        assert ("merkle_root_hash" in entry) is (FUNDINGS[number % 4] == TWEAKED)
        assert len(entry["bitcoin_keys"]) == (0 if FUNDINGS[number % 4] == KEYLESS else 2)
        assert entry.get("unchecked", False) is (number != 0)
        for direction, update in enumerate(entry["updates"]):
            said = ChannelUpdate2.decode(GOSSIP.channel(number).updates[direction])
            assert (update["direction"], update["block_height"]) == (direction, said.block_height)
            assert update["base_fee_millisatoshi"] == said.fee_base_msat
            assert update["inbound_fee_per_millionth"] == 0
    assert {entry["heard_from"] for entry in found} == {"192.0.2.1"}


def test_narrower(path: Path) -> None:
    (one,) = listed(path, short_channel_id=scid_of(2))
    assert one["short_channel_id"] == scid_to_text(scid_of(2))
    assert listed(path, short_channel_id=5) == []
    node_id = public_key(MADE.node_secret(0))
    *channels, node = listed(path, node_id=node_id)
    assert node["nodeid"] == node_id.hex()
    assert len(channels) == sum(0 in edge[:2] for edge in MADE.edges[:7])
    assert all(node_id.hex() in entry["nodes"] for entry in channels)


def test_a_filter(path: Path) -> None:
    found = listed(path, wanted='{"type": true, "updates": [{"direction": true}]}')
    assert found[0] == {"type": "channel", "updates": [{"direction": 0}, {"direction": 1}]}
    assert found[-1] == {"type": "node"}


def test_the_example_has_each_field(path: Path) -> None:
    example = EXAMPLES[GOSSIP_V2]
    fields: set[str] = set()
    of_updates: set[str] = set()
    for entry in listed(path):
        fields |= entry.keys()
        for update in entry.get("updates", ()):
            of_updates |= update.keys()
    assert fields == example.keys()
    assert of_updates == example["updates"][0].keys()
    assert apply_filter(example, {"type": True}) == {"type": 0}


def test_nothing_is_kept_yet(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store_v2"
    path.write_bytes(BEGINNING)
    assert listed(path) == []
