"""The recorder without a socket and by a clock that stands: what is said becomes rows, and what is missing, too."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.observatory.record import recorder as module
from lightningd_py.observatory.record.conversion import Conversion, closed_segments
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.lightningd_py.observatory.recorded import HOUR, PEER, T0, FakeFeed, Said, heard, record, rows, update


def losses(folder: Path) -> list[tuple[str, int | None, int | None, str]]:
    found = [(row["topic"], row["first_seq"], row["count"], row["why"]) for row in rows(folder, "losses")]
    return [row for row in found if row[-1] != "start"]


def convert(folder: Path, vantage: str = "here") -> int:
    return Conversion(folder, vantage).convert(closed_segments(folder, vantage, ()))


def test_arrival_is_a_row_and_its_message_at_first_sight(tmp_path: Path) -> None:
    said = Said()
    raw = update(1)
    record(tmp_path, FakeFeed([said.arrival(raw, T0), said.arrival(raw, T0 + 5, outcome="redundant", incoming=True)]))
    sha256 = hashlib.sha256(raw).digest()
    first, second = rows(tmp_path, "arrivals")
    assert first == {
        "time_ns": T0,
        "vantage": "here",
        "hash": sha256[:16],
        "peer": PEER,
        "conn_id": 1,
        "incoming": False,
        "dir": 0,
        "phase": None,
        "type": 258,
        "size": len(raw),
        "outcome": "new",
        "reason": None,
    }
    assert (second["time_ns"], second["outcome"], second["incoming"]) == (T0 + 5, "redundant", True)
    (message,) = rows(tmp_path, "messages")
    assert (message["sha256"], message["raw"], message["first_seen_ns"], message["heard"]) == (sha256, raw, T0, True)


def test_keys_of_the_newer_feed_are_taken(tmp_path: Path) -> None:
    """phase, hash, inner_hash, sent.*, ping and pong with their times, gossip of version 2."""
    said = Said(vantage="me", epoch=7)
    raw = update(1)
    fields: dict[str, Any] = {"node_id": PEER, "conn_id": 1, "incoming": False}
    frames = [
        said.arrival(raw, T0, phase="sync", hash=b"h" * 32, inner_hash=b"i" * 32),
        said.message("sent.channel_update", T0 + 1, raw=update(2), **fields),
        said.message("peer.pong", T0 + 2, dir="in", size=3, rtt_ns=1_000_000, **fields),
        said.message("gossip.channel_update_2", T0 + 3, raw=b"\x01\x0f" + bytes(40), outcome="rejected", **fields),
        said.message("other.topic", T0 + 4),
    ]
    record(tmp_path, FakeFeed(frames))
    found = rows(tmp_path, "arrivals")
    assert [(row["dir"], row["phase"], row["type"]) for row in found] == [
        (0, "sync", 258),
        (1, None, 258),
        (0, None, 271),
    ]
    messages = rows(tmp_path, "messages")
    assert (messages[0]["sha256"], messages[0]["inner_hash"]) == (b"h" * 32, b"i" * 16)
    assert [message["heard"] for message in messages] == [True, False, True]
    (pong,) = rows(tmp_path, "peers")
    assert (pong["event"], pong["dir"], pong["size"], pong["rtt_ns"]) == ("pong", 0, 3, 1_000_000)


def test_gap_in_the_feed_is_a_row(tmp_path: Path) -> None:
    said = Said()
    record(tmp_path, FakeFeed([said.arrival(update(1), T0), said.arrival(update(2), T0, skip=12)]))
    assert losses(tmp_path) == [("gossip.channel_update", 2, 12, "gap")]


def test_what_was_missed_between_two_recorders_is_a_row(tmp_path: Path) -> None:
    """The node's run has a number: the second recorder knows where the first one was, also after a conversion."""
    said = Said(epoch=7)
    record(tmp_path, FakeFeed([said.arrival(update(1), T0)]))
    convert(tmp_path)
    record(tmp_path, FakeFeed([said.arrival(update(2), T0 + 1, skip=3)]), now_ns=T0 + 1)
    assert losses(tmp_path) == [("gossip.channel_update", 2, 3, "away")]
    record(tmp_path, FakeFeed([Said(epoch=8).arrival(update(3), T0 + 2, skip=90)]), now_ns=T0 + 2)
    assert len(losses(tmp_path)) == 1, "another run of the node counts from its beginning"


def test_what_nobody_has_counted_is_not_known(tmp_path: Path) -> None:
    """While a topic is not taken it is not counted, and then one number is left out."""
    said = Said(epoch=7)
    record(tmp_path, FakeFeed([said.arrival(update(1), T0)]))
    frames = [said.arrival(update(2), T0 + 1, skip=1), said.arrival(update(3), T0 + 2, skip=1)]
    record(tmp_path, FakeFeed(frames), now_ns=T0 + 1)
    topic = "gossip.channel_update"
    assert losses(tmp_path) == [(topic, 2, None, "away"), (topic, 4, 1, "gap")]


def test_feed_that_ends_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.0)
    first, second = Said(), Said()
    said = record(
        tmp_path,
        FakeFeed([first.arrival(update(1), T0, skip=5)], ends=True),
        FakeFeed([second.arrival(update(2), T0 + 1, skip=40)]),
    )
    assert [row["time_ns"] for row in rows(tmp_path, "arrivals")] == [T0, T0 + 1]
    assert losses(tmp_path) == [("", None, None, "reconnect")], "how much was missed is not known"
    assert said == ["the feed has ended; it is tried again until it is there", "the feed is there"]


def test_what_cannot_be_read_is_counted_and_harms_nothing(tmp_path: Path) -> None:
    said = Said()
    frames = [
        said.arrival(update(1), T0),
        (b"gossip.channel_update", b"\xc1"),
        said.message("gossip.channel_update", T0, raw="text"),
        said.arrival(update(2), T0, conn_id="one"),  # type: ignore[arg-type]
        said.arrival(update(3), T0, peer=b"short"),
        said.arrival(update(4), T0),
    ]
    record(tmp_path, FakeFeed(frames))
    record(tmp_path, FakeFeed([]), now_ns=T0 + 1)
    kept = [row["hash"] for row in rows(tmp_path, "arrivals")]
    assert kept == [hashlib.sha256(update(number)).digest()[:16] for number in (1, 4)]
    unreadable = [row for row in losses(tmp_path) if row[-1] == "unreadable"]
    assert sum(row[2] or 0 for row in unreadable) >= 2


def test_hours_have_their_files(tmp_path: Path) -> None:
    said = Said()
    record(tmp_path, FakeFeed([said.arrival(update(number), T0 + number * HOUR // 2) for number in range(5)]))
    before = rows(tmp_path, "arrivals")
    assert convert(tmp_path) > 0
    assert rows(tmp_path, "arrivals") == before
    files = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.glob("arrivals/*/*/*"))]
    assert files == [f"arrivals/date=2026-09-21/hour={hour}/here-1.parquet" for hour in (14, 15, 16)]
    assert [row["time_ns"] for row in rows(tmp_path, "arrivals", since_ns=T0 + 2 * HOUR)] == [T0 + 2 * HOUR]
    assert list(tmp_path.glob("spool/*/*")) == []
    assert convert(tmp_path) == 0


def test_clock_that_jumps_makes_no_file_wrong(tmp_path: Path) -> None:
    """More hours than are written at a time; every row is in the file of its hour, once."""
    said = Said()
    times = [T0 + (number * 7919 % 1000) * HOUR for number in range(60)]
    record(tmp_path, FakeFeed([said.arrival(update(number), at) for number, at in enumerate(times)]))
    convert(tmp_path)
    assert sorted(row["time_ns"] for row in rows(tmp_path, "arrivals")) == sorted(times)
    for at in times:
        assert at in [row["time_ns"] for row in rows(tmp_path, "arrivals", since_ns=at, until_ns=at)]


class Full:
    """os.write on a disk with so many bytes left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self._write = os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, fd: int, data: bytes) -> int:
        if self.left is None:
            return self._write(fd, data)
        if not self.left:
            raise OSError(28, "No space left on device")
        written = self._write(fd, bytes(data)[: self.left])
        self.left -= written
        return written


def test_full_disk_costs_what_comes_meanwhile_and_nothing_that_was_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Full(monkeypatch)
    said = Said()
    recorder = _inside(tmp_path)
    take, flush = recorder._feed_rows.take, recorder._flush
    take(*heard(said.arrival(update(1), T0)))
    flush()
    disk.left = 300  # the middle of a batch
    for number in range(2, 7):
        take(*heard(said.arrival(update(number), T0 + number)))
        flush()
    assert "No space left on device" in recorder.status().trouble
    disk.left = None
    take(*heard(said.arrival(update(3), T0 + 8)))
    flush()
    flush()
    recorder._end()
    assert [row["time_ns"] for row in rows(tmp_path, "arrivals")] == [T0, T0 + 8]
    assert ("arrivals", None, 5, "disk") in losses(tmp_path)
    assert {row["raw"] for row in rows(tmp_path, "messages")} == {update(1), update(3)}, "seen again, recorded now"
    assert recorder.status().trouble == ""


def _inside(folder: Path, **how: Any) -> module.Recorder:
    return module.Recorder(module.Settings(folder, "here", **how), lambda: FakeFeed([]), lambda _: None, lambda: T0)


def test_quota_takes_the_oldest_spool_and_says_so(tmp_path: Path) -> None:
    said = Said()
    for run in range(4):
        frames = [said.arrival(update(1000 * run + number), T0 + run) for number in range(100)]
        record(tmp_path, FakeFeed(frames), now_ns=T0 + run)
    size = sum(path.stat().st_size for path in tmp_path.glob("spool/*/*"))
    recorder = _inside(tmp_path, quota=size // 2)
    recorder._look()
    recorder._end()
    left = {row["time_ns"] for row in rows(tmp_path, "arrivals")}
    assert T0 + 3 in left and T0 not in left
    lost = [row for row in losses(tmp_path) if row[-1] == "quota"]
    assert ("arrivals", None, 100, "quota") in lost
    assert sum(path.stat().st_size for path in tmp_path.glob("spool/*/*")) < size * 0.6


def test_old_days_go(tmp_path: Path) -> None:
    said = Said()
    days = [T0 - day * 24 * HOUR for day in range(5)]
    record(tmp_path, FakeFeed([said.arrival(update(1), at) for at in days]))
    convert(tmp_path)
    _inside(tmp_path, keep=2)._look()
    assert sorted(row["time_ns"] for row in rows(tmp_path, "arrivals")) == sorted(days[:3])


def test_cut_segment_loses_its_last_batch_alone_and_that_is_a_row(tmp_path: Path) -> None:
    recorder = _inside(tmp_path)
    for number in range(3):
        recorder._feed_rows.take(*heard(Said().arrival(update(number), T0 + number)))
        recorder._flush()
    (path,) = recorder._spool.paths & set(tmp_path.glob("spool/arrivals/*"))
    cut = path.read_bytes()[:-1]
    recorder._spool.close()
    path.write_bytes(cut)
    assert len(rows(tmp_path, "arrivals")) == 2
    record(tmp_path, FakeFeed([]), now_ns=T0 + 10)
    assert losses(tmp_path) == [("arrivals", None, None, "cut")]
    record(tmp_path, FakeFeed([]), now_ns=T0 + 20)
    assert len(losses(tmp_path)) == 1, "it is cut to what is whole, and said once"
    convert(tmp_path)
    assert len(rows(tmp_path, "arrivals")) == 2


def test_checkpoint_is_the_whole_map_of_the_store(tmp_path: Path) -> None:
    made = SyntheticMap(random_edges(1, 30, 10), 1, 1_790_000_000)
    store = GossipStore.open(tmp_path / "gossip_store")
    made.write_store(store)
    store.close()
    record(tmp_path / "record", FakeFeed([]), store=tmp_path / "gossip_store")
    found = rows(tmp_path / "record", "map")
    assert (found[0]["topic"], found[-1]["topic"]) == ("checkpoint", "checkpoint_end")
    raws = {row["hash"]: row["raw"] for row in rows(tmp_path / "record", "messages")}
    assert {raws[row["hash"]] for row in found[1:-1]} == set(made.messages())
    assert {row["amount_sat"] for row in found if row["topic"] == "channel_announcement"} == {
        edge.capacity_sat for edge in made.edges
    }


def test_store_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "gossip_store").write_bytes(b"\xff" * 100)
    said = record(tmp_path / "record", FakeFeed([Said().arrival(update(1), T0)]), store=tmp_path / "gossip_store")
    assert len(said) == 1 and "could not be read" in said[0]
    assert len(rows(tmp_path / "record", "arrivals")) == 1
