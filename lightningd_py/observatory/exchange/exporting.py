"""A record as gossip_observer's five tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from lightningd_py.observatory.exchange.gossip_observer import (
    INBOUND,
    KINDS,
    LEVEL,
    OTHER_ROW_GROUPS,
    OUTBOUND,
    ROW_GROUPS,
    SCHEMAS,
    day_file,
    inner_hash,
    outer_hash,
    text_of,
    xxh3,
)
from lightningd_py.observatory.record.messages import about
from lightningd_py.observatory.tables.query import Query, asking
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.schemas import HASH, OUT

DAY_NS = 86_400_000_000_000

_FIRST = """
SELECT hash, min(time_ns) AS first_ns, any_value(m.raw) AS raw
FROM arrivals JOIN (SELECT hash, any_value(raw) AS raw FROM messages GROUP BY hash) m USING (hash)
WHERE type IN (256, 257, 258) GROUP BY hash ORDER BY first_ns, hash
"""
_TIMINGS = f"""
SELECT time_ns, outer_hash, inner_hash, vantage, encode(lower(hex(peer))) AS peer,
       CASE dir WHEN {OUT} THEN {OUTBOUND} ELSE {INBOUND} END AS dir
FROM arrivals JOIN keys USING (hash) WHERE peer IS NOT NULL AND time_ns // {DAY_NS} = $1 ORDER BY time_ns
"""


class Exported(NamedTuple):
    """Rows of timings, messages, and days."""

    timings: int
    messages: int
    days: int


def export_gossip_observer(
    record: Record, folder: Path, since_ns: int | None = None, until_ns: int | None = None
) -> Exported:
    """Write the files of all days in that time. Arrivals without a peer (our own messages) are left out.

    Raises ObservatoryError, OSError.
    """

    def ask(query: Query) -> Exported:
        query.load("arrivals", ["time_ns", "vantage", "hash", "peer", "dir", "type"], since_ns, until_ns)
        query.load("messages", ["hash", "raw"])
        messages = list(_messages(query))
        keys = {name: [message[name] for message in messages] for name in ("short", "hash", "inner_hash")}
        query.register(
            "keys",
            pa.table(
                {
                    "hash": pa.array(keys["short"], HASH),
                    "outer_hash": pa.array(keys["hash"], pa.binary()),
                    "inner_hash": pa.array(keys["inner_hash"], pa.binary()),
                }
            ),
        )
        days = [day for (day,) in query.rows(f"SELECT DISTINCT time_ns // {DAY_NS} FROM arrivals ORDER BY 1")]
        timings = 0
        for day in days:
            timings += _write_timings(query, folder, day, timings)
        for day in sorted({message["day"] for message in messages}):
            _write_companions(folder, day, [message for message in messages if message["day"] == day])
        return Exported(timings, len(messages), len(days))

    return asking(record, ask)


def _messages(query: Query) -> Iterator[dict[str, Any]]:
    for short, first_ns, raw in query.rows(_FIRST):
        kind = int.from_bytes(raw[:2], "big")
        found = about(raw)
        outer, inner = outer_hash(raw), inner_hash(raw)
        yield {
            "short": short,
            "day": first_ns // DAY_NS,
            "hash": outer,
            "outer_hash": outer,
            "inner_hash": inner,
            "raw": text_of(raw),
            "type": KINDS[kind],
            "size": len(raw),
            "orig_node": found.node_id.hex() if found.node_id is not None else None,
            "scid": None if found.scid is None else found.scid.to_bytes(8, "little"),
            "first_seen": first_ns // 1000,
        }


def _write_companions(folder: Path, day: int, messages: list[dict[str, Any]]) -> None:
    for table in ("messages", "metadata", "message_hashes", "message_first_seen"):
        schema = SCHEMAS[table]
        columns = [pa.array([message[name] for message in messages], schema.field(name).type) for name in schema.names]
        _write(folder, table, day, pa.table(columns, schema=schema))


def _write_timings(query: Query, folder: Path, day: int, before: int) -> int:
    rows = query.rows(_TIMINGS, [day])
    peer_hashes = {peer: xxh3(peer) for peer in {row[4] for row in rows}}
    times, outer, inner, vantages, peers, directions = zip(*rows, strict=True) if rows else [()] * 6
    micro = [at // 1000 for at in times]
    columns: list[Any] = [
        micro,
        range(before + 1, before + 1 + len(rows)),
        outer,
        inner,
        vantages,
        [peer.decode() for peer in peers],
        directions,
        [peer_hashes[peer] for peer in peers],
        micro,
    ]
    schema = SCHEMAS["timings"]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    _write(folder, "timings", day, pa.table(arrays, schema=schema))
    return len(rows)


def _write(folder: Path, table: str, day: int, rows: pa.Table) -> None:
    path = day_file(folder, table, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    size = ROW_GROUPS.get(table, OTHER_ROW_GROUPS)
    pq.write_table(rows, path, compression="zstd", compression_level=LEVEL, row_group_size=size)
