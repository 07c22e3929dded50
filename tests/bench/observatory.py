"""A recorder of a feed that says 1,000,000 arrivals, beside the least that has to be done: msgpack and SHA256."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from gossipd.publish.batches import Batches
from gossipd.publish.packing import Packing, batched_message
from lightningd_py.observatory.replay.publisher import Publisher
from lightningd_py.observatory.tables.reading import Record
from tests.bench.harness import Bench, Row, cpu_seconds
from tests.harness.observatories import Recording, peak_memory, until
from wire.bus import feed
from wire.bus.feed_batches import QUESTION

FULL, QUICK = 1_000_000, 100_000
PACE = 1_000_000 / 60
"""Arrivals a second."""
DIFFERENT = 20
"""One arrival in so many is of a new message."""


def _fields(number: int) -> dict[str, object]:
    raw = b"\x01\x02" + hashlib.sha256(str(number // DIFFERENT).encode()).digest() * 4 + bytes(8)
    peer = bytes([2, number % 200]) + bytes(31)
    known = {"outcome": "new", "reason": "", "phase": "live"}
    return {"node_id": peer, "conn_id": number % 200, "incoming": False, "raw": raw, **known}


class InBatches(Publisher):
    """As gossipd says its feed to a recorder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._batches = Batches(self._send, Packing("here", time.time_ns()), time.time_ns)
        self._batches.later = lambda seconds, call: None
        self.flush = self._batches.flush

    def _send(self, topic: bytes, body: bytes) -> None:
        self._socket.send_multipart((topic, body))

    def _note(self, word: bytes) -> None:
        super()._note(word)
        if word.startswith(b"\1" + QUESTION.encode()):
            self._batches.answer(word[1:])

    def say(self, topic: str, time_ns: int, /, **fields: Any) -> None:
        """Send it with the batch that it fills, or with `flush`."""
        self._seq[topic] += 1
        self._batches.add(topic, batched_message(topic, self._seq[topic], time_ns, fields))


def _least(arrivals: int) -> float:
    """CPU seconds of decoding and hashing that many."""
    bodies = [feed.encode(number, time.time_ns(), _fields(number)) for number in range(10_000)]
    began = time.process_time()
    for body in bodies:
        hashlib.sha256(msgpack.unpackb(body)["raw"]).digest()
    return (time.process_time() - began) * arrivals / len(bodies)


def _say(publisher: InBatches, arrivals: int) -> None:
    """At the pace."""
    began = time.monotonic()
    for number in range(arrivals):
        if number % 100 == 0:
            publisher.flush()
            time.sleep(max(0.0, began + number / PACE - time.monotonic()))
        publisher.say("gossip.channel_update", time.time_ns(), **_fields(number))
    publisher.flush()


def _recorded(folder: Path) -> int:
    part = Record(folder).part("arrivals", ["time_ns"])
    import pyarrow.parquet as pq

    return int(part.recent.num_rows + sum(pq.read_metadata(path).num_rows for path in part.files))


async def measure(bench: Bench) -> Iterator[Row]:
    """CPU a million arrivals, all threads, conversion to Parquet included; memory at its highest; bytes an arrival."""
    arrivals = QUICK if bench.quick else FULL
    folder, path = bench.directory / "record", bench.directory / "feed"
    with InBatches(path) as publisher:
        recording = Recording(folder, path, "--vantage", "here", "--store", "none", "--convert-every", "5s", "--quiet")
        assert publisher.wait(20.0)
        until(lambda: publisher.has_subscriber("batch.gossip"), "the recorder takes batches")
        before = cpu_seconds(recording.process.pid)
        _say(publisher, arrivals)
        until(lambda: _recorded(folder) == arrivals, f"{arrivals} arrivals")
        until(lambda: bool(list(folder.glob("arrivals/*/*/*.parquet"))), "an hour file")
        cpu = cpu_seconds(recording.process.pid) - before
        memory = peak_memory(recording.process.pid)
        recording.end()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    millions = arrivals / 1e6
    return iter(
        [
            Row("recorder: 1,000,000 arrivals", cpu / millions, "s CPU", _least(FULL), "msgpack and SHA256", "<= 60 s"),
            Row("recorder: memory at its highest", memory / 1e6, "MB", None, "", "< 300 MB"),
            Row("recorder: on the disk", size / arrivals, "bytes/arrival"),
        ]
    )
