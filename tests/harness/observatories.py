"""`lightning-observatory` as a process, for tests of the whole."""

import hashlib
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from lightningd_py.observatory.replay.publisher import Publisher
from lightningd_py.observatory.tables.reading import Record

PROGRAM = Path(sys.executable).parent / "lightning-observatory"
PATIENCE = 60.0


def observe(*words: str | Path, timeout: float = PATIENCE) -> str:
    """What a subcommand prints; it must end with status 0."""
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(*words: str | Path) -> str:
    """The one sentence that a subcommand says when it cannot do it."""
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode in (1, 2), done.stdout + done.stderr
    assert done.returncode == 2 or done.stderr.count("\n") == 1, done.stderr
    return done.stderr


class Recording:
    """A recorder; usable as `with`, whose end it must end well."""

    process: subprocess.Popen[str]

    def __init__(self, folder: Path, feed: Path, *options: str) -> None:
        words = [str(PROGRAM), "record", str(folder), "--feed", str(feed), *options]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.process.kill()
        said = self.end()
        assert kind is not None or self.process.returncode == 0, said

    def heard(self, words: str) -> str:
        """Wait until it says this; the line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if words in line:
                return line
        raise AssertionError(f"the recorder has ended without saying {words!r}")

    def kill(self) -> None:
        """As a power cut does it, but for the kernel's buffers."""
        self.process.kill()
        self.process.wait()
        self._close()

    def end(self) -> str:
        """SIGTERM; what it has said since."""
        self.process.terminate()
        said = self.process.communicate(timeout=PATIENCE)[1]
        return said or ""

    def _close(self) -> None:
        if self.process.stderr is not None:
            self.process.stderr.close()


def until(found: Callable[[], bool], what: str) -> None:
    """Wait for what files show: there is no event to wait for."""
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline, f"{what} has not come"
        time.sleep(0.05)


def whole(folder: Path, table: str, columns: list[str]) -> pa.Table:
    """All rows that a record has in a table, with these columns."""
    part = Record(folder).part(table, columns)
    tables = [pq.read_table(path, columns=columns, partitioning=None) for path in part.files]
    return pa.concat_tables([*tables, part.recent.select(columns)])


def arrivals_of(folder: Path) -> Counter[tuple[str, bytes, bytes]]:
    """How often each message came: (vantage, peer, hash) -> count."""
    names = ["vantage", "peer", "hash"]
    found = whole(folder, "arrivals", names).group_by(names).aggregate([([], "count_all")])
    columns = (found.column(name).to_pylist() for name in (*names, "count_all"))
    return Counter({(vantage, peer, hash_): count for vantage, peer, hash_, count in zip(*columns, strict=True)})


def messages_of(folder: Path) -> dict[bytes, tuple[int, int | None, int | None, bytes | None]]:
    """What the record has of each message: its type, scid, direction and node_id."""
    names = ["raw", "type", "scid", "direction", "node_id"]
    rows = whole(folder, "messages", names).to_pylist()
    return {row["raw"]: (row["type"], row["scid"], row["direction"], row["node_id"]) for row in rows}


def peak_memory(pid: int) -> int:
    """The most bytes that were resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


class Killed(NamedTuple):
    """What came of it: rows of arrivals at the end; those that were in a whole batch once and are gone; those that are
    there twice; hour files; and how many messages the feed said."""

    kills: int
    rows: int
    lost: int
    doubled: int
    hour_files: int
    said: int


def kills(folder: Path, count: int, chance: random.Random) -> Killed:
    """Kill a recorder so often, within a second of its beginning or of its first rows, while a feed goes on."""
    record, path = folder / "record", folder / "feed"
    before: set[bytes] = set()
    lost = doubled = 0
    ending = threading.Event()
    said = [0]

    def say() -> None:
        with Publisher(path, epoch=5) as publisher:
            while not ending.is_set():
                if not publisher.has_subscriber():
                    ending.wait(0.01)
                    continue
                for _ in range(200):
                    said[0] += 1
                    raw = b"\x01\x02" + hashlib.sha256(str(said[0]).encode()).digest() * 4
                    fields = {"node_id": bytes([2]) * 33, "conn_id": 1, "incoming": False, "outcome": "new"}
                    publisher.say("gossip.channel_update", time.time_ns(), reason="", raw=raw, **fields)
                ending.wait(0.02)

    speaker = threading.Thread(target=say)
    speaker.start()
    try:
        until(path.exists, "the feed")
        for _ in range(count):
            recording = Recording(record, path, "--vantage", "here", "--convert-every", "1s", "--store", "none")
            recording.heard("is recorded into")
            time.sleep(chance.uniform(0.05, 2.5))
            recording.kill()
            there = _hashes(record)
            doubled += len(there) - len(set(there))
            lost += len(before - set(there))
            before |= set(there)
    finally:
        ending.set()
        speaker.join()
    return Killed(count, len(before), lost, doubled, len(list(record.glob("arrivals/*/*/*.parquet"))), said[0])


def _hashes(folder: Path) -> list[bytes]:
    return list(whole(folder, "arrivals", ["hash"]).column("hash").to_pylist())
