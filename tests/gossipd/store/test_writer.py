"""The gossip_store's writer: what it writes, and what it makes of files that others, or accidents, have left."""

import contextlib
import errno
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossipd.store import records
from gossipd.store.records import BEGINNING_SIZE, COMPLETED, DELETED, DYING, HEADER, amount_message, pack_record
from gossipd.store.writer import GossipStore, StoreError
from tests.gossipd.faults import Crash, failing_pwrite

RAW = st.binary(min_size=2, max_size=300)
TIMESTAMP = st.integers(0, 0xFFFFFFFF)
IN_A_DIRECTORY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Entry = tuple[bytes, int]


def entries(store: GossipStore) -> list[Entry]:
    """All live messages but the uuid."""
    found, end = store.scan(1, store.end)
    assert end == store.end
    return [(raw, timestamp) for _, timestamp, kind, raw, _ in found if kind != records.UUID]


def entries_at(path: Path) -> tuple[list[Entry], str]:
    store = GossipStore.open(path)
    try:
        return entries(store), store.note
    finally:
        store.close()


def write(path: Path, *batches: list[Entry]) -> list[int]:
    """A store with these batches; the offsets of all records."""
    store = GossipStore.open(path)
    offsets = []
    for batch in batches:
        offsets += [store.append(raw, timestamp) for raw, timestamp in batch]
        store.flush()
    store.close()
    return offsets


BATCH_1: list[Entry] = [(b"\x01\x00" + bytes(40), 7), (b"\x01\x02one", 8), (b"\x01\x01two", 9)]
BATCH_2: list[Entry] = [(b"\x01\x02three", 10), (b"\x01\x02four", 11)]


def test_new_file_has_version_and_uuid_and_is_private(path: Path) -> None:
    store = GossipStore.open(path)
    content = path.read_bytes()
    assert content == b"\x10" + pack_record(b"\x10\x0b" + store.uuid, 0)
    assert store.size == store.end == len(content) == BEGINNING_SIZE
    assert (len(store.uuid), store.note) == (32, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def test_uuid_stays(path: Path) -> None:
    store = GossipStore.open(path)
    store.close()
    again = GossipStore.open(path)
    assert (again.uuid, again.note) == (store.uuid, "")
    again.close()


@given(batches=st.lists(st.lists(st.tuples(RAW, TIMESTAMP), max_size=5), max_size=4))
@IN_A_DIRECTORY
def test_what_was_written_is_read_back(tmp_path: Path, batches: list[list[Entry]]) -> None:
    path = tmp_path / os.urandom(8).hex()
    store = GossipStore.open(path)
    for batch in batches:
        offsets = [store.append(raw, timestamp) for raw, timestamp in batch]
        assert [store.read(offset) for offset in offsets] == [raw for raw, _ in batch]
        store.flush()
        assert [store.read(offset) for offset in offsets] == [raw for raw, _ in batch]
    written = [entry for batch in batches for entry in batch if entry[0][:2] != b"\x10\x0b"]
    assert entries(store) == written
    store.close()
    assert entries_at(path) == (written, "")


def test_longest_message(path: Path) -> None:
    raw = b"\x01\x01" + bytes(65_533)
    write(path, [(raw, 1)])
    assert entries_at(path) == ([(raw, 1)], "")


def test_batch_is_one_write_and_becomes_visible_by_one_byte(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        writes.append(bytes(data))
        return real(fd, data, offset)

    store = GossipStore.open(path)
    monkeypatch.setattr(os, "pwrite", pwrite)
    for raw, timestamp in BATCH_1:
        store.append(raw, timestamp)
    assert path.stat().st_size == store.end == BEGINNING_SIZE
    store.flush()
    flags = [0, COMPLETED, COMPLETED]
    batch = b"".join(pack_record(raw, timestamp, flag) for (raw, timestamp), flag in zip(BATCH_1, flags, strict=True))
    assert writes == [batch, b"\x20"]
    store.close()


def test_scan_stops_at_its_limit_and_goes_on_from_there(path: Path) -> None:
    write(path, BATCH_1, BATCH_2)
    store = GossipStore.open(path)
    offset, steps = 1, []
    while offset < store.end:
        found, following = store.scan(offset, 1)
        assert [record[4] for record in found] == [following]
        steps += [(record[3], record[1]) for record in found]
        offset = following
    assert steps[1:] == BATCH_1 + BATCH_2
    assert store.scan(store.end, 1000) == ([], store.end)
    store.close()


def test_deleted_records_are_passed_over(path: Path) -> None:
    offsets = write(path, BATCH_1, BATCH_2)
    store = GossipStore.open(path)
    store.mark_deleted(offsets[1])
    assert entries(store) == [BATCH_1[0], BATCH_1[2], *BATCH_2]
    assert store.flags(offsets[1]) == COMPLETED | DELETED
    store.close()
    assert entries_at(path) == ([BATCH_1[0], BATCH_1[2], *BATCH_2], "")


def test_old_record_goes_only_after_the_new_one_is_there(store: GossipStore) -> None:
    old = store.append(b"\x01\x02old", 1)
    store.flush()
    store.append(b"\x01\x02new", 2)
    store.mark_deleted(old)
    assert not b"".join(store.chunks())[old] & DELETED >> 8, "followers have no other"
    assert entries(store) == [], "those who look at the map besides are ahead of the file"
    assert store.flags(old) & DELETED
    store.flush()
    assert entries(store) == [(b"\x01\x02new", 2)]


def test_flags_in_the_buffer(store: GossipStore) -> None:
    first, second = store.append(b"\x01\x02a", 1), store.append(b"\x01\x02b", 2)
    store.mark_deleted(first)
    store.set_dying(second)
    assert (store.flags(first), store.flags(second)) == (COMPLETED | DELETED, COMPLETED | DYING)
    store.flush()
    assert (store.flags(first), store.flags(second)) == (COMPLETED | DELETED, COMPLETED | DYING)


def test_amount_is_deleted_with_its_announcement(store: GossipStore) -> None:
    announced, amount = store.append(b"\x01\x00a", 1), store.append(amount_message(5), 0)
    alone = store.append(b"\x01\x00b", 1)
    store.mark_deleted(announced)
    store.mark_deleted(alone)
    store.flush()
    assert store.flags(amount) & DELETED
    assert entries(store) == []


@pytest.mark.parametrize("flushed", [False, True])
def test_announcement_gets_the_timestamp_of_its_first_update(path: Path, flushed: bool) -> None:
    store = GossipStore.open(path)
    store.append(b"\x01\x01x", 1)
    offset = store.append(b"\x01\x00a", 0)
    if flushed:
        store.flush()
    store.set_timestamp(offset, 1_700_000_000)
    store.close()
    assert entries_at(path) == ([(b"\x01\x01x", 1), (b"\x01\x00a", 1_700_000_000)], "")


def test_no_record_there(store: GossipStore) -> None:
    for offset in (0, store.size, store.size + 100):
        with pytest.raises(ValueError, match="no record"):
            store.read(offset)


def test_second_daemon_is_told_who_is_first(path: Path) -> None:
    store = GossipStore.open(path)
    with pytest.raises(StoreError, match=r"gossip_store is in use by another process\.$"):
        GossipStore.open(path)
    store.close()
    store.close()
    assert entries_at(path) == ([], "")


def live(store: GossipStore) -> None:
    """Two batches; an update of the second one replaces one of the first."""
    offsets = [store.append(raw, timestamp) for raw, timestamp in BATCH_1]
    store.flush()
    for raw, timestamp in BATCH_2:
        store.append(raw, timestamp)
    store.mark_deleted(offsets[1])
    store.flush()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("at", range(5))
def test_killed_at_any_write(path: Path, monkeypatch: pytest.MonkeyPatch, at: int, share: float) -> None:
    """The writes are: batch, its flag, batch, its flag, deletion."""
    store = GossipStore.open(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", failing_pwrite(at, share, Crash()))
        with pytest.raises(Crash):
            live(store)
        with contextlib.suppress(Crash):
            store.close()
    written = (at + 1 if share == 1.0 else at) // 2
    left = [[], BATCH_1, BATCH_1 + BATCH_2][written]
    if (at, share) == (4, 1.0):
        left = [entry for entry in left if entry != BATCH_1[1]]
    found, note = entries_at(path)
    assert found == left
    assert not note or "cut off" in note
    assert entries_at(path) == (left, "")


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("at", [0, 1])
def test_full_disk_keeps_file_and_batch(path: Path, monkeypatch: pytest.MonkeyPatch, at: int, share: float) -> None:
    store = GossipStore.open(path)
    old = store.append(*BATCH_1[0])
    store.flush()
    before = path.read_bytes()
    offset = store.append(*BATCH_2[0])
    store.append(*BATCH_2[1])
    store.mark_deleted(old)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", failing_pwrite(at, share, OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            store.flush()
    assert path.read_bytes() == before
    assert store.read(offset) == BATCH_2[0][0]
    store.append(b"\x01\x02more", 5)
    store.flush()
    store.close()
    assert entries_at(path) == ([*BATCH_2, (b"\x01\x02more", 5)], "")


def test_disk_that_takes_a_piece_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(data)[:5], offset))
    write(path, BATCH_1)
    assert entries_at(path) == (BATCH_1, "")


def test_cut_at_every_byte_of_the_last_batch(path: Path) -> None:
    offsets = write(path, BATCH_1, BATCH_2)
    content = path.read_bytes()
    ends = [*offsets[1:], len(content)]
    for cut in range(offsets[3], len(content)):
        path.write_bytes(content[:cut])
        whole = sum(end <= cut for end in ends)
        left = (BATCH_1 + BATCH_2)[:whole]
        note = "" if cut in offsets else f"an unfinished tail of {cut - ends[whole - 1]} bytes cut off"
        found, said = entries_at(path)
        assert (found, said.split(" at ")[0]) == (left, note)
        assert entries_at(path) == (left, "")


def test_batch_whose_first_record_is_not_completed_was_never_there(path: Path) -> None:
    offsets = write(path, BATCH_1, BATCH_2)
    content = bytearray(path.read_bytes())
    content[offsets[3]] = 0
    path.write_bytes(content)
    found, note = entries_at(path)
    assert found == BATCH_1
    tail = content[offsets[3] :]
    said = f"an unfinished tail of {len(tail)} bytes cut off at offset {offsets[3]}"
    assert note == f"{said}, see {path.name}.corrupt"
    assert path.with_name(path.name + ".corrupt").read_bytes() == tail
    write(path, BATCH_2)
    assert entries_at(path) == (BATCH_1 + BATCH_2, "")


def test_bit_of_a_record_with_a_long_good_tail_is_damage(path: Path) -> None:
    """No crash leaves so much: the record is lost, and no other."""
    batch = [(b"\1\2" + bytes([number]) * 60_000, number) for number in range(8)]
    offsets = write(path, batch)
    content = bytearray(path.read_bytes())
    content[offsets[1]] = 0
    path.write_bytes(content)
    assert entries_at(path) == ([batch[0], *batch[2:]], f"60014 bad bytes skipped at offset {offsets[1]}")


@pytest.mark.parametrize(
    ("place", "damage"),
    [
        (12, b"\xff"),
        (4, b"\1\2\3\4"),
        (2, b"\x00\x03"),
        (2, b"\xff\xff"),
        (0, bytes(12)),
        (0, bytes(17)),
        (0, b"\xa5" * 17),
    ],
    ids=["message", "crc", "short length", "long length", "zeroed header", "zeroed record", "garbage"],
)
def test_bad_middle_is_skipped_and_said(path: Path, place: int, damage: bytes) -> None:
    offsets = write(path, BATCH_1, BATCH_2)
    content = bytearray(path.read_bytes())
    content[offsets[1] + place : offsets[1] + place + len(damage)] = damage
    path.write_bytes(content)
    left = [BATCH_1[0], BATCH_1[2], *BATCH_2]
    assert entries_at(path) == (left, f"17 bad bytes skipped at offset {offsets[1]}")
    assert entries_at(path) == (left, "")


@given(st.data())
@IN_A_DIRECTORY
def test_no_damage_keeps_the_store_from_opening(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / os.urandom(8).hex()
    write(path, BATCH_1, BATCH_2)
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    damage = data.draw(st.binary(min_size=1, max_size=60))
    content[start : start + len(damage)] = damage
    path.write_bytes(content)
    found, _ = entries_at(path)
    genuine = BATCH_1 + BATCH_2
    assert [entry for entry in found if entry in genuine] == [entry for entry in genuine if entry in found]
    assert entries_at(path) == (found, "")


@pytest.mark.parametrize("size", [*range(1, BEGINNING_SIZE)])
def test_crash_while_beginning(path: Path, size: int) -> None:
    GossipStore.open(path).close()
    path.write_bytes(path.read_bytes()[:size])
    assert entries_at(path) == ([], "")
    assert path.stat().st_size == BEGINNING_SIZE


@pytest.mark.parametrize(
    "content",
    [
        b"\x30" + pack_record(*BATCH_1[0]),
        b"\x08" + pack_record(*BATCH_1[0]),
        b"not a store at all",
        b"\x10" + bytes(99),
    ],
    ids=["other major version", "too old", "text", "zeros"],
)
def test_what_is_no_store_is_moved_aside(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found, note = entries_at(path)
    assert found == []
    assert re.fullmatch(r"no gossip_store .*moved to gossip_store\.corrupt, and an empty one begun", note)
    assert path.with_name("gossip_store.corrupt").read_bytes() == content
    assert entries_at(path) == ([], "")


def test_gap_longer_than_a_record_can_be() -> None:
    for size in (14, 65_547, 65_548, 65_560, 65_561, 200_000):
        headers = list(records.fillers(1, 1 + size))
        lengths = [HEADER.unpack(header)[1] for _, header in headers]
        assert sum(12 + length for length in lengths) == size
        assert min(lengths) >= 2
        assert [offset for offset, _ in headers] == [1 + sum(12 + n for n in lengths[:i]) for i in range(len(lengths))]
