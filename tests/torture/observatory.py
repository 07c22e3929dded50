"""A recorder that is killed a hundred times at random moments, and a day of network in ten minutes, whole."""

import asyncio
import time
from collections import Counter
from pathlib import Path

from lightningd_py.observatory.history.spread import Window, propagation_of_top
from lightningd_py.observatory.tables.reading import Record
from tests.harness.observatories import Recording, arrivals_of, kills, observe, until
from tests.torture.torture import Torture

KILLS, PEERS, CHANNELS, EVENTS, SECONDS = 100, 40, 3_000, 5_000, 600
FAR = 1 << 62


async def run(torture: Torture) -> None:
    """Both."""
    folder = torture.directory / "kills"
    folder.mkdir()
    told = await asyncio.to_thread(kills, folder, torture.count(KILLS), torture.chance)
    figures = f"{told.kills} kills, {told.rows:,} rows of {told.said:,} messages, {told.hour_files} hour files"
    harm = [f"{told.lost} rows of whole batches lost, {told.doubled} doubled"] if told.lost or told.doubled else []
    torture.tell("recorder killed", figures, harm)
    await _day(torture)


async def _day(torture: Torture) -> None:
    with torture.nodes("day") as nodes:
        both = {name: nodes.start(f"--alias={name}") for name in ("east", "west")}
        folder, truth = torture.directory / "record", torture.directory / "truth"
        recordings = [
            Recording(folder, node.directory / "feed", "--vantage", name, "--convert-every", "60s")
            for name, node in both.items()
        ]
        to = [word for name, node in both.items() for word in ("--node", f"{name}={node.target}")]
        share = ("--channels", str(torture.count(CHANNELS)), "--events", str(torture.count(EVENTS)))
        seconds = torture.count(SECONDS)
        words = ("replay", "--synthetic", *to, *share, "--peers", str(PEERS), "--seconds", f"{seconds}s")
        try:
            await asyncio.to_thread(observe, *words, "--truth", truth, timeout=2 * seconds + 600)
            said = arrivals_of(truth)
            await asyncio.to_thread(until, lambda: arrivals_of(folder).total() >= said.total(), "all arrivals")
        finally:
            ended = [await asyncio.to_thread(recording.end) for recording in recordings]
        heard = arrivals_of(folder)
        harm = [str(key) for key in (heard - said) + (said - heard)]
        said_lines = [line for lines in ended for line in lines.splitlines()]
        harm += [line for line in said_lines if "lost" in line and " 0 rows lost" not in line]
        torture.tell("a day of network", _figures(folder, heard, seconds), harm)


def _figures(folder: Path, heard: Counter[tuple[str, bytes, bytes]], seconds: int) -> str:
    began = time.monotonic()
    spread = propagation_of_top(Record(folder), 10, Window(0, FAR, sync=True), 2)
    took = time.monotonic() - began
    late = spread.all["p95_ns"] / 1e9
    return f"{heard.total():,} arrivals in {seconds} s, as said; p95 {late:.1f} s, asked in {took:.2f} s"
