"""Rows as the feed's messages, as far as rows know them: `seq` and `epoch` are 0, and a raw message that has not come,
for its first sighting was long ago, is empty; its hash is there (16 bytes of SHA256).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from lightningd_py.observatory.record.messages import about
from lightningd_py.observatory.tables.schemas import CHECKPOINT, CHECKPOINT_END, OUT
from wire.bus.feed import GOSSIP_2_TOPICS, GOSSIP_TOPICS, SENT_TOPICS, FeedError, FeedMessage, Outcome, decode, encode
from wire.control.shares import Shares

MOST_TEXTS, MOST_BYTES = 100_000, 64 << 20
"""Raw messages that are remembered."""
FIRST_TYPE = 256
_DIRECTIONS = ("in", "out")
OTHER = "other"
"""What stands for an outcome that no node says."""
_OUTCOMES = frozenset(map(str, Outcome))


def outcome_of(said: str) -> str:
    """One of a few, whatever another vantage point says: they are counted one by one, and shown."""
    return said if said in _OUTCOMES else OTHER


class Texts:
    """Raw messages by the beginning of their hash, the newest ones, with a share for each vantage point that sends."""

    def __init__(self, most: int = MOST_TEXTS, most_bytes: int = MOST_BYTES) -> None:
        self._known: Shares[bytes, bytes] = Shares(most, most_bytes)

    def take(self, rows: pa.RecordBatch) -> None:
        """Rows of the table `messages`."""
        columns = (rows.column(name).to_pylist() for name in ("hash", "raw", "vantage"))
        for short, raw, vantage in zip(*columns, strict=True):
            if short not in self._known:
                self._known.put(short, raw, vantage, len(raw))

    def get(self, short: bytes | None) -> bytes:
        """Empty if it is not known."""
        return b"" if short is None else self._known.get(short) or b""


def messages_of(table: str, rows: pa.RecordBatch, texts: Texts, topics: Iterable[str]) -> Iterator[FeedMessage]:
    """In the order of the rows; what a feed has no message for is left out. `topics`: those that are wanted."""
    wanted = frozenset(topics)
    make = {"arrivals": _arrival, "peers": _peer, "map": _change}[table]
    for row in rows.to_pylist():
        topic, fields = make(row, texts)
        if topic not in wanted:
            continue
        fields = {key: value for key, value in fields.items() if value is not None or key in MAY_BE_NONE}
        try:
            yield decode(topic.encode(), encode(0, row["time_ns"], fields | {"vantage": row["vantage"]}))
        except FeedError:  # something that its messages always have is null
            continue


MAY_BE_NONE = {"node_id", "conn_id", "incoming", "phase", "amount_sat", "rtt_ns"}


def _arrival(row: dict[str, Any], texts: Texts) -> tuple[str, dict[str, Any]]:
    raw, kind = texts.get(row["hash"]), row["type"] or 0
    topics = SENT_TOPICS if row["dir"] == OUT else GOSSIP_TOPICS
    number = kind - FIRST_TYPE
    topic = topics[number] if 0 <= number < len(topics) else GOSSIP_2_TOPICS.get(kind, "")
    said = about(raw)
    return topic, {
        "raw": raw,
        "type": kind,
        "size": row["size"],
        "hash": row["hash"],
        "short_channel_id": said.scid,
        "direction": said.direction,
        "timestamp": said.timestamp,
        "about": said.node_id,
        "node_id": row["peer"],
        "conn_id": row["conn_id"],
        "incoming": row["incoming"],
        "outcome": outcome_of(row["outcome"] or ""),
        "reason": row["reason"] or "",
        "phase": row["phase"],
    }


def _peer(row: dict[str, Any], _: Texts) -> tuple[str, dict[str, Any]]:
    direction = row["dir"]
    names = ("node_id", "conn_id", "address", "incoming", "features", "size", "rtt_ns")
    fields = {name: row[name] for name in names}
    fields |= {"reason": row["reason"] or "", "dir": None if direction not in (0, 1) else _DIRECTIONS[direction]}
    return f"peer.{row['event']}", fields


def _change(row: dict[str, Any], texts: Texts) -> tuple[str, dict[str, Any]]:
    """The map as it was at a checkpoint is no change."""
    if row["why"] == CHECKPOINT or row["topic"] in (CHECKPOINT, CHECKPOINT_END):
        return "", {}
    names = ("direction", "node_id", "timestamp", "why", "deadline", "amount_sat")
    raw = texts.get(row["hash"]) if row["hash"] is not None else None
    return f"map.{row['topic']}", {name: row[name] for name in names} | {"short_channel_id": row["scid"], "raw": raw}
