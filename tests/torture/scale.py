"""Many vantage points at once: recorders, a NATS server and an archive, which are killed; not a row lost or doubled."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple, Self

from tests.harness.jetstream import Archiving, NatsServer, Talk, make_streams, recording
from tests.harness.observatories import Recording, arrivals_of, peak_memory
from tests.torture.torture import Torture

SECONDS = 180
RATES = ((1, 10_000), (1, 100_000), (5, 100_000), (20, 100_000), (20, 1_000_000))
"""Vantage points, and arrivals a minute of all together."""
SETTLED = 120.0
KILLS = 4
_TICKS = os.sysconf("SC_CLK_TCK")
Arrivals = Counter[tuple[str, bytes, bytes]]


class Cost(NamedTuple):
    """Seconds of processor time and bytes at most."""

    cpu: float
    memory: int

    def __str__(self) -> str:
        return f"{self.cpu:.1f} s, {self.memory >> 20} MB"


def cost(*pids: int) -> Cost:
    """Of these processes together; of memory the largest."""
    cpu = 0.0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu += (int(words[11]) + int(words[12])) / _TICKS
    return Cost(cpu, max(map(peak_memory, pids)))


class Scene:
    """A server, `count` feeds with their recorders, and one archive."""

    def __init__(self, folder: Path, count: int, rate: int) -> None:
        folder.mkdir()
        self.server = NatsServer(folder)
        make_streams(self.server, "--max-bytes", "2G")
        self.talks = [Talk(folder / f"v{number}", rate // 60 // count) for number in range(count)]
        self.records = [folder / f"record{number}" for number in range(count)]
        self.archive = folder / "archive"
        self.archiving = self._archive()
        self.recorders = [self._record(number) for number in range(count)]
        for each in self.recorders:
            each.heard("is recorded into")
        self.killed: set[int] = set()

    def _archive(self) -> Archiving:
        return Archiving(self.archive, self.server, "--convert-every", "20s", "--quiet")

    def _record(self, number: int) -> Recording:
        return recording(self.records[number], self.talks[number], self.server, "--quiet")

    def kill_archive(self) -> None:
        self.archiving.kill()
        self.archiving = self._archive()

    def kill_server(self) -> None:
        self.server.kill()
        self.server.start()

    def kill_recorder(self) -> None:
        self.recorders[0].kill()
        self.killed.add(0)
        self.recorders[0] = self._record(0)

    def recorded(self) -> Arrivals:
        found: Arrivals = Counter()
        for record in self.records:
            found.update(arrivals_of(record))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for talk in self.talks:
            talk.end()
        for process in (*self.recorders, self.archiving):
            process.end()
        self.server.kill()


async def run(torture: Torture) -> None:
    """What it costs, and then with kills."""
    for count, rate in RATES:
        await asyncio.to_thread(_measure, torture, count, rate)
    await asyncio.to_thread(_kill, torture)


def _measure(torture: Torture, count: int, rate: int) -> None:
    with Scene(torture.directory / f"{count}-{rate}", count, rate) as scene:
        time.sleep(torture.count(SECONDS) / 3)
        harm, took = _settle(scene)
        recorders = cost(*(each.process.pid for each in scene.recorders))
        server, archive = cost(scene.server.process.pid), cost(scene.archiving.process.pid)
    total = sum(talk.said.total() for talk in scene.talks)
    figures = f"{total:,} arrivals: recorders {recorders}; server {server}; archive {archive}; whole {took:.1f} s after"
    torture.tell(f"{count} vantage points, {rate:,} a minute", figures, harm)


def _kill(torture: Torture) -> None:
    count, rate = RATES[-1]
    with Scene(torture.directory / "kills", count, rate) as scene:
        kills = [scene.kill_archive, scene.kill_server, scene.kill_recorder] * torture.count(KILLS)
        for kill in kills:
            time.sleep(torture.chance.uniform(0.5, 1.5) * torture.count(SECONDS) / len(kills))
            kill()
        harm, took = _settle(scene)
    total = sum(talk.said.total() for talk in scene.talks)
    figures = f"{len(kills)} kills of archive, server and a recorder, {total:,} arrivals: whole {took:.1f} s after"
    torture.tell(f"{count} vantage points with kills", figures, harm)


def _settle(scene: Scene) -> tuple[list[str], float]:
    """What differs when all is said and done, and how long that took."""
    for talk in scene.talks:
        talk.end()
    ended = time.monotonic()
    while True:
        recorded, archived = scene.recorded(), arrivals_of(scene.archive)
        if recorded == archived or time.monotonic() > ended + SETTLED:
            break
        time.sleep(1.0)
    took = time.monotonic() - ended
    harm = [
        f"{each[0]}: in the archive {archived[each]}, recorded {recorded[each]}" for each in _differ(recorded, archived)
    ]
    for number, talk in enumerate(scene.talks):
        if number not in scene.killed:
            heard = sum(1 for each in recorded.elements() if each[0] == talk.path.name)
            if heard != talk.said.total():
                harm.append(f"{talk.path.name} has recorded {heard:,} of {talk.said.total():,}")
    return harm, took


def _differ(one: Arrivals, other: Arrivals) -> Arrivals:
    return (one - other) + (other - one)
