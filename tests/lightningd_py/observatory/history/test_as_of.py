"""The map of a time in every format: read back, it is the same."""

import base64
import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gossipd.gossmap import Gossmap
from lightningd_py.observatory.exchange.gsp import read_gsp
from lightningd_py.observatory.history.as_of import FORMATS, write_as_of
from lightningd_py.observatory.history.map_then import map_then
from lightningd_py.observatory.tables.reading import Record
from tests.lightningd_py.observatory.made_up_day import SECOND, T0, Day, make_day
from wire.command.console import OutputError
from wire.scid import scid_to_text


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


def written(day: Day, format_: str, path: Path, seconds: int = 2500) -> Path:
    record = Record(day.folder)
    write_as_of(record, map_then(record, T0 + seconds * SECOND, "west"), format_, path, force=False)
    return path


def scids(day: Day) -> set[int]:
    return {day.scid(number) for number in range(len(day.channels) - 1)}


def test_gossip_store(day: Day, tmp_path: Path) -> None:
    with Gossmap(written(day, "gossip_store", tmp_path / "x")) as gossmap:
        channels = list(gossmap.channels())
        assert {channel.short_channel_id for channel in channels} == scids(day)
        assert {channel.capacity_sat for channel in channels} <= {each.capacity_sat for each in day.channels}
        assert [channel.short_channel_id for channel in channels if channel.is_dying] == [day.scid(0)]
        raws = {each.raw for channel in channels for each in map(channel.direction, (0, 1)) if each is not None}
        assert raws == {raw for channel in day.channels[:-1] for raw in channel.updates}
        assert {node.announcement for node in gossmap.nodes()} == set(day.nodes)


def test_describegraph(day: Day, tmp_path: Path) -> None:
    graph = json.loads(written(day, "describegraph", tmp_path / "x").read_text())
    assert {int(edge["channel_id"]) for edge in graph["edges"]} == scids(day)
    assert len(graph["nodes"]) == len(day.nodes)
    (edge,) = [edge for edge in graph["edges"] if edge["channel_id"] == str(day.scid(1))]
    assert (edge["capacity"], edge["chan_point"]) == (str(day.channels[1].capacity_sat), "")
    assert edge["node1_pub"] < edge["node2_pub"]
    policy = edge["node1_policy"]
    assert policy["last_update"] == day.channels[1].timestamps[0] and isinstance(policy["fee_base_msat"], str)
    assert (policy["inbound_fee_base_msat"], policy["disabled"]) in {(0, True), (0, False)}
    assert base64.b64decode(edge["auth_proof"]["node_sig1"]) == day.channels[1].announcement[2:66]
    node = graph["nodes"][0]
    assert node["color"].startswith("#") and node["features"]["5"] == {
        "name": "upfront-shutdown-script",
        "is_required": False,
        "is_known": True,
    }


def test_graphml(day: Day, tmp_path: Path) -> None:
    root = ET.parse(written(day, "graphml", tmp_path / "x")).getroot()
    space = "{http://graphml.graphdrawing.org/xmlns}"
    keys = {key.get("id"): key.get("attr.name") for key in root.iter(f"{space}key")}
    edges = [
        {keys[data.get("key")]: data.text for data in edge.iter(f"{space}data")} for edge in root.iter(f"{space}edge")
    ]
    assert {edge["scid"] for edge in edges} == {f"{scid_to_text(scid)}/{way}" for scid in scids(day) for way in (0, 1)}
    assert all("htlc_minimim_msat" in edge for edge in edges)
    nodes = list(root.iter(f"{space}node"))
    assert len(nodes) == len(day.nodes)
    degrees = [int(data.text or "") for node in nodes for data in node if keys[data.get("key")] == "out_degree"]
    assert sum(degrees) == len(edges)


def test_csv_and_parquet_say_the_same(day: Day, tmp_path: Path) -> None:
    rows = list(csv.DictReader(written(day, "csv", tmp_path / "x").read_text().splitlines()))
    table = pq.read_table(written(day, "parquet", tmp_path / "y")).to_pylist()
    assert len(rows) == len(table) == 2 * len(scids(day))
    assert [int(row["fee_base_msat"]) for row in rows] == [row["fee_base_msat"] for row in table]
    assert {row["short_channel_id"] for row in rows} == set(map(scid_to_text, scids(day)))


def test_gsp(day: Day, tmp_path: Path) -> None:
    messages = list(read_gsp(written(day, "gsp", tmp_path / "x")))
    assert set(messages) == {
        *day.nodes,
        *(channel.announcement for channel in day.channels[:-1]),
        *(raw for channel in day.channels[:-1] for raw in channel.updates),
    }


def test_empty_map_in_every_format(tmp_path: Path) -> None:
    from gossipd.store.writer import GossipStore
    from tests.lightningd_py.observatory.recorded import FakeFeed, record

    GossipStore.open(tmp_path / "gossip_store").close()
    record(tmp_path / "record", FakeFeed([]), store=tmp_path / "gossip_store")
    record_ = Record(tmp_path / "record")
    for format_ in FORMATS[1:]:
        write_as_of(record_, map_then(record_, T0), format_, tmp_path / f"x.{format_}", force=False)
        assert (tmp_path / f"x.{format_}").stat().st_size > 0


@pytest.mark.parametrize("format_", FORMATS[1:])
def test_file_that_is_there_is_left_alone(day: Day, tmp_path: Path, format_: str) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        written(day, format_, tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
