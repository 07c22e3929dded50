"""Two nodes hear a made-up day, two recorders record it: the answers are what the generator knows."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gossipd.gossmap import Gossmap
from lightningd_py.observatory.history.habits import noisy
from lightningd_py.observatory.history.map_then import map_then, raw_messages
from lightningd_py.observatory.history.spread import Window, first_responders, propagation_of_top
from lightningd_py.observatory.tables.reading import Record
from tests.harness.node import Node, Nodes
from tests.harness.observatories import PATIENCE, Recording, arrivals_of, observe, until
from wire.gossip_layout import channel_scid

DAY = ("--peers", "6", "--channels", "40", "--events", "150", "--seconds", "8s", "--seed", "7")
FAR = 1 << 62


async def is_taken(node: Node) -> None:
    """Wait for the feed's subscriber."""
    async with asyncio.timeout(PATIENCE):
        while (await node.rpc("gossipstatus"))["feed_topics"] == 0:
            pass


@pytest.fixture
async def day(nodes: Nodes, tmp_path: Path) -> tuple[Path, Path, list[Node]]:
    """The folder of both recorders, the truth, the nodes."""
    both = [nodes.begin("--alias=east"), nodes.begin("--alias=west")]
    for node in both:
        node.ready()
    folder, truth = tmp_path / "record", tmp_path / "truth"
    recordings = [
        Recording(folder, node.directory / "feed", "--vantage", name, "--convert-every", "3s")
        for name, node in zip(("east", "west"), both, strict=True)
    ]
    try:
        for node in both:
            await is_taken(node)
        words = [
            word
            for name, node in zip(("east", "west"), both, strict=True)
            for word in ("--node", f"{name}={node.target}")
        ]
        told = await asyncio.to_thread(observe, "replay", "--synthetic", *words, *DAY, "--truth", truth)
        assert "messages were said" in told
        said = arrivals_of(truth)
        await asyncio.to_thread(until, lambda: arrivals_of(folder).total() >= said.total(), f"{said.total()} arrivals")
    finally:
        ended = [await asyncio.to_thread(recording.end) for recording in recordings]
    assert [recording.process.returncode for recording in recordings] == [0, 0], ended
    return folder, truth, both


@pytest.mark.long
async def test_answers_are_what_the_generator_knows(day: tuple[Path, Path, list[Node]]) -> None:
    folder, truth, nodes = day
    assert arrivals_of(folder) == arrivals_of(truth), (
        "each arrival once, of the peer that said it, at the node that heard it"
    )
    record, knows = Record(folder), Record(truth)
    phases = [pq.read_table(path, columns=["phase"], partitioning=None) for path in record.part("arrivals").files]
    assert set(pa.concat_tables(phases).column("phase").to_pylist()) <= {"sync", "live"}
    losses = record.part("losses").recent.to_pylist()
    assert {row["why"] for row in losses} <= {"start"}

    window = Window(0, FAR, sync=True)
    assert [noisy(record, window, 100, 0.0)[place] for place in (0, 2, 4)] == [
        noisy(knows, window, 100, 0.0)[place] for place in (0, 2, 4)
    ]
    heard, said = propagation_of_top(record, 1000, window, 1), propagation_of_top(knows, 1000, window, 1)
    names = ("hash", "peers", "vantage_points", "type")
    assert [[row[name] for name in names] for row in heard.messages] == [
        [row[name] for name in names] for row in said.messages
    ]
    assert heard.all["p50_ns"] == pytest.approx(said.all["p50_ns"], abs=1.5e9), "the machine may be slow"
    counts = [
        Counter({(row["vantage"], row["peer"]): row["messages"] for row in first_responders(each, window, 1)})
        for each in (record, knows)
    ]
    assert counts[0] == counts[1]

    for name, node in zip(("east", "west"), nodes, strict=True):
        then = map_then(record, FAR, name)
        with Gossmap(node.directory / "gossip_store") as gossmap:
            on_the_map = {channel.announcement for channel in gossmap.channels()}
            on_the_map |= {
                update.raw
                for channel in gossmap.channels()
                for update in map(channel.direction, (0, 1))
                if update is not None
            }
            on_the_map |= {each.announcement for each in gossmap.nodes() if each.announcement}
        assert set(raw_messages(record, then).values()) == on_the_map
        announced = {channel_scid(raw) for raw in on_the_map if raw[1] == 0}
        assert then.channels.keys() == announced and len(announced) > 30

    begins = [row["time_ns"] for row in _map_rows(folder) if row["topic"] == "checkpoint_end"]
    then = map_then(record, max(begins))
    assert (then.channels, then.updates, then.nodes) == ({}, {}, {}), "as both nodes began"


def _map_rows(folder: Path) -> list[dict[str, Any]]:
    part = Record(folder).part("map")
    tables = [pq.read_table(path, partitioning=None) for path in part.files]
    return list(pa.concat_tables([*tables, part.recent]).to_pylist())
