"""A gossip_store that a test writes again for each step: channels with any values, unsigned."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SignedChannel, SyntheticMap, random_edges
from wire.gossip_layout import UPDATE_BODY, UPDATE_SIZE, channel_scid, node_timestamp
from wire.types import NETWORKS

CHAIN = NETWORKS["regtest"]
NOW = 1_790_000_000
SIGNED = 66


class Side(NamedTuple):
    values: tuple[int, int, int, int, int]
    disabled: bool = False


MADE = SyntheticMap(random_edges(7, 12, 6), 7, NOW)
CHANNELS: list[SignedChannel] = list(MADE.channels())
SCIDS = [channel_scid(channel.announcement) for channel in CHANNELS]
NODES = list(MADE.node_announcements())
USUAL = Side((40, 1, 1000, 100, 10**9))


def update(scid: int, direction: int, side: Side, timestamp: int = NOW) -> bytes:
    cltv, least, base, ppm, most = side.values
    body = UPDATE_BODY.pack(CHAIN, scid, timestamp, 1, direction | side.disabled << 1, cltv, least, base, ppm, most)
    raw = b"\x01\x02" + bytes(64) + body
    assert len(raw) == UPDATE_SIZE
    return raw


def write(path: Path, sides: Mapping[int, tuple[Side | None, Side | None]], *, nodes: bool = True) -> Path:
    """Channels by their number in CHANNELS. The file takes the place of what is there, as after a compaction."""
    part = path.with_name("part")
    store = GossipStore.open(part)
    for number, both in sides.items():
        store.append_channel(CHANNELS[number].announcement, 0, CHANNELS[number].capacity_sat)
        for direction, side in enumerate(both):
            if side is not None:
                store.append(update(SCIDS[number], direction, side), NOW)
    for raw in NODES if nodes and sides else []:
        store.append(raw, node_timestamp(raw))
    store.close()
    part.rename(path)
    return path
