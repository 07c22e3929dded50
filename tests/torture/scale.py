"""Many vantage points at once: recorders, a NATS server and archives, which are killed; not a row lost or doubled.

What it costs at several sizes first, each for a minute, and then all that may happen: docs/scale.md has the figures.
"""

import asyncio
import contextlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nats

from lightningd_py.observatory.jetstream.names import ARRIVALS
from tests.harness.jetstream import Archiving, NatsServer, make_streams
from tests.harness.node import Node
from tests.harness.observatories import PROGRAM, Recording, arrivals_of, peak_memory, until
from tests.torture.feeds import Feeds
from tests.torture.reckoning import lost_count, row_count, wrong_of_feeds, wrong_of_nodes
from tests.torture.torture import Torture, print_line

SCENES = ((1, 100_000), (5, 100_000), (20, 10_000), (20, 100_000), (20, 1_000_000))
"""Vantage points, and arrivals a minute of all together."""
MEASURED, KILLING = 60, 180
"""Seconds of each of them, and of that with kills."""
POINTS, NODES, RATE, KILLS = 20, 2, 1_000_000, 4
PEERS, CHANNELS, EVENTS_A_SECOND = 8, 200, 5
"""Of what is said to the nodes."""
SETTLED = 120.0
"""Seconds after the last word in which the archives are to be whole."""
FULL = 5.0
"""Seconds for which the stream stays full."""
ROOM = 1 << 20
QUIET = 3.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Seconds of processor time of all processes of a part, and bytes at most of one of them."""

    cpu: float = 0.0
    memory: int = 0

    def plus(self, other: "Cost") -> "Cost":
        return Cost(self.cpu + other.cpu, max(self.memory, other.memory))


class Meter:
    """Costs by part, from where each process was when it was told of, or when `begin` was said."""

    def __init__(self) -> None:
        self._ended: dict[str, Cost] = {}
        self._running: dict[int, tuple[str, float]] = {}

    def watch(self, part: str, pid: int) -> None:
        self._running[pid] = part, 0.0

    def begin(self) -> None:
        """What was until now, the programs' start, does not count."""
        self._running = {pid: (part, _cpu(pid)) for pid, (part, _) in self._running.items()}

    def leave(self, pid: int) -> None:
        """Before it ends."""
        part, before = self._running.pop(pid)
        self._ended[part] = self._ended.get(part, Cost()).plus(Cost(_cpu(pid) - before, peak_memory(pid)))

    def costs(self) -> dict[str, Cost]:
        """As of now."""
        found = dict(self._ended)
        for pid, (part, before) in self._running.items():
            found[part] = found.get(part, Cost()).plus(Cost(_cpu(pid) - before, peak_memory(pid)))
        return found


def _cpu(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


class Scene:
    """A server, feeds with a recorder each, and archives: the first may be killed, the others see it all."""

    def __init__(self, folder: Path, feeds: Feeds, archives: int) -> None:
        self._folder, self.feeds, self.meter = folder, feeds, Meter()
        self.server = NatsServer(folder)
        self.meter.watch("server", self.server.process.pid)
        make_streams(self.server, "--max-bytes", "2G")
        self.archives = [folder / f"archive{number}" for number in range(archives)]
        self.archiving = [self._archive(number) for number in range(archives)]
        self.recorders = {name: self.record(name, path) for name, path in feeds.paths.items()}
        until(feeds.have_subscribers, "all recorders")
        until(lambda: all((archive / "spool").is_dir() for archive in self.archives), "all archives")

    def _archive(self, number: int) -> Archiving:
        found = Archiving(self.archives[number], self.server, "--convert-every", "20s", "--quiet")
        self.meter.watch("archives", found.process.pid)
        return found

    def record(self, name: str, feed: Path) -> Recording:
        """A recorder of this feed."""
        to = ("--nats", self.server.url, "--network", "regtest", "--quiet")
        found = Recording(self._folder / f"record-{name}", feed, "--vantage", name, "--store", "none", *to)
        self.meter.watch("recorders", found.process.pid)
        return found

    def kill_archive(self) -> None:
        self.meter.leave(self.archiving[0].process.pid)
        self.archiving[0].kill()
        self.archiving[0] = self._archive(0)

    def kill_server(self) -> None:
        self.meter.leave(self.server.process.pid)
        self.server.kill()
        self.server.start()
        self.meter.watch("server", self.server.process.pid)

    def kill_recorder(self) -> None:
        name = self.feeds.names[0]
        self.meter.leave(self.recorders[name].process.pid)
        self.recorders[name].kill()
        self.recorders[name] = self.record(name, self.feeds.paths[name])

    def fill(self) -> None:
        """Let the stream of arrivals have room for two seconds more, and a while later for all that comes."""
        asyncio.run(_until_full(self.server.url))
        time.sleep(FULL)
        make_streams(self.server, "--max-bytes", "2G")

    def end(self) -> None:
        for process in (*self.recorders.values(), *self.archiving):
            process.end()
        self.server.kill()


async def _until_full(url: str) -> None:
    client = await nats.connect(url)
    stream = client.jetstream()
    config = (await stream.stream_info(ARRIVALS)).config
    config.max_bytes = (await stream.stream_info(ARRIVALS)).state.bytes + ROOM
    await stream.update_stream(config)
    async with asyncio.timeout(SETTLED):
        while (await stream.stream_info(ARRIVALS)).state.bytes < config.max_bytes - (100 << 10):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await client.close()


@contextlib.contextmanager
def _scene(folder: Path, points: int, rate: int, archives: int = 1) -> Iterator[Scene]:
    folder.mkdir()
    with Feeds(folder, points, rate / 60) as feeds:
        scene = Scene(folder, feeds, archives)
        try:
            yield scene
        finally:
            scene.end()


async def run(torture: Torture) -> None:
    """What it costs, and then with kills; the figures as a table, and into a file if one was asked for."""
    found = [await asyncio.to_thread(_measure, torture, points, rate) for points, rate in SCENES]
    found.append(await _kill(torture))
    print()
    print_table(found)
    print()
    if torture.figures is not None:
        machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
        about = {"date": time.strftime("%Y-%m-%d"), "machine": machine, "share": torture.share}
        torture.figures.write_text(json.dumps({**about, "scenes": found}, indent=1) + "\n")


def _measure(torture: Torture, points: int, rate: int) -> dict[str, Any]:
    with _scene(torture.directory / f"{points}-{rate}", points, rate) as scene:
        scene.meter.begin()
        scene.feeds.start()
        time.sleep(torture.count(MEASURED))
        scene.feeds.end()
        settled = _settle(scene, scene.feeds.total())
        harm = wrong_of_feeds(scene.archives[0], scene.feeds)
        figures = _figures(scene, points, rate, settled)
    torture.tell(f"{points} vantage points, {rate:,} a minute", _words(figures), harm)
    return figures


async def _kill(torture: Torture) -> dict[str, Any]:
    """Two nodes are among the vantage points."""
    with torture.nodes("nodes") as nodes:
        both = {name: nodes.start(f"--alias={name}") for name in ("n0", "n1")}
        return await asyncio.to_thread(_kill_beside, torture, both)


def _kill_beside(torture: Torture, nodes: dict[str, Node]) -> dict[str, Any]:
    seconds, kills, truth = torture.count(KILLING), torture.count(KILLS), torture.directory / "truth"
    with _scene(torture.directory / "kills", POINTS - NODES, RATE, archives=2) as scene:
        for name, node in nodes.items():
            scene.recorders[name] = scene.record(name, node.directory / "feed")
            scene.recorders[name].heard("is recorded into")
            for pid in node.pids().values():
                scene.meter.watch("nodes", pid)
        replay = _replay(nodes, seconds, truth)
        scene.meter.begin()
        scene.feeds.start()
        deeds = _deeds(scene, kills)
        for deed in deeds:
            time.sleep(torture.chance.uniform(0.5, 1.5) * seconds / (len(deeds) + 1))
            deed()
        time.sleep(QUIET + seconds / len(deeds))
        assert replay.wait(2 * seconds + SETTLED) == 0
        scene.feeds.end()
        said = arrivals_of(truth).total()
        settled = _settle(scene, scene.feeds.total() + said)
        killed = {scene.feeds.names[0]}
        harm = [wrong for archive in scene.archives for wrong in wrong_of_feeds(archive, scene.feeds, killed)]
        harm += [wrong for archive in scene.archives for wrong in wrong_of_nodes(archive, truth, {*nodes})]
        figures = _figures(scene, POINTS, RATE, settled) | {"kills": 3 * kills, "full": 1, "said to nodes": said}
    words = f"{kills} kills each of an archive, the server and a recorder, the stream full once; {_words(figures)}"
    torture.tell(f"{POINTS} vantage points with kills", words, harm)
    return figures


def _deeds(scene: Scene, kills: int) -> list[Callable[[], None]]:
    """In their order; the stream is full in the middle of it."""
    each = [scene.kill_archive, scene.kill_server, scene.kill_recorder] * kills
    return [*each[: len(each) // 2], scene.fill, *each[len(each) // 2 :]]


def _replay(nodes: dict[str, Node], seconds: int, truth: Path) -> "subprocess.Popen[bytes]":
    """Scripted peers that say a made-up day to the nodes."""
    to = [word for name, node in nodes.items() for word in ("--node", f"{name}={node.target}")]
    size = ("--peers", str(PEERS), "--channels", str(CHANNELS), "--events", str(EVENTS_A_SECOND * seconds))
    words = [str(PROGRAM), "replay", "--synthetic", *to, *size, "--seconds", f"{seconds}s", "--truth", str(truth)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _settle(scene: Scene, said: int) -> float:
    """Wait until the archives have it all but what is told of as lost, or until patience ends; seconds that took."""
    began = time.monotonic()

    def is_whole(archive: Path) -> bool:
        return row_count(archive) >= said - lost_count(archive)

    while not all(map(is_whole, scene.archives)) and time.monotonic() < began + SETTLED:
        time.sleep(0.5)
    return time.monotonic() - began


def _figures(scene: Scene, points: int, rate: int, settled: float) -> dict[str, Any]:
    """Costs as seconds of processor time for each minute, and bytes."""
    feeds = scene.feeds
    minutes = feeds.seconds / 60
    parts = {
        part: {"cpu": cost.cpu / minutes, "memory": cost.memory} for part, cost in sorted(scene.meter.costs().items())
    }
    return {
        "points": points,
        "asked": rate,
        "rate": feeds.total() / minutes,
        "seconds": feeds.seconds,
        "arrivals": feeds.total(),
        "told of as lost": lost_count(scene.archives[-1]),
        "settled": settled,
        "generator cpu": feeds.cpu / minutes,
        "parts": parts,
    }


def _words(figures: dict[str, Any]) -> str:
    lost = f", {figures['told of as lost']:,} of them told of as lost" if figures["told of as lost"] else ""
    return f"{figures['arrivals']:,} arrivals{lost}; whole {figures['settled']:.1f} s after"


def print_table(scenes: list[dict[str, Any]]) -> None:
    """Seconds of processor time a minute, and memory at most, of each part."""
    parts = ("server", "recorders", "archives", "nodes")
    heads = [f"{part}, CPU s a minute, MB" for part in parts]
    print_line("vantage points", "arrivals a minute", *heads, "generator, CPU s a minute", "whole after, s")
    print_line(*["---"] * (4 + len(parts)))
    for scene in scenes:
        cells = []
        for part in parts:
            cost = scene["parts"].get(part)
            cells.append("-" if cost is None else f"{cost['cpu']:.1f}, {cost['memory'] / 1e6:.0f}")
        kills = " with kills" if "kills" in scene else ""
        after = (f"{scene['generator cpu']:.1f}", f"{scene['settled']:.1f}")
        print_line(f"{scene['points']}{kills}", f"{scene['rate']:,.0f}", *cells, *after)
