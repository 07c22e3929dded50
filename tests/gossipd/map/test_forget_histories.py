"""Random histories of a map, with kills at any write: no peer meets an update or a node before its channel (B7-98).

By hand, many of them: `python -m tests.gossipd.map.test_forget_histories 5000`.
"""

import contextlib
import gc
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipd.chain import unspend
from gossipd.map.compaction import Compaction
from gossipd.map.forget import Forgetting
from gossipd.map.gone import Gone
from gossipd.map.loading import load, save
from gossipd.map.writer import MapWriter
from gossipd.serve.stream import Stream
from tests.gossipd.faults import Crash, failing_pwrite
from tests.gossipd.writer import CHAIN, channel_announcement, node_id, scid
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode

WEIGHTS = {
    "lonely": 4, "channel": 3, "update": 8, "node": 6, "prune": 2, "spend": 3, "block": 1, "unspend": 2, "flush": 6,
    "compact": 1, "stop": 1, "kill": 2, "newcomer": 2, "pull": 6,
}  # fmt: skip
CHANNELS, NODES = 6, 5
STEPS = 60


class Listener:
    """A peer that wants everything, and what it was told."""

    def __init__(self, limit: int) -> None:
        self.stream = Stream(0, 0xFFFFFFFF, 1, limit)
        self._channels: set[int] = set()
        self._nodes: set[bytes] = set()

    def hear(self, raw: bytes) -> None:
        """Each message that it is sent, in order."""
        match decode(raw):
            case ChannelAnnouncement() as message:
                self._channels.add(message.short_channel_id)
                self._nodes |= {message.node_id_1, message.node_id_2}
            case ChannelUpdate() as message:
                assert message.short_channel_id in self._channels
            case NodeAnnouncement() as message:
                assert message.node_id in self._nodes


class History:
    """One gossipd's map from start to start."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._path = path
        self._chance = chance
        self._time = 1
        self._open()

    def _open(self) -> None:
        self.store, self.index = load(self._path)
        self._forgetting = Forgetting(self.store, self.index, Gone())
        self._writer = MapWriter(self.store, self.index, self._forgetting)
        self._listeners: list[Listener] = []
        self.store.flush()
        self.newcomer()

    def step(self, what: str) -> None:
        """Something that happens."""
        self._time += 1
        getattr(self, what)()

    def _row(self) -> tuple[int, int | None]:
        number = self._chance.randrange(CHANNELS)
        return number, self.index.channels.get(scid(number))

    def lonely(self) -> None:
        """A channel is written without an update."""
        number, row = self._row()
        if row is None:
            one, two = sorted(self._chance.sample(range(NODES), 2))
            raw = channel_announcement(scid(number), node_id(one), node_id(two))
            self._writer.write_channel(raw, scid(number), (node_id(one), node_id(two)), 0, 1_000)

    def channel(self) -> None:
        """A channel with its first update."""
        before = set(self.index.channels)
        self.lonely()
        for number in set(self.index.channels) - before:
            self._update(number, self.index.channels[number])

    def update(self) -> None:
        """One direction of a channel, as the pipeline writes it."""
        number, row = self._row()
        if row is not None:
            if not self.index.update_off[0][row] and not self.index.update_off[1][row]:
                self._writer.bring_forward(row, self._time)
            self._update(scid(number), row)

    def _update(self, number: int, row: int) -> None:
        direction = self._chance.randrange(2)
        raw = ChannelUpdate(bytes(64), CHAIN, number, self._time, 1, direction, 6, 1, 1, 1, 1).encode()
        self._writer.write_update(row, direction, self._time, raw)

    def node(self) -> None:
        """A node_announcement."""
        number = node_id(self._chance.randrange(NODES))
        if number in self.index.nodes:
            raw = NodeAnnouncement(bytes(64), b"", self._time, number, b"rgb", bytes(32), b"").encode()
            self._writer.write_node(self.index.nodes[number], self._time, raw)

    def prune(self) -> None:
        """Channels are stale."""
        self._forgetting.prune([scid(self._chance.randrange(CHANNELS)) for _ in range(2)])

    def spend(self) -> None:
        """Channels are spent."""
        self._forgetting.spend([scid(self._chance.randrange(CHANNELS)) for _ in range(2)], self._time)

    def block(self) -> None:
        """A block, by which some of the dying are due."""
        self._forgetting.block(self._time + 72 - 10)

    def unspend(self) -> None:
        """A reorganisation."""
        unspend(self.store, self.index, self._forgetting, [scid(number) for number in range(0, CHANNELS, 2)])

    def flush(self) -> None:
        """The batch is written, and all hear of it."""
        self.store.flush()
        for listener in self._listeners:
            listener.stream.limit = self.store.size

    def compact(self) -> None:
        """The store moves to a new file."""
        compaction = Compaction(self.store, self.index)
        try:
            compaction.copy()
            if self._chance.random() < 0.5:
                self.update()
            moved = compaction.finish()
        except BaseException:
            compaction.abandon()
            raise
        compaction.release()
        for listener in self._listeners:
            listener.stream.move(moved.place)

    def newcomer(self) -> None:
        """Another peer."""
        self._listeners = [*self._listeners[-3:], Listener(self.store.end)]

    def pull(self) -> None:
        """Every peer takes some of what is there."""
        for listener in self._listeners:
            for raw in listener.stream.pull(self.store, self.index, self._chance.choice([300, 1_000, 100_000])):
                listener.hear(raw)

    def stop(self) -> None:
        """A clean end, and a start."""
        save(self.store, self.index)
        self.store.close()
        self.reopen()

    def kill(self) -> None:
        """The process ends in the midst of a write in a few steps' time, and is started again."""
        at = self._chance.randrange(12)
        with contextlib.suppress(Crash), pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "pwrite", failing_pwrite(at, self._chance.random(), Crash()))
            for _ in range(5):
                self.step(choose(self._chance, leave_out=("kill", "stop")))
            self.store.flush()
        self._vanish()
        self.reopen()

    def _vanish(self) -> None:
        """What the kernel does when a process ends."""
        os.close(self.store._fd)

    def reopen(self) -> None:
        """The next start finds which channels are dying, whole, and a store that says what its index says."""
        self._open()
        self.check()

    def check(self) -> None:
        """What a new peer is sent, and that a restart changes nothing."""
        listener = Listener(self.store.end)
        while not listener.stream.finished:
            for raw in listener.stream.pull(self.store, self.index, 500):
                listener.hear(raw)


def choose(chance: random.Random, leave_out: tuple[str, ...] = ()) -> str:
    weights = {what: weight for what, weight in WEIGHTS.items() if what not in leave_out}
    return chance.choices(list(weights), list(weights.values()))[0]


def run(path: Path, seed: int) -> None:
    """One history, in a directory of its own."""
    path.parent.mkdir(exist_ok=True)
    chance = random.Random(seed)
    history = History(path, chance)
    for _ in range(STEPS):
        history.step(choose(chance))
    history.flush()
    for _ in range(200):
        history.pull()
    history.check()
    dying = {number: height for number, (height, _) in history.index.dying.items()}
    history.store.close()
    history.reopen()
    assert {number: height for number, (height, _) in history.index.dying.items()} == dying
    history.store.close()


@pytest.fixture(autouse=True)
def small_heap() -> Iterator[None]:
    """Keep what other tests left out of the many collections of garbage: they take seconds otherwise."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.bolt("B7-98")
@pytest.mark.parametrize("seed", range(20))
def test_no_peer_meets_anything_before_its_channel(tmp_path: Path, seed: int) -> None:
    for number in range(4):
        run(tmp_path / f"{number}" / "gossip_store", seed * 4 + number)


def main(count: int) -> None:
    """So many histories; says which ones were bad."""
    bad = []
    for seed in range(count):
        with tempfile.TemporaryDirectory() as place:
            try:
                run(Path(place) / "gossip_store", seed)
            except AssertionError:
                bad.append(seed)
    print(f"{len(bad)} of {count} histories are bad: {bad[:20]}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
