"""Stores of older versions become stores of version 16, with all that still means something."""

from pathlib import Path

import pytest

from gossipd.store import records
from gossipd.store.records import COMPLETED, DELETED, DYING, HEADER, amount_message, pack_record
from gossipd.store.writer import GossipStore

Entry = tuple[bytes, int]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gossip_store"


def entries_at(path: Path) -> tuple[list[Entry], str]:
    """All live messages but the uuid, and what was said at opening."""
    store = GossipStore.open(path)
    found, _ = store.scan(1, store.end)
    store.close()
    return [(raw, timestamp) for _, timestamp, kind, raw, _ in found if kind != records.UUID], store.note


def old_store(version: int, *kept: tuple[Entry, int]) -> bytes:
    return bytes([version]) + b"".join(pack_record(raw, timestamp, flags) for (raw, timestamp), flags in kept)


UPDATE: Entry = (b"\x01\x02" + bytes(136), 5)
SHORT_UPDATE: Entry = (b"\x01\x02" + bytes(128), 5)
ANNOUNCEMENT: Entry = (b"\x01\x00" + bytes(428), 5)
AMOUNT: Entry = (amount_message(7), 0)


@pytest.mark.parametrize("version", range(9, 17))
def test_old_versions_are_rewritten(path: Path, version: int) -> None:
    done = COMPLETED if version >= 15 else 0
    path.write_bytes(
        old_store(
            version,
            (ANNOUNCEMENT, done | 0x4000),
            (AMOUNT, done),
            (UPDATE, done | DELETED),
            (UPDATE, done | 0x2000 if version <= 13 else done),
            (SHORT_UPDATE, done),
            (ANNOUNCEMENT, done | (0x1000 if version <= 13 else DELETED)),
            (AMOUNT, done),
            ((b"\x10\x06" + bytes(100), 0), done),
            ((b"\x10\x08" + bytes(100), 0), done),
            ((records.delete_channel_message(3), 0), done),
            ((b"\x10\x0a" + bytes(12), 0), done | DYING),
        )
    )
    with path.open("rb") as follower:
        found, note = entries_at(path)
        assert found == [ANNOUNCEMENT, AMOUNT, UPDATE, (b"\x10\x0a" + bytes(12), 0)]
        assert note == f"rewritten from version {version} as version 16"
        ended = follower.read()[-54:]
    content = path.read_bytes()
    assert content[0] == 16
    assert records.parse_ended(ended[12:]) == (len(content), records.uuid_of(content))
    assert HEADER.unpack_from(ended)[0] == COMPLETED
    assert entries_at(path) == (found, "")
    assert [name.name for name in path.parent.iterdir()] == ["gossip_store"]


def test_damaged_old_store_gives_what_is_good(path: Path) -> None:
    content = bytearray(old_store(12, (ANNOUNCEMENT, 0), (AMOUNT, 0), (UPDATE, 0)))
    content[100] ^= 1
    path.write_bytes(content)
    assert entries_at(path)[0] == [UPDATE]
