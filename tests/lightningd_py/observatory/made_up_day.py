"""A small recorded day whose answers are known: a map, changes of it, and messages that three peers say one after the
other at two vantage points."""

from pathlib import Path
from typing import Any, NamedTuple

from gossipd.store.writer import GossipStore
from lightningd_py.observatory.record.conversion import Conversion, closed_segments
from lightningd_py.tools.synthetic_map import SignedChannel, SyntheticMap, random_edges
from tests.lightningd_py.observatory.recorded import T0, FakeFeed, Frames, Said, record
from wire.gossip_layout import channel_scid, node_timestamp

SECOND = 1_000_000_000
PEERS = [b"\2" + bytes([number]) * 32 for number in range(3)]
MS = 1_000_000


class Day(NamedTuple):
    """`folder` is the record. The map begins with all channels but the last two; `events` says what came later."""

    folder: Path
    channels: list[SignedChannel]
    nodes: list[bytes]

    def scid(self, number: int) -> int:
        return channel_scid(self.channels[number].announcement)


def signed() -> tuple[list[SignedChannel], list[bytes]]:
    made = SyntheticMap(random_edges(3, 20, 8), 3, T0 // SECOND)
    return list(made.channels()), list(made.node_announcements())


def _map_changes(said: Said, day: Day) -> list[Frames]:
    """At 1000 s a channel opens with both updates, at 2000 s channel 0 dies, at 3000 s it goes, at 4000 s the last
    channel opens with one update, at 5000 s channel 1 gets a new update."""
    opened, last = day.channels[-2:]
    changes: list[Frames] = []

    def change(at: int, topic: str, **fields: Any) -> None:
        changes.append(said.message(f"map.{topic}", T0 + at * SECOND + len(changes), **fields))

    def announced(at: int, number: int, channel: SignedChannel, directions: tuple[int, ...]) -> None:
        scid = day.scid(number)
        known = {"short_channel_id": scid, "amount_sat": channel.capacity_sat, "timestamp": 0}
        change(at, "channel_announcement", raw=channel.announcement, **known)
        for direction in directions:
            raw, timestamp = channel.updates[direction], channel.timestamps[direction]
            fields = {"short_channel_id": scid, "direction": direction, "timestamp": timestamp, "raw": raw}
            change(at, "channel_update", **fields)

    announced(1000, -2, opened, (0, 1))
    change(2000, "channel_dying", short_channel_id=day.scid(0), deadline=900)
    change(3000, "channel_removed", short_channel_id=day.scid(0), why="spent")
    announced(4000, -1, last, (0,))
    newer = {"short_channel_id": day.scid(1), "direction": 1, "timestamp": 7}
    change(5000, "channel_update", raw=b"\x01\x02" + bytes(136), **newer)
    return changes


def _spreading(said: Said, vantage: int, day: Day) -> list[Frames]:
    """Each channel's update in direction 0, each 10 s: peer p of vantage point v says it (100 p + 50 v) ms after its
    beginning, says it again later, and peer 2 says every other one only. At first each peer streams all, in phase sync.
    """
    frames = []
    for number, channel in enumerate(day.channels):
        raw, began = channel.updates[0], T0 + (6000 + 10 * number) * SECOND
        for peer, node_id in enumerate(PEERS):
            early: dict[str, Any] = {"peer": node_id, "conn_id": peer, "phase": "sync"}
            frames.append((began - 5900 * SECOND, said.arrival(raw, began - 5900 * SECOND, **early)))
            if peer == 2 and number % 2:
                continue
            at = began + (100 * peer + 50 * vantage) * MS
            for later in (0, 3 * SECOND):
                fields: dict[str, Any] = {"peer": node_id, "conn_id": peer, "phase": "live"}
                frames.append((at + later, said.arrival(raw, at + later, **fields)))
    for raw in day.nodes:
        frames.append((T0 + 9000 * SECOND, said.arrival(raw, T0 + 9000 * SECOND, peer=PEERS[0])))
    return [frame for _, frame in sorted(frames, key=lambda each: each[0])]


def make_day(folder: Path, *, converted: bool = True) -> Day:
    """Recorded by two vantage points, `east` (0) and `west` (1); west's is left in the spool."""
    channels, nodes = signed()
    day = Day(folder / "record", channels, nodes)
    path = folder / "gossip_store"
    store = GossipStore.open(path)
    for channel in channels[:-2]:
        store.append_channel(channel.announcement, channel.timestamps[0], channel.capacity_sat)
        for update, timestamp in zip(channel.updates, channel.timestamps, strict=True):
            store.append(update, timestamp)
    for raw in nodes:
        store.append(raw, node_timestamp(raw))
    store.close()
    for number, vantage in enumerate(("east", "west")):
        said = Said(epoch=number)
        record(day.folder, FakeFeed([]), vantage=vantage, store=path)
        frames = [*_map_changes(said, day), *_spreading(said, number, day)]
        record(day.folder, FakeFeed(frames), vantage=vantage, now_ns=T0 + 1)
        if converted and vantage == "east":
            Conversion(day.folder, vantage).convert(closed_segments(day.folder, vantage, ()))
    return day


__all__ = ["MS", "PEERS", "SECOND", "T0", "Day", "make_day"]
