"""gossip_observer's five tables of Parquet, read and written: TABLE/YYYY/MM/DD/TABLE_YYYY-MM-DD.parquet.

Their keys are XXH3 of 64 bits, eight bytes in little-endian: `hash` over the message in base64url without padding,
`peer_hash` over the peer's id in hex. Their `inner_hash` is made by Rust's derive(Hash) and cannot be made here: ours
is XXH3 over the message without its signatures and timestamp, so it joins what we wrote, and not what they wrote.
"""

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from lightningd_py.observatory.record.messages import HASH_SIZE, inner_bytes, message_row
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.schemas import IN, OUT

KINDS = {256: 1, 257: 2, 258: 3}
"""Our types -> theirs; 4 and 5 are ping and pong."""
INBOUND, OUTBOUND = 1, 2
DAY_US = 86_400_000_000
LEVEL = 10
ROW_GROUPS = {"timings": 122_880}
OTHER_ROW_GROUPS = 61_440

_STAMP = pa.timestamp("us", tz="UTC")
SCHEMAS = {
    "timings": pa.schema(
        [
            ("net_timestamp", _STAMP),
            ("row_inc", pa.int64()),
            ("hash", pa.binary()),
            ("inner_hash", pa.binary()),
            ("collector", pa.string()),
            ("peer", pa.string()),
            ("dir", pa.int16()),
            ("peer_hash", pa.binary()),
            ("orig_timestamp", _STAMP),
        ]
    ),
    "messages": pa.schema([("hash", pa.binary()), ("raw", pa.string()), ("first_seen", _STAMP)]),
    "metadata": pa.schema(
        [
            ("hash", pa.binary()),
            ("inner_hash", pa.binary()),
            ("type", pa.int16()),
            ("size", pa.int32()),
            ("orig_node", pa.string()),
            ("scid", pa.binary()),
            ("first_seen", _STAMP),
        ]
    ),
    "message_hashes": pa.schema([("outer_hash", pa.binary()), ("inner_hash", pa.binary()), ("first_seen", _STAMP)]),
    "message_first_seen": pa.schema([("hash", pa.binary()), ("first_seen", _STAMP)]),
}


def xxh3(data: bytes) -> bytes:
    """XXH3_64, as gossip_observer stores it."""
    return xxhash.xxh3_64_intdigest(data).to_bytes(8, "little")


def text_of(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def raw_of(text: str) -> bytes:
    """The message in such a text. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def outer_hash(raw: bytes) -> bytes:
    """Their key of a message."""
    return xxh3(text_of(raw).encode())


def inner_hash(raw: bytes) -> bytes:
    """Equal for messages that differ in signatures and timestamp alone."""
    return xxh3(inner_bytes(raw))


def day_file(folder: Path, table: str, day: int) -> Path:
    """The file of a day since 1970."""
    when = datetime.fromtimestamp(day * 86_400, UTC)
    return folder / table / f"{when:%Y/%m/%d}" / f"{table}_{when:%Y-%m-%d}.parquet"


def files_of(folder: Path, table: str) -> list[Path]:
    """All of a table. Raises ObservatoryError if there is none."""
    found = sorted((folder / table).rglob(f"{table}_*.parquet"))
    if not found and table in ("timings", "messages"):
        raise ObservatoryError(f"{folder} has no table {table} of gossip_observer's")
    return found


class Keys:
    """Their key of a message -> the beginning of its SHA256, and its type and size."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, int, int]] = {}

    def take(self, key: bytes, first_seen: int, text: str, vantage: str) -> tuple[Any, ...] | None:
        """A row of our `messages`; None for what is none (theirs may hold pings)."""
        try:
            raw = raw_of(text)
        except ValueError:
            return None
        kind = int.from_bytes(raw[:2], "big")
        if kind not in KINDS:
            return None
        sha256 = hashlib.sha256(raw).digest()
        self._known[key] = sha256[:HASH_SIZE], kind, len(raw)
        return message_row(vantage, first_seen, sha256, raw, True)

    def arrivals(self, batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
        """Rows of our `arrivals` of a batch of their timings; those whose message is not known are left out."""
        columns = [batch.column(name) for name in ("net_timestamp", "hash", "collector", "peer", "dir")]
        times = columns[0].cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
        for time_us, key, collector, peer, direction in zip(
            times, *(column.to_pylist() for column in columns[1:]), strict=True
        ):
            known = self._known.get(key)
            if known is not None and time_us is not None:
                short, kind, size = known
                out = OUT if direction == OUTBOUND else IN
                yield (
                    time_us * 1000,
                    collector,
                    short,
                    _node_id(peer),
                    None,
                    None,
                    out,
                    None,
                    kind,
                    size,
                    None,
                    None,
                )


def _node_id(text: str | None) -> bytes | None:
    try:
        found = bytes.fromhex(text or "")
    except ValueError:
        return None
    return found if len(found) == 33 else None
