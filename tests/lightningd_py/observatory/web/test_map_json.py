"""The map for the page: columns that fit together, of any size, and strangers' words as text."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipd.gossmap import Gossmap
from gossipd.store.writer import GossipStore
from lightningd_py.observatory.web.map_json import channel_details, columns, node_details
from lightningd_py.observatory.web.positions import Positions
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.small_map import make_small_map, write_small_map
from wire.scid import scid_to_text


@pytest.fixture(scope="module")
def gossmap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gossmap]:
    with Gossmap(write_small_map(make_small_map(), tmp_path_factory.mktemp("map") / "gossip_store")) as opened:
        yield opened


def test_columns_are_the_map(gossmap: Gossmap) -> None:
    found = columns(gossmap, Positions())
    nodes, channels = found["nodes"], found["channels"]
    assert {len(column) for column in nodes.values()} == {len(list(gossmap.nodes()))}
    by_scid = dict(zip(channels["scid"], zip(channels["a"], channels["b"], channels["sat"], strict=True), strict=True))
    for channel in gossmap.channels():
        a, b, sat = by_scid[scid_to_text(channel.short_channel_id)]
        assert (nodes["id"][a], nodes["id"][b]) == tuple(node_id.hex() for node_id in channel.node_ids)
        assert sat == channel.capacity_sat
    aliases = dict(zip(nodes["id"], nodes["alias"], strict=True))
    assert all(aliases[node.node_id.hex()] == node.alias for node in gossmap.nodes())
    assert len(set(zip(nodes["x"], nodes["y"], strict=True))) == len(nodes["id"])


def test_details_are_those_of_the_map(gossmap: Gossmap) -> None:
    node = max(gossmap.nodes(), key=lambda node: node.channel_count)
    found = node_details(gossmap, node)
    assert found["channel_count"] == len(found["channels"]) == node.channel_count
    assert found["capacity_sat"] == sum(line["sat"] for line in found["channels"])
    channel = next(gossmap.channels_of(node.node_id))
    said = channel_details(channel)
    policy = said["directions"][0]
    update = channel.direction(0)
    assert update is not None and policy is not None
    assert policy["htlc_maximum_msat"] == str(update.htlc_maximum_msat)
    assert policy["fee_base_msat"] == update.fee_base_msat and "raw" not in policy


def test_map_of_nothing(tmp_path: Path) -> None:
    GossipStore.open(tmp_path / "gossip_store").close()
    with Gossmap(tmp_path / "gossip_store") as gossmap:
        found = columns(gossmap, Positions())
    assert found["nodes"]["id"] == found["channels"]["scid"] == []


def test_channel_of_two_unnamed_nodes(tmp_path: Path) -> None:
    store = GossipStore.open(tmp_path / "gossip_store")
    made = SyntheticMap(random_edges(1, 1, 2), 1, 1_790_000_000)
    (channel,) = made.channels()
    store.append_channel(channel.announcement, 0, -1)
    store.close()
    with Gossmap(tmp_path / "gossip_store") as gossmap:
        found = columns(gossmap, Positions())
        assert found["nodes"]["color"] == [None, None] and found["nodes"]["alias"] == ["", ""]
        assert found["channels"]["sat"] == [None]
        (one, _) = gossmap.nodes()
        assert node_details(gossmap, one)["alias"] is None
        assert channel_details(next(gossmap.channels()))["directions"] == [None, None]
