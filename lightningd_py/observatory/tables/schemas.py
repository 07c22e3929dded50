"""The columns of the tables, and how Parquet is to encode them. docs/observatory.md explains each column.

Times are unix nanoseconds. A `hash` is the first 16 bytes of SHA256(message); a message's row has all 32. `vantage`
names the point from which something was heard. What a feed does not say is null.
"""

from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

HASH = pa.binary(16)
SHA256 = pa.binary(32)
NODE_ID = pa.binary(33)
HOUR_NS = 3_600_000_000_000
ROW_GROUP = 122_880
"""Rows of an hour file that are read together, as DuckDB has it."""


class Table(NamedTuple):
    """`time`: the column by which rows are laid into hours. `deltas`: columns of numbers that grow slowly, or repeat.
    `repeated`: columns of few values."""

    schema: pa.Schema
    time: str
    deltas: tuple[str, ...]
    repeated: tuple[str, ...]


def _schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema(list(types.items()))


TABLES: dict[str, Table] = {
    "arrivals": Table(
        _schema(
            time_ns=pa.int64(),
            vantage=pa.string(),
            hash=HASH,
            peer=NODE_ID,
            conn_id=pa.int64(),
            incoming=pa.bool_(),
            dir=pa.uint8(),
            phase=pa.string(),
            type=pa.uint16(),
            size=pa.uint16(),
            outcome=pa.string(),
            reason=pa.string(),
        ),
        "time_ns",
        ("time_ns", "conn_id"),
        ("vantage", "hash", "peer", "dir", "phase", "type", "size", "outcome", "reason"),
    ),
    "messages": Table(
        _schema(
            first_seen_ns=pa.int64(),
            vantage=pa.string(),
            hash=HASH,
            sha256=SHA256,
            inner_hash=HASH,
            type=pa.uint16(),
            size=pa.uint16(),
            scid=pa.uint64(),
            direction=pa.uint8(),
            node_id=NODE_ID,
            timestamp=pa.uint32(),
            heard=pa.bool_(),
            raw=pa.binary(),
        ),
        "first_seen_ns",
        ("first_seen_ns",),
        ("vantage", "type", "size", "direction", "node_id"),
    ),
    "peers": Table(
        _schema(
            time_ns=pa.int64(),
            vantage=pa.string(),
            conn_id=pa.int64(),
            node_id=NODE_ID,
            event=pa.string(),
            address=pa.string(),
            incoming=pa.bool_(),
            features=pa.binary(),
            reason=pa.string(),
            dir=pa.uint8(),
            size=pa.uint16(),
            rtt_ns=pa.int64(),
        ),
        "time_ns",
        ("time_ns", "conn_id"),
        ("vantage", "node_id", "event", "address", "features", "reason", "dir", "size"),
    ),
    "map": Table(
        _schema(
            time_ns=pa.int64(),
            vantage=pa.string(),
            topic=pa.string(),
            scid=pa.uint64(),
            direction=pa.uint8(),
            node_id=NODE_ID,
            timestamp=pa.uint32(),
            why=pa.string(),
            deadline=pa.uint32(),
            amount_sat=pa.int64(),
            hash=HASH,
        ),
        "time_ns",
        ("time_ns",),
        ("vantage", "topic", "direction", "why", "deadline"),
    ),
    "clock": Table(
        _schema(
            time_ns=pa.int64(),
            vantage=pa.string(),
            monotonic_ns=pa.int64(),
            jump_ns=pa.int64(),
            offset_ns=pa.int64(),
            maxerror_us=pa.int64(),
            esterror_us=pa.int64(),
            status=pa.int32(),
            synced=pa.bool_(),
        ),
        "time_ns",
        ("time_ns", "monotonic_ns"),
        ("vantage",),
    ),
    "losses": Table(
        _schema(
            time_ns=pa.int64(),
            vantage=pa.string(),
            epoch=pa.int64(),
            topic=pa.string(),
            first_seq=pa.int64(),
            count=pa.int64(),
            why=pa.string(),
        ),
        "time_ns",
        ("time_ns",),
        ("vantage", "topic", "why"),
    ),
}
"""In the order of docs/observatory.md."""

IN, OUT = 0, 1
"""In the columns `dir`: heard, said by us."""
CHECKPOINT, CHECKPOINT_END = "checkpoint", "checkpoint_end"
"""Topics in `map`: between the two stands the whole map as it was then, with `why` = checkpoint."""


def batch(table: str, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows in the order of the table's columns. Raises pa.ArrowInvalid, OverflowError or TypeError for what does not
    fit them."""
    schema = TABLES[table].schema
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def parquet_writer(table: str, path: str) -> pq.ParquetWriter:
    """The writer of an hour file, or of any other file with the table's columns."""
    kind = TABLES[table]
    return pq.ParquetWriter(
        path,
        kind.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=list(kind.repeated),
        column_encoding=dict.fromkeys(kind.deltas, "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
    )
